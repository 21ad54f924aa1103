// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A scenario of a sweep, done by one thread, and by more when they have nothing else to do. Each has
 * a kernel of its own and takes the next few fallible steps until none is left.
 *
 * <pre>
 *   steps      1 .. 8   9 .. 16   17 .. 24   25 .. 32 ...
 *   thread 1   |------| |------|             |------|
 *   thread 2                      |--------|
 * </pre>
 */
final class SweepJob {
  private static final int TAKEN = 8;

  /** With fewer steps left it costs more to boot than to wait. */
  private static final int WORTH_A_BOOT = 64;

  private final Scenario scenario;
  private final String replay;
  private final BiConsumer<String, Selection> refused;
  private final AtomicBoolean claimed = new AtomicBoolean();
  private final CompletableFuture<Trial.Result> clean = new CompletableFuture<>();
  private final AtomicInteger next = new AtomicInteger(1);
  private final List<List<Done>> done = Collections.synchronizedList(new ArrayList<>());

  /**
   * A run that was done.
   *
   * @param site the step that failed first
   * @param outcome how it ended
   * @param deviation what was found; null for nothing
   */
  record Done(String site, String outcome, @Nullable Deviation deviation) {}

  /** Does the runs in which one step is the first that fails. */
  interface Step {
    /** Runs of step {@code n}, which is at {@code site}, out of {@code steps}. */
    List<Done> run(Runs runs, int n, int steps, String site);
  }

  /**
   * Prepares it.
   *
   * @param replay the command for the run in which nothing fails
   * @param refused hears of each step that fails, from any thread
   */
  SweepJob(Scenario scenario, String replay, BiConsumer<String, Selection> refused) {
    this.scenario = scenario;
    this.replay = replay;
    this.refused = refused;
  }

  Scenario scenario() {
    return scenario;
  }

  /** True for the first who asks, who then does {@link #work}. */
  boolean claim() {
    return claimed.compareAndSet(false, true);
  }

  /** The run in which nothing fails, and then all that others do not take. */
  void work(Step step) {
    Runs runs;
    try {
      runs = runs();
    } catch (RuntimeException e) {
      clean.completeExceptionally(e);
      throw e;
    }
    int steps = runs.clean().sites().size();
    done.addAll(Collections.nCopies(steps, List.of()));
    clean.complete(runs.clean());
    take(runs, step);
  }

  /** Takes part, when it is worth a boot; what is wrong is told by who does the {@link #work}. */
  void help(Step step) {
    Trial.@Nullable Result result = clean.exceptionally(e -> null).join();
    if (result != null && result.sites().size() - next.get() > WORTH_A_BOOT) {
      take(runs(), step);
    }
  }

  private Runs runs() {
    return new Runs(scenario, replay, refused);
  }

  private void take(Runs runs, Step step) {
    List<String> sites = runs.clean().sites();
    for (int n = next.getAndAdd(TAKEN); n <= sites.size(); n = next.getAndAdd(TAKEN)) {
      for (int at = n; at < n + TAKEN && at <= sites.size(); at++) {
        done.set(at - 1, step.run(runs, at, sites.size(), sites.get(at - 1)));
      }
    }
  }

  /** The run in which nothing fails. */
  Trial.Result clean() {
    return clean.join();
  }

  /** All other runs, in order; when all threads are done. */
  List<Done> done() {
    return done.stream().flatMap(List::stream).toList();
  }
}
