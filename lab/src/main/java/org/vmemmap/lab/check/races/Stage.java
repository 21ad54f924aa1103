// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.check.World;

/** The machine that a scenario needs, made of each kind of world, and as small as it can be. */
enum Stage {
  /** Memory for some hugepages of the default size. */
  HUGEPAGES("hugepages"),

  /** The same where HugeTLB shares struct pages. */
  OPTIMISED("hugepages with HVO"),

  /** A page of 1 GiB, made at boot without HVO. */
  GIGANTIC("a 1 GiB page"),

  /** The same with HVO: its memmap is shared before struct pages are made. There is room for another. */
  EARLY("a 1 GiB page with HVO"),

  /** Little RAM, and room for a DIMM that holds its own memmap. */
  DIMM("a DIMM"),

  /**
   * Two devices, alone in their part of the memmap, so that they share tables with each other only.
   *
   * <pre>
   *   pud   | pmd table: | memmap of A | -- | memmap of B | -- |
   * </pre>
   */
  DEVICES("two DAX devices");

  /** Where the DIMM goes. */
  static final long DIMM_START = 1L << 32;

  static final long DIMM_BYTES = 128L << 20;

  private static final long MIB = 1L << 20;
  private static final long GIGANTIC_MEMORY = 2176 * MIB;
  private static final long TWO_GIGANTIC = 3200 * MIB;
  private static final long BEHIND_DIMM = DIMM_START + 2 * DIMM_BYTES;
  private static final long SMALL_DEVICE = 4 * MIB;

  /** A namespace keeps some of its memory for itself. */
  private static final long SMALL_NAMESPACE = 32 * MIB;

  private static final long SMALL_SECTIONS = 256 * MIB;

  /**
   * Where they share no pte table with RAM, whatever the page size, nor a pmd table with 4K pages; both
   * in the midst of what such a table serves.
   */
  private static final long FAR = 0x128_0000_0000L;

  private static final String HVO_ON = "hugetlb_free_vmemmap=on";

  private final String text;

  Stage(String text) {
    this.text = text;
  }

  /** What it has, in a few words. */
  String text() {
    return text;
  }

  /** Why {@code world} cannot have it; empty when it can. */
  String missing(World world) {
    boolean plain = this == HUGEPAGES || this == DEVICES;
    MachineSpec spec = world.spec(world.memory(), 1, List.of(), List.of());
    return plain || spec.config().hugetlbOptimizeVmemmap() ? "" : "no HVO for HugeTLB";
  }

  /** The machine. */
  MachineSpec on(World world) {
    return switch (this) {
      case HUGEPAGES, OPTIMISED ->
          world.spec(world.memoryForPool(), 1, List.of(), List.of(HVO_ON));
      case GIGANTIC -> gigantic(world, GIGANTIC_MEMORY, "hugetlb_free_vmemmap=off");
      case EARLY -> gigantic(world, TWO_GIGANTIC, HVO_ON);
      case DIMM -> dimm(world);
      case DEVICES -> devices(world);
    };
  }

  private static MachineSpec gigantic(World world, long memory, String hvo) {
    return world.spec(memory, 1, List.of(), List.of(hvo, "hugepagesz=1G", "hugepages=1"));
  }

  /** What lies behind the DIMM makes the kernel expect memory there. */
  private static MachineSpec dimm(World world) {
    MachineSpec bare = world.spec(world.memory() / 2, 1, List.of(), List.of());
    Ram behind = new Ram(BEHIND_DIMM, BEHIND_DIMM + DIMM_BYTES, 0);
    MemoryRanges memory = bare.memory().with(Kind.SOFT_RESERVED, List.of(behind));
    return world.spec(memory, List.of("memory_hotplug.memmap_on_memory=1"));
  }

  private static MachineSpec devices(World world) {
    MachineSpec bare = world.spec(world.memory(), 1, List.of(), List.of());
    long section = 1L << bare.config().sectionSizeBits();
    boolean pmem = world.device().pmem();
    long size = Math.max(pmem ? SMALL_NAMESPACE : SMALL_DEVICE, 2 * world.device().align());
    long apart = Math.max(SMALL_SECTIONS, (size + section - 1) / section * section);
    List<Ram> ranges =
        List.of(new Ram(FAR, FAR + size, 0), new Ram(FAR + apart, FAR + apart + size, 0));
    MemoryRanges memory = bare.memory().with(pmem ? Kind.PMEM : Kind.SOFT_RESERVED, ranges);
    return world.spec(memory, List.of());
  }
}
