// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Align;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The zone that a memory block goes online in.
 *
 * <pre>
 *   online_kernel    the kernel zone that covers it, ZONE_NORMAL when none does
 *   online_movable   ZONE_MOVABLE
 *   online           contig-zones: the one zone that it touches, else kernel
 *                    auto-movable: ZONE_MOVABLE while MOVABLE : KERNEL (from boot) &lt;= ratio
 * </pre>
 */
@Kernel(file = "mm/memory_hotplug.c", symbol = "zone_for_pfn_range")
public final class OnlineZones {
  private static final int NUMA_NO_NODE = -1;
  private static final int PERCENT = 100;

  private final Mm mm;
  private final HotplugParams params;
  private final MemoryGroups groups;
  private final MemoryHotplug hotplug;

  /** {@code struct auto_movable_stats}, in pages. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "struct auto_movable_stats")
  private static final class Stats {
    long kernelEarlyPages;
    long movablePages;
  }

  /** {@code struct auto_movable_group_stats}, in pages. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "struct auto_movable_group_stats")
  private static final class GroupStats {
    long movablePages;
    long reqKernelEarlyPages;
  }

  OnlineZones(Mm mm, HotplugParams params, MemoryGroups groups, MemoryHotplug hotplug) {
    this.mm = mm;
    this.params = params;
    this.groups = groups;
    this.hotplug = hotplug;
  }

  /** CMA memory is lent to movable pages, so it counts as theirs. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "auto_movable_stats_account_zone")
  private static void autoMovableStatsAccountZone(Stats stats, Zone zone) {
    if (zone.idx() == ZoneType.ZONE_MOVABLE) {
      stats.movablePages += zone.presentPages;
    } else {
      stats.kernelEarlyPages += zone.presentEarlyPages;
      stats.movablePages += zone.cmaPages;
      stats.kernelEarlyPages -= zone.cmaPages;
    }
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "auto_movable_stats_account_group")
  private int autoMovableStatsAccountGroup(MemoryGroup group, GroupStats stats) {
    long ratio = params.autoMovableRatio;
    if (ratio == 0) {
      return 0;
    }
    // What the group needs of the kernel memory of boot to keep the ratio.
    long pages = group.presentMovablePages * PERCENT / ratio - group.presentKernelPages;
    if (pages > 0) {
      stats.reqKernelEarlyPages += pages;
    }
    stats.movablePages += group.presentMovablePages;
    return 0;
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "auto_movable_can_online_movable")
  private boolean autoMovableCanOnlineMovable(
      int nid, @Nullable MemoryGroup group, long nrPages) {
    Stats stats = new Stats();
    for (PgData pgdat : mm.nodes().online()) {
      for (Zone zone : pgdat.zones()) {
        if ((nid == NUMA_NO_NODE || nid == pgdat.nodeId()) && zone.populated()) {
          autoMovableStatsAccountZone(stats, zone);
        }
      }
    }
    long kernelEarlyPages = stats.kernelEarlyPages;
    long movablePages = stats.movablePages;
    GroupStats groupStats = new GroupStats();
    groups.walkDynamicMemoryGroups(
        nid, one -> autoMovableStatsAccountGroup(one, groupStats), group);
    if (kernelEarlyPages <= groupStats.reqKernelEarlyPages) {
      return false;
    }
    kernelEarlyPages -= groupStats.reqKernelEarlyPages;
    movablePages -= groupStats.movablePages;
    if (group != null && group.isDynamic) {
      kernelEarlyPages += group.presentKernelPages;
    }
    movablePages += nrPages;
    return movablePages <= params.autoMovableRatio * kernelEarlyPages / PERCENT;
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "default_kernel_zone_for_pfn")
  private Zone defaultKernelZoneForPfn(int nid, long startPfn, long nrPages) {
    PgData pgdat = mm.nodes().nodeData(nid);
    for (int zid = 0; zid < mm.zones().number(ZoneType.ZONE_NORMAL); zid++) {
      Zone zone = pgdat.zones()[zid];
      if (zone.intersects(startPfn, nrPages)) {
        return zone;
      }
    }
    return pgdat.zone(ZoneType.ZONE_NORMAL);
  }

  /** Where C has got to: the variables pfn and nr_pages, and whether it said "kernel zone". */
  private record Left(long pfn, long nrPages, boolean kernel) {}

  @Kernel(file = "mm/memory_hotplug.c", symbol = "auto_movable_zone_for_pfn")
  private Zone autoMovableZoneForPfn(
      int nid, @Nullable MemoryGroup group, long pfn, long nrPages) {
    Left left = autoMovablePagesLeft(group, pfn, nrPages);
    boolean movable =
        !left.kernel
            && autoMovableCanOnlineMovable(NUMA_NO_NODE, group, left.nrPages)
            && (!params.autoMovableNumaAware
                || autoMovableCanOnlineMovable(nid, group, left.nrPages));
    return movable
        ? mm.nodes().nodeData(nid).zone(ZoneType.ZONE_MOVABLE)
        : defaultKernelZoneForPfn(nid, left.pfn, left.nrPages);
  }

  /**
   * The first half of auto_movable_zone_for_pfn(): how many pages would have to go online movable,
   * the rest of the group or of its unit included.
   */
  private Left autoMovablePagesLeft(@Nullable MemoryGroup group, long pfn, long nrPages) {
    if (params.autoMovableRatio == 0) {
      return new Left(pfn, nrPages, true);
    }
    if (group != null && !group.isDynamic) {
      return group.presentKernelPages != 0
          ? new Left(pfn, nrPages, true)
          : new Left(pfn, group.pages - group.presentMovablePages, false);
    }
    if (group == null || group.pages == nrPages) {
      return new Left(pfn, nrPages, false);
    }
    long online = 0;
    long at = Align.alignDown(pfn, group.pages);
    long end = at + group.pages;
    for (; at < end; at += mm.mmzone().pagesPerSection()) {
      Page page = hotplug.pfnToOnlinePage(at);
      if (page == null) {
        continue;
      }
      if (mm.inline().pageZone(page).idx() != ZoneType.ZONE_MOVABLE) {
        return new Left(at, nrPages, true);
      }
      online += mm.mmzone().pagesPerSection();
    }
    return new Left(at, group.pages - online, false);
  }

  @Kernel(file = "mm/memory_hotplug.c", symbol = "default_zone_for_pfn")
  private Zone defaultZoneForPfn(int nid, long startPfn, long nrPages) {
    Zone kernelZone = defaultKernelZoneForPfn(nid, startPfn, nrPages);
    Zone movableZone = mm.nodes().nodeData(nid).zone(ZoneType.ZONE_MOVABLE);
    boolean inKernel = kernelZone.intersects(startPfn, nrPages);
    boolean inMovable = movableZone.intersects(startPfn, nrPages);
    if (inKernel ^ inMovable) {
      return inKernel ? kernelZone : movableZone;
    }
    return params.movableNodeIsEnabled() ? movableZone : kernelZone;
  }

  /** The zone for {@code nrPages} pages from {@code startPfn}; see the table of the class. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "zone_for_pfn_range")
  public Zone zoneForPfnRange(
      Mmop onlineType, int nid, @Nullable MemoryGroup group, long startPfn, long nrPages) {
    if (onlineType == Mmop.MMOP_ONLINE_KERNEL) {
      return defaultKernelZoneForPfn(nid, startPfn, nrPages);
    }
    if (onlineType == Mmop.MMOP_ONLINE_MOVABLE) {
      return mm.nodes().nodeData(nid).zone(ZoneType.ZONE_MOVABLE);
    }
    if (params.onlinePolicyAutoMovable) {
      return autoMovableZoneForPfn(nid, group, startPfn, nrPages);
    }
    return defaultZoneForPfn(nid, startPfn, nrPages);
  }
}
