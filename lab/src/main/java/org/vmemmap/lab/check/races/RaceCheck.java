// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.check.Deviation;
import org.vmemmap.lab.report.Table;

/** Runs scenarios, or their broken twins, and tells what came of it. */
public final class RaceCheck {
  private final boolean twin;
  private final @Nullable Integer bound;
  private final @Nullable Long seed;
  private final long most;
  private final Table table = new Table("lrrll", "scenario", "schedules", "bound", "within it", "result");
  private final List<Deviation> deviations = new ArrayList<>();
  private long schedules;
  private int scenarios;

  /**
   * Prepares a check.
   *
   * @param twin whether the twins are run, which must fail
   * @param bound switches that are tried beyond the forced ones; null for what each scenario says
   * @param seed first seed of random priorities; null for all schedules within the bound
   * @param most how many schedules of a scenario, or seeds, are run
   */
  public RaceCheck(boolean twin, @Nullable Integer bound, @Nullable Long seed, long most) {
    this.twin = twin;
    this.bound = bound;
    this.seed = seed;
    this.most = most;
  }

  /** Names of all scenarios. */
  public static List<String> names() {
    return RaceScenario.all().stream().map(RaceScenario::name).toList();
  }

  /** The scenarios as a table. */
  public static String list() {
    Table table = new Table("lll", "scenario", "memory", "what happens, and what the twin leaves out");
    for (RaceScenario scenario : RaceScenario.all()) {
      table.row(scenario.name(), scenario.weak() ? "weak" : "strong", scenario.about());
      table.row("", "", "  without: " + scenario.twin());
    }
    return table.toString() + "\n" + RaceScenario.all().size() + " scenarios";
  }

  /** Runs the scenario {@code name}, or all for null; {@code progress} hears of each. */
  public void run(@Nullable String name, Consumer<String> progress) {
    List<RaceScenario> chosen =
        name == null ? RaceScenario.all() : List.of(RaceScenario.of(name));
    for (RaceScenario scenario : chosen) {
      progress.accept(scenario.name() + ": " + scenario.about());
      one(scenario);
    }
  }

  private void one(RaceScenario scenario) {
    Long from = seed;
    int limit = bound == null ? scenario.bound() : bound;
    Explorer.Result result =
        from == null
            ? Explorer.exhaust(scenario, twin, limit, most)
            : Explorer.random(scenario, twin, from, most);
    Deviation found = result.deviation();
    String within = from != null ? "seeds" : result.complete() ? "all" : "the first";
    table.row(
        scenario.name(),
        result.runs(),
        from != null ? "-" : Integer.toString(limit),
        found == null ? within : "up to the first",
        found == null ? "ok" : "BROKEN " + found.rule());
    scenarios++;
    schedules += result.runs();
    if (found != null) {
      deviations.add(found);
    }
  }

  /** Runs one schedule of scenario {@code name}. */
  public void replay(String name, String schedule) {
    Deviation found = Explorer.replay(RaceScenario.of(name), twin, Schedule.parse(schedule));
    table.row(name, 1, "-", "that one", found == null ? "ok" : "BROKEN " + found.rule());
    scenarios++;
    schedules++;
    if (found != null) {
      deviations.add(found);
    }
  }

  /** What broke a rule. */
  public List<Deviation> deviations() {
    return List.copyOf(deviations);
  }

  /** Whether it went as it must: scenarios hold, twins fail. */
  public boolean asWanted() {
    return deviations.size() == (twin ? scenarios : 0);
  }

  /** The table, the reports, and the numbers in the last line. */
  public String text() {
    StringBuilder text = new StringBuilder(table.toString()).append('\n');
    deviations.forEach(deviation -> text.append(deviation.text()).append('\n'));
    return text.append(scenarios)
        .append(twin ? " twins, " : " scenarios, ")
        .append(schedules)
        .append(" schedules, ")
        .append(deviations.size())
        .append(twin ? " broken as they must be" : " broken")
        .toString();
  }
}
