// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Copies of pages that are made before the first write to them. */
class UndoLogTest {
  private static final long PAGE = UndoLog.PAGE;
  private static final int WORDS = (int) (PAGE / Long.BYTES);

  private final UndoLog log = new UndoLog();

  /** Two pages in one chunk, the second kept. Expect its words, all of them, and no others. */
  @Test
  void rewind_pageInsideAChunk_handsOutItsWords() {
    long[] chunk = new long[3 * WORDS];
    chunk[WORDS - 1] = 1;
    chunk[WORDS] = 2;
    chunk[2 * WORDS - 1] = 3;
    chunk[2 * WORDS] = 4;
    log.keep(PAGE, chunk, WORDS);

    log.rewind(
        (paddr, words) -> {
          assertEquals(PAGE, paddr);
          assertEquals(WORDS, words.length);
          assertEquals(2, words[0]);
          assertEquals(3, words[WORDS - 1]);
        });
    assertEquals(Map.of(), rewound());
  }

  /**
   * A page that is kept, and others that share a part of its number.
   *
   * <pre>
   *   0x5000 kept | 0x6000 the next | 0x45000 64 pages up | 4 GiB up | 8 GiB up
   * </pre>
   *
   * Expect the log to hold the one page, from its first to its last byte.
   */
  @Test
  void holds_otherPages_areNotHeld() {
    log.keep(0x5000, page(1), 0);

    assertTrue(log.holds(0x5000));
    assertTrue(log.holds(0x5fff));
    assertFalse(log.holds(0x4fff));
    assertFalse(log.holds(0x6000));
    assertFalse(log.holds(0x4_5000));
    assertFalse(log.holds(0x1_0000_5000L));
    assertFalse(log.holds(0x2_0000_5000L));
  }

  /** A page and one whose number differs in one place. Expect both, each with its own words. */
  @ParameterizedTest
  @ValueSource(longs = {0x1000, 0x4_0000, 0x8000_0000L, 0x1_0000_0000L, 0x8_0000_0000L})
  void rewind_twoPages_handsOutEach(long apart) {
    log.keep(0, page(1), 0);
    assertFalse(log.holds(apart));
    log.keep(apart, page(2), 0);

    Map<Long, Long> expected = new TreeMap<>();
    expected.put(0L, 1L);
    expected.put(apart, 2L);
    assertEquals(expected, rewound());
    assertFalse(log.holds(0));
    assertFalse(log.holds(apart));
  }

  /** As many pages as the log has room for at first, and more. Expect all of them back. */
  @ParameterizedTest
  @ValueSource(ints = {64, 65, 200})
  void rewind_manyPages_handsOutAll(int pages) {
    Map<Long, Long> expected = new TreeMap<>();
    for (long n = 0; n < pages; n++) {
      log.keep(n * PAGE, page(n), 0);
      expected.put(n * PAGE, n);
    }

    assertEquals(expected, rewound());
  }

  /**
   * Three rounds: page A is written in the first and the last, page B in the first only.
   *
   * <pre>
   *   round 1   A: 1, B: 2   back: A, B
   *   round 2                back: nothing
   *   round 3   A: 9         back: A, as it was in round 1
   * </pre>
   */
  @Test
  void rewind_severalRounds_handsOutWhatChangedAsItWasAtFirst() {
    long a = 0x7000;
    long b = 0x8000;
    log.keep(a, page(1), 0);
    log.keep(b, page(2), 0);
    assertEquals(2, rewound().size());
    assertEquals(0, rewound().size());

    log.keep(a, page(9), 0);

    assertTrue(log.holds(a));
    assertFalse(log.holds(b));
    assertEquals(Map.of(a, 1L), rewound());
  }

  private static long[] page(long first) {
    long[] words = new long[WORDS];
    words[0] = first;
    return words;
  }

  /** The first words of the pages that a rewind hands out, by address. */
  private Map<Long, Long> rewound() {
    Map<Long, Long> seen = new TreeMap<>();
    log.rewind((paddr, words) -> seen.put(paddr, words[0]));
    return seen;
  }
}
