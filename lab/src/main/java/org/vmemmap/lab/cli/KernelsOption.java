// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.vmemmap.types.Series;
import picocli.CommandLine.Option;

/** The option that says which kernels are gone through. */
final class KernelsOption {
  private static final String NAME = "--at";
  private static final String ALL = "all";

  @Option(
      names = {NAME, "--profile"},
      split = ",",
      paramLabel = "N,...",
      description = {
        "The kernel after the first N patches of the series, or several, one after the other: 0 to 49"
            + " or 7.1, 7.2 and 7.3, with +SWITCH and -N as for boot; or all of these."
      })
  List<String> at = List.of();

  /** What is asked for; the kernel with all patches when nothing is. @throws BadInput for no kernel */
  List<Series> series() {
    if (at.isEmpty()) {
      return List.of(Series.at(Series.LAST));
    }
    return at.stream().flatMap(KernelsOption::kernels).toList();
  }

  private static Stream<Series> kernels(String name) {
    return name.equals(ALL)
        ? Stream.concat(
            IntStream.rangeClosed(0, Series.LAST).mapToObj(Series::at),
            Series.RELEASED.stream().map(Series::named))
        : Stream.of(KernelOption.level(NAME, name));
  }
}
