// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * Page tables that no CPU has, to catch hidden assumptions in generic code: 2 to 5 levels of 16
 * entries, and entries whose bytes are rotated in memory.
 */
record OddPgtable(int levels, int pageShift, int pageTableSyncMask, boolean breakBeforeMake)
    implements ArchPgtable {
  static final long WRITE = 1;
  static final long PRESENT = 2;
  static final long LEAF = 4;
  private static final long FLAGS = 0xfff;
  private static final int INDEX_BITS = 4;

  static OddPgtable withLevels(int levels) {
    return new OddPgtable(levels, 12, 0, false);
  }

  @Override
  public String name() {
    return "odd";
  }

  @Override
  public int shift(int level) {
    return pageShift + INDEX_BITS * level;
  }

  @Override
  public int entries(int level) {
    return 1 << INDEX_BITS;
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
  public boolean executable(long entry, int level) {
    return false;
  }

  @Override
  public long canonicalOffset(long va) {
    return va & ((1L << shift(levels)) - 1);
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
    return paddr | PRESENT | WRITE;
  }

  @Override
  public long wrprotect(long entry) {
    return entry & ~WRITE;
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
