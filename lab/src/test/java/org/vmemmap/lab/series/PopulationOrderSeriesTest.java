// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Objects;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** The order in which the sections of a large folio are populated: patch 37. */
class PopulationOrderSeriesTest {
  private static final long PFN = SeriesMachine.DEVICE >>> 12;
  private static final long SECTION = 32768;

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
    assertEquals("4095 tail, 0 frame zero, counted 1", populated(36, 0, 1));
    assertEquals("4095 tail, 0 frame zero, counted 1", populated(37, 0, 1));
    assertEquals("511 tail, 3584 frame zero, counted 1", populated(36, 7, -1));
    assertEquals("4095 tail, 0 frame zero, counted 1", populated(37, 7, -1));
  }

  private static String populated(int level, int first, int step) {
    SeriesMachine machine = new SeriesMachine(level);
    DevPagemap pgmap = new DevPagemap(0);
    pgmap.vmemmapShift = 18;
    long end = SeriesMachine.DEVICE + SeriesMachine.GIB - 1;
    pgmap.ranges = new DevPagemap.Range[] {new DevPagemap.Range(SeriesMachine.DEVICE, end)};
    for (int i = 0, section = first; i < 8; i++, section += step) {
      long pfn = PFN + section * SECTION;
      assertEquals(0, machine.addSection(pfn << 12, SECTION << 12, pgmap, 18, ZoneType.ZONE_DEVICE));
    }
    Mm mm = machine.kernel().mm();
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_DEVICE);
    Page shared = Objects.requireNonNull(zone.vmemmapTails[18 - mm.mmzone().vmemmapTailMinOrder()]);
    MemmapReader reader = new MemmapReader(mm);
    int tails = 0;
    int zeros = 0;
    for (long pfn = PFN; pfn < PFN + 8 * SECTION; pfn += 64) {
      tails += reader.frame(pfn) == mm.model().pageToPfn(shared) ? 1 : 0;
      zeros += reader.frame(pfn) == 0 ? 1 : 0;
    }
    return tails + " tail, " + zeros + " frame zero, counted " + machine.memmapPages();
  }
}
