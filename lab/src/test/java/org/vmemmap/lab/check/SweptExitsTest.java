// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Failure exits and the steps that lead to them. */
class SweptExitsTest {
  private static final World PC = World.of("x86-64-4");

  private static Exits swept(String... names) {
    Sweep sweep = new Sweep(false, 1, 1, null);
    for (String name : names) {
      sweep.run(Scenario.standard(name, List.of(PC)), text -> {});
    }
    assertEquals(0, sweep.broken(), sweep::text);
    return sweep.exits();
  }

  private static List<String> of(List<Exits.Exit> exits, String file) {
    return exits.stream().filter(exit -> exit.file().equals(file)).map(Exits.Exit::text).toList();
  }

  /** One hugepage comes, goes and is replaced, by one failure and by all. Expect no exit unseen. */
  @Test
  void refused_hugepagesOnAPc_reachAllExitsOfHugetlbVmemmap() {
    Exits exits = swept("page", "replace");
    for (String mode : List.of("only", "from")) {
      assertEquals(List.of(), of(exits.missing(mode), "mm/hugetlb_vmemmap.c"), mode);
    }
    assertTrue(exits.table().contains("vmemmap_split_pmd, page on x86-64-4"), exits::table);
    assertTrue(exits.json().contains("\"symbol\": \"vmemmap_remap_alloc\""), exits::json);
  }

  /** A boot without memory. Expect the panics of sparse.c, and the way up from each. */
  @Test
  void refused_bootOfAPc_reachesThePanicsOfSparse() {
    Exits exits = swept("boot");
    List<String> missing =
        Stream.of("only", "from")
            .flatMap(mode -> of(exits.missing(mode), "mm/sparse.c").stream())
            .distinct()
            .toList();
    // A root at run time needs a device far away: scenario far.
    assertEquals(
        List.of("sparse_index_alloc (mm/sparse.c) after kzalloc: returns NULL"), missing);
  }
}
