// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * Closes pageblocks for allocation: their free pages move to the list of MIGRATE_ISOLATE, where
 * nobody looks, and count as free no longer. What is freed meanwhile joins them.
 *
 * <pre>
 *   wanted              start |----------------------| end
 *   pageblocks     |-------------|-------------|-------------|
 *   isolated       |IIIIIIIIIIIII|IIIIIIIIIIIII|IIIIIIIIIIIII|
 * </pre>
 */
public final class PageIsolation {
  private HugetlbHooks hugetlbHooks = HugetlbHooks.NONE;

  /** {@code enum pb_isolate_mode}: what the isolation is for. */
  @Kernel(file = "include/linux/page-isolation.h", symbol = "enum pb_isolate_mode")
  public enum Mode {
    /** PB_ISOLATE_MODE_MEM_OFFLINE. */
    MEM_OFFLINE,
    /** PB_ISOLATE_MODE_CMA_ALLOC. */
    CMA_ALLOC,
    /** PB_ISOLATE_MODE_OTHER. */
    OTHER
  }

  private final Mm mm;
  private final FreeLists lists;
  private final Pageblocks blocks;
  private final Watermarks marks;
  private final int maxPageOrder;

  PageIsolation(Mm mm, FreeLists lists, Pageblocks blocks, Watermarks marks) {
    this.mm = mm;
    this.lists = lists;
    this.blocks = blocks;
    this.marks = marks;
    this.maxPageOrder = mm.config().maxPageOrder();
  }

  /** Tells who moves hugepages. */
  void setHugetlbHooks(HugetlbHooks hooks) {
    this.hugetlbHooks = hooks;
  }

  private boolean isMigrateIsolatePage(Page page) {
    return blocks.getPageblockMigratetype(page) == Migratetype.MIGRATE_ISOLATE;
  }

  /** Returns -1 for a page that cannot be moved, else how many pages the answer covers. */
  @Kernel(file = "mm/page_isolation.c", symbol = "page_is_unmovable")
  long pageIsUnmovable(Zone zone, Page page, Mode mode) {
    if (mm.flags().pageReserved(page)) {
      return -1;
    }
    if (zone.idx() == ZoneType.ZONE_MOVABLE) {
      return 1;
    }
    if (mm.flags().pageCompound(page)) {
      return compoundIsUnmovable(page);
    }
    if (mm.refs().pageRefCount(page) == 0) {
      return mm.flags().pageBuddy(page) ? 1L << lists.buddyOrder(page) : 1;
    }
    boolean offline = mode == Mode.MEM_OFFLINE;
    boolean movable =
        (offline && mm.flags().test(page, PageFlags.PG_HWPOISON))
            || (offline && mm.flags().hasType(page, PageFlags.PGTY_OFFLINE))
            || mm.flags().test(page, PageFlags.PG_LRU);
    return movable ? 1 : -1;
  }

  private long compoundIsUnmovable(Page page) {
    Folio folio = mm.flags().pageFolio(page);
    int order = mm.inline().folioOrder(folio);
    if (order > mm.mmzone().maxFolioOrder()) {
      return -1;
    }
    if (!mm.flags().folioTestHugetlb(folio) && !mm.flags().test(folio.page(), PageFlags.PG_LRU)) {
      return -1;
    }
    long pfn = mm.model().pageToPfn(page);
    return (pfn | ((1L << order) - 1)) + 1 - pfn;
  }

  @Kernel(file = "mm/page_isolation.c", symbol = "has_unmovable_pages")
  @Nullable Page hasUnmovablePages(long startPfn, long endPfn, Mode mode) {
    Page first = mm.model().pfnToPage(startPfn);
    Zone zone = mm.inline().pageZone(first);
    mm.printk()
        .vmBugOn(
            blocks.pageblockStartPfn(startPfn) != blocks.pageblockStartPfn(endPfn - 1),
            "has_unmovable_pages: the range lies in more than one pageblock");
    if (blocks.getPageblockMigratetype(first) == Migratetype.MIGRATE_CMA) {
      return mode == Mode.CMA_ALLOC ? null : first;
    }
    for (long pfn = startPfn; pfn < endPfn; ) {
      Page page = mm.model().pfnToPage(pfn);
      long step = pageIsUnmovable(zone, page, mode);
      if (step < 0) {
        return page;
      }
      pfn += step;
    }
    return null;
  }

  /** Returns 0 or -EBUSY. */
  @Kernel(file = "mm/page_isolation.c", symbol = "set_migratetype_isolate")
  private int setMigratetypeIsolate(Page page, Mode mode, long startPfn, long endPfn) {
    Zone zone = mm.inline().pageZone(page);
    lists.lock(zone);
    try {
      return setMigratetypeIsolateLocked(zone, page, mode, startPfn, endPfn);
    } finally {
      lists.unlock(zone);
    }
  }

  private int setMigratetypeIsolateLocked(
      Zone zone, Page page, Mode mode, long startPfn, long endPfn) {
    if (isMigrateIsolatePage(page)) {
      return -Errno.EBUSY;
    }
    long pfn = mm.model().pageToPfn(page);
    long checkStart = Math.max(pfn, startPfn);
    long checkEnd = Math.min(blocks.pageblockEndPfn(pfn), endPfn);
    Page unmovable = hasUnmovablePages(checkStart, checkEnd, mode);
    if (unmovable == null) {
      if (!lists.pageblockIsolateAndMoveFreePages(zone, page)) {
        return -Errno.EBUSY;
      }
      lists.addNrIsolatePageblock(zone, 1);
      return 0;
    }
    if (mode == Mode.MEM_OFFLINE) {
      mm.printk()
          .prWarn("page dumped because: unmovable page pfn:" + mm.model().pageToPfn(unmovable));
    }
    return -Errno.EBUSY;
  }

  @Kernel(file = "mm/page_isolation.c", symbol = "unset_migratetype_isolate")
  private void unsetMigratetypeIsolate(Page page) {
    Zone zone = mm.inline().pageZone(page);
    lists.lock(zone);
    try {
      unsetMigratetypeIsolateLocked(zone, page);
    } finally {
      lists.unlock(zone);
    }
  }

  private void unsetMigratetypeIsolateLocked(Zone zone, Page page) {
    if (!isMigrateIsolatePage(page)) {
      return;
    }
    boolean isolatedPage = false;
    int order = 0;
    if (mm.flags().pageBuddy(page)) {
      order = lists.buddyOrder(page);
      if (order >= mm.config().pageblockOrder() && order < maxPageOrder) {
        // A whole free pageblock could not merge while it was isolated: off and on again.
        Page buddy = lists.findBuddyPagePfn(page, mm.model().pageToPfn(page), order);
        if (buddy != null && !isMigrateIsolatePage(buddy)) {
          isolatedPage = isolateFreePage0(page, order) != 0;
          mm.printk().vmWarnOnOnce(!isolatedPage, "unset_migratetype_isolate: !isolated_page");
        }
      }
    }
    if (!isolatedPage) {
      mm.printk()
          .warnOnOnce(
              !lists.pageblockUnisolateAndMoveFreePages(zone, page),
              "unset_migratetype_isolate: !pageblock_unisolate_and_move_free_pages(zone, page)");
    } else {
      blocks.togglePageblockIsolate(page, false);
      putbackIsolatedPage0(page, order, blocks.getPageblockMigratetype(page));
    }
    lists.addNrIsolatePageblock(zone, -1);
  }

  /** Takes a free block off its list; 0 when the watermark of an open pageblock forbids it. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__isolate_free_page")
  long isolateFreePage0(Page page, int order) {
    Zone zone = mm.inline().pageZone(page);
    Migratetype type = blocks.getPageblockMigratetype(page);
    if (type != Migratetype.MIGRATE_ISOLATE) {
      long watermark = lists.state(zone).watermark[ZoneState.WMARK_MIN] + (1L << order);
      if (!marks.zoneWatermarkOk(zone, 0, watermark, mm.zones().of(0), Watermarks.ALLOC_CMA)) {
        return 0;
      }
    }
    lists.delPageFromFreeList(page, zone, order, type);
    if (order >= mm.config().pageblockOrder() - 1) {
      long nr = 1L << order;
      for (long i = 0; i < nr - 1; i += blocks.nrPages()) {
        Page at = mm.struct().add(page, i);
        Migratetype is = blocks.getPageblockMigratetype(at);
        if (FreeLists.migratetypeIsMergeable(is)) {
          lists.moveFreepagesBlock(zone, at, is, Migratetype.MIGRATE_MOVABLE);
        }
      }
    }
    return 1L << order;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__putback_isolated_page")
  private void putbackIsolatedPage0(Page page, int order, Migratetype type) {
    int quietlyToTail = FreeLists.FPI_SKIP_REPORT_NOTIFY | FreeLists.FPI_TO_TAIL;
    Zone zone = mm.inline().pageZone(page);
    lists.freeOnePage0(page, mm.model().pageToPfn(page), zone, order, type, quietlyToTail);
  }

  @Kernel(file = "mm/page_isolation.c", symbol = "__first_valid_page")
  private @Nullable Page firstValidPage0(long pfn, long nrPages) {
    for (long i = 0; i < nrPages; i++) {
      if (mm.mmzone().pfnOnline(pfn + i)) {
        return mm.model().pfnToPage(pfn + i);
      }
    }
    return null;
  }

  /** Returns 0 or -EBUSY: a compound page in use reaches over the boundary. */
  @Kernel(file = "mm/page_isolation.c", symbol = "isolate_single_pageblock")
  int isolateSinglePageblock(
      long boundaryPfn, Mode mode, boolean isolateBefore, boolean skipIsolation) {
    mm.printk()
        .vmBugOn(
            (boundaryPfn & (blocks.nrPages() - 1)) != 0,
            "isolate_single_pageblock: !pageblock_aligned(boundary_pfn)");
    long isolate = isolateBefore ? boundaryPfn - blocks.nrPages() : boundaryPfn;
    Page isolatePage = mm.model().pfnToPage(isolate);
    Zone zone = mm.inline().pageZone(isolatePage);
    long startPfn = Math.max(isolate & -(1L << maxPageOrder), zone.zoneStartPfn);
    if (skipIsolation) {
      mm.printk()
          .vmBugOn(
              !blocks.getPageblockIsolate(isolatePage),
              "isolate_single_pageblock: !get_pageblock_isolate(pfn_to_page(isolate_pageblock))");
    } else {
      int ret = setMigratetypeIsolate(isolatePage, mode, isolate, isolate + blocks.nrPages());
      if (ret != 0) {
        return ret;
      }
    }
    if (!mm.mmzone().pfnOnline(isolateBefore ? boundaryPfn : boundaryPfn - 1)) {
      return 0;
    }
    if (!straddles(startPfn, boundaryPfn)) {
      return 0;
    }
    if (!skipIsolation) {
      unsetMigratetypeIsolate(isolatePage);
    }
    return -Errno.EBUSY;
  }

  /** True when a compound page that cannot be moved lies across the boundary. */
  boolean straddles(long startPfn, long boundaryPfn) {
    for (long pfn = startPfn; pfn < boundaryPfn; ) {
      Page page = firstValidPage0(pfn, boundaryPfn - pfn);
      if (page == null) {
        mm.printk().vmBugOn(true, "isolate_single_pageblock: !page");
        return false;
      }
      pfn = mm.model().pageToPfn(page);
      if (mm.flags().pageBuddy(page)) {
        long next = pfn + (1L << lists.buddyOrder(page));
        mm.printk()
            .vmWarnOnOnce(
                next > boundaryPfn, "isolate_single_pageblock: pfn + (1 << order) > boundary_pfn");
        pfn = next;
      } else if (mm.flags().pageCompound(page)) {
        Folio head = mm.flags().pageFolio(page);
        long next = mm.model().pageToPfn(head.page()) + mm.inline().folioNrPages(head);
        if (next > boundaryPfn && !mm.flags().pageHuge(page)) {
          mm.printk()
              .vmWarnOnOnce(
                  mm.flags().test(head.page(), PageFlags.PG_LRU),
                  "isolate_single_pageblock: PageLRU(page)");
          return true;
        }
        pfn = next;
      } else {
        pfn++;
      }
    }
    return false;
  }

  /**
   * {@code start_isolate_page_range()}: isolates all pageblocks that the range touches.
   *
   * @return 0 or -EBUSY; then nothing is isolated
   */
  @Kernel(file = "mm/page_isolation.c", symbol = "start_isolate_page_range")
  public int startIsolatePageRange(long startPfn, long endPfn, Mode mode) {
    long isolateStart = blocks.pageblockStartPfn(startPfn);
    long isolateEnd = blocks.pageblockAlign(endPfn);
    int ret = isolateSinglePageblock(isolateStart, mode, false, false);
    if (ret != 0) {
      return ret;
    }
    boolean skipIsolation = isolateStart == isolateEnd - blocks.nrPages();
    ret = isolateSinglePageblock(isolateEnd, mode, true, skipIsolation);
    if (ret != 0) {
      unsetMigratetypeIsolate(mm.model().pfnToPage(isolateStart));
      return ret;
    }
    for (long pfn = isolateStart + blocks.nrPages();
        pfn < isolateEnd - blocks.nrPages();
        pfn += blocks.nrPages()) {
      Page page = firstValidPage0(pfn, blocks.nrPages());
      if (page != null && setMigratetypeIsolate(page, mode, startPfn, endPfn) != 0) {
        undoIsolatePageRange(isolateStart, pfn);
        unsetMigratetypeIsolate(mm.model().pfnToPage(isolateEnd - blocks.nrPages()));
        return -Errno.EBUSY;
      }
    }
    return 0;
  }

  /** {@code undo_isolate_page_range()}: opens what is isolated of the range. */
  @Kernel(file = "mm/page_isolation.c", symbol = "undo_isolate_page_range")
  public void undoIsolatePageRange(long startPfn, long endPfn) {
    long isolateEnd = blocks.pageblockAlign(endPfn);
    for (long pfn = blocks.pageblockStartPfn(startPfn); pfn < isolateEnd; pfn += blocks.nrPages()) {
      Page page = firstValidPage0(pfn, blocks.nrPages());
      if (page != null && isMigrateIsolatePage(page)) {
        unsetMigratetypeIsolate(page);
      }
    }
  }

  /** Returns the first pfn that is not free; {@code endPfn} or more when all are. */
  @Kernel(file = "mm/page_isolation.c", symbol = "__test_page_isolated_in_pageblock")
  private long testPageIsolatedInPageblock0(long pfn, long endPfn, Mode mode) {
    boolean offline = mode == Mode.MEM_OFFLINE;
    while (pfn < endPfn) {
      Page page = mm.model().pfnToPage(pfn);
      if (mm.flags().pageBuddy(page)) {
        pfn += 1L << lists.buddyOrder(page);
      } else if (offline
          && (mm.flags().test(page, PageFlags.PG_HWPOISON)
              || (mm.flags().hasType(page, PageFlags.PGTY_OFFLINE)
                  && mm.refs().pageRefCount(page) == 0))) {
        pfn++;
      } else {
        break;
      }
    }
    return pfn;
  }

  /** {@code test_pages_isolated()}: 0 when the whole range is isolated and free, else -EBUSY. */
  @Kernel(file = "mm/page_isolation.c", symbol = "test_pages_isolated")
  public int testPagesIsolated(long startPfn, long endPfn, Mode mode) {
    hugetlbHooks.waitForFreedHugetlbFolios();
    for (long pfn = startPfn; pfn < endPfn; pfn += blocks.nrPages()) {
      Page page = firstValidPage0(pfn, blocks.nrPages());
      if (page != null && !isMigrateIsolatePage(page)) {
        return -Errno.EBUSY;
      }
    }
    Page page = firstValidPage0(startPfn, endPfn - startPfn);
    if (page == null) {
      return -Errno.EBUSY;
    }
    Zone zone = mm.inline().pageZone(page);
    lists.lock(zone);
    try {
      return testPageIsolatedInPageblock0(startPfn, endPfn, mode) < endPfn ? -Errno.EBUSY : 0;
    } finally {
      lists.unlock(zone);
    }
  }

  /** {@code release_free_list()}: puts the blocks of a failed isolation back. */
  @Kernel(
      file = "mm/compaction.c",
      symbol = "release_free_list",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Puts the blocks back as they are instead of allocating and freeing them.")
  private void releaseFreeList(ListHead[] freepages) {
    for (int order = 0; order < freepages.length; order++) {
      while (!mm.lists().listEmpty(freepages[order])) {
        ListHead entry = mm.lists().first(freepages[order]);
        mm.lists().listDel(entry);
        Page page = mm.struct().ofLru(entry);
        Zone zone = mm.inline().pageZone(page);
        lists.lock(zone);
        putbackIsolatedPage0(page, order, blocks.getPageblockMigratetype(page));
        lists.unlock(zone);
      }
    }
  }

  /**
   * {@code isolate_freepages_range()}: moves all free blocks of the range from the free lists to
   * {@code freepages}, by order. The entries stay linked to each other when the pages are used: who
   * reads struct pages of a gigantic page sees it in the heads of the blocks that it was made of.
   *
   * @param freepages empty lists, one for each order
   * @return the first pfn behind the last block; 0 when a page is not free, and nothing was taken
   */
  @Kernel(
      file = "mm/compaction.c",
      symbol = "isolate_freepages_range",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The strict mode only: block after block, without the scan of pageblocks around it.")
  long isolateFreepagesRange(ListHead[] freepages, long startPfn, long endPfn) {
    long pfn = startPfn;
    while (pfn < endPfn) {
      int order = isolateFreepagesBlock(freepages, mm.model().pfnToPage(pfn));
      if (order < 0) {
        releaseFreeList(freepages);
        return 0;
      }
      pfn += 1L << order;
    }
    return pfn;
  }

  /** Moves the free block that begins with {@code page}: its order, or -1 when it is not free. */
  @Kernel(
      file = "mm/compaction.c",
      symbol = "isolate_freepages_block",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "One block in strict mode; the kernel keeps the lock for all of a pageblock.")
  private int isolateFreepagesBlock(ListHead[] freepages, Page page) {
    if (!mm.flags().pageBuddy(page)) {
      return -1;
    }
    Zone zone = mm.inline().pageZone(page);
    lists.lock(zone);
    // Somebody may have been faster.
    int order = mm.flags().pageBuddy(page) ? lists.buddyOrder(page) : -1;
    if (order >= 0 && isolateFreePage0(page, order) == 0) {
      order = -1;
    }
    if (order >= 0) {
      mm.lists().listAddTail(mm.struct().lru(page), freepages[order]);
    }
    lists.unlock(zone);
    return order;
  }
}
