// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * The kinds of zone of a 64-bit kernel, from the lowest memory up. Which of them a kernel has, and
 * the number of each, is said by its {@link ZoneSet}.
 */
@Kernel(file = "include/linux/mmzone.h", symbol = "enum zone_type")
public enum ZoneType {
  ZONE_DMA("DMA"),
  ZONE_DMA32("DMA32"),
  ZONE_NORMAL("Normal"),
  ZONE_MOVABLE("Movable"),
  ZONE_DEVICE("Device");

  private final String label;

  ZoneType(String label) {
    this.label = label;
  }

  /** The name as /proc/zoneinfo prints it. */
  public String label() {
    return label;
  }

  /** True for ZONE_NORMAL and the zones below: memory that the kernel itself can use. */
  public boolean upToNormal() {
    return compareTo(ZONE_NORMAL) <= 0;
  }
}
