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
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Ways through the per-CPU lists: which locks, which list, and the limits just at their edges. */
class PcpPathsTest {
  private static final Migratetype MOVABLE = Migratetype.MIGRATE_MOVABLE;
  private static final Migratetype UNMOVABLE = Migratetype.MIGRATE_UNMOVABLE;
  private static final Migratetype HIGHATOMIC = Migratetype.MIGRATE_HIGHATOMIC;
  private static final List<String> PCP = List.of("lock pcp->lock 2", "unlock pcp->lock 2");
  private static final List<String> ZONE_IN_PCP =
      List.of(
          "lock pcp->lock 2", "lock zone->lock 2", "unlock zone->lock 2", "unlock pcp->lock 2");

  private final PcpBench own = new PcpBench();
  private final Bench bench = own.bench;
  private final Zone zone = own.zone;
  private final PerCpuPages pcp = own.pcp;

  private List<String> locks(Runnable action) {
    return Steps.of(bench, action).stream().filter(step -> step.contains("lock ")).toList();
  }

  private void type(long pfn, Migratetype type) {
    own.blocks.setPageblockMigratetype(bench.page(pfn), type);
  }

  // ---- locks ----

  /** Single pages are taken: the first fills the list. Expect zone->lock inside pcp->lock once. */
  @Test
  void rmqueue_singlePage_locksTheZoneForARefill() {
    assertEquals(ZONE_IN_PCP, locks(() -> own.take(0, MOVABLE)));
    assertEquals(PCP, locks(() -> own.take(0, MOVABLE)));
  }

  /** The lists are disabled. Expect a page through the list all the same, in one go. */
  @Test
  void rmqueue_limitBelowBatch_stillGoesThroughTheList() {
    own.set(3, 3);
    assertEquals(ZONE_IN_PCP, locks(() -> own.take(0, MOVABLE)));
  }

  /** An order that has no list, both ways. Expect zone->lock only. */
  @Test
  void rmqueue_orderWithoutList_locksTheZone() {
    assertEquals(Steps.LOCKED, locks(() -> own.take(4, MOVABLE)));
    Page page = own.pages(1, 4).getFirst();
    assertEquals(Steps.LOCKED, locks(() -> own.free(page, 4)));
  }

  /** A single page is freed below the limit, and at it. Expect zone->lock for the batch only. */
  @Test
  void freeFrozenPages_singlePage_locksTheZoneForABatch() {
    List<Page> pages = own.pages(8, 0);
    for (int i = 0; i < 7; i++) {
      Page page = pages.get(i);
      assertEquals(PCP, locks(() -> own.free(page, 0)));
    }
    assertEquals(ZONE_IN_PCP, locks(() -> own.free(pages.get(7), 0)));
  }

  /** Lists with pages, and empty ones, are drained. Expect the count read under pcp->lock, once. */
  @Test
  void drainAllPages_count_isReadUnderTheLock() {
    own.free(own.pages(1, 0).getFirst(), 0);
    List<String> steps = Steps.of(bench, () -> own.pcplists.drainAllPages0(zone));
    assertEquals(List.of("lock pcp->lock 2", "pcp->count"), steps.subList(0, 2));
    assertEquals(ZONE_IN_PCP, steps.stream().filter(step -> step.contains("lock ")).toList());

    assertEquals(
        List.of("lock pcp->lock 2", "pcp->count", "unlock pcp->lock 2"),
        Steps.of(bench, () -> own.pcplists.drainAllPages0(zone)));
  }

  /** Two blocks of order 1 and a batch of 3. Expect them gone with the first batch: no other. */
  @Test
  void freeFrozenPages_listEmptiedEarly_stopsThere() {
    own.set(100, 100);
    pcp.batch = 3;
    List<Page> pages = own.pages(2, 1);
    own.free(pages.get(0), 1);
    pcp.freeCount = 90;

    assertEquals(ZONE_IN_PCP, locks(() -> own.free(pages.get(1), 1)));
    assertEquals(0, pcp.count);
  }

  // ---- runs of high orders ----

  /** A long run goes on with order 3, the highest that counts, and with order 9. Expect a flush for
   * the first only. */
  @Test
  void freeFrozenPages_runOfOrder_flushesUpToThree() {
    own.set(1000, 1000);
    pcp.freeCount = 504;
    pcp.flags = PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER;
    own.free(own.pages(1, 3).getFirst(), 3);
    assertEquals(0, pcp.count);

    pcp.freeCount = 504;
    pcp.flags = PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER;
    own.free(own.pages(1, 9).getFirst(), 9);
    assertEquals(512, pcp.count);
  }

  /** The run is long, and less than a batch waits. Expect it flushed where no batch is kept. */
  @Test
  void freeFrozenPages_lessThanABatch_isFlushedToo() {
    own.set(100, 100);
    pcp.freeCount = 54;
    pcp.flags = PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER;

    own.free(own.pages(1, 1).getFirst(), 1);

    assertEquals(0, pcp.count);
  }

  /** A single page is freed. Expect the mark of the run to go, and no other flag to change. */
  @Test
  void freeFrozenPages_singlePage_endsTheRun() {
    int both = PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER | PerCpuPages.PCPF_FREE_HIGH_BATCH;
    pcp.flags = both;
    own.free(own.pages(1, 0).getFirst(), 0);
    assertEquals(PerCpuPages.PCPF_FREE_HIGH_BATCH, pcp.flags);

    pcp.flags = PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER;
    own.free(own.pages(1, 0).getFirst(), 0);
    assertEquals(0, pcp.flags);
  }

  // ---- the right list ----

  /** A page of the atomic reserve is freed. Expect it on the list of movable pages. */
  @Test
  void freeFrozenPages_highatomic_goesToTheMovableList() {
    Page page = own.pages(1, 0).getFirst();
    type(FIRST, HIGHATOMIC);
    own.free(page, 0);

    assertEquals(page, own.take(0, MOVABLE));
  }

  /** Blocks of order 3 and 9, movable and not, wait and are drained. Expect all of them back whole. */
  @Test
  void drainAllPages_blocksOfAllLists_comeBackWhole() {
    own.set(5000, 5000);
    List<Page> huge = own.pages(2, 9);
    Page small = own.pages(1, 3).getFirst();
    own.blocks.setPageblockMigratetype(huge.get(1), UNMOVABLE);
    own.free(huge.get(0), 9);
    own.free(huge.get(1), 9);
    own.free(small, 3);
    assertEquals(2 * 512 + 8, pcp.count);
    own.pcplists.drainAllPages0(zone);

    assertEquals(0, pcp.count);
    assertEquals(PcpBench.NR, zone.nrFreePages);
    assertTrue(bench.mm.flags().pageBuddy(huge.get(0)));
  }

  // ---- limits at their edges ----

  /** The limit is a batch. Expect a whole batch each way. */
  @Test
  void freeFrozenPages_limitIsABatch_movesBatches() {
    own.set(4, 4);
    own.take(0, MOVABLE);
    assertEquals(3, pcp.count);
    own.free(own.pages(1, 0).getFirst(), 0);
    assertEquals(0, pcp.count);
  }

  /** Fifty pages wait on another list, with a limit of 100. Expect 46 more, all that fits. */
  @Test
  void rmqueue_otherListsHold_takesWhatFits() {
    own.set(100, 100);
    List<Page> pages = own.pages(50, 0);
    type(FIRST, UNMOVABLE);
    pages.forEach(page -> own.free(page, 0));
    type(FIRST, MOVABLE);
    pcp.allocFactor = 5;

    own.take(0, MOVABLE);

    assertEquals(50 + 45, pcp.count);
  }

  /** A batch is just what fits. Expect the next one to be larger; the factor to end at 5. */
  @Test
  void rmqueue_factor_growsToFive() {
    own.take(0, MOVABLE);
    assertEquals(1, pcp.allocFactor);

    own.pcplists.drainAllPages0(zone);
    own.set(1000, 1000);
    pcp.allocFactor = 5;
    own.take(0, MOVABLE);
    assertEquals(5, pcp.allocFactor);
    assertEquals(32 * 4 - 1, pcp.count);
  }

  /** A batch of one, and blocks of order 1. Expect one block, not two. */
  @Test
  void rmqueue_batchOfOne_takesOneBlock() {
    pcp.batch = 1;
    own.take(1, MOVABLE);
    assertEquals(0, pcp.count);
  }

  // ---- the atomic reserve ----

  private Migratetype typeTaken(int allocFlags) {
    Page page = Objects.requireNonNull(own.pcplists.rmqueue(zone, 4, allocFlags, MOVABLE));
    return own.blocks.getPageblockMigratetype(page);
  }

  /**
   * A pageblock of the atomic reserve beside movable ones.
   *
   * <pre>
   *   | HIGHATOMIC | movable | movable | ...
   * </pre>
   *
   * Expect a page of it for ALLOC_HIGHATOMIC only.
   */
  @Test
  void rmqueue_highatomic_takesTheReserveFirst() {
    own.lists.moveFreepagesBlock(zone, own.pages(1, 8).getFirst(), MOVABLE, HIGHATOMIC);

    assertEquals(HIGHATOMIC, typeTaken(Watermarks.ALLOC_HIGHATOMIC));
    assertEquals(MOVABLE, typeTaken(0));
  }

  /** Nothing but the atomic reserve is left. Expect it for who cannot wait and for a victim of OOM. */
  @Test
  void rmqueue_onlyTheReserveLeft_isForTheDesperate() {
    Page kept = own.pages(1, 8).getFirst();
    own.lists.moveFreepagesBlock(zone, kept, MOVABLE, HIGHATOMIC);
    while (bench.alloc.allocPagesNode(0, Gfp.KERNEL.or(Gfp.MOVABLE).or(Gfp.NOWARN), 8, "test")
        != null) {
      assertTrue(zone.nrFreePages > 0);
    }
    assertEquals(256, zone.nrFreePages);

    assertNull(own.pcplists.rmqueue(zone, 4, 0, MOVABLE));
    assertNull(own.pcplists.rmqueue(zone, 4, Watermarks.ALLOC_MIN_RESERVE, MOVABLE));
    assertNotNull(own.pcplists.rmqueue(zone, 4, Watermarks.ALLOC_NON_BLOCK, MOVABLE));
    assertNotNull(own.pcplists.rmqueue(zone, 4, Watermarks.ALLOC_OOM, MOVABLE));
  }

  // ---- setting up ----

  /** Per-CPU lists of two nodes are set up. Expect their statistics to be per CPU, too. */
  @Test
  void setupPerCpuPageset_nodes_haveStatistics() {
    bench.freeZone(1, ZoneType.ZONE_NORMAL, FIRST + PcpBench.NR, MAX_BLOCK);
    assertFalse(bench.mm.nodes().nodeData(1).perCpuNodestats);
    bench.alloc.setupPerCpuPageset();
    assertTrue(bench.mm.nodes().nodeData(1).perCpuNodestats);
  }
}
