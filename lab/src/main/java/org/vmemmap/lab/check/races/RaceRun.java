// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.check.Deviation;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.machine.Checks;
import org.vmemmap.machine.Cpu;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.Mmu;
import org.vmemmap.machine.StoreBuffers;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Owner;

/** One run of a scenario, or of its twin, from boot to the check at rest. */
final class RaceRun {

  private final RaceScenario scenario;
  private final boolean twin;
  private String rule = "";
  private String detail = "";
  private String step = "";
  private int cpus;
  private int steps;

  private RaceRun(RaceScenario scenario, boolean twin) {
    this.scenario = scenario;
    this.twin = twin;
  }

  /**
   * How it ended.
   *
   * @param cpus number of CPUs
   * @param steps number of steps
   * @param deviation what went wrong, without a trace; null for nothing
   */
  record Result(int cpus, int steps, @Nullable Deviation deviation) {}

  /** Runs it as {@code strategy} wants. */
  static Result run(
      RaceScenario scenario,
      boolean twin,
      Strategy strategy,
      Sharing sharing,
      @Nullable Trail trail,
      String replay) {
    RaceRun run = new RaceRun(scenario, twin);
    run.go(strategy, sharing, trail);
    List<String> lines = trail == null ? List.of() : trail.lines();
    Deviation deviation =
        run.rule.isEmpty()
            ? null
            : new Deviation(run.rule, run.step, run.detail, "", lines, replay);
    return new Result(run.cpus, run.steps, deviation);
  }

  private void go(Strategy strategy, Sharing sharing, @Nullable Trail trail) {
    LabKernel kernel = LabKernel.boot(scenario.spec(), Placement.NONE);
    Machine machine = kernel.mm().machine();
    RaceWorld world = new RaceWorld(kernel);
    Race race = scenario.race().apply(world);
    cpus = race.cpus().size();
    while (machine.cpus().size() < cpus) {
      machine.addCpu();
    }
    machine.check(new Checks(false, false, true, owner -> owner != Owner.BUDDY));
    RaceScenario.Twin broken = scenario.twin();
    if (twin && broken != null) {
      machine.omissions().drop(broken.omitted().get());
    }
    StoreBuffers buffers = scenario.weak() ? machine.bufferStores() : null;
    Scheduler scheduler = new Scheduler(machine, strategy, sharing, buffers, trail);
    Throwable failure = scheduler.run(race.cpus());
    steps = scheduler.step();
    machine.storeDirectly();
    step = "while " + scenario.about();
    if (failure != null) {
      failed(failure);
      return;
    }
    step = "at rest after " + scenario.about();
    try {
      race.atRest().run();
      rest(kernel);
    } catch (RuntimeException e) {
      failed(e);
    }
  }

  private void rest(LabKernel kernel) {
    List<Invariants.Violation> violations = Invariants.check(kernel).violations();
    if (!violations.isEmpty()) {
      String text = violations.getFirst().toString();
      broke(violations.getFirst().rule(), text.substring(text.indexOf(' ') + 1));
    }
    stale(kernel).forEach(found -> broke(RuleBook.STALE, found));
    kernel.mm().printk().warnings().forEach(text -> broke(RuleBook.WARNING, "WARNING: " + text));
  }

  private void failed(Throwable e) {
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

  /** The translations of all CPUs that lead elsewhere than the page tables do now. */
  static List<String> stale(LabKernel kernel) {
    Machine machine = kernel.mm().machine();
    List<String> stale = new ArrayList<>();
    for (Cpu cpu : machine.cpus()) {
      cpu.tlb()
          .forEach(
              (va, paddr, writable) -> {
                Mmu.Entry entry = machine.mmu().walk(cpu.root(), va);
                boolean present = machine.format().present(entry.entry(), entry.level());
                long now = present ? machine.mmu().target(entry, va) : -1;
                if (now != paddr) {
                  stale.add(
                      "frame=0x%x cpu%d va=0x%x leads to paddr=0x%x, the tables to 0x%x"
                          .formatted(
                              paddr >>> machine.format().pageShift(), cpu.number(), va, paddr, now));
                }
              });
    }
    return stale;
  }
}
