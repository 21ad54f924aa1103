// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.lab.check.OmissionList;
import org.vmemmap.lab.check.OmissionSubject;
import org.vmemmap.lab.check.OmissionSweep;
import org.vmemmap.lab.check.RandomWorlds;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.check.Scenario;
import org.vmemmap.lab.check.ScenarioFile;
import org.vmemmap.lab.check.Selection;
import org.vmemmap.lab.check.Sweep;
import org.vmemmap.lab.check.World;
import org.vmemmap.lab.check.races.RaceCheck;
import org.vmemmap.types.Series;
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
          + " them when none is named), or of memory that comes and goes (dimm, dimm-node,"
          + " dimm-on-memory, kmem, kmem-on-memory, lmbs): only the n-th, and all from the n-th",
      "  races [NAME]       several CPUs in every order up to a bound (check races --help)",
      "  random             draws machines and what is done to them from a seed, checks all rules"
          + " after each step, and makes what breaks one as small as it can",
      "  run FILE           runs a scenario file, as random writes them",
      "  omissions [SCENARIO]  leaves out each flush, barrier, protection, clear, copy and count of the"
          + " port, and looks whether a rule notices (--list: the places)",
      ""
    },
    footer = {"", "Exit code: 0 nothing found, 1 a rule is broken, 2 bad input."})
final class CheckCommand implements Callable<Integer> {
  private static final int MOST = 1_000_000;
  private static final int MOST_RUNS = 100_000_000;
  private static final int MOST_STEPS = 1000;

  private final PrintWriter out;

  @Option(names = "--list", description = "List the rules.")
  boolean list;

  @Option(names = "--json", description = "List them as JSON.")
  boolean json;

  @Option(
      names = "--world",
      paramLabel = "NAME",
      description = "Only this kind of machine, or these, with commas between them.")
  @Nullable String world;

  @Option(names = "--exits", description = "Show which failure exits were reached, and from where.")
  boolean exits;

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

  @Parameters(index = "0", arity = "0..1", paramLabel = "WHAT", description = "sweep, random or run")
  @Nullable String what;

  @Parameters(index = "1", arity = "0..1", paramLabel = "SCENARIO", description = "A scenario, or a file of one.")
  @Nullable String scenario;

  @Option(
      names = "--seed",
      paramLabel = "S",
      description = "random: run number i is that of seed S + i; default 1.")
  @Nullable String seed;

  @Option(names = "--runs", paramLabel = "N", description = "random: number of runs (default 1000); omissions: single calls of a place (4).")
  @Nullable String runs;

  @Option(names = "--steps", paramLabel = "K", description = "random: most steps of a run (default 8).")
  @Nullable String steps;

  @Option(
      names = {"--at", "--profile"},
      paramLabel = "N",
      description = "The kernel after N patches, or 7.1, 7.2, 7.3; sweep: 49 by default, random: any.")
  @Nullable String level;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "random: write the smallest scenario of what is found; more to FILE-2, ...")
  @Nullable Path output;

  CheckCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    if (list && what == null) {
      out.println(json ? RuleBook.json() : RuleBook.table());
      return Main.OK;
    }
    return switch (what == null ? "" : what) {
      case "sweep" -> sweep();
      case "random" -> random();
      case "run" -> runFile();
      case "omissions" -> omissions();
      default ->
          throw new BadInput(
              "check " + (what == null ? "" : what) + ": wanted sweep, races, random, omissions, run or --list");
    };
  }

  private int random() {
    int most = Numbers.parse("--steps", steps == null ? "8" : steps, 1, MOST_STEPS);
    int count = Numbers.parse("--runs", runs == null ? "1000" : runs, 1, MOST_RUNS);
    long from = Numbers.parse("--seed", seed == null ? "1" : seed, 0, Integer.MAX_VALUE);
    String at = level;
    int[] part = part();
    RandomWorlds worlds =
        new RandomWorlds(worlds(), at == null ? null : MachineOptions.level("--at", at), most);
    if (count == 1) {
      out.println(worlds.scenario(from).text());
    }
    worlds.run(from, count, part[0], part[1], this::progress);
    out.println(worlds.text());
    write(worlds.found());
    return worlds.broken() == 0 ? Main.OK : Main.FAILED;
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

  private int runFile() {
    String file = scenario;
    if (file == null) {
      throw new BadInput("check run: wanted a scenario file");
    }
    RandomWorlds.Run run = RandomWorlds.run(ScenarioFile.read(Path.of(file)), file);
    out.println(run.text());
    return run.broken() ? Main.FAILED : Main.OK;
  }

  private void progress(String text) {
    out.println("# " + text);
    out.flush();
  }

  private List<World> worlds() {
    String one = world;
    return one == null
        ? World.all()
        : Arrays.stream(one.split(",", -1)).map(World::of).toList();
  }

  private int sweep() {
    String name = scenario;
    List<Scenario> scenarios = new ArrayList<>();
    String at = level;
    Series series = at == null ? Series.at(Series.LAST) : MachineOptions.level("--at", at);
    for (String each : name == null ? Scenario.NAMES : List.of(name)) {
      Scenario.standard(each, worlds()).forEach(made -> scenarios.add(made.at(series)));
    }
    int[] part = part();
    Sweep sweep = new Sweep(pairs, part[0], part[1], state);
    String failing = fail;
    if (failing != null) {
      sweep.runOnly(scenarios, Selection.parseOption(failing));
    } else {
      sweep.run(scenarios, this::progress);
    }
    if (exits) {
      out.println(json ? sweep.exits().json() : sweep.exits().table());
    }
    out.println(sweep.text());
    return sweep.broken() == 0 ? Main.OK : Main.FAILED;
  }

  private int omissions() {
    int most = Numbers.parse("--runs", runs == null ? "4" : runs, 1, MOST_RUNS);
    OmissionSweep sweep = new OmissionSweep(omissionSubjects(), most);
    sweep.record(file -> true);
    if (list) {
      sweep.points().forEach(out::println);
      return Main.OK;
    }
    sweep.run(this::progress);
    out.println(sweep.text());
    if (scenario != null) {
      return Main.OK;
    }
    List<String> wrong = OmissionList.read().differences(sweep.outcomes());
    wrong.forEach(line -> out.println("WRONG " + line));
    return wrong.isEmpty() ? Main.OK : Main.FAILED;
  }

  private List<OmissionSubject> omissionSubjects() {
    List<OmissionSubject> subjects = new ArrayList<>();
    String name = scenario;
    if (name == null) {
      subjects.addAll(OmissionSweep.standard());
      subjects.addAll(RaceCheck.subjects());
    } else {
      Scenario.standard(name, worlds()).forEach(made -> subjects.add(OmissionSubject.of(made)));
    }
    return subjects;
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
