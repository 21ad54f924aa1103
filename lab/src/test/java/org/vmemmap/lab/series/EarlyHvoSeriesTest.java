// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** When the memmap of an optimised boot page is mapped: patch 16. */
class EarlyHvoSeriesTest {
  /**
   * One hugepage of 1 GiB of a machine with 4 GiB, and no memory for its shared tail.
   *
   * <pre>
   *   level 15   early hook: claims 8 sections     late hook: no tail -> 8 ordinary sections
   *   level 16   early hook: no tail -> panic
   * </pre>
   *
   * Expect 32 sections with all of their memmap before patch 16, and a panic with it. Without a
   * failure, expect 24 sections and one page in both.
   */
  @Test
  @Tag("patch-16")
  void hugetlbVmemmapInitEarly_noTail_panicsInsteadOfFallingBack() {
    assertEquals(24 * 512 + 1, BootMeasures.bootPages(new Level(15), false));
    assertEquals(24 * 512 + 1, BootMeasures.bootPages(new Level(16), false));
    assertEquals("16384", Seen.at(15, "no-tail-boot"));
    String after = Seen.at(16, "no-tail-boot");
    assertTrue(after.startsWith("panic: "), after);
  }
}
