// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;

/** Where the page allocator calls up to HugeTLB. {@link #NONE} is a kernel without HugeTLB. */
public interface HugetlbHooks {
  /** Nothing is ever in the way. */
  HugetlbHooks NONE = new HugetlbHooks() {};

  /** {@code replace_free_hugepage_folios()}: 0 or an error; pfns, the end excluded. */
  @Kernel(file = "mm/hugetlb.c", symbol = "replace_free_hugepage_folios")
  default int replaceFreeHugepageFolios(long startPfn, long endPfn) {
    return 0;
  }

  /** {@code isolate_or_dissolve_huge_folio()}: 0, -EBUSY or -ENOMEM. */
  @Kernel(file = "mm/hugetlb.c", symbol = "isolate_or_dissolve_huge_folio")
  default int isolateOrDissolveHugeFolio(Folio folio, ListHead list) {
    return 0;
  }

  /** {@code wait_for_freed_hugetlb_folios()}. */
  @Kernel(file = "mm/hugetlb.c", symbol = "wait_for_freed_hugetlb_folios")
  default void waitForFreedHugetlbFolios() {}
}
