// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Series;

/**
 * A machine and what is done to it.
 *
 * @param name its name
 * @param about what it is for, in a line
 * @param world the kind of machine
 * @param spec the machine, its kernel and its command line
 * @param steps what is done after boot
 * @param strict whether each step must succeed when nothing is made to fail
 * @param failBoot whether fallible steps are counted from the start of the boot, or from its end
 * @param failing which of them fail; each step of the scenario may have its own, too
 */
public record Scenario(
    String name,
    String about,
    World world,
    MachineSpec spec,
    List<Step> steps,
    boolean strict,
    boolean failBoot,
    Selection failing) {
  private static final List<String> PAGES_1G =
      List.of("gigantic", "cma", "cma-nodes", "cma-run", "demote");

  /** Names of the standard scenarios, {@link MemoryScenarios#NAMES} last. */
  public static final List<String> NAMES =
      Stream.of(
              List.of("page", "boot", "pool", "replace"),
              DeviceScenarios.NAMES,
              PAGES_1G,
              List.of("surplus", "surplus-shrink"),
              MemoryScenarios.NAMES)
          .flatMap(List::stream)
          .toList();

  private static final String HVO = "hugetlb_free_vmemmap=on";
  private static final String POOL_1G =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
  private static final String DEMOTE_1G = "/sys/kernel/mm/hugepages/hugepages-1048576kB/demote";
  private static final long GIB = 1L << 30;

  /** Where a PC goes on with what does not fit below the addresses of its devices. */
  private static final long BEHIND_HOLE = 4 * GIB;

  /** For what boot allocates at the end of a node, behind an aligned GiB. */
  private static final long ROOM = 128L << 20;

  private static final long GIGANTIC_MEM = 2176L << 20;
  private static final long MORE_THAN_OUTSIDE = 560;

  /** Copies the list. */
  public Scenario {
    steps = List.copyOf(steps);
  }

  /** The standard scenario {@code name} on all {@code worlds} that have it. */
  public static List<Scenario> standard(String name, List<World> worlds) {
    if (MemoryScenarios.NAMES.contains(name)) {
      return MemoryScenarios.standard(name, worlds);
    }
    if (DeviceScenarios.NAMES.contains(name)) {
      return DeviceScenarios.standard(name, worlds);
    }
    if (!NAMES.contains(name)) {
      throw new BadInput("check sweep " + name + ": wanted one of " + String.join(", ", NAMES));
    }
    return worlds.stream()
        .filter(world -> has(name, world))
        .map(world -> standard(name, world))
        .toList();
  }

  /** True when another world shows the same: 1 GiB pages do not ask how many levels are above them. */
  public boolean repeats() {
    boolean pages1g = has1gPages(name) || name.equals("dax-1g");
    return pages1g && world.name().equals("x86-64-5");
  }

  private static boolean has1gPages(String name) {
    return PAGES_1G.contains(name);
  }

  /** True when a machine of this kind can do what the scenario does. */
  private static boolean has(String name, World world) {
    boolean pc = world.profile() == null;
    return switch (name) {
      case "cma-nodes" -> pc;
      case "surplus-shrink" -> world.name().equals("x86-64-4");
      default -> !has1gPages(name) || pc || world.name().startsWith("arm64-4K");
    };
  }

  private static Scenario standard(String name, World world) {
    return switch (name) {
      case "page" -> make(name, "one hugepage comes and goes with HVO on", world, List.of(HVO),
          List.of(Step.pool(1), Step.pool(0)), false);
      case "boot" -> make(name, "boot with HVO and 4 hugepages", world, List.of(HVO, "hugepages=4"),
          List.of(), true);
      case "pool" -> make(name, "pool grows and shrinks with HVO on", world, List.of(HVO),
          List.of(Step.pool(4), Step.pool(0), Step.pool(3), Step.pool(1)), false);
      case "replace" -> make(name, "a free hugepage is replaced, twice", world, List.of(),
          replace(world), false);
      case "cma" -> make(name, "boot with a CMA area that is too small", world,
          List.of(HVO, "hugetlb_cma=1G", "hugetlb_cma_only=1", "hugepagesz=1G", "hugepages=2"),
          List.of(), true);
      case "cma-nodes" -> cmaNodes(name, "boot with a CMA area on each of two nodes", world);
      case "cma-run" -> make(name, "hugepages move out of an area for a 1G page", world,
          List.of("hugetlb_cma=1G", "hugepagesz=1G"),
          intoTheArea(world), false);
      case "demote" -> make(name, "a 1G page, with no room for another, becomes 2M pages", world,
          List.of(HVO, "hugepagesz=1G", "hugepages=0:1", "hugepagesz=2M", "hugepages=0:1"),
          List.of(Step.write(POOL_1G, "2"), Step.write(DEMOTE_1G, "1")), true);
      case "surplus" -> make(name, "a process gets a hugepage beyond the pool", world, List.of(HVO),
          surplus(world), false);
      case "surplus-shrink" -> shrink(name, "the pool shrinks while such a page is in use", world);
      default -> make(name, "a 1G page is made at boot, freed, made again", world,
          List.of(HVO, "hugepagesz=1G", "hugepages=1"),
          List.of(Step.write(POOL_1G, "0"), Step.write(POOL_1G, "1")), true);
    };
  }

  /** Memory is looked through for hugepages; where there is HVO, the first is made without. */
  private static List<Step> replace(World world) {
    MachineSpec spec = world.spec(world.memoryForPool(), 1, List.of(), List.of());
    int shift = spec.profile().pageShift();
    Ram range = spec.ram().getLast();
    Step isolate =
        new Step("isolate", (range.start() >>> shift) + " " + (range.size() >>> shift));
    List<Step> steps = new ArrayList<>(List.of(Step.pool(1), isolate, isolate));
    if (spec.config().hugetlbOptimizeVmemmap() && spec.config().structPageIsPowerOf2()) {
      steps.add(1, Step.write("/proc/sys/vm/hugetlb_optimize_vmemmap", "1"));
    }
    return steps;
  }

  private static List<Step> surplus(World world) {
    return List.of(
        Step.write("/proc/sys/vm/nr_overcommit_hugepages", "1"),
        user(world, "map"),
        user(world, "unmap"));
  }

  /** The page beyond the pool is of node 0, so one of node 1 can be free beside it. */
  private static Scenario shrink(String name, String about, World world) {
    List<Step> steps = new ArrayList<>(surplus(world));
    steps.addAll(
        2,
        List.of(
            Step.write("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "1"),
            Step.pool(0)));
    MachineSpec spec = world.spec(2 * world.memoryForPool(), 2, List.of(), List.of());
    return new Scenario(name, about, world, spec, steps, true, false, Selection.NONE)
        .at(Series.at(Series.LAST));
  }

  private static Step user(World world, String does) {
    return new Step(does, "0x" + Long.toHexString(world.hugepage()));
  }

  /** When one area fails, the other one is there all the same. */
  private static Scenario cmaNodes(String name, String about, World world) {
    List<String> cmdline =
        List.of(HVO, "hugetlb_cma=0:1G,1:1G", "hugetlb_cma_only=1", "hugepagesz=1G", "hugepages=2");
    MachineSpec one = world.spec(GIGANTIC_MEM, 1, List.of(), cmdline);
    List<Ram> ram = new ArrayList<>(one.ram());
    ram.add(new Ram(BEHIND_HOLE, BEHIND_HOLE + GIB + ROOM, 1));
    MachineSpec spec = world.spec(one.memory().with(Kind.RAM, ram), cmdline);
    return new Scenario(name, about, world, spec, List.of(), true, true, Selection.NONE)
        .at(Series.at(Series.LAST));
  }

  /** So many hugepages that the last ones lie in the area; of these two stay, one of them in use. */
  private static List<Step> intoTheArea(World world) {
    return List.of(
        Step.pool(MORE_THAN_OUTSIDE),
        Step.pool(2),
        user(world, "map"),
        Step.write(POOL_1G, "1"));
  }

  private static Scenario make(
      String name, String about, World world, List<String> cmdline, List<Step> steps,
      boolean failBoot) {
    long usual = name.equals("boot") ? world.memory() : world.memoryForPool();
    long mem = has1gPages(name) ? GIGANTIC_MEM : usual;
    MachineSpec spec = world.spec(mem, 1, List.of(), cmdline);
    return new Scenario(name, about, world, spec, steps, true, failBoot, Selection.NONE)
        .at(Series.at(Series.LAST));
  }

  /** The same with another kernel. */
  public Scenario at(Series series) {
    return withSpec(spec.withSeries(series));
  }

  /** The same with other steps. */
  Scenario withSteps(List<Step> other) {
    return new Scenario(name, about, world, spec, other, strict, failBoot, failing);
  }

  /** The same on another machine of its kind. */
  Scenario withSpec(MachineSpec other) {
    return new Scenario(name, about, world, other, steps, strict, failBoot, failing);
  }

  /** The same with other words. */
  Scenario withName(String newName, String newAbout) {
    return new Scenario(newName, newAbout, world, spec, steps, strict, failBoot, failing);
  }

  /**
   * Boots its machine with another kernel and does the steps; nothing is made to fail, and what a
   * step returns is not looked at: not every machine can do all of them.
   *
   * @param rest is called after the boot and after each step
   * @return the machine after the last step
   */
  public LabKernel run(Series series, Consumer<LabKernel> rest) {
    LabKernel kernel = LabKernel.boot(spec.withSeries(series), Placement.NONE);
    rest.accept(kernel);
    Workbench bench = new Workbench(kernel);
    for (Step step : steps) {
      bench.run(step);
      rest.accept(kernel);
    }
    return kernel;
  }

  /** Text for a report: the machine in a line, then each step in one. */
  public String text() {
    StringBuilder text = new StringBuilder();
    text.append(world.name()).append(" at ").append(spec.series().name());
    text.append(" mem=").append(Sizes.text(spec.ramBytes()));
    text.append(" cmdline: ").append(String.join(" ", spec.cmdline())).append('\n');
    steps.forEach(step -> text.append("  ").append(step.text()).append('\n'));
    return text.toString();
  }
}
