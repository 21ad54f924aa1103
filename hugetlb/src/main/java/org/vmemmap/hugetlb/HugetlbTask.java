// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.Set;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;

/**
 * A process that maps hugepages, anonymous and private, each in a mapping of its own: what {@code
 * mmap(MAP_HUGETLB)}, the first touch and {@code munmap()} leave in the pool, in the lists and in
 * the struct pages. There is no process page table and no area: the folio is what is looked at. When
 * {@link Migrate} moves the process to another page, that page is what it has mapped from then on.
 */
@Kernel(
    file = "mm/hugetlb.c",
    symbol = "hugetlb_fault",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "Only the effect on the folio and the pool; there are no processes.")
public final class HugetlbTask {
  private static final int ANON_VMA_BYTES = 64;

  private final Mm mm;
  private final Hstates hstates;
  private final HugetlbFolios folios;
  private final Hugetlb hugetlb;
  private final HugetlbReserve reserve;
  private final HugetlbRmap rmap;
  private final long anonVma;

  /** A process that uses the pools of {@code hugetlb}. */
  public HugetlbTask(
      Mm mm,
      Hstates hstates,
      HugetlbFolios folios,
      Hugetlb hugetlb,
      HugetlbReserve reserve,
      HugetlbRmap rmap) {
    this.mm = mm;
    this.hstates = hstates;
    this.folios = folios;
    this.hugetlb = hugetlb;
    this.reserve = reserve;
    this.rmap = rmap;
    this.anonVma = mm.data().alloc(ANON_VMA_BYTES);
  }

  /**
   * Maps one hugepage and touches it.
   *
   * @param size of a hugepage in bytes
   * @param pfn first pfn of the free pool page that it gets, or -1 for the next
   * @return the first pfn of the page, -EINVAL for a size that does not exist, -EBUSY when the page
   *     is not free in the pool, -ENOMEM or -ENOSPC when there is none
   */
  public long mapHugepage(long size, long pfn) {
    Hstate h = hstates.sizeToHstate(size);
    if (h == null) {
      return -Errno.EINVAL;
    }
    int nid = HugetlbInternal.NUMA_NO_NODE;
    if (pfn >= 0) {
      Folio wanted = new Folio(mm.model().pfnToPage(pfn));
      if (!mm.mmzone().pfnValid(pfn)
          || !folios.folioTestHugetlb(wanted)
          || !folios.test(wanted, HugetlbPageFlag.HPG_FREED)) {
        return -Errno.EBUSY;
      }
      // The kernel would take the first of the list, and that is the one.
      hugetlb.preferForRemoval(size, Set.of(pfn));
      nid = mm.inline().folioNid(wanted);
    }
    // mmap() promises the page; the fault then takes it.
    int rc = reserve.hugetlbAcctMemory(h, 1);
    if (rc != 0) {
      return rc;
    }
    Page page =
        reserve.hugetlbAllocFolio(h, nid, HugetlbReserve.HUGETLB_ALLOC_USE_GLOBAL_RESERVATIONS);
    if (page.isErr()) {
      reserve.hugetlbAcctMemory(h, -1);
      return page.ptrErr();
    }
    hugetlbNoPage(h, new Folio(page));
    return mm.model().pageToPfn(page);
  }

  /**
   * The first touch: the page is cleared, marked as up to date and mapped. It is locked for the
   * mapping, and can be moved from now on.
   */
  @Kernel(
      file = "mm/hugetlb.c",
      symbol = "hugetlb_no_page",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The steps that change the folio, in their order; no page table entry is made.")
  private void hugetlbNoPage(Hstate h, Folio folio) {
    mm.machine().cpu().fill(mm.model().pageAddress(folio.page()), h.hugePageSize(), (byte) 0);
    mm.flags().set(folio.page(), PageFlags.PG_UPTODATE);
    mm.flags().set(folio.page(), PageFlags.PG_LOCKED);
    rmap.hugetlbAddNewAnonRmap(folio, anonVma);
    folios.set(folio, HugetlbPageFlag.HPG_MIGRATABLE);
    mm.flags().clear(folio.page(), PageFlags.PG_LOCKED);
  }

  /**
   * Unmaps a hugepage that {@link #mapHugepage} mapped: it goes back to the pool, or, if it became
   * surplus meanwhile, to the page allocator.
   *
   * @param size of the hugepage in bytes
   * @param pfn its first pfn
   * @return 0, or -EINVAL when no such page is mapped
   */
  public int unmapHugepage(long size, long pfn) {
    Hstate h = hstates.sizeToHstate(size);
    Folio folio = new Folio(mm.model().pfnToPage(pfn));
    if (h == null || !mm.mmzone().pfnValid(pfn) || !isMapped(folio, size)) {
      return -Errno.EINVAL;
    }
    // The mapping is still there, so it keeps its promise of a page until it is closed. Not for
    // a surplus page, which is to leave.
    boolean adjustReservation = h.surplusHugePages == 0;
    if (adjustReservation) {
      folios.set(folio, HugetlbPageFlag.HPG_RESTORE_RESERVE);
    }
    rmap.hugetlbRemoveRmap(folio);
    if (mm.refs().putPageTestzero(folio.page())) {
      hugetlb.freeHugeFolio(folio);
    }
    if (adjustReservation) {
      reserve.hugetlbAcctMemory(h, -1);
    }
    hugetlb.runFreeHpageWork();
    return 0;
  }

  /** True when the folio is a hugepage of this size that somebody holds. */
  private boolean isMapped(Folio folio, long size) {
    return folios.folioTestHugetlb(folio)
        && folios.folioSize(folio) == size
        && mm.refs().folioRefCount(folio) != 0;
  }
}
