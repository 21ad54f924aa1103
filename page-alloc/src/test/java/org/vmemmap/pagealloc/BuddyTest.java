// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;
import static org.vmemmap.pagealloc.Bench.PAGE;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** The buddy allocator: split, merge, zones and nodes. Free lists read "order:pfn type". */
class BuddyTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, 2 * MAX_BLOCK);

  /** Two blocks that fill a zone, freed one after the other. Expect both on one list, in order. */
  @Test
  void freePagesCore_freshMemory_goesToTheTail() {
    assertEquals(List.of("10:0 MOVABLE", "10:1024 MOVABLE"), bench.free(zone));
    assertEquals(2 * MAX_BLOCK, zone.nrFreePages);
    assertEquals(2 * MAX_BLOCK, zone.managedPages);
    assertEquals(Owner.BUDDY, bench.owner(FIRST));
  }

  /**
   * One page is taken from a block of 1024.
   *
   * <pre>
   *   |u|0|  1  |    2    |         3         | ... |          9          |
   * </pre>
   *
   * Expect the lowest page, and one free block of each order from 0 to 9 behind it.
   */
  @Test
  void allocPagesNode_onePage_splitsABlock() {
    Page page = bench.take(0, MOVABLE);
    assertEquals(FIRST, bench.pfn(page));
    assertEquals(
        List.of(
            "10:1024 MOVABLE", "9:512 MOVABLE", "8:256 MOVABLE", "7:128 MOVABLE", "6:64 MOVABLE",
            "5:32 MOVABLE", "4:16 MOVABLE", "3:8 MOVABLE", "2:4 MOVABLE", "1:2 MOVABLE",
            "0:1 MOVABLE"),
        bench.free(zone));
    assertEquals(1, bench.mm.refs().pageRefCount(page));
    assertEquals(Owner.ALLOCATED, bench.owner(FIRST));
  }

  /** The page goes back. Expect that everything merges into the block it came from. */
  @Test
  void freePages_lastPage_mergesToTheTop() {
    Page page = bench.take(0, MOVABLE);
    bench.alloc.freePage(page);
    assertEquals(Set.of("10:0 MOVABLE", "10:1024 MOVABLE"), Set.copyOf(bench.free(zone)));
    assertEquals(2 * MAX_BLOCK, bench.alloc.nrFreePages(zone));
    assertEquals(Owner.BUDDY, bench.owner(FIRST));
  }

  /** Blocks of all orders, taken and freed again. Expect the zone as it was after each. */
  @Test
  void freePages_anyOrder_restoresTheZone() {
    for (int order = 0; order <= Bench.MAX_ORDER; order++) {
      Page page = bench.take(order, MOVABLE);
      assertEquals(2 * MAX_BLOCK - (1L << order), zone.nrFreePages);
      bench.alloc.freePages(page, order);
      assertEquals(2, bench.free(zone).size());
    }
    assertEquals(List.of(), bench.warnings());
  }

  /**
   * A page whose block's buddy has a free buddy soon merges twice: it goes to the tail of its list.
   *
   * <pre>
   *   |0 u|1 f| 2-3 free |        page 1 is freed while 2-3 is free
   * </pre>
   *
   * Expect page 1 behind the other page on the list of order 0.
   */
  @Test
  void freePages_mergeLikely_goesToTheTail() {
    for (int i = 0; i < 8; i++) {
      bench.take(0, MOVABLE);
    }
    bench.alloc.freePage(bench.page(FIRST + 2));
    bench.alloc.freePage(bench.page(FIRST + 3));
    bench.alloc.freePage(bench.page(FIRST + 5));
    bench.alloc.freePage(bench.page(FIRST + 1));
    List<String> pages =
        bench.free(zone).stream().filter(block -> block.startsWith("0:")).toList();
    assertEquals(List.of("0:5 MOVABLE", "0:1 MOVABLE"), pages);
  }

  /**
   * A free block's struct page. Expect the type, the order in private, and nothing on the second.
   */
  @Test
  void freeBlock_structPage_saysBuddyAndOrder() {
    assertTrue(bench.mm.flags().pageBuddy(bench.page(FIRST)));
    assertEquals(10, bench.alloc.buddyOrder(bench.page(FIRST)));
    assertFalse(bench.mm.flags().pageBuddy(bench.page(FIRST + 1)));
    assertTrue(bench.alloc.isFreeBuddyPage(bench.page(FIRST + 700)));
    assertFalse(bench.alloc.isFreeBuddyPage(bench.page(FIRST - 1)));
  }

  /** More than the zone has. Expect null and one line; none with __GFP_NOWARN. */
  @Test
  void allocPagesNode_nothingLeft_returnsNull() {
    bench.take(10, MOVABLE);
    bench.take(10, MOVABLE);
    assertNull(bench.alloc.allocPagesNode(0, Gfp.KERNEL, 0, "test"));
    assertNull(bench.alloc.allocPagesNode(0, Gfp.KERNEL.or(Gfp.NOWARN), 0, "test"));
    assertNull(bench.alloc.allocPagesNode(0, Gfp.KERNEL.or(Gfp.NOFAIL), 0, "test"));
    assertEquals(2, bench.log().size());
    assertEquals("page allocation failure: order:0", bench.log().getFirst());
  }

  /** __GFP_NOFAIL without reclaim. Expect the warning. */
  @Test
  void allocPagesNode_nofailWithoutReclaim_warns() {
    bench.take(10, MOVABLE);
    bench.take(10, MOVABLE);
    assertNull(bench.alloc.allocPagesNode(0, Gfp.NOWAIT.or(Gfp.NOFAIL), 0, "test"));
    assertEquals(List.of("__alloc_pages_slowpath: !can_direct_reclaim"), bench.warnings());
  }

  /** An order that no list has. Expect null and the warning; none with __GFP_NOWARN. */
  @Test
  void allocFrozenPages_orderTooHigh_warns() {
    assertNull(bench.alloc.allocFrozenPages(Gfp.NOWAIT, 11, 0, null, "test"));
    assertEquals(List.of(), bench.warnings());
    assertNull(bench.alloc.allocFrozenPages(Gfp.KERNEL, 11, 0, null, "test"));
    assertEquals(
        List.of("__alloc_frozen_pages_noprof: order > MAX_PAGE_ORDER"), bench.warnings());
  }

  /** Injected failure at the caller's site. Expect null, silently, and nothing taken. */
  @Test
  void allocPagesNode_failureInjected_returnsNull() {
    bench.failAll("vmemmap_alloc_block");
    assertNull(bench.alloc.allocPagesNode(0, Gfp.KERNEL, 0, "vmemmap_alloc_block"));
    assertNotNull(bench.alloc.allocPagesNode(0, Gfp.KERNEL, 0, "another"));
    assertEquals(List.of(), bench.log());
  }

  /** A frozen page. Expect reference count 0, and freeing without a reference. */
  @Test
  void allocFrozenPages_compound_hasNoReference() {
    Page page = bench.alloc.allocFrozenPages(MOVABLE.or(Gfp.COMPOUND), 9, 0, null, "test");
    assertNotNull(page);
    assertEquals(0, bench.mm.refs().pageRefCount(page));
    assertTrue(bench.mm.flags().pageHead(page));
    assertEquals(page, bench.mm.flags().compoundHead(bench.mm.struct().add(page, 511)));
    bench.alloc.freeFrozenPages(page, 9);
    assertEquals(2, bench.free(zone).size());
  }

  /** __GFP_ZERO on memory that somebody wrote. Expect zeros; without it the old bytes. */
  @Test
  void allocPagesNode_zero_clearsThePages() {
    bench.machine.memory().setLong(FIRST * PAGE + 4096, 5);
    Page page = bench.take(1, MOVABLE);
    assertEquals(5, bench.machine.memory().getLong(FIRST * PAGE + 4096));
    bench.alloc.freePages(page, 1);
    bench.take(1, MOVABLE.or(Gfp.ZERO));
    assertEquals(0, bench.machine.memory().getLong(FIRST * PAGE + 4096));
  }

  /** A block is split into pages. Expect a reference on each, freed one by one. */
  @Test
  void splitPage_block_givesEachAReference() {
    Page page = bench.take(2, MOVABLE);
    bench.alloc.splitPage(page, 2);
    for (int i = 0; i < 4; i++) {
      assertEquals(1, bench.mm.refs().pageRefCount(bench.page(FIRST + i)));
      bench.alloc.freePage(bench.page(FIRST + i));
    }
    assertEquals(2, bench.free(zone).size());
  }

  /** A compound page or one without references is split. Expect the warnings. */
  @Test
  void splitPage_compoundOrUnreferenced_warns() {
    Page page = bench.take(1, MOVABLE.or(Gfp.COMPOUND));
    bench.refcount(FIRST, 0);
    assertThrows(KernelBug.class, () -> bench.alloc.splitPage(page, 1));
    assertEquals(List.of("split_page: !page_count(page)"), bench.warnings());
    Page single = bench.take(0, MOVABLE.or(Gfp.COMPOUND));
    bench.mm.flags().set(single, PageFlags.PG_HEAD);
    bench.alloc.splitPage(single, 0);
    assertEquals("__split_page: PageCompound(page)", bench.warnings().getLast());
  }

  /**
   * Somebody else holds a reference on the first page of a block that is not compound.
   *
   * <pre>
   *   |held|  free | free      |
   *     0     1       2   3
   * </pre>
   *
   * Expect pages 1 to 3 freed now, and page 0 with its last reference.
   */
  @Test
  void freePages_stillReferenced_freesTheRest() {
    Page page = bench.take(2, MOVABLE);
    bench.refcount(FIRST, 2);
    bench.alloc.freePages(page, 2);
    assertEquals(Owner.ALLOCATED, bench.owner(FIRST));
    assertEquals(Owner.BUDDY, bench.owner(FIRST + 1));
    assertEquals(Owner.BUDDY, bench.owner(FIRST + 3));
    bench.alloc.freePage(page);
    assertEquals(2, bench.free(zone).size());
  }

  /** The same with a compound page. Expect nothing freed before the last reference. */
  @Test
  void freePages_compoundStillReferenced_freesNothing() {
    Page page = bench.take(2, MOVABLE.or(Gfp.COMPOUND));
    bench.refcount(FIRST, 2);
    bench.alloc.freePages(page, 2);
    assertEquals(Owner.ALLOCATED, bench.owner(FIRST + 3));
  }

  /** A page is freed twice. Expect a bug in a DEBUG_VM kernel. */
  @Test
  void freePage_twice_isABug() {
    Page page = bench.take(0, MOVABLE);
    bench.alloc.freePage(page);
    assertThrows(KernelBug.class, () -> bench.alloc.freePage(page));
  }

  /** A frozen page is freed twice, which the kernel would not see. Expect the ledger's fault. */
  @Test
  void freeFrozenPages_twice_isALedgerFault() {
    Bench plain = new Bench();
    plain.freeZone(ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    Page page = plain.take(0, MOVABLE);
    plain.refcount(FIRST, 0);
    plain.alloc.freeFrozenPages(page, 0);
    assertThrows(MachineFault.class, () -> plain.alloc.freeFrozenPages(page, 0));
  }

  // ---- reserved pages ----

  /** Boot memory goes to the allocator. Expect flag and count cleared and the zone larger by it. */
  @Test
  void freeReservedPages_bootMemory_becomesManaged() {
    Bench boot = Bench.debug();
    Zone small = boot.zone(0, ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    boot.mm.flags().set(boot.page(FIRST), PageFlags.PG_RESERVED);
    boot.mm.flags().set(boot.page(FIRST + 1), PageFlags.PG_RESERVED);
    boot.alloc.freeReservedPages(boot.page(FIRST), 1);
    boot.alloc.freeReservedPage(boot.page(FIRST + 2));
    assertEquals(List.of("1:0 MOVABLE", "0:2 MOVABLE"), boot.free(small));
    assertEquals(3, small.managedPages);
    assertEquals(3, boot.alloc.totalramPages());
    assertFalse(boot.mm.flags().pageReserved(boot.page(FIRST + 1)));
    assertEquals(List.of(), boot.warnings());
  }

  /** Misaligned, and more than the largest block. Expect both warnings. */
  @Test
  void freeReservedPages_misaligned_warns() {
    Bench boot = Bench.debug();
    boot.zone(0, ZoneType.ZONE_NORMAL, FIRST, 4 * MAX_BLOCK);
    assertThrows(
        KernelBug.class, () -> boot.alloc.freeReservedPages(boot.page(FIRST + 1), 1));
    assertEquals(
        "free_reserved_pages: !IS_ALIGNED(page_to_pfn(page), nr_pages)",
        boot.warnings().getFirst());
    boot.alloc.freeReservedPages(boot.page(FIRST + 2 * MAX_BLOCK), 11);
    assertTrue(boot.warnings().contains("free_reserved_pages: order > MAX_PAGE_ORDER"));
  }

  /** Hot-added pages are offline until they are freed. Expect the type gone, and managed pages. */
  @Test
  void freePagesCore_hotplug_clearsOffline() {
    Bench hot = Bench.debug();
    Zone small = hot.zone(0, ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    for (int i = 0; i < 2; i++) {
      hot.mm.flags().setType(hot.page(FIRST + i), PageFlags.PGTY_OFFLINE);
    }
    hot.alloc.freePagesCore(hot.page(FIRST), 1, true);
    assertEquals(List.of("1:0 MOVABLE"), hot.free(small));
    assertEquals(0xffff_ffffL, hot.word(FIRST + 1, StructPage.PAGE_TYPE));
    assertEquals(2, hot.alloc.totalramPages());
    hot.mm.flags().set(hot.page(FIRST + 2), PageFlags.PG_RESERVED);
    hot.alloc.freePagesCore(hot.page(FIRST + 2), 0, true);
    assertTrue(hot.warnings().contains("__free_pages_core: PageReserved(p)"));
  }

  // ---- zones and nodes ----

  /** Buddies in two zones. Expect that they do not merge. */
  @Test
  void freePages_buddyInAnotherZone_staysApart() {
    Bench two = Bench.debug();
    Zone low = two.freeZone(ZoneType.ZONE_DMA32, FIRST, 512);
    Zone high = two.freeZone(ZoneType.ZONE_NORMAL, FIRST + 512, 512);
    assertEquals(List.of("9:0 MOVABLE"), two.free(low));
    assertEquals(List.of("9:512 MOVABLE"), two.free(high));
  }

  /**
   * A request may use its zone and those below it.
   *
   * <pre>
   *   | DMA | DMA32 | Normal | Movable |
   *     1024  1024    1024     1024
   * </pre>
   *
   * Expect each kind of request in the highest zone it may use, and then spilled downwards.
   */
  @Test
  void allocPagesNode_zoneOfRequest_isTheHighestAllowed() {
    Bench four = Bench.debug();
    four.freeZone(ZoneType.ZONE_DMA, FIRST, MAX_BLOCK);
    four.freeZone(ZoneType.ZONE_DMA32, FIRST + MAX_BLOCK, MAX_BLOCK);
    four.freeZone(ZoneType.ZONE_NORMAL, FIRST + 2 * MAX_BLOCK, MAX_BLOCK);
    four.freeZone(ZoneType.ZONE_MOVABLE, FIRST + 3 * MAX_BLOCK, MAX_BLOCK);
    assertEquals(FIRST + 3 * MAX_BLOCK, four.pfn(four.take(10, Gfp.HIGHUSER_MOVABLE)));
    assertEquals(FIRST, four.pfn(four.take(0, Gfp.KERNEL.or(Gfp.DMA))));
    assertEquals(FIRST + MAX_BLOCK, four.pfn(four.take(0, Gfp.KERNEL.or(Gfp.DMA32))));
    assertEquals(FIRST + 2 * MAX_BLOCK, four.pfn(four.take(9, Gfp.HIGHUSER)));
    assertEquals(FIRST + 2 * MAX_BLOCK + 512, four.pfn(four.take(9, Gfp.HIGHUSER_MOVABLE)));
    assertEquals(FIRST + MAX_BLOCK + 512, four.pfn(four.take(9, Gfp.HIGHUSER)));
    assertEquals(FIRST + 512, four.pfn(four.take(9, Gfp.HIGHUSER)));
    assertNull(four.alloc.allocPagesNode(0, Gfp.HIGHUSER, 9, "test"));
  }

  /** Three nodes. Expect the own node, then the next one up; none with THISNODE or the nodemask. */
  @Test
  void allocPagesNode_nodeFull_takesTheNextNode() {
    Bench three = Bench.debug();
    three.freeZone(0, ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    three.freeZone(1, ZoneType.ZONE_NORMAL, FIRST + MAX_BLOCK, MAX_BLOCK);
    three.freeZone(2, ZoneType.ZONE_NORMAL, FIRST + 2 * MAX_BLOCK, MAX_BLOCK);
    Page own = three.alloc.allocPagesNode(1, Gfp.KERNEL, 10, "test");
    assertEquals(FIRST + MAX_BLOCK, three.pfn(own));
    assertNull(three.alloc.allocPagesNode(1, Gfp.KERNEL.or(Gfp.THISNODE), 0, "test"));
    assertNull(three.alloc.allocFrozenPages(Gfp.KERNEL, 0, 1, Set.of(1), "test"));
    Page next = three.alloc.allocPagesNode(1, Gfp.KERNEL, 10, "test");
    assertEquals(FIRST + 2 * MAX_BLOCK, three.pfn(next));
    Page last = three.alloc.allocPagesNode(1, Gfp.KERNEL, 10, "test");
    assertEquals(FIRST, three.pfn(last));
  }

  /** NUMA_NO_NODE. Expect the first node that has memory. */
  @Test
  void allocPagesNode_noNode_beginsWithTheFirst() {
    Bench one = Bench.debug();
    one.mm.nodes().nodeData(0);
    one.freeZone(1, ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    Page page = one.alloc.allocPagesNode(-1, Gfp.KERNEL, 0, "test");
    assertEquals(1, page == null ? -1 : one.mm.inline().pageToNid(page));
  }

  /** Struct pages that are initialised late. Expect that the zone grows when it runs dry. */
  @Test
  void allocPagesNode_deferredZone_grows() {
    Bench deferred = Bench.debug();
    deferred.zone(0, ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
    deferred.alloc.setDeferredGrow(
        (grown, order) -> {
          deferred.alloc.setDeferredGrow(null);
          deferred.give(FIRST, MAX_BLOCK);
          return true;
        });
    assertTrue(deferred.alloc.deferredPagesEnabled());
    assertEquals(FIRST, deferred.pfn(deferred.take(0, MOVABLE)));
    assertFalse(deferred.alloc.deferredPagesEnabled());
  }

  // ---- checks of a DEBUG_VM kernel ----

  /** A page of another zone, a misaligned block, a zone that is not set up, flags left. Expect a
   * bug for each. */
  @Test
  void freeOnePage_brokenArguments_areBugs() {
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    Page page = bench.take(2, MOVABLE);
    Migratetype type = Migratetype.MIGRATE_MOVABLE;
    Zone empty = bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_DMA);
    assertBug(() -> lists.freeOnePage0(page, FIRST, empty, 0, type, 0), "zone_is_initialized");
    Page odd = bench.page(FIRST + 1);
    assertBug(() -> lists.freeOnePage0(odd, FIRST + 1, zone, 1, type, 0), "pfn & ((1 << order)");
    bench.mm.flags().set(page, PageFlags.PG_DIRTY);
    assertBug(() -> lists.freeOnePage0(page, FIRST, zone, 0, type, 0), "CHECK_AT_PREP");
    bench.mm.flags().clear(page, PageFlags.PG_DIRTY);
    zone.zoneStartPfn += 1;
    zone.spannedPages -= 1;
    assertThrows(
        KernelBug.class, () -> lists.freeOnePage0(page, FIRST, zone, 0, type, 0));
  }

  private static void assertBug(Runnable action, String text) {
    KernelBug bug = assertThrows(KernelBug.class, action::run);
    assertTrue(String.valueOf(bug.getMessage()).contains(text), bug.getMessage());
  }

  /** A free page that is referenced is found as a buddy. Expect a bug. */
  @Test
  void freePages_buddyIsReferenced_isABug() {
    bench.take(0, MOVABLE);
    bench.refcount(FIRST + 1, 1);
    assertBug(() -> bench.alloc.freePage(bench.page(FIRST)), "page_count(buddy)");
  }

  /** A list that does not fit the pageblock's type. Expect the warning. */
  @Test
  void delPageFromFreeList_wrongType_warns() {
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    lists.delPageFromFreeList(bench.page(FIRST), zone, 10, Migratetype.MIGRATE_UNMOVABLE);
    assertEquals(
        List.of(
            "__del_page_from_free_list: page type is MIGRATE_MOVABLE,"
                + " passed migratetype is MIGRATE_UNMOVABLE"),
        bench.warnings());
  }

  /** A block that is misaligned, or still marked as free, is given back. Expect both warnings. */
  @Test
  void splitLargeBuddy_misalignedOrMarked_warns() {
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    assertThrows(
        KernelBug.class,
        () -> lists.splitLargeBuddy(zone, bench.page(FIRST + 512), FIRST + 512 + 256, 9, 0));
    assertTrue(
        bench.warnings().contains("split_large_buddy: !IS_ALIGNED(pfn, 1 << order)"));
    lists.splitLargeBuddy(zone, bench.page(FIRST), FIRST, 10, 0);
    assertTrue(bench.warnings().contains("split_large_buddy: PageBuddy(page)"));
  }

  /** A page outside its zone. Expect the line that says where it is. */
  @Test
  void badRange_outsideTheZone_isReported() {
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    assertTrue(lists.badRange(zone, bench.page(FIRST - 1)));
    assertEquals(
        List.of("page 0x1fff outside node 0 zone Normal [ 0x2000 - 0x2800 ]"), bench.log());
  }

  /** A zone is set up a second time. Expect empty lists again. */
  @Test
  void zoneInitFreeLists_again_empties() {
    bench.alloc.zoneInitFreeLists(zone);
    assertEquals(List.of(), bench.free(zone));
  }

  /** 8 GiB of fresh pages would be 2048 such blocks. Expect that only heads are linked. */
  @Test
  void freePagesCore_block_touchesOnlyCountsBehindTheHead() {
    long[] words = bench.words(FIRST + 700);
    assertEquals(bench.mm.inline().initialFlags(ZoneType.ZONE_NORMAL, 0), words[0]);
    assertEquals(0, words[1]);
    assertEquals(0xffff_ffffL, words[6]);
  }
}
