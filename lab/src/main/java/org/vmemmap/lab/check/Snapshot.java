// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.StringJoiner;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.observe.ArchExceptions;
import org.vmemmap.lab.observe.MarkedMemmap;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.PageRanges;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Ledger;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Owner;

/**
 * What a failed operation must leave alone: counters, present sections and their parts, frames by
 * owner, the struct pages of RAM that is in use and of devices. Free pages may lie on other lists
 * than before.
 *
 * <p>Of a struct page in use the link to neighbours on a list is left out: a neighbour may have come
 * and gone.
 *
 * <p>With a marked memmap only pages of memmap that have changed since are read; the others are as
 * the snapshot made at the mark has them.
 */
final class Snapshot {
  /** Pages of memory that boot did not find. */
  static final String ADDED = "pages added after boot";

  /** Parts of sections that are there. */
  static final String SUBSECTIONS = "present subsections";

  /** The counter of that name. */
  static final String MEMMAP_PAGES = "nr_memmap_pages";

  /** Before the name of an owner. */
  static final String FRAMES = "frames of ";

  private static final int INFO = 1;
  private static final int MAPPING = 3;
  private static final int COUNTS = 6;
  private static final long UNMAPPED = 0;

  /** Pfns from {@code start} to {@code end} - 1 whose struct pages are in use. */
  private record Run(long start, long end) {}

  private final Map<String, Long> counts = new TreeMap<>();
  private final List<Run> used = new ArrayList<>();
  private final Map<Long, long[]> pages = new HashMap<>();
  private final @Nullable Snapshot atMark;
  private final MemmapReader reader;
  private final PhysicalMemory memory;
  private final long perPage;
  private final int size;

  /** True when no struct page lies across the border of two pages of memmap. */
  private final boolean whole;

  /** All of {@code kernel}. */
  Snapshot(LabKernel kernel) {
    this(kernel, null, null);
  }

  /**
   * What has changed on {@code kernel}.
   *
   * @param marked its memmap when memory was marked; null for none
   * @param atMark the snapshot of that time; null for none
   */
  Snapshot(LabKernel kernel, @Nullable MarkedMemmap marked, @Nullable Snapshot atMark) {
    this.atMark = atMark;
    this.reader = new MemmapReader(kernel.mm());
    this.memory = kernel.mm().machine().memory();
    this.size = kernel.mm().config().sizeofStructPage();
    this.perPage = kernel.mm().model().pageSize() / size;
    this.whole = kernel.mm().config().structPageIsPowerOf2();
    count(kernel);
    PageRanges.forEach(kernel, (start, end, node) -> use(kernel, start, end, node));
    for (Run run : used) {
      for (long page = run.start / perPage; page * perPage < run.end; page++) {
        read(page, marked);
      }
    }
  }

  private void count(LabKernel kernel) {
    var mm = kernel.mm();
    counts.put(MEMMAP_PAGES, mm.vmstat().nrMemmapPages());
    counts.put("nr_memmap_boot_pages", mm.vmstat().nrMemmapBootPages());
    // A shared tail stays for good, and a page of which tables are cut for the next table.
    boolean cut = !ArchExceptions.of(kernel.spec()).tablesFillFrames();
    for (FrameOwner owner : mm.machine().ledger().owners()) {
      boolean moves =
          owner == Owner.BUDDY || owner == Owner.SLAB || owner == Owner.SHARED_TAIL;
      if (!moves && !(cut && owner == Owner.PAGE_TABLE)) {
        counts.put(FRAMES + owner.name(), mm.machine().ledger().count(owner));
      }
    }
    long sections = 0;
    long parts = 0;
    for (long nr = mm.mmzone().nextPresentSectionNr(-1); nr >= 0; ) {
      sections++;
      parts += subsections(mm.mmzone().section(nr));
      nr = mm.mmzone().nextPresentSectionNr(nr);
    }
    counts.put("present sections", sections);
    counts.put(SUBSECTIONS, parts);
    long[] late = new long[1];
    PageRanges.forEach(kernel, (start, end, node) -> late[0] += node < 0 ? end - start : 0);
    counts.put(ADDED, late[0]);
  }

  private static long subsections(MemSection section) {
    MemSectionUsage usage = section.usage;
    return usage == null ? 0 : Arrays.stream(usage.subsectionMap()).map(Long::bitCount).sum();
  }

  /** Notes what is in use: RAM by its owner, and devices. */
  private void use(LabKernel kernel, long start, long last, int node) {
    Ledger ledger = kernel.mm().machine().ledger();
    long end = Math.min(last, ledger.frames());
    for (long at = start; at < end; ) {
      FrameOwner owner = ledger.ownerOf(at);
      long stop = ledger.sameOwnerUntil(at, end);
      boolean device =
          node < 0 && (owner == Owner.DEVICE || (owner == Owner.ALTMAP && initialised(kernel, at)));
      if (owner == Owner.HUGEPAGE || owner == Owner.RESERVED || device) {
        used.add(new Run(at, stop));
      }
      at = stop;
    }
  }

  /** False for the memmap in a block that is offline: its struct pages are made when it goes online. */
  private static boolean initialised(LabKernel kernel, long pfn) {
    long paddr = pfn << kernel.mm().model().pageShift();
    return kernel.mm().mmzone().pfnOnline(pfn)
        || kernel.dax().bound().stream()
            .map(bound -> bound.pgmap().ranges[0])
            .anyMatch(range -> range.start() <= paddr && paddr <= range.end());
  }

  private void read(long page, @Nullable MarkedMemmap marked) {
    long first = page * perPage;
    long paddr = reader.paddr(reader.address(first));
    boolean known = pages.containsKey(page);
    if (known || paddr < 0 || (marked != null && atMark != null && marked.same(page, paddr))) {
      return;
    }
    long @Nullable [] words = whole ? memory.words(paddr, false) : null;
    pages.put(page, words == null ? hashes(first, (int) perPage) : hashes(words, paddr));
  }

  /** Of struct pages one by one: the page has never been written, or they lie across its borders. */
  private long[] hashes(long first, int pages) {
    long[] hashes = new long[pages];
    for (int i = 0; i < pages; i++) {
      long pfn = first + i;
      hashes[i] =
          reader.mapped(pfn)
              ? hash(
                  reader.word(pfn, 0),
                  reader.word(pfn, INFO),
                  reader.word(pfn, MAPPING),
                  reader.word(pfn, COUNTS))
              : UNMAPPED;
    }
    return hashes;
  }

  /** Of the struct pages in the page of memmap at {@code paddr}. */
  private long[] hashes(long[] words, long paddr) {
    long[] hashes = new long[(int) perPage];
    int at = PhysicalMemory.wordAt(paddr);
    for (int i = 0; i < hashes.length; i++, at += size / Long.BYTES) {
      hashes[i] = hash(words[at], words[at + INFO], words[at + MAPPING], words[at + COUNTS]);
    }
    return hashes;
  }

  private static long hash(long flags, long info, long mapping, long counts) {
    return ((flags * 31 + ((info & 1) == 0 ? 0 : info)) * 31 + mapping) * 31 + counts;
  }

  private long @Nullable [] hashes(long page) {
    long[] own = pages.get(page);
    return own != null || atMark == null ? own : atMark.hashes(page);
  }

  /** All counts that differ in {@code later}, or the first page; empty for none. */
  String difference(Snapshot later) {
    StringJoiner text = new StringJoiner(", ");
    for (Map.Entry<String, Long> count : counts.entrySet()) {
      Long now = later.counts.get(count.getKey());
      if (!count.getValue().equals(now)) {
        text.add(count.getKey() + " were " + count.getValue() + ", are " + now);
      }
    }
    if (text.length() > 0) {
      return text.toString();
    }
    if (!used.equals(later.used)) {
      return "other pages are in use: " + differentRun(used, later.used);
    }
    Set<Long> read = new TreeSet<>(pages.keySet());
    read.addAll(later.pages.keySet());
    for (Run run : used) {
      for (long page = run.start / perPage; page * perPage < run.end; page++) {
        long changed = read.contains(page) ? changed(later, page, run) : -1;
        if (changed >= 0) {
          return "pfn=0x" + Long.toHexString(changed) + " has changed";
        }
      }
    }
    return "";
  }

  /** The counts that differ in {@code later}, and by how much they are larger there. */
  Map<String, Long> grown(Snapshot later) {
    Map<String, Long> grown = new TreeMap<>();
    counts.forEach(
        (name, count) -> {
          long more = later.counts.getOrDefault(name, 0L) - count;
          if (more != 0) {
            grown.put(name, more);
          }
        });
    return grown;
  }

  private static String differentRun(List<Run> before, List<Run> after) {
    for (Run run : before) {
      if (!after.contains(run)) {
        return "pfn=0x" + Long.toHexString(run.start) + " to 0x" + Long.toHexString(run.end);
      }
    }
    return "more than before";
  }

  /** The first pfn of {@code run} in {@code page} that has changed; -1 for none. */
  private long changed(Snapshot later, long page, Run run) {
    long[] before = hashes(page);
    long[] after = later.hashes(page);
    long end = Math.min(run.end, (page + 1) * perPage);
    for (long pfn = Math.max(run.start, page * perPage); pfn < end; pfn++) {
      int at = (int) (pfn - page * perPage);
      long was = before == null ? UNMAPPED : before[at];
      long now = after == null ? UNMAPPED : after[at];
      if (was != now) {
        return pfn;
      }
    }
    return -1;
  }
}
