// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The page allocator: hands out blocks of 2^order pages and takes them back.
 *
 * <pre>
 *   allocPagesNode ── getPageFromFreelist ── zone by zone ── rmqueue ─┬─ per-CPU list
 *                                                                     └─ buddy free lists
 *   freePages ── freeFrozenPages ── freePagesPrepare ─┬─ per-CPU list
 *                                                     └─ splitLargeBuddy ── merge with buddies
 * </pre>
 *
 * A page that is handed out has a reference count of 1, a frozen one 0. Orders go from 0 to
 * MAX_PAGE_ORDER; more comes from {@link #allocContigFrozenPages}. Callers run one at a time; the
 * places where the kernel takes a lock are yield points.
 *
 * <p>The parts of mm/page_alloc.c live in classes of their own: pageblock flags, free lists,
 * migratetype fallback, per-CPU lists, watermarks, page checks, zonelists.
 */
public final class PageAlloc {
  private HugetlbHooks hugetlbHooks = HugetlbHooks.NONE;
  private static final int NUMA_NO_NODE = -1;

  /** After so many rounds a page that cannot be moved is left where it is. */
  private static final int CONTIG_TRIES = 5;

  private final Mm mm;
  private final Pageblocks blocks;
  private final PageRuns runs;
  private final FreeLists lists;
  private final Watermarks marks;
  private final PlacementSearch placed;
  private final PageChecks checks;
  private final Pcplists pcp;
  private final Zonelists zonelists;
  private final PageIsolation isolation;
  private final Compaction compaction;
  private PageMigration migration = PageMigration.NONE;
  private @Nullable DeferredGrow deferredGrow;
  private long totalramPages;
  private long totalcmaPages;

  /** The upcall to mm_init.c while struct pages of some zones are still to be initialised. */
  @FunctionalInterface
  public interface DeferredGrow {
    /** {@code deferred_grow_zone()}: true when the zone has got more pages. */
    boolean deferredGrowZone(Zone zone, int order);
  }

  /** A page allocator without any pages. */
  public PageAlloc(Mm mm, Placement placement) {
    this.mm = mm;
    this.blocks = new Pageblocks(mm);
    this.runs = new PageRuns(mm);
    this.lists = new FreeLists(mm, blocks);
    this.marks = new Watermarks(mm, lists);
    this.placed = new PlacementSearch(mm, lists, blocks, placement);
    this.checks = new PageChecks(mm);
    Rmqueue rmqueue = new Rmqueue(mm, lists, blocks, marks, placed);
    this.pcp = new Pcplists(mm, lists, blocks, rmqueue, checks, marks, placed);
    this.zonelists = new Zonelists(mm, marks::zones);
    this.isolation = new PageIsolation(mm, lists, blocks, marks);
    this.compaction = new Compaction(mm, lists, blocks);
  }

  /** What an allocation may use: {@code struct alloc_context}. */
  @Kernel(file = "mm/page_alloc.h", symbol = "struct alloc_context")
  private record AllocContext(
      List<Zone> zonelist, int preferredNid, Migratetype migratetype, ZoneType highestZoneidx) {}

  /**
   * How many pages from {@code pfn} on, before {@code end}, neither begin a free block nor are of a
   * compound page: for loops that step over each of them. There may be more than it says.
   */
  public long singlePages(long pfn, long end) {
    if (mm.machine().yields().heard()) {
      return 0;
    }
    PageCursor at = new PageCursor(mm, mm.model().pfnToPage(pfn));
    long pages = 0;
    for (int run = -1; run != 0 && pfn + pages < end; pages += run) {
      run = runs.single(at, end - pfn - pages);
      at.skip(run);
    }
    return pages;
  }

  // ---- pageblocks ----

  /** {@code get_pfnblock_migratetype()}: MIGRATE_ISOLATE while the pageblock is isolated. */
  @Kernel(file = "mm/page_alloc.c", symbol = "get_pfnblock_migratetype")
  public Migratetype getPfnblockMigratetype(Page page, long pfn) {
    return blocks.getPfnblockMigratetype(page, pfn);
  }

  /** {@code set_pageblock_migratetype()}: not for MIGRATE_ISOLATE. */
  @Kernel(file = "mm/page_alloc.c", symbol = "set_pageblock_migratetype")
  public void setPageblockMigratetype(Page page, Migratetype type) {
    blocks.setPageblockMigratetype(page, type);
  }

  /** {@code init_pageblock_migratetype()}: of a pageblock that has no free pages yet. */
  @Kernel(file = "mm/page_alloc.c", symbol = "init_pageblock_migratetype")
  public void initPageblockMigratetype(Page page, Migratetype type, boolean isolate) {
    blocks.initPageblockMigratetype(page, type, isolate);
  }

  /** {@code zone_init_free_lists()}: the zone has empty lists from now on. */
  @Kernel(file = "mm/mm_init.c", symbol = "zone_init_free_lists")
  public void zoneInitFreeLists(Zone zone) {
    lists.zoneInitFreeLists(zone);
  }

  /** Pageblock isolation, for memory that goes offline. */
  public PageIsolation isolation() {
    return isolation;
  }

  /** Connects HugeTLB, whose pages can make room for a large range, and who moves their users. */
  public void setHugetlbHooks(HugetlbHooks hooks, PageMigration pageMigration) {
    this.hugetlbHooks = hooks;
    this.migration = pageMigration;
    isolation.setHugetlbHooks(hooks);
    compaction.setHooks(hooks, pageMigration);
  }

  /** Who moves the users of pages. */
  public PageMigration migration() {
    return migration;
  }

  // ---- compound pages ----

  /** {@code prep_compound_page()}: the 2^{@code order} pages become one; order at least 1. */
  @Kernel(file = "mm/page_alloc.c", symbol = "prep_compound_page")
  public void prepCompoundPage(Page page, int order) {
    mm.flags().set(page, PageFlags.PG_HEAD);
    if (mm.config().debugVm()) {
      for (long i = 1; i < 1L << order; i++) {
        mm.inline().prepCompoundTail(mm.struct().add(page, i), page, order);
      }
    } else {
      PageCursor tail = new PageCursor(mm, page);
      long info = mm.flags().compoundInfo(page, order);
      tail.next();
      for (long i = 1; i < 1L << order; ) {
        int made = runs.makeTails(tail, (1L << order) - i, info);
        if (made == 0) {
          tail.set(StructPage.MAPPING, mm.flags().tailMapping());
          tail.set(StructPage.COMPOUND_INFO, info);
          made = 1;
        }
        tail.skip(made);
        i += made;
      }
    }
    mm.inline().prepCompoundHead(page, order);
  }

  // ---- freeing fresh memory ----

  /**
   * {@code __free_pages_core()}: the first time that pages go to the free lists. Their struct pages
   * say "in use, reserved or offline" until now.
   *
   * @param hotplug true for MEMINIT_HOTPLUG; then present and managed pages of the zone rise
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "__free_pages_core")
  public void freePagesCore(Page page, int order, boolean hotplug) {
    long nrPages = 1L << order;
    PageCursor p = new PageCursor(mm, page);
    for (long loop = 0; loop < nrPages; loop++, p.next()) {
      long typeAndCount = p.get(StructPage.PAGE_TYPE);
      if (hotplug) {
        mm.printk()
            .vmWarnOnOnce(
                mm.config().debugVm() && mm.flags().pageReserved(p.page()),
                "__free_pages_core: PageReserved(p)");
        if ((int) typeAndCount >>> 24 == PageFlags.PGTY_OFFLINE) {
          typeAndCount = 0xffff_ffffL;
        }
      } else {
        long flags = p.get(StructPage.FLAGS);
        if ((flags & 1L << PageFlags.PG_RESERVED) != 0) {
          p.set(StructPage.FLAGS, flags & ~(1L << PageFlags.PG_RESERVED));
        }
      }
      p.set(StructPage.PAGE_TYPE, typeAndCount & 0xffff_ffffL);
    }
    if (hotplug) {
      adjustManagedPageCount(page, nrPages);
    } else {
      Zone zone = mm.inline().pageZone(page);
      zone.managedPages = mm.machine().add("managed_pages", zone.managedPages, nrPages);
    }
    pcp.freePagesOk0(page, order, FreeLists.FPI_TO_TAIL);
  }

  /**
   * {@code adjust_managed_page_count()}: {@code count} pages of the page's zone have come under the
   * allocator's control, or left it when negative.
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "adjust_managed_page_count")
  public void adjustManagedPageCount(Page page, long count) {
    Zone zone = mm.inline().pageZone(page);
    zone.managedPages = mm.machine().add("managed_pages", zone.managedPages, count);
    totalramPagesAdd(count);
    marks.setupPerZoneLowmemReserve();
  }

  /** {@code totalram_pages_add()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "totalram_pages_add")
  public void totalramPagesAdd(long count) {
    totalramPages = mm.machine().add("totalram_pages", totalramPages, count);
  }

  /** {@code totalram_pages()}: pages that the allocator was given, in all zones. */
  @Kernel(file = "include/linux/mm.h", symbol = "totalram_pages")
  public long totalramPages() {
    return totalramPages;
  }

  /** Adds to {@code totalcma_pages}; {@code count} may be negative. */
  void totalcmaPagesAdd(long count) {
    totalcmaPages = mm.machine().add("totalcma_pages", totalcmaPages, count);
  }

  /** {@code totalcma_pages}: pages of all CMA areas. */
  @Kernel(file = "mm/show_mem.c", symbol = "totalcma_pages")
  public long totalcmaPages() {
    return totalcmaPages;
  }

  /** {@code free_reserved_page()}: a page from memblock that nobody needs any more. */
  @Kernel(file = "include/linux/mm.h", symbol = "free_reserved_page")
  public void freeReservedPage(Page page) {
    freeReservedPages(page, 0);
  }

  /** {@code free_reserved_pages()}: 2^{@code order} of them, aligned to that. */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_reserved_pages")
  public void freeReservedPages(Page page, int order) {
    long nrPages = 1L << order;
    mm.printk()
        .vmWarnOnOnce(
            (mm.model().pageToPfn(page) & (nrPages - 1)) != 0,
            "free_reserved_pages: !IS_ALIGNED(page_to_pfn(page), nr_pages)");
    mm.printk()
        .vmWarnOnOnce(
            order > mm.config().maxPageOrder(), "free_reserved_pages: order > MAX_PAGE_ORDER");
    unreserve(page, nrPages);
    adjustManagedPageCount(page, nrPages);
    pcp.freeFrozenPages0(page, order, FreeLists.FPI_NONE);
  }

  /** {@code __ClearPageReserved()} and a reference count of 0 for {@code nrPages}, upwards. */
  public void unreserve(Page first, long nrPages) {
    PageCursor p = new PageCursor(mm, first);
    for (long i = 0; i < nrPages; i++, p.next()) {
      p.set(StructPage.PAGE_TYPE, p.get(StructPage.PAGE_TYPE) & 0xffff_ffffL);
      p.set(StructPage.FLAGS, p.get(StructPage.FLAGS) & ~(1L << PageFlags.PG_RESERVED));
    }
  }

  // ---- freeing ----

  /** {@code free_pages_prepare()}: false when the pages are bad and must not be reused. */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_pages_prepare")
  public boolean freePagesPrepare(Page page, int order) {
    return checks.freePagesPrepare0(page, order, FreeLists.FPI_NONE);
  }

  /**
   * {@code free_frozen_pages()}: frees 2^{@code order} pages whose reference count is 0; a compound
   * page of any order, otherwise up to MAX_PAGE_ORDER.
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_frozen_pages")
  public void freeFrozenPages(Page page, int order) {
    pcp.freeFrozenPages0(page, order, FreeLists.FPI_NONE);
  }

  /**
   * {@code __free_pages()}: drops a reference. If another holder has one on a block that is not
   * compound, all pages but the first are freed now; the first goes with the last reference.
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "___free_pages")
  public void freePages(Page page, int order) {
    boolean head = mm.flags().pageHead(page);
    if (mm.refs().putPageTestzero(page)) {
      pcp.freeFrozenPages0(page, order, FreeLists.FPI_NONE);
    } else if (!head) {
      while (order-- > 0) {
        pcp.freeFrozenPages0(mm.struct().add(page, 1L << order), order, FreeLists.FPI_NONE);
      }
    }
  }

  /** {@code __free_page()}. */
  @Kernel(file = "include/linux/gfp.h", symbol = "__free_page")
  public void freePage(Page page) {
    freePages(page, 0);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__split_page")
  private void splitPage0(Page page) {
    mm.printk().vmWarnOnOnce(mm.flags().pageCompound(page), "__split_page: PageCompound(page)");
  }

  /** {@code split_page()}: each of the 2^{@code order} pages gets a reference of its own. */
  @Kernel(file = "mm/page_alloc.c", symbol = "split_page")
  public void splitPage(Page page, int order) {
    mm.printk()
        .vmWarnOnOnce(mm.refs().pageRefCount(page) == 0, "split_page: !page_count(page)");
    for (long i = 1; i < 1L << order; i++) {
      setPageRefcounted(mm.struct().add(page, i));
    }
    splitPage0(page);
  }

  @Kernel(file = "mm/internal.h", symbol = "set_page_refcounted")
  void setPageRefcounted(Page page) {
    if (mm.config().debugVm()) {
      mm.printk().vmBugOn(mm.flags().pageTail(page), "set_page_refcounted: PageTail(page)");
      mm.printk()
          .vmBugOn(mm.refs().pageRefCount(page) != 0, "set_page_refcounted: page_ref_count(page)");
    }
    mm.refs().setPageCount(page, 1);
  }

  // ---- allocating ----

  /**
   * Pages of a block leave the free lists for good: their content and what the gfp mask asks for.
   */
  @Kernel(
      file = "mm/page_alloc.c",
      symbol = "post_alloc_hook",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only __GFP_ZERO clears pages: init_on_alloc would fill memory that nobody looks at.")
  private void postAllocHook(Page page, int order, Gfp gfp) {
    mm.struct().setPriv(page, 0);
    long pfn = mm.model().pageToPfn(page);
    mm.machine().ledger().transfer(pfn, 1L << order, Owner.BUDDY, Owner.ALLOCATED);
    if (gfp.has(Gfp.ZERO)) {
      mm.machine().cpu().fill(mm.model().pageAddress(page), mm.model().pageSize() << order, (byte) 0);
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "prep_new_page")
  private void prepNewPage(Page page, int order, Gfp gfp) {
    postAllocHook(page, order, gfp);
    if (order != 0 && gfp.has(Gfp.COMPOUND)) {
      prepCompoundPage(page, order);
    }
    clearPagePfmemalloc(page);
  }

  /** The mark is bit 1 of lru.next, which a compound head does not use for anything else. */
  @Kernel(file = "include/linux/mm.h", symbol = "clear_page_pfmemalloc")
  private void clearPagePfmemalloc(Page page) {
    mm.struct().setWord(page, StructPage.LRU, 0);
  }

  /** NOFRAGMENT where another zone of the node can be tried before pageblocks are mixed. */
  @Kernel(file = "mm/page_alloc.c", symbol = "alloc_flags_nofragment")
  private int allocFlagsNofragment(AllocContext ac) {
    if (!mm.zones().has(ZoneType.ZONE_DMA32)
        || ac.zonelist.isEmpty()
        || ac.zonelist.getFirst().idx() != ZoneType.ZONE_NORMAL) {
      return 0;
    }
    Zone dma32 = mm.nodes().nodeData(ac.zonelist.getFirst().nid()).zone(ZoneType.ZONE_DMA32);
    boolean severalNodes = mm.nodes().count() > 1;
    return severalNodes && !dma32.populated() ? 0 : Watermarks.ALLOC_NOFRAGMENT;
  }

  /**
   * {@code deferred_pages_enabled()}: true while struct pages of some zones are not initialised.
   *
   * @see #setDeferredGrow
   */
  @Kernel(file = "mm/mm_init.h", symbol = "deferred_pages_enabled")
  public boolean deferredPagesEnabled() {
    return deferredGrow != null;
  }

  /** Tells who grows a zone with deferred pages; null once all struct pages are initialised. */
  public void setDeferredGrow(@Nullable DeferredGrow grow) {
    deferredGrow = grow;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "_deferred_grow_zone")
  private boolean deferredGrowZone(Zone zone, int order) {
    DeferredGrow grow = deferredGrow;
    return grow != null && grow.deferredGrowZone(zone, order);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "get_page_from_freelist")
  private @Nullable Page getPageFromFreelist(Gfp gfp, int order, int allocFlags, AllocContext ac) {
    if (placed.active()) {
      int avoid = (allocFlags & ~Watermarks.ALLOC_NOFRAGMENT) | Watermarks.ALLOC_AVOID_KEPT;
      Page page = scanZonelist(gfp, order, avoid, ac);
      if (page != null) {
        return page;
      }
    }
    Page page = scanZonelist(gfp, order, allocFlags, ac);
    if (page == null && (allocFlags & Watermarks.ALLOC_NOFRAGMENT) != 0) {
      page = scanZonelist(gfp, order, allocFlags & ~Watermarks.ALLOC_NOFRAGMENT, ac);
    }
    return page;
  }

  /** One pass over the zonelist; stops before the first remote node while fragments are avoided. */
  private @Nullable Page scanZonelist(Gfp gfp, int order, int flags, AllocContext ac) {
    for (Zone zone : ac.zonelist) {
      if ((flags & Watermarks.ALLOC_NOFRAGMENT) != 0
          && zone.nid() != ac.zonelist.getFirst().nid()) {
        return null;
      }
      boolean usable = watermarkAllows(zone, order, flags, ac) || deferredGrowZone(zone, order);
      while (usable) {
        Page page = pcp.rmqueue(zone, order, flags, ac.migratetype);
        if (page != null) {
          prepNewPage(page, order, gfp);
          return page;
        }
        usable = deferredGrowZone(zone, order);
      }
    }
    return null;
  }

  private boolean watermarkAllows(Zone zone, int order, int flags, AllocContext ac) {
    ZoneState state = lists.state(zone);
    if (!state.belowHigh) {
      long high = state.wmarkPages(ZoneState.WMARK_HIGH);
      if (marks.zoneWatermarkFast(zone, order, high, ac.highestZoneidx, flags)) {
        return true;
      }
      state.belowHigh = true;
    }
    long mark = state.wmarkPages(flags & Watermarks.ALLOC_WMARK_MASK);
    return marks.zoneWatermarkFast(zone, order, mark, ac.highestZoneidx, flags)
        || (flags & Watermarks.ALLOC_NO_WATERMARKS) != 0;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "alloc_flags_slowpath")
  private static int allocFlagsSlowpath(Gfp gfp) {
    int flags = ZoneState.WMARK_MIN;
    flags |= gfp.high() ? Watermarks.ALLOC_MIN_RESERVE : 0;
    return flags | (gfp.canDirectReclaim() ? 0 : Watermarks.ALLOC_NON_BLOCK);
  }

  @Kernel(
      file = "mm/page_alloc.c",
      symbol = "__alloc_pages_slowpath",
      fidelity = Kernel.Fidelity.CUSTOM,
      why =
          "Nothing can be reclaimed, compacted or killed here: the min watermark, drained per-CPU"
              + " lists and, for __GFP_NOFAIL, the reserves are all that is left to try.")
  private @Nullable Page allocPagesSlowpath0(Gfp gfp, int order, int cma, AllocContext ac) {
    boolean nofail = gfp.has(Gfp.NOFAIL);
    mm.printk()
        .warnOnOnce(
            nofail && !gfp.canDirectReclaim(), "__alloc_pages_slowpath: !can_direct_reclaim");
    int flags = allocFlagsSlowpath(gfp) | cma;
    Page page = getPageFromFreelist(gfp, order, flags, ac);
    if (page == null && gfp.canDirectReclaim()) {
      pcp.drainAllPages0(null);
      page = getPageFromFreelist(gfp, order, flags, ac);
    }
    if (page == null && nofail && gfp.canDirectReclaim()) {
      page = getPageFromFreelist(gfp, order, flags | Watermarks.ALLOC_MIN_RESERVE, ac);
    }
    if (page == null && !gfp.has(Gfp.NOWARN)) {
      mm.printk().prWarn("page allocation failure: order:" + order);
    }
    return page;
  }

  /** True for a request that the placement decides on. */
  private boolean isPlaced(Gfp gfp, int order) {
    return placed.active() && order >= placed.smallestOrder() && gfp.has(Gfp.COMPOUND);
  }

  /** The block that the placement has for this hugepage, if it is free; null otherwise. */
  private @Nullable Page placedPage(Gfp gfp, int order, AllocContext ac) {
    if (!isPlaced(gfp, order)) {
      return null;
    }
    long pfn = placed.next(order, ac.preferredNid);
    if (pfn < 0 && !gfp.has(Gfp.THISNODE)) {
      pfn = placed.next(order, NUMA_NO_NODE);
    }
    Zone zone = pfn < 0 ? null : zoneOf(pfn, ac.zonelist);
    if (zone == null) {
      return null;
    }
    Page page = takePlaced(zone, pfn, order);
    if (page == null) {
      pcp.drainAllPages0(zone);
      page = takePlaced(zone, pfn, order);
    }
    if (page != null) {
      prepNewPage(page, order, gfp);
    }
    return page;
  }

  private @Nullable Page takePlaced(Zone zone, long pfn, int order) {
    lists.lock(zone);
    try {
      return placed.take(zone, pfn, order);
    } finally {
      lists.unlock(zone);
    }
  }

  private @Nullable Zone zoneOf(long pfn, List<Zone> zonelist) {
    if (mm.mmzone().pfnOnline(pfn)) {
      Zone zone = mm.inline().pageZone(mm.model().pfnToPage(pfn));
      return zonelist.contains(zone) ? zone : null;
    }
    return null;
  }

  /**
   * {@code __alloc_frozen_pages()}: 2^{@code order} pages with a reference count of 0.
   *
   * @param preferredNid node to begin with
   * @param nodemask nodes allowed; null for all
   * @param site the kernel function that asks, for fault injection
   * @return the first page, or null
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "__alloc_frozen_pages_noprof")
  public @Nullable Page allocFrozenPages(
      Gfp gfp, int order, int preferredNid, @Nullable Set<Integer> nodemask, String site) {
    if (order > mm.config().maxPageOrder()) {
      mm.printk()
          .warnOnOnce(!gfp.has(Gfp.NOWARN), "__alloc_frozen_pages_noprof: order > MAX_PAGE_ORDER");
      return null;
    }
    AllocContext ac = prepareAllocPages(gfp, preferredNid, nodemask);
    if (mm.mayFail(site)) {
      return null;
    }
    Page page = placedPage(gfp, order, ac);
    if (page != null || (isPlaced(gfp, order) && placed.exhausted(order, preferredNid))) {
      return page;
    }
    int cma = allocFlagsCma(gfp);
    int flags = ZoneState.WMARK_LOW | cma | allocFlagsNofragment(ac);
    page = getPageFromFreelist(gfp, order, flags, ac);
    return page != null ? page : allocPagesSlowpath0(gfp, order, cma, ac);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "alloc_flags_cma")
  private static int allocFlagsCma(Gfp gfp) {
    return gfp.gfpMigratetype() == Migratetype.MIGRATE_MOVABLE ? Watermarks.ALLOC_CMA : 0;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "prepare_alloc_pages")
  private AllocContext prepareAllocPages(
      Gfp gfp, int preferredNid, @Nullable Set<Integer> nodemask) {
    ZoneType highest = gfp.gfpZone(mm.zones());
    List<Zone> zonelist =
        zonelists.zonelist(preferredNid, gfp.has(Gfp.THISNODE), highest, nodemask);
    return new AllocContext(zonelist, preferredNid, gfp.gfpMigratetype(), highest);
  }

  /**
   * {@code alloc_pages_node()}: 2^{@code order} pages with one reference on the first.
   *
   * @param nid node to begin with; NUMA_NO_NODE for the first one that has memory
   * @param site the kernel function that asks, for fault injection
   * @return the first page, or null
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "alloc_pages_node_noprof")
  public @Nullable Page allocPagesNode(int nid, Gfp gfp, int order, String site) {
    int from = nid == NUMA_NO_NODE ? numaMemId() : nid;
    Page page = allocFrozenPages(gfp, order, from, null, site);
    if (page != null) {
      setPageRefcounted(page);
    }
    return page;
  }

  @Kernel(file = "include/linux/topology.h", symbol = "numa_mem_id")
  private int numaMemId() {
    for (Zone zone : marks.zones()) {
      if (zone.populated()) {
        return zone.nid();
      }
    }
    return 0;
  }

  // ---- contiguous ranges ----

  /** Frees a run of pages that were prepared one by one, in blocks as large as they come. */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_prepared_contig_range")
  private void freePreparedContigRange(long pfn, long nrPages) {
    while (nrPages != 0) {
      int max = mm.config().maxPageOrder();
      int order = pfn == 0 ? max : Long.numberOfTrailingZeros(pfn);
      order = Math.min(Math.min(order, 63 - Long.numberOfLeadingZeros(nrPages)), max);
      pcp.freeFrozenPages0(mm.model().pfnToPage(pfn), order, FreeLists.FPI_PREPARED);
      pfn += 1L << order;
      nrPages -= 1L << order;
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__free_contig_range_common")
  private void freeContigRangeCommon0(long pfn, long nrPages, boolean isFrozen) {
    long start = -1;
    for (long i = 0; i < nrPages; i++) {
      Page page = mm.model().pfnToPage(pfn + i);
      mm.printk()
          .vmWarnOnOnce(mm.flags().pageHead(page), "__free_contig_range_common: PageHead(page)");
      mm.printk()
          .vmWarnOnOnce(mm.flags().pageTail(page), "__free_contig_range_common: PageTail(page)");
      boolean canFree = isFrozen || mm.refs().putPageTestzero(page);
      canFree = canFree && freePagesPrepare(page, 0);
      if (!canFree && start >= 0) {
        freePreparedContigRange(start, pfn + i - start);
        start = -1;
      } else if (canFree && start < 0) {
        start = pfn + i;
      }
    }
    if (start >= 0) {
      freePreparedContigRange(start, pfn + nrPages - start);
    }
  }

  /** {@code __free_contig_range()}: drops a reference on each of the pages. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__free_contig_range")
  public void freeContigRange0(long pfn, long nrPages) {
    freeContigRangeCommon0(pfn, nrPages, false);
  }

  /**
   * {@code split_free_frozen_pages()}: isolated blocks become single pages, on the list of order
   * 0.
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "split_free_frozen_pages")
  private void splitFreeFrozenPages(ListHead[] list, Gfp gfp) {
    for (int order = 0; order < list.length; order++) {
      ListHead entry = mm.lists().first(list[order]);
      while (entry.va() != list[order].va()) {
        ListHead next = mm.lists().next(entry);
        Page page = mm.struct().ofLru(entry);
        postAllocHook(page, order, gfp);
        if (order != 0) {
          splitPage0(page);
          mm.lists().listDel(entry);
          for (long i = 0; i < 1L << order; i++) {
            mm.lists().listAddTail(mm.struct().lru(mm.struct().add(page, i)), list[0]);
          }
        }
        entry = next;
      }
    }
  }

  /** Returns 0, or -EINVAL for flags that make no sense for a given range. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__alloc_contig_verify_gfp_mask")
  private static int allocContigVerifyGfpMask0(Gfp gfp) {
    return gfp.has(Gfp.NORETRY) || gfp.has(Gfp.NOFAIL) ? -Errno.EINVAL : 0;
  }

  /**
   * {@code alloc_contig_frozen_range()}: takes exactly the pages {@code start} to {@code end} - 1,
   * all of one zone, with reference count 0; as a compound page with __GFP_COMP.
   *
   * @return 0, -EBUSY when a page is in use, -EINVAL
   */
  @Kernel(
      file = "mm/page_alloc.c",
      symbol = "alloc_contig_frozen_range_noprof",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Of the pages in use only hugepages are moved; there are no others that could be.")
  public int allocContigFrozenRange(long start, long end, boolean cma, Gfp gfp) {
    int order = 63 - Long.numberOfLeadingZeros(end - start);
    Zone zone = mm.inline().pageZone(mm.model().pfnToPage(start));
    PageIsolation.Mode mode = cma ? PageIsolation.Mode.CMA_ALLOC : PageIsolation.Mode.OTHER;
    if (mm.printk()
        .warnOnOnce(
            gfp.has(Gfp.COMPOUND) && order > mm.mmzone().maxFolioOrder(),
            "alloc_contig_frozen_range_noprof: order > MAX_FOLIO_ORDER")) {
      return -Errno.EINVAL;
    }
    if (allocContigVerifyGfpMask0(gfp) != 0) {
      return -Errno.EINVAL;
    }
    int ret = isolation.startIsolatePageRange(start, end, mode);
    if (ret == 0) {
      pcp.drainAllPages0(zone);
      // Busy pages may have become free before they are looked at.
      int moved = allocContigMigrateRange0(zone, start, end);
      ret = moved == -Errno.EBUSY ? 0 : moved;
    }
    if (ret == 0) {
      ret = takeIsolated(start, end, order, mode, gfp);
    }
    isolation.undoIsolatePageRange(start, end);
    return ret;
  }

  /** Moves what can be moved out of the isolated range: 0, -EBUSY, or -ENOMEM. */
  @Kernel(
      file = "mm/page_alloc.c",
      symbol = "__alloc_contig_migrate_range",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "No fatal signals, and no clean page cache to reclaim instead of moving it.")
  private int allocContigMigrateRange0(Zone zone, long start, long end) {
    ListHead list = mm.lists().localHead();
    Compaction.CompactControl cc = new Compaction.CompactControl(zone, list);
    Gfp ccGfp = Gfp.MOVABLE.or(Gfp.RETRY_MAYFAIL);
    MigrationTarget target =
        new MigrationTarget(zone.nid(), null, ccGfp, MigrateReason.MR_CONTIG_RANGE);
    long pfn = start;
    int tries = 0;
    int ret = 0;
    while (pfn < end || !mm.lists().listEmpty(list)) {
      if (mm.lists().listEmpty(list)) {
        cc.nrMigratepages = 0;
        ret = compaction.isolateMigratepagesRange(cc, pfn, end);
        if (ret != 0 && ret != -Errno.EAGAIN) {
          break;
        }
        pfn = cc.migratePfn;
        tries = 0;
      } else if (++tries == CONTIG_TRIES) {
        ret = -Errno.EBUSY;
        break;
      }
      ret = migration.migratePages(list, target);
      if (ret == -Errno.ENOMEM) {
        break;
      }
    }
    if (ret < 0) {
      migration.putbackMovablePages(list);
    }
    mm.lists().release(list);
    return Math.min(ret, 0);
  }

  /** The lists of {@code struct compact_control}, which lies on the stack. */
  private int takeIsolated(long start, long end, int order, PageIsolation.Mode mode, Gfp gfp) {
    ListHead[] freepages = new ListHead[mm.config().maxPageOrder() + 1];
    for (int i = 0; i < freepages.length; i++) {
      freepages[i] = mm.lists().localHead();
    }
    int ret = takeIsolated(start, end, order, mode, gfp, freepages);
    for (int i = freepages.length - 1; i >= 0; i--) {
      mm.lists().release(freepages[i]);
    }
    return ret;
  }

  /** The second half of alloc_contig_frozen_range(): the pageblocks are isolated. */
  private int takeIsolated(
      long start, long end, int order, PageIsolation.Mode mode, Gfp gfp, ListHead[] freepages) {
    int ret = hugetlbHooks.replaceFreeHugepageFolios(start, end);
    if (ret != 0) {
      return ret;
    }
    long outerStart = lists.findLargeBuddy(start);
    if (isolation.testPagesIsolated(outerStart, end, mode) != 0) {
      return -Errno.EBUSY;
    }
    long outerEnd = isolation.isolateFreepagesRange(freepages, outerStart, end);
    if (outerEnd == 0) {
      return -Errno.EBUSY;
    }
    if (!gfp.has(Gfp.COMPOUND)) {
      splitFreeFrozenPages(freepages, gfp);
      if (start != outerStart) {
        freeContigRangeCommon0(outerStart, start - outerStart, true);
      }
      if (end != outerEnd) {
        freeContigRangeCommon0(end, outerEnd - end, true);
      }
      return 0;
    }
    if (start == outerStart && end == outerEnd && Long.bitCount(end - start) == 1) {
      Page head = mm.model().pfnToPage(start);
      checks.checkNewPages(head, order);
      prepNewPage(head, order, gfp);
      return 0;
    }
    mm.printk()
        .warnOn(
            true,
            "PFN range: requested [%d, %d), allocated [%d, %d)"
                .formatted(start, end, outerStart, outerEnd));
    return -Errno.EINVAL;
  }

  /**
   * {@code alloc_contig_range()}: as {@link #allocContigFrozenRange} with a reference on each page;
   * not for compound pages.
   *
   * @return 0, -EBUSY or -EINVAL
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "alloc_contig_range_noprof")
  public int allocContigRange(long start, long end, boolean cma, Gfp gfp) {
    if (mm.printk()
        .warnOn(gfp.has(Gfp.COMPOUND), "alloc_contig_range_noprof: gfp_mask & __GFP_COMP")) {
      return -Errno.EINVAL;
    }
    int ret = allocContigFrozenRange(start, end, cma, gfp);
    for (long pfn = start; ret == 0 && pfn < end; pfn++) {
      setPageRefcounted(mm.model().pfnToPage(pfn));
    }
    return ret;
  }

  /** Whether a scan met hugepages that it passed over: {@code bool *skipped_hugetlb}. */
  private static final class SkippedHugetlb {
    boolean skipped;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "pfn_range_valid_contig")
  private boolean pfnRangeValidContig(
      Zone z, long startPfn, long nrPages, boolean skipHugetlb, SkippedHugetlb seen) {
    long endPfn = startPfn + nrPages;
    while (startPfn < endPfn) {
      if (!mm.mmzone().pfnOnline(startPfn)) {
        return false;
      }
      Page page = mm.model().pfnToPage(startPfn);
      if (mm.inline().pageZone(page) != z) {
        return false;
      }
      long step = isolation.pageIsUnmovable(z, page, PageIsolation.Mode.OTHER);
      if (step < 0) {
        return false;
      }
      if (mm.flags().pageHuge(page)) {
        if (skipHugetlb) {
          seen.skipped = true;
          return false;
        }
        int order = mm.inline().folioOrder(new Folio(mm.flags().compoundHead(page)));
        // Small hugepages may make room for a large one, not the other way round.
        if (order >= mm.mmzone().maxFolioOrder() || nrPages <= 1L << order) {
          return false;
        }
      }
      startPfn += step;
    }
    return true;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "zone_spans_last_pfn")
  private static boolean zoneSpansLastPfn(Zone zone, long startPfn, long nrPages) {
    return zone.spansPfn(startPfn + nrPages - 1);
  }

  /**
   * {@code alloc_contig_frozen_pages()}: {@code nrPages} pages with reference count 0, aligned to
   * their number; for what is too large for the free lists.
   *
   * @param nid node to begin with
   * @param nodemask nodes allowed; null for all
   * @return the first page, or null
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "alloc_contig_frozen_pages_noprof")
  public @Nullable Page allocContigFrozenPages(
      long nrPages, Gfp gfp, int nid, @Nullable Set<Integer> nodemask) {
    if (mm.mayFail("alloc_contig_frozen_pages_noprof")) {
      return null;
    }
    AllocContext ac = prepareAllocPages(gfp, nid, nodemask);
    Page page = placedContig(nrPages, gfp, ac);
    if (page != null || placed.exhausted(Long.numberOfTrailingZeros(nrPages), nid)) {
      return page;
    }
    SkippedHugetlb seen = new SkippedHugetlb();
    page = placed.active() ? scanContig(nrPages, gfp, ac, seen, true, true) : null;
    if (page == null) {
      page = scanContig(nrPages, gfp, ac, seen, true, false);
    }
    if (page == null && seen.skipped) {
      page = scanContig(nrPages, gfp, ac, seen, false, false);
    }
    return page;
  }

  /** pfn_range_valid_contig() under the zone's lock, which is left before the range is taken. */
  private boolean rangeValidLocked(
      Zone zone, long pfn, long nrPages, boolean skip, SkippedHugetlb seen) {
    lists.lock(zone);
    try {
      return pfnRangeValidContig(zone, pfn, nrPages, skip, seen);
    } finally {
      lists.unlock(zone);
    }
  }

  /** One pass of alloc_contig_frozen_pages() over the zonelist, each zone from its start. */
  private @Nullable Page scanContig(
      long nrPages, Gfp gfp, AllocContext ac, SkippedHugetlb seen, boolean skip, boolean avoid) {
    for (Zone zone : ac.zonelist) {
      long pfn = (zone.zoneStartPfn + nrPages - 1) / nrPages * nrPages;
      for (; zoneSpansLastPfn(zone, pfn, nrPages); pfn += nrPages) {
        if (!(avoid && placed.kept(pfn, nrPages))
            && rangeValidLocked(zone, pfn, nrPages, skip, seen)
            && allocContigFrozenRange(pfn, pfn + nrPages, false, gfp) == 0) {
          return mm.model().pfnToPage(pfn);
        }
      }
    }
    return null;
  }

  private @Nullable Page placedContig(long nrPages, Gfp gfp, AllocContext ac) {
    if (!placed.active() || Long.bitCount(nrPages) != 1) {
      return null;
    }
    int order = Long.numberOfTrailingZeros(nrPages);
    long pfn = placed.next(order, ac.preferredNid);
    if (pfn < 0 && !gfp.has(Gfp.THISNODE)) {
      pfn = placed.next(order, NUMA_NO_NODE);
    }
    Zone zone = pfn < 0 || pfn % nrPages != 0 ? null : zoneOf(pfn, ac.zonelist);
    boolean taken =
        zone != null
            && pfnRangeValidContig(zone, pfn, nrPages, true, new SkippedHugetlb())
            && allocContigFrozenRange(pfn, pfn + nrPages, false, gfp) == 0;
    return taken ? mm.model().pfnToPage(pfn) : null;
  }

  /** {@code alloc_contig_pages()}: with a reference on each page; null for none. */
  @Kernel(file = "mm/page_alloc.c", symbol = "alloc_contig_pages_noprof")
  public @Nullable Page allocContigPages(
      long nrPages, Gfp gfp, int nid, @Nullable Set<Integer> nodemask) {
    if (mm.printk()
        .warnOn(gfp.has(Gfp.COMPOUND), "alloc_contig_pages_noprof: gfp_mask & __GFP_COMP")) {
      return null;
    }
    Page page = allocContigFrozenPages(nrPages, gfp, nid, nodemask);
    for (long i = 0; page != null && i < nrPages; i++) {
      setPageRefcounted(mm.struct().add(page, i));
    }
    return page;
  }

  /** {@code free_contig_frozen_range()}: compound or not, all with reference count 0. */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_contig_frozen_range")
  public void freeContigFrozenRange(long pfn, long nrPages) {
    Page first = mm.model().pfnToPage(pfn);
    int order = 63 - Long.numberOfLeadingZeros(nrPages);
    if (mm.printk()
        .warnOnOnce(
            !first.equals(mm.flags().compoundHead(first)),
            "free_contig_frozen_range: first_page != compound_head(first_page)")) {
      return;
    }
    if (mm.flags().pageHead(first)) {
      mm.printk()
          .warnOnOnce(
              order != mm.inline().folioOrder(new Folio(first)),
              "free_contig_frozen_range: order != compound_order(first_page)");
      freeFrozenPages(first, order);
      return;
    }
    freeContigRangeCommon0(pfn, nrPages, true);
  }

  /** {@code free_contig_range()}: drops a reference on each page; not for compound pages. */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_contig_range")
  public void freeContigRange(long pfn, long nrPages) {
    if (mm.printk()
        .warnOnOnce(
            mm.flags().pageHead(mm.model().pfnToPage(pfn)),
            "free_contig_range: PageHead(pfn_to_page(pfn))")) {
      return;
    }
    freeContigRange0(pfn, nrPages);
  }

  // ---- per-CPU lists, watermarks ----

  /** {@code setup_per_cpu_pageset()}: populated zones get per-CPU lists. Once at boot. */
  @Kernel(file = "mm/page_alloc.c", symbol = "setup_per_cpu_pageset")
  public void setupPerCpuPageset() {
    pcp.setupPerCpuPageset();
  }

  /** {@code setup_zone_pageset()}: of a zone that got its first memory later. */
  @Kernel(file = "mm/page_alloc.c", symbol = "setup_zone_pageset")
  public void setupZonePageset(Zone zone) {
    pcp.setupZonePageset(zone);
  }

  /** {@code totalreserve_pages}: pages of all zones that are no use for user memory. */
  @Kernel(file = "mm/show_mem.c", symbol = "totalreserve_pages")
  public long totalreservePages() {
    return marks.totalreservePages();
  }

  /** {@code zone_pcp_reset()}: of a zone that lost its last page, whose per-CPU lists are empty. */
  @Kernel(file = "mm/page_alloc.c", symbol = "zone_pcp_reset")
  public void zonePcpReset(Zone zone) {
    pcp.zonePcpReset(zone);
  }

  /** {@code build_all_zonelists()}: after a zone got its first page or lost its last. */
  @Kernel(file = "mm/page_alloc.c", symbol = "build_all_zonelists")
  public void buildAllZonelists() {
    zonelists.buildAllZonelists();
  }

  /** Adds to {@code zone->nr_isolate_pageblock}, in pageblocks, under the zone's lock. */
  public void addNrIsolatePageblock(Zone zone, long delta) {
    lists.lock(zone);
    lists.addNrIsolatePageblock(zone, delta);
    lists.unlock(zone);
  }

  /** {@code zone->nr_isolate_pageblock}: pageblocks that are isolated. */
  public long nrIsolatePageblock(Zone zone) {
    return lists.state(zone).nrIsolatePageblock;
  }

  /** {@code drain_all_pages()}: of one zone, or of all when null. */
  @Kernel(file = "mm/page_alloc.c", symbol = "drain_all_pages")
  public void drainAllPages(@Nullable Zone zone) {
    pcp.drainAllPages0(zone);
  }

  /** {@code zone_pcp_disable()}. */
  @Kernel(file = "mm/page_alloc.c", symbol = "zone_pcp_disable")
  public void zonePcpDisable(Zone zone) {
    pcp.zonePcpDisable(zone);
  }

  /** {@code zone_pcp_enable()}. */
  @Kernel(file = "mm/page_alloc.c", symbol = "zone_pcp_enable")
  public void zonePcpEnable(Zone zone) {
    pcp.zonePcpEnable(zone);
  }

  /** {@code init_per_zone_wmark_min()}: sets the watermarks; at boot, after all memory is freed. */
  @Kernel(file = "mm/page_alloc.c", symbol = "init_per_zone_wmark_min")
  public void initPerZoneWmarkMin() {
    marks.initPerZoneWmarkMin();
    marks.zones().forEach(pcp::zoneSetPagesetHighAndBatch);
  }

  /** {@code setup_per_zone_wmarks()}: after the managed pages of a zone have changed. */
  @Kernel(file = "mm/page_alloc.c", symbol = "setup_per_zone_wmarks")
  public void setupPerZoneWmarks() {
    marks.setupPerZoneWmarks();
    marks.zones().forEach(pcp::zoneSetPagesetHighAndBatch);
  }

  // ---- questions ----

  /** Turns page checks on or off: {@code check_pages_enabled}. A DEBUG_VM kernel has them on. */
  public void setPageCheckingEnabled(boolean enabled) {
    checks.setCheckPagesEnabled(enabled);
  }

  /** How many bad pages were found since boot; {@code bad_page()}. */
  public long badPageReports() {
    return checks.badPageReports();
  }

  /** Free pages of the zone, those on per-CPU lists included. */
  public long nrFreePages(Zone zone) {
    return zone.nrFreePages + lists.state(zone).pcp.count;
  }

  /** NR_FREE_CMA_PAGES of the zone: those of its free pages that lie in CMA pageblocks. */
  public long nrFreeCmaPages(Zone zone) {
    return lists.state(zone).nrFreeCma;
  }

  /** NR_FREE_PAGES_BLOCKS of the zone: those of its free pages that are in whole pageblocks. */
  public long nrFreePagesBlocks(Zone zone) {
    return lists.state(zone).nrFreePagesBlocks;
  }

  /** {@code is_free_buddy_page()}: the page lies in a block on a free list. */
  @Kernel(file = "mm/page_alloc.c", symbol = "is_free_buddy_page")
  public boolean isFreeBuddyPage(Page page) {
    return lists.isFreeBuddyPage(page);
  }

  /** {@code buddy_order()}: of the first page of a free block. */
  @Kernel(file = "mm/page_alloc.h", symbol = "buddy_order")
  public int buddyOrder(Page page) {
    return lists.buddyOrder(page);
  }

  /**
   * {@code __offline_isolated_pages()}: takes free, isolated pages off the free lists. The caller
   * marks the sections offline.
   *
   * @return pages that were managed
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "__offline_isolated_pages")
  public long offlineIsolatedPages0(long startPfn, long endPfn) {
    Zone zone = mm.inline().pageZone(mm.model().pfnToPage(startPfn));
    lists.lock(zone);
    try {
      return offlineIsolatedLocked(zone, startPfn, endPfn);
    } finally {
      lists.unlock(zone);
    }
  }

  private long offlineIsolatedLocked(Zone zone, long startPfn, long endPfn) {
    long alreadyOffline = 0;
    for (long pfn = startPfn; pfn < endPfn; ) {
      Page page = mm.model().pfnToPage(pfn);
      boolean buddy = mm.flags().pageBuddy(page);
      if (!buddy && mm.flags().test(page, PageFlags.PG_HWPOISON)) {
        pfn++;
        continue;
      }
      mm.printk()
          .bugOn(mm.refs().pageRefCount(page) != 0, "__offline_isolated_pages: page_count(page)");
      if (mm.flags().hasType(page, PageFlags.PGTY_OFFLINE)) {
        alreadyOffline++;
        pfn++;
        continue;
      }
      mm.printk().bugOn(!buddy, "__offline_isolated_pages: !PageBuddy(page)");
      int order = lists.buddyOrder(page);
      lists.delPageFromFreeList(page, zone, order, Migratetype.MIGRATE_ISOLATE);
      pfn += 1L << order;
    }
    return endPfn - startPfn - alreadyOffline;
  }

  /** The first and the order of each free block of a zone's list, for dumps and checks. */
  public List<Page> freeBlocks(Zone zone, int order, Migratetype type) {
    ListHead head = zone.freeArea[order].freeList(type);
    List<Page> found = new java.util.ArrayList<>();
    for (ListHead at = mm.lists().first(head); !at.equals(head); at = mm.lists().next(at)) {
      found.add(mm.struct().ofLru(at));
    }
    return found;
  }
}
