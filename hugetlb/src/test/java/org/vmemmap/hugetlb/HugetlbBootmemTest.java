// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mockito.ArgumentMatchers.anyInt;
import static org.mockito.ArgumentMatchers.anyLong;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.when;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Series;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;

/** The pools at boot: gigantic pages from memblock, the others from the page allocator. */
final class HugetlbBootmemTest {
  private static final long GIB = PoolMachine.GIB;
  private static final long SIZE = 128 * PoolMachine.MIB;
  private static final long PAGES = 32768;
  private static final String NR_128M =
      "/sys/kernel/mm/hugepages/hugepages-131072kB/nr_hugepages";

  /** Gigantic pages as large as a section, so that a machine can be small. */
  private static HugetlbArch sizes() {
    return HugetlbArch.of(PoolMachine.SIZE_2M, SIZE);
  }

  private static PoolMachine large() {
    return new PoolMachine(
        PoolMachine.config(), sizes(), new PoolMachine.Ram(0, 4 * SIZE, 0));
  }

  private static PoolMachine twoLargeNodes() {
    return new PoolMachine(
        PoolMachine.config(),
        sizes(),
        new PoolMachine.Ram(0, 3 * SIZE, 0),
        new PoolMachine.Ram(3 * SIZE, 5 * SIZE, 1));
  }

  private static List<String> hugetlbLog(PoolMachine pool) {
    return pool.log().stream().filter(line -> line.startsWith("HugeTLB: ")).toList();
  }

  // ---------------------------------------------------------------- gigantic

  /**
   * Two pages of 128 MiB of four, not optimised. Expect them in the pool with tails of their own, and
   * their blocks movable; also where nobody has initialised their memory yet, as it is deferred.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void boot_giganticPages_areInThePool(boolean deferred) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().withDeferredStructPageInit(deferred),
                sizes(),
                new PoolMachine.Ram(0, 4 * SIZE, 0))
            .cmdline("hugepagesz=128M", "hugepages=2")
            .boot();
    Hstate h = pool.hstate(SIZE);
    assertEquals(2, h.freeHugePages);
    assertEquals(2 * PAGES, pool.owned(Owner.HUGEPAGE));
    Folio folio = pool.folio(pool.freePfns(h, 0).get(0));
    assertEquals(0x8, pool.mm.struct().priv(folio.page()));
    assertEquals(15, pool.mm.inline().folioOrder(folio));
    Page last = pool.mm.flags().folioPage(folio, PAGES - 1);
    assertEquals(folio.page(), pool.mm.flags().compoundHead(last));
    assertEquals(0, pool.mm.struct().refcount(last));
    assertEquals(last.va() + 8, pool.mm.struct().word(last, 16));
    assertEquals(
        Migratetype.MIGRATE_MOVABLE,
        pool.pageAlloc.getPfnblockMigratetype(last, pool.mm.model().pageToPfn(last)));
    assertEquals(List.of(), pool.warnings());
  }

  /** Two of 1 GiB, optimised. Expect 4095 shared pages of memmap for each. */
  @Test
  void boot_giganticPagesOptimized_share4095Pages() {
    PoolMachine pool =
        PoolMachine.large()
            .cmdline("hugetlb_free_vmemmap=on", "hugepagesz=1G", "hugepages=2")
            .boot();
    Hstate h = pool.hstate(GIB);
    Folio folio = pool.folio(pool.freePfns(h, 0).get(1));
    assertTrue(pool.optimized(folio));
    assertEquals(4095, pool.readOnlyPages(folio, h));
    assertEquals(2, new HashSet<>(pool.frames(folio, h)).size());
    assertEquals(4 * 4096 - 2 * 4095, pool.mm.vmstat().nrMemmapBootPages());
    assertEquals(1, pool.owned(Owner.SHARED_TAIL));
    Page last = pool.mm.flags().folioPage(folio, 8 * PAGES - 1);
    assertEquals(folio.page(), pool.mm.flags().compoundHead(last));
  }

  /**
   * An optimised boot page is freed again. Expect 511 frames made at run time, and the memory with
   * the page allocator.
   */
  @Test
  void shrink_bootPage_isRestoredAndFreed() {
    PoolMachine pool = bootPageOptimized(false);
    assertEquals(0, pool.system.sysfs().write(NR_128M, "0"));
    assertEquals("0", pool.system.sysfs().read(NR_128M));
    assertEquals(511, pool.mm.vmstat().nrMemmapPages());
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
    assertEquals(0, pool.pageAlloc.badPageReports());
  }

  /**
   * The same in a kernel that checks pages. Initialisation has left one reference in the shared
   * tail, as captured kernels show; so every restored tail has it. Expect bad pages, and the
   * memory lost.
   */
  @Test
  void shrink_bootPageWithChecks_findsTheStrayReference() {
    PoolMachine pool = bootPageOptimized(true);
    Folio folio = pool.folio(pool.freePfns(pool.hstate(SIZE), 0).get(0));
    assertEquals(1, pool.mm.struct().refcount(pool.mm.flags().folioPage(folio, 100)));
    assertEquals(0, pool.system.sysfs().write(NR_128M, "0"));
    assertTrue(pool.pageAlloc.badPageReports() > 0);
    assertEquals(PAGES, pool.owned(Owner.HUGEPAGE));
  }

  /** init_on_alloc, which is on by default, brings the checks with it. */
  private static PoolMachine bootPageOptimized(boolean checks) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().withDebugVm(false),
                sizes(),
                new PoolMachine.Ram(0, 4 * SIZE, 0))
            .cmdline("hugetlb_free_vmemmap=on", "hugepagesz=128M", "hugepages=1");
    pool.mmInit.earlyInitOnAlloc(checks ? "1" : "0");
    return pool.boot();
  }

  /** A gigantic page at run time. Expect a contiguous block, optimised as at boot. */
  @Test
  void setPool_giganticAtRunTime_isFoundAndOptimized() {
    PoolMachine pool = large().cmdline("hugetlb_free_vmemmap=on").boot();
    Hstate h = pool.hstate(SIZE);
    assertEquals(
        0, pool.system.resize().nrHugepagesStoreCommon0(h, PoolMachine.NO_NODE, 1));
    assertEquals(1, h.nrHugePages);
    Folio folio = pool.folio(pool.freePfns(h, 0).get(0));
    assertEquals(511, pool.readOnlyPages(folio, h));
    assertEquals(0, pool.mm.refs().folioRefCount(folio));
    assertEquals(List.of(), pool.warnings());
  }

  /** Nine pages of a machine that has room for four. Expect three and the kernel's message. */
  @Test
  void boot_moreGiganticPagesThanMemory_saysSo() {
    PoolMachine pool = large().cmdline("hugepagesz=128M", "hugepages=9").boot();
    assertEquals(3, pool.hstate(SIZE).nrHugePages);
    assertTrue(
        hugetlbLog(pool)
            .contains(
                "HugeTLB: allocating 9 of page size 128 MiB failed.  Only allocated 3"
                    + " hugepages."));
  }

  /** Two pages without a node on two nodes. Expect one on each. */
  @Test
  void boot_twoNodes_goesRound() {
    PoolMachine pool = twoLargeNodes().cmdline("hugepagesz=128M", "hugepages=2").boot();
    assertEquals(1, pool.hstate(SIZE).nrHugePagesNode[0]);
    assertEquals(1, pool.hstate(SIZE).nrHugePagesNode[1]);
  }

  /** Five pages on node 1, which has two. Expect two, none elsewhere, and the node's message. */
  @Test
  void boot_nodeHasTooFew_saysSo() {
    PoolMachine pool = twoLargeNodes().cmdline("hugepagesz=128M", "hugepages=1:5").boot();
    Hstate h = pool.hstate(SIZE);
    long got = h.nrHugePagesNode[1];
    assertEquals(0, h.nrHugePagesNode[0]);
    assertTrue(got == 1 || got == 2, "got=" + got);
    assertEquals(got, h.maxHugePages);
    assertTrue(
        hugetlbLog(pool)
            .contains(
                "HugeTLB: allocating 5 of page size 128 MiB failed node1.  Only allocated "
                    + got + " hugepages."));
  }

  /**
   * The movable zone starts in the middle of the third quarter.
   *
   * <pre>
   *   0         128M       256M  320M     384M       512M
   *   | image   |  page    |  x  |   x    |   page   |     x: in two zones, given back
   * </pre>
   *
   * Expect two pages of three, and both messages.
   */
  @Test
  void boot_pageInTwoZones_isGivenBack() {
    PoolMachine pool = large().cmdline("hugepagesz=128M", "hugepages=3");
    pool.mmInit.cmdlineParseKernelcore("320M");
    pool.boot();
    assertEquals(2, pool.hstate(SIZE).nrHugePages);
    assertEquals(
        List.of(
            "HugeTLB: freed 1 cross-zone hugepages of size 128 MiB on node 0.",
            "HugeTLB: allocating 3 of page size 128 MiB failed.  Only allocated 2 hugepages."),
        hugetlbLog(pool).subList(0, 2));
  }

  /** No memory for the second page. Expect one page, and the message. */
  @Test
  void boot_secondAllocationFails_keepsTheFirst() {
    PoolMachine pool = large().cmdline("hugepagesz=128M", "hugepages=2");
    pool.failFrom(2, "memblock_alloc_hugetlb");
    pool.boot();
    assertEquals(1, pool.hstate(SIZE).nrHugePages);
  }

  /**
   * Struct pages of 80 bytes: a tail holds a pointer. Expect the last tail to lead to its head, also
   * where nobody has initialised it before.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void boot_structPageNoPowerOfTwo_initsTailsOneByOne(boolean deferred) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config()
                    .withSizeofStructPage(80)
                    .withDeferredStructPageInit(deferred),
                sizes(),
                new PoolMachine.Ram(0, 3 * SIZE, 0))
            .cmdline("hugepagesz=128M", "hugepages=1")
            .boot();
    Folio folio = pool.folio(pool.freePfns(pool.hstate(SIZE), 0).get(0));
    Page last = pool.mm.flags().folioPage(folio, PAGES - 1);
    assertEquals(folio.va() + 1, pool.mm.struct().word(last, StructPage.COMPOUND_INFO));
    assertEquals(0, pool.mm.struct().refcount(last));
    assertEquals(
        pool.mm.inline().folioZone(folio), pool.mm.inline().folioZone(new Folio(last)));
    assertEquals(folio.page(), pool.mm.flags().compoundHead(last));
  }

  /** CMA areas exist, but not for boot pages. Expect no boot page and one message. */
  @Test
  void boot_cmaEnabled_skipsGiganticPages() {
    PoolMachine pool = large();
    HugetlbCma cma =
        new HugetlbCma() {
          @Override
          public long hugetlbCmaTotalSize() {
            return SIZE;
          }
        };
    HugetlbSystem system = system(pool, pool.mmInit, cma);
    system.earlyParam("hugepagesz", "128M");
    system.earlyParam("hugepages", "1");
    system.bootmem().hugetlbBootmemAlloc();
    assertEquals(
        List.of("HugeTLB: hugetlb_cma is enabled, skip boot time allocation"), hugetlbLog(pool));
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  private static HugetlbSystem system(PoolMachine pool, MmInit mmInit, HugetlbCma cma) {
    return new HugetlbSystem(
        pool.mm,
        pool.memblock,
        pool.pageAlloc,
        pool.sparseVmemmap,
        pool.sparse,
        mmInit,
        sizes(),
        cma);
  }

  // ---------------------------------------------------------------- smaller pages

  /** Seven pages of 2 MiB. Expect them, and the lines of a boot. */
  @Test
  void boot_pagesOf2M_areAllocatedAndReported() {
    PoolMachine pool =
        PoolMachine.small().cmdline("hugetlb_free_vmemmap=on", "hugepages=7").boot();
    assertEquals(7, pool.h2m().freeHugePages);
    assertTrue(pool.optimized(pool.folio(pool.freePfns(0).get(0))));
    assertEquals(
        List.of(
            "HugeTLB: allocation took 0ms with hugepage_allocation_threads=1",
            "HugeTLB: registered 1.00 GiB page size, pre-allocated 0 pages",
            "HugeTLB: 16380 KiB vmemmap can be freed for a 1.00 GiB page",
            "HugeTLB: registered 2.00 MiB page size, pre-allocated 7 pages",
            "HugeTLB: 28 KiB vmemmap can be freed for a 2.00 MiB page"),
        hugetlbLog(pool));
    assertEquals(9, pool.hstate(GIB).demoteOrder);
  }

  /** More pages of 2 MiB than there is memory. Expect the message with what there was. */
  @Test
  void boot_more2MPagesThanMemory_saysSo() {
    PoolMachine pool = PoolMachine.small().cmdline("hugepages=1000").boot();
    long got = pool.h2m().nrHugePages;
    assertTrue(
        hugetlbLog(pool)
            .contains(
                "HugeTLB: allocating 1000 of page size 2.00 MiB failed.  Only allocated " + got
                    + " hugepages."));
    assertEquals(got, pool.h2m().maxHugePages);
  }

  /** A number for the default size twice, once with its name. Expect the nameless to win. */
  @Test
  void boot_defaultNumberTwice_saysWhichItUses() {
    PoolMachine pool =
        PoolMachine.small().cmdline("hugepages=5", "hugepagesz=2M", "hugepages=3").boot();
    assertEquals(5, pool.h2m().nrHugePages);
    assertEquals(
        List.of(
            "HugeTLB: Ignoring hugepages=3 associated with 2.00 MiB page size",
            "HugeTLB: Using hugepages=5 for number of default huge pages"),
        hugetlbLog(pool).subList(0, 2));
  }

  /** Four pages of 2 MiB on node 1 only. Expect them there. */
  @Test
  void boot_2MPagesOnOneNode_areThere() {
    PoolMachine pool = PoolMachine.twoNodes().cmdline("hugepages=1:4").boot();
    assertEquals(0, pool.h2m().nrHugePagesNode[0]);
    assertEquals(4, pool.h2m().nrHugePagesNode[1]);
  }

  /** The third page of a node fails. Expect the first two to be optimised and a second try. */
  @Test
  void boot_nodeRunsOut_optimizesAndTriesAgain() {
    PoolMachine pool =
        PoolMachine.twoNodes().cmdline("hugetlb_free_vmemmap=on", "hugepages=1:4");
    pool.failNth(3, "alloc_buddy_frozen_folio");
    pool.boot();
    assertEquals(4, pool.h2m().nrHugePagesNode[1]);
  }

  /**
   * One allocation fails, the first or the third. With HVO built in, pages in hand are optimised and
   * it is tried again. Expect all four then; else those before the failure, and the message.
   */
  @ParameterizedTest
  @CsvSource({
    "true, 3, 0:4, 4", "true, 1, 0:4, 0", "false, 3, 0:4, 2", "false, 1, 0:4, 0",
    "true, 3, 4, 4", "false, 3, 4, 2", "false, 1, 4, 0"
  })
  void boot_oneAllocationFails_isTriedAgainWithPagesInHand(
      boolean builtIn, long n, String wish, long got) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().withHugetlbOptimizeVmemmap(builtIn),
                sizes(),
                new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .cmdline("hugetlb_free_vmemmap=on", "hugepages=" + wish);
    pool.failNth(n, "alloc_buddy_frozen_folio");
    pool.boot();
    assertEquals(got, pool.h2m().freeHugePages);
    assertEquals(got, pool.h2m().maxHugePages);
    assertEquals(
        got != 4, hugetlbLog(pool).stream().anyMatch(line -> line.contains("Only allocated")));
  }

  /** And if it fails again. Expect two pages and the node's message. */
  @Test
  void boot_nodeRunsOutForGood_saysSo() {
    PoolMachine pool =
        PoolMachine.twoNodes().cmdline("hugetlb_free_vmemmap=on", "hugepages=1:4");
    pool.failFrom(3, "alloc_buddy_frozen_folio");
    pool.boot();
    assertEquals(2, pool.h2m().nrHugePagesNode[1]);
    assertEquals(2, pool.h2m().maxHugePages);
    assertTrue(
        hugetlbLog(pool)
            .contains(
                "HugeTLB: allocating 4 of page size 2.00 MiB failed node1.  Only allocated 2"
                    + " hugepages."));
  }

  /** A CPU without hugepages, but a wish for some. Expect the message and no size. */
  @Test
  void boot_noHugepages_saysThatItIgnoresTheWish() {
    PoolMachine pool =
        new PoolMachine(
            PoolMachine.config(),
            HugetlbArch.of(0),
            new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0));
    pool.boot();
    pool.system.hstates().hugetlbAddHstate(9);
    pool.system.bootmem().hugetlbInit();
    assertEquals(
        List.of("HugeTLB: huge pages not supported, ignoring associated command-line parameters"),
        hugetlbLog(pool));
  }

  /**
   * A page from boot beside one that is made at run time, both with whole memmap. Expect their struct
   * pages to hold the same words; those that point into the memmap lead as far from their own page.
   */
  @Test
  void boot_structPages_areThoseOfRunTime() {
    PoolMachine pool = large().cmdline("hugepagesz=128M", "hugepages=1").boot();
    Hstate h = pool.hstate(SIZE);
    Folio boot = pool.folio(pool.freePfns(h, 0).getFirst());
    assertEquals(0, pool.system.sysfs().write(NR_128M, "2"));
    List<Long> pfns = pool.freePfns(h, 0);
    Folio run =
        pool.folio(pfns.stream().filter(p -> !boot.equals(pool.folio(p))).findFirst().orElseThrow());
    for (long i : new long[] {0, 1, 2, 3, 4, 62, 63, 64, 65, 127, 128, 129, PAGES - 1}) {
      for (int offset = 0; offset < 64; offset += 8) {
        boolean listWord = i == 0 && (offset == 8 || offset == 16);
        assertTrue(
            listWord || word(pool, boot, i, offset) == word(pool, run, i, offset),
            "page=" + i + " offset=" + offset);
      }
    }
  }

  /** A word of a page of the folio; an address near the page as the distance from it. */
  private static long word(PoolMachine pool, Folio folio, long i, int offset) {
    Page page = pool.mm.flags().folioPage(folio, i);
    long word = pool.mm.struct().word(page, offset);
    return Math.abs(word - page.va()) < 64 ? word - page.va() : word;
  }

  /** Two boot pages that were just taken. Expect all but their first base pages to be left out later. */
  @ParameterizedTest
  @ValueSource(strings = {"7.1", "7.3", "49"})
  void allocBootmem_tails_areNotForMmInit(String series) {
    PoolMachine pool =
        new PoolMachine(
            PoolMachine.config().withSeries(Series.named(series)),
            sizes(),
            new PoolMachine.Ram(0, 4 * SIZE, 0));
    HugetlbSystem system = system(pool, pool.mmInit, HugetlbCma.NONE);
    system.earlyParam("hugepagesz", "128M");
    system.earlyParam("hugepages", "2");
    pool.mm.nodes().nodeData(0);
    system.bootmem().hugetlbBootmemAlloc();
    List<String> noinit =
        pool.memblock.reservedRanges().stream()
            .filter(range -> range.noinit())
            .map(range -> Long.toHexString(range.start()) + "-" + Long.toHexString(range.end()))
            .toList();
    assertEquals(List.of("10001000-18000000", "18001000-20000000"), noinit);
  }

  /** Boot pages are reserved, so nobody else counts them. Expect as many managed pages as without. */
  @Test
  void boot_giganticPages_areManaged() {
    PoolMachine plain = large().boot();
    PoolMachine pool = large().cmdline("hugepagesz=128M", "hugepages=2").boot();
    assertEquals(managed(plain), managed(pool));
  }

  private static long managed(PoolMachine pool) {
    long pages = 0;
    for (Zone zone : pool.mm.nodes().nodeData(0).zones()) {
      pages += zone.managedPages;
    }
    return pages;
  }

  /** Pages of two gigantic sizes from one node. Expect each in its own pool, all optimised. */
  @Test
  void boot_twoGiganticSizes_fillTheirPools() {
    long small = 8 * PoolMachine.MIB;
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.of(PoolMachine.SIZE_2M, small, SIZE),
                new PoolMachine.Ram(0, 4 * SIZE, 0))
            .cmdline(
                "hugetlb_free_vmemmap=on", "hugepagesz=8M", "hugepages=3", "hugepagesz=128M",
                "hugepages=1")
            .boot();
    for (long size : new long[] {small, SIZE}) {
      Hstate h = pool.hstate(size);
      assertEquals(size == SIZE ? 1 : 3, h.freeHugePages);
      for (long pfn : pool.freePfns(h, 0)) {
        Folio folio = pool.folio(pfn);
        assertEquals(h, pool.system.hstates().folioHstate(folio));
        assertTrue(pool.optimized(folio));
        assertEquals(0, pool.mm.refs().folioRefCount(folio));
      }
    }
    // 8 MiB is less than a section, so it has 32 frames at first and is optimised later.
    assertEquals(4 * 512 - 511 - 3 * 32, pool.mm.vmstat().nrMemmapBootPages());
    assertEquals(3, pool.mm.vmstat().nrMemmapPages());
  }

  /**
   * A gigantic page that is less than a section, in a zone that is initialised at once: its struct
   * pages are those of single pages, and only the first page of memmap is made to say otherwise.
   *
   * <pre>
   *   memmap   | head, tails | single pages | single pages | ...
   *              ^ written     ^ !PageTail() when it is remapped
   * </pre>
   *
   * Expect one warning, and the page to be optimised all the same.
   */
  @Test
  void boot_giganticPageBelowASection_warnsOfItsTails() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.of(PoolMachine.SIZE_2M, 8 * PoolMachine.MIB),
                new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .cmdline("hugetlb_free_vmemmap=on", "hugepagesz=8M", "hugepages=2")
            .boot();
    Hstate h = pool.hstate(8 * PoolMachine.MIB);
    assertEquals(
        List.of("vmemmap_remap_pte: !PageTail((const struct page *)addr)"), pool.warnings());
    assertEquals(31, pool.readOnlyPages(pool.folio(pool.freePfns(h, 0).getFirst()), h));
  }

  /** The default size is a gigantic one. Expect a number without a size to be for it. */
  @Test
  void boot_giganticDefaultSize_takesTheNumber() {
    PoolMachine pool = large().cmdline("default_hugepagesz=128M", "hugepages=2").boot();
    assertEquals(2, pool.hstate(SIZE).freeHugePages);
    assertEquals(pool.hstate(SIZE), pool.system.hstates().defaultHstate());
    assertEquals("2", pool.system.sysfs().read(PoolMachine.NR_HUGEPAGES));
  }

  /**
   * What pages can be broken into: the largest smaller size, or with CMA areas nothing for those up to
   * HPAGE_SIZE. Sizes are 64 KiB, 2 MiB, 8 MiB and 128 MiB.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void initHstates_sizes_knowTheNextSmaller(boolean areas) {
    HugetlbArch arch =
        HugetlbArch.withCma(11, PoolMachine.SIZE_2M, 65536L, 8 * PoolMachine.MIB, SIZE);
    PoolMachine pool =
        new PoolMachine(PoolMachine.config(), arch, new PoolMachine.Ram(0, 4 * SIZE, 0))
            .cmdline(areas ? "hugetlb_cma=16M" : "quiet")
            .boot();
    assertEquals(0, pool.hstate(65536).demoteOrder);
    assertEquals(areas ? 0 : 4, pool.h2m().demoteOrder);
    assertEquals(9, pool.hstate(8 * PoolMachine.MIB).demoteOrder);
    assertEquals(11, pool.hstate(SIZE).demoteOrder);
  }

  /** Three pages on two nodes at boot. Expect the next round to begin at the first node again. */
  @Test
  void initHstates_rounds_beginAtTheFirstNode() {
    PoolMachine pool = twoLargeNodes().cmdline("hugepagesz=128M", "hugepages=1").boot();
    assertEquals(1, pool.hstate(SIZE).nrHugePagesNode[0]);
    assertEquals(0, pool.hstate(SIZE).nextNidToAlloc.nid);
    assertEquals(0, pool.hstate(SIZE).nextNidToFree.nid);
    assertEquals(0, pool.system.sysfs().write(NR_128M, "2"));
    assertEquals(2, pool.hstate(SIZE).nrHugePages);
  }

  /** Eight CPUs, or a number on the command line. Expect a thread for four of them, or the number. */
  @Test
  void boot_threads_areAQuarterOfTheCpusUnlessGiven() {
    PoolMachine pool = PoolMachine.small().cmdline("hugepages=1");
    for (int i = 0; i < 6; i++) {
      pool.machine.addCpu();
    }
    pool.boot();
    assertEquals(
        "HugeTLB: allocation took 0ms with hugepage_allocation_threads=2",
        hugetlbLog(pool).getFirst());
    PoolMachine given =
        PoolMachine.small().cmdline("hugepage_alloc_threads=5", "hugepages=1").boot();
    assertEquals(
        "HugeTLB: allocation took 0ms with hugepage_allocation_threads=5",
        hugetlbLog(given).getFirst());
  }

  /** More pages than there is memory, with and without HVO. Expect what HVO saves to be used. */
  @Test
  void boot_more2MPagesThanMemoryOptimized_getsMore() {
    PoolMachine plain = PoolMachine.small().cmdline("hugepages=1000").boot();
    PoolMachine pool =
        PoolMachine.small().cmdline("hugetlb_free_vmemmap=on", "hugepages=1000").boot();
    assertTrue(pool.h2m().nrHugePages >= plain.h2m().nrHugePages);
    assertEquals(pool.h2m().nrHugePages, pool.h2m().maxHugePages);
    for (long pfn : pool.freePfns(0)) {
      assertTrue(pool.optimized(pool.folio(pfn)));
    }
  }

  /**
   * More pages than there is memory, with HVO. The last ones are allocated when only the reserve of
   * the zones is left:
   *
   * <pre>
   *   free     ......... | reserve |        free    ... | reserve |
   *   in hand  1 2 3 ... n             -->   pool    1 2 3 ... n, their memmap is free again
   * </pre>
   *
   * Expect the pages in hand to be optimised then, before the allocator has to refuse one.
   */
  @Test
  void boot_onlyTheReserveIsLeft_optimizesBeforeTheNextPage() {
    PoolMachine pool =
        PoolMachine.small()
            .withWatermarks()
            .cmdline("hugetlb_free_vmemmap=on", "hugepages=1000");
    List<Long> optimizedAt = new ArrayList<>();
    pool.machine
        .faults()
        .failFrom(
            1,
            site -> {
              if (site.equals("alloc_buddy_frozen_folio")) {
                optimizedAt.add(pool.h2m().nrHugePages);
              }
              return false;
            });
    pool.boot();
    long first = optimizedAt.stream().filter(pages -> pages > 0).findFirst().orElseThrow();
    assertEquals(first, optimizedAt.indexOf(first), "one attempt a page");
  }

  /** A CPU without hugepages and no wish for any. Expect not a word. */
  @Test
  void boot_noHugepagesAndNoWish_saysNothing() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.of(0),
                new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .boot();
    assertEquals(List.of(), hugetlbLog(pool));
    assertEquals("", pool.hugetlb.hugetlbReportMeminfo());
    assertEquals("", pool.hugetlb.hugetlbReportNodeMeminfo(0));
    assertEquals(0, pool.hugetlb.dissolveFreeHugetlbFolios(0, 65536));
  }

  /** A wish for the default size before any size, with nodes. Expect it for those nodes. */
  @Test
  void boot_implicitWishOfNodes_isAdopted() {
    PoolMachine pool =
        PoolMachine.twoNodes().cmdline("hugepages=0:1,1:2", "hugepagesz=1G").boot();
    assertEquals(1, pool.h2m().nrHugePagesNode[0]);
    assertEquals(2, pool.h2m().nrHugePagesNode[1]);
    assertEquals(3, pool.h2m().maxHugePages);
  }

  /** A node that gets all it was to have. Expect no message, and the wish to stay. */
  @Test
  void boot_nodeHasEnough_saysNothing() {
    PoolMachine pool = twoLargeNodes().cmdline("hugepagesz=128M", "hugepages=1:1").boot();
    assertEquals(1, pool.hstate(SIZE).nrHugePagesNode[1]);
    assertEquals(1, pool.hstate(SIZE).maxHugePages);
    assertEquals(1, pool.hstate(SIZE).maxHugePagesNode[1]);
    assertTrue(hugetlbLog(pool).getFirst().startsWith("HugeTLB: registered 128 MiB"));
  }

  // ---------------------------------------------------------------- checks

  /**
   * Memory of another node than the one asked for, and in two zones. Expect a warning, and the page
   * to be given back through the list of the node that was asked, whose wish is none then.
   */
  @Test
  void allocBootmem_otherNodeAndTwoZones_warns() {
    PoolMachine pool = large();
    pool.mm.nodes().nodeData(0);
    MmInit mmInit = mock(MmInit.class);
    when(mmInit.earlyPfnToNid(anyLong())).thenReturn(1);
    when(mmInit.pfnRangeIntersectsZones(anyInt(), anyLong(), anyLong())).thenReturn(true);
    HugetlbSystem system = system(pool, mmInit, HugetlbCma.NONE);
    system.earlyParam("hugepagesz", "128M");
    system.earlyParam("hugepages", "0:1");

    system.bootmem().hugetlbBootmemAlloc();

    assertEquals(
        List.of("alloc_bootmem_huge_page: nid_request != NUMA_NO_NODE && nid != nid_request"),
        pool.warnings());
    assertEquals(
        List.of(
            "HugeTLB: freed 1 cross-zone hugepages of size 128 MiB on node 0.",
            "HugeTLB: allocating 1 of page size 128 MiB failed node0.  Only allocated 0 hugepages."),
        hugetlbLog(pool));
    Hstate h = Objects.requireNonNull(system.hstates().sizeToHstate(SIZE));
    assertEquals(0, h.maxHugePages);
    assertEquals(0, h.maxHugePagesNode[0]);
    assertEquals(0, pool.owned(Owner.HUGEPAGE));
  }

  /** A boot page of a size that is not gigantic. Expect a bug when it is gathered. */
  @Test
  void gather_sizeNotGigantic_isABug() {
    PoolMachine pool = PoolMachine.small().boot();
    plantBootPage(pool, 2048, pool.h2m());
    KernelBug bug =
        assertThrows(
            KernelBug.class, () -> pool.system.bootmem().hugetlbBootmemStructPageInit());
    assertTrue(
        String.valueOf(bug.getMessage())
            .contains("gather_bootmem_prealloc_node: !hstate_is_gigantic(h)"));
  }

  /** A boot page that nobody holds. Expect a warning, and then a bug: it cannot be frozen. */
  @Test
  void gather_noReference_warnsAndIsABug() {
    PoolMachine pool = PoolMachine.small().boot();
    plantBootPage(pool, 2048, pool.hstate(GIB));
    pool.mm.refs().setPageCount(pool.mm.model().pfnToPage(2048), 0);
    KernelBug bug =
        assertThrows(
            KernelBug.class, () -> pool.system.bootmem().hugetlbBootmemStructPageInit());
    assertEquals(
        List.of("gather_bootmem_prealloc_node: folio_ref_count(folio) != 1"), pool.warnings());
    assertTrue(
        String.valueOf(bug.getMessage())
            .contains("hugetlb_folio_init_vmemmap: !folio_ref_freeze(folio, 1)"));
  }

  /** A boot page that starts inside a page block. Expect a warning. */
  @Test
  void gather_notPageblockAligned_warns() {
    PoolMachine pool = large().boot();
    long crooked = PAGES + 64;
    plantBootPage(pool, crooked, pool.hstate(SIZE));
    pool.system.bootmem().hugetlbBootmemStructPageInit();
    assertTrue(
        pool.warnings()
            .contains(
                "hugetlb_bootmem_init_migratetype: !pageblock_aligned(folio_pfn(folio))"));
    assertFalse(pool.freePfns(pool.hstate(SIZE), 0).isEmpty());
  }

  /** Puts a huge_bootmem_page at the pfn on node 0's list, with one reference. */
  private static void plantBootPage(PoolMachine pool, long pfn, Hstate h) {
    Page page = pool.mm.model().pfnToPage(pfn);
    HugeBootmemPage m = new HugeBootmemPage(pool.mm.model().pageAddress(page));
    pool.system.hstates().setHstate(m, h);
    pool.system.hstates().setFlags(m, 0);
    pool.mm.refs().setPageCount(page, 1);
    pool.mm.struct().setPageType(page, -1);
    pool.mm.lists().listAdd(m.list(), pool.system.hstates().hugeBootPages(0));
  }
}
