// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.FreeArea;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;

/**
 * Takes a block from a zone: from the lists of the wanted migratetype, or by taking over a
 * pageblock of another one, or by stealing a single block.
 *
 * <p>Keeping movable and unmovable pages in different pageblocks is what leaves whole hugepages
 * free on a busy machine. All methods are called under the zone's lock.
 */
final class Rmqueue {
  /** Where to look when the own lists are empty, in order; by migratetype. */
  @Kernel(file = "mm/page_alloc.c", symbol = "fallbacks")
  private static final Map<Migratetype, List<Migratetype>> FALLBACKS =
      Map.of(
          Migratetype.MIGRATE_UNMOVABLE,
          List.of(Migratetype.MIGRATE_RECLAIMABLE, Migratetype.MIGRATE_MOVABLE),
          Migratetype.MIGRATE_MOVABLE,
          List.of(Migratetype.MIGRATE_RECLAIMABLE, Migratetype.MIGRATE_UNMOVABLE),
          Migratetype.MIGRATE_RECLAIMABLE,
          List.of(Migratetype.MIGRATE_UNMOVABLE, Migratetype.MIGRATE_MOVABLE));

  /** {@code enum rmqueue_mode}: where the last block was found; the search goes on from there. */
  @Kernel(file = "mm/page_alloc.c", symbol = "enum rmqueue_mode")
  enum Mode {
    NORMAL,
    CMA,
    CLAIM,
    STEAL
  }

  /** The in-and-out argument {@code enum rmqueue_mode *mode}. */
  static final class ModeRef {
    Mode mode = Mode.NORMAL;
  }

  /** {@code enum fallback_result}. */
  @Kernel(file = "mm/page_alloc.h", symbol = "enum fallback_result")
  enum FallbackResult {
    FOUND,
    EMPTY,
    NOCLAIM
  }

  /** A result and, when FOUND, the migratetype to take from. */
  record Fallback(FallbackResult result, Migratetype type) {}

  private final Mm mm;
  private final FreeLists lists;
  private final Pageblocks blocks;
  private final Watermarks marks;
  private final PlacementSearch placed;
  private final int maxPageOrder;
  private final int pageblockOrder;

  Rmqueue(Mm mm, FreeLists lists, Pageblocks blocks, Watermarks marks, PlacementSearch placed) {
    this.mm = mm;
    this.lists = lists;
    this.blocks = blocks;
    this.marks = marks;
    this.placed = placed;
    this.maxPageOrder = mm.config().maxPageOrder();
    this.pageblockOrder = mm.config().pageblockOrder();
  }

  private static List<Migratetype> fallbacks(Migratetype type) {
    return FALLBACKS.getOrDefault(type, List.of());
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__rmqueue_smallest")
  @Nullable Page rmqueueSmallest0(Zone zone, int order, Migratetype type) {
    for (int current = order; current <= maxPageOrder; current++) {
      Page page = lists.getPageFromFreeArea(zone.freeArea[current], type);
      if (page != null) {
        lists.pageDelAndExpand(zone, page, order, current, type);
        return page;
      }
    }
    return null;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__rmqueue_cma_fallback")
  private @Nullable Page rmqueueCmaFallback0(Zone zone, int order) {
    return rmqueueSmallest0(zone, order, Migratetype.MIGRATE_CMA);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "should_try_claim_block")
  private boolean shouldTryClaimBlock(int order, Migratetype start) {
    if (order >= pageblockOrder / 2) {
      return true;
    }
    // Unmovable pages in a movable block stay for good: better the whole block than a hole in it.
    return start == Migratetype.MIGRATE_RECLAIMABLE || start == Migratetype.MIGRATE_UNMOVABLE;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "find_suitable_fallback")
  Fallback findSuitableFallback(FreeArea area, int order, Migratetype type, boolean claimable) {
    if (claimable && !shouldTryClaimBlock(order, type)) {
      return new Fallback(FallbackResult.NOCLAIM, type);
    }
    if (area.nrFree != 0) {
      for (Migratetype fallback : fallbacks(type)) {
        if (!lists.freeAreaEmpty(area, fallback)) {
          return new Fallback(FallbackResult.FOUND, fallback);
        }
      }
    }
    return new Fallback(FallbackResult.EMPTY, type);
  }

  /** Takes over the pageblock of a free block if it is mostly free or alike; null if not. */
  @Kernel(file = "mm/page_alloc.c", symbol = "try_to_claim_block")
  private @Nullable Page tryToClaimBlock(
      Zone zone, Page page, int currentOrder, int order, Migratetype start, Migratetype block) {
    if (currentOrder >= pageblockOrder) {
      lists.delPageFromFreeList(page, zone, currentOrder, block);
      lists.changePageblockRange(page, currentOrder, start);
      long nrAdded = lists.expand(zone, page, order, currentOrder, start);
      lists.accountFreepages(zone, nrAdded, start);
      return page;
    }
    if (marks.boostWatermark(zone)) {
      lists.state(zone).boostedWatermark = true;
    }
    FreeLists.BlockScan scan = lists.prepMoveFreepagesBlock(zone, page, true);
    if (scan == null) {
      return null;
    }
    long alike = 0;
    if (start == Migratetype.MIGRATE_MOVABLE) {
      alike = scan.numMovable();
    } else if (block == Migratetype.MIGRATE_MOVABLE) {
      alike = blocks.nrPages() - (scan.numFree() + scan.numMovable());
    }
    if (scan.numFree() + alike < 1L << (pageblockOrder - 1)) {
      return null;
    }
    lists.moveFreepagesBlock0(zone, scan.startPfn(), block, start);
    blocks.setPageblockMigratetype(mm.model().pfnToPage(scan.startPfn()), start);
    return rmqueueSmallest0(zone, order, start);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__rmqueue_claim")
  private @Nullable Page rmqueueClaim0(Zone zone, int order, Migratetype start, int allocFlags) {
    int minOrder = order;
    if (order < pageblockOrder && (allocFlags & Watermarks.ALLOC_NOFRAGMENT) != 0) {
      minOrder = pageblockOrder;
    }
    // From the top: the largest free block stands for the emptiest pageblock.
    for (int current = maxPageOrder; current >= minOrder; current--) {
      FreeArea area = zone.freeArea[current];
      Fallback fallback = findSuitableFallback(area, current, start, true);
      if (fallback.result == FallbackResult.EMPTY) {
        continue;
      }
      if (fallback.result == FallbackResult.NOCLAIM) {
        break;
      }
      Page page = lists.getPageFromFreeArea(area, fallback.type);
      Page claimed =
          page == null ? null : tryToClaimBlock(zone, page, current, order, start, fallback.type);
      if (claimed != null) {
        return claimed;
      }
    }
    return null;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__rmqueue_steal")
  private @Nullable Page rmqueueSteal0(Zone zone, int order, Migratetype start) {
    for (int current = order; current <= maxPageOrder; current++) {
      FreeArea area = zone.freeArea[current];
      Fallback fallback = findSuitableFallback(area, current, start, false);
      if (fallback.result == FallbackResult.EMPTY) {
        continue;
      }
      Page page = lists.getPageFromFreeArea(area, fallback.type);
      if (page != null) {
        lists.pageDelAndExpand(zone, page, order, current, fallback.type);
        return page;
      }
    }
    return null;
  }

  /** Takes a block of 2^{@code order} pages off the lists of a zone; null when there is none. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__rmqueue")
  @Nullable Page rmqueue0(Zone zone, int order, Migratetype type, int allocFlags, ModeRef ref) {
    boolean cma = (allocFlags & Watermarks.ALLOC_CMA) != 0;
    if ((allocFlags & Watermarks.ALLOC_AVOID_KEPT) != 0) {
      return placed.rmqueueUnkept(zone, order, type, fallbacks(type));
    }
    if (cma && lists.state(zone).nrFreeCma > zone.nrFreePages / 2) {
      Page page = rmqueueCmaFallback0(zone, order);
      if (page != null) {
        return page;
      }
    }
    Page page = ref.mode == Mode.NORMAL ? rmqueueSmallest0(zone, order, type) : null;
    if (page == null && cma && ref.mode.compareTo(Mode.CMA) <= 0) {
      page = rmqueueCmaFallback0(zone, order);
      ref.mode = page != null ? Mode.CMA : ref.mode;
    }
    if (page == null && ref.mode.compareTo(Mode.CLAIM) <= 0) {
      page = rmqueueClaim0(zone, order, type, allocFlags);
      ref.mode = page != null ? Mode.NORMAL : ref.mode;
    }
    if (page == null && (allocFlags & Watermarks.ALLOC_NOFRAGMENT) == 0) {
      page = rmqueueSteal0(zone, order, type);
      ref.mode = page != null ? Mode.STEAL : ref.mode;
    }
    return page;
  }
}
