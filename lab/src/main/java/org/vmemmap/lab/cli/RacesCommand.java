// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.check.races.RaceCheck;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap check races}. */
@Command(
    name = "vmemmap check races",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "Runs several CPUs on one machine, one step at a time: in every order up to a bound, then in",
      "some with random priorities. A switch of CPUs that no lock forces counts. Each scenario says",
      "how far it goes, and on which machine; the kernel is 7.3. Options say otherwise.",
      ""
    },
    footer = {"", "Exit code: 0 as it must be, 1 a rule is broken (or a twin is not), 2 bad input."})
final class RacesCommand implements Callable<Integer> {
  private static final int MOST_SWITCHES = 100;

  private final PrintWriter out;

  @Option(names = "--list", description = "List the scenarios, their bounds and their twins.")
  boolean list;

  @Option(
      names = "--twin",
      description = "The broken twin: the same with a step of the kernel left out. It must fail.")
  boolean twin;

  @Option(
      names = "--bound",
      paramLabel = "N",
      description = "All orders with N switches, and none with random priorities.")
  @Nullable String bound;

  @Mixin SeedOption seed = new SeedOption();
  @Mixin RunsOption runs = new RunsOption();

  @Option(
      names = "--schedule",
      paramLabel = "STEP:CPU,...",
      description = "Only this schedule, as a report names it.")
  @Nullable String schedule;

  @Option(names = "--weak", description = "Stores wait in buffers in all scenarios.")
  boolean weak;

  @Mixin WorldOption worlds = new WorldOption();
  @Mixin KernelOption kernel = new KernelOption();
  @Mixin HelpOptions help = new HelpOptions();

  @Parameters(index = "0", arity = "0..1", paramLabel = "NAME", description = "Only this one.")
  @Nullable String name;

  RacesCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    if (list) {
      out.println(RaceCheck.list());
      return Main.OK;
    }
    RaceCheck check = new RaceCheck(options());
    if (schedule == null) {
      check.run(name, new Progress(out));
    } else if (name == null) {
      throw new BadInput("--schedule " + schedule + ": wanted the name of a scenario before it");
    } else {
      check.replay(name, schedule);
    }
    out.println(check.text());
    return check.asWanted() ? Main.OK : Main.FAILED;
  }

  private RaceCheck.Options options() {
    if (bound != null && seed.seed() != null) {
      throw new BadInput("--bound " + bound + " --seed: wanted one of the two");
    }
    return new RaceCheck.Options(
        twin,
        bound == null ? null : Numbers.parse("--bound", bound, 0, MOST_SWITCHES),
        seed.seed(),
        runs.runs(),
        kernel.series(),
        worlds.worlds(),
        weak);
  }
}
