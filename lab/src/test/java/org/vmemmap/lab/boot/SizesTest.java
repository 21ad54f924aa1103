// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

/** Sizes on command lines. */
class SizesTest {
  /** memparse takes decimal, octal and hexadecimal numbers, and letters of either case. */
  @Test
  void memparse_everyBaseAndSuffix_isReadAsTheKernelReadsIt() {
    // Expect each text to be read to its end.
    assertEquals(new Sizes.Parsed(2L << 30, 2), Sizes.memparse("2G", 0));
    assertEquals(new Sizes.Parsed(0x100000, 8), Sizes.memparse("0x100000", 0));
    assertEquals(new Sizes.Parsed(8L << 10, 4), Sizes.memparse("010k", 0));
    assertEquals(new Sizes.Parsed(1L << 60, 2), Sizes.memparse("1E", 0));
  }

  /** In memmap=256M$1G the size ends at the dollar sign, and the start is read behind it. */
  @Test
  void memparse_numberInsideAText_saysWhereItEnded() {
    // Expect "256M" to end at 4, and "1G" from 5 to end at 7.
    assertEquals(new Sizes.Parsed(256L << 20, 4), Sizes.memparse("256M$1G", 0));
    assertEquals(new Sizes.Parsed(1L << 30, 7), Sizes.memparse("256M$1G", 5));
  }

  /** A text without a digit is no number. */
  @Test
  void memparse_noDigit_endsWhereItStarted() {
    // Expect the end to be the start.
    assertEquals(new Sizes.Parsed(0, 0), Sizes.memparse("big", 0));
  }

  /** An option's size must be a size and nothing else. */
  @Test
  void size_notASize_saysWhatWasWanted() {
    // Expect one line with the option, the text and an example.
    BadInput thrown = assertThrows(BadInput.class, () -> Sizes.size("--mem", "8X"));
    assertEquals(
        "--mem 8X: not a size, wanted a number with K, M, G or T, as in 8G", thrown.getMessage());
    assertThrows(BadInput.class, () -> Sizes.size("--mem", ""));
  }

  /** Zero and sizes that no machine has are refused, also those that wrap around 64 bits. */
  @Test
  void size_zeroOrTooLarge_isRefused() {
    // Expect all three to be refused for their value.
    for (String text : new String[] {"0", "5000T", "99999999999999999999"}) {
      BadInput thrown = assertThrows(BadInput.class, () -> Sizes.size("--mem", text));
      assertEquals("--mem " + text + ": wanted a size above 0 and at most 4P", thrown.getMessage());
    }
  }

  /** Sizes are printed with the largest unit that divides them. */
  @Test
  void text_roundSizes_useTheLargestUnit() {
    // Expect 2M, 1G and plain bytes.
    assertEquals("2M", Sizes.text(2 << 20));
    assertEquals("1G", Sizes.text(1 << 30));
    assertEquals("1000", Sizes.text(1000));
    assertEquals("0", Sizes.text(0));
  }
}
