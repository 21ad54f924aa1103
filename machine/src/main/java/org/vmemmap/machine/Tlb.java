// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.Arrays;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The translation cache of one CPU: direct-mapped, one entry per base page, filled by walks and
 * emptied only by flushes. What a program forgets to flush stays.
 *
 * <p>A large leaf may be cached in many entries. They go together: a flush of any address that the
 * leaf maps drops them all, as hardware promises for blocks and for contiguous runs.
 *
 * <pre>
 *   targets[slot]
 *   63                                12 11     7 6        1  0
 *  +------------------------------------+--------+----------+--+
 *  |          physical address          |   -    |   span   |W |   span: log2 of the leaf's bytes
 *  +------------------------------------+--------+----------+--+
 * </pre>
 */
public final class Tlb {
  private static final int ENTRIES = 1024;
  private static final long NONE = -1;
  private static final long WRITABLE = 1;
  private static final int SPAN_SHIFT = 1;
  private static final long SPAN_MASK = 0x3f;

  private final int pageShift;
  private final long[] pages = new long[ENTRIES];
  private final long[] targets = new long[ENTRIES];
  private long @Nullable [] sources;
  private long flushes;

  /** Pages of large leaves that were entered since the last flush of all lie in this range. */
  private long firstLarge = Long.MAX_VALUE;

  private long lastLarge = -1;

  /** Bit n: a frame whose number modulo 1024 is n was entered since the last flush of all. */
  private final long[] entered = new long[ENTRIES / Long.SIZE];

  /** The same for the entries in memory that translations were made from. */
  private final long[] sourced = new long[ENTRIES / Long.SIZE];

  Tlb(int pageShift) {
    this.pageShift = pageShift;
    Arrays.fill(pages, NONE);
  }

  /** The physical address for {@code va}, or -1 when no entry allows the access. */
  long lookup(long va, boolean write) {
    long page = va >>> pageShift;
    int slot = slot(page);
    long target = targets[slot];
    if (pages[slot] != page || (write && (target & WRITABLE) == 0)) {
      return NONE;
    }
    return (target & -(1L << pageShift)) | (va & ((1L << pageShift) - 1));
  }

  void insert(long va, long paddr, boolean writable) {
    insert(va, paddr, writable, pageShift);
  }

  /** The same for a page of a leaf, or of a run of leaves, of 2^{@code span} bytes. */
  void insert(long va, long paddr, boolean writable, int span) {
    long page = va >>> pageShift;
    int slot = slot(page);
    pages[slot] = page;
    long bits = (long) span << SPAN_SHIFT | (writable ? WRITABLE : 0);
    targets[slot] = paddr >>> pageShift << pageShift | bits;
    set(entered, paddr >>> pageShift);
    int order = span - pageShift;
    if (order > 0) {
      firstLarge = Math.min(firstLarge, page >>> order << order);
      lastLarge = Math.max(lastLarge, page | (1L << order) - 1);
    }
  }

  /** Drops all translations. */
  public void flushAll() {
    Arrays.fill(pages, NONE);
    Arrays.fill(entered, 0);
    Arrays.fill(sourced, 0);
    firstLarge = Long.MAX_VALUE;
    lastLarge = -1;
    flushes++;
  }

  void flushRange(long start, long end) {
    long first = start >>> pageShift;
    long pagesInRange = start == end ? 0 : ((end - 1) >>> pageShift) - first + 1;
    if (pagesInRange < ENTRIES) {
      for (long page = first; page < first + pagesInRange; page++) {
        int slot = slot(page);
        pages[slot] = pages[slot] == page ? NONE : pages[slot];
      }
    } else {
      for (int slot = 0; slot < ENTRIES; slot++) {
        boolean inside = Long.compareUnsigned(pages[slot] - first, pagesInRange) < 0;
        pages[slot] = inside ? NONE : pages[slot];
      }
    }
    long last = first + pagesInRange - 1;
    if (first <= last && first <= lastLarge && last >= firstLarge) {
      flushLeaves(first, last);
    }
    flushes++;
  }

  /** Drops what was made from large leaves that reach into the pages {@code first} to {@code last}. */
  private void flushLeaves(long first, long last) {
    for (int slot = 0; slot < ENTRIES; slot++) {
      int order = (int) (targets[slot] >>> SPAN_SHIFT & SPAN_MASK) - pageShift;
      long page = pages[slot];
      if (page != NONE && order > 0 && page >>> order <= last >>> order && page >>> order >= first >>> order) {
        pages[slot] = NONE;
      }
    }
  }

  /** From now on remembers which entry in memory each translation was made from. */
  void recordSources() {
    sources = sources == null ? new long[ENTRIES] : sources;
    Arrays.fill(pages, NONE);
  }

  /** Says from which entry the translation of {@code va}, just inserted, was made. */
  void setSource(long va, long entryPaddr) {
    if (sources != null) {
      sources[slot(va >>> pageShift)] = entryPaddr;
      set(sourced, entryPaddr / Long.BYTES);
    }
  }

  /** True when a translation that was made from the entry at {@code entryPaddr} is cached. */
  boolean cachedFrom(long entryPaddr) {
    long[] from = sources;
    if (from == null || !test(sourced, entryPaddr / Long.BYTES)) {
      return false;
    }
    for (int slot = 0; slot < ENTRIES; slot++) {
      if (pages[slot] != NONE && from[slot] == entryPaddr) {
        return true;
      }
    }
    return false;
  }

  /** True when an entry of this cache leads into the frame with the given number. */
  public boolean reaches(long frame) {
    return reached(frame, 1) != NONE;
  }

  /** One of the {@code n} frames from {@code frame} that an entry leads into; -1 for none. */
  long reached(long frame, long n) {
    if (n < ENTRIES && !mayReach(frame, n)) {
      return NONE;
    }
    for (int slot = 0; slot < ENTRIES; slot++) {
      long target = targets[slot] >>> pageShift;
      if (pages[slot] != NONE && Long.compareUnsigned(target - frame, n) < 0) {
        return target;
      }
    }
    return NONE;
  }

  private boolean mayReach(long frame, long n) {
    for (long at = frame; at < frame + n; at++) {
      if (test(entered, at)) {
        return true;
      }
    }
    return false;
  }

  /** Calls {@code visitor} with the frame of each translation in this cache. */
  public void forEachFrame(LongConsumer visitor) {
    for (int slot = 0; slot < ENTRIES; slot++) {
      if (pages[slot] != NONE) {
        visitor.accept(targets[slot] >>> pageShift);
      }
    }
  }

  /** Sees one translation. */
  @FunctionalInterface
  public interface Visitor {
    /** The page at {@code va} is cached as {@code paddr}. */
    void cached(long va, long paddr, boolean writable);
  }

  /** Calls {@code visitor} with each translation in this cache. */
  public void forEach(Visitor visitor) {
    for (int slot = 0; slot < ENTRIES; slot++) {
      if (pages[slot] != NONE) {
        long target = targets[slot];
        visitor.cached(
            pages[slot] << pageShift, target >>> pageShift << pageShift, (target & WRITABLE) != 0);
      }
    }
  }

  /** How many flushes of any kind this cache has seen. */
  public long flushes() {
    return flushes;
  }

  private static void set(long[] bits, long number) {
    int bit = slot(number);
    bits[bit / Long.SIZE] |= 1L << bit;
  }

  private static boolean test(long[] bits, long number) {
    int bit = slot(number);
    return (bits[bit / Long.SIZE] & 1L << bit) != 0;
  }

  private static int slot(long page) {
    return (int) page & (ENTRIES - 1);
  }
}
