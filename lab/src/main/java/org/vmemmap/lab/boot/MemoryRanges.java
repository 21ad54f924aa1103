// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * All memory of a machine: ranges of bytes by what they are, cut to pages. Firmware may list them in
 * any order; each list ascends, as it does once the kernel has read it.
 *
 * @param ranges the ranges of each kind; a kind without any may be left out
 */
public record MemoryRanges(Map<Kind, List<Ram>> ranges) {
  /** What a range is. */
  public enum Kind {
    /** Memory of the boot allocator, with holes between. */
    RAM,
    /** Taken out of RAM with {@code memmap=nn$ss}. */
    HOLE,
    /** Set aside for device DAX ({@code memmap=nn%ss-1+0xefffffff}, EFI). */
    SOFT_RESERVED,
    /** Persistent memory (on x86-64 that of the e820 table, {@code memmap=nn!ss}). */
    PMEM,
    /** Nothing in the machine's description mentions it; drivers bring it. */
    DEVICE,
    /** What of the others can be pulled, says the firmware's table of nodes. */
    HOTPLUGGABLE
  }

  private static final List<Kind> APART = List.of(Kind.RAM, Kind.SOFT_RESERVED, Kind.PMEM);

  private static final Comparator<Ram> BY_START = Comparator.comparingLong(Ram::start);

  /** Copies the lists and sorts them. */
  public MemoryRanges {
    Map<Kind, List<Ram>> copy = new EnumMap<>(Kind.class);
    for (Kind kind : Kind.values()) {
      List<Ram> given = ranges.getOrDefault(kind, List.of());
      copy.put(kind, given.stream().sorted(BY_START).toList());
    }
    ranges = Map.copyOf(copy);
  }

  /** Only RAM. */
  public static MemoryRanges ofRam(List<Ram> ram) {
    return new MemoryRanges(Map.of(Kind.RAM, ram));
  }

  /** The same with {@code list} as the ranges of a kind. */
  public MemoryRanges with(Kind kind, List<Ram> list) {
    Map<Kind, List<Ram>> other = new EnumMap<>(ranges);
    other.put(kind, list);
    return new MemoryRanges(other);
  }

  /** The ranges of a kind. */
  public List<Ram> of(Kind kind) {
    return ranges.getOrDefault(kind, List.of());
  }

  /** @throws BadInput for no RAM, or ranges that overlap */
  void requireApart() {
    if (of(Kind.RAM).isEmpty()) {
      throw new BadInput("the machine has no memory: wanted at least one range of System RAM");
    }
    List<Ram> all = new ArrayList<>();
    APART.forEach(kind -> all.addAll(of(kind)));
    all.sort(BY_START);
    for (int i = 1; i < all.size(); i++) {
      Ram low = all.get(i - 1);
      Ram high = all.get(i);
      if (low.overlaps(high)) {
        throw new BadInput(
            "memory ranges 0x%x-0x%x and 0x%x-0x%x overlap"
                .formatted(low.start(), low.end() - 1, high.start(), high.end() - 1));
      }
    }
  }
}
