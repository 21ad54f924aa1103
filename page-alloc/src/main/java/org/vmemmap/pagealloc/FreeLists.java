// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.IdentityHashMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.FreeArea;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;

/**
 * The free lists of the buddy allocator: blocks on, blocks off, split and merged.
 *
 * <pre>
 *   pfn        0   1   2   3   4   5   6   7
 *            +---------------+-------+---+---+
 *   order    |       2       |   1   | 0 |use|   B2 = B1 ^ (1 &lt;&lt; order)
 *            +---------------+-------+---+---+
 *   free 7:  6 and 7 merge to order 1 at 6, with 4 to order 2 at 4, with 0 to order 3 at 0
 * </pre>
 *
 * Only the first struct page of a block is marked; those behind it keep what they held. All methods
 * are called under the zone's lock.
 */
final class FreeLists {
  /** FPI_NONE. */
  static final int FPI_NONE = 0;

  /** FPI_SKIP_REPORT_NOTIFY: there is no free page reporting here; kept for the reader. */
  static final int FPI_SKIP_REPORT_NOTIFY = 1;

  /** FPI_TO_TAIL: memory that nobody has used yet goes to the end of its list. */
  static final int FPI_TO_TAIL = 2;

  /** FPI_PREPARED: free_pages_prepare() was called for the pages. */
  static final int FPI_PREPARED = 8;

  private final Mm mm;
  private final Pageblocks blocks;
  private final PageRuns runs;
  private final int maxPageOrder;
  private final int pageblockOrder;
  private final boolean debugVm;
  private final int zoneidShift;
  private final IdentityHashMap<Zone, ZoneState> states = new IdentityHashMap<>();

  FreeLists(Mm mm, Pageblocks blocks) {
    this.mm = mm;
    this.blocks = blocks;
    this.runs = new PageRuns(mm);
    this.maxPageOrder = mm.config().maxPageOrder();
    this.pageblockOrder = mm.config().pageblockOrder();
    this.debugVm = mm.config().debugVm();
    int zonesWidth = 3;
    this.zoneidShift = 64 - mm.config().nodesShift() - zonesWidth;
  }

  /** The allocator's own fields of {@code zone}. */
  ZoneState state(Zone zone) {
    return states.computeIfAbsent(zone, z -> new ZoneState(z, mm.zones().maxNrZones()));
  }

  @Kernel(file = "mm/mm_init.c", symbol = "zone_init_free_lists")
  void zoneInitFreeLists(Zone zone) {
    if (zone.freeArea.length == 0) {
      zone.freeArea = new FreeArea[maxPageOrder + 1];
      for (int order = 0; order <= maxPageOrder; order++) {
        ListHead[] lists = new ListHead[Migratetype.MIGRATE_TYPES];
        for (int type = 0; type < lists.length; type++) {
          lists[type] = mm.lists().newHead();
        }
        zone.freeArea[order] = new FreeArea(lists);
      }
      return;
    }
    for (FreeArea area : zone.freeArea) {
      for (Migratetype type : Migratetype.values()) {
        mm.lists().initListHead(area.freeList(type));
      }
      area.nrFree = 0;
    }
  }

  /** Takes {@code zone->lock}: a point where another CPU may come first. */
  void lock(Zone zone) {
    mm.machine().lock("zone->lock", number(zone));
  }

  /** Leaves {@code zone->lock}. */
  void unlock(Zone zone) {
    mm.machine().unlock("zone->lock", number(zone));
  }

  /** {@code pcp_spin_trylock()}: another CPU has lists of its own, so it waits for this model only. */
  void lockPcp(Zone zone) {
    mm.machine().lock("pcp->lock", number(zone));
  }

  /** {@code pcp_spin_unlock()}. */
  void unlockPcp(Zone zone) {
    mm.machine().unlock("pcp->lock", number(zone));
  }

  private long number(Zone zone) {
    return (long) zone.nid() << 8 | mm.zones().number(zone.idx());
  }

  // ---- struct page as a buddy ----

  @Kernel(file = "mm/page_alloc.c", symbol = "set_buddy_order")
  void setBuddyOrder(Page page, int order) {
    mm.struct().setPriv(page, order);
    mm.flags().setType(page, PageFlags.PGTY_BUDDY);
  }

  @Kernel(file = "mm/page_alloc.h", symbol = "buddy_order")
  int buddyOrder(Page page) {
    return (int) mm.struct().priv(page);
  }

  @Kernel(file = "include/linux/mm.h", symbol = "page_zone_id")
  long pageZoneId(Page page) {
    return mm.struct().flags(page) >>> zoneidShift;
  }

  @Kernel(file = "mm/page_alloc.h", symbol = "page_is_buddy")
  private boolean pageIsBuddy(Page page, Page buddy, int order) {
    if (!mm.flags().pageBuddy(buddy) || buddyOrder(buddy) != order) {
      return false;
    }
    if (pageZoneId(page) != pageZoneId(buddy)) {
      return false;
    }
    if (debugVm) {
      mm.printk()
          .vmBugOn(mm.refs().pageRefCount(buddy) != 0, "page_is_buddy: page_count(buddy) != 0");
    }
    return true;
  }

  @Kernel(file = "mm/page_alloc.h", symbol = "__find_buddy_pfn")
  static long findBuddyPfn0(long pagePfn, int order) {
    return pagePfn ^ 1L << order;
  }

  @Kernel(file = "mm/page_alloc.h", symbol = "find_buddy_page_pfn")
  @Nullable Page findBuddyPagePfn(Page page, long pfn, int order) {
    Page buddy = mm.struct().add(page, findBuddyPfn0(pfn, order) - pfn);
    return pageIsBuddy(page, buddy, order) ? buddy : null;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "page_outside_zone_boundaries")
  private boolean pageOutsideZoneBoundaries(Zone zone, Page page) {
    long pfn = mm.model().pageToPfn(page);
    boolean outside = !zone.spansPfn(pfn);
    if (outside) {
      mm.printk()
          .prErr(
              "page 0x%x outside node %d zone %s [ 0x%x - 0x%x ]"
                  .formatted(pfn, zone.nid(), zone.name(), zone.zoneStartPfn, zone.endPfn()));
    }
    return outside;
  }

  /** Always false without DEBUG_VM. */
  @Kernel(file = "mm/page_alloc.c", symbol = "bad_range")
  boolean badRange(Zone zone, Page page) {
    return debugVm
        && (pageOutsideZoneBoundaries(zone, page) || zone != mm.inline().pageZone(page));
  }

  @Kernel(file = "include/linux/page-isolation.h", symbol = "is_migrate_isolate")
  private static boolean isMigrateIsolate(Migratetype type) {
    return type == Migratetype.MIGRATE_ISOLATE;
  }

  /** Types whose pageblocks can be turned into each other. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "migratetype_is_mergeable")
  static boolean migratetypeIsMergeable(Migratetype type) {
    return type.number() < Migratetype.MIGRATE_HIGHATOMIC.number();
  }

  // ---- lists ----

  @Kernel(file = "mm/page_alloc.c", symbol = "account_freepages")
  void accountFreepages(Zone zone, long nrPages, Migratetype type) {
    if (isMigrateIsolate(type)) {
      return;
    }
    zone.nrFreePages = added("nr_free_pages", zone.nrFreePages, nrPages);
    ZoneState state = state(zone);
    if (type == Migratetype.MIGRATE_CMA) {
      state.nrFreeCma = added("nr_free_cma", state.nrFreeCma, nrPages);
    } else if (type == Migratetype.MIGRATE_HIGHATOMIC) {
      state.nrFreeHighatomic = added("nr_free_highatomic", state.nrFreeHighatomic, nrPages);
    }
  }

  /** {@code __mod_zone_page_state()}: the counter called {@code item} when {@code n} is added. */
  private long added(String item, long value, long n) {
    return mm.machine().add(item, value, n);
  }

  /** Adds to {@code zone->nr_isolate_pageblock}, in pageblocks; the zone's lock is held. */
  void addNrIsolatePageblock(Zone zone, long n) {
    ZoneState state = state(zone);
    state.nrIsolatePageblock = added("nr_isolate_pageblock", state.nrIsolatePageblock, n);
  }

  private void warnType(Page page, Migratetype type, String where) {
    if (debugVm) {
      Migratetype is = blocks.getPageblockMigratetype(page);
      mm.printk()
          .vmWarnOnOnce(
              is != type, where + ": page type is " + is + ", passed migratetype is " + type);
    }
  }

  private void modFreePagesBlocks(Zone zone, int order, long nrPages) {
    if (order >= pageblockOrder) {
      ZoneState state = state(zone);
      state.nrFreePagesBlocks = added("nr_free_pages_blocks", state.nrFreePagesBlocks, nrPages);
    }
  }

  /** For pages that are on no list. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__add_to_free_list")
  void addToFreeList0(Page page, Zone zone, int order, Migratetype type, boolean tail) {
    warnType(page, type, "__add_to_free_list");
    FreeArea area = zone.freeArea[order];
    if (tail) {
      mm.lists().listAddTail(mm.struct().lru(page), area.freeList(type));
    } else {
      mm.lists().listAdd(mm.struct().lru(page), area.freeList(type));
    }
    area.nrFree = added("nr_free", area.nrFree, 1);
    if (!isMigrateIsolate(type)) {
      modFreePagesBlocks(zone, order, 1L << order);
    }
  }

  /** From one migratetype's list to the end of another's. */
  @Kernel(file = "mm/page_alloc.c", symbol = "move_to_free_list")
  private void moveToFreeList(
      Page page, Zone zone, int order, Migratetype oldType, Migratetype newType) {
    warnType(page, oldType, "move_to_free_list");
    long nrPages = 1L << order;
    mm.lists().listMoveTail(mm.struct().lru(page), zone.freeArea[order].freeList(newType));
    accountFreepages(zone, -nrPages, oldType);
    accountFreepages(zone, nrPages, newType);
    if (isMigrateIsolate(oldType) != isMigrateIsolate(newType)) {
      modFreePagesBlocks(zone, order, isMigrateIsolate(oldType) ? nrPages : -nrPages);
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__del_page_from_free_list")
  void delPageFromFreeList0(Page page, Zone zone, int order, Migratetype type) {
    warnType(page, type, "__del_page_from_free_list");
    mm.lists().listDel(mm.struct().lru(page));
    mm.flags().clearType(page, PageFlags.PGTY_BUDDY);
    mm.struct().setPriv(page, 0);
    FreeArea area = zone.freeArea[order];
    area.nrFree = added("nr_free", area.nrFree, -1);
    if (!isMigrateIsolate(type)) {
      modFreePagesBlocks(zone, order, -(1L << order));
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "del_page_from_free_list")
  void delPageFromFreeList(Page page, Zone zone, int order, Migratetype type) {
    delPageFromFreeList0(page, zone, order, type);
    accountFreepages(zone, -(1L << order), type);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "get_page_from_free_area")
  @Nullable Page getPageFromFreeArea(FreeArea area, Migratetype type) {
    ListHead head = area.freeList(type);
    return mm.lists().listEmpty(head) ? null : mm.struct().ofLru(mm.lists().first(head));
  }

  @Kernel(file = "mm/page_alloc.h", symbol = "free_area_empty")
  boolean freeAreaEmpty(FreeArea area, Migratetype type) {
    return mm.lists().listEmpty(area.freeList(type));
  }

  // ---- merging ----

  /** True when the block of the next order has a free buddy: then this one soon grows twice. */
  @Kernel(file = "mm/page_alloc.c", symbol = "buddy_merge_likely")
  private boolean buddyMergeLikely(long pfn, long buddyPfn, Page page, int order) {
    if (order >= maxPageOrder - 1) {
      return false;
    }
    long higherPfn = buddyPfn & pfn;
    Page higher = mm.struct().add(page, higherPfn - pfn);
    return findBuddyPagePfn(higher, higherPfn, order + 1) != null;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "change_pageblock_range")
  void changePageblockRange(Page pageblockPage, int startOrder, Migratetype type) {
    int nrPageblocks = 1 << (startOrder - pageblockOrder);
    for (int i = 0; i < nrPageblocks; i++) {
      blocks.setPageblockMigratetype(mm.struct().add(pageblockPage, i * blocks.nrPages()), type);
    }
  }

  /** Puts a block on its list, merged with its free buddies as far up as possible. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__free_one_page")
  void freeOnePage0(Page page, long pfn, Zone zone, int order, Migratetype type, int fpiFlags) {
    checkFreed(page, pfn, zone, order);
    accountFreepages(zone, 1L << order, type);
    long buddyPfn = 0;
    while (order < maxPageOrder) {
      buddyPfn = findBuddyPfn0(pfn, order);
      Page buddy = findBuddyPagePfn(page, pfn, order);
      if (buddy == null) {
        break;
      }
      Migratetype buddyType = type;
      if (order >= pageblockOrder) {
        // A pageblock that must keep its type is not merged with one of another type.
        buddyType = blocks.getPfnblockMigratetype(buddy, buddyPfn);
        if (type != buddyType
            && !(migratetypeIsMergeable(type) && migratetypeIsMergeable(buddyType))) {
          break;
        }
      }
      delPageFromFreeList0(buddy, zone, order, buddyType);
      if (buddyType != type) {
        // So that the halves land on the right lists when the block is split again.
        changePageblockRange(buddy, order, type);
      }
      long combinedPfn = buddyPfn & pfn;
      page = mm.struct().add(page, combinedPfn - pfn);
      pfn = combinedPfn;
      order++;
    }
    setBuddyOrder(page, order);
    boolean toTail =
        (fpiFlags & FPI_TO_TAIL) != 0 || buddyMergeLikely(pfn, buddyPfn, page, order);
    addToFreeList0(page, zone, order, type, toTail);
  }

  private void checkFreed(Page page, long pfn, Zone zone, int order) {
    if (!debugVm) {
      return;
    }
    mm.printk().vmBugOn(!zone.initialized, "__free_one_page: !zone_is_initialized(zone)");
    mm.printk()
        .vmBugOn(
            (mm.struct().flags(page) & mm.flags().pageFlagsCheckAtPrep()) != 0,
            "__free_one_page: page->flags.f & PAGE_FLAGS_CHECK_AT_PREP");
    mm.printk()
        .vmBugOn((pfn & ((1L << order) - 1)) != 0, "__free_one_page: pfn & ((1 << order) - 1)");
    mm.printk().vmBugOn(badRange(zone, page), "__free_one_page: bad_range(zone, page)");
  }

  /** Frees a block pageblock by pageblock, each to the list of its own migratetype. */
  @Kernel(file = "mm/page_alloc.c", symbol = "split_large_buddy")
  void splitLargeBuddy(Zone zone, Page page, long pfn, int order, int fpi) {
    long end = pfn + (1L << order);
    if (debugVm) {
      mm.printk()
          .vmWarnOnOnce(
              (pfn & ((1L << order) - 1)) != 0, "split_large_buddy: !IS_ALIGNED(pfn, 1 << order)");
      mm.printk().vmWarnOnOnce(mm.flags().pageBuddy(page), "split_large_buddy: PageBuddy(page)");
    }
    int step = Math.min(order, pageblockOrder);
    for (; pfn != end; pfn += 1L << step) {
      Page at = mm.model().pfnToPage(pfn);
      freeOnePage0(at, pfn, zone, step, blocks.getPfnblockMigratetype(at, pfn), fpi);
    }
  }

  // ---- splitting ----

  /** Frees the upper halves of a block until {@code low} is left; returns the pages freed. */
  @Kernel(file = "mm/page_alloc.c", symbol = "expand")
  long expand(Zone zone, Page page, int low, int high, Migratetype type) {
    long size = 1L << high;
    long nrAdded = 0;
    while (high > low) {
      high--;
      size >>= 1;
      Page half = mm.struct().add(page, size);
      if (debugVm) {
        mm.printk().vmBugOn(badRange(zone, half), "expand: bad_range(zone, &page[size])");
      }
      addToFreeList0(half, zone, high, type, false);
      setBuddyOrder(half, high);
      nrAdded += size;
    }
    return nrAdded;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "page_del_and_expand")
  void pageDelAndExpand(Zone zone, Page page, int low, int high, Migratetype type) {
    long nrPages = 1L << high;
    delPageFromFreeList0(page, zone, high, type);
    nrPages -= expand(zone, page, low, high, type);
    accountFreepages(zone, -nrPages, type);
  }

  /**
   * Frees all of a block of order {@code high}, which is on no list, but the {@code target} of
   * order {@code low} in it. In the kernel this keeps poisoned pages out, here placed hugepages as
   * well.
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "break_down_buddy_pages")
  void breakDownBuddyPages(
      Zone zone, Page page, Page target, int low, int high, Migratetype type) {
    long size = 1L << high;
    while (high > low) {
      high--;
      size >>= 1;
      Page upper = mm.struct().add(page, size);
      Page currentBuddy = upper;
      if (Long.compareUnsigned(target.va(), upper.va()) >= 0) {
        currentBuddy = page;
        page = upper;
      }
      addToFreeList0(currentBuddy, zone, high, type, false);
      accountFreepages(zone, 1L << high, type);
      setBuddyOrder(currentBuddy, high);
    }
  }

  // ---- moving a pageblock to another type ----

  /** Moves the free pages of a pageblock; the caller changes its type. Returns pages moved. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__move_freepages_block")
  long moveFreepagesBlock0(Zone zone, long startPfn, Migratetype oldType, Migratetype newType) {
    mm.printk()
        .vmWarnOnOnce(
            (startPfn & (blocks.nrPages() - 1)) != 0,
            "__move_freepages_block: start_pfn & (pageblock_nr_pages - 1)");
    long endPfn = blocks.pageblockEndPfn(startPfn);
    long pagesMoved = 0;
    PageCursor at = new PageCursor(mm, mm.model().pfnToPage(startPfn));
    boolean watched = mm.machine().yields().heard();
    for (long pfn = startPfn; pfn < endPfn; ) {
      int skipped = watched ? 0 : runs.notBuddy(at, endPfn - pfn);
      Page page = at.page();
      if (skipped > 0 || !mm.flags().pageBuddy(page)) {
        pfn += Math.max(skipped, 1);
        at.skip(Math.max(skipped, 1));
        continue;
      }
      if (debugVm) {
        mm.printk()
            .vmBugOn(
                mm.inline().pageZone(page) != zone,
                "__move_freepages_block: page_zone(page) != zone");
      }
      int order = buddyOrder(page);
      moveToFreeList(page, zone, order, oldType, newType);
      pfn += 1L << order;
      at.skip(1L << order);
      pagesMoved += 1L << order;
    }
    return pagesMoved;
  }

  /** What {@link #prepMoveFreepagesBlock} found. */
  record BlockScan(long startPfn, long numFree, long numMovable) {}

  /** Null when the pageblock is not wholly in the zone; {@code count} asks for the numbers. */
  @Kernel(file = "mm/page_alloc.c", symbol = "prep_move_freepages_block")
  @Nullable BlockScan prepMoveFreepagesBlock(Zone zone, Page page, boolean count) {
    long start = blocks.pageblockStartPfn(mm.model().pageToPfn(page));
    long end = start + blocks.nrPages();
    if (!zone.spansPfn(start) || !zone.spansPfn(end - 1)) {
      return null;
    }
    long numFree = 0;
    long numMovable = 0;
    for (long pfn = start; count && pfn < end; ) {
      Page at = mm.model().pfnToPage(pfn);
      if (mm.flags().pageBuddy(at)) {
        numFree += 1L << buddyOrder(at);
        pfn += 1L << buddyOrder(at);
        continue;
      }
      if (mm.flags().test(at, PageFlags.PG_LRU)) {
        numMovable++;
      }
      pfn++;
    }
    return new BlockScan(start, numFree, numMovable);
  }

  /** Returns pages moved, or -1 when the pageblock is not wholly in the zone. */
  @Kernel(file = "mm/page_alloc.c", symbol = "move_freepages_block")
  long moveFreepagesBlock(Zone zone, Page page, Migratetype oldType, Migratetype newType) {
    BlockScan scan = prepMoveFreepagesBlock(zone, page, false);
    if (scan == null) {
      return -1;
    }
    long moved = moveFreepagesBlock0(zone, scan.startPfn, oldType, newType);
    blocks.setPageblockMigratetype(mm.model().pfnToPage(scan.startPfn), newType);
    return moved;
  }

  /**
   * The first pfn of the free block that reaches over {@code startPfn}; itself if there is none.
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "find_large_buddy")
  long findLargeBuddy(long startPfn) {
    int order = startPfn == 0 ? maxPageOrder : Long.numberOfTrailingZeros(startPfn);
    long pfn = startPfn;
    Page page = mm.model().pfnToPage(pfn);
    while (!mm.flags().pageBuddy(page)) {
      if (++order > maxPageOrder) {
        return startPfn;
      }
      pfn &= -1L << order;
      page = mm.model().pfnToPage(pfn);
    }
    return pfn + (1L << buddyOrder(page)) > startPfn ? pfn : startPfn;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__move_freepages_block_isolate")
  private boolean moveFreepagesBlockIsolate0(Zone zone, Page page, boolean isolate) {
    if (isolate == blocks.getPageblockIsolate(page)) {
      mm.printk()
          .vmWarnOnOnce(
              true,
              (isolate ? "Isolate" : "Unisolate") + " a pageblock that is already in that state");
      return false;
    }
    BlockScan scan = prepMoveFreepagesBlock(zone, page, false);
    if (scan == null) {
      return false;
    }
    if (pageblockOrder != maxPageOrder) {
      long buddyPfn = findLargeBuddy(scan.startPfn);
      Page buddy = mm.model().pfnToPage(buddyPfn);
      if (mm.flags().pageBuddy(buddy) && buddyOrder(buddy) > pageblockOrder) {
        // The free block spans more pageblocks than this one: back as single pageblocks.
        int order = buddyOrder(buddy);
        delPageFromFreeList(buddy, zone, order, blocks.getPfnblockMigratetype(buddy, buddyPfn));
        blocks.togglePageblockIsolate(page, isolate);
        splitLargeBuddy(zone, buddy, buddyPfn, order, FPI_NONE);
        return true;
      }
    }
    Migratetype plain =
        Migratetype.of(
            blocks.getPfnblockFlagsMask0(
                page, mm.model().pageToPfn(page), Pageblocks.PAGEBLOCK_MIGRATETYPE_MASK));
    Migratetype from = isolate ? plain : Migratetype.MIGRATE_ISOLATE;
    Migratetype to = isolate ? Migratetype.MIGRATE_ISOLATE : plain;
    moveFreepagesBlock0(zone, scan.startPfn, from, to);
    blocks.togglePageblockIsolate(mm.model().pfnToPage(scan.startPfn), isolate);
    return true;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "pageblock_isolate_and_move_free_pages")
  boolean pageblockIsolateAndMoveFreePages(Zone zone, Page page) {
    return moveFreepagesBlockIsolate0(zone, page, true);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "pageblock_unisolate_and_move_free_pages")
  boolean pageblockUnisolateAndMoveFreePages(Zone zone, Page page) {
    return moveFreepagesBlockIsolate0(zone, page, false);
  }

  /** {@code is_free_buddy_page()}: the page lies in a free block. */
  @Kernel(file = "mm/page_alloc.c", symbol = "is_free_buddy_page")
  boolean isFreeBuddyPage(Page page) {
    return freeBlockOf(page) != null;
  }

  /** The first page of the free block that {@code page} lies in; null when it is not free. */
  @Nullable Page freeBlockOf(Page page) {
    long pfn = mm.model().pageToPfn(page);
    for (int order = 0; order <= maxPageOrder; order++) {
      Page head = mm.struct().add(page, -(pfn & ((1L << order) - 1)));
      if (mm.flags().pageBuddy(head) && buddyOrder(head) >= order) {
        return head;
      }
    }
    return null;
  }
}
