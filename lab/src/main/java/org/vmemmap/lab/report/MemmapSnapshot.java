// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.Arrays;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;

/** All leaves of the memmap at one moment, in three arrays in the order of their addresses. */
public final class MemmapSnapshot {
  private final PageTableFormat format;
  private long[] addresses = new long[256];
  private long[] entries = new long[256];
  private byte[] levels = new byte[256];
  private final String origin;
  private int used;
  private int tables;

  /**
   * How one memmap page is mapped.
   *
   * @param level table level of the leaf; -1 when nothing is mapped
   * @param frame the frame behind the page
   * @param writable whether stores are allowed
   */
  public record Mapping(int level, long frame, boolean writable) {
    /** Nothing. */
    static final Mapping NONE = new Mapping(-1, 0, false);

    /** True when the page is mapped. */
    public boolean present() {
      return level >= 0;
    }
  }

  /**
   * Walks {@code mm}'s page tables now.
   *
   * @param origin what to say of it below a picture; empty for nothing
   */
  public MemmapSnapshot(Mm mm, String origin) {
    this.origin = origin;
    PageTableWalker walker = new PageTableWalker(mm);
    this.format = walker.format();
    walker.walk(mm.model().vmemmapBase(), MemmapWalk.areaEnd(mm), new Collector());
  }

  /** What to say of it below a picture; empty for nothing. */
  public String origin() {
    return origin;
  }

  /** Page-table pages below the top level. */
  public int tables() {
    return tables;
  }

  /** True when some of it was mapped by leaves above the base level. */
  public boolean hasBlocks() {
    for (int i = 0; i < used; i++) {
      if (levels[i] > 0) {
        return true;
      }
    }
    return false;
  }

  /** The mapping of the memmap page at {@code va}. */
  public Mapping at(long va) {
    int found = Arrays.binarySearch(addresses, 0, used, va);
    int index = found >= 0 ? found : -found - 2;
    if (index < 0 || va - addresses[index] >= 1L << format.shift(levels[index])) {
      return Mapping.NONE;
    }
    return mapping(format, levels[index], entries[index], va - addresses[index]);
  }

  /** The mapping that the leaf {@code entry} gives the page {@code offset} bytes into it. */
  static Mapping mapping(PageTableFormat format, int level, long entry, long offset) {
    long paddr = format.address(entry, level) + offset;
    return new Mapping(level, paddr >>> format.pageShift(), format.writable(entry, level));
  }

  private final class Collector implements PageTableWalker.Visitor {
    @Override
    public void table(int level, long paddr) {
      tables++;
    }

    @Override
    public void leaf(int level, long va, long entry) {
      if (used == addresses.length) {
        addresses = Arrays.copyOf(addresses, used * 2);
        entries = Arrays.copyOf(entries, used * 2);
        levels = Arrays.copyOf(levels, used * 2);
      }
      addresses[used] = va;
      entries[used] = entry;
      levels[used++] = (byte) level;
    }
  }
}
