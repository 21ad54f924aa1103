// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.arch.x86.E820.Entry;
import org.vmemmap.machine.Machine;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Resource;

/** From the memory map of a PC to the resource tree. */
class E820Test {
  private static final long KIB = 1L << 10;
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;

  private final X86Geometry geometry = X86Geometry.fourLevel();
  private final X86PageTable table = new X86PageTable(geometry);
  private final Machine machine =
      new Machine(64 * MIB, table, geometry.pageOffset(), Owner.values(), 1);
  private final Mm mm =
      new Mm(
          machine,
          table,
          MmConfig.debianX86(),
          new Mm.Image(geometry.vmemmapBase(), 0x1000, 0x10000, 0x1000));
  private final IomemResource iomem = new IomemResource(mm);

  private static Entry entry(long start, long end, long type) {
    return new Entry(start, end - start, type);
  }

  private E820 e820(Entry... entries) {
    return new E820(mm, iomem, List.of(entries));
  }

  /**
   * The map of a small PC, early. Expect RAM and firmware busy, and device memory not there yet.
   */
  @Test
  void reserveResources_early_onlySystemMemory() {
    e820(
            entry(0, 0x9fc00, E820.E820_TYPE_RAM),
            entry(0x9fc00, 0xa0000, E820.E820_TYPE_RESERVED),
            entry(MIB, 0x1ff0000, E820.E820_TYPE_RAM),
            entry(0x1ff0000, 0x1ff8000, E820.E820_TYPE_ACPI),
            entry(0x1ff8000, 0x2000000, E820.E820_TYPE_NVS),
            entry(0xfffc0000L, 4 * GIB, E820.E820_TYPE_RESERVED),
            entry(5 * GIB, 8 * GIB, E820.E820_TYPE_PRAM))
        .reserveResources();

    assertEquals(
        """
        00000000-0009fbff : System RAM
        0009fc00-0009ffff : Reserved
        00100000-01feffff : System RAM
        01ff0000-01ff7fff : ACPI Tables
        01ff8000-01ffffff : ACPI Non-volatile Storage""",
        iomem.show());
  }

  /**
   * The same map, late.
   *
   * <pre>
   *   RAM to 5G | Persistent Memory (legacy) | Persistent Memory | unusable | unknown
   * </pre>
   *
   * Expect device memory there and free for a driver, what is unusable or unknown busy.
   */
  @Test
  void reserveResourcesLate_deviceMemory_claimable() {
    E820 e820 =
        e820(
            entry(4 * GIB, 5 * GIB, E820.E820_TYPE_RAM),
            entry(5 * GIB, 6 * GIB, E820.E820_TYPE_PRAM),
            entry(6 * GIB, 7 * GIB, E820.E820_TYPE_PMEM),
            entry(7 * GIB, 8 * GIB, E820.E820_TYPE_UNUSABLE),
            entry(8 * GIB, 9 * GIB, 99),
            entry(9 * GIB, 10 * GIB, E820.E820_TYPE_RESERVED));
    e820.reserveResources();
    e820.reserveResourcesLate();

    assertEquals(
        """
        100000000-13fffffff : System RAM
        140000000-17fffffff : Persistent Memory (legacy)
        180000000-1bfffffff : Persistent Memory
        1c0000000-1ffffffff : Unusable memory
        200000000-23fffffff : Unknown E820 type
        240000000-27fffffff : Reserved""",
        iomem.show());
    assertNotNull(iomem.requestMemRegion(5 * GIB, MIB, "pmem"));
    assertNotNull(iomem.requestMemRegion(6 * GIB, MIB, "pmem"));
    assertNotNull(iomem.requestMemRegion(9 * GIB, MIB, "driver"));
    assertNull(iomem.requestMemRegion(7 * GIB, MIB, "driver"));
    assertNull(iomem.requestMemRegion(8 * GIB, MIB, "driver"));
  }

  /**
   * RAM that ends 2 MiB into a section, and soft-reserved memory behind it.
   *
   * <pre>
   *   0x140000000   0x140200000                     0x144000000
   *   |  System RAM |  RAM buffer (busy)            |
   *                 |  Soft Reserved, in a tree of its own  ...
   * </pre>
   *
   * Expect the padding to win: a driver cannot claim the first 62 MiB.
   */
  @Test
  void reserveResourcesLate_ramEndsMidSection_bufferOverSoftReserved() {
    long ramEnd = 5 * GIB + 2 * MIB;
    E820 e820 =
        e820(
            entry(4 * GIB, ramEnd, E820.E820_TYPE_RAM),
            entry(ramEnd, 6 * GIB, E820.E820_TYPE_SOFT_RESERVED),
            entry(6 * GIB, 9 * GIB, E820.E820_TYPE_RAM));
    e820.reserveResources();
    e820.reserveResourcesLate();

    assertEquals(
        """
        100000000-1401fffff : System RAM
        140200000-143ffffff : RAM buffer
        180000000-23fffffff : System RAM""",
        iomem.show());
    assertNull(iomem.requestMemRegion(ramEnd, 2 * MIB, "dax0.0"));
    assertNotNull(iomem.requestMemRegion(5 * GIB + 64 * MIB, 2 * MIB, "dax0.0"));
    assertEquals(
        IomemResource.REGION_INTERSECTS,
        iomem.regionIntersectsSoftReserve(ramEnd, 6 * GIB - ramEnd));
    assertEquals(
        "e820: register RAM buffer resource [mem 0x140200000-0x143ffffff]",
        mm.printk().lines().getLast().text());
  }

  /** The same with persistent memory. Expect no buffer: that memory is in the tree before it. */
  @Test
  void reserveResourcesLate_ramEndsAtPmem_noBuffer() {
    long ramEnd = 5 * GIB + 2 * MIB;
    E820 e820 =
        e820(
            entry(4 * GIB, ramEnd, E820.E820_TYPE_RAM),
            entry(ramEnd, 6 * GIB, E820.E820_TYPE_PRAM));
    e820.reserveResources();
    e820.reserveResourcesLate();

    assertNotNull(iomem.requestMemRegion(ramEnd, 2 * MIB, "namespace0.0"));
  }

  /** Ends of RAM in the three zones of rounding. Expect 64 KiB, 1 MiB and 64 MiB. */
  @Test
  void ramAlignment_byAddress() {
    assertEquals(64 * KIB, E820.ramAlignment(MIB - 1));
    assertEquals(MIB, E820.ramAlignment(MIB));
    assertEquals(MIB, E820.ramAlignment(16 * MIB - 1));
    assertEquals(64 * MIB, E820.ramAlignment(16 * MIB));
  }

  /** Device memory that firmware listed half over RAM. Expect it widened to cover both. */
  @Test
  void reserveResourcesLate_overlap_expands() {
    E820 e820 =
        e820(
            entry(4 * GIB, 5 * GIB, E820.E820_TYPE_RAM),
            entry(5 * GIB - MIB, 6 * GIB, E820.E820_TYPE_PRAM));
    e820.reserveResources();
    e820.reserveResourcesLate();

    assertEquals(
        "100000000-17fffffff : Persistent Memory (legacy)\n  100000000-13fffffff : System RAM",
        iomem.show());
  }

  /** Soft-reserved memory below 1 MiB. Expect it busy like all of the old PC's memory. */
  @Test
  void reserveResources_below1M_busy() {
    e820(entry(0x80000, 0x90000, E820.E820_TYPE_SOFT_RESERVED)).reserveResources();
    assertNull(iomem.requestMemRegion(0x80000, 0x1000, "dax0.0"));
  }

  /**
   * Each type by itself, 1 MiB up. Expect the name and the descriptor that drivers search for, RAM
   * alone marked as system memory, and busy whatever no driver may claim.
   */
  @ParameterizedTest
  @CsvSource({
    // type, name, descriptor, system memory, busy
    "1,          System RAM,                 0, true,  true",
    "2,          Reserved,                   7, false, false",
    "3,          ACPI Tables,                2, false, true",
    "4,          ACPI Non-volatile Storage,  3, false, true",
    "5,          Unusable memory,            0, false, true",
    "7,          Persistent Memory,          4, false, false",
    "12,         Persistent Memory (legacy), 5, false, false",
    "4026531839, Soft Reserved,              8, false, false",
    "99,         Unknown E820 type,          0, false, true",
  })
  void reserveResources_eachType_hasItsResource(
      long type, String name, int desc, boolean systemRam, boolean busy) {
    E820 e820 = e820(entry(MIB, 2 * MIB, type));
    e820.reserveResources();
    e820.reserveResourcesLate();

    boolean soft = type == E820.E820_TYPE_SOFT_RESERVED;
    Resource root = soft ? iomem.softReserveResource() : iomem.iomemResource();
    Resource res = Objects.requireNonNull(root.child);
    assertEquals(name, res.name);
    assertEquals(MIB, res.start);
    assertEquals(2 * MIB - 1, res.end);
    assertEquals(desc, res.desc);
    assertEquals(systemRam, (res.flags & Resource.IORESOURCE_SYSRAM) != 0);
    assertEquals(busy, (res.flags & Resource.IORESOURCE_BUSY) != 0);
  }

  /**
   * RAM that ends one byte short of 64 MiB, or half a MiB short. Expect no buffer of a single byte
   * (its start is its end, which the kernel takes for none), and one of half a MiB.
   */
  @Test
  void reserveResourcesLate_gapOfOneByte_noBuffer() {
    E820 e820 =
        e820(
            entry(4 * GIB, 4 * GIB + 64 * MIB - 1, E820.E820_TYPE_RAM),
            entry(5 * GIB, 5 * GIB + 64 * MIB - MIB / 2, E820.E820_TYPE_RAM));
    e820.reserveResources();
    e820.reserveResourcesLate();

    assertEquals(
        """
        100000000-103fffffe : System RAM
        140000000-143f7ffff : System RAM
        143f80000-143ffffff : RAM buffer""",
        iomem.show());
  }
}
