// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.pagealloc.CmaArea;
import org.vmemmap.pagealloc.CmaMemrange;
import org.vmemmap.sparse.MemoryBlock;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.ZoneType;

/**
 * The type of each pageblock whose first page is in use, by what it is in use for.
 *
 * <pre>
 *   device that is mapped, but the reserve of its altmap    MOVABLE
 *   online: in a CMA area that is active                    CMA
 *           holds the memmap of its own memory block        UNMOVABLE
 *           else in ZONE_MOVABLE                            MOVABLE
 *           else                                            what allocations made of it, but not CMA
 * </pre>
 *
 * <p>Nobody isolates a pageblock at rest. The type of memory that is offline is of no use to anybody.
 * So is that of a CMA area that could not be activated: it is plain memory, of which the parts that
 * hugepages took early stay CMA.
 */
final class PageblockRules {
  static final String TYPE = "pageblock-type";

  private final LabKernel kernel;
  private final Mm mm;
  private final PageblockTypes types;
  private final DeviceExceptions devices;
  private final Invariants found;
  private final List<Use> uses = new ArrayList<>();

  /** What the pages from {@code start} to {@code end} - 1 are used for. */
  private record Use(long start, long end, Kind kind) {}

  private enum Kind {
    CMA,
    FAILED_CMA,
    OWN_MEMMAP,
    NONE
  }

  PageblockRules(
      LabKernel kernel, PageblockTypes types, DeviceExceptions devices, Invariants found) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.types = types;
    this.devices = devices;
    this.found = found;
    kernel.cma().areas().forEach(this::area);
    kernel.hotplug().blocks().all().forEach(this::block);
  }

  private void area(CmaArea area) {
    for (CmaMemrange range : area.ranges()) {
      Kind kind = area.activated() ? Kind.CMA : Kind.FAILED_CMA;
      uses.add(new Use(range.basePfn(), range.endPfn(), kind));
    }
  }

  private void block(MemoryBlock block) {
    VmemAltmap altmap = block.altmap();
    if (altmap != null) {
      long start = mm.mmzone().sectionNrToPfn(block.startSectionNr());
      uses.add(new Use(start, start + altmap.free, Kind.OWN_MEMMAP));
    }
  }

  void check() {
    kernel.dax().bound().forEach(this::device);
    PageRanges.forEach(kernel, (start, end, node) -> online(start, end));
  }

  private long firstIn(long start) {
    long pages = types.pages();
    return (start + pages - 1) / pages * pages;
  }

  /** Nobody allocates from a device, but who walks over pfns asks what may be moved. */
  private void device(DaxBus.Bound bound) {
    DevPagemap pgmap = bound.pgmap();
    VmemAltmap altmap = pgmap.pgmapAltmap();
    long start = mm.model().physPfn(pgmap.ranges[0].start());
    long end = start + mm.model().physPfn(pgmap.ranges[0].len());
    long from = altmap == null ? start : altmap.basePfn + altmap.reserve;
    for (long pfn = firstIn(from); pfn < end; pfn += types.pages()) {
      found.checked(TYPE, 1);
      Migratetype type = types.of(pfn);
      if (type != Migratetype.MIGRATE_MOVABLE && setsType(pfn)) {
        wrong(pfn, type, "of a device");
      }
    }
  }

  /** Before patch 6 the type is set with the first struct page, and tails that are shared have none. */
  private boolean setsType(long pfn) {
    return mm.series().initsAllDevicePageblocks() || !devices.behindReserve(pfn);
  }

  private void online(long start, long end) {
    for (long pfn = firstIn(start); pfn < end; pfn += types.pages()) {
      if (mm.mmzone().pfnOnline(pfn)) {
        found.checked(TYPE, 1);
        online(pfn, types.of(pfn));
      }
    }
  }

  private void online(long pfn, Migratetype type) {
    Kind kind = use(pfn);
    if (type == Migratetype.MIGRATE_ISOLATE) {
      wrong(pfn, type, "at rest");
    } else if (kind == Kind.CMA && type != Migratetype.MIGRATE_CMA) {
      wrong(pfn, type, "in an active CMA area");
    } else if (kind == Kind.OWN_MEMMAP && type != Migratetype.MIGRATE_UNMOVABLE) {
      wrong(pfn, type, "with the memmap of its own memory block");
    } else if (kind == Kind.NONE && type == Migratetype.MIGRATE_CMA) {
      wrong(pfn, type, "outside of all CMA areas");
    } else if (kind == Kind.NONE && type != Migratetype.MIGRATE_MOVABLE && inZoneMovable(pfn)) {
      wrong(pfn, type, "in ZONE_MOVABLE");
    }
  }

  private boolean inZoneMovable(long pfn) {
    return mm.inline().pageZonenum(mm.model().pfnToPage(pfn)) == ZoneType.ZONE_MOVABLE;
  }

  private Kind use(long pfn) {
    for (Use use : uses) {
      if (pfn >= use.start() && pfn < use.end()) {
        return use.kind();
      }
    }
    return Kind.NONE;
  }

  private void wrong(long pfn, Migratetype type, String where) {
    found.violated(TYPE, "pfn", pfn, "begins a pageblock " + where + " that is " + type.name());
  }
}
