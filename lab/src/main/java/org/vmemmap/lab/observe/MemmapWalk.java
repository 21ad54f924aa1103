// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;

/**
 * The whole memmap as the page tables map it, in numbers.
 *
 * <pre>
 *   memmap      |<--- struct pages of 2 MiB --->|
 *   vpages      | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
 *   frames        A   T   T   T   T   T   T   T      mapped 8, distinct 2, T is shared: maps 7
 * </pre>
 *
 * Pages and frames are base pages; a leaf above the base level counts as many as it covers.
 */
public final class MemmapWalk {
  private static final int LEVEL_BITS = 3;
  private static final long LEVEL_MASK = (1L << LEVEL_BITS) - 1;

  private final PageTableFormat format;
  private final long pageShift;
  private final long base;
  private final long end;
  private final Map<Integer, Long> tables = new LinkedHashMap<>();
  private final Set<Long> tableFrames = new LinkedHashSet<>();
  private final List<EmptyTable> emptyTables = new ArrayList<>();
  private final Map<LeafKind, long[]> leaves = new LinkedHashMap<>();
  private final List<LeafRange> leafRanges = new ArrayList<>();
  private final FrameCounts counts = new FrameCounts();
  private final FrameCounts blocks = new FrameCounts();
  private long mappedPages;
  private long readOnlyPages;
  private long blockPages;
  private long runFrame = -1;
  private long runMaps;
  private long runWritable;
  private int kindLevel = -1;
  private long kindFlags;
  private long[] kindCount = new long[1];

  /**
   * Leaves that look alike.
   *
   * @param level table level, 0 for base pages
   * @param flags the entry without its address
   */
  public record LeafKind(int level, long flags) {}

  /**
   * A run of the memmap that is mapped at one level.
   *
   * @param level table level
   * @param start byte offset from the struct page of pfn 0
   * @param end first byte offset behind the run
   */
  public record LeafRange(int level, long start, long end) {}

  /**
   * A table in which the walk met no entry.
   *
   * @param level its level, 0 for a table of base pages
   * @param va first address that it serves
   * @param frame where it lies
   */
  public record EmptyTable(int level, long va, long frame) {}

  /** Receives the blocks behind leaves above the base level. */
  @FunctionalInterface
  public interface BlockVisitor {
    /** Called once for each block of {@code pages} frames. */
    void visit(long firstFrame, long pages);
  }

  /** Walks the memmap of every pfn that the kernel's configuration allows. */
  public MemmapWalk(Mm mm) {
    PageTableWalker walker = new PageTableWalker(mm);
    this.format = walker.format();
    this.pageShift = format.pageShift();
    this.base = mm.model().vmemmapBase();
    this.end = areaEnd(mm);
    Counter counter = new Counter();
    walker.walk(base, end, counter);
    endRun();
    counter.leaveAll();
  }

  /**
   * First address behind the memmap of the highest pfn that the configuration allows, or the last
   * page of all addresses where the memmap area ends before.
   */
  public static long areaEnd(Mm mm) {
    long pfns = 1L << (mm.config().maxPhysmemBits() - mm.model().pageShift());
    long base = mm.model().vmemmapBase();
    long end = base + pfns * mm.config().sizeofStructPage();
    return Long.compareUnsigned(base, end) < 0 ? end : -mm.model().pageSize();
  }

  /** Page-table pages below the top level, by level: 0 is pte. */
  public long tables(int level) {
    return tables.getOrDefault(level, 0L);
  }

  /** All tables that the walk met, the top level not counted. */
  public long allTables() {
    return tables.values().stream().mapToLong(Long::longValue).sum();
  }

  /** The frames that hold these tables; several small tables may lie in one. */
  public Set<Long> tableFrames() {
    return Collections.unmodifiableSet(tableFrames);
  }

  /** Tables that serve addresses of the memmap alone, and map nothing. */
  public List<EmptyTable> emptyTables() {
    return List.copyOf(emptyTables);
  }

  /** How many leaves there are of each kind, in the order in which they were met. */
  public Map<LeafKind, Long> leaves() {
    Map<LeafKind, Long> result = new LinkedHashMap<>();
    leaves.forEach((kind, count) -> result.put(kind, count[0]));
    return result;
  }

  /** What is mapped at which level; adjacent leaves of one level are one run. */
  public List<LeafRange> leafRanges() {
    return List.copyOf(leafRanges);
  }

  /** Base pages mapped, every mapping counted. */
  public long mappedPages() {
    return mappedPages;
  }

  /** Base pages mapped without write permission. */
  public long readOnlyPages() {
    return readOnlyPages;
  }

  /** Different frames behind the mappings. */
  public long distinctPages() {
    long[] inBlocks = new long[1];
    if (blocks.distinct() > 0) {
      counts.forEach((frame, maps, writableMaps) -> inBlocks[0] += inBlock(frame) ? 1 : 0);
    }
    return counts.distinct() + blockPages - inBlocks[0];
  }

  private boolean inBlock(long frame) {
    for (int level = 1; level < format.levels(); level++) {
      long first = frame & -(1L << (format.shift(level) - pageShift));
      if (blocks.maps(block(first, level)) > 0) {
        return true;
      }
    }
    return false;
  }

  /** How often the frames are mapped that base-page entries map; blocks are not in it. */
  public FrameCounts baseFrames() {
    return counts;
  }

  /** Calls {@code visitor} with the first frame of each block that a higher leaf maps. */
  public void forEachBlock(BlockVisitor visitor) {
    blocks.forEach(
        (key, maps, writableMaps) -> {
          int level = (int) (key & LEVEL_MASK);
          visitor.visit(key >>> LEVEL_BITS, 1L << (format.shift(level) - pageShift));
        });
  }

  private static long block(long frame, int level) {
    return frame << LEVEL_BITS | level;
  }

  private void endRun() {
    if (runMaps > 0) {
      counts.add(runFrame, runMaps, runWritable);
    }
    runMaps = 0;
    runWritable = 0;
  }

  private final class Counter implements PageTableWalker.Visitor {
    /** The last table of each level, and whether nothing was met in it so far. */
    private final EmptyTable[] last = new EmptyTable[format.levels()];

    private final boolean[] empty = new boolean[format.levels()];
    private long va;

    @Override
    public void tableEntry(int level, long tableVa, long entry) {
      empty[level] = false;
      va = tableVa;
    }

    @Override
    public void table(int level, long paddr) {
      tables.merge(level, 1L, Long::sum);
      tableFrames.add(paddr >>> pageShift);
      leave(level);
      last[level] = new EmptyTable(level, va, paddr >>> pageShift);
      empty[level] = true;
    }

    private void leave(int level) {
      if (empty[level] && inArea(last[level])) {
        emptyTables.add(last[level]);
      }
    }

    private boolean inArea(EmptyTable table) {
      long lastVa = table.va() + (1L << format.shift(table.level() + 1)) - 1;
      return Long.compareUnsigned(base, table.va()) <= 0 && Long.compareUnsigned(lastVa, end - 1) <= 0;
    }

    void leaveAll() {
      for (int level = 0; level < empty.length; level++) {
        leave(level);
      }
    }

    @Override
    public void leaf(int level, long va, long entry) {
      empty[level] = false;
      count(level, format.flags(entry, level));
      extend(level, va - base);
      long pages = 1L << (format.shift(level) - pageShift);
      long frame = format.address(entry, level) >>> pageShift;
      boolean writable = format.writable(entry, level);
      mappedPages += pages;
      readOnlyPages += writable ? 0 : pages;
      if (level == 0) {
        mapped(frame, writable);
      } else {
        blockPages += blocks.maps(block(frame, level)) == 0 ? pages : 0;
        blocks.add(block(frame, level), 1, writable ? 1 : 0);
      }
    }

    private void mapped(long frame, boolean writable) {
      if (frame != runFrame) {
        endRun();
        runFrame = frame;
      }
      runMaps++;
      runWritable += writable ? 1 : 0;
    }

    private void count(int level, long flags) {
      if (level != kindLevel || flags != kindFlags) {
        kindLevel = level;
        kindFlags = flags;
        kindCount = leaves.computeIfAbsent(new LeafKind(level, flags), kind -> new long[1]);
      }
      kindCount[0]++;
    }

    private void extend(int level, long offset) {
      long end = offset + (1L << format.shift(level));
      LeafRange last = leafRanges.isEmpty() ? null : leafRanges.getLast();
      if (last != null && last.level() == level && last.end() == offset) {
        leafRanges.set(leafRanges.size() - 1, new LeafRange(level, last.start(), end));
      } else {
        leafRanges.add(new LeafRange(level, offset, end));
      }
    }
  }
}
