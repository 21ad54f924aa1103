// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.machine.MachineFault;

/** Page flags, node and zone in word 0, page types and reference counts. */
class PageFlagsTest {
  private final Mm mm = TestMm.debian();
  private final Page page = mm.model().pfnToPage(100);
  private final PageFlags flags = mm.flags();
  private final PageRef refs = mm.refs();

  /** Node and zone at the ends of their ranges. Expect each to keep the others and the flags. */
  @ParameterizedTest
  @CsvSource({
    "0, ZONE_DMA, 0000000000000000",
    "0, ZONE_DEVICE, 0020000000000000",
    "1, ZONE_NORMAL, 0050000000000000",
    "1023, ZONE_MOVABLE, ffd8000000000000",
  })
  void setPageLinks_nodeAndZone_packWordZero(int node, ZoneType zone, String word) {
    long low = (1L << 51) - 1;
    mm.struct().setFlags(page, -1L);

    mm.inline().setPageLinks(page, zone, node);

    assertEquals(Long.parseUnsignedLong(word, 16) | low, mm.struct().flags(page));
    assertEquals(zone, mm.inline().pageZonenum(page));
    assertEquals(node, mm.inline().nid(mm.struct().flags(page)));
  }

  /** A fresh struct page has all ones in last_cpupid. Expect the captured word. */
  @Test
  void initialFlags_deviceZone_isTheCapturedWord() {
    assertEquals(0x27_ffff_c000_0000L, mm.inline().initialFlags(ZoneType.ZONE_DEVICE, 0));
    mm.struct().setFlags(page, 0);
    mm.inline().pageCpupidResetLast(page);
    assertEquals(0x7_ffff_c000_0000L, mm.struct().flags(page));
  }

  /** Flags one by one. Expect a bit to come and go without the others. */
  @Test
  void setAndClear_oneFlag_keepsTheOthers() {
    flags.set(page, PageFlags.PG_RESERVED);
    flags.set(page, PageFlags.PG_HEAD);
    flags.clear(page, PageFlags.PG_HEAD);

    assertTrue(flags.pageReserved(page));
    assertFalse(flags.pageHead(page));
    assertFalse(flags.pageCompound(page));
    assertEquals(0x2000, mm.struct().flags(page));
  }

  /** A page type needs an unused mapcount. Expect the type, and bugs for misuse. */
  @Test
  void setType_usedAndOther_areBugs() {
    mm.struct().setPageType(page, -1);

    flags.setType(page, PageFlags.PGTY_BUDDY);
    flags.setType(page, PageFlags.PGTY_BUDDY);

    assertTrue(flags.pageBuddy(page));
    assertThrows(KernelBug.class, () -> flags.setType(page, PageFlags.PGTY_HUGETLB));
    assertThrows(KernelBug.class, () -> flags.clearType(page, PageFlags.PGTY_HUGETLB));
    flags.clearType(page, PageFlags.PGTY_BUDDY);
    flags.clearType(page, PageFlags.PGTY_BUDDY);
    assertEquals(-1, mm.struct().pageType(page));
  }

  /** PageHuge() looks at the head. Expect it for a tail too. */
  @Test
  void pageHuge_ofTail_looksAtTheHead() {
    Page head = mm.model().pfnToPage(512);
    Page tail = mm.model().pfnToPage(600);
    mm.struct().setPageType(head, -1);
    flags.setType(head, PageFlags.PGTY_HUGETLB);
    flags.setCompoundHead(tail, head, 9);

    assertTrue(flags.pageHuge(tail));
    assertTrue(flags.folioTestHugetlb(flags.pageFolio(tail)));
    assertEquals(tail, flags.folioPage(flags.pageFolio(tail), 88));
  }

  /** References: taken on the head, dropped to zero, frozen and unfrozen. */
  @Test
  void references_takeDropFreeze_countAsInTheKernel() {
    Page head = mm.model().pfnToPage(512);
    Page tail = mm.model().pfnToPage(513);
    flags.setCompoundHead(tail, head, 9);
    refs.initPageCount(head);

    refs.getPage(tail);
    assertEquals(2, refs.folioRefCount(new Folio(head)));
    assertFalse(refs.putPageTestzero(head));
    assertFalse(refs.pageRefFreeze(head, 2));
    assertTrue(refs.pageRefFreeze(head, 1));
    assertEquals(0, refs.pageRefCount(head));
    refs.pageRefUnfreeze(head, 3);
    refs.pageRefAdd(head, -2);
    assertTrue(refs.putPageTestzero(head));
  }

  /** References of a page that has none, and unfreezing one that is not frozen. Expect bugs. */
  @Test
  void references_misused_areBugs() {
    assertThrows(KernelBug.class, () -> refs.getPage(page));
    assertThrows(KernelBug.class, () -> refs.putPageTestzero(page));
    refs.setPageCount(page, 1);
    assertThrows(KernelBug.class, () -> refs.pageRefUnfreeze(page, 1));
    refs.setPageCount(page, -127);
    assertThrows(KernelBug.class, () -> refs.getPage(page));
  }

  /** Pointers that are error codes. */
  @Test
  void err_negativeCode_isAPointerInTheLastPage() {
    Page err = Page.err(-Errno.ENOMEM);

    assertTrue(err.isErr());
    assertEquals(-12, err.ptrErr());
    assertEquals("-ENOMEM", Errno.name(err.ptrErr()));
    assertEquals("-99", Errno.name(-99));
    assertFalse(page.isErr());
    assertFalse(new Page(-4096).isErr());
  }

  /** Flags of a kernel with and without those of the architecture. Expect masks of all that are. */
  @Test
  void pageflagsMask_archFlags_areOnTop() {
    PageFlags plain = flagsOf(false, false);
    PageFlags both = flagsOf(true, true);
    PageFlags third = flagsOf(false, true);

    assertEquals(24, plain.nrPageflags());
    assertEquals(26, both.nrPageflags());
    assertEquals((1L << 24) - 1, plain.pageflagsMask());
    assertEquals((1L << 26) - 1, both.pageflagsMask());
    assertEquals((1L << 24) - 1 - (1L << PageFlags.PG_HWPOISON), plain.pageFlagsCheckAtPrep());
    assertEquals(-1, plain.pgArch2());
    assertEquals(-1, plain.pgArch3());
    assertEquals(24, both.pgArch2());
    assertEquals(25, both.pgArch3());
    assertEquals(24, third.pgArch3());
  }

  private static PageFlags flagsOf(boolean pgArch2, boolean pgArch3) {
    MmConfig config =
        MmConfig.debianX86().toBuilder().pgArch2(pgArch2).pgArch3(pgArch3).build();
    return TestMm.with(config).flags();
  }

  /** A page with no flags and no type. Expect no to each question. */
  @Test
  void predicates_freshPage_areAllFalse() {
    mm.struct().setPageType(page, -1);

    assertFalse(flags.pageReserved(page) || flags.pageBuddy(page) || flags.pageHuge(page));
    assertFalse(flags.folioTestHugetlb(new Folio(page)) || flags.pageVmemmapSelfHosted(page));
    flags.set(page, PageFlags.PG_OWNER_PRIV_1);
    assertTrue(flags.pageVmemmapSelfHosted(page));
  }

  /** A flag is set twice, and one bit above 31. Expect it set once, and the others as they were. */
  @Test
  void set_twice_isSetOnce() {
    mm.struct().setFlags(page, 1L << 40);
    flags.set(page, PageFlags.PG_HEAD);
    flags.set(page, PageFlags.PG_HEAD);

    assertEquals(1L << 40 | 1L << PageFlags.PG_HEAD, mm.struct().flags(page));
    flags.set(page, 35);
    assertEquals(1L << 40 | 1L << 35 | 1L << PageFlags.PG_HEAD, mm.struct().flags(page));
    flags.clear(page, 40);
    assertEquals(1L << 35 | 1L << PageFlags.PG_HEAD, mm.struct().flags(page));
  }

  /** A page without references, and one with. Expect a speculative reader to get only the second. */
  @Test
  void folioTryGet_withoutReferences_fails() {
    assertFalse(refs.folioTryGet(new Folio(page)));
    assertEquals(0, refs.pageRefCount(page));
    refs.setPageCount(page, 5);
    assertTrue(refs.folioTryGet(new Folio(page)));
    assertEquals(6, refs.pageRefCount(page));
    assertTrue(refs.pageRefAddUnlessZero(page, 4));
    assertEquals(10, refs.pageRefCount(page));
  }

  /** last_cpupid of NUMA balancing. Expect the old value, the new one, and all else unchanged. */
  @Test
  void folioXchgLastCpupid_givesTheOldOne() {
    mm.inline().setPageLinks(page, ZoneType.ZONE_DEVICE, 5);
    mm.inline().pageCpupidResetLast(page);
    flags.set(page, PageFlags.PG_HEAD);
    Folio folio = new Folio(page);
    long links = mm.struct().flags(page) & ~(0x1f_ffffL << 30);

    assertEquals(0x1f_ffff, mm.inline().folioXchgLastCpupid(folio, 0x1234));
    assertEquals(0x1234, mm.inline().folioXchgLastCpupid(folio, 0x3f_ffff));
    assertEquals(0x1f_ffff, mm.inline().folioXchgLastCpupid(folio, 7));
    assertEquals(links | 7L << 30, mm.struct().flags(page));
    assertEquals(5, mm.inline().folioNid(folio));
  }

  /** A zone by its bare number, as a fault would leave it. Expect a clear refusal of no zone. */
  @Test
  void setPageZonenum_numberOfNoZone_isFound() {
    mm.inline().setPageLinks(page, ZoneType.ZONE_DMA, 1023);
    mm.inline().setPageZonenum(page, 4);
    assertEquals(ZoneType.ZONE_DEVICE, mm.inline().pageZonenum(page));
    assertEquals(1023, mm.inline().pageToNid(page));

    mm.inline().setPageZonenum(page, 5);
    MachineFault fault =
        assertThrows(MachineFault.class, () -> mm.inline().pageZonenum(page));
    assertEquals("no-such-zone", fault.rule());
    mm.inline().setPageZonenum(page, 7);
    assertThrows(MachineFault.class, () -> mm.inline().pageZonenum(page));
  }

  /** A struct page is cleared. Expect zeroes up to its end, and the neighbour untouched. */
  @Test
  void mmZeroStructPage_one_isZero() {
    Page next = mm.struct().add(page, 1);
    mm.struct().setWord(page, StructPage.FLAGS, -1);
    mm.struct().setWord(page, StructPage.MEMCG_DATA, -1);
    mm.struct().setWord(next, StructPage.FLAGS, -1);

    mm.struct().mmZeroStructPage(page);

    assertEquals(0, mm.struct().flags(page));
    assertEquals(0, mm.struct().word(page, StructPage.MEMCG_DATA));
    assertEquals(-1, mm.struct().flags(next));
    assertEquals(page, mm.struct().ofLru(mm.struct().lru(page)));
  }

  /** SECTIONS_MASK and its neighbours. Expect the width's bits; with a vmemmap no section is kept. */
  @Test
  void pageFlagsLayout_masks_followTheWidths() {
    PageFlagsLayout layout = new PageFlagsLayout(19, 45, 3, 42, 2, 40, 0, 0);
    assertEquals(0x7_ffff, layout.sectionsMask());
    assertEquals(7, layout.nodesMask());
    assertEquals(3, layout.zonesMask());
    assertEquals(0, mm.inline().pageFlagsLayout().sectionsMask());
  }

  /** The bits of node and zone. Expect them on top, and no node bits in a kernel of one node. */
  @Test
  void linkBits_nodeAndZone_areOnTop() {
    Mm one = TestMm.with(MmConfig.debianX86().toBuilder().nodesShift(0).build());

    assertEquals(0xfff8_0000_0000_0000L, mm.inline().linkBits());
    assertEquals(0xe000_0000_0000_0000L, one.inline().linkBits());
  }

  /** A zone number that was computed. Expect the three zone bits to change, and no others. */
  @Test
  void setPageZonenum_number_changesTheZoneOnly() {
    mm.struct().setFlags(page, -1L);
    mm.inline().setPageZonenum(page, 5);
    assertEquals(-1L & ~(2L << 51), mm.struct().flags(page));

    mm.struct().setFlags(page, 0x7_ffff_c000_2040L);
    mm.inline().setPageZonenum(page, 2);
    assertEquals(0x7_ffff_c000_2040L | 2L << 51, mm.struct().flags(page));
    mm.inline().setPageZonenum(page, 0);
    assertEquals(0x7_ffff_c000_2040L, mm.struct().flags(page));
  }
}
