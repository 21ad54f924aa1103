// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import org.vmemmap.machine.Checks;
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
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Resource;
import org.vmemmap.types.Series;
import org.vmemmap.types.VmemAltmap;

/**
 * A booted book3s64 machine with RAM from 0 on, its last section reserved as a whole, and room for
 * devices behind it. Every use of a stale translation is a fault.
 *
 * <pre>
 *   0       32M                     -16M       ram                 8 GiB
 *  | image | free                  | reserved | devices           |
 * </pre>
 */
final class PowerpcBench {
  static final long KIB = 1L << 10;
  static final long MIB = 1L << 20;
  static final long GIB = 1L << 30;
  static final long SECTION = 16 * MIB;
  private static final long IMAGE = 32 * MIB;
  private static final long MEMORY = 8 * GIB;

  final PowerpcGeometry geometry;
  final Machine machine;
  final Mm mm;
  final Memblock memblock;
  final PageAlloc pageAlloc;
  final Slab slab;
  final SparseVmemmap vmemmap;
  final MmInit mmInit;
  final MemoryHotplug hotplug;
  final PowerpcArch arch;
  private final long ram;
  private final int shift;

  PowerpcBench(PowerpcGeometry geometry, boolean has16mPages, long ram, boolean debugVm) {
    this(geometry, has16mPages, ram, config -> config.withDebugVm(debugVm));
  }

  private PowerpcBench(
      PowerpcGeometry geometry, boolean has16mPages, long ram, UnaryOperator<MmConfig> change) {
    this.geometry = geometry;
    this.ram = ram;
    this.shift = geometry.pageShift();
    machine = PowerpcArch.machine(geometry, MEMORY, 2);
    MmConfig config =
        change.apply(
            PowerpcConfig.debian(geometry, has16mPages)
                .withDebugVm(true)
                .withDeferredStructPageInit(false));
    Mm.Image image = new Mm.Image(geometry.vmemmapStart(), MIB, 2 * MIB, 4 * MIB);
    mm = new Mm(machine, geometry.pageTable(), config, image);
    memblock = new Memblock(mm, Placement.NONE);
    pageAlloc = new PageAlloc(mm, Placement.NONE);
    slab = new Slab(mm, pageAlloc);
    vmemmap = new SparseVmemmap(mm, memblock, pageAlloc, slab);
    Sparse sparse = new Sparse(mm, memblock, slab, vmemmap);
    mmInit = new MmInit(mm, memblock, pageAlloc, slab, sparse);
    hotplug = new MemoryHotplug(mm, pageAlloc, vmemmap, mmInit);
    vmemmap.setSparse(sparse);
    vmemmap.setMmInit(mmInit);
    memblock.attach(slab, pageAlloc);
    arch =
        new PowerpcArch(
            mm, geometry, has16mPages, ram, memblock, pageAlloc, slab, vmemmap, hotplug);
    arch.connect();
  }

  /** A radix kernel with 4K pages that has the first {@code patches} of the series. */
  static PowerpcBench radix4k(int patches) {
    return new PowerpcBench(
            PowerpcGeometry.radix(12), false, GIB, config -> config.withSeries(Series.at(patches)))
        .boot();
  }

  /** Radix with 4K pages and 1 GiB of RAM. */
  static PowerpcBench radix4k() {
    return new PowerpcBench(PowerpcGeometry.radix(12), false, GIB, true).boot();
  }

  /** Radix with 4K pages and 1 GiB of RAM, which is all on one node, with the given number. */
  static PowerpcBench radix4kOnNode(int nid) {
    return new PowerpcBench(PowerpcGeometry.radix(12), false, GIB, true).boot(nid);
  }

  /** Radix with 64K pages and 2 GiB of RAM, whose memmap is one leaf. */
  static PowerpcBench radix64k() {
    return new PowerpcBench(PowerpcGeometry.radix(16), false, 2 * GIB, true).boot();
  }

  /** Hash with 4K pages, blocks of 4K, and 256 MiB of RAM. */
  static PowerpcBench hash4k() {
    return new PowerpcBench(PowerpcGeometry.hash(12), false, 256 * MIB, true).boot();
  }

  /** The same with the first {@code patches} of the series. */
  static PowerpcBench hash4k(int patches) {
    return new PowerpcBench(
            PowerpcGeometry.hash(12),
            false,
            256 * MIB,
            config -> config.withSeries(Series.at(patches)))
        .boot();
  }

  /** Hash with 64K pages, blocks of 64K, and 1 GiB of RAM. */
  static PowerpcBench hash64k() {
    return new PowerpcBench(PowerpcGeometry.hash(16), false, GIB, true).boot();
  }

  /** Hash with 4K pages, blocks of 16M, and 1 GiB of RAM: one block. */
  static PowerpcBench hash16m() {
    return new PowerpcBench(PowerpcGeometry.hash(12), true, GIB, true).boot();
  }

  PowerpcBench boot() {
    return boot(0);
  }

  private PowerpcBench boot(int nid) {
    memblock.memblockReserve(0, IMAGE);
    memblock.memblockReserve(ram - SECTION, SECTION);
    memblock.memblockAddNode(0, ram, nid);
    mmInit.mmCoreInitEarly(geometry.archZoneLimitsInit(pfn(ram)));
    mmInit.mmCoreInit();
    mmInit.pageAllocInitLate();
    machine.check(Checks.translations());
    return this;
  }

  /** Memory blocks of {@code blockSize} bytes and what belongs to them, boot memory included. */
  HotplugSystem hotplugSystem(long blockSize, IomemResource iomem) {
    pageAlloc.setupPerCpuPageset();
    pageAlloc.initPerZoneWmarkMin();
    long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
    iomem.insertResource(
        iomem.iomemResource(),
        new Resource(0, ram - 1, "System RAM", flags, Resource.IORES_DESC_NONE));
    HotplugSystem system =
        new HotplugSystem(
            mm, memblock, pageAlloc, slab, vmemmap, mmInit, hotplug, iomem, blockSize);
    system.driverInit();
    return system;
  }

  long pfn(long paddr) {
    return paddr >>> shift;
  }

  /** Virtual address of the struct page of the page at a physical address. */
  long memmap(long paddr) {
    return mm.model().pfnToPage(pfn(paddr)).va();
  }

  /** A device in compound pages of 2^{@code shift}. */
  static DevPagemap pgmap(int vmemmapShift) {
    DevPagemap pgmap = new DevPagemap(0);
    pgmap.vmemmapShift = vmemmapShift;
    return pgmap;
  }

  /** A device whose pages are its own memmap's backing: behind {@code reserve} pages of its own. */
  VmemAltmap altmap(long start, long size, long reserve, long free) {
    VmemAltmap altmap = new VmemAltmap();
    altmap.basePfn = pfn(start);
    altmap.endPfn = pfn(start + size) - 1;
    altmap.reserve = reserve;
    altmap.free = free;
    mm.own(pfn(start), pfn(size), Owner.DEVICE);
    return altmap;
  }

  /** Adds a device without compound pages. */
  int add(long start, long size) {
    return arch.mem().archAddMemory(0, start, size, new MemoryHotplug.MhpParams(null, null));
  }

  /** Adds a device in compound pages of 2^{@code shift}. */
  int addCompound(long start, long size, int vmemmapShift) {
    DevPagemap pgmap = pgmap(vmemmapShift);
    return arch.mem().archAddMemory(0, start, size, new MemoryHotplug.MhpParams(null, pgmap));
  }

  /** Adds a device that may hold its own memmap. */
  int addAltmap(long start, long size, VmemAltmap altmap) {
    return arch.mem().archAddMemory(0, start, size, new MemoryHotplug.MhpParams(altmap, null));
  }

  void remove(long start, long size) {
    arch.mem().archRemoveMemory(start, size, null, null);
  }

  void removeCompound(long start, long size, int vmemmapShift) {
    arch.mem().archRemoveMemory(start, size, null, pgmap(vmemmapShift));
  }

  void removeAltmap(long start, long size, VmemAltmap altmap) {
    arch.mem().archRemoveMemory(start, size, altmap, null);
  }

  Mmu.Entry walk(long va) {
    return machine.mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va);
  }

  /** Level of the entry that maps an address, -1 for none. */
  int level(long va) {
    Mmu.Entry entry = walk(va);
    return machine.format().present(entry.entry(), entry.level()) ? entry.level() : -1;
  }

  /** The frame behind a mapped page of memmap; -1 for none. */
  long frame(long va) {
    Mmu.Entry entry = walk(va);
    if (level(va) < 0) {
      return -1;
    }
    long inside = va & (1L << machine.format().shift(entry.level())) - 1;
    return (machine.format().address(entry.entry(), entry.level()) + inside) >>> shift;
  }

  /** How many pages of memmap in {@code [start, end)} have an entry at a level. */
  long mapped(long start, long end, int level) {
    return pages(start, end).filter(va -> level(va) == level).count();
  }

  /** How many frames are behind {@code [start, end)}. */
  long frames(long start, long end) {
    return pages(start, end).map(this::frame).filter(frame -> frame >= 0).distinct().count();
  }

  private LongStream pages(long start, long end) {
    long size = mm.model().pageSize();
    return LongStream.range(Math.floorDiv(start, size), Math.ceilDiv(end, size))
        .map(page -> page * size);
  }

  int refcount(long frame) {
    return mm.struct().refcount(mm.model().pfnToPage(frame));
  }

  long owned(Owner owner) {
    return machine.ledger().count(owner);
  }

  /** All that an operation that was undone must leave as it was. */
  List<Long> books() {
    return List.of(
        mm.vmstat().nrMemmapPages(),
        mm.vmstat().nrMemmapBootPages(),
        owned(Owner.VMEMMAP),
        owned(Owner.ALTMAP),
        owned(Owner.ALLOCATED));
  }

  /** The books, and page tables too. */
  List<Long> booksAndTables() {
    return List.of(
        mm.vmstat().nrMemmapPages(),
        owned(Owner.VMEMMAP),
        owned(Owner.PAGE_TABLE),
        owned(Owner.SLAB));
  }

  List<String> warnings() {
    return mm.printk().warnings();
  }

  List<String> log() {
    return mm.printk().lines().stream().map(line -> line.text()).toList();
  }

  void failNth(long n, String site) {
    machine.faults().failNth(n, site::equals);
  }

  void failFrom(long n, String site) {
    machine.faults().failFrom(n, site::equals);
  }
}
