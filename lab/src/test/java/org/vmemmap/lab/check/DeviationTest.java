// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** What a report says of bugs that are planted. */
class DeviationTest {
  private static final String STEP = "echo 1 > /proc/sys/vm/nr_hugepages";

  private static String report(String scenario, Predicate<String> dropped) {
    Scenario on = Scenario.standard(scenario, List.of(World.of("x86-64-4"))).getFirst();
    Trial.Result result =
        Trial.run(on, Selection.NONE, "again", machine -> machine.omissions().drop(dropped));
    return Objects.requireNonNull(result.deviation()).text();
  }

  /** Lines by their first word; those without one belong to the trace. */
  private static List<String> lines(String report, String word) {
    return report.lines().filter(line -> line.startsWith(word)).toList();
  }

  /** Each report has these parts, in this order, each once. */
  private static void hasAllParts(String report) {
    List<String> words = report.lines().map(line -> line.split(" ", 2)[0]).filter(w -> !w.isEmpty()).toList();
    assertEquals(List.of("rule", "step", "found", "function", "trace", "replay"), words, report);
  }

  /**
   * Nobody flushes before frames of a memmap are freed. Expect the function that frees one, and the
   * flush that did nothing at the end of the trace.
   */
  @Test
  void text_ruleBrokenInAFunction_namesTheFunctionThatRan() {
    String report = report("page", call -> call.equals("flush_all"));
    hasAllParts(report);
    assertEquals(
        List.of("function  __free_pages_prepare (mm/page_alloc.c)"), lines(report, "function"));
    assertEquals(List.of("step      " + STEP), lines(report, "step"));
    assertTrue(lines(report, "found").getFirst().contains(" frame=0x"), report);
    assertTrue(
        report.contains(
            "flush_all 0x0  in __hugetlb_vmemmap_optimize_folios (mm/hugetlb_vmemmap.c)\nreplay"),
        report);
  }

  /**
   * Ptes of shared tails are entered writable, which is seen when the step has ended. Expect who
   * entered the last one, and the trace up to there.
   */
  @Test
  void text_ruleBrokenAtRest_namesTheLastFunctionToChangeWhatIsWrong() {
    String report = report("page", call -> call.equals("write_protect"));
    hasAllParts(report);
    String found = lines(report, "found").getFirst();
    String frame = found.split(" +", 3)[1];
    assertTrue(frame.startsWith("frame=0x"), report);
    assertEquals(
        List.of(
            "function  vmemmap_remap_pte (mm/hugetlb_vmemmap.c), the last to change " + frame
                + ", found at rest after " + STEP),
        lines(report, "function"));
    assertTrue(
        report.contains(
            "changes " + frame + "  in vmemmap_remap_pte (mm/hugetlb_vmemmap.c)\nreplay    again\n"),
        report);
  }

  /** A counter is not added to. Nothing in memory shows who should have. Expect the step. */
  @Test
  void text_counterWrongAtRest_namesNobodyButTheStep() {
    String report =
        report("page", call -> call.equals("add nr_memmap_pages") || call.equals("add nr_memmap_boot_pages"));
    hasAllParts(report);
    assertTrue(
        lines(report, "function").getFirst().startsWith("function  none, found at rest after "),
        report);
  }
}
