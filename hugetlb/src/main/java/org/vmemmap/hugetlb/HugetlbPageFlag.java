// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.vmemmap.types.Kernel;

/**
 * What HugeTLB knows of one of its folios beyond the page flags; each is a bit in the head page's
 * {@code private}.
 *
 * <pre>
 *   63          7   6     5     4     3     2     1     0
 *  +-------------+-----+-----+-----+-----+-----+-----+-----+
 *  |      0      | cma | raw | opt | frd | tmp | mig | rsv |
 *  +-------------+-----+-----+-----+-----+-----+-----+-----+
 * </pre>
 */
@Kernel(file = "include/linux/hugetlb.h", symbol = "enum hugetlb_page_flags")
public enum HugetlbPageFlag {
  /** The folio took a reservation that must come back if it is freed early. */
  HPG_RESTORE_RESERVE(0),
  /** In use, and may be moved. */
  HPG_MIGRATABLE(1),
  /** Allocated outside the pool's limits: freed at once when it is put. */
  HPG_TEMPORARY(2),
  /** On a free list of the pool. */
  HPG_FREED(3),
  /** The tails' memmap pages have been replaced by the shared one. */
  HPG_VMEMMAP_OPTIMIZED(4),
  /** Holds a broken page, but nobody knows which. */
  HPG_RAW_HWP_UNRELIABLE(5),
  /** Came from a CMA area. */
  HPG_CMA(6);

  private final long mask;

  HugetlbPageFlag(int bit) {
    this.mask = 1L << bit;
  }

  /** The flag in the head page's {@code private}. */
  public long mask() {
    return mask;
  }
}
