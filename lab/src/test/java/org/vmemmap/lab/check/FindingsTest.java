// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
}
