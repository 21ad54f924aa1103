// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.machine.Ledger;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;

/** The free lists: what is on them is free, aligned, of the right zone, and counted. */
final class BuddyRules {
  static final String BLOCKS = "free-block";
  static final String COUNTS = "free-counts";
  static final String OWNERS = "free-frames-booked";
  static final String MANAGED = "managed-pages";

  static final String ONLINE = "free-memory-online";

  private final Mm mm;
  private final Ledger ledger;
  private final PageAlloc pageAlloc;
  private final PageblockTypes types;
  private final Invariants found;

  BuddyRules(Mm mm, PageAlloc pageAlloc, PageblockTypes types, Invariants found) {
    this.mm = mm;
    this.ledger = mm.machine().ledger();
    this.pageAlloc = pageAlloc;
    this.types = types;
    this.found = found;
  }

  void check() {
    long free = 0;
    long managed = 0;
    for (PgData node : mm.nodes().online()) {
      for (Zone zone : node.zones()) {
        if (zone.freeArea.length > 0) {
          zone(zone);
          managed += zone.managedPages;
          free += pageAlloc.nrFreePages(zone);
        }
      }
    }
    found.equal(
        OWNERS,
        "free pages of all zones, against frames of BUDDY in the ledger,",
        ledger.count(Owner.BUDDY),
        free);
    found.equal(
        MANAGED,
        "totalram_pages, against managed_pages of all zones,",
        managed,
        pageAlloc.totalramPages());
  }

  private void zone(Zone zone) {
    long pages = 0;
    long inWholeBlocks = 0;
    for (int order = 0; order < zone.freeArea.length; order++) {
      long blocks = 0;
      for (Migratetype type : Migratetype.values()) {
        long listed = list(zone, order, type);
        boolean whole = order >= mm.config().pageblockOrder();
        inWholeBlocks += whole && type != Migratetype.MIGRATE_ISOLATE ? listed << order : 0;
        blocks += listed;
      }
      int at = order;
      found.equal(
          COUNTS,
          () -> "blocks of order %d on the lists of zone %s, against nr_free,".formatted(at, zone),
          zone.freeArea[order].nrFree,
          blocks);
      found.checked(BLOCKS, blocks);
      found.checked(ONLINE, blocks);
      found.checked(PageblockRules.TYPE, blocks);
      pages += blocks << order;
    }
    found.equal(
        COUNTS,
        () -> "pages on the lists of zone %s, against its free pages,".formatted(zone),
        zone.nrFreePages,
        pages);
    found.equal(
        COUNTS,
        () -> "pages in whole pageblocks of zone %s, against nr_free_pages_blocks,".formatted(zone),
        pageAlloc.nrFreePagesBlocks(zone),
        inWholeBlocks);
  }

  private long list(Zone zone, int order, Migratetype type) {
    ListHead head = zone.freeArea[order].freeList(type);
    long blocks = 0;
    long limit = zone.spannedPages;
    for (ListHead at = mm.lists().first(head); at.va() != head.va(); at = mm.lists().next(at)) {
      Page page = mm.struct().ofLru(at);
      block(zone, order, page);
      type(mm.model().pageToPfn(page), order, type);
      if (++blocks > limit) {
        found.violated(
            COUNTS,
            "count",
            blocks,
            "and more blocks of order %d: the list of zone %s runs in a circle"
                .formatted(order, zone));
        return blocks;
      }
    }
    return blocks;
  }

  private void block(Zone zone, int order, Page page) {
    long pfn = mm.model().pageToPfn(page);
    long last = pfn + (1L << order) - 1;
    String wrong = "";
    if (!mm.flags().pageBuddy(page)) {
      wrong = "is not marked as free";
    } else if (mm.struct().priv(page) != order) {
      wrong = "says order " + mm.struct().priv(page);
    } else if ((pfn & ((1L << order) - 1)) != 0) {
      wrong = "is not aligned";
    } else if (mm.inline().pageZone(page) != zone || !zone.spansPfn(pfn) || !zone.spansPfn(last)) {
      wrong = "does not lie in the zone";
    } else if (ledger.ownerOf(pfn) != Owner.BUDDY || ledger.ownerOf(last) != Owner.BUDDY) {
      wrong = "belongs to " + ledger.ownerOf(pfn).name() + " and " + ledger.ownerOf(last).name();
    }
    if (!mm.mmzone().pfnOnline(pfn) || !mm.mmzone().pfnOnline(last)) {
      found.violated(ONLINE, "pfn", pfn, "is free, and its section is offline");
    }
    if (!wrong.isEmpty()) {
      found.violated(
          BLOCKS,
          "pfn",
          pfn,
          "on the list of order %d of zone %s %s".formatted(order, zone, wrong));
    }
  }

  /** What is taken off the list, or split, counts as of the type of its pageblock. */
  private void type(long pfn, int order, Migratetype listed) {
    for (long at = pfn; at < pfn + (1L << order); at += types.pages()) {
      if (types.of(at) != listed) {
        found.violated(
            PageblockRules.TYPE,
            "pfn",
            at,
            "is free as %s, in a pageblock that is %s".formatted(listed.name(), types.of(at).name()));
      }
    }
  }
}
