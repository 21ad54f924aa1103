// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.cli.Main;
import org.vmemmap.types.Series;

/** Random machines: nothing is found in the port as it is, and what is left out of it is found. */
class RandomWorldsTest {
  private static final List<World> PC = List.of(World.of("x86-64-4"), World.of("x86-64-5"));
  private static final int STEPS = 8;

  private static final long SEED = 1;
  private static final int RUNS = 10_000;
  private static final int THREADS = 2;
  private static final int MACHINES = 200;
  private static final long BLOCK = 39_963;
  private static final int DRAWS = 20;

  /** All that {@link RandomSteps} can draw. */
  private static final Set<String> STEP_KINDS =
      Set.of(
          "nr_hugepages", "nr_hugepages of a node", "nr_overcommit_hugepages", "demote",
          "demote of a node", "demote_size", "hugetlb_optimize_vmemmap", "map", "unmap", "isolate",
          "process", "state of a block", "auto_online_blocks", "bind", "unbind", "kmem", "unkmem",
          "state", "dimm", "eject", "lmbs", "unlmbs");

  private static RandomWorlds part(int part, int parts) {
    RandomWorlds worlds = new RandomWorlds(World.all(), null, STEPS);
    worlds.run(SEED, RUNS, part, parts, text -> {});
    return worlds;
  }

  private static RandomWorlds run(Series series, long seed, int runs) {
    RandomWorlds worlds = new RandomWorlds(PC, series, STEPS);
    worlds.run(seed, runs, 1, 1, text -> {});
    return worlds;
  }

  private static RandomWorlds.Found without(String step, int runs) {
    Predicate<String> omitted = step::equals;
    RandomWorlds worlds =
        new RandomWorlds(PC, Series.at(49), STEPS, machine -> machine.omissions().drop(omitted));
    worlds.run(1, runs, 1, 1, text -> {});
    assertTrue(worlds.broken() > 0, worlds::text);
    return worlds.found().getFirst();
  }

  /**
   * Ten thousand sequences on two threads. Expect nothing beyond docs/FINDINGS.md, and machines of
   * every kind at every level.
   */
  @Test
  void run_tenThousandSequences_findNothingNewAndCoverAll(TestReporter reporter) {
    List<RandomWorlds> parts =
        IntStream.rangeClosed(1, THREADS).parallel().mapToObj(i -> part(i, THREADS)).toList();
    Cover cover = parts.getFirst().cover();
    parts.stream().skip(1).forEach(part -> cover.add(part.cover()));
    String said = "seed " + SEED + ", " + RUNS + " sequences, " + cover.text();
    reporter.publishEntry("random worlds", said);
    assertEquals(0, parts.stream().mapToLong(RandomWorlds::broken).sum(), () -> said + texts(parts));

    Set<String> kernels =
        IntStream.rangeClosed(0, Series.LAST).mapToObj(Integer::toString).collect(toSet());
    kernels.addAll(Set.of("7.1", "7.2", "7.3"));
    assertEquals(kernels, cover.of(Cover.KERNEL), said);
    Set<String> names = World.all().stream().map(World::name).collect(toSet());
    assertEquals(names, cover.of(Cover.WORLD), said);
    assertEquals(Set.of("x86-64", "arm64", "powerpc"), cover.of(Cover.ARCH), said);
    assertEquals(Set.of("4K", "16K", "64K"), cover.of(Cover.PAGE), said);
    assertEquals(Set.of("56", "64", "72", "80"), cover.of(Cover.STRUCT_PAGE), said);
    assertEquals(Set.of("16M", "128M", "512M"), cover.of(Cover.SECTION), said);
    assertEquals(Set.of("1", "2", "3"), cover.of(Cover.NODES), said);
    assertEquals(STEP_KINDS, cover.of(Cover.STEP), said);
    assertTrue(cover.machines() >= MACHINES, said);
  }

  private static String texts(List<RandomWorlds> parts) {
    return parts.stream().map(part -> "\n" + part.text()).collect(joining());
  }

  /**
   * The machines that a block of seeds draws until one comes up; one has RAM that ends just below 4
   * GiB, and more RAM just below 4 GiB is drawn. Expect ranges in the order of their addresses.
   */
  @Test
  void draw_twoRangesBelowTheSameBorder_areInOrder() {
    Dice dice = new Dice(~BLOCK);
    for (int i = 0; i < DRAWS; i++) {
      List<Ram> ram = RandomWorld.draw(dice, World.all(), Series.at(49)).spec().ram();
      for (int at = 1; at < ram.size(); at++) {
        assertTrue(ram.get(at - 1).end() <= ram.get(at).start(), ram::toString);
      }
    }
  }

  /** The same seeds twice. Expect the same outcome to the last word. */
  @Test
  void run_sameSeeds_sameOutcome() {
    assertEquals(run(Series.at(49), 7000, 30).text(), run(Series.at(49), 7000, 30).text());
  }

  /**
   * The command that a report ends with, when the machine is one of two kinds. Expect it to show the
   * same steps on the same machine.
   */
  @Test
  void replay_oneOfTwoWorlds_runsTheSameScenario() {
    RandomWorlds worlds = new RandomWorlds(PC, Series.profile("7.3"), 5);
    String command = worlds.replay(4711);
    StringWriter out = new StringWriter();
    String[] words = command.substring("vmemmap ".length()).split(" ", -1);
    int code = Main.run(words, new PrintWriter(out, true), new PrintWriter(out, true));
    assertEquals(0, code, out::toString);
    assertTrue(out.toString().contains(worlds.scenario(4711).text()), out::toString);
  }

  /** Nobody flushes all caches. Expect it within 60 runs, in at most 3 steps. */
  @Test
  void run_withoutFlushAll_isFoundAndShrunk() {
    RandomWorlds.Found found = without("flush_all", 60);
    assertEquals("tlb-reaches-freed-frame", found.deviation().rule());
    assertTrue(found.scenario().steps().size() <= 3, found.scenario()::text);
  }

  /** Nobody takes the write permission of shared tails. Expect it in 60 runs, in at most 1 step. */
  @Test
  void run_withoutWriteProtection_isFoundAndShrunk() {
    RandomWorlds.Found found = without("write_protect", 60);
    assertEquals("shared-tail-read-only", found.deviation().rule());
    assertTrue(found.scenario().steps().size() <= 1, found.scenario()::text);
    assertTrue(found.deviation().text().contains("--seed " + found.seed()), "seed");
  }
}
