// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** How many pages a per-CPU list takes, keeps and gives back, count by count. */
class PcpLimitsTest {
  private static final Migratetype MOVABLE = Migratetype.MIGRATE_MOVABLE;
  private static final long NR = PcpBench.NR;
  private static final int BATCH = PcpBench.BATCH;

  private final PcpBench own = new PcpBench();
  private final Bench bench = own.bench;
  private final Zone zone = own.zone;
  private final Pageblocks blocks = own.blocks;
  private final FreeLists lists = own.lists;
  private final Watermarks marks = own.marks;
  private final Pcplists pcplists = own.pcplists;
  private final PerCpuPages pcp = own.pcp;

  private void set(int highMin, int highMax) {
    own.set(highMin, highMax);
  }

  private Page take(int order, Migratetype type) {
    return own.take(order, type);
  }

  private List<Page> pages(int count, int order) {
    return own.pages(count, order);
  }

  private void free(Page page, int order) {
    own.free(page, order);
  }

  private int[] countsWhileFreeing(List<Page> taken, int order) {
    int[] counts = new int[taken.size()];
    for (int i = 0; i < counts.length; i++) {
      free(taken.get(i), order);
      counts[i] = pcp.count;
    }
    return counts;
  }

  private static int[] counts(int... counts) {
    return counts;
  }

  private static void assertCounts(int[] wanted, int[] counts) {
    assertEquals(
        java.util.Arrays.toString(wanted), java.util.Arrays.toString(counts));
  }

  // ---- sizes ----

  /**
   * 512 MiB of one zone.
   *
   * <pre>
   *   batch      131072 / 4096 = 32, a half more, down to a power of two, less one: 31
   *   high_min   the low mark: 5632 + 1408
   *   high_max   an eighth of the zone
   * </pre>
   *
   * Expect the kernel's numbers; four batches where there are no marks.
   */
  @Test
  void zoneSetPagesetHighAndBatch_sizes_followTheZone() {
    zone.managedPages = 131072;
    pcplists.zoneSetPagesetHighAndBatch(zone);
    assertEquals(31, pcp.batch);
    assertEquals(124, pcp.highMin);
    assertEquals(16384, pcp.highMax);
    marks.initPerZoneWmarkMin();
    pcplists.zoneSetPagesetHighAndBatch(zone);
    assertEquals(7040, pcp.highMin);
    assertEquals(7040, lists.state(zone).pagesetHighMin);
    assertEquals(16384, lists.state(zone).pagesetHighMax);
    assertEquals(31, lists.state(zone).pagesetBatch);
  }

  /** Zones from 8 MiB to 16 GiB. Expect the batch to grow with them, from 1 to 63. */
  @Test
  void zoneBatchsize_sizes_areOneLessThanAPowerOfTwo() {
    long[] managed = {2048, 8191, 8192, 12288, 16384, 1L << 22};
    int[] batch = {1, 1, 1, 3, 3, 63};
    for (int i = 0; i < managed.length; i++) {
      zone.managedPages = managed[i];
      pcplists.zoneSetPagesetHighAndBatch(zone);
      assertEquals(batch[i], pcp.batch, "managed=" + managed[i]);
    }
    // An eighth of a tiny zone is less than the least: then both limits are the same.
    zone.managedPages = 16;
    pcplists.zoneSetPagesetHighAndBatch(zone);
    assertEquals(4, pcp.highMin);
    assertEquals(4, pcp.highMax);
  }

  /** A zone without lists. Expect its sizes to be noted and its boot pageset to stay. */
  @Test
  void zoneSetPagesetHighAndBatch_bootPageset_stays() {
    Zone movable = bench.zone(0, ZoneType.ZONE_MOVABLE, FIRST + NR, MAX_BLOCK);
    movable.managedPages = 131072;

    pcplists.zoneSetPagesetHighAndBatch(movable);

    assertEquals(31, lists.state(movable).pagesetBatch);
    assertEquals(1, lists.state(movable).pcp.batch);
    assertEquals(0, lists.state(movable).pcp.highMax);
    assertEquals(0, lists.state(movable).pcp.lists.length);
    pcplists.setupZonePageset(movable);
    assertEquals(14, lists.state(movable).pcp.lists.length);
    assertEquals(31, lists.state(movable).pcp.batch);
  }

  // ---- giving back ----

  /**
   * A limit of 8 and a batch of 4.
   *
   * <pre>
   *   count   1 2 3 4 5 6 7 8 -> 4   5 6 7 8 -> 4
   * </pre>
   *
   * Expect a batch back at the limit, the pages that came first.
   */
  @Test
  void freeFrozenPages_fixedLimit_givesABatchBack() {
    List<Page> taken = pages(12, 0);

    assertCounts(
        counts(1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 4), countsWhileFreeing(taken, 0));

    for (int i = 0; i < 12; i++) {
      assertEquals(i < 8, lists.isFreeBuddyPage(taken.get(i)), "page " + i);
    }
    assertEquals(8, pcp.high);
    assertEquals(12, pcp.freeCount);
  }

  /** A limit that may grow. Expect it to follow the run of frees, and more to go at once. */
  @Test
  void freeFrozenPages_growingLimit_followsTheRun() {
    set(8, 32);

    assertCounts(
        counts(1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 8, 9, 10, 11, 4),
        countsWhileFreeing(pages(16, 0), 0));
    assertEquals(20, pcp.high);
  }

  /** The limit cannot grow further. Expect it to stop at the most. */
  @Test
  void freeFrozenPages_growingLimit_stopsAtTheMost() {
    set(8, 10);
    countsWhileFreeing(pages(8, 0), 0);
    assertEquals(10, pcp.high);

    assertCounts(counts(5, 6, 7, 8, 9, 4), countsWhileFreeing(pages(6, 0), 0));
    assertEquals(10, pcp.high);
  }

  /** The zone is below its high mark. Expect the limit to shrink and pages to go at once. */
  @Test
  void freeFrozenPages_belowHigh_shrinks() {
    set(2, 32);
    pcp.high = 20;
    lists.state(zone).belowHigh = true;

    assertCounts(counts(1, 1), countsWhileFreeing(pages(2, 0), 0));

    // 20 - max(freeCount, batch), twice; the second time the zone is no longer below.
    assertFalse(lists.state(zone).belowHigh);
    assertEquals(12, pcp.high);
  }

  /** A long run of frees is counted up to 32 batches. Expect the count to stop there. */
  @Test
  void freeFrozenPages_longRun_isCountedUpTo32Batches() {
    set(1000, 1000);
    pcp.freeCount = 32 * BATCH - 1;
    countsWhileFreeing(pages(3, 0), 0);

    assertEquals(32 * BATCH, pcp.freeCount);
  }

  /**
   * A run of blocks of order 1, batch 4 and limit 100.
   *
   * <pre>
   *   27 frees: 54 pages = 4 + 100 / 2     the 28th: all go
   * </pre>
   *
   * Expect nothing to stay behind the 28th, unless a single page came between.
   */
  @Test
  void freeFrozenPages_runOfHighOrder_flushesAll() {
    set(100, 100);
    List<Page> taken = pages(30, 1);
    for (int i = 0; i < 27; i++) {
      free(taken.get(i), 1);
    }
    assertEquals(54, pcp.count);
    free(taken.get(27), 1);
    assertEquals(0, pcp.count);
    assertEquals(56, pcp.freeCount);

    pcp.freeCount = 54;
    free(pages(1, 0).getFirst(), 0);
    free(taken.get(28), 1);
    assertEquals(3, pcp.count);
    free(taken.get(29), 1);
    assertEquals(0, pcp.count);
  }

  /** A cache that is large enough keeps a batch of them. Expect the flush from a batch on. */
  @Test
  void freeFrozenPages_highBatchFlag_keepsABatch() {
    set(100, 100);
    pcp.flags = PerCpuPages.PCPF_FREE_HIGH_BATCH | PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER;
    pcp.freeCount = 54;
    List<Page> taken = pages(2, 1);

    free(taken.get(0), 1);
    assertEquals(2, pcp.count);
    free(taken.get(1), 1);
    assertEquals(0, pcp.count);
    assertTrue((pcp.flags & PerCpuPages.PCPF_FREE_HIGH_BATCH) != 0);
  }

  /** More than 32 batches wait. Expect a flush to leave the rest, and to lower the limit. */
  @Test
  void freeFrozenPages_largeCache_flushesInParts() {
    set(100, 1000);
    pcp.high = 500;
    List<Page> taken = pages(201, 0);
    for (int i = 0; i < 200; i++) {
      free(taken.get(i), 0);
    }
    assertEquals(200, pcp.count);
    pcp.freeCount = 54;
    pcp.flags = PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER;

    free(pages(1, 1).getFirst(), 1);

    assertEquals(202 - 128, pcp.count);
    assertEquals(500 - 128, pcp.high);
  }

  /** Lists of several kinds. Expect the one that overflows to be emptied first. */
  @Test
  void freePcppagesBulk_lists_beginsWithTheFullOne() {
    blocks.setPageblockMigratetype(bench.page(FIRST + 7 * MAX_BLOCK), Migratetype.MIGRATE_UNMOVABLE);
    Page other = bench.page(FIRST + 7 * MAX_BLOCK);
    assertEquals(
        0, bench.alloc.allocContigFrozenRange(
            FIRST + 7 * MAX_BLOCK, FIRST + 7 * MAX_BLOCK + 2, false, Gfp.KERNEL));
    Page second = bench.mm.struct().add(other, 1);
    free(other, 0);
    free(second, 0);
    assertEquals(2, pcp.count);

    countsWhileFreeing(pages(6, 0), 0);

    assertEquals(4, pcp.count);
    assertFalse(lists.isFreeBuddyPage(other));
    assertFalse(lists.isFreeBuddyPage(second));
    pcplists.drainAllPages0(zone);
    assertEquals(0, pcp.count);
    assertTrue(lists.isFreeBuddyPage(other));
  }

  // ---- refilling ----

  /**
   * Single pages are taken, with a limit of 100.
   *
   * <pre>
   *   refill   4   8   16   32   64   96 (what fits below the limit)
   * </pre>
   *
   * Expect each refill twice the one before, up to what fits.
   */
  @Test
  void rmqueue_singlePages_doubleTheBatch() {
    set(100, 100);
    for (int batch : new int[] {4, 8, 16, 32, 64, 96, 96}) {
      take(0, MOVABLE);
      assertEquals(batch - 1, pcp.count);
      while (pcp.count != 0) {
        take(0, MOVABLE);
      }
    }
    assertEquals(5, pcp.allocFactor);
  }

  /** A page is freed between. Expect the next refill to be half as large. */
  @Test
  void rmqueue_afterAFree_halvesTheBatch() {
    set(100, 100);
    pcp.allocFactor = 3;
    free(pages(1, 0).getFirst(), 0);
    assertEquals(1, pcp.allocFactor);
    take(0, MOVABLE);

    take(0, MOVABLE);
    assertEquals(2 * BATCH - 1, pcp.count);
    assertEquals(2, pcp.allocFactor);
  }

  /** Blocks of order 1 and 3. Expect a batch in pages, but at least two blocks. */
  @Test
  void rmqueue_higherOrders_takeFewer() {
    set(100, 100);
    take(1, MOVABLE);
    assertEquals(2, pcp.count);
    take(3, MOVABLE);
    assertEquals(2 + 8, pcp.count);
    assertEquals(0, pcp.allocFactor);
  }

  /** A limit below a batch, as while lists are disabled. Expect one page at a time. */
  @Test
  void rmqueue_limitBelowBatch_takesOne() {
    set(3, 3);
    take(0, MOVABLE);
    assertEquals(0, pcp.count);
  }

  /** A limit that may grow. Expect each refill to raise it; not below the high mark. */
  @Test
  void rmqueue_growingLimit_isRaised() {
    set(8, 32);
    take(0, MOVABLE);
    assertEquals(12, pcp.high);
    while (pcp.count != 0) {
      take(0, MOVABLE);
    }
    take(0, MOVABLE);
    assertEquals(20, pcp.high);
    lists.state(zone).belowHigh = true;
    while (pcp.count != 0) {
      take(0, MOVABLE);
    }
    take(0, MOVABLE);
    assertEquals(20, pcp.high);
  }

  /** Each allocation halves the run of frees. Expect 40, 20, 10. */
  @Test
  void rmqueue_eachPage_halvesTheRun() {
    pcp.freeCount = 40;
    take(0, MOVABLE);
    assertEquals(20, pcp.freeCount);
    take(0, MOVABLE);
    assertEquals(10, pcp.freeCount);
  }

  /** An atomic reserve is wanted and the list is empty. Expect none from there, but from the buddy. */
  @Test
  void rmqueue_highatomic_doesNotRefill() {
    Page page = pcplists.rmqueue(zone, 0, Watermarks.ALLOC_HIGHATOMIC, MOVABLE);

    assertNotNull(page);
    assertEquals(0, pcp.count);
  }

  /** Kinds and orders that have lists. Expect hugepages of movable and other kinds apart. */
  @Test
  void pcpAllowedOrder_lists_areForSmallAndHuge() {
    for (int order = 0; order <= 10; order++) {
      assertEquals(order <= 3 || order == 9, pcplists.pcpAllowedOrder(order), "order " + order);
    }
    set(2000, 2000);
    Page huge = bench.take(9, Gfp.KERNEL.or(Gfp.MOVABLE).or(Gfp.COMPOUND));
    bench.mm.refs().setPageCount(huge, 0);
    free(huge, 9);
    assertEquals(512, pcp.count);
    // Two blocks come for one that is taken: the movable one that waits is of another list.
    take(9, Migratetype.MIGRATE_UNMOVABLE);
    assertEquals(2 * 512, pcp.count);
    assertEquals(huge, take(9, MOVABLE));
    assertEquals(512, pcp.count);
  }

  /** No pages are left. Expect null, and the count as it was. */
  @Test
  void rmqueue_nothingLeft_returnsNull() {
    set(100, 100);
    for (int i = 0; i < 8; i++) {
      assertNotNull(pcplists.rmqueue(zone, 10, 0, MOVABLE));
    }
    assertNull(pcplists.rmqueue(zone, 10, 0, MOVABLE));
    assertNull(pcplists.rmqueue(zone, 0, 0, MOVABLE));
    assertEquals(0, pcp.count);
    assertEquals(0, zone.nrFreePages);
  }

  /** Less than a batch is left. Expect what there is. */
  @Test
  void rmqueue_lessThanABatch_takesTheRest() {
    for (int i = 1; i < 8; i++) {
      bench.take(10, Gfp.KERNEL.or(Gfp.MOVABLE));
    }
    for (int order = 9; order >= 1; order--) {
      bench.take(order, Gfp.KERNEL.or(Gfp.MOVABLE));
    }
    assertEquals(2, zone.nrFreePages);
    set(100, 100);

    take(0, MOVABLE);

    assertEquals(1, pcp.count);
    assertEquals(0, zone.nrFreePages);
  }

  // ---- draining, disabling ----

  /** Lists that hold more than is drained at once. Expect all of it back. */
  @Test
  void drainAllPages_manyPages_leavesNone() {
    set(1000, 1000);
    pages(300, 0).forEach(page -> free(page, 0));
    assertEquals(300, pcp.count);

    pcplists.drainAllPages0(null);

    assertEquals(0, pcp.count);
    assertEquals(NR, zone.nrFreePages);
  }

  /** A movable hugepage and one of another kind wait, whose pageblock becomes movable meanwhile. Expect
   * the other one back first, and so behind the movable one on the same list. */
  @Test
  void drainAllPages_hugepages_movableComesLast() {
    set(2000, 2000);
    List<Page> huge = pages(4, 9);
    Page movable = huge.get(0);
    Page other = huge.get(2);
    free(movable, 9);
    blocks.setPageblockMigratetype(other, Migratetype.MIGRATE_UNMOVABLE);
    free(other, 9);
    blocks.setPageblockMigratetype(other, MOVABLE);

    pcplists.drainAllPages0(null);

    assertEquals(List.of(movable, other), bench.alloc.freeBlocks(zone, 9, MOVABLE));
  }

  /** The lists are disabled and enabled again. Expect one page at a time, then the old limits. */
  @Test
  void zonePcpDisable_limits_comeBack() {
    zone.managedPages = 131072;
    pcplists.zoneSetPagesetHighAndBatch(zone);
    pages(3, 0).forEach(page -> free(page, 0));

    pcplists.zonePcpDisable(zone);
    assertEquals(0, pcp.count);
    assertEquals(1, pcp.batch);
    assertEquals(0, pcp.highMin + pcp.highMax);
    free(pages(1, 0).getFirst(), 0);
    assertEquals(0, pcp.count);

    pcplists.zonePcpEnable(zone);
    assertEquals(31, pcp.batch);
    assertEquals(124, pcp.highMin);
    assertEquals(16384, pcp.highMax);
  }

  /** A zone lost its last page while a page waits on its lists. Expect the warning; none else. */
  @Test
  void zonePcpReset_pagesLeft_warns() {
    pcplists.zonePcpReset(zone);
    assertEquals(List.of(), bench.warnings());
    free(pages(1, 0).getFirst(), 0);

    pcplists.zonePcpReset(zone);

    assertEquals(List.of("zone_pcp_reset: !list_empty"), bench.warnings());
  }
}
