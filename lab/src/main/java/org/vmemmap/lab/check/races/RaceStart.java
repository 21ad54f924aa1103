// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.check.Fork;
import org.vmemmap.lab.check.StaleTranslations;
import org.vmemmap.lab.observe.MarkedMemmap;
import org.vmemmap.machine.Checks;
import org.vmemmap.machine.Machine;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Owner;

/**
 * The machine of a scenario, or of its twin, at the moment at which its CPUs meet. It is booted and
 * prepared once; each run goes back to this moment.
 */
final class RaceStart {
  private final RaceScenario scenario;
  private final boolean twin;
  private final LabKernel kernel;
  private final Race race;
  private final Fork fork;
  private final @Nullable MarkedMemmap marked;

  /** Boots the machine and prepares it. */
  RaceStart(RaceScenario scenario, boolean twin) {
    this.scenario = scenario;
    this.twin = twin;
    this.kernel = LabKernel.boot(scenario.spec(twin), Placement.NONE);
    this.race = scenario.race().apply(new RaceWorld(kernel));
    Machine machine = kernel.mm().machine();
    while (machine.cpus().size() < race.cpus().size()) {
      machine.addCpu();
    }
    machine.check(
        Checks.entryWrites()
            .withAccessible(owner -> owner != Owner.BUDDY)
            .withUncached(StaleTranslations::mustNotLeadTo));
    this.fork = Fork.of(kernel);
    this.marked = MarkedMemmap.of(kernel);
  }

  RaceScenario scenario() {
    return scenario;
  }

  LabKernel kernel() {
    return kernel;
  }

  Race race() {
    return race;
  }

  /** The memmap at this moment; null where it cannot be asked. */
  @Nullable MarkedMemmap marked() {
    return marked;
  }

  /** Brings the machine back to this moment, and begins to leave out what the twin is without. */
  void goBack() {
    fork.restore();
    Twin broken = scenario.twin();
    Machine machine = kernel.mm().machine();
    if (twin && broken != null) {
      machine.omissions().drop(broken.omitted().apply(machine));
    }
  }
}
