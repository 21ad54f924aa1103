// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What hot-adding counts: patches 1 and 3. */
class AccountingSeriesTest {
  private static final long SECTION = 128L << 20;

  /**
   * Hot-adds of a section while no memmap can be allocated. Expect each to be counted back
   * without having been counted before patch 1, and nothing to be left behind with it.
   *
   * <pre>
   *             add    undo            add     undo
   *   level 0    -     -512   level 1  +512    -512
   * </pre>
   */
  @Test
  @Tag("patch-01")
  void sectionActivate_noMemoryForTheMemmap_countsWhatItUndoes() {
    assertEquals("-512", Seen.at(0, "failed-hot-add"));
    assertEquals("0", Seen.at(1, "failed-hot-add"));
    assertEquals(-1536, DeviceMeasures.failedHotAdds(new Level(0), SECTION, 3));
    assertEquals(0, DeviceMeasures.failedHotAdds(new Level(1), SECTION, 3));
    assertEquals(-24, DeviceMeasures.failedHotAdds(new Level(0), 2L << 20, 3));
    assertEquals(0, DeviceMeasures.failedHotAdds(new Level(1), 2L << 20, 3));
  }

  /**
   * A device of 1 GiB, in compound pages of 2 MiB and of 1 GiB. Expect the count to be that of the
   * whole memmap before patch 3 and that of the frames with it; and nothing after removal.
   *
   * <pre>
   *   2 MiB: 512 times [ f0 ][ f1 ][ f1 ] ...  1024 frames of 4096
   * </pre>
   */
  @Test
  @Tag("patch-03")
  void memremap_compoundPages_countsTheFramesThatExist() {
    assertEquals("4096", Seen.at(2, "dax-2m-pages"));
    assertEquals("1024", Seen.at(3, "dax-2m-pages"));
    assertEquals("4096", Seen.at(2, "dax-1g-pages"));
    assertEquals("2", Seen.at(3, "dax-1g-pages"));
  }

  /** The same device, removed again. Expect nothing to be left in the count. */
  @Test
  void memunmap_compoundPages_countsBackWhatWasCounted() {
    for (int level = 2; level <= 3; level++) {
      SeriesMachine machine = new SeriesMachine(level);
      DeviceMeasures.add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9);
      machine.removeDevice("dax");
      assertEquals(0, machine.memmapPages());
    }
  }
}
