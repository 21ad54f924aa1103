// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The nodes of the machine: {@code NODE_DATA()} and the node states that matter here. */
@Kernel(file = "include/linux/nodemask.h", symbol = "node_states")
public final class Nodes {
  private @Nullable PgData[] nodeData = new @Nullable PgData[1];
  private final BitSet online = new BitSet();
  private final ZoneSet zones;
  private final int nrVmemmapTails;
  private final boolean tailsPerNode;

  Nodes(ZoneSet zones, int nrVmemmapTails, boolean tailsPerNode) {
    this.zones = zones;
    this.nrVmemmapTails = nrVmemmapTails;
    this.tailsPerNode = tailsPerNode;
  }

  /** {@code NODE_DATA(nid)}; the node exists from the first call on. */
  @Kernel(file = "include/linux/numa.h", symbol = "NODE_DATA")
  public PgData nodeData(int nid) {
    PgData known = nid < nodeData.length ? nodeData[nid] : null;
    if (known != null) {
      return known;
    }
    online.set(nid);
    return possibleNodeData(nid);
  }

  /** {@code NODE_DATA(nid)} of a node that is possible and perhaps offline; it stays so. */
  public PgData possibleNodeData(int nid) {
    if (nid >= nodeData.length) {
      nodeData = Arrays.copyOf(nodeData, nid + 1);
    }
    PgData known = nodeData[nid];
    if (known == null) {
      known = new PgData(nid, zones, nrVmemmapTails, tailsPerNode);
      nodeData[nid] = known;
    }
    return known;
  }

  /** {@code node_online()}. */
  @Kernel(file = "include/linux/nodemask.h", symbol = "node_online")
  public boolean nodeOnline(int nid) {
    return nid >= 0 && online.get(nid);
  }

  /** {@code node_set_online()}. */
  @Kernel(file = "include/linux/nodemask.h", symbol = "node_set_online")
  public void nodeSetOnline(int nid) {
    possibleNodeData(nid);
    online.set(nid);
  }

  /** {@code node_set_offline()}: its data stays for the next time. */
  @Kernel(file = "include/linux/nodemask.h", symbol = "node_set_offline")
  public void nodeSetOffline(int nid) {
    online.clear(nid);
  }

  /** {@code num_online_nodes()}. */
  @Kernel(file = "include/linux/nodemask.h", symbol = "num_online_nodes")
  public int count() {
    return online.cardinality();
  }

  /** All nodes that exist, by number. */
  public List<PgData> online() {
    return online.stream().mapToObj(this::nodeData).toList();
  }

  /** All nodes that ever existed, by number: the data of one that is offline stays as it was. */
  public List<PgData> everOnline() {
    return Stream.of(nodeData).filter(Objects::nonNull).toList();
  }

  /** {@code node_distance()}: 10 on the node itself, 20 to any other. */
  @Kernel(file = "include/linux/topology.h", symbol = "node_distance", fidelity = Kernel.Fidelity.CUSTOM, why = "No SLIT table: all other nodes are equally far.")
  public int nodeDistance(int from, int to) {
    return from == to ? 10 : 20;
  }

  /** {@code LOCAL_DISTANCE}. */
  public static final int LOCAL_DISTANCE = 10;
}
