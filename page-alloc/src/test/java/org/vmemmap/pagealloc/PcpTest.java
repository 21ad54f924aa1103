// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Per-CPU lists and watermarks. */
class PcpTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final long NR = 128 * MAX_BLOCK;

  private final Bench bench = Bench.debug();
  private Zone zone = bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL);

  @BeforeEach
  void boot() {
    zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, NR);
    bench.alloc.initPerZoneWmarkMin();
    bench.alloc.setupPerCpuPageset();
  }

  /**
   * One page is taken. Expect a batch off the free lists, and all but one still counted as free.
   */
  @Test
  void allocPagesNode_orderZero_refillsInBatches() {
    bench.take(0, MOVABLE);
    assertTrue(zone.nrFreePages < NR - 1, () -> "free=" + zone.nrFreePages);
    assertEquals(NR - 1, bench.alloc.nrFreePages(zone));
  }

  /** A page is freed and another taken. Expect the same page: last in, first out. */
  @Test
  void freePage_orderZero_isReusedFirst() {
    bench.take(0, MOVABLE);
    Page page = bench.take(0, MOVABLE);
    bench.alloc.freePage(page);
    assertEquals(page, bench.take(0, MOVABLE));
  }

  /**
   * Many pages are freed. Expect that the lists keep no more than their limit, and drain to none.
   */
  @Test
  void freePage_many_spillsToTheBuddy() {
    List<Page> pages = new ArrayList<>();
    for (int i = 0; i < 20_000; i++) {
      pages.add(bench.take(0, MOVABLE));
    }
    pages.forEach(bench.alloc::freePage);
    long kept = NR - zone.nrFreePages;
    assertTrue(kept > 0 && kept < NR / 8 + 64, () -> "kept=" + kept);
    bench.alloc.drainAllPages(zone);
    assertEquals(NR, zone.nrFreePages);
    assertEquals(List.of(), bench.warnings());
  }

  /** Hugepages of 2 MiB go through the lists too, other large orders do not. Expect free pages
   * counted in both. */
  @Test
  void freePages_pmdOrder_usesTheLists() {
    Page huge = bench.take(9, MOVABLE.or(Gfp.COMPOUND));
    bench.alloc.freePages(huge, 9);
    assertTrue(zone.nrFreePages < NR);
    assertEquals(NR, bench.alloc.nrFreePages(zone));
    bench.alloc.drainAllPages(null);
    Page large = bench.take(8, MOVABLE);
    bench.alloc.freePages(large, 8);
    assertEquals(NR, zone.nrFreePages);
  }

  /** Blocks of order 2 are freed one after the other, with low limits. Expect that a run of them
   * goes back in bulk, so that few stay. */
  @Test
  void freePages_runOfHighOrders_isGivenBack() {
    Bench low = Bench.debug();
    Zone small = low.freeZone(ZoneType.ZONE_NORMAL, FIRST, NR);
    low.alloc.setupPerCpuPageset();
    List<Page> pages = new ArrayList<>();
    for (int i = 0; i < 400; i++) {
      pages.add(low.take(2, MOVABLE));
    }
    pages.forEach(page -> low.alloc.freePages(page, 2));
    assertEquals(NR, low.alloc.nrFreePages(small));
    long kept = NR - small.nrFreePages;
    assertTrue(kept < 1600 / 2, () -> "kept=" + kept);
  }

  /** The lists of a zone are disabled. Expect that pages go straight through, until enabled. */
  @Test
  void zonePcpDisable_freedPage_goesStraightThrough() {
    Page page = bench.take(0, MOVABLE);
    bench.alloc.zonePcpDisable(zone);
    bench.alloc.freePage(page);
    assertEquals(NR, zone.nrFreePages);
    bench.alloc.zonePcpEnable(zone);
    bench.alloc.freePage(bench.take(0, MOVABLE));
    assertTrue(zone.nrFreePages < NR);
  }

  /** A zone that got its memory later. Expect lists for it as well. */
  @Test
  void setupZonePageset_newZone_hasLists() {
    Zone movable = bench.freeZone(ZoneType.ZONE_MOVABLE, FIRST + NR, 8 * MAX_BLOCK);
    bench.alloc.setupZonePageset(movable);
    bench.alloc.setupPerZoneWmarks();
    bench.take(0, Gfp.HIGHUSER_MOVABLE);
    assertEquals(8 * MAX_BLOCK - 1, bench.alloc.nrFreePages(movable));
  }

  /**
   * 512 MiB of one zone. Expect the kernel's marks: sqrt rule, then what transparent hugepages
   * add.
   */
  @Test
  void initPerZoneWmarkMin_oneZone_isTheKernelsFormula() {
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    Watermarks marks = new Watermarks(bench.mm, lists);
    marks.initPerZoneWmarkMin();
    // 11 pageblocks of 512 pages are less than a twentieth of the lowmem of 131072 pages.
    assertEquals(5632 * 4, marks.minFreeKbytes());
    ZoneState state = lists.state(zone);
    assertEquals(5632, state.wmarkPages(ZoneState.WMARK_MIN));
    assertEquals(5632 + 1408, state.wmarkPages(ZoneState.WMARK_LOW));
    assertEquals(5632 + 2 * 1408, state.wmarkPages(ZoneState.WMARK_HIGH));
    assertEquals(5632 + 2 * 1408, marks.totalreservePages());
  }

  /**
   * A zone is used up.
   *
   * <pre>
   *   free  high ... low ... min ... 0
   *                           ^ GFP_KERNEL ends here, GFP_ATOMIC goes deeper
   * </pre>
   *
   * Expect that a normal request stops at min, and that others may take part of the reserve.
   */
  @Test
  void allocPagesNode_untilEmpty_stopsAtMin() {
    while (bench.alloc.allocPagesNode(0, MOVABLE, 0, "test") != null) {
      bench.mm.printk().clearWarnings();
    }
    assertTrue(zone.nrFreePages <= 5632 && zone.nrFreePages > 5632 - 128);
    long before = zone.nrFreePages;
    while (bench.alloc.allocPagesNode(0, Gfp.ATOMIC, 0, "test") != null) {
      bench.mm.printk().clearWarnings();
    }
    assertTrue(zone.nrFreePages <= before / 2 + 64, () -> "free=" + zone.nrFreePages);
  }

  /** Memory of a lower zone is protected from requests that had a choice. Expect null for those,
   * and a page for a request that must be there. */
  @Test
  void allocPagesNode_lowmemReserve_protectsTheLowerZone() {
    Bench two = Bench.debug();
    two.freeZone(ZoneType.ZONE_DMA, FIRST, MAX_BLOCK);
    two.zone(0, ZoneType.ZONE_NORMAL, FIRST + MAX_BLOCK, MAX_BLOCK);
    two.alloc.adjustManagedPageCount(two.page(FIRST + MAX_BLOCK), 256 * 1024);
    assertNull(two.alloc.allocPagesNode(0, Gfp.KERNEL, 0, "test"));
    assertNotNull(two.alloc.allocPagesNode(0, Gfp.KERNEL.or(Gfp.DMA), 0, "test"));
  }
}
