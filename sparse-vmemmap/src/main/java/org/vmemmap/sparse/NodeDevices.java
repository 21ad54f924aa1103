// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;

/**
 * The devices of nodes: /sys/devices/system/node/nodeN, and their links to memory blocks. CPUs,
 * caches and access classes are not modelled.
 */
@Kernel(file = "drivers/base/node.c", symbol = "node_devices")
public final class NodeDevices {
  private static final int NUMA_NO_NODE = -1;
  private static final int SIZEOF_NODE = 1024;

  private final Mm mm;
  private final Slab slab;
  private final MemoryBlocks blocks;
  private final TreeMap<Integer, Node> nodeDevices = new TreeMap<>();

  private record Node(long va, SortedSet<Long> links) {}

  NodeDevices(Mm mm, Slab slab, MemoryBlocks blocks) {
    this.mm = mm;
    this.slab = slab;
    this.blocks = blocks;
  }

  /** A link that cannot be made is only a line in the log. */
  @Kernel(file = "drivers/base/node.c", symbol = "do_register_memory_block_under_node")
  private void doRegisterMemoryBlockUnderNode(int nid, MemoryBlock mem) {
    long id = mem.startSectionNr;
    Node node = nodeDevices.get(nid);
    if (node == null || mm.mayFail("sysfs_create_link_nowarn")) {
      mm.printk().prErr("can't create link to memory in sysfs (" + -Errno.ENOMEM + ")");
      return;
    }
    node.links.add(id);
  }

  /** Takes the links of a block away. */
  @Kernel(file = "drivers/base/node.c", symbol = "unregister_memory_block_under_nodes")
  void unregisterMemoryBlockUnderNodes(MemoryBlock mem) {
    Node node = mem.nid == NUMA_NO_NODE ? null : nodeDevices.get(mem.nid);
    if (node != null) {
      node.links.remove(mem.startSectionNr);
    }
  }

  @Kernel(file = "drivers/base/node.c", symbol = "register_memory_blocks_under_nodes")
  private void registerMemoryBlocksUnderNodes(Memblock memblock) {
    for (Memblock.MemRange r : memblock.memRanges()) {
      if (!mm.nodes().nodeOnline(r.nid())) {
        continue;
      }
      blocks.walkMemoryBlocks(
          r.start(),
          r.end() - r.start(),
          mem -> {
            blocks.memoryBlockAddNidEarly(mem, r.nid());
            doRegisterMemoryBlockUnderNode(r.nid(), mem);
            return 0;
          });
    }
  }

  /** Links the blocks of {@code size} bytes from {@code start} and the node. */
  @Kernel(file = "drivers/base/node.c", symbol = "register_memory_blocks_under_node_hotplug")
  void registerMemoryBlocksUnderNodeHotplug(int nid, long start, long size) {
    blocks.walkMemoryBlocks(
        start,
        size,
        mem -> {
          doRegisterMemoryBlockUnderNode(nid, mem);
          return 0;
        });
  }

  /** Makes the device of a node: 0 or -ENOMEM. */
  @Kernel(file = "drivers/base/node.c", symbol = "register_node")
  public int registerNode(int nid) {
    long va = slab.kzalloc(SIZEOF_NODE, NUMA_NO_NODE, "register_node");
    if (va == 0) {
      return -Errno.ENOMEM;
    }
    if (mm.mayFail("device_register")) {
      slab.kfree(va);
      return -Errno.ENOMEM;
    }
    nodeDevices.put(nid, new Node(va, new TreeSet<>()));
    return 0;
  }

  /** Takes it away, if there is one. */
  @Kernel(file = "drivers/base/node.c", symbol = "unregister_node")
  public void unregisterNode(int nid) {
    Node node = nodeDevices.remove(nid);
    if (node != null && node.va != 0) {
      slab.kfree(node.va);
    }
  }

  /** Makes the devices of all nodes of boot. */
  @Kernel(
      file = "drivers/base/node.c",
      symbol = "node_dev_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The devices of boot take no memory, so they cannot fail either.")
  void nodeDevInit(Memblock memblock) {
    // As with memory blocks, the objects of boot are not booked.
    for (PgData pgdat : mm.nodes().online()) {
      nodeDevices.put(pgdat.nodeId(), new Node(0, new TreeSet<>()));
    }
    registerMemoryBlocksUnderNodes(memblock);
  }

  /** First sections of the blocks that are linked to a node; empty for no such node. */
  public SortedSet<Long> links(int nid) {
    Node node = nodeDevices.get(nid);
    return node == null ? new TreeSet<>() : new TreeSet<>(node.links);
  }

  /** How many of their devices are structures of their own: those that came after boot. */
  public long made() {
    return nodeDevices.values().stream().filter(node -> node.va != 0).count();
  }

  /** Nodes that have a device. */
  public SortedSet<Integer> registered() {
    return new TreeSet<>(nodeDevices.keySet());
  }
}
