// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.TreeMap;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * Groups of memory blocks: the device that added them, so that the policy for zones can look at all
 * of it. A static group is one unit, such as a DIMM; a dynamic one grows and shrinks in units.
 */
@Kernel(file = "drivers/base/memory.c", symbol = "memory_groups")
public final class MemoryGroups {
  private static final int NUMA_NO_NODE = -1;
  private static final int GROUP_SIZE = 64;

  private final Mm mm;
  private final Slab slab;
  private final long memoryBlockSize;
  private final TreeMap<Integer, MemoryGroup> groups = new TreeMap<>();

  MemoryGroups(Mm mm, Slab slab, long memoryBlockSize) {
    this.mm = mm;
    this.slab = slab;
    this.memoryBlockSize = memoryBlockSize;
  }

  private boolean nodePossible(int nid) {
    return nid >= 0 && nid < 1 << mm.config().nodesShift();
  }

  /** Returns the id of the new group, -EINVAL or -ENOMEM. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_group_register")
  private int memoryGroupRegister(int nid, boolean isDynamic, long pages) {
    if (!nodePossible(nid)) {
      return -Errno.EINVAL;
    }
    long va = slab.kzalloc(GROUP_SIZE, NUMA_NO_NODE, "memory_group_register");
    if (va == 0) {
      return -Errno.ENOMEM;
    }
    if (mm.mayFail("xa_alloc")) {
      slab.kfree(va);
      return -Errno.ENOMEM;
    }
    int mgid = 0;
    while (groups.containsKey(mgid)) {
      mgid++;
    }
    groups.put(mgid, new MemoryGroup(nid, isDynamic, pages, va));
    return mgid;
  }

  /**
   * Registers a device that is added and removed as one.
   *
   * @param maxPages all its pages, not 0
   * @return the id, -EINVAL or -ENOMEM
   */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_group_register_static")
  public int memoryGroupRegisterStatic(int nid, long maxPages) {
    return maxPages == 0 ? -Errno.EINVAL : memoryGroupRegister(nid, false, maxPages);
  }

  /**
   * Registers a device whose memory comes in units.
   *
   * @param unitPages a power of two, at least a memory block
   * @return the id, -EINVAL or -ENOMEM
   */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_group_register_dynamic")
  public int memoryGroupRegisterDynamic(int nid, long unitPages) {
    if (Long.bitCount(unitPages) != 1
        || unitPages < memoryBlockSize >>> mm.model().pageShift()) {
      return -Errno.EINVAL;
    }
    return memoryGroupRegister(nid, true, unitPages);
  }

  /** Returns 0; -EINVAL for no such group, -EBUSY while memory blocks belong to it. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_group_unregister")
  public int memoryGroupUnregister(int mgid) {
    MemoryGroup group = groups.get(mgid);
    if (group == null) {
      return -Errno.EINVAL;
    }
    if (!group.memoryBlocks.isEmpty()) {
      return -Errno.EBUSY;
    }
    groups.remove(mgid);
    slab.kfree(group.va);
    return 0;
  }

  /** How many groups there are. */
  public long count() {
    return groups.size();
  }

  /** The group with an id, or null. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_group_find_by_id")
  public @Nullable MemoryGroup memoryGroupFindById(int mgid) {
    return groups.get(mgid);
  }

  /** Calls {@code func} for the dynamic groups of a node (-1: of all) until one returns non-0. */
  @Kernel(file = "drivers/base/memory.c", symbol = "walk_dynamic_memory_groups")
  int walkDynamicMemoryGroups(
      int nid, ToIntFunction<MemoryGroup> func, @Nullable MemoryGroup excluded) {
    int ret = 0;
    for (MemoryGroup group : groups.values()) {
      boolean wanted = nid == NUMA_NO_NODE || group.nid == nid;
      if (!group.isDynamic || group == excluded || !wanted) {
        continue;
      }
      ret = func.applyAsInt(group);
      if (ret != 0) {
        break;
      }
    }
    return ret;
  }
}
