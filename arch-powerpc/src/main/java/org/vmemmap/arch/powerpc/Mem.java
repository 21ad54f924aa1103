// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import org.jspecify.annotations.Nullable;
import org.vmemmap.sparse.ArchHotplug;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.VmemAltmap;

/** Adding and removing memory. Addresses are physical, sizes in bytes. */
@Kernel(file = "arch/powerpc/mm/mem.c", symbol = "arch_add_memory")
public final class Mem implements ArchHotplug {
  private final Mm mm;
  private final MemoryHotplug hotplug;
  private final PowerpcGeometry geometry;
  private final int linearShift;
  private long maxPfn;

  /** @param linearShift log2 of the page size of the direct map with hash */
  Mem(Mm mm, MemoryHotplug hotplug, PowerpcGeometry geometry, int linearShift) {
    this.mm = mm;
    this.hotplug = hotplug;
    this.geometry = geometry;
    this.linearShift = linearShift;
  }

  /** {@code max_pfn}: first pfn behind all memory of the system. */
  @Kernel(file = "mm/memblock.c", symbol = "max_pfn")
  public long maxPfn() {
    return maxPfn;
  }

  /** Sets {@code max_pfn}, as mem_topology_setup() does from memblock. */
  public void setMaxPfn(long pfn) {
    maxPfn = pfn;
  }

  /**
   * Memory must lie below what the kernel maps elsewhere.
   *
   * @return 0 or -EFAULT
   */
  @Kernel(
      file = "arch/powerpc/mm/mem.c",
      symbol = "arch_create_linear_mapping",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The machine's linear window is the direct map: only the check of the range is left.")
  private int archCreateLinearMapping(long start, long size) {
    long va = mm.model().va(start);
    if (Long.compareUnsigned(va + size, geometry.vmallocStart()) >= 0) {
      mm.printk().prWarn("Outside the supported range");
      mm.printk()
          .prWarn(
              "Unable to create linear mapping for 0x%x..0x%x: -1".formatted(va, va + size));
      return -Errno.EFAULT;
    }
    return 0;
  }

  /** Memory that was added may lie behind all that was there; that of a device counts too. */
  @Kernel(
      file = "arch/powerpc/mm/mem.c",
      symbol = "update_end_of_memory_vars",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "max_low_pfn and high_memory, which always follow max_pfn here, have no readers.")
  private void updateEndOfMemoryVars(long start, long size) {
    maxPfn = Math.max(maxPfn, mm.model().pfnUp(start + size));
  }

  /** {@code add_pages()}: memmap for pfns, and the end of memory moves. */
  @Override
  @Kernel(file = "arch/powerpc/mm/mem.c", symbol = "add_pages")
  public int addPages(int nid, long startPfn, long nrPages, MemoryHotplug.MhpParams params) {
    int ret = hotplug.addPages(nid, startPfn, nrPages, params);
    if (ret != 0) {
      return ret;
    }
    updateEndOfMemoryVars(mm.model().pfnPhys(startPfn), mm.model().pfnPhys(nrPages));
    return ret;
  }

  /**
   * {@code arch_add_memory()}.
   *
   * @return 0, -EFAULT outside of the direct map, or what add_pages() returns
   */
  @Override
  @Kernel(file = "arch/powerpc/mm/mem.c", symbol = "arch_add_memory")
  public int archAddMemory(int nid, long start, long size, MemoryHotplug.MhpParams params) {
    int rc = archCreateLinearMapping(start, size);
    if (rc != 0) {
      return rc;
    }
    rc = addPages(nid, mm.model().physPfn(start), mm.model().physPfn(size), params);
    if (rc != 0) {
      archRemoveLinearMapping();
    }
    return rc;
  }

  /** What {@link #archCreateLinearMapping} would have mapped. */
  @Kernel(
      file = "arch/powerpc/mm/mem.c",
      symbol = "arch_remove_linear_mapping",
      fidelity = Kernel.Fidelity.STUB,
      why = "The machine's linear window is the direct map.")
  private void archRemoveLinearMapping() {}

  @Override
  @Kernel(file = "arch/powerpc/mm/mem.c", symbol = "arch_remove_memory", patches = {2})
  public void archRemoveMemory(
      long start, long size, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    hotplug.removePages(mm.model().physPfn(start), mm.model().physPfn(size), altmap, pgmap);
    archRemoveLinearMapping();
  }

  @Override
  @Kernel(file = "arch/powerpc/mm/book3s64/pgtable.c", symbol = "memremap_compat_align")
  public long memremapCompatAlign() {
    return Book3s64Pgtable.memremapCompatAlign(geometry, linearShift);
  }

  @Override
  public boolean archKeepMemblock() {
    return true;
  }

  /**
   * {@code arch_supports_memmap_on_memory()}: memory can hold its own memmap if no leaf of it holds
   * another's. With 64K pages it may, as the altmap check makes base pages where it would.
   *
   * @param vmemmapSize bytes of memmap of a memory block
   */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/pgtable.h", symbol = "arch_supports_memmap_on_memory")
  public boolean archSupportsMemmapOnMemory(long vmemmapSize, long pmdSize) {
    if (!geometry.radixEnabled()) {
      return false;
    }
    return geometry.pageShift() != PowerpcGeometry.SHIFT_4K || vmemmapSize % pmdSize == 0;
  }
}
