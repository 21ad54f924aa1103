// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What memory held before it was written: a copy of each page of {@value #PAGE} bytes, made before
 * the first write to it. Pages are those of this log, whatever the page size of the machine.
 *
 * <p>The copies stay good when they have been put back, so a page is copied once however often
 * memory goes back.
 */
final class UndoLog {
  /** Bytes of a page of this log. */
  static final long PAGE = 4096;

  private static final int PAGE_SHIFT = 12;
  private static final int WORD_SHIFT = PAGE_SHIFT + 6;
  private static final int MAP_SHIFT = 32;
  private static final int WORDS = 1 << (MAP_SHIFT - WORD_SHIFT);

  private final Bits copied = new Bits();
  private final Bits changed = new Bits();
  private final List<long[]> copies = new ArrayList<>();
  private long[] pages = new long[64];

  /** Puts a page back. */
  @FunctionalInterface
  interface Sink {
    /** {@code words} are what the page at {@code paddr} held. */
    void put(long paddr, long[] words);
  }

  /** A bit for each page, in a map for each 4 GiB of addresses. */
  private static final class Bits {
    private long[] @Nullable [] maps = new long[1][];

    boolean get(long paddr) {
      int at = (int) (paddr >>> MAP_SHIFT);
      long @Nullable [] map = at < maps.length ? maps[at] : null;
      return map != null && (map[word(paddr)] >>> (paddr >>> PAGE_SHIFT) & 1) != 0;
    }

    void set(long paddr) {
      map(paddr)[word(paddr)] |= 1L << (paddr >>> PAGE_SHIFT);
    }

    private long[] map(long paddr) {
      int at = (int) (paddr >>> MAP_SHIFT);
      if (at >= maps.length) {
        maps = Arrays.copyOf(maps, at + 1);
      }
      long @Nullable [] map = maps[at];
      if (map == null) {
        map = new long[WORDS];
        maps[at] = map;
      }
      return map;
    }

    /** Clears a bit that is set. */
    void clear(long paddr) {
      map(paddr)[word(paddr)] &= ~(1L << (paddr >>> PAGE_SHIFT));
    }

    private static int word(long paddr) {
      return (int) (paddr >>> WORD_SHIFT) & (WORDS - 1);
    }
  }

  /** True when the page around {@code paddr} may have changed. */
  boolean holds(long paddr) {
    return changed.get(paddr);
  }

  /** To be called before a write to the page at {@code page}, which is at {@code at} in {@code chunk}. */
  void keep(long page, long[] chunk, int at) {
    if (!copied.get(page)) {
      long[] copy = new long[(int) (PAGE / Long.BYTES)];
      System.arraycopy(chunk, at, copy, 0, copy.length);
      pages = copies.size() < pages.length ? pages : Arrays.copyOf(pages, 2 * pages.length);
      pages[copies.size()] = page;
      copies.add(copy);
      copied.set(page);
    }
    changed.set(page);
  }

  /** Hands the copies of all pages that have changed to {@code sink} and starts afresh. */
  void rewind(Sink sink) {
    for (int i = 0; i < copies.size(); i++) {
      if (changed.get(pages[i])) {
        sink.put(pages[i], copies.get(i));
        changed.clear(pages[i]);
      }
    }
  }
}
