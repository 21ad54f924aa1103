// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.List;
import org.vmemmap.types.Mm;

/**
 * Where a boot loader puts the kernel: at the address that it wants if there is room, else in the
 * first range that is large enough.
 *
 * <pre>
 *   start        start + 1M      start + 2M                     end
 *   |            | init_mm's pgd | data | ...                   |
 * </pre>
 *
 * @param start first byte of the image
 * @param size bytes of it
 */
record KernelImage(long start, long size) {
  private static final long MIB = 1L << 20;
  private static final long[] SMALLER = {16 * MIB, 8 * MIB};
  private static final long PGD_OFFSET = MIB;
  private static final long DATA_OFFSET = 2 * MIB;
  private static final long DATA_BYTES = 4 * MIB;

  /**
   * Places an image.
   *
   * @param wanted where it likes to be
   * @param bytes its size; less where there is no room for that
   * @param lowest address below which it cannot be
   */
  static KernelImage place(List<Ram> ram, long wanted, long bytes, long lowest) {
    return place(ram, wanted, bytes, lowest, (from, to) -> false);
  }

  /**
   * Places an image where nothing else is to be: with address randomisation it may have been
   * anywhere, and hugepages where it would be without.
   */
  static KernelImage place(List<Ram> ram, long wanted, long bytes, long lowest, Kept kept) {
    for (long size : new long[] {bytes, SMALLER[0], SMALLER[1]}) {
      for (Ram range : ram) {
        if (range.start() <= wanted
            && wanted + size <= range.end()
            && !kept.kept(wanted, wanted + size)) {
          return new KernelImage(wanted, size);
        }
      }
      for (Ram range : ram) {
        long start = Math.max(lowest, (range.start() + 2 * MIB - 1) / (2 * MIB) * (2 * MIB));
        for (; start + size <= range.end(); start += 2 * MIB) {
          if (!kept.kept(start, start + size)) {
            return new KernelImage(start, size);
          }
        }
      }
    }
    throw new BadInput("no range of memory holds a kernel: wanted one of at least 10M");
  }

  /** Tells which addresses are for something else. */
  @FunctionalInterface
  interface Kept {
    /** True when part of the bytes from {@code start} to {@code end} is. */
    boolean kept(long start, long end);
  }

  /** What the kernel needs to know of it. */
  Mm.Image image(long vmemmapBase) {
    return new Mm.Image(
        vmemmapBase,
        start + PGD_OFFSET,
        start + DATA_OFFSET,
        Math.min(DATA_BYTES, size - DATA_OFFSET));
  }
}
