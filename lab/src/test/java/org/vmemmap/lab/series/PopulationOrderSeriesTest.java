// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The order in which the sections of a large folio are populated: patch 37. */
class PopulationOrderSeriesTest {
  /**
   * The eight sections of a folio of 1 GiB, the last one first.
   *
   * <pre>
   *   section     0          1          2     ...    7
   *   memmap   [f0][T][T] [T][T][T] [T][T][T] ... [T][T][T]
   *   added       8th        7th                    1st
   * </pre>
   *
   * Before patch 37 a section that is not the first one takes what is mapped just below it. Expect
   * that to be an empty entry, so that seven sections show frame 0 and only section 0 shows the
   * shared tail; and with the patch all 4095 pages behind the head's to show it. In ascending order
   * expect the same in both, and one frame to be counted always.
   */
  @Test
  @Tag("patch-37")
  void populate_sectionsInReverseOrder_shareTheTail() {
    assertEquals(new SectionMeasures.Folio(4095, 0, 1), added(36, true));
    assertEquals(new SectionMeasures.Folio(4095, 0, 1), added(37, true));
    assertEquals(new SectionMeasures.Folio(511, 3584, 1), added(36, false));
    assertEquals(new SectionMeasures.Folio(4095, 0, 1), added(37, false));
  }

  private static SectionMeasures.Folio added(int level, boolean ascending) {
    return SectionMeasures.addedInOrder(new Level(level), ascending);
  }
}
