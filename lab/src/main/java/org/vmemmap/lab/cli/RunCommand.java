// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.check.RandomWorlds;
import org.vmemmap.lab.check.ScenarioFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code vmemmap check run}. */
@Command(
    name = "vmemmap check run",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {"Runs a scenario file, as random writes them.", ""},
    footer = {"", "Exit code: 0 nothing found, 1 a rule is broken, 2 bad input."})
final class RunCommand implements Callable<Integer> {
  private final PrintWriter out;

  @Mixin HelpOptions help = new HelpOptions();

  @Parameters(index = "0", arity = "0..1", paramLabel = "FILE", description = "The scenario.")
  @Nullable String file;

  RunCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    if (file == null) {
      throw new BadInput("check run: wanted a scenario file");
    }
    RandomWorlds.Run run = RandomWorlds.run(ScenarioFile.read(Path.of(file)), file);
    out.println(run.text());
    return run.broken() ? Main.FAILED : Main.OK;
  }
}
