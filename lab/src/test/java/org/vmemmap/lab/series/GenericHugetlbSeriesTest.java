// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
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
   * before patch 28.
   */
  @Test
  @Tag("patch-28")
  void hugetlb_bootPage_isOptimisedByTheGenericLoop() {
    assertEquals("8", Seen.at(27, "preinit-sections"));
    assertEquals("0", Seen.at(28, "preinit-sections"));
    assertEquals(24 * 512 + 1, BootMeasures.bootPages(new Level(27), false));
    assertEquals(24 * 512 + 1, BootMeasures.bootPages(new Level(28), false));
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
}
