// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;

/**
 * {@code struct nd_pfn} of a {@code struct nd_dax}: how a namespace is to be used for device DAX.
 */
@Kernel(file = "drivers/nvdimm/nd.h", symbol = "struct nd_pfn")
public final class NdPfn {
  /** {@code enum nd_pfn_mode}: where the memmap goes. */
  @Kernel(file = "drivers/nvdimm/nd.h", symbol = "enum nd_pfn_mode")
  public enum Mode {
    /** Not chosen yet. */
    PFN_MODE_NONE(0),
    /** RAM: {@code map=mem}. */
    PFN_MODE_RAM(1),
    /** The namespace itself: {@code map=dev}. */
    PFN_MODE_PMEM(2);

    private final int number;

    Mode(int number) {
      this.number = number;
    }

    /** The number in the info block. */
    int number() {
      return number;
    }
  }

  final Device dev;
  final boolean isNdDax;
  Mode mode = Mode.PFN_MODE_NONE;
  long align;
  long npfns;
  @Nullable NdUuid uuid;
  @Nullable NdPfnSb pfnSb;
  @Nullable NdNamespaceIo ndns;

  NdPfn(Device dev, boolean isNdDax) {
    this.dev = dev;
    this.isNdDax = isNdDax;
  }

  /** The info block; null before the device was set up. */
  public @Nullable NdPfnSb pfnSb() {
    return pfnSb;
  }

  /** Pages of data. */
  public long npfns() {
    return npfns;
  }
}
