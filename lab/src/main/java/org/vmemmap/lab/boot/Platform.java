// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.List;
import org.vmemmap.dax.Bus;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.hugetlb.HugetlbArch;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.Sparse;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Mm;

/**
 * What a boot asks of an architecture, in the order in which it asks: hardware, the architecture's
 * side of the memmap, setup_arch(), zones. A {@link LabKernel} knows nothing else about a CPU.
 */
interface Platform {
  /**
   * The platform of {@code spec}; its image keeps off the hugepages of {@code placement}.
   *
   * @throws BadInput for a machine that its kernel cannot run on
   */
  static Platform of(MachineSpec spec, Placement placement) {
    return switch (spec.arch()) {
      case Profile.ARM64 -> new Arm64Platform(spec, placement);
      case Profile.POWERPC -> new PowerpcPlatform(spec, placement);
      default -> new X86Platform(spec, placement);
    };
  }

  /** The hardware, and the headers of the kernel that was loaded into it. */
  Mm makeMm();

  /** {@code pgd_alloc()}: linear address of the top-level table of a new process; 0 for none. */
  default long pgdAlloc() {
    return 0;
  }

  /** Linear addresses of the top-level tables that it made. */
  default List<Long> processPageTables() {
    return List.of();
  }

  /** {@code max_pfn}: what boot set, or memory that was added later has raised it to. */
  long maxPfn();

  /** Sizes of hugepages. */
  HugetlbArch hugetlbArch();

  /** Sizes of leaves that a process can have. */
  Bus.ThpSizes thpSizes();

  /** The generic files that the architecture's files call. */
  record Parts(
      Mm mm,
      Memblock memblock,
      PageAlloc pageAlloc,
      Slab slab,
      SparseVmemmap sparseVmemmap,
      Sparse sparse,
      MemoryHotplug memoryHotplug,
      IomemResource iomem) {}

  /** Makes the architecture's files and hands them to the generic ones. */
  void connect(Parts parts);

  /** The part of setup_arch() that fills memblock, and the resource tree as far as it goes early. */
  void setupArch(Parts parts);

  /** {@code arch_zone_limits_init()}: first pfn behind each zone. */
  long[] archZoneLimitsInit();

  /** Makes namespaces of persistent memory, as the driver of its firmware does: 0 or an error. */
  default int registerPmem(DaxBus dax, MachineSpec spec) {
    int rc = 0;
    for (Ram range : spec.pmem()) {
      int one = dax.registerNamespace(range.start(), range.size(), range.node());
      rc = rc == 0 ? one : rc;
    }
    return rc;
  }

  /** The part of the initcalls that completes the resource tree. */
  void initcalls(Parts parts);
}
