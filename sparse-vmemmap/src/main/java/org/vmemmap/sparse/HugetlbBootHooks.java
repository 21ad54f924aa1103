// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.types.Kernel;

/**
 * The upcalls from mm_init.c into HugeTLB, in the order in which boot makes them.
 *
 * <pre>
 *   mm_core_init_early():   zones are known -> hugetlb_cma_reserve -> hugetlb_bootmem_alloc
 *                           -> sections and memmap
 *   page_alloc_init_late(): deferred struct pages are done -> hugetlb_bootmem_struct_page_init
 * </pre>
 */
public interface HugetlbBootHooks {
  /** A kernel without HUGETLB_PAGE. */
  HugetlbBootHooks NONE =
      new HugetlbBootHooks() {
        @Override
        public void hugetlbCmaReserve() {}

        @Override
        public void hugetlbBootmemAlloc() {}

        @Override
        public void hugetlbBootmemStructPageInit() {}
      };

  /** {@code hugetlb_cma_reserve()}: zones are laid out, memblock is in charge. */
  @Kernel(
      file = "include/linux/hugetlb.h",
      symbol = "hugetlb_cma_reserve",
      patches = {11})
  void hugetlbCmaReserve();

  /** {@code hugetlb_bootmem_alloc()}: gigantic pages from memblock. There are no sections yet. */
  @Kernel(
      file = "include/linux/hugetlb.h",
      symbol = "hugetlb_bootmem_alloc",
      patches = {11})
  void hugetlbBootmemAlloc();

  /**
   * {@code hugetlb_bootmem_struct_page_init()}: all struct pages but those of HugeTLB's boot pages
   * are initialised, deferred ones too, and the page allocator runs.
   */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "hugetlb_bootmem_struct_page_init")
  void hugetlbBootmemStructPageInit();
}
