// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Series;

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
    assertEquals(24 * 512 + 1, bootPages(15, false));
    assertEquals(24 * 512 + 1, bootPages(16, false));
    assertEquals(32 * 512, bootPages(15, true));
    assertThrows(KernelPanic.class, () -> bootPages(16, true));
  }

  private static long bootPages(int level, boolean failing) {
    List<Long> counted = new ArrayList<>();
    LabKernel.Listener listener =
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel kernel) {
            if (failing) {
              kernel.mm().machine().faults().failFrom(1, site -> site.equals("vmemmap_get_tail"));
            }
          }

          @Override
          public void beforeBuddy(LabKernel kernel) {
            counted.add(kernel.mm().vmstat().nrMemmapBootPages());
          }
        };
    try {
      LabKernel.boot(
          SeriesMachine.spec(
                  4L << 30, "hugetlb_free_vmemmap=on", "hugepagesz=1G", "hugepages=1")
              .withSeries(Series.at(level)),
          Placement.NONE,
          listener);
    } catch (KernelPanic panic) {
      throw panic;
    } catch (RuntimeException taken) {
      // The page is taken for an optimised one later, and its leaf for a table of ptes.
      assertEquals(true, failing, taken::toString);
    }
    return counted.getFirst();
  }
}
