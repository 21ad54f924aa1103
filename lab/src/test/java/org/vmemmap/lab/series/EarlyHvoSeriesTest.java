// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.types.Mm;

/** When the memmap of an optimised boot page is mapped: patch 16. */
class EarlyHvoSeriesTest {
  /**
   * One hugepage of 1 GiB of a machine with 4 GiB, and no memory for its shared tail.
   *
   * <pre>
   *   level 15   early hook: claims 8 sections     late hook: no tail -> 8 ordinary sections
   *   level 16   early hook: no tail -> panic
   * </pre>
   *
   * Expect 32 sections with all of their memmap before patch 16, and a panic with it. Without a
   * failure, expect 24 sections and one page in both.
   */
  @Test
  @Tag("patch-16")
  void hugetlbVmemmapInitEarly_noTail_panicsInsteadOfFallingBack() {
    assertEquals(24 * 512 + 1, BootMeasures.bootPages(new Level(15), false));
    assertEquals(24 * 512 + 1, BootMeasures.bootPages(new Level(16), false));
    assertEquals("16384", Seen.at(15, "no-tail-boot"));
    String after = Seen.at(16, "no-tail-boot");
    assertTrue(after.startsWith("panic: "), after);
  }

  /**
   * Sections of the boot page that are marked as pre-initialised when the first frame of its memmap
   * is taken. Expect the early hook to have marked all eight before patch 16, as the late hook maps
   * them; and none with it, as the early hook maps first.
   */
  @Test
  @Tag("patch-16")
  void hugetlbVmemmapInitEarly_sections_areMappedBeforeTheyAreMarked() {
    assertEquals(8, markedAtFirstFrame(15));
    assertEquals(0, markedAtFirstFrame(16));
  }

  private static long markedAtFirstFrame(int level) {
    List<Long> marked = new ArrayList<>();
    LabKernel.Listener listener =
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel booting) {
            booting
                .mm()
                .machine()
                .faults()
                .failFrom(
                    1,
                    site -> {
                      if (site.equals("vmemmap_get_tail")) {
                        marked.add(BootMeasures.preinited(booting.mm().mmzone()));
                      }
                      return false;
                    });
          }
        };
    LabKernel.bootEarly(new Level(level).on(SeriesMachine.hugepageSpec()), listener);
    return marked.getFirst();
  }

  /**
   * The memmap of the same page when boot is through with it. Expect 4096 pages of memmap with two
   * frames behind them in both, the head's and the tail of its zone; only the head's is counted.
   */
  @Test
  @Tag("patch-16")
  void vmemmapPopulateHvo_bootPage_hasTwoFrames() {
    for (int level = 15; level <= 16; level++) {
      Mm mm = new Level(level).hugepage().mm();
      MemmapReader reader = new MemmapReader(mm);
      Set<Long> frames = new HashSet<>();
      for (long pfn = 4L << 18; pfn < 5L << 18; pfn += 64) {
        frames.add(reader.frame(pfn));
      }
      assertEquals(2, frames.size());
      assertEquals(32 * 512 + 1, mm.vmstat().nrMemmapBootPages());
    }
  }
}
