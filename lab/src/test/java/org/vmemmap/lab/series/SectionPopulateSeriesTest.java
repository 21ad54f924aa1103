// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Generic population of a section with an order: patch 25. */
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
}
