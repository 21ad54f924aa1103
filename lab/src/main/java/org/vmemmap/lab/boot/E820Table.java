// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Kstrtox;

/**
 * The PC firmware's memory map and the kernel parameters that edit it.
 *
 * <pre>
 *   firmware   | RAM                                    | hole | RAM        |
 *   memmap=    |          | 256M$1G |                   |      |    | 1G%8G-1+0xefffffff |
 *   kernel     | RAM      | Reserved| RAM               |      | RAM| Soft Reserved      |
 * </pre>
 *
 * Addresses and sizes are unsigned 64-bit bytes.
 */
@Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820_table")
public final class E820Table {
  public static final long E820_TYPE_RAM = 1;
  public static final long E820_TYPE_RESERVED = 2;
  public static final long E820_TYPE_ACPI = 3;
  public static final long E820_TYPE_NVS = 4;
  public static final long E820_TYPE_UNUSABLE = 5;
  public static final long E820_TYPE_PMEM = 7;
  public static final long E820_TYPE_PRAM = 12;
  public static final long E820_TYPE_SOFT_RESERVED = 0xefffffffL;

  private static final long PAGE_SIZE = 4096;
  private static final long BIOS_BEGIN = 0xa0000;
  private static final long BIOS_END = 0x100000;
  private static final long ULLONG_MAX = -1L;

  private final List<Entry> entries = new ArrayList<>();
  private boolean userdef;

  /** A range of one type. */
  @Kernel(file = "arch/x86/include/asm/e820/types.h", symbol = "struct e820_entry")
  public static final class Entry {
    private long addr;
    private long size;
    private long type;

    private Entry(long addr, long size, long type) {
      this.addr = addr;
      this.size = size;
      this.type = type;
    }

    /** First byte. */
    public long addr() {
      return addr;
    }

    /** First byte behind. */
    public long end() {
      return addr + size;
    }

    /** One of the E820_TYPE numbers. */
    public long type() {
      return type;
    }
  }

  private record ChangePoint(long addr, Entry entry) {
    boolean opens() {
      return addr == entry.addr;
    }
  }

  /** The entries as they are now; ascending and apart after {@link #e820UpdateTable}. */
  public List<Entry> entries() {
    return List.copyOf(entries);
  }

  /** Adds a range; it may overlap others until the next {@link #e820UpdateTable}. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820__range_add")
  public void e820RangeAdd(long start, long size, long type) {
    entries.add(new Entry(start, size, type));
  }

  private static boolean below(long a, long b) {
    return Long.compareUnsigned(a, b) < 0;
  }

  private static long max(long a, long b) {
    return below(a, b) ? b : a;
  }

  private static long min(long a, long b) {
    return below(a, b) ? a : b;
  }

  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820_type_mergeable")
  private static boolean e820TypeMergeable(long type) {
    return type != E820_TYPE_PRAM && type != E820_TYPE_SOFT_RESERVED;
  }

  /**
   * Sorts the table and resolves overlaps: the larger type number wins.
   *
   * @return -1 when there was nothing to do: fewer than two entries, or a range that wraps
   */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820__update_table")
  public int e820UpdateTable() {
    if (entries.size() < 2) {
      return -1;
    }
    List<ChangePoint> points = new ArrayList<>();
    for (Entry entry : entries) {
      if (below(entry.end(), entry.addr)) {
        return -1;
      }
      if (entry.size != 0) {
        points.add(new ChangePoint(entry.addr, entry));
        points.add(new ChangePoint(entry.end(), entry));
      }
    }
    points.sort(E820Table::cpcompare);
    List<Entry> made = sweep(points);
    entries.clear();
    entries.addAll(made);
    return 0;
  }

  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "cpcompare")
  private static int cpcompare(ChangePoint a, ChangePoint b) {
    int order = Long.compareUnsigned(a.addr(), b.addr());
    return order != 0 ? order : (a.opens() ? 0 : 1) - (b.opens() ? 0 : 1);
  }

  private static List<Entry> sweep(List<ChangePoint> points) {
    List<Entry> made = new ArrayList<>();
    List<Entry> overlap = new ArrayList<>();
    long lastType = 0;
    long lastAddr = 0;
    for (ChangePoint point : points) {
      if (point.opens()) {
        overlap.add(point.entry());
      } else {
        overlap.remove(point.entry());
      }
      long currentType = overlap.stream().mapToLong(Entry::type).max().orElse(0);
      if (currentType == lastType && e820TypeMergeable(currentType)) {
        continue;
      }
      if (lastType != 0 && point.addr() != lastAddr) {
        made.add(new Entry(lastAddr, point.addr() - lastAddr, lastType));
      }
      lastAddr = point.addr();
      lastType = currentType;
    }
    return made;
  }

  /** Gives the parts of {@code oldType} in the range the type {@code newType}. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "__e820__range_update")
  public void e820RangeUpdate(long start, long size, long oldType, long newType) {
    long end = below(ULLONG_MAX - start, size) ? ULLONG_MAX : start + size;
    for (int idx = 0; idx < entries.size(); idx++) {
      Entry entry = entries.get(idx);
      if (entry.type != oldType) {
        continue;
      }
      if (!below(entry.addr, start) && !below(end, entry.end())) {
        entry.type = newType;
        continue;
      }
      long from = max(start, entry.addr);
      long to = min(end, entry.end());
      if (below(from, to)) {
        entries.add(new Entry(from, to - from, newType));
        cut(entry, from, to);
      }
    }
  }

  /** Takes the parts of {@code filterType} (0 for all types) in the range out of the table. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820__range_remove")
  public void e820RangeRemove(long start, long size, long filterType) {
    long end = below(ULLONG_MAX - start, size) ? ULLONG_MAX : start + size;
    for (int idx = 0; idx < entries.size(); idx++) {
      Entry entry = entries.get(idx);
      if (filterType != 0 && entry.type != filterType) {
        continue;
      }
      if (!below(entry.addr, start) && !below(end, entry.end())) {
        entry.addr = 0;
        entry.size = 0;
        entry.type = 0;
        continue;
      }
      long from = max(start, entry.addr);
      long to = min(end, entry.end());
      if (below(from, to)) {
        cut(entry, from, to);
      }
    }
  }

  /** Leaves of {@code entry} what lies outside {@code [from, to)}, which is not all of it. */
  private void cut(Entry entry, long from, long to) {
    long end = entry.end();
    if (below(entry.addr, from) && below(to, end)) {
      entries.add(new Entry(to, end - to, entry.type));
    }
    if (below(entry.addr, from)) {
      entry.size = from - entry.addr;
    } else {
      entry.addr = to;
      entry.size = end - to;
    }
  }

  /** {@code mem=}: an end of RAM. Returns 0 or -EINVAL. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "parse_memopt")
  public int parseMemopt(String p) {
    if (p.equals("nopentium")) {
      return -Errno.EINVAL;
    }
    userdef = true;
    long memSize = Kstrtox.memparse(p);
    if (memSize == 0) {
      return -Errno.EINVAL;
    }
    e820RangeRemove(memSize, ULLONG_MAX - memSize, E820_TYPE_RAM);
    return 0;
  }

  /** One piece of {@code memmap=}. Returns 0 or -EINVAL. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "parse_memmap_one")
  public int parseMemmapOne(String p) {
    if (p.startsWith("exactmap")) {
      entries.clear();
      userdef = true;
      return 0;
    }
    Kstrtox.Digits size = Kstrtox.memparsePrefix(p);
    if (size.length() == 0) {
      return -Errno.EINVAL;
    }
    userdef = true;
    if (size.length() == p.length()) {
      e820RangeRemove(size.value(), ULLONG_MAX - size.value(), E820_TYPE_RAM);
      return 0;
    }
    String rest = p.substring(size.length() + 1);
    Kstrtox.Digits start = Kstrtox.memparsePrefix(rest);
    long type =
        switch (p.charAt(size.length())) {
          case '@' -> E820_TYPE_RAM;
          case '#' -> E820_TYPE_ACPI;
          case '$' -> E820_TYPE_RESERVED;
          case '!' -> E820_TYPE_PRAM;
          case '%' -> 0;
          default -> -1;
        };
    if (type == 0) {
      return parseChange(rest.substring(start.length()), start.value(), size.value());
    }
    if (type > 0) {
      e820RangeAdd(start.value(), size.value(), type);
      return start.length() == rest.length() ? 0 : -Errno.EINVAL;
    }
    e820RangeRemove(size.value(), ULLONG_MAX - size.value(), E820_TYPE_RAM);
    return -Errno.EINVAL;
  }

  /** {@code types} is {@code -from+to}, either of which may be missing. */
  private int parseChange(String types, long start, long size) {
    String rest = types;
    long from = 0;
    long to = 0;
    if (rest.startsWith("-")) {
      Kstrtox.Digits number = Kstrtox.digits(rest.substring(1), 0);
      from = number.value() & 0xffff_ffffL;
      rest = rest.substring(1 + number.length());
    }
    if (rest.startsWith("+")) {
      Kstrtox.Digits number = Kstrtox.digits(rest.substring(1), 0);
      to = number.value() & 0xffff_ffffL;
      rest = rest.substring(1 + number.length());
    }
    if (!rest.isEmpty()) {
      return -Errno.EINVAL;
    }
    if (from != 0 && to != 0) {
      e820RangeUpdate(start, size, from, to);
    } else if (to != 0) {
      e820RangeAdd(start, size, to);
    } else {
      e820RangeRemove(start, size, from);
    }
    return 0;
  }

  /** All pieces of {@code memmap=}. Unlike the kernel's, it tells of a bad piece: -EINVAL. */
  @Kernel(
      file = "arch/x86/kernel/e820.c",
      symbol = "parse_memmap_opt",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The kernel drops a malformed piece without a word; a user of the model wants to know.")
  public int parseMemmapOpt(String str) {
    int rc = 0;
    for (String piece : str.split(",", -1)) {
      if (parseMemmapOne(piece) != 0) {
        rc = -Errno.EINVAL;
      }
    }
    return rc;
  }

  /** After all parameters: sorts the table when one of them changed it. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820__finish_early_params")
  public void e820FinishEarlyParams() {
    if (userdef && e820UpdateTable() < 0) {
      throw new KernelPanic("Invalid user supplied memory map");
    }
  }

  /** {@code trim_bios_range()}: the first page and the BIOS area are no RAM. */
  @Kernel(file = "arch/x86/kernel/setup.c", symbol = "trim_bios_range")
  public void trimBiosRange() {
    e820RangeUpdate(0, PAGE_SIZE, E820_TYPE_RAM, E820_TYPE_RESERVED);
    e820RangeRemove(BIOS_BEGIN, BIOS_END - BIOS_BEGIN, E820_TYPE_RAM);
    e820UpdateTable();
    entries.removeIf(entry -> entry.size == 0);
    entries.sort(Comparator.comparing(Entry::addr, Long::compareUnsigned));
  }

  /** {@code e820_type_to_string()}: the name in /proc/iomem. */
  @Kernel(file = "arch/x86/kernel/e820.c", symbol = "e820_type_to_string")
  public static String e820TypeToString(long type) {
    for (Name name : NAMES) {
      if (name.type() == type) {
        return name.label();
      }
    }
    return "Unknown E820 type";
  }

  /** The type of a range that /proc/iomem calls {@code name}; 0 for names of other things. */
  public static long typeOf(String name) {
    for (Name known : NAMES) {
      if (known.label().equalsIgnoreCase(name)) {
        return known.type();
      }
    }
    return 0;
  }

  private record Name(long type, String label) {}

  private static final List<Name> NAMES =
      List.of(
          new Name(E820_TYPE_RAM, "System RAM"),
          new Name(E820_TYPE_ACPI, "ACPI Tables"),
          new Name(E820_TYPE_NVS, "ACPI Non-volatile Storage"),
          new Name(E820_TYPE_UNUSABLE, "Unusable memory"),
          new Name(E820_TYPE_PRAM, "Persistent Memory (legacy)"),
          new Name(E820_TYPE_PMEM, "Persistent Memory"),
          new Name(E820_TYPE_RESERVED, "Reserved"),
          new Name(E820_TYPE_SOFT_RESERVED, "Soft Reserved"));
}
