// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * {@link Bench} with per-CPU lists of the test's own beside those of the page allocator, whose limits
 * and counts a test can set and read. Both share the free lists of one zone.
 */
final class PcpBench {
  static final long NR = 8 * Bench.MAX_BLOCK;
  static final int BATCH = 4;

  final Bench bench = Bench.debug();
  final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, Bench.FIRST, NR);
  final Pageblocks blocks = new Pageblocks(bench.mm);
  final FreeLists lists = new FreeLists(bench.mm, blocks);
  final Watermarks marks = new Watermarks(bench.mm, lists);
  final Pcplists pcplists = pcplists();
  final PerCpuPages pcp = lists.state(zone).pcp;

  /** Lists with a batch of 4 and a limit of 8 pages. */
  PcpBench() {
    pcplists.setupPerCpuPageset();
    set(8, 8);
  }

  private Pcplists pcplists() {
    PlacementSearch placed = new PlacementSearch(bench.mm, lists, blocks, Placement.NONE);
    Rmqueue rmqueue = new Rmqueue(bench.mm, lists, blocks, marks, placed);
    return new Pcplists(
        bench.mm, lists, blocks, rmqueue, new PageChecks(bench.mm), marks, placed);
  }

  void set(int highMin, int highMax) {
    pcp.batch = BATCH;
    pcp.highMin = highMin;
    pcp.highMax = highMax;
  }

  Page take(int order, Migratetype type) {
    return Objects.requireNonNull(pcplists.rmqueue(zone, order, 0, type));
  }

  /** Pages straight from the free lists: the per-CPU lists are not touched. */
  List<Page> pages(int count, int order) {
    List<Page> taken = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Page page = bench.take(order, Gfp.KERNEL.or(Gfp.MOVABLE));
      bench.mm.refs().setPageCount(page, 0);
      taken.add(page);
    }
    return taken;
  }

  void free(Page page, int order) {
    pcplists.freeFrozenPages0(page, order, FreeLists.FPI_NONE);
  }
}
