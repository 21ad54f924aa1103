// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PgData;

/**
 * What frames of boot memmap and of its page tables remember: which section they serve, in {@code
 * private}, and a reference for each registration. Memory removal finds out by it who owns such a
 * frame, and frees it with the last registration.
 *
 * <pre>
 *   private of the frame's struct page
 *   63                                4 3        0
 *  +-----------------------------------+----------+
 *  |           section number          |   type   |  1 SECTION_INFO      struct pages
 *  +-----------------------------------+----------+  2 MIX_SECTION_INFO  a page table on the way
 * </pre>
 *
 * The file was removed in 7.3 ({@link org.vmemmap.types.Series#forgetsBootmemInfo()}). Only x86-64
 * had it built in, HAVE_BOOTMEM_INFO_NODE; elsewhere such a frame is a reserved page and no more.
 */
@Kernel(file = "mm/bootmem_info.c", symbol = "register_page_bootmem_info_node")
public final class BootmemInfo {
  /** SECTION_INFO: holds struct pages of one section. */
  public static final int SECTION_INFO = 1;

  /** MIX_SECTION_INFO: a page table that leads to struct pages of one or more sections. */
  public static final int MIX_SECTION_INFO = 2;

  private static final int NODE_INFO = 3;
  private static final int TYPE_BITS = 4;
  private static final int TYPE_MASK = (1 << TYPE_BITS) - 1;

  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final SparseVmemmap vmemmap;

  BootmemInfo(Mm mm, PageAlloc pageAlloc, SparseVmemmap vmemmap) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
    this.vmemmap = vmemmap;
  }

  /** HAVE_BOOTMEM_INFO_NODE: the kernel has this file, and the architecture wants it. */
  public boolean configured() {
    return !mm.series().forgetsBootmemInfo() && vmemmap.arch().haveBootmemInfoNode();
  }

  /** {@code get_page_bootmem()}: registers the frame of {@code page} for {@code info}. */
  @Kernel(file = "mm/bootmem_info.c", symbol = "get_page_bootmem")
  public void getPageBootmem(long info, Page page, int type) {
    mm.printk().bugOn(type > TYPE_MASK, "get_page_bootmem: type > 0xf");
    mm.printk().bugOn(info >>> (Long.SIZE - TYPE_BITS) != 0, "get_page_bootmem: info > ULONG_MAX >> 4");
    mm.struct().setPriv(page, info << TYPE_BITS | type);
    mm.refs().pageRefAdd(page, 1);
  }

  /** {@code put_page_bootmem()}: takes a registration back; with the last one the frame is free. */
  @Kernel(file = "mm/bootmem_info.c", symbol = "put_page_bootmem")
  public void putPageBootmem(Page page) {
    int type = bootmemType(page);
    mm.printk()
        .bugOn(
            type < SECTION_INFO || type > NODE_INFO,
            "put_page_bootmem: type is none of memory hotplug");
    mm.refs().pageRefAdd(page, -1);
    if (mm.refs().pageRefCount(page) == 1) {
      mm.struct().setPriv(page, 0);
      pageAlloc.freeReservedPage(page);
    }
  }

  /** {@code bootmem_type()}: what the frame was registered as; 0 for one that was not. */
  @Kernel(file = "include/linux/bootmem_info.h", symbol = "bootmem_type")
  public int bootmemType(Page page) {
    return configured() ? (int) mm.struct().priv(page) & TYPE_MASK : SECTION_INFO;
  }

  /** {@code bootmem_info()}: the section that the frame was registered for last. */
  @Kernel(file = "include/linux/bootmem_info.h", symbol = "bootmem_info")
  public long bootmemInfo(Page page) {
    return configured() ? mm.struct().priv(page) >>> TYPE_BITS : 0;
  }

  /**
   * {@code free_bootmem_page()}: frees a frame of boot memmap. One that was never registered, or
   * more than once, stays where it is: a bug that only a DEBUG_VM kernel tells.
   */
  @Kernel(file = "include/linux/bootmem_info.h", symbol = "free_bootmem_page")
  public void freeBootmemPage(Page page) {
    if (!configured()) {
      pageAlloc.freeReservedPage(page);
      return;
    }
    int type = bootmemType(page);
    mm.printk()
        .vmBugOn(mm.refs().pageRefCount(page) != 2, "free_bootmem_page: page_ref_count(page) != 2");
    if (type == SECTION_INFO || type == MIX_SECTION_INFO) {
      putPageBootmem(page);
    } else {
      mm.printk().vmBugOn(true, "free_bootmem_page: type is neither SECTION_INFO nor MIX_SECTION_INFO");
    }
  }

  /**
   * The memmap of a whole section; HugeTLB registers by itself what it populated early. From patch
   * 28 on no section is marked for that, and all are registered here.
   */
  @Kernel(file = "mm/bootmem_info.c", symbol = "register_page_bootmem_info_section", patches = {28, 30})
  private void registerPageBootmemInfoSection(long startPfn) {
    long first = startPfn & mm.mmzone().pageSectionMask();
    long sectionNr = mm.mmzone().pfnToSectionNr(first);
    MemSection ms = mm.mmzone().nrToSection(sectionNr);
    if (!mm.mmzone().preinitedVmemmapSection(ms)) {
      vmemmap
          .arch()
          .registerPageBootmemMemmap(
              sectionNr, mm.model().pfnToPage(first), mm.mmzone().pagesPerSection());
    }
  }

  /**
   * {@code register_page_bootmem_info_node()}: all sections of the node, in steps of a section from
   * its first pfn. A pfn that lies on another node by memblock is left to that.
   */
  @Kernel(file = "mm/bootmem_info.c", symbol = "register_page_bootmem_info_node")
  public void registerPageBootmemInfoNode(PgData pgdat) {
    if (!configured()) {
      return;
    }
    long end = pgdat.endPfn();
    for (long pfn = pgdat.nodeStartPfn; pfn < end; pfn += mm.mmzone().pagesPerSection()) {
      if (mm.mmzone().pfnValid(pfn) && vmemmap.earlyPfnToNid(pfn) == pgdat.nodeId()) {
        registerPageBootmemInfoSection(pfn);
      }
    }
  }

  /** {@code register_page_bootmem_memmap()} for {@code nrPages} struct pages of one section. */
  public void registerPageBootmemMemmap(long sectionNr, Page map, long nrPages) {
    if (configured()) {
      vmemmap.arch().registerPageBootmemMemmap(sectionNr, map, nrPages);
    }
  }
}
