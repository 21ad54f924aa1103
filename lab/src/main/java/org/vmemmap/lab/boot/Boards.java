// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.arch.arm64.Arm64Geometry;
import org.vmemmap.arch.arm64.Arm64Init;
import org.vmemmap.arch.powerpc.PowerpcGeometry;
import org.vmemmap.types.MmConfig;

/**
 * Makes virtual machines of the architectures without a PC's memory map.
 *
 * <pre>
 *   arm64     0          1G                      1G + mem     next GiB
 *             | devices  | node 0 | node 1 ...   |            | dax ...
 *   powerpc   0                      mem     next GiB
 *             | node 0 | node 1 ...  |       | dax ...
 * </pre>
 */
public final class Boards {
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final int K4 = 4096;
  private static final int K16 = 16384;
  private static final int K64 = 65536;
  private static final int WIDE = 52;
  private static final int POWERPC_LEVELS = 4;
  private static final int POWERPC_BLOCK = 256;
  private static final long BLOCK_16M = 16 * MIB;

  private Boards() {}

  /**
   * An arm64 kernel on a CPU.
   *
   * @param pageSize 4K, 16K or 64K, in bytes
   * @param vaBits width of addresses; null for all that the page size allows. A width that a kernel
   *     for 52 bits falls back to on an older CPU means that kernel, any other a kernel built for it
   */
  public static Profile arm64(int pageSize, @Nullable Integer vaBits) {
    if (pageSize != K4 && pageSize != K16 && pageSize != K64) {
      throw new BadInput(
          "--page-size " + Sizes.text(pageSize) + ": arm64 has pages of 4K, 16K and 64K");
    }
    int bits = vaBits == null ? WIDE : vaBits;
    boolean fallback = bits == (pageSize == K16 ? 47 : 48);
    int config = fallback ? WIDE : bits;
    List<Integer> widths = widths(pageSize);
    if (!widths.contains(bits)) {
      throw new BadInput(
          "--va-bits %d: arm64 with pages of %s has %s"
              .formatted(bits, Sizes.text(pageSize), text(widths)));
    }
    Profile bare = new Profile(Profile.ARM64, "", pageSize, 1, bits, config, 0, 0);
    int levels = Arm64Platform.geometry(bare).levels();
    return new Profile(Profile.ARM64, "", pageSize, levels, bits, config, 0, 0);
  }

  private static List<Integer> widths(int pageSize) {
    return switch (pageSize) {
      case K4 -> List.of(39, 48, WIDE);
      case K16 -> List.of(36, 47, WIDE);
      default -> List.of(42, 48, WIDE);
    };
  }

  private static String text(List<Integer> widths) {
    return "%d, %d or %d".formatted(widths.get(0), widths.get(1), widths.get(2));
  }

  /**
   * A powerpc kernel on a CPU; with hash the firmware offers pages of 16 MiB.
   *
   * @param pageSize 4K or 64K, in bytes
   * @param mmu radix or hash
   */
  public static Profile powerpc(int pageSize, String mmu) {
    if (pageSize != K4 && pageSize != K64) {
      throw new BadInput(
          "--page-size " + Sizes.text(pageSize) + ": powerpc has pages of 4K and 64K");
    }
    if (!mmu.equals(Profile.RADIX) && !mmu.equals(Profile.HASH)) {
      throw new BadInput("--mmu " + mmu + ": wanted radix or hash");
    }
    long blocks = mmu.equals(Profile.HASH) ? BLOCK_16M : 0;
    Profile bare =
        new Profile(Profile.POWERPC, mmu, pageSize, POWERPC_LEVELS, WIDE, 0, 0, blocks);
    PowerpcGeometry geometry = PowerpcPlatform.geometry(bare);
    return new Profile(
        Profile.POWERPC,
        mmu,
        pageSize,
        POWERPC_LEVELS,
        geometry.effectiveAddressBits(),
        0,
        geometry.vmemmapStart(),
        blocks);
  }

  /**
   * A machine with {@code mem} bytes of RAM in equal parts on the nodes.
   *
   * @param profile from {@link #arm64} or {@link #powerpc}
   * @param dax devices, each behind all that comes before it, from a multiple of 1 GiB on
   */
  public static MachineSpec ofSize(
      Profile profile, long mem, int nodes, List<DaxOption> dax, List<String> cmdline) {
    boolean arm64 = profile.arch().equals(Profile.ARM64);
    long section = 1L << profile.config().sectionSizeBits();
    if (mem < 256 * MIB || mem % section != 0 || mem / nodes < section) {
      throw new BadInput(
          "--mem %s --nodes %d: wanted at least 256M, and whole sections of %s on each node"
              .formatted(Sizes.text(mem), nodes, Sizes.text(section)));
    }
    long base = arm64 ? GIB : 0;
    List<Ram> ram = ram(base, mem, nodes, section);
    List<Ram> soft = new ArrayList<>();
    List<Ram> pmem = new ArrayList<>();
    addDax(profile, dax, nodes, base + mem, soft, pmem);
    MemoryRanges memory =
        MemoryRanges.ofRam(ram)
            .with(MemoryRanges.Kind.SOFT_RESERVED, soft)
            .with(MemoryRanges.Kind.PMEM, pmem);
    return of(profile, memory, cmdline);
  }

  /**
   * A machine with exactly this memory.
   *
   * @param profile from {@link #arm64} or {@link #powerpc}
   */
  public static MachineSpec of(Profile profile, MemoryRanges memory, List<String> cmdline) {
    List<Ram> ram = memory.of(MemoryRanges.Kind.RAM);
    boolean arm64 = profile.arch().equals(Profile.ARM64);
    long bytes = ram.stream().mapToLong(Ram::size).sum();
    Profile fitted = arm64 ? profile : withBlocks(profile, bytes);
    MmConfig config = fitted.config();
    long block = arm64 ? 1L << config.sectionSizeBits() : POWERPC_BLOCK * MIB;
    Profile placed =
        arm64
            ? withBase(fitted, config, ram.getFirst().start(), ram.getLast().end())
            : fitted;
    return new MachineSpec(placed, config, memory, cmdline, block);
  }

  private static List<Ram> ram(long base, long mem, int nodes, long section) {
    List<Ram> ram = new ArrayList<>();
    long share = mem / nodes / section * section;
    for (int node = 0; node < nodes; node++) {
      long start = base + node * share;
      ram.add(new Ram(start, node == nodes - 1 ? base + mem : start + share, node));
    }
    return ram;
  }

  private static void addDax(
      Profile profile, List<DaxOption> dax, int nodes, long end, List<Ram> soft, List<Ram> pmem) {
    long last = end;
    for (DaxOption device : dax) {
      if (device.node() >= nodes) {
        throw new BadInput(
            "--dax node=" + device.node() + ": the machine has nodes 0 to " + (nodes - 1));
      }
      if (!device.pmem() && profile.arch().equals(Profile.POWERPC)) {
        throw new BadInput(
            "--dax kind=hmem: powerpc has no soft-reserved memory, wanted kind=pmem");
      }
      long start = (last + GIB - 1) / GIB * GIB;
      last = start + device.size();
      (device.pmem() ? pmem : soft).add(new Ram(start, last, device.node()));
    }
  }

  /** With little memory the kernel does not spend a block of 16 MiB on its memmap. */
  private static Profile withBlocks(Profile profile, long mem) {
    if (!profile.hash() || mem >= GIB) {
      return profile;
    }
    return new Profile(
        profile.arch(),
        profile.mmu(),
        profile.pageSize(),
        profile.levels(),
        profile.vaBits(),
        0,
        profile.vmemmapBase(),
        profile.pageSize());
  }

  private static Profile withBase(Profile profile, MmConfig config, long start, long end) {
    Arm64Geometry geometry = Arm64Platform.geometry(profile);
    long base;
    try {
      base = new Arm64Init(geometry, config, start, end).vmemmapBase();
    } catch (IllegalArgumentException e) {
      throw new BadInput(String.valueOf(e.getMessage()));
    }
    return new Profile(
        profile.arch(),
        "",
        profile.pageSize(),
        profile.levels(),
        profile.vaBits(),
        profile.configVaBits(),
        base,
        0);
  }

  /** All kernels of all architectures that {@code --arch all} compares, without a PC's. */
  public static List<Profile> profiles() {
    return List.of(
        arm64(K4, WIDE),
        arm64(K4, 48),
        arm64(K16, WIDE),
        arm64(K16, 47),
        arm64(K64, WIDE),
        arm64(K64, 48),
        powerpc(K4, Profile.RADIX),
        powerpc(K64, Profile.RADIX),
        powerpc(K4, Profile.HASH),
        powerpc(K64, Profile.HASH));
  }

  /** Bytes of the hugepages that a kernel has by default; 0 for none. */
  public static long hugepageSize(MachineSpec spec) {
    return Platform.of(spec, org.vmemmap.pagealloc.Placement.NONE).hugetlbArch().hpageSize();
  }

  /** Alignment of a device in bytes: a leaf of a pmd where dax_align_valid() takes it, else a page. */
  public static long daxAlign(MachineSpec spec) {
    Platform platform = Platform.of(spec, org.vmemmap.pagealloc.Placement.NONE);
    boolean leaves = platform.thpSizes().pmd();
    return leaves ? platform.hugetlbArch().hpageSize() : spec.profile().pageSize();
  }

  /** Sizes of all hugepages that a kernel has, in bytes, ascending. */
  public static List<Long> hugepageSizes(MachineSpec spec) {
    var arch = Platform.of(spec, org.vmemmap.pagealloc.Placement.NONE).hugetlbArch();
    List<Long> sizes = new ArrayList<>(arch.initcallSizes());
    sizes.add(arch.hpageSize());
    return sizes.stream().filter(size -> size > 0).distinct().sorted().toList();
  }
}
