// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/** A process maps hugepages and lets them go. */
final class HugetlbTaskTest {
  private static final long SIZE = PoolMachine.SIZE_2M;

  private final PoolMachine pool = PoolMachine.optimizing();
  private final Hstate h = pool.h2m();

  /** A page of the pool is mapped. Expect one reference, one mapping, and no promise left over. */
  @Test
  void map_freePage_isInUse() {
    pool.setPool(2);
    long pfn = pool.freePfns(0).get(1);
    Folio folio = pool.folio(pfn);

    assertEquals(pfn, pool.system.task().mapHugepage(SIZE, pfn));

    StructPage struct = pool.mm.struct();
    assertEquals(0x1_f400_0000L, struct.word(folio.page(), StructPage.PAGE_TYPE));
    assertEquals(0x848, struct.flags(folio.page()) & 0x1ff_ffff);
    assertEquals(0x12, struct.priv(folio.page()));
    assertEquals(
        0, struct.half(pool.mm.flags().folioPage(folio, 1), StructPage.LARGE_MAPCOUNT));
    assertEquals(1, h.freeHugePages);
    assertEquals(0, h.resvHugePages);
    assertEquals(struct.lru(folio.page()), pool.mm.lists().first(h.hugepageActivelist()));
  }

  /** A machine that tells of each access. Expect the page to be locked when its mapping is counted. */
  @Test
  void map_freePage_isLockedForItsMapping() {
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).getFirst());
    long head = pool.paddr(folio.va());
    long counts = head + pool.mm.struct().size() + StructPage.LARGE_MAPCOUNT;
    Set<Boolean> locked = new HashSet<>();
    pool.beforeWrite(
        counts,
        () -> {
          long flags = pool.machine.memory().getLong(head);
          locked.add((flags >>> PageFlags.PG_LOCKED & 1) != 0);
        });
    pool.system.task().mapHugepage(SIZE, -1);
    assertEquals(Set.of(true), locked);
  }

  /** It is unmapped. Expect it to be free in the pool, still optimised, all counts as before. */
  @Test
  void unmap_mappedPage_isFreeAgain() {
    pool.setPool(2);
    long pfn = pool.system.task().mapHugepage(SIZE, -1);

    assertEquals(0, pool.system.task().unmapHugepage(SIZE, pfn));

    assertTrue(pool.freePfns(0).contains(pfn));
    assertTrue(pool.optimized(pool.folio(pfn)));
    assertEquals(2, h.freeHugePages);
    assertEquals(0, h.resvHugePages);
    assertEquals(0, pool.mm.struct().mapping(pool.folio(pfn).page()));
  }

  /** The pool shrinks to nothing under a mapped page. Expect it surplus, and freed at last. */
  @Test
  void unmap_pageBecameSurplus_leavesThePool() {
    pool.setPool(2);
    long pfn = pool.system.task().mapHugepage(SIZE, -1);
    assertEquals(0, pool.setPool(0));
    assertEquals(1, h.nrHugePages);
    assertEquals(1, h.surplusHugePages);

    assertEquals(0, pool.system.task().unmapHugepage(SIZE, pfn));

    assertEquals(0, h.nrHugePages);
    assertEquals(0, h.surplusHugePages);
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  /**
   * One page is mapped, the other is free; both are surplus, as the free one could not be restored.
   * Expect only the mapped one to leave when it is let go.
   */
  @Test
  void unmap_otherSurplusPageIsFree_leavesAlone() {
    pool.setPool(2);
    long pfn = pool.system.task().mapHugepage(SIZE, -1);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    assertEquals(0, pool.setPool(0));
    pool.machine.faults().disarm();
    assertEquals(2, h.surplusHugePages);

    assertEquals(0, pool.system.task().unmapHugepage(SIZE, pfn));

    assertEquals(1, h.nrHugePages);
    assertEquals(1, h.freeHugePages);
    assertEquals(1, h.surplusHugePages);
  }

  /** No page in the pool, but two surplus pages allowed. Expect one to be made for the mapping. */
  @Test
  void map_emptyPoolWithOvercommit_makesASurplusPage() {
    h.nrOvercommitHugePages = 2;
    long pfn = pool.system.task().mapHugepage(SIZE, -1);
    assertTrue(pfn > 0);
    assertEquals(1, h.surplusHugePages);
    assertEquals(0, h.freeHugePages);
    assertEquals(0, pool.system.task().unmapHugepage(SIZE, pfn));
    assertEquals(0, h.nrHugePages);
  }

  /** No page and no overcommit. Expect -ENOMEM when the mapping is made, and no promise. */
  @Test
  void map_emptyPool_isRefused() {
    assertEquals(-Errno.ENOMEM, pool.system.task().mapHugepage(SIZE, -1));
    assertEquals(0, h.resvHugePages);
  }

  /** The promise was kept with a page that is poisoned now. Expect -ENOSPC and no promise left. */
  @Test
  void map_onlyPageIsPoisoned_findsNone() {
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.mm.flags().set(folio.page(), PageFlags.PG_HWPOISON);
    assertEquals(-Errno.ENOSPC, pool.system.task().mapHugepage(SIZE, -1));
    assertEquals(0, h.resvHugePages);
  }

  /** A page that is not free, a size that does not exist. Expect -EBUSY and -EINVAL. */
  @Test
  void map_badRequest_isRefused() {
    pool.setPool(1);
    long pfn = pool.system.task().mapHugepage(SIZE, -1);
    assertEquals(-Errno.EBUSY, pool.system.task().mapHugepage(SIZE, pfn));
    assertEquals(-Errno.EBUSY, pool.system.task().mapHugepage(SIZE, 1024));
    assertEquals(-Errno.EBUSY, pool.system.task().mapHugepage(SIZE, 0));
    assertEquals(-Errno.EINVAL, pool.system.task().mapHugepage(3 * SIZE, -1));
  }

  /** A page that nobody has mapped. Expect -EINVAL. */
  @Test
  void unmap_notMapped_isRefused() {
    pool.setPool(1);
    long pfn = pool.freePfns(0).get(0);
    assertEquals(-Errno.EINVAL, pool.system.task().unmapHugepage(SIZE, pfn));
    assertEquals(-Errno.EINVAL, pool.system.task().unmapHugepage(SIZE, 1024));
    assertFalse(pool.freePfns(0).isEmpty());
  }

  /**
   * A page that is no hugepage is mapped, mapped again and unmapped as one. Expect warnings, and the
   * first mapping to say that it is anonymous.
   */
  @Test
  void rmap_noHugetlbFolio_warns() {
    Folio folio = pool.freshFolio();
    pool.mm.refs().setPageCount(folio.page(), 1);
    pool.system.folios().folioClearHugetlb(folio);
    HugetlbRmap rmap = new HugetlbRmap(pool.mm, pool.system.folios());
    rmap.hugetlbAddNewAnonRmap(folio, 0x1000);
    assertEquals(0x1001, pool.mm.struct().mapping(folio.page()));
    rmap.removeMigrationPtes(folio, new HugetlbRmap.MigrationEntries(1, false));
    rmap.hugetlbRemoveRmap(folio);
    assertEquals(
        List.of(
            "hugetlb_add_new_anon_rmap: !folio_test_hugetlb(folio)",
            "hugetlb_add_anon_rmap: !folio_test_hugetlb(folio)",
            "hugetlb_remove_rmap: !folio_test_hugetlb(folio)"),
        pool.warnings());
  }

  /** Two pages are promised, one of which a third would need. Expect the third to be refused. */
  @Test
  void acctMemory_moreThanFree_isRefusedWithoutPromise() {
    pool.setPool(2);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 2));
    assertEquals(-Errno.ENOMEM, pool.system.reserve().hugetlbAcctMemory(h, 1));
    assertEquals(2, h.resvHugePages);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, -2));
    assertEquals(0, h.resvHugePages);
    assertEquals(2, h.freeHugePages);
  }

  /** Three promised with one free and overcommit for two. Expect two surplus; taken back, gone. */
  @Test
  void acctMemory_overcommit_makesAndFreesSurplusPages() {
    pool.setPool(1);
    h.nrOvercommitHugePages = 2;
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 3));
    assertEquals(3, h.freeHugePages);
    assertEquals(2, h.surplusHugePages);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, -1));
    assertEquals(1, h.surplusHugePages);
    assertEquals(2 * SIZE / 4096, pool.owned(Owner.HUGEPAGE));
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, -2));
    assertEquals(1, h.nrHugePages);
    assertEquals(0, h.surplusHugePages);
    assertEquals(SIZE / 4096, pool.owned(Owner.HUGEPAGE));
  }

  /** A process takes a page beyond an empty pool. Expect as many locks as unlocks. */
  @Test
  void allocFolio_emptyPool_takesTheLockAgain() {
    h.nrOvercommitHugePages = 1;
    List<String> events = new ArrayList<>();
    pool.machine.yields().listen((what, where) -> events.add(what));
    Page page = pool.system.reserve().hugetlbAllocFolio(h, 0, 0);
    pool.machine.yields().listen(null);
    assertFalse(page.isErr());
    assertEquals(
        events.stream().filter("lock hugetlb_lock"::equals).count(),
        events.stream().filter("unlock hugetlb_lock"::equals).count());
  }

  /** Two surplus pages are made. Expect another CPU to get its turn after each, without the lock. */
  @Test
  void acctMemory_surplusPages_givesWayAfterEach() {
    h.nrOvercommitHugePages = 2;
    List<String> events = new ArrayList<>();
    pool.machine.yields().listen((what, where) -> events.add(what));
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 2));
    pool.machine.yields().listen(null);
    assertEquals(2, events.stream().filter("cond_resched"::equals).count());
    List<String> before = events.subList(0, events.indexOf("cond_resched"));
    assertTrue(
        before.lastIndexOf("unlock hugetlb_lock") > before.lastIndexOf("lock hugetlb_lock"),
        before::toString);
  }

  /** Overcommit for one, two needed. Expect -ENOMEM, and the one that was made to be freed. */
  @Test
  void acctMemory_overcommitTooSmall_freesWhatItMade() {
    h.nrOvercommitHugePages = 1;
    assertEquals(-Errno.ENOMEM, pool.system.reserve().hugetlbAcctMemory(h, 2));
    pool.hugetlb.waitForFreedHugetlbFolios();
    assertEquals(0, h.nrHugePages);
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  /** The memory of the page holds something. Expect zeros in all of it once it is mapped. */
  @Test
  void map_dirtyPage_isCleared() {
    pool.setPool(1);
    long pfn = pool.freePfns(0).get(0);
    long va = pool.mm.model().pageAddress(pool.folio(pfn).page());
    pool.machine.cpu().writeLong(va, -1);
    pool.machine.cpu().writeLong(va + SIZE - 8, -1);
    pool.mm.struct().setWord(pool.folio(pfn).page(), StructPage.INDEX, 7);
    pool.system.task().mapHugepage(SIZE, -1);
    assertEquals(0, pool.machine.cpu().readLong(va));
    assertEquals(0, pool.machine.cpu().readLong(va + SIZE - 8));
    assertEquals(0, pool.mm.struct().word(pool.folio(pfn).page(), StructPage.INDEX));
    assertEquals(
        0,
        pool.mm
            .struct()
            .half(pool.mm.flags().folioPage(pool.folio(pfn), 1), StructPage.ENTIRE_MAPCOUNT));
    assertTrue(pool.system.folios().folioTestAnon(pool.folio(pfn)));
  }

  /** Sizes and pfns that are not those of the page. Expect -EINVAL, and the page still mapped. */
  @Test
  void unmap_otherSizeOrNoMemory_isRefused() {
    pool.setPool(1);
    long pfn = pool.system.task().mapHugepage(SIZE, -1);
    assertEquals(-Errno.EINVAL, pool.system.task().unmapHugepage(PoolMachine.GIB, pfn));
    assertEquals(-Errno.EINVAL, pool.system.task().unmapHugepage(3 * SIZE, pfn));
    assertEquals(-Errno.EINVAL, pool.system.task().unmapHugepage(SIZE, 1L << 30));
    assertEquals(-Errno.EBUSY, pool.system.task().mapHugepage(SIZE, 1L << 30));
    assertEquals(1, pool.mm.refs().folioRefCount(pool.folio(pfn)));
    assertEquals(0, pool.system.task().unmapHugepage(SIZE, pfn));
  }

  /** Somebody holds the page when it is unmapped. Expect it not to be free before he lets go. */
  @Test
  void unmap_heldPage_staysWithItsHolder() {
    pool.setPool(1);
    long pfn = pool.system.task().mapHugepage(SIZE, -1);
    pool.mm.refs().getPage(pool.folio(pfn).page());
    assertEquals(0, pool.system.task().unmapHugepage(SIZE, pfn));
    assertEquals(0, h.freeHugePages);
    assertEquals(1, pool.mm.refs().folioRefCount(pool.folio(pfn)));
    assertEquals(0, pool.system.folios().folioMapcount(pool.folio(pfn)));
  }

  /** The only page is promised to another. Expect -ENOSPC, or a surplus page where that is allowed. */
  @Test
  void allocFolio_allPromised_isSurplusOrNone() {
    pool.setPool(1);
    HugetlbReserve reserve = pool.system.reserve();
    assertEquals(0, reserve.hugetlbAcctMemory(h, 1));
    Page none = reserve.hugetlbAllocFolio(h, 0, 0);
    assertTrue(none.isErr());
    assertEquals(-Errno.ENOSPC, none.ptrErr());
    h.nrOvercommitHugePages = 1;
    Folio folio = new Folio(reserve.hugetlbAllocFolio(h, 0, 0));
    assertEquals(1, pool.mm.refs().folioRefCount(folio));
    assertEquals(1, h.surplusHugePages);
    assertEquals(1, h.freeHugePages);
    assertEquals(1, h.resvHugePages);
    assertEquals(
        pool.mm.struct().lru(folio.page()), pool.mm.lists().first(h.hugepageActivelist()));
    assertFalse(pool.system.folios().test(folio, HugetlbPageFlag.HPG_RESTORE_RESERVE));
    Folio promised =
        new Folio(
            reserve.hugetlbAllocFolio(h, 0, HugetlbReserve.HUGETLB_ALLOC_USE_GLOBAL_RESERVATIONS));
    assertTrue(pool.system.folios().test(promised, HugetlbPageFlag.HPG_RESTORE_RESERVE));
    assertEquals(0, h.resvHugePages);
  }

  /** A page is free, and one beyond the pool would be allowed. Expect a promise to ask for no memory. */
  @Test
  void acctMemory_enoughFree_asksForNoMemory() {
    pool.setPool(1);
    h.nrOvercommitHugePages = 1;
    pool.failFrom(1, "alloc_buddy_frozen_folio");
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 1));
    assertEquals(0, pool.machine.faults().failed());
  }

  /** No page more, and one page less than none. Expect 0 and nothing changed. */
  @Test
  void acctMemory_zero_isNothing() {
    pool.setPool(1);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 0));
    assertEquals(0, h.resvHugePages);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 1));
    assertEquals(1, h.resvHugePages);
  }

  /**
   * Two surplus pages are being made for a promise, and meanwhile a page of the pool comes back. Expect
   * one of the two to be free again, and all accounts right.
   */
  @Test
  void acctMemory_pageComesBackMeanwhile_freesTheOneTooMany() {
    pool.setPool(1);
    Folio used = new Folio(pool.system.reserve().hugetlbAllocFolio(h, 0, 0));
    h.nrOvercommitHugePages = 2;
    boolean[] done = {false};
    pool.machine
        .faults()
        .failFrom(
            1,
            site -> {
              if (site.equals("alloc_buddy_frozen_folio") && !done[0]) {
                done[0] = true;
                pool.mm.refs().putPageTestzero(used.page());
                pool.hugetlb.freeHugeFolio(used);
              }
              return false;
            });
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 2));
    pool.hugetlb.waitForFreedHugetlbFolios();
    assertEquals(2, h.resvHugePages);
    assertEquals(2, h.freeHugePages);
    assertEquals(2, h.nrHugePages);
    assertEquals(1, h.surplusHugePages);
    assertEquals(2 * 512, pool.owned(Owner.HUGEPAGE));
  }

  /**
   * A surplus page is being made for a promise, and meanwhile the only free page is taken. Expect
   * another try, which makes a second one.
   */
  @Test
  void acctMemory_pageTakenMeanwhile_makesAnother() {
    pool.setPool(1);
    h.nrOvercommitHugePages = 2;
    boolean[] done = {false};
    pool.machine
        .faults()
        .failFrom(
            1,
            site -> {
              if (site.equals("alloc_buddy_frozen_folio") && !done[0]) {
                done[0] = true;
                assertFalse(pool.system.reserve().hugetlbAllocFolio(h, 0, 0).isErr());
              }
              return false;
            });
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 2));
    assertEquals(2, h.resvHugePages);
    assertEquals(2, h.freeHugePages);
    assertEquals(2, h.surplusHugePages);
  }

  /** The pool is to be empty, but two of its three pages are promised and one is in use. */
  @Test
  void shrink_promisedPages_stayAsSurplus() {
    pool.setPool(4);
    pool.system.task().mapHugepage(SIZE, -1);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h, 2));
    assertEquals(0, pool.setPool(0));
    assertEquals(3, h.nrHugePages);
    assertEquals(2, h.freeHugePages);
    assertEquals(3, h.surplusHugePages);
    assertEquals(0, h.maxHugePages);
  }
}
