// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The memmap of a machine that broke no rule when its memory was marked, so that later checks can
 * leave out what has not changed since.
 *
 * <p>What the rules say of the struct pages in a page of memmap follows from the bytes behind it,
 * from the page that holds the head of its first tail, from the borders of its zone, and, in device
 * memory, from the devices and sections. Where all of these are as they were, so is the verdict.
 *
 * <pre>
 *   memmap page   | head tail tail ... | tail tail ... | tail tail ... |
 *                   ^--- heads of ---------'---------------'             the page of the head counts
 * </pre>
 */
public final class MarkedMemmap {
  /** Pages of memmap that are kept together are 2 to the power of this. */
  private static final int CHUNK_SHIFT = 9;

  private static final int CHUNK = 1 << CHUNK_SHIFT;

  private final LabKernel kernel;
  private final Mm mm;
  private final PhysicalMemory memory;
  private final long perPage;
  private final ZoneTails tails;
  private final List<Object> devices;
  private final Map<Long, @Nullable Seen[]> chunks = new HashMap<>();
  private final Map<Zone, List<Long>> borders = new HashMap<>();

  /**
   * A page of memmap at the mark.
   *
   * @param paddr what was behind it
   * @param head the memmap page with the head of its first tail; itself for none
   * @param zone the zone of all its struct pages; null for several
   */
  private record Seen(long paddr, long head, @Nullable Zone zone) {}

  private MarkedMemmap(LabKernel kernel) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.memory = mm.machine().memory();
    this.perPage = mm.model().pageSize() / mm.config().sizeofStructPage();
    this.tails = new ZoneTails(mm);
    this.devices = devices();
    for (PgData node : mm.nodes().online()) {
      for (Zone zone : node.zones()) {
        borders.put(zone, border(zone));
      }
    }
    MemmapReader reader = new MemmapReader(mm);
    PageRanges.forEach(kernel, (start, end, node) -> see(reader, start, end));
  }

  /**
   * Remembers {@code kernel}, whose memory has just been marked; null when a rule is broken now, or
   * when struct pages lie across the borders of pages.
   */
  public static @Nullable MarkedMemmap of(LabKernel kernel) {
    boolean fits = Integer.bitCount(kernel.mm().config().sizeofStructPage()) == 1;
    return fits && Invariants.check(kernel).violations().isEmpty()
        ? new MarkedMemmap(kernel)
        : null;
  }

  private void see(MemmapReader reader, long start, long end) {
    for (long page = start / perPage; page * perPage < end; page++) {
      long first = page * perPage;
      if (reader.mapped(first)) {
        long paddr = reader.paddr(reader.address(first));
        Zone zone = zone(reader.word(first, 0));
        boolean one = zone == zone(reader.word(first + perPage - 1, 0));
        @Nullable Seen[] chunk =
            chunks.computeIfAbsent(page >>> CHUNK_SHIFT, number -> new @Nullable Seen[CHUNK]);
        chunk[(int) page & (CHUNK - 1)] = new Seen(paddr, head(reader, first), one ? zone : null);
      }
    }
  }

  /** Null for a struct page that nobody has initialised, as in a hole behind RAM. */
  private @Nullable Zone zone(long flags) {
    ZoneType type;
    try {
      type = mm.inline().zonenum(flags);
    } catch (MachineFault e) {
      return null;
    }
    return mm.nodes().nodeData(mm.inline().nid(flags)).zone(type);
  }

  private long head(MemmapReader reader, long pfn) {
    long info = reader.word(pfn, 1);
    if ((info & 1) == 0) {
      return pfn / perPage;
    }
    long address = reader.address(pfn);
    long head = mm.flags().compoundInfoHasMask() ? address & info : info - 1;
    long size = mm.config().sizeofStructPage();
    return Math.floorDiv(head - mm.model().vmemmapBase(), size * perPage);
  }

  private static List<Long> border(Zone zone) {
    return List.of(zone.zoneStartPfn, zone.endPfn());
  }

  private List<Object> devices() {
    return List.of(new DeviceExceptions(kernel).facts(), SectionRun.all(mm));
  }

  /** True when page {@code page} of the memmap still has {@code paddr} behind it, unchanged. */
  public boolean same(long page, long paddr) {
    @Nullable Seen @Nullable [] chunk = chunks.get(page >>> CHUNK_SHIFT);
    return same(chunk == null ? null : chunk[(int) page & (CHUNK - 1)], paddr);
  }

  private boolean same(@Nullable Seen seen, long paddr) {
    return seen != null && seen.paddr == paddr && unchanged(paddr);
  }

  private boolean unchanged(long paddr) {
    long end = paddr + mm.model().pageSize();
    for (long at = paddr; at < end; at += PhysicalMemory.UNDO_PAGE) {
      if (memory.changedSinceMark(at)) {
        return false;
      }
    }
    return true;
  }

  /** A later moment on the same machine, before anybody goes back to the mark. */
  Now now(ZoneTails tailsNow, MemmapReader reader) {
    return new Now(tailsNow, reader);
  }

  /** Tells of each page whether its verdict still holds. */
  final class Now {
    private final ZoneTails tailsNow;
    private final MemmapReader reader;
    private final boolean sameDevices;
    private final Set<Zone> moved = new HashSet<>();
    private long lastChunk = -1;
    private @Nullable Seen @Nullable [] chunk;
    private long lastHead = -1;
    private boolean lastHolds;

    private Now(ZoneTails tailsNow, MemmapReader reader) {
      this.tailsNow = tailsNow;
      this.reader = reader;
      this.sameDevices = devices().equals(devices);
      for (PgData node : mm.nodes().online()) {
        for (Zone zone : node.zones()) {
          if (!border(zone).equals(borders.get(zone))) {
            moved.add(zone);
          }
        }
      }
    }

    /**
     * True when the rules would say of all struct pages in a page of memmap what they said before.
     *
     * @param late whether they are of a section that was added after boot
     */
    boolean holds(long page, long paddr, boolean late) {
      Seen seen = seen(page);
      if (seen == null || seen.zone == null || !same(seen, paddr)) {
        return false;
      }
      long frame = paddr >>> mm.model().pageShift();
      boolean fewerLookedAt = tails.ofFrame(frame) != null && tailsNow.ofFrame(frame) == null;
      boolean sameZone = moved.isEmpty() || !moved.contains(seen.zone);
      return sameZone && !fewerLookedAt && (!late || sameDevices) && headHolds(page, seen.head);
    }

    private @Nullable Seen seen(long page) {
      if (page >>> CHUNK_SHIFT != lastChunk) {
        lastChunk = page >>> CHUNK_SHIFT;
        chunk = chunks.get(lastChunk);
      }
      @Nullable Seen @Nullable [] now = chunk;
      return now == null ? null : now[(int) page & (CHUNK - 1)];
    }

    private boolean headHolds(long page, long head) {
      if (head != page && head != lastHead) {
        lastHead = head;
        lastHolds = same(head, reader.paddr(reader.address(head * perPage)));
      }
      return head == page || lastHolds;
    }
  }
}
