// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;

/**
 * Which words of memory have been written: one bit for each, made when its region is first written.
 * Exists only in a machine that was asked to check for reads of bytes that were never initialised.
 */
final class WrittenWords {
  private static final int REGION_SHIFT = 20;
  private static final long REGION_MASK = (1L << REGION_SHIFT) - 1;

  private final Map<Long, BitSet> regions = new HashMap<>();

  /** Marks {@code bytes} bytes from {@code paddr}, whole words. */
  synchronized void written(long paddr, long bytes) {
    long end = paddr + bytes;
    while (paddr < end) {
      long stop = Math.min(end, (paddr | REGION_MASK) + 1);
      BitSet words = regions.computeIfAbsent(paddr >>> REGION_SHIFT, region -> new BitSet());
      words.set(word(paddr), word(stop - 1) + 1);
      paddr = stop;
    }
  }

  /**
   * Checks the word that holds {@code paddr}.
   *
   * @throws MachineFault {@code uninitialised-read}
   */
  synchronized void read(long paddr) {
    BitSet words = regions.get(paddr >>> REGION_SHIFT);
    if (words == null || !words.get(word(paddr))) {
      throw new MachineFault("uninitialised-read", "paddr", paddr);
    }
  }

  /** Checks all words of a range. */
  synchronized void read(long paddr, long bytes) {
    for (long at = paddr; at < paddr + bytes; at += Long.BYTES) {
      read(at);
    }
  }

  private static int word(long paddr) {
    return (int) ((paddr & REGION_MASK) >>> 3);
  }
}
