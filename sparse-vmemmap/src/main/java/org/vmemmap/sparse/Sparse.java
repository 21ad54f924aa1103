// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.Align;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;

/**
 * Sections: from memblock's ranges to {@code mem_section} entries that know their memmap.
 *
 * <pre>
 *   memblocks_present()      for each section with memory   nid &lt;&lt; 6 | ONLINE | PRESENT
 *   sparse_init_nid()        for each node, in turn:
 *     sparse_usage_init()      one buffer, a slice for each section of the node
 *     early hook               HugeTLB builds the memmap of its gigantic pages
 *     populate                 the memmap of all other sections
 *     sparse_init_early_section()  memmap - start | EARLY | MAP, usage = next slice
 *   sparse_init_subsection_map()   bits of the subsections that hold memory
 * </pre>
 *
 * Runs once, single-threaded, before the page allocator exists.
 */
@Kernel(file = "mm/sparse.c", symbol = "sparse_init")
public final class Sparse {
  /** A cache line of all supported CPUs, and so the alignment of boot allocations. */
  private static final long SMP_CACHE_BYTES = 64;

  private static final long NULL = 0;

  private final Mm mm;
  private final Mmzone mmzone;
  private final Memblock memblock;
  private final Slab slab;
  private final SparseVmemmap vmemmap;
  private final SparseBuffer buffer;
  private long sparseUsagebuf = NULL;
  private long sparseUsagebufEnd = NULL;

  /**
   * Takes what this file calls.
   *
   * @throws IllegalArgumentException where the kernel would not build: a section so small that its
   *     memmap pointer has no room for flags
   */
  public Sparse(Mm mm, Memblock memblock, Slab slab, SparseVmemmap vmemmap) {
    this.mm = mm;
    this.mmzone = mm.mmzone();
    this.memblock = memblock;
    this.slab = slab;
    this.vmemmap = vmemmap;
    this.buffer = new SparseBuffer(mm, memblock, vmemmap);
    buildBugOn(Mmzone.SECTION_MAP_LAST_BIT > mmzone.pfnSectionShift(), "SECTION_MAP_LAST_BIT");
    buildBugOn(
        !mm.series().packsMemSection() && Integer.bitCount(mmzone.sizeofMemSection()) != 1,
        "sizeof(struct mem_section)");
  }

  @Kernel(file = "include/linux/build_bug.h", symbol = "BUILD_BUG_ON")
  private static void buildBugOn(boolean condition, String what) {
    if (condition) {
      throw new IllegalArgumentException("BUILD_BUG_ON: " + what);
    }
  }

  /** Allocates a root: one page of {@code mem_section}; returns its linear address, 0 for none. */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_index_alloc")
  private long sparseIndexAlloc(int nid) {
    long arraySize = (long) mmzone.sectionsPerRoot() * mmzone.sizeofMemSection();
    if (slab.slabIsAvailable()) {
      return slab.kzalloc(arraySize, nid, "sparse_index_alloc");
    }
    long section =
        mm.mayFail("sparse_index_alloc")
            ? NULL
            : memblock.memblockAllocNode(arraySize, SMP_CACHE_BYTES, nid);
    if (section == NULL) {
      throw new KernelPanic(
          "sparse_index_alloc: Failed to allocate " + arraySize + " bytes nid=" + nid);
    }
    return section;
  }

  /**
   * Makes sure that the root of section {@code sectionNr} exists. Hotplug comes here again for a
   * section that it knows; the hotplug lock keeps two callers apart.
   *
   * @return 0 or -ENOMEM
   */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_index_init")
  public int sparseIndexInit(long sectionNr, int nid) {
    int root = mmzone.sectionNrToRoot(sectionNr);
    if (mmzone.hasRoot(root)) {
      return 0;
    }
    if (sparseIndexAlloc(nid) == NULL) {
      return -Errno.ENOMEM;
    }
    mmzone.setRoot(root);
    return 0;
  }

  /** Until a section has a memmap, its pointer field keeps the node. */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_encode_early_nid")
  private static long sparseEncodeEarlyNid(int nid) {
    return (long) nid << Mmzone.SECTION_NID_SHIFT;
  }

  /**
   * The node of a section that is present and has no memmap yet; the bits mean an address later.
   */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_early_nid")
  private static int sparseEarlyNid(MemSection section) {
    return (int) (section.sectionMemMap >>> Mmzone.SECTION_NID_SHIFT);
  }

  /**
   * Cuts {@code [startPfn, endPfn)} at what the direct map can reach. The kernel changes both
   * through pointers; its mminit_dprintk() line only appears with mminit_loglevel=, so here is
   * none.
   *
   * @return start and end
   */
  @Kernel(file = "mm/sparse.c", symbol = "mminit_validate_memmodel_limits")
  private long[] mminitValidateMemmodelLimits(long startPfn, long endPfn) {
    long maxSparsememPfn = (mmzone.directMapPhysmemEnd() + 1) >>> mm.model().pageShift();
    if (startPfn > maxSparsememPfn) {
      mm.printk().warnOnOnce(true, "mminit_validate_memmodel_limits: start_pfn");
      return new long[] {maxSparsememPfn, maxSparsememPfn};
    } else if (endPfn > maxSparsememPfn) {
      mm.printk().warnOnOnce(true, "mminit_validate_memmodel_limits: end_pfn");
      return new long[] {startPfn, maxSparsememPfn};
    }
    return new long[] {startPfn, endPfn};
  }

  /** The first section with memory, -1 for none. */
  @Kernel(file = "mm/sparse.c", symbol = "first_present_section_nr")
  private long firstPresentSectionNr() {
    return mmzone.nextPresentSectionNr(-1);
  }

  /**
   * Marks the sections of {@code [start, end)} present; the first range to touch one names its
   * node.
   */
  @Kernel(file = "mm/sparse.c", symbol = "memory_present")
  private void memoryPresent(int nid, long start, long end) {
    long[] range = mminitValidateMemmodelLimits(start & mmzone.pageSectionMask(), end);
    for (long pfn = range[0]; pfn < range[1]; pfn += mmzone.pagesPerSection()) {
      long sectionNr = mmzone.pfnToSectionNr(pfn);
      sparseIndexInit(sectionNr, nid);
      MemSection ms = mmzone.section(sectionNr);
      if (ms.sectionMemMap == 0) {
        ms.sectionMemMap = sparseEncodeEarlyNid(nid) | Mmzone.SECTION_IS_ONLINE;
        sectionMarkPresent(ms, sectionNr);
      }
    }
  }

  /**
   * All memory that memblock knows, reserved or not. The table of roots is a Java array in {@link
   * Mmzone}; its memory is taken all the same, so that what is left in memblock is the kernel's.
   */
  @Kernel(file = "mm/sparse.c", symbol = "memblocks_present", patches = {27})
  void memblocksPresent() {
    long size = 8L * mmzone.nrSectionRoots();
    // INTERNODE_CACHE_SHIFT is a cache line too, but on vSMP.
    memblock.memblockAllocOrPanic(size, SMP_CACHE_BYTES);
    for (Memblock.MemPfnRange range : memblock.memPfnRanges(Memblock.NUMA_NO_NODE)) {
      memoryPresent(range.nid(), range.startPfn(), range.endPfn());
    }
  }

  /** What boot memmap is cut from before 7.2; empty at any other time, and in later kernels. */
  SparseBuffer buffer() {
    return buffer;
  }

  /** Bytes of memmap that a section takes in whole pmds. */
  @Kernel(file = "mm/sparse.c", symbol = "section_map_size")
  public long sectionMapSize() {
    return Align.align(mm.struct().size() * mmzone.pagesPerSection(), mm.pgtable().pmdSize());
  }

  /**
   * Registers a boot section whose memmap is {@code map}, with the next slice of the usage buffer.
   * Only between the start and the end of its node's turn in {@link #sparseInit}.
   *
   * @param flags more bits for the section, such as SECTION_IS_VMEMMAP_PREINIT
   */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_init_early_section")
  public void sparseInitEarlySection(int nid, Page map, long pnum, long flags) {
    mm.printk()
        .bugOn(
            sparseUsagebuf == NULL || sparseUsagebuf >= sparseUsagebufEnd,
            "sparse_init_early_section: !sparse_usagebuf || sparse_usagebuf >= end");
    MemSectionUsage usage = newUsage(sparseUsagebuf);
    sparseInitOneSection(
        mmzone.section(pnum), pnum, map, usage, Mmzone.SECTION_IS_EARLY | flags);
    sparseUsagebuf += mmzone.memSectionUsageSize();
  }

  /** The record that lies in zeroed memory at {@code va}. */
  MemSectionUsage newUsage(long va) {
    return new MemSectionUsage(
        va, mmzone.subsectionsPerSection(), mmzone.sectionBlockflagsBits());
  }

  /**
   * One buffer for all sections of a node, so that their usage records share pages. That is why
   * section_deactivate() cannot free the record of a boot section.
   *
   * @return 0 or -ENOMEM
   */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_usage_init")
  private int sparseUsageInit(int nid, long mapCount) {
    long size = mmzone.memSectionUsageSize() * mapCount;
    sparseUsagebuf =
        mm.mayFail("sparse_usage_init")
            ? NULL
            : memblock.memblockAllocNode(size, SMP_CACHE_BYTES, nid);
    if (sparseUsagebuf == NULL) {
      sparseUsagebufEnd = NULL;
      return -Errno.ENOMEM;
    }
    sparseUsagebufEnd = sparseUsagebuf + size;
    return 0;
  }

  /** {@code sparse_vmemmap_init_nid_late()} for free_area_init(), until patch 11. */
  void sparseVmemmapInitNidLate(int nid) {
    vmemmap.sparseVmemmapInitNidLate(nid);
  }

  /** Ends a node's turn: who registers a section now does so at the wrong time. */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_usage_fini")
  private void sparseUsageFini() {
    sparseUsagebuf = NULL;
    sparseUsagebufEnd = NULL;
  }

  /**
   * The memmap of the {@code mapCount} present sections in {@code [pnumBegin, pnumEnd)}, all of
   * node
   * {@code nid}. {@code pnumEnd} is -1, the greatest number, for the last node.
   */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_init_nid", patches = {9, 13, 17, 25, 28, 30})
  private void sparseInitNid(int nid, long pnumBegin, long pnumEnd, long mapCount) {
    if (sparseUsageInit(nid, mapCount) != 0) {
      if (mm.series().panicsWithoutMemmap()) {
        throw new KernelPanic("Failed to allocate usemap for node " + nid);
      }
      mm.printk().prErr("sparse_init_nid: node[" + nid + "] usemap allocation failed");
      forgetSections(pnumBegin, pnumEnd);
      return;
    }
    buffer.init(mapCount * sectionMapSize(), nid);
    vmemmap.sparseVmemmapInitNidEarly(nid);
    if (mm.series().initsSparseAfterZones()) {
      vmemmap.sparseVmemmapInitNidLate(nid);
    }
    for (long pnum = mmzone.nextPresentSectionNr(pnumBegin - 1);
        pnum != -1;
        pnum = mmzone.nextPresentSectionNr(pnum)) {
      if (Long.compareUnsigned(pnum, pnumEnd) >= 0) {
        break;
      }
      if (!mmzone.preinitedVmemmapSection(mmzone.nrToSection(pnum))
          && !populateEarlySection(nid, pnum)) {
        mm.printk()
            .prErr(
                "sparse_init_nid: node[" + nid
                    + "] memory map backing failed. Some memory will not be available.");
        sparseUsageFini();
        buffer.fini();
        forgetSections(pnum, pnumEnd);
        return;
      }
    }
    sparseUsageFini();
    buffer.fini();
  }

  /**
   * The label {@code failed} of {@code sparse_init_nid()} before patch 9: the sections are absent
   * from now on, but for those that have a memmap. Zones and memblock still count their memory.
   */
  private void forgetSections(long pnumBegin, long pnumEnd) {
    for (long pnum = mmzone.nextPresentSectionNr(pnumBegin - 1);
        pnum != -1 && Long.compareUnsigned(pnum, pnumEnd) < 0;
        pnum = mmzone.nextPresentSectionNr(pnum)) {
      MemSection ms = mmzone.section(pnum);
      if (!mmzone.preinitedVmemmapSection(ms)) {
        ms.sectionMemMap = 0;
      }
    }
  }

  /**
   * The body of the loop in {@code sparse_init_nid()}. Since patch 9 a failure stops the boot:
   * zones and memblock know the section already, and memmap_init() would write to memory that is
   * not mapped.
   *
   * @return false when there is no memory, before patch 9
   */
  private boolean populateEarlySection(int nid, long pnum) {
    long pages = mmzone.pagesPerSection();
    Page map =
        vmemmap.populateSectionMemmap0(mmzone.sectionNrToPfn(pnum), pages, nid, null, null);
    if (map == null) {
      if (mm.series().panicsWithoutMemmap()) {
        throw new KernelPanic("Failed to allocate memmap for section " + pnum);
      }
      return false;
    }
    mm.vmstat()
        .memmapBootPagesAdd(vmemmap.sectionVmemmapPages(mmzone.sectionNrToPfn(pnum), pages));
    sparseInitEarlySection(nid, map, pnum, 0);
    return true;
  }

  /**
   * Builds the memmap of all boot memory. Sections of one node that follow each other are one turn;
   * a node whose sections are interleaved with another's has several.
   *
   * <p>Since 7.3 this runs when the zones are known and HugeTLB has taken its gigantic pages,
   * because the early hook asks for the zone of each of them.
   */
  @Kernel(file = "mm/sparse.c", symbol = "sparse_init", patches = {10, 11, 12, 21, 27})
  public void sparseInit() {
    if (!mm.series().presentsSectionsBeforeHugetlb()) {
      memblocksPresent();
    }
    if (mm.flags().compoundInfoHasMask()) {
      // A mask finds the head by clearing low bits of the tail's address, so the memmap has to be
      // aligned to that of the largest folio.
      long base = mm.model().pfnToPage(0).va();
      mm.printk()
          .vmWarnOnOnce(
              !Align.isAligned(base, mmzone.maxFolioVmemmapAlign()),
              "sparse_init: !IS_ALIGNED(pfn_to_page(0), MAX_FOLIO_VMEMMAP_ALIGN)");
    }
    long pnumBegin = firstPresentSectionNr();
    int nidBegin = sparseEarlyNid(mmzone.section(pnumBegin));
    long mapCount = 1;
    long pnumEnd;
    for (pnumEnd = mmzone.nextPresentSectionNr(pnumBegin);
        pnumEnd != -1;
        pnumEnd = mmzone.nextPresentSectionNr(pnumEnd)) {
      int nid = sparseEarlyNid(mmzone.section(pnumEnd));
      if (nid == nidBegin) {
        mapCount++;
        continue;
      }
      sparseInitNid(nidBegin, pnumBegin, pnumEnd, mapCount);
      nidBegin = nid;
      pnumBegin = pnumEnd;
      mapCount = 1;
    }
    sparseInitNid(nidBegin, pnumBegin, pnumEnd, mapCount);
    vmemmap.sparseInitSubsectionMap();
    vmemmap.vmemmapPopulatePrintLast();
  }

  /**
   * Gives section {@code pnum} its memmap and usage record. The pointer is stored minus the
   * section's start, so that it is the same in all sections of a virtual memmap.
   */
  @Kernel(file = "mm/sparse.h", symbol = "sparse_init_one_section")
  public void sparseInitOneSection(
      MemSection ms, long pnum, Page memMap, @Nullable MemSectionUsage usage, long flags) {
    long codedMemMap = mm.struct().add(memMap, -mmzone.sectionNrToPfn(pnum)).va();
    mm.printk()
        .vmWarnOnOnce(
            (codedMemMap & ~Mmzone.SECTION_MAP_MASK) != 0,
            "sparse_init_one_section: coded_mem_map & ~SECTION_MAP_MASK");
    ms.sectionMemMap &= ~Mmzone.SECTION_MAP_MASK;
    ms.sectionMemMap |= codedMemMap;
    ms.sectionMemMap |= flags | Mmzone.SECTION_HAS_MEM_MAP;
    ms.usage = usage;
  }

  /**
   * {@code __section_mark_present()}. The highest number bounds all walks over sections: there can
   * be millions, nearly all of them absent.
   */
  @Kernel(file = "mm/sparse.h", symbol = "__section_mark_present")
  public void sectionMarkPresent(MemSection ms, long sectionNr) {
    if (sectionNr > mmzone.highestPresentSectionNr) {
      mmzone.highestPresentSectionNr = sectionNr;
    }
    ms.sectionMemMap |= Mmzone.SECTION_MARKED_PRESENT;
  }
}
