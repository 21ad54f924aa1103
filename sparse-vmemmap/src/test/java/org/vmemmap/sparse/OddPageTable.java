// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.List;
import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Prot;

/**
 * Page tables that no CPU has, to find out what the generic code takes for granted: three levels of
 * different width, other bits in other places, a read-only bit in place of a writable one, and
 * entries that lie in memory with their bytes swapped.
 *
 * <pre>
 *   address  37         29 28         20 19        12 11          0
 *           +-------------+-------------+------------+-------------+
 *           |  pud, 512   |  pmd, 512   |  pte, 256  |   offset    |   a pmd leaf has 1 MiB
 *           +-------------+-------------+------------+-------------+
 *   entry    63            48 47                8   5   3   2   1
 *           +---------------+-------------------+-+---+---+---+---+
 *           |       -       |   frame number    |-|lf |tbl|prs|ro |
 *           +---------------+-------------------+-+---+---+---+---+
 * </pre>
 */
final class OddPageTable implements ArchPgtable {
  static final long READ_ONLY = 1L << 1;
  static final long PRESENT = 1L << 2;
  static final long TABLE = 1L << 3;
  static final long LEAF = 1L << 5;
  private static final int FRAME_SHIFT = 8;
  private static final long FRAME_MASK = (1L << 48) - (1L << FRAME_SHIFT);
  private static final int[] SHIFTS = {0, 8, 17, 20, 23};

  private final int pageShift;
  private final int[] entries;

  /** Pages of 4 KiB, as drawn. */
  OddPageTable() {
    this(12);
  }

  /** Pages of 2^{@code pageShift} bytes; all fields of the address move up with them. */
  OddPageTable(int pageShift) {
    this(pageShift, 256, 512, 512);
  }

  private OddPageTable(int pageShift, int... entries) {
    this.pageShift = pageShift;
    this.entries = entries;
  }

  /** Five levels for the same addresses: the top table of 512 entries is split into three of 8. */
  static OddPageTable fiveLevels() {
    return new OddPageTable(12, 256, 512, 8, 8, 8);
  }

  @Override
  public String name() {
    return "odd " + levels() + "-level";
  }

  @Override
  public int levels() {
    return entries.length;
  }

  @Override
  public int pageShift() {
    return pageShift;
  }

  @Override
  public int shift(int level) {
    return pageShift + SHIFTS[level];
  }

  @Override
  public int entries(int level) {
    return entries[level];
  }

  @Override
  public String levelName(int level) {
    return level == levels() - 1 ? "pgd" : List.of("pte", "pmd", "pud", "p4d").get(level);
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
    return (entry & FRAME_MASK) >>> FRAME_SHIFT << pageShift;
  }

  @Override
  public long flags(long entry, int level) {
    return entry & ~FRAME_MASK;
  }

  @Override
  public boolean writable(long entry, int level) {
    return (entry & READ_ONLY) == 0;
  }

  @Override
  public boolean executable(long entry, int level) {
    return false;
  }

  @Override
  public long canonicalOffset(long va) {
    return va & (1L << (pageShift + 26)) - 1;
  }

  @Override
  public long toMemory(long entry) {
    return Long.reverseBytes(entry);
  }

  @Override
  public long fromMemory(long word) {
    return Long.reverseBytes(word);
  }

  @Override
  public Prot pageKernel() {
    return new Prot(PRESENT);
  }

  @Override
  public Prot pageKernelRo() {
    return new Prot(PRESENT | READ_ONLY);
  }

  @Override
  public long mkPte(long paddr, Prot prot) {
    return paddr >>> pageShift << FRAME_SHIFT | prot.val();
  }

  @Override
  public long mkLeaf(long paddr, int level, Prot prot) {
    return mkPte(paddr, prot) | LEAF;
  }

  @Override
  public long mkTable(long paddr, int level) {
    return paddr >>> pageShift << FRAME_SHIFT | PRESENT | TABLE;
  }

  @Override
  public long wrprotect(long entry) {
    return entry | READ_ONLY;
  }
}
