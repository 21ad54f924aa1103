// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Kernel;

/**
 * A {@code struct cma_memrange}: one run of pfns of an area. In C {@code early_pfn} and {@code
 * bitmap} share a word, so activation loses the first; here nobody asks for it afterwards either.
 */
@Kernel(file = "mm/cma.h", symbol = "struct cma_memrange")
public final class CmaMemrange {
  final long basePfn;
  final long count;

  /** First pfn that {@code cma_reserve_early()} has not handed out. */
  long earlyPfn;

  /** Linear address of one bit for each 2^order_per_bit pages, set while in use; 0 for none. */
  long bitmap;

  CmaMemrange(long basePfn, long count) {
    this.basePfn = basePfn;
    this.count = count;
    this.earlyPfn = basePfn;
  }

  /** First pfn. */
  public long basePfn() {
    return basePfn;
  }

  /** Length in pages. */
  public long count() {
    return count;
  }

  /** First pfn behind the range. */
  public long endPfn() {
    return basePfn + count;
  }
}
