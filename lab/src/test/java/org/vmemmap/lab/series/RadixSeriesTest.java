// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Compound pages of devices in the radix tree of powerpc: patch 36. */
class RadixSeriesTest {
  private static final long MIB = 1L << 20;

  /**
   * Two compound pages of a device, in pages of 4 KiB and of 64 KiB.
   *
   * <pre>
   *               first compound page      second compound page
   *   level 35   [ f0 ][ f1 ][ f1 ] ..   [ f2 ][ f3 ][ f3 ] ..
   *   level 36   [ f0 ][ T  ][ T  ] ..   [ f1 ][ T  ][ T  ] ..
   * </pre>
   *
   * Expect 6 and then 7 of 8 frames to be saved for 2 MiB in pages of 4 KiB, 14 and then 15 of 16
   * for 1 GiB in pages of 64 KiB. A folio of 2 MiB has not even a page of memmap there: expect an
   * ordinary memmap in both.
   */
  @Test
  @Tag("patch-36")
  void vmemmapPopulateCompoundPages_radix_keepsOneFrameForEachFolio() {
    assertEquals("saved 6 of 8, counted 2048", seen(35, 4096, 2 * MIB));
    assertEquals("saved 7 of 8, counted 1024", seen(36, 4096, 2 * MIB));
    assertEquals("saved 14 of 16, counted 4", seen(35, 65536, 1024 * MIB));
    assertEquals("saved 15 of 16, counted 2", seen(36, 65536, 1024 * MIB));
    assertEquals("saved 0 of 0, counted 128", seen(35, 65536, 2 * MIB));
    assertEquals("saved 0 of 0, counted 128", seen(36, 65536, 2 * MIB));
  }

  private static String seen(int level, int pageSize, long folio) {
    SectionMeasures.Saved seen =
        SectionMeasures.savedOnRadix(new Level(level), pageSize, folio);
    return "saved %d of %d, counted %d".formatted(seen.saved(), seen.of(), seen.counted());
  }
}
