// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.math.BigInteger;
import org.jspecify.annotations.Nullable;

/** How the kernel reads numbers, sizes and switches, and how it prints sizes. */
@Kernel(file = "lib/kstrtox.c", symbol = "kstrtoul")
public final class Kstrtox {
  private static final BigInteger ULONG_MAX = BigInteger.ONE.shiftLeft(64).subtract(BigInteger.ONE);
  private static final String[] UNITS = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  private static final int[] ROUNDING = {500, 50, 5};

  private Kstrtox() {}

  /**
   * What was read.
   *
   * @param rc 0 or a negative error code
   * @param value the value, an unsigned 64-bit number; 0 after an error
   */
  public record Parsed(int rc, long value) {
    /** The switch that was read, or {@code before} after an error. */
    public boolean isOn(boolean before) {
      return rc < 0 ? before : value == 1;
    }
  }

  /**
   * The digits at the start of a text.
   *
   * @param value the number they make, modulo 2^64
   * @param length how many characters were used; 0 when there was no digit
   * @param overflow the number does not fit
   */
  public record Digits(long value, int length, boolean overflow) {}

  /** {@code kstrtoul()}: all of the text is a number, but for a newline. Base 0 reads hints. */
  @Kernel(file = "lib/kstrtox.c", symbol = "kstrtoul")
  public static Parsed kstrtoul(String s, int base) {
    String text = s.startsWith("+") ? s.substring(1) : s;
    Digits digits = digits(text, base);
    if (digits.overflow()) {
      return new Parsed(-Errno.ERANGE, 0);
    }
    String rest = text.substring(digits.length());
    if (digits.length() == 0 || !(rest.isEmpty() || rest.equals("\n"))) {
      return new Parsed(-Errno.EINVAL, 0);
    }
    return new Parsed(0, digits.value());
  }

  /** {@code kstrtoint()}: the same for a number that may be negative and fits into 32 bits. */
  @Kernel(file = "lib/kstrtox.c", symbol = "kstrtoint")
  public static Parsed kstrtoint(String s, int base) {
    boolean negative = s.startsWith("-");
    if (s.startsWith("-+")) {
      return new Parsed(-Errno.EINVAL, 0);
    }
    Parsed magnitude = kstrtoul(negative ? s.substring(1) : s, base);
    long value = negative ? -magnitude.value() : magnitude.value();
    boolean fits = magnitude.value() >= 0 && value == (int) value;
    return fits ? new Parsed(magnitude.rc(), value) : new Parsed(-Errno.ERANGE, 0);
  }

  /** {@code kstrtobool()}: the value is 1 for yes and 0 for no. */
  @Kernel(file = "lib/kstrtox.c", symbol = "kstrtobool")
  public static Parsed kstrtobool(@Nullable String s) {
    if (s == null || s.isEmpty()) {
      return new Parsed(-Errno.EINVAL, 0);
    }
    return switch (s.charAt(0)) {
      case 'e', 'E', 'y', 'Y', 't', 'T', '1' -> new Parsed(0, 1);
      case 'd', 'D', 'n', 'N', 'f', 'F', '0' -> new Parsed(0, 0);
      case 'o', 'O' -> onOrOff(s.length() > 1 ? s.charAt(1) : 0);
      default -> new Parsed(-Errno.EINVAL, 0);
    };
  }

  private static Parsed onOrOff(char second) {
    return switch (second) {
      case 'n', 'N' -> new Parsed(0, 1);
      case 'f', 'F' -> new Parsed(0, 0);
      default -> new Parsed(-Errno.EINVAL, 0);
    };
  }

  /**
   * {@code memparse()}: a number, maybe followed by K, M, G, T, P or E. 0 when there is none; all
   * ones when the suffix makes it too large.
   */
  @Kernel(file = "lib/cmdline.c", symbol = "memparse")
  public static long memparse(String s) {
    return memparsePrefix(s).value();
  }

  /** {@code memparse()} of which the caller wants to know how far it came. */
  @Kernel(file = "lib/cmdline.c", symbol = "memparse")
  public static Digits memparsePrefix(String s) {
    Digits digits = digits(s, 0);
    char suffix = digits.length() < s.length() ? s.charAt(digits.length()) : ' ';
    int shl = 10 * ("KMGTPE".indexOf(Character.toUpperCase(suffix)) + 1);
    if (shl == 0 || digits.length() == 0) {
      return digits;
    }
    long value = digits.value() << shl;
    boolean fits = value >>> shl == digits.value();
    return new Digits(fits ? value : -1, digits.length() + 1, digits.overflow() || !fits);
  }

  /** {@code sscanf(s, "%lu%n")}: blanks, then decimal digits. */
  @Kernel(file = "lib/vsprintf.c", symbol = "sscanf")
  public static Digits scanUnsigned(String s) {
    int blanks = s.length() - s.stripLeading().length();
    Digits digits = digits(s.substring(blanks), 10);
    return digits.length() == 0
        ? digits
        : new Digits(digits.value(), blanks + digits.length(), digits.overflow());
  }

  /**
   * {@code _parse_integer()}, and {@code simple_strtoull()}: as many digits as there are at the start;
   * base 0 takes 0x and a leading 0 as hints.
   */
  @Kernel(file = "lib/kstrtox.c", symbol = "_parse_integer_limit")
  public static Digits digits(String s, int base) {
    int start = 0;
    if (base == 0) {
      boolean hex =
          s.length() > 2 && s.regionMatches(true, 0, "0x", 0, 2) && isDigit(s.charAt(2), 16);
      start = hex ? 2 : 0;
      base = hex ? 16 : s.startsWith("0") ? 8 : 10;
    }
    int end = start;
    while (end < s.length() && isDigit(s.charAt(end), base)) {
      end++;
    }
    if (end == start) {
      return new Digits(0, 0, false);
    }
    BigInteger value = new BigInteger(s.substring(start, end), base);
    return new Digits(value.longValue(), end, value.compareTo(ULONG_MAX) > 0);
  }

  private static boolean isDigit(char c, int base) {
    return c < 128 && Character.digit(c, base) >= 0;
  }

  /** {@code string_get_size(size, 1, STRING_UNITS_2)}: three digits and a unit, as in 2.00 MiB. */
  @Kernel(file = "lib/string_helpers.c", symbol = "string_get_size")
  public static String stringGetSize(long size) {
    int unit = 0;
    long remainder = 0;
    while (size >= 1024) {
      remainder = size % 1024;
      size /= 1024;
      unit++;
    }
    int places = 0;
    for (long cap = size; cap != 0 && cap * 10 < 1000; cap *= 10) {
      places++;
    }
    // The remainder becomes thousandths, rounded where the print will cut it off.
    remainder = ((remainder * 1000) >> 10) + ROUNDING[places];
    if (remainder >= 1000) {
      remainder -= 1000;
      size++;
    }
    String digits = String.format("%03d", remainder).substring(0, places);
    String fraction = places == 0 ? "" : "." + digits;
    return size + fraction + " " + UNITS[unit];
  }
}
