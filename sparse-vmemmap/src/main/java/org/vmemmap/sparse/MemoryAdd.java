// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.MemoryHotplug.MhpParams;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Resource;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.ZoneType;

/**
 * Memory that is added and removed while the system runs.
 *
 * <pre>
 *   __add_memory()            a resource for the range                        -E2BIG, -EEXIST
 *     __add_memory_resource() memblock, where it is kept; the node            -ENOMEM
 *       arch_add_memory()     direct map and memmap                           and back again
 *       memory block devices  offline                                         and back again
 *     or, self-hosted,        both for one block after the other, each with an altmap of its own
 *   try_remove_memory()       the same backwards, when all blocks are offline
 * </pre>
 *
 * <p>An altmap belongs to its block: it is freed when the memmap that it holds is gone, and must be
 * empty by then. The firmware's own memory map in sysfs is not modelled.
 */
@Kernel(file = "mm/memory_hotplug.c", symbol = "add_memory_resource")
public final class MemoryAdd {
  /** No flags. */
  public static final int MHP_NONE = 0;

  /** Resources that touch may become one. */
  public static final int MHP_MERGE_RESOURCE = 1 << 0;

  /** The memmap may lie in the added memory. */
  public static final int MHP_MEMMAP_ON_MEMORY = 1 << 1;

  /** The node is the id of a memory group. */
  public static final int MHP_NID_IS_MGID = 1 << 2;

  private static final int NUMA_NO_NODE = -1;
  private static final int SIZEOF_VMEM_ALTMAP = 64;
  private static final String SYSTEM_RAM = "System RAM";

  private final Mm mm;
  private final Printk printk;
  private final Memblock memblock;
  private final Slab slab;
  private final MmInit mmInit;
  private final MemoryHotplug hotplug;
  private final IomemResource iomem;
  private final HotplugSystem parts;
  private final IdentityHashMap<VmemAltmap, Long> altmaps = new IdentityHashMap<>();

  MemoryAdd(
      Mm mm,
      Memblock memblock,
      Slab slab,
      MmInit mmInit,
      MemoryHotplug hotplug,
      IomemResource iomem,
      HotplugSystem parts) {
    this.mm = mm;
    this.printk = mm.printk();
    this.memblock = memblock;
    this.slab = slab;
    this.mmInit = mmInit;
    this.hotplug = hotplug;
    this.iomem = iomem;
    this.parts = parts;
  }

  /** Altmaps that are allocated. */
  public int altmapsInUse() {
    return altmaps.size();
  }

  private long blockSize() {
    return parts.blocks().memoryBlockSizeBytes();
  }

  /** A resource, or the error code with a null resource: ERR_PTR. */
  private record ResourceOrErr(@Nullable Resource res, int err) {}

  @Kernel(file = "mm/memory_hotplug.c", symbol = "register_memory_resource")
  private ResourceOrErr registerMemoryResource(long start, long size, String name) {
    long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
    if (!name.equals(SYSTEM_RAM)) {
      flags |= Resource.IORESOURCE_SYSRAM_DRIVER_MANAGED;
    }
    if (!hotplug.mhpRangeAllowed(start, size, true)) {
      return new ResourceOrErr(null, -Errno.E2BIG);
    }
    Resource res = iomem.requestRegion(iomem.iomemResource(), start, size, name, flags);
    return new ResourceOrErr(res, res == null ? -Errno.EEXIST : 0);
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "release_memory_resource")
  private void releaseMemoryResource(Resource res) {
    iomem.releaseResource(res);
  }

  // ---- nodes ----

  @Kernel(file = "mm/memory_hotplug.c", symbol = "hotadd_init_pgdat")
  private @Nullable PgData hotaddInitPgdat(int nid) {
    PgData pgdat = mm.nodes().possibleNodeData(nid);
    if (mmInit.freeAreaInitCoreHotplug(pgdat) != 0) {
      return null;
    }
    return pgdat;
  }

  /** Returns 1 for a new node, 0 when it is online already, -ENOMEM. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "__try_online_node")
  private int tryOnlineNode0(int nid, boolean setNodeOnline) {
    if (mm.nodes().nodeOnline(nid)) {
      return 0;
    }
    if (hotaddInitPgdat(nid) == null) {
      printk.prErr("Cannot online node " + nid + " due to NULL pgdat");
      return -Errno.ENOMEM;
    }
    if (setNodeOnline) {
      mm.nodes().nodeSetOnline(nid);
      printk.bugOn(parts.nodes().registerNode(nid) != 0, "__try_online_node: register_node()");
    }
    return 1;
  }

  /** Puts a node without memory online, as for a CPU on it: 1, 0 or -ENOMEM. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "try_online_node")
  public int tryOnlineNode(int nid) {
    parts.locks().memHotplugBegin();
    int ret = tryOnlineNode0(nid, true);
    parts.locks().memHotplugDone();
    return ret;
  }

  @Kernel(
      file = "mm/memory_hotplug.c",
      symbol = "check_cpu_on_node",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "CPUs are on no node here; the first node counts as theirs.")
  private int checkCpuOnNode(int nid) {
    return mm.nodes().online().getFirst().nodeId() == nid ? -Errno.EBUSY : 0;
  }

  /** Takes a node offline that has neither memory nor CPUs. Under device_hotplug_lock. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "try_offline_node")
  public void tryOfflineNode(int nid) {
    parts.locks().needDeviceHotplug("try_offline_node");
    if (mm.nodes().nodeData(nid).nodeSpannedPages != 0) {
      return;
    }
    // An offline block is not spanned, yet it can go online later.
    if (parts.blocks().forEachMemoryBlock(mem -> mem.nid == nid ? -Errno.EEXIST : 0) != 0) {
      return;
    }
    if (checkCpuOnNode(nid) != 0) {
      return;
    }
    mm.nodes().nodeSetOffline(nid);
    parts.nodes().unregisterNode(nid);
  }

  // ---- self-hosted memmap ----

  /** Whole blocks only. Returns 0 or -EINVAL. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "check_hotplug_memory_range")
  private int checkHotplugMemoryRange(long start, long size) {
    if (size == 0 || !Align.isAligned(start | size, blockSize())) {
      printk.prErr(
          "Block size [0x%x] unaligned hotplug range: start 0x%x, size 0x%x"
              .formatted(blockSize(), start, size));
      return -Errno.EINVAL;
    }
    return 0;
  }

  /**
   * Whether added memory can host its memmap: turned on, whole pages and pageblocks, something left
   * of the block, and the architecture agrees.
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mhp_supports_memmap_on_memory")
  public boolean mhpSupportsMemmapOnMemory() {
    HotplugParams params = parts.params();
    long vmemmapSize = params.memoryBlockMemmapSize();
    long memmapPages = params.memoryBlockMemmapOnMemoryPages();
    if (!params.mhpMemmapOnMemory() || !Align.isAligned(vmemmapSize, mm.model().pageSize())) {
      return false;
    }
    if (!Align.isAligned(memmapPages, mm.mmzone().pageblockNrPages())) {
      return false;
    }
    if (memmapPages == blockSize() >>> mm.model().pageShift()) {
      return false;
    }
    return hotplug.archSupportsMemmapOnMemory(vmemmapSize);
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "altmap_free")
  private void altmapFree(@Nullable VmemAltmap altmap) {
    if (altmap == null) {
      throw new KernelBug("NULL pointer dereference: altmap->alloc");
    }
    printk.warnOnOnce(altmap.alloc != 0, "Altmap not fully unmapped");
    Long va = altmaps.remove(altmap);
    if (va != null) {
      slab.kfree(va);
    }
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "remove_memory_blocks_and_altmaps")
  private void removeMemoryBlocksAndAltmaps(long start, long size) {
    long step = blockSize();
    for (long at = start; at < start + size; at += step) {
      MemoryBlock mem = parts.blocks().memoryBlockGet(at / step);
      if (printk.warnOnOnce(mem == null, "remove_memory_blocks_and_altmaps: !mem") || mem == null) {
        continue;
      }
      VmemAltmap altmap = mem.altmap;
      mem.altmap = null;
      parts.blocks().memoryBlockPut(mem);
      parts.blocks().removeMemoryBlockDevices(at, step, parts.nodes());
      hotplug.archRemoveMemory(at, step, altmap, null);
      unbookAltmap(at, step);
      altmapFree(altmap);
    }
  }

  private void unbookAltmap(long start, long size) {
    parts.online().unbookAltmap(mm.model().physPfn(start), size >>> mm.model().pageShift());
  }

  /** {@code kmemdup()} of the altmap of one block; null for -ENOMEM. */
  private @Nullable VmemAltmap newAltmap(long start) {
    long va = slab.kzalloc(SIZEOF_VMEM_ALTMAP, NUMA_NO_NODE, "create_altmaps_and_memory_blocks");
    if (va == 0) {
      return null;
    }
    VmemAltmap altmap = new VmemAltmap();
    altmap.basePfn = mm.model().physPfn(start);
    altmap.endPfn = mm.model().physPfn(start + blockSize() - 1);
    altmap.free = parts.params().memoryBlockMemmapOnMemoryPages();
    altmaps.put(altmap, va);
    return altmap;
  }

  /** Adds one block with its memmap inside: 0, -ENOMEM, or what the steps return. */
  private int createAltmapAndMemoryBlock(int nid, @Nullable MemoryGroup group, long start) {
    VmemAltmap altmap = newAltmap(start);
    if (altmap == null) {
      return -Errno.ENOMEM;
    }
    int ret = hotplug.archAddMemory(nid, start, blockSize(), new MhpParams(altmap, null));
    if (ret < 0) {
      unbookAltmap(start, blockSize());
      altmapFree(altmap);
      return ret;
    }
    ret = parts.blocks().createMemoryBlockDevices(start, blockSize(), nid, altmap, group);
    if (ret != 0) {
      // Before 7.2 the memmap was freed as if it were in RAM.
      VmemAltmap from = mm.series().unmapsFailedBlockFromAltmap() ? altmap : null;
      hotplug.archRemoveMemory(start, blockSize(), from, null);
      unbookAltmap(start, blockSize());
      altmapFree(altmap);
    }
    return ret;
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "create_altmaps_and_memory_blocks")
  private int createAltmapsAndMemoryBlocks(
      int nid, @Nullable MemoryGroup group, long start, long size) {
    for (long at = start; at < start + size; at += blockSize()) {
      int ret = createAltmapAndMemoryBlock(nid, group, at);
      if (ret != 0) {
        if (at != start) {
          removeMemoryBlocksAndAltmaps(start, at - start);
        }
        return ret;
      }
    }
    return 0;
  }

  // ---- add ----

  /** Memmap and devices of the range, in either way; 0 or an error with both gone. */
  private int addMemmapAndBlocks(
      int nid, @Nullable MemoryGroup group, long start, long size, int mhpFlags) {
    if ((mhpFlags & MHP_MEMMAP_ON_MEMORY) != 0 && mhpSupportsMemmapOnMemory()) {
      return createAltmapsAndMemoryBlocks(nid, group, start, size);
    }
    int ret = hotplug.archAddMemory(nid, start, size, new MhpParams(null, null));
    if (ret < 0) {
      return ret;
    }
    ret = parts.blocks().createMemoryBlockDevices(start, size, nid, null, group);
    if (ret != 0) {
      hotplug.archRemoveMemory(start, size, null, null);
    }
    return ret;
  }

  /** The new node online and in sysfs: 1, 0 when it was online, or the error. */
  private int bringUpNode(int nid) {
    int ret = tryOnlineNode0(nid, false);
    if (ret <= 0) {
      return ret;
    }
    mm.nodes().nodeSetOnline(nid);
    ret = parts.nodes().registerNode(nid);
    if (printk.warnOn(ret != 0, "__add_memory_resource: register_node()")) {
      mm.nodes().nodeSetOffline(nid);
      return ret;
    }
    return 1;
  }

  /** The part under mem_hotplug_lock. */
  private int addLocked(
      int nid, @Nullable MemoryGroup group, Resource res, int mhpFlags) {
    long start = res.start;
    long size = res.size();
    boolean keep = hotplug.archKeepMemblock();
    if (keep) {
      boolean managed = (res.flags & Resource.IORESOURCE_SYSRAM_DRIVER_MANAGED) != 0;
      int flags = managed ? Memblock.MEMBLOCK_DRIVER_MANAGED : Memblock.MEMBLOCK_NONE;
      int ret = memblock.memblockAddNode(start, size, nid, flags);
      if (ret != 0) {
        return ret;
      }
    }
    int ret = bringUpNode(nid);
    boolean newNode = ret > 0;
    if (ret >= 0) {
      ret = addMemmapAndBlocks(nid, group, start, size, mhpFlags);
      if (ret != 0 && newNode) {
        mm.nodes().nodeSetOffline(nid);
        parts.nodes().unregisterNode(nid);
      }
    }
    if (ret != 0) {
      if (keep) {
        memblock.memblockRemove(start, size);
      }
      return ret;
    }
    parts.nodes().registerMemoryBlocksUnderNodeHotplug(nid, start, size);
    return 0;
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "__add_memory_resource")
  private int addMemoryResource0(int nid, Resource res, int mhpFlags, Mmop onlineType) {
    parts.locks().needDeviceHotplug("__add_memory_resource");
    long start = res.start;
    long size = res.size();
    int ret = checkHotplugMemoryRange(start, size);
    if (ret != 0) {
      return ret;
    }
    MemoryGroup group = null;
    if ((mhpFlags & MHP_NID_IS_MGID) != 0) {
      group = parts.groups().memoryGroupFindById(nid);
      if (group == null) {
        return -Errno.EINVAL;
      }
      nid = group.nid;
    }
    if (printk.warnOn(
        nid < 0 || nid >= 1 << mm.config().nodesShift(),
        "node " + nid + " was absent from the node_possible_map")) {
      return -Errno.EINVAL;
    }
    parts.locks().memHotplugBegin();
    ret = addLocked(nid, group, res, mhpFlags);
    parts.locks().memHotplugDone();
    if (ret != 0) {
      return ret;
    }
    if ((mhpFlags & MHP_MERGE_RESOURCE) != 0) {
      iomem.mergeSystemRamResource(res);
    }
    if (onlineType != Mmop.MMOP_OFFLINE) {
      parts
          .blocks()
          .walkMemoryBlocks(start, size, mem -> parts.blocks().deviceOnline(mem, onlineType));
    }
    return ret;
  }

  /** Adds the memory of a resource; it goes online as the default says. See {@link #addMemory}. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "add_memory_resource")
  public int addMemoryResource(int nid, Resource res, int mhpFlags) {
    return addMemoryResource0(nid, res, mhpFlags, parts.params().mhpGetDefaultOnlineType());
  }

  /** {@link #addMemory} for who holds device_hotplug_lock. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "__add_memory")
  public int addMemory0(int nid, long start, long size, int mhpFlags) {
    ResourceOrErr made = registerMemoryResource(start, size, SYSTEM_RAM);
    if (made.res == null) {
      return made.err;
    }
    int ret = addMemoryResource(nid, made.res, mhpFlags);
    if (ret < 0) {
      releaseMemoryResource(made.res);
    }
    return ret;
  }

  /**
   * Adds {@code size} bytes of system memory from {@code start}.
   *
   * @param nid the node, or a memory group with MHP_NID_IS_MGID
   * @return 0; -E2BIG, -EEXIST, -EINVAL or -ENOMEM, and then nothing is left of it
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "add_memory")
  public int addMemory(int nid, long start, long size, int mhpFlags) {
    parts.locks().lockDeviceHotplug();
    int rc = addMemory0(nid, start, size, mhpFlags);
    parts.locks().unlockDeviceHotplug();
    return rc;
  }

  /**
   * Adds memory that a driver found, under the name "System RAM (driver)".
   *
   * @return as {@link #addMemory}; -EINVAL for another name
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "__add_memory_driver_managed")
  public int addMemoryDriverManaged0(
      int nid, long start, long size, String resourceName, int mhpFlags, Mmop onlineType) {
    if (!resourceName.startsWith("System RAM (") || !resourceName.endsWith(")")) {
      return -Errno.EINVAL;
    }
    parts.locks().lockDeviceHotplug();
    ResourceOrErr made = registerMemoryResource(start, size, resourceName);
    int rc = made.err;
    if (made.res != null) {
      rc = addMemoryResource0(nid, made.res, mhpFlags, onlineType);
      if (rc < 0) {
        releaseMemoryResource(made.res);
      }
    }
    parts.locks().unlockDeviceHotplug();
    return rc;
  }

  /** The same with the default for going online. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "add_memory_driver_managed")
  public int addMemoryDriverManaged(
      int nid, long start, long size, String resourceName, int mhpFlags) {
    return addMemoryDriverManaged0(
        nid, start, size, resourceName, mhpFlags, parts.params().mhpGetDefaultOnlineType());
  }

  // ---- remove ----

  @Kernel(file = "mm/memory_hotplug.c", symbol = "check_memblock_offlined_cb")
  private int checkMemblockOfflined(MemoryBlock mem, int[] nid) {
    nid[0] = mem.nid;
    if (mem.state != MemoryBlock.MEM_OFFLINE) {
      long beginpa = mm.model().pfnPhys(mm.mmzone().sectionNrToPfn(mem.startSectionNr));
      printk.prWarn(
          "removing memory fails, because memory [0x%016x-0x%016x] is onlined"
              .formatted(beginpa, beginpa + blockSize() - 1));
      return -Errno.EBUSY;
    }
    return 0;
  }

  /** Returns 1 when all blocks have altmaps, 0 when none has, -EINVAL. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "memory_blocks_have_altmaps")
  private int memoryBlocksHaveAltmaps(long start, long size) {
    if (!parts.params().mhpMemmapOnMemory()) {
      return 0;
    }
    long[] numAltmaps = {0};
    parts
        .blocks()
        .walkMemoryBlocks(
            start,
            size,
            mem -> {
              numAltmaps[0] += mem.altmap != null ? 1 : 0;
              return 0;
            });
    if (numAltmaps[0] == 0) {
      return 0;
    }
    boolean some = size / blockSize() != numAltmaps[0];
    return printk.warnOnOnce(some, "memory_blocks_have_altmaps: num_memblocks != num_altmaps")
        ? -Errno.EINVAL
        : 1;
  }

  /** Returns 0; -EBUSY while a block is online; -EINVAL. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "try_remove_memory")
  private int tryRemoveMemory(long start, long size) {
    parts.locks().needDeviceHotplug("try_remove_memory");
    int[] nid = {NUMA_NO_NODE};
    printk.bugOn(
        checkHotplugMemoryRange(start, size) != 0,
        "try_remove_memory: check_hotplug_memory_range(start, size)");
    int rc = parts.blocks().walkMemoryBlocks(start, size, mem -> checkMemblockOfflined(mem, nid));
    if (rc != 0) {
      return rc;
    }
    parts.locks().memHotplugBegin();
    rc = memoryBlocksHaveAltmaps(start, size);
    if (rc < 0) {
      parts.locks().memHotplugDone();
      return rc;
    }
    if (rc == 0) {
      parts.blocks().removeMemoryBlockDevices(start, size, parts.nodes());
      hotplug.archRemoveMemory(start, size, null, null);
    } else {
      removeMemoryBlocksAndAltmaps(start, size);
    }
    if (hotplug.archKeepMemblock()) {
      memblock.memblockRemove(start, size);
    }
    iomem.releaseMemRegionAdjustable(start, size);
    if (nid[0] != NUMA_NO_NODE) {
      tryOfflineNode(nid[0]);
    }
    parts.locks().memHotplugDone();
    return 0;
  }

  /** Removes memory that must be offline, for who holds device_hotplug_lock. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "__remove_memory")
  public void removeMemory0(long start, long size) {
    printk.bugOn(tryRemoveMemory(start, size) != 0, "__remove_memory: try_remove_memory()");
  }

  /** Removes {@code size} bytes of memory from {@code start}: 0, or -EBUSY while some is online. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "remove_memory")
  public int removeMemory(long start, long size) {
    parts.locks().lockDeviceHotplug();
    int rc = tryRemoveMemory(start, size);
    parts.locks().unlockDeviceHotplug();
    return rc;
  }

  /** Remembers how a block was online; returns 0 or the error. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "try_offline_memory_block")
  private int tryOfflineMemoryBlock(MemoryBlock mem, List<Mmop> onlineTypes) {
    Mmop type = Mmop.MMOP_ONLINE_KERNEL;
    Page page = hotplug.pfnToOnlinePage(mm.mmzone().sectionNrToPfn(mem.startSectionNr));
    if (page != null && mm.inline().pageZone(page).idx() == ZoneType.ZONE_MOVABLE) {
      type = Mmop.MMOP_ONLINE_MOVABLE;
    }
    int rc = parts.blocks().deviceOffline(mem);
    onlineTypes.add(rc == 0 ? type : Mmop.MMOP_OFFLINE);
    return Math.min(rc, 0);
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "try_reonline_memory_block")
  private int tryReonlineMemoryBlock(MemoryBlock mem, List<Mmop> onlineTypes) {
    Mmop type = onlineTypes.isEmpty() ? Mmop.MMOP_OFFLINE : onlineTypes.removeFirst();
    if (type != Mmop.MMOP_OFFLINE) {
      int rc = parts.blocks().deviceOnline(mem, type);
      if (rc < 0) {
        printk.prWarn("try_reonline_memory_block: Failed to re-online memory: " + rc);
      }
    }
    return 0;
  }

  /** Takes {@code size} bytes from {@code start} offline and removes them. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "offline_and_remove_memory")
  public int offlineAndRemoveMemory(long start, long size) {
    return offlineAndRemoveMemoryRanges(List.of(new DevPagemap.Range(start, start + size - 1)));
  }

  /**
   * Takes ranges offline and removes them: all or none.
   *
   * @param ranges in bytes, in whole memory blocks
   * @return 0; -EINVAL, -ENOMEM or what offlining says, and then all blocks are online again
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "offline_and_remove_memory_ranges")
  public int offlineAndRemoveMemoryRanges(List<DevPagemap.Range> ranges) {
    if (ranges.isEmpty()) {
      return -Errno.EINVAL;
    }
    for (DevPagemap.Range range : ranges) {
      if (range.len() == 0 || !Align.isAligned(range.start() | range.len(), blockSize())) {
        return -Errno.EINVAL;
      }
    }
    if (mm.mayFail("offline_and_remove_memory_ranges")) {
      return -Errno.ENOMEM;
    }
    List<Mmop> onlineTypes = new ArrayList<>();
    parts.locks().lockDeviceHotplug();
    int rc = 0;
    for (DevPagemap.Range range : ranges) {
      rc =
          rc != 0
              ? rc
              : parts
                  .blocks()
                  .walkMemoryBlocks(
                      range.start(), range.len(), mem -> tryOfflineMemoryBlock(mem, onlineTypes));
    }
    for (DevPagemap.Range range : ranges) {
      if (rc != 0) {
        parts
            .blocks()
            .walkMemoryBlocks(
                range.start(), range.len(), mem -> tryReonlineMemoryBlock(mem, onlineTypes));
      } else {
        int removed = tryRemoveMemory(range.start(), range.len());
        printk.warnOnOnce(removed != 0, "offline_and_remove_memory_ranges: try_remove_memory()");
      }
    }
    parts.locks().unlockDeviceHotplug();
    return rc;
  }
}
