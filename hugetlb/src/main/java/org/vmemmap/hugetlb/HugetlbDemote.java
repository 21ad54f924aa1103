// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.NavigableSet;
import java.util.Objects;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Lists;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;

/**
 * The part of mm/hugetlb.c that breaks free hugepages into smaller ones.
 *
 * <pre>
 *   src pool    | H  t  t  t  t  t  t  t |     leaves the pool, gets its whole memmap back
 *   dst pool    | H  t | H  t | H  t | H  t |  new heads on the old tails; optimised anew
 * </pre>
 *
 * The memory never visits the page allocator. A page whose memmap cannot be restored goes back into
 * the pool that it came from.
 */
@Kernel(file = "mm/hugetlb.c", symbol = "demote_pool_huge_page")
public final class HugetlbDemote {
  private final Mm mm;
  private final Lists lists;
  private final PageAlloc pageAlloc;
  private final HugetlbArch arch;
  private final Hstates hstates;
  private final HugetlbFolios folios;
  private final HugetlbInternal internal;
  private final HugetlbVmemmap vmemmap;
  private final Hugetlb hugetlb;
  private final HugetlbLock lock;

  /** Demotes pages of the pools of {@code hugetlb}. */
  public HugetlbDemote(
      Mm mm,
      PageAlloc pageAlloc,
      HugetlbArch arch,
      Hstates hstates,
      HugetlbFolios folios,
      HugetlbInternal internal,
      HugetlbVmemmap vmemmap,
      Hugetlb hugetlb) {
    this.mm = mm;
    this.lists = mm.lists();
    this.pageAlloc = pageAlloc;
    this.arch = arch;
    this.hstates = hstates;
    this.folios = folios;
    this.internal = internal;
    this.vmemmap = vmemmap;
    this.hugetlb = hugetlb;
    this.lock = hugetlb.hugetlbLock();
  }

  /** {@code mutex_lock(&h->resize_lock)}: a place where another CPU may run. */
  void lockResize(Hstate h) {
    mm.machine().lock("resize_lock", h.hugePageOrder());
  }

  /** {@code mutex_unlock(&h->resize_lock)}. */
  void unlockResize(Hstate h) {
    mm.machine().unlock("resize_lock", h.hugePageOrder());
  }

  /** Bytes of the pages that {@code h} is demoted into. */
  long demoteSize(Hstate h) {
    return mm.model().pageSize() << h.demoteOrder;
  }

  /** HUGETLB_PAGE_ORDER: the smallest order that pages may be demoted into. */
  int hugetlbPageOrder() {
    return Long.numberOfTrailingZeros(arch.hpageSize()) - mm.model().pageShift();
  }

  /**
   * Splits the removed folios of the list, as far as their memmap can be restored; the others stay
   * on the list. The larger size's resize_lock is held, so the smaller one's comes second.
   *
   * @return how many folios were restored, or the error of the first that could not be
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "demote_free_hugetlb_folios")
  private long demoteFreeHugetlbFolios(Hstate src, Hstate dst, ListHead srcList) {
    ListHead dstList = lists.localHead();
    ListHead retList = lists.localHead();
    long rc = vmemmap.hugetlbVmemmapRestoreFolios(src, srcList, retList);
    lists.listSpliceInit(retList, srcList);
    lists.release(retList);

    // Or set_max_huge_pages() might take the new pages for surplus ones.
    lockResize(dst);
    for (ListHead at = lists.first(srcList), next; !at.equals(srcList); at = next) {
      next = lists.next(at);
      Folio folio = new Folio(mm.struct().ofLru(at));
      if (folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED)) {
        continue;
      }
      lists.listDel(at);
      splitFolio(src, dst, folio, dstList);
    }
    hugetlb.prepAndAddAllocatedFolios(dst, dstList);
    unlockResize(dst);
    lists.release(dstList);
    return rc;
  }

  /**
   * The inner loop of demote_free_hugetlb_folios(). The reference counts of the tails that become
   * heads are taken to be 0; nobody writes or checks them.
   */
  private void splitFolio(Hstate src, Hstate dst, Folio folio, ListHead dstList) {
    boolean cma = folios.test(folio, HugetlbPageFlag.HPG_CMA);
    for (long i = 0; i < src.pagesPerHugePage(); i += dst.pagesPerHugePage()) {
      Page page = mm.struct().add(folio.page(), i);
      Folio newFolio = new Folio(page);
      mm.flags().clearCompoundHead(page);
      pageAlloc.prepCompoundPage(page, dst.hugePageOrder());
      mm.struct().setMapping(page, 0);
      hugetlb.initNewHugetlbFolio(newFolio);
      if (cma) {
        folios.set(newFolio, HugetlbPageFlag.HPG_CMA);
      }
      lists.listAdd(mm.struct().lru(page), dstList);
    }
  }

  /**
   * {@code demote_pool_huge_page()}: demotes up to {@code nrToDemote} free pages of the allowed
   * nodes, whether promised or not. Holds hugetlb_lock, but not while the memmap changes.
   *
   * @param nrToDemote pages, unsigned, not 0
   * @return how many pages were demoted; -EINVAL for a size without a smaller one, -EBUSY when no
   *     page could be taken, -ENOMEM when the memmap of one could not be restored: then those
   *     before it are demoted all the same
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "demote_pool_huge_page")
  public long demotePoolHugePage(Hstate src, NavigableSet<Integer> nodesAllowed, long nrToDemote) {
    lock.assertHeld("demote_pool_huge_page");
    if (src.demoteOrder == 0) {
      mm.printk().prWarn("HugeTLB: NULL demote order passed to demote_pool_huge_page.");
      return -Errno.EINVAL;
    }
    Hstate dst = Objects.requireNonNull(hstates.sizeToHstate(demoteSize(src)));
    long rc = 0;
    long nrDemoted = 0;
    for (int nrNodes = nodesAllowed.size(); nrNodes > 0; nrNodes--) {
      int node = internal.hstateNextNodeToFree(src, nodesAllowed);
      ListHead list = lists.localHead();
      nrDemoted += takeFree(src, node, nrToDemote - nrDemoted, list);
      lock.unlock();
      rc = demoteFreeHugetlbFolios(src, dst, list);
      lock.lock();
      nrDemoted -= putBack(src, list);
      lists.release(list);
      if (rc < 0 || nrDemoted == nrToDemote) {
        break;
      }
    }
    src.addMaxHugePages(-nrDemoted);
    dst.addMaxHugePages(nrDemoted << (src.hugePageOrder() - dst.hugePageOrder()));
    if (rc < 0) {
      return rc;
    }
    return nrDemoted != 0 ? nrDemoted : -Errno.EBUSY;
  }

  /** Removes up to {@code limit} pages from the node's free list; returns how many. */
  private long takeFree(Hstate src, int node, long limit, ListHead taken) {
    ListHead free = src.hugepageFreelists(node);
    long nr = 0;
    for (ListHead at = lists.first(free), next; !at.equals(free); at = next) {
      next = lists.next(at);
      Folio folio = new Folio(mm.struct().ofLru(at));
      if (mm.flags().test(folio.page(), PageFlags.PG_HWPOISON)) {
        continue;
      }
      hugetlb.removeHugetlbFolio(src, folio, false);
      lists.listAdd(at, taken);
      if (++nr == limit) {
        break;
      }
    }
    return nr;
  }

  /** Puts what is still on the list back into its pool; returns how many. */
  private long putBack(Hstate src, ListHead list) {
    long nr = 0;
    for (ListHead at = lists.first(list), next; !at.equals(list); at = next) {
      next = lists.next(at);
      lists.listDel(at);
      hugetlb.addHugetlbFolio(src, new Folio(mm.struct().ofLru(at)), false);
      nr++;
    }
    return nr;
  }
}
