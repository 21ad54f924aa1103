// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/** Makes a static DAX region with one device of the data of a namespace. */
@Kernel(file = "drivers/dax/pmem.c", symbol = "dax_pmem_driver")
public final class DaxPmem {
  private final Mm mm;
  private final IomemResource iomem;
  private final PfnDevs pfnDevs;
  private final Bus bus;

  DaxPmem(Mm mm, IomemResource iomem, PfnDevs pfnDevs, Bus bus) {
    this.mm = mm;
    this.iomem = iomem;
    this.pfnDevs = pfnDevs;
    this.bus = bus;
  }

  /** {@code __dax_pmem_probe()}: 0, or the error that it would return as a pointer. */
  @Kernel(file = "drivers/dax/pmem.c", symbol = "__dax_pmem_probe")
  private int daxPmemProbe0(NdPfn ndPfn, NvdimmE820.NdRegion ndRegion) {
    Device dev = ndPfn.dev;
    NdNamespaceIo ndns = ndPfn.ndns;
    if (ndns == null) {
      return -Errno.ENODEV;
    }
    int rc = ndns.devmNsioEnable(dev, pfnDevs.ndInfoBlockReserve());
    if (rc != 0) {
      return rc;
    }
    // On the stack in C: the device gets a copy, at whose address struct pages point.
    DevPagemap pgmap = new DevPagemap(0);
    rc = pfnDevs.nvdimmSetupPfn(ndPfn, pgmap);
    if (rc != 0) {
      return rc;
    }
    ndns.devmNsioDisable(dev);
    NdPfnSb pfnSb = java.util.Objects.requireNonNull(ndPfn.pfnSb);
    long offset = pfnSb.dataoff();
    if (dev.devmRequestMemRegion(mm, iomem, ndns.res().start, offset, ndns.dev().name())
        == null) {
      dev.warn(mm.printk(), "could not reserve metadata");
      return -Errno.EBUSY;
    }
    Range range = new Range(pgmap.ranges[0].start() + offset, pgmap.ranges[0].end());
    DaxRegion region =
        bus.allocDaxRegion(
            dev,
            ndRegion.id(),
            range,
            ndRegion.targetNode(),
            pfnSb.align(),
            DaxRegion.IORESOURCE_DAX_STATIC);
    if (region == null) {
      return -Errno.ENOMEM;
    }
    return bus.devmCreateDevDax(new Bus.DevDaxData(region, pgmap, range.len(), 0, false)).error();
  }

  /** {@code dax_pmem_probe()}, and the driver core's part around it. 0 or a negative error code. */
  @Kernel(file = "drivers/dax/pmem.c", symbol = "dax_pmem_probe")
  int daxPmemProbe(NdPfn ndPfn, NvdimmE820.NdRegion ndRegion) {
    ndPfn.dev.setDriver(this);
    int rc = daxPmemProbe0(ndPfn, ndRegion);
    if (rc != 0) {
      remove(ndPfn);
    }
    return rc;
  }

  /** Unbinds: the device, its region and the claims on the namespace go. */
  void remove(NdPfn ndPfn) {
    ndPfn.dev.devresReleaseAll();
    ndPfn.dev.setDrvdata(null);
    ndPfn.dev.setDriver(null);
  }
}
