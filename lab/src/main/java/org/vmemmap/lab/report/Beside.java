// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Two kernels on the same machine: the numbers that differ.
 *
 * @param one what the first kernel is called
 * @param other what the second is called
 * @param rows the numbers, in the order of the report
 */
public record Beside(String one, String other, List<Row> rows) {
  private static final String NONE = "-";

  /** Copies the list. */
  public Beside {
    rows = List.copyOf(rows);
  }

  /**
   * A number.
   *
   * @param name its name
   * @param one its value with the first kernel; a dash when it does not have it
   * @param other its value with the second
   */
  public record Row(String name, String one, String other) {}

  /** Compares what {@link Numbers} gives of each. */
  public static Beside of(
      String one, Map<String, String> numbers, String other, Map<String, String> otherNumbers) {
    Set<String> names = new LinkedHashSet<>(numbers.keySet());
    names.addAll(otherNumbers.keySet());
    List<Row> rows = new ArrayList<>();
    for (String name : names) {
      Row row =
          new Row(
              name, numbers.getOrDefault(name, NONE), otherNumbers.getOrDefault(name, NONE));
      if (!row.one().equals(row.other())) {
        rows.add(row);
      }
    }
    return new Beside(one, other, rows);
  }

  /** A table under a heading. */
  public String text() {
    String heading = "The machine with two kernels: what differs\n";
    if (rows.isEmpty()) {
      return heading + "  nothing between " + one + " and " + other + "\n";
    }
    Table table = new Table("lrr", "", one, other);
    rows.forEach(row -> table.row(row.name(), row.one(), row.other()));
    return heading + table;
  }
}
