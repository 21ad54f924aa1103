// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.types.Kernel;

/** {@code struct memory_group}: memory blocks of one device. Counts are in base pages. */
@Kernel(file = "include/linux/memory.h", symbol = "struct memory_group")
public final class MemoryGroup {
  final int nid;
  final boolean isDynamic;
  final long va;

  /** {@code s.max_pages} of a static group, {@code d.unit_pages} of a dynamic one. */
  final long pages;

  final List<MemoryBlock> memoryBlocks = new ArrayList<>();

  /** Pages of the group that are online in a kernel zone. */
  public long presentKernelPages;

  /** Pages of the group that are online in ZONE_MOVABLE. */
  public long presentMovablePages;

  MemoryGroup(int nid, boolean isDynamic, long pages, long va) {
    this.nid = nid;
    this.isDynamic = isDynamic;
    this.pages = pages;
    this.va = va;
  }
}
