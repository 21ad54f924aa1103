// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

/** Sizes on command lines. */
class SizesTest {
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
    // Expect all to be refused for their value.
    for (String text : new String[] {"0", "5000T", "99999999999999999999", "18446744073709551617K"}) {
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
