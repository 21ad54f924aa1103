// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.vmemmap.types.Series;

/** What can be seen of the kernel at each of the levels, 0 to {@link Series#LAST}. */
public final class SeriesTable {
  private static final String NONE = "-";

  private SeriesTable() {}

  /**
   * One thing that is measured.
   *
   * @param name its name
   * @param values what it is at each level, from level 0 on
   */
  public record Row(String name, List<String> values) {
    /** Copies the list. */
    public Row {
      values = List.copyOf(values);
    }

    /** The levels whose value is not that of the level before. */
    public List<Integer> changes() {
      return IntStream.range(1, values.size())
          .filter(n -> !values.get(n).equals(values.get(n - 1)))
          .boxed()
          .toList();
    }
  }

  /** All observables at all levels. */
  public static List<Row> observables() {
    return rows(
        level -> {
          Map<String, String> values = new LinkedHashMap<>();
          Observables.all().forEach(one -> values.put(one.name(), one.at(level)));
          return values;
        });
  }

  /**
   * All levels, two or more at a time.
   *
   * @param look what there is to tell of a level, by name; a name that a level does not have is
   *     shown as {@code -}
   */
  public static List<Row> rows(Function<Level, Map<String, String>> look) {
    List<Map<String, String>> levels =
        IntStream.rangeClosed(0, Series.LAST)
            .parallel()
            .mapToObj(n -> look.apply(new Level(n)))
            .toList();
    Set<String> names = new LinkedHashSet<>();
    levels.forEach(level -> names.addAll(level.keySet()));
    List<Row> rows = new ArrayList<>();
    for (String name : names) {
      rows.add(
          new Row(name, levels.stream().map(level -> level.getOrDefault(name, NONE)).toList()));
    }
    return rows;
  }
}
