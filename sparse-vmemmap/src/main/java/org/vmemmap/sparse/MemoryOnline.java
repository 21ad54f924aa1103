// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.HashSet;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Ledger;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.MigrateReason;
import org.vmemmap.pagealloc.MigrationTarget;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.PageIsolation;
import org.vmemmap.pagealloc.PageMigration;
import org.vmemmap.types.Align;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The half of memory hotplug that puts added memory into use, and out of it.
 *
 * <pre>
 *   online_pages()    zone spans the range, struct pages say offline    move_pfn_range_to_zone()
 *                     notifiers may refuse                              MEM_GOING_ONLINE
 *                     pages are free, but isolated                      online_pages_range()
 *                     isolation ends: they can be allocated             undo_isolate_page_range()
 *   offline_pages()   isolate, move what is movable, until all is free  or a signal comes
 *                     off the free lists, out of the zone
 * </pre>
 *
 * <p>Callers hold device_hotplug_lock and mem_hotplug_lock. KASAN's shadow, kswapd and kcompactd,
 * the writeback limit and the shuffling of free lists are not modelled.
 */
@Kernel(file = "mm/memory_hotplug.c", symbol = "online_pages")
public final class MemoryOnline {
  /** Rounds of offlining without any progress after which the person who waits sends a signal. */
  private static final int PATIENCE = 5;

  /** DEFAULT_RATELIMIT_BURST: lines about pages that cannot be moved, for the whole run. */
  private static final int MIGRATE_RS_BURST = 10;

  /** Told before a node gets its first memory. */
  public static final int NODE_ADDING_FIRST_MEMORY = 1 << 0;

  /** Told when it has. */
  public static final int NODE_ADDED_FIRST_MEMORY = 1 << 1;

  /** Told when it did not. */
  public static final int NODE_CANCEL_ADDING_FIRST_MEMORY = 1 << 2;

  /** Told before a node loses its last memory. */
  public static final int NODE_REMOVING_LAST_MEMORY = 1 << 3;

  /** Told when it has. */
  public static final int NODE_REMOVED_LAST_MEMORY = 1 << 4;

  /** Told when it did not. */
  public static final int NODE_CANCEL_REMOVING_LAST_MEMORY = 1 << 5;

  /** {@code struct memory_notify}, in pages. */
  @Kernel(file = "include/linux/memory.h", symbol = "struct memory_notify")
  public record MemoryNotify(long startPfn, long nrPages) {}

  /** {@code struct node_notify}. */
  @Kernel(file = "include/linux/node.h", symbol = "struct node_notify")
  public record NodeNotify(int nid) {}

  private final Mm mm;
  private final Mmzone mmzone;
  private final PageAlloc pageAlloc;
  private final SparseVmemmap vmemmap;
  private final MemoryHotplug hotplug;
  private final IomemResource iomem;
  private final HotplugLocks locks;
  private final NotifierChain<MemoryNotify> memoryChain = new NotifierChain<>();
  private final NotifierChain<NodeNotify> nodeChain = new NotifierChain<>();
  private final Set<Integer> normalMemory = new HashSet<>();
  private final Set<Integer> memory = new HashSet<>();
  private OfflineHooks hooks = OfflineHooks.NONE;
  private BooleanSupplier signalPending = () -> false;
  private int migrateRsLines;

  MemoryOnline(
      Mm mm,
      PageAlloc pageAlloc,
      SparseVmemmap vmemmap,
      MemoryHotplug hotplug,
      IomemResource iomem,
      HotplugLocks locks) {
    this.mm = mm;
    this.mmzone = mm.mmzone();
    this.pageAlloc = pageAlloc;
    this.vmemmap = vmemmap;
    this.hotplug = hotplug;
    this.iomem = iomem;
    this.locks = locks;
  }

  /** Sets HugeTLB. */
  public void setHooks(OfflineHooks newHooks) {
    hooks = newHooks;
  }

  /** Sets when the task that offlines has a signal pending; asked once for each try. */
  public void setSignalPending(BooleanSupplier pending) {
    signalPending = pending;
  }

  /** Who hears of memory that comes and goes. */
  public NotifierChain<MemoryNotify> memoryChain() {
    return memoryChain;
  }

  /** Who hears of nodes that get their first memory or lose their last. */
  public NotifierChain<NodeNotify> nodeChain() {
    return nodeChain;
  }

  /** The nodes that have memory at boot. */
  void nodeStatesInit() {
    for (PgData pgdat : mm.nodes().online()) {
      if (pgdat.nodePresentPages != 0) {
        memory.add(pgdat.nodeId());
      }
      if (normalPages(pgdat) != 0) {
        normalMemory.add(pgdat.nodeId());
      }
    }
  }

  /** {@code node_states[N_MEMORY]}. */
  public Set<Integer> nodeStatesMemory() {
    return Set.copyOf(memory);
  }

  /** {@code node_states[N_NORMAL_MEMORY]}. */
  public Set<Integer> nodeStatesNormalMemory() {
    return Set.copyOf(normalMemory);
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "memory_notify")
  private int memoryNotify(int action, long startPfn, long nrPages) {
    return NotifierChain.notifierToErrno(
        memoryChain.call(action, new MemoryNotify(startPfn, nrPages)));
  }

  @Kernel(file = "drivers/base/node.c", symbol = "node_notify")
  private int nodeNotify(int action, int nid) {
    return NotifierChain.notifierToErrno(nodeChain.call(action, new NodeNotify(nid)));
  }

  // ---- online ----

  @Kernel(file = "mm/memory_hotplug.c", symbol = "online_pages_range")
  private void onlinePagesRange(long startPfn, long nrPages) {
    long endPfn = startPfn + nrPages;
    int max = mm.config().maxPageOrder();
    // The largest blocks that the alignment allows; behind a self-hosted memmap the first ones are
    // pageblocks.
    for (long pfn = startPfn; pfn < endPfn; ) {
      int order = pfn == 0 ? max : Math.min(max, Long.numberOfTrailingZeros(pfn));
      pageAlloc.freePagesCore(mm.model().pfnToPage(pfn), order, true);
      pfn += 1L << order;
    }
    vmemmap.onlineMemSections(startPfn, endPfn);
  }

  /** Adds to the present pages of the zone of {@code page}, its node and the group. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "adjust_present_page_count")
  void adjustPresentPageCount(Page page, @Nullable MemoryGroup group, long nrPages) {
    Zone zone = mm.inline().pageZone(page);
    if (mmzone.earlySection(mmzone.pfnToSection(mm.model().pageToPfn(page)))) {
      zone.presentEarlyPages =
          mm.machine().add("present_early_pages", zone.presentEarlyPages, nrPages);
    }
    zone.presentPages = mm.machine().add("present_pages", zone.presentPages, nrPages);
    PgData pgdat = mm.nodes().nodeData(zone.nid());
    pgdat.nodePresentPages =
        mm.machine().add("node_present_pages", pgdat.nodePresentPages, nrPages);
    if (group != null && zone.idx() == ZoneType.ZONE_MOVABLE) {
      group.presentMovablePages =
          mm.machine().add("present_movable_pages", group.presentMovablePages, nrPages);
    } else if (group != null) {
      group.presentKernelPages =
          mm.machine().add("present_kernel_pages", group.presentKernelPages, nrPages);
    }
  }

  /** Struct pages of a self-hosted memmap: unmovable, of the zone of the memory they describe. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mhp_init_memmap_on_memory")
  int mhpInitMemmapOnMemory(long pfn, long nrPages, Zone zone) {
    if (mm.mayFail("kasan_add_zero_shadow")) {
      return -Errno.ENOMEM;
    }
    hotplug.movePfnRangeToZone(zone, pfn, nrPages, null, Migratetype.MIGRATE_UNMOVABLE, false);
    for (long i = 0; i < nrPages; i++) {
      Page page = mm.model().pfnToPage(pfn + i);
      mm.flags().clearType(page, PageFlags.PGTY_OFFLINE);
      mm.flags().set(page, PageFlags.PG_VMEMMAP_SELF_HOSTED);
    }
    if (nrPages >= mmzone.pagesPerSection()) {
      vmemmap.onlineMemSections(pfn, Align.alignDown(pfn + nrPages, mmzone.pagesPerSection()));
    }
    return 0;
  }

  /** Takes them out of the zone again. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mhp_deinit_memmap_on_memory")
  void mhpDeinitMemmapOnMemory(long pfn, long nrPages) {
    if (nrPages >= mmzone.pagesPerSection()) {
      vmemmap.offlineMemSections(pfn, Align.alignDown(pfn + nrPages, mmzone.pagesPerSection()));
    }
    Zone zone = mm.inline().pageZone(mm.model().pfnToPage(pfn));
    hotplug.removePfnRangeFromZone(zone, pfn, nrPages);
  }

  /** In whole sections, but for the memmap of the block at its start, which is in pageblocks. */
  private boolean misaligned(long pfn, long nrPages, String func) {
    boolean wrong =
        nrPages == 0
            || !Align.isAligned(pfn, mmzone.pageblockNrPages())
            || !Align.isAligned(pfn + nrPages, mmzone.pagesPerSection());
    return mm.printk().warnOnOnce(wrong, func + ": !nr_pages || misaligned");
  }

  /**
   * Puts {@code nrPages} pages from {@code pfn} into {@code zone} and on its free lists.
   *
   * @return 0; -EINVAL for a range that is not in whole sections; what a notifier says, with all
   *     undone
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "online_pages")
  public int onlinePages(long pfn, long nrPages, Zone zone, @Nullable MemoryGroup group) {
    locks.needMemHotplug("online_pages");
    int nid = zone.nid();
    if (misaligned(pfn, nrPages, "online_pages")) {
      return -Errno.EINVAL;
    }
    hotplug.movePfnRangeToZone(zone, pfn, nrPages, null, Migratetype.MIGRATE_MOVABLE, true);
    boolean first = !memory.contains(nid);
    int ret = first ? nodeNotify(NODE_ADDING_FIRST_MEMORY, nid) : 0;
    if (ret == 0) {
      ret = memoryNotify(MemoryBlock.MEM_GOING_ONLINE, pfn, nrPages);
    }
    if (ret != 0) {
      return failedAddition(pfn, nrPages, zone, first, ret);
    }
    pageAlloc.addNrIsolatePageblock(zone, nrPages / mmzone.pageblockNrPages());
    boolean needZonelistsRebuild = !zone.populated();
    if (needZonelistsRebuild) {
      pageAlloc.setupZonePageset(zone);
    }
    onlinePagesRange(pfn, nrPages);
    adjustPresentPageCount(mm.model().pfnToPage(pfn), group, nrPages);
    memory.add(nid);
    if (zone.idx().upToNormal()) {
      normalMemory.add(nid);
    }
    if (needZonelistsRebuild) {
      pageAlloc.buildAllZonelists();
    }
    pageAlloc.isolation().undoIsolatePageRange(pfn, pfn + nrPages);
    pageAlloc.initPerZoneWmarkMin();
    if (first) {
      nodeNotify(NODE_ADDED_FIRST_MEMORY, nid);
    }
    memoryNotify(MemoryBlock.MEM_ONLINE, pfn, nrPages);
    return 0;
  }

  /** The label failed_addition of online_pages(). */
  private int failedAddition(long pfn, long nrPages, Zone zone, boolean first, int ret) {
    memoryNotify(MemoryBlock.MEM_CANCEL_ONLINE, pfn, nrPages);
    if (first) {
      nodeNotify(NODE_CANCEL_ADDING_FIRST_MEMORY, zone.nid());
    }
    hotplug.removePfnRangeFromZone(zone, pfn, nrPages);
    return ret;
  }

  // ---- offline ----

  /** The first movable pfn; -ENOENT when there is none, -EBUSY for one that never can be moved. */
  @Kernel(
      file = "mm/memory_hotplug.c",
      symbol = "scan_movable_pages",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Returns the pfn or an error; pages with movable_ops do not exist here.")
  private long scanMovablePages(long start, long end) {
    for (long pfn = start; pfn < end; pfn++) {
      Page page = mm.model().pfnToPage(pfn);
      if (mm.flags().test(page, PageFlags.PG_LRU)) {
        return pfn;
      }
      boolean offline = mm.flags().hasType(page, PageFlags.PGTY_OFFLINE);
      if (offline && mm.refs().pageRefCount(page) != 0) {
        return -Errno.EBUSY;
      }
      Folio folio = mm.flags().pageFolio(page);
      if (!mm.flags().folioTestHugetlb(folio)) {
        continue;
      }
      if (hooks.folioTestHugetlbMigratable(folio)) {
        return pfn;
      }
      pfn |= mm.inline().folioNrPages(folio) - 1;
    }
    return -Errno.ENOENT;
  }

  /** Takes the pages back from the page allocator's book; memblock may still know them. */
  private void unbook(long startPfn, long endPfn) {
    Owner rest = hotplug.archKeepMemblock() ? Owner.MEMBLOCK : Owner.NONE;
    Ledger ledger = mm.machine().ledger();
    for (long pfn = startPfn; pfn < endPfn; ) {
      long next = ledger.sameOwnerUntil(pfn, endPfn);
      FrameOwner owner = ledger.ownerOf(pfn);
      if (owner != rest) {
        ledger.transfer(pfn, next - pfn, owner, rest);
      }
      pfn = next;
    }
  }

  /** Frames that an altmap left over: the memory is about to go. */
  void unbookAltmap(long startPfn, long nrPages) {
    unbook(startPfn, startPfn + nrPages);
  }

  private static long normalPages(PgData pgdat) {
    long pages = 0;
    for (Zone zone : pgdat.zones()) {
      pages += zone.idx().upToNormal() ? zone.presentPages : 0;
    }
    return pages;
  }

  /**
   * Takes {@code nrPages} pages from {@code startPfn} out of use.
   *
   * @return 0; -EINVAL for holes or several zones, -EBUSY for what cannot be isolated or moved,
   *     -EINTR for a signal, -ENOMEM for a hugepage that cannot be dissolved, or what a notifier
   *     says; then all is as before, but hugepages that were moved or dissolved stay so. Who waits
   *     sends the signal after five rounds without progress
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "offline_pages")
  public int offlinePages(long startPfn, long nrPages, Zone zone, @Nullable MemoryGroup group) {
    locks.needMemHotplug("offline_pages");
    long endPfn = startPfn + nrPages;
    if (misaligned(startPfn, nrPages, "offline_pages")) {
      return -Errno.EINVAL;
    }
    long[] systemRamPages = {0};
    iomem.walkSystemRamRange(
        startPfn,
        nrPages,
        (pfn, pages) -> {
          systemRamPages[0] += pages;
          return 0;
        });
    if (systemRamPages[0] != nrPages) {
      return failed(startPfn, -Errno.EINVAL, "memory holes");
    }
    if (mm.printk()
        .warnOnOnce(
            zoneOf(startPfn) != zone || zoneOf(endPfn - 1) != zone,
            "offline_pages: page_zone() != zone")) {
      return failed(startPfn, -Errno.EINVAL, "multizone range");
    }
    pageAlloc.zonePcpDisable(zone);
    int ret = isolateAndEmpty(startPfn, endPfn, zone);
    if (ret == 0) {
      finishOffline(startPfn, nrPages, zone, group);
    } else {
      pageAlloc.zonePcpEnable(zone);
    }
    return ret;
  }

  private Zone zoneOf(long pfn) {
    return mm.inline().pageZone(mm.model().pfnToPage(pfn));
  }

  /** The line is a pr_debug(): only who turns it on sees it. */
  private int failed(long startPfn, int ret, String reason) {
    mm.machine().yields().at("offline failed: " + reason, startPfn);
    return ret;
  }

  /** Up to the point where all pages are free and isolated; undoes the isolation otherwise. */
  private int isolateAndEmpty(long startPfn, long endPfn, Zone zone) {
    long nrPages = endPfn - startPfn;
    int ret =
        pageAlloc
            .isolation()
            .startIsolatePageRange(startPfn, endPfn, PageIsolation.Mode.MEM_OFFLINE);
    if (ret != 0) {
      return failed(startPfn, ret, "failure to isolate range");
    }
    int nid = zone.nid();
    boolean last = nrPages >= mm.nodes().nodeData(nid).nodePresentPages;
    String reason = "node notifier failure";
    ret = last ? nodeNotify(NODE_REMOVING_LAST_MEMORY, nid) : 0;
    if (ret == 0) {
      reason = "notifier failure";
      ret = memoryNotify(MemoryBlock.MEM_GOING_OFFLINE, startPfn, nrPages);
    }
    if (ret == 0) {
      reason = "pages in use";
      ret = moveUntilFree(startPfn, endPfn);
    }
    if (ret != 0) {
      pageAlloc.isolation().undoIsolatePageRange(startPfn, endPfn);
      memoryNotify(MemoryBlock.MEM_CANCEL_OFFLINE, startPfn, nrPages);
      if (last) {
        nodeNotify(NODE_CANCEL_REMOVING_LAST_MEMORY, nid);
      }
      return failed(startPfn, ret, reason);
    }
    return 0;
  }

  /** Moves what can be moved from the range; returns whether anything was. */
  @Kernel(
      file = "mm/memory_hotplug.c",
      symbol = "do_migrate_range",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "No page is ever poisoned; pages are named, not dumped; no interval of the rate limit"
          + " passes. Says whether it got on.")
  private boolean doMigrateRange(long startPfn, long endPfn) {
    PageMigration migration = pageAlloc.migration();
    ListHead source = mm.lists().localHead();
    long isolated = 0;
    for (long pfn = startPfn; pfn < endPfn; pfn++) {
      Page page = mm.model().pfnToPage(pfn);
      Folio folio = mm.flags().pageFolio(page);
      if (mm.refs().folioRefCount(folio) == 0) {
        continue;
      }
      mm.refs().pageRefAdd(folio.page(), 1);
      if (mm.flags().pageHead(folio.page())) {
        pfn = mm.model().pageToPfn(folio.page()) + mm.inline().folioNrPages(folio) - 1;
      }
      if (migration.isolateFolioToList(folio, source)) {
        isolated++;
      } else if (migrateRs()) {
        mm.printk().prWarn("failed to isolate pfn %x".formatted(mm.model().pageToPfn(page)));
      }
      migration.folioPut(folio);
    }
    long left = mm.lists().listEmpty(source) ? 0 : migrateIsolated(source);
    mm.lists().release(source);
    return left < isolated;
  }

  /** The second half of do_migrate_range(); returns how many folios stayed where they were. */
  private long migrateIsolated(ListHead source) {
    int nid = mm.inline().folioNid(new Folio(mm.struct().ofLru(mm.lists().first(source))));
    // Another node first; this one only if there is no other.
    Set<Integer> nmask = new HashSet<>(memory);
    nmask.remove(nid);
    if (nmask.isEmpty()) {
      nmask.add(nid);
    }
    Gfp gfp = Gfp.KERNEL.or(Gfp.MOVABLE).or(Gfp.RETRY_MAYFAIL);
    MigrationTarget mtc =
        new MigrationTarget(nid, nmask, gfp, MigrateReason.MR_MEMORY_HOTPLUG);
    int ret = pageAlloc.migration().migratePages(source, mtc);
    long left = 0;
    if (ret != 0) {
      for (ListHead at = mm.lists().first(source); !at.equals(source); at = mm.lists().next(at)) {
        long pfn = mm.model().pageToPfn(mm.struct().ofLru(at));
        left++;
        if (migrateRs()) {
          mm.printk().prWarn("migrating pfn %x failed ret:%d".formatted(pfn, ret));
        }
      }
      pageAlloc.migration().putbackMovablePages(source);
    }
    return left;
  }

  /** {@code __ratelimit(&migrate_rs)}: time stands still here, so the burst is all there is. */
  private boolean migrateRs() {
    return migrateRsLines++ < MIGRATE_RS_BURST;
  }

  /**
   * The two loops of offline_pages(). The kernel tries for ever, until somebody sends a signal: then
   * it gives up with -EINTR. A model has to end, so here the signal comes after {@value #PATIENCE}
   * rounds in which nothing moved; rounds that move pages do not count, and they end by themselves,
   * because no page moves into the range.
   */
  private int moveUntilFree(long startPfn, long endPfn) {
    int fruitless = 0;
    int ret;
    do {
      long pfn = startPfn;
      do {
        if (signalPending.getAsBoolean() || fruitless++ >= PATIENCE) {
          return -Errno.EINTR;
        }
        mm.condResched(pfn);
        pfn = scanMovablePages(pfn, endPfn);
        if (pfn >= 0 && doMigrateRange(pfn, endPfn)) {
          fruitless = 0;
        }
      } while (pfn >= 0);
      if (pfn != -Errno.ENOENT) {
        return (int) pfn;
      }
      ret = hooks.dissolveFreeHugetlbFolios(startPfn, endPfn);
      if (ret != 0) {
        return ret;
      }
      ret =
          pageAlloc
              .isolation()
              .testPagesIsolated(startPfn, endPfn, PageIsolation.Mode.MEM_OFFLINE);
    } while (ret != 0);
    return 0;
  }

  /** The part of offline_pages() that cannot fail. */
  private void finishOffline(
      long startPfn, long nrPages, Zone zone, @Nullable MemoryGroup group) {
    long endPfn = startPfn + nrPages;
    Page first = mm.model().pfnToPage(startPfn);
    PgData pgdat = mm.nodes().nodeData(zone.nid());
    boolean last = nrPages >= pgdat.nodePresentPages;
    vmemmap.offlineMemSections(startPfn, endPfn);
    long managedPages = pageAlloc.offlineIsolatedPages0(startPfn, endPfn);
    unbook(startPfn, endPfn);
    pageAlloc.addNrIsolatePageblock(zone, -(nrPages / mmzone.pageblockNrPages()));
    pageAlloc.zonePcpEnable(zone);
    pageAlloc.adjustManagedPageCount(first, -managedPages);
    adjustPresentPageCount(first, group, -nrPages);
    pageAlloc.initPerZoneWmarkMin();
    if (zone.idx().upToNormal() && normalPages(pgdat) == 0) {
      normalMemory.remove(zone.nid());
    }
    if (last) {
      memory.remove(zone.nid());
    }
    if (!zone.populated()) {
      pageAlloc.zonePcpReset(zone);
      pageAlloc.buildAllZonelists();
    }
    if (last) {
      nodeNotify(NODE_REMOVED_LAST_MEMORY, zone.nid());
    }
    memoryNotify(MemoryBlock.MEM_OFFLINE, startPfn, nrPages);
    hotplug.removePfnRangeFromZone(zone, startPfn, nrPages);
  }
}
