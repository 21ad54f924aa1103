// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.cases.CaseFiles;
import org.vmemmap.lab.cases.Replay;
import org.vmemmap.lab.cases.VmemmapCase;
import org.vmemmap.lab.check.Scenario;
import org.vmemmap.lab.check.ScenarioFile;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.lab.report.Numbers;
import org.vmemmap.types.Series;

/** A machine and what is done on it, to be told about at every level of the series. */
final class SeriesScenario {
  /** What the standard one is. */
  static final String STANDARD =
      "2304M of RAM, hugetlb_free_vmemmap=on, 8 hugepages of 2M and one of 1G, a device of 1G in pages"
          + " of 2M";

  private static final String BROKEN = "rules broken";

  private final Function<Series, LabKernel> run;

  private SeriesScenario(Function<Series, LabKernel> run) {
    this.run = run;
  }

  /**
   * The standard machine, or that of a file: a case or a scenario, whose steps are done, or text as
   * {@code boot --machine} takes it.
   *
   * @throws BadInput for a file that is none of these
   */
  static SeriesScenario of(@Nullable String file) {
    if (file == null) {
      return standard();
    }
    String text = read(file);
    if (text.contains("\"" + ScenarioFile.SCHEMA + "\"")) {
      Scenario scenario = ScenarioFile.read(Path.of(file));
      return new SeriesScenario(series -> scenario.run(series, kernel -> {}));
    }
    if (file.endsWith(".json")) {
      VmemmapCase one = CaseFiles.read(Path.of(file));
      return new SeriesScenario(series -> Replay.machineAfter(one, series));
    }
    MachineOptions options = new MachineOptions();
    options.machine = file;
    return new SeriesScenario(new Bench(options)::with);
  }

  private static SeriesScenario standard() {
    MachineOptions options = new MachineOptions();
    options.mem = "2304M";
    options.nodes = "1";
    options.cmdline = "hugetlb_free_vmemmap=on hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=8";
    options.dax.add("size=1G,align=2M");
    return new SeriesScenario(new Bench(options)::with);
  }

  private static String read(String file) {
    try {
      return Files.readString(Path.of(file));
    } catch (IOException e) {
      throw new BadInput(
          "--scenario " + file + ": cannot be read, wanted a case, a scenario or text as boot"
              + " --machine takes it");
    }
  }

  /** The numbers of the machine at the end and the rules that it breaks, or how it broke down. */
  Map<String, String> at(Series series) {
    Map<String, String> all = new LinkedHashMap<>();
    all.putAll(
        Numbers.of(
            () -> {
              LabKernel kernel = run.apply(series);
              all.put(BROKEN, broken(kernel));
              return kernel;
            }));
    return all;
  }

  private static String broken(LabKernel kernel) {
    String rules =
        String.join(
            " ",
            Invariants.check(kernel).violations().stream()
                .map(Invariants.Violation::rule)
                .distinct()
                .toList());
    return rules.isEmpty() ? "none" : rules;
  }
}
