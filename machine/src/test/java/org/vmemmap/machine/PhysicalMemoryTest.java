// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.machine.Faults.assertFault;

import org.junit.jupiter.api.Test;

/** Bytes at physical addresses. */
class PhysicalMemoryTest {
  private static final long MIB = 1L << 20;
  private static final long SIZE = 8 * MIB;

  private final PhysicalMemory memory = new PhysicalMemory(SIZE);

  /** Memory of a fresh machine. Expect zeros of every width, and no chunk made by reading. */
  @Test
  void get_neverWritten_readsZeroAndCostsNothing() {
    assertEquals(0, memory.getLong(0));
    assertEquals(0, memory.getLongAcquire(SIZE - 8));
    assertEquals(0, memory.getInt(MIB + 4));
    assertEquals(0, memory.getByte(MIB + 7));
    assertEquals(0, memory.chunksMade());
  }

  /**
   * A word seen in all widths; the machine is little-endian.
   *
   * <pre>
   *   0x40: 88 77 66 55 | 44 33 22 11
   * </pre>
   */
  @Test
  void setLong_thenNarrowReads_seeLittleEndianParts() {
    memory.setLong(0x40, 0x1122_3344_5566_7788L);

    assertEquals(0x5566_7788, memory.getInt(0x40));
    assertEquals(0x1122_3344, memory.getInt(0x44));
    assertEquals((byte) 0x88, memory.getByte(0x40));
    assertEquals((byte) 0x11, memory.getByte(0x47));
  }

  /** Narrow writes into one word. Expect the neighbours to stay. */
  @Test
  void setIntAndSetByte_inOneWord_keepTheNeighbours() {
    memory.setLong(0x40, 0x1122_3344_5566_7788L);

    memory.setInt(0x44, 0xaabb_ccdd);
    memory.setByte(0x41, (byte) 0xee);

    assertEquals(0xaabb_ccdd_5566_ee88L, memory.getLong(0x40));
  }

  /** The last word of one chunk and the first of the next. Expect two words, in two chunks. */
  @Test
  void setLong_aroundChunkBorder_touchesTwoChunks() {
    memory.setLong(MIB - 8, 1);
    memory.setLong(MIB, 2);

    assertEquals(1, memory.getLong(MIB - 8));
    assertEquals(2, memory.getLong(MIB));
    assertEquals(2, memory.chunksMade());
  }

  /** Release and acquire are ordinary words to anybody else. */
  @Test
  void setLongRelease_thenPlainRead_seesTheValue() {
    memory.setLongRelease(0x100, 7);

    assertEquals(7, memory.getLong(0x100));
    assertEquals(7, memory.getLongAcquire(0x100));
  }

  /** Compare and exchange. Expect what was there, and a change only when that was expected. */
  @Test
  void compareAndExchange_matchAndMismatch_returnsTheOldWord() {
    memory.setLong(0x80, 5);

    assertEquals(5, memory.compareAndExchange(0x80, 5, 6));
    assertEquals(6, memory.compareAndExchange(0x80, 5, 9));
    assertEquals(6, memory.getLong(0x80));
  }

  /**
   * A fill across a chunk border.
   *
   * <pre>
   *   0xffff0            0x100000           0x100010
   *   | fd fd ... fd fd  | fd fd ... fd fd  | 00 ...
   * </pre>
   */
  @Test
  void fill_acrossChunks_fillsExactlyTheRange() {
    memory.fill(MIB - 16, 32, (byte) 0xfd);

    assertEquals(0, memory.getLong(MIB - 24));
    assertEquals(0xfdfd_fdfd_fdfd_fdfdL, memory.getLong(MIB - 16));
    assertEquals(0xfdfd_fdfd_fdfd_fdfdL, memory.getLong(MIB + 8));
    assertEquals(0, memory.getLong(MIB + 16));
  }

  /** Zeroing memory that reads as zeros anyway. Expect no chunk; what exists is really zeroed. */
  @Test
  void fill_zerosOverUnwrittenMemory_makesNoChunk() {
    memory.setLong(2 * MIB, 9);

    memory.fill(0, SIZE, (byte) 0);

    assertEquals(0, memory.getLong(2 * MIB));
    assertEquals(1, memory.chunksMade());
  }

  /**
   * A copy whose source and target cross chunk borders at different places.
   *
   * <pre>
   *   from  0x0ffff8 [1] | 0x100000 [2] [3]
   *   to    0x1ffff0 [1] [2] | 0x200000 [3]
   * </pre>
   */
  @Test
  void copy_acrossDifferentBorders_keepsTheOrder() {
    memory.setLong(MIB - 8, 1);
    memory.setLong(MIB, 2);
    memory.setLong(MIB + 8, 3);

    memory.copy(2 * MIB - 16, MIB - 8, 24);

    assertEquals(1, memory.getLong(2 * MIB - 16));
    assertEquals(2, memory.getLong(2 * MIB - 8));
    assertEquals(3, memory.getLong(2 * MIB));
  }

  /** A copy from memory that was never written. Expect zeros over what was there. */
  @Test
  void copy_fromUnwrittenMemory_writesZeros() {
    memory.setLong(0x200, 9);

    memory.copy(0x200, 5 * MIB, 8);

    assertEquals(0, memory.getLong(0x200));
  }

  /**
   * Structs of 7 words: one of them crosses a chunk border.
   *
   * <pre>
   *   words {10, 0, ...}, step {1, 0, ...}: 10, 11, 12, 13
   * </pre>
   */
  @Test
  void setRecords_oddSizeAcrossChunks_writesEachCopy() {
    long[] words = {10, 0, 0, 0, 0, 0, 77};
    long[] step = {1, 0, 0, 0, 0, 0, 0};
    long start = MIB - 64;

    memory.setRecords(start, 4, words, step);

    assertEquals(10, memory.getLong(start));
    assertEquals(11, memory.getLong(start + 56));
    assertEquals(77, memory.getLong(start + 56 + 48));
    assertEquals(13, memory.getLong(start + 3 * 56));
    assertEquals(0, memory.getLong(start + 4 * 56));
    assertArrayEquals(new long[] {14, 0, 0, 0, 0, 0, 77}, words);
  }

  /**
   * Copies that change chunks first where they write, or first where they read.
   *
   * <pre>
   *   from  0x0ffff0 [1] [2] | 0x100000 [3] [4]     4 is not copied
   *   to    0x1ffff8 [1] | 0x200000 [2] [3] [9]     9 stays
   * </pre>
   */
  @Test
  void copy_destinationChangesChunksFirst_endsWhereItShould() {
    for (int i = 0; i < 4; i++) {
      memory.setLong(MIB - 16 + 8L * i, i + 1);
    }
    memory.setLong(2 * MIB + 16, 9);

    memory.copy(2 * MIB - 8, MIB - 16, 24);

    assertEquals(1, memory.getLong(2 * MIB - 8));
    assertEquals(2, memory.getLong(2 * MIB));
    assertEquals(3, memory.getLong(2 * MIB + 8));
    assertEquals(9, memory.getLong(2 * MIB + 16));
  }

  /** A copy from a chunk that was written into one that was not. Expect its rest to be cleared. */
  @Test
  void copy_sourceHalfUnwritten_clearsTheRest() {
    memory.setLong(MIB - 8, 1);
    memory.fill(0x400, 32, (byte) 9);

    memory.copy(0x408, MIB - 8, 16);

    assertEquals(0x0909_0909_0909_0909L, memory.getLong(0x400));
    assertEquals(1, memory.getLong(0x408));
    assertEquals(0, memory.getLong(0x410));
    assertEquals(0x0909_0909_0909_0909L, memory.getLong(0x418));
  }

  /** Memory that holds garbage at first. Expect it wherever nobody wrote, in all ways to look. */
  @Test
  void powerOnWith_garbage_isWhereNobodyWrote() {
    memory.powerOnWith(0x55);
    assertEquals(0x55, memory.getLong(0x1000));
    assertEquals(0x55, memory.getLongAcquire(0x1000));
    memory.setLong(0x1008, 1);
    assertEquals(0x55, memory.getLong(0x1000));
    assertEquals(0x55, memory.getLong(MIB - 8));

    memory.copy(0x1008, 3 * MIB, 8);
    assertEquals(0x55, memory.getLong(0x1008));
    memory.fill(2 * MIB, 8, (byte) 0);
    assertEquals(0, memory.getLong(2 * MIB));
    assertEquals(0x55, memory.getLong(2 * MIB + 8));
  }

  /** Memory is filled with the very garbage that it holds. Expect no chunk to be made for it. */
  @Test
  void fill_garbageOverUnwrittenMemory_makesNoChunk() {
    memory.powerOnWith(0x5555_5555_5555_5555L);

    memory.fill(0, SIZE, (byte) 0x55);

    assertEquals(0, memory.chunksMade());
    assertEquals(0x5555_5555_5555_5555L, memory.getLong(8));
  }

  /** The words of a chunk. Expect none where nothing was written, nor while accesses are watched. */
  @Test
  void words_eachAccessMustBeSeen_areRefused() {
    assertNull(memory.words(0, false));
    assertNull(memory.words(0, true));
    memory.setLong(8, 5);
    assertEquals(5, requireNonNull(memory.words(0x1000, true))[PhysicalMemory.wordAt(MIB + 8)]);
    assertEquals(1, memory.chunksMade());

    memory.trackWrites(true);
    assertNull(memory.words(0, false));
    memory.trackWrites(false);
    memory.buffer(new StoreBuffers(memory, 1));
    assertNull(memory.words(0, false));
    memory.buffer(null);
    assertNotNull(memory.words(0, false));
  }

  /** Fills and copies of nothing. Expect nothing. */
  @Test
  void fillAndCopy_noBytes_changeNothing() {
    memory.setLong(0x40, 1);

    memory.fill(0x40, 0, (byte) 7);
    memory.copy(0x40, 0x80, 0);

    assertEquals(1, memory.getLong(0x40));
    assertFault(
        "misaligned-access paddr=0x40 bytes=0xfffffffffffffff8",
        () -> memory.fill(0x40, -8, (byte) 1));
  }

  /** The largest memory there is. Expect its last word to work. */
  @Test
  void newMemory_largest_works() {
    PhysicalMemory largest = new PhysicalMemory(1L << 52);

    largest.setLong((1L << 52) - 8, 3);

    assertEquals(3, largest.getLong((1L << 52) - 8));
  }

  /** Units that are not aligned to their width. Expect a fault that names the address. */
  @Test
  void access_misaligned_faults() {
    assertFault("misaligned-access paddr=0x41", () -> memory.getLong(0x41));
    assertFault("misaligned-access paddr=0x44", () -> memory.setLong(0x44, 1));
    assertFault("misaligned-access paddr=0x42", () -> memory.getInt(0x42));
    assertFault("misaligned-access paddr=0x46", () -> memory.setInt(0x46, 1));
    assertFault("misaligned-access paddr=0x44", () -> memory.compareAndExchange(0x44, 0, 1));
    assertFault("misaligned-access paddr=0x44", () -> memory.getLongAcquire(0x44));
    assertFault("misaligned-access paddr=0x8 bytes=0xc", () -> memory.fill(8, 12, (byte) 1));
    assertFault("misaligned-access paddr=0x14 bytes=0x8", () -> memory.copy(0x10, 4, 8));
    assertEquals(0, memory.getLong(0x40));
  }

  /** Addresses behind the last, and negative ones. Expect a fault that names the address. */
  @Test
  void access_outOfRange_faults() {
    assertFault("no-such-frame paddr=0x800000", () -> memory.getLong(SIZE));
    assertFault("no-such-frame paddr=0x800000", () -> memory.setByte(SIZE, (byte) 1));
    assertFault("no-such-frame paddr=0xfffffffffffffff8", () -> memory.setLong(-8, 1));
    assertFault("no-such-frame paddr=0x800000", () -> memory.fill(SIZE - 8, 16, (byte) 0));
    assertEquals(SIZE, memory.size());
  }

  /** A machine of 16 TiB. Expect it to cost what is written, here one chunk at the far end. */
  @Test
  void setLong_endOf16Tib_makesOneChunk() {
    PhysicalMemory huge = new PhysicalMemory(16L << 40);

    huge.setLong((16L << 40) - 8, 3);

    assertEquals(3, huge.getLong((16L << 40) - 8));
    assertEquals(1, huge.chunksMade());
  }

  /** Sizes that are none. Expect a refusal. */
  @Test
  void newMemory_badSize_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> new PhysicalMemory(0));
    assertThrows(IllegalArgumentException.class, () -> new PhysicalMemory(MIB + 4096));
    assertThrows(IllegalArgumentException.class, () -> new PhysicalMemory(1L << 53));
  }

  /**
   * Writes of every kind after a mark. Expect the old bytes after rewind(), as often as asked.
   *
   * <pre>
   *   0x1000: 7 | 0x2000: 8 | ...   -- mark --   all changed   -- rewind -->   7 | 8 | ...
   * </pre>
   */
  @Test
  void rewind_afterWritesOfEachKind_bringsBackTheBytes() {
    memory.fill(0x1000, 0xa000, (byte) 7);
    int mark = memory.mark();
    for (int round = 0; round < 2; round++) {
      memory.setLong(0x1000, 1);
      memory.setLongRelease(0x2008, 2);
      memory.setInt(0x3004, 3);
      memory.setByte(0x4001, (byte) 4);
      memory.compareAndExchange(0x5000, 0x0707_0707_0707_0707L, 5);
      memory.fill(0x6000, 0x1008, (byte) 0);
      memory.copy(0x8ff8, MIB, 16);
      memory.setRecords(0xa000, 3, new long[] {1, 2}, new long[] {1, 1});
      memory.rewind(mark);
      for (long at = 0x1000; at < 0xb000; at += 8) {
        assertEquals(0x0707_0707_0707_0707L, memory.getLong(at), Long.toHexString(at));
      }
    }
  }

  /** Two marks. Expect the later one to forget nothing of the earlier, and to vanish with it. */
  @Test
  void rewind_toTheEarlierOfTwoMarks_bringsBackWhatItSaw() {
    int first = memory.mark();
    memory.setLong(0x1000, 1);
    int second = memory.mark();
    assertFalse(memory.changedSinceMark(0x1000));
    memory.setLong(0x1000, 2);
    memory.setLong(0x2000, 2);
    assertTrue(memory.changedSinceMark(0x1ff8));
    memory.rewind(second);
    assertEquals(1, memory.getLong(0x1000));
    memory.setLong(0x2000, 3);
    memory.rewind(first);
    assertEquals(0, memory.getLong(0x1000));
    assertEquals(0, memory.getLong(0x2000));
    assertThrows(IllegalStateException.class, () -> memory.rewind(second));
  }
}
