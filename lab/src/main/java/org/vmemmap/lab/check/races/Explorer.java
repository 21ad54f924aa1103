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
 * answer is complete for the bound and for the sharing that was seen. Beyond: random priorities.
 */
final class Explorer {
  private static final int DEPTH = 3;

  private final RaceScenario scenario;
  private final boolean twin;
  private final RaceStart start;
  private final Sharing sharing = new Sharing();
  private long runs;
  private long seeds;
  private boolean complete = true;
  private @Nullable Schedule breaking;

  private Explorer(RaceScenario scenario, boolean twin) {
    this.scenario = scenario;
    this.twin = twin;
    this.start = new RaceStart(scenario, twin);
  }

  /**
   * What was found.
   *
   * @param runs schedules that were run, those of seeds among them
   * @param seeds seeds that were run
   * @param complete whether all schedules within the bound were run
   * @param switches turns of the schedule that broke a rule, behind the first
   * @param deviation what went wrong; null for nothing
   */
  record Result(
      long runs, long seeds, boolean complete, int switches, @Nullable Deviation deviation) {}

  /** All schedules within {@code bound}, up to the first that breaks a rule. */
  static Result explore(RaceScenario scenario, boolean twin, Bound bound) {
    Explorer explorer = new Explorer(scenario, twin);
    Integer switches = bound.switches();
    if (switches != null) {
      explorer.exhaust(switches, bound.most());
    }
    if (explorer.breaking == null && bound.seeds() > 0) {
      explorer.random(bound.seed(), bound.seeds());
    }
    return explorer.result();
  }

  private Result result() {
    Schedule found = breaking;
    return found == null
        ? new Result(runs, seeds, complete, 0, null)
        : new Result(
            runs, seeds, false, found.turns().size() - 1, replay(scenario, twin, found));
  }

  private void exhaust(int switches, long most) {
    int known;
    do {
      known = sharing.found();
      pass(switches, most);
    } while (breaking == null && complete && sharing.found() != known);
  }

  private void pass(int switches, long most) {
    List<Schedule> level = roots();
    for (int turns = 0; turns <= switches; turns++) {
      List<Schedule> next = new ArrayList<>();
      for (Schedule schedule : level) {
        if (runs >= most) {
          complete = false;
          return;
        }
        Directed directed = new Directed(schedule);
        if (breaks(directed)) {
          breaking = schedule;
          return;
        }
        if (turns < switches) {
          next.addAll(directed.children());
        }
      }
      level = next;
    }
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

  private boolean breaks(Strategy strategy) {
    runs++;
    return RaceRun.run(start, strategy, sharing, null, "").deviation() != null;
  }

  private void random(long seed, long most) {
    List<Schedule> roots = roots();
    int steps = 0;
    for (Schedule root : roots) {
      Directed directed = new Directed(root);
      if (breaks(directed)) {
        breaking = root;
        return;
      }
      steps = Math.max(steps, directed.choices());
    }
    while (breaking == null && seeds < most) {
      Priorities priorities = new Priorities(seed + seeds, roots.size(), DEPTH, steps);
      seeds++;
      breaking = breaks(priorities) ? priorities.taken() : null;
    }
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
