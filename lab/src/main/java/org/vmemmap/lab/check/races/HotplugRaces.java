// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.check.races.RaceScenario.Twin;
import org.vmemmap.machine.Omissions;

/** Races of memory that comes and goes. */
final class HotplugRaces {
  private static final long SIZE = 4L << 20;
  private static final long FIRST = 1L << 36;
  private static final long SECOND = FIRST + (256L << 20);
  private static final MachineSpec PC =
      RaceWorld.map(
          List.of(
              "00001000-0009ffff : System RAM",
              "00100000-07ffffff : System RAM",
              "1000000000-10003fffff : Soft Reserved",
              "1010000000-10103fffff : Soft Reserved"));

  private HotplugRaces() {}

  static List<RaceScenario> all() {
    return List.of(daxNeighbours(), pfnValid());
  }

  /**
   * Two devices, alone in their part of the memmap, so that they share tables with each other only.
   *
   * <pre>
   *   pud   | pmd table: | memmap of A | -- | memmap of B | -- |
   * </pre>
   */
  private static RaceScenario daxNeighbours() {
    return RaceScenario.strong(
        "dax-neighbours",
        "a DAX device is bound while its neighbour in the same page tables is unbound",
        PC,
        world -> {
          world.bind("dax0.0", FIRST, SIZE);
          return Race.of(() -> world.bind("dax1.0", SECOND, SIZE), () -> world.unbind("dax0.0"));
        },
        Twin.without(Omissions.LOCK + " mem_hotplug_lock", "mem_hotplug_lock"));
  }

  private static RaceScenario pfnValid() {
    return RaceScenario.strong(
        "pfn-valid",
        "the memory of a device is removed, another CPU asks pfn_valid() without a lock",
        PC,
        world -> {
          world.bind("dax0.0", FIRST, SIZE);
          long pfn = FIRST >>> world.mm().model().pageShift();
          return Race.of(
              () -> world.unbind("dax0.0"), () -> world.mm().mmzone().pfnValid(pfn));
        },
        Twin.without(Omissions.CALL_RCU, "kfree_rcu(): the usage record is freed at once"));
  }
}
