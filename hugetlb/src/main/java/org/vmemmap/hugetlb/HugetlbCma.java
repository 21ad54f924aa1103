// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.NavigableSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;

/**
 * Gigantic pages from areas that were set aside at boot. {@link #NONE} is the kernel's own answer
 * to a build without CMA, or a boot without {@code hugetlb_cma=}.
 */
public interface HugetlbCma {
  /** No areas. */
  HugetlbCma NONE = new HugetlbCma() {};

  /**
   * Takes a parameter of the command line: null for a name that is none of its own, 0 or -EINVAL.
   */
  default @Nullable Integer earlyParam(String name, @Nullable String value) {
    return null;
  }

  /** {@code hugetlb_cma_reserve()}: sets the areas aside. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "hugetlb_cma_reserve")
  default void hugetlbCmaReserve(BootmemNodes nodes) {}

  /** What areas ask of mm/hugetlb.c. */
  interface BootmemNodes {
    /** {@code hugetlb_bootmem_set_nodes()}, and the {@code hugetlb_bootmem_nodes} that it sets. */
    @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_bootmem_set_nodes")
    NavigableSet<Integer> set();
  }

  /** {@code hugetlb_cma_free_frozen_folio()}. */
  @Kernel(file = "mm/hugetlb_cma.h", symbol = "hugetlb_cma_free_frozen_folio")
  default void hugetlbCmaFreeFrozenFolio(Folio folio) {}

  /** {@code hugetlb_cma_alloc_frozen_folio()}; null when no area has one. */
  @Kernel(file = "mm/hugetlb_cma.h", symbol = "hugetlb_cma_alloc_frozen_folio")
  default @Nullable Folio hugetlbCmaAllocFrozenFolio(
      int order, Gfp gfpMask, int nid, @Nullable Set<Integer> nodemask) {
    return null;
  }

  /** {@code hugetlb_cma_alloc_bootmem()}: linear address, 0 when no area has one. */
  @Kernel(file = "mm/hugetlb_cma.h", symbol = "hugetlb_cma_alloc_bootmem")
  default long hugetlbCmaAllocBootmem(Hstate h, int nid, boolean nodeExact) {
    return 0;
  }

  /** {@code hugetlb_cma_exclusive_alloc()}: gigantic pages come from the areas or not at all. */
  @Kernel(file = "mm/hugetlb_cma.h", symbol = "hugetlb_cma_exclusive_alloc")
  default boolean hugetlbCmaExclusiveAlloc() {
    return false;
  }

  /** {@code hugetlb_cma_total_size()} in bytes. */
  @Kernel(file = "mm/hugetlb_cma.h", symbol = "hugetlb_cma_total_size")
  default long hugetlbCmaTotalSize() {
    return 0;
  }

  /** {@code hugetlb_cma_validate_params()}. */
  @Kernel(file = "mm/hugetlb_cma.h", symbol = "hugetlb_cma_validate_params")
  default void hugetlbCmaValidateParams() {}

  /** {@code hugetlb_early_cma()}: boot pages of this size come from the areas. */
  @Kernel(file = "mm/hugetlb_cma.h", symbol = "hugetlb_early_cma")
  default boolean hugetlbEarlyCma(Hstate h) {
    return false;
  }

  /**
   * {@code cma_validate_zones(m->cma)} of the boot page at the linear address, before patch 14.
   *
   * @return false when its area lies in several zones
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_validate_zones", patches = {14})
  default boolean cmaValidateZones(long va) {
    return true;
  }
}
