// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.ArgumentMatchers.anyBoolean;
import static org.mockito.ArgumentMatchers.anyInt;
import static org.mockito.ArgumentMatchers.notNull;
import static org.mockito.Mockito.inOrder;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.never;
import static org.mockito.Mockito.times;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.when;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.mockito.InOrder;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.sparse.MmInitBench.Block;
import org.vmemmap.sparse.MmInitBench.Ram;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlagsLayout;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Series;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** The order of boot, and what mm_init.c answers about zones and nodes. */
class MmInitTest {
  private static final Ram SECTION_8 = new Ram(0x4000_0000L, 0x4800_0000L, 0);
  private static final MmConfig DEBUG_VM = MmConfig.debianX86().withDebugVm(true);

  // ---- order ----

  /**
   * A boot from the first step to the last.
   *
   * <pre>
   *   zones | cma | bootmem | sections | struct pages || free all | slab || deferred | hugetlb
   * </pre>
   *
   * Expect 7.3's order: HugeTLB between zones and sections, its struct pages after the deferred.
   */
  @Test
  void boot_phases_comeInTheOrderOf73() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x1_0000_0000L, 0x1_1800_0000L, 0));
    HugetlbBootHooks hugetlb = mock(HugetlbBootHooks.class);
    bench.mmInit.setHugetlbHooks(hugetlb);

    bench.early().late();

    InOrder order = inOrder(hugetlb, bench.pageAlloc, bench.sparse, bench.slab);
    order.verify(bench.pageAlloc).setDeferredGrow(notNull());
    order.verify(bench.pageAlloc).zoneInitFreeLists(bench.zone(0, ZoneType.ZONE_NORMAL));
    order.verify(hugetlb).hugetlbCmaReserve();
    order.verify(hugetlb).hugetlbBootmemAlloc();
    order.verify(bench.sparse).sparseInit();
    order
        .verify(bench.pageAlloc)
        .initPageblockMigratetype(bench.page(1048576), Migratetype.MIGRATE_MOVABLE, false);
    order.verify(bench.pageAlloc).freePagesCore(bench.page(1048576), 10, false);
    order.verify(bench.slab).setAvailable();
    order.verify(bench.pageAlloc).freePagesCore(bench.page(1048576 + 65536), 10, false);
    order.verify(bench.pageAlloc).setDeferredGrow(null);
    order.verify(hugetlb).hugetlbBootmemStructPageInit();
  }

  /** A kernel without HugeTLB. Expect boot to go through. */
  @Test
  void boot_withoutHugetlb_goesThrough() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early().late();

    assertEquals(32, bench.freed.size());
    assertTrue(bench.zone(0, ZoneType.ZONE_DMA32).contiguous);
    assertEquals(List.of(), bench.mm.printk().warnings());
  }

  // ---- zones ----

  /** A zone gets its first pages. Expect free lists, the start, and the node to know of it. */
  @Test
  void initCurrentlyEmptyZone_higherZone_raisesNrZones() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();
    Zone movable = bench.zone(0, ZoneType.ZONE_MOVABLE);

    bench.mmInit.initCurrentlyEmptyZone(movable, 0x48000, 0x8000);
    bench.mmInit.initCurrentlyEmptyZone(bench.zone(0, ZoneType.ZONE_DMA32), 0x40000, 0x8000);

    assertEquals(4, bench.mm.nodes().nodeData(0).nrZones);
    assertEquals(0x48000, movable.zoneStartPfn);
    assertTrue(movable.initialized);
    verify(bench.pageAlloc).zoneInitFreeLists(movable);
  }

  /** All pages of the zone as managed before memblock counts them. Expect present pages. */
  @Test
  void freeAreaInitCore_managedPages_startAsPresent() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).layOutZones();

    assertEquals(32768, bench.zone(0, ZoneType.ZONE_DMA32).managedPages);
    assertEquals(32768, bench.mmInit.nrKernelPages());
    assertEquals(32768, bench.mmInit.nrAllPages());
    assertEquals(0, bench.mm.nodes().nodeData(0).zone(ZoneType.ZONE_DMA).managedPages);
  }

  /** A section is missing from the span. Expect the zone not to be contiguous. */
  @Test
  void setZoneContiguous_absentSection_staysFalse() {
    MmInitBench bench =
        MmInitBench.debian(SECTION_8, new Ram(0x5000_0000L, 0x5800_0000L, 0)).early();

    bench.mmInit.setZoneContiguous(bench.zone(0, ZoneType.ZONE_DMA32));

    assertFalse(bench.zone(0, ZoneType.ZONE_DMA32).contiguous);
  }

  /** The last page of a pageblock says another zone. Expect the zone not to be contiguous. */
  @Test
  void setZoneContiguous_foreignLastPage_staysFalse() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();
    bench.mm.inline().setPageZone(bench.page(0x401ff), ZoneType.ZONE_NORMAL);

    bench.mmInit.setZoneContiguous(bench.zone(0, ZoneType.ZONE_DMA32));

    assertFalse(bench.zone(0, ZoneType.ZONE_DMA32).contiguous);
  }

  /** The first page of a pageblock says another node. Expect the zone not to be contiguous. */
  @Test
  void setZoneContiguous_foreignFirstPage_staysFalse() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();
    bench.mm.inline().setPageNode(bench.page(0x40200), 1);

    bench.mmInit.setZoneContiguous(bench.zone(0, ZoneType.ZONE_DMA32));

    assertFalse(bench.zone(0, ZoneType.ZONE_DMA32).contiguous);
  }

  /** A section's worth of pageblocks. Expect other CPUs to be let in after each of the 64. */
  @Test
  void setZoneContiguous_eachPageblock_letsOthersRun() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();
    List<Long> yields = new ArrayList<>();
    bench
        .machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.equals("cond_resched")) {
                yields.add(where);
              }
            });

    bench.mmInit.setZoneContiguous(bench.zone(0, ZoneType.ZONE_DMA32));

    assertEquals(64, yields.size());
    assertEquals(0x40000, yields.getFirst());
    assertEquals(0x47e00, yields.getLast());
  }

  /** A zone that starts and ends within pageblocks. Expect only its own pages to be looked at. */
  @Test
  void setZoneContiguous_oddEnds_isContiguous() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x4010_1000L, 0x47ff_f000L, 0)).early();

    bench.mmInit.setZoneContiguous(bench.zone(0, ZoneType.ZONE_DMA32));

    assertTrue(bench.zone(0, ZoneType.ZONE_DMA32).contiguous);
  }

  /**
   * A gigantic page that would reach over the border of two zones.
   *
   * <pre>
   *   |---DMA32---|---Normal---|
   *        [1][ 2   ][3]
   * </pre>
   *
   * Expect only the second to intersect both, on any node and on its own; not on another.
   */
  @Test
  void pfnRangeIntersectsZones_overABorder_isTrue() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0xf800_0000L, 0x1_0800_0000L, 0),
                new Ram(0x2_0000_0000L, 0x2_0800_0000L, 1))
            .layOutZones();
    MmInit mmInit = bench.mmInit;

    assertFalse(mmInit.pfnRangeIntersectsZones(0, 1048576 - 512, 512));
    assertTrue(mmInit.pfnRangeIntersectsZones(0, 1048576 - 512, 1024));
    assertTrue(mmInit.pfnRangeIntersectsZones(Memblock.NUMA_NO_NODE, 1048576 - 512, 1024));
    assertFalse(mmInit.pfnRangeIntersectsZones(0, 1048576, 512));
    assertFalse(mmInit.pfnRangeIntersectsZones(1, 1048576 - 512, 1024));
  }

  /** Pages of a range that are no memory of any node. Expect the hole only. */
  @Test
  void absentPagesInRange_hole_isCounted() {
    MmInitBench bench = MmInitBench.debian(SECTION_8, new Ram(0x5000_0000L, 0x5800_0000L, 1));

    assertEquals(0x8000, bench.mmInit.absentPagesInRange(0x40000, 0x58000));
    assertEquals(0x100, bench.mmInit.absentPagesInRange(0x47f00, 0x48100));
  }

  // ---- checks of the build ----

  private static void assertLayoutBug(String condition, PageFlagsLayout layout) {
    MmInitBench bench = MmInitBench.debian(SECTION_8);

    KernelBug bug =
        assertThrows(KernelBug.class, () -> bench.mmInit.mminitVerifyPageflagsLayout(layout));

    assertEquals(
        "kernel BUG at mminit_verify_pageflags_layout: " + condition, bug.getMessage());
  }

  /**
   * Layouts of word 0 in which a field is not where the one above it ends.
   *
   * <pre>
   *   63      54 53  51            good: node 10 bits, zone 3 bits
   *  |  node    | zone |
   * </pre>
   *
   * Expect a BUG that names the field.
   */
  @Test
  void mminitVerifyPageflagsLayout_misplacedField_isABug() {
    assertLayoutBug("shift != SECTIONS_PGSHIFT", new PageFlagsLayout(18, 45, 10, 36, 3, 33, 0, 0));
    assertLayoutBug("shift != NODES_PGSHIFT", new PageFlagsLayout(0, 0, 10, 53, 3, 51, 0, 0));
    assertLayoutBug("shift != ZONES_PGSHIFT", new PageFlagsLayout(0, 0, 10, 54, 3, 50, 0, 0));
  }

  /** More bits than a word has: a field wraps around into the first. Expect the BUG of overlaps. */
  @Test
  void mminitVerifyPageflagsLayout_overlap_isABug() {
    assertLayoutBug("or_mask != add_mask", new PageFlagsLayout(0, 0, 62, 2, 3, -1, 0, 0));
    assertLayoutBug("or_mask != add_mask", new PageFlagsLayout(62, 2, 3, -1, 0, 0, 0, 0));
  }

  /** The layouts of real builds, with sections in the word and without nodes. Expect no BUG. */
  @Test
  void mminitVerifyPageflagsLayout_realLayouts_pass() {
    MmInitBench bench = MmInitBench.debian(SECTION_8);

    bench.mmInit.mminitVerifyPageflagsLayout(bench.mm.inline().pageFlagsLayout());
    bench.mmInit.mminitVerifyPageflagsLayout(new PageFlagsLayout(18, 46, 10, 36, 3, 33, 0, 0));
    bench.mmInit.mminitVerifyPageflagsLayout(new PageFlagsLayout(0, 0, 0, 0, 2, 62, 0, 0));

    assertEquals(List.of(), bench.mm.printk().warnings());
  }

  // ---- nodes ----

  /**
   * Memory that begins and ends inside pages.
   *
   * <pre>
   *   page    0x40000      0x40001        0x48000
   *          |     ####|##############|####      |     node 1
   * </pre>
   *
   * Expect the page that begins in memory to be found, the one that only ends in it not.
   */
  @Test
  void earlyPfnToNid_partialPages_goesByTheirFirstByte() {
    Ram low = new Ram(0x1000_0000L, 0x1800_0000L, 0);
    MmInitBench bench =
        MmInitBench.debian(low, new Ram(0x4000_0800L, 0x4800_0800L, 1)).layOutZones();

    assertEquals(0, bench.mmInit.earlyPfnToNid(0x40000));
    assertEquals(1, bench.mmInit.earlyPfnToNid(0x48000));
    assertEquals(1, bench.mmInit.earlyPfnToNid(0x40001));
  }

  /** Pfns in memory, in a hole, and again in memory that was found before. Expect their nodes. */
  @Test
  void earlyPfnToNid_memoryAndHole_nodeOrFirst() {
    MmInitBench bench =
        MmInitBench.debian(SECTION_8, new Ram(0x5000_0000L, 0x5800_0000L, 1)).layOutZones();

    assertEquals(1, bench.mmInit.earlyPfnToNid(0x50000));
    assertEquals(1, bench.mmInit.earlyPfnToNid(0x57fff));
    assertEquals(0, bench.mmInit.earlyPfnToNid(0x48000));
    assertEquals(0, bench.mmInit.earlyPfnToNid(0x40000));
  }

  /** A hole when the only node is the second, and before any is known. Expect it, and 0. */
  @Test
  void earlyPfnToNid_hole_isOfTheFirstNodeOnline() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x4000_0000L, 0x4800_0000L, 1));
    assertEquals(0, bench.mmInit.earlyPfnToNid(0x30000));
    bench.layOutZones();

    assertEquals(1, bench.mmInit.earlyPfnToNid(0x30000));
  }

  /** Memory of node 0 before that node is known. Expect it all the same, not the node that is. */
  @Test
  void earlyPfnToNid_nodeNotKnownYet_isStillTheNode() {
    MmInitBench bench = MmInitBench.debian(SECTION_8);
    assertEquals(1, bench.mm.nodes().nodeData(1).nodeId());

    assertEquals(0, bench.mmInit.earlyPfnToNid(0x40000));
  }

  /** A node gets its first memory at run time. Expect all of it to be counted anew. */
  @Test
  void freeAreaInitCoreHotplug_bootNode_startsFromNothing() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).layOutZones();
    PgData pgdat = bench.mm.nodes().nodeData(0);

    assertEquals(0, bench.mmInit.freeAreaInitCoreHotplug(pgdat));

    assertEquals(0, pgdat.nrZones);
    assertEquals(0, pgdat.nodeStartPfn);
    assertEquals(0, pgdat.nodePresentPages);
    assertEquals(0, pgdat.zone(ZoneType.ZONE_DMA32).presentPages);
    assertEquals(0, pgdat.zone(ZoneType.ZONE_DMA32).managedPages);
  }

  /** No memory for the node's counters. Expect -ENOMEM and an untouched node; then success. */
  @Test
  void freeAreaInitCoreHotplug_noMemory_changesNothing() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).layOutZones();
    PgData pgdat = bench.mm.nodes().nodeData(0);
    bench.machine.faults().failNth(1, site -> site.equals("free_area_init_core_hotplug"));

    assertEquals(-Errno.ENOMEM, bench.mmInit.freeAreaInitCoreHotplug(pgdat));
    assertEquals(2, pgdat.nrZones);
    assertEquals(32768, pgdat.nodePresentPages);

    assertEquals(0, bench.mmInit.freeAreaInitCoreHotplug(pgdat));
    assertEquals(0, bench.mmInit.freeAreaInitCoreHotplug(pgdat));
    assertEquals(2, bench.machine.faults().asked());
  }

  // ---- pageblocks ----

  /** A run that begins and ends within pageblocks. Expect those that start in it. */
  @Test
  void pageblockMigratetypeInitRange_oddRun_onlyStartsInIt() {
    MmInitBench bench = MmInitBench.debian(SECTION_8);

    bench.mmInit.pageblockMigratetypeInitRange(
        0x40001, 0x400, Migratetype.MIGRATE_CMA, false);

    Block expected = new Block(Migratetype.MIGRATE_CMA, false);
    assertEquals(Map.of(0x40200L, expected, 0x40400L, expected), bench.pageblocks);
  }

  /** With a lock held. Expect no other CPU to be let in at the start of a section. */
  @Test
  void pageblockMigratetypeInitRange_atomic_doesNotYield() {
    MmInitBench bench = MmInitBench.debian(SECTION_8);
    List<String> yields = new ArrayList<>();
    bench.machine.yields().listen((what, where) -> yields.add(what));

    bench.mmInit.pageblockMigratetypeInitRange(
        0x40000, 0x400, Migratetype.MIGRATE_MOVABLE, true);
    assertEquals(List.of(), yields);

    bench.mmInit.pageblockMigratetypeInitRange(
        0x40000, 0x400, Migratetype.MIGRATE_MOVABLE, false);
    assertEquals(List.of("cond_resched"), yields);
  }

  // ---- memory for struct pages ----

  /** Memory for a memmap in a plain kernel, above 1 GiB + 64 MiB. Expect it as it is. */
  @Test
  void memmapAlloc_plainKernel_isNotPoisoned() {
    MmInitBench bench = MmInitBench.debian(SECTION_8);
    long minAddr = 0x4400_0000L;

    long paddr = bench.mm.model().pa(bench.mmInit.memmapAlloc(4096, 64, minAddr, 0, false));

    assertTrue(paddr >= minAddr);
    assertTrue(bench.memblock.memblockIsReserved(paddr));
    assertEquals(0, bench.machine.memory().getLong(paddr));
  }

  /**
   * Memory for a memmap in a DEBUG_VM kernel.
   *
   * <p>Expect all ones, and page_to_nid() to find a bug in a struct page that nobody initialised.
   */
  @Test
  void memmapAlloc_debugVm_isPoisoned() {
    MmInitBench bench = new MmInitBench(DEBUG_VM, SECTION_8);

    long va = bench.mmInit.memmapAlloc(4096, 4096, 0, 0, true);

    assertEquals(-1, bench.machine.cpu().readLong(va));
    assertEquals(-1, bench.machine.cpu().readLong(va + 4088));
    assertEquals(0, bench.machine.cpu().readLong(va - 8));
    bench.mapMemmap(0x40000, 0x40001);
    long memmap = bench.page(0x40000).va();
    bench.map(memmap, bench.mm.model().pa(va), bench.mm.pgtable().pageKernel());
    assertThrows(KernelBug.class, () -> bench.mm.inline().pageToNid(bench.page(0x40000)));
  }

  /** A node without memory. Expect memory of another node, unless it must be that node's. */
  @Test
  void memmapAlloc_emptyNode_fallsBackUnlessExact() {
    MmInitBench bench = MmInitBench.debian(SECTION_8);

    assertEquals(0, bench.mmInit.memmapAlloc(4096, 64, 0, 1, true));
    assertNotEquals(0, bench.mmInit.memmapAlloc(4096, 64, 0, 1, false));
  }

  /** memblock has no memory left, in a DEBUG_VM kernel. Expect 0, and nothing to be poisoned. */
  @Test
  void memmapAlloc_noMemory_isNull() {
    MmInitBench bench = new MmInitBench(DEBUG_VM, SECTION_8);
    bench.machine.faults().failFrom(1, site -> site.startsWith("memblock"));

    assertEquals(0, bench.mmInit.memmapAlloc(4096, 64, 0, 0, false));
    assertEquals(1, bench.machine.faults().failed());
  }

  // ---- page checks ----

  /** The captured kernels' default: init_on_alloc is on. Expect page checks. */
  @Test
  void memDebugging_default_checksPages() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();

    bench.mmInit.mmCoreInit();

    verify(bench.pageAlloc).setPageCheckingEnabled(true);
    assertTrue(
        bench.log().contains("mem auto-init: stack:all(zero), heap alloc:on, heap free:off"));
  }

  /** init_on_alloc=0 and nothing else, as the prehvo cases boot. Expect no page checks. */
  @Test
  void memDebugging_initOnAllocOff_doesNotCheckPages() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();

    assertEquals(0, bench.mmInit.earlyInitOnAlloc("0"));
    bench.mmInit.mmCoreInit();

    verify(bench.pageAlloc, never()).setPageCheckingEnabled(anyBoolean());
  }

  /** page_poison=1. Expect page checks, and it to win over init_on_alloc. */
  @Test
  void memDebugging_pagePoison_winsOverInitOnAlloc() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();

    assertEquals(0, bench.mmInit.earlyPagePoisonParam("1"));
    bench.mmInit.mmCoreInit();

    verify(bench.pageAlloc).setPageCheckingEnabled(true);
    assertTrue(
        bench
            .log()
            .contains(
                "mem auto-init: CONFIG_PAGE_POISONING is on, "
                    + "will take precedence over init_on_alloc and init_on_free"));
    assertTrue(
        bench.log().contains("mem auto-init: stack:all(zero), heap alloc:off, heap free:off"));
  }

  /** Each of the other options alone. Expect page checks. */
  @Test
  void memDebugging_otherOptions_checkPages() {
    MmInitBench free = MmInitBench.debian(SECTION_8).early();
    free.mmInit.earlyInitOnAlloc("off");
    assertEquals(0, free.mmInit.earlyInitOnFree("on"));
    free.mmInit.mmCoreInit();
    verify(free.pageAlloc).setPageCheckingEnabled(true);
    assertTrue(free.log().contains("mem auto-init: clearing system memory may take some time..."));

    MmInitBench check = MmInitBench.debian(SECTION_8).early();
    check.mmInit.earlyInitOnAlloc("off");
    assertEquals(0, check.mmInit.earlyCheckPages("y"));
    check.mmInit.mmCoreInit();
    verify(check.pageAlloc).setPageCheckingEnabled(true);

    MmInitBench debug = MmInitBench.debian(SECTION_8).early();
    debug.mmInit.earlyInitOnAlloc("off");
    assertEquals(0, debug.mmInit.earlyDebugPagealloc("on"));
    debug.mmInit.mmCoreInit();
    verify(debug.pageAlloc).setPageCheckingEnabled(true);
  }

  /** Each option is turned on and off again. Expect no page checks. */
  @Test
  void memDebugging_offAfterOn_isOff() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();
    for (String value : List.of("1", "0")) {
      assertEquals(0, bench.mmInit.earlyInitOnAlloc(value));
      assertEquals(0, bench.mmInit.earlyInitOnFree(value));
      assertEquals(0, bench.mmInit.earlyCheckPages(value));
      assertEquals(0, bench.mmInit.earlyPagePoisonParam(value));
      assertEquals(0, bench.mmInit.earlyDebugPagealloc(value));
    }
    bench.mmInit.mmCoreInit();
    verify(bench.pageAlloc, never()).setPageCheckingEnabled(anyBoolean());
  }

  /** page_poison=1 with init_on_free=1 alone, and with neither. Expect the line for the first. */
  @Test
  void memDebugging_pagePoisonAndInitOnFree_saysWhichWins() {
    for (String onFree : List.of("0", "1")) {
      MmInitBench bench = MmInitBench.debian(SECTION_8).early();
      bench.mmInit.earlyInitOnAlloc("0");
      bench.mmInit.earlyInitOnFree(onFree);
      bench.mmInit.earlyPagePoisonParam("1");
      bench.mmInit.mmCoreInit();
      long said = bench.log().stream().filter(line -> line.contains("PAGE_POISONING")).count();
      assertEquals(Long.parseLong(onFree), said);
    }
  }

  /** Words that are neither yes nor no. Expect -EINVAL and the default. */
  @Test
  void memDebugging_badWords_areInvalid() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();

    assertEquals(-Errno.EINVAL, bench.mmInit.earlyInitOnAlloc("maybe"));
    assertEquals(-Errno.EINVAL, bench.mmInit.earlyInitOnFree("maybe"));
    assertEquals(-Errno.EINVAL, bench.mmInit.earlyCheckPages(null));
    assertEquals(-Errno.EINVAL, bench.mmInit.earlyPagePoisonParam("?"));
    assertEquals(-Errno.EINVAL, bench.mmInit.earlyDebugPagealloc(""));
    bench.mmInit.mmCoreInit();

    assertTrue(
        bench.log().contains("mem auto-init: stack:all(zero), heap alloc:on, heap free:off"));
  }

  /** A DEBUG_VM kernel with everything off. Expect page checks all the same. */
  @Test
  void memDebugging_debugVm_alwaysChecksPages() {
    MmInitBench bench = new MmInitBench(DEBUG_VM, SECTION_8).early();

    bench.mmInit.earlyInitOnAlloc("0");
    bench.mmInit.mmCoreInit();

    verify(bench.pageAlloc).setPageCheckingEnabled(true);
  }

  /** Memory at the end of boot. Expect the line to count free, present, reserved and CMA's. */
  @Test
  void memInitPrintInfo_memory_isCounted() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();
    bench.zone(0, ZoneType.ZONE_DMA32).managedPages = 32000;
    when(bench.pageAlloc.nrFreePages(any())).thenReturn(0L);
    when(bench.pageAlloc.totalcmaPages()).thenReturn(256L);
    when(bench.pageAlloc.nrFreePages(bench.zone(0, ZoneType.ZONE_DMA32))).thenReturn(31000L);

    bench.mmInit.pageAllocInitLate();

    assertTrue(
        bench
            .log()
            .contains("Memory: 124000K/131072K available (2048K reserved, 1024K cma-reserved)"));
  }

  // ---- the order before 7.3 ----

  /**
   * A boot of 7.1.
   *
   * <pre>
   *   cma | bootmem | sections | zones | late hook | struct pages
   * </pre>
   *
   * Expect HugeTLB before the zones, sections before them, and its struct pages not at the end.
   */
  @Test
  void boot_phases_comeInTheOrderOf71() {
    MmConfig config = MmConfig.debianX86().withSeries(Series.profile("7.1"));
    MmInitBench bench =
        new MmInitBench(config, SECTION_8, new Ram(0x5000_0000L, 0x5800_0000L, 1));
    HugetlbBootHooks hugetlb = mock(HugetlbBootHooks.class);
    bench.mmInit.setHugetlbHooks(hugetlb);

    bench.early().late();

    InOrder order = inOrder(hugetlb, bench.pageAlloc, bench.sparse, bench.slab);
    order.verify(hugetlb).hugetlbCmaReserve();
    order.verify(hugetlb).hugetlbBootmemAlloc();
    order.verify(bench.sparse).sparseInit();
    order.verify(bench.pageAlloc).zoneInitFreeLists(bench.zone(0, ZoneType.ZONE_DMA32));
    order.verify(bench.sparse).sparseVmemmapInitNidLate(0);
    order.verify(bench.sparse).sparseVmemmapInitNidLate(1);
    order
        .verify(bench.pageAlloc)
        .initPageblockMigratetype(bench.page(0x40000), Migratetype.MIGRATE_MOVABLE, false);
    order.verify(bench.pageAlloc).freePagesCore(bench.page(0x40000), 10, false);
    order.verify(bench.slab).setAvailable();
    verify(bench.sparse, never()).memblocksPresent();
    verify(hugetlb, never()).hugetlbBootmemStructPageInit();
    verify(bench.vmemmap).memInit();
  }

  /** Sections are present before HugeTLB takes its pages, since patch 27. Expect that order. */
  @Test
  void boot_patch27_presentsSectionsFirst() {
    for (int patches : new int[] {26, 27}) {
      MmConfig config = MmConfig.debianX86().withSeries(Series.at(patches));
      MmInitBench bench = new MmInitBench(config, SECTION_8);
      HugetlbBootHooks hugetlb = mock(HugetlbBootHooks.class);
      bench.mmInit.setHugetlbHooks(hugetlb);

      bench.early();

      InOrder order = inOrder(hugetlb, bench.sparse);
      order.verify(bench.sparse, times(patches == 26 ? 0 : 1)).memblocksPresent();
      order.verify(hugetlb).hugetlbCmaReserve();
      order.verify(bench.sparse).sparseInit();
      verify(bench.sparse, never()).sparseVmemmapInitNidLate(anyInt());
    }
  }

  // ---- CMA ----

  private static SmallMachine withReservedBlock() {
    SmallMachine m = SmallMachine.small();
    m.memblock.memblockReserve(128L << 20, 2L << 20);
    return m.boot();
  }

  /**
   * A reserved pageblock of a CMA area goes to the page allocator for the first time.
   *
   * <pre>
   *   32768        33280
   *   |RRRRRRRRRRRR|      ->   free, CMA
   * </pre>
   *
   * Expect one free block of 512 pages, managed and counted as CMA.
   */
  @Test
  void initCmaReservedPageblock_block_becomesFreeCma() {
    SmallMachine m = withReservedBlock();
    Zone zone = m.zone(0, ZoneType.ZONE_DMA32);
    long managed = zone.managedPages;
    long free = m.pageAlloc.nrFreePages(zone);
    Page page = m.mm.model().pfnToPage(32768);
    assertTrue(m.mm.flags().pageReserved(page));

    m.mmInit.initCmaReservedPageblock(page);

    assertEquals(managed + 512, zone.managedPages);
    assertEquals(free + 512, m.pageAlloc.nrFreePages(zone));
    assertEquals(512, zone.cmaPages);
    assertFalse(m.mm.flags().pageReserved(m.mm.struct().add(page, 511)));
    assertEquals(
        Migratetype.MIGRATE_CMA, m.pageAlloc.getPfnblockMigratetype(page, 32768));
    assertEquals(9, m.pageAlloc.buddyOrder(page));
    assertEquals(List.of(), m.warnings());
  }

  /** A block whose pages are in use. Expect type and counters, and the pages left alone. */
  @Test
  void initCmaPageblock_inUse_onlyCounts() {
    SmallMachine m = withReservedBlock();
    Zone zone = m.zone(0, ZoneType.ZONE_DMA32);
    long managed = zone.managedPages;
    long free = m.pageAlloc.nrFreePages(zone);
    Page page = m.mm.model().pfnToPage(32768);

    m.mmInit.initCmaPageblock(page);

    assertEquals(managed + 512, zone.managedPages);
    assertEquals(free, m.pageAlloc.nrFreePages(zone));
    assertEquals(512, zone.cmaPages);
    assertTrue(m.mm.flags().pageReserved(page));
    assertEquals(
        Migratetype.MIGRATE_CMA, m.pageAlloc.getPfnblockMigratetype(page, 32768));
  }

  // ---- answers ----

  /** Pfns in zones, in none, and of another node. Expect the zone that spans it, or none. */
  @Test
  void pfnToZone_node_findsWhatSpansIt() {
    MmInitBench bench =
        MmInitBench.debian(SECTION_8, new Ram(0x1_0000_0000L, 0x1_0800_0000L, 1)).layOutZones();

    assertSame(bench.zone(0, ZoneType.ZONE_DMA32), bench.mmInit.pfnToZone(0x40000, 0));
    assertSame(bench.zone(0, ZoneType.ZONE_DMA32), bench.mmInit.pfnToZone(0x47fff, 0));
    assertNull(bench.mmInit.pfnToZone(0x48000, 0));
    assertNull(bench.mmInit.pfnToZone(0x3ffff, 0));
    assertNull(bench.mmInit.pfnToZone(0x40000, 1));
    assertSame(bench.zone(1, ZoneType.ZONE_NORMAL), bench.mmInit.pfnToZone(0x100000, 1));
  }

  /** What zones and nodes of a boot say. Expect nodes with memory, free pages and the last pfn. */
  @Test
  void boot_counts_areThoseOfMemblock() {
    MmInitBench bench =
        MmInitBench.debian(SECTION_8, new Ram(0x5000_0000L, 0x5800_0000L, 3))
            .reserve(0x4000_0000L, 0x4000_1800L)
            .early();

    assertEquals(List.of(0, 3), bench.mmInit.nodesWithMemory());
    assertEquals(2 * 32768 - 2, bench.mmInit.nrKernelPages());
    assertEquals(2 * 32768 - 2, bench.mmInit.nrAllPages());
    assertEquals(0x57fff, bench.mmInit.highestMemmapPfn());
  }

  /** A node is set up a second time. Expect the warning. */
  @Test
  void freeAreaInitNode_again_warns() {
    MmInitBench bench = MmInitBench.debian(SECTION_8);
    bench.mm.nodes().nodeData(0).nrZones = 1;

    bench.early();

    assertEquals(
        List.of("free_area_init_node: pgdat->nr_zones"), bench.mm.printk().warnings());
  }

  /** A node that is known and has no memory. Expect its line, and zones of nothing. */
  @Test
  void freeAreaInitNode_memoryless_saysSo() {
    MmInitBench bench = MmInitBench.debian(SECTION_8);
    PgData empty = bench.mm.nodes().nodeData(2);
    Zone normal = bench.zone(2, ZoneType.ZONE_NORMAL);
    normal.spannedPages = 7;
    normal.zoneStartPfn = 7;
    normal.presentPages = 7;
    normal.presentEarlyPages = 7;
    empty.nodeSpannedPages = 7;
    empty.nodePresentPages = 7;
    empty.firstDeferredPfn = 7;

    bench.early();

    assertTrue(bench.log().contains("Initmem setup node 2 as memoryless"));
    assertEquals(0, normal.spannedPages + normal.zoneStartPfn);
    assertEquals(0, normal.presentPages + normal.presentEarlyPages);
    assertEquals(0, empty.nodeSpannedPages + empty.nodePresentPages);
    assertEquals(Long.MAX_VALUE, empty.firstDeferredPfn);
    assertFalse(normal.initialized);
    assertEquals(List.of(0), bench.mmInit.nodesWithMemory());
  }

  /** A page of a boot section that is reserved, whatever its state. Expect it initialised anew. */
  @Test
  void initPageFromNid_again_initialises() {
    MmInitBench bench = MmInitBench.debian(SECTION_8).early();
    bench.mm.struct().setFlags(bench.page(0x40200), 0);
    bench.pageblocks.clear();

    bench.mmInit.initDeferredPage(0x40200, 0);
    assertEquals(0, bench.words(0x40200)[0]);
    bench.mmInit.initPageFromNid(0x40200, 0);

    assertEquals(ZoneType.ZONE_DMA32, bench.mm.inline().pageZone(bench.page(0x40200)).idx());
    assertEquals(Map.of(0x40200L, new Block(Migratetype.MIGRATE_MOVABLE, false)), bench.pageblocks);
    bench.mmInit.initSinglePage(bench.page(0x40201), 0x40201, ZoneType.ZONE_NORMAL, 0);
    assertEquals(2L << 51 | 0x7_ffff_c000_0000L, bench.words(0x40201)[0]);
  }
}
