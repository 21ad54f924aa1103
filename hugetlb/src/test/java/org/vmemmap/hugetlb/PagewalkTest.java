// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.PlainTables;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;

/**
 * The walk, on a range of four pmds.
 *
 * <pre>
 *   offset   0       16K      32K      48K      64K
 *            | table | leaf   | none   | table  |
 * </pre>
 */
final class PagewalkTest {
  private static final long BASE = 0xffff_c900_0000_0000L;
  private static final long PMD = 16 << 10;
  private static final long PAGE = 4096;

  private final List<String> seen = new ArrayList<>();
  private PoolMachine pool;
  private Pagewalk pagewalk;
  private long nextTable;

  @BeforeEach
  void makeTables() {
    use(PoolMachine.small());
    var pgtable = pool.mm.pgtable();
    var p4d = pgtable.p4dOffset(pgtable.pgdOffsetK(BASE), BASE);
    // Four levels: the pgd is entered through the p4d, which passes through.
    pgtable.p4dPopulateKernel(BASE, p4d, table());
    pgtable.pudPopulate(pgtable.pudOffset(p4d, BASE), table());
    pgtable.pmdPopulateKernel(pgtable.pmdOffK(BASE), table());
    pgtable.setPmd(
        pgtable.pmdOffK(BASE + PMD),
        new Pmd(pgtable.arch().mkLeaf(0x90000, 1, pgtable.pageKernel())));
    pgtable.pmdPopulateKernel(pgtable.pmdOffK(BASE + 3 * PMD), table());
  }

  private void use(PoolMachine machine) {
    pool = machine;
    pagewalk = new Pagewalk(pool.mm);
    nextTable = 0x80000;
  }

  private long table() {
    nextTable += PAGE;
    return pool.mm.model().va(nextTable);
  }

  private final class Recorder implements Pagewalk.MmWalkOps {
    private int again;
    private boolean skipTables;
    private int rc;
    private int rcOfPte;

    @Override
    public int pmdEntry(Ptr<Pmd> pmd, long addr, long next, Pagewalk.MmWalk walk) {
      seen.add("pmd " + (addr - BASE) / PAGE + "-" + (next - BASE) / PAGE);
      if (again-- > 0) {
        walk.action = Pagewalk.PageWalkAction.ACTION_AGAIN;
      }
      if (skipTables) {
        walk.action = Pagewalk.PageWalkAction.ACTION_CONTINUE;
      }
      return rc;
    }

    @Override
    public int pteEntry(Ptr<Pte> pte, long addr, long next, Pagewalk.MmWalk walk) {
      seen.add("pte " + (addr - BASE) / PAGE);
      assertEquals(addr + PAGE, next);
      return addr == BASE + PAGE ? rcOfPte : 0;
    }
  }

  /** All of it. Expect leaves to be shown but not entered, and holes to be passed over. */
  @Test
  void walk_allKinds_showsTablesAndLeaves() {
    assertEquals(
        0, pagewalk.walkKernelPageTableRange(BASE, BASE + 4 * PMD, new Recorder()));
    assertEquals(
        List.of(
            "pmd 0-4", "pte 0", "pte 1", "pte 2", "pte 3", "pmd 4-8", "pmd 12-16", "pte 12",
            "pte 13", "pte 14", "pte 15"),
        seen);
  }

  /** Part of a table. Expect only that part. */
  @Test
  void walk_partOfATable_staysInside() {
    pagewalk.walkKernelPageTableRange(BASE + PAGE, BASE + 3 * PAGE, new Recorder());
    assertEquals(List.of("pmd 1-3", "pte 1", "pte 2"), seen);
  }

  /** ACTION_CONTINUE. Expect no table to be entered. */
  @Test
  void walk_continue_showsOnlyPmds() {
    Recorder recorder = new Recorder();
    recorder.skipTables = true;
    pagewalk.walkKernelPageTableRange(BASE, BASE + 2 * PMD, recorder);
    assertEquals(List.of("pmd 0-4", "pmd 4-8"), seen);
  }

  /** ACTION_AGAIN, once, and a table behind it. Expect the same entry a second time, then the table. */
  @Test
  void walk_again_showsTheEntryAgain() {
    Recorder recorder = new Recorder();
    recorder.again = 1;
    pagewalk.walkKernelPageTableRange(BASE + PMD, BASE + 3 * PMD + PAGE, recorder);
    assertEquals(List.of("pmd 4-8", "pmd 4-8", "pmd 12-13", "pte 12"), seen);
  }

  /** A pmd callback fails. Expect its code, and nothing after it. */
  @Test
  void walk_pmdCallbackFails_ends() {
    Recorder recorder = new Recorder();
    recorder.rc = -Errno.ENOMEM;
    assertEquals(
        -Errno.ENOMEM, pagewalk.walkKernelPageTableRange(BASE, BASE + 4 * PMD, recorder));
    assertEquals(List.of("pmd 0-4"), seen);
  }

  /** Nothing is mapped there, not even the upper tables. Expect nothing to be shown. */
  @Test
  void walk_unmapped_showsNothing() {
    long far = BASE + (1L << 33);
    assertEquals(0, pagewalk.walkKernelPageTableRange(far, far + PMD, new Recorder()));
    assertEquals(List.of(), seen);
  }

  /** An empty range, and one that runs backwards. Expect -EINVAL. */
  @Test
  void walk_emptyRange_isInvalid() {
    assertEquals(-Errno.EINVAL, pagewalk.walkKernelPageTableRange(BASE, BASE, new Recorder()));
    assertEquals(
        -Errno.EINVAL, pagewalk.walkKernelPageTableRange(BASE + PAGE, BASE, new Recorder()));
  }

  /** A pte callback fails. Expect its code, and nothing after it. */
  @Test
  void walk_pteCallbackFails_ends() {
    Recorder recorder = new Recorder();
    recorder.rcOfPte = -Errno.EINVAL;
    assertEquals(
        -Errno.EINVAL, pagewalk.walkKernelPageTableRange(BASE, BASE + 4 * PMD, recorder));
    assertEquals(List.of("pmd 0-4", "pte 0", "pte 1"), seen);
  }

  /**
   * Tables on both sides of where a pud and a pgd end; the leaf behind each is shown last.
   *
   * <pre>
   *            end - 16K            end           end + 16K
   *   tables   | leaf               | leaf        |
   * </pre>
   *
   * Expect both leaves, the second through tables of its own.
   */
  @ParameterizedTest
  @ValueSource(ints = {23, 32})
  void walk_acrossTables_goesOnInTheNext(int shift) {
    assertWalksAcross(shift);
  }

  /** The same where five levels meet, so that the tables lie in one table of p4ds. */
  @Test
  void walk_fiveLevels_goesOnInTheNextP4d() {
    use(
        new PoolMachine(
            PoolMachine.config(),
            new PlainTables(2, 9, 9, 9, 9),
            PoolMachine.sizes(),
            new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0)));
    assertWalksAcross(32);
  }

  private void assertWalksAcross(int shift) {
    long end = ((BASE >>> shift) + 1) << shift;
    mapLeaf(end - PMD);
    mapLeaf(end);
    seen.clear();
    assertEquals(0, pagewalk.walkKernelPageTableRange(end - PMD, end + PMD, new Recorder()));
    long first = (end - BASE) / PAGE;
    assertEquals(
        List.of("pmd " + (first - 4) + "-" + first, "pmd " + first + "-" + (first + 4)), seen);
  }

  /** The same, and the callback fails at the first leaf. Expect the second not to be shown. */
  @ParameterizedTest
  @ValueSource(ints = {23, 32})
  void walk_failsBeforeTheNextTable_ends(int shift) {
    long end = ((BASE >>> shift) + 1) << shift;
    mapLeaf(end - PMD);
    mapLeaf(end);
    seen.clear();
    Recorder recorder = new Recorder();
    recorder.rc = -Errno.EBUSY;
    assertEquals(
        -Errno.EBUSY, pagewalk.walkKernelPageTableRange(end - PMD, end + PMD, recorder));
    assertEquals(1, seen.size());
  }

  /** Maps 16 KiB at {@code va} with a leaf, with tables as they are needed. */
  private void mapLeaf(long va) {
    var pgtable = pool.mm.pgtable();
    var pgd = pgtable.pgdOffsetK(va);
    if (pgtable.pgdNone(pgtable.pgdpGet(pgd))) {
      pgtable.pgdPopulateKernel(va, pgd, table());
    }
    var p4d = pgtable.p4dOffset(pgd, va);
    if (pgtable.p4dNone(pgtable.p4dpGet(p4d))) {
      pgtable.p4dPopulateKernel(va, p4d, table());
    }
    var pud = pgtable.pudOffset(p4d, va);
    if (pgtable.pudNone(pgtable.pudpGet(pud))) {
      pgtable.pudPopulate(pud, table());
    }
    pgtable.setPmd(
        pgtable.pmdOffK(va), new Pmd(pgtable.arch().mkLeaf(0x90000, 1, pgtable.pageKernel())));
  }

  /**
   * A pud, then a pmd, that points to a table but has lost its present bit. Expect nothing behind the
   * pud to be shown, and the pmd without its table.
   */
  @Test
  void walk_notPresent_isNotEntered() {
    long next = ((BASE >>> 23) + 1) << 23;
    mapLeaf(next);
    var pgtable = pool.mm.pgtable();
    var p4d = pgtable.p4dOffset(pgtable.pgdOffsetK(BASE), BASE);
    dropPresent(pgtable.pudOffset(p4d, next).va());
    assertEquals(0, pagewalk.walkKernelPageTableRange(next, next + PMD, new Recorder()));
    assertEquals(List.of(), seen);
    dropPresent(pgtable.pmdOffK(BASE).va());
    assertEquals(0, pagewalk.walkKernelPageTableRange(BASE, BASE + PMD, new Recorder()));
    assertEquals(List.of("pmd 0-4"), seen);
  }

  private void dropPresent(long entry) {
    long was = pool.machine.cpu().readLong(entry);
    pool.machine.cpu().writeLong(entry, was & ~PlainTables.PRESENT);
  }

  /**
   * A hole of one pud between two that are mapped, and a pud that is a leaf itself. Expect only what
   * lies behind tables.
   */
  @Test
  void walk_pudHoleAndPudLeaf_arePassedOver() {
    long pudSize = 1L << 23;
    long next = ((BASE >>> 23) + 1) << 23;
    mapLeaf(next + pudSize - PMD);
    var pgtable = pool.mm.pgtable();
    var p4d = pgtable.p4dOffset(pgtable.pgdOffsetK(BASE), BASE);
    pool.machine.cpu()
        .writeLong(
            pgtable.pudOffset(p4d, next + pudSize).va(),
            pgtable.arch().mkLeaf(0x800000, Pgtable.PUD, pgtable.pageKernel()));
    mapLeaf(next + 3 * pudSize);
    seen.clear();
    assertEquals(
        0, pagewalk.walkKernelPageTableRange(next, next + 3 * pudSize + PMD, new Recorder()));
    long leaf = (next + pudSize - BASE) / PAGE;
    long last = (next + 3 * pudSize - BASE) / PAGE;
    assertEquals(
        List.of(
            "pmd " + (leaf - 4) + "-" + leaf, "pmd " + last + "-" + (last + 4)),
        seen);
  }
}
