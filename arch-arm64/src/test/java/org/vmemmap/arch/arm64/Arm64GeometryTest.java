// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sizes and addresses of arm64 kernels, as data. */
class Arm64GeometryTest {
  private static final int STRUCT_PAGE = 64;
  private static final int PTE = 0;
  private static final int PMD = 1;
  private static final int PUD = 2;
  private static final long GIB = 1L << 30;

  /**
   * Each granule with each width. Expect the levels, the index bits of the root and of the other
   * tables, the shifts of pmd and pud, and the size of both kinds of contiguous runs.
   */
  @ParameterizedTest
  @CsvSource({
    // page, built for, runs with, phys, levels, root, table, pmd, pud, cont pte, cont pmd
    "12, 39, 39, 48, 3,  9,  9, 21, 30,  16, 16",
    "12, 48, 48, 48, 4,  9,  9, 21, 30,  16, 16",
    "12, 52, 48, 48, 4,  9,  9, 21, 30,  16, 16",
    "12, 52, 52, 52, 5,  4,  9, 21, 30,  16, 16",
    "14, 36, 36, 48, 2, 11, 11, 25, 36, 128, 32",
    "14, 47, 47, 48, 3, 11, 11, 25, 36, 128, 32",
    "14, 48, 48, 48, 4,  1, 11, 25, 36, 128, 32",
    "14, 52, 47, 48, 3, 11, 11, 25, 36, 128, 32",
    "14, 52, 52, 52, 4,  5, 11, 25, 36, 128, 32",
    "16, 42, 42, 48, 2, 13, 13, 29, 42,  32, 32",
    "16, 48, 48, 48, 3,  6, 13, 29, 42,  32, 32",
    "16, 52, 48, 52, 3,  6, 13, 29, 42,  32, 32",
    "16, 52, 52, 52, 3, 10, 13, 29, 42,  32, 32",
  })
  void geometry_everyGranuleAndWidth_matchesTheManual(
      int page, int config, int va, int phys, int levels, int root, int table, int pmd, int pud,
      int contPte, int contPmd) {
    Arm64Geometry geometry = new Arm64Geometry(page, config, va, phys, false, true);

    assertEquals(levels, geometry.levels());
    assertEquals(1 << root, geometry.entries(levels - 1));
    assertEquals(1 << table, geometry.entries(PTE));
    assertEquals(page, geometry.levelShift(PTE));
    assertEquals(pmd, geometry.levelShift(PMD));
    assertEquals(pud, geometry.levelShift(PUD));
    assertEquals(contPte, geometry.contiguousEntries(PTE));
    assertEquals(contPmd, geometry.contiguousEntries(PMD));
    assertEquals(0, geometry.contiguousEntries(PUD));
    assertEquals(va, geometry.levelShift(levels - 1) + root);
  }

  /**
   * Where the memmap lies. Expect start and pfn 0 of the captured kernels, on machines whose memory
   * starts at 1 GiB; after a fallback memstart is negative, and the base is far behind the start.
   */
  @ParameterizedTest
  @CsvSource({
    "12, 52, 52, 52, 0x40000000,         ffffc1ffc0000000, ffffc1ffbf000000",
    "12, 52, 48, 48, 0xfff1000040000000, ffffc1ffc0000000, fffffdffbf000000",
    "14, 52, 52, 52, 0x40000000,         fffff03fc0000000, fffff03fbfc00000",
    "16, 52, 52, 52, 0x40000000,         fffffc1fc0000000, fffffc1fbff00000",
  })
  void vmemmapBase_capturedKernels_isTheirs(
      int page, int config, int va, int phys, String memstart, String start, String base) {
    Arm64Geometry geometry = new Arm64Geometry(page, config, va, phys, false, true);
    long memstartAddr = Long.parseUnsignedLong(memstart.substring(2), 16);

    assertEquals(start, Long.toHexString(geometry.vmemmapStart(STRUCT_PAGE)));
    assertEquals(base, Long.toHexString(geometry.vmemmapBase(STRUCT_PAGE, memstartAddr)));
    assertEquals(0xffff_ffff_c000_0000L, geometry.vmemmapEnd());
  }

  /** The linear map of a 52-bit kernel starts where 52 bits start, even on a smaller CPU. */
  @Test
  void pageOffset_followsTheBuild_notTheCpu() {
    assertEquals(0xfff0_0000_0000_0000L, Arm64Geometry.lpa2With4k().pageOffset());
    assertEquals(0xfff0_0000_0000_0000L, Arm64Geometry.fallbackWith4k().pageOffset());
    assertEquals(0xffff_0000_0000_0000L, Arm64Geometry.narrow(12, 48).pageOffset());
    assertEquals(0xffff_ff80_0000_0000L, Arm64Geometry.narrow(12, 39).pageOffset());
  }

  /** VMEMMAP_SIZE of the three granules. Expect 2^46 - 2^41, 2^44 - 2^38 and 2^42 - 2^37. */
  @Test
  void vmemmapSize_wideKernels_coversTheLinearMap() {
    assertEquals((1L << 46) - (1L << 41), Arm64Geometry.lpa2With4k().vmemmapSize(STRUCT_PAGE));
    assertEquals((1L << 44) - (1L << 38), Arm64Geometry.lpa2With16k().vmemmapSize(STRUCT_PAGE));
    assertEquals((1L << 42) - (1L << 37), Arm64Geometry.lvaWith64k().vmemmapSize(STRUCT_PAGE));
    assertEquals(48, Arm64Geometry.fallbackWith64k().vaBitsMin());
    assertEquals(47, Arm64Geometry.fallbackWith16k().vaBitsMin());
    assertEquals(39, Arm64Geometry.narrow(12, 39).vaBitsMin());
  }

  /** Sections are 128 MiB, with 64K pages 512 MiB. memstart is rounded to 1 GiB or 512 MiB. */
  @Test
  void sections_byGranule_areTheKernels() {
    assertEquals(27, Arm64Geometry.lpa2With4k().sectionSizeBits());
    assertEquals(27, Arm64Geometry.lpa2With16k().sectionSizeBits());
    assertEquals(29, Arm64Geometry.lvaWith64k().sectionSizeBits());
    assertEquals(52, Arm64Geometry.lpa2With4k().maxPhysmemBits());
    assertEquals(48, Arm64Geometry.fallbackWith4k().maxPhysmemBits());
    assertEquals(GIB, Arm64Geometry.lpa2With4k().memstartAlign());
    assertEquals(GIB, Arm64Geometry.lpa2With16k().memstartAlign());
    assertEquals(GIB / 2, Arm64Geometry.lvaWith64k().memstartAlign());
  }

  /**
   * CONFIG_PGTABLE_LEVELS and PGDIR_SHIFT of each build, whatever it runs on. Expect the levels of
   * the width that it was built for, and a fallback to keep them.
   */
  @ParameterizedTest
  @CsvSource({
    // page, built for, runs with, phys, levels, PGDIR_SHIFT, least width
    "12, 39, 39, 48, 3, 30, 39",
    "12, 48, 48, 48, 4, 39, 48",
    "12, 52, 48, 48, 5, 48, 48",
    "14, 36, 36, 48, 2, 25, 36",
    "14, 47, 47, 48, 3, 36, 47",
    "14, 48, 48, 48, 4, 47, 48",
    "14, 52, 47, 48, 4, 47, 47",
    "16, 42, 42, 48, 2, 29, 42",
    "16, 48, 48, 48, 3, 42, 48",
    "16, 52, 48, 52, 3, 42, 48",
  })
  void configLevels_eachBuild_areKconfigs(
      int page, int config, int va, int phys, int levels, int pgdirShift, int least) {
    Arm64Geometry geometry = new Arm64Geometry(page, config, va, phys, false, true);

    assertEquals(levels, geometry.configLevels());
    assertEquals(pgdirShift, geometry.configShift(levels - 1));
    assertEquals(pgdirShift, geometry.configShift(levels));
    assertEquals(least, geometry.vaBitsMin());
  }

  /** What no kernel is built as, and no CPU runs. Expect a refusal. */
  @Test
  void geometry_impossibleMixtures_areRefused() {
    assertRefused(13, 48, 48, 48);
    assertRefused(12, 48, 39, 48);
    assertRefused(12, 52, 47, 48);
    assertRefused(14, 52, 48, 48);
    assertRefused(12, 52, 48, 52);
    assertRefused(12, 52, 52, 48);
    assertRefused(16, 52, 52, 50);
  }

  private static void assertRefused(int page, int config, int va, int phys) {
    assertThrows(
        IllegalArgumentException.class,
        () -> new Arm64Geometry(page, config, va, phys, false, true));
  }
}
