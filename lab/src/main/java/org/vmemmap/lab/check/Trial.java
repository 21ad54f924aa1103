// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineAware;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.lab.observe.MarkedMemmap;
import org.vmemmap.machine.Checks;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.YieldPoints;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/** One run of a scenario with some fallible steps failing. */
final class Trial {
  /** Warnings with which the kernel itself answers a failed allocation. */
  private static final Set<String> FAILURE_WARNINGS =
      Set.of(
          "add_pages: ret",
          "vmemmap_list_alloc: !next",
          "__add_memory_resource: register_node()",
          "hash__vmemmap_remove_mapping: rc == -ENOENT");

  /** What memory may hold at power-on. */
  static final long GARBAGE = 0xa5a5_5a5a_a5a5_5a5aL;

  /** The longest table, that of powerpc. */
  private static final long ROOT_BYTES = 1L << 16;

  private final Scenario scenario;
  private final Selection.Counter counter;
  private Selection.Counter current;
  private final YieldPoints.@Nullable Listener tracer;
  private @Nullable LockWatch locks;
  private final Consumer<Machine> prepare;
  private final List<String> outcome = new ArrayList<>();
  private final List<String> failed = new ArrayList<>();
  private int lastError;
  private int warned;
  private String rule = "";
  private String detail = "";
  private String function = "";
  private String finding = "";
  private Map<String, Long> grown = Map.of();
  private @Nullable Step underway;
  private String at = "boot";
  private final LabKernel kernel;
  private final Workbench bench;
  private @Nullable MarkedMemmap marked;
  private @Nullable Snapshot atMark;
  private @Nullable Snapshot asLeft;
  private Consumer<String> refused = site -> {};
  private Consumer<String> asked = site -> {};
  private int steps;
  private boolean panicked;
  private boolean cachesAtRest;

  private Trial(
      Scenario scenario,
      Selection selection,
      YieldPoints.@Nullable Listener tracer,
      Consumer<Machine> prepare) {
    this.scenario = scenario;
    this.counter = new Selection.Counter(selection);
    this.current = counter;
    this.prepare = prepare;
    this.tracer = tracer;
    this.kernel = LabKernel.off(scenario.spec(), new Hooks());
    this.bench = new Workbench(kernel);
  }

  /** A run of which nothing has been done yet. */
  Trial(Scenario scenario, Selection selection) {
    this(scenario, selection, machine -> {});
  }

  /** The same on a machine that {@code prepare} has seen first. */
  Trial(Scenario scenario, Selection selection, Consumer<Machine> prepare) {
    this(scenario, selection, null, prepare);
  }

  /**
   * Another run on the kernel of {@code start}, which is as {@code start} left it.
   *
   * @param marked its memmap when memory was marked; null for none
   * @param atMark a snapshot of that time; null for none
   */
  Trial(
      Trial start,
      Selection selection,
      @Nullable MarkedMemmap marked,
      @Nullable Snapshot atMark) {
    this(start, start.scenario, selection, marked, atMark);
  }

  /** The same with other steps that are left to do. */
  Trial(
      Trial start,
      Scenario scenario,
      Selection selection,
      @Nullable MarkedMemmap marked,
      @Nullable Snapshot atMark) {
    this.scenario = scenario;
    this.counter = new Selection.Counter(selection, start.counter.count());
    this.current = counter;
    this.tracer = null;
    this.prepare = start.prepare;
    this.kernel = start.kernel;
    this.bench = new Workbench(start.bench);
    this.warned = start.warned;
    this.steps = start.steps;
    this.at = start.at;
    this.marked = marked;
    this.atMark = atMark;
    this.asLeft = atMark;
    if (scenario.failBoot() || kernel.booted()) {
      arm(kernel.mm().machine());
    }
  }

  /**
   * How it ended.
   *
   * @param sites the fallible steps, in order, by kernel function
   * @param asked how many fallible steps there were, those before a fork included
   * @param failed those that failed
   * @param outcome {@code ok}, {@code panic}, or the error codes of the steps
   * @param deviation what went wrong; null for nothing
   */
  record Result(
      List<String> sites,
      int asked,
      List<String> failed,
      String outcome,
      @Nullable Deviation deviation) {
    /** The outcomes of the steps, each once; {@code ok} when none returned an error. */
    List<String> outcomes() {
      return List.of(outcome.split(" ", -1));
    }
  }

  /** Runs it with what it says to fail, on a machine that {@code prepare} has seen first. */
  static Result run(Scenario scenario, String replay, Consumer<Machine> prepare) {
    return run(scenario, scenario.failing(), replay, prepare);
  }

  /** Runs it; when it deviates, once more with a trace. */
  static Result run(Scenario scenario, Selection selection, String replay) {
    return run(scenario, selection, replay, machine -> {});
  }

  /** The same on a machine that {@code prepare} has seen before anything ran on it. */
  static Result run(
      Scenario scenario, Selection selection, String replay, Consumer<Machine> prepare) {
    Trial trial = new Trial(scenario, selection, null, prepare);
    trial.go();
    if (!trial.deviates()) {
      return trial.result();
    }
    Tracer tracer = new Tracer(trial.concern());
    Trial again = new Trial(scenario, selection, tracer, prepare);
    again.go();
    if (trial.function.isEmpty()) {
      trial.function = again.function.isEmpty() ? trial.lastToChange(tracer) : again.function;
    }
    return trial.deviating(replay, tracer.lines());
  }

  /**
   * Lets memory hold {@code garbage} at power-on, and wherever pages are freed.
   *
   * <p>Not in the kernel's own top-level table: the boot loader clears what the image has no bytes of.
   */
  static void holdGarbage(Machine machine, long garbage) {
    machine.holdGarbage(garbage, owner -> owner == Owner.BUDDY);
    machine.memory().fill(machine.cpu().root(), ROOT_BYTES, (byte) 0);
  }

  /** Runs it without the calls that {@code dropped} accepts; the rule that breaks, or nothing. */
  static String without(Scenario scenario, Supplier<Predicate<String>> dropped) {
    return without(scenario, dropped, GARBAGE, null);
  }

  /** The same with memory that is all ones, where entries of tables look valid. */
  static String withoutOnOnes(Scenario scenario, Supplier<Predicate<String>> dropped) {
    return without(scenario, dropped, ~0L, null);
  }

  /** The same, and holds it against the locks that it needs. */
  static String withoutLocks(Scenario scenario, Supplier<Predicate<String>> dropped) {
    return without(scenario, dropped, GARBAGE, new LockWatch());
  }

  private static String without(
      Scenario scenario,
      Supplier<Predicate<String>> dropped,
      long garbage,
      @Nullable LockWatch locks) {
    Trial trial =
        new Trial(
            scenario,
            Selection.NONE,
            new Watchdog(locks == null ? (what, where) -> {} : locks),
            machine -> {
              holdGarbage(machine, garbage);
              machine.cacheTables();
              machine.omissions().drop(dropped.get());
            });
    trial.cachesAtRest = true;
    trial.locks = locks;
    trial.go();
    return trial.deviatesAsKnown() ? "" : trial.rule;
  }

  /** Tells {@code listener} of each site that fails from now on. */
  void listen(Consumer<String> listener) {
    refused = listener;
  }

  /** Tells {@code listener} of each site from now on, whether it fails or not. */
  void watch(Consumer<String> listener) {
    asked = listener;
  }

  /** How it ended; for a run that does not deviate. */
  Result result() {
    return result(null);
  }

  private Result result(@Nullable Deviation deviation) {
    String text = outcome.isEmpty() ? "ok" : String.join(" ", outcome.stream().distinct().toList());
    return new Result(
        counter.sites(), counter.count(), List.copyOf(failed), text, deviation);
  }

  /** Does all stages that are left, until a rule is broken. */
  void go() {
    while (rule.isEmpty() && !done()) {
      stage();
    }
  }

  /** True when boot and all steps are done, or boot has ended in panic. */
  boolean done() {
    return panicked || (kernel.booted() && steps == scenario.steps().size());
  }

  /** The kernel that it runs. */
  LabKernel kernel() {
    return kernel;
  }

  /** True when a rule is broken. */
  boolean deviates() {
    return !rule.isEmpty();
  }

  /** True when the rule is broken in a way that docs/FINDINGS.md tells. */
  boolean deviatesAsKnown() {
    return !finding.isEmpty();
  }

  /** How it ended, without a trace; {@code replay} is the command that does the same. */
  Result untraced(String replay) {
    return deviates() ? deviating(replay, List.of()) : result();
  }

  private Result deviating(String replay, List<String> trace) {
    String refusals = String.join(", ", failed.stream().distinct().toList());
    String by = function.isEmpty() ? "none, found at rest after " + at : function;
    return result(new Deviation(rule, at, detail, by, refusals, trace, finding, replay));
  }

  /** What the rule is about that is broken; nothing when it is known who broke it. */
  private Concern concern() {
    return function.isEmpty() ? Concern.of(kernel, detail) : Concern.NONE;
  }

  private String lastToChange(Tracer tracer) {
    KernelFunction toucher = tracer.toucher();
    if (toucher == null || rule.equals(RuleBook.WARNING)) {
      return toucher == null ? "" : toucher.toString();
    }
    return toucher + ", the last to change " + concern().what() + ", found at rest after " + at;
  }

  /** The rule that is broken, and how. */
  String found() {
    return rule + ", " + detail;
  }

  /** Fallible steps so far. */
  int sites() {
    return counter.count();
  }

  /** Does the next stage: one of the boot, or a step. */
  void stage() {
    try {
      if (kernel.booted()) {
        step(scenario.steps().get(steps++));
      } else {
        boot();
      }
    } catch (BadInput e) {
      throw e;
    } catch (KernelPanic e) {
      panic(e);
    } catch (KernelBug e) {
      broke(RuleBook.CRASH, "BUG: " + e.getMessage(), e);
    } catch (MachineFault e) {
      broke(RuleBook.ofFault(e), "MachineFault: " + e.getMessage() + where(e), e);
    } catch (RuntimeException | StackOverflowError e) {
      broke(RuleBook.CRASH, e.getClass().getSimpleName() + ": " + e.getMessage() + where(e), e);
    }
  }

  private void boot() {
    kernel.bootOn(LabKernel.Listener.NONE);
    if (kernel.booted()) {
      if (!scenario.failBoot()) {
        arm(kernel.mm().machine());
      }
      trace(false);
      if (failed.isEmpty()) {
        Promises.booted(kernel, this::broke);
      }
      rest();
    }
  }

  private static String where(Throwable e) {
    StackTraceElement[] stack = e.getStackTrace();
    return stack.length == 0 ? "" : " at " + stack[0].getFileName() + ":" + stack[0].getLineNumber();
  }

  private void panic(KernelPanic e) {
    panicked = true;
    outcome.add("panic");
    boolean expected = at.equals("boot") && Panics.answers(e, failed);
    if (!expected) {
      broke(RuleBook.PANIC, "Kernel panic - not syncing: " + e.getMessage(), e);
    }
  }

  private void step(Step step) {
    at = step.text();
    underway = step;
    trace(false);
    Snapshot before = asLeft == null ? snapshot() : asLeft;
    boolean own = !step.failing().equals(Selection.NONE);
    current = own ? new Selection.Counter(step.failing()) : counter;
    arm(kernel.mm().machine());
    int bound = kernel.dax().bound().size();
    boolean moves = bench.moves(step);
    Promises promises = new Promises(kernel, step);
    trace(true);
    int rc = bench.run(step);
    trace(false);
    current = counter;
    arm(kernel.mm().machine());
    lastError = rc;
    asLeft = rc < 0 ? snapshot() : null;
    if (asLeft != null) {
      outcome.add(Errno.name(rc));
      String difference = before.difference(asLeft);
      boolean undone =
          !moves
              && (kernel.dax().bound().size() == bound || bench.bound(step));
      if (undone && !difference.isEmpty()) {
        grown = before.grown(asLeft);
        broke(RuleBook.FAILED_OPERATION, Errno.name(rc) + ", but " + difference);
      } else if (scenario.strict() && failed.isEmpty()) {
        broke(RuleBook.STEP, "returns " + Errno.name(rc));
      }
    }
    promises.kept(rc, !failed.isEmpty(), this::broke);
    rest();
  }

  private Snapshot snapshot() {
    return new Snapshot(kernel, marked, atMark);
  }

  /** Keeps what the checks read out of the trace, which is of what the kernel does. */
  private void trace(boolean on) {
    kernel.mm().machine().yields().listen(on ? tracer : null);
  }

  private void rest() {
    trace(false);
    List<Invariants.Violation> violations = Invariants.check(kernel, marked).violations();
    if (!violations.isEmpty()) {
      String text = violations.getFirst().toString();
      broke(violations.getFirst().rule(), text.substring(text.indexOf(' ') + 1));
    }
    warnings();
    if (kernel.hotplug().locks().held()) {
      broke(RuleBook.LOCKS, "mem_hotplug_lock or device_hotplug_lock is never left");
    }
    if (cachesAtRest) {
      StaleTranslations.of(kernel).forEach(found -> broke(RuleBook.STALE, found));
    }
    LockWatch watch = locks;
    if (watch != null) {
      watch.rest();
      if (!watch.rule().isEmpty()) {
        broke(watch.rule(), watch.found(), watch.function());
      }
    }
    trace(true);
  }

  private void warnings() {
    List<String> all = kernel.mm().printk().warnings();
    for (String warning : all.subList(warned, all.size())) {
      boolean answers = !failed.isEmpty() || lastError == -Errno.ENOMEM || lmbsRefused();
      if (!answers || !FAILURE_WARNINGS.contains(warning)) {
        broke(RuleBook.WARNING, "WARNING: " + warning);
      }
    }
    warned = all.size();
  }

  /** The memory of LMBs is refused with -EINVAL whatever the reason. */
  private boolean lmbsRefused() {
    return underway != null && underway.what().equals("lmbs") && lastError == -Errno.EINVAL;
  }

  private void broke(String broken, String found, Throwable e) {
    KernelFunction thrower = KernelFunction.of(e);
    broke(broken, found, thrower == null ? "" : thrower.toString());
  }

  private void broke(String broken, String found) {
    broke(broken, found, "");
  }

  /** The first deviation counts; after one that is known, the first that is not. */
  private void broke(String broken, String found, String by) {
    if (rule.isEmpty() || !finding.isEmpty()) {
      String title =
          KnownFindings.explain(
              new Sight(
                  scenario, kernel, underway, scenario.steps().subList(0, steps), broken, found,
                  failed, grown));
      if (rule.isEmpty() || title.isEmpty()) {
        rule = broken;
        detail = found;
        function = by;
        finding = title;
      }
    }
  }

  private void arm(Machine machine) {
    Selection.Counter counting = current;
    machine
        .faults()
        .failFrom(
            1,
            site -> {
              asked.accept(site);
              boolean fails = counting.test(site);
              if (fails) {
                failed.add(site);
                refused.accept(site);
              }
              return fails;
            });
  }

  /** Sets the hooks as soon as the machine exists. */
  private final class Hooks implements Placement, MachineAware {
    @Override
    public void attach(Mm mm) {
      Machine machine = mm.machine();
      machine.yields().listen(tracer);
      // A batch reads through old translations until its last flush, which the kernel allows: so
      // caches are looked at when the machine is at rest, not at each access.
      machine.check(Checks.entryWrites().withUncached(StaleTranslations::mustNotLeadTo));
      prepare.accept(machine);
      if (scenario.failBoot()) {
        arm(machine);
      }
    }

    @Override
    public long next(int order, int nid) {
      return -1;
    }

    @Override
    public boolean kept(long startPfn, long endPfn) {
      return false;
    }

    @Override
    public boolean advises() {
      return false;
    }
  }
}
