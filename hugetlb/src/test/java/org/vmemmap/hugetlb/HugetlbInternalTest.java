// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.vmemmap.types.KernelBug;

/** The rounds over the nodes. */
final class HugetlbInternalTest {
  private PoolMachine pool;
  private HugetlbInternal internal;
  private Hstate h;

  @BeforeEach
  void makeMachine() {
    pool = PoolMachine.small();
    internal = new HugetlbInternal(pool.mm, PoolMachine.sizes());
    h = new Hstate(pool.mm, 9);
  }

  private static String bugOf(Executable action) {
    return String.valueOf(assertThrows(KernelBug.class, action).getMessage());
  }

  /** A round over nodes 1 and 3 that stands at node 0. Expect 1, 3, 1 again. */
  @Test
  void hstateNextNodeToAlloc_nodeNotAllowed_goesOnWithTheNextThatIs() {
    TreeSet<Integer> allowed = new TreeSet<>(List.of(1, 3));
    assertEquals(1, internal.hstateNextNodeToAlloc(h.nextNidToAlloc, allowed));
    assertEquals(3, internal.hstateNextNodeToAlloc(h.nextNidToAlloc, allowed));
    assertEquals(1, internal.hstateNextNodeToAlloc(h.nextNidToAlloc, allowed));
  }

  /** The round for freeing has a place of its own. Expect it to start where it stood. */
  @Test
  void hstateNextNodeToFree_afterAllocations_hasItsOwnTurn() {
    TreeSet<Integer> allowed = new TreeSet<>(List.of(0, 1));
    assertEquals(0, internal.hstateNextNodeToAlloc(h.nextNidToAlloc, allowed));
    assertEquals(0, internal.hstateNextNodeToFree(h, allowed));
    assertEquals(1, internal.hstateNextNodeToFree(h, allowed));
  }

  /** No node is allowed at all. Expect next_node_allowed() to stop the kernel. */
  @Test
  void nextNodeAllowed_emptyMask_isABug() {
    String bug = bugOf(() -> internal.nextNodeAllowed(0, new TreeSet<>()));
    assertTrue(bug.contains("next_node_allowed: nid >= MAX_NUMNODES"));
  }

  /** No mask at all. Expect both rounds to stop the kernel. */
  @Test
  void hstateNextNode_noMask_isABug() {
    String alloc = bugOf(() -> internal.hstateNextNodeToAlloc(h.nextNidToAlloc, null));
    String free = bugOf(() -> internal.hstateNextNodeToFree(h, null));
    assertTrue(alloc.contains("hstate_next_node_to_alloc: !nodes_allowed"));
    assertTrue(free.contains("hstate_next_node_to_free: !nodes_allowed"));
  }
}
