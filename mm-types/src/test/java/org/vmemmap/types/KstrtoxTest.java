// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

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
    "'+', -22, 0",
    "'++5', -22, 0",
    "'5x', -22, 0",
    "'\u0665', -22, 0",
    "'five', -22, 0"
  })
  void kstrtoul_decimalFile_readsAsTheKernel(String text, int rc, long value) {
    assertEquals(new Kstrtox.Parsed(rc, value), Kstrtox.kstrtoul(text, 10));
  }

  /** Base 0 takes the hints that C has. Expect 0x as hex and a leading 0 as octal. */
  @ParameterizedTest
  @CsvSource({
    "0x10, 16", "0X10, 16", "0xfF, 255", "0x7, 7", "010, 8", "017, 15", "10, 10", "0, 0", "+0x10, 16"
  })
  void kstrtoul_baseZero_followsTheHint(String text, long value) {
    assertEquals(new Kstrtox.Parsed(0, value), Kstrtox.kstrtoul(text, 0));
  }

  /** A hint that nothing fits behind is no hint. Expect the 0 alone to be the number, and junk. */
  @ParameterizedTest
  @ValueSource(strings = {"0x", "0xg", "08", "0x 1"})
  void kstrtoul_hintWithoutDigits_isInvalid(String text) {
    assertEquals(new Kstrtox.Parsed(-Errno.EINVAL, 0), Kstrtox.kstrtoul(text, 0));
  }

  /** A signed number of 32 bits. Expect -ERANGE beyond them, also where 64 bits wrap around. */
  @ParameterizedTest
  @CsvSource({
    "1, 0, 1", "-1, 0, -1", "-0x10, 0, -16", "2147483647, 0, 2147483647", "2147483648, -34, 0",
    "-2147483648, 0, -2147483648", "-2147483649, -34, 0", "4294967297, -34, 0",
    "18446744073709551615, -34, 0", "-18446744073709551615, -34, 0", "18446744073709551616, -34, 0",
    "+5, 0, 5", "-+5, -22, 0", "--5, -22, 0", "-, -22, 0", "1K, -22, 0"
  })
  void kstrtoint_baseZero_readsAsTheKernel(String text, int rc, long value) {
    assertEquals(new Kstrtox.Parsed(rc, value), Kstrtox.kstrtoint(text, 0));
  }

  /** A switch is decided by its first letter, or by two after an o. Expect 1, 0 or -EINVAL. */
  @ParameterizedTest
  @CsvSource({
    "on, 0, 1", "off, 0, 0", "ON, 0, 1", "y, 0, 1", "no, 0, 0", "1, 0, 1", "0, 0, 0",
    "true, 0, 1", "false, 0, 0", "enabled, 0, 1", "disabled, 0, 0", "o, -22, 0", "2, -22, 0",
    "maybe, -22, 0", "E, 0, 1", "Y, 0, 1", "t, 0, 1", "T, 0, 1", "D, 0, 0", "N, 0, 0", "f, 0, 0",
    "F, 0, 0", "oN, 0, 1", "On, 0, 1", "oF, 0, 0", "OFF, 0, 0", "O, -22, 0", "ox, -22, 0"
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
    "2097152, 2097152", "2X, 2", "G, 0", "x, 0", "3k, 3072", "3m, 3145728", "2T, 2199023255552",
    "1t, 1099511627776", "1P, 1125899906842624", "1p, 1125899906842624",
    "7E, 8070450532247928832", "1e, 1152921504606846976", "15E, -1152921504606846976"
  })
  void memparse_size_isInBytes(String text, long bytes) {
    assertEquals(bytes, Kstrtox.memparse(text));
  }

  /** Where a size ends, for who reads on. Expect the suffix to count, and what is none not to. */
  @ParameterizedTest
  @CsvSource({
    "8M, 8388608, 2, false", "'8M,9', 8388608, 2, false", "8, 8, 1, false", "8%, 8, 1, false",
    "G, 0, 0, false", "16E, -1, 3, true", "18446744073709551616, 0, 20, true",
    "2GK, 2147483648, 2, false", "12Q, 12, 2, false", "17179869184G, -1, 12, true",
    "18446744073709551617K, 1024, 21, true", "17179869183G, -1073741824, 12, false"
  })
  void memparsePrefix_text_tellsItsLength(String text, long value, int length, boolean overflow) {
    assertEquals(new Kstrtox.Digits(value, length, overflow), Kstrtox.memparsePrefix(text));
  }

  /** Numbers and what follows them. Expect base, wrap-around and length as the kernel has them. */
  @ParameterizedTest
  @CsvSource({
    "12, 12, 2, false", "0x1F, 31, 4, false", "0X1f, 31, 4, false", "0x0f, 15, 4, false",
    "0xg, 0, 1, false", "0x, 0, 1, false", "017, 15, 3, false", "08, 0, 1, false", "0, 0, 1, false",
    "9a, 9, 1, false", "-1, 0, 0, false", "'', 0, 0, false",
    "18446744073709551615, -1, 20, false", "18446744073709551617, 1, 20, true"
  })
  void digits_baseZero_stopAtTheFirstOther(String text, long value, int length, boolean overflow) {
    assertEquals(new Kstrtox.Digits(value, length, overflow), Kstrtox.digits(text, 0));
  }

  /** A switch that may have been given. Expect what was said, or what was before. */
  @ParameterizedTest
  @CsvSource({
    "on, false, true", "on, true, true", "off, true, false", "off, false, false",
    "x, true, true", "x, false, false"
  })
  void isOn_word_isReadOrLeft(String text, boolean before, boolean after) {
    assertEquals(after, Kstrtox.kstrtobool(text).isOn(before));
  }

  /** sscanf() passes over blanks before digits. Expect both to be counted, and nothing without. */
  @ParameterizedTest
  @CsvSource({
    "'5:', 5, 1", "'  12,', 12, 4", "' \t7', 7, 3", "'  ', 0, 0", "'  x', 0, 0", "'', 0, 0",
    "'0x5', 0, 1", "'010', 10, 3"
  })
  void scanUnsigned_text_countsBlanksAndDigits(String text, long value, int length) {
    assertEquals(new Kstrtox.Digits(value, length, false), Kstrtox.scanUnsigned(text));
  }

  /** Sizes in the log have three digits. Expect the kernel's spelling. */
  @ParameterizedTest
  @CsvSource({
    "2097152, 2.00 MiB", "1073741824, 1.00 GiB", "524288, 512 KiB", "16777216, 16.0 MiB",
    "17179869184, 16.0 GiB", "1610612736, 1.50 GiB", "0, 0 B", "9, 9.00 B", "99, 99.0 B",
    "100, 100 B", "1023, 1023 B", "1024, 1.00 KiB", "10240, 10.0 KiB", "102400, 100 KiB",
    "102399, 100.0 KiB", "2096103, 2.00 MiB", "2091000, 1.99 MiB", "2097151, 2.00 MiB",
    "10485759, 10.00 MiB", "110624768, 106 MiB", "110623744, 105 MiB", "5497558138880, 5.00 TiB",
    "1125899906842624, 1.00 PiB", "4611686018427387904, 4.00 EiB"
  })
  void stringGetSize_bytes_hasThreeDigits(long bytes, String text) {
    assertEquals(text, Kstrtox.stringGetSize(bytes));
  }
}
