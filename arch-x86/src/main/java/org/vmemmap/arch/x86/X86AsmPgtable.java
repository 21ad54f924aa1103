// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_BIT_DIRTY;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_BIT_RW;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_BIT_SAVED_DIRTY;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_DIRTY;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_KNL_ERRATUM_MASK;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_PRESENT;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_PROTNONE;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_PSE;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PAGE_RW;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PHYSICAL_PMD_PAGE_MASK;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PHYSICAL_PUD_PAGE_MASK;
import static org.vmemmap.arch.x86.X86AsmPgtableTypes.PTE_PFN_MASK;

import org.vmemmap.types.Kernel;

/**
 * The entry functions of asm/pgtable.h that the memmap code uses, as functions of the bits.
 *
 * <p>A write-protected entry must not keep the hardware's dirty bit: write = 0 with dirty = 1 means
 * shadow stack. So dirty moves to a software bit:
 *
 * <pre>
 *                    W D SD                  W D SD
 *   PAGE_KERNEL      1 1 0   wrprotect -&gt;    0 0 1
 *   clean            1 0 0   wrprotect -&gt;    0 0 0
 * </pre>
 */
@Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pte_wrprotect")
final class X86AsmPgtable {
  private X86AsmPgtable() {}

  /** {@code mksaveddirty_shift()}: without write permission, dirty moves to saved-dirty. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "mksaveddirty_shift")
  static long mksaveddirtyShift(long v) {
    long cond = ~v >>> PAGE_BIT_RW & 1;
    v |= (v >>> PAGE_BIT_DIRTY & cond) << PAGE_BIT_SAVED_DIRTY;
    v &= ~(cond << PAGE_BIT_DIRTY);
    return v;
  }

  /** {@code clear_saveddirty_shift()}: with write permission, saved-dirty moves back. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "clear_saveddirty_shift")
  static long clearSaveddirtyShift(long v) {
    long cond = v >>> PAGE_BIT_RW & 1;
    v |= (v >>> PAGE_BIT_SAVED_DIRTY & cond) << PAGE_BIT_DIRTY;
    v &= ~(cond << PAGE_BIT_SAVED_DIRTY);
    return v;
  }

  /** {@code pte_wrprotect()}. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pte_wrprotect")
  static long pteWrprotect(long pte) {
    return mksaveddirtyShift(pte & ~PAGE_RW);
  }

  /** {@code __pte_needs_invert()}: an entry that is not present holds its address inverted. */
  @Kernel(file = "arch/x86/include/asm/pgtable-invert.h", symbol = "__pte_needs_invert")
  static boolean pteNeedsInvert(long val) {
    return val != 0 && (val & PAGE_PRESENT) == 0;
  }

  /** {@code protnone_mask()}. */
  @Kernel(file = "arch/x86/include/asm/pgtable-invert.h", symbol = "protnone_mask")
  static long protnoneMask(long val) {
    return pteNeedsInvert(val) ? -1L : 0;
  }

  /** True for protection bits that mean shadow stack, which pfn_pte() warns of. */
  static boolean isShadowStack(long prot) {
    return (prot & (PAGE_DIRTY | PAGE_RW)) == PAGE_DIRTY;
  }

  /** {@code pfn_pte()}, for a physical address; the check of the protection is the caller's. */
  @Kernel(
      file = "arch/x86/include/asm/pgtable.h",
      symbol = "pfn_pte",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without check_pgprot(): all protection bits are supported here.")
  static long pfnPte(long paddr, long prot) {
    return ((paddr ^ protnoneMask(prot)) & PTE_PFN_MASK) | prot;
  }

  /** {@code pfn_pmd()}, for a physical address. */
  @Kernel(
      file = "arch/x86/include/asm/pgtable.h",
      symbol = "pfn_pmd",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without check_pgprot(): all protection bits are supported here.")
  static long pfnPmd(long paddr, long prot) {
    return ((paddr ^ protnoneMask(prot)) & PHYSICAL_PMD_PAGE_MASK) | prot;
  }

  /** {@code pfn_pud()}, for a physical address. */
  @Kernel(
      file = "arch/x86/include/asm/pgtable.h",
      symbol = "pfn_pud",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without check_pgprot(): all protection bits are supported here.")
  static long pfnPud(long paddr, long prot) {
    return ((paddr ^ protnoneMask(prot)) & PHYSICAL_PUD_PAGE_MASK) | prot;
  }

  /** {@code pte_pfn()} as a physical address. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pte_pfn")
  static long ptePaddr(long pte) {
    return (pte ^ protnoneMask(pte)) & PTE_PFN_MASK;
  }

  /** {@code pmd_pfn()} as a physical address. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pmd_pfn")
  static long pmdPaddr(long pmd) {
    return (pmd ^ protnoneMask(pmd)) & X86AsmPgtableTypes.pmdPfnMask(pmd);
  }

  /** {@code pud_pfn()} as a physical address. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pud_pfn")
  static long pudPaddr(long pud) {
    return (pud ^ protnoneMask(pud)) & X86AsmPgtableTypes.pudPfnMask(pud);
  }

  /** {@code p4d_pfn()} as a physical address. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "p4d_pfn")
  static long p4dPaddr(long p4d) {
    return p4d & X86AsmPgtableTypes.p4dPfnMask();
  }

  /**
   * {@code pte_none()}; {@code pmd_none()}, {@code pud_none()} and {@code p4d_none()} are alike.
   */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pte_none")
  static boolean none(long entry) {
    return (entry & ~PAGE_KNL_ERRATUM_MASK) == 0;
  }

  /** {@code pgd_none()} with 5 levels: unlike the others, a plain test for zero. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pgd_none")
  static boolean pgdNone(long pgd) {
    return pgd == 0;
  }

  /** {@code pte_present()}: PROT_NONE counts. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pte_present")
  static boolean ptePresent(long pte) {
    return (pte & (PAGE_PRESENT | PAGE_PROTNONE)) != 0;
  }

  /** {@code pmd_present()}: PROT_NONE counts, and a leaf that is being split. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pmd_present")
  static boolean pmdPresent(long pmd) {
    return (pmd & (PAGE_PRESENT | PAGE_PROTNONE | PAGE_PSE)) != 0;
  }

  /** {@code pmd_leaf()}. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pmd_leaf")
  static boolean pmdLeaf(long pmd) {
    return (pmd & PAGE_PSE) != 0;
  }

  /** {@code pud_present()}; {@code p4d_present()} and {@code pgd_present()} are alike. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pud_present")
  static boolean pudPresent(long pud) {
    return (pud & PAGE_PRESENT) != 0;
  }

  /** {@code pud_leaf()}. */
  @Kernel(file = "arch/x86/include/asm/pgtable.h", symbol = "pud_leaf")
  static boolean pudLeaf(long pud) {
    return (pud & PAGE_PSE) != 0;
  }
}
