// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.vmemmap.lab.check.Scenario;
import org.vmemmap.lab.check.Sweep;
import org.vmemmap.lab.check.World;

/**
 * Runs with an injected failure per second: whole sweeps of a small scenario, boot and forks
 * included, each run checked by all rules after each step.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 10, time = 1)
@Measurement(iterations = 10, time = 1)
@Fork(1)
public class SweepBenchmark {
  /** The scenario. */
  @Param({"page", "boot", "pool", "replace", "dax", "altmap", "part", "surplus"})
  public String name = "page";

  private List<Scenario> scenarios = List.of();

  /** Makes it for the world that the benchmark is of. */
  @Setup
  public void make() {
    scenarios = Scenario.standard(name, List.of(World.of("x86-64-4")));
  }

  /** Counts runs, which JMH shows per second beside the sweeps. */
  @State(Scope.Thread)
  @AuxCounters
  public static class Runs {
    /** Runs so far. */
    public long runs;

    /** Begins at zero. */
    @Setup(Level.Iteration)
    public void clear() {
      runs = 0;
    }
  }

  /** One run for any two steps that fail together, and those of a plain sweep. */
  @Benchmark
  public long pairs(Runs count) {
    return sweep(true, count);
  }

  /** Two runs for each step. */
  @Benchmark
  public long single(Runs count) {
    return sweep(false, count);
  }

  private long sweep(boolean pairs, Runs count) {
    Sweep sweep = new Sweep(pairs, 1, 1, null);
    sweep.run(scenarios, text -> {});
    count.runs += sweep.runs();
    return sweep.broken();
  }
}
