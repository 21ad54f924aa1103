// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import org.vmemmap.machine.YieldPoints;

/** The kernel log and its warnings. What was warned of is kept, so that a test can expect it. */
public final class Printk {
  /** Severity of a line, the kernel's level names. */
  public enum Level {
    EMERG,
    ERR,
    WARNING,
    NOTICE,
    INFO,
    DEBUG
  }

  /**
   * One line of the log.
   *
   * @param level severity
   * @param text the message without level and time
   */
  public record Line(Level level, String text) {}

  private final boolean debugVm;
  private final YieldPoints yields;
  private final List<Line> lines = new ArrayList<>();
  private final List<String> warnings = new ArrayList<>();
  private final Set<String> once = new HashSet<>();
  private boolean debug;

  Printk(boolean debugVm, YieldPoints yields) {
    this.debugVm = debugVm;
    this.yields = yields;
  }

  /** All lines so far. */
  public List<Line> lines() {
    return List.copyOf(lines);
  }

  /** The conditions of all {@code WARN} macros that were true, in order. */
  public List<String> warnings() {
    return List.copyOf(warnings);
  }

  /** Forgets the warnings, for a test that expected them. */
  public void clearWarnings() {
    warnings.clear();
  }

  /** {@code pr_info}. */
  @Kernel(file = "include/linux/printk.h", symbol = "pr_info")
  public void prInfo(String text) {
    lines.add(new Line(Level.INFO, text));
  }

  /** Lets {@code pr_debug} lines into the log from now on, as dynamic debug does. */
  public void setDebug(boolean on) {
    debug = on;
  }

  /** {@code pr_debug}: recorded only after {@link #setDebug}, so the text is made only then. */
  @Kernel(file = "include/linux/printk.h", symbol = "pr_debug")
  public void prDebug(Supplier<String> text) {
    if (debug) {
      lines.add(new Line(Level.DEBUG, text.get()));
    }
  }

  /** {@code pr_warn}. */
  @Kernel(file = "include/linux/printk.h", symbol = "pr_warn")
  public void prWarn(String text) {
    lines.add(new Line(Level.WARNING, text));
  }

  /** {@code pr_err}. */
  @Kernel(file = "include/linux/printk.h", symbol = "pr_err")
  public void prErr(String text) {
    lines.add(new Line(Level.ERR, text));
  }

  /** {@code pr_warn_once}: {@code site} names the call site. */
  @Kernel(file = "include/linux/printk.h", symbol = "pr_warn_once")
  public void prWarnOnce(String site, String text) {
    if (once.add(site)) {
      prWarn(text);
    }
  }

  /** {@code pr_err_once}: {@code site} names the call site. */
  @Kernel(file = "include/linux/printk.h", symbol = "pr_err_once")
  public void prErrOnce(String site, String text) {
    if (once.add(site)) {
      prErr(text);
    }
  }

  /**
   * {@code WARN_ON}: records {@code where} when {@code condition} holds.
   *
   * @param where kernel function and condition, as in {@code section_activate: nr_pages == 0}
   * @return {@code condition}
   */
  @Kernel(file = "include/asm-generic/bug.h", symbol = "WARN_ON")
  public boolean warnOn(boolean condition, String where) {
    if (condition) {
      yields.note("WARNING: " + where);
      warnings.add(where);
      lines.add(new Line(Level.WARNING, "WARNING: " + where));
    }
    return condition;
  }

  /** {@code WARN_ON_ONCE}: as {@link #warnOn}, recorded at most once for each {@code where}. */
  @Kernel(file = "include/asm-generic/bug.h", symbol = "WARN_ON_ONCE")
  public boolean warnOnOnce(boolean condition, String where) {
    if (condition && once.add(where)) {
      return warnOn(true, where);
    }
    return condition;
  }

  /** {@code VM_WARN_ON_ONCE}: checked only in a kernel built with DEBUG_VM; false otherwise. */
  @Kernel(file = "include/linux/mmdebug.h", symbol = "VM_WARN_ON_ONCE")
  public boolean vmWarnOnOnce(boolean condition, String where) {
    return debugVm && warnOnOnce(condition, where);
  }

  /** {@code BUG_ON}. */
  @Kernel(file = "include/asm-generic/bug.h", symbol = "BUG_ON")
  public void bugOn(boolean condition, String where) {
    if (condition) {
      throw new KernelBug(where);
    }
  }

  /** {@code VM_BUG_ON}: checked only in a kernel built with DEBUG_VM. */
  @Kernel(file = "include/linux/mmdebug.h", symbol = "VM_BUG_ON")
  public void vmBugOn(boolean condition, String where) {
    bugOn(debugVm && condition, where);
  }
}
