// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.List;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;

/** What HugeTLB asks of an architecture: which sizes there are. Sizes are in bytes. */
public interface HugetlbArch {
  /** HPAGE_SIZE: the size that always exists; 0 for a CPU without hugepages. */
  long hpageSize();

  /** {@code arch_hugetlb_valid_size()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "arch_hugetlb_valid_size")
  boolean archHugetlbValidSize(long size);

  /** Sizes that the architecture's own initcall registers besides HPAGE_SIZE. */
  List<Long> initcallSizes();

  /** HUGE_MAX_HSTATE: how many sizes there can be; an architecture may have room for more. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "HUGE_MAX_HSTATE")
  default int hugeMaxHstate() {
    return 1 + initcallSizes().size();
  }

  /** {@code arch_hugetlb_migration_supported()}: leaves of a table level can be moved. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "arch_hugetlb_migration_supported")
  boolean archHugetlbMigrationSupported(long size);

  /** {@code gigantic_page_runtime_supported()}. */
  @Kernel(file = "include/asm-generic/hugetlb.h", symbol = "gigantic_page_runtime_supported")
  default boolean giganticPageRuntimeSupported() {
    return true;
  }

  /** {@code hugetlb_node_alloc_supported()}. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_node_alloc_supported")
  default boolean hugetlbNodeAllocSupported() {
    return true;
  }

  /**
   * {@code arch_hugetlb_cma_order()}: order of the pages that CMA areas are cut for; 0 for an
   * architecture that wants no such areas.
   */
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "arch_hugetlb_cma_order")
  default int archHugetlbCmaOrder() {
    return 0;
  }

  /** {@code arch_has_huge_bootmem_alloc()}: boot pages come from a list of the firmware. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "arch_has_huge_bootmem_alloc")
  default boolean archHasHugeBootmemAlloc() {
    return false;
  }

  /** {@code arch_clear_hugetlb_flags()}: flags that the architecture keeps on a page in use. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "arch_clear_hugetlb_flags")
  default void archClearHugetlbFlags(Folio folio) {}

  /**
   * An architecture whose leaves come in the given sizes, all movable.
   *
   * @param hpageSize the size that always exists
   * @param more other sizes; the initcall registers them all
   */
  static HugetlbArch of(long hpageSize, Long... more) {
    return withCma(0, hpageSize, more);
  }

  /** The same, with CMA areas for pages of 2^{@code cmaOrder} base pages. */
  static HugetlbArch withCma(int cmaOrder, long hpageSize, Long... more) {
    List<Long> others = List.of(more);
    return new HugetlbArch() {
      @Override
      public long hpageSize() {
        return hpageSize;
      }

      @Override
      public boolean archHugetlbValidSize(long size) {
        return size == hpageSize || others.contains(size);
      }

      @Override
      public List<Long> initcallSizes() {
        return others;
      }

      @Override
      public boolean archHugetlbMigrationSupported(long size) {
        return archHugetlbValidSize(size);
      }

      @Override
      public int archHugetlbCmaOrder() {
        return cmaOrder;
      }
    };
  }
}
