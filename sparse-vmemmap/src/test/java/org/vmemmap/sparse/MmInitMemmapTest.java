// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.MmInitBench.SELF;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.sparse.MmInitBench.Block;
import org.vmemmap.sparse.MmInitBench.Ram;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Series;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.ZoneType;

/** What the struct pages of RAM and holes look like after memmap_init(), word for word. */
class MmInitMemmapTest {
  /** last_cpupid all ones, node 0, no flags; the zone is added. */
  private static final long CPUPID = 0x7_ffff_c000_0000L;

  private static final long DMA = CPUPID;
  private static final long DMA32 = CPUPID | 1L << 51;
  private static final long NORMAL = CPUPID | 2L << 51;
  private static final long RESERVED = 1L << 13;
  private static final long ONE_REFERENCE = 0x1_ffff_ffffL;
  private static final Block MOVABLE = new Block(Migratetype.MIGRATE_MOVABLE, false);

  private static long[] fresh(long flags) {
    return new long[] {flags, SELF, SELF, 0, 0, 0, ONE_REFERENCE, 0};
  }

  // ---- RAM and holes ----

  /**
   * 256 MiB with the hole of a PC below 1 MiB and an odd end.
   *
   * <pre>
   *   pfn 0 1        0x9f   0x100    4096         65504  65536
   *       |h|--DMA----|--h---|--DMA---|---DMA32-----|--h--|
   * </pre>
   *
   * Expect RAM fresh, holes reserved, and each hole in the zone above it; the last in the zone
   * below.
   */
  @Test
  void memmapInit_holes_belongToTheZoneAbove() {
    MmInitBench bench =
        MmInitBench.debian(new Ram(0x1000, 0x9f000, 0), new Ram(0x10_0000, 0xffe_0000, 0)).early();

    assertArrayEquals(fresh(DMA | RESERVED), bench.words(0));
    assertArrayEquals(fresh(DMA), bench.words(1));
    assertArrayEquals(fresh(DMA), bench.words(0x9e));
    assertArrayEquals(fresh(DMA | RESERVED), bench.words(0x9f));
    assertArrayEquals(fresh(DMA | RESERVED), bench.words(0xff));
    assertArrayEquals(fresh(DMA), bench.words(0x100));
    assertArrayEquals(fresh(DMA32), bench.words(4096));
    assertArrayEquals(fresh(DMA32), bench.words(65503));
    assertArrayEquals(fresh(DMA32 | RESERVED), bench.words(65504));
    assertArrayEquals(fresh(DMA32 | RESERVED), bench.words(65535));
    assertEquals(65503, bench.mmInit.highestMemmapPfn());
  }

  /**
   * The captured machine dax-hmem-early-busy: a device begins 2 MiB into a section of RAM.
   *
   * <pre>
   *   section      40        41 ... 47    48
   *           [==|hhhhhhh]    absent     [=====
   *              ^ pfn 1311232: 0x17ffffc0002000
   * </pre>
   *
   * Expect the rest of section 40 to be a hole of Normal, and nothing written where no memmap is.
   */
  @Test
  void memmapInit_partOfASection_isAHoleAsCaptured() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x1_4000_0000L, 0x1_4020_0000L, 0),
                new Ram(0x1_8000_0000L, 0x1_8800_0000L, 0))
            .early();

    assertArrayEquals(fresh(NORMAL), bench.words(1311231));
    assertArrayEquals(fresh(0x17_ffff_c000_2000L), bench.words(1311232));
    assertArrayEquals(fresh(0x17_ffff_c000_2000L), bench.words(41 * 32768 - 1));
    assertThrows(MachineFault.class, () -> bench.words(41 * 32768));
    assertTrue(bench.log().contains("On node 0, zone Normal: 32256 pages in unavailable ranges"));
  }

  /**
   * A hole between the memory of two nodes, in one section.
   *
   * <pre>
   *   section 8   |--node 0--|...hole...|--node 1--|
   * </pre>
   *
   * Expect the hole to belong to node 1.
   */
  @Test
  void memmapInit_holeBetweenNodes_belongsToTheNodeAbove() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x4000_0000L, 0x4200_0000L, 0), new Ram(0x4600_0000L, 0x4800_0000L, 1))
            .early();

    long node1 = 1L << 54;
    assertArrayEquals(fresh(DMA32), bench.words(0x41fff));
    assertArrayEquals(fresh(DMA32 | node1 | RESERVED), bench.words(0x42000));
    assertArrayEquals(fresh(DMA32 | node1 | RESERVED), bench.words(0x45fff));
    assertArrayEquals(fresh(DMA32 | node1), bench.words(0x46000));
  }

  /** All RAM and holes are behind. Expect every pageblock that starts in RAM to be movable. */
  @Test
  void memmapInit_pageblocks_allThatStartInRamAreMovable() {
    MmInitBench bench =
        MmInitBench.debian(new Ram(0x1000, 0x9f000, 0), new Ram(0x10_0000, 0xffe_0000, 0)).early();

    Set<Long> expected =
        LongStream.iterate(512, pfn -> pfn < 65504, pfn -> pfn + 512)
            .boxed()
            .collect(Collectors.toSet());
    assertEquals(expected, bench.pageblocks.keySet());
    assertEquals(Set.of(MOVABLE), Set.copyOf(bench.pageblocks.values()));
  }

  /**
   * The captured case prehvo-dma32-4g-on: the memmap of a gigantic page is shared and still
   * writable.
   *
   * <pre>
   *   memmap of pfn 262144 ... 524287:   [own][S][S][S] ... [S]      S: one frame, 4095 times
   * </pre>
   *
   * DMA32 is not the last zone, so nothing is deferred. Expect the last writer in the shared frame:
   * slot i looks like the struct page of pfn 524224 + i.
   */
  @Test
  void memmapInit_sharedWritableFrame_lastWriterWins() {
    MmInitBench bench =
        MmInitBench.debian(
            new Ram(0x4000_0000L, 0x8000_0000L, 0), new Ram(0x1_0000_0000L, 0x1_0800_0000L, 0));
    bench.mapMemmap(262144, 262208);
    long shared = bench.frame();
    for (long pfn = 262208; pfn < 524288; pfn += 64) {
      bench.map(bench.page(pfn).va(), shared, bench.mm.pgtable().pageKernel());
    }

    bench.early();

    long slot5 = shared + 5 * 64;
    assertEquals(DMA32, bench.machine.memory().getLong(slot5));
    assertEquals(bench.page(524229).va() + 8, bench.machine.memory().getLong(slot5 + 8));
    assertEquals(bench.page(524229).va() + 8, bench.machine.memory().getLong(slot5 + 16));
    assertEquals(ONE_REFERENCE, bench.machine.memory().getLong(slot5 + 48));
    assertArrayEquals(fresh(DMA32), bench.words(262144 + 5));
  }

  /** One page of the memmap is read-only. Expect the write to fault, as on hardware. */
  @Test
  void memmapInit_readOnlyMemmap_faults() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x4000_0000L, 0x4800_0000L, 0));
    bench.map(bench.page(0x40040).va(), bench.frame(), bench.mm.pgtable().pageKernelRo());

    MachineFault fault = assertThrows(MachineFault.class, bench::early);

    assertEquals("write-to-read-only", fault.rule());
    assertArrayEquals(fresh(DMA32), bench.words(0x4003f));
  }

  // ---- a run equals single pages ----

  /** A run of fresh pages of an odd length. Expect what __init_single_page() writes for each. */
  @Test
  void initPages_run_equalsSinglePages() {
    assertRunEqualsSinglePages(MmConfig.debianX86(), StructPageInit.Mark.NONE);
  }

  /** The same, reserved. */
  @Test
  void initPages_reservedRun_equalsSinglePages() {
    assertRunEqualsSinglePages(MmConfig.debianX86(), StructPageInit.Mark.RESERVED);
  }

  /** The same, offline. */
  @Test
  void initPages_offlineRun_equalsSinglePages() {
    assertRunEqualsSinglePages(MmConfig.debianX86(), StructPageInit.Mark.OFFLINE);
  }

  /** A struct page of 80 bytes crosses the pages of the memmap. Expect the same words. */
  @Test
  void initPages_80Bytes_equalsSinglePages() {
    MmConfig config = MmConfig.debianX86().withSizeofStructPage(80);
    assertRunEqualsSinglePages(config, StructPageInit.Mark.RESERVED);
  }

  /** A struct page of 56 bytes. Expect the same words. */
  @Test
  void initPages_56Bytes_equalsSinglePages() {
    MmConfig config = MmConfig.debianX86().withSizeofStructPage(56);
    assertRunEqualsSinglePages(config, StructPageInit.Mark.OFFLINE);
  }

  /** Fills the same memmap, with leftovers in it, once as a run and once page by page. */
  private static void assertRunEqualsSinglePages(MmConfig config, StructPageInit.Mark mark) {
    long first = 0x40003;
    long end = 0x40123;
    MmInitBench run = dirty(config, first, end);
    MmInitBench single = dirty(config, first, end);

    StructPageInit pages = new StructPageInit(run.mm, run.pageAlloc);
    pages.initPages(first, end, ZoneType.ZONE_MOVABLE, 3, mark);
    for (long pfn = first; pfn < end; pfn++) {
      single.mmInit.initSinglePage(single.page(pfn), pfn, ZoneType.ZONE_MOVABLE, 3);
      if (mark == StructPageInit.Mark.RESERVED) {
        single.mm.flags().set(single.page(pfn), PageFlags.PG_RESERVED);
      } else if (mark == StructPageInit.Mark.OFFLINE) {
        single.mm.flags().setType(single.page(pfn), PageFlags.PGTY_OFFLINE);
      }
    }

    assertArrayEquals(single.memmap(first - 1, end + 1), run.memmap(first - 1, end + 1));
    assertEquals(-1L, run.words(end)[0]);
  }

  private static MmInitBench dirty(MmConfig config, long first, long end) {
    MmInitBench bench = new MmInitBench(config, new Ram(0x4000_0000L, 0x4800_0000L, 0));
    for (long pfn = first - 3; pfn < end + 128; pfn++) {
      bench.mapMemmap(pfn, pfn + 1);
      // What follows in the memmap does not follow in memory.
      bench.frame();
    }
    long bytes = bench.page(end + 128).va() - bench.page(first - 3).va();
    bench.machine.cpu().fill(bench.page(first - 3).va(), bytes, (byte) -1);
    return bench;
  }

  // ---- hotplug ----

  /**
   * Hot-added RAM of half a section, isolated.
   *
   * <pre>
   *   pfn 0x48000          0x4c000
   *       |offline, refcount 1|
   * </pre>
   *
   * Expect offline pages, no hole handling and isolated pageblocks.
   */
  @Test
  void memmapInitRange_hotplug_pagesAreOffline() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x4000_0000L, 0x4800_0000L, 0));
    bench.mapMemmap(0x48000, 0x4c000);

    bench.mmInit.memmapInitRange(
        0x4000,
        0,
        ZoneType.ZONE_NORMAL,
        0x48000,
        0,
        false,
        null,
        Migratetype.MIGRATE_MOVABLE,
        true);

    long offline = 0x1_f100_0000L;
    assertArrayEquals(new long[] {NORMAL, SELF, SELF, 0, 0, 0, offline, 0}, bench.words(0x48000));
    assertArrayEquals(new long[] {NORMAL, SELF, SELF, 0, 0, 0, offline, 0}, bench.words(0x4bfff));
    assertEquals(32, bench.pageblocks.size());
    assertEquals(new Block(Migratetype.MIGRATE_MOVABLE, true), bench.pageblocks.get(0x48000L));
  }

  /**
   * A section in the middle of a folio of 1 GiB, which begins a section earlier.
   *
   * <pre>
   *   pfn 0x40000        0x48000       0x50000
   *       |head ... tails  | more tails  |
   * </pre>
   *
   * Expect no struct page of it to be written: they are all shared tails.
   */
  @Test
  void memmapInitRange_insideAFolio_writesNoTail() {
    MmConfig config = MmConfig.debianX86().withSeries(Series.at(Series.LAST));
    MmInitBench bench = new MmInitBench(config, new Ram(0x4000_0000L, 0x5000_0000L, 0));
    bench.mapMemmap(0x48000, 0x50000);
    bench.makeSection(9, Mmzone.SECTION_MARKED_PRESENT).order = 18;

    bench.mmInit.memmapInitRange(
        0x8000,
        0,
        ZoneType.ZONE_DMA32,
        0x48000,
        0x50000,
        true,
        null,
        Migratetype.MIGRATE_MOVABLE,
        false);

    assertArrayEquals(new long[8], bench.words(0x48000));
    assertArrayEquals(new long[8], bench.words(0x4ffff));
    assertEquals(64, bench.pageblocks.size());
  }

  /** A device whose memmap is in RAM. Expect nothing yet: memmap_init_zone_device() does it. */
  @Test
  void memmapInitRange_deviceWithoutAltmap_doesNothing() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x4000_0000L, 0x4800_0000L, 0));

    bench.mmInit.memmapInitRange(
        0x8000,
        0,
        ZoneType.ZONE_DEVICE,
        0x50000,
        0,
        false,
        null,
        Migratetype.MIGRATE_MOVABLE,
        false);

    assertTrue(bench.pageblocks.isEmpty());
    assertEquals(0x57fff, bench.mmInit.highestMemmapPfn());
  }

  /**
   * A device that holds its own memmap, as captured in dax-pmem-dev-2m.
   *
   * <pre>
   *   pfn base+0  +2                +512              + 0x8000
   *       | resv. |  free (memmap)  |   data, later   |
   *         zeros   0x27ffffc0002000   zeros
   * </pre>
   *
   * Expect only the pages that hold the memmap, reserved.
   */
  @Test
  void memmapInitRange_deviceWithAltmap_onlyThePagesOfTheMemmap() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x4000_0000L, 0x4800_0000L, 0));
    bench.mapMemmap(0x50000, 0x58000);

    bench.mmInit.memmapInitRange(
        0x8000,
        0,
        ZoneType.ZONE_DEVICE,
        0x50000,
        0,
        false,
        altmap(0x50000, 2, 510),
        Migratetype.MIGRATE_MOVABLE,
        false);

    assertArrayEquals(new long[8], bench.words(0x50001));
    assertArrayEquals(fresh(0x27_ffff_c000_2000L), bench.words(0x50002));
    assertArrayEquals(fresh(0x27_ffff_c000_2000L), bench.words(0x501ff));
    assertArrayEquals(new long[8], bench.words(0x50200));
  }

  /** A later range of the same device. Expect the reserve to be left out only at the base. */
  @Test
  void memmapInitRange_altmapNotAtBase_startsWhereItIsTold() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x4000_0000L, 0x4800_0000L, 0));
    bench.mapMemmap(0x50000, 0x58000);

    bench.mmInit.memmapInitRange(
        0x100,
        0,
        ZoneType.ZONE_DEVICE,
        0x50100,
        0,
        false,
        altmap(0x50000, 2, 510),
        Migratetype.MIGRATE_MOVABLE,
        false);

    assertArrayEquals(new long[8], bench.words(0x500ff));
    assertArrayEquals(fresh(0x27_ffff_c000_2000L), bench.words(0x50100));
  }

  private static VmemAltmap altmap(long basePfn, long reserve, long free) {
    VmemAltmap altmap = new VmemAltmap();
    altmap.basePfn = basePfn;
    altmap.reserve = reserve;
    altmap.free = free;
    return altmap;
  }

  // ---- reserved ranges and holes without memmap ----

  /** A reserved range that crosses sections without a memmap. Expect those to be passed over. */
  @Test
  void initSinglePageReserved_absentSections_arePassedOver() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x4400_0000L, 0x4800_0000L, 0), new Ram(0x5000_0000L, 0x5800_0000L, 0))
            .early();

    bench.mmInit.initSinglePageReserved(0x47fff, 0x50001, 0);

    assertArrayEquals(fresh(DMA32 | RESERVED), bench.words(0x47fff));
    assertArrayEquals(fresh(DMA32 | RESERVED), bench.words(0x50000));
    assertArrayEquals(fresh(DMA32), bench.words(0x50001));
  }

  /**
   * A section that is not early has only some subsections in use.
   *
   * <pre>
   *   subsection  0   1   2   3   4   5   6   7 ...
   *               -   X   -   X   -   -   X   -
   * </pre>
   *
   * Expect only those in use to count as valid.
   */
  @Test
  void initSinglePageReserved_subsections_onlyThoseInUse() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x4000_0000L, 0x4800_0000L, 0)).early();
    long late = Mmzone.SECTION_MARKED_PRESENT | Mmzone.SECTION_HAS_MEM_MAP;
    bench.mapMemmap(0x50000, 0x58000);
    setSubsections(bench, late);

    bench.mmInit.initSinglePageReserved(0x50000, 0x58000, 0);

    assertFalse(bench.mm.flags().pageReserved(bench.page(0x501ff)));
    assertTrue(bench.mm.flags().pageReserved(bench.page(0x50200)));
    assertTrue(bench.mm.flags().pageReserved(bench.page(0x503ff)));
    assertFalse(bench.mm.flags().pageReserved(bench.page(0x50400)));
    assertTrue(bench.mm.flags().pageReserved(bench.page(0x50600)));
    assertFalse(bench.mm.flags().pageReserved(bench.page(0x50800)));
    assertTrue(bench.mm.flags().pageReserved(bench.page(0x50dff)));
    assertFalse(bench.mm.flags().pageReserved(bench.page(0x50e00)));
  }

  private static void setSubsections(MmInitBench bench, long flags) {
    var usage = bench.makeSection(10, flags).usage;
    if (usage != null) {
      usage.subsectionMap()[0] = 0b100_1010;
    }
  }

  /** The log of one node's holes. Expect one line for each hole, none for absent sections. */
  @Test
  void initUnavailableRange_log_countsValidPages() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x4000_0000L, 0x4700_0000L, 0), new Ram(0x5000_0000L, 0x5800_0000L, 0))
            .early();

    assertEquals(
        List.of("On node 0, zone DMA32: 4096 pages in unavailable ranges"),
        bench.log().stream().filter(line -> line.contains("unavailable")).toList());
  }
}
