// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import org.vmemmap.lab.boot.BadInput;

/**
 * One thing that is done to a machine.
 *
 * @param what a file to write to, or one of the verbs of {@link Workbench}
 * @param value what is written, or the verb's arguments
 * @param failing which fallible steps fail meanwhile, counted from its start
 */
public record Step(String what, String value, Selection failing) {
  private static final String FAILING = " # failing ";

  /** A step during which nothing is made to fail. */
  public Step(String what, String value) {
    this(what, value, Selection.NONE);
  }

  static Step pool(long pages) {
    return write("/proc/sys/vm/nr_hugepages", Long.toString(pages));
  }

  static Step write(String path, String value) {
    return new Step(path, value);
  }

  /** The same with other steps failing. */
  Step withFailing(Selection selection) {
    return new Step(what, value, selection);
  }

  /** The same with another value. */
  Step withValue(String other) {
    return new Step(what, other, failing);
  }

  /** True for {@code echo value > path}. */
  boolean writes() {
    return what.startsWith("/");
  }

  /** As in {@code echo 4 > /proc/sys/vm/nr_hugepages # failing only 3}. */
  public String text() {
    String done = writes() ? "echo " + value + " > " + what : (what + " " + value).strip();
    return failing.equals(Selection.NONE) ? done : done + FAILING + failing.text();
  }

  /**
   * Reads what {@link #text} wrote.
   *
   * @throws BadInput with what would be right; without the place
   */
  public static Step parse(String text) {
    int mark = text.indexOf(FAILING);
    String done = (mark < 0 ? text : text.substring(0, mark)).strip();
    Selection failing =
        mark < 0 ? Selection.NONE : Selection.parse(text.substring(mark + FAILING.length()));
    int arrow = done.indexOf(" > /");
    if (done.startsWith("echo ") && arrow > 0) {
      String value = done.substring("echo ".length(), arrow).strip();
      return new Step(done.substring(arrow + " > ".length()).strip(), value, failing);
    }
    int blank = done.indexOf(' ');
    String verb = blank < 0 ? done : done.substring(0, blank);
    String arguments = blank < 0 ? "" : done.substring(blank + 1).strip();
    Workbench.requireVerb(verb, arguments, done);
    return new Step(verb, arguments, failing);
  }
}
