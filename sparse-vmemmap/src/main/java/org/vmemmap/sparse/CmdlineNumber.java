// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;

/**
 * A number at the start of a command-line value, as the kernel's lib/ reads it: nothing is refused,
 * reading stops at the first character that does not fit.
 *
 * @param value unsigned 64 bits, wrapped around where the digits say more
 * @param rest what follows the number
 */
record CmdlineNumber(long value, String rest) {
  private static final String SUFFIXES = "KMGTPE";
  private static final int SHIFT_PER_SUFFIX = 10;

  /** {@code simple_strtoull(cp, &endp, 0)}: decimal, {@code 0x} for hex, a leading 0 for octal. */
  @Kernel(file = "include/linux/kstrtox.h", symbol = "simple_strtoull")
  static CmdlineNumber simpleStrtoull(String cp) {
    int base = 10;
    int at = 0;
    if (cp.startsWith("0")) {
      boolean hex =
          cp.length() > 2 && (cp.charAt(1) | 0x20) == 'x' && Character.digit(cp.charAt(2), 16) >= 0;
      base = hex ? 16 : 8;
      at = hex ? 2 : 0;
    }
    long value = 0;
    for (; at < cp.length() && Character.digit(cp.charAt(at), base) >= 0; at++) {
      value = value * base + Character.digit(cp.charAt(at), base);
    }
    return new CmdlineNumber(value, cp.substring(at));
  }

  /**
   * {@code memparse()}: a number and at most one of K, M, G, T, P, E, small or capital. All ones
   * for a product that does not fit.
   */
  @Kernel(file = "include/linux/string.h", symbol = "memparse")
  static CmdlineNumber memparse(String ptr) {
    CmdlineNumber number = simpleStrtoull(ptr);
    String rest = number.rest();
    int suffix = rest.isEmpty() ? -1 : SUFFIXES.indexOf(Character.toUpperCase(rest.charAt(0)));
    if (suffix < 0 || rest.length() == ptr.length()) {
      return number;
    }
    int shift = (suffix + 1) * SHIFT_PER_SUFFIX;
    boolean overflow = number.value() << shift >>> shift != number.value();
    return new CmdlineNumber(overflow ? -1 : number.value() << shift, rest.substring(1));
  }

  /** {@code kstrtobool()}: 1 or 0, or -EINVAL for a word that is neither. */
  @Kernel(file = "include/linux/kstrtox.h", symbol = "kstrtobool")
  static int kstrtobool(@Nullable String s) {
    if (s == null || s.isEmpty()) {
      return -Errno.EINVAL;
    }
    char second = s.length() > 1 ? s.charAt(1) : ' ';
    return switch (s.charAt(0)) {
      case 'e', 'E', 'y', 'Y', 't', 'T', '1' -> 1;
      case 'd', 'D', 'n', 'N', 'f', 'F', '0' -> 0;
      case 'o', 'O' ->
          switch (second) {
            case 'n', 'N' -> 1;
            case 'f', 'F' -> 0;
            default -> -Errno.EINVAL;
          };
      default -> -Errno.EINVAL;
    };
  }
}
