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
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.types.Series;

/** A CMA area for hugepages in two zones: patch 14. */
class CmaSeriesTest {
  private static final String NR_HUGEPAGES =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";

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
}
