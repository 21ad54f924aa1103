// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/** The shared tail of boot pages before the page allocator runs: patches 23 and 24. */
class SharedTailSeriesTest {
  private static final long PFN_4G = 4L << 18;

  /**
   * The memmap of a hugepage right after memmap_init(), with nothing deferred.
   *
   * <pre>
   *   struct pages   [ 0 .. 63 ][ 64 .. 127 ] ... [ .. 262143 ]
   *   frames             f0          T      ...        T
   * </pre>
   *
   * Expect all 262144 struct pages to be written before patch 23, with the references of that in T,
   * and the 64 in f0 with it; and all pageblocks movable in both.
   */
  @Test
  @Tag("patch-23")
  void memmapInitRange_optimizedFolio_leavesTheSharedTailAlone() {
    LabKernel before = new Level(22).hugepage();
    LabKernel after = new Level(23).hugepage();
    assertEquals("262144", Seen.at(22, "boot-page-initialised"));
    assertEquals("64", Seen.at(23, "boot-page-initialised"));
    assertEquals(1, before.mm().refs().pageRefCount(BootMeasures.sharedTail(before.mm())));
    assertEquals(0, after.mm().refs().pageRefCount(BootMeasures.sharedTail(after.mm())));
    assertEquals(512, BootMeasures.movable(before));
    assertEquals(512, BootMeasures.movable(after));
  }

  /**
   * The shared frame at the same moment. Expect zeros from initialisation before patch 24, since
   * nobody has made tails of them yet, and with it the mask that leads each of them to its head.
   */
  @Test
  @Tag("patch-24")
  void vmemmapGetTail_bootPage_isFilledAtOnce() {
    assertEquals("0", Seen.at(23, "boot-tail-word"));
    assertEquals("0xffffffffff000001", Seen.at(24, "boot-tail-word"));

    Mm before = new Level(23).hugepage().mm();
    Mm after = new Level(24).hugepage().mm();
    assertFalse(before.flags().pageTail(before.model().pfnToPage(PFN_4G + 64)));
    assertTrue(after.flags().pageTail(after.model().pfnToPage(PFN_4G + 64)));
    Page far = after.model().pfnToPage(PFN_4G + 100_000);
    assertEquals(far, before.flags().compoundHead(far));
    assertEquals(after.model().pfnToPage(PFN_4G), after.flags().compoundHead(far));
  }
}
