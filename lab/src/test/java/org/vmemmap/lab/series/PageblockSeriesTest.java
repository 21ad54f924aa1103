// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.dax.DaxBus;
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
   * compound pages of 2 MiB each pageblock is visited, so all in both; so are those of the
   * second GiB of a device whose first one is kept for its memmap.
   */
  @Test
  @Tag("patch-06")
  void memmapInitZoneDevice_largeCompoundPage_setsAllPageblocks() {
    assertEquals("1", Seen.at(5, "dax-movable-blocks"));
    assertEquals("512", Seen.at(6, "dax-movable-blocks"));
    assertEquals(2, DeviceMeasures.movablePageblocks(new Level(5), 2, 18));
    assertEquals(1024, DeviceMeasures.movablePageblocks(new Level(6), 2, 18));
    assertEquals(512, DeviceMeasures.movablePageblocks(new Level(5), 1, 9));
    assertEquals(512, DeviceMeasures.movablePageblocks(new Level(6), 1, 9));
    assertEquals(512, movableWithAltmap(5));
    assertEquals(512, movableWithAltmap(6));
  }

  private static long movableWithAltmap(int level) {
    SeriesMachine machine = new SeriesMachine(level);
    DaxBus.Altmap own = new DaxBus.Altmap(SeriesMachine.DEVICE >>> 12, 0, 1L << 18);
    int rc =
        machine
            .kernel()
            .dax()
            .memremap("dax", SeriesMachine.DEVICE, 2 * SeriesMachine.GIB, 18, own, 0);
    assertEquals(0, rc);
    long movable = 0;
    for (long at = SeriesMachine.GIB; at < 2 * SeriesMachine.GIB; at += 2L << 20) {
      Migratetype type = machine.migratetype(SeriesMachine.DEVICE + at);
      movable += type == Migratetype.MIGRATE_MOVABLE ? 1 : 0;
    }
    return movable;
  }
}
