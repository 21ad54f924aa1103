// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Ram;

/**
 * Scenarios that come by what the standard ones do not: pages beyond the pool, pages that are broken
 * into smaller ones, memory that goes offline with hugepages in it, processes.
 */
final class OmissionScenarios {
  private static final String HVO = "hugetlb_free_vmemmap=on";
  private static final String HUGEPAGES = "/sys/kernel/mm/hugepages/hugepages-";
  private static final String NODE = "/sys/devices/system/node/node";
  private static final long GIB = 1L << 30;

  private OmissionScenarios() {}

  /** All of them. */
  static List<Scenario> all() {
    World pc = World.of("x86-64-4");
    return List.of(
        surplus(pc), offline(pc), processes(World.of("x86-64-5")), demote(World.of("arm64-4K-52")),
        reserved(pc));
  }

  /** Two pages are mapped, of which the pool has one; the pool grows over the other, and shrinks. */
  private static Scenario surplus(World world) {
    Step map = new Step("map", "2M");
    Step unmap = new Step("unmap", "2M");
    return make(
        "surplus", "a hugepage beyond the pool", world, world.spec(world.memory(), 1, List.of(), List.of(HVO)),
        Step.write("/proc/sys/vm/nr_overcommit_hugepages", "2"), Step.pool(1), map, map, Step.pool(2),
        Step.pool(0), unmap, unmap);
  }

  /** Memory with a free hugepage, and one in use, goes offline. */
  private static Scenario offline(World world) {
    MachineSpec spec = world.spec(world.memory(), 1, List.of(), List.of(HVO));
    long start = (spec.endOfMemory() + GIB - 1) / GIB * GIB;
    long block = spec.memoryBlockSize();
    spec = spec.withMemory(MemoryRanges.Kind.DEVICE, List.of(new Ram(start, start + block, 1)));
    String file = "/sys/devices/system/memory/memory" + start / block + "/state";
    String node = NODE + "1/hugepages/hugepages-2048kB/nr_hugepages";
    return make(
        "offline", "memory goes offline with hugepages in it", world, spec,
        new Step("dimm", "0x" + Long.toHexString(start) + " 0x" + Long.toHexString(block) + " 1"),
        Step.write(file, "online_movable"), Step.write(node, "2"), Step.write(file, "offline"),
        new Step("eject", "0x" + Long.toHexString(start)));
  }

  /** Devices come behind all tables while processes have roots of their own. */
  private static Scenario processes(World world) {
    Scenario far = Scenario.standard("far", List.of(world)).getFirst();
    List<Step> steps = new ArrayList<>(List.of(new Step("process", "2")));
    steps.addAll(far.steps());
    return far.withSteps(steps).withName("processes", "a device comes while processes run");
  }

  /** A hugepage of 32 MiB becomes sixteen of 2 MiB. */
  private static Scenario demote(World world) {
    String large = HUGEPAGES + "32768kB/";
    return make(
        "demote", "a hugepage is broken into smaller ones", world, world.spec(world.memory(), 1, List.of(), List.of(HVO)),
        Step.write(large + "nr_hugepages", "2"), Step.write(large + "demote", "1"),
        Step.write(HUGEPAGES + "2048kB/nr_hugepages", "0"), Step.write(large + "nr_hugepages", "0"));
  }

  /** Nodes with pools of their own. */
  private static Scenario reserved(World world) {
    MachineSpec spec = world.spec(2 * world.memory(), 2, List.of(), List.of(HVO));
    String file = "/hugepages/hugepages-2048kB/nr_hugepages";
    return make(
        "nodes", "each node has a pool", world, spec, Step.write(NODE + "0" + file, "2"),
        Step.write(NODE + "1" + file, "1"), new Step("map", "2M"), Step.write(NODE + "0" + file, "0"),
        Step.pool(4), new Step("unmap", "2M"), Step.pool(0));
  }

  private static Scenario make(
      String name, String about, World world, MachineSpec spec, Step... steps) {
    return new Scenario(name, about, world, spec, List.of(steps), true, false, Selection.NONE);
  }
}
