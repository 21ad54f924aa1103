// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.HashSet;
import java.util.Set;
import org.vmemmap.lab.observe.FrameCounts;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Pgtable;

/**
 * What the memmap of some ranges costs in frames, counted from the page tables.
 *
 * <pre>
 *   before   one frame for each memmap page
 *   after    frames that one memmap page of these ranges maps
 *   tails    frames that several map: zone->vmemmap_tails, and the tails of a device's pages
 *   tables   pte tables where a leaf of the next level would do
 *   net      before - after - tails - tables
 * </pre>
 */
public final class MemmapCost {
  private final Mm mm;
  private final MemmapSnapshot snapshot;
  private final ZoneTails zoneTails;
  private final PageTableWalker walker;
  private final PageTableFormat format;
  private final FrameCounts own = new FrameCounts();
  private final Set<Long> tails = new HashSet<>();
  private final Set<Long> tables = new HashSet<>();
  private long pages;
  private long blocks;

  /**
   * Starts at nothing.
   *
   * @param snapshot the memmap before any hugepage or device
   */
  public MemmapCost(Mm mm, MemmapSnapshot snapshot, ZoneTails zoneTails) {
    this.mm = mm;
    this.snapshot = snapshot;
    this.zoneTails = zoneTails;
    this.walker = new PageTableWalker(mm);
    this.format = walker.format();
  }

  /** Counts the memmap of {@code nrPages} pfns from {@code pfn}. */
  public void add(long pfn, long nrPages) {
    int size = mm.config().sizeofStructPage();
    long page = mm.model().pageSize();
    long start = mm.model().vmemmapBase() + pfn * size & -page;
    long end = mm.model().vmemmapBase() + (pfn + nrPages) * size + page - 1 & -page;
    pages += (end - start) / page;
    walker.walk(start, end, new Counter(start, end));
  }

  /** Frames that it would take with one for each memmap page. */
  public long before() {
    return pages;
  }

  /** Frames behind one memmap page each. */
  public long after() {
    return own.distinct() - sharedInRanges() + blocks;
  }

  /** Shared tails in use. */
  public long tails() {
    return tails.size() + sharedInRanges();
  }

  private long sharedInRanges() {
    long[] shared = new long[1];
    own.forEach((frame, maps, writable) -> shared[0] += maps > 1 ? 1 : 0);
    return shared[0];
  }

  /** Page-table pages spent. */
  public long tables() {
    return tables.size();
  }

  /** Frames saved; negative when it costs more than it gives. */
  public long net() {
    return before() - after() - tails() - tables();
  }

  private final class Counter implements PageTableWalker.Visitor {
    private final long start;
    private final long end;
    private long lastTail = -1;

    Counter(long start, long end) {
      this.start = start;
      this.end = end;
    }

    @Override
    public void tableEntry(int level, long va, long entry) {
      if (level == Pgtable.PMD && snapshot.hasBlocks() && snapshot.at(va).level() != Pgtable.PTE) {
        tables.add(va);
      }
    }

    @Override
    public void leaf(int level, long va, long entry) {
      if (level > Pgtable.PTE) {
        long to = Math.min(va + (1L << format.shift(level)), end);
        blocks += (to - Math.max(va, start)) >>> format.pageShift();
        return;
      }
      long frame = format.address(entry, level) >>> format.pageShift();
      if (frame == lastTail) {
        return;
      }
      if (zoneTails.ofFrame(frame) != null) {
        lastTail = frame;
        tails.add(frame);
      } else {
        own.add(frame, 1, 0);
      }
    }
  }
}
