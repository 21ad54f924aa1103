// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PageFlags;

/**
 * Breaking free hugepages into smaller ones, on machines with pages of 4 MiB and 2 MiB.
 *
 * <pre>
 *   4 MiB   | H t t t t t t t ... |      15 of 16 memmap pages are one shared frame
 *   2 MiB   | H t t ... | H t t ... |    7 of 8
 * </pre>
 */
final class HugetlbDemoteTest {
  private static final long SIZE_4M = 4 * PoolMachine.MIB;
  private static final String DIR = "/sys/kernel/mm/hugepages/hugepages-4096kB/";
  private static final String NODE0 =
      "/sys/devices/system/node/node0/hugepages/hugepages-4096kB/demote";
  private static final String RESTORE = "alloc_vmemmap_page_list";

  /** One of three pages is demoted. Expect two neighbours of half the size, optimised. */
  @Test
  void demoteStore_oneOfThree_becomesTwoHalves() {
    PoolMachine pool = filled(3);
    assertEquals(0, write(pool, "demote", "1"));
    assertPool(h4m(pool), 2);
    assertPool(pool.h2m(), 2);
    List<Long> pfns = pool.freePfns(0);
    assertEquals(pfns.get(0) + 512, pfns.get(1));
    for (long pfn : pfns) {
      Folio folio = pool.folio(pfn);
      assertTrue(pool.optimized(folio));
      assertEquals(9, pool.mm.inline().folioOrder(folio));
      assertEquals(0, pool.mm.refs().folioRefCount(folio));
      assertEquals(7, pool.readOnlyPages(folio, pool.h2m()));
    }
    assertEquals(List.of(), pool.warnings());
  }

  /** All are demoted and the halves freed. Expect the machine as before, no tail left behind. */
  @Test
  void demoteStore_thenShrink_givesAllMemoryBack() {
    PoolMachine pool = machine(new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0));
    long hugepages = pool.owned(Owner.HUGEPAGE);
    assertEquals(0, write(pool, "nr_hugepages", "3"));
    assertEquals(0, write(pool, "demote", "3"));
    assertPool(pool.h2m(), 6);
    assertEquals(0, pool.setPool(0));
    assertEquals(hugepages, pool.owned(Owner.HUGEPAGE));
    assertEquals(List.of(), pool.warnings());
  }

  /** More than there are. Expect all to be demoted and no error. */
  @Test
  void demoteStore_moreThanFree_takesAll() {
    PoolMachine pool = filled(3);
    assertEquals(0, write(pool, "demote", "10"));
    assertPool(h4m(pool), 0);
    assertPool(pool.h2m(), 6);
  }

  /** The pool is empty. Expect no error and no change. */
  @Test
  void demoteStore_emptyPool_doesNothing() {
    PoolMachine pool = filled(0);
    assertEquals(0, write(pool, "demote", "1"));
    assertPool(pool.h2m(), 0);
  }

  /**
   * The memmap of the n-th page cannot be restored; each needs 15 frames. Expect -ENOMEM, the pages
   * before it demoted, it and those behind it back in their pool, optimised.
   */
  @ParameterizedTest
  @CsvSource({"1,0", "15,0", "16,1", "30,1", "31,2", "45,2"})
  void demoteStore_oneRestoreFails_keepsTheRest(long n, int demoted) {
    PoolMachine pool = filled(3);
    long frames = pool.owned(Owner.VMEMMAP);
    pool.failNth(n, RESTORE);
    assertEquals(-Errno.ENOMEM, write(pool, "demote", "3"));
    assertPartly(pool, demoted, frames);
  }

  /** No memory from the n-th frame on. Expect the same: the first failure ends the demotion. */
  @ParameterizedTest
  @CsvSource({"1,0", "15,0", "16,1", "30,1", "31,2", "45,2"})
  void demoteStore_allRestoresFailFrom_keepsTheRest(long n, int demoted) {
    PoolMachine pool = filled(3);
    long frames = pool.owned(Owner.VMEMMAP);
    pool.failFrom(n, RESTORE);
    assertEquals(-Errno.ENOMEM, write(pool, "demote", "3"));
    assertPartly(pool, demoted, frames);
  }

  /** Each demoted page has one page of memmap of its own more than before. */
  private static void assertPartly(PoolMachine pool, int demoted, long frames) {
    assertPool(h4m(pool), 3 - demoted);
    assertPool(pool.h2m(), 2L * demoted);
    assertEquals(frames + demoted, pool.owned(Owner.VMEMMAP));
    for (long pfn : pool.freePfns(h4m(pool), 0)) {
      assertTrue(pool.optimized(pool.folio(pfn)));
    }
    pool.machine.faults().disarm();
    assertEquals(0, write(pool, "demote", "3"));
    assertPool(pool.h2m(), 6);
  }

  /** The halves cannot be optimised. Expect them in the pool all the same, not optimised. */
  @Test
  void demoteStore_optimizeFails_leavesHalvesWhole() {
    PoolMachine pool = filled(1);
    pool.failFrom(1, "__hugetlb_vmemmap_optimize_folio");
    assertEquals(0, write(pool, "demote", "1"));
    assertPool(pool.h2m(), 2);
    for (long pfn : pool.freePfns(0)) {
      assertFalse(pool.optimized(pool.folio(pfn)));
    }
  }

  /** The node's own file. Expect pages of that node only to be demoted. */
  @Test
  void demoteStore_ofNode_leavesOtherNodes() {
    PoolMachine pool = twoNodes(4);
    assertEquals(0, pool.system.sysfs().write(NODE0, "4"));
    assertEquals(0, h4m(pool).nrHugePagesNode[0]);
    assertEquals(2, h4m(pool).nrHugePagesNode[1]);
    assertEquals(4, pool.h2m().nrHugePagesNode[0]);
  }

  /** No number. Expect -EINVAL. */
  @Test
  void demoteStore_noNumber_isInvalid() {
    PoolMachine pool = filled(1);
    assertEquals(-Errno.EINVAL, write(pool, "demote", "one"));
    assertNull(pool.system.sysfs().read(DIR + "demote"));
  }

  /** The smallest size. Expect no demote files, and -EINVAL from the function itself. */
  @Test
  void demotePoolHugePage_smallestSize_isInvalid() {
    PoolMachine pool = filled(1);
    String file = "/sys/kernel/mm/hugepages/hugepages-2048kB/demote";
    assertEquals(-Errno.ENOENT, pool.system.sysfs().write(file, "1"));
    pool.hugetlb.hugetlbLock().lock();
    long rc =
        pool.system.demote()
            .demotePoolHugePage(pool.h2m(), new java.util.TreeSet<>(List.of(0)), 1);
    pool.hugetlb.hugetlbLock().unlock();
    assertEquals(-Errno.EINVAL, rc);
    assertTrue(
        pool.log().contains("HugeTLB: NULL demote order passed to demote_pool_huge_page."));
  }

  /** demote_size. Expect it to take only registered sizes below the pool's own. */
  @Test
  void demoteSizeStore_sizes_onlySmallerOnes() {
    PoolMachine pool = filled(1);
    assertEquals("2048kB", pool.system.sysfs().read(DIR + "demote_size"));
    assertEquals(0, write(pool, "demote_size", "2M"));
    assertEquals(-Errno.EINVAL, write(pool, "demote_size", "4M"));
    assertEquals(-Errno.EINVAL, write(pool, "demote_size", "1G"));
    assertEquals(-Errno.EINVAL, write(pool, "demote_size", "64K"));
    assertEquals("2048kB", pool.system.sysfs().read(DIR + "demote_size"));
  }

  /**
   * Two of three free pages are promised, and three are to be demoted. The check is "is there any
   * that is not promised". Expect all three to go, and promises without pages.
   */
  @Test
  void demoteStore_morePagesThanNotPromised_takesPromisedOnes() {
    PoolMachine pool = filled(3);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h4m(pool), 2));
    assertEquals(0, write(pool, "demote", "3"));
    assertEquals(0, h4m(pool).freeHugePages);
    assertEquals(2, h4m(pool).resvHugePages);
  }

  /**
   * Each of two nodes has one free page, both are promised. The file of all nodes refuses. On a
   * node, 1 free less 2 promised is very much. Expect the promised page to go.
   */
  @Test
  void demoteStore_nodeWithFewerPagesThanPromises_underflows() {
    PoolMachine pool = twoNodes(2);
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h4m(pool), 2));
    assertEquals(0, write(pool, "demote", "1"));
    assertEquals(2, h4m(pool).freeHugePages);
    assertEquals(0, pool.system.sysfs().write(NODE0, "1"));
    assertEquals(1, h4m(pool).freeHugePages);
    assertEquals(2, h4m(pool).resvHugePages);
  }

  /** The same with no free page on the node. Expect -EBUSY, where all nodes say nothing. */
  @Test
  void demoteStore_nodeWithoutPagesButPromises_isBusy() {
    PoolMachine pool = twoNodes(2);
    assertEquals(0, pool.system.sysfs().write(NODE0, "1"));
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(h4m(pool), 1));
    assertEquals(-Errno.EBUSY, pool.system.sysfs().write(NODE0, "1"));
  }

  /**
   * A boot page of 128 MiB in a zone whose memmap is initialised at once: its shared tails carry a
   * reference. Restored, all its tails do; demotion makes heads of them and looks at no count.
   * Expect every head but the first, which HugeTLB has frozen itself, to sit in the pool with it.
   */
  @Test
  void demoteStore_bootPageWrittenByEarlyInit_leavesReferences() {
    PoolMachine pool =
        new PoolMachine(
            PoolMachine.config().withDebugVm(false),
            HugetlbArch.of(PoolMachine.SIZE_2M, 128 * PoolMachine.MIB),
            new PoolMachine.Ram(0, 512 * PoolMachine.MIB, 0));
    pool.cmdline("hugetlb_free_vmemmap=on", "hugepagesz=128M", "hugepages=1").boot();
    assertEquals(1, pool.hstate(128 * PoolMachine.MIB).nrHugePages);
    String file = "/sys/kernel/mm/hugepages/hugepages-131072kB/demote";
    assertEquals(0, pool.system.sysfs().write(file, "1"));
    assertEquals(64, pool.h2m().freeHugePages);
    long held =
        pool.freePfns(0).stream()
            .filter(pfn -> pool.mm.refs().folioRefCount(pool.folio(pfn)) == 1)
            .count();
    assertEquals(63, held);
  }

  /** One of two pages is poisoned. Expect the other to be demoted, then -EBUSY, and it to stay. */
  @Test
  void demoteStore_poisonedPage_isPassedOver() {
    PoolMachine pool = filled(2);
    long poisoned = pool.freePfns(h4m(pool), 0).getFirst();
    pool.mm.flags().set(pool.folio(poisoned).page(), PageFlags.PG_HWPOISON);
    assertEquals(-Errno.EBUSY, write(pool, "demote", "2"));
    assertEquals(List.of(poisoned), pool.freePfns(h4m(pool), 0));
    assertPool(pool.h2m(), 2);
  }

  /** Three of four pages on two nodes. Expect two of the node whose turn it is and one of the next. */
  @Test
  void demoteStore_twoNodes_goesOnWithTheNext() {
    PoolMachine pool = twoNodes(4);
    assertEquals(0, write(pool, "demote", "3"));
    assertEquals(0, h4m(pool).nrHugePagesNode[0]);
    assertEquals(1, h4m(pool).nrHugePagesNode[1]);
    assertEquals(1, h4m(pool).maxHugePages);
    assertEquals(6, pool.h2m().maxHugePages);
    assertEquals(4, pool.h2m().nrHugePagesNode[0]);
  }

  /** One of four pages on two nodes, or more than all. Expect no more to go, in one round. */
  @ParameterizedTest
  @CsvSource({"1, 3, 1", "10, 0, 0"})
  void demoteStore_twoNodes_takesNoMoreThanAsked(String asked, long left, int turn) {
    PoolMachine pool = twoNodes(4);
    assertEquals(0, write(pool, "demote", asked));
    assertPool(h4m(pool), left);
    assertPool(pool.h2m(), 2 * (4 - left));
    assertEquals(turn, h4m(pool).nextNidToFree.nid);
  }

  /** The node whose turn it is has no page. Expect the other's to go. */
  @Test
  void demoteStore_firstNodeIsEmpty_asksTheNext() {
    PoolMachine pool = twoNodes(2);
    assertEquals(0, pool.system.sysfs().write(NODE0, "1"));
    assertEquals(0, h4m(pool).nextNidToFree.nid);
    assertEquals(0, write(pool, "demote", "1"));
    assertPool(h4m(pool), 0);
    assertEquals(2, pool.h2m().nrHugePagesNode[1]);
  }

  /** The memmap of the first node's first page cannot be restored. Expect the second to be left out. */
  @Test
  void demoteStore_firstNodeFails_leavesTheSecond() {
    PoolMachine pool = twoNodes(4);
    pool.failNth(1, RESTORE);
    assertEquals(-Errno.ENOMEM, write(pool, "demote", "4"));
    assertEquals(4, h4m(pool).freeHugePages);
    assertEquals(4, h4m(pool).maxHugePages);
    assertEquals(0, pool.h2m().nrHugePages);
    assertEquals(1, h4m(pool).nextNidToFree.nid);
  }

  /** A page of 8 MiB becomes four. Expect each to be a folio of its own that nobody ever used. */
  @Test
  void demoteStore_halves_areNewFolios() {
    PoolMachine pool = HugetlbMigrateTest.filled(0);
    String dir = "/sys/kernel/mm/hugepages/hugepages-8192kB/";
    assertEquals(0, pool.system.sysfs().write(dir + "nr_hugepages", "1"));
    Hstate h8m = pool.hstate(8 * PoolMachine.MIB);
    long start = pool.freePfns(h8m, 0).getFirst();
    pool.mm.struct().setMapping(pool.folio(start).page(), 8);
    assertEquals(0, pool.system.sysfs().write(dir + "demote", "1"));
    assertEquals(
        List.of(start, start + 512, start + 1024, start + 1536), pool.freePfns(0));
    for (long pfn : pool.freePfns(0)) {
      Folio folio = pool.folio(pfn);
      assertEquals(0, pool.mm.struct().mapping(folio.page()));
      assertEquals(0x18, pool.mm.struct().priv(folio.page()));
      assertEquals(0, pool.system.folios().hugetlbFolioSubpool(folio));
      assertEquals(
          folio.page(), pool.mm.flags().compoundHead(pool.mm.flags().folioPage(folio, 511)));
    }
    assertEquals(0, h8m.maxHugePages);
    assertEquals(4, pool.h2m().maxHugePages);
    assertEquals(List.of(), pool.warnings());
  }

  /** demote_size of a size that is registered, but smaller than HPAGE_SIZE. Expect -EINVAL. */
  @Test
  void demoteSizeStore_belowHpageSize_isInvalid() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.of(PoolMachine.SIZE_2M, 65536L, SIZE_4M),
                new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .boot();
    assertEquals(-Errno.EINVAL, write(pool, "demote_size", "64K"));
    assertEquals("2048kB", pool.system.sysfs().read(DIR + "demote_size"));
    h4m(pool).demoteOrder = 4;
    assertEquals("64kB", pool.system.sysfs().read(DIR + "demote_size"));
    assertEquals(0, write(pool, "demote_size", "2M"));
    assertEquals(9, h4m(pool).demoteOrder);
  }

  private static void assertPool(Hstate h, long pages) {
    assertEquals(pages, h.nrHugePages);
    assertEquals(pages, h.freeHugePages);
    assertEquals(0, h.surplusHugePages);
    assertEquals(pages, h.maxHugePages);
  }

  private static int write(PoolMachine pool, String file, String value) {
    return pool.system.sysfs().write(DIR + file, value);
  }

  private static Hstate h4m(PoolMachine pool) {
    return pool.hstate(SIZE_4M);
  }

  private static PoolMachine filled(int pages) {
    PoolMachine pool = machine(new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0));
    assertEquals(0, write(pool, "nr_hugepages", Integer.toString(pages)));
    return pool;
  }

  private static PoolMachine twoNodes(int pages) {
    PoolMachine pool =
        machine(
            new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0),
            new PoolMachine.Ram(256 * PoolMachine.MIB, 512 * PoolMachine.MIB, 1));
    assertEquals(0, write(pool, "nr_hugepages", Integer.toString(pages)));
    return pool;
  }

  private static PoolMachine machine(PoolMachine.Ram... ram) {
    return new PoolMachine(
            PoolMachine.config(), HugetlbArch.of(PoolMachine.SIZE_2M, SIZE_4M), ram)
        .cmdline("hugetlb_free_vmemmap=on")
        .boot();
  }
}
