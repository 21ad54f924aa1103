// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.MemoryRanges;
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
  /** Names of the standard scenarios, {@link MemoryScenarios#NAMES} last. */
  public static final List<String> NAMES =
      Stream.concat(
              Stream.of(
                  "page", "boot", "pool", "replace", "dax", "dax-1g", "altmap", "part", "far",
                  "far-part", "beyond", "process", "gigantic", "cma", "cma-run", "demote",
                  "surplus", "surplus-shrink"),
              MemoryScenarios.NAMES.stream())
          .toList();

  private static final String HVO = "hugetlb_free_vmemmap=on";
  private static final String POOL_1G =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
  private static final String DEMOTE_1G = "/sys/kernel/mm/hugepages/hugepages-1048576kB/demote";
  private static final long GIGANTIC_MEM = 2176L << 20;
  private static final long MORE_THAN_OUTSIDE = 560;
  private static final long GIB = 1L << 30;
  private static final long PART = 64L << 20;
  private static final long PART_ALIGN = 2L << 20;

  /** Far enough for a section root and a table of the memmap's that boot did not make. */
  private static final long FAR = 80L << 30;

  /** So far that the memmap of radix with 4K pages has an entry of its own in the top table. */
  private static final long BEYOND = 32L << 40;

  /** The same on x86-64 with 4 levels, with small struct pages, too. */
  private static final long NEXT_TOP = 40L << 40;

  /** Copies the list. */
  public Scenario {
    steps = List.copyOf(steps);
  }

  /** The standard scenario {@code name} on all {@code worlds} that have it. */
  public static List<Scenario> standard(String name, List<World> worlds) {
    if (MemoryScenarios.NAMES.contains(name)) {
      return MemoryScenarios.standard(name, worlds);
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
    return List.of("gigantic", "cma", "cma-run", "demote").contains(name);
  }

  /** True when a machine of this kind can do what the scenario does. */
  private static boolean has(String name, World world) {
    boolean pc = world.profile() == null;
    if (has1gPages(name)) {
      return pc || world.name().startsWith("arm64-4K");
    }
    return switch (name) {
      case "beyond" -> world.name().equals("powerpc-4K-radix");
      case "dax-1g" -> pc;
      case "process" -> pc && world.levels() == 4;
      case "surplus-shrink" -> world.name().equals("x86-64-4");
      case "part", "far-part" -> world.hugepage() == PART_ALIGN;
      default -> true;
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
      case "dax" -> device(name, "a device is bound, unbound, bound", world,
          world.device(), 0);
      case "dax-1g" -> device(name, "a compound page that takes several sections", world,
          new DaxOption(GIB, GIB, false, false, 0), 0);
      case "altmap" -> device(name, "a device keeps its memmap itself", world,
          pmem(world.device(), true), 0);
      case "part" -> device(name, "a device smaller than a section", world,
          new DaxOption(PART, PART_ALIGN, false, world.device().pmem(), 0), 0);
      case "far" -> device(name, "a device that needs roots and tables of its own", world,
          pmem(world.device(), false), FAR);
      case "far-part" -> device(name, "one that begins inside of a compound page", world,
          new DaxOption(PART, PART_ALIGN, false, true, 0), FAR + PART_ALIGN);
      case "beyond" -> beyond(name, "devices behind all page tables, two in a leaf", world);
      case "process" -> process(name, "a process needs a new entry in its own top table", world);
      case "cma" -> make(name, "boot with a CMA area that is too small", world,
          List.of(HVO, "hugetlb_cma=1G", "hugetlb_cma_only=1", "hugepagesz=1G", "hugepages=2"),
          List.of(), true);
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

  /** So many hugepages that the last ones lie in the area; of these two stay, one of them in use. */
  private static List<Step> intoTheArea(World world) {
    return List.of(
        Step.pool(MORE_THAN_OUTSIDE),
        Step.pool(2),
        user(world, "map"),
        Step.write(POOL_1G, "1"));
  }

  private static DaxOption pmem(DaxOption device, boolean mapDev) {
    return new DaxOption(device.size(), device.align(), mapDev, true, 0);
  }

  /** A device is bound, unbound and bound again; at {@code at}, or behind RAM when that is 0. */
  private static Scenario device(
      String name, String about, World world, DaxOption device, long at) {
    MachineSpec spec = world.spec(world.memory(), 1, List.of(device), List.of(HVO));
    Ram behind = device.pmem() ? spec.pmem().getFirst() : spec.softReserved().getFirst();
    Ram range = at == 0 ? new Ram(behind.start(), behind.start() + device.size(), 0)
        : new Ram(at, at + device.size(), 0);
    if (at != 0) {
      MemoryRanges memory =
          spec.memory().with(Kind.SOFT_RESERVED, List.of()).with(Kind.PMEM, List.of(range));
      spec = world.spec(memory, List.of(HVO));
    }
    Step bind = bind(range, device.align(), device.mapDev() ? "dev" : "mem");
    List<Step> steps = List.of(bind, new Step("unbind", start(range)), bind);
    return new Scenario(name, about, world, spec, steps, true, false, Selection.NONE)
        .at(Series.at(Series.LAST));
  }

  /**
   * Of two devices under one leaf of memmap the first has compound pages, so the second finds a table
   * and takes base pages. When both are gone, so are the tables, and one comes with an altmap.
   */
  private static Scenario beyond(String name, String about, World world) {
    MachineSpec bare = world.spec(world.memory(), 1, List.of(), List.of(HVO));
    Ram first = new Ram(BEYOND, BEYOND + PART, 0);
    Ram second = new Ram(BEYOND + PART, BEYOND + 2 * PART, 0);
    MemoryRanges memory = bare.memory().with(Kind.PMEM, List.of(first, second));
    List<Step> steps =
        List.of(
            bind(first, PART_ALIGN, "mem"),
            bind(second, bare.profile().pageSize(), "mem"),
            new Step("unbind", start(second)),
            new Step("unbind", start(first)),
            bind(first, PART_ALIGN, "dev"));
    MachineSpec spec = world.spec(memory, List.of(HVO));
    return new Scenario(name, about, world, spec, steps, true, false, Selection.NONE)
        .at(Series.at(Series.LAST));
  }

  /** Devices so far away that their memmap has a top-level entry of its own, of one kind each. */
  private static Scenario process(String name, String about, World world) {
    MachineSpec bare = world.spec(world.memory(), 1, List.of(), List.of(HVO));
    Ram range = new Ram(NEXT_TOP, NEXT_TOP + 2 * PART, 0);
    MemoryRanges memory = bare.memory().with(Kind.PMEM, List.of(range));
    List<Step> steps =
        List.of(
            new Step("process", "1"),
            bind(range, PART_ALIGN, "mem"),
            new Step("unbind", start(range)),
            bind(range, bare.profile().pageSize(), "mem"));
    return new Scenario(
            name, about, world, world.spec(memory, List.of(HVO)), steps, true, false, Selection.NONE)
        .at(Series.at(Series.LAST));
  }

  private static Step bind(Ram range, long align, String map) {
    return new Step(
        "bind", start(range) + " " + Sizes.text(range.size()) + " " + Sizes.text(align) + " " + map);
  }

  private static String start(Ram range) {
    return "0x" + Long.toHexString(range.start());
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
