// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A {@code struct pglist_data}: the memory of one node. Counts and pfns are in base pages. */
@Kernel(file = "include/linux/mmzone.h", symbol = "struct pglist_data")
public final class PgData {
  private final int nodeId;
  private final Zone[] nodeZones;
  private final Map<ZoneType, Zone> byType = new EnumMap<>(ZoneType.class);

  /** First pfn of the node. */
  public long nodeStartPfn;

  /** Existing pages. */
  public long nodePresentPages;

  /** Pages from first to last, holes included. */
  public long nodeSpannedPages;

  /** One more than the number of the highest zone that was ever set up; 0 for a fresh node. */
  public int nrZones;

  /** First pfn whose struct page is initialised late; {@link Long#MAX_VALUE} for none (ULONG_MAX). */
  public long firstDeferredPfn = Long.MAX_VALUE;

  /** {@code per_cpu_nodestats}: the node has counters of its own, not those that all share at boot. */
  public boolean perCpuNodestats;

  /**
   * Makes an empty node with the zones that the kernel is built with.
   *
   * @param nrVmemmapTails slots for shared tails
   * @param tailsPerNode all zones have the same slots
   */
  PgData(int nodeId, ZoneSet zones, int nrVmemmapTails, boolean tailsPerNode) {
    this.nodeId = nodeId;
    this.nodeZones = new Zone[zones.maxNrZones()];
    @Nullable Page[] ofNode = new @Nullable Page[nrVmemmapTails];
    for (int n = 0; n < nodeZones.length; n++) {
      @Nullable Page[] tails = tailsPerNode ? ofNode : new @Nullable Page[nrVmemmapTails];
      nodeZones[n] = new Zone(zones.of(n), nodeId, tails);
      byType.put(zones.of(n), nodeZones[n]);
    }
  }

  /** The node number. */
  public int nodeId() {
    return nodeId;
  }

  /**
   * The zone of this node with the given type.
   *
   * @throws IllegalArgumentException for a zone that the kernel is built without
   */
  public Zone zone(ZoneType type) {
    Zone zone = byType.get(type);
    if (zone == null) {
      throw new IllegalArgumentException(type.name() + ": this kernel is built without");
    }
    return zone;
  }

  /** All zones in the order of their numbers. */
  public Zone[] zones() {
    return nodeZones.clone();
  }

  /** First pfn behind the node. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "pgdat_end_pfn")
  public long endPfn() {
    return nodeStartPfn + nodeSpannedPages;
  }
}
