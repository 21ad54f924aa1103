// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Prot;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The part of memory hotplug that device memory needs too: memmap for a range of pfns, and the
 * range in a zone.
 *
 * <pre>
 *   __add_pages()              sparse_add_section() for each section that the range touches
 *   move_pfn_range_to_zone()   spans of zone and node grow, struct pages are initialised
 *   remove_pfn_range_from_zone()   and shrink again, but for ZONE_DEVICE
 *   __remove_pages()           sparse_remove_section() for each section
 * </pre>
 *
 * Callers hold the hotplug lock ({@code mem_hotplug_begin()}). Online and offline of memory blocks
 * is not part of it.
 */
@Kernel(file = "mm/memory_hotplug.c", symbol = "__add_pages")
public final class MemoryHotplug {
  private final Mm mm;
  private final HotplugLocks locks;
  private final Mmzone mmzone;
  private final SparseVmemmap vmemmap;
  private final MmInit mmInit;
  private @Nullable ArchHotplug arch;
  private DevPagemapLookup devPagemaps = pfn -> null;

  /**
   * {@code struct mhp_params}.
   *
   * @param altmap where the memmap is to lie, or null
   * @param pgmap the device, or null for memory of the system
   * @param pgprot protection in the direct map; null for PAGE_KERNEL
   */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "struct mhp_params")
  public record MhpParams(
      @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap, @Nullable Prot pgprot) {
    /** With PAGE_KERNEL. */
    public MhpParams(@Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
      this(altmap, pgmap, null);
    }
  }

  /** Takes what this file calls; the page allocator is for the part that is to come. */
  public MemoryHotplug(Mm mm, PageAlloc pageAlloc, SparseVmemmap vmemmap, MmInit mmInit) {
    this.mm = mm;
    this.locks = new HotplugLocks(mm);
    this.mmzone = mm.mmzone();
    this.vmemmap = vmemmap;
    this.mmInit = mmInit;
  }

  /** The locks that guard what is added and removed. */
  public HotplugLocks locks() {
    return locks;
  }

  /** Sets the architecture; without one, {@link #archAddMemory} adds the memmap and no more. */
  public void setArch(ArchHotplug archHotplug) {
    arch = archHotplug;
  }

  /** Sets who knows which pfns belong to devices; nobody otherwise. */
  public void setDevPagemapLookup(DevPagemapLookup lookup) {
    devPagemaps = lookup;
  }

  /**
   * Nothing smaller than a subsection can be added or removed. Memory that is to go online comes in
   * memory blocks, which are larger; only direct users of arch_add_memory() can get here wrongly.
   *
   * @return 0 or -EINVAL
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "check_pfn_span")
  private int checkPfnSpan(long pfn, long nrPages) {
    return Align.isAligned(pfn | nrPages, mmzone.pagesPerSubsection()) ? 0 : -Errno.EINVAL;
  }

  /**
   * The struct page of a pfn that is online, and so initialised; null for all others. In a section
   * that has both system and device memory, only the device knows its own.
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "pfn_to_online_page")
  public @Nullable Page pfnToOnlinePage(long pfn) {
    long nr = mmzone.pfnToSectionNr(pfn);
    if (nr >= mmzone.nrMemSections()) {
      return null;
    }
    MemSection ms = mmzone.nrToSection(nr);
    if (ms == null || !mmzone.onlineSection(ms)) {
      return null;
    }
    if (!mmzone.pfnSectionValid(ms, pfn)) {
      return null;
    }
    if (!mmzone.onlineDeviceSection(ms)) {
      return mm.model().pfnToPage(pfn);
    }
    // A page of a device is offline, though its section is online.
    DevPagemap pgmap = devPagemaps.getDevPagemap(pfn);
    devPagemaps.putDevPagemap(pgmap);
    return pgmap != null ? null : mm.model().pfnToPage(pfn);
  }

  /**
   * {@code __add_pages()}: memmap for {@code nrPages} pages from {@code pfn}, section by section.
   *
   * <p>An altmap has to lie at the start of what is added and to leave something of it.
   *
   * @return 0; -EINVAL for a range that is not in whole subsections, an altmap that does not fit,
   *     or no protection; or the error of the section that failed, the ones before it staying
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "__add_pages", patches = {46})
  public int addPages(int nid, long pfn, long nrPages, MhpParams params) {
    long endPfn = pfn + nrPages;
    VmemAltmap altmap = params.altmap();
    boolean noProt = params.pgprot() != null && params.pgprot().val() == 0;
    if (mm.printk().warnOnOnce(noProt, "__add_pages: !pgprot_val(params->pgprot)")) {
      return -Errno.EINVAL;
    }
    checkAddressable(pfn, nrPages);
    if (altmap != null) {
      if (altmap.basePfn != pfn || VmemAltmap.vmemAltmapOffset(altmap) > nrPages) {
        mm.printk().prWarnOnce("__add_pages", "memory add fail, invalid altmap");
        return -Errno.EINVAL;
      }
      altmap.alloc = 0;
    }
    if (checkPfnSpan(pfn, nrPages) != 0) {
      mm.printk().warnOn(true, misaligned("__add_pages", pfn, nrPages));
      return -Errno.EINVAL;
    }
    // Only devices have compound pages, and their zone does not span the range yet.
    DevPagemap pgmap = params.pgmap();
    int order = pgmap == null ? 0 : pgmap.vmemmapShift;
    Zone zone = mm.nodes().nodeData(nid).zone(ZoneType.ZONE_DEVICE);
    int err = 0;
    long curNrPages;
    for (; pfn < endPfn; pfn += curNrPages) {
      // All that is left, up to the next section.
      curNrPages = Math.min(endPfn - pfn, mmzone.sectionAlignUp(pfn + 1) - pfn);
      err = vmemmap.sparseAddSection(nid, pfn, curNrPages, altmap, pgmap, order, zone);
      if (err != 0) {
        break;
      }
      mm.condResched(pfn);
    }
    vmemmap.vmemmapPopulatePrintLast();
    return err;
  }

  /**
   * The VM_BUG_ON of {@code __add_pages()}. Without DEBUG_VM its condition is not even evaluated,
   * which shows: it writes to the log.
   */
  private void checkAddressable(long pfn, long nrPages) {
    if (mm.config().debugVm()) {
      long size = nrPages * mm.model().pageSize();
      boolean allowed = mhpRangeAllowed(mm.model().pfnPhys(pfn), size, false);
      mm.printk().vmBugOn(!allowed, "__add_pages: !mhp_range_allowed()");
    }
  }

  /** The text of the WARN in both directions. */
  private static String misaligned(String func, long pfn, long nrPages) {
    return "Misaligned %s start: 0x%x end: 0x%x".formatted(func, pfn, pfn + nrPages - 1);
  }

  /**
   * The first pfn of a subsection of this zone in the range, 0 for none. Steps by subsections: what
   * is smaller cannot be added or removed.
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "find_smallest_section_pfn")
  private long findSmallestSectionPfn(int nid, Zone zone, long startPfn, long endPfn) {
    for (; startPfn < endPfn; startPfn += mmzone.pagesPerSubsection()) {
      if (belongs(startPfn, nid, zone)) {
        return startPfn;
      }
    }
    return 0;
  }

  /** The last pfn of a subsection of this zone in the range, 0 for none. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "find_biggest_section_pfn")
  private long findBiggestSectionPfn(int nid, Zone zone, long startPfn, long endPfn) {
    for (long pfn = endPfn - 1; pfn >= startPfn; pfn -= mmzone.pagesPerSubsection()) {
      if (belongs(pfn, nid, zone)) {
        return pfn;
      }
    }
    return 0;
  }

  /** The three tests that the two functions above share: online, on the node, in the zone. */
  private boolean belongs(long pfn, int nid, Zone zone) {
    Page page = pfnToOnlinePage(pfn);
    return page != null
        && mm.inline().pageToNid(page) == nid
        && zone == mm.inline().pageZone(page);
  }

  /**
   * Takes a range off either end of the span; one in the middle leaves a hole in it.
   *
   * <pre>
   *   before   |##########|####|  hole  |####|
   *   start goes          |####|  hole  |####|   up to the next page that is the zone's and online
   *   end goes |##########|####|                 down likewise
   * </pre>
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "shrink_zone_span")
  private void shrinkZoneSpan(Zone zone, long startPfn, long endPfn) {
    int nid = zone.nid();
    if (zone.zoneStartPfn == startPfn) {
      long pfn = findSmallestSectionPfn(nid, zone, endPfn, zone.endPfn());
      if (pfn != 0) {
        zone.spannedPages = zone.endPfn() - pfn;
        zone.zoneStartPfn = pfn;
      } else {
        zone.zoneStartPfn = 0;
        zone.spannedPages = 0;
      }
    } else if (zone.endPfn() == endPfn) {
      long pfn = findBiggestSectionPfn(nid, zone, zone.zoneStartPfn, startPfn);
      if (pfn != 0) {
        zone.spannedPages = pfn - zone.zoneStartPfn + 1;
      } else {
        zone.zoneStartPfn = 0;
        zone.spannedPages = 0;
      }
    }
  }

  /** The node spans what its zones span. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "update_pgdat_span")
  private void updatePgdatSpan(PgData pgdat) {
    long nodeStartPfn = 0;
    long nodeEndPfn = 0;
    for (Zone zone : pgdat.zones()) {
      long endPfn = zone.endPfn();
      if (zone.spannedPages == 0) {
        continue;
      }
      if (nodeEndPfn == 0) {
        nodeStartPfn = zone.zoneStartPfn;
        nodeEndPfn = endPfn;
        continue;
      }
      nodeEndPfn = Math.max(endPfn, nodeEndPfn);
      nodeStartPfn = Math.min(zone.zoneStartPfn, nodeStartPfn);
    }
    pgdat.nodeStartPfn = nodeStartPfn;
    pgdat.nodeSpannedPages = nodeEndPfn - nodeStartPfn;
  }

  /**
   * Poisons the struct pages of a range, which count as never initialised from now on, and shrinks
   * the spans of zone and node. The span of ZONE_DEVICE stays.
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "remove_pfn_range_from_zone")
  public void removePfnRangeFromZone(Zone zone, long startPfn, long nrPages) {
    locks.needMemHotplug("remove_pfn_range_from_zone");
    long endPfn = startPfn + nrPages;
    PgData pgdat = mm.nodes().nodeData(zone.nid());
    long curNrPages;
    for (long pfn = startPfn; pfn < endPfn; pfn += curNrPages) {
      mm.condResched(pfn);
      curNrPages = Math.min(endPfn - pfn, mmzone.sectionAlignUp(pfn + 1) - pfn);
      if (mmzone.pfnToSectionOrder(pfn) == 0) {
        mm.struct().pageInitPoison(mm.model().pfnToPage(pfn), mm.struct().size() * curNrPages);
      }
    }
    // Device pages are never online, so the search for the next page of the zone would find none.
    if (zone.idx() == ZoneType.ZONE_DEVICE) {
      return;
    }
    clearZoneContiguous(zone);
    shrinkZoneSpan(zone, startPfn, startPfn + nrPages);
    updatePgdatSpan(pgdat);
    mmInit.setZoneContiguous(zone);
  }

  /**
   * {@code __remove_pages()}: takes the memmap of a range away, section by section. The pages are
   * offline and out of their zone. Altmap and device are the ones that the range was added with.
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "__remove_pages", patches = {2})
  public void removePages(
      long pfn, long nrPages, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    long endPfn = pfn + nrPages;
    if (checkPfnSpan(pfn, nrPages) != 0) {
      mm.printk().warnOn(true, misaligned("__remove_pages", pfn, nrPages));
      return;
    }
    long curNrPages;
    for (; pfn < endPfn; pfn += curNrPages) {
      mm.condResched(pfn);
      curNrPages = Math.min(endPfn - pfn, mmzone.sectionAlignUp(pfn + 1) - pfn);
      vmemmap.sparseRemoveSection(pfn, curNrPages, altmap, pgmap);
    }
  }

  /** Grows the span to hold the range; one with a hole between spans the hole. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "resize_zone_range")
  private static void resizeZoneRange(Zone zone, long startPfn, long nrPages) {
    long oldEndPfn = zone.endPfn();
    if (zone.isEmpty() || startPfn < zone.zoneStartPfn) {
      zone.zoneStartPfn = startPfn;
    }
    zone.spannedPages = Math.max(startPfn + nrPages, oldEndPfn) - zone.zoneStartPfn;
  }

  /** The same for the node. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "resize_pgdat_range")
  private static void resizePgdatRange(PgData pgdat, long startPfn, long nrPages) {
    long oldEndPfn = pgdat.endPfn();
    if (pgdat.nodeSpannedPages == 0 || startPfn < pgdat.nodeStartPfn) {
      pgdat.nodeStartPfn = startPfn;
    }
    pgdat.nodeSpannedPages = Math.max(startPfn + nrPages, oldEndPfn) - pgdat.nodeStartPfn;
  }

  /** The section has device memory in parts: that it is online says nothing about a page of it. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "section_taint_zone_device")
  private void sectionTaintZoneDevice(long pfn) {
    MemSection ms = mmzone.section(mmzone.pfnToSectionNr(pfn));
    ms.sectionMemMap |= Mmzone.SECTION_TAINT_ZONE_DEVICE;
  }

  /**
   * Puts a range into a zone: the spans grow to hold it and its struct pages are initialised.
   * Device memory that shares a section with others taints the section, so that {@link
   * #pfnToOnlinePage} asks further.
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "move_pfn_range_to_zone")
  public void movePfnRangeToZone(
      Zone zone,
      long startPfn,
      long nrPages,
      @Nullable VmemAltmap altmap,
      Migratetype migratetype,
      boolean isolatePageblock) {
    locks.needMemHotplug("move_pfn_range_to_zone");
    PgData pgdat = mm.nodes().nodeData(zone.nid());
    int nid = pgdat.nodeId();
    clearZoneContiguous(zone);
    if (zone.isEmpty()) {
      mmInit.initCurrentlyEmptyZone(zone, startPfn, nrPages);
    }
    resizeZoneRange(zone, startPfn, nrPages);
    resizePgdatRange(pgdat, startPfn, nrPages);
    if (zone.idx() == ZoneType.ZONE_DEVICE) {
      if (!Align.isAligned(startPfn, mmzone.pagesPerSection())) {
        sectionTaintZoneDevice(startPfn);
      }
      if (!Align.isAligned(startPfn + nrPages, mmzone.pagesPerSection())) {
        sectionTaintZoneDevice(startPfn + nrPages);
      }
    }
    // For ZONE_DEVICE only the pages of an altmap: memmap_init_zone_device() does the others later,
    // without the hotplug lock.
    mmInit.memmapInitRange(
        nrPages, nid, zone.idx(), startPfn, 0, false, altmap, migratetype, isolatePageblock);
    mmInit.setZoneContiguous(zone);
  }

  /** Before the span changes: who trusts the mark walks the zone without looking for holes. */
  @Kernel(file = "mm/mm_init.h", symbol = "clear_zone_contiguous")
  private static void clearZoneContiguous(Zone zone) {
    zone.contiguous = false;
  }

  /**
   * Physical addresses, the end included, that memory may be added at.
   *
   * @param needMapping whether it has to be in the direct map, which may reach less far
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mhp_get_pluggable_range")
  public DevPagemap.Range mhpGetPluggableRange(boolean needMapping) {
    long maxPhys = mmzone.directMapPhysmemEnd();
    if (!needMapping) {
      return new DevPagemap.Range(0, maxPhys);
    }
    DevPagemap.Range range =
        arch == null ? new DevPagemap.Range(0, -1) : arch.archGetMappableRange();
    if (Long.compareUnsigned(range.start(), maxPhys) > 0) {
      return new DevPagemap.Range(0, 0);
    }
    return new DevPagemap.Range(range.start(), minUnsigned(range.end(), maxPhys));
  }

  private static long minUnsigned(long a, long b) {
    return Long.compareUnsigned(a, b) < 0 ? a : b;
  }

  /**
   * True when memory may be added at {@code [start, start + size)}, in bytes; says so if not.
   *
   * @param needMapping whether it is to be in the direct map
   */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mhp_range_allowed")
  public boolean mhpRangeAllowed(long start, long size, boolean needMapping) {
    DevPagemap.Range range = mhpGetPluggableRange(needMapping);
    long end = start + size;
    if (Long.compareUnsigned(start, end) < 0
        && Long.compareUnsigned(start, range.start()) >= 0
        && Long.compareUnsigned(end - 1, range.end()) <= 0) {
      return true;
    }
    mm.printk()
        .prWarn(
            "Hotplug memory [0x%x-0x%x] exceeds maximum addressable range [0x%x-0x%x]"
                .formatted(start, end, range.start(), range.end()));
    return false;
  }

  /** {@code memremap_compat_align()} of the architecture, in bytes. */
  @Kernel(file = "mm/memremap.c", symbol = "memremap_compat_align")
  public long memremapCompatAlign() {
    return arch == null ? Mmzone.SUBSECTION_SIZE : arch.memremapCompatAlign();
  }

  /** {@code arch_add_memory()} of the architecture. Bytes; 0 or a negative error code. */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "arch_add_memory")
  public int archAddMemory(int nid, long start, long size, MhpParams params) {
    long pfn = mm.model().physPfn(start);
    long nrPages = size >>> mm.model().pageShift();
    return arch == null
        ? addPages(nid, pfn, nrPages, params)
        : arch.archAddMemory(nid, start, size, params);
  }

  /**
   * {@code add_pages()} of the architecture: the memmap alone, for memory that the CPU cannot
   * address. 0 or a negative error code.
   */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "add_pages")
  public int archAddPages(int nid, long startPfn, long nrPages, MhpParams params) {
    return arch == null
        ? addPages(nid, startPfn, nrPages, params)
        : arch.addPages(nid, startPfn, nrPages, params);
  }

  /** {@code arch_remove_memory()} of the architecture. Bytes. */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "arch_remove_memory", patches = {2})
  public void archRemoveMemory(
      long start, long size, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    if (arch == null) {
      removePages(mm.model().physPfn(start), size >>> mm.model().pageShift(), altmap, pgmap);
    } else {
      arch.archRemoveMemory(start, size, altmap, pgmap);
    }
  }

  /** CONFIG_ARCH_KEEP_MEMBLOCK of the architecture. */
  boolean archKeepMemblock() {
    return arch != null && arch.archKeepMemblock();
  }

  /** {@code arch_supports_memmap_on_memory()} of the architecture; bytes. */
  boolean archSupportsMemmapOnMemory(long vmemmapSize) {
    long pmdSize = mm.pgtable().pmdSize();
    return arch == null
        ? Align.isAligned(vmemmapSize, pmdSize)
        : arch.archSupportsMemmapOnMemory(vmemmapSize, pmdSize);
  }

  /** Lets the architecture register its notifiers. */
  void registerMemoryNotifiers(MemoryBlocks blocks) {
    if (arch != null) {
      arch.registerMemoryNotifiers(blocks);
    }
  }
}
