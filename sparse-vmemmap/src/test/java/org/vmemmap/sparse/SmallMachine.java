// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.Mmu;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * A small machine with the real memblock, page allocator and memmap code on the odd page tables.
 *
 * <pre>
 *   0          1M               16M         RAM                   1G     2G
 *  +-----------+----------------+-----------------------+---------+------+
 *  | image     | below the goal | memmap is taken here  |  hole   | free for devices
 *  +-----------+----------------+-----------------------+---------+------+
 *   reserved
 * </pre>
 *
 * A section is 128 MiB, its memmap 2 MiB, so two leaves of 1 MiB.
 */
final class SmallMachine {
  static final long MIB = 1L << 20;
  static final long GIB = 1L << 30;
  static final long PAGE = 4096;
  static final long SECTION = 32768;
  static final long SUBSECTION = 512;

  /** Pages of memmap of a whole section. */
  static final long SECTION_VPAGES = 512;

  /** First pfn of the room for devices. */
  static final long DEVICE_PFN = GIB >>> 12;

  static final long VMEMMAP_BASE = 0x7777_4000_0000_0000L;
  static final long LINEAR_BASE = 0x1111_0000_0000_0000L;
  static final long IMAGE_END = MIB;
  private static final long MEMORY = 4 * GIB;

  /** Memory of a node in bytes, the end not included. */
  record Ram(long start, long end, int nid) {}

  final Machine machine;
  final Mm mm;
  final Memblock memblock;
  final PageAlloc pageAlloc;
  final Slab slab;
  final SparseVmemmap vmemmap;
  final Sparse sparse;
  final MmInit mmInit;
  final MemoryHotplug hotplug;
  final OddArch arch;
  private final long maxPfn;

  SmallMachine(MmConfig config, Ram... ram) {
    this(config, VMEMMAP_BASE, ram);
  }

  SmallMachine(MmConfig config, long vmemmapBase, Ram... ram) {
    this(new OddPageTable(), config, vmemmapBase, ram);
  }

  /** With pages of another size than {@link #PAGE}; the constants above are not for it. */
  SmallMachine(OddPageTable format, MmConfig config, long vmemmapBase, Ram... ram) {
    machine = new Machine(MEMORY, format, LINEAR_BASE, Owner.values(), 2);
    Mm.Image image = new Mm.Image(vmemmapBase, 0x1000, 0x10000, 0x40000);
    mm = new Mm(machine, format, config, image);
    memblock = new Memblock(mm, Placement.NONE);
    pageAlloc = new PageAlloc(mm, Placement.NONE);
    slab = new Slab(mm, pageAlloc);
    vmemmap = new SparseVmemmap(mm, memblock, pageAlloc, slab);
    sparse = new Sparse(mm, memblock, slab, vmemmap);
    mmInit = new MmInit(mm, memblock, pageAlloc, slab, sparse);
    hotplug = new MemoryHotplug(mm, pageAlloc, vmemmap, mmInit);
    arch = new OddArch(mm, pageAlloc, vmemmap, hotplug);
    vmemmap.setArch(arch);
    vmemmap.setSparse(sparse);
    vmemmap.setMmInit(mmInit);
    memblock.attach(slab, pageAlloc);
    for (Ram range : ram) {
      memblock.memblockAddNode(range.start(), range.end() - range.start(), range.nid());
    }
    memblock.memblockReserve(0, IMAGE_END);
    maxPfn = List.of(ram).stream().mapToLong(Ram::end).max().orElse(0) >>> format.pageShift();
  }

  /** 384 MiB on node 0, so sections 0 to 2; not booted. */
  static SmallMachine small() {
    return new SmallMachine(config(), new Ram(0, 384 * MIB, 0));
  }

  /** 128 MiB on node 0 and 128 MiB on node 1; not booted. */
  static SmallMachine twoNodes() {
    return new SmallMachine(
        config(), new Ram(0, 128 * MIB, 0), new Ram(128 * MIB, 256 * MIB, 1));
  }

  /** 64-byte struct pages, DEBUG_VM, no deferred initialisation. */
  static MmConfig config() {
    return MmConfig.debianX86().withDebugVm(true).withDeferredStructPageInit(false);
  }

  /** Boots to the end: the page allocator has all free memory. */
  SmallMachine boot() {
    mmInit.mmCoreInitEarly(
        new long[] {Math.min(4096, maxPfn), Math.min(1L << 20, maxPfn), maxPfn, 0, 0});
    mmInit.mmCoreInit();
    mmInit.pageAllocInitLate();
    return this;
  }

  // ---- what a test looks at ----

  /** Flags and encoded memmap of a section. */
  long sectionMemMap(long nr) {
    return mm.mmzone().section(nr).sectionMemMap;
  }

  /** The section's record of parts in use. */
  MemSectionUsage usage(long nr) {
    MemSection ms = mm.mmzone().section(nr);
    if (ms.usage == null) {
      throw new AssertionError("section " + nr + " has no usage record");
    }
    return ms.usage;
  }

  /** The first 64 bits of the section's subsection map. */
  long subsections(long nr) {
    return usage(nr).subsectionMap()[0];
  }

  /** Virtual address of the memmap of a pfn. */
  long memmap(long pfn) {
    return mm.model().pfnToPage(pfn).va();
  }

  /** What decides about an address in init_mm's tables. */
  Mmu.Entry walk(long va) {
    return machine.mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va);
  }

  /** Level of the entry that maps an address, or -1. */
  int level(long va) {
    Mmu.Entry entry = walk(va);
    return machine.format().present(entry.entry(), entry.level()) ? entry.level() : -1;
  }

  /** The frame behind a mapped page of memmap, -1 for none. */
  long frame(long va) {
    Mmu.Entry entry = walk(va);
    if (level(va) < 0) {
      return -1;
    }
    long inside = va & (1L << machine.format().shift(entry.level())) - 1;
    return mm.model().physPfn(machine.format().address(entry.entry(), entry.level()) + inside);
  }

  /** Frames that an owner has. */
  long owned(Owner owner) {
    return machine.ledger().count(owner);
  }

  /** Reference count of the frame's own struct page. */
  int refcount(long frame) {
    return mm.struct().refcount(mm.model().pfnToPage(frame));
  }

  Zone zone(int nid, ZoneType type) {
    return mm.nodes().nodeData(nid).zone(type);
  }

  List<String> warnings() {
    return mm.printk().warnings();
  }

  List<String> log() {
    return mm.printk().lines().stream().map(line -> line.text()).toList();
  }

  // ---- what a test does ----

  /** Fails the n-th allocation at a site from now on, only that one. */
  void failNth(long n, String site) {
    machine.faults().failNth(n, site::equals);
  }

  /** Fails all allocations at a site from now on. */
  void failAll(String site) {
    machine.faults().failFrom(1, site::equals);
  }

  /** A device of compound pages of 2^shift pages. */
  DevPagemap device(long startPfn, long nrPages, int shift) {
    DevPagemap pgmap = new DevPagemap(LINEAR_BASE);
    pgmap.vmemmapShift = shift;
    pgmap.ranges =
        new DevPagemap.Range[] {
          new DevPagemap.Range(startPfn << 12, ((startPfn + nrPages) << 12) - 1)
        };
    return pgmap;
  }

  /** Adds a chunk to node 0, with the order and zone that __add_pages() says of the device. */
  int addSection(
      long pfn, long nrPages, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    int order = pgmap == null ? 0 : pgmap.vmemmapShift;
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_DEVICE);
    return vmemmap.sparseAddSection(0, pfn, nrPages, altmap, pgmap, order, zone);
  }

  /** An altmap of {@code free} pages behind {@code reserve} pages at the start of a device. */
  VmemAltmap altmap(long startPfn, long nrPages, long reserve, long free) {
    VmemAltmap altmap = new VmemAltmap();
    altmap.basePfn = startPfn;
    altmap.endPfn = startPfn + nrPages - 1;
    altmap.reserve = reserve;
    altmap.free = free;
    mm.own(startPfn, nrPages, Owner.DEVICE);
    return altmap;
  }
}
