// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

/** An {@code int *next_node}: where a round over the nodes goes on. */
public final class NextNode {
  /** The node that is next, if the caller allows it. */
  public int nid;

  /** Starts at node {@code nid}. */
  public NextNode(int nid) {
    this.nid = nid;
  }
}
