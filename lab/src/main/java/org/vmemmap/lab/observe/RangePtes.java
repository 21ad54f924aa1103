// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/**
 * The memmap of a run of pfns, memmap page by memmap page, with equal neighbours drawn together.
 *
 * <pre>
 *   vpage     0 | 1   2   3   4   5   6   7 | 8 ...
 *   frame     A | T   T   T   T   T   T   T | B
 *   run      own|          shared           |own
 * </pre>
 *
 * Page 0 is the memmap page that holds the first struct page of the range. A frame is <em>own</em>
 * when nothing else in the range maps it.
 */
public final class RangePtes {
  private final Mm mm;
  private final PageTableFormat format;
  private final ZoneTails tails;
  private final long start;
  private final long end;
  private final FrameCounts counts = new FrameCounts();
  private final List<Run> runs = new ArrayList<>();
  private final SortedMap<Integer, Set<Long>> tableEntries =
      new TreeMap<>(Comparator.reverseOrder());
  private @Nullable Builder open;

  /**
   * Memmap pages that are mapped alike.
   *
   * @param vpage first memmap page, from the start of the range
   * @param n memmap pages
   * @param level table level of the leaves; -1 where nothing is mapped
   * @param flags the leaf without its address
   * @param shared true when all {@code n} pages map one frame
   * @param leaves number of leaf entries
   * @param firstFrame frame that the first leaf points to
   * @param step distance from one leaf's frame to the next; 0 for a single leaf
   * @param inside true when the frames belong to a device or to hot-added memory
   * @param tail the shared HugeTLB tail that the frame is; null for any other frame
   */
  public record Run(
      long vpage,
      long n,
      int level,
      long flags,
      boolean shared,
      long leaves,
      long firstFrame,
      long step,
      boolean inside,
      ZoneTails.@Nullable Slot tail) {}

  /** Looks at the memmap of {@code pages} pfns from {@code startPfn}. */
  public RangePtes(Mm mm, ZoneTails tails, long startPfn, long pages) {
    this.mm = mm;
    this.tails = tails;
    long page = mm.model().pageSize();
    int size = mm.config().sizeofStructPage();
    this.start = mm.model().vmemmapBase() + startPfn * size & -page;
    this.end = (mm.model().vmemmapBase() + (startPfn + pages) * size + page - 1) & -page;
    PageTableWalker walker = new PageTableWalker(mm);
    this.format = walker.format();
    walker.walk(start, end, new Count());
    walker.walk(start, end, this::leaf);
    close(end);
  }

  /** The runs in order; together they cover the range. */
  public List<Run> runs() {
    return List.copyOf(runs);
  }

  /** Flags of the table entries on the way, by the level that the entry is in, highest first. */
  public SortedMap<Integer, Set<Long>> tableEntries() {
    return new TreeMap<>(tableEntries);
  }

  private final class Count implements PageTableWalker.Visitor {
    @Override
    public void tableEntry(int level, long va, long entry) {
      tableEntries.computeIfAbsent(level, l -> new TreeSet<>()).add(format.flags(entry, level));
    }

    @Override
    public void leaf(int level, long va, long entry) {
      counts.add(format.address(entry, level) >>> format.pageShift(), 1, 0);
    }
  }

  private void leaf(int level, long va, long entry) {
    long from = Math.max(va - start, 0);
    long to = Math.min(va + (1L << format.shift(level)), end) - start;
    long frame = format.address(entry, level) >>> format.pageShift();
    Leaf leaf =
        new Leaf(
            from >>> format.pageShift(),
            (to - from) >>> format.pageShift(),
            level,
            format.flags(entry, level),
            frame,
            counts.maps(frame) > 1,
            inside(frame));
    Builder run = open;
    if (run != null && run.takes(leaf)) {
      run.add(leaf);
    } else {
      close(start + from);
      open = new Builder(leaf);
    }
  }

  private boolean inside(long frame) {
    return frame < mm.machine().ledger().frames()
        && mm.machine().ledger().ownerOf(frame) == Owner.ALTMAP;
  }

  private void close(long va) {
    Builder run = open;
    long behind = 0;
    if (run != null) {
      runs.add(run.build());
      behind = run.first.vpage + run.n;
      open = null;
    }
    long next = (va - start) >>> format.pageShift();
    if (next > behind) {
      runs.add(new Run(behind, next - behind, -1, 0, false, 0, 0, 0, false, null));
    }
  }

  private record Leaf(
      long vpage, long n, int level, long flags, long frame, boolean shared, boolean inside) {}

  private final class Builder {
    private final Leaf first;
    private long n;
    private long leaves = 1;
    private long lastFrame;
    private long step;

    Builder(Leaf first) {
      this.first = first;
      this.n = first.n;
      this.lastFrame = first.frame;
    }

    boolean takes(Leaf leaf) {
      boolean alike =
          leaf.vpage == first.vpage + n
              && leaf.level == first.level
              && leaf.flags == first.flags
              && leaf.shared == first.shared
              && leaf.inside == first.inside;
      if (!alike || leaf.shared) {
        return alike && leaf.frame == lastFrame;
      }
      return !leaf.inside || leaves == 1 || leaf.frame - lastFrame == step;
    }

    void add(Leaf leaf) {
      step = leaf.frame - lastFrame;
      lastFrame = leaf.frame;
      n += leaf.n;
      leaves++;
    }

    Run build() {
      return new Run(
          first.vpage,
          n,
          first.level,
          first.flags,
          first.shared,
          leaves,
          first.frame,
          step,
          first.inside,
          tails.ofFrame(first.frame));
    }
  }
}
