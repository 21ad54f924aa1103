// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.MigrateReason;
import org.vmemmap.pagealloc.MigrationTarget;
import org.vmemmap.pagealloc.PageMigration;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * Users of hugepages move to other hugepages.
 *
 * <pre>
 *   before   | task's page |  ...  | free |         pool: 2, free: 1
 *   after    |    free     |  ...  | task's page |  the same counts, the same bytes
 * </pre>
 */
final class MigrateTest {
  private static final long SIZE = PoolMachine.SIZE_2M;
  private static final long SIZE_8M = 8 * PoolMachine.MIB;
  private static final String DIR8 = "/sys/kernel/mm/hugepages/hugepages-8192kB/nr_hugepages";
  private static final String BUDDY = "alloc_buddy_frozen_folio";
  private static final long SEED = 0x1234_5678_9abc_def0L;

  /** A mapped page moves to a free one of the pool. Expect its bytes, mapping and flags there. */
  @Test
  void migratePages_poolHasAFreePage_takesIt() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    long mapping = pool.mm.struct().mapping(old.page());
    pool.machine.cpu().writeLong(address(pool, old) + SIZE - 8, SEED);
    long free = pool.freePfns(0).getFirst();

    assertEquals(0, migrate(pool, old));

    Folio now = pool.folio(free);
    assertEquals(SEED, pool.machine.cpu().readLong(address(pool, now) + SIZE - 8));
    assertEquals(mapping, pool.mm.struct().mapping(now.page()));
    assertTrue(pool.mm.flags().test(now.page(), PageFlags.PG_UPTODATE));
    assertTrue(pool.mm.flags().test(now.page(), HugetlbRmap.PG_ANON_EXCLUSIVE));
    assertFalse(pool.mm.flags().test(now.page(), PageFlags.PG_LOCKED));
    assertInUse(pool, now);
    assertFree(pool, old);
    assertPool(pool, 2, 1, 0);
    assertEquals(0, pool.system.task().unmapHugepage(SIZE, free));
    assertPool(pool, 2, 2, 0);
  }

  /**
   * The pool is empty. Expect a page of the page allocator, which stays in the pool, while the old
   * one leaves it: the count is the same and the memmap of the old page is whole again.
   */
  @Test
  void migratePages_emptyPool_oldPageLeaves() {
    PoolMachine pool = HugetlbMigrateTest.filled(1);
    Folio old = mapped(pool);
    assertEquals(0, migrate(pool, old));
    assertPool(pool, 1, 0, 0);
    assertFalse(pool.system.folios().folioTestHugetlb(old));
    Folio now = onlyActive(pool);
    assertFalse(pool.system.folios().test(now, HugetlbPageFlag.HPG_TEMPORARY));
    assertInUse(pool, now);
  }

  /** The same, and the old page cannot be restored. Expect it to stay, as a free surplus page. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void migratePages_oldPageIsNotRestored_staysAsSurplus(boolean from) {
    PoolMachine pool = HugetlbMigrateTest.filled(1);
    Folio old = mapped(pool);
    if (from) {
      pool.failFrom(1, "alloc_vmemmap_page_list");
    } else {
      pool.failNth(1, "alloc_vmemmap_page_list");
    }
    assertEquals(0, migrate(pool, old));
    assertPool(pool, 2, 1, 1);
    assertTrue(pool.optimized(old));
    assertEquals(0, pool.mm.refs().folioRefCount(old));
  }

  /** A surplus page moves to the other node. Expect the node's surplus to move with it. */
  @Test
  void migratePages_surplusPage_movesTheNodesCount() {
    PoolMachine pool = PoolMachine.twoNodes().cmdline("hugetlb_free_vmemmap=on").boot();
    pool.setPool(2);
    long pfn = pool.system.task().mapHugepage(SIZE, pool.freePfns(0).getFirst());
    pool.setPool(0);
    Hstate h = pool.h2m();
    assertEquals(1, h.surplusHugePagesNode[0]);

    assertEquals(0, migrate(pool, pool.folio(pfn), Set.of(1)));

    assertEquals(0, h.surplusHugePagesNode[0]);
    assertEquals(1, h.surplusHugePagesNode[1]);
    assertPool(pool, 1, 0, 1);
    assertEquals(1, pool.mm.inline().folioNid(onlyActive(pool)));
  }

  /** Somebody holds one more reference. Expect ten tries with a page each, and all as before. */
  @Test
  void migratePages_extraReference_stays() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    pool.mm.refs().getPage(old.page());
    assertEquals(1, migrate(pool, old));
    pool.mm.refs().putPageTestzero(old.page());
    assertInUse(pool, old);
    assertTrue(pool.mm.flags().test(old.page(), HugetlbRmap.PG_ANON_EXCLUSIVE));
    assertPool(pool, 2, 1, 0);
  }

  /** A device reads the page. Expect it to stay mapped all the time. */
  @Test
  void migratePages_pinned_stays() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    pool.mm.struct().setHalf(pool.mm.flags().folioPage(old, 1), StructPage.PINCOUNT, 1);
    assertEquals(1, migrate(pool, old));
    assertInUse(pool, old);
    assertPool(pool, 2, 1, 0);
  }

  /** Somebody has the page locked until the fourth pass. Expect that it is waited for then. */
  @Test
  void migratePages_locked_waits() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    pool.mm.flags().set(old.page(), PageFlags.PG_LOCKED);
    int[] tries = {0};
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("folio_trylock") && where == old.va() && ++tries[0] == 5) {
                pool.mm.flags().clear(old.page(), PageFlags.PG_LOCKED);
              }
            });
    assertEquals(0, migrate(pool, old));
    assertEquals(5, tries[0]);
    assertFree(pool, old);
    assertPool(pool, 2, 1, 0);
  }

  /** The user lets go of the isolated page. Expect nothing to be moved, and the page free. */
  @Test
  void migratePages_freedMeanwhile_isPutBack() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    ListHead list = pool.mm.lists().localHead();
    assertTrue(mover(pool).isolateFolioToList(old, list));
    pool.mm.refs().putPageTestzero(old.page());
    pool.mm.struct().setHalf(pool.mm.flags().folioPage(old, 1), StructPage.LARGE_MAPCOUNT, -1);
    assertEquals(0, mover(pool).migratePages(list, target(Set.of(0))));
    assertFree(pool, old);
    assertPool(pool, 2, 2, 0);
  }

  /** A page that owes a subpool something and has lost its file. Expect -EBUSY inside: it stays. */
  @Test
  void migratePages_subpoolWithoutMapping_stays() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    pool.system.folios().hugetlbSetFolioSubpool(old, 8);
    assertEquals(1, migrate(pool, old));
    assertInUse(pool, old);
    assertPool(pool, 2, 1, 0);
  }

  /** Of two pages one has lost its file, the other is held. Expect the first to be tried only once. */
  @Test
  void migratePages_oneBusyOneHeld_countsEachOnce() {
    PoolMachine pool = HugetlbMigrateTest.filled(4);
    Folio busy = mapped(pool);
    Folio held = mapped(pool);
    pool.system.folios().hugetlbSetFolioSubpool(busy, 8);
    pool.mm.refs().getPage(held.page());
    ListHead list = pool.mm.lists().localHead();
    assertTrue(mover(pool).isolateFolioToList(busy, list));
    assertTrue(mover(pool).isolateFolioToList(held, list));
    assertEquals(2, mover(pool).migratePages(list, target(Set.of(0))));
    mover(pool).putbackMovablePages(list);
    pool.mm.refs().putPageTestzero(held.page());
    assertInUse(pool, busy);
    assertInUse(pool, held);
    assertPool(pool, 4, 2, 0);
  }

  /** An ordinary page, and a hugepage that is free. Expect neither to be isolated. */
  @Test
  void isolateFolioToList_notInUse_isRefused() {
    PoolMachine pool = HugetlbMigrateTest.filled(1);
    ListHead list = pool.mm.lists().localHead();
    Folio free = pool.folio(pool.freePfns(0).getFirst());
    assertFalse(mover(pool).isolateFolioToList(free, list));
    assertFalse(mover(pool).isolateFolioToList(pool.folio(0), list));
    assertTrue(pool.mm.lists().listEmpty(list));
  }

  /** No page to move to; once, or from now on. Expect -ENOMEM, and the page in use as before. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void migratePages_noMemory_stays(boolean from) {
    PoolMachine pool = HugetlbMigrateTest.filled(1);
    Folio old = mapped(pool);
    if (from) {
      pool.failFrom(1, BUDDY);
    } else {
      pool.failNth(1, BUDDY);
    }
    assertEquals(-Errno.ENOMEM, migrate(pool, old));
    assertInUse(pool, old);
    assertPool(pool, 1, 0, 0);
  }

  /**
   * The old page has flags and a place in its mapping. Expect the new one to have those that the
   * kernel copies, the old one to have lost what it may not keep, and last_cpupid to be handed over.
   */
  @Test
  void migratePages_flags_areCopiedOrMoved() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    List<Integer> copied =
        List.of(
            PageFlags.PG_REFERENCED,
            PageFlags.PG_WORKINGSET,
            PageFlags.PG_OWNER_PRIV_1,
            PageFlags.PG_DIRTY,
            PageFlags.PG_SWAPBACKED);
    copied.forEach(flag -> pool.mm.flags().set(old.page(), flag));
    pool.mm.flags().set(old.page(), PageFlags.PG_ACTIVE);
    pool.mm.flags().set(old.page(), PageFlags.PG_PRIVATE);
    pool.mm.struct().setWord(old.page(), StructPage.INDEX, 77);
    pool.mm.inline().folioXchgLastCpupid(old, 5);

    assertEquals(0, migrate(pool, old));

    Folio now = onlyActive(pool);
    copied.forEach(flag -> assertTrue(pool.mm.flags().test(now.page(), flag), "flag " + flag));
    assertTrue(pool.mm.flags().test(now.page(), PageFlags.PG_ACTIVE));
    assertFalse(pool.mm.flags().test(old.page(), PageFlags.PG_ACTIVE));
    assertFalse(pool.mm.flags().test(now.page(), PageFlags.PG_UNEVICTABLE));
    assertFalse(pool.mm.flags().test(old.page(), PageFlags.PG_PRIVATE));
    assertFalse(pool.mm.flags().test(now.page(), PageFlags.PG_PRIVATE));
    assertEquals(77, pool.mm.struct().word(now.page(), StructPage.INDEX));
    assertEquals(5, pool.mm.inline().folioXchgLastCpupid(now, 0));
    long none = pool.mm.inline().folioXchgLastCpupid(old, 0);
    pool.mm.inline().folioXchgLastCpupid(old, -1);
    assertEquals(none, pool.mm.inline().folioXchgLastCpupid(old, 0));
  }

  /** The old page cannot be evicted, and has no other flag. Expect the new one to be like it. */
  @Test
  void migratePages_unevictable_moves() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    pool.mm.flags().set(old.page(), PageFlags.PG_UNEVICTABLE);
    assertEquals(0, migrate(pool, old));
    Folio now = onlyActive(pool);
    assertTrue(pool.mm.flags().test(now.page(), PageFlags.PG_UNEVICTABLE));
    assertFalse(pool.mm.flags().test(old.page(), PageFlags.PG_UNEVICTABLE));
    for (int flag :
        new int[] {
          PageFlags.PG_ACTIVE,
          PageFlags.PG_DIRTY,
          PageFlags.PG_REFERENCED,
          PageFlags.PG_SWAPBACKED,
          PageFlags.PG_WORKINGSET
        }) {
      assertFalse(pool.mm.flags().test(now.page(), flag), "flag " + flag);
    }
  }

  /** Two processes map the page, so it is no one's alone. Expect two mappings of the new one. */
  @Test
  void migratePages_mappedTwice_mapsTheNewPageTwice() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    Page one = pool.mm.flags().folioPage(old, 1);
    pool.mm.struct().setHalf(one, StructPage.LARGE_MAPCOUNT, 1);
    pool.mm.struct().setHalf(one, StructPage.ENTIRE_MAPCOUNT, 1);
    pool.mm.refs().getPage(old.page());
    pool.mm.flags().clear(old.page(), HugetlbRmap.PG_ANON_EXCLUSIVE);

    assertEquals(0, migrate(pool, old));

    Folio now = onlyActive(pool);
    assertEquals(2, pool.system.folios().folioMapcount(now));
    assertEquals(
        1, pool.mm.struct().half(pool.mm.flags().folioPage(now, 1), StructPage.ENTIRE_MAPCOUNT));
    assertEquals(2, pool.mm.refs().folioRefCount(now));
    assertFalse(pool.mm.flags().test(now.page(), HugetlbRmap.PG_ANON_EXCLUSIVE));
    assertEquals(-1, pool.mm.struct().half(one, StructPage.ENTIRE_MAPCOUNT));
    assertFree(pool, old);
  }

  /** A page with an extra reference is tried ten times. Expect as many locks and as many yields. */
  @Test
  void migratePages_extraReference_triesTenTimes() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    pool.mm.refs().getPage(old.page());
    int[] seen = new int[3];
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              seen[0] += what.equals("folio_trylock") && where == old.va() ? 1 : 0;
              seen[1] += what.equals("folio_unlock") && where == old.va() ? 1 : 0;
              seen[2] += what.equals("cond_resched") && where == old.va() ? 1 : 0;
            });
    assertEquals(1, migrate(pool, old));
    assertArrayEquals(new int[] {10, 10, 10}, seen);
    assertFalse(pool.mm.flags().test(old.page(), PageFlags.PG_LOCKED));
  }

  /** Somebody has the page locked for good. Expect a wait from the fourth try on, not before. */
  @Test
  void migratePages_lockedForThreeTries_doesNotWaitBefore() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    pool.mm.flags().set(old.page(), PageFlags.PG_LOCKED);
    List<String> steps = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (where == old.va() && (what.equals("folio_trylock") || what.equals("cond_resched"))) {
                steps.add(what);
                if (steps.size() == 11) {
                  pool.mm.flags().clear(old.page(), PageFlags.PG_LOCKED);
                }
              }
            });
    assertEquals(0, migrate(pool, old));
    // Each pass begins with cond_resched(); the fourth tries, tries again to wait, and waits.
    assertEquals(
        List.of(
            "cond_resched", "folio_trylock", "cond_resched", "folio_trylock", "cond_resched",
            "folio_trylock", "cond_resched", "folio_trylock", "folio_trylock", "cond_resched",
            "folio_trylock"),
        steps);
  }

  /** An architecture with pages of 2 MiB, whose leaves cannot be moved, and of 4 MiB. */
  private static final class SmallNotMovable implements HugetlbArch {
    @Override
    public long hpageSize() {
      return SIZE;
    }

    @Override
    public boolean archHugetlbValidSize(long size) {
      return size == SIZE || size == 2 * SIZE;
    }

    @Override
    public List<Long> initcallSizes() {
      return List.of(2 * SIZE);
    }

    @Override
    public boolean archHugetlbMigrationSupported(long size) {
      return size != SIZE;
    }
  }

  /**
   * Two pages of a size that cannot be moved, and one that somebody holds, so that there are ten tries.
   * Expect each to be counted once as one that stayed.
   */
  @Test
  void migratePages_sizeNotMovable_stays() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                new SmallNotMovable(),
                new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .boot();
    pool.setPool(4);
    assertEquals(0, pool.system.sysfs().write(DIR8.replace("8192", "4096"), "2"));
    Folio held = pool.folio(pool.system.task().mapHugepage(2 * SIZE, -1));
    pool.mm.refs().getPage(held.page());
    ListHead list = pool.mm.lists().localHead();
    assertTrue(mover(pool).isolateFolioToList(held, list));
    for (int i = 0; i < 2; i++) {
      assertTrue(mover(pool).isolateFolioToList(mapped(pool), list));
    }
    assertEquals(3, mover(pool).migratePages(list, target(Set.of(0))));
    assertFalse(pool.mm.lists().listEmpty(list));
    mover(pool).putbackMovablePages(list);
    assertTrue(pool.mm.lists().listEmpty(list));
    assertPool(pool, 4, 2, 0);
    active(pool).forEach(pfn -> assertInUse(pool, pool.folio(pfn)));
  }

  /**
   * An anonymous page; one of a file, which has no bit 0 in its mapping; and one of a file that somebody
   * holds, so that it stays. The old page is looked at whenever it is unlocked, before it is freed.
   *
   * <p>Expect the first to be anonymous still, the second to have forgotten its file and the third not;
   * and the two that have moved not to belong to one process alone any more.
   */
  @ParameterizedTest
  @CsvSource({"true, false", "false, false", "false, true"})
  void migratePages_oldPage_forgetsItsFileWhenMoved(boolean anon, boolean held) {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    long mapping = anon ? pool.mm.struct().mapping(old.page()) : 0x1000;
    pool.mm.struct().setMapping(old.page(), mapping);
    pool.system.folios().hugetlbSetFolioSubpool(old, anon ? 0 : 8);
    pool.mm.refs().setPageCount(old.page(), held ? 2 : 1);
    Set<Long> mappings = new HashSet<>();
    Set<Boolean> exclusive = new HashSet<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("folio_unlock") && where == old.va()) {
                mappings.add(pool.mm.struct().mapping(old.page()));
                exclusive.add(pool.mm.flags().test(old.page(), HugetlbRmap.PG_ANON_EXCLUSIVE));
              }
            });
    assertEquals(held ? 1 : 0, migrate(pool, old));
    assertEquals(Set.of(anon || held ? mapping : 0L), mappings);
    assertEquals(Set.of(held), exclusive);
    assertEquals(mapping, pool.mm.struct().mapping(onlyActive(pool).page()));
  }

  /** Somebody has the new page locked at first. Expect another try, which moves the user. */
  @Test
  void migratePages_newPageLocked_triesAgain() {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    Folio now = pool.folio(pool.freePfns(0).getFirst());
    int[] tries = {0};
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("folio_trylock") && where == now.va() && ++tries[0] == 1) {
                pool.mm.flags().set(now.page(), PageFlags.PG_LOCKED);
              } else if (what.equals("folio_trylock") && where == now.va()) {
                pool.mm.flags().clear(now.page(), PageFlags.PG_LOCKED);
              }
            });
    assertEquals(0, migrate(pool, old));
    assertEquals(2, tries[0]);
    assertInUse(pool, now);
    assertFree(pool, old);
  }

  /** The old page's lock, or the new one's, is left while the old one is unmapped. Expect a bug. */
  @ParameterizedTest
  @ValueSource(strings = {"src", "dst"})
  void migratePages_lockLostMeanwhile_isABug(String lost) {
    PoolMachine pool = HugetlbMigrateTest.filled(2);
    Folio old = mapped(pool);
    Folio unlocked = lost.equals("src") ? old : pool.folio(pool.freePfns(0).getFirst());
    Page one = pool.mm.flags().folioPage(old, 1);
    long counts = pool.paddr(one.va()) + StructPage.ENTIRE_MAPCOUNT;
    pool.beforeWrite(
        counts,
        () -> {
          pool.machine.yields().listen(null);
          pool.mm.flags().clear(unlocked.page(), PageFlags.PG_LOCKED);
        });
    KernelBug bug = assertThrows(KernelBug.class, () -> migrate(pool, old));
    assertTrue(
        String.valueOf(bug.getMessage())
            .contains("move_to_new_folio: !folio_test_locked(" + lost + ")"));
  }

  /** An ordinary page with two references is put twice. Expect it to be freed the second time. */
  @Test
  void folioPut_ordinaryPage_isFreedWithItsLastReference() {
    PoolMachine pool = HugetlbMigrateTest.filled(0);
    Folio folio = pool.freshFolio();
    pool.system.folios().folioClearHugetlb(folio);
    pool.mm.refs().setPageCount(folio.page(), 2);
    mover(pool).folioPut(folio);
    assertEquals(512, pool.owned(Owner.HUGEPAGE));
    mover(pool).folioPut(folio);
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  /** A page of node 1 moves to node 0, or to no node by name. Expect it on node 0, or where it was. */
  @ParameterizedTest
  @CsvSource({"0, 0", "-1, 1"})
  void migratePages_bothNodesHavePages_goesToTheNamedOrItsOwn(int named, int expected) {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    pool.setPool(4);
    Folio old = pool.folio(pool.system.task().mapHugepage(SIZE, pool.freePfns(1).getFirst()));
    ListHead list = pool.mm.lists().localHead();
    assertTrue(mover(pool).isolateFolioToList(old, list));
    MigrationTarget target =
        new MigrationTarget(named, null, Gfp.KERNEL, MigrateReason.MR_MEMORY_HOTPLUG);
    assertEquals(0, mover(pool).migratePages(list, target));
    assertEquals(expected, pool.mm.inline().folioNid(onlyActive(pool)));
  }

  /**
   * Memory of this node only, and none left there: a contiguous range may not upset the nodes, going
   * offline may. Expect -ENOMEM for the first, and the page on node 1 for the second.
   */
  @Test
  void migratePages_nodeIsFull_goesToOthersOnlyForHotplug() {
    PoolMachine pool = PoolMachine.twoNodes().boot();
    pool.setPool(1);
    Folio old = mapped(pool);
    assertEquals(0, pool.system.resize().nrHugepagesStoreCommon0(pool.h2m(), 0, 1000));
    while (!pool.freePfns(0).isEmpty()) {
      pool.system.task().mapHugepage(SIZE, pool.freePfns(0).getFirst());
    }
    ListHead list = pool.mm.lists().localHead();
    assertTrue(mover(pool).isolateFolioToList(old, list));
    assertEquals(
        -Errno.ENOMEM,
        mover(pool)
            .migratePages(
                list,
                new MigrationTarget(
                    PoolMachine.NO_NODE, null, Gfp.KERNEL, MigrateReason.MR_CONTIG_RANGE)));
    assertEquals(
        0,
        mover(pool)
            .migratePages(
                list,
                new MigrationTarget(
                    PoolMachine.NO_NODE, null, Gfp.KERNEL, MigrateReason.MR_MEMORY_HOTPLUG)));
    assertEquals(1, pool.h2m().nrHugePagesNode[1]);
  }

  /** Every second page of RAM is in use. Expect a gigantic page all the same: they move. */
  @Test
  void contig_pagesInUse_areMoved() {
    PoolMachine pool = everySecondMapped();
    long pages = pool.h2m().nrHugePages;
    assertEquals(0, pool.system.sysfs().write(DIR8, "1"));
    assertEquals(1, pool.hstate(SIZE_8M).nrHugePages);
    assertPool(pool, pages, 0, 0);
    assertTrue(pool.warnings().isEmpty());
  }

  /** There is no page to move them to. Expect no gigantic page, and everybody where he was. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void contig_noMemoryToMove_findsNoRoom(boolean from) {
    PoolMachine pool = everySecondMapped();
    NavigableSet<Long> before = active(pool);
    if (from) {
      pool.failFrom(1, BUDDY);
      pool.system.sysfs().write(DIR8, "1");
      assertEquals(0, pool.hstate(SIZE_8M).nrHugePages);
      assertEquals(before, active(pool));
    } else {
      pool.failNth(1, BUDDY);
      pool.system.sysfs().write(DIR8, "1");
      assertEquals(1, pool.hstate(SIZE_8M).nrHugePages);
      assertNotEquals(before, active(pool));
    }
    assertEquals(before.size(), active(pool).size());
    assertPool(pool, before.size(), 0, 0);
  }

  /** Each of them has one reference too many. Expect five rounds for each place, and no room. */
  @Test
  void contig_pagesHeld_findNoRoom() {
    PoolMachine pool = everySecondMapped();
    NavigableSet<Long> before = active(pool);
    before.forEach(pfn -> pool.mm.refs().getPage(pool.folio(pfn).page()));
    assertEquals(0, pool.system.sysfs().write(DIR8, "1"));
    assertEquals(0, pool.hstate(SIZE_8M).nrHugePages);
    assertEquals(before, active(pool));
    assertPool(pool, before.size(), 0, 0);
    for (long pfn : before) {
      assertEquals(2, pool.mm.refs().folioRefCount(pool.folio(pfn)));
    }
  }

  private static PoolMachine everySecondMapped() {
    PoolMachine pool = HugetlbMigrateTest.filled(1000);
    for (long pfn : pool.freePfns(0)) {
      if (pfn / 512 % 2 == 1) {
        assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolio(pool.folio(pfn)));
      } else {
        assertEquals(pfn, pool.system.task().mapHugepage(SIZE, pfn));
      }
    }
    return pool;
  }

  private static Folio mapped(PoolMachine pool) {
    return pool.folio(pool.system.task().mapHugepage(SIZE, -1));
  }

  private static PageMigration mover(PoolMachine pool) {
    return pool.pageAlloc.migration();
  }

  private static int migrate(PoolMachine pool, Folio folio) {
    return migrate(pool, folio, Set.of(0));
  }

  /** As offlining does it: isolate, move, put back what could not be moved. */
  private static int migrate(PoolMachine pool, Folio folio, Set<Integer> nodes) {
    ListHead list = pool.mm.lists().localHead();
    assertTrue(mover(pool).isolateFolioToList(folio, list));
    int rc = mover(pool).migratePages(list, target(nodes));
    mover(pool).putbackMovablePages(list);
    pool.mm.lists().release(list);
    return rc;
  }

  private static MigrationTarget target(Set<Integer> nodes) {
    return new MigrationTarget(0, nodes, Gfp.KERNEL, MigrateReason.MR_MEMORY_HOTPLUG);
  }

  private static long address(PoolMachine pool, Folio folio) {
    return pool.mm.model().pageAddress(folio.page());
  }

  private static NavigableSet<Long> active(PoolMachine pool) {
    TreeSet<Long> pfns = new TreeSet<>();
    ListHead head = pool.h2m().hugepageActivelist();
    for (ListHead at = pool.mm.lists().first(head); !at.equals(head); at = pool.mm.lists().next(at)) {
      pfns.add(pool.mm.model().pageToPfn(pool.mm.struct().ofLru(at)));
    }
    return pfns;
  }

  private static Folio onlyActive(PoolMachine pool) {
    assertEquals(1, active(pool).size());
    return pool.folio(active(pool).getFirst());
  }

  private static void assertInUse(PoolMachine pool, Folio folio) {
    assertEquals(1, pool.mm.refs().folioRefCount(folio));
    assertEquals(1, pool.system.folios().folioMapcount(folio));
    assertTrue(pool.system.folios().test(folio, HugetlbPageFlag.HPG_MIGRATABLE));
    assertTrue(active(pool).contains(pool.mm.model().pageToPfn(folio.page())));
  }

  private static void assertFree(PoolMachine pool, Folio folio) {
    assertEquals(0, pool.mm.refs().folioRefCount(folio));
    assertEquals(0, pool.system.folios().folioMapcount(folio));
    assertTrue(pool.system.folios().test(folio, HugetlbPageFlag.HPG_FREED));
    assertEquals(0, pool.mm.struct().mapping(folio.page()));
  }

  private static void assertPool(PoolMachine pool, long total, long free, long surplus) {
    assertEquals(total, pool.h2m().nrHugePages);
    assertEquals(free, pool.h2m().freeHugePages);
    assertEquals(surplus, pool.h2m().surplusHugePages);
  }
}
