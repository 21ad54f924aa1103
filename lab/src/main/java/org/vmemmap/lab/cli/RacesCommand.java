// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.check.World;
import org.vmemmap.lab.check.races.RaceCheck;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap check races}. */
@Command(
    name = "vmemmap check races",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "Runs several CPUs on one machine, one step at a time, in every order up to a bound.",
      "A switch of CPUs that no lock forces counts; the bound is how many there may be in a run.",
      ""
    },
    footer = {"", "Exit code: 0 as it must be, 1 a rule is broken (or a twin is not), 2 bad input."})
final class RacesCommand implements Callable<Integer> {
  private static final int MOST_SWITCHES = 100;
  private static final int MOST_RUNS = 100_000_000;

  private final PrintWriter out;

  @Option(names = "--list", description = "List the scenarios.")
  boolean list;

  @Option(
      names = "--bound",
      paramLabel = "N",
      description = "Switches that no lock forces in a run; default: what each scenario says.")
  @Nullable String bound;

  @Option(
      names = "--seed",
      paramLabel = "S",
      description = "Random priorities instead: run number i is that of seed S + i.")
  @Nullable String seed;

  @Option(
      names = "--runs",
      paramLabel = "N",
      description = "Schedules of a scenario at most (default 100000), or seeds (default 1000).")
  @Nullable String runs;

  @Option(
      names = "--schedule",
      paramLabel = "STEP:CPU,...",
      description = "Only this schedule, as a report names it.")
  @Nullable String schedule;

  @Option(
      names = "--twin",
      description = "The broken twin: the same with a step of the kernel left out. It must fail.")
  boolean twin;

  @Option(
      names = {"--at", "--profile"},
      paramLabel = "N",
      description = "The kernel after N patches, or 7.1, 7.2, 7.3; default 7.3.")
  @Nullable String level;

  @Option(
      names = "--world",
      paramLabel = "NAME",
      description = "Another kind of machine, for the scenarios that any machine can show.")
  @Nullable String world;

  @Option(names = "--weak", description = "Stores wait in buffers in all scenarios.")
  boolean weak;

  @Option(names = "--debug", description = "Show where an internal error comes from.")
  boolean debug;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;

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
    String limit = bound;
    String from = seed;
    String most = runs;
    String at = level;
    String where = world;
    RaceCheck check =
        new RaceCheck(
            new RaceCheck.Options(
                twin,
                limit == null ? null : Numbers.parse("--bound", limit, 0, MOST_SWITCHES),
                from == null ? null : (long) Numbers.parse("--seed", from, 0, Integer.MAX_VALUE),
                most == null ? null : (long) Numbers.parse("--runs", most, 1, MOST_RUNS),
                at == null ? null : MachineOptions.level("--at", at),
                where == null ? List.of() : World.list(where),
                weak));
    String one = schedule;
    if (one == null) {
      check.run(name, this::progress);
    } else if (name == null) {
      throw new BadInput("--schedule " + one + ": wanted the name of a scenario before it");
    } else {
      check.replay(name, one);
    }
    out.println(check.text());
    return check.asWanted() ? Main.OK : Main.FAILED;
  }

  private void progress(String text) {
    out.println("# " + text);
    out.flush();
  }
}
