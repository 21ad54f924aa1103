// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;
import static org.vmemmap.pagealloc.Bench.MIB;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** State that only a bug can make, set up by hand: each check of the kernel speaks. */
class BrokenStateTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final PageIsolation.Mode OTHER = PageIsolation.Mode.OTHER;

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, 2 * MAX_BLOCK);
  private final FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
  private final Memblock memblock = new Memblock(bench.mm, Placement.NONE);

  private static void assertBug(String text, Runnable action) {
    KernelBug bug = assertThrows(KernelBug.class, action::run);
    assertEquals("kernel BUG at " + text, bug.getMessage());
  }

  /** An empty list that claims to have bytes. Expect the warning when memory is added. */
  @Test
  void memblockAddNode_emptyListWithBytes_warns() {
    memblock.memory().totalSize = 5;
    memblock.memblockAddNode(64 * MIB, MIB, 0);
    assertEquals(
        List.of("memblock_add_range: type->cnt != 0 || type->total_size"), bench.warnings());
  }

  /** A list whose sum is wrong. Expect the warning when its last region goes. */
  @Test
  void memblockRemove_wrongSum_warns() {
    memblock.memblockAddNode(64 * MIB, MIB, 0);
    memblock.memory().totalSize += 1;
    memblock.memblockRemove(64 * MIB, MIB);
    assertEquals(List.of("memblock_remove_region: type->total_size != 0"), bench.warnings());
  }

  /** Two regions that overlap. Expect a bug when they are merged. */
  @Test
  void memblockSetNode_overlappingRegions_isABug() {
    memblock.memblockAddNode(64 * MIB, MIB, 0);
    memblock.memblockAddNode(66 * MIB, MIB, 0);
    memblock.memory().regions.get(0).size = 3 * MIB;
    assertBug(
        "memblock_merge_regions: this->base + this->size > next->base",
        () -> memblock.memblockSetNode(64 * MIB, 4 * MIB, 1));
  }

  /** An array without room. Expect a bug when something is put into it. */
  @Test
  void memblockAddNode_noRoom_isABug() {
    memblock.memory().max = 0;
    assertBug(
        "memblock_insert_region: type->cnt >= type->max",
        () -> memblock.memblockAddNode(64 * MIB, MIB, 0));
  }

  /** The struct page of the upper half says another zone. Expect a bug when the block is halved. */
  @Test
  void expand_halfOutsideTheZone_isABug() {
    zone.spannedPages = 1;
    assertBug("expand: bad_range(zone, &page[size])", () -> bench.take(0, MOVABLE));
  }

  /** The struct page of a free block says another zone. Expect a bug when it is handed out. */
  @Test
  void rmqueue_blockOfAnotherZone_isABug() {
    Zone dma = bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_DMA);
    dma.zoneStartPfn = FIRST;
    dma.spannedPages = 2 * MAX_BLOCK;
    bench.mm.inline().setPageZone(bench.page(FIRST), ZoneType.ZONE_DMA);
    assertBug("rmqueue: page && bad_range(zone, page)", () -> bench.take(10, MOVABLE));
  }

  /** A page is freed to a zone that is not its own. Expect a bug. */
  @Test
  void freeOnePage_foreignZone_isABug() {
    Zone foreign = bench.zone(0, ZoneType.ZONE_DMA, FIRST + 4 * MAX_BLOCK, MAX_BLOCK);
    Page page = bench.take(0, MOVABLE);
    assertBug(
        "__free_one_page: bad_range(zone, page)",
        () ->
            lists.freeOnePage0(page, FIRST, foreign, 0, Migratetype.MIGRATE_MOVABLE, 0));
  }

  /** Pages of a block to be split already have references, or are tails. Expect bugs. */
  @Test
  void splitPage_pagesInUse_areBugs() {
    Page page = bench.take(2, MOVABLE);
    bench.refcount(FIRST + 1, 1);
    assertBug(
        "set_page_refcounted: page_ref_count(page)", () -> bench.alloc.splitPage(page, 2));
    bench.refcount(FIRST + 1, 0);
    bench.mm.flags().setCompoundHead(bench.page(FIRST + 1), page, 2);
    assertBug("set_page_refcounted: PageTail(page)", () -> bench.alloc.splitPage(page, 2));
  }

  /** Only part of a pageblock, or a pageblock of another zone, is moved. Expect warning and bug. */
  @Test
  void moveFreepagesBlock_wrongPlace_warnsOrIsABug() {
    Migratetype type = Migratetype.MIGRATE_MOVABLE;
    lists.moveFreepagesBlock0(zone, FIRST + 1, type, type);
    assertEquals(
        List.of("__move_freepages_block: start_pfn & (pageblock_nr_pages - 1)"),
        bench.warnings());
    Zone other = bench.mm.nodes().nodeData(1).zone(ZoneType.ZONE_NORMAL);
    assertBug(
        "__move_freepages_block: page_zone(page) != zone",
        () -> lists.moveFreepagesBlock0(other, FIRST, type, type));
  }

  /** A pageblock that sticks out of its zone. Expect that its pages are not moved. */
  @Test
  void moveFreepagesBlock_zoneEndsInside_isRefused() {
    zone.spannedPages = 100;
    assertEquals(
        -1,
        lists.moveFreepagesBlock(
            zone, bench.page(FIRST), Migratetype.MIGRATE_MOVABLE, Migratetype.MIGRATE_UNMOVABLE));
    assertEquals(
        -16, bench.alloc.isolation().startIsolatePageRange(FIRST, FIRST + 512, OTHER));
  }

  /** The zone shrank while a pageblock was isolated. Expect the warning when it is opened. */
  @Test
  void undoIsolatePageRange_zoneShrank_warns() {
    Bench plain = new Bench();
    Zone shrinking = plain.freeZone(ZoneType.ZONE_NORMAL, FIRST, 512);
    plain.alloc.isolation().startIsolatePageRange(FIRST, FIRST + 512, OTHER);
    shrinking.spannedPages = 100;
    plain.alloc.isolation().undoIsolatePageRange(FIRST, FIRST + 512);
    assertEquals(
        List.of(
            "unset_migratetype_isolate:"
                + " !pageblock_unisolate_and_move_free_pages(zone, page)"),
        plain.warnings());
  }

  /** A boundary inside a pageblock, and a pageblock that should be isolated already. Expect bugs. */
  @Test
  void isolateSinglePageblock_wrongBoundary_isABug() {
    PageIsolation isolation = bench.alloc.isolation();
    assertBug(
        "isolate_single_pageblock: !pageblock_aligned(boundary_pfn)",
        () -> isolation.isolateSinglePageblock(FIRST + 1, OTHER, false, false));
    assertBug(
        "isolate_single_pageblock: !get_pageblock_isolate(pfn_to_page(isolate_pageblock))",
        () -> isolation.isolateSinglePageblock(FIRST, OTHER, false, true));
    assertBug(
        "has_unmovable_pages: the range lies in more than one pageblock",
        () -> isolation.hasUnmovablePages(FIRST, FIRST + 513, OTHER));
  }

  /** A free block, or nothing at all, lies across the boundary. Expect a warning and a bug. */
  @Test
  void straddles_freeBlockOrNothing_warnsOrIsABug() {
    PageIsolation isolation = bench.alloc.isolation();
    assertFalse(isolation.straddles(FIRST, FIRST + 512));
    assertEquals(
        List.of("isolate_single_pageblock: pfn + (1 << order) > boundary_pfn"),
        bench.warnings());
    bench.mm.mmzone().section(0).sectionMemMap &= ~Mmzone.SECTION_IS_ONLINE;
    assertBug(
        "isolate_single_pageblock: !page", () -> isolation.straddles(FIRST, FIRST + 512));
    Bench plain = new Bench();
    plain.mm.mmzone().section(0).sectionMemMap &= ~Mmzone.SECTION_IS_ONLINE;
    assertFalse(plain.alloc.isolation().straddles(FIRST, FIRST + 512));
  }

  /** A compound page on the LRU is larger than a pageblock. Expect the warning, and -EBUSY. */
  @Test
  void startIsolatePageRange_hugeLruPage_warns() {
    Page page = bench.take(10, MOVABLE.or(Gfp.COMPOUND));
    bench.mm.flags().set(page, PageFlags.PG_LRU);
    assertEquals(
        -16, bench.alloc.isolation().startIsolatePageRange(FIRST + 512, FIRST + 1024, OTHER));
    assertEquals(List.of("isolate_single_pageblock: PageLRU(page)"), bench.warnings());
    assertEquals(
        Migratetype.MIGRATE_MOVABLE,
        bench.alloc.getPfnblockMigratetype(bench.page(FIRST + 512), FIRST + 512));
  }

  /** A page goes offline that is in use, or that is on no list. Expect bugs. */
  @Test
  void offlineIsolatedPages_pageNotFree_isABug() {
    Page page = bench.take(0, MOVABLE);
    assertBug(
        "__offline_isolated_pages: page_count(page)",
        () -> bench.alloc.offlineIsolatedPages0(FIRST, FIRST + 1));
    bench.mm.refs().setPageCount(page, 0);
    assertBug(
        "__offline_isolated_pages: !PageBuddy(page)",
        () -> bench.alloc.offlineIsolatedPages0(FIRST, FIRST + 1));
  }

  /** A free block in an open pageblock while the zone is below its mark. Expect that it stays, and
   * that isolating a range gives everything back when a page is missing. */
  @Test
  void isolateFreepagesRange_notAllFree_givesBack() {
    PageIsolation isolation = bench.alloc.isolation();
    bench.take(0, MOVABLE);
    ListHead[] freepages = new ListHead[Bench.MAX_ORDER + 1];
    java.util.Arrays.setAll(freepages, order -> bench.mm.lists().newHead());
    assertEquals(0, isolation.isolateFreepagesRange(freepages, FIRST + 1, FIRST + 4 * MAX_BLOCK));
    assertEquals(2 * MAX_BLOCK - 1, zone.nrFreePages);
    bench.alloc.initPerZoneWmarkMin();
    assertEquals(1, isolation.isolateFreePage0(bench.page(FIRST + 1), 0));
    zone.nrFreePages = 0;
    assertEquals(0, isolation.isolateFreePage0(bench.page(FIRST + 2), 1));
    assertTrue(bench.mm.flags().pageBuddy(bench.page(FIRST + 2)));
  }
}
