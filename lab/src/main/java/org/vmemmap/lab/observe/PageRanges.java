// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.Mmzone;

/** All pfns that have a struct page: those of RAM, and those of what was added after boot. */
public final class PageRanges {
  private PageRanges() {}

  /** Receives ranges. */
  @FunctionalInterface
  public interface Visitor {
    /** The pfns {@code start} to {@code end} - 1; {@code node} is -1 for memory added later. */
    void range(long start, long end, int node);
  }

  /** Hands all ranges to {@code visitor}, RAM first. */
  public static void forEach(LabKernel kernel, Visitor visitor) {
    int shift = kernel.mm().model().pageShift();
    for (Ram range : kernel.spec().ram()) {
      visitor.range(range.start() >>> shift, range.end() >>> shift, range.node());
    }
    Mmzone mmzone = kernel.mm().mmzone();
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      if (!mmzone.earlySection(mmzone.section(nr))) {
        lateSection(mmzone, mmzone.sectionNrToPfn(nr), visitor);
      }
    }
  }

  private static void lateSection(Mmzone mmzone, long startPfn, Visitor visitor) {
    long step = mmzone.pagesPerSubsection();
    long end = startPfn + mmzone.pagesPerSection();
    for (long pfn = startPfn; pfn < end; pfn += step) {
      if (mmzone.pfnValid(pfn)) {
        visitor.range(pfn, pfn + step, -1);
      }
    }
  }
}
