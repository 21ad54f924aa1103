// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Generic population of a section with an order: patches 25 and 49. */
class SectionPopulateSeriesTest {
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
    assertEquals(new SectionMeasures.Odd(640, 1, 17), SectionMeasures.oddStructPage(new Level(48)));
    assertEquals(new SectionMeasures.Odd(0, 640, 0), SectionMeasures.oddStructPage(new Level(49)));
  }
}
