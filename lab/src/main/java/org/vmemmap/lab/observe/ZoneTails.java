// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The frames that hold the tails of optimised HugeTLB pages: {@code zone->vmemmap_tails}. Where the
 * zones of a node share a frame, it is listed once, for the zone that its struct pages name.
 */
public final class ZoneTails {
  private final List<Slot> slots = new ArrayList<>();

  /** Frames, ascending, and the slot of each: the question is asked for each page of memmap. */
  private final long[] frames;

  private final Slot[] byFrame;

  /**
   * A slot that is in use.
   *
   * @param zone the zone that it belongs to
   * @param order order of the folios whose tails it holds
   * @param frame the frame
   */
  public record Slot(Zone zone, int order, long frame) {
    /** The name in case files: node/zone/order. */
    public String name() {
      return zone.nid() + "/" + zone.name() + "/" + order;
    }
  }

  /**
   * Reads the slots of all zones, by node, zone and order. A node that went offline keeps its shared
   * tails for when it comes back.
   */
  public ZoneTails(Mm mm) {
    for (PgData node : mm.nodes().everOnline()) {
      for (Zone zone : node.zones()) {
        read(mm, zone);
      }
    }
    // Two slots with one frame break a rule; the later one stands for both.
    Map<Long, Slot> sorted = new TreeMap<>();
    slots.forEach(slot -> sorted.put(slot.frame(), slot));
    this.frames = sorted.keySet().stream().mapToLong(Long::longValue).toArray();
    this.byFrame = sorted.values().toArray(Slot[]::new);
  }

  private void read(Mm mm, Zone zone) {
    for (int i = 0; i < zone.vmemmapTails.length; i++) {
      Page tail = zone.vmemmapTails[i];
      if (tail != null) {
        long frame = mm.model().pageToPfn(tail);
        Slot slot = new Slot(zone, i + mm.mmzone().vmemmapTailMinOrder(), frame);
        if (!mm.series().sharesTailsInNode() || named(mm, frame) == zone.idx()) {
          slots.add(slot);
        }
      }
    }
  }

  private static ZoneType named(Mm mm, long frame) {
    return mm.inline().zonenum(new MemmapReader(mm).wordsInFrame(frame, 0)[0]);
  }

  /** All slots in use. */
  public List<Slot> slots() {
    return List.copyOf(slots);
  }

  /** The slot whose frame this is; null for any other frame. */
  public @Nullable Slot ofFrame(long frame) {
    int at = Arrays.binarySearch(frames, frame);
    return at < 0 ? null : byFrame[at];
  }

  /** The slot of a zone and order; null when it is empty. */
  public @Nullable Slot of(Zone zone, int order) {
    for (Slot slot : slots) {
      if (slot.zone() == zone && slot.order() == order) {
        return slot;
      }
    }
    return null;
  }
}
