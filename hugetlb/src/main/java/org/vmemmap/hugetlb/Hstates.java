// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;

/**
 * The global variables of mm/hugetlb.c that several of its parts use: all sizes of hugepages, which
 * of them is the default, and the boot pages by node.
 */
@Kernel(file = "mm/hugetlb.c", symbol = "hstates")
public final class Hstates {
  /** {@code __NR_USED_SUBPAGE}: pages whose descriptors a HugeTLB folio writes to, less one. */
  static final int NR_USED_SUBPAGE = 3;

  private final Mm mm;
  private final HugetlbFolios folios;
  private final int hugeMaxHstate;
  private final List<Hstate> hstates = new ArrayList<>();
  private final @Nullable ListHead[] hugeBootPages;

  /** {@code default_hstate_idx}. */
  int defaultHstateIdx;

  /** {@code parsed_hstate}: the size that a {@code hugepages=} that follows belongs to. */
  @Nullable Hstate parsedHstate;

  /** Starts without any size; {@code hugeMaxHstate} is how many the architecture has room for. */
  public Hstates(Mm mm, HugetlbFolios folios, int hugeMaxHstate) {
    this.mm = mm;
    this.folios = folios;
    this.hugeMaxHstate = hugeMaxHstate;
    this.hugeBootPages = new @Nullable ListHead[1 << mm.config().nodesShift()];
  }

  /** {@code for_each_hstate()}: all sizes in the order in which they were registered. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "for_each_hstate")
  public List<Hstate> all() {
    return List.copyOf(hstates);
  }

  /** {@code hugetlb_max_hstate}: how many sizes there are. */
  public int hugetlbMaxHstate() {
    return hstates.size();
  }

  /** HUGE_MAX_HSTATE. */
  int hugeMaxHstate() {
    return hugeMaxHstate;
  }

  /** {@code default_hstate}. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "default_hstate")
  public Hstate defaultHstate() {
    return hstates.get(defaultHstateIdx);
  }

  /** {@code size_to_hstate()}; null when no pool has pages of {@code size} bytes. */
  @Kernel(file = "mm/hugetlb.c", symbol = "size_to_hstate")
  public @Nullable Hstate sizeToHstate(long size) {
    for (Hstate h : hstates) {
      if (h.hugePageSize() == size) {
        return h;
      }
    }
    return null;
  }

  /** {@code hstate_index(size_to_hstate(size))} of a size that exists. */
  int indexOfSize(long size) {
    return hstates.indexOf(Objects.requireNonNull(sizeToHstate(size)));
  }

  /** {@code folio_hstate()}: the pool that the HugeTLB folio belongs to. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "folio_hstate")
  public Hstate folioHstate(Folio folio) {
    boolean hugetlb = folios.folioTestHugetlb(folio);
    mm.printk().vmBugOn(!hugetlb, "folio_hstate: !folio_test_hugetlb(folio)");
    Hstate h = sizeToHstate(folios.folioSize(folio));
    if (h == null) {
      throw new IllegalStateException("no hstate for " + folio);
    }
    return h;
  }

  /** {@code hugetlb_add_hstate()}: registers the size 2^{@code order} base pages, once. */
  @Kernel(file = "mm/hugetlb.c", symbol = "hugetlb_add_hstate")
  public void hugetlbAddHstate(int order) {
    if (sizeToHstate(mm.model().pageSize() << order) != null) {
      return;
    }
    mm.printk()
        .bugOn(
            hstates.size() >= hugeMaxHstate,
            "hugetlb_add_hstate: hugetlb_max_hstate >= HUGE_MAX_HSTATE");
    mm.printk()
        .bugOn(
            order < orderBase2(NR_USED_SUBPAGE),
            "hugetlb_add_hstate: order < order_base_2(__NR_USED_SUBPAGE)");
    mm.printk()
        .warnOn(order > mm.mmzone().maxFolioOrder(), "hugetlb_add_hstate: order > MAX_FOLIO_ORDER");
    Hstate h = new Hstate(mm, order);
    hstates.add(h);
    parsedHstate = h;
  }

  /** {@code &huge_boot_pages[nid]}: the gigantic pages that boot found on the node. */
  @Kernel(file = "mm/hugetlb.c", symbol = "huge_boot_pages")
  public ListHead hugeBootPages(int nid) {
    ListHead head = hugeBootPages[nid];
    if (head == null) {
      head = mm.lists().newHead();
      hugeBootPages[nid] = head;
    }
    return head;
  }

  /** {@code m->hstate}. */
  public Hstate hstate(HugeBootmemPage m) {
    long va = mm.machine().cpu().readLong(m.va() + HugeBootmemPage.HSTATE);
    for (Hstate h : hstates) {
      if (h.va() == va) {
        return h;
      }
    }
    throw new IllegalStateException("m->hstate=0x" + Long.toHexString(va));
  }

  /** Writes {@code m->hstate}. */
  void setHstate(HugeBootmemPage m, Hstate h) {
    mm.machine().cpu().writeLong(m.va() + HugeBootmemPage.HSTATE, h.va());
  }

  /** {@code m->flags}. */
  public long flags(HugeBootmemPage m) {
    return mm.machine().cpu().readLong(m.va() + HugeBootmemPage.FLAGS);
  }

  /** Writes {@code m->flags}. */
  void setFlags(HugeBootmemPage m, long flags) {
    mm.machine().cpu().writeLong(m.va() + HugeBootmemPage.FLAGS, flags);
  }

  private static int orderBase2(int n) {
    return 32 - Integer.numberOfLeadingZeros(n - 1);
  }
}
