// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.vmemmap.pagealloc.Gfp;
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

  /** Nodes with and without memory. Expect both online, and only the one to count for pools. */
  @Test
  void nodeMasks_nodeWithoutMemory_isOnlineOnly() {
    assertEquals(1024, internal.maxNumnodes());
    assertEquals(1024, internal.firstNode(internal.nodeOnlineMap()));
    assertEquals(1024, internal.numaMemId());
    pool.mm.nodes().nodeData(1);
    pool.mm.nodes().nodeData(2).nodePresentPages = 5;
    pool.mm.nodes().nodeData(4).nodePresentPages = 5;
    assertEquals(List.of(1, 2, 4), List.copyOf(internal.nodeOnlineMap()));
    assertEquals(List.of(2, 4), List.copyOf(internal.nodeStatesMemory()));
    assertEquals(2, internal.numaMemId());
    assertEquals(1, internal.firstNode(internal.nodeOnlineMap()));
  }

  /** A node at the end of the mask, in it and behind it. Expect the first one again. */
  @Test
  void nextNodeAllowed_atTheEnd_beginsAgain() {
    TreeSet<Integer> allowed = new TreeSet<>(List.of(1, 3));
    assertEquals(3, internal.nextNodeAllowed(1, allowed));
    assertEquals(1, internal.nextNodeAllowed(3, allowed));
    assertEquals(1, internal.nextNodeAllowed(7, allowed));
    assertEquals(3, internal.getValidNodeAllowed(3, allowed));
    assertEquals(3, internal.getValidNodeAllowed(2, allowed));
  }

  /** Sizes on an architecture with gigantic pages at run time. Expect none to be out of reach. */
  @Test
  void hstateIsGiganticNoRuntime_runtime_isFalse() {
    assertFalse(internal.hstateIsGiganticNoRuntime(h));
    assertFalse(internal.hstateIsGiganticNoRuntime(new Hstate(pool.mm, 18)));
    assertTrue(new Hstate(pool.mm, 11).isGigantic());
    assertFalse(new Hstate(pool.mm, 10).isGigantic());
  }

  /** No areas, and an architecture of two sizes. Expect the answers of a build without either. */
  @Test
  void defaults_noAreas_sayNo() {
    HugetlbCma none = HugetlbCma.NONE;
    assertNull(none.earlyParam("hugetlb_cma", "8M"));
    assertNull(none.hugetlbCmaAllocFrozenFolio(18, Gfp.KERNEL, 0, null));
    assertEquals(0, none.hugetlbCmaAllocBootmem(h, 0, false));
    assertEquals(0, none.hugetlbCmaTotalSize());
    assertFalse(none.hugetlbCmaExclusiveAlloc());
    assertFalse(none.hugetlbEarlyCma(new Hstate(pool.mm, 18)));
    assertTrue(none.cmaValidateZones(0));
    HugetlbArch arch = PoolMachine.sizes();
    assertEquals(2, arch.hugeMaxHstate());
    assertEquals(0, arch.archHugetlbCmaOrder());
    assertFalse(arch.archHasHugeBootmemAlloc());
    assertTrue(arch.hugetlbNodeAllocSupported());
    assertTrue(arch.archHugetlbMigrationSupported(PoolMachine.GIB));
    assertFalse(arch.archHugetlbMigrationSupported(4096));
    assertEquals(11, HugetlbArch.withCma(11, 0).archHugetlbCmaOrder());
  }
}
