// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.ArchVmemmap;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.VmemAltmap;

/**
 * An architecture that leaves all it can to the generic code: leaves for whole sections, base pages
 * for parts. Its page tables stay when what they map is gone.
 */
final class PlainArch implements ArchVmemmap {
  private static final int PMD_ORDER = 9;

  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final SparseVmemmap vmemmap;

  PlainArch(Mm mm, PageAlloc pageAlloc, SparseVmemmap vmemmap) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.vmemmap = vmemmap;
  }

  @Override
  public int vmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap) {
    return end - start < mm.pgtable().pmdSize()
        ? vmemmap.vmemmapPopulateBasepages(start, end, node, null)
        : vmemmap.vmemmapPopulateHugepages(start, end, node, altmap);
  }

  @Override
  public void vmemmapFree(long start, long end, @Nullable VmemAltmap altmap) {
    Pgtable pgtable = mm.pgtable();
    long next;
    for (long addr = start; addr < end; addr = next) {
      Ptr<Pmd> pmd = pmd(addr);
      Pmd entry = pmd == null ? new Pmd(0) : pgtable.pmdpGet(pmd);
      next = pgtable.pmdAddrEnd(addr, end);
      if (pmd == null || pgtable.pmdNone(entry)) {
        continue;
      }
      if (pgtable.pmdLeaf(entry)) {
        free(pgtable.pmdPage(entry), PMD_ORDER, altmap);
        pgtable.pmdClear(pmd);
        continue;
      }
      next = addr + mm.model().pageSize();
      Ptr<Pte> pte = pgtable.pteOffsetKernel(pmd, addr);
      if (!pgtable.pteNone(pgtable.ptepGet(pte))) {
        free(pgtable.ptePage(pgtable.ptepGet(pte)), 0, null);
        pgtable.pteClear(addr, pte);
      }
    }
    pgtable.flushTlbKernelRange(start, end);
  }

  private @Nullable Ptr<Pmd> pmd(long addr) {
    Pgtable pgtable = mm.pgtable();
    if (pgtable.p4dNone(pgtable.p4dpGet(pgtable.p4dOffset(pgtable.pgdOffsetK(addr), addr)))) {
      return null;
    }
    boolean none =
        pgtable.pudNone(
            pgtable.pudpGet(
                pgtable.pudOffset(pgtable.p4dOffset(pgtable.pgdOffsetK(addr), addr), addr)));
    return none ? null : pgtable.pmdOffK(addr);
  }

  private void free(Page page, int order, @Nullable VmemAltmap altmap) {
    if (altmap != null) {
      altmap.vmemAltmapFree(mm, 1L << order);
      mm.own(mm.model().pageToPfn(page), 1L << order, Owner.DEVICE);
    } else if (mm.flags().pageReserved(page)) {
      pageAlloc.freeReservedPages(page, order);
    } else {
      pageAlloc.freePages(page, order);
    }
  }

  @Override
  public void vmemmapSetPmd(Ptr<Pmd> pmd, long p, int node, long addr, long next) {
    vmemmap.vmemmapSetPmd(pmd, p, node, addr, next);
  }

  @Override
  public boolean vmemmapCheckPmd(Ptr<Pmd> pmd, int node, long addr, long next) {
    return vmemmap.vmemmapCheckPmd(pmd, node, addr, next);
  }

  @Override
  public boolean pmdSetHuge(Ptr<Pmd> pmd, long paddr, Prot prot) {
    mm.pgtable().setPmd(pmd, new Pmd(mm.pgtable().arch().mkLeaf(paddr, Pgtable.PMD, prot)));
    return true;
  }

  @Override
  public boolean wantsOptimizedDaxVmemmap() {
    return true;
  }
}
