// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Measures on the memmap of sections with compound pages, whoever populates it. */
final class SectionMeasures {
  private static final long SECTION_PAGES = 32768;
  private static final int SECTIONS_OF_1G = 8;
  private static final long PFN = SeriesMachine.DEVICE >>> 12;
  private static final int STRUCTS_PER_PAGE = 64;
  private static final int ODD_SIZE = 80;
  private static final int PAGES_OF_ODD_MEMMAP = 640;

  private SectionMeasures() {}

  /**
   * Frames that a device's compound page does without.
   *
   * @param saved pages of its memmap less the frames that the next one does not show
   * @param of pages of its memmap
   * @param counted nr_memmap_pages for 2 GiB
   */
  record Saved(long saved, long of, long counted) {}

  /** A device of 2 GiB in the radix tree of powerpc, in compound pages of {@code folio} bytes. */
  static Saved savedOnRadix(Level level, int pageSize, long folio) {
    Profile radix = Boards.powerpc(pageSize, Profile.RADIX);
    MachineSpec board = Boards.ofSize(radix, SeriesMachine.GIB, 1, List.of(), List.of());
    SeriesMachine machine = new SeriesMachine(level.on(SeriesMachine.withDevices(board)));
    int order = Long.numberOfTrailingZeros(folio / pageSize);
    DeviceMeasures.add(machine, "dax", SeriesMachine.DEVICE, 2 * SeriesMachine.GIB, order);
    long structSize = machine.kernel().mm().struct().size();
    long perPage = pageSize / structSize;
    long pages = folio / pageSize * structSize / pageSize;
    long pfn = SeriesMachine.DEVICE / pageSize;
    MemmapReader reader = new MemmapReader(machine.kernel().mm());
    Set<Long> own = new HashSet<>();
    Set<Long> next = new HashSet<>();
    for (long i = 0; i < pages; i++) {
      own.add(reader.frame(pfn + i * perPage));
      next.add(reader.frame(pfn + (pages + i) * perPage));
    }
    own.removeAll(next);
    Saved saved = new Saved(pages - own.size(), pages, machine.memmapPages());
    machine.removeDevice("dax");
    if (machine.memmapPages() != 0) {
      throw new IllegalStateException("nr_memmap_pages=" + machine.memmapPages() + ": wanted 0");
    }
    return saved;
  }

  /**
   * How a folio of 1 GiB is mapped.
   *
   * @param tails pages of memmap that show the zone's shared tail
   * @param zeros pages that show frame 0, which nobody gave them
   * @param counted nr_memmap_pages
   */
  record Folio(int tails, int zeros, long counted) {}

  /**
   * What is behind the memmap of some sections.
   *
   * @param own pages of memmap with a frame that no other page of it shows
   * @param shared pages that show a frame together with others
   * @param leaves leaves above base pages
   * @param counted pages that the sections count as
   */
  record Shape(int own, int shared, int leaves, long counted) {}

  /** Sections with an order that is set by hand, populated for ZONE_NORMAL. */
  static Shape populated(Level level, int order, int sections) {
    SeriesMachine machine = level.fresh();
    Mm mm = machine.kernel().mm();
    Zone normal = mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL);
    normal.zoneStartPfn = PFN;
    normal.spannedPages = sections * SECTION_PAGES;
    Map<Long, Integer> shows = new HashMap<>();
    int leaves = 0;
    long counted = 0;
    MemmapReader reader = new MemmapReader(mm);
    for (long pfn = PFN; pfn < PFN + sections * SECTION_PAGES; pfn += SECTION_PAGES) {
      machine.kernel().sparse().sparseIndexInit(mm.mmzone().pfnToSectionNr(pfn), 0);
      machine.kernel().sparseVmemmap().sectionSetOrderRange(pfn, SECTION_PAGES, order);
      machine.kernel().sparseVmemmap().populateSectionMemmap0(pfn, SECTION_PAGES, 0, null, null);
      for (long at = pfn; at < pfn + SECTION_PAGES; at += STRUCTS_PER_PAGE) {
        shows.merge(reader.frame(at), 1, Integer::sum);
      }
      leaves += reader.inLargeLeaf(pfn) ? 1 : 0;
      counted += machine.kernel().sparseVmemmap().sectionVmemmapPages(pfn, SECTION_PAGES);
    }
    int own = (int) shows.values().stream().filter(times -> times == 1).count();
    int all = shows.values().stream().mapToInt(Integer::intValue).sum();
    return new Shape(own, all - own, leaves, counted);
  }

  /** A folio of 1 GiB whose sections are added from the first to the last, or the other way. */
  static Folio addedInOrder(Level level, boolean ascending) {
    SeriesMachine machine = level.fresh();
    DevPagemap pgmap = new DevPagemap(0);
    pgmap.vmemmapShift = DeviceMeasures.ORDER_1G;
    long end = SeriesMachine.DEVICE + SeriesMachine.GIB - 1;
    pgmap.ranges = new DevPagemap.Range[] {new DevPagemap.Range(SeriesMachine.DEVICE, end)};
    for (int i = 0; i < SECTIONS_OF_1G; i++) {
      int section = ascending ? i : SECTIONS_OF_1G - 1 - i;
      DeviceMeasures.require(
          0,
          machine.addSection(
              (PFN + section * SECTION_PAGES) << 12,
              SECTION_PAGES << 12,
              pgmap,
              DeviceMeasures.ORDER_1G,
              ZoneType.ZONE_DEVICE));
    }
    Mm mm = machine.kernel().mm();
    MemmapReader reader = new MemmapReader(mm);
    long tail = sharedTail(mm, DeviceMeasures.ORDER_1G);
    int tails = 0;
    int zeros = 0;
    long perPage = mm.model().pageSize() / mm.struct().size();
    for (long pfn = PFN; pfn < PFN + SECTIONS_OF_1G * SECTION_PAGES; pfn += perPage) {
      tails += reader.frame(pfn) == tail ? 1 : 0;
      zeros += reader.frame(pfn) == 0 ? 1 : 0;
    }
    return new Folio(tails, zeros, machine.memmapPages());
  }

  /** The frame of ZONE_DEVICE's shared tail; -1 when the level gives the zone none. */
  private static long sharedTail(Mm mm, int order) {
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_DEVICE);
    @Nullable Page tail = zone.vmemmapTails[order - mm.mmzone().vmemmapTailMinOrder()];
    return tail == null ? -1 : mm.model().pageToPfn(tail);
  }

  /**
   * A section that was added.
   *
   * @param order its order
   * @param counted nr_memmap_pages
   * @param zone the zone that the struct page of page 100 names; none in an ordinary section
   */
  record Added(int order, long counted, String zone) {}

  /** A section that somebody without a device adds and wants an order for. */
  static Added addedWithOrder(Level level, int order, ZoneType zone) {
    SeriesMachine machine = level.fresh();
    DeviceMeasures.require(
        0, machine.addSection(SeriesMachine.DEVICE, SECTION_PAGES << 12, null, order, zone));
    Mm mm = machine.kernel().mm();
    int got = mm.mmzone().pfnToSectionOrder(PFN);
    long flags = mm.struct().flags(mm.model().pfnToPage(PFN + 100));
    return new Added(
        got, machine.memmapPages(), got == 0 ? "none" : mm.inline().zonenum(flags).label());
  }

  /**
   * A section with an order in a kernel whose struct page has 80 bytes.
   *
   * @param ptes pages of its memmap that no leaf maps
   * @param counted pages that it counts as
   * @param slots slots for shared tails in each zone
   */
  record Odd(int ptes, long counted, int slots) {}

  /** A section with order 18, set by hand, where nothing can be shared. */
  static Odd oddStructPage(Level level) {
    MachineSpec spec = SeriesMachine.spec(512L << 20);
    SeriesMachine machine =
        new SeriesMachine(
            level.on(spec.withConfig(spec.config().withSizeofStructPage(ODD_SIZE))));
    Mm mm = machine.kernel().mm();
    machine.kernel().sparse().sparseIndexInit(mm.mmzone().pfnToSectionNr(PFN), 0);
    machine
        .kernel()
        .sparseVmemmap()
        .sectionSetOrderRange(PFN, SECTION_PAGES, DeviceMeasures.ORDER_1G);
    machine.kernel().sparseVmemmap().populateSectionMemmap0(PFN, SECTION_PAGES, 0, null, null);
    MemmapReader reader = new MemmapReader(mm);
    Set<Long> frames = new HashSet<>();
    int ptes = 0;
    for (long at = 0; at < PAGES_OF_ODD_MEMMAP; at++) {
      // The first struct page that begins in this page of memmap.
      long pfn = PFN + (at * mm.model().pageSize() + ODD_SIZE - 1) / ODD_SIZE;
      frames.add(reader.frame(pfn));
      ptes += reader.inLargeLeaf(pfn) ? 0 : 1;
    }
    if (frames.size() != PAGES_OF_ODD_MEMMAP) {
      throw new IllegalStateException("frames=" + frames.size() + ": something is shared");
    }
    return new Odd(
        ptes,
        machine.kernel().sparseVmemmap().sectionVmemmapPages(PFN, SECTION_PAGES),
        mm.mmzone().nrVmemmapTails());
  }
}
