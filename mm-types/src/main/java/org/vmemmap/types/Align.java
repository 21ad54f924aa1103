// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * Rounding to powers of two. All numbers count as unsigned, so kernel addresses round as others do.
 *
 * <pre>
 *   value      alignDown        value      align
 *     0x1234 -> 0x1000            0x1234 -> 0x2000      alignment 0x1000
 *     0x1000 -> 0x1000            0x1000 -> 0x1000
 * </pre>
 */
@Kernel(file = "include/vdso/align.h", symbol = "ALIGN")
public final class Align {
  private Align() {}

  /** {@code ALIGN()}: up to a multiple of {@code alignment}, a power of two. */
  @Kernel(file = "include/vdso/align.h", symbol = "ALIGN")
  public static long align(long value, long alignment) {
    return (value + alignment - 1) & -alignment;
  }

  /** {@code ALIGN_DOWN()}: down to a multiple of {@code alignment}, a power of two. */
  @Kernel(file = "include/vdso/align.h", symbol = "ALIGN_DOWN")
  public static long alignDown(long value, long alignment) {
    return value & -alignment;
  }

  /** {@code IS_ALIGNED()}: true for a multiple of {@code alignment}, a power of two. */
  @Kernel(file = "include/vdso/align.h", symbol = "IS_ALIGNED")
  public static boolean isAligned(long value, long alignment) {
    return (value & (alignment - 1)) == 0;
  }
}
