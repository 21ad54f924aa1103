// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Struct pages of freed pages, word by word, and the checks that a page must pass. */
class FreePagesTest {
  private static final Gfp COMPOUND = Gfp.HIGHUSER_MOVABLE.or(Gfp.COMPOUND);
  private static final int ORDER = 9;

  /** Word 0 of a page of node 0's Normal zone with last_cpupid all ones. */
  private static final long INITIAL = 0x17_ffff_c000_0000L;

  private final Bench bench = new Bench();
  private final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, 2 * MAX_BLOCK);

  /** A hugepage as the pool holds it: of type hugetlb, frozen, flags and private in use. */
  private Page hugepage() {
    Page page = bench.alloc.allocFrozenPages(COMPOUND, ORDER, 0, null, "test");
    if (page == null) {
      throw new AssertionError("no hugepage");
    }
    bench.mm.flags().setType(page, PageFlags.PGTY_HUGETLB);
    bench.mm.own(FIRST, 1L << ORDER, Owner.HUGEPAGE);
    return page;
  }

  /**
   * A compound page is freed.
   *
   * <pre>
   *   word   0            1     2  3  4  5  6                7
   *   head   node, zone   list     0     order  buddy, ref 0
   *   tail   node, zone   0     -  0  -  -  mapcount -1, ref 0
   * </pre>
   *
   * Expect these words, with last_cpupid all ones as initialisation left it.
   */
  @Test
  void freeFrozenPages_compound_leavesTheWordsOfFreePages() {
    bench.alloc.freeFrozenPages(hugepage(), ORDER);
    bench.alloc.drainAllPages(null);
    long[] head = bench.words(FIRST);
    assertEquals(INITIAL, head[0]);
    assertEquals(0, head[3]);
    assertEquals(0xf000_0000L, head[6]);
    for (int i : new int[] {1, 2, 3, 4, 63, 64, 511}) {
      long[] tail = bench.words(FIRST + i);
      assertEquals(INITIAL, tail[0]);
      assertEquals(0, tail[1]);
      assertEquals(0, tail[3]);
      assertEquals(0xffff_ffffL, tail[6]);
      assertEquals(0, tail[7]);
    }
    assertEquals(Owner.BUDDY, bench.owner(FIRST + 511));
  }

  /**
   * A tail with a stray reference, as a shared tail can get at boot. Expect that nobody notices.
   */
  @Test
  void freeFrozenPages_tailReferencedUnchecked_keepsTheReference() {
    Page page = hugepage();
    bench.refcount(FIRST + 70, 1);
    bench.alloc.freeFrozenPages(page, ORDER);
    assertEquals(0x1_ffff_ffffL, bench.word(FIRST + 70, StructPage.PAGE_TYPE));
    assertEquals(0, bench.alloc.badPageReports());
    assertEquals(2 * MAX_BLOCK, bench.alloc.nrFreePages(zone));
  }

  /** The same with page checks. Expect one report, and that the whole block is lost. */
  @Test
  void freeFrozenPages_tailReferencedChecked_isLost() {
    bench.alloc.setPageCheckingEnabled(true);
    Page page = hugepage();
    bench.refcount(FIRST + 70, 1);
    bench.alloc.freeFrozenPages(page, ORDER);
    assertEquals(1, bench.alloc.badPageReports());
    assertEquals(2 * MAX_BLOCK - 512, bench.alloc.nrFreePages(zone));
    assertEquals(Owner.HUGEPAGE, bench.owner(FIRST));
    assertEquals(
        List.of(
            "BUG: Bad page state in process model  pfn:02046",
            "page dumped because: nonzero _refcount"),
        bench.log());
  }

  /** One field of a compound page is wrong when it is freed. Expect a report with its reason. */
  @ParameterizedTest
  @CsvSource({
    "1, 16, 0, nonzero large_mapcount",
    "1, 20, 1, nonzero nr_pages_mapped",
    "1, 32, 0, nonzero mm mapcount 0",
    "1, 36, 0, nonzero mm mapcount 1",
    "1, 24, 0, nonzero entire_mapcount",
    "1, 28, 1, nonzero pincount",
    "2, 16, 0, on deferred list",
    "4, 24, 1, corrupted mapping in tail page",
    "5, 8, 0, PageTail not set",
    "6, 8, 4095, compound_head not consistent",
    "7, 48, 1, nonzero mapcount",
    "7, 52, 1, nonzero _refcount",
    "7, 0, 8192, PAGE_FLAGS_CHECK_AT_FREE flag(s) set",
    "7, 56, 1, page still charged to cgroup",
    "7, 40, 1, nonzero private",
    "0, 52, 1, nonzero _refcount",
    "0, 24, 2, non-NULL mapping"
  })
  void freeFrozenPages_badField_isReported(int index, int offset, int value, String reason) {
    bench.alloc.setPageCheckingEnabled(true);
    Page page = hugepage();
    bench.mm.struct().setHalf(bench.mm.struct().add(page, index), offset, value);
    bench.alloc.freeFrozenPages(page, ORDER);
    assertTrue(bench.log().contains("page dumped because: " + reason), bench.log()::toString);
    assertEquals(2 * MAX_BLOCK - 512, bench.alloc.nrFreePages(zone));
  }

  /** Nothing is wrong. Expect no report with checks on. */
  @Test
  void freeFrozenPages_goodPageChecked_isFreed() {
    bench.alloc.setPageCheckingEnabled(true);
    bench.alloc.freeFrozenPages(hugepage(), ORDER);
    assertEquals(0, bench.alloc.badPageReports());
    assertEquals(2 * MAX_BLOCK, bench.alloc.nrFreePages(zone));
  }

  /** A free page is written to while it is free. Expect a report when it is to be handed out, and
   * another page. */
  @Test
  void allocPagesNode_badFreePage_isPassedOver() {
    bench.alloc.setPageCheckingEnabled(true);
    bench.mm.struct().setMapping(bench.page(FIRST), 1);
    assertEquals(FIRST + 1, bench.pfn(bench.take(0, COMPOUND)));
    assertEquals("page dumped because: non-NULL mapping", bench.log().getLast());
    bench.mm.flags().set(bench.page(FIRST + 2), PageFlags.PG_DIRTY);
    assertEquals(FIRST + 3, bench.pfn(bench.take(0, COMPOUND)));
    assertEquals(
        "page dumped because: PAGE_FLAGS_CHECK_AT_PREP flag(s) set", bench.log().getLast());
    bench.mm.flags().set(bench.page(FIRST + 4), PageFlags.PG_HWPOISON);
    assertEquals(FIRST + 5, bench.pfn(bench.take(0, COMPOUND)));
    assertEquals(2, bench.alloc.badPageReports());
  }

  /** Sixty reports make a burst. Expect that more are counted but not logged. */
  @Test
  void badPage_burst_goesQuiet() {
    bench.alloc.setPageCheckingEnabled(true);
    Page page = hugepage();
    for (int i = 10; i < 100; i++) {
      bench.refcount(FIRST + i, 1);
    }
    bench.alloc.freeFrozenPages(page, ORDER);
    assertEquals(90, bench.alloc.badPageReports());
    assertEquals(120, bench.log().size());
  }

  /** A poisoned single page is freed. Expect that it does not come back. */
  @Test
  void freePage_hwpoison_isKeptOut() {
    Page page = bench.take(0, COMPOUND);
    bench.mm.flags().set(page, PageFlags.PG_HWPOISON);
    bench.alloc.freePage(page);
    assertEquals(Owner.ALLOCATED, bench.owner(FIRST));
    assertFalse(bench.alloc.isFreeBuddyPage(page));
  }

  /** An anonymous, locked-in-memory page of one type. Expect mapping, flag and type gone. */
  @Test
  void freePage_anonymousMlocked_isCleaned() {
    Page page = bench.take(0, COMPOUND);
    bench.mm.struct().setMapping(page, 0x1001);
    bench.mm.flags().set(page, PageFlags.PG_MLOCKED);
    bench.mm.flags().setType(page, PageFlags.PGTY_TABLE);
    bench.alloc.freePage(page);
    assertEquals(0, bench.mm.struct().mapping(page));
    assertEquals(INITIAL, bench.mm.struct().flags(page));
  }

  /** Wrong order, or a tail, in a DEBUG_VM kernel. Expect a bug for each. */
  @Test
  void freeFrozenPages_wrongPage_isABug() {
    Bench debug = Bench.debug();
    debug.freeZone(ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    Page page = debug.take(2, COMPOUND);
    org.junit.jupiter.api.Assertions.assertThrows(
        org.vmemmap.types.KernelBug.class, () -> debug.alloc.freeFrozenPages(page, 1));
    org.junit.jupiter.api.Assertions.assertThrows(
        org.vmemmap.types.KernelBug.class,
        () -> debug.alloc.freeFrozenPages(debug.page(FIRST + 1), 0));
  }

  /** Struct pages of 56, 72 and 80 bytes, which lie across pages of the memmap. Expect the same
   * words as with 64. */
  @ParameterizedTest
  @CsvSource({"56", "72", "80"})
  void freeFrozenPages_oddSize_isTheSame(int size) {
    Bench odd = new Bench(MmConfig.debianX86().withSizeofStructPage(size), Placement.NONE);
    odd.freeZone(ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    Page page = odd.take(ORDER, COMPOUND);
    assertEquals(page, odd.mm.flags().compoundHead(odd.page(FIRST + 300)));
    odd.alloc.freePages(page, ORDER);
    long[] expected = {INITIAL, 0, 0, 0, 0, 0, 0xffff_ffffL};
    long[] words = new long[7];
    for (int i = 0; i < words.length; i++) {
      words[i] = i == 2 ? 0 : odd.word(FIRST + 300, 8 * i);
    }
    assertArrayEquals(expected, words);
  }
}
