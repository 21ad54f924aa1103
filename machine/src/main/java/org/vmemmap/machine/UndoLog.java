// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What memory held before it was written: a copy of each page of {@value #PAGE} bytes, made before
 * the first write to it. Pages are those of this log, whatever the page size of the machine.
 */
final class UndoLog {
  /** Bytes of a page of this log. */
  static final long PAGE = 4096;

  private static final int PAGE_SHIFT = 12;
  private static final int WORD_SHIFT = PAGE_SHIFT + 6;
  private static final int MAP_SHIFT = 32;
  private static final int WORDS = 1 << (MAP_SHIFT - WORD_SHIFT);

  /** A bit for each page that has a copy, in a map for each 4 GiB of addresses. */
  private long[] @Nullable [] maps = new long[1][];

  private final List<long[]> copies = new ArrayList<>();
  private long[] pages = new long[64];
  private int used;

  /** Puts a page back. */
  @FunctionalInterface
  interface Sink {
    /** {@code words} are what the page at {@code paddr} held. */
    void put(long paddr, long[] words);
  }

  /** True when the page around {@code paddr} has a copy. */
  boolean holds(long paddr) {
    int at = (int) (paddr >>> MAP_SHIFT);
    long @Nullable [] map = at < maps.length ? maps[at] : null;
    return map != null && (map[word(paddr)] >>> (paddr >>> PAGE_SHIFT) & 1) != 0;
  }

  private static int word(long paddr) {
    return (int) (paddr >>> WORD_SHIFT) & (WORDS - 1);
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

  /** Copies the page at {@code page}, which starts at {@code at} in {@code chunk}. */
  void keep(long page, long[] chunk, int at) {
    if (used == copies.size()) {
      copies.add(new long[(int) (PAGE / Long.BYTES)]);
      pages = used < pages.length ? pages : Arrays.copyOf(pages, 2 * used);
    }
    long[] copy = copies.get(used);
    System.arraycopy(chunk, at, copy, 0, copy.length);
    pages[used++] = page;
    map(page)[word(page)] |= 1L << (page >>> PAGE_SHIFT);
  }

  /** Hands all copies to {@code sink} and starts afresh; the arrays are used again. */
  void rewind(Sink sink) {
    for (int i = 0; i < used; i++) {
      sink.put(pages[i], copies.get(i));
      map(pages[i])[word(pages[i])] = 0;
    }
    used = 0;
  }
}
