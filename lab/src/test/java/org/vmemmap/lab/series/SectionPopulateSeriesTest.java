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

  /**
   * The eight sections of a folio of 1 GiB, and sections of order 9 and 0, populated by hand.
   *
   * <pre>
   *                level 24                        level 25
   *               own  shared  leaves  counted    own  shared  leaves  counted
   *   order 18   4096       0       8     4096      1    4095       0        1
   *   order  9    512       0       1      512     64     448       0       64
   *   order  0    512       0       1      512    512       0       1      512
   * </pre>
   *
   * Expect leaves and whole counts before patch 25, whatever the order is.
   */
  @Test
  @Tag("patch-25")
  void populate_orders18And9And0_mapsAndCountsByOrder() {
    assertEquals("4096 0 8 4096", shape(24, 18, 8));
    assertEquals("1 4095 0 1", shape(25, 18, 8));
    assertEquals("512 0 1 512", shape(24, 9, 1));
    assertEquals("64 448 0 64", shape(25, 9, 1));
    assertEquals("512 0 1 512", shape(24, 0, 1));
    assertEquals("512 0 1 512", shape(25, 0, 1));
  }

  private static String shape(int level, int order, int sections) {
    SectionMeasures.Shape seen = SectionMeasures.populated(new Level(level), order, sections);
    return "%d %d %d %d".formatted(seen.own(), seen.shared(), seen.leaves(), seen.counted());
  }
}
