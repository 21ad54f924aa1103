// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.types.Pgtable.P4D;
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

/** The descriptor codec of arm64. */
class Arm64PageTableTest {
  private static final long SUBSETS = 1L << 18;

  private final Arm64PageTable lpa2 = new Arm64PageTable(Arm64Geometry.lpa2With4k());
  private final Arm64PageTable plain = new Arm64PageTable(Arm64Geometry.fallbackWith4k());
  private final Arm64PageTable wide64k = new Arm64PageTable(Arm64Geometry.lvaWith64k());

  static Stream<Arm64PageTable> profiles() {
    return Stream.of(
            Arm64Geometry.narrow(12, 39), Arm64Geometry.narrow(12, 48),
            Arm64Geometry.fallbackWith4k(), Arm64Geometry.lpa2With4k(),
            Arm64Geometry.narrow(14, 47), Arm64Geometry.narrow(14, 48),
            Arm64Geometry.fallbackWith16k(), Arm64Geometry.lpa2With16k(),
            Arm64Geometry.narrow(16, 42), Arm64Geometry.narrow(16, 48),
            Arm64Geometry.fallbackWith64k(), Arm64Geometry.lvaWith64k())
        .map(Arm64PageTable::new);
  }

  /** Memmap leaves with LPA2, where descriptors have no shareability. Expect ...401 and ...403. */
  @Test
  void mkPte_pageKernelWithLpa2_hasTheCapturedFlags() {
    assertEquals(0x00e8_0000_0000_0401L, flagsOfBlock(lpa2));
    assertEquals(0x00e8_0000_0000_0403L, flagsOfPage(lpa2));
    assertEquals(
        0x00e8_0000_0000_0403L, flagsOfPage(new Arm64PageTable(Arm64Geometry.lpa2With16k())));
  }

  /** The same without LPA2: inner shareable. Expect ...701 and ...703. */
  @Test
  void mkPte_pageKernelWithoutLpa2_isInnerShareable() {
    assertEquals(0x00e8_0000_0000_0701L, flagsOfBlock(plain));
    assertEquals(0x00e8_0000_0000_0703L, flagsOfPage(plain));
    assertEquals(0x00e8_0000_0000_0703L, flagsOfPage(wide64k));
  }

  /** With page-table isolation kernel mappings are not global. Expect ...f01, as captured. */
  @Test
  void mkLeaf_pageKernelWithIsolation_isNotGlobal() {
    Arm64Geometry isolated = Arm64Geometry.fallbackWith4k().withNonGlobal();

    assertEquals(0x00e8_0000_0000_0f01L, flagsOfBlock(new Arm64PageTable(isolated)));
  }

  /** PAGE_KERNEL_RO: AP[2] instead of DBM. Expect a leaf that neither kernel nor CPU may write. */
  @Test
  void mkPte_pageKernelRo_isNotWritable() {
    long pte = lpa2.mkPte(0x1234_5000, lpa2.pageKernelRo());

    assertEquals(0x00e0_0000_0000_0483L, lpa2.flags(pte, PTE));
    assertFalse(lpa2.writable(pte, PTE));
    assertFalse(lpa2.pteWrite(pte));
    assertTrue(lpa2.pteDirty(pte));
  }

  /** Kernel tables: type 11, AF, UXNTable, at every level. */
  @Test
  void mkTable_everyLevel_hasTheKernelsFlags() {
    long expected = 1L << 60 | 0x403;

    assertEquals(expected, lpa2.flags(lpa2.mkTable(0x1000, PMD), PMD));
    assertEquals(expected, lpa2.flags(lpa2.mkTable(0x1000, PUD), PUD));
    assertEquals(expected, lpa2.flags(lpa2.mkTable(0x1000, P4D), P4D));
    assertEquals(expected, lpa2.flags(lpa2.mkTable(0x1000, PGD), PGD));
    assertFalse(lpa2.leaf(lpa2.mkTable(0x1000, PMD), PMD));
  }

  /**
   * Where 52-bit addresses lie in a descriptor.
   *
   * <pre>
   *   LPA2   PA 51:50 -> bits 9:8        64K   PA 51:48 -> bits 15:12
   * </pre>
   */
  @Test
  void physToPteVal_wideAddresses_movesTheTopBits() {
    assertEquals(0x0003_ffff_ffff_f300L, lpa2.physToPteVal(0x000f_ffff_ffff_f000L));
    assertEquals(0x0000_0000_0000_0200L, lpa2.physToPteVal(0x0008_0000_0000_0000L));
    assertEquals(0x0000_0000_0000_8000L, wide64k.physToPteVal(0x0008_0000_0000_0000L));
    assertEquals(0x0000_0000_0000_4000L, wide64k.physToPteVal(0x0004_0000_0000_0000L));
    assertEquals(0x0000_ffff_ffff_f000L, plain.physToPteVal(0x0000_ffff_ffff_f000L));
    assertEquals(0x000f_0000_0001_0000L, wide64k.address(0x0000_0000_0001_f403L, PTE));
    assertEquals(0x000c_0000_0000_1000L, lpa2.address(0x0000_0000_0000_1703L, PTE));
    assertEquals(0x0000_0000_0000_1000L, plain.address(0x0000_0000_0000_1703L, PTE));
  }

  /**
   * Every subset of 18 modelled bits, at every level of every profile, around an address with all
   * bits set. Expect address and flags to come apart as they were put together, and each predicate
   * to follow its own bits.
   */
  @ParameterizedTest
  @MethodSource("profiles")
  void codec_everySubsetOfBits_roundTripsAtEveryLevel(Arm64PageTable table) {
    for (int level = PTE; level < table.levels(); level++) {
      for (long subset = 0; subset < SUBSETS; subset++) {
        check(table, level, spread(table, subset));
      }
    }
  }

  private static void check(Arm64PageTable table, int level, long bits) {
    long paddr = allAddressBits(table);
    long entry = table.physToPteVal(paddr) | bits;
    boolean block = level > 0 && table.geometry().leafLevel(level) && (bits & 3) == 1;
    boolean leaf = level == PTE || block;
    boolean readOnly = (bits & Arm64PageTable.RDONLY) != 0 && (bits & Arm64PageTable.DBM) == 0;
    boolean exact =
        table.address(entry, level) == paddr
            && table.flags(entry, level) == bits
            && table.leaf(entry, level) == leaf
            && table.present(entry, level) == ((bits & 3) == 3 || block)
            && table.writable(entry, level) == (leaf ? !readOnly : (bits & 1L << 62) == 0)
            && table.executable(entry, level) == ((bits & (leaf ? 1L << 53 : 1L << 59)) == 0)
            && table.contiguous(entry, level) == (leaf && level <= PMD && (bits & 1L << 52) != 0)
            && table.fromMemory(table.toMemory(entry)) == entry;
    assertTrue(exact, () -> table.name() + " level=" + level + " entry=0x" + Long.toHexString(entry));
  }

  /** V, type, attr 0, AP, SH, AF, nG, GP, DBM, CONT, PXN, UXN, dirty, and three of tables. */
  private static long spread(Arm64PageTable table, long subset) {
    long low = (subset & 7) | ((subset >>> 3) & 0x3f) << 6;
    long high = ((subset >>> 9) & 0x3f) << 50 | ((subset >>> 15) & 3) << 59 | (subset >>> 17) << 62;
    long shared = table.geometry().lpa2() ? Arm64PageTable.SHARED : 0;
    return (low & ~shared) | high;
  }

  private static long allAddressBits(Arm64PageTable table) {
    return (1L << table.geometry().physBits()) - (1L << table.pageShift());
  }

  /** What mkPte(), mkLeaf() and mkTable() make comes apart again, in every profile. */
  @ParameterizedTest
  @MethodSource("profiles")
  void mk_allAddressBits_comesApartAgain(Arm64PageTable table) {
    long paddr = allAddressBits(table);
    long block = paddr & -1L << table.shift(PMD);
    long pte = table.mkPte(paddr, table.pageKernel());
    long pmd = table.mkLeaf(block, PMD, table.pageKernel());

    assertEquals(paddr, table.address(pte, PTE));
    assertEquals(table.pageKernel().val(), table.flags(pte, PTE));
    assertEquals(block, table.address(pmd, PMD));
    assertEquals(table.pageKernel().val() & ~2, table.flags(pmd, PMD));
    assertTrue(table.present(pmd, PMD) && table.leaf(pmd, PMD));
    assertEquals(paddr, table.address(table.mkTable(paddr, PMD), PMD));
    assertTrue(table.breakBeforeMake());
    assertTrue(table.flushRangeKeepsTables());
    assertEquals(0, table.pageTableSyncMask());
  }

  /** Blocks exist at pmd and, with 4K pages, at pud. Expect a refusal elsewhere. */
  @Test
  void mkLeaf_whereNoBlocksAre_isRefused() {
    Arm64PageTable lpa2With16k = new Arm64PageTable(Arm64Geometry.lpa2With16k());
    Prot prot = lpa2.pageKernel();

    assertEquals(1L << 30, lpa2.address(lpa2.mkLeaf(1L << 30, PUD, prot), PUD));
    assertThrows(IllegalArgumentException.class, () -> lpa2.mkLeaf(0, P4D, prot));
    assertThrows(IllegalArgumentException.class, () -> lpa2.mkLeaf(0, PTE, prot));
    assertThrows(IllegalArgumentException.class, () -> lpa2With16k.mkLeaf(0, PUD, prot));
    assertFalse(lpa2With16k.present(lpa2.mkLeaf(0, PUD, prot), PUD));
  }

  /**
   * Taking the write permission.
   *
   * <pre>
   *   RO DBM dirty      RO DBM dirty
   *   0   1    0    ->  1   0    1      the CPU's mark moves to software
   *   1   1    0    ->  1   0    0      clean stays clean
   *   0   0    0    ->  1   0    0      not writable for the kernel: nothing to keep
   * </pre>
   */
  @Test
  void wrprotect_hardwareDirty_keepsTheMark() {
    long page = 0x403;

    assertEquals(
        page | Arm64PageTable.RDONLY | Arm64PageTable.DIRTY,
        lpa2.wrprotect(page | Arm64PageTable.DBM));
    assertEquals(
        page | Arm64PageTable.RDONLY,
        lpa2.wrprotect(page | Arm64PageTable.DBM | Arm64PageTable.RDONLY));
    assertEquals(page | Arm64PageTable.RDONLY, lpa2.wrprotect(page));
  }

  /** RO with DBM: clean and writable. Expect only a CPU with dirty management to let it pass. */
  @Test
  void writable_cleanWritablePage_dependsOnTheCpu() {
    Arm64Geometry old = Arm64Geometry.fallbackWith4k().withoutHardwareDirty();
    long clean = 0x703 | Arm64PageTable.DBM | Arm64PageTable.RDONLY;

    assertTrue(plain.writable(clean, PTE));
    assertFalse(new Arm64PageTable(old).writable(clean, PTE));
    assertTrue(plain.pteWrite(clean));
    assertFalse(plain.pteDirty(clean));
  }

  /** Which entries in use may change in place. Expect permissions, not address, size or type. */
  @Test
  void liveChangeAllowed_permissionsOnly() {
    long pte = plain.mkPte(0x5000, plain.pageKernel());
    long other = plain.mkPte(0x6000, plain.pageKernel());
    long tagged = pte | 1L << 2;
    long device = pte | 4L << 2;
    long notGlobal = pte | Arm64PageTable.NG;

    assertTrue(plain.liveChangeAllowed(pte, plain.wrprotect(pte), PTE));
    assertTrue(plain.liveChangeAllowed(pte, tagged, PTE));
    assertTrue(plain.liveChangeAllowed(pte, notGlobal, PTE));
    assertTrue(plain.liveChangeAllowed(pte, 0, PTE));
    assertTrue(plain.liveChangeAllowed(0, pte, PTE));
    assertFalse(plain.liveChangeAllowed(notGlobal, pte, PTE));
    assertFalse(plain.liveChangeAllowed(pte, other, PTE));
    assertFalse(plain.liveChangeAllowed(pte, device, PTE));
    assertFalse(plain.liveChangeAllowed(pte, pte & ~2, PTE));
  }

  /** Names for messages and dumps. Expect the top level to be called pgd. */
  @Test
  void name_saysGranuleAndWidth() {
    assertEquals("arm64 4K 52-bit LPA2", lpa2.name());
    assertEquals("arm64 4K 48-bit", plain.name());
    assertEquals("arm64 64K 52-bit", wide64k.name());
    assertEquals("pgd", wide64k.levelName(PUD));
    assertEquals("p4d", lpa2.levelName(P4D));
    assertEquals("pmd", plain.levelName(PMD));
    assertTrue(plain.none(0, PTE));
    assertFalse(plain.none(Arm64PageTable.AF, PTE));
  }

  /**
   * The machine walks tables that the codec made, in every profile.
   *
   * <pre>
   *   root -> ... -> pmd table -> pte table -> page at 1 MiB
   * </pre>
   *
   * Expect the bytes of the page, and a fault for a write once it is read-only.
   */
  @ParameterizedTest
  @MethodSource("profiles")
  void mmu_walksTablesOfTheCodec_inEveryProfile(Arm64PageTable table) {
    FrameOwner[] owners = Owner.values();
    Machine machine = new Machine(16L << 20, table, 0x1_0000_0000L, owners, 1);
    long va = table.geometry().vmemmapStart(64);
    long at = 0x10_0000;
    machine.cpu().loadRoot(at);
    for (int level = table.levels() - 1; level > PTE; level--) {
      long next = at + 0x10_0000;
      long slot = at + 8L * table.index(va, level);
      machine.memory().setLong(slot, table.mkTable(next, level));
      at = next;
    }
    long pte = at + 8L * table.index(va, PTE);
    machine.memory().setLong(pte, table.mkPte(0x80_0000, table.pageKernel()));

    machine.cpu().writeLong(va + 0x458, 42);
    assertEquals(42, machine.memory().getLong(0x80_0458));

    machine.memory().setLong(pte, table.wrprotect(machine.memory().getLong(pte)));
    machine.flushAll();
    MachineFault fault = assertThrows(MachineFault.class, () -> machine.cpu().writeLong(va, 1));
    assertEquals("write-to-read-only", fault.rule());
    assertEquals(42, machine.cpu().readLong(va + 0x458));
  }

  private static long flagsOfPage(Arm64PageTable table) {
    return table.flags(table.mkPte(1L << 30, table.pageKernel()), PTE);
  }

  private static long flagsOfBlock(Arm64PageTable table) {
    return table.flags(table.mkLeaf(1L << 30, PMD, table.pageKernel()), PMD);
  }

  /** The part of an address that the tables translate. Expect the bits of the width in use. */
  @Test
  void canonicalOffset_followsTheWidth() {
    assertEquals(
        0xf_ffff_ffff_ffffL, new Arm64PageTable(Arm64Geometry.lpa2With4k()).canonicalOffset(-1));
    assertEquals(
        0xffff_ffff_ffffL, new Arm64PageTable(Arm64Geometry.fallbackWith4k()).canonicalOffset(-1));
    assertEquals(
        0x7f_ffff_ffffL, new Arm64PageTable(Arm64Geometry.narrow(12, 39)).canonicalOffset(-1));
  }
}
