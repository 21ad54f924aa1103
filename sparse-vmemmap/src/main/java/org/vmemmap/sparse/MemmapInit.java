// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock.MemPfnRange;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.StructPageInit.Mark;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The part of mm_init.c that walks ranges of the memmap: RAM and holes at boot, hot-added memory
 * and device memory later.
 *
 * <pre>
 *   memblock     [=======]      [====]   [=========]
 *   sections   |------------|------------|------------|          |
 *   memmap     hhRRRRRRRRhhhhhhhRRRRRRhhhhRRRRRRRRRRRRhh     (nothing: section absent)
 *
 *   R  RAM: memmap_init_range()         h  hole: init_unavailable_range(), PG_reserved
 * </pre>
 *
 * A hole belongs to the zone above it; what follows the last memory belongs to the last zone.
 */
@Kernel(file = "mm/mm_init.c", symbol = "memmap_init")
final class MemmapInit {
  private final Mm mm;
  private final Mmzone mmzone;
  private final PageAlloc pageAlloc;
  private final ZoneLayout layout;
  private final StructPageInit pages;
  private final DeferredInit deferred;
  private long highestMemmapPfn;
  private boolean deferredStructPages;
  private @Nullable SparseVmemmap vmemmap;

  MemmapInit(
      Mm mm, PageAlloc pageAlloc, ZoneLayout layout, StructPageInit pages, DeferredInit deferred) {
    this.mm = mm;
    this.mmzone = mm.mmzone();
    this.pageAlloc = pageAlloc;
    this.layout = layout;
    this.pages = pages;
    this.deferred = deferred;
  }

  void setVmemmap(SparseVmemmap vmemmap) {
    this.vmemmap = vmemmap;
  }

  /** {@code highest_memmap_pfn}: last pfn that ever got a struct page. */
  long highestMemmapPfn() {
    return highestMemmapPfn;
  }

  /** {@code deferred_struct_pages}: some struct page was left for later. */
  boolean deferredStructPages() {
    return deferredStructPages;
  }

  // ---- boot and hotplug ----

  /**
   * {@code init_unavailable_range()}: struct pages that exist, because their section does, but
   * stand for no memory. They are marked reserved and linked to the given zone and node.
   */
  @Kernel(file = "mm/mm_init.c", symbol = "init_unavailable_range")
  private void initUnavailableRange(long spfn, long epfn, ZoneType zone, int node) {
    long subsectionMask = mmzone.pagesPerSubsection() - 1;
    long pgcnt = 0;
    for (long pfn = mmzone.firstValidPfn(spfn, epfn); pfn < epfn; ) {
      // Within a subsection all pfns are valid or none.
      long end = Math.min(epfn, (pfn | subsectionMask) + 1);
      pages.initPages(pfn, end, zone, node, Mark.RESERVED);
      pgcnt += end - pfn;
      pfn = mmzone.nextValidPfn(end - 1, epfn);
    }
    if (pgcnt != 0) {
      mm.printk()
          .prInfo(
              String.format(
                  "On node %d, zone %s: %d pages in unavailable ranges",
                  node, zone.label(), pgcnt));
    }
  }

  /** {@code memmap_init_range()}; see {@link MmInit#memmapInitRange}. */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "memmap_init_range",
      patches = {23})
  void memmapInitRange(
      long size,
      int nid,
      ZoneType zone,
      long startPfn,
      long zoneEndPfn,
      boolean early,
      @Nullable VmemAltmap altmap,
      Migratetype migratetype,
      boolean isolatePageblock) {
    long endPfn = startPfn + size;
    highestMemmapPfn = Math.max(highestMemmapPfn, endPfn - 1);
    if (zone == ZoneType.ZONE_DEVICE) {
      // Device pages come later, outside the hotplug lock; only those that hold the memmap now.
      if (altmap == null) {
        return;
      }
      if (startPfn == altmap.basePfn) {
        startPfn += altmap.reserve;
      }
      endPfn = altmap.basePfn + VmemAltmap.vmemAltmapOffset(altmap);
    }
    for (long pfn = startPfn; pfn < endPfn; ) {
      long runEnd = Math.min(endPfn, mmzone.sectionAlignUp(pfn + 1));
      // Only boot-time ranges have holes and may be left for later.
      if (early && deferred.deferInit(nid, pfn, runEnd - pfn, zoneEndPfn)) {
        deferredStructPages = true;
        break;
      }
      initOwnPages(pfn, runEnd, zone, nid, mark(early, zone));
      initPageblocks(pfn, runEnd, migratetype, isolatePageblock);
      pfn = runEnd;
    }
  }

  /**
   * The struct pages of a run in one section. Since patch 23 those that a shared tail stands for are
   * left out: writing them would overwrite it again and again.
   */
  private void initOwnPages(long pfn, long endPfn, ZoneType zone, int nid, Mark mark) {
    int order = mmzone.pfnToSectionOrder(pfn);
    if (!mm.series().skipsSharedTails() || order == 0 || !mm.config().structPageIsPowerOf2()) {
      pages.initPages(pfn, endPfn, zone, nid, mark);
      return;
    }
    long folioPages = 1L << order;
    for (long head = pfn & -folioPages; head < endPfn; head += folioPages) {
      long from = Math.max(pfn, head);
      long to = Math.min(endPfn, head + mmzone.optimizedFolioVmemmapPageStructs());
      if (from < to) {
        pages.initPages(from, to, zone, nid, mark);
      }
    }
  }

  private static Mark mark(boolean early, ZoneType zone) {
    if (early) {
      return Mark.NONE;
    }
    return zone == ZoneType.ZONE_DEVICE ? Mark.RESERVED : Mark.OFFLINE;
  }

  /** The pageblocks that start in the run. MOVABLE at boot, so that unmovable pages flock. */
  private void initPageblocks(long pfn, long endPfn, Migratetype type, boolean isolate) {
    for (long at = pages.pageblockAlign(pfn); at < endPfn; at += mmzone.pageblockNrPages()) {
      pageAlloc.initPageblockMigratetype(mm.model().pfnToPage(at), type, isolate);
      mm.condResched(at);
    }
  }

  /** {@code memmap_init_zone_range()}: returns the pfn where the next hole may begin. */
  @Kernel(file = "mm/mm_init.c", symbol = "memmap_init_zone_range")
  private long memmapInitZoneRange(Zone zone, long startPfn, long endPfn, long holePfn) {
    startPfn = Math.min(Math.max(startPfn, zone.zoneStartPfn), zone.endPfn());
    endPfn = Math.min(Math.max(endPfn, zone.zoneStartPfn), zone.endPfn());
    if (startPfn >= endPfn) {
      return holePfn;
    }
    memmapInitRange(
        endPfn - startPfn,
        zone.nid(),
        zone.idx(),
        startPfn,
        zone.endPfn(),
        true,
        null,
        Migratetype.MIGRATE_MOVABLE,
        false);
    if (holePfn < startPfn) {
      initUnavailableRange(holePfn, startPfn, zone.idx(), zone.nid());
    }
    return endPfn;
  }

  /** {@code memmap_init()}: every range of memory, and the holes between and behind them. */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "memmap_init",
      patches = {11})
  void memmapInit() {
    long holePfn = 0;
    long endPfn = 0;
    ZoneType zoneId = mm.zones().of(0);
    int nid = 0;
    for (MemPfnRange range : layout.memPfnRanges()) {
      nid = range.nid();
      endPfn = range.endPfn();
      for (Zone zone : mm.nodes().nodeData(nid).zones()) {
        if (!zone.populated()) {
          continue;
        }
        holePfn = memmapInitZoneRange(zone, range.startPfn(), endPfn, holePfn);
        zoneId = zone.idx();
      }
    }
    // From the end of memory to the end of its section; goes to the last zone of the last node.
    endPfn = mmzone.sectionAlignUp(endPfn);
    if (holePfn < endPfn) {
      initUnavailableRange(holePfn, endPfn, zoneId, nid);
    }
  }

  // ---- ZONE_DEVICE ----

  /**
   * {@code compound_nr_pages()}, until patch 42: how many struct pages of a compound device page are
   * its own. The others show the frame of the last of these and must not be written one by one.
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "compound_nr_pages",
      patches = {34, 42})
  private long compoundNrPages(long pfn, @Nullable VmemAltmap altmap, DevPagemap pgmap) {
    // An early section keeps its boot memmap, which is complete, whoever moves in later.
    boolean whole =
        mm.series().initsDeviceTailsInBootSections()
            && mmzone.earlySection(mmzone.pfnToSection(pfn));
    if (!whole && vmemmap().daxBySection()) {
      return vmemmap().sharesTails(pfn)
          ? mmzone.optimizedFolioVmemmapPageStructs()
          : pgmap.vmemmapNr();
    }
    if (whole || !vmemmap().vmemmapCanOptimize(altmap, pgmap)) {
      return pgmap.vmemmapNr();
    }
    return SparseVmemmap.VMEMMAP_RESERVE_NR * mmzone.optimizedFolioVmemmapPageStructs();
  }

  private SparseVmemmap vmemmap() {
    SparseVmemmap sparseVmemmap = vmemmap;
    if (sparseVmemmap == null) {
      throw new IllegalStateException("MmInit.setVmemmap() was not called");
    }
    return sparseVmemmap;
  }

  /**
   * {@code memmap_init_compound()}: prep_compound_page() with the initialisation of the pages in
   * the same pass. The pages behind head and first tails keep what they share.
   */
  @Kernel(file = "mm/mm_init.c", symbol = "memmap_init_compound")
  private void memmapInitCompound(
      Page head, long headPfn, ZoneType zone, int nid, DevPagemap pgmap, long nrPages) {
    mm.flags().set(head, PageFlags.PG_HEAD);
    pages.initZoneDeviceTails(headPfn + 1, headPfn + nrPages, head, zone, nid, pgmap);
    mm.inline().prepCompoundHead(head, pgmap.vmemmapShift);
  }

  /** {@code memmap_init_zone_device()}; see {@link MmInit#memmapInitZoneDevice}. */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "memmap_init_zone_device",
      patches = {6, 42})
  void memmapInitZoneDevice(Zone zone, long startPfn, long nrPages, DevPagemap pgmap) {
    long endPfn = startPfn + nrPages;
    VmemAltmap altmap = pgmap.pgmapAltmap();
    long pfnsPerCompound = pgmap.vmemmapNr();
    if (mm.printk()
        .warnOnOnce(
            zone.idx() != ZoneType.ZONE_DEVICE,
            "memmap_init_zone_device: !pgmap || zone_idx != ZONE_DEVICE")) {
      return;
    }
    if (altmap != null) {
      // memmap_init_range() did the pages that hold the memmap.
      startPfn = altmap.basePfn + VmemAltmap.vmemAltmapOffset(altmap);
      nrPages = endPfn - startPfn;
    }
    if (pfnsPerCompound == 1) {
      initSinglePages(startPfn, endPfn, zone, pgmap);
    } else {
      initCompoundPages(startPfn, endPfn, zone, pgmap, pfnsPerCompound);
    }
    if (mm.series().initsAllDevicePageblocks()) {
      pages.pageblockMigratetypeInitRange(
          startPfn, nrPages, Migratetype.MIGRATE_MOVABLE, false);
    }
  }

  /**
   * Before patch 6 {@code __init_zone_device_page()} set the type of the pageblock that the page
   * begins: where struct pages are shared, most are not visited.
   */
  private void initVisitedPageblocks(long pfn, long nrPages) {
    if (!mm.series().initsAllDevicePageblocks()) {
      pages.pageblockMigratetypeInitRange(pfn, nrPages, Migratetype.MIGRATE_MOVABLE, false);
    }
  }

  /** The loop of memmap_init_zone_device() for pages that are no compound pages. */
  private void initSinglePages(long startPfn, long endPfn, Zone zone, DevPagemap pgmap) {
    for (long pfn = startPfn; pfn < endPfn; ) {
      long runEnd = Math.min(endPfn, mmzone.sectionAlignUp(pfn + 1));
      pages.initZoneDevicePages(pfn, runEnd, zone.idx(), zone.nid(), pgmap);
      initVisitedPageblocks(pfn, runEnd - pfn);
      condReschedAtSection(pfn);
      pfn = runEnd;
    }
  }

  /** The loop of memmap_init_zone_device() for compound pages. */
  private void initCompoundPages(
      long startPfn, long endPfn, Zone zone, DevPagemap pgmap, long pfnsPerCompound) {
    for (long pfn = startPfn; pfn < endPfn; pfn += pfnsPerCompound) {
      Page page = mm.model().pfnToPage(pfn);
      pages.initZoneDevicePage(page, zone.idx(), zone.nid(), pgmap);
      condReschedAtSection(pfn);
      long nrPages =
          mm.series().countsWholeFolios()
              ? vmemmap().sectionVmemmapPageStructs(pfn, pfnsPerCompound)
              : compoundNrPages(pfn, pgmap.pgmapAltmap(), pgmap);
      memmapInitCompound(page, pfn, zone.idx(), zone.nid(), pgmap, nrPages);
      initVisitedPageblocks(pfn, nrPages);
    }
  }

  /** Both loops let others run at the start of each section. */
  private void condReschedAtSection(long pfn) {
    if (Align.isAligned(pfn, mmzone.pagesPerSection())) {
      mm.condResched(pfn);
    }
  }
}
