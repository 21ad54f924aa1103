// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.vmemmap.lab.check.Deviation;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.check.World;

/** Every scenario holds in all orders with one switch, and every broken twin fails. */
class RaceCheckTest {
  private static final Bound BOUND = Bound.exhaustive(1);

  static List<String> holding() {
    return names(scenario -> scenario.finding().isEmpty() && small(scenario));
  }

  static List<String> heavy() {
    return names(scenario -> !small(scenario));
  }

  static List<String> withTwin() {
    return names(scenario -> scenario.twin() != null);
  }

  /** A run of the others works through the memmap of 1 GiB, which takes a second or so. */
  private static boolean small(RaceScenario scenario) {
    return scenario.stage() != Stage.GIGANTIC && scenario.stage() != Stage.EARLY;
  }

  private static List<String> names(Predicate<RaceScenario> wanted) {
    return RaceScenario.all().stream().filter(wanted).map(RaceScenario::name).toList();
  }

  /**
   * The kernel as it is. Expect no schedule with one switch to break a rule; what each scenario says
   * beyond that is left to {@code ./vmemmap check races}.
   */
  @ParameterizedTest
  @MethodSource("holding")
  void explore_theKernelAsItIs_breaksNoRule(String name) {
    Explorer.Result result = Explorer.explore(RaceScenario.named(name), false, BOUND);
    Deviation found = result.deviation();
    assertNull(found, () -> Objects.requireNonNull(found).text());
    assertTrue(result.complete(), result::toString);
    assertTrue(result.runs() > 2, result::toString);
  }

  /** The heavy ones. Expect the first schedules to hold; all of them are left to the command. */
  @ParameterizedTest
  @MethodSource("heavy")
  void explore_heavyScenario_breaksNoRuleAtFirst(String name) {
    Explorer.Result result = Explorer.explore(RaceScenario.named(name), false, BOUND.atMost(2));
    assertNull(result.deviation());
    assertFalse(result.complete());
  }

  /**
   * One step of the kernel is left out. Expect a schedule within the bound that the scenario states
   * to break the rule that the step keeps, a report with all its parts, and the same when that
   * schedule is run again.
   */
  @ParameterizedTest
  @MethodSource("withTwin")
  void explore_twinWithAStepLeftOut_breaksItsRuleWithinTheBound(String name) {
    RaceScenario scenario = RaceScenario.named(name);
    Twin twin = Objects.requireNonNull(scenario.twin());
    Explorer.Result result = Explorer.explore(scenario, true, scenario.bound());
    Deviation found = result.deviation();
    assertNotNull(found, result::toString);
    String text = found.text();
    Twin.Break wanted = twin.breaks().getFirst();
    assertFalse(wanted.rule().isEmpty() || wanted.found().isEmpty(), "how it fails is not said");
    assertEquals(wanted.rule(), found.rule(), text);
    assertTrue(found.detail().startsWith(wanted.found()), text);
    assertTrue(text.contains("function  "), text);
    assertTrue(text.contains("trace       step  CPU 0"), text);

    RaceCheck again = new RaceCheck(RaceCheck.Options.plain(true));
    again.replay(name, found.replay().replaceFirst(".*--schedule ", ""));
    assertTrue(again.asWanted(), again::text);
    assertEquals(text, again.deviations().getFirst().text());
  }

  /**
   * Twins on machines whose memmap is mapped otherwise than on their usual one. Expect each to break
   * one of its rules.
   */
  @ParameterizedTest
  @CsvSource({
    "dax-neighbours, arm64-4K-48",
    "dax-neighbours, arm64-64K-48",
    "dax-neighbours, powerpc-64K-hash",
    "shrink-and-walker, powerpc-64K-radix",
    "break-before-make, arm64-64K-52"
  })
  void run_twinOnAnotherMachine_breaksOneOfItsRules(String name, String world) {
    RaceCheck check = on(world);

    check.run(name, line -> {});

    assertTrue(check.asWanted(), check::text);
    assertEquals(1, check.deviations().size(), check::text);
  }

  /** Machines on which the step of a twin protects nothing. Expect no run, and the reason. */
  @ParameterizedTest
  @CsvSource({
    "break-before-make, x86-64-4, no break-before-make",
    "removal-flush, x86-64-4, it breaks a rule as it is",
    "split-pmd, arm64-4K-48, no HVO for HugeTLB"
  })
  void run_twinWithNothingToBreak_saysWhy(String name, String world, String why) {
    RaceCheck check = on(world);

    check.run(name, line -> {});

    assertTrue(check.text().contains("not there: " + why), check::text);
    assertTrue(check.text().endsWith("\n0 twins, 0 schedules, 0 broken as they must be"), check::text);
  }

  private static RaceCheck on(String world) {
    return new RaceCheck(
        new RaceCheck.Options(true, null, null, null, null, World.list(world), false));
  }

  /**
   * Finding: a walker looks at the count of a page in use, the page becomes the tail of an optimised
   * hugepage, the exchange writes to it. Expect the fault with one switch, and its entry in the list.
   *
   * <pre>
   *   walker    _refcount is 1 .......................................... cmpxchg: oops
   *   others    last page of the block is freed | hugepage | tails shared, read-only
   * </pre>
   */
  @Test
  void explore_walkerMeetsABlockThatBecomesAHugepage_writesToAReadOnlyTail() throws IOException {
    RaceScenario scenario = RaceScenario.named("grow-and-walker");
    assertFound(scenario, RuleBook.READ_ONLY, "write-to-read-only ");
  }

  /**
   * Finding: x86 frees a page of memmap before it flushes, and a CPU that has its translation reads it
   * in between. Expect the access, where arm64 has none, and its entry in the list.
   */
  @Test
  void explore_removalOnX86_letsACpuReadAFreeFrame() throws IOException {
    RaceScenario scenario = RaceScenario.named("removal-flush").on(World.all().getFirst());
    assertFound(scenario, RuleBook.FREED, "freed-frame-access ");
  }

  private static void assertFound(RaceScenario scenario, String rule, String detail)
      throws IOException {
    Deviation found = Explorer.explore(scenario, false, BOUND).deviation();
    assertNotNull(found);
    assertEquals(rule, found.rule());
    assertTrue(found.detail().startsWith(detail), found::text);
    assertFalse(scenario.finding().isEmpty());
    Path findings = Path.of("..", "docs", "FINDINGS.md");
    assertTrue(Files.readString(findings).contains(scenario.finding()));
  }

  /** A twin under random priorities. Expect to find it, and the same schedule from the same seed. */
  @Test
  void random_twin_isFoundFromASeed() {
    RaceScenario scenario = RaceScenario.named("copy-then-publish");
    // The seeds are 1 to 200; the schedule in the report is that of the first that found it.
    Deviation found = Explorer.explore(scenario, true, Bound.random(1, 200)).deviation();
    assertNotNull(found, "seeds 1 to 200");
    assertEquals(found, Explorer.explore(scenario, true, Bound.random(1, 200)).deviation());
    assertNull(Explorer.explore(scenario, false, Bound.random(1, 5)).deviation());
  }

  /** A schedule as text. Expect to read what was written. */
  @Test
  void schedule_text_isReadBack() {
    String text = "0:1,57:0n,61:1w,99:0";
    assertEquals(text, Schedule.parse(text).text());
    assertEquals(99, Schedule.parse(text).last());
    assertFalse(Schedule.parse(text).equals(Schedule.startingWith(1)));
  }
}
