// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.benchmarks;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.hugetlb.HugetlbVmemmap;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.types.Folio;

/**
 * HVO of one 2 MiB hugepage: its memmap of its own again, and shrunk again. The real kernel needs
 * about 8.5 µs and 6.5 µs.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class OptimizeRestoreBenchmark {
  private final LabKernel kernel = Machines.withPool(1, 16);
  private final Hstate hstate = Machines.hstate(kernel);
  private final HugetlbVmemmap vmemmap = kernel.hugetlb().vmemmap();
  private final Folio folio = Machines.firstFree(kernel);

  /** Restores and optimises; fails when either did not happen. */
  @Benchmark
  public void restoreAndOptimize() {
    require(vmemmap.hugetlbVmemmapRestoreFolio(hstate, folio) == 0 && !optimized());
    vmemmap.hugetlbVmemmapOptimizeFolio(hstate, folio);
    require(optimized());
  }

  private boolean optimized() {
    return kernel.hugetlb().folios().test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
  }

  private static void require(boolean happened) {
    if (!happened) {
      throw new IllegalStateException("the memmap is not what it should be");
    }
  }
}
