// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PlainTables;
import org.vmemmap.types.Series;
import org.vmemmap.types.ZoneType;

/**
 * Boot pages at the levels of the series where HugeTLB's part in them changed. A page is as large as
 * a section here, 128 MiB, so that a machine can be small.
 *
 * <pre>
 *   0        128M      256M      384M      512M
 *   | image   |         |  page   |  page   |     memmap: 512 pages for each quarter
 * </pre>
 */
final class HugetlbSeriesTest {
  private static final long MIB = PoolMachine.MIB;
  private static final long SIZE = 128 * MIB;
  private static final int PAGES = 32768;
  private static final long MEMMAP = 512;

  private static PoolMachine machine(MmConfig config, String... cmdline) {
    return new PoolMachine(
            config,
            HugetlbArch.of(PoolMachine.SIZE_2M, SIZE),
            new PoolMachine.Ram(0, 512 * MIB, 0))
        .cmdline("hugetlb_free_vmemmap=on", "hugepagesz=128M")
        .cmdline(cmdline);
  }

  private static PoolMachine machine(String series, String... cmdline) {
    return machine(PoolMachine.config().withSeries(Series.named(series)), cmdline);
  }

  private static List<String> hugetlbLog(PoolMachine pool) {
    return pool.log().stream().filter(line -> line.startsWith("HugeTLB: ")).toList();
  }

  /**
   * Two boot pages. Expect all levels to share the tails from the start, so that boot counts one page
   * of memmap for each, and the shared tail to keep the reference of initialisation up to patch 23.
   */
  @ParameterizedTest
  @CsvSource({
    "7.1, 1", "7.2, 1", "7.3, 1", "0, 1", "11, 1", "14, 1", "15, 1", "16, 1", "22, 1", "24, 0",
    "27, 0", "28, 0", "30, 0", "32, 0", "38, 0", "49, 0"
  })
  void boot_twoPages_areSharedFromTheStart(String series, int references) {
    PoolMachine pool = machine(series, "hugepages=2").boot();
    Hstate h = pool.hstate(SIZE);
    assertEquals(2, h.freeHugePages);
    for (long pfn : pool.freePfns(h, 0)) {
      Folio folio = pool.folio(pfn);
      assertTrue(pool.optimized(folio));
      assertEquals(511, pool.readOnlyPages(folio, h));
      assertEquals(2, new HashSet<>(pool.frames(folio, h)).size());
      Page last = pool.mm.flags().folioPage(folio, PAGES - 1);
      assertEquals(folio.page(), pool.mm.flags().compoundHead(last));
      assertEquals(references, pool.mm.struct().refcount(last));
    }
    assertEquals(2 * MEMMAP + 2, pool.mm.vmstat().nrMemmapBootPages());
    assertEquals(2 * MEMMAP + 2, pool.owned(Owner.VMEMMAP));
    assertEquals(0, pool.mm.vmstat().nrMemmapPages());
    assertEquals(1, pool.owned(Owner.SHARED_TAIL));
    assertEquals(List.of(), pool.warnings());
  }

  /**
   * The movable zone begins in the middle of the second page.
   *
   * <pre>
   *   0        128M  200M 256M      384M      512M
   *   | image   |    x    |  page   |  page   |     x: in two zones
   * </pre>
   *
   * Before patch 15 that is found out when memmap is mapped, and the wish is corrected in the end.
   * Expect memblock to have its memory back, its memmap to be whole and the other two in the pool.
   */
  @ParameterizedTest
  @ValueSource(strings = {"7.1", "7.2", "0", "11", "14"})
  void boot_pageInTwoZonesBeforePatch15_isDiscardedLate(String series) {
    PoolMachine pool = machine(series, "hugepages=3");
    pool.mmInit.cmdlineParseKernelcore("200M");
    pool.boot();
    Hstate h = pool.hstate(SIZE);
    assertEquals(2, h.freeHugePages);
    assertEquals(2, h.maxHugePages);
    assertTrue(
        hugetlbLog(pool).contains("HugeTLB: 128 MiB page size: 1 invalid page discarded"));
    assertEquals(2L * PAGES, pool.owned(Owner.HUGEPAGE));
    assertEquals(2 * MEMMAP + 2, pool.mm.vmstat().nrMemmapBootPages());
    assertEquals(List.of(), pool.warnings());
  }

  /**
   * The same with optimisation off. Expect the page allocator to get the page in the end, base page
   * by base page, each in the zone where it lies; also where its second half, from 192 MiB on, is
   * deferred, so that nobody has initialised it before; DEBUG_VM would stop when the zone's blocks
   * are looked at before that. A section is 32 MiB here.
   */
  @ParameterizedTest
  @CsvSource({"7.1, false", "7.1, true", "7.2, false", "14, false"})
  void boot_plainPageInTwoZones_isFreedPageByPage(String series, boolean deferred) {
    MmConfig config =
        PoolMachine.config().withDebugVm(!deferred).toBuilder()
            .series(Series.named(series))
            .sectionSizeBits(25)
            .deferredStructPageInit(deferred)
            .build();
    PoolMachine pool = machine(config, "hugetlb_free_vmemmap=off", "hugepages=3");
    pool.mmInit.cmdlineParseKernelcore("132M");
    pool.boot();
    Hstate h = pool.hstate(SIZE);
    assertEquals(2, h.maxHugePages);
    long border = 132 * MIB / 4096;
    for (long pfn : new long[] {PAGES, border - 1, border, 2 * PAGES - 1}) {
      assertEquals(Owner.BUDDY, pool.machine.ledger().ownerOf(pfn));
      assertEquals(
          pfn < border ? ZoneType.ZONE_DMA32 : ZoneType.ZONE_MOVABLE,
          pool.mm.inline().pageZonenum(pool.mm.model().pfnToPage(pfn)));
    }
    assertEquals(2L * PAGES, pool.owned(Owner.HUGEPAGE));
    assertTrue(
        hugetlbLog(pool).contains("HugeTLB: 128 MiB page size: 1 invalid page discarded"));
    assertEquals(List.of(), pool.warnings());
  }

  /** The same from patch 15 on. Expect memblock to have it back before anybody gets to see it. */
  @ParameterizedTest
  @ValueSource(strings = {"7.3", "15", "16"})
  void boot_pageInTwoZonesSincePatch15_isGivenBackEarly(String series) {
    PoolMachine pool = machine(series, "hugepages=3");
    pool.mmInit.cmdlineParseKernelcore("200M");
    pool.boot();
    assertEquals(2, pool.hstate(SIZE).freeHugePages);
    assertTrue(
        hugetlbLog(pool)
            .contains("HugeTLB: freed 1 cross-zone hugepages of size 128 MiB on node 0."));
    assertTrue(hugetlbLog(pool).stream().noneMatch(line -> line.contains("discarded")));
  }

  /**
   * Before patch 16 the memmap of boot pages is mapped late, and there is no memory for the shared
   * tail. Expect an ordinary memmap for each, and the pool to take them for optimised all the same.
   */
  @ParameterizedTest
  @ValueSource(strings = {"7.1", "15"})
  void initLate_noMemoryForTail_mapsAllOfIt(String series) {
    PoolMachine pool = machine(series, "hugepages=2");
    pool.failFrom(1, "vmemmap_get_tail");
    pool.boot();
    Hstate h = pool.hstate(SIZE);
    Folio folio = pool.folio(pool.freePfns(h, 0).getFirst());
    assertEquals(2, pool.machine.faults().failed());
    assertTrue(pool.optimized(folio));
    assertEquals(512, new HashSet<>(pool.frames(folio, h)).size());
    assertEquals(0, pool.readOnlyPages(folio, h));
    assertEquals(4 * MEMMAP, pool.mm.vmstat().nrMemmapBootPages());
  }

  /** Patch 16 without patch 11: no zone knows the page yet. Expect the kernel to follow a null. */
  @Test
  void initEarly_zonesNotKnown_isABug() {
    PoolMachine pool = machine("7.3-11", "hugepages=2");
    KernelBug bug = assertThrows(KernelBug.class, pool::boot);
    assertTrue(String.valueOf(bug.getMessage()).contains("NULL pointer dereference"));
  }

  private static MmConfig withoutPreinit(String series) {
    return PoolMachine.config().toBuilder()
        .sparsememVmemmapPreinit(false)
        .series(Series.named(series))
        .build();
  }

  /**
   * An architecture without SPARSEMEM_VMEMMAP_PREINIT. Expect boot pages to be optimised when they
   * get to their pool, two frames made then, up to patch 29; and from the start since patch 30.
   */
  @ParameterizedTest
  @CsvSource({"7.1, 1024, 2", "7.3, 1024, 2", "28, 1024, 2", "29, 1024, 2", "30, 1026, 0",
    "49, 1026, 0"})
  void boot_noPreinit_isOptimizedLaterUpToPatch29(String series, long boot, long run) {
    PoolMachine pool = machine(withoutPreinit(series), "hugepages=2").boot();
    Hstate h = pool.hstate(SIZE);
    Folio folio = pool.folio(pool.freePfns(h, 0).getFirst());
    assertTrue(pool.optimized(folio));
    assertEquals(511, pool.readOnlyPages(folio, h));
    assertEquals(boot, pool.mm.vmstat().nrMemmapBootPages());
    assertEquals(run, pool.mm.vmstat().nrMemmapPages());
  }

  /**
   * A boot page is optimised from the start only when its memmap is whole leaves: here a leaf has the
   * struct pages of 128 MiB, and a hugepage takes 64 MiB, as does a section.
   *
   * <pre>
   *   leaves of memmap   |       0       |       1       |
   *   hugepages          |   0   |   1   |   2   |   3   |
   * </pre>
   *
   * Expect no section to know of an order, wherever in a leaf the page lies; with small leaves, all.
   */
  @ParameterizedTest
  @CsvSource({"9, 0", "2, 14"})
  void boot_memmapIsHalfALeaf_isNotOptimizedFromTheStart(int bits, int order) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().toBuilder()
                    .sectionSizeBits(26)
                    .series(Series.at(Series.LAST))
                    .build(),
                new PlainTables(bits, 9, 9, 9),
                HugetlbArch.of(PoolMachine.SIZE_2M, 64 * MIB),
                new PoolMachine.Ram(0, 512 * MIB, 0))
            .cmdline("hugetlb_free_vmemmap=on", "hugepagesz=64M", "hugepages=4")
            .boot();
    Hstate h = pool.hstate(64 * MIB);
    assertEquals(4, h.freeHugePages);
    for (long pfn : pool.freePfns(h, 0)) {
      assertEquals(order, pool.mm.mmzone().pfnToSectionOrder(pfn));
    }
  }

  /** Struct pages of 56 bytes have no mask. Expect boot pages with a memmap of their own. */
  @Test
  void boot_structPageNoPowerOfTwo_isNotOptimized() {
    PoolMachine pool =
        machine(PoolMachine.config().withSizeofStructPage(56), "hugepages=1").boot();
    long pfn = pool.freePfns(pool.hstate(SIZE), 0).getFirst();
    assertEquals(0, pool.mm.mmzone().pfnToSectionOrder(pfn));
    assertFalse(pool.optimized(pool.folio(pfn)));
  }

  /** Each of two nodes has a page in two zones. Expect both to be discarded, and to be counted. */
  @Test
  void boot_twoPagesInTwoZones_areBothCounted() {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().withSeries(Series.at(14)),
                HugetlbArch.of(PoolMachine.SIZE_2M, SIZE),
                new PoolMachine.Ram(0, 256 * MIB, 0),
                new PoolMachine.Ram(256 * MIB, 512 * MIB, 1))
            .cmdline("hugetlb_free_vmemmap=on", "hugepagesz=128M", "hugepages=3");
    pool.mmInit.cmdlineParseKernelcore("400M");
    pool.boot();
    assertEquals(1, pool.hstate(SIZE).maxHugePages);
    assertTrue(
        hugetlbLog(pool).contains("HugeTLB: 128 MiB page size: 2 invalid pages discarded"));
  }

  /**
   * Sections of boot pages know from patch 22 on which order they hold. Expect that of the page for
   * its own sections only, whoever sets it.
   */
  @ParameterizedTest
  @CsvSource({"7.3, 0", "21, 0", "22, 15", "27, 15", "28, 15", "49, 15"})
  void boot_sectionsOfAPage_knowItsOrder(String series, int order) {
    PoolMachine pool = machine(series, "hugepages=1").boot();
    long page = pool.freePfns(pool.hstate(SIZE), 0).getFirst();
    for (long pfn = 0; pfn < 4L * PAGES; pfn += PAGES) {
      assertEquals(pfn == page ? order : 0, pool.mm.mmzone().pfnToSectionOrder(pfn));
    }
  }

  /** Optimisation is off at boot. Expect whole memmap for the boot page at every level. */
  @ParameterizedTest
  @ValueSource(strings = {"7.1", "15", "7.3", "28", "49"})
  void boot_switchedOff_mapsAll(String series) {
    PoolMachine pool = machine(series, "hugetlb_free_vmemmap=off", "hugepages=1").boot();
    Hstate h = pool.hstate(SIZE);
    Folio folio = pool.folio(pool.freePfns(h, 0).getFirst());
    assertTrue(!pool.optimized(folio));
    assertEquals(512, new HashSet<>(pool.frames(folio, h)).size());
    assertEquals(4 * MEMMAP, pool.mm.vmstat().nrMemmapBootPages());
    assertEquals(0, pool.owned(Owner.SHARED_TAIL));
  }

  /**
   * What is left of a boot page's memmap has to be registered, so that it can be freed. Its section is
   * passed over at boot up to patch 27, so HugeTLB registers it. Expect the first page of memmap only,
   * and nothing since patch 28 or in 7.3, which forgets such information.
   */
  @ParameterizedTest
  @CsvSource({"7.1, 3:64", "0, 3:64", "15, 3:64", "27, 2:64", "28, ''", "49, ''", "7.3, ''"})
  void boot_optimizedPage_isRegisteredByHugetlb(String series, String expected) {
    PoolMachine pool = machine(series, "hugepages=1").withBootmemInfo().boot();
    assertEquals(1, pool.hstate(SIZE).freeHugePages);
    assertEquals(expected, String.join(" ", pool.registered));
  }

  /** Pages of 2 MiB at run time, on both sides of patch 32. Expect one shared tail for them. */
  @ParameterizedTest
  @ValueSource(strings = {"31", "32", "49"})
  void getTail_atRunTime_isMadeInEitherPlace(String series) {
    PoolMachine pool = machine(series).boot();
    assertEquals(0, pool.owned(Owner.SHARED_TAIL));
    assertEquals(0, pool.setPool(3));
    assertEquals(1, pool.owned(Owner.SHARED_TAIL));
    for (long pfn : pool.freePfns(0)) {
      assertEquals(7, pool.readOnlyPages(pool.folio(pfn), pool.h2m()));
    }
    assertEquals(0, pool.setPool(0));
    assertEquals(List.of(), pool.warnings());
  }

  /**
   * Before patch 16 the late hook maps what the early hook has claimed. A page of 8 MiB is less than a
   * section, so it was not. Expect its memmap to be mapped with its section's and optimised later.
   */
  @ParameterizedTest
  @ValueSource(strings = {"14", "7.3"})
  void boot_pageNotClaimed_isMappedWithItsSection(String series) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().withSeries(Series.named(series)),
                HugetlbArch.of(PoolMachine.SIZE_2M, 8 * MIB, SIZE),
                new PoolMachine.Ram(0, 512 * MIB, 0))
            .cmdline(
                "hugetlb_free_vmemmap=on", "hugepagesz=8M", "hugepages=3", "hugepagesz=128M",
                "hugepages=1")
            .boot();
    assertEquals(3, pool.hstate(8 * MIB).freeHugePages);
    assertEquals(1, pool.hstate(SIZE).freeHugePages);
    assertEquals(4 * 512 - 511 - 3 * 32, pool.mm.vmstat().nrMemmapBootPages());
    assertEquals(3, pool.mm.vmstat().nrMemmapPages());
  }

  /** A page of two sections. Expect both to be marked, and each to have its own memmap. */
  @ParameterizedTest
  @ValueSource(strings = {"7.1", "7.3"})
  void boot_pageOfTwoSections_marksBoth(String series) {
    PoolMachine pool =
        new PoolMachine(
                PoolMachine.config().withSeries(Series.named(series)),
                HugetlbArch.of(PoolMachine.SIZE_2M, 2 * SIZE),
                new PoolMachine.Ram(0, 768 * MIB, 0))
            .cmdline("hugetlb_free_vmemmap=on", "hugepagesz=256M", "hugepages=1")
            .boot();
    Hstate h = pool.hstate(2 * SIZE);
    long page = pool.freePfns(h, 0).getFirst();
    assertEquals(1023, pool.readOnlyPages(pool.folio(page), h));
    assertEquals(6 * MEMMAP - 1023, pool.mm.vmstat().nrMemmapBootPages());
    for (long pfn = 0; pfn < 6L * PAGES; pfn += PAGES) {
      MemSection section =
          Objects.requireNonNull(
              pool.mm.mmzone().nrToSection(pool.mm.mmzone().pfnToSectionNr(pfn)));
      boolean inside = pfn == page || pfn == page + PAGES;
      assertEquals(inside, pool.mm.mmzone().preinitedVmemmapSection(section));
      // The word holds the memmap less the section's first pfn, which is the same for all.
      assertEquals(
          pool.mm.model().vmemmapBase(), section.sectionMemMap & Mmzone.SECTION_MAP_MASK);
    }
  }
}
