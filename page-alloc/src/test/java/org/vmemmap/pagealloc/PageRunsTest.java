// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.function.Consumer;
import java.util.function.ToIntBiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.ZoneType;

/**
 * Struct pages by runs: a page of the memmap has 64 of them, and the first that is not like the
 * others ends a run.
 */
class PageRunsTest {
  private static final Gfp COMPOUND = Gfp.HIGHUSER_MOVABLE.or(Gfp.COMPOUND);
  private static final long ALL = 1000;

  private static Bench bench(int size) {
    Bench bench = new Bench(MmConfig.debianX86().withSizeofStructPage(size), Placement.NONE);
    bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, 2 * MAX_BLOCK);
    return bench;
  }

  private static Page hugepage(Bench bench) {
    Page page = bench.take(9, COMPOUND);
    bench.mm.refs().setPageCount(page, 0);
    return page;
  }

  private static PageCursor cursor(Bench bench, long pfn) {
    return new PageCursor(bench.mm, bench.page(pfn));
  }

  /** The length of a run from {@code pfn} on, when {@code change} was made to the page 20. */
  private static int run(
      long pfn, boolean huge, Consumer<Bench> change, ToIntBiFunction<PageRuns, PageCursor> loop) {
    Bench bench = bench(64);
    if (huge) {
      hugepage(bench);
    }
    change.accept(bench);
    return loop.applyAsInt(new PageRuns(bench.mm), cursor(bench, pfn));
  }

  private static Consumer<Bench> half(int offset, int value) {
    return bench -> bench.mm.struct().setHalf(bench.page(FIRST + 20), offset, value);
  }

  private static void nothing(Bench bench) {
    assertEquals(64, bench.mm.struct().size());
  }

  // ---- free pages ----

  private static int fresh(PageRuns runs, PageCursor cursor) {
    return runs.fresh(cursor, ALL, 1L << PageFlags.PG_DIRTY);
  }

  /** The 63 pages behind the first of a free block. Expect all; up to one that is not free. */
  @ParameterizedTest
  @CsvSource({
    "0, 0, 63", // node and zone are no fault
    "0, 16, 19", // PG_DIRTY
    "24, 1, 19", // mapping
    "48, 0, 19", // mapcount
    "52, 1, 19", // refcount
    "56, 1, 19", // cgroup
    "40, 1, 63" // private
  })
  void fresh_field_endsTheRun(int offset, int value, int length) {
    assertEquals(63, run(FIRST + 1, false, PageRunsTest::nothing, PageRunsTest::fresh));
    assertEquals(length, run(FIRST + 1, false, half(offset, value), PageRunsTest::fresh));
  }

  /** Struct pages without a field for a cgroup. Expect the next one's flags not taken for it. */
  @Test
  void fresh_smallestStructPage_hasNoCgroup() {
    Bench bench = bench(56);
    assertEquals(72, fresh(new PageRuns(bench.mm), cursor(bench, FIRST + 1)));
  }

  private static void freeBlock(Bench bench) {
    bench.mm.flags().setType(bench.page(FIRST + 20), PageFlags.PGTY_BUDDY);
  }

  /** A free block begins at page 20. Expect the pages before it. */
  @Test
  void notBuddy_freeBlock_endsTheRun() {
    ToIntBiFunction<PageRuns, PageCursor> loop = (runs, cursor) -> runs.notBuddy(cursor, ALL);
    assertEquals(63, run(FIRST + 1, false, PageRunsTest::nothing, loop));
    assertEquals(19, run(FIRST + 1, false, PageRunsTest::freeBlock, loop));
    assertEquals(0, run(FIRST, false, PageRunsTest::freeBlock, loop));
  }

  /** A free block, a head or a tail at page 20. Expect the pages before it. */
  @Test
  void single_blockOrCompoundPage_endsTheRun() {
    ToIntBiFunction<PageRuns, PageCursor> loop = (runs, cursor) -> runs.single(cursor, ALL);
    assertEquals(63, run(FIRST + 1, false, PageRunsTest::nothing, loop));
    assertEquals(19, run(FIRST + 1, false, PageRunsTest::freeBlock, loop));
    assertEquals(19, run(FIRST + 1, false, half(StructPage.FLAGS, 1 << PageFlags.PG_HEAD), loop));
    assertEquals(19, run(FIRST + 1, false, half(StructPage.COMPOUND_INFO, 1), loop));
  }

  /**
   * A block that is taken as single pages, before one that is free.
   *
   * <pre>
   *   |     taken      |      free      |
   *   FIRST            FIRST + MAX_BLOCK
   * </pre>
   *
   * Expect all pages of the first, or those before an end; none when each access is to be seen.
   */
  @Test
  void singlePages_takenBlock_isCountedAcrossPagesOfMemmap() {
    Bench bench = bench(64);
    bench.take(Long.numberOfTrailingZeros(MAX_BLOCK), Gfp.HIGHUSER_MOVABLE);
    assertEquals(MAX_BLOCK, bench.alloc.singlePages(FIRST, FIRST + 2 * MAX_BLOCK));
    assertEquals(130, bench.alloc.singlePages(FIRST + 10, FIRST + 140));
    assertEquals(0, bench.alloc.singlePages(FIRST + MAX_BLOCK, FIRST + 2 * MAX_BLOCK));
    bench.machine.yields().listen((what, where) -> {});
    assertEquals(0, bench.alloc.singlePages(FIRST + 10, FIRST + 140));
  }

  /** All pages up to the last one of the machine. Expect them counted without a look behind the memmap. */
  @Test
  void singlePages_lastPages_staysInTheMemmap() {
    Bench bench = new Bench();
    long end = Bench.GIB / Bench.PAGE;
    bench.zone(0, ZoneType.ZONE_NORMAL, end - MAX_BLOCK, MAX_BLOCK);
    assertEquals(MAX_BLOCK, bench.alloc.singlePages(end - MAX_BLOCK, end));
  }

  // ---- tails ----

  /** Tails of a hugepage that are freed. Expect all of a page of memmap; up to one with a fault. */
  @ParameterizedTest
  @CsvSource({"0, 16, 60", "0, 32, 16", "8, 0, 16", "24, 1, 16", "40, 1, 16", "52, 1, 16"})
  void freeTails_compound_endsAtAFault(int offset, int value, int length) {
    Bench bench = bench(64);
    Page head = hugepage(bench);
    bench.mm.struct().setHalf(bench.page(FIRST + 20), offset, value);
    long info = bench.mm.flags().compoundInfo(head, 9);
    assertEquals(
        length, new PageRuns(bench.mm).freeTails(cursor(bench, FIRST + 4), ALL, true, info));
    assertEquals(0, bench.word(FIRST + 19, StructPage.COMPOUND_INFO));
    assertEquals(0, bench.word(FIRST + 19, StructPage.MAPPING));
    assertEquals(length == 60, bench.word(FIRST + 20, StructPage.COMPOUND_INFO) == 0);
  }

  /** Pages of a plain block. Expect a mapping to be a fault there. */
  @Test
  void freeTails_plain_haveNoMapping() {
    ToIntBiFunction<PageRuns, PageCursor> loop =
        (runs, cursor) -> runs.freeTails(cursor, ALL, false, 0);
    assertEquals(63, run(FIRST + 1, false, PageRunsTest::nothing, loop));
    assertEquals(19, run(FIRST + 1, false, half(StructPage.MAPPING, 1), loop));
  }

  /** Tails that nobody looks at, and new ones. Expect all of them, whatever they hold. */
  @Test
  void makeTails_pages_becomeTails() {
    ToIntBiFunction<PageRuns, PageCursor> free =
        (runs, cursor) -> runs.freeTailsUnchecked(cursor, ALL, true);
    assertEquals(60, run(FIRST + 4, true, half(StructPage.REFCOUNT, 1), free));
    Bench bench = bench(64);
    Page head = bench.page(FIRST);
    long info = bench.mm.flags().compoundInfo(head, 9);
    assertEquals(63, new PageRuns(bench.mm).makeTails(cursor(bench, FIRST + 1), ALL, info));
    assertTrue(bench.mm.flags().pageTail(bench.page(FIRST + 63)));
    assertEquals(head, bench.mm.flags().compoundHead(bench.page(FIRST + 63)));
    assertEquals(5, new PageRuns(bench.mm).makeTails(cursor(bench, FIRST + 70), 5, info));
  }

  // ---- the walk ----

  /** Struct pages of each size. Expect the whole ones that are left of a page, none across two. */
  @Test
  void run_pagesOfMemmap_endTheRun() {
    PageCursor cursor = cursor(bench(80), FIRST);
    assertEquals(51, cursor.run(false, ALL));
    assertEquals(7, cursor.run(false, 7));
    cursor.skip(50);
    assertEquals(1, cursor.run(true, ALL));
    cursor.next();
    assertEquals(0, cursor.run(true, ALL));
    cursor.next();
    assertEquals(50, cursor.run(false, ALL));
  }

  /** Words of two pages of memmap are changed after they were read. Expect all of it undone. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void set_severalPages_canBeUndone(boolean byRuns) {
    Bench bench = bench(64);
    int mark = bench.machine.memory().mark();
    PageCursor cursor = cursor(bench, FIRST);
    for (long pfn : new long[] {FIRST, FIRST + 64}) {
      assertEquals(0, cursor.get(StructPage.MAPPING));
      if (byRuns) {
        assertEquals(64, cursor.run(false, ALL));
        assertEquals(64, cursor.run(true, ALL));
        cursor.words()[cursor.at() + (StructPage.MAPPING >>> 3)] = pfn;
      } else {
        cursor.set(StructPage.MAPPING, pfn);
      }
      assertEquals(pfn, bench.word(pfn, StructPage.MAPPING));
      cursor.skip(64);
    }
    bench.machine.memory().rewind(mark);
    assertEquals(0, bench.word(FIRST, StructPage.MAPPING));
    assertEquals(0, bench.word(FIRST + 64, StructPage.MAPPING));
  }

  /** Words of two pages of memmap are changed without a look. Expect all of it undone, too. */
  @Test
  void set_nextPageAtOnce_canBeUndone() {
    Bench bench = bench(64);
    int mark = bench.machine.memory().mark();
    PageCursor cursor = cursor(bench, FIRST + 63);
    cursor.set(StructPage.MAPPING, 1);
    cursor.next();
    cursor.set(StructPage.MAPPING, 2);
    assertEquals(2, bench.word(FIRST + 64, StructPage.MAPPING));
    bench.machine.memory().rewind(mark);
    assertEquals(0, bench.word(FIRST + 63, StructPage.MAPPING));
    assertEquals(0, bench.word(FIRST + 64, StructPage.MAPPING));
  }

  /** Stores wait in a buffer, so that each access counts. Expect no runs, and the same struct pages
   * for a hugepage that comes and goes. */
  @Test
  void run_bufferedStores_goThroughMemory() {
    Bench bench = bench(64);
    bench.machine.bufferStores();
    assertEquals(0, cursor(bench, FIRST).run(false, ALL));
    assertEquals(
        bench.word(FIRST + 1, StructPage.FLAGS), cursor(bench, FIRST + 1).get(StructPage.FLAGS));
    Page head = hugepage(bench);
    assertEquals(head, bench.mm.flags().compoundHead(bench.page(FIRST + 511)));
    bench.alloc.freeFrozenPages(head, 9);
    for (long pfn = FIRST + 1; pfn < FIRST + 512; pfn++) {
      assertEquals(0, bench.word(pfn, StructPage.COMPOUND_INFO));
      assertEquals(0, bench.word(pfn, StructPage.MAPPING));
    }
  }
}
