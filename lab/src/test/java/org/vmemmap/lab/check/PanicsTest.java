// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.KernelPanic;

/** Which panics of a boot count as answers to a refused request. */
class PanicsTest {
  private static final Scenario BOOT =
      Scenario.standard("boot", List.of(World.of("x86-64-4"))).getFirst();

  /** The kernel's words from another place, and other words. Expect no answer. */
  @Test
  void answers_otherPanics_areBugs() {
    List<String> refused = List.of("vmemmap_alloc_block");
    assertFalse(Panics.answers(new KernelPanic("Failed to allocate memmap for section 3"), refused));
    assertFalse(Panics.answers(new KernelPanic("Attempted to kill init!"), refused));
  }

  /** Each request of a boot is refused. Expect panics, and no deviation. */
  @Test
  void trial_refusedAtBoot_panicsAsTheKernelDoes() {
    Sweep sweep = new Sweep(false, 1, 1, null);
    sweep.run(List.of(BOOT), text -> {});
    assertEquals(0, sweep.broken(), sweep::text);
    assertTrue(sweep.text().contains("panic"), sweep::text);
  }
}
