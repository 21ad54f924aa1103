// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Memory that holds anything at power-on, and again when a page is freed: whoever reads it before it is
 * written gets other results than from zeros. The system property {@code vmemmap.garbage=all} takes all
 * standard scenarios on all kinds of machines.
 */
class GarbageTest {
  private static final boolean ALL = "all".equals(System.getProperty("vmemmap.garbage"));

  private static List<Scenario> scenarios() {
    List<Scenario> all = new ArrayList<>();
    List<String> few = List.of("replace", "boot", "dax", "dimm-on-memory", "kmem", "lmbs");
    for (String name : ALL ? Scenario.NAMES : few) {
      all.addAll(Scenario.standard(name, ALL ? World.all() : some()));
    }
    return all;
  }

  private static List<World> some() {
    return List.of(
        World.of("x86-64-4"), World.of("arm64-16K-52"), World.of("powerpc-64K-radix"),
        World.of("powerpc-64K-hash"));
  }

  /**
   * Entries that look absent, present, and of any kind. Expect the fallible steps, the outcome and what is
   * found to be those of a machine with zeros.
   */
  @Test
  void run_onMemoryWithGarbage_isAsOnZeros() {
    for (Scenario scenario : scenarios()) {
      Trial.Result zeros = Trial.run(scenario, Selection.NONE, "again");
      for (long garbage : ALL ? new long[] {Trial.GARBAGE, ~0L, Trial.GARBAGE + 1} : new long[] {~0L}) {
        Trial.Result same =
            Trial.run(
                scenario, Selection.NONE, "again", machine -> Trial.holdGarbage(machine, garbage));
        assertEquals(zeros, same, () -> scenario.name() + " on " + scenario.world().name());
      }
    }
  }
}
