// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Prot;

/**
 * Page tables of a machine that does not exist: two levels, 1 GiB in all, so that a test can map a
 * memmap by hand.
 *
 * <pre>
 *   63      62     61                                          12 11        0
 *  +-----+------+----------------------------------------------+-----------+
 *  | leaf| read | physical address                             |   1 = set |
 *  |     | only |                                              |           |
 *  +-----+------+----------------------------------------------+-----------+
 * </pre>
 */
final class TinyPageTable implements ArchPgtable {
  private static final long LEAF = 1L << 63;
  private static final long READ_ONLY = 1L << 62;
  private static final long SET = 1;
  private static final long ADDRESS = (1L << 62) - 4096;

  @Override
  public String name() {
    return "tiny 2-level";
  }

  @Override
  public int levels() {
    return 2;
  }

  @Override
  public int pageShift() {
    return 12;
  }

  @Override
  public int shift(int level) {
    return level == 0 ? 12 : 21;
  }

  @Override
  public int entries(int level) {
    return 512;
  }

  @Override
  public String levelName(int level) {
    return level == 0 ? "pte" : "pmd";
  }

  @Override
  public boolean present(long entry, int level) {
    return (entry & SET) != 0;
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
    return present(entry, level) && (entry & READ_ONLY) == 0;
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
    return va & ((1L << 30) - 1);
  }

  @Override
  public Prot pageKernel() {
    return new Prot(SET);
  }

  @Override
  public Prot pageKernelRo() {
    return new Prot(SET | READ_ONLY);
  }

  @Override
  public long mkPte(long paddr, Prot prot) {
    return paddr | prot.val() | SET;
  }

  @Override
  public long mkLeaf(long paddr, int level, Prot prot) {
    return paddr | prot.val() | SET | LEAF;
  }

  @Override
  public long mkTable(long paddr, int level) {
    return paddr | SET;
  }

  @Override
  public long wrprotect(long entry) {
    return entry | READ_ONLY;
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
