// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.machine.BoltedMappings;
import org.vmemmap.machine.PageTableFormat;

/**
 * The mappings of a hash MMU in the shape of page-table entries, so that one walk serves all
 * machines. There are two sizes: base pages, at level 0, and the larger blocks, at level 1. Nothing
 * of it lies in memory.
 */
final class BoltedFormat implements PageTableFormat {
  private static final long WRITABLE = 1;
  private static final long ADDRESS = -4096;

  private final int pageShift;
  private final int blockShift;

  /** The mappings that are in {@code bolted} now, on a machine with pages of 2^pageShift bytes. */
  BoltedFormat(BoltedMappings bolted, int pageShift) {
    this.pageShift = pageShift;
    int largest = pageShift;
    for (BoltedMappings.Block block : bolted.blocks()) {
      largest = Math.max(largest, block.shift());
    }
    this.blockShift = largest;
  }

  /** The level of blocks of this size. */
  int level(BoltedMappings.Block block) {
    return block.shift() == pageShift ? 0 : 1;
  }

  /** A mapping as an entry. */
  static long entry(BoltedMappings.Block block) {
    return block.paddr() | (block.writable() ? WRITABLE : 0);
  }

  @Override
  public String name() {
    return "bolted";
  }

  @Override
  public int levels() {
    return 2;
  }

  @Override
  public int pageShift() {
    return pageShift;
  }

  @Override
  public int shift(int level) {
    return level == 0 ? pageShift : blockShift;
  }

  @Override
  public int entries(int level) {
    return 0;
  }

  @Override
  public String levelName(int level) {
    return "hpte";
  }

  @Override
  public boolean present(long entry, int level) {
    return true;
  }

  @Override
  public boolean leaf(long entry, int level) {
    return true;
  }

  @Override
  public long address(long entry, int level) {
    return entry & ADDRESS;
  }

  @Override
  public long flags(long entry, int level) {
    return 0;
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
  public long canonicalOffset(long va) {
    return va;
  }
}
