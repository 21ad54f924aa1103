// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.FrameCounts;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Ledger;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.Mmu;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Series;
import org.vmemmap.types.Zone;

/**
 * What the faithful port is known to do wrong, because the kernel does: by rule and condition, as
 * narrow as they can be told. docs/FINDINGS.md explains each under its title.
 */
final class KnownFindings {
  private static final Pattern PFN = Pattern.compile("pfn=0x([0-9a-f]+)");
  private static final Pattern FRAME = Pattern.compile("frame=0x([0-9a-f]+)");
  private static final Pattern COUNTED =
      Pattern.compile("count=0x([0-9a-f]+) frames less .* is 0x([0-9a-f]+)");
  private static final Pattern MISSING = Pattern.compile("not-present va=0x([0-9a-f]+)");
  private static final long SUBSECTION = 2L << 20;

  /** Levels of page tables on x86-64 without LA57. */
  private static final int X86_LEVELS = 4;
  private static final String FRAMES_BOOKED = "memmap-frames-booked";

  /** Memory is overwritten: any rule may break. */
  private static final String ANY = "";

  private static final String HALF_ADDED = "Hot-add that fails in a later section keeps the earlier ones";
  private static final String HALF_DEVICE =
      "A device that was added half way leaves its first sections behind";
  private static final String SELF_HOSTED =
      "arm64 with 4K pages: a block that holds its own memmap never goes offline";
  private static final String NO_ALTMAP =
      "A block without a device frees its memmap as if it were RAM";

  private static final String NO_ZONE =
      "Soft-reserved memory behind the last zone names a zone that does not exist";

  private static final String ODD_LEAF =
      "A struct page of an odd size: the memmap of a sub-section begins inside a leaf";

  private static final String FREED_TOO_EARLY =
      "powerpc hash: a boot without memory for the list of blocks frees a block too early";

  private static final String UNBOUND = "A DIMM that cannot be bound leaves its memory behind";
  private static final String UNDO_REFUSED =
      "An undo may be refused, and half of what was asked for stays";
  private static final String PLUGGED = "A DIMM without a resource counts as plugged";
  private static final String SHARED_BLOCK =
      "A shared pageblock: its type changes under free pages";

  private static final String ZONE_END =
      "Removing memory may cut off the last pages of a zone";
  private static final String HASH_SECTION =
      "powerpc hash with small blocks: the second device of a section finds its own mark";
  private static final String RADIX_GAP =
      "powerpc radix: rounding down to a leaf fills a gap that nobody frees";
  private static final String SHARED_PAGE =
      "arm64 with 16K and 64K pages: neighbours share a page of memmap, the first to go takes it";
  private static final String ARM64_ALIGNMENT =
      "arm64: the memmap is not aligned to that of the largest folio";

  private static final String BEYOND_END =
      "A namespace that its pages do not fill: the last one is initialised beyond the end";

  private static final String NEVER_OPTIMISED =
      "Restoring page by page warns of a page that has no need of it";

  private static final String REGISTERED_BY_NODE =
      "Boot memmap is registered by node: a section of two nodes twice, another perhaps not at all";

  private static final String CMA_ZONE =
      "CMA pageblocks of an optimised boot page count in the first zone";

  private static final String RADIX_TAILS =
      "powerpc radix: a device takes memmap that is there for one that shares its tails";

  private static final String INTERLEAVED =
      "Free pages of a pageblock that two nodes share go to the lists of the wrong one";

  private static final String ODD_START =
      "A device may begin where no sub-section does, and warns when it is bound";

  private static final String SURPLUS_NODE =
      "A free page of a node's surplus is taken for one that is not";

  private static final String GOES_ON =
      "Before patch 9, a boot that \"goes on\" without a section's memmap meets its usage record";

  private static final String KEPT_TABLE =
      "x86 with 4 levels: a table of the top entry stays when nothing came of it";

  private KnownFindings() {}

  /**
   * A deviation at the moment at which it was found.
   *
   * @param scenario what was run
   * @param kernel its kernel
   * @param step what was done; null for the boot
   * @param done all steps so far, {@code step} included
   * @param rule the rule that is broken
   * @param detail what was found
   * @param failed what was made to fail so far
   * @param grown counts that a failed operation has changed, and by how much
   */
  record Sight(
      Scenario scenario,
      LabKernel kernel,
      @Nullable Step step,
      List<Step> done,
      String rule,
      String detail,
      List<String> failed,
      Map<String, Long> grown) {
    Sight {
      done = List.copyOf(done);
      failed = List.copyOf(failed);
      grown = Map.copyOf(grown);
    }

    boolean verb(String what) {
      return step != null && step.what().equals(what);
    }

    /** True when device DAX has been bound by now, or is being bound. */
    boolean bound() {
      return done.stream().anyMatch(each -> each.what().equals("bind"));
    }

    MachineSpec spec() {
      return scenario.spec();
    }
  }

  private record Known(String title, String rule, Predicate<Sight> condition) {}

  private static List<Known> all() {
    return List.of(
        new Known(HALF_ADDED, RuleBook.FAILED_OPERATION, KnownFindings::halfAdded),
        new Known(HALF_ADDED, "memmap-frame-owner", KnownFindings::halfAddedSelfHosted),
        new Known(HALF_ADDED, RuleBook.WARNING, KnownFindings::halfAddedKeepsAltmap),
        new Known(HALF_DEVICE, RuleBook.FAILED_OPERATION, KnownFindings::halfDevice),
        new Known(HALF_DEVICE, "memmap-counters", KnownFindings::halfDeviceCountsInFull),
        new Known(HALF_DEVICE, RuleBook.WARNING, KnownFindings::halfDeviceWarns),
        new Known(HALF_DEVICE, RuleBook.CRASH, KnownFindings::halfDevicePoison),
        new Known(KEPT_TABLE, RuleBook.FAILED_OPERATION, KnownFindings::keptTable),
        new Known(SELF_HOSTED, RuleBook.STEP, KnownFindings::selfHosted),
        new Known(NO_ALTMAP, RuleBook.INITIALISED, KnownFindings::noAltmap),
        new Known(NO_ALTMAP, RuleBook.CRASH, KnownFindings::noAltmapAtOnce),
        new Known(NO_ALTMAP, RuleBook.WARNING, KnownFindings::altmapLeft),
        new Known(CMA_ZONE, "cma-counts", KnownFindings::cmaZone),
        new Known(ODD_LEAF, ANY, KnownFindings::oddLeaf),
        new Known(FREED_TOO_EARLY, RuleBook.CRASH, KnownFindings::freedTooEarly),
        new Known(GOES_ON, RuleBook.CRASH, KnownFindings::goesOn),
        new Known(ARM64_ALIGNMENT, RuleBook.WARNING, KnownFindings::alignment),
        new Known(SHARED_PAGE, RuleBook.CRASH, KnownFindings::sharedPage),
        new Known(ZONE_END, "struct-page-node-zone", KnownFindings::zoneEnd),
        new Known(ZONE_END, RuleBook.CRASH, KnownFindings::zoneEndBug),
        new Known(HASH_SECTION, RuleBook.CRASH, KnownFindings::hashSection),
        new Known(HASH_SECTION, "struct-page-mapped", KnownFindings::hashSection),
        new Known(RADIX_GAP, RuleBook.FAILED_OPERATION, KnownFindings::radixGap),
        new Known(
            UNBOUND,
            RuleBook.FAILED_OPERATION,
            sight -> sight.verb("dimm") && sight.failed().contains("acpi_bind_one")),
        new Known(UNDO_REFUSED, RuleBook.FAILED_OPERATION, KnownFindings::undoRefused),
        new Known(PLUGGED, RuleBook.WARNING, KnownFindings::plugged),
        new Known(SHARED_BLOCK, RuleBook.WARNING, KnownFindings::sharedBlock),
        new Known(SHARED_BLOCK, RuleBook.CRASH, KnownFindings::sharedBlockPoison),
        new Known(INTERLEAVED, "free-block", KnownFindings::interleavedBlock),
        new Known(INTERLEAVED, "free-counts", KnownFindings::interleavedZone),
        new Known(INTERLEAVED, RuleBook.CRASH, KnownFindings::interleavedBug),
        new Known(RADIX_TAILS, ANY, KnownFindings::radixTails),
        new Known(SURPLUS_NODE, "hugetlb-pool-counts", KnownFindings::surplusNode),
        new Known(ODD_START, RuleBook.WARNING, KnownFindings::oddStart),
        new Known(SHARED_BLOCK, "pageblock-type", KnownFindings::sharedBlockAtRest),
        new Known(NO_ZONE, RuleBook.INITIALISED, KnownFindings::noZone),
        new Known(BEYOND_END, RuleBook.CRASH, KnownFindings::beyondEnd),
        new Known(BEYOND_END, ANY, KnownFindings::overwritesNeighbour),
        new Known(NEVER_OPTIMISED, RuleBook.WARNING, KnownFindings::neverOptimised),
        new Known(REGISTERED_BY_NODE, RuleBook.CRASH, KnownFindings::freesOddlyRegistered),
        new Known(REGISTERED_BY_NODE, FRAMES_BOOKED, KnownFindings::oddlyRegistered));
  }

  /** The titles. */
  static List<String> titles() {
    return all().stream().map(Known::title).distinct().toList();
  }

  /** The finding's title, or the patch of the series, that explains it; empty for none. */
  static String explain(Sight sight) {
    for (Known known : all()) {
      boolean rule = known.rule().equals(ANY) || known.rule().equals(sight.rule());
      if (rule && known.condition().test(sight)) {
        return known.title();
      }
    }
    String machine = sight.scenario().world().name();
    return Catalogue.broken(sight.spec().series(), machine, sight.rule(), sight.detail());
  }

  /** A self-hosted block gets no device in a kernel that does not tell the altmap. */
  private static boolean noAltmap(Sight sight) {
    boolean lmbs = sight.verb("lmbs") && sight.spec().profile().mmu().equals(Profile.RADIX);
    return !sight.spec().config().series().unmapsFailedBlockFromAltmap()
        && (sight.verb("dimm") || sight.verb("kmem") || (lmbs && !sight.failed().isEmpty()));
  }

  private static boolean noAltmapAtOnce(Sight sight) {
    boolean asRam = !sight.spec().config().series().unmapsFailedBlockFromAltmap();
    return asRam
        && (sight.verb("dimm") || sight.verb("kmem") || sight.verb("lmbs"))
        && (unmapsItself(sight) || freesIntoItself(sight));
  }

  /** A page of the block's own memmap is freed as RAM, and its section is gone. */
  private static boolean freesIntoItself(Sight sight) {
    Matcher place = PFN.matcher(sight.detail());
    return sight.detail().contains("get_pageblock_bitmap: NULL section usage")
        && place.find()
        && holds(added(sight), sight, Long.parseLong(place.group(1), 16));
  }

  private static boolean holds(Ram range, Sight sight, long pfn) {
    long paddr = pfn << sight.kernel().mm().model().pageShift();
    return range.start() <= paddr && paddr < range.end();
  }

  /** The mapping goes before the page is looked at: the block's own memmap is missing. */
  private static boolean unmapsItself(Sight sight) {
    Matcher place = MISSING.matcher(sight.detail());
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
  private static boolean selfHosted(Sight sight) {
    boolean offline = sight.step() != null && sight.step().value().equals("offline");
    return offline
        && sight.spec().arch().equals(Profile.ARM64)
        && sight.detail().equals("returns -EPERM")
        && sight.kernel().mm().printk().lines().getLast().text()
            .endsWith("splits a leaf entry in vmemmap");
  }

  /** Boot pages of an area were optimised when their shared tail was not filled yet. */
  private static boolean cmaZone(Sight sight) {
    Series series = sight.spec().config().series();
    String words = String.join(" ", sight.spec().cmdline());
    return !series.initsSharedTailOnAllocation()
        && !series.initsBootFoliosEarly()
        && words.contains("hugetlb_free_vmemmap=on")
        && words.contains("hugetlb_cma_only")
        && sight.detail().contains("pages in CMA pageblocks of zone");
  }

  /** The altmap is given up while its pages are still handed out. */
  private static boolean altmapLeft(Sight sight) {
    return !sight.spec().config().series().unmapsFailedBlockFromAltmap()
        && (sight.verb("dimm") || sight.verb("kmem"))
        && sight.detail().contains("Altmap not fully unmapped");
  }

  /** One refusal begins the undo, another ends it. */
  private static boolean undoRefused(Sight sight) {
    boolean undoes =
        sight.verb("lmbs")
            || sight.verb("unlmbs")
            || sight.verb("eject")
            || (sight.step() != null && sight.step().what().endsWith("state"));
    return undoes
        && sight.failed().size() > 1
        && sight.failed().contains("notifier_err_inject_callback");
  }

  private static boolean halfAdded(Sight sight) {
    return (sight.verb("dimm") || sight.verb("kmem") || sight.verb("lmbs"))
        && leavesFirstSections(sight);
  }

  /** What is left of a block holds its memmap, but is no longer an altmap. */
  private static boolean halfAddedSelfHosted(Sight sight) {
    Matcher place = FRAME.matcher(sight.detail());
    if (!place.find() || !sight.detail().contains("owner is NONE") || !halfAdded(sight)) {
      return false;
    }
    long address = Long.parseLong(place.group(1), 16) * sight.spec().profile().pageSize();
    return added(sight).start() <= address && address < added(sight).end();
  }

  private static boolean halfAddedKeepsAltmap(Sight sight) {
    return sight.detail().contains("Altmap not fully unmapped") && halfAdded(sight);
  }

  private static boolean halfDevice(Sight sight) {
    return sight.verb("bind") && leavesFirstSections(sight);
  }

  /**
   * Before patch 3 the memmap of what is left counts in full, whatever it shares; before patch 1 less
   * by the section that failed, when that was while it was populated.
   */
  private static boolean halfDeviceCountsInFull(Sight sight) {
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
  private static boolean halfDeviceWarns(Sight sight) {
    if (sight.detail().contains("memunmap_pages: failed to free all reserved pages")) {
      return halfDevice(sight);
    }
    return sight.detail().equals("WARNING: add_pages: ret")
        && sight.verb("bind")
        && (halfDevice(sight)
            || devices(sight).anyMatch(range -> leftInBootSection(sight, range)));
  }

  /** A part in a boot section was left, and its poison is met when all of the section is looked at. */
  private static boolean halfDevicePoison(Sight sight) {
    return sight.spec().config().debugVm()
        && sight.bound()
        && sight.detail().contains("PF_POISONED_CHECK")
        && devices(sight).anyMatch(range -> leftInBootSection(sight, range));
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
    Ram first = new Ram(range.start(), range.start() + SUBSECTION, 0);
    return !bound
        && sight.spec().ram().stream().noneMatch(first::overlaps)
        && mmzone.earlySection(section)
        && mmzone.pfnSectionValid(section, pfn);
  }

  /** Nothing is left but tables of the pud level that map nothing; no process, no memory needs them. */
  private static boolean keptTable(Sight sight) {
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

  /** The range of a step that adds memory; a namespace is mapped whole, whatever part is named. */
  private static Ram added(Sight sight) {
    Ram named = named(Objects.requireNonNull(sight.step()));
    return sight.verb("bind") ? namespace(sight.spec(), named) : named;
  }

  private static Ram named(Step step) {
    List<Long> numbers = Workbench.numbers(step);
    return new Ram(numbers.get(0), numbers.get(0) + numbers.get(1), 0);
  }

  /** Persistent memory with the start of {@code named} in it; {@code named} itself for none. */
  private static Ram namespace(MachineSpec spec, Ram named) {
    return spec.pmem().stream()
        .filter(range -> range.start() <= named.start() && named.start() < range.end())
        .findFirst()
        .orElse(named);
  }

  /**
   * The first sections are left of what was added in one go: there are as many pages more as follow
   * each other from the first that came late, it is not all, and there are no more frames than lie
   * behind their memmap.
   */
  private static boolean leavesFirstSections(Sight sight) {
    Mm mm = sight.kernel().mm();
    long step = mm.mmzone().pagesPerSubsection();
    long last = mm.model().physPfn(added(sight).end());
    long start = mm.model().physPfn(added(sight).start());
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

  /**
   * Struct pages of a device lie behind a leaf. Ptes for them were written to the frame that it maps,
   * and are still there, or struct pages were initialised over them: then frames are mapped nowhere.
   */
  private static boolean oddLeaf(Sight sight) {
    LabKernel kernel = sight.kernel();
    if (!kernel.booted() || sight.spec().config().structPageIsPowerOf2() || !sight.bound()) {
      return false;
    }
    Mm mm = kernel.mm();
    return devices(sight)
        .flatMap(
            range ->
                Stream.of(
                    mm.model().physPfn(range.start()), mm.model().physPfn(range.end()) - 1))
        .anyMatch(pfn -> inLeaf(mm, pfn) && (hasLostFrames(mm) || hasTableInLeaf(mm, pfn)));
  }

  private static boolean inLeaf(Mm mm, long pfn) {
    return new MemmapReader(mm).inLargeLeaf(pfn);
  }

  /** More frames are owned as memmap than the page tables map. */
  private static boolean hasLostFrames(Mm mm) {
    Ledger ledger = mm.machine().ledger();
    long owned =
        ledger.count(Owner.VMEMMAP)
            + ledger.count(Owner.ALTMAP)
            + ledger.count(Owner.SHARED_TAIL);
    return owned > new MemmapWalk(mm).distinctPages();
  }

  /** The frame behind the leaf of a pfn's struct page has the entry of a page of memmap in it. */
  private static boolean hasTableInLeaf(Mm mm, long pfn) {
    Machine machine = mm.machine();
    PageTableFormat format = machine.format();
    long va = mm.model().pfnToPage(pfn).va();
    Mmu.Entry leaf = machine.mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va);
    if (leaf.level() == 0 || !format.present(leaf.entry(), leaf.level())) {
      return false;
    }
    long table = format.address(leaf.entry(), leaf.level());
    for (long at = table; at < table + mm.model().pageSize(); at += Long.BYTES) {
      long entry = format.fromMemory(machine.memory().getLong(at));
      long frame = format.address(entry, 0) >>> format.pageShift();
      if (format.present(entry, 0) && frame < machine.ledger().frames() && isMemmap(machine, frame)) {
        return true;
      }
    }
    return false;
  }

  private static boolean isMemmap(Machine machine, long frame) {
    FrameOwner owner = machine.ledger().ownerOf(frame);
    return owner == Owner.VMEMMAP || owner == Owner.ALTMAP;
  }

  /** Sections were given up for lack of memory, and their usage records are asked for. */
  private static boolean goesOn(Sight sight) {
    return sight.step() == null
        && !sight.spec().config().series().panicsWithoutMemmap()
        && sight.detail().contains("NULL pointer dereference: ms->usage")
        && sight.kernel().mm().printk().lines().stream()
            .anyMatch(line -> line.text().contains("sparse_init_nid: node["));
  }

  /** Masks are used although HugeTLB's optimisation is not there for the architecture. */
  private static boolean alignment(Sight sight) {
    return sight.step() == null
        && sight.spec().arch().equals(Profile.ARM64)
        && sight.spec().config().debugVm()
        && !sight.spec().config().hugetlbOptimizeVmemmap()
        && sight.detail().contains("!IS_ALIGNED(pfn_to_page(0), MAX_FOLIO_VMEMMAP_ALIGN)");
  }

  /** A DIMM goes that request_resource() had no memory for when it came. */
  private static boolean plugged(Sight sight) {
    return sight.verb("eject")
        && sight.failed().contains("alloc_resource")
        && (sight.detail().contains("remove_memory_block_devices: !mem")
            || sight.detail().contains("sparse_remove_section: !valid_section(ms)"));
  }

  /** The type is looked at, and a block holds memory of two nodes, or RAM and a device. */
  private static boolean sharedBlock(Sight sight) {
    MmConfig config = sight.spec().config();
    if (!config.debugVm() || !sight.detail().contains("free_list: page type is MIGRATE_")) {
      return false;
    }
    long block = (long) sight.spec().profile().pageSize() << config.pageblockOrder();
    List<Ram> ram = sight.spec().ram();
    for (int i = 1; config.deferredStructPageInit() && i < ram.size(); i++) {
      if (ram.get(i - 1).node() != ram.get(i).node() && shares(ram.get(i - 1), ram.get(i), block)) {
        return true;
      }
    }
    return sight.bound() && devices(sight).anyMatch(device -> anyShares(device, ram, block));
  }

  /** The first page of a block that has RAM, too, is poison: its device is gone, or keeps it so. */
  private static boolean sharedBlockPoison(Sight sight) {
    MmConfig config = sight.spec().config();
    long block = (long) sight.spec().profile().pageSize() << config.pageblockOrder();
    return config.debugVm()
        && sight.bound()
        && sight.detail().contains("PF_POISONED_CHECK")
        && devices(sight)
            .filter(device -> anyShares(device, sight.spec().ram(), block))
            .flatMap(device -> Stream.of(device.start() / block, (device.end() - 1) / block))
            .anyMatch(nr -> poisoned(sight.kernel().mm(), nr * block));
  }

  private static boolean poisoned(Mm mm, long paddr) {
    long pfn = mm.model().physPfn(paddr);
    MemmapReader reader = new MemmapReader(mm);
    return reader.mapped(pfn) && reader.word(pfn, 0) == PageFlags.PAGE_POISON_PATTERN;
  }

  /** The checkers look whether the kernel looks or not, and name the block. */
  private static boolean sharedBlockAtRest(Sight sight) {
    Matcher place = PFN.matcher(sight.detail());
    if (!sight.detail().contains("is free as MIGRATE_") || !place.find()) {
      return false;
    }
    int order = sight.spec().config().pageblockOrder();
    long size = (long) sight.spec().profile().pageSize() << order;
    long start = Long.parseLong(place.group(1), 16) >>> order << order;
    long address = start * sight.spec().profile().pageSize();
    Ram block = new Ram(address, address + size, 0);
    List<Ram> ram = sight.spec().ram().stream().filter(block::overlaps).toList();
    boolean nodes = ram.stream().map(Ram::node).distinct().count() > 1;
    return (nodes && sight.spec().config().deferredStructPageInit())
        || (!ram.isEmpty() && sight.bound() && devices(sight).anyMatch(block::overlaps));
  }

  private static boolean shares(Ram one, Ram other, long block) {
    return one.start() / block <= (other.end() - 1) / block
        && other.start() / block <= (one.end() - 1) / block;
  }

  private static boolean anyShares(Ram device, List<Ram> ram, long block) {
    return ram.stream().anyMatch(range -> shares(device, range, block));
  }

  private static Stream<Ram> devices(Sight sight) {
    return Stream.concat(sight.spec().softReserved().stream(), sight.spec().pmem().stream());
  }

  /** A free page of one node is on a list of another, and its block has memory of both. */
  private static boolean interleavedBlock(Sight sight) {
    Matcher place = PFN.matcher(sight.detail());
    if (!place.find() || !sight.detail().contains("does not lie in the zone")) {
      return false;
    }
    long pfn = Long.parseLong(place.group(1), 16);
    return zones(sight).anyMatch(zone -> interleaved(sight, zone, pfn));
  }

  /** A page of another node was allocated from a zone's list, or the other way round. */
  private static boolean interleavedZone(Sight sight) {
    Mm mm = sight.kernel().mm();
    boolean told = zones(sight).anyMatch(zone -> sight.detail().contains("zone " + zone + ","));
    return told
        && zones(sight)
            .anyMatch(
                zone ->
                    sight.spec().ram().stream()
                        .anyMatch(
                            range -> interleaved(sight, zone, mm.model().physPfn(range.start()))));
  }

  private static boolean interleavedBug(Sight sight) {
    return sight.spec().config().debugVm()
        && sight.detail().contains("__move_freepages_block: page_zone(page) != zone")
        && sight.spec().ram().stream()
            .map(range -> sight.kernel().mm().model().physPfn(range.start()))
            .anyMatch(pfn -> zones(sight).anyMatch(zone -> interleaved(sight, zone, pfn)));
  }

  private static Stream<Zone> zones(Sight sight) {
    return sight.kernel().mm().nodes().online().stream().flatMap(node -> Stream.of(node.zones()));
  }

  /** The zone spans the pageblock of {@code pfn}, in which there is RAM of its node and of another. */
  private static boolean interleaved(Sight sight, Zone zone, long pfn) {
    int shift = sight.kernel().mm().model().pageShift();
    long pages = 1L << sight.spec().config().pageblockOrder();
    long first = pfn / pages * pages;
    Ram block = new Ram(first << shift, (first + pages) << shift, zone.nid());
    return zone.spansPfn(first)
        && zone.spansPfn(first + pages - 1)
        && anyOf(sight.spec(), block, true)
        && anyOf(sight.spec(), block, false);
  }

  /** True when {@code block} has RAM of its own node, or of another. */
  private static boolean anyOf(MachineSpec spec, Ram block, boolean own) {
    return spec.ram().stream()
        .anyMatch(range -> range.overlaps(block) && (range.node() == block.node()) == own);
  }

  /** A page of tails of a device's compound page has a frame for itself. */
  private static boolean radixTails(Sight sight) {
    Matcher place = PFN.matcher(sight.detail());
    if (!sight.spec().profile().mmu().equals(Profile.RADIX)
        || !sight.spec().config().structPageIsPowerOf2()
        || !place.find()) {
      return false;
    }
    long pfn = Long.parseLong(place.group(1), 16);
    long paddr = pfn << sight.kernel().mm().model().pageShift();
    return sight.kernel().dax().bound().stream()
        .map(DaxBus.Bound::pgmap)
        .filter(map -> map.ranges[0].start() <= paddr && paddr <= map.ranges[0].end())
        .anyMatch(map -> hasFrameForItself(sight.kernel().mm(), pfn, map.vmemmapNr()));
  }

  /** The frame behind {@code pfn}'s struct page is behind no other of its compound page. */
  private static boolean hasFrameForItself(Mm mm, long pfn, long pages) {
    MemmapReader reader = new MemmapReader(mm);
    long perPage = mm.model().pageSize() / mm.config().sizeofStructPage();
    long head = pfn / pages * pages;
    FrameCounts frames = new FrameCounts();
    for (long at = head; at < head + pages && reader.mapped(at); at += perPage) {
      frames.add(reader.frame(at), 1, 0);
    }
    long frame = reader.frame(pfn);
    return pfn >= head + perPage
        && frames.maps(frame) == 1
        && mm.machine().ledger().ownerOf(frame) == Owner.VMEMMAP;
  }

  /** A restore has failed; some node has more surplus pages than pages, all nodes have not. */
  private static boolean surplusNode(Sight sight) {
    return restoreFailed(sight)
        && sight.detail().contains("surplus, node ")
        && sight.kernel().hugetlb().hstates().all().stream().anyMatch(KnownFindings::surplusAstray);
  }

  private static boolean surplusAstray(Hstate h) {
    int sum = 0;
    boolean astray = false;
    for (int nid = 0; nid < h.surplusHugePagesNode.length; nid++) {
      sum += h.surplusHugePagesNode[nid];
      astray |= h.surplusHugePagesNode[nid] > h.nrHugePagesNode[nid];
    }
    return astray && sum == h.surplusHugePages && sum <= h.nrHugePages;
  }

  /** A range was written to a device's file "mapping" that does not begin with a sub-section. */
  private static boolean oddStart(Sight sight) {
    boolean warns =
        sight.detail().contains("Misaligned __add_pages")
            || sight.detail().equals("WARNING: add_pages: ret");
    if (!warns || !sight.verb("bind")) {
      return false;
    }
    Ram range = named(Objects.requireNonNull(sight.step()));
    return range.start() % SUBSECTION != 0
        && sight.spec().softReserved().stream().anyMatch(range::overlaps);
  }

  /** A device is bound that does not begin or end with a page of memmap. */
  private static boolean sharedPage(Sight sight) {
    Step step = sight.step();
    if (step == null || !sight.spec().arch().equals(Profile.ARM64) || !sight.verb("bind")) {
      return false;
    }
    int pageSize = sight.spec().profile().pageSize();
    long covered = (long) pageSize * pageSize / sight.spec().config().sizeofStructPage();
    List<Long> numbers = Workbench.numbers(step);
    long start = numbers.get(0);
    Ram asked = new Ram(start, start + numbers.get(1), 0);
    boolean whole =
        Stream.concat(Stream.of(asked), devices(sight).filter(asked::overlaps))
            .allMatch(range -> range.start() % covered == 0 && range.end() % covered == 0);
    return pageSize > 4096 && !whole && sight.detail().contains("not-present");
  }

  /** Memory went, and the page lies in the last sub-section of RAM, which is not whole. */
  private static boolean zoneEnd(Sight sight) {
    Matcher place = PFN.matcher(sight.detail());
    if (!goes(sight) || !place.find()) {
      return false;
    }
    long address = Long.parseLong(place.group(1), 16) * sight.spec().profile().pageSize();
    return sight.spec().ram().stream()
        .anyMatch(
            range ->
                range.end() % SUBSECTION != 0
                    && range.start() <= address
                    && address < range.end()
                    && address / SUBSECTION == range.end() / SUBSECTION);
  }

  /** Pages that were cut off are freed, and the zone that they name does not span them. */
  private static boolean zoneEndBug(Sight sight) {
    boolean asks =
        sight.detail().contains("get_pfnblock_bitmap_bitidx: !zone_spans_pfn(page_zone(page), pfn)");
    return asks
        && sight.spec().config().debugVm()
        && sight.spec().ram().stream().anyMatch(range -> isCutOff(sight, range));
  }

  /** The last sub-section of RAM is not whole, and no zone spans its end, which is online. */
  private static boolean isCutOff(Sight sight, Ram range) {
    long last = sight.kernel().mm().model().physPfn(range.end()) - 1;
    return range.end() % SUBSECTION != 0
        && sight.kernel().mm().mmzone().pfnOnline(last)
        && zones(sight).filter(zone -> zone.nid() == range.node()).noneMatch(z -> z.spansPfn(last));
  }

  /** Memory goes offline, is removed, or was added and is removed because something failed. */
  private static boolean goes(Sight sight) {
    Step step = sight.step();
    boolean undoes = sight.verb("dimm") || sight.verb("kmem") || sight.verb("lmbs");
    return step != null
        && (sight.verb("eject")
            || sight.verb("unkmem")
            || sight.verb("unlmbs")
            || (step.writes() && step.value().equals("offline"))
            || (undoes && !sight.failed().isEmpty()));
  }

  /** The hash MMU, and a device in a section in which another one is bound. */
  private static boolean hashSection(Sight sight) {
    LabKernel kernel = sight.kernel();
    if (!sight.spec().profile().hash() || !sight.verb("bind")
        || !(sight.detail().contains("not-present") || sight.detail().contains("has no memmap"))) {
      return false;
    }
    long section = 1L << sight.spec().config().sectionSizeBits();
    Ram wanted = added(sight);
    return kernel.dax().bound().stream()
        .map(bound -> bound.pgmap().ranges[0])
        .map(range -> new Ram(range.start(), range.end() + 1, 0))
        .anyMatch(range -> shares(range, wanted, section));
  }

  /** Only page tables and memmap are left of memory whose memmap does not begin with a leaf. */
  private static boolean radixGap(Sight sight) {
    if (!sight.spec().profile().mmu().equals(Profile.RADIX)
        || !(sight.verb("dimm") || sight.verb("bind") || sight.verb("lmbs"))
        || sight.detail().contains("present sections")) {
      return false;
    }
    Mm mm = sight.kernel().mm();
    long start = mm.model().physPfn(added(sight).start());
    return sight.detail().contains("frames of VMEMMAP were")
        && framesOf(sight) <= behind(mm, populatedFrom(sight, start), start);
  }

  /** The VM_BUG_ON that would look at the zone is built in, and memory is soft-reserved. */
  private static boolean noZone(Sight sight) {
    return sight.step() == null
        && sight.spec().config().debugVm()
        && !sight.spec().softReserved().isEmpty()
        && sight.detail().contains("no-such-zone");
  }

  /** The first struct page behind the mapped part of persistent memory is missing. */
  private static boolean beyondEnd(Sight sight) {
    Matcher place = MISSING.matcher(sight.detail());
    if (!sight.verb("bind") || !place.find()) {
      return false;
    }
    List<Long> numbers = Workbench.numbers(Objects.requireNonNull(sight.step()));
    long va = Long.parseUnsignedLong(place.group(1), 16);
    long align = numbers.get(2);
    int shift = sight.kernel().mm().model().pageShift();
    MemmapReader reader = new MemmapReader(sight.kernel().mm());
    for (Ram range : sight.spec().pmem()) {
      long end = range.end() / align * align;
      boolean here = range.start() <= numbers.get(0) && numbers.get(0) < range.end();
      if (here && (end - range.start()) % align != 0 && va == reader.address(end >>> shift)) {
        return true;
      }
    }
    return false;
  }

  /** What lies behind a bound namespace has its struct pages initialised as the device's. */
  private static boolean overwritesNeighbour(Sight sight) {
    MachineSpec spec = sight.spec();
    if (sight.step() == null || spec.config().archWantOptimizeDaxVmemmap()) {
      return false;
    }
    return sight.done().stream()
        .filter(step -> step.what().equals("bind"))
        .anyMatch(step -> overruns(spec, step));
  }

  /** True when the last compound page reaches over the end of what is mapped, and into other memory. */
  private static boolean overruns(MachineSpec spec, Step bind) {
    long align = Workbench.numbers(bind).get(2);
    Ram namespace = namespace(spec, named(bind));
    long end = namespace.end() / align * align;
    long left = (end - namespace.start()) % align;
    return left > 0
        && Stream.concat(spec.ram().stream(), spec.pmem().stream())
            .filter(other -> !other.equals(namespace))
            .anyMatch(other -> other.start() < end - left + align && end < other.end());
  }

  /** Pages of both kinds are freed together, and the first of them cannot be restored. */
  private static boolean neverOptimised(Sight sight) {
    return sight.spec().config().debugVm()
        && restoreFailed(sight)
        && sight.detail().contains("__hugetlb_vmemmap_restore_folio: !folio_test_hugetlb(folio)");
  }

  /** Memory was refused, or there was none: surplus pages that are free come from nothing else. */
  private static boolean restoreFailed(Sight sight) {
    return sight.failed().contains("alloc_vmemmap_page_list")
        || sight.kernel().hugetlb().hstates().all().stream()
            .anyMatch(h -> h.freeHugePages > h.nrHugePages - h.surplusHugePages);
  }

  private static boolean freesOddlyRegistered(Sight sight) {
    return oddlyRegistered(sight) && sight.detail().contains("free_bootmem_page");
  }

  /** Some section is registered another number of times than once, see BootmemInfo. */
  private static boolean oddlyRegistered(Sight sight) {
    boolean x86 = sight.spec().arch().equals(Profile.X86_64);
    if (!x86 || sight.spec().series().forgetsBootmemInfo()) {
      return false;
    }
    long size = 1L << sight.spec().config().sectionSizeBits();
    Map<Long, Integer> times = new TreeMap<>();
    for (Ram range : sight.spec().ram()) {
      for (long at = range.start() / size; at <= (range.end() - 1) / size; at++) {
        times.put(at, 0);
      }
    }
    // A hole counts as memory of the first node that is online.
    int first = sight.kernel().mm().nodes().online().getFirst().nodeId();
    sight.spec().ram().stream()
        .map(Ram::node)
        .distinct()
        .forEach(node -> register(sight.spec().ram(), node, first, size, times));
    return times.values().stream().anyMatch(n -> n != 1);
  }

  /** register_page_bootmem_info_node(): from the node's first byte in steps of a section. */
  private static void register(
      List<Ram> ram, int node, int first, long size, Map<Long, Integer> times) {
    List<Ram> own = ram.stream().filter(range -> range.node() == node).toList();
    for (long at = own.getFirst().start(); at < own.getLast().end(); at += size) {
      long address = at;
      int nid =
          ram.stream()
              .filter(range -> range.start() <= address && address < range.end())
              .findFirst()
              .map(Ram::node)
              .orElse(first);
      if (nid == node) {
        times.computeIfPresent(at / size, (section, n) -> n + 1);
      }
    }
  }

  /** The page for the list is refused at boot, while the memmap that free_pages() needs is made. */
  private static boolean freedTooEarly(Sight sight) {
    boolean refused =
        sight.failed().contains("vmemmap_alloc_block")
            || sight.failed().contains("memblock_alloc_range_nid");
    return sight.step() == null
        && !sight.kernel().booted()
        && refused
        && sight.scenario().world().name().endsWith("-hash")
        && sight.detail().startsWith("MachineFault: not-present");
  }
}
