// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.ArgumentMatchers.anyInt;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.spy;
import static org.mockito.Mockito.times;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.when;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.PageIsolation;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/** The pool at run time: its counters, its lists, its pages, and what happens without memory. */
final class HugetlbTest {
  private static final long PAGES = 512;
  private static final int NO_NODE = PoolMachine.NO_NODE;

  private static String bugOf(Runnable action) {
    return String.valueOf(assertThrows(KernelBug.class, action::run).getMessage());
  }

  private static void assertPool(Hstate h, long total, long free, long surplus) {
    assertEquals(
        "total=%d free=%d surplus=%d".formatted(total, free, surplus),
        "total=%d free=%d surplus=%d"
            .formatted(h.nrHugePages, h.freeHugePages, h.surplusHugePages));
  }

  // ---------------------------------------------------------------- grow and shrink

  /** Five pages, then two, then none. Expect the frames to come and go with the counters. */
  @Test
  void setPool_upAndDown_movesTheFrames() {
    PoolMachine pool = PoolMachine.optimizing();
    assertEquals(0, pool.setPool(5));
    assertPool(pool.h2m(), 5, 5, 0);
    assertEquals(5 * PAGES, pool.owned(Owner.HUGEPAGE));
    assertEquals(0, pool.setPool(2));
    assertPool(pool.h2m(), 2, 2, 0);
    assertEquals(2 * PAGES, pool.owned(Owner.HUGEPAGE));
    assertEquals(0, pool.setPool(0));
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
    assertEquals(5 * 8, pool.mm.vmstat().nrMemmapPages());
    assertEquals(List.of(), pool.warnings());
  }

  /** The words of a free hugepage in the pool. Expect those that captured kernels show. */
  @Test
  void setPool_structPages_areAsInCapturedKernels() {
    PoolMachine pool = PoolMachine.small().boot();
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    StructPage struct = pool.mm.struct();
    assertEquals(0x8, struct.priv(folio.page()));
    assertEquals(0xf400_0000, struct.pageType(folio.page()));
    assertEquals(0, struct.refcount(folio.page()));
    assertEquals(9, struct.flags(pool.mm.flags().folioPage(folio, 1)) & 0xff);
    assertEquals(0x200, struct.half(pool.mm.flags().folioPage(folio, 1), StructPage.NR_PAGES));
    assertEquals(0, struct.word(pool.mm.flags().folioPage(folio, 3), StructPage.HUGETLB_SUBPOOL));
    assertEquals(0, struct.word(pool.mm.flags().folioPage(folio, 3), StructPage.HUGETLB_CGROUP));
    assertEquals(
        pool.mm.flags().tailMapping(), struct.mapping(pool.mm.flags().folioPage(folio, 4)));
  }

  /** More than there is memory. Expect fewer pages and no error. */
  @Test
  void setPool_moreThanMemory_getsWhatThereIs() {
    PoolMachine pool = PoolMachine.small().boot();
    assertEquals(0, pool.setPool(1000));
    long got = pool.h2m().nrHugePages;
    assertTrue(got > 0 && got < 128, "got=" + got);
    assertEquals(Long.toString(got), pool.system.sysfs().read(PoolMachine.NR_HUGEPAGES));
  }

  /** The third allocation fails. Expect the two before it to be in the pool, and no error. */
  @Test
  void setPool_noMemoryForTheThird_keepsTwo() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.failFrom(3, "alloc_buddy_frozen_folio");
    assertEquals(0, pool.setPool(5));
    assertPool(pool.h2m(), 2, 2, 0);
    assertEquals(2, pool.h2m().maxHugePages);
  }

  /** No memory for the node mask. Expect -ENOMEM and the pool as it was. */
  @Test
  void setPool_noMemoryForMask_isRefused() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.failNth(1, "set_max_huge_pages");
    assertEquals(-Errno.ENOMEM, pool.setPool(5));
    assertPool(pool.h2m(), 0, 0, 0);
  }

  /** A build without run-time gigantic pages. Expect growing to be refused and no change. */
  @Test
  void setMaxHugePages_giganticNoRuntime_isInvalid() {
    PoolMachine pool = noRuntime();
    Hstate h = pool.hstate(PoolMachine.GIB);
    assertEquals(-Errno.EINVAL, pool.system.resize().nrHugepagesStoreCommon0(h, NO_NODE, 1));
  }

  private static PoolMachine noRuntime() {
    HugetlbArch sizes = PoolMachine.sizes();
    HugetlbArch arch =
        new HugetlbArch() {
          @Override
          public long hpageSize() {
            return sizes.hpageSize();
          }

          @Override
          public boolean archHugetlbValidSize(long size) {
            return sizes.archHugetlbValidSize(size);
          }

          @Override
          public List<Long> initcallSizes() {
            return sizes.initcallSizes();
          }

          @Override
          public boolean archHugetlbMigrationSupported(long size) {
            return true;
          }

          @Override
          public boolean giganticPageRuntimeSupported() {
            return false;
          }
        };
    return new PoolMachine(
            PoolMachine.config(), arch, new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
        .boot();
  }

  /** Four pages on two nodes. Expect two on each, and two of the four to go from both. */
  @Test
  void setPool_twoNodes_goesRound() {
    PoolMachine pool = PoolMachine.twoNodes().cmdline("hugetlb_free_vmemmap=on").boot();
    pool.setPool(4);
    assertEquals(2, pool.h2m().nrHugePagesNode[0]);
    assertEquals(2, pool.h2m().nrHugePagesNode[1]);
    pool.setPool(2);
    assertEquals(1, pool.h2m().nrHugePagesNode[0]);
    assertEquals(1, pool.h2m().nrHugePagesNode[1]);
  }

  /** Three more on node 1 only. Expect node 0 to keep its two and the total to be five. */
  @Test
  void setPool_oneNode_leavesTheOther() {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    pool.setPool(4);
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(pool.h2m(), 1, 3));
    assertEquals(2, pool.h2m().nrHugePagesNode[0]);
    assertEquals(3, pool.h2m().nrHugePagesNode[1]);
    assertEquals(5, pool.h2m().maxHugePages);
  }

  /** A count for a node that overflows with the other's pages. Expect all that the node has. */
  @Test
  void setPool_nodeCountOverflows_meansAsManyAsPossible() {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    pool.setPool(4);
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(pool.h2m(), 1, -1));
    assertEquals(2, pool.h2m().nrHugePagesNode[0]);
    assertTrue(pool.h2m().nrHugePagesNode[1] > 50);
  }

  /** A build without ARCH_HAS_GIGANTIC_PAGE. Expect a gigantic pool not to grow, with the locks left. */
  @Test
  void setMaxHugePages_noGigantic_isInvalidOnlyToGrow() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().toBuilder().gigantic(false).build(),
                PoolMachine.sizes(),
                new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .boot();
    Hstate h = pool.hstate(PoolMachine.GIB);
    List<String> locks = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.contains("lock hugetlb_lock") || what.contains("lock resize_lock")) {
                locks.add(what);
              }
            });
    assertEquals(-Errno.EINVAL, pool.system.resize().nrHugepagesStoreCommon0(h, NO_NODE, 1));
    assertEquals(
        List.of(
            "lock resize_lock", "lock hugetlb_lock", "unlock hugetlb_lock", "unlock resize_lock"),
        locks);
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(h, NO_NODE, 0));
    assertEquals(0, pool.setPool(1));
    assertPool(pool.h2m(), 1, 1, 0);
  }

  /**
   * Node 0 has one page and node 1 two, of which one is surplus. Expect pages to be made surplus on
   * nodes that have others, persistent on nodes that have surplus ones, and 0 when there is none left.
   */
  @Test
  void adjustPoolSurplus_nodes_takeTheirTurns() {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    Hstate h = pool.h2m();
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(h, 0, 1));
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(h, 1, 2));
    TreeSet<Integer> nodes = new TreeSet<>(Set.of(0, 1));
    HugetlbResize resize = pool.system.resize();
    pool.hugetlb.hugetlbLock().lock();
    h.addSurplusHugePages(1, 1);
    assertEquals(1, resize.adjustPoolSurplus(h, nodes, 1));
    assertEquals(1, h.nextNidToAlloc.nid);
    assertEquals(1, h.nextNidToFree.nid);
    assertEquals(1, resize.adjustPoolSurplus(h, nodes, 1));
    assertEquals(1, h.surplusHugePagesNode[0]);
    assertEquals(2, h.surplusHugePagesNode[1]);
    assertEquals(0, resize.adjustPoolSurplus(h, nodes, 1));
    assertPool(h, 3, 3, 3);
    assertEquals(0, resize.adjustPoolSurplus(h, new TreeSet<>(), -1));
    for (int i = 0; i < 3; i++) {
      assertEquals(1, resize.adjustPoolSurplus(h, nodes, -1));
    }
    assertEquals(0, resize.adjustPoolSurplus(h, nodes, -1));
    assertPool(h, 3, 3, 0);
    pool.hugetlb.hugetlbLock().unlock();
  }

  /** The pool grows by pages that were surplus and by new ones. Expect no more new ones than needed. */
  @Test
  void grow_surplusAndNew_addUp() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    pool.setPool(0);
    pool.machine.faults().disarm();
    assertPool(pool.h2m(), 2, 2, 2);
    assertEquals(0, pool.setPool(5));
    assertPool(pool.h2m(), 5, 5, 0);
    assertEquals(5, pool.h2m().maxHugePages);
  }

  /** Fewer on one node only. Expect the other to keep its pages, and pages in use to be surplus there. */
  @Test
  void shrink_oneNode_leavesTheOther() {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    Hstate h = pool.h2m();
    pool.setPool(6);
    pool.system.task().mapHugepage(PoolMachine.SIZE_2M, pool.freePfns(1).getFirst());
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(h, 1, 0));
    assertEquals(3, h.nrHugePagesNode[0]);
    assertEquals(1, h.nrHugePagesNode[1]);
    assertEquals(1, h.surplusHugePagesNode[1]);
    assertEquals(0, h.surplusHugePagesNode[0]);
    assertEquals(3, h.maxHugePages);
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(h, 1, 1));
    assertEquals(0, h.surplusHugePages);
    assertEquals(4, h.maxHugePages);
  }

  /** Of four free pages two are surplus. The pool is to be empty: expect the persistent two to go. */
  @Test
  void shrink_asManyFreeAsPersistent_removesThose() {
    PoolMachine pool = PoolMachine.small().boot();
    pool.setPool(4);
    pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1);
    pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1);
    pool.hugetlb.hugetlbLock().lock();
    pool.h2m().addSurplusHugePages(0, 2);
    pool.hugetlb.hugetlbLock().unlock();
    assertEquals(0, pool.setPool(0));
    assertPool(pool.h2m(), 2, 0, 2);
  }

  /**
   * A page waits for the worker when the pool grows by one, or another CPU leaves it while the lock is
   * open. Expect it to be freed before the new page is asked for, or before the end.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void setMaxHugePages_workForTheWorker_isDone(int unlocks) {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    List<Long> ownedWhenAsked = new ArrayList<>();
    int[] left = {unlocks};
    if (unlocks == 0) {
      pool.hugetlb.updateAndFreeHugetlbFolio(pool.h2m(), folio, true);
    }
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cond_resched")) {
                ownedWhenAsked.add(pool.owned(Owner.HUGEPAGE));
              } else if (what.equals("unlock hugetlb_lock") && left[0]-- == 1) {
                pool.hugetlb.updateAndFreeHugetlbFolio(pool.h2m(), folio, true);
              }
            });
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(pool.h2m(), NO_NODE, 1));
    pool.machine.yields().listen(null);
    assertEquals(unlocks == 0 ? 0 : PAGES, ownedWhenAsked.getFirst());
    assertEquals(PAGES, pool.owned(Owner.HUGEPAGE));
  }

  // ---------------------------------------------------------------- restore fails

  /** No memory for any memmap page while shrinking. Expect all pages to be surplus, none lost. */
  @Test
  void shrink_noMemory_keepsThePagesAsSurplus() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    assertEquals(0, pool.setPool(0));
    assertPool(pool.h2m(), 3, 3, 3);
    assertEquals(0, pool.h2m().maxHugePages);
    assertEquals(3 * PAGES, pool.owned(Owner.HUGEPAGE));
    assertTrue(pool.optimized(pool.folio(pool.freePfns(0).get(0))));
  }

  /** Then memory is back and one page is wanted. Expect a surplus page to be taken, none made. */
  @Test
  void grow_withSurplusPages_takesThemFirst() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    pool.setPool(0);
    pool.machine.faults().disarm();
    assertEquals(0, pool.setPool(1));
    assertPool(pool.h2m(), 3, 3, 2);
    assertEquals(1, pool.h2m().maxHugePages);
  }

  /** Then none is wanted. Expect the persistent page to go, and the surplus ones to stay. */
  @Test
  void shrink_withFreeSurplusPages_countsThemApart() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    pool.setPool(0);
    pool.machine.faults().disarm();
    pool.setPool(1);
    assertEquals(0, pool.setPool(0));
    assertPool(pool.h2m(), 2, 2, 2);
  }

  /** The first of three is restored, the second not. Expect the first to make room for the rest. */
  @Test
  void shrink_secondFailsOnce_freesTheFirstAndGoesOn() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    pool.failNth(8, "alloc_vmemmap_page_list");
    assertEquals(0, pool.setPool(0));
    assertPool(pool.h2m(), 0, 0, 0);
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  /** The very first fails once. Expect it to be tried alone and freed, then the others together. */
  @Test
  void shrink_firstFailsOnce_triesOneByOne() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    List<Long> ownedWhenAsked = new ArrayList<>();
    pool.machine
        .faults()
        .failFrom(
            1,
            site -> {
              if (site.equals("alloc_vmemmap_page_list")) {
                ownedWhenAsked.add(pool.owned(Owner.HUGEPAGE));
              }
              return ownedWhenAsked.size() == 1 && site.equals("alloc_vmemmap_page_list");
            });
    assertEquals(0, pool.setPool(0));
    assertPool(pool.h2m(), 0, 0, 0);
    assertEquals(3 * PAGES, ownedWhenAsked.getFirst());
    assertEquals(2 * PAGES, ownedWhenAsked.getLast());
  }

  // ---------------------------------------------------------------- surplus

  /** The limit for surplus pages is 0. Expect none, and no memory to be asked for. */
  @Test
  void allocSurplus_limitReached_isRefused() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.failFrom(1, "alloc_buddy_frozen_folio");
    assertNull(allocSurplus(pool));
    assertEquals(0, pool.machine.faults().failed());
  }

  private static @Nullable Folio allocSurplus(PoolMachine pool) {
    return pool.hugetlb.allocSurplusHugetlbFolio(
        pool.h2m(), pool.hugetlb.htlbAllocMask(pool.h2m()), 0, null);
  }

  /** One surplus page is allowed. Expect an optimised page that is counted as such. */
  @Test
  void allocSurplus_belowLimit_isCounted() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.h2m().nrOvercommitHugePages = 1;
    Folio folio = allocSurplus(pool);
    assertPool(pool.h2m(), 1, 0, 1);
    assertTrue(folio != null && pool.optimized(folio));
  }

  /** The limit is lowered while the page is made. Expect it to be freed again, by the worker. */
  @Test
  void allocSurplus_limitLoweredMeanwhile_freesThePage() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.h2m().nrOvercommitHugePages = 1;
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cmpxchg zone->vmemmap_tails")) {
                pool.h2m().nrOvercommitHugePages = 0;
              }
            });
    assertNull(allocSurplus(pool));
    pool.hugetlb.waitForFreedHugetlbFolios();
    assertPool(pool.h2m(), 0, 0, 0);
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  /** No memory for a surplus page. Expect none, and no count. */
  @Test
  void allocSurplus_noMemory_isNull() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.h2m().nrOvercommitHugePages = 1;
    pool.failFrom(1, "alloc_buddy_frozen_folio");
    assertNull(allocSurplus(pool));
    assertPool(pool.h2m(), 0, 0, 0);
  }

  // ---------------------------------------------------------------- dissolve

  /** A free hugepage. Expect it to be gone from the pool and from the wish. */
  @Test
  void dissolve_freePage_isFreed() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    long pfn = pool.freePfns(0).get(0);
    assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolio(pool.folio(pfn)));
    assertPool(pool.h2m(), 1, 1, 0);
    assertEquals(1, pool.h2m().maxHugePages);
    assertEquals(Owner.BUDDY, pool.machine.ledger().ownerOf(pfn));
  }

  /** Memory that is no hugepage. Expect 0: nothing to do. */
  @Test
  void dissolve_noHugepage_isDone() {
    PoolMachine pool = PoolMachine.optimizing();
    assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolio(pool.folio(2048)));
  }

  /** A page in use. Expect -EBUSY. */
  @Test
  void dissolve_pageInUse_isBusy() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    long pfn = pool.freePfns(0).get(0);
    assertEquals(pfn, pool.system.task().mapHugepage(PoolMachine.SIZE_2M, pfn));
    assertEquals(-Errno.EBUSY, pool.hugetlb.dissolveFreeHugetlbFolio(pool.folio(pfn)));
  }

  /** All free pages are promised. Expect -EBUSY. */
  @Test
  void dissolve_reservedPage_isBusy() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(pool.h2m(), 1));
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    assertEquals(-Errno.EBUSY, pool.hugetlb.dissolveFreeHugetlbFolio(folio));
    // Would be a recursion if it were still held.
    pool.hugetlb.hugetlbLock().lock();
  }

  /** A gigantic page that cannot be freed at run time. Expect -EBUSY. */
  @Test
  void dissolve_giganticNoRuntime_isBusy() {
    PoolMachine pool = noRuntime();
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.mm.inline().folioSetOrder(folio, 18);
    assertEquals(-Errno.EBUSY, pool.hugetlb.dissolveFreeHugetlbFolio(folio));
  }

  /** No memory for its memmap. Expect -ENOMEM and the page and the wish as they were. */
  @Test
  void dissolve_noMemory_putsThePageBack() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    Folio folio = pool.folio(pool.freePfns(0).get(1));
    assertEquals(-Errno.ENOMEM, pool.hugetlb.dissolveFreeHugetlbFolio(folio));
    assertPool(pool.h2m(), 2, 2, 0);
    assertEquals(2, pool.h2m().maxHugePages);
    assertTrue(pool.optimized(folio));
  }

  /** A page that is on its way to the free list. Expect another try when it has arrived. */
  @Test
  void dissolve_notEnqueuedYet_triesAgain() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.system.folios().clear(folio, HugetlbPageFlag.HPG_FREED);
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cond_resched")) {
                pool.machine.yields().listen(null);
                pool.system.folios().set(folio, HugetlbPageFlag.HPG_FREED);
              }
            });
    assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolio(folio));
    assertPool(pool.h2m(), 1, 1, 0);
  }

  /** All memory of the node. Expect every free hugepage to go; a busy one ends it. */
  @Test
  void dissolveRange_allMemory_freesAllUntilABusyOne() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolios(0, 65536));
    assertPool(pool.h2m(), 0, 0, 0);
    pool.setPool(1);
    pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1);
    assertEquals(-Errno.EBUSY, pool.hugetlb.dissolveFreeHugetlbFolios(0, 65536));
  }

  /**
   * Of three free pages one is persistent, two are surplus, as their memmap could not be restored once.
   * One is dissolved. Expect a surplus page less, and the wish and the persistent page to stay; and
   * the same counts as before when its memmap cannot be restored now.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void dissolve_nodeHasSurplus_takesASurplusPage(boolean memory) {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    pool.setPool(0);
    pool.machine.faults().disarm();
    pool.setPool(1);
    assertPool(pool.h2m(), 3, 3, 2);
    if (!memory) {
      pool.failFrom(1, "alloc_vmemmap_page_list");
    }
    int rc = pool.hugetlb.dissolveFreeHugetlbFolio(pool.folio(pool.freePfns(0).get(0)));
    assertEquals(memory ? 0 : -Errno.ENOMEM, rc);
    assertPool(pool.h2m(), memory ? 2 : 3, memory ? 2 : 3, memory ? 1 : 2);
    assertEquals(memory ? 1 : 2, pool.h2m().surplusHugePagesNode[0]);
    assertEquals(1, pool.h2m().persistentHugePages());
    assertEquals(1, pool.h2m().maxHugePages);
  }

  /** It stops being a hugepage while its dissolver waits for the lock. Expect 0, the lock left. */
  @Test
  void dissolve_goneWhileWaiting_isDone() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("lock hugetlb_lock")) {
                pool.machine.yields().listen(null);
                pool.system.folios().folioClearHugetlb(folio);
              }
            });
    assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolio(folio));
    assertPool(pool.h2m(), 2, 2, 0);
    // Would be a recursion if it were still held.
    pool.hugetlb.hugetlbLock().lock();
  }

  /** A page of a plain memmap. Expect it to be dissolved without a restore. */
  @Test
  void dissolve_plainPage_isFreed() {
    PoolMachine pool = PoolMachine.small().boot();
    pool.setPool(1);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    assertEquals(
        0, pool.hugetlb.dissolveFreeHugetlbFolio(pool.folio(pool.freePfns(0).get(0))));
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
    assertEquals(0, pool.machine.faults().failed());
  }

  /** Pages of two sizes in one range. Expect steps of the smaller size, so that none is missed. */
  @Test
  void dissolveRange_neighbours_areAllDissolved() {
    PoolMachine pool = HugetlbMigrateTest.filled(4);
    long start = pool.freePfns(0).getFirst();
    long end = pool.freePfns(0).getLast();
    assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolios(start, end));
    assertEquals(List.of(end), pool.freePfns(0));
    assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolios(end, end + 1));
    assertPool(pool.h2m(), 0, 0, 0);
  }

  // ---------------------------------------------------------------- taking and giving

  /** The first block is being isolated. Expect the page behind it to be handed out. */
  @Test
  void dequeue_isolatedBlock_isSkipped() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    List<Long> pfns = pool.freePfns(0);
    pool.hugetlb.preferForRemoval(PoolMachine.SIZE_2M, Set.of(pfns.get(0)));
    assertEquals(
        0,
        pool.pageAlloc
            .isolation()
            .startIsolatePageRange(pfns.get(0), pfns.get(0) + PAGES, PageIsolation.Mode.OTHER));
    assertEquals(pfns.get(1), pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1));
  }

  /** Two pages on each node. Expect the near node first, then the other; or only those allowed. */
  @Test
  void dequeueNodemask_nodes_areAskedInTheirOrder() {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    pool.setPool(4);
    Hstate h = pool.h2m();
    pool.hugetlb.hugetlbLock().lock();
    assertEquals(1, nodeOf(pool, pool.hugetlb.dequeueHugetlbFolioNodemask(h, 1, null)));
    assertEquals(0, nodeOf(pool, pool.hugetlb.dequeueHugetlbFolioNodemask(h, NO_NODE, null)));
    assertEquals(0, nodeOf(pool, pool.hugetlb.dequeueHugetlbFolioNodemask(h, 1, Set.of(0))));
    assertNull(pool.hugetlb.dequeueHugetlbFolioNodemask(h, 1, Set.of(0)));
    assertEquals(1, nodeOf(pool, pool.hugetlb.dequeueHugetlbFolioNodemask(h, 0, null)));
    assertNull(pool.hugetlb.dequeueHugetlbFolioNodemask(h, 0, null));
    pool.hugetlb.hugetlbLock().unlock();
    assertEquals(List.of(), pool.warnings());
  }

  private static int nodeOf(PoolMachine pool, @Nullable Folio folio) {
    return folio == null ? -1 : pool.mm.inline().folioNid(folio);
  }

  /**
   * A page comes back from its user with all that a user may leave in it. Expect none of it to be
   * left, and its promise to be there again.
   */
  @Test
  void freeHugeFolio_usedPage_isCleanAndPromised() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    Folio folio = new Folio(pool.system.reserve().hugetlbAllocFolio(pool.h2m(), 0, 0));
    HugetlbFolios folios = pool.system.folios();
    folios.hugetlbSetFolioSubpool(folio, 8);
    folios.setHugetlbCgroup(folio, 16);
    folios.setHugetlbCgroupRsvd(folio, 24);
    pool.mm.struct().setMapping(folio.page(), 0x1001);
    pool.mm.flags().set(folio.page(), PageFlags.PG_OWNER_2);
    folios.set(folio, HugetlbPageFlag.HPG_MIGRATABLE);
    folios.set(folio, HugetlbPageFlag.HPG_RESTORE_RESERVE);
    pool.mm.refs().putPageTestzero(folio.page());

    pool.hugetlb.freeHugeFolio(folio);

    assertEquals(0, folios.hugetlbFolioSubpool(folio));
    assertEquals(0, folios.hugetlbCgroupFromFolio(folio));
    assertEquals(0, folios.hugetlbCgroupFromFolioRsvd(folio));
    assertEquals(0, pool.mm.struct().mapping(folio.page()));
    assertFalse(pool.mm.flags().test(folio.page(), PageFlags.PG_OWNER_2));
    assertEquals(0x18, pool.mm.struct().priv(folio.page()));
    assertEquals(1, pool.h2m().resvHugePages);
    assertPool(pool.h2m(), 2, 2, 0);
  }

  /** A new page in which words of its last user are left. Expect HugeTLB's to be cleared. */
  @Test
  void initNewHugetlbFolio_leftovers_areCleared() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    HugetlbFolios folios = pool.system.folios();
    folios.hugetlbSetFolioSubpool(folio, 8);
    folios.setHugetlbCgroup(folio, 16);
    folios.setHugetlbCgroupRsvd(folio, 24);
    folios.folioClearHugetlb(folio);
    pool.hugetlb.initNewHugetlbFolio(folio);
    assertTrue(folios.folioTestHugetlb(folio));
    assertEquals(0, folios.hugetlbFolioSubpool(folio));
    assertEquals(0, folios.hugetlbCgroupFromFolio(folio));
    assertEquals(0, folios.hugetlbCgroupFromFolioRsvd(folio));
    ListHead lru = pool.mm.struct().lru(folio.page());
    assertEquals(lru, pool.mm.lists().next(lru));
  }

  /** A poisoned page leaves the pool. Expect the mark of the head to go with it, once it is whole. */
  @Test
  void updateAndFree_poisonedPage_losesTheMark() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.mm.flags().set(folio.page(), PageFlags.PG_HWPOISON);
    pool.setPool(0);
    assertFalse(pool.mm.flags().test(folio.page(), PageFlags.PG_HWPOISON));
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
    assertEquals(0, pool.pageAlloc.badPageReports());
  }

  /** A free page is removed. Expect it not to be free any more; a hugepage only if it is optimised. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void remove_freePage_isInNoPool(boolean optimized) {
    PoolMachine pool = optimized ? PoolMachine.optimizing() : PoolMachine.small().boot();
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.hugetlb.hugetlbLock().lock();
    pool.hugetlb.removeHugetlbFolio(pool.h2m(), folio, false);
    assertFalse(pool.system.folios().test(folio, HugetlbPageFlag.HPG_FREED));
    assertEquals(optimized, pool.system.folios().folioTestHugetlb(folio));
    assertPool(pool.h2m(), 0, 0, 0);
  }

  /** Two nodes without a page are asked for one. Expect the turn to be where it was. */
  @Test
  void removePool_nothingFree_leavesTheTurn() {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    pool.hugetlb.hugetlbLock().lock();
    assertNull(
        pool.hugetlb.removePoolHugetlbFolio(pool.h2m(), new TreeSet<>(Set.of(0, 1)), false));
    assertEquals(0, pool.h2m().nextNidToFree.nid);
  }

  /** A page comes back from its user, then to the pool for want of memory. Expect clean flags. */
  @Test
  void archClearHugetlbFlags_pageComesBack_isCalled() {
    HugetlbArch arch = spy(PoolMachine.sizes());
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(), arch, new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .cmdline("hugetlb_free_vmemmap=on")
            .boot();
    pool.setPool(1);
    long pfn = pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1);
    assertEquals(0, pool.system.task().unmapHugepage(PoolMachine.SIZE_2M, pfn));
    verify(arch).archClearHugetlbFlags(any());
    pool.failFrom(1, "alloc_vmemmap_page_list");
    pool.setPool(0);
    verify(arch, times(2)).archClearHugetlbFlags(any());
  }

  /** A size that can neither be made nor freed now. Expect nothing to be removed, freed or made. */
  @Test
  void giganticNoRuntime_operations_doNothing() {
    PoolMachine pool = noRuntime();
    Hstate h = pool.hstate(PoolMachine.GIB);
    h.nrOvercommitHugePages = 1;
    Folio folio = pool.freshFolio();
    pool.hugetlb.hugetlbLock().lock();
    pool.hugetlb.removeHugetlbFolio(h, folio, true);
    pool.hugetlb.hugetlbLock().unlock();
    assertPool(h, 0, 0, 0);
    assertTrue(pool.system.folios().folioTestHugetlb(folio));
    pool.hugetlb.updateAndFreeHugetlbFolio(h, folio, false);
    assertEquals(PAGES, pool.owned(Owner.HUGEPAGE));
    assertNull(
        pool.hugetlb.allocSurplusHugetlbFolio(h, pool.hugetlb.htlbAllocMask(h), 0, null));
    assertPool(h, 0, 0, 0);
  }

  /** Work for the worker: two pages at once. Expect it to be called for once, and both to go. */
  @Test
  void updateAndFree_atomic_leavesItToTheWorker() {
    PoolMachine pool = PoolMachine.optimizing();
    List<Folio> folios = List.of(pool.freshFolio(), pool.freshFolio());
    folios.forEach(each -> pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), each));
    List<Long> calls = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.startsWith("schedule_work")) {
                calls.add(where);
              }
            });
    folios.forEach(each -> pool.hugetlb.updateAndFreeHugetlbFolio(pool.h2m(), each, true));
    assertEquals(List.of(folios.get(0).va()), calls);
    assertEquals(2 * PAGES, pool.owned(Owner.HUGEPAGE));
    pool.hugetlb.flushFreeHpageWork(pool.hstate(PoolMachine.GIB));
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
    pool.hugetlb.updateAndFreeHugetlbFolio(pool.h2m(), pool.freshFolio(), true);
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  /** Nothing can be optimised, so nobody leaves work. Expect a flush not to look for any. */
  @Test
  void flushFreeHpageWork_notOptimizable_doesNotRunTheWorker() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    pool.hugetlb.updateAndFreeHugetlbFolio(pool.h2m(), folio, true);
    pool.hugetlb.flushFreeHpageWork(new Hstate(pool.mm, 6));
    assertEquals(PAGES, pool.owned(Owner.HUGEPAGE));
    pool.hugetlb.waitForFreedHugetlbFolios();
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  /**
   * A node that has none in spite of an effort, then has one without. Expect an effort the first time,
   * none the second, and one again the third.
   */
  @Test
  void allocBuddy_nodeWithoutMemory_isNotPressedAgain() {
    PoolMachine pool = PoolMachine.small().boot();
    List<Page> answers = new ArrayList<>(List.of(pool.freshFolio().page(), pool.freshFolio().page()));
    List<Boolean> pressed = new ArrayList<>();
    PageAlloc pageAlloc = mock(PageAlloc.class);
    when(pageAlloc.allocFrozenPages(any(), anyInt(), anyInt(), any(), any()))
        .thenAnswer(
            call -> {
              pressed.add(call.<Gfp>getArgument(0).has(Gfp.RETRY_MAYFAIL));
              return pressed.size() == 1 ? null : answers.removeFirst();
            });
    Hugetlb other = with(pool, pageAlloc, pool.vmemmap);
    Set<Integer> noretry = new TreeSet<>();
    Gfp gfp = pool.hugetlb.htlbAllocMask(pool.h2m());
    assertNull(other.onlyAllocFreshHugetlbFolio(pool.h2m(), gfp, 0, null, noretry));
    assertEquals(Set.of(0), noretry);
    assertTrue(other.onlyAllocFreshHugetlbFolio(pool.h2m(), gfp, 0, null, noretry) != null);
    assertEquals(Set.of(), noretry);
    assertTrue(other.onlyAllocFreshHugetlbFolio(pool.h2m(), gfp, 0, null, noretry) != null);
    assertEquals(List.of(true, false, true), pressed);
    assertEquals(Set.of(), noretry);
  }

  private static Hugetlb with(PoolMachine pool, PageAlloc pageAlloc, HugetlbVmemmap vmemmap) {
    return new Hugetlb(
        pool.mm,
        pageAlloc,
        PoolMachine.sizes(),
        HugetlbCma.NONE,
        pool.system.hstates(),
        pool.system.folios(),
        new HugetlbInternal(pool.mm, PoolMachine.sizes()),
        vmemmap);
  }

  /** Where pages may lie. Expect the movable zone for those that can be moved, gigantic ones not. */
  @Test
  void htlbAllocMask_sizes_onlySmallOnesAreMovable() {
    PoolMachine pool = PoolMachine.small().boot();
    Gfp small = pool.hugetlb.htlbAllocMask(pool.h2m());
    Gfp gigantic = pool.hugetlb.htlbAllocMask(pool.hstate(PoolMachine.GIB));
    assertEquals(Gfp.HIGHUSER_MOVABLE.or(Gfp.COMPOUND).or(Gfp.NOWARN), small);
    assertEquals(Gfp.HIGHUSER.or(Gfp.COMPOUND).or(Gfp.NOWARN), gigantic);
  }

  // ---------------------------------------------------------------- bench hook and reports

  /** The bench names the pages that are to go. Expect these to go and the others to stay. */
  @Test
  void preferForRemoval_namedPages_areTheOnesThatGo() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(4);
    List<Long> pfns = pool.freePfns(0);
    pool.hugetlb.preferForRemoval(PoolMachine.SIZE_2M, Set.of(pfns.get(1), pfns.get(2)));
    pool.setPool(2);
    assertEquals(List.of(pfns.get(0), pfns.get(3)), pool.freePfns(0));
  }

  /**
   * A pool of six shrinks to one; memory lasts for the memmap of two pages, the ones that the bench
   * names. What is removed last is restored first:
   *
   * <pre>
   *   free list   a  b  c  d  e  f      removed   a' b' c' [n] [n]
   *   restored    [n] [n] | c' b' a'  fail: surplus again
   * </pre>
   *
   * Expect the named two to be gone and three of the other four to be surplus.
   */
  @Test
  void preferForRestore_memoryForTwo_theNamedPagesGo() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(6);
    List<Long> pfns = pool.freePfns(0);
    Set<Long> named = Set.of(pfns.get(1), pfns.get(4));
    pool.hugetlb.preferForRestore(PoolMachine.SIZE_2M, named, 5, -1);
    pool.failFrom(2 * 7 + 1, "alloc_vmemmap_page_list");
    pool.setPool(1);
    pool.machine.faults().disarm();
    assertPool(pool.h2m(), 4, 4, 3);
    assertEquals(
        Set.of(pfns.get(0), pfns.get(2), pfns.get(3), pfns.get(5)),
        Set.copyOf(pool.freePfns(0)));
  }

  /**
   * Two nodes of three pages each give up four, in turn; memory lasts for two. Expect the named page
   * of each node to be gone, and no other.
   */
  @Test
  void preferForRestore_twoNodes_countsTheTurns() {
    PoolMachine pool = PoolMachine.twoNodes().cmdline("hugetlb_free_vmemmap=on").boot();
    pool.setPool(6);
    List<Long> low = pool.freePfns(0);
    List<Long> high = pool.freePfns(1);
    Set<Long> named = Set.of(low.get(1), high.get(2));
    pool.hugetlb.preferForRestore(PoolMachine.SIZE_2M, named, 4, -1);
    pool.failFrom(2 * 7 + 1, "alloc_vmemmap_page_list");
    pool.setPool(2);
    assertEquals(List.of(low.get(0), low.get(2)), pool.freePfns(0));
    assertEquals(List.of(high.get(0), high.get(1)), pool.freePfns(1));
  }

  /**
   * Node 0 has one page, node 1 three; all four go, and not more where more are asked for. Memory lasts
   * for one:
   *
   * <pre>
   *   node 1   n  b  c    removed   c' b' [n]
   * </pre>
   *
   * Expect the named page to be gone, and the other three to be surplus.
   */
  @ParameterizedTest
  @ValueSource(longs = {4, 6})
  void preferForRestore_nodeRunsOut_theOtherGivesMore(long nrFolios) {
    PoolMachine pool = PoolMachine.twoNodes().cmdline("hugetlb_free_vmemmap=on").boot();
    pool.system.resize().nrHugepagesStoreCommon0(pool.h2m(), 0, 1);
    pool.system.resize().nrHugepagesStoreCommon0(pool.h2m(), 1, 3);
    List<Long> high = pool.freePfns(1);
    pool.hugetlb.preferForRestore(
        PoolMachine.SIZE_2M, Set.of(high.get(0)), nrFolios, NO_NODE);
    pool.failFrom(7 + 1, "alloc_vmemmap_page_list");
    pool.setPool(0);
    assertPool(pool.h2m(), 3, 3, 3);
    assertEquals(List.of(high.get(1), high.get(2)), pool.freePfns(1));
  }

  /**
   * Two nodes of three pages each; node 0 gives up two, and memory lasts for one. Expect the named page
   * to be gone, as node 1 has no part in it.
   */
  @Test
  void preferForRestore_oneNode_theOtherDoesNotCount() {
    PoolMachine pool = PoolMachine.twoNodes().cmdline("hugetlb_free_vmemmap=on").boot();
    pool.setPool(6);
    List<Long> low = pool.freePfns(0);
    pool.hugetlb.preferForRestore(PoolMachine.SIZE_2M, Set.of(low.get(0)), 2, 0);
    pool.failFrom(7 + 1, "alloc_vmemmap_page_list");
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(pool.h2m(), 0, 1));
    assertEquals(List.of(low.get(1), low.get(2)), pool.freePfns(0));
  }

  /** /proc/meminfo with three free pages. Expect the kernel's lines. */
  @Test
  void reportMeminfo_threePages_printsAsTheKernel() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    assertEquals(
        """
        HugePages_Total:       3
        HugePages_Free:        3
        HugePages_Rsvd:        0
        HugePages_Surp:        0
        Hugepagesize:       2048 kB
        Hugetlb:            6144 kB
        """,
        pool.hugetlb.hugetlbReportMeminfo());
    assertEquals(3 * PAGES, pool.hugetlb.hugetlbTotalPages());
    String node = pool.hugetlb.hugetlbReportNodeMeminfo(0);
    assertTrue(node.startsWith("Node 0 HugePages_Total:     3\n"), node);
  }

  // ---------------------------------------------------------------- checks

  /** A referenced page is put on a free list. Expect a bug. */
  @Test
  void enqueue_referencedFolio_isABug() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    pool.mm.refs().setPageCount(folio.page(), 1);
    pool.hugetlb.hugetlbLock().lock();
    String bug = bugOf(() -> pool.hugetlb.enqueueHugetlbFolio(pool.h2m(), folio));
    assertTrue(bug.contains("enqueue_hugetlb_folio: folio_ref_count(folio)"));
  }

  /** A page that a cgroup still pays for is removed. Expect a bug for each of the two kinds. */
  @Test
  void remove_chargedFolio_isABug() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    Folio charged = pool.folio(pool.freePfns(0).get(0));
    Folio reserved = pool.folio(pool.freePfns(0).get(1));
    pool.system.folios().setHugetlbCgroup(charged, 8);
    pool.system.folios().setHugetlbCgroupRsvd(reserved, 8);
    pool.hugetlb.hugetlbLock().lock();
    assertTrue(
        bugOf(() -> pool.hugetlb.removeHugetlbFolio(pool.h2m(), charged, false))
            .contains("remove_hugetlb_folio: hugetlb_cgroup_from_folio(folio)"));
    assertTrue(
        bugOf(() -> pool.hugetlb.removeHugetlbFolio(pool.h2m(), reserved, false))
            .contains("remove_hugetlb_folio: hugetlb_cgroup_from_folio_rsvd(folio)"));
  }

  /** A plain page is put back as one that could not be restored. Expect a bug. */
  @Test
  void add_folioNotOptimized_isABug() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    pool.hugetlb.hugetlbLock().lock();
    String bug = bugOf(() -> pool.hugetlb.addHugetlbFolio(pool.h2m(), folio, true));
    assertTrue(bug.contains("add_hugetlb_folio: !folio_test_hugetlb_vmemmap_optimized(folio)"));
  }

  /** A removed page that somebody holds is freed. Expect a bug. */
  @Test
  void updateAndFree_referencedFolio_isABug() {
    PoolMachine pool = PoolMachine.small().boot();
    Folio folio = pool.freshFolio();
    pool.mm.refs().setPageCount(folio.page(), 1);
    String bug = bugOf(() -> pool.hugetlb.updateAndFreeHugetlbFolio(pool.h2m(), folio, false));
    assertTrue(bug.contains("__update_and_free_hugetlb_folio: folio_ref_count(folio)"));
  }

  /** A page that is held or mapped is freed by its user. Expect a bug for each. */
  @Test
  void freeHugeFolio_stillInUse_isABug() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1);
    assertTrue(
        bugOf(() -> pool.hugetlb.freeHugeFolio(folio))
            .contains("free_huge_folio: folio_ref_count(folio)"));
    pool.mm.refs().setPageCount(folio.page(), 0);
    assertTrue(
        bugOf(() -> pool.hugetlb.freeHugeFolio(folio))
            .contains("free_huge_folio: folio_mapcount(folio)"));
  }

  /** A page that is no hugepage is asked for its pool and its cgroups. Expect bugs. */
  @Test
  void folioHstateAndCgroups_noHugetlbFolio_areBugs() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    HugetlbFolios folios = pool.system.folios();
    folios.folioClearHugetlb(folio);
    assertTrue(bugOf(() -> pool.system.hstates().folioHstate(folio)).contains("folio_hstate: "));
    assertTrue(
        bugOf(() -> folios.hugetlbCgroupFromFolio(folio)).contains("hugetlb_cgroup_from_folio: "));
    assertTrue(
        bugOf(() -> folios.hugetlbCgroupFromFolioRsvd(folio))
            .contains("hugetlb_cgroup_from_folio_rsvd: "));
    assertTrue(bugOf(() -> folios.setHugetlbCgroup(folio, 0)).contains("set_hugetlb_cgroup: "));
    assertTrue(
        bugOf(() -> folios.setHugetlbCgroupRsvd(folio, 0)).contains("set_hugetlb_cgroup_rsvd: "));
  }

  /** Two pages at once are declared surplus. Expect a bug: it is one or minus one. */
  @Test
  void adjustPoolSurplus_otherDelta_isABug() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.hugetlb.hugetlbLock().lock();
    String bug =
        bugOf(
            () ->
                pool.system
                    .resize()
                    .adjustPoolSurplus(pool.h2m(), new TreeSet<>(Set.of(0)), 2));
    assertTrue(bug.contains("adjust_pool_surplus: delta != -1 && delta != 1"));
  }

  /** The pool is changed without its lock, or the lock is taken twice. Expect notice of both. */
  @Test
  void hugetlbLock_misused_isNoticed() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.hugetlb.accountNewHugetlbFolio(pool.h2m(), pool.freshFolio());
    assertEquals(
        List.of("account_new_hugetlb_folio: !lockdep_is_held(&hugetlb_lock)"), pool.warnings());
    pool.hugetlb.hugetlbLock().lock();
    assertTrue(bugOf(() -> pool.hugetlb.hugetlbLock().lock()).contains("recursion"));
  }

  /** The restore says that it has worked, but has left a folio behind. Expect a warning. */
  @Test
  void updateAndFreeBulk_folioLeftBehind_warns() {
    PoolMachine pool = PoolMachine.small().boot();
    Hugetlb other = with(pool, pool.pageAlloc, mock(HugetlbVmemmap.class));
    ListHead list = pool.mm.lists().newHead();
    pool.mm.lists().listAdd(pool.mm.struct().lru(pool.freshFolio().page()), list);
    other.updateAndFreePagesBulk(pool.h2m(), list);
    assertEquals(
        List.of("update_and_free_pages_bulk: !list_empty(folio_list)"), pool.warnings());
  }

  /** A page with an unknown broken part. Expect it to be lost on purpose: not freed. */
  @Test
  void updateAndFree_unreliablePoison_leaksThePage() {
    PoolMachine pool = PoolMachine.small().boot();
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.system.folios().set(folio, HugetlbPageFlag.HPG_RAW_HWP_UNRELIABLE);
    pool.setPool(0);
    assertPool(pool.h2m(), 0, 0, 0);
    assertEquals(PAGES, pool.owned(Owner.HUGEPAGE));
  }

  /** A poisoned page is first on the free list. Expect the next one to be handed out. */
  @Test
  void dequeue_poisonedPage_isSkipped() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(2);
    List<Long> pfns = pool.freePfns(0);
    pool.hugetlb.preferForRemoval(PoolMachine.SIZE_2M, Set.of(pfns.get(0)));
    pool.mm.flags().set(pool.folio(pfns.get(0)).page(), PageFlags.PG_HWPOISON);
    assertEquals(pfns.get(1), pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1));
    assertFalse(pool.freePfns(0).contains(pfns.get(1)));
  }
}
