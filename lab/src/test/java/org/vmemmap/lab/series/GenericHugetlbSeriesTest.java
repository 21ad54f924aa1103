// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Series;

/** Boot pages of HugeTLB through the generic code: patches 28 and 30. */
class GenericHugetlbSeriesTest {
  /**
   * One hugepage of 1 GiB on 4 GiB of RAM.
   *
   * <pre>
   *   level 27   early hook: 8 sections, PRE-INIT    generic loop: 24 sections
   *   level 28   early hook: none                    generic loop: 32 sections
   * </pre>
   *
   * Expect 24 whole sections and one page to be counted in both, and the flag on eight sections only
   * before patch 28. With HVO off all 32 sections go through the loop and are counted in both.
   */
  @Test
  @Tag("patch-28")
  void hugetlb_bootPage_isOptimisedByTheGenericLoop() {
    assertEquals("8", Seen.at(27, "preinit-sections"));
    assertEquals("0", Seen.at(28, "preinit-sections"));
    assertEquals(24 * 512 + 1, BootMeasures.bootPages(new Level(27), false));
    assertEquals(24 * 512 + 1, BootMeasures.bootPages(new Level(28), false));
    assertEquals("24 of 32, 12289", throughTheLoop(27, "on"));
    assertEquals("32 of 32, 12289", throughTheLoop(28, "on"));
    assertEquals("32 of 32, 16384", throughTheLoop(27, "off"));
    assertEquals("32 of 32, 16384", throughTheLoop(28, "off"));
    SeriesMachine after = new SeriesMachine(SeriesMachine.hugepageSpec().withSeries(Series.at(28)));
    assertTrue(
        String.valueOf(after.kernel().read("/dev/kmsg")).contains("pre-allocated 1 pages"));
  }

  /**
   * An arm64 machine of 4 GiB with two boot pages of 1 GiB, just before HugeTLB looks at them.
   *
   * <pre>
   *   level 29   16 leaves, split and freed at HugeTLB's init
   *   level 30   2 frames and the shared tail from the start
   * </pre>
   *
   * Expect the whole memmap to be counted at that time before patch 30, and two pages for the
   * hugepages with it.
   */
  @Test
  @Tag("patch-30")
  void arm64_bootPage_needsNoMemmapOfItsOwnAtBoot() {
    assertEquals("16384", Seen.at(29, "arm64-boot-peak"));
    assertEquals(Long.toString(16384 - 2 * 4095), Seen.at(30, "arm64-boot-peak"));
  }

  /** Sections of 4 GiB with a boot page that the generic loop populated, and boot pages. */
  private static String throughTheLoop(int level, String hvo) {
    MachineSpec spec =
        SeriesMachine.spec(4L << 30, "hugetlb_free_vmemmap=" + hvo, "hugepagesz=1G", "hugepages=1");
    Mm mm = LabKernel.bootEarly(new Level(level).on(spec)).mm();
    long present = 0;
    for (long nr = mm.mmzone().nextPresentSectionNr(-1); nr >= 0;
        nr = mm.mmzone().nextPresentSectionNr(nr)) {
      present++;
    }
    long generic = present - BootMeasures.preinited(mm.mmzone());
    return generic + " of " + present + ", " + mm.vmstat().nrMemmapBootPages();
  }

  /**
   * The same arm64 machine: what the memmap of its hugepages is mapped by at that time, and what is
   * counted when boot is through. Expect 16 leaves, which are split later, before patch 30, and none
   * with it; and the same count in the end.
   */
  @Test
  @Tag("patch-30")
  void arm64_bootPage_hasNoLeavesToSplit() {
    List<Long> sections = sectionsOfHugepages();
    assertEquals(16, sections.size());
    assertEquals(16, leaves(29, sections));
    assertEquals(0, leaves(30, sections));
    assertEquals(16384 - 2 * 4095, countedInTheEnd(29));
    assertEquals(16384 - 2 * 4095, countedInTheEnd(30));
  }

  /** First pfns of the sections that know their order at level 30. */
  private static List<Long> sectionsOfHugepages() {
    Mmzone mmzone = LabKernel.bootEarly(BootMeasures.arm64Spec(new Level(30))).mm().mmzone();
    List<Long> pfns = new ArrayList<>();
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      if (mmzone.pfnToSectionOrder(mmzone.sectionNrToPfn(nr)) == 18) {
        pfns.add(mmzone.sectionNrToPfn(nr));
      }
    }
    return pfns;
  }

  private static long leaves(int level, List<Long> pfns) {
    Mm mm = LabKernel.bootEarly(BootMeasures.arm64Spec(new Level(level))).mm();
    MemmapReader reader = new MemmapReader(mm);
    return pfns.stream().filter(reader::inLargeLeaf).count();
  }

  private static long countedInTheEnd(int level) {
    Mm mm = new SeriesMachine(BootMeasures.arm64Spec(new Level(level))).kernel().mm();
    return mm.vmstat().nrMemmapBootPages() + mm.vmstat().nrMemmapPages();
  }

  /**
   * Boot pages of 32 MiB of an arm64 machine, four to a section. Expect no section to have an order
   * on either side of patch 28, as none is filled by one page; HugeTLB optimises them at run time.
   */
  @Test
  @Tag("patch-28")
  void hugetlb_bootPageBelowASection_isOptimisedAtRunTime() {
    assertEquals("0 with an order, 4 pages, counted 16384 less 4 * 127", pagesOf32m(27));
    assertEquals("0 with an order, 4 pages, counted 16384 less 4 * 127", pagesOf32m(28));
  }

  private static String pagesOf32m(int level) {
    MachineSpec plain =
        Boards.ofSize(
            Boards.arm64(4096, null), 4L << 30, 1, List.of(),
            List.of("hugetlb_free_vmemmap=on", "hugepagesz=32M", "hugepages=4"));
    MachineSpec spec = plain.withConfig(plain.config().withHugetlbOptimizeVmemmap(true));
    SeriesMachine machine = new SeriesMachine(new Level(level).on(spec));
    Mmzone mmzone = machine.kernel().mm().mmzone();
    long ordered = 0;
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      ordered += mmzone.pfnToSectionOrder(mmzone.sectionNrToPfn(nr)) != 0 ? 1 : 0;
    }
    String pages =
        machine.kernel().read("/sys/kernel/mm/hugepages/hugepages-32768kB/nr_hugepages");
    long counted = machine.memmapBootPages() + machine.memmapPages();
    return "%d with an order, %s pages, counted 16384 less 4 * %d"
        .formatted(ordered, pages, (16384 - counted) / 4);
  }
}
