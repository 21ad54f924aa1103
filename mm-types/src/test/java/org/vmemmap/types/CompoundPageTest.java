// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Heads and tails: both forms of compound_info, and the words of a prepared compound page. */
class CompoundPageTest {
  private static final int MAX_FOLIO_ORDER = 22;

  private final Mm mm = TestMm.debian();
  private final PageFlags flags = mm.flags();
  private final StructPage struct = mm.struct();

  static IntStream orders() {
    return IntStream.rangeClosed(1, MAX_FOLIO_ORDER);
  }

  /**
   * The mask form, for each order.
   *
   * <pre>
   *   order 9:  0xffffffffffff8001 = ones from bit 15 (9 + log2(64)), and the tail bit
   * </pre>
   */
  @Test
  void compoundInfo_maskForm_isTheCapturedWord() {
    assertTrue(flags.compoundInfoHasMask());
    assertEquals(0xffff_ffff_ffff_8001L, flags.compoundInfo(null, 9));
    assertEquals(0xffff_ffff_ff00_0001L, flags.compoundInfo(null, 18));
    assertEquals(0xffff_ffff_ffff_ff81L, flags.compoundInfo(null, 1));
  }

  /**
   * First, second and last tail of a compound page of each order, in the second such block of the
   * memmap. Expect its head.
   */
  @ParameterizedTest
  @MethodSource("orders")
  void compoundHead_maskForm_findsTheHead(int order) {
    long nr = 1L << order;
    Page head = mm.model().pfnToPage(nr);

    for (long i : List.of(1L, nr / 2, nr - 1)) {
      Page tail = struct.add(head, i);
      flags.setCompoundHead(tail, head, order);
      assertEquals(head, flags.compoundHead(tail));
      assertTrue(flags.pageTail(tail));
    }
    assertEquals(head, flags.compoundHead(head));
    assertFalse(flags.pageTail(head));
  }

  /** Branch-free and branching forms on each order, as tail and as head. Expect them to agree. */
  @ParameterizedTest
  @MethodSource("orders")
  void compoundHead_branchFree_equalsTheBranch(int order) {
    Page head = mm.model().pfnToPage(1L << order);
    Page tail = struct.add(head, (1L << order) - 1);

    for (Page page : List.of(head, tail)) {
      assertEquals(withBranch(page), flags.compoundHead(page));
      flags.setCompoundHead(page, head, order);
      assertEquals(withBranch(page), flags.compoundHead(page));
      flags.clearCompoundHead(page);
      assertEquals(page, flags.compoundHead(page));
    }
  }

  private Page withBranch(Page page) {
    long info = struct.compoundInfo(page);
    return (info & 1) == 0 ? page : new Page(page.va() & info);
  }

  /** struct pages of 56, 72 and 80 bytes are no power of two. Expect tails to hold pointers. */
  @ParameterizedTest
  @ValueSource(ints = {56, 72, 80})
  void compoundHead_otherSizes_usePointers(int size) {
    Mm other = TestMm.with(MmConfig.debianX86().withSizeofStructPage(size));
    Page head = other.model().pfnToPage(512);
    Page tail = other.struct().add(head, 511);

    other.flags().setCompoundHead(tail, head, 9);

    assertFalse(other.flags().compoundInfoHasMask());
    assertEquals(head.va() + 1, other.struct().compoundInfo(tail));
    assertEquals(head, other.flags().compoundHead(tail));
    assertEquals(head, other.flags().compoundHead(head));
    assertEquals(1023, other.model().pageToPfn(tail));
    assertEquals(0, other.mmzone().maxFolioVmemmapAlign());
  }

  /** A kernel without HVO has pointers even with 64 bytes; 64 bytes with HVO are masks. */
  @Test
  void compoundInfoHasMask_withoutHvo_isFalse() {
    Mm without = TestMm.with(MmConfig.debianX86().withHugetlbOptimizeVmemmap(false));

    assertFalse(without.flags().compoundInfoHasMask());
    assertEquals(1, without.flags().compoundInfo(null, 9));
    assertEquals(0, without.mmzone().maxFolioVmemmapAlign());
  }

  /**
   * A device page of order 9, prepared as memmap_init_compound() does: tails, then head. Expect the
   * captured words of tail1, tail2, tail3 and the others, bit for bit.
   */
  @Test
  void prepCompound_order9Device_hasTheCapturedWords() throws IOException {
    JsonObject range = deviceRange("x86-64/dax-hmem-2m.json");
    long startPfn = range.get("startPfn").getAsLong();
    Page head = mm.model().pfnToPage(startPfn);
    for (long i = 0; i < 512; i++) {
      initDevicePage(struct.add(head, i), i);
    }
    flags.set(head, PageFlags.PG_HEAD);

    mm.inline().prepCompoundHead(head, 9);

    for (JsonElement entry : range.getAsJsonArray("structPages")) {
      checkWords(head, entry.getAsJsonObject());
    }
    assertEquals(9, mm.inline().folioOrder(new Folio(head)));
    assertEquals(512, mm.inline().folioNrPages(new Folio(head)));
    assertEquals(List.of(), mm.printk().warnings());
  }

  private void initDevicePage(Page page, long index) {
    struct.mmZeroStructPage(page);
    struct.setFlags(page, mm.inline().initialFlags(ZoneType.ZONE_DEVICE, 0));
    flags.set(page, PageFlags.PG_RESERVED);
    struct.setMapcount(page, -1);
    struct.setRefcount(page, index == 0 ? 1 : 0);
    if (index > 0) {
      mm.inline().prepCompoundTail(page, null, 9);
    }
  }

  private void checkWords(Page head, JsonObject entry) {
    int first = Integer.parseInt(entry.get("at").getAsString().split("[,-]", 2)[0]);
    Page page = struct.add(head, first);
    JsonArray words = entry.getAsJsonArray("words");
    for (int i = 0; i < words.size(); i++) {
      String word = words.get(i).getAsString();
      String actual = "0x" + Long.toHexString(struct.word(page, 8 * i));
      String self = "self+0x" + Long.toHexString(struct.word(page, 8 * i) - page.va());
      String shown = word.startsWith("self") ? self : actual;
      assertEquals(word.equals("pgmap") ? shown : word, shown, "page " + first + " word " + i);
    }
  }

  private static JsonObject deviceRange(String file) throws IOException {
    for (JsonElement step : TestMm.read(file).getAsJsonArray("steps")) {
      JsonObject expect = step.getAsJsonObject().getAsJsonObject("expect");
      if (expect.has("ranges")) {
        return expect.getAsJsonArray("ranges").get(0).getAsJsonObject();
      }
    }
    throw new AssertionError(file + " has no ranges");
  }

  /** init_compound_tail() on zeroed memory. Expect node, zone, mapcount, mapping and mask. */
  @Test
  void initCompoundTail_zeroedMemory_setsWhatATailNeeds() {
    Zone zone = mm.nodes().nodeData(1).zone(ZoneType.ZONE_NORMAL);
    Page tail = mm.model().pfnToPage(513);

    mm.inline().initCompoundTail(tail, null, 9, zone);

    assertEquals(1, mm.inline().pageToNid(tail));
    assertEquals(ZoneType.ZONE_NORMAL, mm.inline().pageZonenum(tail));
    assertEquals(zone, mm.inline().pageZone(tail));
    assertEquals(-1, struct.mapcount(tail));
    assertEquals(0, struct.refcount(tail));
    assertEquals(mm.flags().tailMapping(), struct.mapping(tail));
    assertEquals(0xffff_ffff_ffff_8001L, struct.compoundInfo(tail));
  }

  /** An order-1 folio has no page 2. Expect it untouched. */
  @Test
  void prepCompoundHead_order1_leavesPage2Alone() {
    Page head = mm.model().pfnToPage(16);
    flags.set(head, PageFlags.PG_HEAD);

    mm.inline().prepCompoundHead(head, 1);

    assertEquals(0, struct.word(struct.add(head, 2), StructPage.DEFERRED_LIST));
    assertEquals(2, struct.half(struct.add(head, 1), StructPage.NR_PAGES));
  }

  /** A 56-byte struct page has no room for _nr_pages. Expect the next struct page untouched. */
  @Test
  void prepCompoundHead_56Bytes_writesNoNrPages() {
    Mm small = TestMm.with(MmConfig.debianX86().withSizeofStructPage(56));
    Page head = small.model().pfnToPage(16);
    small.flags().set(head, PageFlags.PG_HEAD);

    small.inline().prepCompoundHead(head, 1);

    assertEquals(0, small.struct().flags(small.struct().add(head, 2)));
    assertEquals(1, small.inline().folioOrder(new Folio(head)));
  }

  /** What folio_set_order() and prep_compound_tail() warn of. Expect each once. */
  @Test
  void warnings_badOrderAndDirtyTail_areRecorded() {
    Page head = mm.model().pfnToPage(16);
    Folio folio = new Folio(head);
    Page tail = struct.add(head, 5);
    struct.setPriv(tail, 1);

    mm.inline().folioSetOrder(folio, 3);
    flags.set(head, PageFlags.PG_HEAD);
    mm.inline().folioSetOrder(folio, MAX_FOLIO_ORDER);
    assertEquals(1, mm.printk().warnings().size());
    mm.inline().folioSetOrder(folio, 0);
    mm.inline().folioSetOrder(folio, MAX_FOLIO_ORDER + 1);
    mm.inline().prepCompoundTail(tail, head, 9);

    assertEquals(
        List.of(
            "folio_set_order: !order || !folio_test_large(folio)",
            "folio_set_order: order > MAX_FOLIO_ORDER",
            "prep_compound_tail: tail->private"),
        mm.printk().warnings());
  }

  /** page_to_nid() of a struct page that was never initialised, with DEBUG_VM. Expect a bug. */
  @Test
  void pageToNid_poisonedPage_isABug() {
    Page page = mm.model().pfnToPage(7);
    struct.pageInitPoison(page, struct.size());

    assertTrue(flags.pagePoisoned(page));
    KernelBug bug = assertThrows(KernelBug.class, () -> mm.inline().pageToNid(page));
    assertEquals(
        "kernel BUG at PF_POISONED_CHECK: PagePoisoned(page)", String.valueOf(bug.getMessage()));
  }

  /** Second and third page full of what was there before. Expect all that a head sets, set. */
  @Test
  void prepCompoundHead_dirtyPages_areSet() {
    Page head = mm.model().pfnToPage(16);
    Page one = struct.add(head, 1);
    for (int offset = 8; offset < 64; offset += 8) {
      struct.setWord(one, offset, 0x1234_5678_1234_5678L);
    }
    flags.set(head, PageFlags.PG_HEAD);

    mm.inline().prepCompoundHead(head, 2);

    assertEquals(-1, struct.half(one, StructPage.LARGE_MAPCOUNT));
    assertEquals(0, struct.half(one, StructPage.NR_PAGES_MAPPED));
    assertEquals(0, struct.word(one, StructPage.MM_IDS));
    assertEquals(-1L, struct.word(one, StructPage.MM_ID_MAPCOUNT));
    assertEquals(0, struct.half(one, StructPage.PINCOUNT));
    assertEquals(-1, struct.half(one, StructPage.ENTIRE_MAPCOUNT));
    assertEquals(4, struct.half(one, StructPage.NR_PAGES));
  }
}
