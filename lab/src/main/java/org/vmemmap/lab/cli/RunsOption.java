// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.Numbers;
import picocli.CommandLine.Option;

/** The option that says how much to do. */
final class RunsOption {
  private static final int MOST = 100_000_000;

  @Option(names = "--runs", paramLabel = "N", description = "How many runs at most.")
  @Nullable String runs;

  /** Number of runs; null when it was left out. */
  @Nullable Integer runs() {
    return runs == null ? null : Numbers.parse("--runs", runs, 1, MOST);
  }

  /** The same, {@code usual} when it was left out. */
  int runs(int usual) {
    Integer asked = runs();
    return asked == null ? usual : asked;
  }
}
