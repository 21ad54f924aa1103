// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a Linux host says about its memory: this one, or a folder of copies of its files under the
 * same names, as {@code tools/collect-facts.sh} makes it.
 *
 * <p>Nodes come from /proc/zoneinfo, which knows the exact borders, and, where the spans of nodes
 * overlap, from the memory blocks that /sys/devices/system/node lists.
 *
 * @param release the kernel's release; empty when not told
 * @param iomem top-level lines of /proc/iomem
 * @param cmdline the host's command line
 * @param zones zones with a span
 * @param memmapBootPages nr_memmap_boot_pages; null when the kernel does not count it
 * @param blockSize bytes of a memory block; 0 when not told
 * @param blockNode node of each memory block by number; empty when not told
 * @param hugepages total of each size in bytes
 * @param optimize whether new hugepages are optimised: vm.hugetlb_optimize_vmemmap
 */
public record HostFacts(
    String release,
    List<Iomem.Line> iomem,
    List<String> cmdline,
    List<HostZone> zones,
    @Nullable Long memmapBootPages,
    long blockSize,
    Map<Long, Integer> blockNode,
    TreeMap<Long, Long> hugepages,
    boolean optimize) {

  /**
   * A zone in /proc/zoneinfo. Counts and pfns are in base pages.
   *
   * @param node node number
   * @param name zone name
   * @param startPfn first pfn; -1 when not printed, as for a zone without present pages
   * @param spanned pages from first to last
   * @param present pages that exist
   * @param managed pages of the page allocator
   */
  public record HostZone(
      int node, String name, long startPfn, long spanned, long present, long managed) {}

  /** Reads the files below {@code root}. @throws BadInput naming the file that cannot be used */
  public static HostFacts read(Path root) {
    requireX86(root);
    Path iomemFile = root.resolve("proc/iomem");
    List<Iomem.Line> iomem = new ArrayList<>();
    boolean nonZero = false;
    for (Iomem.Line line : Iomem.parse(iomemFile.toString(), lines(iomemFile))) {
      nonZero |= line.end() > 1;
      if (line.depth() == 0) {
        iomem.add(line);
      }
    }
    if (!nonZero) {
      throw new BadInput(iomemFile + " shows no addresses: it has to be read as root");
    }
    Path node = root.resolve("sys/devices/system/node");
    return new HostFacts(
        optional(root.resolve("proc/sys/kernel/osrelease")),
        iomem,
        Cmdline.words(String.join(" ", lines(root.resolve("proc/cmdline")))),
        zones(lines(root.resolve("proc/zoneinfo"))),
        memmapBootPages(lines(root.resolve("proc/vmstat"))),
        blockSize(root),
        blockNodes(node),
        hugepages(root.resolve("sys/kernel/mm/hugepages")),
        optional(root.resolve("proc/sys/vm/hugetlb_optimize_vmemmap")).equals("1"));
  }

  /** Only x86-64 hosts can be modelled: a folder says it in the file {@code machine}. */
  private static void requireX86(Path root) {
    String told = optional(root.resolve("machine"));
    String machine = told.isEmpty() ? System.getProperty("os.arch", "") : told;
    boolean folder = Files.exists(root.resolve("machine")) || root.getNameCount() == 0;
    if (folder && !machine.equals("x86_64") && !machine.equals("amd64")) {
      throw new BadInput("--host: this host is " + machine + ", wanted an x86-64 one");
    }
  }

  private static List<String> lines(Path file) {
    try {
      String text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
      return text.lines().toList();
    } catch (IOException e) {
      throw new BadInput(
          file
              + " cannot be read: wanted a Linux host, or a folder made by tools/collect-facts.sh");
    }
  }

  private static String optional(Path file) {
    return Files.isReadable(file) ? lines(file).getFirst().strip() : "";
  }

  private static long blockSize(Path root) {
    String text = optional(root.resolve("sys/devices/system/memory/block_size_bytes"));
    return Math.max(0, Numbers.hex(text));
  }

  /** The counter's name was nr_memmap_boot when it came (6.11) and has had its _pages since. */
  private static @Nullable Long memmapBootPages(List<String> vmstat) {
    for (String line : vmstat) {
      if (line.startsWith("nr_memmap_boot_pages ") || line.startsWith("nr_memmap_boot ")) {
        return Long.parseLong(line.substring(line.indexOf(' ') + 1).strip());
      }
    }
    return null;
  }

  private static List<HostZone> zones(List<String> zoneinfo) {
    List<HostZone> zones = new ArrayList<>();
    String head = "";
    Map<String, Long> values = new TreeMap<>();
    for (String line : zoneinfo) {
      if (line.startsWith("Node ")) {
        addZone(zones, head, values);
        head = line;
        values.clear();
        continue;
      }
      addValue(values, line.strip());
    }
    addZone(zones, head, values);
    return zones;
  }

  /** A line of one word and one number: {@code spanned 4095} or {@code start_pfn: 1}. */
  private static void addValue(Map<String, Long> values, String line) {
    int space = line.indexOf(' ');
    String number = space < 0 ? "" : line.substring(space).strip();
    if (isNumber(number)) {
      values.putIfAbsent(line.substring(0, space).replace(":", ""), Long.valueOf(number));
    }
  }

  private static boolean isNumber(String text) {
    return !text.isEmpty() && text.length() < 19 && text.chars().allMatch(Character::isDigit);
  }

  private static void addZone(List<HostZone> zones, String head, Map<String, Long> values) {
    int comma = head.indexOf(", zone ");
    long spanned = values.getOrDefault("spanned", 0L);
    if (comma < 0 || spanned == 0) {
      return;
    }
    zones.add(
        new HostZone(
            Numbers.parse("/proc/zoneinfo node", head.substring(5, comma), 0, 1023),
            head.substring(comma + 7).strip(),
            values.getOrDefault("start_pfn", -1L),
            spanned,
            values.getOrDefault("present", 0L),
            values.getOrDefault("managed", 0L)));
  }

  private static Map<Long, Integer> blockNodes(Path nodes) {
    Map<Long, Integer> result = new TreeMap<>();
    for (String node : names(nodes, "node")) {
      for (String block : names(nodes.resolve("node" + node), "memory")) {
        result.putIfAbsent(Long.valueOf(block), Integer.valueOf(node));
      }
    }
    return result;
  }

  /** The numbers behind {@code prefix} in the names of a folder's entries. */
  private static List<String> names(Path folder, String prefix) {
    if (!Files.isDirectory(folder)) {
      return Collections.emptyList();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries
          .map(entry -> entry.getFileName().toString())
          .filter(name -> name.startsWith(prefix) && isNumber(name.substring(prefix.length())))
          .map(name -> name.substring(prefix.length()))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new BadInput(folder + " cannot be read: wanted a folder that may be listed");
    }
  }

  private static TreeMap<Long, Long> hugepages(Path folder) {
    TreeMap<Long, Long> result = new TreeMap<>();
    for (long kib : new long[] {2048, 1048576}) {
      String total = optional(folder.resolve("hugepages-" + kib + "kB/nr_hugepages"));
      if (isNumber(total)) {
        result.put(kib << 10, Long.valueOf(total));
      }
    }
    return result;
  }

  /**
   * The host as a machine. Its memory map already shows what {@code mem=} and {@code memmap=} did.
   *
   * @param extra kernel parameters behind the host's own
   */
  public MachineSpec toSpec(int levels, List<String> extra) {
    MachineMap map = new MachineMap();
    for (Iomem.Line line : iomem) {
      long type = E820Table.typeOf(line.name());
      if (type != 0) {
        map.range(line.start(), line.end(), type);
      }
    }
    addNodes(map);
    MachineSpec spec = map.toSpec(levels, extra);
    List<String> words = new ArrayList<>(cmdline);
    words.addAll(extra);
    return spec.withCmdline(words);
  }

  /** Nodes by borders of zones, then by blocks where spans overlap; none for a host with one. */
  private void addNodes(MachineMap map) {
    TreeMap<Integer, List<long[]>> spans = nodeSpans();
    if (spans.size() < 2) {
      return;
    }
    TreeMap<Long, Boolean> borders = new TreeMap<>();
    for (List<long[]> list : spans.values()) {
      for (long[] span : list) {
        borders.put(span[0], true);
        borders.put(span[1], true);
      }
    }
    if (blockSize > 0) {
      blockNode.keySet().forEach(block -> borders.put(block * blockSize, true));
      blockNode.keySet().forEach(block -> borders.put((block + 1) * blockSize, true));
    }
    long from = -1;
    for (long to : borders.keySet()) {
      int node = from < 0 ? -1 : nodeOf(spans, from, to);
      if (node >= 0) {
        map.node(node, from, to);
      }
      from = to;
    }
  }

  private TreeMap<Integer, List<long[]>> nodeSpans() {
    TreeMap<Integer, List<long[]>> spans = new TreeMap<>();
    for (HostZone zone : zones) {
      if (zone.startPfn() >= 0 && !zone.name().equals("Device")) {
        long start = zone.startPfn() << 12;
        spans
            .computeIfAbsent(zone.node(), node -> new ArrayList<>())
            .add(new long[] {start, start + (zone.spanned() << 12)});
      }
    }
    return spans;
  }

  private int nodeOf(TreeMap<Integer, List<long[]>> spans, long from, long to) {
    int found = -1;
    for (Map.Entry<Integer, List<long[]>> entry : spans.entrySet()) {
      for (long[] span : entry.getValue()) {
        if (span[0] <= from && to <= span[1]) {
          boolean several = found >= 0 && found != entry.getKey();
          found =
              several
                  ? blockNode.getOrDefault(from / Math.max(1, blockSize), found)
                  : entry.getKey();
        }
      }
    }
    return found;
  }
}
