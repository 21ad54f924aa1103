// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The compact lists of case files. */
class IndexesTest {
  /** Single numbers and ranges, ends included. */
  @Test
  void parse_numbersAndRanges_givesEachNumber() {
    assertArrayEquals(new long[] {0, 4, 5, 6, 511}, Indexes.parse("0,4-6,511"));
  }

  /** What {@link Indexes#format} writes, {@link Indexes#parse} reads. */
  @Test
  void format_ascendingNumbers_joinsNeighbours() {
    assertEquals("0,4-6,511", Indexes.format(new long[] {0, 4, 5, 6, 511}));
  }

  /** A list of 20000 lone numbers, as a freed gigantic page leaves it, is read at once and in order. */
  @Test
  void parse_manyLoneNumbers_givesEachNumber() {
    long[] odd = LongStream.range(0, 20000).map(i -> 2 * i + 1).toArray();

    assertTimeoutPreemptively(
        Duration.ofSeconds(5), () -> assertArrayEquals(odd, Indexes.parse(Indexes.format(odd))));
  }

  /** Anything else is no list. */
  @ParameterizedTest
  @ValueSource(strings = {"", "1,", "a", "1-", "5-3", "1..2", "-1", "0x1"})
  void parse_noList_isRefused(String text) {
    assertThrows(NumberFormatException.class, () -> Indexes.parse(text));
  }

  /** A set of pfns is shown as runs, whatever the order they come in. */
  @Test
  void runs_pfnsInAnyOrder_areShownAsFirstCountStep() {
    long[] pfns = {1081856, 1049088, 1049600, 1050112};

    assertEquals("[1049088,3,512] [1081856,1,0]", Indexes.runs(pfns));
  }
}
