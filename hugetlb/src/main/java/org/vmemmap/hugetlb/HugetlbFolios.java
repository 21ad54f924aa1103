// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * The inline functions on a HugeTLB folio: its flags, its page type, and the three pointers in its
 * page 3.
 *
 * <pre>
 *   page 0, offset 40   private               HPG_ flags, see {@link HugetlbPageFlag}
 *   page 0, offset 48   page_type             PGTY_hugetlb in the top byte
 *   page 3, offset 16   _hugetlb_subpool
 *           offset 24   _hugetlb_cgroup
 *           offset 32   _hugetlb_cgroup_rsvd
 * </pre>
 *
 * Every access goes through the memmap, so it faults where a process would: none of these words
 * lies in a page that optimisation takes away.
 */
@Kernel(file = "include/linux/hugetlb.h", symbol = "HPAGEFLAG")
public final class HugetlbFolios {
  /** FOLIO_MAPPING_ANON: bit 0 of the mapping. */
  static final int FOLIO_MAPPING_ANON = 1;

  private static final int FOLIO_PAGE_3 = 3;

  private final Mm mm;

  /** Works on the folios of {@code mm}. */
  public HugetlbFolios(Mm mm) {
    this.mm = mm;
  }

  /** {@code folio_test_hugetlb_*()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "TESTHPAGEFLAG")
  public boolean test(Folio folio, HugetlbPageFlag flag) {
    return mm.machine().testBit("folio->private", mm.struct().priv(folio.page()), flag.mask());
  }

  /** {@code folio_set_hugetlb_*()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "SETHPAGEFLAG")
  public void set(Folio folio, HugetlbPageFlag flag) {
    mm.struct().setPriv(folio.page(), mm.struct().priv(folio.page()) | flag.mask());
  }

  /** {@code folio_clear_hugetlb_*()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "CLEARHPAGEFLAG")
  public void clear(Folio folio, HugetlbPageFlag flag) {
    mm.struct().setPriv(folio.page(), mm.struct().priv(folio.page()) & ~flag.mask());
  }

  /** {@code folio_test_hugetlb()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "folio_test_hugetlb")
  public boolean folioTestHugetlb(Folio folio) {
    return mm.flags().folioTestHugetlb(folio);
  }

  /** {@code __folio_set_hugetlb()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "FOLIO_TYPE_OPS")
  public void folioSetHugetlb(Folio folio) {
    mm.flags().setType(folio.page(), PageFlags.PGTY_HUGETLB);
  }

  /** {@code __folio_clear_hugetlb()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "FOLIO_TYPE_OPS")
  public void folioClearHugetlb(Folio folio) {
    mm.flags().clearType(folio.page(), PageFlags.PGTY_HUGETLB);
  }

  /** {@code hugetlb_folio_subpool()}: address of the subpool, 0 for none. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "hugetlb_folio_subpool")
  public long hugetlbFolioSubpool(Folio folio) {
    return mm.struct().word(page3(folio), StructPage.HUGETLB_SUBPOOL);
  }

  /** {@code hugetlb_set_folio_subpool()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "hugetlb_set_folio_subpool")
  public void hugetlbSetFolioSubpool(Folio folio, long subpool) {
    mm.struct().setWord(page3(folio), StructPage.HUGETLB_SUBPOOL, subpool);
  }

  /** {@code hugetlb_cgroup_from_folio()}: address of the cgroup charged, 0 for none. */
  @Kernel(file = "include/linux/hugetlb_cgroup.h", symbol = "hugetlb_cgroup_from_folio")
  public long hugetlbCgroupFromFolio(Folio folio) {
    mm.printk()
        .vmBugOn(!folioTestHugetlb(folio), "hugetlb_cgroup_from_folio: !folio_test_hugetlb(folio)");
    return mm.struct().word(page3(folio), StructPage.HUGETLB_CGROUP);
  }

  /** {@code hugetlb_cgroup_from_folio_rsvd()}: the cgroup whose reservation was charged. */
  @Kernel(file = "include/linux/hugetlb_cgroup.h", symbol = "hugetlb_cgroup_from_folio_rsvd")
  public long hugetlbCgroupFromFolioRsvd(Folio folio) {
    mm.printk()
        .vmBugOn(
            !folioTestHugetlb(folio), "hugetlb_cgroup_from_folio_rsvd: !folio_test_hugetlb(folio)");
    return mm.struct().word(page3(folio), StructPage.HUGETLB_CGROUP_RSVD);
  }

  /** {@code set_hugetlb_cgroup()}. */
  @Kernel(file = "include/linux/hugetlb_cgroup.h", symbol = "set_hugetlb_cgroup")
  public void setHugetlbCgroup(Folio folio, long cgroup) {
    mm.printk().vmBugOn(!folioTestHugetlb(folio), "set_hugetlb_cgroup: !folio_test_hugetlb(folio)");
    mm.struct().setWord(page3(folio), StructPage.HUGETLB_CGROUP, cgroup);
  }

  /** {@code set_hugetlb_cgroup_rsvd()}. */
  @Kernel(file = "include/linux/hugetlb_cgroup.h", symbol = "set_hugetlb_cgroup_rsvd")
  public void setHugetlbCgroupRsvd(Folio folio, long cgroup) {
    mm.printk()
        .vmBugOn(!folioTestHugetlb(folio), "set_hugetlb_cgroup_rsvd: !folio_test_hugetlb(folio)");
    mm.struct().setWord(page3(folio), StructPage.HUGETLB_CGROUP_RSVD, cgroup);
  }

  /** {@code folio_size()} in bytes. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_size")
  public long folioSize(Folio folio) {
    return mm.model().pageSize() << mm.inline().folioOrder(folio);
  }

  /** {@code folio_pfn()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_pfn")
  public long folioPfn(Folio folio) {
    return mm.model().pageToPfn(folio.page());
  }

  private Page page3(Folio folio) {
    return mm.struct().add(folio.page(), FOLIO_PAGE_3);
  }

  /** {@code folio_mapcount()} of a large folio. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_mapcount")
  public int folioMapcount(Folio folio) {
    return mm.struct().half(mm.flags().folioPage(folio, 1), StructPage.LARGE_MAPCOUNT) + 1;
  }

  /** {@code folio_test_anon()}: belongs to processes, not to a file. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "folio_test_anon")
  public boolean folioTestAnon(Folio folio) {
    return (mm.struct().mapping(folio.page()) & FOLIO_MAPPING_ANON) != 0;
  }
}
