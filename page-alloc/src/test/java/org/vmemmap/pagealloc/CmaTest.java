// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.CmaBench.BLOCK;
import static org.vmemmap.pagealloc.CmaBench.BLOCK_BYTES;
import static org.vmemmap.pagealloc.CmaBench.FIRST;
import static org.vmemmap.pagealloc.CmaBench.ROOM;
import static org.vmemmap.pagealloc.CmaBench.addr;

import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Series;

/** Areas of CMA: activation, allocation, release. */
class CmaTest {
  private final CmaBench bench = new CmaBench();
  private final Cma cma = bench.cma;

  private int initReserved(long base, long size) {
    return cma.cmaInitReservedMem(base, size, 0, "x", area -> {});
  }

  private long pfn(Page page) {
    return bench.bench.pfn(page) - FIRST;
  }

  // ---- areas of reserved memory ----

  /** Memory that cannot be an area. Expect -EINVAL for each, and no area. */
  @Test
  void cmaInitReservedMem_badMemory_isInvalid() {
    assertEquals(-Errno.EINVAL, initReserved(addr(FIRST), 0));
    assertEquals(-Errno.EINVAL, initReserved(addr(FIRST + ROOM), BLOCK_BYTES));
    assertEquals(-Errno.EINVAL, initReserved(addr(FIRST + 1), BLOCK_BYTES));
    assertEquals(-Errno.EINVAL, initReserved(addr(FIRST), BLOCK_BYTES / 2));
    assertEquals(List.of(), cma.areas());
    assertEquals(0, bench.bench.alloc.totalcmaPages());
  }

  /** A kernel that does not know its pageblocks yet. Expect -EINVAL and a line. */
  @Test
  void cmaInitReservedMem_noPageblockOrder_isInvalid() {
    MmConfig early =
        new MmConfig.Builder().pageblockOrder(0).deferredStructPageInit(false).build();
    Bench raw = new Bench(early, Placement.NONE);
    Memblock memblock = new Memblock(raw.mm, Placement.NONE);
    memblock.memblockReserve(addr(FIRST), BLOCK_BYTES);
    Cma none = new Cma(raw.mm, memblock, raw.alloc, new Slab(raw.mm, raw.alloc), bench);
    assertEquals(
        -Errno.EINVAL,
        none.cmaInitReservedMem(addr(FIRST), BLOCK_BYTES, 0, null, area -> {}));
    assertEquals(
        List.of("cma: pageblock_order not yet initialized. Called during early boot?"), raw.log());
  }

  /** The kernel has slots for 20 areas. Expect -ENOSPC for the next, and names from cma1 on. */
  @Test
  void cmaInitReservedMem_slotsFull_isNoSpace() {
    for (int i = 0; i < Cma.MAX_CMA_AREAS; i++) {
      bench.area(0, 1, 0);
    }
    assertEquals("cma20", cma.areas().getLast().name());
    assertEquals(-Errno.ENOSPC, initReserved(addr(FIRST), BLOCK_BYTES));
    assertEquals(List.of("cma: Not enough slots for CMA reserved regions!"), bench.log());
    assertEquals(20 * BLOCK, bench.bench.alloc.totalcmaPages());
  }

  /** A name longer than the kernel's field. Expect 63 characters of it. */
  @Test
  void cmaNewArea_longName_isCut() {
    assertEquals(
        "n".repeat(63), Objects.requireNonNull(cma.cmaNewArea("n".repeat(70), 0, 0)).name());
  }

  /** Questions about an area at its first two blocks. Expect the kernel's inclusive end. */
  @Test
  void cmaIntersects_touchingRanges_countTheEndAsInside() {
    CmaArea area = bench.area(1, 2, 0);
    long start = addr(FIRST + BLOCK);
    assertEquals(start, cma.cmaGetBase(area));
    assertEquals(2 * BLOCK_BYTES, cma.cmaGetSize(area));
    assertTrue(cma.cmaIntersects(area, 0, start));
    assertFalse(cma.cmaIntersects(area, 0, start - 1));
    assertFalse(cma.cmaIntersects(area, start + 2 * BLOCK_BYTES, Long.MAX_VALUE));
    assertTrue(cma.cmaIntersects(area, start + 2 * BLOCK_BYTES - 1, Long.MAX_VALUE));
    assertEquals(7, cma.cmaForEachArea(one -> 7));
    assertEquals(0, cma.cmaForEachArea(one -> 0));
  }

  /** The base of an area with two ranges. Expect the first range's, and a warning. */
  @Test
  void cmaGetBase_twoRanges_warns() {
    CmaArea area = bench.ranges(0, 4, 1, 2, 1);
    assertEquals(addr(FIRST + 4 * BLOCK), cma.cmaGetBase(area));
    assertEquals(List.of("cma_get_base: cma->nranges != 1"), bench.bench.warnings());
  }

  // ---- before activation ----

  /**
   * Two ranges of two blocks and one; early memory comes from the bottom of the first that has it.
   *
   * <pre>
   *   | 0 | 1 |   | 3 |      taken: 0, 1, then 3, then nothing
   * </pre>
   *
   * Expect that order, and 0 for sizes that are no whole blocks or bits.
   */
  @Test
  void cmaReserveEarly_severalRanges_fillsThemInOrder() {
    CmaArea area = bench.ranges(10, 0, 2, 3, 1);
    assertEquals(0, cma.cmaReserveEarly(null, BLOCK_BYTES));
    assertEquals(0, cma.cmaReserveEarly(area, BLOCK_BYTES / 2));
    assertEquals(0, cma.cmaReserveEarly(area, BLOCK_BYTES));
    assertEquals(0, cma.cmaReserveEarly(area, 4 * BLOCK_BYTES));
    CmaArea fine = bench.ranges(9, 0, 2, 3, 1);
    long first = cma.cmaReserveEarly(fine, BLOCK_BYTES);
    assertEquals(addr(FIRST), bench.bench.mm.model().pa(first));
    assertEquals(0, cma.cmaReserveEarly(fine, 2 * BLOCK_BYTES));
    assertEquals(first + BLOCK_BYTES, cma.cmaReserveEarly(fine, BLOCK_BYTES));
    assertEquals(first + 3 * BLOCK_BYTES, cma.cmaReserveEarly(fine, BLOCK_BYTES));
    assertEquals(0, cma.cmaReserveEarly(fine, BLOCK_BYTES));
    assertEquals(0, fine.availableCount());
  }

  // ---- activation ----

  /** Four blocks, the first taken early. Expect three free as CMA, and the first bit set. */
  @Test
  void cmaActivateArea_partTakenEarly_freesTheRest() {
    CmaArea area = bench.area(0, 4, 9);
    assertNotEquals(0, cma.cmaReserveEarly(area, BLOCK_BYTES));
    cma.cmaInitReservedAreas();
    assertTrue(area.activated());
    assertEquals(3 * BLOCK, bench.freeCma());
    assertEquals(3 * BLOCK, area.availableCount());
    assertEquals(1, cma.bitsInUse(area));
    assertEquals(Owner.RESERVED, bench.bench.owner(FIRST));
    assertEquals(
        Migratetype.MIGRATE_CMA,
        bench.bench.alloc.getPfnblockMigratetype(bench.bench.page(FIRST + BLOCK), FIRST + BLOCK));
    assertEquals(0, cma.cmaReserveEarly(area, BLOCK_BYTES));
  }

  /**
   * Three ranges; the bitmap of one of them cannot be allocated, alone or from it on. The first
   * block of each range was taken early.
   *
   * <pre>
   *   | E |   |   | E |   |   | E |   |
   * </pre>
   *
   * Expect in all cases that the rest becomes plain free memory, that no bitmap is left, and that
   * the area is empty but stays in its slot.
   */
  @ParameterizedTest
  @CsvSource({"1,false", "2,false", "3,false", "1,true", "2,true", "3,true"})
  void cmaActivateArea_bitmapFails_freesAllAsPlainMemory(long n, boolean from) {
    CmaArea area = bench.ranges(0, 0, 2, 3, 2, 6, 2);
    for (int i = 0; i < 3; i++) {
      area.ranges.get(i).earlyPfn += BLOCK;
    }
    final long slabBefore = bench.owned(Owner.SLAB);
    final long freeBefore = bench.bench.alloc.nrFreePages(bench.zone);
    if (from) {
      bench.bench.machine.faults().failFrom(n, "cma_activate_area"::equals);
    } else {
      bench.bench.machine.faults().failNth(n, "cma_activate_area"::equals);
    }
    cma.cmaInitReservedAreas();

    assertEquals(List.of("cma: CMA area several could not be activated"), bench.log());
    assertFalse(area.activated());
    assertEquals(0, area.count());
    assertEquals(0, bench.bench.alloc.totalcmaPages());
    assertEquals(slabBefore, bench.owned(Owner.SLAB));
    assertEquals(freeBefore + 3 * BLOCK, bench.bench.alloc.nrFreePages(bench.zone));
    assertEquals(0, bench.freeCma());
    assertEquals(Owner.RESERVED, bench.bench.owner(FIRST + 3 * BLOCK));
    assertEquals(Owner.BUDDY, bench.bench.owner(FIRST + 4 * BLOCK));
    assertNull(cma.cmaAlloc(area, 1, 0, false));
    assertFalse(cma.cmaReleaseFrozen(area, bench.bench.page(FIRST), BLOCK));
  }

  /** An area across zones. Expect plain memory, and no second question about the zones. */
  @Test
  void cmaActivateArea_acrossZones_freesAllAsPlainMemory() {
    CmaArea area = bench.area(0, 4, 0);
    bench.crossesZones = true;
    long free = bench.bench.alloc.nrFreePages(bench.zone);
    assertFalse(cma.cmaValidateZones(area));
    bench.crossesZones = false;
    cma.cmaInitReservedAreas();
    assertEquals(free + 4 * BLOCK, bench.bench.alloc.nrFreePages(bench.zone));
    assertFalse(cma.cmaValidateZones(area));
    assertEquals(0, bench.freeCma());
  }

  /** An answer that came before there were zones is kept. Expect "valid" for ever. */
  @Test
  void cmaValidateZones_askedTooEarly_staysValid() {
    CmaArea area = bench.area(0, 1, 0);
    assertTrue(cma.cmaValidateZones(area));
    bench.crossesZones = true;
    assertTrue(cma.cmaValidateZones(area));
  }

  /** The owner wants the pages itself if activation fails. Expect them reserved still. */
  @Test
  void cmaReservePagesOnError_activationFails_keepsThePages() {
    CmaArea area = bench.area(0, 1, 0);
    cma.cmaReservePagesOnError(area);
    bench.crossesZones = true;
    cma.cmaInitReservedAreas();
    assertEquals(Owner.RESERVED, bench.bench.owner(FIRST));
    assertTrue(bench.bench.mm.flags().test(bench.bench.page(FIRST), PageFlags.PG_RESERVED));
    assertEquals(0, area.count());
  }

  /** A range whose section is gone. Expect the warning where patch 14 has put it. */
  @ParameterizedTest
  @CsvSource({"13,cma_validate_zones", "14,cma_activate_area"})
  void cmaActivateArea_pfnNotValid_warns(int level, String function) {
    CmaBench at =
        new CmaBench(
            MmConfig.debianX86().withDebugVm(true).withSeries(Series.at(level)));
    CmaArea area = Objects.requireNonNull(at.cma.cmaNewArea("far", 0, 0));
    area.ranges.add(new CmaMemrange(Bench.GIB / Bench.PAGE, 0));
    at.cma.cmaInitReservedAreas();
    assertEquals(List.of(function + ": !pfn_valid(base_pfn)"), at.bench.warnings());
  }

  // ---- allocation ----

  /** Pages one after the other, and freed. Expect the lowest free ones, with one reference. */
  @Test
  void cmaAlloc_singlePages_comeFromTheBottomUp() {
    CmaArea area = bench.activated(0, 2, 0);
    Page one = Objects.requireNonNull(cma.cmaAlloc(area, 3, 0, false));
    Page two = Objects.requireNonNull(cma.cmaAlloc(area, 1, 0, false));
    assertEquals(0, pfn(one));
    assertEquals(3, pfn(two));
    assertEquals(1, bench.bench.mm.refs().pageRefCount(bench.bench.page(FIRST + 2)));
    assertTrue(cma.cmaRelease(area, one, 3));
    assertEquals(1, cma.bitsInUse(area));
    assertEquals(2 * BLOCK - 1, area.availableCount());
    assertEquals(2, cma.allocSuccess());
    assertEquals(2 * BLOCK - 1, bench.freeCma());
  }

  /** An alignment larger than a bit, in a range that is not aligned to it. Expect the pfn to be. */
  @Test
  void cmaAllocFrozen_aligned_countsFromPfnNotFromTheRange() {
    CmaArea area = bench.activated(1, 4, 0);
    Page page = Objects.requireNonNull(cma.cmaAllocFrozen(area, 4, 10, false));
    assertEquals(2 * BLOCK, pfn(page));
    assertEquals(0, bench.bench.mm.refs().pageRefCount(page));
  }

  /** A compound page of a pageblock. Expect head and order, and all of it back at release. */
  @Test
  void cmaAllocFrozenCompound_pageblock_isOnePage() {
    CmaArea area = bench.activated(0, 2, 9);
    Page page = Objects.requireNonNull(cma.cmaAllocFrozenCompound(area, 9));
    assertTrue(bench.bench.mm.flags().pageHead(page));
    assertEquals(BLOCK, bench.freeCma());
    assertTrue(cma.cmaReleaseFrozen(area, page, BLOCK));
    assertEquals(2 * BLOCK, bench.freeCma());
    assertEquals(0, cma.bitsInUse(area));
  }

  /**
   * Somebody holds a page of the first block, which cannot be moved.
   *
   * <pre>
   *   | busy  | free  |
   * </pre>
   *
   * Expect the second block, and the first one's bits clear again.
   */
  @Test
  void cmaAllocFrozen_firstBlockBusy_takesTheNext() {
    CmaArea area = bench.activated(0, 2, 9);
    assertEquals(0, bench.bench.alloc.allocContigFrozenRange(FIRST, FIRST + 1, true, Gfp.KERNEL));
    bench.bench.mm.printk().setDebug(true);
    Page page = Objects.requireNonNull(cma.cmaAllocFrozen(area, BLOCK, 9, false));
    assertEquals(BLOCK, pfn(page));
    assertEquals(1, cma.bitsInUse(area));
    assertTrue(
        bench.log().contains(
            "cma: cma_range_alloc(): memory range at pfn 0x2000 is busy, retrying"));
    assertNull(cma.cmaAllocFrozen(area, BLOCK, 9, true));
    assertEquals(BLOCK, area.availableCount());
    assertEquals(1, cma.allocFail());
  }

  /** Two ranges, the first too short for the request. Expect pages of the second. */
  @Test
  void cmaAllocFrozen_firstRangeTooShort_takesTheSecond() {
    CmaArea area = bench.ranges(0, 0, 1, 4, 2);
    cma.cmaInitReservedAreas();
    Page page = Objects.requireNonNull(cma.cmaAllocFrozen(area, 2 * BLOCK, 0, false));
    assertEquals(4 * BLOCK, pfn(page));
  }

  /** Nothing is left. Expect null, and what is free said aloud unless the caller wants silence. */
  @Test
  void cmaAllocFrozen_noRoom_saysWhatIsFree() {
    CmaArea area = bench.activated(0, 2, 0);
    assertNotNull(cma.cmaAllocFrozen(area, 5, 0, false));
    assertNotNull(cma.cmaAllocFrozen(area, BLOCK, 9, false));
    assertNull(cma.cmaAllocFrozen(area, BLOCK, 0, true));
    assertEquals(List.of(), bench.log());
    assertNull(cma.cmaAllocFrozen(area, BLOCK, 0, false));
    assertEquals(
        List.of(
            "cma: __cma_alloc_frozen: cma1: alloc failed, req-size: 512 pages, ret: -16",
            "cma: number of available pages: ",
            "cma: range 0: +507@5",
            "cma: ",
            "=> 507 free of 1024 total pages"),
        bench.log());
    assertNull(cma.cmaAllocFrozen(area, 0, 0, false));
    assertNull(cma.cmaAllocFrozen(null, 1, 0, false));
  }

  /** Another error than "busy". Expect that no further place is tried. */
  @Test
  void cmaAllocFrozen_otherError_givesUp() {
    CmaArea area = bench.activated(0, 2, 0);
    bench.bench.alloc.setHugetlbHooks(
        new HugetlbHooks() {
          @Override
          public int replaceFreeHugepageFolios(long startPfn, long endPfn) {
            return -Errno.ENOMEM;
          }
        },
        PageMigration.NONE);
    assertNull(cma.cmaAllocFrozen(area, 1, 0, false));
    assertTrue(bench.log().getFirst().endsWith("req-size: 1 pages, ret: -12"), bench.log()::toString);
    assertEquals(0, cma.bitsInUse(area));
    assertEquals(2 * BLOCK, bench.freeCma());
  }

  // ---- release ----

  /** Pages of somebody else. Expect false, and nothing freed. */
  @Test
  void cmaRelease_foreignPages_isRefused() {
    CmaArea area = bench.activated(0, 2, 0);
    Page page = Objects.requireNonNull(cma.cmaAlloc(area, 2, 0, false));
    assertFalse(cma.cmaRelease(area, bench.bench.page(FIRST + 5 * BLOCK), 1));
    assertFalse(cma.cmaRelease(area, page, 3 * BLOCK));
    assertFalse(cma.cmaRelease(null, page, 2));
    assertEquals(List.of(), bench.bench.warnings());
    assertFalse(cma.cmaReleaseFrozen(area, bench.bench.page(FIRST + 2 * BLOCK - 1), 2));
    assertEquals(
        List.of("find_cma_memrange: pfn + count > end_pfn"), bench.bench.warnings());
    assertEquals(2, cma.bitsInUse(area));
  }

  /** A page that somebody else holds, too. Expect a warning; the kernel frees it all the same. */
  @Test
  void cmaRelease_pageStillHeld_warns() {
    CmaArea area = bench.activated(0, 1, 0);
    Page page = Objects.requireNonNull(cma.cmaAlloc(area, 2, 0, false));
    bench.bench.refcount(FIRST + 1, 2);
    assertTrue(cma.cmaRelease(area, page, 2));
    assertEquals("cma_release: 1 pages are still in use!", bench.bench.warnings().getFirst());
    assertEquals(0, cma.bitsInUse(area));
  }
}
