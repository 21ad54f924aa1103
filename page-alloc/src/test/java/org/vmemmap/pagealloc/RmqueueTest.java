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
import org.vmemmap.pagealloc.Rmqueue.FallbackResult;
import org.vmemmap.pagealloc.Rmqueue.Mode;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * Where __rmqueue() finds a block, step by step: own lists, CMA, a claimed pageblock, a stolen block;
 * and with which step it goes on.
 */
class RmqueueTest {
  private static final Migratetype UNMOVABLE = Migratetype.MIGRATE_UNMOVABLE;
  private static final Migratetype MOVABLE = Migratetype.MIGRATE_MOVABLE;
  private static final Migratetype RECLAIMABLE = Migratetype.MIGRATE_RECLAIMABLE;
  private static final Migratetype CMA = Migratetype.MIGRATE_CMA;
  private static final long SECOND = FIRST + PAGEBLOCK;

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.zone(0, ZoneType.ZONE_NORMAL, FIRST, 2 * MAX_BLOCK);
  private final Pageblocks blocks = new Pageblocks(bench.mm);
  private final FreeLists lists = new FreeLists(bench.mm, blocks);
  private final Watermarks marks = new Watermarks(bench.mm, lists);
  private final Rmqueue rmqueue =
      new Rmqueue(
          bench.mm,
          lists,
          blocks,
          marks,
          new PlacementSearch(bench.mm, lists, blocks, Placement.NONE));
  private final Rmqueue.ModeRef ref = new Rmqueue.ModeRef();

  /** The last {@code nrPages} pages of a pageblock become free; the others are in use. */
  private void freePart(long startPfn, Migratetype type, long nrPages) {
    blocks.initPageblockMigratetype(bench.page(startPfn), type, false);
    bench.give(startPfn + PAGEBLOCK - nrPages, nrPages);
  }

  /** The pfn of a single page, -1 for none. */
  private long single(Migratetype type, int allocFlags) {
    return bench.pfn(rmqueue.rmqueue0(zone, 0, type, allocFlags, ref));
  }

  private Migratetype typeOf(long pfn) {
    return blocks.getPageblockMigratetype(bench.page(pfn));
  }

  // ---- steps ----

  /** Only CMA is free. Expect it for who may use it, and the search to go on there. */
  @Test
  void rmqueue_onlyCma_goesOnWithCma() {
    freePart(FIRST, CMA, PAGEBLOCK);
    assertEquals(-1, single(UNMOVABLE, 0));
    assertEquals(-1, single(MOVABLE, 0));
    assertEquals(Mode.NORMAL, ref.mode);
    assertEquals(FIRST, single(MOVABLE, Watermarks.ALLOC_CMA));
    assertEquals(Mode.CMA, ref.mode);

    freePart(SECOND, MOVABLE, PAGEBLOCK);
    assertEquals(FIRST + 1, single(MOVABLE, Watermarks.ALLOC_CMA));
    ref.mode = Mode.NORMAL;
    assertEquals(SECOND, single(MOVABLE, Watermarks.ALLOC_CMA));
  }

  /** Half of what is free is CMA, and one page more than half. Expect CMA first in the second case
   * only. */
  @Test
  void rmqueue_halfIsCma_usesCmaFromThereOn() {
    freePart(FIRST, CMA, PAGEBLOCK);
    freePart(SECOND, MOVABLE, PAGEBLOCK);
    lists.state(zone).nrFreeCma = PAGEBLOCK;
    assertEquals(SECOND, single(MOVABLE, Watermarks.ALLOC_CMA));
    assertEquals(FIRST, single(MOVABLE, Watermarks.ALLOC_CMA));
    assertEquals(SECOND + 1, single(MOVABLE, 0));
  }

  /** A pageblock is claimed. Expect the search to begin anew: the rest is on the own lists now. */
  @Test
  void rmqueue_claimed_beginsAnew() {
    freePart(FIRST, MOVABLE, PAGEBLOCK);
    ref.mode = Mode.CLAIM;
    assertEquals(FIRST, single(UNMOVABLE, 0));
    assertEquals(UNMOVABLE, typeOf(FIRST));
    assertEquals(Mode.NORMAL, ref.mode);
    assertEquals(PAGEBLOCK - 1, zone.nrFreePages);
  }

  /** Nothing at all is free. Expect the step to stay what it is. */
  @Test
  void rmqueue_nothing_staysWhereItIs() {
    for (Mode mode : Mode.values()) {
      ref.mode = mode;
      assertEquals(-1, single(UNMOVABLE, Watermarks.ALLOC_CMA));
      assertEquals(mode, ref.mode);
    }
  }

  /** A movable page is stolen. Expect the search to go on with that, past a claim and the own lists. */
  @Test
  void rmqueue_stolen_goesOnStealing() {
    freePart(FIRST, UNMOVABLE, 16);
    long stolen = SECOND - 16;
    assertEquals(stolen, single(MOVABLE, 0));
    assertEquals(Mode.STEAL, ref.mode);
    assertEquals(UNMOVABLE, typeOf(FIRST));

    freePart(SECOND, MOVABLE, PAGEBLOCK);
    assertEquals(stolen + 1, single(MOVABLE, 0));
  }

  /** Only a largest block can be stolen from. Expect its pieces on the lists of its own type. */
  @Test
  void rmqueue_stealsFromTheLargest_keepsItsType() {
    for (long pfn = FIRST; pfn < FIRST + MAX_BLOCK; pfn += PAGEBLOCK) {
      blocks.initPageblockMigratetype(bench.page(pfn), UNMOVABLE, false);
    }
    bench.give(FIRST, MAX_BLOCK);
    ref.mode = Mode.STEAL;

    assertEquals(FIRST, single(MOVABLE, 0));

    assertEquals(UNMOVABLE, typeOf(FIRST));
    assertEquals("9:512 UNMOVABLE", bench.free(zone).getFirst());
    assertEquals("0:1 UNMOVABLE", bench.free(zone).getLast());
    assertEquals(MAX_BLOCK - 1, zone.nrFreePages);
  }

  /** Fragments are avoided. Expect whole pageblocks claimed, smaller blocks neither claimed nor
   * stolen. */
  @Test
  void rmqueue_noFragment_claimsWholePageblocks() {
    freePart(FIRST, MOVABLE, 256);
    assertEquals(-1, single(UNMOVABLE, Watermarks.ALLOC_NOFRAGMENT));
    freePart(SECOND, MOVABLE, PAGEBLOCK);
    assertEquals(SECOND, single(UNMOVABLE, Watermarks.ALLOC_NOFRAGMENT));
    assertEquals(UNMOVABLE, typeOf(SECOND));
    assertEquals(MOVABLE, typeOf(FIRST));
  }

  // ---- who may claim ----

  private FallbackResult result(int order, Migratetype type, boolean claimable) {
    return rmqueue.findSuitableFallback(zone.freeArea[9], order, type, claimable).result();
  }

  /** A free pageblock of another type. Expect small movable requests not to claim it: order 4 is half
   * of the pageblock's. */
  @Test
  void findSuitableFallback_claim_isNotForSmallMovable() {
    freePart(FIRST, UNMOVABLE, PAGEBLOCK);
    assertEquals(FallbackResult.NOCLAIM, result(3, MOVABLE, true));
    assertEquals(FallbackResult.FOUND, result(4, MOVABLE, true));
    assertEquals(FallbackResult.FOUND, result(3, MOVABLE, false));
    assertEquals(FallbackResult.FOUND, result(0, RECLAIMABLE, true));
    assertEquals(FallbackResult.EMPTY, result(0, UNMOVABLE, true));
    freePart(FIRST + MAX_BLOCK, RECLAIMABLE, PAGEBLOCK);
    assertEquals(FallbackResult.FOUND, result(0, UNMOVABLE, true));
  }

  // ---- when a pageblock is claimed ----

  /** Half of a reclaimable pageblock is free. Expect that to be enough. */
  @Test
  void rmqueue_halfFree_isClaimed() {
    freePart(FIRST, RECLAIMABLE, 256);
    assertEquals(SECOND - 256, single(UNMOVABLE, 0));
    assertEquals(UNMOVABLE, typeOf(FIRST));
  }

  /** One page less is free. Expect a page stolen instead. */
  @Test
  void rmqueue_lessThanHalfFree_isNotClaimed() {
    freePart(FIRST, RECLAIMABLE, 255);
    assertEquals(SECOND - 255, single(UNMOVABLE, 0));
    assertEquals(RECLAIMABLE, typeOf(FIRST));
  }

  /** A quarter is free, the rest in use. Expect a movable pageblock claimed, whose users are unmovable
   * then, and a reclaimable one only stolen from: nobody knows what its users are. */
  @Test
  void rmqueue_quarterFree_dependsOnTheType() {
    freePart(FIRST, RECLAIMABLE, 128);
    single(UNMOVABLE, 0);
    assertEquals(RECLAIMABLE, typeOf(FIRST));
    assertEquals(Mode.STEAL, ref.mode);

    ref.mode = Mode.NORMAL;
    freePart(SECOND, MOVABLE, 128);
    assertEquals(SECOND + 384, bench.pfn(rmqueue.rmqueue0(zone, 7, UNMOVABLE, 0, ref)));
    assertEquals(UNMOVABLE, typeOf(SECOND));
  }

  /** Free memory is mixed. Expect the zone's marks boosted for part of a pageblock, not for all of
   * one, and not where there are no marks. */
  @Test
  void rmqueue_claimedPart_boostsTheMarks() {
    ZoneState state = lists.state(zone);
    freePart(FIRST, MOVABLE, 256);
    freePart(SECOND, MOVABLE, PAGEBLOCK);
    zone.managedPages = 4L * PAGEBLOCK;
    state.watermark[ZoneState.WMARK_HIGH] = 1000;

    assertEquals(SECOND, bench.pfn(rmqueue.rmqueue0(zone, 9, UNMOVABLE, 0, ref)));
    assertEquals(0, state.watermarkBoost);
    assertFalse(state.boostedWatermark);

    assertEquals(SECOND - 256, single(RECLAIMABLE, Watermarks.ALLOC_CMA));
    assertEquals(RECLAIMABLE, typeOf(FIRST));
    assertEquals(PAGEBLOCK, state.watermarkBoost);
    assertTrue(state.boostedWatermark);
  }

  /** The same without marks. Expect the pageblock claimed, and no boost. */
  @Test
  void rmqueue_claimedWithoutMarks_doesNotBoost() {
    freePart(FIRST, MOVABLE, 256);
    assertEquals(SECOND - 256, single(UNMOVABLE, 0));
    assertFalse(lists.state(zone).boostedWatermark);
    assertNull(rmqueue.rmqueueSmallest0(zone, 9, UNMOVABLE));
    assertEquals(List.of(), bench.warnings());
  }
}
