// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.VMEMMAP_BASE;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The generic code with a page size that no CPU has, 8 KiB.
 *
 * <pre>
 *   section   128 MiB = 16384 pages        memmap of a section   1 MiB = 128 pages
 *   pmd leaf    2 MiB: the memmap of two sections
 * </pre>
 */
class OddPageSizeTest {
  private static final int PAGE_SHIFT = 13;
  private static final long PAGE = 1L << PAGE_SHIFT;
  private static final long SECTION = 16384;
  private static final long SECTION_VPAGES = 128;

  private static SmallMachine twoNodes() {
    return new SmallMachine(
            new OddPageTable(PAGE_SHIFT),
            config(),
            VMEMMAP_BASE,
            new Ram(0, 256 * MIB, 0),
            new Ram(256 * MIB, 512 * MIB, 1))
        .boot();
  }

  /** A boot. Expect 128 memmap pages for each section, and two sections behind each leaf. */
  @Test
  void sparseInit_pagesOf8Kib_oneLeafForTwoSections() {
    SmallMachine m = twoNodes();

    assertEquals(SECTION, m.mm.mmzone().pagesPerSection());
    assertEquals(4 * SECTION_VPAGES, m.mm.vmstat().nrMemmapBootPages());
    long first = m.memmap(0);
    long second = m.memmap(SECTION);
    assertEquals(1, m.level(first));
    assertEquals(1, m.level(second));
    assertEquals(m.frame(first) + SECTION_VPAGES, m.frame(second));
    assertEquals(List.of(), m.warnings());
  }

  /** All struct pages. Expect each to tell the node that its pfn lies in, and no other head. */
  @Test
  void memmapInit_pagesOf8Kib_everyPageTellsItsNode() {
    SmallMachine m = twoNodes();

    long liars =
        LongStream.range(0, 4 * SECTION)
            .filter(pfn -> !m.mm.mmzone().pfnValid(pfn) || tellsWrong(m, pfn))
            .count();

    assertEquals(0, liars);
  }

  private static boolean tellsWrong(SmallMachine m, long pfn) {
    Page page = m.mm.model().pfnToPage(pfn);
    int node = pfn < 2 * SECTION ? 0 : 1;
    return m.mm.inline().pageToNid(page) != node
        || !m.mm.inline().pageZone(page).spansPfn(pfn)
        || m.mm.flags().compoundHead(page).va() != page.va();
  }

  /**
   * Boot HVO. Struct pages fill a page of 8 KiB with 128, so the least order that fills two is 8.
   *
   * <pre>
   *   order 7   1 MiB   [f0]          refused
   *   order 8   2 MiB   [f0][T]       one page saved
   * </pre>
   *
   * Expect the second to take one frame of its own and one shared.
   */
  @Test
  void populateHvo_pagesOf8Kib_order8IsTheSmallest() {
    SmallMachine m = twoNodes();
    assertEquals(8, m.mm.mmzone().vmemmapTailMinOrder());
    long dev = m.memmap(8 * SECTION);
    Zone zone = m.zone(0, ZoneType.ZONE_DMA32);

    assertEquals(-12, m.vmemmap.vmemmapPopulateHvo(dev, dev + PAGE, 7, zone, PAGE));
    assertEquals(0, m.vmemmap.vmemmapPopulateHvo(dev, dev + 2 * PAGE, 8, zone, PAGE));

    Page tail = zone.vmemmapTails[0];
    assertNotNull(tail);
    assertEquals(m.mm.model().pageToPfn(tail), m.frame(dev + PAGE));
    assertEquals(List.of("vmemmap_get_tail: order < VMEMMAP_TAIL_MIN_ORDER"), m.warnings());
  }
}
