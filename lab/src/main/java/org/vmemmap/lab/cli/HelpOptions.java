// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import picocli.CommandLine.Option;

/** The options that every command has. {@link Main} looks for {@code --debug} itself. */
final class HelpOptions {
  @Option(names = "--debug", description = "Show where an internal error comes from.")
  boolean debug;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;
}
