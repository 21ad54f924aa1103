// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vmemmap.lab.check.Deviation;

/** Every scenario holds in all orders with one switch, and every broken twin fails. */
class RaceCheckTest {
  private static final int BOUND = 1;
  private static final long MOST = 1000;

  static List<String> names() {
    return RaceCheck.names();
  }

  /** The kernel as it is. Expect no schedule with one switch to break a rule. */
  @ParameterizedTest
  @MethodSource("names")
  void exhaust_theKernelAsItIs_breaksNoRule(String name) {
    Explorer.Result result = Explorer.exhaust(RaceScenario.of(name), false, BOUND, MOST);
    Deviation found = result.deviation();
    assertNull(found, () -> Objects.requireNonNull(found).text());
    assertTrue(result.complete(), result::toString);
    assertTrue(result.runs() > 2, result::toString);
  }

  /**
   * One step of the kernel is left out. Expect a schedule within the scenario's bound to break a
   * rule, a report with all its parts, and the same when that schedule is run again.
   */
  @ParameterizedTest
  @MethodSource("names")
  void exhaust_twinWithAStepLeftOut_isReported(String name) {
    RaceScenario scenario = RaceScenario.of(name);
    Explorer.Result result = Explorer.exhaust(scenario, true, scenario.bound(), MOST);
    Deviation found = result.deviation();
    assertNotNull(found, result::toString);
    String text = found.text();
    assertTrue(text.contains("function  "), text);
    assertTrue(text.contains("trace     cpu"), text);
    assertTrue(text.contains("(mm/"), text);

    RaceCheck again = new RaceCheck(true, null, null, 1);
    again.replay(name, found.replay().replaceFirst(".*--schedule ", ""));
    assertEquals(text, again.deviations().getFirst().text());
  }

  /** A twin under random priorities. Expect to find it, and the same schedule from the same seed. */
  @Test
  void random_twin_isFoundFromASeed() {
    RaceScenario scenario = RaceScenario.of("copy-then-publish");
    Deviation found = Explorer.random(scenario, true, 1, 200).deviation();
    assertNotNull(found);
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
