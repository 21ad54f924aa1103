// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.Kstrtox;

/** How a file under /proc/sys reads a number. */
final class ProcSysctlTest {
  /** A switch is an int, of which only 0 means no. Expect 1 for all others, -1 too. */
  @ParameterizedTest
  @CsvSource({
    "'1', 0, 1", "'0', 0, 0", "'2\n', 0, 1", "' 1 ', 0, 1", "'-1', 0, 1", "'0x1', 0, 1",
    "'2147483648', -22, 0", "'-2147483648', 0, 1", "'-2147483649', -22, 0", "'on', -22, 0",
    "'1x', -22, 0", "' ', -22, 0", "'-', -22, 0", "'2147483647', 0, 1", "'-0', 0, 0", "'1\t2', 0, 1",
    "'1\n2', 0, 1", "'--1', -22, 0"
  })
  void procDobool_text_takesAnyInt(String text, int rc, long value) {
    assertEquals(new Kstrtox.Parsed(rc, value), ProcSysctl.procDobool(text));
  }

  /** A count is an unsigned long. Expect blanks and 0x to be fine, a minus sign not to be. */
  @ParameterizedTest
  @CsvSource({
    "'512\n', 0, 512", "' 0x200\t', 0, 512", "'010', 0, 8", "'512 13', 0, 512",
    "'18446744073709551615', 0, -1", "'18446744073709551616', -22, 0", "'-1', -22, 0",
    "'512a', -22, 0", "'000000000000000000001', -22, 0", "'', -22, 0",
    "'00000000000000000001', 0, 1", "'0x000000000000000001', 0, 1", "'0x0000000000000000001', -22, 0"
  })
  void procDoulongvecMinmax_text_readsAsTheKernel(String text, int rc, long value) {
    assertEquals(new Kstrtox.Parsed(rc, value), ProcSysctl.procDoulongvecMinmax(text));
  }

  /** An int keeps its sign. Expect it, and -EINVAL beyond 32 bits or 20 characters with the sign. */
  @ParameterizedTest
  @CsvSource({
    "5, 0, 5", "-5, 0, -5", "-2147483648, 0, -2147483648", "2147483647, 0, 2147483647",
    "2147483648, -22, 0", "-0000000000000000001, 0, -1", "-00000000000000000001, -22, 0"
  })
  void procDointvec_text_readsAsTheKernel(String text, int rc, long value) {
    assertEquals(new Kstrtox.Parsed(rc, value), ProcSysctl.procDointvec(text));
  }
}
