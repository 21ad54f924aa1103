// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.List;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * {@link Bench} with room for CMA areas: 16 pageblocks reserved in memblock, and free memory behind
 * them.
 *
 * <pre>
 *   FIRST                     FIRST + 16 blocks              FIRST + 24 blocks
 *     |  reserved, for areas   |   free, for the slab         |
 * </pre>
 */
final class CmaBench implements Cma.MmInitHooks {
  static final long FIRST = Bench.FIRST;
  static final long BLOCK = Bench.PAGEBLOCK;
  static final long BLOCK_BYTES = BLOCK * Bench.PAGE;
  static final long ROOM = 16 * BLOCK;
  static final long FREE = 8 * BLOCK;

  final Bench bench;
  final Memblock memblock;
  final Slab slab;
  final Cma cma;
  final Zone zone;

  /** What the zones answer when a range is checked. */
  boolean crossesZones;

  CmaBench() {
    this(MmConfig.debianX86().withDebugVm(true));
  }

  CmaBench(MmConfig config) {
    bench = new Bench(config, Placement.NONE);
    memblock = new Memblock(bench.mm, Placement.NONE);
    slab = new Slab(bench.mm, bench.alloc);
    cma = new Cma(bench.mm, memblock, bench.alloc, slab, this);
    zone = bench.zone(0, ZoneType.ZONE_NORMAL, FIRST, ROOM + FREE);
    for (long pfn = FIRST; pfn < FIRST + ROOM; pfn++) {
      bench.mm.flags().set(bench.page(pfn), PageFlags.PG_RESERVED);
    }
    bench.give(FIRST + ROOM, FREE);
    memblock.memblockAddNode(addr(FIRST), ROOM * Bench.PAGE, 0);
    memblock.memblockReserve(addr(FIRST), ROOM * Bench.PAGE);
    slab.setAvailable();
  }

  static long addr(long pfn) {
    return pfn * Bench.PAGE;
  }

  /** An area of one range, not activated: pageblocks from FIRST, the first one has number 0. */
  CmaArea area(long firstBlock, long blocks, int orderPerBit) {
    CmaArea[] found = new CmaArea[1];
    int ret =
        cma.cmaInitReservedMem(
            addr(FIRST + firstBlock * BLOCK),
            blocks * BLOCK_BYTES,
            orderPerBit,
            null,
            area -> found[0] = area);
    if (ret != 0) {
      throw new AssertionError("cma_init_reserved_mem: " + ret);
    }
    return found[0];
  }

  /** An area of several ranges: pairs of first block and number of blocks. */
  CmaArea ranges(int orderPerBit, long... pairs) {
    long blocks = 0;
    for (int i = 1; i < pairs.length; i += 2) {
      blocks += pairs[i];
    }
    CmaArea area =
        java.util.Objects.requireNonNull(
            cma.cmaNewArea("several", blocks * BLOCK_BYTES, orderPerBit));
    for (int i = 0; i < pairs.length; i += 2) {
      area.ranges.add(new CmaMemrange(FIRST + pairs[i] * BLOCK, pairs[i + 1] * BLOCK));
    }
    return area;
  }

  /** An activated area of one range. */
  CmaArea activated(long firstBlock, long blocks, int orderPerBit) {
    CmaArea area = area(firstBlock, blocks, orderPerBit);
    cma.cmaInitReservedAreas();
    return area;
  }

  long owned(Owner owner) {
    return bench.machine.ledger().count(owner);
  }

  long freeCma() {
    return bench.alloc.nrFreeCmaPages(zone);
  }

  List<String> log() {
    return bench.log().stream().filter(line -> !line.startsWith("WARNING")).toList();
  }

  @Override
  public boolean pfnRangeIntersectsZones(int nid, long startPfn, long nrPages) {
    return crossesZones;
  }

  @Override
  public void initCmaReservedPageblock(Page page) {
    bench.alloc.unreserve(page, BLOCK);
    bench.alloc.initPageblockMigratetype(page, Migratetype.MIGRATE_CMA, false);
    bench.mm.refs().setPageCount(page, 1);
    bench.alloc.freePages(page, bench.mm.config().pageblockOrder());
    bench.alloc.adjustManagedPageCount(page, BLOCK);
  }
}
