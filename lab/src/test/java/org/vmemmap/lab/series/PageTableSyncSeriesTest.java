// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The page tables of processes after a device was mapped: patch 5. */
class PageTableSyncSeriesTest {
  /**
   * A device so far up that its memmap begins a top-level entry, while a process exists, on a
   * kernel that syncs only at the end of the architecture's function.
   *
   * <pre>
   *   init_mm   [ .. | memmap of RAM | memmap of the device | .. ]
   *   process   [ .. | memmap of RAM |        empty         | .. ]   before patch 5
   * </pre>
   *
   * Expect the process to fault on the device's memmap before patch 5 and to read it with the
   * patch; and with the sync at each level, as the kernel has it since 2025, to read it in
   * both; so it does a device that is not optimised, which enters through the architecture always.
   */
  @Test
  @Tag("patch-05")
  void populate_optimizedDevice_reachesThePageTablesOfProcesses() {
    assertEquals("fault", Seen.at(4, "dax-process-reads"));
    assertEquals("no fault", Seen.at(5, "dax-process-reads"));
    assertEquals("no fault", DeviceMeasures.processReads(new Level(4), 9, true));
    assertEquals("no fault", DeviceMeasures.processReads(new Level(5), 9, true));
    assertEquals("no fault", DeviceMeasures.processReads(new Level(4), 0, false));
    assertEquals("no fault", DeviceMeasures.processReads(new Level(5), 0, false));
  }
}
