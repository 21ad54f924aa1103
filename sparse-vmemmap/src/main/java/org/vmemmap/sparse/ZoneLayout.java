// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.Memblock.MemPfnRange;
import org.vmemmap.types.Align;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The part of mm_init.c that decides where each zone of each node begins and ends.
 *
 * <pre>
 *   arch limits    |--DMA--|------DMA32------|----------Normal----------|
 *   node 0          [=== ============= ===]
 *   node 1                                [=    ==============]
 *   kernelcore                            |   kernel  | Movable|   (per node, from the end)
 * </pre>
 *
 * A zone of a node is the architecture's range, cut to the node from its first to its last page,
 * and to where ZONE_MOVABLE begins on that node. Holes inside are spanned but not present. All
 * units are pfns and base pages.
 */
@Kernel(file = "mm/mm_init.c", symbol = "zone_spanned_pages_in_node")
final class ZoneLayout {
  private static final PfnRange EMPTY = new PfnRange(0, 0);

  /**
   * Pages {@code [startPfn, endPfn)}.
   *
   * @param startPfn first pfn
   * @param endPfn first pfn behind
   */
  record PfnRange(long startPfn, long endPfn) {
    long nrPages() {
      return endPfn - startPfn;
    }
  }

  /** What zone_spanned_pages_in_node() returns through its result and two pointers. */
  private record ZoneSpan(long startPfn, long endPfn, long spanned) {}

  private final Mm mm;
  private final Memblock memblock;
  private final Map<ZoneType, PfnRange> archZone = new EnumMap<>(ZoneType.class);
  private final Map<Integer, Long> zoneMovablePfn = new TreeMap<>();
  private SortedSet<Integer> nodeStatesMemory = new TreeSet<>();
  private long requiredKernelcore;
  private long requiredKernelcorePercent;
  private long requiredMovablecore;
  private long requiredMovablecorePercent;
  private boolean mirroredKernelcore;
  private ZoneType movableZone = ZoneType.ZONE_NORMAL;
  private long nrKernelPages;
  private long nrAllPages;

  ZoneLayout(Mm mm, Memblock memblock) {
    this.mm = mm;
    this.memblock = memblock;
  }

  /** {@code node_states[N_MEMORY]}: numbers of the nodes that have memory, ascending. */
  SortedSet<Integer> nodeStatesMemory() {
    return nodeStatesMemory;
  }

  /** {@code nr_kernel_pages}: pages that memblock had not reserved when the zones were laid out. */
  long nrKernelPages() {
    return nrKernelPages;
  }

  /** {@code nr_all_pages}. */
  long nrAllPages() {
    return nrAllPages;
  }

  // ---- command line ----

  /** {@code cmdline_parse_kernelcore()}. */
  @Kernel(file = "mm/mm_init.c", symbol = "cmdline_parse_kernelcore")
  int cmdlineParseKernelcore(@Nullable String p) {
    if (p != null && parseOptionStr(p, "mirror")) {
      mirroredKernelcore = true;
      return 0;
    }
    if (p == null) {
      return -Errno.EINVAL;
    }
    CoreSize core = cmdlineParseCore(p);
    requiredKernelcore = core.percent() ? requiredKernelcore : core.value();
    requiredKernelcorePercent = core.percent() ? core.value() : 0;
    return 0;
  }

  /** {@code cmdline_parse_movablecore()}. */
  @Kernel(file = "mm/mm_init.c", symbol = "cmdline_parse_movablecore")
  int cmdlineParseMovablecore(@Nullable String p) {
    if (p == null) {
      return -Errno.EINVAL;
    }
    CoreSize core = cmdlineParseCore(p);
    requiredMovablecore = core.percent() ? requiredMovablecore : core.value();
    requiredMovablecorePercent = core.percent() ? core.value() : 0;
    return 0;
  }

  /** A percentage of all memory, or a number of pages. */
  private record CoreSize(long value, boolean percent) {}

  @Kernel(file = "mm/mm_init.c", symbol = "cmdline_parse_core")
  private CoreSize cmdlineParseCore(String p) {
    Kstrtox.Digits number = Kstrtox.digits(p, 0);
    if (p.startsWith("%", number.length())) {
      mm.printk()
          .warnOn(
              Long.compareUnsigned(number.value(), 100) > 0, "cmdline_parse_core: coremem > 100");
      return new CoreSize(number.value(), true);
    }
    // The second check of the original, that the pages fit a long, cannot fail with 64-bit longs.
    return new CoreSize(Kstrtox.memparse(p) >>> mm.model().pageShift(), false);
  }

  /** {@code parse_option_str()}: one of the words between commas is {@code option}. */
  @Kernel(file = "include/linux/string.h", symbol = "parse_option_str")
  private static boolean parseOptionStr(String str, String option) {
    return Arrays.asList(str.split(",", -1)).contains(option);
  }

  // ---- limits of the architecture ----

  /**
   * The first half of {@code free_area_init()}: turns the architecture's upper limits into ranges.
   * A zone starts where the one below it ends; equal limits make an empty zone.
   *
   * @param maxZonePfns by zone number, first pfn behind the zone; 0 or missing where the
   *     architecture has no such zone
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "free_area_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "First part of the function; the order of descending limits is for ARC only.")
  void setArchZoneLimits(long[] maxZonePfns) {
    long[] limits = Arrays.copyOf(maxZonePfns, mm.zones().maxNrZones());
    long startPfn = mm.model().physPfn(memblock.memblockStartOfDRAM());
    int i = 0;
    for (ZoneType zone : mm.zones().types()) {
      long limit = limits[i++];
      if (zone == ZoneType.ZONE_MOVABLE) {
        continue;
      }
      long endPfn = Math.max(limit, startPfn);
      archZone.put(zone, new PfnRange(startPfn, endPfn));
      startPfn = endPfn;
    }
  }

  private PfnRange archZone(ZoneType zone) {
    return archZone.getOrDefault(zone, EMPTY);
  }

  /** The lines about zones and nodes that {@code free_area_init()} prints. */
  void printRanges() {
    int shift = mm.model().pageShift();
    mm.printk().prInfo("Zone ranges:");
    for (ZoneType zone : mm.zones().types()) {
      if (zone != ZoneType.ZONE_MOVABLE) {
        PfnRange range = archZone(zone);
        String text = range.nrPages() == 0 ? "empty" : memRange(range.startPfn(), range.endPfn());
        mm.printk().prInfo(String.format("  %-8s %s", zone.label(), text));
      }
    }
    mm.printk().prInfo("Movable zone start for each node");
    zoneMovablePfn.forEach(
        (nid, pfn) -> {
          if (pfn != 0) {
            mm.printk().prInfo(String.format("  Node %d: 0x%016x", nid, pfn << shift));
          }
        });
    mm.printk().prInfo("Early memory node ranges");
    for (MemPfnRange range : memPfnRanges()) {
      String text = memRange(range.startPfn(), range.endPfn());
      mm.printk().prInfo(String.format("  node %3d: %s", range.nid(), text));
    }
  }

  /** A range of pfns as the log shows it: bytes, the last one included. */
  String memRange(long startPfn, long endPfn) {
    int shift = mm.model().pageShift();
    return String.format(
        "[mem 0x%016x-0x%016x]", startPfn << shift, endPfn == 0 ? 0 : (endPfn << shift) - 1);
  }

  // ---- ZONE_MOVABLE ----

  /** {@code early_calculate_totalpages()}: also marks the nodes that have memory. */
  @Kernel(file = "mm/mm_init.c", symbol = "early_calculate_totalpages")
  private long earlyCalculateTotalpages() {
    long totalpages = 0;
    for (MemPfnRange range : memPfnRanges()) {
      totalpages += range.endPfn() - range.startPfn();
      nodeStatesMemory.add(range.nid());
    }
    return totalpages;
  }

  /** {@code find_usable_zone_for_movable()}: the highest zone of the architecture with a range. */
  @Kernel(file = "mm/mm_init.c", symbol = "find_usable_zone_for_movable")
  private void findUsableZoneForMovable() {
    for (ZoneType zone : mm.zones().types().reversed()) {
      if (zone != ZoneType.ZONE_MOVABLE && archZone(zone).nrPages() > 0) {
        movableZone = zone;
        return;
      }
    }
    mm.printk().vmBugOn(true, "find_usable_zone_for_movable: zone_index == -1");
  }

  /**
   * {@code find_zone_movable_pfns_for_nodes()}: where ZONE_MOVABLE begins on each node. The node
   * states are only borrowed and put back at the end.
   */
  @Kernel(
      file = "mm/mm_init.c",
      symbol = "find_zone_movable_pfns_for_nodes",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "No memory is mirrored: the way for that is out.")
  void findZoneMovablePfnsForNodes() {
    SortedSet<Integer> savedNodeState = new TreeSet<>(nodeStatesMemory);
    long totalpages = earlyCalculateTotalpages();
    findUsableZoneForMovable();
    if (memblock.movableNodeIsEnabled()) {
      startAtHotpluggable();
      alignZoneMovablePfns();
    } else if (mirroredKernelcore) {
      mm.printk().prWarn("The system has no mirror memory, ignore kernelcore=mirror.");
    } else if (needsMovable(totalpages)) {
      spreadKernelcore(nodeStatesMemory.size());
      alignZoneMovablePfns();
    }
    nodeStatesMemory = savedNodeState;
  }

  /** With movable_node, kernelcore and movablecore do not count. */
  private void startAtHotpluggable() {
    for (Memblock.MemRange r : memblock.memRanges()) {
      if (r.isHotpluggable()) {
        // memblock_region_memory_base_pfn(): a page that is only partly there does not count.
        long usable = mm.model().physPfn(r.start() + mm.model().pageSize() - 1);
        long old = movablePfn(r.nid());
        zoneMovablePfn.put(r.nid(), old == 0 ? usable : Math.min(usable, old));
      }
    }
  }

  /** Turns the options into required_kernelcore; false when there is to be no ZONE_MOVABLE. */
  private boolean needsMovable(long totalpages) {
    if (requiredKernelcorePercent != 0) {
      requiredKernelcore = percentOf(totalpages, requiredKernelcorePercent);
    }
    if (requiredMovablecorePercent != 0) {
      requiredMovablecore = percentOf(totalpages, requiredMovablecorePercent);
    }
    if (requiredMovablecore != 0) {
      // Rounded up: ZONE_MOVABLE is never smaller than what was asked for.
      requiredMovablecore = Math.min(totalpages, roundUpMaxOrder(requiredMovablecore));
      requiredKernelcore = Math.max(requiredKernelcore, totalpages - requiredMovablecore);
    }
    return requiredKernelcore != 0 && requiredKernelcore < totalpages;
  }

  private static long percentOf(long totalpages, long percent) {
    return Long.divideUnsigned(totalpages * 100 * percent, 10000);
  }

  private long roundUpMaxOrder(long pages) {
    return Align.align(pages, 1L << mm.config().maxPageOrder());
  }

  /**
   * Gives each node its share of kernelcore. What small nodes cannot take is spread again over the
   * rest, with one node less in the count each time.
   */
  private void spreadKernelcore(int usableNodes) {
    long usableStartpfn = archZone(movableZone).startPfn();
    do {
      long kernelcoreNode = requiredKernelcore / usableNodes;
      for (int nid : nodeStatesMemory) {
        if (requiredKernelcore < kernelcoreNode) {
          kernelcoreNode = requiredKernelcore / usableNodes;
        }
        takeKernelcore(nid, kernelcoreNode, usableStartpfn);
      }
      usableNodes--;
    } while (usableNodes != 0 && requiredKernelcore > usableNodes);
  }

  /** Walks up the memory of a node and pushes zone_movable_pfn behind the kernel's share. */
  private void takeKernelcore(int nid, long kernelcoreRemaining, long usableStartpfn) {
    for (MemPfnRange range : memblock.memPfnRanges(nid)) {
      long startPfn = Math.max(range.startPfn(), movablePfn(nid));
      long endPfn = range.endPfn();
      if (startPfn >= endPfn) {
        continue;
      }
      // Below the zone that movable pages come from, memory can only be the kernel's.
      if (startPfn < usableStartpfn) {
        long kernelPages = Math.min(endPfn, usableStartpfn) - startPfn;
        kernelcoreRemaining -= Math.min(kernelPages, kernelcoreRemaining);
        requiredKernelcore -= Math.min(kernelPages, requiredKernelcore);
        if (endPfn <= usableStartpfn) {
          // So that the next pass over the nodes does not count this range again.
          zoneMovablePfn.put(nid, endPfn);
          continue;
        }
        startPfn = usableStartpfn;
      }
      long sizePages = Math.min(endPfn - startPfn, kernelcoreRemaining);
      zoneMovablePfn.put(nid, startPfn + sizePages);
      requiredKernelcore -= Math.min(requiredKernelcore, sizePages);
      kernelcoreRemaining -= sizePages;
      if (kernelcoreRemaining == 0) {
        break;
      }
    }
  }

  private void alignZoneMovablePfns() {
    for (int nid : nodeStatesMemory) {
      long aligned = roundUpMaxOrder(movablePfn(nid));
      zoneMovablePfn.put(nid, aligned >= getPfnRangeForNid(nid).endPfn() ? 0 : aligned);
    }
  }

  private long movablePfn(int nid) {
    return zoneMovablePfn.getOrDefault(nid, 0L);
  }

  // ---- zones of a node ----

  /** {@code adjust_zone_range_for_zone_movable()}. */
  @Kernel(file = "mm/mm_init.c", symbol = "adjust_zone_range_for_zone_movable")
  private PfnRange adjustZoneRangeForZoneMovable(
      int nid, ZoneType zoneType, long nodeEndPfn, PfnRange zone) {
    long movable = movablePfn(nid);
    if (movable == 0) {
      return zone;
    }
    if (zoneType == ZoneType.ZONE_MOVABLE) {
      return new PfnRange(movable, Math.min(nodeEndPfn, archZone(movableZone).endPfn()));
    }
    if (zone.startPfn() < movable && zone.endPfn() > movable) {
      return new PfnRange(zone.startPfn(), movable);
    }
    if (zone.startPfn() >= movable) {
      return new PfnRange(zone.endPfn(), zone.endPfn());
    }
    return zone;
  }

  /** {@code __absent_pages_in_range()}: pages of the range that no memory of the node covers. */
  @Kernel(file = "mm/mm_init.c", symbol = "__absent_pages_in_range")
  private long absentPagesInRange0(int nid, long rangeStartPfn, long rangeEndPfn) {
    long nrAbsent = rangeEndPfn - rangeStartPfn;
    for (MemPfnRange range : memblock.memPfnRanges(nid)) {
      long startPfn = clamp(range.startPfn(), rangeStartPfn, rangeEndPfn);
      long endPfn = clamp(range.endPfn(), rangeStartPfn, rangeEndPfn);
      nrAbsent -= endPfn - startPfn;
    }
    return nrAbsent;
  }

  /** {@code absent_pages_in_range()}: pages of the range that are no memory of any node. */
  @Kernel(file = "mm/mm_init.c", symbol = "absent_pages_in_range")
  long absentPagesInRange(long startPfn, long endPfn) {
    return absentPagesInRange0(Memblock.NUMA_NO_NODE, startPfn, endPfn);
  }

  /** {@code zone_absent_pages_in_node()}. */
  @Kernel(file = "mm/mm_init.c", symbol = "zone_absent_pages_in_node")
  private long zoneAbsentPagesInNode(int nid, long zoneStartPfn, long zoneEndPfn) {
    return zoneStartPfn == zoneEndPfn ? 0 : absentPagesInRange0(nid, zoneStartPfn, zoneEndPfn);
  }

  /** {@code zone_spanned_pages_in_node()}: from the first to the last page, holes included. */
  @Kernel(file = "mm/mm_init.c", symbol = "zone_spanned_pages_in_node")
  private ZoneSpan zoneSpannedPagesInNode(int nid, ZoneType zoneType, PfnRange node) {
    PfnRange arch = archZone(zoneType);
    PfnRange zone =
        new PfnRange(
            clamp(node.startPfn(), arch.startPfn(), arch.endPfn()),
            clamp(node.endPfn(), arch.startPfn(), arch.endPfn()));
    zone = adjustZoneRangeForZoneMovable(nid, zoneType, node.endPfn(), zone);
    if (zone.endPfn() < node.startPfn() || zone.startPfn() > node.endPfn()) {
      return new ZoneSpan(zone.startPfn(), zone.endPfn(), 0);
    }
    long endPfn = Math.min(zone.endPfn(), node.endPfn());
    long startPfn = Math.max(zone.startPfn(), node.startPfn());
    return new ZoneSpan(startPfn, endPfn, endPfn - startPfn);
  }

  /** {@code reset_memoryless_node_totalpages()}. */
  @Kernel(file = "mm/mm_init.c", symbol = "reset_memoryless_node_totalpages")
  void resetMemorylessNodeTotalpages(PgData pgdat) {
    for (Zone zone : pgdat.zones()) {
      zone.zoneStartPfn = 0;
      zone.spannedPages = 0;
      zone.presentPages = 0;
      zone.presentEarlyPages = 0;
    }
    pgdat.nodeSpannedPages = 0;
    pgdat.nodePresentPages = 0;
  }

  /** {@code calc_nr_kernel_pages()}: what memblock has free now. */
  @Kernel(file = "mm/mm_init.c", symbol = "calc_nr_kernel_pages")
  void calcNrKernelPages() {
    for (Memblock.MemRange range : memblock.freeMemRanges(Memblock.NUMA_NO_NODE)) {
      long startPfn = mm.model().pfnUp(range.start());
      long endPfn = mm.model().physPfn(range.end());
      if (startPfn < endPfn) {
        nrAllPages += endPfn - startPfn;
        nrKernelPages += endPfn - startPfn;
      }
    }
  }

  /** {@code calculate_node_totalpages()}: span and present pages of each zone and of the node. */
  @Kernel(file = "mm/mm_init.c", symbol = "calculate_node_totalpages")
  void calculateNodeTotalpages(PgData pgdat, PfnRange node) {
    long realtotalpages = 0;
    for (Zone zone : pgdat.zones()) {
      ZoneSpan span = zoneSpannedPagesInNode(pgdat.nodeId(), zone.idx(), node);
      long absent = zoneAbsentPagesInNode(pgdat.nodeId(), span.startPfn(), span.endPfn());
      long realSize = span.spanned() - absent;
      zone.zoneStartPfn = span.spanned() != 0 ? span.startPfn() : 0;
      zone.spannedPages = span.spanned();
      zone.presentPages = realSize;
      zone.presentEarlyPages = realSize;
      realtotalpages += realSize;
    }
    pgdat.nodeSpannedPages = node.nrPages();
    pgdat.nodePresentPages = realtotalpages;
  }

  /** {@code get_pfn_range_for_nid()}: first to last page of a node; 0 to 0 without memory. */
  @Kernel(file = "mm/mm_init.c", symbol = "get_pfn_range_for_nid")
  PfnRange getPfnRangeForNid(int nid) {
    long startPfn = Long.MAX_VALUE;
    long endPfn = 0;
    for (MemPfnRange range : memblock.memPfnRanges(nid)) {
      startPfn = Math.min(startPfn, range.startPfn());
      endPfn = Math.max(endPfn, range.endPfn());
    }
    return new PfnRange(startPfn == Long.MAX_VALUE ? 0 : startPfn, endPfn);
  }

  /** All memory as {@code for_each_mem_pfn_range()} with MAX_NUMNODES walks it. */
  List<MemPfnRange> memPfnRanges() {
    return memblock.memPfnRanges(Memblock.NUMA_NO_NODE);
  }

  private static long clamp(long value, long low, long high) {
    return Math.min(Math.max(value, low), high);
  }
}
