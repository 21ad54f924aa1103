// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;
import static org.vmemmap.pagealloc.Bench.PAGEBLOCK;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Pageblocks and their types: fallback, claiming, stealing, isolation. */
class FallbackTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final Gfp RECLAIMABLE = Gfp.KERNEL.or(Gfp.RECLAIMABLE);

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, 2 * MAX_BLOCK);

  private Migratetype typeOf(long pfn) {
    return bench.alloc.getPfnblockMigratetype(bench.page(pfn), pfn);
  }

  /**
   * All memory is movable, and an unmovable page is wanted.
   *
   * <pre>
   *   |M M|M M|   to   |U U|M M|      pageblocks
   * </pre>
   *
   * Expect that the largest block is claimed whole: both its pageblocks and its rest are unmovable.
   */
  @Test
  void allocPagesNode_unmovableFromMovable_claimsTheLargestBlock() {
    Page page = bench.take(0, Gfp.KERNEL);
    assertEquals(FIRST, bench.pfn(page));
    assertEquals(Migratetype.MIGRATE_UNMOVABLE, typeOf(FIRST));
    assertEquals(Migratetype.MIGRATE_UNMOVABLE, typeOf(FIRST + PAGEBLOCK));
    assertEquals(Migratetype.MIGRATE_MOVABLE, typeOf(FIRST + MAX_BLOCK));
    assertEquals("9:512 UNMOVABLE", bench.free(zone).get(1));
    assertEquals(2 * MAX_BLOCK - 1, zone.nrFreePages);
  }

  /** A whole unmovable pageblock is free, and a movable page is wanted. Expect the pageblock
   * claimed. */
  @Test
  void allocPagesNode_movableFromFreePageblock_claimsIt() {
    bench.take(10, MOVABLE);
    bench.take(9, Gfp.KERNEL);
    Page page = bench.take(0, MOVABLE);
    assertEquals(FIRST + MAX_BLOCK + PAGEBLOCK, bench.pfn(page));
    assertEquals(Migratetype.MIGRATE_MOVABLE, typeOf(bench.pfn(page)));
  }

  /** Only sixteen unmovable pages are free, and a movable page is wanted. Expect that one is stolen
   * and the pageblock keeps its type. */
  @Test
  void allocPagesNode_smallMovable_stealsOnePage() {
    bench.take(10, MOVABLE);
    for (int order = 9; order >= 4; order--) {
      bench.take(order, Gfp.KERNEL);
    }
    Page page = bench.take(0, MOVABLE);
    assertEquals(FIRST + 2 * MAX_BLOCK - 16, bench.pfn(page));
    assertEquals(Migratetype.MIGRATE_UNMOVABLE, typeOf(bench.pfn(page)));
  }

  /**
   * A movable pageblock in which more than half is free or in use by others.
   *
   * <pre>
   *   | used by unmovable | free    |      one pageblock, movable
   * </pre>
   *
   * Expect that an unmovable request claims the whole pageblock.
   */
  @Test
  void allocPagesNode_mostlyAlikePageblock_isClaimed() {
    bench.take(10, MOVABLE);
    bench.take(9, MOVABLE);
    bench.take(8, MOVABLE);
    Page page = bench.take(0, Gfp.KERNEL);
    assertEquals(FIRST + MAX_BLOCK + PAGEBLOCK + 256, bench.pfn(page));
    assertEquals(Migratetype.MIGRATE_UNMOVABLE, typeOf(bench.pfn(page)));
  }

  /** The used pages are on the LRU, so movable. Expect that the pageblock is not claimed: one page
   * is stolen from it. */
  @Test
  void allocPagesNode_mostlyMovablePageblock_isNotClaimed() {
    bench.take(10, MOVABLE);
    bench.take(9, MOVABLE);
    bench.take(8, MOVABLE);
    bench.take(7, MOVABLE);
    for (long i = 0; i < 384; i++) {
      bench.mm.flags().set(bench.page(FIRST + MAX_BLOCK + PAGEBLOCK + i), PageFlags.PG_LRU);
    }
    Page page = bench.take(0, Gfp.KERNEL);
    assertEquals(Migratetype.MIGRATE_MOVABLE, typeOf(bench.pfn(page)));
  }

  /**
   * A claim raises the zone's watermarks. Expect the boost of a pageblock, and none without marks.
   */
  @Test
  void boostWatermark_afterMarks_raises() {
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    Watermarks marks = new Watermarks(bench.mm, lists);
    assertFalse(marks.boostWatermark(zone));
    marks.initPerZoneWmarkMin();
    long high = lists.state(zone).wmarkPages(ZoneState.WMARK_HIGH);
    assertTrue(marks.boostWatermark(zone));
    assertEquals(high + PAGEBLOCK, lists.state(zone).wmarkPages(ZoneState.WMARK_HIGH));
    zone.managedPages = PAGEBLOCK;
    assertFalse(marks.boostWatermark(zone));
  }

  /** Reclaimable falls back to unmovable before movable. Expect an unmovable block claimed. */
  @Test
  void allocPagesNode_reclaimable_prefersUnmovableBlocks() {
    bench.take(9, Gfp.KERNEL);
    Page page = bench.take(9, RECLAIMABLE);
    // The largest block counts more than the order of types: it is movable.
    assertEquals(FIRST + MAX_BLOCK, bench.pfn(page));
    bench.take(9, RECLAIMABLE);
    assertEquals(FIRST + PAGEBLOCK, bench.pfn(bench.take(9, RECLAIMABLE)));
    assertEquals(Migratetype.MIGRATE_RECLAIMABLE, typeOf(FIRST + PAGEBLOCK));
  }

  /** CMA memory. Expect it for movable requests only. */
  @Test
  void allocPagesNode_cmaPageblocks_areForMovableOnly() {
    Bench cma = Bench.debug();
    Zone small = cma.zone(0, ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    cma.alloc.initPageblockMigratetype(cma.page(FIRST), Migratetype.MIGRATE_CMA, false);
    cma.alloc.setPageblockMigratetype(cma.page(FIRST + PAGEBLOCK), Migratetype.MIGRATE_CMA);
    cma.give(FIRST, MAX_BLOCK);
    assertEquals(List.of("10:0 CMA"), cma.free(small));
    assertNull(cma.alloc.allocPagesNode(0, Gfp.KERNEL, 0, "test"));
    assertEquals(FIRST, cma.pfn(cma.take(0, MOVABLE)));
  }

  /** Buddies of pageblock order, one of CMA. Expect that they do not merge; two plain types do, and
   * take the type of the one that came. */
  @Test
  void freePages_pageblocksOfTwoTypes_mergeOnlyWhenMergeable() {
    Bench two = Bench.debug();
    Zone small = two.zone(0, ZoneType.ZONE_NORMAL, FIRST, 2 * MAX_BLOCK);
    two.alloc.initPageblockMigratetype(two.page(FIRST), Migratetype.MIGRATE_CMA, false);
    Page unmovable = two.page(FIRST + MAX_BLOCK);
    two.alloc.initPageblockMigratetype(unmovable, Migratetype.MIGRATE_UNMOVABLE, false);
    two.give(FIRST, 2 * MAX_BLOCK);
    assertEquals(
        List.of("10:1024 MOVABLE", "9:512 MOVABLE", "9:0 CMA"), two.free(small));
    assertEquals(
        Migratetype.MIGRATE_MOVABLE,
        two.alloc.getPfnblockMigratetype(unmovable, FIRST + MAX_BLOCK));
  }

  // ---- pageblock flags ----

  /**
   * All types in neighbouring pageblocks. Expect each back, and the isolation bit beside the type.
   */
  @Test
  void setPageblockMigratetype_neighbours_doNotDisturb() {
    Pageblocks blocks = new Pageblocks(bench.mm);
    blocks.initPageblockMigratetype(bench.page(FIRST), Migratetype.MIGRATE_CMA, true);
    blocks.setPageblockMigratetype(bench.page(FIRST + 512), Migratetype.MIGRATE_RECLAIMABLE);
    blocks.setPageblockMigratetype(bench.page(FIRST + 1024), Migratetype.MIGRATE_HIGHATOMIC);
    assertEquals(Migratetype.MIGRATE_ISOLATE, typeOf(FIRST));
    assertEquals(Migratetype.MIGRATE_RECLAIMABLE, typeOf(FIRST + 512));
    assertEquals(Migratetype.MIGRATE_HIGHATOMIC, typeOf(FIRST + 1024));
    assertEquals(Migratetype.MIGRATE_MOVABLE, typeOf(FIRST + 1536));
    blocks.clearPfnblockBit(bench.page(FIRST), FIRST, Pageblocks.PB_MIGRATE_ISOLATE);
    assertEquals(Migratetype.MIGRATE_CMA, typeOf(FIRST));
    long[] usage = bench.mm.mmzone().section(0).usage == null
        ? new long[0]
        : bench.mm.mmzone().section(0).usage.pageblockFlags();
    assertEquals(0x0103_0204L, usage[2] & 0xffff_ffffL);
  }

  /** MIGRATE_ISOLATE is no type, and an isolated pageblock has to be opened first. Expect the
   * warnings. */
  @Test
  void setPageblockMigratetype_isolate_warns() {
    Pageblocks blocks = new Pageblocks(bench.mm);
    blocks.setPageblockMigratetype(bench.page(FIRST), Migratetype.MIGRATE_ISOLATE);
    blocks.initPageblockMigratetype(bench.page(FIRST), Migratetype.MIGRATE_ISOLATE, false);
    blocks.initPageblockMigratetype(bench.page(FIRST), Migratetype.MIGRATE_MOVABLE, true);
    blocks.setPageblockMigratetype(bench.page(FIRST), Migratetype.MIGRATE_MOVABLE);
    assertEquals(
        List.of(
            "Use set_pageblock_isolate() for pageblock isolation",
            "Set isolate=true to isolate pageblock with a migratetype",
            "Use clear_pageblock_isolate() to unisolate pageblock"),
        bench.warnings());
  }

  /** A bit that is part of the type. Expect a warning from each of the three functions. */
  @Test
  void getPfnblockBit_typeBit_warns() {
    Pageblocks blocks = new Pageblocks(bench.mm);
    assertFalse(blocks.getPfnblockBit(bench.page(FIRST), FIRST, 0));
    blocks.setPfnblockBit(bench.page(FIRST), FIRST, 2);
    blocks.clearPfnblockBit(bench.page(FIRST), FIRST, 5);
    assertEquals(3, bench.warnings().size());
    blocks.setPfnblockBit(bench.page(FIRST), FIRST, Pageblocks.PB_COMPACT_SKIP);
    assertTrue(blocks.getPfnblockBit(bench.page(FIRST), FIRST, Pageblocks.PB_COMPACT_SKIP));
  }

  /** A page outside its zone in a DEBUG_VM kernel, and one without a section. Expect bugs. */
  @Test
  void getPfnblockMigratetype_noSuchPage_isABug() {
    zone.zoneStartPfn += PAGEBLOCK;
    org.junit.jupiter.api.Assertions.assertThrows(
        org.vmemmap.types.KernelBug.class, () -> typeOf(FIRST));
    Bench plain = new Bench();
    org.junit.jupiter.api.Assertions.assertThrows(
        org.vmemmap.types.KernelBug.class,
        () -> plain.alloc.getPfnblockMigratetype(plain.page(FIRST), 1L << 20));
  }

  // ---- isolation ----

  /**
   * One pageblock of a free block of two is isolated.
   *
   * <pre>
   *   |    10: movable    |   to   | 9: isolate | 9: movable |
   * </pre>
   *
   * Expect the block split, the isolated half not counted, and all as before when it is opened.
   */
  @Test
  void startIsolatePageRange_halfOfABlock_splitsIt() {
    PageIsolation isolation = bench.alloc.isolation();
    assertEquals(
        0, isolation.startIsolatePageRange(FIRST, FIRST + 512, PageIsolation.Mode.OTHER));
    assertEquals(
        List.of("10:1024 MOVABLE", "9:512 MOVABLE", "9:0 ISOLATE"), bench.free(zone));
    assertEquals(2 * MAX_BLOCK - 512, zone.nrFreePages);
    assertEquals(
        0, isolation.testPagesIsolated(FIRST, FIRST + 512, PageIsolation.Mode.OTHER));
    isolation.undoIsolatePageRange(FIRST, FIRST + 512);
    assertEquals(2, bench.free(zone).size());
    assertEquals(2 * MAX_BLOCK, zone.nrFreePages);
    assertEquals(List.of(), bench.warnings());
  }

  /** A reserved page in the middle. Expect -EBUSY and nothing isolated. */
  @Test
  void startIsolatePageRange_reservedInside_isBusy() {
    bench.take(10, MOVABLE);
    bench.mm.flags().set(bench.page(FIRST + 520), PageFlags.PG_RESERVED);
    int rc =
        bench.alloc
            .isolation()
            .startIsolatePageRange(FIRST, FIRST + 2 * MAX_BLOCK, PageIsolation.Mode.MEM_OFFLINE);
    assertEquals(-16, rc);
    assertEquals(Migratetype.MIGRATE_MOVABLE, typeOf(FIRST));
    assertEquals(Migratetype.MIGRATE_MOVABLE, typeOf(FIRST + MAX_BLOCK + 512));
  }

  /** The last pageblock has a page that cannot move. Expect -EBUSY and the first one open again. */
  @Test
  void startIsolatePageRange_reservedAtTheEnd_undoesTheStart() {
    bench.mm.flags().set(bench.take(10, MOVABLE), PageFlags.PG_RESERVED);
    bench.mm.flags().clear(bench.page(FIRST), PageFlags.PG_RESERVED);
    bench.mm.flags().set(bench.page(FIRST + 512), PageFlags.PG_RESERVED);
    bench.alloc.freePages(bench.page(FIRST), 0);
    int rc =
        bench.alloc
            .isolation()
            .startIsolatePageRange(FIRST + 1024, FIRST + 1024, PageIsolation.Mode.OTHER);
    assertEquals(-16, rc);
    assertEquals(Migratetype.MIGRATE_MOVABLE, typeOf(FIRST + 1024));
  }

  /** A pageblock is isolated twice. Expect -EBUSY. */
  @Test
  void startIsolatePageRange_twice_isBusy() {
    PageIsolation isolation = bench.alloc.isolation();
    isolation.startIsolatePageRange(FIRST, FIRST + 512, PageIsolation.Mode.OTHER);
    assertEquals(
        -16, isolation.startIsolatePageRange(FIRST, FIRST + 512, PageIsolation.Mode.OTHER));
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    assertFalse(lists.pageblockIsolateAndMoveFreePages(zone, bench.page(FIRST)));
    assertFalse(lists.pageblockUnisolateAndMoveFreePages(zone, bench.page(FIRST + 512)));
    assertEquals(
        List.of(
            "Isolate a pageblock that is already in that state",
            "Unisolate a pageblock that is already in that state"),
        bench.warnings());
  }

  /** A page is freed into an isolated pageblock. Expect it on the isolated list at once. */
  @Test
  void freePage_isolatedPageblock_bypassesThePcp() {
    bench.alloc.setupPerCpuPageset();
    Page page = bench.take(0, MOVABLE);
    bench.mm.flags().set(page, PageFlags.PG_LRU);
    bench.alloc.drainAllPages(zone);
    PageIsolation isolation = bench.alloc.isolation();
    assertEquals(
        0, isolation.startIsolatePageRange(FIRST, FIRST + 512, PageIsolation.Mode.OTHER));
    assertEquals(
        -16, isolation.testPagesIsolated(FIRST, FIRST + 512, PageIsolation.Mode.OTHER));
    bench.mm.flags().clear(page, PageFlags.PG_LRU);
    bench.alloc.freePage(page);
    assertTrue(bench.free(zone).contains("9:0 ISOLATE"));
  }

  /** Free isolated memory goes offline. Expect it off the lists; a page in use is a bug. */
  @Test
  void offlineIsolatedPages_freeRange_leavesTheLists() {
    PageIsolation isolation = bench.alloc.isolation();
    isolation.startIsolatePageRange(FIRST, FIRST + MAX_BLOCK, PageIsolation.Mode.MEM_OFFLINE);
    assertEquals(MAX_BLOCK, bench.alloc.offlineIsolatedPages0(FIRST, FIRST + MAX_BLOCK));
    assertEquals(List.of("10:1024 MOVABLE"), bench.free(zone));
    org.junit.jupiter.api.Assertions.assertThrows(
        org.vmemmap.types.KernelBug.class,
        () -> bench.alloc.offlineIsolatedPages0(FIRST, FIRST + 1));
    bench.mm.flags().setType(bench.page(FIRST), PageFlags.PGTY_OFFLINE);
    bench.mm.flags().set(bench.page(FIRST + 1), PageFlags.PG_HWPOISON);
    assertEquals(1, bench.alloc.offlineIsolatedPages0(FIRST, FIRST + 2));
  }
}
