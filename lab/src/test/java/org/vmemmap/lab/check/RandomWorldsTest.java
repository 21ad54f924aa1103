// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Series;

/** Random machines: nothing is found in the port as it is, and what is left out of it is found. */
class RandomWorldsTest {
  private static final List<World> PC = List.of(World.of("x86-64-4"), World.of("x86-64-5"));
  private static final int STEPS = 8;

  private static RandomWorlds run(Series series, long seed, int runs) {
    RandomWorlds worlds = new RandomWorlds(PC, series, STEPS);
    worlds.run(seed, runs, 1, 1, text -> {});
    return worlds;
  }

  private static RandomWorlds.Found without(String step, int runs) {
    Predicate<String> omitted = step::equals;
    RandomWorlds worlds =
        new RandomWorlds(PC, Series.at(49), STEPS, machine -> machine.omissions().drop(omitted));
    worlds.run(1, runs, 1, 1, text -> {});
    assertTrue(worlds.broken() > 0, worlds::text);
    return worlds.found().getFirst();
  }

  /** Some machines with all patches. Expect nothing beyond docs/FINDINGS.md. */
  @Test
  void run_allPatches_findsNothingNew() {
    RandomWorlds worlds = run(Series.at(49), 1, 200);
    assertEquals(0, worlds.broken(), worlds::text);
  }

  /** Some machines with the part of the series that 7.3 has. Expect the same. */
  @Test
  void run_released73_findsNothingNew() {
    RandomWorlds worlds = run(Series.profile("7.3"), 1, 200);
    assertEquals(0, worlds.broken(), worlds::text);
  }

  /** The same seeds twice. Expect the same outcome to the last word. */
  @Test
  void run_sameSeeds_sameOutcome() {
    assertEquals(run(Series.at(49), 7000, 30).text(), run(Series.at(49), 7000, 30).text());
  }

  /** Nobody flushes all caches. Expect it within 60 runs, in at most 3 steps. */
  @Test
  void run_withoutFlushAll_isFoundAndShrunk() {
    RandomWorlds.Found found = without("flush_all", 60);
    assertEquals("tlb-reaches-freed-frame", found.deviation().rule());
    assertTrue(found.scenario().steps().size() <= 3, found.scenario()::text);
  }

  /** Nobody takes the write permission of shared tails. Expect it in 60 runs, in at most 1 step. */
  @Test
  void run_withoutWriteProtection_isFoundAndShrunk() {
    RandomWorlds.Found found = without("write_protect", 60);
    assertEquals("shared-tail-read-only", found.deviation().rule());
    assertTrue(found.scenario().steps().size() <= 1, found.scenario()::text);
    assertTrue(found.deviation().text().contains("--seed " + found.seed()), "seed");
  }
}
