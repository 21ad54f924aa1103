// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.vmemmap.machine.PageTableFormat;

/**
 * What an architecture adds to its page-table format for the kernel: how entries are made.
 *
 * <p>Levels are those of {@link PageTableFormat}: 0 for pte, 1 for pmd, 2 for pud, 3 for p4d, 4 for
 * pgd; the kernel folds the levels that the format does not have.
 */
public interface ArchPgtable extends PageTableFormat {
  /** PAGE_KERNEL. */
  Prot pageKernel();

  /** PAGE_KERNEL_RO. */
  Prot pageKernelRo();

  /** {@code pfn_pte()}: a base-page leaf. */
  long mkPte(long paddr, Prot prot);

  /** A leaf above the pte level, as {@code pfn_pmd(..., pgprot_4k_2_large(prot))} makes it. */
  long mkLeaf(long paddr, int level, Prot prot);

  /** The entry that points to a kernel table: what {@code pmd_populate_kernel()} and its like store. */
  long mkTable(long paddr, int level);

  /** {@code pte_wrprotect()} as {@code ptep_set_wrprotect()} applies it. */
  long wrprotect(long entry);

  @Override
  default long writableLeaf(long entry) {
    return mkPte(address(entry, 0), pageKernel());
  }

  /** {@code pXd_none()}: nothing is entered; hardware-set bits without a present bit may remain. */
  default boolean none(long entry, int level) {
    return entry == 0;
  }

  /**
   * {@code arch_sync_kernel_mappings()} is called when a table is entered at a level in this mask;
   * bit n stands for level n. 0 for an architecture whose roots share their tables.
   */
  default int pageTableSyncMask() {
    return 0;
  }
}
