// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.machine.Cpu;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.Series;

/** The page tables of processes after a device was mapped: patch 5. */
class PageTableSyncSeriesTest {
  private static final long FAR = 48L << 40;

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
   * patch; and with the sync at each level, as the kernel has it since 2025, to read it in both.
   */
  @Test
  @Tag("patch-05")
  void populate_optimizedDevice_reachesThePageTablesOfProcesses() {
    assertFalse(processReads(4, false));
    assertTrue(processReads(5, false));
    assertTrue(processReads(4, true));
    assertTrue(processReads(5, true));
  }

  private static boolean processReads(int level, boolean levelSync) {
    MachineSpec spec = SeriesMachine.spec(512L << 20).withSeries(Series.at(level));
    List<Ram> far = List.of(new Ram(FAR, FAR + SeriesMachine.GIB, 0));
    SeriesMachine machine =
        new SeriesMachine(
            new MachineSpec(
                spec.profile(), spec.config(), spec.ram(), spec.reservedHoles(),
                spec.softReserved(), spec.pmem(), far, spec.cmdline(), spec.memoryBlockSize()));
    long process = machine.kernel().newProcessPageTable();
    machine.kernel().mm().pgtable().setLevelSync(levelSync);
    assertEquals(0, machine.addDevice("far", FAR, SeriesMachine.GIB, 9));
    Cpu cpu = machine.kernel().mm().machine().cpu();
    cpu.loadRoot(machine.kernel().mm().model().pa(process));
    try {
      cpu.readLong(machine.kernel().mm().model().pfnToPage(FAR >>> 12).va());
      return true;
    } catch (MachineFault fault) {
      return false;
    }
  }
}
