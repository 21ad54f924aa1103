// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.VmemAltmap;

/** What the generic memmap code calls of an architecture. Addresses are virtual, in the memmap. */
public interface ArchVmemmap {
  /**
   * Maps the memmap {@code [start, end)}.
   *
   * @return 0, or a negative error code with parts possibly mapped
   */
  @Kernel(file = "include/linux/mm.h", symbol = "vmemmap_populate", patches = {4, 45})
  int vmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap);

  /** The end of {@code vmemmap_populate()}: what an architecture does after a success. */
  default void vmemmapPopulateDone(long start, long end) {}

  /**
   * False for an architecture whose own walker does not know of section orders; its sections keep
   * order 0.
   */
  default boolean populatesBySectionOrder() {
    return true;
  }

  /** Unmaps the memmap {@code [start, end)} and gives its backing back. */
  @Kernel(file = "include/linux/mm.h", symbol = "vmemmap_free")
  void vmemmapFree(long start, long end, @Nullable VmemAltmap altmap);

  /** {@code vmemmap_set_pmd()}: enters the block at linear address {@code p} as a pmd leaf. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_set_pmd")
  void vmemmapSetPmd(Ptr<Pmd> pmd, long p, int node, long addr, long next);

  /** {@code vmemmap_check_pmd()}: true when the pmd is a leaf that can be used as it is. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_check_pmd")
  boolean vmemmapCheckPmd(Ptr<Pmd> pmd, int node, long addr, long next);

  /** {@code pmd_set_huge()}: false when the architecture refuses. */
  @Kernel(file = "include/linux/pgtable.h", symbol = "pmd_set_huge")
  boolean pmdSetHuge(Ptr<Pmd> pmd, long paddr, Prot prot);

  /** The architecture's word in {@code vmemmap_can_optimize()}. */
  boolean wantsOptimizedDaxVmemmap();

  /**
   * {@code vmemmap_populate_compound_pages()}: maps the memmap {@code [start, end)} of device
   * memory in compound pages. An architecture with its own walker has its own.
   *
   * @return 0 or -ENOMEM with parts mapped
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_populate_compound_pages", patches = {34})
  default int vmemmapPopulateCompoundPages(
      SparseVmemmap generic,
      long startPfn,
      long start,
      long end,
      int node,
      DevPagemap pgmap) {
    return generic.vmemmapPopulateCompoundPages(startPfn, start, end, node, pgmap);
  }

  /**
   * {@code mem_init()}: all memory has been handed to the page allocator, struct pages of reserved
   * memory are initialised.
   */
  @Kernel(file = "include/linux/mm.h", symbol = "mem_init")
  default void memInit() {}

  /** HAVE_BOOTMEM_INFO_NODE: the architecture registers frames of boot memmap. */
  default boolean haveBootmemInfoNode() {
    return false;
  }

  /**
   * {@code register_page_bootmem_memmap()}: registers the frames behind {@code nrPages} struct pages
   * of section {@code sectionNr} from {@code map} on, and the tables that lead to them.
   */
  @Kernel(file = "include/linux/bootmem_info.h", symbol = "register_page_bootmem_memmap")
  default void registerPageBootmemMemmap(long sectionNr, Page map, long nrPages) {}

  /** {@code vmemmap_populate_print_last()}. */
  @Kernel(file = "mm/sparse.c", symbol = "vmemmap_populate_print_last")
  default void vmemmapPopulatePrintLast() {}

  /** {@code flush_cache_vmap()}: after new entries; only powerpc has to order its stores here. */
  @Kernel(
      file = "include/asm-generic/cacheflush.h",
      symbol = "flush_cache_vmap",
      fidelity = Kernel.Fidelity.STUB,
      why = "Empty in the kernel too, but for architectures that override it.")
  default void flushCacheVmap(long start, long end) {}

  /**
   * {@code __pa(MAX_DMA_ADDRESS)}: boot allocations of the memmap prefer addresses from here on.
   */
  @Kernel(file = "include/asm-generic/dma.h", symbol = "MAX_DMA_ADDRESS")
  default long maxDmaPaddr() {
    return 0;
  }
}
