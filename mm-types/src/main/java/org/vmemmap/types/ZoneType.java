// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/** {@code enum zone_type} of a 64-bit kernel with all zones; the ordinal is the kernel's number. */
@Kernel(file = "include/linux/mmzone.h", symbol = "enum zone_type")
public enum ZoneType {
  ZONE_DMA(0, "DMA"),
  ZONE_DMA32(1, "DMA32"),
  ZONE_NORMAL(2, "Normal"),
  ZONE_MOVABLE(3, "Movable"),
  ZONE_DEVICE(4, "Device");

  /** MAX_NR_ZONES. */
  public static final int MAX_NR_ZONES = 5;

  private static final ZoneType[] ALL = values();

  private final int number;
  private final String label;

  ZoneType(int number, String label) {
    this.number = number;
    this.label = label;
  }

  /** The name as /proc/zoneinfo prints it. */
  public String label() {
    return label;
  }

  /** The kernel's number. */
  public int number() {
    return number;
  }

  /** The zone with the kernel's number {@code n}. */
  public static ZoneType of(int n) {
    return ALL[n];
  }
}
