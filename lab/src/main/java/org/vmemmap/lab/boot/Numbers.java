// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

/** Whole numbers of options and files, with the message that says what would be right. */
public final class Numbers {
  private Numbers() {}

  /** A decimal number from {@code least} to {@code most}. @throws BadInput otherwise */
  public static int parse(String what, String text, int least, int most) {
    try {
      int value = Integer.parseInt(text.strip());
      if (value >= least && value <= most) {
        return value;
      }
    } catch (NumberFormatException notANumber) {
      // told below, with the same words
    }
    throw new BadInput(what + " " + text + ": wanted a number from " + least + " to " + most);
  }

  /** An unsigned hexadecimal number without 0x, or with it; -1 when {@code text} is none. */
  public static long hex(String text) {
    String digits = text.startsWith("0x") ? text.substring(2) : text;
    long value = digits.isEmpty() ? -1 : 0;
    for (int i = 0; i < digits.length(); i++) {
      int digit = Character.digit(digits.charAt(i), 16);
      if (digit < 0 || value >>> 58 != 0) {
        return -1;
      }
      value = value << 4 | digit;
    }
    return value;
  }
}
