// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Hugepages go where a captured machine had them; everything else keeps off those places. */
class PlacementTest {
  private static final Gfp HUGE = Gfp.HIGHUSER_MOVABLE.or(Gfp.COMPOUND);
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final long HUGEPAGE = 512;

  /** Places in the order in which they are wanted; one that is no longer free is over. */
  private static final class Places implements Placement {
    final List<Long> pfns = new ArrayList<>();
    final List<Integer> nidsAsked = new ArrayList<>();
    int onlyForNid = -2;
    int exhaustedOrder = -1;
    long pages = HUGEPAGE;

    @Override
    public long next(int order, int nid) {
      nidsAsked.add(nid);
      boolean told = onlyForNid == -2 || onlyForNid == nid;
      return pfns.isEmpty() || !told ? -1 : pfns.getFirst();
    }

    @Override
    public boolean exhausted(int order, int nid) {
      return order == exhaustedOrder;
    }

    @Override
    public boolean kept(long startPfn, long endPfn) {
      return pfns.stream().anyMatch(pfn -> pfn < endPfn && startPfn < pfn + pages);
    }
  }

  private final Places places = new Places();
  private final Bench bench = new Bench(MmConfig.debianX86().withDebugVm(true), places);
  private Zone zone = bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL);

  @BeforeEach
  void fill() {
    zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, 4 * MAX_BLOCK);
  }

  /**
   * The place lies in the upper half of a larger free block.
   *
   * <pre>
   *   |  10  |  9  | here |  10  |  10  |
   * </pre>
   *
   * Expect exactly that half, and the lower half free.
   */
  @Test
  void allocFrozenPages_placed_takesExactlyThatBlock() {
    places.pfns.add(FIRST + MAX_BLOCK + HUGEPAGE);
    Page page = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    assertEquals(FIRST + MAX_BLOCK + HUGEPAGE, bench.pfn(page));
    assertTrue(bench.free(zone).contains("9:1024 MOVABLE"));
    assertEquals(4 * MAX_BLOCK - HUGEPAGE, zone.nrFreePages);
    assertEquals(List.of(), bench.warnings());
  }

  /**
   * The captured machine had no more blocks than the placed ones. Expect no hugepage although there
   * is memory, and that everybody else still gets some.
   */
  @Test
  void allocFrozenPages_exhausted_failsForHugepagesOnly() {
    places.exhaustedOrder = 9;
    assertNull(bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test"));
    assertNotEquals(null, bench.alloc.allocFrozenPages(HUGE, 10, 0, null, "test"));
    assertNotEquals(null, bench.alloc.allocFrozenPages(MOVABLE, 0, 0, null, "test"));
    assertEquals(List.of(), bench.warnings());
  }

  /** The same for blocks above the largest of the free lists. Expect none. */
  @Test
  void allocContigFrozenPages_exhausted_fails() {
    places.exhaustedOrder = 11;
    assertNull(bench.alloc.allocContigFrozenPages(2 * MAX_BLOCK, HUGE, 0, null));
    places.exhaustedOrder = -1;
    assertNotEquals(null, bench.alloc.allocContigFrozenPages(2 * MAX_BLOCK, HUGE, 0, null));
  }

  /** The place waits on a per-CPU list. Expect that it is drained and taken. */
  @Test
  void allocFrozenPages_placeOnPcp_drains() {
    bench.alloc.initPerZoneWmarkMin();
    bench.alloc.setupPerCpuPageset();
    places.pfns.add(FIRST + HUGEPAGE);
    Page page = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    assertEquals(FIRST + HUGEPAGE, bench.pfn(page));
    bench.alloc.freeFrozenPages(bench.page(FIRST + HUGEPAGE), 9);
    Page again = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    assertEquals(page, again);
  }

  /** The place is in use. Expect another block, and that all other kept places are left alone. */
  @Test
  void allocFrozenPages_placeInUse_takesAnother() {
    places.pfns.add(FIRST + HUGEPAGE);
    bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    places.pfns.add(FIRST);
    Page page = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    assertEquals(FIRST + MAX_BLOCK, bench.pfn(page));
  }

  /**
   * The place is on another node or in a zone that the request may not use. Expect another block.
   */
  @Test
  void allocFrozenPages_placeInForbiddenZone_takesAnother() {
    bench.freeZone(1, ZoneType.ZONE_NORMAL, FIRST + 8 * MAX_BLOCK, MAX_BLOCK);
    places.pfns.add(FIRST + 8 * MAX_BLOCK);
    Page page = bench.alloc.allocFrozenPages(HUGE.or(Gfp.THISNODE), 9, 0, null, "test");
    assertEquals(FIRST, bench.pfn(page));
    Page spilled = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    assertEquals(FIRST + 8 * MAX_BLOCK, bench.pfn(spilled));
  }

  /**
   * No advice for the node, but for any. Expect that both questions are asked, one with THISNODE.
   */
  @Test
  void allocFrozenPages_adviceForAnyNode_isAskedSecond() {
    places.onlyForNid = -1;
    places.pfns.add(FIRST + HUGEPAGE);
    Page page = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    assertEquals(FIRST + HUGEPAGE, bench.pfn(page));
    bench.alloc.allocFrozenPages(HUGE.or(Gfp.THISNODE), 9, 0, null, "test");
    assertEquals(List.of(0, -1, 0), places.nidsAsked);
  }

  /** Page tables and memmap are no hugepages. Expect that nobody asks for their place. */
  @Test
  void allocPagesNode_notCompound_isNotPlaced() {
    places.pfns.add(FIRST);
    Page page = bench.take(9, Gfp.KERNEL);
    assertEquals(FIRST + HUGEPAGE, bench.pfn(page));
    assertEquals(List.of(), places.nidsAsked);
  }

  /**
   * All but one hugepage's worth of the zone is kept.
   *
   * <pre>
   *   |kept|kept|kept| ... |free|
   * </pre>
   *
   * Expect small pages from the rest, and kept ones only when that is used up.
   */
  @Test
  void allocPagesNode_almostAllKept_usesTheRestFirst() {
    long last = FIRST + 4 * MAX_BLOCK - HUGEPAGE;
    for (long pfn = FIRST; pfn < last; pfn += HUGEPAGE) {
      places.pfns.add(pfn);
    }
    assertEquals(last, bench.pfn(bench.take(0, Gfp.KERNEL)));
    for (int i = 1; i < HUGEPAGE; i++) {
      long pfn = bench.pfn(bench.take(0, i % 2 == 0 ? MOVABLE : Gfp.KERNEL));
      assertTrue(pfn >= last, () -> "pfn " + pfn);
    }
    assertNotEquals(last, bench.pfn(bench.take(0, MOVABLE)) & ~511L);
    assertEquals(List.of(), bench.warnings());
  }

  /**
   * Below the low watermark there is still memory that is not kept. Expect it before kept memory.
   */
  @Test
  void allocPagesNode_belowLowMark_stillAvoidsKept() {
    bench.alloc.initPerZoneWmarkMin();
    for (long pfn = FIRST; pfn < FIRST + 2 * MAX_BLOCK; pfn += HUGEPAGE) {
      places.pfns.add(pfn);
    }
    Page page = bench.alloc.allocPagesNode(0, MOVABLE, 0, "test");
    while (page != null && bench.pfn(page) >= FIRST + 2 * MAX_BLOCK) {
      page = bench.alloc.allocPagesNode(0, MOVABLE, 0, "test");
    }
    assertEquals(2 * MAX_BLOCK - (page == null ? 0 : 1), zone.nrFreePages);
  }

  /** A gigantic page has its place. Expect that range, not the first one. */
  @Test
  void allocContigFrozenPages_placed_takesThatRange() {
    places.pages = 2 * MAX_BLOCK;
    places.pfns.add(FIRST + 2 * MAX_BLOCK);
    Page page = bench.alloc.allocContigFrozenPages(2 * MAX_BLOCK, HUGE, 0, null);
    assertEquals(FIRST + 2 * MAX_BLOCK, bench.pfn(page));
  }

  /** Its place is taken, and all others are kept. Expect the first range all the same. */
  @Test
  void allocContigFrozenPages_allKept_takesTheFirst() {
    places.pages = MAX_BLOCK;
    places.pfns.add(FIRST + 2 * MAX_BLOCK);
    bench.take(0, MOVABLE);
    bench.alloc.allocContigFrozenRange(
        FIRST + 2 * MAX_BLOCK, FIRST + 3 * MAX_BLOCK, false, HUGE);
    places.pfns.add(FIRST + MAX_BLOCK);
    Page page = bench.alloc.allocContigFrozenPages(MAX_BLOCK, HUGE, 0, null);
    assertEquals(FIRST + 3 * MAX_BLOCK, bench.pfn(page));
    Page kept = bench.alloc.allocContigFrozenPages(MAX_BLOCK, HUGE, 0, null);
    assertEquals(FIRST + MAX_BLOCK, bench.pfn(kept));
    assertNull(bench.alloc.allocContigFrozenPages(MAX_BLOCK, HUGE, 0, null));
  }

  /** A movable zone whose per-CPU lists have room for hugepages. */
  private void largeLists() {
    bench.freeZone(ZoneType.ZONE_MOVABLE, FIRST + 4 * MAX_BLOCK, 16 * MAX_BLOCK);
    bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_MOVABLE).managedPages = 128 * MAX_BLOCK;
    bench.alloc.initPerZoneWmarkMin();
    bench.alloc.setupPerCpuPageset();
  }

  /** Pages wait on per-CPU lists. Expect a single page from there, but no hugepage: the placement is
   * asked at the free lists. */
  @Test
  void allocFrozenPages_hugepageOnPcp_isNotTaken() {
    largeLists();
    Page huge = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    bench.alloc.freeFrozenPages(bench.page(bench.pfn(huge)), 9);
    assertNotEquals(huge, bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test"));

    Gfp single = Gfp.HIGHUSER_MOVABLE;
    Page page = bench.take(0, single);
    bench.alloc.freePage(page);
    assertEquals(page, bench.take(0, single));
  }

  /** A hugepage waits on its own per-CPU list, where its place is. Expect the lists drained. */
  @Test
  void allocFrozenPages_placeWaitsOnPcp_isDrained() {
    largeLists();
    places.pfns.add(FIRST + 6 * MAX_BLOCK);
    Page page = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    assertEquals(FIRST + 6 * MAX_BLOCK, bench.pfn(page));
    bench.alloc.freeFrozenPages(bench.page(FIRST + 6 * MAX_BLOCK), 9);
    assertFalse(bench.alloc.isFreeBuddyPage(bench.page(FIRST + 6 * MAX_BLOCK)));

    assertEquals(page, bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test"));
  }

  /** A place inside a free block is taken. Expect the pieces around it to say their orders, and the
   * zone's lock held. */
  @Test
  void allocFrozenPages_placeInside_leavesMarkedPieces() {
    places.pfns.add(FIRST + HUGEPAGE);
    List<String> steps =
        Steps.of(bench, () -> bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test"));

    assertEquals(Steps.LOCKED, List.of(steps.getFirst(), steps.getLast()));
    assertTrue(bench.free(zone).contains("9:0 MOVABLE"));
    assertTrue(bench.mm.flags().pageBuddy(bench.page(FIRST)));
    assertEquals(9, bench.alloc.buddyOrder(bench.page(FIRST)));
    assertEquals(4 * MAX_BLOCK - HUGEPAGE, zone.nrFreePages);
  }

  /** A gigantic page without advice for its node. Expect any node's to be asked for, and taken; not
   * with THISNODE. */
  @Test
  void allocContigFrozenPages_adviceForAnyNode_isAskedSecond() {
    places.pages = MAX_BLOCK;
    places.onlyForNid = -1;
    places.pfns.add(FIRST + 2 * MAX_BLOCK);
    Page page = bench.alloc.allocContigFrozenPages(MAX_BLOCK, HUGE, 0, null);
    assertEquals(FIRST + 2 * MAX_BLOCK, bench.pfn(page));
    assertEquals(List.of(0, -1), places.nidsAsked);

    places.nidsAsked.clear();
    bench.alloc.allocContigFrozenPages(MAX_BLOCK, HUGE.or(Gfp.THISNODE), 0, null);
    assertEquals(List.of(0), places.nidsAsked);

    places.nidsAsked.clear();
    places.onlyForNid = 0;
    bench.alloc.allocContigFrozenPages(MAX_BLOCK, HUGE, 0, null);
    assertEquals(List.of(0), places.nidsAsked);
  }

  /** The place is at pfn 0. Expect it like any other, from one question; so for a gigantic page. */
  @Test
  void allocFrozenPages_placeAtPfnZero_isTaken() {
    for (boolean gigantic : new boolean[] {false, true}) {
      Places own = new Places();
      Bench low = new Bench(MmConfig.debianX86(), own);
      low.freeZone(ZoneType.ZONE_NORMAL, 0, 2 * MAX_BLOCK);
      low.alloc.allocFrozenPages(MOVABLE, 9, 0, null, "test");
      low.alloc.freeFrozenPages(low.page(0), 9);
      own.pages = MAX_BLOCK;
      own.pfns.add(0L);
      Page page =
          gigantic
              ? low.alloc.allocContigFrozenPages(MAX_BLOCK, HUGE, 0, null)
              : low.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
      assertEquals(0, low.pfn(page));
      assertEquals(List.of(0), own.nidsAsked);
    }
  }

  /** Somebody gives advice, nothing is kept, and the zone is at min. Expect a request to stop there
   * as it does without advice. */
  @Test
  void allocPagesNode_advice_keepsTheMarks() {
    bench.alloc.initPerZoneWmarkMin();
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    new Watermarks(bench.mm, lists).initPerZoneWmarkMin();

    while (bench.alloc.allocPagesNode(0, MOVABLE, 0, "test") != null) {
      assertTrue(zone.nrFreePages > 0);
    }

    assertEquals(lists.state(zone).watermark[ZoneState.WMARK_MIN], zone.nrFreePages);
  }

  /** A compound page that is smaller than any hugepage. Expect that nobody asks for its place. */
  @Test
  void allocFrozenPages_smallCompound_isNotPlaced() {
    places.pfns.add(FIRST + HUGEPAGE);
    Page page = bench.alloc.allocFrozenPages(HUGE, 3, 0, null, "test");
    assertEquals(FIRST, bench.pfn(page));
    assertEquals(List.of(), places.nidsAsked);
  }

  /** The place is a free block of just that size. Expect it taken whole. */
  @Test
  void allocFrozenPages_placeIsABlock_isTaken() {
    bench.take(9, MOVABLE);
    bench.take(9, MOVABLE);
    bench.alloc.freePages(bench.page(FIRST + HUGEPAGE), 9);
    bench.take(10, MOVABLE);
    places.pfns.add(FIRST + HUGEPAGE);
    Page page = bench.alloc.allocFrozenPages(HUGE, 9, 0, null, "test");
    assertEquals(FIRST + HUGEPAGE, bench.pfn(page));
    assertEquals(List.of("10:2048 MOVABLE", "10:3072 MOVABLE"), bench.free(zone));
  }

  /** The second pageblock of the machine is kept. Expect pages from the first, beginning at pfn 0. */
  @Test
  void allocPagesNode_keptBehindPfnZero_beginsAtZero() {
    Places own = new Places();
    Bench low = new Bench(MmConfig.debianX86(), own);
    low.freeZone(ZoneType.ZONE_NORMAL, 0, 2 * MAX_BLOCK);
    own.pfns.add(HUGEPAGE);
    assertEquals(0, low.pfn(low.take(0, MOVABLE)));
    low.alloc.freePage(low.page(0));
    own.pfns.clear();
    own.pfns.add(2 * MAX_BLOCK);
    assertEquals(0, low.pfn(low.take(10, MOVABLE)));
  }
}
