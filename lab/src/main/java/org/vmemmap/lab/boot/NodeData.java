// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Resource;

/** Steps of setup_arch() that the architectures have in common. */
final class NodeData {
  private static final long SMP_CACHE_BYTES = 64;

  private NodeData() {}

  /** Memory of the boot allocator, by node. */
  static void addRam(Memblock memblock, List<Ram> ram) {
    for (Ram range : ram) {
      memblock.memblockAddNode(range.start(), range.size(), range.node());
    }
  }

  /**
   * Marks the memory that can be pulled, but for nodes that the kernel itself lies on; allocations
   * start from the top again.
   */
  @Kernel(
      file = "mm/numa_memblks.c",
      symbol = "numa_memblks_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Ranges come with their nodes, so there is no table to read and to clean up.")
  static void numaMemblksInit(Memblock memblock, MachineSpec spec) {
    for (Ram range : spec.memory().of(MemoryRanges.Kind.HOTPLUGGABLE)) {
      memblock.memblockMarkHotplug(range.start(), range.size());
    }
    memblock.memblockSetBottomUp(false);
    List<Ram> numaMeminfo = new ArrayList<>(spec.ram());
    numaMeminfo.addAll(spec.softReserved());
    numaMeminfo.addAll(spec.pmem());
    numaClearKernelNodeHotplug(memblock, numaMeminfo);
  }

  /** What is reserved so early belongs to the kernel, and nobody can pull a node with it. */
  @Kernel(file = "mm/numa_memblks.c", symbol = "numa_clear_kernel_node_hotplug")
  private static void numaClearKernelNodeHotplug(Memblock memblock, List<Ram> numaMeminfo) {
    for (Ram mb : numaMeminfo) {
      memblock.memblockSetReservedNode(mb.start(), mb.size(), mb.node());
    }
    Set<Integer> reservedNodes = new HashSet<>();
    for (Memblock.MemRange range : memblock.reservedRanges()) {
      reservedNodes.add(range.nid());
    }
    for (Ram mb : numaMeminfo) {
      if (reservedNodes.contains(mb.node())) {
        memblock.memblockClearHotplug(mb.start(), mb.size());
      }
    }
  }

  /** Takes the memory of the nodes' data and lets them go online, in the order of their numbers. */
  static void registerAll(Memblock memblock, Mm mm, List<Ram> ram, long bytes) {
    ram.stream()
        .map(Ram::node)
        .sorted()
        .distinct()
        .forEach(
            nid -> {
              allocNodeData(memblock, mm, nid, bytes);
              mm.nodes().nodeSetOnline(nid);
            });
  }

  /**
   * A node's data lies at the top of the node, so that the highest block of 1 GiB that HugeTLB finds
   * there is not the topmost one.
   */
  @Kernel(
      file = "mm/numa.c",
      symbol = "alloc_node_data",
      fidelity = Kernel.Fidelity.CUSTOM,
      why =
          "The node's structure is a Java object; only the memory is taken, as much as the kernel's"
              + " structure and its per-node counters take.")
  private static void allocNodeData(Memblock memblock, Mm mm, int nid, long bytes) {
    long paddr = memblock.memblockPhysAllocTryNid(bytes, SMP_CACHE_BYTES, nid);
    if (paddr == 0) {
      throw new KernelPanic("Cannot allocate %d bytes for node %d data".formatted(bytes, nid));
    }
    mm.printk()
        .prInfo(
            "NODE_DATA(%d) allocated [mem %#010x-%#010x]".formatted(nid, paddr, paddr + bytes - 1));
    int tnid = memblock.memblockSearchPfnNid(mm.model().physPfn(paddr));
    if (tnid != nid) {
      mm.printk().prInfo("    NODE_DATA(%d) on node %d".formatted(nid, tnid));
    }
  }

  /** Memory for special use, in the tree where drivers look for it. */
  static void reserveSoft(IomemResource iomem, List<Ram> soft) {
    for (Ram range : soft) {
      Resource res =
          new Resource(
              range.start(),
              range.end() - 1,
              "Soft Reserved",
              Resource.IORESOURCE_MEM,
              Resource.IORES_DESC_SOFT_RESERVED);
      iomem.insertResource(iomem.softReserveResource(), res);
    }
  }

  /** RAM as resources that nobody can claim; neighbours on different nodes are one. */
  static void reserveSystemRam(IomemResource iomem, List<Ram> ram) {
    for (int i = 0; i < ram.size(); i++) {
      long start = ram.get(i).start();
      while (i + 1 < ram.size() && ram.get(i + 1).start() == ram.get(i).end()) {
        i++;
      }
      long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
      Resource res =
          new Resource(
              start, ram.get(i).end() - 1, "System RAM", flags, Resource.IORES_DESC_NONE);
      iomem.insertResource(iomem.iomemResource(), res);
    }
  }
}
