// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.check.World;
import org.vmemmap.types.Series;

/**
 * All rules at the levels of the series. {@code -Dvmemmap.levels=all} looks at all 50 levels and at
 * the released kernels on all kinds of machines in all scenarios, which takes minutes; without it,
 * at a part of them.
 */
class LevelInvariantsTest {
  private static final boolean ALL = "all".equals(System.getProperty("vmemmap.levels"));
  private static final String PC = "x86-64-4";
  private static final List<String> RELEASED = List.of("7.1", "7.2", "7.3");

  /** Where levels meet that differ in what is left in the memmap. */
  private static final List<Integer> SOME = List.of(0, 3, 16, 24, 28, 33, 34, 37, 38, 44, 49);

  private record Run(String machine, String scenario, String kernel) {}

  /**
   * Boots, pools and devices on each kernel. Expect every rule to hold all the time, but for those
   * that the catalogue says the level breaks: these, and no others.
   */
  @Test
  void invariants_eachLevel_holdUnlessTheCatalogueSaysWhy() {
    Set<String> expected = new TreeSet<>();
    Set<String> found = new TreeSet<>();
    for (World world : World.all()) {
      LevelScenario scenario = new LevelScenario(world);
      for (Run run : runs(scenario)) {
        expected(run).forEach(rule -> expected.add(run + " " + rule));
        scenario
            .broken(run.scenario(), series(run.kernel()))
            .forEach(rule -> found.add(run + " " + rule));
      }
    }
    assertEquals(String.join("\n", expected), String.join("\n", found));
  }

  private static List<Run> runs(LevelScenario scenario) {
    List<Run> runs = new ArrayList<>();
    String machine = scenario.world().name();
    for (String name : scenario.names()) {
      kernels(machine, name).forEach(kernel -> runs.add(new Run(machine, name, kernel)));
    }
    return runs;
  }

  private static Stream<String> kernels(String machine, String scenario) {
    IntStream all = IntStream.rangeClosed(0, Series.LAST);
    if (ALL) {
      return Stream.concat(all.mapToObj(Integer::toString), RELEASED.stream());
    }
    if (!machine.equals(PC)) {
      return scenario.equals(LevelScenario.DAX) ? Stream.of("0", "34", "37", "49") : Stream.of("49");
    }
    return Stream.concat(SOME.stream().map(n -> Integer.toString(n)), RELEASED.stream());
  }

  private static Series series(String kernel) {
    return kernel.contains(".") ? Series.profile(kernel) : Series.at(Integer.parseInt(kernel));
  }

  private static List<String> expected(Run run) {
    if (run.kernel().contains(".")) {
      return List.of();
    }
    int level = Integer.parseInt(run.kernel());
    return Catalogue.entries().stream()
        .flatMap(entry -> entry.breaks().stream())
        .filter(broken -> broken.at(level, run.machine(), run.scenario()))
        .map(Catalogue.Break::rule)
        .toList();
  }
}
