// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import org.vmemmap.types.Kernel;

/**
 * The bits of an entry.
 *
 * <pre>
 *   63 62  59 58 57 52 51                 12 11  9  8   7   6   5   4   3   2   1   0
 *  +--+------+--+-----+---------------------+-----+---+---+---+---+---+---+---+---+---+
 *  |NX| PKEY |SD| AVL |   physical address  | AVL | G |PAT| D | A |PCD|PWT| U | W | P |  base page
 *  +--+------+--+-----+-----------------+---+-----+---+---+---+---+---+---+---+---+---+
 *  |NX| PKEY |SD| AVL | address   0...  |PAT| AVL | G |PSE| D | A |PCD|PWT| U | W | P |  large page
 *  +--+------+--+-----+-----------------+---+-----+---+---+---+---+---+---+---+---+---+
 *  |NX|  -   |- | AVL |   physical address  | AVL | - | 0 | D | A |PCD|PWT| U | W | P |  table
 *  +--+------+--+-----+---------------------+-----+---+---+---+---+---+---+---+---+---+
 *  SD: saved dirty, a bit that the CPU leaves to software
 * </pre>
 */
@Kernel(file = "arch/x86/include/asm/pgtable_types.h", symbol = "_PAGE_PRESENT")
final class X86AsmPgtableTypes {
  static final int PAGE_BIT_RW = 1;
  static final int PAGE_BIT_DIRTY = 6;
  static final int PAGE_BIT_PAT = 7;
  static final int PAGE_BIT_PAT_LARGE = 12;
  static final int PAGE_BIT_SAVED_DIRTY = 58;

  static final long PAGE_PRESENT = 1L;
  static final long PAGE_RW = 1L << PAGE_BIT_RW;
  static final long PAGE_USER = 1L << 2;
  static final long PAGE_PWT = 1L << 3;
  static final long PAGE_PCD = 1L << 4;
  static final long PAGE_ACCESSED = 1L << 5;
  static final long PAGE_DIRTY = 1L << PAGE_BIT_DIRTY;
  static final long PAGE_PSE = 1L << 7;
  static final long PAGE_PAT = 1L << PAGE_BIT_PAT;
  static final long PAGE_GLOBAL = 1L << 8;
  static final long PAGE_PAT_LARGE = 1L << PAGE_BIT_PAT_LARGE;
  static final long PAGE_SAVED_DIRTY = 1L << PAGE_BIT_SAVED_DIRTY;
  static final long PAGE_NX = 1L << 63;

  /** Of an entry that is not present, G says that the kernel only pretends so. */
  static final long PAGE_PROTNONE = PAGE_GLOBAL;

  /** Some CPUs set these two in entries that are not present. */
  static final long PAGE_KNL_ERRATUM_MASK = PAGE_DIRTY | PAGE_ACCESSED;

  /** {@code _PAGE_TABLE}: user bit included, also in tables of the kernel half. */
  static final long PAGE_TABLE =
      PAGE_PRESENT | PAGE_RW | PAGE_USER | PAGE_ACCESSED | PAGE_DIRTY;

  static final long PAGE_KERNEL =
      PAGE_PRESENT | PAGE_RW | PAGE_ACCESSED | PAGE_NX | PAGE_DIRTY | PAGE_GLOBAL;

  static final long PAGE_KERNEL_RO = PAGE_PRESENT | PAGE_ACCESSED | PAGE_NX | PAGE_GLOBAL;

  static final long PAGE_KERNEL_LARGE = PAGE_KERNEL | PAGE_PSE;

  /** {@code PTE_PFN_MASK}: physical addresses have 52 bits. */
  static final long PTE_PFN_MASK = (1L << 52) - 1 & -1L << 12;

  static final long PHYSICAL_PMD_PAGE_MASK = PTE_PFN_MASK & -1L << 21;
  static final long PHYSICAL_PUD_PAGE_MASK = PTE_PFN_MASK & -1L << 30;

  private X86AsmPgtableTypes() {}

  /** {@code pmd_pfn_mask()}. */
  @Kernel(file = "arch/x86/include/asm/pgtable_types.h", symbol = "pmd_pfn_mask")
  static long pmdPfnMask(long pmd) {
    return (pmd & PAGE_PSE) != 0 ? PHYSICAL_PMD_PAGE_MASK : PTE_PFN_MASK;
  }

  /** {@code pud_pfn_mask()}. */
  @Kernel(file = "arch/x86/include/asm/pgtable_types.h", symbol = "pud_pfn_mask")
  static long pudPfnMask(long pud) {
    return (pud & PAGE_PSE) != 0 ? PHYSICAL_PUD_PAGE_MASK : PTE_PFN_MASK;
  }

  /** {@code p4d_pfn_mask()}: no leaf exists at this level. */
  @Kernel(file = "arch/x86/include/asm/pgtable_types.h", symbol = "p4d_pfn_mask")
  static long p4dPfnMask() {
    return PTE_PFN_MASK;
  }

  /** {@code protval_4k_2_large()}: PAT moves out of the way of PSE. */
  @Kernel(file = "arch/x86/include/asm/pgtable_types.h", symbol = "protval_4k_2_large")
  static long protval4k2Large(long val) {
    return (val & ~(PAGE_PAT | PAGE_PAT_LARGE))
        | (val & PAGE_PAT) << (PAGE_BIT_PAT_LARGE - PAGE_BIT_PAT);
  }

  /** {@code protval_large_2_4k()}: PAT moves back, PSE is gone. */
  @Kernel(file = "arch/x86/include/asm/pgtable_types.h", symbol = "protval_large_2_4k")
  static long protvalLarge24k(long val) {
    return (val & ~(PAGE_PAT | PAGE_PAT_LARGE))
        | (val & PAGE_PAT_LARGE) >>> (PAGE_BIT_PAT_LARGE - PAGE_BIT_PAT);
  }
}
