// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;

/**
 * The scan of mm/compaction.c that finds what lies in the way of a wanted range.
 *
 * <pre>
 *   pfn ------------------------------------------------------------> end
 *     | free |  hugepage, free       |  hugepage in use     | other |
 *       skip    replaced, then free    onto migratepages      skip, found busy later
 * </pre>
 *
 * There are no LRU lists here, so hugepages are all that can be moved.
 */
@Kernel(file = "mm/compaction.c", symbol = "isolate_migratepages_range")
final class Compaction {
  /** COMPACT_CLUSTER_MAX: base pages after which a scan stops, so that they are moved first. */
  private static final long COMPACT_CLUSTER_MAX = 32;

  private final Mm mm;
  private final FreeLists lists;
  private final Pageblocks blocks;
  private HugetlbHooks hugetlb = HugetlbHooks.NONE;
  private PageMigration migration = PageMigration.NONE;

  Compaction(Mm mm, FreeLists lists, Pageblocks blocks) {
    this.mm = mm;
    this.lists = lists;
    this.blocks = blocks;
  }

  void setHooks(HugetlbHooks hugetlbHooks, PageMigration pageMigration) {
    hugetlb = hugetlbHooks;
    migration = pageMigration;
  }

  /** {@code struct compact_control}, as far as a contiguous range needs it. */
  @Kernel(file = "mm/internal.h", symbol = "struct compact_control")
  static final class CompactControl {
    final Zone zone;
    final ListHead migratepages;

    /** Base pages isolated and not moved yet. */
    long nrMigratepages;

    /** Where the scan goes on. */
    long migratePfn;

    CompactControl(Zone zone, ListHead migratepages) {
      this.zone = zone;
      this.migratepages = migratepages;
    }
  }

  /**
   * The block's first page if both its ends are in the zone; null otherwise. That a zone is
   * contiguous, which would save the look, is not remembered here.
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "__pageblock_pfn_to_page")
  private @Nullable Page pageblockPfnToPage0(long startPfn, long endPfn, Zone zone) {
    if (!mm.mmzone().pfnValid(endPfn - 1) || !mm.mmzone().pfnOnline(startPfn)) {
      return null;
    }
    Page start = mm.model().pfnToPage(startPfn);
    Page last = mm.model().pfnToPage(endPfn - 1);
    boolean inside = mm.inline().pageZone(start) == zone && mm.inline().pageZone(last) == zone;
    return inside ? start : null;
  }

  /**
   * Isolates what can be moved, block by block, until {@code endPfn} or a cluster is reached.
   *
   * @return 0, or -ENOMEM: a free hugepage could not be replaced, or is gigantic
   */
  @Kernel(file = "mm/compaction.c", symbol = "isolate_migratepages_range")
  int isolateMigratepagesRange(CompactControl cc, long startPfn, long endPfn) {
    int ret = 0;
    long blockEnd;
    for (long pfn = startPfn; pfn < endPfn; pfn = blockEnd) {
      blockEnd = Math.min(blocks.pageblockEndPfn(pfn), endPfn);
      long blockStart = Math.max(blocks.pageblockStartPfn(pfn), cc.zone.zoneStartPfn);
      if (pageblockPfnToPage0(blockStart, blockEnd, cc.zone) == null) {
        continue;
      }
      ret = isolateMigratepagesBlock(cc, pfn, blockEnd);
      if (ret != 0 || cc.nrMigratepages >= COMPACT_CLUSTER_MAX) {
        break;
      }
    }
    return ret;
  }

  @Kernel(
      file = "mm/compaction.c",
      symbol = "isolate_migratepages_block",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "For alloc_contig_range() only, which ignores skip hints; without LRU pages, pages"
          + " with movable_ops, throttling and fatal signals, which do not exist here.")
  private int isolateMigratepagesBlock(CompactControl cc, long startPfn, long endPfn) {
    long nrIsolated = 0;
    int ret = 0;
    long pfn = startPfn;
    for (; pfn < endPfn; pfn++) {
      if (pfn % COMPACT_CLUSTER_MAX == 0) {
        mm.condResched(pfn);
      }
      Page page = mm.model().pfnToPage(pfn);
      if (mm.flags().pageHuge(page)) {
        Folio folio = mm.flags().pageFolio(page);
        long nrPages = mm.inline().folioNrPages(folio);
        long last = mm.model().pageToPfn(folio.page()) + nrPages - 1;
        // compound_order() of a tail is 0: after a failure its neighbours are tried as well.
        long failed = mm.flags().pageHead(page) ? last : pfn;
        ret = hugetlb.isolateOrDissolveHugeFolio(folio, cc.migratepages);
        if (ret == -Errno.ENOMEM) {
          putback(cc, nrIsolated);
          pfn = failed;
          break;
        }
        if (ret < 0) {
          ret = 0;
          pfn = failed;
          continue;
        }
        // A page that was replaced but could not be restored counts as isolated too.
        if (mm.flags().folioTestHugetlb(folio)) {
          pfn = last;
          cc.nrMigratepages += nrPages;
          nrIsolated += nrPages;
          if (cc.nrMigratepages >= COMPACT_CLUSTER_MAX) {
            pfn++;
            break;
          }
          continue;
        }
      }
      if (mm.flags().pageBuddy(page)) {
        pfn += (1L << lists.buddyOrder(page)) - 1;
      }
    }
    cc.migratePfn = Math.min(pfn, endPfn);
    return ret;
  }

  /** What this block gave is not moved when the rest of it cannot be had. */
  private void putback(CompactControl cc, long nrIsolated) {
    if (nrIsolated != 0) {
      migration.putbackMovablePages(cc.migratepages);
      cc.nrMigratepages = 0;
    }
  }
}
