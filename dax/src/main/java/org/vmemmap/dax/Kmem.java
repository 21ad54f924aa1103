// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryAdd;
import org.vmemmap.sparse.Mmop;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Resource;

/**
 * The driver that makes System RAM of a DAX device.
 *
 * <pre>
 *   probe    a memory group; for each range  a region "dax0.0", "System RAM (kmem)" in it
 *            blocks go online as the default says
 *   state    unplugged: all ranges offline and away, or none
 *   remove   ranges that are offline go; one that is online stays until reboot
 * </pre>
 *
 * <p>Of memory tiers there is only the one type of such memory, which stays once it is made.
 */
@Kernel(file = "drivers/dax/kmem.c", symbol = "device_dax_kmem_driver")
public final class Kmem implements DaxDeviceDriver {
  private static final String KMEM_NAME = "System RAM (kmem)";

  private final Mm mm;
  private final IomemResource iomem;
  private final HotplugSystem hotplug;
  private final Map<DevDax, DaxKmemData> drvdata = new HashMap<>();
  private boolean hasMemoryType;

  /** {@code struct dax_kmem_data}; a null state is DAX_KMEM_UNPLUGGED. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "struct dax_kmem_data")
  private static final class DaxKmemData {
    final int mgid;
    final @Nullable Resource[] res;
    @Nullable Mmop state;

    DaxKmemData(int mgid, int nrRange) {
      this.mgid = mgid;
      this.res = new @Nullable Resource[nrRange];
    }
  }

  Kmem(Mm mm, IomemResource iomem, HotplugSystem hotplug) {
    this.mm = mm;
    this.iomem = iomem;
    this.hotplug = hotplug;
  }

  @Override
  public String name() {
    return "kmem";
  }

  @Override
  public Type type() {
    return Type.DAXDRV_KMEM_TYPE;
  }

  /** The whole memory blocks in a range; null for none. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "dax_kmem_range")
  private @Nullable Range daxKmemRange(DevDax devDax, int i) {
    Range range = devDax.ranges().get(i);
    long block = hotplug.blocks().memoryBlockSizeBytes();
    long start = Align.align(range.start(), block);
    long end = Align.alignDown(range.end() + 1, block) - 1;
    return start >= end ? null : new Range(start, end);
  }

  private String mapping(int i, Range range) {
    return "mapping%d: 0x%x-0x%x".formatted(i, range.start(), range.end());
  }

  private void dropResource(DaxKmemData data, int i) {
    Resource res = data.res[i];
    if (res != null) {
      iomem.removeResource(res);
      data.res[i] = null;
    }
  }

  /** Returns how many ranges were added, or the error of the first when none was. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "dax_kmem_do_hotplug")
  private int daxKmemDoHotplug(DevDax devDax, DaxKmemData data, Mmop onlineType) {
    if (data.state != null && data.state != Mmop.MMOP_OFFLINE) {
      return -Errno.EINVAL;
    }
    int added = 0;
    for (int i = 0; i < data.res.length; i++) {
      Range range = daxKmemRange(devDax, i);
      if (range == null || data.res[i] == null) {
        continue;
      }
      int flags = MemoryAdd.MHP_NID_IS_MGID;
      if (devDax.memmapOnMemory) {
        flags |= MemoryAdd.MHP_MEMMAP_ON_MEMORY;
      }
      int rc =
          hotplug
              .add()
              .addMemoryDriverManaged0(
                  data.mgid, range.start(), range.len(), KMEM_NAME, flags, onlineType);
      if (rc != 0) {
        mm.printk().prWarn(mapping(i, range) + " memory add failed");
        dropResource(data, i);
        if (added != 0) {
          continue;
        }
        return rc;
      }
      added++;
    }
    return added;
  }

  /** Returns how many regions were reserved, or -EBUSY when the first was not. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "dax_kmem_init_resources")
  private int daxKmemInitResources(DevDax devDax, DaxKmemData data) {
    int mapped = 0;
    for (int i = 0; i < data.res.length; i++) {
      Range range = daxKmemRange(devDax, i);
      if (range == null || data.res[i] != null) {
        continue;
      }
      Resource res = iomem.requestMemRegion(range.start(), range.len(), devDax.name());
      if (res == null) {
        mm.printk().prWarn(mapping(i, range) + " could not reserve region");
        if (mapped != 0) {
          continue;
        }
        return -Errno.EBUSY;
      }
      data.res[i] = res;
      // Not busy, so that what add_memory() asks for can lie inside.
      res.flags = Resource.IORESOURCE_SYSTEM_RAM;
      mapped++;
    }
    return mapped;
  }

  /** Returns 0, or an error with all ranges as they were. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "dax_kmem_do_hotremove")
  private int daxKmemDoHotremove(DevDax devDax, DaxKmemData data) {
    if (mm.mayFail("dax_kmem_do_hotremove")) {
      return -Errno.ENOMEM;
    }
    List<Range> ranges = new ArrayList<>();
    for (int i = 0; i < data.res.length; i++) {
      Range range = data.res[i] == null ? null : daxKmemRange(devDax, i);
      if (range != null) {
        ranges.add(range);
      }
    }
    if (ranges.isEmpty()) {
      return 0;
    }
    int rc = hotplug.add().offlineAndRemoveMemoryRanges(ranges);
    if (rc != 0) {
      mm.printk().prErr("hotremove failed, device left online: " + rc);
      return rc;
    }
    for (int i = 0; i < data.res.length; i++) {
      dropResource(data, i);
    }
    return 0;
  }

  /** Gives the regions back; ranges that are online keep them. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "dax_kmem_cleanup_resources")
  private void daxKmemCleanupResources(DaxKmemData data) {
    if (mm.printk()
        .warnOn(
            data.state != null && data.state != Mmop.MMOP_OFFLINE,
            "Hotplug memory regions stuck online until reboot")) {
      return;
    }
    for (int i = 0; i < data.res.length; i++) {
      dropResource(data, i);
    }
  }

  /** The file {@code state} of the device: unplugged, or how it is online; null when not bound. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "state_show")
  @Nullable String stateShow(DevDax devDax) {
    DaxKmemData data = drvdata.get(devDax);
    if (data == null) {
      return null;
    }
    return data.state == null ? "unplugged" : data.state.mhpOnlineTypeToStr();
  }

  /** Writes it: 0 or a negative error code; "offline" is refused. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "state_store")
  int stateStore(DevDax devDax, String buf) {
    DaxKmemData data = drvdata.get(devDax);
    if (data == null) {
      return -Errno.ENOENT;
    }
    boolean unplug = buf.strip().equals("unplugged");
    Mmop type = unplug ? null : Mmop.mhpOnlineTypeFromStr(buf);
    if (!unplug && (type == null || type == Mmop.MMOP_OFFLINE)) {
      return -Errno.EINVAL;
    }
    if (data.state == type) {
      return 0;
    }
    if (type == null) {
      int rc = daxKmemDoHotremove(devDax, data);
      data.state = rc == 0 ? null : data.state;
      return rc;
    }
    if (data.state != null) {
      return -Errno.EBUSY;
    }
    int rc = daxKmemInitResources(devDax, data);
    if (rc >= 0) {
      rc = daxKmemDoHotplug(devDax, data, type);
      if (rc < 0) {
        daxKmemCleanupResources(data);
      }
    }
    if (rc < 0) {
      return rc;
    }
    data.state = type;
    return 0;
  }

  /** Bytes in whole memory blocks, with the lines about what is lost; -1 for none. */
  private long totalLen(DevDax devDax) {
    long total = 0;
    long orig = 0;
    for (int i = 0; i < devDax.ranges().size(); i++) {
      Range whole = devDax.ranges().get(i);
      Range range = daxKmemRange(devDax, i);
      orig += whole.len();
      if (range == null) {
        mm.printk().prInfo(mapping(i, whole) + " too small after alignment");
      } else {
        total += range.len();
      }
    }
    if (total == 0) {
      mm.printk().prWarn("rejecting DAX region without any memory after alignment");
      return -1;
    }
    if (total != orig) {
      mm.printk()
          .prWarn("DAX region truncated by " + (orig - total) + " bytes due to alignment");
    }
    return total;
  }

  @Override
  @Kernel(file = "drivers/dax/kmem.c", symbol = "dev_dax_kmem_probe")
  public int probe(DevDax devDax) {
    Mmop onlineType = hotplug.params().mhpGetDefaultOnlineType();
    int numaNode = devDax.targetNode;
    if (numaNode < 0) {
      mm.printk().prWarn("rejecting DAX region with invalid node: " + numaNode);
      return -Errno.EINVAL;
    }
    if (!hasMemoryType && mm.mayFail("kmem_find_alloc_memory_type")) {
      return -Errno.ENOMEM;
    }
    hasMemoryType = true;
    long total = totalLen(devDax);
    if (total < 0) {
      return -Errno.EINVAL;
    }
    if (mm.mayFail("dev_dax_kmem_probe")) {
      return -Errno.ENOMEM;
    }
    if (mm.mayFail("kstrdup")) {
      return -Errno.ENOMEM;
    }
    int mgid = hotplug.groups().memoryGroupRegisterStatic(numaNode, mm.model().pfnUp(total));
    if (mgid < 0) {
      return mgid;
    }
    DaxKmemData data = new DaxKmemData(mgid, devDax.ranges().size());
    int rc = daxKmemInitResources(devDax, data);
    if (rc >= 0) {
      rc = daxKmemDoHotplug(devDax, data, onlineType);
      if (rc < 0) {
        daxKmemCleanupResources(data);
      }
    }
    if (rc < 0) {
      hotplug.groups().memoryGroupUnregister(mgid);
      return rc;
    }
    data.state = onlineType;
    drvdata.put(devDax, data);
    return 0;
  }

  /** Returns 0 when all ranges went, -EBUSY when one is online and stays. */
  @Kernel(file = "drivers/dax/kmem.c", symbol = "dax_kmem_remove_ranges")
  private int daxKmemRemoveRanges(DevDax devDax, DaxKmemData data) {
    int rc = 0;
    for (int i = 0; i < data.res.length; i++) {
      Range range = data.res[i] == null ? null : daxKmemRange(devDax, i);
      if (range == null) {
        continue;
      }
      if (hotplug.add().removeMemory(range.start(), range.len()) != 0) {
        mm.printk().prWarn(mapping(i, range) + " stuck online until reboot");
        rc = -Errno.EBUSY;
        continue;
      }
      dropResource(data, i);
    }
    return rc;
  }

  @Override
  @Kernel(file = "drivers/dax/kmem.c", symbol = "dev_dax_kmem_remove")
  public void remove(DevDax devDax) {
    DaxKmemData data = drvdata.remove(devDax);
    if (data == null) {
      return;
    }
    if (daxKmemRemoveRanges(devDax, data) != 0) {
      mm.printk().prErr("Hotplug regions stuck online until reboot");
      return;
    }
    hotplug.groups().memoryGroupUnregister(data.mgid);
  }
}
