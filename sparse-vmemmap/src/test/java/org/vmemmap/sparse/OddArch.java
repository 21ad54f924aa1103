// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.DevPagemap;
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
 * An architecture that leaves all it can to the generic code. Populates with leaves; frees whole
 * leaves and single pages, and keeps the tables.
 */
final class OddArch implements ArchVmemmap, ArchHotplug {
  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final SparseVmemmap vmemmap;
  private final MemoryHotplug hotplug;

  /** {@code pmd_set_huge()} refuses. */
  boolean refuseHuge;

  /** Populates with base pages only. */
  boolean basepagesOnly;

  /** What the direct map can hold. */
  DevPagemap.Range mappable = new DevPagemap.Range(0, -1);

  /** Calls of {@link #archAddMemory}. */
  int added;

  /** The walker knows of section orders. */
  boolean sectionOrders = true;

  /** CONFIG_ARCH_KEEP_MEMBLOCK. */
  boolean keepMemblock;

  /** HAVE_BOOTMEM_INFO_NODE. */
  boolean bootmemInfo;

  /** Sections whose memmap was to be registered. */
  final List<Long> registered = new ArrayList<>();

  /** Starts of the ranges that {@link #vmemmapPopulateDone} heard of. */
  final List<Long> populated = new ArrayList<>();

  /** Starts of the ranges that {@link #flushCacheVmap} heard of. */
  final List<Long> flushed = new ArrayList<>();

  /** {@code memremap_compat_align()}. */
  long compatAlign = 2 << 20;

  /** What {@link #registerMemoryNotifiers} was given. */
  @Nullable MemoryBlocks notified;

  /** Calls of {@link #memInit}. */
  int memInits;

  /** Calls of {@link #vmemmapPopulatePrintLast}. */
  int lastPrinted;

  OddArch(Mm mm, PageAlloc pageAlloc, SparseVmemmap vmemmap, MemoryHotplug hotplug) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.vmemmap = vmemmap;
    this.hotplug = hotplug;
  }

  @Override
  public int vmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap) {
    return basepagesOnly
        ? vmemmap.vmemmapPopulateBasepages(start, end, node, altmap)
        : vmemmap.vmemmapPopulateHugepages(start, end, node, altmap);
  }

  @Override
  public void vmemmapPopulateDone(long start, long end) {
    populated.add(start);
  }

  @Override
  public void flushCacheVmap(long start, long end) {
    flushed.add(start);
  }

  @Override
  public void memInit() {
    memInits++;
  }

  @Override
  public void vmemmapPopulatePrintLast() {
    lastPrinted++;
  }

  @Override
  public boolean populatesBySectionOrder() {
    return sectionOrders;
  }

  @Override
  public boolean haveBootmemInfoNode() {
    return bootmemInfo;
  }

  @Override
  public void registerPageBootmemMemmap(long sectionNr, Page map, long nrPages) {
    registered.add(sectionNr);
  }

  @Override
  public long memremapCompatAlign() {
    return compatAlign;
  }

  @Override
  public void registerMemoryNotifiers(MemoryBlocks blocks) {
    notified = blocks;
  }

  @Override
  public boolean archKeepMemblock() {
    return keepMemblock;
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
        free(pgtable.pmdPage(entry), 8, altmap);
        pgtable.pmdClear(pmd);
        continue;
      }
      next = addr + mm.model().pageSize();
      Ptr<Pte> pte = pgtable.pteOffsetKernel(pmd, addr);
      if (!pgtable.pteNone(pgtable.ptepGet(pte))) {
        free(pgtable.ptePage(pgtable.ptepGet(pte)), 0, altmap);
        pgtable.pteClear(addr, pte);
      }
    }
    pgtable.flushTlbKernelRange(start, end);
  }

  private @Nullable Ptr<Pmd> pmd(long addr) {
    Pgtable pgtable = mm.pgtable();
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
    if (refuseHuge) {
      return false;
    }
    mm.pgtable().setPmd(pmd, new Pmd(mm.pgtable().arch().mkLeaf(paddr, Pgtable.PMD, prot)));
    return true;
  }

  @Override
  public boolean wantsOptimizedDaxVmemmap() {
    return true;
  }

  @Override
  public int archAddMemory(int nid, long start, long size, MemoryHotplug.MhpParams params) {
    added++;
    return addPages(nid, mm.model().physPfn(start), mm.model().physPfn(size), params);
  }

  @Override
  public int addPages(int nid, long startPfn, long nrPages, MemoryHotplug.MhpParams params) {
    return hotplug.addPages(nid, startPfn, nrPages, params);
  }

  @Override
  public void archRemoveMemory(
      long start, long size, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    added--;
    hotplug.removePages(mm.model().physPfn(start), mm.model().physPfn(size), altmap, pgmap);
  }

  @Override
  public DevPagemap.Range archGetMappableRange() {
    return mappable;
  }
}
