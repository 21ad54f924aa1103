// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.history;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A unified diff of some files. Context must fit exactly; where it is, is found by the text: line
 * numbers only say where to look first.
 */
final class UnifiedDiff {
  private static final String OLD = "--- a/";
  private static final String NEW = "+++ b/";
  private static final Pattern HUNK = Pattern.compile("@@ -([0-9]+)(?:,[0-9]+)? \\+[0-9,]+ @@.*");

  private record Hunk(int line, List<String> before, List<String> after) {}

  private final Map<String, List<Hunk>> files = new LinkedHashMap<>();

  /** Reads the lines from the first {@code ---} on. */
  UnifiedDiff(List<String> lines) {
    List<Hunk> hunks = new ArrayList<>();
    for (String line : lines) {
      Matcher header = HUNK.matcher(line);
      if (line.startsWith(OLD)) {
        hunks = new ArrayList<>();
        files.put(line.substring(OLD.length()), hunks);
      } else if (header.matches()) {
        int first = Integer.parseInt(header.group(1));
        hunks.add(new Hunk(first, new ArrayList<>(), new ArrayList<>()));
      } else if (!line.startsWith(NEW)) {
        add(hunks.getLast(), line);
      }
    }
  }

  private static void add(Hunk hunk, String line) {
    char kind = line.isEmpty() ? ' ' : line.charAt(0);
    String text = line.isEmpty() ? "" : line.substring(1);
    if (kind != '+') {
      hunk.before().add(text);
    }
    if (kind != '-') {
      hunk.after().add(text);
    }
  }

  /** The files, by their paths. */
  List<String> files() {
    return List.copyOf(files.keySet());
  }

  /**
   * The files as the diff makes them.
   *
   * @param read the text of a file, by its path
   * @throws IllegalArgumentException for a hunk that does not fit, with the file
   */
  Map<String, String> apply(Function<String, String> read) {
    Map<String, String> changed = new LinkedHashMap<>();
    files.forEach((file, hunks) -> changed.put(file, apply(file, read.apply(file), hunks)));
    return changed;
  }

  private static String apply(String file, String text, List<Hunk> hunks) {
    List<String> lines = new ArrayList<>(List.of(text.split("\n", -1)));
    int grown = 0;
    int number = 1;
    for (Hunk hunk : hunks) {
      int at = find(lines, hunk, hunk.line() - 1 + grown);
      if (at < 0) {
        throw new IllegalArgumentException(
            "%s: hunk %d of %d does not fit, it begins with \"%s\""
                .formatted(file, number, hunks.size(), hunk.before().getFirst().strip()));
      }
      lines.subList(at, at + hunk.before().size()).clear();
      lines.addAll(at, hunk.after());
      grown += hunk.after().size() - hunk.before().size();
      number++;
    }
    return String.join("\n", lines);
  }

  /** Where the lines of {@code hunk} are that is nearest to {@code wanted}; -1 for nowhere. */
  private static int find(List<String> lines, Hunk hunk, int wanted) {
    int size = hunk.before().size();
    int found = -1;
    for (int at = 0; at + size <= lines.size(); at++) {
      boolean nearer = found < 0 || Math.abs(at - wanted) < Math.abs(found - wanted);
      if (nearer && lines.subList(at, at + size).equals(hunk.before())) {
        found = at;
      }
    }
    return found;
  }
}
