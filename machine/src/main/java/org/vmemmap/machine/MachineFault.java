// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/**
 * What the hardware refuses to do, or a rule of the machine that a program broke.
 *
 * <p>The name says which; the message adds the values that matter as {@code name=0xvalue}.
 */
public final class MachineFault extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String rule;

  /** A fault with one value. */
  public MachineFault(String rule, String key, long value) {
    super(rule + " " + key + "=0x" + Long.toHexString(value));
    this.rule = rule;
  }

  /** A fault with two values. */
  public MachineFault(String rule, String key, long value, String key2, long value2) {
    super(
        rule + " " + key + "=0x" + Long.toHexString(value) + " " + key2 + "=0x" + Long.toHexString(value2));
    this.rule = rule;
  }

  /** A fault with a frame and words on who should and who does own it. */
  public MachineFault(String rule, long frame, String detail) {
    super(rule + " frame=0x" + Long.toHexString(frame) + " " + detail);
    this.rule = rule;
  }

  /** The name of the fault or of the rule that was broken, for example {@code not-present}. */
  public String rule() {
    return rule;
  }
}
