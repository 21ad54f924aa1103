// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Ranges larger than any free block: isolated, taken off the lists, prepared. */
class ContigTest {
  private static final Gfp GIGANTIC = Gfp.HIGHUSER_MOVABLE.or(Gfp.COMPOUND);
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final int ORDER = 12;
  private static final long NR = 1L << ORDER;

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, 3 * NR);

  private Page gigantic() {
    Page page = bench.alloc.allocContigFrozenPages(NR, GIGANTIC, 0, null);
    if (page == null) {
      throw new AssertionError("no contiguous range");
    }
    return page;
  }

  /**
   * Four blocks of the largest order become one page.
   *
   * <pre>
   *   |10|10|10|10|10| ...   to   |    compound, order 12    |10| ...
   * </pre>
   *
   * Expect the first aligned range, frozen, with a head in front, and its pageblocks open again.
   */
  @Test
  void allocContigFrozenPages_freeZone_takesTheFirstRange() {
    Page page = gigantic();
    assertEquals(FIRST, bench.pfn(page));
    assertEquals(0, bench.mm.refs().pageRefCount(page));
    assertEquals(page, bench.mm.flags().compoundHead(bench.page(FIRST + NR - 1)));
    assertEquals(Owner.ALLOCATED, bench.owner(FIRST + NR - 1));
    assertEquals(2 * NR, zone.nrFreePages);
    assertEquals(
        Migratetype.MIGRATE_MOVABLE, bench.alloc.getPfnblockMigratetype(page, FIRST));
    assertEquals(List.of(), bench.warnings());
  }

  /** The page goes back as one. Expect all blocks, and all frames with the buddy. */
  @Test
  void freeFrozenPages_gigantic_restoresTheZone() {
    bench.alloc.freeFrozenPages(gigantic(), ORDER);
    assertEquals(3 * NR, zone.nrFreePages);
    assertEquals(12, bench.free(zone).size());
    assertEquals(0, bench.alloc.badPageReports());
    assertEquals(0, bench.words(FIRST + 3000)[1]);
  }

  /**
   * A page in the first range is in use, and one in the second.
   *
   * <pre>
   *   |u        |        u|         |
   * </pre>
   *
   * Expect the third; and null when a page of that is in use too.
   */
  @Test
  void allocContigFrozenPages_pagesInUse_areAvoided() {
    bench.take(0, MOVABLE);
    bench.alloc.allocContigRange(FIRST + 2 * NR - 1, FIRST + 2 * NR, false, MOVABLE);
    assertEquals(FIRST + 2 * NR, bench.pfn(gigantic()));
    assertNull(bench.alloc.allocContigFrozenPages(NR, GIGANTIC, 0, null));
  }

  /** Injected failure. Expect null. */
  @Test
  void allocContigFrozenPages_failureInjected_returnsNull() {
    bench.failAll("alloc_contig_frozen_pages_noprof");
    assertNull(bench.alloc.allocContigFrozenPages(NR, GIGANTIC, 0, null));
    assertNull(bench.alloc.allocContigPages(NR, MOVABLE, 0, null));
  }

  /** A node that is not allowed. Expect null, also with THISNODE. */
  @Test
  void allocContigFrozenPages_otherNode_returnsNull() {
    assertNull(bench.alloc.allocContigFrozenPages(NR, GIGANTIC, 0, Set.of(1)));
    bench.mm.nodes().nodeData(1);
    assertNull(bench.alloc.allocContigFrozenPages(NR, GIGANTIC.or(Gfp.THISNODE), 1, null));
  }

  /** The zone ends before the range does. Expect null. */
  @Test
  void allocContigFrozenPages_zoneTooSmall_returnsNull() {
    assertNull(bench.alloc.allocContigFrozenPages(4 * NR, GIGANTIC, 0, null));
  }

  /** A small hugepage lies in each range. Expect that nothing is migrated: null. */
  @Test
  void allocContigFrozenPages_hugepagesInside_areNotMigrated() {
    for (int i = 0; i < 3; i++) {
      long pfn = FIRST + i * NR;
      Page huge = bench.page(pfn);
      assertEquals(0, bench.alloc.allocContigFrozenRange(pfn, pfn + 512, false, GIGANTIC));
      bench.mm.flags().setType(huge, PageFlags.PGTY_HUGETLB);
    }
    assertNull(bench.alloc.allocContigFrozenPages(NR, GIGANTIC, 0, null));
    assertEquals(3 * NR - 3 * 512, zone.nrFreePages);
  }

  /** Hugepages as large as the range. Expect that they are not even tried. */
  @Test
  void allocContigFrozenPages_hugepageOfThatSize_isLeftAlone() {
    for (int i = 0; i < 3; i++) {
      bench.mm.flags().setType(gigantic(), PageFlags.PGTY_HUGETLB);
    }
    assertNull(bench.alloc.allocContigFrozenPages(NR, GIGANTIC, 0, null));
  }

  /**
   * A range that is not aligned to the free blocks around it.
   *
   * <pre>
   *   |          10          |
   *          |wanted|
   * </pre>
   *
   * Expect the pages wanted, a reference on each, and the rest free again.
   */
  @Test
  void allocContigRange_insideABlock_freesTheRest() {
    assertEquals(0, bench.alloc.allocContigRange(FIRST + 100, FIRST + 110, false, MOVABLE));
    assertEquals(1, bench.mm.refs().pageRefCount(bench.page(FIRST + 100)));
    assertEquals(1, bench.mm.refs().pageRefCount(bench.page(FIRST + 109)));
    assertEquals(3 * NR - 10, bench.alloc.nrFreePages(zone));
    assertEquals(Owner.BUDDY, bench.owner(FIRST + 99));
    assertEquals(Owner.ALLOCATED, bench.owner(FIRST + 109));
    assertEquals(Owner.BUDDY, bench.owner(FIRST + 110));
    bench.alloc.freeContigRange(FIRST + 100, 10);
    assertEquals(3 * NR, bench.alloc.nrFreePages(zone));
    assertEquals(12, bench.free(zone).size());
  }

  /** A page in the range is in use, but movable by its looks. Expect -EBUSY, all open again. */
  @Test
  void allocContigFrozenRange_pageInUse_isBusy() {
    bench.mm.flags().set(bench.take(0, MOVABLE), PageFlags.PG_LRU);
    assertEquals(
        -Errno.EBUSY, bench.alloc.allocContigFrozenRange(FIRST, FIRST + 512, false, MOVABLE));
    assertEquals(3 * NR - 1, zone.nrFreePages);
    assertEquals(
        Migratetype.MIGRATE_MOVABLE, bench.alloc.getPfnblockMigratetype(bench.page(FIRST), FIRST));
  }

  /** Flags that make no sense, an order beyond all folios, a compound page that is no power of two.
   * Expect -EINVAL, with warnings for the last two. */
  @Test
  void allocContigFrozenRange_badArguments_areInvalid() {
    int einval = -Errno.EINVAL;
    Gfp noretry = MOVABLE.or(Gfp.NORETRY);
    assertEquals(einval, bench.alloc.allocContigFrozenRange(FIRST, FIRST + 512, false, noretry));
    assertEquals(List.of(), bench.warnings());
    assertEquals(
        einval, bench.alloc.allocContigFrozenRange(FIRST, FIRST + (1L << 23), false, GIGANTIC));
    assertEquals(1, bench.warnings().size());
    assertEquals(einval, bench.alloc.allocContigFrozenRange(FIRST, FIRST + 768, false, GIGANTIC));
    assertTrue(bench.warnings().getLast().startsWith("PFN range: requested [8192, 8960)"));
  }

  /** Functions that are not for compound pages. Expect warnings and nothing done. */
  @Test
  void contigFunctions_compound_warn() {
    assertEquals(
        -Errno.EINVAL, bench.alloc.allocContigRange(FIRST, FIRST + 512, false, GIGANTIC));
    assertNull(bench.alloc.allocContigPages(512, GIGANTIC, 0, null));
    Page page = gigantic();
    bench.alloc.freeContigRange(FIRST, NR);
    bench.alloc.freeContigFrozenRange(FIRST + 1, 1);
    assertEquals(
        List.of(
            "alloc_contig_range_noprof: gfp_mask & __GFP_COMP",
            "alloc_contig_pages_noprof: gfp_mask & __GFP_COMP",
            "free_contig_range: PageHead(pfn_to_page(pfn))",
            "free_contig_frozen_range: first_page != compound_head(first_page)"),
        bench.warnings());
    bench.alloc.freeContigFrozenRange(bench.pfn(page), NR);
    assertEquals(3 * NR, zone.nrFreePages);
  }

  /** A compound page freed as another size. Expect the warning; the size given is what is freed. */
  @Test
  void freeContigFrozenRange_wrongSize_warns() {
    Bench plain = new Bench();
    plain.freeZone(ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    plain.alloc.allocContigFrozenRange(FIRST, FIRST + 512, false, GIGANTIC);
    plain.alloc.freeContigFrozenRange(FIRST, 256);
    assertEquals(
        List.of("free_contig_frozen_range: order != compound_order(first_page)"),
        plain.warnings());
  }

  /** Compound pages freed page by page. Expect the warnings about head and tail. */
  @Test
  void freeContigRange0_compoundInside_warns() {
    bench.take(1, GIGANTIC);
    bench.refcount(FIRST, 2);
    bench.refcount(FIRST + 1, 2);
    bench.alloc.freeContigRange0(FIRST, 2);
    assertEquals(
        List.of(
            "__free_contig_range_common: PageHead(page)",
            "__free_contig_range_common: PageTail(page)"),
        bench.warnings());
  }

  /** Some pages of a range are still referenced. Expect that the others are freed. */
  @Test
  void freeContigRange_pageReferenced_freesAroundIt() {
    assertNotNull(bench.alloc.allocContigPages(512, MOVABLE, 0, null));
    bench.refcount(FIRST + 5, 2);
    bench.alloc.freeContigRange(FIRST, 512);
    assertEquals(Owner.ALLOCATED, bench.owner(FIRST + 5));
    assertEquals(3 * NR - 1, bench.alloc.nrFreePages(zone));
  }

  /** CMA pageblocks. Expect that only a CMA allocation may take their pages. */
  @Test
  void allocContigFrozenRange_cma_needsTheCmaMode() {
    Bench cma = Bench.debug();
    cma.zone(0, ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    cma.alloc.initPageblockMigratetype(cma.page(FIRST), Migratetype.MIGRATE_CMA, false);
    cma.give(FIRST, MAX_BLOCK);
    assertEquals(
        -Errno.EBUSY, cma.alloc.allocContigFrozenRange(FIRST, FIRST + 512, false, MOVABLE));
    assertEquals(0, cma.alloc.allocContigFrozenRange(FIRST, FIRST + 512, true, MOVABLE));
    assertEquals(
        Migratetype.MIGRATE_CMA, cma.alloc.getPfnblockMigratetype(cma.page(FIRST), FIRST));
  }

  /** A compound page in use that is neither huge nor on the LRU. Expect -EBUSY. */
  @Test
  void allocContigFrozenRange_compoundInUse_isBusy() {
    bench.take(10, GIGANTIC);
    assertEquals(
        -Errno.EBUSY,
        bench.alloc.allocContigFrozenRange(FIRST + 512, FIRST + 1024, false, MOVABLE));
    assertEquals(
        -Errno.EBUSY,
        bench.alloc.allocContigFrozenRange(FIRST + 1024 - 512, FIRST + 1536, false, MOVABLE));
  }
}
