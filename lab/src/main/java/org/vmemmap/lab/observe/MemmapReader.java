// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.BoltedMappings;
import org.vmemmap.machine.Mmu;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.Mm;

/**
 * Reads struct pages through init_mm's page tables, not through a CPU: what a debugger outside the
 * machine sees. One translation serves all struct pages of a memmap page.
 *
 * <p>Translations are remembered until {@link #forget}; call it when the machine may have changed.
 */
public final class MemmapReader {
  private static final long NOT_MAPPED = -1;

  private final PhysicalMemory memory;
  private final Mmu mmu;
  private final @Nullable BoltedMappings bolted;
  private final PageTableFormat format;
  private final long root;
  private final long base;
  private final int size;
  private final long pageMask;
  private long cachedVpage = -1;
  private long cachedPaddr = NOT_MAPPED;
  private long table = -1;
  private long tableStart;
  private long tableEnd;
  private long leafStart;
  private long leafEnd;
  private long leafPaddr;

  /** A reader for {@code mm}. */
  public MemmapReader(Mm mm) {
    this.memory = mm.machine().memory();
    this.mmu = mm.machine().mmu();
    this.bolted = mm.machine().bolted();
    this.format = mm.machine().format();
    this.root = mm.model().pa(mm.pgtable().initMmPgd());
    this.base = mm.model().vmemmapBase();
    this.size = mm.config().sizeofStructPage();
    this.pageMask = mm.model().pageSize() - 1;
  }

  /** Forgets translations. */
  public void forget() {
    cachedVpage = -1;
    table = -1;
    leafEnd = leafStart;
  }

  /** The virtual address of the struct page of {@code pfn}. */
  public long address(long pfn) {
    return base + pfn * size;
  }

  /** True when the first word of the struct page of {@code pfn} is mapped. */
  public boolean mapped(long pfn) {
    return paddr(address(pfn)) != NOT_MAPPED;
  }

  /** The frame behind the first byte of the struct page of {@code pfn}; -1 where none is mapped. */
  public long frame(long pfn) {
    long paddr = paddr(address(pfn));
    return paddr == NOT_MAPPED ? -1 : paddr >>> format.pageShift();
  }

  /** Physical address of {@code va}; -1 where nothing is mapped. */
  public long paddr(long va) {
    long vpage = va & ~pageMask;
    if (vpage != cachedVpage) {
      cachedVpage = vpage;
      cachedPaddr = translate(vpage);
    }
    return cachedPaddr == NOT_MAPPED ? NOT_MAPPED : cachedPaddr + (va & pageMask);
  }

  /** True when the struct page of {@code pfn} lies behind a leaf above the pte level. */
  public boolean inLargeLeaf(long pfn) {
    return bolted == null && mmu.walk(root, address(pfn)).level() > 0;
  }

  private long translate(long va) {
    if (bolted != null) {
      BoltedMappings.Block block = bolted.block(va);
      return block == null ? NOT_MAPPED : block.paddr() + (va - block.va());
    }
    if (va >= leafStart && va < leafEnd) {
      return leafPaddr + (va - leafStart);
    } else if (table >= 0 && va >= tableStart && va < tableEnd) {
      long at = table + 8L * format.index(va, 0);
      return target(format.fromMemory(memory.getLong(at)), 0, va);
    }
    Mmu.Entry entry = mmu.walk(root, va);
    long paddr = target(entry.entry(), entry.level(), va);
    if (entry.level() == 0) {
      table = entry.entryPaddr() - 8L * format.index(va, 0);
      tableStart = va >>> format.shift(1) << format.shift(1);
      tableEnd = tableStart + (1L << format.shift(1));
    } else if (paddr != NOT_MAPPED) {
      leafStart = va >>> format.shift(entry.level()) << format.shift(entry.level());
      leafEnd = leafStart + (1L << format.shift(entry.level()));
      leafPaddr = paddr - (va - leafStart);
    }
    return paddr;
  }

  private long target(long entry, int level, long va) {
    long inside = va & ((1L << format.shift(level)) - 1);
    return format.present(entry, level) ? format.address(entry, level) + inside : NOT_MAPPED;
  }

  /** Word {@code index} of the struct page of {@code pfn}, which is mapped. */
  public long word(long pfn, int index) {
    return memory.getLong(paddr(address(pfn) + 8L * index));
  }

  /** All words of the struct page of {@code pfn}, which is mapped. */
  public long[] words(long pfn) {
    long[] words = new long[size / 8];
    for (int i = 0; i < words.length; i++) {
      words[i] = word(pfn, i);
    }
    return words;
  }

  /** Words of the {@code slot}-th struct page that lies in {@code frame}. */
  public long[] wordsInFrame(long frame, int slot) {
    long paddr = (frame << format.pageShift()) + (long) slot * size;
    long[] words = new long[size / 8];
    for (int i = 0; i < words.length; i++) {
      words[i] = memory.getLong(paddr + 8L * i);
    }
    return words;
  }
}
