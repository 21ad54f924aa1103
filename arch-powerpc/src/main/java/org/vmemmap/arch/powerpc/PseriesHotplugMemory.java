// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryAdd;
import org.vmemmap.sparse.MemoryBlock;
import org.vmemmap.sparse.Mmop;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * Memory that the hypervisor gives and takes (DLPAR), in logical memory blocks, LMBs. A request for
 * several is all or nothing.
 *
 * <pre>
 *   add      for each LMB: __add_memory(), online       one fails: those before it go again
 *   remove   for each LMB: offline, __remove_memory()   one fails: those before it come again
 * </pre>
 *
 * <p>The hypervisor takes whatever it is given; the associativity in the device tree is a node for each LMB.
 */
@Kernel(file = "arch/powerpc/platforms/pseries/hotplug-memory.c", symbol = "dlpar_memory")
public final class PseriesHotplugMemory {
  private static final int DRC_BASE = 0x80000000;

  private final Mm mm;
  private final Memblock memblock;
  private final HotplugSystem hotplug;
  private final List<DrmemLmb> lmbs = new ArrayList<>();

  /** {@code struct drmem_lmb}. */
  @Kernel(file = "arch/powerpc/include/asm/drmem.h", symbol = "struct drmem_lmb")
  private static final class DrmemLmb {
    final long baseAddr;
    final int drcIndex;
    final int nid;

    /** DRCONF_MEM_ASSIGNED. */
    boolean assigned;

    /** DRMEM_LMB_RESERVED: part of the request that is being served. */
    boolean reserved;

    DrmemLmb(long baseAddr, int drcIndex, int nid) {
      this.baseAddr = baseAddr;
      this.drcIndex = drcIndex;
      this.nid = nid;
    }
  }

  /** Without LMBs. */
  public PseriesHotplugMemory(Mm mm, Memblock memblock, HotplugSystem hotplug) {
    this.mm = mm;
    this.memblock = memblock;
    this.hotplug = hotplug;
  }

  private long blockSize() {
    return hotplug.blocks().memoryBlockSizeBytes();
  }

  /**
   * Tells of room for LMBs that are not there yet, as the device tree does.
   *
   * @return the index of the first
   */
  public int addRoom(long start, long size, int nid) {
    int first = DRC_BASE | lmbs.size();
    for (long at = start; at < start + size; at += blockSize()) {
      lmbs.add(new DrmemLmb(at, DRC_BASE | lmbs.size(), nid));
    }
    return first;
  }

  /** LMBs from {@code drcIndex} on; empty when they are not all there. */
  @Kernel(file = "arch/powerpc/platforms/pseries/hotplug-memory.c", symbol = "get_lmb_range")
  private List<DrmemLmb> getLmbRange(int drcIndex, int nLmbs) {
    int start = drcIndex & ~DRC_BASE;
    return start + nLmbs > lmbs.size() || lmbs.get(start).drcIndex != drcIndex
        ? List.of()
        : lmbs.subList(start, start + nLmbs);
  }

  @Kernel(
      file = "arch/powerpc/platforms/pseries/hotplug-memory.c",
      symbol = "dlpar_change_lmb_state")
  private int dlparChangeLmbState(DrmemLmb lmb, boolean online) {
    MemoryBlock mem = hotplug.blocks().memoryBlockGet(lmb.baseAddr / blockSize());
    if (mem == null) {
      mm.printk()
          .prErr("Failed memory block lookup for LMB 0x" + Integer.toHexString(lmb.drcIndex));
      return -Errno.EINVAL;
    }
    int rc =
        online
            ? hotplug.blocks().deviceOnline(mem, Mmop.MMOP_OFFLINE)
            : hotplug.blocks().deviceOffline(mem);
    hotplug.blocks().memoryBlockPut(mem);
    // Who is so already is left alone.
    return Math.min(rc, 0);
  }

  @Kernel(file = "arch/powerpc/platforms/pseries/hotplug-memory.c", symbol = "dlpar_remove_lmb")
  private int dlparRemoveLmb(DrmemLmb lmb) {
    if (!lmb.assigned) {
      return -Errno.EINVAL;
    }
    int rc = dlparChangeLmbState(lmb, false);
    if (rc != 0) {
      return rc;
    }
    hotplug.add().removeMemory0(lmb.baseAddr, blockSize());
    memblock.memblockRemove(lmb.baseAddr, blockSize());
    lmb.assigned = false;
    return 0;
  }

  @Kernel(file = "arch/powerpc/platforms/pseries/hotplug-memory.c", symbol = "dlpar_add_lmb")
  private int dlparAddLmb(DrmemLmb lmb) {
    if (lmb.assigned) {
      return -Errno.EINVAL;
    }
    if (mm.mayFail("update_lmb_associativity_index")) {
      mm.printk().prErr("Failed to configure LMB 0x" + Integer.toHexString(lmb.drcIndex));
      return -Errno.ENODEV;
    }
    int nid = lmb.nid;
    if (nid < 0 || nid >= 1 << mm.config().nodesShift()) {
      nid = mm.nodes().online().getFirst().nodeId();
    }
    int rc =
        hotplug
            .add()
            .addMemory0(nid, lmb.baseAddr, blockSize(), MemoryAdd.MHP_MEMMAP_ON_MEMORY);
    if (rc != 0) {
      mm.printk()
          .prErr(
              "Failed to add LMB 0x%x to node %d".formatted(lmb.drcIndex, nid));
      return rc;
    }
    rc = dlparChangeLmbState(lmb, true);
    if (rc != 0) {
      mm.printk()
          .prErr(
              "Failed to online LMB 0x%x on node %d".formatted(lmb.drcIndex, nid));
      hotplug.add().removeMemory0(lmb.baseAddr, blockSize());
    } else {
      lmb.assigned = true;
    }
    return rc;
  }

  /**
   * Adds {@code n} LMBs from {@code drcIndex} on; those that are there count as added.
   *
   * @return 0; -EINVAL, and then those that were added have gone again, as far as that is possible
   */
  @Kernel(
      file = "arch/powerpc/platforms/pseries/hotplug-memory.c",
      symbol = "dlpar_memory_add_by_ic")
  public int dlparMemoryAddByIc(int n, int drcIndex) {
    mm.printk().prInfo("Attempting to hot-add %d LMB(s) at index %x".formatted(n, drcIndex));
    List<DrmemLmb> range = n == 0 ? List.of() : getLmbRange(drcIndex, n);
    if (range.isEmpty()) {
      return -Errno.EINVAL;
    }
    hotplug.locks().lockDeviceHotplug();
    int rc = 0;
    for (DrmemLmb lmb : range) {
      if (rc == 0 && !lmb.assigned) {
        rc = mm.mayFail("dlpar_acquire_drc") ? -1 : dlparAddLmb(lmb);
        lmb.reserved = rc == 0;
      }
    }
    if (rc != 0) {
      mm.printk().prErr("Memory indexed-count-add failed, removing any added LMBs");
      undo(range, this::dlparRemoveLmb, "Failed to remove LMB, drc index ");
    }
    range.forEach(lmb -> lmb.reserved = false);
    hotplug.locks().unlockDeviceHotplug();
    return rc == 0 ? 0 : -Errno.EINVAL;
  }

  private void undo(
      List<DrmemLmb> range, java.util.function.ToIntFunction<DrmemLmb> step, String failed) {
    for (DrmemLmb lmb : range) {
      if (lmb.reserved && step.applyAsInt(lmb) != 0) {
        mm.printk().prErr(failed + Integer.toHexString(lmb.drcIndex));
      }
    }
  }

  /**
   * Removes {@code n} LMBs from {@code drcIndex} on; those that are not there count as removed.
   *
   * @return 0; -EINVAL, and then those that were removed are back, as far as that is possible
   */
  @Kernel(
      file = "arch/powerpc/platforms/pseries/hotplug-memory.c",
      symbol = "dlpar_memory_remove_by_ic")
  public int dlparMemoryRemoveByIc(int n, int drcIndex) {
    mm.printk().prInfo("Attempting to hot-remove %d LMB(s) at %x".formatted(n, drcIndex));
    List<DrmemLmb> range = n == 0 ? List.of() : getLmbRange(drcIndex, n);
    if (range.isEmpty()) {
      return -Errno.EINVAL;
    }
    hotplug.locks().lockDeviceHotplug();
    int rc = 0;
    for (DrmemLmb lmb : range) {
      if (rc == 0 && lmb.assigned) {
        rc = dlparRemoveLmb(lmb);
        lmb.reserved = rc == 0;
      }
    }
    if (rc != 0) {
      mm.printk().prErr("Memory indexed-count-remove failed, adding any removed LMBs");
      undo(range, this::dlparAddLmb, "Failed to add LMB, drc index ");
    }
    range.forEach(lmb -> lmb.reserved = false);
    hotplug.locks().unlockDeviceHotplug();
    return rc == 0 ? 0 : -Errno.EINVAL;
  }
}
