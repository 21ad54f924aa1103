// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.history;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.vmemmap.lab.check.HistoryRun;

/**
 * Bugs of the kernel's history are put back, one at a time, and a check that knows nothing of them
 * runs up to its first report. {@code -Dvmemmap.history=NAME,...} runs only these, and prints the
 * reports; {@code -Dvmemmap.update=true} writes docs/HISTORY.md anew.
 */
class HistoryTest {
  private static final Path PAGE = Path.of("..", "docs", "HISTORY.md");
  private static final String ONLY = System.getProperty("vmemmap.history", "");
  private static final Map<String, List<String>> RESULTS = new TreeMap<>();
  private static final Map<String, List<String>> SILENT = new TreeMap<>();

  /** What came of the check of a bug: rule, runs, report. */
  private static synchronized List<String> result(Bug bug) {
    return RESULTS.computeIfAbsent(
        bug.name(), name -> PlantedPort.with(bug).checks().apply(bug.check()));
  }

  private static List<Bug> bugs() {
    List<String> only = List.of(ONLY.split(",", -1));
    return Bug.all().stream()
        .filter(bug -> ONLY.isEmpty() || only.contains(bug.name()))
        .toList();
  }

  /** Each bug is put back. Expect a report by the rule that its file names, or none if it says so. */
  @TestFactory
  List<DynamicTest> check_bugPutBack_isReported() {
    List<DynamicTest> tests = new ArrayList<>();
    for (Bug bug : bugs()) {
      tests.add(
          dynamicTest(
              bug.name(),
              () -> {
                List<String> result = result(bug);
                if (!ONLY.isEmpty()) {
                  System.out.println(bug.name() + ": " + String.join("\n", result));
                }
                assertEquals(bug.finds(), result.getFirst(), () -> String.join("\n", result));
              }));
    }
    return tests;
  }

  /** The same runs on the port as it is, as many as it took to find the bug. Expect silence. */
  @TestFactory
  List<DynamicTest> check_portAsItIs_isSilent() {
    List<DynamicTest> tests = new ArrayList<>();
    for (Bug bug : bugs()) {
      tests.add(dynamicTest(bug.name(), () -> assertSilent(bug)));
    }
    return tests;
  }

  private static void assertSilent(Bug bug) {
    String runs = result(bug).get(1);
    String check = bug.check().replaceFirst(" first .*", "") + " first " + runs;
    List<String> silent = SILENT.computeIfAbsent(check, line -> new HistoryRun().apply(line));
    assertEquals("", silent.getFirst(), () -> String.join("\n", silent));
    assertTrue(Long.parseLong(silent.get(1)) >= Long.parseLong(runs), silent::toString);
  }

  /** The context of a hunk is no longer in the file. Expect the file's name, and how the hunk begins. */
  @Test
  void apply_hunkThatDoesNotFit_namesTheFile() {
    UnifiedDiff diff =
        new UnifiedDiff(
            List.of("--- a/dir/File.java", "+++ b/dir/File.java", "@@ -1,2 +1,1 @@", " one", "-two"));
    assertEquals("one\nthree", diff.apply(file -> "one\ntwo\nthree").get("dir/File.java"));
    IllegalArgumentException wrong =
        assertThrows(
            IllegalArgumentException.class, () -> diff.apply(file -> "one\nsomething else\n"));
    assertEquals(
        "dir/File.java: hunk 1 of 1 does not fit, it begins with \"one\"", wrong.getMessage());
  }

  /** The tables of the page. Expect what the files and the runs say. */
  @Test
  void historyPage_tables_areThoseOfTheRuns() throws IOException {
    if (ONLY.isEmpty()) {
      assertShows("found", found());
      assertShows("not found", notFound());
    }
  }

  private static String found() {
    List<Bug> found = Bug.all().stream().filter(Bug::isFound).toList();
    StringBuilder out = new StringBuilder();
    out.append("| mended by | what went wrong | put back in | found by | in run | rule |\n");
    out.append("|---|---|---|---|---|---|\n");
    for (Bug bug : found) {
      List<String> result = result(bug);
      out.append(row(bug)).append(" | `").append(command(bug)).append("` | ");
      out.append(result.get(1)).append(" | `").append(result.get(0)).append("` |\n");
    }
    return out.append("\n").append(found.size()).append(" of ").append(Bug.all().size())
        .append(" are found.\n").toString();
  }

  private static String notFound() {
    StringBuilder out = new StringBuilder();
    out.append("| mended by | what went wrong | put back in | looked for by | runs | why not |\n");
    out.append("|---|---|---|---|---|---|\n");
    for (Bug bug : Bug.all().stream().filter(bug -> !bug.isFound()).toList()) {
      out.append(row(bug)).append(" | `").append(command(bug)).append("` | ");
      out.append(result(bug).get(1)).append(" | ").append(bug.why()).append(" |\n");
    }
    return out.toString();
  }

  private static String row(Bug bug) {
    String file = "../lab/src/test/resources/history/" + bug.name() + ".patch";
    String commit = bug.commit().equals("-") ? "" : " (" + bug.commit() + ")";
    String classes =
        bug.diff().files().stream()
            .map(name -> "`" + name.replaceAll(".*/", "").replace(".java", "") + "`")
            .collect(Collectors.joining(", "));
    return "| [" + bug.subject() + "](" + file + ")" + commit + " | " + bug.about() + " | " + classes;
  }

  /** As on the command line. */
  private static String command(Bug bug) {
    String[] words = bug.check().split(" ", -1);
    return switch (words[0]) {
      case "sweep" -> "sweep %s --world %s --at %s".formatted(words[1], words[2], words[3]);
      case "random" -> "random --world %s --at %s".formatted(words[2], words[3]);
      default -> "races " + words[1];
    };
  }

  /** {@code text} is to stand between the two marks {@code <!-- name -->}. */
  private static void assertShows(String name, String text) throws IOException {
    String mark = "<!-- " + name + " -->\n";
    String page = Files.readString(PAGE);
    int from = page.indexOf(mark) + mark.length();
    int to = page.indexOf(mark, from);
    assertTrue(from >= mark.length() && to >= from, "docs/HISTORY.md has no two marks " + mark);
    if (Boolean.getBoolean("vmemmap.update")) {
      Files.writeString(PAGE, page.substring(0, from) + text + page.substring(to));
    }
    page = Files.readString(PAGE);
    assertEquals(text, page.substring(from, page.indexOf(mark, from)));
  }
}
