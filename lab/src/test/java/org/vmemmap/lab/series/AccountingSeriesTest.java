// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.dax.DaxBus;

/** What hot-adding counts: patches 1 and 3. */
class AccountingSeriesTest {
  private static final long SECTION = 128L << 20;

  /**
   * Hot-adds of a section while no memmap can be allocated. Expect each to be counted back
   * without having been counted before patch 1, and nothing to be left behind with it.
   *
   * <pre>
   *             add    undo            add     undo
   *   level 0    -     -512   level 1  +512    -512
   * </pre>
   */
  @Test
  @Tag("patch-01")
  void sectionActivate_noMemoryForTheMemmap_countsWhatItUndoes() {
    assertEquals("-512", Seen.at(0, "failed-hot-add"));
    assertEquals("0", Seen.at(1, "failed-hot-add"));
    assertEquals(-1536, DeviceMeasures.failedHotAdds(new Level(0), SECTION, 3));
    assertEquals(0, DeviceMeasures.failedHotAdds(new Level(1), SECTION, 3));
    assertEquals(-8, DeviceMeasures.failedHotAdds(new Level(0), 2L << 20, 1));
    assertEquals(0, DeviceMeasures.failedHotAdds(new Level(1), 2L << 20, 1));
  }

  /**
   * A device of 1 GiB, in compound pages of 2 MiB and of 1 GiB. Expect the count to be that of the
   * whole memmap before patch 3 and that of the frames with it; and nothing after removal.
   *
   * <pre>
   *   2 MiB: 512 times [ f0 ][ f1 ][ f1 ] ...  1024 frames of 4096
   * </pre>
   */
  @Test
  @Tag("patch-03")
  void memremap_compoundPages_countsTheFramesThatExist() {
    assertEquals("4096", Seen.at(2, "dax-2m-pages"));
    assertEquals("1024", Seen.at(3, "dax-2m-pages"));
    assertEquals("4096", Seen.at(2, "dax-1g-pages"));
    assertEquals("2", Seen.at(3, "dax-1g-pages"));
  }

  /** The same device, removed again. Expect nothing to be left in the count. */
  @Test
  @Tag("patch-02")
  @Tag("patch-03")
  void memunmap_compoundPages_countsBackWhatWasCounted() {
    for (int level : new int[] {1, 2, 3}) {
      SeriesMachine machine = new SeriesMachine(level);
      DeviceMeasures.add(machine, "dax", SeriesMachine.DEVICE, SeriesMachine.GIB, 9);
      machine.removeDevice("dax");
      assertEquals(0, machine.memmapPages());
    }
  }

  /**
   * The last boot section of four is removed in two halves.
   *
   * <pre>
   *   section 3   [ first half ][ second half ]    512 pages of memmap, freed with the second
   * </pre>
   *
   * Expect the count of the whole section to go with patch 1, and only that of the half that was
   * removed last before it, so that 256 stay.
   */
  @Test
  @Tag("patch-01")
  void freeMapBootmem_sectionInHalves_countsAllOfIt() {
    assertEquals(3 * 512 + 256, bootPagesWithoutSection3(0));
    assertEquals(3 * 512, bootPagesWithoutSection3(1));
  }

  private static long bootPagesWithoutSection3(int level) {
    SeriesMachine machine = new SeriesMachine(level);
    assertEquals(4 * 512, machine.memmapBootPages());
    long pfn = 3 * (SECTION >>> 12);
    long half = SECTION >>> 13;
    machine.kernel().sparseVmemmap().sparseRemoveSection(pfn, half, null, null);
    machine.kernel().sparseVmemmap().sparseRemoveSection(pfn + half, half, null, null);
    return machine.memmapBootPages();
  }

  /**
   * A device of one sub-section, and one of 1 GiB that holds its own memmap. Expect 8 and then 2
   * pages for the first, and all 4096 in both for the second, whose memmap is not optimised.
   */
  @Test
  @Tag("patch-03")
  void memremap_subsectionAndAltmap_countWhatTheyHave() {
    assertEquals(8, counted(2, 2L << 20, null));
    assertEquals(2, counted(3, 2L << 20, null));
    DaxBus.Altmap own = new DaxBus.Altmap(SeriesMachine.DEVICE >>> 12, 0, 4096);
    assertEquals(4096, counted(2, SeriesMachine.GIB, own));
    assertEquals(4096, counted(3, SeriesMachine.GIB, own));
  }

  private static long counted(int level, long bytes, DaxBus.@Nullable Altmap altmap) {
    SeriesMachine machine = new SeriesMachine(level);
    assertEquals(
        0, machine.kernel().dax().memremap("dax", SeriesMachine.DEVICE, bytes, 9, altmap, 0));
    return machine.memmapPages();
  }
}
