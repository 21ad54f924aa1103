// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.arch.powerpc.PowerpcBench.GIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.MIB;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.types.Errno;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.ZoneType;

/** What the package offers to whoever boots a machine: configuration, limits, hugepage sizes. */
class PowerpcArchTest {
  private static final PowerpcGeometry RADIX_4K = PowerpcGeometry.radix(12);
  private static final PowerpcGeometry RADIX_64K = PowerpcGeometry.radix(16);
  private static final PowerpcGeometry HASH_4K = PowerpcGeometry.hash(12);
  private static final PowerpcGeometry HASH_64K = PowerpcGeometry.hash(16);

  /** The orders of both kernels. Expect 16 MiB at most, and pageblocks as large as a hugepage. */
  @Test
  void config_pageblockOrder_followsTheHugepage() {
    assertEquals(12, PowerpcConfig.debian(RADIX_4K, false).maxPageOrder());
    assertEquals(9, PowerpcConfig.debian(RADIX_4K, false).pageblockOrder());
    assertEquals(8, PowerpcConfig.debian(RADIX_64K, false).maxPageOrder());
    assertEquals(5, PowerpcConfig.debian(RADIX_64K, false).pageblockOrder());
    assertEquals(12, PowerpcConfig.debian(HASH_4K, true).pageblockOrder());
    assertEquals(8, PowerpcConfig.debian(HASH_64K, false).pageblockOrder());
  }

  /**
   * Node 3 and each zone in word 0.
   *
   * <pre>
   *   63    56 55  54 53            35
   *  | node   | zone | last_cpupid    |
   * </pre>
   *
   * Expect zone 0 for Normal, as there is none below it.
   */
  @Test
  void word0_nodeAndZone_lieWhereTheCapturedKernelsHaveThem() {
    PowerpcBench bench = PowerpcBench.radix4k();
    long cpupid = 0x003f_fff8_0000_0000L;

    assertEquals(0x0300_0000_0000_0000L | cpupid, word0(bench, ZoneType.ZONE_NORMAL));
    assertEquals(0x0340_0000_0000_0000L | cpupid, word0(bench, ZoneType.ZONE_MOVABLE));
    assertEquals(0x0380_0000_0000_0000L | cpupid, word0(bench, ZoneType.ZONE_DEVICE));
    assertEquals(ZoneType.ZONE_DEVICE, bench.mm.inline().zonenum(0x0380_0000_0000_0000L));
  }

  private static long word0(PowerpcBench bench, ZoneType zone) {
    return bench.mm.inline().initialFlags(zone, 3);
  }

  /** The Debian kernels. Expect HVO to be absent, and DAX optimisation to depend on the MMU. */
  @Test
  void config_optimisations_daxOnly() {
    MmConfig config = PowerpcConfig.debian(HASH_4K, false);

    assertFalse(config.hugetlbOptimizeVmemmap());
    assertTrue(config.archWantOptimizeDaxVmemmap());
    assertTrue(PowerpcBench.radix4k().arch.init64().wantsOptimizedDaxVmemmap());
    assertFalse(PowerpcBench.hash4k().arch.init64().wantsOptimizedDaxVmemmap());
  }

  /** Zones of a machine. Expect all memory in ZONE_NORMAL. */
  @Test
  void zoneLimits_anyMemory_isNormal() {
    assertArrayEquals(new long[] {0x40000}, RADIX_4K.archZoneLimitsInit(0x40000));
  }

  /**
   * Sizes of the captured machines, then one of 1.25 GiB: the kernel goes on while the size has the
   * bit of the block. Expect 1 GiB of RAM in blocks of 256 MiB, twice as much in blocks of 1 GiB.
   */
  @Test
  void memoryBlockSize_ramSizes_testsABit() {
    assertEquals(256 * MIB, RADIX_4K.memoryBlockSize(GIB));
    assertEquals(GIB, RADIX_4K.memoryBlockSize(2 * GIB));
    assertEquals(GIB, RADIX_4K.memoryBlockSize(4 * GIB));
    assertEquals(64 * MIB, RADIX_4K.memoryBlockSize(GIB + 256 * MIB));
    assertEquals(64 * MIB, RADIX_4K.memoryBlockSize(2 * GIB, GIB + 256 * MIB));
    assertEquals(16 * MIB, RADIX_4K.memoryBlockSize(-1));
  }

  /** What a device must be aligned to. Expect the direct map's page size with hash to decide. */
  @Test
  void memremapCompatAlign_byMmu_isTheKernels() {
    assertEquals(2 * MIB, PowerpcBench.radix4k().hotplug.memremapCompatAlign());
    assertEquals(2 * MIB, PowerpcBench.hash4k().hotplug.memremapCompatAlign());
    assertEquals(16 * MIB, PowerpcBench.hash16m().hotplug.memremapCompatAlign());
  }

  /** Memory that holds its own memmap. Expect radix only, with 4K pages in whole leaves only. */
  @Test
  void memmapOnMemory_byMmuAndPageSize_isTheKernels() {
    assertTrue(PowerpcBench.radix4k().arch.mem().archSupportsMemmapOnMemory(4 * MIB, 2 * MIB));
    assertFalse(PowerpcBench.radix4k().arch.mem().archSupportsMemmapOnMemory(MIB, 2 * MIB));
    assertTrue(PowerpcBench.radix64k().arch.mem().archSupportsMemmapOnMemory(MIB / 4, 2 * MIB));
    assertFalse(PowerpcBench.hash16m().arch.mem().archSupportsMemmapOnMemory(4 * MIB, 2 * MIB));
  }

  /** Memory where vmalloc is. Expect -EFAULT before anything is added. */
  @Test
  void add_outsideTheDirectMap_efault() {
    PowerpcBench bench = PowerpcBench.hash4k();
    long vmalloc = bench.geometry.vmallocStart() - bench.geometry.pageOffset();

    assertEquals(-Errno.EFAULT, bench.add(vmalloc, 16 * MIB));
    assertTrue(bench.log().contains("Outside the supported range"));
    assertNull(bench.mm.mmzone().pfnToSection(bench.pfn(vmalloc)));
  }

  /**
   * Memory that ends where vmalloc begins. Expect -EFAULT all the same, as the kernel compares the
   * end with {@code >=}, and both ends in the log.
   */
  @Test
  void add_upToVmalloc_efault() {
    PowerpcBench bench = PowerpcBench.radix4k();
    long vmalloc = 0xc008_0000_0000_0000L;
    assertEquals(vmalloc, bench.geometry.vmallocStart());
    long start = vmalloc - bench.geometry.pageOffset() - 16 * MIB;

    assertEquals(-Errno.EFAULT, bench.add(start, 16 * MIB));
    assertTrue(
        bench
            .log()
            .contains(
                "Unable to create linear mapping for 0xc007ffffff000000..0xc008000000000000: -1"));
  }

  /** A walker of boot memory may come at any time. Expect memblock to stay. */
  @Test
  void archKeepMemblock_always() {
    assertTrue(PowerpcBench.radix4k().arch.mem().archKeepMemblock());
  }

  /**
   * Whether a section's order decides how its memmap is mapped. Expect hash to be asked always, so
   * that it can clear the order, and radix since patch 36, which made its walker share the tails.
   */
  @Test
  void populatesBySectionOrder_byMmuAndSeries_isTheKernels() {
    assertTrue(PowerpcBench.hash4k().arch.init64().populatesBySectionOrder());
    assertFalse(PowerpcBench.radix4k(35).arch.init64().populatesBySectionOrder());
    assertTrue(PowerpcBench.radix4k(36).arch.init64().populatesBySectionOrder());
  }

  /** The end of a walk that entered something. Expect a ptesync, at which others may run. */
  @Test
  void flushCacheVmap_isAPtesync() {
    PowerpcBench bench = PowerpcBench.radix4k();
    List<String> steps = new ArrayList<>();
    bench.machine.yields().listen((what, where) -> steps.add(what));

    bench.arch.init64().flushCacheVmap(bench.memmap(0), bench.memmap(GIB));

    assertEquals(List.of("ptesync"), steps);
  }

  /** MAX_DMA_ADDRESS. Expect it behind all memory: nothing is below the DMA zone. */
  @Test
  void maxDmaPaddr_isBehindAllMemory() {
    assertEquals(
        0x0fff_ffff_ffff_ffffL, PowerpcBench.radix4k().arch.init64().maxDmaPaddr());
  }

  /** arch_hugetlb_cma_order(). Expect a gigabyte with radix, and nothing with hash. */
  @Test
  void archHugetlbCmaOrder_byMmu_isTheKernels() {
    assertEquals(18, new Hugetlbpage(PowerpcGeometry.radix(12), false, false).archHugetlbCmaOrder());
    assertEquals(14, new Hugetlbpage(RADIX_64K, false, false).archHugetlbCmaOrder());
    assertEquals(0, new Hugetlbpage(HASH_64K, true, true).archHugetlbCmaOrder());
  }

  /** A device behind RAM. Expect max_pfn to move, though a device brought it. */
  @Test
  void add_device_maxPfnMoves() {
    PowerpcBench bench = PowerpcBench.radix4k();
    assertEquals(bench.pfn(GIB), bench.arch.mem().maxPfn());

    bench.add(2 * GIB, 16 * MIB);

    assertEquals(bench.pfn(2 * GIB + 16 * MIB), bench.arch.mem().maxPfn());
  }

  /** A range that is not in whole subsections. Expect -EINVAL, and max_pfn to stay. */
  @Test
  void add_partOfASubsection_einval() {
    PowerpcBench bench = PowerpcBench.radix4k();
    MemoryHotplug.MhpParams params = new MemoryHotplug.MhpParams(null, null);

    assertEquals(-Errno.EINVAL, bench.arch.mem().archAddMemory(0, 2 * GIB, MIB, params));
    assertEquals(bench.pfn(GIB), bench.arch.mem().maxPfn());
  }

  /** A machine with the other MMU. Expect a refusal. */
  @Test
  void create_machineWithTheOtherMmu_isRefused() {
    PowerpcBench radix = PowerpcBench.radix4k();

    assertThrows(IllegalArgumentException.class, () -> otherMmu(radix));
    assertEquals("hash", mmuOf(HASH_64K));
    assertEquals("radix", mmuOf(RADIX_64K));
  }

  private static String mmuOf(PowerpcGeometry geometry) {
    return PowerpcArch.machine(geometry, GIB, 1).bolted() == null ? "radix" : "hash";
  }

  private static PowerpcArch otherMmu(PowerpcBench radix) {
    return new PowerpcArch(
        radix.mm,
        HASH_4K,
        false,
        GIB,
        radix.memblock,
        radix.pageAlloc,
        radix.slab,
        radix.vmemmap,
        radix.hotplug);
  }

  /** Hugepages with radix. Expect 2 MiB and 1 GiB, both leaves, made at run time, too. */
  @Test
  void hugetlbpage_radix_twoSizes() {
    Hugetlbpage pages = new Hugetlbpage(RADIX_64K, false, false);

    assertArrayEquals(new long[] {2 * MIB, GIB}, pages.hugetlbpageInit());
    assertEquals(2 * MIB, pages.hpageSize());
    assertFalse(pages.archHugetlbValidSize(16 * MIB));
    assertFalse(pages.archHugetlbValidSize(3 * MIB));
    assertTrue(pages.archHugetlbMigrationSupported(GIB));
    assertTrue(pages.giganticPageRuntimeSupported());
    assertFalse(pages.hugetlbNodeAllocSupported());
    assertFalse(pages.archHasHugeBootmemAlloc());
  }

  /** Hugepages with hash. Expect what the firmware offers, and no gigantic one but from it. */
  @Test
  void hugetlbpage_hash_whatTheFirmwareOffers() {
    Hugetlbpage none = new Hugetlbpage(HASH_64K, false, false);
    Hugetlbpage both = new Hugetlbpage(HASH_64K, true, true);

    assertEquals(0, none.hpageSize());
    assertArrayEquals(new long[0], none.hugetlbpageInit());
    assertArrayEquals(new long[] {16 * MIB, 16 * GIB}, both.hugetlbpageInit());
    assertEquals(16 * MIB, both.hpageSize());
    assertTrue(both.archHugetlbMigrationSupported(16 * MIB));
    assertFalse(new Hugetlbpage(HASH_4K, true, false).archHugetlbMigrationSupported(16 * MIB));
    assertFalse(both.giganticPageRuntimeSupported());
    assertTrue(both.archHasHugeBootmemAlloc());
  }

  /**
   * The weak functions that only radix has. Expect a kernel on hash to have no tree to enter in.
   */
  @Test
  void radixFunctions_onHash_areNotThere() {
    PowerpcBench hash = PowerpcBench.hash4k();
    PowerpcBench radix = PowerpcBench.radix4k();
    var pmd = radix.mm.pgtable().pmdOffK(radix.memmap(0));

    assertThrows(
        IllegalStateException.class,
        () -> hash.arch.init64().vmemmapCheckPmd(pmd, 0, 0, Pgtable.PMD));
    assertTrue(radix.arch.init64().vmemmapCheckPmd(pmd, 0, radix.memmap(0), radix.memmap(0)));
    assertFalse(radix.arch.init64().pmdSetHuge(pmd, 0, radix.mm.pgtable().pageKernel()));
    assertEquals(List.of(), radix.warnings());
  }
}
