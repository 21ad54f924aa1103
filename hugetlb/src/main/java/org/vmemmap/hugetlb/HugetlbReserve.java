// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.NavigableSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Lists;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/**
 * The part of mm/hugetlb.c that promises pages and keeps the promise.
 *
 * <p>A mapping reserves all its pages when it is made, so that no later access fails. If the pool
 * has too few, surplus pages are allocated for the promise, as far as the limit allows.
 *
 * <p>No cpusets, no memory policies, no subpools of a mounted hugetlbfs and no cgroups: all of them
 * answer as they do for a process that uses none.
 */
@Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_acct_memory")
public final class HugetlbReserve {
  /** {@code HUGETLB_ALLOC_USE_GLOBAL_RESERVATIONS}: the page was promised before. */
  public static final int HUGETLB_ALLOC_USE_GLOBAL_RESERVATIONS = 1 << 1;

  private final Mm mm;
  private final Lists lists;
  private final HugetlbInternal internal;
  private final HugetlbFolios folios;
  private final Hugetlb hugetlb;
  private final HugetlbLock lock;

  /** Promises pages of the pools of {@code hugetlb}. */
  public HugetlbReserve(
      Mm mm, HugetlbInternal internal, HugetlbFolios folios, Hugetlb hugetlb) {
    this.mm = mm;
    this.lists = mm.lists();
    this.internal = internal;
    this.folios = folios;
    this.hugetlb = hugetlb;
    this.lock = hugetlb.hugetlbLock();
  }

  /** A page beyond the pool, null when the limit or the memory forbids. */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_buddy_hugetlb_folio")
  private @Nullable Folio allocBuddyHugetlbFolio(Hstate h, Gfp gfpMask, int nid) {
    return hugetlb.allocSurplusHugetlbFolio(h, gfpMask, nid, null);
  }

  /** Makes sure that {@code delta} more pages can be promised, and promises them. 0 or -ENOMEM. */
  @Kernel(file = "mm/hugetlb.c", symbol = "gather_surplus_pages")
  private int gatherSurplusPages(Hstate h, long delta) {
    lock.assertHeld("gather_surplus_pages");
    long needed = h.resvHugePages + delta - h.freeHugePages;
    if (needed <= 0) {
      h.addResvHugePages(delta);
      return 0;
    }
    NavigableSet<Integer> nodes = internal.nodeStatesMemory();
    ListHead surplusList = lists.localHead();
    long allocated = 0;
    boolean allocOk = true;
    while (needed > 0 && allocOk) {
      lock.unlock();
      long i = 0;
      while (i < needed && allocOk) {
        Folio folio =
            hugetlb.allocSurplusHugetlbFolio(
                h, hugetlb.htlbAllocMask(h), HugetlbInternal.NUMA_NO_NODE, nodes);
        allocOk = folio != null;
        if (folio != null) {
          lists.listAdd(mm.struct().lru(folio.page()), surplusList);
          i++;
          mm.condResched(folio.page().va());
        }
      }
      allocated += i;
      // Others may have used or freed pages while the lock was open.
      lock.lock();
      needed = h.resvHugePages + delta - (h.freeHugePages + allocated);
    }
    int ret = -Errno.ENOMEM;
    if (needed <= 0) {
      h.addResvHugePages(delta);
      ret = 0;
      enqueueNeeded(h, surplusList, needed + allocated);
    }
    lock.unlock();
    for (ListHead at = lists.first(surplusList), next; !at.equals(surplusList); at = next) {
      next = lists.next(at);
      hugetlb.freeHugeFolio(new Folio(mm.struct().ofLru(at)));
    }
    lists.release(surplusList);
    lock.lock();
    return ret;
  }

  /** Puts as many of the new pages on free lists as the promise needs; others stay on the list. */
  private void enqueueNeeded(Hstate h, ListHead surplusList, long needed) {
    for (ListHead at = lists.first(surplusList), next; !at.equals(surplusList); at = next) {
      next = lists.next(at);
      if (--needed < 0) {
        break;
      }
      hugetlb.enqueueHugetlbFolio(h, new Folio(mm.struct().ofLru(at)));
    }
  }

  /** Takes promises back, and frees surplus pages that nobody needs any more. */
  @Kernel(file = "mm/hugetlb.c", symbol = "return_unused_surplus_pages")
  private void returnUnusedSurplusPages(Hstate h, long unusedResvPages) {
    lock.assertHeld("return_unused_surplus_pages");
    h.addResvHugePages(-unusedResvPages);
    ListHead pageList = lists.localHead();
    if (!internal.hstateIsGiganticNoRuntime(h)) {
      long nrPages = Math.min(unusedResvPages, h.surplusHugePages);
      while (nrPages-- > 0) {
        Folio folio = hugetlb.removePoolHugetlbFolio(h, internal.nodeStatesMemory(), true);
        if (folio == null) {
          break;
        }
        lists.listAdd(mm.struct().lru(folio.page()), pageList);
      }
    }
    lock.unlock();
    hugetlb.updateAndFreePagesBulk(h, pageList);
    lists.release(pageList);
    lock.lock();
  }

  /**
   * {@code hugetlb_alloc_folio()}: a page for a process, from the pool or beyond it, with one
   * reference and on the active list.
   *
   * @param nid the node to try first
   * @param allocFlags HUGETLB_ALLOC_ bits
   * @return the folio's head, or the error -ENOSPC
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_alloc_folio")
  public Page hugetlbAllocFolio(Hstate h, int nid, int allocFlags) {
    boolean useGlobalReservation = (allocFlags & HUGETLB_ALLOC_USE_GLOBAL_RESERVATIONS) != 0;
    lock.lock();
    Folio folio = null;
    if (useGlobalReservation || hugetlb.availableHugePages(h) != 0) {
      folio = hugetlb.dequeueHugetlbFolioNodemask(h, nid, null);
    }
    if (folio == null) {
      lock.unlock();
      folio = allocBuddyHugetlbFolio(h, hugetlb.htlbAllocMask(h), nid);
      if (folio == null) {
        return Page.err(-Errno.ENOSPC);
      }
      lock.lock();
      lists.listAdd(mm.struct().lru(folio.page()), h.hugepageActivelist());
      mm.refs().pageRefUnfreeze(folio.page(), 1);
    }
    if (useGlobalReservation) {
      folios.set(folio, HugetlbPageFlag.HPG_RESTORE_RESERVE);
      h.addResvHugePages(-1);
    }
    lock.unlock();
    return folio.page();
  }

  /** Free pages on the nodes that the process may use, which are all. */
  @Kernel(file = "mm/hugetlb.c", symbol = "allowed_mems_nr")
  private int allowedMemsNr(Hstate h) {
    int nr = 0;
    for (int node : internal.nodeStatesMemory()) {
      nr += h.freeHugePagesNode[node];
    }
    return nr;
  }

  /**
   * {@code hugetlb_acct_memory()}: promises {@code delta} pages, or takes promises back.
   *
   * @return 0, or -ENOMEM with nothing promised
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_acct_memory")
  public int hugetlbAcctMemory(Hstate h, long delta) {
    if (delta == 0) {
      return 0;
    }
    lock.lock();
    int ret = 0;
    if (delta > 0) {
      ret = gatherSurplusPages(h, delta);
      if (ret == 0 && delta > allowedMemsNr(h)) {
        returnUnusedSurplusPages(h, delta);
        ret = -Errno.ENOMEM;
      }
    } else {
      returnUnusedSurplusPages(h, -delta);
    }
    lock.unlock();
    return ret;
  }
}
