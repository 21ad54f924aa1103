// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Kernel;

/** {@code struct dev_dax}: one DAX device, cut from a region. Sizes are in bytes. */
@Kernel(file = "drivers/dax/dax-private.h", symbol = "struct dev_dax")
public final class DevDax {
  final DaxRegion region;
  final List<DevDaxRange> ranges = new ArrayList<>();
  Device dev = new Device("dax", -1);
  DaxDevice daxDev = new DaxDevice(0);
  long align;
  int targetNode;
  boolean dynId;
  int id = -1;
  boolean memmapOnMemory;
  int nextMappingId;
  @Nullable DevPagemap pgmap;
  long pgmapKmemdup;

  /** {@code struct dev_dax_range}: part of a device, at page {@code pgoff} of it. */
  @Kernel(file = "drivers/dax/dax-private.h", symbol = "struct dev_dax_range")
  static final class DevDaxRange {
    final long pgoff;
    Range range;
    @Nullable DaxMapping mapping;

    DevDaxRange(long pgoff, Range range) {
      this.pgoff = pgoff;
      this.range = range;
    }
  }

  /** {@code struct dax_mapping}: the sysfs device that shows one range. */
  @Kernel(file = "drivers/dax/dax-private.h", symbol = "struct dax_mapping")
  static final class DaxMapping {
    final int id;
    int rangeId;

    DaxMapping(int rangeId, int id) {
      this.rangeId = rangeId;
      this.id = id;
    }
  }

  DevDax(DaxRegion region) {
    this.region = region;
  }

  /** The name, as in {@code dax0.0}. */
  public String name() {
    return dev.name();
  }

  /** The region that it was cut from. */
  public DaxRegion region() {
    return region;
  }

  /** Size of its pages in bytes. */
  public long align() {
    return align;
  }

  /** What it consists of, in the order of its pages. */
  public List<Range> ranges() {
    return ranges.stream().map(each -> each.range).toList();
  }

  /** The struct pages of the device while a driver is bound; null before the first time. */
  public @Nullable DevPagemap pgmap() {
    return pgmap;
  }

  /** True when its {@code struct dev_pagemap} is a copy of what its driver's caller had. */
  public boolean hasOwnPgmap() {
    return pgmapKmemdup != 0;
  }

  /** True while a driver is bound. */
  public boolean bound() {
    return dev.driver() != null;
  }
}
