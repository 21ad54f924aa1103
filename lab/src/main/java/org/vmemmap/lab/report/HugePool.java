// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;

/**
 * The hugepages of one size, read from the pool's lists.
 *
 * @param size bytes of a hugepage
 * @param order its order
 * @param total all that exist
 * @param free those that nobody uses
 * @param perNode total by node
 * @param pages each hugepage, by node and then in the order of the lists
 */
public record HugePool(
    long size,
    int order,
    long total,
    long free,
    TreeMap<Integer, Long> perNode,
    List<Hugepage> pages) {

  /**
   * One hugepage.
   *
   * @param pfn first pfn
   * @param zone the zone of its head
   * @param optimized whether the kernel says that its memmap is optimised
   */
  public record Hugepage(long pfn, Zone zone, boolean optimized) {}

  /** The pools of all sizes, smallest first. */
  public static List<HugePool> all(LabKernel kernel) {
    List<HugePool> pools = new ArrayList<>();
    for (Hstate h : kernel.hugetlb().hstates().all()) {
      pools.add(read(kernel, h));
    }
    pools.sort(java.util.Comparator.comparingLong(HugePool::size));
    return pools;
  }

  /** How many are optimised. */
  public long optimized() {
    long count = 0;
    for (Hugepage page : pages) {
      count += page.optimized() ? 1 : 0;
    }
    return count;
  }

  private static HugePool read(LabKernel kernel, Hstate h) {
    List<Hugepage> pages = new ArrayList<>();
    TreeMap<Integer, Long> perNode = new TreeMap<>();
    for (PgData node : kernel.mm().nodes().online()) {
      long here = h.nrHugePagesNode[node.nodeId()];
      if (here != 0) {
        perNode.put(node.nodeId(), here);
      }
      list(kernel, h.hugepageFreelists(node.nodeId()), pages);
    }
    list(kernel, h.hugepageActivelist(), pages);
    return new HugePool(
        h.hugePageSize(), h.hugePageOrder(), h.nrHugePages, h.freeHugePages, perNode, pages);
  }

  private static void list(LabKernel kernel, ListHead head, List<Hugepage> pages) {
    Mm mm = kernel.mm();
    for (ListHead at = mm.lists().first(head); !at.equals(head); at = mm.lists().next(at)) {
      Folio folio = new Folio(mm.struct().ofLru(at));
      boolean optimized =
          kernel.hugetlb().folios().test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
      pages.add(
          new Hugepage(
              mm.model().pageToPfn(folio.page()), mm.inline().folioZone(folio), optimized));
    }
  }
}
