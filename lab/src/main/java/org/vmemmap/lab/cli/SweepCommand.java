// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.check.Scenario;
import org.vmemmap.lab.check.Selection;
import org.vmemmap.lab.check.Sweep;
import org.vmemmap.lab.check.World;
import org.vmemmap.types.Series;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap check sweep}. */
@Command(
    name = "vmemmap check sweep",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "Fails each allocation of a scenario, or of all: only the n-th, and all from the n-th on.",
      "The kernel is that after all patches, the machines are of all kinds, unless options say so.",
      "Then, unless --world says where: once without a failure on x86-64-4-debug, a kernel with",
      "CONFIG_DEBUG_VM, and x86-64-4-odd, with struct pages of 56 bytes.",
      "Pages of 1 GiB on 5 levels are what they are on 4, and are done when asked for by SCENARIO.",
      ""
    },
    footer = {"", "Exit code: 0 nothing found, 1 a rule is broken, 2 bad input."})
final class SweepCommand implements Callable<Integer> {
  private final PrintWriter out;

  @Mixin WorldOption worlds = new WorldOption();
  @Mixin KernelsOption kernels = new KernelsOption();

  @Option(names = "--exits", description = "Show which failure exits were reached, and from where.")
  boolean exits;

  @Option(names = "--pairs", description = "Fail any two allocations together, too.")
  boolean pairs;

  @Option(
      names = "--fail",
      paramLabel = "N|N+|N,M",
      description = "One run only: the n-th allocation fails, all from it, or two.")
  @Nullable String fail;

  @Mixin ShardOption shard = new ShardOption();

  @Option(names = "--state", paramLabel = "FILE", description = "Remember runs, and go on there.")
  @Nullable Path state;

  @Mixin JsonOption json = new JsonOption();
  @Mixin HelpOptions help = new HelpOptions();

  @Parameters(index = "0", arity = "0..1", paramLabel = "SCENARIO", description = "Only this one.")
  @Nullable String name;

  SweepCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    ShardOption.Part part = shard.part();
    Sweep sweep = new Sweep(pairs, part.index(), part.count(), state);
    if (fail == null) {
      sweep.run(scenarios(worlds.worldsOrAll()), new Progress(out));
      if (worlds.worlds().isEmpty() && part.index() == 1) {
        sweep.runClean(scenarios(World.builds()), new Progress(out));
      }
    } else {
      sweep.runOnly(scenarios(worlds.worldsOrAll()), Selection.parseOption(fail));
    }
    if (exits) {
      out.println(json.wanted ? sweep.exits().json() : sweep.exits().table());
    }
    out.println(sweep.text());
    return sweep.broken() == 0 ? Main.OK : Main.FAILED;
  }

  private List<Scenario> scenarios(List<World> on) {
    List<Scenario> scenarios = new ArrayList<>();
    for (Series series : kernels.series()) {
      for (String each : name == null ? Scenario.NAMES : List.of(name)) {
        Scenario.standard(each, on).stream()
            .filter(made -> name != null || !made.repeats())
            .forEach(made -> scenarios.add(made.at(series)));
      }
    }
    return scenarios;
  }
}
