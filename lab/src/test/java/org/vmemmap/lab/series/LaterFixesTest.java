// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Series;

/** Fixes of released kernels that the series does not have: off at all levels, on one by one. */
class LaterFixesTest {
  /** Which kernel has which. Expect 7.1 to have none, 7.2 all but one, 7.3 all. */
  @Test
  void profiles_fixes_areThoseOfTheReleases() {
    for (String fix : Series.LATER_FIXES) {
      assertEquals(false, Series.at(49).hasFix(fix));
      assertEquals(false, Series.profile("7.1").hasFix(fix));
      assertEquals(!fix.equals("no-bootmem-info"), Series.profile("7.2").hasFix(fix));
      assertEquals(true, Series.profile("7.3").hasFix(fix));
    }
    assertEquals(true, Series.at(7).with("early-boot-folios").initsBootFoliosEarly());
    assertThrows(IllegalArgumentException.class, () -> Series.at(7).with("no-fix"));
  }

  /**
   * A DIMM of one block that holds its own memmap, and no memory for its device.
   *
   * <pre>
   *   16G  [ memmap: 512 pages ][ 32256 pages ]    altmap: 512 handed out
   * </pre>
   *
   * Expect the memmap to go back to the altmap with the fix. Without it the memmap is freed as if it
   * were RAM, and the altmap is given up with pages handed out.
   */
  @Test
  void createAltmapsAndMemoryBlocks_noDevice_unmapsFromTheAltmap() {
    assertEquals("-12 [Altmap not fully unmapped]", unplugged(Series.at(49)));
    assertEquals("-12 []", unplugged(Series.at(49).with("altmap-in-error-path")));
  }

  private static String unplugged(Series series) {
    SeriesMachine machine =
        new SeriesMachine(
            SeriesMachine.spec(512L << 20, "memory_hotplug.memmap_on_memory=1")
                .withSeries(series));
    Mm mm = machine.kernel().mm();
    mm.machine().faults().failNth(1, "device_register"::equals);
    int rc = machine.kernel().hotplugDrivers().plugDimm(SeriesMachine.DEVICE, 128L << 20, 0);
    return rc + " " + mm.printk().warnings();
  }

  /**
   * An optimised hugepage of 1 GiB, just before HugeTLB's initcall. Expect its head to be one with
   * the fix only, and the same pool in the end.
   */
  @Test
  void hugetlbBootmem_earlyFolios_existBeforeTheInitcall() {
    for (int level : new int[] {16, 49}) {
      assertEquals("head false, then 1", folio(Series.at(level)));
      assertEquals("head true, then 1", folio(Series.at(level).with("early-boot-folios")));
    }
  }

  private static String folio(Series series) {
    List<Boolean> heads = new ArrayList<>();
    LabKernel.Listener probe =
        new LabKernel.Listener() {
          @Override
          public void beforeHugetlbInit(LabKernel kernel) {
            Mm mm = kernel.mm();
            heads.add(mm.flags().pageHead(mm.model().pfnToPage(4L << 18)));
          }
        };
    LabKernel kernel =
        LabKernel.boot(SeriesMachine.hugepageSpec().withSeries(series), Placement.NONE, probe);
    String free =
        kernel.read("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages");
    return "head " + heads.getFirst() + ", then " + free;
  }

  /**
   * The memmap of 512 MiB. Expect one request to memblock for all four sections without the fix, and
   * four with it.
   *
   * <pre>
   *   without   [ 0 ][ 1 ][ 2 ][ 3 ]     with   [ 3 ]  [ 2 ]  [ 1 ]  [ 0 ]
   * </pre>
   *
   * Blocks of a buffer follow each other; single ones are found from the top down.
   */
  @Test
  void vmemmapAllocBlockBuf_buffer_isCutInOrder() {
    assertEquals(List.of(512L, 512L, 512L), distances(Series.at(49)));
    assertEquals(
        List.of(-512L, -512L, -512L), distances(Series.at(49).with("no-sparse-buffer")));
  }

  private static List<Long> distances(Series series) {
    SeriesMachine machine =
        new SeriesMachine(SeriesMachine.spec(512L << 20).withSeries(series));
    MemmapReader reader = new MemmapReader(machine.kernel().mm());
    List<Long> distances = new ArrayList<>();
    for (long section = 1; section < 4; section++) {
      distances.add(reader.frame(section * 32768) - reader.frame((section - 1) * 32768));
    }
    return distances;
  }
}
