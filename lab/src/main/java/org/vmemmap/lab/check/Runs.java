// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.observe.MarkedMemmap;

/**
 * All runs of one scenario. What they have in common is done once: a run in which the n-th fallible
 * step fails is like all others up to there, so it starts from a {@link Fork} of the kernel at the
 * last stage before that step. The first run that deviates in some way is done again from power-on.
 *
 * <pre>
 *   stages   | setup_arch | start_kernel | initcalls | step 1 | step 2 |
 *   sites      1 2 3        4 ... 17       18 .. 21    22 .. 30 31 .. 40
 *                                                    ^ fork, for n = 22 .. 30
 * </pre>
 */
final class Runs {
  private final Scenario scenario;
  private final BiConsumer<String, Selection> refused;
  private final Trial.Result clean;
  private final List<Integer> sitesAfter = new ArrayList<>();
  private final Deque<Start> starts = new ArrayDeque<>();
  private final Set<String> seen = new HashSet<>();

  /**
   * Where runs start.
   *
   * @param trial what has been done so far, without a failure
   * @param stages how many stages that are
   * @param fork the kernel then
   * @param marked its memmap; null when it cannot be asked yet
   * @param atMark what there was; null likewise
   */
  private record Start(
      Trial trial,
      int stages,
      Fork fork,
      @Nullable MarkedMemmap marked,
      @Nullable Snapshot atMark) {
    static Start of(Trial trial, int stages) {
      boolean rests = trial.kernel().booted();
      return new Start(
          trial,
          stages,
          Fork.of(trial.kernel()),
          rests ? MarkedMemmap.of(trial.kernel()) : null,
          rests ? new Snapshot(trial.kernel()) : null);
    }

    /** A run that goes on from here. */
    Trial run(Selection selection) {
      return new Trial(trial, selection, marked, atMark);
    }
  }

  /**
   * Does the run in which nothing fails.
   *
   * @param replay the command that does so
   * @param refused hears of each step that fails in later runs, in the middle of it
   */
  Runs(Scenario scenario, String replay, BiConsumer<String, Selection> refused) {
    this.refused = refused;
    this.scenario = scenario;
    Trial first = new Trial(scenario, Selection.NONE);
    while (!scenario.failBoot() && !first.kernel().booted() && !first.deviates()) {
      first.stage();
      sitesAfter.add(0);
    }
    starts.addLast(Start.of(first, sitesAfter.size()));
    Trial whole = starts.getLast().run(Selection.NONE);
    while (!first.deviates() && !whole.done() && !whole.deviates()) {
      whole.stage();
      sitesAfter.add(whole.sites());
    }
    boolean deviates = first.deviates() || whole.deviates();
    this.clean = deviates ? Trial.run(scenario, Selection.NONE, replay) : whole.result();
  }

  /** The run in which nothing fails. */
  Trial.Result clean() {
    return clean;
  }

  /**
   * Does one run. Of deviations that are alike ({@link Deviation#kind}) the first has a trace.
   *
   * @param replay the command that does so
   * @throws IllegalStateException when a run from a fork ends otherwise than one from power-on
   */
  Trial.Result run(Selection selection, String replay) {
    if (clean.deviation() != null) {
      return Trial.run(scenario, selection, replay);
    }
    Trial trial = startBefore(selection.first()).run(selection);
    trial.listen(site -> refused.accept(site, selection));
    trial.go();
    Trial.Result result = trial.untraced(replay);
    Deviation deviation = result.deviation();
    if (deviation == null || !seen.add(deviation.kind())) {
      return result;
    }
    Trial.Result again = Trial.run(scenario, selection, replay);
    if (again.deviation() == null) {
      throw new IllegalStateException("a fork deviates, a boot does not: " + deviation.text());
    }
    return again;
  }

  /** Goes to the last moment between stages at which step {@code site} has not been done yet. */
  private Start startBefore(long site) {
    while (starts.size() > 1 && starts.getLast().trial().sites() >= site) {
      starts.removeLast();
    }
    Start start = starts.getLast();
    start.fork().restore();
    int stages = start.stages();
    if (stages == sitesAfter.size() || sitesAfter.get(stages) >= site) {
      return start;
    }
    Trial trial = start.run(Selection.NONE);
    while (stages < sitesAfter.size() && sitesAfter.get(stages) < site) {
      trial.stage();
      stages++;
    }
    starts.addLast(Start.of(trial, stages));
    return starts.getLast();
  }
}
