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
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.Mmu;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Series;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.ZoneType;

/** What optimising and restoring do to the memmap, the counters and the frames. */
final class HugetlbVmemmapTest {
  private static final long HEAD_FLAGS_MASK = 0x1ff_ffffL;

  /** A tail that is read through the shared frame of order 9 in zone DMA32 of node 0. */
  private static final List<Long> SHARED_TAIL_WORDS =
      List.of(
          0x8000000000000L, 0xffffffffffff8001L, 0L, 0xdead000000000400L, 0L, 0L, 0xffffffffL, 0L);

  private static List<Long> wordsOf(PoolMachine pool, Page page) {
    List<Long> words = new ArrayList<>();
    for (int offset = 0; offset < 64; offset += 8) {
      words.add(pool.mm.struct().word(page, offset));
    }
    return words;
  }

  /**
   * One hugepage of 2 MiB is optimised.
   *
   * <pre>
   *   before   | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |   eight frames, two leaves
   *   after    | n | s   s   s   s   s   s   s |   one frame of its own, one shared
   * </pre>
   *
   * Expect 7 frames less for the memmap, one shared tail and two page tables more.
   */
  @Test
  void optimizeFolio_twoMegabytes_savesSevenFrames() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    List<Long> before = pool.frames(folio, pool.h2m());
    long memmapBefore = pool.owned(Owner.VMEMMAP);
    long tablesBefore = pool.owned(Owner.PAGE_TABLE);
    long bootBefore = pool.mm.vmstat().nrMemmapBootPages();

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);

    List<Long> after = pool.frames(folio, pool.h2m());
    assertTrue(pool.optimized(folio));
    assertEquals(8, new HashSet<>(before).size());
    assertEquals(2, new HashSet<>(after).size());
    assertFalse(before.contains(after.get(0)));
    assertEquals(7, pool.readOnlyPages(folio, pool.h2m()));
    assertEquals(memmapBefore - 7, pool.owned(Owner.VMEMMAP));
    assertEquals(tablesBefore + 2, pool.owned(Owner.PAGE_TABLE));
    assertEquals(1, pool.owned(Owner.SHARED_TAIL));
    assertEquals(bootBefore - 8, pool.mm.vmstat().nrMemmapBootPages());
    assertEquals(1, pool.mm.vmstat().nrMemmapPages());
  }

  /**
   * The struct pages of an optimised hugepage. Expect the head page to be a copy with the flag set,
   * and every tail behind it to read as the shared tail and to lead to the head.
   */
  @Test
  void optimizeFolio_structPages_stillTellTheirHead() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    List<Long> before = wordsOf(pool, pool.mm.flags().folioPage(folio, 5));

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);

    assertEquals(before, wordsOf(pool, pool.mm.flags().folioPage(folio, 5)));
    assertEquals(0x10, pool.mm.struct().priv(folio.page()));
    assertEquals(0x40, pool.mm.struct().flags(folio.page()) & HEAD_FLAGS_MASK);
    assertEquals(SHARED_TAIL_WORDS, wordsOf(pool, pool.mm.flags().folioPage(folio, 64)));
    assertEquals(SHARED_TAIL_WORDS, wordsOf(pool, pool.mm.flags().folioPage(folio, 511)));
    assertEquals(
        folio.page(), pool.mm.flags().compoundHead(pool.mm.flags().folioPage(folio, 511)));
  }

  /** A write to a shared tail. Expect the hardware to refuse it. */
  @Test
  void optimizeFolio_writeToSharedTail_faults() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    Page tail = pool.mm.flags().folioPage(folio, 64);
    pool.mm.struct().setPriv(tail, 0);

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);

    MachineFault fault =
        assertThrows(MachineFault.class, () -> pool.mm.struct().setPriv(tail, 1));
    assertEquals("write-to-read-only", fault.rule());
  }

  /** Two hugepages of one zone. Expect both to share one frame, and one more shared page only. */
  @Test
  void optimizeFolio_secondFolio_usesTheSameTail() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio first = pool.freshFolio();
    Folio second = pool.freshFolio();

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), first);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), second);

    assertEquals(
        pool.frames(first, pool.h2m()).get(1), pool.frames(second, pool.h2m()).get(7));
    assertEquals(1, pool.owned(Owner.SHARED_TAIL));
  }

  /** The documents say 7 of 8 pages for 2 MiB and 4095 of 4096 for 1 GiB. Expect these numbers. */
  @Test
  void optimizableSize_documentedSizes_matchesTheDocuments() {
    PoolMachine pool = PoolMachine.optimizing();
    Hstate h1g = pool.hstate(PoolMachine.GIB);
    assertEquals(7, pool.vmemmap.hugetlbVmemmapOptimizableSize(pool.h2m()) / 4096);
    assertEquals(4095, pool.vmemmap.hugetlbVmemmapOptimizableSize(h1g) / 4096);
    assertEquals(64, pool.vmemmap.hugetlbVmemmapReservePages());
  }

  /** Order 7 has two pages of memmap, order 6 one. Expect 512 KiB to be the first that saves. */
  @Test
  void optimizableSize_smallOrders_startsAt512KiB() {
    PoolMachine pool = PoolMachine.small();
    assertEquals(4096, pool.vmemmap.hugetlbVmemmapOptimizableSize(new Hstate(pool.mm, 7)));
    assertEquals(0, pool.vmemmap.hugetlbVmemmapOptimizableSize(new Hstate(pool.mm, 6)));
  }

  /** A pool of 512 KiB pages. Expect one page of memmap saved for each, and it works. */
  @Test
  void optimizeFolios_512KiB_savesOneFrameEach() {
    PoolMachine pool = halfMegabytes();
    assertEquals(0, pool.setPool(4));
    Hstate h = pool.hstate(512 << 10);
    Folio folio = pool.folio(pool.freePfns(h, 0).get(0));
    assertEquals(4, h.nrHugePages);
    assertEquals(1, pool.readOnlyPages(folio, h));
    assertEquals(2, new HashSet<>(pool.frames(folio, h)).size());
  }

  private static PoolMachine halfMegabytes() {
    return new PoolMachine(
            PoolMachine.config(),
            HugetlbArch.of(512 << 10),
            new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
        .cmdline("hugetlb_free_vmemmap=on")
        .boot();
  }

  /** A struct page of 80 bytes has no mask. Expect nothing to be optimisable and no sysctl. */
  @Test
  void optimizable_structPageNoPowerOfTwo_isNothing() {
    PoolMachine pool = boot(PoolMachine.config().withSizeofStructPage(80));
    assertEquals(0, pool.vmemmap.hugetlbVmemmapOptimizableSize(pool.h2m()));
    assertFalse(pool.vmemmap.sysctlRegistered());
    assertEquals(0, pool.setPool(2));
    assertFalse(pool.optimized(pool.folio(pool.freePfns(0).get(0))));
  }

  /** A kernel built without it. Expect pools that grow and shrink and no memmap that changes. */
  @Test
  void optimizable_notBuiltIn_isNothing() {
    PoolMachine pool = boot(PoolMachine.config().withHugetlbOptimizeVmemmap(false));
    long memmap = pool.owned(Owner.VMEMMAP);
    assertEquals(0, pool.setPool(2));
    assertEquals(memmap, pool.owned(Owner.VMEMMAP));
    assertEquals(0, pool.setPool(0));
    assertEquals(0, pool.h2m().nrHugePages);
    assertFalse(pool.vmemmap.sysctlRegistered());
  }

  private static PoolMachine boot(MmConfig config) {
    return new PoolMachine(
            config, PoolMachine.sizes(), new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
        .cmdline("hugetlb_free_vmemmap=on")
        .boot();
  }

  /**
   * An optimised hugepage gets its memmap back.
   *
   * <pre>
   *   before   | n | s   s   s   s   s   s   s |
   *   after    | n | 1 | 2 | 3 | 4 | 5 | 6 | 7 |   fresh frames, filled from the shared one
   * </pre>
   *
   * Expect eight writable frames of its own, counted as made at run time; the shared tail stays.
   */
  @Test
  void restoreFolio_optimized_hasItsOwnFramesAgain() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    long memmapBefore = pool.owned(Owner.VMEMMAP);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    List<Long> words = pool.words(folio, pool.h2m());

    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolio(pool.h2m(), folio));

    assertFalse(pool.optimized(folio));
    assertEquals(8, new HashSet<>(pool.frames(folio, pool.h2m())).size());
    assertEquals(0, pool.readOnlyPages(folio, pool.h2m()));
    assertEquals(memmapBefore, pool.owned(Owner.VMEMMAP));
    assertEquals(8, pool.mm.vmstat().nrMemmapPages());
    assertEquals(1, pool.owned(Owner.SHARED_TAIL));
    words.set(StructPage.PRIVATE / 8, 0L);
    assertEquals(words, pool.words(folio, pool.h2m()));
  }

  /** A folio that was never optimised. Expect 0 and no frame to move. */
  @Test
  void restoreFolio_notOptimized_doesNothing() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    List<Long> before = pool.frames(folio, pool.h2m());
    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolio(pool.h2m(), folio));
    assertEquals(before, pool.frames(folio, pool.h2m()));
  }

  /** Optimising twice. Expect the second time to change nothing. */
  @Test
  void optimizeFolio_alreadyOptimized_doesNothing() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    List<Long> frames = pool.frames(folio, pool.h2m());
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    assertEquals(frames, pool.frames(folio, pool.h2m()));
    assertEquals(1, pool.mm.vmstat().nrMemmapPages());
  }

  /** The switch is off, which is how the kernel starts. Expect a plain hugepage. */
  @Test
  void optimizeFolio_switchedOff_doesNothing() {
    PoolMachine pool = PoolMachine.small().boot();
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    assertFalse(pool.optimized(folio));
    assertNull(pool.sharedTail(pool.zone(0, ZoneType.ZONE_DMA32), 9));
  }

  /** Another table of the same kind split the leaf first. Expect ours to go back, nothing else. */
  @Test
  void splitPmd_lostRace_freesItsTable() {
    PoolMachine pool = halfMegabytes();
    Hstate h = pool.hstate(512 << 10);
    assertEquals(0, pool.system.sysfs().write("/proc/sys/vm/hugetlb_optimize_vmemmap", "0"));
    assertEquals(0, pool.setPool(8));
    assertEquals(0, pool.system.sysfs().write("/proc/sys/vm/hugetlb_optimize_vmemmap", "1"));
    Folio first = neighbourOfNext(pool, h);
    Folio second = new Folio(pool.mm.flags().folioPage(first, h.pagesPerHugePage()));
    long tables = pool.owned(Owner.PAGE_TABLE);
    int[] locks = new int[1];
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              // The second time is the lock in vmemmap_split_pmd(), after the table was filled.
              if (what.equals("lock init_mm.page_table_lock") && ++locks[0] == 2) {
                pool.machine.yields().listen(null);
                pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, second);
              }
            });

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, first);

    assertEquals(tables + 1, pool.owned(Owner.PAGE_TABLE));
    assertTrue(pool.optimized(first));
    assertTrue(pool.optimized(second));
  }

  /** A free folio whose successor is in the same leaf of the memmap, and free too. */
  private static Folio neighbourOfNext(PoolMachine pool, Hstate h) {
    List<Long> pfns = pool.freePfns(h, 0);
    for (long pfn : pfns) {
      if (pfn % 256 == 0 && pfns.contains(pfn + h.pagesPerHugePage())) {
        return pool.folio(pfn);
      }
    }
    throw new AssertionError("no neighbours in " + pfns);
  }

  /** Two CPUs make the shared tail at once. Expect one to win, and both folios to use its frame. */
  @Test
  void getTail_lostExchange_usesTheWinners() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio first = pool.freshFolio();
    Folio second = pool.freshFolio();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cmpxchg zone->vmemmap_tails")) {
                pool.machine.yields().listen(null);
                pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), second);
              }
            });

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), first);

    assertEquals(1, pool.owned(Owner.SHARED_TAIL));
    assertEquals(
        pool.frames(second, pool.h2m()).get(3), pool.frames(first, pool.h2m()).get(3));
  }

  /**
   * A list of three. Expect one flush after splitting and one after remapping, and no frame of the
   * memmap to be free before the second.
   */
  @Test
  void optimizeFolios_list_flushesBeforeItFrees() {
    PoolMachine pool = PoolMachine.optimizing();
    List<Long> memmapAtFlush = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("flush_all")) {
                memmapAtFlush.add(pool.owned(Owner.VMEMMAP));
              }
            });
    long memmapBefore = pool.owned(Owner.VMEMMAP);

    assertEquals(0, pool.setPool(3));

    // The three new head pages come, and only then the 24 old pages go.
    assertEquals(List.of(memmapBefore, memmapBefore + 3), memmapAtFlush);
    assertEquals(memmapBefore + 3 - 24, pool.owned(Owner.VMEMMAP));
  }

  /** An empty list. Expect no flush at all. */
  @Test
  void optimizeFolios_emptyList_doesNotFlush() {
    PoolMachine pool = PoolMachine.optimizing();
    long flushes = pool.machine.cpu().tlb().flushes();
    pool.vmemmap.hugetlbVmemmapOptimizeFolios(pool.h2m(), pool.mm.lists().newHead());
    assertEquals(flushes, pool.machine.cpu().tlb().flushes());
  }

  /** One folio alone. Expect its two splits and its remapping to flush their ranges. */
  @Test
  void optimizeFolio_alone_flushesRanges() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    List<Long> flushed = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("flush_range")) {
                flushed.add(where - folio.va());
              }
            });
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    assertEquals(List.of(0L, 16384L, 0L), flushed);
  }

  /**
   * The copy of the head page is made before it is mapped. Expect the barrier of each folio right
   * before the entry of its first page is set.
   */
  @Test
  void remapPte_head_isBehindABarrier() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    List<String> steps = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (where == folio.va()) {
                steps.add(what);
              }
            });
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    int barrier = steps.lastIndexOf("smp_wmb");
    assertNotEquals(-1, barrier);
    assertEquals("set_pte", steps.get(barrier + 1));
  }

  /** The switch as the command line and the sysctl set it. Expect what was written last. */
  @Test
  void writeSysctl_values_switch() {
    PoolMachine pool = PoolMachine.optimizing();
    assertTrue(pool.vmemmap.vmemmapOptimizeEnabled());
    assertEquals(0, pool.vmemmap.writeSysctl("0\n"));
    assertFalse(pool.vmemmap.vmemmapOptimizeEnabled());
    assertEquals(-22, pool.vmemmap.writeSysctl("yes"));
    assertFalse(pool.vmemmap.vmemmapOptimizeEnabled());
    assertEquals(0, pool.vmemmap.writeSysctl("7"));
    assertTrue(pool.vmemmap.vmemmapOptimizeEnabled());
    assertNotNull(pool.system.sysfs().read("/proc/sys/vm/hugetlb_optimize_vmemmap"));
  }

  // ---------------------------------------------------------------- the order of steps

  /** What the kernel does to the folio's memmap, as offsets from its start where it is inside. */
  private static List<String> steps(PoolMachine pool, Folio folio, Runnable what) {
    List<String> steps = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (step, where) -> {
              long offset = where - folio.va();
              boolean inside = offset >= 0 && offset < 32768;
              if (step.startsWith("lock init_mm") || step.startsWith("unlock init_mm")) {
                steps.add(step.replace(" init_mm.page_table_lock", ""));
              } else if (inside && !step.equals("walk")) {
                steps.add(step.replace(" init_mm", "") + " " + offset / 4096);
              } else if (step.equals("set_pmd") || step.equals("smp_wmb")) {
                steps.add(step);
              }
            });
    what.run();
    pool.machine.yields().listen(null);
    return steps;
  }

  /**
   * One hugepage is optimised, two leaves of four pages each. For each leaf it is looked at, a table
   * is filled, the barrier, the table, a flush; then its pages are mapped anew. Expect that order,
   * the head page behind a barrier, and a flush of all at the end.
   */
  @Test
  void optimizeFolio_steps_areInTheKernelsOrder() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    assertEquals(
        List.of(
            "mmap_read_lock 0",
            "lock", "unlock", "set_pte 0", "set_pte 1", "set_pte 2", "set_pte 3",
            "lock", "smp_wmb", "set_pmd", "flush_range 0", "unlock",
            "smp_wmb 0", "set_pte 0", "set_pte 1", "set_pte 2", "set_pte 3",
            "lock", "unlock", "set_pte 4", "set_pte 5", "set_pte 6", "set_pte 7",
            "lock", "smp_wmb", "set_pmd", "flush_range 4", "unlock",
            "set_pte 4", "set_pte 5", "set_pte 6", "set_pte 7",
            "mmap_read_unlock 0", "flush_range 0"),
        steps(
            pool, folio, () -> pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio)));
  }

  /** It is restored. Expect each page to be mapped behind a barrier, and one flush of the tails. */
  @Test
  void restoreFolio_steps_areInTheKernelsOrder() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    assertEquals(
        List.of(
            "mmap_read_lock 1",
            "lock", "unlock",
            "smp_wmb 1", "set_pte 1", "smp_wmb 2", "set_pte 2", "smp_wmb 3", "set_pte 3",
            "lock", "unlock",
            "smp_wmb 4", "set_pte 4", "smp_wmb 5", "set_pte 5", "smp_wmb 6", "set_pte 6",
            "smp_wmb 7", "set_pte 7",
            "mmap_read_unlock 1", "flush_range 1"),
        steps(
            pool, folio, () -> pool.vmemmap.hugetlbVmemmapRestoreFolio(pool.h2m(), folio)));
  }

  /** A CPU has used each page of the memmap before. Expect it to see what the tables say after. */
  @Test
  void optimizeAndRestore_translationsCached_areNotUsedAfterwards() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    assertCpuSeesTables(pool, folio);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    assertCpuSeesTables(pool, folio);
    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolio(pool.h2m(), folio));
    assertCpuSeesTables(pool, folio);
    assertEquals(0, pool.setPool(3));
    List<Folio> folios = pool.freePfns(0).stream().map(pool::folio).toList();
    folios.forEach(each -> assertCpuSeesTables(pool, each));
    assertEquals(0, pool.setPool(0));
    folios.forEach(each -> assertCpuSeesTables(pool, each));
  }

  private static void assertCpuSeesTables(PoolMachine pool, Folio folio) {
    for (long va = folio.va(); va < folio.va() + 32768; va += 4096) {
      assertEquals(pool.frame(va), pool.machine.cpu().translate(va, false) / 4096);
    }
  }

  // ---------------------------------------------------------------- page tables

  /**
   * A CPU has used the second half of a leaf, which is split for the first.
   *
   * <pre>
   *   pages of memmap   | 0 | 1 | 2 | 3 |
   *   before            |      leaf     |   all reached through one translation
   * </pre>
   *
   * Expect nothing of the leaf to be cached when the first pte is changed.
   */
  @Test
  void splitPmd_leafCached_isFlushedWhole() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    long last = pool.frames(folio, pool.h2m()).get(3);
    pool.machine.cpu().readLong(folio.va() + 3 * 4096);
    assertTrue(pool.machine.cpu().tlb().reaches(last));
    List<Boolean> reached = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("smp_wmb") && where == folio.va()) {
                reached.add(pool.machine.cpu().tlb().reaches(last));
              }
            });

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);

    assertEquals(List.of(false), reached);
  }

  /**
   * A leaf of memmap that was made at run time, as for memory that came later, is one block.
   *
   * <pre>
   *   block of order 2   | 0 | 1 | 2 | 3 |   one reference, in the first page
   *   split               1   1   1   1     each can go by itself
   * </pre>
   *
   * Expect its pages to be free once the folio has a new head page and the shared tail.
   */
  @Test
  void splitPmd_leafOfTheBuddyAllocator_isSplitIntoPages() {
    PoolMachine pool = PoolMachine.optimizing();
    Folio folio = pool.freshFolio();
    Page block =
        Objects.requireNonNull(pool.pageAlloc.allocPagesNode(0, Gfp.KERNEL, 2, "test"));
    long pfn = pool.mm.model().pageToPfn(block);
    pool.mm.own(pfn, 4, Owner.VMEMMAP);
    pool.machine.memory().copy(pfn * 4096, pool.frame(folio.va()) * 4096, 4 * 4096);
    Mmu.Entry leaf = pool.walk(folio.va());
    long old = pool.machine.format().address(leaf.entry(), leaf.level());
    pool.machine.memory().setLong(leaf.entryPaddr(), leaf.entry() ^ old ^ (pfn * 4096));
    pool.machine.flushAll();

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);

    assertTrue(pool.optimized(folio));
    for (int i = 0; i < 4; i++) {
      assertEquals(Owner.BUDDY, pool.machine.ledger().ownerOf(pfn + i));
    }
    assertEquals(List.of(), pool.warnings());
  }

  /** The frames that are page tables, of which HugeTLB has made some with a struct page of a type. */
  private static List<Page> tables(PoolMachine pool) {
    List<Page> pages = new ArrayList<>();
    for (long pfn = 0; pfn < 65536; pfn++) {
      if (pool.machine.ledger().ownerOf(pfn) == Owner.PAGE_TABLE) {
        pages.add(pool.mm.model().pfnToPage(pfn));
      }
    }
    return pages;
  }

  /** Two leaves are split. Expect two pages that say they are tables, and the kernel's own. */
  @Test
  void splitPmd_table_saysWhatItIs() {
    PoolMachine pool = PoolMachine.optimizing();
    List<Page> before = tables(pool);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), pool.freshFolio());
    List<Page> made = tables(pool).stream().filter(page -> !before.contains(page)).toList();
    assertEquals(2, made.size());
    for (Page page : made) {
      assertEquals(PageFlags.PGTY_TABLE, pool.mm.struct().pageType(page) >>> 24);
      assertTrue(pool.mm.flags().test(page, PageFlags.PG_REFERENCED));
    }
  }

  /** A table was made for nothing. Expect its page to be free, without the marks of a table. */
  @Test
  void splitPmd_lostRace_clearsTheMarks() {
    PoolMachine pool = halfMegabytes();
    Hstate h = pool.hstate(512 << 10);
    assertEquals(0, pool.system.sysfs().write("/proc/sys/vm/hugetlb_optimize_vmemmap", "0"));
    assertEquals(0, pool.setPool(8));
    assertEquals(0, pool.system.sysfs().write("/proc/sys/vm/hugetlb_optimize_vmemmap", "1"));
    Folio first = neighbourOfNext(pool, h);
    Folio second = new Folio(pool.mm.flags().folioPage(first, h.pagesPerHugePage()));
    List<Page> filled = new ArrayList<>();
    int[] locks = new int[1];
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("lock init_mm.page_table_lock") && ++locks[0] == 2) {
                pool.machine.yields().listen(null);
                filled.addAll(tables(pool));
                pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, second);
              }
            });
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(h, first);
    filled.removeAll(tables(pool));
    assertEquals(1, filled.size());
    Page page = filled.getFirst();
    assertEquals(0, pool.pageAlloc.badPageReports());
    assertEquals(Owner.BUDDY, pool.machine.ledger().ownerOf(pool.mm.model().pageToPfn(page)));
    assertNotEquals(PageFlags.PGTY_TABLE, pool.mm.struct().pageType(page) >>> 24);
    assertFalse(pool.mm.flags().test(page, PageFlags.PG_REFERENCED));
  }

  // ---------------------------------------------------------------- pools that cannot be optimised

  /** A build without it: one folio, and lists of folios. Expect all to be left as they are. */
  @Test
  void optimizeAndRestore_notBuiltIn_doNothing() {
    PoolMachine pool = boot(PoolMachine.config().withHugetlbOptimizeVmemmap(false));
    Folio folio = pool.freshFolio();
    List<Long> frames = pool.frames(folio, pool.h2m());
    pool.system.folios().set(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolio(pool.h2m(), folio));
    assertTrue(pool.optimized(folio));
    pool.system.folios().clear(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
    assertEquals(frames, pool.frames(folio, pool.h2m()));
    ListHead list = pool.mm.lists().newHead();
    ListHead restored = pool.mm.lists().newHead();
    pool.mm.lists().listAdd(pool.mm.struct().lru(folio.page()), list);
    long flushes = pool.machine.cpu().tlb().flushes();
    pool.vmemmap.hugetlbVmemmapOptimizeFolios(pool.h2m(), list);
    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolios(pool.h2m(), list, restored));
    assertTrue(pool.mm.lists().listEmpty(list));
    assertEquals(pool.mm.struct().lru(folio.page()), pool.mm.lists().first(restored));
    assertEquals(flushes, pool.machine.cpu().tlb().flushes());
  }

  /** Folios of which none is optimised. Expect all to move, a count of 0 and no flush. */
  @Test
  void restoreFolios_noneOptimized_movesAllWithoutFlush() {
    PoolMachine pool = PoolMachine.optimizing();
    ListHead list = pool.mm.lists().newHead();
    ListHead restored = pool.mm.lists().newHead();
    pool.mm.lists().listAdd(pool.mm.struct().lru(pool.freshFolio().page()), list);
    pool.mm.lists().listAdd(pool.mm.struct().lru(pool.freshFolio().page()), list);
    long flushes = pool.machine.cpu().tlb().flushes();
    assertEquals(0, pool.vmemmap.hugetlbVmemmapRestoreFolios(pool.h2m(), list, restored));
    assertTrue(pool.mm.lists().listEmpty(list));
    assertEquals(flushes, pool.machine.cpu().tlb().flushes());
  }

  /** Two optimised folios. Expect both to be counted and moved, with one flush. */
  @Test
  void restoreFolios_twoOptimized_countsBoth() {
    PoolMachine pool = PoolMachine.optimizing();
    ListHead list = pool.mm.lists().newHead();
    ListHead restored = pool.mm.lists().newHead();
    for (int i = 0; i < 2; i++) {
      Folio folio = pool.freshFolio();
      pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);
      pool.mm.lists().listAdd(pool.mm.struct().lru(folio.page()), list);
    }
    long flushes = pool.machine.cpu().tlb().flushes();
    assertEquals(2, pool.vmemmap.hugetlbVmemmapRestoreFolios(pool.h2m(), list, restored));
    assertTrue(pool.mm.lists().listEmpty(list));
    assertEquals(flushes + 1, pool.machine.cpu().tlb().flushes());
  }

  // ---------------------------------------------------------------- lists of folios

  /** Range flushes while the pool grows to three pages. */
  private static long rangeFlushes(PoolMachine pool) {
    long[] flushes = new long[1];
    pool.machine
        .yields()
        .listen((what, where) -> flushes[0] += what.equals("flush_range") ? 1 : 0);
    assertEquals(0, pool.setPool(3));
    pool.machine.yields().listen(null);
    return flushes[0];
  }

  /**
   * A list is split first, without flushes of single leaves. When the first table fails, the rest is
   * left to the remap, which flushes each of six leaves. Expect none and six.
   */
  @Test
  void splitFolios_list_needsNoFlushOfItsParts() {
    assertEquals(0, rangeFlushes(PoolMachine.optimizing()));
    PoolMachine pool = PoolMachine.optimizing();
    pool.failNth(1, "vmemmap_split_pmd");
    assertEquals(6, rangeFlushes(pool));
    for (long pfn : pool.freePfns(0)) {
      assertTrue(pool.optimized(pool.folio(pfn)));
    }
  }

  /** The shared tail is filled, here or there. Expect the frame behind it to be left alone. */
  @ParameterizedTest
  @ValueSource(strings = {"7.3", "49"})
  void getTail_frameBehind_isNotWritten(String series) {
    PoolMachine pool = boot(PoolMachine.config().withSeries(Series.named(series)));
    Folio folio = pool.freshFolio();
    Page one = zeroed(pool);
    Page other = zeroed(pool);
    long first = Math.min(pool.mm.model().pageToPfn(one), pool.mm.model().pageToPfn(other));
    pool.pageAlloc.freePage(pool.mm.model().pfnToPage(first));

    pool.vmemmap.hugetlbVmemmapOptimizeFolio(pool.h2m(), folio);

    assertEquals(first, pool.frames(folio, pool.h2m()).get(1));
    assertEquals(0, pool.machine.memory().getLong((first + 1) * 4096 + StructPage.COMPOUND_INFO));
  }

  private static Page zeroed(PoolMachine pool) {
    Gfp gfp = Gfp.KERNEL.or(Gfp.ZERO);
    return Objects.requireNonNull(pool.pageAlloc.allocPagesNode(0, gfp, 0, "test"));
  }

  /**
   * Folios of two zones in one list. The tail of the second zone cannot be had at first, but the first
   * folios' old memmap can be freed. Expect another try, and all to be optimised.
   */
  @Test
  void optimizeFolios_noTailForSecondZone_triesAgainWithFreedPages() {
    PoolMachine pool = PoolMachine.small().cmdline("hugetlb_free_vmemmap=on");
    pool.mmInit.cmdlineParseKernelcore("128M");
    pool.boot();
    assertEquals(0, pool.system.sysfs().write("/proc/sys/vm/hugetlb_optimize_vmemmap", "0"));
    pool.setPool(1000);
    assertEquals(0, pool.system.sysfs().write("/proc/sys/vm/hugetlb_optimize_vmemmap", "1"));
    List<Long> pfns = pool.freePfns(0);
    Folio low = pool.folio(pfns.getFirst());
    Folio high = pool.folio(pfns.getLast());
    assertNotEquals(pool.mm.inline().folioZone(low), pool.mm.inline().folioZone(high));
    ListHead list = pool.mm.lists().newHead();
    for (Folio folio : List.of(low, high)) {
      pool.mm.lists().listDel(pool.mm.struct().lru(folio.page()));
      pool.mm.lists().listAddTail(pool.mm.struct().lru(folio.page()), list);
    }
    pool.failNth(2, "vmemmap_get_tail");
    pool.vmemmap.hugetlbVmemmapOptimizeFolios(pool.h2m(), list);
    assertEquals(1, pool.machine.faults().failed());
    assertTrue(pool.optimized(low));
    assertTrue(pool.optimized(high));
    assertEquals(2, pool.owned(Owner.SHARED_TAIL));
  }
}
