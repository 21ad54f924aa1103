// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.HashMap;
import java.util.Map;

/**
 * The tables that the walks of one CPU have been through, as its paging-structure caches keep them: a
 * table that is freed while it is in here may be walked again, whatever its next owner writes.
 *
 * <pre>
 *   root -> table of level 2 -> table of level 1 -> table of level 0 -> page
 *           `------------- remembered, with the addresses that it serves ---'
 * </pre>
 */
final class WalkCache {
  private final Mmu mmu;
  private final PageTableFormat format;
  private final Map<Long, Served> tables = new HashMap<>();
  private final Map<Long, Served> known = new HashMap<>();

  /** Addresses from {@code first} to {@code last}. */
  private record Served(long first, long last) {}

  WalkCache(Mmu mmu, PageTableFormat format) {
    this.mmu = mmu;
    this.format = format;
  }

  /** Remembers the tables on the way to {@code va}, but for the root. */
  void walked(long root, long va) {
    Mmu.Entry step = mmu.entry(root, format.levels() - 1, va);
    while (format.present(step.entry(), step.level()) && !format.leaf(step.entry(), step.level())) {
      long table = format.address(step.entry(), step.level());
      long span = 1L << format.shift(step.level());
      long first = va & -span;
      remember(table >>> format.pageShift(), new Served(first, first + span - 1));
      step = mmu.entry(table, step.level() - 1, va);
    }
  }

  private void remember(long frame, Served served) {
    tables.put(frame, served);
    known.put(frame, served);
  }

  /**
   * An entry that leads to {@code table} will be cleared. Until then hardware may walk by at any time, so
   * a table that was ever walked is cached now, whatever was flushed before.
   */
  void cleared(long table) {
    long frame = table >>> format.pageShift();
    Served served = known.get(frame);
    if (served != null) {
      tables.put(frame, served);
    }
  }

  void flushAll() {
    tables.clear();
  }

  /** Forgets the tables that serve an address of {@code start} to {@code end} - 1. */
  void flushRange(long start, long end) {
    tables
        .values()
        .removeIf(
            served ->
                Long.compareUnsigned(served.first(), end - 1) <= 0
                    && Long.compareUnsigned(start, served.last()) <= 0);
  }

  /** One of the {@code n} frames from {@code frame} that holds such a table; -1 for none. */
  long reached(long frame, long n) {
    for (long table : tables.keySet()) {
      if (table >= frame && table < frame + n) {
        return table;
      }
    }
    return -1;
  }
}
