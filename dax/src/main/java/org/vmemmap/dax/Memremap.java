// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.Comparator;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Ledger;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.DevPagemapLookup;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.MemoryHotplug.MhpParams;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.MemoryType;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MemoryModel;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Resource;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * Struct pages for device memory.
 *
 * <pre>
 *   range of the device
 *   | reserve | free: memmap of all of it | data                                   |
 *   ^ base_pfn                            ^ pfn_first()                            ^ pfn_end()
 *   without an altmap pfn_first() is the start of the range
 * </pre>
 *
 * {@link #memremapPages} makes them and {@link #memunmapPages} takes them away. In between every
 * page from pfn_first() on holds a reference to the {@link DevPagemap} (one for each compound
 * page), and word 1 of its struct page points there.
 *
 * <p>Not modelled: the KASAN shadow, the linear mapping and its protection.
 */
@Kernel(file = "mm/memremap.c", symbol = "memremap_pages")
public final class Memremap implements DevPagemapLookup {
  private final Mm mm;
  private final Printk printk;
  private final MemoryModel model;
  private final StructPage struct;
  private final PageAlloc pageAlloc;
  private final MmInit mmInit;
  private final MemoryHotplug hotplug;
  private final IomemResource iomem;
  private final PercpuRef refs;
  private final TreeMap<Long, Stored> pgmapArray = new TreeMap<>();
  private final Map<Long, DevPagemap> byVa = new TreeMap<>();

  /** An entry of pgmap_array: the pfns from its key to {@code last} belong to {@code pgmap}. */
  private record Stored(long last, DevPagemap pgmap) {}

  /** Ties the file to one machine. */
  public Memremap(
      Mm mm, PageAlloc pageAlloc, MmInit mmInit, MemoryHotplug hotplug, IomemResource iomem) {
    this.mm = mm;
    this.printk = mm.printk();
    this.model = mm.model();
    this.struct = mm.struct();
    this.pageAlloc = pageAlloc;
    this.mmInit = mmInit;
    this.hotplug = hotplug;
    this.iomem = iomem;
    this.refs = new PercpuRef(mm);
  }

  /** {@code memremap_compat_align()}: what a device's range must be aligned to, in bytes. */
  @Kernel(file = "mm/memremap.c", symbol = "memremap_compat_align")
  public long memremapCompatAlign() {
    return hotplug.memremapCompatAlign();
  }

  /** {@code xa_store_range()}: what was stored in the range before is overwritten. */
  @Kernel(
      file = "lib/xarray.c",
      symbol = "xa_store_range",
      fidelity = Kernel.Fidelity.CUSTOM,
      why =
          "A sorted map of runs; when memory is short nothing is stored, the C code may "
              + "store a part.")
  private int xaStoreRange(long first, long last, @Nullable DevPagemap pgmap) {
    if (pgmap != null && mm.mayFail("xa_store_range")) {
      return -Errno.ENOMEM;
    }
    Map.Entry<Long, Stored> low = pgmapArray.lowerEntry(first);
    if (low != null && low.getValue().last >= first) {
      Stored old = low.getValue();
      pgmapArray.put(low.getKey(), new Stored(first - 1, old.pgmap));
      if (old.last > last) {
        pgmapArray.put(last + 1, old);
      }
    }
    Map.Entry<Long, Stored> high = pgmapArray.floorEntry(last);
    if (high != null && high.getKey() >= first && high.getValue().last > last) {
      pgmapArray.put(last + 1, high.getValue());
    }
    pgmapArray.subMap(first, true, last, true).clear();
    if (pgmap != null) {
      pgmapArray.put(first, new Stored(last, pgmap));
    }
    return 0;
  }

  @Kernel(file = "mm/memremap.c", symbol = "pgmap_array_delete")
  private void pgmapArrayDelete(Range range) {
    xaStoreRange(model.physPfn(range.start()), model.physPfn(range.end()), null);
  }

  @Kernel(file = "mm/memremap.c", symbol = "pfn_first")
  private long pfnFirst(DevPagemap pgmap, int rangeId) {
    long pfn = model.physPfn(pgmap.ranges[rangeId].start());
    if (rangeId != 0) {
      return pfn;
    }
    return pfn + VmemAltmap.vmemAltmapOffset(pgmap.pgmapAltmap());
  }

  /** {@code pgmap_pfn_valid()}: the pfn is a data page of the device, not one behind its memmap. */
  @Kernel(file = "mm/memremap.c", symbol = "pgmap_pfn_valid")
  public boolean pgmapPfnValid(DevPagemap pgmap, long pfn) {
    for (int i = 0; i < pgmap.nrRange; i++) {
      Range range = pgmap.ranges[i];
      if (pfn >= model.physPfn(range.start()) && pfn <= model.physPfn(range.end())) {
        return pfn >= pfnFirst(pgmap, i);
      }
    }
    return false;
  }

  @Kernel(file = "mm/memremap.c", symbol = "pfn_end")
  private long pfnEnd(DevPagemap pgmap, int rangeId) {
    Range range = pgmap.ranges[rangeId];
    return model.physPfn(range.start() + range.len());
  }

  @Kernel(file = "mm/memremap.c", symbol = "pfn_len")
  private long pfnLen(DevPagemap pgmap, int rangeId) {
    return (pfnEnd(pgmap, rangeId) - pfnFirst(pgmap, rangeId)) >>> pgmap.vmemmapShift;
  }

  @Kernel(file = "mm/memremap.c", symbol = "pageunmap_range", patches = {2})
  private void pageunmapRange(DevPagemap pgmap, int rangeId) {
    Range range = pgmap.ranges[rangeId];
    long startPfn = model.physPfn(range.start());
    long nrPages = model.physPfn(range.len());
    // The first pages of the range may be the altmap's reserve, which was never initialised.
    Page firstPage = model.pfnToPage(pfnFirst(pgmap, rangeId));
    hotplug.locks().memHotplugBegin();
    hotplug.removePfnRangeFromZone(mm.inline().pageZone(firstPage), startPfn, nrPages);
    if (pgmap.type == MemoryType.MEMORY_DEVICE_PRIVATE) {
      hotplug.removePages(startPfn, nrPages, null, pgmap);
    } else {
      hotplug.archRemoveMemory(range.start(), range.len(), pgmap.pgmapAltmap(), pgmap);
    }
    hotplug.locks().memHotplugDone();
    pfnmapUntrack(pgmap, startPfn, nrPages);
    pgmapArrayDelete(range);
  }

  /**
   * {@code memunmap_pages()}: takes the struct pages of all ranges away. Every page must be back
   * with its one reference.
   */
  @Kernel(file = "mm/memremap.c", symbol = "memunmap_pages")
  public void memunmapPages(DevPagemap pgmap) {
    refs.percpuRefKill(pgmap);
    if (!isPrivateOrCoherent(pgmap)) {
      for (int i = 0; i < pgmap.nrRange; i++) {
        refs.percpuRefPutMany(pgmap, pfnLen(pgmap, i));
      }
    }
    refs.waitForCompletion(pgmap);
    for (int i = 0; i < pgmap.nrRange; i++) {
      pageunmapRange(pgmap, i);
    }
    refs.percpuRefExit(pgmap);
    byVa.remove(pgmap.va());
    printk.warnOnOnce(
        pgmap.altmap.alloc != 0, "memunmap_pages: failed to free all reserved pages");
  }

  @Kernel(file = "mm/memremap.c", symbol = "devm_memremap_pages_release")
  private void devmMemremapPagesRelease(DevPagemap pgmap) {
    memunmapPages(pgmap);
  }

  private static boolean isPrivateOrCoherent(DevPagemap pgmap) {
    return pgmap.type == MemoryType.MEMORY_DEVICE_PRIVATE
        || pgmap.type == MemoryType.MEMORY_DEVICE_COHERENT;
  }

  /** True, with a warning, when {@code pfn} already belongs to a device that is in use. */
  private boolean conflicts(long pfn) {
    DevPagemap conflict = getDevPagemap(pfn);
    if (conflict == null) {
      return false;
    }
    printk.warnOn(true, "pagemap_range: Conflicting mapping in same section");
    putDevPagemap(conflict);
    return true;
  }

  /** The checks at the head of {@code pagemap_range()}: 0, -EINVAL, -ENOMEM or -ENXIO. */
  private int checkRange(DevPagemap pgmap, int rangeId) {
    Range range = pgmap.ranges[rangeId];
    if (printk.warnOnOnce(
        pgmap.pgmapAltmap() != null && rangeId > 0,
        "pagemap_range: altmap not supported for multiple ranges")) {
      return -Errno.EINVAL;
    }
    if (conflicts(model.physPfn(range.start())) || conflicts(model.physPfn(range.end()))) {
      return -Errno.ENOMEM;
    }
    int isRam =
        iomem.regionIntersects(
            range.start(),
            range.len(),
            Resource.IORESOURCE_SYSTEM_RAM,
            Resource.IORES_DESC_NONE);
    if (isRam != IomemResource.REGION_DISJOINT) {
      printk.warnOnOnce(
          true,
          isRam == IomemResource.REGION_MIXED
              ? "pagemap_range: attempted on mixed region"
              : "pagemap_range: attempted on ram region");
      return -Errno.ENXIO;
    }
    return 0;
  }

  @Kernel(file = "mm/memremap.c", symbol = "pagemap_range")
  private int pagemapRange(DevPagemap pgmap, MhpParams params, int rangeId, int nid) {
    boolean isPrivate = pgmap.type == MemoryType.MEMORY_DEVICE_PRIVATE;
    Range range = pgmap.ranges[rangeId];
    long startPfn = model.physPfn(range.start());
    long nrPages = model.physPfn(range.len());
    int error = checkRange(pgmap, rangeId);
    if (error != 0) {
      return error;
    }
    error = xaStoreRange(startPfn, model.physPfn(range.end()), pgmap);
    if (error != 0) {
      return error;
    }
    int node = nid < 0 ? numaMemId() : nid;
    error = pfnmapTrack(pgmap, startPfn, nrPages);
    if (error != 0) {
      pgmapArrayDelete(range);
      return error;
    }
    if (!hotplug.mhpRangeAllowed(range.start(), range.len(), !isPrivate)) {
      pfnmapUntrack(pgmap, startPfn, nrPages);
      pgmapArrayDelete(range);
      return -Errno.EINVAL;
    }
    Zone zone = mm.nodes().nodeData(node).zone(ZoneType.ZONE_DEVICE);
    error = addAndMove(zone, range, params, isPrivate);
    if (error != 0) {
      pfnmapUntrack(pgmap, startPfn, nrPages);
      pgmapArrayDelete(range);
      return error;
    }
    mmInit.memmapInitZoneDevice(zone, startPfn, nrPages, pgmap);
    if (!isPrivateOrCoherent(pgmap)) {
      refs.percpuRefGetMany(pgmap, pfnLen(pgmap, rangeId));
    }
    return 0;
  }

  /**
   * What {@code pagemap_range()} does under the hotplug lock. Private memory cannot be reached by a
   * CPU, so it gets struct pages but no linear mapping.
   */
  private int addAndMove(Zone zone, Range range, MhpParams params, boolean isPrivate) {
    long startPfn = model.physPfn(range.start());
    long nrPages = model.physPfn(range.len());
    hotplug.locks().memHotplugBegin();
    int error =
        isPrivate
            ? hotplug.archAddPages(zone.nid(), startPfn, nrPages, params)
            : hotplug.archAddMemory(zone.nid(), range.start(), range.len(), params);
    if (error == 0) {
      hotplug.movePfnRangeToZone(
          zone, startPfn, nrPages, params.altmap(), Migratetype.MIGRATE_MOVABLE, false);
    }
    hotplug.locks().memHotplugDone();
    return error;
  }

  @Kernel(
      file = "include/linux/topology.h",
      symbol = "numa_mem_id",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "CPUs are on no node here: the first node that has memory is taken.")
  private int numaMemId() {
    return mm.nodes().online().stream()
        .filter(node -> node.nodePresentPages != 0)
        .findFirst()
        .orElseGet(() -> mm.nodes().nodeData(0))
        .nodeId();
  }

  @Kernel(
      file = "include/linux/pgtable.h",
      symbol = "pfnmap_track",
      fidelity = Kernel.Fidelity.CUSTOM,
      why =
          "Cache types are not modelled, but the record that keeps them may fail; books "
              + "the frames.")
  private int pfnmapTrack(DevPagemap pgmap, long pfn, long nrPages) {
    if (mm.mayFail("pfnmap_track")) {
      return -Errno.ENOMEM;
    }
    book(pgmap, pfn, nrPages, Owner.NONE, Owner.DEVICE);
    return 0;
  }

  @Kernel(
      file = "include/linux/pgtable.h",
      symbol = "pfnmap_untrack",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Cache types are not modelled; books the frames.")
  private void pfnmapUntrack(DevPagemap pgmap, long pfn, long nrPages) {
    book(pgmap, pfn, nrPages, Owner.DEVICE, Owner.NONE);
  }

  /**
   * Books the frames of a range. Private memory has none. What lies in the middle of the range may
   * be another device's, as the kernel looks at the two ends only.
   */
  private void book(DevPagemap pgmap, long pfn, long nrPages, Owner from, Owner to) {
    if (pgmap.type == MemoryType.MEMORY_DEVICE_PRIVATE) {
      return;
    }
    long end = pfn + nrPages;
    long aside = pfn + Math.min(nrPages, VmemAltmap.vmemAltmapOffset(pgmap.pgmapAltmap()));
    for (long at = pfn; at < end; ) {
      Range other = nextOther(pgmap, at);
      long border = other == null ? end : Math.clamp(model.physPfn(other.start()), at, end);
      book(at, Math.min(aside, border), true, from, to);
      book(Math.max(at, aside), border, false, from, to);
      at = other == null ? end : model.physPfn(other.end()) + 1;
    }
  }

  /**
   * The same for a part of it, set {@code aside} for an altmap or not. When adding memory fails half
   * way, the kernel leaves the sections that it had added, so some of an altmap may stay in use; and
   * that may lie anywhere in the range of the next attempt.
   */
  private void book(long pfn, long end, boolean aside, Owner from, Owner to) {
    Ledger ledger = mm.machine().ledger();
    for (long at = pfn, next; at < end; at = next) {
      next = ledger.sameOwnerUntil(at, end);
      FrameOwner owner = ledger.ownerOf(at);
      boolean left = aside ? owner != from : owner == Owner.ALTMAP;
      if (!left) {
        ledger.transfer(at, next - at, from, to);
      }
    }
  }

  /** The first range of another device that ends behind {@code pfn}; null for none. */
  private @Nullable Range nextOther(DevPagemap pgmap, long pfn) {
    return byVa.values().stream()
        .filter(other -> other != pgmap)
        .flatMap(other -> Stream.of(other.ranges).limit(other.nrRange))
        .filter(range -> model.physPfn(range.end()) >= pfn)
        .min(Comparator.comparingLong(Range::start))
        .orElse(null);
  }

  /** The checks by type at the head of {@code memremap_pages()}: 0 or -EINVAL. */
  private int checkType(DevPagemap pgmap) {
    boolean isPrivate = pgmap.type == MemoryType.MEMORY_DEVICE_PRIVATE;
    if (!isPrivateOrCoherent(pgmap)) {
      // FS_DAX and PCI_P2PDMA only change the protection of the linear mapping.
      return 0;
    }
    DevPagemap.Ops ops = pgmap.ops;
    if (isPrivate && (ops == null || ops.migrateToRam() == null)) {
      printk.warnOn(true, "memremap_pages: Missing migrate_to_ram method");
      return -Errno.EINVAL;
    }
    if (ops == null) {
      throw new KernelBug("memremap_pages: pgmap->ops is NULL");
    }
    if (ops.folioFree() == null) {
      printk.warnOn(true, "memremap_pages: Missing folio_free method");
      return -Errno.EINVAL;
    }
    if (pgmap.owner == null) {
      printk.warnOn(true, "memremap_pages: Missing owner");
      return -Errno.EINVAL;
    }
    return 0;
  }

  /**
   * {@code memremap_pages()}: makes struct pages for the ranges of {@code pgmap}, in zone Device of
   * node {@code nid} (negative for the caller's).
   *
   * @return the linear address of the first range; or an error as {@link Page#err} has it: -EINVAL
   *     (no ranges, order too large, misaligned, altmap does not fit), -ENOMEM, -ENXIO (overlaps
   *     RAM), -EEXIST (has struct pages). After an error nothing is left of it.
   */
  @Kernel(file = "mm/memremap.c", symbol = "memremap_pages")
  public long memremapPages(DevPagemap pgmap, int nid) {
    int nrRange = pgmap.nrRange;
    if (printk.warnOnOnce(nrRange == 0, "memremap_pages: nr_range must be specified")) {
      return -Errno.EINVAL;
    }
    if (printk.warnOnOnce(
        pgmap.vmemmapShift > mm.mmzone().maxFolioOrder(),
        "memremap_pages: requested folio size unsupported")) {
      return -Errno.EINVAL;
    }
    int error = checkType(pgmap);
    if (error != 0) {
      return error;
    }
    error = refs.percpuRefInit(pgmap);
    if (error != 0) {
      return error;
    }
    byVa.put(pgmap.va(), pgmap);
    MhpParams params = new MhpParams(pgmap.pgmapAltmap(), pgmap);
    // From here on nr_range counts what memunmap_pages() would have to undo.
    pgmap.nrRange = 0;
    for (int i = 0; i < nrRange && error == 0; i++) {
      error = pagemapRange(pgmap, params, i, nid);
      if (error == 0) {
        pgmap.nrRange++;
      }
    }
    if (error != 0) {
      memunmapPages(pgmap);
      pgmap.nrRange = nrRange;
      return error;
    }
    return model.va(pgmap.ranges[0].start());
  }

  /** {@code devm_memremap_pages()}: {@link #memremapPages}, undone when {@code dev} is unbound. */
  @Kernel(file = "mm/memremap.c", symbol = "devm_memremap_pages")
  public long devmMemremapPages(Device dev, DevPagemap pgmap) {
    long ret = memremapPages(pgmap, dev.numaNode());
    if (new Page(ret).isErr()) {
      return ret;
    }
    int error = dev.devmAddActionOrReset(mm, pgmap, () -> devmMemremapPagesRelease(pgmap));
    return error != 0 ? error : ret;
  }

  /** {@code devm_memunmap_pages()}: undoes {@link #devmMemremapPages} early. */
  @Kernel(file = "mm/memremap.c", symbol = "devm_memunmap_pages")
  public void devmMemunmapPages(Device dev, DevPagemap pgmap) {
    dev.devmReleaseAction(printk, pgmap);
  }

  /**
   * {@code get_dev_pagemap()}: takes a reference to the device of {@code pfn}; null when the pfn
   * belongs to none or to one that goes away.
   */
  @Override
  @Kernel(file = "mm/memremap.c", symbol = "get_dev_pagemap")
  public @Nullable DevPagemap getDevPagemap(long pfn) {
    Map.Entry<Long, Stored> entry = pgmapArray.floorEntry(pfn);
    if (entry == null || entry.getValue().last < pfn) {
      return null;
    }
    DevPagemap pgmap = entry.getValue().pgmap;
    return refs.percpuRefTrygetLive(pgmap) ? pgmap : null;
  }

  /** {@code put_dev_pagemap()}. */
  @Override
  @Kernel(file = "include/linux/memremap.h", symbol = "put_dev_pagemap")
  public void putDevPagemap(@Nullable DevPagemap pgmap) {
    if (pgmap != null) {
      refs.percpuRefPutMany(pgmap, 1);
    }
  }

  /** True when the pfn belongs to a device that is in use; keeps no reference. */
  boolean belongsToDevice(long pfn) {
    DevPagemap pgmap = getDevPagemap(pfn);
    putDevPagemap(pgmap);
    return pgmap != null;
  }

  /** {@code page_pgmap()}: the device of a page of zone Device; null when word 1 names none. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "page_pgmap")
  public @Nullable DevPagemap pagePgmap(Page page) {
    printk.vmWarnOnOnce(
        mm.inline().pageZonenum(page) != ZoneType.ZONE_DEVICE,
        "page_pgmap: !memdesc_is_zone_device(&page->flags)");
    Folio folio = mm.flags().pageFolio(page);
    return byVa.get(struct.compoundInfo(folio.page()));
  }

  /** {@code free_zone_device_folio()}: the last reference to a device's folio is gone. */
  @Kernel(
      file = "mm/memremap.c",
      symbol = "free_zone_device_folio",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without memory cgroups and anonymous folios, which no modelled device has.")
  public void freeZoneDeviceFolio(Folio folio) {
    DevPagemap pgmap = pagePgmap(folio.page());
    if (pgmap == null) {
      printk.warnOnOnce(true, "free_zone_device_folio: !pgmap");
      return;
    }
    long nr = mm.inline().folioNrPages(folio);
    boolean keepsMapping =
        pgmap.type == MemoryType.MEMORY_DEVICE_FS_DAX
            || pgmap.type == MemoryType.MEMORY_DEVICE_GENERIC;
    if (!keepsMapping) {
      struct.setMapping(folio.page(), 0);
    }
    switch (pgmap.type) {
      case MEMORY_DEVICE_PRIVATE, MEMORY_DEVICE_COHERENT -> {
        if (callFolioFree(pgmap, folio)) {
          refs.percpuRefPutMany(pgmap, nr);
        }
      }
      // The page stays with its device and is ready to be handed out again.
      case MEMORY_DEVICE_GENERIC -> mm.refs().setPageCount(folio.page(), 1);
      case MEMORY_DEVICE_FS_DAX -> {
        // Wakes who waits for the page to become idle: nobody here.
      }
      case MEMORY_DEVICE_PCI_P2PDMA -> callFolioFree(pgmap, folio);
    }
  }

  private boolean callFolioFree(DevPagemap pgmap, Folio folio) {
    DevPagemap.Ops ops = pgmap.ops;
    if (ops == null || ops.folioFree() == null) {
      printk.warnOnOnce(true, "free_zone_device_folio: !pgmap->ops || !pgmap->ops->folio_free");
      return false;
    }
    ops.folioFree().accept(folio);
    return true;
  }

  /**
   * {@code zone_device_page_init()}: a driver hands out 2^{@code order} free pages as one folio.
   */
  @Kernel(file = "mm/memremap.c", symbol = "zone_device_page_init")
  public void zoneDevicePageInit(Page page, DevPagemap pgmap, int order) {
    long maxOrderNrPages = 1L << mm.config().maxPageOrder();
    printk.vmWarnOnOnce(
        order > maxOrderNrPages, "zone_device_page_init: order > MAX_ORDER_NR_PAGES");
    for (long i = 0; i < 1L << order; i++) {
      Page each = struct.add(page, i);
      // The page may have been the second of a larger folio, whose order is in these bits.
      struct.setFlags(each, struct.flags(each) & ~0xffL);
      if (struct.size() > StructPage.NR_PAGES) {
        struct.setHalf(each, StructPage.NR_PAGES, 0);
      }
      struct.setMapping(each, 0);
      struct.setCompoundInfo(each, pgmap.va());
      struct.setWord(each, StructPage.INDEX, 0);
      printk.vmWarnOnOnce(
          struct.refcount(each) != 0, "zone_device_page_init: folio_ref_count(new_folio)");
      printk.vmWarnOnOnce(
          mm.inline().pageZonenum(each) != ZoneType.ZONE_DEVICE,
          "zone_device_page_init: !folio_is_zone_device(new_folio)");
    }
    printk.warnOnOnce(
        !refs.percpuRefTrygetMany(pgmap, 1L << order),
        "zone_device_page_init: !percpu_ref_tryget_many(&page_pgmap(page)->ref, 1 << order)");
    mm.refs().setPageCount(page, 1);
    mm.flags().set(page, PageFlags.PG_LOCKED);
    if (order != 0) {
      pageAlloc.prepCompoundPage(page, order);
    }
  }
}
