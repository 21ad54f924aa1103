// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.Numbers;
import picocli.CommandLine.Option;

/** The option of what is drawn at random. */
final class SeedOption {
  @Option(names = "--seed", paramLabel = "S", description = "Run number i is that of seed S + i.")
  @Nullable String seed;

  /** The first seed; null when it was left out. */
  @Nullable Long seed() {
    return seed == null ? null : (long) Numbers.parse("--seed", seed, 0, Integer.MAX_VALUE);
  }
}
