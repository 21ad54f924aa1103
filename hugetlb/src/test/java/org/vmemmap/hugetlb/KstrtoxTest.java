// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.Errno;

/** How the kernel reads numbers and switches, and prints sizes. */
final class KstrtoxTest {
  /** A sysfs file takes decimal digits, one plus sign and one newline. Expect rc and value. */
  @ParameterizedTest
  @CsvSource({
    "'5', 0, 5",
    "'5\n', 0, 5",
    "'+5', 0, 5",
    "'007', 0, 7",
    "'18446744073709551615', 0, -1",
    "'18446744073709551616', -34, 0",
    "' 5', -22, 0",
    "'5 ', -22, 0",
    "'5\n\n', -22, 0",
    "'-5', -22, 0",
    "'0x10', -22, 0",
    "'', -22, 0",
    "'five', -22, 0"
  })
  void kstrtoul_decimalFile_readsAsTheKernel(String text, int rc, long value) {
    assertEquals(new Kstrtox.Parsed(rc, value), Kstrtox.kstrtoul(text, 10));
  }

  /** Base 0 takes the hints that C has. Expect 0x as hex and a leading 0 as octal. */
  @ParameterizedTest
  @CsvSource({"0x10, 16", "010, 8", "10, 10", "0, 0"})
  void kstrtoul_baseZero_followsTheHint(String text, long value) {
    assertEquals(new Kstrtox.Parsed(0, value), Kstrtox.kstrtoul(text, 0));
  }

  /** A switch is decided by its first letter, or by two after an o. Expect 1, 0 or -EINVAL. */
  @ParameterizedTest
  @CsvSource({
    "on, 0, 1", "off, 0, 0", "ON, 0, 1", "y, 0, 1", "no, 0, 0", "1, 0, 1", "0, 0, 0",
    "true, 0, 1", "false, 0, 0", "enabled, 0, 1", "disabled, 0, 0", "o, -22, 0", "2, -22, 0",
    "maybe, -22, 0"
  })
  void kstrtobool_word_readsAsTheKernel(String text, int rc, long value) {
    assertEquals(new Kstrtox.Parsed(rc, value), Kstrtox.kstrtobool(text));
  }

  /** A parameter without a value has no text. Expect -EINVAL. */
  @Test
  void kstrtobool_noText_isInvalid() {
    assertEquals(-Errno.EINVAL, Kstrtox.kstrtobool(null).rc());
    assertEquals(-Errno.EINVAL, Kstrtox.kstrtobool("").rc());
  }

  /** Sizes on the command line have suffixes. Expect bytes, and 0 for what is no number. */
  @ParameterizedTest
  @CsvSource({
    "2M, 2097152", "1G, 1073741824", "1g, 1073741824", "512K, 524288", "0x200000, 2097152",
    "2097152, 2097152", "2X, 2", "G, 0", "x, 0"
  })
  void memparse_size_isInBytes(String text, long bytes) {
    assertEquals(bytes, Kstrtox.memparse(text));
  }

  /** Sizes in the log have three digits. Expect the kernel's spelling. */
  @ParameterizedTest
  @CsvSource({
    "2097152, 2.00 MiB", "1073741824, 1.00 GiB", "524288, 512 KiB", "16777216, 16.0 MiB",
    "17179869184, 16.0 GiB", "1610612736, 1.50 GiB", "0, 0 B"
  })
  void stringGetSize_bytes_hasThreeDigits(long bytes, String text) {
    assertEquals(text, Kstrtox.stringGetSize(bytes));
  }
}
