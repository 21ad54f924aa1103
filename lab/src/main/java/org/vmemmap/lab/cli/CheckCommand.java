// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.check.RuleBook;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap check}: the rules, and the way to the commands that look for what breaks them. */
@Command(
    name = "vmemmap check",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "Looks for bugs without being told where; each of these has a --help of its own:",
      "  sweep [SCENARIO]   fails each allocation of page, boot, pool, dax or gigantic (all of"
          + " them when none is named), or of memory that comes and goes (dimm, dimm-node,"
          + " dimm-on-memory, kmem, kmem-on-memory, lmbs): only the n-th, and all from the n-th",
      "  races [NAME]       several CPUs in every order up to a bound",
      "  random             draws machines and what is done to them from a seed, checks all rules"
          + " after each step, and makes what breaks one as small as it can",
      "  run FILE           runs a scenario file, as random writes them",
      "  omissions [SCENARIO]  leaves out each flush, barrier, protection, clear, copy and count of the"
          + " port, and looks whether a rule notices",
      ""
    },
    footer = {"", "Exit code: 0 nothing found, 1 a rule is broken, 2 bad input."})
final class CheckCommand implements Callable<Integer> {
  private final PrintWriter out;

  @Option(names = "--list", description = "List the rules that must hold.")
  boolean list;

  @Mixin JsonOption json = new JsonOption();
  @Mixin HelpOptions help = new HelpOptions();

  @Parameters(index = "0", arity = "0..1", paramLabel = "WHAT", description = "One of the above.")
  @Nullable String what;

  CheckCommand(PrintWriter out) {
    this.out = out;
  }

  /** The command of {@code vmemmap check args}. */
  static Callable<Integer> of(List<String> args, PrintWriter out) {
    return switch (args.isEmpty() ? "" : args.getFirst()) {
      case "sweep" -> new SweepCommand(out);
      case "races" -> new RacesCommand(out);
      case "random" -> new RandomCommand(out);
      case "run" -> new RunCommand(out);
      case "omissions" -> new OmissionsCommand(out);
      default -> new CheckCommand(out);
    };
  }

  @Override
  public Integer call() {
    if (!list || what != null) {
      throw new BadInput(
          "check " + (what == null ? "" : what)
              + ": wanted sweep, races, random, omissions, run or --list");
    }
    out.println(json.wanted ? RuleBook.json() : RuleBook.table());
    return Main.OK;
  }
}
