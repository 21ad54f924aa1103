// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.check.KernelFunction;

/**
 * The steps of a run that others could notice, with a column for each CPU: the kernel function, and
 * below it what it did. Of a long stretch on one CPU the middle is left out, of many stretches those
 * behind the first.
 *
 * <pre>
 *      step  CPU 0                                     | CPU 1
 *            vmemmap_restore_pte (hugetlb_vmemmap.c)   |
 *       431    write paddr=0x4400810                   |
 *                                                      | _compound_head (page-flags.h)
 *       434                                            |   read paddr=0x4400810
 * </pre>
 */
final class Trail {
  private static final int FIRST = 2;
  private static final int LAST = 10;
  private static final int STRETCHES = 6;
  private static final int NO_STEP = -1;
  private static final String NAME = "CPU ";

  private final Deque<Stretch> stretches = new ArrayDeque<>();
  private int skipped;
  private int cpus;
  private @Nullable KernelFunction last;

  /**
   * What a function did, once or several times in a row.
   *
   * @param number of the step
   * @param what without what it was done to
   * @param first what it was done to
   * @param last the same, of the last time
   */
  private record Step(
      int number, @Nullable KernelFunction function, String what, String first, String last, int times) {
    boolean goesOn(Step next) {
      return what.equals(next.what) && !first.isEmpty() && in().equals(next.in());
    }

    Step with(Step next) {
      return new Step(number, function, what, first, next.last, times + 1);
    }

    String in() {
      return function == null ? "" : function.shortText();
    }

    String text() {
      String more = first.equals(last) ? "" : " .. " + last;
      return what + " " + first + (times == 1 ? "" : more + ", " + times + " times");
    }
  }

  /** Steps of one CPU without one of another between them. */
  private static final class Stretch {
    final int cpu;
    final List<Step> first = new ArrayList<>();
    final Deque<Step> last = new ArrayDeque<>();
    int skipped;

    Stretch(int cpu) {
      this.cpu = cpu;
    }

    void add(Step step) {
      Step before = last.peekLast();
      if (before != null && before.goesOn(step)) {
        last.removeLast();
        last.addLast(before.with(step));
      } else if (first.size() < FIRST) {
        first.add(step);
      } else {
        last.addLast(step);
        if (last.size() > LAST) {
          last.removeFirst();
          skipped++;
        }
      }
    }
  }

  /** A line of the table: {@code text} in the column of {@code cpu}. */
  private record Row(int step, int cpu, String text) {
    String number() {
      return step == NO_STEP ? " ".repeat("  step".length()) : "%6d".formatted(step);
    }

    List<String> cells(int cpus) {
      return IntStream.range(0, cpus).mapToObj(at -> at == cpu ? text : "").toList();
    }
  }

  /** Adds step {@code number} of CPU {@code cpu}. */
  void note(int number, int cpu, String what) {
    cpus = Math.max(cpus, cpu + 1);
    last = KernelFunction.nearest();
    int blank = what.lastIndexOf(' ');
    boolean plain = blank < 0 || !what.substring(blank).contains("0x");
    String verb = plain ? what : what.substring(0, blank);
    String operand = plain ? "" : what.substring(blank + 1);
    stretch(cpu).add(new Step(number, last, verb, operand, operand, 1));
  }

  private Stretch stretch(int cpu) {
    Stretch now = stretches.peekLast();
    if (now == null || now.cpu != cpu) {
      now = new Stretch(cpu);
      stretches.addLast(now);
    }
    if (stretches.size() > STRETCHES) {
      Stretch first = stretches.removeFirst();
      stretches.removeFirst();
      stretches.addFirst(first);
      skipped++;
    }
    return now;
  }

  /** The kernel function that made the last step; null for none. */
  @Nullable KernelFunction last() {
    return last;
  }

  /** The table, a line each. */
  List<String> lines() {
    List<Row> rows = new ArrayList<>();
    int at = 0;
    for (Stretch stretch : stretches) {
      if (at++ == 1 && skipped > 0) {
        rows.add(new Row(NO_STEP, stretch.cpu, "... " + skipped + " switches"));
      }
      addRows(stretch, rows);
    }
    int[] widths = new int[cpus];
    Arrays.fill(widths, NAME.length() + 1);
    for (Row row : rows) {
      widths[row.cpu()] = Math.max(widths[row.cpu()], row.text().length());
    }
    List<String> lines = new ArrayList<>();
    lines.add(line("  step", IntStream.range(0, cpus).mapToObj(cpu -> NAME + cpu).toList(), widths));
    rows.forEach(row -> lines.add(line(row.number(), row.cells(cpus), widths)));
    return lines;
  }

  private static void addRows(Stretch stretch, List<Row> rows) {
    String function = "";
    List<Step> steps = new ArrayList<>(stretch.first);
    steps.addAll(stretch.last);
    for (int i = 0; i < steps.size(); i++) {
      Step step = steps.get(i);
      if (i == stretch.first.size() && stretch.skipped > 0) {
        rows.add(new Row(NO_STEP, stretch.cpu, "... " + stretch.skipped + " more"));
        function = "";
      }
      if (!step.in().equals(function) && !step.in().isEmpty()) {
        function = step.in();
        rows.add(new Row(NO_STEP, stretch.cpu, function));
      }
      rows.add(new Row(step.number(), stretch.cpu, "  " + step.text()));
    }
  }

  private static String line(String number, List<String> cells, int[] widths) {
    StringBuilder line = new StringBuilder(number);
    for (int i = 0; i < widths.length; i++) {
      line.append(i == 0 ? "  " : " | ").append(cells.get(i));
      line.append(" ".repeat(widths[i] - cells.get(i).length()));
    }
    return line.toString().stripTrailing();
  }
}
