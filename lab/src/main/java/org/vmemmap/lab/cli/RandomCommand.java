// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.check.RandomWorlds;
import org.vmemmap.lab.check.ScenarioFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code vmemmap check random}. */
@Command(
    name = "vmemmap check random",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "Draws machines and what is done to them, checks all rules after each step, and makes what",
      "breaks one as small as it can. 1000 runs from seed 1, of all kernels, unless options say so.",
      ""
    },
    footer = {"", "Exit code: 0 nothing found, 1 a rule is broken, 2 bad input."})
final class RandomCommand implements Callable<Integer> {
  private static final int USUAL_RUNS = 1000;
  private static final int MOST_STEPS = 1000;

  private final PrintWriter out;

  @Mixin WorldOption worlds = new WorldOption();
  @Mixin KernelOption kernel = new KernelOption();
  @Mixin SeedOption seed = new SeedOption();
  @Mixin RunsOption runs = new RunsOption();

  @Option(names = "--steps", paramLabel = "K", description = "Most steps of a run (default 8).")
  String steps = "8";

  @Mixin ShardOption shard = new ShardOption();

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "Write the smallest scenario of what is found; more to FILE-2, ...")
  @Nullable Path output;

  @Mixin HelpOptions help = new HelpOptions();

  RandomCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    int most = Numbers.parse("--steps", steps, 1, MOST_STEPS);
    int count = runs.runs(USUAL_RUNS);
    Long asked = seed.seed();
    long from = asked == null ? 1 : asked;
    ShardOption.Part part = shard.part();
    RandomWorlds drawn = new RandomWorlds(worlds.worldsOrAll(), kernel.series(), most);
    if (count == 1) {
      out.println(drawn.scenario(from).text());
    }
    drawn.run(from, count, part.index(), part.count(), new Progress(out));
    out.println(drawn.text());
    write(drawn.found());
    return drawn.broken() == 0 ? Main.OK : Main.FAILED;
  }

  private void write(List<RandomWorlds.Found> found) {
    Path file = output;
    for (int i = 0; file != null && i < found.size(); i++) {
      Path to = i == 0 ? file : file.resolveSibling(file.getFileName() + "-" + (i + 1));
      try {
        Files.writeString(to, ScenarioFile.text(found.get(i).scenario()) + "\n");
      } catch (IOException e) {
        throw new BadInput("--out " + to + ": cannot be written, wanted a path that can");
      }
    }
  }
}
