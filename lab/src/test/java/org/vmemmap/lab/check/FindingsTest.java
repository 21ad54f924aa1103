// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** docs/FINDINGS.md, the scenarios that show its entries, and what the checkers know of them. */
class FindingsTest {
  private static final Path DOCS = docs();

  private static Path docs() {
    Path here = Path.of("docs");
    return Files.isDirectory(here) ? here : Path.of("..", "docs");
  }

  private static List<Path> scenarios() throws IOException {
    try (Stream<Path> files = Files.list(DOCS.resolve("findings"))) {
      return files.sorted().toList();
    }
  }

  /** Each scenario in docs/findings runs. Expect the finding whose title it has. */
  @Test
  void run_eachScenario_showsItsFinding() throws IOException {
    for (Path file : scenarios()) {
      Scenario scenario = ScenarioFile.read(file);
      Deviation found = Trial.run(scenario, "again", machine -> {}).deviation();
      assertNotNull(found, file + " shows nothing");
      assertEquals(scenario.about(), found.finding(), found::text);
    }
  }

  /** Titles that the checkers know. Expect a heading and a scenario for each. */
  @Test
  void titles_eachOne_isInTheDocumentAndHasAScenario() throws IOException {
    String text = Files.readString(DOCS.resolve("FINDINGS.md"));
    List<String> shown = scenarios().stream().map(file -> ScenarioFile.read(file).about()).toList();
    for (String title : KnownFindings.titles()) {
      assertTrue(text.contains(". " + title + "\n"), title + " has no heading");
      assertTrue(shown.contains(title), title + " has no scenario");
    }
  }

  /**
   * A DIMM of two sections of which the first is left.
   *
   * <pre>
   *   section       | 1: added | 2: no memory |
   *   pages more      32768      0
   *   frames more     512
   * </pre>
   *
   * Expect the finding for just these, and none with a frame or a section more, or without pages.
   */
  @Test
  void explain_halfAddedDimm_accountsForEachPageAndFrame() {
    Scenario scenario = ScenarioFile.read(DOCS.resolve("findings").resolve("half-added.json"));
    Trial trial = new Trial(scenario, scenario.failing());
    trial.go();
    assertEquals(scenario.about(), explain(scenario, trial, 32768, 512));
    assertEquals("", explain(scenario, trial, 32768, 513));
    assertEquals("", explain(scenario, trial, 65536, 512));
    assertEquals("", explain(scenario, trial, 0, 512));
  }

  /**
   * A device of which the first part, 64 MiB or 32 sub-sections, lies in a section of boot, and the
   * next section cannot be added. Expect the finding for just these marks.
   */
  @Test
  void explain_halfAddedDeviceInBootSection_accountsForEachMark() {
    Scenario scenario =
        ScenarioFile.read(DOCS.resolve("findings").resolve("half-added-device-marks.json"));
    Trial trial = new Trial(scenario, scenario.failing());
    trial.go();
    assertEquals(scenario.about(), explain(scenario, trial, Map.of(Snapshot.SUBSECTIONS, 32L)));
    assertEquals("", explain(scenario, trial, Map.of(Snapshot.SUBSECTIONS, 33L)));
    assertEquals(
        "", explain(scenario, trial, Map.of(Snapshot.SUBSECTIONS, 32L, "frames of VMEMMAP", 1L)));
  }

  private static String explain(Scenario scenario, Trial trial, long pages, long frames) {
    return explain(
        scenario, trial, Map.of(Snapshot.ADDED, pages, "frames of VMEMMAP", frames));
  }

  private static String explain(Scenario scenario, Trial trial, Map<String, Long> grown) {
    Step step = scenario.steps().getFirst();
    return KnownFindings.explain(
        new Sight(
            scenario, trial.kernel(), step, List.of(step), RuleBook.FAILED_OPERATION, "-ENOMEM, but",
            List.of(), grown));
  }
}
