// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.machine.Cpu;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/**
 * Walks struct pages one by one and translates once for each page of the memmap, not once for each
 * word. For loops over many struct pages in which nobody changes the page tables. Faults are those
 * of plain accesses.
 */
final class PageCursor {
  private final Cpu cpu;
  private final PhysicalMemory memory;
  private final int pageShift;
  private final long offsetMask;
  private final int size;
  private long va;
  private long cachedPage;
  private long cachedPaddr;
  private boolean cachedWrite;

  PageCursor(Mm mm, Page first) {
    Machine machine = mm.machine();
    this.cpu = machine.cpu();
    this.memory = machine.memory();
    this.pageShift = machine.format().pageShift();
    this.offsetMask = (1L << pageShift) - 1;
    this.size = mm.struct().size();
    this.va = first.va();
    this.cachedPage = ~(va >>> pageShift);
  }

  Page page() {
    return new Page(va);
  }

  /** To the next struct page. */
  void next() {
    va += size;
  }

  long get(int offset) {
    return memory.getLong(translate(va + offset, false));
  }

  void set(int offset, long value) {
    memory.setLong(translate(va + offset, true), value);
  }

  private long translate(long at, boolean write) {
    if (at >>> pageShift != cachedPage || (write && !cachedWrite)) {
      cachedPaddr = cpu.translate(at, write) & ~offsetMask;
      cachedPage = at >>> pageShift;
      cachedWrite = write;
    }
    return cachedPaddr | (at & offsetMask);
  }
}
