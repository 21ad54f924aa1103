// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.types.Kernel;

/** The bitmap operations that the subsection maps need. A bitmap is whole longs, bit 0 first. */
@Kernel(file = "include/linux/bitmap.h", symbol = "bitmap_set")
final class Bitmap {
  private Bitmap() {}

  /** {@code bitmap_set()}: sets {@code nbits} bits from {@code start} on. */
  @Kernel(file = "include/linux/bitmap.h", symbol = "bitmap_set")
  static void bitmapSet(long[] map, int start, int nbits) {
    for (int bit = start; bit < start + nbits; bit++) {
      map[bit >>> 6] |= 1L << bit;
    }
  }

  /** {@code bitmap_and()}. */
  @Kernel(file = "include/linux/bitmap.h", symbol = "bitmap_and")
  static void bitmapAnd(long[] dst, long[] a, long[] b) {
    for (int i = 0; i < dst.length; i++) {
      dst[i] = a[i] & b[i];
    }
  }

  /** {@code bitmap_or()}. */
  @Kernel(file = "include/linux/bitmap.h", symbol = "bitmap_or")
  static void bitmapOr(long[] dst, long[] a, long[] b) {
    for (int i = 0; i < dst.length; i++) {
      dst[i] = a[i] | b[i];
    }
  }

  /** {@code bitmap_xor()}. */
  @Kernel(file = "include/linux/bitmap.h", symbol = "bitmap_xor")
  static void bitmapXor(long[] dst, long[] a, long[] b) {
    for (int i = 0; i < dst.length; i++) {
      dst[i] = a[i] ^ b[i];
    }
  }

  /** {@code bitmap_empty()}. */
  @Kernel(file = "include/linux/bitmap.h", symbol = "bitmap_empty")
  static boolean bitmapEmpty(long[] map) {
    for (long word : map) {
      if (word != 0) {
        return false;
      }
    }
    return true;
  }

  /** {@code bitmap_intersects()}. */
  @Kernel(file = "include/linux/bitmap.h", symbol = "bitmap_intersects")
  static boolean bitmapIntersects(long[] a, long[] b) {
    for (int i = 0; i < a.length; i++) {
      if ((a[i] & b[i]) != 0) {
        return true;
      }
    }
    return false;
  }
}
