// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;

/** Values that are expected to be all alike: the one value, or a text that says what they are. */
final class Uniform {
  private static final int SHOWN = 4;

  private final Map<Object, Long> counts = new LinkedHashMap<>();
  private @Nullable Object last;
  private long run;

  /** Takes one more value. Mostly it is the one before, which need not be looked up. */
  @SuppressWarnings("ReferenceEquality")
  void add(Object value) {
    if (value != last) {
      count();
      last = value;
    }
    run++;
  }

  private void count() {
    Object counted = last;
    if (counted != null) {
      counts.merge(counted, run, Long::sum);
    }
    last = null;
    run = 0;
  }

  /** The value that all have; else each with its number, which equals no expectation. */
  Object value() {
    count();
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
