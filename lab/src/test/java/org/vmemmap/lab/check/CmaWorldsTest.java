// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.pagealloc.Placement;

/** hugetlb_cma= on all architectures. */
class CmaWorldsTest {
  private static final long MEM = 2560L << 20;

  /**
   * One area of 1 GiB in 2.5 GiB. Expect it where the architecture has pages of that size, and
   * the kernel's line where it wants no areas.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "x86-64-5 | hugetlb_cma: reserved 1024 MiB on node 0 | 1",
        "arm64-4K-52 | hugetlb_cma: reserved 1024 MiB on node 0 | 1",
        "arm64-16K-47 | hugetlb_cma: reserved 1024 MiB on node 0 | 1",
        "arm64-64K-52 | hugetlb_cma: cma area must be a multiple of 16384 MiB | 0",
        "powerpc-64K-radix | hugetlb_cma: reserved 1024 MiB on node 0 | 1",
        "powerpc-4K-hash | hugetlb_cma: the option isn't supported by current arch | 0",
      })
  void hugetlbCmaReserve_onEachArchitecture_followsItsOrder(
      String world, String line, int areas) {
    LabKernel kernel =
        LabKernel.boot(
            World.of(world).spec(MEM, 1, List.of(), List.of("hugetlb_cma=1G")), Placement.NONE);
    List<String> said =
        kernel.mm().printk().lines().stream()
            .map(one -> one.text())
            .filter(text -> text.startsWith("hugetlb_cma: ") && !text.contains("per node"))
            .toList();
    assertEquals(List.of(line), said);
    assertEquals(areas, kernel.cma().areas().size());
    assertEquals(
        areas * (1L << 30),
        kernel.pageAlloc().totalcmaPages() * kernel.mm().model().pageSize());
  }
}
