// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;
import static org.vmemmap.pagealloc.Bench.PAGEBLOCK;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.pagealloc.PageIsolation.Mode;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Free lists entry by entry: where blocks go, what is counted, which locks are held; isolation. */
class FreeListsTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final Gfp COMPOUND = MOVABLE.or(Gfp.COMPOUND);
  private static final ZoneType NORMAL = ZoneType.ZONE_NORMAL;
  private static final Migratetype PLAIN = Migratetype.MIGRATE_MOVABLE;
  private static final Migratetype OTHER = Migratetype.MIGRATE_UNMOVABLE;

  /** The first pfn of section 1. */
  private static final long SECTION = 32768;

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(NORMAL, FIRST, 4 * MAX_BLOCK);
  private final FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
  private final PageIsolation isolation = bench.alloc.isolation();

  private List<String> free(String order) {
    return bench.free(zone).stream().filter(block -> block.startsWith(order + ":")).toList();
  }

  private static List<String> locks(List<String> steps) {
    return steps.stream().filter(step -> step.contains("lock zone->lock")).toList();
  }

  private static List<String> locked(int times) {
    return Collections.nCopies(times, Steps.LOCKED).stream().flatMap(List::stream).toList();
  }

  // ---- where freed blocks go ----

  /**
   * Page 0 is freed, with nothing free around it.
   *
   * <pre>
   *   |f|u|u|u| u |f| u u |
   *    0           5
   * </pre>
   *
   * Expect it in front of page 5: it will not grow soon.
   */
  @Test
  void freePages_mergeUnlikely_goesToTheFront() {
    for (int i = 0; i < 8; i++) {
      bench.take(0, MOVABLE);
    }
    bench.alloc.freePage(bench.page(FIRST + 5));
    bench.alloc.freePage(bench.page(FIRST));

    assertEquals(List.of("0:0 MOVABLE", "0:5 MOVABLE"), free("0"));
  }

  /**
   * Half of a largest block is freed, next to a largest block that is free.
   *
   * <pre>
   *   |freed|used|    10: free     |used|free|
   * </pre>
   *
   * Expect it in front of the other half block: nothing grows above MAX_PAGE_ORDER.
   */
  @Test
  void freePages_halfOfTheLargest_goesToTheFront() {
    bench.take(9, MOVABLE);
    bench.take(9, MOVABLE);
    Page neighbour = bench.take(10, MOVABLE);
    bench.take(9, MOVABLE);
    bench.alloc.freePages(neighbour, 10);

    bench.alloc.freePages(bench.page(FIRST), 9);

    assertEquals(List.of("9:0 MOVABLE", "9:2560 MOVABLE"), free("9"));
  }

  /** A free page is poisoned before its buddy is freed. Expect them to merge: only type, order and
   * zone count. */
  @Test
  void freePages_buddyWithAFlag_merges() {
    bench.take(0, MOVABLE);
    bench.mm.flags().set(bench.page(FIRST + 1), PageFlags.PG_HWPOISON);

    bench.alloc.freePage(bench.page(FIRST));

    assertEquals(List.of(), free("0"));
    assertEquals(10, bench.alloc.buddyOrder(bench.page(FIRST)));
  }

  /** A pageblock of the atomic reserve beside a movable one. Expect that they do not merge. */
  @Test
  void freePages_highatomicPageblock_staysApart() {
    Bench own = Bench.debug();
    Zone its = own.zone(0, NORMAL, FIRST, MAX_BLOCK);
    own.alloc.initPageblockMigratetype(own.page(FIRST), Migratetype.MIGRATE_HIGHATOMIC, false);

    own.give(FIRST, MAX_BLOCK);

    assertEquals(List.of("9:512 MOVABLE", "9:0 HIGHATOMIC"), own.free(its));
  }

  /** Half a pageblock is given, and a whole one. Expect only the whole one to count as such. */
  @Test
  void freePagesCore_pageblocks_areCounted() {
    Bench own = Bench.debug();
    Zone its = own.zone(0, NORMAL, FIRST, MAX_BLOCK);
    own.give(FIRST + PAGEBLOCK, PAGEBLOCK / 2);
    assertEquals(0, own.alloc.nrFreePagesBlocks(its));
    own.give(FIRST, PAGEBLOCK);
    assertEquals(PAGEBLOCK, own.alloc.nrFreePagesBlocks(its));
  }

  // ---- asking for free blocks ----

  /** A free pageblock in front of one in use. Expect that the free one does not reach over it. */
  @Test
  void findLargeBuddy_blockEndsBefore_isNotIt() {
    bench.take(10, MOVABLE);
    bench.alloc.splitPage(bench.page(FIRST), 10);
    for (long pfn = FIRST; pfn < FIRST + PAGEBLOCK; pfn++) {
      bench.alloc.freePage(bench.page(pfn));
    }
    assertEquals(FIRST + PAGEBLOCK, lists.findLargeBuddy(FIRST + PAGEBLOCK));
    assertEquals(FIRST, lists.findLargeBuddy(FIRST + PAGEBLOCK - 1));
  }

  /** A pageblock with three pages in use, one of them on the LRU. Expect these numbers, and nothing
   * of the next pageblock. */
  @Test
  void prepMoveFreepagesBlock_counts_endWithThePageblock() {
    for (int i = 0; i < 3; i++) {
      bench.take(0, MOVABLE);
    }
    bench.mm.flags().set(bench.page(FIRST + 1), PageFlags.PG_LRU);

    assertEquals(
        new FreeLists.BlockScan(FIRST, PAGEBLOCK - 3, 1),
        lists.prepMoveFreepagesBlock(zone, bench.page(FIRST + 9), true));
    assertEquals(
        new FreeLists.BlockScan(FIRST, 0, 0),
        lists.prepMoveFreepagesBlock(zone, bench.page(FIRST + 9), false));
  }

  // ---- moving a pageblock ----

  /** A pageblock with a page in use becomes unmovable. Expect its other pages on that list. */
  @Test
  void moveFreepagesBlock_pages_areMovedAndCounted() {
    bench.take(0, MOVABLE);

    assertEquals(511, lists.moveFreepagesBlock(zone, bench.page(FIRST), PLAIN, OTHER));

    assertEquals(List.of("0:1 UNMOVABLE"), free("0"));
    assertEquals(List.of("8:256 UNMOVABLE"), free("8"));
    assertEquals(List.of("9:512 MOVABLE"), free("9"));
    assertEquals(OTHER, bench.alloc.getPfnblockMigratetype(bench.page(FIRST), FIRST));
    assertEquals(List.of(), bench.warnings());
  }

  /** A pageblock gets another type. Expect the word exchanged atomically: neighbours share it. */
  @Test
  void setPageblockMigratetype_word_isExchanged() {
    List<Long> exchanged = new ArrayList<>();
    bench
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if ("cmpxchg".equals(what)) {
                exchanged.add(where);
              }
            });
    bench.alloc.setPageblockMigratetype(bench.page(FIRST + PAGEBLOCK), OTHER);
    bench.machine.yields().listen(null);
    assertEquals(List.of(FIRST + PAGEBLOCK), exchanged);
  }

  /**
   * Two pageblocks that are one free block are isolated, one after the other.
   *
   * <pre>
   *   |   10: movable   |   |9: isolate|9: movable|   |9: isolate|9: isolate|
   * </pre>
   *
   * Expect two blocks, which do not count as free pageblocks until they are opened.
   */
  @Test
  void startIsolatePageRange_twoPageblocks_stayTwoBlocks() {
    assertEquals(4 * MAX_BLOCK, bench.alloc.nrFreePagesBlocks(zone));
    isolation.startIsolatePageRange(FIRST, FIRST + PAGEBLOCK, Mode.OTHER);
    assertEquals(4 * MAX_BLOCK - PAGEBLOCK, bench.alloc.nrFreePagesBlocks(zone));
    isolation.startIsolatePageRange(FIRST + PAGEBLOCK, FIRST + MAX_BLOCK, Mode.OTHER);

    assertEquals(List.of("9:0 ISOLATE", "9:512 ISOLATE"), free("9"));
    assertEquals(3 * MAX_BLOCK, bench.alloc.nrFreePagesBlocks(zone));
    assertEquals(3 * MAX_BLOCK, zone.nrFreePages);

    isolation.undoIsolatePageRange(FIRST, FIRST + MAX_BLOCK);
    assertEquals(4 * MAX_BLOCK, bench.alloc.nrFreePagesBlocks(zone));
    assertEquals(List.of(), free("9"));
  }

  /**
   * A page comes back to two isolated pageblocks, which are one block then; the first is opened.
   *
   * <pre>
   *   | 10: isolate |   to   |9: movable|9: isolate|
   * </pre>
   *
   * Expect the other to stay isolated.
   */
  @Test
  void undoIsolatePageRange_halfOfABlock_opensThatHalf() {
    Page page = bench.take(0, MOVABLE);
    bench.mm.flags().set(page, PageFlags.PG_LRU);
    assertEquals(0, isolation.startIsolatePageRange(FIRST, FIRST + MAX_BLOCK, Mode.OTHER));
    bench.mm.flags().clear(page, PageFlags.PG_LRU);
    bench.alloc.freePage(page);
    assertTrue(free("10").contains("10:0 ISOLATE"));

    isolation.undoIsolatePageRange(FIRST, FIRST + PAGEBLOCK);

    assertEquals(List.of("9:0 MOVABLE", "9:512 ISOLATE"), free("9"));
    assertEquals(3 * MAX_BLOCK + PAGEBLOCK, zone.nrFreePages);
  }

  /** A pageblock that is only partly free is isolated. Expect its blocks on the isolated lists. */
  @Test
  void startIsolatePageRange_partlyFree_movesTheRest() {
    bench.mm.flags().set(bench.take(8, MOVABLE), PageFlags.PG_LRU);
    for (long pfn = FIRST; pfn < FIRST + 256; pfn++) {
      bench.mm.flags().set(bench.page(pfn), PageFlags.PG_LRU);
      bench.mm.refs().setPageCount(bench.page(pfn), 1);
    }

    assertEquals(0, isolation.startIsolatePageRange(FIRST, FIRST + PAGEBLOCK, Mode.OTHER));

    assertEquals(List.of("8:256 ISOLATE"), free("8"));
    assertEquals(4 * MAX_BLOCK - PAGEBLOCK, zone.nrFreePages);
    assertEquals(4 * MAX_BLOCK - MAX_BLOCK + PAGEBLOCK, bench.alloc.nrFreePagesBlocks(zone));
  }

  /** Lists of a type that the pageblock does not have. Expect a warning from each function. */
  @Test
  void addToFreeList_wrongType_warns() {
    Page page = bench.take(10, MOVABLE);
    lists.addToFreeList0(page, zone, 10, OTHER, false);
    lists.moveFreepagesBlock0(zone, FIRST + 2 * MAX_BLOCK, OTHER, OTHER);
    String said = ": page type is MIGRATE_MOVABLE, passed migratetype is MIGRATE_UNMOVABLE";
    assertEquals(
        List.of("__add_to_free_list" + said, "move_to_free_list" + said), bench.warnings());
  }

  // ---- locks ----

  /** A zone of node 1 that is DMA32. Expect its own locks, for a page each way. */
  @Test
  void freePages_otherNode_takesThatZonesLocks() {
    bench.freeZone(1, ZoneType.ZONE_DMA32, FIRST + 4 * MAX_BLOCK, MAX_BLOCK);
    bench.alloc.setupPerCpuPageset();
    long number = 1 << 8 | 1;
    List<String> steps =
        Steps.of(
            bench,
            () -> assertNotNull(bench.alloc.allocPagesNode(1, MOVABLE, 0, "test")));
    assertEquals(
        List.of(
            "lock pcp->lock " + number,
            "lock zone->lock " + number,
            "unlock zone->lock " + number,
            "unlock pcp->lock " + number),
        steps.stream().filter(step -> step.contains("lock ")).toList());
  }

  /** A pageblock is isolated and opened. Expect the zone's lock held for each. */
  @Test
  void startIsolatePageRange_zoneLock_isHeld() {
    Runnable isolate = () -> isolation.startIsolatePageRange(FIRST, FIRST + 512, Mode.OTHER);
    Runnable open = () -> isolation.undoIsolatePageRange(FIRST, FIRST + 512);
    for (Runnable change : List.of(isolate, open)) {
      List<String> steps = Steps.of(bench, change);
      assertEquals(Steps.LOCKED, locks(steps));
      assertEquals(Steps.LOCKED, List.of(steps.getFirst(), steps.getLast()));
    }
  }

  /** Isolated pageblocks are tested. Expect the zone's lock held for the scan. */
  @Test
  void testPagesIsolated_scan_isUnderTheLock() {
    isolation.startIsolatePageRange(FIRST, FIRST + 512, Mode.OTHER);
    assertEquals(
        Steps.LOCKED,
        Steps.of(
            bench,
            () -> assertEquals(0, isolation.testPagesIsolated(FIRST, FIRST + 512, Mode.OTHER))));
  }

  private ListHead[] heads() {
    ListHead[] freepages = new ListHead[Bench.MAX_ORDER + 1];
    java.util.Arrays.setAll(freepages, order -> bench.mm.lists().newHead());
    return freepages;
  }

  /** Two blocks are taken off the lists; a third is in use. Expect the lock for each way of each, and
   * all back. */
  @Test
  void isolateFreepagesRange_thirdInUse_putsTwoBack() {
    Page used = bench.page(FIRST + 2 * MAX_BLOCK);
    bench.take(10, MOVABLE);
    bench.take(10, MOVABLE);
    assertEquals(used, bench.take(10, MOVABLE));
    bench.alloc.freePages(bench.page(FIRST), 10);
    bench.alloc.freePages(bench.page(FIRST + MAX_BLOCK), 10);

    List<String> steps =
        Steps.of(
            bench,
            () ->
                assertEquals(
                    0, isolation.isolateFreepagesRange(heads(), FIRST, FIRST + 3 * MAX_BLOCK)));

    assertEquals(locked(4), locks(steps));
    assertEquals(3 * MAX_BLOCK, zone.nrFreePages);
    assertEquals(3, free("10").size());
  }

  // ---- isolating free blocks ----

  /** A block of 8 pages in an open pageblock. Expect it only when more than min and 8 are free. */
  @Test
  void isolateFreePage_mark_mustBeExceededByTheBlock() {
    bench.alloc.initPerZoneWmarkMin();
    FreeLists own = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    new Watermarks(bench.mm, own).initPerZoneWmarkMin();
    long min = own.state(zone).watermark[ZoneState.WMARK_MIN];
    bench.take(0, MOVABLE);

    zone.nrFreePages = min + 8;
    assertEquals(0, isolation.isolateFreePage0(bench.page(FIRST + 8), 3));
    zone.nrFreePages = min + 9;
    assertEquals(8, isolation.isolateFreePage0(bench.page(FIRST + 8), 3));
  }

  /** A quarter and half of an unmovable pageblock. Expect that it becomes movable with the half. */
  @Test
  void isolateFreePage_halfAPageblock_makesItMovable() {
    lists.moveFreepagesBlock(zone, bench.page(FIRST), PLAIN, OTHER);
    bench.take(7, Gfp.KERNEL);

    isolation.isolateFreePage0(bench.page(FIRST + 128), 7);
    assertEquals(OTHER, bench.alloc.getPfnblockMigratetype(bench.page(FIRST), FIRST));
    isolation.isolateFreePage0(bench.page(FIRST + 256), 8);
    assertEquals(PLAIN, bench.alloc.getPfnblockMigratetype(bench.page(FIRST), FIRST));
  }

  // ---- large folios ----

  /** A kernel without gigantic pages; folios of MAX_FOLIO_ORDER and more. Expect the larger one to be
   * taken for nonsense. */
  @Test
  void pageIsUnmovable_folioTooLarge_isUnmovable() {
    MmConfig config = MmConfig.debianX86().toBuilder().gigantic(false).build();
    Bench small = new Bench(config, Placement.NONE);
    Zone its = small.zone(0, NORMAL, FIRST, 4 * MAX_BLOCK);
    small.alloc.prepCompoundPage(small.page(FIRST), 10);
    small.alloc.prepCompoundPage(small.page(FIRST + 2 * MAX_BLOCK), 11);
    for (long pfn : new long[] {FIRST, FIRST + 2 * MAX_BLOCK}) {
      small.mm.flags().setType(small.page(pfn), PageFlags.PGTY_HUGETLB);
    }
    PageIsolation own = small.alloc.isolation();
    assertEquals(1024, own.pageIsUnmovable(its, small.page(FIRST), Mode.OTHER));
    assertEquals(-1, own.pageIsUnmovable(its, small.page(FIRST + 2 * MAX_BLOCK), Mode.OTHER));
  }

  // ---- sections that are offline ----

  private static void setOffline(Bench bench, int section) {
    bench.mm.mmzone().section(section).sectionMemMap &= ~Mmzone.SECTION_IS_ONLINE;
  }

  /** Section 0 is offline, section 1 is free. Expect the first page that is online, and none in a
   * range that ends before it. */
  @Test
  void straddles_sectionOffline_isPassedOver() {
    bench.freeZone(NORMAL, SECTION - MAX_BLOCK, 2 * MAX_BLOCK);
    setOffline(bench, 0);

    assertFalse(isolation.straddles(SECTION - 256, SECTION + MAX_BLOCK));
    assertThrows(KernelBug.class, () -> isolation.straddles(SECTION - 512, SECTION));
  }

  /** A range of section 0, which is offline, next to section 1. Expect -EBUSY: no page is there. */
  @Test
  void testPagesIsolated_sectionOffline_looksNoFurther() {
    bench.freeZone(NORMAL, SECTION - MAX_BLOCK, 2 * MAX_BLOCK);
    setOffline(bench, 0);
    assertEquals(-16, isolation.testPagesIsolated(SECTION - MAX_BLOCK, SECTION, Mode.OTHER));
  }

  /** A folio lies across the end of what is online. Expect no look at it: what lies behind is gone. */
  @Test
  void isolateSinglePageblock_behindIsOffline_doesNotLook() {
    Bench plain = new Bench();
    plain.zone(0, NORMAL, 0, 2 * SECTION);
    plain.alloc.prepCompoundPage(plain.page(0), 16);
    plain.mm.flags().set(plain.page(0), PageFlags.PG_LRU);
    PageIsolation own = plain.alloc.isolation();

    assertEquals(-16, own.isolateSinglePageblock(SECTION, Mode.OTHER, true, false));
    setOffline(plain, 1);
    assertEquals(0, own.isolateSinglePageblock(SECTION, Mode.OTHER, true, false));
  }

  /**
   * A broken compound page, which says that it is longer than the zone, in the block below.
   *
   * <pre>
   *   | broken   |          |  free    | isolated |
   *   |- MAX_PAGE_ORDER ----|- MAX_PAGE_ORDER ----|
   * </pre>
   *
   * Expect no look at it: what lies across a boundary begins in the largest block around it.
   */
  @Test
  void isolateSinglePageblock_scan_beginsWithTheLargestBlock() {
    bench.mm.inline().folioSetOrder(new Folio(bench.take(1, COMPOUND)), 12);
    long boundary = FIRST + MAX_BLOCK + PAGEBLOCK;
    assertEquals(0, isolation.isolateSinglePageblock(boundary, Mode.OTHER, false, false));
  }

  /** The last pageblock of the machine. Expect it to be tested without a look behind the memmap. */
  @Test
  void testPagesIsolated_lastPageblock_staysInTheMemmap() {
    long end = Bench.GIB / Bench.PAGE;
    bench.freeZone(NORMAL, end - MAX_BLOCK, MAX_BLOCK);
    assertEquals(0, isolation.startIsolatePageRange(end - MAX_BLOCK, end, Mode.OTHER));

    assertEquals(0, isolation.testPagesIsolated(end - MAX_BLOCK, end, Mode.OTHER));
  }

  // ---- the whole zone ----

  /** A compound page is taken out of a block. Expect each free block to say its order. */
  @Test
  void freeBlocks_afterASplit_sayTheirOrder() {
    bench.take(3, COMPOUND);
    for (int order = 0; order <= Bench.MAX_ORDER; order++) {
      for (Page page : bench.alloc.freeBlocks(zone, order, PLAIN)) {
        assertTrue(bench.mm.flags().pageBuddy(page));
        assertEquals(order, bench.alloc.buddyOrder(page));
      }
    }
  }
}
