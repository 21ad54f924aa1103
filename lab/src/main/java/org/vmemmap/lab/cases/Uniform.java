// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;

/** Values that are expected to be all alike: the one value, or a text that says what they are. */
final class Uniform {
  private static final int SHOWN = 4;

  private final Map<Object, Long> counts = new LinkedHashMap<>();

  /** Takes one more value. */
  void add(Object value) {
    counts.merge(value, 1L, Long::sum);
  }

  /** The value that all have; else each with its number, which equals no expectation. */
  Object value() {
    if (counts.size() == 1) {
      return counts.keySet().iterator().next();
    }
    if (counts.isEmpty()) {
      return "(nothing)";
    }
    StringJoiner text = new StringJoiner(", ", "not uniform: ", "");
    int shown = 0;
    for (Map.Entry<Object, Long> entry : counts.entrySet()) {
      if (shown++ == SHOWN) {
        text.add("...");
        break;
      }
      text.add(entry.getKey() + " (" + entry.getValue() + ")");
    }
    return text.toString();
  }

  /** The columns of rows of equal length, each as one value. */
  static List<Object> columns(List<List<Object>> rows) {
    List<Object> result = new ArrayList<>();
    int width = rows.isEmpty() ? 0 : rows.getFirst().size();
    for (int i = 0; i < width; i++) {
      Uniform column = new Uniform();
      for (List<Object> row : rows) {
        column.add(row.get(i));
      }
      result.add(column.value());
    }
    return result;
  }
}
