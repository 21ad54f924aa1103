// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.MachineFault;

/** What a struct page says of its node and zone, and how compound pages are put together. */
@Kernel(file = "include/linux/mm.h", symbol = "page_zone")
public final class MmInline {
  private final StructPage struct;
  private final PageFlags flags;
  private final Printk printk;
  private final Nodes nodes;
  private final int nodesShift;
  private final int nodesPgshift;
  private final int zonesPgshift;
  private final int lastCpupidPgshift;
  private final int lastCpupidBits;
  private final ZoneSet zones;
  private final int zonesShift;
  private final int maxFolioOrder;
  private final boolean zoneOfHead;

  MmInline(
      StructPage struct, PageFlags flags, Printk printk, Nodes nodes, MmConfig config, Mmzone mmzone) {
    this.zoneOfHead = config.series().readsZoneOfHead();
    this.maxFolioOrder = mmzone.maxFolioOrder();
    this.struct = struct;
    this.flags = flags;
    this.printk = printk;
    this.nodes = nodes;
    this.zones = config.zones();
    this.zonesShift = 32 - Integer.numberOfLeadingZeros(zones.maxNrZones() - 1);
    this.nodesShift = config.nodesShift();
    this.nodesPgshift = 64 - nodesShift;
    this.zonesPgshift = nodesPgshift - zonesShift;
    this.lastCpupidBits = config.lastCpupidBits();
    this.lastCpupidPgshift = zonesPgshift - lastCpupidBits;
  }

  /** Where node, zone and last_cpupid lie in word 0 of this build's struct pages. */
  public PageFlagsLayout pageFlagsLayout() {
    int nodes = nodesShift == 0 ? 0 : nodesPgshift;
    int cpupid = lastCpupidBits == 0 ? 0 : lastCpupidPgshift;
    return new PageFlagsLayout(
        0, 0, nodesShift, nodes, zonesShift, zonesPgshift, lastCpupidBits, cpupid);
  }

  /** The bits of word 0 that hold node and zone. */
  public long linkBits() {
    long zone = ((1L << zonesShift) - 1) << zonesPgshift;
    return nodesShift == 0 ? zone : zone | ((1L << nodesShift) - 1) << nodesPgshift;
  }

  /**
   * {@code page_zonenum()}: read from the page itself, or from its head in the form {@link
   * Series#ZONENUM_OF_HEAD}.
   */
  @Kernel(file = "include/linux/mmzone.h", symbol = "page_zonenum")
  public ZoneType pageZonenum(Page page) {
    return zonenum(struct.flags(zoneOfHead ? flags.compoundHead(page) : page));
  }

  /**
   * {@code memdesc_zonenum()}: the zone number in word 0.
   *
   * @throws MachineFault {@code no-such-zone} for a number behind the last zone, where C would take
   *     what lies behind node_zones[] for a zone
   */
  @Kernel(file = "include/linux/mmzone.h", symbol = "memdesc_zonenum")
  public ZoneType zonenum(long word0) {
    int number = (int) (word0 >>> zonesPgshift) & ((1 << zonesShift) - 1);
    if (number >= zones.maxNrZones()) {
      throw new MachineFault("no-such-zone", "zone", number, "flags", word0);
    }
    return zones.of(number);
  }

  /** {@code page_to_nid()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "page_to_nid")
  public int pageToNid(Page page) {
    return nid(struct.flags(flags.poisonedCheck(page)));
  }

  /** {@code memdesc_nid()}: the node number in word 0. */
  @Kernel(file = "include/linux/mm.h", symbol = "memdesc_nid")
  public int nid(long word0) {
    return (int) (word0 >>> nodesPgshift) & ((1 << nodesShift) - 1);
  }

  /** {@code page_zone()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "page_zone")
  public Zone pageZone(Page page) {
    return nodes.nodeData(pageToNid(page)).zone(pageZonenum(page));
  }

  /** {@code folio_zone()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_zone")
  public Zone folioZone(Folio folio) {
    return pageZone(folio.page());
  }

  /** {@code folio_nid()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_nid")
  public int folioNid(Folio folio) {
    return pageToNid(folio.page());
  }

  /** {@code set_page_zone()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "set_page_zone")
  public void setPageZone(Page page, ZoneType zone) {
    long mask = ((1L << zonesShift) - 1) << zonesPgshift;
    struct.setFlags(page, (struct.flags(page) & ~mask) | (long) zones.number(zone) << zonesPgshift);
  }

  /** The same for a zone number that the kernel computed and that need not be one of a zone. */
  public void setPageZonenum(Page page, int zonenum) {
    long mask = ((1L << zonesShift) - 1) << zonesPgshift;
    struct.setFlags(page, (struct.flags(page) & ~mask) | (long) zonenum << zonesPgshift);
  }

  /** {@code set_page_node()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "set_page_node")
  public void setPageNode(Page page, int node) {
    long mask = ((1L << nodesShift) - 1) << nodesPgshift;
    struct.setFlags(page, (struct.flags(page) & ~mask) | (long) node << nodesPgshift);
  }

  /** {@code set_page_links()}: zone and node. */
  @Kernel(file = "include/linux/mm.h", symbol = "set_page_links")
  public void setPageLinks(Page page, ZoneType zone, int node) {
    setPageZone(page, zone);
    setPageNode(page, node);
  }

  /** The word 0 that a struct page of this zone and node has right after initialisation. */
  public long initialFlags(ZoneType zone, int node) {
    return ((long) node << nodesPgshift) | ((long) zones.number(zone) << zonesPgshift) | cpupidMask();
  }

  /** {@code folio_xchg_last_cpupid()}: sets last_cpupid and returns what it was. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_xchg_last_cpupid")
  public long folioXchgLastCpupid(Folio folio, long cpupid) {
    long word0 = struct.flags(folio.page());
    long bits = (cpupid << lastCpupidPgshift) & cpupidMask();
    struct.setFlags(folio.page(), (word0 & ~cpupidMask()) | bits);
    return (word0 & cpupidMask()) >>> lastCpupidPgshift;
  }

  /** {@code page_cpupid_reset_last()}: all ones in last_cpupid. */
  @Kernel(file = "include/linux/mm.h", symbol = "page_cpupid_reset_last")
  public void pageCpupidResetLast(Page page) {
    struct.setFlags(page, struct.flags(page) | cpupidMask());
  }

  private long cpupidMask() {
    return ((1L << lastCpupidBits) - 1) << lastCpupidPgshift;
  }

  /** {@code folio_set_order()}: order and number of pages, in the folio's page 1. */
  @Kernel(file = "mm/internal.h", symbol = "folio_set_order")
  public void folioSetOrder(Folio folio, int order) {
    if (printk.warnOnOnce(order == 0 || !flags.pageHead(folio.page()), "folio_set_order: !order || !folio_test_large(folio)")) {
      return;
    }
    printk.vmWarnOnOnce(order > maxFolioOrder, "folio_set_order: order > MAX_FOLIO_ORDER");
    Page one = struct.add(folio.page(), 1);
    struct.setFlags(one, (struct.flags(one) & ~0xffL) | order);
    if (struct.size() > StructPage.NR_PAGES) {
      struct.setHalf(one, StructPage.NR_PAGES, 1 << order);
    }
  }

  /** {@code folio_order()}: 0 for a page that is no head. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_order")
  public int folioOrder(Folio folio) {
    if (!flags.pageHead(folio.page())) {
      return 0;
    }
    return (int) (struct.flags(struct.add(folio.page(), 1)) & 0xff);
  }

  /** {@code folio_nr_pages()}. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_nr_pages")
  public long folioNrPages(Folio folio) {
    return 1L << folioOrder(folio);
  }

  /** {@code prep_compound_head()}: what a large folio keeps in its pages 1 and 2. */
  @Kernel(file = "mm/internal.h", symbol = "prep_compound_head")
  public void prepCompoundHead(Page page, int order) {
    Folio folio = new Folio(page);
    Page one = struct.add(page, 1);
    folioSetOrder(folio, order);
    struct.setHalf(one, StructPage.LARGE_MAPCOUNT, -1);
    struct.setHalf(one, StructPage.NR_PAGES_MAPPED, 0);
    struct.setWord(one, StructPage.MM_IDS, 0);
    struct.setWord(one, StructPage.MM_ID_MAPCOUNT, -1L);
    struct.setHalf(one, StructPage.PINCOUNT, 0);
    struct.setHalf(one, StructPage.ENTIRE_MAPCOUNT, -1);
    if (order > 1) {
      ListHead deferred = struct.deferredList(folio);
      struct.setWord(new Page(deferred.va()), 0, deferred.va());
      struct.setWord(new Page(deferred.va()), 8, deferred.va());
    }
  }

  /** {@code prep_compound_tail()}: {@code head} may be null only in the mask form. */
  @Kernel(file = "mm/internal.h", symbol = "prep_compound_tail")
  public void prepCompoundTail(Page tail, @Nullable Page head, int order) {
    struct.setMapping(tail, flags.tailMapping());
    flags.setCompoundHead(tail, head, order);
    printk.vmWarnOnOnce(struct.priv(tail) != 0, "prep_compound_tail: tail->private");
  }

  /** {@code init_compound_tail()}: a tail from zeroed memory. */
  @Kernel(file = "mm/internal.h", symbol = "init_compound_tail")
  public void initCompoundTail(Page tail, @Nullable Page head, int order, Zone zone) {
    struct.setMapcount(tail, -1);
    setPageNode(tail, zone.nid());
    setPageZone(tail, zone.idx());
    prepCompoundTail(tail, head, order);
  }
}
