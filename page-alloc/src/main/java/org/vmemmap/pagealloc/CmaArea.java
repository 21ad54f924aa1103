// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.vmemmap.types.Kernel;

/** A {@code struct cma}: memory that is set aside for large allocations. Counts in base pages. */
@Kernel(file = "mm/cma.h", symbol = "struct cma")
public final class CmaArea {
  static final int CMA_MAX_NAME = 64;
  static final int CMA_MAX_RANGES = 8;

  /** {@code enum cma_flags}. */
  @Kernel(file = "mm/cma.h", symbol = "enum cma_flags")
  enum Flag {
    CMA_RESERVE_PAGES_ON_ERROR,
    CMA_ZONES_VALID,
    CMA_ZONES_INVALID,
    CMA_ACTIVATED
  }

  final String name;
  final int orderPerBit;
  final List<CmaMemrange> ranges = new ArrayList<>();
  final Set<Flag> flags = EnumSet.noneOf(Flag.class);
  long count;
  long availableCount;

  /** The area's node, or NUMA_NO_NODE. */
  int nid = Memblock.NUMA_NO_NODE;

  CmaArea(String name, long count, int orderPerBit) {
    this.name = name.length() < CMA_MAX_NAME ? name : name.substring(0, CMA_MAX_NAME - 1);
    this.orderPerBit = orderPerBit;
    this.count = count;
    this.availableCount = count;
  }

  /** {@code cma_bitmap_maxno()}: bits of the range. */
  @Kernel(file = "mm/cma.h", symbol = "cma_bitmap_maxno")
  long cmaBitmapMaxno(CmaMemrange cmr) {
    return cmr.count >>> orderPerBit;
  }

  /** {@code cma_get_name()}. */
  @Kernel(file = "mm/cma.c", symbol = "cma_get_name")
  public String name() {
    return name;
  }

  /** Pages of the area; 0 when it could not be activated. */
  public long count() {
    return count;
  }

  /** Pages that nobody has been given. */
  public long availableCount() {
    return availableCount;
  }

  /** Pages that one bit of the bitmap stands for, as a power of two. */
  public int orderPerBit() {
    return orderPerBit;
  }

  /** True once allocations are possible. */
  public boolean activated() {
    return flags.contains(Flag.CMA_ACTIVATED);
  }

  /** Where the area lies. */
  public List<CmaMemrange> ranges() {
    return List.copyOf(ranges);
  }
}
