// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.VmemAltmap;

/** What memory hotplug calls of an architecture. Addresses are physical, sizes in bytes. */
public interface ArchHotplug {
  /**
   * {@code arch_add_memory()}: direct map and memmap of {@code [start, start + size)}.
   *
   * @return 0, or a negative error code with parts possibly added
   */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "arch_add_memory")
  int archAddMemory(int nid, long start, long size, MemoryHotplug.MhpParams params);

  /** {@code add_pages()}: the memmap alone, for memory that the CPU cannot address. */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "add_pages")
  int addPages(int nid, long startPfn, long nrPages, MemoryHotplug.MhpParams params);

  /** {@code arch_remove_memory()}: takes back what {@link #archAddMemory} did. */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "arch_remove_memory", patches = {2})
  void archRemoveMemory(
      long start, long size, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap);

  /** {@code arch_get_mappable_range()}: physical addresses that the direct map can hold. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "arch_get_mappable_range")
  default DevPagemap.Range archGetMappableRange() {
    return new DevPagemap.Range(0, -1);
  }

  /** {@code memremap_compat_align()}: what a device's range must be aligned to, in bytes. */
  @Kernel(file = "mm/memremap.c", symbol = "memremap_compat_align")
  default long memremapCompatAlign() {
    return Mmzone.SUBSECTION_SIZE;
  }

  /** CONFIG_ARCH_KEEP_MEMBLOCK: whether memblock is kept up to date after boot. */
  default boolean archKeepMemblock() {
    return false;
  }

  /**
   * {@code arch_supports_memmap_on_memory()}: whether a block's memmap may lie in the block.
   *
   * @param vmemmapSize bytes of memmap of a memory block
   * @param pmdSize bytes that a pmd maps
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "arch_supports_memmap_on_memory")
  default boolean archSupportsMemmapOnMemory(long vmemmapSize, long pmdSize) {
    return vmemmapSize % pmdSize == 0;
  }

  /** Registers the notifiers that the architecture has for memory that goes. */
  default void registerMemoryNotifiers(MemoryBlocks blocks) {}
}
