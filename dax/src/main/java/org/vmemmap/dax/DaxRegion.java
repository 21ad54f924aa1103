// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.BitSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Resource;

/** {@code struct dax_region}: a range from which DAX devices are cut. Sizes are in bytes. */
@Kernel(file = "drivers/dax/dax-private.h", symbol = "struct dax_region")
public final class DaxRegion {
  /** IORESOURCE_DAX_STATIC: exactly one device, made by another subsystem. */
  @Kernel(file = "drivers/dax/bus.h", symbol = "IORESOURCE_DAX_STATIC")
  public static final long IORESOURCE_DAX_STATIC = 1L << 0;

  /** IORESOURCE_DAX_KMEM: devices go to the driver that makes them System RAM, unless asked. */
  @Kernel(file = "drivers/dax/bus.h", symbol = "IORESOURCE_DAX_KMEM")
  public static final long IORESOURCE_DAX_KMEM = 1L << 1;

  final int id;
  final int targetNode;
  final Device dev;
  final long align;
  final Resource res;
  final BitSet ida = new BitSet();
  @Nullable DevDax seed;
  @Nullable DevDax youngest;

  DaxRegion(int id, int targetNode, Device dev, long align, Resource res) {
    this.id = id;
    this.targetNode = targetNode;
    this.dev = dev;
    this.align = align;
    this.res = res;
  }

  /** The number in the names of its devices. */
  public int id() {
    return id;
  }

  /** Node that the memory would be on as System RAM. */
  public int targetNode() {
    return targetNode;
  }

  /** Least alignment of devices, in bytes. */
  public long align() {
    return align;
  }

  /** First byte. */
  public long start() {
    return res.start;
  }

  /** Length in bytes. */
  public long size() {
    return res.size();
  }
}
