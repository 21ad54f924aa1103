// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;
import static org.vmemmap.pagealloc.Bench.PAGEBLOCK;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.pagealloc.PageIsolation.Mode;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Isolation of pageblocks, the scan for what can be moved, and bitmaps: case by case. */
class IsolationTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final Gfp COMPOUND = MOVABLE.or(Gfp.COMPOUND);
  private static final long NR = 4 * MAX_BLOCK;

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, NR);
  private final PageIsolation isolation = bench.alloc.isolation();

  private Migratetype typeOf(long pfn) {
    return bench.alloc.getPfnblockMigratetype(bench.page(pfn), pfn);
  }

  private boolean isolated(long pfn) {
    return typeOf(pfn) == Migratetype.MIGRATE_ISOLATE;
  }

  private long unmovable(Page page, Mode mode) {
    return isolation.pageIsUnmovable(zone, page, mode);
  }

  // ---- what cannot be moved ----

  /** Single pages in every state. Expect -1, or for how many pages the answer holds. */
  @Test
  void pageIsUnmovable_singlePages_byTheirState() {
    Page page = bench.take(0, MOVABLE);
    assertEquals(-1, unmovable(page, Mode.OTHER));
    assertEquals(-1, unmovable(page, Mode.MEM_OFFLINE));
    bench.mm.flags().set(page, PageFlags.PG_LRU);
    assertEquals(1, unmovable(page, Mode.OTHER));
    bench.mm.flags().set(page, PageFlags.PG_RESERVED);
    assertEquals(-1, unmovable(page, Mode.OTHER));
    bench.mm.flags().clear(page, PageFlags.PG_RESERVED);
    bench.mm.flags().clear(page, PageFlags.PG_LRU);
    bench.mm.flags().set(page, PageFlags.PG_HWPOISON);
    assertEquals(-1, unmovable(page, Mode.OTHER));
    assertEquals(1, unmovable(page, Mode.MEM_OFFLINE));
    bench.mm.flags().clear(page, PageFlags.PG_HWPOISON);
    bench.mm.flags().setType(page, PageFlags.PGTY_OFFLINE);
    assertEquals(-1, unmovable(page, Mode.CMA_ALLOC));
    assertEquals(1, unmovable(page, Mode.MEM_OFFLINE));
    bench.refcount(FIRST, 0);
    assertEquals(1, unmovable(page, Mode.OTHER));
    assertEquals(4, unmovable(bench.page(FIRST + 4), Mode.OTHER));
    assertEquals(MAX_BLOCK, unmovable(bench.page(FIRST + MAX_BLOCK), Mode.OTHER));
    Zone movable = bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_MOVABLE);
    bench.refcount(FIRST, 1);
    assertEquals(1, isolation.pageIsUnmovable(movable, page, Mode.OTHER));
  }

  /** Compound pages, asked at their head and in their middle. Expect the rest of the page. */
  @Test
  void pageIsUnmovable_compoundPages_coverTheRest() {
    Page page = bench.take(3, COMPOUND);
    assertEquals(-1, unmovable(page, Mode.OTHER));
    bench.mm.flags().set(page, PageFlags.PG_LRU);
    assertEquals(8, unmovable(page, Mode.OTHER));
    assertEquals(5, unmovable(bench.page(FIRST + 3), Mode.OTHER));
    assertEquals(1, unmovable(bench.page(FIRST + 7), Mode.OTHER));
    bench.mm.flags().clear(page, PageFlags.PG_LRU);
    bench.mm.flags().setType(page, PageFlags.PGTY_HUGETLB);
    assertEquals(6, unmovable(bench.page(FIRST + 2), Mode.OTHER));
  }

  /** The first page of a pageblock that cannot be moved. Expect it, or none; CMA for its own. */
  @Test
  void hasUnmovablePages_pageblock_findsTheFirst() {
    bench.alloc.allocContigFrozenRange(FIRST + 100, FIRST + 103, false, MOVABLE);
    bench.refcount(FIRST + 101, 1);
    bench.refcount(FIRST + 102, 1);
    assertEquals(
        bench.page(FIRST + 101), isolation.hasUnmovablePages(FIRST, FIRST + 512, Mode.OTHER));
    assertNull(isolation.hasUnmovablePages(FIRST, FIRST + 101, Mode.OTHER));
    assertNull(isolation.hasUnmovablePages(FIRST + 103, FIRST + 512, Mode.OTHER));
    bench.alloc.setPageblockMigratetype(bench.page(FIRST), Migratetype.MIGRATE_CMA);
    assertEquals(bench.page(FIRST), isolation.hasUnmovablePages(FIRST, FIRST + 512, Mode.OTHER));
    assertNull(isolation.hasUnmovablePages(FIRST, FIRST + 512, Mode.CMA_ALLOC));
  }

  // ---- ranges ----

  /**
   * A range from the middle of one pageblock to the middle of another.
   *
   * <pre>
   *   wanted        |---------------|
   *   pageblock  0     1     2    3
   *              |  .  |     |  . |     |      0, 1 and 2 are isolated
   * </pre>
   *
   * Expect these three, counted in the zone, and none when it is undone.
   */
  @Test
  void startIsolatePageRange_oddEnds_isolatesWholePageblocks() {
    long start = FIRST + 100;
    long end = FIRST + 2 * PAGEBLOCK + 100;

    assertEquals(0, isolation.startIsolatePageRange(start, end, Mode.OTHER));

    for (int i = 0; i < 4; i++) {
      assertEquals(i < 3, isolated(FIRST + (long) i * PAGEBLOCK), "pageblock " + i);
    }
    assertEquals(3, bench.alloc.nrIsolatePageblock(zone));
    assertEquals(NR - 3 * PAGEBLOCK, zone.nrFreePages);
    assertEquals(0, isolation.testPagesIsolated(FIRST, end, Mode.OTHER));
    // It looks at the first page itself: one inside a free block is no block.
    assertEquals(-Errno.EBUSY, isolation.testPagesIsolated(start, end, Mode.OTHER));
    assertEquals(
        -Errno.EBUSY, isolation.testPagesIsolated(FIRST, end + PAGEBLOCK, Mode.OTHER));

    isolation.undoIsolatePageRange(start, end);
    assertEquals(0, bench.alloc.nrIsolatePageblock(zone));
    assertEquals(NR, zone.nrFreePages);
    assertEquals(NR, bench.alloc.nrFreePagesBlocks(zone));
    assertFalse(isolated(FIRST));
    assertEquals(List.of(), bench.warnings());
  }

  /** The last, a middle and the first pageblock hold a page that cannot move. Expect none isolated. */
  @Test
  void startIsolatePageRange_anyBlockBusy_undoesAll() {
    for (long at : new long[] {0, PAGEBLOCK, 3 * PAGEBLOCK}) {
      Bench own = Bench.debug();
      Zone its = own.freeZone(ZoneType.ZONE_NORMAL, FIRST, NR);
      long busy = FIRST + at + 7;
      assertEquals(0, own.alloc.allocContigRange(busy, busy + 1, false, MOVABLE));

      assertEquals(
          -Errno.EBUSY,
          own.alloc.isolation().startIsolatePageRange(FIRST, FIRST + 4 * PAGEBLOCK, Mode.OTHER));

      assertEquals(0, own.alloc.nrIsolatePageblock(its));
      assertEquals(NR - 1, own.alloc.nrFreePages(its));
      assertEquals(List.of(), own.log());
    }
  }

  /** The same for memory that goes offline. Expect the line with the page in the way. */
  @Test
  void startIsolatePageRange_offlineBusy_saysWhich() {
    assertEquals(0, bench.alloc.allocContigRange(FIRST + 7, FIRST + 8, false, MOVABLE));

    isolation.startIsolatePageRange(FIRST, FIRST + PAGEBLOCK, Mode.MEM_OFFLINE);

    assertEquals(
        List.of("page dumped because: unmovable page pfn:" + (FIRST + 7)), bench.log());
  }

  /** Only the wanted part of the outer pageblocks is looked at. Expect pages beside it to be fine. */
  @Test
  void startIsolatePageRange_besideTheRange_doesNotMatter() {
    assertEquals(0, bench.alloc.allocContigRange(FIRST + 7, FIRST + 8, false, MOVABLE));

    assertEquals(
        -Errno.EBUSY,
        isolation.startIsolatePageRange(FIRST + 8, FIRST + 2 * PAGEBLOCK, Mode.OTHER));
    assertEquals(
        0, isolation.startIsolatePageRange(FIRST + PAGEBLOCK, FIRST + 2 * PAGEBLOCK, Mode.OTHER));
  }

  /** A hugepage lies across the boundary. Expect that it is no hindrance: it can be moved. */
  @Test
  void straddles_hugepage_isNone() {
    Page page = bench.take(10, COMPOUND);
    long boundary = bench.pfn(page) + PAGEBLOCK;
    assertTrue(isolation.straddles(bench.pfn(page), boundary));
    assertEquals(List.of(), bench.warnings());
    bench.mm.flags().setType(page, PageFlags.PGTY_HUGETLB);
    assertFalse(isolation.straddles(bench.pfn(page), boundary));
    assertFalse(isolation.straddles(bench.pfn(page) + 2 * PAGEBLOCK, boundary));
  }

  /** Compound pages that end at the boundary, and before it. Expect none to straddle. */
  @Test
  void straddles_endsAtTheBoundary_isNone() {
    Page page = bench.take(9, COMPOUND);
    assertFalse(isolation.straddles(bench.pfn(page), bench.pfn(page) + PAGEBLOCK));
  }

  /** A free block below the mark of the zone is wanted. Expect it to stay; isolated, it comes. */
  @Test
  void isolateFreePage_belowTheMark_stays() {
    Page page = bench.page(FIRST + MAX_BLOCK);
    assertEquals(MAX_BLOCK, isolation.isolateFreePage0(page, 10));
    assertEquals(NR - MAX_BLOCK, zone.nrFreePages);
    assertFalse(bench.mm.flags().pageBuddy(page));
  }

  /** A large unmovable block is taken. Expect all its pageblocks to become movable. */
  @Test
  void isolateFreePage_largeBlock_becomesMovable() {
    Bench own = Bench.debug();
    own.zone(0, ZoneType.ZONE_NORMAL, FIRST, 2 * MAX_BLOCK);
    for (long pfn = FIRST; pfn < FIRST + MAX_BLOCK; pfn += PAGEBLOCK) {
      own.alloc.setPageblockMigratetype(own.page(pfn), Migratetype.MIGRATE_UNMOVABLE);
    }
    own.give(FIRST, 2 * MAX_BLOCK);

    assertEquals(MAX_BLOCK, own.alloc.isolation().isolateFreePage0(own.page(FIRST), 10));

    for (long pfn = FIRST; pfn < FIRST + MAX_BLOCK; pfn += PAGEBLOCK) {
      assertEquals(
          Migratetype.MIGRATE_MOVABLE, own.alloc.getPfnblockMigratetype(own.page(pfn), pfn));
    }
  }

  /** Poisoned and offline pages in a range that goes offline. Expect them to count as gone. */
  @Test
  void testPagesIsolated_offline_passesPoisonedPages() {
    assertEquals(0, bench.alloc.allocContigFrozenRange(FIRST, FIRST + 2, false, MOVABLE));
    bench.mm.flags().set(bench.page(FIRST), PageFlags.PG_HWPOISON);
    bench.mm.flags().setType(bench.page(FIRST + 1), PageFlags.PGTY_OFFLINE);
    assertEquals(
        0, isolation.startIsolatePageRange(FIRST, FIRST + PAGEBLOCK, Mode.MEM_OFFLINE));

    assertEquals(0, isolation.testPagesIsolated(FIRST, FIRST + PAGEBLOCK, Mode.MEM_OFFLINE));
    assertEquals(
        -Errno.EBUSY, isolation.testPagesIsolated(FIRST, FIRST + PAGEBLOCK, Mode.OTHER));
    bench.refcount(FIRST + 1, 1);
    assertEquals(
        -Errno.EBUSY, isolation.testPagesIsolated(FIRST, FIRST + PAGEBLOCK, Mode.MEM_OFFLINE));
  }

  /** The sections of a range are offline. Expect nothing isolated, and -EBUSY when asked. */
  @Test
  void testPagesIsolated_offlineSection_isBusy() {
    bench.mm.mmzone().section(0).sectionMemMap &= ~Mmzone.SECTION_IS_ONLINE;
    assertEquals(
        -Errno.EBUSY, isolation.testPagesIsolated(FIRST, FIRST + PAGEBLOCK, Mode.OTHER));
  }

  // ---- the scan for hugepages ----

  /** HugeTLB of the test's own: what it says of each hugepage, and what it was asked. */
  private final class Hugetlb implements HugetlbHooks {
    final List<Long> asked = new ArrayList<>();
    int answer;
    boolean dissolves;

    @Override
    public int isolateOrDissolveHugeFolio(Folio folio, ListHead list) {
      asked.add(bench.pfn(folio.page()) - FIRST);
      if (dissolves) {
        bench.mm.flags().clearType(folio.page(), PageFlags.PGTY_HUGETLB);
        bench.alloc.freeFrozenPages(folio.page(), 9);
      }
      return answer;
    }
  }

  private void hugepages(int count) {
    for (int i = 0; i < count; i++) {
      long pfn = FIRST + (long) i * PAGEBLOCK;
      assertEquals(0, bench.alloc.allocContigFrozenRange(pfn, pfn + PAGEBLOCK, false, COMPOUND));
      bench.mm.flags().setType(bench.page(pfn), PageFlags.PGTY_HUGETLB);
    }
  }

  private Compaction compaction(HugetlbHooks hooks, PageMigration migration) {
    Pageblocks blocks = new Pageblocks(bench.mm);
    Compaction compaction = new Compaction(bench.mm, new FreeLists(bench.mm, blocks), blocks);
    compaction.setHooks(hooks, migration);
    return compaction;
  }

  private Compaction.CompactControl control() {
    return new Compaction.CompactControl(zone, bench.mm.lists().newHead());
  }

  /** Two hugepages in use. Expect the first isolated, and the scan to stop behind it. */
  @Test
  void isolateMigratepagesRange_hugepage_stopsBehindIt() {
    hugepages(2);
    Hugetlb hugetlb = new Hugetlb();
    Compaction.CompactControl cc = control();

    int rc =
        compaction(hugetlb, PageMigration.NONE)
            .isolateMigratepagesRange(cc, FIRST, FIRST + 2 * PAGEBLOCK);

    assertEquals(0, rc);
    assertEquals(List.of(0L), hugetlb.asked);
    assertEquals(512, cc.nrMigratepages);
    assertEquals(FIRST + PAGEBLOCK, cc.migratePfn);
  }

  /** They are busy. Expect each to be asked once and passed over, the scan at the end. */
  @Test
  void isolateMigratepagesRange_busy_goesOn() {
    hugepages(2);
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.answer = -Errno.EBUSY;
    Compaction.CompactControl cc = control();

    int rc =
        compaction(hugetlb, PageMigration.NONE)
            .isolateMigratepagesRange(cc, FIRST, FIRST + 2 * PAGEBLOCK);

    assertEquals(0, rc);
    assertEquals(List.of(0L, 512L), hugetlb.asked);
    assertEquals(0, cc.nrMigratepages);
    assertEquals(FIRST + 2 * PAGEBLOCK, cc.migratePfn);
  }

  /** The scan begins inside a busy hugepage. Expect its pages to be asked one by one. */
  @Test
  void isolateMigratepagesRange_busyTail_asksEach() {
    hugepages(1);
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.answer = -Errno.EBUSY;

    compaction(hugetlb, PageMigration.NONE)
        .isolateMigratepagesRange(control(), FIRST + 509, FIRST + 512);

    assertEquals(List.of(0L, 0L, 0L), hugetlb.asked);
  }

  /** No memory to replace it. Expect the error, and what the block gave put back. */
  @Test
  void isolateMigratepagesRange_noMemory_isAnError() {
    hugepages(1);
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.answer = -Errno.ENOMEM;
    int[] putBack = {0};
    PageMigration migration =
        new PageMigration() {
          @Override
          public void putbackMovablePages(ListHead list) {
            putBack[0]++;
          }
        };
    Compaction.CompactControl cc = control();

    assertEquals(
        -Errno.ENOMEM,
        compaction(hugetlb, migration).isolateMigratepagesRange(cc, FIRST, FIRST + PAGEBLOCK));

    assertEquals(0, putBack[0]);
    assertEquals(FIRST + PAGEBLOCK - 1, cc.migratePfn);
  }

  /** A free hugepage is dissolved. Expect it free, and the scan to go over it in one step. */
  @Test
  void isolateMigratepagesRange_dissolved_isFree() {
    hugepages(2);
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.dissolves = true;
    Compaction.CompactControl cc = control();

    compaction(hugetlb, PageMigration.NONE)
        .isolateMigratepagesRange(cc, FIRST, FIRST + 2 * PAGEBLOCK);

    assertEquals(List.of(0L, 512L), hugetlb.asked);
    assertEquals(0, cc.nrMigratepages);
    assertEquals(FIRST + 2 * PAGEBLOCK, cc.migratePfn);
    assertEquals(NR, zone.nrFreePages);
  }

  /** Pageblocks of another zone, and of none. Expect them to be passed over. */
  @Test
  void isolateMigratepagesRange_foreignBlocks_arePassedOver() {
    hugepages(2);
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.answer = -Errno.EBUSY;
    bench.mm.inline().setPageZone(bench.page(FIRST + PAGEBLOCK - 1), ZoneType.ZONE_DMA);

    compaction(hugetlb, PageMigration.NONE)
        .isolateMigratepagesRange(control(), FIRST, FIRST + 2 * PAGEBLOCK);
    assertEquals(List.of(512L), hugetlb.asked);

    hugetlb.asked.clear();
    bench.mm.mmzone().section(0).sectionMemMap &= ~Mmzone.SECTION_IS_ONLINE;
    compaction(hugetlb, PageMigration.NONE)
        .isolateMigratepagesRange(control(), FIRST, FIRST + 2 * PAGEBLOCK);
    assertEquals(List.of(), hugetlb.asked);
  }

  // ---- a range with hugepages in it ----

  /** Hugepages in use that are moved away, one by one. Expect the range, taken as a whole. */
  @Test
  void allocContigFrozenRange_hugepages_areMovedAway() {
    hugepages(2);
    List<Long> moved = new ArrayList<>();
    HugetlbHooks hugetlb =
        new HugetlbHooks() {
          @Override
          public int isolateOrDissolveHugeFolio(Folio folio, ListHead list) {
            bench.mm.lists().listAddTail(bench.mm.struct().lru(folio.page()), list);
            return 0;
          }
        };
    PageMigration migration =
        new PageMigration() {
          @Override
          public int migratePages(ListHead from, MigrationTarget target) {
            assertEquals(MigrateReason.MR_CONTIG_RANGE, target.reason());
            assertEquals(Gfp.MOVABLE.or(Gfp.RETRY_MAYFAIL), target.gfp());
            while (!bench.mm.lists().listEmpty(from)) {
              ListHead at = bench.mm.lists().first(from);
              Page page = bench.mm.struct().ofLru(at);
              bench.mm.lists().listDel(at);
              moved.add(bench.pfn(page) - FIRST);
              bench.mm.flags().clearType(page, PageFlags.PGTY_HUGETLB);
              bench.alloc.freeFrozenPages(page, 9);
            }
            return 0;
          }
        };
    bench.alloc.setHugetlbHooks(hugetlb, migration);

    assertEquals(
        0, bench.alloc.allocContigFrozenRange(FIRST, FIRST + MAX_BLOCK, false, COMPOUND));

    assertEquals(List.of(0L, 512L), moved);
    assertTrue(bench.mm.flags().pageHead(bench.page(FIRST)));
    assertEquals(10, bench.mm.inline().folioOrder(new Folio(bench.page(FIRST))));
  }

  /** They do not move, however often it is tried. Expect five tries, then all put back: -EBUSY. */
  @Test
  void allocContigFrozenRange_hugepageStays_triesFiveTimes() {
    hugepages(1);
    int[] calls = {0, 0};
    HugetlbHooks hugetlb =
        new HugetlbHooks() {
          @Override
          public int isolateOrDissolveHugeFolio(Folio folio, ListHead list) {
            bench.mm.lists().listAddTail(bench.mm.struct().lru(folio.page()), list);
            return 0;
          }
        };
    int[] answer = {1};
    PageMigration migration =
        new PageMigration() {
          @Override
          public int migratePages(ListHead from, MigrationTarget target) {
            calls[0]++;
            return answer[0];
          }

          @Override
          public void putbackMovablePages(ListHead list) {
            calls[1]++;
            while (!bench.mm.lists().listEmpty(list)) {
              bench.mm.lists().listDel(bench.mm.lists().first(list));
            }
          }
        };
    bench.alloc.setHugetlbHooks(hugetlb, migration);

    assertEquals(
        -Errno.EBUSY, bench.alloc.allocContigFrozenRange(FIRST, FIRST + 512, false, COMPOUND));
    assertEquals(5, calls[0]);
    assertEquals(1, calls[1]);
    assertEquals(0, bench.alloc.nrIsolatePageblock(zone));

    answer[0] = -Errno.ENOMEM;
    calls[0] = 0;
    assertEquals(
        -Errno.ENOMEM, bench.alloc.allocContigFrozenRange(FIRST, FIRST + 512, false, COMPOUND));
    assertEquals(1, calls[0]);
    assertEquals(2, calls[1]);
  }

  /** A free hugepage cannot be replaced. Expect HugeTLB's error, from either place it is asked. */
  @Test
  void allocContigFrozenRange_notReplaced_isItsError() {
    hugepages(1);
    Hugetlb hugetlb = new Hugetlb();
    hugetlb.answer = -Errno.ENOMEM;
    bench.alloc.setHugetlbHooks(hugetlb, PageMigration.NONE);

    assertEquals(
        -Errno.ENOMEM, bench.alloc.allocContigFrozenRange(FIRST, FIRST + 512, false, COMPOUND));
    assertEquals(0, bench.alloc.nrIsolatePageblock(zone));
    assertEquals(NR - 512, zone.nrFreePages);
  }

  // ---- bitmaps ----

  /** Runs that begin and end in words, and fill them. Expect exactly these bits. */
  @Test
  void bitmap_runs_setAndClearExactly() {
    Slab slab = new Slab(bench.mm, bench.alloc);
    Bitmaps bitmaps = new Bitmaps(bench.mm, slab);
    long map = bitmaps.bitmapZalloc(200, "test");
    assertTrue(map != 0);

    bitmaps.bitmapSet(map, 60, 70);
    assertEquals(0xf000_0000_0000_0000L, bench.machine.cpu().readLong(map));
    assertEquals(-1, bench.machine.cpu().readLong(map + 8));
    assertEquals(3, bench.machine.cpu().readLong(map + 16));
    assertEquals(0, bench.machine.cpu().readLong(map + 24));
    bitmaps.bitmapClear(map, 64, 64);
    assertEquals(0, bench.machine.cpu().readLong(map + 8));
    assertEquals(3, bench.machine.cpu().readLong(map + 16));
    bitmaps.bitmapClear(map, 61, 2);
    assertEquals(0x9000_0000_0000_0000L, bench.machine.cpu().readLong(map));

    assertEquals(60, bitmaps.findNextBit(map, 200, 0));
    assertEquals(63, bitmaps.findNextBit(map, 200, 61));
    assertEquals(128, bitmaps.findNextBit(map, 200, 64));
    assertEquals(200, bitmaps.findNextBit(map, 200, 130));
    assertEquals(100, bitmaps.findNextBit(map, 100, 64));
    assertEquals(61, bitmaps.findNextZeroBit(map, 200, 60));
    assertEquals(130, bitmaps.findNextZeroBit(map, 200, 128));
    assertEquals(129, bitmaps.findNextZeroBit(map, 129, 128));
  }

  /** A map is the last word of the machine's memory, behind which nothing is mapped. Expect no look
   * there. */
  @Test
  void findNextBit_lastWord_staysInTheMap() {
    bench.machine.memory().setLong(Bench.ROOT, 0);
    Bitmaps bitmaps = new Bitmaps(bench.mm, new Slab(bench.mm, bench.alloc));
    assertEquals(64, bitmaps.findNextBit(bench.mm.model().va(Bench.GIB - 8), 64, 60));
  }

  /** A run of clear bits that is aligned, counted from an offset. Expect the first that fits. */
  @Test
  void bitmapFindNextZeroAreaOff_alignment_countsTheOffset() {
    Bitmaps bitmaps = new Bitmaps(bench.mm, new Slab(bench.mm, bench.alloc));
    long map = bitmaps.bitmapZalloc(64, "test");
    bitmaps.bitmapSet(map, 0, 3);
    bitmaps.bitmapSet(map, 8, 1);

    assertEquals(3, bitmaps.bitmapFindNextZeroAreaOff(map, 64, 0, 5, 0, 0));
    assertEquals(9, bitmaps.bitmapFindNextZeroAreaOff(map, 64, 0, 6, 0, 0));
    assertEquals(4, bitmaps.bitmapFindNextZeroAreaOff(map, 64, 0, 4, 3, 0));
    assertEquals(12, bitmaps.bitmapFindNextZeroAreaOff(map, 64, 0, 5, 3, 0));
    assertEquals(3, bitmaps.bitmapFindNextZeroAreaOff(map, 64, 0, 4, 3, 1));
    assertEquals(9, bitmaps.bitmapFindNextZeroAreaOff(map, 64, 0, 55, 0, 0));
    assertTrue(bitmaps.bitmapFindNextZeroAreaOff(map, 64, 0, 56, 0, 0) >= 64);
    assertEquals(20, bitmaps.bitmapFindNextZeroAreaOff(map, 64, 20, 5, 0, 0));
  }

  /** Objects of slab and their bitmaps. Expect each counted until it is freed. */
  @Test
  void slab_objects_areCounted() {
    Slab slab = new Slab(bench.mm, bench.alloc);
    Bitmaps bitmaps = new Bitmaps(bench.mm, slab);
    long map = bitmaps.bitmapZalloc(65, "test");
    long large = slab.kzalloc(3 * 4096, 0, "test");
    assertEquals(2, slab.objectsInUse());
    bitmaps.bitmapFree(map);
    assertEquals(1, slab.objectsInUse());
    slab.kfree(large);
    assertEquals(0, slab.objectsInUse());
    assertEquals(NR, zone.nrFreePages);
  }
}
