// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What an entry of the tables is, as the kernel sees it. */
class Arm64AsmPgtableTest {
  private static final long VALID = 1;
  private static final long TYPE_TABLE = 3;
  private static final long NG = 1L << 11;
  private static final long BLOCK = 0x8000_0000L | VALID;

  /**
   * The valid bit and nG. Expect an entry with nG alone to be present to the kernel, though the CPU
   * takes it for none.
   */
  @ParameterizedTest
  @CsvSource({
    // entry, present, present and invalid
    "0x000, false, false",
    "0x001, true,  false",
    "0x800, true,  true",
    "0x801, true,  false",
  })
  void ptePresent_validAndNotGlobal_isTheKernels(
      String entry, boolean present, boolean presentInvalid) {
    long pte = Long.decode(entry);
    assertEquals(present, Arm64AsmPgtable.ptePresent(pte));
    assertEquals(presentInvalid, Arm64AsmPgtable.ptePresentInvalid(pte));
  }

  /** A block that was made invalid. Expect it to be a leaf still. */
  @Test
  void pmdLeaf_blockMadeInvalid_staysALeaf() {
    assertTrue(Arm64AsmPgtable.pmdLeaf(BLOCK));
    assertTrue(Arm64AsmPgtable.pmdLeaf((BLOCK & ~VALID) | NG));
    assertFalse(Arm64AsmPgtable.pmdLeaf(BLOCK | TYPE_TABLE));
    assertFalse(Arm64AsmPgtable.pmdLeaf(0));
  }

  /**
   * A block in a pud. Expect builds with 64K pages or two levels to take every pud for a table: they
   * know no others.
   */
  @ParameterizedTest
  @CsvSource({"12, 39, false", "12, 48, false", "14, 47, false", "14, 36, true", "16, 48, true"})
  void pudTable_block_dependsOnTheBuild(int page, int vaBits, boolean table) {
    Arm64Geometry geometry = Arm64Geometry.narrow(page, vaBits);
    assertEquals(table, Arm64AsmPgtable.pudTable(geometry, BLOCK));
    assertTrue(Arm64AsmPgtable.pudTable(geometry, BLOCK | TYPE_TABLE));
  }

  /** How many levels are in use. Expect it to follow the CPU, not the build. */
  @ParameterizedTest
  @CsvSource({
    // page, runs with, phys, puds, p4ds
    "12, 52, 52, true,  true",
    "12, 48, 48, true,  false",
    "14, 52, 52, true,  false",
    "14, 47, 48, false, false",
    "16, 52, 52, false, false",
  })
  void pgtableLevelsEnabled_followTheCpu(int page, int va, int phys, boolean l4, boolean l5) {
    Arm64Bench m = Arm64Bench.boot(new Arm64Geometry(page, 52, va, phys, false, true));
    assertEquals(l4, Arm64AsmPgtable.pgtableL4Enabled(m.mm.pgtable()));
    assertEquals(l5, Arm64AsmPgtable.pgtableL5Enabled(m.mm.pgtable()));
  }
}
