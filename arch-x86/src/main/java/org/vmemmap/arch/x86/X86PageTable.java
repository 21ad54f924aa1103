// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_KERNEL;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_KERNEL_RO;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_NX;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_PRESENT;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_PSE;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_RW;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_TABLE;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PTE_PFN_MASK;
import static org.vmemmap.types.Pgtable.P4D;
import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Prot;

/**
 * The page tables of x86-64: 512 entries of 8 bytes in each of 4 or 5 levels.
 *
 * <pre>
 *   63    57 56    48 47    39 38    30 29    21 20    12 11         0
 *  +--------+--------+--------+--------+--------+--------+------------+
 *  |  sign  |  pgd   |  p4d   |  pud   |  pmd   |  pte   |   offset   |   5-level
 *  |      sign       |  pgd   |  pud   |  pmd   |  pte   |   offset   |   4-level
 *  +--------+--------+--------+--------+--------+--------+------------+
 * </pre>
 *
 * A pud or pmd with PSE is a leaf. A page can be written when RW is set in all entries on the way,
 * and executed when NX is set in none. The bits are in {@code X86AsmPgtableTypes}.
 */
public final class X86PageTable implements ArchPgtable {
  private static final int BITS_PER_LEVEL = 9;
  private static final int PAGE_SHIFT = 12;
  private static final int ENTRIES = 1 << BITS_PER_LEVEL;
  private static final String[] LEVEL_NAMES = {"pte", "pmd", "pud", "p4d", "pgd"};

  private final X86Geometry geometry;
  private @Nullable Printk printk;

  /** The format in the paging mode of {@code geometry}. */
  public X86PageTable(X86Geometry geometry) {
    this.geometry = geometry;
  }

  /** The addresses and sizes that come with the paging mode. */
  public X86Geometry geometry() {
    return geometry;
  }

  /** Sets where pfn_pte() warns of protections that it should not be given. */
  public void setPrintk(Printk newPrintk) {
    printk = newPrintk;
  }

  @Override
  public String name() {
    return "x86-64 " + geometry.levels() + "-level";
  }

  @Override
  public int levels() {
    return geometry.levels();
  }

  @Override
  public int pageShift() {
    return PAGE_SHIFT;
  }

  @Override
  public int shift(int level) {
    return PAGE_SHIFT + BITS_PER_LEVEL * level;
  }

  @Override
  public int entries(int level) {
    return ENTRIES;
  }

  /** The top level is pgd in both modes, as in a dump of the tables, though the code says p4d. */
  @Override
  public String levelName(int level) {
    return LEVEL_NAMES[level == levels() - 1 ? PGD : level];
  }

  @Override
  public long canonicalOffset(long va) {
    return va & (1L << geometry.virtualAddressBits()) - 1;
  }

  /** The sign-extended form of an address, the only one that the CPU accepts. */
  public long canonical(long va) {
    int unused = Long.SIZE - geometry.virtualAddressBits();
    return va << unused >> unused;
  }

  /** What the CPU goes by. The kernel's pte_present() also counts PROT_NONE. */
  @Override
  public boolean present(long entry, int level) {
    return (entry & PAGE_PRESENT) != 0;
  }

  /** PSE makes a leaf of a pmd or pud; in a pte the bit is PAT, and above pud it must be 0. */
  @Override
  public boolean leaf(long entry, int level) {
    return level == PTE || ((level == PMD || level == PUD) && (entry & PAGE_PSE) != 0);
  }

  /** As pXd_pfn(): without the PAT bit of a large page, and un-inverted when not present. */
  @Override
  public long address(long entry, int level) {
    return switch (level) {
      case PTE -> X86AsmPgtable.ptePaddr(entry);
      case PMD -> X86AsmPgtable.pmdPaddr(entry);
      case PUD -> X86AsmPgtable.pudPaddr(entry);
      default -> X86AsmPgtable.p4dPaddr(entry);
    };
  }

  @Override
  public long flags(long entry, int level) {
    return entry & ~addressMask(entry, level);
  }

  private static long addressMask(long entry, int level) {
    return switch (level) {
      case PTE -> PTE_PFN_MASK;
      case PMD -> X86AsmPgtableTypes.pmdPfnMask(entry);
      case PUD -> X86AsmPgtableTypes.pudPfnMask(entry);
      default -> X86AsmPgtableTypes.p4dPfnMask();
    };
  }

  @Override
  public boolean writable(long entry, int level) {
    return (entry & PAGE_RW) != 0;
  }

  @Override
  public boolean executable(long entry, int level) {
    return (entry & PAGE_NX) == 0;
  }

  /** The CPU has no such bit. */
  @Override
  public boolean contiguous(long entry, int level) {
    return false;
  }

  /** Entries may change while valid. */
  @Override
  public boolean breakBeforeMake() {
    return false;
  }

  /** Writable, global, never executed; accessed and dirty, so that the CPU need not set them. */
  @Override
  public Prot pageKernel() {
    return new Prot(PAGE_KERNEL);
  }

  /** Neither writable nor dirty: the two together would be shadow stack. */
  @Override
  public Prot pageKernelRo() {
    return new Prot(PAGE_KERNEL_RO);
  }

  /** {@code pfn_pte()}, with its warning of protections that mean shadow stack. */
  @Override
  public long mkPte(long paddr, Prot prot) {
    if (printk != null) {
      boolean shadowStack = X86AsmPgtable.isShadowStack(prot.val());
      printk.warnOnOnce(shadowStack, "pfn_pte: _PAGE_DIRTY without _PAGE_RW");
    }
    return X86AsmPgtable.pfnPte(paddr, prot.val());
  }

  /** {@code pfn_pmd()} or {@code pfn_pud()} with PSE; PAT moves to bit 12. */
  @Override
  public long mkLeaf(long paddr, int level, Prot prot) {
    long large = X86AsmPgtableTypes.protval4k2Large(prot.val()) | PAGE_PSE;
    return switch (level) {
      case PMD -> X86AsmPgtable.pfnPmd(paddr, large);
      case PUD -> X86AsmPgtable.pfnPud(paddr, large);
      default -> throw new IllegalArgumentException("no leaf at level " + level);
    };
  }

  /** {@code _PAGE_TABLE} at all levels. */
  @Override
  public long mkTable(long paddr, int level) {
    return paddr | PAGE_TABLE;
  }

  /** {@code pte_wrprotect()}: dirty moves to the software bit. */
  @Override
  public long wrprotect(long entry) {
    return X86AsmPgtable.pteWrprotect(entry);
  }

  /** Stray accessed and dirty bits do not count, but in a pgd, which the erratum spares. */
  @Override
  public boolean none(long entry, int level) {
    return level == PGD ? X86AsmPgtable.pgdNone(entry) : X86AsmPgtable.none(entry);
  }

  /** Processes have their own top-level table: pgd with 5 levels, p4d (the folded pgd) with 4. */
  @Override
  public int pageTableSyncMask() {
    return geometry.pgtableL5Enabled() ? 1 << PGD : 1 << P4D;
  }
}
