// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.GIB;
import static org.vmemmap.pagealloc.Bench.MIB;
import static org.vmemmap.pagealloc.Bench.PAGE;
import static org.vmemmap.pagealloc.Memblock.ALLOC_ACCESSIBLE;
import static org.vmemmap.pagealloc.Memblock.NUMA_NO_NODE;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Owner;
import org.vmemmap.types.ZoneType;

/** memblock: two lists of ranges, and what is carved from between them. */
class MemblockTest {
  private static final long RAM = 64 * MIB;
  private static final long RAM_END = 128 * MIB;

  private final Bench bench = new Bench();
  private final Memblock memblock = new Memblock(bench.mm, Placement.NONE);

  private static String text(List<Memblock.MemRange> ranges) {
    StringBuilder text = new StringBuilder();
    for (Memblock.MemRange r : ranges) {
      text.append("[%dM-%dM)n%d%s ".formatted(
          r.start() / MIB, r.end() / MIB, r.nid(), r.noinit() ? "!" : ""));
    }
    return text.toString().strip();
  }

  private String memory() {
    return text(memblock.memRanges());
  }

  private String reserved() {
    return text(memblock.reservedRanges());
  }

  /** 64 MiB of memory at 64 MiB. */
  private void oneRange() {
    memblock.memblockAddNode(RAM, RAM_END - RAM, 0);
  }

  // ---- adding ----

  /**
   * Two ranges that touch become one.
   *
   * <pre>
   *   |---1---|---2---|   to   |-------1-------|
   * </pre>
   *
   * Expect one region of 2 MiB.
   */
  @Test
  void memblockAddNode_neighboursOfOneNode_merge() {
    memblock.memblockAddNode(64 * MIB, MIB, 0);
    memblock.memblockAddNode(65 * MIB, MIB, 0);
    assertEquals("[64M-66M)n0", memory());
  }

  /** Two ranges that touch but lie on two nodes stay two. Expect two regions. */
  @Test
  void memblockAddNode_neighboursOfTwoNodes_stayApart() {
    memblock.memblockAddNode(64 * MIB, MIB, 0);
    memblock.memblockAddNode(65 * MIB, MIB, 1);
    assertEquals("[64M-65M)n0 [65M-66M)n1", memory());
  }

  /**
   * A range that lies over others fills the gaps between them.
   *
   * <pre>
   *      |--1--|     |--2--|
   *   |-----------3-----------|
   * </pre>
   *
   * Expect one region from the start to the end of the third.
   */
  @Test
  void memblockAddNode_overlapsTwo_fillsTheGaps() {
    memblock.memblockAddNode(65 * MIB, MIB, 0);
    memblock.memblockAddNode(67 * MIB, MIB, 0);
    memblock.memblockAddNode(64 * MIB, 5 * MIB, 0);
    assertEquals("[64M-69M)n0", memory());
    assertEquals(5 * MIB, memblock.memblockPhysMemSize());
  }

  /** A range inside another adds nothing. Expect the size unchanged. */
  @Test
  void memblockAddNode_insideAnother_changesNothing() {
    oneRange();
    memblock.memblockAddNode(70 * MIB, MIB, 0);
    assertEquals("[64M-128M)n0", memory());
    assertEquals(64 * MIB, memblock.memblockPhysMemSize());
  }

  /** A range of no bytes. Expect no region. */
  @Test
  void memblockAddNode_noBytes_isIgnored() {
    assertEquals(0, memblock.memblockAddNode(RAM, 0, 0, Memblock.MEMBLOCK_NONE));
    assertEquals("", memory());
  }

  /** The lower part of a new range is of another node than the memory it runs into. Expect the
   * warning about the node. */
  @Test
  void memblockAddNode_overlapsAnotherNode_warns() {
    memblock.memblockAddNode(65 * MIB, MIB, 1);
    memblock.memblockAddNode(64 * MIB, 2 * MIB, 0);
    assertEquals(
        List.of("memblock_add_range: nid != memblock_get_region_node(rgn)"), bench.warnings());
  }

  /** Flags that differ from those of the range that is run into. Expect the warning about flags. */
  @Test
  void memblockReserveKern_overlapsPlainReservation_warns() {
    memblock.memblockReserve(65 * MIB, MIB);
    memblock.memblockReserveKern(64 * MIB, 2 * MIB);
    assertEquals(
        List.of("memblock_add_range: flags != MEMBLOCK_NONE && flags != rgn->flags"),
        bench.warnings());
  }

  /** The array is full and cannot grow. Expect -ENOMEM, the message, and no new region. */
  @Test
  void memblockAddNode_arrayCannotGrow_returnsEnomem() {
    bench.failAll("memblock_double_array");
    int rc = 0;
    for (long i = 0; rc == 0 && i < 1000; i++) {
      rc = memblock.memblockAddNode(RAM + 2 * i * PAGE, PAGE, 0, Memblock.MEMBLOCK_NONE);
    }
    assertEquals(-Errno.ENOMEM, rc);
    assertEquals(128, memblock.memRanges().size());
    assertEquals(
        List.of("memblock: Failed to double memory array from 128 to 256 entries !"), bench.log());
  }

  /** The array is full and may not grow yet. Expect a panic. */
  @Test
  void memblockAddNode_arrayMayNotGrow_panics() {
    memblock.memblockAllowResize(false);
    assertThrows(
        KernelPanic.class,
        () -> {
          for (long i = 0; i < 200; i++) {
            memblock.memblockAddNode(RAM + 2 * i * PAGE, PAGE, 0);
          }
        });
  }

  /** More ranges than the first array holds. Expect all of them. */
  @Test
  void memblockAddNode_manyRanges_doublesTheArray() {
    for (long i = 0; i < 300; i++) {
      memblock.memblockAddNode(RAM + 2 * i * PAGE, PAGE, 0);
    }
    assertEquals(300, memblock.memRanges().size());
  }

  // ---- removing, flags, nodes ----

  /**
   * The middle of a region is freed.
   *
   * <pre>
   *   |-------------|   to   |---|     |---|
   * </pre>
   *
   * Expect two reserved regions.
   */
  @Test
  void memblockPhysFree_middle_splits() {
    oneRange();
    memblock.memblockReserve(64 * MIB, 4 * MIB);
    memblock.memblockPhysFree(65 * MIB, MIB);
    assertEquals("[64M-65M)n-1 [66M-68M)n-1", reserved());
    assertEquals(3 * MIB, memblock.memblockReservedSize());
  }

  /** Memory is taken away at its end. Expect the rest, and frames that belong to nobody. */
  @Test
  void memblockRemove_end_shortens() {
    oneRange();
    assertEquals(0, memblock.memblockRemove(127 * MIB, 10 * MIB));
    assertEquals("[64M-127M)n0", memory());
    assertEquals(Owner.NONE, bench.owner((127 * MIB) >> 12));
  }

  /** Removing splits, and the array cannot grow. Expect -ENOMEM and everything as it was. */
  @Test
  void memblockRemove_arrayCannotGrow_returnsEnomem() {
    for (long i = 0; i < 127; i++) {
      memblock.memblockAddNode(RAM + 4 * i * PAGE, 3 * PAGE, 0);
    }
    bench.failAll("memblock_double_array");
    assertEquals(-Errno.ENOMEM, memblock.memblockRemove(RAM + PAGE, PAGE));
    assertEquals(-Errno.ENOMEM, memblock.memblockMarkNomap(RAM + PAGE, PAGE));
    assertEquals(127, memblock.memRanges().size());
  }

  /** Part of a reservation is marked; its neighbours are not. Expect three regions. */
  @Test
  void memblockReservedMarkNoinit_part_isolatesIt() {
    memblock.memblockReserve(64 * MIB, 3 * MIB);
    memblock.memblockReservedMarkNoinit(65 * MIB, MIB);
    assertEquals("[64M-65M)n-1 [65M-66M)n-1! [66M-67M)n-1", reserved());
  }

  /** A mark that is set and cleared again. Expect one region as before. */
  @Test
  void memblockClearHotplug_afterMark_mergesAgain() {
    oneRange();
    memblock.memblockMarkHotplug(70 * MIB, MIB);
    assertEquals(3, memblock.memRanges().size());
    memblock.memblockClearHotplug(70 * MIB, MIB);
    assertEquals("[64M-128M)n0", memory());
  }

  /** A node is given to the upper half. Expect a region for each node. */
  @Test
  void memblockSetNode_half_splits() {
    memblock.memblockAdd(RAM, 64 * MIB);
    memblock.memblockSetNode(RAM, 32 * MIB, 0);
    memblock.memblockSetNode(96 * MIB, 32 * MIB, 1);
    assertEquals("[64M-96M)n0 [96M-128M)n1", memory());
    assertEquals(1, memblock.memblockSearchPfnNid((100 * MIB) >> 12));
    assertEquals(NUMA_NO_NODE, memblock.memblockSearchPfnNid(1));
  }

  // ---- iterating ----

  /**
   * Free ranges are memory less reservations.
   *
   * <pre>
   *   memory    |--------|     |--------|
   *   reserved     |--------------|   |-|
   *   free      |--|              |---|
   * </pre>
   *
   * Expect the two pieces at the outer ends, and per node only that node's.
   */
  @Test
  void freeMemRanges_reservationOverAHole_givesTheRest() {
    memblock.memblockAddNode(64 * MIB, 8 * MIB, 0);
    memblock.memblockAddNode(80 * MIB, 8 * MIB, 1);
    memblock.memblockReserve(66 * MIB, 16 * MIB);
    memblock.memblockReserve(86 * MIB, 2 * MIB);
    assertEquals("[64M-66M)n0 [82M-86M)n1", text(memblock.freeMemRanges(NUMA_NO_NODE)));
    assertEquals("[82M-86M)n1", text(memblock.freeMemRanges(1)));
  }

  /** Ranges that begin and end inside pages. Expect only whole pages, and no empty range. */
  @Test
  void memPfnRanges_partialPages_areCut() {
    memblock.memblockAddNode(RAM + 100, 3 * PAGE, 0);
    memblock.memblockAddNode(RAM + 20 * PAGE + 1, PAGE, 1);
    long first = RAM / PAGE;
    assertEquals(
        List.of(new Memblock.MemPfnRange(0, first + 1, first + 3, 0)), memblock.memPfnRanges(-1));
  }

  // ---- allocating ----

  /**
   * Allocations come from the top.
   *
   * <pre>
   *   |                    |xx|
   * </pre>
   *
   * Expect the highest aligned place, then the one below it, merged into one region.
   */
  @Test
  void memblockPhysAllocRange_topDown_takesTheHighest() {
    oneRange();
    assertEquals(126 * MIB, memblock.memblockPhysAllocRange(2 * MIB, 2 * MIB, 0, ALLOC_ACCESSIBLE));
    assertEquals(124 * MIB, memblock.memblockPhysAllocRange(MIB, 2 * MIB, 0, ALLOC_ACCESSIBLE));
    assertEquals("[124M-125M)n-1 [126M-128M)n-1", reserved());
  }

  /** The same from the bottom. Expect the lowest aligned place. */
  @Test
  void memblockPhysAllocRange_bottomUp_takesTheLowest() {
    oneRange();
    memblock.memblockSetBottomUp(true);
    memblock.memblockReserve(64 * MIB, PAGE);
    assertTrue(memblock.memblockBottomUp());
    assertEquals(66 * MIB, memblock.memblockPhysAllocRange(MIB, 2 * MIB, 0, ALLOC_ACCESSIBLE));
  }

  /** Limits that leave exactly one place. Expect that place, and 0 once it is taken. */
  @Test
  void memblockPhysAllocRange_limits_areKept() {
    oneRange();
    assertEquals(80 * MIB, memblock.memblockPhysAllocRange(MIB, MIB, 80 * MIB, 81 * MIB));
    assertEquals(0, memblock.memblockPhysAllocRange(MIB, MIB, 80 * MIB, 81 * MIB));
  }

  /** Physical page 0 is memory. Expect that it is never handed out. */
  @Test
  void memblockPhysAllocRange_pageZero_isNotUsed() {
    memblock.memblockAddNode(0, 2 * PAGE, 0);
    assertEquals(PAGE, memblock.memblockPhysAllocRange(PAGE, PAGE, 0, ALLOC_ACCESSIBLE));
    assertEquals(0, memblock.memblockPhysAllocRange(PAGE, PAGE, 0, ALLOC_ACCESSIBLE));
  }

  /** The wanted node is full. Expect memory of the other one, unless the node is a must. */
  @Test
  void memblockAllocTryNidRaw_nodeFull_fallsBack() {
    memblock.memblockAddNode(64 * MIB, MIB, 0);
    memblock.memblockAddNode(65 * MIB, MIB, 1);
    memblock.memblockReserve(65 * MIB, MIB);
    assertEquals(0, memblock.memblockAllocExactNidRaw(PAGE, PAGE, 0, ALLOC_ACCESSIBLE, 1));
    long va = memblock.memblockAllocTryNidRaw(PAGE, PAGE, 0, ALLOC_ACCESSIBLE, 1);
    assertEquals(65 * MIB - PAGE, bench.mm.model().pa(va));
  }

  /** Nothing above the wanted minimum. Expect memory below it. */
  @Test
  void memblockAllocTryNidRaw_nothingAboveMinimum_dropsIt() {
    oneRange();
    long va = memblock.memblockAllocTryNidRaw(PAGE, PAGE, 512 * MIB, ALLOC_ACCESSIBLE, 0);
    assertEquals(RAM_END - PAGE, bench.mm.model().pa(va));
  }

  /** The current limit lies below all memory but one page. Expect that page. */
  @Test
  void memblockAlloc_currentLimit_bounds() {
    oneRange();
    memblock.memblockSetCurrentLimit(RAM + PAGE);
    assertEquals(RAM, bench.mm.model().pa(memblock.memblockAlloc(PAGE, PAGE)));
    assertEquals(0, memblock.memblockAlloc(PAGE, PAGE));
  }

  /** Zeroed and raw allocation from dirty memory. Expect zeros in the first only. */
  @Test
  void memblockAllocNode_dirtyMemory_isZeroed() {
    oneRange();
    bench.machine.memory().setLong(RAM_END - 8, 7);
    long raw = memblock.memblockAllocTryNidRaw(64, 64, 0, ALLOC_ACCESSIBLE, 0);
    assertEquals(7, bench.machine.cpu().readLong(raw + 56));
    memblock.memblockFree(raw, 64);
    long va = memblock.memblockAllocNode(64, 64, 0);
    assertEquals(raw, va);
    assertEquals(0, bench.machine.cpu().readLong(va + 56));
  }

  /**
   * Injected failure. Expect 0, the same for a hugepage, and a panic where the kernel cannot go
   * on.
   */
  @Test
  void memblockAlloc_failureInjected_returnsNull() {
    oneRange();
    bench.machine.faults().failFrom(1, site -> site.startsWith("memblock_alloc"));
    assertEquals(0, memblock.memblockAlloc(PAGE, PAGE));
    assertEquals(0, memblock.memblockAllocHugetlb(2 * MIB, 0, true));
    assertThrows(KernelPanic.class, () -> memblock.memblockAllocOrPanic(PAGE, PAGE));
    assertEquals("", reserved());
  }

  /** A reservation for which the array cannot grow. Expect 0 from every way to allocate. */
  @Test
  void memblockAlloc_cannotReserve_returnsNull() {
    memblock.memblockAddNode(RAM, 512 * MIB, 0);
    for (long i = 0; i < 128; i++) {
      memblock.memblockReserve(RAM + 2 * i * PAGE, PAGE);
    }
    bench.failAll("memblock_double_array");
    assertEquals(0, memblock.memblockAlloc(PAGE, PAGE));
    assertEquals(0, memblock.memblockAllocHugetlb(2 * MIB, NUMA_NO_NODE, false));
  }

  /** Only part of the memory is mirrored, and it is full. Expect a message and other memory. */
  @Test
  void memblockAlloc_mirrorFull_usesOtherMemory() {
    memblock.memblockAddNode(64 * MIB, 2 * MIB, 0);
    memblock.memblockMarkMirror(64 * MIB, MIB);
    assertTrue(memblock.memblockHasMirror());
    assertEquals(65 * MIB - PAGE, bench.mm.model().pa(memblock.memblockAlloc(PAGE, PAGE)));
    assertEquals(65 * MIB, bench.mm.model().pa(memblock.memblockAlloc(MIB, MIB)));
    assertEquals(
        List.of("Could not allocate 0x100000 bytes of mirrored memory"), bench.log());
  }

  /** Hotpluggable memory with movable_node. Expect that the kernel keeps off it. */
  @Test
  void memblockAlloc_movableNode_avoidsHotplugMemory() {
    oneRange();
    memblock.memblockMarkHotplug(96 * MIB, 32 * MIB);
    memblock.setMovableNode(true);
    assertEquals(96 * MIB - PAGE, bench.mm.model().pa(memblock.memblockAlloc(PAGE, PAGE)));
  }

  /** Hugepages on a full node. Expect the other node, or 0 when the node is a must. */
  @Test
  void memblockAllocHugetlb_nodeFull_fallsBackUnlessExact() {
    memblock.memblockAddNode(64 * MIB, 16 * MIB, 0);
    memblock.memblockAddNode(80 * MIB, 16 * MIB, 1);
    assertEquals(88 * MIB, bench.mm.model().pa(memblock.memblockAllocHugetlb(8 * MIB, 1, true)));
    assertEquals(80 * MIB, bench.mm.model().pa(memblock.memblockAllocHugetlb(8 * MIB, 1, true)));
    assertEquals(0, memblock.memblockAllocHugetlb(8 * MIB, 1, true));
    assertEquals(72 * MIB, bench.mm.model().pa(memblock.memblockAllocHugetlb(8 * MIB, 1, false)));
    assertEquals(24 * MIB, memblock.memblockReservedHugetlbSize(GIB, NUMA_NO_NODE));
    assertEquals(16 * MIB, memblock.memblockReservedKernSize(GIB, 1));
  }

  // ---- placement ----

  private static Placement placement(long nextPfn, long keptStart, long keptEnd) {
    return new Placement() {
      @Override
      public long next(int order, int nid) {
        return nextPfn;
      }

      @Override
      public boolean kept(long startPfn, long endPfn) {
        return startPfn < keptEnd && keptStart < endPfn;
      }
    };
  }

  /**
   * The top half of memory is kept for hugepages.
   *
   * <pre>
   *   |      free      |     kept     |
   *                  ^ here
   * </pre>
   *
   * Expect a small allocation below the kept part, and inside it once nothing else is left.
   */
  @Test
  void memblockAlloc_keptRange_isUsedLast() {
    long half = 96 * MIB;
    Memblock placed =
        new Memblock(bench.mm, placement(-1, half / PAGE, RAM_END / PAGE));
    placed.memblockAddNode(RAM, 64 * MIB, 0);
    assertEquals(half - PAGE, bench.mm.model().pa(placed.memblockAlloc(PAGE, PAGE)));
    placed.memblockReserve(RAM, 32 * MIB);
    assertEquals(RAM_END - PAGE, bench.mm.model().pa(placed.memblockAlloc(PAGE, PAGE)));
  }

  /** The same from the bottom. Expect the first page behind the kept part. */
  @Test
  void memblockAlloc_keptRangeBottomUp_isPassedOver() {
    Memblock placed = new Memblock(bench.mm, placement(-1, RAM / PAGE, 70 * MIB / PAGE));
    placed.memblockAddNode(RAM, 64 * MIB, 0);
    placed.memblockSetBottomUp(true);
    assertEquals(70 * MIB, bench.mm.model().pa(placed.memblockAlloc(PAGE, PAGE)));
  }

  /** A hugepage with a place. Expect that place; once taken, the usual search. */
  @Test
  void memblockAllocHugetlb_placed_takesThatPlace() {
    Memblock placed = new Memblock(bench.mm, placement(80 * MIB / PAGE, 0, 0));
    placed.memblockAddNode(RAM, 64 * MIB, 0);
    assertEquals(80 * MIB, bench.mm.model().pa(placed.memblockAllocHugetlb(16 * MIB, 0, false)));
    assertEquals(112 * MIB, bench.mm.model().pa(placed.memblockAllocHugetlb(16 * MIB, 0, false)));
  }

  // ---- the ledger ----

  /**
   * Frames change hands with memory and reservations.
   *
   * <pre>
   *   before   ?  ?  ?  ?        NONE
   *   add      M  M  M  M        MEMBLOCK
   *   64 bytes M  R  M  M        RESERVED, the whole frame
   *   free     M  M  M  M
   * </pre>
   *
   * Expect the owners as drawn, also when two reservations share a frame.
   */
  @Test
  void memblock_reserveAndFree_booksFrames() {
    long pfn = RAM / PAGE + 1;
    assertEquals(Owner.NONE, bench.owner(pfn));
    oneRange();
    assertEquals(Owner.MEMBLOCK, bench.owner(pfn));
    memblock.memblockReserve(RAM + PAGE, 64);
    memblock.memblockReserve(RAM + PAGE + 128, 64);
    assertEquals(Owner.RESERVED, bench.owner(pfn));
    memblock.memblockPhysFree(RAM + PAGE, 64);
    assertEquals(Owner.RESERVED, bench.owner(pfn));
    memblock.memblockPhysFree(RAM + PAGE + 128, 64);
    assertEquals(Owner.MEMBLOCK, bench.owner(pfn));
  }

  /** A range is reserved before it is known to be memory. Expect it reserved when it is added. */
  @Test
  void memblockAddNode_reservedBefore_booksAsReserved() {
    memblock.memblockReserve(RAM, PAGE);
    assertEquals(Owner.NONE, bench.owner(RAM / PAGE));
    oneRange();
    assertEquals(Owner.RESERVED, bench.owner(RAM / PAGE));
    assertEquals(Owner.MEMBLOCK, bench.owner(RAM / PAGE + 1));
  }

  // ---- questions ----

  /** Addresses at the edges. Expect the first byte inside, the last one behind outside. */
  @Test
  void memblockIsMemory_edges_areExact() {
    oneRange();
    memblock.memblockReserve(70 * MIB, MIB);
    assertTrue(memblock.memblockIsMemory(RAM));
    assertFalse(memblock.memblockIsMemory(RAM_END));
    assertFalse(memblock.memblockIsMemory(RAM - 1));
    assertTrue(memblock.memblockIsReserved(71 * MIB - 1));
    assertFalse(memblock.memblockIsReserved(71 * MIB));
    assertTrue(memblock.memblockIsRegionReserved(60 * MIB, 11 * MIB));
    assertFalse(memblock.memblockIsRegionReserved(60 * MIB, 10 * MIB));
    assertTrue(memblock.memblockIsRegionMemory(RAM, 64 * MIB));
    assertFalse(memblock.memblockIsRegionMemory(RAM, 65 * MIB));
    assertEquals(RAM, memblock.memblockStartOfDRAM());
    assertEquals(RAM_END, memblock.memblockEndOfDRAM());
  }

  /** Memory without a linear mapping. Expect memory, but no map memory, and not free. */
  @Test
  void memblockMarkNomap_range_isNotFree() {
    oneRange();
    memblock.memblockMarkNomap(RAM, MIB);
    assertTrue(memblock.memblockIsMemory(RAM));
    assertFalse(memblock.memblockIsMapMemory(RAM));
    assertEquals("[65M-128M)n0", text(memblock.freeMemRanges(NUMA_NO_NODE)));
  }

  // ---- the end ----

  /** Records the upcalls. */
  private static class Upcalls implements Memblock.PageInit {
    final List<String> calls = new ArrayList<>();

    @Override
    public void memblockFreePages(long pfn, int order) {
      calls.add("free " + pfn + " order " + order);
    }

    @Override
    public void initDeferredPage(long pfn, int nid) {
      calls.add("deferred " + pfn);
    }

    @Override
    public void initSinglePageReserved(long startPfn, long endPfn, int nid) {
      calls.add("reserved " + startPfn + "-" + endPfn + " node " + nid);
    }
  }

  /**
   * All free memory goes to the page allocator, in blocks as large as their address allows.
   *
   * <pre>
   *   pfn  16384  16385        16386            16388        16391   16392
   *         | R   | free order 0| free order 1   | free 1 | 0 | NOINIT |
   * </pre>
   *
   * Expect reserved pages on their memory's node, none for the noinit one, and the orders as drawn.
   */
  @Test
  void memblockFreeAll_reservedAndFree_callsForEach() {
    memblock.memblockAddNode(RAM, 8 * PAGE, 1);
    memblock.memblockReserve(RAM, 100);
    memblock.memblockReserve(RAM + 7 * PAGE, PAGE);
    memblock.memblockReservedMarkNoinit(RAM + 7 * PAGE, PAGE);
    bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL).managedPages = 5;
    Upcalls upcalls = new Upcalls();
    memblock.memblockFreeAll(upcalls);
    assertEquals(
        List.of(
            "reserved 16384-16385 node 1",
            "free 16385 order 0",
            "free 16386 order 1",
            "free 16388 order 1",
            "free 16390 order 0"),
        upcalls.calls);
    assertEquals(0, bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL).managedPages);
  }

  /** Reserved memory that is in no memory region, and memory that is not mapped. Expect node 0 for
   * the first, and the second marked as reserved. */
  @Test
  void memblockFreeAll_hole_isMarkedOnNodeZero() {
    memblock.memblockAddNode(RAM, 2 * PAGE, 1);
    memblock.memblockMarkNomap(RAM, PAGE);
    memblock.memblockReserve(RAM + 10 * PAGE, PAGE);
    Upcalls upcalls = new Upcalls();
    memblock.memblockFreeAll(upcalls);
    assertEquals(
        List.of(
            "reserved 16384-16385 node 1", "reserved 16394-16395 node 0", "free 16385 order 0"),
        upcalls.calls);
  }

  /** Blocks are limited by MAX_PAGE_ORDER. Expect 4 MiB blocks. */
  @Test
  void memblockFreeAll_largeRange_usesMaxPageOrder() {
    memblock.memblockAddNode(RAM, 9 * MIB, 0);
    Upcalls upcalls = new Upcalls();
    memblock.memblockFreeAll(upcalls);
    assertEquals(
        List.of("free 16384 order 10", "free 17408 order 10", "free 18432 order 8"),
        upcalls.calls);
  }

  // ---- once slab is up ----

  /** An allocation after slab is up. Expect the warning, and memory from slab. */
  @Test
  void memblockAlloc_slabIsUp_warnsAndUsesSlab() {
    bench.freeZone(ZoneType.ZONE_NORMAL, Bench.FIRST, Bench.MAX_BLOCK);
    Slab slab = new Slab(bench.mm, bench.alloc);
    memblock.attach(slab, bench.alloc);
    slab.setAvailable();
    long paddr = memblock.memblockPhysAllocTryNid(64, 64, 0);
    assertEquals(Owner.SLAB, bench.owner(paddr / PAGE));
    assertEquals(List.of("memblock_alloc_range_nid: slab_is_available()"), bench.warnings());
    bench.failAll("memblock_alloc_range_nid");
    assertEquals(0, memblock.memblockPhysAllocTryNid(64, 64, 0));
  }

  /** Boot memory freed after slab is up. Expect it in the page allocator; while struct pages are
   * deferred, a warning and nothing. */
  @Test
  void memblockPhysFree_slabIsUp_goesToThePageAllocator() {
    bench.zone(0, ZoneType.ZONE_NORMAL, Bench.FIRST, Bench.MAX_BLOCK);
    Slab slab = new Slab(bench.mm, bench.alloc);
    memblock.attach(slab, bench.alloc);
    slab.setAvailable();
    bench.alloc.setDeferredGrow((zone, order) -> false);
    memblock.kmemleak().kmemleakAllocPhys(Bench.FIRST * PAGE, 2 * PAGE);
    memblock.memblockPhysFree(Bench.FIRST * PAGE, 2 * PAGE);
    assertEquals(1, bench.warnings().size());
    bench.alloc.setDeferredGrow(null);
    memblock.kmemleak().kmemleakAllocPhys(Bench.FIRST * PAGE, 2 * PAGE);
    memblock.memblockPhysFree(Bench.FIRST * PAGE, 2 * PAGE);
    assertTrue(bench.alloc.isFreeBuddyPage(bench.page(Bench.FIRST + 1)));
    assertEquals(2, bench.alloc.totalramPages());
  }

  /** A limit and an estimate. Expect all memory less the kernel's own. */
  @Test
  void memblockEstimatedNrFreePages_kernelMemory_isLeftOut() {
    oneRange();
    memblock.memblockReserve(RAM, MIB);
    memblock.memblockAlloc(MIB, PAGE);
    assertEquals(63 * MIB / PAGE, memblock.memblockEstimatedNrFreePages());
  }

  /** The real page allocator as receiver, deferred or not. Expect frames with the buddy. */
  @Test
  void memblockFreeAll_pageAllocator_ownsTheFrames() {
    long start = Bench.FIRST * PAGE;
    bench.zone(0, ZoneType.ZONE_NORMAL, Bench.FIRST, Bench.MAX_BLOCK);
    memblock.memblockAddNode(start, Bench.MAX_BLOCK * PAGE, 0);
    memblock.attach(new Slab(bench.mm, bench.alloc), bench.alloc);
    Upcalls upcalls =
        new Upcalls() {
          @Override
          public void memblockFreePages(long pfn, int order) {
            bench.alloc.freePagesCore(bench.page(pfn), order, false);
          }
        };
    memblock.memblockFreeAll(upcalls);
    assertEquals(Owner.BUDDY, bench.owner(Bench.FIRST));
    assertEquals(Bench.MAX_BLOCK, bench.alloc.totalramPages());
  }
}
