// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.vmemmap.types.Pgtable.P4D;
import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.ArchHotplug;
import org.vmemmap.sparse.ArchVmemmap;
import org.vmemmap.sparse.MemoryBlocks;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.MemSection;
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
 * Populating and freeing the memmap on arm64.
 *
 * <p>A block maps a section's whole memmap with 4K pages, and nothing else ever is a block: 16K and
 * 64K pages would need blocks of 32 and 512 MiB. So no leaf is shared between sections and nobody
 * has to remember which parts of one are in use.
 *
 * <pre>
 *             memmap of a section      of a subsection (2 MiB)
 *    4K       2 MiB, one block         32 KiB, 8 pages
 *   16K       512 KiB, 32 pages         8 KiB, half a page
 *   64K       512 KiB,  8 pages         2 KiB, 1/32 page
 * </pre>
 *
 * The right column is the catch: with 16K and 64K pages, neighbours share a page of memmap, but who
 * goes first takes it away. {@code unmap_hotplug_range()} frees each leaf that it meets, without a
 * test who else lives there; the neighbour's struct pages are gone then, and touching them faults.
 *
 * <p>Unmapping takes two walks: leaves first, each with a flush of its own, then tables that have
 * become empty. Boot memory has no way back at all, which a notifier sees to.
 *
 * <p>Addresses are virtual. Callers hold the hotplug lock, or run at boot; entries are changed
 * without a lock.
 */
@Kernel(file = "arch/arm64/mm/mmu.c", symbol = "vmemmap_populate")
public final class Arm64Mmu implements ArchVmemmap, ArchHotplug {
  /** {@code MEM_GOING_OFFLINE}: the pages of the range are about to be isolated. */
  @Kernel(file = "include/linux/memory.h", symbol = "MEM_GOING_OFFLINE")
  public static final int MEM_GOING_OFFLINE = 1;

  /** {@code MEM_OFFLINE}: the range is offline. */
  @Kernel(file = "include/linux/memory.h", symbol = "MEM_OFFLINE")
  public static final int MEM_OFFLINE = 2;

  /** {@code NOTIFY_DONE}: not my business. */
  @Kernel(file = "include/linux/notifier.h", symbol = "NOTIFY_DONE")
  public static final int NOTIFY_DONE = 0x0000;

  /** {@code NOTIFY_OK}: go on. */
  @Kernel(file = "include/linux/notifier.h", symbol = "NOTIFY_OK")
  public static final int NOTIFY_OK = 0x0001;

  /** {@code NOTIFY_BAD}: refused, and nobody further is asked. */
  @Kernel(file = "include/linux/notifier.h", symbol = "NOTIFY_BAD")
  public static final int NOTIFY_BAD = 0x8002;

  private static final int SHIFT_4K = 12;

  private final Mm mm;
  private final Pgtable pgtable;
  private final PageAlloc pageAlloc;
  private final SparseVmemmap vmemmap;
  private final MemoryHotplug hotplug;
  private final Arm64PageTable format;
  private final Arm64Geometry geometry;
  private final long memstart;
  private final long pageSize;
  private final long vmemmapStart;
  private final long vmemmapEnd;
  private long maxPfn;

  /**
   * Takes what this file calls. The caller then hands this object to {@link SparseVmemmap#setArch}
   * and {@link MemoryHotplug#setArch}. There is no sync hook to set: all tasks share the kernel's
   * tables.
   *
   * @param format the page tables that the machine was made with
   * @param memstart memstart_addr, as {@link Arm64Init} chose it
   */
  public Arm64Mmu(
      Mm mm,
      PageAlloc pageAlloc,
      SparseVmemmap vmemmap,
      MemoryHotplug hotplug,
      Arm64PageTable format,
      long memstart) {
    this.mm = mm;
    this.pgtable = mm.pgtable();
    this.pageAlloc = pageAlloc;
    this.vmemmap = vmemmap;
    this.hotplug = hotplug;
    this.format = format;
    this.geometry = format.geometry();
    this.memstart = memstart;
    this.pageSize = mm.model().pageSize();
    this.vmemmapStart = geometry.vmemmapStart(Math.toIntExact(mm.struct().size()));
    this.vmemmapEnd = geometry.vmemmapEnd();
  }

  // ---- freeing ----

  /**
   * Gives {@code size} bytes of memmap, or a table, back to where they came from. With an altmap
   * that is taken on trust. Memory from boot is not expected.
   */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "free_hotplug_page_range")
  private void freeHotplugPageRange(Page page, long size, @Nullable VmemAltmap altmap) {
    if (altmap != null) {
      long nrPages = size >>> mm.model().pageShift();
      altmap.vmemAltmapFree(mm, nrPages);
      ownAsDevice(mm.model().pageToPfn(page), nrPages, altmap);
    } else {
      mm.printk()
          .warnOn(mm.flags().pageReserved(page), "free_hotplug_page_range: PageReserved(page)");
      pageAlloc.freePages(page, getOrder(size));
    }
  }

  /**
   * Books frames of an altmap back to whoever owns the rest of the device: its last page. A frame
   * of RAM, shared with a neighbour that has no altmap, stays booked as memmap: the kernel loses it
   * here.
   */
  private void ownAsDevice(long pfn, long nrPages, VmemAltmap altmap) {
    var ledger = mm.machine().ledger();
    if (ledger.ownerOf(pfn) == Owner.ALTMAP) {
      ledger.transfer(pfn, nrPages, Owner.ALTMAP, ledger.ownerOf(altmap.endPfn));
    }
  }

  @Kernel(file = "include/asm-generic/getorder.h", symbol = "get_order")
  private int getOrder(long size) {
    return Long.SIZE - Long.numberOfLeadingZeros((size - 1) >>> mm.model().pageShift());
  }

  /** Gives a page table back. */
  @Kernel(
      file = "arch/arm64/mm/mmu.c",
      symbol = "free_hotplug_pgtable_page",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without pagetable_dtor(): tables have no page type and NR_PAGETABLE is not counted.")
  private void freeHotplugPgtablePage(Page page) {
    freeHotplugPageRange(page, pageSize, null);
  }

  /**
   * True when the table that covers {@code [start, end)} covers nothing but {@code [floor,
   * ceiling)}. A ceiling of 0 is the end of the address space.
   *
   * @param mask of the bytes behind the entry that points to the table
   */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "pgtable_range_aligned")
  private static boolean pgtableRangeAligned(
      long start, long end, long floor, long ceiling, long mask) {
    start &= mask;
    if (Long.compareUnsigned(start, floor) < 0) {
      return false;
    }
    if (ceiling != 0) {
      ceiling &= mask;
      if (ceiling == 0) {
        return false;
      }
    }
    return Long.compareUnsigned(end - 1, ceiling - 1) <= 0;
  }

  /** Takes the pages of {@code [addr, end)}, and those that hold only a part of it, away. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "unmap_hotplug_pte_range")
  private void unmapHotplugPteRange(
      Ptr<Pmd> pmdp, long addr, long end, boolean freeMapped, @Nullable VmemAltmap altmap) {
    for (; addr < end; addr += pageSize) {
      Ptr<Pte> ptep = pgtable.pteOffsetKernel(pmdp, addr);
      Pte pte = pgtable.ptepGet(ptep);
      if (pgtable.pteNone(pte)) {
        continue;
      }
      mm.printk()
          .warnOn(
              !Arm64AsmPgtable.ptePresent(pte.val()), "unmap_hotplug_pte_range: !pte_present(pte)");
      pgtable.pteClear(addr, ptep);
      if (freeMapped) {
        // Nobody makes contiguous runs in the memmap; taking one entry out of one would be wrong.
        mm.printk()
            .warnOn(Arm64AsmPgtable.pteCont(pte.val()), "unmap_hotplug_pte_range: pte_cont(pte)");
        pgtable.flushTlbKernelRange(addr, addr + pageSize);
        freeHotplugPageRange(pgtable.ptePage(pte), pageSize, altmap);
      }
    }
  }

  /** Takes whole blocks away however little of them is in the range; goes down into tables. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "unmap_hotplug_pmd_range")
  private void unmapHotplugPmdRange(
      Ptr<Pud> pudp, long addr, long end, boolean freeMapped, @Nullable VmemAltmap altmap) {
    long next;
    for (; addr < end; addr = next) {
      next = pgtable.pmdAddrEnd(addr, end);
      Ptr<Pmd> pmdp = pgtable.pmdOffset(pudp, addr);
      Pmd pmd = pgtable.pmdpGet(pmdp);
      if (pgtable.pmdNone(pmd)) {
        continue;
      }
      mm.printk()
          .warnOn(
              !Arm64AsmPgtable.ptePresent(pmd.val()), "unmap_hotplug_pmd_range: !pmd_present(pmd)");
      if (Arm64AsmPgtable.pmdLeaf(pmd.val())) {
        pgtable.pmdClear(pmdp);
        if (freeMapped) {
          mm.printk()
              .warnOn(Arm64AsmPgtable.pteCont(pmd.val()), "unmap_hotplug_pmd_range: pmd_cont(pmd)");
          // One page is enough: an invalidation drops all that was cached from a block.
          pgtable.flushTlbKernelRange(addr, addr + pageSize);
          freeHotplugPageRange(pgtable.pmdPage(pmd), pgtable.pmdSize(), altmap);
        }
        continue;
      }
      mm.printk()
          .warnOn(
              !Arm64AsmPgtable.pmdTable(pmd.val()), "unmap_hotplug_pmd_range: !pmd_table(pmd)");
      unmapHotplugPteRange(pmdp, addr, next, freeMapped, altmap);
    }
  }

  /** The same a level up. Blocks of this level are the linear map's. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "unmap_hotplug_pud_range")
  private void unmapHotplugPudRange(
      Ptr<P4d> p4dp, long addr, long end, boolean freeMapped, @Nullable VmemAltmap altmap) {
    long next;
    for (; addr < end; addr = next) {
      next = pgtable.addrEnd(addr, end, PUD);
      Ptr<Pud> pudp = pgtable.pudOffset(p4dp, addr);
      Pud pud = pgtable.pudpGet(pudp);
      if (pgtable.pudNone(pud)) {
        continue;
      }
      mm.printk()
          .warnOn(
              !Arm64AsmPgtable.pudPresent(pgtable, pud.val()),
              "unmap_hotplug_pud_range: !pud_present(pud)");
      if (Arm64AsmPgtable.pudLeaf(pgtable, geometry, pud.val())) {
        pgtable.pudClear(pudp);
        if (freeMapped) {
          pgtable.flushTlbKernelRange(addr, addr + pageSize);
          long pfn = mm.model().physPfn(format.address(pud.val(), PUD));
          freeHotplugPageRange(mm.model().pfnToPage(pfn), pgtable.pudSize(), altmap);
        }
        continue;
      }
      mm.printk()
          .warnOn(
              !Arm64AsmPgtable.pudTable(geometry, pud.val()),
              "unmap_hotplug_pud_range: !pud_table(pud)");
      unmapHotplugPmdRange(pudp, addr, next, freeMapped, altmap);
    }
  }

  /** No leaf exists at this level; p4d_present() is no more than {@code !p4d_none()}. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "unmap_hotplug_p4d_range")
  private void unmapHotplugP4dRange(
      Ptr<Pgd> pgdp, long addr, long end, boolean freeMapped, @Nullable VmemAltmap altmap) {
    long next;
    for (; addr < end; addr = next) {
      next = pgtable.addrEnd(addr, end, P4D);
      Ptr<P4d> p4dp = pgtable.p4dOffset(pgdp, addr);
      if (pgtable.p4dNone(pgtable.p4dpGet(p4dp))) {
        continue;
      }
      unmapHotplugPudRange(p4dp, addr, next, freeMapped, altmap);
    }
  }

  /**
   * Unmaps {@code [addr, end)} of init_mm; the tables stay.
   *
   * @param freeMapped whether what is behind the leaves goes too: memmap yes, linear map no. Then
   *     each leaf is flushed before its memory is given away; else one flush at the end will do.
   */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "unmap_hotplug_range")
  private void unmapHotplugRange(
      long addr, long end, boolean freeMapped, @Nullable VmemAltmap altmap) {
    long start = addr;
    // An altmap backs memmap, so it means nothing to a mapping whose memory stays.
    mm.printk()
        .warnOn(!freeMapped && altmap != null, "unmap_hotplug_range: !free_mapped && altmap");
    long next;
    for (; addr < end; addr = next) {
      next = pgtable.addrEnd(addr, end, PGD);
      Ptr<Pgd> pgdp = pgtable.pgdOffsetK(addr);
      if (pgtable.pgdNone(pgtable.pgdpGet(pgdp))) {
        continue;
      }
      unmapHotplugP4dRange(pgdp, addr, next, freeMapped, altmap);
    }
    if (!freeMapped) {
      pgtable.flushTlbKernelRange(start, end);
    }
  }

  /** {@code tlbi vaae1is}: drops the tables, too, that the CPUs may have cached of the walk to it. */
  @Kernel(file = "arch/arm64/include/asm/tlbflush.h", symbol = "__flush_tlb_kernel_pgtable")
  private void flushTlbKernelPgtable(long addr) {
    mm.machine().flushTables(addr, addr + 1);
  }

  /** Frees the pte table of {@code [addr, end)} if nothing is left in it. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "free_empty_pte_table")
  private void freeEmptyPteTable(Ptr<Pmd> pmdp, long addr, long end, long floor, long ceiling) {
    long start = addr;
    for (; addr < end; addr += pageSize) {
      Pte pte = pgtable.ptepGet(pgtable.pteOffsetKernel(pmdp, addr));
      mm.printk().warnOn(!pgtable.pteNone(pte), "free_empty_pte_table: !pte_none(pte)");
    }
    if (!pgtableRangeAligned(start, end, floor, ceiling, pgtable.pmdMask())) {
      return;
    }
    // Others may use the rest of the table.
    Ptr<Pte> ptep = pgtable.pteOffsetKernel(pmdp, 0);
    for (int i = 0; i < format.entries(PTE); i++) {
      if (!pgtable.pteNone(pgtable.ptepGet(new Ptr<>(ptep.va() + 8L * i)))) {
        return;
      }
    }
    pgtable.pmdClear(pmdp);
    flushTlbKernelPgtable(start);
    freeHotplugPgtablePage(mm.model().virtToPage(ptep.va()));
  }

  /** The same a level up, unless this is the top level. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "free_empty_pmd_table")
  private void freeEmptyPmdTable(Ptr<Pud> pudp, long addr, long end, long floor, long ceiling) {
    long start = addr;
    long next;
    for (; addr < end; addr = next) {
      next = pgtable.pmdAddrEnd(addr, end);
      Ptr<Pmd> pmdp = pgtable.pmdOffset(pudp, addr);
      Pmd pmd = pgtable.pmdpGet(pmdp);
      if (pgtable.pmdNone(pmd)) {
        continue;
      }
      mm.printk()
          .warnOn(
              !Arm64AsmPgtable.ptePresent(pmd.val()) || !Arm64AsmPgtable.pmdTable(pmd.val()),
              "free_empty_pmd_table: !pmd_present(pmd) || !pmd_table(pmd)");
      freeEmptyPteTable(pmdp, addr, next, floor, ceiling);
    }
    if (geometry.configLevels() <= 2
        || !pgtableRangeAligned(start, end, floor, ceiling, -pgtable.pudSize())) {
      return;
    }
    Ptr<Pmd> pmdp = pgtable.pmdOffset(pudp, 0);
    for (int i = 0; i < format.entries(PMD); i++) {
      if (!pgtable.pmdNone(pgtable.pmdpGet(new Ptr<>(pmdp.va() + 8L * i)))) {
        return;
      }
    }
    pgtable.pudClear(pudp);
    flushTlbKernelPgtable(start);
    freeHotplugPgtablePage(mm.model().virtToPage(pmdp.va()));
  }

  /** And up again; with three levels in use the pud table is the root. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "free_empty_pud_table")
  private void freeEmptyPudTable(Ptr<P4d> p4dp, long addr, long end, long floor, long ceiling) {
    long start = addr;
    long next;
    for (; addr < end; addr = next) {
      next = pgtable.addrEnd(addr, end, PUD);
      Ptr<Pud> pudp = pgtable.pudOffset(p4dp, addr);
      Pud pud = pgtable.pudpGet(pudp);
      if (pgtable.pudNone(pud)) {
        continue;
      }
      mm.printk()
          .warnOn(
              !Arm64AsmPgtable.pudPresent(pgtable, pud.val())
                  || !Arm64AsmPgtable.pudTable(geometry, pud.val()),
              "free_empty_pud_table: !pud_present(pud) || !pud_table(pud)");
      freeEmptyPmdTable(pudp, addr, next, floor, ceiling);
    }
    if (!Arm64AsmPgtable.pgtableL4Enabled(pgtable)
        || !pgtableRangeAligned(start, end, floor, ceiling, mask(P4D))) {
      return;
    }
    Ptr<Pud> pudp = pgtable.pudOffset(p4dp, 0);
    for (int i = 0; i < format.entries(PUD); i++) {
      if (!pgtable.pudNone(pgtable.pudpGet(new Ptr<>(pudp.va() + 8L * i)))) {
        return;
      }
    }
    pgtable.p4dClear(p4dp);
    flushTlbKernelPgtable(start);
    freeHotplugPgtablePage(mm.model().virtToPage(pudp.va()));
  }

  /** The last one, only with five levels in use. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "free_empty_p4d_table")
  private void freeEmptyP4dTable(Ptr<Pgd> pgdp, long addr, long end, long floor, long ceiling) {
    long start = addr;
    long next;
    for (; addr < end; addr = next) {
      next = pgtable.addrEnd(addr, end, P4D);
      Ptr<P4d> p4dp = pgtable.p4dOffset(pgdp, addr);
      if (pgtable.p4dNone(pgtable.p4dpGet(p4dp))) {
        continue;
      }
      freeEmptyPudTable(p4dp, addr, next, floor, ceiling);
    }
    if (!Arm64AsmPgtable.pgtableL5Enabled(pgtable)
        || !pgtableRangeAligned(start, end, floor, ceiling, mask(PGD))) {
      return;
    }
    Ptr<P4d> p4dp = pgtable.p4dOffset(pgdp, 0);
    for (int i = 0; i < format.entries(P4D); i++) {
      if (!pgtable.p4dNone(pgtable.p4dpGet(new Ptr<>(p4dp.va() + 8L * i)))) {
        return;
      }
    }
    pgtable.setPgd(pgdp, new Pgd(0));
    flushTlbKernelPgtable(start);
    freeHotplugPgtablePage(mm.model().virtToPage(p4dp.va()));
  }

  /** {@code P4D_MASK} and {@code PGDIR_MASK}: fixed when the kernel is built. */
  private long mask(int level) {
    return -(1L << geometry.configShift(level));
  }

  /** Frees the tables of {@code [addr, end)} that map nothing, if only this area uses them. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "free_empty_tables")
  private void freeEmptyTables(long addr, long end, long floor, long ceiling) {
    long next;
    for (; addr < end; addr = next) {
      next = pgtable.addrEnd(addr, end, PGD);
      Ptr<Pgd> pgdp = pgtable.pgdOffsetK(addr);
      if (pgtable.pgdNone(pgtable.pgdpGet(pgdp))) {
        continue;
      }
      freeEmptyP4dTable(pgdp, addr, next, floor, ceiling);
    }
  }

  // ---- the memmap ----

  /**
   * Maps {@code [start, end)}, with a block if it is a section's memmap and pages have 4K, else
   * page by page. An altmap is used either way.
   *
   * @return 0 or -ENOMEM with parts mapped
   */
  @Override
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "vmemmap_populate", patches = {4, 45})
  public int vmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap) {
    warnOutside(start, end, "vmemmap_populate");
    long sectionMap = mm.mmzone().pagesPerSection() * mm.struct().size();
    mm.printk()
        .warnOnOnce(
            end - start > sectionMap,
            "vmemmap_populate: end - start > PAGES_PER_SECTION * sizeof(struct page)");
    if (geometry.pageShift() != SHIFT_4K || end - start < sectionMap) {
      return vmemmap.vmemmapPopulateBasepages(start, end, node, altmap);
    }
    return vmemmap.vmemmapPopulateHugepages(start, end, node, altmap);
  }

  /** The warning that both functions begin with; they go on all the same. */
  private void warnOutside(long start, long end, String func) {
    boolean outside =
        Long.compareUnsigned(start, vmemmapStart) < 0 || Long.compareUnsigned(end, vmemmapEnd) > 0;
    mm.printk()
        .warnOn(outside, func + ": (start < VMEMMAP_START) || (end > VMEMMAP_END)");
  }

  /** {@code vmemmap_free()}: frees what backs {@code [start, end)}, and tables that are empty. */
  @Override
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "vmemmap_free")
  public void vmemmapFree(long start, long end, @Nullable VmemAltmap altmap) {
    warnOutside(start, end, "vmemmap_free");
    unmapHotplugRange(start, end, true, altmap);
    freeEmptyTables(start, end, vmemmapStart, vmemmapEnd);
  }

  /** There is no own {@code vmemmap_set_pmd()}: the generic one enters the block. */
  @Override
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_set_pmd")
  public void vmemmapSetPmd(Ptr<Pmd> pmd, long p, int node, long addr, long next) {
    vmemmap.vmemmapSetPmd(pmd, p, node, addr, next);
  }

  /** There is no own {@code vmemmap_check_pmd()}. */
  @Override
  @Kernel(file = "mm/sparse-vmemmap.c", symbol = "vmemmap_check_pmd")
  public boolean vmemmapCheckPmd(Ptr<Pmd> pmd, int node, long addr, long next) {
    return vmemmap.vmemmapCheckPmd(pmd, node, addr, next);
  }

  /** A block in place of nothing, or other permissions for one that is there. */
  @Override
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "pmd_set_huge")
  public boolean pmdSetHuge(Ptr<Pmd> pmdp, long paddr, Prot prot) {
    Pmd newPmd = new Pmd(format.mkLeaf(paddr, PMD, prot));
    if (!format.liveChangeAllowed(pgtable.pmdpGet(pmdp).val(), newPmd.val(), PMD)) {
      return false;
    }
    mm.printk().vmBugOn((paddr & ~pgtable.pmdMask()) != 0, "pmd_set_huge: phys & ~PMD_MASK");
    pgtable.setPmd(pmdp, newPmd);
    return true;
  }

  /** ARCH_WANT_OPTIMIZE_DAX_VMEMMAP is not selected. */
  @Override
  public boolean wantsOptimizedDaxVmemmap() {
    return false;
  }

  /**
   * MAX_DMA_ADDRESS is PAGE_OFFSET, and that is memstart_addr. After a fallback it is negative, so
   * the kernel's first search for boot memory finds nothing and its second one has no lower bound.
   */
  @Override
  @Kernel(file = "include/asm-generic/dma.h", symbol = "MAX_DMA_ADDRESS")
  public long maxDmaPaddr() {
    return memstart;
  }

  // ---- hotplug ----

  /** Takes {@code size} bytes of the linear map away. */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "__remove_pgd_mapping")
  private void removePgdMapping(long start, long size) {
    long end = start + size;
    boolean outside =
        Long.compareUnsigned(start, geometry.pageOffset()) < 0
            || Long.compareUnsigned(end, geometry.pageEnd()) > 0;
    mm.printk()
        .warnOn(outside, "__remove_pgd_mapping: (start < PAGE_OFFSET) || (end > PAGE_END)");
    unmapHotplugRange(start, end, false, null);
    freeEmptyTables(start, end, geometry.pageOffset(), geometry.pageEnd());
  }

  /**
   * What the linear map of the width in use can hold. With RANDOMIZE_BASE, as here, memstart_addr
   * may be so low that the range wraps; all up to its end can be mapped then.
   */
  @Override
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "arch_get_mappable_range")
  public DevPagemap.Range archGetMappableRange() {
    long startLinearPa = pa(-(1L << geometry.vaBits()));
    long endLinearPa = pa(geometry.pageEnd() - 1);
    if (Long.compareUnsigned(startLinearPa, endLinearPa) > 0) {
      startLinearPa = 0;
    }
    mm.printk()
        .warnOn(
            Long.compareUnsigned(startLinearPa, endLinearPa) > 0,
            "arch_get_mappable_range: start_linear_pa > end_linear_pa");
    return new DevPagemap.Range(startLinearPa, endLinearPa);
  }

  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "__lm_to_phys")
  private long pa(long addr) {
    return addr - geometry.pageOffset() + memstart;
  }

  @Kernel(file = "arch/arm64/include/asm/memory.h", symbol = "__phys_to_virt")
  private long physToVirt(long paddr) {
    return (paddr - memstart) | geometry.pageOffset();
  }

  /** {@code max_pfn}: first pfn behind all memory of the system. */
  @Kernel(file = "mm/memblock.c", symbol = "max_pfn")
  public long maxPfn() {
    return maxPfn;
  }

  /** Sets {@code max_pfn}, as bootmem_init() does. */
  public void setMaxPfn(long pfn) {
    maxPfn = pfn;
  }

  /** {@code arch_add_memory()}: bytes; 0 or a negative error code. */
  @Override
  @Kernel(
      file = "arch/arm64/mm/mmu.c",
      symbol = "arch_add_memory",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without __create_pgd_mapping(): the machine's linear window is the linear map.")
  public int archAddMemory(int nid, long start, long size, MemoryHotplug.MhpParams params) {
    // VM_BUG_ON does not evaluate its condition without DEBUG_VM, and this one writes to the log.
    if (mm.config().debugVm()) {
      mm.printk()
          .vmBugOn(
              !hotplug.mhpRangeAllowed(start, size, true),
              "arch_add_memory: !mhp_range_allowed(start, size, true)");
    }
    int ret = addPages(nid, mm.model().physPfn(start), mm.model().physPfn(size), params);
    if (ret != 0) {
      removePgdMapping(physToVirt(start), size);
      return ret;
    }
    // Memory that comes later may lie below what is there; max_low_pfn, which follows, has no
    // readers.
    maxPfn = Math.max(maxPfn, mm.model().pfnUp(start + size));
    return 0;
  }

  /** {@code add_pages()}: arm64 has none of its own. */
  @Override
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "add_pages")
  public int addPages(int nid, long startPfn, long nrPages, MemoryHotplug.MhpParams params) {
    return hotplug.addPages(nid, startPfn, nrPages, params);
  }

  @Override
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "arch_remove_memory", patches = {2})
  public void archRemoveMemory(
      long start, long size, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    hotplug.removePages(mm.model().physPfn(start), mm.model().physPfn(size), altmap, pgmap);
    removePgdMapping(physToVirt(start), size);
  }

  // ---- memory that must stay ----

  /**
   * True when unmapping up to or from {@code addr} would tear a leaf, or a contiguous run, apart.
   * The start of a possible leaf tears nothing, so each level is first asked for its alignment.
   */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "addr_splits_kernel_leaf")
  private boolean addrSplitsKernelLeaf(long addr) {
    if (Align.isAligned(addr, 1L << geometry.configShift(PGD))) {
      return false;
    }
    Ptr<Pgd> pgdp = pgtable.pgdOffsetK(addr);
    if (pgtable.pgdNone(pgtable.pgdpGet(pgdp))
        || Align.isAligned(addr, 1L << geometry.configShift(P4D))) {
      return false;
    }
    Ptr<P4d> p4dp = pgtable.p4dOffset(pgdp, addr);
    if (pgtable.p4dNone(pgtable.p4dpGet(p4dp))
        || Align.isAligned(addr, 1L << geometry.configShift(PUD))) {
      return false;
    }
    Ptr<Pud> pudp = pgtable.pudOffset(p4dp, addr);
    long pud = pgtable.pudpGet(pudp).val();
    if (!Arm64AsmPgtable.pudPresent(pgtable, pud)) {
      return false;
    }
    if (Arm64AsmPgtable.pudLeaf(pgtable, geometry, pud)) {
      return true;
    }
    return splitsBelowPud(pudp, addr);
  }

  /** The second half of {@code addr_splits_kernel_leaf()}: blocks, pages and runs of them. */
  private boolean splitsBelowPud(Ptr<Pud> pudp, long addr) {
    if (Align.isAligned(addr, geometry.contPmdSize())) {
      return false;
    }
    Ptr<Pmd> pmdp = pgtable.pmdOffset(pudp, addr);
    long pmd = pgtable.pmdpGet(pmdp).val();
    if (!Arm64AsmPgtable.ptePresent(pmd)) {
      return false;
    }
    if (Arm64AsmPgtable.pteCont(pmd)) {
      return true;
    }
    if (Align.isAligned(addr, pgtable.pmdSize())) {
      return false;
    }
    if (Arm64AsmPgtable.pmdLeaf(pmd)) {
      return true;
    }
    if (Align.isAligned(addr, geometry.contPteSize())) {
      return false;
    }
    long pte = pgtable.ptepGet(pgtable.pteOffsetKernel(pmdp, addr)).val();
    if (!Arm64AsmPgtable.ptePresent(pte)) {
      return false;
    }
    return Arm64AsmPgtable.pteCont(pte) || !Align.isAligned(addr, pageSize);
  }

  /**
   * True when the range can be taken out of the linear map and of the memmap without splitting a
   * leaf at either end; says so if not. The linear map is a window of the machine without entries,
   * like one of base pages, which never splits: what rodata=full gives on CPUs that cannot change
   * the size of a live mapping.
   */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "can_unmap_without_split")
  public boolean canUnmapWithoutSplit(long pfn, long nrPages) {
    long physStart = mm.model().pfnPhys(pfn);
    long physEnd = physStart + nrPages * pageSize;
    if (addrSplitsKernelLeaf(physToVirt(physStart)) || addrSplitsKernelLeaf(physToVirt(physEnd))) {
      mm.printk()
          .prWarn("[%x %x] splits a leaf entry in linear map".formatted(physStart, physEnd));
      return false;
    }
    if (addrSplitsKernelLeaf(mm.model().pfnToPage(pfn).va())
        || addrSplitsKernelLeaf(mm.model().pfnToPage(pfn + nrPages).va())) {
      mm.printk().prWarn("[%x %x] splits a leaf entry in vmemmap".formatted(physStart, physEnd));
      return false;
    }
    return true;
  }

  /**
   * Keeps boot memory from going offline, and with that from being removed:
   * free_hotplug_page_range() could not handle its reserved pages. Memory hotplug calls this before
   * it isolates a range, and when the range is offline.
   *
   * @param action {@link #MEM_GOING_OFFLINE}, {@link #MEM_OFFLINE}, or any other, which is accepted
   * @param startPfn first pfn of the range, at a section
   * @param nrPages pages of the range
   * @return {@link #NOTIFY_OK}, {@link #NOTIFY_BAD}, or {@link #NOTIFY_DONE} when it is too late
   */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "prevent_memory_remove_notifier")
  public int preventMemoryRemoveNotifier(int action, long startPfn, long nrPages) {
    if (action != MEM_GOING_OFFLINE && action != MEM_OFFLINE) {
      return NOTIFY_OK;
    }
    long endPfn = startPfn + nrPages;
    for (long pfn = startPfn; pfn < endPfn; pfn += mm.mmzone().pagesPerSection()) {
      long start = mm.model().pfnPhys(pfn);
      long end = start + (1L << mm.config().sectionSizeBits());
      if (!mm.mmzone().earlySection(mm.mmzone().pfnToSection(pfn))) {
        continue;
      }
      if (action == MEM_GOING_OFFLINE) {
        mm.printk().prWarn("Boot memory [%x %x] offlining attempted".formatted(start, end));
        return NOTIFY_BAD;
      }
      // It cannot come to this. Nobody looks at the answer to MEM_OFFLINE, so saying it must do.
      mm.printk().prErr("Boot memory [%x %x] offlined".formatted(start, end));
      return NOTIFY_DONE;
    }
    return canUnmapWithoutSplit(startPfn, nrPages) ? NOTIFY_OK : NOTIFY_BAD;
  }

  /**
   * The notifier refuses what is online; boot memory that is not online from the start would slip
   * through. Only with DEBUG_VM.
   */
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "validate_bootmem_online")
  private void validateBootmemOnline(Memblock memblock) {
    if (!mm.config().debugVm()) {
      return;
    }
    long section = 1L << mm.config().sectionSizeBits();
    for (Memblock.MemRange range : memblock.memRanges()) {
      for (long addr = range.start(); addr < range.end(); addr += section) {
        MemSection ms = mm.mmzone().pfnToSection(mm.model().physPfn(addr));
        mm.printk()
            .warnOn(!mm.mmzone().earlySection(ms), "validate_bootmem_online: !early_section(ms)");
        if (!mm.mmzone().onlineSection(ms)) {
          mm.printk()
              .prErr(
                  "Boot memory [%x %x] is offline, can be removed"
                      .formatted(addr, addr + section));
        }
      }
    }
  }

  /** An early initcall. */
  @Kernel(
      file = "arch/arm64/mm/mmu.c",
      symbol = "prevent_memory_remove_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "There is no chain to register with: memory hotplug calls the notifier by name.")
  public void preventMemoryRemoveInit(Memblock memblock) {
    validateBootmemOnline(memblock);
  }

  @Override
  public boolean archKeepMemblock() {
    return true;
  }

  @Override
  public void registerMemoryNotifiers(MemoryBlocks blocks) {
    blocks.registerMemoryNotifier(
        (action, arg) -> preventMemoryRemoveNotifier(action, arg.startPfn(), arg.nrPages()));
  }
}
