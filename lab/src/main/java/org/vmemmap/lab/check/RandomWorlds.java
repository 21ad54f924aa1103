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

  /** Of so many machines two have the newest kernels, and one has another. */
  private static final int KERNEL_TURN = 3;

  private static final List<String> OLD = List.of("7.1", "7.2");
  private static final int REPORTS = 10;
  private static final int SHRINKING = 400;

  private final List<World> worlds;
  private final @Nullable Series series;
  private final int steps;
  private final Consumer<Machine> prepare;
  private final Map<String, Integer> outcomes = new TreeMap<>();
  private final Map<String, Found> found = new TreeMap<>();
  private final Cover cover = new Cover();
  private @Nullable RandomMachine machine;
  private long machineOf = -1;
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
    Scenario without = machine(seed / PER_MACHINE).scenario();
    return without
        .withSteps(RandomSteps.draw(new Dice(seed), without.spec(), steps))
        .withName("random-" + seed, "seed " + seed);
  }

  /** The machine of a block of seeds: the first that is drawn and comes up. */
  private RandomMachine machine(long block) {
    RandomMachine last = machine;
    if (last != null && machineOf == block) {
      return last;
    }
    Dice dice = new Dice(~block);
    Series kernel = series == null ? kernel(block) : series;
    RandomMachine drawn;
    do {
      drawn = new RandomMachine(RandomWorld.draw(dice, worlds, kernel), prepare);
    } while (!drawn.worthIt());
    machine = drawn;
    machineOf = block;
    return drawn;
  }

  /** All patches, the last release, or one of the others in turn. */
  private static Series kernel(long block) {
    int turn = (int) (block / KERNEL_TURN % (Series.LAST + OLD.size()));
    return switch ((int) (block % KERNEL_TURN)) {
      case 0 -> Series.at(Series.LAST);
      case 1 -> Series.profile("7.3");
      default -> turn < Series.LAST ? Series.at(turn) : Series.profile(OLD.get(turn - Series.LAST));
    };
  }

  /** Runs the scenarios of {@code count} seeds from {@code seed} on, of each {@code shards} one. */
  public void run(long seed, long count, int shard, int shards, Consumer<String> progress) {
    long end = seed + count;
    for (long block = seed / PER_MACHINE; block * PER_MACHINE < end; block++) {
      if (block % shards != shard - 1) {
        continue;
      }
      cover.machine(machine(block).scenario());
      long first = Math.max(seed, block * PER_MACHINE);
      for (long each = first; each < Math.min(end, (block + 1) * PER_MACHINE); each++) {
        one(each, machine(block));
        if (++runs % 10_000 == 0) {
          progress.accept(lastLine());
        }
      }
    }
  }

  private void one(long seed, RandomMachine on) {
    Scenario scenario = scenario(seed);
    Trial.Result result = on.run(scenario, replay(seed));
    scenario.steps().forEach(cover::step);
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

  /** The command that does the run of {@code seed} alone; without what {@code prepare} has done. */
  String replay(long seed) {
    Series kernel = series;
    return "vmemmap check random --seed " + seed + " --runs 1 --steps " + steps
        + (kernel == null ? "" : " --at " + kernel.name())
        + (worlds.equals(World.all()) ? "" : " --world " + names());
  }

  private String names() {
    return String.join(",", worlds.stream().map(World::name).toList());
  }

  /** Runs that deviate in a way that is not known. */
  public long broken() {
    return broken;
  }

  /** What the runs had to do with. */
  public Cover cover() {
    return cover;
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
    return text.append(cover.text()).append('\n').append(lastLine()).toString();
  }

  private String lastLine() {
    return runs + " runs, " + done + " steps, " + known + " known findings, " + broken
        + " deviations";
  }
}
