// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.function.LongUnaryOperator;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Resource;

/** The list of soft-reserved ranges that {@link Hmem} makes regions of. */
@Kernel(file = "drivers/dax/hmem/device.c", symbol = "hmem_active")
public final class HmemDevice {
  private final Mm mm;
  private final IomemResource iomem;
  private final LongUnaryOperator physToTargetNode;
  private final Resource hmemActive =
      new Resource(
          0, -1, "HMEM devices", Resource.IORESOURCE_MEM, Resource.IORES_DESC_NONE);

  /** {@code walk_hmem_fn}: gets the node that a range would be on as RAM, and the range. */
  @FunctionalInterface
  interface WalkHmemFn {
    /** A result other than 0 ends the walk. */
    int visit(int targetNid, Resource res);
  }

  /** @param physToTargetNode {@code phys_to_target_node()}: node of a physical address */
  HmemDevice(Mm mm, IomemResource iomem, LongUnaryOperator physToTargetNode) {
    this.mm = mm;
    this.iomem = iomem;
    this.physToTargetNode = physToTargetNode;
  }

  /** {@code walk_hmem_resources()}: 0, or the first result that was not. */
  @Kernel(file = "drivers/dax/hmem/device.c", symbol = "walk_hmem_resources")
  int walkHmemResources(WalkHmemFn fn) {
    int rc = 0;
    for (Resource res = hmemActive.child; res != null && rc == 0; res = res.sibling) {
      rc = fn.visit(res.desc, res);
    }
    return rc;
  }

  /** {@code __hmem_register_resource()}; a range that overlaps a known one is left out. */
  @Kernel(file = "drivers/dax/hmem/device.c", symbol = "__hmem_register_resource")
  private void hmemRegisterResource0(int targetNid, Resource res) {
    Resource made = iomem.requestRegion(hmemActive, res.start, res.size(), "", 0);
    if (made == null) {
      mm.printk().prDebug(() -> "hmem range " + res + " already active");
      return;
    }
    made.desc = targetNid;
    // The platform device that would be registered once here only starts dax_hmem_init().
  }

  /** {@code hmem_register_resource()}. */
  @Kernel(file = "drivers/dax/hmem/device.c", symbol = "hmem_register_resource")
  void hmemRegisterResource(int targetNid, Resource res) {
    hmemRegisterResource0(targetNid, res);
  }

  @Kernel(file = "drivers/dax/hmem/device.c", symbol = "hmem_register_one")
  private int hmemRegisterOne(Resource res) {
    hmemRegisterResource((int) physToTargetNode.applyAsLong(res.start), res);
    return 0;
  }

  /** {@code hmem_init()}: lists what firmware soft-reserved. */
  @Kernel(file = "drivers/dax/hmem/device.c", symbol = "hmem_init")
  int hmemInit() {
    iomem.walkSoftReserveRes(0, -1, this::hmemRegisterOne);
    return 0;
  }
}
