// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/**
 * Walks page tables in physical memory. Holds no state of its own but the shape of the tables, which
 * each step needs: a walk reads what is there.
 */
public final class Mmu {
  private final PhysicalMemory memory;
  private final PageTableFormat format;
  private final long vaMask;
  private final int[] shifts;
  private final int[] indexMasks;

  Mmu(PhysicalMemory memory, PageTableFormat format) {
    this.memory = memory;
    this.format = format;
    this.vaMask = format.canonicalOffset(-1);
    this.shifts = new int[format.levels()];
    this.indexMasks = new int[format.levels()];
    for (int level = 0; level < shifts.length; level++) {
      shifts[level] = format.shift(level);
      indexMasks[level] = format.entries(level) - 1;
    }
  }

  /**
   * One step or the end of a walk: the entry at {@code level}, found at {@code entryPaddr}.
   *
   * @param level the table's level, 0 for the leaf table
   * @param entryPaddr where the entry lies
   * @param entry its value
   */
  public record Entry(int level, long entryPaddr, long entry) {}

  /** The entry of {@code va} in the table at {@code tablePaddr}, which is at {@code level}. */
  public Entry entry(long tablePaddr, int level, long va) {
    long paddr = entryPaddr(tablePaddr, level, va);
    return new Entry(level, paddr, read(paddr));
  }

  /**
   * Walks from {@code root} to the entry that decides about {@code va}: a leaf, or the first entry
   * that is not present.
   *
   * @param root physical address of the top-level table
   */
  public Entry walk(long root, long va) {
    int level = format.levels() - 1;
    long paddr = entryPaddr(root, level, va);
    long entry = read(paddr);
    while (format.present(entry, level) && !format.leaf(entry, level)) {
      long table = format.address(entry, level--);
      paddr = entryPaddr(table, level, va);
      entry = read(paddr);
    }
    return new Entry(level, paddr, entry);
  }

  /** The physical address behind {@code va}, whose walk ended at {@code leaf}. */
  public long target(Entry leaf, long va) {
    long offset = va & ((1L << format.shift(leaf.level())) - 1);
    return format.address(leaf.entry(), leaf.level()) + offset;
  }

  /** True when every entry on the way to the leaf of {@code va} allows writing. */
  boolean writable(long root, long va) {
    int level = format.levels() - 1;
    long entry = read(entryPaddr(root, level, va));
    while (format.writable(entry, level) && !format.leaf(entry, level)) {
      long table = format.address(entry, level--);
      entry = read(entryPaddr(table, level, va));
    }
    return format.writable(entry, level);
  }

  private long entryPaddr(long table, int level, long va) {
    return table + 8L * ((int) ((va & vaMask) >>> shifts[level]) & indexMasks[level]);
  }

  private long read(long entryPaddr) {
    return format.fromMemory(memory.getLongAcquire(entryPaddr));
  }
}
