// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.pagealloc.CmaArea;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;

/**
 * CMA on a whole machine: what an administrator sees, and the rules, broken by hand.
 *
 * <pre>
 *   0      1G             2G      2.1G
 *   |      |  CMA area    |       |
 * </pre>
 */
class CmaRulesTest {
  private static final String POOL =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";

  private final LabKernel kernel =
      LabKernel.boot(
          MachineSpecs.ofSize(
              2176L << 20,
              1,
              List.of(),
              4,
              List.of("hugetlb_cma=1G", "hugepagesz=1G", "hugepages=1")),
          Placement.NONE);

  private Set<String> broken() {
    return Invariants.check(kernel).violations().stream()
        .map(Invariants.Violation::rule)
        .collect(Collectors.toSet());
  }

  private CmaArea area() {
    return kernel.cma().areas().getFirst();
  }

  private String file(String path) {
    return String.valueOf(kernel.read(path));
  }

  /**
   * An area that is not exclusive: no page at boot, one from it later. Expect the kernel's lines
   * before and after, and all rules to hold.
   */
  @Test
  void boot_withAnArea_showsItInProc() {
    assertTrue(
        file("/dev/kmsg").contains("HugeTLB: hugetlb_cma is enabled, skip boot time allocation"));
    // One pageblock is on a per-CPU list, which counts as free but not as a free CMA page.
    assertTrue(
        file("/proc/meminfo").contains("CmaTotal:        1048576 kB\nCmaFree:         1046528 kB\n"),
        () -> file("/proc/meminfo"));
    assertTrue(file("/proc/zoneinfo").contains("        cma      262144\n"));
    assertEquals(0, kernel.write(POOL, "1"));
    assertEquals("1", kernel.read(POOL));
    assertTrue(file("/proc/vmstat").contains("nr_free_cma 0\n"));
    assertTrue(file("/proc/vmstat").endsWith("cma_alloc_success 1\ncma_alloc_fail 0"));
    assertEquals(Set.of(), broken());
    assertTrue(Invariants.check(kernel).checks().getOrDefault("cma-bitmap", 0L) > 0);
    assertEquals(0, kernel.write(POOL, "0"));
    assertTrue(file("/proc/vmstat").contains("nr_free_cma 262144\n"));
    assertEquals(Set.of(), broken());
  }

  /** A zone counts a page too much; a free block says it is no CMA block. Expect the rule. */
  @Test
  void check_countsOfCma_areRecounted() {
    CmaArea area = area();
    long pfn = area.ranges().getFirst().basePfn();
    Page page = kernel.mm().model().pfnToPage(pfn);
    Zone zone = kernel.mm().inline().pageZone(page);
    zone.cmaPages++;
    assertEquals(Set.of("cma-counts"), broken());
    zone.cmaPages--;
    kernel.pageAlloc().setPageblockMigratetype(page, Migratetype.MIGRATE_MOVABLE);
    assertEquals(Set.of("cma-counts", "pageblock-type"), broken());
  }

  /** An area is declared too late to be activated, and has pages all the same. Expect the rule. */
  @Test
  void check_areaThatIsNeverActivated_isFound() {
    long base = kernel.mm().model().pfnPhys(area().ranges().getFirst().basePfn());
    assertEquals(0, kernel.cma().cmaInitReservedMem(base, 2L << 20, 0, "late", area -> {}));
    assertTrue(
        Invariants.check(kernel).violations().stream()
            .anyMatch(one -> one.toString().contains("pages of area late, which is not active")),
        () -> broken().toString());
  }

  /** A page of the area is in use, and booked as free. Expect the rule of the bitmap. */
  @Test
  void check_pageInUseBookedAsFree_isFound() {
    CmaArea area = area();
    assertEquals(0, kernel.write(POOL, "1"));
    long pfn = area.ranges().getFirst().basePfn();
    kernel.mm().own(pfn, 1, Owner.BUDDY);
    assertTrue(broken().contains("cma-bitmap"), () -> broken().toString());
  }
}
