// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sizes and addresses of book3s64 kernels, as data. */
class PowerpcGeometryTest {
  private static final int PTE = 0;
  private static final int PMD = 1;
  private static final int PUD = 2;
  private static final int PGD = 3;

  /** Each MMU with each page size. Expect index bits, shifts, address bits and table sizes. */
  @ParameterizedTest
  @CsvSource({
    // mmu, page, index bits pte pmd pud pgd, shifts pmd pud pgd, address bits, table bytes
    "RADIX, 12,  9,  9,  9, 13,  21, 30, 39,  52,  4096,  4096,  4096, 65536",
    "RADIX, 16,  5,  9,  9, 13,  21, 30, 39,  52,   256,  4096,  4096, 65536",
    "HASH,  12,  9,  7,  9,  9,  21, 28, 37,  46,  4096,  1024,  4096,  4096",
    "HASH,  16,  8, 10, 10,  8,  24, 34, 44,  52,  4096, 16384, 16384,  2048",
  })
  void geometry_everyMmuAndPageSize_matchesTheHeaders(
      PowerpcGeometry.Mmu mmu, int page, int pteBits, int pmdBits, int pudBits, int pgdBits,
      int pmdShift, int pudShift, int pgdShift, int addressBits,
      int pteBytes, int pmdBytes, int pudBytes, int pgdBytes) {
    PowerpcGeometry geometry = new PowerpcGeometry(mmu, page);

    assertEquals(4, geometry.levels());
    assertEquals(pteBits, geometry.indexSize(PTE));
    assertEquals(pmdBits, geometry.indexSize(PMD));
    assertEquals(pudBits, geometry.indexSize(PUD));
    assertEquals(pgdBits, geometry.indexSize(PGD));
    assertEquals(page, geometry.levelShift(PTE));
    assertEquals(pmdShift, geometry.levelShift(PMD));
    assertEquals(pudShift, geometry.levelShift(PUD));
    assertEquals(pgdShift, geometry.levelShift(PGD));
    assertEquals(addressBits, geometry.effectiveAddressBits());
    assertEquals(pteBytes, geometry.tableBytes(PTE));
    assertEquals(pmdBytes, geometry.tableBytes(PMD));
    assertEquals(pudBytes, geometry.tableBytes(PUD));
    assertEquals(pgdBytes, geometry.tableBytes(PGD));
  }

  /** Where the memmap lies. Expect the addresses of the captured kernels. */
  @ParameterizedTest
  @CsvSource({
    "RADIX, 12, c00c000000000000, c00e000000000000",
    "RADIX, 16, c00c000000000000, c00e000000000000",
    "HASH,  16, c00c000000000000, c00e000000000000",
    "HASH,  12, c0003f0000000000, c000400000000000",
  })
  void vmemmapStart_capturedKernels_isTheirs(
      PowerpcGeometry.Mmu mmu, int page, String start, String end) {
    PowerpcGeometry geometry = new PowerpcGeometry(mmu, page);

    assertEquals(start, Long.toHexString(geometry.vmemmapStart()));
    assertEquals(end, Long.toHexString(geometry.vmemmapEnd()));
    assertEquals(0xc000_0000_0000_0000L, geometry.pageOffset());
  }

  /** Sections are 16 MiB, and the limit of physical memory is one constant for both MMUs. */
  @Test
  void sections_bothMmus_areTheSame() {
    assertEquals(24, PowerpcGeometry.radix(12).sectionSizeBits());
    assertEquals(24, PowerpcGeometry.hash(16).sectionSizeBits());
    assertEquals(51, PowerpcGeometry.radix(16).maxPhysmemBits());
    assertEquals(51, PowerpcGeometry.hash(12).maxPhysmemBits());
  }

  /** The block that hash bolts. Expect 16 MiB only if the firmware has it and 1 GiB is there. */
  @Test
  void vmemmapBlockShift_firmwareAndRam_decide() {
    long gib = 1L << 30;

    assertEquals(24, PowerpcGeometry.hash(12).vmemmapBlockShift(true, gib));
    assertEquals(12, PowerpcGeometry.hash(12).vmemmapBlockShift(true, gib - 1));
    assertEquals(12, PowerpcGeometry.hash(12).vmemmapBlockShift(false, 4 * gib));
    assertEquals(24, PowerpcGeometry.hash(16).vmemmapBlockShift(true, 4 * gib));
    assertEquals(16, PowerpcGeometry.hash(16).vmemmapBlockShift(false, 4 * gib));
  }

  /** HugeTLB sizes: 2 MiB and 1 GiB with radix; with hash what the firmware offers. */
  @Test
  void hugetlbSizes_byMmu_areTheKernels() {
    assertArrayEquals(new long[] {2L << 20, 1L << 30}, PowerpcGeometry.radix(12).hugetlbSizes(false));
    assertArrayEquals(new long[] {16L << 20}, PowerpcGeometry.hash(12).hugetlbSizes(true));
    assertArrayEquals(new long[0], PowerpcGeometry.hash(16).hugetlbSizes(false));
  }

  /** There are two page sizes. Expect a refusal of a third. */
  @Test
  void geometry_otherPageSize_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> PowerpcGeometry.radix(14));
    assertTrue(PowerpcGeometry.radix(12).radixEnabled());
    assertFalse(PowerpcGeometry.hash(12).radixEnabled());
  }
}
