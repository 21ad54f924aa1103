// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.YieldPoints;

/** The kernel log and its warnings. */
class PrintkTest {
  private final Printk printk = new Printk(true, new YieldPoints());
  private final Printk release = new Printk(false, new YieldPoints());

  /** WARN_ON warns every time, WARN_ON_ONCE once for each place; both tell the condition. */
  @Test
  void warnOnOnce_sameSite_isRecordedOnce() {
    assertTrue(printk.warnOn(true, "a"));
    assertTrue(printk.warnOn(true, "a"));
    assertTrue(printk.warnOnOnce(true, "b"));
    assertTrue(printk.warnOnOnce(true, "b"));
    assertFalse(printk.warnOnOnce(false, "c"));

    assertEquals(List.of("a", "a", "b"), printk.warnings());
    printk.clearWarnings();
    assertTrue(printk.warnOnOnce(true, "b"));
    assertEquals(List.of(), printk.warnings());
  }

  /** The VM_ macros exist only with DEBUG_VM. */
  @Test
  void vmMacros_withoutDebugVm_doNothing() {
    assertFalse(release.vmWarnOnOnce(true, "a"));
    release.vmBugOn(true, "b");

    assertEquals(List.of(), release.warnings());
    assertTrue(printk.vmWarnOnOnce(true, "a"));
    assertThrows(KernelBug.class, () -> printk.vmBugOn(true, "b"));
  }

  /** BUG_ON stops the kernel, with the place in the message. */
  @Test
  void bugOn_true_throws() {
    KernelBug bug = assertThrows(KernelBug.class, () -> release.bugOn(true, "f: x != y"));

    assertEquals("kernel BUG at f: x != y", bug.getMessage());
    release.bugOn(false, "never");
  }

  /** Lines keep level and order; the _once forms are printed once for each site. */
  @Test
  void lines_severalLevels_keepTheOrder() {
    printk.prInfo("one");
    printk.prWarnOnce("site", "two");
    printk.prWarnOnce("site", "three");
    printk.prErrOnce("other", "four");
    printk.prErrOnce("other", "five");
    printk.prErr("six");
    printk.prWarn("seven");

    List<String> texts = printk.lines().stream().map(Printk.Line::text).toList();
    assertEquals(List.of("one", "two", "four", "six", "seven"), texts);
    assertEquals(Printk.Level.WARNING, printk.lines().get(1).level());
  }

  /** Debug lines are made only when somebody wants them. */
  @Test
  void prDebug_switchedOff_makesNoText() {
    printk.prDebug(
        () -> {
          throw new AssertionError("made a text that nobody reads");
        });

    printk.setDebug(true);
    printk.prDebug(() -> "seen");

    assertEquals(List.of(new Printk.Line(Printk.Level.DEBUG, "seen")), printk.lines());
  }

  /** A WARN while somebody records the steps of all CPUs. Expect it among them. */
  @Test
  void warnOn_listener_isTold() {
    YieldPoints yields = new YieldPoints();
    Printk heard = new Printk(true, yields);
    StringBuilder notes = new StringBuilder();
    yields.listen(
        new YieldPoints.Listener() {
          @Override
          public void reached(String what, long where) {}

          @Override
          public void noted(String what) {
            notes.append(what);
          }
        });

    heard.warnOn(false, "a");
    heard.warnOn(true, "b");

    assertEquals("WARNING: b", notes.toString());
    assertEquals(new Printk.Line(Printk.Level.WARNING, "WARNING: b"), heard.lines().getLast());
  }
}
