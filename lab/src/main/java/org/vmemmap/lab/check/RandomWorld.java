// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Series;

/**
 * Draws a machine: small, with memory that begins and ends where it likes.
 *
 * <pre>
 *   | odd end | gap | node 1 | soft-reserved | node 0 ...      4G | RAM above | pmem |   DIMM
 *             ^ page, sub-section or section border     ^ zone border
 * </pre>
 */
final class RandomWorld {
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final long SUBSECTION = 2 * MIB;
  private static final long POWERPC_BLOCK = 256 * MIB;
  private static final int MOST_RANGES = 4;
  private static final int TRIES = 1000;

  /** Per cent of kernels with struct pages of an odd size, of which all have to be read each time. */
  private static final int ODD = 8;

  private final Dice dice;
  private final World world;
  private final int pageSize;
  private final long section;
  private final List<Ram> ram = new ArrayList<>();
  private final List<Ram> soft = new ArrayList<>();
  private final List<Ram> pmem = new ArrayList<>();
  private final List<Ram> device = new ArrayList<>();
  private long at;
  private int nodes;

  private RandomWorld(Dice dice, World world) {
    this.dice = dice;
    this.world = world;
    Profile board = world.profile();
    this.pageSize = board == null ? 4096 : board.pageSize();
    this.section = board == null ? 128 * MIB : 1L << board.config().sectionSizeBits();
  }

  /** A machine of a kind among {@code worlds}, with the kernel {@code series}. */
  static Scenario draw(Dice dice, List<World> worlds, Series series) {
    for (int i = 0; i < TRIES; i++) {
      try {
        World world = dice.pick(worlds);
        MachineSpec spec = new RandomWorld(dice, world).spec(series);
        Boards.hugepageSizes(spec);
        return new Scenario("random", "", world, spec, List.of(), false, false, Selection.NONE);
      } catch (BadInput e) {
        // No room for the kernel, or too far apart: another one.
      }
    }
    throw new IllegalStateException("no machine in " + TRIES + " tries");
  }

  private MachineSpec spec(Series series) {
    nodes = dice.chance(60) ? 1 : (int) dice.between(2, 3);
    layout();
    MemoryRanges memory =
        MemoryRanges.ofRam(ram)
            .with(Kind.SOFT_RESERVED, soft)
            .with(Kind.PMEM, pmem)
            .with(Kind.DEVICE, device);
    MachineSpec plain = world.spec(memory, cmdline());
    MmConfig config =
        plain
            .config()
            .withDeferredStructPageInit(dice.chance(60))
            .withDebugVm(dice.chance(30) || plain.config().debugVm())
            .withSeries(series);
    return plain.withConfig(
        dice.chance(ODD)
            ? config.withSizeofStructPage(dice.pick(List.of(56, 72, 80)))
            : config);
  }

  // ---- memory ----

  private void layout() {
    at = start();
    int ranges = 1 + dice.small(MOST_RANGES - 1);
    ram(firstSize());
    for (int i = 1; i < ranges; i++) {
      between();
      ram(size(32 * MIB));
    }
    behind();
  }

  private long start() {
    return switch (world.profile() == null ? Profile.X86_64 : world.profile().arch()) {
      case Profile.ARM64 -> GIB + (dice.chance(80) ? 0 : section * dice.below(4));
      case Profile.POWERPC -> 0;
      default -> dice.chance(70) ? MIB : pageSize;
    };
  }

  /** Room for the kernel and some hugepages. */
  private long firstSize() {
    long least = world.profile() == null ? 40 * MIB : 48 * MIB;
    return size(least + dice.below(5) * 16L * MIB);
  }

  /** About {@code bytes}, with an end that is odd as often as not. */
  private long size(long bytes) {
    long size = bytes / 2 + dice.between(0, bytes);
    return Math.max(pageSize, round(at + size, edge()) - at);
  }

  /** Where a range ends: any page, a sub-section, a section, or a hugepage. */
  private long edge() {
    return switch (dice.below(5)) {
      case 0, 1 -> pageSize;
      case 2 -> SUBSECTION;
      case 3 -> section;
      default -> Math.max(SUBSECTION, Math.min(section, 64L * pageSize));
    };
  }

  private static long round(long address, long to) {
    return (address + to - 1) / to * to;
  }

  private void ram(long size) {
    ram.add(new Ram(at, at + size, dice.below(nodes)));
    at += size;
  }

  /** Nothing, a gap, the end of a zone, or a device. */
  private void between() {
    switch (dice.below(6)) {
      case 0 -> at += dice.between(1, 300) * pageSize;
      case 1 -> at = round(at + 1, section);
      case 2 ->
          at = Math.max(at, round(at, GIB * 4) - (dice.chance(50) ? 0 : size(16 * MIB)));
      case 3 -> device(dice.chance(50) ? soft : pmem);
      default -> {}
    }
  }

  private void behind() {
    for (int i = dice.small(3); i > 0; i--) {
      device(dice.chance(60) ? soft : pmem);
    }
    if (dice.chance(30)) {
      boolean powerpc = world.name().startsWith(Profile.POWERPC);
      long block = powerpc ? POWERPC_BLOCK : section;
      at = round(at, block);
      device.add(new Ram(at, at + block * (dice.chance(70) ? 1 : 2), dice.below(nodes)));
    }
  }

  /** A device, most often where device DAX can use all of it. */
  private void device(List<Ram> of) {
    boolean powerpc = world.name().startsWith(Profile.POWERPC);
    long unit = dice.chance(85) ? SUBSECTION : pageSize;
    at = round(at, dice.chance(30) ? section : unit);
    long size = dice.between(1, 40) * unit;
    (powerpc ? pmem : of).add(new Ram(at, at + size, dice.below(nodes)));
    at += size;
  }

  // ---- command line ----

  private List<String> cmdline() {
    List<String> words = new ArrayList<>();
    if (dice.chance(80)) {
      words.add("hugetlb_free_vmemmap=" + (dice.chance(80) ? "on" : "off"));
    }
    if (dice.chance(35)) {
      words.add("hugepages=" + dice.small(12));
    }
    if (dice.chance(15)) {
      words.add(dice.word("kernelcore=", "movablecore=") + dice.between(8, 64) + "M");
    }
    optional(words, 10, "init_on_alloc=" + dice.below(2));
    optional(words, 10, "init_on_free=" + dice.below(2));
    optional(words, 5, "check_pages=1");
    optional(words, 5, "debug_pagealloc=on");
    optional(words, 25, "memory_hotplug.memmap_on_memory=" + dice.word("on", "force"));
    optional(
        words, 40, "memhp_default_state=" + dice.word("online", "online_movable", "online_kernel"));
    return words;
  }

  private void optional(List<String> words, int percent, String word) {
    if (dice.chance(percent)) {
      words.add(word);
    }
  }
}
