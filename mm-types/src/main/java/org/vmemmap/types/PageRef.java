// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/** Reference counts of pages. */
@Kernel(file = "include/linux/page_ref.h", symbol = "page_ref_count")
public final class PageRef {
  private final StructPage struct;
  private final PageFlags flags;
  private final Printk printk;

  PageRef(StructPage struct, PageFlags flags, Printk printk) {
    this.struct = struct;
    this.flags = flags;
    this.printk = printk;
  }

  /** {@code page_ref_count()}: of the page itself, not of its head. */
  @Kernel(file = "include/linux/page_ref.h", symbol = "page_ref_count")
  public int pageRefCount(Page page) {
    return struct.refcount(page);
  }

  /** {@code folio_ref_count()}. */
  @Kernel(file = "include/linux/page_ref.h", symbol = "folio_ref_count")
  public int folioRefCount(Folio folio) {
    return struct.refcount(folio.page());
  }

  /** {@code set_page_count()}. */
  @Kernel(file = "include/linux/page_ref.h", symbol = "set_page_count")
  public void setPageCount(Page page, int count) {
    struct.setRefcount(page, count);
  }

  /** {@code init_page_count()}: one reference. */
  @Kernel(file = "include/linux/page_ref.h", symbol = "init_page_count")
  public void initPageCount(Page page) {
    setPageCount(page, 1);
  }

  /** {@code page_ref_add()}. */
  @Kernel(file = "include/linux/page_ref.h", symbol = "page_ref_add")
  public void pageRefAdd(Page page, int n) {
    struct.addRefcount(page, n);
  }

  /** {@code get_page()}: one reference more on the folio; the folio must have one. */
  @Kernel(file = "include/linux/mm.h", symbol = "get_page")
  public void getPage(Page page) {
    Page head = flags.compoundHead(page);
    printk.vmBugOn(struct.refcount(head) + 127 <= 127 && struct.refcount(head) + 127 >= 0, "folio_get: folio_ref_zero_or_close_to_overflow(folio)");
    pageRefAdd(head, 1);
  }

  /** {@code put_page_testzero()}: one reference less; true when that was the last. */
  @Kernel(file = "include/linux/mm.h", symbol = "put_page_testzero")
  public boolean putPageTestzero(Page page) {
    printk.vmBugOn(struct.refcount(page) == 0, "put_page_testzero: page_ref_count(page) == 0");
    return struct.addRefcount(page, -1) == 0;
  }

  /**
   * {@code page_ref_add_unless_zero()}: false when the count is 0. Looks first and exchanges then:
   * what was no tail at the look may be one at the exchange, which writes even when it fails.
   */
  @Kernel(file = "include/linux/page_ref.h", symbol = "page_ref_add_unless_zero")
  public boolean pageRefAddUnlessZero(Page page, int nr) {
    return struct.addRefcountUnlessZero(page, nr);
  }

  /** {@code folio_try_get()}: one reference more, unless there is none. */
  @Kernel(file = "include/linux/page_ref.h", symbol = "folio_try_get")
  public boolean folioTryGet(Folio folio) {
    return pageRefAddUnlessZero(folio.page(), 1);
  }

  /** {@code page_ref_freeze()}: from {@code count} to 0; false when the count is another. */
  @Kernel(file = "include/linux/page_ref.h", symbol = "page_ref_freeze")
  public boolean pageRefFreeze(Page page, int count) {
    return struct.casRefcount(page, count, 0);
  }

  /** {@code page_ref_unfreeze()}: from 0 to {@code count}. */
  @Kernel(file = "include/linux/page_ref.h", symbol = "page_ref_unfreeze")
  public void pageRefUnfreeze(Page page, int count) {
    printk.vmBugOn(struct.refcount(page) != 0, "page_ref_unfreeze: page_count(page) != 0");
    struct.setRefcount(page, count);
  }
}
