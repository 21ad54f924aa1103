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
  /** Switches beyond the forced ones, when nothing else is asked for. */
  static final int BOUND = 2;

  private final boolean twin;
  private final @Nullable Integer bound;
  private final @Nullable Long seed;
  private final long most;
  private final Table table = new Table("lrrll", "scenario", "schedules", "bound", "within it", "result");
  private final List<Deviation> deviations = new ArrayList<>();
  private long schedules;
  private int scenarios;
  private int known;

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
      RaceScenario.Twin twin = scenario.twin();
      table.row(
          "",
          "",
          twin == null
              ? "  breaks a rule as it is: see docs/FINDINGS.md"
              : "  without: " + twin.without());
    }
    return table.toString() + "\n" + RaceScenario.all().size() + " scenarios";
  }

  /** Runs the scenario {@code name}, or all for null; {@code progress} hears of each. */
  public void run(@Nullable String name, Consumer<String> progress) {
    List<RaceScenario> chosen =
        name == null ? RaceScenario.all() : List.of(RaceScenario.of(name));
    for (RaceScenario scenario : chosen) {
      if (twin && scenario.twin() == null) {
        continue;
      }
      progress.accept(scenario.name() + ": " + scenario.about());
      one(scenario);
    }
  }

  private void one(RaceScenario scenario) {
    Long from = seed;
    int limit = bound == null ? BOUND : bound;
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
        outcome(scenario, found));
    count(scenario, result.runs(), found);
  }

  private String outcome(RaceScenario scenario, @Nullable Deviation found) {
    if (found == null) {
      return scenario.finding().isEmpty() || twin ? "ok" : "ok, but a finding says otherwise";
    }
    return (scenario.finding().isEmpty() ? "BROKEN " : "known finding: ") + found.rule();
  }

  private void count(RaceScenario scenario, long runs, @Nullable Deviation found) {
    scenarios++;
    schedules += runs;
    if (found != null) {
      deviations.add(found);
      known += scenario.finding().isEmpty() ? 0 : 1;
    }
  }

  /** Runs one schedule of scenario {@code name}. */
  public void replay(String name, String schedule) {
    RaceScenario scenario = RaceScenario.of(name);
    Deviation found = Explorer.replay(scenario, twin, Schedule.parse(schedule));
    table.row(name, 1, "-", "that one", outcome(scenario, found));
    count(scenario, 1, found);
  }

  /** What broke a rule. */
  public List<Deviation> deviations() {
    return List.copyOf(deviations);
  }

  /** Whether it went as it must: scenarios hold, twins fail. */
  public boolean asWanted() {
    return deviations.size() == (twin ? scenarios : known);
  }

  /** The table, the reports, and the numbers in the last line. */
  public String text() {
    StringBuilder text = new StringBuilder(table.toString()).append('\n');
    deviations.forEach(deviation -> text.append(deviation.text()).append('\n'));
    return text.append(scenarios)
        .append(twin ? " twins, " : " scenarios, ")
        .append(schedules)
        .append(" schedules, ")
        .append(deviations.size() - known)
        .append(twin ? " broken as they must be" : " broken")
        .append(known == 0 ? "" : ", " + known + " known")
        .toString();
  }
}
