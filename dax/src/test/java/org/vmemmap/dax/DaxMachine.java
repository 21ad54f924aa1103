// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.Machine;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.ArchHotplug;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.sparse.Sparse;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PlainTables;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Resource;
import org.vmemmap.types.VmemAltmap;

/**
 * A booted machine with device memory.
 *
 * <pre>
 *   0           256M+16M      512M                    1G        1G+512M         8G
 *  +------------+------------+-----------------------+---------+---------------+
 *  | System RAM | hole, part | hole                  | pmem or | hole          |
 *  |            | of section |                       | soft    | (plain ranges)|
 *  +------------+------------+-----------------------+---------+---------------+
 * </pre>
 *
 * A section is 128 MiB, its memmap 2 MiB. The last section with RAM has 16 MiB of it.
 */
final class DaxMachine {
  static final long MIB = 1L << 20;
  static final long GIB = 1L << 30;
  static final long PAGE = 4096;
  static final long SECTION = 128 * MIB;
  static final long RAM_END = 2 * SECTION + 16 * MIB;
  static final long VMEMMAP_BASE = 0xffff_c000_0000_0000L;
  static final long LINEAR_BASE = 0xffff_8000_0000_0000L;
  private static final long MEMORY = 8 * GIB;

  final Machine machine;
  final Mm mm;
  final PageAlloc pageAlloc;
  final Slab slab;
  final Memblock memblock;
  final SparseVmemmap vmemmap;
  final MmInit mmInit;
  final MemoryHotplug hotplug;
  final IomemResource iomem;
  final DaxBus dax;

  /** 272 MiB of RAM on node 0; no device memory is known yet, nothing has booted. */
  DaxMachine() {
    this(MmConfig.debianX86().withDebugVm(true).withDeferredStructPageInit(false));
  }

  DaxMachine(MmConfig config) {
    PlainTables format = new PlainTables(9, 9, 9, 9);
    machine = new Machine(MEMORY, format, LINEAR_BASE, Owner.values(), 1);
    mm = new Mm(machine, format, config, new Mm.Image(VMEMMAP_BASE, 0x1000, 0x10000, 0x40000));
    memblock = new Memblock(mm, Placement.NONE);
    pageAlloc = new PageAlloc(mm, Placement.NONE);
    slab = new Slab(mm, pageAlloc);
    vmemmap = new SparseVmemmap(mm, memblock, pageAlloc, slab);
    Sparse sparse = new Sparse(mm, memblock, slab, vmemmap);
    mmInit = new MmInit(mm, memblock, pageAlloc, slab, sparse);
    hotplug = new MemoryHotplug(mm, pageAlloc, vmemmap, mmInit);
    vmemmap.setArch(new PlainArch(mm, pageAlloc, vmemmap));
    vmemmap.setSparse(sparse);
    vmemmap.setMmInit(mmInit);
    memblock.memblockAddNode(0, RAM_END, 0);
    memblock.memblockReserve(0, MIB);
    iomem = new IomemResource(mm);
    busyRam(0, RAM_END);
    dax =
        new DaxBus(
            mm, pageAlloc, slab, mmInit, hotplug, iomem, any -> 0, new Bus.ThpSizes(true, true));
  }

  /** Boots to the end: the page allocator has all free memory. */
  DaxMachine boot() {
    long maxPfn = RAM_END / PAGE;
    mmInit.mmCoreInitEarly(new long[] {4096, maxPfn, maxPfn, 0, 0});
    mmInit.mmCoreInit();
    mmInit.pageAllocInitLate();
    return this;
  }

  /** Memory hotplug in blocks of a section, after boot. New memory stays offline. */
  HotplugSystem hotplugSystem() {
    pageAlloc.setupPerCpuPageset();
    pageAlloc.initPerZoneWmarkMin();
    hotplug.setArch(new PlainHotplug(mm, hotplug));
    HotplugSystem system =
        new HotplugSystem(
            mm, memblock, pageAlloc, slab, vmemmap, mmInit, hotplug, iomem, SECTION);
    system.driverInit();
    return system;
  }

  /** Hotplug of an architecture whose linear window is the direct map. */
  private record PlainHotplug(Mm mm, MemoryHotplug hotplug) implements ArchHotplug {
    @Override
    public int archAddMemory(int nid, long start, long size, MemoryHotplug.MhpParams params) {
      return addPages(nid, mm.model().physPfn(start), mm.model().physPfn(size), params);
    }

    @Override
    public int addPages(int nid, long startPfn, long nrPages, MemoryHotplug.MhpParams params) {
      return hotplug.addPages(nid, startPfn, nrPages, params);
    }

    @Override
    public void archRemoveMemory(
        long start, long size, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
      hotplug.removePages(mm.model().physPfn(start), mm.model().physPfn(size), altmap, pgmap);
    }
  }

  private void busyRam(long start, long end) {
    long flags = Resource.IORESOURCE_SYSTEM_RAM | Resource.IORESOURCE_BUSY;
    iomem.insertResource(
        iomem.iomemResource(),
        new Resource(start, end - 1, "System RAM", flags, Resource.IORES_DESC_NONE));
  }

  /** Soft-reserved memory; {@code dax.registerHmem()} makes regions of it. */
  DaxMachine withSoftReserved(long start, long size) {
    iomem.insertResourceExpandToFit(
        iomem.softReserveResource(),
        new Resource(
            start,
            start + size - 1,
            "Soft Reserved",
            Resource.IORESOURCE_MEM,
            Resource.IORES_DESC_SOFT_RESERVED));
    return this;
  }

  /** Legacy persistent memory; {@code dax.registerPmem()} makes namespaces of it. */
  DaxMachine withPmem(long start, long size) {
    iomem.insertResourceExpandToFit(
        iomem.iomemResource(),
        new Resource(
            start,
            start + size - 1,
            "Persistent Memory (legacy)",
            Resource.IORESOURCE_MEM,
            Resource.IORES_DESC_PERSISTENT_MEMORY_LEGACY));
    return this;
  }

  // ---- what a test looks at ----

  Page page(long paddr) {
    return mm.model().pfnToPage(paddr / PAGE);
  }

  /** Word {@code n}, 0 to 7, of the struct page of an address. */
  long word(long paddr, int n) {
    return mm.struct().word(page(paddr), 8 * n);
  }

  int refcount(long paddr) {
    return mm.struct().refcount(page(paddr));
  }

  int mapcount(long paddr) {
    return mm.struct().mapcount(page(paddr));
  }

  /** A 32-bit field of a folio's second struct page. */
  int second(long paddr, int offset) {
    return mm.struct().half(page(paddr + PAGE), offset);
  }

  long mapping(long paddr) {
    return mm.struct().mapping(page(paddr));
  }

  /** First 64 bits of the subsection map of the section around an address; 0 for none. */
  long subsections(long paddr) {
    MemSectionUsage usage = mm.mmzone().section(paddr / SECTION).usage;
    return usage == null ? 0 : usage.subsectionMap()[0];
  }

  /** Owners that have frames, and how many; page tables and slabs left out, which stay behind. */
  Map<String, Long> frames() {
    Map<String, Long> counts = new LinkedHashMap<>();
    for (Owner owner : Owner.values()) {
      long n = machine.ledger().count(owner);
      boolean stays =
          owner == Owner.PAGE_TABLE
              || owner == Owner.SLAB
              || owner == Owner.BUDDY
              || owner == Owner.VMEMMAP;
      if (!stays) {
        counts.put(owner.name(), n);
      }
    }
    return counts;
  }

  long owned(Owner owner) {
    return machine.ledger().count(owner);
  }

  List<String> warnings() {
    return mm.printk().warnings();
  }

  List<String> log() {
    return mm.printk().lines().stream().map(Printk.Line::text).toList();
  }

  DevPagemap pgmap(String device) {
    return Objects.requireNonNull(dax.bound(device), device).pgmap();
  }

  DevDax devDax(String device) {
    return Objects.requireNonNull(dax.bus().find(device), device);
  }

  // ---- what a test does ----

  /** Fails the n-th allocation at a site from now on, only that one. */
  void failNth(long n, String site) {
    machine.faults().failNth(n, site::equals);
  }

  /** A pgmap of one range that nobody has mapped yet, at an address of its own. */
  DevPagemap device(long start, long size, int shift) {
    DevPagemap pgmap = new DevPagemap(mm.data().alloc((int) Bus.SIZEOF_DEV_PAGEMAP));
    pgmap.vmemmapShift = shift;
    pgmap.nrRange = 1;
    pgmap.ranges = new Range[] {new Range(start, start + size - 1)};
    return pgmap;
  }

  /** A claim of one page, to be in a driver's way. */
  void occupy(long paddr) {
    Objects.requireNonNull(iomem.requestMemRegion(paddr, PAGE, "somebody"));
  }
}
