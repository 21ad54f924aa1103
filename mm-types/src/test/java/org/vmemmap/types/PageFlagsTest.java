// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
}
