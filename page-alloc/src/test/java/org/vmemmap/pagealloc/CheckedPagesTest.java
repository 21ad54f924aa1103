// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Several faults in one block, what a check cleans up, and struct pages of every size. */
class CheckedPagesTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final Gfp COMPOUND = MOVABLE.or(Gfp.COMPOUND);
  private static final ZoneType NORMAL = ZoneType.ZONE_NORMAL;
  private static final long NR = 2 * MAX_BLOCK;

  /** last_cpupid: 21 bits from bit 30 on. */
  private static final long LAST_CPUPID = ((1L << 21) - 1) << 30;

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(NORMAL, FIRST, NR);
  private final long initial = bench.mm.inline().initialFlags(NORMAL, 0);

  private Page hugepage(Bench own) {
    Page page = own.take(9, COMPOUND);
    own.mm.refs().setPageCount(page, 0);
    return page;
  }

  private void assertLost(int reports) {
    assertEquals(reports, bench.alloc.badPageReports());
    assertEquals(NR - 512, bench.alloc.nrFreePages(zone));
  }

  // ---- faults when a block is freed ----

  /** Both the head and a tail are referenced. Expect two reports, and the block lost. */
  @Test
  void freeFrozenPages_headAndTailBad_isLost() {
    Page page = hugepage(bench);
    bench.refcount(FIRST, 1);
    bench.refcount(FIRST + 70, 1);
    bench.alloc.freeFrozenPages(page, 9);
    assertLost(2);
  }

  /** A tail does not lead to the head, and is referenced or has something in private. Expect both
   * reported, and the block lost. */
  @ParameterizedTest
  @ValueSource(ints = {StructPage.REFCOUNT, StructPage.PRIVATE})
  void freeFrozenPages_twoFaultsInATail_isLost(int offset) {
    Page page = hugepage(bench);
    Page tail = bench.page(FIRST + 70);
    bench.mm.struct().setWord(tail, StructPage.COMPOUND_INFO, 0);
    bench.mm.struct().setHalf(tail, offset, 1);
    bench.alloc.freeFrozenPages(page, 9);
    assertLost(2);
  }

  /** A tail is marked as a free block. Expect it reported, and the mark gone: it could make trouble. */
  @Test
  void freeFrozenPages_tailMarkedFree_losesTheMark() {
    Page page = hugepage(bench);
    Page tail = bench.page(FIRST + 70);
    bench.mm.flags().setType(tail, PageFlags.PGTY_BUDDY);
    bench.alloc.freeFrozenPages(page, 9);
    assertLost(1);
    assertFalse(bench.mm.flags().pageBuddy(tail));
  }

  /** Tail 3 has no TAIL_MAPPING: hugetlb keeps something there. Expect no report. */
  @Test
  void freeFrozenPages_mappingOfTail3_isNoFault() {
    Page page = hugepage(bench);
    bench.mm.struct().setMapping(bench.page(FIRST + 3), 0x1000);
    bench.alloc.freeFrozenPages(page, 9);
    assertEquals(0, bench.alloc.badPageReports());
    assertEquals(NR, bench.alloc.nrFreePages(zone));
  }

  /** A page that is still mapped, and one that was unmapped much too often. Expect it lost: its mapcount
   * is no type, which would be cleared. */
  @ParameterizedTest
  @ValueSource(ints = {0, 0xff00_0000})
  void freePage_mapcount_isNoType(int mapcount) {
    Page page = bench.take(0, MOVABLE);
    bench.mm.struct().setMapcount(page, mapcount);
    bench.alloc.freePage(page);
    assertEquals(1, bench.alloc.badPageReports());
    assertEquals(NR - 1, bench.alloc.nrFreePages(zone));
  }

  /** A page that was locked into memory, last used by a CPU. Expect it free without a report, its
   * flags as initialised. */
  @Test
  void freePage_mlocked_isNoFault() {
    Page page = bench.take(0, MOVABLE);
    long used = (initial & ~LAST_CPUPID) | 1L << PageFlags.PG_MLOCKED;
    bench.mm.struct().setFlags(page, used);
    bench.alloc.freePage(page);
    assertEquals(0, bench.alloc.badPageReports());
    assertEquals(initial, bench.mm.struct().flags(page));
    assertEquals(NR, bench.alloc.nrFreePages(zone));
  }

  /** Tails with flags that are no fault; the first keeps the order there. Expect flags and links of all of them gone. */
  @Test
  void freeFrozenPages_dirtyTails_areCleaned() {
    Page page = hugepage(bench);
    for (long pfn = FIRST + 2; pfn < FIRST + 512; pfn++) {
      bench.mm.flags().set(bench.page(pfn), PageFlags.PG_DIRTY);
    }
    bench.alloc.freeFrozenPages(page, 9);
    assertEquals(0, bench.alloc.badPageReports());
    for (long pfn = FIRST + 1; pfn < FIRST + 512; pfn++) {
      assertEquals(initial, bench.word(pfn, StructPage.FLAGS));
      assertEquals(0, bench.word(pfn, StructPage.COMPOUND_INFO));
    }
  }

  /** Single pages in a block are freed, behind which lies a frozen page in use. Expect its flags to
   * stay. */
  @Test
  void freePages_frozenPageBehind_keepsItsFlags() {
    Page page = bench.take(4, MOVABLE);
    Page behind = bench.page(FIRST + 16);
    assertEquals(behind, bench.alloc.allocFrozenPages(MOVABLE, 0, 0, null, "test"));
    bench.mm.flags().set(behind, PageFlags.PG_DIRTY);
    bench.alloc.freePages(page, 4);
    assertEquals(initial | 1L << PageFlags.PG_DIRTY, bench.mm.struct().flags(behind));
  }

  // ---- faults when a block is handed out ----

  /** The last page of the first block of four is dirty. Expect another block, and one report. */
  @Test
  void allocPagesNode_lastPageBad_takesAnotherBlock() {
    bench.mm.flags().set(bench.page(FIRST + 3), PageFlags.PG_DIRTY);
    assertEquals(FIRST + 4, bench.pfn(bench.take(2, MOVABLE)));
    assertEquals(1, bench.alloc.badPageReports());
  }

  /** The second of a pair is poisoned, and marked as free. Expect the pair passed over without a
   * report, and the mark gone. */
  @Test
  void allocPagesNode_poisonedPage_losesTheMark() {
    Page second = bench.page(FIRST + 1);
    bench.mm.flags().set(second, PageFlags.PG_HWPOISON);
    bench.mm.flags().setType(second, PageFlags.PGTY_BUDDY);
    assertEquals(FIRST + 2, bench.pfn(bench.take(1, MOVABLE)));
    assertEquals(0, bench.alloc.badPageReports());
    assertFalse(bench.mm.flags().pageBuddy(second));
  }

  /** Somebody listens, so that each page is looked at by itself. Expect the same page. */
  @Test
  void allocPagesNode_watched_isTheSame() {
    Steps.of(bench, () -> assertEquals(FIRST, bench.pfn(bench.take(4, MOVABLE))));
    assertEquals(0, bench.alloc.badPageReports());
    assertEquals(List.of(), bench.warnings());
  }

  // ---- every size of struct page ----

  private static Bench ofSize(int size) {
    Bench odd = new Bench(MmConfig.debianX86().withSizeofStructPage(size), Placement.NONE);
    odd.freeZone(NORMAL, FIRST, NR);
    return odd;
  }

  /** A compound page with dirty tails is freed unchecked. Expect all its tails clean, and all that was
   * in the one behind unchanged. */
  @ParameterizedTest
  @ValueSource(ints = {56, 64, 72, 80})
  void freePages_anySize_cleansItsTailsOnly(int size) {
    Bench odd = ofSize(size);
    Page page = odd.take(7, COMPOUND);
    Page behind = odd.take(7, COMPOUND);
    for (long pfn = FIRST + 2; pfn <= FIRST + 128; pfn++) {
      odd.mm.flags().set(odd.page(pfn), PageFlags.PG_DIRTY);
    }
    odd.mm.struct().setMapping(behind, 0x1000);
    odd.mm.struct().setWord(behind, StructPage.LRU, 0x2000);
    final long[] before = odd.words(FIRST + 128);
    final long[] tailBefore = odd.words(FIRST + 132);

    odd.alloc.freePages(page, 7);

    for (long pfn = FIRST + 1; pfn < FIRST + 128; pfn++) {
      assertEquals(initial, odd.word(pfn, StructPage.FLAGS), "pfn " + pfn);
      assertEquals(0, odd.word(pfn, StructPage.COMPOUND_INFO), "pfn " + pfn);
      assertEquals(0, odd.word(pfn, StructPage.MAPPING), "pfn " + pfn);
    }
    assertArrayEquals(before, odd.words(FIRST + 128));
    assertArrayEquals(tailBefore, odd.words(FIRST + 132));
  }

  /** Single pages in a block, freed unchecked. Expect only their flags to change. */
  @ParameterizedTest
  @ValueSource(ints = {56, 64, 72, 80})
  void freePages_notCompound_keepsTheMappings(int size) {
    Bench odd = ofSize(size);
    Page page = odd.take(7, MOVABLE);
    for (long pfn = FIRST; pfn < FIRST + 128; pfn++) {
      odd.mm.struct().setMapping(odd.page(pfn), 0x1000);
      odd.mm.struct().setWord(odd.page(pfn), StructPage.LRU, 0x3000);
      odd.mm.flags().set(odd.page(pfn), PageFlags.PG_DIRTY);
    }
    odd.alloc.freePages(page, 7);
    for (long pfn = FIRST + 1; pfn < FIRST + 128; pfn++) {
      assertEquals(initial, odd.word(pfn, StructPage.FLAGS), "pfn " + pfn);
      assertEquals(0x1000, odd.word(pfn, StructPage.MAPPING), "pfn " + pfn);
      assertEquals(0x3000, odd.word(pfn, StructPage.LRU), "pfn " + pfn);
    }
  }

  /** Checked pages of every size. Expect no fault: the smallest has no field for a cgroup. */
  @ParameterizedTest
  @ValueSource(ints = {56, 64, 72, 80})
  void freePages_anySizeChecked_isNoFault(int size) {
    Bench odd = ofSize(size);
    odd.alloc.setPageCheckingEnabled(true);
    odd.alloc.freePage(odd.take(0, MOVABLE));
    odd.alloc.freeFrozenPages(hugepage(odd), 9);
    assertEquals(0, odd.alloc.badPageReports());
  }
}
