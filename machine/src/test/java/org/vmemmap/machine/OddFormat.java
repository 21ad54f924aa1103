// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/**
 * A page-table format that no CPU has, to catch hidden assumptions: 2 to 5 levels of different widths
 * (2 bits at the leaf, one more at each level up), and entries whose bytes are rotated in memory.
 *
 * <pre>
 *   63                          12  11        4    3      2       1         0
 *  +------------------------------+---------+------+------+---------+---------+
 *  |           address            |    0    | exec | leaf | present |  write  |
 *  +------------------------------+---------+------+------+---------+---------+
 * </pre>
 */
record OddFormat(int levels, boolean breakBeforeMake) implements PageTableFormat {
  static final long WRITE = 1;
  static final long PRESENT = 2;
  static final long LEAF = 4;
  static final long EXEC = 8;
  static final int PAGE_SHIFT = 12;
  private static final long FLAGS = 0xfff;

  static OddFormat withLevels(int levels) {
    return new OddFormat(levels, false);
  }

  @Override
  public String name() {
    return "odd";
  }

  @Override
  public int pageShift() {
    return PAGE_SHIFT;
  }

  @Override
  public int shift(int level) {
    return level == 0 ? PAGE_SHIFT : shift(level - 1) + level + 1;
  }

  @Override
  public int entries(int level) {
    return 4 << level;
  }

  @Override
  public String levelName(int level) {
    return "level" + level;
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
  public long writableLeaf(long entry) {
    return entry | WRITE;
  }

  @Override
  public boolean executable(long entry, int level) {
    return (entry & EXEC) != 0;
  }

  /** In place only the write permission may change. */
  @Override
  public boolean liveChangeAllowed(long oldEntry, long newEntry, int level) {
    return !breakBeforeMake || ((oldEntry ^ newEntry) & ~WRITE) == 0;
  }

  @Override
  public long canonicalOffset(long va) {
    return va & ((1L << shift(levels)) - 1);
  }

  @Override
  public long toMemory(long entry) {
    return Long.rotateLeft(entry, 8);
  }

  @Override
  public long fromMemory(long word) {
    return Long.rotateRight(word, 8);
  }
}
