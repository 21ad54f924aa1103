// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.function.Consumer;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;

/** Looks at a boot at the moment when the first part of the table of sections is allocated. */
final class BootProbe {
  private static final long PFN_6G = 6L << 18;
  private static final long GIB_PAGES = 1L << 18;

  private boolean seen;
  private long reserved;
  private boolean crosses;
  private final LabKernel kernel;

  private BootProbe(MachineSpec spec) {
    this.kernel = LabKernel.bootEarly(spec, watching("sparse_index_alloc", this::look));
  }

  /** Boots {@code spec} up to where the memmap is complete. */
  static BootProbe of(MachineSpec spec) {
    return new BootProbe(spec);
  }

  private static LabKernel.Listener watching(String watched, Consumer<LabKernel> look) {
    return new LabKernel.Listener() {
      @Override
      public void beforeMmCoreInit(LabKernel booting) {
        booting
            .mm()
            .machine()
            .faults()
            .failFrom(
                1,
                site -> {
                  if (site.equals(watched)) {
                    look.accept(booting);
                  }
                  return false;
                });
      }
    };
  }

  private void look(LabKernel booting) {
    if (!seen) {
      seen = true;
      reserved = booting.memblock().memblockReservedSize();
      crosses = booting.mmInit().pfnRangeIntersectsZones(0, PFN_6G, GIB_PAGES);
    }
  }

  /** Whole GiB that were reserved at that moment. */
  long reservedGib() {
    return reserved >> 30;
  }

  /** Whether the GiB at 6 GiB was known to lie in two zones at that moment. */
  boolean crosses() {
    return crosses;
  }

  /** The kernel after it. */
  LabKernel kernel() {
    return kernel;
  }
}
