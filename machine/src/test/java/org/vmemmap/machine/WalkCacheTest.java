// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.vmemmap.machine.ToyMachine.ROOT;
import static org.vmemmap.machine.ToyMachine.readWrite;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The tables that walks have been through.
 *
 * <pre>
 *   frame 0x1 (root) -&gt; 0x10, serves 0x20000 to 0x3ffff -&gt; 0x11, serves 0x24000 to 0x27fff -&gt; page
 * </pre>
 */
class WalkCacheTest {
  private static final long VA = 0x2_5000;
  private static final long UPPER = 0x10;
  private static final long LOWER = 0x11;
  private static final long NONE = -1;

  private final ToyMachine toy = new ToyMachine(OddFormat.withLevels(3), 1);
  private final WalkCache cache = new WalkCache(toy.machine.mmu(), toy.machine.format());

  private void walk() {
    toy.map(ROOT, VA, 0, readWrite(0x8_0000));
    cache.walked(ROOT, VA);
  }

  /** One walk. Expect both tables, neither the root nor the page. */
  @Test
  void walked_threeLevels_remembersTheTablesInBetween() {
    walk();

    assertEquals(UPPER, cache.reached(UPPER, 1));
    assertEquals(LOWER, cache.reached(LOWER, 1));
    assertEquals(NONE, cache.reached(0, UPPER));
    assertEquals(NONE, cache.reached(LOWER + 1, 0x1000));
  }

  /** Runs of frames that end before the table, at it, and begin behind it. */
  @ParameterizedTest
  @CsvSource({"0x12, 3, -1", "0x12, 4, 0x15", "0x15, 1, 0x15", "0x16, 4, -1", "0x15, 0, -1"})
  void reached_runsAroundATable_findIt(String frame, int n, String found) {
    toy.set(ROOT + 8, 0x1_5000 | OddFormat.PRESENT);
    cache.walked(ROOT, VA);

    assertEquals(Long.decode(found), cache.reached(Long.decode(frame), n));
  }

  /** A large leaf, and nothing at all. Expect only the tables on the way. */
  @Test
  void walked_leafOrNothingBelow_endsThere() {
    toy.map(ROOT, VA, 1, readWrite(0x8_0000));
    cache.walked(ROOT, VA);
    cache.walked(ROOT, 0x4_0000);

    assertEquals(UPPER, cache.reached(UPPER, 1));
    assertEquals(NONE, cache.reached(UPPER + 1, 0x1000));
    assertEquals(NONE, cache.reached(0, UPPER));
  }

  /**
   * Flushes next to the addresses of a table, of its first and last byte, and of all of it. Expect
   * each table to go when one of its addresses is flushed.
   */
  @ParameterizedTest
  @CsvSource({
    "0x1f000, 0x20000, true, true",
    "0x20000, 0x20001, false, true",
    "0x23fff, 0x24000, false, true",
    "0x23fff, 0x24001, false, false",
    "0x27fff, 0x28000, false, false",
    "0x28000, 0x29000, false, true",
    "0x3ffff, 0x40000, false, true",
    "0x40000, 0x41000, true, true",
    "0x0, 0xffffffffffffffff, false, false",
  })
  void flushRange_aroundServedAddresses_dropsWhatServesThem(
      String start, String end, boolean upperStays, boolean lowerStays) {
    walk();

    cache.flushRange(Long.decode(start), Long.parseUnsignedLong(end.substring(2), 16));

    assertEquals(upperStays ? UPPER : NONE, cache.reached(UPPER, 1));
    assertEquals(lowerStays ? LOWER : NONE, cache.reached(LOWER, 1));
  }

  /** A table that was walked once is taken out behind a flush. Expect it again, and no other. */
  @Test
  void cleared_walkedOnce_isBack() {
    walk();
    cache.flushAll();
    assertEquals(NONE, cache.reached(0, 0x1000));

    cache.cleared(LOWER << 12);
    cache.cleared(0x5_0000);

    assertEquals(LOWER, cache.reached(0, 0x1000));
    cache.flushRange(0x2_7000, 0x2_8000);
    assertEquals(NONE, cache.reached(0, 0x1000));
  }
}
