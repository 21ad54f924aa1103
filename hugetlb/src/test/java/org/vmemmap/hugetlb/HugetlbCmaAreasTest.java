// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.pagealloc.CmaArea;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Series;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * CMA areas for hugepages on two nodes of 256 MiB. The gigantic size is 8 MiB here, one order more
 * than the page allocator has, so that a machine can be small.
 */
class HugetlbCmaAreasTest {
  private static final long MIB = PoolMachine.MIB;
  private static final long SIZE_8M = 8 * MIB;
  private static final int ORDER_8M = 11;
  private static final long PAGES_8M = 2048;
  private static final String NR_8M = "/sys/kernel/mm/hugepages/hugepages-8192kB/nr_hugepages";
  private static final String ONLY = "hugetlb_cma_only=1";

  private static PoolMachine machine(String... cmdline) {
    return of(new PoolMachine.Ram(0, 256 * MIB, 0), new PoolMachine.Ram(256 * MIB, 512 * MIB, 1))
        .cmdline(cmdline);
  }

  /** Three nodes of 128 MiB. */
  private static PoolMachine threeNodes(String cma) {
    return of(
            new PoolMachine.Ram(0, 128 * MIB, 0),
            new PoolMachine.Ram(128 * MIB, 256 * MIB, 1),
            new PoolMachine.Ram(256 * MIB, 384 * MIB, 2))
        .cmdline(cma)
        .boot();
  }

  private static PoolMachine of(PoolMachine.Ram... ram) {
    return new PoolMachine(
        PoolMachine.config(), HugetlbArch.withCma(ORDER_8M, PoolMachine.SIZE_2M, SIZE_8M), ram);
  }

  /** What the kernel said of hugetlb_cma, without the prefix, joined by " / ". */
  private static String said(PoolMachine pool) {
    String prefix = "hugetlb_cma: ";
    return String.join(
        " / ",
        pool.log().stream()
            .filter(line -> line.startsWith(prefix))
            .map(line -> line.substring(prefix.length()))
            .toList());
  }

  private static Hstate h8m(PoolMachine pool) {
    return pool.hstate(SIZE_8M);
  }

  private static int setPool(PoolMachine pool, long count) {
    return pool.system.sysfs().write(NR_8M, Long.toString(count));
  }

  private static Zone normal(PoolMachine pool, int nid) {
    return pool.zone(nid, ZoneType.ZONE_DMA32);
  }

  /** Every account of CMA pages against the others, and the memory against the ledger. */
  private static void assertBalanced(PoolMachine pool) {
    long total = 0;
    long early = 0;
    for (var area : pool.cma.areas()) {
      total += area.count();
      long used = area.activated() ? pool.cma.bitsInUse(area) << area.orderPerBit() : 0;
      early += area.activated() ? used : 0;
      assertEquals(area.count() - used, area.availableCount());
    }
    assertEquals(total, pool.pageAlloc.totalcmaPages());
    long free = 0;
    long freeCma = 0;
    for (int nid = 0; nid < 2; nid++) {
      for (Zone zone : pool.mm.nodes().nodeData(nid).zones()) {
        free += pool.pageAlloc.nrFreePages(zone);
        freeCma += pool.pageAlloc.nrFreeCmaPages(zone);
      }
    }
    assertEquals(free, pool.owned(Owner.BUDDY));
    assertTrue(freeCma <= total - early);
  }

  // ---------------------------------------------------------------- command line

  /** What is written on the command line, and what the kernel makes of it. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "64M | reserve 64 MiB, up to 32 MiB per node / reserved 32 MiB on node 0 / reserved 32 MiB"
            + " on node 1",
        "24M | reserve 24 MiB, up to 16 MiB per node / reserved 16 MiB on node 0 / reserved 8 MiB on"
            + " node 1",
        "8M | reserve 8 MiB, up to 8 MiB per node / reserved 8 MiB on node 0",
        "0x800000 | reserve 8 MiB, up to 8 MiB per node / reserved 8 MiB on node 0",
        "3M | cma area must be a multiple of 8 MiB",
        "0:16M,1:8M | reserved 16 MiB on node 0 / reserved 8 MiB on node 1",
        "1:16M | reserved 16 MiB on node 1",
        "1:16M, | reserved 16 MiB on node 1",
        "1:16M;0:8M | reserved 16 MiB on node 1",
        "0:8M,5:16M | invalid node 5 specified / reserved 8 MiB on node 0",
        "5:16M | invalid node 5 specified",
        "0:8M,1:3M | cma area of node 1 must be a multiple of 8 MiB / reserved 8 MiB on node 0",
        "0:8M,2000:8M | reserved 8 MiB on node 0",
        "0:8M,1024:8M | reserved 8 MiB on node 0",
        "0:,1:8M | reserved 8 MiB on node 1",
        "10% | reserve 48 MiB (10%), up to 24 MiB per node / reserved 24 MiB on node 0 / reserved"
            + " 24 MiB on node 1",
        "1% | reservation size rounded down to 0 from 5 MiB (1%)",
        "101% | invalid percentage 101",
        "1:10% | reserved 24 MiB (10%) on node 1",
        "0:2% | reservation size rounded down to 0 from 5 MiB (2%) on node 0",
        "0:2%,1:8M | reservation size rounded down to 0 from 5 MiB (2%) on node 0 / reserved 8 MiB"
            + " on node 1",
        "1:8M,0:101% | invalid percentage 101 for node 0 / reserved 8 MiB on node 1",
        "0:8M,16M | ''",
        "1:8M,16M | cma area must be a multiple of 8 MiB",
        "1:10%,16M | cma area must be a multiple of 8 MiB",
        "100% | reserve 512 MiB (100%), up to 256 MiB per node / reservation failed: err -12, node 0 /"
            + " reserved 256 MiB on node 1",
        "1:100% | reserved 256 MiB (100%) on node 1",
        "0:100% | reservation failed: err -12, node 0",
        "1:0%,0:8M | reserved 8 MiB on node 0",
        "0:10%,0:8M | reserved 8 MiB on node 0",
        "0:8M,0:10% | reserved 24 MiB (10%) on node 0",
        "'  8M' | ''",
        "0: 8M | ''",
        "x | ''",
        "0 | ''",
        "1:0 | ''",
      })
  void cmdlineParseHugetlbCma_words_areReadAsTheKernelDoes(String words, String expected) {
    PoolMachine pool = machine("hugetlb_cma=" + words).boot();
    assertEquals(expected, said(pool));
    assertBalanced(pool);
  }

  /**
   * Half of node 1's memory is 8 KiB less than eight gigantic pages; node 0 has 16 KiB more. Expect
   * seven: the memory of that node counts, and is rounded down.
   */
  @Test
  void cmdlineParseHugetlbCma_percentOfANode_isOfItsOwnMemory() {
    PoolMachine pool =
        of(
                new PoolMachine.Ram(0, 128 * MIB - 0x4000, 1),
                new PoolMachine.Ram(128 * MIB, 256 * MIB, 0))
            .cmdline("hugetlb_cma=1:50%")
            .boot();
    assertEquals("reserved 56 MiB (50%) on node 1", said(pool));
  }

  /** The parameter twice. Expect that the last word about all nodes wins, nodes only add. */
  @Test
  void cmdlineParseHugetlbCma_twice_lastOneWins() {
    assertEquals(
        "reserved 8 MiB on node 1", said(machine("hugetlb_cma=64M", "hugetlb_cma=1:8M").boot()));
    assertEquals(
        "reserve 8 MiB, up to 8 MiB per node / reserved 8 MiB on node 0",
        said(machine("hugetlb_cma=1:64M", "hugetlb_cma=8M").boot()));
    assertEquals(
        "reserved 8 MiB on node 0 / reserved 16 MiB on node 1",
        said(machine("hugetlb_cma=0:8M", "hugetlb_cma=1:16M").boot()));
  }

  /** No value, not even an empty one. Expect the kernel to follow the null pointer. */
  @Test
  void cmdlineParseHugetlbCma_noValue_crashesTheKernel() {
    PoolMachine pool = machine();
    KernelPanic oops =
        assertThrows(KernelPanic.class, () -> pool.system.earlyParam("hugetlb_cma", null));
    assertTrue(
        String.valueOf(oops.getMessage()).contains("NULL pointer dereference"), oops::toString);
    assertEquals(0, pool.system.earlyParam("hugetlb_cma", ""));
  }

  /** hugetlb_cma_only with and without sense. Expect -EINVAL for no boolean, and no effect. */
  @Test
  void cmdlineParseHugetlbCmaOnly_noBoolean_isInvalid() {
    PoolMachine pool = machine();
    assertEquals(-Errno.EINVAL, pool.system.earlyParam("hugetlb_cma_only", null));
    assertEquals(-Errno.EINVAL, pool.system.earlyParam("hugetlb_cma_only", "maybe"));
    assertFalse(pool.areas.hugetlbCmaExclusiveAlloc());
    assertEquals(0, pool.system.earlyParam("hugetlb_cma_only", "on"));
    assertTrue(pool.areas.hugetlbCmaExclusiveAlloc());
    // Without areas there is nothing to be exclusive about.
    pool.boot();
    assertFalse(pool.areas.hugetlbCmaExclusiveAlloc());
  }

  // ---------------------------------------------------------------- reservation that fails

  /**
   * An architecture that wants no areas. Expect a line; and, as the kernel does not forget the size,
   * that no gigantic page is allocated at boot although no area could give one.
   */
  @ParameterizedTest
  @ValueSource(strings = {"16M", "0:16M"})
  void hugetlbCmaReserve_archWithoutOrder_keepsTheSize(String words) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.of(PoolMachine.SIZE_2M, SIZE_8M),
                new PoolMachine.Ram(0, 256 * MIB, 0))
            .cmdline("hugetlb_cma=" + words, "hugepagesz=8M", "hugepages=2")
            .boot();
    assertEquals("the option isn't supported by current arch", said(pool));
    assertEquals(16 * MIB, pool.areas.hugetlbCmaTotalSize());
    assertEquals(0, h8m(pool).nrHugePages);
    assertTrue(
        pool.log().contains("HugeTLB: hugetlb_cma is enabled, skip boot time allocation"));
  }

  /** The same with hugetlb_cma_only. Expect that no gigantic page can be had, ever. */
  @Test
  void hugetlbCmaReserve_archWithoutOrderAndOnly_leavesNoGiganticPages() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.of(PoolMachine.SIZE_2M, SIZE_8M),
                new PoolMachine.Ram(0, 256 * MIB, 0))
            .cmdline("hugetlb_cma=16M", ONLY, "hugepagesz=8M", "hugepages=2")
            .boot();
    assertEquals(0, h8m(pool).nrHugePages);
    assertEquals(0, setPool(pool, 2));
    assertEquals(0, h8m(pool).nrHugePages);
  }

  /**
   * memblock fails on one node, or on both; each area makes one attempt, and then asks for ranges
   * above 4 GiB, of which there are none.
   *
   * <p>Expect the other node's area, or none and the size forgotten: boot pages come from memblock.
   */
  @Test
  void hugetlbCmaReserve_memblockFails_goesOnWithTheOtherNode() {
    PoolMachine one = machine("hugetlb_cma=32M");
    one.failNth(1, "memblock_alloc_range_nid");
    one.boot();
    assertEquals(
        "reserve 32 MiB, up to 16 MiB per node / reservation failed: err -12, node 0 / reserved 16"
            + " MiB on node 1",
        said(one));
    assertBalanced(one);

    PoolMachine none = machine("hugetlb_cma=32M", ONLY, "hugepagesz=8M", "hugepages=2");
    int[] asked = {0};
    none.machine.faults().failFrom(1, s -> s.equals("memblock_alloc_range_nid") && asked[0]++ < 2);
    none.boot();
    assertEquals(
        "reserve 32 MiB, up to 16 MiB per node / reservation failed: err -12, node 0 / reservation"
            + " failed: err -12, node 1",
        said(none));
    assertEquals(0, none.areas.hugetlbCmaTotalSize());
    assertFalse(none.areas.hugetlbCmaExclusiveAlloc());
    assertEquals(2, h8m(none).nrHugePages);
    assertBalanced(none);
  }

  /**
   * The movable zone begins inside of node 0's area, which lies at the end of the node.
   *
   * <pre>
   *   0                    192M    220M   256M
   *   |                    |  area  :      |     node 0; the same on node 1
   * </pre>
   *
   * Expect that this is found out when it is reserved, since patch 14, and no area to be left.
   */
  @Test
  void hugetlbCmaReserve_areaInTwoZones_isRefused() {
    PoolMachine pool = machine("hugetlb_cma=128M");
    pool.mmInit.cmdlineParseKernelcore("440M");
    pool.boot();
    assertEquals(
        "reserve 128 MiB, up to 64 MiB per node / reserved area spans zones: err 0, node 0 / reserved"
            + " area spans zones: err 0, node 1",
        said(pool));
    assertEquals(0, pool.areas.hugetlbCmaTotalSize());
    assertNull(pool.areas.hugetlbCmaAllocFrozenFolio(ORDER_8M, Gfp.HIGHUSER, 0, null));
  }

  /**
   * The same before patch 14, with a boot page from each area. Expect the areas to be kept; that one
   * lies in two zones is found out when its page gets to the pool, and the page is not used.
   */
  @Test
  void cmaValidateZones_areaInTwoZonesBeforePatch14_discardsItsPages() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().withSeries(Series.at(13)),
                HugetlbArch.withCma(ORDER_8M, PoolMachine.SIZE_2M, SIZE_8M),
                new PoolMachine.Ram(0, 256 * MIB, 0),
                new PoolMachine.Ram(256 * MIB, 512 * MIB, 1))
            .cmdline("hugetlb_cma=0:64M,1:8M", ONLY, "hugepagesz=8M", "hugepages=2");
    pool.mmInit.cmdlineParseKernelcore("440M");
    pool.boot();
    assertEquals("reserved 64 MiB on node 0 / reserved 8 MiB on node 1", said(pool));
    assertEquals(1, h8m(pool).nrHugePages);
    assertEquals(1, h8m(pool).nrHugePagesNode[1]);
    assertEquals(1, h8m(pool).maxHugePages);
    assertTrue(
        pool.log().contains("HugeTLB: 8.00 MiB page size: 1 invalid page discarded"));
    var bad = pool.cma.areas().get(0).ranges().getFirst();
    var good = pool.cma.areas().get(1).ranges().getFirst();
    assertFalse(pool.areas.cmaValidateZones(pool.mm.model().va(bad.basePfn() * 4096)));
    assertFalse(pool.areas.cmaValidateZones(pool.mm.model().va((bad.endPfn() - 1) * 4096)));
    assertTrue(pool.areas.cmaValidateZones(pool.mm.model().va(good.basePfn() * 4096)));
    assertTrue(pool.areas.cmaValidateZones(pool.mm.model().va(bad.endPfn() * 4096)));
    assertTrue(pool.areas.cmaValidateZones(pool.mm.model().va((bad.basePfn() - 1) * 4096)));
  }

  /** Areas for pages that the page allocator has itself. Expect a warning, and the areas. */
  @Test
  void hugetlbCmaReserve_orderNotGigantic_warns() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.withCma(10, PoolMachine.SIZE_2M, SIZE_8M),
                new PoolMachine.Ram(0, 256 * MIB, 0))
            .cmdline("hugetlb_cma=8M")
            .boot();
    assertEquals(List.of("hugetlb_cma_reserve: order <= MAX_PAGE_ORDER"), pool.warnings());
    assertEquals("reserve 8 MiB, up to 8 MiB per node / reserved 8 MiB on node 0", said(pool));
  }

  /** Three nodes share 20 MiB plus: the first two get 8 MiB each and the third the rest. */
  @Test
  void hugetlbCmaReserve_moreNodesThanPages_leavesTheLastOut() {
    PoolMachine pool = threeNodes("hugetlb_cma=16M");
    assertEquals(
        "reserve 16 MiB, up to 8 MiB per node / reserved 8 MiB on node 0 / reserved 8 MiB on node 1",
        said(pool));
  }

  /** Boot pages of a firmware list instead. Expect the areas not to serve boot. */
  @Test
  void hugetlbEarlyCma_archWithFirmwareList_isNever() {
    HugetlbArch sizes = HugetlbArch.withCma(ORDER_8M, PoolMachine.SIZE_2M, SIZE_8M);
    PoolMachine pool = machine("hugetlb_cma=16M", ONLY).boot();
    assertTrue(pool.areas.hugetlbEarlyCma(h8m(pool)));
    assertFalse(pool.areas.hugetlbEarlyCma(pool.h2m()));
    HugetlbArch firmware =
        new HugetlbArch() {
          @Override
          public long hpageSize() {
            return sizes.hpageSize();
          }

          @Override
          public boolean archHugetlbValidSize(long size) {
            return sizes.archHugetlbValidSize(size);
          }

          @Override
          public List<Long> initcallSizes() {
            return sizes.initcallSizes();
          }

          @Override
          public boolean archHugetlbMigrationSupported(long size) {
            return true;
          }

          @Override
          public boolean archHasHugeBootmemAlloc() {
            return true;
          }
        };
    HugetlbCmaAreas other = new HugetlbCmaAreas(pool.mm, pool.memblock, pool.cma, firmware);
    assertEquals(0, other.earlyParam("hugetlb_cma_only", "1"));
    assertFalse(other.hugetlbEarlyCma(h8m(pool)));
  }

  /** Names of others, and hugetlb_cma_only off again. Expect null, and the last word to count. */
  @Test
  void earlyParam_names_onlyItsOwn() {
    PoolMachine pool = machine();
    assertNull(pool.areas.earlyParam("hugetlb", "1"));
    assertEquals(0, pool.areas.earlyParam("hugetlb_cma_only", "1"));
    assertEquals(0, pool.areas.earlyParam("hugetlb_cma_only", "off"));
    assertFalse(pool.areas.hugetlbCmaExclusiveAlloc());
    assertEquals(0, pool.areas.earlyParam("hugetlb_cma_only", "1"));
    assertEquals(-Errno.EINVAL, pool.areas.earlyParam("hugetlb_cma_only", "x"));
    assertTrue(pool.areas.hugetlbCmaExclusiveAlloc());
  }

  /** A page goes back to an area that it is not from. Expect a warning. */
  @Test
  void hugetlbCmaFreeFrozenFolio_otherArea_warns() {
    PoolMachine pool = machine("hugetlb_cma=0:8M,1:8M").boot();
    Folio folio = pool.freshFolio();
    pool.areas.hugetlbCmaFreeFrozenFolio(folio);
    assertEquals(
        List.of("hugetlb_cma_free_frozen_folio: !cma_release_frozen(...)"), pool.warnings());
  }

  // ---------------------------------------------------------------- run time

  /** A pool that grows and shrinks. Expect pages from both areas, marked, and all of it back. */
  @Test
  void hugetlbCmaAllocFrozenFolio_poolGrows_takesFromTheAreas() {
    PoolMachine pool = machine("hugetlb_cma=32M", ONLY, "hugetlb_free_vmemmap=on").boot();
    assertEquals(0, setPool(pool, 8));
    assertEquals(4, h8m(pool).nrHugePages);
    assertEquals(2, h8m(pool).nrHugePagesNode[0]);
    for (long pfn : pool.freePfns(h8m(pool), 1)) {
      assertTrue(pool.system.folios().test(pool.folio(pfn), HugetlbPageFlag.HPG_CMA));
      assertTrue(pool.optimized(pool.folio(pfn)));
    }
    assertEquals(0, pool.pageAlloc.nrFreeCmaPages(normal(pool, 0)));
    assertBalanced(pool);

    assertEquals(0, setPool(pool, 0));
    assertEquals(2 * PAGES_8M, pool.pageAlloc.nrFreeCmaPages(normal(pool, 0)));
    assertEquals(2 * PAGES_8M, normal(pool, 0).cmaPages);
    assertEquals(0, pool.cma.bitsInUse(pool.cma.areas().getFirst()));
    assertEquals(List.of(), pool.warnings());
    assertBalanced(pool);
  }

  /** Node 0's area is used up. Expect node 1's only if the caller lets it. */
  @Test
  void hugetlbCmaAllocFrozenFolio_nodeUsedUp_goesToOthersUnlessThisNode() {
    PoolMachine pool = machine("hugetlb_cma=0:8M,1:16M").boot();
    Gfp gfp = Gfp.HIGHUSER_MOVABLE;
    Folio first =
        Objects.requireNonNull(pool.areas.hugetlbCmaAllocFrozenFolio(ORDER_8M, gfp, 0, null));
    assertEquals(0, pool.mm.inline().folioNid(first));
    assertNull(
        pool.areas.hugetlbCmaAllocFrozenFolio(ORDER_8M, gfp.or(Gfp.THISNODE), 0, null));
    assertNull(
        pool.areas.hugetlbCmaAllocFrozenFolio(ORDER_8M, gfp, 0, java.util.Set.of(0)));
    Folio other =
        Objects.requireNonNull(pool.areas.hugetlbCmaAllocFrozenFolio(ORDER_8M, gfp, 0, null));
    assertEquals(1, pool.mm.inline().folioNid(other));
    pool.areas.hugetlbCmaFreeFrozenFolio(first);
    pool.areas.hugetlbCmaFreeFrozenFolio(other);
    assertEquals(List.of(), pool.warnings());
    assertBalanced(pool);
  }

  /** Node 0 has no area, the two others have. Expect a page of the first of them, and no other taken. */
  @Test
  void hugetlbCmaAllocFrozenFolio_twoOtherNodes_takesOnePage() {
    PoolMachine pool = threeNodes("hugetlb_cma=1:8M,2:8M");
    Folio folio =
        Objects.requireNonNull(
            pool.areas.hugetlbCmaAllocFrozenFolio(ORDER_8M, Gfp.HIGHUSER_MOVABLE, 0, null));
    assertEquals(1, pool.mm.inline().folioNid(folio));
    assertEquals(
        List.of(0L, PAGES_8M), pool.cma.areas().stream().map(CmaArea::availableCount).toList());
  }

  /** Areas, but not exclusively: they are used up. Expect the next page from elsewhere. */
  @Test
  void allocGiganticFrozenFolio_areasUsedUp_fallsBackToContig() {
    PoolMachine pool = machine("hugetlb_cma=16M").boot();
    assertEquals(0, setPool(pool, 3));
    assertEquals(3, h8m(pool).nrHugePages);
    long cma =
        pool.freePfns(h8m(pool), 0).stream()
            .filter(pfn -> pool.system.folios().test(pool.folio(pfn), HugetlbPageFlag.HPG_CMA))
            .count();
    assertEquals(1, cma);
    assertEquals(0, setPool(pool, 0));
    assertBalanced(pool);
  }

  /** A page of an area is demoted, and the small pages freed. Expect them in the area again. */
  @Test
  void demote_pageOfAnArea_goesBackInParts() {
    PoolMachine pool = machine("hugetlb_cma=0:16M", ONLY).boot();
    assertEquals(0, setPool(pool, 1));
    assertEquals(
        0, pool.system.sysfs().write(NR_8M.replace("nr_hugepages", "demote"), "1"));
    assertEquals(4, pool.h2m().nrHugePages);
    assertEquals(4, pool.cma.bitsInUse(pool.cma.areas().getFirst()));
    assertEquals(0, pool.setPool(1));
    assertEquals(1, pool.cma.bitsInUse(pool.cma.areas().getFirst()));
    assertEquals(0, pool.setPool(0));
    assertEquals(4 * PAGES_8M / 2, pool.pageAlloc.nrFreeCmaPages(normal(pool, 0)));
    assertEquals(List.of(), pool.warnings());
    assertBalanced(pool);
  }

  /**
   * A page of an area cannot be restored while memory is short, and goes back into the pool without
   * its mark; later it is freed.
   *
   * <p>Expect its memory free, but the area's bits set for ever: the area can give one page only.
   */
  @Test
  void addHugetlbFolio_pageOfAnArea_isLostToTheArea() {
    PoolMachine pool = machine("hugetlb_cma=0:16M", ONLY, "hugetlb_free_vmemmap=on").boot();
    assertEquals(0, setPool(pool, 1));
    pool.failFrom(1, "alloc_vmemmap_page_list");
    setPool(pool, 0);
    pool.machine.faults().disarm();
    assertEquals(1, h8m(pool).surplusHugePages);
    // The surplus page has to become an ordinary one before a write can free it.
    assertEquals(0, setPool(pool, 1));
    assertEquals(0, setPool(pool, 0));
    assertEquals(0, h8m(pool).nrHugePages);
    assertEquals(2 * PAGES_8M, pool.pageAlloc.nrFreeCmaPages(normal(pool, 0)));
    assertEquals(4, pool.cma.bitsInUse(pool.cma.areas().getFirst()));
    assertEquals(0, setPool(pool, 2));
    assertEquals(1, h8m(pool).nrHugePages);
    assertEquals(List.of(), pool.warnings());
  }

  // ---------------------------------------------------------------- boot pages

  /** Two boot pages for a node whose area has room for one. Expect one: the node was named. */
  @Test
  void hugetlbCmaAllocBootmem_nodeNamed_doesNotGoElsewhere() {
    PoolMachine pool =
        machine("hugetlb_cma=0:8M,1:8M", ONLY, "hugepagesz=8M", "hugepages=0:2").boot();
    assertEquals(1, h8m(pool).nrHugePages);
    assertEquals(1, h8m(pool).nrHugePagesNode[0]);
    assertEquals(PAGES_8M, normal(pool, 0).cmaPages);
    assertEquals(0, pool.pageAlloc.nrFreeCmaPages(normal(pool, 0)));
    assertBalanced(pool);
  }

  /**
   * Three boot pages round the nodes; node 0 has no area. Expect node 1's until it is used up, and
   * that the pages can leave the pool and come back.
   */
  @Test
  void hugetlbCmaAllocBootmem_roundTheNodes_fallsBackToTheOther() {
    PoolMachine pool =
        machine("hugetlb_cma=1:16M", ONLY, "hugepagesz=8M", "hugepages=3").boot();
    assertEquals(2, h8m(pool).nrHugePages);
    assertEquals(2, h8m(pool).nrHugePagesNode[1]);
    assertBalanced(pool);
    assertEquals(0, setPool(pool, 0));
    assertEquals(2 * PAGES_8M, pool.pageAlloc.nrFreeCmaPages(normal(pool, 1)));
    assertEquals(0, setPool(pool, 1));
    assertEquals(1, h8m(pool).nrHugePages);
    assertEquals(List.of(), pool.warnings());
    assertBalanced(pool);
  }

  /**
   * Activation fails on node 0, on node 1, or on both, after each area gave a boot page. The kernel
   * keeps the pointer to the dead area.
   *
   * <pre>
   *   | boot page | rest: plain memory |
   * </pre>
   *
   * Expect the pages in the pool, and, when they are freed, one warning and the memory of those of
   * dead areas lost: cma_release_frozen() knows no range of an area with a count of 0.
   */
  @ParameterizedTest
  @CsvSource({"1,false,1", "2,false,1", "1,true,2", "2,true,1"})
  void cmaActivateArea_fails_leaksBootPagesWhenTheyAreFreed(long n, boolean from, long dead) {
    PoolMachine pool =
        machine("hugetlb_cma=0:16M,1:16M", ONLY, "hugepagesz=8M", "hugepages=2");
    if (from) {
      pool.failFrom(n, "cma_activate_area");
    } else {
      pool.failNth(n, "cma_activate_area");
    }
    pool.boot();
    pool.machine.faults().disarm();
    assertEquals(2, h8m(pool).nrHugePages);
    assertEquals((2 - dead) * 2 * PAGES_8M, pool.pageAlloc.totalcmaPages());
    assertBalanced(pool);

    assertEquals(0, setPool(pool, 0));
    assertEquals(
        List.of("hugetlb_cma_free_frozen_folio: !cma_release_frozen(...)"), pool.warnings());
    assertEquals(dead * PAGES_8M, pool.owned(Owner.HUGEPAGE));
    assertBalanced(pool);
    // The areas that live go on.
    assertEquals(0, setPool(pool, 9));
    assertEquals((2 - dead) * 2, h8m(pool).nrHugePages);
  }

  /** No boot pages, and activation fails everywhere. Expect no page for the pool, and no warning. */
  @Test
  void cmaActivateArea_failsEverywhere_leavesAnExclusivePoolEmpty() {
    PoolMachine pool = machine("hugetlb_cma=32M", ONLY);
    pool.failFrom(1, "cma_activate_area");
    pool.boot();
    pool.machine.faults().disarm();
    assertEquals(32 * MIB, pool.areas.hugetlbCmaTotalSize());
    assertEquals(0, setPool(pool, 1));
    assertEquals(0, h8m(pool).nrHugePages);
    assertEquals(0, pool.pageAlloc.nrFreeCmaPages(normal(pool, 0)));
    assertEquals(List.of(), pool.warnings());
    assertBalanced(pool);
  }

  /**
   * Free 2 MiB hugepages fill all memory, the area too: they are movable, so it was lent to them.
   *
   * <pre>
   *   | 2M | 2M | 2M | 2M |   area of 8 MiB
   * </pre>
   *
   * Expect -ENOMEM, as there is no page to replace them with, and no second try.
   */
  @Test
  void cmaRangeAlloc_noReplacementForSmallHugepages_givesUp() {
    PoolMachine pool = lentToSmallHugepages();
    CmaArea area = pool.cma.areas().getFirst();
    assertNull(pool.cma.cmaAllocFrozen(area, PAGES_8M, ORDER_8M, false));
    assertTrue(
        pool.log().contains(
            "cma: __cma_alloc_frozen: hugetlb0: alloc failed, req-size: 2048 pages, ret: -12"));
    assertEquals(0, pool.cma.bitsInUse(area));
    assertBalanced(pool);
  }

  /**
   * There is memory for replacements, but the old pages' memmap cannot be restored, once or ever.
   *
   * <p>Expect no gigantic page while that lasts, all accounts right, and the page afterwards.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void cmaRangeAlloc_smallHugepageCannotBeRestored_isBusy(boolean from) {
    PoolMachine pool = lentToSmallHugepages();
    assertEquals(0, pool.setPool(pool.h2m().nrHugePages - 8));
    if (from) {
      pool.failFrom(1, "alloc_vmemmap_page_list");
    } else {
      pool.failNth(1, "alloc_vmemmap_page_list");
    }
    assertEquals(0, setPool(pool, 1));
    assertTrue(pool.machine.faults().failed() > 0);
    pool.machine.faults().disarm();
    assertEquals(0, h8m(pool).nrHugePages);
    assertEquals(0, pool.cma.bitsInUse(pool.cma.areas().getFirst()));
    assertBalanced(pool);
  }

  private static PoolMachine lentToSmallHugepages() {
    PoolMachine pool = machine("hugetlb_cma=0:8M", ONLY, "hugetlb_free_vmemmap=on").boot();
    pool.setPool(1_000);
    var range = pool.cma.areas().getFirst().ranges().getFirst();
    assertTrue(
        pool.freePfns(0).stream().anyMatch(p -> range.basePfn() <= p && p < range.endPfn()));
    return pool;
  }
}
