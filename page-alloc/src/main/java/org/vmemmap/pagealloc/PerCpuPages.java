// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;

/**
 * A {@code struct per_cpu_pages}: pages of a zone that one CPU keeps for itself. One CPU is
 * modelled, so each zone has one. All counts are in base pages.
 */
@Kernel(file = "include/linux/mmzone.h", symbol = "struct per_cpu_pages")
final class PerCpuPages {
  /** PCPF_PREV_FREE_HIGH_ORDER: the free before this one was of a higher order than 0. */
  static final int PCPF_PREV_FREE_HIGH_ORDER = 1;

  /** PCPF_FREE_HIGH_BATCH: the cache is large enough to keep a batch of high-order pages. */
  static final int PCPF_FREE_HIGH_BATCH = 2;

  /** Lists by {@code order_to_pindex()}; empty array for the boot pageset, which keeps nothing. */
  ListHead[] lists = new ListHead[0];

  int count;
  int high;
  int highMin;
  int highMax;
  int batch = 1;
  int flags;
  int allocFactor;
  int freeCount;
}
