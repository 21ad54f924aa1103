// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** {@code vmemmap check}. */
class CheckCommandTest {
  private static void refused(String message, String... args) {
    Run run = Run.of(args);
    assertEquals(2, run.code());
    assertEquals("vmemmap: " + message + "\n", run.err());
  }

  /** The list names each rule with its cost and the function that keeps it. */
  @Test
  void check_list_namesTheRules() {
    Run run = Run.of("check", "--list");
    assertEquals(0, run.code());
    assertTrue(run.out().contains("shared-tail-read-only"), run.out());
    assertTrue(run.out().contains("vmemmap_remap_pte (mm/hugetlb_vmemmap.c)"), run.out());
    assertTrue(Run.of("check", "--list", "--json").out().contains("\"cost\": \"O("), run.out());
  }

  /** A sweep of one scenario on one machine ends with the numbers. */
  @Test
  void sweep_bootOnAPc_endsWithTheNumbers() {
    Run run = Run.of("check", "sweep", "boot", "--world", "x86-64-4", "--shard", "1/8");
    assertEquals(0, run.code());
    assertTrue(run.out().stripTrailing().endsWith("0 deviations"), run.out());
  }

  /** A page comes and goes on three kernels. Expect as many runs as the three have apart. */
  @Test
  void sweep_severalKernels_areSweptOneAfterTheOther() {
    long apart = 0;
    for (String at : List.of("0", "7.3", "49")) {
      apart += runs(Run.of("check", "sweep", "page", "--world", "x86-64-4", "--at", at));
    }
    assertEquals(
        apart, runs(Run.of("check", "sweep", "page", "--world", "x86-64-4", "--at", "0,7.3,49")));
    refused(
        "--at x: wanted a number from 0 to 49",
        "check", "sweep", "page", "--world", "x86-64-4", "--at", "7.3,x");
  }

  private static long runs(Run run) {
    assertEquals(0, run.code(), run.out());
    Matcher last = Pattern.compile("(\\d+) runs, 0 deviations").matcher(run.out());
    assertTrue(last.find(), run.out());
    return Long.parseLong(last.group(1));
  }

  /** One run of a sweep again: the third allocation of a page fails, and all after it. */
  @Test
  void sweep_oneSelection_isOneRun() {
    Run run = Run.of("check", "sweep", "page", "--world", "x86-64-4", "--fail", "3+");
    assertEquals(0, run.code());
    assertTrue(run.out().stripTrailing().endsWith(" sites, 1 runs, 0 deviations"), run.out());
    assertTrue(run.out().contains("-ENOMEM"), run.out());
  }

  /** Three machines from a seed, and one of the scenarios of docs/FINDINGS.md. Expect the numbers. */
  @Test
  void random_someRuns_endsWithTheNumbers() {
    Run run =
        Run.of(
            "check", "random", "--seed", "9", "--runs", "3", "--world", "x86-64-4", "--at", "49");
    assertEquals(0, run.code(), run.out());
    assertTrue(run.out().contains("3 runs, "), run.out());
    Path docs = Files.isDirectory(Path.of("docs")) ? Path.of("docs") : Path.of("..", "docs");
    Run known = Run.of("check", "run", docs.resolve("findings/half-added.json").toString());
    assertEquals(0, known.code(), known.out());
    assertTrue(known.out().contains("known     Hot-add that fails"), known.out());
  }

  /** What cannot be used is named in one line. */
  @Test
  void check_badInput_isNamedInOneLine() {
    refused("check fly: wanted sweep, races, random, omissions, run or --list", "check", "fly");
    refused(
        "check sweep zoo: wanted one of page, boot, pool, replace, dax, dax-1g, altmap, part, far, far-part, beyond,"
            + " process, neighbours, beside-ram, gigantic, cma, cma-nodes, cma-run, demote, surplus,"
            + " surplus-shrink, dimm, dimm-node, dimm-on-memory, dimm-pool, dimm-surplus, dimm-stays, kmem,"
            + " kmem-on-memory, kmem-ranges, lmbs",
        "check", "sweep", "zoo", "--world", "x86-64-4");
    refused(
        "--fail 2: wanted a number from 4 to 1000000",
        "check", "sweep", "page", "--world", "x86-64-4", "--fail", "3,2");
    refused(
        "--fail 99: wanted at most 13, page on x86-64-4 has no more steps that can fail",
        "check", "sweep", "page", "--world", "x86-64-4", "--fail", "99");
    refused("no.json: cannot be read, wanted a scenario file", "check", "run", "no.json");
    refused(
        "Unknown option: '--pairs' (see vmemmap check random --help)", "check", "random", "--pairs");
    refused("--shard 3: wanted I/N, as in 2/8", "check", "sweep", "boot", "--shard", "3");
  }
}
