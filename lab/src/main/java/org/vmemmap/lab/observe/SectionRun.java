// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;

/**
 * Present sections with consecutive numbers that look alike.
 *
 * @param first number of the first section
 * @param n how many
 * @param flags low bits of section_mem_map
 * @param subsections bitmap of the subsections in use; 0 without a usage record
 * @param mapAtBase true when the pointer part of every section is the address of the struct page of
 *     pfn 0, as it is with a virtual memmap
 */
public record SectionRun(long first, long n, long flags, long subsections, boolean mapAtBase) {
  /** Reads all sections. Bitmaps of more than 64 subsections show their first 64. */
  public static List<SectionRun> all(Mm mm) {
    List<SectionRun> runs = new ArrayList<>();
    Mmzone mmzone = mm.mmzone();
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      SectionRun one = read(mm, nr, mmzone.section(nr));
      SectionRun last = runs.isEmpty() ? null : runs.getLast();
      if (last != null && last.first + last.n == nr && last.withN(1, nr).equals(one)) {
        runs.set(runs.size() - 1, last.withN(last.n + 1, last.first));
      } else {
        runs.add(one);
      }
    }
    return runs;
  }

  private static SectionRun read(Mm mm, long nr, MemSection ms) {
    long map = ms.sectionMemMap & Mmzone.SECTION_MAP_MASK;
    MemSectionUsage usage = ms.usage;
    long bits = usage == null ? 0 : Arrays.stream(usage.subsectionMap()).findFirst().orElse(0);
    return new SectionRun(
        nr, 1, ms.sectionMemMap & ~Mmzone.SECTION_MAP_MASK, bits, map == mm.model().vmemmapBase());
  }

  private SectionRun withN(long count, long from) {
    return new SectionRun(from, count, flags, subsections, mapAtBase);
  }
}
