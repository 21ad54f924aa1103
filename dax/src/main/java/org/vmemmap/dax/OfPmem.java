// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Resource;

/**
 * Makes a persistent-memory region with one namespace of each range that firmware names: a
 * {@code pmem-region} of the device tree, a range of the ACPI NFIT, a block of PAPR storage-class
 * memory.
 */
@Kernel(file = "drivers/nvdimm/of_pmem.c", symbol = "of_pmem_region_driver")
public final class OfPmem {
  private final Mm mm;
  private final IomemResource iomem;
  private final Memregion memregion;
  private final List<NvdimmE820.NdRegion> regions = new ArrayList<>();

  OfPmem(Mm mm, IomemResource iomem, Memregion memregion) {
    this.mm = mm;
    this.iomem = iomem;
    this.memregion = memregion;
  }

  /** All regions, oldest first. */
  List<NvdimmE820.NdRegion> regions() {
    return List.copyOf(regions);
  }

  /** {@code of_pmem_region_probe()} of one range: 0, or -ENXIO when memory is short. */
  @Kernel(
      file = "drivers/nvdimm/of_pmem.c",
      symbol = "of_pmem_region_probe",
      fidelity = Kernel.Fidelity.CUSTOM,
      why =
          "One range instead of a device-tree node; it stands for the ACPI and PAPR drivers too,"
              + " which differ in how they learn of the range.")
  int ofPmemRegionProbe(long start, long size, int nid) {
    int id = memregion.memregionAlloc();
    if (id < 0) {
      return -Errno.ENXIO;
    }
    int node = Hmem.numaMapToOnlineNode(mm, nid);
    Resource res =
        new Resource(
            start,
            start + size - 1,
            "namespace",
            Resource.IORESOURCE_MEM,
            Resource.IORES_DESC_PERSISTENT_MEMORY);
    NdNamespaceIo ndns = new NdNamespaceIo(mm, iomem, "namespace" + id + ".0", node, res);
    regions.add(new NvdimmE820.NdRegion(id, node, nid, ndns));
    return 0;
  }
}
