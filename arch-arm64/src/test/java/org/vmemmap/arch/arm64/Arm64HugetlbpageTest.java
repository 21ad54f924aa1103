// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sizes of hugepages, and what their struct pages take. */
class Arm64HugetlbpageTest {
  private static final long KIB = 1L << 10;
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final int STRUCT_PAGE = 64;

  private static Arm64Geometry geometry(int pageKib) {
    return switch (pageKib) {
      case 4 -> Arm64Geometry.lpa2With4k();
      case 16 -> Arm64Geometry.lpa2With16k();
      default -> Arm64Geometry.lvaWith64k();
    };
  }

  /**
   * The table of vmemmap_dedup.rst as it was, with its formula struct_size = n * sizeof(struct page)
   * in bytes. Expect each size to be valid, and the bytes and whole frames of its struct pages; the
   * smallest ones do not even fill a frame.
   */
  @ParameterizedTest
  @CsvSource({
    // page KiB, hugepage KiB, bytes of struct pages, whole frames
    " 4,       64,     1024,    0",
    " 4,     2048,    32768,    8",
    " 4,    32768,   524288,  128",
    " 4,  1048576, 16777216, 4096",
    "16,     2048,     8192,    0",
    "16,    32768,   131072,    8",
    "16,  1048576,  4194304,  256",
    "64,     2048,     2048,    0",
    "64,   524288,   524288,    8",
    "64, 16777216, 16777216,  256",
  })
  void structPages_tableOfTheOldDocument_isTheirs(
      int pageKib, long hugepageKib, long structBytes, long frames) {
    Arm64Geometry geometry = geometry(pageKib);
    long pages = (hugepageKib * KIB) >>> geometry.pageShift();

    assertTrue(new Arm64Hugetlbpage(geometry).archHugetlbValidSize(hugepageKib * KIB));
    assertEquals(structBytes, pages * STRUCT_PAGE);
    assertEquals(frames, (pages * STRUCT_PAGE) >>> geometry.pageShift());
  }

  /** What the initcall registers, in its order. Expect four sizes with 4K pages, else three. */
  @Test
  void hugetlbpageInit_byGranule_registersTheLargestFirst() {
    assertEquals(
        List.of(GIB, 32 * MIB, 2 * MIB, 64 * KIB),
        new Arm64Hugetlbpage(geometry(4)).hugetlbpageInit());
    assertEquals(
        List.of(GIB, 32 * MIB, 2 * MIB), new Arm64Hugetlbpage(geometry(16)).hugetlbpageInit());
    assertEquals(
        List.of(16 * GIB, 512 * MIB, 2 * MIB),
        new Arm64Hugetlbpage(geometry(64)).hugetlbpageInit());
  }

  /** Sizes of others: a pud of 16K and 64K pages is a size of the tables, but no block. */
  @Test
  void archHugetlbValidSize_noLeafOfThatSize_isRefused() {
    assertFalse(new Arm64Hugetlbpage(geometry(4)).archHugetlbValidSize(512 * MIB));
    assertFalse(new Arm64Hugetlbpage(geometry(16)).archHugetlbValidSize(64 * GIB));
    assertFalse(new Arm64Hugetlbpage(geometry(64)).archHugetlbValidSize(4096 * GIB));
    assertFalse(new Arm64Hugetlbpage(Arm64Geometry.narrow(16, 42)).archHugetlbValidSize(GIB));
    assertFalse(new Arm64Hugetlbpage(geometry(16)).archHugetlbMigrationSupported(4 * MIB));
    assertTrue(new Arm64Hugetlbpage(geometry(16)).archHugetlbMigrationSupported(2 * MIB));
  }

  /** The default size, and the order that an area for gigantic pages is made for. */
  @Test
  void sizes_defaultAndLargest_areThoseOfTheTables() {
    assertEquals(2 * MIB, new Arm64Hugetlbpage(geometry(4)).hpageSize());
    assertEquals(32 * MIB, new Arm64Hugetlbpage(geometry(16)).hpageSize());
    assertEquals(512 * MIB, new Arm64Hugetlbpage(geometry(64)).hpageSize());
    assertEquals(18, new Arm64Hugetlbpage(geometry(4)).archHugetlbCmaOrder());
    assertEquals(16, new Arm64Hugetlbpage(geometry(16)).archHugetlbCmaOrder());
    assertEquals(18, new Arm64Hugetlbpage(geometry(64)).archHugetlbCmaOrder());
  }

  /** Two levels, so that the pmd table is the root. Expect a pmd's hugepage all the same. */
  @Test
  void archHugetlbValidSize_twoLevels_hasPmds() {
    assertTrue(new Arm64Hugetlbpage(Arm64Geometry.narrow(16, 42)).archHugetlbValidSize(512 * MIB));
    assertTrue(new Arm64Hugetlbpage(Arm64Geometry.narrow(14, 36)).archHugetlbValidSize(32 * MIB));
  }

  /** HUGE_MAX_HSTATE. Expect room for the four sizes of 4K pages with every granule. */
  @Test
  void hugeMaxHstate_isFour() {
    assertEquals(4, new Arm64Hugetlbpage(geometry(4)).hugeMaxHstate());
    assertEquals(4, new Arm64Hugetlbpage(geometry(64)).hugeMaxHstate());
  }
}
