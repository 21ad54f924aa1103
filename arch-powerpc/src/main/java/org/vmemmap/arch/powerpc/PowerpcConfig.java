// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import org.vmemmap.types.MmConfig;

/**
 * The two kernels that Debian builds for ppc64el: one with 4K, one with 64K pages. Both have both
 * MMUs, so the MMU is no part of the configuration; pageblock_order is set at boot, when the sizes
 * of hugepages are known.
 *
 * <pre>
 *   word 0 of a struct page, both kernels
 *   63      56 55  54 53           35 34                  24 23           0
 *  +----------+------+---------------+----------------------+--------------+
 *  | node   8 | zone | last_cpupid 19|                      |   PG_ flags  |
 *  +----------+------+---------------+----------------------+--------------+
 *   zones: 0 Normal, 1 Movable, 2 Device
 * </pre>
 */
public final class PowerpcConfig {
  private static final int SIZEOF_STRUCT_PAGE = 64;
  private static final long ILLEGAL_POINTER_VALUE = 0x5dea_dbee_f000_0000L;
  private static final int NODES_SHIFT = 8;
  private static final int LAST_CPUPID_BITS = 19;
  private static final int MAX_PAGE_ORDER_4K = 12;
  private static final int MAX_PAGE_ORDER_64K = 8;

  private PowerpcConfig() {}

  /** ARCH_FORCE_MAX_ORDER: 16 MiB in both kernels. */
  public static int maxPageOrder(PowerpcGeometry geometry) {
    return geometry.pageShift() == PowerpcGeometry.SHIFT_4K
        ? MAX_PAGE_ORDER_4K
        : MAX_PAGE_ORDER_64K;
  }

  /**
   * The Debian kernel with the page size of {@code geometry}, on its MMU.
   *
   * @param has16mPages hash only: the firmware offers 16 MiB pages
   */
  public static MmConfig debian(PowerpcGeometry geometry, boolean has16mPages) {
    int maxPageOrder = maxPageOrder(geometry);
    Hugetlbpage hugetlb = new Hugetlbpage(geometry, has16mPages, false);
    return new MmConfig.Builder()
        .sizeofStructPage(SIZEOF_STRUCT_PAGE)
        .sectionSizeBits(geometry.sectionSizeBits())
        .maxPhysmemBits(geometry.maxPhysmemBits())
        .nodesShift(NODES_SHIFT)
        .lastCpupidBits(LAST_CPUPID_BITS)
        .maxPageOrder(maxPageOrder)
        .pageblockOrder(hugetlb.pageblockOrder(maxPageOrder))
        .zoneDma(false)
        .zoneDma32(false)
        .hugetlbOptimizeVmemmap(false)
        .sparsememVmemmapPreinit(false)
        .pgArch2(false)
        .illegalPointerValue(ILLEGAL_POINTER_VALUE)
        .build();
  }
}
