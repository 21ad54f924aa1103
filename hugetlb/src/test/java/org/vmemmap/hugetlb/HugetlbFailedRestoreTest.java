// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.Folio;

/** What stays in a pool when its pages cannot get their memmap back, and what boot counts. */
final class HugetlbFailedRestoreTest {
  private static final String RESTORE = "alloc_vmemmap_page_list";

  /**
   * A page that came from a CMA area cannot be restored and goes back into the pool. All its flags
   * are cleared but the one for its memmap. Expect it to be a page of the page allocator from now
   * on, so that it will be freed to the wrong place.
   */
  @Test
  void addHugetlbFolio_cmaPage_forgetsWhereItCameFrom() {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(1);
    Folio folio = pool.folio(pool.freePfns(0).get(0));
    pool.system.folios().set(folio, HugetlbPageFlag.HPG_CMA);
    pool.failFrom(1, RESTORE);
    assertEquals(0, pool.setPool(0));
    assertEquals(1, pool.h2m().surplusHugePages);
    assertTrue(pool.optimized(folio));
    assertFalse(pool.system.folios().test(folio, HugetlbPageFlag.HPG_CMA));
  }

  /**
   * Three pages leave the pool; no allocation fails, or the first of the second page's memmap, so that
   * the first page is freed before the others. Expect another CPU's turn after each of the three.
   */
  @ParameterizedTest
  @ValueSource(longs = {0, 8})
  void updateAndFreePagesBulk_pages_yieldAfterEach(long failing) {
    PoolMachine pool = PoolMachine.optimizing();
    pool.setPool(3);
    if (failing != 0) {
      pool.failNth(failing, RESTORE);
    }
    List<String> turns = new ArrayList<>();
    pool.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cond_resched")) {
                turns.add(what);
              }
            });
    assertEquals(0, pool.setPool(0));
    assertEquals(3, turns.size());
    assertEquals(0, pool.h2m().nrHugePages);
  }

  /** hugepages= of 2^32 + 2. Expect the two of the low half, and the warning to name the wish. */
  @Test
  void hugetlbPagesAllocBoot_moreThanAnInt_getsItsLowHalf() {
    PoolMachine pool = PoolMachine.small().cmdline("hugepages=4294967298").boot();
    assertEquals(2, pool.h2m().nrHugePages);
    assertTrue(pool.log().stream().anyMatch(line -> line.contains("allocating 4294967298")));
  }

  /** hugepages= of 2^31, which is negative as an int. Expect none, although there is memory. */
  @Test
  void hugetlbPagesAllocBoot_negativeAsAnInt_getsNone() {
    PoolMachine pool = PoolMachine.small().cmdline("hugepages=2147483648").boot();
    assertEquals(0, pool.h2m().nrHugePages);
  }
}
