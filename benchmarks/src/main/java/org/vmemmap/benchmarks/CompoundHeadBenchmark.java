// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.benchmarks;

import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;

/** {@code compound_head()} of pages all over a machine half of whose memory is hugepages. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class CompoundHeadBenchmark {
  private static final int PAGES = 1 << 14;
  private static final long GIB = 2;
  private static final int HUGEPAGES = 512;
  private static final long FIRST_PFN = 1 << 15;
  private static final long LAST_PFN = 1 << 18;
  private static final long SEED = 42;

  private final LabKernel kernel = Machines.withPool(GIB, HUGEPAGES);
  private final PageFlags flags = kernel.mm().flags();
  private final Page[] sequential = new Page[PAGES];
  private final Page[] random = new Page[PAGES];

  /** Chooses the pages, the same in every run. */
  public CompoundHeadBenchmark() {
    Random seeded = new Random(SEED);
    for (int i = 0; i < PAGES; i++) {
      sequential[i] = kernel.mm().model().pfnToPage(FIRST_PFN + i);
      random[i] = kernel.mm().model().pfnToPage(seeded.nextLong(FIRST_PFN, LAST_PFN));
    }
  }

  /** One page after the other. */
  @Benchmark
  @OperationsPerInvocation(PAGES)
  public long sequential() {
    return heads(sequential);
  }

  /** Pages in random order. */
  @Benchmark
  @OperationsPerInvocation(PAGES)
  public long random() {
    return heads(random);
  }

  private long heads(Page[] pages) {
    long sum = 0;
    for (Page page : pages) {
      sum += flags.compoundHead(page).va();
    }
    return sum;
  }
}
