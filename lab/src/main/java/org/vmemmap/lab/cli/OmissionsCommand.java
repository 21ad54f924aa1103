// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.check.OmissionList;
import org.vmemmap.lab.check.OmissionSubject;
import org.vmemmap.lab.check.OmissionSweep;
import org.vmemmap.lab.check.Scenario;
import org.vmemmap.lab.check.races.RaceCheck;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vmemmap check omissions}. */
@Command(
    name = "vmemmap check omissions",
    sortOptions = false,
    usageHelpWidth = 100,
    description = {
      "Leaves out each place of the port that flushes, orders, protects, clears, copies or counts:",
      "all its calls, then single ones (4 unless --runs says so), and looks whether a rule notices.",
      "Without a scenario those of the list of harmless places are used, and compared with it.",
      ""
    },
    footer = {"", "Exit code: 0 as the list has it, 1 the list is wrong, 2 bad input."})
final class OmissionsCommand implements Callable<Integer> {
  private static final int USUAL_RUNS = 4;

  private final PrintWriter out;

  @Option(names = "--list", description = "List the places.")
  boolean list;

  @Mixin WorldOption worlds = new WorldOption();
  @Mixin RunsOption runs = new RunsOption();
  @Mixin HelpOptions help = new HelpOptions();

  @Parameters(index = "0", arity = "0..1", paramLabel = "SCENARIO", description = "Only this one.")
  @Nullable String name;

  OmissionsCommand(PrintWriter out) {
    this.out = out;
  }

  @Override
  public Integer call() {
    OmissionSweep sweep = new OmissionSweep(subjects(), runs.runs(USUAL_RUNS));
    sweep.record(file -> true);
    if (list) {
      sweep.points().forEach(out::println);
      return Main.OK;
    }
    sweep.run(new Progress(out));
    out.println(sweep.text());
    if (name != null) {
      return Main.OK;
    }
    List<String> wrong = OmissionList.read().differences(sweep.outcomes(), true);
    wrong.forEach(line -> out.println("WRONG " + line));
    return wrong.isEmpty() ? Main.OK : Main.FAILED;
  }

  private List<OmissionSubject> subjects() {
    List<OmissionSubject> subjects = new ArrayList<>();
    if (name == null) {
      subjects.addAll(OmissionSweep.standard());
      subjects.addAll(OmissionSweep.locks(false));
      subjects.addAll(RaceCheck.subjects());
    } else {
      List<Scenario> scenarios = Scenario.standard(name, worlds.worldsOrAll());
      scenarios.forEach(made -> subjects.add(OmissionSubject.of(made)));
      scenarios.forEach(made -> subjects.add(OmissionSubject.locksOf(made)));
    }
    return subjects;
  }
}
