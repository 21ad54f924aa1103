// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.Mm;

/** Stray writes to shared tails: patch 38. */
class ReadOnlyTailSeriesTest {
  private static final long PFN = SeriesMachine.DEVICE >>> 12;

  /**
   * A stray write to struct page 100 of the first of many folios.
   *
   * <pre>
   *   struct pages   [ 0 .. 10 .. 63 ][ 64 .. 100 .. 127 ] ..
   *   frames               f0                  T
   * </pre>
   *
   * Expect it to change page 100 of the next folio too before patch 38, and to fault with it. A
   * write to page 10, in the folio's own frame, is allowed in both.
   */
  @Test
  @Tag("patch-38")
  void write_toSharedTail_faults() {
    Mm before = device(37);
    write(before, 100);
    assertEquals(7, before.refs().pageRefCount(before.model().pfnToPage(PFN + 512 + 100)));
    write(before, 10);

    Mm after = device(38);
    assertThrows(MachineFault.class, () -> write(after, 100));
    write(after, 10);
  }

  private static Mm device(int level) {
    SeriesMachine machine = new SeriesMachine(level);
    assertEquals(0, machine.addDevice("dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9));
    return machine.kernel().mm();
  }

  private static void write(Mm mm, long index) {
    mm.refs().setPageCount(mm.model().pfnToPage(PFN + index), 7);
  }
}
