// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.BadInput;

/** Scenarios in files. */
class ScenarioFileTest {
  private static final RandomWorlds ALL = new RandomWorlds(World.all(), null, 8);

  private static final String GOOD =
      """
      {
        "schema": "vmemmap-scenario/1", "name": "n", "about": "a", "world": "x86-64-4", "at": "49",
        "structPage": 64, "deferredInit": true, "debugVm": false,
        "ram": [{"start": "0x100000", "end": "0x4000000", "node": 0}],
        "cmdline": "hugetlb_free_vmemmap=on",
        "failing": "only 3",
        "steps": [
          "echo 4 > /proc/sys/vm/nr_hugepages # failing from 2",
          "bind 0x100000000 64M 2M mem"
        ]
      }
      """;

  private static void refused(String wanted, String old, String changed) {
    BadInput bad =
        assertThrows(BadInput.class, () -> ScenarioFile.parse("f.json", GOOD.replace(old, changed)));
    assertEquals(wanted, bad.getMessage());
  }

  /** Scenarios of 50 seeds go to text and back. Expect the same text again, and the same steps. */
  @Test
  void parse_whatTextWrote_isTheSameScenario() {
    for (long seed = 1; seed <= 50; seed++) {
      Scenario drawn = ALL.scenario(seed);
      String text = ScenarioFile.text(drawn);
      Scenario read = ScenarioFile.parse("seed " + seed, text);
      assertEquals(text, ScenarioFile.text(read), "seed " + seed);
      assertEquals(drawn.steps(), read.steps(), "seed " + seed);
    }
  }

  /** A file by hand. Expect its steps with what fails in them. */
  @Test
  void parse_fileByHand_hasItsSteps() {
    Scenario read = ScenarioFile.parse("f.json", GOOD);
    assertEquals(Selection.only(3), read.failing());
    assertEquals(Step.pool(4).withFailing(Selection.from(2)), read.steps().getFirst());
    assertEquals("bind 0x100000000 64M 2M mem", read.steps().getLast().text());
  }

  /** What cannot be used is named with its place and with what would be right. */
  @Test
  void parse_badFile_isNamedWithItsPlace() {
    refused(
        "f.json:2:13: \"schema\" of the scenario is \"vmemmap-case/1\"; wanted"
            + " \"vmemmap-scenario/1\"",
        "vmemmap-scenario/1", "vmemmap-case/1");
    refused("f.json:2:71: world vax: wanted one of " + names(), "x86-64-4", "vax");
    refused("f.json:2:89: \"at\" is \"50\": wanted 0 to 49, 7.1, 7.2 or 7.3", "\"49\"", "\"50\"");
    refused(
        "f.json:9:5: step \"bind 4 2M mem\": wanted bind START SIZE ALIGN mem|dev",
        "bind 0x100000000 64M 2M mem", "bind 4 2M mem");
    refused(
        "f.json:8:5: failing \"often\": wanted only N, from N or pair N,M", "from 2", "often");
    refused(
        "f.json:4:40: \"end\" of a range of ram is \"0x1000\"; wanted an address behind start",
        "0x4000000", "0x1000");
  }

  private static String names() {
    Stream<World> all = Stream.concat(World.all().stream(), World.builds().stream());
    return String.join(", ", all.map(World::name).toList());
  }

  /** A field that does not exist. Expect it to be named. */
  @Test
  void parse_unknownField_isNamed() {
    BadInput bad =
        assertThrows(
            BadInput.class,
            () -> ScenarioFile.parse("f.json", GOOD.replace("\"failing\"", "\"falling\"")));
    assertTrue(String.valueOf(bad.getMessage()).contains("\"falling\""), bad.getMessage());
  }
}
