// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Resource;

/** Makes a DAX region, and one device of its full size, of each soft-reserved range. */
@Kernel(file = "drivers/dax/hmem/hmem.c", symbol = "dax_hmem_driver")
public final class Hmem {
  private final Mm mm;
  private final Printk printk;
  private final IomemResource iomem;
  private final HmemDevice hmemDevice;
  private final Bus bus;
  private final Memregion memregion;
  private final Device platform = new Device("hmem_platform.0", -1);
  private final List<Device> regions = new ArrayList<>();

  Hmem(Mm mm, IomemResource iomem, HmemDevice hmemDevice, Bus bus, Memregion memregion) {
    this.mm = mm;
    this.printk = mm.printk();
    this.iomem = iomem;
    this.hmemDevice = hmemDevice;
    this.bus = bus;
    this.memregion = memregion;
  }

  /**
   * {@code dax_hmem_probe()}: 0 or -ENOMEM, also when the range is not a multiple of a pmd leaf.
   */
  @Kernel(file = "drivers/dax/hmem/hmem.c", symbol = "dax_hmem_probe")
  private int daxHmemProbe(Device dev, int id, Range range, int targetNode) {
    DaxRegion region =
        bus.allocDaxRegion(
            dev, id, range, targetNode, mm.pgtable().pmdSize(), DaxRegion.IORESOURCE_DAX_KMEM);
    if (region == null) {
      return -Errno.ENOMEM;
    }
    return bus.devmCreateDevDax(new Bus.DevDaxData(region, null, range.len(), -1, false)).error();
  }

  @Kernel(file = "drivers/dax/hmem/hmem.c", symbol = "__hmem_register_device")
  private int hmemRegisterDevice0(Device host, int targetNid, Resource res) {
    int rc = iomem.regionIntersectsSoftReserve(res.start, res.size());
    if (rc != IomemResource.REGION_INTERSECTS) {
      return 0;
    }
    int id = memregion.memregionAlloc();
    if (id < 0) {
      printk.prErr(host.name() + ": memregion allocation failure for " + res);
      return -Errno.ENOMEM;
    }
    rc = host.devmAddActionOrReset(mm, id, () -> memregion.memregionFree(id));
    if (rc != 0) {
      return rc;
    }
    if (mm.mayFail("platform_device_alloc")) {
      printk.prErr(host.name() + ": device allocation failure for " + res);
      return -Errno.ENOMEM;
    }
    Device pdev = new Device("hmem." + id, numaMapToOnlineNode(mm, targetNid));
    regions.add(pdev);
    platformProbe(pdev, id, new Range(res.start, res.end), targetNid);
    return host.devmAddActionOrReset(mm, pdev, pdev::devresReleaseAll);
  }

  /** The driver core's part: the result of a probe is not the result of adding the device. */
  private void platformProbe(Device pdev, int id, Range range, int targetNid) {
    pdev.setDriver(this);
    if (daxHmemProbe(pdev, id, range, targetNid) != 0) {
      pdev.devresReleaseAll();
      pdev.setDrvdata(null);
      pdev.setDriver(null);
    }
  }

  @Kernel(file = "drivers/dax/hmem/hmem.c", symbol = "hmem_register_device")
  private int hmemRegisterDevice(Device host, int targetNid, Resource res) {
    // Ranges of CXL memory would wait for that driver; no modelled machine has any.
    return hmemRegisterDevice0(host, targetNid, res);
  }

  /** {@code dax_hmem_platform_probe()}: 0 or -ENOMEM. */
  @Kernel(file = "drivers/dax/hmem/hmem.c", symbol = "dax_hmem_platform_probe")
  private int daxHmemPlatformProbe() {
    return hmemDevice.walkHmemResources(
        (targetNid, res) -> hmemRegisterDevice(platform, targetNid, res));
  }

  /** {@code dax_hmem_init()}: 0 or -ENOMEM. */
  @Kernel(file = "drivers/dax/hmem/hmem.c", symbol = "dax_hmem_init")
  int daxHmemInit() {
    return daxHmemPlatformProbe();
  }

  /** {@code numa_map_to_online_node()}: the node itself, or the nearest that has memory. */
  @Kernel(
      file = "mm/mempolicy.c",
      symbol = "numa_nearest_node",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "All other nodes are equally far here, so the first that exists is taken.")
  static int numaMapToOnlineNode(Mm mm, int nid) {
    List<Integer> online = mm.nodes().online().stream().map(each -> each.nodeId()).toList();
    return nid < 0 || online.isEmpty() || online.contains(nid) ? nid : online.get(0);
  }
}
