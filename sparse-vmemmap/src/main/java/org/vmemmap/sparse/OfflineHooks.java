// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;

/**
 * What offlining asks of HugeTLB. Who moves pages is {@link org.vmemmap.pagealloc.PageMigration}.
 */
public interface OfflineHooks {
  /** Nobody: nothing to dissolve. */
  OfflineHooks NONE = new OfflineHooks() {};

  /** Gives free hugepages of the range back to the page allocator; 0 or an error. */
  @Kernel(file = "mm/hugetlb.c", symbol = "dissolve_free_hugetlb_folios")
  default int dissolveFreeHugetlbFolios(long startPfn, long endPfn) {
    return 0;
  }

  /** True for a hugepage that is mapped and can be moved. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "folio_test_hugetlb_migratable")
  default boolean folioTestHugetlbMigratable(Folio folio) {
    return false;
  }
}
