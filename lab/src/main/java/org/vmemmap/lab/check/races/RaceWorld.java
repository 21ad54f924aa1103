// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.HugetlbVmemmap;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;

/** A booted machine, and what scenarios do on it. */
final class RaceWorld {
  static final String POOL = "/proc/sys/vm/nr_hugepages";
  static final String SWITCH = "/proc/sys/vm/hugetlb_optimize_vmemmap";

  private final LabKernel kernel;
  private final Mm mm;

  RaceWorld(LabKernel kernel) {
    this.kernel = kernel;
    this.mm = kernel.mm();
  }

  LabKernel kernel() {
    return kernel;
  }

  Mm mm() {
    return mm;
  }

  /** The default size. */
  Hstate hstate() {
    return kernel.hugetlb().hstates().defaultHstate();
  }

  HugetlbVmemmap vmemmap() {
    return kernel.hugetlb().vmemmap();
  }

  /** {@code echo value > path}, which must work. */
  void echo(String path, String value) {
    int rc = kernel.write(path, value);
    if (rc != 0) {
      throw new RuleBroken(RuleBook.STEP, "echo " + value + " > " + path + " returns " + rc);
    }
  }

  /** {@code n} hugepages in the pool, with the optimisation on or off, and it is on afterwards. */
  List<Folio> pool(int n, boolean optimised) {
    echo(SWITCH, optimised ? "1" : "0");
    echo(POOL, Integer.toString(n));
    echo(SWITCH, "1");
    return free();
  }

  /** The free hugepages of node 0. */
  List<Folio> free() {
    ListHead head = hstate().hugepageFreelists(0);
    List<Folio> folios = new ArrayList<>();
    for (ListHead at = mm.lists().first(head); !at.equals(head); at = mm.lists().next(at)) {
      folios.add(new Folio(mm.struct().ofLru(at)));
    }
    return folios;
  }

  void optimise(Folio folio) {
    vmemmap().hugetlbVmemmapOptimizeFolio(hstate(), folio);
  }

  void restore(Folio folio) {
    vmemmap().hugetlbVmemmapRestoreFolio(hstate(), folio);
  }

  /** The {@code n}-th page of memmap of a folio begins with this struct page. */
  Page tail(Folio folio, int n) {
    return new Page(folio.va() + n * mm.model().pageSize());
  }

  /** Looks up the head of {@code tail} and touches it, as any walker of pfns does. */
  void findHead(Page tail, Folio folio) {
    Page head = mm.flags().compoundHead(tail);
    if (!head.equals(folio.page())) {
      throw new RuleBroken(
          RuleBook.READER,
          "pfn=0x%x compound_head() is 0x%x, wanted 0x%x"
              .formatted(mm.model().pageToPfn(tail), head.va(), folio.va()));
    }
    if (!mm.flags().pageHead(head)) {
      long pfn = mm.model().pageToPfn(head);
      throw new RuleBroken(RuleBook.READER, "pfn=0x%x is no head".formatted(pfn));
    }
  }
}
