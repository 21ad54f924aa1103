// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * A gigantic page at run time where free pages of the pool lie in the way.
 *
 * <pre>
 *   before   | H |   | H |   | H |   | H |   |     no four blocks of 2 MiB in a row are free
 *   after    | G   G   G   G |   H | H | H | H |   the pool has as many pages as before
 * </pre>
 */
final class HugetlbContigTest {
  private static final String DIR8 = "/sys/kernel/mm/hugepages/hugepages-8192kB/nr_hugepages";

  /** Every second block is a free page of the pool. Expect the pool to make room. */
  @Test
  void setPool_freePagesInTheWay_areReplaced() {
    PoolMachine pool = everySecond();
    long pages = pool.h2m().nrHugePages;
    assertEquals(0, pool.system.sysfs().write(DIR8, "1"));
    assertEquals(1, pool.hstate(8 * PoolMachine.MIB).nrHugePages);
    assertEquals(pages, pool.h2m().nrHugePages);
    assertEquals(0, pool.h2m().surplusHugePages);
  }

  /** No page can be had to replace them with. Expect no gigantic page, and the pool as before. */
  @Test
  void setPool_noReplacement_findsNoRoom() {
    PoolMachine pool = everySecond();
    long pages = pool.h2m().nrHugePages;
    pool.failFrom(1, "alloc_buddy_frozen_folio");
    assertEquals(0, pool.system.sysfs().write(DIR8, "1"));
    assertEquals(0, pool.hstate(8 * PoolMachine.MIB).nrHugePages);
    assertEquals(pages, pool.h2m().nrHugePages);
  }

  private static PoolMachine everySecond() {
    PoolMachine pool = HugetlbMigrateTest.filled(1000);
    List<Long> pfns = pool.freePfns(0);
    assertTrue(pfns.size() > 60, "pages=" + pfns.size());
    for (long pfn : pfns) {
      if (pfn / 512 % 2 == 1) {
        assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolio(pool.folio(pfn)));
      }
    }
    return pool;
  }
}
