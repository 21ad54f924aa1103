// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

/** Scenarios made smaller. */
class ShrinkerTest {
  private static final Deviation WANTED =
      new Deviation(RuleBook.CRASH, "a step", "something", "", List.of(), "again");

  private static final String DIMM =
      """
      {
        "schema": "vmemmap-scenario/1", "name": "n", "about": "a", "world": "x86-64-4", "at": "49",
        "structPage": 64, "deferredInit": true, "debugVm": false,
        "ram": [{"start": "0x100000", "end": "0x8000000", "node": 0}],
        "softReserved": [{"start": "0x40000000", "end": "0x48000000", "node": 0}],
        "deviceMemory": [{"start": "0x50000000", "end": "0x60000000", "node": 1}],
        "cmdline": "hugetlb_free_vmemmap=on",
        "steps": ["echo 4 > /proc/sys/vm/nr_hugepages", "dimm 0x50000000 0x8000000 1"]
      }
      """;

  private static Trial.Result brokenByTheDimm(Scenario scenario) {
    boolean plugged = scenario.steps().stream().anyMatch(step -> step.what().equals("dimm"));
    return new Trial.Result(List.of(), 0, List.of(), "ok", plugged ? WANTED : null);
  }

  /**
   * Plugging a DIMM is all that it takes. Expect the rest to go, but not the room of the DIMM: what
   * is left must be a machine that has it, and a file that can be read.
   *
   * <pre>
   *   | RAM |  ...  | soft-reserved |  ...  | room of the DIMM |      |
   *    1 MiB          goes                     stays            goes
   * </pre>
   */
  @Test
  void shrink_dimm_keepsItsRoom() {
    Scenario start = ScenarioFile.parse("start", DIMM);
    Scenario small = Shrinker.shrink(start, WANTED, 400, ShrinkerTest::brokenByTheDimm);
    assertEquals(List.of("dimm 0x50000000 0x8000000 1"), small.steps().stream().map(Step::text).toList());
    assertEquals(List.of(), small.spec().softReserved());
    assertEquals(0x8000000, small.spec().deviceMemory().getFirst().size());
    Scenario read = ScenarioFile.parse("small", ScenarioFile.text(small));
    assertEquals(small.steps(), read.steps());
  }
}
