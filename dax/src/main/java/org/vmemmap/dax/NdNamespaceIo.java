// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Resource;

/**
 * {@code struct nd_namespace_io}: persistent memory without labels, one range. Whoever claims it
 * may read and write its first bytes while it is enabled.
 */
@Kernel(file = "include/linux/nd.h", symbol = "struct nd_namespace_io")
public final class NdNamespaceIo {
  private final Mm mm;
  private final IomemResource iomem;
  private final Device dev;
  private final Resource res;
  private @Nullable Resource enabled;
  private long size;
  @Nullable Device claim;

  NdNamespaceIo(Mm mm, IomemResource iomem, String name, int numaNode, Resource res) {
    this.mm = mm;
    this.iomem = iomem;
    this.dev = new Device(name, numaNode);
    this.res = res;
  }

  /** {@code ndns->dev}. */
  Device dev() {
    return dev;
  }

  /** {@code nsio->res}: the range. */
  Resource res() {
    return res;
  }

  /** {@code nvdimm_namespace_capacity()} in bytes. */
  @Kernel(file = "drivers/nvdimm/namespace_devs.c", symbol = "nvdimm_namespace_capacity")
  long capacity() {
    return res.size();
  }

  /**
   * {@code devm_nsio_enable()}: claims the first {@code bytes} bytes for {@code host}; 0 or -EBUSY.
   */
  @Kernel(file = "drivers/nvdimm/claim.c", symbol = "devm_nsio_enable")
  int devmNsioEnable(Device host, long bytes) {
    size = bytes;
    enabled = host.devmRequestMemRegion(mm, iomem, res.start, bytes, dev.name());
    if (enabled == null) {
      host.warn(mm.printk(), "could not reserve region " + res);
      return -Errno.EBUSY;
    }
    if (mm.mayFail("devm_init_badblocks")) {
      return -Errno.ENOMEM;
    }
    return 0;
  }

  /** {@code devm_nsio_disable()}: gives the claim back. */
  @Kernel(file = "drivers/nvdimm/claim.c", symbol = "devm_nsio_disable")
  void devmNsioDisable(Device host) {
    if (enabled == null) {
      throw new KernelBug("devm_nsio_disable: not enabled");
    }
    host.devmReleaseMemRegion(mm.printk(), enabled);
    enabled = null;
  }

  /**
   * {@code nvdimm_read_bytes()}: {@code into.length} 64-bit words at {@code offset}; 0, or -EFAULT
   * behind what is enabled.
   */
  @Kernel(file = "drivers/nvdimm/claim.c", symbol = "nsio_rw_bytes")
  int readBytes(long offset, long[] into) {
    if (outOfRange(offset, 8L * into.length)) {
      return -Errno.EFAULT;
    }
    for (int i = 0; i < into.length; i++) {
      into[i] = mm.machine().cpu().readLong(mm.model().va(res.start + offset + 8L * i));
    }
    return 0;
  }

  /** {@code nvdimm_write_bytes()}: the way back of {@link #readBytes}. */
  @Kernel(file = "drivers/nvdimm/claim.c", symbol = "nsio_rw_bytes")
  int writeBytes(long offset, long[] from) {
    if (outOfRange(offset, 8L * from.length)) {
      return -Errno.EFAULT;
    }
    for (int i = 0; i < from.length; i++) {
      mm.machine().cpu().writeLong(mm.model().va(res.start + offset + 8L * i), from[i]);
    }
    return 0;
  }

  private boolean outOfRange(long offset, long bytes) {
    return dev.warnOnce(
        mm.printk(), offset + bytes > size, "nsio_rw_bytes: request out of range");
  }
}
