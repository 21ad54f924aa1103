// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/** Device memory on the generic path: patches 33 to 35, 42 and 44. */
class DaxSectionSeriesTest {
  /**
   * A kernel with device DAX and without HugeTLB's optimisation. Expect a tail to point to its head
   * before patch 33, and to hold the mask of its order with it.
   */
  @Test
  @Tag("patch-33")
  void compoundInfo_daxOnlyBuild_isAMask() {
    assertEquals("head | 1", Seen.at(32, "dax-only-tail-word"));
    assertEquals("0xffffffffffff8001", Seen.at(33, "dax-only-tail-word"));
  }

  /**
   * A device of 1 GiB. Expect one frame less for each compound page with patch 34, pages of 512 KiB
   * to be optimised at all, and a second device to need no other shared tail.
   *
   * <pre>
   *   level 33   [ f0 ][ f1 ][ f1 ] ..   [ f2 ][ f3 ][ f3 ] ..
   *   level 34   [ f0 ][ T  ][ T  ] ..   [ f1 ][ T  ][ T  ] ..
   * </pre>
   */
  @Test
  @Tag("patch-34")
  void memremap_compoundPages_shareOneTailInTheZone() {
    assertEquals("1024", Seen.at(33, "dax-2m-pages"));
    assertEquals("512", Seen.at(34, "dax-2m-pages"));
    assertEquals("2", Seen.at(33, "dax-1g-pages"));
    assertEquals("1", Seen.at(34, "dax-1g-pages"));
    assertEquals("4096", Seen.at(33, "dax-512k-pages"));
    assertEquals("2048", Seen.at(34, "dax-512k-pages"));
    assertEquals("1024 2048 0", counts(33, 9));
    assertEquals("512 1024 0", counts(34, 9));
    assertEquals("2 4 0", counts(33, 18));
    assertEquals("1 2 0", counts(34, 18));
    assertEquals("4096 8192 0", counts(33, 7));
    assertEquals("2048 4096 0", counts(34, 7));
  }

  private static String counts(int level, int shift) {
    SeriesMachine machine = new SeriesMachine(level);
    assertEquals(0, machine.addDevice("a", SeriesMachine.DEVICE, SeriesMachine.GIB, shift));
    long one = machine.memmapPages();
    long second = SeriesMachine.DEVICE + 2 * SeriesMachine.GIB;
    assertEquals(0, machine.addDevice("b", second, SeriesMachine.GIB, shift));
    long two = machine.memmapPages();
    Mm mm = machine.kernel().mm();
    Page far = mm.model().pfnToPage((second >>> 12) + 100);
    assertEquals(mm.model().pfnToPage((second >>> 12) + (100 & -(1 << shift))),
        mm.flags().compoundHead(far));
    machine.removeDevice("a");
    machine.removeDevice("b");
    return one + " " + two + " " + machine.memmapPages();
  }

  /**
   * A section that is populated at run time, with order 9 and ZONE_NORMAL as its zone. Expect the
   * shared tail of ZONE_DEVICE before patch 35, which gives its struct pages the wrong zone, and
   * that of ZONE_NORMAL with it.
   */
  @Test
  @Tag("patch-35")
  void populate_sectionWithZone_usesItsTail() {
    assertEquals("Device", Seen.at(34, "tail-zone"));
    assertEquals("Normal", Seen.at(35, "tail-zone"));
  }

  /**
   * The count of frames for a folio of 1 GiB that is asked at once, in a kernel with DEBUG_VM.
   * Expect one page in both, for one section and for all eight; but a warning before patch 42.
   */
  @Test
  @Tag("patch-42")
  void sectionVmemmapPages_wholeFolio_isNoMistake() {
    assertEquals("1 and a warning", Seen.at(41, "whole-folio-count"));
    assertEquals("1", Seen.at(42, "whole-folio-count"));
  }

  /**
   * arm64, which never asked for shared tails of devices. Expect the whole memmap before patch 44
   * and one frame for each compound page of 2 MiB with it.
   */
  @Test
  @Tag("patch-44")
  void memremap_arm64_sharesTails() {
    assertEquals("4096", Seen.at(43, "arm64-dax-2m-pages"));
    assertEquals("512", Seen.at(44, "arm64-dax-2m-pages"));
  }
}
