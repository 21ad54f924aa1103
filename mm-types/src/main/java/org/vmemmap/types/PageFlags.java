// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.jspecify.annotations.Nullable;

/**
 * Page flags, compound pages and page types.
 *
 * <pre>
 *   struct page word 0 on x86-64 (widths come from the configuration)
 *   63        54 53  51 50                      30 29                25 24          0
 *  +------------+------+--------------------------+--------------------+-------------+
 *  |    node    | zone |       last_cpupid        |      unused        |  PG_ flags  |
 *  +------------+------+--------------------------+--------------------+-------------+
 *
 *   compound_info of a tail, mask form (struct page is a power of two):
 *   63                                  order + log2(size)                       1   0
 *  +---------------------------------------------------+-------------------------+---+
 *  |                     all ones                      |          zeros          | 1 |
 *  +---------------------------------------------------+-------------------------+---+
 *   pointer form: the address of the head, plus 1
 * </pre>
 */
@Kernel(file = "include/linux/page-flags.h", symbol = "enum pageflags")
public final class PageFlags {
  public static final int PG_LOCKED = 0;
  public static final int PG_WRITEBACK = 1;
  public static final int PG_REFERENCED = 2;
  public static final int PG_UPTODATE = 3;
  public static final int PG_DIRTY = 4;
  public static final int PG_LRU = 5;
  public static final int PG_HEAD = 6;
  public static final int PG_WAITERS = 7;
  public static final int PG_ACTIVE = 8;
  public static final int PG_WORKINGSET = 9;
  public static final int PG_OWNER_PRIV_1 = 10;
  public static final int PG_OWNER_2 = 11;
  public static final int PG_ARCH_1 = 12;
  public static final int PG_RESERVED = 13;
  public static final int PG_PRIVATE = 14;
  public static final int PG_PRIVATE_2 = 15;
  public static final int PG_RECLAIM = 16;
  public static final int PG_SWAPBACKED = 17;
  public static final int PG_UNEVICTABLE = 18;
  public static final int PG_DROPBEHIND = 19;
  public static final int PG_MLOCKED = 20;
  public static final int PG_HWPOISON = 21;
  public static final int PG_YOUNG = 22;
  public static final int PG_IDLE = 23;
  private static final int NR_COMMON_PAGEFLAGS = 24;

  /** PG_vmemmap_self_hosted shares its bit with PG_owner_priv_1. */
  public static final int PG_VMEMMAP_SELF_HOSTED = PG_OWNER_PRIV_1;

  /** The pattern of a struct page that was not initialised: {@code PAGE_POISON_PATTERN}. */
  public static final long PAGE_POISON_PATTERN = -1L;

  public static final int PGTY_BUDDY = 0xf0;
  public static final int PGTY_OFFLINE = 0xf1;
  public static final int PGTY_TABLE = 0xf2;
  public static final int PGTY_HUGETLB = 0xf4;
  public static final int PGTY_SLAB = 0xf5;

  private final StructPage struct;
  private final Printk printk;
  private final boolean pgArch2;
  private final boolean pgArch3;
  private final long tailMapping;
  private final boolean mask;
  private final int sizeShift;

  PageFlags(StructPage struct, Printk printk, MmConfig config) {
    this.struct = struct;
    this.printk = printk;
    this.pgArch2 = config.pgArch2();
    this.pgArch3 = config.pgArch3();
    this.tailMapping = config.illegalPointerValue() + 0x400;
    this.mask = config.vmemmapOptimization() && config.structPageIsPowerOf2();
    this.sizeShift = 64 - Long.numberOfLeadingZeros(struct.size() - 1L);
  }

  /** __NR_PAGEFLAGS: flags that every kernel here has, and those of the architecture. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "__NR_PAGEFLAGS")
  public int nrPageflags() {
    return NR_COMMON_PAGEFLAGS + (pgArch2 ? 1 : 0) + (pgArch3 ? 1 : 0);
  }

  /** All flag bits: {@code PAGEFLAGS_MASK}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PAGEFLAGS_MASK")
  public long pageflagsMask() {
    return (1L << nrPageflags()) - 1;
  }

  /** PAGE_FLAGS_CHECK_AT_PREP: what a page must not have when it is handed out. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PAGE_FLAGS_CHECK_AT_PREP")
  public long pageFlagsCheckAtPrep() {
    return pageflagsMask() & ~(1L << PG_HWPOISON);
  }

  /** The number of PG_arch_2; -1 where the architecture has no use for it. */
  public int pgArch2() {
    return pgArch2 ? NR_COMMON_PAGEFLAGS : -1;
  }

  /** The number of PG_arch_3; -1 where the architecture has no use for it. */
  public int pgArch3() {
    return pgArch3 ? nrPageflags() - 1 : -1;
  }

  /** {@code TAIL_MAPPING}: what a tail's mapping holds. */
  @Kernel(file = "include/linux/poison.h", symbol = "TAIL_MAPPING")
  public long tailMapping() {
    return tailMapping;
  }

  /** True when a tail holds an address mask, not a pointer to its head. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "compound_info_has_mask", patches = {33, 49})
  public boolean compoundInfoHasMask() {
    return mask;
  }

  /** The head of the compound page that {@code page} belongs to; the page itself if to none. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "_compound_head")
  public Page compoundHead(Page page) {
    long info = struct.compoundInfo(page);
    if (!mask) {
      return (info & 1) != 0 ? new Page(info - 1) : page;
    }
    long bits = ((info & 1) - 1) | info;
    return new Page(page.va() & bits);
  }

  /** Makes {@code tail} a tail of the compound page of 2^{@code order} pages at {@code head}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "set_compound_head")
  public void setCompoundHead(Page tail, @Nullable Page head, int order) {
    struct.setCompoundInfo(tail, compoundInfo(head, order));
  }

  /** The compound_info of a tail; {@code head} may be null only in the mask form. */
  public long compoundInfo(@Nullable Page head, int order) {
    if (!mask) {
      return (head == null ? 0 : head.va()) | 1;
    }
    return (-1L << (order + sizeShift)) | 1;
  }

  /** Makes the page a tail no longer. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "clear_compound_head")
  public void clearCompoundHead(Page page) {
    struct.setCompoundInfo(page, 0);
  }

  /** {@code page_folio()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "page_folio")
  public Folio pageFolio(Page page) {
    return new Folio(compoundHead(page));
  }

  /** {@code folio_page()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "folio_page")
  public Page folioPage(Folio folio, long n) {
    return struct.add(folio.page(), n);
  }

  /** True for a page behind the first of a compound page. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PageTail")
  public boolean pageTail(Page page) {
    return (struct.compoundInfo(page) & 1) != 0;
  }

  /** True for the first page of a compound page. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PageHead")
  public boolean pageHead(Page page) {
    return test(page, PG_HEAD);
  }

  /** True for any page of a compound page. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PageCompound")
  public boolean pageCompound(Page page) {
    return pageHead(page) || pageTail(page);
  }

  /** True for a struct page that still holds the pattern of uninitialised ones. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PagePoisoned")
  public boolean pagePoisoned(Page page) {
    return struct.flags(page) == PAGE_POISON_PATTERN;
  }

  /** {@code PF_POISONED_CHECK}: a bug in a DEBUG_VM kernel when the page was never initialised. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PF_POISONED_CHECK")
  public Page poisonedCheck(Page page) {
    printk.vmBugOn(pagePoisoned(page), "PF_POISONED_CHECK: PagePoisoned(page)");
    return page;
  }

  /** Tests flag bit {@code bit} of the page itself. */
  public boolean test(Page page, int bit) {
    return struct.testFlag(page, bit);
  }

  /** Sets a flag bit. */
  public void set(Page page, int bit) {
    struct.setFlagBits(page, 1L << bit, 1L << bit);
  }

  /** Clears a flag bit. */
  public void clear(Page page, int bit) {
    struct.setFlagBits(page, 1L << bit, 0);
  }

  /** {@code PageReserved()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PageReserved")
  public boolean pageReserved(Page page) {
    return test(page, PG_RESERVED);
  }

  /** {@code PageVmemmapSelfHosted()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PageVmemmapSelfHosted")
  public boolean pageVmemmapSelfHosted(Page page) {
    return test(page, PG_VMEMMAP_SELF_HOSTED);
  }

  /** True when the page has type {@code type}, one of the PGTY_ numbers. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PAGE_TYPE_OPS")
  public boolean hasType(Page page, int type) {
    return struct.pageType(page) >>> 24 == type;
  }

  /** Sets the page type; the page has none, or had it already. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PAGE_TYPE_OPS")
  public void setType(Page page, int type) {
    if (hasType(page, type)) {
      return;
    }
    printk.vmBugOn(struct.pageType(page) != -1, "PAGE_TYPE_OPS: page_type != UINT_MAX");
    struct.setPageType(page, type << 24);
  }

  /** Takes the page type away. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PAGE_TYPE_OPS")
  public void clearType(Page page, int type) {
    if (struct.pageType(page) == -1) {
      return;
    }
    printk.vmBugOn(!hasType(page, type), "PAGE_TYPE_OPS: !PageType(page)");
    struct.setPageType(page, -1);
  }

  /** {@code PageBuddy()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PageBuddy")
  public boolean pageBuddy(Page page) {
    return hasType(page, PGTY_BUDDY);
  }

  /** {@code PageHuge()} of any page of the folio. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "PageHuge")
  public boolean pageHuge(Page page) {
    return hasType(compoundHead(page), PGTY_HUGETLB);
  }

  /** {@code folio_test_hugetlb()}. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "folio_test_hugetlb")
  public boolean folioTestHugetlb(Folio folio) {
    return hasType(folio.page(), PGTY_HUGETLB);
  }
}
