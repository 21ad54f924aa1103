// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.Checks;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.Mmu;
import org.vmemmap.machine.YieldPoints;
import org.vmemmap.pagealloc.Cma;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.ArchVmemmap;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.sparse.Sparse;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.PlainTables;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * A machine with HugeTLB on the real allocators and the real memmap code.
 *
 * <pre>
 *   0          1M                                          end of RAM
 *  +-----------+--------------------------------------------+
 *  | image     |  RAM of node 0, or of nodes 0 and 1        |
 *  +-----------+--------------------------------------------+
 *   reserved
 * </pre>
 *
 * The default sizes of hugepages are 2 MiB and 1 GiB, and the command line says nothing.
 */
final class PoolMachine {
  static final long MIB = 1L << 20;
  static final long GIB = 1L << 30;
  static final long SIZE_2M = 2 * MIB;
  static final int NO_NODE = HugetlbInternal.NUMA_NO_NODE;
  static final String NR_HUGEPAGES = "/proc/sys/vm/nr_hugepages";
  private static final long PAGE = 4096;
  private static final long VMEMMAP_BASE = 0xffff_ea00_0000_0000L;
  private static final long LINEAR_BASE = 0xffff_8880_0000_0000L;

  /** Memory of a node in bytes, the end not included. */
  record Ram(long start, long end, int nid) {}

  final Machine machine;
  final Mm mm;
  final Memblock memblock;
  final PageAlloc pageAlloc;
  final SparseVmemmap sparseVmemmap;
  final Sparse sparse;
  final MmInit mmInit;
  final Cma cma;
  final HugetlbCmaAreas areas;
  final HugetlbSystem system;
  final Hugetlb hugetlb;
  final HugetlbVmemmap vmemmap;
  private final long maxPfn;
  private boolean keepsBootmemInfo;
  private boolean keepsReserve;

  /** What was registered of the boot memmap, as {@code section:struct pages}. */
  final List<String> registered = new ArrayList<>();

  PoolMachine(MmConfig config, HugetlbArch arch, Ram... ram) {
    this(config, new PlainTables(2, 9, 9, 9), arch, ram);
  }

  PoolMachine(MmConfig config, PlainTables format, HugetlbArch arch, Ram... ram) {
    maxPfn = List.of(ram).stream().mapToLong(Ram::end).max().orElse(0) / PAGE;
    machine = new Machine(maxPfn * PAGE, format, LINEAR_BASE, Owner.values(), 2);
    mm = new Mm(machine, format, config, new Mm.Image(VMEMMAP_BASE, 0x1000, 0x10000, 0x40000));
    memblock = new Memblock(mm, Placement.NONE);
    pageAlloc = new PageAlloc(mm, Placement.NONE);
    Slab slab = new Slab(mm, pageAlloc);
    sparseVmemmap = new SparseVmemmap(mm, memblock, pageAlloc, slab);
    sparse = new Sparse(mm, memblock, slab, sparseVmemmap);
    mmInit = new MmInit(mm, memblock, pageAlloc, slab, sparse);
    cma = new Cma(mm, memblock, pageAlloc, slab, mmInit);
    areas = new HugetlbCmaAreas(mm, memblock, cma, arch);
    system =
        new HugetlbSystem(
            mm, memblock, pageAlloc, sparseVmemmap, sparse, mmInit, arch, areas);
    hugetlb = system.hugetlb();
    vmemmap = system.vmemmap();
    sparseVmemmap.setArch(new LeafVmemmap());
    sparseVmemmap.setSparse(sparse);
    sparseVmemmap.setMmInit(mmInit);
    mmInit.setVmemmap(sparseVmemmap);
    sparseVmemmap.setEarlyHook(vmemmap);
    mmInit.setHugetlbHooks(system.bootmem());
    for (Ram range : ram) {
      memblock.memblockAddNode(range.start(), range.end() - range.start(), range.nid());
    }
    memblock.memblockReserve(0, MIB);
  }

  static MmConfig config() {
    return MmConfig.debianX86().withDebugVm(true).withDeferredStructPageInit(false);
  }

  static HugetlbArch sizes() {
    return HugetlbArch.of(SIZE_2M, GIB);
  }

  /** 256 MiB on node 0, not booted. */
  static PoolMachine small() {
    return new PoolMachine(config(), sizes(), new Ram(0, 256 * MIB, 0));
  }

  /** 256 MiB on each of two nodes, not booted. */
  static PoolMachine twoNodes() {
    return new PoolMachine(
        config(), sizes(), new Ram(0, 256 * MIB, 0), new Ram(256 * MIB, 512 * MIB, 1));
  }

  /** 4 GiB on node 0, room for gigantic pages; not booted. */
  static PoolMachine large() {
    return new PoolMachine(config(), sizes(), new Ram(0, 4 * GIB, 0));
  }

  /** {@link #small}, booted with hugetlb_free_vmemmap=on. */
  static PoolMachine optimizing() {
    return small().cmdline("hugetlb_free_vmemmap=on").boot();
  }

  // ---- what a test does ----

  /** Gives the parameters to their owners, in order. */
  PoolMachine cmdline(String... parameters) {
    for (String parameter : parameters) {
      String[] parts = parameter.split("=", 2);
      system.earlyParam(parts[0], parts.length > 1 ? parts[1] : null);
    }
    return this;
  }

  /** Lets the architecture register boot memmap, as x86 does; called before {@link #boot}. */
  PoolMachine withBootmemInfo() {
    keepsBootmemInfo = true;
    return this;
  }

  /** Keeps the reserve of the zones that a machine has when its pools are filled. */
  PoolMachine withWatermarks() {
    keepsReserve = true;
    return this;
  }

  PoolMachine boot() {
    mmInit.mmCoreInitEarly(
        new long[] {Math.min(4096, maxPfn), Math.min(1L << 20, maxPfn), maxPfn, 0, 0});
    mmInit.mmCoreInit();
    mmInit.pageAllocInitLate();
    cma.cmaInitReservedAreas();
    if (keepsReserve) {
      pageAlloc.initPerZoneWmarkMin();
    }
    system.initcalls();
    return this;
  }

  /** echo count > /proc/sys/vm/nr_hugepages; the result of the write. */
  int setPool(long count) {
    return system.sysfs().write(NR_HUGEPAGES, Long.toString(count));
  }

  /** A fresh hugepage outside the pool, not optimised, frozen. */
  Folio freshFolio() {
    Folio folio =
        hugetlb.onlyAllocFreshHugetlbFolio(h2m(), hugetlb.htlbAllocMask(h2m()), 0, null, null);
    if (folio == null) {
      throw new AssertionError("no memory for a hugepage");
    }
    return folio;
  }

  /** Does {@code what} each time before something is written at a physical address. */
  void beforeWrite(long paddr, Runnable what) {
    machine.check(Checks.translations());
    machine
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String at, long where) {}

              @Override
              public void access(long at, long bytes, boolean write) {
                if (write && at == paddr) {
                  what.run();
                }
              }
            });
  }

  /** Fails only the n-th question at the site. */
  void failNth(long n, String site) {
    machine.faults().failNth(n, site::equals);
  }

  /** Fails the n-th question at the site and all after it. */
  void failFrom(long n, String site) {
    machine.faults().failFrom(n, site::equals);
  }

  // ---- what a test looks at ----

  Hstate h2m() {
    return hstate(SIZE_2M);
  }

  Hstate hstate(long size) {
    Hstate h = system.hstates().sizeToHstate(size);
    if (h == null) {
      throw new AssertionError("no hstate of size " + size);
    }
    return h;
  }

  /** First pfns of the free pages of 2 MiB on the node, ascending. */
  List<Long> freePfns(int nid) {
    return freePfns(h2m(), nid);
  }

  List<Long> freePfns(Hstate h, int nid) {
    TreeSet<Long> pfns = new TreeSet<>();
    ListHead list = h.hugepageFreelists(nid);
    for (ListHead at = mm.lists().first(list); !at.equals(list); at = mm.lists().next(at)) {
      pfns.add(mm.model().pageToPfn(mm.struct().ofLru(at)));
    }
    return List.copyOf(pfns);
  }

  Folio folio(long pfn) {
    return new Folio(mm.model().pfnToPage(pfn));
  }

  boolean optimized(Folio folio) {
    return system.folios().test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
  }

  /** What decides about an address in init_mm's tables. */
  Mmu.Entry walk(long va) {
    return machine.mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va);
  }

  /** The frame behind a mapped address. */
  long frame(long va) {
    Mmu.Entry entry = walk(va);
    long inside = va & ((1L << machine.format().shift(entry.level())) - 1);
    return (machine.format().address(entry.entry(), entry.level()) + inside) / PAGE;
  }

  /** The physical address behind a mapped one. */
  long paddr(long va) {
    return frame(va) * PAGE + (va & (PAGE - 1));
  }

  /** The frames behind the memmap of the folio, page by page. */
  List<Long> frames(Folio folio, Hstate h) {
    List<Long> frames = new ArrayList<>();
    for (long va = folio.va(); va < folio.va() + vmemmap.hugetlbVmemmapSize(h); va += PAGE) {
      frames.add(frame(va));
    }
    return frames;
  }

  /** Pages of the folio's memmap that cannot be written. */
  long readOnlyPages(Folio folio, Hstate h) {
    long count = 0;
    for (long va = folio.va(); va < folio.va() + vmemmap.hugetlbVmemmapSize(h); va += PAGE) {
      Mmu.Entry entry = walk(va);
      count += machine.format().writable(entry.entry(), entry.level()) ? 0 : 1;
    }
    return count;
  }

  /** All words of all struct pages of the folio, as the CPU reads them. */
  List<Long> words(Folio folio, Hstate h) {
    List<Long> words = new ArrayList<>();
    for (long va = folio.va(); va < folio.va() + vmemmap.hugetlbVmemmapSize(h); va += 8) {
      words.add(machine.cpu().readLong(va));
    }
    return words;
  }

  long owned(Owner owner) {
    return machine.ledger().count(owner);
  }

  Zone zone(int nid, ZoneType type) {
    return mm.nodes().nodeData(nid).zone(type);
  }

  /** The shared tail of the order, null for none. */
  @Nullable Page sharedTail(Zone zone, int order) {
    return zone.vmemmapTails[order - mm.mmzone().vmemmapTailMinOrder()];
  }

  List<String> log() {
    return mm.printk().lines().stream().map(line -> line.text()).toList();
  }

  List<String> warnings() {
    return mm.printk().warnings();
  }

  /** The memmap is mapped with leaves; nothing is ever unmapped. */
  private final class LeafVmemmap implements ArchVmemmap {
    @Override
    public int vmemmapPopulate(long start, long end, int node, @Nullable VmemAltmap altmap) {
      return sparseVmemmap.vmemmapPopulateHugepages(start, end, node, altmap);
    }

    @Override
    public void vmemmapFree(long start, long end, @Nullable VmemAltmap altmap) {
      throw new AssertionError("no memory leaves this machine");
    }

    @Override
    public void vmemmapSetPmd(Ptr<Pmd> pmd, long p, int node, long addr, long next) {
      sparseVmemmap.vmemmapSetPmd(pmd, p, node, addr, next);
    }

    @Override
    public boolean vmemmapCheckPmd(Ptr<Pmd> pmd, int node, long addr, long next) {
      return sparseVmemmap.vmemmapCheckPmd(pmd, node, addr, next);
    }

    @Override
    public boolean pmdSetHuge(Ptr<Pmd> pmd, long paddr, Prot prot) {
      mm.pgtable().setPmd(pmd, new Pmd(mm.pgtable().arch().mkLeaf(paddr, Pgtable.PMD, prot)));
      return true;
    }

    @Override
    public boolean haveBootmemInfoNode() {
      return keepsBootmemInfo;
    }

    @Override
    public void registerPageBootmemMemmap(long sectionNr, Page map, long nrPages) {
      registered.add(sectionNr + ":" + nrPages);
    }

    @Override
    public boolean wantsOptimizedDaxVmemmap() {
      return true;
    }
  }
}
