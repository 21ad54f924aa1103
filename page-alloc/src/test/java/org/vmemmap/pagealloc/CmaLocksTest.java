// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.CmaBench.BLOCK;
import static org.vmemmap.pagealloc.CmaBench.FIRST;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Page;

/** Areas of CMA whose bits stand for several pages, and the locks around their bitmaps. */
class CmaLocksTest {
  private static final int QUARTER = 8;
  private static final long BIT = 1L << QUARTER;
  private static final List<String> BITMAP = List.of("lock cma->lock 0", "unlock cma->lock 0");
  private static final List<String> TRY =
      List.of("lock cma->alloc_mutex 0", "unlock cma->alloc_mutex 0");

  private final CmaBench bench = new CmaBench();
  private final Cma cma = bench.cma;

  private long pfn(Page page) {
    return bench.bench.pfn(page) - FIRST;
  }

  /** The locks of CMA that {@code action} takes. */
  private List<String> locks(Runnable action) {
    return Steps.of(bench.bench, action).stream().filter(step -> step.contains("cma->")).toList();
  }

  @SafeVarargs
  private static List<String> sequence(List<String>... parts) {
    List<String> all = new ArrayList<>();
    for (List<String> part : parts) {
      all.addAll(part);
    }
    return all;
  }

  private Page take(CmaArea area, long count, int align) {
    return Objects.requireNonNull(cma.cmaAllocFrozen(area, count, align, false));
  }

  // ---- bits of 256 pages ----

  /**
   * Four pageblocks from the second on, with two bits each, and an alignment of two pageblocks.
   *
   * <pre>
   *   pageblock  1   | 2   | 3   | 4
   *   bits       0 1 | 2 3 | 4 5 | 6 7     aligned: 2, 6
   * </pre>
   *
   * Expect bits 2 and 6, and nothing after them.
   */
  @Test
  void cmaAllocFrozen_bitsOfSeveralPages_areAligned() {
    CmaArea area = bench.activated(1, 4, QUARTER);
    assertEquals(2 * BLOCK, pfn(take(area, BIT, 10)));
    assertEquals(4 * BLOCK, pfn(take(area, BIT, 10)));
    assertNull(cma.cmaAllocFrozen(area, BIT, 10, true));
    assertEquals(BLOCK, pfn(take(area, BIT, 8)));
  }

  /** The second of two is given back, and taken again. Expect its bit clear, and set after that. */
  @Test
  void cmaReleaseFrozen_secondBit_isCleared() {
    CmaArea area = bench.activated(1, 2, QUARTER);
    take(area, BIT, 0);
    Page second = take(area, BIT, 0);
    assertTrue(cma.cmaReleaseFrozen(area, second, BIT));
    List<Long> used = new ArrayList<>();
    cma.forEachBitInUse(area, at -> used.add(at - FIRST));
    assertEquals(List.of(BLOCK), used);
    assertEquals(second, take(area, BIT, 0));
    used.clear();
    cma.forEachBitInUse(area, at -> used.add(at - FIRST));
    assertEquals(List.of(BLOCK, BLOCK + BIT), used);
  }

  /** No room for a pageblock. Expect what is free said in pages, at bits. */
  @Test
  void cmaAllocFrozen_noRoom_saysPagesAtBits() {
    CmaArea area = bench.activated(0, 1, QUARTER);
    take(area, BIT, 0);
    assertNull(cma.cmaAllocFrozen(area, BLOCK, 0, false));
    assertTrue(bench.log().contains("cma: range 0: +256@1"), bench.log()::toString);
  }

  /** All of an area in one piece. Expect it. */
  @Test
  void cmaAllocFrozen_wholeArea_isGiven() {
    CmaArea area = bench.activated(0, 2, 0);
    assertEquals(0, pfn(take(area, 2 * BLOCK, 0)));
    assertEquals(0, area.availableCount());
  }

  /** Names of 63 and 64 characters. Expect room for 63, as the last byte ends the string. */
  @Test
  void cmaNewArea_name_isCutToTheField() {
    for (int length = 63; length <= 64; length++) {
      CmaArea area =
          Objects.requireNonNull(cma.cmaNewArea("n".repeat(length), 0, QUARTER));
      assertEquals("n".repeat(63), area.name());
      assertEquals(QUARTER, area.orderPerBit());
    }
  }

  // ---- locks ----

  /** Pages are taken and given back. Expect the bitmap's lock for each change, and the mutex around
   * the allocation. */
  @Test
  void cmaAllocFrozen_locks_areThoseOfTheKernel() {
    CmaArea area = bench.activated(0, 2, 0);
    assertEquals(
        sequence(BITMAP, TRY), locks(() -> assertEquals(0, pfn(take(area, 4, 0)))));
    List<String> steps =
        Steps.of(bench.bench, () -> cma.cmaReleaseFrozen(area, bench.bench.page(FIRST), 4));
    assertEquals(
        List.of("lock cma->lock 0", "available_count", "unlock cma->lock 0"),
        steps.subList(steps.size() - 3, steps.size()));
    assertEquals(BITMAP, steps.stream().filter(step -> step.contains("cma->")).toList());
  }

  /**
   * Someone holds a page of the first aligned place.
   *
   * <pre>
   *   bits   0 1 2 3 | 4 5 6 7       aligned to 4: 0 is busy, 4 is next
   * </pre>
   *
   * Expect two tries, and the bits of the first clear again.
   */
  @Test
  void cmaAllocFrozen_busy_triesTheNextAlignedPlace() {
    CmaArea area = bench.activated(0, 4, QUARTER);
    assertEquals(
        0, bench.bench.alloc.allocContigFrozenRange(FIRST, FIRST + 1, true, Gfp.KERNEL));
    List<String> locks = locks(() -> assertEquals(2 * BLOCK, pfn(take(area, BIT, 10))));
    assertEquals(sequence(BITMAP, TRY, BITMAP, BITMAP, TRY), locks);
    assertEquals(1, cma.bitsInUse(area));
  }

  /** More than there is, and more than there is in one piece. Expect the lock left each time, and
   * taken once more to say what is free. */
  @Test
  void cmaAllocFrozen_noRoom_leavesTheLock() {
    CmaArea area = bench.activated(0, 2, QUARTER);
    take(area, BIT, 0);
    Page second = take(area, BIT, 0);
    take(area, BIT, 0);
    assertTrue(cma.cmaReleaseFrozen(area, second, BIT));
    Runnable split = () -> assertNull(cma.cmaAllocFrozen(area, 2 * BIT, 0, false));
    Runnable tooMuch = () -> assertNull(cma.cmaAllocFrozen(area, 3 * BIT, 0, true));
    assertEquals(sequence(BITMAP, BITMAP), locks(split));
    assertEquals(BITMAP, locks(tooMuch));
  }

  // ---- edges of an area ----

  /** All pages of an area are released at once, and pages behind it. Expect them back, and a refusal
   * without a warning. */
  @Test
  void cmaReleaseFrozen_edges_belongToTheArea() {
    CmaArea area = bench.activated(0, 2, 0);
    Page all = take(area, 2 * BLOCK, 0);
    assertFalse(cma.cmaReleaseFrozen(area, bench.bench.page(FIRST + 2 * BLOCK), 1));
    assertTrue(cma.cmaReleaseFrozen(area, all, 2 * BLOCK));
    assertEquals(2 * BLOCK, area.availableCount());
    assertEquals(List.of(), bench.bench.warnings());
  }

  // ---- references ----

  /** Three pages, one of which somebody else holds. Expect that one to be counted; none without. */
  @Test
  void cmaRelease_pagesStillHeld_areCounted() {
    CmaArea area = bench.activated(0, 1, 0);
    Page page = Objects.requireNonNull(cma.cmaAlloc(area, 3, 0, false));
    assertTrue(cma.cmaRelease(area, page, 3));
    assertEquals(List.of(), bench.bench.warnings());
    assertNotNull(cma.cmaAlloc(area, 3, 0, false));
    bench.bench.refcount(FIRST + 1, 2);
    cma.cmaRelease(area, page, 3);
    assertEquals("cma_release: 1 pages are still in use!", bench.bench.warnings().getFirst());
  }
}
