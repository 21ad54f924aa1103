// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Series;
import org.vmemmap.types.Zone;

/**
 * Conditions of known findings about boot, the page allocator and pools of hugepages.
 * docs/FINDINGS.md explains each.
 */
final class PageFindings {
  private PageFindings() {}

  /** Boot pages of an area were optimised when their shared tail was not filled yet. */
  static boolean cmaZone(Sight sight) {
    Series series = sight.spec().config().series();
    String words = String.join(" ", sight.spec().cmdline());
    return !series.initsSharedTailOnAllocation()
        && !series.initsBootFoliosEarly()
        && words.contains("hugetlb_free_vmemmap=on")
        && words.contains("hugetlb_cma_only")
        && sight.detail().contains("pages in CMA pageblocks of zone");
  }

  /** Sections were given up for lack of memory, and their usage records are asked for. */
  static boolean goesOn(Sight sight) {
    return sight.step() == null
        && !sight.spec().config().series().panicsWithoutMemmap()
        && sight.detail().contains("NULL pointer dereference: ms->usage")
        && sight.kernel().mm().printk().lines().stream()
            .anyMatch(line -> line.text().contains("sparse_init_nid: node["));
  }

  /** Masks are used although HugeTLB's optimisation is not there for the architecture. */
  static boolean alignment(Sight sight) {
    return sight.step() == null
        && sight.spec().arch().equals(Profile.ARM64)
        && sight.spec().config().debugVm()
        && !sight.spec().config().hugetlbOptimizeVmemmap()
        && sight.detail().contains("!IS_ALIGNED(pfn_to_page(0), MAX_FOLIO_VMEMMAP_ALIGN)");
  }

  /** The type is looked at, and a block holds memory of two nodes, or RAM and a device. */
  static boolean sharedBlock(Sight sight) {
    MmConfig config = sight.spec().config();
    if (!config.debugVm() || !sight.detail().contains("free_list: page type is MIGRATE_")) {
      return false;
    }
    long block = (long) sight.spec().profile().pageSize() << config.pageblockOrder();
    List<Ram> ram = sight.spec().ram();
    for (int i = 1; config.deferredStructPageInit() && i < ram.size(); i++) {
      if (ram.get(i - 1).node() != ram.get(i).node() && Sight.shares(ram.get(i - 1), ram.get(i), block)) {
        return true;
      }
    }
    return sight.bound() && sight.devices().anyMatch(device -> anyShares(device, ram, block));
  }

  /** The first page of a block that has RAM, too, is poison: its device is gone, or keeps it so. */
  static boolean sharedBlockPoison(Sight sight) {
    MmConfig config = sight.spec().config();
    long block = (long) sight.spec().profile().pageSize() << config.pageblockOrder();
    return config.debugVm()
        && sight.bound()
        && sight.detail().contains("PF_POISONED_CHECK")
        && sight.devices()
            .filter(device -> anyShares(device, sight.spec().ram(), block))
            .flatMap(device -> Stream.of(device.start() / block, (device.end() - 1) / block))
            .anyMatch(nr -> poisoned(sight.kernel().mm(), nr * block));
  }

  private static boolean poisoned(Mm mm, long paddr) {
    long pfn = mm.model().physPfn(paddr);
    MemmapReader reader = new MemmapReader(mm);
    return reader.mapped(pfn) && reader.word(pfn, 0) == PageFlags.PAGE_POISON_PATTERN;
  }

  /** The checkers look whether the kernel looks or not, and name the block. */
  static boolean sharedBlockAtRest(Sight sight) {
    Matcher place = Sight.PFN.matcher(sight.detail());
    if (!sight.detail().contains("is free as MIGRATE_") || !place.find()) {
      return false;
    }
    int order = sight.spec().config().pageblockOrder();
    long size = (long) sight.spec().profile().pageSize() << order;
    long start = Long.parseLong(place.group(1), 16) >>> order << order;
    long address = start * sight.spec().profile().pageSize();
    Ram block = new Ram(address, address + size, 0);
    List<Ram> ram = sight.spec().ram().stream().filter(block::overlaps).toList();
    boolean nodes = ram.stream().map(Ram::node).distinct().count() > 1;
    return (nodes && sight.spec().config().deferredStructPageInit())
        || (!ram.isEmpty() && sight.bound() && sight.devices().anyMatch(block::overlaps));
  }

  private static boolean anyShares(Ram device, List<Ram> ram, long block) {
    return ram.stream().anyMatch(range -> Sight.shares(device, range, block));
  }

  /** A free page of one node is on a list of another, and its block has memory of both. */
  static boolean interleavedBlock(Sight sight) {
    Matcher place = Sight.PFN.matcher(sight.detail());
    if (!place.find() || !sight.detail().contains("does not lie in the zone")) {
      return false;
    }
    long pfn = Long.parseLong(place.group(1), 16);
    return sight.zones().anyMatch(zone -> interleaved(sight, zone, pfn));
  }

  /** A page of another node was allocated from a zone's list, or the other way round. */
  static boolean interleavedZone(Sight sight) {
    Mm mm = sight.kernel().mm();
    boolean told = sight.zones().anyMatch(zone -> sight.detail().contains("zone " + zone + ","));
    return told
        && sight.zones()
            .anyMatch(
                zone ->
                    sight.spec().ram().stream()
                        .anyMatch(
                            range -> interleaved(sight, zone, mm.model().physPfn(range.start()))));
  }

  static boolean interleavedBug(Sight sight) {
    return sight.spec().config().debugVm()
        && sight.detail().contains("__move_freepages_block: page_zone(page) != zone")
        && sight.spec().ram().stream()
            .map(range -> sight.kernel().mm().model().physPfn(range.start()))
            .anyMatch(pfn -> sight.zones().anyMatch(zone -> interleaved(sight, zone, pfn)));
  }

  /** The zone spans the pageblock of {@code pfn}, in which there is RAM of its node and of another. */
  private static boolean interleaved(Sight sight, Zone zone, long pfn) {
    int shift = sight.kernel().mm().model().pageShift();
    long pages = 1L << sight.spec().config().pageblockOrder();
    long first = pfn / pages * pages;
    Ram block = new Ram(first << shift, (first + pages) << shift, zone.nid());
    return zone.spansPfn(first)
        && zone.spansPfn(first + pages - 1)
        && anyOf(sight.spec(), block, true)
        && anyOf(sight.spec(), block, false);
  }

  /** True when {@code block} has RAM of its own node, or of another. */
  private static boolean anyOf(MachineSpec spec, Ram block, boolean own) {
    return spec.ram().stream()
        .anyMatch(range -> range.overlaps(block) && (range.node() == block.node()) == own);
  }

  /** A restore has failed; some node has more surplus pages than pages, all nodes have not. */
  static boolean surplusNode(Sight sight) {
    return restoreFailed(sight)
        && sight.detail().contains("surplus, node ")
        && sight.kernel().hugetlb().hstates().all().stream().anyMatch(PageFindings::surplusAstray);
  }

  private static boolean surplusAstray(Hstate h) {
    int sum = 0;
    boolean astray = false;
    for (int nid = 0; nid < h.surplusHugePagesNode.length; nid++) {
      sum += h.surplusHugePagesNode[nid];
      astray |= h.surplusHugePagesNode[nid] > h.nrHugePagesNode[nid];
    }
    return astray && sum == h.surplusHugePages && sum <= h.nrHugePages;
  }

  /** Pages of both kinds are freed together, and the first of them cannot be restored. */
  static boolean neverOptimised(Sight sight) {
    return sight.spec().config().debugVm()
        && restoreFailed(sight)
        && sight.detail().contains("__hugetlb_vmemmap_restore_folio: !folio_test_hugetlb(folio)");
  }

  /** Memory was refused, or there was none: surplus pages that are free come from nothing else. */
  private static boolean restoreFailed(Sight sight) {
    return sight.failed().contains("alloc_vmemmap_page_list")
        || sight.kernel().hugetlb().hstates().all().stream()
            .anyMatch(h -> h.freeHugePages > h.nrHugePages - h.surplusHugePages);
  }

  static boolean freesOddlyRegistered(Sight sight) {
    return oddlyRegistered(sight) && sight.detail().contains("free_bootmem_page");
  }

  /** Some section is registered another number of times than once, see BootmemInfo. */
  static boolean oddlyRegistered(Sight sight) {
    boolean x86 = sight.spec().arch().equals(Profile.X86_64);
    if (!x86 || sight.spec().series().forgetsBootmemInfo()) {
      return false;
    }
    long size = 1L << sight.spec().config().sectionSizeBits();
    Map<Long, Integer> times = new TreeMap<>();
    for (Ram range : sight.spec().ram()) {
      for (long at = range.start() / size; at <= (range.end() - 1) / size; at++) {
        times.put(at, 0);
      }
    }
    // A hole counts as memory of the first node that is online.
    int first = sight.kernel().mm().nodes().online().getFirst().nodeId();
    sight.spec().ram().stream()
        .map(Ram::node)
        .distinct()
        .forEach(node -> register(sight.spec().ram(), node, first, size, times));
    return times.values().stream().anyMatch(n -> n != 1);
  }

  /** register_page_bootmem_info_node(): from the node's first byte in steps of a section. */
  private static void register(
      List<Ram> ram, int node, int first, long size, Map<Long, Integer> times) {
    List<Ram> own = ram.stream().filter(range -> range.node() == node).toList();
    for (long at = own.getFirst().start(); at < own.getLast().end(); at += size) {
      long address = at;
      int nid =
          ram.stream()
              .filter(range -> range.start() <= address && address < range.end())
              .findFirst()
              .map(Ram::node)
              .orElse(first);
      if (nid == node) {
        times.computeIfPresent(at / size, (section, n) -> n + 1);
      }
    }
  }

  /** The page for the list is refused at boot, while the memmap that free_pages() needs is made. */
  static boolean freedTooEarly(Sight sight) {
    boolean refused =
        sight.failed().contains("vmemmap_alloc_block")
            || sight.failed().contains("memblock_alloc_range_nid")
            || sight.kernel().mm().printk().warnings().contains("vmemmap_list_alloc: !next");
    return sight.step() == null
        && !sight.kernel().booted()
        && refused
        && sight.scenario().world().name().endsWith("-hash")
        && sight.detail().startsWith("MachineFault: not-present");
  }
}
