// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.vmemmap.types.Pgtable.P4D;
import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Align;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.P4d;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pgd;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.Pud;
import org.vmemmap.types.VmemAltmap;

/**
 * Populating and freeing the memmap in the radix tree.
 *
 * <p>Sections are 16 MiB, their memmap 256 KiB or 16 KiB; a leaf is 2 MiB, and with 64K pages even
 * a page serves four sections. So one backing always serves several sections, and nobody counts
 * them: whether it is still needed is read from which pfns are valid.
 *
 * <pre>
 *   one pmd leaf, 4K pages: 2 MiB = the memmap of 8 sections, 128 MiB of memory
 *  +------+------+------+------+------+------+------+------+
 *  | sec0 | sec1 |  -   |  -   |  -   |  -   |  -   | sec7 |   freed with the last valid pfn
 *  +------+------+------+------+------+------+------+------+
 *
 *   a device in compound pages, beside it: ptes
 *  [ head ][ T ][ T ][ T ] ...     T: the second page of the compound page, with a reference each
 * </pre>
 *
 * <p>What is already there wins: a range that meets a leaf uses it, a leaf that would meet a table
 * is not made. An altmap is used only where it describes nothing but its own device; where it
 * cannot be used or is exhausted, memory is taken instead, which is no error.
 *
 * <p>Addresses are virtual, in the memmap. Callers hold the hotplug lock, or run at boot. Each
 * store of an entry is followed by a ptesync in the kernel; stores of this machine are in order.
 */
@Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "radix__vmemmap_populate")
final class RadixPgtable {
  private static final long NULL = 0;

  private final Mm mm;
  private final Pgtable pgtable;
  private final Memblock memblock;
  private final PageAlloc pageAlloc;
  private final Slab slab;
  private final SparseVmemmap vmemmap;
  private final Book3s64Pgtable tables;
  private final Init64 init64;
  private final long pageSize;

  RadixPgtable(
      Mm mm,
      Memblock memblock,
      PageAlloc pageAlloc,
      Slab slab,
      SparseVmemmap vmemmap,
      Book3s64Pgtable tables,
      Init64 init64) {
    this.mm = mm;
    this.pgtable = mm.pgtable();
    this.memblock = memblock;
    this.pageAlloc = pageAlloc;
    this.slab = slab;
    this.vmemmap = vmemmap;
    this.tables = tables;
    this.init64 = init64;
    this.pageSize = mm.model().pageSize();
  }

  /**
   * A zeroed table from memblock. A whole page even for a table that is smaller, so that it can be
   * freed to the page allocator one day. Without memory the kernel panics.
   */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "early_alloc_pgtable")
  private long earlyAllocPgtable(long size, int nid) {
    long ptr =
        mm.mayFail("early_alloc_pgtable")
            ? NULL
            : memblock.memblockAllocTryNid(
                size, size, Memblock.LOW_LIMIT, Memblock.ALLOC_ANYWHERE, nid);
    if (ptr == NULL) {
      throw new KernelPanic(
          "early_alloc_pgtable: Failed to allocate %d bytes align=0x%x nid=%d"
              .formatted(size, size, nid));
    }
    mm.own(mm.model().physPfn(mm.model().pa(ptr)), size / pageSize, Owner.PAGE_TABLE);
    return ptr;
  }

  // ---- free ----

  /** Frees a pte table that maps nothing any more, and clears the pmd that points to it. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "free_pte_table")
  private void freePteTable(long pteStart, Ptr<Pmd> pmd) {
    for (int i = 0; i < pgtable.arch().entries(PTE); i++) {
      if (!pgtable.pteNone(pgtable.ptepGet(new Ptr<>(pteStart + 8L * i)))) {
        return;
      }
    }
    tables.pteFreeKernel(pteStart);
    pgtable.pmdClear(pmd);
  }

  /** The same a level up. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "free_pmd_table")
  private void freePmdTable(long pmdStart, Ptr<Pud> pud) {
    for (int i = 0; i < pgtable.arch().entries(PMD); i++) {
      if (!pgtable.pmdNone(pgtable.pmdpGet(new Ptr<>(pmdStart + 8L * i)))) {
        return;
      }
    }
    tables.pmdFragmentFree(pmdStart);
    pgtable.pudClear(pud);
  }

  /**
   * And at the top: the kernel's tree is the same for all processes, so nothing has to be synced.
   */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "free_pud_table")
  private void freePudTable(long pudStart, Ptr<P4d> p4d) {
    for (int i = 0; i < pgtable.arch().entries(PUD); i++) {
      if (!pgtable.pudNone(pgtable.pudpGet(new Ptr<>(pudStart + 8L * i)))) {
        return;
      }
    }
    tables.pudFree(pudStart);
    pgtable.p4dClear(p4d);
  }

  /** True when no pfn is valid whose struct page lies in the leaf of {@code addr}. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_pmd_is_unused")
  private boolean vmemmapPmdIsUnused(long addr) {
    return !init64.vmemmapPopulated(Align.alignDown(addr, pgtable.pmdSize()), pgtable.pmdSize());
  }

  /** True when no pfn is valid whose struct page lies in the page of {@code addr}. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_page_is_unused")
  private boolean vmemmapPageIsUnused(long addr) {
    return !init64.vmemmapPopulated(Align.alignDown(addr, pageSize), pageSize);
  }

  /**
   * Gives 2^{@code order} frames of memmap back to where they came from: to the altmap if they lie
   * in what it had to give, which is not certain even if there is one; as reserved pages; or as a
   * reference, since a frame of tails is mapped by several entries.
   */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "free_vmemmap_pages")
  private void freeVmemmapPages(Page page, @Nullable VmemAltmap altmap, int order) {
    long nrPages = 1L << order;
    if (altmap != null) {
      long basePfn = mm.model().pageToPfn(page);
      long altStart = altmap.basePfn;
      long altEnd = altmap.basePfn + altmap.reserve + altmap.free;
      if (basePfn >= altStart && basePfn < altEnd) {
        init64.altmapFree(altmap, basePfn, nrPages);
        return;
      }
    }
    if (mm.flags().pageReserved(page)) {
      for (; nrPages > 0; nrPages--) {
        pageAlloc.freeReservedPage(page);
        page = mm.struct().add(page, 1);
      }
    } else {
      pageAlloc.freePages(page, order);
    }
  }

  /**
   * Frees the base pages of {@code [addr, end)}. With 64K pages the ends may lie inside a page;
   * such a page goes when nobody else needs it.
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "remove_pte_table",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false), as are all remove_ functions here.")
  private void removePteTable(long pteStart, long addr, long end, @Nullable VmemAltmap altmap) {
    long ptep = pteStart + 8L * pgtable.arch().index(addr, PTE);
    long next;
    for (; addr < end; addr = next, ptep += 8) {
      next = Math.min((addr + pageSize) & -pageSize, end);
      Ptr<Pte> pte = new Ptr<>(ptep);
      Pte entry = pgtable.ptepGet(pte);
      if (!pgtable.ptePresent(entry)) {
        continue;
      }
      boolean whole = Align.isAligned(addr, pageSize) && Align.isAligned(next, pageSize);
      if (whole || vmemmapPageIsUnused(addr)) {
        freeVmemmapPages(pgtable.ptePage(entry), altmap, 0);
        pgtable.pteClear(addr, pte);
      }
    }
  }

  /**
   * Frees leaves that are covered, or of which nobody needs the rest; goes down into tables. Both
   * ends of a small device lie inside a leaf, so the second rule is the usual one.
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "remove_pmd_table",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false), as are all remove_ functions here.")
  private void removePmdTable(long pmdStart, long addr, long end, @Nullable VmemAltmap altmap) {
    long pmdSize = pgtable.pmdSize();
    int order = Long.numberOfTrailingZeros(pmdSize / pageSize);
    long pmdp = pmdStart + 8L * pgtable.arch().index(addr, PMD);
    long next;
    for (; addr < end; addr = next, pmdp += 8) {
      next = pgtable.pmdAddrEnd(addr, end);
      Ptr<Pmd> pmd = new Ptr<>(pmdp);
      Pmd entry = pgtable.pmdpGet(pmd);
      if (!pgtable.arch().present(entry.val(), PMD)) {
        continue;
      }
      if (pgtable.pmdLeaf(entry)) {
        boolean whole = Align.isAligned(addr, pmdSize) && Align.isAligned(next, pmdSize);
        if (whole || vmemmapPmdIsUnused(addr)) {
          freeVmemmapPages(pgtable.pmdPage(entry), altmap, order);
          pgtable.pmdClear(pmd);
        }
        continue;
      }
      long pteBase = pgtable.tableVa(entry.val(), PMD);
      removePteTable(pteBase, addr, next, altmap);
      freePteTable(pteBase, pmd);
    }
  }

  /**
   * Goes down into pmd tables. Leaves of 1 GiB are the direct map's; half of one is not removed.
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "remove_pud_table",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false), as are all remove_ functions here.")
  private void removePudTable(long pudStart, long addr, long end, @Nullable VmemAltmap altmap) {
    long pudSize = pgtable.pudSize();
    long pudp = pudStart + 8L * pgtable.arch().index(addr, PUD);
    long next;
    for (; addr < end; addr = next, pudp += 8) {
      next = pgtable.addrEnd(addr, end, PUD);
      Ptr<Pud> pud = new Ptr<>(pudp);
      Pud entry = pgtable.pudpGet(pud);
      if (!pgtable.arch().present(entry.val(), PUD)) {
        continue;
      }
      if (pgtable.pudLeaf(entry)) {
        boolean whole = Align.isAligned(addr, pudSize) && Align.isAligned(next, pudSize);
        if (!mm.printk().warnOnOnce(!whole, "remove_pud_table: unaligned range")) {
          pgtable.pudClear(pud);
        }
        continue;
      }
      long pmdBase = pgtable.tableVa(entry.val(), PUD);
      removePmdTable(pmdBase, addr, next, altmap);
      freePmdTable(pmdBase, pud);
    }
  }

  /** Walks {@code [start, end)} of init_mm under its page_table_lock; flushes once, at the end. */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "remove_pagetable",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false); no leaf exists at the top level here.")
  private void removePagetable(long start, long end, @Nullable VmemAltmap altmap) {
    long next;
    for (long addr = start; addr < end; addr = next) {
      next = pgtable.addrEnd(addr, end, PGD);
      Ptr<P4d> p4d = pgtable.p4dOffset(pgtable.pgdOffsetK(addr), addr);
      P4d entry = pgtable.p4dpGet(p4d);
      if (!pgtable.arch().present(entry.val(), P4D)) {
        continue;
      }
      long pudBase = pgtable.tableVa(entry.val(), P4D);
      removePudTable(pudBase, addr, next, altmap);
      freePudTable(pudBase, p4d);
    }
    radixFlushTlbKernelRange();
  }

  /**
   * {@code radix__flush_tlb_kernel_range()}: there is no invalidation of a range in the kernel's
   * context, so all of it goes. A leaf that was only partly in the range relies on that.
   */
  @Kernel(
      file = "arch/powerpc/include/asm/book3s/64/tlbflush-radix.h",
      symbol = "radix__flush_tlb_kernel_range",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Nothing reads the range that it takes; the machine's caches are emptied at once.")
  private void radixFlushTlbKernelRange() {
    pgtable.flushTlbAll();
  }

  // ---- populate ----

  /** {@code vmemmap_check_pmd()}: true for a leaf, which is used as it is. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_check_pmd")
  boolean vmemmapCheckPmd(Ptr<Pmd> pmd, int node, long addr, long next) {
    Pmd entry = pgtable.pmdpGet(pmd);
    boolean large = pgtable.pmdLeaf(entry);
    if (large) {
      vmemmap.vmemmapVerify(pgtable.pmdPfn(entry), node, addr, next);
    }
    return large;
  }

  /** {@code vmemmap_set_pmd()}: enters the block at linear address {@code p} as a leaf. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_set_pmd")
  void vmemmapSetPmd(Ptr<Pmd> pmd, long p, int node, long addr, long next) {
    mm.printk()
        .vmBugOn(
            !Align.isAligned(addr, pgtable.pmdSize()),
            "vmemmap_set_pmd: !IS_ALIGNED(addr, PMD_SIZE)");
    long paddr = mm.model().pa(p);
    pgtable.setPmd(pmd, new Pmd(pgtable.arch().mkLeaf(paddr, PMD, pgtable.pageKernel())));
    vmemmap.vmemmapVerify(mm.model().physPfn(paddr), node, addr, next);
  }

  /**
   * The pte of {@code addr}; an empty one gets a fresh frame, or {@code reuse} with a reference, as
   * each entry that is freed drops one; read-only since patch 38, when it is the zone's shared tail.
   * From the altmap only when all that the page describes belongs to it, and from memory when it
   * has nothing left.
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "radix__vmemmap_pte_populate",
      patches = {38})
  private @Nullable Ptr<Pte> radixVmemmapPtePopulate(
      Ptr<Pmd> pmd, long addr, int node, @Nullable VmemAltmap altmap, @Nullable Page reuse) {
    Ptr<Pte> pte = pgtable.pteOffsetKernel(pmd, addr);
    if (!pgtable.pteNone(pgtable.ptepGet(pte))) {
      return pte;
    }
    long p;
    Prot prot = pgtable.pageKernel();
    if (reuse == null) {
      if (altmap != null && init64.altmapCrossBoundary(altmap, addr, pageSize)) {
        altmap = null;
      }
      p = vmemmap.vmemmapAllocBlockBuf(pageSize, node, altmap);
      if (p == NULL && altmap != null) {
        p = vmemmap.vmemmapAllocBlockBuf(pageSize, node, null);
      }
      if (p == NULL) {
        return null;
      }
    } else {
      mm.refs().getPage(reuse);
      p = mm.model().pageAddress(reuse);
      prot = mm.series().mapsTailsReadOnly() ? pgtable.pageKernelRo() : prot;
    }
    mm.printk()
        .vmBugOn(
            !Align.isAligned(addr, pageSize), "radix__vmemmap_pte_populate: !PAGE_ALIGNED(addr)");
    long pfn = mm.model().physPfn(mm.model().pa(p));
    pgtable.setPteAt(addr, pte, pgtable.pfnPte(pfn, prot));
    return pte;
  }

  /** The pud of {@code addr}, its table made if it is missing; null without memory. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_pud_alloc")
  private @Nullable Ptr<Pud> vmemmapPudAlloc(Ptr<P4d> p4d, int node, long address) {
    if (pgtable.p4dNone(pgtable.p4dpGet(p4d))) {
      long pud = slab.slabIsAvailable() ? tables.pudAllocOne() : earlyAllocPgtable(pageSize, node);
      if (pud == NULL) {
        return null;
      }
      pgtable.p4dPopulateKernel(address, p4d, pud);
    }
    return pgtable.pudOffset(p4d, address);
  }

  /** The pmd of {@code addr}, its table made if it is missing; null without memory. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_pmd_alloc")
  private @Nullable Ptr<Pmd> vmemmapPmdAlloc(Ptr<Pud> pud, int node, long address) {
    if (pgtable.pudNone(pgtable.pudpGet(pud))) {
      long pmd =
          slab.slabIsAvailable() ? tables.pmdFragmentAlloc() : earlyAllocPgtable(pageSize, node);
      if (pmd == NULL) {
        return null;
      }
      pgtable.pudPopulate(pud, pmd);
    }
    return pgtable.pmdOffset(pud, address);
  }

  /** The pte of {@code addr}, its table made if it is missing; null without memory. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_pte_alloc")
  private @Nullable Ptr<Pte> vmemmapPteAlloc(Ptr<Pmd> pmd, int node, long address) {
    if (pgtable.pmdNone(pgtable.pmdpGet(pmd))) {
      long pte =
          slab.slabIsAvailable() ? tables.pteAllocOneKernel() : earlyAllocPgtable(pageSize, node);
      if (pte == NULL) {
        return null;
      }
      pgtable.pmdPopulateKernel(pmd, pte);
    }
    return pgtable.pteOffsetKernel(pmd, address);
  }

  /** The way down to the pmd of {@code addr} with which all populate functions begin. */
  private @Nullable Ptr<Pmd> pmdOf(long addr, int node) {
    Ptr<Pgd> pgd = pgtable.pgdOffsetK(addr);
    Ptr<Pud> pud = vmemmapPudAlloc(pgtable.p4dOffset(pgd, addr), node, addr);
    return pud == null ? null : vmemmapPmdAlloc(pud, node, addr);
  }

  /**
   * {@code radix__vmemmap_populate()}: maps {@code [start, end)}, rounded down to a leaf without
   * altmap, to a page with one.
   *
   * <pre>
   *   pmd     altmap                                        what is entered
   *   leaf    -                                             nothing, it is used
   *   table   -                                             base pages
   *   empty   none                                          a leaf; without a block base pages
   *   empty   describes its own device only, and aligned    a leaf out of it; without base pages
   *   empty   another                                       base pages
   * </pre>
   *
   * @return 0, or -ENOMEM with parts mapped
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "radix__vmemmap_populate",
      patches = {4, 5})
  int radixVmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap) {
    start = Align.alignDown(start, altmap != null ? pageSize : pgtable.pmdSize());
    long next;
    for (long addr = start; addr < end; addr = next) {
      next = pgtable.pmdAddrEnd(addr, end);
      Ptr<Pmd> pmd = pmdOf(addr, node);
      if (pmd == null) {
        return -Errno.ENOMEM;
      }
      if (pgtable.pmdNone(pgtable.pmdpGet(pmd))) {
        // A block out of the altmap must describe pfns of the device only. The altmap may still
        // have no block that is aligned well enough; then it is base pages, too.
        if (altmap == null || mayHoldLeaf(altmap, addr)) {
          long p = vmemmap.vmemmapAllocBlockBuf(pgtable.pmdSize(), node, altmap);
          if (p != NULL) {
            vmemmapSetPmd(pmd, p, node, addr, next);
            continue;
          }
        }
      } else if (vmemmapCheckPmd(pmd, node, addr, next)) {
        continue;
      }
      if (vmemmapPteAlloc(pmd, node, addr) == null) {
        return -Errno.ENOMEM;
      }
      Ptr<Pte> pte = radixVmemmapPtePopulate(pmd, addr, node, altmap, null);
      if (pte == null) {
        return -Errno.ENOMEM;
      }
      verify(pte, node, addr);
      next = addr + pageSize;
    }
    return 0;
  }

  private boolean mayHoldLeaf(VmemAltmap altmap, long addr) {
    return Align.isAligned(addr, pgtable.pmdSize())
        && !init64.altmapCrossBoundary(altmap, addr, pgtable.pmdSize());
  }

  private void verify(Ptr<Pte> pte, int node, long addr) {
    vmemmap.vmemmapVerify(pgtable.ptePfn(pgtable.ptepGet(pte)), node, addr, addr + pageSize);
  }

  /**
   * Maps one page of memmap, which may lie under another pmd than the caller's; null under a leaf
   * or without a table. Whether there was a frame nobody looks at: without one the entry stays
   * empty and the caller goes on, as in the kernel.
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "radix__vmemmap_populate_address",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without altmap and reuse, which all callers pass as NULL and the C code ignores.",
      patches = {36})
  private @Nullable Ptr<Pte> radixVmemmapPopulateAddress(long addr, int node) {
    Ptr<Pmd> pmd = pmdOf(addr, node);
    if (pmd == null || pgtable.pmdLeaf(pgtable.pmdpGet(pmd))) {
      return null;
    }
    Ptr<Pte> pte = vmemmapPteAlloc(pmd, node, addr);
    if (pte == null) {
      return null;
    }
    radixVmemmapPtePopulate(pmd, addr, node, null, null);
    verify(pte, node, addr);
    return pte;
  }

  /**
   * The pte of the second page of the compound page that {@code addr} lies in, which all later
   * pages share; made now, with the first, if this call is the first to come. Null when it lies
   * under a leaf, or without memory.
   *
   * @param pfnOffset how many pages of the compound page lie before {@code addr}'s
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "vmemmap_compound_tail_page",
      patches = {36})
  private @Nullable Ptr<Pte> vmemmapCompoundTailPage(long addr, long pfnOffset, int node) {
    long mapAddr = addr - pfnOffset * mm.struct().size() + pageSize;
    Ptr<Pmd> pmd = pmdOf(mapAddr, node);
    if (pmd == null || pgtable.pmdLeaf(pgtable.pmdpGet(pmd))) {
      return null;
    }
    Ptr<Pte> pte = vmemmapPteAlloc(pmd, node, mapAddr);
    if (pte == null || !pgtable.pteNone(pgtable.ptepGet(pte))) {
      return pte;
    }
    // The first page may lie under another pmd.
    if (radixVmemmapPopulateAddress(mapAddr - pageSize, node) == null) {
      return null;
    }
    pte = radixVmemmapPtePopulate(pmd, mapAddr, node, null, null);
    if (pte == null) {
      return null;
    }
    verify(pte, node, mapAddr);
    return pte;
  }

  /**
   * {@code vmemmap_populate_compound_pages()}: maps the memmap of device memory in compound pages,
   * in base pages throughout. Where a compound page begins is told by the pfn, not by the range, so
   * calls section by section find the tail page of an earlier one. Since patch 36 all tails behind
   * the first page are the zone's shared one, as elsewhere.
   *
   * @param nrPages pages of a compound page
   * @return 0, or -ENOMEM with parts mapped; before patch 36 also when the second page of a
   *     compound page lies under a leaf
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "vmemmap_populate_compound_pages",
      patches = {34, 36})
  int vmemmapPopulateCompoundPages(long start, long end, int node, long nrPages) {
    Page shared = null;
    if (mm.series().sharesRadixTails()) {
      shared = vmemmap.sectionSharedTail(start, node);
      if (shared == null) {
        return -Errno.ENOMEM;
      }
    }
    long next;
    for (long addr = start; addr < end; addr = next) {
      Ptr<Pmd> pmd = pmdOf(addr, node);
      if (pmd == null) {
        return -Errno.ENOMEM;
      }
      if (pgtable.pmdLeaf(pgtable.pmdpGet(pmd))) {
        // A neighbour's; what lies behind it may lie under it.
        next = pgtable.pmdAddrEnd(addr, end);
        continue;
      }
      Ptr<Pte> pte = vmemmapPteAlloc(pmd, node, addr);
      if (pte == null) {
        return -Errno.ENOMEM;
      }
      if (!pgtable.pteNone(pgtable.ptepGet(pte))) {
        // One of the pages that a compound page keeps, made with its other parts.
        next = addr + pageSize;
        continue;
      }
      next = populateCompoundPage(pmd, addr, node, nrPages, shared);
      if (next == NULL) {
        return -Errno.ENOMEM;
      }
    }
    return 0;
  }

  /**
   * The body of the loop for an empty pte; the address that comes next, 0 for -ENOMEM.
   *
   * @param shared the zone's shared tail; null before patch 36
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "vmemmap_populate_compound_pages",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Second half of the function.")
  private long populateCompoundPage(
      Ptr<Pmd> pmd, long addr, int node, long nrPages, @Nullable Page shared) {
    long addrPfn = mm.model().pageToPfn(new Page(addr));
    long pfnOffset = addrPfn - Align.alignDown(addrPfn, nrPages);
    Page reuse = null;
    if (pfnOffset != 0) {
      reuse = shared != null ? shared : ownTailPage(addr, pfnOffset, node);
    }
    Ptr<Pte> pte = radixVmemmapPtePopulate(pmd, addr, node, null, reuse);
    if (pte == null) {
      return NULL;
    }
    verify(pte, node, addr);
    if (pfnOffset != 0 || shared != null) {
      return addr + pageSize;
    }
    pte = radixVmemmapPopulateAddress(addr + pageSize, node);
    return pte == null ? NULL : addr + 2 * pageSize;
  }

  /** The frame behind the second page of the compound page; null when it has none. */
  private @Nullable Page ownTailPage(long addr, long pfnOffset, int node) {
    Ptr<Pte> tailPage = vmemmapCompoundTailPage(addr, pfnOffset, node);
    return tailPage == null ? null : pgtable.ptePage(pgtable.ptepGet(tailPage));
  }

  /** Pages that were taken for tables and have none in use. */
  int idleTablePages() {
    return tables.idlePages();
  }

  /** {@code radix__vmemmap_free()}: frees what backs {@code [start, end)}, and empty tables. */
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "radix__vmemmap_free")
  void radixVmemmapFree(long start, long end, @Nullable VmemAltmap altmap) {
    removePagetable(start, end, altmap);
  }
}
