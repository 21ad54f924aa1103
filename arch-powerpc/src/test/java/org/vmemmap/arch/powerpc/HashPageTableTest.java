// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The entry codec of Linux's own tree with the hash MMU. */
class HashPageTableTest {
  private static final int ROOT = 3;
  private static final long SUBSETS = 1L << 20;
  private static final long ALL_ADDRESS_BITS = (1L << 53) - (1L << 16);

  private final HashPageTable with4k = new HashPageTable(PowerpcGeometry.hash(12));
  private final HashPageTable with64k = new HashPageTable(PowerpcGeometry.hash(16));

  static Stream<HashPageTable> profiles() {
    return Stream.of(PowerpcGeometry.hash(12), PowerpcGeometry.hash(16)).map(HashPageTable::new);
  }

  /**
   * Every subset of the 20 bits that are neither address nor unused, at every level, around an
   * address with all bits set. Expect address and flags to come apart as they were put together,
   * and each predicate to follow its own bit.
   */
  @ParameterizedTest
  @MethodSource("profiles")
  void codec_everySubsetOfBits_roundTripsAtEveryLevel(HashPageTable table) {
    for (int level = PTE; level <= ROOT; level++) {
      for (long subset = 0; subset < SUBSETS; subset++) {
        check(table, level, (subset & 0xfff) | subset >>> 12 << 56);
      }
    }
  }

  private static void check(HashPageTable table, int level, long bits) {
    boolean leaf = level == PTE || (bits & 1L << 62) != 0;
    long flags = leaf ? bits : bits & 0xc000_0000_0000_00ffL;
    long entry = ALL_ADDRESS_BITS | flags;
    boolean exact =
        table.address(entry, level) == ALL_ADDRESS_BITS
            && table.flags(entry, level) == flags
            && table.leaf(entry, level) == leaf
            && table.present(entry, level) == bits < 0
            && table.writable(entry, level) == (!leaf || (bits & 2) != 0)
            && table.executable(entry, level) == (!leaf || (bits & 1) != 0)
            && table.fromMemory(table.toMemory(entry)) == entry;
    assertTrue(exact, () -> "level=" + level + " entry=0x" + Long.toHexString(entry));
  }

  /** A pointer has no size in it, a leaf looks like radix's. Expect the kernel's values. */
  @Test
  void make_leafAndPointer_areTheKernels() {
    assertEquals(0xc000_0000_1234_518eL, with4k.mkPte(0x1234_5000, with4k.pageKernel()));
    assertEquals(0xc000_0000_0100_018eL, with64k.mkLeaf(1 << 24, PMD, with64k.pageKernel()));
    assertEquals(0x8000_0000_0001_0000L, with4k.mkTable(0x1_0000, PMD));
    assertEquals(
        with4k.mkPte(0x1000, with4k.pageKernelRo()) | RadixPageTable.DIRTY,
        with4k.wrprotect(with4k.mkPte(0x1000, with4k.pageKernel())));
    assertThrows(
        IllegalArgumentException.class, () -> with4k.mkLeaf(0, PUD, with4k.pageKernel()));
  }

  /** What says where an entry was in the hash table. Expect it to count as empty, in a pte only. */
  @Test
  void none_hashBitsOnly_countsAsEmpty() {
    long in4k = 1L << 60 | 1L << 56 | 1L << 53 | 0x40;
    long in64k = 1L << 55 | 0x1000 | 0x40;

    assertTrue(with4k.none(in4k, PTE));
    assertFalse(with4k.none(in4k, PMD));
    assertTrue(with64k.none(in64k, PTE));
    assertFalse(with64k.none(in4k, PTE));
    assertFalse(with4k.none(RadixPageTable.PRESENT, PTE));
  }

  /** The levels of both page sizes. Expect the spans of the headers, and a name that says which. */
  @Test
  void levels_bothPageSizes_areTheHeaders() {
    assertEquals("powerpc hash 4K", with4k.name());
    assertEquals(4, with64k.levels());
    assertEquals(16, with64k.pageShift());
    assertEquals(24, with64k.shift(PMD));
    assertEquals(1 << 7, with4k.entries(PMD));
    assertEquals("pgd", with4k.levelName(4));
    assertEquals("pmd", with4k.levelName(PMD));
    assertEquals(0x3f00_0000_0000L, with4k.canonicalOffset(0xc000_3f00_0000_0000L));
    assertFalse(with4k.contiguous(-1, PTE));
    assertFalse(with4k.breakBeforeMake());
    assertEquals(0, with4k.pageTableSyncMask());
  }

  /** The geometry of the other MMU. Expect a refusal. */
  @Test
  void create_radixGeometry_isRefused() {
    assertThrows(
        IllegalArgumentException.class, () -> new HashPageTable(PowerpcGeometry.radix(12)));
  }
}
