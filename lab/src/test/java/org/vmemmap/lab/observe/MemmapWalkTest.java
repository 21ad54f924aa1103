// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.observe.MemmapWalk.LeafKind;
import org.vmemmap.lab.observe.MemmapWalk.LeafRange;

/** The numbers of a memmap that was mapped by hand. */
class MemmapWalkTest {
  private static final long HEAD_FRAME = 0x300;
  private static final long TAIL_FRAME = 0x301;
  private static final long BLOCK_FRAME = 0x400;
  private static final int PTE = 0;
  private static final int PMD = 1;
  private static final int PUD = 2;

  private SmallMachine machine = new SmallMachine();

  /**
   * One optimised hugepage in the second block, and a block that is mapped as a whole.
   *
   * <pre>
   *   memmap   |   2M: block 0   | head | tail tail tail tail tail tail tail |  nothing
   *   vpage    0               511  512   513                           519
   * </pre>
   */
  @BeforeEach
  void mapOneHugepage() {
    machine = new SmallMachine();
    machine.mapBlock(0, BLOCK_FRAME);
    machine.mapPage(512, HEAD_FRAME, SmallMachine.RW);
    for (long vpage = 513; vpage < 520; vpage++) {
      machine.mapPage(vpage, TAIL_FRAME, SmallMachine.RO);
    }
  }

  /** Expect 520 pages mapped, 514 different frames, 7 pages that cannot be written. */
  @Test
  void walk_optimisedHugepage_countsPagesAndFrames() {
    MemmapWalk walk = new MemmapWalk(machine.mm());

    assertEquals(520, walk.mappedPages());
    assertEquals(514, walk.distinctPages());
    assertEquals(7, walk.readOnlyPages());
  }

  /** Expect one table of each level below the top. */
  @Test
  void walk_threeTables_countsThemByLevel() {
    MemmapWalk walk = new MemmapWalk(machine.mm());

    assertEquals(1, walk.tables(PTE));
    assertEquals(1, walk.tables(PMD));
    assertEquals(1, walk.tables(PUD));
    assertEquals(3, walk.allTables());
  }

  /** Expect one kind for the block, one for the head's page, one for the shared tails. */
  @Test
  void walk_leaves_areCountedByLevelAndFlags() {
    MemmapWalk walk = new MemmapWalk(machine.mm());

    assertEquals(
        Map.of(
            new LeafKind(PMD, SmallMachine.BLOCK), 1L,
            new LeafKind(PTE, SmallMachine.RW), 1L,
            new LeafKind(PTE, SmallMachine.RO), 7L),
        walk.leaves());
  }

  /** Expect two runs: leaves of one level that touch are one. */
  @Test
  void walk_leafRanges_joinNeighboursOfALevel() {
    MemmapWalk walk = new MemmapWalk(machine.mm());

    assertEquals(
        List.of(new LeafRange(PMD, 0, 0x200000), new LeafRange(PTE, 0x200000, 0x208000)),
        walk.leafRanges());
  }

  /** Expect that the tail's frame is mapped seven times, never writable. */
  @Test
  void walk_sharedFrame_isCountedWithItsMappings() {
    List<String> shared = new ArrayList<>();

    new MemmapWalk(machine.mm())
        .baseFrames()
        .forEach(
            (frame, maps, writable) -> {
              if (maps > 1) {
                shared.add(Long.toHexString(frame) + " " + maps + " " + writable);
              }
            });

    assertEquals(List.of("301 7 0"), shared);
  }

  /** A base page that maps a frame of the block as well. Expect that the frame counts once. */
  @Test
  void walk_frameInsideABlock_isNoOtherFrame() {
    machine.mapPage(520, BLOCK_FRAME + 3, SmallMachine.RW);

    assertEquals(514, new MemmapWalk(machine.mm()).distinctPages());
  }
}
