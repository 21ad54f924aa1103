// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import org.vmemmap.types.Owner;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** memblock at its edges: full arrays, shared frames, ends of ranges, flags of all kinds. */
class MemblockEdgesTest {
  private static final long RAM = 64 * MIB;
  private static final int MAX = 128;

  private final Bench bench = new Bench();
  private final Memblock memblock = new Memblock(bench.mm, Placement.NONE);

  private static String text(List<Memblock.MemRange> ranges) {
    StringBuilder text = new StringBuilder();
    for (Memblock.MemRange r : ranges) {
      text.append(
          "[%dM-%dM)n%d:%x ".formatted(r.start() / MIB, r.end() / MIB, r.nid(), r.flags()));
    }
    return text.toString().strip();
  }

  private void ram() {
    memblock.memblockAddNode(RAM, 64 * MIB, 0);
  }

  // ---- flags and nodes ----

  /** Each flag of memory is set on a part, and cleared. Expect the part marked, then one region. */
  @Test
  void memblockMarkAndClear_eachFlag_isThere() {
    ram();
    assertEquals(0, memblock.memblockMarkHotplug(RAM, MIB));
    assertTrue(memblock.memRanges().getFirst().isHotpluggable());
    assertFalse(memblock.memRanges().getLast().isHotpluggable());
    assertEquals(0, memblock.memblockMarkNomap(RAM, MIB));
    assertEquals("[64M-65M)n0:5 [65M-128M)n0:0", text(memblock.memRanges()));
    assertFalse(memblock.memblockIsMapMemory(RAM));
    assertEquals(0, memblock.memblockClearNomap(RAM, MIB));
    assertTrue(memblock.memblockIsMapMemory(RAM));
    assertEquals("[64M-65M)n0:1 [65M-128M)n0:0", text(memblock.memRanges()));
    assertEquals(0, memblock.memblockClearHotplug(RAM, MIB));
    assertEquals("[64M-128M)n0:0", text(memblock.memRanges()));
    assertEquals(0, memblock.memblockMarkMirror(RAM, MIB));
    assertEquals("[64M-65M)n0:2 [65M-128M)n0:0", text(memblock.memRanges()));
  }

  /** Flags and nodes of reserved memory. Expect the part marked and the sum of the kernel's. */
  @Test
  void memblockReserved_flagsAndNodes_areOfTheirPart() {
    memblock.memblockReserve(RAM, 4 * MIB);

    assertEquals(0, memblock.memblockReservedMarkKern(RAM + MIB, MIB));
    assertEquals(MIB, memblock.memblockReservedKernSize(GIB, NUMA_NO_NODE));
    assertEquals(0, memblock.memblockSetReservedNode(RAM + 2 * MIB, MIB, 3));
    assertEquals(
        "[64M-65M)n-1:0 [65M-66M)n-1:20 [66M-67M)n3:0 [67M-68M)n-1:0",
        text(memblock.reservedRanges()));
    assertTrue(memblock.memblockIsReserved(RAM));
    assertEquals("", text(memblock.memRanges()));
  }

  /**
   * What is reserved for the kernel below a limit, by node.
   *
   * <pre>
   *   64      66           80     84    limit
   *   |node 0 |            |node 1|
   * </pre>
   *
   * Expect only what lies below, and of the node that is asked for.
   */
  @Test
  void memblockReservedKernSize_limitAndNode_cutIt() {
    memblock.memblockAddNode(RAM, 2 * MIB, 0);
    memblock.memblockAddNode(80 * MIB, 4 * MIB, 1);
    memblock.memblockAllocExactNidRaw(2 * MIB, PAGE, 0, ALLOC_ACCESSIBLE, 0);
    memblock.memblockAllocExactNidRaw(4 * MIB, PAGE, 0, ALLOC_ACCESSIBLE, 1);
    memblock.memblockReserve(90 * MIB, MIB);

    assertEquals(6 * MIB, memblock.memblockReservedKernSize(GIB, NUMA_NO_NODE));
    assertEquals(2 * MIB, memblock.memblockReservedKernSize(GIB, 0));
    assertEquals(4 * MIB, memblock.memblockReservedKernSize(GIB, 1));
    assertEquals(3 * MIB, memblock.memblockReservedKernSize(81 * MIB, NUMA_NO_NODE));
    assertEquals(MIB, memblock.memblockReservedKernSize(65 * MIB, NUMA_NO_NODE));
    assertEquals(0, memblock.memblockReservedKernSize(60 * MIB, NUMA_NO_NODE));
    assertEquals(0, memblock.memblockReservedHugetlbSize(GIB, NUMA_NO_NODE));
    // Node 1024 is none: all nodes.
    assertEquals(6 * MIB, memblock.memblockReservedKernSize(GIB, 1024));
  }

  // ---- full arrays ----

  private void fill(int regions) {
    for (long i = 0; i < regions; i++) {
      memblock.memblockAddNode(RAM + 4 * i * PAGE, 2 * PAGE, 0);
    }
    bench.failAll("memblock_double_array");
  }

  private int add(long base, long size) {
    return memblock.memblockAddNode(base, size, 0, Memblock.MEMBLOCK_NONE);
  }

  /** The array is full, and nothing new is needed. Expect no need to grow. */
  @Test
  void memblockAddNode_fullAndKnown_needsNoRoom() {
    fill(MAX);

    assertEquals(0, add(RAM, PAGE));
    assertEquals(0, bench.machine.faults().asked());
    assertEquals(-Errno.ENOMEM, add(RAM, 5 * PAGE));
    assertEquals(MAX, memblock.memRanges().size());
  }

  /** As many new regions as there is room for. Expect them to fit, one more not. */
  @Test
  void memblockAddNode_roomForTwo_takesTwo() {
    fill(MAX - 2);
    // Gaps behind the first and the second region, merged away afterwards.
    assertEquals(0, add(RAM + PAGE, 8 * PAGE));
    assertEquals(MAX - 2 - 2, memblock.memRanges().size());

    Bench other = new Bench();
    Memblock full = new Memblock(other.mm, Placement.NONE);
    for (long i = 0; i < MAX - 1; i++) {
      full.memblockAddNode(RAM + 4 * i * PAGE, 2 * PAGE, 0);
    }
    other.failAll("memblock_double_array");
    assertEquals(
        -Errno.ENOMEM,
        full.memblockAddNode(RAM + PAGE, 8 * PAGE, 0, Memblock.MEMBLOCK_NONE));
  }

  /**
   * Half the array is in use, with a gap on both sides of each region.
   *
   * <pre>
   *   memory     |0|  |1|  |2|    ...   |63|
   *   added    |-------------------------------|
   * </pre>
   *
   * Expect all 65 gaps to be counted before any is filled: there is room for 64.
   */
  @Test
  void memblockAddNode_gapAroundEach_countsAll() {
    fill(MAX / 2);
    assertEquals(-Errno.ENOMEM, add(RAM - PAGE, 4 * (MAX / 2) * PAGE + PAGE));
    assertEquals(MAX / 2, memblock.memRanges().size());
  }

  /** Splitting takes two more regions at most. Expect 126 to be the last number that may split. */
  @Test
  void memblockIsolateRange_room_isForTwo() {
    fill(MAX - 2);
    assertEquals(0, memblock.memblockMarkNomap(RAM, PAGE));
    assertEquals(MAX - 1, memblock.memRanges().size());
    assertEquals(-Errno.ENOMEM, memblock.memblockMarkNomap(RAM, PAGE));
    assertEquals(0, memblock.memblockMarkNomap(RAM, 0));
  }

  /** Both arrays are full. Expect -ENOMEM from whoever needs more regions. */
  @Test
  void memblockSetters_full_returnEnomem() {
    for (long i = 0; i < MAX - 1; i++) {
      memblock.memblockAddNode(RAM + 8 * i * PAGE, 4 * PAGE, 0);
      memblock.memblockReserve(RAM + 8 * i * PAGE, 4 * PAGE);
    }
    bench.failAll("memblock_double_array");
    long at = RAM + PAGE;
    int enomem = -Errno.ENOMEM;
    assertEquals(enomem, memblock.memblockMarkHotplug(at, PAGE));
    assertEquals(enomem, memblock.memblockClearHotplug(at, PAGE));
    assertEquals(enomem, memblock.memblockMarkNomap(at, PAGE));
    assertEquals(enomem, memblock.memblockClearNomap(at, PAGE));
    assertEquals(enomem, memblock.memblockMarkMirror(at, PAGE));
    assertEquals(enomem, memblock.memblockSetNode(at, PAGE, 1));
    assertEquals(enomem, memblock.memblockSetReservedNode(at, PAGE, 1));
    assertEquals(enomem, memblock.memblockReservedMarkKern(at, PAGE));
    long gap = RAM + 4 * PAGE;
    assertEquals(enomem, memblock.memblockAdd(gap, 16 * PAGE));
    assertEquals(enomem, memblock.memblockReserve(gap, 16 * PAGE));
    bench.mm.printk().clearWarnings();
    assertEquals(enomem, memblock.memblockReserveKern(gap, 16 * PAGE));
    assertEquals(MAX - 1, memblock.memRanges().size());
    assertEquals(MAX - 1, memblock.reservedRanges().size());
  }

  /** The kernel's array of reserved regions grows by itself. Expect all of 300. */
  @Test
  void memblockReserve_many_doublesTwice() {
    for (long i = 0; i < 300; i++) {
      assertEquals(0, memblock.memblockReserve(RAM + 2 * i * PAGE, PAGE));
    }
    assertEquals(300, memblock.reservedRanges().size());
    assertEquals(300 * PAGE, memblock.memblockReservedSize());
    assertEquals(List.of(), bench.log());
  }

  // ---- ends of ranges ----

  /** Sizes that reach behind the last address. Expect all up to there. */
  @Test
  void memblock_hugeSize_isCapped() {
    ram();
    memblock.memblockReserve(127 * MIB, MIB);
    assertTrue(memblock.memblockIsRegionReserved(RAM, -1));
    assertTrue(memblock.memblockIsRegionReserved(RAM, Long.MAX_VALUE));
    assertFalse(memblock.memblockIsRegionReserved(128 * MIB, Long.MAX_VALUE));
    assertFalse(memblock.memblockIsRegionMemory(RAM, Long.MAX_VALUE));
    assertFalse(memblock.memblockIsRegionMemory(RAM - 1, 2));
    assertEquals(0, memblock.memblockRemove(100 * MIB, Long.MAX_VALUE));
    assertEquals("[64M-100M)n0:0", text(memblock.memRanges()));
    assertEquals(0, memblock.memblockRemove(RAM, -1));
    assertEquals("", text(memblock.memRanges()));
    assertEquals(0, memblock.memblockStartOfDRAM());
    assertEquals(0, memblock.memblockEndOfDRAM());
  }

  /** Five regions with gaps. Expect each first and last byte found, and none between. */
  @Test
  void memblockSearch_fiveRegions_findsEach() {
    for (int i = 0; i < 5; i++) {
      memblock.memblockAddNode(RAM + 4L * i * MIB, 2 * MIB, i);
    }
    for (int i = 0; i < 5; i++) {
      long base = RAM + 4L * i * MIB;
      assertFalse(memblock.memblockIsMemory(base - 1));
      assertTrue(memblock.memblockIsMemory(base));
      assertTrue(memblock.memblockIsMemory(base + 2 * MIB - 1));
      assertFalse(memblock.memblockIsMemory(base + 2 * MIB));
      assertEquals(i, memblock.memblockSearchPfnNid(base / PAGE));
      assertTrue(memblock.memblockIsRegionMemory(base + MIB, MIB));
      assertFalse(memblock.memblockIsRegionMemory(base + MIB, MIB + 1));
    }
    assertFalse(memblock.memblockIsMapMemory(RAM - 1));
    assertEquals(
        List.of(0, 1, 2, 3, 4),
        memblock.memPfnRanges(NUMA_NO_NODE).stream().map(Memblock.MemPfnRange::index).toList());
    assertEquals(3, memblock.memPfnRanges(3).getFirst().index());
    assertEquals(5, memblock.memPfnRanges(1024).size());
  }

  /** Memory of a driver, hotpluggable memory, mirrored memory. Expect what is free for whom. */
  @Test
  void freeMemRanges_flags_decideWhatIsFree() {
    ram();
    memblock.memblockAddNode(128 * MIB, MIB, 0, Memblock.MEMBLOCK_DRIVER_MANAGED);
    memblock.memblockMarkHotplug(RAM, MIB);
    assertEquals(
        "[64M-65M)n0:0 [65M-128M)n0:0", text(memblock.freeMemRanges(NUMA_NO_NODE)));
    memblock.setMovableNode(true);
    assertTrue(memblock.movableNodeIsEnabled());
    assertEquals("[65M-128M)n0:0", text(memblock.freeMemRanges(NUMA_NO_NODE)));
    memblock.setMovableNode(false);
    assertEquals("", text(memblock.freeMemRanges(2)));
  }

  /** Reservations that begin and end where memory does. Expect no empty piece between. */
  @Test
  void freeMemRanges_touchingEnds_haveNoEmptyPiece() {
    memblock.memblockAddNode(RAM, 4 * MIB, 0);
    memblock.memblockAddNode(80 * MIB, 2 * MIB, 0);
    memblock.memblockReserve(RAM, MIB);
    memblock.memblockReserve(67 * MIB, MIB);
    memblock.memblockReserve(80 * MIB, 2 * MIB);

    assertEquals("[65M-67M)n0:0", text(memblock.freeMemRanges(NUMA_NO_NODE)));
  }

  // ---- allocating ----

  /** No alignment is asked for. Expect that of a cache line. */
  @Test
  void memblockAllocRangeNid_noAlignment_isACacheLine() {
    ram();
    long addr = memblock.memblockAllocRangeNid(100, 0, 0, ALLOC_ACCESSIBLE, NUMA_NO_NODE, false);
    assertEquals(128 * MIB - 128, addr);
  }

  /** Bytes that begin and end inside words. Expect those to be zero, and the words around not. */
  @Test
  void memblockAllocTryNid_oddBytes_areZeroed() {
    ram();
    long end = 128 * MIB;
    for (long at = end - 24; at < end; at += 8) {
      bench.machine.memory().setLong(at, -1);
    }
    long va = memblock.memblockAllocTryNid(5, 1, 0, ALLOC_ACCESSIBLE, 0);
    assertEquals(end - 5, bench.mm.model().pa(va));
    assertEquals(0, bench.machine.memory().getLong(end - 8));
    assertEquals(-1, bench.machine.memory().getLong(end - 16));

    long next = memblock.memblockAllocTryNid(8, 1, 0, ALLOC_ACCESSIBLE, 0);
    assertEquals(end - 13, bench.mm.model().pa(next));
    assertEquals(0, bench.machine.memory().getLong(end - 16));
    assertEquals(-1, bench.machine.memory().getLong(end - 24));
  }

  /** Exactly as much as there is between two reservations, from the bottom and from the top. */
  @Test
  void memblockPhysAllocRange_exactGap_fits() {
    for (boolean bottomUp : new boolean[] {false, true}) {
      Memblock own = new Memblock(new Bench().mm, Placement.NONE);
      own.memblockAddNode(RAM, 3 * PAGE, 0);
      own.memblockReserve(RAM, PAGE);
      own.memblockReserve(RAM + 2 * PAGE, PAGE);
      own.memblockSetBottomUp(bottomUp);
      assertEquals(0, own.memblockPhysAllocRange(PAGE + 1, 1, 0, ALLOC_ACCESSIBLE));
      assertEquals(0, own.memblockPhysAllocRange(PAGE, 2 * PAGE, 0, ALLOC_ACCESSIBLE));
      assertEquals(RAM + PAGE, own.memblockPhysAllocRange(PAGE, PAGE, 0, ALLOC_ACCESSIBLE));
      assertEquals(0, own.memblockPhysAllocRange(1, 1, 0, ALLOC_ACCESSIBLE));
    }
  }

  /** From the bottom, in the second free range. Expect the first that is large enough. */
  @Test
  void memblockPhysAllocRange_bottomUp_passesSmallRanges() {
    ram();
    memblock.memblockSetBottomUp(true);
    memblock.memblockReserve(RAM + PAGE, PAGE);
    assertEquals(RAM + 2 * PAGE, memblock.memblockPhysAllocRange(2 * PAGE, PAGE, 0, ALLOC_ACCESSIBLE));
    assertEquals(RAM, memblock.memblockPhysAllocRange(PAGE, PAGE, 0, ALLOC_ACCESSIBLE));
    assertEquals(
        80 * MIB, memblock.memblockPhysAllocRange(PAGE, PAGE, 80 * MIB, ALLOC_ACCESSIBLE));
    assertEquals(0, memblock.memblockPhysAllocRange(PAGE, PAGE, 200 * MIB, ALLOC_ACCESSIBLE));
  }

  /** The limit that ALLOC_ACCESSIBLE stands for. Expect it asked back, and kept by NOLEAKTRACE. */
  @Test
  void memblockSetCurrentLimit_limit_isForBoth() {
    ram();
    memblock.memblockSetCurrentLimit(RAM + 2 * PAGE);
    assertEquals(RAM + 2 * PAGE, memblock.memblockGetCurrentLimit());
    assertEquals(
        RAM + PAGE,
        memblock.memblockPhysAllocRange(PAGE, PAGE, 0, Memblock.ALLOC_NOLEAKTRACE));
    assertEquals(RAM, memblock.memblockPhysAllocTryNid(PAGE, PAGE, 0));
    assertEquals(0, memblock.memblockPhysAllocTryNid(PAGE, PAGE, 0));
    assertEquals(
        128 * MIB - PAGE,
        memblock.memblockPhysAllocRange(PAGE, PAGE, 0, Memblock.ALLOC_ANYWHERE));
    assertEquals(
        0, memblock.memblockAllocTryNidRaw(PAGE, PAGE, 0, Memblock.ALLOC_ANYWHERE, 0));
  }

  /** Memory of another node stands in. Expect it tracked, unless nobody wants it to be. */
  @Test
  void memblockAllocRangeNid_otherNode_isTracked() {
    ram();
    long first = memblock.memblockAllocRangeNid(PAGE, PAGE, 0, ALLOC_ACCESSIBLE, 1, false);
    assertEquals(128 * MIB - PAGE, first);
    assertEquals(PAGE, memblock.kmemleak().trackedBytes());
    long second =
        memblock.memblockAllocRangeNid(PAGE, PAGE, 0, Memblock.ALLOC_NOLEAKTRACE, 1, false);
    assertEquals(PAGE, memblock.kmemleak().trackedBytes());
    memblock.memblockPhysFree(second, PAGE);
    assertEquals(List.of(), bench.warnings());
    long va = memblock.memblockAllocExactNidRaw(PAGE, PAGE, 0, ALLOC_ACCESSIBLE, 0);
    assertEquals(second, bench.mm.model().pa(va));
  }

  /** Part of the memory is mirrored. Expect hugepages to come from anywhere all the same. */
  @Test
  void memblockAllocHugetlb_mirror_isNotNeeded() {
    ram();
    assertFalse(memblock.memblockHasMirror());
    assertFalse(memblock.movableNodeIsEnabled());
    memblock.memblockMarkMirror(RAM, 16 * MIB);
    long va = memblock.memblockAllocHugetlb(16 * MIB, 0, true);
    assertEquals(112 * MIB, bench.mm.model().pa(va));
    assertEquals(80 * MIB - PAGE, bench.mm.model().pa(memblock.memblockAlloc(PAGE, PAGE)));
  }

  /** Not enough memory, and a boot that cannot go on. Expect the address before, a panic then. */
  @Test
  void memblockAllocOrPanic_enough_returnsIt() {
    ram();
    long va = memblock.memblockAllocOrPanic(PAGE, PAGE);
    assertEquals(128 * MIB - PAGE, bench.mm.model().pa(va));
    assertEquals(va - PAGE, memblock.memblockAllocNode(PAGE, PAGE, 0));
  }

  // ---- placement ----

  private Memblock placed(long nextPfn) {
    Placement placement =
        new Placement() {
          @Override
          public long next(int order, int nid) {
            return nextPfn;
          }

          @Override
          public boolean kept(long startPfn, long endPfn) {
            return false;
          }
        };
    Memblock own = new Memblock(new Bench().mm, placement);
    own.memblockAddNode(RAM, 64 * MIB, 0);
    return own;
  }

  private static long hugetlb(Memblock own) {
    return own.memblockAllocHugetlb(16 * MIB, 0, true) - 0x1111_0000_0000_0000L;
  }

  /** Advice that cannot be followed: no place, misaligned, outside, half reserved. */
  @Test
  void memblockAllocHugetlb_badAdvice_isPassedOver() {
    assertEquals(112 * MIB, hugetlb(placed(0)));
    assertEquals(112 * MIB, hugetlb(placed(72 * MIB / PAGE)));
    assertEquals(112 * MIB, hugetlb(placed(48 * MIB / PAGE)));
    assertEquals(112 * MIB, hugetlb(placed(128 * MIB / PAGE)));
    Memblock half = placed(80 * MIB / PAGE);
    half.memblockReserve(95 * MIB, MIB);
    assertEquals(112 * MIB, hugetlb(half));
    Memblock low = placed(80 * MIB / PAGE);
    low.memblockSetCurrentLimit(90 * MIB);
    assertEquals(RAM, hugetlb(low));
    assertEquals(64 * MIB, hugetlb(placed(64 * MIB / PAGE)));
    Memblock exact = placed(80 * MIB / PAGE);
    exact.memblockSetCurrentLimit(96 * MIB);
    exact.memblockReserve(96 * MIB, MIB);
    assertEquals(80 * MIB, hugetlb(exact));
  }

  /** Advice where the usual search would begin elsewhere. Expect the last place that just fits. */
  @Test
  void memblockAllocHugetlb_adviceAtTheEnd_isFollowed() {
    Memblock last = placed(112 * MIB / PAGE);
    last.memblockSetBottomUp(true);
    assertEquals(112 * MIB, hugetlb(last));
    Memblock limited = placed(80 * MIB / PAGE);
    limited.memblockSetBottomUp(true);
    limited.memblockSetCurrentLimit(96 * MIB);
    assertEquals(80 * MIB, hugetlb(limited));
    Memblock over = placed(80 * MIB / PAGE);
    over.memblockSetBottomUp(true);
    over.memblockSetCurrentLimit(96 * MIB - PAGE);
    assertEquals(RAM, hugetlb(over));
  }

  /** Keeps the top of memory for hugepages; notes which orders it was asked for. */
  private static final class KeepsTop implements Placement {
    final List<Integer> orders = new ArrayList<>();

    /** First pfn that is kept. */
    final long from;

    KeepsTop(long from) {
      this.from = from / PAGE;
    }

    @Override
    public long next(int order, int nid) {
      orders.add(order);
      return -1;
    }

    @Override
    public boolean kept(long startPfn, long endPfn) {
      return endPfn > from;
    }
  }

  /**
   * The last 2 MiB of memory are kept.
   *
   * <pre>
   *   64                          124   126   128
   *   |                          | 1 MiB|kept |
   * </pre>
   *
   * Expect what is smaller than a hugepage just below, what is as large as one as without.
   */
  @Test
  void memblockAlloc_keptTop_isSteppedOver() {
    KeepsTop placement = new KeepsTop(126 * MIB);
    Bench own = new Bench();
    Memblock placed = new Memblock(own.mm, placement);
    placed.memblockAddNode(RAM, 64 * MIB, 0);
    assertEquals(125 * MIB, placed.memblockPhysAllocRange(MIB, MIB, 0, ALLOC_ACCESSIBLE));
    assertEquals(120 * MIB, placed.memblockPhysAllocRange(4 * MIB, 4 * MIB, 0, ALLOC_ACCESSIBLE));
    assertEquals(List.of(), placement.orders);

    Memblock large = new Memblock(new Bench().mm, placement);
    large.memblockAddNode(RAM, 64 * MIB, 0);
    assertEquals(120 * MIB, large.memblockPhysAllocRange(7 * MIB, 8 * MIB, 0, ALLOC_ACCESSIBLE));
    assertEquals(96 * MIB, hugetlb(large));
    assertEquals(List.of(12), placement.orders);
  }

  // ---- the ledger ----

  /**
   * A reservation that shares its first frame with another one, and one that shares its last.
   *
   * <pre>
   *   frame   0            1            2
   *          |b|  aaaaaaaaa|aaaaaaaaaaaa|      a goes: 0 stays reserved
   *          |ccccccccccccc|cccc|   d   |      c goes: 1 stays reserved
   * </pre>
   *
   * Expect the shared frame to stay, the other to be free.
   */
  @Test
  void memblockPhysFree_sharedFrame_staysReserved() {
    ram();
    memblock.memblockReserve(RAM, 50);
    memblock.memblockReserve(RAM + 100, 2 * PAGE - 100);
    memblock.memblockPhysFree(RAM + 100, 2 * PAGE - 100);
    assertEquals(Owner.RESERVED, bench.owner(RAM / PAGE));
    assertEquals(Owner.MEMBLOCK, bench.owner(RAM / PAGE + 1));

    long at = RAM + 8 * PAGE;
    memblock.memblockReserve(at, PAGE + 100);
    memblock.memblockReserve(at + PAGE + 200, 50);
    memblock.memblockPhysFree(at, PAGE + 100);
    assertEquals(Owner.MEMBLOCK, bench.owner(at / PAGE));
    assertEquals(Owner.RESERVED, bench.owner(at / PAGE + 1));
    assertEquals(Owner.MEMBLOCK, bench.owner(at / PAGE + 2));
  }

  /** Ranges with parts of frames. Expect whole frames as memory, begun ones as reserved. */
  @Test
  void memblockAddNode_partsOfFrames_areRounded() {
    memblock.memblockReserve(RAM + 3 * PAGE + 10, PAGE);
    memblock.memblockAddNode(RAM + 100, 6 * PAGE, 0);

    long pfn = RAM / PAGE;
    assertEquals(Owner.NONE, bench.owner(pfn));
    assertEquals(Owner.MEMBLOCK, bench.owner(pfn + 1));
    assertEquals(Owner.MEMBLOCK, bench.owner(pfn + 2));
    assertEquals(Owner.RESERVED, bench.owner(pfn + 3));
    assertEquals(Owner.RESERVED, bench.owner(pfn + 4));
    assertEquals(Owner.MEMBLOCK, bench.owner(pfn + 5));
    assertEquals(Owner.NONE, bench.owner(pfn + 6));
    memblock.memblockRemove(RAM, 7 * PAGE);
    for (long i = 0; i < 7; i++) {
      assertEquals(Owner.NONE, bench.owner(pfn + i));
    }
  }

  /** Memory behind the machine's last frame. Expect it listed, and no frame booked. */
  @Test
  void memblockAddNode_behindTheMachine_isListed() {
    memblock.memblockAddNode(GIB - 2 * PAGE, 4 * PAGE, 0);
    memblock.memblockReserve(GIB - PAGE, 2 * PAGE);
    assertEquals(Owner.MEMBLOCK, bench.owner(GIB / PAGE - 2));
    assertEquals(Owner.RESERVED, bench.owner(GIB / PAGE - 1));
    assertEquals(4 * PAGE, memblock.memblockPhysMemSize());
    memblock.memblockPhysFree(GIB - PAGE, 2 * PAGE);
    assertEquals(Owner.MEMBLOCK, bench.owner(GIB / PAGE - 1));
    memblock.memblockRemove(GIB - 2 * PAGE, 4 * PAGE);
    assertEquals(Owner.NONE, bench.owner(GIB / PAGE - 1));
  }

  // ---- the end ----

  /** Receives the end of boot; notes blocks. */
  private static final class Blocks implements Memblock.PageInit {
    final List<String> calls = new ArrayList<>();

    @Override
    public void memblockFreePages(long pfn, int order) {
      calls.add(pfn + ":" + order);
    }

    @Override
    public void initDeferredPage(long pfn, int nid) {}

    @Override
    public void initSinglePageReserved(long startPfn, long endPfn, int nid) {
      calls.add("reserved " + startPfn + "-" + endPfn + " node " + nid);
    }
  }

  /** Memory from address 0 on, with parts of pages. Expect whole pages, and page 0 in a full block. */
  @Test
  void memblockFreeAll_addressZero_isAFullBlock() {
    memblock.memblockAddNode(0, 5 * MIB + 100, 0);
    memblock.memblockAddNode(8 * MIB + 1, PAGE, 0);
    Blocks blocks = new Blocks();

    memblock.memblockFreeAll(blocks);

    assertEquals(List.of("0:10", "1024:8"), blocks.calls);
  }

  /** Reserved memory that spans two nodes. Expect it cut where the nodes meet. */
  @Test
  void memblockFreeAll_reservedOverTwoNodes_isCut() {
    memblock.memblockAddNode(RAM, 2 * PAGE, 1);
    memblock.memblockAddNode(RAM + 2 * PAGE, 2 * PAGE, 2);
    memblock.memblockReserve(RAM, 4 * PAGE);
    Blocks blocks = new Blocks();

    memblock.memblockFreeAll(blocks);

    assertEquals(
        List.of("reserved 16384-16386 node 1", "reserved 16386-16388 node 2"), blocks.calls);
  }

  /** Hotpluggable memory, with movable_node. Expect it free in the end. */
  @Test
  void memblockFreeAll_hotpluggable_isFreed() {
    memblock.memblockAddNode(RAM, 2 * PAGE, 0);
    memblock.memblockMarkHotplug(RAM, 2 * PAGE);
    memblock.setMovableNode(true);
    Blocks blocks = new Blocks();

    memblock.memblockFreeAll(blocks);

    assertEquals(List.of("16384:1"), blocks.calls);
  }

  /** Managed pages are set to 0 once. Expect what is counted afterwards to stay. */
  @Test
  void resetAllZonesManagedPages_again_doesNothing() {
    Zone zone = bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL);
    zone.managedPages = 5;
    memblock.resetAllZonesManagedPages();
    assertEquals(0, zone.managedPages);
    zone.managedPages = 7;
    memblock.resetAllZonesManagedPages();
    assertEquals(7, zone.managedPages);
  }

  /** Parts of pages are freed when slab is up. Expect only the whole pages between. */
  @Test
  void memblockPhysFree_partsOfPagesLate_freesWholePages() {
    bench.zone(0, ZoneType.ZONE_NORMAL, Bench.FIRST, Bench.MAX_BLOCK);
    Slab slab = new Slab(bench.mm, bench.alloc);
    memblock.attach(slab, bench.alloc);
    slab.setAvailable();
    long start = Bench.FIRST * PAGE;
    memblock.kmemleak().kmemleakAllocPhys(start, 4 * PAGE);

    memblock.memblockPhysFree(start + 100, 3 * PAGE);

    assertEquals(2, bench.alloc.totalramPages());
    assertFalse(bench.alloc.isFreeBuddyPage(bench.page(Bench.FIRST)));
    assertTrue(bench.alloc.isFreeBuddyPage(bench.page(Bench.FIRST + 1)));
    assertTrue(bench.alloc.isFreeBuddyPage(bench.page(Bench.FIRST + 2)));
    assertFalse(bench.alloc.isFreeBuddyPage(bench.page(Bench.FIRST + 3)));
  }

  /** Nothing is given back by address 0. Expect no change. */
  @Test
  void memblockFree_null_doesNothing() {
    ram();
    memblock.memblockReserve(0, PAGE);
    memblock.memblockFree(0, PAGE);
    assertTrue(memblock.memblockIsReserved(0));
    long va = memblock.memblockAlloc(PAGE, PAGE);
    memblock.memblockFree(va, PAGE);
    assertFalse(memblock.memblockIsReserved(bench.mm.model().pa(va)));
  }
}
