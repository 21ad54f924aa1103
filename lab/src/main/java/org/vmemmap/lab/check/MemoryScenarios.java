// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.Series;

/**
 * Scenarios in which memory comes and goes. Each ends with the memory gone, so that what a failure
 * left behind can be seen.
 */
public final class MemoryScenarios {
  /** Their names. */
  public static final List<String> NAMES =
      List.of(
          "dimm", "dimm-node", "dimm-on-memory", "dimm-pool", "dimm-surplus", "dimm-stays", "kmem",
          "kmem-on-memory", "kmem-ranges", "lmbs");

  private static final List<String> POOLS = List.of("dimm-pool", "dimm-surplus");
  private static final String ON = "memory_hotplug.memmap_on_memory=on";
  private static final String DEVICE = "/sys/bus/dax/devices/dax0.0/";
  private static final long GIB = 1L << 30;

  /** The least LMB: on hash with 4K pages each page of its memmap is a block on a list, here 64. */
  private static final long SMALL_LMB = 16L << 20;

  private MemoryScenarios() {}

  /** The scenario {@code name} on all {@code worlds} that have it. */
  static List<Scenario> standard(String name, List<World> worlds) {
    List<Scenario> all = new ArrayList<>();
    for (World world : worlds) {
      boolean powerpc = world.name().startsWith(Profile.POWERPC);
      boolean has =
          switch (name) {
            case "lmbs" -> powerpc;
            case "kmem", "kmem-on-memory", "kmem-ranges" -> !powerpc;
            default -> world.profile() == null;
          };
      if (has) {
        all.add(standard(name, world));
      }
    }
    return all;
  }

  private static Scenario standard(String name, World world) {
    return switch (name) {
      case "dimm" -> dimm(name, "a module comes, goes online, offline, and leaves", world, 1, 0);
      case "dimm-node" -> dimm(name, "the module brings a node", world, 1, 1);
      case "dimm-on-memory" ->
          dimm(name, "the module's blocks host their memmap", world, 2, 0);
      case "dimm-pool" ->
          dimm(name, "hugepages are in the module, one in use, when it goes", world, 1, 0);
      case "dimm-surplus" ->
          dimm(name, "a page beyond the pool is freed in the module that goes", world, 1, 0);
      case "dimm-stays" -> dimmStays(name, "a node keeps a module that is offline", world);
      case "kmem" ->
          kmem(name, "device memory becomes System RAM and comes back", world);
      case "kmem-on-memory" -> kmem(name, "the same with the memmap inside", world);
      case "kmem-ranges" ->
          kmemRanges(name, "the same with a device that is in two places", world);
      default -> lmbs(name, "the hypervisor gives memory and takes it", world);
    };
  }

  private static List<String> cmdline(String name) {
    return name.endsWith("-on-memory")
        ? List.of(ON)
        : POOLS.contains(name) ? List.of("hugetlb_free_vmemmap=on") : List.of();
  }

  /** A machine with room for some memory blocks that nobody knows of at boot. */
  private static MachineSpec withRoom(MachineSpec spec, int blocks, int node) {
    long start = (spec.endOfMemory() + GIB - 1) / GIB * GIB;
    long end = start + blocks * spec.memoryBlockSize();
    return spec.withMemory(MemoryRanges.Kind.DEVICE, List.of(new Ram(start, end, node)));
  }

  private static MachineSpec bare(String name, World world) {
    return world.spec(world.memory(), 1, List.of(), cmdline(name));
  }

  private static Scenario dimm(String name, String about, World world, int blocks, int node) {
    MachineSpec spec = withRoom(bare(name, world), blocks, node);
    Ram room = spec.deviceMemory().getFirst();
    List<Step> steps = new ArrayList<>();
    steps.add(new Step("dimm", hex(room.start()) + " " + hex(room.size()) + " " + node));
    for (String state : List.of("online_movable", "offline")) {
      for (int i = 0; i < blocks; i++) {
        steps.add(block(spec, room, i, state));
      }
      if (state.equals("online_movable")) {
        steps.addAll(users(name, world));
      }
    }
    steps.add(new Step("eject", hex(room.start())));
    return make(name, about, world, spec, steps);
  }

  /** Hugepages come, all in the module: what is movable is allocated there first. */
  private static List<Step> users(String name, World world) {
    Step map = new Step("map", hex(world.hugepage()));
    return switch (name) {
      case "dimm-pool" -> List.of(Step.pool(2), map);
      case "dimm-surplus" ->
          List.of(
              Step.write("/proc/sys/vm/nr_overcommit_hugepages", "1"),
              map,
              new Step("unmap", hex(world.hugepage())));
      default -> List.of();
    };
  }

  /** Of two modules that bring a node one is used and goes, then the other. */
  private static Scenario dimmStays(String name, String about, World world) {
    MachineSpec spec = withRoom(bare(name, world), 2, 1);
    Ram room = spec.deviceMemory().getFirst();
    long size = spec.memoryBlockSize();
    List<Long> modules = List.of(room.start(), room.start() + size);
    List<Step> steps = new ArrayList<>();
    modules.forEach(module -> steps.add(new Step("dimm", hex(module) + " " + hex(size) + " 1")));
    for (int i = 0; i < modules.size(); i++) {
      steps.add(block(spec, room, i, "online_movable"));
      steps.add(block(spec, room, i, "offline"));
      steps.add(new Step("eject", hex(modules.get(i))));
    }
    return make(name, about, world, spec, steps);
  }

  private static Scenario kmem(String name, String about, World world) {
    boolean onMemory = name.endsWith("-on-memory");
    MachineSpec bare = world.spec(world.memory(), 1, List.of(), List.of());
    long size = (onMemory ? 2 : 1) * bare.memoryBlockSize();
    DaxOption device = new DaxOption(size, world.device().align(), false, false, 0);
    MachineSpec spec = world.spec(world.memory(), 1, List.of(device), cmdline(name));
    Ram room = spec.softReserved().getFirst();
    String start = hex(room.start());
    List<Step> steps = new ArrayList<>();
    String yes = onMemory ? "yes" : "no";
    steps.add(new Step("kmem", start + " " + hex(size) + " 0 " + yes));
    if (onMemory) {
      steps.add(block(spec, room, 0, "online_movable"));
      steps.add(block(spec, room, 0, "offline"));
    } else {
      steps.add(new Step("state", start + " unplugged"));
      steps.add(new Step("state", start + " online_movable"));
      steps.add(new Step("state", start + " unplugged"));
    }
    steps.add(new Step("unkmem", start));
    return make(name, about, world, spec, steps);
  }

  /**
   * The device has the first and the third block of its region.
   *
   * <pre>
   *   region    | block 0 | block 1 | block 2 |
   *   dax0.0    |#########|         |#########|
   * </pre>
   */
  private static Scenario kmemRanges(String name, String about, World world) {
    MachineSpec bare = world.spec(world.memory(), 1, List.of(), List.of());
    long block = bare.memoryBlockSize();
    DaxOption device = new DaxOption(3 * block, world.device().align(), false, false, 0);
    MachineSpec spec = world.spec(world.memory(), 1, List.of(device), cmdline(name));
    long first = spec.softReserved().getFirst().start();
    String start = hex(first);
    List<Step> steps =
        List.of(
            Step.write(DEVICE + "size", "0"),
            Step.write(DEVICE + "mapping", range(first, block)),
            Step.write(DEVICE + "mapping", range(first + 2 * block, block)),
            new Step("kmem", start + " " + hex(2 * block) + " 0 no"),
            new Step("state", start + " unplugged"),
            new Step("state", start + " online_movable"),
            new Step("state", start + " unplugged"),
            new Step("unkmem", start));
    return make(name, about, world, spec, steps);
  }

  private static String range(long start, long size) {
    return Long.toHexString(start) + "-" + Long.toHexString(start + size - 1);
  }

  private static Scenario lmbs(String name, String about, World world) {
    boolean blockPerPage = world.name().equals("powerpc-4K-hash");
    MachineSpec bare = bare(name, world);
    MachineSpec spec = withRoom(blockPerPage ? bare.withMemoryBlockSize(SMALL_LMB) : bare, 2, 0);
    Ram room = spec.deviceMemory().getFirst();
    String range = hex(room.start()) + " " + hex(room.size());
    List<Step> steps = List.of(new Step("lmbs", range + " 0"), new Step("unlmbs", range));
    return make(name, about, world, spec, steps);
  }

  private static Step block(MachineSpec spec, Ram room, int index, String state) {
    long block = room.start() / spec.memoryBlockSize() + index;
    return Step.write("/sys/devices/system/memory/memory" + block + "/state", state);
  }

  private static String hex(long value) {
    return "0x" + Long.toHexString(value);
  }

  private static Scenario make(
      String name, String about, World world, MachineSpec spec, List<Step> steps) {
    return new Scenario(name, about, world, spec, steps, true, false, Selection.NONE)
        .at(Series.at(Series.LAST));
  }
}
