// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.SmallMachine.DEVICE_PFN;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.PAGE;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.SECTION_VPAGES;
import static org.vmemmap.sparse.SmallMachine.SUBSECTION;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Series;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The later half of the series: the order of a section, not the device, says what its memmap
 * shares.
 */
class SectionOrderTest {
  private static final int ORDER_2M = 9;
  private static final int ORDER_1G = 18;

  /** Compound pages of 2 MiB in a section. */
  private static final long FOLIOS = SECTION >>> ORDER_2M;

  private static final long DEV = DEVICE_PFN / SECTION;

  private static SmallMachine boot(MmConfig config) {
    return new SmallMachine(config, new Ram(0, 384 * MIB, 0)).boot();
  }

  private static SmallMachine boot(int patches) {
    return boot(config().withSeries(Series.at(patches)));
  }

  private static Zone device(SmallMachine m) {
    return m.zone(0, ZoneType.ZONE_DEVICE);
  }

  private static int add(SmallMachine m, long pfn, long nrPages, int order) {
    return m.addSection(pfn, nrPages, null, m.device(DEVICE_PFN, 8 * SECTION, order));
  }

  private static long distinctFrames(SmallMachine m, long pfn, long vpages) {
    long start = m.memmap(pfn);
    return LongStream.range(0, vpages).map(i -> m.frame(start + i * PAGE)).distinct().count();
  }

  private static int order(SmallMachine m, long pfn) {
    return m.mm.mmzone().pfnToSectionOrder(pfn);
  }

  private static long tail(SmallMachine m, int order) {
    Page tail = device(m).vmemmapTails[order - m.mm.mmzone().vmemmapTailMinOrder()];
    return m.mm.model().pageToPfn(Objects.requireNonNull(tail));
  }

  private static boolean writable(SmallMachine m, long va) {
    return m.machine.format().writable(m.walk(va).entry(), 0);
  }

  // ---- device memory ----

  /**
   * A section of compound pages of 2 MiB in the last kernel of the series.
   *
   * <pre>
   *   vpage   0    1    2       7    8    9
   *         [f0 ][ T ][ T ] ..[ T ][f1 ][ T ] ...      T: read-only, the zone's
   * </pre>
   *
   * Expect a frame for each of the 64 heads, one tail with a reference for each entry, 64 frames
   * counted, and tails that find their head and tell their zone.
   */
  @Test
  void sparseAddSection_order2M_sharesTheZonesTail() {
    SmallMachine m = boot(Series.LAST);
    long dev = m.memmap(DEVICE_PFN);

    assertEquals(0, add(m, DEVICE_PFN, SECTION, ORDER_2M));

    assertEquals(ORDER_2M, order(m, DEVICE_PFN));
    assertSame(device(m), m.mm.mmzone().section(DEV).zone);
    assertEquals(FOLIOS + 1, distinctFrames(m, DEVICE_PFN, SECTION_VPAGES));
    assertEquals(tail(m, ORDER_2M), m.frame(dev + PAGE));
    assertEquals(tail(m, ORDER_2M), m.frame(dev + 7 * PAGE));
    assertTrue(writable(m, dev));
    assertFalse(writable(m, dev + PAGE));
    assertTrue(writable(m, dev + 8 * PAGE));
    assertEquals(1 + 7 * FOLIOS, m.refcount(tail(m, ORDER_2M)));
    assertEquals(FOLIOS, m.mm.vmstat().nrMemmapPages());
    Page some = m.mm.model().pfnToPage(DEVICE_PFN + 512 + 100);
    assertEquals(m.mm.model().pfnToPage(DEVICE_PFN + 512), m.mm.flags().compoundHead(some));
    assertSame(device(m), m.mm.inline().pageZone(some));
    assertEquals(List.of(), m.warnings());
  }

  /** It goes again. Expect an ordinary absent section, and the tail with its own reference only. */
  @Test
  void sparseRemoveSection_order2M_forgetsOrderAndZone() {
    SmallMachine m = boot(Series.LAST);
    add(m, DEVICE_PFN, SECTION, ORDER_2M);

    DevPagemap pgmap = m.device(DEVICE_PFN, SECTION, ORDER_2M);
    m.vmemmap.sparseRemoveSection(DEVICE_PFN, SECTION, null, pgmap);

    assertEquals(0, order(m, DEVICE_PFN));
    assertNull(m.mm.mmzone().section(DEV).zone);
    assertEquals(0, m.sectionMemMap(DEV));
    assertEquals(1, m.refcount(tail(m, ORDER_2M)));
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertEquals(List.of(), m.warnings());
  }

  /**
   * A compound page of 1 GiB.
   *
   * <pre>
   *   section   8             9
   *           [f0][T] ... [T][T] ... [T]
   * </pre>
   *
   * Expect one frame in the first section, none in the second, and as much counted.
   */
  @Test
  void sparseAddSection_order1G_secondSectionHasNoFrame() {
    SmallMachine m = boot(Series.LAST);

    add(m, DEVICE_PFN, SECTION, ORDER_1G);
    assertEquals(1, m.mm.vmstat().nrMemmapPages());
    add(m, DEVICE_PFN + SECTION, SECTION, ORDER_1G);

    assertEquals(2, distinctFrames(m, DEVICE_PFN, SECTION_VPAGES));
    assertEquals(1, distinctFrames(m, DEVICE_PFN + SECTION, SECTION_VPAGES));
    assertEquals(tail(m, ORDER_1G), m.frame(m.memmap(DEVICE_PFN + SECTION)));
    assertEquals(1, m.mm.vmstat().nrMemmapPages());
    assertEquals(64, m.vmemmap.sectionVmemmapPageStructs(DEVICE_PFN, SECTION));
    assertEquals(0, m.vmemmap.sectionVmemmapPageStructs(DEVICE_PFN + SECTION, SECTION));
  }

  /** Struct pages of compound pages that fill one page of memmap, and two. Expect order 7 shared. */
  @Test
  void sparseAddSection_order7_isTheSmallest() {
    SmallMachine m = boot(Series.LAST);

    add(m, DEVICE_PFN, SECTION, 6);
    add(m, DEVICE_PFN + SECTION, SECTION, 7);

    assertEquals(0, order(m, DEVICE_PFN));
    assertEquals(SECTION, m.vmemmap.sectionVmemmapPageStructs(DEVICE_PFN, SECTION));
    assertEquals(7, order(m, DEVICE_PFN + SECTION));
    assertEquals(SECTION / 2, m.vmemmap.sectionVmemmapPageStructs(DEVICE_PFN + SECTION, SECTION));
    assertEquals(SECTION_VPAGES * 3 / 2, m.mm.vmstat().nrMemmapPages());
  }

  /** Half of a section. Expect it ordinary: a section has one order only. */
  @ParameterizedTest
  @ValueSource(ints = {34, Series.LAST})
  void sparseAddSection_partWithOrder_staysOrdinary(int patches) {
    SmallMachine m = boot(patches);
    m.arch.basepagesOnly = true;

    assertEquals(0, add(m, DEVICE_PFN, 2 * SUBSECTION, ORDER_2M));

    assertEquals(0, order(m, DEVICE_PFN));
    assertNull(m.mm.mmzone().section(DEV).zone);
    assertEquals(16, distinctFrames(m, DEVICE_PFN, 16));
    assertEquals(16, m.mm.vmstat().nrMemmapPages());
    assertTrue(m.vmemmap.mayPoison(DEVICE_PFN));
  }

  private static void assertOrdinary(SmallMachine m) {
    assertEquals(0, add(m, DEVICE_PFN, SECTION, ORDER_2M));
    assertEquals(0, order(m, DEVICE_PFN));
    assertEquals(SECTION_VPAGES, distinctFrames(m, DEVICE_PFN, SECTION_VPAGES));
  }

  /** Who cannot share: an altmap, and a walker that does not know of orders. Expect order 0. */
  @Test
  void sparseAddSection_cannotShare_staysOrdinary() {
    SmallMachine m = boot(Series.LAST);
    DevPagemap pgmap = m.device(DEVICE_PFN, SECTION, ORDER_2M);
    m.addSection(DEVICE_PFN, SECTION, m.altmap(DEVICE_PFN, SECTION, 0, 512), pgmap);
    assertTrue(m.vmemmap.populatesBySectionOrder());
    assertEquals(0, order(m, DEVICE_PFN));
    assertEquals(512, m.owned(Owner.ALTMAP));
    assertEquals(512, m.mm.vmstat().nrMemmapPages());

    SmallMachine other = boot(Series.LAST);
    other.arch.sectionOrders = false;
    assertOrdinary(other);
    assertFalse(other.vmemmap.populatesBySectionOrder());
    assertFalse(other.vmemmap.daxBySection());
    // Its order is 0, so the old formula of device memory counts: two for each compound page.
    assertEquals(2 * FOLIOS, other.mm.vmstat().nrMemmapPages());
  }

  /** Struct pages that are no power of two. Expect no order, before and since patch 49. */
  @ParameterizedTest
  @ValueSource(ints = {48, 49})
  void sparseAddSection_oddStructPage_staysOrdinary(int patches) {
    SmallMachine m =
        boot(config().withSeries(Series.at(patches)).withSizeofStructPage(80));

    assertEquals(0, add(m, DEVICE_PFN, SECTION, ORDER_2M));

    assertEquals(0, order(m, DEVICE_PFN));
    assertEquals(640, m.mm.vmstat().nrMemmapPages());
  }

  /** An architecture that does not ask for it. Expect order 0 until patch 44 asks no more. */
  @Test
  void sparseAddSection_unwanted_sharesSincePatch44() {
    MmConfig unwanted = config().toBuilder().archWantOptimizeDaxVmemmap(false).build();

    assertOrdinary(boot(unwanted.withSeries(Series.at(43))));

    SmallMachine m = boot(unwanted.withSeries(Series.at(44)));
    add(m, DEVICE_PFN, SECTION, ORDER_2M);
    assertEquals(ORDER_2M, order(m, DEVICE_PFN));
  }

  /** The order of the caller and that of the device differ. Expect the caller's since patch 46. */
  @Test
  void sparseAddSection_orderOfTheCaller_countsSincePatch46() {
    for (int patches : new int[] {45, 46}) {
      SmallMachine m = boot(patches);
      Zone zone = m.zone(0, ZoneType.ZONE_MOVABLE);

      m.vmemmap.sparseAddSection(0, DEVICE_PFN, SECTION, null, null, ORDER_2M, zone);

      assertEquals(patches == 45 ? 0 : ORDER_2M, order(m, DEVICE_PFN));
      assertSame(patches == 45 ? null : zone, m.mm.mmzone().section(DEV).zone);
      assertEquals(
          patches == 45 ? SECTION_VPAGES : FOLIOS, m.mm.vmstat().nrMemmapPages());
    }
  }

  /** Patch 34 before tails are read-only. Expect the loop of device memory, one frame a folio. */
  @ParameterizedTest
  @ValueSource(ints = {34, 36})
  void populateCompound_patch34_sharesOneTail(int patches) {
    SmallMachine m = boot(patches);
    long dev = m.memmap(DEVICE_PFN);

    assertEquals(0, add(m, DEVICE_PFN, SECTION, ORDER_2M));

    assertEquals(FOLIOS + 1, distinctFrames(m, DEVICE_PFN, SECTION_VPAGES));
    assertEquals(tail(m, ORDER_2M), m.frame(dev + PAGE));
    assertTrue(writable(m, dev + PAGE));
    assertEquals(1 + 7 * FOLIOS, m.refcount(tail(m, ORDER_2M)));
    assertEquals(FOLIOS, m.mm.vmstat().nrMemmapPages());
    assertEquals(List.of(m.memmap(DEVICE_PFN)), m.arch.populated);
  }

  /** The same without memory for the tail, or for a head. Expect -ENOMEM and no trace. */
  @Test
  void populateCompound_patch34NoMemory_returnsEnomem() {
    SmallMachine m = boot(34);
    m.failNth(1, "vmemmap_get_tail");
    assertEquals(-Errno.ENOMEM, add(m, DEVICE_PFN, SECTION, ORDER_2M));
    assertEquals(-1, m.level(m.memmap(DEVICE_PFN)));
    assertEquals(0, order(m, DEVICE_PFN));

    m.failNth(9, "vmemmap_alloc_block");
    assertEquals(-Errno.ENOMEM, add(m, DEVICE_PFN, SECTION, ORDER_2M));
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertEquals(List.of(), m.arch.populated);
  }

  /** Before patch 34 device memory keeps to itself. Expect two frames each, no order. */
  @Test
  void populateCompound_patch33_sharesWithinTheFolio() {
    SmallMachine m = boot(33);

    add(m, DEVICE_PFN, SECTION, ORDER_2M);

    assertEquals(0, order(m, DEVICE_PFN));
    assertEquals(2 * FOLIOS, distinctFrames(m, DEVICE_PFN, SECTION_VPAGES));
    assertEquals(2 * FOLIOS, m.mm.vmstat().nrMemmapPages());
  }

  /** The device's loop before and since patch 5. Expect the architecture to hear of it since. */
  @Test
  void populateCompound_patch5_tellsTheArchitecture() {
    for (int patches : new int[] {4, 5}) {
      SmallMachine m = boot(patches);
      add(m, DEVICE_PFN, SECTION, ORDER_2M);
      m.addSection(DEVICE_PFN + SECTION, SECTION, null, null);

      List<Long> heard = patches == 4 ? List.of() : List.of(m.memmap(DEVICE_PFN));
      assertEquals(heard, m.arch.populated);
    }
  }

  // ---- the shared tail ----

  /** No memory for the tail, since device memory has no loop of its own. Expect -ENOMEM. */
  @Test
  void vmemmapPtePopulate_noTail_returnsEnomem() {
    SmallMachine m = boot(Series.LAST);
    m.failAll("vmemmap_get_tail");

    assertEquals(-Errno.ENOMEM, add(m, DEVICE_PFN, SECTION, ORDER_2M));
    assertEquals(0, m.sectionMemMap(DEV));
    assertEquals(0, order(m, DEVICE_PFN));
    assertEquals(-1, m.level(m.memmap(DEVICE_PFN)));
  }

  /** Another CPU makes the tail meanwhile. Expect its frame to be used and the own one freed. */
  @Test
  void vmemmapGetTail_lostRace_usesTheWinners() {
    SmallMachine m = boot(Series.LAST);
    long other = m.vmemmap.vmemmapAllocBlock(PAGE, 0);
    Page winner = m.mm.model().virtToPage(other);
    Zone zone = device(m);
    m.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.contains("vmemmap_tails")) {
                zone.vmemmapTails[2] = winner;
              }
            });
    long free = m.owned(Owner.BUDDY);

    assertEquals(winner, m.vmemmap.vmemmapSharedTailPage(ORDER_2M, zone));

    assertSame(winner, zone.vmemmapTails[2]);
    assertEquals(free, m.owned(Owner.BUDDY));
    assertEquals(0, m.owned(Owner.SHARED_TAIL));
  }

  /** Nobody is in the way. Expect the frame that was made, and the same the second time. */
  @Test
  void vmemmapSharedTailPage_twice_isTheSame() {
    SmallMachine m = boot(Series.LAST);

    Page tail = m.vmemmap.vmemmapSharedTailPage(ORDER_2M, device(m));

    assertNotNull(tail);
    assertEquals(tail, m.vmemmap.vmemmapSharedTailPage(ORDER_2M, device(m)));
    assertSame(tail, device(m).vmemmapTails[2]);
    assertEquals(1, m.owned(Owner.SHARED_TAIL));
  }

  /**
   * A tail is made before and since patch 24. Expect zeros, then tails of the order and zone in all
   * 64 places.
   */
  @Test
  void vmemmapGetTail_patch24_holdsTails() {
    SmallMachine before = boot(23);
    long zeros = before.mm.model().pageAddress(sharedTail(before));
    assertEquals(0, before.machine.cpu().readLong(zeros + 8));
    assertEquals(0, before.machine.cpu().readLong(zeros + PAGE - 56));

    SmallMachine m = boot(24);
    long page = m.mm.model().pageAddress(sharedTail(m));
    long info = m.mm.flags().compoundInfo(m.mm.model().pfnToPage(DEVICE_PFN), ORDER_2M);
    assertEquals(info, m.machine.cpu().readLong(page + 8));
    assertEquals(info, m.machine.cpu().readLong(page + PAGE - 56));
    assertSame(device(m), m.mm.inline().pageZone(new Page(page + PAGE - 64)));
  }

  private static Page sharedTail(SmallMachine m) {
    return Objects.requireNonNull(m.vmemmap.vmemmapSharedTailPage(ORDER_2M, device(m)));
  }

  /** Until patch 35 a section knows no zone. Expect that of devices; then the one recorded. */
  @Test
  void sectionSharedTail_recordedZone_winsSincePatch35() {
    Zone recorded = null;
    for (int patches : new int[] {34, 35}) {
      SmallMachine m = boot(patches);
      Zone movable = m.zone(0, ZoneType.ZONE_MOVABLE);
      m.sparse.sparseIndexInit(DEV, 0);
      m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, ORDER_2M);
      m.vmemmap.sectionSetZoneRange(DEVICE_PFN, SECTION, movable);
      recorded = patches == 34 ? device(m) : movable;

      Page tail = m.vmemmap.sectionSharedTail(m.memmap(DEVICE_PFN), 0);

      assertNotNull(tail);
      assertSame(tail, recorded.vmemmapTails[2]);
    }
  }

  // ---- orders ----

  /** Orders of ranges. Expect whole sections only, all of them, and the zone to go with the order. */
  @Test
  void sectionSetOrderRange_wholeSections_setsAll() {
    SmallMachine m = boot(Series.LAST);
    m.sparse.sparseIndexInit(DEV, 0);

    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SUBSECTION, ORDER_2M);
    m.vmemmap.sectionSetOrderRange(DEVICE_PFN + SUBSECTION, SECTION, ORDER_2M);
    m.vmemmap.sectionSetZoneRange(DEVICE_PFN, SECTION, device(m));
    assertEquals(0, order(m, DEVICE_PFN));
    assertNull(m.mm.mmzone().section(DEV).zone);

    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, 2 * SECTION, ORDER_2M);
    m.vmemmap.sectionSetZoneRange(DEVICE_PFN, 2 * SECTION, device(m));
    assertEquals(ORDER_2M, order(m, DEVICE_PFN + 2 * SECTION - 1));
    assertEquals(0, order(m, DEVICE_PFN + 2 * SECTION));
    assertSame(device(m), m.mm.mmzone().section(DEV + 1).zone);

    Zone movable = m.zone(0, ZoneType.ZONE_MOVABLE);
    m.vmemmap.sectionSetZoneRange(DEVICE_PFN, SECTION, movable);
    assertSame(movable, m.mm.mmzone().section(DEV).zone);
    assertSame(device(m), m.mm.mmzone().section(DEV + 1).zone);

    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, 0);
    assertNull(m.mm.mmzone().section(DEV).zone);
    assertSame(device(m), m.mm.mmzone().section(DEV + 1).zone);
    assertEquals(List.of(), m.warnings());
  }

  /** A section gets another order while it has one. Expect the warning; not for the same. */
  @Test
  void sectionSetOrderRange_otherOrder_warns() {
    SmallMachine m = boot(Series.LAST);
    m.sparse.sparseIndexInit(DEV, 0);
    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, ORDER_2M);
    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, ORDER_2M);
    assertEquals(List.of(), m.warnings());

    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, ORDER_1G);

    assertEquals(
        List.of("section_set_order: order && ms->order && ms->order != order"), m.warnings());
  }

  /** Before patch 22 sections have no order. Expect nothing to change. */
  @Test
  void sectionSetOrderRange_beforePatch22_doesNothing() {
    SmallMachine m = boot(21);
    m.sparse.sparseIndexInit(DEV, 0);

    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, ORDER_2M);

    assertEquals(0, order(m, DEVICE_PFN));
  }

  /** An order alone, before patch 25 looks at it. Expect a memmap like any other. */
  @Test
  void vmemmapPopulate_orderBeforePatch25_isNotLookedAt() {
    for (int patches : new int[] {24, 25}) {
      SmallMachine m = boot(patches);
      m.sparse.sparseIndexInit(DEV, 0);
      m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, ORDER_2M);

      assertNotNull(m.vmemmap.populateSectionMemmap0(DEVICE_PFN, SECTION, 0, null, null));

      assertEquals(patches == 24 ? 1 : 0, m.level(m.memmap(DEVICE_PFN)));
      assertEquals(patches != 24, m.vmemmap.sharesTails(DEVICE_PFN));
      assertEquals(
          patches == 24 ? SECTION_VPAGES : FOLIOS + 1,
          distinctFrames(m, DEVICE_PFN, SECTION_VPAGES));
    }
  }

  /** A leaf lies where the section's tails should be shared. Expect a warning and -EOPNOTSUPP. */
  @Test
  void vmemmapPopulateHugepages_leafInOptimizableSection_isRefused() {
    SmallMachine m = boot(Series.LAST);
    long dev = m.memmap(DEVICE_PFN);
    m.vmemmap.vmemmapPopulateHugepages(dev, dev + MIB, 0, null);
    m.sparse.sparseIndexInit(DEV, 0);
    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, ORDER_2M);

    assertEquals(
        -Errno.EOPNOTSUPP, m.vmemmap.vmemmapPopulateHugepages(dev, dev + MIB, 0, null));
    assertEquals(
        List.of("vmemmap_populate_hugepages: leaf in optimizable section"), m.warnings());
  }

  /** A folio of several sections is counted at once. Expect the check until patch 42 only. */
  @Test
  void sectionVmemmapPages_wholeFolio_isAllowedSincePatch42() {
    for (int patches : new int[] {41, 42}) {
      SmallMachine m = boot(patches);
      m.sparse.sparseIndexInit(DEV, 0);
      m.vmemmap.sectionSetOrderRange(DEVICE_PFN, 8 * SECTION, ORDER_1G);

      assertEquals(1, m.vmemmap.sectionVmemmapPages(DEVICE_PFN, SECTION));
      assertEquals(List.of(), m.warnings());
      assertEquals(1, m.vmemmap.sectionVmemmapPages(DEVICE_PFN, 8 * SECTION));

      assertEquals(patches == 41 ? 1 : 0, m.warnings().size());
    }
  }

  /**
   * Half of a compound page that is as large as a section. Expect it to count by where it begins:
   * all of the page of its own for the first half, nothing for the second.
   */
  @Test
  void sectionVmemmapPageStructs_halfOfAFolioOfASection_countsByItsBeginning() {
    SmallMachine m = boot(Series.LAST);
    m.sparse.sparseIndexInit(DEV, 0);
    m.vmemmap.sectionSetOrderRange(DEVICE_PFN, SECTION, m.mm.mmzone().pfnSectionShift());

    long half = SECTION / 2;
    assertEquals(64, m.vmemmap.sectionVmemmapPageStructs(DEVICE_PFN, half));
    assertEquals(0, m.vmemmap.sectionVmemmapPageStructs(DEVICE_PFN + half, half));
  }

  /** An ordinary range larger than a section. Expect its pages, rounded up, without a word. */
  @Test
  void sectionVmemmapPages_ordinary_roundsUp() {
    SmallMachine m = boot(41);

    assertEquals(2 * SECTION_VPAGES, m.vmemmap.sectionVmemmapPages(DEVICE_PFN, 2 * SECTION));
    assertEquals(1, m.vmemmap.sectionVmemmapPages(DEVICE_PFN, 1));
    assertEquals(2, m.vmemmap.sectionVmemmapPages(DEVICE_PFN, 65));
    assertEquals(List.of(), m.warnings());
  }

  // ---- boot ----

  /** What HugeTLB does at boot since patch 28: an order for the sections of its pages. */
  private static SmallMachine bootWithOrder(int patches, @Nullable Runnable then) {
    SmallMachine m =
        new SmallMachine(config().withSeries(Series.at(patches)), new Ram(0, 384 * MIB, 0));
    m.memblock.memblockReserve(128 * MIB, 128 * MIB);
    m.memblock.memblockReservedMarkNoinit(128 * MIB, 128 * MIB);
    m.mmInit.setHugetlbHooks(
        new HugetlbBootHooks() {
          @Override
          public void hugetlbCmaReserve() {}

          @Override
          public void hugetlbBootmemAlloc() {
            m.vmemmap.sectionSetOrderRange(SECTION, SECTION, ORDER_2M);
            if (then != null) {
              then.run();
            }
          }

          @Override
          public void hugetlbBootmemStructPageInit() {}
        });
    return m.boot();
  }

  /**
   * Section 1 of three holds hugepages from boot on.
   *
   * <pre>
   *   section   0            1                       2
   *            |leaf|leaf| [f0][T]..[T][f1][T].. |leaf|leaf|
   * </pre>
   *
   * Expect 64 frames and a tail of the zone that spans it, no reference taken for the entries, the
   * heads initialised and the tails finding them.
   */
  @ParameterizedTest
  @ValueSource(ints = {28, 37, 38, 49})
  void sparseInit_sectionWithOrder_sharesTheTailOfItsZone(int patches) {
    SmallMachine m = bootWithOrder(patches, null);
    Zone zone = m.zone(0, ZoneType.ZONE_DMA32);

    assertEquals(1, m.level(m.memmap(0)));
    assertEquals(0, m.level(m.memmap(SECTION)));
    assertEquals(1, m.level(m.memmap(2 * SECTION)));
    assertEquals(FOLIOS + 1, distinctFrames(m, SECTION, SECTION_VPAGES));
    assertEquals(2 * SECTION_VPAGES + FOLIOS, m.mm.vmstat().nrMemmapBootPages());
    Page tail = Objects.requireNonNull(zone.vmemmapTails[2]);
    assertEquals(m.mm.model().pageToPfn(tail), m.frame(m.memmap(SECTION) + PAGE));
    assertEquals(1, m.mm.struct().refcount(tail));
    assertEquals(patches < 38, writable(m, m.memmap(SECTION) + PAGE));
    Page some = m.mm.model().pfnToPage(SECTION + 512 + 200);
    assertEquals(m.mm.model().pfnToPage(SECTION + 512), m.mm.flags().compoundHead(some));
    assertSame(zone, m.mm.inline().pageZone(some));
    assertSame(zone, m.mm.inline().pageZone(m.mm.model().pfnToPage(SECTION + 512 + 63)));
    assertEquals(List.of(), m.warnings());
  }

  /** The hook's second half, which patch 16 takes away. Expect it until 15 only, once a node. */
  @Test
  void sparseVmemmapInitNidLate_patch16_isNotCalled() {
    for (int patches : new int[] {10, 13, 15, 16}) {
      SmallMachine m =
          new SmallMachine(
              config().withSeries(Series.at(patches)),
              new Ram(0, 128 * MIB, 0),
              new Ram(128 * MIB, 256 * MIB, 1));
      List<String> calls = new ArrayList<>();
      m.vmemmap.setEarlyHook(
          new EarlyHook() {
            @Override
            public void hugetlbVmemmapInitEarly(int nid) {
              calls.add("early " + nid);
            }

            @Override
            public void hugetlbVmemmapInitLate(int nid) {
              calls.add("late " + nid);
            }
          });

      m.boot();

      List<String> wanted =
          switch (patches) {
            case 10 -> List.of("early 0", "early 1", "late 0", "late 1");
            case 16 -> List.of("early 0", "early 1");
            default -> List.of("early 0", "late 0", "early 1", "late 1");
          };
      assertEquals(wanted, calls, "series=" + patches);
    }
  }
}
