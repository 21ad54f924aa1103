// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.Map;
import java.util.NavigableSet;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Lists;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * The pool of hugepages at run time: how a folio gets into it, waits, is handed out, comes back and
 * leaves. This is the middle part of mm/hugetlb.c; {@link HugetlbParams}, {@link HugetlbBootmem},
 * {@link HugetlbResize} and {@link HugetlbReserve} are the others.
 *
 * <pre>
 *                   alloc, optimise                 dequeue
 *   page allocator ----------------> free list ----------------> active list
 *                  <----------------           <----------------
 *                   restore, free                free_huge_folio
 * </pre>
 *
 * A folio outside the active list is frozen (reference count 0), so nobody can take hold of it by
 * its pfn. A folio leaves the pool's counters first and is restored then; if there is no memory to
 * restore its memmap, it goes back into the pool as a surplus page.
 */
@Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_lock")
public final class Hugetlb {
  private static final int PG_ANON_EXCLUSIVE = PageFlags.PG_OWNER_2;

  private final Mm mm;
  private final Lists lists;
  private final PageAlloc pageAlloc;
  private final HugetlbArch arch;
  private final HugetlbCma cma;
  private final Hstates hstates;
  private final HugetlbFolios folios;
  private final HugetlbInternal internal;
  private final HugetlbVmemmap vmemmap;
  private final HugetlbLock hugetlbLock;

  /** {@code hpage_freelist}: address of the first mapping word on the list, 0 for none. */
  private long hpageFreelist;

  private boolean freeHpageWorkPending;

  /** Makes the pools of {@code hstates}, which share one lock. */
  public Hugetlb(
      Mm mm,
      PageAlloc pageAlloc,
      HugetlbArch arch,
      HugetlbCma cma,
      Hstates hstates,
      HugetlbFolios folios,
      HugetlbInternal internal,
      HugetlbVmemmap vmemmap) {
    this.mm = mm;
    this.lists = mm.lists();
    this.pageAlloc = pageAlloc;
    this.arch = arch;
    this.cma = cma;
    this.hstates = hstates;
    this.folios = folios;
    this.internal = internal;
    this.vmemmap = vmemmap;
    this.hugetlbLock = new HugetlbLock(mm);
  }

  /** {@code hugetlb_lock}. */
  public HugetlbLock hugetlbLock() {
    return hugetlbLock;
  }

  // ---------------------------------------------------------------- free lists

  /** Puts a frozen folio on its node's free list. Holds hugetlb_lock. */
  @Kernel(file = "mm/hugetlb.c", symbol = "enqueue_hugetlb_folio")
  void enqueueHugetlbFolio(Hstate h, Folio folio) {
    int nid = mm.inline().folioNid(folio);
    hugetlbLock.assertHeld("enqueue_hugetlb_folio");
    mm.printk()
        .vmBugOn(
            mm.refs().folioRefCount(folio) != 0, "enqueue_hugetlb_folio: folio_ref_count(folio)");
    lists.listMove(lru(folio), h.hugepageFreelists(nid));
    h.addFreeHugePages(nid, 1);
    folios.set(folio, HugetlbPageFlag.HPG_FREED);
  }

  /** Takes a folio off the node's free list and gives it one reference. Null when there is none. */
  @Kernel(file = "mm/hugetlb.c", symbol = "dequeue_hugetlb_folio_node_exact")
  private @Nullable Folio dequeueHugetlbFolioNodeExact(Hstate h, int nid) {
    hugetlbLock.assertHeld("dequeue_hugetlb_folio_node_exact");
    ListHead list = h.hugepageFreelists(nid);
    for (ListHead at = lists.first(list); !at.equals(list); at = lists.next(at)) {
      Folio folio = ofLru(at);
      if (mm.flags().test(folio.page(), PageFlags.PG_HWPOISON)) {
        continue;
      }
      long pfn = folios.folioPfn(folio);
      if (pageAlloc.getPfnblockMigratetype(folio.page(), pfn) == Migratetype.MIGRATE_ISOLATE) {
        continue;
      }
      lists.listMove(at, h.hugepageActivelist());
      mm.refs().pageRefUnfreeze(folio.page(), 1);
      folios.clear(folio, HugetlbPageFlag.HPG_FREED);
      h.addFreeHugePages(nid, -1);
      return folio;
    }
    return null;
  }

  /** The same from the nearest node of the mask that has one. Holds hugetlb_lock. */
  @Kernel(
      file = "mm/hugetlb.c",
      symbol = "dequeue_hugetlb_folio_nodemask",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Goes over nodes, not over zones of a zonelist, which comes to the same: the pool has"
          + " one list for a node. No cpusets.")
  @Nullable Folio dequeueHugetlbFolioNodemask(Hstate h, int nid, @Nullable Set<Integer> nmask) {
    int home = nid == HugetlbInternal.NUMA_NO_NODE ? internal.numaMemId() : nid;
    NavigableSet<Integer> nodes = internal.nodeStatesMemory();
    // The fallback order of equally far nodes: the home node, those behind it, those before it.
    Set<Integer> order = new java.util.LinkedHashSet<>(nodes.tailSet(home));
    order.addAll(nodes);
    for (int node : order) {
      Folio folio =
          nmask == null || nmask.contains(node) ? dequeueHugetlbFolioNodeExact(h, node) : null;
      if (folio != null) {
        return folio;
      }
    }
    return null;
  }

  /** Free pages that nobody has been promised. */
  @Kernel(file = "mm/hugetlb.c", symbol = "available_huge_pages")
  public long availableHugePages(Hstate h) {
    return h.freeHugePages - h.resvHugePages;
  }

  /**
   * A gigantic page, frozen: from a CMA area, or else a run of pages that the page allocator clears
   * of all users. Null when there is none, or when only CMA may serve.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_gigantic_frozen_folio")
  private @Nullable Folio allocGiganticFrozenFolio(
      int order, Gfp gfpMask, int nid, @Nullable Set<Integer> nodemask) {
    Folio folio = cma.hugetlbCmaAllocFrozenFolio(order, gfpMask, nid, nodemask);
    if (folio != null) {
      return folio;
    }
    if (cma.hugetlbCmaExclusiveAlloc()) {
      return null;
    }
    Page page = pageAlloc.allocContigFrozenPages(1L << order, gfpMask, nid, nodemask);
    return page == null ? null : new Folio(page);
  }

  // ---------------------------------------------------------------- leaving the pool

  /**
   * Takes the folio off its list and out of the counters. It stays a HugeTLB folio while its
   * memmap is optimised, so that nobody writes to its tails. Holds hugetlb_lock.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "remove_hugetlb_folio")
  public void removeHugetlbFolio(Hstate h, Folio folio, boolean adjustSurplus) {
    int nid = mm.inline().folioNid(folio);
    if (mm.config().debugVm()) {
      mm.printk()
          .vmBugOn(
              folios.hugetlbCgroupFromFolio(folio) != 0,
              "remove_hugetlb_folio: hugetlb_cgroup_from_folio(folio)");
      mm.printk()
          .vmBugOn(
              folios.hugetlbCgroupFromFolioRsvd(folio) != 0,
              "remove_hugetlb_folio: hugetlb_cgroup_from_folio_rsvd(folio)");
    }
    hugetlbLock.assertHeld("remove_hugetlb_folio");
    if (internal.hstateIsGiganticNoRuntime(h)) {
      return;
    }
    lists.listDel(lru(folio));
    if (folios.test(folio, HugetlbPageFlag.HPG_FREED)) {
      folios.clear(folio, HugetlbPageFlag.HPG_FREED);
      h.addFreeHugePages(nid, -1);
    }
    if (adjustSurplus) {
      h.addSurplusHugePages(nid, -1);
    }
    if (!folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED)) {
      folios.folioClearHugetlb(folio);
    }
    h.addNrHugePages(nid, -1);
  }

  /** Puts a folio back that could not be restored. Holds hugetlb_lock. */
  @Kernel(file = "mm/hugetlb.c", symbol = "add_hugetlb_folio")
  public void addHugetlbFolio(Hstate h, Folio folio, boolean adjustSurplus) {
    int nid = mm.inline().folioNid(folio);
    mm.printk()
        .vmBugOn(
            !folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED),
            "add_hugetlb_folio: !folio_test_hugetlb_vmemmap_optimized(folio)");
    hugetlbLock.assertHeld("add_hugetlb_folio");
    lists.initListHead(lru(folio));
    h.addNrHugePages(nid, 1);
    if (adjustSurplus) {
      h.addSurplusHugePages(nid, 1);
    }
    folios.folioSetHugetlb(folio);
    // All flags go, and the one that brought the folio here is set again.
    mm.struct().setPriv(folio.page(), 0);
    folios.set(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    arch.archClearHugetlbFlags(folio);
    enqueueHugetlbFolio(h, folio);
  }

  /** Restores the memmap of a removed folio and frees it, or puts it back as surplus. */
  @Kernel(file = "mm/hugetlb.c", symbol = "__update_and_free_hugetlb_folio")
  private void updateAndFreeHugetlbFolio0(Hstate h, Folio folio) {
    boolean clearFlag = folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    if (internal.hstateIsGiganticNoRuntime(h)) {
      return;
    }
    // Which of its pages is broken is not known: the folio is lost on purpose.
    if (folios.test(folio, HugetlbPageFlag.HPG_RAW_HWP_UNRELIABLE)) {
      return;
    }
    if (clearFlag && vmemmap.hugetlbVmemmapRestoreFolio(h, folio) != 0) {
      hugetlbLock.lock();
      addHugetlbFolio(h, folio, true);
      hugetlbLock.unlock();
      return;
    }
    if (folios.folioTestHugetlb(folio)) {
      hugetlbLock.lock();
      folios.folioClearHugetlb(folio);
      hugetlbLock.unlock();
    }
    if (mm.flags().test(folio.page(), PageFlags.PG_HWPOISON)) {
      folioClearHugetlbHwpoison(folio);
    }
    mm.printk()
        .vmBugOn(
            mm.refs().folioRefCount(folio) != 0,
            "__update_and_free_hugetlb_folio: folio_ref_count(folio)");
    if (folios.test(folio, HugetlbPageFlag.HPG_CMA)) {
      cma.hugetlbCmaFreeFrozenFolio(folio);
    } else {
      pageAlloc.freeFrozenPages(folio.page(), mm.inline().folioOrder(folio));
    }
  }

  @Kernel(
      file = "mm/memory-failure.c",
      symbol = "folio_clear_hugetlb_hwpoison",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "No memory failure is ever recorded, so there is no list of broken pages to move.")
  private void folioClearHugetlbHwpoison(Folio folio) {
    if (folios.test(folio, HugetlbPageFlag.HPG_RAW_HWP_UNRELIABLE)
        || folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED)) {
      return;
    }
    mm.flags().clear(folio.page(), PageFlags.PG_HWPOISON);
  }

  /** The work item: frees the folios that a caller without the right to sleep has left. */
  @Kernel(file = "mm/hugetlb.c", symbol = "free_hpage_workfn")
  private void freeHpageWorkfn() {
    long node = hpageFreelist;
    hpageFreelist = 0;
    while (node != 0) {
      Folio folio = new Folio(new Page(node - StructPage.MAPPING));
      node = mm.machine().cpu().readLong(node);
      mm.struct().setMapping(folio.page(), 0);
      // The type may be gone by now, so the size tells the pool.
      Hstate h = Objects.requireNonNull(hstates.sizeToHstate(folios.folioSize(folio)));
      updateAndFreeHugetlbFolio0(h, folio);
    }
  }

  /** Waits for the worker. Without optimisation nobody leaves it any work. */
  @Kernel(file = "mm/hugetlb.c", symbol = "flush_free_hpage_work")
  void flushFreeHpageWork(Hstate h) {
    if (vmemmap.hugetlbVmemmapOptimizable(h)) {
      runFreeHpageWork();
    }
  }

  /**
   * Lets the worker run if it has been woken, as it would soon after. Whoever calls into the pool
   * from outside does this when its own work is done.
   */
  public void runFreeHpageWork() {
    if (freeHpageWorkPending) {
      freeHpageWorkPending = false;
      freeHpageWorkfn();
    }
  }

  /** Frees a removed folio; {@code atomic} callers cannot wait for memory: it is done later. */
  @Kernel(file = "mm/hugetlb.c", symbol = "update_and_free_hugetlb_folio")
  void updateAndFreeHugetlbFolio(Hstate h, Folio folio, boolean atomic) {
    if (!folios.test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED) || !atomic) {
      updateAndFreeHugetlbFolio0(h, folio);
      return;
    }
    boolean wasEmpty = hpageFreelist == 0;
    mm.struct().setMapping(folio.page(), hpageFreelist);
    hpageFreelist = folio.va() + StructPage.MAPPING;
    if (wasEmpty) {
      mm.machine().yields().at("schedule_work free_hpage_work", folio.va());
      freeHpageWorkPending = true;
    }
  }

  /** Makes some progress after a bulk restore ran out of memory. */
  @Kernel(file = "mm/hugetlb.c", symbol = "bulk_vmemmap_restore_error")
  private void bulkVmemmapRestoreError(Hstate h, ListHead folioList, ListHead nonHvoFolios) {
    if (!lists.listEmpty(nonHvoFolios)) {
      // What was restored can be freed now, and gives memory for the others.
      for (ListHead at = lists.first(nonHvoFolios), next; !at.equals(nonHvoFolios); at = next) {
        next = lists.next(at);
        freeRestored(h, ofLru(at));
      }
      return;
    }
    // Nothing to free: one by one, until one works. The others become surplus pages.
    for (ListHead at = lists.first(folioList), next; !at.equals(folioList); at = next) {
      next = lists.next(at);
      Folio folio = ofLru(at);
      if (vmemmap.hugetlbVmemmapRestoreFolio(h, folio) == 0) {
        freeRestored(h, folio);
        break;
      }
      lists.listDel(at);
      hugetlbLock.lock();
      addHugetlbFolio(h, folio, true);
      hugetlbLock.unlock();
    }
  }

  /** Frees a folio whose memmap has come back: it stops being a HugeTLB folio first. */
  private void freeRestored(Hstate h, Folio folio) {
    lists.listDel(lru(folio));
    hugetlbLock.lock();
    folios.folioClearHugetlb(folio);
    hugetlbLock.unlock();
    updateAndFreeHugetlbFolio(h, folio, false);
    mm.condResched(folio.va());
  }

  /** Restores and frees all removed folios of the list; what cannot be restored is surplus. */
  @Kernel(file = "mm/hugetlb.c", symbol = "update_and_free_pages_bulk")
  void updateAndFreePagesBulk(Hstate h, ListHead folioList) {
    ListHead nonHvoFolios = lists.localHead();
    long ret = vmemmap.hugetlbVmemmapRestoreFolios(h, folioList, nonHvoFolios);
    while (ret < 0) {
      bulkVmemmapRestoreError(h, folioList, nonHvoFolios);
      ret = vmemmap.hugetlbVmemmapRestoreFolios(h, folioList, nonHvoFolios);
    }
    vmWarnOn(!lists.listEmpty(folioList), "update_and_free_pages_bulk: !list_empty(folio_list)");
    vmWarnOn(ret < 0, "update_and_free_pages_bulk: ret < 0");
    if (!lists.listEmpty(nonHvoFolios) && ret != 0) {
      hugetlbLock.lock();
      for (ListHead at = lists.first(nonHvoFolios); !at.equals(nonHvoFolios); at = lists.next(at)) {
        folios.folioClearHugetlb(ofLru(at));
      }
      hugetlbLock.unlock();
    }
    for (ListHead at = lists.first(nonHvoFolios), next; !at.equals(nonHvoFolios); at = next) {
      next = lists.next(at);
      Folio folio = ofLru(at);
      updateAndFreeHugetlbFolio(h, folio, false);
      mm.condResched(folio.va());
    }
    lists.release(nonHvoFolios);
  }

  /** {@code VM_WARN_ON}. */
  private void vmWarnOn(boolean condition, String where) {
    if (mm.config().debugVm()) {
      mm.printk().warnOn(condition, where);
    }
  }

  /** {@code free_huge_folio()}: the last reference to a folio in use is gone. */
  @Kernel(file = "mm/hugetlb.c", symbol = "free_huge_folio")
  public void freeHugeFolio(Folio folio) {
    Hstate h = hstates.folioHstate(folio);
    int nid = mm.inline().folioNid(folio);
    mm.printk()
        .vmBugOn(mm.refs().folioRefCount(folio) != 0, "free_huge_folio: folio_ref_count(folio)");
    mm.printk().vmBugOn(folios.folioMapcount(folio) != 0, "free_huge_folio: folio_mapcount(folio)");

    folios.hugetlbSetFolioSubpool(folio, 0);
    if (folios.folioTestAnon(folio)) {
      mm.flags().clear(folio.page(), PG_ANON_EXCLUSIVE);
    }
    mm.struct().setMapping(folio.page(), 0);
    boolean restoreReserve = folios.test(folio, HugetlbPageFlag.HPG_RESTORE_RESERVE);
    folios.clear(folio, HugetlbPageFlag.HPG_RESTORE_RESERVE);

    hugetlbLock.lock();
    folios.clear(folio, HugetlbPageFlag.HPG_MIGRATABLE);
    folios.setHugetlbCgroup(folio, 0);
    folios.setHugetlbCgroupRsvd(folio, 0);
    if (restoreReserve) {
      h.addResvHugePages(1);
    }
    if (folios.test(folio, HugetlbPageFlag.HPG_TEMPORARY)) {
      removeHugetlbFolio(h, folio, false);
      hugetlbLock.unlock();
      updateAndFreeHugetlbFolio(h, folio, true);
    } else if (h.surplusHugePagesNode[nid] != 0) {
      removeHugetlbFolio(h, folio, true);
      hugetlbLock.unlock();
      updateAndFreeHugetlbFolio(h, folio, true);
    } else {
      arch.archClearHugetlbFlags(folio);
      enqueueHugetlbFolio(h, folio);
      hugetlbLock.unlock();
    }
  }

  // ---------------------------------------------------------------- coming into the pool

  /** Counts a folio that is new in the pool. Holds hugetlb_lock. */
  @Kernel(file = "mm/hugetlb.c", symbol = "account_new_hugetlb_folio")
  void accountNewHugetlbFolio(Hstate h, Folio folio) {
    hugetlbLock.assertHeld("account_new_hugetlb_folio");
    h.addNrHugePages(mm.inline().folioNid(folio), 1);
  }

  /** {@code init_new_hugetlb_folio()}: makes a compound page a HugeTLB folio. */
  @Kernel(file = "mm/hugetlb.c", symbol = "init_new_hugetlb_folio")
  public void initNewHugetlbFolio(Folio folio) {
    folios.folioSetHugetlb(folio);
    lists.initListHead(lru(folio));
    folios.hugetlbSetFolioSubpool(folio, 0);
    folios.setHugetlbCgroup(folio, 0);
    folios.setHugetlbCgroupRsvd(folio, 0);
  }

  /**
   * A block from the page allocator, frozen. {@code nodeAllocNoretry} remembers the nodes that had
   * none in spite of a serious effort, so that a loop over many pages does not repeat it.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_buddy_frozen_folio")
  private @Nullable Folio allocBuddyFrozenFolio(
      int order,
      Gfp gfpMask,
      int nid,
      @Nullable Set<Integer> nmask,
      @Nullable Set<Integer> nodeAllocNoretry) {
    boolean allocTryHard = nodeAllocNoretry == null || !nodeAllocNoretry.contains(nid);
    Gfp gfp = allocTryHard ? gfpMask.or(Gfp.RETRY_MAYFAIL) : gfpMask;
    Page page = pageAlloc.allocFrozenPages(gfp, order, nid, nmask, "alloc_buddy_frozen_folio");
    // Success without effort: something has changed, so an effort may pay again.
    if (nodeAllocNoretry != null && page != null && !allocTryHard) {
      nodeAllocNoretry.remove(nid);
    }
    if (nodeAllocNoretry != null && page == null && allocTryHard) {
      nodeAllocNoretry.add(nid);
    }
    return page == null ? null : new Folio(page);
  }

  /** A new folio for the pool, not optimised and not counted yet; null when there is no memory. */
  @Kernel(file = "mm/hugetlb.c", symbol = "only_alloc_fresh_hugetlb_folio")
  @Nullable Folio onlyAllocFreshHugetlbFolio(
      Hstate h,
      Gfp gfpMask,
      int nid,
      @Nullable Set<Integer> nmask,
      @Nullable Set<Integer> nodeAllocNoretry) {
    int order = h.hugePageOrder();
    int node = nid == HugetlbInternal.NUMA_NO_NODE ? internal.numaMemId() : nid;
    Folio folio =
        h.isGigantic()
            ? allocGiganticFrozenFolio(order, gfpMask, node, nmask)
            : allocBuddyFrozenFolio(order, gfpMask, node, nmask, nodeAllocNoretry);
    if (folio != null) {
      mm.own(folios.folioPfn(folio), h.pagesPerHugePage(), Owner.HUGEPAGE);
      initNewHugetlbFolio(folio);
    }
    return folio;
  }

  /** The same, optimised. */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_fresh_hugetlb_folio")
  @Nullable Folio allocFreshHugetlbFolio(
      Hstate h, Gfp gfpMask, int nid, @Nullable Set<Integer> nmask) {
    Folio folio = onlyAllocFreshHugetlbFolio(h, gfpMask, nid, nmask, null);
    if (folio != null) {
      vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    }
    return folio;
  }

  /** {@code prep_and_add_allocated_folios()}: optimises new folios and puts them on free lists. */
  @Kernel(file = "mm/hugetlb.c", symbol = "prep_and_add_allocated_folios")
  public void prepAndAddAllocatedFolios(Hstate h, ListHead folioList) {
    vmemmap.hugetlbVmemmapOptimizeFolios(h, folioList);
    hugetlbLock.lock();
    for (ListHead at = lists.first(folioList), next; !at.equals(folioList); at = next) {
      next = lists.next(at);
      accountNewHugetlbFolio(h, ofLru(at));
      enqueueHugetlbFolio(h, ofLru(at));
    }
    hugetlbLock.unlock();
  }

  /** {@code htlb_alloc_mask()}: pages that can be moved may lie in the movable zone. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "htlb_alloc_mask")
  Gfp htlbAllocMask(Hstate h) {
    Gfp gfp = Gfp.COMPOUND.or(Gfp.NOWARN);
    return gfp.or(hugepageMovableSupported(h) ? Gfp.HIGHUSER_MOVABLE : Gfp.HIGHUSER);
  }

  /** {@code vm.movable_gigantic_pages} is 0: gigantic pages are no good in a movable zone. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "hugepage_movable_supported")
  private boolean hugepageMovableSupported(Hstate h) {
    return arch.archHugetlbMigrationSupported(h.hugePageSize()) && !h.isGigantic();
  }

  /** A new folio from the node whose turn it is, or from the next that has one. */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_pool_huge_folio")
  @Nullable Folio allocPoolHugeFolio(
      Hstate h,
      NavigableSet<Integer> nodesAllowed,
      Set<Integer> nodeAllocNoretry,
      NextNode nextNode) {
    Gfp gfpMask = htlbAllocMask(h).or(Gfp.THISNODE);
    for (int nrNodes = nodesAllowed.size(); nrNodes > 0; nrNodes--) {
      int node = internal.hstateNextNodeToAlloc(nextNode, nodesAllowed);
      Folio folio = onlyAllocFreshHugetlbFolio(h, gfpMask, node, nodesAllowed, nodeAllocNoretry);
      if (folio != null) {
        return folio;
      }
    }
    return null;
  }

  /** Removes a free folio of the node whose turn it is, or of the next. Holds hugetlb_lock. */
  @Kernel(file = "mm/hugetlb.c", symbol = "remove_pool_hugetlb_folio")
  @Nullable Folio removePoolHugetlbFolio(
      Hstate h, NavigableSet<Integer> nodesAllowed, boolean acctSurplus) {
    hugetlbLock.assertHeld("remove_pool_hugetlb_folio");
    for (int nrNodes = nodesAllowed.size(); nrNodes > 0; nrNodes--) {
      int node = internal.hstateNextNodeToFree(h, nodesAllowed);
      ListHead list = h.hugepageFreelists(node);
      if ((!acctSurplus || h.surplusHugePagesNode[node] != 0) && !lists.listEmpty(list)) {
        Folio folio = ofLru(lists.first(list));
        removeHugetlbFolio(h, folio, acctSurplus);
        return folio;
      }
    }
    return null;
  }

  // ---------------------------------------------------------------- dissolve

  /**
   * {@code dissolve_free_hugetlb_folio()}: gives a free hugepage back to the page allocator.
   *
   * @return 0, also for what is no hugepage; -EBUSY for one in use or reserved; -ENOMEM when its
   *     memmap could not be restored
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "dissolve_free_hugetlb_folio")
  public int dissolveFreeHugetlbFolio(Folio folio) {
    while (true) {
      if (!folios.folioTestHugetlb(folio)) {
        return 0;
      }
      hugetlbLock.lock();
      if (!folios.folioTestHugetlb(folio)) {
        hugetlbLock.unlock();
        return 0;
      }
      if (mm.refs().folioRefCount(folio) != 0) {
        hugetlbLock.unlock();
        return -Errno.EBUSY;
      }
      Hstate h = hstates.folioHstate(folio);
      if (internal.hstateIsGiganticNoRuntime(h) || availableHugePages(h) == 0) {
        hugetlbLock.unlock();
        return -Errno.EBUSY;
      }
      if (folios.test(folio, HugetlbPageFlag.HPG_FREED)) {
        return dissolveLocked(h, folio);
      }
      // Frozen but on no list: somebody is about to put it on one.
      hugetlbLock.unlock();
      mm.condResched(folio.va());
    }
  }

  /** The part of dissolve_free_hugetlb_folio() that takes the folio out; leaves hugetlb_lock. */
  private int dissolveLocked(Hstate h, Folio folio) {
    boolean adjustSurplus = h.surplusHugePagesNode[mm.inline().folioNid(folio)] != 0;
    removeHugetlbFolio(h, folio, adjustSurplus);
    if (!adjustSurplus) {
      h.addMaxHugePages(-1);
    }
    hugetlbLock.unlock();
    int rc = 0;
    // Restored here and not on the way out, because only here the counters can be put right.
    if (folios.folioTestHugetlb(folio)) {
      rc = vmemmap.hugetlbVmemmapRestoreFolio(h, folio);
      if (rc != 0) {
        hugetlbLock.lock();
        addHugetlbFolio(h, folio, adjustSurplus);
        if (!adjustSurplus) {
          h.addMaxHugePages(1);
        }
        hugetlbLock.unlock();
        return rc;
      }
    }
    updateAndFreeHugetlbFolio(h, folio, false);
    return rc;
  }

  /**
   * {@code dissolve_free_hugetlb_folios()}: all free hugepages that touch the pfns
   * {@code [startPfn, endPfn)}. Stops at the first error; what was dissolved before it stays so.
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "dissolve_free_hugetlb_folios")
  public int dissolveFreeHugetlbFolios(long startPfn, long endPfn) {
    if (arch.hpageSize() == 0) {
      return 0;
    }
    int order = hstates.defaultHstate().hugePageOrder();
    for (Hstate h : hstates.all()) {
      order = Math.min(order, h.hugePageOrder());
    }
    for (long pfn = startPfn; pfn < endPfn; pfn += 1L << order) {
      int rc = dissolveFreeHugetlbFolio(mm.flags().pageFolio(mm.model().pfnToPage(pfn)));
      if (rc != 0) {
        return rc;
      }
    }
    return 0;
  }

  /** A new surplus page, if the limit allows one more. Frozen, on no list; null when refused. */
  @Kernel(file = "mm/hugetlb.c", symbol = "alloc_surplus_hugetlb_folio")
  @Nullable Folio allocSurplusHugetlbFolio(
      Hstate h, Gfp gfpMask, int nid, @Nullable Set<Integer> nmask) {
    if (internal.hstateIsGiganticNoRuntime(h)) {
      return null;
    }
    hugetlbLock.lock();
    boolean full = Long.compareUnsigned(h.surplusHugePages, h.nrOvercommitHugePages) >= 0;
    hugetlbLock.unlock();
    if (full) {
      return null;
    }
    Folio folio = allocFreshHugetlbFolio(h, gfpMask, nid, nmask);
    if (folio == null) {
      return null;
    }
    hugetlbLock.lock();
    accountNewHugetlbFolio(h, folio);
    // The limit may have been reached meanwhile. A temporary page is freed at once.
    if (Long.compareUnsigned(h.surplusHugePages, h.nrOvercommitHugePages) >= 0) {
      folios.set(folio, HugetlbPageFlag.HPG_TEMPORARY);
      hugetlbLock.unlock();
      freeHugeFolio(folio);
      return null;
    }
    h.addSurplusHugePages(mm.inline().folioNid(folio), 1);
    hugetlbLock.unlock();
    return folio;
  }

  /** {@code wait_for_freed_hugetlb_folios()}. */
  @Kernel(file = "mm/hugetlb.c", symbol = "wait_for_freed_hugetlb_folios")
  public void waitForFreedHugetlbFolios() {
    if (hpageFreelist != 0) {
      runFreeHpageWork();
    }
  }

  // ---------------------------------------------------------------- accounting

  /** {@code hugetlb_report_meminfo()}: the lines of /proc/meminfo. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_report_meminfo")
  public String hugetlbReportMeminfo() {
    StringBuilder m = new StringBuilder();
    if (arch.hpageSize() == 0) {
      return "";
    }
    long total = 0;
    for (Hstate h : hstates.all()) {
      total += h.hugePageSize() * h.nrHugePages;
      if (h.equals(hstates.defaultHstate())) {
        m.append(String.format("HugePages_Total:   %5d\n", h.nrHugePages));
        m.append(String.format("HugePages_Free:    %5d\n", h.freeHugePages));
        m.append(String.format("HugePages_Rsvd:    %5d\n", h.resvHugePages));
        m.append(String.format("HugePages_Surp:    %5d\n", h.surplusHugePages));
        m.append(String.format("Hugepagesize:   %8d kB\n", h.hugePageSize() / 1024));
      }
    }
    return m.append(String.format("Hugetlb:        %8d kB\n", total / 1024)).toString();
  }

  /** {@code hugetlb_report_node_meminfo()}: the lines of the node's meminfo file. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_report_node_meminfo")
  public String hugetlbReportNodeMeminfo(int nid) {
    if (arch.hpageSize() == 0) {
      return "";
    }
    Hstate h = hstates.defaultHstate();
    return String.format("Node %d HugePages_Total: %5d\n", nid, h.nrHugePagesNode[nid])
        + String.format("Node %d HugePages_Free:  %5d\n", nid, h.freeHugePagesNode[nid])
        + String.format("Node %d HugePages_Surp:  %5d\n", nid, h.surplusHugePagesNode[nid]);
  }

  /** {@code hugetlb_total_pages()}: base pages in all pools. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_total_pages")
  public long hugetlbTotalPages() {
    return hstates.all().stream().mapToLong(h -> h.nrHugePages * h.pagesPerHugePage()).sum();
  }

  // ---------------------------------------------------------------- for the bench

  /**
   * Not kernel code: puts the given free pages first on their lists, so that the next pages to be
   * removed or handed out are these. A captured machine's lists had an order that nobody recorded;
   * which pages were gone afterwards is known.
   *
   * @param size bytes of a hugepage, of a size that exists
   * @param pfns first pfns of the pages; those that are not free are left alone
   */
  public void preferForRemoval(long size, Set<Long> pfns) {
    Hstate h = Objects.requireNonNull(hstates.sizeToHstate(size), "no such size");
    for (int nid : internal.nodeOnlineMap()) {
      ListHead list = h.hugepageFreelists(nid);
      for (ListHead at = lists.first(list), next; !at.equals(list); at = next) {
        next = lists.next(at);
        if (pfns.contains(folios.folioPfn(ofLru(at)))) {
          lists.listMove(at, list);
        }
      }
    }
  }

  /**
   * Not kernel code: arranges the free lists so that, of the next {@code nrFolios} pages to be removed
   * from the pool, the given ones are removed last. A pool gets the memmap of its removed pages back
   * in the reverse order, so these are the ones that have theirs when memory runs out on the way.
   *
   * @param size bytes of a hugepage, of a size that exists
   * @param pfns first pfns of the pages; those that are not free are left alone
   * @param nrFolios pages that will be removed
   * @param nid the node that they are taken from, or -1 for one node after the other
   */
  public void preferForRestore(long size, Set<Long> pfns, long nrFolios, int nid) {
    preferForRemoval(size, pfns);
    Hstate h = Objects.requireNonNull(hstates.sizeToHstate(size), "no such size");
    NavigableSet<Integer> nodes =
        nid < 0 ? internal.nodeOnlineMap() : new TreeSet<>(Set.of(nid));
    Map<Integer, Long> taken = removalsByNode(h, nodes, nrFolios);
    for (int node : nodes) { // the named pages are first: turned round, they are last
      ListHead list = h.hugepageFreelists(node);
      ListHead at = lists.first(list);
      for (long left = taken.getOrDefault(node, 0L); left > 0; left--) {
        ListHead next = lists.next(at);
        lists.listMove(at, list);
        at = next;
      }
    }
  }

  /** How many pages remove_pool_hugetlb_folio() would take from each node. */
  private Map<Integer, Long> removalsByNode(Hstate h, NavigableSet<Integer> nodes, long nrFolios) {
    Map<Integer, Long> taken = new TreeMap<>();
    int node = internal.getValidNodeAllowed(h.nextNidToFree.nid, nodes);
    for (int empty = 0; nrFolios > 0 && empty < nodes.size(); ) {
      if (taken.getOrDefault(node, 0L) < h.freeHugePagesNode[node]) {
        taken.merge(node, 1L, Long::sum);
        nrFolios--;
        empty = 0;
      } else {
        empty++;
      }
      node = internal.nextNodeAllowed(node, nodes);
    }
    return taken;
  }

  private ListHead lru(Folio folio) {
    return mm.struct().lru(folio.page());
  }

  private Folio ofLru(ListHead at) {
    return new Folio(mm.struct().ofLru(at));
  }
}
