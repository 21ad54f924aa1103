// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Kernel.Fidelity;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.ZoneType;

/**
 * {@code /proc/kpageflags} and {@code /proc/kpagecount}: what struct pages say, in words that do
 * not change with the kernel's internals.
 *
 * <p>The kernel first copies the page and its folio, because others may change them meanwhile. Here
 * nothing runs beside the reader, so the fields are read where they are; {@link #snapshotPage} only
 * finds the folio.
 */
@Kernel(file = "fs/proc/page.c", symbol = "kpage_read")
public final class ProcPage {
  public static final int KPF_LOCKED = 0;
  public static final int KPF_REFERENCED = 2;
  public static final int KPF_UPTODATE = 3;
  public static final int KPF_DIRTY = 4;
  public static final int KPF_LRU = 5;
  public static final int KPF_ACTIVE = 6;
  public static final int KPF_SLAB = 7;
  public static final int KPF_WRITEBACK = 8;
  public static final int KPF_RECLAIM = 9;
  public static final int KPF_BUDDY = 10;
  public static final int KPF_MMAP = 11;
  public static final int KPF_ANON = 12;
  public static final int KPF_SWAPCACHE = 13;
  public static final int KPF_SWAPBACKED = 14;
  public static final int KPF_COMPOUND_HEAD = 15;
  public static final int KPF_COMPOUND_TAIL = 16;
  public static final int KPF_HUGE = 17;
  public static final int KPF_UNEVICTABLE = 18;
  public static final int KPF_HWPOISON = 19;
  public static final int KPF_NOPAGE = 20;
  public static final int KPF_KSM = 21;
  public static final int KPF_THP = 22;
  public static final int KPF_OFFLINE = 23;
  public static final int KPF_IDLE = 25;
  public static final int KPF_PGTABLE = 26;
  public static final int KPF_RESERVED = 32;
  public static final int KPF_MLOCKED = 33;
  public static final int KPF_OWNER_2 = 34;
  public static final int KPF_PRIVATE = 35;
  public static final int KPF_PRIVATE_2 = 36;
  public static final int KPF_OWNER_PRIVATE = 37;
  public static final int KPF_ARCH = 38;
  public static final int KPF_ARCH_2 = 41;
  public static final int KPF_ARCH_3 = 42;

  private static final int PGTY_MAPCOUNT_UNDERFLOW = 0xff;
  private static final int PG_LARGE_RMAPPABLE = PageFlags.PG_WORKINGSET;
  private static final int PG_SWAPCACHE = PageFlags.PG_OWNER_PRIV_1;
  private static final long FOLIO_MAPPING_ANON = 1;
  private static final long FOLIO_MAPPING_KSM = 3;

  private final Mm mm;

  /** Reads the struct pages of {@code mm}. */
  public ProcPage(Mm mm) {
    this.mm = mm;
  }

  /**
   * {@code struct page_snapshot}.
   *
   * @param page the page
   * @param folio the folio that it belongs to
   * @param idx its place in the folio
   * @param flags word 0 of the folio's head
   */
  @Kernel(
      file = "include/linux/mm.h",
      symbol = "struct page_snapshot",
      fidelity = Fidelity.CUSTOM,
      why = "Holds no copies: nothing changes while it is read.")
  record Snapshot(Page page, Folio folio, long idx, long flags) {}

  /** One entry of /proc/kpagecount: how often the page is mapped by processes; 0 when offline. */
  @Kernel(file = "fs/proc/page.c", symbol = "get_kpage_count")
  public long getKpageCount(long pfn) {
    Page page = pfnToOnlinePage(pfn);
    if (page == null) {
      return 0;
    }
    Snapshot ps = snapshotPage(page);
    int mapcount = mm.struct().mapcount(page) + 1;
    if (pageMapcountIsType(mapcount)) {
      mapcount = 0;
    }
    if (large(ps.folio())) {
      mapcount += mm.struct().half(first(ps.folio()), StructPage.ENTIRE_MAPCOUNT) + 1;
    }
    return mapcount;
  }

  /** One entry of /proc/kpageflags: the KPF_ bits of the page; 0 when it is not online. */
  @Kernel(
      file = "fs/proc/page.c",
      symbol = "kpage_read",
      fidelity = Fidelity.CUSTOM,
      why = "One entry at a time instead of a file.")
  public long kpageFlags(long pfn) {
    Page page = pfnToOnlinePage(pfn);
    return page == null ? 0 : stablePageFlags(page);
  }

  /**
   * The same with the flags of the folio's head given: for a captured page that a process had
   * mapped and used, whose low flag bits are an input.
   *
   * @param headFlags word 0 of the head
   */
  public long kpageFlags(long pfn, long headFlags) {
    Page page = pfnToOnlinePage(pfn);
    if (page == null) {
      return 0;
    }
    Snapshot ps = snapshotPage(page);
    return stablePageFlags(new Snapshot(page, ps.folio(), ps.idx(), headFlags));
  }

  /** The KPF_ bits of {@code page}; KPF_NOPAGE alone for null. */
  @Kernel(file = "fs/proc/page.c", symbol = "stable_page_flags")
  public long stablePageFlags(@Nullable Page page) {
    return page == null ? 1L << KPF_NOPAGE : stablePageFlags(snapshotPage(page));
  }

  private long stablePageFlags(Snapshot ps) {
    Folio folio = ps.folio();
    long k = ps.flags();
    long u = bit(KPF_MMAP, folioMapped(folio));
    long mapping = mm.struct().mapping(folio.page());
    boolean anon = (mapping & FOLIO_MAPPING_ANON) != 0;
    u |= bit(KPF_ANON, anon) | bit(KPF_KSM, anon && (mapping & 3) == FOLIO_MAPPING_KSM);
    u |=
        ps.idx() == 0
            ? kpfCopyBit(k, KPF_COMPOUND_HEAD, PageFlags.PG_HEAD)
            : bit(KPF_COMPOUND_TAIL, true);
    if (mm.flags().folioTestHugetlb(folio)) {
      u |= bit(KPF_HUGE, true);
    } else if (large(folio) && mm.flags().test(first(folio), PG_LARGE_RMAPPABLE)) {
      u |= bit(KPF_THP, true);
    }
    u |= bit(KPF_BUDDY, inFreeBlock(ps.page()));
    u |= kpfCopyBit(k, KPF_IDLE, PageFlags.PG_IDLE);
    return u | typeBits(folio) | copiedBits(ps, (u & 1L << KPF_HUGE) != 0);
  }

  private long typeBits(Folio folio) {
    return bit(KPF_OFFLINE, mm.flags().hasType(folio.page(), PageFlags.PGTY_OFFLINE))
        | bit(KPF_PGTABLE, mm.flags().hasType(folio.page(), PageFlags.PGTY_TABLE))
        | bit(KPF_SLAB, mm.flags().hasType(folio.page(), PageFlags.PGTY_SLAB));
  }

  private long copiedBits(Snapshot ps, boolean huge) {
    long k = ps.flags();
    boolean swapcache = (k & 1L << PageFlags.PG_SWAPBACKED) != 0 && (k & 1L << PG_SWAPCACHE) != 0;
    long poisoned = huge ? k : mm.struct().flags(ps.page());
    return kpfCopyBit(k, KPF_LOCKED, PageFlags.PG_LOCKED)
        | kpfCopyBit(k, KPF_DIRTY, PageFlags.PG_DIRTY)
        | kpfCopyBit(k, KPF_UPTODATE, PageFlags.PG_UPTODATE)
        | kpfCopyBit(k, KPF_WRITEBACK, PageFlags.PG_WRITEBACK)
        | kpfCopyBit(k, KPF_LRU, PageFlags.PG_LRU)
        | kpfCopyBit(k, KPF_REFERENCED, PageFlags.PG_REFERENCED)
        | kpfCopyBit(k, KPF_ACTIVE, PageFlags.PG_ACTIVE)
        | kpfCopyBit(k, KPF_RECLAIM, PageFlags.PG_RECLAIM)
        | bit(KPF_SWAPCACHE, swapcache)
        | kpfCopyBit(k, KPF_SWAPBACKED, PageFlags.PG_SWAPBACKED)
        | kpfCopyBit(k, KPF_UNEVICTABLE, PageFlags.PG_UNEVICTABLE)
        | kpfCopyBit(k, KPF_MLOCKED, PageFlags.PG_MLOCKED)
        | kpfCopyBit(poisoned, KPF_HWPOISON, PageFlags.PG_HWPOISON)
        | kpfCopyBit(k, KPF_RESERVED, PageFlags.PG_RESERVED)
        | kpfCopyBit(k, KPF_OWNER_2, PageFlags.PG_OWNER_2)
        | kpfCopyBit(k, KPF_PRIVATE, PageFlags.PG_PRIVATE)
        | kpfCopyBit(k, KPF_PRIVATE_2, PageFlags.PG_PRIVATE_2)
        | kpfCopyBit(k, KPF_OWNER_PRIVATE, PageFlags.PG_OWNER_PRIV_1)
        | kpfCopyBit(k, KPF_ARCH, PageFlags.PG_ARCH_1)
        | kpfCopyArchBit(k, KPF_ARCH_2, mm.flags().pgArch2())
        | kpfCopyArchBit(k, KPF_ARCH_3, mm.flags().pgArch3());
  }

  /** A flag that not every architecture has: none, then its number is negative. */
  private static long kpfCopyArchBit(long kflags, int ubit, int kbit) {
    return kbit < 0 ? 0 : kpfCopyBit(kflags, ubit, kbit);
  }

  @Kernel(file = "fs/proc/page.c", symbol = "kpf_copy_bit")
  private static long kpfCopyBit(long kflags, int ubit, int kbit) {
    return (kflags >>> kbit & 1) << ubit;
  }

  private static long bit(int number, boolean value) {
    return value ? 1L << number : 0;
  }

  /** {@code snapshot_page()}: the folio of the page and the page's place in it. */
  @Kernel(
      file = "mm/util.c",
      symbol = "snapshot_page",
      fidelity = Fidelity.CUSTOM,
      why = "Copies nothing and needs no second try: nothing changes while it is read.")
  private Snapshot snapshotPage(Page page) {
    Folio folio = mm.flags().pageFolio(page);
    long idx = mm.model().pageToPfn(page) - mm.model().pageToPfn(folio.page());
    return new Snapshot(page, folio, idx, mm.struct().flags(folio.page()));
  }

  /** {@code pfn_to_online_page()}: null for a page that nobody has put online, or of a device. */
  @Kernel(
      file = "mm/memory_hotplug.c",
      symbol = "pfn_to_online_page",
      fidelity = Fidelity.CUSTOM,
      why = "Sees from its zone that a page belongs to a device, instead of looking the device up.")
  private @Nullable Page pfnToOnlinePage(long pfn) {
    if (!mm.mmzone().pfnOnline(pfn)) {
      return null;
    }
    Page page = mm.model().pfnToPage(pfn);
    boolean device =
        mm.mmzone().onlineDeviceSection(mm.mmzone().pfnToSection(pfn))
            && mm.inline().pageZonenum(page) == ZoneType.ZONE_DEVICE;
    return device ? null : page;
  }

  @Kernel(file = "mm/util.c", symbol = "set_ps_flags")
  private boolean inFreeBlock(Page page) {
    if (mm.flags().pageBuddy(page)) {
      return true;
    }
    return mm.struct().refcount(mm.flags().compoundHead(page)) == 0 && isFreeBuddyPage(page);
  }

  /** {@code is_free_buddy_page()}: the page is part of a block on a free list. */
  @Kernel(file = "mm/page_alloc.c", symbol = "is_free_buddy_page")
  private boolean isFreeBuddyPage(Page page) {
    long pfn = mm.model().pageToPfn(page);
    for (int order = 0; order <= mm.config().maxPageOrder(); order++) {
      Page head = mm.model().pfnToPage(pfn & -(1L << order));
      if (mm.flags().pageBuddy(head) && mm.struct().priv(head) >= order) {
        return true;
      }
    }
    return false;
  }

  @Kernel(file = "include/linux/mm.h", symbol = "folio_mapped")
  private boolean folioMapped(Folio folio) {
    int mapcount;
    if (large(folio)) {
      mapcount = mm.struct().half(first(folio), StructPage.LARGE_MAPCOUNT) + 1;
    } else {
      mapcount = mm.struct().mapcount(folio.page()) + 1;
      mapcount = pageMapcountIsType(mapcount) ? 0 : mapcount;
    }
    return mapcount >= 1;
  }

  /** {@code page_mapcount_is_type()}: the field holds a page type and no count. */
  @Kernel(file = "include/linux/page-flags.h", symbol = "page_mapcount_is_type")
  private static boolean pageMapcountIsType(int mapcount) {
    return mapcount - 1 < PGTY_MAPCOUNT_UNDERFLOW << 24;
  }

  private boolean large(Folio folio) {
    return mm.flags().pageHead(folio.page());
  }

  private Page first(Folio folio) {
    return mm.struct().add(folio.page(), 1);
  }
}
