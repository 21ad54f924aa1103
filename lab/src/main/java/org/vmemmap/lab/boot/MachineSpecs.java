// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Makes machines: from a size and a number of nodes, or from a text file in kernel words. */
public final class MachineSpecs {
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final long BDA_END = 0x9fc00;
  private static final long LOW_MAX = 0xe0000000L;
  private static final long LOW_TOP = 0xc0000000L;
  private static final long HIGH_START = 4 * GIB;
  private static final long ACPI_BYTES = 0x20000;

  /** As the kernel's log lines about the table of nodes have it. */
  private static final String HOTPLUG = "hotplug";

  private MachineSpecs() {}

  /**
   * A virtual PC: memory below 3 GiB and, when it is more than 3.5 GiB, the rest from 4 GiB on; the
   * last 128 KiB below 3 GiB hold firmware tables. Nodes get equal parts of it in order.
   *
   * <pre>
   *   8 GiB, 2 nodes     0      640K 1M           3G        4G      5G            9G
   *                      | node 0   | | node 0     | devices | node 0| node 1      | dax ...
   * </pre>
   *
   * @param mem bytes of RAM, a multiple of 1 MiB, at least 64 MiB
   * @param nodes number of nodes, each at least 64 MiB
   * @param dax devices, each behind all that comes before it, from a multiple of 1 GiB on
   * @param levels page-table levels
   * @param cmdline kernel parameters
   */
  public static MachineSpec ofSize(
      long mem, int nodes, List<DaxOption> dax, int levels, List<String> cmdline) {
    if (mem < 64 * MIB || mem % MIB != 0) {
      throw new BadInput("--mem " + Sizes.text(mem) + ": wanted at least 64M and whole MiB");
    }
    if (mem / nodes < 64 * MIB) {
      throw new BadInput("--nodes " + nodes + ": wanted at least 64M for each node");
    }
    MachineMap map = new MachineMap();
    long low = mem < LOW_MAX ? mem : LOW_TOP;
    map.range(0, BDA_END, E820Table.E820_TYPE_RAM);
    map.range(BDA_END, 0xa0000, E820Table.E820_TYPE_RESERVED);
    map.range(0xf0000, MIB, E820Table.E820_TYPE_RESERVED);
    map.range(MIB, low - ACPI_BYTES, E820Table.E820_TYPE_RAM);
    map.range(low - ACPI_BYTES, low, E820Table.E820_TYPE_RESERVED);
    if (mem > low) {
      map.range(HIGH_START, HIGH_START + mem - low, E820Table.E820_TYPE_RAM);
    }
    addNodes(map, mem, low, nodes);
    addDax(map, dax, nodes);
    return map.toSpec(levels, cmdline);
  }

  /**
   * A virtual PC with exactly this memory, as {@code mem=} and {@code memmap=} have left it.
   */
  public static MachineSpec of(MemoryRanges memory, int levels, List<String> cmdline) {
    Profile profile = Profile.x86(levels, MachineMap.vmemmapBase(levels));
    long block = MachineMap.blockSize(memory.of(MemoryRanges.Kind.RAM));
    return new MachineSpec(profile, profile.config(), memory, cmdline, block);
  }

  private static void addNodes(MachineMap map, long mem, long low, int nodes) {
    long share = mem / nodes / MIB * MIB;
    for (int node = 0; node < nodes; node++) {
      long from = node * share;
      long to = node == nodes - 1 ? mem : from + share;
      if (from < low) {
        map.node(node, from, Math.min(to, low));
      }
      if (to > low) {
        map.node(node, Math.max(from, low) - low + HIGH_START, to - low + HIGH_START);
      }
    }
  }

  private static void addDax(MachineMap map, List<DaxOption> dax, int nodes) {
    for (DaxOption device : dax) {
      if (device.node() >= nodes) {
        throw new BadInput(
            "--dax node=" + device.node() + ": the machine has nodes 0 to " + (nodes - 1));
      }
      long start = (map.lastEnd() + GIB - 1) / GIB * GIB;
      map.range(
          start,
          start + device.size(),
          device.pmem() ? E820Table.E820_TYPE_PRAM : E820Table.E820_TYPE_SOFT_RESERVED);
      map.node(device.node(), start, start + device.size());
    }
  }

  /**
   * A machine from text: lines as /proc/iomem prints them, lines {@code node N: START-END} (or the
   * kernel's own {@code node N: [mem 0xSTART-0xEND]}), with {@code hotplug} behind it if it can be
   * pulled; one line {@code cmdline: ...}, comments
   * behind {@code #}.
   *
   * @param source name of the file, for messages
   * @param dax devices to add behind all that the file names
   * @param extra kernel parameters behind those of the file
   */
  public static MachineSpec ofText(
      String source, List<String> lines, List<DaxOption> dax, int levels, List<String> extra) {
    MachineMap map = new MachineMap();
    List<String> cmdline = new ArrayList<>();
    int nodes = 1;
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).replaceFirst("#.*", "").stripTrailing();
      String where = source + " line " + (i + 1);
      if (line.strip().startsWith("node")) {
        nodes = Math.max(nodes, 1 + nodeLine(map, where, line.strip()));
      } else if (line.startsWith("cmdline:")) {
        cmdline.addAll(Cmdline.words(line.substring("cmdline:".length())));
      } else if (!line.isBlank()) {
        memoryLine(map, where, line);
      }
    }
    cmdline.addAll(extra);
    addDax(map, dax, nodes);
    return map.toSpec(levels, cmdline);
  }

  private static void memoryLine(MachineMap map, String where, String text) {
    Iomem.@Nullable Line line = Iomem.parseLine(text);
    if (line == null) {
      throw new BadInput(
          where
              + ": "
              + text.strip()
              + ": wanted START-END : NAME, node N: START-END or cmdline: ...");
    }
    long type = E820Table.typeOf(line.name());
    if (line.depth() == 0 && type != 0) {
      map.range(line.start(), line.end(), type);
    }
  }

  private static int nodeLine(MachineMap map, String where, String text) {
    int colon = text.indexOf(':');
    int dash = text.indexOf('-');
    if (colon > 0 && dash > colon) {
      int node = Numbers.parse(where + ": node", text.substring(4, colon), 0, 1023);
      String from = text.substring(colon + 1, dash).replace("[mem", "").strip();
      long start = Numbers.hex(from);
      String to = text.substring(dash + 1).replace("]", "").strip();
      boolean hotplug = to.endsWith(" " + HOTPLUG);
      long last = Numbers.hex(hotplug ? to.substring(0, to.length() - HOTPLUG.length()).strip() : to);
      if (start >= 0 && last >= start) {
        map.node(node, start, last + 1);
        if (hotplug) {
          map.hotpluggable(node, start, last + 1);
        }
        return node;
      }
    }
    throw new BadInput(where + ": " + text + ": wanted node N: START-END in hexadecimal, and hotplug behind it or nothing");
  }
}
