// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.types.Kernel;

/**
 * The upcall from {@code sparse_vmemmap_init_nid_early()} into HugeTLB. Sections that it registers
 * with {@link Sparse#sparseInitEarlySection} and {@code SECTION_IS_VMEMMAP_PREINIT} are left alone
 * by the generic code.
 */
@FunctionalInterface
public interface EarlyHook {
  /**
   * {@code hugetlb_vmemmap_init_early()}: populates the memmap of gigantic boot pages of a node.
   */
  @Kernel(file = "mm/hugetlb_vmemmap.h", symbol = "hugetlb_vmemmap_init_early", patches = {16, 30})
  void hugetlbVmemmapInitEarly(int nid);

  /**
   * {@code hugetlb_vmemmap_init_late()}, before patch 16: zones are known now, so the memmap that
   * the early hook only claimed is mapped.
   */
  default void hugetlbVmemmapInitLate(int nid) {}
}
