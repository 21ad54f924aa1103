// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import org.jspecify.annotations.Nullable;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.VmemAltmap;

/**
 * What the pages of a range are, in the words of case files, as the model has it: part of a
 * hugepage of the pool, of a device, or neither.
 */
final class PageRoles {
  private static final int LINK_WORD = 2;

  private final ModelView view;
  private final Mm mm;
  private final ZoneTails tails;
  private final MemmapReader reader;
  private final long startPfn;
  private final long pages;
  private final boolean dataKnown;
  private final ModelView.@Nullable Hugepage hugepage;
  private final ModelView.@Nullable Device device;

  /**
   * The roles in a run of pfns.
   *
   * @param dataKnown the capture knew where the data of the device starts; to one that did not, all
   *     of the device is data
   */
  PageRoles(
      ModelView view,
      ZoneTails tails,
      MemmapReader reader,
      long startPfn,
      long pages,
      boolean dataKnown) {
    this.dataKnown = dataKnown;
    this.view = view;
    this.mm = view.mm();
    this.tails = tails;
    this.reader = reader;
    this.startPfn = startPfn;
    this.pages = pages;
    this.hugepage =
        view.hugepages().stream().filter(page -> page.pfn() == startPfn).findFirst().orElse(null);
    this.device = view.devices().stream().filter(this::holdsStart).findFirst().orElse(null);
  }

  private boolean holdsStart(ModelView.Device one) {
    return startPfn >= one.startPfn() && startPfn < one.startPfn() + one.pages();
  }

  /** What the range is. */
  String what() {
    if (hugepage != null) {
      return "hugepage";
    }
    String letter = view.letter(startPfn);
    if (!letter.isEmpty()) {
      return (device == null ? "range of device " : "device ") + letter;
    }
    if (device != null) {
      return "device";
    }
    return switch (view.past(startPfn)) {
      case HUGEPAGE -> "memory of a freed hugepage";
      case FAILED_DEVICE -> "range of a device that could not be bound";
      case REMOVED_DEVICE -> "range of the removed device";
      case HOT_ADDED -> "hot-added memory";
      case REMOVED_MEMORY -> "range of the removed memory";
      case NOTHING -> "memory";
    };
  }

  /** Order of the compound pages of the range; 0 for none. */
  int order() {
    if (hugepage != null) {
      return order(startPfn);
    }
    return device != null && dataPfn() >= 0 ? order(dataPfn()) : 0;
  }

  private int order(long pfn) {
    if (!reader.mapped(pfn)) {
      return 0;
    }
    Page page = mm.model().pfnToPage(pfn);
    return mm.inline().folioOrder(new Folio(mm.flags().compoundHead(page)));
  }

  /** The state of a hugepage of the pool; null for anything else. */
  @Nullable String state() {
    if (hugepage == null) {
      return null;
    }
    Page head = mm.model().pfnToPage(startPfn);
    Page first = mm.struct().add(head, 1);
    boolean mapped = mm.struct().half(first, StructPage.ENTIRE_MAPCOUNT) >= 0;
    if (mapped) {
      return "mapped";
    }
    boolean free = (mm.struct().priv(head) & HugetlbPageFlag.HPG_FREED.mask()) != 0;
    return free ? "free in the pool" : "in use";
  }

  /** First data page of the device; -1 when the range is no device's. */
  long dataPfn() {
    return device == null ? -1 : device.dataPfn();
  }

  /** The role of {@code pfn}. */
  String role(long pfn) {
    if (!reader.mapped(pfn)) {
      return "not mapped";
    }
    if (hugepage != null) {
      return pfn < startPfn + (1L << hugepage.order()) ? compound(pfn) : "outside";
    }
    if (device != null) {
      return pfn < device.startPfn() + device.pages() ? devicePage(device, pfn) : "outside";
    }
    if (pfn >= startPfn + pages && view.past(startPfn) != ModelView.Past.FAILED_DEVICE) {
      return "outside";
    }
    if (view.past(startPfn) == ModelView.Past.HUGEPAGE) {
      long block = Math.min(pages, 1L << mm.config().maxPageOrder());
      return (pfn - startPfn) % block == 0 ? "freedBlockHead" : "freed";
    }
    return "hole";
  }

  private String devicePage(ModelView.Device one, long pfn) {
    VmemAltmap altmap = one.pgmap().pgmapAltmap();
    if (altmap != null && pfn < altmap.basePfn + altmap.reserve) {
      return "altmapReserve";
    }
    if (altmap != null && pfn < altmap.basePfn + altmap.reserve + altmap.free) {
      return "altmap";
    }
    if ((dataKnown && pfn < one.dataPfn()) || one.pgmap().vmemmapShift == 0) {
      return "device";
    }
    return neverWritten(pfn) ? "neverWritten" : compound(pfn);
  }

  private boolean neverWritten(long pfn) {
    for (long word : reader.words(pfn)) {
      if (word != 0) {
        return false;
      }
    }
    return true;
  }

  /** The place in the compound page that the struct page itself names. */
  private String compound(long pfn) {
    Page page = mm.model().pfnToPage(pfn);
    Page head = mm.flags().compoundHead(page);
    if (!mm.flags().pageHead(head)) {
      return "no compound page";
    }
    long place = pfn - mm.model().pageToPfn(head);
    if (place == 0) {
      return "head";
    }
    if (tails.ofFrame(reader.frame(pfn)) != null) {
      return "sharedTail";
    }
    if (place <= 3) {
      return "tail" + place;
    }
    return hugepage != null && looksShared(pfn) ? "sharedTail" : "tail";
  }

  /**
   * True when the link word of a tail with a frame of its own is not what such tails have. The
   * captures name roles by words alone: a tail whose second link is neither its own list head nor
   * list poison is called one that is read through a shared frame. Two kinds look like that: the
   * pages where the free blocks began that a gigantic page was made of, which are linked to each
   * other, and tails that got their contents back from a shared frame, whose link is zero.
   */
  private boolean looksShared(long pfn) {
    long link = reader.word(pfn, LINK_WORD);
    return link != mm.lists().listPoison2() && link != reader.address(pfn) + StructPage.LRU;
  }
}
