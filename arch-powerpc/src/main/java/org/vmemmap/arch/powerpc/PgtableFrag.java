// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * Page tables that are smaller than a page: a page is cut into fragments, handed out from the
 * front, and goes back with the last of them.
 *
 * <pre>
 *   64K pages, pte tables of 256 bytes
 *   0        256       512       768                              64K
 *  +---------+---------+---------+--------------- ~ ---------------+
 *  | table   | table   | freed   | never handed out yet            |   pt_frag_refcount = 255
 *  +---------+---------+---------+--------------- ~ ---------------+
 *                                ^ pte_frag of the mm's context
 * </pre>
 *
 * The count starts at the number of fragments, those not handed out included; each one freed lowers
 * it. So a page of which a part was never used stays forever, and a freed fragment is not handed
 * out again: only the allocator sees the page again, when all of it is free. Fragments are not
 * zeroed when they are handed out; the page was.
 *
 * <p>Tables of init_mm only. Callers hold the hotplug lock.
 */
@Kernel(file = "arch/powerpc/mm/pgtable-frag.c", symbol = "pte_fragment_alloc")
final class PgtableFrag {
  private static final long NULL = 0;

  /** {@code ptdesc->pt_frag_refcount}: where a struct page has its index. */
  @Kernel(file = "include/linux/mm_types.h", symbol = "struct ptdesc")
  private static final int PT_FRAG_REFCOUNT = StructPage.INDEX;

  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final String site;
  private final long fragSize;
  private final int fragNr;

  /** {@code init_mm.context.pte_frag}: the next fragment to hand out; 0 for none. */
  private long frag;

  /**
   * A source of tables.
   *
   * @param site the kernel function that asks for a page, for fault injection
   * @param tableBytes bytes of a table, at most a page
   */
  PgtableFrag(Mm mm, PageAlloc pageAlloc, String site, long tableBytes) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.site = site;
    this.fragSize = tableBytes;
    this.fragNr = (int) (mm.model().pageSize() / tableBytes);
  }

  /** The next fragment of the page in use; 0 when there is none. */
  @Kernel(file = "arch/powerpc/mm/pgtable-frag.c", symbol = "get_pte_from_cache")
  private long getPteFromCache() {
    if (fragNr == 1) {
      return NULL;
    }
    long ret = frag;
    if (ret != NULL) {
      long next = ret + fragSize;
      frag = (next & mm.model().pageSize() - 1) == 0 ? NULL : next;
    }
    return ret;
  }

  /**
   * A fresh page, of which the first fragment is returned. The others are for later, unless another
   * CPU has brought a page in the meantime: then this one has one fragment only.
   */
  @Kernel(
      file = "arch/powerpc/mm/pgtable-frag.c",
      symbol = "__alloc_for_ptecache",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "pagetable_pte_ctor() cannot fail here: there are no split page-table locks.")
  private long allocForPtecache0() {
    Page page = pageAlloc.allocPagesNode(-1, Gfp.KERNEL.or(Gfp.ZERO), 0, site);
    if (page == null) {
      return NULL;
    }
    mm.flags().setType(page, PageFlags.PGTY_TABLE);
    mm.own(mm.model().pageToPfn(page), 1, Owner.PAGE_TABLE);
    long ret = mm.model().pageAddress(page);
    setFragRefcount(page, 1);
    if (fragNr == 1) {
      return ret;
    }
    if (frag == NULL) {
      setFragRefcount(page, fragNr);
      frag = ret + fragSize;
    }
    return ret;
  }

  /** {@code pte_fragment_alloc()}: linear address of an empty table, or 0. */
  @Kernel(file = "arch/powerpc/mm/pgtable-frag.c", symbol = "pte_fragment_alloc")
  long pteFragmentAlloc() {
    long pte = getPteFromCache();
    return pte != NULL ? pte : allocForPtecache0();
  }

  /** {@code pte_free_now()}: the last fragment is gone. */
  @Kernel(file = "arch/powerpc/mm/pgtable-frag.c", symbol = "pte_free_now")
  private void pteFreeNow(Page page) {
    mm.flags().clearType(page, PageFlags.PGTY_TABLE);
    pageAlloc.freePages(page, 0);
  }

  /**
   * {@code pte_fragment_free()}: gives the table at a linear address back. One from boot has a page
   * of its own, whatever its size.
   */
  @Kernel(file = "arch/powerpc/mm/pgtable-frag.c", symbol = "pte_fragment_free")
  void pteFragmentFree(long table) {
    Page page = mm.model().virtToPage(table);
    if (mm.flags().pageReserved(page)) {
      pageAlloc.freeReservedPage(page);
      return;
    }
    int count = mm.struct().half(page, PT_FRAG_REFCOUNT);
    mm.printk().bugOn(count <= 0, "pte_fragment_free: atomic_read(&ptdesc->pt_frag_refcount) <= 0");
    setFragRefcount(page, count - 1);
    if (count == 1) {
      pteFreeNow(page);
    }
  }

  /** Pages in which no table is in use: at most the one that fragments are handed out from. */
  int idlePages() {
    if (frag == NULL) {
      return 0;
    }
    long pageSize = mm.model().pageSize();
    int neverUsed = (int) ((pageSize - (frag & pageSize - 1)) / fragSize);
    Page page = mm.model().virtToPage(frag);
    return mm.struct().half(page, PT_FRAG_REFCOUNT) == neverUsed ? 1 : 0;
  }

  private void setFragRefcount(Page page, int count) {
    mm.struct().setHalf(page, PT_FRAG_REFCOUNT, count);
  }
}
