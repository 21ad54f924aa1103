// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
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

  /** One hugepage comes and goes. Expect the table to say from where an exit is reached. */
  @Test
  void table_hugepageOnAPc_namesSiteAndScenario() {
    Exits exits = swept("page");
    assertTrue(exits.table().contains("vmemmap_split_pmd, page on x86-64-4"), exits::table);
    assertTrue(exits.table().contains("never: only before patch 28"), exits::table);
    assertTrue(exits.json().contains("\"symbol\": \"vmemmap_remap_alloc\""), exits::json);
  }
}
