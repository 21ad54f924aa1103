// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.P4d;
import org.vmemmap.types.Pgd;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.Pud;

/**
 * The walk over a range of the kernel's own page table, as far as a caller that looks at pmd and
 * pte entries needs it: no areas of a process, no holes to be told of, no entries to be installed.
 *
 * <p>The walk may be changed under its own feet: {@code pmd_entry} can turn a leaf into a table,
 * and the walk then goes on in that table.
 */
@Kernel(file = "mm/pagewalk.c", symbol = "walk_kernel_page_table_range")
public final class Pagewalk {
  private final Mm mm;
  private final Pgtable pgtable;

  /** Walks the tables of {@code mm}'s init_mm. */
  public Pagewalk(Mm mm) {
    this.mm = mm;
    this.pgtable = mm.pgtable();
  }

  /** {@code enum page_walk_action}: what happens after an entry was shown. */
  @Kernel(file = "include/linux/pagewalk.h", symbol = "enum page_walk_action")
  public enum PageWalkAction {
    /** Go into the table that the entry points to. */
    ACTION_SUBTREE,
    /** Go on with the next entry. */
    ACTION_CONTINUE,
    /** Look at the same entry once more. */
    ACTION_AGAIN
  }

  /** {@code struct mm_walk_ops}. A result other than 0 ends the walk and is its result. */
  @Kernel(file = "include/linux/pagewalk.h", symbol = "struct mm_walk_ops")
  public interface MmWalkOps {
    /** Shows a pmd that is not empty; {@code [addr, next)} is the part of the range behind it. */
    int pmdEntry(Ptr<Pmd> pmd, long addr, long next, MmWalk walk);

    /** Shows a pte, empty ones too. */
    int pteEntry(Ptr<Pte> pte, long addr, long next, MmWalk walk);
  }

  /** {@code struct mm_walk}: one walk. */
  @Kernel(file = "include/linux/pagewalk.h", symbol = "struct mm_walk")
  public static final class MmWalk {
    private final MmWalkOps ops;

    /** Set by a callback to choose what is next. */
    public PageWalkAction action = PageWalkAction.ACTION_SUBTREE;

    MmWalk(MmWalkOps ops) {
      this.ops = ops;
    }
  }

  /** Shows each pte of one table, empty ones too. A result other than 0 ends it. */
  @Kernel(file = "mm/pagewalk.c", symbol = "walk_pte_range_inner")
  private int walkPteRangeInner(Ptr<Pte> pte, long addr, long end, MmWalk walk) {
    long pageSize = mm.model().pageSize();
    int err;
    for (; ; ) {
      err = walk.ops.pteEntry(pte, addr, addr + pageSize, walk);
      if (err != 0) {
        break;
      }
      if (addr >= end - pageSize) {
        break;
      }
      addr += pageSize;
      pte = new Ptr<>(pte.va() + Long.BYTES);
    }
    return err;
  }

  /** The table behind a pmd. It is the kernel's own, so nobody takes it away meanwhile. */
  @Kernel(file = "mm/pagewalk.c", symbol = "walk_pte_range")
  private int walkPteRange(Ptr<Pmd> pmd, long addr, long end, MmWalk walk) {
    return walkPteRangeInner(pgtable.pteOffsetKernel(pmd, addr), addr, end, walk);
  }

  /**
   * The pmds behind a pud. If the pud has lost its table since it was read, it is to be looked at
   * again.
   */
  @Kernel(file = "mm/pagewalk.c", symbol = "walk_pmd_range")
  private int walkPmdRange(Ptr<Pud> pud, long addr, long end, MmWalk walk) {
    Pud pudval = pgtable.pudpGet(pud);
    if (!present(pudval) || pgtable.pudLeaf(pudval)) {
      walk.action = PageWalkAction.ACTION_AGAIN;
      return 0;
    }
    Ptr<Pmd> pmd = pgtable.pmdOffset(pud, addr);
    long next;
    do {
      next = pgtable.pmdAddrEnd(addr, end);
      int err;
      do {
        err = walkPmd(pmd, addr, next, walk);
      } while (err == 0 && walk.action == PageWalkAction.ACTION_AGAIN);
      if (err != 0) {
        return err;
      }
      pmd = new Ptr<>(pmd.va() + Long.BYTES);
      addr = next;
    } while (addr != end);
    return 0;
  }

  /** One pass of the loop body of walk_pmd_range(), from its label {@code again}. */
  private int walkPmd(Ptr<Pmd> pmd, long addr, long next, MmWalk walk) {
    walk.action = PageWalkAction.ACTION_SUBTREE;
    if (pgtable.pmdNone(pgtable.pmdpGet(pmd))) {
      return 0;
    }
    int err = walk.ops.pmdEntry(pmd, addr, next, walk);
    if (err != 0 || walk.action != PageWalkAction.ACTION_SUBTREE) {
      return err;
    }
    Pmd pmdval = pgtable.pmdpGet(pmd);
    if (pgtable.pmdLeaf(pmdval) || !present(pmdval)) {
      return 0;
    }
    return walkPteRange(pmd, addr, next, walk);
  }

  /** The puds behind a p4d. */
  @Kernel(file = "mm/pagewalk.c", symbol = "walk_pud_range")
  private int walkPudRange(Ptr<P4d> p4d, long addr, long end, MmWalk walk) {
    Ptr<Pud> pud = pgtable.pudOffset(p4d, addr);
    long next;
    do {
      next = pgtable.addrEnd(addr, end, Pgtable.PUD);
      int err;
      do {
        err = walkPud(pud, addr, next, walk);
      } while (err == 0 && walk.action == PageWalkAction.ACTION_AGAIN);
      if (err != 0) {
        return err;
      }
      pud = new Ptr<>(pud.va() + Long.BYTES);
      addr = next;
    } while (addr != end);
    return 0;
  }

  /** One pass of the loop body of walk_pud_range(), from its label {@code again}. */
  private int walkPud(Ptr<Pud> pud, long addr, long next, MmWalk walk) {
    walk.action = PageWalkAction.ACTION_SUBTREE;
    Pud pudval = pgtable.pudpGet(pud);
    if (pgtable.pudNone(pudval) || pgtable.pudLeaf(pudval) || !present(pudval)) {
      return 0;
    }
    return walkPmdRange(pud, addr, next, walk);
  }

  /** The p4ds behind a pgd; where the level is folded, the one that is the pgd itself. */
  @Kernel(file = "mm/pagewalk.c", symbol = "walk_p4d_range")
  private int walkP4dRange(Ptr<Pgd> pgd, long addr, long end, MmWalk walk) {
    Ptr<P4d> p4d = pgtable.p4dOffset(pgd, addr);
    long next;
    do {
      next = pgtable.addrEnd(addr, end, Pgtable.P4D);
      int err = 0;
      if (!pgtable.p4dNone(pgtable.p4dpGet(p4d))) {
        err = walkPudRange(p4d, addr, next, walk);
      }
      if (err != 0) {
        return err;
      }
      p4d = new Ptr<>(p4d.va() + Long.BYTES);
      addr = next;
    } while (addr != end);
    return 0;
  }

  /** The pgds of the range. Bad entries, which the kernel would clear here, are not modelled. */
  @Kernel(file = "mm/pagewalk.c", symbol = "walk_pgd_range")
  private int walkPgdRange(long addr, long end, MmWalk walk) {
    Ptr<Pgd> pgd = pgtable.pgdOffsetK(addr);
    long next;
    do {
      next = pgtable.addrEnd(addr, end, Pgtable.PGD);
      int err = 0;
      if (!pgtable.pgdNone(pgtable.pgdpGet(pgd))) {
        err = walkP4dRange(pgd, addr, next, walk);
      }
      if (err != 0) {
        return err;
      }
      pgd = new Ptr<>(pgd.va() + Long.BYTES);
      addr = next;
    } while (addr != end);
    return 0;
  }

  /**
   * {@code walk_kernel_page_table_range()}: shows {@code [start, end)} to {@code ops}. The caller
   * holds init_mm's mmap lock and keeps the tables of the range from being freed.
   *
   * @return 0, -EINVAL for an empty range, or what a callback returned
   */
  @Kernel(file = "mm/pagewalk.c", symbol = "walk_kernel_page_table_range")
  public int walkKernelPageTableRange(long start, long end, MmWalkOps ops) {
    return walkKernelPageTableRangeLockless(start, end, ops);
  }

  /** The walk without the check for init_mm's lock. */
  @Kernel(file = "mm/pagewalk.c", symbol = "walk_kernel_page_table_range_lockless")
  private int walkKernelPageTableRangeLockless(long start, long end, MmWalkOps ops) {
    if (Long.compareUnsigned(start, end) >= 0) {
      return -Errno.EINVAL;
    }
    return walkPgdRange(start, end, new MmWalk(ops));
  }

  private boolean present(Pud pud) {
    return pgtable.folded(Pgtable.PUD) || pgtable.arch().present(pud.val(), Pgtable.PUD);
  }

  private boolean present(Pmd pmd) {
    return pgtable.arch().present(pmd.val(), Pgtable.PMD);
  }
}
