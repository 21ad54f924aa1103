// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.vmemmap.types.Pgtable.P4D;
import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.ArchHotplug;
import org.vmemmap.sparse.ArchVmemmap;
import org.vmemmap.sparse.BootmemInfo;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.P4d;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Pgd;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.Pud;
import org.vmemmap.types.VmemAltmap;

/**
 * Populating and freeing the memmap on x86-64.
 *
 * <p>A section's memmap is one 2 MiB block behind a pmd leaf, if struct page has 64 bytes. With
 * other sizes a leaf serves several sections in part, so it must be known when the last of them
 * goes. No counter is kept for that: the bytes of a leaf that nobody uses are filled with 0xfd, and
 * a leaf with nothing but 0xfd is free.
 *
 * <pre>
 *   one leaf, 56-byte struct pages (a section takes 7/8 of it)
 *   0                                                    2 MiB
 *  +-----------------------------------------+------------+
 *  | section 0                               | 0xfd later |   unused_pmd_start remembers the end,
 *  +-----------------------------------------+------------+   as section 1 comes next most times
 * </pre>
 *
 * Addresses are virtual. Callers hold the hotplug lock, or run at boot. Where the kernel takes
 * {@code init_mm.page_table_lock} around one store, the store itself is the yield point here.
 */
@Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_populate")
public final class X86Init64 implements ArchVmemmap, ArchHotplug, Pgtable.SyncHook {
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "PAGE_UNUSED")
  private static final byte PAGE_UNUSED = (byte) 0xfd;

  private static final long PAGE_UNUSED_WORD = 0xfdfd_fdfd_fdfd_fdfdL;
  private static final int PMD_ORDER = 9;
  private static final int PTRS_PER_TABLE = 512;

  /** The first GiB, which head_64.S maps; its tables are in the kernel image. */
  private static final long IDENTITY_MAPPED = 0x4000_0000L;

  private final Mm mm;
  private final Pgtable pgtable;
  private final PageAlloc pageAlloc;
  private final SparseVmemmap vmemmap;
  private final MemoryHotplug hotplug;
  private final X86PageTable format;
  private final X86MmPgtable mmPgtable;
  private final boolean pse;

  /**
   * From here to the end of its pmd nobody uses the memmap, which is not filled yet; 0 for none.
   */
  private long unusedPmdStart;

  /** The run of leaves that the next debug line will describe: addresses, blocks, node. */
  private long addrStart;
  private long addrEnd;
  private long pStart;
  private long pEnd;
  private int nodeStart;
  private long maxPfn;

  /**
   * Takes what this file calls. The caller then hands this object to {@link SparseVmemmap#setArch},
   * {@link MemoryHotplug#setArch} and {@link Pgtable#setSyncHook}.
   *
   * @param format the page tables that the machine was made with
   * @param mmPgtable the tables of processes
   * @param pse whether the CPU has large pages; all 64-bit CPUs do, hypervisors can hide it
   */
  public X86Init64(
      Mm mm,
      PageAlloc pageAlloc,
      SparseVmemmap vmemmap,
      MemoryHotplug hotplug,
      X86PageTable format,
      X86MmPgtable mmPgtable,
      boolean pse) {
    this.mm = mm;
    this.pgtable = mm.pgtable();
    this.pageAlloc = pageAlloc;
    this.vmemmap = vmemmap;
    this.hotplug = hotplug;
    this.format = format;
    this.mmPgtable = mmPgtable;
    this.pse = pse;
    format.setPrintk(mm.printk());
  }

  /**
   * Copies pgd entries of {@code [start, end]} that init_mm has to the tables of all processes. A
   * slot that is filled there already must lead to the same table: entries of the kernel half are
   * entered once and stay.
   */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "sync_global_pgds_l5")
  private void syncGlobalPgdsL5(long start, long end) {
    long addr = start;
    for (; Long.compareUnsigned(addr, end) <= 0; addr = nextPgdir(addr)) {
      Pgd pgdRef = pgtable.pgdpGet(pgtable.pgdOffsetK(addr));
      // The last slot: the address wrapped around to 0.
      if (Long.compareUnsigned(addr, start) < 0) {
        break;
      }
      if (pgtable.pgdNone(pgdRef)) {
        continue;
      }
      mmPgtable.pgdList().lock();
      for (long root : mmPgtable.pgdList().roots()) {
        syncPgd(pgtable.pgdOffset(root, addr), pgdRef);
      }
      mmPgtable.pgdList().unlock();
    }
  }

  /** One slot of one process: filled if it is empty, else it must lead to the same p4d table. */
  private void syncPgd(Ptr<Pgd> pgd, Pgd pgdRef) {
    Pgd old = pgtable.pgdpGet(pgd);
    if (!pgtable.pgdNone(old)) {
      mm.printk()
          .bugOn(
              pgtable.tableVa(old.val(), PGD) != pgtable.tableVa(pgdRef.val(), PGD),
              "sync_global_pgds_l5: pgd_page_vaddr(*pgd) != pgd_page_vaddr(*pgd_ref)");
    } else {
      pgtable.setPgd(pgd, pgdRef);
    }
  }

  /** With the pgd folded, the top-level entry is what the kernel calls a p4d. */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "sync_global_pgds_l4")
  private void syncGlobalPgdsL4(long start, long end) {
    for (long addr = start; Long.compareUnsigned(addr, end) <= 0; addr = nextPgdir(addr)) {
      Ptr<Pgd> pgdRef = pgtable.pgdOffsetK(addr);
      P4d p4dRef = pgtable.p4dpGet(pgtable.p4dOffset(pgdRef, addr));
      if (pgtable.p4dNone(p4dRef)) {
        continue;
      }
      mmPgtable.pgdList().lock();
      for (long root : mmPgtable.pgdList().roots()) {
        syncP4d(pgtable.p4dOffset(pgtable.pgdOffset(root, addr), addr), p4dRef);
      }
      mmPgtable.pgdList().unlock();
    }
  }

  /** One slot of one process: filled if it is empty, else it must lead to the same pud table. */
  private void syncP4d(Ptr<P4d> p4d, P4d p4dRef) {
    P4d old = pgtable.p4dpGet(p4d);
    if (!pgtable.p4dNone(old)) {
      mm.printk()
          .bugOn(
              pgtable.tableVa(old.val(), P4D) != pgtable.tableVa(p4dRef.val(), P4D),
              "sync_global_pgds_l4: p4d_pgtable(*p4d) != p4d_pgtable(*p4d_ref)");
    } else {
      pgtable.setP4d(p4d, p4dRef);
    }
  }

  /** {@code ALIGN(addr + 1, PGDIR_SIZE)}. */
  private long nextPgdir(long addr) {
    return Align.align(addr + 1, 1L << format.shift(format.levels() - 1));
  }

  /** Copies new top-level entries of {@code [start, end]} to the tables of all processes. */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "sync_global_pgds")
  private void syncGlobalPgds(long start, long end) {
    if (format.geometry().pgtableL5Enabled()) {
      syncGlobalPgdsL5(start, end);
    } else {
      syncGlobalPgdsL4(start, end);
    }
  }

  /**
   * {@code arch_sync_kernel_mappings()}: the generic walk calls it when it has entered a top-level
   * table. At boot there are no other roots yet and nothing happens.
   */
  @Override
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "arch_sync_kernel_mappings", patches = {5})
  public void archSyncKernelMappings(long start, long end) {
    syncGlobalPgds(start, end);
  }

  /** Fills what {@link #unusedPmdStart} remembers. */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_flush_unused_pmd")
  private void vmemmapFlushUnusedPmd() {
    if (unusedPmdStart == 0) {
      return;
    }
    long end = Align.align(unusedPmdStart, pgtable.pmdSize());
    memset(unusedPmdStart, PAGE_UNUSED, end - unusedPmdStart);
    unusedPmdStart = 0;
  }

  /**
   * Marks {@code [addr, end)} unused; true when no byte of its leaf is used any more. What is only
   * remembered as unused has to be filled first, or the test would not see it.
   */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_pmd_is_unused")
  private boolean vmemmapPmdIsUnused(long addr, long end) {
    long start = Align.alignDown(addr, pgtable.pmdSize());
    vmemmapFlushUnusedPmd();
    memset(addr, PAGE_UNUSED, end - addr);
    for (long word = start; word < start + pgtable.pmdSize(); word += 8) {
      if (mm.machine().cpu().readLong(word) != PAGE_UNUSED_WORD) {
        return false;
      }
    }
    return true;
  }

  /**
   * One struct page that is not 0xfd is enough to keep the leaf, as memory is removed in the pieces
   * in which it was added. Zeroed now, in case that nobody ever initialises it.
   */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "__vmemmap_use_sub_pmd")
  private void vmemmapUseSubPmd0(long start) {
    memset(start, (byte) 0, mm.struct().size());
  }

  /**
   * Part of a leaf that is there already is put to use. When it begins where the last one ended,
   * only the remembered address moves: consecutive sections cost no fill.
   */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_use_sub_pmd")
  private void vmemmapUseSubPmd(long start, long end) {
    if (unusedPmdStart == start) {
      unusedPmdStart = Align.isAligned(end, pgtable.pmdSize()) ? 0 : end;
      return;
    }
    vmemmapFlushUnusedPmd();
    vmemmapUseSubPmd0(start);
  }

  /**
   * Part of a fresh leaf is put to use; its memory may hold anything, also 0xfd from an earlier
   * life. Before the part is filled at once, behind it is remembered.
   */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_use_new_sub_pmd")
  private void vmemmapUseNewSubPmd(long start, long end) {
    long page = Align.alignDown(start, pgtable.pmdSize());
    vmemmapFlushUnusedPmd();
    vmemmapUseSubPmd0(start);
    if (!Align.isAligned(start, pgtable.pmdSize())) {
      memset(page, PAGE_UNUSED, start - page);
    }
    if (!Align.isAligned(end, pgtable.pmdSize())) {
      unusedPmdStart = end;
    }
  }

  /** {@code max_pfn}: first pfn behind all memory of the system. */
  @Kernel(file = "mm/memblock.c", symbol = "max_pfn")
  public long maxPfn() {
    return maxPfn;
  }

  /** Sets {@code max_pfn}, as setup_arch() does from the e820 table. */
  public void setMaxPfn(long pfn) {
    maxPfn = pfn;
  }

  /** Memory that was added may lie behind all that was there. */
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "update_end_of_memory_vars",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "max_low_pfn and high_memory, which always follow max_pfn here, have no readers.")
  private void updateEndOfMemoryVars(long start, long size) {
    maxPfn = Math.max(maxPfn, mm.model().pfnUp(start + size));
  }

  /**
   * {@code add_pages()}: memmap for pfns, and the end of memory moves.
   *
   * @return 0, -ERANGE behind the direct map, or what __add_pages() returns
   */
  @Override
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "add_pages")
  public int addPages(int nid, long startPfn, long nrPages, MemoryHotplug.MhpParams params) {
    long end = mm.model().pfnPhys(startPfn + nrPages) - 1;
    boolean beyond =
        Long.compareUnsigned(end, format.geometry().directMapPhysmemEnd()) > 0;
    if (mm.printk().warnOnOnce(beyond, "add_pages: end > DIRECT_MAP_PHYSMEM_END")) {
      return -Errno.ERANGE;
    }
    int ret = hotplug.addPages(nid, startPfn, nrPages, params);
    mm.printk().warnOnOnce(ret != 0, "add_pages: ret");
    // A device's memory must not make drivers believe that they need bounce buffers, which they
    // decide by max_pfn.
    if (params.pgmap() == null) {
      updateEndOfMemoryVars(mm.model().pfnPhys(startPfn), mm.model().pfnPhys(nrPages));
    }
    return ret;
  }

  /** {@code arch_add_memory()}: bytes; 0 or a negative error code. */
  @Override
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "arch_add_memory",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without init_memory_mapping(): the machine's linear window is the direct map.")
  public int archAddMemory(int nid, long start, long size, MemoryHotplug.MhpParams params) {
    return addPages(nid, mm.model().physPfn(start), mm.model().physPfn(size), params);
  }

  /**
   * Gives a page table back. One from boot is a reserved page; it becomes managed memory, which was
   * never counted as such before. A kernel that registers such tables took a reference for each
   * struct page or leaf behind them and drops one here: the table stays reserved, for nobody.
   */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "free_pagetable")
  private void freePagetable(Page page) {
    BootmemInfo info = vmemmap.bootmemInfo();
    if (mm.flags().pageReserved(page)) {
      if (info.configured() && info.bootmemType(page) == BootmemInfo.MIX_SECTION_INFO) {
        info.putPageBootmem(page);
        ownIfKept(page);
      } else {
        pageAlloc.freeReservedPage(page);
      }
    } else {
      // pagetable_free() of a table that never was more than a page.
      pageAlloc.freePages(page, 0);
    }
  }

  /**
   * Gives 2^{@code order} frames of memmap back to where they came from. With an altmap that is
   * taken on trust: nobody looks whether the frames lie in it. For others it is the drop of a
   * reference, so a frame that several entries share goes with the last of them.
   */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "free_vmemmap_pages")
  private void freeVmemmapPages(Page page, int order, @Nullable VmemAltmap altmap) {
    long nrPages = 1L << order;
    if (altmap != null) {
      altmap.vmemAltmapFree(mm, nrPages);
      ownAsDevice(mm.model().pageToPfn(page), nrPages, altmap);
    } else if (mm.flags().pageReserved(page)) {
      freeBootVmemmapPages(page, order);
    } else {
      pageAlloc.freePages(page, order);
    }
  }

  /** Registered frames go one by one, each with its last registration; others all at once. */
  private void freeBootVmemmapPages(Page page, int order) {
    BootmemInfo info = vmemmap.bootmemInfo();
    if (!info.configured() || info.bootmemType(page) != BootmemInfo.SECTION_INFO) {
      pageAlloc.freeReservedPages(page, order);
      return;
    }
    for (long i = 0; i < 1L << order; i++) {
      Page one = mm.struct().add(page, i);
      info.putPageBootmem(one);
      ownIfKept(one);
    }
  }

  /** A frame that is still reserved has no use any more, but registrations that nobody takes back. */
  private void ownIfKept(Page page) {
    if (mm.flags().pageReserved(page)) {
      mm.own(mm.model().pageToPfn(page), 1, Owner.RESERVED);
    }
  }

  /** Books frames of an altmap back to whoever owns the rest of the device: its last page. */
  private void ownAsDevice(long pfn, long nrPages, VmemAltmap altmap) {
    var ledger = mm.machine().ledger();
    ledger.transfer(pfn, nrPages, ledger.ownerOf(pfn), ledger.ownerOf(altmap.endPfn));
  }

  /** Frees a pte table that maps nothing any more, and clears the pmd that points to it. */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "free_pte_table")
  private void freePteTable(long pteStart, Ptr<Pmd> pmd) {
    for (int i = 0; i < PTRS_PER_TABLE; i++) {
      if (!pgtable.pteNone(pgtable.ptepGet(new Ptr<>(pteStart + 8L * i)))) {
        return;
      }
    }
    freePagetable(pgtable.pmdPage(pgtable.pmdpGet(pmd)));
    pgtable.pmdClear(pmd);
  }

  /** The same a level up. The entry is cleared after the frame has gone back, as in the kernel. */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "free_pmd_table")
  private void freePmdTable(long pmdStart, Ptr<Pud> pud) {
    for (int i = 0; i < PTRS_PER_TABLE; i++) {
      if (!pgtable.pmdNone(pgtable.pmdpGet(new Ptr<>(pmdStart + 8L * i)))) {
        return;
      }
    }
    freePagetable(tablePage(pgtable.pudpGet(pud).val(), PUD));
    pgtable.pudClear(pud);
  }

  /** And another level up, with 5 levels only. */
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "free_pud_table")
  private void freePudTable(long pudStart, Ptr<P4d> p4d) {
    for (int i = 0; i < PTRS_PER_TABLE; i++) {
      if (!pgtable.pudNone(pgtable.pudpGet(new Ptr<>(pudStart + 8L * i)))) {
        return;
      }
    }
    freePagetable(tablePage(pgtable.p4dpGet(p4d).val(), P4D));
    pgtable.p4dClear(p4d);
  }

  /** {@code pud_page()} and {@code p4d_page()} of an entry that points to a table. */
  private Page tablePage(long entry, int level) {
    return mm.model().virtToPage(pgtable.tableVa(entry, level));
  }

  /**
   * Frees the base pages of {@code [addr, end)}. An altmap is never asked: base pages do not come
   * from it. The test against the first GiB adds the raw entry to the address, as the kernel does;
   * no entry of the memmap can meet it unless it lacks NX.
   */
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "remove_pte_table",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false), as are all remove_ functions here.")
  private void removePteTable(long pteStart, long addr, long end) {
    long ptep = pteStart + 8L * format.index(addr, PTE);
    long next;
    for (; addr < end; addr = next, ptep += 8) {
      next = Math.min((addr + mm.model().pageSize()) & -mm.model().pageSize(), end);
      Ptr<Pte> pte = new Ptr<>(ptep);
      Pte entry = pgtable.ptepGet(pte);
      if (!X86AsmPgtable.ptePresent(entry.val())) {
        continue;
      }
      long physAddr = entry.val() + (addr & -mm.model().pageSize());
      if (Long.compareUnsigned(physAddr, IDENTITY_MAPPED) < 0) {
        return;
      }
      freeVmemmapPages(pgtable.ptePage(entry), 0, null);
      pgtable.pteClear(addr, pte);
    }
    pgtable.flushTlbAll();
  }

  /**
   * Frees leaves that are covered, or whose last part is; goes down into tables. A leaf of which
   * parts stay in use stays as a whole.
   */
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "remove_pmd_table",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false), as are all remove_ functions here.")
  private void removePmdTable(long pmdStart, long addr, long end, @Nullable VmemAltmap altmap) {
    long pmdp = pmdStart + 8L * format.index(addr, PMD);
    long next;
    for (; addr < end; addr = next, pmdp += 8) {
      next = pgtable.pmdAddrEnd(addr, end);
      Ptr<Pmd> pmd = new Ptr<>(pmdp);
      Pmd entry = pgtable.pmdpGet(pmd);
      if (!X86AsmPgtable.pmdPresent(entry.val())) {
        continue;
      }
      if (X86AsmPgtable.pmdLeaf(entry.val())) {
        boolean whole = Align.isAligned(addr | next, pgtable.pmdSize());
        if (whole || vmemmapPmdIsUnused(addr, next)) {
          freeVmemmapPages(pgtable.pmdPage(entry), PMD_ORDER, altmap);
          pgtable.pmdClear(pmd);
        }
        continue;
      }
      // The table may have become empty by this.
      long pteBase = pgtable.tableVa(entry.val(), PMD);
      removePteTable(pteBase, addr, next);
      freePteTable(pteBase, pmd);
    }
  }

  /**
   * Goes down into pmd tables. Leaves of 1 GiB are the direct map's; their frames are not freed.
   */
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "remove_pud_table",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false), as are all remove_ functions here.")
  private void removePudTable(long pudStart, long addr, long end, @Nullable VmemAltmap altmap) {
    long pudp = pudStart + 8L * format.index(addr, PUD);
    long next;
    for (; addr < end; addr = next, pudp += 8) {
      next = pgtable.addrEnd(addr, end, PUD);
      Ptr<Pud> pud = new Ptr<>(pudp);
      Pud entry = pgtable.pudpGet(pud);
      if (!X86AsmPgtable.pudPresent(entry.val())) {
        continue;
      }
      boolean whole = Align.isAligned(addr | next, pgtable.pudSize());
      if (X86AsmPgtable.pudLeaf(entry.val()) && whole) {
        pgtable.pudClear(pud);
        continue;
      }
      long pmdBase = pgtable.pmdOffset(pud, 0).va();
      removePmdTable(pmdBase, addr, next, altmap);
      freePmdTable(pmdBase, pud);
    }
  }

  /**
   * With 4 levels the pud tables stay: copies of the entries that point to them are in the
   * top-level tables of all processes, and nobody would clear those. With 5 levels that holds for
   * p4d tables.
   */
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "remove_p4d_table",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false), as are all remove_ functions here.")
  private void removeP4dTable(Ptr<P4d> p4dStart, long addr, long end, @Nullable VmemAltmap altmap) {
    boolean l5 = format.geometry().pgtableL5Enabled();
    long p4dp = p4dStart.va() + (l5 ? 8L * format.index(addr, P4D) : 0);
    long next;
    for (; addr < end; addr = next, p4dp += 8) {
      next = pgtable.addrEnd(addr, end, P4D);
      Ptr<P4d> p4d = new Ptr<>(p4dp);
      if (!X86AsmPgtable.pudPresent(pgtable.p4dpGet(p4d).val())) {
        continue;
      }
      long pudBase = pgtable.pudOffset(p4d, 0).va();
      removePudTable(pudBase, addr, next, altmap);
      if (l5) {
        freePudTable(pudBase, p4d);
      }
    }
  }

  /** Walks {@code [start, end)} of init_mm. The flush reaches all CPUs, and all roots with them. */
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "remove_pagetable",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only for the memmap (direct = false), as are all remove_ functions here.")
  private void removePagetable(long start, long end, @Nullable VmemAltmap altmap) {
    boolean l5 = format.geometry().pgtableL5Enabled();
    long next;
    for (long addr = start; addr < end; addr = next) {
      next = pgtable.addrEnd(addr, end, PGD);
      Ptr<Pgd> pgd = pgtable.pgdOffsetK(addr);
      if (l5 && !X86AsmPgtable.pudPresent(pgtable.pgdpGet(pgd).val())) {
        continue;
      }
      removeP4dTable(pgtable.p4dOffset(pgd, 0), addr, next, altmap);
    }
    pgtable.flushTlbAll();
  }

  /**
   * {@code vmemmap_free()}: frees what backs {@code [start, end)}, and tables that are empty then.
   */
  @Override
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_free")
  public void vmemmapFree(long start, long end, @Nullable VmemAltmap altmap) {
    mm.printk().vmBugOn(!pageAligned(start), "vmemmap_free: !PAGE_ALIGNED(start)");
    mm.printk().vmBugOn(!pageAligned(end), "vmemmap_free: !PAGE_ALIGNED(end)");
    removePagetable(start, end, altmap);
  }

  @Override
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "arch_remove_memory",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without kernel_physical_mapping_remove(): the linear window is the direct map.",
      patches = {2})
  public void archRemoveMemory(
      long start, long size, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    hotplug.removePages(mm.model().physPfn(start), mm.model().physPfn(size), altmap, pgmap);
  }

  /** Enters a block as a leaf, and remembers runs of blocks for the debug line. */
  @Override
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_set_pmd")
  public void vmemmapSetPmd(Ptr<Pmd> pmd, long p, int node, long addr, long next) {
    long paddr = mm.model().pa(p);
    Prot pageKernelLarge = new Prot(X86AsmPgtableTypes.PAGE_KERNEL_LARGE);
    pgtable.setPmd(pmd, new Pmd(format.mkPte(paddr, pageKernelLarge)));
    // A block that does not follow the last one ends the run.
    if (pEnd != p || nodeStart != node) {
      if (pStart != 0) {
        prDebugLast();
      }
      addrStart = addr;
      nodeStart = node;
      pStart = p;
    }
    addrEnd = addr + pgtable.pmdSize();
    pEnd = p + pgtable.pmdSize();
    if (!Align.isAligned(addr | next, pgtable.pmdSize())) {
      vmemmapUseNewSubPmd(addr, next);
    }
  }

  /** A run of leaves whose blocks follow each other, one line for all of them. */
  private void prDebugLast() {
    mm.printk()
        .prDebug(
            () ->
                " [%x-%x] PMD -> [%x-%x] on node %d"
                    .formatted(addrStart, addrEnd - 1, pStart, pEnd - 1, nodeStart));
  }

  /** A leaf that is there is used as it is; a table is left to the base-page path. */
  @Override
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_check_pmd")
  public boolean vmemmapCheckPmd(Ptr<Pmd> pmd, int node, long addr, long next) {
    Pmd entry = pgtable.pmdpGet(pmd);
    boolean large = X86AsmPgtable.pmdLeaf(entry.val());
    if (large) {
      vmemmap.vmemmapVerify(pgtable.pmdPfn(entry), node, addr, next);
      vmemmapUseSubPmd(addr, next);
    }
    return large;
  }

  /**
   * Maps {@code [start, end)}: with base pages when it is less than a section's memmap, else with
   * leaves. Base pages come from normal memory even if there is an altmap.
   *
   * <pre>
   *   less than a section    base pages, altmap ignored
   *   CPU has PSE            leaves, out of the altmap if there is one
   *   no PSE, altmap         -ENOMEM
   *   no PSE                 base pages
   * </pre>
   *
   * The sync at the end is what patch 5 is about: the generic path for devices does not come here.
   * It relies on the sync at each new top-level table.
   *
   * @return 0 or -ENOMEM with parts mapped
   */
  @Override
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_populate", patches = {4, 5, 45})
  public int vmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap) {
    mm.printk().vmBugOn(!pageAligned(start), "vmemmap_populate: !PAGE_ALIGNED(start)");
    mm.printk().vmBugOn(!pageAligned(end), "vmemmap_populate: !PAGE_ALIGNED(end)");
    int err;
    if (end - start < mm.mmzone().pagesPerSection() * mm.struct().size()) {
      err = vmemmap.vmemmapPopulateBasepages(start, end, node, null);
    } else if (pse) {
      err = vmemmap.vmemmapPopulateHugepages(start, end, node, altmap);
    } else if (altmap != null) {
      mm.printk()
          .prErrOnce(
              "vmemmap_populate", "vmemmap_populate: no cpu support for altmap allocations");
      err = -Errno.ENOMEM;
    } else {
      err = vmemmap.vmemmapPopulateBasepages(start, end, node, null);
    }
    if (err == 0) {
      vmemmapPopulateDone(start, end);
    }
    return err;
  }

  /** Copies new top-level entries to the page tables of all processes. */
  @Override
  public void vmemmapPopulateDone(long start, long end) {
    syncGlobalPgds(start, end - 1);
  }

  // ---- boot ----

  /**
   * {@code mem_init()}: registers the memmap of all nodes. Only now have the struct pages of all
   * reserved memory been initialised.
   */
  @Override
  @Kernel(
      file = "arch/x86/mm/init_64.c",
      symbol = "mem_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only what concerns the memmap: no kcore, no tables for vmalloc.")
  public void memInit() {
    registerPageBootmemInfo();
  }

  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "register_page_bootmem_info")
  private void registerPageBootmemInfo() {
    for (PgData pgdat : mm.nodes().online()) {
      vmemmap.bootmemInfo().registerPageBootmemInfoNode(pgdat);
    }
  }

  /** HAVE_BOOTMEM_INFO_NODE. */
  @Override
  public boolean haveBootmemInfoNode() {
    return true;
  }

  /**
   * Every frame behind the struct pages is registered as the section's, every table on the way to a
   * leaf or base page as shared by sections: once each time the walk comes by, on a 4-level machine
   * twice for the table that the folded pgd and the p4d both point to.
   */
  @Override
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "register_page_bootmem_memmap")
  public void registerPageBootmemMemmap(long sectionNr, Page map, long nrPages) {
    long end = mm.struct().add(map, nrPages).va();
    for (long addr = map.va(), next; addr < end; addr = next) {
      Ptr<Pmd> pmd = registerTables(sectionNr, addr);
      if (pmd == null || pgtable.pmdNone(pgtable.pmdpGet(pmd))) {
        next = (addr + mm.model().pageSize()) & -mm.model().pageSize();
      } else if (!pse || !X86AsmPgtable.pmdLeaf(pgtable.pmdpGet(pmd).val())) {
        next = (addr + mm.model().pageSize()) & -mm.model().pageSize();
        registerBasePage(sectionNr, pmd, addr);
      } else {
        next = pgtable.pmdAddrEnd(addr, end);
        Page page = pgtable.pmdPage(pgtable.pmdpGet(pmd));
        for (long n = (next - addr) >> mm.model().pageShift(); n > 0; n--) {
          register(sectionNr, page, BootmemInfo.SECTION_INFO);
          page = mm.struct().add(page, 1);
        }
      }
    }
  }

  /** The tables down to the pmd; null where a level has no entry for the address. */
  private @Nullable Ptr<Pmd> registerTables(long sectionNr, long addr) {
    Ptr<Pgd> pgd = pgtable.pgdOffsetK(addr);
    if (pgtable.pgdNone(pgtable.pgdpGet(pgd))) {
      return null;
    }
    register(sectionNr, tablePage(pgtable.pgdpGet(pgd).val(), PGD), BootmemInfo.MIX_SECTION_INFO);
    Ptr<P4d> p4d = pgtable.p4dOffset(pgd, addr);
    if (pgtable.p4dNone(pgtable.p4dpGet(p4d))) {
      return null;
    }
    register(sectionNr, tablePage(pgtable.p4dpGet(p4d).val(), P4D), BootmemInfo.MIX_SECTION_INFO);
    Ptr<Pud> pud = pgtable.pudOffset(p4d, addr);
    if (pgtable.pudNone(pgtable.pudpGet(pud))) {
      return null;
    }
    register(sectionNr, tablePage(pgtable.pudpGet(pud).val(), PUD), BootmemInfo.MIX_SECTION_INFO);
    return pgtable.pmdOffset(pud, addr);
  }

  private void registerBasePage(long sectionNr, Ptr<Pmd> pmd, long addr) {
    register(sectionNr, pgtable.pmdPage(pgtable.pmdpGet(pmd)), BootmemInfo.MIX_SECTION_INFO);
    Pte pte = pgtable.ptepGet(pgtable.pteOffsetKernel(pmd, addr));
    if (!pgtable.pteNone(pte)) {
      register(sectionNr, pgtable.ptePage(pte), BootmemInfo.SECTION_INFO);
    }
  }

  private void register(long sectionNr, Page page, int type) {
    vmemmap.bootmemInfo().getPageBootmem(sectionNr, page, type);
  }

  /** The line of the last run. */
  @Override
  @Kernel(file = "arch/x86/mm/init_64.c", symbol = "vmemmap_populate_print_last")
  public void vmemmapPopulatePrintLast() {
    if (pStart != 0) {
      prDebugLast();
      pStart = 0;
      pEnd = 0;
      nodeStart = 0;
    }
  }

  @Override
  @Kernel(file = "arch/x86/mm/pgtable.c", symbol = "pmd_set_huge")
  public boolean pmdSetHuge(Ptr<Pmd> pmd, long paddr, Prot prot) {
    return mmPgtable.pmdSetHuge(pmd, paddr, prot);
  }

  /** ARCH_WANT_OPTIMIZE_DAX_VMEMMAP. */
  @Override
  public boolean wantsOptimizedDaxVmemmap() {
    return true;
  }

  /** 16 MiB: ZONE_DMA is left to those who need it. */
  @Override
  @Kernel(file = "arch/x86/include/asm/dma.h", symbol = "MAX_DMA_ADDRESS")
  public long maxDmaPaddr() {
    return mm.model().pfnPhys(format.geometry().maxDmaPfn());
  }

  private void memset(long addr, byte value, long bytes) {
    mm.machine().cpu().fill(addr, bytes, value);
  }

  private boolean pageAligned(long addr) {
    return Align.isAligned(addr, mm.model().pageSize());
  }
}
