// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.machine.Cpu;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * Bitmaps that lie in the machine's memory: whole longs, bit 0 of the first one first. A map is
 * given by its linear address.
 */
@Kernel(file = "lib/bitmap.c", symbol = "__bitmap_set")
final class Bitmaps {
  private static final int BITS_PER_LONG = 64;

  private final Mm mm;
  private final Slab slab;

  Bitmaps(Mm mm, Slab slab) {
    this.mm = mm;
    this.slab = slab;
  }

  /** {@code bitmap_zalloc()}: address of {@code nbits} clear bits, 0 for none. */
  @Kernel(file = "lib/bitmap.c", symbol = "bitmap_zalloc")
  long bitmapZalloc(long nbits, String site) {
    return slab.kzalloc((nbits + BITS_PER_LONG - 1) / BITS_PER_LONG * Long.BYTES, -1, site);
  }

  /** {@code bitmap_free()}. */
  @Kernel(file = "lib/bitmap.c", symbol = "bitmap_free")
  void bitmapFree(long map) {
    slab.kfree(map);
  }

  /** {@code bitmap_set()}: sets {@code len} bits from {@code start} on. */
  @Kernel(file = "lib/bitmap.c", symbol = "__bitmap_set")
  void bitmapSet(long map, long start, long len) {
    change(map, start, len, true);
  }

  /** {@code bitmap_clear()}: clears {@code len} bits from {@code start} on. */
  @Kernel(file = "lib/bitmap.c", symbol = "__bitmap_clear")
  void bitmapClear(long map, long start, long len) {
    change(map, start, len, false);
  }

  private void change(long map, long start, long len, boolean set) {
    Cpu cpu = mm.machine().cpu();
    long end = start + len;
    for (long at = start, next; at < end; at = next) {
      next = Math.min(end, (at | BITS_PER_LONG - 1) + 1);
      long mask = (next - at == BITS_PER_LONG ? -1L : (1L << (next - at)) - 1) << at;
      long va = word(map, at);
      cpu.writeLong(va, set ? cpu.readLong(va) | mask : cpu.readLong(va) & ~mask);
    }
  }

  private static long word(long map, long bit) {
    return map + bit / BITS_PER_LONG * Long.BYTES;
  }

  /** {@code find_next_bit()}: the next set bit, {@code size} for none. */
  @Kernel(file = "include/linux/find.h", symbol = "find_next_bit")
  long findNextBit(long map, long size, long offset) {
    return findNext(map, size, offset, 0);
  }

  /** {@code find_next_zero_bit()}: the next clear bit, {@code size} for none. */
  @Kernel(file = "include/linux/find.h", symbol = "find_next_zero_bit")
  long findNextZeroBit(long map, long size, long offset) {
    return findNext(map, size, offset, -1);
  }

  private long findNext(long map, long size, long offset, long invert) {
    for (long at = offset; at < size; at = (at | BITS_PER_LONG - 1) + 1) {
      long bits = (mm.machine().cpu().readLong(word(map, at)) ^ invert) >>> at;
      if (bits != 0) {
        return Math.min(size, at + Long.numberOfTrailingZeros(bits));
      }
    }
    return size;
  }

  /**
   * {@code bitmap_find_next_zero_area_off()}: a run of {@code nr} clear bits from {@code start} on.
   *
   * @param alignMask the first bit plus {@code alignOffset} has none of these bits
   * @return the first bit of the run; at least {@code size} when there is none
   */
  @Kernel(file = "lib/bitmap.c", symbol = "bitmap_find_next_zero_area_off")
  long bitmapFindNextZeroAreaOff(
      long map, long size, long start, long nr, long alignMask, long alignOffset) {
    while (true) {
      long index = findNextZeroBit(map, size, start);
      index = ((index + alignOffset + alignMask) & ~alignMask) - alignOffset;
      long end = index + nr;
      if (end > size) {
        return end;
      }
      long taken = findNextBit(map, end, index);
      if (taken >= end) {
        return index;
      }
      start = taken + 1;
    }
  }
}
