// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.FrameCounts;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.MemmapWalk;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Ledger;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.Mmu;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/**
 * Conditions of known findings about device memory: where it begins and ends, and whose memmap it
 * meets. docs/FINDINGS.md explains each.
 */
final class DeviceFindings {
  private DeviceFindings() {}

  /**
   * Struct pages of a device lie behind a leaf. Ptes for them were written to the frame that it maps,
   * and are still there, or struct pages were initialised over them: then frames are mapped nowhere.
   */
  static boolean oddLeaf(Sight sight) {
    LabKernel kernel = sight.kernel();
    if (!kernel.booted() || sight.spec().config().structPageIsPowerOf2() || !sight.bound()) {
      return false;
    }
    Mm mm = kernel.mm();
    return sight.devices()
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

  /** A page of tails of a device's compound page has a frame for itself. */
  static boolean radixTails(Sight sight) {
    Matcher place = Sight.PFN.matcher(sight.detail());
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

  /** A range was written to a device's file "mapping" that does not begin with a sub-section. */
  static boolean oddStart(Sight sight) {
    boolean warns =
        sight.detail().contains("Misaligned __add_pages")
            || sight.detail().equals("WARNING: add_pages: ret");
    if (!warns || !sight.verb("bind")) {
      return false;
    }
    Ram range = Sight.named(Objects.requireNonNull(sight.step()));
    return range.start() % Sight.SUBSECTION != 0
        && sight.spec().softReserved().stream().anyMatch(range::overlaps);
  }

  /** A device is bound that does not begin or end with a page of memmap. */
  static boolean sharedPage(Sight sight) {
    Step step = sight.step();
    if (step == null || !bindsWhereNeighboursShare(sight)) {
      return false;
    }
    long covered = describedByPage(sight);
    List<Long> numbers = Workbench.numbers(step);
    long start = numbers.get(0);
    Ram asked = new Ram(start, start + numbers.get(1), 0);
    boolean whole =
        Stream.concat(Stream.of(asked), sight.devices().filter(asked::overlaps))
            .allMatch(range -> range.start() % covered == 0 && range.end() % covered == 0);
    return !whole && sight.detail().contains("not-present");
  }

  /** A device that fails to be bound takes the page of memmap with it that a neighbour's page is in. */
  static boolean sharedPageGone(Sight sight) {
    long pfn = inSharedPage(sight);
    return pfn >= 0 && !new MemmapReader(sight.kernel().mm()).mapped(pfn);
  }

  /** A second attempt brings a new one, which is empty. */
  static boolean sharedPageMadeAnew(Sight sight) {
    return inSharedPage(sight) >= 0
        && !sight.failed().isEmpty()
        && sight.detail().contains("word 0 is 0x0");
  }

  /** The pfn of the report, if its struct page is in a page of memmap that the step's range reaches; or -1. */
  private static long inSharedPage(Sight sight) {
    Matcher place = Sight.PFN.matcher(sight.detail());
    if (!bindsWhereNeighboursShare(sight) || !place.find()) {
      return -1;
    }
    long pfn = Long.parseLong(place.group(1), 16);
    int pageSize = sight.spec().profile().pageSize();
    return besideInOnePage(sight, new Ram(pfn * pageSize, (pfn + 1) * pageSize, 0)) ? pfn : -1;
  }

  private static boolean bindsWhereNeighboursShare(Sight sight) {
    return sharesPages(sight) && sight.verb("bind");
  }

  /** A page of memmap describes more than a sub-section, and arm64 does not ask who else is in it. */
  private static boolean sharesPages(Sight sight) {
    return sight.spec().arch().equals(Profile.ARM64) && sight.spec().profile().pageSize() > 4096;
  }

  /** Bytes of memory that a page of memmap describes. */
  private static long describedByPage(Sight sight) {
    long pageSize = sight.spec().profile().pageSize();
    return pageSize * pageSize / sight.spec().config().sizeofStructPage();
  }

  /** No part of what the step adds, but with struct pages in one of its pages of memmap. */
  private static boolean besideInOnePage(Sight sight, Ram range) {
    return !range.overlaps(sight.added())
        && Sight.shares(range, sight.added(), describedByPage(sight));
  }

  /** And when that page of memmap was its own, it goes into the other's altmap: lost, and one too many. */
  static boolean sharedPageLost(Sight sight) {
    return bindsWhereNeighboursShare(sight)
        && !sight.failed().isEmpty()
        && (sight.detail().contains("VMEMMAP in the page tables")
            || sight.detail().contains("memunmap_pages: failed to free all reserved pages"))
        && boundNow(sight).anyMatch(range -> besideInOnePage(sight, range));
  }

  /** A device that goes gives a page of memmap that a neighbour brought to its own altmap. */
  static boolean sharedPageGiven(Sight sight) {
    if (!sight.verb("unbind")
        || !sharesPages(sight)
        || !sight.detail().contains("memunmap_pages: failed to free all reserved pages")) {
      return false;
    }
    long start = Workbench.numbers(Objects.requireNonNull(sight.step())).getFirst();
    Ram gone = Sight.namespace(sight.spec(), new Ram(start, start + 1, 0));
    return boundNow(sight)
        .anyMatch(range -> !range.overlaps(gone) && Sight.shares(range, gone, describedByPage(sight)));
  }

  /** The memory of the devices that are bound. */
  private static Stream<Ram> boundNow(Sight sight) {
    return sight.kernel().dax().bound().stream()
        .map(bound -> bound.pgmap().ranges[0])
        .map(range -> new Ram(range.start(), range.end() + 1, 0));
  }

  /** The hash MMU, and a device in a section in which another one is bound. */
  static boolean hashSection(Sight sight) {
    if (!sight.spec().profile().hash() || !sight.verb("bind")
        || !(sight.detail().contains("not-present") || sight.detail().contains("has no memmap"))) {
      return false;
    }
    long section = 1L << sight.spec().config().sectionSizeBits();
    Ram wanted = sight.added();
    return boundNow(sight).anyMatch(range -> Sight.shares(range, wanted, section));
  }

  /** The VM_BUG_ON that would look at the zone is built in, and memory is soft-reserved. */
  static boolean noZone(Sight sight) {
    return sight.step() == null
        && sight.spec().config().debugVm()
        && !sight.spec().softReserved().isEmpty()
        && sight.detail().contains("no-such-zone");
  }

  /** The first struct page behind the mapped part of persistent memory is missing. */
  static boolean beyondEnd(Sight sight) {
    Matcher place = Sight.MISSING.matcher(sight.detail());
    if (!sight.verb("bind") || !place.find()) {
      return false;
    }
    long va = Long.parseUnsignedLong(place.group(1), 16);
    int shift = sight.kernel().mm().model().pageShift();
    MemmapReader reader = new MemmapReader(sight.kernel().mm());
    return unfilledEnds(sight).anyMatch(end -> va == reader.address(end >>> shift));
  }

  /** Before patch 6 the type of a pageblock that begins beyond the end is set, too: no zone spans it. */
  static boolean beyondEndPageblock(Sight sight) {
    return sight.verb("bind")
        && !sight.spec().series().initsAllDevicePageblocks()
        && sight.spec().config().debugVm()
        && sight.detail().contains("get_pfnblock_bitmap_bitidx: !zone_spans_pfn(page_zone(page), pfn)")
        && unfilledEnds(sight).findAny().isPresent();
  }

  /** Where the mapping of the namespace that is bound ends, if no multiple of its pages behind its start. */
  private static Stream<Long> unfilledEnds(Sight sight) {
    List<Long> numbers = Workbench.numbers(Objects.requireNonNull(sight.step()));
    long align = numbers.get(2);
    return sight.spec().pmem().stream()
        .filter(range -> range.start() <= numbers.get(0) && numbers.get(0) < range.end())
        .filter(range -> (range.end() / align * align - range.start()) % align != 0)
        .map(range -> range.end() / align * align);
  }

  /** What lies behind a bound namespace has its struct pages initialised as the device's. */
  static boolean overwritesNeighbour(Sight sight) {
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
    Ram namespace = Sight.namespace(spec, Sight.named(bind));
    long end = namespace.end() / align * align;
    long left = (end - namespace.start()) % align;
    return left > 0
        && Stream.concat(spec.ram().stream(), spec.pmem().stream())
            .filter(other -> !other.equals(namespace))
            .anyMatch(other -> other.start() < end - left + align && end < other.end());
  }
}
