// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;
import static org.vmemmap.pagealloc.Bench.PAGEBLOCK;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** The scan for what is in the way, with hugepages of 16 pages: two of them are a cluster. */
class CompactionTest {
  private static final int ORDER = 4;

  private final Bench bench = Bench.debug();
  private final Zone zone = bench.zone(0, ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
  private final List<Long> asked = new ArrayList<>();
  private final Deque<Integer> answers = new ArrayDeque<>();
  private int putBack;

  private final HugetlbHooks hugetlb =
      new HugetlbHooks() {
        @Override
        public int isolateOrDissolveHugeFolio(Folio folio, ListHead list) {
          asked.add(bench.pfn(folio.page()) - FIRST);
          return answers.isEmpty() ? 0 : answers.removeFirst();
        }
      };

  private final PageMigration migration =
      new PageMigration() {
        @Override
        public void putbackMovablePages(ListHead list) {
          putBack++;
        }
      };

  private void hugepage(long pfn) {
    bench.alloc.prepCompoundPage(bench.page(pfn), ORDER);
    bench.mm.flags().setType(bench.page(pfn), PageFlags.PGTY_HUGETLB);
  }

  private Compaction.CompactControl scan(Zone of, long startPfn, long endPfn, int expected) {
    Pageblocks blocks = new Pageblocks(bench.mm);
    Compaction compaction = new Compaction(bench.mm, new FreeLists(bench.mm, blocks), blocks);
    compaction.setHooks(hugetlb, migration);
    Compaction.CompactControl cc =
        new Compaction.CompactControl(of, bench.mm.lists().newHead());
    assertEquals(expected, compaction.isolateMigratepagesRange(cc, startPfn, endPfn));
    return cc;
  }

  /** Three hugepages in a pageblock and one in the next. Expect two of them, and the scan to stop. */
  @Test
  void isolateMigratepagesRange_cluster_stopsTheScan() {
    for (long at : new long[] {0, 16, 32, PAGEBLOCK}) {
      hugepage(FIRST + at);
    }
    Compaction.CompactControl cc = scan(zone, FIRST, FIRST + MAX_BLOCK, 0);
    assertEquals(List.of(0L, 16L), asked);
    assertEquals(32, cc.nrMigratepages);
    assertEquals(FIRST + 32, cc.migratePfn);
  }

  /** A cluster ends with the pageblock. Expect the next pageblock left for the next scan. */
  @Test
  void isolateMigratepagesRange_clusterFillsTheBlock_stopsThere() {
    hugepage(FIRST + PAGEBLOCK - 32);
    hugepage(FIRST + PAGEBLOCK - 16);
    hugepage(FIRST + PAGEBLOCK);
    Compaction.CompactControl cc = scan(zone, FIRST, FIRST + MAX_BLOCK, 0);
    assertEquals(2, asked.size());
    assertEquals(FIRST + PAGEBLOCK, cc.migratePfn);
  }

  /** The second of two hugepages cannot be replaced. Expect the first put back. */
  @Test
  void isolateMigratepagesRange_noMemoryForTheSecond_putsTheFirstBack() {
    hugepage(FIRST);
    hugepage(FIRST + 16);
    answers.add(0);
    answers.add(-Errno.ENOMEM);
    Compaction.CompactControl cc = scan(zone, FIRST, FIRST + MAX_BLOCK, -Errno.ENOMEM);
    assertEquals(1, putBack);
    assertEquals(0, cc.nrMigratepages);
  }

  /** A hugepage ends with the memory of the machine. Expect it found. */
  @Test
  void isolateMigratepagesRange_lastPageblock_isScanned() {
    long end = Bench.GIB / Bench.PAGE;
    Zone movable = bench.zone(0, ZoneType.ZONE_MOVABLE, end - PAGEBLOCK, PAGEBLOCK);
    hugepage(end - 16);
    scan(movable, end - PAGEBLOCK, end, 0);
    assertEquals(List.of(end - 16 - FIRST), asked);
  }

  /**
   * Pages in use and a free block of 64.
   *
   * <pre>
   *   0    32   64        128   160
   *   | used    |  free    | used |
   * </pre>
   *
   * Expect others to run every 32 pages, and not inside the free block.
   */
  @Test
  void isolateMigratepagesRange_pages_letOthersRun() {
    bench.give(FIRST + 64, 64);
    List<Long> rests = new ArrayList<>();
    bench
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if ("cond_resched".equals(what)) {
                rests.add(where - FIRST);
              }
            });
    scan(zone, FIRST, FIRST + 160, 0);
    assertEquals(List.of(0L, 32L, 64L, 128L), rests);
  }
}
