// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;

/**
 * How the buddy allocator follows a {@link Placement}: takes one certain block, or any block that
 * is not kept. The kernel has no such thing; on a captured machine other users of memory, who are
 * not modelled, decided which blocks were left.
 */
final class PlacementSearch {
  private final Mm mm;
  private final FreeLists lists;
  private final Pageblocks blocks;
  private final Placement placement;
  private final int maxPageOrder;

  PlacementSearch(Mm mm, FreeLists lists, Pageblocks blocks, Placement placement) {
    this.mm = mm;
    this.lists = lists;
    this.blocks = blocks;
    this.placement = placement;
    this.maxPageOrder = mm.config().maxPageOrder();
  }

  /** True when somebody gives advice. */
  boolean active() {
    return placement.advises();
  }

  /** The pfn wanted for the next hugepage, or -1; see {@link Placement#next}. */
  long next(int order, int nid) {
    return placement.next(order, nid);
  }

  /** See {@link Placement#smallestOrder}. */
  int smallestOrder() {
    return placement.smallestOrder(mm.config().pageblockOrder());
  }

  /** True when there is no other block than the advised ones; see {@link Placement#exhausted}. */
  boolean exhausted(int order, int nid) {
    return placement.exhausted(order, nid);
  }

  /** True when part of the 2^{@code order} pages from {@code pfn} is kept for a hugepage. */
  boolean kept(long pfn, long nrPages) {
    return placement.kept(pfn, pfn + nrPages);
  }

  /** Takes exactly the block at {@code pfn} off the free list; null when it is not all free. */
  @Nullable Page take(Zone zone, long pfn, int order) {
    Page target = mm.model().pfnToPage(pfn);
    Page head = lists.freeBlockOf(target);
    if (head == null || lists.buddyOrder(head) < order) {
      return null;
    }
    int high = lists.buddyOrder(head);
    Migratetype type = blocks.getPageblockMigratetype(head);
    lists.delPageFromFreeList(head, zone, high, type);
    lists.breakDownBuddyPages(zone, head, target, order, high, type);
    return target;
  }

  /** A block that is not kept, of the wanted type or of one of its fallbacks; null for none. */
  @Nullable Page rmqueueUnkept(
      Zone zone, int order, Migratetype type, List<Migratetype> fallbacks) {
    Page page = unkept(zone, order, type);
    for (int i = 0; page == null && i < fallbacks.size(); i++) {
      page = unkept(zone, order, fallbacks.get(i));
    }
    return page;
  }

  private @Nullable Page unkept(Zone zone, int order, Migratetype type) {
    for (int current = order; current <= maxPageOrder; current++) {
      ListHead head = zone.freeArea[current].freeList(type);
      for (ListHead at = mm.lists().first(head); !at.equals(head); at = mm.lists().next(at)) {
        Page block = mm.struct().ofLru(at);
        long pfn = unkeptPart(mm.model().pageToPfn(block), current, order);
        if (pfn >= 0) {
          Page target = mm.model().pfnToPage(pfn);
          lists.delPageFromFreeList(block, zone, current, type);
          lists.breakDownBuddyPages(zone, block, target, order, current, type);
          return target;
        }
      }
    }
    return null;
  }

  /**
   * The first part of {@code order} in the block that is not kept, or -1. No hugepage is smaller
   * than the smallest one that is advised, so smaller parts need not be asked for.
   */
  private long unkeptPart(long pfn, int high, int order) {
    if (!kept(pfn, 1L << high)) {
      return pfn;
    }
    if (high <= Math.max(order, smallestOrder())) {
      return -1;
    }
    long lower = unkeptPart(pfn, high - 1, order);
    return lower >= 0 ? lower : unkeptPart(pfn + (1L << (high - 1)), high - 1, order);
  }
}
