// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.HugetlbHooks;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.OfflineHooks;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Lists;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/**
 * The part of mm/hugetlb.c that gets hugepages out of the way of somebody who needs their memory.
 *
 * <pre>
 *   free page      a new one takes its place in the pool, the old one goes to the page allocator
 *   page in use    taken off the active list with one more reference; its user is moved elsewhere
 *   gigantic       refused: making room for it would need the same search again
 * </pre>
 */
@Kernel(file = "mm/hugetlb.c", symbol = "isolate_or_dissolve_huge_folio")
public final class HugetlbMigrate implements HugetlbHooks, OfflineHooks {
  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final Lists lists;
  private final Hstates hstates;
  private final HugetlbFolios folios;
  private final Hugetlb hugetlb;
  private final HugetlbLock lock;

  /** Moves pages of the pools of {@code hugetlb}. */
  public HugetlbMigrate(
      Mm mm, PageAlloc pageAlloc, Hstates hstates, HugetlbFolios folios, Hugetlb hugetlb) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.lists = mm.lists();
    this.hstates = hstates;
    this.folios = folios;
    this.hugetlb = hugetlb;
    this.lock = hugetlb.hugetlbLock();
  }

  // ---------------------------------------------------------------- allocation

  /** A page for a moved user, beyond all limits; with one reference, freed when it is put. */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_migrate_hugetlb_folio")
  private @Nullable Folio allocMigrateHugetlbFolio(
      Hstate h, Gfp gfpMask, int nid, @Nullable Set<Integer> nmask) {
    if (h.isGigantic()) {
      return null;
    }
    Folio folio = hugetlb.allocFreshHugetlbFolio(h, gfpMask, nid, nmask);
    if (folio == null) {
      return null;
    }
    lock.lock();
    hugetlb.accountNewHugetlbFolio(h, folio);
    lock.unlock();
    mm.refs().pageRefUnfreeze(folio.page(), 1);
    folios.set(folio, HugetlbPageFlag.HPG_TEMPORARY);
    return folio;
  }

  /**
   * {@code alloc_hugetlb_folio_reserve()}: a page that was promised to a caller without a mapping.
   *
   * @return null when nothing is promised, or no page is free on the nodes
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_hugetlb_folio_reserve")
  public @Nullable Folio allocHugetlbFolioReserve(
      Hstate h, int preferredNid, @Nullable Set<Integer> nmask) {
    lock.lock();
    if (h.resvHugePages == 0) {
      lock.unlock();
      return null;
    }
    Folio folio = hugetlb.dequeueHugetlbFolioNodemask(h, preferredNid, nmask);
    if (folio != null) {
      h.addResvHugePages(-1);
    }
    lock.unlock();
    return folio;
  }

  /**
   * {@code alloc_hugetlb_folio_nodemask()}: a page for a moved user, from the pool or else beyond
   * it; the latter from exactly {@code preferredNid} unless {@code allowAllocFallback}.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_hugetlb_folio_nodemask")
  public @Nullable Folio allocHugetlbFolioNodemask(
      Hstate h,
      int preferredNid,
      @Nullable Set<Integer> nmask,
      Gfp gfpMask,
      boolean allowAllocFallback) {
    lock.lock();
    if (hugetlb.availableHugePages(h) != 0) {
      Folio folio = hugetlb.dequeueHugetlbFolioNodemask(h, preferredNid, nmask);
      if (folio != null) {
        lock.unlock();
        return folio;
      }
    }
    lock.unlock();
    Gfp gfp = allowAllocFallback ? gfpMask : gfpMask.or(Gfp.THISNODE);
    return allocMigrateHugetlbFolio(h, gfp, preferredNid, nmask);
  }

  // ---------------------------------------------------------------- out of the way

  /**
   * Replaces a free hugepage by a new one of its node, or takes one that got a user meanwhile off
   * the active list. The memmap of the old page is restored when the new one is in the pool
   * already; that this failed is not reported, the old page stays as surplus.
   *
   * @return 0, -EBUSY for a page in use that cannot be moved, -ENOMEM without a new page
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_and_dissolve_hugetlb_folio")
  private int allocAndDissolveHugetlbFolio(Folio oldFolio, ListHead list) {
    int nid = mm.inline().folioNid(oldFolio);
    Hstate h = null;
    Folio newFolio = null;
    while (true) {
      lock.lock();
      if (!folios.folioTestHugetlb(oldFolio)) {
        return freeNew(h, newFolio, 0);
      }
      if (mm.refs().folioRefCount(oldFolio) != 0) {
        lock.unlock();
        int ret = folioIsolateHugetlb(oldFolio, list) ? 0 : -Errno.EBUSY;
        lock.lock();
        return freeNew(h, newFolio, ret);
      }
      if (!folios.test(oldFolio, HugetlbPageFlag.HPG_FREED)) {
        lock.unlock();
        mm.condResched(oldFolio.va());
        continue;
      }
      h = hstates.folioHstate(oldFolio);
      if (newFolio != null) {
        replaceLocked(h, oldFolio, newFolio);
        return 0;
      }
      lock.unlock();
      Gfp gfp = hugetlb.htlbAllocMask(h).or(Gfp.THISNODE);
      newFolio = hugetlb.allocFreshHugetlbFolio(h, gfp, nid, null);
      if (newFolio == null) {
        return -Errno.ENOMEM;
      }
    }
  }

  /** Under one hold of the lock, so that nobody sees the pool a page short. Leaves the lock. */
  private void replaceLocked(Hstate h, Folio oldFolio, Folio newFolio) {
    hugetlb.removeHugetlbFolio(h, oldFolio, false);
    hugetlb.accountNewHugetlbFolio(h, newFolio);
    hugetlb.enqueueHugetlbFolio(h, newFolio);
    lock.unlock();
    hugetlb.updateAndFreeHugetlbFolio(h, oldFolio, false);
  }

  /** The exit of alloc_and_dissolve_hugetlb_folio() that needs no new page. Leaves the lock. */
  private int freeNew(@Nullable Hstate h, @Nullable Folio newFolio, int ret) {
    lock.unlock();
    if (h != null && newFolio != null) {
      hugetlb.updateAndFreeHugetlbFolio(h, newFolio, false);
    }
    return ret;
  }

  /**
   * {@code isolate_or_dissolve_huge_folio()}: one hugepage that lies in the way.
   *
   * @param list gets the page when it is in use
   * @return 0, also for what is no hugepage; -ENOMEM for a gigantic page or without memory; -EBUSY
   *     for a page in use that cannot be moved
   */
  @Override
  @Kernel(file = "mm/hugetlb.c", symbol = "isolate_or_dissolve_huge_folio")
  public int isolateOrDissolveHugeFolio(Folio folio, ListHead list) {
    if (!folios.folioTestHugetlb(folio)) {
      return 0;
    }
    if (orderIsGigantic(mm.inline().folioOrder(folio))) {
      return -Errno.ENOMEM;
    }
    if (mm.refs().folioRefCount(folio) != 0 && folioIsolateHugetlb(folio, list)) {
      return 0;
    }
    return mm.refs().folioRefCount(folio) == 0
        ? allocAndDissolveHugetlbFolio(folio, list)
        : -Errno.EBUSY;
  }

  private boolean orderIsGigantic(int order) {
    return order > mm.config().maxPageOrder();
  }

  /**
   * {@code replace_free_hugepage_folios()}: replaces all free hugepages that touch the pfns {@code
   * [startPfn, endPfn)}. Stops at the first error; what was replaced before it stays so.
   *
   * @return 0, or -ENOMEM for a free gigantic page or without memory, or -EBUSY
   */
  @Override
  @Kernel(file = "mm/hugetlb.c", symbol = "replace_free_hugepage_folios")
  public int replaceFreeHugepageFolios(long startPfn, long endPfn) {
    if (hstates.all().stream().noneMatch(h -> !h.isGigantic() && h.freeHugePages != 0)) {
      return 0;
    }
    ListHead list = lists.localHead();
    int ret = 0;
    for (long pfn = startPfn; pfn < endPfn && ret == 0; ) {
      long single = pageAlloc.singlePages(pfn, endPfn);
      if (single > 0) {
        pfn += single;
        continue;
      }
      Page page = mm.model().pfnToPage(pfn);
      long nr = 1;
      if (mm.flags().pageCompound(page)) {
        Folio folio = mm.flags().pageFolio(page);
        nr = mm.inline().folioNrPages(folio) - (pfn - folios.folioPfn(folio));
        ret = replaceFree(folio, list);
      } else if (mm.flags().pageBuddy(page)) {
        int order = (int) mm.struct().priv(page);
        nr = order <= mm.config().maxPageOrder() ? 1L << order : 1;
      }
      pfn += nr;
    }
    lists.release(list);
    return ret;
  }

  @Override
  public void waitForFreedHugetlbFolios() {
    hugetlb.waitForFreedHugetlbFolios();
  }

  /** The loop body of replace_free_hugepage_folios() for a compound page. */
  private int replaceFree(Folio folio, ListHead list) {
    if (!folios.folioTestHugetlb(folio) || mm.refs().folioRefCount(folio) != 0) {
      return 0;
    }
    if (orderIsGigantic(mm.inline().folioOrder(folio))) {
      return -Errno.ENOMEM;
    }
    int ret = allocAndDissolveHugetlbFolio(folio, list);
    if (ret == 0) {
      putbackMovablePages(list);
    }
    return ret;
  }

  /** {@code putback_movable_pages()}: what is on such a list is a hugepage. */
  @Kernel(file = "mm/migrate.c", symbol = "putback_movable_pages")
  void putbackMovablePages(ListHead list) {
    for (ListHead at = lists.first(list), next; !at.equals(list); at = next) {
      next = lists.next(at);
      folioPutbackHugetlb(new Folio(mm.struct().ofLru(at)));
    }
  }

  @Override
  public int dissolveFreeHugetlbFolios(long startPfn, long endPfn) {
    return hugetlb.dissolveFreeHugetlbFolios(startPfn, endPfn);
  }

  // ---------------------------------------------------------------- pages in use

  @Override
  @Kernel(file = "include/linux/hugetlb.h", symbol = "folio_test_hugetlb_migratable")
  public boolean folioTestHugetlbMigratable(Folio folio) {
    return folios.test(folio, HugetlbPageFlag.HPG_MIGRATABLE);
  }

  /**
   * {@code folio_isolate_hugetlb()}: takes a page in use off the active list, with one more
   * reference. False for a page that may not be moved, or is already.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "folio_isolate_hugetlb")
  public boolean folioIsolateHugetlb(Folio folio, ListHead list) {
    lock.lock();
    boolean ret =
        folios.folioTestHugetlb(folio)
            && folios.test(folio, HugetlbPageFlag.HPG_MIGRATABLE)
            && mm.refs().folioRefCount(folio) != 0;
    if (ret) {
      mm.refs().pageRefAdd(folio.page(), 1);
      folios.clear(folio, HugetlbPageFlag.HPG_MIGRATABLE);
      lists.listMoveTail(mm.struct().lru(folio.page()), list);
    }
    lock.unlock();
    return ret;
  }

  /** {@code folio_putback_hugetlb()}: undoes {@link #folioIsolateHugetlb}. */
  @Kernel(file = "mm/hugetlb.c", symbol = "folio_putback_hugetlb")
  public void folioPutbackHugetlb(Folio folio) {
    lock.lock();
    folios.set(folio, HugetlbPageFlag.HPG_MIGRATABLE);
    lists.listMoveTail(
        mm.struct().lru(folio.page()), hstates.folioHstate(folio).hugepageActivelist());
    lock.unlock();
    if (mm.refs().putPageTestzero(folio.page())) {
      hugetlb.freeHugeFolio(folio);
    }
  }

  /**
   * {@code move_hugetlb_state()}: the new page becomes what the old one was in the pool, and the
   * old one, if the new one was temporary, leaves in its place. Both are of the same size.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "move_hugetlb_state")
  void moveHugetlbState(Folio oldFolio, Folio newFolio) {
    Hstate h = hstates.folioHstate(oldFolio);
    if (folios.test(newFolio, HugetlbPageFlag.HPG_TEMPORARY)) {
      int oldNid = mm.inline().folioNid(oldFolio);
      int newNid = mm.inline().folioNid(newFolio);
      folios.set(oldFolio, HugetlbPageFlag.HPG_TEMPORARY);
      folios.clear(newFolio, HugetlbPageFlag.HPG_TEMPORARY);
      if (newNid != oldNid) {
        lock.lock();
        if (h.surplusHugePagesNode[oldNid] != 0) {
          h.addSurplusHugePagesNode(oldNid, -1);
          h.addSurplusHugePagesNode(newNid, 1);
        }
        lock.unlock();
      }
    }
    lock.lock();
    folios.set(newFolio, HugetlbPageFlag.HPG_MIGRATABLE);
    lists.listMoveTail(mm.struct().lru(newFolio.page()), h.hugepageActivelist());
    lock.unlock();
  }
}
