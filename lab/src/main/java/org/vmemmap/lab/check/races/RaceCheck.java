// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.check.Deviation;
import org.vmemmap.lab.check.OmissionSubject;
import org.vmemmap.lab.check.World;
import org.vmemmap.lab.report.Table;
import org.vmemmap.machine.Omissions;
import org.vmemmap.types.Series;

/** Runs scenarios, or their broken twins, and tells what came of it. */
public final class RaceCheck {
  /** Switches beyond the forced ones, when nothing else is asked for. */
  static final int BOUND = 2;

  private final boolean twin;
  private final @Nullable Integer bound;
  private final @Nullable Long seed;
  private final long most;
  private final @Nullable Series series;
  private final @Nullable World world;
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
    this(twin, bound, seed, most, null, null);
  }

  /**
   * The same on other machines.
   *
   * @param series the kernel; null for all patches
   * @param world the kind of machine, for the scenarios that any machine can show; null for each
   *     scenario's own
   */
  public RaceCheck(
      boolean twin,
      @Nullable Integer bound,
      @Nullable Long seed,
      long most,
      @Nullable Series series,
      @Nullable World world) {
    this.series = series;
    this.world = world;
    this.twin = twin;
    this.bound = bound;
    this.seed = seed;
    this.most = most;
  }

  /** Scenarios that show what one CPU alone does not notice. */
  public static List<OmissionSubject> subjects() {
    return List.of(
        new RaceSubject("split-then-publish", Omissions.WRITE_BARRIER),
        new RaceSubject("copy-then-publish", Omissions.WRITE_BARRIER),
        new RaceSubject("head-then-publish", Omissions.WRITE_BARRIER),
        new RaceSubject("restore-fails", Omissions.FLUSH_ALL));
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
    for (RaceScenario each : chosen) {
      RaceScenario scenario = here(each);
      if (scenario == null || (twin && scenario.twin() == null)) {
        continue;
      }
      progress.accept(scenario.name() + ": " + scenario.about());
      one(scenario);
    }
  }

  /** The scenario on the machine and with the kernel that are asked for; null where it cannot be. */
  private @Nullable RaceScenario here(RaceScenario scenario) {
    World on = world;
    RaceScenario moved = on == null ? scenario : scenario.on(on);
    Series kernel = series;
    return moved == null || kernel == null ? moved : moved.at(kernel);
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
    RaceScenario scenario = here(RaceScenario.of(name));
    if (scenario == null) {
      throw new BadInput("check races " + name + " --world: wanted its own machine, x86-64-4");
    }
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
