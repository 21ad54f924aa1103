// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import org.vmemmap.types.MmConfig;

/**
 * The kernels for arm64 that the captured cases come from.
 *
 * <pre>
 *                     4K, 16K (Debian)              64K (built for the captures)
 *   word 0            node 4, zone 3, cpupid 17     node 4, zone 2
 *   zones             DMA DMA32 Normal ...          Normal ...
 *   MAX_PAGE_ORDER    10, 11                        13
 *   mem_section       32 bytes, PAGE_EXTENSION      16 bytes
 *   struct pages      part of them late             all at once
 * </pre>
 *
 * No HVO and no deduplication for DAX in any of them; tails point to their heads.
 */
public final class Arm64Config {
  private static final int SIZEOF_STRUCT_PAGE = 64;
  private static final int NODES_SHIFT = 4;

  private Arm64Config() {}

  /** The kernel with pages of this geometry's size, on the CPU that it describes. */
  public static MmConfig of(Arm64Geometry geometry) {
    return switch (geometry.pageShift()) {
      case 12 -> debian(geometry, 10);
      case 14 -> debian(geometry, 11);
      default -> selfBuilt64k(geometry);
    };
  }

  private static MmConfig debian(Arm64Geometry geometry, int maxPageOrder) {
    return make(geometry, 17, maxPageOrder, true);
  }

  /** Built by hand from the defaults: no ZONE_DMA, no NUMA_BALANCING, no PAGE_EXTENSION. */
  private static MmConfig selfBuilt64k(Arm64Geometry geometry) {
    return make(geometry, 0, 13, false);
  }

  /** A hugepage of a pmd is never larger than MAX_PAGE_ORDER allows, and so is a pageblock. */
  private static MmConfig make(
      Arm64Geometry geometry, int lastCpupidBits, int maxPageOrder, boolean distribution) {
    int pageblockOrder = Math.min(geometry.levelShift(1) - geometry.pageShift(), maxPageOrder);
    return new MmConfig.Builder()
        .sizeofStructPage(SIZEOF_STRUCT_PAGE)
        .sectionSizeBits(geometry.sectionSizeBits())
        .maxPhysmemBits(geometry.maxPhysmemBits())
        .nodesShift(NODES_SHIFT)
        .lastCpupidBits(lastCpupidBits)
        .maxPageOrder(maxPageOrder)
        .pageblockOrder(pageblockOrder)
        .zoneDma(distribution)
        .zoneDma32(distribution)
        .pageExtension(distribution)
        .deferredStructPageInit(distribution)
        .hugetlbOptimizeVmemmap(false)
        .sparsememVmemmapPreinit(false)
        .archWantOptimizeDaxVmemmap(false)
        .pgArch3(true)
        .build();
  }
}
