// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Which patches of "mm: Generalize vmemmap optimization for DAX and HugeTLB" the kernel has.
 *
 * <pre>
 *   at(0)   the kernel before the series      at(49)  all of it
 *   profile("7.1") ... profile("7.3")         what a released kernel took of it, and its own fixes
 * </pre>
 *
 * A patch that changes behaviour has one method here, and the code asks it at the line where the
 * kernel changed. A patch that moves, renames or removes has none.
 */
public final class Series {
  /** Names of the changes that captured kernels have and no patch brings. */
  public static final List<String> LATER_FIXES =
      List.of(
          "altmap-in-error-path",
          "device-tails-in-boot-section",
          "early-boot-folios",
          "no-bootmem-info",
          "no-sparse-buffer");

  /** Released kernels that were captured: names of {@link #profile}. */
  public static final List<String> RELEASED = List.of("7.1", "7.2", "7.3");

  /** What 7.2 has of them: all but one. */
  private static final Set<String> FIXES_OF_7_2 =
      LATER_FIXES.stream()
          .filter(fix -> !fix.equals("no-bootmem-info"))
          .collect(Collectors.toUnmodifiableSet());

  /**
   * The form that the series underneath had in its fourth posting: one shared tail for a node and
   * order. It was merged with one for a zone, so the form is off unless asked for.
   */
  public static final String TAILS_PER_NODE = "tails-per-node";

  /** What makes that form right: page_zonenum() asks the head. */
  public static final String ZONENUM_OF_HEAD = "zonenum-of-head";

  /** Names of the forms that the series underneath was posted in and not merged in. */
  public static final List<String> FORMS = List.of(TAILS_PER_NODE, ZONENUM_OF_HEAD);

  /** Number of patches. */
  public static final int LAST = 49;

  private final String name;
  private final Set<Integer> patches;
  private final Set<String> fixes;

  /** Bit n: the kernel has patch n. For who asks at each struct page. */
  private final long patchBits;

  private Series(String name, Set<Integer> patches, Set<String> fixes) {
    this.name = name;
    this.patches = Set.copyOf(patches);
    this.fixes = Set.copyOf(fixes);
    this.patchBits = patches.stream().mapToLong(n -> 1L << n).reduce(0, (a, b) -> a | b);
  }

  /**
   * The kernel after the first {@code n} patches, 0 to {@link #LAST}, without any later fix.
   *
   * @throws IllegalArgumentException for another number
   */
  public static Series at(int n) {
    if (n < 0 || n > LAST) {
      throw new IllegalArgumentException("series=" + n + ": wanted 0 to " + LAST);
    }
    return new Series(Integer.toString(n), upTo(1, n), Set.of());
  }

  /**
   * A released kernel: {@code 7.1}, {@code 7.2} or {@code 7.3}.
   *
   * @throws IllegalArgumentException for another name
   */
  public static Series profile(String name) {
    return switch (name) {
      case "7.1" -> new Series(name, Set.of(), Set.of());
      case "7.2" -> new Series(name, Set.of(1, 2, 3, 6, 8), FIXES_OF_7_2);
      case "7.3" -> {
        Set<Integer> has = upTo(6, 18);
        has.addAll(Set.of(1, 2, 3));
        yield new Series(name, has, Set.copyOf(LATER_FIXES));
      }
      default -> throw new IllegalArgumentException(name + ": wanted 7.1, 7.2 or 7.3");
    };
  }

  /**
   * The kernel that {@link #name} tells of: a level or a release, patches that it is without, and
   * its switches, as in {@code 7.3-11} or {@code 49+tails-per-node}.
   *
   * @throws IllegalArgumentException for another name
   */
  public static Series named(String name) {
    String[] words = name.split("\\+", -1);
    String[] numbers = words[0].split("-", -1);
    Series series =
        numbers[0].indexOf('.') < 0 ? at(Integer.parseInt(numbers[0])) : profile(numbers[0]);
    for (int i = 1; i < numbers.length; i++) {
      series = series.without(Integer.parseInt(numbers[i]));
    }
    for (int i = 1; i < words.length; i++) {
      series = series.with(words[i]);
    }
    return series;
  }

  /**
   * This kernel without patch {@code n}, whatever its other patches need of it.
   *
   * @throws IllegalArgumentException for a patch that it does not have
   */
  public Series without(int n) {
    if (!has(n)) {
      throw new IllegalArgumentException("patch=" + n + ": " + name + " does not have it");
    }
    Set<Integer> fewer = new TreeSet<>(patches);
    fewer.remove(n);
    return new Series(name.replaceFirst("(\\+|$)", "-" + n + "$1"), fewer, fixes);
  }

  /**
   * This kernel with one of {@link #LATER_FIXES} or {@link #FORMS} more.
   *
   * @throws IllegalArgumentException for another name
   */
  public Series with(String word) {
    if (!LATER_FIXES.contains(word) && !FORMS.contains(word)) {
      throw new IllegalArgumentException(
          "switch=" + word + ": wanted one of " + LATER_FIXES + " or " + FORMS);
    }
    Set<String> more = new TreeSet<>(fixes);
    more.add(word);
    return new Series(name + "+" + word, patches, more);
  }

  /** The profile of a captured kernel, from its banner, as in {@code Linux 7.1.3 (...)}. */
  public static Series ofBanner(String banner) {
    for (String name : new String[] {"7.1", "7.2"}) {
      if (banner.startsWith("Linux " + name + ".")) {
        return profile(name);
      }
    }
    return profile("7.3");
  }

  private static Set<Integer> upTo(int first, int last) {
    return IntStream.rangeClosed(first, last)
        .boxed()
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** The number of patches, or the name of the profile. */
  public String name() {
    return name;
  }

  /** True when the kernel has patch {@code n}; the code asks the named questions instead. */
  public boolean has(int n) {
    return (patchBits & 1L << n) != 0;
  }

  /** True when the kernel has the later fix. */
  public boolean hasFix(String fix) {
    return fixes.contains(fix);
  }

  // ---- the patches ----

  /** A hot-add that failed is counted before it is counted back. */
  @Patch(1)
  public boolean countsFailedPopulate() {
    return has(1);
  }

  /** Device memory is counted by the frames that its optimised memmap has. */
  @Patch(3)
  public boolean countsOptimizedDax() {
    return has(3);
  }

  /** Optimised device memory enters through the architecture, which syncs other page tables. */
  @Patch(5)
  public boolean syncsDaxThroughArch() {
    return has(5);
  }

  /** The type of every pageblock of device memory is set, whichever struct pages are written. */
  @Patch(6)
  public boolean initsAllDevicePageblocks() {
    return has(6);
  }

  /** Boot stops when a section gets no memmap. */
  @Patch(9)
  public boolean panicsWithoutMemmap() {
    return has(9);
  }

  /** Zones exist before HugeTLB takes its pages and before sections get their memmap. */
  @Patch(11)
  public boolean initsSparseAfterZones() {
    return has(11);
  }

  /** A CMA area for hugepages in two zones is found out when it is reserved. */
  @Patch(14)
  public boolean validatesCmaZonesAtReserve() {
    return has(14);
  }

  /** A gigantic boot page in two zones goes back to memblock when all pages are taken. */
  @Patch(15)
  public boolean freesCrossZonePagesEarly() {
    return has(15);
  }

  /** The memmap of optimised boot pages is mapped in the early hook, or boot stops. */
  @Patch(16)
  public boolean populatesHvoEarly() {
    return has(16);
  }

  /** struct mem_section is not padded to a power of two. */
  @Patch(21)
  public boolean packsMemSection() {
    return has(21);
  }

  /** A section knows the order of the compound pages that lie in it. */
  @Patch(22)
  public boolean recordsSectionOrder() {
    return has(22);
  }

  /** memmap_init() passes over struct pages that are mapped to a shared tail. */
  @Patch(23)
  public boolean skipsSharedTails() {
    return has(23);
  }

  /** A shared tail holds valid tails from its allocation on. */
  @Patch(24)
  public boolean initsSharedTailOnAllocation() {
    return has(24);
  }

  /** Generic population maps the shared tail where the section's order says so. */
  @Patch(25)
  public boolean populatesBySectionOrder() {
    return has(25);
  }

  /** Sections are present before HugeTLB takes its pages. */
  @Patch(27)
  public boolean presentsSectionsBeforeHugetlb() {
    return has(27);
  }

  /** HugeTLB sets the order of its boot pages' sections and leaves the rest to generic code. */
  @Patch(28)
  public boolean optimizesHugetlbBySection() {
    return has(28);
  }

  /** Boot pages are optimised from the start on every architecture with HVO. */
  @Patch(30)
  public boolean optimizesBootPagesEverywhere() {
    return has(30);
  }

  /** One function makes shared tails for boot and for run time. */
  @Patch(32)
  public boolean allocatesTailsInOnePlace() {
    return has(32);
  }

  /** Tails hold masks in a kernel that optimises device memory only, too. */
  @Patch(33)
  public boolean masksTailsForDax() {
    return has(33);
  }

  /** Device memory sets the order of its sections and shares tails in its zone. */
  @Patch(34)
  public boolean sharesDaxTails() {
    return has(34);
  }

  /** A section knows the zone whose shared tail its memmap is mapped to. */
  @Patch(35)
  public boolean recordsSectionZone() {
    return has(35);
  }

  /** The radix walker of powerpc maps the zone's shared tail behind a compound page's head. */
  @Patch(36)
  public boolean sharesRadixTails() {
    return has(36);
  }

  /** Device memory has no populate loop of its own any more. */
  @Patch(37)
  public boolean unifiesDaxAndHugetlb() {
    return has(37);
  }

  /** Shared tails are read-only from the moment they are mapped. */
  @Patch(38)
  public boolean mapsTailsReadOnly() {
    return has(38);
  }

  /** The count of a section's memmap may be asked for a folio that is larger. */
  @Patch(42)
  public boolean countsWholeFolios() {
    return has(42);
  }

  /** Device memory is optimised on every architecture with the generic path. */
  @Patch(44)
  public boolean optimizesDaxEverywhere() {
    return has(44);
  }

  /** Who adds a section says its order and zone; sparse code does not look at the device. */
  @Patch(46)
  public boolean addsSectionsByOrder() {
    return has(46);
  }

  /** The orders that can be optimised depend on struct page being a power of two, in one place. */
  @Patch(49)
  public boolean gatesOrdersOnPowerOf2() {
    return has(49);
  }

  // ---- later fixes ----

  /** A block of memory that cannot get its device gives its memmap back to where it came from. */
  @LaterFix("altmap-in-error-path")
  public boolean unmapsFailedBlockFromAltmap() {
    return hasFix("altmap-in-error-path");
  }

  /** A device in a boot section has all its struct pages initialised: their memmap is not shared. */
  @LaterFix("device-tails-in-boot-section")
  public boolean initsDeviceTailsInBootSections() {
    return hasFix("device-tails-in-boot-section");
  }

  /** Gigantic boot pages become folios when the memmap is complete, not in HugeTLB's initcall. */
  @LaterFix("early-boot-folios")
  public boolean initsBootFoliosEarly() {
    return hasFix("early-boot-folios");
  }

  /** Frames of boot memmap carry no information for memory removal, nor the reference for it. */
  @LaterFix("no-bootmem-info")
  public boolean forgetsBootmemInfo() {
    return hasFix("no-bootmem-info");
  }

  /** Each block of boot memmap is allocated by itself, not cut from one buffer for the node. */
  @LaterFix("no-sparse-buffer")
  public boolean allocatesEachMemmapBlock() {
    return hasFix("no-sparse-buffer");
  }

  // ---- forms of the series underneath ----

  /** All zones of a node share one frame for an order. */
  public boolean sharesTailsInNode() {
    return fixes.contains(TAILS_PER_NODE);
  }

  /** The zone of a tail is read from its head. */
  public boolean readsZoneOfHead() {
    return fixes.contains(ZONENUM_OF_HEAD);
  }

  // ---- a value ----

  @Override
  public boolean equals(Object other) {
    return other instanceof Series that
        && patches.equals(that.patches)
        && fixes.equals(that.fixes);
  }

  @Override
  public int hashCode() {
    return 31 * patches.hashCode() + fixes.hashCode();
  }

  @Override
  public String toString() {
    return name;
  }
}
