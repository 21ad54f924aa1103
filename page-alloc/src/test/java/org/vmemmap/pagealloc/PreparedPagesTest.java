// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Struct pages of pages that are handed out or freed for the first time, and of their neighbours. */
class PreparedPagesTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final Gfp COMPOUND = MOVABLE.or(Gfp.COMPOUND);
  private static final ZoneType NORMAL = ZoneType.ZONE_NORMAL;

  private final Bench bench = Bench.debug();

  // ---- handed out ----

  /** A single page comes off a list. Expect lru.next NULL: the page is not pfmemalloc. */
  @Test
  void allocPagesNode_singlePage_isNotPfmemalloc() {
    bench.freeZone(NORMAL, FIRST, MAX_BLOCK);
    assertEquals(0, bench.word(bench.pfn(bench.take(0, MOVABLE)), StructPage.LRU));
  }

  /** Somebody wrote to private of a page in use, and of the same on a per-CPU list. Expect 0 when it is
   * freed, and when it is handed out. */
  @Test
  void allocPagesNode_private_isCleared() {
    bench.freeZone(NORMAL, FIRST, MAX_BLOCK);
    bench.alloc.setupPerCpuPageset();
    Page page = bench.take(0, MOVABLE);
    bench.mm.struct().setPriv(page, 7);
    bench.alloc.freePage(page);
    assertEquals(0, bench.mm.struct().priv(page));
    bench.mm.struct().setPriv(page, 5);

    assertEquals(page, bench.take(0, MOVABLE));
    assertEquals(0, bench.mm.struct().priv(page));
  }

  /**
   * Struct pages of several sizes, most of which lie across pages of the memmap. Expect each tail to
   * lead to the head with TAIL_MAPPING.
   */
  @ParameterizedTest
  @ValueSource(ints = {56, 64, 72, 80})
  void prepCompoundPage_anySize_makesAllTails(int size) {
    Bench odd = new Bench(MmConfig.debianX86().withSizeofStructPage(size), Placement.NONE);
    odd.freeZone(NORMAL, FIRST, MAX_BLOCK);
    Page head = odd.take(9, COMPOUND);
    for (long i = 4; i < 512; i++) {
      Page tail = odd.page(FIRST + i);
      assertEquals(head, odd.mm.flags().compoundHead(tail), "tail " + i);
      assertEquals(odd.mm.flags().tailMapping(), odd.mm.struct().mapping(tail), "tail " + i);
    }
  }

  /** Four pages become one. Expect the fifth and sixth untouched. */
  @Test
  void prepCompoundPage_neighbours_areNoTails() {
    Bench plain = new Bench();
    plain.freeZone(NORMAL, FIRST, MAX_BLOCK);
    plain.take(2, COMPOUND);
    for (long pfn : new long[] {FIRST + 4, FIRST + 5}) {
      assertFalse(plain.mm.flags().pageTail(plain.page(pfn)));
      assertEquals(0, plain.mm.struct().mapping(plain.page(pfn)));
    }
  }

  // ---- freed for the first time ----

  /** Boot memory of two pages and reserved ones behind it. Expect the two free, their flags as
   * initialised, and the third untouched. */
  @Test
  void freePagesCore_reserved_isClearedInTheBlockOnly() {
    Zone zone = bench.zone(0, NORMAL, FIRST, MAX_BLOCK);
    for (long pfn = FIRST; pfn < FIRST + 4; pfn++) {
      bench.mm.flags().set(bench.page(pfn), PageFlags.PG_RESERVED);
    }

    bench.alloc.freePagesCore(bench.page(FIRST), 1, false);

    assertEquals(List.of("1:0 MOVABLE"), bench.free(zone));
    long initial = bench.mm.inline().initialFlags(NORMAL, 0);
    assertEquals(initial, bench.word(FIRST, StructPage.FLAGS));
    assertEquals(initial, bench.word(FIRST + 1, StructPage.FLAGS));
    assertEquals(
        initial | 1L << PageFlags.PG_RESERVED, bench.word(FIRST + 2, StructPage.FLAGS));
    assertEquals(1, bench.mm.refs().pageRefCount(bench.page(FIRST + 2)));
    assertEquals(List.of(), bench.warnings());
  }

  /** Hot-added pages that are not reserved. Expect no warning, and the next page still offline. */
  @Test
  void freePagesCore_hotplug_endsWithTheBlock() {
    bench.zone(0, NORMAL, FIRST, MAX_BLOCK);
    for (long pfn = FIRST; pfn < FIRST + 4; pfn++) {
      bench.mm.flags().setType(bench.page(pfn), PageFlags.PGTY_OFFLINE);
    }

    bench.alloc.freePagesCore(bench.page(FIRST), 1, true);

    assertEquals(List.of(), bench.warnings());
    assertEquals(1, bench.mm.refs().pageRefCount(bench.page(FIRST + 2)));
    assertTrue(bench.mm.flags().hasType(bench.page(FIRST + 2), PageFlags.PGTY_OFFLINE));
  }

  /** Two of four reserved pages are freed. Expect the third reserved, with its reference. */
  @Test
  void unreserve_pages_endsWithTheLast() {
    bench.zone(0, NORMAL, FIRST, MAX_BLOCK);
    for (long pfn = FIRST; pfn < FIRST + 4; pfn++) {
      bench.mm.flags().set(bench.page(pfn), PageFlags.PG_RESERVED);
    }

    bench.alloc.unreserve(bench.page(FIRST), 2);

    assertFalse(bench.mm.flags().pageReserved(bench.page(FIRST + 1)));
    assertEquals(0, bench.mm.refs().pageRefCount(bench.page(FIRST + 1)));
    assertTrue(bench.mm.flags().pageReserved(bench.page(FIRST + 2)));
    assertEquals(1, bench.mm.refs().pageRefCount(bench.page(FIRST + 2)));
  }

  /** Reserved memory in a block of MAX_PAGE_ORDER. Expect it free without a warning. */
  @Test
  void freeReservedPages_largestBlock_isFine() {
    Zone zone = bench.zone(0, NORMAL, FIRST, MAX_BLOCK);

    bench.alloc.freeReservedPages(bench.page(FIRST), 10);

    assertEquals(List.of("10:0 MOVABLE"), bench.free(zone));
    assertEquals(List.of(), bench.warnings());
  }

  // ---- freed ----

  /** A page that is poisoned, and one that is not. Expect that the first must not be reused. */
  @Test
  void freePagesPrepare_poisoned_isFalse() {
    bench.freeZone(NORMAL, FIRST, MAX_BLOCK);
    Page page = bench.take(0, MOVABLE);
    bench.refcount(bench.pfn(page), 0);
    bench.mm.flags().set(page, PageFlags.PG_HWPOISON);
    assertFalse(bench.alloc.freePagesPrepare(page, 0));
    bench.mm.flags().clear(page, PageFlags.PG_HWPOISON);
    assertTrue(bench.alloc.freePagesPrepare(page, 0));
  }

  /** Another holder has a page, and the first of a pair. Expect just what he does not hold free. */
  @Test
  void freePages_otherHolder_keepsHisPage() {
    Zone zone = bench.freeZone(NORMAL, FIRST, MAX_BLOCK);
    Page single = bench.take(0, MOVABLE);
    Page pair = bench.take(1, MOVABLE);
    bench.mm.refs().setPageCount(single, 2);
    bench.mm.refs().setPageCount(pair, 2);

    bench.alloc.freePages(single, 0);
    bench.alloc.freePages(pair, 1);

    assertEquals(MAX_BLOCK - 2, bench.alloc.nrFreePages(zone));
    assertEquals(1, bench.mm.refs().pageRefCount(single));
    assertEquals(1, bench.mm.refs().pageRefCount(pair));
    assertEquals(Owner.ALLOCATED, bench.owner(bench.pfn(single)));
    assertEquals(0, bench.alloc.badPageReports());
  }
}
