// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Cma;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.Memblock.MemPfnRange;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.PageFlagsLayout;
import org.vmemmap.types.PgData;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * mm/mm_init.c: from what memblock knows to a memmap that the page allocator can work on.
 *
 * <pre>
 *   command line     cmdlineParseKernelcore() ...           before anything else
 *   mmCoreInitEarly  zones -> HugeTLB takes gigantic pages from memblock
 *                          -> sections and memmap -> struct pages, but for the deferred ones
 *   mmCoreInit       memblock's free memory goes to the page allocator
 *   pageAllocInitLate  deferred struct pages -> HugeTLB's struct pages -> contiguous zones
 * </pre>
 *
 * The file is long; this class is its face and holds the order of things, the nodes and what is
 * left over. {@link ZoneLayout} computes the zones, {@link MemmapInit} walks the memmap, {@link
 * DeferredInit} does what was left for later, {@link StructPageInit} writes struct pages.
 *
 * <p>Not modelled: hash tables, zero page, kmsan, kexec handover, page_ext, waiting queues, the
 * kernel image's sizes, high_memory, and node states other than N_MEMORY. The page allocator finds
 * its zonelists by itself.
 */
@Kernel(file = "mm/mm_init.c", symbol = "mm_core_init_early")
public final class MmInit implements Memblock.PageInit, Cma.MmInitHooks {
  private final Mm mm;
  private final Memblock memblock;
  private final PageAlloc pageAlloc;
  private final Slab slab;
  private final Sparse sparse;
  private final ZoneLayout layout;
  private final StructPageInit pages;
  private final DeferredInit deferred;
  private final MemmapInit memmap;
  private @Nullable SparseVmemmap vmemmap;
  private HugetlbBootHooks hugetlb = HugetlbBootHooks.NONE;
  private long earlyPfnnidStart;
  private long earlyPfnnidEnd;
  private int earlyPfnnidNid;
  // CONFIG_INIT_ON_ALLOC_DEFAULT_ON is set in the captured kernels, INIT_ON_FREE is not.
  private boolean initOnAllocEnabledEarly = true;
  private boolean initOnFreeEnabledEarly;
  private boolean checkPagesEnabledEarly;
  private boolean pagePoisoningEnabledEarly;
  private boolean debugPagealloc;

  /** Ties the file to the machine's other files. Nothing runs yet. */
  public MmInit(Mm mm, Memblock memblock, PageAlloc pageAlloc, Slab slab, Sparse sparse) {
    this.mm = mm;
    this.memblock = memblock;
    this.pageAlloc = pageAlloc;
    this.slab = slab;
    this.sparse = sparse;
    this.layout = new ZoneLayout(mm, memblock);
    this.pages = new StructPageInit(mm, pageAlloc);
    this.deferred = new DeferredInit(mm, memblock, pageAlloc, pages);
    this.memmap = new MemmapInit(mm, pageAlloc, layout, pages, deferred);
  }

  /** Connects HugeTLB; without it the upcalls do nothing, as in a kernel without HUGETLB_PAGE. */
  public void setHugetlbHooks(HugetlbBootHooks hooks) {
    hugetlb = hooks;
  }

  /** Connects {@code vmemmap_can_optimize()}; needed before a device with compound pages. */
  public void setVmemmap(SparseVmemmap newVmemmap) {
    vmemmap = newVmemmap;
    memmap.setVmemmap(newVmemmap);
  }

  // ---- checks of the build ----

  /**
   * {@code mminit_verify_pageflags_layout()}: section, node and zone follow each other from the top
   * bit down, and no two overlap. Only the BUGs: the lines about it need {@code mminit_loglevel=}.
   */
  @Kernel(file = "mm/mm_init.c", symbol = "mminit_verify_pageflags_layout")
  void mminitVerifyPageflagsLayout(PageFlagsLayout layout) {
    int shift = Long.SIZE;
    if (layout.sectionsWidth() != 0) {
      shift -= layout.sectionsWidth();
      verifyLayout(shift != layout.sectionsPgshift(), "shift != SECTIONS_PGSHIFT");
    }
    if (layout.nodesWidth() != 0) {
      shift -= layout.nodesWidth();
      verifyLayout(shift != layout.nodesPgshift(), "shift != NODES_PGSHIFT");
    }
    if (layout.zonesWidth() != 0) {
      shift -= layout.zonesWidth();
      verifyLayout(shift != layout.zonesPgshift(), "shift != ZONES_PGSHIFT");
    }
    long zones = layout.zonesMask() << layout.zonesPgshift();
    long nodes = layout.nodesMask() << layout.nodesPgshift();
    long sections = layout.sectionsMask() << layout.sectionsPgshift();
    long orMask = zones | nodes | sections;
    long addMask = zones + nodes + sections;
    verifyLayout(orMask != addMask, "or_mask != add_mask");
  }

  private void verifyLayout(boolean wrong, String condition) {
    mm.printk().bugOn(wrong, "mminit_verify_pageflags_layout: " + condition);
  }

  // ---- command line ----

  /**
   * {@code kernelcore=}: a size with K, M, G, T, a percentage, or {@code mirror}, which this
   * machine has no memory for. As in the kernel nothing is refused: what is no number counts as 0.
   *
   * @return 0, or -EINVAL for an option without a value
   */
  @Kernel(file = "mm/mm_init.c", symbol = "cmdline_parse_kernelcore")
  public int cmdlineParseKernelcore(@Nullable String value) {
    return layout.cmdlineParseKernelcore(value);
  }

  /** {@code movablecore=}: a size or a percentage; see {@link #cmdlineParseKernelcore}. */
  @Kernel(file = "mm/mm_init.c", symbol = "cmdline_parse_movablecore")
  public int cmdlineParseMovablecore(@Nullable String value) {
    return layout.cmdlineParseMovablecore(value);
  }

  // ---- single pages ----

  /**
   * {@code __init_single_page()}: one reference, not mapped, on no list. The memmap of the page
   * must be mapped writable.
   *
   * @param pfn the page's number; only kernels with WANT_PAGE_VIRTUAL need it
   */
  @Kernel(file = "mm/mm_init.c", symbol = "__init_single_page")
  public void initSinglePage(Page page, long pfn, ZoneType zone, int nid) {
    pages.initSinglePage(page, zone, nid);
  }

  /** {@code __early_pfn_to_nid()}: remembers the range it found last; -1 for no memory. */
  @Kernel(file = "mm/mm_init.c", symbol = "__early_pfn_to_nid")
  private int earlyPfnToNid0(long pfn) {
    if (earlyPfnnidStart <= pfn && pfn < earlyPfnnidEnd) {
      return earlyPfnnidNid;
    }
    // memblock_search_pfn_nid(): by the address, so a page that only begins in memory counts.
    long paddr = mm.model().pfnPhys(pfn);
    for (Memblock.MemRange range : memblock.memRanges()) {
      if (range.start() <= paddr && paddr < range.end()) {
        earlyPfnnidStart = mm.model().physPfn(range.start());
        earlyPfnnidEnd = mm.model().physPfn(range.end());
        earlyPfnnidNid = range.nid();
        return range.nid();
      }
    }
    return Memblock.NUMA_NO_NODE;
  }

  /** {@code early_pfn_to_nid()}: the node of a pfn as memblock has it; else the first node. */
  @Kernel(file = "mm/mm_init.c", symbol = "early_pfn_to_nid")
  public int earlyPfnToNid(long pfn) {
    int nid = earlyPfnToNid0(pfn);
    if (nid >= 0) {
      return nid;
    }
    List<PgData> online = mm.nodes().online();
    return online.isEmpty() ? 0 : online.get(0).nodeId();
  }

  /**
   * {@code pageblock_migratetype_init_range()}: sets the type of every pageblock that starts in the
   * run.
   *
   * @param atomic the caller holds a lock: no other CPU is let in between
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "pageblock_migratetype_init_range",
      patches = {6, 7})
  public void pageblockMigratetypeInitRange(
      long pfn, long nrPages, Migratetype migratetype, boolean atomic) {
    pages.pageblockMigratetypeInitRange(pfn, nrPages, migratetype, atomic);
  }

  /**
   * {@code init_deferred_page()}: initialises the struct page of a reserved page if that was left
   * for later. {@code nid} is the node of the page.
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "init_deferred_page",
      patches = {18})
  @Override
  public void initDeferredPage(long pfn, int nid) {
    deferred.initDeferredPage0(pfn, nid);
  }

  /**
   * {@code __init_page_from_nid()}: initialises the struct page of a reserved page. Until patch 18
   * HugeTLB could call it, for boot pages that it has to break up.
   */
  public void initPageFromNid(long pfn, int nid) {
    deferred.initPageFromNid(pfn, nid);
  }

  /**
   * {@code memmap_init_reserved_range()}: every struct page of a range that memblock has reserved
   * becomes PG_reserved, initialised now if it was deferred. Pfns without a memmap are passed over.
   */
  @Kernel(file = "mm/memblock.c", symbol = "memmap_init_reserved_range")
  @Override
  public void initSinglePageReserved(long startPfn, long endPfn, int nid) {
    Mmzone mmzone = mm.mmzone();
    long subsectionMask = mmzone.pagesPerSubsection() - 1;
    for (long pfn = mmzone.firstValidPfn(startPfn, endPfn); pfn < endPfn; ) {
      // Within a subsection all pfns are valid or none.
      long end = Math.min(endPfn, (pfn | subsectionMask) + 1);
      if (!deferred.initDeferredPagesReserved(pfn, end, nid)) {
        initReservedPageByPage(pfn, end, nid);
      }
      pfn = mmzone.nextValidPfn(end - 1, endPfn);
    }
  }

  private void initReservedPageByPage(long pfn, long endPfn, int nid) {
    for (; pfn < endPfn; pfn++) {
      initDeferredPage(pfn, nid);
      mm.flags().set(mm.model().pfnToPage(pfn), PageFlags.PG_RESERVED);
    }
  }

  // ---- ranges of the memmap ----

  /**
   * {@code memmap_init_range()}: initialises the struct pages of RAM, and the pageblocks that start
   * in it. For ZONE_DEVICE only the pages that hold the memmap itself, given by the altmap.
   *
   * @param size pages
   * @param zoneEndPfn first pfn behind the zone; decides about deferring, only used when early
   * @param early true at boot (MEMINIT_EARLY); false for hot-added memory, whose pages become
   *     offline, or reserved in ZONE_DEVICE (MEMINIT_HOTPLUG)
   * @param altmap where the memmap lies inside the device; null when in RAM
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "memmap_init_range",
      patches = {23})
  public void memmapInitRange(
      long size,
      int nid,
      ZoneType zone,
      long startPfn,
      long zoneEndPfn,
      boolean early,
      @Nullable VmemAltmap altmap,
      Migratetype migratetype,
      boolean isolatePageblock) {
    memmap.memmapInitRange(
        size, nid, zone, startPfn, zoneEndPfn, early, altmap, migratetype, isolatePageblock);
  }

  /**
   * {@code memmap_init_zone_device()}: initialises the struct pages of device memory, as compound
   * pages when the device has a vmemmap_shift, and its pageblocks. Pages that hold the memmap were
   * done by {@link #memmapInitRange}.
   *
   * @param nrPages from {@code startPfn} to the end of the device's range
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "memmap_init_zone_device",
      patches = {6})
  public void memmapInitZoneDevice(Zone zone, long startPfn, long nrPages, DevPagemap pgmap) {
    memmap.memmapInitZoneDevice(zone, startPfn, nrPages, pgmap);
  }

  // ---- zones and nodes ----

  @Kernel(file = "mm/mm_init.c", symbol = "zone_init_internals")
  private static void zoneInitInternals(Zone zone, long remainingPages) {
    // Name, node and type of a zone are fixed from the start here; per-CPU lists belong to
    // PageAlloc.
    zone.managedPages = remainingPages;
  }

  /**
   * {@code init_currently_empty_zone()}: a zone gets its first pages.
   *
   * @param size pages it will span, for the log only
   */
  @Kernel(file = "mm/mm_init.c", symbol = "init_currently_empty_zone")
  public void initCurrentlyEmptyZone(Zone zone, long zoneStartPfn, long size) {
    PgData pgdat = mm.nodes().nodeData(zone.nid());
    int zoneIdx = List.of(pgdat.zones()).indexOf(zone) + 1;
    if (zoneIdx > pgdat.nrZones) {
      pgdat.nrZones = zoneIdx;
    }
    zone.zoneStartPfn = zoneStartPfn;
    pageAlloc.zoneInitFreeLists(zone);
    zone.initialized = true;
  }

  /** {@code set_pageblock_order()}. */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "set_pageblock_order",
      fidelity = Kernel.Fidelity.STUB,
      why = "pageblock_order is a build constant here, as without HUGETLB_PAGE_SIZE_VARIABLE.",
      patches = {12})
  private static void setPageblockOrder() {}

  /**
   * {@code free_area_init_core_hotplug()}: prepares a node that gets its first memory at run time.
   *
   * @return 0, or -ENOMEM without per-CPU counters for the node; nothing has changed then
   */
  @Kernel(file = "mm/mm_init.c", symbol = "free_area_init_core_hotplug")
  public int freeAreaInitCoreHotplug(PgData pgdat) {
    if (!pgdat.perCpuNodestats) {
      if (mm.mayFail("free_area_init_core_hotplug")) {
        return -Errno.ENOMEM;
      }
      pgdat.perCpuNodestats = true;
    }
    pgdat.nrZones = 0;
    pgdat.nodeStartPfn = 0;
    pgdat.nodePresentPages = 0;
    for (Zone zone : pgdat.zones()) {
      // Hot-added memory is offline; online_pages() counts it.
      zone.presentPages = 0;
      zoneInitInternals(zone, 0);
    }
    return 0;
  }

  @Kernel(file = "mm/mm_init.c", symbol = "free_area_init_core")
  private void freeAreaInitCore(PgData pgdat) {
    for (Zone zone : pgdat.zones()) {
      // memblock_free_all() counts managed pages anew.
      zoneInitInternals(zone, zone.presentPages);
      if (zone.spannedPages != 0) {
        initCurrentlyEmptyZone(zone, zone.zoneStartPfn, zone.spannedPages);
      }
    }
  }

  /**
   * {@code memmap_alloc()}: memory for struct pages, not cleared; in a DEBUG_VM kernel filled with
   * the pattern that says so.
   *
   * @param size bytes
   * @param align bytes
   * @param minAddr lowest physical address wanted
   * @param exactNid true to fail rather than to take memory of another node
   * @return linear address, or 0
   */
  @Kernel(file = "mm/mm_init.c", symbol = "memmap_alloc")
  public long memmapAlloc(long size, long align, long minAddr, int nid, boolean exactNid) {
    long max = Memblock.ALLOC_NOLEAKTRACE;
    long ptr =
        exactNid
            ? memblock.memblockAllocExactNidRaw(size, align, minAddr, max, nid)
            : memblock.memblockAllocTryNidRaw(size, align, minAddr, max, nid);
    if (ptr != 0 && size > 0) {
      mm.struct().pageInitPoison(new Page(ptr), size);
    }
    return ptr;
  }

  @Kernel(file = "mm/mm_init.c", symbol = "free_area_init_node")
  private void freeAreaInitNode(int nid) {
    PgData pgdat = mm.nodes().nodeData(nid);
    // kswapd_highest_zoneidx, the other half of this check, is not modelled.
    mm.printk().warnOn(pgdat.nrZones != 0, "free_area_init_node: pgdat->nr_zones");
    ZoneLayout.PfnRange range = layout.getPfnRangeForNid(nid);
    pgdat.nodeStartPfn = range.startPfn();
    if (range.nrPages() != 0) {
      String mem = layout.memRange(range.startPfn(), range.endPfn());
      mm.printk().prInfo("Initmem setup node " + nid + " " + mem);
      layout.calculateNodeTotalpages(pgdat, range);
    } else {
      mm.printk().prInfo("Initmem setup node " + nid + " as memoryless");
      layout.resetMemorylessNodeTotalpages(pgdat);
    }
    deferred.pgdatSetDeferredRange(pgdat);
    freeAreaInitCore(pgdat);
  }

  /**
   * {@code free_area_init()}: the zones of all nodes. Since 7.3 zones only; sections and memmap
   * follow when HugeTLB, which asks about zones, has taken its gigantic pages.
   *
   * @param maxZonePfns what {@code arch_zone_limits_init()} fills in: by zone number, first pfn
   *     behind the zone
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "free_area_init",
      patches = {10, 11, 12, 13})
  private void freeAreaInit(long[] maxZonePfns) {
    layout.setArchZoneLimits(maxZonePfns);
    if (!mm.series().initsSparseAfterZones()) {
      sparse.sparseInit();
    }
    layout.findZoneMovablePfnsForNodes();
    layout.printRanges();
    mminitVerifyPageflagsLayout(mm.inline().pageFlagsLayout());
    setPageblockOrder();
    for (int nid : possibleNodes()) {
      freeAreaInitNode(nid);
      if (mm.nodes().nodeData(nid).nodePresentPages != 0) {
        layout.nodeStatesMemory().add(nid);
      }
    }
    if (!mm.series().initsSparseAfterZones()) {
      layout.nodeStatesMemory().forEach(sparse::sparseVmemmapInitNidLate);
    }
    layout.calcNrKernelPages();
    if (!mm.series().initsSparseAfterZones()) {
      memmap.memmapInit();
    }
  }

  /** {@code for_each_node()}: nodes that were made known before, and those with memory. */
  private SortedSet<Integer> possibleNodes() {
    SortedSet<Integer> nodes = new TreeSet<>();
    for (PgData pgdat : mm.nodes().online()) {
      nodes.add(pgdat.nodeId());
    }
    for (MemPfnRange range : layout.memPfnRanges()) {
      nodes.add(range.nid());
    }
    return nodes;
  }

  /** {@code node_states[N_MEMORY]}: numbers of the nodes with memory, ascending. */
  public List<Integer> nodesWithMemory() {
    return List.copyOf(layout.nodeStatesMemory());
  }

  /** {@code nr_kernel_pages}: pages that were free in memblock when the zones were laid out. */
  public long nrKernelPages() {
    return layout.nrKernelPages();
  }

  /** {@code nr_all_pages}: the same without highmem's exception, which 64-bit kernels lack. */
  public long nrAllPages() {
    return layout.nrAllPages();
  }

  /** {@code highest_memmap_pfn}: last pfn that was ever given a struct page. */
  public long highestMemmapPfn() {
    return memmap.highestMemmapPfn();
  }

  /** {@code absent_pages_in_range()}: pages of {@code [startPfn, endPfn)} that are not memory. */
  @Kernel(file = "mm/mm_init.c", symbol = "absent_pages_in_range")
  public long absentPagesInRange(long startPfn, long endPfn) {
    return layout.absentPagesInRange(startPfn, endPfn);
  }

  // ---- deferred struct pages ----

  /** {@code deferred_pages_enabled()}: struct pages may still be missing. */
  @Kernel(file = "mm/mm_init.h", symbol = "deferred_pages_enabled")
  public boolean deferredPagesEnabled() {
    return deferred.deferredPagesEnabled();
  }

  /** {@code deferred_struct_pages}: memmap_init() left struct pages for later. */
  public boolean deferredStructPages() {
    return memmap.deferredStructPages();
  }

  /**
   * {@code deferred_grow_zone()}: initialises some of the zone's deferred struct pages and frees
   * the pages, at least 2^{@code order} if there are that many. Only before {@link
   * #pageAllocInitLate}.
   *
   * @return true when it is worth to look for free pages again
   */
  @Kernel(file = "mm/mm_init.c", symbol = "deferred_grow_zone")
  public boolean deferredGrowZone(Zone zone, int order) {
    return deferred.deferredGrowZone(zone, order);
  }

  // ---- CMA ----

  /** {@code init_cma_reserved_pageblock()}: the first time that the pages of the block are free. */
  @Override
  @Kernel(file = "mm/mm_init.c", symbol = "init_cma_reserved_pageblock")
  public void initCmaReservedPageblock(Page page) {
    pageAlloc.unreserve(page, mm.mmzone().pageblockNrPages());
    pageAlloc.initPageblockMigratetype(page, Migratetype.MIGRATE_CMA, false);
    mm.refs().setPageCount(page, 1);
    pageAlloc.freePages(page, mm.config().pageblockOrder());
    countCmaPageblock(page);
  }

  /** {@code init_cma_pageblock()}: of a block whose pages are in use already. */
  @Kernel(file = "mm/mm_init.c", symbol = "init_cma_pageblock")
  public void initCmaPageblock(Page page) {
    pageAlloc.initPageblockMigratetype(page, Migratetype.MIGRATE_CMA, false);
    countCmaPageblock(page);
  }

  private void countCmaPageblock(Page page) {
    long nrPages = mm.mmzone().pageblockNrPages();
    pageAlloc.adjustManagedPageCount(page, nrPages);
    Zone zone = mm.inline().pageZone(page);
    zone.cmaPages = mm.machine().add("cma_pages", zone.cmaPages, nrPages);
  }

  // ---- answers about zones ----

  /** {@code set_zone_contiguous()}: marks the zone when every pageblock of its span is its own. */
  @Kernel(file = "mm/mm_init.c", symbol = "set_zone_contiguous")
  public void setZoneContiguous(Zone zone) {
    long pageblockNrPages = mm.mmzone().pageblockNrPages();
    long blockStartPfn = zone.zoneStartPfn;
    long blockEndPfn = Align.align(blockStartPfn + 1, pageblockNrPages);
    while (blockStartPfn < zone.endPfn()) {
      blockEndPfn = Math.min(blockEndPfn, zone.endPfn());
      if (pageblockPfnToPage0(blockStartPfn, blockEndPfn, zone) == null) {
        return;
      }
      mm.condResched(blockStartPfn);
      blockStartPfn = blockEndPfn;
      blockEndPfn += pageblockNrPages;
    }
    zone.contiguous = true;
  }

  /** {@code __pageblock_pfn_to_page()}: looks at the first and the last page of the pageblock. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__pageblock_pfn_to_page")
  private @Nullable Page pageblockPfnToPage0(long startPfn, long endPfn, Zone zone) {
    endPfn--;
    if (!mm.mmzone().pfnValid(endPfn) || !mm.mmzone().pfnOnline(startPfn)) {
      return null;
    }
    Page startPage = mm.model().pfnToPage(startPfn);
    if (mm.inline().pageZone(startPage) != zone) {
      return null;
    }
    // page_zone_id(): zone and node together.
    long endFlags = mm.struct().flags(mm.model().pfnToPage(endPfn));
    boolean same =
        mm.inline().nid(endFlags) == zone.nid() && mm.inline().zonenum(endFlags) == zone.idx();
    return same ? startPage : null;
  }

  /** {@code pfn_to_zone()}: the zone of the node that spans the pfn; null for none. */
  @Kernel(file = "mm/hugetlb_vmemmap.c", symbol = "pfn_to_zone", patches = {25, 29})
  public @Nullable Zone pfnToZone(long pfn, int nid) {
    for (Zone zone : mm.nodes().nodeData(nid).zones()) {
      if (zone.spansPfn(pfn)) {
        return zone;
      }
    }
    return null;
  }

  /**
   * {@code pfn_range_intersects_zones()}: true when the range touches more than one zone.
   *
   * @param nid the range's node if it is known to lie on one, else {@link Memblock#NUMA_NO_NODE}
   */
  @Override
  @Kernel(file = "mm/mm_init.c", symbol = "pfn_range_intersects_zones")
  public boolean pfnRangeIntersectsZones(int nid, long startPfn, long nrPages) {
    int zones = 0;
    for (PgData pgdat : mm.nodes().online()) {
      if (nid != Memblock.NUMA_NO_NODE && pgdat.nodeId() != nid) {
        continue;
      }
      for (Zone zone : pgdat.zones()) {
        if (zone.intersects(startPfn, nrPages) && ++zones > 1) {
          return true;
        }
      }
    }
    return false;
  }

  // ---- later phases ----

  /**
   * {@code page_alloc_init_late()}: finishes what boot left for later. The page allocator runs;
   * memblock's own memory would be discarded here and is kept, so that it can be looked at.
   */
  @Kernel(file = "mm/mm_init.c", symbol = "page_alloc_init_late")
  public void pageAllocInitLate() {
    if (mm.config().deferredStructPageInit()) {
      for (int nid : layout.nodeStatesMemory()) {
        deferred.deferredInitMemmap(mm.nodes().nodeData(nid));
      }
      deferred.disableDeferredPages();
      pageAlloc.setDeferredGrow(null);
    }
    if (mm.series().initsBootFoliosEarly()) {
      hugetlb.hugetlbBootmemStructPageInit();
    }
    memInitPrintInfo();
    for (PgData pgdat : mm.nodes().online()) {
      for (Zone zone : pgdat.zones()) {
        if (zone.populated()) {
          setZoneContiguous(zone);
        }
      }
    }
  }

  /**
   * {@code memblock_free_pages()}: gives a block of 2^{@code order} pages to the page allocator,
   * unless its struct pages are deferred; then the late run will.
   */
  @Kernel(file = "mm/mm_init.c", symbol = "memblock_free_pages")
  @Override
  public void memblockFreePages(long pfn, int order) {
    if (mm.config().deferredStructPageInit()
        && !deferred.earlyPageInitialised(pfn, earlyPfnToNid(pfn))) {
      return;
    }
    pageAlloc.freePagesCore(mm.model().pfnToPage(pfn), order, false);
  }

  // ---- debugging and hardening ----

  /** {@code init_on_alloc=}; on by default. Returns 0 or -EINVAL. */
  @Kernel(file = "mm/mm_init.c", symbol = "early_init_on_alloc")
  public int earlyInitOnAlloc(@Nullable String buf) {
    Kstrtox.Parsed value = Kstrtox.kstrtobool(buf);
    initOnAllocEnabledEarly = value.isOn(initOnAllocEnabledEarly);
    return value.rc();
  }

  /** {@code init_on_free=}. Returns 0 or -EINVAL. */
  @Kernel(file = "mm/mm_init.c", symbol = "early_init_on_free")
  public int earlyInitOnFree(@Nullable String buf) {
    Kstrtox.Parsed value = Kstrtox.kstrtobool(buf);
    initOnFreeEnabledEarly = value.isOn(initOnFreeEnabledEarly);
    return value.rc();
  }

  /** {@code check_pages=}. Returns 0 or -EINVAL. */
  @Kernel(file = "mm/mm_init.c", symbol = "early_check_pages")
  public int earlyCheckPages(@Nullable String buf) {
    Kstrtox.Parsed value = Kstrtox.kstrtobool(buf);
    checkPagesEnabledEarly = value.isOn(checkPagesEnabledEarly);
    return value.rc();
  }

  /** {@code page_poison=}. Returns 0 or -EINVAL. */
  @Kernel(file = "mm/page_poison.c", symbol = "early_page_poison_param")
  public int earlyPagePoisonParam(@Nullable String buf) {
    Kstrtox.Parsed value = Kstrtox.kstrtobool(buf);
    pagePoisoningEnabledEarly = value.isOn(pagePoisoningEnabledEarly);
    return value.rc();
  }

  /** {@code debug_pagealloc=}. Returns 0 or -EINVAL. */
  @Kernel(file = "mm/debug_page_alloc.c", symbol = "early_debug_pagealloc")
  public int earlyDebugPagealloc(@Nullable String buf) {
    Kstrtox.Parsed value = Kstrtox.kstrtobool(buf);
    debugPagealloc = value.isOn(debugPagealloc);
    return value.rc();
  }

  /**
   * {@code mem_debugging_and_hardening_init()}: any of these options turns on the checks of struct
   * pages when pages are handed out and given back. A DEBUG_VM kernel always checks.
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "mem_debugging_and_hardening_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why =
          "Only the decision about page checks and its messages: contents of pages are not"
              + " poisoned.")
  private void memDebuggingAndHardeningInit() {
    boolean wantCheckPages = checkPagesEnabledEarly || pagePoisoningEnabledEarly;
    if ((initOnAllocEnabledEarly || initOnFreeEnabledEarly) && pagePoisoningEnabledEarly) {
      mm.printk()
          .prInfo(
              "mem auto-init: CONFIG_PAGE_POISONING is on, "
                  + "will take precedence over init_on_alloc and init_on_free");
      initOnAllocEnabledEarly = false;
      initOnFreeEnabledEarly = false;
    }
    wantCheckPages |= initOnAllocEnabledEarly || initOnFreeEnabledEarly || debugPagealloc;
    if (mm.config().debugVm() || wantCheckPages) {
      pageAlloc.setPageCheckingEnabled(true);
    }
  }

  /** {@code report_meminit()}. */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "report_meminit",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "How the stack is initialised is fixed to what the captured kernels were built with.")
  private void reportMeminit() {
    mm.printk()
        .prInfo(
            "mem auto-init: stack:all(zero), heap alloc:"
                + onOff(initOnAllocEnabledEarly)
                + ", heap free:"
                + onOff(initOnFreeEnabledEarly));
    if (initOnFreeEnabledEarly) {
      mm.printk().prInfo("mem auto-init: clearing system memory may take some time...");
    }
  }

  private static String onOff(boolean on) {
    return on ? "on" : "off";
  }

  /** {@code mem_init_print_info()}. */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "mem_init_print_info",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without the sizes of the kernel image's parts, which the model has not.")
  private void memInitPrintInfo() {
    long free = 0;
    long physpages = 0;
    long managed = 0;
    for (PgData pgdat : mm.nodes().online()) {
      physpages += pgdat.nodePresentPages;
      for (Zone zone : pgdat.zones()) {
        free += pageAlloc.nrFreePages(zone);
        managed += zone.managedPages;
      }
    }
    long cma = pageAlloc.totalcmaPages();
    int shift = mm.model().pageShift() - 10;
    mm.printk()
        .prInfo(
            String.format(
                "Memory: %dK/%dK available (%dK reserved, %dK cma-reserved)",
                free << shift,
                physpages << shift,
                (physpages - managed - cma) << shift,
                cma << shift));
  }

  // ---- the order of things ----

  /**
   * {@code mm_core_init_early()}: zones, HugeTLB's boot pages, sections, struct pages. memblock
   * knows the memory and what is reserved of it.
   *
   * @param maxZonePfns by zone number, first pfn behind the zone; from {@code
   *     arch_zone_limits_init()}
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "mm_core_init_early",
      patches = {11})
  public void mmCoreInitEarly(long[] maxZonePfns) {
    if (deferred.deferredPagesEnabled()) {
      pageAlloc.setDeferredGrow(this::deferredGrowZone);
    }
    if (mm.series().initsSparseAfterZones()) {
      freeAreaInit(maxZonePfns);
      if (mm.series().presentsSectionsBeforeHugetlb()) {
        sparse.memblocksPresent();
      }
      hugetlb.hugetlbCmaReserve();
      hugetlb.hugetlbBootmemAlloc();
      sparse.sparseInit();
      memmap.memmapInit();
    } else {
      // Nobody can be asked about zones yet: all are empty, so no range lies in two of them.
      hugetlb.hugetlbCmaReserve();
      hugetlb.hugetlbBootmemAlloc();
      freeAreaInit(maxZonePfns);
    }
  }

  /** {@code mem_init()}: weak, so that an architecture without has none. */
  @Kernel(file = "mm/mm_init.c", symbol = "mem_init")
  private void memInit() {
    if (vmemmap != null) {
      vmemmap.memInit();
    }
  }

  /**
   * {@code mm_core_init()}: page checks, then all free memory from memblock to the page allocator,
   * then slab.
   */
  @Kernel(file = "mm/mm_init.c", symbol = "mm_core_init")
  public void mmCoreInit() {
    memDebuggingAndHardeningInit();
    reportMeminit();
    memblock.memblockFreeAll(this);
    memInit();
    slab.setAvailable();
  }
}
