// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The per-CPU lists: pages of small orders, and of the order of a transparent hugepage, wait here
 * for the next request and reach the buddy lists in batches.
 *
 * <p>One CPU is modelled. Before {@link #setupPerCpuPageset} the boot pageset is in use, whose
 * limit is 0: every page goes straight through.
 */
final class Pcplists {
  private static final int MIGRATE_PCPTYPES = 3;
  private static final int PAGE_ALLOC_COSTLY_ORDER = 3;
  private static final int NR_LOWORDER_PCP_LISTS =
      MIGRATE_PCPTYPES * (PAGE_ALLOC_COSTLY_ORDER + 1);
  private static final int NR_PCP_LISTS = NR_LOWORDER_PCP_LISTS + 2;
  private static final int PCP_BATCH_SCALE_MAX = 5;
  private static final int MIN_PERCPU_PAGELIST_HIGH_FRACTION = 8;
  private static final long SZ_256K = 256 << 10;

  private final Mm mm;
  private final FreeLists lists;
  private final Pageblocks blocks;
  private final Rmqueue rmqueue;
  private final PageChecks checks;
  private final Watermarks marks;
  private final PlacementSearch placed;

  Pcplists(
      Mm mm,
      FreeLists lists,
      Pageblocks blocks,
      Rmqueue rmqueue,
      PageChecks checks,
      Watermarks marks,
      PlacementSearch placed) {
    this.mm = mm;
    this.lists = lists;
    this.blocks = blocks;
    this.rmqueue = rmqueue;
    this.checks = checks;
    this.marks = marks;
    this.placed = placed;
  }

  // ---- lists by migratetype and order ----

  @Kernel(file = "mm/page_alloc.c", symbol = "order_to_pindex")
  private static int orderToPindex(Migratetype type, int order) {
    if (order > PAGE_ALLOC_COSTLY_ORDER) {
      return NR_LOWORDER_PCP_LISTS + (type == Migratetype.MIGRATE_MOVABLE ? 1 : 0);
    }
    return MIGRATE_PCPTYPES * order + type.number();
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "pindex_to_order")
  private int pindexToOrder(int pindex) {
    return pindex >= NR_LOWORDER_PCP_LISTS ? pmdOrder() : pindex / MIGRATE_PCPTYPES;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "pcp_allowed_order")
  boolean pcpAllowedOrder(int order) {
    return order <= PAGE_ALLOC_COSTLY_ORDER || order == pmdOrder();
  }

  /** HPAGE_PMD_ORDER: 8-byte entries fill a table of one page. */
  private int pmdOrder() {
    return mm.model().pageShift() - 3;
  }

  // ---- freeing ----

  /** Returns {@code count} pages from the lists to the buddy allocator, beginning at a list. */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_pcppages_bulk")
  private void freePcppagesBulk(Zone zone, int count, PerCpuPages pcp, int pindex) {
    lists.lock(zone);
    try {
      freePcppagesLocked(zone, count, pcp, pindex);
    } finally {
      lists.unlock(zone);
    }
  }

  private void freePcppagesLocked(Zone zone, int count, PerCpuPages pcp, int pindex) {
    count = Math.min(pcp.count, count);
    pindex = pindex - 1;
    while (count > 0) {
      ListHead list;
      do {
        if (++pindex > NR_PCP_LISTS - 1) {
          pindex = 0;
        }
        list = pcp.lists[pindex];
      } while (mm.lists().listEmpty(list));
      int order = pindexToOrder(pindex);
      do {
        Page page = mm.struct().ofLru(mm.lists().prev(list));
        long pfn = mm.model().pageToPfn(page);
        Migratetype type = blocks.getPfnblockMigratetype(page, pfn);
        mm.lists().listDel(mm.struct().lru(page));
        count -= 1 << order;
        addCount(pcp, -(1 << order));
        lists.freeOnePage0(page, pfn, zone, order, type, FreeLists.FPI_NONE);
      } while (count > 0 && !mm.lists().listEmpty(list));
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "nr_pcp_free")
  private static int nrPcpFree(PerCpuPages pcp, int batch, int high, boolean freeHigh) {
    if (freeHigh) {
      return Math.min(pcp.count, batch << PCP_BATCH_SCALE_MAX);
    }
    if (high < batch) {
      return 1;
    }
    return Math.clamp(pcp.freeCount, batch, Math.max(batch, high - batch));
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "nr_pcp_high")
  private int nrPcpHigh(PerCpuPages pcp, ZoneState state, int batch, boolean freeHigh) {
    int high = Math.clamp(pcp.high, pcp.highMin, pcp.highMax);
    pcp.high = high;
    if (high == 0) {
      return 0;
    }
    if (freeHigh) {
      pcp.high = Math.max(high - (batch << PCP_BATCH_SCALE_MAX), pcp.highMin);
      return 0;
    }
    if (pcp.highMin == pcp.highMax) {
      return high;
    }
    if (state.belowHigh) {
      pcp.high = Math.max(high - Math.max(pcp.freeCount, batch), pcp.highMin);
      return Math.max(pcp.count, pcp.highMin);
    }
    int needHigh = pcp.freeCount + batch;
    if (pcp.count >= high && pcp.high < needHigh) {
      pcp.high = Math.clamp(needHigh, pcp.highMin, pcp.highMax);
    }
    return high;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "free_frozen_page_commit")
  private void freeFrozenPageCommit(ZoneState state, Page page, Migratetype type, int order) {
    PerCpuPages pcp = state.pcp;
    pcp.allocFactor >>= 1;
    int pindex = orderToPindex(type, order);
    mm.lists().listAdd(mm.struct().lru(page), pcp.lists[pindex]);
    addCount(pcp, 1 << order);
    int batch = pcp.batch;
    boolean freeHigh = false;
    if (order != 0 && order <= PAGE_ALLOC_COSTLY_ORDER) {
      freeHigh =
          pcp.freeCount >= batch + pcp.highMin / 2
              && (pcp.flags & PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER) != 0
              && ((pcp.flags & PerCpuPages.PCPF_FREE_HIGH_BATCH) == 0 || pcp.count >= batch);
      pcp.flags |= PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER;
    } else {
      pcp.flags &= ~PerCpuPages.PCPF_PREV_FREE_HIGH_ORDER;
    }
    if (pcp.freeCount < batch << PCP_BATCH_SCALE_MAX) {
      pcp.freeCount += 1 << order;
    }
    int high = nrPcpHigh(pcp, state, batch, freeHigh);
    if (pcp.count < high) {
      return;
    }
    int toFree = nrPcpFree(pcp, batch, high, freeHigh);
    while (toFree > 0 && pcp.count > 0) {
      int batched = Math.min(toFree, batch);
      freePcppagesBulk(state.zone, batched, pcp, pindex);
      toFree -= batched;
    }
    long highMark = state.wmarkPages(ZoneState.WMARK_HIGH);
    if (state.belowHigh
        && marks.zoneWatermarkOk(state.zone, 0, highMark, ZoneType.ZONE_MOVABLE, 0)) {
      state.belowHigh = false;
    }
  }

  /** Gives a block to the buddy allocator at once. */
  @Kernel(file = "mm/page_alloc.c", symbol = "free_one_page")
  void freeOnePage(Zone zone, Page page, long pfn, int order, int fpiFlags) {
    lists.lock(zone);
    try {
      lists.splitLargeBuddy(zone, page, pfn, order, fpiFlags);
    } finally {
      lists.unlock(zone);
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__free_pages_ok")
  void freePagesOk0(Page page, int order, int fpiFlags) {
    long pfn = mm.model().pageToPfn(page);
    Zone zone = mm.inline().pageZone(page);
    if (checks.freePagesPrepare0(page, order, fpiFlags)) {
      freeOnePage(zone, page, pfn, order, fpiFlags);
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__free_frozen_pages")
  void freeFrozenPages0(Page page, int order, int fpiFlags) {
    if (!pcpAllowedOrder(order)) {
      freePagesOk0(page, order, fpiFlags);
      return;
    }
    if (!checks.freePagesPrepare0(page, order, fpiFlags)) {
      return;
    }
    long pfn = mm.model().pageToPfn(page);
    Zone zone = mm.inline().pageZone(page);
    ZoneState state = lists.state(zone);
    Migratetype type = blocks.getPfnblockMigratetype(page, pfn);
    if (type == Migratetype.MIGRATE_ISOLATE || state.pcp.lists.length == 0) {
      freeOnePage(zone, page, pfn, order, fpiFlags);
      return;
    }
    if (type.number() >= MIGRATE_PCPTYPES) {
      type = Migratetype.MIGRATE_MOVABLE;
    }
    lists.lockPcp(zone);
    try {
      freeFrozenPageCommit(state, page, type, order);
    } finally {
      lists.unlockPcp(zone);
    }
  }

  // ---- allocating ----

  /** Moves {@code count} blocks from the buddy allocator to {@code list}; returns how many came. */
  @Kernel(file = "mm/page_alloc.c", symbol = "rmqueue_bulk")
  private int rmqueueBulk(
      Zone zone, int order, int count, ListHead list, Migratetype type, int allocFlags) {
    Rmqueue.ModeRef mode = new Rmqueue.ModeRef();
    lists.lock(zone);
    try {
      for (int i = 0; i < count; i++) {
        Page page = rmqueue.rmqueue0(zone, order, type, allocFlags, mode);
        if (page == null) {
          return i;
        }
        mm.lists().listAddTail(mm.struct().lru(page), list);
      }
      return count;
    } finally {
      lists.unlock(zone);
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "nr_pcp_alloc")
  private static int nrPcpAlloc(PerCpuPages pcp, ZoneState state, int order) {
    int baseBatch = pcp.batch;
    int high = Math.clamp(pcp.high, pcp.highMin, pcp.highMax);
    pcp.high = high;
    if (high < baseBatch) {
      return 1;
    }
    int batch = order != 0 ? baseBatch : baseBatch << pcp.allocFactor;
    if (pcp.highMin != pcp.highMax && !state.belowHigh) {
      high = Math.min(high + batch, pcp.highMax);
      pcp.high = high;
    }
    if (order == 0) {
      int maxNrAlloc = Math.max(high - pcp.count - baseBatch, baseBatch);
      if (batch <= maxNrAlloc && pcp.allocFactor < PCP_BATCH_SCALE_MAX) {
        pcp.allocFactor++;
      }
      batch = Math.min(batch, maxNrAlloc);
    }
    return batch > 1 ? Math.max(batch >> order, 2) : batch;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__rmqueue_pcplist")
  private @Nullable Page rmqueuePcplist0(
      ZoneState state, int order, Migratetype type, int allocFlags, ListHead list) {
    PerCpuPages pcp = state.pcp;
    Page page;
    do {
      if (mm.lists().listEmpty(list)) {
        int batch = nrPcpAlloc(pcp, state, order);
        if ((allocFlags & Watermarks.ALLOC_HIGHATOMIC) != 0) {
          return null;
        }
        int alloced = rmqueueBulk(state.zone, order, batch, list, type, allocFlags);
        addCount(pcp, alloced << order);
        if (mm.lists().listEmpty(list)) {
          return null;
        }
      }
      page = mm.struct().ofLru(mm.lists().first(list));
      mm.lists().listDel(mm.struct().lru(page));
      addCount(pcp, -(1 << order));
    } while (checks.checkNewPages(page, order));
    return page;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "rmqueue_pcplist")
  private @Nullable Page rmqueuePcplist(Zone zone, int order, Migratetype type, int allocFlags) {
    ZoneState state = lists.state(zone);
    PerCpuPages pcp = state.pcp;
    if (pcp.lists.length == 0) {
      return null;
    }
    lists.lockPcp(zone);
    try {
      pcp.freeCount >>= 1;
      return rmqueuePcplist0(state, order, type, allocFlags, pcp.lists[orderToPindex(type, order)]);
    } finally {
      lists.unlockPcp(zone);
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "rmqueue_buddy")
  private @Nullable Page rmqueueBuddy(Zone zone, int order, int allocFlags, Migratetype type) {
    Page page;
    do {
      lists.lock(zone);
      try {
        page = rmqueueLocked(zone, order, allocFlags, type);
      } finally {
        lists.unlock(zone);
      }
      if (page == null) {
        return null;
      }
    } while (checks.checkNewPages(page, order));
    return page;
  }

  /** The part of rmqueue_buddy() that holds zone-&gt;lock. */
  private @Nullable Page rmqueueLocked(Zone zone, int order, int allocFlags, Migratetype type) {
    Page page = null;
    if ((allocFlags & Watermarks.ALLOC_HIGHATOMIC) != 0) {
      page = rmqueue.rmqueueSmallest0(zone, order, Migratetype.MIGRATE_HIGHATOMIC);
    }
    if (page == null) {
      page = rmqueue.rmqueue0(zone, order, type, allocFlags, new Rmqueue.ModeRef());
      int desperate = Watermarks.ALLOC_OOM | Watermarks.ALLOC_NON_BLOCK;
      if (page == null && (allocFlags & desperate) != 0) {
        page = rmqueue.rmqueueSmallest0(zone, order, Migratetype.MIGRATE_HIGHATOMIC);
      }
    }
    return page;
  }

  /** Takes 2^{@code order} pages from the zone; null when it has none. */
  @Kernel(file = "mm/page_alloc.c", symbol = "rmqueue")
  @Nullable Page rmqueue(Zone zone, int order, int allocFlags, Migratetype type) {
    Page page = null;
    // Pages that wait on a per-CPU list may be kept ones: the placement is asked at the buddy.
    boolean viaPcp = order < pmdOrder() || !placed.active();
    if (pcpAllowedOrder(order) && viaPcp) {
      page = rmqueuePcplist(zone, order, type, allocFlags);
    }
    if (page == null) {
      page = rmqueueBuddy(zone, order, allocFlags, type);
    }
    lists.state(zone).boostedWatermark = false;
    if (page != null) {
      mm.printk().vmBugOn(lists.badRange(zone, page), "rmqueue: page && bad_range(zone, page)");
    }
    return page;
  }

  // ---- draining ----

  @Kernel(file = "mm/page_alloc.c", symbol = "drain_pages_zone")
  private void drainPagesZone(Zone zone) {
    PerCpuPages pcp = lists.state(zone).pcp;
    int count;
    do {
      lists.lockPcp(zone);
      try {
        mm.machine().yields().touched("pcp->count");
        count = pcp.count;
        if (count != 0) {
          int toDrain = Math.min(count, pcp.batch << PCP_BATCH_SCALE_MAX);
          freePcppagesBulk(zone, toDrain, pcp, 0);
          count -= toDrain;
        }
      } finally {
        lists.unlockPcp(zone);
      }
    } while (count != 0);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__drain_all_pages")
  void drainAllPages0(@Nullable Zone zone) {
    if (zone != null) {
      drainPagesZone(zone);
      return;
    }
    for (Zone z : marks.zones()) {
      if (z.populated()) {
        drainPagesZone(z);
      }
    }
  }

  // ---- limits ----

  @Kernel(file = "mm/page_alloc.c", symbol = "zone_batchsize")
  private int zoneBatchsize(Zone zone) {
    int batch = (int) Math.min(zone.managedPages >> 12, SZ_256K / mm.model().pageSize());
    return batch <= 1 ? 1 : Integer.highestOneBit(batch + batch / 2) - 1;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "zone_highsize")
  private int zoneHighsize(ZoneState state, int batch, int highFraction) {
    long totalPages =
        highFraction == 0
            ? state.wmarkPages(ZoneState.WMARK_LOW)
            : state.zone.managedPages / highFraction;
    return (int) Math.max(totalPages, (long) batch << 2);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "pageset_update")
  private static void pagesetUpdate(PerCpuPages pcp, int highMin, int highMax, int batch) {
    pcp.batch = batch;
    pcp.highMin = highMin;
    pcp.highMax = highMax;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "zone_set_pageset_high_and_batch")
  void zoneSetPagesetHighAndBatch(Zone zone) {
    ZoneState state = lists.state(zone);
    int newBatch = Math.max(1, zoneBatchsize(zone));
    int newHighMin = zoneHighsize(state, newBatch, 0);
    int newHighMax =
        Math.max(newHighMin, zoneHighsize(state, newBatch, MIN_PERCPU_PAGELIST_HIGH_FRACTION));
    state.pagesetHighMin = newHighMin;
    state.pagesetHighMax = newHighMax;
    state.pagesetBatch = newBatch;
    if (state.pcp.lists.length != 0) {
      pagesetUpdate(state.pcp, newHighMin, newHighMax, newBatch);
    }
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "setup_zone_pageset")
  void setupZonePageset(Zone zone) {
    PerCpuPages pcp = lists.state(zone).pcp;
    if (pcp.lists.length == 0) {
      ListHead[] made = new ListHead[NR_PCP_LISTS];
      for (int i = 0; i < made.length; i++) {
        made[i] = mm.lists().newHead();
      }
      pcp.lists = made;
    }
    zoneSetPagesetHighAndBatch(zone);
  }

  /** The lists are empty: all pages of the zone are gone. */
  @Kernel(file = "mm/page_alloc.c", symbol = "zone_pcp_reset")
  void zonePcpReset(Zone zone) {
    PerCpuPages pcp = lists.state(zone).pcp;
    for (ListHead list : pcp.lists) {
      mm.printk().warnOn(!mm.lists().listEmpty(list), "zone_pcp_reset: !list_empty");
    }
  }

  /** {@code setup_per_cpu_pageset()}: populated zones have lists and nodes counters from now on. */
  @Kernel(file = "mm/page_alloc.c", symbol = "setup_per_cpu_pageset")
  void setupPerCpuPageset() {
    for (Zone zone : marks.zones()) {
      if (zone.populated()) {
        setupZonePageset(zone);
      }
    }
    mm.nodes().online().forEach(pgdat -> pgdat.perCpuNodestats = true);
  }

  /** {@code zone_pcp_disable()}: nothing stays on the zone's lists until enabled again. */
  @Kernel(file = "mm/page_alloc.c", symbol = "zone_pcp_disable")
  void zonePcpDisable(Zone zone) {
    pagesetUpdate(lists.state(zone).pcp, 0, 0, 1);
    drainAllPages0(zone);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "zone_pcp_enable")
  void zonePcpEnable(Zone zone) {
    ZoneState state = lists.state(zone);
    pagesetUpdate(state.pcp, state.pagesetHighMin, state.pagesetHighMax, state.pagesetBatch);
  }

  private void addCount(PerCpuPages pcp, int n) {
    pcp.count = (int) mm.machine().add("pcp->count", pcp.count, n);
  }
}
