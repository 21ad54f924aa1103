// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.Machine;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PlainTables;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * A machine of 1 GiB with a memmap mapped by hand in 2 MiB leaves, and zones as a test wants them.
 *
 * <pre>
 *   0      1M     2M               18M   32M                                  1G
 *  +-------+------+----------------+-----+------------------------------------+
 *  | image |      |     memmap     |     |   zones, from pfn FIRST            |
 *  +-------+------+----------------+-----+------------------------------------+
 * </pre>
 */
final class Bench {
  static final long MIB = 1L << 20;
  static final long GIB = 1L << 30;
  static final long PAGE = 4096;
  static final int MAX_ORDER = 10;
  static final int PAGEBLOCK = 512;

  /** The first pfn for zones: 32 MiB, aligned to blocks of any order. */
  static final long FIRST = 8192;

  /** Pages of a block of MAX_PAGE_ORDER. */
  static final long MAX_BLOCK = 1024;

  /** Physical address of the root of the page tables, which map the memmap only. */
  static final long ROOT = 0x1000;

  private static final long VMEMMAP_BASE = 0x7777_4000_0000_0000L;
  private static final long LINEAR_BASE = 0x1111_0000_0000_0000L;
  private static final long DATA = 0x10000;
  private static final long DATA_BYTES = 0x20000;
  private static final long MEMMAP = 2 * MIB;
  private static final long LEAF = 2 * MIB;

  final Machine machine;
  final Mm mm;
  final PageAlloc alloc;

  Bench() {
    this(MmConfig.debianX86(), Placement.NONE);
  }

  Bench(MmConfig config, Placement placement) {
    PlainTables format = new PlainTables(9, 9);
    machine = new Machine(GIB, format, LINEAR_BASE, Owner.values(), 1);
    for (long at = 0; at < GIB / PAGE * config.sizeofStructPage(); at += LEAF) {
      long entry = format.mkLeaf(MEMMAP + at, 1, format.pageKernel());
      machine.memory().setLong(ROOT + 8L * format.index(VMEMMAP_BASE + at, 1), entry);
    }
    mm = new Mm(machine, format, config, new Mm.Image(VMEMMAP_BASE, ROOT, DATA, DATA_BYTES));
    mm.mmzone().setRoot(0);
    for (long nr = 0; nr < GIB / PAGE / mm.mmzone().pagesPerSection(); nr++) {
      online(nr);
    }
    alloc = new PageAlloc(mm, placement);
  }

  /** A DEBUG_VM kernel: all VM_WARN and VM_BUG checks, and page checks on. */
  static Bench debug() {
    return new Bench(MmConfig.debianX86().withDebugVm(true), Placement.NONE);
  }

  private void online(long nr) {
    MemSection ms = mm.mmzone().section(nr);
    int subsections = mm.mmzone().subsectionsPerSection();
    MemSectionUsage usage =
        new MemSectionUsage(
            mm.model().va(MIB), subsections, mm.mmzone().sectionBlockflagsBits());
    java.util.Arrays.fill(usage.subsectionMap(), -1L);
    ms.usage = usage;
    ms.sectionMemMap =
        Mmzone.SECTION_MARKED_PRESENT
            | Mmzone.SECTION_HAS_MEM_MAP
            | Mmzone.SECTION_IS_ONLINE
            | Mmzone.SECTION_IS_EARLY;
    mm.mmzone().highestPresentSectionNr = Math.max(nr, mm.mmzone().highestPresentSectionNr);
  }

  /** A zone with initialised struct pages, all in use; pageblocks are movable. */
  Zone zone(int nid, ZoneType type, long startPfn, long nrPages) {
    Zone zone = mm.nodes().nodeData(nid).zone(type);
    zone.zoneStartPfn = startPfn;
    zone.spannedPages = nrPages;
    zone.presentPages = nrPages;
    alloc.zoneInitFreeLists(zone);
    zone.initialized = true;
    for (long pfn = startPfn; pfn < startPfn + nrPages; pfn++) {
      Page page = page(pfn);
      mm.struct().mmZeroStructPage(page);
      mm.struct().setFlags(page, mm.inline().initialFlags(type, nid));
      mm.struct().setMapcount(page, -1);
      mm.struct().setRefcount(page, 1);
    }
    for (long pfn = startPfn; pfn < startPfn + nrPages; pfn += PAGEBLOCK) {
      alloc.initPageblockMigratetype(page(pfn), Migratetype.MIGRATE_MOVABLE, false);
    }
    return zone;
  }

  /** A zone on node 0 whose pages are all free, in blocks of MAX_PAGE_ORDER. */
  Zone freeZone(ZoneType type, long startPfn, long nrPages) {
    return freeZone(0, type, startPfn, nrPages);
  }

  /** As {@link #freeZone(ZoneType, long, long)} on a node. */
  Zone freeZone(int nid, ZoneType type, long startPfn, long nrPages) {
    Zone zone = zone(nid, type, startPfn, nrPages);
    give(startPfn, nrPages);
    return zone;
  }

  /** The pages become free, in the largest blocks that fit. */
  void give(long startPfn, long nrPages) {
    long end = startPfn + nrPages;
    for (long pfn = startPfn; pfn < end; ) {
      int order = Math.min(MAX_ORDER, Long.numberOfTrailingZeros(pfn));
      while (pfn + (1L << order) > end) {
        order--;
      }
      alloc.freePagesCore(page(pfn), order, false);
      pfn += 1L << order;
    }
  }

  Page page(long pfn) {
    return mm.model().pfnToPage(pfn);
  }

  long pfn(@Nullable Page page) {
    return page == null ? -1 : mm.model().pageToPfn(page);
  }

  /** The free blocks of a zone as "order:pfn-FIRST type", in list order, highest order first. */
  List<String> free(Zone zone) {
    List<String> found = new ArrayList<>();
    for (int order = MAX_ORDER; order >= 0; order--) {
      for (Migratetype type : Migratetype.values()) {
        for (Page page : alloc.freeBlocks(zone, order, type)) {
          found.add(order + ":" + (pfn(page) - FIRST) + " " + type.name().substring(8));
        }
      }
    }
    return found;
  }

  /** Takes a block, or fails the test. */
  Page take(int order, Gfp gfp) {
    Page page = alloc.allocPagesNode(0, gfp, order, "test");
    if (page == null) {
      throw new AssertionError("no page of order " + order);
    }
    return page;
  }

  /** Word of a struct page by its offset. */
  long word(long pfn, int offset) {
    return mm.struct().word(page(pfn), offset);
  }

  /** The eight words of a struct page. */
  long[] words(long pfn) {
    long[] words = new long[8];
    for (int i = 0; i < words.length; i++) {
      words[i] = word(pfn, 8 * i);
    }
    return words;
  }

  /** Sets a reference count behind everybody's back. */
  void refcount(long pfn, int count) {
    mm.struct().setHalf(page(pfn), StructPage.REFCOUNT, count);
  }

  Owner owner(long pfn) {
    return (Owner) machine.ledger().ownerOf(pfn);
  }

  void failAll(String site) {
    machine.faults().failFrom(1, site::equals);
  }

  List<String> warnings() {
    return mm.printk().warnings();
  }

  List<String> log() {
    return mm.printk().lines().stream().map(line -> line.text()).toList();
  }
}
