// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Prot;

/**
 * Page tables with pte tables of four entries, so that even the memmap of a small hugepage spans
 * several of them.
 *
 * <pre>
 *   address  40        32 31         23 22        14 13   12 11        0
 *           +------------+-------------+------------+-------+-----------+
 *           |  pgd, 512  |  pud, 512   |  pmd, 512  | pte,4 |  offset   |  a pmd leaf has 16 KiB
 *           +------------+-------------+------------+-------+-----------+
 *   entry    63                                  12  4   3   2   1   0
 *           +--------------------------------------+---+---+---+---+---+
 *           |             physical address         |-  |tbl|lf |rw |prs|
 *           +--------------------------------------+---+---+---+---+---+
 * </pre>
 */
final class SmallLeafTables implements ArchPgtable {
  static final long PRESENT = 1L << 0;
  static final long WRITABLE = 1L << 1;
  private static final long LEAF = 1L << 2;
  private static final long TABLE = 1L << 3;
  private static final long ADDRESS = -1L << 12;
  private static final int[] SHIFTS = {12, 14, 23, 32};
  private static final int[] ENTRIES = {4, 512, 512, 512};

  @Override
  public String name() {
    return "small leaves";
  }

  @Override
  public int levels() {
    return 4;
  }

  @Override
  public int pageShift() {
    return 12;
  }

  @Override
  public int shift(int level) {
    return SHIFTS[level];
  }

  @Override
  public int entries(int level) {
    return ENTRIES[level];
  }

  @Override
  public String levelName(int level) {
    return new String[] {"pte", "pmd", "pud", "pgd"}[level];
  }

  @Override
  public boolean present(long entry, int level) {
    return (entry & PRESENT) != 0;
  }

  @Override
  public boolean leaf(long entry, int level) {
    return level == 0 || (entry & LEAF) != 0;
  }

  @Override
  public long address(long entry, int level) {
    return entry & ADDRESS;
  }

  @Override
  public long flags(long entry, int level) {
    return entry & ~ADDRESS;
  }

  @Override
  public boolean writable(long entry, int level) {
    return (entry & WRITABLE) != 0;
  }

  @Override
  public boolean executable(long entry, int level) {
    return false;
  }

  @Override
  public boolean contiguous(long entry, int level) {
    return false;
  }

  @Override
  public boolean breakBeforeMake() {
    return false;
  }

  @Override
  public long canonicalOffset(long va) {
    return va & ((1L << 41) - 1);
  }

  @Override
  public Prot pageKernel() {
    return new Prot(PRESENT | WRITABLE);
  }

  @Override
  public Prot pageKernelRo() {
    return new Prot(PRESENT);
  }

  @Override
  public long mkPte(long paddr, Prot prot) {
    return paddr | prot.val();
  }

  @Override
  public long mkLeaf(long paddr, int level, Prot prot) {
    return paddr | prot.val() | LEAF;
  }

  @Override
  public long mkTable(long paddr, int level) {
    return paddr | PRESENT | WRITABLE | TABLE;
  }

  @Override
  public long wrprotect(long entry) {
    return entry & ~WRITABLE;
  }

  @Override
  public boolean none(long entry, int level) {
    return entry == 0;
  }

  @Override
  public int pageTableSyncMask() {
    return 0;
  }
}
