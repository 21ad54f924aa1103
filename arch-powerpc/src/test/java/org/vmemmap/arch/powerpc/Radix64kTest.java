// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.arch.powerpc.PowerpcBench.GIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.KIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.MIB;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.VmemAltmap;

/**
 * The memmap in the radix tree with 64K pages: a section has 16 KiB of it, four sections share a
 * page, a leaf describes 2 GiB. RAM of 2 GiB is behind one leaf, devices come from 2 GiB on.
 */
class Radix64kTest {
  private static final int ORDER_1G = 14;
  private static final int ORDER_2M = 5;
  private static final int NONE = -1;
  private static final long DEVICE = 2 * GIB;
  private static final long SECTION = 16 * MIB;
  private static final long LEAF = 2 * MIB;
  private static final long PAGE = 64 * KIB;

  private final PowerpcBench bench = PowerpcBench.radix64k();

  /** Boot. Expect one leaf of 32 pages, and a counter of one page for each of the 128 sections. */
  @Test
  void boot_twoGigabytes_oneLeafButAPageForEachSection() {
    assertEquals(32, bench.mapped(bench.memmap(0), bench.memmap(0) + LEAF, PMD));
    assertEquals(128, bench.mm.vmstat().nrMemmapBootPages());
  }

  /** A device of 2 GiB. Expect one leaf, and 128 pages on the counter. */
  @Test
  void populate_twoGigabytes_counterRoundsUpSectionBySection() {
    assertEquals(0, bench.add(DEVICE, 2 * GIB));

    assertEquals(32, bench.mapped(bench.memmap(DEVICE), bench.memmap(DEVICE) + LEAF, PMD));
    assertEquals(128, bench.mm.vmstat().nrMemmapPages());
  }

  /**
   * Two compound pages of 1 GiB, 16 pages of memmap each. Expect 2 frames for each, in one fragment
   * of 256 bytes.
   */
  @Test
  void compound_gigabytes_fourFramesInOneFragment() {
    List<Long> before = bench.books();
    long start = bench.memmap(DEVICE);

    assertEquals(0, bench.addCompound(DEVICE, 2 * GIB, ORDER_1G));

    assertEquals(32, bench.mapped(start, start + LEAF, PTE));
    assertEquals(4, bench.frames(start, start + LEAF));
    assertEquals(15, bench.refcount(bench.frame(start + PAGE)));
    assertEquals(4, bench.mm.vmstat().nrMemmapPages());
    bench.removeCompound(DEVICE, 2 * GIB, ORDER_1G);
    assertEquals(before, bench.books());
  }

  /** Compound pages of 2 MiB have 2 KiB of memmap. Expect no dedup: a leaf as for others. */
  @Test
  void compound_twoMegabytes_isNotOptimised() {
    bench.addCompound(DEVICE, 2 * GIB, ORDER_2M);

    assertEquals(PMD, bench.level(bench.memmap(DEVICE)));
    assertEquals(128, bench.mm.vmstat().nrMemmapPages());
  }

  /**
   * Four devices of a section each, with altmaps.
   *
   * <pre>
   *   one page of memmap   | sec 0 | sec 1 | sec 2 | sec 3 |   describes 64 MiB, no altmap has that
   * </pre>
   *
   * Expect a page of RAM for all of them, which the last one frees.
   */
  @Test
  void free_fourSectionsInOnePage_theLastOneFreesIt() {
    List<Long> before = bench.books();
    VmemAltmap first = bench.altmap(DEVICE, SECTION, 0, 1);
    VmemAltmap second = bench.altmap(DEVICE + SECTION, SECTION, 0, 1);
    bench.addAltmap(DEVICE, SECTION, first);
    bench.addAltmap(DEVICE + SECTION, SECTION, second);
    assertEquals(0, first.alloc + second.alloc);
    assertEquals(1, bench.mapped(bench.memmap(DEVICE), bench.memmap(DEVICE) + LEAF, PTE));

    bench.removeAltmap(DEVICE, SECTION, first);
    assertEquals(PTE, bench.level(bench.memmap(DEVICE)));
    bench.removeAltmap(DEVICE + SECTION, SECTION, second);

    assertEquals(NONE, bench.level(bench.memmap(DEVICE)));
    assertEquals(before, bench.books());
  }

  /** A device of 64 MiB fills a page of memmap. Expect exactly one page of its altmap in use. */
  @Test
  void altmap_wholePage_takesExactlyOne() {
    VmemAltmap altmap = bench.altmap(DEVICE, 64 * MIB, 0, 1024);

    assertEquals(0, bench.addAltmap(DEVICE, 64 * MIB, altmap));

    assertEquals(1, altmap.alloc);
    assertEquals(bench.pfn(DEVICE), bench.frame(bench.memmap(DEVICE)));
  }

  /** A device in the half of a leaf that RAM has left over. Expect only the counter to move. */
  @Test
  void populate_leftoverOfTheBootLeaf_nothingIsMapped() {
    PowerpcBench half = new PowerpcBench(PowerpcGeometry.radix(16), false, GIB, true).boot();
    long vmemmap = half.owned(Owner.VMEMMAP);

    assertEquals(0, half.add(GIB, GIB));

    assertEquals(vmemmap, half.owned(Owner.VMEMMAP));
    assertEquals(64, half.mm.vmstat().nrMemmapPages());
    half.remove(GIB, GIB);
    assertEquals(PMD, half.level(half.memmap(GIB)));
  }

  /**
   * Two tables in different leaves. Expect both in one page, which goes with neither: most of its
   * 256 fragments were never handed out.
   */
  @Test
  void fragments_twoTables_shareAPageThatStays() {
    long tables = bench.owned(Owner.PAGE_TABLE);
    bench.addCompound(DEVICE, GIB, ORDER_1G);
    bench.addCompound(DEVICE + 2 * GIB, GIB, ORDER_1G);

    long first = bench.walk(bench.memmap(DEVICE)).entryPaddr();
    long second = bench.walk(bench.memmap(DEVICE + 2 * GIB)).entryPaddr();
    assertEquals(256, second - first);
    assertEquals(0, bench.arch.init64().idleTablePages());
    bench.removeCompound(DEVICE, GIB, ORDER_1G);
    bench.removeCompound(DEVICE + 2 * GIB, GIB, ORDER_1G);

    assertEquals(tables + 1, bench.owned(Owner.PAGE_TABLE));
    assertEquals(1, bench.arch.init64().idleTablePages());
  }

  /**
   * All 256 fragments of a page are handed out and freed again.
   *
   * <pre>
   *   | 0 | 1 | 2 | ... | 255 |   then a page of its own for the next table
   * </pre>
   *
   * Expect the page to go back with its last fragment, and not before.
   */
  @Test
  void fragments_allFreed_thePageGoesBack() {
    PgtableFrag frags = new PgtableFrag(bench.mm, bench.pageAlloc, "test", 256);
    long tables = bench.owned(Owner.PAGE_TABLE);
    long first = frags.pteFragmentAlloc();
    for (int i = 1; i < 256; i++) {
      assertEquals(first + 256L * i, frags.pteFragmentAlloc());
    }
    assertEquals(tables + 1, bench.owned(Owner.PAGE_TABLE));

    for (int i = 1; i < 256; i++) {
      frags.pteFragmentFree(first + 256L * i);
    }
    assertEquals(tables + 1, bench.owned(Owner.PAGE_TABLE));
    assertEquals(0, frags.idlePages());
    frags.pteFragmentFree(first);

    assertEquals(tables, bench.owned(Owner.PAGE_TABLE));
    assertEquals(0, frags.pteFragmentAlloc() & PAGE - 1);
  }

  /** A fragment is freed twice, when it is the last. Expect the kernel to stop. */
  @Test
  void fragments_freedTooOften_isABug() {
    PgtableFrag frags = new PgtableFrag(bench.mm, bench.pageAlloc, "test", PAGE);
    long table = frags.pteFragmentAlloc();
    frags.pteFragmentFree(table);

    KernelBug bug = assertThrows(KernelBug.class, () -> frags.pteFragmentFree(table));
    assertEquals(
        "kernel BUG at pte_fragment_free: atomic_read(&ptdesc->pt_frag_refcount) <= 0",
        bug.getMessage());
  }

  /**
   * The last of four sections in a page goes first.
   *
   * <pre>
   *   one page of memmap   | sec 0 | - | - | sec 3 |   the range ends where the page ends
   * </pre>
   *
   * Expect the page to stay for the first one.
   */
  @Test
  void free_lastSectionOfAPage_pageStays() {
    VmemAltmap first = bench.altmap(DEVICE, SECTION, 0, 1);
    VmemAltmap last = bench.altmap(DEVICE + 3 * SECTION, SECTION, 0, 1);
    bench.addAltmap(DEVICE, SECTION, first);
    bench.addAltmap(DEVICE + 3 * SECTION, SECTION, last);

    bench.removeAltmap(DEVICE + 3 * SECTION, SECTION, last);
    assertEquals(PTE, bench.level(bench.memmap(DEVICE)));
    bench.removeAltmap(DEVICE, SECTION, first);

    assertEquals(NONE, bench.level(bench.memmap(DEVICE)));
  }

  /** A table of fragments. Expect its page to be a page table until all of it has gone. */
  @Test
  void fragments_page_hasTheTypeOfATable() {
    PgtableFrag frags = new PgtableFrag(bench.mm, bench.pageAlloc, "test", PAGE);
    long table = frags.pteFragmentAlloc();
    Page page = bench.mm.model().virtToPage(table);
    assertTrue(bench.mm.flags().hasType(page, PageFlags.PGTY_TABLE));

    frags.pteFragmentFree(table);
    assertFalse(bench.mm.flags().hasType(page, PageFlags.PGTY_TABLE));
  }

  /** The page for fragments cannot be had. Expect 0, and a table the next time. */
  @Test
  void fragments_noPage_isZero() {
    PgtableFrag frags = new PgtableFrag(bench.mm, bench.pageAlloc, "test", 256);
    bench.failNth(1, "test");
    assertEquals(0, frags.pteFragmentAlloc());
    assertEquals(0, frags.idlePages());
    assertNotEquals(0, frags.pteFragmentAlloc());
  }

  /** 513 fragments of 256 bytes. Expect three pages: 256 in each of the first two. */
  @Test
  void fragments_moreThanTwoPages_takeAThird() {
    PgtableFrag frags = new PgtableFrag(bench.mm, bench.pageAlloc, "test", 256);
    long tables = bench.owned(Owner.PAGE_TABLE);
    for (int i = 0; i < 512; i++) {
      frags.pteFragmentAlloc();
    }
    assertEquals(tables + 2, bench.owned(Owner.PAGE_TABLE));

    frags.pteFragmentAlloc();
    assertEquals(tables + 3, bench.owned(Owner.PAGE_TABLE));
  }

  /** Tables from boot, which have a page of their own. Expect each page to become managed. */
  @Test
  void free_tablesFromBoot_pagesAreManaged() {
    Book3s64Pgtable tables =
        new Book3s64Pgtable(bench.mm, bench.pageAlloc, bench.slab, bench.geometry);
    long reserved = bench.mm.model().va(2 * GIB - SECTION);
    long total = bench.pageAlloc.totalramPages();

    tables.pudFree(reserved);
    tables.pmdFragmentFree(reserved + PAGE);
    tables.pteFreeKernel(reserved + 2 * PAGE);

    assertEquals(3, bench.pageAlloc.totalramPages() - total);
    assertFalse(bench.mm.flags().pageReserved(bench.mm.model().virtToPage(reserved)));
    assertEquals(0, tables.idlePages());
  }

  /**
   * A compound page far away, whose pmd table and pte table are fragments of two pages. Expect both
   * pages to be idle once it is gone.
   */
  @Test
  void idleTablePages_bothKinds_areCounted() {
    long start = bench.memmap(1L << 46);
    assertEquals(
        0,
        bench
            .arch
            .init64()
            .vmemmapPopulateCompoundPages(
                bench.vmemmap,
                bench.pfn(1L << 46),
                start,
                start + 2 * PAGE,
                0,
                PowerpcBench.pgmap(ORDER_1G)));
    assertEquals(0, bench.arch.init64().idleTablePages());

    bench.arch.init64().vmemmapFree(start, start + 2 * PAGE, null);

    assertEquals(2, bench.arch.init64().idleTablePages());
  }
}
