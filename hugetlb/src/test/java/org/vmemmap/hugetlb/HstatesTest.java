// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.KernelBug;

/** The list of sizes. */
final class HstatesTest {
  private PoolMachine pool;
  private Hstates hstates;

  @BeforeEach
  void makeMachine() {
    pool = PoolMachine.small();
    hstates = new Hstates(pool.mm, new HugetlbFolios(pool.mm), 2);
  }

  private String bugOf(int order) {
    return String.valueOf(
        assertThrows(KernelBug.class, () -> hstates.hugetlbAddHstate(order)).getMessage());
  }

  /** A size is registered twice. Expect one, with the kernel's name and mask. */
  @Test
  void addHstate_twice_isThereOnce() {
    hstates.hugetlbAddHstate(9);
    hstates.hugetlbAddHstate(9);
    assertEquals(1, hstates.hugetlbMaxHstate());
    assertEquals("hugepages-2048kB", hstates.defaultHstate().name());
    assertEquals(-(2L << 20), hstates.defaultHstate().hugePageMask());
    assertEquals(List.of(), pool.warnings());
  }

  /** A third size. Expect a bug: the array has two places. */
  @Test
  void addHstate_third_isABug() {
    hstates.hugetlbAddHstate(9);
    hstates.hugetlbAddHstate(18);
    assertTrue(bugOf(10).contains("hugetlb_add_hstate: hugetlb_max_hstate >= HUGE_MAX_HSTATE"));
  }

  /** Two base pages have no room for what HugeTLB keeps in the struct pages. Expect a bug. */
  @Test
  void addHstate_tooSmall_isABug() {
    assertTrue(bugOf(1).contains("hugetlb_add_hstate: order < order_base_2(__NR_USED_SUBPAGE)"));
  }

  /** The smallest size that has the room, and the largest that a folio can have. Expect both. */
  @Test
  void addHstate_smallestAndLargest_areThere() {
    hstates.hugetlbAddHstate(2);
    hstates.hugetlbAddHstate(22);
    assertEquals(2, hstates.hugetlbMaxHstate());
    assertEquals(List.of(), pool.warnings());
  }

  /** 32 GiB is more than a folio can have. Expect a warning, and the size all the same. */
  @Test
  void addHstate_tooLarge_warns() {
    hstates.hugetlbAddHstate(23);
    assertEquals(List.of("hugetlb_add_hstate: order > MAX_FOLIO_ORDER"), pool.warnings());
    assertEquals(1, hstates.hugetlbMaxHstate());
  }
}
