// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.check.World;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Series;

/** What is done on a kind of machine at each level: small, with all rules looked at on the way. */
final class LevelScenario {
  static final String POOL = "pool";
  static final String DAX = "dax";
  static final String GIGANTIC = "gigantic";

  private static final long MIB = 1L << 20;
  private static final String POOL_1G =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";

  private final World world;
  private final long hugepage;
  private final Set<String> broken = new TreeSet<>();

  LevelScenario(World world) {
    this.world = world;
    Profile board = world.profile();
    this.hugepage =
        board == null
            ? 2 * MIB
            : Boards.hugepageSize(Boards.ofSize(board, 1024 * MIB, 1, List.of(), List.of()));
  }

  World world() {
    return world;
  }

  /** The scenarios that this kind of machine has. */
  List<String> names() {
    boolean gigantic = world.profile() == null || world.name().startsWith("arm64-4K");
    return gigantic ? List.of(POOL, DAX, GIGANTIC) : List.of(POOL, DAX);
  }

  /** The rules that do not hold at some time; {@code crash} and {@code warning} are rules, too. */
  Set<String> broken(String scenario, Series series) {
    broken.clear();
    try {
      LabKernel kernel = LabKernel.boot(spec(scenario).withSeries(series), Placement.NONE);
      look(kernel);
      switch (scenario) {
        case POOL -> pool(kernel, "/proc/sys/vm/nr_hugepages", "4", "0", "3");
        case GIGANTIC -> pool(kernel, POOL_1G, "0", "1");
        default -> devices(kernel);
      }
    } catch (KernelBug | KernelPanic | MachineFault e) {
      broken.add("crash " + e.getMessage());
    }
    return Set.copyOf(broken);
  }

  private MachineSpec spec(String scenario) {
    boolean gigantic = scenario.equals(GIGANTIC);
    List<String> words = new ArrayList<>(List.of("hugetlb_free_vmemmap=on"));
    if (gigantic) {
      words.addAll(List.of("hugepagesz=1G", "hugepages=1"));
    }
    Profile board = world.profile();
    long mem = gigantic ? 2176 * MIB : Math.max((board == null ? 128 : 256) * MIB, 8 * hugepage);
    MachineSpec bare =
        board == null
            ? MachineSpecs.ofSize(mem, 1, List.of(), world.levels(), words)
            : Boards.ofSize(board, mem, 1, List.of(), words);
    long start = SeriesMachine.DEVICE;
    return SeriesMachine.withDeviceMemory(
        bare, List.of(new Ram(start, start + 2 * deviceBytes(), 0)));
  }

  private long deviceBytes() {
    return Math.max(256 * MIB, 2 * hugepage);
  }

  private void pool(LabKernel kernel, String file, String... counts) {
    for (String count : counts) {
      kernel.write(file, count);
      look(kernel);
    }
  }

  /** Two neighbours are mapped, the first goes and comes back. */
  private void devices(LabKernel kernel) {
    map(kernel, "a", SeriesMachine.DEVICE);
    map(kernel, "b", SeriesMachine.DEVICE + deviceBytes());
    kernel.dax().memunmap("a");
    look(kernel);
    map(kernel, "a", SeriesMachine.DEVICE);
  }

  private void map(LabKernel kernel, String name, long start) {
    long pages = Math.max(2 * MIB, hugepage) / kernel.mm().model().pageSize();
    int shift = Long.numberOfTrailingZeros(pages);
    int rc = kernel.dax().memremap(name, start, deviceBytes(), shift, null, 0);
    if (rc != 0) {
      broken.add("memremap " + rc);
    }
    look(kernel);
  }

  private void look(LabKernel kernel) {
    Invariants.check(kernel).violations().forEach(one -> broken.add(one.rule()));
    kernel.mm().printk().warnings().forEach(text -> broken.add("warning " + text));
  }
}
