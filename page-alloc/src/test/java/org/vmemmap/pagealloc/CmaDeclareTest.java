// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.machine.Machine;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PlainTables;

/** Where in memblock an area is put. */
class CmaDeclareTest {
  private static final long MIB = Bench.MIB;
  private static final long GIB = Bench.GIB;
  private static final int NO_NODE = Memblock.NUMA_NO_NODE;
  private static final long LINEAR_BASE = 0x1111_0000_0000_0000L;
  private static final long VMEMMAP_BASE = 0x7777_4000_0000_0000L;
  private static final int SLOTS = 128;

  private final Machine machine =
      new Machine(32 * GIB, new PlainTables(9, 9), LINEAR_BASE, Owner.values(), 1);
  private final Mm mm = mm(MmConfig.debianX86());
  private final Memblock memblock = new Memblock(mm, Placement.NONE);
  private final PageAlloc alloc = new PageAlloc(mm, Placement.NONE);
  private final Cma cma = cma(mm, memblock, alloc);
  private final CmaDeclare declare = new CmaDeclare(mm, memblock, cma);
  private final List<CmaArea> given = new ArrayList<>();

  private Mm mm(MmConfig config) {
    Mm.Image image = new Mm.Image(VMEMMAP_BASE, 0x1000, 0x10000, 0x1000);
    return new Mm(machine, new PlainTables(9, 9), config, image);
  }

  private static Cma cma(Mm mm, Memblock memblock, PageAlloc alloc) {
    return new Cma(mm, memblock, alloc, new Slab(mm, alloc), new NoActivation());
  }

  private static final class NoActivation implements Cma.MmInitHooks {
    @Override
    public boolean pfnRangeIntersectsZones(int nid, long startPfn, long nrPages) {
      return false;
    }

    @Override
    public void initCmaReservedPageblock(Page page) {
      throw new AssertionError("not activated here");
    }
  }

  private void ram(long start, long size) {
    memblock.memblockAddNode(start, size, 0);
  }

  private int one(long base, long size, long limit, long align, int order, boolean fixed) {
    return declare.cmaDeclareContiguousNid(
        base, size, limit, align, order, fixed, "one", given::add, NO_NODE);
  }

  private int multi(long size) {
    return declare.cmaDeclareContiguousMulti(size, 2 * MIB, 9, "multi", given::add, 0);
  }

  /** The area's ranges in MiB, in the area's order. */
  private String ranges() {
    StringBuilder text = new StringBuilder();
    for (CmaMemrange r : given.getFirst().ranges()) {
      text.append("%d+%d ".formatted(r.basePfn() * 4096 / MIB, r.count() * 4096 / MIB));
    }
    return text.toString().strip();
  }

  private List<String> log() {
    return mm.printk().lines().stream().map(line -> line.text()).toList();
  }

  private void assertNothingDone(int ret, int expected) {
    assertEquals(expected, ret);
    assertEquals(0, alloc.totalcmaPages());
    assertEquals(List.of(), cma.areas());
    assertEquals(0, memblock.memblockReservedSize());
    assertEquals(0, machine.ledger().count(Owner.RESERVED));
  }

  // ---- one range ----

  /** Memory below and above 4 GiB. Expect the area at 4 GiB, from where it grows upwards. */
  @Test
  void cmaDeclareContiguousNid_memoryAbove4G_startsThere() {
    ram(GIB, 7 * GIB);
    assertEquals(0, one(0, 16 * MIB, 0, 0, 0, false));
    assertEquals("4096+16", ranges());
    assertEquals(List.of("cma: Reserved 16 MiB at 0x0000000100000000"), log());
    assertEquals(4096, alloc.totalcmaPages());
    assertTrue(memblock.kmemleak().isIgnored(4 * GIB));
  }

  /** An area as large as all memory. Expect it. */
  @Test
  void cmaDeclareContiguousNid_allOfMemory_fits() {
    ram(GIB, 16 * MIB);
    assertEquals(0, one(GIB, 16 * MIB, 0, 0, 0, false));
    assertEquals("1024+16", ranges());
  }

  /** Memory ends at 4 GiB, or just far enough above, and memblock's first allocation fails. Expect a
   * second one only where the area fits above. */
  @Test
  void cmaDeclareContiguousNid_endNear4G_triesAboveIfItFits() {
    ram(GIB, 3 * GIB);
    machine.faults().failNth(1, "memblock_alloc_range_nid"::equals);
    assertNothingDone(one(0, 16 * MIB, 0, 0, 0, false), -Errno.ENOMEM);
    ram(4 * GIB, 16 * MIB);
    machine.faults().failNth(1, "memblock_alloc_range_nid"::equals);
    assertEquals(0, one(0, 16 * MIB, 0, 0, 0, false));
    assertEquals("4096+16", ranges());
  }

  /** A limit below 4 GiB. Expect the area at its end: memblock goes downwards there. */
  @Test
  void cmaDeclareContiguousNid_limitBelow4G_isTopDown() {
    ram(GIB, 7 * GIB);
    assertEquals(0, one(GIB, 16 * MIB, 2 * GIB + MIB, 0, 0, false));
    assertEquals("2032+16", ranges());
  }

  /** An address that must be it. Expect it there, and -EBUSY the second time. */
  @Test
  void cmaDeclareContiguousNid_fixed_isThereOrBusy() {
    ram(GIB, GIB);
    assertEquals(0, one(GIB + 64 * MIB, 16 * MIB, 0, 0, 0, true));
    assertEquals("1088+16", ranges());
    assertEquals(-Errno.EBUSY, one(GIB + 64 * MIB, 16 * MIB, 0, 0, 0, true));
    assertEquals("cma: Failed to reserve 16 MiB", log().getLast());
  }

  /** A fixed address for which memblock has no entry left. Expect -EBUSY, nothing reserved. */
  @Test
  void cmaDeclareContiguousNid_fixedAndMemblockFull_isBusy() {
    ram(GIB, 2 * GIB);
    fillReserved(SLOTS);
    long before = memblock.memblockReservedSize();
    machine.faults().failFrom(1, "memblock_double_array"::equals);
    assertEquals(-Errno.EBUSY, one(2 * GIB, 16 * MIB, 0, 0, 0, true));
    assertEquals(before, memblock.memblockReservedSize());
    assertEquals(List.of(), cma.areas());
  }

  /** Arguments that make no sense. Expect -EINVAL for each, and nothing reserved. */
  @Test
  void cmaDeclareContiguousNid_badArguments_areInvalid() {
    ram(GIB, GIB);
    assertNothingDone(one(0, 0, 0, 0, 0, false), -Errno.EINVAL);
    assertNothingDone(one(0, MIB, 0, 3 * MIB, 0, false), -Errno.EINVAL);
    assertNothingDone(one(GIB + MIB, MIB, 0, 0, 0, true), -Errno.EINVAL);
    assertEquals(
        "cma: Region at 0x0000000040100000 must be aligned to 0x0000000000200000 bytes",
        log().get(2));
    assertNothingDone(one(0, 2 * MIB, 0, 0, 10, false), -Errno.EINVAL);
    assertNothingDone(one(0, 4 * GIB, 0, 0, 0, false), -Errno.EINVAL);
    assertEquals(
        "cma: Size (0x0000000100000000) of region at 0x0000000000000000 exceeds limit"
            + " (0x0000000080000000)",
        log().get(5));
  }

  /** No room, although the size is below the limit. Expect -ENOMEM. */
  @Test
  void cmaDeclareContiguousNid_noRoom_isOutOfMemory() {
    ram(GIB, 16 * MIB);
    assertNothingDone(one(0, 32 * MIB, 0, 0, 0, false), -Errno.ENOMEM);
  }

  /** memblock's allocation fails in either of the two attempts, or in both. */
  @Test
  void cmaDeclareContiguousNid_memblockFails_triesBelow4GThenGivesUp() {
    ram(GIB, 7 * GIB);
    machine.faults().failFrom(1, "memblock_alloc_range_nid"::equals);
    assertNothingDone(one(0, 16 * MIB, 0, 0, 0, false), -Errno.ENOMEM);
    // Expect the second attempt to succeed: top down, below the limit.
    machine.faults().failNth(1, "memblock_alloc_range_nid"::equals);
    assertEquals(0, one(0, 16 * MIB, 0, 0, 0, false));
    assertEquals("8176+16", ranges());
    assertEquals(false, memblock.memblockBottomUp());
  }

  /** All slots are taken. Expect -ENOSPC before anything is reserved. */
  @Test
  void cmaDeclareContiguousNid_slotsFull_isNoSpace() {
    ram(GIB, GIB);
    for (int i = 0; i < Cma.MAX_CMA_AREAS; i++) {
      assertEquals(0, one(0, 2 * MIB, 0, 0, 0, false));
    }
    long before = memblock.memblockReservedSize();
    assertEquals(-Errno.ENOSPC, one(0, 2 * MIB, 0, 0, 0, false));
    assertEquals(-Errno.ENOSPC, multi(2 * MIB));
    assertEquals(before, memblock.memblockReservedSize());
  }

  /**
   * pageblock_order is not known yet, as on powerpc before patch 11, where the areas come before the
   * zones. Expect -EINVAL after the memory was found, and it given back.
   */
  @Test
  void cmaDeclareContiguousNid_noPageblockOrder_givesTheMemoryBack() {
    MmConfig early =
        new MmConfig.Builder().pageblockOrder(0).deferredStructPageInit(false).build();
    Mm old = mm(early);
    Memblock ranges = new Memblock(old, Placement.NONE);
    ranges.memblockAddNode(GIB, 7 * GIB, 0);
    Cma areas = cma(old, ranges, new PageAlloc(old, Placement.NONE));
    int ret =
        new CmaDeclare(old, ranges, areas)
            .cmaDeclareContiguousMulti(16 * MIB, 0, 0, null, given::add, 0);
    assertEquals(-Errno.EINVAL, ret);
    assertEquals(0, ranges.memblockReservedSize());
    assertEquals(List.of(), areas.areas());
  }

  // ---- several ranges ----

  /** One range is enough. Expect one, at 4 GiB. */
  @Test
  void cmaDeclareContiguousMulti_oneFits_takesOne() {
    ram(GIB, 7 * GIB);
    assertEquals(0, multi(64 * MIB));
    assertEquals("4096+64", ranges());
    assertEquals("cma: Reserved 64 MiB in 1 range", log().getLast());
  }

  /**
   * Ranges of 32, 64 and 16 MiB for 70 MiB. The comment in C says: largest first, then by address.
   *
   * <pre>
   *   4G: 32M        5G: 64M                6G: 16M
   * </pre>
   *
   * Expect what the code does: list_insert_sorted() sorts the other way round and leaves the first
   * element at the end, so the smallest and the largest are taken; the 32 MiB stay.
   */
  @Test
  void cmaDeclareContiguousMulti_threeSizes_takesTheSmallestFirst() {
    ram(4 * GIB, 32 * MIB);
    ram(5 * GIB, 64 * MIB);
    ram(6 * GIB, 16 * MIB);
    assertEquals(0, multi(70 * MIB));
    assertEquals("5120+64 6144+6", ranges());
    assertEquals("cma: Reserved 70 MiB in 2 ranges", log().getLast());
  }

  /** The same for as much as the smallest and the largest have. Expect all of both, and no third one. */
  @Test
  void cmaDeclareContiguousMulti_exactSum_takesNoMore() {
    ram(4 * GIB, 32 * MIB);
    ram(5 * GIB, 64 * MIB);
    ram(6 * GIB, 16 * MIB);
    assertEquals(0, multi(80 * MIB));
    assertEquals("5120+64 6144+16", ranges());
  }

  /** Bits of 4 MiB, and two ranges of 6 MiB. Expect 4 MiB of each. */
  @Test
  void cmaDeclareContiguousMulti_largeBits_takesWholeBits() {
    ram(4 * GIB, 6 * MIB);
    ram(5 * GIB, 6 * MIB);
    assertEquals(
        0, declare.cmaDeclareContiguousMulti(8 * MIB, 2 * MIB, 10, null, given::add, 0));
    assertEquals("4096+4 5120+4", ranges());
  }

  /** Three equal ranges, all needed. Expect the order of addresses that the faulty sort leaves. */
  @Test
  void cmaDeclareContiguousMulti_equalSizes_areNotInOrderOfAddress() {
    ram(4 * GIB, 32 * MIB);
    ram(5 * GIB, 32 * MIB);
    ram(6 * GIB, 32 * MIB);
    assertEquals(0, multi(96 * MIB));
    assertEquals("6144+32 4096+32 5120+32", ranges());
    assertEquals(96 * MIB, memblock.memblockReservedSize());
  }

  /**
   * Eight ranges of 4 MiB and one of 2 MiB for 34 MiB; eight ranges are the most. The ninth is
   * passed over, but its size was added to the sum.
   *
   * <p>Expect an area that says 34 MiB and has 32.
   */
  @Test
  void cmaDeclareContiguousMulti_nineRanges_promisesMoreThanItHas() {
    for (int i = 0; i < 8; i++) {
      ram(4 * GIB + i * GIB, 4 * MIB);
    }
    ram(12 * GIB, 2 * MIB);
    assertEquals(0, multi(34 * MIB));
    assertEquals(8, given.getFirst().ranges().size());
    assertEquals(34 * MIB / 4096, given.getFirst().count());
    assertEquals(32 * MIB, memblock.memblockReservedSize());
    assertEquals(32 * MIB / 4096, machine.ledger().count(Owner.RESERVED));
  }

  /** A ninth range that is not smaller than the last of the list. Expect it to replace that one, and the
   * sum to be without it. */
  @ParameterizedTest
  @ValueSource(ints = {4, 8})
  void cmaDeclareContiguousMulti_ninthRangeNotSmaller_replacesTheLast(int mib) {
    for (int i = 0; i < 8; i++) {
      ram(4 * GIB + i * GIB, 4 * MIB);
    }
    ram(12 * GIB, mib * MIB);
    assertNothingDone(multi((32 + mib) * MIB), -Errno.ENOMEM);
    assertEquals(0, multi((28 + mib) * MIB));
    assertEquals((28 + mib) * MIB, memblock.memblockReservedSize());
    assertEquals(
        false, given.getFirst().ranges().stream().anyMatch(r -> r.basePfn() == 4 * GIB / 4096));
  }

  /** Pieces that are too small together, below 4 GiB, or not whole. Expect -ENOMEM, and no area. */
  @Test
  void cmaDeclareContiguousMulti_tooLittle_isOutOfMemory() {
    ram(GIB, 64 * MIB);
    ram(4 * GIB + MIB, 2 * MIB);
    ram(5 * GIB, MIB);
    ram(6 * GIB, 32 * MIB);
    assertNothingDone(multi(96 * MIB), -Errno.ENOMEM);
    assertEquals("cma: Failed to reserve 96 MiB", log().getLast());
  }

  /**
   * memblock has no entry left for the third of three ranges, or for none of them, and its array
   * cannot grow this once.
   *
   * <p>Expect -ENOMEM; the ranges before it are given back, and the area's slot is free again.
   */
  @ParameterizedTest
  @ValueSource(ints = {SLOTS - 2, SLOTS})
  void cmaDeclareContiguousMulti_reserveFails_givesAllBack(int taken) {
    long before = threeRanges(taken);
    machine.faults().failNth(1, "memblock_double_array"::equals);
    assertEquals(-Errno.ENOMEM, multi(96 * MIB));
    assertEquals(before, memblock.memblockReservedSize());
    assertEquals(before / 4096, machine.ledger().count(Owner.RESERVED));
    assertEquals(0, alloc.totalcmaPages());
    assertEquals(List.of(), cma.areas());
    assertEquals(0, multi(96 * MIB));
  }

  /**
   * The same, but the array cannot grow at all any more. To free a range memblock wants room for
   * two entries, although it needs none.
   *
   * <p>Expect -ENOMEM, and the two ranges before reserved for ever: nobody looks at what
   * memblock_phys_free() returns.
   */
  @Test
  void cmaDeclareContiguousMulti_memblockStaysFull_losesTheFirstRanges() {
    long before = threeRanges(SLOTS - 2);
    machine.faults().failFrom(1, "memblock_double_array"::equals);
    assertEquals(-Errno.ENOMEM, multi(96 * MIB));
    assertEquals(before + 64 * MIB, memblock.memblockReservedSize());
    assertEquals((before + 64 * MIB) / 4096, machine.ledger().count(Owner.RESERVED));
    assertEquals(0, alloc.totalcmaPages());
    assertEquals(List.of(), cma.areas());
  }

  /** Three ranges above 4 GiB, and so many entries in use. Returns the bytes reserved. */
  private long threeRanges(int taken) {
    ram(4 * GIB, 32 * MIB);
    ram(5 * GIB, 32 * MIB);
    ram(6 * GIB, 32 * MIB);
    ram(GIB, 64 * MIB);
    fillReserved(taken);
    return memblock.memblockReservedSize();
  }

  /** Fills memblock's array of reserved regions with {@code n} pages from 1 GiB on. */
  private void fillReserved(int n) {
    memblock.memblockAllowResize(true);
    for (int i = 0; i < n; i++) {
      memblock.memblockReserve(GIB + i * 2L * 4096, 4096);
    }
  }
}
