// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.List;
import java.util.Objects;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.arch.powerpc.Hugetlbpage;
import org.vmemmap.arch.powerpc.PowerpcArch;
import org.vmemmap.arch.powerpc.PowerpcConfig;
import org.vmemmap.arch.powerpc.PowerpcGeometry;
import org.vmemmap.dax.Bus;
import org.vmemmap.hugetlb.HugetlbArch;
import org.vmemmap.machine.Machine;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;

/** A partition of a POWER server: RAM from 0 on, with the kernel at its start. */
final class PowerpcPlatform implements Platform {
  private static final long IMAGE_SIZE = 32L << 20;
  private static final long INT_VECTOR_SIZE = 32L << 10;
  private static final long SIZEOF_PG_DATA_T = 0x7880;
  private static final long SIZE_16M = 16L << 20;

  private final MachineSpec spec;
  private final PowerpcGeometry geometry;
  private final boolean has16mPages;
  private final KernelImage image;
  private @Nullable PowerpcArch arch;

  PowerpcPlatform(MachineSpec spec, Placement placement) {
    this.spec = spec;
    this.geometry = geometry(spec.profile());
    this.has16mPages = spec.profile().vmemmapPageSize() == SIZE_16M;
    int shift = geometry.pageShift();
    this.image =
        KernelImage.place(
            spec.ram(),
            0,
            IMAGE_SIZE,
            0,
            (from, to) -> placement.kept(from >>> shift, to >>> shift));
    long blocks = 1L << geometry.vmemmapBlockShift(has16mPages, spec.ramBytes());
    if (spec.profile().hash() && blocks != spec.profile().vmemmapPageSize()) {
      throw new BadInput(
          "memmap in blocks of %s: a kernel with this memory takes blocks of %s"
              .formatted(Sizes.text(spec.profile().vmemmapPageSize()), Sizes.text(blocks)));
    }
    if (spec.vmemmapBase() != geometry.vmemmapStart()) {
      throw new BadInput(
          "vmemmapBase 0x%x: this kernel has it at 0x%x"
              .formatted(spec.vmemmapBase(), geometry.vmemmapStart()));
    }
  }

  /** MMU and page size. @throws BadInput for a page size that powerpc does not have */
  static PowerpcGeometry geometry(Profile profile) {
    PowerpcGeometry.Mmu mmu =
        profile.hash() ? PowerpcGeometry.Mmu.HASH : PowerpcGeometry.Mmu.RADIX;
    try {
      return new PowerpcGeometry(mmu, profile.pageShift());
    } catch (IllegalArgumentException e) {
      throw new BadInput(
          "page size " + Sizes.text(profile.pageSize()) + ": powerpc has 4K and 64K");
    }
  }

  /** How the kernel for {@code profile} is built. */
  static MmConfig config(Profile profile) {
    return PowerpcConfig.debian(geometry(profile), profile.vmemmapPageSize() == SIZE_16M);
  }

  @Override
  public Mm makeMm() {
    long section = 1L << geometry.sectionSizeBits();
    long bytes = (spec.endOfMemory() + section - 1) / section * section;
    Machine machine = PowerpcArch.machine(geometry, bytes, 1);
    return new Mm(
        machine, geometry.pageTable(), spec.config(), image.image(spec.vmemmapBase()));
  }

  @Override
  public long maxPfn() {
    return Objects.requireNonNull(arch, "not connected").mem().maxPfn();
  }

  @Override
  public HugetlbArch hugetlbArch() {
    Hugetlbpage sizes = new Hugetlbpage(geometry, has16mPages, false);
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
        return LongStream.of(sizes.hugetlbpageInit()).boxed().toList();
      }

      @Override
      public boolean archHugetlbMigrationSupported(long size) {
        return sizes.archHugetlbMigrationSupported(size);
      }

      @Override
      public boolean giganticPageRuntimeSupported() {
        return sizes.giganticPageRuntimeSupported();
      }

      @Override
      public boolean hugetlbNodeAllocSupported() {
        return sizes.hugetlbNodeAllocSupported();
      }

      @Override
      public int archHugetlbCmaOrder() {
        return sizes.archHugetlbCmaOrder();
      }

      @Override
      public boolean archHasHugeBootmemAlloc() {
        return sizes.archHasHugeBootmemAlloc();
      }
    };
  }

  /** Radix has leaves of both sizes; with hash only a pmd of 16 MiB can be one. */
  @Override
  @Kernel(
      file = "arch/powerpc/mm/book3s64/hash_pgtable.c",
      symbol = "hash__has_transparent_hugepage")
  public Bus.ThpSizes thpSizes() {
    if (geometry.radixEnabled()) {
      return new Bus.ThpSizes(true, true);
    }
    boolean pmd = has16mPages && 1L << geometry.levelShift(1) == SIZE_16M;
    return new Bus.ThpSizes(pmd, false);
  }

  @Override
  public void connect(Parts parts) {
    PowerpcArch made =
        new PowerpcArch(
            parts.mm(),
            geometry,
            has16mPages,
            spec.ramBytes(),
            parts.memblock(),
            parts.pageAlloc(),
            parts.slab(),
            parts.sparseVmemmap(),
            parts.memoryHotplug());
    made.mem().setMaxPfn(endOfRam());
    made.connect();
    arch = made;
  }

  /** First pfn behind all RAM of boot. */
  private long endOfRam() {
    return spec.ram().getLast().end() >>> geometry.pageShift();
  }

  @Override
  @Kernel(
      file = "arch/powerpc/mm/numa.c",
      symbol = "initmem_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Ranges come with their nodes.")
  public void setupArch(Parts parts) {
    reserveImage(parts);
    NodeData.addRam(parts.memblock(), spec.ram());
    NodeData.registerAll(parts.memblock(), parts.mm(), spec.ram(), SIZEOF_PG_DATA_T);
  }

  /** A kernel that is not at the start of memory has its interrupt vectors there all the same. */
  @Kernel(
      file = "arch/powerpc/kernel/prom.c",
      symbol = "early_init_devtree",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "There is no device tree; of what it reserves only the kernel's own.")
  private void reserveImage(Parts parts) {
    parts.memblock().memblockReserve(image.start(), image.size());
    long memoryStart = spec.ram().getFirst().start();
    if (image.start() > memoryStart) {
      parts.memblock().memblockReserve(memoryStart, INT_VECTOR_SIZE);
    }
  }

  /** No zone for DMA: devices reach all memory through the hypervisor's translation. */
  @Override
  @Kernel(file = "arch/powerpc/mm/mem.c", symbol = "arch_zone_limits_init")
  public long[] archZoneLimitsInit() {
    return geometry.archZoneLimitsInit(endOfRam());
  }

  @Override
  public void initcalls(Parts parts) {
    addSystemRamResources(parts);
  }

  @Kernel(file = "arch/powerpc/mm/mem.c", symbol = "add_system_ram_resources")
  private void addSystemRamResources(Parts parts) {
    NodeData.reserveSystemRam(parts.iomem(), spec.ram());
  }
}
