// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Predicate;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.MachineSpec;

/**
 * CPUs that meet on one machine, and its broken twin: the same with one step of the kernel left out,
 * which must fail.
 *
 * @param name its name
 * @param about who meets, in a line
 * @param twin what the twin leaves out, in a line
 * @param weak whether stores wait in buffers
 * @param bound switches beyond the forced ones that are tried exhaustively
 * @param spec the machine
 * @param race prepares the machine and says what runs
 * @param omitted which steps the twin leaves out, by the names that {@code Machine.omit} knows
 */
record RaceScenario(
    String name,
    String about,
    String twin,
    boolean weak,
    int bound,
    MachineSpec spec,
    Function<RaceWorld, Race> race,
    Predicate<String> omitted) {

  /** All of them. */
  static List<RaceScenario> all() {
    List<RaceScenario> all = new ArrayList<>();
    all.addAll(RemapRaces.all());
    return List.copyOf(all);
  }

  /** The one of that name. @throws BadInput for none, with the names that there are */
  static RaceScenario of(String name) {
    for (RaceScenario scenario : all()) {
      if (scenario.name().equals(name)) {
        return scenario;
      }
    }
    String names = String.join(", ", all().stream().map(RaceScenario::name).toList());
    throw new BadInput("check races " + name + ": wanted one of " + names);
  }
}
