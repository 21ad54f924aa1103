// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which kernel has which patch, and what each changes. */
class SeriesTest {
  /** A question and the patch that answers it with yes. */
  record Question(int patch, Predicate<Series> ask) {}

  /** A question and the later fix that answers it with yes. */
  record Fixed(String fix, Predicate<Series> ask) {}

  static Stream<Question> questions() {
    return Stream.of(
        new Question(1, Series::countsFailedPopulate),
        new Question(3, Series::countsOptimizedDax),
        new Question(5, Series::syncsDaxThroughArch),
        new Question(6, Series::initsAllDevicePageblocks),
        new Question(9, Series::panicsWithoutMemmap),
        new Question(11, Series::initsSparseAfterZones),
        new Question(14, Series::validatesCmaZonesAtReserve),
        new Question(15, Series::freesCrossZonePagesEarly),
        new Question(16, Series::populatesHvoEarly),
        new Question(21, Series::packsMemSection),
        new Question(22, Series::recordsSectionOrder),
        new Question(23, Series::skipsSharedTails),
        new Question(24, Series::initsSharedTailOnAllocation),
        new Question(25, Series::populatesBySectionOrder),
        new Question(27, Series::presentsSectionsBeforeHugetlb),
        new Question(28, Series::optimizesHugetlbBySection),
        new Question(30, Series::optimizesBootPagesEverywhere),
        new Question(32, Series::allocatesTailsInOnePlace),
        new Question(33, Series::masksTailsForDax),
        new Question(34, Series::sharesDaxTails),
        new Question(35, Series::recordsSectionZone),
        new Question(36, Series::sharesRadixTails),
        new Question(37, Series::unifiesDaxAndHugetlb),
        new Question(38, Series::mapsTailsReadOnly),
        new Question(42, Series::countsWholeFolios),
        new Question(44, Series::optimizesDaxEverywhere),
        new Question(46, Series::addsSectionsByOrder),
        new Question(49, Series::gatesOrdersOnPowerOf2));
  }

  static Stream<Fixed> fixes() {
    return Stream.of(
        new Fixed("altmap-in-error-path", Series::unmapsFailedBlockFromAltmap),
        new Fixed("device-tails-in-boot-section", Series::initsDeviceTailsInBootSections),
        new Fixed("early-boot-folios", Series::initsBootFoliosEarly),
        new Fixed("no-bootmem-info", Series::forgetsBootmemInfo),
        new Fixed("no-sparse-buffer", Series::allocatesEachMemmapBlock),
        new Fixed(Series.TAILS_PER_NODE, Series::sharesTailsInNode),
        new Fixed(Series.ZONENUM_OF_HEAD, Series::readsZoneOfHead));
  }

  /**
   * Each question at all levels. Expect no before the patch that it belongs to, yes from it on, and
   * no again when that patch alone is left out.
   */
  @ParameterizedTest
  @MethodSource("questions")
  void at_eachQuestion_isYesFromItsPatchOn(Question question) {
    List<Integer> yes =
        IntStream.rangeClosed(0, Series.LAST)
            .filter(n -> question.ask.test(Series.at(n)))
            .boxed()
            .toList();

    assertEquals(IntStream.rangeClosed(question.patch, Series.LAST).boxed().toList(), yes);
    assertFalse(question.ask.test(Series.at(Series.LAST).without(question.patch)));
  }

  /** Each later fix. Expect no level to have it, and a kernel to have it that is given it. */
  @ParameterizedTest
  @MethodSource("fixes")
  void with_eachFix_answersItsQuestion(Fixed fixed) {
    Series all = Series.at(Series.LAST);

    assertFalse(fixed.ask.test(all));
    assertTrue(fixed.ask.test(all.with(fixed.fix)));
    assertTrue(all.with(fixed.fix).hasFix(fixed.fix));
    assertEquals("49+" + fixed.fix, all.with(fixed.fix).name());
  }

  /** The levels there are. Expect 0 and 49 to be the ends. */
  @Test
  void at_outsideTheSeries_isRefused() {
    assertEquals("0", Series.at(0).name());
    assertEquals("49", Series.at(49).toString());
    String refused =
        String.valueOf(
            assertThrows(IllegalArgumentException.class, () -> Series.at(50)).getMessage());
    assertEquals("series=50: wanted 0 to 49", refused);
    assertThrows(IllegalArgumentException.class, () -> Series.at(-1));
  }

  /**
   * Released kernels. Expect 7.1 to have nothing, 7.2 the fixes from the front of the series, 7.3
   * patches 1 to 3 and 6 to 18, and later fixes where they were captured.
   */
  @Test
  void profile_released_hasWhatWasMerged() {
    assertEquals(List.of(), patches(Series.profile("7.1")));
    assertEquals(List.of(1, 2, 3, 6, 8), patches(Series.profile("7.2")));
    assertEquals(
        List.of(1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18),
        patches(Series.profile("7.3")));
    assertFalse(Series.profile("7.1").allocatesEachMemmapBlock());
    assertTrue(Series.profile("7.2").allocatesEachMemmapBlock());
    assertFalse(Series.profile("7.2").forgetsBootmemInfo());
    assertTrue(Series.profile("7.3").forgetsBootmemInfo());
    assertThrows(IllegalArgumentException.class, () -> Series.profile("7.4"));
  }

  private static List<Integer> patches(Series series) {
    return IntStream.rangeClosed(1, Series.LAST).filter(series::has).boxed().toList();
  }

  /** Banners of captured kernels, and of one that was built by hand. */
  @ParameterizedTest
  @CsvSource({
    "Linux 7.1.3 (gcc 15), 7.1",
    "Linux 7.2.0-rc3, 7.2",
    "Linux 7.3.0, 7.3",
    "Linux 7.12.0, 7.3",
    "Linux 6.9.0, 7.3",
  })
  void ofBanner_captured_isItsProfile(String banner, String profile) {
    assertEquals(Series.profile(profile), Series.ofBanner(banner));
    assertEquals(profile, Series.ofBanner(banner).name());
  }

  /** Names of kernels. Expect each to come back as it was, with what it says and nothing else. */
  @ParameterizedTest
  @ValueSource(
      strings = {"0", "17", "49", "7.1", "7.3", "7.3-11", "49-38-36", "49+tails-per-node",
        "7.2-3+no-bootmem-info+zonenum-of-head"})
  void named_anyKernel_comesBack(String name) {
    Series series = Series.named(name);

    assertEquals(name, series.name());
    assertEquals(series, Series.named(series.name()));
    assertEquals(series.hashCode(), Series.named(name).hashCode());
  }

  /** A kernel with a hole and a switch. Expect the hole, the switch, and the rest as it was. */
  @Test
  void named_holeAndSwitch_areThere() {
    Series series = Series.named("7.2-3+no-bootmem-info");

    assertEquals(List.of(1, 2, 6, 8), patches(series));
    assertTrue(series.forgetsBootmemInfo());
    assertTrue(series.allocatesEachMemmapBlock());
    assertEquals("7.2-3-6+no-bootmem-info", series.without(6).name());
  }

  /** Patches that the kernel lacks, and words that mean nothing. Expect a refusal that helps. */
  @Test
  void named_impossible_isRefused() {
    String refused =
        String.valueOf(
            assertThrows(IllegalArgumentException.class, () -> Series.named("7.3-19"))
                .getMessage());
    assertEquals("patch=19: 7.3 does not have it", refused);
    assertThrows(IllegalArgumentException.class, () -> Series.named("49+faster"));
    assertThrows(IllegalArgumentException.class, () -> Series.named("50"));
    assertThrows(IllegalArgumentException.class, () -> Series.named("7.9"));
  }

  /** Two ways to the same patches. Expect them equal, whatever they are called. */
  @Test
  void equals_samePatchesAndFixes_areEqual() {
    assertEquals(Series.at(1), Series.at(2).without(2));
    assertEquals(Series.at(1).hashCode(), Series.at(2).without(2).hashCode());
    assertNotEquals(Series.at(1), Series.at(2));
    assertNotEquals(Series.at(1), Series.at(1).with("no-sparse-buffer"));
    assertNotEquals(Series.at(1), new Object());
    assertNotEquals(Series.at(1).hashCode(), Series.at(2).hashCode());
    assertNotEquals(Series.at(1).hashCode(), Series.at(1).with("no-sparse-buffer").hashCode());
  }
}
