// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Align;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/**
 * mm/cma.c: memory that is set aside at boot for large allocations, and lent to movable pages until
 * somebody wants it.
 *
 * <pre>
 *   boot, memblock      {@link CmaDeclare}       reserves the ranges of an area
 *                       cmaReserveEarly()        hands out its first pages, before struct pages
 *   core initcall       cmaInitReservedAreas()   the rest goes to the page allocator, MIGRATE_CMA,
 *                                                or all of it, as plain memory, if that fails
 *   run time            cmaAllocFrozen()         isolates a run of pageblocks and takes them
 *                       cmaReleaseFrozen()       gives them back
 *
 *   base_pfn          early_pfn                                    base_pfn + count
 *      +------------------+--------------------------------------------+
 *      | handed out early | free for movable pages, or allocated       |
 *      +------------------+--------------------------------------------+
 *   bitmap  1 1 1 1 1 1 1   0 0 0 1 1 0 0 0 ...       a bit: 2^order_per_bit pages
 * </pre>
 *
 * Pages that are allocated come frozen, with a reference count of 0, unless the function says
 * otherwise. Not modelled: debugfs, sysfs, tracepoints, KASAN tags.
 */
@Kernel(file = "mm/cma.c", symbol = "cma_areas")
public final class Cma {
  /** CONFIG_CMA_AREAS of a kernel with NUMA. */
  static final int MAX_CMA_AREAS = 20;

  private final Mm mm;
  private final Memblock memblock;
  private final PageAlloc pageAlloc;
  private final MmInitHooks mmInit;
  private final Bitmaps bitmaps;
  private final List<CmaArea> cmaAreas = new ArrayList<>();
  private long allocSuccess;
  private long allocFail;

  /** What mm/cma.c asks of mm/mm_init.c, which lies above. */
  public interface MmInitHooks {
    /** {@code pfn_range_intersects_zones()}: true when the range touches more than one zone. */
    @Kernel(file = "mm/mm_init.c", symbol = "pfn_range_intersects_zones")
    boolean pfnRangeIntersectsZones(int nid, long startPfn, long nrPages);

    /** {@code init_cma_reserved_pageblock()}: frees a reserved pageblock as MIGRATE_CMA. */
    @Kernel(file = "mm/mm_init.c", symbol = "init_cma_reserved_pageblock")
    void initCmaReservedPageblock(Page page);
  }

  /** No areas yet. */
  public Cma(Mm mm, Memblock memblock, PageAlloc pageAlloc, Slab slab, MmInitHooks mmInit) {
    this.mm = mm;
    this.memblock = memblock;
    this.pageAlloc = pageAlloc;
    this.mmInit = mmInit;
    this.bitmaps = new Bitmaps(mm, slab);
  }

  // ---- questions about an area ----

  /** {@code cma_get_base()}: physical address; of the first range if there are several. */
  @Kernel(file = "mm/cma.c", symbol = "cma_get_base")
  public long cmaGetBase(CmaArea cma) {
    mm.printk().warnOnOnce(cma.ranges.size() != 1, "cma_get_base: cma->nranges != 1");
    return mm.model().pfnPhys(cma.ranges.getFirst().basePfn);
  }

  /** {@code cma_get_size()}: bytes. */
  @Kernel(file = "mm/cma.c", symbol = "cma_get_size")
  public long cmaGetSize(CmaArea cma) {
    return cma.count << mm.model().pageShift();
  }

  /** {@code cma_for_each_area()}: until {@code it} returns something else than 0. */
  @Kernel(file = "mm/cma.c", symbol = "cma_for_each_area")
  public int cmaForEachArea(ToIntFunction<CmaArea> it) {
    for (CmaArea cma : cmaAreas) {
      int ret = it.applyAsInt(cma);
      if (ret != 0) {
        return ret;
      }
    }
    return 0;
  }

  /**
   * {@code cma_intersects()}: true when a range of the area has an address of {@code start} to
   * {@code end}; unlike elsewhere in the file, {@code end} belongs to what is asked about.
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_intersects")
  public boolean cmaIntersects(CmaArea cma, long start, long end) {
    for (CmaMemrange cmr : cma.ranges) {
      long rstart = mm.model().pfnPhys(cmr.basePfn);
      long rend = mm.model().pfnPhys(cmr.endPfn());
      if (end >= rstart && start < rend) {
        return true;
      }
    }
    return false;
  }

  /** All areas, in the order in which they were declared. */
  public List<CmaArea> areas() {
    return List.copyOf(cmaAreas);
  }

  /** CMA_ALLOC_SUCCESS: allocations that succeeded. */
  public long allocSuccess() {
    return allocSuccess;
  }

  /** CMA_ALLOC_FAIL: allocations that failed. */
  public long allocFail() {
    return allocFail;
  }

  // ---- the bitmap ----

  @Kernel(file = "mm/cma.c", symbol = "cma_bitmap_aligned_mask")
  private static long cmaBitmapAlignedMask(CmaArea cma, int alignOrder) {
    return alignOrder <= cma.orderPerBit ? 0 : (1L << (alignOrder - cma.orderPerBit)) - 1;
  }

  /** How far the range's first pfn is from being aligned, in bits. */
  @Kernel(file = "mm/cma.c", symbol = "cma_bitmap_aligned_offset")
  private static long cmaBitmapAlignedOffset(CmaArea cma, CmaMemrange cmr, int alignOrder) {
    return (cmr.basePfn & ((1L << alignOrder) - 1)) >>> cma.orderPerBit;
  }

  @Kernel(file = "mm/cma.c", symbol = "cma_bitmap_pages_to_bits")
  private static long cmaBitmapPagesToBits(CmaArea cma, long pages) {
    return Align.align(pages, 1L << cma.orderPerBit) >>> cma.orderPerBit;
  }

  @Kernel(file = "mm/cma.c", symbol = "cma_clear_bitmap")
  private void cmaClearBitmap(CmaArea cma, CmaMemrange cmr, long pfn, long count) {
    long bitmapNo = (pfn - cmr.basePfn) >>> cma.orderPerBit;
    lock(cma);
    bitmaps.bitmapClear(cmr.bitmap, bitmapNo, cmaBitmapPagesToBits(cma, count));
    addAvailable(cma, count);
    unlock(cma);
  }

  private void addAvailable(CmaArea cma, long pages) {
    cma.availableCount = mm.machine().add("available_count", cma.availableCount, pages);
  }

  /** Takes {@code cma->lock}: a point where another CPU may come first. */
  private void lock(CmaArea cma) {
    mm.machine().lock("cma->lock", cmaAreas.indexOf(cma));
  }

  /** Leaves {@code cma->lock}. */
  private void unlock(CmaArea cma) {
    mm.machine().unlock("cma->lock", cmaAreas.indexOf(cma));
  }

  /** Set bits of an activated area, for checks. */
  public long bitsInUse(CmaArea cma) {
    long[] used = {0};
    forEachBitInUse(cma, pfn -> used[0]++);
    return used[0];
  }

  /** The first pfn of what each set bit of an activated area stands for, for checks. */
  public void forEachBitInUse(CmaArea cma, LongConsumer visit) {
    for (CmaMemrange cmr : cma.ranges) {
      long maxno = cma.cmaBitmapMaxno(cmr);
      long bit = bitmaps.findNextBit(cmr.bitmap, maxno, 0);
      while (bit < maxno) {
        visit.accept(cmr.basePfn + (bit << cma.orderPerBit));
        bit = bitmaps.findNextBit(cmr.bitmap, maxno, bit + 1);
      }
    }
  }

  // ---- activation ----

  /**
   * {@code cma_validate_zones()}: true when each range lies in one zone, as alloc_contig_range()
   * needs. The first answer is kept, so it must not be asked for before there are zones.
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_validate_zones", patches = {14})
  public boolean cmaValidateZones(CmaArea cma) {
    boolean valid = cma.flags.contains(CmaArea.Flag.CMA_ZONES_VALID);
    if (valid || cma.flags.contains(CmaArea.Flag.CMA_ZONES_INVALID)) {
      return valid;
    }
    for (CmaMemrange cmr : cma.ranges) {
      if (!mm.series().validatesCmaZonesAtReserve()) {
        warnPfnValid(cmr, "cma_validate_zones");
      }
      if (mmInit.pfnRangeIntersectsZones(cma.nid, cmr.basePfn, cmr.count)) {
        cma.flags.add(CmaArea.Flag.CMA_ZONES_INVALID);
        return false;
      }
    }
    cma.flags.add(CmaArea.Flag.CMA_ZONES_VALID);
    return true;
  }

  private void warnPfnValid(CmaMemrange cmr, String function) {
    mm.printk()
        .warnOnOnce(!mm.mmzone().pfnValid(cmr.basePfn), function + ": !pfn_valid(base_pfn)");
  }

  @Kernel(file = "mm/cma.c", symbol = "cma_activate_area", patches = {14})
  private void cmaActivateArea(CmaArea cma) {
    for (CmaMemrange cmr : cma.ranges) {
      cmr.bitmap = bitmaps.bitmapZalloc(cma.cmaBitmapMaxno(cmr), "cma_activate_area");
      if (cmr.bitmap == 0) {
        cmaActivateCleanup(cma);
        return;
      }
    }
    if (!cmaValidateZones(cma)) {
      cmaActivateCleanup(cma);
      return;
    }
    for (CmaMemrange cmr : cma.ranges) {
      if (cmr.earlyPfn != cmr.basePfn) {
        long bits = cmaBitmapPagesToBits(cma, cmr.earlyPfn - cmr.basePfn);
        bitmaps.bitmapSet(cmr.bitmap, 0, bits);
      }
      if (mm.series().validatesCmaZonesAtReserve()) {
        warnPfnValid(cmr, "cma_activate_area");
      }
      long step = mm.mmzone().pageblockNrPages();
      for (long pfn = cmr.earlyPfn; pfn < cmr.endPfn(); pfn += step) {
        mmInit.initCmaReservedPageblock(mm.model().pfnToPage(pfn));
      }
    }
    cma.flags.add(CmaArea.Flag.CMA_ACTIVATED);
  }

  /** The label cleanup: what was not handed out early becomes plain memory. */
  private void cmaActivateCleanup(CmaArea cma) {
    for (CmaMemrange cmr : cma.ranges) {
      bitmaps.bitmapFree(cmr.bitmap);
      cmr.bitmap = 0;
    }
    if (!cma.flags.contains(CmaArea.Flag.CMA_RESERVE_PAGES_ON_ERROR)) {
      for (CmaMemrange cmr : cma.ranges) {
        for (long pfn = cmr.earlyPfn; pfn < cmr.endPfn(); pfn++) {
          pageAlloc.freeReservedPage(mm.model().pfnToPage(pfn));
        }
      }
    }
    pageAlloc.totalcmaPagesAdd(-cma.count);
    cma.availableCount = 0;
    cma.count = 0;
    mm.printk().prErr("cma: CMA area " + cma.name + " could not be activated");
  }

  /** {@code cma_init_reserved_areas()}: a core initcall. */
  @Kernel(file = "mm/cma.c", symbol = "cma_init_reserved_areas")
  public void cmaInitReservedAreas() {
    cmaAreas.forEach(this::cmaActivateArea);
  }

  /** {@code cma_reserve_pages_on_error()}: the owner knows better what to do with the pages. */
  @Kernel(file = "mm/cma.c", symbol = "cma_reserve_pages_on_error")
  public void cmaReservePagesOnError(CmaArea cma) {
    cma.flags.add(CmaArea.Flag.CMA_RESERVE_PAGES_ON_ERROR);
  }

  // ---- new areas ----

  /** True when {@code cma_areas[]} is full. */
  boolean noSlots() {
    if (cmaAreas.size() < MAX_CMA_AREAS) {
      return false;
    }
    mm.printk().prErr("cma: Not enough slots for CMA reserved regions!");
    return true;
  }

  /** {@code size} in bytes; null, which stands for -ENOSPC, when there is no slot. */
  @Kernel(file = "mm/cma.c", symbol = "cma_new_area")
  @Nullable CmaArea cmaNewArea(@Nullable String name, long size, int orderPerBit) {
    if (noSlots()) {
      return null;
    }
    String named = name != null ? name : "cma" + (cmaAreas.size() + 1);
    CmaArea cma = new CmaArea(named, size >>> mm.model().pageShift(), orderPerBit);
    cmaAreas.add(cma);
    pageAlloc.totalcmaPagesAdd(cma.count);
    return cma;
  }

  /** Only ever the newest area. */
  @Kernel(file = "mm/cma.c", symbol = "cma_drop_area")
  void cmaDropArea(CmaArea cma) {
    pageAlloc.totalcmaPagesAdd(-cma.count);
    cmaAreas.removeLast();
  }

  /**
   * {@code cma_init_reserved_mem()}: an area of memory that is reserved in memblock already.
   *
   * @param base physical address, aligned to a pageblock as {@code size} in bytes
   * @param name null for cmaN
   * @param resCma is given the area
   * @return 0, -EINVAL, -ENOSPC
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_init_reserved_mem")
  public int cmaInitReservedMem(
      long base, long size, int orderPerBit, @Nullable String name, Consumer<CmaArea> resCma) {
    if (size == 0 || !memblock.memblockIsRegionReserved(base, size)) {
      return -Errno.EINVAL;
    }
    if (mm.config().pageblockOrder() == 0) {
      mm.printk()
          .prErr("cma: pageblock_order not yet initialized. Called during early boot?");
      return -Errno.EINVAL;
    }
    if (!Align.isAligned(base | size, cmaMinAlignmentBytes())) {
      return -Errno.EINVAL;
    }
    CmaArea cma = cmaNewArea(name, size, orderPerBit);
    if (cma == null) {
      return -Errno.ENOSPC;
    }
    cma.ranges.add(new CmaMemrange(mm.model().physPfn(base), cma.count));
    resCma.accept(cma);
    return 0;
  }

  /** CMA_MIN_ALIGNMENT_BYTES: a pageblock. */
  @Kernel(file = "include/linux/cma.h", symbol = "CMA_MIN_ALIGNMENT_BYTES")
  long cmaMinAlignmentBytes() {
    return mm.model().pageSize() * mm.mmzone().pageblockNrPages();
  }

  // ---- allocating ----

  /** What is free: runs as pages@bit. pr_cont joins lines, but not across a line that has ended. */
  @Kernel(file = "mm/cma.c", symbol = "cma_debug_show_areas")
  private void cmaDebugShowAreas(CmaArea cma) {
    lock(cma);
    mm.printk().prInfo("cma: number of available pages: ");
    for (int r = 0; r < cma.ranges.size(); r++) {
      CmaMemrange cmr = cma.ranges.get(r);
      long nbits = cma.cmaBitmapMaxno(cmr);
      StringBuilder line = new StringBuilder("cma: range " + r + ": ");
      long start = bitmaps.findNextZeroBit(cmr.bitmap, nbits, 0);
      while (start < nbits) {
        long end = bitmaps.findNextBit(cmr.bitmap, nbits, start);
        line.append(start != 0 ? "+" : "").append((end - start) << cma.orderPerBit);
        line.append('@').append(start);
        start = bitmaps.findNextZeroBit(cmr.bitmap, nbits, end);
      }
      mm.printk().prInfo(line.toString());
      mm.printk().prInfo("cma: ");
    }
    mm.printk()
        .prInfo("=> %d free of %d total pages".formatted(cma.availableCount, cma.count));
    unlock(cma);
  }

  /** What cma_range_alloc() returns through its result and its pointer. */
  private record RangeAlloc(int ret, @Nullable Page page) {}

  /** Pages that memmap lies behind without a gap are contiguous: there is no other memmap here. */
  @Kernel(file = "mm/cma.c", symbol = "cma_range_alloc")
  private RangeAlloc cmaRangeAlloc(
      CmaArea cma, CmaMemrange cmr, long count, int align, Gfp gfp) {
    long mask = cmaBitmapAlignedMask(cma, align);
    long offset = cmaBitmapAlignedOffset(cma, cmr, align);
    long bitmapMaxno = cma.cmaBitmapMaxno(cmr);
    long bitmapCount = cmaBitmapPagesToBits(cma, count);
    int ret = -Errno.EBUSY;
    if (bitmapCount > bitmapMaxno) {
      return new RangeAlloc(ret, null);
    }
    for (long start = 0; ; ) {
      lock(cma);
      if (count > cma.availableCount) {
        unlock(cma);
        return new RangeAlloc(ret, null);
      }
      long bitmapNo =
          bitmaps.bitmapFindNextZeroAreaOff(
              cmr.bitmap, bitmapMaxno, start, bitmapCount, mask, offset);
      if (bitmapNo >= bitmapMaxno) {
        unlock(cma);
        return new RangeAlloc(ret, null);
      }
      long pfn = cmr.basePfn + (bitmapNo << cma.orderPerBit);
      bitmaps.bitmapSet(cmr.bitmap, bitmapNo, bitmapCount);
      addAvailable(cma, -count);
      unlock(cma);
      mm.machine().lock("cma->alloc_mutex", cmaAreas.indexOf(cma));
      ret = pageAlloc.allocContigFrozenRange(pfn, pfn + count, true, gfp);
      mm.machine().unlock("cma->alloc_mutex", cmaAreas.indexOf(cma));
      if (ret == 0) {
        return new RangeAlloc(0, mm.model().pfnToPage(pfn));
      }
      cmaClearBitmap(cma, cmr, pfn, count);
      if (ret != -Errno.EBUSY) {
        return new RangeAlloc(ret, null);
      }
      long busy = pfn;
      mm.printk()
          .prDebug(
              () ->
                  "cma: cma_range_alloc(): memory range at pfn 0x%x is busy, retrying"
                      .formatted(busy));
      start = bitmapNo + mask + 1;
    }
  }

  @Kernel(file = "mm/cma.c", symbol = "__cma_alloc_frozen")
  private @Nullable Page cmaAllocFrozen0(@Nullable CmaArea cma, long count, int align, Gfp gfp) {
    if (cma == null || cma.count == 0 || count == 0) {
      return null;
    }
    RangeAlloc found = new RangeAlloc(-Errno.ENOMEM, null);
    for (CmaMemrange cmr : cma.ranges) {
      found = cmaRangeAlloc(cma, cmr, count, align, gfp);
      if (found.ret != -Errno.EBUSY || found.page != null) {
        break;
      }
    }
    if (found.ret != 0 && !gfp.has(Gfp.NOWARN)) {
      mm.printk()
          .prErr(
              "cma: __cma_alloc_frozen: %s: alloc failed, req-size: %d pages, ret: %d"
                  .formatted(cma.name, count, found.ret));
      cmaDebugShowAreas(cma);
    }
    if (found.page != null) {
      allocSuccess++;
    } else {
      allocFail++;
    }
    return found.page;
  }

  /**
   * {@code cma_alloc_frozen()}: {@code count} single pages.
   *
   * @param cma null for none, as a caller may have failed to get an area
   * @param align order of the alignment, in pages
   * @param noWarn true to fail in silence
   * @return the first page, or null
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_alloc_frozen")
  public @Nullable Page cmaAllocFrozen(
      @Nullable CmaArea cma, long count, int align, boolean noWarn) {
    return cmaAllocFrozen0(cma, count, align, noWarn ? Gfp.KERNEL.or(Gfp.NOWARN) : Gfp.KERNEL);
  }

  /** {@code cma_alloc_frozen_compound()}: one compound page of 2^{@code order}, or null. */
  @Kernel(file = "mm/cma.c", symbol = "cma_alloc_frozen_compound")
  public @Nullable Page cmaAllocFrozenCompound(@Nullable CmaArea cma, int order) {
    Gfp gfp = Gfp.KERNEL.or(Gfp.COMPOUND).or(Gfp.NOWARN);
    return cmaAllocFrozen0(cma, 1L << order, order, gfp);
  }

  /** {@code cma_alloc()}: as {@link #cmaAllocFrozen}, with a reference on each page. */
  @Kernel(file = "mm/cma.c", symbol = "cma_alloc")
  public @Nullable Page cmaAlloc(@Nullable CmaArea cma, long count, int align, boolean noWarn) {
    Page page = cmaAllocFrozen(cma, count, align, noWarn);
    for (long i = 0; page != null && i < count; i++) {
      pageAlloc.setPageRefcounted(mm.struct().add(page, i));
    }
    return page;
  }

  // ---- releasing ----

  @Kernel(file = "mm/cma.c", symbol = "find_cma_memrange")
  private @Nullable CmaMemrange findCmaMemrange(@Nullable CmaArea cma, Page pages, long count) {
    if (cma == null || count > cma.count) {
      return null;
    }
    long pfn = mm.model().pageToPfn(pages);
    for (CmaMemrange cmr : cma.ranges) {
      if (pfn >= cmr.basePfn && pfn < cmr.endPfn()) {
        if (pfn + count <= cmr.endPfn()) {
          return cmr;
        }
        mm.printk().vmWarnOnOnce(true, "find_cma_memrange: pfn + count > end_pfn");
      }
    }
    return null;
  }

  @Kernel(file = "mm/cma.c", symbol = "__cma_release_frozen")
  private void cmaReleaseFrozen0(CmaArea cma, CmaMemrange cmr, Page pages, long count) {
    long pfn = mm.model().pageToPfn(pages);
    pageAlloc.freeContigFrozenRange(pfn, count);
    cmaClearBitmap(cma, cmr, pfn, count);
  }

  /**
   * {@code cma_release()}: gives back what {@link #cmaAlloc} gave.
   *
   * @return false when the pages do not belong to the area; then nothing happened
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_release")
  public boolean cmaRelease(@Nullable CmaArea cma, Page pages, long count) {
    CmaMemrange cmr = findCmaMemrange(cma, pages, count);
    if (cma == null || cmr == null) {
      return false;
    }
    long inUse = 0;
    for (long i = 0; i < count; i++) {
      inUse += mm.refs().putPageTestzero(mm.struct().add(pages, i)) ? 0 : 1;
    }
    mm.printk().warnOn(inUse != 0, "cma_release: " + inUse + " pages are still in use!");
    cmaReleaseFrozen0(cma, cmr, pages, count);
    return true;
  }

  /** {@code cma_release_frozen()}: the same for {@link #cmaAllocFrozen}, compound pages too. */
  @Kernel(file = "mm/cma.c", symbol = "cma_release_frozen")
  public boolean cmaReleaseFrozen(@Nullable CmaArea cma, Page pages, long count) {
    CmaMemrange cmr = findCmaMemrange(cma, pages, count);
    if (cma == null || cmr == null) {
      return false;
    }
    cmaReleaseFrozen0(cma, cmr, pages, count);
    return true;
  }

  // ---- before the page allocator ----

  /**
   * {@code cma_reserve_early()}: memory of an area that is not activated yet. It is taken from the
   * bottom up and cannot be given back; the caller initialises its struct pages.
   *
   * @param size bytes, a multiple of a pageblock
   * @return linear address, or 0
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_reserve_early")
  public long cmaReserveEarly(@Nullable CmaArea cma, long size) {
    if (cma == null || cma.count == 0 || cma.activated()) {
      return 0;
    }
    if (!Align.isAligned(size, cmaMinAlignmentBytes())
        || !Align.isAligned(size, mm.model().pageSize() << cma.orderPerBit)) {
      return 0;
    }
    long pages = size >>> mm.model().pageShift();
    if (pages > cma.availableCount) {
      return 0;
    }
    for (CmaMemrange cmr : cma.ranges) {
      if (pages <= cmr.endPfn() - cmr.earlyPfn) {
        long va = mm.model().va(mm.model().pfnPhys(cmr.earlyPfn));
        cmr.earlyPfn += pages;
        addAvailable(cma, -pages);
        return va;
      }
    }
    return 0;
  }
}
