// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The book of boot memory that was handed out and not given back. */
class KmemleakTest {
  private static final long MIB = 1L << 20;
  private static final long PAGE = 4096;
  private static final long RAM = 64 * MIB;
  private static final int ANY_NODE = -1;

  private final Bench bench = new Bench();
  private final Memblock memblock = new Memblock(bench.mm, Placement.NONE);

  @BeforeEach
  void addMemory() {
    memblock.memblockAddNode(RAM, 64 * MIB, 0);
  }

  private long taken(long size) {
    return memblock.memblockPhysAllocRange(size, PAGE, 0, Memblock.ALLOC_ACCESSIBLE);
  }

  /** An allocation, its middle given back, then the rest. Expect every byte booked once. */
  @Test
  void memblockPhysFree_partOfAnObject_leavesTheRest() {
    long phys = taken(8 * PAGE);
    assertEquals(8 * PAGE, memblock.kmemleak().trackedBytes());

    memblock.memblockPhysFree(phys + 2 * PAGE, 3 * PAGE);
    assertEquals(5 * PAGE, memblock.kmemleak().trackedBytes());
    memblock.memblockPhysFree(phys, 2 * PAGE);
    memblock.memblockPhysFree(phys + 5 * PAGE, 3 * PAGE);

    assertEquals(0, memblock.kmemleak().trackedBytes());
    assertEquals(List.of(), bench.warnings());
  }

  /** A hugepage and a memmap. Expect the first tracked, the second not, both fit to be freed. */
  @Test
  void memblockAlloc_hugepageAndUntraced_areToldApart() {
    long huge = bench.mm.model().pa(memblock.memblockAllocHugetlb(2 * MIB, 0, true));
    long memmap =
        bench.mm
            .model()
            .pa(
                memblock.memblockAllocTryNidRaw(
                    PAGE, PAGE, 0, Memblock.ALLOC_NOLEAKTRACE, ANY_NODE));
    assertEquals(2 * MIB, memblock.kmemleak().trackedBytes());

    memblock.memblockPhysFree(huge, 2 * MIB);
    memblock.memblockPhysFree(memmap, PAGE);

    assertEquals(0, memblock.kmemleak().trackedBytes());
    assertEquals(List.of(), bench.warnings());
  }

  /** Given back twice, and never handed out. Expect a warning each. */
  @Test
  void memblockPhysFree_unknownMemory_warns() {
    long phys = taken(PAGE);
    memblock.memblockPhysFree(phys, PAGE);
    memblock.memblockPhysFree(phys, PAGE);
    memblock.memblockReserve(RAM, PAGE);
    memblock.memblockPhysFree(RAM, PAGE);

    assertEquals(
        List.of(
            "kmemleak: Partially freeing unknown object at 0x07fff000 (size 4096)",
            "kmemleak: Partially freeing unknown object at 0x04000000 (size 4096)"),
        bench.warnings());
  }

  /** More given back than was handed out. Expect a warning, and the object gone. */
  @Test
  void memblockPhysFree_behindTheObject_warns() {
    taken(PAGE);
    long phys = taken(PAGE);

    memblock.memblockPhysFree(phys, 2 * PAGE);

    assertEquals(PAGE, memblock.kmemleak().trackedBytes());
    assertEquals(
        List.of("kmemleak: Freeing 0x07ffe000 (size 8192) beyond its object"), bench.warnings());
  }

  /** Memory is handed out that somebody has. Expect a warning, and the first object as it was. */
  @Test
  void kmemleakAllocPhys_overlap_warns() {
    long phys = taken(2 * PAGE);

    memblock.kmemleak().kmemleakAllocPhys(phys + PAGE, PAGE);

    assertEquals(2 * PAGE, memblock.kmemleak().trackedBytes());
    assertEquals(
        List.of(
            "kmemleak: Cannot insert 0x7fff000 into the object search tree (overlaps existing)"),
        bench.warnings());
  }

  /** An object is to be ignored, a number that is none too. Expect the mark, and it kept by parts
   * until the last one goes. */
  @Test
  void kmemleakIgnorePhys_object_isMarked() {
    long phys = taken(2 * PAGE);

    memblock.kmemleak().kmemleakIgnorePhys(phys);
    memblock.kmemleak().kmemleakIgnorePhys(phys + PAGE);
    memblock.memblockPhysFree(phys + PAGE, PAGE);

    assertTrue(memblock.kmemleak().isIgnored(phys));
    assertFalse(memblock.kmemleak().isIgnored(phys + PAGE));
    memblock.memblockPhysFree(phys, PAGE);
    assertFalse(memblock.kmemleak().isIgnored(phys));
    assertEquals(List.of(), bench.warnings());
  }

  /** One of two neighbours is given back, and then once more what lies at the end of the other. Expect
   * the other as it was, and a warning for what nobody has. */
  @Test
  void memblockPhysFree_neighbour_staysTracked() {
    long upper = taken(PAGE);
    long lower = taken(PAGE);
    assertEquals(upper, lower + PAGE);

    memblock.kmemleak().kmemleakFreePartPhys(lower, PAGE);
    assertEquals(PAGE, memblock.kmemleak().trackedBytes());
    memblock.kmemleak().kmemleakFreePartPhys(upper + PAGE, PAGE);

    assertEquals(PAGE, memblock.kmemleak().trackedBytes());
    assertEquals(
        List.of("kmemleak: Partially freeing unknown object at 0x08000000 (size 4096)"),
        bench.warnings());
  }
}
