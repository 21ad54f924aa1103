// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.PageIsolation;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Owner;

/** Getting hugepages out of the way, on a machine with pages of 2 MiB and, gigantic, 8 MiB. */
final class HugetlbMigrateTest {
  private static final long SIZE_8M = 8 * PoolMachine.MIB;
  private static final String DIR8 = "/sys/kernel/mm/hugepages/hugepages-8192kB/nr_hugepages";
  private static final String RESTORE = "alloc_vmemmap_page_list";
  private static final String BUDDY = "alloc_buddy_frozen_folio";

  /** A free page. Expect another in its place, and the old one back in the page allocator. */
  @Test
  void isolateOrDissolve_freePage_isReplaced() {
    PoolMachine pool = filled(2);
    Folio old = first(pool);
    long pfn = pool.freePfns(0).get(0);
    assertEquals(0, dissolve(pool, old));
    assertPool(pool, 2, 2, 0);
    assertFalse(pool.freePfns(0).contains(pfn));
    assertFalse(pool.system.folios().folioTestHugetlb(old));
  }

  /** Not a hugepage. Expect 0: nothing is in the way. */
  @Test
  void isolateOrDissolve_noHugepage_isNothing() {
    PoolMachine pool = filled(1);
    Folio old = first(pool);
    pool.setPool(0);
    assertEquals(0, dissolve(pool, old));
  }

  /** A gigantic page. Expect -ENOMEM, which tells the searcher to give up at once. */
  @Test
  void isolateOrDissolve_gigantic_isRefused() {
    PoolMachine pool = filled(0);
    assertEquals(0, pool.system.sysfs().write(DIR8, "1"));
    Hstate h = pool.hstate(SIZE_8M);
    assertEquals(-Errno.ENOMEM, dissolve(pool, pool.folio(pool.freePfns(h, 0).get(0))));
  }

  /** A page as large as the page allocator's largest block. Expect another in its place, too. */
  @Test
  void isolateOrDissolve_largestBlock_isReplaced() {
    PoolMachine pool = machine(2 * PoolMachine.SIZE_2M);
    assertEquals(0, pool.system.sysfs().write(DIR8.replace("8192", "4096"), "1"));
    Hstate h = pool.hstate(2 * PoolMachine.SIZE_2M);
    List<Long> before = pool.freePfns(h, 0);
    assertEquals(0, dissolve(pool, pool.folio(before.getFirst())));
    assertEquals(1, h.freeHugePages);
    assertNotEquals(before, pool.freePfns(h, 0));
  }

  /** No memory for the new page; once, or from now on. Expect -ENOMEM and the pool as it was. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void isolateOrDissolve_noNewPage_leavesThePool(boolean from) {
    PoolMachine pool = filled(2);
    List<Long> pfns = pool.freePfns(0);
    fail(pool, from, 1, BUDDY);
    assertEquals(-Errno.ENOMEM, dissolve(pool, first(pool)));
    assertPool(pool, 2, 2, 0);
    assertEquals(pfns, pool.freePfns(0));
  }

  /**
   * The old page cannot be restored; at its first frame or its last, once or from there on. Expect
   * success all the same, with the old page still in the pool as a surplus one: the range that was
   * to be cleared is not clear.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 7, -1, -7})
  void isolateOrDissolve_restoreFails_saysSuccessAndKeepsASurplusPage(int n) {
    PoolMachine pool = filled(2);
    Folio old = first(pool);
    fail(pool, n < 0, Math.abs(n), RESTORE);
    assertEquals(0, dissolve(pool, old));
    assertPool(pool, 3, 3, 1);
    assertTrue(pool.system.folios().folioTestHugetlb(old));
    assertTrue(pool.optimized(old));
  }

  /**
   * While the new page is allocated somebody takes the old one; it may be moved, or may not. Expect
   * it isolated, or -EBUSY, and the new page gone again with its memmap whole.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void isolateOrDissolve_takenMeanwhile_dropsTheNewPage(boolean movable) {
    PoolMachine pool = filled(1);
    Folio old = first(pool);
    meanwhile(
        pool,
        () -> {
          pool.system.reserve().hugetlbAllocFolio(pool.h2m(), 0, 0);
          if (movable) {
            pool.system.folios().set(old, HugetlbPageFlag.HPG_MIGRATABLE);
          }
        });
    ListHead list = pool.mm.lists().localHead();
    int rc = pool.system.migrate().isolateOrDissolveHugeFolio(old, list);
    assertEquals(movable ? 0 : -Errno.EBUSY, rc);
    assertEquals(movable ? 2 : 1, pool.mm.refs().folioRefCount(old));
    assertEquals(!movable, pool.mm.lists().listEmpty(list));
    assertPool(pool, 1, 0, 0);
    assertEquals(512, pool.owned(Owner.HUGEPAGE));
    assertTrue(pool.warnings().isEmpty());
  }

  /**
   * Meanwhile somebody dissolves the old page. Its pageblock is isolated, as for a contiguous range;
   * otherwise the new page could be the old one, and the wait for it to be free would never end.
   * Expect 0, and the new page gone again.
   */
  @Test
  void isolateOrDissolve_dissolvedMeanwhile_dropsTheNewPage() {
    PoolMachine pool = filled(1);
    Folio old = first(pool);
    long pfn = pool.freePfns(0).get(0);
    PageIsolation isolation = pool.pageAlloc.isolation();
    assertEquals(0, isolation.startIsolatePageRange(pfn, pfn + 512, PageIsolation.Mode.OTHER));
    meanwhile(pool, () -> pool.hugetlb.dissolveFreeHugetlbFolio(old));
    assertEquals(0, dissolve(pool, old));
    assertPool(pool, 0, 0, 0);
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
    assertTrue(pool.warnings().isEmpty());
  }

  /** The old page is frozen but on no list yet. Expect to wait until it is on one. */
  @Test
  void isolateOrDissolve_notEnqueuedYet_waits() {
    PoolMachine pool = filled(1);
    Folio old = first(pool);
    pool.system.folios().clear(old, HugetlbPageFlag.HPG_FREED);
    int[] waits = {0};
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cond_resched") && where == old.va() && ++waits[0] == 3) {
                pool.system.folios().set(old, HugetlbPageFlag.HPG_FREED);
              }
            });
    assertEquals(0, dissolve(pool, old));
    assertEquals(3, waits[0]);
    assertPool(pool, 1, 1, 0);
  }

  /** A page in use that may be moved. Expect it on the list, held; and back in use when put. */
  @Test
  void isolateOrDissolve_inUse_isIsolatedAndPutBack() {
    PoolMachine pool = filled(1);
    Folio folio = inUse(pool);
    pool.system.folios().set(folio, HugetlbPageFlag.HPG_MIGRATABLE);
    ListHead list = pool.mm.lists().localHead();
    assertEquals(0, pool.system.migrate().isolateOrDissolveHugeFolio(folio, list));
    assertEquals(pool.mm.struct().lru(folio.page()), pool.mm.lists().first(list));
    assertEquals(2, pool.mm.refs().folioRefCount(folio));
    assertFalse(pool.system.migrate().folioIsolateHugetlb(folio, list));
    pool.system.migrate().folioPutbackHugetlb(folio);
    assertTrue(pool.mm.lists().listEmpty(list));
    assertEquals(1, pool.mm.refs().folioRefCount(folio));
    assertPool(pool, 1, 0, 0);
  }

  /** A page in use that may not be moved. Expect -EBUSY. */
  @Test
  void isolateOrDissolve_inUseForGood_isBusy() {
    PoolMachine pool = filled(1);
    assertEquals(-Errno.EBUSY, dissolve(pool, inUse(pool)));
    assertPool(pool, 1, 0, 0);
  }

  /** The user lets go of an isolated page. Expect it to go back to the pool when it is put. */
  @Test
  void folioPutback_lastReference_frees() {
    PoolMachine pool = filled(1);
    Folio folio = inUse(pool);
    pool.system.folios().set(folio, HugetlbPageFlag.HPG_MIGRATABLE);
    ListHead list = pool.mm.lists().localHead();
    assertTrue(pool.system.migrate().folioIsolateHugetlb(folio, list));
    assertFalse(pool.mm.refs().putPageTestzero(folio.page()));
    pool.system.migrate().folioPutbackHugetlb(folio);
    assertPool(pool, 1, 1, 0);
  }

  /** Four neighbours, and free memory around. Expect each to be replaced, the count the same. */
  @Test
  void replaceFree_range_replacesEach() {
    PoolMachine pool = filled(4);
    assertEquals(0, replace(pool));
    assertPool(pool, 4, 4, 0);
  }

  /** The second new page cannot be had; once or from then on. Expect -ENOMEM, the count kept. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void replaceFree_secondFails_stopsThere(boolean from) {
    PoolMachine pool = filled(4);
    long firstPfn = pool.freePfns(0).get(0);
    fail(pool, from, 2, BUDDY);
    assertEquals(-Errno.ENOMEM, replace(pool));
    assertPool(pool, 4, 4, 0);
    assertFalse(pool.freePfns(0).contains(firstPfn));
  }

  /** While its replacement is made somebody takes a page, which can be moved. Expect it to stay his. */
  @Test
  void replaceFree_takenMeanwhile_isPutBack() {
    PoolMachine pool = filled(1);
    Folio old = first(pool);
    meanwhile(
        pool,
        () -> {
          pool.system.reserve().hugetlbAllocFolio(pool.h2m(), 0, 0);
          pool.system.folios().set(old, HugetlbPageFlag.HPG_MIGRATABLE);
        });
    assertEquals(0, replace(pool));
    assertEquals(1, pool.mm.refs().folioRefCount(old));
    assertTrue(pool.system.migrate().folioTestHugetlbMigratable(old));
    assertEquals(
        pool.mm.struct().lru(old.page()), pool.mm.lists().first(pool.h2m().hugepageActivelist()));
    assertPool(pool, 1, 0, 0);
  }

  /** Who clears a range asks for a page in use, and waits for one that the worker has. */
  @Test
  void hooks_pageInUseAndPageOfTheWorker_reachThePool() {
    PoolMachine pool = filled(1);
    long used = pool.mm.model().pageToPfn(inUse(pool).page());
    HugetlbMigrate migrate = pool.system.migrate();
    assertEquals(-Errno.EBUSY, migrate.dissolveFreeHugetlbFolios(used, used + 1));
    Folio late = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), late);
    pool.hugetlb.updateAndFreeHugetlbFolio(pool.h2m(), late, true);
    assertEquals(2 * 512, pool.owned(Owner.HUGEPAGE));
    migrate.waitForFreedHugetlbFolios();
    assertEquals(512, pool.owned(Owner.HUGEPAGE));
  }

  /** A free gigantic page in the range. Expect -ENOMEM; or 0 if no smaller page is free at all. */
  @Test
  void replaceFree_gigantic_isRefusedOnlyIfSmallerOnesAreFree() {
    PoolMachine pool = filled(0);
    assertEquals(0, pool.system.sysfs().write(DIR8, "1"));
    long pfn = pool.freePfns(pool.hstate(SIZE_8M), 0).get(0);
    assertEquals(0, pool.system.migrate().replaceFreeHugepageFolios(pfn, pfn + 1));
    pool.setPool(1);
    assertEquals(-Errno.ENOMEM, pool.system.migrate().replaceFreeHugepageFolios(pfn, pfn + 1));
  }

  /** A page for a moved user. Expect the pool's, then one beyond it that leaves when put. */
  @Test
  void allocNodemask_emptyPool_getsATemporaryPage() {
    PoolMachine pool = filled(1);
    assertNotNull(allocNodemask(pool, pool.h2m()));
    assertPool(pool, 1, 0, 0);
    Folio folio = Objects.requireNonNull(allocNodemask(pool, pool.h2m()));
    assertTrue(pool.system.folios().test(folio, HugetlbPageFlag.HPG_TEMPORARY));
    assertPool(pool, 2, 0, 0);
    assertTrue(pool.mm.refs().putPageTestzero(folio.page()));
    pool.hugetlb.freeHugeFolio(folio);
    pool.hugetlb.runFreeHpageWork();
    assertPool(pool, 1, 0, 0);
  }

  /** Nothing to be had: no memory, or a gigantic size. Expect null. */
  @Test
  void allocNodemask_noMemoryOrGigantic_isNull() {
    PoolMachine pool = filled(0);
    pool.failFrom(1, BUDDY);
    assertNull(allocNodemask(pool, pool.h2m()));
    assertNull(allocNodemask(pool, pool.hstate(SIZE_8M)));
    assertPool(pool, 0, 0, 0);
  }

  /** A promise without a mapping. Expect a page for it once, and none without a promise. */
  @Test
  void allocReserve_promise_isUsedUp() {
    PoolMachine pool = filled(2);
    HugetlbMigrate migrate = pool.system.migrate();
    assertNull(migrate.allocHugetlbFolioReserve(pool.h2m(), 0, null));
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(pool.h2m(), 1));
    assertNotNull(migrate.allocHugetlbFolioReserve(pool.h2m(), 0, null));
    assertEquals(0, pool.h2m().resvHugePages);
    assertPool(pool, 2, 1, 0);
  }

  /**
   * A range from the middle of the first of three neighbours to the first base page of the third.
   *
   * <pre>
   *   | first    | second    | third    |
   *         ^............................^
   * </pre>
   *
   * Expect one new page for each of the three; and for less of the range as many as it touches.
   */
  @Test
  void replaceFree_partOfPages_replacesEachOnce() {
    assertEquals(3, replacedIn(100, 1025));
    assertEquals(2, replacedIn(0, 1024));
    assertEquals(1, replacedIn(511, 512));
    assertEquals(1, replacedIn(512, 513));
  }

  /** New pages that are made for a range whose ends are given from the first of three neighbours. */
  private static long replacedIn(long from, long to) {
    PoolMachine pool = filled(60);
    List<Long> pfns = pool.freePfns(0);
    long start =
        pfns.stream()
            .filter(pfn -> pfns.contains(pfn + 512) && pfns.contains(pfn + 1024))
            .findFirst()
            .orElseThrow();
    pool.failFrom(Long.MAX_VALUE, BUDDY);
    HugetlbMigrate migrate = pool.system.migrate();
    assertEquals(0, migrate.replaceFreeHugepageFolios(start + from, start + to));
    assertPool(pool, 60, 60, 0);
    return pool.machine.faults().asked();
  }

  /** A compound page of somebody else and a page in use lie in the range. Expect them to be left. */
  @Test
  void replaceFree_othersPages_areLeft() {
    PoolMachine pool = filled(1);
    Folio used = inUse(pool);
    pool.setPool(2);
    Folio other = pool.freshFolio();
    pool.system.folios().folioClearHugetlb(other);
    assertEquals(0, pool.system.migrate().replaceFreeHugepageFolios(0, 65536));
    assertEquals(1, pool.mm.refs().folioRefCount(used));
    assertEquals(9, pool.mm.inline().folioOrder(other));
    assertPool(pool, 2, 1, 0);
  }

  /** Node 0 has no page left. Expect one of node 1 where the caller lets it, else none. */
  @Test
  void allocNodemask_nodeIsFull_goesElsewhereOnlyIfAllowed() {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(pool.h2m(), 0, 1000));
    while (!pool.freePfns(0).isEmpty()) {
      inUse(pool);
    }
    HugetlbMigrate migrate = pool.system.migrate();
    Gfp gfp = pool.hugetlb.htlbAllocMask(pool.h2m());
    assertNull(migrate.allocHugetlbFolioNodemask(pool.h2m(), 0, null, gfp, false));
    Folio folio =
        Objects.requireNonNull(
            migrate.allocHugetlbFolioNodemask(pool.h2m(), 0, null, gfp, true));
    assertEquals(1, pool.mm.inline().folioNid(folio));
    assertEquals(1, pool.mm.refs().folioRefCount(folio));
  }

  /** All free pages are promised. Expect a page for a moved user from elsewhere. */
  @Test
  void allocNodemask_allPromised_leavesThem() {
    PoolMachine pool = filled(1);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(pool.h2m(), 1));
    assertNotNull(allocNodemask(pool, pool.h2m()));
    assertPool(pool, 2, 1, 0);
  }

  /** Pages of which the pool knows nothing, and whose flag says nothing. Expect no isolation. */
  @Test
  void folioIsolate_notMovable_isRefused() {
    PoolMachine pool = filled(1);
    Folio folio = inUse(pool);
    ListHead list = pool.mm.lists().localHead();
    HugetlbMigrate migrate = pool.system.migrate();
    assertFalse(migrate.folioTestHugetlbMigratable(folio));
    assertFalse(migrate.folioIsolateHugetlb(folio, list));
    pool.system.folios().set(folio, HugetlbPageFlag.HPG_MIGRATABLE);
    assertTrue(migrate.folioTestHugetlbMigratable(folio));
    pool.system.folios().folioClearHugetlb(folio);
    assertFalse(migrate.folioIsolateHugetlb(folio, list));
    pool.system.folios().folioSetHugetlb(folio);
    assertTrue(migrate.folioIsolateHugetlb(folio, list));
    assertFalse(migrate.folioTestHugetlbMigratable(folio));
    migrate.folioPutbackHugetlb(folio);
    assertTrue(migrate.folioTestHugetlbMigratable(folio));
    assertEquals(
        pool.mm.struct().lru(folio.page()),
        pool.mm.lists().first(pool.h2m().hugepageActivelist()));
  }

  private static @org.jspecify.annotations.Nullable Folio allocNodemask(
      PoolMachine pool, Hstate h) {
    return pool.system.migrate()
        .allocHugetlbFolioNodemask(h, 0, null, pool.hugetlb.htlbAllocMask(h), false);
  }

  private static int replace(PoolMachine pool) {
    List<Long> pfns = pool.freePfns(0);
    return pool.system.migrate()
        .replaceFreeHugepageFolios(pfns.getFirst(), pfns.getLast() + 512);
  }

  private static int dissolve(PoolMachine pool, Folio folio) {
    ListHead list = pool.mm.lists().localHead();
    int rc = pool.system.migrate().isolateOrDissolveHugeFolio(folio, list);
    pool.mm.lists().release(list);
    return rc;
  }

  /** Does {@code what} once, while a hugepage is being allocated without hugetlb_lock. */
  static void meanwhile(PoolMachine pool, Runnable what) {
    boolean[] done = {false};
    pool.machine
        .faults()
        .failFrom(
            1,
            site -> {
              if (site.equals(BUDDY) && !done[0]) {
                done[0] = true;
                what.run();
              }
              return false;
            });
  }

  private static void fail(PoolMachine pool, boolean from, int n, String site) {
    if (from) {
      pool.failFrom(n, site);
    } else {
      pool.failNth(n, site);
    }
  }

  private static Folio inUse(PoolMachine pool) {
    return new Folio(pool.system.reserve().hugetlbAllocFolio(pool.h2m(), 0, 0));
  }

  private static Folio first(PoolMachine pool) {
    return pool.folio(pool.freePfns(0).get(0));
  }

  private static void assertPool(PoolMachine pool, long total, long free, long surplus) {
    assertEquals(total, pool.h2m().nrHugePages);
    assertEquals(free, pool.h2m().freeHugePages);
    assertEquals(surplus, pool.h2m().surplusHugePages);
  }

  static PoolMachine filled(int pages) {
    PoolMachine pool = machine(SIZE_8M);
    assertEquals(0, pool.setPool(pages));
    return pool;
  }

  private static PoolMachine machine(long largerSize) {
    return new PoolMachine(
            PoolMachine.config(),
            HugetlbArch.of(PoolMachine.SIZE_2M, largerSize),
            new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
        .cmdline("hugetlb_free_vmemmap=on")
        .boot();
  }
}
