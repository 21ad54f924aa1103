// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Series;

/** Sections without a memmap at boot: patch 9. */
class SparseInitSeriesTest {
  /**
   * Memory for two of four memmaps (and for nothing smaller either).
   *
   * <pre>
   *   sections   [ 0 ][ 1 ][ 2 ][ 3 ]
   *   memmap      yes  yes   -    -
   * </pre>
   *
   * Expect boot to go on without sections 2 and 3 before patch 9, and to meet them again a moment
   * later, where their subsections are marked: the kernel follows a null pointer there. With the
   * patch, expect a panic that names section 2 while both are still present.
   */
  @Test
  @Tag("patch-09")
  void sparseInitNid_memmapFails_panicsInsteadOfForgettingSections() {
    List<LabKernel> booted = new ArrayList<>();
    assertThrows(KernelBug.class, () -> boot(8, booted));
    KernelPanic panic = assertThrows(KernelPanic.class, () -> boot(9, booted));
    assertEquals("Failed to allocate memmap for section 2", panic.getMessage());

    assertEquals(List.of(true, true, false, false), present(booted.get(0)));
    assertEquals(List.of(true, true, true, true), present(booted.get(1)));
    assertEquals(1024, booted.get(0).mm().vmstat().nrMemmapBootPages());
  }

  private static void boot(int level, List<LabKernel> booted) {
    LabKernel.Listener failing =
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel kernel) {
            booted.add(kernel);
            // A pud and a pmd table, and the blocks of two sections.
            kernel
                .mm()
                .machine()
                .faults()
                .failFrom(5, site -> site.equals("vmemmap_alloc_block"));
          }
        };
    LabKernel.boot(
        SeriesMachine.spec(512L << 20).withSeries(Series.at(level)), Placement.NONE, failing);
  }

  private static List<Boolean> present(LabKernel kernel) {
    return LongStream.range(0, 4)
        .mapToObj(nr -> kernel.mm().mmzone().section(nr).sectionMemMap)
        .map(map -> (map & Mmzone.SECTION_MARKED_PRESENT) != 0)
        .toList();
  }
}
