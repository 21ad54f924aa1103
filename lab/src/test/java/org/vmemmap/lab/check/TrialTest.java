// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Runs of small scenarios that random sequences once took for deviations, or for unknown ones. */
class TrialTest {
  private static final String MACHINE =
      """
      {
        "schema": "vmemmap-scenario/1", "name": "small", "about": "", "world": "%s", "at": "49",
        "structPage": 64, "deferredInit": true, "debugVm": %s,
        "ram": [%s], "softReserved": [], "pmem": [%s], "deviceMemory": [%s],
        "cmdline": "%s", "failBoot": false, "strict": false, "steps": [%s]
      }
      """;

  private static String range(long start, long end, int node) {
    return "{\"start\": \"0x%x\", \"end\": \"0x%x\", \"node\": %d}".formatted(start, end, node);
  }

  private static String steps(String... steps) {
    return Stream.of(steps).map(step -> '"' + step + '"').collect(joining(", "));
  }

  private static Trial.Result run(String text) {
    return Trial.run(ScenarioFile.parse("small", text), "again", machine -> {});
  }

  /**
   * The first section of a zone goes offline, and the zone begins behind it from then on. Expect no
   * report of its struct pages, which go on to name the zone.
   */
  @Test
  void run_firstSectionOfAZoneGoesOffline_breaksNoRule() {
    String ram =
        String.join(
            ", ",
            range(0x1000, 0x3500000, 0),
            range(0x18000000, 0x20000000, 1),
            range(0x2012c000, 0x20900000, 1));
    String offline = steps("echo offline > /sys/devices/system/memory/memory3/state");
    Trial.Result result = run(MACHINE.formatted("x86-64-5", false, ram, "", "", "", offline));
    assertNull(result.deviation());
    assertEquals("ok", result.outcome());
  }

  /**
   * A DIMM with two free hugepages is ejected, and the second one cannot be restored. Expect -EBUSY,
   * and no report of the first one, which has gone: pages move one by one.
   */
  @Test
  void run_ejectStopsAtTheSecondHugepage_isNoFailedOperation() {
    String steps =
        steps(
            "dimm 0x8000000 0x8000000 0",
            "echo 2 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
            "eject 0x8000000 # failing only 11");
    String words = "hugetlb_free_vmemmap=on memhp_default_state=online_movable";
    Trial.Result result =
        run(
            MACHINE.formatted(
                "x86-64-5", false, range(0x100000, 0x1850000, 0), "",
                range(0x8000000, 0x10000000, 0), words, steps));
    assertNull(result.deviation());
    assertEquals(List.of("alloc_vmemmap_page_list"), result.failed());
    assertEquals("-EBUSY", result.outcome());
  }

  /**
   * LMBs come, go, and come again in words that are the same, with a bind in between whose device
   * shares a pageblock with RAM. Expect what is found to be known by the bind.
   */
  @Test
  void run_sameStepBeforeAndAfterABind_isKnownByTheBind() {
    String steps =
        steps(
            "lmbs 0x10000000 0x20000000 2",
            "unlmbs 0x10000000 0x20000000",
            "bind 0x9000000 0x3a00000 0x1000 dev",
            "lmbs 0x10000000 0x20000000 2");
    String ram = range(0, 0x2100000, 0) + ", " + range(0xca00000, 0xee65000, 2);
    Deviation found =
        run(
                MACHINE.formatted(
                    "powerpc-4K-hash", true, ram, range(0x9000000, 0xc200000, 0),
                    range(0x10000000, 0x30000000, 0), "", steps))
            .deviation();
    assertNotNull(found);
    assertEquals("A shared pageblock: its type changes under free pages", found.finding());
  }

  /**
   * A powerpc kernel that finds no room at the start of memory, and little memory besides, so that
   * all of it is used for memmap. Expect LMBs to go and come back: __vmemmap_free() takes frame 0
   * for none, but it is never given to anybody, as the interrupt vectors are there.
   */
  @Test
  void run_powerpcKernelFurtherUp_neverHandsOutFrameZero() {
    String lmbs = "lmbs 0x110000000 0x20000000 0";
    String ram = range(0, 0x1200000, 0) + ", " + range(0x100000000L, 0x102000000L, 0);
    Trial.Result result =
        run(
            MACHINE.formatted(
                "powerpc-4K-hash", false, ram, "", range(0x110000000L, 0x130000000L, 0), "",
                steps(lmbs, "unlmbs 0x110000000 0x20000000", lmbs)));
    assertNull(result.deviation());
    assertEquals("ok", result.outcome());
  }
}
