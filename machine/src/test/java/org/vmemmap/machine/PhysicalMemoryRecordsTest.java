// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Arrays of structs in physical memory. */
class PhysicalMemoryRecordsTest {
  private static final long CHUNK = 1 << 20;

  /**
   * Three records of three words, the second one across the border of two chunks.
   *
   * <pre>
   *   chunk 0              | chunk 1
   *   ... [ a a+1 a+2 ][ b | b+1 b+2 ][ c c+1 c+2 ]
   * </pre>
   *
   * Expect every word where single writes would put it, and the pattern ready for a fourth record.
   */
  @Test
  void setRecords_acrossChunks_writesEveryWord() {
    PhysicalMemory memory = new PhysicalMemory(2 * CHUNK);
    long[] words = {100, 200, 300};
    long first = CHUNK - 32;

    memory.setRecords(first, 3, words, new long[] {1, 10, 0});

    long[] seen = new long[9];
    Arrays.setAll(seen, i -> memory.getLong(first + 8L * i));
    assertArrayEquals(new long[] {100, 200, 300, 101, 210, 300, 102, 220, 300}, seen);
    assertArrayEquals(new long[] {103, 230, 300}, words);
    assertEquals(0, memory.getLong(first - 8));
    assertEquals(0, memory.getLong(first + 72));
  }

  /**
   * Eight records that are alike, the third one across the border of two chunks.
   *
   * <pre>
   *   chunk 0                   | chunk 1
   *   0 [ a b c ][ a b c ][ a b | c ][ a b c ][ a b c ][ a b c ][ a b c ][ a b c ] 0
   * </pre>
   *
   * Expect all of them, nothing around them, and the pattern as it was.
   */
  @Test
  void setRecords_withoutSteps_repeatsTheRecord() {
    PhysicalMemory memory = new PhysicalMemory(2 * CHUNK);
    long[] words = {100, 200, 300};
    long first = CHUNK - 64;

    memory.setRecords(first, 8, words, new long[3]);

    for (int i = 0; i < 24; i++) {
      assertEquals(100L * (i % 3 + 1), memory.getLong(first + 8L * i));
    }
    assertArrayEquals(new long[] {100, 200, 300}, words);
    assertEquals(0, memory.getLong(first - 8));
    assertEquals(0, memory.getLong(first + 24 * 8));
  }
}
