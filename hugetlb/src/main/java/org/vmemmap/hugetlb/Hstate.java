// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;

/**
 * A {@code struct hstate}: one size of hugepage and its pool.
 *
 * <p>Counts are in hugepages. The fields are public as in C and guarded by {@code hugetlb_lock},
 * but for {@link #nrHugePages} and its kind, which anybody may read.
 */
@Kernel(file = "include/linux/hugetlb.h", symbol = "struct hstate")
public final class Hstate {
  private final Mm mm;
  private final int order;
  private final ListHead hugepageActivelist;
  private final @Nullable ListHead[] hugepageFreelists;

  /** Where the next round of allocations starts. */
  public final NextNode nextNidToAlloc = new NextNode(0);

  /** Where the next round of freeing starts. */
  public final NextNode nextNidToFree = new NextNode(0);

  /** Order of the hugepages that one of these can be broken into; 0 for none. */
  public int demoteOrder;

  /** How many were asked for; afterwards, how many persistent ones there are. Unsigned. */
  public long maxHugePages;

  /** All that exist. */
  public long nrHugePages;

  /** Those on the free lists. */
  public long freeHugePages;

  /** Free ones that somebody has been promised. */
  public long resvHugePages;

  /** Those beyond the persistent ones: they leave when they become free. */
  public long surplusHugePages;

  /** Limit for surplus pages made on demand. Unsigned. */
  public long nrOvercommitHugePages;

  /** The command line's wish for each node. */
  public final int[] maxHugePagesNode;

  /** {@link #nrHugePages} by node. */
  public final int[] nrHugePagesNode;

  /** {@link #freeHugePages} by node. */
  public final int[] freeHugePagesNode;

  /** {@link #surplusHugePages} by node. */
  public final int[] surplusHugePagesNode;

  /** Makes the state of an empty pool of hugepages of 2^{@code order} base pages. */
  public Hstate(Mm mm, int order) {
    int maxNumnodes = 1 << mm.config().nodesShift();
    this.mm = mm;
    this.order = order;
    this.hugepageActivelist = mm.lists().newHead();
    this.hugepageFreelists = new @Nullable ListHead[maxNumnodes];
    this.maxHugePagesNode = new int[maxNumnodes];
    this.nrHugePagesNode = new int[maxNumnodes];
    this.freeHugePagesNode = new int[maxNumnodes];
    this.surplusHugePagesNode = new int[maxNumnodes];
  }

  /** Adds {@code n} to {@link #nrHugePages}, of all nodes and of {@code nid}. */
  void addNrHugePages(int nid, int n) {
    nrHugePages = mm.machine().add("nr_huge_pages", nrHugePages, n);
    add("nr_huge_pages_node", nrHugePagesNode, nid, n);
  }

  /** The same for {@link #freeHugePages}. */
  void addFreeHugePages(int nid, int n) {
    freeHugePages = mm.machine().add("free_huge_pages", freeHugePages, n);
    add("free_huge_pages_node", freeHugePagesNode, nid, n);
  }

  /** The same for {@link #surplusHugePages}. */
  void addSurplusHugePages(int nid, int n) {
    surplusHugePages = mm.machine().add("surplus_huge_pages", surplusHugePages, n);
    addSurplusHugePagesNode(nid, n);
  }

  /** Adds {@code n} to those of {@code nid} only, for a page that moves. */
  void addSurplusHugePagesNode(int nid, int n) {
    add("surplus_huge_pages_node", surplusHugePagesNode, nid, n);
  }

  /** Adds {@code n} to {@link #resvHugePages}. */
  void addResvHugePages(long n) {
    resvHugePages = mm.machine().add("resv_huge_pages", resvHugePages, n);
  }

  /** Adds {@code n} to {@link #maxHugePages}. */
  void addMaxHugePages(long n) {
    maxHugePages = mm.machine().add("max_huge_pages", maxHugePages, n);
  }

  /** Sets {@link #maxHugePages}; the lock is held. */
  void storeMaxHugePages(long n) {
    mm.machine().yields().touched("max_huge_pages");
    maxHugePages = n;
  }

  private void add(String counter, int[] byNode, int nid, int n) {
    byNode[nid] = (int) mm.machine().add(counter, byNode[nid], n);
  }

  /**
   * The address that stands for {@code &hstates[i]} in simulated memory: the one part of the
   * structure that lies there.
   */
  public long va() {
    return hugepageActivelist.va();
  }

  /** {@code &h->hugepage_activelist}: hugepages in use. */
  public ListHead hugepageActivelist() {
    mm.machine().yields().touched("hugepage_activelist");
    return hugepageActivelist;
  }

  /** {@code &h->hugepage_freelists[nid]}; made when first asked for, to save room. */
  public ListHead hugepageFreelists(int nid) {
    mm.machine().yields().touched("hugepage_freelists");
    ListHead head = hugepageFreelists[nid];
    if (head == null) {
      head = mm.lists().newHead();
      hugepageFreelists[nid] = head;
    }
    return head;
  }

  /** {@code huge_page_order()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "huge_page_order")
  public int hugePageOrder() {
    return order;
  }

  /** {@code huge_page_size()} in bytes. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "huge_page_size")
  public long hugePageSize() {
    return mm.model().pageSize() << order;
  }

  /** {@code huge_page_mask()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "huge_page_mask")
  public long hugePageMask() {
    return -hugePageSize();
  }

  /** {@code pages_per_huge_page()}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "pages_per_huge_page")
  public int pagesPerHugePage() {
    return 1 << order;
  }

  /** {@code order_is_gigantic()}: more than the buddy allocator can give. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "hstate_is_gigantic")
  public boolean isGigantic() {
    return order > mm.config().maxPageOrder();
  }

  /** {@code persistent_huge_pages()}: those that stay when they become free. */
  @Kernel(file = "mm/hugetlb.c", symbol = "persistent_huge_pages")
  public long persistentHugePages() {
    return nrHugePages - surplusHugePages;
  }

  /** {@code h->name}: the directory in sysfs, as in {@code hugepages-2048kB}. */
  public String name() {
    return "hugepages-" + hugePageSize() / 1024 + "kB";
  }

  @Override
  public String toString() {
    return name();
  }
}
