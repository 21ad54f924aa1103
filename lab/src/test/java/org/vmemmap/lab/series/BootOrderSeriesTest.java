// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.types.Series;

/** What is known when HugeTLB takes its pages: patches 11 and 27. */
class BootOrderSeriesTest {
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
    assertEquals("not known", Seen.at(10, "zones-at-section-init"));
    assertEquals("2", Seen.at(11, "zones-at-section-init"));
  }

  /**
   * Four hugepages of 1 GiB are taken, of which one is given back. While the first section table is
   * allocated, expect three to be reserved already before patch 27, and none with it.
   */
  @Test
  @Tag("patch-27")
  void mmCoreInitEarly_sections_arePresentBeforeHugetlb() {
    assertEquals("3", Seen.at(26, "hugepages-at-section-init"));
    assertEquals("0", Seen.at(27, "hugepages-at-section-init"));
  }

  /**
   * Hugepages by node, which are asked for before there are zones at level 0. Expect the nodes to be
   * known, as the architecture lets them go online first, and the same pages on them at all levels.
   */
  @Test
  void hugepagesSetup_byNode_knowsTheNodesAtEveryLevel() {
    for (int level : new int[] {0, 10, 11, 49}) {
      SeriesMachine machine =
          new SeriesMachine(
              MachineSpecs.ofSize(1L << 30, 2, List.of(), 4, List.of("hugepages=0:1,1:2"))
                  .withSeries(Series.at(level)));
      for (int node = 0; node < 2; node++) {
        String file =
            "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages"
                .formatted(node);
        assertEquals(Integer.toString(node + 1), machine.kernel().read(file), "level " + level);
      }
    }
  }

  /**
   * Section 32 of 4 GiB, asked for when HugeTLB takes the first boot page from memblock. Expect no
   * table for it before patch 27, and a present section that names its node with it; and the same
   * memmap in the end.
   */
  @Test
  @Tag("patch-27")
  void hugetlbBootmemAlloc_section_isPresentWithThePatch() {
    assertEquals("absent, then 12289", sectionAtFirstHugepage(26));
    assertEquals("present, then 12289", sectionAtFirstHugepage(27));
  }

  private static String sectionAtFirstHugepage(int level) {
    List<String> seen = new ArrayList<>();
    LabKernel.Listener listener =
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel booting) {
            booting
                .mm()
                .machine()
                .faults()
                .failFrom(
                    1,
                    site -> {
                      if (site.equals("memblock_alloc_hugetlb")) {
                        boolean there = booting.mm().mmzone().highestPresentSectionNr >= 32;
                        seen.add(there ? "present" : "absent");
                      }
                      return false;
                    });
          }
        };
    MachineSpec spec =
        SeriesMachine.spec(4L << 30, "hugetlb_free_vmemmap=on", "hugepagesz=1G", "hugepages=1");
    LabKernel kernel = LabKernel.bootEarly(new Level(level).on(spec), listener);
    return seen.getFirst() + ", then " + kernel.mm().vmstat().nrMemmapBootPages();
  }
}
