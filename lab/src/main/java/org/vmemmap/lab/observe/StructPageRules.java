// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;

/**
 * What struct pages say of themselves: the node and zone that their pfn lies in, and, in a compound
 * page, a head that is a head and an order that reaches them.
 *
 * <p>All pages of RAM are looked at, and all pages of sections that were added later. One
 * translation serves a memmap page; the struct pages in it are read from its frame.
 */
final class StructPageRules {
  static final String LINKS = "struct-page-node-zone";
  static final String FLAGS = "device-page-flags";
  private static final long ALL_FLAGS = (1L << (PageFlags.PG_HEAD + 1)) - 1;
  private static final long DEVICE_FLAGS = 1L << PageFlags.PG_RESERVED | 1L << PageFlags.PG_HEAD;
  static final String COMPOUND = "struct-page-compound";
  static final String MAPPED = "struct-page-mapped";

  private final Mm mm;
  private final LabKernel kernel;
  private final MarkedMemmap.@Nullable Now since;
  private final ZoneTails tails;
  private final DeviceExceptions devices;
  private final ArchExceptions arch;
  private final Invariants found;
  private final MemmapReader reader;
  private final PhysicalMemory memory;
  private final int size;
  private final long perPage;
  private final boolean zoneOfHead;
  private final long linkBits;

  /** True when no struct page lies across the border of two pages of memmap. */
  private final boolean whole;
  private Zone zone;
  private long zoneStart;
  private long zoneEnd;
  private long headPfn = -1;
  private long headEnd = -1;
  private long headInfo;

  /** Whether all pages of the range that was added after boot are online for sure. */
  private boolean online;

  StructPageRules(
      LabKernel kernel,
      @Nullable MarkedMemmap marked,
      ZoneTails tails,
      DeviceExceptions devices,
      ArchExceptions arch,
      Invariants found) {
    this.arch = arch;
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.tails = tails;
    this.devices = devices;
    this.found = found;
    this.reader = new MemmapReader(mm);
    this.since = marked == null ? null : marked.now(tails, new MemmapReader(mm));
    this.memory = mm.machine().memory();
    this.size = mm.config().sizeofStructPage();
    this.perPage = mm.model().pageSize() / size;
    this.whole = mm.config().structPageIsPowerOf2();
    this.linkBits = mm.inline().linkBits();
    this.zoneOfHead = mm.series().readsZoneOfHead();
    this.zone = mm.nodes().online().getFirst().zones()[0];
    this.zoneStart = zone.zoneStartPfn;
    this.zoneEnd = zone.endPfn();
  }

  void check() {
    PageRanges.forEach(
        kernel,
        (start, end, node) -> {
          online = node < 0 && mm.mmzone().pfnOnline(start) && noDevice(start);
          pages(start, end, node);
        });
  }

  /** True when no page of the section belongs to a device, so that all are online or none. */
  private boolean noDevice(long pfn) {
    return !mm.mmzone().onlineDeviceSection(mm.mmzone().pfnToSection(pfn));
  }

  /** Checks the pfns from {@code start} to {@code end} - 1; {@code node} is -1 for any. */
  private void pages(long start, long end, int node) {
    for (long pfn = start; pfn < end; ) {
      long stop = Math.min(end, nextRun(pfn));
      long paddr = reader.paddr(reader.address(pfn));
      if (paddr < 0 && arch.takesSharedPages() && devices.atBorder(pfn)) {
        pfn = stop;
        continue;
      } else if (paddr >= 0 && asBefore(pfn, stop, paddr, node)) {
        pfn = stop;
        continue;
      } else if (paddr < 0) {
        found.violated(MAPPED, "pfn", pfn, "has no memmap");
      } else if (tails.ofFrame(paddr >>> mm.model().pageShift()) != null) {
        page(pfn, paddr, node);
      } else if (node >= 0 || !devices.behindReserve(pfn) || !reader.inLargeLeaf(pfn)) {
        each(pfn, stop, paddr, node);
      }
      pfn = stop;
    }
    found.checked(MAPPED, end - start);
    found.checked(LINKS, end - start);
    found.checked(COMPOUND, end - start);
    found.checked(FLAGS, node < 0 ? end - start : 0);
  }

  /** True when all struct pages of a page of memmap are as they were when nothing was wrong. */
  private boolean asBefore(long start, long stop, long paddr, int node) {
    MarkedMemmap.Now marked = since;
    return marked != null
        && stop - start == perPage
        && marked.holds(start / perPage, paddr, node < 0);
  }

  /** Checks the pfns whose struct pages lie in a page of memmap, those of {@code start} at {@code paddr}. */
  private void each(long start, long stop, long paddr, int node) {
    for (long pfn = start; pfn < stop; ) {
      long at = paddr + (pfn - start) * size;
      long fine = node < 0 || node == zone.nid() ? alike(pfn, stop, at, node < 0 && !online) : 0;
      if (fine == 0) {
        page(pfn, at, node);
      }
      pfn += Math.max(fine, 1);
    }
  }

  /**
   * How many struct pages from {@code start} on are what most are: of the zone that was looked at
   * last, and tails of the head that was looked at last, or, unless those are asked for, no tails.
   */
  private long alike(long start, long stop, long paddr, boolean tails) {
    long @Nullable [] words = whole && !zoneOfHead ? memory.words(paddr, false) : null;
    if (words == null || start < zoneStart || stop > zoneEnd) {
      return 0;
    }
    long wanted = mm.inline().initialFlags(zone.idx(), zone.nid()) & linkBits;
    int at = PhysicalMemory.wordAt(paddr);
    for (long pfn = start; pfn < stop; pfn++, at += size / Long.BYTES) {
      long info = words[at + 1];
      boolean tail = info == headInfo && pfn > headPfn && pfn < headEnd;
      if ((words[at] & linkBits) != wanted || (!tail && (tails || (info & 1) != 0))) {
        return pfn - start;
      }
    }
    return stop - start;
  }

  /** First pfn behind those whose struct pages lie in the page of memmap of {@code pfn}, and whole. */
  private long nextRun(long pfn) {
    return whole ? pfn / perPage * perPage + perPage : pfn + 1;
  }

  private void page(long pfn, long paddr, int node) {
    long flags = memory.getLong(paddr);
    long info = whole ? memory.getLong(paddr + 8) : reader.word(pfn, 1);
    boolean late = node < 0 && !online;
    if (late && !devices.initialised(pfn) && !mm.mmzone().pfnOnline(pfn)) {
      return;
    }
    // With CONFIG_DEBUG_VM, going offline leaves poison in RAM of boot, too.
    if (flags == PageFlags.PAGE_POISON_PATTERN && !mm.mmzone().pfnOnline(pfn)) {
      return;
    }
    boolean here = spans(links(pfn, flags, info), pfn) && (node < 0 || zone.nid() == node);
    // A zone that ends or begins with RAM that goes offline no longer spans it.
    if (!here && (node < 0 || mm.mmzone().pfnOnline(pfn))) {
      found.violated(
          LINKS,
          "pfn",
          pfn,
          "word 0 is 0x%x: node %d zone %s"
              .formatted(flags, mm.inline().nid(flags), mm.inline().zonenum(flags).label()));
    }
    boolean plain = node < 0 && (info & 1) == 0 && !mm.mmzone().pfnOnline(pfn);
    if (plain && (flags & ALL_FLAGS & ~DEVICE_FLAGS) != 0) {
      found.violated(FLAGS, "pfn", pfn, "of a device has flags 0x%x".formatted(flags));
    }
    if ((info & 1) != 0 && !(node < 0 && devices.misaligned(pfn))) {
      tail(pfn, info);
    }
  }

  /** Word 0 that tells the zone: the page's own, or its head's where page_zonenum() asks the head. */
  private long links(long pfn, long flags, long info) {
    if ((info & 1) == 0 || !zoneOfHead) {
      return flags;
    }
    return mm.struct().flags(mm.flags().compoundHead(mm.model().pfnToPage(pfn)));
  }

  private boolean spans(long flags, long pfn) {
    if (mm.inline().nid(flags) != zone.nid() || mm.inline().zonenum(flags) != zone.idx()) {
      zone = mm.nodes().nodeData(mm.inline().nid(flags)).zone(mm.inline().zonenum(flags));
      zoneStart = zone.zoneStartPfn;
      zoneEnd = zone.endPfn();
    }
    return pfn >= zoneStart && pfn < zoneEnd;
  }

  private void tail(long pfn, long info) {
    if (pfn > headPfn && pfn < headEnd && info == headInfo) {
      return;
    }
    long address = reader.address(pfn);
    long head = mm.flags().compoundInfoHasMask() ? address & info : info - 1;
    long at = (head - mm.model().vmemmapBase()) / size;
    if (at < 0 || at >= pfn || !reader.mapped(at) || !isHead(at)) {
      found.violated(
          COMPOUND, "pfn", pfn, "names pfn 0x%x as its head, which is none".formatted(at));
      return;
    }
    int order = (int) reader.word(at + 1, 0) & 0xff;
    long wanted = mm.flags().compoundInfo(mm.model().pfnToPage(at), order);
    if (pfn >= at + (1L << order) || info != wanted) {
      found.violated(
          COMPOUND,
          "pfn",
          pfn,
          "compound_info is 0x%x; its head 0x%x is of order %d".formatted(info, at, order));
      return;
    }
    headPfn = at;
    headEnd = at + (1L << order);
    headInfo = info;
  }

  private boolean isHead(long pfn) {
    return (reader.word(pfn, 0) & 1L << PageFlags.PG_HEAD) != 0;
  }
}
