// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.arch.powerpc.PowerpcBench.GIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.KIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.MIB;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.VmemAltmap;

/** Tables of the radix tree above the leaves, offnode memory, and the tails of the series. */
class RadixTablesTest {
  private static final int ORDER_2M = 9;
  private static final int ORDER_1G = 18;
  private static final int NONE = -1;
  private static final long LEAF = 2 * MIB;
  private static final long DEVICE = GIB;
  private static final long SECTION = 16 * MIB;

  private final PowerpcBench bench = PowerpcBench.radix4k();

  /** Memmap in a top-level slot of its own. */
  private long far() {
    return bench.memmap(1L << 46);
  }

  private int populate(long start, long end) {
    return bench.arch.init64().vmemmapPopulate(start, end, 0, null);
  }

  private void free(long start, long end) {
    bench.arch.init64().vmemmapFree(start, end, null);
  }

  private String log() {
    return String.join("\n", bench.log());
  }

  // ---- tables ----

  /** A leaf far away. Expect a pud and a pmd table for it, and both to go with it. */
  @Test
  void free_lastLeaf_freesAllTablesOnTheWay() {
    List<Long> before = bench.booksAndTables();
    long tables = bench.owned(Owner.PAGE_TABLE);

    assertEquals(0, populate(far(), far() + LEAF));
    assertEquals(PMD, bench.level(far()));
    assertEquals(tables + 1, bench.owned(Owner.PAGE_TABLE));

    free(far(), far() + LEAF);
    assertEquals(NONE, bench.level(far()));
    assertEquals(3, bench.walk(far()).level());
    assertEquals(before, bench.booksAndTables());
  }

  /**
   * Two leaves under one pmd table, then under one pud table.
   *
   * <pre>
   *   table   | first | second | - | - |
   * </pre>
   *
   * The first is freed. Expect the table to stay for the second, and to go with it, whatever lies in
   * a free frame behind the pud table.
   */
  @ParameterizedTest
  @CsvSource({"21", "30"})
  void free_tableStillInUse_keepsIt(int distance) {
    List<Long> before = bench.booksAndTables();
    long second = far() + (1L << distance);
    assertEquals(0, populate(far(), far() + LEAF));
    assertEquals(0, populate(second, second + LEAF));

    free(far(), far() + LEAF);
    assertEquals(NONE, bench.level(far()));
    assertEquals(PMD, bench.level(second));

    fillBehindPudTable(second);
    free(second, second + LEAF);
    assertEquals(before, bench.booksAndTables());
  }

  /** Writes what would be an entry in use behind the pud table of an address, if nobody owns that. */
  private void fillBehindPudTable(long va) {
    long behind = (pudPaddr(va) & -4096) + 4096;
    if (bench.machine.ledger().ownerOf(bench.pfn(behind)) == Owner.BUDDY) {
      bench.machine.memory().setLong(behind, -1);
    }
  }

  /** No memory for a table on the way down, at each level. Expect -ENOMEM and nothing mapped. */
  @ParameterizedTest
  @CsvSource({"pud_alloc_one", "__alloc_for_pmdcache"})
  void populate_noTable_isRefused(String site) {
    bench.failNth(1, site);
    assertEquals(-Errno.ENOMEM, populate(far(), far() + LEAF));
    assertEquals(NONE, bench.level(far()));
    assertEquals(0, populate(far(), far() + LEAF));
    assertEquals(PMD, bench.level(far()));
  }

  /** The memmap of RAM. Expect its frames to go back one by one, as memory to be managed. */
  @Test
  void free_bootLeaf_becomesManagedMemory() {
    long leaf = bench.memmap(0) + 7 * LEAF;
    long frame = bench.frame(leaf);
    long total = bench.pageAlloc.totalramPages();

    free(leaf, leaf + LEAF);

    assertEquals(512, bench.pageAlloc.totalramPages() - total);
    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(frame));
    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(frame + 511));
    assertEquals(List.of(), bench.warnings());
  }

  /**
   * A leaf of 1 GiB, which the memmap never has. Expect it cleared when all of it goes, and a WARN
   * and nothing else when only a part does.
   */
  @Test
  void free_leafOfAPud_onlyAsAWhole() {
    long gib = far() & -(1L << 30);
    assertEquals(0, populate(gib + (1L << 30), gib + (1L << 30) + LEAF));
    long pud = pudPaddr(gib);
    Pgtable pgtable = bench.mm.pgtable();
    long leaf = pgtable.arch().toMemory(pgtable.arch().mkLeaf(GIB, PUD, pgtable.pageKernel()));
    bench.machine.memory().setLong(pud, leaf);

    free(gib, gib + (1L << 29));
    assertEquals(leaf, bench.machine.memory().getLong(pud));
    free(gib + (1L << 29), gib + (1L << 30));
    assertEquals(leaf, bench.machine.memory().getLong(pud));
    assertEquals(List.of("remove_pud_table: unaligned range"), bench.warnings());

    free(gib, gib + (1L << 30));
    assertEquals(0, bench.machine.memory().getLong(pud));
  }

  /** Where the pud of an address lies, whose table exists. */
  private long pudPaddr(long va) {
    Pgtable pgtable = bench.mm.pgtable();
    return bench.mm.model().pa(pgtable.pudOffset(pgtable.p4dOffset(pgtable.pgdOffsetK(va), va), va).va());
  }

  // ---- leaves by hand ----

  /** The weak functions that radix has of its own. Expect a leaf entered, and a table to be none. */
  @Test
  void vmemmapSetPmd_emptyPmd_isALeaf() {
    assertEquals(0, populate(far(), far() + LEAF));
    Pgtable pgtable = bench.mm.pgtable();
    long other = far() + LEAF;
    Ptr<Pmd> pmd = pgtable.pmdOffK(other);
    long block = bench.mm.model().va(DEVICE);

    assertFalse(bench.arch.init64().vmemmapCheckPmd(pmd, 0, other, other + LEAF));
    bench.arch.init64().vmemmapSetPmd(pmd, block, 0, other, other + LEAF);
    assertEquals(bench.pfn(DEVICE), bench.frame(other));
    assertTrue(bench.arch.init64().vmemmapCheckPmd(pmd, 0, other, other + LEAF));
    assertThrows(
        KernelBug.class,
        () -> bench.arch.init64().vmemmapSetPmd(pmd, block, 0, other + 4096, other + LEAF));
  }

  // ---- memory of another node ----

  /** Memmap of node 5 out of node 0's memory. Expect the kernel to mention the leaf. */
  @Test
  void populate_leafFromAnotherNode_isMentioned() {
    long start = far();
    bench.mm.nodes().nodeSetOnline(5);
    assertEquals(0, bench.arch.init64().vmemmapPopulate(start, start + LEAF, 5, null));
    assertTrue(log().contains("[%x-%x] potential offnode".formatted(start, start + LEAF - 1)), log());
  }

  /** The same with a leaf that is there already. Expect the part that node 5 uses. */
  @Test
  void populate_leafOfAnotherNode_isMentioned() {
    long start = far();
    assertEquals(0, populate(start, start + LEAF));
    assertFalse(log().contains("potential offnode"));

    assertEquals(0, bench.arch.init64().vmemmapPopulate(start, start + MIB, 5, null));
    assertTrue(log().contains("[%x-%x] potential offnode".formatted(start, start + MIB - 1)), log());
  }

  /** The same with base pages, as no block is to be had. Expect the first page. */
  @Test
  void populate_pageFromAnotherNode_isMentioned() {
    long start = far();
    bench.mm.nodes().nodeSetOnline(5);
    bench.failNth(1, "vmemmap_alloc_block");
    assertEquals(0, bench.arch.init64().vmemmapPopulate(start, start + LEAF, 5, null));
    assertEquals(PTE, bench.level(start));
    assertTrue(log().contains("[%x-%x] potential offnode".formatted(start, start + 4095)), log());
  }

  /** The same with the middle of a compound page. Expect its first page of memmap, made ahead. */
  @Test
  void compound_headFromAnotherNode_isMentioned() {
    long start = bench.memmap(DEVICE);
    var params =
        new org.vmemmap.sparse.MemoryHotplug.MhpParams(null, PowerpcBench.pgmap(ORDER_1G));
    assertEquals(0, bench.arch.mem().archAddMemory(5, DEVICE + SECTION, SECTION, params));
    assertTrue(log().contains("[%x-%x] potential offnode".formatted(start, start + 4095)), log());
  }

  /** The same with compound pages. Expect the first page of memmap. */
  @Test
  void compound_pageFromAnotherNode_isMentioned() {
    long start = bench.memmap(DEVICE);
    var params =
        new org.vmemmap.sparse.MemoryHotplug.MhpParams(null, PowerpcBench.pgmap(ORDER_2M));
    assertEquals(0, bench.arch.mem().archAddMemory(5, DEVICE, SECTION, params));
    assertTrue(log().contains("[%x-%x] potential offnode".formatted(start, start + 4095)), log());
  }

  // ---- the series ----

  /**
   * Eight compound pages since patch 36, which shares the zone's tail.
   *
   * <pre>
   *   before   | h | t | t | ...   2 frames for each compound page
   *   since    | h | Z | Z | ...   1 frame for each, and Z of the zone
   * </pre>
   *
   * Expect 9 frames, read-only tails since patch 38, and all but the zone's tail to go.
   */
  @ParameterizedTest
  @CsvSource({"36, true", "37, true", "38, false", "49, false"})
  void compound_sinceTheSeries_sharesTheZonesTail(int patches, boolean writable) {
    PowerpcBench later = PowerpcBench.radix4k(patches);
    long start = later.memmap(DEVICE);
    long vmemmap = later.owned(Owner.VMEMMAP);

    assertEquals(0, later.addCompound(DEVICE, SECTION, ORDER_2M));

    long end = start + 256 * KIB;
    assertEquals(64, later.mapped(start, end, PTE));
    assertEquals(9, later.frames(start, end));
    assertEquals(later.frame(start + 4 * KIB), later.frame(end - 1));
    long tail = later.walk(start + 4 * KIB).entry();
    assertEquals(writable, later.machine.format().writable(tail, PTE));
    assertTrue(later.machine.format().writable(later.walk(start).entry(), PTE));

    later.removeCompound(DEVICE, SECTION, ORDER_2M);
    assertEquals(NONE, later.level(start));
    assertEquals(vmemmap, later.owned(Owner.VMEMMAP));
    assertEquals(List.of(), later.warnings());
  }

  /** Memory is short at each allocation of that. Expect -ENOMEM and the device gone again. */
  @Test
  void compound_sinceTheSeriesWithoutMemory_isRefused() {
    PowerpcBench later = PowerpcBench.radix4k(49);
    long start = later.memmap(DEVICE);
    int failures = 0;
    for (long n = 1; n < 100; n++) {
      later.machine.faults().failNth(n, site -> !site.equals("section_activate"));
      int rc = later.addCompound(DEVICE, SECTION, ORDER_2M);
      later.machine.faults().disarm();
      if (rc == 0) {
        break;
      }
      failures++;
      assertEquals(-Errno.ENOMEM, rc);
      assertEquals(NONE, later.level(start));
    }
    assertTrue(failures > 8, "failures=" + failures);
    assertEquals(9, later.frames(start, start + 256 * KIB));
  }

  // ---- boot ----

  /** Tables that were made at boot. Expect their frames booked as tables, in whole pages. */
  @Test
  void earlyAllocPgtable_boot_framesAreTables() {
    long start = bench.memmap(0);
    long pmdTable = bench.walk(start).entryPaddr() & -4096;
    long pudTable = pudPaddr(start) & -4096;

    assertEquals(Owner.PAGE_TABLE, bench.machine.ledger().ownerOf(bench.pfn(pmdTable)));
    assertEquals(Owner.PAGE_TABLE, bench.machine.ledger().ownerOf(bench.pfn(pudTable)));
  }

  // ---- ranges over more than one entry ----

  /**
   * Two leaves side by side go in one call, first under one pmd table, then under two.
   *
   * <pre>
   *   pmd table   | first | second |          | ... | first |  +  | second | ... |
   * </pre>
   *
   * Expect both gone, with all their tables.
   */
  @ParameterizedTest
  @CsvSource({"0", "-2097152"})
  void free_twoLeavesInOneCall_bothGo(long offset) {
    List<Long> before = bench.booksAndTables();
    long start = (far() & -GIB) + GIB + offset;
    assertEquals(0, populate(start, start + 2 * LEAF));
    assertEquals(PMD, bench.level(start));
    assertEquals(PMD, bench.level(start + LEAF));

    free(start, start + 2 * LEAF);

    assertEquals(NONE, bench.level(start));
    assertEquals(NONE, bench.level(start + LEAF));
    assertEquals(before, bench.booksAndTables());
  }

  /**
   * A device goes whose leaf ends where the next device's memmap begins.
   *
   * <pre>
   *   leaf        | gone |  -  | ... |  -  | stays | ...
   *   valid pfns                           ^ not this leaf's
   * </pre>
   *
   * Expect the leaf to go with its device.
   */
  @Test
  void free_neighbourBehindTheLeaf_doesNotCount() {
    bench.add(DEVICE, SECTION);
    bench.add(DEVICE + 128 * MIB, SECTION);

    bench.remove(DEVICE, SECTION);

    assertEquals(NONE, bench.level(bench.memmap(DEVICE)));
    assertEquals(PMD, bench.level(bench.memmap(DEVICE + 128 * MIB)));
  }

  /** Neither a block nor a table for base pages. Expect -ENOMEM, and nothing mapped. */
  @Test
  void populate_noBlockNorPteTable_isRefused() {
    bench
        .machine
        .faults()
        .failFrom(
            1, site -> site.equals("vmemmap_alloc_block") || site.equals("__alloc_for_ptecache"));

    assertEquals(-Errno.ENOMEM, populate(far(), far() + LEAF));
    assertEquals(NONE, bench.level(far()));
  }

  /** Compound pages whose first struct page is not at a page's start. Expect the kernel to stop. */
  @Test
  void compound_insideAPage_isABug() {
    long start = bench.memmap(DEVICE);
    assertThrows(
        KernelBug.class,
        () ->
            bench
                .arch
                .init64()
                .vmemmapPopulateCompoundPages(
                    bench.vmemmap,
                    bench.pfn(DEVICE) + 1,
                    start + 64,
                    start + 256 * KIB,
                    0,
                    PowerpcBench.pgmap(ORDER_2M)));
  }

  /** Compound pages with nothing mapped around them. Expect no page of memmap before the range. */
  @Test
  void compound_section_nothingBeforeIt() {
    long start = bench.memmap(DEVICE + SECTION);

    assertEquals(0, bench.addCompound(DEVICE + SECTION, SECTION, ORDER_2M));

    assertEquals(64, bench.mapped(start, start + 256 * KIB, PTE));
    assertEquals(NONE, bench.level(start - 4 * KIB));
    assertEquals(NONE, bench.level(start + 256 * KIB));
  }

  // ---- altmap ----

  /**
   * A device whose altmap has two reserved pages and is used up.
   *
   * <pre>
   *   altmap   | reserve 2 | 64 pages of memmap |
   * </pre>
   *
   * Expect the last page to go back to it like the first.
   */
  @Test
  void altmap_usedUpBehindAReserve_allGoesBack() {
    List<Long> before = bench.books();
    VmemAltmap altmap = bench.altmap(DEVICE, SECTION, 2, 64);
    assertEquals(0, bench.addAltmap(DEVICE, SECTION, altmap));
    assertEquals(64, altmap.alloc);
    assertEquals(bench.pfn(DEVICE) + 65, bench.frame(bench.memmap(DEVICE) + 252 * KIB));

    bench.removeAltmap(DEVICE, SECTION, altmap);

    assertEquals(0, altmap.alloc);
    assertEquals(before, bench.books());
  }

  /**
   * A leaf in the memory right behind what an altmap has.
   *
   * <pre>
   *   altmap   | reserve 4 | free 6 | leaf of RAM ...
   * </pre>
   *
   * Expect the leaf to go to the page allocator, and the altmap to stay as it was.
   */
  @Test
  void altmap_endsBeforeTheLeaf_leafIsNotItsOwn() {
    assertEquals(0, populate(far(), far() + LEAF));
    long frame = bench.frame(far());
    VmemAltmap altmap = new VmemAltmap();
    altmap.basePfn = frame - 10;
    altmap.endPfn = frame + 1023;
    altmap.reserve = 4;
    altmap.free = 6;

    bench.arch.init64().vmemmapFree(far(), far() + LEAF, altmap);

    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(frame));
    assertEquals(0, altmap.alloc);
  }

  /** Compound pages far away, and no memory for a table on the way. Expect -ENOMEM. */
  @ParameterizedTest
  @CsvSource({"pud_alloc_one", "__alloc_for_pmdcache", "__alloc_for_ptecache"})
  void compound_noTableOnTheWay_isRefused(String site) {
    long start = far();
    bench.failNth(1, site);

    assertEquals(-Errno.ENOMEM, compound(start, start + 32 * KIB));
    assertEquals(NONE, bench.level(start));
    assertEquals(0, compound(start, start + 32 * KIB));
    assertEquals(2, bench.frames(start, start + 32 * KIB));
  }

  /**
   * The first two pages of a compound page, and no frame for the second, which is made with the first.
   * Expect success all the same, as nobody looks, and no other try.
   */
  @Test
  void compound_noFrameForTheLastPage_nobodyLooks() {
    long start = far();
    bench.failNth(2, "vmemmap_alloc_block");

    assertEquals(0, compound(start, start + 8 * KIB));

    assertEquals(PTE, bench.level(start));
    assertEquals(NONE, bench.level(start + 4 * KIB));
  }

  private int compound(long start, long end) {
    return bench
        .arch
        .init64()
        .vmemmapPopulateCompoundPages(
            bench.vmemmap, bench.pfn(1L << 46), start, end, 0, PowerpcBench.pgmap(ORDER_2M));
  }
}
