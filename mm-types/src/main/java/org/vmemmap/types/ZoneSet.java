// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.ArrayList;
import java.util.List;

/**
 * The zones that a kernel is built with, in the order of their numbers.
 *
 * <pre>
 *   number           0        1        2         3         4
 *   x86-64, arm64    DMA      DMA32    Normal    Movable   Device
 *   powerpc          Normal   Movable  Device
 * </pre>
 *
 * @param types the zones from number 0 on
 */
@Kernel(file = "include/linux/mmzone.h", symbol = "enum zone_type")
public record ZoneSet(List<ZoneType> types) {
  /** Copies the list. */
  public ZoneSet {
    types = List.copyOf(types);
  }

  /** The zones of a kernel with or without ZONE_DMA and ZONE_DMA32: those above move up. */
  public static ZoneSet of(boolean zoneDma, boolean zoneDma32) {
    List<ZoneType> built = new ArrayList<>(List.of(ZoneType.values()));
    if (!zoneDma) {
      built.remove(ZoneType.ZONE_DMA);
    }
    if (!zoneDma32) {
      built.remove(ZoneType.ZONE_DMA32);
    }
    return new ZoneSet(built);
  }

  /** MAX_NR_ZONES. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "__MAX_NR_ZONES")
  public int maxNrZones() {
    return types.size();
  }

  /** True when the kernel is built with the zone. */
  public boolean has(ZoneType type) {
    return types.contains(type);
  }

  /**
   * The kernel's number of a zone.
   *
   * @throws IllegalArgumentException for a zone that the kernel is built without
   */
  public int number(ZoneType type) {
    int number = types.indexOf(type);
    if (number < 0) {
      throw new IllegalArgumentException(type.name() + ": this kernel is built without");
    }
    return number;
  }

  /** The zone with the number {@code n}, 0 to {@link #maxNrZones()} - 1. */
  public ZoneType of(int n) {
    return types.get(n);
  }
}
