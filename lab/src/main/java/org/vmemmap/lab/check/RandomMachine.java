// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.observe.MarkedMemmap;
import org.vmemmap.machine.Machine;

/**
 * A machine that is booted once and runs many sequences of steps, each from the end of its boot. A
 * run that deviates in a way that nobody knows is done again from power-on, and so are all runs when
 * the boot deviates so.
 */
final class RandomMachine {
  private final Scenario scenario;
  private final Consumer<Machine> prepare;
  private final Trial booted;
  private final @Nullable Fork fork;
  private final @Nullable MarkedMemmap marked;
  private final @Nullable Snapshot atMark;

  /** Boots the machine of {@code scenario}, which has no steps. */
  RandomMachine(Scenario scenario, Consumer<Machine> prepare) {
    this.scenario = scenario;
    this.prepare = prepare;
    this.booted = new Trial(scenario, Selection.NONE, prepare);
    booted.go();
    boolean up = !booted.deviates() && booted.kernel().booted();
    this.fork = up ? Fork.of(booted.kernel()) : null;
    this.marked = up ? MarkedMemmap.of(booted.kernel()) : null;
    this.atMark = up ? new Snapshot(booted.kernel()) : null;
  }

  /** True when it came up and broke no rule, or broke one in a way that nobody knows. */
  boolean worthIt() {
    return booted.deviates() ? !booted.deviatesAsKnown() : booted.kernel().booted();
  }

  /** The machine, without steps. */
  Scenario scenario() {
    return scenario;
  }

  /**
   * Runs the steps of {@code steps}, a scenario on this machine.
   *
   * @param replay the command that does so
   * @throws IllegalStateException when a run from the fork ends otherwise than one from power-on
   */
  Trial.Result run(Scenario steps, String replay) {
    Fork start = fork;
    if (start == null) {
      return Trial.run(steps, replay, prepare);
    }
    start.restore();
    Trial trial = new Trial(booted, steps, Selection.NONE, marked, atMark);
    trial.go();
    if (!trial.deviates() || trial.deviatesAsKnown()) {
      return trial.untraced(replay);
    }
    Trial.Result again = Trial.run(steps, replay, prepare);
    if (again.deviation() == null) {
      throw new IllegalStateException(
          replay + ": a fork deviates, a boot does not: " + trial.found());
    }
    return again;
  }
}
