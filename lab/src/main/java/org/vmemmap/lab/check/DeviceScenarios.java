// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.types.Series;

/** Scenarios in which device DAX comes and goes. */
final class DeviceScenarios {
  /** Their names. */
  static final List<String> NAMES =
      List.of(
          "dax", "dax-1g", "altmap", "part", "far", "far-part", "beyond", "process", "neighbours",
          "beside-ram");

  private static final List<String> HVO = List.of("hugetlb_free_vmemmap=on");
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final long PART = 64 * MIB;
  private static final long PART_ALIGN = 2 * MIB;

  /** What persistent memory on powerpc is aligned to, wherever that is inside of a section. */
  private static final long STEP = 16 * MIB;

  /** Far enough for a section root and a table of the memmap's that boot did not make. */
  private static final long FAR = 80L << 30;

  /** So far that the memmap of radix with 4K pages has an entry of its own in the top table. */
  private static final long BEYOND = 32L << 40;

  /** The same on x86-64 with 4 levels, with small struct pages, too. */
  private static final long NEXT_TOP = 40L << 40;

  private DeviceScenarios() {}

  /** The scenario {@code name} on all {@code worlds} that have it. */
  static List<Scenario> standard(String name, List<World> worlds) {
    return worlds.stream()
        .filter(world -> has(name, world))
        .map(world -> standard(name, world))
        .toList();
  }

  private static boolean has(String name, World world) {
    boolean pc = world.profile() == null;
    return switch (name) {
      case "beyond" -> world.name().equals("powerpc-4K-radix");
      case "dax-1g" -> pc;
      case "process" -> pc && world.levels() == 4;
      case "part", "far-part" -> world.hugepage() == PART_ALIGN;
      case "neighbours" -> world.name().equals("powerpc-64K-radix");
      case "beside-ram" -> pc && world.levels() == 4;
      default -> true;
    };
  }

  private static Scenario standard(String name, World world) {
    return switch (name) {
      case "dax-1g" ->
          device(
              name, "a compound page that takes several sections", world,
              new DaxOption(GIB, GIB, false, false, 0), 0);
      case "altmap" ->
          device(name, "a device keeps its memmap itself", world, pmem(world.device(), true), 0);
      case "part" ->
          device(
              name, "a device smaller than a section", world,
              new DaxOption(PART, PART_ALIGN, false, world.device().pmem(), 0), 0);
      case "far" ->
          device(
              name, "a device that needs roots and tables of its own", world,
              pmem(world.device(), false), FAR);
      case "far-part" ->
          device(
              name, "one that begins inside of a compound page", world,
              new DaxOption(PART, PART_ALIGN, false, true, 0), FAR + PART_ALIGN);
      case "beyond" -> beyond(name, "devices behind all page tables, two in a leaf", world);
      case "process" -> process(name, "a process needs a new entry in its own top table", world);
      case "neighbours" ->
          neighbours(name, "two devices that keep their memmap share a page of it", world);
      case "beside-ram" -> besideRam(name, "a device begins in the section that RAM ends in", world);
      default -> device(name, "a device is bound, unbound, bound", world, world.device(), 0);
    };
  }

  private static DaxOption pmem(DaxOption device, boolean mapDev) {
    return new DaxOption(device.size(), device.align(), mapDev, true, 0);
  }

  /** A device is bound, unbound and bound again; at {@code at}, or behind RAM when that is 0. */
  private static Scenario device(
      String name, String about, World world, DaxOption device, long at) {
    MachineSpec spec = world.spec(world.memory(), 1, List.of(device), HVO);
    Ram behind = device.pmem() ? spec.pmem().getFirst() : spec.softReserved().getFirst();
    Ram range =
        at == 0
            ? new Ram(behind.start(), behind.start() + device.size(), 0)
            : new Ram(at, at + device.size(), 0);
    if (at != 0) {
      MemoryRanges memory =
          spec.memory().with(Kind.SOFT_RESERVED, List.of()).with(Kind.PMEM, List.of(range));
      spec = world.spec(memory, HVO);
    }
    Step bind = bind(range, device.align(), device.mapDev() ? "dev" : "mem");
    return make(name, about, world, spec, List.of(bind, unbind(range), bind));
  }

  /**
   * Of two devices under one leaf of memmap the first has compound pages, so the second finds a table
   * and takes base pages. When both are gone, so are the tables, and one comes with an altmap.
   */
  private static Scenario beyond(String name, String about, World world) {
    Ram first = new Ram(BEYOND, BEYOND + PART, 0);
    Ram second = new Ram(BEYOND + PART, BEYOND + 2 * PART, 0);
    List<Step> steps =
        List.of(
            bind(first, PART_ALIGN, "mem"),
            bind(second, bare(world).profile().pageSize(), "mem"),
            unbind(second),
            unbind(first),
            bind(first, PART_ALIGN, "dev"));
    return make(name, about, world, with(world, Kind.PMEM, first, second), steps);
  }

  /** Devices so far away that their memmap has a top-level entry of its own, of one kind each. */
  private static Scenario process(String name, String about, World world) {
    Ram range = new Ram(NEXT_TOP, NEXT_TOP + 2 * PART, 0);
    List<Step> steps =
        List.of(
            new Step("process", "1"),
            bind(range, PART_ALIGN, "mem"),
            unbind(range),
            bind(range, bare(world).profile().pageSize(), "mem"));
    return make(name, about, world, with(world, Kind.PMEM, range), steps);
  }

  /**
   * Where a page of memmap describes 64 MiB, the second device begins inside of one. Each comes
   * first once, and goes first.
   *
   * <pre>
   *   pages of memmap   |       0       |       1       |       2       |
   *   devices           |#### first ########|#### second ########|
   * </pre>
   */
  private static Scenario neighbours(String name, String about, World world) {
    Ram first = new Ram(FAR, FAR + PART + STEP, 0);
    Ram second = new Ram(first.end(), first.end() + PART + STEP, 0);
    long align = bare(world).profile().pageSize();
    List<Step> steps =
        List.of(
            bind(second, align, "dev"),
            bind(first, align, "dev"),
            unbind(second),
            bind(second, align, "dev"),
            unbind(first),
            unbind(second));
    return make(name, about, world, with(world, Kind.PMEM, first, second), steps);
  }

  /**
   * The section that RAM ends in has all its memmap from boot, the next one has none.
   *
   * <pre>
   *   sections   |       0       |       1       |       2       |
   *   memory     |######## RAM #########|###### device #######|
   * </pre>
   */
  private static Scenario besideRam(String name, String about, World world) {
    long section = 1L << bare(world).config().sectionSizeBits();
    long border = section + section / 2;
    MachineSpec spec = world.spec(border, 1, List.of(), HVO);
    Ram range = new Ram(border, 3 * section, 0);
    MemoryRanges memory = spec.memory().with(Kind.SOFT_RESERVED, List.of(range));
    Step bind = bind(range, PART_ALIGN, "mem");
    return make(name, about, world, world.spec(memory, HVO), List.of(bind, unbind(range), bind));
  }

  private static MachineSpec bare(World world) {
    return world.spec(world.memory(), 1, List.of(), HVO);
  }

  private static MachineSpec with(World world, Kind kind, Ram... ranges) {
    return world.spec(bare(world).memory().with(kind, List.of(ranges)), HVO);
  }

  private static Step bind(Ram range, long align, String map) {
    return new Step(
        "bind", start(range) + " " + Sizes.text(range.size()) + " " + Sizes.text(align) + " " + map);
  }

  private static Step unbind(Ram range) {
    return new Step("unbind", start(range));
  }

  private static String start(Ram range) {
    return "0x" + Long.toHexString(range.start());
  }

  private static Scenario make(
      String name, String about, World world, MachineSpec spec, List<Step> steps) {
    return new Scenario(name, about, world, spec, steps, true, false, Selection.NONE)
        .at(Series.at(Series.LAST));
  }
}
