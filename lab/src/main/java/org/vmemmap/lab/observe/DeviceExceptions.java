// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.VmemAltmap;

/**
 * Where the kernel itself does not keep the rules in device memory.
 *
 * <ul>
 *   <li>The pages of an altmap's reserve are never initialised: their struct pages hold whatever
 *       the frame held before.
 *   <li>When memory runs out while a device is mapped, the sections that were added first stay, and
 *       nobody initialises their struct pages.
 *   <li>Nobody checks that a device starts at a multiple of its compound pages. If it does not, the
 *       mask in a tail leads to an address before the head, and the memmap has a compound page more
 *       or less in each section than the counter reckons with.
 *   <li>powerpc radix: where a compound device meets a memmap leaf that was there before, the leaf
 *       stays and no tail is shared, but only the struct pages that an optimised compound page has
 *       for itself are initialised. Nobody writes the tails behind them.
 *   <li>Before patch 6 the pageblocks that begin with such a tail keep the type that they had.
 * </ul>
 */
final class DeviceExceptions {
  /** Pages of memmap that a compound page kept for itself before patch 34. */
  private static final int VMEMMAP_RESERVE_NR = 2;

  private record Run(long start, long end) {}

  private record Compound(long start, long end, long pages) {}

  private final long perPage;
  private final SparseVmemmap vmemmap;
  private final List<Run> mapped = new ArrayList<>();
  private final List<Run> reserves = new ArrayList<>();
  private final List<Run> misaligned = new ArrayList<>();
  private final List<Compound> optimised = new ArrayList<>();

  DeviceExceptions(LabKernel kernel) {
    this.vmemmap = kernel.sparseVmemmap();
    this.perPage = kernel.mm().model().pageSize() / kernel.mm().config().sizeofStructPage();
    for (DaxBus.Bound bound : kernel.dax().bound()) {
      DevPagemap pgmap = bound.pgmap();
      long start = kernel.mm().model().physPfn(pgmap.ranges[0].start());
      long pages = kernel.mm().model().physPfn(pgmap.ranges[0].len());
      mapped.add(new Run(start, start + pages));
      VmemAltmap altmap = pgmap.pgmapAltmap();
      if (altmap != null) {
        reserves.add(new Run(altmap.basePfn, altmap.basePfn + altmap.reserve));
      }
      if (start % pgmap.vmemmapNr() != 0) {
        misaligned.add(new Run(start, start + pages));
      }
      if (vmemmap.daxBySection() || vmemmap.vmemmapCanOptimize(altmap, pgmap)) {
        optimised.add(new Compound(start, start + pages, pgmap.vmemmapNr()));
      }
    }
  }

  /** All that this knows, to be compared with a later time. */
  List<Object> facts() {
    return List.of(mapped, reserves, misaligned, optimised);
  }

  /** True for a page of a mapped device whose struct page was initialised. */
  boolean initialised(long pfn) {
    return in(mapped, pfn) && !in(reserves, pfn);
  }

  /** True for a tail of an optimised compound page behind those that the kernel initialises. */
  boolean behindReserve(long pfn) {
    for (Compound run : optimised) {
      if (pfn >= run.start() && pfn < run.end()) {
        return (pfn - run.start()) % run.pages() >= initialised(run, pfn);
      }
    }
    return false;
  }

  /** How many struct pages of the compound page around {@code pfn} the kernel initialises. */
  private long initialised(Compound run, long pfn) {
    if (!vmemmap.daxBySection()) {
      return VMEMMAP_RESERVE_NR * perPage;
    }
    return vmemmap.sharesTails(pfn) ? perPage : run.pages();
  }

  /** True for a page of a device that does not start at a multiple of its compound pages. */
  boolean misaligned(long pfn) {
    return in(misaligned, pfn);
  }

  /** True when two devices have struct pages in one page of memmap: it counts for each of them. */
  boolean sharePages() {
    for (Run one : mapped) {
      for (Run other : mapped) {
        if (one.end() <= other.start() && page(one.end() - 1) == page(other.start())) {
          return true;
        }
      }
    }
    return false;
  }

  /** True when the first or last struct page of a device is not mapped. */
  boolean lostPages(MemmapReader reader) {
    for (Run run : mapped) {
      if (!reader.mapped(run.start()) || !reader.mapped(run.end() - 1)) {
        return true;
      }
    }
    return false;
  }

  /** Pages of memmap of optimised devices that have no frame of their own. */
  long sharedPages(MemmapReader reader) {
    long shared = 0;
    for (Compound run : optimised) {
      FrameCounts frames = new FrameCounts();
      for (long pfn = run.start(); pfn < run.end(); pfn += perPage) {
        frames.add(reader.frame(pfn), 1, 0);
      }
      shared += (run.end() - run.start()) / perPage - frames.distinct();
    }
    return shared;
  }

  private long page(long pfn) {
    return pfn / perPage;
  }

  /** True for a device's page whose memmap page also has struct pages of what is outside of it. */
  boolean atBorder(long pfn) {
    for (Run run : mapped) {
      if (pfn >= run.start() && pfn < run.end()) {
        return page(pfn) * perPage < run.start() || (page(pfn) + 1) * perPage > run.end();
      }
    }
    return false;
  }

  /** True when there is such a device. */
  boolean anyMisaligned() {
    return !misaligned.isEmpty();
  }

  private static boolean in(List<Run> runs, long pfn) {
    for (Run run : runs) {
      if (pfn >= run.start() && pfn < run.end()) {
        return true;
      }
    }
    return false;
  }
}
