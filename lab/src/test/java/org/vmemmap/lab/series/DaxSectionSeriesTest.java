// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.cases.CaseFiles;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Series;
import org.vmemmap.types.ZoneType;

/** Device memory on the generic path: patches 33 to 35, 42 and 44. */
class DaxSectionSeriesTest {
  /**
   * A kernel with device DAX and without HugeTLB's optimisation. Expect a tail to point to its head
   * before patch 33, and to hold the mask of its order with it.
   */
  @Test
  @Tag("patch-33")
  void compoundInfo_daxOnlyBuild_isAMask() {
    assertEquals(head(32).va() | 1, tailWord(32));
    assertEquals(0xffff_ffff_ffff_8001L, tailWord(33));
  }

  private static Page head(int level) {
    return daxOnly(level).kernel().mm().model().pfnToPage(SeriesMachine.DEVICE >>> 12);
  }

  private static long tailWord(int level) {
    Mm mm = daxOnly(level).kernel().mm();
    return mm.struct().word(mm.model().pfnToPage((SeriesMachine.DEVICE >>> 12) + 5), 8);
  }

  private static SeriesMachine daxOnly(int level) {
    MachineSpec spec = SeriesMachine.spec(512L << 20);
    SeriesMachine machine =
        new SeriesMachine(
            spec.withConfig(
                spec.config().withHugetlbOptimizeVmemmap(false).withSeries(Series.at(level))));
    assertEquals(0, machine.addDevice("dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9));
    return machine;
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
    assertEquals(ZoneType.ZONE_DEVICE, zoneOfTail(34));
    assertEquals(ZoneType.ZONE_NORMAL, zoneOfTail(35));
  }

  private static ZoneType zoneOfTail(int level) {
    SeriesMachine machine = new SeriesMachine(level);
    Mm mm = machine.kernel().mm();
    long pfn = SeriesMachine.DEVICE >>> 12;
    machine.kernel().sparse().sparseIndexInit(pfn >>> 15, 0);
    machine.kernel().sparseVmemmap().sectionSetOrderRange(pfn, 32768, 9);
    machine
        .kernel()
        .sparseVmemmap()
        .sectionSetZoneRange(pfn, 32768, mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL));
    machine.kernel().sparseVmemmap().populateSectionMemmap0(pfn, 32768, 0, null, null);
    return mm.inline().zonenum(mm.struct().flags(mm.model().pfnToPage(pfn + 100)));
  }

  /**
   * The count of frames for a folio of 1 GiB that is asked at once, in a kernel with DEBUG_VM.
   * Expect one page in both, for one section and for all eight; but a warning before patch 42.
   */
  @Test
  @Tag("patch-42")
  void sectionVmemmapPages_wholeFolio_isNoMistake() {
    assertEquals("1 1 0 true", folioCounts(41));
    assertEquals("1 1 0 false", folioCounts(42));
  }

  private static String folioCounts(int level) {
    MachineSpec spec = SeriesMachine.spec(512L << 20);
    SeriesMachine machine =
        new SeriesMachine(
            spec.withConfig(spec.config().withDebugVm(true).withSeries(Series.at(level))));
    assertEquals(0, machine.addDevice("dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 18));
    long pfn = SeriesMachine.DEVICE >>> 12;
    SparseVmemmap vmemmap = machine.kernel().sparseVmemmap();
    String counts =
        vmemmap.sectionVmemmapPages(pfn, 32768)
            + " "
            + vmemmap.sectionVmemmapPages(pfn, 262144)
            + " "
            + vmemmap.sectionVmemmapPages(pfn + 32768, 32768);
    return counts + " " + machine.warned("section_vmemmap_pages: nr_pages > PAGES_PER_SECTION");
  }

  /**
   * arm64, which never asked for shared tails of devices. Expect the whole memmap before patch 44
   * and one frame for each compound page of 2 MiB with it.
   */
  @Test
  @Tag("patch-44")
  void memremap_arm64_sharesTails() {
    assertEquals(4096, onArm64(43));
    assertEquals(512, onArm64(44));
  }

  private static long onArm64(int level) {
    MachineSpec arm =
        CaseFiles.machine(Path.of("..", "cases", "arm64", "4k-base-4G.json"))
            .withSeries(Series.at(level));
    SeriesMachine machine = new SeriesMachine(SeriesMachine.withDevices(arm));
    assertEquals(0, machine.addDevice("dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9));
    return machine.memmapPages();
  }
}
