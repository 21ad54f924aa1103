// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.cases.Replay;
import org.vmemmap.lab.cases.ReplayVersus;
import org.vmemmap.types.Series;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code vmemmap replay}. */
@Command(
    name = "vmemmap replay",
    usageHelpWidth = 100,
    description = {
      "Replays captured boots of a real kernel and compares every fact of every step, on the kernel"
          + " that was captured or on that of --at. Prints the facts that differ, the model's beside the kernel's. Of a layout file every size, offset,"
          + " type and number is compared.",
      ""
    },
    footer = {"", "Exit code: 0 no mismatch, 1 mismatches, 2 bad input."})
final class ReplayCommand implements Callable<Integer> {
  private final PrintWriter out;

  @Mixin KernelOption kernel = new KernelOption();
  @Mixin VersusOption versus = new VersusOption();
  @Mixin JsonOption json = new JsonOption();
  @Mixin HelpOptions help = new HelpOptions();

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
    List<Path> paths = files.stream().map(Path::of).toList();
    Series level = kernel.series();
    Series other = versus.series();
    if (other == null) {
      return Replay.run(paths, level, json.wanted, out);
    }
    json.refuseWith("--vs", "the comparison of two kernels");
    new ReplayVersus(level, other, out).run(paths);
    return Main.OK;
  }
}
