// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What memory held before it was written: a copy of each page of {@value #PAGE} bytes, made before
 * the first write to it. Pages are those of this log, whatever the page size of the machine.
 */
final class UndoLog {
  /** Bytes of a page of this log. */
  static final long PAGE = 4096;

  private static final int REGION_SHIFT = 20;
  private static final int PAGE_SHIFT = 12;
  private static final int PAGE_IN_REGION = (1 << (REGION_SHIFT - PAGE_SHIFT)) - 1;

  private final Map<Long, BitSet> regions = new HashMap<>();
  private final List<long[]> copies = new ArrayList<>();
  private long[] pages = new long[64];
  private int used;
  private long lastHeld = -1;
  private long lastRegion = -1;
  private @Nullable BitSet last;

  /** Puts a page back. */
  @FunctionalInterface
  interface Sink {
    /** {@code words} are what the page at {@code paddr} held. */
    void put(long paddr, long[] words);
  }

  /** True when the page around {@code paddr} has a copy. */
  boolean holds(long paddr) {
    long page = paddr >>> PAGE_SHIFT;
    if (page == lastHeld) {
      return true;
    }
    BitSet held = region(paddr >>> REGION_SHIFT);
    boolean holds = held != null && held.get((int) page & PAGE_IN_REGION);
    lastHeld = holds ? page : lastHeld;
    return holds;
  }

  private @Nullable BitSet region(long number) {
    if (number != lastRegion) {
      lastRegion = number;
      last = regions.get(number);
    }
    return last;
  }

  /** Copies the page at {@code page}, which starts at {@code at} in {@code chunk}. */
  void keep(long page, long[] chunk, int at) {
    if (used == copies.size()) {
      copies.add(new long[(int) (PAGE / Long.BYTES)]);
      pages = used < pages.length ? pages : java.util.Arrays.copyOf(pages, 2 * used);
    }
    long[] copy = copies.get(used);
    System.arraycopy(chunk, at, copy, 0, copy.length);
    pages[used++] = page;
    long number = page >>> REGION_SHIFT;
    BitSet held = regions.computeIfAbsent(number, region -> new BitSet());
    held.set((int) (page >>> PAGE_SHIFT) & PAGE_IN_REGION);
    lastRegion = number;
    last = held;
  }

  /** Hands all copies to {@code sink} and starts afresh; the arrays are used again. */
  void rewind(Sink sink) {
    for (int i = 0; i < used; i++) {
      sink.put(pages[i], copies.get(i));
    }
    used = 0;
    lastHeld = -1;
    regions.values().forEach(BitSet::clear);
  }
}
