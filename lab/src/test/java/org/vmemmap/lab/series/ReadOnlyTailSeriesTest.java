// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Mm;

/** Stray writes to shared tails: patch 38. */
class ReadOnlyTailSeriesTest {
  private static final long WRITE = 1L << 1;

  /**
   * A stray write to struct page 100 of the first of many folios.
   *
   * <pre>
   *   struct pages   [ 0 .. 10 .. 63 ][ 64 .. 100 .. 127 ] ..
   *   frames               f0                  T
   * </pre>
   *
   * Expect it to change page 100 of all folios before patch 38, and to fault with it. A
   * write to page 10, in the folio's own frame, is allowed in both.
   */
  @Test
  @Tag("patch-38")
  void write_toSharedTail_faults() {
    assertEquals("512 folios", Seen.at(37, "stray-write"));
    assertEquals("fault", Seen.at(38, "stray-write"));
    assertEquals("1 folio", DeviceMeasures.strayWrite(new Level(37), 10));
    assertEquals("1 folio", DeviceMeasures.strayWrite(new Level(38), 10));
  }

  /**
   * A boot page of 1 GiB between sparse_init() and HugeTLB's init, and when boot is through. Expect
   * the entries of its tails to be writable at first before patch 38, and read-only from the start
   * with it; read-only in both in the end. The head's entry is always writable.
   */
  @Test
  @Tag("patch-38")
  void populate_bootPage_isReadOnlyFromTheStart() {
    assertEquals("4095 writable, then 0", writableTails(37));
    assertEquals("0 writable, then 0", writableTails(38));
  }

  private static String writableTails(int level) {
    List<Long> writable = new ArrayList<>();
    LabKernel.Listener probe =
        new LabKernel.Listener() {
          @Override
          public void beforeHugetlbInit(LabKernel kernel) {
            writable.add(writableEntries(kernel.mm()) - 1);
          }
        };
    LabKernel kernel =
        LabKernel.boot(
            new Level(level).on(SeriesMachine.hugepageSpec()), Placement.NONE, probe);
    return writable.getFirst() + " writable, then " + (writableEntries(kernel.mm()) - 1);
  }

  /** Entries of the boot page's memmap with the bit for writing; the head's is one. */
  private static long writableEntries(Mm mm) {
    long count = 0;
    for (long pfn = 4L << 18; pfn < 5L << 18; pfn += 64) {
      long va = mm.model().pfnToPage(pfn).va();
      long entry = mm.pgtable().ptepGet(mm.pgtable().virtToKpte(va)).val();
      count += (entry & WRITE) != 0 ? 1 : 0;
    }
    return count;
  }
}
