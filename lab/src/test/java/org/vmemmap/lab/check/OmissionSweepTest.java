// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.check.races.RaceCheck;

/**
 * Each flush, barrier, protection, clear, copy, atomic add and counter of the port is left out: all
 * calls of a place, and one. The system property {@code vmemmap.omissions} says how many single calls
 * of each place are tried in each scenario.
 */
class OmissionSweepTest {
  private static final int CALLS = Integer.getInteger("vmemmap.omissions", 4);
  private static final boolean FEW = CALLS == 4;

  /** All places, or only those that somebody must notice. */
  private static void run(OmissionSweep sweep) {
    if (FEW) {
      OmissionList list = OmissionList.read();
      sweep.runQuickly(point -> !list.lists(point));
    } else {
      sweep.run(place -> {});
    }
  }

  /** The standard scenarios. Expect a report for each place, but for those listed as harmless. */
  @Test
  void run_eachPlaceLeftOut_isNoticedUnlessListed() {
    List<OmissionSubject> subjects = new ArrayList<>(OmissionSweep.standard());
    subjects.addAll(RaceCheck.subjects());
    OmissionSweep sweep = new OmissionSweep(subjects, CALLS);
    sweep.record(file -> true);
    run(sweep);
    assertEquals(List.of(), OmissionList.read().differences(sweep.outcomes(), false), sweep::text);
    // Of each kind there are some, so nothing has slipped out of sight.
    Set<String> kinds =
        sweep.points().stream().map(OmissionPoint::primitive).collect(Collectors.toSet());
    assertTrue(
        kinds.containsAll(
            Set.of("flush_all", "flush_range", "smp_wmb", "write_protect", "clear", "copy",
                "atomic_add", "add nr_memmap_pages", "add nr_free_pages")),
        kinds::toString);
  }

  /** Taking and leaving each lock. Expect that somebody misses it, but for those listed as harmless. */
  @Test
  void run_eachLockLeftOut_isNoticedUnlessListed() {
    OmissionSweep sweep = new OmissionSweep(OmissionSweep.locks(FEW), FEW ? 1 : CALLS);
    sweep.record(file -> true);
    run(sweep);
    assertEquals(List.of(), OmissionList.read().differences(sweep.outcomes(), false), sweep::text);
  }

  /** A list that is wrong in each way. Expect a line for each. */
  @Test
  void differences_ofAnyKind_areTold() {
    OmissionPoint noticed = new OmissionPoint("clear", "section_activate", "mm/sparse-vmemmap.c", 1);
    OmissionPoint silent = new OmissionPoint("clear", "nobody_knows", "mm/sparse.c", 2);
    Map<OmissionPoint, OmissionSweep.Outcome> outcomes = new TreeMap<>();
    outcomes.put(noticed, new OmissionSweep.Outcome("no-crash, page", OmissionSweep.SILENT));
    outcomes.put(silent, new OmissionSweep.Outcome("no-crash, page", OmissionSweep.SILENT));
    List<String> wrong = OmissionList.read().differences(outcomes, true);
    assertTrue(wrong.contains(
        "mm/sparse-vmemmap.c section_activate clear: listed as harmless, but no-crash, page, silent"),
        wrong::toString);
    assertTrue(wrong.contains(
        "mm/sparse.c nobody_knows clear #2: nothing noticed (all no-crash, page, one silent)"),
        wrong::toString);
    assertTrue(
        wrong.contains("mm/sparse.c sparse_index_alloc clear: listed, but nobody came by"),
        wrong::toString);
  }
}
