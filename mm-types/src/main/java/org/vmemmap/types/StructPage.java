// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.vmemmap.machine.Machine;

/**
 * The fields of {@code struct page} and of the pages of a {@code struct folio}, read and written
 * through the memmap.
 *
 * <pre>
 *   offset   struct page          folio page 1            folio page 2        folio page 3
 *        0  | flags              | _flags_1 (order 7:0)  | _flags_2          | _flags_3
 *        8  | compound_info, or  | _head_1               | _head_2           | _head_3
 *           |   lru.next, pgmap  |                       |                   |
 *       16  | lru.prev           | _large_mapcount  :4   | _deferred_list    | _hugetlb_subpool
 *       20  |                    | _nr_pages_mapped :4   |   .next           |
 *       24  | mapping            | _entire_mapcount :4   | _deferred_list    | _hugetlb_cgroup
 *       28  |                    | _pincount        :4   |   .prev           |
 *       32  | index, share       | _mm_id_mapcount[2]    |                   | _hugetlb_cgroup_rsvd
 *       40  | private            | _mm_ids               |                   | _hugetlb_hwpoison
 *       48  | _mapcount, page_type :4                                        |
 *       52  | _refcount        :4                                            |
 *       56  | memcg_data (not in a 56-byte struct page); _nr_pages :4 in page 1
 * </pre>
 *
 * The 72- and 80-byte variants add words at the end that this model leaves alone. Every method
 * faults as the hardware does: {@code not-present} where there is no memmap, {@code
 * write-to-read-only} at a shared tail.
 */
@Kernel(file = "include/linux/mm_types.h", symbol = "struct page")
public final class StructPage {
  public static final int FLAGS = 0;
  public static final int COMPOUND_INFO = 8;
  public static final int LRU = 8;
  public static final int MAPPING = 24;
  public static final int INDEX = 32;
  public static final int PRIVATE = 40;
  public static final int MAPCOUNT = 48;
  public static final int PAGE_TYPE = 48;
  public static final int REFCOUNT = 52;
  public static final int MEMCG_DATA = 56;
  public static final int LARGE_MAPCOUNT = 16;
  public static final int NR_PAGES_MAPPED = 20;
  public static final int ENTIRE_MAPCOUNT = 24;
  public static final int PINCOUNT = 28;
  public static final int MM_ID_MAPCOUNT = 32;
  public static final int MM_IDS = 40;
  public static final int NR_PAGES = 56;
  public static final int DEFERRED_LIST = 16;
  public static final int HUGETLB_SUBPOOL = 16;
  public static final int HUGETLB_CGROUP = 24;
  public static final int HUGETLB_CGROUP_RSVD = 32;
  public static final int HUGETLB_HWPOISON = 40;

  private final Machine machine;
  private final int size;
  private final boolean pageInitPoisoning;

  StructPage(Machine machine, MmConfig config) {
    this.machine = machine;
    this.pageInitPoisoning = config.debugVm();
    this.size = config.sizeofStructPage();
  }

  /** {@code sizeof(struct page)} in bytes. */
  public int size() {
    return size;
  }

  /** {@code page + n}: the descriptor n places on. */
  public Page add(Page page, long n) {
    return new Page(page.va() + n * size);
  }

  /** The 64-bit word at {@code offset} of the descriptor. */
  public long word(Page page, int offset) {
    return machine.cpu().readLong(page.va() + offset);
  }

  /** Writes the 64-bit word at {@code offset}. */
  public void setWord(Page page, int offset, long value) {
    machine.cpu().writeLong(page.va() + offset, value);
  }

  /** The 32-bit word at {@code offset} of the descriptor. */
  public int half(Page page, int offset) {
    return machine.cpu().readInt(page.va() + offset);
  }

  /** Writes the 32-bit word at {@code offset}. */
  public void setHalf(Page page, int offset, int value) {
    machine.cpu().writeInt(page.va() + offset, value);
  }

  /** {@code page->flags.f}. */
  public long flags(Page page) {
    return word(page, FLAGS);
  }

  /** Writes all flags, node and zone included. */
  public void setFlags(Page page, long value) {
    setWord(page, FLAGS, value);
  }

  /** {@code test_bit()} on the flags. */
  boolean testFlag(Page page, int bit) {
    return machine.testBit("page->flags", flags(page), 1L << bit);
  }

  /** {@code set_bit()} and {@code clear_bit()} on the flags: replaces the bits {@code mask}. */
  void setFlagBits(Page page, long mask, long bits) {
    machine.cpu().setBits(page.va() + FLAGS, mask, bits);
  }

  /** {@code page->compound_info}. */
  public long compoundInfo(Page page) {
    return word(page, COMPOUND_INFO);
  }

  /** Writes compound_info. */
  public void setCompoundInfo(Page page, long value) {
    setWord(page, COMPOUND_INFO, value);
  }

  /** {@code &page->lru}, which is also {@code buddy_list} and {@code pcp_list}. */
  public ListHead lru(Page page) {
    return new ListHead(page.va() + LRU);
  }

  /** {@code list_entry(head, struct page, lru)}. */
  public Page ofLru(ListHead head) {
    return new Page(head.va() - LRU);
  }

  /** {@code page->mapping} as a number. */
  public long mapping(Page page) {
    return word(page, MAPPING);
  }

  /** Writes mapping. */
  public void setMapping(Page page, long value) {
    setWord(page, MAPPING, value);
  }

  /** {@code page->private}. */
  public long priv(Page page) {
    return word(page, PRIVATE);
  }

  /** {@code set_page_private()}. */
  public void setPriv(Page page, long value) {
    setWord(page, PRIVATE, value);
  }

  /** {@code page->_mapcount.counter}: -1 for an unmapped page. */
  public int mapcount(Page page) {
    return half(page, MAPCOUNT);
  }

  /** Writes _mapcount. */
  public void setMapcount(Page page, int value) {
    setHalf(page, MAPCOUNT, value);
  }

  /** {@code page->page_type}: the type in the top byte, or a mapcount. */
  public int pageType(Page page) {
    return half(page, PAGE_TYPE);
  }

  /** Writes page_type. */
  public void setPageType(Page page, int value) {
    setHalf(page, PAGE_TYPE, value);
  }

  /** {@code page->_refcount.counter}. */
  public int refcount(Page page) {
    return half(page, REFCOUNT);
  }

  /** Writes _refcount. */
  public void setRefcount(Page page, int value) {
    setHalf(page, REFCOUNT, value);
  }

  /** {@code atomic_add_return()} on _refcount. */
  int addRefcount(Page page, int n) {
    return machine.cpu().addInt(page.va() + REFCOUNT, n);
  }

  /** {@code atomic_add_unless()} on _refcount; true when it was not 0. */
  boolean addRefcountUnlessZero(Page page, int n) {
    return machine.cpu().addUnless(page.va() + REFCOUNT, n, 0);
  }

  /** {@code atomic_cmpxchg()} on _refcount; true when it was {@code expected}. */
  boolean casRefcount(Page page, int expected, int value) {
    return machine.cpu().compareAndSetInt(page.va() + REFCOUNT, expected, value);
  }

  /** {@code &folio->_deferred_list}, in the folio's page 2. */
  public ListHead deferredList(Folio folio) {
    return new ListHead(add(folio.page(), 2).va() + DEFERRED_LIST);
  }

  /** {@code mm_zero_struct_page()}: zeros all bytes of the descriptor. */
  @Kernel(file = "include/linux/mm.h", symbol = "mm_zero_struct_page")
  public void mmZeroStructPage(Page page) {
    machine.cpu().fill(page.va(), size, (byte) 0);
  }

  /** {@code page_init_poison()}: fills {@code bytes} bytes with ones, in a DEBUG_VM kernel only. */
  @Kernel(file = "mm/debug.c", symbol = "page_init_poison")
  public void pageInitPoison(Page page, long bytes) {
    if (pageInitPoisoning) {
      machine.cpu().fill(page.va(), bytes, (byte) PageFlags.PAGE_POISON_PATTERN);
    }
  }
}
