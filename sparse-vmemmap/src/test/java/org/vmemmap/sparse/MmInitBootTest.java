// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * Boots with the real memblock, page allocator and sections.
 *
 * <pre>
 *   0      128M    256M    384M    512M    640M    768M
 *   |  0   |   1   |   2   |   3   |   4   |  5   |     sections of 128 MiB
 *   |DMA|--------DMA32 (last zone of the node)----|
 *                  ^ first_deferred_pfn: one section of DMA32 is behind it
 * </pre>
 */
class MmInitBootTest {
  private static final Ram SIX_SECTIONS = new Ram(0, 768 * SmallMachine.MIB, 0);
  private static final long END = 6 * SmallMachine.SECTION;

  private static SmallMachine machine(boolean deferred) {
    MmConfig config = SmallMachine.config().withDeferredStructPageInit(deferred);
    return new SmallMachine(config, SIX_SECTIONS);
  }

  private static Zone dma32(SmallMachine m) {
    return m.zone(0, ZoneType.ZONE_DMA32);
  }

  private static void earlyOnly(SmallMachine m) {
    m.mmInit.mmCoreInitEarly(new long[] {4096, END, END});
  }

  /** Word 0 of every page, without what the page allocator moves about. */
  private static long[] nodeZoneReserved(SmallMachine m) {
    long mask = -1L << 51 | 1L << 13;
    return LongStream.range(0, END)
        .map(pfn -> m.mm.struct().flags(m.mm.model().pfnToPage(pfn)) & mask)
        .toArray();
  }

  /** The same machine with and without deferring. Expect the same memory in the end. */
  @Test
  void boot_deferredOrNot_sameMemory() {
    SmallMachine deferred = machine(true).boot();
    SmallMachine atOnce = machine(false).boot();

    assertTrue(deferred.mmInit.deferredStructPages());
    assertFalse(atOnce.mmInit.deferredStructPages());
    assertEquals(dma32(atOnce).managedPages, dma32(deferred).managedPages);
    assertEquals(
        atOnce.pageAlloc.nrFreePages(dma32(atOnce)),
        deferred.pageAlloc.nrFreePages(dma32(deferred)));
    assertEquals(atOnce.owned(Owner.BUDDY), deferred.owned(Owner.BUDDY));
    assertArrayEquals(nodeZoneReserved(atOnce), nodeZoneReserved(deferred));
    assertTrue(dma32(deferred).contiguous);
    assertEquals(List.of(), deferred.warnings());
  }

  /** Every pageblock of a booted machine. Expect all to be movable. */
  @Test
  void boot_pageblocks_allMovable() {
    SmallMachine m = machine(true).boot();

    long movable =
        LongStream.iterate(0, pfn -> pfn < END, pfn -> pfn + 512)
            .filter(
                pfn ->
                    m.pageAlloc.getPfnblockMigratetype(m.mm.model().pfnToPage(pfn), pfn)
                        == Migratetype.MIGRATE_MOVABLE)
            .count();

    assertEquals(END / 512, movable);
  }

  /**
   * More is allocated than boot has initialised, before the late run.
   *
   * <pre>
   *   free before   |== sections 0 and 1 ==|
   *   wanted        |===== 80 blocks of 1024 pages =====|
   * </pre>
   *
   * Expect the allocator to have the zone grown, not to fail.
   */
  @Test
  void deferredGrowZone_allocationBeforeLate_growsTheZone() {
    SmallMachine m = machine(true);
    earlyOnly(m);
    m.mmInit.mmCoreInit();
    long first = m.mm.nodes().nodeData(0).firstDeferredPfn;

    for (int block = 0; block < 80; block++) {
      assertNotNull(m.pageAlloc.allocPagesNode(0, Gfp.KERNEL, 10, "test"));
    }

    assertTrue(m.mm.nodes().nodeData(0).firstDeferredPfn > first);
    m.mmInit.pageAllocInitLate();
    assertFalse(m.pageAlloc.deferredPagesEnabled());
    assertEquals(List.of(), m.warnings());
  }

  /** An option that boot checks pages for. Expect no bad page on a whole boot. */
  @Test
  void boot_pageChecks_findNothing() {
    SmallMachine m = machine(true);
    m.mmInit.earlyPagePoisonParam("1");

    m.boot();

    assertEquals(0, m.pageAlloc.badPageReports());
  }

  /** kernelcore=384M. Expect a Movable zone that is managed like any other. */
  @Test
  void boot_kernelcore_movableZoneIsManaged() {
    SmallMachine m = machine(true);
    m.mmInit.cmdlineParseKernelcore("384M");

    m.boot();

    Zone movable = m.zone(0, ZoneType.ZONE_MOVABLE);
    assertEquals(98304, movable.zoneStartPfn);
    assertEquals(98304, movable.presentPages);
    assertTrue(movable.managedPages > 0);
    assertEquals(movable.managedPages, m.pageAlloc.nrFreePages(movable));
  }
}
