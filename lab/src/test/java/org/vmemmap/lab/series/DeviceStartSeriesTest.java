// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.ZoneType;

/**
 * Devices that do not lie as the order of a section wants it: patches 34, 37 and 38, and finding 33.
 *
 * <p>Memory for special use of 2 GiB begins 2 MiB above a GiB, and its device is given pages of 1
 * GiB, which is allowed, as only the size is looked at.
 *
 * <pre>
 *   5G        5G+2M                    6G+2M                  7G+2M
 *   |         | folio 0                | folio 1               |
 *   naturally aligned:  | 0 .. 63 | shared ...  | 0 .. 63 | shared ...
 * </pre>
 */
class DeviceStartSeriesTest {
  private static final long START = (5L << 30) + (2L << 20);
  private static final long SECTION = 128L << 20;

  private static SeriesMachine bound(int level) {
    MachineSpec plain = SeriesMachine.spec(512L << 20);
    List<Ram> soft = List.of(new Ram(START, START + (2L << 30), 0));
    SeriesMachine machine =
        new SeriesMachine(
            new Level(level)
                .on(
                    plain.withMemory(MemoryRanges.Kind.SOFT_RESERVED, soft)));
    String align = "/sys/bus/dax/devices/dax0.0/align";
    assertEquals(0, machine.kernel().write(align, Long.toString(SeriesMachine.GIB)));
    assertEquals(0, machine.kernel().write("/sys/bus/dax/drivers/device_dax/new_id", "dax0.0"));
    return machine;
  }

  private static String broken(SeriesMachine machine) {
    TreeSet<String> rules = new TreeSet<>();
    Invariants.check(machine.kernel()).violations().forEach(one -> rules.add(one.rule()));
    return rules.toString();
  }

  /**
   * The device on the kernels around patch 34. Expect all rules to hold before it, when the memmap is
   * shared from the device's start on; with it the last section, which is no whole one and has no
   * order, keeps struct pages that nobody initialises.
   */
  @Test
  @Tag("patch-34")
  void probe_startNotAligned_leavesTheLastSectionWithThePatch() {
    assertEquals("[]", broken(bound(33)));
    assertEquals("[struct-page-node-zone]", broken(bound(34)));
  }

  /**
   * Where a folio begins is reckoned from the device's start before patch 37, and from pfn 0 with it.
   * Expect the shared tail to be left alone before the patch; with it the head of each folio lies in
   * the shared tail and is written there, so that all folios of the order lose their tails.
   */
  @Test
  @Tag("patch-37")
  void probe_startNotAligned_writesToTheSharedTailWithThePatch() {
    assertEquals("[struct-page-node-zone]", broken(bound(36)));
    assertTrue(broken(bound(37)).contains("shared-tail-canonical"));
  }

  /** The same write when the shared tail is read-only. Expect the kernel to fault with patch 38. */
  @Test
  @Tag("patch-38")
  void probe_startNotAligned_faultsWithThePatch() {
    assertTrue(broken(bound(37)).contains("shared-tail-canonical"));
    MachineFault fault = assertThrows(MachineFault.class, () -> bound(38));
    assertTrue(String.valueOf(fault.getMessage()).startsWith("write-to-read-only"));
  }

  /**
   * A sub-section of a device's section in pages of 2 MiB is taken and comes back as ordinary memory,
   * which nobody does. Expect a refusal while it is there; then ordinary memmap that counts 8 pages
   * before patch 34, and one page and the shared tail with it, since the section keeps its order.
   */
  @Test
  @Tag("patch-34")
  void sparseAddSection_partOfASection_followsTheOrderWithThePatch() {
    assertEquals("-17, then 126 to 134, order 0", partAgain(33));
    assertEquals("-17, then 63 to 64, order 9", partAgain(34));
    assertEquals("-17, then 63 to 64, order 9", partAgain(49));
  }

  private static String partAgain(int level) {
    SeriesMachine machine = new SeriesMachine(level);
    DevPagemap pgmap = new DevPagemap(0);
    pgmap.vmemmapShift = DeviceMeasures.ORDER_2M;
    long first = SeriesMachine.DEVICE;
    pgmap.ranges = new DevPagemap.Range[] {new DevPagemap.Range(first, first + SECTION - 1)};
    assertEquals(0, machine.addSection(first, SECTION, pgmap, 9, ZoneType.ZONE_DEVICE));
    long part = first + (2L << 20);
    int taken = machine.addSection(part, 2L << 20, pgmap, 9, ZoneType.ZONE_DEVICE);
    machine.kernel().sparseVmemmap().sparseRemoveSection(part >>> 12, 512, null, pgmap);
    long without = machine.memmapPages();
    assertEquals(0, machine.addSection(part, 2L << 20, null, 0, ZoneType.ZONE_NORMAL));
    int order = machine.kernel().mm().mmzone().pfnToSectionOrder(part >>> 12);
    return "%d, then %d to %d, order %d".formatted(taken, without, machine.memmapPages(), order);
  }
}
