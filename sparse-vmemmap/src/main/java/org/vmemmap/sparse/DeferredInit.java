// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Align;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The part of mm_init.c that leaves most struct pages of a node's last zone for later.
 *
 * <pre>
 *   last zone of a node, in sections
 *   +---------+---------+---------+---------+---------+
 *   | at boot | at boot |     by deferred_init_memmap   |
 *   +---------+---------+---------+---------+---------+
 *             ^ first_deferred_pfn: the first section start behind
 *               more than one section worth of pages
 * </pre>
 *
 * Pages that memblock has reserved are initialised one by one before ({@code
 * init_deferred_page()}), holes by {@code init_unavailable_range()}; so the late run only visits
 * what memblock has free, and gives it to the page allocator at once. Runs on one CPU here, node by
 * node; the kernel starts a thread for each node and cuts its range among more.
 */
@Kernel(file = "mm/mm_init.c", symbol = "deferred_init_memmap")
final class DeferredInit {
  /** ULONG_MAX as {@link PgData#firstDeferredPfn} spells it. */
  private static final long NONE = Long.MAX_VALUE;

  private final Mm mm;
  private final Memblock memblock;
  private final PageAlloc pageAlloc;
  private final StructPageInit pages;
  private boolean deferredPages;
  private long prevEndPfn;
  private long nrInitialised;

  DeferredInit(Mm mm, Memblock memblock, PageAlloc pageAlloc, StructPageInit pages) {
    this.mm = mm;
    this.memblock = memblock;
    this.pageAlloc = pageAlloc;
    this.pages = pages;
    this.deferredPages = mm.config().deferredStructPageInit();
  }

  /** {@code deferred_pages_enabled()}: struct pages may still be missing. */
  @Kernel(file = "mm/mm_init.h", symbol = "deferred_pages_enabled")
  boolean deferredPagesEnabled() {
    return deferredPages;
  }

  /** {@code static_branch_disable(&deferred_pages)}. */
  void disableDeferredPages() {
    deferredPages = false;
  }

  /** {@code pgdat_set_deferred_range()}. */
  @Kernel(file = "mm/mm_init.c", symbol = "pgdat_set_deferred_range")
  void pgdatSetDeferredRange(PgData pgdat) {
    pgdat.firstDeferredPfn = NONE;
  }

  /** {@code early_page_initialised()}: the struct page of {@code pfn} was not left for later. */
  @Kernel(file = "mm/mm_init.c", symbol = "early_page_initialised")
  boolean earlyPageInitialised(long pfn, int nid) {
    return pfn < mm.nodes().nodeData(nid).firstDeferredPfn;
  }

  /**
   * {@code defer_init()}: whether initialisation stops at {@code pfn}.
   *
   * <p>The kernel asks for every pfn. The answer can only change at the start of a section, so this
   * asks once for {@code nrPages} pages and counts them all.
   *
   * @param nrPages pages from {@code pfn} to at most the end of its section
   * @param endPfn first pfn behind the zone
   */
  @Kernel(file = "mm/mm_init.c", symbol = "defer_init")
  boolean deferInit(int nid, long pfn, long nrPages, long endPfn) {
    PgData pgdat = mm.nodes().nodeData(nid);
    // early_page_ext_enabled() is a debugging option that is not modelled.
    if (!mm.config().deferredStructPageInit() || endPfn < pgdat.endPfn()) {
      return false;
    }
    if (pgdat.firstDeferredPfn != NONE) {
      return true;
    }
    if (prevEndPfn != endPfn) {
      prevEndPfn = endPfn;
      nrInitialised = 0;
    }
    long pagesPerSection = mm.mmzone().pagesPerSection();
    nrInitialised++;
    if (nrInitialised > pagesPerSection && Align.isAligned(pfn, pagesPerSection)) {
      pgdat.firstDeferredPfn = pfn;
      return true;
    }
    nrInitialised += nrPages - 1;
    return false;
  }

  /**
   * {@code init_deferred_page()}: initialises the struct page of a reserved page ahead of the
   * others, and its pageblock when it is the first of one. Does nothing for a page that was not
   * deferred.
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "__init_deferred_page",
      patches = {18})
  void initDeferredPage0(long pfn, int nid) {
    if (earlyPageInitialised(pfn, nid)) {
      return;
    }
    initPageFromNid(pfn, nid);
  }

  /** Initialises a reserved page whatever its state, finding its zone first. */
  @Kernel(file = "mm/mm_init.c", symbol = "__init_page_from_nid", patches = {18})
  void initPageFromNid(long pfn, int nid) {
    Page page = mm.model().pfnToPage(pfn);
    ZoneType zone = spanningZone(pfn, nid);
    pages.initSinglePage(page, zone == null ? mm.zones().of(0) : zone, nid);
    if (zone == null) {
      // The kernel's loop over the zones ends behind the last one, and so says the struct page.
      mm.inline().setPageZonenum(page, mm.zones().maxNrZones());
    }
    if (Align.isAligned(pfn, mm.mmzone().pageblockNrPages())) {
      pageAlloc.initPageblockMigratetype(page, Migratetype.MIGRATE_MOVABLE, false);
    }
  }

  /**
   * {@link #initDeferredPage0} and PG_reserved for a run of pages at once: memblock's own memory,
   * the memmap above all, often lies in the deferred part.
   *
   * @return false when the run is not deferred as a whole, or not in one zone; nothing is done then
   */
  boolean initDeferredPagesReserved(long pfn, long endPfn, int nid) {
    if (earlyPageInitialised(pfn, nid)) {
      return false;
    }
    @Nullable ZoneType zone = spanningZone(pfn, nid);
    if (zone == null || zone != spanningZone(endPfn - 1, nid)) {
      return false;
    }
    pages.initPages(pfn, endPfn, zone, nid, StructPageInit.Mark.RESERVED);
    pages.pageblockMigratetypeInitRange(
        pfn, endPfn - pfn, Migratetype.MIGRATE_MOVABLE, true);
    return true;
  }

  /**
   * The first zone of the node that spans {@code pfn}; null when none does, as for memory that is
   * reserved but no RAM, in a section that another node's RAM begins.
   */
  private @Nullable ZoneType spanningZone(long pfn, int nid) {
    for (Zone zone : mm.nodes().nodeData(nid).zones()) {
      if (zone.spansPfn(pfn)) {
        return zone.idx();
      }
    }
    return null;
  }

  /** {@code deferred_free_pages()}: to the page allocator, in one block where it is a whole one. */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "deferred_free_pages",
      patches = {7})
  private void deferredFreePages(long pfn, long nrPages) {
    if (nrPages == 0) {
      return;
    }
    pages.pageblockMigratetypeInitRange(pfn, nrPages, Migratetype.MIGRATE_MOVABLE, true);
    Page page = mm.model().pfnToPage(pfn);
    long maxOrderNrPages = maxOrderNrPages();
    if (nrPages == maxOrderNrPages && Align.isAligned(pfn, maxOrderNrPages)) {
      pageAlloc.freePagesCore(page, mm.config().maxPageOrder(), false);
      return;
    }
    for (long i = 0; i < nrPages; i++) {
      pageAlloc.freePagesCore(mm.struct().add(page, i), 0, false);
    }
  }

  /** {@code deferred_init_pages()}: returns the number of pages. */
  @Kernel(file = "mm/mm_init.c", symbol = "deferred_init_pages")
  private long deferredInitPages(Zone zone, long pfn, long endPfn) {
    pages.initPages(pfn, endPfn, zone.idx(), zone.nid(), StructPageInit.Mark.NONE);
    return endPfn - pfn;
  }

  /**
   * {@code deferred_init_memmap_chunk()}: initialises and frees what memblock has free in the
   * range, in steps that end at MAX_PAGE_ORDER boundaries, so that a struct page is still in the
   * cache when it is freed.
   *
   * @return pages initialised
   */
  @Kernel(file = "mm/mm_init.c", symbol = "deferred_init_memmap_chunk")
  private long deferredInitMemmapChunk(long startPfn, long endPfn, Zone zone, boolean canResched) {
    long maxOrderNrPages = maxOrderNrPages();
    long nrPages = 0;
    for (Memblock.MemRange range : memblock.freeMemRanges(zone.nid())) {
      long spfn = mm.model().pfnUp(range.start());
      long epfn = Math.min(mm.model().physPfn(range.end()), endPfn);
      if (spfn >= endPfn) {
        break;
      }
      spfn = Math.max(spfn, startPfn);
      while (spfn < epfn) {
        long moPfn = Align.align(spfn + 1, maxOrderNrPages);
        long chunkEnd = Math.min(moPfn, epfn);
        nrPages += deferredInitPages(zone, spfn, chunkEnd);
        deferredFreePages(spfn, chunkEnd - spfn);
        spfn = chunkEnd;
        if (canResched) {
          mm.condResched(spfn);
        }
      }
    }
    return nrPages;
  }

  /** {@code deferred_init_memmap()}: the rest of a node. */
  @Kernel(file = "mm/mm_init.c", symbol = "deferred_init_memmap")
  void deferredInitMemmap(PgData pgdat) {
    resizeLock(pgdat);
    long firstInitPfn = pgdat.firstDeferredPfn;
    if (firstInitPfn == NONE) {
      return;
    }
    mm.printk()
        .bugOn(
            firstInitPfn < pgdat.nodeStartPfn,
            "deferred_init_memmap: first_deferred_pfn < node_start_pfn");
    mm.printk()
        .bugOn(
            firstInitPfn > pgdat.endPfn(),
            "deferred_init_memmap: first_deferred_pfn > pgdat_end_pfn");
    // From here on the zone cannot be grown on demand any more.
    pgdat.firstDeferredPfn = NONE;

    Zone[] zones = pgdat.zones();
    Zone zone = zones[pgdat.nrZones - 1];
    long lastPfn = mm.mmzone().sectionAlignUp(zone.endPfn());
    deferredInitMemmapChunk(firstInitPfn, lastPfn, zone, true);
    mm.printk()
        .warnOn(
            pgdat.nrZones < zones.length && zones[pgdat.nrZones].populated(),
            "deferred_init_memmap: nr_zones < MAX_NR_ZONES && populated_zone(++zone)");
    // The model has no clock: no time passes.
    mm.printk().prInfo("node " + pgdat.nodeId() + " deferred pages initialised in 0ms");
  }

  /**
   * {@code deferred_grow_zone()}: initialises enough sections of a zone, while others are still to
   * come, to have 2^{@code order} pages more.
   *
   * @return true when it is worth to look for free pages again
   */
  @Kernel(file = "mm/mm_init.c", symbol = "deferred_grow_zone")
  boolean deferredGrowZone(Zone zone, int order) {
    long nrPagesNeeded = mm.mmzone().sectionAlignUp(1L << order);
    PgData pgdat = mm.nodes().nodeData(zone.nid());
    long firstDeferredPfn = pgdat.firstDeferredPfn;
    if (zone.endPfn() != pgdat.endPfn()) {
      return false;
    }
    resizeLock(pgdat);
    if (firstDeferredPfn != pgdat.firstDeferredPfn) {
      // Another CPU grew the zone while this one waited for the lock.
      return true;
    }
    long nrPages = 0;
    long spfn = firstDeferredPfn;
    if (spfn != NONE) {
      long epfn = mm.mmzone().sectionAlignUp(spfn + 1);
      while (nrPages < nrPagesNeeded && spfn < zone.endPfn()) {
        nrPages += deferredInitMemmapChunk(spfn, epfn, zone, false);
        spfn = epfn;
        epfn += mm.mmzone().pagesPerSection();
      }
    }
    // The loop may end a section behind the zone; then nothing is left.
    pgdat.firstDeferredPfn = spfn < zone.endPfn() ? spfn : NONE;
    return nrPages > 0;
  }

  /** {@code pgdat_resize_lock()}: whoever runs meanwhile may move first_deferred_pfn. */
  private void resizeLock(PgData pgdat) {
    mm.machine().yields().at("pgdat_resize_lock", pgdat.nodeId());
  }

  private long maxOrderNrPages() {
    return 1L << mm.config().maxPageOrder();
  }
}
