// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sections, subsections, and the numbers that follow from the configuration. */
class MmzoneTest {
  private static final long EARLY = 0xf;
  private static final long HOTPLUGGED = 0x3;

  private final Mmzone mmzone = TestMm.debian().mmzone();

  /** x86-64 with 4 levels. Expect the numbers of the Debian kernel. */
  @Test
  void numbers_debianX86_areTheKernels() {
    assertEquals(15, mmzone.pfnSectionShift());
    assertEquals(32768, mmzone.pagesPerSection());
    assertEquals(512, mmzone.pagesPerSubsection());
    assertEquals(64, mmzone.subsectionsPerSection());
    assertEquals(1L << 19, mmzone.nrMemSections());
    assertEquals(128, mmzone.sectionsPerRoot());
    assertEquals(4096, mmzone.nrSectionRoots());
    assertEquals(512, mmzone.pageblockNrPages());
    assertEquals(512, mmzone.sectionBlockflagsBits());
    assertEquals(88, mmzone.memSectionUsageSize());
    assertEquals(22, mmzone.maxFolioOrder());
    assertEquals(256L << 20, mmzone.maxFolioVmemmapAlign());
  }

  /**
   * The smallest order whose struct pages fill two pages, and how many shared tails a zone can have.
   * Expect 7 and 16 with 4K pages: the smallest folio that HVO can shrink has 512 KiB.
   */
  @ParameterizedTest
  @CsvSource({"12, 7, 16", "14, 9, 12", "16, 11, 8"})
  void vmemmapTails_byPageSize_areTheKernels(int pageShift, int minOrder, int slots) {
    OddPgtable arch = new OddPgtable(4, pageShift, 0, false);
    Mmzone other = TestMm.with(MmConfig.debianX86(), arch).mmzone();

    assertEquals(minOrder, other.vmemmapTailMinOrder());
    assertEquals(slots, other.nrVmemmapTails());
    assertEquals(34 - pageShift, other.maxFolioOrder());
  }

  /** The same against the captured kernel. */
  @Test
  void vmemmapTails_capturedKernel_isTheSame() throws IOException {
    JsonObject tails = TestMm.read("layout/x86-64.json").getAsJsonObject("tails");

    assertEquals(tails.get("minOrder").getAsInt(), mmzone.vmemmapTailMinOrder());
    assertEquals(tails.get("maxOrder").getAsInt(), mmzone.maxFolioOrder());
    assertEquals(tails.get("entries").getAsInt(), mmzone.nrVmemmapTails());
  }

  /** 512 KiB is the smallest folio whose struct pages fill two pages. */
  @Test
  void vmemmapTailMinOrder_4kPages_is512Kib() {
    assertEquals(512L << 10, 4096L << mmzone.vmemmapTailMinOrder());
  }

  /** pfns and sections of 128 MiB. */
  @Test
  void pfnToSectionNr_borders_areAlignedAsInTheKernel() {
    assertEquals(0, mmzone.pfnToSectionNr(32767));
    assertEquals(1, mmzone.pfnToSectionNr(32768));
    assertEquals(65536, mmzone.sectionNrToPfn(2));
    assertEquals(32768, mmzone.sectionAlignDown(65535));
    assertEquals(65536, mmzone.sectionAlignUp(32769));
    assertEquals(63, mmzone.subsectionMapIndex(32767));
    assertEquals(1, mmzone.subsectionMapIndex(32768 + 512));
    assertEquals(1, mmzone.sectionNrToRoot(128));
  }

  /** A section whose root was never allocated. Expect null, and a bug where it must exist. */
  @Test
  void nrToSection_noRoot_isNull() {
    assertNull(mmzone.nrToSection(5));
    assertNull(mmzone.nrToSection(mmzone.nrMemSections() + 5));
    assertNull(mmzone.pfnToSection(1));
    assertFalse(mmzone.hasRoot(0));
    assertFalse(mmzone.pfnValid(1));
    assertThrows(KernelBug.class, () -> mmzone.section(5));
  }

  /** The flag bits. Expect each predicate to follow its own. */
  @Test
  void predicates_flagBits_followTheirOwn() {
    MemSection early = section(0, EARLY);
    MemSection device = section(1, HOTPLUGGED | Mmzone.SECTION_TAINT_ZONE_DEVICE);
    MemSection preinit = section(2, 0x21);

    assertTrue(mmzone.presentSection(early) && mmzone.validSection(early));
    assertTrue(mmzone.onlineSection(early) && mmzone.earlySection(early));
    assertFalse(mmzone.onlineDeviceSection(early) || mmzone.preinitedVmemmapSection(early));
    assertFalse(mmzone.onlineSection(device) || mmzone.onlineDeviceSection(device));
    device.sectionMemMap |= Mmzone.SECTION_IS_ONLINE;
    assertTrue(mmzone.onlineDeviceSection(device));
    assertTrue(mmzone.preinitedVmemmapSection(preinit));
    assertFalse(mmzone.validSection(preinit));
    assertFalse(mmzone.presentSection(null) || mmzone.validSection(null));
    assertFalse(mmzone.earlySection(null) || mmzone.onlineSection(null));
  }

  /** An early section. Expect every pfn of it to be valid, even where no subsection is marked. */
  @Test
  void pfnValid_earlySection_isValidThroughout() {
    section(0, EARLY);

    assertTrue(mmzone.pfnValid(0));
    assertTrue(mmzone.pfnValid(32767));
    assertFalse(mmzone.pfnValid(32768));
  }

  /**
   * A device that has subsections 1 and 63 of a section.
   *
   * <pre>
   *   subsection  0   1   2  ...  62  63
   *               -   x   -       -   x
   * </pre>
   */
  @Test
  void pfnValid_partialSection_followsTheSubsections() {
    MemSection ms = section(1, HOTPLUGGED);
    usage(ms)[0] = 1L << 1 | 1L << 63;
    long start = 32768;

    assertFalse(mmzone.pfnValid(start));
    assertTrue(mmzone.pfnValid(start + 512));
    assertTrue(mmzone.pfnValid(start + 1023));
    assertFalse(mmzone.pfnValid(start + 1024));
    assertTrue(mmzone.pfnValid(start + 32767));
    assertFalse(mmzone.pfnOnline(start + 512));
    ms.sectionMemMap |= Mmzone.SECTION_IS_ONLINE;
    assertTrue(mmzone.pfnOnline(start + 512));
  }

  /** pfns that no memory can have, and one whose upper bits would be lost. Expect false. */
  @Test
  void pfnValid_impossiblePfns_isFalse() {
    section(0, EARLY);

    assertFalse(mmzone.pfnValid(1L << 34));
    assertFalse(mmzone.pfnValid(1L << 52));
    assertFalse(mmzone.pfnValid(-1));
  }

  /** The next valid pfn, in the same section, in the next, and behind the last. */
  @Test
  void firstValidPfn_partialSections_skipsTheHoles() {
    MemSection ms = section(1, HOTPLUGGED);
    usage(ms)[0] = 1L << 4;
    section(3, EARLY);
    mmzone.highestPresentSectionNr = 3;
    long end = 5 * 32768;

    assertEquals(32768 + 4 * 512, mmzone.firstValidPfn(0, end));
    assertEquals(3 * 32768, mmzone.firstValidPfn(32768 + 5 * 512, end));
    assertEquals(32768 + 4 * 512 + 1, mmzone.nextValidPfn(32768 + 4 * 512, end));
    assertEquals(3 * 32768, mmzone.nextValidPfn(32768 + 5 * 512 - 1, end));
    assertEquals(40000, mmzone.nextValidPfn(39999, 40000));
    assertEquals(end, mmzone.firstValidPfn(4 * 32768, end));
  }

  /** Sections present. Expect a walk in order, and -1 behind the last. */
  @Test
  void nextPresentSectionNr_sparse_skipsTheAbsent() {
    section(0, EARLY);
    section(5, EARLY);
    mmzone.highestPresentSectionNr = 5;

    assertEquals(0, mmzone.nextPresentSectionNr(-1));
    assertEquals(5, mmzone.nextPresentSectionNr(0));
    assertEquals(-1, mmzone.nextPresentSectionNr(5));
  }

  /** A kernel without PAGE_EXTENSION has smaller sections, so more of them in a root. */
  @Test
  void sectionsPerRoot_64kPages_is2048() {
    OddPgtable arch = new OddPgtable(4, 16, 0, false);

    assertEquals(2048, TestMm.with(MmConfig.debianX86(), arch).mmzone().sectionsPerRoot());
  }

  private MemSection section(long nr, long bits) {
    if (!mmzone.hasRoot(mmzone.sectionNrToRoot(nr))) {
      mmzone.setRoot(mmzone.sectionNrToRoot(nr));
    }
    MemSection ms = mmzone.section(nr);
    ms.sectionMemMap = bits;
    return ms;
  }

  private static long[] usage(MemSection ms) {
    MemSectionUsage usage = new MemSectionUsage(0, 64, 512);
    ms.usage = usage;
    return usage.subsectionMap();
  }

  /**
   * mem_section of a distribution's kernel with the series. Expect 24 bytes rounded to 32 before
   * patch 21 packed it, 8 more for the order since patch 22, and 8 less without PAGE_EXTENSION.
   */
  @ParameterizedTest
  @CsvSource({
    "20, true, 32", "21, true, 24", "22, true, 32", "20, false, 16", "21, false, 16",
    "22, false, 24",
  })
  void sizeofMemSection_bySeries_isTheKernels(int patches, boolean pageExtension, int size) {
    MmConfig config =
        MmConfig.debianX86().withSeries(Series.at(patches)).toBuilder()
            .pageExtension(pageExtension)
            .build();
    assertEquals(size, TestMm.with(config).mmzone().sizeofMemSection());
  }

  /**
   * Orders with struct pages of 64 and of 56 bytes. Expect the smallest to be two pages of memmap,
   * and since patch 49 none at all where tails cannot be masked.
   */
  @ParameterizedTest
  @CsvSource({
    "64, 49, 6, false", "64, 49, 7, true", "64, 48, 7, true", "56, 48, 7, true",
    "56, 49, 7, false", "56, 48, 6, false",
  })
  void vmemmapOptimizableOrder_bySizeAndSeries(int size, int patches, int order, boolean can) {
    MmConfig config =
        MmConfig.debianX86().withSizeofStructPage(size).withSeries(Series.at(patches));
    assertEquals(can, TestMm.with(config).mmzone().vmemmapOptimizableOrder(order));
  }

  /**
   * A section of order 9.
   *
   * <pre>
   *   pfn in the folio   0 .. 63            64 .. 511
   *                      the page it keeps  shared
   * </pre>
   *
   * Expect the pages behind the first 64 to be shared, in each folio, and none without an order or
   * with struct pages that cannot be masked.
   */
  @Test
  void vmemmapPageOptimizable_sectionOfHugepages_allButTheFirstPage() {
    section(1, EARLY);
    mmzone.section(1).order = 9;
    long start = 32768;

    assertEquals(64, mmzone.optimizedFolioVmemmapPageStructs());
    assertEquals(9, mmzone.pfnToSectionOrder(start + 5));
    assertEquals(0, mmzone.pfnToSectionOrder(3L << 30));
    assertFalse(mmzone.vmemmapPageOptimizable(start));
    assertFalse(mmzone.vmemmapPageOptimizable(start + 63));
    assertTrue(mmzone.vmemmapPageOptimizable(start + 64));
    assertTrue(mmzone.vmemmapPageOptimizable(start + 511));
    assertFalse(mmzone.vmemmapPageOptimizable(start + 512));
    section(2, EARLY);
    assertFalse(mmzone.vmemmapPageOptimizable(2 * start + 64));
    Mmzone odd = TestMm.with(MmConfig.debianX86().withSizeofStructPage(56)).mmzone();
    odd.setRoot(0);
    odd.section(1).order = 9;
    assertFalse(odd.vmemmapPageOptimizable(start + 64));
  }

  /** Numbers that are not at a section's start. Expect both roundings, and none at the start. */
  @Test
  void sectionAlign_upAndDown_areTheKernels() {
    assertEquals(32768, mmzone.sectionAlignUp(1));
    assertEquals(32768, mmzone.sectionAlignUp(32768));
    assertEquals(65536, mmzone.sectionAlignUp(32769));
    assertEquals(0, mmzone.sectionAlignDown(32767));
  }

  /** The first pfn that no section can have, and the last that one can. Expect no and yes. */
  @Test
  void pfnValid_lastSection_isTheLimit() {
    long last = mmzone.nrMemSections() - 1;
    mmzone.setRoot(mmzone.sectionNrToRoot(last));
    mmzone.section(last).sectionMemMap |= EARLY;

    assertTrue(mmzone.pfnValid(mmzone.sectionNrToPfn(last + 1) - 1));
    assertFalse(mmzone.pfnValid(mmzone.sectionNrToPfn(last + 1)));
  }

  /** Readers of a section's usage. Expect none to be left behind: a removal could never end. */
  @Test
  void pfnValid_done_leavesNoReader() {
    Mm mm = TestMm.debian();
    mm.mmzone().setRoot(0);
    List<String> freed = new ArrayList<>();

    assertFalse(mm.mmzone().pfnValid(1));
    mm.rcu().kfreeRcu(() -> freed.add("usage"));

    assertEquals(List.of("usage"), freed);
    assertEquals(0, mm.rcu().waiting());
  }

  /** Somebody still reads while a usage map is freed. Expect the free to wait for the last one. */
  @Test
  void kfreeRcu_readerInside_waits() {
    Rcu rcu = TestMm.debian().rcu();
    List<String> freed = new ArrayList<>();
    rcu.readLock();
    rcu.readLock();
    rcu.kfreeRcu(() -> freed.add("usage"));

    rcu.readUnlock();
    assertEquals(1, rcu.waiting());
    assertEquals(List.of(), freed);
    rcu.readUnlock();
    assertEquals(List.of("usage"), freed);
    assertEquals(0, rcu.waiting());
    assertThrows(KernelBug.class, rcu::readUnlock);
  }

  /** The search for a valid pfn behind the last section that is there, and of an empty range. */
  @Test
  void firstValidPfn_ends_areTheRanges() {
    MemSection ms = section(1, HOTPLUGGED);
    usage(ms)[0] = 1;
    mmzone.highestPresentSectionNr = 1;

    assertEquals(32768, mmzone.firstValidPfn(0, 65536));
    assertEquals(32768, mmzone.firstValidPfn(32768, 65536));
    assertEquals(32768, mmzone.firstValidPfn(0, 32768));
    assertEquals(65536, mmzone.firstValidPfn(32768 + 512, 65536));
    ms.usage = null;
    assertEquals(65536, mmzone.firstValidPfn(0, 65536));
  }

  /**
   * Online pfns: in a section that also holds a device the device's pfns are not online, and no pfn
   * is where there is no section.
   */
  @Test
  void pfnOnline_deviceInTheSection_isNotOnline() {
    MemSection ms = section(1, HOTPLUGGED | Mmzone.SECTION_IS_ONLINE);
    usage(ms)[0] = 3;
    long start = 32768;
    mmzone.setDevicePfns(pfn -> pfn >= start + 512);

    assertTrue(mmzone.pfnOnline(start + 512));
    ms.sectionMemMap |= Mmzone.SECTION_TAINT_ZONE_DEVICE;
    assertTrue(mmzone.pfnOnline(start));
    assertFalse(mmzone.pfnOnline(start + 512));
    assertFalse(mmzone.pfnOnline(start + 1024));
    assertFalse(mmzone.pfnOnline(mmzone.sectionNrToPfn(mmzone.nrMemSections())));
    assertFalse(mmzone.pfnOnline(5 * start));
  }

  /** The bitmaps of a section with 64 subsections and 512 bits. Expect 1 and 8 words, or 2 and 9. */
  @Test
  void memSectionUsage_bitmaps_roundUpToWords() {
    MemSectionUsage usage = new MemSectionUsage(0x1000, 64, 512);
    MemSectionUsage more = new MemSectionUsage(0x2000, 65, 513);

    assertEquals(0x1000, usage.va());
    assertEquals(1, usage.subsectionMap().length);
    assertEquals(8, usage.pageblockFlags().length);
    assertEquals(2, more.subsectionMap().length);
    assertEquals(9, more.pageblockFlags().length);
  }

  /** A search whose range ends before the section's first pfn in use. Expect the range's end. */
  @Test
  void firstValidPfn_behindTheRange_isTheEnd() {
    usage(section(1, HOTPLUGGED))[0] = 1L << 4;
    mmzone.highestPresentSectionNr = 1;

    assertEquals(32768, mmzone.firstValidPfn(0, 32768));
    section(0, EARLY);
    assertEquals(0, mmzone.firstValidPfn(0, 100));
  }

  /** A root of sections that was never made between two. Expect the search to pass over it. */
  @Test
  void nextPresentSectionNr_rootMissing_isSkipped() {
    section(0, EARLY);
    section(300, EARLY);
    mmzone.highestPresentSectionNr = 300;
    assertFalse(mmzone.hasRoot(1));

    assertEquals(300, mmzone.nextPresentSectionNr(0));
    assertEquals(300, mmzone.nextPresentSectionNr(200));
    section(256, EARLY);
    assertEquals(256, mmzone.nextPresentSectionNr(0));
    assertEquals(-1, mmzone.nextPresentSectionNr(300));
  }

  /** Sections of 256 MiB. Expect two words of subsections and sixteen of pageblocks. */
  @Test
  void memSectionUsageSize_largerSections_growsByWords() {
    MmConfig config = MmConfig.debianX86().toBuilder().sectionSizeBits(28).build();
    assertEquals(16 + 16 + 128, TestMm.with(config).mmzone().memSectionUsageSize());
  }

  /** A section that a device may be in, and no driver that knows. Expect its pfns to be online. */
  @Test
  void pfnOnline_nobodyKnowsDevices_isOnline() {
    MemSection ms =
        section(1, HOTPLUGGED | Mmzone.SECTION_IS_ONLINE | Mmzone.SECTION_TAINT_ZONE_DEVICE);
    usage(ms)[0] = 1;
    assertTrue(mmzone.pfnOnline(32768));
  }

  /** The subsections of a section are looked at. Expect others to be able to run before. */
  @Test
  void pfnSectionValid_usage_isReadBehindAYield() {
    Mm mm = TestMm.debian();
    mm.mmzone().setRoot(0);
    MemSection ms = mm.mmzone().section(1);
    ms.sectionMemMap = HOTPLUGGED;
    List<String> steps = new ArrayList<>();
    mm.machine().yields().listen((what, where) -> steps.add(what + " " + where));

    assertFalse(mm.mmzone().pfnSectionValid(ms, 32768));

    assertEquals(List.of("READ_ONCE ms->usage 32768"), steps);
  }
}
