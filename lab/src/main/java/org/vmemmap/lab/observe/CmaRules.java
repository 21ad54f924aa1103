// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.IdentityHashMap;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.machine.Ledger;
import org.vmemmap.pagealloc.CmaArea;
import org.vmemmap.pagealloc.CmaMemrange;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;

/** CMA areas: bitmaps, pageblocks, free lists, counters and ledger tell the same. */
final class CmaRules {
  static final String COUNTS = "cma-counts";
  static final String BITMAP = "cma-bitmap";

  private final LabKernel kernel;
  private final Mm mm;
  private final Ledger ledger;
  private final Invariants found;

  CmaRules(LabKernel kernel, Invariants found) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.ledger = mm.machine().ledger();
    this.found = found;
  }

  /** Checks nothing on a machine without areas. */
  void check() {
    if (kernel.cma().areas().isEmpty()) {
      return;
    }
    long total = 0;
    IdentityHashMap<Zone, Long> blocks = new IdentityHashMap<>();
    for (CmaArea area : kernel.cma().areas()) {
      total += area.count();
      area.ranges().forEach(range -> pageblocks(range, blocks));
      if (area.activated()) {
        bitmap(area);
      } else {
        found.equal(
            COUNTS, "pages of area %s, which is not active,".formatted(area.name()), area.count(), 0);
      }
    }
    found.equal(
        COUNTS,
        "pages of all areas, against totalcma_pages,",
        kernel.pageAlloc().totalcmaPages(),
        total);
    for (PgData node : mm.nodes().online()) {
      for (Zone zone : node.zones()) {
        if (zone.freeArea.length > 0) {
          zone(zone, blocks.getOrDefault(zone, 0L));
        }
      }
    }
  }

  /** Adds up the CMA pageblocks of a range by zone; an area that failed may have some. */
  private void pageblocks(CmaMemrange range, IdentityHashMap<Zone, Long> blocks) {
    long step = mm.mmzone().pageblockNrPages();
    for (long pfn = range.basePfn(); pfn < range.endPfn(); pfn += step) {
      Page page = mm.model().pfnToPage(pfn);
      if (kernel.pageAlloc().getPfnblockMigratetype(page, pfn) == Migratetype.MIGRATE_CMA) {
        blocks.merge(mm.inline().pageZone(page), step, Long::sum);
      }
    }
  }

  private void zone(Zone zone, long cmaPages) {
    found.equal(
        COUNTS,
        "pages in CMA pageblocks of zone %s, against its cma_pages,".formatted(zone),
        zone.cmaPages,
        cmaPages);
    long free = 0;
    for (int order = 0; order < zone.freeArea.length; order++) {
      long listed =
          kernel.pageAlloc().freeBlocks(zone, order, Migratetype.MIGRATE_CMA).size();
      free += listed << order;
    }
    found.equal(
        COUNTS,
        "pages on the CMA free lists of zone %s, against nr_free_cma,".formatted(zone),
        kernel.pageAlloc().nrFreeCmaPages(zone),
        free);
  }

  /** A set bit stands for pages that are in use; a clear one for pages that anybody may have. */
  private void bitmap(CmaArea area) {
    long[] used = {0};
    long pages = 1L << area.orderPerBit();
    kernel
        .cma()
        .forEachBitInUse(
            area,
            pfn -> {
              used[0] += pages;
              found.checked(BITMAP, 1);
              if (ledger.ownerOf(pfn) == Owner.BUDDY
                  || ledger.ownerOf(pfn + pages - 1) == Owner.BUDDY) {
                found.violated(
                    BITMAP, "pfn", pfn, "is in use in area " + area.name() + ", and free");
              }
            });
    found.equal(
        BITMAP,
        "pages of area %s less those in use, against its available_count,".formatted(area.name()),
        area.availableCount(),
        area.count() - used[0]);
  }
}
