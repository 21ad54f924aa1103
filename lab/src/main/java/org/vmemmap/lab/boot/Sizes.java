// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import org.vmemmap.types.Kernel;

/** Sizes as the kernel reads and prints them. */
public final class Sizes {
  private static final String SUFFIXES = "KMGTPE";

  private Sizes() {}

  /**
   * A number and where it ended.
   *
   * @param value the number, suffix applied; wraps as in C when it does not fit
   * @param end index of the first character that does not belong to it
   */
  public record Parsed(long value, int end) {}

  /** {@code memparse()}: a number in any base of C with an optional suffix K, M, G, T, P or E. */
  @Kernel(file = "lib/cmdline.c", symbol = "memparse")
  public static Parsed memparse(String text, int from) {
    Parsed number = simpleStrtoull(text, from);
    if (number.end() == from || number.end() >= text.length()) {
      return number;
    }
    int power = SUFFIXES.indexOf(Character.toUpperCase(text.charAt(number.end())));
    return power < 0 ? number : new Parsed(number.value() << (10 * (power + 1)), number.end() + 1);
  }

  /** {@code simple_strtoull(text + from, &end, 0)}: 0x for hex, a leading 0 for octal. */
  @Kernel(file = "lib/vsprintf.c", symbol = "simple_strtoull")
  public static Parsed simpleStrtoull(String text, int from) {
    int base = 10;
    int at = from;
    if (text.startsWith("0x", from) || text.startsWith("0X", from)) {
      base = from + 2 < text.length() && Character.digit(text.charAt(from + 2), 16) >= 0 ? 16 : 8;
      at = base == 16 ? from + 2 : from;
    } else if (text.startsWith("0", from)) {
      base = 8;
    }
    long value = 0;
    while (at < text.length() && Character.digit(text.charAt(at), base) >= 0) {
      value = value * base + Character.digit(text.charAt(at++), base);
    }
    return new Parsed(value, at);
  }

  /**
   * A size that takes the whole of {@code text}.
   *
   * @param what the name of the parameter, for the message
   * @throws BadInput when it is none, or 0, or too large for any machine
   */
  public static long size(String what, String text) {
    Parsed parsed = memparse(text, 0);
    if (parsed.end() == 0 || parsed.end() != text.length()) {
      throw new BadInput(
          what + " " + text + ": not a size, wanted a number with K, M, G or T, as in 8G");
    }
    if (parsed.value() <= 0 || parsed.value() > 1L << 52 || digits(text) > 16) {
      throw new BadInput(what + " " + text + ": wanted a size above 0 and at most 4P");
    }
    return parsed.value();
  }

  private static int digits(String text) {
    int at = 0;
    while (at < text.length() && Character.digit(text.charAt(at), 16) >= 0) {
      at++;
    }
    return at;
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
