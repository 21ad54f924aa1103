// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.check.Scenario;
import org.vmemmap.lab.check.Selection;
import org.vmemmap.lab.check.Sweep;
import org.vmemmap.lab.check.World;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap check}. */
@Command(
    name = "vmemmap check",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "Looks for bugs without being told where:",
      "  --list             the rules that must hold",
      "  sweep [SCENARIO]   fails each allocation of page, boot, pool, dax or gigantic (all of"
          + " them when none is named): only the n-th, and all from the n-th",
      "  races [NAME]       several CPUs in every order up to a bound (check races --help)",
      ""
    },
    footer = {"", "Exit code: 0 nothing found, 1 a rule is broken, 2 bad input."})
final class CheckCommand implements Callable<Integer> {
  private static final int MOST = 1_000_000;

  private final PrintWriter out;

  @Option(names = "--list", description = "List the rules.")
  boolean list;

  @Option(names = "--json", description = "List them as JSON.")
  boolean json;

  @Option(names = "--world", paramLabel = "NAME", description = "Only this kind of machine.")
  @Nullable String world;

  @Option(names = "--pairs", description = "Fail any two allocations together, too.")
  boolean pairs;

  @Option(
      names = "--fail",
      paramLabel = "N|N+|N,M",
      description = "One run only: the n-th allocation fails, all from it, or two.")
  @Nullable String fail;

  @Option(names = "--shard", paramLabel = "I/N", description = "Do the I-th of N parts only.")
  @Nullable String shard;

  @Option(names = "--state", paramLabel = "FILE", description = "Remember runs, and go on there.")
  @Nullable Path state;

  @Option(names = "--debug", description = "Show where an internal error comes from.")
  boolean debug;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  boolean help;

  @Parameters(index = "0", arity = "0..1", paramLabel = "WHAT", description = "sweep")
  @Nullable String what;

  @Parameters(index = "1", arity = "0..1", paramLabel = "SCENARIO", description = "A scenario.")
  @Nullable String scenario;

  CheckCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    if (list) {
      out.println(json ? RuleBook.json() : RuleBook.table());
      return Main.OK;
    }
    if (what == null || !what.equals("sweep")) {
      throw new BadInput("check " + (what == null ? "" : what) + ": wanted sweep or --list");
    }
    return sweep();
  }

  private int sweep() {
    String one = world;
    List<World> worlds = one == null ? World.all() : List.of(World.of(one));
    String name = scenario;
    List<Scenario> scenarios = new ArrayList<>();
    for (String each : name == null ? Scenario.NAMES : List.of(name)) {
      scenarios.addAll(Scenario.standard(each, worlds));
    }
    int[] part = part();
    Sweep sweep = new Sweep(pairs, part[0], part[1], state);
    String failing = fail;
    if (failing != null) {
      sweep.runOnly(scenarios, Selection.parseOption(failing));
    } else {
      sweep.run(
          scenarios,
          text -> {
            out.println("# " + text);
            out.flush();
          });
    }
    out.println(sweep.text());
    return sweep.broken() == 0 ? Main.OK : Main.FAILED;
  }

  private int[] part() {
    String text = shard == null ? "1/1" : shard;
    int slash = text.indexOf('/');
    if (slash < 0) {
      throw new BadInput("--shard " + text + ": wanted I/N, as in 2/8");
    }
    int n = Numbers.parse("--shard " + text + ": N", text.substring(slash + 1), 1, MOST);
    return new int[] {Numbers.parse("--shard " + text + ": I", text.substring(0, slash), 1, n), n};
  }
}
