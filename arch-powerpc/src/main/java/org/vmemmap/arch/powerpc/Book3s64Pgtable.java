// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pgtable;

/**
 * Where the tables of the radix tree come from once the page allocator is up. Each level has its
 * own source:
 *
 * <pre>
 *          4K pages                64K pages
 *   pud    slab, 4096 bytes        slab, 4096 bytes: 16 share a page
 *   pmd    a page                  a fragment of 4096 bytes
 *   pte    a page                  a fragment of 256 bytes
 * </pre>
 *
 * All return linear addresses of zeroed tables. Callers hold the hotplug lock.
 */
@Kernel(file = "arch/powerpc/mm/book3s64/pgtable.c", symbol = "pmd_fragment_alloc")
final class Book3s64Pgtable {
  private static final int NUMA_NO_NODE = -1;

  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final Slab slab;
  private final PowerpcGeometry geometry;
  private final PgtableFrag pteFrags;
  private final PgtableFrag pmdFrags;

  Book3s64Pgtable(Mm mm, PageAlloc pageAlloc, Slab slab, PowerpcGeometry geometry) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.slab = slab;
    this.geometry = geometry;
    this.pteFrags = frags("__alloc_for_ptecache", Pgtable.PTE);
    this.pmdFrags = frags("__alloc_for_pmdcache", Pgtable.PMD);
  }

  private PgtableFrag frags(String site, int level) {
    return new PgtableFrag(mm, pageAlloc, site, geometry.tableBytes(level));
  }

  /** {@code pud_alloc_one()}: 0 without memory. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgalloc.h", symbol = "pud_alloc_one")
  long pudAllocOne() {
    return slab.kzalloc(geometry.tableBytes(Pgtable.PUD), NUMA_NO_NODE, "pud_alloc_one");
  }

  /** {@code pud_free()}: one from boot never was a slab object. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgalloc.h", symbol = "__pud_free")
  void pudFree(long pud) {
    Page page = mm.model().virtToPage(pud);
    if (mm.flags().pageReserved(page)) {
      pageAlloc.freeReservedPage(page);
    } else {
      slab.kfree(pud);
    }
  }

  /** {@code pmd_alloc_one()}: 0 without memory. */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/pgtable.c",
      symbol = "pmd_fragment_alloc",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The C code repeats that of pgtable-frag.c with other names.")
  long pmdFragmentAlloc() {
    return pmdFrags.pteFragmentAlloc();
  }

  /** {@code pmd_free()}. */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/pgtable.c",
      symbol = "pmd_fragment_free",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The C code repeats that of pgtable-frag.c with other names.")
  void pmdFragmentFree(long pmd) {
    pmdFrags.pteFragmentFree(pmd);
  }

  /** {@code pte_alloc_one_kernel()}: 0 without memory. */
  @Kernel(file = "arch/powerpc/include/asm/pgalloc.h", symbol = "pte_alloc_one_kernel")
  long pteAllocOneKernel() {
    return pteFrags.pteFragmentAlloc();
  }

  /** {@code pte_free_kernel()}. */
  @Kernel(file = "arch/powerpc/include/asm/pgalloc.h", symbol = "pte_free_kernel")
  void pteFreeKernel(long pte) {
    pteFrags.pteFragmentFree(pte);
  }

  /** Pages that were taken for tables and have none in use, though they cannot be freed. */
  int idlePages() {
    return pteFrags.idlePages() + pmdFrags.idlePages();
  }

  /**
   * {@code memremap_compat_align()}: with hash the direct map has one page size, and a device must
   * not share such a page with anything else.
   *
   * @param linearShift log2 of that size; with radix it plays no part
   */
  @Kernel(file = "arch/powerpc/mm/book3s64/pgtable.c", symbol = "memremap_compat_align")
  static long memremapCompatAlign(PowerpcGeometry geometry, int linearShift) {
    if (!geometry.radixEnabled()) {
      return Math.max(Mmzone.SUBSECTION_SIZE, 1L << linearShift);
    }
    return Mmzone.SUBSECTION_SIZE;
  }
}
