// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Lines of /proc/iomem: {@code 00100000-bfffffff : System RAM}, children indented. */
public final class Iomem {
  private Iomem() {}

  /**
   * One line.
   *
   * @param depth 0 at the top level, one more for each two blanks
   * @param start first byte
   * @param end first byte behind
   * @param name the name of the resource
   */
  public record Line(int depth, long start, long end, String name) {}

  /** Reads one line; null when it is none. The end in the text is the last byte of the range. */
  public static @Nullable Line parseLine(String text) {
    int indent = 0;
    while (indent < text.length() && text.charAt(indent) == ' ') {
      indent++;
    }
    int dash = text.indexOf('-');
    int colon = text.indexOf(" : ");
    if (dash < 0 || colon < dash) {
      return null;
    }
    long start = Numbers.hex(text.substring(indent, dash));
    long last = Numbers.hex(text.substring(dash + 1, colon));
    return start < 0 || last < 0
        ? null
        : new Line(indent / 2, start, last + 1, text.substring(colon + 3).strip());
  }

  /** Reads a whole file. @throws BadInput naming {@code source} and the first line that is none */
  public static List<Line> parse(String source, List<String> lines) {
    List<Line> result = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      String text = lines.get(i);
      if (text.isBlank()) {
        continue;
      }
      Line line = parseLine(text);
      if (line == null) {
        throw new BadInput(
            "%s line %d: %s: wanted START-END : NAME in hexadecimal, as /proc/iomem prints it"
                .formatted(source, i + 1, text.strip()));
      }
      result.add(line);
    }
    return result;
  }
}
