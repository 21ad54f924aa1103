// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Series;
import picocli.CommandLine.Option;

/** The option for a second kernel to compare with. */
final class VersusOption {
  private static final String NAME = "--vs";

  @Option(
      names = NAME,
      paramLabel = "M",
      description = "Do the same with the kernel of another level, as --at takes it, and show both.")
  @Nullable String vs;

  /** The kernel that is asked for; null for none. */
  @Nullable Series series() {
    return vs == null ? null : KernelOption.level(NAME, vs);
  }
}
