// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;
import static org.vmemmap.pagealloc.Bench.PAGEBLOCK;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Which zone a request is served from and how deep it may go: fast path, slow path, late growth. */
class AllocFlagsTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final Gfp KERNEL_HIGH = Gfp.KERNEL.or(Gfp.ATOMIC);
  private static final Gfp KERNEL_NOFAIL = Gfp.KERNEL.or(Gfp.NOFAIL);
  private static final ZoneType NORMAL = ZoneType.ZONE_NORMAL;
  private static final ZoneType DMA32 = ZoneType.ZONE_DMA32;
  private static final long SECOND = FIRST + 4 * MAX_BLOCK;
  private static final long THIRD = SECOND + 4 * MAX_BLOCK;

  private final Bench bench = Bench.debug();

  /** A zone whose only free memory is half a movable pageblock. */
  private Zone half(ZoneType type, long startPfn) {
    Zone zone = bench.zone(0, type, startPfn, PAGEBLOCK);
    bench.give(startPfn, PAGEBLOCK / 2);
    return zone;
  }

  private @Nullable Page ask(Gfp gfp) {
    return bench.alloc.allocPagesNode(0, gfp, 0, "test");
  }

  private Zone servedFrom(Gfp gfp) {
    return bench.mm.inline().pageZone(bench.take(0, gfp));
  }

  /** The watermark of a zone as the kernel's formula has it. */
  private long mark(Zone zone, int which) {
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    new Watermarks(bench.mm, lists).initPerZoneWmarkMin();
    return lists.state(zone).wmarkPages(which);
  }

  private long halfOfMin(Zone zone) {
    long min = mark(zone, ZoneState.WMARK_MIN);
    return min - min / 2;
  }

  private Zone normalWithMarks() {
    Zone zone = bench.freeZone(NORMAL, FIRST, 4 * MAX_BLOCK);
    bench.alloc.initPerZoneWmarkMin();
    return zone;
  }

  /** Single pages until there are no more; returns how many the zone still has. */
  private long freeWhenRefused(Zone zone, Gfp gfp) {
    while (ask(gfp) != null) {
      assertTrue(zone.nrFreePages > 0);
    }
    return zone.nrFreePages;
  }

  // ---- ALLOC_NOFRAGMENT ----

  /**
   * Normal has half a movable pageblock, DMA32 whole ones, and an unmovable page is wanted.
   *
   * <pre>
   *   DMA32 |M M M M|    Normal |M -|
   * </pre>
   *
   * Expect DMA32: its pageblocks need not be mixed.
   */
  @Test
  void allocPagesNode_normalWouldBeMixed_takesDma32() {
    Zone dma32 = bench.freeZone(DMA32, FIRST, MAX_BLOCK);
    half(NORMAL, SECOND);

    assertEquals(dma32, servedFrom(Gfp.KERNEL));
  }

  /** One node without DMA32, but with DMA. Expect DMA, as a single node always avoids mixing. */
  @Test
  void allocPagesNode_oneNodeWithoutDma32_avoidsMixing() {
    Zone dma = bench.freeZone(ZoneType.ZONE_DMA, FIRST, MAX_BLOCK);
    half(NORMAL, SECOND);

    assertEquals(dma, servedFrom(Gfp.KERNEL));
  }

  /** The same node is one of two. Expect Normal: without DMA32 nothing is avoided there. */
  @Test
  void allocPagesNode_twoNodesWithoutDma32_mixes() {
    bench.freeZone(ZoneType.ZONE_DMA, FIRST, MAX_BLOCK);
    Zone normal = half(NORMAL, SECOND);
    bench.freeZone(1, NORMAL, THIRD, MAX_BLOCK);

    assertEquals(normal, servedFrom(Gfp.KERNEL));
  }

  /** One of two nodes has both, and DMA32 has whole pageblocks. Expect DMA32. */
  @Test
  void allocPagesNode_twoNodesWithDma32_avoidsMixing() {
    Zone dma32 = bench.freeZone(DMA32, FIRST, MAX_BLOCK);
    half(NORMAL, SECOND);
    bench.freeZone(1, NORMAL, THIRD, MAX_BLOCK);

    assertEquals(dma32, servedFrom(Gfp.KERNEL));
  }

  /** Both zones of the node would be mixed, the other node not. Expect the node: it counts more. */
  @Test
  void allocPagesNode_localNodeWouldBeMixed_staysLocal() {
    half(DMA32, FIRST);
    Zone normal = half(NORMAL, SECOND);
    bench.freeZone(1, NORMAL, THIRD, MAX_BLOCK);

    assertEquals(normal, servedFrom(Gfp.KERNEL));
  }

  /** The request begins with DMA32. Expect it mixed: only below Normal is there a zone to spare. */
  @Test
  void allocPagesNode_beginsBelowNormal_mixes() {
    bench.freeZone(ZoneType.ZONE_DMA, FIRST, MAX_BLOCK);
    Zone dma32 = half(DMA32, SECOND);

    assertEquals(dma32, servedFrom(Gfp.KERNEL.or(Gfp.DMA32)));
  }

  // ---- the fast path ----

  /**
   * Two zones and single movable pages until there are none.
   *
   * <pre>
   *   1. Normal down to low   2. DMA32 down to low   3. Normal, DMA32 down to min
   * </pre>
   *
   * Expect Normal at its low mark when DMA32 is first used, and both at min at the end.
   */
  @Test
  void allocPagesNode_fastPath_stopsAtLow() {
    Zone dma32 = bench.freeZone(DMA32, FIRST, 4 * MAX_BLOCK);
    Zone normal = bench.freeZone(NORMAL, SECOND, 4 * MAX_BLOCK);
    bench.alloc.initPerZoneWmarkMin();
    while (dma32.nrFreePages == 4 * MAX_BLOCK) {
      bench.take(0, MOVABLE);
    }
    assertEquals(mark(normal, ZoneState.WMARK_LOW), normal.nrFreePages);

    assertEquals(mark(normal, ZoneState.WMARK_MIN), freeWhenRefused(normal, MOVABLE));
    // DMA32 keeps a 256th of what is managed above it from a request that could use Normal.
    long reserve = 4 * MAX_BLOCK / 256;
    assertEquals(mark(dma32, ZoneState.WMARK_MIN) + reserve, dma32.nrFreePages);
  }

  /** Three of four pageblocks are CMA. Expect a movable page from there: CMA has more than half. */
  @Test
  void allocPagesNode_mostlyCma_usesCmaFirst() {
    bench.zone(0, NORMAL, FIRST, 2 * MAX_BLOCK);
    for (long pfn = FIRST + PAGEBLOCK; pfn < FIRST + 2 * MAX_BLOCK; pfn += PAGEBLOCK) {
      bench.alloc.initPageblockMigratetype(bench.page(pfn), Migratetype.MIGRATE_CMA, false);
    }
    bench.give(FIRST, 2 * MAX_BLOCK);

    assertEquals(FIRST + PAGEBLOCK, bench.pfn(bench.take(0, MOVABLE)));
    assertEquals(FIRST, bench.pfn(bench.take(0, Gfp.KERNEL)));
  }

  // ---- the slow path ----

  /** Requests with and without reclaim, until each is refused. Expect all of them to stop at min. */
  @Test
  void allocPagesNode_plainRequests_stopAtMin() {
    Zone zone = normalWithMarks();
    long min = mark(zone, ZoneState.WMARK_MIN);

    assertEquals(min, freeWhenRefused(zone, Gfp.KERNEL));
    assertEquals(min, freeWhenRefused(zone, Gfp.NOWAIT));
  }

  /** __GFP_HIGH. Expect half of min for who can reclaim, and three eighths for who cannot. */
  @Test
  void allocPagesNode_high_goesBelowMin() {
    Zone zone = normalWithMarks();
    long half = halfOfMin(zone);

    assertEquals(half, freeWhenRefused(zone, KERNEL_HIGH));
    assertEquals(half - half / 4, freeWhenRefused(zone, Gfp.ATOMIC));
  }

  /** __GFP_NOFAIL. Expect half of min for who can reclaim, and no reserve for who cannot. */
  @Test
  void allocPagesNode_nofail_mayUseTheReserve() {
    Zone zone = normalWithMarks();
    long min = mark(zone, ZoneState.WMARK_MIN);

    assertEquals(min, freeWhenRefused(zone, Gfp.NOWAIT.or(Gfp.NOFAIL)));
    assertEquals(halfOfMin(zone), freeWhenRefused(zone, KERNEL_NOFAIL));
  }

  /** All that is free are two single pages on a per-CPU list, and a pair is wanted. Expect it for
   * who can reclaim: the lists are drained then, and not before. */
  @Test
  void allocPagesNode_pairOnPerCpuList_needsADrain() {
    Zone zone = bench.freeZone(NORMAL, FIRST, 4 * MAX_BLOCK);
    bench.alloc.setupPerCpuPageset();
    bench.alloc.splitPage(bench.take(10, MOVABLE), 10);
    for (int i = 1; i < 4; i++) {
      bench.take(10, MOVABLE);
    }
    bench.alloc.freePage(bench.page(FIRST));
    bench.alloc.freePage(bench.page(FIRST + 1));
    assertEquals(0, zone.nrFreePages);
    assertEquals(2, bench.alloc.nrFreePages(zone));

    assertNull(bench.alloc.allocPagesNode(0, Gfp.NOWAIT, 1, "test"));
    assertEquals(0, zone.nrFreePages);
    assertEquals(FIRST, bench.pfn(bench.alloc.allocPagesNode(0, Gfp.KERNEL, 1, "test")));
  }

  // ---- zones that grow ----

  private int timesGrown(Gfp gfp) {
    int[] times = {0};
    bench.alloc.setDeferredGrow(
        (zone, order) -> {
          times[0]++;
          return false;
        });
    assertNull(ask(gfp));
    return times[0];
  }

  /**
   * An empty zone that cannot grow is asked in each pass.
   *
   * <pre>
   *   fast path: without mixing, with it    slow path: min    after a drain    with the reserve
   *   all                                   all               reclaim          reclaim, NOFAIL
   * </pre>
   *
   * Expect as many questions; one less where mixing is not avoided.
   */
  @Test
  void allocPagesNode_zoneCannotGrow_isAskedInEachPass() {
    bench.zone(0, NORMAL, FIRST, MAX_BLOCK);
    assertEquals(3, timesGrown(Gfp.NOWAIT));
    assertEquals(4, timesGrown(Gfp.KERNEL));
    assertEquals(5, timesGrown(KERNEL_NOFAIL));

    bench.zone(0, DMA32, SECOND, MAX_BLOCK);
    assertEquals(2, timesGrown(Gfp.NOWAIT.or(Gfp.DMA32)));
  }

  /** The zone is at min and cannot grow. Expect that nothing below min is taken. */
  @Test
  void allocPagesNode_zoneCannotGrow_staysAtMin() {
    Zone zone = normalWithMarks();
    bench.alloc.setDeferredGrow((grown, order) -> false);

    assertEquals(mark(zone, ZoneState.WMARK_MIN), freeWhenRefused(zone, Gfp.KERNEL));
  }

  /** The zone is at min and says that it grew. Expect a page at once, with no look at the marks. */
  @Test
  void allocPagesNode_zoneGrew_isNotMeasuredAgain() {
    Zone zone = normalWithMarks();
    long min = freeWhenRefused(zone, Gfp.KERNEL);
    bench.alloc.setDeferredGrow((grown, order) -> true);

    assertNotNull(ask(Gfp.KERNEL));
    assertEquals(min - 1, zone.nrFreePages);
  }

  /** A flag is taken out of a mask. Expect the others, and the zone that they lead to. */
  @Test
  void gfpWithout_flag_leavesTheOthers() {
    Gfp gfp = Gfp.HIGHUSER_MOVABLE.without(Gfp.MOVABLE);
    assertEquals(Gfp.HIGHUSER, gfp);
    assertEquals(NORMAL, gfp.gfpZone(bench.mm.zones()));
    assertEquals(Gfp.HIGHUSER, gfp.without(Gfp.MOVABLE));
  }

  /** A machine without advice, and without migration. Expect no place, nothing kept, nothing moved. */
  @Test
  void none_questions_areAnsweredWithNo() {
    assertEquals(-1, Placement.NONE.next(9, 0));
    assertFalse(Placement.NONE.kept(FIRST, FIRST + 1));
    assertFalse(Placement.NONE.exhausted(9, 0));
    Folio folio = new Folio(bench.page(FIRST));
    assertFalse(PageMigration.NONE.isolateFolioToList(folio, bench.mm.lists().newHead()));
  }

  // ---- nodes ----

  /** NUMA_NO_NODE and this node only; node 0 has no memory. Expect node 1's. */
  @Test
  void allocPagesNode_noNodeThisNode_isTheFirstWithMemory() {
    bench.mm.nodes().nodeData(0);
    bench.freeZone(1, NORMAL, FIRST, MAX_BLOCK);

    Page page = bench.alloc.allocPagesNode(-1, Gfp.KERNEL.or(Gfp.THISNODE), 0, "test");

    assertEquals(FIRST, bench.pfn(page));
  }

  /** Another node is online instead of node 1. Expect the lists to follow when they are built. */
  @Test
  void buildAllZonelists_otherNode_isInTheLists() {
    bench.zone(0, NORMAL, FIRST, MAX_BLOCK);
    bench.freeZone(1, NORMAL, SECOND, MAX_BLOCK);
    bench.freeZone(2, NORMAL, THIRD, MAX_BLOCK);
    bench.mm.nodes().nodeSetOffline(2);
    assertEquals(SECOND, bench.pfn(ask(MOVABLE)));
    bench.mm.nodes().nodeSetOffline(1);
    bench.mm.nodes().nodeSetOnline(2);

    bench.alloc.buildAllZonelists();

    assertEquals(THIRD, bench.pfn(ask(MOVABLE)));
  }

  // ---- limits of the per-CPU lists ----

  /** How many pages leave the free lists when a single one is taken. */
  private long refill(Zone zone, Gfp gfp) {
    long before = zone.nrFreePages;
    bench.take(0, gfp);
    return before - zone.nrFreePages;
  }

  /** A zone of 64 MiB gets its lists late. Expect a refill by a batch of 3, where it was one page. */
  @Test
  void setupZonePageset_lateZone_hasABatch() {
    Zone zone = bench.freeZone(NORMAL, FIRST, 16 * MAX_BLOCK);
    assertEquals(1, refill(zone, MOVABLE));

    bench.alloc.setupZonePageset(zone);

    assertEquals(3, refill(zone, MOVABLE));
  }

  /** The zone grows to 512 MiB. Expect batches of 31 once its marks are set again; the second refill
   * in a row takes two. */
  @Test
  void setupPerZoneWmarks_zoneGrew_hasALargerBatch() {
    Zone zone = bench.freeZone(NORMAL, FIRST, 16 * MAX_BLOCK);
    bench.alloc.setupPerCpuPageset();
    zone.managedPages = 128 * MAX_BLOCK;
    assertEquals(3, refill(zone, MOVABLE));
    bench.alloc.drainAllPages(zone);

    bench.alloc.setupPerZoneWmarks();

    assertEquals(2 * 31, refill(zone, MOVABLE));
  }

  /** The same at boot. Expect the larger batches, too. */
  @Test
  void initPerZoneWmarkMin_zoneGrew_hasALargerBatch() {
    Zone zone = bench.freeZone(NORMAL, FIRST, 16 * MAX_BLOCK);
    bench.alloc.setupPerCpuPageset();
    zone.managedPages = 128 * MAX_BLOCK;

    bench.alloc.initPerZoneWmarkMin();

    assertEquals(31, refill(zone, MOVABLE));
  }

  /** min_free_kbytes is 1024 before it is computed. Expect the zone to keep 256 pages. */
  @Test
  void setupPerZoneWmarks_beforeTheFormula_keepsOneMib() {
    Zone zone = bench.freeZone(NORMAL, FIRST, MAX_BLOCK);

    bench.alloc.setupPerZoneWmarks();

    assertEquals(256, freeWhenRefused(zone, Gfp.KERNEL));
  }

  /** A zone that falls below its high mark. Expect freed pages to stay on the lists up to the low
   * mark only, though they may take an eighth of the zone. */
  @Test
  void allocPagesNode_belowHigh_keepsFewer() {
    Zone zone = bench.freeZone(NORMAL, FIRST, 16 * MAX_BLOCK);
    bench.alloc.initPerZoneWmarkMin();
    bench.alloc.setupPerCpuPageset();
    List<Page> taken = new ArrayList<>();
    while (zone.nrFreePages > mark(zone, ZoneState.WMARK_HIGH)) {
      taken.add(bench.take(0, MOVABLE));
    }
    bench.take(0, MOVABLE);
    long low = mark(zone, ZoneState.WMARK_LOW);

    taken.subList(0, (int) low + 50).forEach(bench.alloc::freePage);

    long kept = bench.alloc.nrFreePages(zone) - zone.nrFreePages;
    assertTrue(kept > 0 && kept <= low, () -> "kept=" + kept + " low=" + low);
  }

  /** A page waits on a list of a zone that goes. Expect the warning; none after a drain. */
  @Test
  void zonePcpReset_listNotEmpty_warns() {
    Zone zone = bench.freeZone(NORMAL, FIRST, MAX_BLOCK);
    bench.alloc.setupPerCpuPageset();
    bench.alloc.freePage(bench.take(0, MOVABLE));
    bench.alloc.zonePcpReset(zone);
    assertEquals(List.of("zone_pcp_reset: !list_empty"), bench.warnings());
    bench.mm.printk().clearWarnings();
    bench.alloc.drainAllPages(zone);
    bench.alloc.zonePcpReset(zone);
    assertEquals(List.of(), bench.warnings());
  }

  // ---- locks ----

  /** Isolated pageblocks are counted. Expect the count changed under the zone's lock. */
  @Test
  void addNrIsolatePageblock_count_changesUnderTheLock() {
    Zone zone = bench.freeZone(NORMAL, FIRST, MAX_BLOCK);

    List<String> steps = Steps.of(bench, () -> bench.alloc.addNrIsolatePageblock(zone, 2));

    assertEquals(
        List.of("lock zone->lock 2", "nr_isolate_pageblock", "unlock zone->lock 2"), steps);
    assertEquals(2, bench.alloc.nrIsolatePageblock(zone));
  }
}
