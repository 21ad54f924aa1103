// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;

/**
 * The flags of pageblocks, kept in each section's usage record.
 *
 * <pre>
 *   one byte for each pageblock
 *    7   6   5       4           3        2   1   0
 *  +---+---+---+-----------+----------+-------------+
 *  |   unused  |  isolate  |   skip   | migratetype |
 *  +---+---+---+-----------+----------+-------------+
 * </pre>
 *
 * Isolation has a bit of its own, so that the type comes back when it ends.
 */
@Kernel(file = "include/linux/pageblock-flags.h", symbol = "enum pageblock_bits")
final class Pageblocks {
  static final int PB_COMPACT_SKIP = 3;
  static final int PB_MIGRATE_ISOLATE = 4;
  static final int NR_PAGEBLOCK_BITS_USED = 5;
  static final int PAGEBLOCK_MIGRATETYPE_MASK = 7;
  static final int PAGEBLOCK_ISO_MASK = 1 << PB_MIGRATE_ISOLATE;
  private static final int BITS_PER_LONG = 64;

  private final Mm mm;
  private final long nrPages;

  Pageblocks(Mm mm) {
    this.mm = mm;
    this.nrPages = mm.mmzone().pageblockNrPages();
  }

  /** pageblock_nr_pages. */
  long nrPages() {
    return nrPages;
  }

  @Kernel(file = "include/linux/pageblock-flags.h", symbol = "pageblock_start_pfn")
  long pageblockStartPfn(long pfn) {
    return pfn & -nrPages;
  }

  @Kernel(file = "include/linux/pageblock-flags.h", symbol = "pageblock_end_pfn")
  long pageblockEndPfn(long pfn) {
    return (pfn & -nrPages) + nrPages;
  }

  @Kernel(file = "include/linux/pageblock-flags.h", symbol = "pageblock_align")
  long pageblockAlign(long pfn) {
    return (pfn + nrPages - 1) & -nrPages;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "get_pageblock_bitmap")
  private long[] getPageblockBitmap(long pfn) {
    MemSection ms = mm.mmzone().pfnToSection(pfn);
    MemSectionUsage usage = ms == null ? null : ms.usage;
    if (usage == null) {
      throw new KernelBug(
          "get_pageblock_bitmap: NULL section usage, pfn=0x" + Long.toHexString(pfn));
    }
    return usage.pageblockFlags();
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "pfn_to_bitidx")
  private int pfnToBitidx(long pfn) {
    long inSection = pfn & (mm.mmzone().pagesPerSection() - 1);
    return (int) (inSection >>> mm.config().pageblockOrder()) * Mmzone.NR_PAGEBLOCK_BITS;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "is_standalone_pb_bit")
  private static boolean isStandalonePbBit(int pbBit) {
    return pbBit >= PB_COMPACT_SKIP && pbBit < NR_PAGEBLOCK_BITS_USED;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "get_pfnblock_bitmap_bitidx")
  private long[] bitmapFor(Page page, long pfn) {
    if (mm.config().debugVm()) {
      mm.printk()
          .vmBugOn(
              !mm.inline().pageZone(page).spansPfn(pfn),
              "get_pfnblock_bitmap_bitidx: !zone_spans_pfn(page_zone(page), pfn)");
    }
    return getPageblockBitmap(pfn);
  }

  /** The flags of {@code mask} of the pageblock of {@code pfn}. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__get_pfnblock_flags_mask")
  int getPfnblockFlagsMask0(Page page, long pfn, int mask) {
    long[] bitmap = bitmapFor(page, pfn);
    int bitidx = pfnToBitidx(pfn);
    return (int) (bitmap[bitidx / BITS_PER_LONG] >>> bitidx % BITS_PER_LONG) & mask;
  }

  /** {@code get_pfnblock_bit()}: a bit that is no part of the migratetype. */
  @Kernel(file = "mm/page_alloc.c", symbol = "get_pfnblock_bit")
  boolean getPfnblockBit(Page page, long pfn, int pbBit) {
    if (mm.printk()
        .warnOnOnce(
            !isStandalonePbBit(pbBit), "get_pfnblock_bit: !is_standalone_pb_bit(pb_bit)")) {
      return false;
    }
    return getPfnblockFlagsMask0(page, pfn, 1 << pbBit) != 0;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "get_pfnblock_migratetype")
  Migratetype getPfnblockMigratetype(Page page, long pfn) {
    int flags = getPfnblockFlagsMask0(page, pfn, PAGEBLOCK_MIGRATETYPE_MASK | PAGEBLOCK_ISO_MASK);
    if ((flags & PAGEBLOCK_ISO_MASK) != 0) {
      return Migratetype.MIGRATE_ISOLATE;
    }
    return Migratetype.of(flags & PAGEBLOCK_MIGRATETYPE_MASK);
  }

  @Kernel(file = "include/linux/mmzone.h", symbol = "get_pageblock_migratetype")
  Migratetype getPageblockMigratetype(Page page) {
    return getPfnblockMigratetype(page, mm.model().pageToPfn(page));
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__set_pfnblock_flags_mask")
  private void setPfnblockFlagsMask0(Page page, long pfn, int flags, int mask) {
    long[] bitmap = bitmapFor(page, pfn);
    int bitidx = pfnToBitidx(pfn);
    int word = bitidx / BITS_PER_LONG;
    int shift = bitidx % BITS_PER_LONG;
    mm.machine().yields().at("cmpxchg", pfn);
    bitmap[word] = (bitmap[word] & ~((long) mask << shift)) | (long) flags << shift;
  }

  /** {@code set_pfnblock_bit()}. */
  @Kernel(file = "mm/page_alloc.c", symbol = "set_pfnblock_bit")
  void setPfnblockBit(Page page, long pfn, int pbBit) {
    if (mm.printk()
        .warnOnOnce(
            !isStandalonePbBit(pbBit), "set_pfnblock_bit: !is_standalone_pb_bit(pb_bit)")) {
      return;
    }
    setPfnblockFlagsMask0(page, pfn, 1 << pbBit, 1 << pbBit);
  }

  /** {@code clear_pfnblock_bit()}. */
  @Kernel(file = "mm/page_alloc.c", symbol = "clear_pfnblock_bit")
  void clearPfnblockBit(Page page, long pfn, int pbBit) {
    if (mm.printk()
        .warnOnOnce(
            !isStandalonePbBit(pbBit), "clear_pfnblock_bit: !is_standalone_pb_bit(pb_bit)")) {
      return;
    }
    setPfnblockFlagsMask0(page, pfn, 0, 1 << pbBit);
  }

  @Kernel(file = "include/linux/page-isolation.h", symbol = "get_pageblock_isolate")
  boolean getPageblockIsolate(Page page) {
    return getPfnblockBit(page, mm.model().pageToPfn(page), PB_MIGRATE_ISOLATE);
  }

  /** {@code set_pageblock_isolate()} or {@code clear_pageblock_isolate()}. */
  @Kernel(file = "mm/page_alloc.c", symbol = "toggle_pageblock_isolate")
  void togglePageblockIsolate(Page page, boolean isolate) {
    long pfn = mm.model().pageToPfn(page);
    if (isolate) {
      setPfnblockBit(page, pfn, PB_MIGRATE_ISOLATE);
    } else {
      clearPfnblockBit(page, pfn, PB_MIGRATE_ISOLATE);
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "set_pageblock_migratetype")
  void setPageblockMigratetype(Page page, Migratetype migratetype) {
    if (migratetype == Migratetype.MIGRATE_ISOLATE) {
      mm.printk()
          .vmWarnOnOnce(
              true, "Use set_pageblock_isolate() for pageblock isolation");
      return;
    }
    if (mm.config().debugVm()) {
      mm.printk()
          .vmWarnOnOnce(
              getPageblockIsolate(page), "Use clear_pageblock_isolate() to unisolate pageblock");
    }
    setPfnblockFlagsMask0(
        page,
        mm.model().pageToPfn(page),
        migratetype.number(),
        PAGEBLOCK_MIGRATETYPE_MASK | PAGEBLOCK_ISO_MASK);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "init_pageblock_migratetype")
  void initPageblockMigratetype(Page page, Migratetype migratetype, boolean isolate) {
    if (migratetype == Migratetype.MIGRATE_ISOLATE) {
      mm.printk()
          .vmWarnOnOnce(true, "Set isolate=true to isolate pageblock with a migratetype");
      return;
    }
    int flags = migratetype.number() | (isolate ? PAGEBLOCK_ISO_MASK : 0);
    setPfnblockFlagsMask0(
        page, mm.model().pageToPfn(page), flags, PAGEBLOCK_MIGRATETYPE_MASK | PAGEBLOCK_ISO_MASK);
  }
}
