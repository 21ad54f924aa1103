// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * A struct page as crash and drgn print it: fields with their values, numbers decoded behind them.
 */
public final class PageDump {
  private static final List<String> FLAG_NAMES =
      List.of(
          "locked",
          "writeback",
          "referenced",
          "uptodate",
          "dirty",
          "lru",
          "head",
          "waiters",
          "active",
          "workingset",
          "owner_priv_1",
          "owner_2",
          "arch_1",
          "reserved",
          "private",
          "private_2",
          "reclaim",
          "swapbacked",
          "unevictable",
          "dropbehind",
          "mlocked",
          "hwpoison");

  private final Mm mm;
  private final Page page;
  private final long pfn;
  private final StringBuilder text = new StringBuilder();

  private PageDump(Mm mm, long pfn) {
    this.mm = mm;
    this.pfn = pfn;
    this.page = mm.model().pfnToPage(pfn);
  }

  /** The struct page of {@code pfn}; null when there is no memmap for it. */
  public static @Nullable String of(Mm mm, long pfn) {
    boolean there = mm.mmzone().pfnValid(pfn) && new MemmapReader(mm).mapped(pfn);
    return there ? new PageDump(mm, pfn).dump() : null;
  }

  private String dump() {
    text.append("struct page 0x%x  // pfn 0x%x%n".formatted(page.va(), pfn));
    backing();
    text.append("{\n");
    word("flags", StructPage.FLAGS, flags());
    if (mm.flags().pageTail(page)) {
      tail();
    } else {
      head();
    }
    return text.append("}\n").toString();
  }

  private void head() {
    word("lru.next", StructPage.LRU, "");
    word("lru.prev", StructPage.LRU + 8, "");
    word("mapping", StructPage.MAPPING, "");
    word("index", StructPage.INDEX, "");
    word("private", StructPage.PRIVATE, "");
    pageType();
    if (mm.struct().size() > StructPage.MEMCG_DATA) {
      word("memcg_data", StructPage.MEMCG_DATA, "");
    }
  }

  /** Tails 1 to 3 keep fields of their folio where other pages have lru, mapping and the like. */
  private void tail() {
    word("compound_info", StructPage.COMPOUND_INFO, tailOf());
    long index = pfn - mm.model().pageToPfn(mm.flags().compoundHead(page));
    if (index == 1) {
      halves("_large_mapcount", StructPage.LARGE_MAPCOUNT, "_nr_pages_mapped");
      halves("_entire_mapcount", StructPage.ENTIRE_MAPCOUNT, "_pincount");
      word("_mm_id_mapcount", StructPage.MM_ID_MAPCOUNT, "");
      word("_mm_ids", StructPage.MM_IDS, "");
    } else if (index == 2) {
      word("_deferred_list", StructPage.DEFERRED_LIST, "");
    } else if (index == 3) {
      word("_hugetlb_subpool", StructPage.HUGETLB_SUBPOOL, "");
      word("_hugetlb_cgroup", StructPage.HUGETLB_CGROUP, "");
      word("_hugetlb_cgroup_rsvd", StructPage.HUGETLB_CGROUP_RSVD, "");
      word("_hugetlb_hwpoison", StructPage.HUGETLB_HWPOISON, "");
    } else {
      word("mapping", StructPage.MAPPING, mapping());
      word("private", StructPage.PRIVATE, "");
    }
    pageType();
    if (index == 1 && mm.struct().size() > StructPage.NR_PAGES) {
      field("_nr_pages", Integer.toString(mm.struct().half(page, StructPage.NR_PAGES)), "");
    }
  }

  private void halves(String first, int offset, String second) {
    field(first, Integer.toString(mm.struct().half(page, offset)), "");
    field(second, Integer.toString(mm.struct().half(page, offset + 4)), "");
  }

  private void backing() {
    long frame = new MemmapReader(mm).frame(pfn);
    ZoneTails.Slot tail = new ZoneTails(mm).ofFrame(frame);
    text.append("  // in frame 0x%x, owner %s".formatted(frame, ownerOf(frame)));
    text.append(tail == null ? "\n" : ", shared tail " + tail.name() + ", read-only\n");
    text.append("  // page itself: owner %s%n".formatted(ownerOf(pfn)));
  }

  private String ownerOf(long frame) {
    return frame < mm.machine().ledger().frames()
        ? mm.machine().ledger().ownerOf(frame).name().toLowerCase(Locale.ROOT).replace('_', ' ')
        : "none";
  }

  private void word(String name, int offset, String meaning) {
    field(name, "0x" + Long.toHexString(mm.struct().word(page, offset)), meaning);
  }

  private void field(String name, String value, String meaning) {
    String line = "  %-20s = %s,".formatted(name, value);
    text.append(meaning.isEmpty() ? line : "%-44s // %s".formatted(line, meaning)).append('\n');
  }

  private String flags() {
    long word = mm.struct().flags(page);
    List<String> names = new ArrayList<>();
    Page headPage = mm.flags().compoundHead(page);
    boolean first = mm.struct().add(headPage, 1).equals(page);
    if (first) {
      names.add("folio order " + (word & 0xff));
    }
    for (int bit = first ? Byte.SIZE : 0; bit < FLAG_NAMES.size(); bit++) {
      if ((word >> bit & 1) != 0) {
        names.add(FLAG_NAMES.get(bit));
      }
    }
    return "node %d, zone %s%s"
        .formatted(
            mm.inline().nid(word),
            mm.inline().zonenum(word).label(),
            names.isEmpty() ? "" : ", " + String.join("|", names));
  }

  private String tailOf() {
    Page head = mm.flags().compoundHead(page);
    return "tail of pfn 0x%x, order %d"
        .formatted(mm.model().pageToPfn(head), mm.inline().folioOrder(new Folio(head)));
  }

  private String mapping() {
    return mm.struct().mapping(page) == mm.flags().tailMapping() ? "TAIL_MAPPING" : "";
  }

  private void pageType() {
    int type = mm.struct().pageType(page);
    String meaning =
        switch (type >>> 24) {
          case PageFlags.PGTY_BUDDY -> "buddy";
          case PageFlags.PGTY_OFFLINE -> "offline";
          case PageFlags.PGTY_TABLE -> "table";
          case PageFlags.PGTY_HUGETLB -> "hugetlb";
          case PageFlags.PGTY_SLAB -> "slab";
          default -> "";
        };
    if (meaning.isEmpty()) {
      field("_mapcount", Integer.toString(type), type == -1 ? "not mapped" : "");
    } else {
      field("page_type", "0x" + Integer.toHexString(type), meaning);
    }
    field("_refcount", Integer.toString(mm.struct().refcount(page)), "");
  }
}
