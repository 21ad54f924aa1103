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
import org.vmemmap.lab.check.MemoryScenarios;
import org.vmemmap.lab.check.Scenario;
import org.vmemmap.lab.check.World;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Series;

/**
 * All rules at the levels of the series. {@code -Dvmemmap.levels=all} looks at all 50 levels and at
 * the released kernels on all kinds of machines in all scenarios, which takes minutes; without it,
 * at a part of them.
 */
class LevelInvariantsTest {
  private static final boolean ALL = "all".equals(System.getProperty("vmemmap.levels"));
  private static final String PC = "x86-64-4";

  /** Where levels meet that differ in what is left in the memmap. */
  private static final List<String> SOME =
      List.of("0", "3", "16", "22", "24", "28", "33", "34", "37", "38", "49");

  private record Run(Scenario scenario, Series kernel) {
    @Override
    public String toString() {
      return scenario.world().name() + " " + scenario.name() + " at " + kernel + ": ";
    }

    String machine() {
      return scenario.world().name();
    }
  }

  /**
   * The standard scenarios on each kernel. Expect every rule to hold after each step, but for those
   * that the catalogue says the level breaks: these, and no others.
   */
  @Test
  void invariants_eachLevel_holdUnlessTheCatalogueSaysWhy() {
    Set<String> expected = new TreeSet<>();
    Set<String> found = new TreeSet<>();
    for (Run run : runs()) {
      expected(run).forEach(rule -> expected.add(run + rule));
      broken(run).forEach(rule -> found.add(run + rule));
    }
    assertEquals(String.join("\n", expected), String.join("\n", found));
  }

  private static List<Run> runs() {
    List<Run> runs = new ArrayList<>();
    List<String> names = new ArrayList<>(Scenario.NAMES);
    if (!ALL) {
      names.removeAll(MemoryScenarios.NAMES);
    }
    for (String name : names) {
      for (Scenario scenario : Scenario.standard(name, World.all())) {
        kernels(scenario).forEach(kernel -> runs.add(new Run(scenario, series(kernel))));
      }
    }
    return runs;
  }

  private static Stream<String> kernels(Scenario scenario) {
    if (ALL) {
      IntStream levels = IntStream.rangeClosed(0, Series.LAST);
      return Stream.concat(levels.mapToObj(Integer::toString), Series.RELEASED.stream());
    }
    boolean dax = List.of("beside-ram", "dax", "dax-1g", "far", "part", "process").contains(scenario.name());
    if (!scenario.world().name().equals(PC)) {
      return dax ? Stream.of("0", "34", "37", "49") : Stream.of("49");
    }
    return Stream.concat(
        dax || scenario.name().equals("gigantic") ? SOME.stream() : Stream.of("0", "28", "49"),
        Series.RELEASED.stream());
  }

  private static Series series(String kernel) {
    return kernel.contains(".") ? Series.profile(kernel) : Series.at(Integer.parseInt(kernel));
  }

  private static List<String> expected(Run run) {
    int level = level(run.kernel().name());
    return Catalogue.entries().stream()
        .flatMap(entry -> entry.breaks().stream())
        .filter(broken -> broken.at(level, run.machine(), run.scenario().name()))
        .map(Catalogue.Break::rule)
        .toList();
  }

  /** The series begins with a kernel between 7.1 and 7.2, and 7.2 has none of its breaks. */
  private static int level(String kernel) {
    boolean released = kernel.contains(".");
    return released ? (kernel.equals("7.1") ? 0 : Series.LAST) : Integer.parseInt(kernel);
  }

  /** The rules that do not hold at some time; a warning or a crash of the kernel counts as one. */
  private static Set<String> broken(Run run) {
    Set<String> broken = new TreeSet<>();
    try {
      run.scenario()
          .run(
              run.kernel(),
              kernel -> {
                Invariants.check(kernel).violations().forEach(one -> broken.add(one.rule()));
                broken.addAll(kernel.mm().printk().warnings());
              });
    } catch (KernelBug | KernelPanic | MachineFault e) {
      broken.add(String.valueOf(e.getMessage()));
    }
    return broken;
  }
}
