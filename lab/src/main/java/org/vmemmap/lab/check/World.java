// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Sizes;
import org.vmemmap.types.MmConfig;

/**
 * A kind of machine that scenarios run on, as small as it can be.
 *
 * @param name as in {@code x86-64-4} or {@code arm64-16K-52}
 * @param profile its kernel; null for a PC
 * @param levels page-table levels of a PC
 * @param build how its kernel is built
 */
public record World(String name, @Nullable Profile profile, int levels, Build build) {
  private static final long MIB = 1L << 20;
  private static final int HUGEPAGES = 8;
  private static final String PC = "x86-64-4";

  /** Bytes of a struct page of which a section has no whole number of leaves. */
  private static final int ODD_SIZE = 56;

  /** How a kernel is built. */
  public enum Build {
    /** As distributions do. */
    USUAL,
    /** With CONFIG_DEBUG_VM. */
    DEBUG_VM,
    /** With struct pages whose size is no power of two. */
    ODD;

    private MmConfig of(MmConfig config) {
      return switch (this) {
        case USUAL -> config;
        case DEBUG_VM -> config.withDebugVm(true);
        case ODD -> config.withSizeofStructPage(ODD_SIZE);
      };
    }
  }

  /** All kinds, their kernels built as usual. */
  public static List<World> all() {
    List<World> all = new ArrayList<>();
    all.add(new World(PC, null, 4, Build.USUAL));
    all.add(new World("x86-64-5", null, 5, Build.USUAL));
    for (Profile profile : Boards.profiles()) {
      String more =
          profile.mmu().isEmpty() ? Integer.toString(profile.vaBits()) : profile.mmu();
      String name = profile.arch() + "-" + Sizes.text(profile.pageSize()) + "-" + more;
      all.add(new World(name, profile, 0, Build.USUAL));
    }
    return List.copyOf(all);
  }

  /** PCs whose kernels are built otherwise. Machines that are drawn at random have that at times. */
  public static List<World> builds() {
    return List.of(
        new World(PC + "-debug", null, 4, Build.DEBUG_VM), new World(PC + "-odd", null, 4, Build.ODD));
  }

  /** The world of that name. @throws BadInput for none, with the names that there are */
  public static World of(String name) {
    List<World> all = Stream.concat(all().stream(), builds().stream()).toList();
    for (World world : all) {
      if (world.name().equals(name)) {
        return world;
      }
    }
    String names = String.join(", ", all.stream().map(World::name).toList());
    throw new BadInput("world " + name + ": wanted one of " + names);
  }

  /** The worlds of those names, with commas between them; {@code all} for all. */
  public static List<World> list(String names) {
    return names.equals("all")
        ? all()
        : Arrays.stream(names.split(",", -1)).map(World::of).toList();
  }

  /** Bytes of a hugepage of the default size. */
  long hugepage() {
    return Boards.hugepageSize(spec(memoryWithHugepages(), 1, List.of(), List.of()));
  }

  /** The largest device alignment that a leaf of a pmd gives; where there are none, a page. */
  private long alignment() {
    return Boards.daxAlign(spec(least(), 1, List.of(), List.of()));
  }

  /** A device that this machine can have. */
  public DaxOption device() {
    boolean pmem = name.startsWith(Profile.POWERPC);
    long align = alignment();
    return new DaxOption(Math.max(128 * MIB, 2 * align), align, false, pmem, 0);
  }

  /** Bytes of RAM of the smallest machine. */
  private long least() {
    Profile board = profile;
    return board == null
        ? 128 * MIB
        : Math.max(256 * MIB, 1L << board.config().sectionSizeBits());
  }

  /** Bytes of RAM with which the kernel has hugepages: the hash MMU wants some for large blocks. */
  private long memoryWithHugepages() {
    long mem = least();
    while (Boards.hugepageSize(spec(mem, 1, List.of(), List.of())) == 0) {
      mem *= 2;
    }
    return mem;
  }

  /** Bytes of RAM for some hugepages, where there are any. */
  public long memoryForPool() {
    return Math.max(memoryWithHugepages(), HUGEPAGES * hugepage());
  }

  /** Bytes of RAM for some hugepages and what the kernel needs. */
  public long memory() {
    return Math.max(least(), HUGEPAGES * hugepage());
  }

  /** A machine of this kind with equal nodes. */
  public MachineSpec spec(long mem, int nodes, List<DaxOption> dax, List<String> cmdline) {
    Profile board = profile;
    return built(
        board == null
            ? MachineSpecs.ofSize(mem, nodes, dax, levels, cmdline)
            : Boards.ofSize(board, mem, nodes, dax, cmdline));
  }

  /** A machine of this kind with exactly this memory. */
  public MachineSpec spec(MemoryRanges memory, List<String> cmdline) {
    Profile board = profile;
    return built(
        board == null
            ? MachineSpecs.of(memory, levels, cmdline)
            : Boards.of(board, memory, cmdline));
  }

  private MachineSpec built(MachineSpec spec) {
    return build == Build.USUAL ? spec : spec.withConfig(build.of(spec.config()));
  }
}
