// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.NavigableSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;

/**
 * The rounds over the nodes that keep a pool balanced, and the node masks they go over. A {@code
 * nodemask_t} is a set of node numbers.
 */
@Kernel(file = "mm/hugetlb_internal.h", symbol = "for_each_node_mask_to_alloc")
public final class HugetlbInternal {
  /** NUMA_NO_NODE. */
  public static final int NUMA_NO_NODE = -1;

  private final Mm mm;
  private final HugetlbArch arch;

  /** Works on the nodes of {@code mm}. */
  public HugetlbInternal(Mm mm, HugetlbArch arch) {
    this.mm = mm;
    this.arch = arch;
  }

  /** MAX_NUMNODES. */
  public int maxNumnodes() {
    return 1 << mm.config().nodesShift();
  }

  /** {@code node_online_map}. */
  public NavigableSet<Integer> nodeOnlineMap() {
    NavigableSet<Integer> mask = new TreeSet<>();
    mm.nodes().online().forEach(pgdat -> mask.add(pgdat.nodeId()));
    return mask;
  }

  /** {@code node_states[N_MEMORY]}: nodes with pages. */
  public NavigableSet<Integer> nodeStatesMemory() {
    NavigableSet<Integer> mask = new TreeSet<>();
    for (PgData pgdat : mm.nodes().online()) {
      if (pgdat.nodePresentPages != 0) {
        mask.add(pgdat.nodeId());
      }
    }
    return mask;
  }

  /** {@code first_node()}: MAX_NUMNODES when the mask is empty. */
  public int firstNode(NavigableSet<Integer> mask) {
    return mask.isEmpty() ? maxNumnodes() : mask.first();
  }

  /** {@code numa_mem_id()}: the node that a request without a node goes to first. */
  @Kernel(
      file = "include/linux/topology.h",
      symbol = "numa_mem_id",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "CPUs have no node here; the first node with memory stands for the local one.")
  public int numaMemId() {
    return firstNode(nodeStatesMemory());
  }

  /** {@code hstate_is_gigantic_no_runtime()}: such pages can neither be made nor freed now. */
  @Kernel(file = "mm/hugetlb_internal.h", symbol = "hstate_is_gigantic_no_runtime")
  public boolean hstateIsGiganticNoRuntime(Hstate h) {
    return h.isGigantic() && !arch.giganticPageRuntimeSupported();
  }

  /** {@code next_node_allowed()}: the node after {@code nid} in the mask, around its end. */
  @Kernel(file = "mm/hugetlb_internal.h", symbol = "next_node_allowed")
  int nextNodeAllowed(int nid, NavigableSet<Integer> nodesAllowed) {
    Integer next = nodesAllowed.higher(nid);
    nid = next != null ? next : firstNode(nodesAllowed);
    mm.printk().vmBugOn(nid >= maxNumnodes(), "next_node_allowed: nid >= MAX_NUMNODES");
    return nid;
  }

  /** {@code get_valid_node_allowed()}: the node itself, or the next that is allowed. */
  @Kernel(file = "mm/hugetlb_internal.h", symbol = "get_valid_node_allowed")
  int getValidNodeAllowed(int nid, NavigableSet<Integer> nodesAllowed) {
    return nodesAllowed.contains(nid) ? nid : nextNodeAllowed(nid, nodesAllowed);
  }

  /** {@code hstate_next_node_to_alloc()}: the node whose turn it is; the turn moves on. */
  @Kernel(file = "mm/hugetlb_internal.h", symbol = "hstate_next_node_to_alloc")
  public int hstateNextNodeToAlloc(NextNode next, @Nullable NavigableSet<Integer> nodesAllowed) {
    return takeTurn(next, nodesAllowed, "hstate_next_node_to_alloc: !nodes_allowed");
  }

  /** {@code hstate_next_node_to_free()}: the turn moves on even if the node has none to free. */
  @Kernel(file = "mm/hugetlb_internal.h", symbol = "hstate_next_node_to_free")
  public int hstateNextNodeToFree(Hstate h, @Nullable NavigableSet<Integer> nodesAllowed) {
    return takeTurn(h.nextNidToFree, nodesAllowed, "hstate_next_node_to_free: !nodes_allowed");
  }

  private int takeTurn(NextNode next, @Nullable NavigableSet<Integer> allowed, String where) {
    mm.printk().vmBugOn(allowed == null, where);
    NavigableSet<Integer> mask = allowed == null ? new TreeSet<>() : allowed;
    int nid = getValidNodeAllowed(next.nid, mask);
    next.nid = nextNodeAllowed(nid, mask);
    return nid;
  }
}
