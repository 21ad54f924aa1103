// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.check.World;
import org.vmemmap.types.Series;

/**
 * CPUs that meet on one machine, and the broken twin of that.
 *
 * @param name its name
 * @param about who meets, in a line
 * @param stage the machine that it needs
 * @param race prepares the machine and says what runs
 * @param weak whether stores wait in buffers
 * @param bound how far it is explored
 * @param twin the same without what protects it; null for a scenario that breaks as it is
 * @param known how the kernel is known to break it
 * @param world the kind of machine that it runs on
 * @param series the kernel
 */
record RaceScenario(
    String name,
    String about,
    Stage stage,
    Function<RaceWorld, Race> race,
    boolean weak,
    Bound bound,
    @Nullable Twin twin,
    Known known,
    World world,
    Series series) {
  /**
   * An entry of docs/FINDINGS.md.
   *
   * @param title its title
   * @param where the machines that show it
   */
  record Known(String title, Predicate<World> where) {
    static final Known NOTHING = new Known("", world -> false);
  }

  private static final String USUAL = "7.3";
  private static final Bound SMALL = Bound.of(2, 200);

  /** A scenario of a PC on which all stores are seen at once, small enough for two switches. */
  static RaceScenario of(
      String name, String about, Stage stage, Function<RaceWorld, Race> race) {
    World pc = World.all().getFirst();
    return new RaceScenario(
        name, about, stage, race, false, SMALL, null, Known.NOTHING, pc, Series.named(USUAL));
  }

  /** The same where others see plain stores late, and in any order that barriers allow. */
  RaceScenario weakly() {
    return new RaceScenario(
        name, about, stage, race, true, bound, twin, known, world, series);
  }

  /** The same within another bound. */
  RaceScenario within(Bound other) {
    return new RaceScenario(
        name, about, stage, race, weak, other, twin, known, world, series);
  }

  /** The same with another twin. */
  RaceScenario twin(Twin other) {
    return new RaceScenario(
        name, about, stage, race, weak, bound, other, known, world, series);
  }

  /** The same for one in which the kernel breaks a rule on such machines, as docs/FINDINGS.md tells. */
  RaceScenario finding(String title, Predicate<World> where) {
    Known told = new Known(title, where);
    return new RaceScenario(name, about, stage, race, weak, bound, twin, told, world, series);
  }

  /** The title in docs/FINDINGS.md of how it breaks on its machine; empty when it must hold. */
  String finding() {
    return known.where().test(world) ? known.title() : "";
  }

  /** The same on another kind of machine. */
  RaceScenario on(World other) {
    return new RaceScenario(
        name, about, stage, race, weak, bound, twin, known, other, series);
  }

  /** The same with another kernel. */
  RaceScenario at(Series other) {
    return new RaceScenario(
        name, about, stage, race, weak, bound, twin, known, world, other);
  }

  /** Why there is no such scenario, or twin, on its machine; empty when there is. */
  String missing(boolean broken) {
    String missing = stage.missing(world);
    if (!missing.isEmpty() || !broken || twin == null) {
      return missing;
    }
    return finding().isEmpty() ? twin.missing(world) : "it breaks a rule as it is";
  }

  /** The machine of the scenario, or of its twin. */
  MachineSpec spec(boolean broken) {
    MachineSpec spec = stage.on(world).withSeries(series);
    return broken && twin != null ? twin.on(spec) : spec;
  }

  /** What the command line says of its machine and kernel; empty for the usual ones. */
  String machineOptions() {
    RaceScenario usual = named(name);
    return (world.equals(usual.world) ? "" : " --world " + world.name())
        + (series.name().equals(USUAL) ? "" : " --at " + series.name())
        + (weak == usual.weak ? "" : " --weak");
  }

  /** All of them. */
  static List<RaceScenario> all() {
    List<RaceScenario> all = new ArrayList<>();
    all.addAll(RemapRaces.all());
    all.addAll(PoolRaces.all());
    all.addAll(HotplugRaces.all());
    return List.copyOf(all);
  }

  /** The one of that name. @throws BadInput for none, with the names that there are */
  static RaceScenario named(String name) {
    for (RaceScenario scenario : all()) {
      if (scenario.name().equals(name)) {
        return scenario;
      }
    }
    String names = String.join(", ", all().stream().map(RaceScenario::name).toList());
    throw new BadInput("check races " + name + ": wanted one of " + names);
  }
}
