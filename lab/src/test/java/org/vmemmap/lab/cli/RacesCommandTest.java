// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** {@code vmemmap check races}. */
class RacesCommandTest {
  private static void refused(String message, String... args) {
    Run run = Run.of(args);
    assertEquals(2, run.code());
    assertEquals("vmemmap: " + message + "\n", run.err());
  }

  /** The list names each scenario and what its twin leaves out. */
  @Test
  void races_list_namesScenariosAndTwins() {
    Run run = Run.of("check", "races", "--list");
    assertEquals(0, run.code());
    assertTrue(run.out().contains("copy-then-publish"), run.out());
    assertTrue(run.out().contains("without: smp_wmb()"), run.out());
  }

  /** A scenario of the kernel as it is holds: exit code 0. */
  @Test
  void races_theKernelAsItIs_holds() {
    Run run = Run.of("check", "races", "copy-then-publish", "--bound", "1");
    assertEquals(0, run.code());
    assertTrue(run.out().contains(" schedules, 0 broken\n"), run.out());
  }

  /** Its twin is reported, with the command that shows it again: exit code 0, as it must fail. */
  @Test
  void races_twin_isReported() {
    Run run = Run.of("check", "races", "copy-then-publish", "--twin");
    assertEquals(0, run.code());
    assertTrue(run.out().contains("rule      reader-sees-head: "), run.out());
    assertTrue(
        run.out().contains("replay    vmemmap check races copy-then-publish --twin --schedule 0:"),
        run.out());
  }

  /** A twin that is given no switch does not fail. Expect exit code 1: the twin proves nothing. */
  @Test
  void races_twinWithoutASwitch_isNotAsItMustBe() {
    Run run = Run.of("check", "races", "split-pmd", "--twin", "--bound", "0");
    assertEquals(1, run.code());
  }

  /**
   * One scenario on several machines, after all patches. Expect each to hold that can have it, and the
   * others to be named.
   */
  @Test
  void races_otherMachines_eachHoldsOrIsNamed() {
    String worlds = "arm64-64K-52,powerpc-4K-radix,powerpc-64K-hash";
    Run devices =
        Run.of("check", "races", "dax-neighbours", "--world", worlds, "--at", "49", "--bound", "0");
    assertEquals(0, devices.code(), devices.err());
    assertTrue(devices.out().contains("3 scenarios, "), devices.out());
    assertTrue(devices.out().contains(" 0 broken"), devices.out());
    Run hvo = Run.of("check", "races", "split-pmd", "--world", worlds);
    assertEquals(0, hvo.code(), hvo.err());
    assertTrue(hvo.out().contains("not there: no HVO for HugeTLB"), hvo.out());
  }

  /** What cannot be used is named in one line. */
  @Test
  void races_badInput_isNamedInOneLine() {
    refused(
        "--schedule x: wanted STEP:CPU,... as in 0:1,57:0",
        "check", "races", "split-pmd", "--schedule", "x");
    refused(
        "--schedule 0:1: wanted the name of a scenario before it",
        "check", "races", "--schedule", "0:1");
    refused("--bound 1 --seed: wanted one of the two", "check", "races", "--bound", "1", "--seed", "1");
    refused(
        "--world arm64-4K-48: no HVO for HugeTLB, wanted another for split-pmd",
        "check", "races", "split-pmd", "--world", "arm64-4K-48", "--schedule", "0:0");
    refused(
        "Unknown option: '--pairs' (see vmemmap check races --help)",
        "check", "races", "--pairs");
    assertEquals(2, Run.of("check", "races", "no-such").code());
  }
}
