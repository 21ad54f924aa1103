// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Objects;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** The shared tail of boot pages before the page allocator runs: patches 23 and 24. */
class SharedTailSeriesTest {
  private static final int ORDER_1G = 18;
  private static final long PFN_4G = 4L << 18;

  /**
   * The memmap of a hugepage right after memmap_init(), with nothing deferred.
   *
   * <pre>
   *   struct pages   [ 0 .. 63 ][ 64 .. 127 ] ... [ .. 262143 ]
   *   frames             f0          T      ...        T
   * </pre>
   *
   * Expect the references that initialisation writes in T before patch 23, and none with it; and
   * all pageblocks movable in both.
   */
  @Test
  @Tag("patch-23")
  void memmapInitRange_optimizedFolio_leavesTheSharedTailAlone() {
    LabKernel before = LabKernel.bootEarly(SeriesMachine.hugepageSpec(22));
    LabKernel after = LabKernel.bootEarly(SeriesMachine.hugepageSpec(23));
    assertEquals(1, before.mm().refs().pageRefCount(sharedTail(before.mm())));
    assertEquals(0, after.mm().refs().pageRefCount(sharedTail(after.mm())));
    assertEquals(512, movable(before));
    assertEquals(512, movable(after));
  }

  private static long movable(LabKernel kernel) {
    long count = 0;
    for (long pfn = PFN_4G; pfn < PFN_4G + (1L << ORDER_1G); pfn += 512) {
      Page page = kernel.mm().model().pfnToPage(pfn);
      Migratetype type = kernel.pageAlloc().getPfnblockMigratetype(page, pfn);
      count += type == Migratetype.MIGRATE_MOVABLE ? 1 : 0;
    }
    return count;
  }

  /** The first struct page in the frame, through the direct map. */
  private static Page sharedTail(Mm mm) {
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL);
    Page tail = zone.vmemmapTails[ORDER_1G - mm.mmzone().vmemmapTailMinOrder()];
    return new Page(mm.model().pageAddress(Objects.requireNonNull(tail)));
  }

  /**
   * The shared frame at the same moment. Expect zeros from initialisation before patch 24, since
   * nobody has made tails of them yet, and with it the mask that leads each of them to its head.
   */
  @Test
  @Tag("patch-24")
  void vmemmapGetTail_bootPage_isFilledAtOnce() {
    Mm before = LabKernel.bootEarly(SeriesMachine.hugepageSpec(23)).mm();
    Mm after = LabKernel.bootEarly(SeriesMachine.hugepageSpec(24)).mm();
    assertEquals(0L, before.struct().word(sharedTail(before), 8));
    assertEquals(0xffff_ffff_ff00_0001L, after.struct().word(sharedTail(after), 8));

    Page far = after.model().pfnToPage(PFN_4G + 100_000);
    assertEquals(far, before.flags().compoundHead(far));
    assertEquals(after.model().pfnToPage(PFN_4G), after.flags().compoundHead(far));
  }
}
