// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Series;

/** What is known when HugeTLB takes its pages: patches 11 and 27. */
class BootOrderSeriesTest {
  private static final long PFN_6G = 6L << 18;

  /**
   * ZONE_MOVABLE begins at 6.5G. While the section table is made, a probe asks whether the GiB at
   * 6G lies in two zones.
   *
   * <pre>
   *   |     Normal     |  6G : 6.5G  |   Movable   |
   * </pre>
   *
   * Expect no for an answer before patch 11, as all zones are empty, and yes with it.
   */
  @Test
  @Tag("patch-11")
  void mmCoreInitEarly_rangeAcrossZones_isKnownWhenSectionsAreMade() {
    assertEquals(false, crosses(10));
    assertEquals(true, crosses(11));
  }

  /**
   * A hugepage of 1 GiB is taken. Expect the log to tell nothing of it, and the boot to come to the
   * same; but while the first section table is allocated, the page is reserved already before patch
   * 27, and not yet with it.
   */
  @Test
  @Tag("patch-27")
  void mmCoreInitEarly_sections_arePresentBeforeHugetlb() {
    assertEquals(true, hugepageReserved(26));
    assertEquals(false, hugepageReserved(27));
  }

  private static boolean hugepageReserved(int level) {
    List<Long> reserved = new ArrayList<>();
    LabKernel.Listener probe =
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel kernel) {
            kernel
                .mm()
                .machine()
                .faults()
                .failFrom(
                    Long.MAX_VALUE,
                    site -> {
                      if (site.equals("sparse_index_alloc")) {
                        reserved.add(kernel.memblock().memblockReservedSize());
                      }
                      return false;
                    });
          }
        };
    LabKernel.boot(SeriesMachine.hugepageSpec(level), Placement.NONE, probe);
    return reserved.getFirst() > 1L << 30;
  }

  private static boolean crosses(int level) {
    List<Boolean> answers = new ArrayList<>();
    LabKernel.Listener probe =
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel kernel) {
            kernel
                .mm()
                .machine()
                .faults()
                .failFrom(
                    Long.MAX_VALUE,
                    site -> {
                      if (site.equals("sparse_index_alloc")) {
                        answers.add(
                            kernel.mmInit().pfnRangeIntersectsZones(0, PFN_6G, 1L << 18));
                      }
                      return false;
                    });
          }
        };
    LabKernel.boot(
        SeriesMachine.spec(8L << 30, "movablecore=2560M").withSeries(Series.at(level)),
        Placement.NONE,
        probe);
    return answers.getFirst();
  }
}
