// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.types.Align;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Resource;

/**
 * How the memory map of a PC becomes the resource tree.
 *
 * <pre>
 *   e820   | RAM            | Soft Reserved        | RAM      |
 *          0            4G+2M                     6G
 *   tree   | System RAM busy|RAM buffer|           | System RAM busy |
 *                         4G+2M     4G+64M
 *   kept for drivers        | Soft Reserved        |
 * </pre>
 *
 * RAM and what firmware uses become busy at once ({@link #reserveResources}); device memory is
 * entered late and can be claimed ({@link #reserveResourcesLate}). Soft-reserved memory goes into a
 * tree of its own, so nothing there keeps the padding behind RAM off it.
 */
@Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820_table")
public final class E820 {
  /** Usable RAM. */
  public static final long E820_TYPE_RAM = 1;

  /** Firmware, or taken away with {@code memmap=nn$ss}. */
  public static final long E820_TYPE_RESERVED = 2;

  /** ACPI tables. */
  public static final long E820_TYPE_ACPI = 3;

  /** ACPI memory that firmware keeps across sleep. */
  public static final long E820_TYPE_NVS = 4;

  /** Broken memory. */
  public static final long E820_TYPE_UNUSABLE = 5;

  /** Persistent memory. */
  public static final long E820_TYPE_PMEM = 7;

  /** Persistent memory of {@code memmap=nn!ss} and old firmware. */
  public static final long E820_TYPE_PRAM = 12;

  /** Memory that firmware wants kept for special use. */
  public static final long E820_TYPE_SOFT_RESERVED = 0xefff_ffffL;

  private static final long SZ_64K = 64L << 10;
  private static final long SZ_1M = 1L << 20;
  private static final long SZ_64M = 64L << 20;

  private final IomemResource iomem;
  private final List<Entry> table;
  private final List<Resource> e820Res = new ArrayList<>();
  private final Printk printk;

  /**
   * {@code struct e820_entry}.
   *
   * @param addr first byte
   * @param size length in bytes
   * @param type one of the E820_TYPE numbers
   */
  @Kernel(file = "arch/x86/include/asm/e820/types.h", symbol = "struct e820_entry")
  public record Entry(long addr, long size, long type) {}

  /** Takes the finished table: ascending, entries apart. */
  public E820(Mm mm, IomemResource iomem, List<Entry> table) {
    this.printk = mm.printk();
    this.iomem = iomem;
    this.table = List.copyOf(table);
  }

  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820_type_to_string")
  private static String typeToString(Entry entry) {
    if (entry.type == E820_TYPE_RAM) {
      return "System RAM";
    } else if (entry.type == E820_TYPE_ACPI) {
      return "ACPI Tables";
    } else if (entry.type == E820_TYPE_NVS) {
      return "ACPI Non-volatile Storage";
    } else if (entry.type == E820_TYPE_UNUSABLE) {
      return "Unusable memory";
    } else if (entry.type == E820_TYPE_PRAM) {
      return "Persistent Memory (legacy)";
    } else if (entry.type == E820_TYPE_PMEM) {
      return "Persistent Memory";
    } else if (entry.type == E820_TYPE_RESERVED) {
      return "Reserved";
    } else if (entry.type == E820_TYPE_SOFT_RESERVED) {
      return "Soft Reserved";
    }
    return "Unknown E820 type";
  }

  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820_type_to_iomem_type")
  private static long typeToIomemType(Entry entry) {
    return entry.type == E820_TYPE_RAM ? Resource.IORESOURCE_SYSTEM_RAM : Resource.IORESOURCE_MEM;
  }

  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820_type_to_iores_desc")
  private static int typeToIoresDesc(Entry entry) {
    if (entry.type == E820_TYPE_ACPI) {
      return Resource.IORES_DESC_ACPI_TABLES;
    } else if (entry.type == E820_TYPE_NVS) {
      return Resource.IORES_DESC_ACPI_NV_STORAGE;
    } else if (entry.type == E820_TYPE_PMEM) {
      return Resource.IORES_DESC_PERSISTENT_MEMORY;
    } else if (entry.type == E820_TYPE_PRAM) {
      return Resource.IORES_DESC_PERSISTENT_MEMORY_LEGACY;
    } else if (entry.type == E820_TYPE_RESERVED) {
      return Resource.IORES_DESC_RESERVED;
    } else if (entry.type == E820_TYPE_SOFT_RESERVED) {
      return Resource.IORES_DESC_SOFT_RESERVED;
    }
    return Resource.IORES_DESC_NONE;
  }

  /** True for memory that a driver may claim later; never below 1 MiB, where the old PC lives. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820_device_region")
  private static boolean deviceRegion(long type, Resource res) {
    if (Long.compareUnsigned(res.start, SZ_1M) < 0) {
      return false;
    }
    return type == E820_TYPE_RESERVED
        || type == E820_TYPE_SOFT_RESERVED
        || type == E820_TYPE_PRAM
        || type == E820_TYPE_PMEM;
  }

  /** {@code e820__reserve_resources()}: once, when memblock is up. System memory becomes busy. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820__reserve_resources")
  public void reserveResources() {
    for (Entry entry : table) {
      Resource res =
          new Resource(
              entry.addr,
              entry.addr + entry.size - 1,
              typeToString(entry),
              typeToIomemType(entry),
              typeToIoresDesc(entry));
      e820Res.add(res);
      // Device memory may collide with PCI windows, so it waits until those are known.
      if (!deviceRegion(entry.type, res)) {
        res.flags |= Resource.IORESOURCE_BUSY;
        iomem.insertResource(iomem.iomemResource(), res);
      }
    }
    // The kernel also shows the table below /sys/firmware/memmap, which is not modelled.
  }

  /** How much RAM that ends at {@code pos} is padded to, in bytes. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "ram_alignment")
  static long ramAlignment(long pos) {
    long mb = pos >>> 20;
    if (mb == 0) {
      return SZ_64K;
    }
    return mb < 16 ? SZ_1M : SZ_64M;
  }

  /**
   * {@code e820__reserve_resources_late()}: once, after {@link #reserveResources}. Enters device
   * memory, then makes the gap behind each end of RAM busy up to the next round address: firmware
   * may have stolen that memory without telling.
   */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820__reserve_resources_late")
  public void reserveResourcesLate() {
    for (Resource res : e820Res) {
      if (res.parent != null || res.end == 0) {
        continue;
      }
      boolean soft = res.desc == Resource.IORES_DESC_SOFT_RESERVED;
      Resource root = soft ? iomem.softReserveResource() : iomem.iomemResource();
      iomem.insertResourceExpandToFit(root, res);
    }
    for (Entry entry : table) {
      if (entry.type != E820_TYPE_RAM) {
        continue;
      }
      long start = entry.addr + entry.size;
      long end = Align.align(start, ramAlignment(start)) - 1;
      if (Long.compareUnsigned(start, end) >= 0) {
        continue;
      }
      printk.prInfo(
          "e820: register RAM buffer resource [mem 0x%08x-0x%08x]".formatted(start, end));
      iomem.reserveRegionWithSplit(iomem.iomemResource(), start, end, "RAM buffer");
    }
  }
}
