// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.types.ZoneType;

/** Who says what order an added section has: patch 46. */
class SectionOrderSeriesTest {
  private static final long SECTION = 128L << 20;
  private static final long PFN = SeriesMachine.DEVICE >>> 12;

  /**
   * A section that is added without a device, by a caller that wants compound pages of 2 MiB in
   * ZONE_NORMAL.
   *
   * <pre>
   *   level 45   [ leaf                     ]   512 frames, the wish is not heard
   *   level 46   [ f0 ][ T ] .. [ f1 ][ T ]..   64 frames, and the tail of ZONE_NORMAL
   * </pre>
   *
   * Expect order 0 and 512 pages before patch 46, order 9, 64 pages and tails in Normal with it.
   */
  @Test
  @Tag("patch-46")
  void sparseAddSection_orderWithoutDevice_isTheCallersWord() {
    assertEquals(new SectionMeasures.Added(0, 512, "none"), added(45, 9, ZoneType.ZONE_NORMAL));
    assertEquals(new SectionMeasures.Added(9, 64, "Normal"), added(46, 9, ZoneType.ZONE_NORMAL));
    assertEquals(new SectionMeasures.Added(9, 64, "Device"), added(46, 9, ZoneType.ZONE_DEVICE));
    assertEquals(new SectionMeasures.Added(0, 512, "none"), added(46, 0, ZoneType.ZONE_NORMAL));
  }

  private static SectionMeasures.Added added(int level, int order, ZoneType zone) {
    return SectionMeasures.addedWithOrder(new Level(level), order, zone);
  }

  /**
   * A device of one section in pages of 2 MiB, and the same with its memmap inside of it. Expect
   * nothing to change for them: order 9 and 64 pages, order 0 and 512 pages, at both levels.
   */
  @Test
  @Tag("patch-46")
  void addPages_device_addsItsOrder() {
    for (int level = 45; level <= 46; level++) {
      assertEquals("9 64", device(level, null));
      assertEquals("0 512", device(level, new DaxBus.Altmap(PFN, 0, 512)));
    }
  }

  private static String device(int level, DaxBus.@Nullable Altmap altmap) {
    SeriesMachine machine = new SeriesMachine(level);
    assertEquals(
        0, machine.kernel().dax().memremap("dax", SeriesMachine.DEVICE, SECTION, 9, altmap, 0));
    int order = machine.kernel().mm().mmzone().pfnToSectionOrder(PFN);
    return order + " " + machine.memmapPages();
  }
}
