// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.Cpu;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/**
 * Walks struct pages one by one and translates once for each page of the memmap (and each 4 KiB of
 * a larger one), not once for each word. For loops over many struct pages in which nobody changes the page tables. Faults are those
 * of plain accesses.
 */
final class PageCursor {
  private static final long WINDOW = PhysicalMemory.UNDO_PAGE;

  private final Cpu cpu;
  private final PhysicalMemory memory;
  private final int size;
  private long va;
  private long start;
  private long paddr;
  private boolean writable;
  private long @Nullable [] words;
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
    return direct != null ? direct[first + (inside >>> 3)] : memory.getLong(paddr + inside);
  }

  void set(int offset, long value) {
    long at = va + offset;
    if ((at & -WINDOW) != start || !writable) {
      open(at, true);
    }
    int inside = (int) (at - start);
    long[] direct = words;
    if (direct != null) {
      direct[first + (inside >>> 3)] = value;
    } else {
      memory.setLong(paddr + inside, value);
    }
  }

  private void open(long at, boolean write) {
    paddr = cpu.translate(at, write) & -WINDOW;
    start = at & -WINDOW;
    writable = write;
    words = memory.words(paddr, write);
    first = PhysicalMemory.wordAt(paddr);
  }
}
