// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.cases.CaseFiles;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Series;

/** Boot pages of HugeTLB through the generic code: patches 28 and 30. */
class GenericHugetlbSeriesTest {
  /**
   * One hugepage of 1 GiB on 5 GiB of RAM.
   *
   * <pre>
   *   level 27   early hook: 8 sections, PRE-INIT    generic loop: 32 sections
   *   level 28   early hook: none                    generic loop: 40 sections
   * </pre>
   *
   * Expect 32 whole sections and one page to be counted in both, and the flag on eight sections only
   * before patch 28.
   */
  @Test
  @Tag("patch-28")
  void hugetlb_bootPage_isOptimisedByTheGenericLoop() {
    LabKernel before = SeriesMachine.withHugepage(27).kernel();
    LabKernel after = SeriesMachine.withHugepage(28).kernel();
    assertEquals(32 * 512 + 1, before.mm().vmstat().nrMemmapBootPages());
    assertEquals(32 * 512 + 1, after.mm().vmstat().nrMemmapBootPages());
    assertEquals(8, preinited(before.mm().mmzone()));
    assertEquals(0, preinited(after.mm().mmzone()));
    assertTrue(String.valueOf(after.read("/dev/kmsg")).contains("pre-allocated 1 pages"));
  }

  private static long preinited(Mmzone mmzone) {
    long count = 0;
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      count += mmzone.preinitedVmemmapSection(mmzone.section(nr)) ? 1 : 0;
    }
    return count;
  }

  /**
   * A captured arm64 machine, built with HVO, with a boot page of 1 GiB, just before HugeTLB looks at it.
   *
   * <pre>
   *   level 29   8 leaves, split and freed at HugeTLB's init
   *   level 30   1 frame and the shared tail from the start
   * </pre>
   *
   * Expect 4096 pages of memmap for it at that time before patch 30 and one with it; and the same
   * pool in the end.
   */
  @Test
  @Tag("patch-30")
  void arm64_bootPage_needsNoMemmapOfItsOwnAtBoot() {
    assertEquals(4095, peak(29) - peak(30));
  }

  private static long peak(int level) {
    MachineSpec captured =
        CaseFiles.machine(Path.of("..", "cases", "arm64", "4k-base-4G.json"))
            .withCmdline(List.of("hugetlb_free_vmemmap=on", "hugepagesz=1G", "hugepages=1"));
    MachineSpec spec =
        captured.withConfig(
            captured.config().withHugetlbOptimizeVmemmap(true).withSeries(Series.at(level)));
    return LabKernel.bootEarly(spec).mm().vmstat().nrMemmapBootPages();
  }
}
