// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Lists;
import org.vmemmap.types.Mm;

/**
 * The part of mm/hugetlb.c that changes the size of a pool on an administrator's wish.
 *
 * <pre>
 *   grow     1. surplus pages become persistent
 *            2. new pages are allocated, round the nodes; then optimised and enqueued together
 *   shrink   3. free pages leave, round the nodes; then restored and freed together
 *            4. pages in use become surplus: they leave when they come back
 * </pre>
 *
 * A wish that cannot be met in full is met in part, without an error: whoever wrote the file reads
 * it again to see.
 */
@Kernel(file = "mm/hugetlb.c", symbol = "set_max_huge_pages")
public final class HugetlbResize {
  private static final long ULONG_MAX = -1L;

  private final Mm mm;
  private final Lists lists;
  private final HugetlbInternal internal;
  private final Hugetlb hugetlb;
  private final HugetlbLock lock;

  /** Changes the pools of {@code hugetlb}. */
  public HugetlbResize(Mm mm, HugetlbInternal internal, Hugetlb hugetlb) {
    this.mm = mm;
    this.lists = mm.lists();
    this.internal = internal;
    this.hugetlb = hugetlb;
    this.lock = hugetlb.hugetlbLock();
  }

  /** Makes one page surplus (1) or persistent (-1) on the next node that can. 1 when it did. */
  @Kernel(file = "mm/hugetlb.c", symbol = "adjust_pool_surplus")
  int adjustPoolSurplus(Hstate h, NavigableSet<Integer> nodesAllowed, int delta) {
    lock.assertHeld("adjust_pool_surplus");
    mm.printk()
        .vmBugOn(delta != -1 && delta != 1, "adjust_pool_surplus: delta != -1 && delta != 1");
    for (int nrNodes = nodesAllowed.size(); nrNodes > 0; nrNodes--) {
      int node =
          delta < 0
              ? internal.hstateNextNodeToAlloc(h.nextNidToAlloc, nodesAllowed)
              : internal.hstateNextNodeToFree(h, nodesAllowed);
      boolean found =
          delta < 0
              ? h.surplusHugePagesNode[node] != 0
              : h.surplusHugePagesNode[node] < h.nrHugePagesNode[node];
      if (found) {
        h.addSurplusHugePages(node, delta);
        return 1;
      }
    }
    return 0;
  }

  /**
   * Grows or shrinks the pool to {@code count} persistent pages, all together or, with a node,
   * those of the node. Ends with as many as there was memory for.
   *
   * @return 0, or -ENOMEM or -EINVAL with nothing done
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "set_max_huge_pages")
  private int setMaxHugePages(Hstate h, long count, int nid, NavigableSet<Integer> nodesAllowed) {
    // The mask comes from kmalloc where there can be many nodes.
    if (mm.mayFail("set_max_huge_pages")) {
      return -Errno.ENOMEM;
    }
    mm.machine().lock("resize_lock", h.hugePageOrder());
    hugetlb.flushFreeHpageWork(h);
    lock.lock();
    if (nid != HugetlbInternal.NUMA_NO_NODE) {
      long oldCount = count;
      count += h.persistentHugePages() - (h.nrHugePagesNode[nid] - h.surplusHugePagesNode[nid]);
      // A wish that overflows is a wish for all there is.
      if (Long.compareUnsigned(count, oldCount) < 0) {
        count = ULONG_MAX;
      }
    }
    if (h.isGigantic() && !mm.config().gigantic() && above(count, h.persistentHugePages())) {
      lock.unlock();
      mm.machine().unlock("resize_lock", h.hugePageOrder());
      return -Errno.EINVAL;
    }
    if (growPool(h, count, nodesAllowed)) {
      shrinkPool(h, count, nodesAllowed);
    }
    h.storeMaxHugePages(h.persistentHugePages());
    lock.unlock();
    mm.machine().unlock("resize_lock", h.hugePageOrder());
    return 0;
  }

  /**
   * The growing half of set_max_huge_pages(): surplus pages become persistent, then new ones are
   * allocated. Holds hugetlb_lock but for the allocations. False when memory ran out, which ends
   * the whole change.
   */
  private boolean growPool(Hstate h, long count, NavigableSet<Integer> nodesAllowed) {
    while (h.surplusHugePages != 0 && above(count, h.persistentHugePages())) {
      if (adjustPoolSurplus(h, nodesAllowed, -1) == 0) {
        break;
      }
    }
    Set<Integer> nodeAllocNoretry = new TreeSet<>();
    ListHead pageList = lists.localHead();
    boolean complete = true;
    long allocated = 0;
    while (complete && above(count, h.persistentHugePages() + allocated)) {
      lock.unlock();
      mm.condResched(allocated);
      Folio folio = hugetlb.allocPoolHugeFolio(h, nodesAllowed, nodeAllocNoretry, h.nextNidToAlloc);
      if (folio == null) {
        hugetlb.prepAndAddAllocatedFolios(h, pageList);
        complete = false;
      } else {
        lists.listAdd(mm.struct().lru(folio.page()), pageList);
        allocated++;
      }
      lock.lock();
    }
    if (complete && !lists.listEmpty(pageList)) {
      lock.unlock();
      hugetlb.prepAndAddAllocatedFolios(h, pageList);
      lock.lock();
    }
    lists.release(pageList);
    return complete;
  }

  /**
   * The shrinking half of set_max_huge_pages(): free pages leave, but for those that were promised;
   * then pages in use are declared surplus, so that they leave when they become free.
   */
  private void shrinkPool(Hstate h, long count, NavigableSet<Integer> nodesAllowed) {
    // Free pages may be surplus, namely those whose memmap could not be restored. They are not
    // persistent, so they do not count as persistent pages that could go.
    long persistentFreeCount = h.freeHugePages;
    if (h.freeHugePages > h.persistentHugePages()) {
      persistentFreeCount =
          h.freeHugePages > h.surplusHugePages ? h.freeHugePages - h.surplusHugePages : 0;
    }
    long minCount = h.resvHugePages + h.persistentHugePages() - persistentFreeCount;
    minCount = above(count, minCount) ? count : minCount;

    ListHead pageList = lists.localHead();
    while (above(h.persistentHugePages(), minCount)) {
      Folio folio = hugetlb.removePoolHugetlbFolio(h, nodesAllowed, false);
      if (folio == null) {
        break;
      }
      lists.listAdd(mm.struct().lru(folio.page()), pageList);
    }
    lock.unlock();
    hugetlb.updateAndFreePagesBulk(h, pageList);
    lists.release(pageList);
    hugetlb.flushFreeHpageWork(h);
    lock.lock();

    while (above(h.persistentHugePages(), count)) {
      if (adjustPoolSurplus(h, nodesAllowed, 1) == 0) {
        break;
      }
    }
  }

  private static boolean above(long a, long b) {
    return Long.compareUnsigned(a, b) > 0;
  }

  /**
   * {@code __nr_hugepages_store_common()}: what a write to a nr_hugepages file does.
   *
   * @param nid node, or -1 for all
   * @param count pages, unsigned
   * @return 0 or a negative error code
   */
  @Kernel(file = "mm/hugetlb.c", symbol = "__nr_hugepages_store_common")
  public int nrHugepagesStoreCommon0(Hstate h, int nid, long count) {
    if (internal.hstateIsGiganticNoRuntime(h)) {
      return -Errno.EINVAL;
    }
    NavigableSet<Integer> nodesAllowed =
        nid == HugetlbInternal.NUMA_NO_NODE
            ? internal.nodeStatesMemory()
            : new TreeSet<>(Set.of(nid));
    return setMaxHugePages(h, count, nid, nodesAllowed);
  }
}
