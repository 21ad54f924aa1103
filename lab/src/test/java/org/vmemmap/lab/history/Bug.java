// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.history;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * A bug of the kernel, and the diff that puts it back into the port.
 *
 * @param name of its file
 * @param subject of the commit that mended it
 * @param commit its id, as short as the kernel quotes it
 * @param about what went wrong
 * @param check what looks for it, as {@code HistoryRun} reads it
 * @param finds the rule that it breaks; empty when nothing is found
 * @param why nothing is found; empty when something is
 * @param diff from the port to the port with the bug
 */
record Bug(
    String name,
    String subject,
    String commit,
    String about,
    String check,
    String finds,
    String why,
    UnifiedDiff diff) {
  private static final Path FOLDER = Path.of("src", "test", "resources", "history");
  private static final String SUFFIX = ".patch";
  private static final List<String> FIELDS =
      List.of("Subject", "Commit", "Bug", "Check", "Finds", "Why");

  /** All of them, by name. */
  static List<Bug> all() {
    try (Stream<Path> files = Files.list(FOLDER)) {
      return files.filter(file -> file.toString().endsWith(SUFFIX)).sorted().map(Bug::read).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Bug read(Path file) {
    try {
      String name = Objects.requireNonNull(file.getFileName()).toString().replace(SUFFIX, "");
      return parse(name, Files.readAllLines(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Reads one; a field goes on in lines that begin with a blank, up to the diff. */
  static Bug parse(String name, List<String> lines) {
    Map<String, String> fields = new LinkedHashMap<>();
    String last = "";
    List<String> diff = new ArrayList<>();
    for (String line : lines) {
      int colon = line.indexOf(": ");
      if (!diff.isEmpty() || line.startsWith("--- ")) {
        diff.add(line);
      } else if (line.startsWith(" ")) {
        fields.merge(last, line.strip(), (a, b) -> a + " " + b);
      } else if (!line.isBlank()) {
        last = colon < 0 ? line : line.substring(0, colon);
        if (!FIELDS.contains(last)) {
          throw new IllegalArgumentException(name + ": " + line + ": wanted one of " + FIELDS);
        }
        fields.put(last, line.substring(colon + 2).strip());
      }
    }
    String finds = fields.getOrDefault("Finds", "");
    String why = fields.getOrDefault("Why", "");
    if (finds.isEmpty() == why.isEmpty()) {
      throw new IllegalArgumentException(name + ": wanted either Finds or Why");
    }
    return new Bug(
        name, field(name, fields, "Subject"), field(name, fields, "Commit"),
        field(name, fields, "Bug"), field(name, fields, "Check"), finds, why,
        new UnifiedDiff(diff));
  }

  private static String field(String name, Map<String, String> fields, String field) {
    return Objects.requireNonNull(fields.get(field), () -> name + ": no line " + field);
  }

  /** True when a check must find it. */
  boolean isFound() {
    return !finds.isEmpty();
  }
}
