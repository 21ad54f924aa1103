// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Series;
import org.vmemmap.types.ZoneType;

/**
 * A small PC at a level of the series, with room for devices above its RAM.
 *
 * <pre>
 *   | RAM 512M |            nothing             | 16G: devices ...
 * </pre>
 */
final class SeriesMachine {
  /** First byte of the first device. */
  static final long DEVICE = 16L << 30;

  static final long GIB = 1L << 30;

  private final LabKernel kernel;

  SeriesMachine(int level, String... cmdline) {
    this(spec(512L << 20, cmdline).withSeries(Series.at(level)));
  }

  SeriesMachine(MachineSpec spec) {
    kernel = LabKernel.boot(spec, Placement.NONE);
  }

  /** A machine of one node with {@code bytes} of RAM. */
  static MachineSpec spec(long bytes, String... cmdline) {
    return withDevices(MachineSpecs.ofSize(bytes, 1, List.of(), 4, List.of(cmdline)));
  }

  /** The machine with 4 GiB of device memory. */
  static MachineSpec withDevices(MachineSpec machine) {
    return withDeviceMemory(machine, List.of(new Ram(DEVICE, DEVICE + 4 * GIB, 0)));
  }

  /** The machine with that device memory. */
  static MachineSpec withDeviceMemory(MachineSpec machine, List<Ram> devices) {
    return machine.withMemory(MemoryRanges.Kind.DEVICE, devices);
  }

  /**
   * 5 GiB of RAM with an optimised boot page of 1 GiB in the only place for it, at 4 GiB.
   *
   * <pre>
   *   | 3G RAM |  hole  | 4G: hugepage | 5G: RAM |
   * </pre>
   */
  static MachineSpec hugepageSpec() {
    MachineSpec pc = spec(5L << 30, "hugetlb_free_vmemmap=on", "hugepagesz=1G", "hugepages=1");
    return pc.withConfig(pc.config().withDeferredStructPageInit(false));
  }

  /**
   * 8 GiB of RAM, ZONE_MOVABLE from 6.5 GiB on, and four hugepages of 1 GiB, taken from the top.
   *
   * <pre>
   *   | 3G RAM | hole |  4G  |  5G  |  6G  |  7G  | 8G |
   *                   |     Normal     |   Movable     |
   * </pre>
   */
  static MachineSpec crossZoneSpec(List<String> more) {
    List<String> words = new ArrayList<>(more);
    words.addAll(List.of("movablecore=2560M", "hugepagesz=1G", "hugepages=4"));
    return spec(8L << 30, words.toArray(String[]::new));
  }

  /**
   * Two nodes of 5 GiB with a CMA area of 1 GiB on each, and one boot page from there, which is node
   * 0's turn. ZONE_MOVABLE of node 0 starts in its area.
   *
   * <pre>
   *   node 0                                 node 1
   *   | 3G RAM | hole | 4G area | 5G       6G|    area  | 7G         11G
   *                   | Normal |   Movable   |     Normal       | Movable |
   * </pre>
   */
  static MachineSpec cmaSpec(List<String> more) {
    List<String> words = new ArrayList<>(more);
    words.addAll(
        List.of(
            "movablecore=3G", "hugetlb_cma=2G", "hugetlb_cma_only=on", "hugepagesz=1G",
            "hugepages=1"));
    return MachineSpecs.ofSize(10L << 30, 2, List.of(), 4, words);
  }

  LabKernel kernel() {
    return kernel;
  }

  /** Maps a device in compound pages of 2^{@code shift} pages without altmap; returns 0 or error. */
  int addDevice(String name, long start, long bytes, int shift) {
    return kernel.dax().memremap(name, start, bytes, shift, null, 0);
  }

  /** Unmaps it. */
  void removeDevice(String name) {
    kernel.dax().memunmap(name);
  }

  /** Adds memory as hotplug does, without a device; returns 0 or error. */
  int addSection(long start, long bytes) {
    return addSection(start, bytes, null, 0, ZoneType.ZONE_DEVICE);
  }

  /** Adds at most a section with what its caller may say of compound pages; returns 0 or error. */
  int addSection(long start, long bytes, @Nullable DevPagemap pgmap, int order, ZoneType zone) {
    return kernel
        .sparseVmemmap()
        .sparseAddSection(
            0,
            start >>> 12,
            bytes >>> 12,
            null,
            pgmap,
            order,
            kernel.mm().nodes().nodeData(0).zone(zone));
  }

  /** Lets every allocation of memmap fail until {@link #healMemory}. */
  void exhaustMemory() {
    kernel.mm().machine().faults().failFrom(1, site -> site.equals("vmemmap_alloc_block"));
  }

  void healMemory() {
    kernel.mm().machine().faults().disarm();
  }

  /** The type of the pageblock at a physical address. */
  Migratetype migratetype(long paddr) {
    return kernel
        .pageAlloc()
        .getPfnblockMigratetype(kernel.mm().model().pfnToPage(paddr >>> 12), paddr >>> 12);
  }

  /** True when a WARN with this text was hit. */
  boolean warned(String text) {
    return kernel.mm().printk().warnings().stream().anyMatch(w -> w.contains(text));
  }

  /** nr_memmap_pages. */
  long memmapPages() {
    return kernel.mm().vmstat().nrMemmapPages();
  }

  /** nr_memmap_boot_pages. */
  long memmapBootPages() {
    return kernel.mm().vmstat().nrMemmapBootPages();
  }
}
