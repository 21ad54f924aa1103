// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.ArchVmemmap;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.VmemAltmap;

/**
 * Populating and freeing the memmap: with radix it is left to {@link RadixPgtable}, with hash it is
 * done here.
 *
 * <p>With hash no tree says what backs the memmap, so the kernel keeps a list of its blocks:
 *
 * <pre>
 *   vmemmap_list                                 next, num_freed
 *     |                                            |
 *     v                                            v
 *   +------+------+-----------+                  +------+------+-----------+
 *   | list | phys | virt_addr |---> older ...    | list |  -   |     -     |---> ...
 *   +------+------+-----------+                  +------+------+-----------+
 *   0      8      16         24
 * </pre>
 *
 * Nodes are carved from pages, which are never freed. The same pointer {@code next} is the front of
 * the page that is being carved and the head of the freed nodes: freed ones link to what {@code
 * next} was, so the page's rest comes up again when they are used.
 *
 * <p>The list is not asked whether a block is there: that is read from whether any pfn is valid
 * that it describes. A block of 16 MiB describes 1 GiB of memory with 4K pages, 16 GiB with 64K
 * pages.
 *
 * <p>Addresses are virtual, in the memmap. Callers hold the hotplug lock, or run at boot.
 */
@Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "vmemmap_populate")
public final class Init64 implements ArchVmemmap {
  private static final long NULL = 0;

  @Kernel(
      file = "arch/powerpc/include/asm/book3s/64/pgalloc.h",
      symbol = "struct vmemmap_backing")
  private static final int SIZEOF_VMEMMAP_BACKING = 24;

  private static final int LIST = 0;
  private static final int PHYS = 8;
  private static final int VIRT_ADDR = 16;

  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final Slab slab;
  private final SparseVmemmap vmemmap;
  private final PowerpcGeometry geometry;
  private final int vmemmapShift;
  private final @Nullable RadixPgtable radix;
  private final @Nullable HashPgtable hash;

  /** Linear addresses of nodes; 0 for none. */
  private long vmemmapList;

  private long next;
  private int numLeft;
  private int numFreed;

  /**
   * {@code struct vmemmap_backing} of a block in use.
   *
   * @param virtAddr its virtual address
   * @param phys its physical address
   */
  @Kernel(
      file = "arch/powerpc/include/asm/book3s/64/pgalloc.h",
      symbol = "struct vmemmap_backing")
  public record VmemmapBacking(long virtAddr, long phys) {}

  /**
   * Takes what this file calls; {@link PowerpcArch} ties the knots.
   *
   * @param vmemmapShift log2 of mmu_vmemmap_psize; not used with radix
   */
  Init64(
      Mm mm,
      Memblock memblock,
      PageAlloc pageAlloc,
      Slab slab,
      SparseVmemmap vmemmap,
      PowerpcGeometry geometry,
      int vmemmapShift) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.slab = slab;
    this.vmemmap = vmemmap;
    this.geometry = geometry;
    this.vmemmapShift = vmemmapShift;
    if (geometry.radixEnabled()) {
      Book3s64Pgtable tables = new Book3s64Pgtable(mm, pageAlloc, slab, geometry);
      this.radix = new RadixPgtable(mm, memblock, pageAlloc, slab, vmemmap, tables, this);
      this.hash = null;
    } else {
      this.radix = null;
      this.hash = new HashPgtable(mm, geometry, new HashUtils(mm), vmemmapShift);
    }
  }

  private RadixPgtable radix() {
    return wired(radix, "radix");
  }

  private HashPgtable hash() {
    return wired(hash, "hash");
  }

  private static <T> T wired(@Nullable T part, String mmu) {
    if (part == null) {
      throw new IllegalStateException("the kernel does not run on the " + mmu + " MMU");
    }
    return part;
  }

  /** The pfn of the first page of the subsection that has its struct page at this address. */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "vmemmap_subsection_start")
  private long vmemmapSubsectionStart(long vmemmapAddr) {
    long offset = vmemmapAddr - mm.model().vmemmapBase();
    return Align.alignDown(offset / mm.struct().size(), mm.mmzone().pagesPerSubsection());
  }

  /**
   * {@code vmemmap_populated()}: true when the memmap {@code [vmemmapAddr, + mapSize)} has the
   * struct page of a valid pfn, of any subsection. Then, and only then, something backs it.
   */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "vmemmap_populated")
  public boolean vmemmapPopulated(long vmemmapAddr, long mapSize) {
    long vmemmapEnd = vmemmapAddr + mapSize;
    long step = mm.mmzone().pagesPerSubsection();
    long pfn = vmemmapSubsectionStart(vmemmapAddr);
    for (; mm.model().pfnToPage(pfn).va() < vmemmapEnd; pfn += step) {
      if (mm.mmzone().pfnValid(pfn)) {
        return true;
      }
    }
    return false;
  }

  /** A node: a freed one if there is one, else the next of the page, else the first of a page. */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "vmemmap_list_alloc")
  private long vmemmapListAlloc(int node) {
    if (numFreed != 0) {
      numFreed--;
      long vmemBack = next;
      next = read(next, LIST);
      return vmemBack;
    }
    if (numLeft == 0) {
      next = vmemmap.vmemmapAllocBlock(mm.model().pageSize(), node);
      if (next == NULL) {
        mm.printk().warnOn(true, "vmemmap_list_alloc: !next");
        return NULL;
      }
      ownAsData(next);
      numLeft = (int) (mm.model().pageSize() / SIZEOF_VMEMMAP_BACKING);
    }
    numLeft--;
    long vmemBack = next;
    next += SIZEOF_VMEMMAP_BACKING;
    return vmemBack;
  }

  /**
   * A page of nodes backs no struct pages, though it comes from where they come from. As with slabs,
   * nodes are freed and taken again, and the page stays.
   */
  private void ownAsData(long va) {
    Owner owner = slab.slabIsAvailable() ? Owner.SLAB : Owner.RESERVED;
    mm.own(mm.model().physPfn(mm.model().pa(va)), 1, owner);
  }

  /** Puts a block at the front of the list; 0 or -ENOMEM. */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "vmemmap_list_populate")
  private int vmemmapListPopulate(long phys, long start, int node) {
    long vmemBack = vmemmapListAlloc(node);
    if (vmemBack == NULL) {
      mm.printk().prDebug(() -> "vmemmap list allocation failed");
      return -Errno.ENOMEM;
    }
    write(vmemBack, PHYS, phys);
    write(vmemBack, VIRT_ADDR, start);
    write(vmemBack, LIST, vmemmapList);
    vmemmapList = vmemBack;
    return 0;
  }

  /**
   * {@code altmap_cross_boundary()}: true when {@code pageSize} bytes of memmap from {@code start}
   * on describe pfns that are not all the altmap's device's. A mapping for it out of the altmap
   * would leave others without memmap when the device goes.
   */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "altmap_cross_boundary")
  boolean altmapCrossBoundary(VmemAltmap altmap, long start, long pageSize) {
    long nrPfn = pageSize / mm.struct().size();
    long startPfn = mm.model().pageToPfn(new Page(start));
    return startPfn + nrPfn - 1 > altmap.endPfn || startPfn < altmap.basePfn;
  }

  /**
   * Bolts blocks for {@code [start, end)}, rounded to blocks, where there are none yet. From the
   * altmap if it may hold the block and has one, else from memory.
   *
   * @return 0; -ENOMEM with the block that failed undone; -EFAULT when the block is in the list but
   *     not bolted. Blocks before it stay.
   */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "__vmemmap_populate")
  private int vmemmapPopulate0(long start, long end, int node, @Nullable VmemAltmap altmap) {
    long pageSize = 1L << vmemmapShift;
    for (start = Align.alignDown(start, pageSize); start < end; start += pageSize) {
      if (vmemmapPopulated(start, pageSize)) {
        continue;
      }
      long p = NULL;
      boolean altmapAlloc = false;
      if (altmap != null && !altmapCrossBoundary(altmap, start, pageSize)) {
        p = vmemmap.vmemmapAllocBlockBuf(pageSize, node, altmap);
        altmapAlloc = p != NULL;
      }
      if (p == NULL) {
        p = vmemmap.vmemmapAllocBlockBuf(pageSize, node, null);
      }
      if (p == NULL) {
        return -Errno.ENOMEM;
      }
      long phys = mm.model().pa(p);
      if (vmemmapListPopulate(phys, start, node) != 0) {
        // Without a node nobody could ever find the block again.
        freeBlock(p, altmapAlloc ? altmap : null);
        return -Errno.ENOMEM;
      }
      int rc = hash().hashVmemmapCreateMapping(start, pageSize, phys);
      if (rc < 0) {
        mm.printk().prWarn("__vmemmap_populate: Unable to create vmemmap mapping: " + rc);
        return -Errno.EFAULT;
      }
    }
    return 0;
  }

  private void freeBlock(long p, @Nullable VmemAltmap altmap) {
    if (altmap != null) {
      long pfn = mm.model().physPfn(mm.model().pa(p));
      altmapFree(altmap, pfn, 1L << pageOrder());
    } else {
      pageAlloc.freePages(mm.model().virtToPage(p), pageOrder());
    }
  }

  /** get_order() of a block. */
  private int pageOrder() {
    return vmemmapShift - mm.model().pageShift();
  }

  /** {@code vmem_altmap_free()}; the frames are booked back to who owns the device's last page. */
  void altmapFree(VmemAltmap altmap, long pfn, long nrPfns) {
    altmap.vmemAltmapFree(mm, nrPfns);
    var ledger = mm.machine().ledger();
    ledger.transfer(pfn, nrPfns, ledger.ownerOf(pfn), ledger.ownerOf(altmap.endPfn));
  }

  /**
   * Maps the memmap {@code [start, end)}, of one section. Radix has compound pages come here since
   * patch 37; the blocks of hash have a frame for each page, so the section becomes an ordinary one.
   *
   * @return 0 or a negative error code with parts mapped: -ENOMEM, and with hash also -EFAULT
   */
  @Override
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "vmemmap_populate", patches = {4, 37, 43, 45})
  public int vmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap) {
    long pfn = mm.model().pageToPfn(new Page(start));
    if (geometry.radixEnabled() && vmemmap.sharesTails(pfn)) {
      long nrPages = 1L << mm.mmzone().pfnToSectionOrder(pfn);
      return radix().vmemmapPopulateCompoundPages(start, end, node, nrPages);
    }
    if (geometry.radixEnabled()) {
      return radix().radixVmemmapPopulate(start, end, node, altmap);
    }
    vmemmap.sectionSetOrderRange(pfn, (end - start) / mm.struct().size(), 0);
    return vmemmapPopulate0(start, end, node, altmap);
  }

  /**
   * Takes the block at {@code start} off the list; its physical address, 0 when it is not there.
   */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "vmemmap_list_free")
  private long vmemmapListFree(long start) {
    long vmemBackPrev = vmemmapList;
    long vmemBack = vmemmapList;
    for (; vmemBack != NULL; vmemBack = read(vmemBack, LIST)) {
      if (read(vmemBack, VIRT_ADDR) == start) {
        break;
      }
      vmemBackPrev = vmemBack;
    }
    if (vmemBack == NULL) {
      return 0;
    }
    if (vmemBack == vmemmapList) {
      vmemmapList = read(vmemBack, LIST);
    } else {
      write(vmemBackPrev, LIST, read(vmemBack, LIST));
    }
    write(vmemBack, LIST, next);
    next = vmemBack;
    numFreed++;
    return read(vmemBack, PHYS);
  }

  /**
   * Frees the blocks of {@code [start, end)}, rounded to blocks, of which nobody needs any part:
   * the caller has marked its own subsections invalid before. The memory goes before the mapping.
   */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "__vmemmap_free")
  private void vmemmapFree0(long start, long end, @Nullable VmemAltmap altmap) {
    long pageSize = 1L << vmemmapShift;
    for (start = Align.alignDown(start, pageSize); start < end; start += pageSize) {
      if (vmemmapPopulated(start, pageSize)) {
        continue;
      }
      long addr = vmemmapListFree(start);
      if (addr == 0) {
        continue;
      }
      freeBacking(addr, altmap);
      hash().hashVmemmapRemoveMapping(start, pageSize);
    }
  }

  /** The middle of {@code __vmemmap_free()}: gives a block back to where it came from. */
  @Kernel(
      file = "arch/powerpc/mm/init_64.c",
      symbol = "__vmemmap_free",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Part of the function. A block smaller than a page, which it warns of, does not exist.")
  private void freeBacking(long addr, @Nullable VmemAltmap altmap) {
    long basePfn = mm.model().physPfn(addr);
    Page page = mm.model().pfnToPage(basePfn);
    long nrPages = 1L << pageOrder();
    if (altmap != null
        && basePfn >= altmap.basePfn
        && basePfn < altmap.basePfn + altmap.reserve + altmap.free) {
      altmapFree(altmap, basePfn, nrPages);
    } else if (mm.flags().pageReserved(page)) {
      for (; nrPages > 0; nrPages--) {
        pageAlloc.freeReservedPage(page);
        page = mm.struct().add(page, 1);
      }
    } else {
      pageAlloc.freePages(page, pageOrder());
    }
  }

  /** Frees what backs {@code [start, end)} and is not needed by others. */
  @Override
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "vmemmap_free")
  public void vmemmapFree(long start, long end, @Nullable VmemAltmap altmap) {
    if (geometry.radixEnabled()) {
      radix().radixVmemmapFree(start, end, altmap);
    } else {
      vmemmapFree0(start, end, altmap);
    }
  }

  @Override
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "vmemmap_populate_compound_pages",
      patches = {34, 36})
  public int vmemmapPopulateCompoundPages(
      SparseVmemmap generic,
      long startPfn,
      long start,
      long end,
      int node,
      DevPagemap pgmap) {
    return radix().vmemmapPopulateCompoundPages(start, end, node, pgmap.vmemmapNr());
  }

  /** {@code vmemmap_can_optimize()}: only what a tree maps can share pages. */
  @Override
  @Kernel(
      file = "arch/powerpc/mm/book3s64/radix_pgtable.c",
      symbol = "vmemmap_can_optimize",
      patches = {43, 44})
  public boolean wantsOptimizedDaxVmemmap() {
    return geometry.radixEnabled();
  }

  /**
   * Radix has a walker of its own, which asks the section since patch 36. Hash clears an order that
   * it cannot use.
   */
  @Override
  public boolean populatesBySectionOrder() {
    return !geometry.radixEnabled() || mm.series().sharesRadixTails();
  }

  @Override
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_set_pmd")
  public void vmemmapSetPmd(Ptr<Pmd> pmd, long p, int node, long addr, long next) {
    radix().vmemmapSetPmd(pmd, p, node, addr, next);
  }

  @Override
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_check_pmd")
  public boolean vmemmapCheckPmd(Ptr<Pmd> pmd, int node, long addr, long next) {
    return radix().vmemmapCheckPmd(pmd, node, addr, next);
  }

  /** Never asked: only the generic {@code vmemmap_set_pmd()} needs it, which is overridden. */
  @Override
  @Kernel(
      file = "include/linux/pgtable.h",
      symbol = "pmd_set_huge",
      fidelity = Kernel.Fidelity.STUB,
      why = "The only caller is the weak vmemmap_set_pmd(), which this architecture overrides.")
  public boolean pmdSetHuge(Ptr<Pmd> pmd, long paddr, Prot prot) {
    return false;
  }

  /** A store of an entry is seen by a walk only behind a ptesync. */
  @Override
  @Kernel(
      file = "arch/powerpc/include/asm/cacheflush.h",
      symbol = "flush_cache_vmap",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Stores of the machine are seen in order; only the yield point remains.")
  public void flushCacheVmap(long start, long end) {
    mm.machine().yields().at("ptesync", start);
  }

  /**
   * {@code __pa(MAX_DMA_ADDRESS)}: behind all memory. So the wish of boot allocations to lie above
   * the DMA zone is never met, and they lie anywhere.
   */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/dma.h", symbol = "MAX_DMA_ADDRESS")
  public long maxDmaPaddr() {
    return (1L << 60) - 1;
  }

  /**
   * Pages that were taken for tables and have none in use: with 64K pages up to two, from which the
   * next tables will be cut. No walk meets them.
   */
  public int idleTablePages() {
    return radix == null ? 0 : radix.idleTablePages();
  }

  /** {@code vmemmap_list}: the blocks that back the memmap with hash, newest first. */
  public List<VmemmapBacking> vmemmapList() {
    List<VmemmapBacking> backings = new ArrayList<>();
    for (long at = vmemmapList; at != NULL; at = read(at, LIST)) {
      backings.add(new VmemmapBacking(read(at, VIRT_ADDR), read(at, PHYS)));
    }
    return backings;
  }

  private long read(long node, int offset) {
    return mm.machine().cpu().readLong(node + offset);
  }

  private void write(long node, int offset, long value) {
    mm.machine().cpu().writeLong(node + offset, value);
  }
}
