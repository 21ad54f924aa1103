// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.types.Series;

/** A CMA area for hugepages in two zones: patch 14. */
class CmaSeriesTest {
  private static final String NR_HUGEPAGES =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
  private static final String NODE_1 =
      "/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages";

  /**
   * An area of 1 GiB on each of two nodes, node 0's in two zones; see {@link SeriesMachine#cmaSpec}.
   *
   * <p>Expect that before patch 14 the page comes from node 0's area and is discarded later; with it
   * there is no such area, and the page comes from node 1's. Both kernels give the memory of node
   * 0's area to the page allocator, and each frame has one owner.
   */
  @ParameterizedTest
  @ValueSource(strings = {"on", "off"})
  @Tag("patch-14")
  void hugetlbCmaReserve_areaInTwoZones_isRefusedAtOnce(String hvo) {
    assertEquals("2", Seen.at(13, "cma-areas"));
    assertEquals("1", Seen.at(14, "cma-areas"));
    SeriesMachine before = machine(Series.at(13), hvo);
    assertEquals("0", before.kernel().read(NR_HUGEPAGES));
    String log = log(before);
    assertTrue(log.contains("hugetlb_cma: reserved 1024 MiB on node 0"), log);
    assertTrue(log.contains("1.00 GiB page size: 1 invalid page discarded"), log);
    assertTrue(log.contains("cma: CMA area hugetlb0 could not be activated"), log);

    SeriesMachine after = machine(Series.at(14), hvo);
    assertEquals("1", after.kernel().read(NR_HUGEPAGES));
    log = log(after);
    assertTrue(log.contains("hugetlb_cma: reserved area spans zones: err 0, node 0"), log);
    assertFalse(log.contains("discarded"), log);
    assertTrue(log.contains("cma: CMA area hugetlb0 could not be activated"), log);
    for (SeriesMachine machine : List.of(before, after)) {
      assertEquals(List.of(), Invariants.check(machine.kernel()).violations());
      assertEquals(List.of(), machine.kernel().mm().printk().warnings());
    }
  }

  /**
   * The same boot on 7.2, whose zones come after the areas. Expect what the real kernel showed: the
   * page is lost, as before patch 14.
   */
  @Test
  void hugetlbCmaReserve_kernel72_discardsLater() {
    SeriesMachine machine = machine(Series.profile("7.2"), "on");
    assertEquals("0", machine.kernel().read(NR_HUGEPAGES));
    assertTrue(log(machine).contains("1 invalid page discarded"), log(machine));
    assertEquals(List.of(), Invariants.check(machine.kernel()).violations());
  }

  private static SeriesMachine machine(Series series, String hvo) {
    return new SeriesMachine(
        SeriesMachine.cmaSpec(List.of("hugetlb_free_vmemmap=" + hvo)).withSeries(series));
  }

  private static String log(SeriesMachine machine) {
    return String.valueOf(machine.kernel().read("/dev/kmsg"));
  }

  /**
   * Areas of 2 GiB on two nodes of 8 GiB and three boot pages in turn. ZONE_MOVABLE of node 0 starts
   * at 5 GiB, in its area; it is the machine of the captured 7.3.4.
   *
   * <pre>
   *   node 0   | 3G RAM | hole | 4G: area | 6G        9G|      pages 1 and 3
   *            | DMA32         | 4G | 5G: Movable       |
   *   node 1   | 9G: area | 11G                      17G|      page 2
   * </pre>
   *
   * Expect 4 GiB to be reserved before patch 14, one usable page and two discarded; with it 2 GiB and
   * two usable pages, both on node 1, and none discarded.
   */
  @Test
  @Tag("patch-14")
  void hugetlbCmaReserve_threePages_oneThenTwoAreUsable() {
    SeriesMachine before = sixteen(13);
    assertEquals("1", before.kernel().read(NR_HUGEPAGES));
    assertTrue(log(before).contains("1.00 GiB page size: 2 invalid pages discarded"), log(before));
    assertEquals(4096, reservedMib(before));

    SeriesMachine after = sixteen(14);
    assertEquals("2", after.kernel().read(NR_HUGEPAGES));
    assertEquals("2", after.kernel().read(NODE_1));
    assertFalse(log(after).contains("discarded"), log(after));
    assertEquals(2048, reservedMib(after));
  }

  private static SeriesMachine sixteen(int level) {
    List<String> words =
        List.of(
            "hugetlb_free_vmemmap=on", "movablecore=8G", "hugetlb_cma=4G", "hugetlb_cma_only=on",
            "hugepagesz=1G", "hugepages=3");
    return new SeriesMachine(
        MachineSpecs.ofSize(16L << 30, 2, List.of(), 4, words).withSeries(Series.at(level)));
  }

  /** What HugeTLB says that it has reserved, without areas that it found to be bad. */
  private static long reservedMib(SeriesMachine machine) {
    return log(machine).lines().filter(line -> line.contains("hugetlb_cma: reserved 2048 MiB on"))
            .count()
        * 2048;
  }
}
