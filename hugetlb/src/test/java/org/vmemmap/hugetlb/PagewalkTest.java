// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;
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
  private long nextTable = 0x80000;

  @BeforeEach
  void makeTables() {
    pool = PoolMachine.small();
    pagewalk = new Pagewalk(pool.mm);
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

  private long table() {
    nextTable += PAGE;
    return pool.mm.model().va(nextTable);
  }

  private final class Recorder implements Pagewalk.MmWalkOps {
    private int again;
    private boolean skipTables;
    private int rc;

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
      return addr == BASE + PAGE ? rc : 0;
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

  /** ACTION_AGAIN, once. Expect the same entry a second time. */
  @Test
  void walk_again_showsTheEntryAgain() {
    Recorder recorder = new Recorder();
    recorder.again = 1;
    pagewalk.walkKernelPageTableRange(BASE + PMD, BASE + 2 * PMD, recorder);
    assertEquals(List.of("pmd 4-8", "pmd 4-8"), seen);
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
}
