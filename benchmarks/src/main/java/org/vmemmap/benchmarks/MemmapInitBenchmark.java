// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.benchmarks;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.pagealloc.Placement;

/** A boot: sections, page tables and all struct pages of the machine. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class MemmapInitBenchmark {
  /** RAM of the machine in GiB. */
  @Param({"1", "8"})
  public long gib;

  /** Boots; the whole memmap is initialised. */
  @Benchmark
  public LabKernel boot() {
    return LabKernel.boot(Machines.spec(gib), Placement.NONE);
  }

  /** Boots up to the sections and the mapped memmap. */
  @Benchmark
  public LabKernel bootEarly() {
    return LabKernel.bootEarly(Machines.spec(gib));
  }
}
