// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.List;

/**
 * Page tables of no CPU in particular, for tests of generic code: pages of 4 KiB, tables as wide as
 * the test likes, leaves at each level, and bits where no architecture has them.
 *
 * <pre>
 *   entry    63                12 11        4   3      2       1       0
 *           +--------------------+-----------+-------+------+-------+---------+
 *           |      address       |     -     | table | leaf | write | present |
 *           +--------------------+-----------+-------+------+-------+---------+
 * </pre>
 */
public final class PlainTables implements ArchPgtable {
  /** A page of memory or a table is there. */
  public static final long PRESENT = 1L;

  /** The page may be written. */
  public static final long WRITE = 1L << 1;

  private static final long LEAF = 1L << 2;
  private static final long TABLE = 1L << 3;
  private static final int PAGE_SHIFT = 12;
  private static final long FLAGS = (1L << PAGE_SHIFT) - 1;
  private static final List<String> NAMES = List.of("pte", "pmd", "pud", "p4d", "pgd");

  /** log2 of what an entry of each level covers, and last of what the root covers. */
  private final int[] shifts;

  /** Tables of 2^{@code widths} entries each, that of the ptes first. */
  public PlainTables(int... widths) {
    this.shifts = new int[widths.length + 1];
    shifts[0] = PAGE_SHIFT;
    for (int level = 0; level < widths.length; level++) {
      shifts[level + 1] = shifts[level] + widths[level];
    }
  }

  @Override
  public String name() {
    return "plain " + levels() + "-level";
  }

  @Override
  public int levels() {
    return shifts.length - 1;
  }

  @Override
  public int pageShift() {
    return PAGE_SHIFT;
  }

  @Override
  public int shift(int level) {
    return shifts[level];
  }

  @Override
  public int entries(int level) {
    return 1 << (shifts[level + 1] - shifts[level]);
  }

  @Override
  public String levelName(int level) {
    return NAMES.get(level);
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
    return entry & ~FLAGS;
  }

  @Override
  public long flags(long entry, int level) {
    return entry & FLAGS;
  }

  @Override
  public boolean writable(long entry, int level) {
    return (entry & WRITE) != 0;
  }

  @Override
  public boolean executable(long entry, int level) {
    return false;
  }

  @Override
  public long canonicalOffset(long va) {
    return va & ((1L << shifts[levels()]) - 1);
  }

  @Override
  public Prot pageKernel() {
    return new Prot(PRESENT | WRITE);
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
    return paddr | PRESENT | WRITE | TABLE;
  }

  @Override
  public long wrprotect(long entry) {
    return entry & ~WRITE;
  }
}
