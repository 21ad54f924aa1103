// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.MmConfig;

/**
 * Makes a scenario that breaks a rule smaller, as long as it still breaks the same one: fewer steps,
 * fewer failures, a shorter command line, less memory. Each change is tried by a run.
 */
final class Shrinker {
  private static final long MIB = 1L << 20;

  private final Function<Scenario, Trial.Result> runner;
  private final Deviation wanted;
  private final int most;
  private Scenario best;
  private int runs;

  private Shrinker(
      Scenario start, Deviation wanted, int most, Function<Scenario, Trial.Result> runner) {
    this.best = start;
    this.wanted = wanted;
    this.most = most;
    this.runner = runner;
  }

  /**
   * The smallest scenario that was found.
   *
   * @param wanted what {@code start} shows: the same rule, and the same finding or none
   * @param most how many runs it may take
   * @param runner runs a scenario
   */
  static Scenario shrink(
      Scenario start, Deviation wanted, int most, Function<Scenario, Trial.Result> runner) {
    Shrinker shrinker = new Shrinker(start, wanted, most, runner);
    boolean smaller = true;
    while (smaller && shrinker.runs < most) {
      smaller = shrinker.steps();
      smaller |= shrinker.failures();
      smaller |= shrinker.words();
      smaller |= shrinker.kernel();
      smaller |= shrinker.memory();
      smaller |= shrinker.values();
    }
    return shrinker.best;
  }

  private boolean take(Scenario candidate) {
    if (runs >= most || candidate.equals(best)) {
      return false;
    }
    runs++;
    try {
      Deviation found = runner.apply(candidate).deviation();
      if (found == null
          || !found.rule().equals(wanted.rule())
          || !found.finding().equals(wanted.finding())) {
        return false;
      }
    } catch (BadInput e) {
      return false;
    }
    best = candidate;
    return true;
  }

  /** Leaves out steps: halves first, then single ones, the last first. */
  private boolean steps() {
    boolean smaller = false;
    for (int n = Math.max(1, best.steps().size() / 2); n >= 1; n /= 2) {
      for (int from = best.steps().size() - n; from >= 0; from -= n) {
        List<Step> fewer = new ArrayList<>(best.steps());
        fewer.subList(from, from + n).clear();
        smaller |= take(best.withSteps(fewer));
        from = Math.min(from, best.steps().size());
      }
    }
    return smaller;
  }

  /** Lets steps succeed, or fail once only. */
  private boolean failures() {
    boolean smaller = false;
    for (int i = 0; i < best.steps().size(); i++) {
      Selection failing = best.steps().get(i).failing();
      if (failing.equals(Selection.NONE)) {
        continue;
      }
      boolean done = take(withStep(i, best.steps().get(i).withFailing(Selection.NONE)));
      if (!done && !failing.mode().equals("only")) {
        done = take(withStep(i, best.steps().get(i).withFailing(Selection.only(failing.first()))));
      }
      smaller |= done;
    }
    return smaller;
  }

  private Scenario withStep(int at, Step step) {
    List<Step> changed = new ArrayList<>(best.steps());
    changed.set(at, step);
    return best.withSteps(changed);
  }

  private boolean words() {
    boolean smaller = false;
    for (int i = best.spec().cmdline().size() - 1; i >= 0; i--) {
      List<String> fewer = new ArrayList<>(best.spec().cmdline());
      fewer.remove(i);
      smaller |= take(best.withSpec(best.spec().withCmdline(fewer)));
    }
    return smaller;
  }

  /** The kernel as distributions build it. */
  private boolean kernel() {
    MmConfig config = best.spec().config();
    boolean smaller = config(config.withSizeofStructPage(64));
    smaller |= config(best.spec().config().withDebugVm(false));
    smaller |= config(best.spec().config().withDeferredStructPageInit(true));
    return smaller;
  }

  private boolean config(MmConfig config) {
    return !config.equals(best.spec().config())
        && take(best.withSpec(best.spec().withConfig(config)));
  }

  /** Fewer ranges, all on node 0, each as short as it goes. */
  private boolean memory() {
    boolean smaller = false;
    for (Kind kind : Kind.values()) {
      for (int i = best.spec().memory().of(kind).size() - 1; i >= 0; i--) {
        List<Ram> ranges = new ArrayList<>(best.spec().memory().of(kind));
        Ram range = ranges.remove(i);
        if (memory(kind, ranges)) {
          smaller = true;
          continue;
        }
        smaller |= node(kind, i);
        smaller |= shorter(kind, i, range.size() / 2 / MIB * MIB);
      }
    }
    return smaller;
  }

  private boolean node(Kind kind, int at) {
    List<Ram> ranges = new ArrayList<>(best.spec().memory().of(kind));
    Ram range = ranges.get(at);
    ranges.set(at, new Ram(range.start(), range.end(), 0));
    return range.node() != 0 && memory(kind, ranges);
  }

  private boolean shorter(Kind kind, int at, long step) {
    boolean smaller = false;
    for (long less = step; less >= MIB; less = less / 2 / MIB * MIB) {
      List<Ram> ranges = new ArrayList<>(best.spec().memory().of(kind));
      Ram range = ranges.get(at);
      if (range.size() > less) {
        ranges.set(at, new Ram(range.start(), range.end() - less, range.node()));
        smaller |= memory(kind, ranges);
      }
    }
    return smaller;
  }

  private boolean memory(Kind kind, List<Ram> ranges) {
    if (kind == Kind.RAM && ranges.isEmpty()) {
      return false;
    }
    try {
      MachineSpec old = best.spec();
      MemoryRanges memory = old.memory().with(kind, ranges);
      MachineSpec spec = best.world().spec(memory, old.cmdline()).withConfig(old.config());
      best.steps().forEach(step -> Workbench.requireRoom(step, spec));
      return take(best.withSpec(spec));
    } catch (BadInput e) {
      return false;
    }
  }

  /** Smaller numbers where a number is written to a file. */
  private boolean values() {
    boolean smaller = false;
    for (int i = 0; i < best.steps().size(); i++) {
      Step step = best.steps().get(i);
      if (step.writes() && step.value().matches("[0-9]{1,9}")) {
        long value = Long.parseLong(step.value());
        for (long less : new long[] {0, 1, value / 2, value - 1}) {
          boolean fits = less >= 0 && less < Long.parseLong(best.steps().get(i).value());
          smaller |= fits && take(withStep(i, best.steps().get(i).withValue("" + less)));
        }
      }
    }
    return smaller;
  }
}
