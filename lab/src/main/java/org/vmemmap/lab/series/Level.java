// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.types.Series;

/**
 * A kernel of the series and the machines that it was booted on, for observables that ask about the
 * same machine. Whoever uses one of them leaves it as it was; who cannot, takes a fresh one.
 */
public final class Level {
  private final Series series;
  private @Nullable SeriesMachine plain;
  private @Nullable LabKernel hugepage;
  private @Nullable BootProbe crossZone;

  /** The kernel after the first {@code n} patches. */
  public Level(int n) {
    this(Series.at(n));
  }

  /** That kernel. */
  public Level(Series series) {
    this.series = series;
  }

  /** Which patches it has. */
  public Series series() {
    return series;
  }

  /** {@code spec} with this kernel. */
  MachineSpec on(MachineSpec spec) {
    return spec.withSeries(series);
  }

  /** A machine that nobody else has, 512 MiB of RAM and room for devices. */
  SeriesMachine fresh(String... cmdline) {
    return new SeriesMachine(on(SeriesMachine.spec(512L << 20, cmdline)));
  }

  /** Such a machine that is shared. */
  SeriesMachine plain() {
    SeriesMachine machine = plain;
    if (machine == null) {
      machine = fresh();
      plain = machine;
    }
    return machine;
  }

  /** A machine with an optimised boot page of 1 GiB at 4 GiB, up to where its memmap is complete. */
  LabKernel hugepage() {
    LabKernel kernel = hugepage;
    if (kernel == null) {
      kernel = LabKernel.bootEarly(on(SeriesMachine.hugepageSpec()));
      hugepage = kernel;
    }
    return kernel;
  }

  /**
   * What is known on the way up of 8 GiB with a zone border at 6.5 GiB, where four hugepages of 1
   * GiB are taken.
   */
  BootProbe crossZone() {
    BootProbe probe = crossZone;
    if (probe == null) {
      probe = BootProbe.of(on(SeriesMachine.crossZoneSpec(List.of("hugetlb_free_vmemmap=on"))));
      crossZone = probe;
    }
    return probe;
  }
}
