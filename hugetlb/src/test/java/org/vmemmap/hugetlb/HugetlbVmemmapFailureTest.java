// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.ZoneType;

/** Every error return and every check of hugetlb_vmemmap.c, and what is left behind. */
final class HugetlbVmemmapFailureTest {
  private final PoolMachine pool = PoolMachine.optimizing();
  private final Hstate h = pool.h2m();

  /** Everything that an attempt without success may not change. */
  private record State(
      List<Long> frames, List<Long> words, long memmap, long tails, long boot, long run) {}

  private State state(Folio folio) {
    return new State(
        pool.frames(folio, h),
        pool.words(folio, h),
        pool.owned(Owner.VMEMMAP),
        pool.owned(Owner.SHARED_TAIL),
        pool.mm.vmstat().nrMemmapBootPages(),
        pool.mm.vmstat().nrMemmapPages());
  }

  private Page sharedTail() {
    Page tail = pool.sharedTail(pool.zone(0, ZoneType.ZONE_DMA32), 9);
    if (tail == null) {
      throw new AssertionError("no shared tail");
    }
    return tail;
  }

  // ---------------------------------------------------------------- optimise

  /** No memory for the shared tail. Expect -ENOMEM to end it before anything was done. */
  @Test
  void optimizeFolio_noMemoryForTail_changesNothing() {
    Folio folio = pool.freshFolio();
    State before = state(folio);
    pool.failNth(1, "vmemmap_get_tail");

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);

    assertEquals(1, pool.machine.faults().failed());
    assertEquals(before, state(folio));
    assertNull(pool.sharedTail(pool.zone(0, ZoneType.ZONE_DMA32), 9));
  }

  /** No memory for the new head page. Expect the tail to stay and the flag to be taken back. */
  @Test
  void optimizeFolio_noMemoryForHead_keepsOnlyTheTail() {
    Folio folio = pool.freshFolio();
    State before = state(folio);
    pool.failNth(1, "__hugetlb_vmemmap_optimize_folio");

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);

    State after = state(folio);
    assertEquals(before.frames(), after.frames());
    assertEquals(before.words(), after.words());
    assertEquals(before.memmap(), after.memmap());
    assertEquals(before.run(), after.run());
    assertEquals(1, after.tails());
  }

  /** No memory for the first table. Expect the new head page to be freed unused, all else equal. */
  @Test
  void optimizeFolio_noMemoryForFirstTable_changesNoMapping() {
    Folio folio = pool.freshFolio();
    State before = state(folio);
    pool.failNth(1, "vmemmap_split_pmd");

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);

    State after = state(folio);
    assertFalse(pool.optimized(folio));
    assertEquals(before.frames(), after.frames());
    assertEquals(before.words(), after.words());
    assertEquals(before.memmap(), after.memmap());
    assertEquals(before.run(), after.run());
    assertEquals(before.boot(), after.boot());
  }

  /**
   * No memory for the second table, when the first half is remapped already.
   *
   * <pre>
   *   before     | 0 | 1 | 2 | 3 |  leaf 4 to 7  |
   *   remapped   | n | s   s   s |  leaf 4 to 7  |   list: 3, 2, 1, 0
   *   rolled     | n | 3 | 2 | 1 |  leaf 4 to 7  |   list: 0, which is freed
   * </pre>
   *
   * Expect the new head page to stay, the tails to have frames of their own in the order of the
   * list, and the counters to have moved one page from boot to run time.
   */
  @Test
  void optimizeFolio_noMemoryForSecondTable_rollsTheTailsBack() {
    Folio folio = pool.freshFolio();
    State before = state(folio);
    pool.failNth(2, "vmemmap_split_pmd");

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);

    State after = state(folio);
    List<Long> old = before.frames();
    assertFalse(pool.optimized(folio));
    assertNotEquals(old.get(0), after.frames().get(0));
    assertEquals(
        List.of(old.get(3), old.get(2), old.get(1), old.get(4), old.get(5), old.get(6), old.get(7)),
        after.frames().subList(1, 8));
    assertEquals(0, pool.readOnlyPages(folio, h));
    assertEquals(before.memmap(), after.memmap());
    assertEquals(before.boot() - 1, after.boot());
    assertEquals(before.run() + 1, after.run());
    assertEquals(before.words().subList(0, 512), after.words().subList(0, 512));
    assertEquals(
        folio.page(), pool.mm.flags().compoundHead(pool.mm.flags().folioPage(folio, 200)));
  }

  /** After the rollback there is memory again. Expect the same folio to be optimised normally. */
  @Test
  void optimizeFolio_afterRollback_worksTheSecondTime() {
    Folio folio = pool.freshFolio();
    pool.failNth(2, "vmemmap_split_pmd");
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    pool.machine.faults().disarm();

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);

    assertTrue(pool.optimized(folio));
    assertEquals(7, pool.readOnlyPages(folio, h));
    assertEquals(1, pool.mm.vmstat().nrMemmapPages());
  }

  /** A memmap inside the memory it describes. Expect -ENOTSUPP, but the tail made all the same. */
  @Test
  void optimizeFolio_selfHosted_isRefused() {
    Folio folio = pool.freshFolio();
    Page backing = pool.mm.model().pfnToPage(pool.frame(folio.va()));
    pool.mm.flags().set(backing, PageFlags.PG_VMEMMAP_SELF_HOSTED);
    State before = state(folio);

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);

    assertFalse(pool.optimized(folio));
    assertEquals(before.frames(), state(folio).frames());
    assertEquals(before.run(), state(folio).run());
    assertEquals(1, pool.owned(Owner.SHARED_TAIL));
  }

  /** The same for a memmap that is split already. Expect the first pte's frame to be asked. */
  @Test
  void optimizeFolio_selfHostedBehindPtes_isRefused() {
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolio(h, folio));
    Page backing = pool.mm.model().pfnToPage(pool.frame(folio.va()));
    pool.mm.flags().set(backing, PageFlags.PG_VMEMMAP_SELF_HOSTED);

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);

    assertFalse(pool.optimized(folio));
  }

  /** A list, and no memory for any table. Expect three plain hugepages in the pool. */
  @Test
  void optimizeFolios_noTablesAtAll_leavesPlainPages() {
    pool.failFrom(1, "vmemmap_split_pmd");
    assertEquals(0, pool.setPool(3));
    assertEquals(3, h.nrHugePages);
    assertEquals(0, optimizedPages());
    assertEquals(0, pool.mm.vmstat().nrMemmapPages());
  }

  /** A list, and the very first table fails. Expect the splitting to end and the remap to do it. */
  @Test
  void optimizeFolios_firstTableFails_splitsWhileRemapping() {
    pool.failNth(1, "vmemmap_split_pmd");
    assertEquals(0, pool.setPool(3));
    assertEquals(3, optimizedPages());
    assertEquals(3, pool.mm.vmstat().nrMemmapPages());
  }

  /**
   * The second head page fails when the first folio's eight old pages are waiting to be freed.
   * Expect one more flush, then the pages free, then success.
   */
  @Test
  void optimizeFolios_noMemoryWithPagesCollected_freesThemAndTriesAgain() {
    List<Long> memmapAtFlush = new ArrayList<>();
    long memmap = pool.owned(Owner.VMEMMAP);
    pool.failNth(2, "__hugetlb_vmemmap_optimize_folio");
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("flush_all")) {
                memmapAtFlush.add(pool.owned(Owner.VMEMMAP));
              }
            });

    assertEquals(0, pool.setPool(3));

    assertEquals(3, optimizedPages());
    assertEquals(List.of(memmap, memmap + 1, memmap - 7 + 2), memmapAtFlush);
  }

  /** From the second head page on all fail. Expect one retry in vain, then plain pages. */
  @Test
  void optimizeFolios_noMoreMemory_optimizesOnlyTheFirst() {
    pool.failFrom(2, "__hugetlb_vmemmap_optimize_folio");
    assertEquals(0, pool.setPool(3));
    assertEquals(1, optimizedPages());
    assertEquals(3, pool.machine.faults().failed());
  }

  private long optimizedPages() {
    return pool.freePfns(0).stream().filter(pfn -> pool.optimized(pool.folio(pfn))).count();
  }

  // ---------------------------------------------------------------- restore

  /** The n-th of the seven pages is not there. Expect -ENOMEM and not one bit changed. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7})
  void restoreFolio_nthPageFails_changesNothing(int n) {
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    State before = state(folio);
    pool.failNth(n, "alloc_vmemmap_page_list");

    assertEquals(-Errno.ENOMEM, pool.vmemmap.hugetlbVmemmapRestoreFolio(h, folio));

    assertEquals(before, state(folio));
    assertTrue(pool.optimized(folio));
    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolio(h, folio));
  }

  /** From the n-th page on there is no memory. Expect the same, also when tried again. */
  @ParameterizedTest
  @ValueSource(ints = {1, 4, 7})
  void restoreFolio_allFromNthFail_changesNothing(int n) {
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    State before = state(folio);
    pool.failFrom(n, "alloc_vmemmap_page_list");

    assertEquals(-Errno.ENOMEM, pool.vmemmap.hugetlbVmemmapRestoreFolio(h, folio));
    assertEquals(-Errno.ENOMEM, pool.vmemmap.hugetlbVmemmapRestoreFolio(h, folio));

    assertEquals(before, state(folio));
  }

  /** Three folios, memory for one and a half. Expect -ENOMEM, one moved, two left, one flush. */
  @Test
  void restoreFolios_secondFails_movesTheFirst() {
    ListHead folioList = pool.mm.lists().newHead();
    ListHead nonHvoFolios = pool.mm.lists().newHead();
    List<Folio> folios = List.of(pool.freshFolio(), pool.freshFolio(), pool.freshFolio());
    for (Folio folio : folios) {
      pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
      pool.mm.lists().listAddTail(pool.mm.struct().lru(folio.page()), folioList);
    }
    pool.failNth(10, "alloc_vmemmap_page_list");
    long flushes = pool.machine.cpu().tlb().flushes();

    assertEquals(
        -Errno.ENOMEM, pool.vmemmap.hugetlbVmemmapRestoreFolios(h, folioList, nonHvoFolios));

    assertEquals(
        pool.mm.struct().lru(folios.get(0).page()), pool.mm.lists().first(nonHvoFolios));
    assertEquals(pool.mm.struct().lru(folios.get(1).page()), pool.mm.lists().first(folioList));
    assertTrue(pool.optimized(folios.get(1)));
    assertEquals(flushes + 1, pool.machine.cpu().tlb().flushes());
  }

  // ---------------------------------------------------------------- boot

  /** No memory for the memmap of a boot page. Expect the kernel to panic. */
  @Test
  void initEarly_noMemory_panics() {
    PoolMachine large =
        PoolMachine.large().cmdline("hugetlb_free_vmemmap=on", "hugepagesz=1G", "hugepages=1");
    large.failFrom(1, "vmemmap_get_tail");
    KernelPanic panic = assertThrows(KernelPanic.class, large::boot);
    assertEquals("Failed to allocate memmap for HugeTLB page", panic.getMessage());
  }

  // ---------------------------------------------------------------- checks

  /** A page that is no hugepage is restored and optimised. Expect both to warn. */
  @Test
  void restoreAndOptimize_noHugetlbFolio_warn() {
    Folio folio = pool.freshFolio();
    pool.system.folios().folioClearHugetlb(folio);
    pool.vmemmap.hugetlbVmemmapRestoreFolio(h, folio);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    assertEquals(
        List.of(
            "__hugetlb_vmemmap_restore_folio: !folio_test_hugetlb(folio)",
            "__hugetlb_vmemmap_optimize_folio: !folio_test_hugetlb(folio)"),
        pool.warnings());
  }

  /** A page that somebody holds. Expect both to warn. */
  @Test
  void restoreAndOptimize_referencedFolio_warn() {
    Folio folio = pool.freshFolio();
    pool.mm.refs().setPageCount(folio.page(), 1);
    pool.vmemmap.hugetlbVmemmapRestoreFolio(h, folio);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    assertEquals(
        List.of(
            "__hugetlb_vmemmap_restore_folio: folio_ref_count(folio)",
            "__hugetlb_vmemmap_optimize_folio: folio_ref_count(folio)"),
        pool.warnings());
  }

  /** A folio whose head has lost its flag. Expect the remap to warn at the first page. */
  @Test
  void remapPte_noHeadFlag_warns() {
    Folio folio = pool.freshFolio();
    pool.mm.flags().clear(folio.page(), PageFlags.PG_HEAD);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    assertEquals(
        List.of("vmemmap_remap_pte: !PageHead((const struct page *)addr)"), pool.warnings());
  }

  /** A folio whose page 64 is no tail. Expect the remap to warn at the second page. */
  @Test
  void remapPte_noTail_warns() {
    Folio folio = pool.freshFolio();
    pool.mm.struct().setCompoundInfo(pool.mm.flags().folioPage(folio, 64), 0);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    assertEquals(
        List.of("vmemmap_remap_pte: !PageTail((const struct page *)addr)"), pool.warnings());
  }

  /** The shared tail looks like a head. Expect the restore to warn. */
  @Test
  void restorePte_headInTheTail_warns() {
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, folio);
    Page first = new Page(pool.mm.model().pageAddress(sharedTail()));
    pool.mm.flags().set(first, PageFlags.PG_HEAD);
    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolio(h, folio));
    assertEquals(
        List.of("vmemmap_restore_pte: PageHead((const struct page *)addr)"), pool.warnings());
  }

  /** A folio whose memmap does not start with a page. Expect the walk to stop the kernel. */
  @Test
  void remapRange_notAligned_isABug() {
    Folio folio = pool.freshFolio();
    Folio crooked = new Folio(pool.mm.flags().folioPage(folio, 1));
    pool.mm.flags().setType(crooked.page(), PageFlags.PGTY_HUGETLB);
    KernelBug bug =
        assertThrows(
            KernelBug.class, () -> pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, crooked));
    assertNotNull(bug.getMessage());
    assertTrue(bug.getMessage().contains("vmemmap_remap_range: !PAGE_ALIGNED(start | end)"));
  }
}
