// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * What happens to struct pages when pages are handed out and given back: a compound page is taken
 * apart, flags are cleared, and, when page checks are on, everything else must be as expected.
 *
 * <pre>
 *   freed compound page   flags        compound_info  mapping  page_type  private
 *   head                  node, zone   kept           kept     none       0
 *   tail                  node, zone   0              NULL     kept       kept
 * </pre>
 *
 * With checks off nothing else is looked at: a tail with a stray reference count goes to the free
 * lists with it. With checks on such a page is reported and the whole block is lost.
 */
final class PageChecks {
  /** PAGE_FLAGS_CHECK_AT_FREE: what a page must not have when it is freed. */
  static final long PAGE_FLAGS_CHECK_AT_FREE =
      1L << PageFlags.PG_LRU
          | 1L << PageFlags.PG_LOCKED
          | 1L << PageFlags.PG_PRIVATE
          | 1L << PageFlags.PG_PRIVATE_2
          | 1L << PageFlags.PG_WRITEBACK
          | 1L << PageFlags.PG_RESERVED
          | 1L << PageFlags.PG_ACTIVE
          | 1L << PageFlags.PG_UNEVICTABLE
          | 1L << PageFlags.PG_MLOCKED;

  /** PAGE_FLAGS_SECOND: folio order, has_hwpoisoned, large_rmappable, partially_mapped. */
  static final long PAGE_FLAGS_SECOND =
      0xffL
          | 1L << PageFlags.PG_ACTIVE
          | 1L << PageFlags.PG_WORKINGSET
          | 1L << PageFlags.PG_RECLAIM;

  private static final String FREE_REASON = "PAGE_FLAGS_CHECK_AT_FREE flag(s) set";
  private static final String PREP_REASON = "PAGE_FLAGS_CHECK_AT_PREP flag(s) set";
  private static final long FOLIO_MAPPING_ANON = 1;
  private static final int SHOWN_IN_A_BURST = 60;
  private static final int PGTY_MAPCOUNT_UNDERFLOW = 0xff;

  /** Pages that hold fields of a folio, the head left out. */
  private static final int FOLIO_PAGES = 3;

  private final Mm mm;
  private final StructPage struct;
  private final PageRuns runs;
  private boolean checkPagesEnabled;
  private final long pageFlagsCheckAtPrep;
  private final boolean hasMemcgData;
  private long badPageReports;

  PageChecks(Mm mm) {
    this.mm = mm;
    this.struct = mm.struct();
    this.runs = new PageRuns(mm);
    this.pageFlagsCheckAtPrep = mm.flags().pageFlagsCheckAtPrep();
    this.checkPagesEnabled = mm.config().debugVm();
    this.hasMemcgData = mm.config().memcg() && struct.size() > StructPage.MEMCG_DATA;
  }

  void setCheckPagesEnabled(boolean enabled) {
    checkPagesEnabled = enabled;
  }

  /** How many bad pages were found; all count, only the first ones of a burst are logged. */
  long badPageReports() {
    return badPageReports;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "bad_page")
  void badPage(Page page, @Nullable String reason) {
    // No time passes here, so a burst never ends.
    if (badPageReports++ < SHOWN_IN_A_BURST) {
      mm.printk()
          .prErr(
              "BUG: Bad page state in process model  pfn:%05x"
                  .formatted(mm.model().pageToPfn(page)));
      mm.printk().prErr("page dumped because: " + reason);
    }
    // PageBuddy could make trouble, the rest is left for the reader.
    if (mm.flags().pageBuddy(page)) {
      mm.flags().clearType(page, PageFlags.PGTY_BUDDY);
    }
  }

  private long memcgData(Page page) {
    return hasMemcgData ? struct.word(page, StructPage.MEMCG_DATA) : 0;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "page_expected_state")
  private boolean pageExpectedState(Page page, long checkFlags) {
    return struct.mapcount(page) == -1
        && (struct.mapping(page)
                | struct.refcount(page)
                | memcgData(page)
                | (struct.flags(page) & checkFlags))
            == 0;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "page_bad_reason")
  private @Nullable String pageBadReason(Page page, long flags) {
    String badReason = null;
    if (struct.mapcount(page) != -1) {
      badReason = "nonzero mapcount";
    }
    if (struct.mapping(page) != 0) {
      badReason = "non-NULL mapping";
    }
    if (struct.refcount(page) != 0) {
      badReason = "nonzero _refcount";
    }
    if ((struct.flags(page) & flags) != 0) {
      badReason = flags == pageFlagsCheckAtPrep ? PREP_REASON : FREE_REASON;
    }
    if (memcgData(page) != 0) {
      badReason = "page still charged to cgroup";
    }
    return badReason;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "free_page_is_bad")
  private boolean freePageIsBad(Page page) {
    if (pageExpectedState(page, PAGE_FLAGS_CHECK_AT_FREE)) {
      return false;
    }
    badPage(page, pageBadReason(page, PAGE_FLAGS_CHECK_AT_FREE));
    return true;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "is_check_pages_enabled")
  boolean isCheckPagesEnabled() {
    return checkPagesEnabled;
  }

  /** Returns 1 when the tail was bad, 0 otherwise. It is a tail no longer either way. */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_tail_page_prepare")
  private int freeTailPagePrepare(Page headPage, Page page, long index) {
    int ret = 0;
    if (isCheckPagesEnabled()) {
      String reason = tailBadReason(headPage, page, index);
      if (reason != null) {
        badPage(page, reason);
        ret = 1;
      }
    }
    struct.setMapping(page, 0);
    mm.flags().clearCompoundHead(page);
    return ret;
  }

  private @Nullable String tailBadReason(Page headPage, Page page, long index) {
    String reason = null;
    if (index == 1) {
      reason = firstTailBadReason(page);
    } else if (index == 2) {
      boolean onList = !mm.lists().listEmpty(struct.deferredList(new Folio(headPage)));
      reason = onList ? "on deferred list" : null;
    } else if (index > 3 && struct.mapping(page) != mm.flags().tailMapping()) {
      // Tail 3 holds what hugetlb keeps in a folio.
      reason = "corrupted mapping in tail page";
    }
    if (reason == null && !mm.flags().pageTail(page)) {
      reason = "PageTail not set";
    }
    if (reason == null && !mm.flags().compoundHead(page).equals(headPage)) {
      reason = "compound_head not consistent";
    }
    return reason;
  }

  private @Nullable String firstTailBadReason(Page one) {
    if (struct.half(one, StructPage.LARGE_MAPCOUNT) + 1 != 0) {
      return "nonzero large_mapcount";
    }
    if (struct.half(one, StructPage.NR_PAGES_MAPPED) != 0) {
      return "nonzero nr_pages_mapped";
    }
    if (struct.half(one, StructPage.MM_ID_MAPCOUNT) != -1) {
      return "nonzero mm mapcount 0";
    }
    if (struct.half(one, StructPage.MM_ID_MAPCOUNT + 4) != -1) {
      return "nonzero mm mapcount 1";
    }
    if (struct.half(one, StructPage.ENTIRE_MAPCOUNT) + 1 != 0) {
      return "nonzero entire_mapcount";
    }
    return struct.half(one, StructPage.PINCOUNT) != 0 ? "nonzero pincount" : null;
  }

  @Kernel(file = "include/linux/page-flags.h", symbol = "page_has_type")
  private boolean pageHasType(Page page) {
    return struct.pageType(page) < PGTY_MAPCOUNT_UNDERFLOW << 24;
  }

  /**
   * {@code __free_pages_prepare()}: the struct pages of 2^{@code order} pages become those of free
   * pages, and their frames the page allocator's. False when the block must not be reused.
   */
  @Kernel(file = "mm/page_alloc.c", symbol = "__free_pages_prepare")
  boolean freePagesPrepare0(Page page, int order, int fpiFlags) {
    if ((fpiFlags & FreeLists.FPI_PREPARED) != 0) {
      return true;
    }
    boolean compound = mm.flags().pageCompound(page);
    Folio folio = mm.flags().pageFolio(page);
    mm.printk().vmBugOn(mm.flags().pageTail(page), "__free_pages_prepare: PageTail(page)");
    if (mm.flags().test(folio.page(), PageFlags.PG_MLOCKED)) {
      mm.flags().clear(folio.page(), PageFlags.PG_MLOCKED);
    }
    if (mm.flags().test(page, PageFlags.PG_HWPOISON) && order == 0) {
      return false;
    }
    mm.printk()
        .vmBugOn(
            compound && mm.inline().folioOrder(new Folio(page)) != order,
            "__free_pages_prepare: compound && compound_order(page) != order");
    // Tails first: the head must still say what they belong to.
    long bad = order != 0 ? freeTailsPrepare(page, order, compound) : 0;
    if ((struct.mapping(folio.page()) & FOLIO_MAPPING_ANON) != 0) {
      struct.setMapping(folio.page(), 0);
    }
    if (pageHasType(page)) {
      struct.setPageType(page, -1);
    }
    if (isCheckPagesEnabled()) {
      bad += freePageIsBad(page) ? 1 : 0;
      if (bad != 0) {
        return false;
      }
    }
    mm.inline().pageCpupidResetLast(page);
    struct.setFlags(page, struct.flags(page) & ~pageFlagsCheckAtPrep);
    struct.setPriv(page, 0);
    giveToBuddy(mm.model().pageToPfn(page), 1L << order);
    return true;
  }

  private long freeTailsPrepare(Page page, int order, boolean compound) {
    if (compound) {
      Page one = struct.add(page, 1);
      struct.setFlags(one, struct.flags(one) & ~PAGE_FLAGS_SECOND);
      if (struct.size() > StructPage.NR_PAGES) {
        struct.setHalf(one, StructPage.NR_PAGES, 0);
      }
    }
    if (!isCheckPagesEnabled()) {
      freeTailsUnchecked(page, order, compound);
      return 0;
    }
    return freeTailsChecked(page, order, compound);
  }

  /** Tails that are as they should be by runs, those that hold fields of the folio and bad ones alone. */
  private long freeTailsChecked(Page page, int order, boolean compound) {
    long bad = 0;
    long info = compound ? mm.flags().compoundInfo(page, order) : 0;
    PageCursor tail = new PageCursor(mm, page);
    boolean watched = mm.machine().yields().heard();
    tail.next();
    for (long i = 1; i < 1L << order; ) {
      long most = watched || i <= FOLIO_PAGES ? 0 : (1L << order) - i;
      int fine = runs.freeTails(tail, most, compound, info);
      if (fine == 0) {
        bad += freeTailChecked(page, tail.page(), i, compound);
        fine = 1;
      }
      tail.skip(fine);
      i += fine;
    }
    return bad;
  }

  /** Returns how many reasons there were to report the tail. */
  private long freeTailChecked(Page page, Page tail, long index, boolean compound) {
    long bad = compound ? freeTailPagePrepare(page, tail, index) : 0;
    if (freePageIsBad(tail)) {
      bad++;
    } else if (struct.priv(tail) != 0) {
      badPage(tail, "nonzero private");
      bad++;
    } else {
      struct.setFlags(tail, struct.flags(tail) & ~pageFlagsCheckAtPrep);
    }
    return bad;
  }

  /** The loop over the tails without checks. */
  private void freeTailsUnchecked(Page page, int order, boolean compound) {
    PageCursor tail = new PageCursor(mm, page);
    tail.next();
    for (long i = 1; i < 1L << order; ) {
      int done = runs.freeTailsUnchecked(tail, (1L << order) - i, compound);
      if (done == 0) {
        freeTail(tail, compound);
        done = 1;
      }
      tail.skip(done);
      i += done;
    }
  }

  private void freeTail(PageCursor tail, boolean compound) {
    if (compound) {
      tail.set(StructPage.MAPPING, 0);
      tail.set(StructPage.COMPOUND_INFO, 0);
    }
    tail.set(StructPage.FLAGS, tail.get(StructPage.FLAGS) & ~pageFlagsCheckAtPrep);
  }

  /** The frames become the page allocator's, whoever had them. Freeing twice is a fault. */
  private void giveToBuddy(long pfn, long nrPages) {
    long end = pfn + nrPages;
    while (pfn < end) {
      long next = mm.machine().ledger().sameOwnerUntil(pfn, end);
      if (mm.machine().ledger().ownerOf(pfn) == Owner.BUDDY) {
        mm.machine().ledger().transfer(pfn, next - pfn, Owner.ALLOCATED, Owner.BUDDY);
      }
      mm.own(pfn, next - pfn, Owner.BUDDY);
      pfn = next;
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "check_new_page_bad")
  private void checkNewPageBad(Page page) {
    if (mm.flags().test(page, PageFlags.PG_HWPOISON)) {
      if (mm.flags().pageBuddy(page)) {
        mm.flags().clearType(page, PageFlags.PGTY_BUDDY);
      }
      return;
    }
    badPage(page, pageBadReason(page, pageFlagsCheckAtPrep));
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "check_new_page")
  private boolean checkNewPage(Page page) {
    if (pageExpectedState(page, pageFlagsCheckAtPrep | 1L << PageFlags.PG_HWPOISON)) {
      return false;
    }
    checkNewPageBad(page);
    return true;
  }

  /** True when a page of a free block is not as a free page must be; only with checks on. */
  @Kernel(file = "mm/page_alloc.c", symbol = "check_new_pages")
  boolean checkNewPages(Page page, int order) {
    if (!isCheckPagesEnabled()) {
      return false;
    }
    long flags = pageFlagsCheckAtPrep | 1L << PageFlags.PG_HWPOISON;
    PageCursor each = new PageCursor(mm, page);
    boolean watched = mm.machine().yields().heard();
    for (long i = 0; i < 1L << order; ) {
      int fine = watched ? 0 : runs.fresh(each, (1L << order) - i, flags);
      if (fine == 0 && checkNewPage(each.page())) {
        return true;
      }
      each.skip(Math.max(fine, 1));
      i += Math.max(fine, 1);
    }
    return false;
  }
}
