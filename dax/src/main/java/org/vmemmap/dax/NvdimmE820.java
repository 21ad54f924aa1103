// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Resource;

/** Makes a persistent-memory region with one namespace of each e820 range of type 12. */
@Kernel(file = "drivers/nvdimm/e820.c", symbol = "e820_pmem_driver")
public final class NvdimmE820 {
  private final Mm mm;
  private final IomemResource iomem;
  private final Memregion memregion;
  private final LongUnaryOperator physToTargetNode;
  private final List<NdRegion> regions = new ArrayList<>();

  /**
   * {@code struct nd_region} with its one namespace.
   *
   * @param id number in the names of its devices
   * @param numaNode node of its devices
   * @param targetNode node that the memory would be on as RAM
   * @param ndns the namespace
   */
  @Kernel(file = "drivers/nvdimm/nd.h", symbol = "struct nd_region")
  record NdRegion(int id, int numaNode, int targetNode, NdNamespaceIo ndns) {}

  /** @param physToTargetNode {@code phys_to_target_node()}: node of a physical address */
  NvdimmE820(
      Mm mm, IomemResource iomem, Memregion memregion, LongUnaryOperator physToTargetNode) {
    this.mm = mm;
    this.iomem = iomem;
    this.memregion = memregion;
    this.physToTargetNode = physToTargetNode;
  }

  /** All regions, in ascending order of addresses. */
  List<NdRegion> regions() {
    return List.copyOf(regions);
  }

  /** {@code e820_register_one()}: 0, or -ENXIO when memory is short. */
  @Kernel(file = "drivers/nvdimm/e820.c", symbol = "e820_register_one")
  private int e820RegisterOne(Resource res) {
    int nid = (int) physToTargetNode.applyAsLong(res.start);
    int id = memregion.memregionAlloc();
    if (id < 0) {
      return -Errno.ENXIO;
    }
    int node = Hmem.numaMapToOnlineNode(mm, nid);
    Resource copy = new Resource(res.start, res.end, "namespace", res.flags, res.desc);
    NdNamespaceIo ndns =
        new NdNamespaceIo(mm, iomem, "namespace" + id + ".0", node, copy);
    regions.add(new NdRegion(id, node, nid, ndns));
    return 0;
  }

  /** {@code e820_pmem_probe()}: 0; -ENXIO, or -EINVAL when there is no such range. */
  @Kernel(file = "drivers/nvdimm/e820.c", symbol = "e820_pmem_probe")
  int e820PmemProbe() {
    int rc =
        iomem.walkIomemResDesc(
            Resource.IORES_DESC_PERSISTENT_MEMORY_LEGACY,
            Resource.IORESOURCE_MEM,
            0,
            -1,
            this::e820RegisterOne);
    if (rc != 0) {
      regions.forEach(each -> memregion.memregionFree(each.id()));
      regions.clear();
      mm.printk().prErr("e820_pmem: failed to register legacy persistent memory ranges");
    }
    return rc;
  }
}
