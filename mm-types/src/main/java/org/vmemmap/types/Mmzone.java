// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.Arrays;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.YieldPoints;

/** Sections of the sparse memory model, and the orders up to which folios and tails can go. */
@Kernel(file = "include/linux/mmzone.h", symbol = "__nr_to_section")
public final class Mmzone {
  public static final long SECTION_MARKED_PRESENT = 1L << 0;
  public static final long SECTION_HAS_MEM_MAP = 1L << 1;
  public static final long SECTION_IS_ONLINE = 1L << 2;
  public static final long SECTION_IS_EARLY = 1L << 3;
  public static final long SECTION_TAINT_ZONE_DEVICE = 1L << 4;
  public static final long SECTION_IS_VMEMMAP_PREINIT = 1L << 5;
  public static final int SECTION_MAP_LAST_BIT = 6;
  public static final long SECTION_MAP_MASK = -1L << SECTION_MAP_LAST_BIT;
  public static final int SECTION_NID_SHIFT = SECTION_MAP_LAST_BIT;
  public static final int SUBSECTION_SHIFT = 21;
  public static final long SUBSECTION_SIZE = 1L << SUBSECTION_SHIFT;
  public static final int NR_PAGEBLOCK_BITS = 8;
  private static final int SZ_16G_SHIFT = 34;

  private final MmConfig config;
  private final int pageShift;
  private final int pfnSectionShift;
  private final int sectionsPerRoot;
  private final int nrSectionRoots;

  /** As long as the roots that exist need. */
  private MemSection[] @Nullable [] memSection = new MemSection[0][];

  private final Rcu rcu;
  private final YieldPoints yields;

  private LongPredicate devicePfns = pfn -> false;

  /** {@code __highest_present_section_nr}. */
  public long highestPresentSectionNr;

  Mmzone(MmConfig config, int pageShift, Rcu rcu, YieldPoints yields) {
    this.rcu = rcu;
    this.yields = yields;
    this.config = config;
    this.pageShift = pageShift;
    this.pfnSectionShift = config.sectionSizeBits() - pageShift;
    this.sectionsPerRoot = (1 << pageShift) / sizeofMemSection();
    long roots = (nrMemSections() + sectionsPerRoot - 1) / sectionsPerRoot;
    this.nrSectionRoots = Math.toIntExact(roots);
  }

  /** {@code sizeof(struct mem_section)} in bytes; padded to a power of two before patch 21. */
  public int sizeofMemSection() {
    int size = (config.pageExtension() ? 24 : 16) + (config.series().recordsSectionOrder() ? 8 : 0);
    return config.series().packsMemSection() ? size : nextPowerOf2(size);
  }

  private static int nextPowerOf2(int size) {
    return Integer.highestOneBit(2 * size - 1);
  }

  /** PFN_SECTION_SHIFT: log2 of the pages of a section. */
  public int pfnSectionShift() {
    return pfnSectionShift;
  }

  /** PAGES_PER_SECTION. */
  public long pagesPerSection() {
    return 1L << pfnSectionShift;
  }

  /** PAGE_SECTION_MASK. */
  public long pageSectionMask() {
    return -pagesPerSection();
  }

  /** PAGES_PER_SUBSECTION. */
  public long pagesPerSubsection() {
    return 1L << (SUBSECTION_SHIFT - pageShift);
  }

  /** SUBSECTIONS_PER_SECTION. */
  public int subsectionsPerSection() {
    return 1 << (config.sectionSizeBits() - SUBSECTION_SHIFT);
  }

  /** NR_MEM_SECTIONS. */
  public long nrMemSections() {
    return 1L << (config.maxPhysmemBits() - config.sectionSizeBits());
  }

  /**
   * DIRECT_MAP_PHYSMEM_END: the last physical address of the direct map. With ZONE_DEVICE, KASLR
   * does not lower it.
   */
  @Kernel(file = "include/linux/mm.h", symbol = "DIRECT_MAP_PHYSMEM_END")
  public long directMapPhysmemEnd() {
    return (1L << config.maxPhysmemBits()) - 1;
  }

  /** SECTIONS_PER_ROOT. */
  public int sectionsPerRoot() {
    return sectionsPerRoot;
  }

  /** NR_SECTION_ROOTS. */
  public int nrSectionRoots() {
    return nrSectionRoots;
  }

  /** SECTION_BLOCKFLAGS_BITS. */
  public int sectionBlockflagsBits() {
    return (1 << (pfnSectionShift - config.pageblockOrder())) * NR_PAGEBLOCK_BITS;
  }

  /** {@code pageblock_nr_pages}. */
  public long pageblockNrPages() {
    return 1L << config.pageblockOrder();
  }

  /** MAX_FOLIO_ORDER: 16 GiB with gigantic hugepages, else MAX_PAGE_ORDER. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "MAX_FOLIO_ORDER")
  public int maxFolioOrder() {
    return config.gigantic() ? SZ_16G_SHIFT - pageShift : config.maxPageOrder();
  }

  /** MAX_FOLIO_VMEMMAP_ALIGN in bytes: what the memmap must be aligned to for masks; 0 for none. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "MAX_FOLIO_VMEMMAP_ALIGN", patches = {33, 49})
  public long maxFolioVmemmapAlign() {
    boolean masks = config.vmemmapOptimization() && config.structPageIsPowerOf2();
    return masks ? (1L << maxFolioOrder()) * config.sizeofStructPage() : 0;
  }

  /** VMEMMAP_TAIL_MIN_ORDER: the least order whose struct pages fill two pages. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "VMEMMAP_TAIL_MIN_ORDER", patches = {20})
  public int vmemmapTailMinOrder() {
    return 63 - Long.numberOfLeadingZeros((2L << pageShift) / config.sizeofStructPage());
  }

  /**
   * NR_VMEMMAP_TAILS: slots of {@code zone->vmemmap_tails}; since patch 49 none when nothing can be
   * shared.
   */
  @Kernel(file = "include/linux/mmzone.h", symbol = "NR_VMEMMAP_TAILS", patches = {20, 49})
  public int nrVmemmapTails() {
    return vmemmapOptimizableOrder(maxFolioOrder())
        ? maxFolioOrder() - vmemmapTailMinOrder() + 1
        : 0;
  }

  /**
   * True for compound pages whose struct pages fill two pages. The size of struct page is asked for
   * here since patch 49; before, only by who shares a page or encodes a tail.
   */
  @Kernel(
      file = "include/linux/mmzone.h",
      symbol = "VMEMMAP_TAIL_MIN_ORDER",
      patches = {25, 34, 49})
  public boolean vmemmapOptimizableOrder(int order) {
    boolean gated = config.series().gatesOrdersOnPowerOf2() && !config.structPageIsPowerOf2();
    return !gated && order >= vmemmapTailMinOrder();
  }

  /** {@code pfn_to_section_nr()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "pfn_to_section_nr")
  public long pfnToSectionNr(long pfn) {
    return pfn >>> pfnSectionShift;
  }

  /** {@code section_nr_to_pfn()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "section_nr_to_pfn")
  public long sectionNrToPfn(long nr) {
    return nr << pfnSectionShift;
  }

  /** {@code SECTION_ALIGN_DOWN()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "SECTION_ALIGN_DOWN")
  public long sectionAlignDown(long pfn) {
    return pfn & pageSectionMask();
  }

  /** {@code SECTION_ALIGN_UP()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "SECTION_ALIGN_UP")
  public long sectionAlignUp(long pfn) {
    return (pfn + pagesPerSection() - 1) & pageSectionMask();
  }

  /** {@code SECTION_NR_TO_ROOT()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "SECTION_NR_TO_ROOT")
  public int sectionNrToRoot(long nr) {
    return (int) (nr / sectionsPerRoot);
  }

  /** True when {@code mem_section[root]} has been allocated. */
  public boolean hasRoot(int root) {
    return root < memSection.length && memSection[root] != null;
  }

  /** {@code mem_section[root] = ...}: a root of empty sections. */
  public void setRoot(int root) {
    MemSection[] made = new MemSection[sectionsPerRoot];
    for (int i = 0; i < sectionsPerRoot; i++) {
      made[i] = new MemSection();
    }
    if (root >= memSection.length) {
      memSection = Arrays.copyOf(memSection, root + 1);
    }
    memSection[root] = made;
  }

  /** {@code __nr_to_section()}; null when the root does not exist. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "__nr_to_section", patches = {21})
  public @Nullable MemSection nrToSection(long nr) {
    int root = sectionNrToRoot(nr);
    if (root >= memSection.length) {
      return null;
    }
    MemSection @Nullable [] sections = memSection[root];
    return sections == null ? null : sections[(int) (nr % sectionsPerRoot)];
  }

  /** {@code __nr_to_section()} where the section is known to exist. */
  public MemSection section(long nr) {
    MemSection ms = nrToSection(nr);
    if (ms == null) {
      throw new KernelBug("__nr_to_section: NULL mem_section root, nr=" + nr);
    }
    return ms;
  }

  /** {@code __pfn_to_section()}; null when the root does not exist. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "__pfn_to_section")
  public @Nullable MemSection pfnToSection(long pfn) {
    return nrToSection(pfnToSectionNr(pfn));
  }

  /** {@code present_section()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "present_section")
  public boolean presentSection(@Nullable MemSection ms) {
    return ms != null && (ms.sectionMemMap & SECTION_MARKED_PRESENT) != 0;
  }

  /** {@code valid_section()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "valid_section")
  public boolean validSection(@Nullable MemSection ms) {
    return ms != null && (ms.sectionMemMap & SECTION_HAS_MEM_MAP) != 0;
  }

  /** {@code early_section()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "early_section")
  public boolean earlySection(@Nullable MemSection ms) {
    return ms != null && (ms.sectionMemMap & SECTION_IS_EARLY) != 0;
  }

  /** {@code online_section()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "online_section")
  public boolean onlineSection(@Nullable MemSection ms) {
    return ms != null && (ms.sectionMemMap & SECTION_IS_ONLINE) != 0;
  }

  /** {@code online_device_section()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "online_device_section")
  public boolean onlineDeviceSection(@Nullable MemSection ms) {
    long both = SECTION_IS_ONLINE | SECTION_TAINT_ZONE_DEVICE;
    return ms != null && (ms.sectionMemMap & both) == both;
  }

  /** {@code preinited_vmemmap_section()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "preinited_vmemmap_section", patches = {30})
  public boolean preinitedVmemmapSection(@Nullable MemSection ms) {
    return ms != null && (ms.sectionMemMap & SECTION_IS_VMEMMAP_PREINIT) != 0;
  }

  /** {@code pfn_to_section_order()}: order of the compound pages there, 0 for none. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "section_order", patches = {22})
  public int pfnToSectionOrder(long pfn) {
    MemSection ms = nrToSection(pfnToSectionNr(pfn));
    return ms == null ? 0 : ms.order;
  }

  /**
   * True for a struct page that a shared tail stands for: it lies behind the first page of memmap
   * of a compound page, as its section's order tells.
   */
  @Kernel(file = "mm/internal.h", symbol = "vmemmap_page_optimizable", patches = {23, 25, 49})
  public boolean vmemmapPageOptimizable(long pfn) {
    int order = pfnToSectionOrder(pfn);
    if (order == 0 || !config.structPageIsPowerOf2()) {
      return false;
    }
    return (pfn & ((1L << order) - 1)) >= optimizedFolioVmemmapPageStructs();
  }

  /** OPTIMIZED_FOLIO_VMEMMAP_PAGE_STRUCTS: struct pages that an optimised folio keeps. */
  @Kernel(
      file = "include/linux/mmzone.h",
      symbol = "OPTIMIZED_FOLIO_VMEMMAP_PAGE_STRUCTS",
      patches = {20, 23, 26})
  public long optimizedFolioVmemmapPageStructs() {
    return (1L << pageShift) / config.sizeofStructPage();
  }

  /** {@code subsection_map_index()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "subsection_map_index")
  public int subsectionMapIndex(long pfn) {
    return (int) ((pfn & ~pageSectionMask()) / pagesPerSubsection());
  }

  /** {@code pfn_section_valid()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "pfn_section_valid")
  public boolean pfnSectionValid(MemSection ms, long pfn) {
    MemSectionUsage usage = ms.usage;
    int idx = subsectionMapIndex(pfn);
    yields.at("READ_ONCE ms->usage", pfn);
    return usage != null && (usage.subsectionMap()[idx >>> 6] & 1L << idx) != 0;
  }

  /** {@code pfn_valid()}: there is a memmap entry for the pfn, though maybe no memory. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "pfn_valid")
  public boolean pfnValid(long pfn) {
    if (pfn << pageShift >>> pageShift != pfn || pfnToSectionNr(pfn) >= nrMemSections()) {
      return false;
    }
    MemSection ms = pfnToSection(pfn);
    rcu.readLock();
    try {
      return ms != null && validSection(ms) && (earlySection(ms) || pfnSectionValid(ms, pfn));
    } finally {
      rcu.readUnlock();
    }
  }

  /** {@code pfn_section_first_valid()}: the first pfn at or behind {@code pfn} in use; -1 for none. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "pfn_section_first_valid")
  public long pfnSectionFirstValid(MemSection ms, long pfn) {
    MemSectionUsage usage = ms.usage;
    int idx = subsectionMapIndex(pfn);
    if (usage == null) {
      return -1;
    }
    for (int bit = idx; bit < subsectionsPerSection(); bit++) {
      if ((usage.subsectionMap()[bit >>> 6] & 1L << bit) != 0) {
        return bit == idx ? pfn : sectionAlignDown(pfn) + bit * pagesPerSubsection();
      }
    }
    return -1;
  }

  /** {@code first_valid_pfn()}: at or behind {@code pfn}; {@code endPfn} or higher for none. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "first_valid_pfn")
  public long firstValidPfn(long pfn, long endPfn) {
    long nr = pfnToSectionNr(pfn);
    while (nr <= highestPresentSectionNr && pfn < endPfn) {
      MemSection ms = pfnToSection(pfn);
      if (ms != null && validSection(ms)) {
        long valid = earlySection(ms) ? pfn : pfnSectionFirstValid(ms, pfn);
        if (valid >= 0) {
          return valid;
        }
      }
      pfn = sectionNrToPfn(++nr);
    }
    return endPfn;
  }

  /** {@code next_valid_pfn()}: behind {@code pfn}, which is valid; {@code endPfn} or higher for none. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "next_valid_pfn")
  public long nextValidPfn(long pfn, long endPfn) {
    pfn++;
    if (pfn >= endPfn) {
      return endPfn;
    }
    return (pfn & (pagesPerSubsection() - 1)) != 0 ? pfn : firstValidPfn(pfn, endPfn);
  }

  /** Sets who knows which pfns belong to devices that are in use; nobody otherwise. */
  public void setDevicePfns(LongPredicate lookup) {
    devicePfns = lookup;
  }

  /**
   * {@code pfn_to_online_page()} as a test: the pfn belongs to an online section, and to no device
   * that shares the section with system memory.
   */
  @Kernel(
      file = "mm/memory_hotplug.c",
      symbol = "pfn_to_online_page",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Answers yes or no, for code below memory hotplug; the device lookup is a function.")
  public boolean pfnOnline(long pfn) {
    MemSection ms = pfnToSectionNr(pfn) < nrMemSections() ? pfnToSection(pfn) : null;
    if (ms == null || !onlineSection(ms) || !pfnSectionValid(ms, pfn)) {
      return false;
    }
    return !onlineDeviceSection(ms) || !devicePfns.test(pfn);
  }

  /** {@code next_present_section_nr()}; -1 behind the last. Roots that do not exist are skipped. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "next_present_section_nr")
  public long nextPresentSectionNr(long nr) {
    while (++nr <= highestPresentSectionNr) {
      int root = sectionNrToRoot(nr);
      if (!hasRoot(root)) {
        nr = (root + 1L) * sectionsPerRoot - 1;
      } else if (presentSection(nrToSection(nr))) {
        return nr;
      }
    }
    return -1;
  }

  /** {@code mem_section_usage_size()} in bytes. */
  @Kernel(file = "mm/sparse.h", symbol = "mem_section_usage_size")
  public int memSectionUsageSize() {
    int rcu = 16;
    return rcu + 8 * ((subsectionsPerSection() + 63) / 64) + 8 * ((sectionBlockflagsBits() + 63) / 64);
  }
}
