// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.MachineSpec;

/**
 * A machine and what is done to it.
 *
 * @param name its name
 * @param about what it is for, in a line
 * @param world the kind of machine
 * @param mem bytes of RAM
 * @param nodes number of nodes
 * @param device a DAX device; those of scenarios without steps on it are not bound
 * @param withDevice whether the machine has it
 * @param cmdline kernel parameters
 * @param steps what is done after boot
 * @param failBoot whether fallible steps of the boot are made to fail, or those of the steps
 */
public record Scenario(
    String name,
    String about,
    World world,
    long mem,
    int nodes,
    DaxOption device,
    boolean withDevice,
    List<String> cmdline,
    List<Step> steps,
    boolean failBoot) {
  /** Names of the standard scenarios. */
  public static final List<String> NAMES = List.of("page", "boot", "pool", "dax", "gigantic");

  private static final String HVO = "hugetlb_free_vmemmap=on";
  private static final String POOL_1G =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
  private static final long GIGANTIC_MEM = 2176L << 20;

  /** Copies the lists. */
  public Scenario {
    cmdline = List.copyOf(cmdline);
    steps = List.copyOf(steps);
  }

  /** The standard scenario {@code name} on all {@code worlds} that have it. */
  public static List<Scenario> standard(String name, List<World> worlds) {
    if (!NAMES.contains(name)) {
      throw new BadInput("check sweep " + name + ": wanted one of " + String.join(", ", NAMES));
    }
    List<Scenario> all = new ArrayList<>();
    for (World world : worlds) {
      boolean gigantic = world.profile() == null || world.name().startsWith("arm64-4K");
      if (!name.equals("gigantic") || gigantic) {
        all.add(standard(name, world));
      }
    }
    return all;
  }

  private static Scenario standard(String name, World world) {
    return switch (name) {
      case "page" -> make(name, "one hugepage comes and goes with HVO on", world, List.of(HVO),
          List.of(Step.pool(1), Step.pool(0)), false);
      case "boot" -> make(name, "boot with HVO and 4 hugepages", world, List.of(HVO, "hugepages=4"),
          List.of(), true);
      case "pool" -> make(name, "pool grows and shrinks with HVO on", world, List.of(HVO),
          List.of(Step.pool(4), Step.pool(0), Step.pool(3), Step.pool(1)), false);
      case "dax" -> make(name, "a compound device is bound, unbound, bound", world, List.of(HVO),
          List.of(Step.bind(), Step.unbind(), Step.bind()), false);
      default -> make(name, "a 1G page is made at boot, freed, made again", world,
          List.of(HVO, "hugepagesz=1G", "hugepages=1"),
          List.of(Step.write(POOL_1G, "0"), Step.write(POOL_1G, "1")), true);
    };
  }

  private static Scenario make(
      String name, String about, World world, List<String> cmdline, List<Step> steps,
      boolean failBoot) {
    boolean dax = name.equals("dax");
    long mem = name.equals("gigantic") ? GIGANTIC_MEM : world.memory();
    return new Scenario(
        name, about, world, mem, 1, world.device(), dax, cmdline, steps, failBoot);
  }

  /** The machine. */
  MachineSpec spec() {
    return world.spec(mem, nodes, withDevice ? List.of(device) : List.of(), cmdline);
  }

  /** The same with other steps. */
  Scenario withSteps(List<Step> newSteps) {
    return new Scenario(
        name, about, world, mem, nodes, device, withDevice, cmdline, newSteps, failBoot);
  }

  /** The same with another command line. */
  Scenario withCmdline(List<String> words) {
    return new Scenario(
        name, about, world, mem, nodes, device, withDevice, words, steps, failBoot);
  }

  /** Text for a report: the machine in a line, then each step in one. */
  String text() {
    StringBuilder text = new StringBuilder();
    text.append(world.name()).append(" mem=").append(mem >> 20).append("M nodes=").append(nodes);
    text.append(withDevice ? " dax " + device.text() : "");
    text.append(" cmdline: ").append(String.join(" ", cmdline)).append('\n');
    steps.forEach(step -> text.append("  ").append(step.text()).append('\n'));
    return text.toString();
  }
}
