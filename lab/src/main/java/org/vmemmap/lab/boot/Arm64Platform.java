// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.vmemmap.arch.arm64.Arm64Config;
import org.vmemmap.arch.arm64.Arm64Geometry;
import org.vmemmap.arch.arm64.Arm64Hugetlbpage;
import org.vmemmap.arch.arm64.Arm64Init;
import org.vmemmap.arch.arm64.Arm64Mmu;
import org.vmemmap.arch.arm64.Arm64PageTable;
import org.vmemmap.dax.Bus;
import org.vmemmap.hugetlb.HugetlbArch;
import org.vmemmap.machine.Machine;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;

/**
 * A virtual arm64 board: RAM from 1 GiB on, the kernel 2 MiB above its start.
 *
 * <pre>
 *   1G   1G + 2M                1G + 34M
 *   |free| kernel image         | free ...
 * </pre>
 */
final class Arm64Platform implements Platform {
  private static final long TEXT_OFFSET = 2L << 20;
  private static final long IMAGE_SIZE = 32L << 20;
  private static final long SIZEOF_PG_DATA_T = 0x2600;
  private static final int PHYS_BITS = 48;
  private static final int WIDE = 52;
  private static final int SHIFT_64K = 16;

  private final MachineSpec spec;
  private final Arm64Geometry geometry;
  private final Arm64PageTable format;
  private final Arm64Init init;
  private final KernelImage image;
  private @Nullable Arm64Mmu arch;

  Arm64Platform(MachineSpec spec, Placement placement) {
    this.spec = spec;
    this.geometry = geometry(spec.profile());
    this.format = new Arm64PageTable(geometry);
    long start = spec.ram().getFirst().start();
    long end = spec.ram().getLast().end();
    try {
      this.init = new Arm64Init(geometry, spec.config(), start, end);
    } catch (IllegalArgumentException e) {
      throw new BadInput(String.valueOf(e.getMessage()));
    }
    if (spec.vmemmapBase() != init.vmemmapBase()) {
      throw new BadInput(
          "vmemmapBase 0x%x: a kernel on this memory has it at 0x%x"
              .formatted(spec.vmemmapBase(), init.vmemmapBase()));
    }
    int shift = geometry.pageShift();
    this.image =
        KernelImage.place(
            spec.ram(),
            start + TEXT_OFFSET,
            IMAGE_SIZE,
            0,
            (from, to) -> placement.kept(from >>> shift, to >>> shift));
  }

  /** The outcome of build and CPU. @throws BadInput for widths that cannot be */
  static Arm64Geometry geometry(Profile profile) {
    int config = profile.configVaBits();
    int wideBy = profile.pageShift() == SHIFT_64K ? config : profile.vaBits();
    int physBits = wideBy == WIDE ? WIDE : PHYS_BITS;
    try {
      return new Arm64Geometry(
          profile.pageShift(), config, profile.vaBits(), physBits, false, true);
    } catch (IllegalArgumentException e) {
      throw new BadInput(
          "%s pages, %d-bit addresses in a kernel for %d: no such arm64 kernel"
              .formatted(Sizes.text(profile.pageSize()), profile.vaBits(), config));
    }
  }

  /** How the kernel for {@code profile} is built. */
  static MmConfig config(Profile profile) {
    return Arm64Config.of(geometry(profile));
  }

  @Override
  public Mm makeMm() {
    long section = 1L << geometry.sectionSizeBits();
    long bytes = (spec.endOfMemory() + section - 1) / section * section;
    Machine machine = new Machine(bytes, format, init.linearBase(), Owner.values(), 1);
    return new Mm(machine, format, spec.config(), image.image(spec.vmemmapBase()));
  }

  @Override
  public long maxPfn() {
    return Objects.requireNonNull(arch, "not connected").maxPfn();
  }

  @Override
  public HugetlbArch hugetlbArch() {
    Arm64Hugetlbpage sizes = new Arm64Hugetlbpage(geometry);
    return new HugetlbArch() {
      @Override
      public long hpageSize() {
        return sizes.hpageSize();
      }

      @Override
      public boolean archHugetlbValidSize(long size) {
        return sizes.archHugetlbValidSize(size);
      }

      @Override
      public List<Long> initcallSizes() {
        return sizes.hugetlbpageInit();
      }

      @Override
      public boolean archHugetlbMigrationSupported(long size) {
        return sizes.archHugetlbMigrationSupported(size);
      }

      @Override
      public int archHugetlbCmaOrder() {
        return sizes.archHugetlbCmaOrder();
      }
    };
  }

  @Override
  public Bus.ThpSizes thpSizes() {
    return new Bus.ThpSizes(true, false);
  }

  @Override
  public void connect(Parts parts) {
    Arm64Mmu mmu =
        new Arm64Mmu(
            parts.mm(),
            parts.pageAlloc(),
            parts.sparseVmemmap(),
            parts.memoryHotplug(),
            format,
            init.memstartAddr());
    mmu.setMaxPfn(init.maxPfn());
    parts.sparseVmemmap().setArch(mmu);
    parts.memoryHotplug().setArch(mmu);
    arch = mmu;
  }

  @Override
  @Kernel(
      file = "arch/arm64/mm/init.c",
      symbol = "bootmem_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Ranges come with their nodes; memstart_addr was chosen when the machine was made.")
  public void setupArch(Parts parts) {
    parts.memblock().memblockReserve(image.start(), image.size());
    NodeData.addRam(parts.memblock(), spec.ram());
    NodeData.registerAll(parts.memblock(), parts.mm(), spec.ram(), SIZEOF_PG_DATA_T);
    NodeData.reserveSystemRam(parts.iomem(), spec.ram());
  }

  @Override
  public long[] archZoneLimitsInit() {
    return init.archZoneLimitsInit();
  }

  /** EFI names the memory that it wants kept for special use. */
  @Override
  public void initcalls(Parts parts) {
    NodeData.reserveSoft(parts.iomem(), spec.softReserved());
  }
}
