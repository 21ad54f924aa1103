// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.jspecify.annotations.Nullable;

/** {@code struct vmem_altmap}: memory of a device that may hold its own memmap. Units: pages. */
@Kernel(file = "include/linux/memremap.h", symbol = "struct vmem_altmap")
public final class VmemAltmap {
  /** First pfn of the device. */
  public long basePfn;

  /** Last pfn of the mapped range. */
  public long endPfn;

  /** Pages at the start that are not to be used. */
  public long reserve;

  /** Pages set aside for the memmap. */
  public long free;

  /** Pages lost to alignment. */
  public long align;

  /** Pages handed out. */
  public long alloc;

  /** {@code vmem_altmap_offset()}: pages from the base up to the first that is not set aside. */
  @Kernel(file = "include/linux/mm.h", symbol = "vmem_altmap_offset")
  public static long vmemAltmapOffset(@Nullable VmemAltmap altmap) {
    return altmap == null ? 0 : altmap.reserve + altmap.free;
  }

  /** {@code vmem_altmap_free()}: takes {@code nrPfns} pages back; the padding stays lost. */
  @Kernel(file = "include/linux/mm.h", symbol = "vmem_altmap_free")
  public void vmemAltmapFree(Mm mm, long nrPfns) {
    alloc = mm.machine().add("altmap->alloc", alloc, -nrPfns);
  }
}
