// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Series;

/** Generic population of a section with an order: patches 25 and 49. */
class SectionPopulateSeriesTest {
  private static final long PFN = 0x100000;

  /**
   * Two absent sections inside ZONE_NORMAL get order 18 by hand and are populated.
   *
   * <pre>
   *   level 24   [ leaf            ][ leaf            ]   1024 frames
   *   level 25   [ f0 ][ T ][ T ].. [ T ][ T ][ T ]..     2 frames
   * </pre>
   *
   * Expect leaves and whole counts before patch 25; one frame and the shared tail with it.
   */
  @Test
  @Tag("patch-25")
  void populate_sectionWithOrder_mapsTheSharedTail() {
    assertEquals("1024", Seen.at(24, "order-18-frames"));
    assertEquals("2", Seen.at(25, "order-18-frames"));
  }

  /**
   * The same section in a kernel whose struct page has 80 bytes, so that a tail cannot be found by a
   * mask and nothing can be shared.
   *
   * <pre>
   *   level 48   [ f0 ][ f1 ] ... [ f639 ]    640 frames, taken one by one, counted as one
   *   level 49   [ leaf        ][ leaf    ]   an ordinary section: 640 pages counted
   * </pre>
   *
   * Expect the order alone to keep leaves away before patch 49, and 17 slots for shared tails that
   * will never be filled; with the patch leaves, and no slots.
   */
  @Test
  @Tag("patch-49")
  void populate_sectionWithOrderAndOddStructPage_isOrdinary() {
    assertEquals("640 ptes, counted 1, 17 slots", odd(48));
    assertEquals("0 ptes, counted 640, 0 slots", odd(49));
  }

  private static String odd(int level) {
    MachineSpec spec = SeriesMachine.spec(512L << 20).withSeries(Series.at(level));
    SeriesMachine machine =
        new SeriesMachine(spec.withConfig(spec.config().withSizeofStructPage(80)));
    Mm mm = machine.kernel().mm();
    machine.kernel().sparse().sparseIndexInit(PFN >>> 15, 0);
    machine.kernel().sparseVmemmap().sectionSetOrderRange(PFN, 32768, 18);
    machine.kernel().sparseVmemmap().populateSectionMemmap0(PFN, 32768, 0, null, null);
    MemmapReader reader = new MemmapReader(mm);
    Set<Long> frames = new HashSet<>();
    int ptes = 0;
    for (long at = 0; at < 640; at++) {
      long pfn = PFN + (at * 4096 + 79) / 80;
      frames.add(reader.frame(pfn));
      ptes += reader.inLargeLeaf(pfn) ? 0 : 1;
    }
    assertEquals(640, frames.size());
    return "%d ptes, counted %d, %d slots"
        .formatted(
            ptes,
            machine.kernel().sparseVmemmap().sectionVmemmapPages(PFN, 32768),
            mm.mmzone().nrVmemmapTails());
  }
}
