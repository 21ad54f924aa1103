// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Prot;

/**
 * Page tables of no CPU in particular: four levels of 512 entries, leaves of 2 MiB and 1 GiB, and
 * bits where no architecture has them.
 *
 * <pre>
 *   entry    63                12 11        4   3      2       1       0
 *           +--------------------+-----------+-------+------+-------+---------+
 *           |       frame        |     -     | table | leaf | write | present |
 *           +--------------------+-----------+-------+------+-------+---------+
 * </pre>
 */
final class PlainTables implements ArchPgtable {
  static final long PRESENT = 1L;
  static final long WRITE = 1L << 1;
  static final long LEAF = 1L << 2;
  static final long TABLE = 1L << 3;

  @Override
  public String name() {
    return "plain 4-level";
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
    return 12 + 9 * level;
  }

  @Override
  public int entries(int level) {
    return 512;
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
    return entry & -4096L;
  }

  @Override
  public long flags(long entry, int level) {
    return entry & 4095;
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
  public boolean contiguous(long entry, int level) {
    return false;
  }

  @Override
  public boolean breakBeforeMake() {
    return false;
  }

  @Override
  public long canonicalOffset(long va) {
    return va & ((1L << 48) - 1);
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

  @Override
  public boolean none(long entry, int level) {
    return entry == 0;
  }

  @Override
  public int pageTableSyncMask() {
    return 0;
  }
}
