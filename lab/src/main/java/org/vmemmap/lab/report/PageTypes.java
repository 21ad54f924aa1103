// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.report;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.vmemmap.lab.observe.ProcPage;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;

/**
 * /proc/kpageflags of all pages, counted by the flags that they have, in the columns of the
 * kernel's tools/mm/page-types.
 */
public final class PageTypes {
  private static final Map<Integer, String> NAMES = names();

  private PageTypes() {}

  private static Map<Integer, String> names() {
    Map<Integer, String> names = new HashMap<>();
    names.put(ProcPage.KPF_LOCKED, "locked");
    names.put(ProcPage.KPF_REFERENCED, "referenced");
    names.put(ProcPage.KPF_UPTODATE, "uptodate");
    names.put(ProcPage.KPF_DIRTY, "dirty");
    names.put(ProcPage.KPF_LRU, "lru");
    names.put(ProcPage.KPF_ACTIVE, "active");
    names.put(ProcPage.KPF_SLAB, "slab");
    names.put(ProcPage.KPF_WRITEBACK, "writeback");
    names.put(ProcPage.KPF_RECLAIM, "reclaim");
    names.put(ProcPage.KPF_BUDDY, "buddy");
    names.put(ProcPage.KPF_MMAP, "mmap");
    names.put(ProcPage.KPF_ANON, "anonymous");
    names.put(ProcPage.KPF_SWAPCACHE, "swapcache");
    names.put(ProcPage.KPF_SWAPBACKED, "swapbacked");
    names.put(ProcPage.KPF_COMPOUND_HEAD, "compound_head");
    names.put(ProcPage.KPF_COMPOUND_TAIL, "compound_tail");
    names.put(ProcPage.KPF_HUGE, "huge");
    names.put(ProcPage.KPF_UNEVICTABLE, "unevictable");
    names.put(ProcPage.KPF_HWPOISON, "hwpoison");
    names.put(ProcPage.KPF_NOPAGE, "nopage");
    names.put(ProcPage.KPF_KSM, "ksm");
    names.put(ProcPage.KPF_THP, "thp");
    names.put(ProcPage.KPF_OFFLINE, "offline");
    names.put(ProcPage.KPF_IDLE, "idle_page");
    names.put(ProcPage.KPF_PGTABLE, "pgtable");
    names.put(ProcPage.KPF_RESERVED, "reserved");
    names.put(ProcPage.KPF_MLOCKED, "mlocked");
    names.put(ProcPage.KPF_OWNER_2, "owner_2");
    names.put(ProcPage.KPF_PRIVATE, "private");
    names.put(ProcPage.KPF_PRIVATE_2, "private_2");
    names.put(ProcPage.KPF_OWNER_PRIVATE, "owner_private");
    names.put(ProcPage.KPF_ARCH, "arch");
    names.put(ProcPage.KPF_ARCH_2, "arch_2");
    return names;
  }

  /** The table of all pages of present sections. */
  public static String of(Mm mm) {
    Map<Long, long[]> counts = new TreeMap<>(Long::compareUnsigned);
    ProcPage proc = new ProcPage(mm);
    Mmzone mmzone = mm.mmzone();
    for (long nr = mmzone.nextPresentSectionNr(-1); nr >= 0; nr = mmzone.nextPresentSectionNr(nr)) {
      count(proc, mmzone.sectionNrToPfn(nr), mmzone.sectionNrToPfn(nr + 1), counts);
    }
    Table table = new Table("rrrl", "flags", "page-count", "MB", "long-symbolic-flags");
    for (Map.Entry<Long, long[]> entry : counts.entrySet()) {
      long pages = entry.getValue()[0];
      table.row(
          "0x%016x".formatted(entry.getKey()),
          pages,
          (pages * mm.model().pageSize()) >> 20,
          describe(entry.getKey()));
    }
    return table.toString();
  }

  private static void count(ProcPage proc, long from, long to, Map<Long, long[]> counts) {
    long last = -1;
    long[] slot = new long[1];
    for (long pfn = from; pfn < to; pfn++) {
      long flags = proc.kpageFlags(pfn);
      if (flags != last) {
        slot = counts.computeIfAbsent(flags, key -> new long[1]);
        last = flags;
      }
      slot[0]++;
    }
  }

  private static String describe(long flags) {
    List<String> words = new ArrayList<>();
    for (int bit = 0; bit < Long.SIZE; bit++) {
      if ((flags >>> bit & 1) != 0) {
        words.add(NAMES.getOrDefault(bit, "bit" + bit));
      }
    }
    return String.join(",", words);
  }
}
