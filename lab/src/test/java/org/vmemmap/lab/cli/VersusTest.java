// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Two kernels side by side: {@code --vs}. */
class VersusTest {
  private static final String[] MACHINE = {
    "--mem", "256M", "--nodes", "1", "--cmdline", "hugepages=0", "--dax", "size=1G,align=2M"
  };

  private static Run run(String command, String... more) {
    List<String> words = new ArrayList<>(List.of(command.split(" ")));
    words.addAll(List.of(MACHINE));
    words.addAll(List.of(more));
    return Run.of(words.toArray(String[]::new));
  }

  /**
   * A device of 1 GiB around patch 34. Expect one frame less for each of its 512 pages, one shared
   * tail, and no number that does not differ; nothing beside a kernel that was asked for alone.
   */
  @Test
  void boot_vs_showsTheNumbersThatDiffer() {
    String expected =
        """
        The machine with two kernels: what differs
                                    level 33  level 34
          nr_memmap_pages               1024       512
          frames behind the memmap      2048      1537
          shared tails                     0         1
          sections with an order           0         8
        """;
    Run both = run("boot", "--at", "33", "--vs", "34");
    assertTrue(both.out().contains(expected), both.out());
    assertFalse(run("boot", "--at", "33").out().contains("two kernels"));
    assertTrue(run("boot", "--at", "33", "--vs", "33").out().contains("nothing between level 33"));
  }

  /** The same with nothing said about kernels. Expect level 0 beside the last one, as JSON too. */
  @Test
  void boot_default_showsLevel0BesideTheLast() {
    Run json = run("boot", "--json");
    assertTrue(
        json.out().contains("\"one\": \"level 0\",\n    \"other\": \"level 49\","), json.out());
    assertTrue(
        json.out()
            .contains(
                "\"name\": \"nr_memmap_pages\",\n        \"one\": \"4096\",\n"
                    + "        \"other\": \"512\""),
        json.out());
  }

  /** Counters around patch 34. Expect those that differ, as diff shows them. */
  @Test
  void dump_vs_showsADiff() {
    Run run = run("dump vmstat", "--at", "33", "--vs", "34");
    assertTrue(run.out().startsWith("--- level 33\n+++ level 34\n"), run.out());
    assertTrue(run.out().contains("-nr_memmap_pages 1024\n"), run.out());
    assertTrue(run.out().contains("+nr_memmap_pages 512\n"), run.out());
  }

  /**
   * A failing hot-add that a kernel without patch 1 was captured with. Expect that kernel to count
   * as captured and the one with the patch not to count at all.
   */
  @Test
  void replay_vs_showsTheFactsThatDiffer() {
    Run run = Run.of("replay", "../cases/x86-64-7.1.3/enomem-1g.json", "--vs", "1");
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("from the capture 0 at 7.1,"), run.out());
    assertTrue(
        run.out()
            .contains("captured     -512\n       7.1          as captured\n       1            0\n"),
        run.out());
  }

  /** Levels that are none, and where two kernels make no sense. Expect exit code 2 and one line. */
  @Test
  void vs_badInput_isToldInALine() {
    for (Run bad :
        List.of(
            run("boot", "--vs", "50"),
            run("dump vmstat", "--vs", "x"),
            Run.of("boot", "--arch", "all", "--vs", "3"),
            Run.of("replay", "--json", "--vs", "3", "../cases/x86-64-7.1.3/enomem-1g.json"))) {
      assertEquals(2, bad.code(), bad.out());
      assertEquals(1, bad.err().lines().count(), bad.err());
    }
  }
}
