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

  /**
   * A device of 1 GiB, in compound pages of 2 MiB and of 1 GiB. Expect the count to be that of the
   * whole memmap before patch 3 and that of the frames with it; and nothing after removal.
   *
   * <pre>
   *   2 MiB: 512 times [ f0 ][ f1 ][ f1 ] ...  1024 frames of 4096
   * </pre>
   */
  @Test
  @Tag("patch-03")
  void memremap_compoundPages_countsTheFramesThatExist() {
    assertEquals(4096, counted(2, 9));
    assertEquals(1024, counted(3, 9));
    assertEquals(4096, counted(2, 18));
    assertEquals(2, counted(3, 18));
  }

  private static long counted(int level, int shift) {
    SeriesMachine machine = new SeriesMachine(level);
    assertEquals(0, machine.addDevice("dax", SeriesMachine.DEVICE, SeriesMachine.GIB, shift));
    long counted = machine.memmapPages();
    machine.removeDevice("dax");
    assertEquals(0, machine.memmapPages());
    return counted;
  }
}
