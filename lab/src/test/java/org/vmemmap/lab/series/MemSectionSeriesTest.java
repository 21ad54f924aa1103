// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Mmzone;

/** The table of sections: patches 21 and 22. */
class MemSectionSeriesTest {
  /**
   * A root page of 4 KiB with 24 bytes for each section, or 32 with padding.
   *
   * <pre>
   *   level 20   [ 0 ][ 1 ] ... [ 127 ]              section 170: root 1, index 42
   *   level 21   [ 0 ][ 1 ] ... [ 127 ] ... [ 169 ]  section 170: root 1, index 0
   * </pre>
   *
   * Expect 128 and then 170 sections, and 8 and then 7 roots for 1024 of them.
   */
  @Test
  @Tag("patch-21")
  void sectionsPerRoot_pageExtension_losesThePadding() {
    Mmzone before = new SeriesMachine(20).kernel().mm().mmzone();
    Mmzone after = new SeriesMachine(21).kernel().mm().mmzone();
    assertEquals("128", Seen.at(20, "sections-per-root"));
    assertEquals("170", Seen.at(21, "sections-per-root"));
    assertEquals(7, before.sectionNrToRoot(1023));
    assertEquals(6, after.sectionNrToRoot(1023));
    assertEquals(1, before.sectionNrToRoot(170));
    assertEquals(1, after.sectionNrToRoot(170));
    assertEquals(42, 170 - before.sectionsPerRoot());
    assertEquals(0, 170 - after.sectionsPerRoot());
  }

  /**
   * One hugepage of 1 GiB at 4 GiB, with its memmap optimised.
   *
   * <pre>
   *   sections   .. 31 ][ 32 33 34 35 36 37 38 39 ][ 40 ..
   *   order       0      18 18 18 18 18 18 18 18     0
   * </pre>
   *
   * Expect no order before patch 22 and 18 for its eight sections with it, which are 8 bytes larger.
   */
  @Test
  @Tag("patch-22")
  void hugetlbVmemmapInitEarly_bootPage_setsTheOrderOfItsSections() {
    Mmzone after = new Level(22).hugepage().mm().mmzone();
    assertEquals(0, after.pfnToSectionOrder((4L << 18) - 1));
    assertEquals("0", Seen.at(21, "boot-page-order"));
    assertEquals("18", Seen.at(22, "boot-page-order"));
    assertEquals(18, after.pfnToSectionOrder((5L << 18) - 1));
    assertEquals(0, after.pfnToSectionOrder(5L << 18));
    assertEquals(128, after.sectionsPerRoot());
  }

  /**
   * Orders that are set by hand in a kernel with DEBUG_VM. Expect nothing to be kept before patch 22;
   * with it an order that stays for its section, a warning for another one on top of it, nothing for
   * a part of a section, and 0 to clear it.
   */
  @Test
  @Tag("patch-22")
  void sectionSetOrderRange_byHand_keepsOneOrder() {
    assertEquals("0 0 0 0 false", ordersByHand(21));
    assertEquals("18 18 9 0 true", ordersByHand(22));
  }

  private static String ordersByHand(int level) {
    MachineSpec plain = SeriesMachine.spec(512L << 20);
    MachineSpec debug = plain.withConfig(plain.config().withDebugVm(true));
    SeriesMachine machine = new SeriesMachine(new Level(level).on(debug));
    SparseVmemmap vmemmap = machine.kernel().sparseVmemmap();
    Mmzone mmzone = machine.kernel().mm().mmzone();
    vmemmap.sectionSetOrderRange(0, 32768, 18);
    int first = mmzone.pfnToSectionOrder(0);
    vmemmap.sectionSetOrderRange(0, 512, 9);
    int part = mmzone.pfnToSectionOrder(0);
    vmemmap.sectionSetOrderRange(0, 32768, 9);
    int other = mmzone.pfnToSectionOrder(0);
    vmemmap.sectionSetOrderRange(0, 32768, 0);
    boolean warned = machine.warned("section_set_order: order && ms->order && ms->order != order");
    return first + " " + part + " " + other + " " + mmzone.pfnToSectionOrder(0) + " " + warned;
  }
}
