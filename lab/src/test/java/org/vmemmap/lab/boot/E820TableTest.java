// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelPanic;

/** The memory map and the parameters that edit it, on a machine with RAM from 0 to 4 GiB. */
class E820TableTest {
  private static final long GIB = 1L << 30;

  private static E820Table fourGib() {
    E820Table table = new E820Table();
    table.e820RangeAdd(0, 3 * GIB, E820Table.E820_TYPE_RAM);
    table.e820RangeAdd(3 * GIB, GIB, E820Table.E820_TYPE_RAM);
    return table;
  }

  private static String show(E820Table table) {
    table.e820FinishEarlyParams();
    return table.entries().stream()
        .map(e -> "%x-%x %s".formatted(e.addr(), e.end(), E820Table.e820TypeToString(e.type())))
        .collect(Collectors.joining(", "));
  }

  /**
   * memmap=nn$ss reserves a part of RAM.
   *
   * <pre>
   *   | RAM          0-1G | Reserved 1G-1G+256M | RAM -4G |
   * </pre>
   */
  @Test
  void parseMemmapOne_dollar_reserves() {
    E820Table table = fourGib();
    // Expect a hole of 256 MiB at 1 GiB.
    assertEquals(0, table.parseMemmapOne("256M$1G"));
    assertEquals(
        "0-40000000 System RAM, 40000000-50000000 Reserved, 50000000-100000000 System RAM",
        show(table));
  }

  /** memmap=nn%ss-1+0xefffffff turns RAM into soft-reserved memory. */
  @Test
  void parseMemmapOne_percent_changesTheType() {
    E820Table table = fourGib();
    // Expect the range to change its type, and RAM around it to stay.
    assertEquals(0, table.parseMemmapOne("1G%2G-1+0xefffffff"));
    assertEquals(
        "0-80000000 System RAM, 80000000-c0000000 Soft Reserved, c0000000-100000000 System RAM",
        show(table));
  }

  /** memmap=nn%ss-old takes a type away, memmap=nn%ss+new adds one, with neither all is removed. */
  @Test
  void parseMemmapOne_percentWithOneType_removesOrAdds() {
    E820Table table = fourGib();
    // Expect a hole from 1G to 2G, RAM again in its first half, and nothing from 3G on.
    assertEquals(0, table.parseMemmapOne("1G%1G-1"));
    assertEquals(0, table.parseMemmapOne("512M%1G+1"));
    assertEquals(0, table.parseMemmapOne("1G%3G"));
    assertEquals("0-60000000 System RAM, 80000000-c0000000 System RAM", show(table));
  }

  /** memmap=nn!ss is legacy persistent memory; its entries are never merged. */
  @Test
  void parseMemmapOpt_twoNeighbouringPmemRanges_stayTwo() {
    E820Table table = fourGib();
    // Expect two entries although they touch.
    assertEquals(0, table.parseMemmapOpt("512M!2G,512M!2560M"));
    assertEquals(
        "0-80000000 System RAM, 80000000-a0000000 Persistent Memory (legacy),"
            + " a0000000-c0000000 Persistent Memory (legacy), c0000000-100000000 System RAM",
        show(table));
  }

  /** memmap=nn@ss adds RAM, memmap=nn#ss ACPI tables; the larger type number wins an overlap. */
  @Test
  void parseMemmapOne_addedRanges_overlapByTypeNumber() {
    E820Table table = fourGib();
    // Expect RAM up to 5 GiB with the ACPI range cut out of it.
    table.parseMemmapOne("1G@4G");
    table.parseMemmapOne("1M#4G");
    assertEquals(
        "0-100000000 System RAM, 100000000-100100000 ACPI Tables, 100100000-140000000 System RAM",
        show(table));
  }

  /** mem= and memmap= with a size alone cut RAM at an end. */
  @Test
  void parseMemopt_size_cutsRam() {
    E820Table table = fourGib();
    E820Table other = fourGib();
    // Expect both to end RAM at 1 GiB.
    assertEquals(0, table.parseMemopt("1G"));
    assertEquals(0, other.parseMemmapOne("1G"));
    table.e820RangeAdd(5 * GIB, GIB, E820Table.E820_TYPE_RESERVED);
    assertEquals("0-40000000 System RAM, 140000000-180000000 Reserved", show(table));
    other.e820RangeAdd(5 * GIB, GIB, E820Table.E820_TYPE_RESERVED);
    assertEquals("0-40000000 System RAM, 140000000-180000000 Reserved", show(other));
  }

  /** memmap=exactmap forgets the firmware's map. */
  @Test
  void parseMemmapOpt_exactmap_startsAnew() {
    E820Table table = fourGib();
    // Expect only what came behind exactmap.
    assertEquals(0, table.parseMemmapOpt("exactmap,640K@0,1G@1M"));
    assertEquals("0-a0000 System RAM, 100000-40100000 System RAM", show(table));
  }

  /** What is no form of memmap= or mem= is refused. */
  @Test
  void parse_malformed_isEinval() {
    // Expect -EINVAL for each.
    for (String bad : List.of("", "foo", "1G%2G-1+2x", "1G$2Gx", "1Gx")) {
      assertEquals(-Errno.EINVAL, fourGib().parseMemmapOpt(bad), bad);
    }
    assertEquals(-Errno.EINVAL, fourGib().parseMemopt("0"));
    assertEquals(-Errno.EINVAL, fourGib().parseMemopt("nopentium"));
  }

  /** A map that a user has emptied stops the kernel. */
  @Test
  void e820FinishEarlyParams_emptyMap_panics() {
    E820Table table = fourGib();
    table.parseMemmapOne("exactmap");
    // Expect the kernel's panic.
    KernelPanic panic = assertThrows(KernelPanic.class, table::e820FinishEarlyParams);
    assertEquals("Invalid user supplied memory map", panic.getMessage());
  }

  /** The first page and the BIOS area from 640 KiB to 1 MiB are never RAM. */
  @Test
  void trimBiosRange_ramFromZero_losesPageZeroAndTheBios() {
    E820Table table = fourGib();
    table.trimBiosRange();
    // Expect a reserved first page and no entry for the BIOS.
    assertEquals(
        "0-1000 Reserved, 1000-a0000 System RAM, 100000-100000000 System RAM", show(table));
  }
}
