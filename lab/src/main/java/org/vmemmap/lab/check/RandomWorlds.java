// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.report.Table;
import org.vmemmap.machine.Machine;
import org.vmemmap.types.Series;

/**
 * Runs random scenarios. Run number i of seed S is drawn from S + i alone, so {@code --seed S+i --runs
 * 1} is the same run. Neighbouring seeds share a machine: it is booted once, and goes back to that
 * moment before each run.
 */
public final class RandomWorlds {
  private static final int PER_MACHINE = 50;
  private static final int REPORTS = 10;
  private static final int SHRINKING = 400;

  private final List<World> worlds;
  private final @Nullable Series series;
  private final int steps;
  private final Consumer<Machine> prepare;
  private final Map<String, Integer> outcomes = new TreeMap<>();
  private final Map<String, Found> found = new TreeMap<>();
  private long runs;
  private long done;
  private long known;
  private long broken;

  /**
   * A kind of deviation that nobody knows.
   *
   * @param seed of the first run that showed it
   * @param scenario the smallest scenario that shows it
   * @param deviation the report
   */
  public record Found(long seed, Scenario scenario, Deviation deviation) {}

  /**
   * Prepares runs.
   *
   * @param worlds kinds of machines to draw from
   * @param series the kernel; null to draw it, too
   * @param steps the most steps of a run
   */
  public RandomWorlds(List<World> worlds, @Nullable Series series, int steps) {
    this(worlds, series, steps, machine -> {});
  }

  /** The same on machines that {@code prepare} has seen before anything ran on them. */
  RandomWorlds(
      List<World> worlds, @Nullable Series series, int steps, Consumer<Machine> prepare) {
    this.prepare = prepare;
    this.worlds = List.copyOf(worlds);
    this.series = series;
    this.steps = steps;
  }

  /**
   * How one scenario went.
   *
   * @param text the report
   * @param broken whether a rule is broken in a way that is not known
   */
  public record Run(String text, boolean broken) {}

  /** Runs one scenario; {@code file} is where it came from. */
  public static Run run(Scenario scenario, String file) {
    Trial.Result result = Trial.run(scenario, "vmemmap check run " + file, machine -> {});
    Deviation deviation = result.deviation();
    String text = scenario.text() + "outcome   " + result.outcome();
    return deviation == null
        ? new Run(text, false)
        : new Run(scenario.text() + deviation.text().stripTrailing(), !deviation.known());
  }

  /** The scenario of a seed. */
  public Scenario scenario(long seed) {
    return scenario(seed, machine(seed));
  }

  private Scenario machine(long seed) {
    return RandomWorld.draw(new Dice(~(seed / PER_MACHINE)), worlds, series);
  }

  private Scenario scenario(long seed, Scenario machine) {
    return machine
        .withSteps(RandomSteps.draw(new Dice(seed), machine.spec(), steps))
        .withName("random-" + seed, "seed " + seed);
  }

  /** Runs the scenarios of {@code count} seeds from {@code seed} on, of each {@code shards} one. */
  public void run(long seed, long count, int shard, int shards, Consumer<String> progress) {
    long end = seed + count;
    for (long block = seed / PER_MACHINE; block * PER_MACHINE < end; block++) {
      if (block % shards != shard - 1) {
        continue;
      }
      long first = Math.max(seed, block * PER_MACHINE);
      RandomMachine machine = new RandomMachine(machine(first), prepare);
      for (long each = first; each < Math.min(end, (block + 1) * PER_MACHINE); each++) {
        one(each, machine);
        if (++runs % 10_000 == 0) {
          progress.accept(lastLine());
        }
      }
    }
  }

  private void one(long seed, RandomMachine machine) {
    Scenario scenario = scenario(seed, machine.scenario());
    Trial.Result result = machine.run(scenario, replay(seed));
    done += scenario.steps().size();
    Deviation deviation = result.deviation();
    if (deviation == null) {
      result.outcomes().forEach(each -> outcomes.merge(each, 1, Integer::sum));
    } else if (deviation.known()) {
      outcomes.merge("known: " + deviation.finding(), 1, Integer::sum);
      known++;
    } else {
      outcomes.merge("DEVIATION " + deviation.rule(), 1, Integer::sum);
      broken++;
      report(seed, scenario, deviation);
    }
  }

  private void report(long seed, Scenario scenario, Deviation deviation) {
    String kind = deviation.rule();
    if (found.containsKey(kind) || found.size() >= REPORTS) {
      return;
    }
    Scenario small =
        Shrinker.shrink(scenario, deviation, SHRINKING, each -> Trial.run(each, "", prepare));
    String replay = deviation.replay();
    Deviation shown = Trial.run(small, replay, prepare).deviation();
    found.put(kind, new Found(seed, small, shown == null ? deviation : shown));
  }

  private String replay(long seed) {
    Series kernel = series;
    return "vmemmap check random --seed " + seed + " --runs 1 --steps " + steps
        + (kernel == null ? "" : " --at " + kernel.name())
        + (worlds.size() == 1 ? " --world " + worlds.getFirst().name() : "");
  }

  /** Runs that deviate in a way that is not known. */
  public long broken() {
    return broken;
  }

  /** What was found, each kind once. */
  public List<Found> found() {
    return List.copyOf(found.values());
  }

  /** How the runs ended, the reports, and the last line. */
  public String text() {
    Table table = new Table("lr", "outcome", "runs");
    outcomes.forEach(table::row);
    StringBuilder text = new StringBuilder(table.toString()).append('\n');
    for (Found each : new ArrayList<>(found.values())) {
      text.append(each.deviation().text()).append("scenario  ");
      text.append(each.scenario().text()).append('\n');
    }
    return text.append(lastLine()).toString();
  }

  private String lastLine() {
    return runs + " runs, " + done + " steps, " + known + " known findings, " + broken
        + " deviations";
  }
}
