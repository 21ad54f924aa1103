// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.Zone;

/** The fields of {@code struct zone} that only the page allocator uses. Counts in base pages. */
@Kernel(file = "include/linux/mmzone.h", symbol = "struct zone")
final class ZoneState {
  static final int WMARK_MIN = 0;
  static final int WMARK_LOW = 1;
  static final int WMARK_HIGH = 2;
  static final int WMARK_PROMO = 3;
  private static final int NR_WMARK = 4;

  final Zone zone;
  final long[] watermark = new long[NR_WMARK];

  /** lowmem_reserve: by zone number, pages kept from requests that could go as high as that. */
  final long[] lowmemReserve;

  final PerCpuPages pcp = new PerCpuPages();
  long watermarkBoost;

  /** ZONE_BELOW_HIGH. */
  boolean belowHigh;

  /** ZONE_BOOSTED_WATERMARK. */
  boolean boostedWatermark;

  long nrFreeHighatomic;
  long nrFreeCma;
  long nrFreePagesBlocks;
  long nrIsolatePageblock;
  int pagesetHighMin;
  int pagesetHighMax;
  int pagesetBatch = 1;

  ZoneState(Zone zone, int nrZones) {
    this.zone = zone;
    this.lowmemReserve = new long[nrZones];
  }

  /** {@code wmark_pages()}: a watermark with the boost. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "wmark_pages")
  long wmarkPages(int which) {
    return watermark[which] + watermarkBoost;
  }
}
