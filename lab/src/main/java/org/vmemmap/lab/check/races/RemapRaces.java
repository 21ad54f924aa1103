// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Page;

/** Races of mm/hugetlb_vmemmap.c: several CPUs remap, or one remaps and others look. */
final class RemapRaces {
  private static final long MEMORY = 128L << 20;
  private static final MachineSpec PC =
      MachineSpecs.ofSize(MEMORY, 1, List.of(), 4, List.of("hugetlb_free_vmemmap=on"));

  private RemapRaces() {}

  static List<RaceScenario> all() {
    return List.of(splitPmd(), sharedTail(), copyThenPublish());
  }

  /**
   * The memmap of 128 MiB is one leaf, so two hugepages share it.
   *
   * <pre>
   *   pmd leaf  | ... | memmap of A | memmap of B | ... |
   * </pre>
   */
  private static RaceScenario splitPmd() {
    return new RaceScenario(
        "split-pmd",
        "two CPUs optimise hugepages whose memmap is in one pmd leaf",
        "init_mm.page_table_lock is not taken",
        false,
        2,
        PC,
        world -> {
          List<Folio> folios = world.pool(2, false);
          return Race.of(
              () -> world.optimise(folios.getFirst()), () -> world.optimise(folios.getLast()));
        },
        step -> step.equals("lock init_mm.page_table_lock"));
  }

  private static RaceScenario sharedTail() {
    return new RaceScenario(
        "shared-tail",
        "two CPUs are the first to need the shared tail of a zone and order",
        "the slot of the zone is written without cmpxchg",
        false,
        2,
        PC,
        world -> {
          List<Folio> folios = world.pool(2, false);
          return Race.of(
              () -> world.optimise(folios.getFirst()), () -> world.optimise(folios.getLast()));
        },
        step -> step.equals("cmpxchg zone->vmemmap_tails"));
  }

  private static RaceScenario copyThenPublish() {
    return new RaceScenario(
        "copy-then-publish",
        "a CPU restores the memmap of a hugepage, another looks up the head of a tail",
        "smp_wmb() between the copy of a page and its pte",
        true,
        2,
        PC,
        world -> {
          Folio folio = world.pool(1, true).getFirst();
          Page tail = world.tail(folio, 2);
          return Race.of(
              () -> world.restore(folio),
              () -> {
                world.findHead(tail, folio);
                world.findHead(tail, folio);
              });
        },
        step -> step.equals("smp_wmb"));
  }
}
