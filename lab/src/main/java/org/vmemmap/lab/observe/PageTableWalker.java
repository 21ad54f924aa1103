// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.BoltedMappings;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.Mm;

/**
 * Walks init_mm's page tables in simulated memory, in address order.
 *
 * <p>A machine with a hash MMU has no tables for the memmap: there the walk goes over its bolted
 * mappings.
 *
 * <p>Only tables that exist are read, so a walk over a whole address-space area costs what is
 * mapped there. The walk sees the entries as hardware would; translation caches play no part.
 */
public final class PageTableWalker {
  private final PhysicalMemory memory;
  private final PageTableFormat format;
  private final long root;
  private final @Nullable BoltedMappings bolted;

  /** What a walk meets. */
  public interface Visitor {
    /**
     * A table below the top level.
     *
     * @param level its level: 0 is a table of base-page entries
     * @param paddr where it lies
     */
    default void table(int level, long paddr) {}

    /** An entry that points to a table; {@code level} is the level that the entry is in. */
    default void tableEntry(int level, long va, long entry) {}

    /**
     * An entry that maps memory.
     *
     * @param va first address behind the entry, which may lie before the start of the walk
     */
    void leaf(int level, long va, long entry);
  }

  /** A walker for {@code mm}'s init_mm. */
  public PageTableWalker(Mm mm) {
    this.memory = mm.machine().memory();
    this.bolted = mm.machine().bolted();
    this.format = format(mm);
    this.root = mm.model().pa(mm.pgtable().initMmPgd());
  }

  /** What the entries of a walk over {@code mm}'s memmap mean. */
  public static PageTableFormat format(Mm mm) {
    BoltedMappings bolted = mm.machine().bolted();
    PageTableFormat tables = mm.machine().format();
    return bolted == null ? tables : new BoltedFormat(bolted, tables.pageShift());
  }

  /** The format of the tables, for the meaning of entries. */
  public PageTableFormat format() {
    return format;
  }

  /** Visits all that is entered for the addresses {@code start} to {@code end} - 1. */
  public void walk(long start, long end, Visitor visitor) {
    if (format instanceof BoltedFormat blocks && bolted != null) {
      walkBlocks(bolted, blocks, start, end, visitor);
    } else if (Long.compareUnsigned(start, end) < 0) {
      walkTable(root, format.levels() - 1, start, end - 1, visitor);
    }
  }

  private static void walkBlocks(
      BoltedMappings bolted, BoltedFormat format, long start, long end, Visitor visitor) {
    for (BoltedMappings.Block block : bolted.blocks()) {
      boolean below = Long.compareUnsigned(block.end(), start) <= 0;
      if (!below && Long.compareUnsigned(block.va(), end) < 0) {
        visitor.leaf(format.level(block), block.va(), BoltedFormat.entry(block));
      }
    }
  }

  private void walkTable(long table, int level, long start, long last, Visitor visitor) {
    int shift = format.shift(level);
    int lastIndex = format.index(last, level);
    long va = start >>> shift << shift;
    for (int index = format.index(start, level); index <= lastIndex; index++, va += 1L << shift) {
      long entry = format.fromMemory(memory.getLong(table + 8L * index));
      if (format.present(entry, level)) {
        visit(entry, level, va, start, last, visitor);
      }
    }
  }

  private void visit(long entry, int level, long va, long start, long last, Visitor visitor) {
    if (format.leaf(entry, level)) {
      visitor.leaf(level, va, entry);
      return;
    }
    long lastBehind = va + (1L << format.shift(level)) - 1;
    long from = Long.compareUnsigned(va, start) > 0 ? va : start;
    long to = Long.compareUnsigned(lastBehind, last) < 0 ? lastBehind : last;
    long next = format.address(entry, level);
    visitor.tableEntry(level, va, entry);
    visitor.table(level - 1, next);
    walkTable(next, level - 1, from, to, visitor);
  }
}
