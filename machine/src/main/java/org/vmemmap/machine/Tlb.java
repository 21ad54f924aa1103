// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The translation cache of one CPU: direct-mapped, one entry per base page, filled by walks and
 * emptied only by flushes. What a program forgets to flush stays.
 */
public final class Tlb {
  private static final int ENTRIES = 1024;
  private static final long NONE = -1;
  private static final long WRITABLE = 1;

  private final int pageShift;
  private final long[] pages = new long[ENTRIES];
  private final long[] targets = new long[ENTRIES];
  private long @Nullable [] sources;
  private long flushes;

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
    return (target & ~WRITABLE) | (va & ((1L << pageShift) - 1));
  }

  void insert(long va, long paddr, boolean writable) {
    long page = va >>> pageShift;
    int slot = slot(page);
    pages[slot] = page;
    targets[slot] = ((paddr >>> pageShift) << pageShift) | (writable ? WRITABLE : 0);
  }

  void flushAll() {
    Arrays.fill(pages, NONE);
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
    flushes++;
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
    }
  }

  /** True when a translation that was made from the entry at {@code entryPaddr} is cached. */
  boolean cachedFrom(long entryPaddr) {
    for (int slot = 0; sources != null && slot < ENTRIES; slot++) {
      if (pages[slot] != NONE && sources[slot] == entryPaddr) {
        return true;
      }
    }
    return false;
  }

  /** True when an entry of this cache leads into the frame with the given number. */
  public boolean reaches(long frame) {
    for (int slot = 0; slot < ENTRIES; slot++) {
      if (pages[slot] != NONE && targets[slot] >>> pageShift == frame) {
        return true;
      }
    }
    return false;
  }

  /** How many flushes of any kind this cache has seen. */
  public long flushes() {
    return flushes;
  }

  private static int slot(long page) {
    return (int) page & (ENTRIES - 1);
  }
}
