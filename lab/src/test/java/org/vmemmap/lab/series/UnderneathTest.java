// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.hugetlb.HugetlbVmemmap;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.cli.Main;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.Rcu;
import org.vmemmap.types.Series;
import org.vmemmap.types.ZoneType;

/** The series underneath, "mm: Eliminate fake head pages": what each of its steps left. */
class UnderneathTest {
  private static final long TAIL_2M = 0xffff_ffff_ffff_8001L;
  private static final String HVO = "hugetlb_free_vmemmap=on";

  /** The catalogue. Expect 14 steps, and each to name one of these tests. */
  @Test
  void underneath_steps_nameTheirTests() {
    List<Catalogue.Step> steps = Catalogue.underneath();
    assertEquals(
        IntStream.rangeClosed(1, 14).boxed().toList(),
        steps.stream().map(Catalogue.Step::number).toList());
    Set<String> named = new TreeSet<>();
    steps.forEach(step -> named.addAll(step.evidence()));
    Set<String> tests = new TreeSet<>();
    Arrays.stream(UnderneathTest.class.getDeclaredMethods())
        .filter(method -> method.isAnnotationPresent(Tag.class))
        .forEach(method -> tests.add("UnderneathTest." + method.getName()));
    assertEquals(tests, named);
  }

  /** The largest folio. Expect 16 GiB, and with it an alignment of 256 MiB and 16 shared tails. */
  @Test
  @Tag("underneath-01")
  void maxFolioOrder_gigantic_is22() {
    Mm mm = machine().kernel().mm();
    assertEquals(22, mm.mmzone().maxFolioOrder());
    assertEquals(256L << 20, mm.mmzone().maxFolioVmemmapAlign());
    assertEquals(16, mm.mmzone().nrVmemmapTails());
  }

  /** A tail that is made without a head. Expect the mask of its order. */
  @Test
  @Tag("underneath-02")
  void prepCompoundTail_withoutHead_makesATail() {
    Mm mm = machine().kernel().mm();
    Page page = freePage(mm);
    long before = mm.struct().word(page, 8);
    mm.inline().prepCompoundTail(page, null, 9);
    assertEquals(TAIL_2M, mm.struct().compoundInfo(page));
    mm.struct().setWord(page, 8, before);
  }

  /** The field. Expect it in the second word. */
  @Test
  @Tag("underneath-03")
  void compoundInfo_word_liesAt8() {
    Mm mm = machine().kernel().mm();
    Page page = freePage(mm);
    assertEquals(mm.struct().word(page, 8), mm.struct().compoundInfo(page));
    assertEquals(64, mm.struct().size());
  }

  /** A page becomes a tail and is one no longer. Expect its head and then itself. */
  @Test
  @Tag("underneath-04")
  void setAndClear_tail_isATailAndNone() {
    Mm mm = machine().kernel().mm();
    Page head = hugepages(mm).getFirst();
    Page tail = mm.struct().add(head, 5);
    mm.flags().clearCompoundHead(tail);
    assertEquals(tail, mm.flags().compoundHead(tail));
    mm.flags().setCompoundHead(tail, head, 9);
    assertEquals(head, mm.flags().compoundHead(tail));
  }

  /**
   * Tails of two hugepages, and the same where struct page has 56 bytes. Expect one word that leads
   * each to its own head; and there the addresses of the heads.
   */
  @Test
  @Tag("underneath-05")
  void compoundHead_twoFolios_haveTheSameTailWord() {
    Mm mm = machine(HVO, "hugepages=2").kernel().mm();
    for (Page head : hugepages(mm)) {
      Page tail = mm.struct().add(head, 300);
      assertEquals(TAIL_2M, mm.struct().compoundInfo(tail));
      assertEquals(head, mm.flags().compoundHead(tail));
    }
    MachineSpec spec = SeriesMachine.spec(512L << 20, "hugepages=2");
    Mm odd =
        new SeriesMachine(spec.withConfig(spec.config().withSizeofStructPage(56))).kernel().mm();
    for (Page head : hugepages(odd)) {
      assertEquals(head.va() | 1, odd.struct().compoundInfo(odd.struct().add(head, 300)));
    }
  }

  /**
   * Two hugepages in two zones of a node. Merged, each zone has its tail; in the fourth posting the
   * node has one, which cannot name both zones.
   *
   * <pre>
   *             ZONE_DMA32           ZONE_NORMAL
   *   merged   [ f0 ][ T  ] ..      [ f1 ][ T' ] ..
   *   posted   [ f0 ][ T  ] ..      [ f1 ][ T  ] ..     T says one zone
   * </pre>
   *
   * Expect the right zones when merged; one wrong zone with a tail for the node; and both right when
   * page_zonenum() asks the head.
   */
  @Test
  @Tag("underneath-06")
  void pageZonenum_tailsPerNode_needsTheHead() {
    Series merged = Series.at(49);
    Series perNode = merged.with(Series.TAILS_PER_NODE);
    assertEquals("2 frames, 0 wrong", zonesOfTails(merged));
    assertEquals("1 frames, 1 wrong", zonesOfTails(perNode));
    assertEquals("1 frames, 0 wrong", zonesOfTails(perNode.with(Series.ZONENUM_OF_HEAD)));
  }

  /** One hugepage in DMA32 and one in Normal: frames behind their page 100, and wrong zones of it. */
  private static String zonesOfTails(Series series) {
    SeriesMachine machine =
        new SeriesMachine(
            SeriesMachine.spec(6L << 30, HVO, "hugepages=2800").withSeries(series));
    Mm mm = machine.kernel().mm();
    Set<ZoneType> zones = new HashSet<>();
    Set<Long> frames = new HashSet<>();
    MemmapReader reader = new MemmapReader(mm);
    int wrong = 0;
    for (Page head : hugepages(mm)) {
      ZoneType zone = mm.inline().zonenum(mm.struct().flags(head));
      if (zones.add(zone)) {
        Page tail = mm.struct().add(head, 100);
        frames.add(reader.frame(mm.model().pageToPfn(tail)));
        wrong += mm.inline().pageZonenum(tail) == zone ? 0 : 1;
      }
    }
    assertEquals(Set.of(ZoneType.ZONE_DMA32, ZoneType.ZONE_NORMAL), zones);
    return frames.size() + " frames, " + wrong + " wrong";
  }

  /** A memmap that is aligned to 128 MiB only. Expect a warning; none at its usual address. */
  @Test
  @Tag("underneath-07")
  void sparseInit_memmapNotAligned_warns() {
    String warning = "IS_ALIGNED(pfn_to_page(0), MAX_FOLIO_VMEMMAP_ALIGN)";
    assertFalse(withBase(0).warned(warning));
    assertTrue(withBase(128L << 20).warned(warning));
  }

  private static SeriesMachine withBase(long offset) {
    MachineSpec pc = SeriesMachine.spec(512L << 20);
    Profile moved = Profile.x86(4, pc.profile().vmemmapBase() + offset);
    return new SeriesMachine(
        new MachineSpec(
            moved, pc.config().withDebugVm(true), pc.memory(), pc.cmdline(), pc.memoryBlockSize()));
  }

  /** An optimised hugepage. Expect a writable frame of its own and seven read-only entries. */
  @Test
  @Tag("underneath-08")
  void vmemmapRemapFree_hugepage_hasOwnHeadAndSharedTails() {
    Mm mm = machine(HVO, "hugepages=1").kernel().mm();
    Page head = hugepages(mm).getFirst();
    mm.struct().setWord(head, 0, mm.struct().flags(head));
    for (int page = 1; page < 8; page++) {
      Page tail = mm.struct().add(head, page * 64L);
      assertThrows(
          MachineFault.class, () -> mm.struct().setWord(tail, 0, mm.struct().flags(tail)));
    }
  }

  /** Two optimised hugepages of a zone. Expect two frames of their own and one for all 14 others. */
  @Test
  @Tag("underneath-09")
  void vmemmapGetTail_twoHugepages_shareOneFrame() {
    Mm mm = machine(HVO, "hugepages=2").kernel().mm();
    MemmapReader reader = new MemmapReader(mm);
    Set<Long> heads = new HashSet<>();
    Set<Long> tails = new HashSet<>();
    for (Page head : hugepages(mm)) {
      long pfn = mm.model().pageToPfn(head);
      heads.add(reader.frame(pfn));
      for (long at = 64; at < 512; at += 64) {
        tails.add(reader.frame(pfn + at));
      }
    }
    assertEquals(2, heads.size());
    assertEquals(1, tails.size());
  }

  /** All 512 struct pages of an optimised hugepage. Expect PG_head in the first only. */
  @Test
  @Tag("underneath-10")
  void pageHead_optimisedHugepage_isOne() {
    Mm mm = machine(HVO, "hugepages=1").kernel().mm();
    Page head = hugepages(mm).getFirst();
    assertTrue(mm.flags().pageHead(head));
    for (int i = 1; i < 512; i++) {
      assertFalse(mm.flags().pageHead(mm.struct().add(head, i)));
      assertTrue(mm.flags().pageTail(mm.struct().add(head, i)));
    }
  }

  /** HugeTLB's code. Expect no field, argument or result of it to be a grace period's. */
  @Test
  @Tag("underneath-11")
  void hugetlb_rcu_isNotUsed() {
    Set<Class<?>> known = new HashSet<>();
    Arrays.stream(HugetlbVmemmap.class.getDeclaredFields()).forEach(f -> known.add(f.getType()));
    Arrays.stream(HugetlbVmemmap.class.getDeclaredMethods())
        .flatMap(m -> Stream.concat(Stream.of(m.getReturnType()), Stream.of(m.getParameterTypes())))
        .forEach(known::add);
    assertFalse(known.contains(Rcu.class));
  }

  /** A hugepage with HVO on and one with HVO off. Expect tails to lead to their heads in both. */
  @Test
  @Tag("underneath-12")
  void compoundHead_hvoOnAndOff_isTheSame() {
    for (String hvo : new String[] {"on", "off"}) {
      Mm mm = machine("hugetlb_free_vmemmap=" + hvo, "hugepages=1").kernel().mm();
      Page head = hugepages(mm).getFirst();
      assertEquals(head, mm.flags().compoundHead(mm.struct().add(head, 511)), hvo);
      assertEquals(TAIL_2M, mm.struct().compoundInfo(mm.struct().add(head, 511)), hvo);
    }
  }

  /** A head, a tail and a page of no folio. Expect the formula without a branch to serve all. */
  @Test
  @Tag("underneath-13")
  void compoundHead_headTailAndSingle_leadToTheHead() {
    Mm mm = machine(HVO, "hugepages=1").kernel().mm();
    Page head = hugepages(mm).getFirst();
    Page tail = mm.struct().add(head, 77);
    Page single = freePage(mm);
    for (Page page : List.of(head, tail, single)) {
      long info = mm.struct().compoundInfo(page);
      long mask = ((info & 1) - 1) | info;
      assertEquals(page.va() & mask, mm.flags().compoundHead(page).va());
    }
    assertEquals(head, mm.flags().compoundHead(head));
    assertEquals(head, mm.flags().compoundHead(tail));
    assertEquals(single, mm.flags().compoundHead(single));
    assertNotEquals(head, tail);
  }

  /** The picture of the report. Expect a frame of its own, and seven pages on one that is shared. */
  @Test
  @Tag("underneath-14")
  void boot_picture_showsOneSharedFrame() {
    java.io.StringWriter out = new java.io.StringWriter();
    String[] boot = {
      "boot", "--mem", "256M", "--nodes", "1", "--dax", "size=128M", "--cmdline", HVO + " hugepages=1"
    };
    Main.run(boot, new java.io.PrintWriter(out), new java.io.PrintWriter(out));
    String text = out.toString();
    assertTrue(text.contains("|     7     | -+->|"), text);
    assertTrue(text.contains(": the tail that all optimised hugepages of order 9 in"), text);
  }

  private static SeriesMachine machine(String... cmdline) {
    return new SeriesMachine(49, cmdline.length == 0 ? new String[] {"hugepages=1"} : cmdline);
  }

  private static Page freePage(Mm mm) {
    return mm.model().pfnToPage(0x1000);
  }

  /** The heads of all hugepages, by pfn. */
  private static List<Page> hugepages(Mm mm) {
    List<Page> heads = new ArrayList<>();
    long end = mm.mmzone().sectionNrToPfn(mm.mmzone().highestPresentSectionNr + 1);
    for (long pfn = 0; pfn < end; pfn += 512) {
      Page page = mm.mmzone().pfnValid(pfn) ? mm.model().pfnToPage(pfn) : null;
      if (page != null && mm.flags().pageHead(page) && mm.flags().pageHuge(page)) {
        heads.add(page);
      }
    }
    return heads;
  }
}
