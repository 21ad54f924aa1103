// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** {@code struct dev_pagemap}: device memory that has struct pages. */
@Kernel(file = "include/linux/memremap.h", symbol = "struct dev_pagemap")
public final class DevPagemap {
  /** What kind of memory it is; the number is the kernel's. */
  public enum MemoryType {
    MEMORY_DEVICE_PRIVATE(1),
    MEMORY_DEVICE_COHERENT(2),
    MEMORY_DEVICE_FS_DAX(3),
    MEMORY_DEVICE_GENERIC(4),
    MEMORY_DEVICE_PCI_P2PDMA(5);

    private final int number;

    MemoryType(int number) {
      this.number = number;
    }

    /** The kernel's number. */
    public int number() {
      return number;
    }
  }

  /**
   * {@code struct range}: physical addresses, the end included as in the kernel.
   *
   * @param start first byte
   * @param end last byte
   */
  @Kernel(file = "include/linux/range.h", symbol = "struct range")
  public record Range(long start, long end) {
    /** Length in bytes. */
    @Kernel(file = "include/linux/range.h", symbol = "range_len")
    public long len() {
      return end - start + 1;
    }
  }

  /**
   * {@code struct dev_pagemap_ops}: what a driver of private memory provides; null where it does
   * not.
   *
   * @param folioFree called when the last reference to a folio is gone
   * @param migrateToRam called when a CPU touches memory that it cannot reach
   */
  @Kernel(file = "include/linux/memremap.h", symbol = "struct dev_pagemap_ops")
  public record Ops(@Nullable Consumer<Folio> folioFree, @Nullable Runnable migrateToRam) {}

  private final long va;

  /** Where the memmap comes from when {@link #altmapValid}. */
  public final VmemAltmap altmap = new VmemAltmap();

  /** PGMAP_ALTMAP_VALID. */
  public boolean altmapValid;

  /** Kind of memory. */
  public MemoryType type = MemoryType.MEMORY_DEVICE_GENERIC;

  /** Order of the compound pages; 0 for none. */
  public int vmemmapShift;

  /** Number of ranges that have been added so far while memremap_pages() runs. */
  public int nrRange;

  /** The ranges. */
  public Range[] ranges = new Range[0];

  /** References (percpu_ref), the initial one included. */
  public long ref;

  /** The initial reference was dropped: {@link #ref} can no longer be taken by pfn. */
  public boolean refDead;

  /** The driver's functions; null for drivers that need none. */
  public @Nullable Ops ops;

  /** Whose private memory it is; null for none. */
  public @Nullable Object owner;

  /** @param va where the structure lies in simulated memory: what struct page points to */
  public DevPagemap(long va) {
    this.va = va;
  }

  /** Virtual address of the structure. */
  public long va() {
    return va;
  }

  /** {@code pgmap_altmap()}. */
  @Kernel(file = "include/linux/memremap.h", symbol = "pgmap_altmap")
  public @Nullable VmemAltmap pgmapAltmap() {
    return altmapValid ? altmap : null;
  }

  /** Pages of a compound page of this device. */
  @Kernel(file = "include/linux/memremap.h", symbol = "pgmap_vmemmap_nr")
  public long vmemmapNr() {
    return 1L << vmemmapShift;
  }
}
