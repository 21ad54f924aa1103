// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Nodes;
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
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The virtual memmap: page tables and backing for struct pages, and the life of sections after
 * boot.
 *
 * <p>What a range of memmap is backed with, in pages of 4 KiB and struct pages of 64 bytes:
 *
 * <pre>
 *   populate_hugepages    [ one 2 MiB block behind a pmd leaf                   ]
 *   populate_basepages    [ f0 ][ f1 ][ f2 ][ f3 ] ...   a frame for each pte
 *   populate_hvo          [ f0 ][ T  ][ T  ][ T  ] ...   T: one frame for each zone and order
 *   compound_pages (DAX)  [ f0 ][ f1 ][ f1 ][ f1 ] ...   f1: one for each compound page, counted
 *   ... since patch 34    [ f0 ][ T  ][ T  ][ T  ] ...
 * </pre>
 *
 * Addresses are virtual, in the memmap; sizes in bytes; pfns and page counts in base pages.
 * Populate functions are called in the boot phase by one CPU, later under the hotplug lock.
 */
@Kernel(file = "mm/sparse-vmemmap.c", symbol = "__populate_section_memmap")
public final class SparseVmemmap {
  /**
   * Take a reference on a frame that is mapped again: a later unmapping drops one for each entry.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "VMEMMAP_POPULATE_PAGEREF", patches = {19})
  private static final int VMEMMAP_POPULATE_PAGEREF = 1;

  /** Frames of memmap that a compound page keeps for itself when DAX optimises it. */
  @Kernel(file = "include/linux/mm.h", symbol = "VMEMMAP_RESERVE_NR", patches = {34})
  static final int VMEMMAP_RESERVE_NR = 2;

  /** {@code (unsigned long)-1}: allocate a frame. */
  private static final long NO_PTPFN = -1;

  private static final long NULL = 0;

  private final Mm mm;
  private final Mmzone mmzone;
  private final Pgtable pgtable;
  private final Memblock memblock;
  private final PageAlloc pageAlloc;
  private final Slab slab;
  private final long pageSize;
  private final BootmemInfo bootmemInfo;
  private @Nullable ArchVmemmap arch;
  private @Nullable Sparse sparse;
  private @Nullable MmInit mmInit;
  private EarlyHook earlyHook = nid -> {};
  private boolean warned;

  /** Takes what this file calls; {@link #setArch} and its like tie the knots that remain. */
  public SparseVmemmap(Mm mm, Memblock memblock, PageAlloc pageAlloc, Slab slab) {
    this.mm = mm;
    this.mmzone = mm.mmzone();
    this.pgtable = mm.pgtable();
    this.memblock = memblock;
    this.pageAlloc = pageAlloc;
    this.slab = slab;
    this.pageSize = mm.model().pageSize();
    this.bootmemInfo = new BootmemInfo(mm, pageAlloc, this);
  }

  /** Sets the architecture; required. */
  public void setArch(ArchVmemmap archVmemmap) {
    arch = archVmemmap;
  }

  /** Sets who is called before the sections of a node get their memmap; nobody otherwise. */
  public void setEarlyHook(EarlyHook hook) {
    earlyHook = hook;
  }

  /** Sets mm/sparse.c; required for hotplug. */
  public void setSparse(Sparse newSparse) {
    sparse = newSparse;
  }

  /**
   * Sets mm/mm_init.c, of which this file calls memmap_alloc() and early_pfn_to_nid(), and which
   * asks this file whether a device's memmap is optimised; required.
   */
  public void setMmInit(MmInit newMmInit) {
    mmInit = newMmInit;
    newMmInit.setVmemmap(this);
  }

  /** mm/bootmem_info.c. */
  public BootmemInfo bootmemInfo() {
    return bootmemInfo;
  }

  /** {@code early_pfn_to_nid()}. */
  int earlyPfnToNid(long pfn) {
    return mmInit().earlyPfnToNid(pfn);
  }

  /** The architecture's {@code mem_init()}, if one is set. */
  void memInit() {
    if (arch != null) {
      arch.memInit();
    }
  }

  /** The architecture's files. */
  ArchVmemmap arch() {
    return wired(arch, "setArch");
  }

  private Sparse sparse() {
    return wired(sparse, "setSparse");
  }

  private MmInit mmInit() {
    return wired(mmInit, "setMmInit");
  }

  /** A part that the constructor could not be given, since it needs this object itself. */
  private static <T> T wired(@Nullable T part, String setter) {
    if (part == null) {
      throw new IllegalStateException("SparseVmemmap." + setter + "() was not called");
    }
    return part;
  }

  /**
   * Boot memory, uninitialised, on the node if possible; 0 for none.
   *
   * @param goal lowest physical address that is wanted: DMA zones are too small for a memmap
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "__earlyonly_bootmem_alloc")
  private long earlyonlyBootmemAlloc(int node, long size, long align, long goal) {
    return mmInit().memmapAlloc(size, align, goal, node, false);
  }

  /** Boot memory for {@link SparseBuffer}, of the node only; 0 for none. */
  long allocSparseBuffer(long size, int node) {
    return mmInit()
        .memmapAlloc(size, sparse().sectionMapSize(), arch().maxDmaPaddr(), node, true);
  }

  /**
   * Memory for struct pages or for the tables that map them: of the page allocator once it is up,
   * of memblock before. The frames are booked as VMEMMAP.
   *
   * @param size in bytes, a power of two pages
   * @return linear address, or 0
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_alloc_block")
  public long vmemmapAllocBlock(long size, int node) {
    return vmemmapAllocBlock(size, node, "vmemmap_alloc_block", Owner.VMEMMAP);
  }

  /**
   * The same with the name under which the allocation may be made to fail, and with what the frames
   * are for. The page allocator asks about the failure itself; memblock does not know the site.
   */
  private long vmemmapAllocBlock(long size, int node, String site, Owner owner) {
    long p;
    if (slab.slabIsAvailable()) {
      Gfp gfpMask = Gfp.KERNEL.or(Gfp.RETRY_MAYFAIL).or(Gfp.NOWARN);
      int order = mm.model().getOrder(size);
      Page page = pageAlloc.allocPagesNode(node, gfpMask, order, site);
      if (page == null) {
        warnAlloc(order);
        return NULL;
      }
      p = mm.model().pageAddress(page);
    } else {
      long goal = arch().maxDmaPaddr();
      p = mm.mayFail(site) ? NULL : earlyonlyBootmemAlloc(node, size, size, goal);
    }
    if (p != NULL) {
      mm.own(mm.model().physPfn(mm.model().pa(p)), size >>> mm.model().pageShift(), owner);
    }
    return p;
  }

  /** The first line of warn_alloc(), once in the life of the kernel. */
  private void warnAlloc(int order) {
    if (!warned) {
      mm.printk().prWarn("vmemmap alloc failure: order:" + order);
      warned = true;
    }
  }

  /**
   * Backing for struct pages, from {@code altmap} if there is one.
   *
   * @param size in bytes, a power of two pages
   * @return linear address, or 0
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_alloc_block_buf")
  public long vmemmapAllocBlockBuf(long size, int node, @Nullable VmemAltmap altmap) {
    if (altmap != null) {
      return altmapAllocBlockBuf(size, altmap);
    }
    long p = sparse == null ? NULL : sparse.buffer().alloc(size);
    return p != NULL ? p : vmemmapAllocBlock(size, node);
  }

  /** Where the next block begins, before it is aligned. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmem_altmap_next_pfn")
  private static long vmemAltmapNextPfn(VmemAltmap altmap) {
    return altmap.basePfn + altmap.reserve + altmap.alloc + altmap.align;
  }

  /** Pages left; padding counts as handed out, and never comes back. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmem_altmap_nr_free")
  private static long vmemAltmapNrFree(VmemAltmap altmap) {
    long allocated = altmap.alloc + altmap.align;
    return altmap.free > allocated ? altmap.free - allocated : 0;
  }

  /** Takes pages off the front of the altmap, aligned to the lowest bit of their number. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "altmap_alloc_block_buf")
  private long altmapAllocBlockBuf(long size, VmemAltmap altmap) {
    if ((size & (pageSize - 1)) != 0) {
      mm.printk()
          .prWarnOnce(
              "altmap_alloc_block_buf",
              "altmap_alloc_block_buf: allocations must be multiple of PAGE_SIZE (" + size + ")");
      return NULL;
    }
    long pfn = vmemAltmapNextPfn(altmap);
    long nrPfns = size >>> mm.model().pageShift();
    long alignment = Long.lowestOneBit(nrPfns);
    long nrAlign = Align.align(pfn, alignment) - pfn;
    if (mm.mayFail("altmap_alloc_block_buf") || nrPfns + nrAlign > vmemAltmapNrFree(altmap)) {
      return NULL;
    }
    altmap.alloc = mm.machine().add("altmap->alloc", altmap.alloc, nrPfns);
    altmap.align += nrAlign;
    pfn += nrAlign;
    mm.own(pfn, nrPfns, Owner.ALTMAP);
    return mm.model().va(mm.model().pfnPhys(pfn));
  }

  /**
   * Says once when struct pages lie on another node than the memory that they describe. C passes a
   * pointer to the pte, or to a pmd leaf cast to one; only the frame number in it matters.
   *
   * @param pfn frame behind the struct pages
   * @param node node of the memory that they describe
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_verify")
  public void vmemmapVerify(long pfn, int node, long start, long end) {
    int actualNode = earlyPfnToNid(pfn);
    if (mm.nodes().nodeDistance(actualNode, node) > Nodes.LOCAL_DISTANCE) {
      mm.printk()
          .prWarnOnce(
              "vmemmap_verify",
              "[%x-%x] potential offnode page_structs".formatted(start, end - 1));
    }
  }

  /**
   * The pte of {@code addr}; an empty one gets a fresh frame, or frame {@code ptpfn}. One that is
   * there stays whatever it maps: two ranges may meet in a page of memmap.
   *
   * @return the pte, or null without memory
   */
  @Kernel(
      file = "mm/sparse-vmemmap.c",
      symbol = "vmemmap_pte_populate",
      patches = {8, 19, 25, 38, 39})
  private @Nullable Ptr<Pte> vmemmapPtePopulate(
      Ptr<Pmd> pmd, long addr, int node, @Nullable VmemAltmap altmap, long ptpfn, int flags) {
    Ptr<Pte> pte = pgtable.pteOffsetKernel(pmd, addr);
    if (pgtable.pteNone(pgtable.ptepGet(pte))) {
      boolean readOnly = false;
      if (ptpfn == NO_PTPFN && sharesTail(addr)) {
        Page tail = sectionSharedTail(addr, node);
        if (tail == null) {
          return null;
        }
        ptpfn = mm.model().pageToPfn(tail);
        readOnly = mm.series().mapsTailsReadOnly();
        if (slab.slabIsAvailable()) {
          // Unmapping drops a reference for each entry.
          mm.refs().getPage(tail);
        }
      } else if (ptpfn == NO_PTPFN) {
        long p = vmemmapAllocBlockBuf(pageSize, node, altmap);
        if (p == NULL) {
          return null;
        }
        ptpfn = mm.model().physPfn(mm.model().pa(p));
      } else if ((flags & VMEMMAP_POPULATE_PAGEREF) != 0) {
        // Unmapping frees the frame once for each entry, so each entry holds a reference. Boot HVO
        // takes none: its shared tails are never freed, and have no struct page to count in yet.
        mm.refs().getPage(mm.model().pfnToPage(ptpfn));
      }
      Prot prot = readOnly ? pgtable.pageKernelRo() : pgtable.pageKernel();
      pgtable.setPteAt(addr, pte, pgtable.pfnPte(ptpfn, prot));
    }
    return pte;
  }

  /** True when the page of memmap at {@code addr} holds tails only that a shared one stands for. */
  private boolean sharesTail(long addr) {
    return sectionOptimizable(addr)
        && mmzone.vmemmapPageOptimizable(mm.model().pageToPfn(new Page(addr)));
  }

  /** A block of zeros; memory of either allocator may hold anything. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_alloc_block_zero")
  private long vmemmapAllocBlockZero(long size, int node, String site, Owner owner) {
    long p = vmemmapAllocBlock(size, node, site, owner);
    if (p == NULL) {
      return NULL;
    }
    mm.machine().cpu().fill(p, size, (byte) 0);
    return p;
  }

  /**
   * A zeroed page table. kernel_pte_init(), pmd_init() and pud_init(), which follow in the kernel,
   * do something only where an empty entry is not zero; none of the modelled architectures is like
   * that.
   */
  private long allocTable(int node) {
    return vmemmapAllocBlockZero(pageSize, node, "vmemmap_alloc_block", Owner.PAGE_TABLE);
  }

  /** The pmd of {@code addr}, pointing to a pte table. Not for a pmd that may be a leaf. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_pmd_populate", patches = {8})
  private @Nullable Ptr<Pmd> vmemmapPmdPopulate(Ptr<Pud> pud, long addr, int node) {
    Ptr<Pmd> pmd = pgtable.pmdOffset(pud, addr);
    if (pgtable.pmdNone(pgtable.pmdpGet(pmd))) {
      long p = allocTable(node);
      if (p == NULL) {
        return null;
      }
      pgtable.pmdPopulateKernel(pmd, p);
    }
    return pmd;
  }

  /** The pud of {@code addr}, pointing to a pmd table. Not synced: roots share the table above. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_pud_populate", patches = {8})
  private @Nullable Ptr<Pud> vmemmapPudPopulate(Ptr<P4d> p4d, long addr, int node) {
    Ptr<Pud> pud = pgtable.pudOffset(p4d, addr);
    if (pgtable.pudNone(pgtable.pudpGet(pud))) {
      long p = allocTable(node);
      if (p == NULL) {
        return null;
      }
      pgtable.pudPopulate(pud, p);
    }
    return pud;
  }

  /**
   * The p4d of {@code addr}, pointing to a pud table. Where it is the top level, entering it lets
   * the architecture copy it to other roots at once; a range that fails later has been synced too.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_p4d_populate", patches = {8})
  private @Nullable Ptr<P4d> vmemmapP4dPopulate(Ptr<Pgd> pgd, long addr, int node) {
    Ptr<P4d> p4d = pgtable.p4dOffset(pgd, addr);
    if (pgtable.p4dNone(pgtable.p4dpGet(p4d))) {
      long p = allocTable(node);
      if (p == NULL) {
        return null;
      }
      pgtable.p4dPopulateKernel(addr, p4d, p);
    }
    return p4d;
  }

  /** The pgd of {@code addr} in init_mm, pointing to a p4d table; folded, it is never empty. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_pgd_populate", patches = {8})
  private @Nullable Ptr<Pgd> vmemmapPgdPopulate(long addr, int node) {
    Ptr<Pgd> pgd = pgtable.pgdOffsetK(addr);
    if (pgtable.pgdNone(pgtable.pgdpGet(pgd))) {
      long p = allocTable(node);
      if (p == NULL) {
        return null;
      }
      pgtable.pgdPopulateKernel(addr, pgd, p);
    }
    return pgd;
  }

  /** Maps one page of memmap; tables made on the way stay when a later step fails. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_populate_address", patches = {19, 39})
  private @Nullable Ptr<Pte> vmemmapPopulateAddress(
      long addr, int node, @Nullable VmemAltmap altmap, long ptpfn, int flags) {
    Ptr<Pgd> pgd = vmemmapPgdPopulate(addr, node);
    if (pgd == null) {
      return null;
    }
    Ptr<P4d> p4d = vmemmapP4dPopulate(pgd, addr, node);
    if (p4d == null) {
      return null;
    }
    Ptr<Pud> pud = vmemmapPudPopulate(p4d, addr, node);
    if (pud == null) {
      return null;
    }
    Ptr<Pmd> pmd = vmemmapPmdPopulate(pud, addr, node);
    if (pmd == null) {
      return null;
    }
    Ptr<Pte> pte = vmemmapPtePopulate(pmd, addr, node, altmap, ptpfn, flags);
    if (pte == null) {
      return null;
    }
    vmemmapVerify(pgtable.ptePfn(pgtable.ptepGet(pte)), node, addr, addr + pageSize);
    return pte;
  }

  /**
   * Maps {@code [start, end)} page by page, all to frame {@code ptpfn} or each to a fresh one.
   *
   * @return 0, or -ENOMEM with the front part mapped
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_populate_range", patches = {19, 39})
  private int vmemmapPopulateRange(
      long start, long end, int node, @Nullable VmemAltmap altmap, long ptpfn, int flags) {
    for (long addr = start; addr < end; addr += pageSize) {
      if (vmemmapPopulateAddress(addr, node, altmap, ptpfn, flags) == null) {
        return -Errno.ENOMEM;
      }
    }
    return 0;
  }

  /**
   * Maps {@code [start, end)} with a frame for each page that is not mapped yet.
   *
   * @return 0, or -ENOMEM with the front part mapped
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_populate_basepages", patches = {39})
  public int vmemmapPopulateBasepages(
      long start, long end, int node, @Nullable VmemAltmap altmap) {
    return vmemmapPopulateRange(start, end, node, altmap, NO_PTPFN, 0);
  }

  /**
   * Makes the shared tails of {@code [addr, end)} read-only, from {@code headsize} bytes on.
   * HugeTLB calls it when the last struct page is initialised: memmap_init() writes to some of
   * them. All entries exist and nobody else changes them; the caller flushes.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_wrprotect_hvo", patches = {40})
  public void vmemmapWrprotectHvo(long addr, long end, int node, long headsize) {
    for (long maddr = addr + headsize; maddr < end; maddr += pageSize) {
      Ptr<Pte> pte = pgtable.virtToKpte(maddr);
      pgtable.ptepSetWrprotect(maddr, pte);
    }
  }

  /**
   * The frame that stands for all tails of folios of this order in this zone. Zeroed only, before
   * patch 24: what is written to it would be overwritten by memmap_init(), so HugeTLB fills it
   * afterwards.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_get_tail", patches = {20, 24, 32})
  private @Nullable Page vmemmapGetTail(int order, Zone zone) {
    int node = zone.nid();
    if (mm.printk()
        .warnOnOnce(
            order < mmzone.vmemmapTailMinOrder(),
            "vmemmap_get_tail: order < VMEMMAP_TAIL_MIN_ORDER")) {
      return null;
    }
    if (mm.printk()
        .warnOnOnce(
            order > mmzone.maxFolioOrder(), "vmemmap_get_tail: order > MAX_FOLIO_ORDER")) {
      return null;
    }
    int idx = order - mmzone.vmemmapTailMinOrder();
    Page tail = zone.vmemmapTails[idx];
    if (tail != null) {
      return tail;
    }
    long p = vmemmapAllocBlockZero(pageSize, node, "vmemmap_get_tail", Owner.SHARED_TAIL);
    if (p == NULL) {
      return null;
    }
    tail = mm.model().virtToPage(p);
    if (mm.series().initsSharedTailOnAllocation()) {
      for (int i = 0; i < mmzone.optimizedFolioVmemmapPageStructs(); i++) {
        mm.inline().initCompoundTail(mm.struct().add(new Page(p), i), null, order, zone);
      }
    }
    if (slab.slabIsAvailable()) {
      Page winner = mm.cmpxchgVmemmapTail(zone, idx, tail);
      if (winner != null) {
        pageAlloc.freePage(tail);
        return winner;
      }
      return tail;
    }
    zone.vmemmapTails[idx] = tail;
    return tail;
  }

  /** {@code vmemmap_shared_tail_page()}: the same for everybody, since patch 32; null for none. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_shared_tail_page", patches = {32})
  public @Nullable Page vmemmapSharedTailPage(int order, Zone zone) {
    return vmemmapGetTail(order, zone);
  }

  /**
   * Maps the memmap {@code [addr, end)} of one folio of 2^{@code order} pages, at boot: frames of
   * its own for the first {@code headsize} bytes, the zone's shared tail for all others, still
   * writable.
   *
   * @return 0, or -ENOMEM with the front part mapped
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_populate_hvo", patches = {16, 28})
  public int vmemmapPopulateHvo(long addr, long end, int order, Zone zone, long headsize) {
    int node = zone.nid();
    Page tail = vmemmapGetTail(order, zone);
    if (tail == null) {
      return -Errno.ENOMEM;
    }
    long maddr;
    for (maddr = addr; maddr < addr + headsize; maddr += pageSize) {
      if (vmemmapPopulateAddress(maddr, node, null, NO_PTPFN, 0) == null) {
        return -Errno.ENOMEM;
      }
    }
    return vmemmapPopulateRange(maddr, end, node, null, mm.model().pageToPfn(tail), 0);
  }

  /**
   * The generic {@code vmemmap_set_pmd()}, for an architecture without its own: it need not track
   * which parts of a leaf are used.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_set_pmd")
  public void vmemmapSetPmd(Ptr<Pmd> pmd, long p, int node, long addr, long next) {
    boolean set = arch().pmdSetHuge(pmd, mm.model().pa(p), pgtable.pageKernel());
    mm.printk().warnOnOnce(!set, "vmemmap_set_pmd: !pmd_set_huge()");
  }

  /** The generic {@code vmemmap_check_pmd()}, for an architecture without its own. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_check_pmd")
  public boolean vmemmapCheckPmd(Ptr<Pmd> pmd, int node, long addr, long next) {
    Pmd entry = pgtable.pmdpGet(pmd);
    if (!pgtable.pmdLeaf(entry)) {
      return false;
    }
    vmemmapVerify(pgtable.pmdPfn(entry), node, addr, next);
    return true;
  }

  /**
   * Maps {@code [start, end)} with pmd leaves where a block can be had, with base pages elsewhere.
   * A pmd that has a table already, from a neighbour that was added in parts, keeps it.
   *
   * @return 0, or -ENOMEM with parts mapped; an altmap that runs out is an error, not a fallback,
   *     because it means that the device was set up wrongly
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_populate_hugepages", patches = {25})
  public int vmemmapPopulateHugepages(
      long start, long end, int node, @Nullable VmemAltmap altmap) {
    long next;
    for (long addr = start; addr < end; addr = next) {
      next = pgtable.pmdAddrEnd(addr, end);
      Ptr<Pgd> pgd = vmemmapPgdPopulate(addr, node);
      if (pgd == null) {
        return -Errno.ENOMEM;
      }
      Ptr<P4d> p4d = vmemmapP4dPopulate(pgd, addr, node);
      if (p4d == null) {
        return -Errno.ENOMEM;
      }
      Ptr<Pud> pud = vmemmapPudPopulate(p4d, addr, node);
      if (pud == null) {
        return -Errno.ENOMEM;
      }
      Ptr<Pmd> pmd = pgtable.pmdOffset(pud, addr);
      boolean optimizable = sectionOptimizable(addr);
      if (pgtable.pmdNone(pgtable.pmdpGet(pmd)) && optimizable) {
        // A leaf would have a frame for each page.
      } else if (pgtable.pmdNone(pgtable.pmdpGet(pmd))) {
        long p = vmemmapAllocBlockBuf(pgtable.pmdSize(), node, altmap);
        if (p != NULL) {
          arch().vmemmapSetPmd(pmd, p, node, addr, next);
          continue;
        } else if (altmap != null) {
          // No fallback: a device whose altmap is too small was set up wrongly.
          return -Errno.ENOMEM;
        }
      } else if (arch().vmemmapCheckPmd(pmd, node, addr, next)) {
        if (mm.printk()
            .warnOnOnce(optimizable, "vmemmap_populate_hugepages: leaf in optimizable section")) {
          return -Errno.EOPNOTSUPP;
        }
        continue;
      }
      if (vmemmapPopulateBasepages(addr, next, node, altmap) != 0) {
        return -Errno.ENOMEM;
      }
    }
    return 0;
  }

  /** True when the architecture leaves population to this file, which looks at the order. */
  public boolean populatesBySectionOrder() {
    return arch().populatesBySectionOrder();
  }

  /** True when the memmap at {@code addr} describes a section of large enough compound pages. */
  private boolean sectionOptimizable(long addr) {
    long pfn = mm.model().pageToPfn(new Page(addr));
    return mm.series().populatesBySectionOrder()
        && mmzone.vmemmapOptimizableOrder(mmzone.pfnToSectionOrder(pfn));
  }

  /**
   * True when the sections of device memory say what it shares: since patch 34, but for an
   * architecture with a walker of its own, which follows later.
   */
  public boolean daxBySection() {
    return mm.series().sharesDaxTails() && arch().populatesBySectionOrder();
  }

  /**
   * The order that an added section gets: what the device has, or since patch 46 what the caller
   * asks for; 0 when the memmap cannot be shared.
   */
  private int activatedOrder(
      @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap, int wantedOrder) {
    int order = wantedOrder;
    if (!mm.series().addsSectionsByOrder()) {
      order = pgmap == null ? 0 : pgmap.vmemmapShift;
    }
    if (!daxBySection()) {
      return 0;
    }
    boolean wanted =
        mm.series().optimizesDaxEverywhere()
            || (mm.config().archWantOptimizeDaxVmemmap() && arch().wantsOptimizedDaxVmemmap());
    boolean large = mmzone.vmemmapOptimizableOrder(order);
    return wanted && altmap == null && large && mm.flags().compoundInfoHasMask() ? order : 0;
  }

  /** True when device memory has the loop of its own that patch 37 removes. */
  private boolean populatesCompoundPages(
      long pfn, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    if (pgmap == null || mm.series().unifiesDaxAndHugetlb()) {
      return false;
    }
    return daxBySection() ? sharesTails(pfn) : vmemmapCanOptimize(altmap, pgmap);
  }

  /** True when the section of {@code pfn} shares the tails of its compound pages. */
  public boolean sharesTails(long pfn) {
    return sectionOptimizable(mm.model().pfnToPage(pfn).va());
  }

  /** True when struct pages may be filled with poison: nobody else sees them. */
  boolean mayPoison(long pfn) {
    return mmzone.pfnToSectionOrder(pfn) == 0;
  }

  /**
   * How many struct pages of {@code nrPages} from {@code pfn} are nobody else's, by the order of the
   * section: these have to be initialised.
   *
   * <pre>
   *   order 0               all
   *   less than a section   a page of them for each compound page
   *   a section or more     a page of them for the section that the compound page begins in, 0 for
   *                         the others
   * </pre>
   *
   * @param nrPages a section at most, or the whole compound page that begins at {@code pfn}
   */
  @Kernel(file = "mm/internal.h", symbol = "section_vmemmap_page_structs", patches = {42})
  public long sectionVmemmapPageStructs(long pfn, long nrPages) {
    if (!sharesTails(pfn)) {
      return nrPages;
    }
    int order = mmzone.pfnToSectionOrder(pfn);
    long structs = mmzone.optimizedFolioVmemmapPageStructs();
    if (order < mmzone.pfnSectionShift()) {
      return structs * (nrPages >>> order);
    }
    return Align.isAligned(pfn, 1L << order) ? structs : 0;
  }

  /**
   * How many frames that takes. Patch 42 made it follow from {@link #sectionVmemmapPageStructs} and
   * took out the check that the pages lie in one section; the numbers are the same.
   */
  @Kernel(file = "mm/internal.h", symbol = "section_vmemmap_pages", patches = {25, 41, 42})
  public long sectionVmemmapPages(long pfn, long nrPages) {
    mm.printk()
        .vmWarnOnOnce(
            !mm.series().countsWholeFolios()
                && sharesTails(pfn)
                && nrPages > mmzone.pagesPerSection(),
            "section_vmemmap_pages: nr_pages > PAGES_PER_SECTION");
    return (sectionVmemmapPageStructs(pfn, nrPages) * mm.struct().size() + pageSize - 1) / pageSize;
  }

  /** The shared tail for the struct pages at {@code addr}; null for memory of no zone, or none. */
  public @Nullable Page sectionSharedTail(long addr, int node) {
    long pfn = mm.model().pageToPfn(new Page(addr));
    Zone recorded = mmzone.section(mmzone.pfnToSectionNr(pfn)).zone;
    if (recorded != null && mm.series().recordsSectionZone()) {
      return vmemmapGetTail(mmzone.pfnToSectionOrder(pfn), recorded);
    }
    // What is hot-added is spanned by no zone yet, and only devices have an order.
    Zone zone =
        slab.slabIsAvailable()
            ? mm.nodes().nodeData(node).zone(ZoneType.ZONE_DEVICE)
            : mmInit().pfnToZone(pfn, node);
    return zone == null ? null : vmemmapGetTail(mmzone.pfnToSectionOrder(pfn), zone);
  }

  /**
   * True for a chunk that begins inside a compound page larger than a subsection: its struct pages
   * are all tails. {@code nr_range} is the range that memremap_pages() is adding just now.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "reuse_compound_section", patches = {37})
  private boolean reuseCompoundSection(long startPfn, DevPagemap pgmap) {
    long nrPages = pgmap.vmemmapNr();
    long offset = startPfn - mm.model().physPfn(pgmap.ranges[pgmap.nrRange].start());
    return !Align.isAligned(offset, nrPages) && nrPages > mmzone.pagesPerSubsection();
  }

  /**
   * The pte just below {@code addr}: chunks are populated in order, so it maps tails. Nothing checks
   * that they are; where there is no table yet, what is found is what an empty entry leads to.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "compound_section_tail_page", patches = {37})
  private @Nullable Ptr<Pte> compoundSectionTailPage(long addr) {
    addr -= pageSize;
    return pgtable.pteOffsetKernel(pgtable.pmdOffK(addr), addr);
  }

  /**
   * Maps the memmap of device memory in compound pages: two frames for each, the second one behind
   * all further entries, with a reference for each. They stay writable, as
   * memmap_init_zone_device() writes the tails through them afterwards. Since patch 34 one frame
   * for each, and the zone's shared tail behind all further entries.
   *
   * <p>The NULL test of the tail's pte is the kernel's; pte_offset_kernel() never returns NULL.
   */
  @Kernel(
      file = "mm/sparse-vmemmap.c",
      symbol = "vmemmap_populate_compound_pages",
      patches = {5, 34, 37})
  int vmemmapPopulateCompoundPages(
      long startPfn, long start, long end, int node, DevPagemap pgmap) {
    if (reuseCompoundSection(startPfn, pgmap)) {
      Ptr<Pte> tail = compoundSectionTailPage(start);
      if (tail == null) {
        return -Errno.ENOMEM;
      }
      long ptpfn = pgtable.ptePfn(pgtable.ptepGet(tail));
      return vmemmapPopulateRange(start, end, node, null, ptpfn, VMEMMAP_POPULATE_PAGEREF);
    }
    Page shared = daxBySection() ? sectionSharedTail(start, node) : null;
    if (daxBySection() && shared == null) {
      return -Errno.ENOMEM;
    }
    long size = Math.min(end - start, pgmap.vmemmapNr() * mm.struct().size());
    for (long addr = start; addr < end; addr += size) {
      long last = addr + size;
      // The page with the head, and the first with tails only, as vmemmap_dedup.rst draws it.
      Ptr<Pte> pte = vmemmapPopulateAddress(addr, node, null, NO_PTPFN, 0);
      if (pte == null) {
        return -Errno.ENOMEM;
      }
      long next = addr + pageSize;
      long ptpfn;
      if (shared != null) {
        ptpfn = mm.model().pageToPfn(shared);
      } else {
        pte = vmemmapPopulateAddress(next, node, null, NO_PTPFN, 0);
        if (pte == null) {
          return -Errno.ENOMEM;
        }
        next += pageSize;
        ptpfn = pgtable.ptePfn(pgtable.ptepGet(pte));
      }
      if (vmemmapPopulateRange(next, last, node, null, ptpfn, VMEMMAP_POPULATE_PAGEREF) != 0) {
        return -Errno.ENOMEM;
      }
    }
    return 0;
  }

  /**
   * True when device memory can share the struct pages of its tails: compound pages whose memmap is
   * more than two pages, and no altmap.
   */
  @Kernel(
      file = "include/linux/mm.h",
      symbol = "__vmemmap_can_optimize",
      patches = {34, 43, 44, 49})
  public boolean vmemmapCanOptimize(@Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    if (!mm.config().archWantOptimizeDaxVmemmap() || !arch().wantsOptimizedDaxVmemmap()) {
      return false;
    }
    if (pgmap == null || !mm.config().structPageIsPowerOf2()) {
      return false;
    }
    long nrPages = pgmap.vmemmapNr();
    long nrVmemmapPages = (nrPages * mm.struct().size()) >>> mm.model().pageShift();
    return altmap == null && nrVmemmapPages > VMEMMAP_RESERVE_NR;
  }

  /**
   * {@code __populate_section_memmap()}: maps the memmap of {@code nrPages} pages from {@code pfn},
   * all in one section and in whole subsections. Does not count them.
   *
   * @return the first struct page, or null with parts possibly mapped
   */
  @Kernel(
      file = "mm/sparse-vmemmap.c",
      symbol = "__populate_section_memmap",
      patches = {4, 5, 37, 45})
  public @Nullable Page populateSectionMemmap0(
      long pfn, long nrPages, int nid, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    long start = mm.model().pfnToPage(pfn).va();
    long end = start + nrPages * mm.struct().size();
    if (mm.printk()
        .warnOnOnce(
            !Align.isAligned(pfn, mmzone.pagesPerSubsection())
                || !Align.isAligned(nrPages, mmzone.pagesPerSubsection()),
            "__populate_section_memmap: !IS_ALIGNED(pfn or nr_pages, PAGES_PER_SUBSECTION)")) {
      return null;
    }
    int r;
    if (pgmap != null && populatesCompoundPages(pfn, altmap, pgmap)) {
      r = arch().vmemmapPopulateCompoundPages(this, pfn, start, end, nid, pgmap);
      // Generic code before patch 5: what the architecture does after populating is left out.
      if (r >= 0 && mm.series().syncsDaxThroughArch()) {
        arch().vmemmapPopulateDone(start, end);
      }
    } else {
      r = arch().vmemmapPopulate(start, end, nid, altmap);
    }
    if (r < 0) {
      return null;
    }
    arch().flushCacheVmap(start, end);
    return mm.model().pfnToPage(pfn);
  }

  /**
   * Called for a node just before its sections get their memmap. What the hook populates and marks
   * SECTION_IS_VMEMMAP_PREINIT is skipped afterwards.
   */
  @Kernel(
      file = "mm/sparse-vmemmap.c",
      symbol = "sparse_vmemmap_init_nid_early",
      patches = {16, 30})
  public void sparseVmemmapInitNidEarly(int nid) {
    if (mm.config().sparsememVmemmapPreinit()) {
      earlyHook.hugetlbVmemmapInitEarly(nid);
    }
  }

  /**
   * Called when the zones of a node are known, before patch 16: after all nodes have their memmap
   * until patch 11, for each node in its turn from then on, as patch 13 has it.
   */
  @Kernel(
      file = "mm/sparse-vmemmap.c",
      symbol = "sparse_vmemmap_init_nid_late",
      patches = {13, 16, 17})
  public void sparseVmemmapInitNidLate(int nid) {
    if (mm.config().sparsememVmemmapPreinit() && !mm.series().populatesHvoEarly()) {
      earlyHook.hugetlbVmemmapInitLate(nid);
    }
  }

  /** {@code vmemmap_populate()} of the architecture, for those who populate by themselves. */
  public int vmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap) {
    return arch().vmemmapPopulate(start, end, node, altmap);
  }

  /**
   * Sets the order of the sections of {@code [pfn, pfn + nrPages)}, or clears it with 0. A range
   * that is not made of whole sections is left alone: a section has one order only.
   */
  @Kernel(file = "include/linux/mmzone.h", symbol = "section_set_order_range", patches = {22, 28})
  public void sectionSetOrderRange(long pfn, long nrPages, int order) {
    if (!mm.series().recordsSectionOrder()
        || !Align.isAligned(pfn | nrPages, mmzone.pagesPerSection())) {
      return;
    }
    for (long at = pfn; at < pfn + nrPages; at += mmzone.pagesPerSection()) {
      MemSection ms = mmzone.section(mmzone.pfnToSectionNr(at));
      mm.printk()
          .vmWarnOnOnce(
              order != 0 && ms.order != 0 && ms.order != order,
              "section_set_order: order && ms->order && ms->order != order");
      ms.order = order;
      ms.zone = order == 0 ? null : ms.zone;
    }
  }

  /** Sets the zone beside the order, since patch 35; only sections with an order have one. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "section_set_zone", patches = {35})
  public void sectionSetZoneRange(long pfn, long nrPages, Zone zone) {
    for (long at = pfn; at < pfn + nrPages; at += mmzone.pagesPerSection()) {
      MemSection ms = mmzone.section(mmzone.pfnToSectionNr(at));
      ms.zone = ms.order == 0 ? null : zone;
    }
  }

  /** The weak {@code vmemmap_populate_print_last()} of mm/sparse.c, as the architecture has it. */
  void vmemmapPopulatePrintLast() {
    arch().vmemmapPopulatePrintLast();
  }

  /** Sets the bits of all subsections that the pages touch; they lie in one section. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "subsection_mask_set")
  private void subsectionMaskSet(long[] map, long pfn, long nrPages) {
    int idx = mmzone.subsectionMapIndex(pfn);
    int end = mmzone.subsectionMapIndex(pfn + nrPages - 1);
    Bitmap.bitmapSet(map, idx, end - idx + 1);
  }

  /** A range of boot memory, which need not begin or end at a subsection. */
  @Kernel(
      file = "mm/sparse-vmemmap.c",
      symbol = "sparse_init_subsection_map_range",
      patches = {10})
  private void sparseInitSubsectionMapRange(long pfn, long nrPages) {
    long endSecNr = mmzone.pfnToSectionNr(pfn + nrPages - 1);
    for (long nr = mmzone.pfnToSectionNr(pfn); nr <= endSecNr; nr++) {
      long pfns = Math.min(nrPages, mmzone.sectionAlignDown(pfn) + mmzone.pagesPerSection() - pfn);
      MemSectionUsage usage = usage(mmzone.section(nr));
      subsectionMaskSet(usage.subsectionMap(), pfn, pfns);
      pfn += pfns;
      nrPages -= pfns;
    }
  }

  /**
   * Sets the bits of all subsections that boot memory touches. For a boot section pfn_valid() does
   * not ask them; they say which parts hot-adding may still use.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "sparse_init_subsection_map", patches = {10})
  public void sparseInitSubsectionMap() {
    for (Memblock.MemPfnRange range : memblock.memPfnRanges(Memblock.NUMA_NO_NODE)) {
      sparseInitSubsectionMapRange(range.startPfn(), range.endPfn() - range.startPfn());
    }
  }

  /**
   * Marks the sections of {@code [startPfn, endPfn)}, in whole sections, as online: their struct
   * pages are initialised and may be looked at.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "online_mem_sections")
  public void onlineMemSections(long startPfn, long endPfn) {
    for (long pfn = startPfn; pfn < endPfn; pfn += mmzone.pagesPerSection()) {
      MemSection ms = mmzone.section(mmzone.pfnToSectionNr(pfn));
      ms.sectionMemMap |= Mmzone.SECTION_IS_ONLINE;
    }
  }

  /** Marks the sections of {@code [startPfn, endPfn)}, in whole sections, as offline. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "offline_mem_sections")
  public void offlineMemSections(long startPfn, long endPfn) {
    for (long pfn = startPfn; pfn < endPfn; pfn += mmzone.pagesPerSection()) {
      MemSection ms = mmzone.section(mmzone.pfnToSectionNr(pfn));
      ms.sectionMemMap &= ~Mmzone.SECTION_IS_ONLINE;
    }
  }

  /**
   * How many frames the memmap of a chunk counts as, in nr_memmap_pages.
   *
   * <pre>
   *   not optimised                        all, also those of an altmap
   *   compound page less than a section    2 for each compound page
   *   a section or more                    2 for the section that it begins in, 0 for the others
   * </pre>
   *
   * A formula, not a count: what the architecture maps in truth may differ.
   */
  @Kernel(
      file = "mm/sparse-vmemmap.c",
      symbol = "section_nr_vmemmap_pages",
      patches = {3, 25, 34, 41, 42})
  private long sectionNrVmemmapPages(
      long pfn, long nrPages, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    int order = pgmap != null ? pgmap.vmemmapShift : 0;
    long pagesPerCompound = 1L << order;
    long span = pfn | nrPages;
    mm.printk()
        .vmWarnOnOnce(
            !Align.isAligned(span, mmzone.pagesPerSubsection()),
            "section_nr_vmemmap_pages: !IS_ALIGNED(pfn | nr_pages, PAGES_PER_SUBSECTION)");
    mm.printk()
        .vmWarnOnOnce(
            nrPages > mmzone.pagesPerSection(),
            "section_nr_vmemmap_pages: nr_pages > PAGES_PER_SECTION");
    if (daxBySection()) {
      return sectionVmemmapPages(pfn, nrPages);
    }
    // Before patch 3 optimised device memory was counted as if it had all its memmap.
    if (!mm.series().countsOptimizedDax() || !vmemmapCanOptimize(altmap, pgmap)) {
      return (nrPages * mm.struct().size() + pageSize - 1) / pageSize;
    }
    if (order < mmzone.pfnSectionShift()) {
      mm.printk()
          .vmWarnOnOnce(
              !Align.isAligned(span, pagesPerCompound),
              "section_nr_vmemmap_pages: !IS_ALIGNED(pfn | nr_pages, pages_per_compound)");
      return VMEMMAP_RESERVE_NR * nrPages / pagesPerCompound;
    }
    mm.printk()
        .vmWarnOnOnce(
            !Align.isAligned(span, mmzone.pagesPerSection()),
            "section_nr_vmemmap_pages: !IS_ALIGNED(pfn | nr_pages, PAGES_PER_SECTION)");
    return Align.isAligned(pfn, pagesPerCompound) ? VMEMMAP_RESERVE_NR : 0;
  }

  /** Populates and counts; counts even when populating failed, since the undoing counts back. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "populate_section_memmap", patches = {1, 3})
  private @Nullable Page populateSectionMemmap(
      long pfn, long nrPages, int nid, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    Page page = populateSectionMemmap0(pfn, nrPages, nid, altmap, pgmap);
    // Before patch 1 only a success was counted, but its undoing counted back every time.
    if (page != null || mm.series().countsFailedPopulate()) {
      mm.vmstat().memmapPagesAdd(sectionNrVmemmapPages(pfn, nrPages, altmap, pgmap));
    }
    return page;
  }

  /** Counts a chunk's memmap back and frees it; also the undoing of a populate that failed. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "depopulate_section_memmap", patches = {1, 2, 3})
  private void depopulateSectionMemmap(
      long pfn, long nrPages, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    long start = mm.model().pfnToPage(pfn).va();
    long end = start + nrPages * mm.struct().size();
    mm.vmstat().memmapPagesAdd(-sectionNrVmemmapPages(pfn, nrPages, altmap, pgmap));
    arch().vmemmapFree(start, end, altmap);
  }

  /**
   * Frees the memmap of a boot section, always as a whole, and counts it back as boot memmap.
   *
   * @param nrPages pages of the chunk that was removed last; before patch 1 (as it was merged) only
   *     their memmap was counted back
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "free_map_bootmem", patches = {1, 3})
  private void freeMapBootmem(Page memmap, long nrPages) {
    long start = memmap.va();
    long end = mm.struct().add(memmap, mmzone.pagesPerSection()).va();
    long pfn = mm.model().pageToPfn(memmap);
    long counted = mm.series().countsFailedPopulate() ? mmzone.pagesPerSection() : nrPages;
    long nr = sectionNrVmemmapPages(pfn, counted, null, null);
    mm.vmstat().memmapBootPagesAdd(-nr);
    arch().vmemmapFree(start, end, null);
  }

  /**
   * Clears the bits of a chunk, which must all be set: removing what is not there would free memmap
   * that others use, or nobody.
   *
   * @return 0, or -EINVAL with nothing changed
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "clear_subsection_map")
  private int clearSubsectionMap(long pfn, long nrPages) {
    long[] map = newSubsectionMap();
    long[] tmp = newSubsectionMap();
    MemSectionUsage usage = mmzone.section(mmzone.pfnToSectionNr(pfn)).usage;
    subsectionMaskSet(map, pfn, nrPages);
    if (usage != null) {
      Bitmap.bitmapAnd(tmp, map, usage.subsectionMap());
    }
    boolean inactive = usage == null || !Arrays.equals(tmp, map);
    if (mm.printk().warnOn(inactive, alreadyDeactivated(pfn, nrPages)) || usage == null) {
      return -Errno.EINVAL;
    }
    Bitmap.bitmapXor(usage.subsectionMap(), map, usage.subsectionMap());
    return 0;
  }

  private static String alreadyDeactivated(long pfn, long nrPages) {
    return "section already deactivated (0x" + Long.toHexString(pfn) + " + " + nrPages + ")";
  }

  private long[] newSubsectionMap() {
    return new long[(mmzone.subsectionsPerSection() + 63) / 64];
  }

  /** True when no chunk of the section is left. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "is_subsection_map_empty")
  private static boolean isSubsectionMapEmpty(MemSection ms) {
    return Bitmap.bitmapEmpty(usage(ms).subsectionMap());
  }

  /**
   * Sets the bits of a chunk. This is where two devices, or a device and RAM, that overlap are
   * found out.
   *
   * @return 0, -EINVAL for no bit, or -EEXIST when one was set already, with nothing changed
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "fill_subsection_map")
  private int fillSubsectionMap(long pfn, long nrPages) {
    MemSection ms = mmzone.section(mmzone.pfnToSectionNr(pfn));
    long[] map = newSubsectionMap();
    subsectionMaskSet(map, pfn, nrPages);
    long[] subsectionMap = usage(ms).subsectionMap();
    if (Bitmap.bitmapEmpty(map)) {
      return -Errno.EINVAL;
    } else if (Bitmap.bitmapIntersects(map, subsectionMap)) {
      return -Errno.EEXIST;
    }
    Bitmap.bitmapOr(subsectionMap, map, subsectionMap);
    return 0;
  }

  /**
   * Takes a chunk out of its section, and the section away with its last chunk.
   *
   * <pre>
   *                      chunks remain              last chunk
   *   hot-added section  free the chunk's memmap    and the usage record, section_mem_map = 0
   *   boot section       keep the memmap            free all of it, section_mem_map = 0
   * </pre>
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "section_deactivate", patches = {1, 2, 34})
  private void sectionDeactivate(
      long pfn, long nrPages, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    MemSection ms = mmzone.section(mmzone.pfnToSectionNr(pfn));
    boolean sectionIsEarly = mmzone.earlySection(ms);
    Page memmap = null;
    if (clearSubsectionMap(pfn, nrPages) != 0) {
      return;
    }
    boolean empty = isSubsectionMapEmpty(ms);
    if (empty) {
      // pfn_valid() must say no before the usage record goes.
      ms.sectionMemMap &= ~Mmzone.SECTION_HAS_MEM_MAP;
      freeUsage(ms);
      memmap = mm.model().pfnToPage(mmzone.sectionAlignDown(pfn));
    }
    if (!sectionIsEarly) {
      depopulateSectionMemmap(pfn, nrPages, altmap, pgmap);
    } else if (memmap != null) {
      freeMapBootmem(memmap, nrPages);
    }
    if (empty) {
      ms.sectionMemMap = 0;
      ms.order = 0;
      ms.zone = null;
    }
  }

  /**
   * Gives the usage record back, unless it is a slice of a boot buffer, whose other slices are in
   * use; then it waits for the section to be added again.
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "section_deactivate")
  private void freeUsage(MemSection ms) {
    MemSectionUsage usage = usage(ms);
    long va = usage.va();
    if (!mm.flags().pageReserved(mm.model().virtToPage(va))) {
      mm.machine().yields().at("kfree_rcu ms->usage", va);
      mm.rcu()
          .kfreeRcu(
              () -> {
                usage.free();
                slab.kfree(va);
              });
      ms.usage = null;
    }
  }

  /**
   * Adds a chunk to its section.
   *
   * <pre>
   *   usage record    made with the first chunk of a section          -ENOMEM
   *   subsection map  bits of the chunk                               -EEXIST, -EINVAL
   *   memmap          populated, unless the section has all of it     -ENOMEM
   * </pre>
   *
   * @return the chunk's memmap, or an ERR_PTR with all undone; page tables may stay
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "section_activate", patches = {1, 34, 46})
  private Page sectionActivate(
      int nid,
      long pfn,
      long nrPages,
      @Nullable VmemAltmap altmap,
      @Nullable DevPagemap pgmap,
      int wantedOrder,
      Zone wantedZone) {
    MemSection ms = mmzone.section(mmzone.pfnToSectionNr(pfn));
    long usage = NULL;
    if (ms.usage == null) {
      usage = kzallocUsage();
      if (usage == NULL) {
        return Page.err(-Errno.ENOMEM);
      }
      ms.usage = sparse().newUsage(usage);
    }
    int rc = fillSubsectionMap(pfn, nrPages);
    if (rc != 0) {
      if (usage != NULL) {
        ms.usage = null;
        slab.kfree(usage);
      }
      return Page.err(rc);
    }
    // A boot section has its whole memmap from the start, holes included; a part that is added to
    // it uses what is there.
    if (nrPages < mmzone.pagesPerSection() && mmzone.earlySection(ms)) {
      return mm.model().pfnToPage(pfn);
    }
    int order = activatedOrder(altmap, pgmap, wantedOrder);
    if (order != 0) {
      // Parts of a section, and what is no whole number of compound pages, stay ordinary.
      sectionSetOrderRange(pfn, nrPages, order);
      sectionSetZoneRange(pfn, nrPages, wantedZone);
    }
    Page memmap = populateSectionMemmap(pfn, nrPages, nid, altmap, pgmap);
    if (memmap == null) {
      sectionDeactivate(pfn, nrPages, altmap, pgmap);
      return Page.err(-Errno.ENOMEM);
    }
    return memmap;
  }

  /** On any node: kzalloc() names none, the record is small. */
  private long kzallocUsage() {
    return slab.kzalloc(mmzone.memSectionUsageSize(), Memblock.NUMA_NO_NODE, "section_activate");
  }

  /**
   * Adds a chunk of memory, at most a section and in whole subsections, as check_pfn_span() saw to.
   *
   * @param pgmap the device, when its memory comes in compound pages; looked at until patch 46
   * @param order the order of the compound pages, 0 for none; looked at since patch 46
   * @param zone whose shared tail their memmap shows
   * @return 0, -EEXIST when a part of it is there already, or -ENOMEM
   */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "sparse_add_section", patches = {46})
  public int sparseAddSection(
      int nid,
      long startPfn,
      long nrPages,
      @Nullable VmemAltmap altmap,
      @Nullable DevPagemap pgmap,
      int order,
      Zone zone) {
    long sectionNr = mmzone.pfnToSectionNr(startPfn);
    int ret = sparse().sparseIndexInit(sectionNr, nid);
    if (ret < 0) {
      return ret;
    }
    Page memmap = sectionActivate(nid, startPfn, nrPages, altmap, pgmap, order, zone);
    if (memmap.isErr()) {
      return memmap.ptrErr();
    }
    // So that a struct page that is used before its section goes online gives itself away.
    if (mayPoison(startPfn)) {
      mm.struct().pageInitPoison(memmap, mm.struct().size() * nrPages);
    }
    MemSection ms = mmzone.section(sectionNr);
    sparse().sectionMarkPresent(ms, sectionNr);
    // The section's pointer counts from its start, whatever part of it was added.
    if (mmzone.sectionNrToPfn(sectionNr) != startPfn) {
      memmap = mm.model().pfnToPage(mmzone.sectionNrToPfn(sectionNr));
    }
    sparse().sparseInitOneSection(ms, sectionNr, memmap, ms.usage, 0);
    return 0;
  }

  /** Removes a chunk that {@link #sparseAddSection} or boot added. */
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "sparse_remove_section", patches = {2})
  public void sparseRemoveSection(
      long pfn, long nrPages, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    MemSection ms = mmzone.pfnToSection(pfn);
    if (mm.printk()
        .warnOnOnce(!mmzone.validSection(ms), "sparse_remove_section: !valid_section(ms)")) {
      return;
    }
    sectionDeactivate(pfn, nrPages, altmap, pgmap);
  }

  /** {@code ms->usage} where C follows the pointer without a test; the kernel would oops. */
  private static MemSectionUsage usage(MemSection ms) {
    MemSectionUsage usage = ms.usage;
    if (usage == null) {
      throw new KernelBug("NULL pointer dereference: ms->usage");
    }
    return usage;
  }
}
