// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.report.HugePool;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Series;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Who allocates shared tails: patch 32. */
class SharedTailAllocationSeriesTest {
  /**
   * The first hugepage of the pool finds no memory for the shared tail. Expect the generic function
   * to say so once with patch 32, and silence before it; the hugepage exists, not optimised.
   */
  @Test
  @Tag("patch-32")
  void vmemmapGetTail_noMemory_isToldByTheGenericFunction() {
    assertEquals("nothing", Seen.at(31, "tail-failure"));
    assertEquals("vmemmap alloc failure: order:0", Seen.at(32, "tail-failure"));
  }

  /**
   * Two ask for the tail of order 9 at once: while HugeTLB's allocation for it is under way, somebody
   * else asks the generic function.
   *
   * <pre>
   *   HugeTLB   slot empty -> allocate ............................ slot is taken: free it again
   *   other                     slot empty -> allocate -> its frame
   * </pre>
   *
   * Expect one frame for both and the other one to be free again, on both sides of patch 32: before
   * it two functions agree on the slot, with it there is one.
   */
  @Test
  @Tag("patch-32")
  void vmemmapSharedTailPage_twoAtOnce_shareTheFirstFrame() {
    assertEquals("1 shared tail, the other's", askedTwice(31));
    assertEquals("1 shared tail, the other's", askedTwice(32));
  }

  private static String askedTwice(int level) {
    SeriesMachine machine = new SeriesMachine(level, "hugetlb_free_vmemmap=on");
    Mm mm = machine.kernel().mm();
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_DMA32);
    List<Page> other = new ArrayList<>();
    mm.machine()
        .faults()
        .failFrom(
            1,
            site -> {
              if (site.equals("vmemmap_get_tail") && other.isEmpty()) {
                other.add(mm.model().pfnToPage(0));
                Page tail = machine.kernel().sparseVmemmap().vmemmapSharedTailPage(9, zone);
                other.set(0, Objects.requireNonNull(tail));
              }
              return false;
            });
    assertEquals(0, machine.kernel().write("/proc/sys/vm/nr_hugepages", "1"));
    mm.machine().faults().disarm();
    long tails = mm.machine().ledger().count(Owner.SHARED_TAIL);
    assertEquals(List.of(), Invariants.check(machine.kernel()).violations());
    boolean same = other.getFirst().equals(zone.vmemmapTail(9 - mm.mmzone().vmemmapTailMinOrder()));
    return tails + " shared tail, " + (same ? "the other's" : "its own");
  }

  /**
   * A boot page of 1 GiB and one that is made at run time in the same zone. Expect the tail from boot
   * to serve both, on both sides of the patch; and no tail for order 6, which is too small.
   */
  @Test
  @Tag("patch-32")
  void vmemmapSharedTailPage_bootAndRuntime_shareTheFrame() {
    assertEquals("one frame, null", bootAndRuntime(31));
    assertEquals("one frame, null", bootAndRuntime(32));
  }

  private static String bootAndRuntime(int level) {
    SeriesMachine machine =
        new SeriesMachine(
            SeriesMachine.spec(7L << 30, "hugetlb_free_vmemmap=on", "hugepagesz=1G", "hugepages=1")
                .withSeries(Series.at(level)));
    String pool = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
    assertEquals(0, machine.kernel().write(pool, "3"));
    Mm mm = machine.kernel().mm();
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL);
    MemmapReader reader = new MemmapReader(mm);
    Set<Long> frames = new HashSet<>();
    List<HugePool.Hugepage> pages =
        HugePool.all(machine.kernel()).stream().flatMap(one -> one.pages().stream()).toList();
    pages.stream()
        .filter(page -> page.pfn() >= zone.zoneStartPfn)
        .forEach(page -> frames.add(reader.frame(page.pfn() + 64)));
    assertTrue(pages.size() > 1, pages.toString());
    @Nullable Page small = machine.kernel().sparseVmemmap().vmemmapSharedTailPage(6, zone);
    return (frames.size() == 1 ? "one frame, " : frames + ", ") + small;
  }
}
