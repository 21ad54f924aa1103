// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.List;
import java.util.SortedMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;

/**
 * What {@link ActualState} reads from a model beyond the headers' state: the pools, the devices,
 * and what used to be where. Everything is as of now.
 */
interface ModelView {
  /** The memory manager. */
  Mm mm();

  /** What was booted. */
  MachineSpec spec();

  /** The pools, one for each size. */
  List<Pool> pools();

  /** Heads of the hugepages of the pools: first pfn and order. */
  List<Hugepage> hugepages();

  /** Free pages of a zone, those on per-CPU lists included. */
  long freePages(Zone zone);

  /** How often the kernel has reported a page in a bad state. */
  long badPageReports();

  /** The devices that are mapped now. */
  List<Device> devices();

  /**
   * The letter by which a case with several devices names the one that starts at {@code pfn}, now
   * or at another time; empty for none.
   */
  String letter(long pfn);

  /** The altmap of the device that has one, or of the last that had; null for none. */
  @Nullable VmemAltmap altmap();

  /** What used to start at {@code pfn}. */
  Past past(long pfn);

  /** What vm.hugetlb_optimize_vmemmap reads; null when there is no such file. */
  @Nullable String optimizeSysctl();

  /**
   * A pool; counts are hugepages.
   *
   * @param size bytes of a hugepage
   * @param perNode total by node, for nodes with memory
   */
  record Pool(
      long size,
      long total,
      long free,
      long surplus,
      long reserved,
      SortedMap<Integer, Long> perNode) {}

  /** A hugepage of a pool. */
  record Hugepage(long pfn, int order) {}

  /**
   * A device whose memory is mapped.
   *
   * @param startPfn first pfn of the mapped range
   * @param pages length of the mapped range
   * @param dataPfn first pfn of the data area
   * @param pgmap what its struct pages point to
   */
  record Device(String name, long startPfn, long pages, long dataPfn, DevPagemap pgmap) {}

  /** True when plugged memory holds its own memmap. */
  default boolean selfHosted() {
    return false;
  }

  /** What a run of pfns used to be. */
  enum Past {
    /** Nothing that the replay did. */
    NOTHING,
    /** A hugepage that went back to the page allocator. */
    HUGEPAGE,
    /** A device that could not be bound. */
    FAILED_DEVICE,
    /** A device that was removed. */
    REMOVED_DEVICE,
    /** Memory that was plugged. */
    HOT_ADDED,
    /** Memory that was to be unplugged. */
    REMOVED_MEMORY
  }
}
