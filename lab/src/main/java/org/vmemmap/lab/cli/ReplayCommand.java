// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.cases.Replay;
import org.vmemmap.lab.cases.ReplayVersus;
import org.vmemmap.types.Series;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap replay}. */
@Command(
    name = "vmemmap replay",
    usageHelpWidth = 100,
    description = {
      "Replays captured boots of a real kernel and compares every fact of every step. Prints the"
          + " facts that differ, the model's beside the kernel's. Of a layout file every size, offset,"
          + " type and number is compared.",
      ""
    },
    footer = {"", "Exit code: 0 no mismatch, 1 mismatches, 2 bad input."})
final class ReplayCommand implements Callable<Integer> {
  private final PrintWriter out;

  @Option(names = "--json", description = "Write the result as JSON.")
  boolean json;

  @Option(
      names = "--at",
      paramLabel = "N",
      description = {
        "Replay on the kernel after the first N patches of the series, or on a released one,"
            + " instead of the one that was captured."
      })
  @Nullable String at;

  @Option(
      names = "--vs",
      paramLabel = "M",
      description = "Replay on that kernel too, and show the facts in which the two differ.")
  @Nullable String vs;

  @Option(names = "--debug", description = "Show where an internal error comes from.")
  boolean debug;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;

  @Parameters(paramLabel = "FILE", description = "Case files, as in cases/x86-64; layout files too.")
  List<String> files = new ArrayList<>();

  ReplayCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    if (files.isEmpty()) {
      throw new BadInput(
          "replay: no case file, wanted at least one, as in cases/x86-64/base-4g.json");
    }
    Series level = at == null ? null : MachineOptions.level("--at", at);
    String versus = vs;
    if (versus != null && json) {
      throw new BadInput("--vs --json: the comparison of two kernels is text, leave out --json");
    }
    if (versus != null) {
      Series other = MachineOptions.level("--vs", versus);
      new ReplayVersus(level, other, out).run(files.stream().map(Path::of).toList());
      return Main.OK;
    }
    return Replay.run(files.stream().map(Path::of).toList(), level, json, out);
  }
}
