// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.Align;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.PgData;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;

/**
 * The devices of memory: /sys/devices/system/memory/memoryN, one for each block of sections, with a
 * state that an administrator changes.
 *
 * <pre>
 *   create_memory_block_devices()   block = kzalloc, device_register, xa_store    each may fail
 *   device_online()                 zone_for_pfn_range, [memmap of the block], online_pages
 *   device_offline()                offline_pages, [memmap of the block]
 *   remove_memory_block_devices()   xa_erase, device_unregister; freed with the last reference
 * </pre>
 *
 * <p>All under device_hotplug_lock, but for boot.
 */
@Kernel(file = "drivers/base/memory.c", symbol = "memory_blocks")
public final class MemoryBlocks {
  private static final int NUMA_NO_NODE = -1;
  private static final int SIZEOF_MEMORY_BLOCK = 1024;

  private final Mm mm;
  private final Mmzone mmzone;
  private final Slab slab;
  private final MemoryOnline online;
  private final OnlineZones zones;
  private final HotplugLocks locks;
  private final long memoryBlockSize;
  private final TreeMap<Long, MemoryBlock> memoryBlocks = new TreeMap<>();
  private int unreleased;
  private long sectionsPerBlock;

  MemoryBlocks(
      Mm mm,
      Slab slab,
      MemoryOnline online,
      OnlineZones zones,
      HotplugLocks locks,
      long memoryBlockSize) {
    this.mm = mm;
    this.mmzone = mm.mmzone();
    this.slab = slab;
    this.online = online;
    this.zones = zones;
    this.locks = locks;
    this.memoryBlockSize = memoryBlockSize;
  }

  /** Bytes of a block. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_block_size_bytes")
  public long memoryBlockSizeBytes() {
    return memoryBlockSize;
  }

  /** Adds who wants to hear of memory that comes and goes. */
  @Kernel(file = "drivers/base/memory.c", symbol = "register_memory_notifier")
  public void registerMemoryNotifier(NotifierChain.Block<MemoryOnline.MemoryNotify> block) {
    online.memoryChain().register(block);
  }

  /** Takes it off. */
  @Kernel(file = "drivers/base/memory.c", symbol = "unregister_memory_notifier")
  public void unregisterMemoryNotifier(NotifierChain.Block<MemoryOnline.MemoryNotify> block) {
    online.memoryChain().unregister(block);
  }

  @Kernel(file = "include/linux/memory.h", symbol = "phys_to_block_id")
  private long physToBlockId(long phys) {
    return phys / memoryBlockSize;
  }

  private long startPfn(MemoryBlock mem) {
    return mmzone.sectionNrToPfn(mem.startSectionNr);
  }

  private long nrPages() {
    return mmzone.pagesPerSection() * sectionsPerBlock;
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "memory_block_release")
  private void memoryBlockRelease(MemoryBlock mem) {
    mm.printk().warnOn(mem.altmap != null, "memory_block_release: mem->altmap");
    unreleased--;
    if (mem.va != 0) {
      slab.kfree(mem.va);
    }
  }

  /** Drops a reference. */
  @Kernel(file = "include/linux/memory.h", symbol = "memory_block_put")
  public void memoryBlockPut(MemoryBlock mem) {
    mem.refs = (int) mm.machine().add("put_device", mem.refs, -1);
    if (mem.refs == 0) {
      memoryBlockRelease(mem);
    }
  }

  /** The block with a number, with a reference; null for none. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_block_get")
  public @Nullable MemoryBlock memoryBlockGet(long blockId) {
    MemoryBlock mem = memoryBlocks.get(blockId);
    if (mem != null) {
      mem.refs = (int) mm.machine().add("get_device", mem.refs, 1);
    }
    return mem;
  }

  // ---- online, offline ----

  /** Returns 0, -EHWPOISON, or what online_pages() says. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_block_online")
  private int memoryBlockOnline(MemoryBlock mem) {
    long startPfn = startPfn(mem);
    long nrPages = nrPages();
    if (mem.nrHwpoison != 0) {
      return -Errno.EHWPOISON;
    }
    Zone zone = zones.zoneForPfnRange(mem.onlineType, mem.nid, mem.group, startPfn, nrPages);
    long nrVmemmapPages = mem.altmap == null ? 0 : mem.altmap.free;
    locks.memHotplugBegin();
    int ret = 0;
    if (nrVmemmapPages != 0) {
      ret = online.mhpInitMemmapOnMemory(startPfn, nrVmemmapPages, zone);
    }
    if (ret == 0) {
      ret =
          online.onlinePages(
              startPfn + nrVmemmapPages, nrPages - nrVmemmapPages, zone, mem.group);
      if (ret == 0) {
        if (nrVmemmapPages != 0) {
          online.adjustPresentPageCount(
              mm.model().pfnToPage(startPfn), mem.group, nrVmemmapPages);
        }
        mem.zone = zone;
      } else if (nrVmemmapPages != 0) {
        online.mhpDeinitMemmapOnMemory(startPfn, nrVmemmapPages);
      }
    }
    locks.memHotplugDone();
    return ret;
  }

  /** Returns 0, -EINVAL for several zones, or what offline_pages() says. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_block_offline")
  private int memoryBlockOffline(MemoryBlock mem) {
    long startPfn = startPfn(mem);
    long nrPages = nrPages();
    Zone zone = mem.zone;
    if (zone == null) {
      return -Errno.EINVAL;
    }
    long nrVmemmapPages = mem.altmap == null ? 0 : mem.altmap.free;
    locks.memHotplugBegin();
    // Before: so that an unpopulated zone is noticed in offline_pages().
    if (nrVmemmapPages != 0) {
      online.adjustPresentPageCount(mm.model().pfnToPage(startPfn), mem.group, -nrVmemmapPages);
    }
    int ret =
        online.offlinePages(startPfn + nrVmemmapPages, nrPages - nrVmemmapPages, zone, mem.group);
    if (ret != 0) {
      if (nrVmemmapPages != 0) {
        online.adjustPresentPageCount(mm.model().pfnToPage(startPfn), mem.group, nrVmemmapPages);
      }
    } else {
      if (nrVmemmapPages != 0) {
        online.mhpDeinitMemmapOnMemory(startPfn, nrVmemmapPages);
      }
      mem.zone = null;
    }
    locks.memHotplugDone();
    return ret;
  }

  /** Returns 0, or the error with the state as it was. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_block_change_state")
  private int memoryBlockChangeState(MemoryBlock mem, int toState, int fromStateReq) {
    if (mem.state != fromStateReq) {
      return -Errno.EINVAL;
    }
    if (toState == MemoryBlock.MEM_OFFLINE) {
      mem.state = MemoryBlock.MEM_GOING_OFFLINE;
    }
    int ret =
        toState == MemoryBlock.MEM_ONLINE ? memoryBlockOnline(mem) : memoryBlockOffline(mem);
    mem.state = ret != 0 ? fromStateReq : toState;
    return ret;
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "memory_subsys_online")
  private int memorySubsysOnline(MemoryBlock mem) {
    if (mem.state == MemoryBlock.MEM_ONLINE) {
      return 0;
    }
    if (mem.onlineType == Mmop.MMOP_OFFLINE) {
      mem.onlineType = Mmop.MMOP_ONLINE;
    }
    int ret = memoryBlockChangeState(mem, MemoryBlock.MEM_ONLINE, MemoryBlock.MEM_OFFLINE);
    mem.onlineType = Mmop.MMOP_OFFLINE;
    return ret;
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "memory_subsys_offline")
  private int memorySubsysOffline(MemoryBlock mem) {
    if (mem.state == MemoryBlock.MEM_OFFLINE) {
      return 0;
    }
    return memoryBlockChangeState(mem, MemoryBlock.MEM_OFFLINE, MemoryBlock.MEM_ONLINE);
  }

  /** Puts a block online as {@code type}: 0, 1 when it is so already, or an error. */
  @Kernel(file = "drivers/base/core.c", symbol = "device_online")
  public int deviceOnline(MemoryBlock mem, Mmop type) {
    locks.needDeviceHotplug("device_online");
    mem.onlineType = type;
    if (!mem.devOffline) {
      return 1;
    }
    int ret = memorySubsysOnline(mem);
    if (ret == 0) {
      mem.devOffline = false;
    }
    return ret;
  }

  /** Puts a block offline: 0, 1 when it is so already, or an error. */
  @Kernel(file = "drivers/base/core.c", symbol = "device_offline")
  public int deviceOffline(MemoryBlock mem) {
    locks.needDeviceHotplug("device_offline");
    if (mem.devOffline) {
      return 1;
    }
    int ret = memorySubsysOffline(mem);
    if (ret == 0) {
      mem.devOffline = true;
    }
    return ret;
  }

  // ---- devices ----

  @Kernel(file = "drivers/base/memory.c", symbol = "__add_memory_block")
  private int addMemoryBlock0(MemoryBlock mem, long blockId) {
    mem.devOffline = mem.state == MemoryBlock.MEM_OFFLINE;
    if (mm.mayFail("device_register")) {
      memoryBlockPut(mem);
      return -Errno.ENOMEM;
    }
    if (mm.mayFail("xa_store")) {
      memoryBlockPut(mem);
      return -Errno.ENOMEM;
    }
    memoryBlocks.put(blockId, mem);
    return 0;
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "early_node_zone_for_memory_block")
  private @Nullable Zone earlyNodeZoneForMemoryBlock(MemoryBlock mem, int nid) {
    PgData pgdat = mm.nodes().nodeData(nid);
    Zone matching = null;
    for (Zone zone : pgdat.zones()) {
      if (!zone.populated() || !zone.intersects(startPfn(mem), nrPages())) {
        continue;
      }
      if (matching != null) {
        return null;
      }
      matching = zone;
    }
    return matching;
  }

  /** Says that boot memory of {@code nid} lies in the block; with a second node it has no zone. */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_block_add_nid_early")
  void memoryBlockAddNidEarly(MemoryBlock mem, int nid) {
    if (mem.nid != nid) {
      mem.zone = mem.nid == NUMA_NO_NODE ? earlyNodeZoneForMemoryBlock(mem, nid) : null;
      mem.nid = nid;
    }
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "add_memory_block")
  private int addMemoryBlock(
      long blockId, int nid, int state, @Nullable VmemAltmap altmap, @Nullable MemoryGroup group) {
    if (memoryBlocks.containsKey(blockId)) {
      return -Errno.EEXIST;
    }
    // The objects of boot memory are not booked: a machine with terabytes has very many.
    boolean early = state == MemoryBlock.MEM_ONLINE;
    long va = early ? 0 : slab.kzalloc(SIZEOF_MEMORY_BLOCK, NUMA_NO_NODE, "add_memory_block");
    if (!early && va == 0) {
      return -Errno.ENOMEM;
    }
    MemoryBlock mem = new MemoryBlock(va, blockId * sectionsPerBlock, state, nid);
    unreleased++;
    int ret = addMemoryBlock0(mem, blockId);
    if (ret != 0) {
      return ret;
    }
    mem.altmap = altmap;
    if (group != null) {
      mem.group = group;
      group.memoryBlocks.addFirst(mem);
    }
    return 0;
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "remove_memory_block")
  private void removeMemoryBlock(MemoryBlock mem) {
    MemoryBlock erased = memoryBlocks.remove(mem.startSectionNr / sectionsPerBlock);
    mm.printk().warnOn(erased == null, "remove_memory_block: xa_erase() == NULL");
    if (mem.group != null) {
      mem.group.memoryBlocks.remove(mem);
      mem.group = null;
    }
    memoryBlockPut(mem);
    memoryBlockPut(mem);
  }

  private boolean misaligned(long start, long size, String func) {
    boolean wrong =
        !Align.isAligned(start, memoryBlockSize) || !Align.isAligned(size, memoryBlockSize);
    return mm.printk().warnOnOnce(wrong, func + ": misaligned");
  }

  /**
   * Makes devices for {@code size} bytes from {@code start}, offline.
   *
   * @return 0; -EINVAL, -EEXIST or -ENOMEM, and then there is none
   */
  @Kernel(file = "drivers/base/memory.c", symbol = "create_memory_block_devices")
  public int createMemoryBlockDevices(
      long start,
      long size,
      int nid,
      @Nullable VmemAltmap altmap,
      @Nullable MemoryGroup group) {
    locks.needDeviceHotplug("create_memory_block_devices");
    long startBlockId = physToBlockId(start);
    long endBlockId = physToBlockId(start + size);
    if (misaligned(start, size, "create_memory_block_devices")) {
      return -Errno.EINVAL;
    }
    int ret = 0;
    long blockId;
    for (blockId = startBlockId; blockId != endBlockId; blockId++) {
      ret = addMemoryBlock(blockId, nid, MemoryBlock.MEM_OFFLINE, altmap, group);
      if (ret != 0) {
        break;
      }
    }
    if (ret != 0) {
      endBlockId = blockId;
      for (blockId = startBlockId; blockId != endBlockId; blockId++) {
        MemoryBlock mem = memoryBlockGet(blockId);
        if (mem != null) {
          removeMemoryBlock(mem);
        }
      }
    }
    return ret;
  }

  /** Removes the devices of {@code size} bytes from {@code start}, which are offline. */
  @Kernel(file = "drivers/base/memory.c", symbol = "remove_memory_block_devices")
  public void removeMemoryBlockDevices(long start, long size, NodeDevices nodes) {
    locks.needDeviceHotplug("remove_memory_block_devices");
    if (misaligned(start, size, "remove_memory_block_devices")) {
      return;
    }
    long endBlockId = physToBlockId(start + size);
    for (long blockId = physToBlockId(start); blockId != endBlockId; blockId++) {
      MemoryBlock mem = memoryBlockGet(blockId);
      if (mm.printk().warnOnOnce(mem == null, "remove_memory_block_devices: !mem")
          || mem == null) {
        continue;
      }
      nodes.unregisterMemoryBlockUnderNodes(mem);
      removeMemoryBlock(mem);
    }
  }

  /**
   * Makes the devices of boot memory, all online.
   *
   * @throws KernelPanic for a block size that is no power of two or less than a section, and when
   *     memory is short
   */
  @Kernel(file = "drivers/base/memory.c", symbol = "memory_dev_init")
  void memoryDevInit() {
    long section = 1L << mm.config().sectionSizeBits();
    if (Long.bitCount(memoryBlockSize) != 1 || memoryBlockSize < section) {
      throw new KernelPanic("Memory block size not suitable: 0x%x".formatted(memoryBlockSize));
    }
    sectionsPerBlock = memoryBlockSize / section;
    long last = -1;
    for (long nr = mmzone.nextPresentSectionNr(-1); nr != -1; nr = mmzone.nextPresentSectionNr(nr)) {
      long blockId = nr / sectionsPerBlock;
      if (blockId == last) {
        continue;
      }
      last = blockId;
      int ret = addMemoryBlock(blockId, NUMA_NO_NODE, MemoryBlock.MEM_ONLINE, null, null);
      if (ret != 0) {
        throw new KernelPanic("memory_dev_init() failed to add memory block: " + ret);
      }
    }
  }

  /** Calls {@code func} for the blocks that the bytes touch until it returns non-0. */
  @Kernel(file = "drivers/base/memory.c", symbol = "walk_memory_blocks")
  public int walkMemoryBlocks(long start, long size, ToIntFunction<MemoryBlock> func) {
    if (size == 0) {
      return 0;
    }
    int ret = 0;
    long endBlockId = physToBlockId(start + size - 1);
    for (long blockId = physToBlockId(start); blockId <= endBlockId && ret == 0; blockId++) {
      MemoryBlock mem = memoryBlockGet(blockId);
      if (mem == null) {
        continue;
      }
      ret = func.applyAsInt(mem);
      memoryBlockPut(mem);
    }
    return ret;
  }

  /** Calls {@code func} for all blocks until it returns non-0. */
  @Kernel(file = "drivers/base/memory.c", symbol = "for_each_memory_block")
  int forEachMemoryBlock(ToIntFunction<MemoryBlock> func) {
    for (MemoryBlock mem : List.copyOf(memoryBlocks.values())) {
      int ret = func.applyAsInt(mem);
      if (ret != 0) {
        return ret;
      }
    }
    return 0;
  }

  /** All blocks, by number. */
  public List<MemoryBlock> all() {
    return List.copyOf(memoryBlocks.values());
  }

  /** How many objects of blocks were made and not released yet, for checks. */
  public int unreleased() {
    return unreleased;
  }

  /** Numbers of all blocks, for a listing of the directory. */
  public List<Long> blockIds() {
    return new ArrayList<>(memoryBlocks.keySet());
  }
}
