// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.machine.Cpu;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Align;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.ZoneType;

/**
 * The part of mm_init.c that writes one struct page, and the same for a run of them.
 *
 * <pre>
 *   a struct page right after __init_single_page()
 *   word 0   node | zone | last_cpupid all ones | no flags
 *   word 1   lru.next = its own address + 8
 *   word 2   lru.prev = its own address + 8
 *   word 3-5 0
 *   word 6   _refcount 1 | _mapcount -1
 *   word 7   0
 * </pre>
 *
 * <p>Millions of them are written at boot. All in a run differ only in their own address, so a run
 * is written with one translation for each page of memmap. That is what the loop over single pages
 * does too, in the same order, as long as a struct page never crosses from one page of memmap into
 * the next; where it does (56, 72 and 80 bytes) the run falls back to that loop.
 */
@Kernel(file = "mm/mm_init.c", symbol = "__init_single_page")
final class StructPageInit {
  private static final int PGMAP = 8;
  private static final int ZONE_DEVICE_DATA = 16;
  private static final long REFCOUNT_1 = 1L << 32;
  private static final long MAPCOUNT_NONE = 0xffff_ffffL;

  /** What a page is marked with right after it was initialised. */
  enum Mark {
    /** Nothing: RAM at boot. */
    NONE,
    /** PG_reserved: a hole, or device memory. */
    RESERVED,
    /** The page type for hot-added RAM that is not online yet. */
    OFFLINE
  }

  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final int size;
  private final boolean tiles;

  StructPageInit(Mm mm, PageAlloc pageAlloc) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.size = mm.config().sizeofStructPage();
    this.tiles = mm.model().pageSize() % size == 0;
  }

  /** {@code __init_single_page()}: one reference, not mapped, on no list. */
  @Kernel(file = "mm/mm_init.c", symbol = "__init_single_page")
  void initSinglePage(Page page, ZoneType zone, int nid) {
    mm.struct().mmZeroStructPage(page);
    mm.inline().setPageLinks(page, zone, nid);
    mm.refs().initPageCount(page);
    mm.struct().setMapcount(page, -1);
    mm.inline().pageCpupidResetLast(page);
    mm.lists().initListHead(mm.struct().lru(page));
  }

  /** {@link #initSinglePage} and the mark for all of {@code [pfn, endPfn)}, upwards. */
  void initPages(long pfn, long endPfn, ZoneType zone, int nid, Mark mark) {
    if (!tiles) {
      for (; pfn < endPfn; pfn++) {
        initAndMark(mm.model().pfnToPage(pfn), zone, nid, mark);
      }
      return;
    }
    long flags = mm.inline().initialFlags(zone, nid);
    long lru = mm.struct().lru(mm.model().pfnToPage(pfn)).va();
    long[] words = pattern(mark == Mark.RESERVED ? reserved(flags) : flags, lru, lru, 0, 1);
    if (mark == Mark.OFFLINE) {
      words[6] = REFCOUNT_1 | (long) PageFlags.PGTY_OFFLINE << 24;
    }
    long[] step = new long[words.length];
    step[1] = size;
    step[2] = size;
    writeRun(pfn, endPfn, words, step);
  }

  private void initAndMark(Page page, ZoneType zone, int nid, Mark mark) {
    initSinglePage(page, zone, nid);
    switch (mark) {
      case NONE -> {}
      case RESERVED -> mm.flags().set(page, PageFlags.PG_RESERVED);
      case OFFLINE -> mm.flags().setType(page, PageFlags.PGTY_OFFLINE);
    }
  }

  /**
   * {@code __init_zone_device_page()}: reserved until somebody onlines it, and tied to its device
   * where other pages have their list.
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "__init_zone_device_page",
      patches = {6})
  void initZoneDevicePage(Page page, ZoneType zone, int nid, DevPagemap pgmap) {
    initSinglePage(page, zone, nid);
    mm.flags().set(page, PageFlags.PG_RESERVED);
    // The list that was just made empty is what makes page_folio() answer "the page itself" here.
    Page folio = mm.flags().pageFolio(page).page();
    mm.struct().setWord(folio, PGMAP, pgmap.va());
    mm.struct().setWord(page, ZONE_DEVICE_DATA, 0);
    mm.refs().setPageCount(page, initialCount(pgmap));
  }

  /**
   * The references of a fresh device page. Only generic memory keeps the one that all pages start
   * with; for the other types the driver's allocator takes it when it hands the page out.
   */
  private static int initialCount(DevPagemap pgmap) {
    return switch (pgmap.type) {
      case MEMORY_DEVICE_FS_DAX,
          MEMORY_DEVICE_PRIVATE,
          MEMORY_DEVICE_COHERENT,
          MEMORY_DEVICE_PCI_P2PDMA ->
          0;
      case MEMORY_DEVICE_GENERIC -> 1;
    };
  }

  /** {@link #initZoneDevicePage} for all of {@code [pfn, endPfn)}, upwards. */
  void initZoneDevicePages(long pfn, long endPfn, ZoneType zone, int nid, DevPagemap pgmap) {
    if (!tiles) {
      for (; pfn < endPfn; pfn++) {
        initZoneDevicePage(mm.model().pfnToPage(pfn), zone, nid, pgmap);
      }
      return;
    }
    long flags = reserved(mm.inline().initialFlags(zone, nid));
    long[] words = pattern(flags, pgmap.va(), 0, 0, initialCount(pgmap));
    writeRun(pfn, endPfn, words, new long[words.length]);
  }

  /**
   * The tails {@code [pfn, endPfn)} of a compound device page: {@link #initZoneDevicePage}, {@code
   * prep_compound_tail()} and no reference for each, upwards.
   */
  void initZoneDeviceTails(
      long pfn, long endPfn, Page head, ZoneType zone, int nid, DevPagemap pgmap) {
    int order = pgmap.vmemmapShift;
    if (!tiles) {
      for (; pfn < endPfn; pfn++) {
        Page page = mm.model().pfnToPage(pfn);
        initZoneDevicePage(page, zone, nid, pgmap);
        mm.inline().prepCompoundTail(page, head, order);
        mm.refs().setPageCount(page, 0);
      }
      return;
    }
    // prep_compound_tail() warns of a private that is not 0; here it is part of the pattern.
    long flags = reserved(mm.inline().initialFlags(zone, nid));
    long info = mm.flags().compoundInfo(head, order);
    long[] words = pattern(flags, info, 0, mm.flags().tailMapping(), 0);
    writeRun(pfn, endPfn, words, new long[words.length]);
  }

  /**
   * {@code pageblock_migratetype_init_range()}: sets the type of every pageblock that starts in the
   * run.
   *
   * @param atomic the caller holds a lock: no other CPU is let in between
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "pageblock_migratetype_init_range",
      patches = {6, 7})
  void pageblockMigratetypeInitRange(
      long pfn, long nrPages, Migratetype migratetype, boolean atomic) {
    long end = pfn + nrPages;
    long step = mm.mmzone().pageblockNrPages();
    // kho_scratch_migratetype() returns the type that it is given: no kexec handover here.
    for (pfn = pageblockAlign(pfn); pfn < end; pfn += step) {
      pageAlloc.initPageblockMigratetype(mm.model().pfnToPage(pfn), migratetype, false);
      if (!atomic && Align.isAligned(pfn, mm.mmzone().pagesPerSection())) {
        mm.condResched(pfn);
      }
    }
  }

  /** {@code pageblock_align()}: up to the next start of a pageblock. */
  @Kernel(file = "include/linux/pageblock-flags.h", symbol = "pageblock_align")
  long pageblockAlign(long pfn) {
    return Align.align(pfn, mm.mmzone().pageblockNrPages());
  }

  private long[] pattern(long flags, long word1, long word2, long mapping, int count) {
    long[] words = new long[size / Long.BYTES];
    words[0] = flags;
    words[1] = word1;
    words[2] = word2;
    words[3] = mapping;
    words[6] = count * REFCOUNT_1 | MAPCOUNT_NONE;
    return words;
  }

  private static long reserved(long flags) {
    return flags | 1L << PageFlags.PG_RESERVED;
  }

  /** Writes through the memmap's own mapping, so aliased and read-only pages act as in hardware. */
  private void writeRun(long pfn, long endPfn, long[] words, long[] step) {
    Cpu cpu = mm.machine().cpu();
    long pageMask = mm.model().pageSize() - 1;
    long va = mm.model().pfnToPage(pfn).va();
    long end = mm.model().pfnToPage(endPfn).va();
    while (va != end) {
      long run = Math.min(end - va, pageMask + 1 - (va & pageMask));
      long paddr = cpu.translate(va, true);
      mm.machine().memory().setRecords(paddr, (int) (run / size), words, step);
      va += run;
    }
  }
}
