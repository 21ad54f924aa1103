// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.vmemmap.types.ZoneType;

/** What can be seen of the patches: each number has its one place of measuring here. */
public final class Observables {
  private static final String BOOT = "nr_memmap_boot_pages";
  private static final String RUNTIME = "nr_memmap_pages";
  private static final String HUGEPAGE = "5G with a boot page of 1G, HVO on";
  private static final String CROSS = "8G, zone border at 6.5G, four boot pages of 1G";

  private Observables() {}

  /** All of them, in the order of the patches that first change them. */
  public static List<Observable> all() {
    return Stream.of(upTo20(), from21()).flatMap(List::stream).toList();
  }

  private static List<Observable> upTo20() {
    return List.of(
        of("failed-hot-add", RUNTIME, "hot-add of a section while memory is exhausted",
            level -> number(DeviceMeasures.failedHotAdds(level, 128L << 20, 1))),
        of("dax-2m-pages", RUNTIME, "device of 1G in pages of 2M",
            level -> number(DeviceMeasures.memmapPages(level, DeviceMeasures.ORDER_2M))),
        of("dax-1g-pages", RUNTIME, "device of 1G in one page of 1G",
            level -> number(DeviceMeasures.memmapPages(level, DeviceMeasures.ORDER_1G))),
        of("dax-process-reads", "access", "a process reads the memmap of a far device, no sync at"
                + " each level",
            level -> DeviceMeasures.processReads(level, DeviceMeasures.ORDER_2M, false)),
        of("dax-movable-blocks", "pageblocks", "device of 1G in one page of 1G",
            level -> number(DeviceMeasures.movablePageblocks(level, 1, DeviceMeasures.ORDER_1G))),
        of("no-memmap-boot", "outcome", "boot of 4 sections with memory for the memmap of 2",
            BootMeasures::memmapForTwoOfFour),
        of("zones-at-section-init", "zones of the GiB at 6G", CROSS + "; asked when sections are made",
            level -> level.crossZone().crosses() ? "2" : "not known"),
        of("cma-areas", "areas", "two nodes of 5G, CMA area of 1G on each, node 0's in two zones",
            level -> number(BootMeasures.cmaAreas(level))),
        of("cross-zone-hugepages", "hugepages reckoned with", CROSS + "; memmap complete",
            level -> number(BootMeasures.hugepagesReckoned(level.crossZone().kernel()))),
        of("no-tail-boot", BOOT, "4G with a boot page of 1G, no memory for its shared tail",
            level -> number(BootMeasures.bootPages(level, true))));
  }

  private static List<Observable> from21() {
    return List.of(
        of("sections-per-root", "sections", "table of sections with page extension",
            level -> number(level.plain().kernel().mm().mmzone().sectionsPerRoot())),
        of("boot-page-order", "section order", HUGEPAGE,
            level -> number(level.hugepage().mm().mmzone().pfnToSectionOrder(4L << 18))),
        of("boot-page-initialised", "struct pages", HUGEPAGE + "; memmap_init_range() of its range",
            level -> number(BootMeasures.initialised(level))),
        of("boot-tail-word", "compound_info", HUGEPAGE + "; shared tail when the memmap is complete",
            level -> BootMeasures.sharedTailWord(level.hugepage().mm())),
        of("order-18-frames", "frames", "two sections with order 18, populated by hand",
            level -> number(BootMeasures.framesBySectionOrder(level))),
        of("hugepages-at-section-init", "hugepages taken", CROSS + "; when sections are made",
            level -> number(level.crossZone().reservedGib())),
        of("preinit-sections", "sections", HUGEPAGE,
            level -> number(BootMeasures.preinited(level.hugepage().mm().mmzone()))),
        of("arm64-boot-peak", BOOT, "arm64, 4G with two boot pages of 1G, before HugeTLB's init",
            level -> number(BootMeasures.bootPagesOfArm64(level))),
        of("tail-failure", "message", "first hugepage of the pool, no memory for its shared tail",
            BootMeasures::tailFailure),
        of("dax-only-tail-word", "compound_info", "device in pages of 2M, HugeTLB's option off",
            DeviceMeasures::tailWordWithoutHugetlb),
        of("dax-512k-pages", RUNTIME, "device of 1G in pages of 512K",
            level -> number(DeviceMeasures.memmapPages(level, 7))),
        of("tail-zone", "zone", "section populated at run time for ZONE_NORMAL, order 9",
            DeviceMeasures::zoneOfTail),
        of("radix-folio-saved", "frames", "powerpc radix, pages of 4K, a device's folio of 2M",
            level -> number(SectionMeasures.savedOnRadix(level, 4096, 2L << 20).saved())),
        of("reverse-population", "pages showing the shared tail",
            "device of 1G in one page of 1G, its last section first",
            level -> number(SectionMeasures.addedInOrder(level, false).tails())),
        of("stray-write", "changed by it", "write to struct page 100 of a device's folio of 2M",
            level -> DeviceMeasures.strayWrite(level, 100)),
        of("whole-folio-count", "pages", "a folio of 1G is counted at once, with DEBUG_VM",
            DeviceMeasures::wholeFolioCount),
        of("arm64-dax-2m-pages", RUNTIME, "arm64, device of 1G in pages of 2M",
            level ->
                number(DeviceMeasures.memmapPagesOnArm64(level, DeviceMeasures.ORDER_2M))),
        of("order-by-caller", RUNTIME, "section added without a device, order 9 asked for",
            level ->
                number(
                    SectionMeasures.addedWithOrder(level, 9, ZoneType.ZONE_NORMAL).counted())),
        of("odd-struct-page", "pages counted", "section with order 18, struct pages of 80 bytes",
            level -> number(SectionMeasures.oddStructPage(level).counted())));
  }

  /** The one of that name. @throws IllegalArgumentException for none */
  public static Observable named(String name) {
    for (Observable one : all()) {
      if (one.name().equals(name)) {
        return one;
      }
    }
    throw new IllegalArgumentException(name + ": no observable of that name");
  }

  private static Observable of(
      String name, String unit, String scenario, Function<Level, String> measure) {
    return new Observable(name, unit, scenario, measure);
  }

  private static String number(long n) {
    return Long.toString(n);
  }
}
