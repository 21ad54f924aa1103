// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Stray writes to shared tails: patch 38. */
class ReadOnlyTailSeriesTest {
  /**
   * A stray write to struct page 100 of the first of many folios.
   *
   * <pre>
   *   struct pages   [ 0 .. 10 .. 63 ][ 64 .. 100 .. 127 ] ..
   *   frames               f0                  T
   * </pre>
   *
   * Expect it to change page 100 of all folios before patch 38, and to fault with it. A
   * write to page 10, in the folio's own frame, is allowed in both.
   */
  @Test
  @Tag("patch-38")
  void write_toSharedTail_faults() {
    assertEquals("512 folios", Seen.at(37, "stray-write"));
    assertEquals("fault", Seen.at(38, "stray-write"));
    assertEquals("1 folio", DeviceMeasures.strayWrite(new Level(37), 10));
    assertEquals("1 folio", DeviceMeasures.strayWrite(new Level(38), 10));
  }
}
