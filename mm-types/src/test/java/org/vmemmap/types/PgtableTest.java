// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.types.Pgtable.P4D;
import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PUD;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.machine.Checks;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.YieldPoints;

/** The walk from init_mm's root, over page tables of 2 to 5 levels. */
class PgtableTest {
  private static final long VA = 0x1_2345;
  private static final long P4D_TABLE = 0x1_0000;
  private static final long PUD_TABLE = 0x1_1000;
  private static final long PMD_TABLE = 0x1_2000;
  private static final long PTE_TABLE = 0x1_3000;
  private static final long FRAME = 0x20_0000;

  /**
   * One page, entered as generic code does: every level's populate is called, and folded levels pass
   * through. Expect the machine to find the page, with the tables that the format has and no more.
   *
   * <pre>
   *   levels  5: pgd p4d pud pmd pte   4: (pgd) p4d pud pmd pte   3: pud pmd pte   2: pmd pte
   * </pre>
   */
  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 5})
  void populate_anyNumberOfLevels_mapsThePage(int levels) {
    Mm mm = TestMm.with(MmConfig.debianX86(), OddPgtable.withLevels(levels));

    Ptr<Pte> ptep = populate(mm);

    mm.machine().cpu().writeLong(VA & ~7L, 42);
    assertEquals(42, mm.machine().memory().getLong(FRAME + (VA & 0xff8)));
    assertEquals(FRAME >>> 12, mm.pgtable().ptePfn(mm.pgtable().ptepGet(ptep)));
    assertEquals(mm.model().pfnToPage(FRAME >>> 12), mm.pgtable().ptePage(mm.pgtable().ptepGet(ptep)));
    assertEquals(ptep, mm.pgtable().virtToKpte(VA));
    assertEquals(0, mm.machine().mmu().walk(TestMm.ROOT, VA).level());
  }

  private static Ptr<Pte> populate(Mm mm) {
    Pgtable pt = mm.pgtable();
    Ptr<Pgd> pgd = pt.pgdOffsetK(VA);
    if (pt.pgdNone(pt.pgdpGet(pgd))) {
      pt.pgdPopulateKernel(VA, pgd, TestMm.LINEAR + P4D_TABLE);
    }
    Ptr<P4d> p4d = pt.p4dOffset(pgd, VA);
    if (pt.p4dNone(pt.p4dpGet(p4d))) {
      pt.p4dPopulateKernel(VA, p4d, TestMm.LINEAR + PUD_TABLE);
    }
    Ptr<Pud> pud = pt.pudOffset(p4d, VA);
    if (pt.pudNone(pt.pudpGet(pud))) {
      pt.pudPopulate(pud, TestMm.LINEAR + PMD_TABLE);
    }
    Ptr<Pmd> pmd = pt.pmdOffset(pud, VA);
    pt.pmdPopulateKernel(pmd, TestMm.LINEAR + PTE_TABLE);
    Ptr<Pte> pte = pt.pteOffsetKernel(pmd, VA);
    pt.setPteAt(VA, pte, pt.pfnPte(FRAME >>> 12, pt.pageKernel()));
    return pte;
  }

  /** Levels that the format lacks. Expect none() to be false there, and no leaves. */
  @Test
  void folded_twoLevels_areNeverNoneAndNeverLeaf() {
    Pgtable pt = TestMm.with(MmConfig.debianX86(), OddPgtable.withLevels(2)).pgtable();

    assertTrue(pt.folded(PUD) && pt.folded(P4D) && pt.folded(PGD));
    assertFalse(pt.folded(PMD));
    assertFalse(pt.pgdNone(new Pgd(0)) || pt.p4dNone(new P4d(0)) || pt.pudNone(new Pud(0)));
    assertTrue(pt.pmdNone(new Pmd(0)) && pt.pteNone(new Pte(0)));
    assertFalse(pt.pudLeaf(new Pud(OddPgtable.PRESENT | OddPgtable.LEAF)));
    assertTrue(pt.pmdLeaf(new Pmd(OddPgtable.PRESENT | OddPgtable.LEAF)));
    assertFalse(pt.pmdLeaf(new Pmd(OddPgtable.LEAF)));
  }

  /** Boundaries of each level; entries cover 64 KiB, 1 MiB, 16 MiB and 256 MiB. */
  @ParameterizedTest
  @CsvSource({"1, 10000, 20000", "2, 10000, 100000", "3, 10000, 1000000", "4, 10000, 10000000"})
  void addrEnd_fiveLevels_isTheNextBoundary(int level, String addr, String boundary) {
    Pgtable pt = TestMm.with(MmConfig.debianX86(), OddPgtable.withLevels(5)).pgtable();
    long start = Long.parseLong(addr, 16);
    long next = Long.parseLong(boundary, 16);

    assertEquals(next, pt.addrEnd(start, 0x4000_0000, level));
    assertEquals(next - 1, pt.addrEnd(start, next - 1, level));
    assertEquals(-0x1000L, pt.addrEnd(-0x2000L, -0x1000L, level));
    assertEquals(0, pt.addrEnd(-0x2000L, 0, level));
  }

  /** A folded level spans everything; the pgd of a small format is its top level. */
  @Test
  void addrEnd_foldedLevel_isTheEnd() {
    Pgtable pt = TestMm.with(MmConfig.debianX86(), OddPgtable.withLevels(3)).pgtable();

    assertEquals(0x4000_0000, pt.addrEnd(0, 0x4000_0000, P4D));
    assertEquals(0x10_0000, pt.addrEnd(0, 0x4000_0000, PGD));
    assertEquals(0x1_0000, pt.pmdAddrEnd(0, 0x4000_0000));
    assertEquals(0x1_0000, pt.pmdSize());
    assertEquals(-0x1_0000, pt.pmdMask());
    assertEquals(0x10_0000, pt.pudSize());
  }

  /** Tables entered at a level in the sync mask. Expect the hook there and nowhere else. */
  @ParameterizedTest
  @CsvSource({"4, 8, 1", "4, 16, 1", "5, 8, 1", "5, 16, 1", "5, 24, 2", "4, 0, 0"})
  void populateKernel_syncMask_callsTheHook(int levels, int mask, int calls) {
    Mm mm = TestMm.with(MmConfig.debianX86(), new OddPgtable(levels, 12, mask, false));
    List<Long> synced = new ArrayList<>();
    mm.pgtable().setSyncHook((start, end) -> synced.add(start));

    mm.pgtable().pgdPopulateKernel(VA, mm.pgtable().pgdOffsetK(VA), TestMm.LINEAR + P4D_TABLE);
    Ptr<P4d> p4d = mm.pgtable().p4dOffset(mm.pgtable().pgdOffsetK(VA), VA);
    mm.pgtable().p4dPopulateKernel(VA, p4d, TestMm.LINEAR + PUD_TABLE);

    assertEquals(calls, synced.size());
  }

  /** Write permission taken. Expect the fault only after the flush: the caller's duty. */
  @Test
  void ptepSetWrprotect_withoutFlush_isNotSeen() {
    Mm mm = TestMm.debian();
    Ptr<Pte> ptep = populate(mm);
    mm.machine().cpu().writeByte(VA, (byte) 1);

    mm.pgtable().ptepSetWrprotect(VA, ptep);
    mm.machine().cpu().writeByte(VA, (byte) 2);
    mm.pgtable().flushTlbKernelRange(VA, VA + 1);

    assertThrows(MachineFault.class, () -> mm.machine().cpu().writeByte(VA, (byte) 3));
    assertEquals(2, mm.machine().cpu().readByte(VA));
  }

  /** A page taken away. Expect not-present after a full flush. */
  @Test
  void pteClear_thenFlushAll_isNotPresent() {
    Mm mm = TestMm.debian();
    Ptr<Pte> ptep = populate(mm);
    mm.machine().cpu().readByte(VA);

    mm.pgtable().pteClear(VA, ptep);
    mm.pgtable().flushTlbAll();

    assertFalse(mm.pgtable().ptePresent(mm.pgtable().ptepGet(ptep)));
    assertThrows(MachineFault.class, () -> mm.machine().cpu().readByte(VA));
  }

  /** An architecture that wants break-before-make. Expect entries in use not to be replaced. */
  @Test
  void setPteAt_breakBeforeMakeChecked_faults() {
    Mm mm = TestMm.with(MmConfig.debianX86(), new OddPgtable(4, 12, 0, true));
    mm.machine().check(Checks.translations());
    Ptr<Pte> ptep = populate(mm);
    Pgtable pt = mm.pgtable();
    Pte other = pt.pfnPte(5, pt.pageKernel());

    MachineFault fault = assertThrows(MachineFault.class, () -> pt.setPteAt(VA, ptep, other));
    assertEquals("break-before-make-violated", fault.rule());

    pt.pteClear(VA, ptep);
    pt.flushTlbAll();
    pt.setPteAt(VA, ptep, other);
    assertEquals(5, pt.ptePfn(pt.ptepGet(ptep)));
  }

  /** Frames change hands through the ledger. Expect a run of two owners to be refused. */
  @Test
  void own_mixedRun_isRefused() {
    Mm mm = TestMm.debian();
    mm.own(16, 4, Owner.MEMBLOCK);
    mm.own(16, 1, Owner.PAGE_TABLE);

    MachineFault fault = assertThrows(MachineFault.class, () -> mm.own(16, 4, Owner.BUDDY));
    assertEquals("frame-owner", fault.rule());
    assertEquals(3, mm.machine().ledger().count(Owner.MEMBLOCK));
  }

  /**
   * Every store of an entry. Expect a yield point before each, by the kernel's name: another CPU may
   * run there.
   */
  @Test
  void stores_eachLevel_yieldBefore() {
    Mm mm = TestMm.with(MmConfig.debianX86(), OddPgtable.withLevels(5));
    Pgtable pt = mm.pgtable();
    List<String> steps = new ArrayList<>();
    mm.machine().yields().listen((what, where) -> steps.add(what));

    Ptr<Pte> pte = populate(mm);
    assertEquals(List.of("set_pgd", "set_p4d", "set_pud", "set_pmd", "set_pte"), stores(steps));
    pt.ptepSetWrprotect(VA, pte);
    pt.pteClear(VA, pte);
    pt.pmdClear(pt.pmdOffK(VA));
    assertEquals(List.of("set_wrprotect", "pte_clear", "set_pmd"), stores(steps));
    Ptr<P4d> p4d = pt.p4dOffset(pt.pgdOffsetK(VA), VA);
    pt.pudClear(pt.pudOffset(p4d, VA));
    pt.p4dClear(p4d);
    pt.setPgd(pt.pgdOffsetK(VA), new Pgd(0));
    assertEquals(List.of("set_pud", "set_p4d", "set_pgd"), stores(steps));
  }

  private static List<String> stores(List<String> steps) {
    List<String> seen =
        steps.stream().filter(s -> s.startsWith("set_") || s.startsWith("pte_")).toList();
    steps.clear();
    return seen;
  }

  /** Entries are taken away from the bottom up. Expect each level to be none then, and only then. */
  @Test
  void clear_eachLevel_isNoneThen() {
    Mm mm = TestMm.with(MmConfig.debianX86(), OddPgtable.withLevels(5));
    Pgtable pt = mm.pgtable();
    Ptr<Pte> pte = populate(mm);
    Ptr<Pgd> pgd = pt.pgdOffsetK(VA);
    Ptr<P4d> p4d = pt.p4dOffset(pgd, VA);
    Ptr<Pud> pud = pt.pudOffset(p4d, VA);
    Ptr<Pmd> pmd = pt.pmdOffset(pud, VA);
    assertFalse(pt.pteNone(pt.ptepGet(pte)) || pt.pmdNone(pt.pmdpGet(pmd)));
    assertTrue(pt.ptePresent(pt.ptepGet(pte)));
    assertFalse(pt.pudNone(pt.pudpGet(pud)) || pt.p4dNone(pt.p4dpGet(p4d)));
    P4d p4dEntry = pt.p4dpGet(p4d);
    Pgd pgdEntry = pt.pgdpGet(pgd);
    assertFalse(pt.pgdNone(pgdEntry));

    pt.pteClear(VA, pte);
    pt.pmdClear(pmd);
    pt.pudClear(pud);
    pt.p4dClear(p4d);
    assertTrue(pt.pteNone(pt.ptepGet(pte)) && pt.pmdNone(pt.pmdpGet(pmd)));
    assertTrue(pt.pudNone(pt.pudpGet(pud)) && pt.p4dNone(pt.p4dpGet(p4d)));
    pt.setP4d(p4d, p4dEntry);
    assertEquals(p4dEntry, pt.p4dpGet(p4d));
    pt.setPgd(pgd, new Pgd(0));
    assertTrue(pt.pgdNone(pt.pgdpGet(pgd)));
    pt.setPgd(pgd, pgdEntry);
    assertEquals(pgdEntry, pt.pgdpGet(pgd));
  }

  /** Leaves of the pmd and the pud. Expect them to be known, and the frame behind a pmd. */
  @Test
  void leaves_pmdAndPud_areKnown() {
    Mm mm = TestMm.debian();
    Pgtable pt = mm.pgtable();
    long pmd = pt.arch().mkLeaf(FRAME, PMD, pt.pageKernel());
    long pud = pt.arch().mkLeaf(0, PUD, pt.pageKernel());

    assertTrue(pt.pmdLeaf(new Pmd(pmd)));
    assertFalse(pt.pmdLeaf(new Pmd(pt.arch().mkTable(PTE_TABLE, PMD))));
    assertTrue(pt.pudLeaf(new Pud(pud)));
    assertFalse(pt.pudLeaf(new Pud(pt.arch().mkTable(PMD_TABLE, PUD))));
    assertFalse(pt.pudLeaf(new Pud(0)));
    assertEquals(FRAME >>> 12, pt.pmdPfn(new Pmd(pmd)));
    assertEquals(mm.model().pfnToPage(FRAME >>> 12), pt.pmdPage(new Pmd(pmd)));
  }

  /** The pte of an address in a table that no entry points to yet. Expect it by its index. */
  @Test
  void pteOffsetTable_looseTable_isIndexed() {
    Mm mm = TestMm.debian();
    Pgtable pt = mm.pgtable();
    long table = TestMm.LINEAR + PTE_TABLE;

    assertEquals(new Ptr<>(table), pt.pteOffsetTable(table, 0));
    assertEquals(new Ptr<>(table + 8), pt.pteOffsetTable(table, 4096));
    assertEquals(
        new Ptr<>(table + 8L * pt.arch().index(VA, 0)), pt.pteOffsetTable(table, VA));
    assertEquals(TestMm.LINEAR + TestMm.ROOT, pt.initMmPgd());
  }

  /** What a writable entry of the same frame is. Expect the frame and the kernel's protection. */
  @Test
  void writableLeaf_readOnlyEntry_keepsTheFrame() {
    ArchPgtable arch = TestMm.debian().pgtable().arch();
    long readOnly = arch.mkPte(FRAME, arch.pageKernelRo());

    assertEquals(arch.mkPte(FRAME, arch.pageKernel()), arch.writableLeaf(readOnly));
  }

  /** A range that ends one byte behind a boundary. Expect the boundary first. */
  @ParameterizedTest
  @CsvSource({"1, 20000", "2, 100000", "3, 1000000", "4, 10000000"})
  void addrEnd_oneByteBehindTheBoundary_isTheBoundary(int level, String boundary) {
    Pgtable pt = TestMm.with(MmConfig.debianX86(), OddPgtable.withLevels(5)).pgtable();
    long next = Long.parseLong(boundary, 16);

    assertEquals(next, pt.addrEnd(0x1_0000, next + 1, level));
    assertEquals(next, pt.addrEnd(0x1_0000, next, level));
  }

  /**
   * Entries are copied to another root, and read. Expect the store to be a step at which others may
   * run, and each read to be told of with its 8 bytes.
   */
  @Test
  void setP4dAndRead_listener_hearsThem() {
    Mm mm = TestMm.with(MmConfig.debianX86(), OddPgtable.withLevels(5));
    Pgtable pt = mm.pgtable();
    populate(mm);
    Ptr<P4d> p4d = pt.p4dOffset(pt.pgdOffsetK(VA), VA);
    List<String> heard = new ArrayList<>();
    mm.machine()
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String what, long where) {
                heard.add(what);
              }

              @Override
              public void access(long paddr, long bytes, boolean write) {
                heard.add((write ? "write " : "read ") + Long.toHexString(paddr) + " " + bytes);
              }
            });

    P4d entry = pt.p4dpGet(p4d);
    assertEquals(List.of("read " + Long.toHexString(mm.model().pa(p4d.va())) + " 8"), heard);
    heard.clear();
    pt.setP4d(p4d, entry);
    assertEquals("set_p4d", heard.getFirst());
  }
}
