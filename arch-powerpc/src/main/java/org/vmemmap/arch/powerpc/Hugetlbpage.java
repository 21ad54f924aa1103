// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import java.util.stream.LongStream;
import org.vmemmap.types.Kernel;

/**
 * Which hugepages there are. Sizes are in bytes.
 *
 * <pre>
 *   radix            2 MiB, 1 GiB
 *   hash             none
 *   hash, 16M pages  16 MiB; 16 GiB only as pages that the hypervisor has set aside
 * </pre>
 *
 * @param geometry MMU and page size
 * @param has16mPages hash only: the firmware offers 16 MiB pages
 * @param has16gPages hash only: the firmware offers 16 GiB pages
 */
@Kernel(file = "arch/powerpc/mm/hugetlbpage.c", symbol = "hugetlbpage_init")
public record Hugetlbpage(PowerpcGeometry geometry, boolean has16mPages, boolean has16gPages) {
  private static final int SHIFT_2M = 21;
  private static final int SHIFT_1G = 30;
  private static final int SHIFT_16G = 34;

  /** HPAGE_SHIFT: log2 of the default size; 0 for a CPU without hugepages. */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/hugetlbpage.c",
      symbol = "hugetlbpage_init_defaultsize")
  public int hpageShift() {
    if (geometry.radixEnabled()) {
      return SHIFT_2M;
    }
    return has16mPages ? PowerpcGeometry.SHIFT_16M : 0;
  }

  /** HPAGE_SIZE in bytes; 0 for a CPU without hugepages. */
  public long hpageSize() {
    return hpageShift() == 0 ? 0 : 1L << hpageShift();
  }

  /** {@code pageblock_order}: a hugepage, if there is one; never more than the allocator has. */
  @Kernel(file = "mm/mm_init.c", symbol = "set_pageblock_order")
  public int pageblockOrder(int maxPageOrder) {
    if (hpageShift() > geometry.pageShift()) {
      return Math.min(hpageShift() - geometry.pageShift(), maxPageOrder);
    }
    return maxPageOrder;
  }

  /** {@code arch_hugetlb_valid_size()}. */
  @Kernel(file = "arch/powerpc/mm/hugetlbpage.c", symbol = "arch_hugetlb_valid_size")
  public boolean archHugetlbValidSize(long size) {
    if (size <= 1L << geometry.pageShift() || Long.bitCount(size) != 1) {
      return false;
    }
    int shift = Long.numberOfTrailingZeros(size);
    if (geometry.radixEnabled()) {
      return shift == SHIFT_2M || shift == SHIFT_1G;
    }
    return (shift == PowerpcGeometry.SHIFT_16M && has16mPages)
        || (shift == SHIFT_16G && has16gPages);
  }

  /** {@code hugetlbpage_init()}: the sizes that it registers, in ascending order. */
  @Kernel(file = "arch/powerpc/mm/hugetlbpage.c", symbol = "hugetlbpage_init")
  public long[] hugetlbpageInit() {
    if (!geometry.radixEnabled() && !has16mPages) {
      return new long[0];
    }
    return LongStream.of(SHIFT_2M, PowerpcGeometry.SHIFT_16M, SHIFT_1G, SHIFT_16G)
        .map(shift -> 1L << shift)
        .filter(this::archHugetlbValidSize)
        .toArray();
  }

  /** {@code gigantic_page_runtime_supported()}: under a hypervisor not with hash. */
  @Kernel(
      file = "arch/powerpc/include/asm/book3s/64/hugetlb.h",
      symbol = "gigantic_page_runtime_supported")
  public boolean giganticPageRuntimeSupported() {
    return geometry.radixEnabled();
  }

  /** {@code hugetlb_node_alloc_supported()}: {@code hugepages=<node>:<n>} is refused. */
  @Kernel(file = "arch/powerpc/mm/hugetlbpage.c", symbol = "hugetlb_node_alloc_supported")
  public boolean hugetlbNodeAllocSupported() {
    return false;
  }

  /** {@code arch_hugetlb_migration_supported()}: a hugepage can be moved if it is a leaf. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "arch_hugetlb_migration_supported")
  public boolean archHugetlbMigrationSupported(long size) {
    int shift = Long.numberOfTrailingZeros(size);
    return shift == geometry.levelShift(1)
        || shift == geometry.levelShift(2)
        || shift == geometry.levelShift(3);
  }

  /**
   * {@code arch_hugetlb_cma_order()}: with hash, a hypervisor hands out pages of 16 GiB itself, and
   * there always is one here.
   */
  @Kernel(file = "arch/powerpc/mm/hugetlbpage.c", symbol = "arch_hugetlb_cma_order")
  public int archHugetlbCmaOrder() {
    return geometry.radixEnabled() ? geometry.levelShift(2) - geometry.pageShift() : 0;
  }

  /**
   * {@code arch_has_huge_bootmem_alloc()}: gigantic pages at boot come from a list of the
   * hypervisor, which is empty here.
   */
  @Kernel(
      file = "arch/powerpc/include/asm/book3s/64/hugetlb.h",
      symbol = "arch_has_huge_bootmem_alloc")
  public boolean archHasHugeBootmemAlloc() {
    return !geometry.radixEnabled();
  }
}
