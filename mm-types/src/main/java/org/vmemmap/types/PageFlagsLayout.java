// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * Where section, node and zone lie in word 0 of a struct page, from the top down; in bits.
 *
 * <pre>
 *   63                                                                      0
 *  +---------+------+------+-------------+------- ~ -------+-----------------+
 *  | section | node | zone | last_cpupid |     unused      |    PG_ flags    |
 *  +---------+------+------+-------------+------- ~ -------+-----------------+
 *   0 with SPARSEMEM_VMEMMAP
 * </pre>
 *
 * A field without a width has the shift 0.
 *
 * @param sectionsWidth SECTIONS_WIDTH
 * @param sectionsPgshift SECTIONS_PGSHIFT
 * @param nodesWidth NODES_WIDTH
 * @param nodesPgshift NODES_PGSHIFT
 * @param zonesWidth ZONES_WIDTH
 * @param zonesPgshift ZONES_PGSHIFT
 * @param lastCpupidWidth LAST_CPUPID_WIDTH
 * @param lastCpupidPgshift LAST_CPUPID_PGSHIFT
 */
@Kernel(file = "include/linux/page-flags-layout.h", symbol = "ZONES_WIDTH")
public record PageFlagsLayout(
    int sectionsWidth,
    int sectionsPgshift,
    int nodesWidth,
    int nodesPgshift,
    int zonesWidth,
    int zonesPgshift,
    int lastCpupidWidth,
    int lastCpupidPgshift) {
  /** SECTIONS_MASK. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "SECTIONS_MASK")
  public long sectionsMask() {
    return (1L << sectionsWidth) - 1;
  }

  /** NODES_MASK. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "NODES_MASK")
  public long nodesMask() {
    return (1L << nodesWidth) - 1;
  }

  /** ZONES_MASK. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "ZONES_MASK")
  public long zonesMask() {
    return (1L << zonesWidth) - 1;
  }
}
