// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * In which order a request tries the zones: all zones of the nearest node from the highest down,
 * then those of the next node.
 */
final class Zonelists {
  private static final int NUMA_NO_NODE = -1;
  private static final int PENALTY_FOR_NODE_WITH_CPUS = 1;

  private final Mm mm;
  private final Map<Integer, List<Zone>> fallback = new HashMap<>();
  private final Map<Integer, Integer> nodeLoad = new HashMap<>();
  private final Supplier<List<Zone>> allZones;
  private long builtFrom;

  Zonelists(Mm mm, Supplier<List<Zone>> allZones) {
    this.mm = mm;
    this.allZones = allZones;
  }

  private boolean hasMemory(PgData pgdat) {
    return !zonesOf(pgdat).isEmpty();
  }

  /** Populated zones of a node from the highest down. */
  @Kernel(file = "mm/page_alloc.c", symbol = "build_zonerefs_node")
  private static List<Zone> zonesOf(PgData pgdat) {
    List<Zone> zones = new ArrayList<>();
    for (Zone zone : List.of(pgdat.zones()).reversed()) {
      if (zone.populated()) {
        zones.add(zone);
      }
    }
    return zones;
  }

  /** Marks the node as used; NUMA_NO_NODE when all are. */
  @Kernel(file = "mm/page_alloc.c", symbol = "find_next_best_node")
  private int findNextBestNode(int node, Set<Integer> used) {
    int maxNumnodes = 1 << mm.config().nodesShift();
    int bestNode = NUMA_NO_NODE;
    long minVal = Long.MAX_VALUE;
    for (PgData pgdat : mm.nodes().online()) {
      int n = pgdat.nodeId();
      if (!hasMemory(pgdat) || used.contains(n)) {
        continue;
      }
      if (n == node) {
        bestNode = n;
        break;
      }
      long val = (long) mm.nodes().nodeDistance(node, n) + (n < node ? 1 : 0);
      val += PENALTY_FOR_NODE_WITH_CPUS;
      val = val * maxNumnodes + nodeLoad.getOrDefault(n, 0);
      if (val < minVal) {
        minVal = val;
        bestNode = n;
      }
    }
    if (bestNode >= 0) {
      used.add(bestNode);
    }
    return bestNode;
  }

  @Kernel(file = "mm/page_alloc.c", symbol = "build_zonelists")
  private List<Zone> buildZonelists(PgData pgdat) {
    List<Zone> zonelist = new ArrayList<>();
    Set<Integer> used = new HashSet<>();
    int local = pgdat.nodeId();
    int prev = local;
    int node;
    while ((node = findNextBestNode(local, used)) >= 0) {
      // So that not all nodes fall back to the same one first.
      if (mm.nodes().nodeDistance(local, node) != mm.nodes().nodeDistance(local, prev)) {
        nodeLoad.merge(node, 1, Integer::sum);
      }
      zonelist.addAll(zonesOf(mm.nodes().nodeData(node)));
      prev = node;
    }
    return zonelist;
  }

  /** Builds the lists of all nodes. */
  @Kernel(file = "mm/page_alloc.c", symbol = "__build_all_zonelists")
  void buildAllZonelists() {
    fallback.clear();
    nodeLoad.clear();
    for (PgData pgdat : mm.nodes().online()) {
      fallback.put(pgdat.nodeId(), buildZonelists(pgdat));
    }
  }

  /** Which zones have pages, as a number that changes when that does. */
  private long populated() {
    long signature = mm.nodes().count();
    for (Zone zone : allZones.get()) {
      signature = signature * 31 + (zone.populated() ? 1 : 2);
    }
    return signature;
  }

  /**
   * {@code node_zonelist()} cut to what the request may use. Rebuilt when a zone got its first
   * pages or lost its last, which in the kernel hotplug does.
   *
   * @param thisNode only the node's own zones
   * @param nodemask nodes allowed; null for all
   */
  @Kernel(file = "include/linux/gfp.h", symbol = "node_zonelist")
  List<Zone> zonelist(
      int nid, boolean thisNode, ZoneType highest, @Nullable Set<Integer> nodemask) {
    long now = populated();
    if (now != builtFrom) {
      builtFrom = now;
      buildAllZonelists();
    }
    List<Zone> zones = new ArrayList<>();
    for (Zone zone : fallback.getOrDefault(nid, List.of())) {
      if (zone.idx().compareTo(highest) <= 0
          && (!thisNode || zone.nid() == nid)
          && (nodemask == null || nodemask.contains(zone.nid()))) {
        zones.add(zone);
      }
    }
    return zones;
  }
}
