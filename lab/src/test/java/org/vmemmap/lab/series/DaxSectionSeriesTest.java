// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Series;

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
}
