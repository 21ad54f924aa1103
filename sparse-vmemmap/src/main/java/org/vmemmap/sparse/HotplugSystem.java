// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Mm;

/** The objects of memory hotplug of one kernel, tied together. */
public final class HotplugSystem {
  private final Memblock memblock;
  private final MemoryHotplug hotplug;
  private final HotplugLocks locks;
  private final HotplugParams params;
  private final MemoryGroups groups;
  private final OnlineZones zones;
  private final MemoryOnline online;
  private final MemoryBlocks blocks;
  private final NodeDevices nodes;
  private final MemoryAdd add;
  private final MemorySysfs sysfs;

  /**
   * Ties them.
   *
   * @param memoryBlockSize bytes of a memory block
   */
  public HotplugSystem(
      Mm mm,
      Memblock memblock,
      PageAlloc pageAlloc,
      Slab slab,
      SparseVmemmap vmemmap,
      MmInit mmInit,
      MemoryHotplug hotplug,
      IomemResource iomem,
      long memoryBlockSize) {
    this.memblock = memblock;
    this.hotplug = hotplug;
    this.locks = hotplug.locks();
    this.params = new HotplugParams(mm, memblock, memoryBlockSize);
    this.groups = new MemoryGroups(mm, slab, memoryBlockSize);
    this.zones = new OnlineZones(mm, params, groups, hotplug);
    this.online = new MemoryOnline(mm, pageAlloc, vmemmap, hotplug, iomem, locks);
    this.blocks = new MemoryBlocks(mm, slab, online, zones, locks, memoryBlockSize);
    this.nodes = new NodeDevices(mm, slab, blocks);
    this.add = new MemoryAdd(mm, memblock, slab, mmInit, hotplug, iomem, this);
    this.sysfs = new MemorySysfs(mm, this);
  }

  /** Devices of boot memory and of the nodes: driver_init(). The page allocator runs. */
  public void driverInit() {
    online.nodeStatesInit();
    blocks.memoryDevInit();
    nodes.nodeDevInit(memblock);
    hotplug.registerMemoryNotifiers(blocks);
  }

  /** The locks. */
  public HotplugLocks locks() {
    return locks;
  }

  /** Parameters. */
  public HotplugParams params() {
    return params;
  }

  /** Memory groups. */
  public MemoryGroups groups() {
    return groups;
  }

  /** Which zone memory goes online in. */
  public OnlineZones zones() {
    return zones;
  }

  /** Online and offline of pages. */
  public MemoryOnline online() {
    return online;
  }

  /** Memory blocks. */
  public MemoryBlocks blocks() {
    return blocks;
  }

  /** Nodes in sysfs. */
  public NodeDevices nodes() {
    return nodes;
  }

  /** Adding and removing memory. */
  public MemoryAdd add() {
    return add;
  }

  /** The files of memory blocks. */
  public MemorySysfs sysfs() {
    return sysfs;
  }
}
