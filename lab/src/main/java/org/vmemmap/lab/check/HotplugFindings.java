// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.FrameCounts;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;

/**
 * Conditions of known findings about memory that comes and goes: mm/memory_hotplug.c, its callers, and
 * the memmap of what was added. docs/FINDINGS.md explains each.
 */
final class HotplugFindings {
  private static final Pattern COUNTED =
      Pattern.compile("count=0x([0-9a-f]+) frames less .* is 0x([0-9a-f]+)");

  /** Levels of page tables on x86-64 without LA57. */
  private static final int X86_LEVELS = 4;

  private HotplugFindings() {}

  /** A self-hosted block gets no device in a kernel that does not tell the altmap. */
  static boolean noAltmap(Sight sight) {
    boolean lmbs = sight.verb("lmbs") && sight.spec().profile().mmu().equals(Profile.RADIX);
    return !sight.spec().config().series().unmapsFailedBlockFromAltmap()
        && (sight.verb("dimm") || sight.verb("kmem") || (lmbs && !sight.failed().isEmpty()));
  }

  static boolean noAltmapAtOnce(Sight sight) {
    boolean asRam = !sight.spec().config().series().unmapsFailedBlockFromAltmap();
    return asRam
        && (sight.verb("dimm") || sight.verb("kmem") || sight.verb("lmbs"))
        && (unmapsItself(sight) || freesIntoItself(sight));
  }

  /** A page of the block's own memmap is freed as RAM, and its section is gone. */
  private static boolean freesIntoItself(Sight sight) {
    Matcher place = Sight.PFN.matcher(sight.detail());
    return sight.detail().contains("get_pageblock_bitmap: NULL section usage")
        && place.find()
        && holds(sight.added(), sight, Long.parseLong(place.group(1), 16));
  }

  private static boolean holds(Ram range, Sight sight, long pfn) {
    long paddr = pfn << sight.kernel().mm().model().pageShift();
    return range.start() <= paddr && paddr < range.end();
  }

  /** The mapping goes before the page is looked at: the block's own memmap is missing. */
  private static boolean unmapsItself(Sight sight) {
    Matcher place = Sight.MISSING.matcher(sight.detail());
    boolean before =
        sight.spec().arch().equals(Profile.ARM64)
            || sight.spec().profile().mmu().equals(Profile.RADIX);
    if (!before || !place.find()) {
      return false;
    }
    long va = Long.parseUnsignedLong(place.group(1), 16);
    List<Long> numbers = Workbench.numbers(Objects.requireNonNull(sight.step()));
    int shift = sight.kernel().mm().model().pageShift();
    MemmapReader reader = new MemmapReader(sight.kernel().mm());
    long end = numbers.get(0) + numbers.get(1);
    return reader.address(numbers.get(0) >>> shift) <= va && va < reader.address(end >>> shift);
  }

  /** The leaf that maps the memmap reaches over the block's own part of it. */
  static boolean selfHosted(Sight sight) {
    boolean offline = sight.step() != null && sight.step().value().equals("offline");
    return offline
        && sight.spec().arch().equals(Profile.ARM64)
        && sight.detail().equals("returns -EPERM")
        && sight.kernel().mm().printk().lines().getLast().text()
            .endsWith("splits a leaf entry in vmemmap");
  }

  /** The altmap is given up while its pages are still handed out. */
  static boolean altmapLeft(Sight sight) {
    return !sight.spec().config().series().unmapsFailedBlockFromAltmap()
        && (sight.verb("dimm") || sight.verb("kmem"))
        && sight.detail().contains("Altmap not fully unmapped");
  }

  /** One refusal begins the undo, another ends it. */
  static boolean undoRefused(Sight sight) {
    boolean undoes =
        sight.verb("lmbs")
            || sight.verb("unlmbs")
            || sight.verb("eject")
            || (sight.step() != null && sight.step().what().endsWith("state"));
    return undoes
        && sight.failed().size() > 1
        && sight.failed().contains("notifier_err_inject_callback");
  }

  /** What was removed first is added again, and goes online, which it was not. */
  static boolean undoBringsOnline(Sight sight) {
    String offline = Snapshot.FRAMES + Owner.MEMBLOCK.name();
    long lmb = sight.spec().memoryBlockSize() / sight.spec().profile().pageSize();
    long more = sight.grown().getOrDefault(offline, 0L);
    return sight.verb("unlmbs")
        && !sight.failed().isEmpty()
        && sight.grown().size() == 1
        && more < 0
        && more % lmb == 0;
  }

  static boolean halfAdded(Sight sight) {
    return (sight.verb("dimm") || sight.verb("kmem") || sight.verb("lmbs"))
        && leavesFirstSections(sight);
  }

  /** What is left of a block holds its memmap, but is no longer an altmap. */
  static boolean halfAddedSelfHosted(Sight sight) {
    Matcher place = Sight.FRAME.matcher(sight.detail());
    if (!place.find() || !sight.detail().contains("owner is NONE") || !halfAdded(sight)) {
      return false;
    }
    long address = Long.parseLong(place.group(1), 16) * sight.spec().profile().pageSize();
    return sight.added().start() <= address && address < sight.added().end();
  }

  static boolean halfAddedKeepsAltmap(Sight sight) {
    return sight.detail().contains("Altmap not fully unmapped") && halfAdded(sight);
  }

  static boolean halfDevice(Sight sight) {
    return sight.verb("bind") && leavesFirstSections(sight);
  }

  /** The first section is one of boot, with all its memmap, so nothing but the marks of parts is left. */
  static boolean halfDeviceMarks(Sight sight) {
    if (!sight.verb("bind") || !leftInBootSection(sight, sight.added())) {
      return false;
    }
    long section = 1L << sight.spec().config().sectionSizeBits();
    long parts = (section - sight.added().start() % section) / Sight.SUBSECTION;
    return sight.grown().equals(Map.of(Snapshot.SUBSECTIONS, parts));
  }

  /**
   * Before patch 3 the memmap of what is left counts in full, whatever it shares; before patch 1 less
   * by the section that failed, when that was while it was populated.
   */
  static boolean halfDeviceCountsInFull(Sight sight) {
    Matcher counts = COUNTED.matcher(sight.detail());
    if (sight.spec().series().countsOptimizedDax() || !halfDevice(sight) || !counts.find()) {
      return false;
    }
    MmConfig config = sight.spec().config();
    long perPage = sight.spec().profile().pageSize() / config.sizeofStructPage();
    long shared = sight.grown().getOrDefault(Snapshot.ADDED, 0L) / perPage - framesOf(sight);
    long more = Long.parseLong(counts.group(1), 16) - Long.parseLong(counts.group(2), 16);
    long failed = sight.kernel().mm().mmzone().pagesPerSection() / perPage;
    return more == shared
        || (!sight.spec().series().countsFailedPopulate() && more == shared - failed);
  }

  /** Of the altmap, or of memory that there was none of, when a second attempt hides that. */
  static boolean halfDeviceWarns(Sight sight) {
    if (sight.detail().contains("memunmap_pages: failed to free all reserved pages")) {
      return halfDevice(sight);
    }
    return sight.detail().equals("WARNING: add_pages: ret")
        && sight.verb("bind")
        && (halfDevice(sight)
            || sight.devices().anyMatch(range -> leftInBootSection(sight, range)));
  }

  /** A part in a boot section was left, and its poison is met when all of the section is looked at. */
  static boolean halfDevicePoison(Sight sight) {
    return sight.spec().config().debugVm()
        && sight.bound()
        && sight.detail().contains("PF_POISONED_CHECK")
        && sight.devices().anyMatch(range -> leftInBootSection(sight, range));
  }

  /** Nothing is bound there, there is no RAM, and all the same the sub-section counts as added. */
  private static boolean leftInBootSection(Sight sight, Ram range) {
    Mmzone mmzone = sight.kernel().mm().mmzone();
    long pfn = sight.kernel().mm().model().physPfn(range.start());
    MemSection section = mmzone.section(mmzone.pfnToSectionNr(pfn));
    boolean bound =
        sight.kernel().dax().bound().stream()
            .map(each -> each.pgmap().ranges[0])
            .anyMatch(map -> map.start() < range.end() && range.start() <= map.end());
    Ram first = new Ram(range.start(), range.start() + Sight.SUBSECTION, 0);
    return !bound
        && sight.spec().ram().stream().noneMatch(first::overlaps)
        && mmzone.earlySection(section)
        && mmzone.pfnSectionValid(section, pfn);
  }

  /** Nothing is left but tables of the pud level that map nothing; no process, no memory needs them. */
  static boolean keptTable(Sight sight) {
    Map<String, Long> grown = new TreeMap<>(sight.grown());
    long tables = Objects.requireNonNullElse(grown.remove(Snapshot.FRAMES + Owner.PAGE_TABLE.name()), 0L);
    if (!sight.spec().series().countsFailedPopulate()) {
      grown.remove(Snapshot.MEMMAP_PAGES);
    }
    boolean adds = sight.verb("bind") || sight.verb("dimm") || sight.verb("kmem");
    return adds
        && sight.spec().arch().equals(Profile.X86_64)
        && sight.spec().levels() == X86_LEVELS
        && grown.isEmpty()
        && tables > 0
        && tables == emptyTables(sight.kernel().mm(), X86_LEVELS - 2);
  }

  private static long emptyTables(Mm mm, int level) {
    return new MemmapWalk(mm).emptyTables().stream().filter(table -> table.level() == level).count();
  }

  /**
   * The first sections are left of what was added in one go: there are as many pages more as follow
   * each other from the first that came late, it is not all, and there are no more frames than lie
   * behind their memmap.
   */
  private static boolean leavesFirstSections(Sight sight) {
    Mm mm = sight.kernel().mm();
    long step = mm.mmzone().pagesPerSubsection();
    long last = mm.model().physPfn(sight.added().end());
    long start = mm.model().physPfn(sight.added().start());
    while (start < last && !cameLate(mm.mmzone(), start)) {
      start += step;
    }
    long end = start;
    while (end < last && cameLate(mm.mmzone(), end)) {
      end += step;
    }
    long block = sight.verb("lmbs") ? mm.model().physPfn(sight.spec().memoryBlockSize()) : last;
    long left = sight.grown().getOrDefault(Snapshot.ADDED, 0L);
    return left > 0
        && end - start == left
        && end < Math.min(last, start / block * block + block)
        && framesOf(sight) <= behind(mm, populatedFrom(sight, start), end);
  }

  /** The radix MMU begins at a leaf's first pfn, and what it fills before {@code start} stays, too. */
  private static long populatedFrom(Sight sight, long start) {
    boolean rounds = sight.spec().profile().mmu().equals(Profile.RADIX);
    long leaf = 1L << sight.kernel().mm().machine().format().shift(1);
    long perLeaf = leaf / sight.spec().config().sizeofStructPage();
    return rounds ? start / perLeaf * perLeaf : start;
  }

  /** True for a pfn of a section that boot did not find; all of those it found are valid. */
  private static boolean cameLate(Mmzone mmzone, long pfn) {
    return mmzone.pfnValid(pfn)
        && !mmzone.earlySection(mmzone.section(mmzone.pfnToSectionNr(pfn)));
  }

  private static long framesOf(Sight sight) {
    return sight.grown().getOrDefault(Snapshot.FRAMES + Owner.VMEMMAP.name(), 0L)
        + sight.grown().getOrDefault(Snapshot.FRAMES + Owner.ALTMAP.name(), 0L);
  }

  /** Frames behind the memmap of these pfns; a leaf that it begins or ends in counts whole. */
  private static long behind(Mm mm, long start, long end) {
    PageTableWalker walker = new PageTableWalker(mm);
    PageTableFormat format = walker.format();
    FrameCounts frames = new FrameCounts();
    long base = mm.model().vmemmapBase();
    long size = mm.config().sizeofStructPage();
    walker.walk(
        base + start * size,
        base + end * size,
        (level, va, entry) -> {
          long first = format.address(entry, level) >>> format.pageShift();
          for (long i = 0; i < 1L << (format.shift(level) - format.pageShift()); i++) {
            frames.add(first + i, 1, 0);
          }
        });
    return frames.distinct();
  }

  /** A DIMM goes that request_resource() had no memory for when it came. */
  static boolean plugged(Sight sight) {
    return sight.verb("eject")
        && sight.failed().contains("alloc_resource")
        && (sight.detail().contains("remove_memory_block_devices: !mem")
            || sight.detail().contains("sparse_remove_section: !valid_section(ms)"));
  }

  /** Memory went, and the page lies in the last sub-section of RAM, which is not whole. */
  static boolean zoneEnd(Sight sight) {
    Matcher place = Sight.PFN.matcher(sight.detail());
    if (!goes(sight) || !place.find()) {
      return false;
    }
    long address = Long.parseLong(place.group(1), 16) * sight.spec().profile().pageSize();
    return sight.spec().ram().stream()
        .anyMatch(
            range ->
                range.end() % Sight.SUBSECTION != 0
                    && range.start() <= address
                    && address < range.end()
                    && address / Sight.SUBSECTION == range.end() / Sight.SUBSECTION);
  }

  /** Pages that were cut off are freed, and the zone that they name does not span them. */
  static boolean zoneEndBug(Sight sight) {
    boolean asks =
        sight.detail().contains("get_pfnblock_bitmap_bitidx: !zone_spans_pfn(page_zone(page), pfn)");
    return asks
        && sight.spec().config().debugVm()
        && sight.spec().ram().stream().anyMatch(range -> isCutOff(sight, range));
  }

  /** The last sub-section of RAM is not whole, and no zone spans its end, which is online. */
  private static boolean isCutOff(Sight sight, Ram range) {
    long last = sight.kernel().mm().model().physPfn(range.end()) - 1;
    return range.end() % Sight.SUBSECTION != 0
        && sight.kernel().mm().mmzone().pfnOnline(last)
        && sight.zones().filter(zone -> zone.nid() == range.node()).noneMatch(z -> z.spansPfn(last));
  }

  /** Memory goes offline, is removed, or was added and is removed because something failed. */
  private static boolean goes(Sight sight) {
    Step step = sight.step();
    if (step == null) {
      return false;
    }
    boolean online = step.writes() && step.value().startsWith("online");
    boolean undoes = online || sight.verb("dimm") || sight.verb("kmem") || sight.verb("lmbs");
    return sight.verb("eject")
        || sight.verb("unkmem")
        || sight.verb("unlmbs")
        || (step.writes() && step.value().equals("offline"))
        || (undoes && !sight.failed().isEmpty());
  }

  /** Only page tables and memmap are left of memory whose memmap does not begin with a leaf. */
  static boolean radixGap(Sight sight) {
    if (!sight.spec().profile().mmu().equals(Profile.RADIX)
        || !(sight.verb("dimm") || sight.verb("bind") || sight.verb("lmbs"))
        || sight.detail().contains("present sections")) {
      return false;
    }
    Mm mm = sight.kernel().mm();
    long start = mm.model().physPfn(sight.added().start());
    return sight.detail().contains("frames of VMEMMAP were")
        && framesOf(sight) <= behind(mm, populatedFrom(sight, start), start);
  }
}
