// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.BoltedMappings;
import org.vmemmap.machine.Machine;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/**
 * All that a kernel on book3s64 needs, put together: what whoever boots one has to know of this
 * package.
 *
 * <pre>
 *   PowerpcGeometry  --&gt;  machine()  --&gt;  Mm  --&gt;  memblock, page allocator, ...  --&gt; 
 * new PowerpcArch
 *        |                                 ^                                             connect()
 *        +--&gt; PowerpcConfig.debian() ------+
 * </pre>
 */
@Kernel(
    file = "arch/powerpc/mm/init_64.c",
    symbol = "mmu_early_init_devtree",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "Object wiring; which MMU it is comes from the caller, not from a device tree.")
public final class PowerpcArch {
  private final SparseVmemmap vmemmap;
  private final MemoryHotplug hotplug;
  private final int vmemmapShift;
  private final Init64 init64;
  private final Mem mem;
  private final Hugetlbpage hugetlbpage;

  /**
   * Makes the architecture's objects.
   *
   * @param has16mPages hash only: the firmware offers 16 MiB pages
   * @param ramBytes RAM at boot, as memblock knows it
   * @throws IllegalArgumentException when the machine has another MMU than {@code geometry} says
   */
  public PowerpcArch(
      Mm mm,
      PowerpcGeometry geometry,
      boolean has16mPages,
      long ramBytes,
      Memblock memblock,
      PageAlloc pageAlloc,
      Slab slab,
      SparseVmemmap vmemmap,
      MemoryHotplug hotplug) {
    if (geometry.radixEnabled() != (mm.machine().bolted() == null)) {
      throw new IllegalArgumentException("mmu=" + geometry.mmu() + ": the machine has the other");
    }
    this.vmemmap = vmemmap;
    this.hotplug = hotplug;
    this.vmemmapShift = geometry.vmemmapBlockShift(has16mPages, ramBytes);
    this.init64 = new Init64(mm, memblock, pageAlloc, slab, vmemmap, geometry, vmemmapShift);
    this.mem = new Mem(mm, hotplug, geometry, geometry.linearShift(has16mPages));
    this.hugetlbpage = new Hugetlbpage(geometry, has16mPages, false);
    mem.setMaxPfn(mm.model().physPfn(ramBytes));
  }

  /**
   * A machine with the MMU of {@code geometry}: one that walks the radix tree, or one that asks its
   * bolted mappings.
   *
   * @param memoryBytes first physical address that does not exist, a multiple of 1 MiB
   * @param cpus number of CPUs
   */
  public static Machine machine(PowerpcGeometry geometry, long memoryBytes, int cpus) {
    @Nullable BoltedMappings bolted = geometry.radixEnabled() ? null : new BoltedMappings();
    return new Machine(
        memoryBytes, geometry.pageTable(), geometry.pageOffset(), Owner.values(), cpus, bolted);
  }

  /** Makes generic code call this architecture. */
  public void connect() {
    vmemmap.setArch(init64);
    hotplug.setArch(mem);
  }

  /** The memmap. */
  public Init64 init64() {
    return init64;
  }

  /** Adding memory. Set {@code max_pfn} here if memory does not begin at 0 or has holes. */
  public Mem mem() {
    return mem;
  }

  /** Which hugepages there are. */
  public Hugetlbpage hugetlbpage() {
    return hugetlbpage;
  }

  /** Bytes of a block of memmap with hash: 4K, 64K or 16M. Not used with radix. */
  public long vmemmapPageSize() {
    return 1L << vmemmapShift;
  }
}
