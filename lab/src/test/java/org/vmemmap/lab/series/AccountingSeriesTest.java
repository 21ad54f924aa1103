// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;

/** What hot-adding counts: patches 1 and 3. */
class AccountingSeriesTest {
  private static final long SECTION = 128L << 20;

  /**
   * Three hot-adds of a section while no memmap can be allocated. Expect each to be counted back
   * without having been counted before patch 1, and nothing to be left behind with it.
   *
   * <pre>
   *             add    undo            add     undo
   *   level 0    -     -512   level 1  +512    -512
   * </pre>
   */
  @Test
  @Tag("patch-01")
  void sectionActivate_noMemoryForTheMemmap_countsWhatItUndoes() {
    assertEquals(-1536, afterFailures(0, SECTION));
    assertEquals(0, afterFailures(1, SECTION));
    assertEquals(-24, afterFailures(0, 2L << 20));
    assertEquals(0, afterFailures(1, 2L << 20));
  }

  private static long afterFailures(int level, long bytes) {
    SeriesMachine machine = new SeriesMachine(level);
    machine.exhaustMemory();
    for (int i = 0; i < 3; i++) {
      assertEquals(-Errno.ENOMEM, machine.addSection(SeriesMachine.DEVICE, bytes));
    }
    machine.healMemory();
    return machine.memmapPages();
  }
}
