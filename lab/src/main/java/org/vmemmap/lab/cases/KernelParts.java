// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.HugetlbTask;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;

/**
 * The pools and devices of a booted kernel, for the replay: what is there, and what is done to it.
 */
final class KernelParts implements ModelView {
  private static final String OPTIMIZE = "/proc/sys/vm/hugetlb_optimize_vmemmap";
  private static final String POOLS = "/sys/kernel/mm/hugepages/hugepages-";

  private final LabKernel kernel;
  private final HotplugParts hotplug;
  private final Map<Long, Past> past = new HashMap<>();
  private final Set<Long> namespaces = new HashSet<>();
  private final Map<Long, String> letters = new HashMap<>();
  private @Nullable VmemAltmap lastAltmap;

  KernelParts(LabKernel kernel) {
    this.kernel = kernel;
    this.hotplug = new HotplugParts(kernel);
  }

  /** Memory that comes and goes. */
  HotplugParts hotplug() {
    return hotplug;
  }

  /** Remembers where memory was plugged. */
  void added(VmemmapCase.AddMemory memory) {
    past.put(pfn(memory.start()), Past.HOT_ADDED);
  }

  /** Remembers from where it was to be unplugged. */
  void removed(VmemmapCase.RemoveMemory removal) {
    past.put(pfn(removal.start()), Past.REMOVED_MEMORY);
  }

  @Override
  public boolean selfHosted() {
    return hotplug.selfHosted();
  }

  @Override
  public Mm mm() {
    return kernel.mm();
  }

  @Override
  public MachineSpec spec() {
    return kernel.spec();
  }

  @Override
  public List<Pool> pools() {
    List<Pool> pools = new ArrayList<>();
    for (Hstate h : kernel.hugetlb().hstates().all()) {
      long size = h.hugePageSize();
      String dir = POOLS + size / 1024 + "kB/";
      if (kernel.read(dir + "nr_hugepages") != null) {
        pools.add(
            new Pool(
                size,
                number(dir + "nr_hugepages"),
                number(dir + "free_hugepages"),
                number(dir + "surplus_hugepages"),
                number(dir + "resv_hugepages"),
                perNode(size)));
      }
    }
    return pools;
  }

  private SortedMap<Integer, Long> perNode(long size) {
    SortedMap<Integer, Long> nodes = new TreeMap<>();
    for (PgData node : mm().nodes().online()) {
      String file =
          "/sys/devices/system/node/node%d/hugepages/hugepages-%dkB/nr_hugepages"
              .formatted(node.nodeId(), size / 1024);
      if (kernel.read(file) != null) {
        nodes.put(node.nodeId(), number(file));
      }
    }
    return nodes;
  }

  private long number(String file) {
    String text = kernel.read(file);
    return text == null ? -1 : Long.parseLong(text.strip());
  }

  /** Read from the pools' lists: free pages of each node, then those in use. */
  @Override
  public List<Hugepage> hugepages() {
    List<Hugepage> pages = new ArrayList<>();
    for (Hstate h : kernel.hugetlb().hstates().all()) {
      for (PgData node : mm().nodes().online()) {
        list(h, h.hugepageFreelists(node.nodeId()), pages);
      }
      list(h, h.hugepageActivelist(), pages);
    }
    return pages;
  }

  private void list(Hstate h, ListHead head, List<Hugepage> pages) {
    ListHead at = mm().lists().first(head);
    for (; at.va() != head.va(); at = mm().lists().next(at)) {
      long pfn = mm().model().pageToPfn(mm().struct().ofLru(at));
      pages.add(new Hugepage(pfn, h.hugePageOrder()));
    }
  }

  @Override
  public long freePages(Zone zone) {
    return kernel.pageAlloc().nrFreePages(zone);
  }

  @Override
  public long badPageReports() {
    return kernel.pageAlloc().badPageReports();
  }

  @Override
  public List<Device> devices() {
    List<Device> devices = new ArrayList<>();
    for (DaxBus.Bound bound : kernel.dax().bound()) {
      DevPagemap.Range range = bound.pgmap().ranges[0];
      devices.add(
          new Device(
              bound.device(),
              pfn(range.start()),
              pfn(range.len()),
              bound.dataPfn(),
              bound.pgmap()));
    }
    return devices;
  }

  private long pfn(long paddr) {
    return mm().model().physPfn(paddr);
  }

  /** Says which devices the case has, by name, and where they start; several have letters. */
  void name(Map<String, Long> devices) {
    if (devices.values().stream().distinct().count() > 1) {
      devices.forEach((device, start) -> letters.put(pfn(start), device));
    }
  }

  @Override
  public String letter(long pfn) {
    return letters.getOrDefault(pfn, "");
  }

  @Override
  public @Nullable VmemAltmap altmap() {
    for (Device device : devices()) {
      if (device.pgmap().altmapValid) {
        return device.pgmap().altmap;
      }
    }
    return lastAltmap;
  }

  @Override
  public Past past(long pfn) {
    return past.getOrDefault(pfn, Past.NOTHING);
  }

  @Override
  public @Nullable String optimizeSysctl() {
    return kernel.read(OPTIMIZE);
  }

  /** Remembers hugepages and devices: later they may be gone. */
  void settle() {
    for (Hugepage page : hugepages()) {
      past.put(page.pfn(), Past.HUGEPAGE);
    }
    for (Device device : devices()) {
      past.put(device.startPfn(), Past.REMOVED_DEVICE);
      if (device.pgmap().altmapValid) {
        lastAltmap = device.pgmap().altmap;
      }
    }
  }

  /** Names the hugepages that a pool is to give up first. */
  void preferForRemoval(long size, Set<Long> pfns) {
    kernel.hugetlb().hugetlb().preferForRemoval(size, pfns);
  }

  /**
   * Names the hugepages that get their memmap back before memory runs out, when a pool is about to
   * shrink to {@code count} pages; {@code node} is null for all nodes.
   */
  void preferForRestore(long size, Set<Long> pfns, long count, @Nullable Integer node) {
    Hstate h = Objects.requireNonNull(kernel.hugetlb().hstates().sizeToHstate(size), "pool");
    long persistent =
        node == null
            ? h.nrHugePages - h.surplusHugePages
            : h.nrHugePagesNode[node] - h.surplusHugePagesNode[node];
    int nid = node == null ? -1 : node;
    kernel.hugetlb().hugetlb().preferForRestore(size, pfns, persistent - count, nid);
  }

  /** A process maps or unmaps a hugepage. */
  void mapHugepage(VmemmapCase.MapHugepage map) {
    HugetlbTask process = kernel.hugetlb().task();
    long size = map.size() == 0 ? sizeAt(map.pfn()) : map.size();
    long rc =
        map.map() ? process.mapHugepage(size, map.pfn()) : process.unmapHugepage(size, map.pfn());
    if (rc < 0) {
      throw new IllegalStateException(map + ": " + Errno.name((int) rc));
    }
  }

  private long sizeAt(long pfn) {
    for (Hugepage page : hugepages()) {
      if (page.pfn() == pfn) {
        return mm().model().pageSize() << page.order();
      }
    }
    return 0;
  }

  /** A process maps and writes a part of a device. */
  void mapDevice(VmemmapCase.MapDevice map) {
    int rc = kernel.dax().mapDevice(map.device());
    if (rc != 0) {
      throw new IllegalStateException(map + ": " + Errno.name(rc));
    }
  }

  /** Binds the device-DAX driver; the driver's return code. */
  int daxBind(VmemmapCase.DaxBind bind) {
    DaxBus.MapTo map = bind.map().equals("dev") ? DaxBus.MapTo.DEV : DaxBus.MapTo.MEM;
    int rc =
        switch (bind.source()) {
          case "hmem" -> bind(bind, DaxBus.Source.HMEM, map);
          case "pmem" -> bind(bind, DaxBus.Source.PMEM, map);
          case "helper" -> bindGiven(bind);
          default -> bindNamespace(bind, map);
        };
    return tried(bind.memremap().start(), rc);
  }

  private int bind(VmemmapCase.DaxBind bind, DaxBus.Source source, DaxBus.MapTo map) {
    return kernel
        .dax()
        .bind(bind.device(), source, bind.start(), bind.size(), bind.align(), map);
  }

  /** Firmware named the range before; the case does so in the operation that uses it. */
  private int bindNamespace(VmemmapCase.DaxBind bind, DaxBus.MapTo map) {
    VmemmapCase.Remap remap = bind.memremap();
    if (namespaces.add(remap.start())) {
      int node = kernel.spec().physToTargetNode(remap.start());
      int rc = kernel.dax().registerNamespace(remap.start(), remap.size(), node);
      if (rc != 0) {
        return rc;
      }
    }
    return bind(bind, DaxBus.Source.PMEM, map);
  }

  private int bindGiven(VmemmapCase.DaxBind bind) {
    VmemmapCase.Remap remap = bind.memremap();
    return kernel
        .dax()
        .bindGiven(
            bind.device(),
            range(bind.start(), bind.size()),
            bind.align(),
            range(remap.start(), remap.size()),
            altmap(remap.altmap()),
            kernel.spec().physToTargetNode(remap.start()));
  }

  private static DevPagemap.Range range(long start, long size) {
    return new DevPagemap.Range(start, start + size - 1);
  }

  private static DaxBus.@Nullable Altmap altmap(VmemmapCase.@Nullable Altmap given) {
    return given == null
        ? null
        : new DaxBus.Altmap(given.basePfn(), given.reservePages(), given.freePages());
  }

  private int tried(long start, int rc) {
    if (rc != 0) {
      past.put(pfn(start), Past.FAILED_DEVICE);
    }
    return rc;
  }

  /** Unbinds the device-DAX driver. */
  int daxUnbind(VmemmapCase.DaxUnbind unbind) {
    settle();
    return kernel.dax().unbind(unbind.device());
  }

  /** Calls memremap_pages(). */
  int memremap(VmemmapCase.Memremap remap) {
    VmemmapCase.Remap what = remap.remap();
    int rc =
        kernel
            .dax()
            .memremap(
                remap.device(),
                what.start(),
                what.size(),
                what.vmemmapShift(),
                altmap(what.altmap()),
                remap.node());
    VmemAltmap altmap = kernel.dax().lastAltmap(remap.device());
    if (rc != 0 && altmap != null) {
      lastAltmap = altmap;
    }
    return tried(what.start(), rc);
  }

  /** Calls memunmap_pages(). */
  int memunmap(VmemmapCase.Memunmap unmap) {
    settle();
    return kernel.dax().memunmap(unmap.device());
  }
}
