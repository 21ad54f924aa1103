// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.dax.DaxBus;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Mm;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.ZoneType;

/**
 * Device memory in compound pages: whether their memmap is shared is asked when it is populated, when
 * it is counted and when it is initialised. What each of the three did must fit the others.
 *
 * <pre>
 *   memmap of a compound page   | own | (own) | tail | tail ...     population: frames
 *                                 ^ counted       ^ not             section_vmemmap_pages() and its like
 *                                 ^ initialised                     the last struct page of its own
 * </pre>
 *
 * A device that begins within a compound page is left out, see {@link DeviceExceptions}.
 */
final class DeviceRules {
  static final String PREDICATE = "device-memmap-one-predicate";
  static final String PGMAP = "device-page-pgmap";

  /** Pages of memmap that a compound page kept for itself before patch 34. */
  private static final int RESERVE = 2;

  private static final int PGMAP_WORD = 1;

  private final LabKernel kernel;
  private final Mm mm;
  private final SparseVmemmap vmemmap;
  private final MemmapReader reader;
  private final Invariants found;
  private final int size;
  private final long perPage;

  DeviceRules(LabKernel kernel, Invariants found) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.vmemmap = kernel.sparseVmemmap();
    this.reader = new MemmapReader(mm);
    this.found = found;
    this.size = mm.config().sizeofStructPage();
    this.perPage = mm.model().pageSize() / size;
  }

  void check() {
    for (DaxBus.Bound bound : kernel.dax().bound()) {
      DevPagemap pgmap = bound.pgmap();
      long start = mm.model().physPfn(pgmap.ranges[0].start());
      long end = start + mm.model().physPfn(pgmap.ranges[0].len());
      long pages = pgmap.vmemmapNr();
      if (start % pages == 0) {
        pgmaps(pgmap, bound.dataPfn(), bound.dataPages(), pages);
      }
      boolean aligned = start % pages == 0 && (end - start) % pages == 0;
      if (aligned && mm.config().structPageIsPowerOf2() && pages > RESERVE * perPage) {
        for (long head = start; head < end; head += pages) {
          compound(pgmap, head, pages);
        }
      }
    }
  }

  /** The first and the last compound page of the data name the device that they belong to. */
  private void pgmaps(DevPagemap pgmap, long start, long count, long pages) {
    long last = start + (count - 1) / pages * pages;
    for (long head : new long[] {start, last}) {
      found.checked(PGMAP, 1);
      if (reader.mapped(head) && reader.word(head, PGMAP_WORD) != pgmap.va()) {
        found.violated(PGMAP, "pfn", head, "does not name the pgmap of its device");
      }
    }
  }

  private void compound(DevPagemap pgmap, long head, long pages) {
    VmemAltmap altmap = pgmap.pgmapAltmap();
    boolean bySection = vmemmap.daxBySection();
    boolean shares = bySection ? vmemmap.sharesTails(head) : vmemmap.vmemmapCanOptimize(altmap, pgmap);
    if (reader.mapped(head) && ofBoot(head)) {
      boolean left = shares && !bySection && !mm.series().initsDeviceTailsInBootSections();
      lastOwn(left ? head : head + pages - 1);
      return;
    } else if (!reader.mapped(head) || reader.inLargeLeaf(head)) {
      return;
    }
    long own = shares ? (bySection ? 1 : RESERVE) : pages / perPage;
    long frames = frames(head, pages);
    found.checked(PREDICATE, 1);
    // What is shared lies in the zone's frame; before patch 34 in the last of its own.
    if (frames != own + (shares && bySection ? 1 : 0)) {
      found.violated(
          PREDICATE,
          "pfn",
          head,
          "has a memmap of %d frames, where %d count".formatted(frames, own));
    }
    if (shares) {
      lastOwn(head + own * perPage - 1);
    }
  }

  private void lastOwn(long pfn) {
    if (mm.inline().zonenum(reader.word(pfn, 0)) != ZoneType.ZONE_DEVICE) {
      found.violated(PREDICATE, "pfn", pfn, "has a struct page of its own that nobody initialised");
    }
  }

  /**
   * True in a section of boot, which has all its memmap already, whatever the device wants: all its
   * struct pages are its own. Kernels with neither the fix of this nor patch 34 initialise no more of
   * them than elsewhere.
   */
  private boolean ofBoot(long pfn) {
    return mm.mmzone().earlySection(mm.mmzone().pfnToSection(pfn));
  }

  /** Different frames behind the memmap of a compound page. */
  private long frames(long head, long pages) {
    FrameCounts frames = new FrameCounts();
    for (long pfn = head; pfn < head + pages; pfn += perPage) {
      frames.add(reader.frame(pfn), 1, 0);
    }
    return frames.distinct();
  }
}
