// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.function.Predicate;
import java.util.function.Supplier;
import org.vmemmap.lab.check.Deviation;
import org.vmemmap.lab.check.OmissionSubject;

/**
 * A scenario as something to leave calls out of.
 *
 * @param scenario its name
 * @param primitive the one whose calls it is for
 */
record RaceSubject(String scenario, String primitive) implements OmissionSubject {
  private static final Bound BOUND = Bound.exhaustive(1);

  @Override
  public String name() {
    return "race " + scenario;
  }

  @Override
  public void record(Predicate<String> heard) {
    RaceScenario twin =
        without(() -> call -> call.equals(primitive) && heard.test(call));
    RaceRun.run(
        new RaceStart(twin, true),
        new Directed(Schedule.startingWith(0)),
        new Sharing(),
        null,
        "");
  }

  @Override
  public String run(Supplier<Predicate<String>> dropped) {
    Deviation found =
        Explorer.explore(without(dropped), true, BOUND).deviation();
    return found == null ? "" : found.rule();
  }

  private RaceScenario without(Supplier<Predicate<String>> dropped) {
    return RaceScenario.named(scenario).twin(Twin.without(machine -> dropped.get()));
  }
}
