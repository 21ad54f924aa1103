// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.jspecify.annotations.Nullable;

/**
 * {@code struct resource}: a range of addresses that has an owner. Resources form a tree: a child
 * lies inside its parent, siblings are in ascending order and do not overlap.
 *
 * <pre>
 *   flags   31     26     25      24      12      8 7       0
 *          +------+------+-------+-------+---------+---------+
 *          | BUSY | MERG | DRVMG | SYSRAM|  type   |  bus    |
 *          +------+------+-------+-------+---------+---------+
 * </pre>
 *
 * Addresses are unsigned 64-bit numbers in bytes; {@link #end} is the last byte.
 */
@Kernel(file = "include/linux/ioport.h", symbol = "struct resource")
public final class Resource {
  /** Bits that say what kind of addresses these are. */
  public static final long IORESOURCE_TYPE_BITS = 0x0000_1f00L;

  /** Memory addresses. */
  public static final long IORESOURCE_MEM = 0x0000_0200L;

  /** Only one user at a time. */
  public static final long IORESOURCE_MUXED = 0x0040_0000L;

  /** Bits that refine the type. */
  public static final long IORESOURCE_EXT_TYPE_BITS = 0x0100_0000L;

  /** Refines memory: RAM that the kernel manages. */
  public static final long IORESOURCE_SYSRAM = 0x0100_0000L;

  /** RAM that only a driver can find. */
  public static final long IORESOURCE_SYSRAM_DRIVER_MANAGED = 0x0200_0000L;

  /** RAM whose entry may be joined with its neighbour. */
  public static final long IORESOURCE_SYSRAM_MERGEABLE = 0x0400_0000L;

  /** Somebody uses the range; nobody else may claim it. */
  public static final long IORESOURCE_BUSY = 0x8000_0000L;

  /** RAM that the kernel manages. */
  public static final long IORESOURCE_SYSTEM_RAM = IORESOURCE_MEM | IORESOURCE_SYSRAM;

  public static final int IORES_DESC_NONE = 0;
  public static final int IORES_DESC_CRASH_KERNEL = 1;
  public static final int IORES_DESC_ACPI_TABLES = 2;
  public static final int IORES_DESC_ACPI_NV_STORAGE = 3;
  public static final int IORES_DESC_PERSISTENT_MEMORY = 4;
  public static final int IORES_DESC_PERSISTENT_MEMORY_LEGACY = 5;
  public static final int IORES_DESC_DEVICE_PRIVATE_MEMORY = 6;
  public static final int IORES_DESC_RESERVED = 7;
  public static final int IORES_DESC_SOFT_RESERVED = 8;
  public static final int IORES_DESC_CXL = 9;

  /** First byte. */
  public long start;

  /** Last byte. */
  public long end;

  /** What /proc/iomem calls it. */
  public @Nullable String name;

  /** IORESOURCE_ bits. */
  public long flags;

  /** One of the IORES_DESC_ numbers. */
  public int desc;

  /** The resource around this one; null outside of a tree and for a root. */
  public @Nullable Resource parent;

  /** The next one with the same parent. */
  public @Nullable Resource sibling;

  /** The first one inside. */
  public @Nullable Resource child;

  /** An empty resource, all zero. */
  public Resource() {}

  /** A resource that is not in a tree; {@code end} is the last byte. */
  public Resource(long start, long end, String name, long flags, int desc) {
    this.start = start;
    this.end = end;
    this.name = name;
    this.flags = flags;
    this.desc = desc;
  }

  /** {@code resource_size()} in bytes; 0 for the whole address space. */
  @Kernel(file = "include/linux/ioport.h", symbol = "resource_size")
  public long size() {
    return end - start + 1;
  }

  /** {@code resource_type()}. */
  @Kernel(file = "include/linux/ioport.h", symbol = "resource_type")
  public long type() {
    return flags & IORESOURCE_TYPE_BITS;
  }

  /** {@code resource_ext_type()}. */
  @Kernel(file = "include/linux/ioport.h", symbol = "resource_ext_type")
  public long extType() {
    return flags & IORESOURCE_EXT_TYPE_BITS;
  }

  /** {@code resource_overlaps()}: the two share a byte. */
  @Kernel(file = "include/linux/ioport.h", symbol = "resource_overlaps")
  public boolean overlaps(Resource other) {
    return below(start, other.end) && below(other.start, end);
  }

  /** True when {@code a <= b} as addresses. */
  static boolean below(long a, long b) {
    return Long.compareUnsigned(a, b) <= 0;
  }

  /** {@code %pR}: as the kernel prints a memory resource. */
  @Override
  public String toString() {
    return "[mem 0x%08x-0x%08x flags 0x%x]".formatted(start, end, flags);
  }
}
