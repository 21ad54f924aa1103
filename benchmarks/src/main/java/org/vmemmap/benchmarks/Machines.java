// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.benchmarks;

import java.util.List;
import java.util.Objects;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Folio;

/** Booted machines for the benchmarks. */
final class Machines {
  private static final long SIZE_2M = 2L << 20;
  private static final int LEVELS = 4;

  private Machines() {}

  /** A machine of {@code gib} GiB and one node, not booted. */
  static MachineSpec spec(long gib, String... cmdline) {
    return MachineSpecs.ofSize(gib << 30, 1, List.of(), LEVELS, List.of(cmdline));
  }

  /** A booted machine with HVO on and a pool of {@code hugepages} pages of 2 MiB. */
  static LabKernel withPool(long gib, int hugepages) {
    LabKernel kernel =
        LabKernel.boot(
            spec(gib, "hugetlb_free_vmemmap=on", "hugepages=" + hugepages), Placement.NONE);
    if (hstate(kernel).nrHugePages != hugepages) {
      throw new IllegalStateException("hugepages=" + hstate(kernel).nrHugePages);
    }
    return kernel;
  }

  /** The pool of 2 MiB pages. */
  static Hstate hstate(LabKernel kernel) {
    return Objects.requireNonNull(kernel.hugetlb().hstates().sizeToHstate(SIZE_2M));
  }

  /** The first free hugepage of node 0. */
  static Folio firstFree(LabKernel kernel) {
    var head = hstate(kernel).hugepageFreelists(0);
    return new Folio(kernel.mm().struct().ofLru(kernel.mm().lists().first(head)));
  }
}
