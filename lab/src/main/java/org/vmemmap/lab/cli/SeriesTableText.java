// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.report.Json;
import org.vmemmap.lab.series.Observable;
import org.vmemmap.lab.series.Observables;
import org.vmemmap.lab.series.SeriesTable;
import org.vmemmap.types.Series;

/**
 * {@code series table}: the machine of a scenario at all levels; without a file also all
 * observables.
 *
 * <p>A line gives a value at level 0 and then each other value with the level that brings it.
 */
final class SeriesTableText {
  private final @Nullable String file;
  private final SeriesScenario scenario;

  /** Reads the scenario. @throws org.vmemmap.lab.boot.BadInput for a file that is none */
  SeriesTableText(@Nullable String file) {
    this.file = file;
    this.scenario = SeriesScenario.of(file);
  }

  /** Measures, and returns the table. */
  String print(boolean json) {
    List<SeriesTable.Row> observables = file == null ? SeriesTable.observables() : List.of();
    List<SeriesTable.Row> numbers = SeriesTable.rows(level -> scenario.at(level.series()));
    return json ? json(observables, numbers) : text(observables, numbers);
  }

  private String text(List<SeriesTable.Row> observables, List<SeriesTable.Row> numbers) {
    StringBuilder text = new StringBuilder();
    text.append("Levels 0 to %d; a value stands until the next *level\n".formatted(Series.LAST));
    if (!observables.isEmpty()) {
      text.append("\nEach observable in its own scenario\n");
      observables.forEach(row -> text.append(line(row)));
    }
    text.append("\n").append(file == null ? SeriesScenario.STANDARD : file).append('\n');
    numbers.forEach(row -> text.append(line(row)));
    return text.toString();
  }

  private static String line(SeriesTable.Row row) {
    List<String> values = new ArrayList<>();
    values.add(row.values().getFirst());
    row.changes().forEach(n -> values.add("*" + n + ": " + row.values().get(n)));
    return "  %-28s %s\n".formatted(row.name(), String.join("  ", values));
  }

  private static String json(List<SeriesTable.Row> observables, List<SeriesTable.Row> numbers) {
    Json json = new Json().object().list("levels");
    IntStream.rangeClosed(0, Series.LAST).forEach(n -> json.add(Integer.toString(n)));
    json.endList().list("observables");
    for (SeriesTable.Row row : observables) {
      Observable one = Observables.named(row.name());
      row(json.object().put("unit", one.unit()).put("scenario", one.scenario()), row);
    }
    for (SeriesTable.Row row : numbers) {
      row(json.object(), row);
    }
    return json.endList().endObject() + "\n";
  }

  private static void row(Json json, SeriesTable.Row row) {
    json.put("name", row.name()).list("values");
    row.values().forEach(json::add);
    json.endList().list("changes");
    row.changes().forEach(n -> json.add(Integer.toString(n)));
    json.endList().endObject();
  }
}
