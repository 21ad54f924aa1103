// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.check.Deviation;

/** Every scenario holds in all orders with one switch, and every broken twin fails. */
class RaceCheckTest {
  private static final int BOUND = 1;
  private static final long MOST = 1000;

  /** One run of this scenario takes a gigantic machine and a thousand copied pages. */
  private static final String HEAVY = "rollback";

  static List<String> holding() {
    return names(scenario -> scenario.finding().isEmpty() && !scenario.name().equals(HEAVY));
  }

  static List<String> withTwin() {
    return names(scenario -> scenario.twin() != null);
  }

  private static List<String> names(Predicate<RaceScenario> wanted) {
    return RaceScenario.all().stream().filter(wanted).map(RaceScenario::name).toList();
  }

  /** The kernel as it is. Expect no schedule with one switch to break a rule. */
  @ParameterizedTest
  @MethodSource("holding")
  void exhaust_theKernelAsItIs_breaksNoRule(String name) {
    Explorer.Result result = Explorer.exhaust(RaceScenario.of(name), false, BOUND, MOST);
    Deviation found = result.deviation();
    assertNull(found, () -> Objects.requireNonNull(found).text());
    assertTrue(result.complete(), result::toString);
    assertTrue(result.runs() > 2, result::toString);
  }

  /** The heavy one. Expect the first few schedules to hold; all of them are left to the command. */
  @Test
  void exhaust_rollback_breaksNoRuleAtFirst() {
    Explorer.Result result = Explorer.exhaust(RaceScenario.of(HEAVY), false, BOUND, 8);
    assertNull(result.deviation());
    assertFalse(result.complete());
  }

  /**
   * One step of the kernel is left out. Expect a schedule within the bound to break a rule, a report
   * with all its parts, and the same when that schedule is run again.
   */
  @ParameterizedTest
  @MethodSource("withTwin")
  void exhaust_twinWithAStepLeftOut_isReported(String name) {
    RaceScenario scenario = RaceScenario.of(name);
    Explorer.Result result = Explorer.exhaust(scenario, true, RaceCheck.BOUND, MOST);
    Deviation found = result.deviation();
    assertNotNull(found, result::toString);
    String text = found.text();
    assertTrue(text.contains("function  "), text);
    assertTrue(text.contains("trace     cpu"), text);

    RaceCheck again = new RaceCheck(true, null, null, 1);
    again.replay(name, found.replay().replaceFirst(".*--schedule ", ""));
    assertEquals(text, again.deviations().getFirst().text());
  }

  /**
   * Finding: a walker looks at the count of a page in use, the page becomes the tail of an optimised
   * hugepage, the exchange writes to it. Expect the fault with one switch, and its entry in the list.
   *
   * <pre>
   *   walker    _refcount is 1 .......................................... cmpxchg: oops
   *   others    last page of the block is freed | hugepage | tails shared, read-only
   * </pre>
   */
  @Test
  void exhaust_walkerMeetsABlockThatBecomesAHugepage_writesToAReadOnlyTail() throws IOException {
    RaceScenario scenario = RaceScenario.of("grow-and-walker");
    Deviation found = Explorer.exhaust(scenario, false, BOUND, MOST).deviation();
    assertNotNull(found);
    assertTrue(found.detail().startsWith("write-to-read-only "), found::text);
    assertEquals(RuleBook.READ_ONLY, found.rule());
    Path findings = Path.of("..", "docs", "FINDINGS.md");
    assertTrue(Files.readString(findings).contains(scenario.finding()));
  }

  /** A twin under random priorities. Expect to find it, and the same schedule from the same seed. */
  @Test
  void random_twin_isFoundFromASeed() {
    RaceScenario scenario = RaceScenario.of("copy-then-publish");
    // The seeds are 1 to 200; the schedule in the report is that of the first that found it.
    Deviation found = Explorer.random(scenario, true, 1, 200).deviation();
    assertNotNull(found, "seeds 1 to 200");
    assertEquals(found, Explorer.random(scenario, true, 1, 200).deviation());
    assertNull(Explorer.random(scenario, false, 1, 5).deviation());
  }

  /** A schedule as text. Expect to read what was written. */
  @Test
  void schedule_text_isReadBack() {
    String text = "0:1,57:0n,61:1w,99:0";
    assertEquals(text, Schedule.parse(text).text());
    assertEquals(99, Schedule.parse(text).last());
    assertFalse(Schedule.parse(text).equals(Schedule.startingWith(1)));
  }
}
