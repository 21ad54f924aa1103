// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.function.Predicate;
import org.vmemmap.lab.series.Catalogue;

/**
 * What the faithful port is known to do wrong, because the kernel does: by rule and condition, as
 * narrow as they can be told. docs/FINDINGS.md explains each under its title. The conditions are in
 * {@link HotplugFindings}, {@link DeviceFindings} and {@link PageFindings}.
 */
final class KnownFindings {
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

  private record Known(String title, String rule, Predicate<Sight> condition) {}

  private static List<Known> all() {
    return List.of(
        new Known(HALF_ADDED, RuleBook.FAILED_OPERATION, HotplugFindings::halfAdded),
        new Known(HALF_ADDED, "memmap-frame-owner", HotplugFindings::halfAddedSelfHosted),
        new Known(HALF_ADDED, RuleBook.WARNING, HotplugFindings::halfAddedKeepsAltmap),
        new Known(HALF_DEVICE, RuleBook.FAILED_OPERATION, HotplugFindings::halfDevice),
        new Known(HALF_DEVICE, RuleBook.FAILED_OPERATION, HotplugFindings::halfDeviceMarks),
        new Known(HALF_DEVICE, "memmap-counters", HotplugFindings::halfDeviceCountsInFull),
        new Known(HALF_DEVICE, RuleBook.WARNING, HotplugFindings::halfDeviceWarns),
        new Known(HALF_DEVICE, RuleBook.CRASH, HotplugFindings::halfDevicePoison),
        new Known(KEPT_TABLE, RuleBook.FAILED_OPERATION, HotplugFindings::keptTable),
        new Known(SELF_HOSTED, RuleBook.STEP, HotplugFindings::selfHosted),
        new Known(NO_ALTMAP, RuleBook.INITIALISED, HotplugFindings::noAltmap),
        new Known(NO_ALTMAP, RuleBook.CRASH, HotplugFindings::noAltmapAtOnce),
        new Known(NO_ALTMAP, RuleBook.WARNING, HotplugFindings::altmapLeft),
        new Known(CMA_ZONE, "cma-counts", PageFindings::cmaZone),
        new Known(ODD_LEAF, ANY, DeviceFindings::oddLeaf),
        new Known(FREED_TOO_EARLY, RuleBook.CRASH, PageFindings::freedTooEarly),
        new Known(GOES_ON, RuleBook.CRASH, PageFindings::goesOn),
        new Known(ARM64_ALIGNMENT, RuleBook.WARNING, PageFindings::alignment),
        new Known(SHARED_PAGE, RuleBook.CRASH, DeviceFindings::sharedPage),
        new Known(SHARED_PAGE, RuleBook.FAILED_OPERATION, DeviceFindings::sharedPageGone),
        new Known(SHARED_PAGE, "struct-page-node-zone", DeviceFindings::sharedPageMadeAnew),
        new Known(SHARED_PAGE, FRAMES_BOOKED, DeviceFindings::sharedPageLost),
        new Known(SHARED_PAGE, RuleBook.WARNING, DeviceFindings::sharedPageLost),
        new Known(SHARED_PAGE, RuleBook.WARNING, DeviceFindings::sharedPageGiven),
        new Known(ZONE_END, "struct-page-node-zone", HotplugFindings::zoneEnd),
        new Known(ZONE_END, RuleBook.CRASH, HotplugFindings::zoneEndBug),
        new Known(HASH_SECTION, RuleBook.CRASH, DeviceFindings::hashSection),
        new Known(HASH_SECTION, "struct-page-mapped", DeviceFindings::hashSection),
        new Known(RADIX_GAP, RuleBook.FAILED_OPERATION, HotplugFindings::radixGap),
        new Known(
            UNBOUND,
            RuleBook.FAILED_OPERATION,
            sight -> sight.verb("dimm") && sight.failed().contains("acpi_bind_one")),
        new Known(UNDO_REFUSED, RuleBook.FAILED_OPERATION, HotplugFindings::undoRefused),
        new Known(UNDO_REFUSED, RuleBook.FAILED_OPERATION, HotplugFindings::undoBringsOnline),
        new Known(PLUGGED, RuleBook.WARNING, HotplugFindings::plugged),
        new Known(SHARED_BLOCK, RuleBook.WARNING, PageFindings::sharedBlock),
        new Known(SHARED_BLOCK, RuleBook.CRASH, PageFindings::sharedBlockPoison),
        new Known(INTERLEAVED, "free-block", PageFindings::interleavedBlock),
        new Known(INTERLEAVED, "free-counts", PageFindings::interleavedZone),
        new Known(INTERLEAVED, RuleBook.CRASH, PageFindings::interleavedBug),
        new Known(RADIX_TAILS, ANY, DeviceFindings::radixTails),
        new Known(SURPLUS_NODE, "hugetlb-pool-counts", PageFindings::surplusNode),
        new Known(ODD_START, RuleBook.WARNING, DeviceFindings::oddStart),
        new Known(SHARED_BLOCK, "pageblock-type", PageFindings::sharedBlockAtRest),
        new Known(NO_ZONE, RuleBook.INITIALISED, DeviceFindings::noZone),
        new Known(BEYOND_END, RuleBook.CRASH, DeviceFindings::beyondEnd),
        new Known(BEYOND_END, RuleBook.CRASH, DeviceFindings::beyondEndPageblock),
        new Known(BEYOND_END, ANY, DeviceFindings::overwritesNeighbour),
        new Known(NEVER_OPTIMISED, RuleBook.WARNING, PageFindings::neverOptimised),
        new Known(REGISTERED_BY_NODE, RuleBook.CRASH, PageFindings::freesOddlyRegistered),
        new Known(REGISTERED_BY_NODE, FRAMES_BOOKED, PageFindings::oddlyRegistered));
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
}
