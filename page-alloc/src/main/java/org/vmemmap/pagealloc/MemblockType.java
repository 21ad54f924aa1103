// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.types.Kernel;

/** A {@code struct memblock_type}: regions sorted by address that do not overlap. */
@Kernel(file = "include/linux/memblock.h", symbol = "struct memblock_type")
final class MemblockType {
  /** A {@code struct memblock_region}. Bytes; {@code flags} is a set of MEMBLOCK_ bits. */
  @Kernel(file = "include/linux/memblock.h", symbol = "struct memblock_region")
  static final class Region {
    long base;
    long size;
    int flags;
    int nid;

    Region(long base, long size, int nid, int flags) {
      this.base = base;
      this.size = size;
      this.nid = nid;
      this.flags = flags;
    }

    long end() {
      return base + size;
    }
  }

  final String name;
  final List<Region> regions = new ArrayList<>();

  /** Room for this many regions before the array has to be doubled. */
  int max;

  /** Bytes in all regions. */
  long totalSize;

  MemblockType(String name, int max) {
    this.name = name;
    this.max = max;
  }

  int cnt() {
    return regions.size();
  }
}
