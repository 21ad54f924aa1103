// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import org.vmemmap.types.Kstrtox;

/** Sizes as options give them, and as they are printed. */
public final class Sizes {
  private static final String SUFFIXES = "KMGTPE";

  private Sizes() {}

  /**
   * A size that takes the whole of {@code text}.
   *
   * @param what the name of the parameter, for the message
   * @throws BadInput when it is none, or 0, or too large for any machine
   */
  public static long size(String what, String text) {
    Kstrtox.Digits parsed = Kstrtox.memparsePrefix(text);
    if (parsed.length() == 0 || parsed.length() != text.length()) {
      throw new BadInput(
          what + " " + text + ": not a size, wanted a number with K, M, G or T, as in 8G");
    }
    if (parsed.value() <= 0 || parsed.value() > 1L << 52 || parsed.overflow()) {
      throw new BadInput(what + " " + text + ": wanted a size above 0 and at most 4P");
    }
    return parsed.value();
  }

  /** {@code bytes} with the largest unit that divides it: 2097152 is 2M. */
  public static String text(long bytes) {
    int power = 0;
    while (power < SUFFIXES.length() && bytes != 0 && bytes % 1024 == 0) {
      bytes /= 1024;
      power++;
    }
    return power == 0 ? Long.toString(bytes) : bytes + SUFFIXES.substring(power - 1, power);
  }
}
