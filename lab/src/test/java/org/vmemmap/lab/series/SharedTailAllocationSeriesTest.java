// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Series;

/** Who allocates shared tails: patch 32. */
class SharedTailAllocationSeriesTest {
  /**
   * The first hugepage of the pool finds no memory for the shared tail. Expect the generic function
   * to say so once with patch 32, and silence before it; the hugepage exists, not optimised.
   */
  @Test
  @Tag("patch-32")
  void vmemmapGetTail_noMemory_isToldByTheGenericFunction() {
    assertEquals(false, complains(31));
    assertEquals(true, complains(32));
  }

  private static boolean complains(int level) {
    SeriesMachine machine =
        new SeriesMachine(
            SeriesMachine.spec(512L << 20, "hugetlb_free_vmemmap=on")
                .withSeries(Series.at(level)));
    machine.kernel().mm().machine().faults().failFrom(1, "vmemmap_get_tail"::equals);
    assertEquals(0, machine.kernel().write("/proc/sys/vm/nr_hugepages", "1"));
    assertEquals("1", machine.kernel().read("/proc/sys/vm/nr_hugepages"));
    return String.valueOf(machine.kernel().read("/dev/kmsg"))
        .contains("vmemmap alloc failure: order:0");
  }
}
