// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.sparse.MmInitBench.Block;
import org.vmemmap.sparse.MmInitBench.Freed;
import org.vmemmap.sparse.MmInitBench.Ram;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * Struct pages that boot leaves for later.
 *
 * <pre>
 *   the machine of most tests: 4 sections of Normal memory, numbers 32 to 35
 *   pfn   1048576   1081344   1114112   1146880   1179648
 *           |  32   |   33    |   34    |   35    |
 *             boot  ^ first_deferred_pfn
 * </pre>
 */
class MmInitDeferredTest {
  private static final long START = 1048576;
  private static final long SECTION = MmInitBench.SECTION_PAGES;
  private static final long FIRST_DEFERRED = START + SECTION;
  private static final Ram FOUR_SECTIONS = new Ram(0x1_0000_0000L, 0x1_2000_0000L, 0);
  private static final long NORMAL = 0x17_ffff_c000_0000L;

  private static PgData node(MmInitBench bench) {
    return bench.mm.nodes().nodeData(0);
  }

  private static Zone normal(MmInitBench bench) {
    return bench.zone(0, ZoneType.ZONE_NORMAL);
  }

  private static boolean initialised(MmInitBench bench, long pfn) {
    return bench.words(pfn)[0] != 0;
  }

  // ---- what is deferred ----

  /** Four sections in the last zone. Expect the first to be done and the rest to be left. */
  @Test
  void deferInit_lastZone_stopsAfterOneSection() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();

    assertEquals(FIRST_DEFERRED, node(bench).firstDeferredPfn);
    assertTrue(initialised(bench, FIRST_DEFERRED - 1));
    assertFalse(initialised(bench, FIRST_DEFERRED));
    assertFalse(initialised(bench, START + 4 * SECTION - 1));
    assertTrue(bench.mmInit.deferredStructPages());
    assertTrue(bench.mmInit.deferredPagesEnabled());
  }

  /**
   * The zone begins in the middle of a section.
   *
   * <pre>
   *   section    32      33      34      35
   *           |  .===|=======|=======|=======|
   *                          ^ one and a half sections are behind it
   * </pre>
   *
   * Expect the first section start behind more than one section worth of pages, also when just the
   * first page is missing.
   */
  @ParameterizedTest
  @ValueSource(longs = {0x1_0400_0000L, 0x1_0000_1000L})
  void deferInit_zoneStartsInASection_stopsAtASectionStart(long start) {
    MmInitBench bench = MmInitBench.debian(new Ram(start, 0x1_2000_0000L, 0)).early();

    assertEquals(START + 2 * SECTION, node(bench).firstDeferredPfn);
  }

  /** Exactly one section of memory, and then one behind a gap. Expect the second to be deferred. */
  @Test
  void deferInit_gapAfterOneSection_countsPagesNotDistance() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x1_0000_0000L, 0x1_0800_0000L, 0),
                new Ram(0x1_1800_0000L, 0x1_2000_0000L, 0))
            .early();

    assertEquals(START + 3 * SECTION, node(bench).firstDeferredPfn);
  }

  /** Memory behind a hole, when the part before it was deferred. Expect it to be left, too. */
  @Test
  void deferInit_rangeBehind_isLeftAsWell() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x1_0000_0000L, 0x1_1000_0000L, 0),
                new Ram(0x1_1800_0000L, 0x1_2000_0000L, 0))
            .early();

    assertEquals(FIRST_DEFERRED, node(bench).firstDeferredPfn);
    assertFalse(initialised(bench, START + 3 * SECTION));
  }

  /** DMA32 below a Normal zone of one section. Expect DMA32 to be done whole. */
  @Test
  void deferInit_lowerZone_isNeverDeferred() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x4000_0000L, 0x5800_0000L, 0), new Ram(0x1_0000_0000L, 0x1_0800_0000L, 0))
            .early();

    assertEquals(Long.MAX_VALUE, node(bench).firstDeferredPfn);
    assertTrue(initialised(bench, 0x57fff));
    assertFalse(bench.mmInit.deferredStructPages());
  }

  /** Two nodes of three sections. Expect each to keep its own first section. */
  @Test
  void deferInit_twoNodes_eachHasItsOwnCount() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x1_0000_0000L, 0x1_1800_0000L, 0),
                new Ram(0x1_1800_0000L, 0x1_3000_0000L, 1))
            .early();

    assertEquals(START + SECTION, bench.mm.nodes().nodeData(0).firstDeferredPfn);
    assertEquals(START + 4 * SECTION, bench.mm.nodes().nodeData(1).firstDeferredPfn);
  }

  /** A kernel without DEFERRED_STRUCT_PAGE_INIT. Expect all to be done at boot. */
  @Test
  void deferInit_notConfigured_doesAllAtBoot() {
    MmConfig config = MmConfig.debianX86().withDeferredStructPageInit(false);
    MmInitBench bench = new MmInitBench(config, FOUR_SECTIONS).early();

    assertTrue(initialised(bench, START + 4 * SECTION - 1));
    assertFalse(bench.mmInit.deferredPagesEnabled());
  }

  // ---- with and without, in the end the same ----

  /**
   * Holes, reserved ranges and an odd end in the deferred part of the zone.
   *
   * <pre>
   *   section   32      33        34        35        36
   *           |=====|==R====h|hhhhh===|=====RRR==|===h|       R reserved, h hole
   * </pre>
   *
   * Expect the same struct pages, pageblocks and freed pages at the end as without deferring.
   */
  @Test
  void pageAllocInitLate_deferredOrNot_sameMemmap() {
    MmInitBench deferred = boot(MmConfig.debianX86());
    MmInitBench atOnce = boot(MmConfig.debianX86().withDeferredStructPageInit(false));

    long end = START + 5 * SECTION;
    assertArrayEquals(atOnce.memmap(START, end), deferred.memmap(START, end));
    assertEquals(atOnce.pageblocks, deferred.pageblocks);
    assertEquals(pages(atOnce.freed), pages(deferred.freed));
    assertTrue(deferred.log().contains("node 0 deferred pages initialised in 0ms"));
    assertFalse(deferred.mmInit.deferredPagesEnabled());
    assertEquals(List.of(), deferred.mm.printk().warnings());
  }

  private static MmInitBench boot(MmConfig config) {
    return new MmInitBench(
            config,
            new Ram(0x1_0000_0000L, 0x1_0e00_0000L, 0),
            new Ram(0x1_1300_0000L, 0x1_2630_1000L, 0))
        .reserve(0x1_0a12_3000L, 0x1_0a12_5000L)
        .reserve(0x1_1fff_f000L, 0x1_2000_1000L)
        .early()
        .late();
  }

  private static long pages(List<Freed> freed) {
    return freed.stream().mapToLong(block -> 1L << block.order()).sum();
  }

  /** All of a large free range. Expect it to come in blocks of the largest order. */
  @Test
  void deferredFreePages_wholeBlocks_areFreedWhole() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early().late();

    assertEquals(128, bench.freed.size());
    assertTrue(bench.freed.contains(new Freed(FIRST_DEFERRED, 10)));
    assertTrue(bench.freed.contains(new Freed(START + 4 * SECTION - 1024, 10)));
  }

  /** A free range of 3 pages between reserved ones. Expect single pages. */
  @Test
  void deferredFreePages_pieces_areFreedPageByPage() {
    long pfn = FIRST_DEFERRED + 100;
    MmInitBench bench =
        MmInitBench.debian(FOUR_SECTIONS)
            .reserve(FIRST_DEFERRED << 12, pfn << 12)
            .reserve((pfn + 3) << 12, 0x1_2000_0000L)
            .early()
            .late();

    assertEquals(
        List.of(new Freed(pfn, 0), new Freed(pfn + 1, 0), new Freed(pfn + 2, 0)),
        bench.freed.subList(32, 35));
    assertEquals(35, bench.freed.size());
  }

  // ---- pages ahead of the others ----

  /** A reserved page in the deferred part. Expect only its struct page, and its pageblock. */
  @Test
  void initDeferredPage_reservedPage_isDoneAhead() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    bench.pageblocks.clear();

    bench.mmInit.initDeferredPage(FIRST_DEFERRED + 512, 0);
    bench.mmInit.initDeferredPage(FIRST_DEFERRED + 513, 0);

    assertEquals(NORMAL, bench.words(FIRST_DEFERRED + 512)[0]);
    assertEquals(NORMAL, bench.words(FIRST_DEFERRED + 513)[0]);
    assertFalse(initialised(bench, FIRST_DEFERRED + 514));
    assertEquals(
        Map.of(FIRST_DEFERRED + 512, new Block(Migratetype.MIGRATE_MOVABLE, false)),
        bench.pageblocks);
  }

  /**
   * A reserved range over the border between done and deferred.
   *
   * <pre>
   *   ... done   | deferred ...
   *           [RR|RRRRRRR]
   * </pre>
   *
   * Expect all of it reserved, the deferred part as if page by page, and nothing behind it.
   */
  @Test
  void initSinglePageReserved_overTheBorder_equalsPageByPage() {
    MmInitBench run = MmInitBench.debian(FOUR_SECTIONS).early();
    MmInitBench single = MmInitBench.debian(FOUR_SECTIONS).early();
    long end = FIRST_DEFERRED + 1300;

    run.mmInit.initSinglePageReserved(FIRST_DEFERRED - 10, end, 0);
    for (long pfn = FIRST_DEFERRED - 10; pfn < end; pfn++) {
      single.mmInit.initDeferredPage(pfn, 0);
      single.mm.flags().set(single.page(pfn), PageFlags.PG_RESERVED);
    }

    assertArrayEquals(
        single.memmap(FIRST_DEFERRED - 20, end + 1), run.memmap(FIRST_DEFERRED - 20, end + 1));
    assertEquals(single.pageblocks, run.pageblocks);
    assertFalse(initialised(run, end));
  }

  /** Two zones meet in a subsection of the deferred part. Expect each page in its own zone. */
  @Test
  void initSinglePageReserved_twoZones_eachPageInItsZone() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    Zone movable = bench.zone(0, ZoneType.ZONE_MOVABLE);
    movable.zoneStartPfn = FIRST_DEFERRED + 100;
    movable.spannedPages = SECTION - 100;
    normal(bench).spannedPages = SECTION + 100;

    bench.mmInit.initSinglePageReserved(FIRST_DEFERRED + 99, FIRST_DEFERRED + 101, 0);

    assertEquals(NORMAL | 1L << 13, bench.words(FIRST_DEFERRED + 99)[0]);
    assertEquals(0x1f_ffff_c000_2000L, bench.words(FIRST_DEFERRED + 100)[0]);
  }

  /** A page that boot has done. Expect it to keep what it has. */
  @Test
  void initDeferredPage_pageOfTheFirstSection_isLeftAlone() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    bench.mm.refs().setPageCount(bench.page(START), 7);

    bench.mmInit.initDeferredPage(START, 0);
    bench.mmInit.initSinglePageReserved(START, START + 1, 0);

    assertEquals(7, bench.mm.refs().pageRefCount(bench.page(START)));
    assertTrue(bench.mm.flags().pageReserved(bench.page(START)));
  }

  /**
   * Reserved memory that is no RAM, in a section that node 1 begins, taken for memory of node 0:
   *
   * <pre>
   *   |    node 0, 4 sections    | node 1 | reserved |
   *                              |<--- section 36 -->|
   * </pre>
   *
   * Expect what the kernel writes when it finds no zone: the number behind the last zone's.
   */
  @Test
  void initDeferredPage_outsideAllZones_getsTheNumberBehindTheLastZone() {
    Ram halfSection = new Ram(0x1_2000_0000L, 0x1_2400_0000L, 1);
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS, halfSection).early();
    long reserved = 0x1_2400_0000L >>> 12;

    bench.mmInit.initDeferredPage(reserved, 0);

    long zoneNumber = bench.words(reserved)[0] >>> 51;
    assertEquals(bench.mm.zones().maxNrZones(), zoneNumber);
    assertEquals(1, bench.mm.refs().pageRefCount(bench.page(reserved)));
  }

  /** memblock gives a block of each kind. Expect only the initialised one to be freed now. */
  @Test
  void memblockFreePages_deferredBlock_isLeftForLater() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();

    bench.mmInit.memblockFreePages(FIRST_DEFERRED, 10);
    bench.mmInit.memblockFreePages(START, 10);

    assertEquals(List.of(new Freed(START, 10)), bench.freed);
  }

  // ---- growing a zone on demand ----

  /** An allocation of order 3 finds the zone empty. Expect one more section, and no more. */
  @Test
  void deferredGrowZone_smallOrder_addsOneSection() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();

    assertTrue(bench.mmInit.deferredGrowZone(normal(bench), 3));

    assertEquals(FIRST_DEFERRED + SECTION, node(bench).firstDeferredPfn);
    assertEquals(32, bench.freed.size());
    assertTrue(initialised(bench, FIRST_DEFERRED + SECTION - 1));
    assertFalse(initialised(bench, FIRST_DEFERRED + SECTION));
  }

  /** The first deferred section has nothing free. Expect the next to be done as well. */
  @Test
  void deferredGrowZone_reservedSection_addsAnother() {
    MmInitBench bench =
        MmInitBench.debian(FOUR_SECTIONS)
            .reserve(FIRST_DEFERRED << 12, (FIRST_DEFERRED + SECTION) << 12)
            .early();

    assertTrue(bench.mmInit.deferredGrowZone(normal(bench), 0));

    assertEquals(FIRST_DEFERRED + 2 * SECTION, node(bench).firstDeferredPfn);
  }

  /** The zone is grown to its end. Expect nothing to be left, and a further call to say so. */
  @Test
  void deferredGrowZone_untilTheEnd_leavesNothing() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();

    assertTrue(bench.mmInit.deferredGrowZone(normal(bench), 16));
    assertTrue(bench.mmInit.deferredGrowZone(normal(bench), 0));

    assertEquals(Long.MAX_VALUE, node(bench).firstDeferredPfn);
    assertFalse(bench.mmInit.deferredGrowZone(normal(bench), 0));
    assertEquals(96, bench.freed.size());
  }

  /** All that is deferred is reserved. Expect false: no page was added. */
  @Test
  void deferredGrowZone_allReserved_isFalse() {
    MmInitBench bench =
        MmInitBench.debian(FOUR_SECTIONS).reserve(FIRST_DEFERRED << 12, 0x1_2000_0000L).early();

    assertFalse(bench.mmInit.deferredGrowZone(normal(bench), 0));

    assertEquals(Long.MAX_VALUE, node(bench).firstDeferredPfn);
  }

  /** A zone below the last one. Expect false. */
  @Test
  void deferredGrowZone_lowerZone_isFalse() {
    MmInitBench bench =
        MmInitBench.debian(new Ram(0x4000_0000L, 0x4800_0000L, 0), FOUR_SECTIONS).early();

    assertFalse(bench.mmInit.deferredGrowZone(bench.zone(0, ZoneType.ZONE_DMA32), 0));
  }

  /**
   * Another CPU grows the zone while this one waits for the lock. Expect true, and nothing done.
   */
  @Test
  void deferredGrowZone_grownMeanwhile_isTrue() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    bench
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("pgdat_resize_lock")) {
                node(bench).firstDeferredPfn += SECTION;
              }
            });

    assertTrue(bench.mmInit.deferredGrowZone(normal(bench), 0));

    assertEquals(List.of(), bench.freed);
  }

  /** A zone that was grown before the late run. Expect the late run to do only the rest. */
  @Test
  void pageAllocInitLate_afterGrowth_doesTheRest() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    bench.mmInit.mmCoreInit();
    bench.mmInit.deferredGrowZone(normal(bench), 0);

    bench.mmInit.pageAllocInitLate();

    assertEquals(4 * SECTION, pages(bench.freed));
  }

  /**
   * A zone is grown, and then the rest comes late.
   *
   * <p>Expect other CPUs to be let in late only, behind each 1024 pages, once the node is locked.
   */
  @Test
  void deferredInitMemmapChunk_late_letsOthersRun() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    List<String> yields = new ArrayList<>();
    bench
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("pgdat_resize_lock") || what.equals("cond_resched")) {
                yields.add(what + " " + where);
              }
            });
    bench.mmInit.deferredGrowZone(normal(bench), 0);
    assertEquals(List.of("pgdat_resize_lock 0"), yields);
    yields.clear();

    bench.mmInit.pageAllocInitLate();

    long first = FIRST_DEFERRED + SECTION;
    assertEquals(
        List.of(
            "pgdat_resize_lock 0",
            "cond_resched " + (first + 1024),
            "cond_resched " + (first + 2048)),
        yields.subList(0, 3));
    assertEquals("cond_resched " + (START + 4 * SECTION), yields.get(64));
  }

  // ---- broken invariants ----

  /** first_deferred_pfn is the first or the end of the node. Expect no bug at either. */
  @ParameterizedTest
  @ValueSource(longs = {START, START + 4 * SECTION})
  void deferredInitMemmap_endsOfNode_areFine(long pfn) {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    node(bench).firstDeferredPfn = pfn;

    bench.mmInit.pageAllocInitLate();

    assertEquals((START + 4 * SECTION - pfn) / 1024, bench.freed.size());
    assertEquals(List.of(), bench.mm.printk().warnings());
  }

  /** The node's last zone is the last that there can be. Expect no look at one above it. */
  @Test
  void deferredInitMemmap_highestZone_hasNoneAbove() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    node(bench).nrZones = node(bench).zones().length;

    bench.mmInit.pageAllocInitLate();

    assertEquals(List.of(), bench.mm.printk().warnings());
  }

  /** first_deferred_pfn lies below the node. Expect the bug. */
  @Test
  void deferredInitMemmap_startBelowNode_isABug() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    node(bench).firstDeferredPfn = START - 1;

    KernelBug bug = assertThrows(KernelBug.class, bench.mmInit::pageAllocInitLate);

    assertTrue(String.valueOf(bug.getMessage()).contains("first_deferred_pfn < node_start_pfn"));
  }

  /** first_deferred_pfn lies behind the node. Expect the bug. */
  @Test
  void deferredInitMemmap_startBehindNode_isABug() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    node(bench).firstDeferredPfn = START + 4 * SECTION + 1;

    KernelBug bug = assertThrows(KernelBug.class, bench.mmInit::pageAllocInitLate);

    assertTrue(String.valueOf(bug.getMessage()).contains("first_deferred_pfn > pgdat_end_pfn"));
  }

  /** The zone above the last one claims pages. Expect the warning. */
  @Test
  void deferredInitMemmap_populatedZoneAbove_warns() {
    MmInitBench bench = MmInitBench.debian(FOUR_SECTIONS).early();
    bench.zone(0, ZoneType.ZONE_MOVABLE).presentPages = 1;

    bench.mmInit.pageAllocInitLate();

    assertEquals(
        List.of("deferred_init_memmap: nr_zones < MAX_NR_ZONES && populated_zone(++zone)"),
        bench.mm.printk().warnings());
  }
}
