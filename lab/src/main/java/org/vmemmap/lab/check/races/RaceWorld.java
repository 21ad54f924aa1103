// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.HugetlbReserve;
import org.vmemmap.hugetlb.HugetlbVmemmap;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;

/** A booted machine, and what scenarios do on it. */
final class RaceWorld {
  static final String POOL = "/proc/sys/vm/nr_hugepages";
  static final String GIGANTIC_POOL =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
  static final String SWITCH = "/proc/sys/vm/hugetlb_optimize_vmemmap";

  /** What a CPU does that lets others go first. */
  static final String RELAX = "cpu_relax";

  private static final String MEMORY = "/sys/devices/system/memory/memory";

  private final LabKernel kernel;
  private final Mm mm;

  RaceWorld(LabKernel kernel) {
    this.kernel = kernel;
    this.mm = kernel.mm();
  }

  LabKernel kernel() {
    return kernel;
  }

  Mm mm() {
    return mm;
  }

  /** The default size. */
  Hstate hstate() {
    return kernel.hugetlb().hstates().defaultHstate();
  }

  HugetlbVmemmap vmemmap() {
    return kernel.hugetlb().vmemmap();
  }

  /** {@code echo value > path}, which must work. */
  void echo(String path, String value) {
    int rc = kernel.write(path, value);
    if (rc != 0) {
      throw new RuleBroken(RuleBook.STEP, "echo " + value + " > " + path + " returns " + rc);
    }
  }

  /** {@code n} hugepages in the pool, with the optimisation on or off, and it is on afterwards. */
  List<Folio> pool(int n, boolean optimised) {
    turn(optimised ? "1" : "0");
    echo(POOL, Integer.toString(n));
    turn("1");
    return free();
  }

  private void turn(String value) {
    if (vmemmap().sysctlRegistered()) {
      echo(SWITCH, value);
    }
  }

  /** The free hugepages of the default size on node 0. */
  List<Folio> free() {
    return free(hstate());
  }

  private List<Folio> free(Hstate h) {
    ListHead head = h.hugepageFreelists(0);
    List<Folio> folios = new ArrayList<>();
    for (ListHead at = mm.lists().first(head); !at.equals(head); at = mm.lists().next(at)) {
      folios.add(new Folio(mm.struct().ofLru(at)));
    }
    return folios;
  }

  /** The free page of 1 GiB. */
  Folio gigantic() {
    return free(giganticHstate()).getFirst();
  }

  Hstate giganticHstate() {
    return Objects.requireNonNull(kernel.hugetlb().hstates().sizeToHstate(1L << 30));
  }

  void optimise(Folio folio) {
    vmemmap().hugetlbVmemmapOptimizeFolio(hstate(), folio);
  }

  /** Optimises all as a batch; they leave the free list for that, and come back. */
  void optimiseAll(List<Folio> folios) {
    ListHead list = mm.lists().localHead();
    for (Folio folio : folios) {
      mm.lists().listMoveTail(mm.struct().lru(folio.page()), list);
    }
    vmemmap().hugetlbVmemmapOptimizeFolios(hstate(), list);
    mm.lists().listSpliceInit(list, hstate().hugepageFreelists(0));
    mm.lists().release(list);
  }

  /** Restores all free pages of a size as a batch, and writes to their tails as who frees them does. */
  void restoreAll(Hstate h) {
    List<Folio> folios = free(h);
    ListHead list = mm.lists().localHead();
    ListHead others = mm.lists().localHead();
    folios.forEach(folio -> mm.lists().listMoveTail(mm.struct().lru(folio.page()), list));
    vmemmap().hugetlbVmemmapRestoreFolios(h, list, others);
    folios.forEach(folio -> mm.struct().setPriv(tail(folio, 2), 0));
    mm.lists().listSpliceInit(list, h.hugepageFreelists(0));
    mm.lists().listSpliceInit(others, h.hugepageFreelists(0));
    mm.lists().release(others);
    mm.lists().release(list);
  }

  void restore(Folio folio) {
    vmemmap().hugetlbVmemmapRestoreFolio(hstate(), folio);
  }

  /** The {@code n}-th allocation at {@code site} from now on fails. */
  void fail(String site, long n) {
    mm.machine().faults().failNth(n, site::equals);
  }

  /** Takes a hugepage from the pool for a process, if there is one. */
  void take() {
    HugetlbReserve reserve = kernel.hugetlb().reserve();
    if (reserve.hugetlbAcctMemory(hstate(), 1) == 0) {
      reserve.hugetlbAllocFolio(
          hstate(), 0, HugetlbReserve.HUGETLB_ALLOC_USE_GLOBAL_RESERVATIONS);
    }
  }

  /** Plugs a DIMM and makes it online. Returns its first pfn. */
  long plug(long start, long bytes) {
    int rc = kernel.hotplugDrivers().plugDimm(start, bytes, 0);
    if (rc != 0) {
      throw new RuleBroken(RuleBook.STEP, "plugging a DIMM returns " + rc);
    }
    echo(MEMORY + start / kernel.spec().memoryBlockSize() + "/state", "online");
    return start >>> mm.model().pageShift();
  }

  /** The DIMM at {@code first} holds its memmap: no frame of that may be free. */
  void checkAltmap(long first) {
    long frames = mm.mmzone().pagesPerSection() * mm.struct().size() / mm.model().pageSize();
    for (long frame = first; frame < first + frames; frame++) {
      if (mm.machine().ledger().ownerOf(frame) == Owner.BUDDY) {
        throw new RuleBroken(RuleBook.ALTMAP, "frame=0x%x is free".formatted(frame));
      }
    }
  }

  /** The memory of device {@code n} of the machine. */
  private Ram device(int n) {
    MachineSpec spec = kernel.spec();
    return (spec.pmem().isEmpty() ? spec.softReserved() : spec.pmem()).get(n);
  }

  /** The first pfn of the data of device {@code n}, which is bound. */
  long firstPfn(int n) {
    return kernel.dax().bound().stream()
        .filter(bound -> bound.device().equals(name(n)))
        .findFirst()
        .orElseThrow()
        .dataPfn();
  }

  /** Binds device {@code n} with a compound memmap. */
  void bind(int n) {
    Ram range = device(n);
    DaxBus.Source source =
        kernel.spec().pmem().isEmpty() ? DaxBus.Source.HMEM : DaxBus.Source.PMEM;
    long align = Boards.daxAlign(kernel.spec());
    int rc =
        kernel
            .dax()
            .bind(name(n), source, range.start(), range.size(), align, DaxBus.MapTo.MEM);
    if (rc != 0) {
      throw new RuleBroken(RuleBook.STEP, "binding " + name(n) + " returns " + rc);
    }
  }

  /** Unbinds device {@code n}. */
  void unbind(int n) {
    int rc = kernel.dax().unbind(name(n));
    if (rc != 0) {
      throw new RuleBroken(RuleBook.STEP, "unbinding " + name(n) + " returns " + rc);
    }
  }

  private static String name(int n) {
    return "dax" + n + ".0";
  }

  /** Of {@code folios} the first that lies at or above {@code pfn}, or the first below. */
  Folio beside(List<Folio> folios, long pfn, boolean above) {
    return folios.stream()
        .filter(folio -> mm.model().pageToPfn(folio.page()) >= pfn == above)
        .findFirst()
        .orElseThrow();
  }

  /** The {@code n}-th page of memmap of a folio begins with this struct page. */
  Page tail(Folio folio, int n) {
    return new Page(folio.va() + n * mm.model().pageSize());
  }

  /** The last struct page of a folio of the default size, a shared one with HVO. */
  Page last(Folio folio) {
    return mm.struct().add(folio.page(), (1 << hstate().hugePageOrder()) - 1);
  }

  /** Looks up the head of {@code tail} and touches it, as any walker of pfns does. */
  void findHead(Page tail, Folio folio) {
    Page head = mm.flags().compoundHead(tail);
    if (!head.equals(folio.page())) {
      throw new RuleBroken(
          RuleBook.READER,
          "pfn=0x%x compound_head() is 0x%x, wanted 0x%x"
              .formatted(mm.model().pageToPfn(tail), head.va(), folio.va()));
    }
    if (!mm.flags().pageHead(head)) {
      long pfn = mm.model().pageToPfn(head);
      throw new RuleBroken(RuleBook.READER, "pfn=0x%x is no head".formatted(pfn));
    }
  }

  /** The same for some tails of {@code folio}, {@code times} times each. */
  void findHeads(Folio folio, int times) {
    for (int i = 0; i < times; i++) {
      findHead(tail(folio, 2), folio);
    }
  }

  /** Lets other CPUs run first. */
  void relax() {
    mm.machine().yields().at(RELAX, 0);
  }

  /** Reads a struct page, as a walker of pfns does. What it finds may be old when it is used. */
  void look(Page page) {
    mm.flags().compoundHead(page);
  }

  /** Takes a reference on the folio of {@code page} if there is one, looks at it, gives it back. */
  void visit(Page page) {
    Folio folio = mm.flags().pageFolio(page);
    if (!mm.refs().folioTryGet(folio)) {
      return;
    }
    if (mm.flags().pageFolio(page).equals(folio)) {
      look(page);
    }
    put(folio.page());
  }

  /** Gives a reference on a page back; with the last one the page is freed. */
  void put(Page page) {
    kernel.pageAlloc().freePage(page);
  }

  /** Does {@code body}, which the hardware may refuse with a fault of that name; another is thrown on. */
  static void allow(String fault, Runnable body) {
    try {
      body.run();
    } catch (MachineFault oops) {
      if (!oops.rule().equals(fault)) {
        throw oops;
      }
    }
  }
}
