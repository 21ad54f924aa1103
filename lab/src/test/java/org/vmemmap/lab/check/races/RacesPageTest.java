// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What docs/RACES.md shows of the program. Write it anew with {@code -Dvmemmap.update=true}. */
class RacesPageTest {
  private static final Path PAGE = Path.of("..", "docs", "RACES.md");
  private static final String SHOWN = "copy-then-publish";

  /** The table of scenarios on the page. Expect what the program lists: bounds, twins, rules. */
  @Test
  void racesPage_scenarios_areThoseOfTheProgram() throws IOException {
    assertShows("scenarios", table());
  }

  /** The report on the page. Expect what the program prints for that twin. */
  @Test
  void racesPage_report_isThatOfTheProgram() throws IOException {
    RaceCheck check = new RaceCheck(RaceCheck.Options.plain(true));
    check.run(SHOWN, line -> {});
    assertShows("report", "```\n" + check.deviations().getFirst().text() + "```\n");
  }

  private static String table() {
    StringBuilder out = new StringBuilder();
    out.append("| scenario | machine | memory | bound | who meets | the twin is without | and breaks |\n");
    out.append("|---|---|---|---|---|---|---|\n");
    for (RaceScenario scenario : RaceScenario.all()) {
      Twin twin = scenario.twin();
      String without = twin == null ? "see *" + scenario.finding() + "*" : twin.without();
      String breaks = twin == null ? "" : "`" + twin.breaks().getFirst().rule() + "`";
      out.append("| ").append(scenario.name());
      out.append(" | ").append(scenario.world().name()).append(", ").append(scenario.stage().text());
      out.append(" | ").append(scenario.weak() ? "weak" : "strong");
      out.append(" | ").append(scenario.bound().text());
      out.append(" | ").append(scenario.about());
      out.append(" | ").append(without).append(" | ").append(breaks).append(" |\n");
    }
    return out.toString();
  }

  /** {@code text} is to stand between the two marks {@code <!-- name -->}. */
  private static void assertShows(String name, String text) throws IOException {
    String mark = "<!-- " + name + " -->\n";
    String page = Files.readString(PAGE);
    int from = page.indexOf(mark) + mark.length();
    int to = page.indexOf(mark, from);
    assertTrue(from >= mark.length() && to >= from, "docs/RACES.md has no two marks " + mark);
    if (Boolean.getBoolean("vmemmap.update")) {
      Files.writeString(PAGE, page.substring(0, from) + text + page.substring(to));
    }
    page = Files.readString(PAGE);
    assertEquals(text, page.substring(from, page.indexOf(mark, from)));
  }
}
