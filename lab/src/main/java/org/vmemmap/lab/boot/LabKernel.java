// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.hugetlb.HugetlbArch;
import org.vmemmap.hugetlb.HugetlbCmaAreas;
import org.vmemmap.hugetlb.HugetlbSystem;
import org.vmemmap.pagealloc.Cma;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.sparse.NotifierErrInject;
import org.vmemmap.sparse.MemoryHotplug;
import org.vmemmap.sparse.MmInit;
import org.vmemmap.sparse.Sparse;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;

/** A booted kernel: the object graph of one machine. Two can live in one JVM and share nothing. */
public final class LabKernel {
  private static final String DAX = "/sys/bus/dax/";
  private static final String MEMORY = "/sys/devices/system/memory/";
  private static final int STAGES = 3;

  private final MachineSpec spec;
  private final Platform platform;
  private final Platform.Parts parts;
  private final Mm mm;
  private final Memblock memblock;
  private final PageAlloc pageAlloc;
  private final Slab slab;
  private final SparseVmemmap sparseVmemmap;
  private final Sparse sparse;
  private final MmInit mmInit;
  private final Cma cma;
  private final MemoryHotplug memoryHotplug;
  private final HotplugSystem hotplug;
  private final HotplugDrivers hotplugDrivers;
  private final HugetlbSystem hugetlb;
  private final IomemResource iomem;
  private final DaxBus dax;
  private final DaxSysfs daxSysfs;
  private int stagesDone;

  /** Called on the way up, for those who want to see the machine before it is finished. */
  public interface Listener {
    /** Nobody. */
    Listener NONE = new Listener() {};

    /** memblock knows the memory; zones, sections and the memmap come next. */
    default void beforeMmCoreInit(LabKernel kernel) {}

    /** The memmap is complete; the page allocator gets its memory next. */
    default void beforeBuddy(LabKernel kernel) {}

    /** The page allocator runs; hugetlb_init() comes next. */
    default void beforeHugetlbInit(LabKernel kernel) {}
  }

  private LabKernel(MachineSpec spec, Placement placement) {
    this.spec = spec;
    this.platform = Platform.of(spec, placement);
    this.mm = platform.makeMm();
    if (placement instanceof MachineAware aware) {
      aware.attach(mm);
    }
    this.memblock = new Memblock(mm, placement);
    this.pageAlloc = new PageAlloc(mm, placement);
    this.slab = new Slab(mm, pageAlloc);
    memblock.attach(slab, pageAlloc);
    this.sparseVmemmap = new SparseVmemmap(mm, memblock, pageAlloc, slab);
    this.sparse = new Sparse(mm, memblock, slab, sparseVmemmap);
    this.mmInit = new MmInit(mm, memblock, pageAlloc, slab, sparse);
    this.memoryHotplug = new MemoryHotplug(mm, pageAlloc, sparseVmemmap, mmInit);
    this.cma = new Cma(mm, memblock, pageAlloc, slab, mmInit);
    HugetlbArch hugetlbArch = platform.hugetlbArch();
    this.hugetlb =
        new HugetlbSystem(
            mm,
            memblock,
            pageAlloc,
            sparseVmemmap,
            sparse,
            mmInit,
            hugetlbArch,
            new HugetlbCmaAreas(mm, memblock, cma, hugetlbArch));
    this.iomem = new IomemResource(mm);
    this.hotplug =
        new HotplugSystem(
            mm,
            memblock,
            pageAlloc,
            slab,
            sparseVmemmap,
            mmInit,
            memoryHotplug,
            iomem,
            spec.memoryBlockSize());
    this.hotplugDrivers = new HotplugDrivers(mm, memblock, hotplug);
    this.dax =
        new DaxBus(
            mm,
            pageAlloc,
            slab,
            mmInit,
            memoryHotplug,
            iomem,
            spec::physToTargetNode,
            platform.thpSizes());
    this.daxSysfs = new DaxSysfs(dax);
    this.parts =
        new Platform.Parts(
            mm, memblock, pageAlloc, slab, sparseVmemmap, sparse, memoryHotplug, iomem);
    connect();
  }

  private void connect() {
    sparseVmemmap.setSparse(sparse);
    sparseVmemmap.setMmInit(mmInit);
    sparseVmemmap.setEarlyHook(hugetlb.vmemmap());
    mmInit.setVmemmap(sparseVmemmap);
    mmInit.setHugetlbHooks(hugetlb.bootmem());
    hotplug.online().setHooks(hugetlb.migrate());
    platform.connect(parts);
  }

  /**
   * Boots {@code spec}.
   *
   * @param placement where hugepages are to be found; {@link Placement#NONE} leaves it to the
   *     allocators
   * @throws BadInput when the kernel could not even start on this machine
   */
  public static LabKernel boot(MachineSpec spec, Placement placement) {
    return boot(spec, placement, Listener.NONE);
  }

  /** Boots {@code spec} and tells {@code listener} on the way. */
  public static LabKernel boot(MachineSpec spec, Placement placement, Listener listener) {
    LabKernel kernel = off(spec, placement);
    while (!kernel.booted()) {
      kernel.bootOn(listener);
    }
    return kernel;
  }

  /** The machine before its first instruction; {@link #bootOn} lets it boot, stage by stage. */
  public static LabKernel off(MachineSpec spec, Placement placement) {
    return new LabKernel(spec, placement);
  }

  /** True when all stages of boot are done. */
  public boolean booted() {
    return stagesDone == STAGES;
  }

  /** The next stage of boot: {@code setup_arch()}, {@code start_kernel()}, the initcalls. */
  public void bootOn(Listener listener) {
    switch (stagesDone++) {
      case 0 -> setupArch();
      case 1 -> {
        listener.beforeMmCoreInit(this);
        startKernel(listener);
      }
      case 2 -> initcalls(listener);
      default -> throw new IllegalStateException("booted already");
    }
  }

  /**
   * Boots only until zones, sections and the boot memmap exist ({@code mm_core_init_early()}): no
   * page can be allocated, and most struct pages are not initialised yet. Costs little even for a
   * machine with terabytes.
   */
  public static LabKernel bootEarly(MachineSpec spec) {
    return bootEarly(spec, Listener.NONE);
  }

  /** The same, and tells {@code listener} before it begins. */
  public static LabKernel bootEarly(MachineSpec spec, Listener listener) {
    LabKernel kernel = new LabKernel(spec, Placement.NONE);
    kernel.setupArch();
    listener.beforeMmCoreInit(kernel);
    kernel.mmInit.mmCoreInitEarly(kernel.platform.archZoneLimitsInit());
    return kernel;
  }

  /** Memory map, early parameters, boot allocator, resources. */
  @Kernel(
      file = "arch/x86/kernel/setup.c",
      symbol = "setup_arch",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only the calls that concern memory; mem= and memmap= were applied to the spec.")
  private void setupArch() {
    mm.printk().prInfo("Command line: " + String.join(" ", spec.cmdline()));
    KernelParameters.printUnknownBootoptions(parseParams(), mm.printk());
    platform.setupArch(parts);
  }

  /** Early parameters by their owners. Returns those that nobody here owns. */
  private List<Cmdline.Param> parseParams() {
    List<Cmdline.Param> unowned = new ArrayList<>();
    for (Cmdline.Param param : Cmdline.params(spec.cmdline())) {
      Integer rc = parseParam(param);
      if (rc == null) {
        unowned.add(param);
      } else if (rc != 0) {
        mm.printk().prWarn("Malformed early option '" + param.name() + "'");
      }
    }
    return unowned;
  }

  private @Nullable Integer parseParam(Cmdline.Param param) {
    return switch (param.name().replace('-', '_')) {
      case "kernelcore" -> mmInit.cmdlineParseKernelcore(param.value());
      case "movablecore" -> mmInit.cmdlineParseMovablecore(param.value());
      case "init_on_alloc" -> mmInit.earlyInitOnAlloc(param.value());
      case "init_on_free" -> mmInit.earlyInitOnFree(param.value());
      case "check_pages" -> mmInit.earlyCheckPages(param.value());
      case "page_poison" -> mmInit.earlyPagePoisonParam(param.value());
      case "debug_pagealloc" -> mmInit.earlyDebugPagealloc(param.value());
      case "memory_hotplug.memmap_on_memory" -> hotplug.params().setMemmapMode(param.value());
      case "memory_hotplug.online_policy" -> hotplug.params().setOnlinePolicy(param.value());
      case "memory_hotplug.auto_movable_ratio" ->
          hotplug.params().setAutoMovableRatio(param.value());
      case "memory_hotplug.auto_movable_numa_aware" ->
          hotplug.params().setAutoMovableNumaAware(param.value());
      case "movable_node" -> hotplug.params().cmdlineParseMovableNode();
      case "memhp_default_state" -> hotplug.params().setupMemhpDefaultState(param.value());
      case "mem", "memmap", "numa" -> 0;
      default -> hugetlb.earlyParam(param.name().replace('-', '_'), param.value());
    };
  }

  @Kernel(
      file = "init/main.c",
      symbol = "start_kernel",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only the calls that concern the memmap.")
  private void startKernel(Listener listener) {
    mmInit.mmCoreInitEarly(platform.archZoneLimitsInit());
    listener.beforeBuddy(this);
    mmInit.mmCoreInit();
    pageAlloc.setupPerCpuPageset();
    mmInit.pageAllocInitLate();
  }

  @Kernel(
      file = "init/main.c",
      symbol = "do_initcalls",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The initcalls of the ported files, in the order of their levels.")
  private void initcalls(Listener listener) {
    hotplug.driverInit();
    new NotifierErrInject(mm).errInjectInit(hotplug.online());
    cma.cmaInitReservedAreas();
    pageAlloc.initPerZoneWmarkMin();
    hugetlb.bootmem().giganticPagesInit();
    listener.beforeHugetlbInit(this);
    hugetlb.bootmem().hugetlbInit();
    platform.initcalls(parts);
    if (!spec.softReserved().isEmpty()) {
      mm.printk().warnOn(dax.registerHmem() != 0, "hmem_init: no device for soft-reserved memory");
    }
    if (!spec.pmem().isEmpty()) {
      int rc = platform.registerPmem(dax, spec);
      mm.printk().warnOn(rc != 0, "pmem: no region for persistent memory");
    }
    hugetlb.vmemmap().hugetlbVmemmapInit();
  }

  /**
   * The top-level page table of a new process, linear address; 0 on an architecture where processes
   * do not share the kernel's part of it.
   */
  public long newProcessPageTable() {
    return platform.pgdAlloc();
  }

  /** Linear addresses of all that {@link #newProcessPageTable} made. */
  public List<Long> processPageTables() {
    return platform.processPageTables();
  }

  /** {@code max_pfn}: the first pfn behind all memory, as the architecture keeps it. */
  public long maxPfn() {
    return platform.maxPfn();
  }

  /** What was booted. */
  public MachineSpec spec() {
    return spec;
  }

  /** The memory manager's shared state. */
  public Mm mm() {
    return mm;
  }

  /** The boot allocator. */
  public Memblock memblock() {
    return memblock;
  }

  /** The page allocator. */
  public PageAlloc pageAlloc() {
    return pageAlloc;
  }

  /** The slab stand-in. */
  public Slab slab() {
    return slab;
  }

  /** The memmap. */
  public SparseVmemmap sparseVmemmap() {
    return sparseVmemmap;
  }

  /** Sections. */
  public Sparse sparse() {
    return sparse;
  }

  /** Zones and struct pages. */
  public MmInit mmInit() {
    return mmInit;
  }

  /** Memory set aside for large allocations. */
  public Cma cma() {
    return cma;
  }

  /** Memory that comes and goes. */
  public MemoryHotplug memoryHotplug() {
    return memoryHotplug;
  }

  /** Adding, removing, online and offline of memory. */
  public HotplugSystem hotplug() {
    return hotplug;
  }

  /** Who plugs memory from outside. */
  public HotplugDrivers hotplugDrivers() {
    return hotplugDrivers;
  }

  /** HugeTLB. */
  public HugetlbSystem hugetlb() {
    return hugetlb;
  }

  /** Device memory: regions exist after boot, no device is bound. */
  public DaxBus dax() {
    return dax;
  }

  /** The resource trees. */
  public IomemResource iomem() {
    return iomem;
  }

  /**
   * {@code echo value > path}.
   *
   * @return 0, or the negative error code that the write returns; -ENOENT for a file that is not
   *     there
   */
  public int write(String path, String value) {
    if (path.startsWith(MEMORY)) {
      return hotplug.sysfs().write(path, value);
    }
    return path.startsWith(DAX) ? daxSysfs.write(path, value) : hugetlb.sysfs().write(path, value);
  }

  /** {@code cat path}, without the last newline; null for a file that is not there. */
  public @Nullable String read(String path) {
    String text =
        switch (path) {
          case "/proc/vmstat" -> vmstat();
          case "/proc/zoneinfo" -> ProcFs.zoneinfo(mm, pageAlloc);
          case "/proc/meminfo" -> meminfo();
          case "/proc/iomem" -> iomem.show().stripTrailing();
          case "/proc/cmdline" -> String.join(" ", spec.cmdline());
          case "/dev/kmsg" -> ProcFs.dmesg(mm.printk());
          case "/sys/devices/system/memory/block_size_bytes" ->
              Long.toHexString(spec.memoryBlockSize());
          case "/sys/devices/system/node/online" -> ProcFs.onlineNodes(mm);
          default -> null;
        };
    if (text != null) {
      return text;
    }
    if (path.startsWith(MEMORY)) {
      return hotplug.sysfs().read(path);
    }
    return path.startsWith(DAX) ? daxSysfs.read(path) : hugetlb.sysfs().read(path);
  }

  private String meminfo() {
    Pages pages = pages();
    long pageSize = mm.model().pageSize();
    return (ProcFs.meminfo(pageSize, pages.managed(), pages.free())
            + ProcFs.meminfoCma(pageSize, pageAlloc.totalcmaPages(), pages.freeCma())
            + hugetlb.hugetlb().hugetlbReportMeminfo())
        .stripTrailing();
  }

  private String vmstat() {
    Pages pages = pages();
    return ProcFs.vmstat(mm, pages.free(), pages.freeCma(), cma);
  }

  private record Pages(long managed, long free, long freeCma) {}

  private Pages pages() {
    long managed = 0;
    long free = 0;
    long freeCma = 0;
    for (PgData node : mm.nodes().online()) {
      for (Zone zone : node.zones()) {
        managed += zone.managedPages;
        free += zone.populated() ? pageAlloc.nrFreePages(zone) : 0;
        freeCma += zone.populated() ? pageAlloc.nrFreeCmaPages(zone) : 0;
      }
    }
    return new Pages(managed, free, freeCma);
  }
}
