// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.Pmd;

/** Generic population of a section with an order: patch 25. */
class SectionPopulateSeriesTest {
  private static final long PFN = 0x100000;

  /**
   * Two absent sections inside ZONE_NORMAL get order 18 by hand and are populated.
   *
   * <pre>
   *   level 24   [ leaf            ][ leaf            ]   1024 frames
   *   level 25   [ f0 ][ T ][ T ].. [ T ][ T ][ T ]..     2 frames
   * </pre>
   *
   * Expect leaves and whole counts before patch 25; one frame and the shared tail with it.
   */
  @Test
  @Tag("patch-25")
  void populate_sectionWithOrder_mapsTheSharedTail() {
    assertEquals("leaf 1 leaf 1", populated(24));
    assertEquals("table 2 table 1", populated(25));
  }

  private static String populated(int level) {
    SeriesMachine machine = new SeriesMachine(level);
    Mm mm = machine.kernel().mm();
    StringBuilder seen = new StringBuilder();
    mm.nodes().nodeData(0).zone(org.vmemmap.types.ZoneType.ZONE_NORMAL).zoneStartPfn = PFN;
    mm.nodes().nodeData(0).zone(org.vmemmap.types.ZoneType.ZONE_NORMAL).spannedPages = 1 << 18;
    for (long pfn = PFN; pfn < PFN + 65536; pfn += 32768) {
      machine.kernel().sparse().sparseIndexInit(pfn >>> 15, 0);
      machine.kernel().sparseVmemmap().sectionSetOrderRange(pfn, 32768, 18);
      machine.kernel().sparseVmemmap().populateSectionMemmap0(pfn, 32768, 0, null, null);
      seen.append(shape(mm, pfn)).append(' ');
    }
    return seen.toString().strip();
  }

  private static String shape(Mm mm, long pfn) {
    long va = mm.model().pfnToPage(pfn).va();
    Ptr<Pmd> pmd = mm.pgtable().pmdOffK(va);
    if (mm.pgtable().pmdLeaf(mm.pgtable().pmdpGet(pmd))) {
      return "leaf 1";
    }
    Set<Long> frames = new HashSet<>();
    for (long at = va; at < va + (2L << 20); at += 4096) {
      frames.add(mm.pgtable().ptePfn(mm.pgtable().ptepGet(mm.pgtable().virtToKpte(at))));
    }
    return "table " + frames.size();
  }
}
