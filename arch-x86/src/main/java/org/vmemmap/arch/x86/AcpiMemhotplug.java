// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryAdd;
import org.vmemmap.sparse.Mmop;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * DIMMs that ACPI announces: each is a memory group, its ranges are added with their memmap inside
 * where that is allowed.
 *
 * <pre>
 *   plug    _CRS ranges, those that touch become one; __add_memory() for each; one is enough
 *   eject   all blocks offline, then __remove_memory()
 * </pre>
 *
 * <p>_STA is "present, enabled, functioning", unless it cannot be asked. The binding of memory blocks
 * to the ACPI device takes an object for each, and shows nowhere.
 */
@Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "memory_device_handler")
public final class AcpiMemhotplug {
  private static final int AE_ERROR = -Errno.EINVAL;

  private final Mm mm;
  private final HotplugSystem hotplug;

  /** {@code struct acpi_memory_info}: a range in bytes. */
  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "struct acpi_memory_info")
  private static final class AcpiMemoryInfo {
    final long startAddr;
    long length;
    boolean enabled;

    AcpiMemoryInfo(long startAddr, long length) {
      this.startAddr = startAddr;
      this.length = length;
    }
  }

  /** {@code struct acpi_memory_device}: a DIMM. */
  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "struct acpi_memory_device")
  public static final class AcpiMemoryDevice {
    private final int node;
    private final List<Range> crs;
    private final List<AcpiMemoryInfo> resList = new ArrayList<>();
    private int mgid = -1;
    private int addResult;

    /**
     * A DIMM that is not plugged.
     *
     * @param node its node
     * @param crs its ranges in bytes, as _CRS lists them
     */
    public AcpiMemoryDevice(int node, List<Range> crs) {
      this.node = node;
      this.crs = List.copyOf(crs);
    }

    /** What the last __add_memory() returned, which the driver does not hand on. */
    public int addResult() {
      return addResult;
    }
  }

  /** For the machine of {@code hotplug}. */
  public AcpiMemhotplug(Mm mm, HotplugSystem hotplug) {
    this.mm = mm;
    this.hotplug = hotplug;
  }

  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "acpi_memory_get_resource")
  private int acpiMemoryGetResource(Range address, AcpiMemoryDevice memDevice) {
    for (AcpiMemoryInfo info : memDevice.resList) {
      if (info.startAddr + info.length == address.start()) {
        info.length += address.len();
        return 0;
      }
    }
    if (mm.mayFail("acpi_memory_get_resource")) {
      return AE_ERROR;
    }
    memDevice.resList.add(new AcpiMemoryInfo(address.start(), address.len()));
    return 0;
  }

  /** Returns 0 or -EINVAL, and then there are none. */
  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "acpi_memory_get_device_resources")
  private int acpiMemoryGetDeviceResources(AcpiMemoryDevice memDevice) {
    if (!memDevice.resList.isEmpty()) {
      return 0;
    }
    for (Range address : memDevice.crs) {
      if (acpiMemoryGetResource(address, memDevice) != 0) {
        memDevice.resList.clear();
        return -Errno.EINVAL;
      }
    }
    return 0;
  }

  @Kernel(
      file = "drivers/acpi/acpi_memhotplug.c",
      symbol = "acpi_memory_check_device",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Firmware always says present, enabled and functioning, unless it cannot be asked.")
  private int acpiMemoryCheckDevice() {
    return mm.mayFail("acpi_evaluate_integer") ? -Errno.ENODEV : 0;
  }

  @Kernel(
      file = "drivers/acpi/acpi_memhotplug.c",
      symbol = "acpi_bind_memblk",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "There is no tree of ACPI devices; of a binding only that it may lack memory is kept.")
  private int acpiBindMemblk() {
    return mm.mayFail("acpi_bind_one") ? -Errno.ENOMEM : 0;
  }

  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "acpi_bind_memory_blocks")
  private int acpiBindMemoryBlocks(AcpiMemoryInfo info) {
    return hotplug
        .blocks()
        .walkMemoryBlocks(info.startAddr, info.length, mem -> acpiBindMemblk());
  }

  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "acpi_memory_enable_device")
  private int acpiMemoryEnableDevice(AcpiMemoryDevice memDevice) {
    long totalLength = memDevice.resList.stream().mapToLong(info -> info.length).sum();
    if (totalLength == 0) {
      mm.printk().prErr("device is empty");
      return -Errno.EINVAL;
    }
    int mgid =
        hotplug.groups().memoryGroupRegisterStatic(memDevice.node, mm.model().pfnUp(totalLength));
    if (mgid < 0) {
      return mgid;
    }
    memDevice.mgid = mgid;
    int numEnabled = 0;
    for (AcpiMemoryInfo info : memDevice.resList) {
      if (info.length == 0) {
        continue;
      }
      int flags = MemoryAdd.MHP_NID_IS_MGID | MemoryAdd.MHP_MEMMAP_ON_MEMORY;
      int result = hotplug.add().addMemory0(mgid, info.startAddr, info.length, flags);
      memDevice.addResult = result;
      // -EEXIST: the kernel uses the memory already, so the device is bound all the same.
      if (result != 0 && result != -Errno.EEXIST) {
        continue;
      }
      if (acpiBindMemoryBlocks(info) != 0) {
        // The memory that was added stays, and nobody knows the device any more. As a binding shows
        // nowhere, acpi_unbind_memory_blocks() has nothing to do.
        return -Errno.ENODEV;
      }
      info.enabled = true;
      numEnabled++;
    }
    if (numEnabled == 0) {
      mm.printk().prErr("add_memory failed");
      return -Errno.EINVAL;
    }
    return 0;
  }

  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "acpi_memory_remove_memory")
  private void acpiMemoryRemoveMemory(AcpiMemoryDevice memDevice) {
    for (AcpiMemoryInfo info : List.copyOf(memDevice.resList)) {
      if (info.enabled) {
        hotplug.add().removeMemory0(info.startAddr, info.length);
        memDevice.resList.remove(info);
      }
    }
  }

  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "acpi_memory_device_free")
  private void acpiMemoryDeviceFree(AcpiMemoryDevice memDevice) {
    // Fails while some memory stays; the group then stays too.
    if (memDevice.mgid >= 0) {
      hotplug.groups().memoryGroupUnregister(memDevice.mgid);
      memDevice.mgid = -1;
    }
    memDevice.resList.clear();
  }

  /** Returns 1, as a scan handler that took the device; 0 or a negative error code when not. */
  @Kernel(file = "drivers/acpi/acpi_memhotplug.c", symbol = "acpi_memory_device_add")
  private int acpiMemoryDeviceAdd(AcpiMemoryDevice memDevice) {
    if (mm.mayFail("acpi_memory_device_add")) {
      return -Errno.ENOMEM;
    }
    int result = acpiMemoryGetDeviceResources(memDevice);
    if (result != 0) {
      return result;
    }
    if (acpiMemoryCheckDevice() != 0) {
      acpiMemoryDeviceFree(memDevice);
      return 0;
    }
    result = acpiMemoryEnableDevice(memDevice);
    if (result != 0) {
      mm.printk().prErr("acpi_memory_enable_device() error");
      acpiMemoryDeviceFree(memDevice);
      return result;
    }
    return 1;
  }

  /**
   * Plugs a DIMM.
   *
   * @return 0; -ENOMEM, -EINVAL or, when the driver leaves it to others, -ENODEV, with nothing
   *     added; -ENODEV also when the blocks cannot be bound, and then the memory stays
   */
  public int plug(AcpiMemoryDevice memDevice) {
    hotplug.locks().lockDeviceHotplug();
    int rc = acpiMemoryDeviceAdd(memDevice);
    hotplug.locks().unlockDeviceHotplug();
    return rc == 0 ? -Errno.ENODEV : Math.min(rc, 0);
  }

  /** Takes a DIMM away: 0, or -EBUSY when a block cannot go offline, and all are as before. */
  @Kernel(
      file = "drivers/acpi/scan.c",
      symbol = "acpi_scan_try_to_offline",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "One pass over the blocks instead of two over a tree of ACPI devices.")
  public int eject(AcpiMemoryDevice memDevice) {
    hotplug.locks().lockDeviceHotplug();
    List<org.vmemmap.sparse.MemoryBlock> offlined = new ArrayList<>();
    int rc = 0;
    for (AcpiMemoryInfo info : memDevice.resList) {
      rc =
          rc != 0 || !info.enabled
              ? rc
              : hotplug
                  .blocks()
                  .walkMemoryBlocks(
                      info.startAddr,
                      info.length,
                      mem -> {
                        int one = hotplug.blocks().deviceOffline(mem);
                        if (one == 0) {
                          offlined.add(mem);
                        }
                        return Math.min(one, 0);
                      });
    }
    if (rc == 0) {
      acpiMemoryRemoveMemory(memDevice);
      acpiMemoryDeviceFree(memDevice);
    } else {
      offlined.forEach(mem -> hotplug.blocks().deviceOnline(mem, Mmop.MMOP_OFFLINE));
    }
    hotplug.locks().unlockDeviceHotplug();
    return rc == 0 ? 0 : -Errno.EBUSY;
  }
}
