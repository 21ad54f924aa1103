// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import java.util.List;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.Mmu;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.sparse.Sparse;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Resource;
import org.vmemmap.types.VmemAltmap;

/**
 * A booted arm64 machine with 1 GiB of memory on one node, and room for devices from 2 GiB on.
 *
 * <pre>
 *   0        1G                    2G                4G
 *   | hole   | image | free       | devices         |
 * </pre>
 */
final class Arm64Bench {
  static final long MIB = 1L << 20;
  static final long GIB = 1L << 30;
  static final long DEVICE = 2 * GIB;
  private static final long IMAGE = 32 * MIB;

  final Machine machine;
  final Mm mm;
  final Memblock memblock;
  final PageAlloc pageAlloc;
  final Slab slab;
  final SparseVmemmap vmemmap;
  final MmInit mmInit;
  final MemoryHotplug hotplug;
  final Arm64PageTable format;
  final Arm64Init init;
  final Arm64Mmu mmu;

  private Arm64Bench(Arm64Geometry geometry) {
    format = new Arm64PageTable(geometry);
    MmConfig config =
        Arm64Config.of(geometry).withDebugVm(true).withDeferredStructPageInit(false);
    init = new Arm64Init(geometry, config, GIB, 2 * GIB);
    machine = new Machine(4 * GIB, format, init.linearBase(), Owner.values(), 2);
    Mm.Image image = new Mm.Image(init.vmemmapBase(), GIB + 0x10000, GIB + 0x20000, 0x40000);
    mm = new Mm(machine, format, config, image);
    memblock = new Memblock(mm, Placement.NONE);
    pageAlloc = new PageAlloc(mm, Placement.NONE);
    slab = new Slab(mm, pageAlloc);
    vmemmap = new SparseVmemmap(mm, memblock, pageAlloc, slab);
    Sparse sparse = new Sparse(mm, memblock, slab, vmemmap);
    mmInit = new MmInit(mm, memblock, pageAlloc, slab, sparse);
    hotplug = new MemoryHotplug(mm, pageAlloc, vmemmap, mmInit);
    mmu = new Arm64Mmu(mm, pageAlloc, vmemmap, hotplug, format, init.memstartAddr());
    vmemmap.setArch(mmu);
    vmemmap.setSparse(sparse);
    vmemmap.setMmInit(mmInit);
    memblock.attach(slab, pageAlloc);
    hotplug.setArch(mmu);
  }

  /** A kernel for {@code geometry} with DEBUG_VM, booted. */
  static Arm64Bench boot(Arm64Geometry geometry) {
    Arm64Bench bench = new Arm64Bench(geometry);
    bench.memblock.memblockAddNode(GIB, GIB, 0);
    bench.memblock.memblockReserve(GIB, IMAGE);
    bench.mmu.setMaxPfn(bench.init.maxPfn());
    bench.mmInit.mmCoreInitEarly(bench.init.archZoneLimitsInit());
    bench.mmInit.mmCoreInit();
    bench.mmInit.pageAllocInitLate();
    bench.mmu.preventMemoryRemoveInit(bench.memblock);
    return bench;
  }

  /** Memory blocks of {@code blockSize} bytes and what belongs to them, boot memory included. */
  HotplugSystem hotplugSystem(long blockSize) {
    pageAlloc.setupPerCpuPageset();
    pageAlloc.initPerZoneWmarkMin();
    IomemResource iomem = new IomemResource(mm);
    long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
    iomem.insertResource(
        iomem.iomemResource(),
        new Resource(GIB, 2 * GIB - 1, "System RAM", flags, Resource.IORES_DESC_NONE));
    HotplugSystem system =
        new HotplugSystem(
            mm, memblock, pageAlloc, slab, vmemmap, mmInit, hotplug, iomem, blockSize);
    system.driverInit();
    return system;
  }

  long pfn(long paddr) {
    return mm.model().physPfn(paddr);
  }

  /** Virtual address of the struct page of a physical address. */
  long memmap(long paddr) {
    return mm.model().pfnToPage(pfn(paddr)).va();
  }

  Mmu.Entry walk(long va) {
    return machine.mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va);
  }

  /** Level of the leaf that maps an address, or -1. */
  int level(long va) {
    Mmu.Entry entry = walk(va);
    return format.present(entry.entry(), entry.level()) ? entry.level() : -1;
  }

  /** Flags of the entry that decides about an address. */
  long flags(long va) {
    Mmu.Entry entry = walk(va);
    return format.flags(entry.entry(), entry.level());
  }

  /** The frame behind a mapped page of memmap. */
  long frame(long va) {
    Mmu.Entry entry = walk(va);
    long inside = va & (1L << format.shift(entry.level())) - 1;
    return (format.address(entry.entry(), entry.level()) + inside) >>> format.pageShift();
  }

  long owned(Owner owner) {
    return machine.ledger().count(owner);
  }

  /** All that an undone operation must leave as it was. */
  List<Long> books() {
    return List.of(
        mm.vmstat().nrMemmapPages(),
        mm.vmstat().nrMemmapBootPages(),
        owned(Owner.VMEMMAP),
        owned(Owner.PAGE_TABLE),
        owned(Owner.ALTMAP),
        owned(Owner.ALLOCATED));
  }

  List<String> warnings() {
    return mm.printk().warnings();
  }

  List<String> log() {
    return mm.printk().lines().stream().map(line -> line.text()).toList();
  }

  /** An altmap at the start of the device memory {@code [start, start + size)}. */
  VmemAltmap altmap(long start, long size, long freePages) {
    VmemAltmap altmap = new VmemAltmap();
    altmap.basePfn = pfn(start);
    altmap.endPfn = pfn(start + size) - 1;
    altmap.free = freePages;
    mm.own(altmap.basePfn, pfn(size), Owner.DEVICE);
    return altmap;
  }

  int add(long start, long size) {
    return mmu.archAddMemory(0, start, size, new MemoryHotplug.MhpParams(null, null));
  }

  int add(long start, long size, VmemAltmap altmap) {
    return mmu.archAddMemory(0, start, size, new MemoryHotplug.MhpParams(altmap, null));
  }

  void remove(long start, long size) {
    mmu.archRemoveMemory(start, size, null, null);
  }

  void remove(long start, long size, VmemAltmap altmap) {
    mmu.archRemoveMemory(start, size, altmap, null);
  }
}
