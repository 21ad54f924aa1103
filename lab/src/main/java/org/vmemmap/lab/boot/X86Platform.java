// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.vmemmap.arch.x86.E820;
import org.vmemmap.arch.x86.X86Geometry;
import org.vmemmap.arch.x86.X86Init64;
import org.vmemmap.arch.x86.X86MmPgtable;
import org.vmemmap.arch.x86.X86PageTable;
import org.vmemmap.dax.Bus;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.hugetlb.HugetlbArch;
import org.vmemmap.machine.Machine;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/**
 * The x86-64 part of a boot: hardware, kernel image, and the way from the memory map to the boot
 * allocator.
 *
 * <pre>
 *   0        1M            16M                        64M
 *   | BIOS   | free        | pgd | ...   | data       | free ...
 *   |reserved|             |<----- kernel image ----->|
 * </pre>
 */
final class X86Platform implements Platform {
  private static final long MIB = 1L << 20;
  private static final long IMAGE_START = 16 * MIB;
  private static final long IMAGE_SIZE = 48 * MIB;
  private static final long SECTION = 128 * MIB;
  private static final long SIZEOF_PG_DATA_T = 0x2a980;
  private static final long SIZE_2M = 2 * MIB;
  private static final long SIZE_1G = 1024 * MIB;

  private static final String NOT_CONNECTED = "not connected";

  private final MachineSpec spec;
  private final X86Geometry geometry;
  private final X86PageTable format;
  private final KernelImage image;
  private @Nullable X86MmPgtable processTables;
  private @Nullable X86Init64 arch;
  private @Nullable E820 e820;

  X86Platform(MachineSpec spec, Placement placement) {
    this.spec = spec;
    X86Geometry plain = spec.levels() == 5 ? X86Geometry.fiveLevel() : X86Geometry.fourLevel();
    this.geometry = plain.withVmemmapBase(spec.vmemmapBase());
    this.format = new X86PageTable(geometry);
    int shift = format.pageShift();
    this.image =
        KernelImage.place(
            spec.ram(),
            IMAGE_START,
            IMAGE_SIZE,
            MIB,
            (start, end) -> placement.kept(start >>> shift, end >>> shift));
  }

  @Override
  public long maxPfn() {
    return Objects.requireNonNull(arch, NOT_CONNECTED).maxPfn();
  }

  /** First pfn behind all RAM of boot. */
  private long endOfRam() {
    return spec.ram().getLast().end() >>> format.pageShift();
  }

  @Override
  public Mm makeMm() {
    long bytes = (spec.endOfMemory() + SECTION - 1) / SECTION * SECTION;
    Machine machine = new Machine(bytes, format, geometry.pageOffset(), Owner.values(), 1);
    return new Mm(machine, format, spec.config(), image.image(spec.vmemmapBase()));
  }

  @Override
  public List<Long> processPageTables() {
    return processTables == null ? List.of() : processTables.pgdList().roots();
  }

  @Override
  public long pgdAlloc() {
    return Objects.requireNonNull(processTables, NOT_CONNECTED).pgdAlloc();
  }

  @Override
  public HugetlbArch hugetlbArch() {
    return HugetlbArch.withCma(archHugetlbCmaOrder(), SIZE_2M, SIZE_1G);
  }

  /** The CPU has pages of 1 GiB. */
  @Kernel(file = "arch/x86/mm/hugetlbpage.c", symbol = "arch_hugetlb_cma_order")
  private int archHugetlbCmaOrder() {
    return Long.numberOfTrailingZeros(SIZE_1G) - format.pageShift();
  }

  @Override
  public Bus.ThpSizes thpSizes() {
    return new Bus.ThpSizes(true, true);
  }

  @Override
  public void connect(Parts parts) {
    Mm mm = parts.mm();
    X86MmPgtable mmPgtable = new X86MmPgtable(mm, parts.pageAlloc(), format);
    processTables = mmPgtable;
    X86Init64 init64 =
        new X86Init64(
            mm,
            parts.pageAlloc(),
            parts.sparseVmemmap(),
            parts.memoryHotplug(),
            format,
            mmPgtable,
            true);
    init64.setMaxPfn(endOfRam());
    parts.sparseVmemmap().setArch(init64);
    parts.memoryHotplug().setArch(init64);
    mm.pgtable().setSyncHook(init64);
    arch = init64;
  }

  @Override
  public void setupArch(Parts parts) {
    memblockSetup(parts.memblock());
    NodeData.numaMemblksInit(parts.memblock(), spec);
    numaRegisterNodes(parts.memblock(), parts.mm());
    E820 made = new E820(parts.mm(), parts.iomem(), e820Table());
    made.reserveResources();
    e820 = made;
  }

  /** The ranges are in the resource tree, where the e820 driver looks for them. */
  @Override
  public int registerPmem(DaxBus dax, MachineSpec any) {
    return dax.registerPmem();
  }

  @Override
  public long[] archZoneLimitsInit() {
    return geometry.archZoneLimitsInit(endOfRam());
  }

  @Override
  public void initcalls(Parts parts) {
    Objects.requireNonNull(e820, "setup_arch first").reserveResourcesLate();
  }

  /** The part of setup_arch() that fills memblock: image, RAM by node, the first MiB. */
  @Kernel(
      file = "arch/x86/kernel/e820.c",
      symbol = "e820__memblock_setup",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Ranges come with their nodes, so initmem_init() has nothing left to do.")
  private void memblockSetup(Memblock memblock) {
    // Before the firmware's tables say what can be pulled, the kernel stays near its image.
    if (memblock.movableNodeIsEnabled()) {
      memblock.memblockSetBottomUp(true);
    }
    memblock.memblockReserve(image.start(), image.size());
    for (Ram soft : spec.softReserved()) {
      memblock.memblockReserve(soft.start(), soft.size());
    }
    NodeData.addRam(memblock, spec.ram());
    reserveRealMode(memblock);
  }

  /** The first MiB is kept from use whatever the firmware says. */
  @Kernel(
      file = "arch/x86/realmode/init.c",
      symbol = "reserve_real_mode",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "There is no trampoline to place below 1 MiB first.")
  private void reserveRealMode(Memblock memblock) {
    memblock.memblockReserve(0, MIB);
  }

  /** Registers the nodes that have memory, in the order of their numbers. */
  @Kernel(
      file = "arch/x86/mm/numa.c",
      symbol = "numa_register_nodes",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Ranges come with their nodes.")
  private void numaRegisterNodes(Memblock memblock, Mm mm) {
    NodeData.registerAll(memblock, mm, spec.ram(), SIZEOF_PG_DATA_T);
  }

  /** The memory map for the resource tree. */
  private List<E820.Entry> e820Table() {
    List<E820.Entry> table = new ArrayList<>();
    add(table, spec.ram(), E820.E820_TYPE_RAM);
    add(table, spec.memory().of(MemoryRanges.Kind.HOLE), E820.E820_TYPE_RESERVED);
    add(table, spec.softReserved(), E820.E820_TYPE_SOFT_RESERVED);
    add(table, spec.pmem(), E820.E820_TYPE_PRAM);
    table.sort(Comparator.comparingLong(E820.Entry::addr));
    return mergeRam(table);
  }

  /** Nodes split RAM; firmware does not know them, so neighbours are one entry. */
  private static List<E820.Entry> mergeRam(List<E820.Entry> table) {
    List<E820.Entry> merged = new ArrayList<>();
    for (E820.Entry entry : table) {
      E820.Entry last = merged.isEmpty() ? null : merged.getLast();
      if (last != null && continues(last, entry)) {
        merged.removeLast();
        merged.add(new E820.Entry(last.addr(), last.size() + entry.size(), last.type()));
      } else {
        merged.add(entry);
      }
    }
    return merged;
  }

  private static boolean continues(E820.Entry last, E820.Entry next) {
    return next.type() == E820.E820_TYPE_RAM
        && last.type() == next.type()
        && last.addr() + last.size() == next.addr();
  }

  private static void add(List<E820.Entry> table, List<Ram> ranges, long type) {
    for (Ram range : ranges) {
      table.add(new E820.Entry(range.start(), range.size(), type));
    }
  }
}
