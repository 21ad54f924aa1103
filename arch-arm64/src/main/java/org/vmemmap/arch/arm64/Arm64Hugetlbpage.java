// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import java.util.List;
import org.vmemmap.types.Kernel;

/**
 * Which hugepages there are. Besides the sizes of leaves there are those of contiguous runs of
 * leaves, which one cached translation may cover.
 *
 * <pre>
 *   pages   contiguous ptes    pmd     contiguous pmds    pud
 *    4K           64K            2M          32M           1G
 *   16K            2M           32M           1G
 *   64K            2M          512M          16G
 * </pre>
 *
 * Sizes are in bytes. None of them gives memmap back: there is no HVO on arm64.
 */
@Kernel(file = "arch/arm64/mm/hugetlbpage.c", symbol = "hugetlbpage_init")
public final class Arm64Hugetlbpage {
  private static final int PUD = 2;

  /** HUGE_MAX_HSTATE: the same for all page sizes. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "HUGE_MAX_HSTATE")
  private static final int HUGE_MAX_HSTATE = 4;

  private final Arm64Geometry geometry;

  /** The sizes of a kernel with this geometry. */
  public Arm64Hugetlbpage(Arm64Geometry geometry) {
    this.geometry = geometry;
  }

  /** {@code pud_sect_supported()}. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pud_sect_supported")
  private boolean pudSectSupported() {
    return geometry.leafLevel(PUD);
  }

  /** {@code arch_hugetlb_cma_order()}: of the largest size, in pages. */
  @Kernel(file = "arch/arm64/mm/hugetlbpage.c", symbol = "arch_hugetlb_cma_order")
  public int archHugetlbCmaOrder() {
    long largest = pudSectSupported() ? 1L << geometry.levelShift(PUD) : geometry.contPmdSize();
    return Long.numberOfTrailingZeros(largest) - geometry.pageShift();
  }

  @Kernel(file = "arch/arm64/mm/hugetlbpage.c", symbol = "__hugetlb_valid_size")
  private boolean hugetlbValidSize0(long size) {
    if (size == 1L << geometry.configShift(PUD) && geometry.configLevels() > 2) {
      return pudSectSupported();
    }
    return size == geometry.contPmdSize()
        || size == 1L << geometry.levelShift(1)
        || size == geometry.contPteSize();
  }

  /** {@code arch_hugetlb_migration_supported()}: pages of all sizes can be moved. */
  @Kernel(
      file = "arch/arm64/mm/hugetlbpage.c",
      symbol = "arch_hugetlb_migration_supported",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without the line about an unknown size, which cannot come here.")
  public boolean archHugetlbMigrationSupported(long size) {
    return hugetlbValidSize0(size);
  }

  /** {@code hugetlbpage_init()}: all sizes, in the order in which they are registered. */
  @Kernel(file = "arch/arm64/mm/hugetlbpage.c", symbol = "hugetlbpage_init")
  public List<Long> hugetlbpageInit() {
    long pmdSize = hpageSize();
    List<Long> sizes = List.of(geometry.contPmdSize(), pmdSize, geometry.contPteSize());
    if (!pudSectSupported()) {
      return sizes;
    }
    long pudSize = 1L << geometry.levelShift(PUD);
    return List.of(pudSize, sizes.get(0), sizes.get(1), sizes.get(2));
  }

  /** {@code arch_hugetlb_valid_size()}. */
  @Kernel(file = "arch/arm64/mm/hugetlbpage.c", symbol = "arch_hugetlb_valid_size")
  public boolean archHugetlbValidSize(long size) {
    return hugetlbValidSize0(size);
  }

  /** HUGE_MAX_HSTATE: how many sizes there is room for. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "HUGE_MAX_HSTATE")
  public int hugeMaxHstate() {
    return HUGE_MAX_HSTATE;
  }

  /** HPAGE_SIZE: the default, a pmd's. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "HPAGE_SIZE")
  public long hpageSize() {
    return 1L << geometry.levelShift(1);
  }
}
