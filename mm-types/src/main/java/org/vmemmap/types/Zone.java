// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.jspecify.annotations.Nullable;

/**
 * A {@code struct zone}: memory of one node that serves the same kind of request.
 *
 * <p>All counts and pfns are in base pages. Fields are public as in C; who may write them is said
 * there.
 */
@Kernel(file = "include/linux/mmzone.h", symbol = "struct zone")
public final class Zone {
  private final ZoneType type;
  private final int nid;

  /** First pfn of the span; only meaningful when {@link #spannedPages} is not 0. */
  public long zoneStartPfn;

  /** Pages from the first to the last of the zone, holes included. */
  public long spannedPages;

  /** Spanned pages that exist. */
  public long presentPages;

  /** Present pages that the page allocator manages. */
  public long managedPages;

  /** Present pages that were there at boot. */
  public long presentEarlyPages;

  /** Managed pages in CMA pageblocks: {@code zone_cma_pages()}. */
  public long cmaPages;

  /** Free pages, per-CPU lists not included: NR_FREE_PAGES of this zone. */
  public long nrFreePages;

  /** Free lists by order; empty until the zone is initialised. */
  public FreeArea[] freeArea = new FreeArea[0];

  /**
   * Frames shared by the tails of optimised folios, by order - VMEMMAP_TAIL_MIN_ORDER; those of the
   * node, in the form {@link Series#TAILS_PER_NODE}.
   */
  public final @Nullable Page[] vmemmapTails;

  /** True once the zone has been set up and holds memory or is being given some. */
  public boolean initialized;

  /** True when all pages of the zone lie in one run without holes. */
  public boolean contiguous;

  /** Makes an empty zone of node {@code nid} with these slots for shared tails. */
  Zone(ZoneType type, int nid, @Nullable Page[] vmemmapTails) {
    this.type = type;
    this.nid = nid;
    this.vmemmapTails = vmemmapTails;
  }

  /** {@code READ_ONCE(zone->vmemmap_tails[slot])}; null for an empty slot. */
  public @Nullable Page vmemmapTail(int slot) {
    synchronized (vmemmapTails) {
      return vmemmapTails[slot];
    }
  }

  /** {@code zone_idx()}: the kind of zone. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "zone_idx")
  public ZoneType idx() {
    return type;
  }

  /** {@code zone_to_nid()}. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "zone_to_nid")
  public int nid() {
    return nid;
  }

  /** {@code zone->name}. */
  public String name() {
    return type.label();
  }

  /** First pfn behind the span. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "zone_end_pfn")
  public long endPfn() {
    return zoneStartPfn + spannedPages;
  }

  /** True when {@code pfn} lies in the span. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "zone_spans_pfn")
  public boolean spansPfn(long pfn) {
    return zoneStartPfn <= pfn && pfn < endPfn();
  }

  /** True when the zone spans nothing. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "zone_is_empty")
  public boolean isEmpty() {
    return spannedPages == 0;
  }

  /** True when the page allocator has pages of this zone. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "managed_zone")
  public boolean managed() {
    return managedPages != 0;
  }

  /** True when the zone has present pages. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "populated_zone")
  public boolean populated() {
    return presentPages != 0;
  }

  /** True when the run {@code [startPfn, startPfn + nrPages)} overlaps the span. */
  @Kernel(file = "include/linux/mmzone.h", symbol = "zone_intersects")
  public boolean intersects(long startPfn, long nrPages) {
    return !isEmpty() && startPfn < endPfn() && startPfn + nrPages > zoneStartPfn;
  }

  @Override
  public String toString() {
    return nid + "/" + name();
  }
}
