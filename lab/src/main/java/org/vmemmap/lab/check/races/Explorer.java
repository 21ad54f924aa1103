// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.check.Deviation;

/**
 * Runs a scenario under many schedules and stops at the first that breaks a rule.
 *
 * <p>Exhaustive: all schedules with no turn but the first, then all with one more, up to the bound.
 * What is shared is learned on the way; if a pass learns something new it is made again. So the
 * answer is complete for the bound and for the sharing that was seen.
 */
public final class Explorer {
  private static final int DEPTH = 3;

  private final RaceScenario scenario;
  private final boolean twin;
  private final RaceStart start;
  private final Sharing sharing = new Sharing();
  private long runs;
  private boolean complete = true;

  private Explorer(RaceScenario scenario, boolean twin) {
    this.scenario = scenario;
    this.twin = twin;
    this.start = new RaceStart(scenario, twin);
  }

  /**
   * What was found.
   *
   * @param runs schedules that were run
   * @param bound switches beyond the forced ones
   * @param complete whether all schedules within the bound were run
   * @param deviation what went wrong; null for nothing
   */
  public record Result(long runs, int bound, boolean complete, @Nullable Deviation deviation) {}

  /** All schedules with at most {@code bound} turns that are not forced, {@code most} at most. */
  static Result exhaust(RaceScenario scenario, boolean twin, int bound, long most) {
    Explorer explorer = new Explorer(scenario, twin);
    Deviation found = null;
    int known;
    do {
      known = explorer.sharing.found();
      found = explorer.pass(bound, most);
    } while (found == null && explorer.complete && explorer.sharing.found() != known);
    return new Result(explorer.runs, bound, explorer.complete, found);
  }

  private @Nullable Deviation pass(int bound, long most) {
    List<Schedule> level = roots();
    for (int turns = 0; turns <= bound; turns++) {
      List<Schedule> next = new ArrayList<>();
      for (Schedule schedule : level) {
        if (runs >= most) {
          complete = false;
          return null;
        }
        Directed directed = new Directed(schedule);
        Deviation found = run(directed, schedule);
        if (found != null) {
          return found;
        }
        if (turns < bound) {
          next.addAll(directed.children());
        }
      }
      level = next;
    }
    return null;
  }

  private List<Schedule> roots() {
    // Learns how many CPUs there are and what they share, so that the first level has choices.
    Directed first = new Directed(Schedule.startingWith(0));
    int cpus = RaceRun.run(start, first, sharing, null, "").cpus();
    List<Schedule> roots = new ArrayList<>();
    for (int cpu = 0; cpu < cpus; cpu++) {
      roots.add(Schedule.startingWith(cpu));
    }
    return roots;
  }

  private @Nullable Deviation run(Strategy strategy, Schedule schedule) {
    runs++;
    RaceRun.Result result = RaceRun.run(start, strategy, sharing, null, "");
    return result.deviation() == null ? null : replay(scenario, twin, schedule);
  }

  /** {@code runs} seeds from {@code seed} on, each with random priorities. */
  static Result random(RaceScenario scenario, boolean twin, long seed, long runs) {
    Explorer explorer = new Explorer(scenario, twin);
    List<Schedule> roots = explorer.roots();
    int cpus = roots.size();
    int steps = 0;
    for (Schedule root : roots) {
      Directed directed = new Directed(root);
      Deviation found = explorer.run(directed, root);
      if (found != null) {
        return new Result(explorer.runs, 0, false, found);
      }
      steps = Math.max(steps, directed.choices());
    }
    for (long i = 0; i < runs; i++) {
      Priorities priorities = new Priorities(seed + i, cpus, DEPTH, steps);
      explorer.runs++;
      RaceRun.Result result =
          RaceRun.run(explorer.start, priorities, explorer.sharing, null, "");
      if (result.deviation() != null) {
        Deviation found = replay(scenario, twin, priorities.taken());
        return new Result(explorer.runs, 0, false, found);
      }
    }
    return new Result(explorer.runs, 0, false, null);
  }

  /** Runs one schedule with a trace. */
  static @Nullable Deviation replay(RaceScenario scenario, boolean twin, Schedule schedule) {
    Sharing sharing = new Sharing();
    String again =
        "vmemmap check races " + scenario.name() + scenario.machineOptions() + (twin ? " --twin" : "")
            + " --schedule "
            + schedule.text();
    // The first run learns what is shared, for the second to tell.
    RaceStart start = new RaceStart(scenario, twin);
    RaceRun.run(start, new Directed(schedule), sharing, null, again);
    return RaceRun.run(start, new Directed(schedule), sharing, new Trail(), again)
        .deviation();
  }
}
