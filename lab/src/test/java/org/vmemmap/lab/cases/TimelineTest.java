// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Series;

/** Captured kernels that date a patch of the series. */
class TimelineTest {
  private static final long PAGEBLOCK = 512;

  /** Mismatches of a case on a kernel: several rows look at the same. */
  private static final Map<String, Integer> REPLAYED = new ConcurrentHashMap<>();

  /**
   * A case of a kernel without the patch, or with it, on the kernels on both sides of the patch.
   * Expect the two to differ in facts of the case, and the side of the captured kernel to have fewer
   * mismatches; and the catalogue's entry to cite the case.
   */
  @ParameterizedTest
  @CsvSource({
    "1, x86-64-7.1.3/enomem-1g, without",
    "3, x86-64-7.1.3/dax-8g, without",
    "3, x86-64-7.2.12/dax-8g, with",
    "14, x86-64-7.3.4/cma-16g-numa2-only, with",
    "15, x86-64-7.2.12/crosszone-8g-on, without",
    "15, x86-64-7.3.4/crosszone-8g-on, with"
  })
  void replay_datedPatch_isToldApartByTheCase(int patch, String name, String captured) {
    assertTellsApart(patch, name, Series.at(patch - 1), Series.at(patch), captured);
  }

  /**
   * Patches that real kernels got together and that no case tells apart from each other. Expect the
   * case to tell the level before all of them from that with all.
   *
   * <pre>
   *   without   without   with 11, 15, 16 (12 to 14 too)
   *     9         10                     16
   * </pre>
   */
  @ParameterizedTest
  @CsvSource({
    "2, 1, 3, x86-64-7.2.12/dax-8g, with",
    "11, 10, 16, x86-64-7.2.12/crosszone-8g-on, without",
    "11, 10, 16, x86-64-7.3.4/crosszone-8g-on, with",
    "16, 10, 16, x86-64-7.2.12/crosszone-8g-on, without",
    "16, 10, 16, x86-64-7.3.4/crosszone-8g-on, with"
  })
  void replay_patchesOfOneDate_areToldApartTogether(
      int patch, int from, int to, String name, String captured) {
    assertTellsApart(patch, name, Series.at(from), Series.at(to), captured);
  }

  private static void assertTellsApart(
      int patch, String name, Series without, Series with, String captured) {
    int before = mismatches(patch, name, without);
    int after = mismatches(patch, name, with);
    boolean has = captured.equals("with");
    assertEquals(has, before > after, before + " to " + after);
    assertEquals(!has, before < after, before + " to " + after);
  }

  private static int mismatches(int patch, String name, Series series) {
    assertTrue(Catalogue.entries().get(patch - 1).evidence().contains(name), name);
    return REPLAYED.computeIfAbsent(
        name + " at " + series,
        key -> Replay.replay(read(name).withSeries(series)).mismatches().size());
  }

  private static VmemmapCase read(String name) {
    return CaseFiles.read(Path.of("../cases/" + name + ".json"));
  }

  /**
   * A captured kernel, which has no mismatch with its own case, without one of its patches. Expect
   * some.
   */
  @ParameterizedTest
  @CsvSource({
    "11, x86-64-7.3.4/crosszone-8g-on",
    "11, x86-64-more/cma-movablecore-8g-on"
  })
  void replay_profileWithoutThePatch_differs(int patch, String name) {
    Series own = read(name).machine().config().series();
    assertNotEquals(0, mismatches(patch, name, own.without(patch)));
  }

  /**
   * The device of 2 GiB in pages of 1 GiB of the cases of 7.1.3 and 7.2.12: the timeline tells its
   * pageblocks, the case files do not.
   *
   * <pre>
   *   7.1.3    [ M ][ U ] ... [ U ]   [ M ][ U ] ... [ U ]     2 of 1024 movable
   *   7.2.12   [ M ][ M ] ... [ M ]   [ M ][ M ] ... [ M ]     1024
   * </pre>
   *
   * Expect these numbers on each captured kernel's machine, and those of the other kernel when only
   * patch 6 is given or taken.
   */
  @Test
  void pageblocks_deviceOf1g_areThoseOfTheTimeline() {
    String without = "x86-64-7.1.3/dax-8g";
    String with = "x86-64-7.2.12/dax-8g";
    assertEquals("2 of 1024", movable(without, Series.profile("7.1")));
    assertEquals("1024 of 1024", movable(with, Series.profile("7.2")));
    assertEquals("2 of 1024", movable(with, Series.profile("7.2").without(6)));
    assertEquals("2 of 1024", movable(without, Series.at(5)));
    assertEquals("1024 of 1024", movable(without, Series.at(6)));
  }

  /** Movable pageblocks of the case's device in pages of 1 GiB, just after it was mapped. */
  private static String movable(String name, Series series) {
    assertTrue(Catalogue.entries().get(5).evidence().contains(name), name);
    VmemmapCase one = read(name);
    List<VmemmapCase.Step> steps =
        one.steps().stream().takeWhile(step -> !step.label().equals("mr1g.1-unbound")).toList();
    assertTrue(steps.size() < one.steps().size(), "the case maps no device in pages of 1 GiB");
    VmemmapCase bound =
        new VmemmapCase(
            one.file(), one.name(), one.family(), one.about(), one.wordMask0(), one.machine(), steps);
    LabKernel kernel = Replay.machineAfter(bound, series);
    long first = Objects.requireNonNull(one.devices().get("mr1g")) >>> 12;
    long end = first + (2L << 18);
    long movable = 0;
    for (long pfn = first; pfn < end; pfn += PAGEBLOCK) {
      Migratetype type =
          kernel.pageAlloc().getPfnblockMigratetype(kernel.mm().model().pfnToPage(pfn), pfn);
      movable += type == Migratetype.MIGRATE_MOVABLE ? 1 : 0;
    }
    return movable + " of " + (end - first) / PAGEBLOCK;
  }
}
