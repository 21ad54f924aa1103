// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The table of all levels. */
class SeriesTableTest {
  /**
   * A value that is the same from level 3 to level 48 and that level 49 does not have. Expect 50
   * values, a dash for the one that is missing, and the changes where they are.
   */
  @Test
  void rows_values_standInTheOrderOfLevels() {
    List<SeriesTable.Row> rows =
        SeriesTable.rows(
            level -> {
              int n = Integer.parseInt(level.series().name());
              return n == 49 ? Map.of() : Map.of("value", Integer.toString(Math.min(n, 3)));
            });
    assertEquals(1, rows.size());
    assertEquals(50, rows.getFirst().values().size());
    assertEquals(List.of("0", "1", "2", "3", "3"), rows.getFirst().values().subList(0, 5));
    assertEquals("-", rows.getFirst().values().getLast());
    assertEquals(List.of(1, 2, 3, 49), rows.getFirst().changes());
  }

  /** Every observable far from the patch that it is made for. Expect a value, as the table has one. */
  @ParameterizedTest
  @ValueSource(ints = {0, 20, 33, 41})
  void at_anyLevel_hasAValue(int level) {
    Level measured = new Level(level);

    for (Observable one : Observables.all()) {
      assertFalse(one.at(measured).isEmpty(), one.name());
    }
  }
}
