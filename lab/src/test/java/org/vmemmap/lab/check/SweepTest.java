// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vmemmap.types.Series;

/** The sweep finds nothing in the port as it is, and what is left out of it on purpose. */
class SweepTest {
  private static final World PC = World.of("x86-64-4");

  private static Scenario scenario(String name) {
    return Scenario.standard(name, List.of(PC)).getFirst();
  }

  private static Deviation without(Predicate<String> steps) {
    Trial.Result result =
        Trial.run(scenario("pool"), Selection.NONE, "again", machine -> machine.omissions().drop(steps));
    return java.util.Objects.requireNonNull(result.deviation());
  }

  /** Each allocation of a boot with hugepages fails once, and all from it. Expect no deviation. */
  @Test
  void run_bootOfTheFaithfulPort_hasNoDeviation() {
    Sweep sweep = new Sweep(false, 1, 1, null);
    sweep.run(List.of(scenario("boot")), text -> {});
    assertEquals(0, sweep.broken(), sweep::text);
    assertTrue(sweep.sites() > 10, sweep::text);
    assertTrue(sweep.text().endsWith(" runs, 0 deviations"), sweep::text);
  }

  /**
   * A hugepage, and each 64th run of a device, on every kind of machine, with the series and as
   * released. Expect nothing beyond docs/FINDINGS.md.
   */
  @Test
  void run_smallScenariosOnAllWorlds_findNothingNew() {
    for (Series series : List.of(Series.at(Series.LAST), Series.profile("7.3"))) {
      for (String name : List.of("page", "dax")) {
        Sweep sweep = new Sweep(false, 1, name.equals("dax") ? 64 : 1, null);
        List<Scenario> all = Scenario.standard(name, World.all());
        sweep.run(all.stream().map(each -> each.at(series)).toList(), text -> {});
        assertEquals(0, sweep.broken(), sweep::text);
        assertTrue(sweep.runs() > all.size(), sweep::text);
      }
    }
  }

  /**
   * Kernels with CONFIG_DEBUG_VM, or with struct pages of 56 bytes, with the series and as released;
   * nothing fails. Expect no deviation, and kernels that are built so.
   */
  @Test
  void runClean_otherBuilds_findNothingNew() {
    assertTrue(World.of("x86-64-4-debug").spec(128L << 20, 1, List.of(), List.of()).config().debugVm());
    for (Series series : List.of(Series.at(Series.LAST), Series.profile("7.3"))) {
      for (String name : List.of("page", "replace", "altmap", "far-part", "dimm-on-memory", "kmem")) {
        Sweep sweep = new Sweep(false, 1, 1, null);
        List<Scenario> all = Scenario.standard(name, World.builds());
        sweep.runClean(all.stream().map(each -> each.at(series)).toList(), text -> {});
        assertEquals(0, sweep.broken(), sweep::text);
        assertEquals(2, sweep.runs());
      }
    }
  }

  /** Two parts with one state file, then the whole again. Expect the same number of runs. */
  @Test
  void run_inPartsWithAState_goesOnWhereItWas(@TempDir Path folder) throws IOException {
    Path state = folder.resolve("state");
    List<Scenario> boot = List.of(scenario("boot"));
    Sweep first = new Sweep(false, 1, 2, state);
    first.run(boot, text -> {});
    int half = Files.readAllLines(state).size();
    Sweep whole = new Sweep(false, 1, 1, state);
    whole.run(boot, text -> {});
    int all = Files.readAllLines(state).size();
    assertTrue(Math.abs(all - 2 * half) <= 1, all + " runs, " + half + " in the first half");
    assertTrue(whole.text().endsWith(" 0 deviations"), whole::text);
  }

  /**
   * A boot, of which some failures end in panic at once: then "only this one" and "all from this one"
   * are one run. Expect each of those that were left out to end, when done after all, as the one that
   * was done.
   */
  @Test
  void run_nothingFallibleAfterTheFailure_isNotDoneTwice(@TempDir Path folder) throws IOException {
    Path state = folder.resolve("state");
    Scenario boot = scenario("boot");
    Sweep sweep = new Sweep(false, 1, 1, state);
    sweep.run(List.of(boot), text -> {});
    List<String> left = Files.readAllLines(state).stream().filter(l -> l.contains("\tthe same run\t")).toList();
    assertTrue(!left.isEmpty(), "each run was done");
    assertEquals(1 + 2 * sweep.sites() - left.size(), sweep.runs());
    for (String line : left) {
      String selection = line.substring(line.indexOf("from "), line.indexOf('\t'));
      Selection from = Selection.parse(selection);
      Trial.Result only = Trial.run(boot, Selection.only(from.first()), "");
      Trial.Result all = Trial.run(boot, from, "");
      assertEquals(only.outcome() + only.failed(), all.outcome() + all.failed(), line);
    }
  }

  /** Nobody flushes all caches. Expect a freed frame in a cache, and a report with all its parts. */
  @Test
  void run_withoutFlushAll_isReported() {
    Deviation found = without(step -> step.equals("flush_all"));
    assertEquals("tlb-reaches-freed-frame", found.rule());
    String text = found.text();
    assertTrue(text.contains("frame=0x"), text);
    assertTrue(text.contains("function  __free_pages_prepare (mm/page_alloc.c)\n"), text);
    assertTrue(text.contains("(mm/"), text);
    assertTrue(text.endsWith("replay    again\n"), text);
  }

  /** Nobody takes the write permission of shared tails. Expect a writable one. */
  @Test
  void run_withoutWriteProtection_isReported() {
    assertEquals(
        "shared-tail-read-only", without(step -> step.equals("write_protect")).rule());
  }

  /** The options that repeat a run, written and read. Expect the same steps to fail. */
  @Test
  void option_ofEachSelection_isReadBack() {
    List<Selection> selections =
        List.of(Selection.only(17), Selection.from(17), Selection.pair(17, 23));
    assertEquals(
        List.of("17", "17+", "17,23"), selections.stream().map(Selection::option).toList());
    for (Selection selection : selections) {
      assertEquals(selection, Selection.parseOption(selection.option()));
    }
  }

  /** Names of Java methods as the kernel has them. */
  @Test
  void snake_javaNames_becomeKernelNames() {
    assertEquals("vmemmap_remap_pte", Tracer.snake("vmemmapRemapPte"));
  }
}
