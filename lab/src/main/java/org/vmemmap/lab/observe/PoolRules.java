// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.HashSet;
import java.util.Set;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.hugetlb.HugetlbSystem;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.Zone;

/**
 * The hugepages in the pools: counters, lists, struct pages and page tables tell the same.
 *
 * <p>One deviation is the kernel's own: initialisation that writes through the shared tails of boot
 * pages (see {@link TailRules}) leaves a reference in each tail, and a tail may become the head of a
 * smaller page, which is free in its pool and has that reference. Captured kernels show it.
 */
final class PoolRules {
  static final String COUNTS = "hugetlb-pool-counts";
  static final String PAGE = "hugetlb-pool-page";
  static final String ZONE = "hugetlb-pool-zone";
  static final String OPTIMISED = "hugetlb-optimised-flag";

  private static final int REFCOUNT_SHIFT = 32;
  private static final int SUMS = 3;

  private final Mm mm;
  private final HugetlbSystem hugetlb;
  private final ZoneTails tails;
  private final MemmapReader reader;
  private final Invariants found;
  private final Set<Long> heads = new HashSet<>();
  private final boolean tailsOfBoot;

  PoolRules(LabKernel kernel, ZoneTails tails, Invariants found) {
    this.mm = kernel.mm();
    this.hugetlb = kernel.hugetlb();
    this.tails = tails;
    this.reader = new MemmapReader(mm);
    this.found = found;
    this.tailsOfBoot = tails.slots().stream().anyMatch(slot -> ofBoot(slot.frame()));
  }

  private boolean ofBoot(long frame) {
    return reader.mapped(frame) && (reader.word(frame, 0) & 1L << PageFlags.PG_RESERVED) != 0;
  }

  void check() {
    hugetlb.hstates().all().forEach(this::pool);
  }

  private void pool(Hstate h) {
    int nodes = h.nrHugePagesNode.length;
    long[] active = new long[nodes];
    long[] free = new long[nodes];
    list(h, h.hugepageActivelist(), -1, active);
    long[] sums = new long[SUMS];
    for (int nid = 0; nid < nodes; nid++) {
      sums[0] += h.nrHugePagesNode[nid];
      sums[1] += h.freeHugePagesNode[nid];
      sums[2] += h.surplusHugePagesNode[nid];
      if (mm.nodes().nodeOnline(nid)) {
        node(h, nid, active[nid], free);
      }
    }
    equal(h, "all", h.nrHugePages, sums[0]);
    equal(h, "free", h.freeHugePages, sums[1]);
    equal(h, "surplus", h.surplusHugePages, sums[2]);
    // What boot leaves to a CMA area stays asked for until somebody asks again.
    if (!h.isGigantic() || h.nrHugePages > 0) {
      equal(h, "persistent", h.persistentHugePages(), h.maxHugePages);
    }
    // Who maps a page takes what was promised, so nothing is left of promises.
    equal(h, "promised", h.resvHugePages, 0);
  }

  /** {@code free} is where free pages are counted by node: a page may be on the wrong list. */
  private void node(Hstate h, int nid, long active, long[] free) {
    long before = free[nid];
    list(h, h.hugepageFreelists(nid), nid, free);
    long listed = free[nid] - before;
    equal(h, "free, node " + nid, h.freeHugePagesNode[nid], listed);
    equal(h, "all, node " + nid, h.nrHugePagesNode[nid], listed + active);
    int surplus = h.surplusHugePagesNode[nid];
    if (surplus < 0 || surplus > h.nrHugePagesNode[nid]) {
      equal(h, "surplus, node " + nid, surplus, h.nrHugePagesNode[nid]);
    }
  }

  private void equal(Hstate h, String what, long counter, long recount) {
    found.equal(COUNTS, () -> h.name() + ": " + what + ", against a recount,", counter, recount);
  }

  /** Counts the pages of a list by node, and looks at each; {@code nid} is -1 for pages in use. */
  private void list(Hstate h, ListHead head, int nid, long[] byNode) {
    for (ListHead at = mm.lists().first(head); at.va() != head.va(); at = mm.lists().next(at)) {
      Folio folio = new Folio(mm.struct().ofLru(at));
      long pfn = mm.model().pageToPfn(folio.page());
      if (!heads.add(pfn)) {
        found.violated(PAGE, "pfn", pfn, "is on two lists of pools, or the list runs in a circle");
        return;
      }
      byNode[mm.inline().folioNid(folio)]++;
      page(h, folio, pfn, nid);
      zone(h, folio, pfn);
      optimised(h, folio, pfn);
    }
  }

  private void page(Hstate h, Folio folio, long pfn, int nid) {
    long references = reader.word(pfn, StructPage.REFCOUNT / Long.BYTES) >>> REFCOUNT_SHIFT;
    boolean head = (reader.word(pfn, 0) & 1L << PageFlags.PG_HEAD) != 0;
    String wrong = "";
    if (pfn % h.pagesPerHugePage() != 0) {
      wrong = "is not aligned";
    } else if (!head || mm.inline().folioOrder(folio) != h.hugePageOrder()) {
      wrong = "is no head of order " + h.hugePageOrder();
    } else if (nid >= 0 && mm.inline().folioNid(folio) != nid) {
      wrong = "is on the list of node " + nid;
    } else if ((references == 0) != (nid >= 0) && !(tailsOfBoot && references == 1)) {
      wrong = (nid >= 0 ? "is free, and" : "is in use, and") + " has " + references + " references";
    }
    found.checked(PAGE, 1);
    if (!wrong.isEmpty()) {
      found.violated(PAGE, "pfn", pfn, "in the pool of " + h.name() + " " + wrong);
    }
  }

  private void zone(Hstate h, Folio folio, long pfn) {
    Zone zone = mm.inline().folioZone(folio);
    long last = pfn + h.pagesPerHugePage() - 1;
    found.checked(ZONE, 1);
    if (!zone.spansPfn(pfn) || !zone.spansPfn(last)) {
      found.violated(ZONE, "pfn", pfn, "begins in zone " + zone + " and ends elsewhere");
    }
  }

  /** True for a tail of the pool's order; that its zone is right, its struct pages tell. */
  private boolean shared(Hstate h, long frame) {
    ZoneTails.Slot slot = tails.ofFrame(frame);
    return slot != null && slot.order() == h.hugePageOrder();
  }

  /** With the flag all but the first part of its memmap is the shared tail; without it, none. */
  private void optimised(Hstate h, Folio folio, long pfn) {
    long perPage = mm.model().pageSize() / mm.config().sizeofStructPage();
    boolean flag = hugetlb.folios().test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    long from = flag ? hugetlb.vmemmap().hugetlbVmemmapReservePages() : 0;
    for (long at = pfn + from; at < pfn + h.pagesPerHugePage(); at += perPage) {
      if (flag != shared(h, reader.frame(at))) {
        String what = flag ? "is optimised, and its memmap not shared" : "shares a tail without the flag";
        found.violated(OPTIMISED, "pfn", at, "of hugepage 0x" + Long.toHexString(pfn) + " " + what);
        break;
      }
    }
    found.checked(OPTIMISED, 1);
  }
}
