// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.vmemmap.arch.x86.X86Geometry;
import org.vmemmap.arch.x86.X86PageTable;
import org.vmemmap.lab.observe.RangePtes.Run;

/** Runs of memmap pages in the arrangement of a case file. */
class PteGroupsTest {
  private static final long RW = 0x8000000000000163L;
  private static final Run OWN = new Run(0, 1, 0, RW, false, 1, 5, 0, false, null);
  private static final Run SHARED = new Run(1, 7, 0, RW, true, 7, 6, 0, false, null);
  private static final Run OWN_2 = new Run(8, 1, 0, RW, false, 1, 7, 0, false, null);
  private static final Run SHARED_2 = new Run(9, 7, 0, RW, true, 7, 8, 0, false, null);
  private static final Run NONE = new Run(16, 8, -1, 0, false, 0, 0, 0, false, null);
  private static final Run BLOCK = new Run(0, 1024, 1, 0x1e3, false, 2, 4096, 512, true, null);

  private static List<Object> arrange(List<Run> runs, String asked) {
    PteGroups groups = new PteGroups(new X86PageTable(X86Geometry.fourLevel()));
    return groups.arrange(runs, ((JsonNode.Arr) JsonParser.parse("f", asked)).items());
  }

  private static Map<String, Object> group(String frame, long n) {
    return Map.of("n", n, "level", "pte", "flags", "0x8000000000000163", "frame", frame);
  }

  /**
   * own 1, shared 7, own 1, shared 7 as a pattern of two groups. Expect it twice, with 16 pages in
   * all.
   */
  @Test
  void arrange_pattern_countsHowOftenItRepeats() {
    List<Object> found = arrange(List.of(OWN, SHARED, OWN_2, SHARED_2), "[{\"each\": [{}, {}]}]");

    assertEquals(
        List.of(
            Map.of(
                "vpage",
                0L,
                "n",
                16L,
                "repeat",
                2,
                "each",
                List.of(group("own", 1), group("shared", 7)))),
        found);
  }

  /** The same runs one by one. Expect what is not asked for as well. */
  @Test
  void arrange_singleGroups_showsAllRuns() {
    List<Object> found = arrange(List.of(OWN, SHARED, OWN_2), "[{}]");

    assertEquals(3, found.size());
    assertEquals(0L, ((Map<?, ?>) found.get(0)).get("vpage"));
    assertEquals(group("shared", 7), found.get(1));
  }

  /** A pattern that is followed by something else. Expect that it stops there. */
  @Test
  void arrange_patternThenHole_stopsAtTheHole() {
    List<Object> found =
        arrange(List.of(OWN, SHARED, OWN_2, SHARED_2, NONE), "[{\"each\": [{}, {}]}, {}]");

    assertEquals(2, ((Map<?, ?>) found.get(0)).get("repeat"));
    assertEquals(Map.of("vpage", 16L, "n", 8L, "level", "none"), found.get(1));
  }

  /** Blocks inside a device. Expect their number, the first frame, and the step. */
  @Test
  void arrange_blocksInsideADevice_tellTheirFrames() {
    assertEquals(
        List.of(
            Map.of(
                "vpage",
                0L,
                "n",
                1024L,
                "level",
                "pmd",
                "flags",
                "0x1e3",
                "frame",
                "own",
                "leaves",
                2L,
                "firstPfn",
                4096L,
                "step",
                512L)),
        arrange(List.of(BLOCK), "[{}]"));
  }
}
