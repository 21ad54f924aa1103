// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.types.Pgtable.P4D;
import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import org.junit.jupiter.api.Test;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Prot;

/** The entry codec and the geometry of x86-64 page tables. */
class X86PageTableTest {
  private static final long NX = 1L << 63;
  private static final long PADDR_4K = 0x000f_edcb_a987_6000L;
  private static final long PADDR_2M = 0x000f_edcb_a980_0000L;
  private static final long PADDR_1G = 0x000f_edcb_8000_0000L;

  private final X86PageTable four = new X86PageTable(X86Geometry.fourLevel());
  private final X86PageTable five = new X86PageTable(X86Geometry.fiveLevel());

  /** PAGE_KERNEL makes the leaf that the captured kernels have. Expect bits P RW A D G NX. */
  @Test
  void mkPte_pageKernel_hasTheCapturedFlags() {
    long pte = four.mkPte(PADDR_4K, four.pageKernel());

    assertEquals(0x8000_0000_0000_0163L, four.flags(pte, PTE));
    assertEquals(PADDR_4K, four.address(pte, PTE));
  }

  /** PAGE_KERNEL_RO is what HVO remaps shared tails with. Expect P A G NX, not writable. */
  @Test
  void mkPte_pageKernelRo_isNotWritableAndNotDirty() {
    long pte = four.mkPte(PADDR_4K, four.pageKernelRo());

    assertEquals(0x8000_0000_0000_0121L, four.flags(pte, PTE));
    assertFalse(four.writable(pte, PTE));
  }

  /** A large leaf of PAGE_KERNEL has PSE. Expect the captured flags at pmd and pud. */
  @Test
  void mkLeaf_pageKernel_hasPse() {
    long pmd = four.mkLeaf(PADDR_2M, PMD, four.pageKernel());
    long pud = five.mkLeaf(PADDR_1G, PUD, five.pageKernel());

    assertEquals(0x8000_0000_0000_01e3L, four.flags(pmd, PMD));
    assertEquals(0x8000_0000_0000_01e3L, five.flags(pud, PUD));
    assertEquals(PADDR_2M, four.address(pmd, PMD));
    assertEquals(PADDR_1G, five.address(pud, PUD));
  }

  /** Kernel tables carry the user bit. Expect 0x67 at every level, as captured. */
  @Test
  void mkTable_everyLevel_hasFlags0x67() {
    assertEquals(0x67, five.flags(five.mkTable(PADDR_4K, PMD), PMD));
    assertEquals(0x67, five.flags(five.mkTable(PADDR_4K, PUD), PUD));
    assertEquals(0x67, five.flags(five.mkTable(PADDR_4K, P4D), P4D));
    assertEquals(0x67, five.flags(five.mkTable(PADDR_4K, PGD), PGD));
    assertEquals(PADDR_4K, five.address(five.mkTable(PADDR_4K, PGD), PGD));
  }

  /**
   * Write = 0 with dirty = 1 would be shadow stack. Expect dirty to move to bit 58.
   *
   * <pre>
   *   8000000000000163 -> 8400000000000121
   * </pre>
   */
  @Test
  void wrprotect_dirtyEntry_movesDirtyToTheSoftwareBit() {
    assertEquals(0x8400_0000_0000_0121L, four.wrprotect(0x8000_0000_0000_0163L));
  }

  /** A clean entry has nothing to move. Expect only RW to go. */
  @Test
  void wrprotect_cleanEntry_onlyClearsWrite() {
    assertEquals(0x8000_0000_0000_0121L, four.wrprotect(0x8000_0000_0000_0123L));
    assertEquals(0x8400_0000_0000_0121L, four.wrprotect(0x8400_0000_0000_0121L));
  }

  /** With write permission, saved-dirty becomes dirty again. Expect the first value back. */
  @Test
  void clearSaveddirtyShift_writableEntry_movesDirtyBack() {
    long readOnly = four.wrprotect(0x8000_0000_0000_0163L);

    assertEquals(
        0x8000_0000_0000_0163L, X86AsmPgtable.clearSaveddirtyShift(readOnly | 1L << 1));
    assertEquals(readOnly, X86AsmPgtable.clearSaveddirtyShift(readOnly));
  }

  /** Bit 7 is PAT in a base page and PSE in a large one. Expect PAT in bit 12 of the large one. */
  @Test
  void mkLeaf_protWithPat_movesPatToBit12() {
    long pat = 1L << 7;
    long prot = four.pageKernel().val() | pat;
    long pmd = four.mkLeaf(PADDR_2M, PMD, new Prot(prot));

    assertEquals(0x8000_0000_0000_11e3L, four.flags(pmd, PMD));
    assertEquals(PADDR_2M, four.address(pmd, PMD));
    assertEquals(0x8000_0000_0000_01e3L, four.flags(four.mkPte(PADDR_4K, new Prot(prot)), PTE));
    assertEquals(prot, X86AsmPgtableTypes.protvalLarge24k((prot & ~pat) | 1L << 12));
  }

  /**
   * Some CPUs set A and D in empty entries. Expect none() not to see them, except in a 5-level pgd.
   */
  @Test
  void none_strayAccessedAndDirty_isStillNone() {
    assertTrue(four.none(0x60, PTE));
    assertTrue(four.none(0x60, PMD));
    assertTrue(four.none(0x60, PUD));
    assertTrue(four.none(0x60, P4D));
    assertFalse(five.none(0x60, PGD));
    assertTrue(five.none(0, PGD));
    assertFalse(four.none(0x61, PTE));
    assertFalse(four.none(0x100, PMD));
  }

  /** PROT_NONE is present for the kernel, not for the CPU, and holds its address inverted. */
  @Test
  void present_protNone_isPresentForTheKernelOnly() {
    long protNone = 0x120;
    long pte = four.mkPte(PADDR_4K, new Prot(protNone));

    assertFalse(four.present(pte, PTE));
    assertTrue(X86AsmPgtable.ptePresent(pte));
    assertEquals(PADDR_4K, four.address(pte, PTE));
    assertEquals(~PADDR_4K & X86AsmPgtableTypes.PTE_PFN_MASK, pte & ~0xfffL);
    assertTrue(X86AsmPgtable.pmdPresent(0x80));
    assertFalse(X86AsmPgtable.pudPresent(0x80));
  }

  /**
   * Every subset of the 19 bits that are no address, at every level of both modes. Expect flags and
   * address to come apart as they were put together, and each predicate to follow its own bit.
   */
  @Test
  void codec_everySubsetOfBits_roundTripsAtEveryLevel() {
    checkAllSubsets(four, PTE, PADDR_4K);
    checkAllSubsets(four, PMD, PADDR_2M);
    checkAllSubsets(four, PUD, PADDR_1G);
    checkAllSubsets(four, P4D, PADDR_4K);
    checkAllSubsets(five, PTE, PADDR_4K);
    checkAllSubsets(five, PMD, PADDR_2M);
    checkAllSubsets(five, PUD, PADDR_1G);
    checkAllSubsets(five, P4D, PADDR_4K);
    checkAllSubsets(five, PGD, PADDR_4K);
  }

  private static void checkAllSubsets(X86PageTable table, int level, long paddr) {
    for (long subset = 0; subset < 1L << 19; subset++) {
      long bits = (subset & 0xfff) | subset >>> 12 << 57;
      boolean mid = level == PMD || level == PUD;
      boolean inverted = level <= PUD && bits != 0 && (bits & 1) == 0;
      long mask = mid && (bits & 0x80) != 0 ? -1L << table.shift(level) : -1L << 12;
      long stored = (inverted ? ~paddr : paddr) & mask & (1L << 52) - 1;
      long entry = stored | bits;
      boolean exact =
          table.flags(entry, level) == bits
              && (bits == 0 || table.address(entry, level) == paddr)
              && table.present(entry, level) == ((bits & 1) != 0)
              && table.writable(entry, level) == ((bits & 2) != 0)
              && table.executable(entry, level) == (bits >= 0)
              && table.leaf(entry, level) == (level == PTE || (mid && (bits & 0x80) != 0))
              && !table.contiguous(entry, level)
              && table.fromMemory(table.toMemory(entry)) == entry;
      assertTrue(exact, () -> "level=" + level + " entry=0x" + Long.toHexString(entry));
    }
  }

  /** What mkPte() makes of any protection comes back as address and flags. */
  @Test
  void mkPte_everySubsetOfBits_comesApartAgain() {
    for (long subset = 1; subset < 1L << 19; subset++) {
      long bits = (subset & 0xfff) | subset >>> 12 << 57;
      long pte = four.mkPte(PADDR_4K, new Prot(bits));
      boolean exact = four.flags(pte, PTE) == bits && four.address(pte, PTE) == PADDR_4K;
      assertTrue(exact, () -> "prot=0x" + Long.toHexString(bits));
    }
  }

  /** What mkLeaf() makes of any protection: PSE is set, PAT and bit 12 are one, the rest stays. */
  @Test
  void mkLeaf_everySubsetOfBits_comesApartAgain() {
    for (long subset = 0; subset < 1L << 19; subset++) {
      long bits = (subset & 0xfff) | subset >>> 12 << 57;
      long flags = bits | 0x80 | (bits & 0x80) << 5;
      long pmd = four.mkLeaf(PADDR_2M, PMD, new Prot(bits));
      long pud = four.mkLeaf(PADDR_1G, PUD, new Prot(bits));
      boolean exact =
          four.flags(pmd, PMD) == flags
              && four.address(pmd, PMD) == PADDR_2M
              && four.flags(pud, PUD) == flags
              && four.address(pud, PUD) == PADDR_1G;
      assertTrue(exact, () -> "prot=0x" + Long.toHexString(bits));
    }
  }

  /** Leaves exist at pte, pmd and pud. Expect a refusal above. */
  @Test
  void mkLeaf_p4d_isRefused() {
    assertThrows(
        IllegalArgumentException.class, () -> four.mkLeaf(PADDR_1G, P4D, four.pageKernel()));
  }

  /** Geometry of both modes. Expect the table of the manual. */
  @Test
  void geometry_bothModes_matchesTheManual() {
    assertEquals(4, four.levels());
    assertEquals(5, five.levels());
    assertEquals(12, four.pageShift());
    assertEquals(21, four.shift(PMD));
    assertEquals(30, four.shift(PUD));
    assertEquals(39, four.shift(P4D));
    assertEquals(48, five.shift(PGD));
    assertEquals(512, five.entries(PGD));
    assertFalse(four.breakBeforeMake());
    assertEquals("x86-64 4-level", four.name());
    assertEquals("x86-64 5-level", five.name());
  }

  /** The top level is called pgd in both modes, as ptdump prints it. */
  @Test
  void levelName_topLevel_isPgd() {
    assertEquals("pgd", four.levelName(P4D));
    assertEquals("p4d", five.levelName(P4D));
    assertEquals("pgd", five.levelName(PGD));
    assertEquals("pud", four.levelName(PUD));
    assertEquals("pmd", four.levelName(PMD));
    assertEquals("pte", four.levelName(PTE));
  }

  /** The walk uses 48 or 57 bits of an address. Expect the rest to be the sign. */
  @Test
  void canonical_bothModes_signExtends() {
    long vmemmap = 0xffff_ea00_0000_0000L;

    assertEquals(0xea00_0000_0000L, four.canonicalOffset(vmemmap));
    assertEquals(0x1ff_ea00_0000_0000L, five.canonicalOffset(vmemmap));
    assertEquals(vmemmap, four.canonical(0xea00_0000_0000L));
    assertEquals(0xea00_0000_0000L, five.canonical(0xea00_0000_0000L));
    assertEquals(0x7fff_ffff_ffffL, four.canonical(0x7fff_ffff_ffffL));
    assertEquals(468, four.index(vmemmap, P4D));
    assertEquals(511, five.index(vmemmap, PGD));
  }

  /** New top-level entries must reach all processes: pgd with 5 levels, p4d with 4. */
  @Test
  void pageTableSyncMask_followsThePagingMode() {
    assertEquals(1 << P4D, four.pageTableSyncMask());
    assertEquals(1 << PGD, five.pageTableSyncMask());
  }

  /** The addresses of a kernel without KASLR and the limits of its zones. */
  @Test
  void geometry_addressesAndLimits_areTheKernels() {
    X86Geometry l4 = X86Geometry.fourLevel();
    X86Geometry l5 = X86Geometry.fiveLevel();

    assertEquals(0xffff_ea00_0000_0000L, l4.vmemmapBase());
    assertEquals(0xffd4_0000_0000_0000L, l5.vmemmapBase());
    assertEquals(0xffff_8880_0000_0000L, l4.pageOffset());
    assertEquals(0xff11_0000_0000_0000L, l5.pageOffset());
    assertEquals((1L << 46) - 1, l4.directMapPhysmemEnd());
    assertEquals((1L << 52) - 1, l5.directMapPhysmemEnd());
    assertEquals(27, l4.sectionSizeBits());
    assertArrayEquals(new long[] {2L << 20, 1L << 30}, l4.hugetlbSizes());
    assertArrayEquals(
        new long[] {0x1000, 0x10_0000, 0x24_0000}, l4.archZoneLimitsInit(0x24_0000));
    assertArrayEquals(new long[] {0x800, 0x800, 0x800}, l4.archZoneLimitsInit(0x800));
    assertEquals(0xffff_d400_0000_0000L, l4.withVmemmapBase(0xffff_d400_0000_0000L).vmemmapBase());
  }

  /** The table of vmemmap_dedup.rst as it was. Expect 8 frames of struct pages for 2M, 4096 for 1G. */
  @Test
  void structPages_tableOfTheOldDocument_isTheirs() {
    long[] sizes = X86Geometry.fourLevel().hugetlbSizes();
    assertEquals(8, ((sizes[0] >>> 12) * 64) >>> 12);
    assertEquals(4096, ((sizes[1] >>> 12) * 64) >>> 12);
  }

  /** There are two paging modes. Expect a refusal of a third. */
  @Test
  void geometry_threeLevels_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> new X86Geometry(3, 0, 0));
  }

  /** pfn_pte() with dirty but no write would make shadow stack. Expect its warning, once. */
  @Test
  void mkPte_shadowStackProt_warnsOnce() {
    Machine machine = machine(four);
    Mm mm = mm(machine, four);
    four.setPrintk(mm.printk());
    Prot shadowStack = new Prot(NX | 0x161);

    four.mkPte(PADDR_4K, shadowStack);
    four.mkPte(PADDR_4K, shadowStack);

    assertEquals(1, mm.printk().warnings().size());
    assertEquals("pfn_pte: _PAGE_DIRTY without _PAGE_RW", mm.printk().warnings().get(0));
  }

  /**
   * A walk by the machine itself, through tables that the codec made, in both modes.
   *
   * <pre>
   *   root 0x1000 -> 0x2000 -> 0x3000 (-> 0x4000) -> leaf of 2 MiB at 0x200000
   * </pre>
   *
   * Expect the bytes of the block, and a fault for a write when the leaf is read-only.
   */
  @Test
  void mmu_walksTablesOfTheCodec_inBothModes() {
    checkWalk(four);
    checkWalk(five);
  }

  private static void checkWalk(X86PageTable table) {
    Machine machine = machine(table);
    long va = table.geometry().vmemmapBase();
    long at = 0x1000;
    for (int level = table.levels() - 1; level > PMD; level--) {
      long entry = table.mkTable(at + 0x1000, level);
      machine.memory().setLong(at + 8L * table.index(va, level), entry);
      at += 0x1000;
    }
    long pmd = at + 8L * table.index(va, PMD);
    machine.memory().setLong(pmd, table.mkLeaf(0x20_0000, PMD, table.pageKernel()));
    machine.cpu().loadRoot(0x1000);

    machine.cpu().writeLong(va + 0x12_3458, 42);
    assertEquals(42, machine.memory().getLong(0x32_3458));

    machine.memory().setLong(pmd, table.wrprotect(machine.memory().getLong(pmd)));
    machine.flushAll();
    assertEquals(42, machine.cpu().readLong(va + 0x12_3458));
    MachineFault fault =
        assertThrows(MachineFault.class, () -> machine.cpu().writeLong(va, 1));
    assertEquals("write-to-read-only", fault.rule());
  }

  private static Machine machine(X86PageTable table) {
    FrameOwner[] owners = Owner.values();
    return new Machine(64L << 20, table, table.geometry().pageOffset(), owners, 1);
  }

  private static Mm mm(Machine machine, X86PageTable table) {
    Mm.Image image = new Mm.Image(table.geometry().vmemmapBase(), 0x1000, 0x2000, 0x1000);
    return new Mm(machine, table, MmConfig.debianX86(), image);
  }
}
