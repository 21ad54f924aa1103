// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Series;

/** A gigantic boot page in two zones: patch 15. */
class CrossZoneSeriesTest {
  private static final String NR_HUGEPAGES =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";

  /**
   * Four hugepages of 1 GiB, the third across the start of ZONE_MOVABLE at 6.5G.
   *
   * <pre>
   *   |  4G  |  5G  |  6G  |  7G  |
   *   |     Normal     |  Movable |
   * </pre>
   *
   * Expect three pages in the end in both, and with HVO 20483 boot pages of memmap. Before patch 15 the fourth is dropped when the pools are
   * filled, base page by base page; with it, when all are taken, and HugeTLB never counts it.
   */
  @Test
  @Tag("patch-15")
  void hugetlbBootmem_pageAcrossZones_isFreedAtOnce() {
    assertEquals("4", Seen.at(14, "cross-zone-hugepages"));
    assertEquals("3", Seen.at(15, "cross-zone-hugepages"));
    for (String hvo : new String[] {"on", "off"}) {
      String before = log(14, hvo);
      assertTrue(before.contains("1.00 GiB page size: 1 invalid page discarded"), before);
      assertFalse(before.contains("cross-zone"), before);

      String after = log(15, hvo);
      assertTrue(after.contains("HugeTLB: freed 1 cross-zone hugepages of size 1.00 GiB"), after);
      assertFalse(after.contains("discarded"), after);
    }
  }

  private static String log(int level, String hvo) {
    SeriesMachine machine =
        new SeriesMachine(
            SeriesMachine.crossZoneSpec(List.of("hugetlb_free_vmemmap=" + hvo))
                .withSeries(Series.at(level)));
    assertEquals("3", machine.kernel().read(NR_HUGEPAGES));
    assertEquals(hvo.equals("on") ? 20483 : 32768, machine.memmapBootPages());
    return String.valueOf(machine.kernel().read("/dev/kmsg"));
  }
}
