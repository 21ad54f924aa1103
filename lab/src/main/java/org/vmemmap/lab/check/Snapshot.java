// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.Map;
import java.util.TreeMap;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.types.Owner;

/**
 * What a failed operation must leave alone: counters, present sections, frames by owner, and the
 * struct pages of RAM that is in use. Free pages may lie on other lists than before.
 *
 * <p>Of a struct page in use the link to neighbours on a list is left out: a neighbour may have come
 * and gone.
 */
final class Snapshot {
  private static final int INFO = 1;
  private static final int MAPPING = 3;
  private static final int COUNTS = 6;

  private final Map<String, Long> counts = new TreeMap<>();
  private final Map<Long, Long> pages = new TreeMap<>();

  Snapshot(LabKernel kernel) {
    var mm = kernel.mm();
    counts.put("nr_memmap_pages", mm.vmstat().nrMemmapPages());
    counts.put("nr_memmap_boot_pages", mm.vmstat().nrMemmapBootPages());
    for (FrameOwner owner : mm.machine().ledger().owners()) {
      if (owner != Owner.BUDDY && owner != Owner.SLAB) {
        counts.put("frames of " + owner.name(), mm.machine().ledger().count(owner));
      }
    }
    long sections = 0;
    for (long nr = mm.mmzone().nextPresentSectionNr(-1); nr >= 0; ) {
      sections++;
      nr = mm.mmzone().nextPresentSectionNr(nr);
    }
    counts.put("present sections", sections);
    MemmapReader reader = new MemmapReader(mm);
    int shift = mm.model().pageShift();
    for (Ram range : kernel.spec().ram()) {
      for (long pfn = range.start() >>> shift; pfn < range.end() >>> shift; pfn++) {
        FrameOwner owner = mm.machine().ledger().ownerOf(pfn);
        boolean inUse = owner == Owner.HUGEPAGE || owner == Owner.RESERVED;
        if (inUse && reader.mapped(pfn)) {
          pages.put(pfn, hash(reader, pfn));
        }
      }
    }
  }

  private static long hash(MemmapReader reader, long pfn) {
    long info = reader.word(pfn, INFO);
    long hash = reader.word(pfn, 0) * 31 + ((info & 1) == 0 ? 0 : info);
    return (hash * 31 + reader.word(pfn, MAPPING)) * 31 + reader.word(pfn, COUNTS);
  }

  /** The first difference of {@code later}; empty for none. */
  String difference(Snapshot later) {
    for (Map.Entry<String, Long> count : counts.entrySet()) {
      Long now = later.counts.get(count.getKey());
      if (!count.getValue().equals(now)) {
        return count.getKey() + " were " + count.getValue() + ", are " + now;
      }
    }
    for (Map.Entry<Long, Long> page : pages.entrySet()) {
      if (!page.getValue().equals(later.pages.get(page.getKey()))) {
        return "pfn=0x" + Long.toHexString(page.getKey()) + " has changed";
      }
    }
    return "";
  }
}
