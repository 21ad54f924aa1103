// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.report.Table;
import org.vmemmap.types.Series;

/** Fails each fallible step of scenarios, one run for each, and holds the rules against each end. */
public final class Sweep {
  private static final int FIELDS = 3;
  private static final String BROKEN = "DEVIATION ";

  /** Outcome of a run that need not be done. */
  private static final String SAME = "the same run";

  private final boolean pairs;
  private final int shard;
  private final int shards;
  private final @Nullable Path state;
  private final Map<String, String> done = new HashMap<>();
  private final Map<String, Map<String, Integer>> outcomes = new TreeMap<>();
  private final List<Deviation> deviations = new ArrayList<>();
  private final Exits exits = new Exits();
  private long sites;
  private long runs;
  private long broken;

  /**
   * Prepares a sweep.
   *
   * @param pairs whether any two steps are made to fail together, too
   * @param shard which part of the runs is done, from 1
   * @param shards number of parts
   * @param state file that remembers runs that were done; null for none
   */
  public Sweep(boolean pairs, int shard, int shards, @Nullable Path state) {
    this.pairs = pairs;
    this.shard = shard;
    this.shards = shards;
    this.state = state;
    if (state != null && Files.exists(state)) {
      load(state);
    }
  }

  private void load(Path file) {
    try {
      for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
        String[] fields = line.split("\t", -1);
        if (fields.length != FIELDS) {
          throw new BadInput("--state " + file + ": \"" + line + "\": wanted RUN, OUTCOME, SITE");
        }
        done.put(fields[0], fields[1]);
      }
    } catch (IOException e) {
      throw new BadInput("--state " + file + ": cannot be read, wanted a file of an earlier sweep");
    }
  }

  /**
   * Sweeps all {@code scenarios} on all processors; {@code progress} hears of each before it begins.
   * What is found is told in the order of the scenarios, whoever found it.
   */
  public void run(List<Scenario> scenarios, Consumer<String> progress) {
    List<SweepJob> jobs = new ArrayList<>();
    for (Scenario scenario : scenarios) {
      String where = scenario.name() + " on " + scenario.world().name();
      jobs.add(
          new SweepJob(
              scenario,
              replay(scenario, Selection.NONE),
              (site, selection) -> refused(site, selection, where)));
    }
    int threads = Runtime.getRuntime().availableProcessors();
    long start = System.nanoTime();
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      List<Future<?>> all = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        all.add(pool.submit(() -> work(jobs, progress)));
      }
      all.forEach(Sweep::await);
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    jobs.forEach(this::count);
    progress.accept(
        "%d runs in %.1f s on %d processors, boots included: %.0f a second and processor"
            .formatted(runs, seconds, threads, runs / seconds / threads));
  }

  /**
   * Does one run of each scenario, in which nothing fails, on all processors: for kernels that are
   * built to look closer and take longer.
   */
  public void runClean(List<Scenario> scenarios, Consumer<String> progress) {
    scenarios.parallelStream()
        .map(
            scenario -> {
              report(scenario, progress);
              return Trial.run(scenario, Selection.NONE, replay(scenario, Selection.NONE));
            })
        .toList()
        .forEach(result -> count(result, "-"));
  }

  private void work(List<SweepJob> jobs, Consumer<String> progress) {
    for (int i = 0; i < jobs.size(); i++) {
      SweepJob job = jobs.get(i);
      if (job.claim()) {
        report(job.scenario(), progress);
        job.work(step(job, i));
      }
    }
    for (int i = 0; i < jobs.size(); i++) {
      jobs.get(i).help(step(jobs.get(i), i));
    }
  }

  private synchronized void report(Scenario scenario, Consumer<String> progress) {
    progress.accept(
        scenario.name() + " on " + scenario.world().name() + " at " + scenario.spec().series().name());
  }

  /** The first step that fails is met in the same moment by the run in which all later ones fail. */
  private synchronized void refused(String site, Selection selection, String where) {
    exits.refused(site, selection.mode(), where);
    if (selection.mode().equals("only")) {
      exits.refused(site, "from", where);
    }
  }

  private static void await(Future<?> future) {
    try {
      future.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /**
   * Does one run of each scenario, from power-on.
   *
   * @throws BadInput when a scenario does not have so many fallible steps
   */
  public void runOnly(List<Scenario> scenarios, Selection selection) {
    for (Scenario scenario : scenarios) {
      Trial.Result result = Trial.run(scenario, selection, replay(scenario, selection));
      sites += result.sites().size();
      if (result.failed().isEmpty()) {
        throw new BadInput(
            "--fail %s: wanted at most %d, %s on %s has no more steps that can fail"
                .formatted(selection.option(), result.sites().size(), scenario.name(),
                    scenario.world().name()));
      }
      count(result, result.failed().getFirst());
    }
  }

  private void count(SweepJob job) {
    count(job.clean(), "-");
    sites += job.clean().sites().size();
    for (SweepJob.Done each : job.done()) {
      count(each);
    }
  }

  private SweepJob.Step step(SweepJob job, int ordinal) {
    return (runs, n, steps, site) -> {
      List<SweepJob.Done> all = new ArrayList<>();
      both(all, runs, job.scenario(), n, site, ordinal + n);
      for (int m = n + 1; pairs && m <= steps; m++) {
        one(all, runs, job.scenario(), Selection.pair(n, m), site, ordinal + n + m);
      }
      return all;
    };
  }

  /**
   * Fails step {@code n} only, and all from it. When nothing that can fail comes after it, that is one
   * run and not done twice.
   */
  private void both(
      List<SweepJob.Done> all, Runs runs, Scenario scenario, int n, String site, int number) {
    Selection from = Selection.from(n);
    Trial.@Nullable Result only = one(all, runs, scenario, Selection.only(n), site, number);
    if (only != null && only.asked() == n && only.deviation() == null) {
      remember(key(scenario, from), SAME, site);
    } else {
      one(all, runs, scenario, from, site, number);
    }
  }

  /** Does a run, unless it is in another shard or was done before; how it ended, or null. */
  private Trial.@Nullable Result one(
      List<SweepJob.Done> all, Runs runs, Scenario scenario, Selection selection, String site,
      int number) {
    if (number % shards != shard - 1) {
      return null;
    }
    String key = key(scenario, selection);
    String before = done.get(key);
    if (before != null) {
      if (!before.equals(SAME)) {
        all.add(new SweepJob.Done(site, before, null));
      }
      return null;
    }
    Trial.Result result = runs.run(selection, replay(scenario, selection));
    SweepJob.Done run = new SweepJob.Done(site, outcome(result), result.deviation());
    remember(key, run.outcome(), site);
    all.add(run);
    return result;
  }

  private static String key(Scenario scenario, Selection selection) {
    return scenario.name() + " " + scenario.world().name() + " " + scenario.spec().series().name() + " "
        + selection.text();
  }

  private static String replay(Scenario scenario, Selection selection) {
    String fail = selection.option().isEmpty() ? "" : " --fail " + selection.option();
    String level = scenario.spec().series().name();
    String at = level.equals(Series.at(Series.LAST).name()) ? "" : " --at " + level;
    return "vmemmap check sweep " + scenario.name() + " --world " + scenario.world().name() + at
        + fail;
  }

  private static String outcome(Trial.Result result) {
    Deviation deviation = result.deviation();
    if (deviation == null) {
      return result.outcome();
    }
    return deviation.known() ? "known: " + deviation.finding() : BROKEN + deviation.rule();
  }

  private void count(Trial.Result result, String site) {
    count(new SweepJob.Done(site, outcome(result), result.deviation()));
  }

  private void count(SweepJob.Done run) {
    runs++;
    Deviation deviation = run.deviation();
    if (deviation != null && !deviation.known()) {
      deviations.add(deviation);
    }
    broken += run.outcome().startsWith(BROKEN) ? 1 : 0;
    tally(run.site(), run.outcome());
  }

  private void tally(String site, String outcome) {
    outcomes.computeIfAbsent(site, s -> new TreeMap<>()).merge(outcome, 1, Integer::sum);
  }

  private synchronized void remember(String key, String outcome, String site) {
    Path file = state;
    if (file != null) {
      try {
        Files.writeString(
            file, key + "\t" + outcome + "\t" + site + "\n", StandardCharsets.UTF_8,
            StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      } catch (IOException e) {
        throw new BadInput("--state " + file + ": cannot be written, wanted a path that can");
      }
    }
  }

  /** Fallible steps counted. */
  public long sites() {
    return sites;
  }

  /** The failure exits, and which were reached. */
  public Exits exits() {
    return exits;
  }

  /** Runs done, or taken from the state file. */
  public long runs() {
    return runs;
  }

  /** Runs that deviate. */
  public long broken() {
    return broken;
  }

  /** The deviations of this sweep, those from the state file left out. */
  public List<Deviation> deviations() {
    return List.copyOf(deviations);
  }

  /** Sites and outcomes, the deviations (each of a kind once), and the last line. */
  public String text() {
    Table table = new Table("llr", "site", "outcome", "runs");
    outcomes.forEach(
        (site, ends) -> ends.forEach((outcome, count) -> table.row(site, outcome, count)));
    StringBuilder text = new StringBuilder(table.toString()).append('\n');
    Set<String> kinds = new HashSet<>();
    for (Deviation deviation : deviations) {
      if (kinds.add(deviation.kind())) {
        text.append(deviation.text()).append('\n');
      }
    }
    return text.append(lastLine()).toString();
  }

  private String lastLine() {
    return sites + " sites, " + runs + " runs, " + broken + " deviations";
  }
}
