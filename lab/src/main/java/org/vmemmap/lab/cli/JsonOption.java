// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import org.vmemmap.lab.boot.BadInput;
import picocli.CommandLine.Option;

/** The option for output that programs read. */
final class JsonOption {
  @Option(names = "--json", description = "Write it as JSON.")
  boolean wanted;

  /** Refuses it together with {@code option}, whose {@code output} is text. */
  void refuseWith(String option, String output) {
    if (wanted) {
      throw new BadInput(option + " --json: " + output + " is text, leave out --json");
    }
  }
}
