// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.observe.RangePtes.Run;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.ZoneType;

/** A close look at the memmap of some pfns. */
class RangePtesTest {
  private static final long HUGEPAGE = 512;
  private static final long FRAME = 0x300;

  private final SmallMachine machine = new SmallMachine();
  private final Mm mm = machine.mm();

  private List<Run> runs(long startPfn, long pages) {
    return new RangePtes(mm, new ZoneTails(mm), startPfn, pages).runs();
  }

  /**
   * The hugepage at pfn 512 has memmap pages 8 to 15: one of its own, seven that share a frame.
   * Expect two runs, page numbers counted from the hugepage's first.
   */
  @Test
  void runs_optimisedHugepage_areOwnAndShared() {
    machine.mapPage(8, FRAME, SmallMachine.RW);
    for (long vpage = 9; vpage < 16; vpage++) {
      machine.mapPage(vpage, FRAME + 1, SmallMachine.RO);
    }

    assertEquals(
        List.of(
            new Run(0, 1, 0, SmallMachine.RW, false, 1, FRAME, 0, false, null),
            new Run(1, 7, 0, SmallMachine.RO, true, 7, FRAME + 1, 0, false, null)),
        runs(HUGEPAGE, 512));
  }

  /** Pages of different frames, then a gap, then one more. Expect the gap as a run of its own. */
  @Test
  void runs_gap_isARunOfLevelNone() {
    machine.mapPage(8, FRAME, SmallMachine.RW);
    machine.mapPage(9, FRAME + 5, SmallMachine.RW);
    machine.mapPage(15, FRAME + 2, SmallMachine.RW);

    List<Run> found = runs(HUGEPAGE, 512);

    assertEquals(3, found.size());
    assertEquals(2, found.get(0).n());
    assertEquals(new Run(2, 5, -1, 0, false, 0, 0, 0, false, null), found.get(1));
    assertEquals(7, found.get(2).vpage());
  }

  /** Nothing is mapped. Expect one run of level none over the whole range. */
  @Test
  void runs_nothingMapped_areOneHole() {
    assertEquals(List.of(new Run(0, 8, -1, 0, false, 0, 0, 0, false, null)), runs(HUGEPAGE, 512));
  }

  /** A block that reaches beyond the range. Expect only the pages inside, and its first frame. */
  @Test
  void runs_blockAroundTheRange_countsOnlyThePagesInside() {
    machine.mapBlock(0, 0x400);

    assertEquals(
        List.of(new Run(0, 8, 1, SmallMachine.BLOCK, false, 1, 0x400, 0, false, null)),
        runs(HUGEPAGE, 512));
  }

  /** Blocks in frames that hold their own memmap. Expect them as inside, with their step. */
  @Test
  void runs_framesOfTheDevice_areInside() {
    mm.machine().ledger().transfer(0x400, 1024, Owner.NONE, Owner.ALTMAP);
    machine.mapBlock(0, 0x400);
    machine.mapBlock(1, 0x600);

    assertEquals(
        List.of(new Run(0, 1024, 1, SmallMachine.BLOCK, false, 2, 0x400, 512, true, null)),
        runs(0, 65536));
  }

  /** The frame is the shared tail of a zone. Expect its name. */
  @Test
  void runs_sharedTailOfAZone_isNamed() {
    int order = 9;
    int slot = order - mm.mmzone().vmemmapTailMinOrder();
    mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL).vmemmapTails[slot] =
        mm.model().pfnToPage(FRAME + 1);
    machine.mapPage(8, FRAME, SmallMachine.RW);
    machine.mapPage(9, FRAME + 1, SmallMachine.RO);
    machine.mapPage(10, FRAME + 1, SmallMachine.RO);

    List<Run> found = runs(HUGEPAGE, 192);

    assertNull(found.get(0).tail());
    ZoneTails.Slot tail = found.get(1).tail();
    assertNotNull(tail);
    assertEquals("0/Normal/9", tail.name());
  }

  /** Table entries on the way to base pages. Expect their flags by the level they are in. */
  @Test
  void tableEntries_basePages_areFlagsByLevel() {
    machine.mapPage(8, FRAME, SmallMachine.RW);

    Map<Integer, Set<Long>> found =
        new RangePtes(mm, new ZoneTails(mm), HUGEPAGE, 512).tableEntries();

    Set<Long> table = Set.of(0x67L);
    assertEquals(Map.of(3, table, 2, table, 1, table), found);
  }
}
