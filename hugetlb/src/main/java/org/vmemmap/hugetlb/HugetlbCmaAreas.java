// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.Arrays;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Cma;
import org.vmemmap.pagealloc.CmaArea;
import org.vmemmap.pagealloc.CmaDeclare;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.Memblock.MemRange;
import org.vmemmap.types.Align;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/**
 * mm/hugetlb_cma.c: one CMA area on each node, from which gigantic pages can be had at any time.
 *
 * <pre>
 *   hugetlb_cma=4G          4 GiB, spread over the nodes
 *   hugetlb_cma=0:2G,1:1G   so much on these nodes
 *   hugetlb_cma=25%         of all memory; 0:25% of the node's
 *   hugetlb_cma_only        gigantic pages come from there or not at all, those of boot too
 * </pre>
 *
 * Sizes are in bytes, unsigned. Percentages are new in 7.3 and read at every level of the series.
 */
@Kernel(file = "mm/hugetlb_cma.c", symbol = "hugetlb_cma")
public final class HugetlbCmaAreas implements HugetlbCma {
  private static final long SZ_1M = 1L << 20;
  private static final long MAX_PERCENT = 100;

  private final Mm mm;
  private final Memblock memblock;
  private final Cma cma;
  private final CmaDeclare declare;
  private final HugetlbArch arch;
  private final HugetlbInternal internal;
  private final HugetlbFolios folios;
  private final @Nullable CmaArea[] hugetlbCma;
  private final long[] hugetlbCmaSizeInNode;
  private final long[] hugetlbCmaPercentInNode;
  private NavigableSet<Integer> hugetlbBootmemNodes = new TreeSet<>();
  private boolean hugetlbCmaOnly;
  private long hugetlbCmaSize;
  private long hugetlbCmaPercent;

  /** Declares areas of {@code cma} when {@link #hugetlbCmaReserve} asks for them. */
  public HugetlbCmaAreas(Mm mm, Memblock memblock, Cma cma, HugetlbArch arch) {
    this.mm = mm;
    this.memblock = memblock;
    this.cma = cma;
    this.declare = new CmaDeclare(mm, memblock, cma);
    this.arch = arch;
    this.internal = new HugetlbInternal(mm, arch);
    this.folios = new HugetlbFolios(mm);
    this.hugetlbCma = new @Nullable CmaArea[internal.maxNumnodes()];
    this.hugetlbCmaSizeInNode = new long[internal.maxNumnodes()];
    this.hugetlbCmaPercentInNode = new long[internal.maxNumnodes()];
  }

  /** Memory that memblock knows of the node. */
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "memblock_node_memory_size")
  private long memblockNodeMemorySize(int nid) {
    long size = 0;
    for (MemRange reg : memblock.memRanges()) {
      size += reg.nid() == nid ? reg.end() - reg.start() : 0;
    }
    return size;
  }

  // ---------------------------------------------------------------- pages

  @Override
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "hugetlb_cma_free_frozen_folio")
  public void hugetlbCmaFreeFrozenFolio(Folio folio) {
    CmaArea area = hugetlbCma[mm.inline().folioNid(folio)];
    boolean released =
        cma.cmaReleaseFrozen(area, folio.page(), mm.inline().folioNrPages(folio));
    mm.printk()
        .warnOnOnce(!released, "hugetlb_cma_free_frozen_folio: !cma_release_frozen(...)");
  }

  @Override
  @Kernel(
      file = "mm/hugetlb_cma.c",
      symbol = "hugetlb_cma_alloc_frozen_folio",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "No cpusets: who gives no mask may use all nodes with memory.")
  public @Nullable Folio hugetlbCmaAllocFrozenFolio(
      int order, Gfp gfpMask, int nid, @Nullable Set<Integer> nodemask) {
    if (hugetlbCmaSize == 0) {
      return null;
    }
    NavigableSet<Integer> nmask =
        nodemask == null ? internal.nodeStatesMemory() : new TreeSet<>(nodemask);
    Page page = null;
    if (hugetlbCma[nid] != null && nmask.contains(nid)) {
      page = cma.cmaAllocFrozenCompound(hugetlbCma[nid], order);
    }
    if (page == null && !gfpMask.has(Gfp.THISNODE)) {
      for (int node : nmask) {
        if (node == nid || hugetlbCma[node] == null) {
          continue;
        }
        page = cma.cmaAllocFrozenCompound(hugetlbCma[node], order);
        if (page != null) {
          break;
        }
      }
    }
    if (page == null) {
      return null;
    }
    Folio folio = mm.flags().pageFolio(page);
    folios.set(folio, HugetlbPageFlag.HPG_CMA);
    return folio;
  }

  @Override
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "hugetlb_cma_alloc_bootmem")
  public long hugetlbCmaAllocBootmem(Hstate h, int nid, boolean nodeExact) {
    long m = cma.cmaReserveEarly(hugetlbCma[nid], h.hugePageSize());
    if (m != 0 || nodeExact) {
      return m;
    }
    for (int node : hugetlbBootmemNodes) {
      if (hugetlbCma[node] == null || node == nid) {
        continue;
      }
      m = cma.cmaReserveEarly(hugetlbCma[node], h.hugePageSize());
      if (m != 0) {
        return m;
      }
    }
    return 0;
  }

  // ---------------------------------------------------------------- command line

  @Override
  public @Nullable Integer earlyParam(String name, @Nullable String value) {
    return switch (name) {
      case "hugetlb_cma" -> cmdlineParseHugetlbCma(value);
      case "hugetlb_cma_only" -> cmdlineParseHugetlbCmaOnly(value);
      default -> null;
    };
  }

  /**
   * {@code hugetlb_cma=}. A number without a node is read from the start of the whole text again,
   * so behind a list of nodes it wipes the list out and stands for the first node's number.
   *
   * @throws KernelPanic without a value, which the kernel follows as a pointer
   */
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "cmdline_parse_hugetlb_cma")
  private int cmdlineParseHugetlbCma(@Nullable String p) {
    if (p == null) {
      throw new KernelPanic(
          "BUG: kernel NULL pointer dereference, address: 0000000000000000 in"
              + " cmdline_parse_hugetlb_cma: hugetlb_cma without =");
    }
    String s = p;
    while (!s.isEmpty()) {
      Kstrtox.Digits number = Kstrtox.scanUnsigned(s);
      if (number.length() == 0) {
        break;
      }
      String rest = s.substring(number.length());
      if (!rest.startsWith(":")) {
        parseTotal(p);
        break;
      }
      if (Long.compareUnsigned(number.value(), internal.maxNumnodes()) >= 0) {
        break;
      }
      int end = parseNode((int) number.value(), rest.substring(1));
      if (end < 0 || !rest.startsWith(",", 1 + end)) {
        break;
      }
      s = rest.substring(1 + end + 1);
    }
    return 0;
  }

  /** The size of one node; returns how long it was, or -1 for a bad percentage. */
  private int parseNode(int nid, String s) {
    hugetlbCmaSize = 0;
    hugetlbCmaPercent = 0;
    Kstrtox.Digits tmp = Kstrtox.memparsePrefix(s);
    if (!s.startsWith("%", tmp.length())) {
      hugetlbCmaSizeInNode[nid] = tmp.value();
      hugetlbCmaPercentInNode[nid] = 0;
      return tmp.length();
    }
    if (Long.compareUnsigned(tmp.value(), MAX_PERCENT) > 0) {
      mm.printk()
          .prWarn(
              "hugetlb_cma: invalid percentage "
                  + Long.toUnsignedString(tmp.value()) + " for node " + nid);
      return -1;
    }
    hugetlbCmaPercentInNode[nid] = tmp.value();
    hugetlbCmaSizeInNode[nid] = 0;
    return tmp.length() + 1;
  }

  /** The size of all nodes together. */
  private void parseTotal(String p) {
    Kstrtox.Digits tmp = Kstrtox.memparsePrefix(p);
    boolean percent = p.startsWith("%", tmp.length());
    if (percent && Long.compareUnsigned(tmp.value(), MAX_PERCENT) > 0) {
      mm.printk()
          .prWarn("hugetlb_cma: invalid percentage " + Long.toUnsignedString(tmp.value()));
      return;
    }
    hugetlbCmaSize = percent ? 0 : tmp.value();
    hugetlbCmaPercent = percent ? tmp.value() : 0;
    Arrays.fill(hugetlbCmaSizeInNode, 0);
    Arrays.fill(hugetlbCmaPercentInNode, 0);
  }

  @Kernel(file = "mm/hugetlb_cma.c", symbol = "cmdline_parse_hugetlb_cma_only")
  private int cmdlineParseHugetlbCmaOnly(@Nullable String p) {
    Kstrtox.Parsed only = Kstrtox.kstrtobool(p);
    hugetlbCmaOnly = only.rc() == 0 ? only.value() == 1 : hugetlbCmaOnly;
    return only.rc();
  }

  // ---------------------------------------------------------------- reservation

  /** The areas are cut for the architecture's gigantic page, in bytes from here on. */
  @Override
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "hugetlb_cma_reserve", patches = {14})
  public void hugetlbCmaReserve(BootmemNodes nodes) {
    boolean nodeSpecific = sizesFromPercentages();
    if (hugetlbCmaSize == 0) {
      return;
    }
    int order = arch.archHugetlbCmaOrder();
    if (order == 0) {
      mm.printk().prWarn("hugetlb_cma: the option isn't supported by current arch");
      return;
    }
    mm.printk()
        .vmWarnOnOnce(
            order <= mm.config().maxPageOrder(), "hugetlb_cma_reserve: order <= MAX_PAGE_ORDER");
    long giganticPageSize = mm.model().pageSize() << order;
    roundPercentages(nodeSpecific, giganticPageSize);

    hugetlbBootmemNodes = nodes.set();
    boolean nodeSpecificCmaAlloc = checkNodes(giganticPageSize);
    if (hugetlbCmaSize == 0) {
      return;
    }
    if (!Align.isAligned(hugetlbCmaSize, giganticPageSize)) {
      mm.printk()
          .prWarn(
              "hugetlb_cma: cma area must be a multiple of " + mib(giganticPageSize) + " MiB");
      hugetlbCmaSize = 0;
      return;
    }
    long perNode = nodeSpecificCmaAlloc ? 0 : perNode(giganticPageSize);
    long reserved = 0;
    for (int nid : hugetlbBootmemNodes) {
      long left = hugetlbCmaSize - reserved;
      long even = Long.compareUnsigned(perNode, left) < 0 ? perNode : left;
      long size = nodeSpecificCmaAlloc ? hugetlbCmaSizeInNode[nid] : even;
      if (nodeSpecificCmaAlloc && size == 0) {
        continue;
      }
      reserved += reserveOnNode(nid, size, giganticPageSize) ? size : 0;
      if (Long.compareUnsigned(reserved, hugetlbCmaSize) >= 0) {
        break;
      }
    }
    if (reserved == 0) {
      hugetlbCmaSize = 0;
    }
  }

  /** Turns percentages into sizes; true when the command line named nodes. */
  private boolean sizesFromPercentages() {
    if (nothingIn(hugetlbCmaSizeInNode) && nothingIn(hugetlbCmaPercentInNode)) {
      if (hugetlbCmaPercent != 0) {
        hugetlbCmaSize = percentOf(memblock.memblockPhysMemSize(), hugetlbCmaPercent);
      }
      return false;
    }
    hugetlbCmaSize = 0;
    for (int nid = 0; nid < hugetlbCmaSizeInNode.length; nid++) {
      if (hugetlbCmaPercentInNode[nid] != 0) {
        hugetlbCmaSizeInNode[nid] =
            percentOf(memblockNodeMemorySize(nid), hugetlbCmaPercentInNode[nid]);
      }
      hugetlbCmaSize += hugetlbCmaSizeInNode[nid];
    }
    return true;
  }

  private static boolean nothingIn(long[] nodes) {
    return Arrays.stream(nodes).allMatch(one -> one == 0);
  }

  /** {@code mul_u64_u32_div(size, percent, 100)}, whose product may need more than 64 bits. */
  @Kernel(file = "include/linux/math64.h", symbol = "mul_u64_u32_div")
  private static long percentOf(long size, long percent) {
    return size / MAX_PERCENT * percent + size % MAX_PERCENT * percent / MAX_PERCENT;
  }

  /** Sizes that were percentages become whole gigantic pages; a given size has to be that. */
  private void roundPercentages(boolean nodeSpecific, long giganticPageSize) {
    if (hugetlbCmaPercent != 0) {
      long origSize = hugetlbCmaSize;
      hugetlbCmaSize = Align.alignDown(hugetlbCmaSize, giganticPageSize);
      if (origSize != 0 && hugetlbCmaSize == 0) {
        mm.printk().prWarn(roundedToZero(origSize, hugetlbCmaPercent));
      }
    } else if (nodeSpecific) {
      hugetlbCmaSize = 0;
      for (int nid = 0; nid < hugetlbCmaSizeInNode.length; nid++) {
        if (hugetlbCmaPercentInNode[nid] != 0) {
          long origSize = hugetlbCmaSizeInNode[nid];
          hugetlbCmaSizeInNode[nid] = Align.alignDown(origSize, giganticPageSize);
          if (origSize != 0 && hugetlbCmaSizeInNode[nid] == 0) {
            String what = roundedToZero(origSize, hugetlbCmaPercentInNode[nid]);
            mm.printk().prWarn(what + " on node " + nid);
          }
        }
        hugetlbCmaSize += hugetlbCmaSizeInNode[nid];
      }
    }
  }

  private static String roundedToZero(long origSize, long percent) {
    return "hugetlb_cma: reservation size rounded down to 0 from %s MiB (%d%%)"
        .formatted(mib(origSize), percent);
  }

  /** Drops sizes of nodes that cannot have them; true when one is left. */
  private boolean checkNodes(long giganticPageSize) {
    boolean nodeSpecificCmaAlloc = false;
    for (int nid = 0; nid < hugetlbCmaSizeInNode.length; nid++) {
      long size = hugetlbCmaSizeInNode[nid];
      if (size == 0) {
        continue;
      }
      if (!hugetlbBootmemNodes.contains(nid)) {
        mm.printk().prWarn("hugetlb_cma: invalid node " + nid + " specified");
      } else if (!Align.isAligned(size, giganticPageSize)) {
        mm.printk()
            .prWarn(
                "hugetlb_cma: cma area of node %d must be a multiple of %s MiB"
                    .formatted(nid, mib(giganticPageSize)));
      } else {
        nodeSpecificCmaAlloc = true;
        continue;
      }
      hugetlbCmaSize -= size;
      hugetlbCmaSizeInNode[nid] = 0;
    }
    return nodeSpecificCmaAlloc;
  }

  /** 3 GiB on four nodes: one on each of the first three, and nothing on the last. */
  private long perNode(long giganticPageSize) {
    int nodes = hugetlbBootmemNodes.size();
    long perNode = Long.divideUnsigned(hugetlbCmaSize + nodes - 1, nodes);
    perNode = Align.align(perNode, giganticPageSize);
    String percent = hugetlbCmaPercent == 0 ? "" : " (" + hugetlbCmaPercent + "%)";
    mm.printk()
        .prInfo(
            "hugetlb_cma: reserve %s MiB%s, up to %s MiB per node"
                .formatted(mib(hugetlbCmaSize), percent, mib(perNode)));
    return perNode;
  }

  /** The body of the last loop of hugetlb_cma_reserve(): false when the node gets no area. */
  private boolean reserveOnNode(int nid, long size, long giganticPageSize) {
    // Demotion may give pages back that are as small as the default size.
    int hugetlbPageOrder =
        Long.numberOfTrailingZeros(arch.hpageSize()) - mm.model().pageShift();
    int res =
        declare.cmaDeclareContiguousMulti(
            size,
            giganticPageSize,
            hugetlbPageOrder,
            "hugetlb" + nid,
            area -> hugetlbCma[nid] = area,
            nid);
    CmaArea area = hugetlbCma[nid];
    boolean early = mm.series().validatesCmaZonesAtReserve();
    if (res != 0 || area == null || (early && !cma.cmaValidateZones(area))) {
      String what = res != 0 ? "reservation failed" : "reserved area spans zones";
      mm.printk().prWarn("hugetlb_cma: %s: err %d, node %d".formatted(what, res, nid));
      hugetlbCma[nid] = null;
      return false;
    }
    long given = hugetlbCmaPercentInNode[nid];
    String percent = given == 0 ? "" : " (" + given + "%)";
    mm.printk()
        .prInfo("hugetlb_cma: reserved %s MiB%s on node %d".formatted(mib(size), percent, nid));
    return true;
  }

  private static String mib(long size) {
    return Long.toUnsignedString(Long.divideUnsigned(size, SZ_1M));
  }

  // ---------------------------------------------------------------- questions

  @Override
  @Kernel(file = "mm/cma.c", symbol = "cma_validate_zones", patches = {14})
  public boolean cmaValidateZones(long va) {
    long pfn = mm.model().physPfn(mm.model().pa(va));
    for (CmaArea area : cma.areas()) {
      if (area.ranges().stream().anyMatch(r -> r.basePfn() <= pfn && pfn < r.endPfn())) {
        return cma.cmaValidateZones(area);
      }
    }
    return true;
  }

  @Override
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "hugetlb_cma_exclusive_alloc")
  public boolean hugetlbCmaExclusiveAlloc() {
    return hugetlbCmaOnly;
  }

  @Override
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "hugetlb_cma_total_size")
  public long hugetlbCmaTotalSize() {
    return hugetlbCmaSize;
  }

  @Override
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "hugetlb_cma_validate_params")
  public void hugetlbCmaValidateParams() {
    hugetlbCmaOnly = hugetlbCmaOnly && hugetlbCmaSize != 0;
  }

  @Override
  @Kernel(file = "mm/hugetlb_cma.c", symbol = "hugetlb_early_cma")
  public boolean hugetlbEarlyCma(Hstate h) {
    return !arch.archHasHugeBootmemAlloc() && h.isGigantic() && hugetlbCmaOnly;
  }
}
