// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/** Walks page tables in physical memory. Holds no state of its own: a walk reads what is there. */
public final class Mmu {
  private final PhysicalMemory memory;
  private final PageTableFormat format;

  Mmu(PhysicalMemory memory, PageTableFormat format) {
    this.memory = memory;
    this.format = format;
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
    long paddr = tablePaddr + 8L * format.index(va, level);
    return new Entry(level, paddr, format.fromMemory(memory.getLongAcquire(paddr)));
  }

  /**
   * Walks from {@code root} to the entry that decides about {@code va}: a leaf, or the first entry
   * that is not present.
   *
   * @param root physical address of the top-level table
   */
  public Entry walk(long root, long va) {
    Entry step = entry(root, format.levels() - 1, va);
    while (format.present(step.entry(), step.level()) && !format.leaf(step.entry(), step.level())) {
      step = entry(format.address(step.entry(), step.level()), step.level() - 1, va);
    }
    return step;
  }

  /** The physical address behind {@code va}, whose walk ended at {@code leaf}. */
  public long target(Entry leaf, long va) {
    long offset = va & ((1L << format.shift(leaf.level())) - 1);
    return format.address(leaf.entry(), leaf.level()) + offset;
  }

  /** True when every entry on the way to the leaf of {@code va} allows writing. */
  boolean writable(long root, long va) {
    Entry step = entry(root, format.levels() - 1, va);
    while (format.writable(step.entry(), step.level()) && !format.leaf(step.entry(), step.level())) {
      step = entry(format.address(step.entry(), step.level()), step.level() - 1, va);
    }
    return format.writable(step.entry(), step.level());
  }
}
