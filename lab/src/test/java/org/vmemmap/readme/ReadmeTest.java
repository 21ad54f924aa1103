// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.readme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.vmemmap.lab.cli.Main;

/**
 * What the README shows is what the program prints: each fenced block that begins with {@code $
 * ./vmemmap} is run, and its lines must come out in order.
 *
 * <p>A line {@code ...} in a block stands for any number of lines; every other line stands for
 * itself.
 */
class ReadmeTest {
  private static final Path ROOT = Path.of("").toAbsolutePath().getParent();
  private static final String PROMPT = "$ ./vmemmap ";
  private static final String ANY_LINES = "...";

  private record Example(String command, List<String> shown) {}

  /** Runs each example. Expect: every shown line is printed, in the order in which it is shown. */
  @TestFactory
  List<DynamicTest> readme_eachExample_printsWhatItShows() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (Example example : examples()) {
      tests.add(dynamicTest(example.command(), () -> assertShown(example)));
    }
    return tests;
  }

  /** The README has examples at all. Expect: the main job, a replay and a page-table dump. */
  @Test
  void readme_examples_coverTheCommands() throws IOException {
    List<String> commands = examples().stream().map(Example::command).toList();
    assertTrue(commands.stream().anyMatch(c -> c.startsWith("boot")), commands::toString);
    assertTrue(commands.stream().anyMatch(c -> c.startsWith("replay")), commands::toString);
    assertTrue(commands.stream().anyMatch(c -> c.startsWith("dump")), commands::toString);
  }

  /** The README tells how many bugs of the kernel's history are found. Expect the numbers of that page. */
  @Test
  void readme_history_hasTheNumbersOfItsPage() throws IOException {
    String page = Files.readString(ROOT.resolve("docs/HISTORY.md"));
    Matcher numbers = Pattern.compile("(\\d+) of (\\d+) are found").matcher(page);
    assertTrue(numbers.find(), "docs/HISTORY.md: no numbers");
    String said =
        "Of %s bugs of the kernel's history that were put back the checks find %s"
            .formatted(numbers.group(2), numbers.group(1));
    assertTrue(Files.readString(ROOT.resolve("README.md")).contains(said), said);
  }

  private static void assertShown(Example example) {
    StringWriter printed = new StringWriter();
    Main.run(arguments(example.command()), new PrintWriter(printed), new PrintWriter(printed));
    List<String> actual = printed.toString().lines().map(String::stripTrailing).toList();
    int at = 0;
    boolean skip = false;
    for (String line : example.shown()) {
      if (line.strip().equals(ANY_LINES)) {
        skip = true;
        continue;
      }
      int found = skip ? indexFrom(actual, line, at) : at;
      assertFalse(found < 0 || found >= actual.size(), () -> "not printed: " + line + "\n" + printed);
      assertEquals(line, actual.get(found));
      at = found + 1;
      skip = false;
    }
    assertTrue(skip || at == actual.size(), "printed more than is shown");
  }

  private static int indexFrom(List<String> lines, String line, int from) {
    for (int i = from; i < lines.size(); i++) {
      if (lines.get(i).equals(line)) {
        return i;
      }
    }
    return -1;
  }

  private static List<Example> examples() throws IOException {
    List<Example> examples = new ArrayList<>();
    List<String> block = null;
    for (String line : Files.readAllLines(ROOT.resolve("README.md"))) {
      boolean fence = line.startsWith("```");
      if (fence && block == null) {
        block = new ArrayList<>();
      } else if (fence) {
        if (!block.isEmpty() && block.getFirst().startsWith(PROMPT)) {
          String command = block.getFirst().substring(PROMPT.length());
          examples.add(new Example(command, List.copyOf(block.subList(1, block.size()))));
        }
        block = null;
      } else if (block != null) {
        block.add(line.stripTrailing());
      }
    }
    return examples;
  }

  /** Splits a command as a shell would: double quotes group, {@code cases/...} is a path or glob. */
  private static String[] arguments(String command) {
    List<String> words = new ArrayList<>();
    StringBuilder word = new StringBuilder();
    boolean quoted = false;
    for (char c : (command + " ").toCharArray()) {
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ' ' && !quoted) {
        if (!word.isEmpty()) {
          words.addAll(expand(word.toString()));
          word.setLength(0);
        }
      } else {
        word.append(c);
      }
    }
    return words.toArray(String[]::new);
  }

  private static List<String> expand(String word) {
    if (!word.startsWith("cases/")) {
      return List.of(word);
    }
    if (!word.endsWith("*.json")) {
      return List.of(ROOT.resolve(word).toString());
    }
    Path folder = ROOT.resolve(word).getParent();
    String prefix = Path.of(word).getFileName().toString().replace("*.json", "");
    try (var files = Files.list(folder)) {
      return files
          .filter(f -> f.getFileName().toString().startsWith(prefix))
          .filter(f -> f.toString().endsWith(".json"))
          .map(Path::toString)
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
