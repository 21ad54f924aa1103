// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Which allocation fails. */
class FaultInjectionTest {
  private final FaultInjection faults = new FaultInjection();

  /** Nobody armed it. Expect no failure, and the questions counted. */
  @Test
  void mayFail_disarmed_neverFails() {
    assertFalse(faults.mayFail("a"));
    assertFalse(faults.mayFail("b"));
    assertEquals(2, faults.asked());
    assertEquals(0, faults.failed());
  }

  /** The second question fails, no other. */
  @Test
  void failNth_second_failsOnlyTheSecond() {
    faults.failNth(2, site -> true);

    assertFalse(faults.mayFail("a"));
    assertTrue(faults.mayFail("a"));
    assertFalse(faults.mayFail("a"));
    assertEquals(1, faults.failed());
  }

  /** All questions from the second on fail. */
  @Test
  void failFrom_second_failsAllFromTheSecond() {
    faults.failFrom(2, site -> true);

    assertFalse(faults.mayFail("a"));
    assertTrue(faults.mayFail("a"));
    assertTrue(faults.mayFail("b"));
    assertEquals(2, faults.failed());
  }

  /** Sites that were not meant. Expect them neither to fail nor to count. */
  @Test
  void failNth_oneSite_ignoresOthers() {
    faults.failNth(1, "wanted"::equals);

    assertFalse(faults.mayFail("other"));
    assertEquals(0, faults.asked());
    assertTrue(faults.mayFail("wanted"));
    assertEquals(1, faults.asked());
  }

  /** Failures by site. Expect the order in which the sites first failed. */
  @Test
  void failures_severalSites_keepTheOrder() {
    faults.failFrom(1, site -> true);

    faults.mayFail("zebra");
    faults.mayFail("ant");
    faults.mayFail("zebra");
    faults.mayFail("mole");

    assertEquals(List.of("zebra", "ant", "mole"), List.copyOf(faults.failures().keySet()));
    assertEquals(2, faults.failures().get("zebra"));
  }

  /** Armed again after failures. Expect the count from there, and nothing of before. */
  @Test
  void failNth_armedAgain_countsFromThere() {
    faults.failFrom(1, site -> true);
    faults.mayFail("a");

    faults.failNth(2, site -> true);

    assertEquals(0, faults.asked());
    assertEquals(0, faults.failed());
    assertTrue(faults.failures().isEmpty());
    assertFalse(faults.mayFail("a"));
    assertTrue(faults.mayFail("a"));
  }

  /** Disarming. Expect no failure, and all counts from zero. */
  @Test
  void disarm_afterFailures_startsAfresh() {
    faults.failFrom(1, "a"::equals);
    faults.mayFail("a");

    faults.disarm();

    assertFalse(faults.mayFail("a"));
    assertFalse(faults.mayFail("b"));
    assertEquals(2, faults.asked());
    assertEquals(0, faults.failed());
    assertTrue(faults.failures().isEmpty());
  }
}
