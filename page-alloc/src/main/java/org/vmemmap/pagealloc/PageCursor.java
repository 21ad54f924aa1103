// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.Objects;
import org.vmemmap.machine.Cpu;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.StructPage;

/**
 * Walks struct pages and translates once for each page of the memmap (and each 4 KiB of a larger
 * one), not once for each word. For loops over many struct pages in which nobody changes the page
 * tables. Faults are those of plain accesses.
 *
 * <pre>
 *   memmap   | 0 1 2 ... 63 | 64 65 66 67 ... 127 | ...
 *                                  ^-- run -----'        what {@link #words} has from here on
 * </pre>
 */
final class PageCursor {
  private static final long WINDOW = PhysicalMemory.UNDO_PAGE;
  private static final long[] THROUGH_MEMORY = {};

  private final Cpu cpu;
  private final PhysicalMemory memory;
  private final int size;
  private long va;
  private long start;
  private long paddr;
  private boolean writable;
  private long[] words = THROUGH_MEMORY;
  private int first;

  PageCursor(Mm mm, Page page) {
    Machine machine = mm.machine();
    this.cpu = machine.cpu();
    this.memory = machine.memory();
    this.size = mm.struct().size();
    this.va = page.va();
    this.start = ~va;
  }

  Page page() {
    return new Page(va);
  }

  /** To the next struct page. */
  void next() {
    va += size;
  }

  /** Over {@code pages} struct pages. */
  void skip(long pages) {
    va += pages * size;
  }

  long get(int offset) {
    long at = va + offset;
    if ((at & -WINDOW) != start) {
      open(at, false);
    }
    int inside = (int) (at - start);
    long[] direct = words;
    return direct.length != 0
        ? direct[first + (inside >>> 3)]
        : memory.getLong(paddr + inside);
  }

  void set(int offset, long value) {
    long at = va + offset;
    if ((at & -WINDOW) != start || !writable) {
      open(at, true);
    }
    int inside = (int) (at - start);
    long[] direct = words;
    if (direct.length != 0) {
      direct[first + (inside >>> 3)] = value;
    } else {
      memory.setLong(paddr + inside, value);
    }
  }

  /**
   * How many struct pages from here on, {@code most} at most, lie whole in {@link #words}, the first
   * {@link #at}; 0 when each access has to be seen, or when this one lies across a border.
   *
   * @param write whether they may be changed there
   */
  int run(boolean write, long most) {
    if ((va & -WINDOW) != start || (write && !writable)) {
      open(va, write);
    }
    return words.length == 0 ? 0 : (int) Math.min((start + WINDOW - va) / size, most);
  }

  /** The memory of a {@link #run}; each struct page takes {@link StructPage#size} / 8 words. */
  long[] words() {
    return words;
  }

  /** Where this struct page begins among the words. */
  int at() {
    return first + (int) ((va - start) >>> 3);
  }

  private void open(long at, boolean write) {
    paddr = cpu.translate(at, write) & -WINDOW;
    start = at & -WINDOW;
    writable = write;
    words = Objects.requireNonNullElse(memory.words(paddr, write), THROUGH_MEMORY);
    first = PhysicalMemory.wordAt(paddr);
  }
}
