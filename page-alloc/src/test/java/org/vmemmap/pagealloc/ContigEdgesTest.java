// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;
import static org.vmemmap.pagealloc.Bench.PAGEBLOCK;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.pagealloc.PageIsolation.Mode;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Ranges that are looked at and left alone, ranges at the edges, and what is left behind. */
class ContigEdgesTest {
  private static final Gfp MOVABLE = Gfp.KERNEL.or(Gfp.MOVABLE);
  private static final Gfp COMPOUND = MOVABLE.or(Gfp.COMPOUND);
  private static final long NR = 2 * MAX_BLOCK;

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, NR);

  /** Dissolves each hugepage of 2 MiB that it is asked about. */
  private static final class Dissolve implements HugetlbHooks {
    private final Bench bench;
    final List<Long> asked = new ArrayList<>();
    int waited;

    Dissolve(Bench bench) {
      this.bench = bench;
    }

    @Override
    public int isolateOrDissolveHugeFolio(Folio folio, ListHead list) {
      asked.add(bench.pfn(folio.page()) - FIRST);
      bench.mm.flags().clearType(folio.page(), PageFlags.PGTY_HUGETLB);
      bench.alloc.freeFrozenPages(folio.page(), 9);
      return 0;
    }

    @Override
    public void waitForFreedHugetlbFolios() {
      waited++;
    }
  }

  private static Dissolve connect(Bench bench) {
    Dissolve hooks = new Dissolve(bench);
    bench.alloc.setHugetlbHooks(hooks, PageMigration.NONE);
    return hooks;
  }

  private static void hugepage(Bench bench, long pfn, long nrPages) {
    assertEquals(0, bench.alloc.allocContigFrozenRange(pfn, pfn + nrPages, false, COMPOUND));
    bench.mm.flags().setType(bench.page(pfn), PageFlags.PGTY_HUGETLB);
  }

  /** What is heard while {@code nrPages} pages are searched in vain. */
  private static List<String> searchInVain(Bench bench, long nrPages) {
    return Steps.of(
        bench, () -> assertNull(bench.alloc.allocContigPages(nrPages, MOVABLE, 0, null)));
  }

  // ---- ranges that cannot be taken ----

  /** A page in the only range is in use. Expect one look at it under the lock, nothing isolated. */
  @Test
  void allocContigPages_pageInUse_isNotTried() {
    bench.take(0, MOVABLE);

    assertEquals(Steps.LOCKED, searchInVain(bench, NR));
  }

  /** The range is not online. Expect the same. */
  @Test
  void allocContigPages_offline_isNotTried() {
    bench.mm.mmzone().section(0).sectionMemMap &= ~Mmzone.SECTION_IS_ONLINE;

    assertEquals(Steps.LOCKED, searchInVain(bench, NR));
  }

  /** The second half of the range is of another zone. Expect the same. */
  @Test
  void allocContigPages_otherZoneInside_isNotTried() {
    bench.mm.inline().setPageZone(bench.page(FIRST + MAX_BLOCK), ZoneType.ZONE_DMA);

    assertEquals(Steps.LOCKED, searchInVain(bench, NR));
  }

  /** Hugepages as large as the range, and larger. Expect a second look, and nobody moved. */
  @Test
  void allocContigPages_largeHugepages_areNotMoved() {
    Dissolve hooks = connect(bench);
    hugepage(bench, FIRST, MAX_BLOCK);
    hugepage(bench, FIRST + MAX_BLOCK, MAX_BLOCK);
    List<String> twoRangesTwice =
        java.util.Collections.nCopies(4, Steps.LOCKED).stream().flatMap(List::stream).toList();

    assertEquals(twoRangesTwice, searchInVain(bench, MAX_BLOCK));
    searchInVain(bench, PAGEBLOCK);
    assertEquals(List.of(), hooks.asked);
  }

  /** A kernel without gigantic pages, and a hugepage of MAX_FOLIO_ORDER. Expect it not moved. */
  @Test
  void allocContigPages_largestFolio_isNotMoved() {
    MmConfig config = MmConfig.debianX86().toBuilder().gigantic(false).build();
    Bench small = new Bench(config, Placement.NONE);
    small.freeZone(ZoneType.ZONE_NORMAL, FIRST, NR);
    Dissolve hooks = connect(small);
    hugepage(small, FIRST, MAX_BLOCK);

    assertEquals(10, small.mm.mmzone().maxFolioOrder());
    searchInVain(small, NR);
    assertEquals(List.of(), hooks.asked);
  }

  /** A small hugepage in the only range. Expect it moved away in a second pass. */
  @Test
  void allocContigFrozenPages_smallHugepage_isMovedAway() {
    Dissolve hooks = connect(bench);
    hugepage(bench, FIRST + PAGEBLOCK, PAGEBLOCK);

    assertEquals(FIRST, bench.pfn(bench.alloc.allocContigFrozenPages(NR, COMPOUND, 0, null)));
    assertEquals(List.of(512L), hooks.asked);
  }

  /** The same with a free range behind it. Expect that one, and the hugepage left alone. */
  @Test
  void allocContigFrozenPages_otherRange_isPreferred() {
    Dissolve hooks = connect(bench);
    hugepage(bench, FIRST + PAGEBLOCK, PAGEBLOCK);

    Page page = bench.alloc.allocContigFrozenPages(MAX_BLOCK, COMPOUND, 0, null);

    assertEquals(FIRST + MAX_BLOCK, bench.pfn(page));
    assertEquals(List.of(), hooks.asked);
  }

  /** A compound page of exactly MAX_FOLIO_ORDER. Expect it; more is too much. */
  @Test
  void allocContigFrozenRange_maxFolioOrder_isAllowed() {
    MmConfig config = MmConfig.debianX86().toBuilder().gigantic(false).build();
    Bench small = new Bench(config, Placement.NONE);
    small.freeZone(ZoneType.ZONE_NORMAL, FIRST, NR);

    assertEquals(
        -Errno.EINVAL, small.alloc.allocContigFrozenRange(FIRST, FIRST + NR, false, COMPOUND));
    assertEquals(
        0, small.alloc.allocContigFrozenRange(FIRST, FIRST + MAX_BLOCK, false, COMPOUND));
  }

  // ---- a range that is taken ----

  private long stackPointer() {
    ListHead local = bench.mm.lists().localHead();
    bench.mm.lists().release(local);
    return local.va();
  }

  /** Ranges are taken and refused. Expect that compact_control is off the stack each time. */
  @Test
  void allocContigRange_anyResult_leavesTheStackAsItWas() {
    long before = stackPointer();
    assertEquals(0, bench.alloc.allocContigRange(FIRST, FIRST + 8, false, MOVABLE));
    assertEquals(before, stackPointer());
    assertEquals(-Errno.EBUSY, bench.alloc.allocContigRange(FIRST, FIRST + 8, false, MOVABLE));
    assertEquals(before, stackPointer());
  }

  /** A page is in use. Expect -EBUSY, and no reference on any page. */
  @Test
  void allocContigRange_busy_takesNoReferences() {
    bench.mm.flags().set(bench.take(0, MOVABLE), PageFlags.PG_LRU);

    assertEquals(-Errno.EBUSY, bench.alloc.allocContigRange(FIRST, FIRST + 8, false, MOVABLE));

    assertEquals(0, bench.mm.refs().pageRefCount(bench.page(FIRST + 4)));
    assertEquals(0, bench.alloc.nrIsolatePageblock(zone));
  }

  /** A page of the range waits on a per-CPU list. Expect it drained, and the range taken. */
  @Test
  void allocContigRange_pageOnPerCpuList_isDrained() {
    bench.alloc.setupPerCpuPageset();
    Page page = bench.take(0, MOVABLE);
    bench.alloc.freePage(page);
    assertFalse(bench.alloc.isFreeBuddyPage(page));

    assertEquals(0, bench.alloc.allocContigRange(FIRST, FIRST + 8, false, MOVABLE));
  }

  /** Hugetlb frees pages late. Expect it waited for before the range is looked at. */
  @Test
  void allocContigRange_hugetlb_isWaitedFor() {
    Dissolve hooks = connect(bench);

    bench.alloc.allocContigRange(FIRST, FIRST + 8, false, MOVABLE);

    assertEquals(1, hooks.waited);
  }

  /** Another CPU takes the free block when it has been looked at, and before it is taken off its list.
   * Expect -EBUSY, and the pageblock open again without the block. */
  @Test
  void allocContigRange_takenMeanwhile_isBusy() {
    Dissolve hooks = connect(bench);
    FreeLists lists = new FreeLists(bench.mm, new Pageblocks(bench.mm));
    bench
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if (hooks.waited == 1 && "unlock zone->lock".equals(what)) {
                hooks.waited++;
                Page block = bench.page(FIRST);
                lists.delPageFromFreeList(block, zone, 9, Migratetype.MIGRATE_ISOLATE);
              }
            });

    assertEquals(-Errno.EBUSY, bench.alloc.allocContigRange(FIRST, FIRST + 8, false, MOVABLE));

    bench.machine.yields().listen(null);
    assertEquals(2, hooks.waited);
    assertEquals(0, bench.alloc.nrIsolatePageblock(zone));
    assertEquals(NR - PAGEBLOCK, zone.nrFreePages);
    assertEquals(List.of(), bench.warnings());
  }

  /** Hugepages are moved without trouble. Expect nothing put back. */
  @Test
  void allocContigFrozenRange_moved_putsNothingBack() {
    int[] putBack = {0};
    hugepage(bench, FIRST, PAGEBLOCK);
    bench.alloc.setHugetlbHooks(
        new Dissolve(bench),
        new PageMigration() {
          @Override
          public void putbackMovablePages(ListHead list) {
            putBack[0]++;
          }
        });

    assertEquals(0, bench.alloc.allocContigFrozenRange(FIRST, FIRST + 512, false, MOVABLE));
    assertEquals(0, putBack[0]);
  }

  /**
   * Blocks of order 0, 1 and 2 are split into pages, page 0 being in use by others.
   *
   * <pre>
   *   |LRU|0|  1  |     2     |   to a list of 1 - 2 - 3 - 4 - 5 - 6 - 7
   * </pre>
   *
   * Expect the single pages linked in sequence.
   */
  @Test
  void allocContigRange_blocks_becomeAListOfPages() {
    bench.mm.flags().set(bench.take(0, MOVABLE), PageFlags.PG_LRU);

    assertEquals(0, bench.alloc.allocContigRange(FIRST + 1, FIRST + 8, false, MOVABLE));

    for (long pfn = FIRST + 1; pfn < FIRST + 7; pfn++) {
      assertEquals(
          bench.mm.struct().lru(bench.page(pfn + 1)).va(), bench.word(pfn, StructPage.LRU));
      assertEquals(
          bench.mm.struct().lru(bench.page(pfn)).va(), bench.word(pfn + 1, StructPage.LRU + 8));
      assertEquals(1, bench.mm.refs().pageRefCount(bench.page(pfn)));
    }
  }

  /** A free block of a movable zone looks like a compound page. Expect the warning at the split. */
  @Test
  void allocContigRange_blockLooksCompound_warns() {
    Bench odd = Bench.debug();
    odd.freeZone(ZoneType.ZONE_MOVABLE, FIRST, PAGEBLOCK);
    odd.mm.flags().set(odd.page(FIRST), PageFlags.PG_HEAD);

    odd.alloc.allocContigRange(FIRST, FIRST + PAGEBLOCK, false, MOVABLE);

    assertEquals(List.of("__split_page: PageCompound(page)"), odd.warnings());
  }

  // ---- memory that begins with pfn 0 ----

  /** 4 MiB from pfn 0 on are freed, in which page 700 is still referenced. Expect the largest block
   * and the pieces around the page. */
  @Test
  void freeContigRange_fromPfnZero_freesTheLargestBlock() {
    Bench low = new Bench();
    Zone dma = low.zone(0, ZoneType.ZONE_DMA, 0, 2 * MAX_BLOCK);
    low.give(0, 2 * MAX_BLOCK);
    assertEquals(0, low.alloc.allocContigRange(0, 2 * MAX_BLOCK, false, MOVABLE));
    low.refcount(MAX_BLOCK + 700, 2);

    low.alloc.freeContigRange(0, 2 * MAX_BLOCK);

    assertEquals(2 * MAX_BLOCK - 1, low.alloc.nrFreePages(dma));
    assertEquals(10, low.alloc.buddyOrder(low.page(0)));
    assertEquals(Owner.ALLOCATED, low.owner(MAX_BLOCK + 700));
    assertEquals(Owner.BUDDY, low.owner(MAX_BLOCK + 701));
  }

  /** Page 0 is freed while page 1 is still referenced, or by itself. Expect just page 0 free. */
  @Test
  void freeContigRange_pfnZeroAlone_isFreed() {
    for (int count = 1; count <= 2; count++) {
      Bench low = new Bench();
      Zone dma = low.zone(0, ZoneType.ZONE_DMA, 0, PAGEBLOCK);
      low.give(0, PAGEBLOCK);
      assertEquals(0, low.alloc.allocContigRange(0, 2, false, MOVABLE));
      low.refcount(1, 2);

      low.alloc.freeContigRange(0, count);

      assertEquals(PAGEBLOCK - 1, low.alloc.nrFreePages(dma));
      assertEquals(Owner.BUDDY, low.owner(0));
    }
  }

  // ---- memory that goes offline ----

  /** Isolated memory leaves the lists. Expect the zone's lock held meanwhile. */
  @Test
  void offlineIsolatedPages_range_isUnderTheLock() {
    bench.alloc.isolation().startIsolatePageRange(FIRST, FIRST + MAX_BLOCK, Mode.MEM_OFFLINE);

    List<String> steps =
        Steps.of(bench, () -> bench.alloc.offlineIsolatedPages0(FIRST, FIRST + MAX_BLOCK));

    assertEquals("lock zone->lock 2", steps.getFirst());
    assertEquals("unlock zone->lock 2", steps.getLast());
    assertTrue(steps.size() > 2);
  }
}
