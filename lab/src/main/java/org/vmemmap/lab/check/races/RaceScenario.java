// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.check.KernelFunction;
import org.vmemmap.lab.check.World;
import org.vmemmap.types.Series;

/**
 * CPUs that meet on one machine, and its broken twin: the same with one step of the kernel left out,
 * which must fail.
 *
 * @param name its name
 * @param about who meets, in a line
 * @param weak whether stores wait in buffers
 * @param spec the machine
 * @param race prepares the machine and says what runs
 * @param twin what the twin leaves out; null for a scenario that breaks as it is
 * @param finding the entry of docs/FINDINGS.md that tells how it breaks; empty when it must hold
 * @param options what the command line says of another machine; empty for its own
 */
record RaceScenario(
    String name,
    String about,
    boolean weak,
    MachineSpec spec,
    Function<RaceWorld, Race> race,
    @Nullable Twin twin,
    String finding,
    String options) {

  /**
   * The step that a twin is without.
   *
   * @param without the step, in a line
   * @param omitted makes, for each run, what accepts the calls that are left out
   */
  record Twin(String without, Supplier<Predicate<String>> omitted) {
    /** Without all calls of {@code primitive}, as {@code Omissions} names it. */
    static Twin without(String primitive, String text) {
      return new Twin(text, () -> primitive::equals);
    }

    /** Without those that the kernel function {@code symbol} makes. */
    static Twin in(String symbol, String primitive, String text) {
      return new Twin(text, () -> call -> call.equals(primitive) && runs(symbol));
    }

    /** Without the {@code n}-th of those, counted from 1. */
    static Twin nth(int n, String symbol, String primitive, String text) {
      return new Twin(
          text,
          () -> {
            AtomicInteger calls = new AtomicInteger();
            return call ->
                call.equals(primitive) && runs(symbol) && calls.incrementAndGet() == n;
          });
    }

    private static boolean runs(String symbol) {
      KernelFunction function = KernelFunction.innermost();
      return function != null && function.symbol().equals(symbol);
    }
  }

  /** A scenario with stores that are seen at once. */
  static RaceScenario strong(
      String name, String about, MachineSpec spec, Function<RaceWorld, Race> race, Twin twin) {
    return new RaceScenario(name, about, false, spec, race, twin, "", "");
  }

  /** A scenario in which others see plain stores late, and in any order that barriers allow. */
  static RaceScenario weak(
      String name, String about, MachineSpec spec, Function<RaceWorld, Race> race, Twin twin) {
    return new RaceScenario(name, about, true, spec, race, twin, "", "");
  }

  /** A scenario in which the kernel breaks a rule, as docs/FINDINGS.md tells. */
  static RaceScenario found(
      String name, String about, MachineSpec spec, Function<RaceWorld, Race> race,
      String finding) {
    return new RaceScenario(name, about, false, spec, race, null, finding, "");
  }

  /** The same with another kernel. */
  RaceScenario at(Series series) {
    return withSpec(spec.withSeries(series));
  }

  /** The same on another machine; null when it needs memory that only its own machine has. */
  @Nullable RaceScenario on(World world) {
    boolean plain = spec.softReserved().isEmpty() && spec.ramBytes() <= world.memory();
    if (!plain) {
      return null;
    }
    MachineSpec other =
        world.spec(world.memory(), 1, List.of(), spec.cmdline()).withSeries(spec.series());
    return new RaceScenario(
        name, about, weak, other, race, twin, finding, " --world " + world.name());
  }

  /** What the command line says of its machine and kernel; empty for the usual ones. */
  String machineOptions() {
    Series series = spec.series();
    boolean usual = series.name().equals("7.3");
    return options + (usual ? "" : " --at " + series.name());
  }

  private RaceScenario withSpec(MachineSpec other) {
    return new RaceScenario(name, about, weak, other, race, twin, finding, options);
  }

  /** The same with another twin. */
  RaceScenario withTwin(Twin other) {
    return new RaceScenario(name, about, weak, spec, race, other, finding, options);
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
