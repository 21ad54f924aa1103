// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kstrtox;

/** How a file under /proc/sys reads what was written to it. */
@Kernel(file = "kernel/sysctl.c", symbol = "proc_dointvec")
final class ProcSysctl {
  /** TMPBUFLEN: a number with its sign and an end takes no more. */
  private static final int TMPBUFLEN = 22;

  private ProcSysctl() {}

  /** A number with its sign. */
  private record Signed(int rc, boolean neg, long value) {}

  /** {@code proc_dobool()}: any integer; all but 0 mean true, which is given as 1. */
  @Kernel(file = "kernel/sysctl.c", symbol = "proc_dobool")
  static Kstrtox.Parsed procDobool(String buffer) {
    Kstrtox.Parsed number = procDointvec(buffer);
    return new Kstrtox.Parsed(number.rc(), number.value() != 0 ? 1 : 0);
  }

  /** {@code proc_dointvec()} of one int. */
  @Kernel(file = "kernel/sysctl.c", symbol = "proc_dointvec")
  static Kstrtox.Parsed procDointvec(String buffer) {
    Signed n = procGetLong(buffer);
    long limit = n.neg() ? 1L << 31 : (1L << 31) - 1;
    if (n.rc() != 0 || Long.compareUnsigned(n.value(), limit) > 0) {
      return new Kstrtox.Parsed(-Errno.EINVAL, 0);
    }
    return new Kstrtox.Parsed(0, n.neg() ? -n.value() : n.value());
  }

  /** {@code proc_doulongvec_minmax()} of one unsigned long without limits. */
  @Kernel(file = "kernel/sysctl.c", symbol = "proc_doulongvec_minmax")
  static Kstrtox.Parsed procDoulongvecMinmax(String buffer) {
    Signed n = procGetLong(buffer);
    boolean bad = n.rc() != 0 || n.neg();
    return new Kstrtox.Parsed(bad ? -Errno.EINVAL : 0, bad ? 0 : n.value());
  }

  /** {@code proc_get_long()}: the first word of the text; blanks must follow it. */
  @Kernel(file = "kernel/sysctl.c", symbol = "proc_get_long")
  private static Signed procGetLong(String buffer) {
    String text = buffer.stripLeading();
    boolean neg = text.startsWith("-") && text.length() > 1;
    Kstrtox.Digits digits = Kstrtox.digits(neg ? text.substring(1) : text, 0);
    int length = digits.length() + (neg ? 1 : 0);
    // A number that fills the kernel's buffer may go on behind it, so it is refused.
    boolean tooLong = length >= TMPBUFLEN - 1;
    boolean junk = length < text.length() && " \t\n".indexOf(text.charAt(length)) < 0;
    boolean bad = digits.length() == 0 || digits.overflow() || tooLong || junk;
    return new Signed(bad ? -Errno.EINVAL : 0, neg, digits.value());
  }
}
