// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Memory that goes back to a mark: what each kind of write keeps, and what it leaves alone. */
class PhysicalMemoryMarksTest {
  private static final long MIB = 1L << 20;
  private static final long PAGE = PhysicalMemory.UNDO_PAGE;

  /** Two pages on either side of the border of two chunks. */
  private static final long FIRST = MIB - PAGE;

  private static final long SECOND = MIB;
  private static final long SOURCE = 5 * MIB;
  private static final long OLD = 0x0707_0707_0707_0707L;

  private final PhysicalMemory memory = new PhysicalMemory(8 * MIB);

  /** Ways to write the two pages and nothing else. */
  enum Write {
    FILL {
      @Override
      void run(PhysicalMemory memory) {
        memory.fill(FIRST, 2 * PAGE, (byte) 0);
      }
    },
    FORGET {
      @Override
      void run(PhysicalMemory memory) {
        memory.forget(FIRST, 2 * PAGE);
      }
    },
    COPY {
      @Override
      void run(PhysicalMemory memory) {
        memory.copy(FIRST, SOURCE, 2 * PAGE);
      }
    },
    COPY_OF_NOTHING {
      @Override
      void run(PhysicalMemory memory) {
        memory.copy(FIRST, SOURCE + MIB, 2 * PAGE);
      }
    },
    RECORDS {
      @Override
      void run(PhysicalMemory memory) {
        memory.setRecords(FIRST, (int) (2 * PAGE / 16), new long[] {1, 2}, new long[2]);
      }
    },
    BUFFERED {
      @Override
      void run(PhysicalMemory memory) {
        StoreBuffers buffers = new StoreBuffers(memory, 1);
        memory.buffer(buffers);
        memory.fill(FIRST, 2 * PAGE, (byte) 1);
        buffers.drain();
        memory.buffer(null);
      }
    };

    abstract void run(PhysicalMemory memory);
  }

  /**
   * A write over the border of two chunks, behind a mark.
   *
   * <pre>
   *   | page before | FIRST: written || SECOND: written | page behind |
   * </pre>
   *
   * Expect both pages to have changed, no other, and all to be as before after rewind().
   */
  @ParameterizedTest
  @EnumSource
  void rewind_writeOverTwoChunks_bringsBackBothPages(Write write) {
    memory.fill(FIRST - PAGE, 4 * PAGE, (byte) 7);
    memory.fill(SOURCE, 2 * PAGE, (byte) 9);
    int mark = memory.mark();

    write.run(memory);

    assertEquals(List.of(FIRST, SECOND), changed());
    assertEquals(0, wordsThatAre(OLD, FIRST, 2 * PAGE));
    assertEquals(PAGE / 8, wordsThatAre(OLD, FIRST - PAGE, PAGE));
    assertEquals(PAGE / 8, wordsThatAre(OLD, SECOND + PAGE, PAGE));
    memory.rewind(mark);
    assertEquals(2 * PAGE / 8, wordsThatAre(OLD, FIRST, 2 * PAGE));
    assertEquals(List.of(), changed());
  }

  private long wordsThatAre(long word, long paddr, long bytes) {
    long n = 0;
    for (long at = paddr; at < paddr + bytes; at += Long.BYTES) {
      n += memory.getLong(at) == word ? 1 : 0;
    }
    return n;
  }

  private List<Long> changed() {
    List<Long> pages = new ArrayList<>();
    for (long page = 0; page < memory.size(); page += PAGE) {
      if (memory.changedSinceMark(page)) {
        pages.add(page);
      }
    }
    return pages;
  }

  /** A loop that stores into the words of a chunk. Expect its page to come back, as of one that reads not. */
  @Test
  void words_forStores_keepThePage() {
    memory.setLong(0x1008, 7);
    int mark = memory.mark();

    long[] words = requireNonNull(memory.words(0x2000, false));
    assertEquals(7, words[PhysicalMemory.wordAt(0x1008)]);
    assertEquals(List.of(), changed());
    words = requireNonNull(memory.words(0x1008, true));
    assertEquals(List.of(0x1000L), changed());
    words[PhysicalMemory.wordAt(0x1008)] = 8;
    assertEquals(8, memory.getLong(0x1008));

    memory.rewind(mark);
    assertEquals(7, memory.getLong(0x1008));
  }

  /** A page is written, then another, then the first. Expect one copy of each, from before. */
  @Test
  void rewind_pagesInTurn_bringsBackTheFirstBytes() {
    memory.setLong(0x1000, 1);
    memory.setLong(0x2000, 2);
    int mark = memory.mark();
    memory.setLong(0x1ff8, 5);
    memory.setLong(0x2000, 6);
    memory.setLong(0x1000, 7);

    memory.rewind(mark);

    assertEquals(1, memory.getLong(0x1000));
    assertEquals(0, memory.getLong(0x1ff8));
    assertEquals(2, memory.getLong(0x2000));
  }

  /** The same page behind a second mark, and after going back to it. Expect it to be kept anew. */
  @Test
  void mark_pageWrittenLast_isKeptAgain() {
    int first = memory.mark();
    memory.setLong(0x1000, 1);
    int second = memory.mark();
    assertEquals(first + 1, second);
    memory.setLong(0x1000, 2);
    memory.rewind(second);
    assertFalse(memory.changedSinceMark(0x1000));
    memory.setLong(0x1000, 3);
    assertTrue(memory.changedSinceMark(0x1000));
    memory.rewind(second);
    assertEquals(1, memory.getLong(0x1000));
    memory.rewind(first);
    assertEquals(0, memory.getLong(0x1000));
    memory.setLong(0x1000, 4);
    memory.rewind(first);
    assertEquals(0, memory.getLong(0x1000));
  }

  /** Nobody set a mark. Expect everything to count as changed, and no way back. */
  @Test
  void rewind_withoutAMark_isRefused() {
    assertTrue(memory.changedSinceMark(0));
    assertEquals(
        "mark=1 of 0",
        assertThrows(IllegalStateException.class, () -> memory.rewind(1)).getMessage());
    memory.mark();
    assertEquals(
        "mark=0 of 1",
        assertThrows(IllegalStateException.class, () -> memory.rewind(0)).getMessage());
  }
}
