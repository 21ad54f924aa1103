// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.Mockito.when;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.vmemmap.sparse.MmInitBench.Block;
import org.vmemmap.sparse.MmInitBench.Ram;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.MemoryType;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Series;
import org.vmemmap.types.ZoneType;

/** Struct pages of device memory, as the captured kernels show them. */
class MmInitDeviceTest {
  private static final long START = 1310720;
  private static final long PGMAP = 0xffff_8880_1234_5600L;

  /** ZONE_DEVICE of node 0, last_cpupid all ones, PG_reserved. */
  private static final long DEVICE = 0x27_ffff_c000_2000L;

  private static final long HEAD = DEVICE | 1L << 6;
  private static final long TAIL_MAPPING = 0xdead_0000_0000_0400L;
  private static final long MASK_2M = 0xffff_ffff_ffff_8001L;
  private static final long MASK_1G = 0xffff_ffff_ff00_0001L;
  private static final long REF_0 = 0xffff_ffffL;
  private static final long REF_1 = 0x1_ffff_ffffL;
  private static final Block MOVABLE = new Block(Migratetype.MIGRATE_MOVABLE, false);

  private static MmInitBench bench(MmConfig config) {
    return new MmInitBench(
        config, new Ram(0x10_0000, 0x80_0000, 0), new Ram(0x2_0000_0000L, 0x2_0800_0000L, 0));
  }

  private static MmInitBench bench() {
    return bench(MmConfig.debianX86());
  }

  private static DevPagemap pgmap(int shift) {
    DevPagemap pgmap = new DevPagemap(PGMAP);
    pgmap.vmemmapShift = shift;
    return pgmap;
  }

  private static void init(MmInitBench bench, long nrPages, DevPagemap pgmap) {
    bench.mmInit.memmapInitZoneDevice(bench.zone(0, ZoneType.ZONE_DEVICE), START, nrPages, pgmap);
  }

  private static void optimise(MmInitBench bench, boolean value) {
    when(bench.vmemmap.vmemmapCanOptimize(any(), any())).thenReturn(value);
  }

  /**
   * The captured case dax-hmem-4k: pages that are no compound pages.
   *
   * <p>Expect each to point to its device and to have the one reference of generic memory.
   */
  @Test
  void memmapInitZoneDevice_basePages_asCaptured() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 40000);

    init(bench, 40000, pgmap(0));

    long[] expected = {DEVICE, PGMAP, 0, 0, 0, 0, REF_1, 0};
    assertArrayEquals(expected, bench.words(START));
    assertArrayEquals(expected, bench.words(START + 39999));
    assertEquals(79, bench.pageblocks.size());
    assertEquals(MOVABLE, bench.pageblocks.get(START + 78 * 512));
  }

  /** Memory that a file system hands out. Expect no reference before it does. */
  @Test
  void memmapInitZoneDevice_fsDax_hasNoReference() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 512);
    DevPagemap pgmap = pgmap(0);
    pgmap.type = MemoryType.MEMORY_DEVICE_FS_DAX;

    init(bench, 512, pgmap);

    assertArrayEquals(new long[] {DEVICE, PGMAP, 0, 0, 0, 0, REF_0, 0}, bench.words(START + 7));
  }

  /**
   * The captured case dax-hmem-2m: compound pages of 2 MiB, all struct pages their own.
   *
   * <pre>
   *   head | tail1: order, counts | tail2: deferred list | tail3 ... tail511 | head ...
   * </pre>
   *
   * Expect the captured words.
   */
  @Test
  void memmapInitZoneDevice_2M_asCaptured() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 1024);
    optimise(bench, false);

    init(bench, 1024, pgmap(9));

    assertCompound(bench, START, 9, MASK_2M, 0x200);
    assertCompound(bench, START + 512, 9, MASK_2M, 0x200);
    long[] tail = {DEVICE, MASK_2M, 0, TAIL_MAPPING, 0, 0, REF_0, 0};
    assertArrayEquals(tail, bench.words(START + 511));
    assertArrayEquals(tail, bench.words(START + 1023));
    assertEquals(List.of(START, START + 512), List.copyOf(bench.pageblocks.keySet()));
  }

  /** Head and the tails that hold data, as in dax-hmem-2m and dax-hmem-1g-ext. */
  private static void assertCompound(
      MmInitBench bench, long pfn, int order, long mask, long nrPages) {
    long tail2 = bench.page(pfn + 2).va() + 16;
    assertArrayEquals(new long[] {HEAD, PGMAP, 0, 0, 0, 0, REF_1, 0}, bench.words(pfn));
    assertArrayEquals(
        new long[] {DEVICE | order, mask, 0xffff_ffffL, 0xffff_ffffL, -1, 0, REF_0, nrPages},
        bench.words(pfn + 1));
    assertArrayEquals(
        new long[] {DEVICE, mask, tail2, tail2, 0, 0, REF_0, 0}, bench.words(pfn + 2));
    assertArrayEquals(
        new long[] {DEVICE, mask, 0, TAIL_MAPPING, 0, 0, REF_0, 0}, bench.words(pfn + 3));
  }

  /**
   * The captured case dax-hmem-1g-ext: 1 GiB with a shared memmap.
   *
   * <pre>
   *   memmap page   0     1     2 ... 4095
   *                [own] [own][ read-only: frame of page 1 ]
   * </pre>
   *
   * Expect 128 struct pages to be written and no fault; every pageblock is set all the same.
   */
  @Test
  void memmapInitZoneDevice_optimised1G_writesOnlyItsOwn() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 128);
    long shared = bench.machine.cpu().translate(bench.page(START + 64).va(), false);
    for (long pfn = START + 128; pfn < START + 262144; pfn += 64) {
      bench.map(bench.page(pfn).va(), shared, bench.mm.pgtable().pageKernelRo());
    }
    optimise(bench, true);

    init(bench, 262144, pgmap(18));

    assertCompound(bench, START, 18, MASK_1G, 0x40000);
    assertArrayEquals(
        new long[] {DEVICE, MASK_1G, 0, TAIL_MAPPING, 0, 0, REF_0, 0}, bench.words(START + 262143));
    assertEquals(512, bench.pageblocks.size());
    assertEquals(MOVABLE, bench.pageblocks.get(START + 511 * 512));
  }

  /**
   * An optimisable device in the free part of an early section.
   *
   * <pre>
   *   section 40 (early)   |--RAM--|--device 2 MiB--|
   *                         boot memmap, complete
   * </pre>
   *
   * Expect all 512 struct pages to be written: the boot memmap is reused as it is.
   */
  @Test
  void memmapInitZoneDevice_earlySection_writesAll() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 512);
    bench.makeSection(
        40, Mmzone.SECTION_MARKED_PRESENT | Mmzone.SECTION_HAS_MEM_MAP | Mmzone.SECTION_IS_EARLY);
    optimise(bench, true);

    init(bench, 512, pgmap(9));

    assertArrayEquals(
        new long[] {DEVICE, MASK_2M, 0, TAIL_MAPPING, 0, 0, REF_0, 0}, bench.words(START + 511));
  }

  /**
   * A device that holds its memmap: dax-pmem-dev-2m.
   *
   * <pre>
   *   START |reserve 2| free 510 |  data from START + 512
   * </pre>
   *
   * Expect the pages in front of the data to be left as they are.
   */
  @Test
  void memmapInitZoneDevice_altmap_startsAtTheData() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 1024);
    optimise(bench, false);
    DevPagemap pgmap = pgmap(9);
    pgmap.altmapValid = true;
    pgmap.altmap.basePfn = START;
    pgmap.altmap.reserve = 2;
    pgmap.altmap.free = 510;

    init(bench, 1024, pgmap);

    assertArrayEquals(new long[8], bench.words(START + 511));
    assertCompound(bench, START + 512, 9, MASK_2M, 0x200);
    assertEquals(List.of(START + 512), List.copyOf(bench.pageblocks.keySet()));
  }

  /** A struct page of 72 bytes. Expect tails with a pointer to their head, and the same fields. */
  @Test
  void memmapInitZoneDevice_72Bytes_tailsPointToTheHead() {
    MmInitBench bench = bench(MmConfig.debianX86().withSizeofStructPage(72));
    bench.mapMemmap(START, START + 1024);
    optimise(bench, false);

    init(bench, 1024, pgmap(9));

    long head = bench.page(START + 512).va() + 1;
    assertArrayEquals(
        new long[] {DEVICE, head, 0, TAIL_MAPPING, 0, 0, REF_0, 0, 0}, bench.words(START + 700));
    assertArrayEquals(new long[] {HEAD, PGMAP, 0, 0, 0, 0, REF_1, 0, 0}, bench.words(START + 512));
  }

  /** A struct page of 72 bytes, base pages. Expect the same as with 64. */
  @Test
  void memmapInitZoneDevice_72BytesBasePages_pointToTheDevice() {
    MmInitBench bench = bench(MmConfig.debianX86().withSizeofStructPage(72));
    bench.mapMemmap(START, START + 512);

    init(bench, 512, pgmap(0));

    assertArrayEquals(
        new long[] {DEVICE, PGMAP, 0, 0, 0, 0, REF_1, 0, 0}, bench.words(START + 511));
  }

  /** A run of device pages against single ones, over leftovers. Expect equal words. */
  @Test
  void initZoneDevicePages_run_equalsSinglePages() {
    MmInitBench run = dirty();
    MmInitBench single = dirty();
    DevPagemap pgmap = pgmap(0);

    StructPageInit pages = new StructPageInit(run.mm, run.pageAlloc);
    pages.initZoneDevicePages(START + 3, START + 200, ZoneType.ZONE_DEVICE, 0, pgmap);
    StructPageInit one = new StructPageInit(single.mm, single.pageAlloc);
    for (long pfn = START + 3; pfn < START + 200; pfn++) {
      one.initZoneDevicePage(single.page(pfn), ZoneType.ZONE_DEVICE, 0, pgmap);
    }

    assertArrayEquals(single.memmap(START, START + 256), run.memmap(START, START + 256));
  }

  /** A run of tails against single ones, over leftovers. Expect equal words. */
  @Test
  void initZoneDeviceTails_run_equalsSinglePages() {
    MmInitBench run = dirty();
    MmInitBench single = dirty();
    DevPagemap pgmap = pgmap(9);

    StructPageInit pages = new StructPageInit(run.mm, run.pageAlloc);
    pages.initZoneDeviceTails(
        START + 1, START + 200, run.page(START), ZoneType.ZONE_DEVICE, 0, pgmap);
    StructPageInit one = new StructPageInit(single.mm, single.pageAlloc);
    for (long pfn = START + 1; pfn < START + 200; pfn++) {
      one.initZoneDevicePage(single.page(pfn), ZoneType.ZONE_DEVICE, 0, pgmap);
      single.mm.inline().prepCompoundTail(single.page(pfn), single.page(START), 9);
      single.mm.refs().setPageCount(single.page(pfn), 0);
    }

    assertArrayEquals(single.memmap(START, START + 256), run.memmap(START, START + 256));
  }

  private static MmInitBench dirty() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 256);
    bench.machine.cpu().fill(bench.page(START).va(), 256 * 64, (byte) -1);
    return bench;
  }

  /** A zone that is not ZONE_DEVICE. Expect one warning, and nothing written. */
  @Test
  void memmapInitZoneDevice_otherZone_warnsOnce() {
    MmInitBench bench = bench();

    bench.mmInit.memmapInitZoneDevice(bench.zone(0, ZoneType.ZONE_NORMAL), START, 512, pgmap(0));
    bench.mmInit.memmapInitZoneDevice(bench.zone(0, ZoneType.ZONE_NORMAL), START, 512, pgmap(0));

    assertEquals(
        List.of("memmap_init_zone_device: !pgmap || zone_idx != ZONE_DEVICE"),
        bench.mm.printk().warnings());
    assertEquals(0, bench.pageblocks.size());
  }

  /** Nobody connected vmemmap_can_optimize(). Expect a message that says what is missing. */
  @Test
  void memmapInitZoneDevice_notConnected_saysSo() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 512);
    MmInit lone = new MmInit(bench.mm, bench.memblock, bench.pageAlloc, bench.slab, bench.sparse);

    assertThrows(
        IllegalStateException.class,
        () -> lone.memmapInitZoneDevice(bench.zone(0, ZoneType.ZONE_DEVICE), START, 512, pgmap(9)));
  }

  // ---- the series ----

  /** 1 GiB with a shared memmap, of which 128 struct pages are its own. */
  private static MmInitBench shared1G(Series series) {
    MmInitBench bench = bench(MmConfig.debianX86().withSeries(series));
    bench.mapMemmap(START, START + 128);
    long shared = bench.machine.cpu().translate(bench.page(START + 64).va(), false);
    for (long pfn = START + 128; pfn < START + 262144; pfn += 64) {
      bench.map(bench.page(pfn).va(), shared, bench.mm.pgtable().pageKernelRo());
    }
    optimise(bench, true);
    return bench;
  }

  /** Before patch 6 the pageblocks of visited struct pages only. Expect one of 512. */
  @Test
  void memmapInitZoneDevice_beforePatch6_setsVisitedPageblocks() {
    MmInitBench bench = shared1G(Series.at(5));

    init(bench, 262144, pgmap(18));

    assertEquals(Map.of(START, MOVABLE), bench.pageblocks);
    MmInitBench single = bench(MmConfig.debianX86().withSeries(Series.at(5)));
    single.mapMemmap(START, START + 40000);
    init(single, 40000, pgmap(0));
    assertEquals(79, single.pageblocks.size());
  }

  /** A device in a boot section, before the fix. Expect the second half of its tails unwritten. */
  @Test
  void compoundNrPages_earlySectionBeforeTheFix_leavesTails() {
    MmInitBench bench = bench(MmConfig.debianX86().withSeries(Series.at(0)));
    bench.mapMemmap(START, START + 512);
    bench.makeSection(
        40, Mmzone.SECTION_MARKED_PRESENT | Mmzone.SECTION_HAS_MEM_MAP | Mmzone.SECTION_IS_EARLY);
    optimise(bench, true);

    init(bench, 512, pgmap(9));

    assertArrayEquals(
        new long[] {DEVICE, MASK_2M, 0, TAIL_MAPPING, 0, 0, REF_0, 0}, bench.words(START + 127));
    assertArrayEquals(new long[8], bench.words(START + 128));
  }

  /**
   * Sections with orders, patches 34 to 41: whether a section shares decides.
   *
   * <p>Expect 64 struct pages where it does and all 512 where it does not.
   */
  @Test
  void compoundNrPages_bySection_asksWhetherItShares() {
    for (boolean shares : new boolean[] {true, false}) {
      MmInitBench bench = bench(MmConfig.debianX86().withSeries(Series.at(34)));
      bench.mapMemmap(START, START + 512);
      when(bench.vmemmap.daxBySection()).thenReturn(true);
      when(bench.vmemmap.sharesTails(START)).thenReturn(shares);

      init(bench, 512, pgmap(9));

      long[] tail = {DEVICE, MASK_2M, 0, TAIL_MAPPING, 0, 0, REF_0, 0};
      assertArrayEquals(tail, bench.words(START + 63));
      assertArrayEquals(shares ? new long[8] : tail, bench.words(START + 64));
      assertArrayEquals(shares ? new long[8] : tail, bench.words(START + 511));
    }
  }

  /** Since patch 42 the section's count is asked for. Expect as many struct pages. */
  @Test
  void memmapInitZoneDevice_patch42_writesAsManyAsCounted() {
    MmInitBench bench = bench(MmConfig.debianX86().withSeries(Series.at(42)));
    bench.mapMemmap(START, START + 512);
    when(bench.vmemmap.sectionVmemmapPageStructs(START, 512)).thenReturn(64L);

    init(bench, 512, pgmap(9));

    assertArrayEquals(
        new long[] {DEVICE, MASK_2M, 0, TAIL_MAPPING, 0, 0, REF_0, 0}, bench.words(START + 63));
    assertArrayEquals(new long[8], bench.words(START + 64));
  }

  /** Other CPUs are let in at each section's start. Expect one for each of two sections. */
  @Test
  void memmapInitZoneDevice_sections_letOthersRun() {
    MmInitBench bench = bench();
    bench.mapMemmap(START, START + 65536);
    optimise(bench, false);
    List<Long> yields = new ArrayList<>();
    bench
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cond_resched") && where < START + 65536) {
                yields.add(where);
              }
            });

    init(bench, 65536, pgmap(9));
    // Once for the struct pages of each section, then once for its pageblocks.
    List<Long> wanted = List.of(START, START + 32768, START, START + 32768);
    assertEquals(wanted, yields);

    yields.clear();
    init(bench, 65536, pgmap(0));
    assertEquals(wanted, yields);
  }

  /** Each kind of device memory. Expect a reference for generic memory only. */
  @ParameterizedTest
  @EnumSource(MemoryType.class)
  void memmapInitZoneDevice_type_decidesAboutTheReference(MemoryType type) {
    for (int size : new int[] {64, 72}) {
      MmInitBench bench = bench(MmConfig.debianX86().withSizeofStructPage(size));
      bench.mapMemmap(START, START + 512);
      DevPagemap pgmap = pgmap(0);
      pgmap.type = type;

      init(bench, 512, pgmap);

      boolean generic = type == MemoryType.MEMORY_DEVICE_GENERIC;
      assertEquals(generic ? REF_1 : REF_0, bench.words(START + 7)[6]);
    }
  }
}
