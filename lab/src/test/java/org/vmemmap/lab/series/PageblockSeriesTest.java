// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Migratetype;

/** Pageblock types of device memory: patch 6. */
class PageblockSeriesTest {
  /**
   * A device in compound pages of 1 GiB, of which 128 struct pages each are written.
   *
   * <pre>
   *   pageblocks   [ 0 ][ 1 ] ... [ 511 ]
   *   visited       xx
   * </pre>
   *
   * Expect one movable pageblock for each compound page before patch 6 and all of them with it. In
   * compound pages of 2 MiB each pageblock is visited, so all in both.
   */
  @Test
  @Tag("patch-06")
  void memmapInitZoneDevice_largeCompoundPage_setsAllPageblocks() {
    assertEquals(1, movable(5, 1, 18));
    assertEquals(512, movable(6, 1, 18));
    assertEquals(2, movable(5, 2, 18));
    assertEquals(1024, movable(6, 2, 18));
    assertEquals(512, movable(5, 1, 9));
    assertEquals(512, movable(6, 1, 9));
  }

  private static long movable(int level, long gib, int shift) {
    SeriesMachine machine = new SeriesMachine(level);
    long bytes = gib * SeriesMachine.GIB;
    assertEquals(0, machine.addDevice("dax", SeriesMachine.DEVICE, bytes, shift));
    long count = 0;
    for (long at = SeriesMachine.DEVICE; at < SeriesMachine.DEVICE + bytes; at += 2L << 20) {
      count += machine.migratetype(at) == Migratetype.MIGRATE_MOVABLE ? 1 : 0;
    }
    return count;
  }
}
