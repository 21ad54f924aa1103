// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Prot;

/** The entry codec of the radix tree. */
class RadixPageTableTest {
  private static final int ROOT = 3;
  private static final long SUBSETS = 1L << 20;
  private static final long ALL_ADDRESS_BITS = (1L << 53) - (1L << 16);

  private final RadixPageTable with4k = new RadixPageTable(PowerpcGeometry.radix(12));
  private final RadixPageTable with64k = new RadixPageTable(PowerpcGeometry.radix(16));

  static Stream<RadixPageTable> profiles() {
    return Stream.of(PowerpcGeometry.radix(12), PowerpcGeometry.radix(16)).map(RadixPageTable::new);
  }

  /** Memmap leaves at pte and pmd with both page sizes. Expect the one captured value. */
  @ParameterizedTest
  @MethodSource("profiles")
  void mkPte_pageKernel_hasTheCapturedFlags(RadixPageTable table) {
    long pte = table.mkPte(1L << 30, table.pageKernel());
    long pmd = table.mkLeaf(1L << 30, PMD, table.pageKernel());

    assertEquals(0xc000_0000_0000_018eL, table.flags(pte, PTE));
    assertEquals(0xc000_0000_0000_018eL, table.flags(pmd, PMD));
    assertEquals(1L << 30, table.address(pmd, PMD));
  }

  /** Entries are big-endian. Expect the first byte in memory to hold the present bit. */
  @Test
  void toMemory_leaf_isBigEndian() {
    long pte = with4k.mkPte(0x1234_5000, with4k.pageKernel());

    assertEquals(0xc000_0000_1234_518eL, pte);
    assertEquals(0x8e51_3412_0000_00c0L, with4k.toMemory(pte));
    assertEquals(pte, with4k.fromMemory(with4k.toMemory(pte)));
  }

  /**
   * A pointer says how large the next table is.
   *
   * <pre>
   *   4K:  pgd -9-> pud -9-> pmd -9-> pte       64K:  pgd -9-> pud -9-> pmd -5-> pte
   * </pre>
   */
  @Test
  void mkTable_everyLevel_holdsTheSizeOfTheNextTable() {
    assertEquals(0x8000_0000_0001_0009L, with4k.mkTable(0x1_0000, PMD));
    assertEquals(0x8000_0000_0001_0005L, with64k.mkTable(0x1_0000, PMD));
    assertEquals(9, with64k.nextIndexSize(with64k.mkTable(0x1_0000, PUD)));
    assertEquals(9, with64k.nextIndexSize(with64k.mkTable(0x1_0000, ROOT)));
  }

  /** Tables of 256 bytes need more address bits than a page has. Expect bits 11:8 to survive. */
  @Test
  void mkTable_fragmentOf256Bytes_keepsItsAddress() {
    long pointer = with64k.mkTable(0x1_2300, PMD);

    assertEquals(0x1_2300, with64k.address(pointer, PMD));
    assertEquals(0x8000_0000_0000_0005L, with64k.flags(pointer, PMD));
  }

  /**
   * Every subset of the 20 bits that are neither address nor unused, at every level, around an
   * address with all bits set. Expect address and flags to come apart as they were put together, and
   * each predicate to follow its own bit.
   */
  @ParameterizedTest
  @MethodSource("profiles")
  void codec_everySubsetOfBits_roundTripsAtEveryLevel(RadixPageTable table) {
    for (int level = PTE; level <= ROOT; level++) {
      for (long subset = 0; subset < SUBSETS; subset++) {
        check(table, level, (subset & 0xfff) | subset >>> 12 << 56);
      }
    }
  }

  private static void check(RadixPageTable table, int level, long bits) {
    boolean leaf = level == PTE || (bits & 1L << 62) != 0;
    long flags = leaf ? bits : bits & 0xc000_0000_0000_00ffL;
    long entry = ALL_ADDRESS_BITS | flags;
    boolean exact =
        table.address(entry, level) == ALL_ADDRESS_BITS
            && table.flags(entry, level) == flags
            && table.leaf(entry, level) == leaf
            && table.present(entry, level) == (bits < 0 && (level != PTE || (bits & 1L << 62) != 0))
            && table.writable(entry, level) == (!leaf || (bits & 2) != 0)
            && table.executable(entry, level) == (!leaf || (bits & 1) != 0)
            && !table.contiguous(entry, level)
            && table.fromMemory(table.toMemory(entry)) == entry;
    assertTrue(exact, () -> table.name() + " level=" + level + " entry=0x" + Long.toHexString(entry));
  }

  /** What mkPte() makes of any protection comes back as address and flags, plus the leaf bit. */
  @ParameterizedTest
  @MethodSource("profiles")
  void mkPte_everySubsetOfBits_comesApartAgain(RadixPageTable table) {
    for (long subset = 0; subset < SUBSETS; subset++) {
      long bits = (subset & 0xfff) | subset >>> 12 << 56;
      long pte = table.mkPte(ALL_ADDRESS_BITS, new Prot(bits));
      boolean exact =
          table.address(pte, PTE) == ALL_ADDRESS_BITS
              && table.flags(pte, PTE) == (bits | RadixPageTable.LEAF);
      assertTrue(exact, () -> "prot=0x" + Long.toHexString(bits));
    }
  }

  /** Taking the write permission. Expect only that bit to go: dirty is a bit of its own. */
  @Test
  void wrprotect_leaf_onlyClearsWrite() {
    long pte = with4k.mkPte(0x1000, with4k.pageKernel());

    assertEquals(0xc000_0000_0000_118cL, with4k.wrprotect(pte));
    assertFalse(with4k.writable(with4k.wrprotect(pte), PTE));
    assertEquals(
        0xc000_0000_0000_010cL,
        with4k.flags(with4k.mkPte(0x1000, with4k.pageKernelRo()), PTE));
  }

  /** Hardware may write accessed and dirty back into an empty pte. Expect it to stay empty. */
  @Test
  void none_strayAccessedAndDirty_onlyInPte() {
    assertTrue(with4k.none(0x180, PTE));
    assertFalse(with4k.none(0x180, PMD));
    assertFalse(with4k.none(0x181, PTE));
    assertTrue(with4k.none(0, PGD));
  }

  /** Large leaves exist at pmd and pud. Expect a refusal elsewhere, and of the hash MMU. */
  @Test
  void mkLeaf_whereNoLeafIs_isRefused() {
    Prot prot = with4k.pageKernel();

    assertEquals(1L << 30, with4k.address(with4k.mkLeaf(1L << 30, PUD, prot), PUD));
    assertThrows(IllegalArgumentException.class, () -> with4k.mkLeaf(0, PTE, prot));
    assertThrows(IllegalArgumentException.class, () -> with4k.mkLeaf(0, ROOT, prot));
    assertThrows(
        IllegalArgumentException.class, () -> new RadixPageTable(PowerpcGeometry.hash(12)));
  }

  /** Names, and what generic code asks of every architecture. */
  @Test
  void name_saysPageSize() {
    assertEquals("powerpc radix 4K", with4k.name());
    assertEquals("powerpc radix 64K", with64k.name());
    assertEquals("pgd", with4k.levelName(ROOT));
    assertEquals("pmd", with4k.levelName(PMD));
    assertEquals(32, with64k.entries(PTE));
    assertEquals(8192, with64k.entries(ROOT));
    assertEquals(0, with4k.pageTableSyncMask());
    assertFalse(with4k.breakBeforeMake());
    assertEquals(0xc_0000_0000_0000L, with4k.canonicalOffset(0xc00c_0000_0000_0000L));
    assertEquals(6144, with4k.index(0xc00c_0000_0000_0000L, ROOT));
  }

  /**
   * The machine walks tables that the codec made.
   *
   * <pre>
   *   root 1 MiB -> 2 MiB -> 3 MiB -> pte table at 4 MiB -> page at 8 MiB
   * </pre>
   *
   * Expect the bytes of the page, and a fault for a write once it is read-only.
   */
  @ParameterizedTest
  @MethodSource("profiles")
  void mmu_walksTablesOfTheCodec(RadixPageTable table) {
    FrameOwner[] owners = Owner.values();
    Machine machine = new Machine(16L << 20, table, table.geometry().pageOffset(), owners, 1);
    long va = table.geometry().vmemmapStart();
    machine.cpu().loadRoot(0x10_0000);
    put(machine, table, 0x10_0000, ROOT, table.mkTable(0x20_0000, ROOT));
    put(machine, table, 0x20_0000, PUD, table.mkTable(0x30_0000, PUD));
    put(machine, table, 0x30_0000, PMD, table.mkTable(0x40_0000, PMD));
    put(machine, table, 0x40_0000, PTE, table.mkPte(0x80_0000, table.pageKernel()));

    machine.cpu().writeLong(va + 0x458, 42);
    assertEquals(42, machine.memory().getLong(0x80_0458));

    put(machine, table, 0x40_0000, PTE, table.mkPte(0x80_0000, table.pageKernelRo()));
    machine.flushAll();
    MachineFault fault = assertThrows(MachineFault.class, () -> machine.cpu().writeLong(va, 1));
    assertEquals("write-to-read-only", fault.rule());
    assertEquals(42, machine.cpu().readLong(va + 0x458));
  }

  private static void put(Machine machine, RadixPageTable table, long at, int level, long entry) {
    long va = table.geometry().vmemmapStart();
    machine.memory().setLong(at + 8L * table.index(va, level), table.toMemory(entry));
  }
}
