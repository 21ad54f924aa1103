// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.check.Deviation;
import org.vmemmap.lab.check.KernelFunction;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.check.StaleTranslations;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.StoreBuffers;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;

/** One run of a scenario, or of its twin, from the moment at which its CPUs meet to the check at rest. */
final class RaceRun {
  private static final String WHILE = "while ";

  private final RaceStart start;
  private String rule = "";
  private String detail = "";
  private String step = "";
  private String function = "";
  private int cpus;
  private int steps;

  private RaceRun(RaceStart start) {
    this.start = start;
  }

  /**
   * How it ended.
   *
   * @param cpus number of CPUs
   * @param steps number of steps
   * @param deviation what went wrong, without a trace; null for nothing
   */
  record Result(int cpus, int steps, @Nullable Deviation deviation) {}

  /** Runs it from {@code start}, as {@code strategy} wants. */
  static Result run(
      RaceStart start, Strategy strategy, Sharing sharing, @Nullable Trail trail, String replay) {
    RaceRun run = new RaceRun(start);
    run.go(strategy, sharing, trail);
    List<String> lines = trail == null ? List.of() : trail.lines();
    Deviation deviation =
        run.rule.isEmpty()
            ? null
            : new Deviation(run.rule, run.step, run.detail, run.function(trail), lines, replay);
    return new Result(run.cpus, run.steps, deviation);
  }

  private void go(Strategy strategy, Sharing sharing, @Nullable Trail trail) {
    start.goBack();
    Race race = start.race();
    Machine machine = start.kernel().mm().machine();
    cpus = race.cpus().size();
    StoreBuffers buffers = start.scenario().weak() ? machine.bufferStores() : null;
    Scheduler scheduler = new Scheduler(machine, strategy, sharing, buffers, trail);
    Throwable failure = scheduler.run(race.cpus());
    steps = scheduler.step();
    machine.storeDirectly();
    step = WHILE + start.scenario().about();
    if (failure != null) {
      failed(failure);
      return;
    }
    step = "at rest after " + start.scenario().about();
    try {
      race.atRest().run();
      rest(start.kernel());
    } catch (RuntimeException e) {
      failed(e);
    }
  }

  private void rest(LabKernel kernel) {
    List<Invariants.Violation> violations = Invariants.check(kernel, start.marked()).violations();
    if (!violations.isEmpty()) {
      String text = violations.getFirst().toString();
      broke(violations.getFirst().rule(), text.substring(text.indexOf(' ') + 1));
    }
    StaleTranslations.of(kernel).forEach(found -> broke(RuleBook.STALE, found));
    kernel.mm().printk().warnings().forEach(text -> broke(RuleBook.WARNING, "WARNING: " + text));
  }

  /** The function that threw, or else made the last step; none for what is found at rest. */
  private String function(@Nullable Trail trail) {
    KernelFunction last = trail == null || !step.startsWith(WHILE) ? null : trail.last();
    String made = function.isEmpty() && last != null ? last.toString() : function;
    return made.isEmpty() ? "none, found " + step : made;
  }

  private void failed(Throwable e) {
    KernelFunction thrower = rule.isEmpty() ? KernelFunction.of(e) : null;
    function = thrower == null ? function : thrower.toString();
    switch (e) {
      case RuleBroken broken -> broke(broken.rule(), String.valueOf(broken.getMessage()));
      case MachineFault fault ->
          broke(RuleBook.ofFault(fault), String.valueOf(fault.getMessage()));
      case KernelPanic panic -> broke(RuleBook.PANIC, "Kernel panic: " + panic.getMessage());
      case KernelBug bug -> broke(RuleBook.CRASH, "BUG: " + bug.getMessage());
      default -> broke(RuleBook.CRASH, e.getClass().getSimpleName() + ": " + e.getMessage());
    }
  }

  private void broke(String broken, String found) {
    if (rule.isEmpty()) {
      rule = broken;
      detail = found;
    }
  }
}
