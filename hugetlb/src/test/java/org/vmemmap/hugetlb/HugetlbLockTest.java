// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.machine.YieldPoints;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.MigrateReason;
import org.vmemmap.pagealloc.MigrationTarget;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.PageFlags;

/**
 * How operations on the pools keep the rules of their locks.
 *
 * <pre>
 *   hugetlb_lock   a spinlock: guards counters and lists; nobody sleeps or flushes under it
 *   resize_lock    a mutex of each size: outside hugetlb_lock, for whoever changes its number
 * </pre>
 *
 * Expect of every operation that it takes no lock twice, leaves each that it took, uses what a lock
 * guards only under it, and gives the room of its lists on the stack back.
 */
final class HugetlbLockTest {
  private static final String LOCK = "hugetlb_lock 0";
  private static final Set<String> GUARDED =
      Set.of(
          "nr_huge_pages",
          "nr_huge_pages_node",
          "free_huge_pages",
          "free_huge_pages_node",
          "surplus_huge_pages",
          "surplus_huge_pages_node",
          "resv_huge_pages",
          "max_huge_pages",
          "hugepage_activelist",
          "hugepage_freelists");
  private static final Set<String> SLEEPING =
      Set.of("cond_resched", "flush_all", "flush_range", "folio_trylock");

  /** Hears of each lock, and objects when a rule is broken. */
  private static final class Watch implements YieldPoints.Listener {
    private final List<String> held = new ArrayList<>();
    private final List<String> taken = new ArrayList<>();
    private final Set<String> guarded = new HashSet<>(GUARDED);

    @Override
    public void reached(String what, long where) {
      assertFalse(SLEEPING.contains(what) && held.contains(LOCK), () -> what + " under " + held);
    }

    @Override
    public void lock(String name, long number) {
      String lock = name + " " + number;
      assertFalse(held.contains(lock), () -> "again: " + lock);
      boolean mutex = name.equals("resize_lock");
      assertFalse(mutex && held.contains(LOCK), () -> lock + " under " + held);
      held.add(lock);
      taken.add(lock);
    }

    @Override
    public void unlock(String name, long number) {
      assertTrue(held.remove(name + " " + number), () -> "not held: " + name);
    }

    @Override
    public void touched(String what) {
      boolean wrong = guarded.contains(what) && !held.contains(LOCK);
      assertFalse(wrong, () -> what + " without hugetlb_lock");
    }
  }

  /** Does {@code what} under the rules; returns the locks that it took, each time it took one. */
  private static List<String> watched(PoolMachine pool, Runnable what) {
    Watch watch = new Watch();
    long stack = stack(pool);
    pool.machine.yields().listen(watch);
    what.run();
    pool.machine.yields().listen(null);
    assertEquals(List.of(), watch.held);
    assertEquals(stack, stack(pool), "lists on the stack");
    assertEquals(List.of(), pool.warnings());
    return watch.taken;
  }

  private static long stack(PoolMachine pool) {
    ListHead head = pool.mm.lists().localHead();
    pool.mm.lists().release(head);
    return head.va();
  }

  private static List<String> hugetlbOnly(List<String> taken) {
    return taken.stream()
        .filter(lock -> lock.startsWith("hugetlb") || lock.startsWith("resize"))
        .toList();
  }

  /** Three pages more. Expect one resize, and the lock open for each allocation. */
  @Test
  void setPool_up_opensTheLockForEachPage() {
    PoolMachine pool = PoolMachine.optimizing();
    List<String> taken = watched(pool, () -> assertEquals(0, pool.setPool(3)));
    assertEquals("resize_lock 9", hugetlbOnly(taken).getFirst());
    // To begin with, after each page, for the list of them, after it, and after shrinking by none.
    assertEquals(7, taken.stream().filter(LOCK::equals).count());
    assertEquals(3, pool.h2m().nrHugePages);
  }

  /** The limit of surplus pages is written. Expect it to change under hugetlb_lock. */
  @Test
  void write_overcommit_takesHugetlbLock() {
    PoolMachine pool = PoolMachine.small().boot();
    String file = "/proc/sys/vm/nr_overcommit_hugepages";
    List<String> taken =
        watched(pool, () -> assertEquals(0, pool.system.sysfs().write(file, "2")));
    assertEquals(List.of(LOCK), hugetlbOnly(taken));
  }

  /** The size of the halves is written. Expect it to change while nobody resizes the pool. */
  @Test
  void write_demoteSize_takesResizeLock() {
    PoolMachine pool = PoolMachine.small().boot();
    String file = "/sys/kernel/mm/hugepages/hugepages-1048576kB/demote_size";
    List<String> taken =
        watched(pool, () -> assertEquals(0, pool.system.sysfs().write(file, "2M")));
    assertEquals(List.of("resize_lock 18"), hugetlbOnly(taken));
  }

  /**
   * All three go. Expect the lock to be open while their memmap is restored, and to be taken once for
   * all of them when they stop being hugepages.
   */
  @Test
  void setPool_down_opensTheLockToRestore() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    List<String> taken = watched(pool, () -> assertEquals(0, pool.setPool(0)));
    assertEquals(List.of("resize_lock 9", LOCK, LOCK, LOCK), hugetlbOnly(taken));
    assertEquals(0, pool.h2m().nrHugePages);
  }

  /** Without memory on the way up, and on the way down. Expect the rules to hold in the errors. */
  @Test
  void setPool_noMemory_keepsTheRules() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.failFrom(3, "alloc_buddy_frozen_folio");
    watched(pool, () -> assertEquals(0, pool.setPool(5)));
    assertEquals(2, pool.h2m().nrHugePages);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    watched(pool, () -> assertEquals(0, pool.setPool(0)));
    assertEquals(2, pool.h2m().surplusHugePages);
    pool.failNth(1, "alloc_vmemmap_page_list");
    watched(pool, () -> assertEquals(0, pool.setPool(1)));
    watched(pool, () -> assertEquals(0, pool.setPool(0)));
    assertEquals(1, pool.h2m().nrHugePages);
  }

  /** A page is mapped and unmapped; one from the pool, one beyond it. Expect the rules to hold. */
  @Test
  void mapAndUnmap_pages_keepTheRules() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    pool.h2m().nrOvercommitHugePages = 1;
    HugetlbTask task = pool.system.task();
    long[] pfns = new long[2];
    watched(pool, () -> pfns[0] = task.mapHugepage(PoolMachine.SIZE_2M, -1));
    watched(pool, () -> pfns[1] = task.mapHugepage(PoolMachine.SIZE_2M, -1));
    assertEquals(1, pool.h2m().surplusHugePages);
    watched(
        pool, () -> assertEquals(-Errno.ENOMEM, task.mapHugepage(PoolMachine.SIZE_2M, -1)));
    watched(pool, () -> assertEquals(0, task.unmapHugepage(PoolMachine.SIZE_2M, pfns[1])));
    watched(pool, () -> assertEquals(0, task.unmapHugepage(PoolMachine.SIZE_2M, pfns[0])));
    assertEquals(1, pool.h2m().freeHugePages);
  }

  /** A surplus page is unmapped without memory to restore it. Expect it back under the lock. */
  @Test
  void unmap_surplusPageNoMemory_keepsTheRules() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    long pfn = pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1);
    pool.setPool(0);
    pool.failFrom(1, "alloc_vmemmap_page_list");
    watched(
        pool,
        () ->
            assertEquals(0, pool.system.task().unmapHugepage(PoolMachine.SIZE_2M, pfn)));
    assertEquals(1, pool.h2m().surplusHugePages);
  }

  /** The only free page is poisoned. Expect -ENOSPC, with the lock left. */
  @Test
  void mapHugepage_noneToTake_keepsTheRules() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    pool.mm.flags().set(pool.folio(pool.freePfns(0).get(0)).page(), PageFlags.PG_HWPOISON);
    watched(
        pool,
        () ->
            assertEquals(
                -Errno.ENOSPC, pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1)));
  }

  /** Promises with surplus pages: given, refused half way, taken back. Expect the rules to hold. */
  @Test
  void acctMemory_surplusPages_keepsTheRules() {
    PoolMachine pool = PoolMachine.optimizing();
    Hstate h = pool.h2m();
    h.nrOvercommitHugePages = 3;
    HugetlbReserve reserve = pool.system.reserve();
    watched(pool, () -> assertEquals(0, reserve.hugetlbAcctMemory(h, 2)));
    assertEquals(2, h.surplusHugePages);
    watched(pool, () -> assertEquals(-Errno.ENOMEM, reserve.hugetlbAcctMemory(h, 2)));
    watched(pool, () -> assertEquals(0, reserve.hugetlbAcctMemory(h, -2)));
    assertEquals(0, h.nrHugePages);
  }

  /** A page for a promise without a mapping, and none without a promise. Expect the rules to hold. */
  @Test
  void allocReserve_withAndWithoutPromise_keepsTheRules() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(pool.h2m(), 1));
    HugetlbMigrate migrate = pool.system.migrate();
    watched(
        pool, () -> assertNotNull(migrate.allocHugetlbFolioReserve(pool.h2m(), 0, null)));
    watched(pool, () -> assertNull(migrate.allocHugetlbFolioReserve(pool.h2m(), 0, null)));
  }

  /** A free page is dissolved; then one without memory for it; then one in use. */
  @Test
  void dissolve_allOutcomes_keepTheRules() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    List<Long> pfns = pool.freePfns(0);
    watched(pool, () -> assertEquals(0, dissolve(pool, pfns.get(0))));
    pool.failFrom(1, "alloc_vmemmap_page_list");
    watched(pool, () -> assertEquals(-Errno.ENOMEM, dissolve(pool, pfns.get(1))));
    pool.machine.faults().disarm();
    assertEquals(pfns.get(1), pool.system.task().mapHugepage(PoolMachine.SIZE_2M, pfns.get(1)));
    watched(pool, () -> assertEquals(-Errno.EBUSY, dissolve(pool, pfns.get(1))));
    watched(pool, () -> assertEquals(0, dissolve(pool, pfns.get(2))));
    assertEquals(1, pool.h2m().nrHugePages);
  }

  private static int dissolve(PoolMachine pool, long pfn) {
    return pool.hugetlb.dissolveFreeHugetlbFolio(pool.folio(pfn));
  }

  /** A page is demoted, then one whose memmap cannot come back. Expect both mutexes, in order. */
  @Test
  void demote_pages_takesTheLargerMutexFirst() {
    PoolMachine pool = HugetlbMigrateTest.filled(0);
    String dir = "/sys/kernel/mm/hugepages/hugepages-8192kB/";
    assertEquals(0, pool.system.sysfs().write(dir + "nr_hugepages", "2"));
    List<String> taken =
        hugetlbOnly(
            watched(
                pool, () -> assertEquals(0, pool.system.sysfs().write(dir + "demote", "1"))));
    assertEquals(List.of("resize_lock 11", LOCK, "resize_lock 9"), taken.subList(0, 3));
    assertEquals(4, pool.h2m().nrHugePages);
    pool.failNth(1, "alloc_vmemmap_page_list");
    watched(
        pool,
        () -> assertEquals(-Errno.ENOMEM, pool.system.sysfs().write(dir + "demote", "1")));
    assertEquals(4, pool.h2m().nrHugePages);
  }

  /** A page in use moves to another, and a free one makes way. Expect the rules to hold. */
  @Test
  void migrateAndReplace_pages_keepTheRules() {
    PoolMachine pool = HugetlbMigrateTest.filled(1);
    long pfn = pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1);
    watched(pool, () -> assertEquals(0, move(pool, pool.folio(pfn))));
    assertEquals(1, pool.h2m().nrHugePages);
    pool.setPool(2);
    Folio free = pool.folio(pool.freePfns(0).get(0));
    watched(pool, () -> assertEquals(0, isolateOrDissolve(pool, free)));
    watched(
        pool,
        () ->
            assertEquals(
                0, pool.system.migrate().replaceFreeHugepageFolios(0, 65536)));
    assertEquals(2, pool.h2m().nrHugePages);
  }

  /** While a free page's replacement is made somebody takes it. Expect the rules to hold. */
  @Test
  void isolateOrDissolve_takenMeanwhile_keepsTheRules() {
    PoolMachine pool = HugetlbMigrateTest.filled(1);
    Folio old = pool.folio(pool.freePfns(0).getFirst());
    HugetlbMigrateTest.meanwhile(
        pool, () -> pool.system.reserve().hugetlbAllocFolio(pool.h2m(), 0, 0));
    watched(pool, () -> assertEquals(-Errno.EBUSY, isolateOrDissolve(pool, old)));
    assertEquals(1, pool.h2m().nrHugePages);
  }

  private static int isolateOrDissolve(PoolMachine pool, Folio folio) {
    ListHead list = pool.mm.lists().localHead();
    int rc = pool.system.migrate().isolateOrDissolveHugeFolio(folio, list);
    pool.mm.lists().release(list);
    return rc;
  }

  private static int move(PoolMachine pool, Folio folio) {
    ListHead list = pool.mm.lists().localHead();
    assertTrue(pool.pageAlloc.migration().isolateFolioToList(folio, list));
    int rc =
        pool.pageAlloc
            .migration()
            .migratePages(
                list,
                new MigrationTarget(0, Set.of(0), Gfp.KERNEL, MigrateReason.MR_MEMORY_HOTPLUG));
    pool.mm.lists().release(list);
    return rc;
  }

  /** A surplus page moves to the other node. Expect the counts of both nodes under the lock. */
  @Test
  void migrate_surplusPageToOtherNode_keepsTheRules() {
    PoolMachine pool = PoolMachine.twoNodes().cmdline("hugetlb_free_vmemmap=on").boot();
    pool.setPool(2);
    long pfn = pool.system.task().mapHugepage(PoolMachine.SIZE_2M, pool.freePfns(1).getFirst());
    pool.setPool(0);
    watched(pool, () -> assertEquals(0, move(pool, pool.folio(pfn))));
    assertEquals(1, pool.h2m().surplusHugePagesNode[0]);
  }

  /** A pool is filled, used and emptied. Expect to hear of everything that the lock guards. */
  @Test
  void touched_operations_tellOfAllThatIsGuarded() {
    PoolMachine pool = PoolMachine.optimizing();
    Set<String> heard = new HashSet<>();
    pool.machine
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String what, long where) {}

              @Override
              public void touched(String what) {
                heard.add(what);
              }
            });
    pool.setPool(1);
    pool.system.task().mapHugepage(PoolMachine.SIZE_2M, -1);
    pool.setPool(0);
    pool.machine.yields().listen(null);
    assertEquals(GUARDED, heard.stream().filter(GUARDED::contains).collect(Collectors.toSet()));
  }

  /** Everything that asks for the lock is called without it. Expect each to say so, once. */
  @Test
  void assertHeld_withoutLock_warnsInEachFunction() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    Hstate h = pool.h2m();
    Hugetlb hugetlb = pool.hugetlb;
    TreeSet<Integer> nodes = new TreeSet<>(Set.of(0));
    assertNotNull(hugetlb.dequeueHugetlbFolioNodemask(h, 0, null));
    Folio removed = hugetlb.removePoolHugetlbFolio(h, nodes, false);
    assertNotNull(removed);
    hugetlb.addHugetlbFolio(h, removed, false);
    hugetlb.accountNewHugetlbFolio(h, pool.freshFolio());
    pool.system.resize().adjustPoolSurplus(h, nodes, 1);
    pool.system.demote().demotePoolHugePage(h, nodes, 1);
    assertEquals(
        List.of(
            "dequeue_hugetlb_folio_node_exact: !lockdep_is_held(&hugetlb_lock)",
            "remove_pool_hugetlb_folio: !lockdep_is_held(&hugetlb_lock)",
            "remove_hugetlb_folio: !lockdep_is_held(&hugetlb_lock)",
            "add_hugetlb_folio: !lockdep_is_held(&hugetlb_lock)",
            "enqueue_hugetlb_folio: !lockdep_is_held(&hugetlb_lock)",
            "account_new_hugetlb_folio: !lockdep_is_held(&hugetlb_lock)",
            "adjust_pool_surplus: !lockdep_is_held(&hugetlb_lock)",
            "demote_pool_huge_page: !lockdep_is_held(&hugetlb_lock)"),
        pool.warnings());
  }

  /**
   * Gigantic and small pages at boot, on one node and round the nodes. Expect the pools to be filled
   * under the lock; how many there should be, only one CPU writes.
   */
  @ParameterizedTest
  @ValueSource(strings = {"hugepages=3", "hugepages=0:3"})
  void boot_pages_areCountedUnderTheLock(String wish) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.of(PoolMachine.SIZE_2M, 8 * PoolMachine.MIB),
                new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .cmdline("hugetlb_free_vmemmap=on", wish, "hugepagesz=8M", "hugepages=2");
    Watch watch = new Watch();
    watch.guarded.remove("max_huge_pages");
    long stack = stack(pool);
    pool.machine.yields().listen(watch);
    pool.boot();
    pool.machine.yields().listen(null);
    assertEquals(List.of(), watch.held);
    assertEquals(stack, stack(pool));
    assertEquals(3, pool.h2m().freeHugePages);
    assertEquals(2, pool.hstate(8 * PoolMachine.MIB).freeHugePages);
  }
}
