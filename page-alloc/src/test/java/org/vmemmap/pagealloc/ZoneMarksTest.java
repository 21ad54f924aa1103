// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Watermarks and zonelists, number by number as the kernel's formulas have them. */
class ZoneMarksTest {
  private static final ZoneType NORMAL = ZoneType.ZONE_NORMAL;
  private static final long FREE = 2 * MAX_BLOCK;

  private final Bench bench = Bench.debug();
  private final FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
  private final Watermarks marks = new Watermarks(bench.mm, lists);

  private Zone normal() {
    return bench.freeZone(NORMAL, FIRST, FREE);
  }

  private boolean ok(Zone zone, int order, long mark, int flags) {
    return marks.zoneWatermarkOk(zone, order, mark, NORMAL, flags);
  }

  /** A zone that only has numbers: managed and present pages. */
  private Zone managed(int nid, ZoneType type, long pages) {
    Zone zone = bench.mm.nodes().nodeData(nid).zone(type);
    zone.managedPages = pages;
    zone.presentPages = pages;
    zone.spannedPages = pages;
    return zone;
  }

  /** A zone of 16 MiB, of which khugepaged wants a 20th of what is above the high mark. Expect 195
   * pages. */
  @Test
  void initPerZoneWmarkMin_smallZone_keepsA20th() {
    managed(0, NORMAL, 4 * MAX_BLOCK);

    marks.initPerZoneWmarkMin();

    assertEquals(195 * 4, marks.minFreeKbytes());
  }

  // ---- asking ----

  /** 2048 free pages. Expect more than the mark to be needed, and a block's other pages to count. */
  @Test
  void zoneWatermarkOk_mark_mustBeExceeded() {
    Zone zone = normal();

    assertTrue(ok(zone, 0, FREE - 1, 0));
    assertFalse(ok(zone, 0, FREE, 0));
    assertTrue(ok(zone, 3, FREE - 8, 0));
    assertFalse(ok(zone, 3, FREE - 7, 0));
  }

  /** Pages of reserves and of CMA. Expect them to count only for who may take them. */
  @Test
  void zoneWatermarkOk_unusablePages_areTakenOff() {
    Zone zone = normal();
    lists.state(zone).nrFreeHighatomic = 100;
    assertTrue(ok(zone, 0, FREE - 101, 0));
    assertFalse(ok(zone, 0, FREE - 100, 0));
    for (int reserve :
        new int[] {
          Watermarks.ALLOC_NON_BLOCK, Watermarks.ALLOC_HIGHATOMIC, Watermarks.ALLOC_OOM
        }) {
      assertTrue(ok(zone, 0, FREE - 1, reserve));
    }
    lists.state(zone).nrFreeHighatomic = 0;
    lists.state(zone).nrFreeCma = 50;
    assertTrue(ok(zone, 0, FREE - 51, 0));
    assertFalse(ok(zone, 0, FREE - 50, 0));
    assertTrue(ok(zone, 0, FREE - 1, Watermarks.ALLOC_CMA));
  }

  /** Who may go below the mark. Expect half of it, three eighths, and half for a victim of OOM. */
  @Test
  void zoneWatermarkOk_reserves_lowerTheMark() {
    Zone zone = normal();
    int min = Watermarks.ALLOC_MIN_RESERVE;

    assertTrue(ok(zone, 0, 4095 - 1, min));
    assertFalse(ok(zone, 0, 4096, min));
    assertTrue(ok(zone, 0, 5458, min | Watermarks.ALLOC_NON_BLOCK));
    assertFalse(ok(zone, 0, 5460, min | Watermarks.ALLOC_NON_BLOCK));
    assertFalse(ok(zone, 0, 4094, Watermarks.ALLOC_NON_BLOCK));
    assertTrue(ok(zone, 0, 4094, Watermarks.ALLOC_OOM));
    assertFalse(ok(zone, 0, 4096, Watermarks.ALLOC_OOM));
  }

  /** A request that could go higher. Expect the reserve of that zone on top of the mark. */
  @Test
  void zoneWatermarkOk_lowmemReserve_isAdded() {
    Zone zone = normal();
    lists.state(zone).lowmemReserve[bench.mm.zones().number(ZoneType.ZONE_MOVABLE)] = 10;

    assertTrue(ok(zone, 0, FREE - 1, 0));
    assertTrue(marks.zoneWatermarkOk(zone, 0, FREE - 11, ZoneType.ZONE_MOVABLE, 0));
    assertFalse(marks.zoneWatermarkOk(zone, 0, FREE - 10, ZoneType.ZONE_MOVABLE, 0));
    assertTrue(marks.zoneWatermarkFast(zone, 0, FREE - 11, ZoneType.ZONE_MOVABLE, 0));
    assertFalse(marks.zoneWatermarkFast(zone, 0, FREE - 10, ZoneType.ZONE_MOVABLE, 0));
  }

  private Bench oneBlock(Migratetype type) {
    Bench one = Bench.debug();
    one.zone(0, NORMAL, FIRST, MAX_BLOCK);
    one.alloc.initPageblockMigratetype(one.page(FIRST), type, false);
    one.alloc.freePagesCore(one.page(FIRST), 9, false);
    return one;
  }

  /** One free block of order 9. Expect it for that order and those below, and none above. */
  @Test
  void zoneWatermarkOk_order_needsABlock() {
    Bench one = oneBlock(Migratetype.MIGRATE_RECLAIMABLE);
    Zone zone = one.mm.nodes().nodeData(0).zone(NORMAL);
    Watermarks own = new Watermarks(one.mm, new FreeLists(one.mm, new Pageblocks(one.mm)));

    assertTrue(own.zoneWatermarkOk(zone, 9, 0, NORMAL, 0));
    assertTrue(own.zoneWatermarkOk(zone, 1, 0, NORMAL, 0));
    assertFalse(own.zoneWatermarkOk(zone, 10, 0, NORMAL, Watermarks.ALLOC_OOM));
    // Its buddy comes, and the two are one.
    one.give(FIRST + 512, 512);
    assertTrue(own.zoneWatermarkOk(zone, 10, 0, NORMAL, 0));
  }

  /** The only block is of CMA, or kept for atomic requests. Expect it for who may take it. */
  @Test
  void zoneWatermarkOk_specialBlock_isForTheFew() {
    Bench cma = oneBlock(Migratetype.MIGRATE_CMA);
    Zone zone = cma.mm.nodes().nodeData(0).zone(NORMAL);
    Watermarks own = new Watermarks(cma.mm, new FreeLists(cma.mm, new Pageblocks(cma.mm)));
    assertFalse(own.zoneWatermarkOk(zone, 1, 0, NORMAL, 0));
    assertTrue(own.zoneWatermarkOk(zone, 1, 0, NORMAL, Watermarks.ALLOC_CMA));
    assertFalse(own.zoneWatermarkOk(zone, 1, 0, NORMAL, Watermarks.ALLOC_OOM));

    Bench atomic = oneBlock(Migratetype.MIGRATE_HIGHATOMIC);
    Zone kept = atomic.mm.nodes().nodeData(0).zone(NORMAL);
    Watermarks their =
        new Watermarks(atomic.mm, new FreeLists(atomic.mm, new Pageblocks(atomic.mm)));
    assertFalse(their.zoneWatermarkOk(kept, 1, 0, NORMAL, Watermarks.ALLOC_CMA));
    assertTrue(their.zoneWatermarkOk(kept, 1, 0, NORMAL, Watermarks.ALLOC_HIGHATOMIC));
    assertTrue(their.zoneWatermarkOk(kept, 1, 0, NORMAL, Watermarks.ALLOC_OOM));
  }

  /** The short test for single pages. Expect the same answers at the same numbers. */
  @Test
  void zoneWatermarkFast_singlePage_agrees() {
    Zone zone = normal();
    lists.state(zone).nrFreeHighatomic = 100;

    assertTrue(marks.zoneWatermarkFast(zone, 0, FREE - 101, NORMAL, 0));
    assertFalse(marks.zoneWatermarkFast(zone, 0, FREE - 100, NORMAL, 0));
    assertTrue(marks.zoneWatermarkFast(zone, 3, FREE - 108, NORMAL, 0));
    assertFalse(marks.zoneWatermarkFast(zone, 3, FREE - 107, NORMAL, 0));
    lists.state(zone).nrFreeHighatomic = 3 * FREE;
    assertFalse(marks.zoneWatermarkFast(zone, 0, 0, NORMAL, 0));
  }

  /**
   * A boosted zone, and a request that may use the reserve.
   *
   * <pre>
   *   min 100  |--- boost 3900 ---|  mark 4000, of which half is 2000 more than there is free
   * </pre>
   *
   * Expect the mark without the boost to count for single pages below min only.
   */
  @Test
  void zoneWatermarkFast_boosted_forgetsTheBoost() {
    Zone zone = normal();
    ZoneState state = lists.state(zone);
    state.watermark[ZoneState.WMARK_MIN] = 100;
    int min = Watermarks.ALLOC_MIN_RESERVE;
    assertFalse(marks.zoneWatermarkFast(zone, 0, 5000, NORMAL, min));
    state.watermarkBoost = 4900;

    assertTrue(marks.zoneWatermarkFast(zone, 0, 5000, NORMAL, min));
    assertFalse(marks.zoneWatermarkFast(zone, 0, 5000, NORMAL, 0));
    assertFalse(marks.zoneWatermarkFast(zone, 1, 5000, NORMAL, min));
    assertFalse(marks.zoneWatermarkFast(zone, 0, 5000, NORMAL, min | ZoneState.WMARK_LOW));
    state.watermark[ZoneState.WMARK_MIN] = 5000;
    assertFalse(marks.zoneWatermarkFast(zone, 0, 5000, NORMAL, min));
  }

  /** A zone is boosted again and again. Expect a pageblock each time, up to 1.5 of the high mark. */
  @Test
  void boostWatermark_again_hasALimit() {
    Zone zone = managed(0, NORMAL, 1 << 20);
    ZoneState state = lists.state(zone);
    state.watermark[ZoneState.WMARK_HIGH] = 12345;
    for (int i = 1; i <= 36; i++) {
      assertTrue(marks.boostWatermark(zone));
      assertEquals(512L * i, state.watermarkBoost);
    }
    marks.boostWatermark(zone);
    assertEquals(15000 + 3517, state.watermarkBoost);

    state.watermarkBoost = 0;
    state.watermark[ZoneState.WMARK_HIGH] = 100;
    marks.boostWatermark(zone);
    marks.boostWatermark(zone);
    assertEquals(512, state.watermarkBoost);
  }

  /** Zones of four pageblocks, and of less. Expect the boost for the first only. */
  @Test
  void boostWatermark_smallZone_isLeftAlone() {
    Zone zone = managed(0, NORMAL, 2048);
    lists.state(zone).watermark[ZoneState.WMARK_HIGH] = 100;

    assertTrue(marks.boostWatermark(zone));
    zone.managedPages = 2047;
    assertFalse(marks.boostWatermark(zone));
    assertEquals(512, lists.state(zone).watermarkBoost);
  }

  // ---- setting ----

  /**
   * A node with all zones, and one with Normal only.
   *
   * <pre>
   *   pages   DMA 1024   DMA32 262144   Normal 1048576   Movable 65536
   *   ratio   256        256            32               -
   * </pre>
   *
   * Expect each zone to keep its part of those above it, and no other node's.
   */
  @Test
  void setupPerZoneLowmemReserve_zones_keepTheirPart() {
    Zone dma = managed(0, ZoneType.ZONE_DMA, 1024);
    Zone dma32 = managed(0, ZoneType.ZONE_DMA32, 262144);
    Zone zone = managed(0, NORMAL, 1048576);
    Zone movable = managed(0, ZoneType.ZONE_MOVABLE, 65536);
    Zone other = managed(1, NORMAL, 4096);
    marks.setupPerZoneLowmemReserve();

    assertArrayEquals(
        new long[] {0, 1024, 5120, 5376, 5376}, lists.state(dma).lowmemReserve);
    assertArrayEquals(
        new long[] {0, 0, 4096, 4352, 4352}, lists.state(dma32).lowmemReserve);
    assertArrayEquals(new long[] {0, 0, 0, 2048, 2048}, lists.state(zone).lowmemReserve);
    assertArrayEquals(new long[5], lists.state(movable).lowmemReserve);
    assertArrayEquals(new long[5], lists.state(other).lowmemReserve);
    // What a zone keeps is at most all of it: DMA has 1024 pages.
    assertEquals(1024 + 4352 + 2048, marks.totalreservePages());

    lists.state(movable).watermark[ZoneState.WMARK_HIGH] = 7;
    dma32.managedPages = 0;
    marks.setupPerZoneLowmemReserve();
    assertArrayEquals(new long[5], lists.state(dma32).lowmemReserve);
    assertEquals(1024 + 2048 + 7, marks.totalreservePages());
  }

  /**
   * Two zones of low memory and one of movable, with min_free_kbytes = 1024, so 256 pages.
   *
   * <pre>
   *   DMA32 49152, a quarter: 64     Normal 147456: 192     Movable 200000: 1/1024, at most 128
   * </pre>
   *
   * Expect the steps to the next marks to be a quarter of min, or a thousandth of the zone.
   */
  @Test
  void setupPerZoneWmarks_zones_shareMin() {
    Zone dma32 = managed(0, ZoneType.ZONE_DMA32, 49152);
    Zone zone = managed(0, NORMAL, 147456);
    Zone movable = managed(0, ZoneType.ZONE_MOVABLE, 200000);
    lists.state(zone).watermarkBoost = 99;

    marks.setupPerZoneWmarks();

    assertArrayEquals(new long[] {64, 113, 162, 211}, lists.state(dma32).watermark);
    assertArrayEquals(new long[] {192, 339, 486, 633}, lists.state(zone).watermark);
    assertArrayEquals(new long[] {128, 328, 528, 728}, lists.state(movable).watermark);
    assertEquals(0, lists.state(zone).watermarkBoost);
    assertEquals(162 + 486 + 528, marks.totalreservePages());

    movable.managedPages = 1024 * 50;
    marks.setupPerZoneWmarks();
    assertEquals(50, lists.state(movable).watermark[ZoneState.WMARK_MIN]);
    movable.managedPages = 1024;
    marks.setupPerZoneWmarks();
    assertEquals(32, lists.state(movable).watermark[ZoneState.WMARK_MIN]);
    assertEquals(33, lists.state(movable).watermark[ZoneState.WMARK_LOW]);
  }

  /** Zones where a quarter of min is the larger step. Expect that. */
  @Test
  void setupPerZoneWmarks_smallZone_stepsByMin() {
    Zone zone = managed(0, NORMAL, 8192);

    marks.setupPerZoneWmarks();

    assertArrayEquals(new long[] {256, 320, 384, 448}, lists.state(zone).watermark);
  }

  /** Nothing but movable memory. Expect no mark for an empty zone, and no division by zero. */
  @Test
  void setupPerZoneWmarks_noLowmem_areZero() {
    Zone zone = managed(0, NORMAL, 0);
    managed(0, ZoneType.ZONE_MOVABLE, 4096);

    marks.setupPerZoneWmarks();

    assertArrayEquals(new long[4], lists.state(zone).watermark);
  }

  /**
   * Amounts of memory and min_free_kbytes: sqrt(16 * kbytes), then 11 pageblocks for each zone, but
   * at most a twentieth of low memory.
   */
  @Test
  void initPerZoneWmarkMin_sizes_followTheFormula() {
    Zone zone = managed(0, NORMAL, 256);
    marks.initPerZoneWmarkMin();
    // 1 MiB: sqrt is exactly 128; a twentieth of what is above the high mark is 9 pages.
    assertEquals(128, marks.minFreeKbytes());

    managed(0, ZoneType.ZONE_DMA32, 524288);
    managed(0, ZoneType.ZONE_MOVABLE, 524288);
    zone.managedPages = 524288;
    marks.initPerZoneWmarkMin();
    assertEquals(2 * 11 * 512 * 4, marks.minFreeKbytes());

    zone.managedPages = 1L << 32;
    zone.presentPages = 1L << 32;
    marks.initPerZoneWmarkMin();
    assertEquals(262144, marks.minFreeKbytes());
  }

  /** Nodes come and go. Expect all zones of those online, by node. */
  @Test
  void zones_nodes_followWhatIsOnline() {
    managed(0, NORMAL, 1);
    assertEquals(5, marks.zones().size());
    managed(1, NORMAL, 1);
    assertEquals(10, marks.zones().size());
    assertEquals(1, marks.zones().get(5).nid());
    bench.mm.nodes().nodeSetOffline(0);
    assertEquals(5, marks.zones().size());
    assertEquals(1, marks.zones().getFirst().nid());
  }

  // ---- zonelists ----

  private static List<Integer> nids(List<Zone> zones) {
    return zones.stream().map(Zone::nid).toList();
  }

  /**
   * Four nodes, all equally far from each other.
   *
   * <pre>
   *   node 0: 0 1 2 3    1: 1 2 3 0    2: 2 3 0 1    3: 3 0 1 2
   * </pre>
   *
   * Expect each to begin with itself, then those behind it, then those before that fewer start with.
   */
  @Test
  void buildZonelists_fourNodes_spreadTheirFallback() {
    for (int nid = 0; nid < 4; nid++) {
      managed(nid, NORMAL, 1024);
    }
    Zonelists zonelists = new Zonelists(bench.mm, marks::zones);

    assertEquals(List.of(0, 1, 2, 3), nids(zonelists.zonelist(0, false, NORMAL, null)));
    assertEquals(List.of(1, 2, 3, 0), nids(zonelists.zonelist(1, false, NORMAL, null)));
    assertEquals(List.of(2, 3, 0, 1), nids(zonelists.zonelist(2, false, NORMAL, null)));
    assertEquals(List.of(3, 0, 1, 2), nids(zonelists.zonelist(3, false, NORMAL, null)));
    zonelists.buildAllZonelists();
    assertEquals(List.of(3, 0, 1, 2), nids(zonelists.zonelist(3, false, NORMAL, null)));
  }

  /** Zones of a node, and what the request may use of them. Expect the highest allowed first. */
  @Test
  void zonelist_request_isCutToWhatItMayUse() {
    Zone dma32 = managed(0, ZoneType.ZONE_DMA32, 1024);
    Zone zone = managed(0, NORMAL, 1024);
    Zone movable = managed(0, ZoneType.ZONE_MOVABLE, 1024);
    Zone remote = managed(1, NORMAL, 1024);
    Zonelists zonelists = new Zonelists(bench.mm, marks::zones);

    assertEquals(
        List.of(movable, zone, dma32, remote),
        zonelists.zonelist(0, false, ZoneType.ZONE_MOVABLE, null));
    assertEquals(List.of(zone, dma32, remote), zonelists.zonelist(0, false, NORMAL, null));
    assertEquals(List.of(zone, dma32), zonelists.zonelist(0, true, NORMAL, null));
    assertEquals(List.of(remote), zonelists.zonelist(0, false, NORMAL, Set.of(1)));
    assertEquals(List.of(), zonelists.zonelist(7, false, NORMAL, null));
  }

  /** A zone loses its last pages, another gets its first. Expect the lists to follow. */
  @Test
  void zonelist_populatedZonesChange_isRebuilt() {
    Zone zone = managed(0, NORMAL, 1024);
    Zone dma32 = managed(0, ZoneType.ZONE_DMA32, 0);
    Zonelists zonelists = new Zonelists(bench.mm, marks::zones);
    assertEquals(List.of(zone), zonelists.zonelist(0, false, NORMAL, null));

    dma32.presentPages = 5;
    assertEquals(List.of(zone, dma32), zonelists.zonelist(0, false, NORMAL, null));
    zone.presentPages = 0;
    assertEquals(List.of(dma32), zonelists.zonelist(0, false, NORMAL, null));
  }

  /**
   * Four nodes, of which node 1 has no memory.
   *
   * <pre>
   *   node 0: 0 2 3    1: 3 2 0    2: 2 3 0    3: 3 0 2
   * </pre>
   *
   * Expect node 1 to begin with node 3, as node 0 has chosen node 2; the same when built again.
   */
  @Test
  void buildZonelists_memorylessNode_isNobodysFallback() {
    for (int nid : new int[] {0, 2, 3}) {
      managed(nid, NORMAL, 1024);
    }
    bench.mm.nodes().nodeData(1);
    Zonelists zonelists = new Zonelists(bench.mm, marks::zones);
    for (int i = 0; i < 2; i++) {
      assertEquals(List.of(0, 2, 3), nids(zonelists.zonelist(0, false, NORMAL, null)));
      assertEquals(List.of(3, 2, 0), nids(zonelists.zonelist(1, false, NORMAL, null)));
      assertEquals(List.of(2, 3, 0), nids(zonelists.zonelist(2, false, NORMAL, null)));
      assertEquals(List.of(3, 0, 2), nids(zonelists.zonelist(3, false, NORMAL, null)));
      zonelists.buildAllZonelists();
    }
    bench.mm.nodes().nodeSetOffline(1);
    zonelists.buildAllZonelists();
    assertEquals(List.of(), zonelists.zonelist(1, false, NORMAL, null));
  }
}
