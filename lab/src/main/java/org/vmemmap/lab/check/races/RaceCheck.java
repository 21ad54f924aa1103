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
  private final Options options;
  private final Table table = new Table("lllrl", "scenario", "machine", "bound", "schedules", "result");
  private final List<Deviation> deviations = new ArrayList<>();
  private long schedules;
  private int scenarios;
  private int known;
  private int wrong;

  /**
   * What is asked for.
   *
   * @param twin whether the twins are run, which must fail
   * @param switches switches beyond the forced ones, and no seeds; null for what each scenario says
   * @param seed first seed of random priorities, and nothing else; null for what each scenario says
   * @param most how many schedules of a scenario, or seeds, are run; null for the usual number
   * @param series the kernel; null for the usual one
   * @param worlds kinds of machines; empty for each scenario's own
   * @param weak whether stores wait in buffers in all scenarios
   */
  public record Options(
      boolean twin,
      @Nullable Integer switches,
      @Nullable Long seed,
      @Nullable Integer most,
      @Nullable Series series,
      List<World> worlds,
      boolean weak) {
    private static final long SEEDS = 1000;

    /** Copies the list. */
    public Options {
      worlds = List.copyOf(worlds);
    }

    /** The scenarios, or the twins, as they are. */
    static Options plain(boolean twin) {
      return new Options(twin, null, null, null, null, List.of(), false);
    }

    Bound bound(RaceScenario scenario) {
      Long from = seed;
      Integer limit = switches;
      Bound bound =
          from != null
              ? Bound.random(from, most == null ? SEEDS : most)
              : limit != null ? Bound.exhaustive(limit) : scenario.bound();
      return most == null ? bound : bound.atMost(most);
    }

    /** The scenario on each machine that is asked for, and with that kernel. */
    List<RaceScenario> on(RaceScenario scenario) {
      RaceScenario buffered = weak ? scenario.weakly() : scenario;
      RaceScenario made = series == null ? buffered : buffered.at(series);
      return worlds.isEmpty() ? List.of(made) : worlds.stream().map(made::on).toList();
    }
  }

  /** Prepares a check. */
  public RaceCheck(Options options) {
    this.options = options;
  }

  /** Scenarios that show what one CPU alone does not notice. */
  public static List<OmissionSubject> subjects() {
    return List.of(
        new RaceSubject("split-then-publish", Omissions.WRITE_BARRIER),
        new RaceSubject("copy-then-publish", Omissions.WRITE_BARRIER),
        new RaceSubject("head-then-publish", Omissions.WRITE_BARRIER),
        new RaceSubject("restore-fails", Omissions.FLUSH_ALL),
        new RaceSubject("shared-tail", Omissions.CMPXCHG + " zone->vmemmap_tails"),
        new RaceSubject("pfn-valid", Omissions.CALL_RCU));
  }

  /** The scenarios as a table. */
  public static String list() {
    Table table =
        new Table(
            "llll", "scenario", "memory", "bound", "what happens, what the twin is without, how it fails");
    for (RaceScenario scenario : RaceScenario.all()) {
      String memory = scenario.weak() ? "weak" : "strong";
      table.row(scenario.name(), memory, scenario.bound().text(), scenario.about());
      twinLines(scenario).forEach(line -> table.row("", "", "", "  " + line));
    }
    return table + "\n" + RaceScenario.all().size() + " scenarios";
  }

  private static List<String> twinLines(RaceScenario scenario) {
    Twin twin = scenario.twin();
    return twin == null
        ? List.of("breaks a rule as it is: see docs/FINDINGS.md")
        : List.of("without: " + twin.without(), "breaks:  " + twin.rules());
  }

  /** Runs the scenario {@code name}, or all for null; {@code progress} hears of each, and how it went. */
  public void run(@Nullable String name, Consumer<String> progress) {
    List<RaceScenario> chosen =
        name == null ? RaceScenario.all() : List.of(RaceScenario.named(name));
    for (RaceScenario each : chosen) {
      if (options.twin() && each.twin() == null) {
        continue;
      }
      progress.accept(each.name() + ": " + each.about());
      for (RaceScenario scenario : options.on(each)) {
        progress.accept("  on " + scenario.world().name() + ": " + one(scenario));
      }
    }
  }

  /** Explores it, and tells how that ended. */
  private String one(RaceScenario scenario) {
    String missing = scenario.missing(options.twin());
    if (!missing.isEmpty()) {
      String outcome = "not there: " + missing;
      table.row(scenario.name(), scenario.world().name(), "-", 0, outcome);
      return outcome;
    }
    Bound bound = options.bound(scenario);
    Explorer.Result result = Explorer.explore(scenario, options.twin(), bound);
    return result.runs() + " schedules, " + enter(scenario, bound.text(), result);
  }

  private String enter(RaceScenario scenario, String within, Explorer.Result result) {
    Deviation found = result.deviation();
    String outcome = options.twin() ? broken(scenario, result) : held(scenario, result);
    table.row(scenario.name(), scenario.world().name(), within, result.runs(), outcome);
    scenarios++;
    schedules += result.runs();
    if (found != null) {
      deviations.add(found);
    }
    return outcome;
  }

  private String held(RaceScenario scenario, Explorer.Result result) {
    Deviation found = result.deviation();
    boolean finding = !scenario.finding().isEmpty();
    if (found == null) {
      String much = result.complete() ? "" : ", but not all were run";
      return (finding ? "ok, though a finding says otherwise" : "ok") + much;
    }
    known += finding ? 1 : 0;
    wrong += finding ? 0 : 1;
    return (finding ? "known finding: " : "BROKEN ") + found.rule();
  }

  private String broken(RaceScenario scenario, Explorer.Result result) {
    Deviation found = result.deviation();
    Twin twin = scenario.twin();
    if (found == null || twin == null) {
      wrong++;
      return "NOT BROKEN";
    }
    boolean asItMust = twin.failsBy(found);
    wrong += asItMust ? 0 : 1;
    String many = result.switches() == 1 ? " switch" : " switches";
    return found.rule() + " after " + result.switches() + many
        + (asItMust ? "" : ", WANTED " + twin.breaks());
  }

  /** Runs one schedule of scenario {@code name}. */
  public void replay(String name, String schedule) {
    for (RaceScenario scenario : options.on(RaceScenario.named(name))) {
      String missing = scenario.missing(options.twin());
      if (!missing.isEmpty()) {
        throw new BadInput(
            "--world " + scenario.world().name() + ": " + missing + ", wanted another for " + name);
      }
      Schedule one = Schedule.parse(schedule);
      Deviation found = Explorer.replay(scenario, options.twin(), one);
      enter(
          scenario,
          "that one",
          new Explorer.Result(1, 0, true, one.turns().size() - 1, found));
    }
  }

  /** What broke a rule. */
  public List<Deviation> deviations() {
    return List.copyOf(deviations);
  }

  /** Whether it went as it must: scenarios hold, and twins fail by the rule that they are made for. */
  public boolean asWanted() {
    return wrong == 0;
  }

  /** The table, the reports, and the numbers in the last line. */
  public String text() {
    StringBuilder text = new StringBuilder(table.toString()).append('\n');
    deviations.forEach(deviation -> text.append(deviation.text()).append('\n'));
    return text.append(scenarios)
        .append(options.twin() ? " twins, " : " scenarios, ")
        .append(schedules)
        .append(" schedules, ")
        .append(options.twin() ? scenarios - wrong : wrong)
        .append(options.twin() ? " broken as they must be" : " broken")
        .append(known == 0 ? "" : ", " + known + " known")
        .toString();
  }
}
