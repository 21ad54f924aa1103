// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.List;
import java.util.TreeMap;

/** The nodes of the machine: {@code NODE_DATA()} and the node states that matter here. */
@Kernel(file = "include/linux/nodemask.h", symbol = "node_states")
public final class Nodes {
  private final TreeMap<Integer, PgData> nodes = new TreeMap<>();
  private final TreeMap<Integer, PgData> offline = new TreeMap<>();
  private final ZoneSet zones;
  private final int nrVmemmapTails;
  private final boolean tailsPerNode;

  Nodes(ZoneSet zones, int nrVmemmapTails, boolean tailsPerNode) {
    this.zones = zones;
    this.nrVmemmapTails = nrVmemmapTails;
    this.tailsPerNode = tailsPerNode;
  }

  private PgData empty(int nid) {
    return new PgData(nid, zones, nrVmemmapTails, tailsPerNode);
  }

  /** {@code NODE_DATA(nid)}; the node exists from the first call on. */
  @Kernel(file = "include/linux/numa.h", symbol = "NODE_DATA")
  public PgData nodeData(int nid) {
    PgData known = offline.get(nid);
    return known != null ? known : nodes.computeIfAbsent(nid, this::empty);
  }

  /** {@code NODE_DATA(nid)} of a node that is possible and perhaps offline; it stays so. */
  public PgData possibleNodeData(int nid) {
    PgData online = nodes.get(nid);
    return online != null
        ? online
        : offline.computeIfAbsent(nid, this::empty);
  }

  /** {@code node_online()}. */
  @Kernel(file = "include/linux/nodemask.h", symbol = "node_online")
  public boolean nodeOnline(int nid) {
    return nodes.containsKey(nid);
  }

  /** {@code node_set_online()}. */
  @Kernel(file = "include/linux/nodemask.h", symbol = "node_set_online")
  public void nodeSetOnline(int nid) {
    nodes.put(nid, possibleNodeData(nid));
    offline.remove(nid);
  }

  /** {@code node_set_offline()}: its data stays for the next time. */
  @Kernel(file = "include/linux/nodemask.h", symbol = "node_set_offline")
  public void nodeSetOffline(int nid) {
    PgData known = nodes.remove(nid);
    if (known != null) {
      offline.put(nid, known);
    }
  }

  /** {@code num_online_nodes()}. */
  @Kernel(file = "include/linux/nodemask.h", symbol = "num_online_nodes")
  public int count() {
    return nodes.size();
  }

  /** All nodes that exist, by number. */
  public List<PgData> online() {
    return List.copyOf(nodes.values());
  }

  /** All nodes that ever existed, by number: the data of one that is offline stays as it was. */
  public List<PgData> everOnline() {
    TreeMap<Integer, PgData> all = new TreeMap<>(offline);
    all.putAll(nodes);
    return List.copyOf(all.values());
  }

  /** {@code node_distance()}: 10 on the node itself, 20 to any other. */
  @Kernel(file = "include/linux/topology.h", symbol = "node_distance", fidelity = Kernel.Fidelity.CUSTOM, why = "No SLIT table: all other nodes are equally far.")
  public int nodeDistance(int from, int to) {
    return from == to ? 10 : 20;
  }

  /** {@code LOCAL_DISTANCE}. */
  public static final int LOCAL_DISTANCE = 10;
}
