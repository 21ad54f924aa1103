// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.types.FreeArea;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * How much of a zone must stay free. All zero until {@link #initPerZoneWmarkMin}, as in an early
 * kernel, except that {@code lowmemReserve} follows each change of the managed pages.
 *
 * <pre>
 *   free pages of a zone
 *   0          min            low           high                          managed
 *   |-- none --|-- slow path --|-- fast path ------------------------------|
 *   each mark is raised by lowmem_reserve[highest zone the request may use]
 * </pre>
 *
 * Nobody reclaims here: a request that finds no zone above min fails.
 */
final class Watermarks {
  /** ALLOC_ flags, see mm/page_alloc.h. The lowest two bits are the watermark's number. */
  static final int ALLOC_WMARK_MASK = 3;

  static final int ALLOC_NO_WATERMARKS = 0x04;
  static final int ALLOC_OOM = 0x08;
  static final int ALLOC_NON_BLOCK = 0x10;
  static final int ALLOC_MIN_RESERVE = 0x20;
  static final int ALLOC_CMA = 0x80;
  static final int ALLOC_NOFRAGMENT = 0x100;
  static final int ALLOC_HIGHATOMIC = 0x200;
  static final int ALLOC_RESERVES =
      ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM;

  /** Not in the kernel: leave the blocks alone that the placement keeps for hugepages. */
  static final int ALLOC_AVOID_KEPT = 0x10000;

  private static final int WATERMARK_SCALE_FACTOR = 10;
  private static final int WATERMARK_BOOST_FACTOR = 15000;
  private static final long SWAP_CLUSTER_MAX = 32;
  private static final int MIGRATE_PCPTYPES = 3;

  private final Mm mm;
  private final FreeLists lists;
  private long minFreeKbytes = 1024;
  private long totalreservePages;
  private final List<Zone> zones = new ArrayList<>();
  private int nodesSeen;

  Watermarks(Mm mm, FreeLists lists) {
    this.mm = mm;
    this.lists = lists;
  }

  /** totalreserve_pages: pages of all zones that are no use for user memory. */
  long totalreservePages() {
    return totalreservePages;
  }

  /** min_free_kbytes. */
  long minFreeKbytes() {
    return minFreeKbytes;
  }

  /** All zones of all nodes, by number. */
  List<Zone> zones() {
    if (mm.nodes().count() != nodesSeen) {
      zones.clear();
      for (PgData pgdat : mm.nodes().online()) {
        zones.addAll(List.of(pgdat.zones()));
      }
      nodesSeen = mm.nodes().count();
    }
    return zones;
  }

  // ---- asking ----

  @Kernel(file = "mm/page_alloc.c", symbol = "__zone_watermark_unusable_free")
  private long zoneWatermarkUnusableFree0(Zone z, int order, int allocFlags) {
    long unusableFree = (1L << order) - 1;
    if ((allocFlags & ALLOC_RESERVES) == 0) {
      unusableFree += lists.state(z).nrFreeHighatomic;
    }
    if ((allocFlags & ALLOC_CMA) == 0) {
      unusableFree += lists.state(z).nrFreeCma;
    }
    return unusableFree;
  }

  /** True when the zone has more than {@code mark} free pages, and a block of the order. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__zone_watermark_ok")
  private boolean zoneWatermarkOk0(
      Zone z, int order, long mark, ZoneType highest, int allocFlags, long freePages) {
    long min = mark;
    freePages -= zoneWatermarkUnusableFree0(z, order, allocFlags);
    if ((allocFlags & ALLOC_MIN_RESERVE) != 0) {
      min -= min / 2;
      if ((allocFlags & ALLOC_NON_BLOCK) != 0) {
        min -= min / 4;
      }
    }
    if ((allocFlags & ALLOC_OOM) != 0) {
      min -= min / 2;
    }
    if (freePages <= min + lists.state(z).lowmemReserve[mm.zones().number(highest)]) {
      return false;
    }
    return order == 0 || hasBlock(z, order, allocFlags);
  }

  private boolean hasBlock(Zone z, int order, int allocFlags) {
    for (int o = order; o < z.freeArea.length; o++) {
      FreeArea area = z.freeArea[o];
      if (area.nrFree == 0) {
        continue;
      }
      for (int mt = 0; mt < MIGRATE_PCPTYPES; mt++) {
        if (!lists.freeAreaEmpty(area, Migratetype.of(mt))) {
          return true;
        }
      }
      if ((allocFlags & ALLOC_CMA) != 0 && !lists.freeAreaEmpty(area, Migratetype.MIGRATE_CMA)) {
        return true;
      }
      if ((allocFlags & (ALLOC_HIGHATOMIC | ALLOC_OOM)) != 0
          && !lists.freeAreaEmpty(area, Migratetype.MIGRATE_HIGHATOMIC)) {
        return true;
      }
    }
    return false;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "zone_watermark_ok")
  boolean zoneWatermarkOk(Zone z, int order, long mark, ZoneType highest, int allocFlags) {
    return zoneWatermarkOk0(z, order, mark, highest, allocFlags, z.nrFreePages);
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "zone_watermark_fast")
  boolean zoneWatermarkFast(Zone z, int order, long mark, ZoneType highest, int allocFlags) {
    long freePages = z.nrFreePages;
    ZoneState state = lists.state(z);
    if (order == 0) {
      long reserved = zoneWatermarkUnusableFree0(z, 0, allocFlags);
      long usableFree = freePages - Math.min(freePages, reserved);
      if (usableFree > mark + state.lowmemReserve[mm.zones().number(highest)]) {
        return true;
      }
    }
    if (zoneWatermarkOk0(z, order, mark, highest, allocFlags, freePages)) {
      return true;
    }
    if (order == 0
        && (allocFlags & ALLOC_MIN_RESERVE) != 0
        && state.watermarkBoost != 0
        && (allocFlags & ALLOC_WMARK_MASK) == ZoneState.WMARK_MIN) {
      long plain = state.watermark[ZoneState.WMARK_MIN];
      return zoneWatermarkOk0(z, order, plain, highest, allocFlags, freePages);
    }
    return false;
  }

  /** A fallback to another migratetype raises the zone's marks for a while. */
  @Kernel(file = "mm/page_alloc.c", symbol = "boost_watermark")
  boolean boostWatermark(Zone zone) {
    long pageblock = mm.mmzone().pageblockNrPages();
    if (pageblock * 4 > zone.managedPages) {
      return false;
    }
    ZoneState state = lists.state(zone);
    long maxBoost = multFrac(state.watermark[ZoneState.WMARK_HIGH], WATERMARK_BOOST_FACTOR);
    if (maxBoost == 0) {
      return false;
    }
    maxBoost = Math.max(pageblock, maxBoost);
    state.watermarkBoost = Math.min(state.watermarkBoost + pageblock, maxBoost);
    return true;
  }

  private static long multFrac(long x, long tenThousandths) {
    return x / 10000 * tenThousandths + x % 10000 * tenThousandths / 10000;
  }

  // ---- setting ----

  @Kernel(file = "mm/page_alloc.c", symbol = "calculate_totalreserve_pages")
  private void calculateTotalreservePages() {
    int nrZones = mm.zones().maxNrZones();
    totalreservePages = 0;
    for (Zone zone : zones()) {
      ZoneState state = lists.state(zone);
      long max = 0;
      for (int j = nrZones - 1; j > mm.zones().number(zone.idx()) && max == 0; j--) {
        max = state.lowmemReserve[j];
      }
      totalreservePages +=
          Math.min(max + state.wmarkPages(ZoneState.WMARK_HIGH), zone.managedPages);
    }
  }

  /** The part of the zones above that a zone keeps for itself is one in this many; 0 for none. */
  @Kernel(file = "mm/page_alloc.c", symbol = "sysctl_lowmem_reserve_ratio")
  private static int sysctlLowmemReserveRatio(ZoneType zone) {
    return switch (zone) {
      case ZONE_DMA, ZONE_DMA32 -> 256;
      case ZONE_NORMAL -> 32;
      case ZONE_MOVABLE, ZONE_DEVICE -> 0;
    };
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "setup_per_zone_lowmem_reserve")
  void setupPerZoneLowmemReserve() {
    List<Zone> all = zones();
    int nrZones = mm.zones().maxNrZones();
    for (int n = 0; n < all.size(); n += nrZones) {
      for (int i = 0; i < nrZones - 1; i++) {
        Zone zone = all.get(n + i);
        int ratio = sysctlLowmemReserveRatio(zone.idx());
        boolean clear = ratio == 0 || zone.managedPages == 0;
        long[] reserve = lists.state(zone).lowmemReserve;
        long managedPages = 0;
        for (int j = i + 1; j < nrZones; j++) {
          managedPages += all.get(n + j).managedPages;
          reserve[j] = clear ? 0 : managedPages / ratio;
        }
      }
    }
    calculateTotalreservePages();
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "__setup_per_zone_wmarks")
  private void setupPerZoneWmarks0() {
    long pagesMin = minFreeKbytes >>> (mm.model().pageShift() - 10);
    long lowmemPages = 0;
    for (Zone zone : zones()) {
      lowmemPages += zone.idx() != ZoneType.ZONE_MOVABLE ? zone.managedPages : 0;
    }
    for (Zone zone : zones()) {
      ZoneState state = lists.state(zone);
      long tmp = lowmemPages == 0 ? 0 : pagesMin * zone.managedPages / lowmemPages;
      state.watermark[ZoneState.WMARK_MIN] =
          zone.idx() == ZoneType.ZONE_MOVABLE
              ? Math.clamp(zone.managedPages / 1024, SWAP_CLUSTER_MAX, 128)
              : tmp;
      tmp = Math.max(tmp >>> 2, multFrac(zone.managedPages, WATERMARK_SCALE_FACTOR));
      state.watermarkBoost = 0;
      for (int w = ZoneState.WMARK_LOW; w <= ZoneState.WMARK_PROMO; w++) {
        state.watermark[w] = state.watermark[w - 1] + tmp;
      }
    }
    calculateTotalreservePages();
  }

  /** {@code setup_per_zone_wmarks()}; the caller updates the per-CPU limits. */
  @Kernel(file = "mm/page_alloc.c", symbol = "setup_per_zone_wmarks")
  void setupPerZoneWmarks() {
    setupPerZoneWmarks0();
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "nr_free_zone_pages")
  private long nrFreeBufferPages() {
    long sum = 0;
    for (Zone zone : zones()) {
      if (zone.idx().upToNormal()) {
        long high = lists.state(zone).wmarkPages(ZoneState.WMARK_HIGH);
        sum += Math.max(0, zone.managedPages - high);
      }
    }
    return sum;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "calculate_min_free_kbytes")
  private void calculateMinFreeKbytes() {
    long lowmemKbytes = nrFreeBufferPages() * (mm.model().pageSize() >>> 10);
    minFreeKbytes = Math.clamp((long) Math.sqrt((double) lowmemKbytes * 16), 128, 262144);
  }

  /** A kernel with transparent hugepages keeps two pageblocks of each zone and type free. */
  @Kernel(file = "mm/khugepaged.c", symbol = "set_recommended_min_free_kbytes")
  private void setRecommendedMinFreeKbytes() {
    long nrZones = 0;
    for (Zone zone : zones()) {
      nrZones += zone.populated() && zone.idx().upToNormal() ? 1 : 0;
    }
    long pageblock = mm.mmzone().pageblockNrPages();
    long recommended = pageblock * nrZones * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES);
    recommended = Math.min(recommended, nrFreeBufferPages() / 20);
    minFreeKbytes = Math.max(minFreeKbytes, recommended << (mm.model().pageShift() - 10));
  }

  /** {@code init_per_zone_wmark_min()}, and what khugepaged adds to it. */
  @Kernel(
      file = "mm/page_alloc.c",
      symbol = "init_per_zone_wmark_min",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "khugepaged's start is folded in; the per-CPU statistics thresholds are not modelled.")
  void initPerZoneWmarkMin() {
    calculateMinFreeKbytes();
    setupPerZoneWmarks0();
    setupPerZoneLowmemReserve();
    setRecommendedMinFreeKbytes();
    setupPerZoneWmarks0();
  }
}
