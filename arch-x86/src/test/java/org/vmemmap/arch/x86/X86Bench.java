// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import java.util.List;
import java.util.stream.LongStream;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.Mmu;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.sparse.Sparse;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.VmemAltmap;

/**
 * A booted x86-64 machine with 256 MiB of memory on one node, the second section reserved as a
 * whole, and room for devices from 1 GiB on.
 *
 * <pre>
 *   0       1M                128M               256M              1G
 *  | image | free            | reserved section |  hole           | devices
 * </pre>
 */
final class X86Bench {
  static final long MIB = 1L << 20;
  static final long PAGE = 4096;
  static final long SECTION = 32768;
  static final long SUBSECTION = 512;
  static final long DEVICE_PFN = 0x40000;
  private static final long RAM = 256 * MIB;

  final Machine machine;
  final Mm mm;
  final Memblock memblock;
  final PageAlloc pageAlloc;
  final SparseVmemmap vmemmap;
  final MmInit mmInit;
  final MemoryHotplug hotplug;
  final X86PageTable format;
  final X86MmPgtable pgtable;
  final Slab slab;
  final X86Init64 init;
  private final X86Geometry geometry;

  X86Bench(X86Geometry geometry, MmConfig config, boolean pse) {
    this.geometry = geometry;
    format = new X86PageTable(geometry);
    machine = new Machine(4L << 30, format, geometry.pageOffset(), Owner.values(), 2);
    Mm.Image image = new Mm.Image(geometry.vmemmapBase(), 0x1000, 0x10000, 0x40000);
    MmConfig bits = config.withMaxPhysmemBits(geometry.maxPhysmemBits());
    mm = new Mm(machine, format, bits, image);
    memblock = new Memblock(mm, Placement.NONE);
    pageAlloc = new PageAlloc(mm, Placement.NONE);
    slab = new Slab(mm, pageAlloc);
    vmemmap = new SparseVmemmap(mm, memblock, pageAlloc, slab);
    Sparse sparse = new Sparse(mm, memblock, slab, vmemmap);
    mmInit = new MmInit(mm, memblock, pageAlloc, slab, sparse);
    hotplug = new MemoryHotplug(mm, pageAlloc, vmemmap, mmInit);
    pgtable = new X86MmPgtable(mm, pageAlloc, format);
    init = new X86Init64(mm, pageAlloc, vmemmap, hotplug, format, pgtable, pse);
    vmemmap.setArch(init);
    vmemmap.setSparse(sparse);
    vmemmap.setMmInit(mmInit);
    memblock.attach(slab, pageAlloc);
    hotplug.setArch(init);
    mm.pgtable().setSyncHook(init);
  }

  /** 4-level paging, 64-byte struct pages, DEBUG_VM; booted. */
  static X86Bench fourLevel() {
    return new X86Bench(X86Geometry.fourLevel(), config(), true).boot();
  }

  /** The same with 5-level paging. */
  static X86Bench fiveLevel() {
    return new X86Bench(X86Geometry.fiveLevel(), config(), true).boot();
  }

  /** 4-level paging and struct pages of another size; booted. */
  static X86Bench structPage(int size) {
    MmConfig config = config().withSizeofStructPage(size);
    return new X86Bench(X86Geometry.fourLevel(), config, true).boot();
  }

  static MmConfig config() {
    return MmConfig.debianX86().withDebugVm(true).withDeferredStructPageInit(false);
  }

  X86Bench boot() {
    memblock.memblockAddNode(0, RAM, 0);
    memblock.memblockReserve(0, MIB);
    memblock.memblockReserve(RAM / 2, RAM / 2);
    init.setMaxPfn(RAM >>> 12);
    mmInit.mmCoreInitEarly(geometry.archZoneLimitsInit(RAM >>> 12));
    mmInit.mmCoreInit();
    mmInit.pageAllocInitLate();
    return this;
  }

  /** Virtual address of the memmap of a pfn. */
  long memmap(long pfn) {
    return mm.model().pfnToPage(pfn).va();
  }

  /** Address of the memmap that begins {@code bytes} behind that of the first device pfn. */
  long dev(long bytes) {
    return memmap(DEVICE_PFN) + bytes;
  }

  Mmu.Entry walk(long va) {
    return machine.mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va);
  }

  /** Level of the entry that maps an address, or -1. */
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
    return (format.address(entry.entry(), entry.level()) + inside) >>> 12;
  }

  long owned(Owner owner) {
    return machine.ledger().count(owner);
  }

  /** All that a failed or undone operation must leave as it was. */
  List<Long> books() {
    return List.of(
        mm.vmstat().nrMemmapPages(),
        mm.vmstat().nrMemmapBootPages(),
        owned(Owner.VMEMMAP),
        owned(Owner.PAGE_TABLE),
        owned(Owner.ALTMAP),
        owned(Owner.SHARED_TAIL),
        owned(Owner.ALLOCATED));
  }

  List<String> warnings() {
    return mm.printk().warnings();
  }

  List<String> log() {
    return mm.printk().lines().stream().map(line -> line.text()).toList();
  }

  /** True when all bytes of the memmap {@code [start, end)} are 0xfd. */
  boolean unused(long start, long end) {
    return LongStream.range(0, (end - start) / 8)
        .allMatch(i -> machine.cpu().readLong(start + 8 * i) == 0xfdfd_fdfd_fdfd_fdfdL);
  }

  void failNth(long n, String site) {
    machine.faults().failNth(n, site::equals);
  }

  VmemAltmap altmap(long startPfn, long nrPages, long free) {
    VmemAltmap altmap = new VmemAltmap();
    altmap.basePfn = startPfn;
    altmap.endPfn = startPfn + nrPages - 1;
    altmap.free = free;
    mm.own(startPfn, nrPages, Owner.DEVICE);
    return altmap;
  }

  int populate(long start, long end) {
    return init.vmemmapPopulate(start, end, 0, null);
  }

  void free(long start, long end) {
    init.vmemmapFree(start, end, null);
  }
}
