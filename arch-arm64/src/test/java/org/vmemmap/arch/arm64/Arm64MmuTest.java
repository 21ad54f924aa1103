// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.arch.arm64.Arm64Bench.DEVICE;
import static org.vmemmap.arch.arm64.Arm64Bench.GIB;
import static org.vmemmap.arch.arm64.Arm64Bench.MIB;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.machine.Checks;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.VmemAltmap;

/** The memmap on arm64: how it is mapped, taken away, and kept from being taken away. */
class Arm64MmuTest {
  private static final long LPA2_BLOCK = 0xe8000000000401L;
  private static final long LPA2_PAGE = 0xe8000000000403L;
  private static final long SECTION = 128 * MIB;
  private static final long SUBSECTION = 2 * MIB;
  private static final int PTE = 0;
  private static final int PMD = 1;
  private static final int NOT_MAPPED = -1;
  private static final String SITE = "vmemmap_alloc_block";

  private static Arm64Bench k4() {
    return Arm64Bench.boot(Arm64Geometry.lpa2With4k());
  }

  private static Arm64Bench k16() {
    return Arm64Bench.boot(Arm64Geometry.lpa2With16k());
  }

  private static Arm64Bench k64() {
    return Arm64Bench.boot(Arm64Geometry.lvaWith64k());
  }

  private static String faultOf(Executable access) {
    return String.valueOf(assertThrows(MachineFault.class, access).getMessage());
  }

  // ---- boot ----

  /**
   * 1 GiB of memory on each kernel and each CPU. Expect the captured entries and counts, and word 0
   * of a boot page: node 0, zone 0, last_cpupid all ones where there is one, reserved.
   */
  @ParameterizedTest
  @CsvSource({
    // page, runs with, phys, level of the leaves, flags, frames, tables, word 0
    "12, 52, 52, 1, e8000000000401, 4096, 3, 1ffff0000002000",
    "12, 48, 48, 1, e8000000000701, 4096, 2, 1ffff0000002000",
    "14, 52, 52, 0, e8000000000403,  256, 3, 1ffff0000002000",
    "14, 47, 48, 0, e8000000000703,  256, 2, 1ffff0000002000",
    "16, 52, 52, 0, e8000000000703,   16, 2,            2000",
    "16, 48, 52, 0, e8000000000703,   16, 2,            2000",
  })
  void boot_eachKernel_mapsAsCaptured(
      int page, int va, int phys, int level, String flags, long frames, long tables, String word0) {
    Arm64Bench m = Arm64Bench.boot(new Arm64Geometry(page, 52, va, phys, false, true));

    assertEquals(level, m.level(m.memmap(GIB)));
    assertEquals(flags, Long.toHexString(m.flags(m.memmap(2 * GIB - MIB))));
    assertEquals(frames, m.owned(Owner.VMEMMAP));
    assertEquals(frames, m.mm.vmstat().nrMemmapBootPages());
    assertEquals(tables, m.owned(Owner.PAGE_TABLE));
    assertEquals(word0, Long.toHexString(m.mm.struct().flags(new Page(m.memmap(GIB)))));
    assertEquals(List.of(), m.warnings());
  }

  // ---- vmemmap_populate and vmemmap_free ----

  /** A section with 4K pages. Expect one block; with it gone, all that it took. */
  @Test
  void addMemory_sectionOf4k_isOneBlock() {
    Arm64Bench m = k4();
    List<Long> before = m.books();

    assertEquals(0, m.add(DEVICE, SECTION));
    assertEquals(PMD, m.level(m.memmap(DEVICE)));
    assertEquals(LPA2_BLOCK, m.flags(m.memmap(DEVICE)));
    assertEquals(512, m.mm.vmstat().nrMemmapPages());

    m.remove(DEVICE, SECTION);
    assertEquals(NOT_MAPPED, m.level(m.memmap(DEVICE)));
    assertEquals(before, m.books());
    assertEquals(List.of(), m.warnings());
  }

  /** A subsection with 4K pages. Expect 8 pages and their table, and both to go. */
  @Test
  void addMemory_subsectionOf4k_isPages() {
    Arm64Bench m = k4();
    List<Long> before = m.books();
    long tables = m.owned(Owner.PAGE_TABLE);

    assertEquals(0, m.add(DEVICE, SUBSECTION));
    assertEquals(PTE, m.level(m.memmap(DEVICE)));
    assertEquals(LPA2_PAGE, m.flags(m.memmap(DEVICE)));
    assertEquals(NOT_MAPPED, m.level(m.memmap(DEVICE + SUBSECTION)));
    assertEquals(tables + 1, m.owned(Owner.PAGE_TABLE));

    m.remove(DEVICE, SUBSECTION);
    assertEquals(before, m.books());
    assertEquals(List.of(), m.warnings());
  }

  /** Sections with larger pages, whose memmap is 512 KiB. Expect pages, also for a whole section. */
  @ParameterizedTest
  @CsvSource({"14, 128, 32", "16, 512, 8"})
  void addMemory_sectionOfLargerPages_isPages(int pageShift, long sectionMib, long frames) {
    Arm64Bench m = Arm64Bench.boot(new Arm64Geometry(pageShift, 52, 52, 52, false, true));
    List<Long> before = m.books();

    assertEquals(0, m.add(DEVICE, sectionMib * MIB));
    assertEquals(PTE, m.level(m.memmap(DEVICE)));
    assertEquals(frames, m.mm.vmstat().nrMemmapPages());

    m.remove(DEVICE, sectionMib * MIB);
    assertEquals(before, m.books());
    assertEquals(List.of(), m.warnings());
  }

  /**
   * Part of a section, with an altmap: unlike on x86-64 it is used.
   *
   * <pre>
   *   device   | memmap: 8 pages | set aside ... 64 | data
   * </pre>
   *
   * Expect the device's first pages behind the memmap, and given back to the device.
   */
  @Test
  void addMemory_subsectionWithAltmap_usesTheDevice() {
    Arm64Bench m = k4();
    VmemAltmap altmap = m.altmap(DEVICE, SUBSECTION, 64);
    long devices = m.owned(Owner.DEVICE);

    assertEquals(0, m.add(DEVICE, SUBSECTION, altmap));
    assertEquals(PTE, m.level(m.memmap(DEVICE)));
    assertEquals(m.pfn(DEVICE), m.frame(m.memmap(DEVICE)));
    assertEquals(8, altmap.alloc);
    assertEquals(8, m.owned(Owner.ALTMAP));

    m.remove(DEVICE, SUBSECTION, altmap);
    assertEquals(0, altmap.alloc);
    assertEquals(devices, m.owned(Owner.DEVICE));
    assertEquals(List.of(), m.warnings());
  }

  /** A section whose altmap has no room for a block. Expect -ENOMEM, no fallback, all undone. */
  @Test
  void addMemory_altmapExhausted_isRefused() {
    Arm64Bench m = k4();
    VmemAltmap altmap = m.altmap(DEVICE, SECTION, 100);
    List<Long> before = m.books();

    assertEquals(-Errno.ENOMEM, m.add(DEVICE, SECTION, altmap));

    assertEquals(0, altmap.alloc);
    assertEquals(before, m.books());
    assertEquals(NOT_MAPPED, m.level(m.memmap(DEVICE)));
  }

  /** The same with 16K pages: 40 of the 64 pages that two sections need. Expect the same. */
  @Test
  void addMemory_altmapExhaustedInTheSecondSection_keepsTheFirst() {
    Arm64Bench m = k16();
    VmemAltmap altmap = m.altmap(DEVICE, 2 * SECTION, 40);

    assertEquals(-Errno.ENOMEM, m.add(DEVICE, 2 * SECTION, altmap));

    assertEquals(32, altmap.alloc);
    assertEquals(PTE, m.level(m.memmap(DEVICE)));
    assertEquals(NOT_MAPPED, m.level(m.memmap(DEVICE + SECTION)));
  }

  /** No block to be had. Expect base pages for the section; no page either: -ENOMEM, undone. */
  @Test
  void addMemory_withoutMemory_fallsBackAndThenFails() {
    Arm64Bench m = k4();
    List<Long> before = m.books();

    m.machine.faults().failNth(1, SITE::equals);
    assertEquals(0, m.add(DEVICE, SECTION));
    assertEquals(PTE, m.level(m.memmap(DEVICE)));
    m.remove(DEVICE, SECTION);
    assertEquals(before, m.books());

    m.machine.faults().failFrom(1, SITE::equals);
    assertEquals(-Errno.ENOMEM, m.add(DEVICE, SECTION));
    assertEquals(before, m.books());
  }

  /**
   * Two devices' worth of memory, with the n-th allocation failing, for each n. Expect success or
   * -ENOMEM, and after removal of the part that is there all as before.
   */
  @ParameterizedTest
  @CsvSource({"12", "14", "16"})
  void addMemory_everyAllocationFails_leavesNothingBehind(int pageShift) {
    Arm64Bench m = Arm64Bench.boot(new Arm64Geometry(pageShift, 52, 52, 52, false, true));
    long section = 1L << m.format.geometry().sectionSizeBits();
    List<Long> before = m.books();
    boolean failed = true;

    for (int n = 1; failed; n++) {
      m.machine.faults().failNth(n, site -> true);
      int rc = m.add(DEVICE, 2 * section);
      failed = m.machine.faults().failed() > 0;
      m.machine.faults().disarm();
      assertTrue(rc == 0 || rc == -Errno.ENOMEM, "rc=" + rc);
      boolean first = m.mm.mmzone().pfnValid(m.pfn(DEVICE));
      if (first) {
        m.remove(DEVICE, rc == 0 ? 2 * section : section);
      }
      assertEquals(before.subList(0, 5), m.books().subList(0, 5));
    }
    assertEquals(List.of(), m.warnings());
  }

  // ---- pages of memmap with two owners ----

  /**
   * Two devices of 2 MiB side by side with 16K pages: their struct pages share one page of memmap.
   *
   * <pre>
   *   memmap page    | A: 8 KiB | B: 8 KiB |
   *   remove A       |     not mapped      |    the frame is free, B is still there
   * </pre>
   *
   * Expect one frame for both, and B's first struct page to fault once A is gone.
   */
  @ParameterizedTest
  @CsvSource({"14", "16"})
  void removeMemory_neighbourInTheSamePage_losesItsStructPages(int pageShift) {
    Arm64Bench m = Arm64Bench.boot(new Arm64Geometry(pageShift, 52, 52, 52, false, true));
    long b = DEVICE + SUBSECTION;
    assertEquals(0, m.add(DEVICE, SUBSECTION));
    assertEquals(0, m.add(b, SUBSECTION));
    assertEquals(m.frame(m.memmap(DEVICE)), m.frame(m.memmap(b)));
    assertEquals(2, m.mm.vmstat().nrMemmapPages());

    m.remove(DEVICE, SUBSECTION);

    assertTrue(m.mm.mmzone().pfnValid(m.pfn(b)));
    assertEquals(1, m.mm.vmstat().nrMemmapPages());
    String fault = faultOf(() -> m.mm.struct().flags(new Page(m.memmap(b))));
    assertEquals("not-present va=0x%x pte=0x0".formatted(m.memmap(b)), fault);
    assertEquals(List.of(), m.warnings());
  }

  /** The same with 4K pages, where 2 MiB have 8 pages of memmap. Expect the second to stay. */
  @Test
  void removeMemory_neighbourWithPagesOfItsOwn_keepsThem() {
    Arm64Bench m = k4();
    List<Long> before = m.books();
    m.add(DEVICE, SUBSECTION);
    m.add(DEVICE + SUBSECTION, SUBSECTION);

    m.remove(DEVICE, SUBSECTION);
    assertEquals(NOT_MAPPED, m.level(m.memmap(DEVICE)));
    assertEquals(PTE, m.level(m.memmap(DEVICE + SUBSECTION)));

    m.remove(DEVICE + SUBSECTION, SUBSECTION);
    assertEquals(before, m.books());
  }

  /**
   * 4 MiB that begin 2 MiB into a page of memmap, with 16K pages.
   *
   * <pre>
   *   memmap page 0            page 1
   *   |  -      | 1st half     | 2nd half     |  -      |
   *             ^ start        ^ not looked at: the walk goes from start to start + 16K = end
   * </pre>
   *
   * Expect the second half to have no memmap, though all is said to be well: poisoning it faults.
   */
  @Test
  void vmemmapPopulate_startInsideAPage_missesTheLastPage() {
    Arm64Bench m = k16();
    long start = m.memmap(DEVICE + SUBSECTION);
    long end = m.memmap(DEVICE + 3 * SUBSECTION);

    assertEquals(0, m.mmu.vmemmapPopulate(start, end, 0, null));

    assertEquals(PTE, m.level(start));
    assertEquals(NOT_MAPPED, m.level(end - 64));
    assertThrows(MachineFault.class, () -> m.add(DEVICE + SUBSECTION, 2 * SUBSECTION));
  }

  /**
   * A neighbour with an altmap in a page that came from RAM. Expect the altmap to be told of a page
   * that was not its own, and the frame to be lost: nobody owns it but the memmap that is gone.
   */
  @Test
  void removeMemory_altmapOverAPageOfRam_losesTheFrame() {
    Arm64Bench m = k16();
    VmemAltmap altmap = m.altmap(DEVICE + SUBSECTION, SUBSECTION, 64);
    long memmaps = m.owned(Owner.VMEMMAP);
    m.add(DEVICE, SUBSECTION);
    m.add(DEVICE + SUBSECTION, SUBSECTION, altmap);

    m.remove(DEVICE + SUBSECTION, SUBSECTION, altmap);

    assertEquals(-1, altmap.alloc);
    assertEquals(NOT_MAPPED, m.level(m.memmap(DEVICE)));
    assertEquals(memmaps + 1, m.owned(Owner.VMEMMAP));
  }

  // ---- tables ----

  /**
   * Memmap in a slot of its own at the top. Expect tables of all levels but the top, and none, nor an
   * entry that leads to one.
   */
  @Test
  void vmemmapFree_lastMapping_freesAllTablesOnTheWay() {
    Arm64Bench m = k4();
    List<Long> before = m.books();
    long far = m.memmap(1L << 46);

    assertEquals(0, m.mmu.vmemmapPopulate(far, far + 4096, 0, null));
    assertEquals(before.get(3) + 3, m.owned(Owner.PAGE_TABLE));

    m.mmu.vmemmapFree(far, far + 4096, null);
    assertEquals(before, m.books());
    assertEquals(Pgtable.P4D, m.walk(far).level());
  }

  /** Writes what would be an entry in use to the free frame behind a table with 4K pages. */
  private static void fillBehind(Arm64Bench m, long entryPaddr) {
    long behind = (entryPaddr & -4096) + 4096;
    assertEquals(Owner.BUDDY, m.machine.ledger().ownerOf(behind >>> 12));
    m.machine.memory().setLong(behind, LPA2_PAGE);
  }

  /**
   * The same on a machine whose CPUs keep the tables that they have walked. Expect each to be flushed
   * before its frame is given back, also for an address where all of them begin.
   */
  @Test
  void vmemmapFree_tablesThatCpusKeep_areFlushedBeforeTheyGo() {
    Arm64Bench m = k4();
    List<Long> before = m.books();
    long far = m.memmap(1L << 46) & -(1L << 39);
    m.machine.cacheTables();
    m.machine.check(Checks.none().withUncached(Owner.PAGE_TABLE::equals));
    m.mmu.vmemmapPopulate(far, far + 4096, 0, null);
    m.machine.cpu().readLong(far);

    m.mmu.vmemmapFree(far, far + 4096, null);

    assertEquals(before, m.books());
  }

  /** Two pages of one table. Expect the table to stay with the second, and to go with it. */
  @Test
  void vmemmapFree_tableStillInUse_keepsIt() {
    Arm64Bench m = k4();
    long va = m.memmap(DEVICE);
    long tables = m.owned(Owner.PAGE_TABLE);
    m.mmu.vmemmapPopulate(va, va + 8192, 0, null);

    m.mmu.vmemmapFree(va, va + 4096, null);
    assertEquals(PTE, m.level(va + 4096));
    assertEquals(tables + 1, m.owned(Owner.PAGE_TABLE));

    m.mmu.vmemmapFree(va + 4096, va + 8192, null);
    assertEquals(tables, m.owned(Owner.PAGE_TABLE));
  }

  /**
   * The first and the last page of the area, whose pud tables also cover what lies outside; the area
   * begins and ends where a pmd table does. Expect the pud table to stay: others may use it.
   */
  @Test
  void vmemmapFree_tableReachesOutOfTheArea_keepsIt() {
    Arm64Geometry geometry = Arm64Geometry.fallbackWith4k();
    checkEdge(geometry, geometry.vmemmapStart(64));
    checkEdge(geometry, geometry.vmemmapEnd() - 4096);
  }

  private static void checkEdge(Arm64Geometry geometry, long va) {
    Arm64Bench m = Arm64Bench.boot(geometry);
    long tables = m.owned(Owner.PAGE_TABLE);

    m.mmu.vmemmapPopulate(va, va + 4096, 0, null);
    assertEquals(tables + 3, m.owned(Owner.PAGE_TABLE));
    m.mmu.vmemmapFree(va, va + 4096, null);

    assertEquals(tables + 1, m.owned(Owner.PAGE_TABLE));
  }

  /**
   * Three levels in use, so that the pud table is the root. Memmap away from boot memory's: in
   * another slot of the root with 16K pages; with 64K pages the whole area has but one. Expect the
   * tables on the way, and none after.
   */
  @ParameterizedTest
  @CsvSource({"14, 47, 48, 36, 2", "16, 52, 52, 30, 1"})
  void vmemmapFree_threeLevels_freesTablesBelowTheRoot(
      int pageShift, int vaBits, int physBits, int distance, long tables) {
    Arm64Bench m =
        Arm64Bench.boot(new Arm64Geometry(pageShift, 52, vaBits, physBits, false, true));
    List<Long> before = m.books();
    long page = 1L << pageShift;
    long far = m.memmap(GIB) + (1L << distance);

    assertEquals(0, m.mmu.vmemmapPopulate(far, far + page, 0, null));
    assertEquals(before.get(3) + tables, m.owned(Owner.PAGE_TABLE));
    m.mmu.vmemmapFree(far, far + page, null);

    assertEquals(before, m.books());
  }

  /**
   * Two pages of memmap, 1 GiB of addresses apart, under one pud table of their own. Expect the
   * first to take its pmd and pte table along, and the pud table to stay for the second, but not for
   * what lies behind it.
   */
  @Test
  void vmemmapFree_pudTableStillInUse_keepsIt() {
    Arm64Bench m = k4();
    List<Long> before = m.books();
    long far = m.memmap(1L << 46);
    long other = far + GIB;
    m.mmu.vmemmapPopulate(far, far + 4096, 0, null);
    m.mmu.vmemmapPopulate(other, other + 4096, 0, null);
    assertEquals(before.get(3) + 5, m.owned(Owner.PAGE_TABLE));

    m.mmu.vmemmapFree(far, far + 4096, null);
    assertEquals(PTE, m.level(other));
    assertEquals(before.get(3) + 3, m.owned(Owner.PAGE_TABLE));

    fillBehind(m, pudPaddr(m, other));
    m.mmu.vmemmapFree(other, other + 4096, null);
    assertEquals(before, m.books());
  }

  /** The same a level down: 2 MiB of addresses apart. Expect the pmd table to stay. */
  @Test
  void vmemmapFree_pmdTableStillInUse_keepsIt() {
    Arm64Bench m = k4();
    List<Long> before = m.books();
    long far = m.memmap(1L << 46);
    long other = far + 2 * MIB;
    m.mmu.vmemmapPopulate(far, far + 4096, 0, null);
    m.mmu.vmemmapPopulate(other, other + 4096, 0, null);
    assertEquals(before.get(3) + 4, m.owned(Owner.PAGE_TABLE));

    m.mmu.vmemmapFree(far, far + 4096, null);
    assertEquals(PTE, m.level(other));
    assertEquals(before.get(3) + 3, m.owned(Owner.PAGE_TABLE));

    fillBehind(m, m.mm.model().pa(m.mm.pgtable().pmdOffK(other).va()));
    m.mmu.vmemmapFree(other, other + 4096, null);
    assertEquals(before, m.books());
  }

  // ---- flushes ----

  /** All checks on, and the memmap read just before it goes. Expect no translation to stay. */
  @Test
  void vmemmapFree_memmapInTheTlb_isFlushed() {
    Arm64Bench m = k4();
    m.machine.check(Checks.translations());
    m.add(DEVICE, SECTION);
    long frame = m.frame(m.memmap(DEVICE));
    m.mm.struct().flags(new Page(m.memmap(DEVICE)));
    m.mm.struct().flags(new Page(m.memmap(DEVICE + SECTION / 2)));
    assertTrue(m.machine.cpu().tlb().reaches(frame + 256));

    m.remove(DEVICE, SECTION);

    assertFalse(m.machine.cpu().tlb().reaches(frame));
    assertFalse(m.machine.cpu().tlb().reaches(frame + 256));
    assertEquals(0, m.add(DEVICE, SECTION));
  }

  /** A run of contiguous pages, one of them flushed. Expect the run to leave the cache together. */
  @Test
  void flush_onePageOfAContiguousRun_dropsTheRun() {
    Arm64Bench m = k4();
    m.add(DEVICE, SUBSECTION);
    long va = m.memmap(DEVICE);
    Ptr<Pte> pte = m.mm.pgtable().virtToKpte(va);
    long entry = m.mm.pgtable().ptepGet(pte).val();
    m.mm.pgtable().setPteAt(va, pte, new Pte(entry | Arm64PageTable.CONT));
    m.machine.flushAll();
    m.machine.cpu().readLong(va);

    m.machine.flushRange(va + 4096, va + 8192);

    assertFalse(m.machine.cpu().tlb().reaches(m.frame(va)));
  }

  /**
   * What HVO would do, forced: another frame behind an entry in use, as on x86-64.
   *
   * <pre>
   *   pte    frame 1, writable  -&gt;  frame 0, read-only      without an invalid entry between
   *   pmd    block              -&gt;  table
   * </pre>
   *
   * Expect both to break the rule, but not the write protection alone.
   */
  @Test
  void remap_entryInUse_violatesBreakBeforeMake() {
    Arm64Bench m = k4();
    Pgtable pgtable = m.mm.pgtable();
    m.machine.check(Checks.translations());
    m.add(DEVICE, SUBSECTION);
    long va = m.memmap(DEVICE);
    Ptr<Pte> pte = pgtable.virtToKpte(va + 4096);
    Pte shared = pgtable.pfnPte(m.frame(va), pgtable.pageKernelRo());

    String remap = faultOf(() -> pgtable.setPteAt(va + 4096, pte, shared));
    Ptr<Pmd> block = pgtable.pmdOffK(m.memmap(GIB));
    String split = faultOf(() -> pgtable.pmdPopulateKernel(block, m.mm.model().va(GIB)));

    assertTrue(remap.startsWith("break-before-make-violated old="), remap);
    assertTrue(split.startsWith("break-before-make-violated old="), split);
    pgtable.ptepSetWrprotect(va + 4096, pte);
    assertFalse(m.format.pteWrite(pgtable.ptepGet(pte).val()));
  }

  // ---- blocks ----

  /** A block over nothing, over itself with less permission, over a table, and out of line. */
  @Test
  void pmdSetHuge_allowsOnlyPermissionChanges() {
    Arm64Bench m = k4();
    Pgtable pgtable = m.mm.pgtable();
    m.add(DEVICE, SECTION);
    m.add(DEVICE + SECTION, SUBSECTION);
    Ptr<Pmd> block = pgtable.pmdOffK(m.memmap(DEVICE));
    Ptr<Pmd> table = pgtable.pmdOffK(m.memmap(DEVICE + SECTION));
    Ptr<Pmd> empty = pgtable.pmdOffK(m.memmap(DEVICE + 2 * SECTION));
    long paddr = m.frame(m.memmap(DEVICE)) << 12;

    assertTrue(m.mmu.pmdSetHuge(block, paddr, pgtable.pageKernelRo()));
    assertFalse(m.mmu.pmdSetHuge(block, paddr + 2 * MIB, pgtable.pageKernel()));
    assertFalse(m.mmu.pmdSetHuge(table, paddr, pgtable.pageKernel()));
    assertThrows(
        KernelBug.class, () -> m.mmu.pmdSetHuge(empty, paddr + 4096, pgtable.pageKernel()));

    m.mmu.vmemmapSetPmd(table, m.mm.model().va(paddr), 0, 0, 0);
    assertEquals(List.of("vmemmap_set_pmd: !pmd_set_huge()"), m.warnings());
    assertTrue(m.mmu.vmemmapCheckPmd(block, 0, 0, 0));
    assertFalse(m.mmu.vmemmapCheckPmd(table, 0, 0, 0));
    assertFalse(m.mmu.wantsOptimizedDaxVmemmap());
  }

  // ---- warnings ----

  /** Ranges outside the area, and one that is too long. Expect a word on each, and no refusal. */
  @Test
  void vmemmapPopulateAndFree_rangeOutOfBounds_warn() {
    Arm64Bench m = k4();
    long start = m.format.geometry().vmemmapStart(64);
    long page = 4096;

    m.mmu.vmemmapPopulate(start - page, start, 0, null);
    m.mmu.vmemmapFree(start - page, start, null);
    m.mmu.vmemmapPopulate(m.memmap(DEVICE), m.memmap(DEVICE + 2 * SECTION), 0, null);

    assertEquals(
        List.of(
            "vmemmap_populate: (start < VMEMMAP_START) || (end > VMEMMAP_END)",
            "vmemmap_free: (start < VMEMMAP_START) || (end > VMEMMAP_END)",
            "vmemmap_populate: end - start > PAGES_PER_SECTION * sizeof(struct page)"),
        m.warnings());
    assertEquals(PMD, m.level(m.memmap(DEVICE + SECTION)));
  }

  /** The first and the last page of the area. Expect both to be inside. */
  @Test
  void vmemmapPopulateAndFree_endsOfTheArea_areInside() {
    Arm64Bench m = Arm64Bench.boot(Arm64Geometry.fallbackWith4k());
    long start = m.format.geometry().vmemmapStart(64);
    long end = m.format.geometry().vmemmapEnd();

    assertEquals(0, m.mmu.vmemmapPopulate(start, start + 4096, 0, null));
    assertEquals(0, m.mmu.vmemmapPopulate(end - 4096, end, 0, null));
    m.mmu.vmemmapFree(start, start + 4096, null);
    m.mmu.vmemmapFree(end - 4096, end, null);

    assertEquals(List.of(), m.warnings());
  }

  /** Memmap of boot memory, which nothing but a bug would free. Expect a warning. */
  @Test
  void vmemmapFree_bootMemmap_warns() {
    Arm64Bench m = k16();
    long page = 1L << 14;
    long va = m.memmap(2 * GIB) - page;

    m.mmu.vmemmapFree(va, va + page, null);

    assertEquals(List.of("free_hotplug_page_range: PageReserved(page)"), m.warnings());
  }

  /** Contiguous runs in the memmap, which nobody makes. Expect a warning at both levels. */
  @Test
  void vmemmapFree_contiguousEntries_warns() {
    Arm64Bench m = k4();
    Pgtable pgtable = m.mm.pgtable();
    m.add(DEVICE, SECTION);
    m.add(DEVICE + SECTION, SUBSECTION);
    long pageVa = m.memmap(DEVICE + SECTION);
    Ptr<Pmd> pmd = pgtable.pmdOffK(m.memmap(DEVICE));
    Ptr<Pte> pte = pgtable.virtToKpte(pageVa);
    pgtable.setPmd(pmd, new Pmd(pgtable.pmdpGet(pmd).val() | Arm64PageTable.CONT));
    pgtable.setPteAt(pageVa, pte, new Pte(pgtable.ptepGet(pte).val() | Arm64PageTable.CONT));

    m.remove(DEVICE, SECTION);
    m.remove(DEVICE + SECTION, SUBSECTION);

    assertEquals(
        List.of(
            "unmap_hotplug_pmd_range: pmd_cont(pmd)", "unmap_hotplug_pte_range: pte_cont(pte)"),
        m.warnings());
  }

  /** Entries without a type, which the CPU ignores, all the way down. Expect a word on each. */
  @Test
  void vmemmapFree_entriesThatAreNotPresent_warns() {
    Arm64Bench m = k4();
    Pgtable pgtable = m.mm.pgtable();
    m.add(DEVICE, SUBSECTION);
    long va = m.memmap(DEVICE);
    Ptr<Pmd> pmd = pgtable.pmdOffK(va);
    Ptr<Pte> pte = pgtable.virtToKpte(va);
    pgtable.setPteAt(va, pte, new Pte(pgtable.ptepGet(pte).val() & ~Arm64PageTable.TYPE_TABLE));
    pgtable.setPmd(pmd, new Pmd(pgtable.pmdpGet(pmd).val() & ~Arm64PageTable.TYPE_TABLE));

    m.mmu.vmemmapFree(va, va + 4096, null);

    assertEquals(
        List.of(
            "unmap_hotplug_pmd_range: !pmd_present(pmd)",
            "unmap_hotplug_pmd_range: !pmd_table(pmd)",
            "unmap_hotplug_pte_range: !pte_present(pte)",
            "free_empty_pmd_table: !pmd_present(pmd) || !pmd_table(pmd)"),
        m.warnings());
  }

  /** The same a level up. Expect a word from both walks. */
  @Test
  void vmemmapFree_pudThatIsNotPresent_warns() {
    Arm64Bench m = k4();
    m.add(DEVICE, SUBSECTION);
    long va = m.memmap(DEVICE);
    long pud = pudPaddr(m, va);
    long entry = m.machine.memory().getLong(pud);
    m.machine.memory().setLong(pud, entry & ~Arm64PageTable.TYPE_TABLE);

    m.mmu.vmemmapFree(va, va + 4096, null);

    assertEquals(
        List.of(
            "unmap_hotplug_pud_range: !pud_present(pud)",
            "unmap_hotplug_pud_range: !pud_table(pud)",
            "free_empty_pud_table: !pud_present(pud) || !pud_table(pud)"),
        m.warnings());
  }

  /** Where the pud of an address lies, whose tables exist. */
  private static long pudPaddr(Arm64Bench m, long va) {
    Pgtable pgtable = m.mm.pgtable();
    var p4d = pgtable.p4dOffset(pgtable.pgdOffsetK(va), va);
    return m.mm.model().pa(pgtable.pudOffset(p4d, va).va());
  }

  /** A block of 1 GiB in the memmap, in a slot of its own. Expect it to go as a whole. */
  @Test
  void vmemmapFree_blockOfAPud_goesAsAWhole() {
    Arm64Bench m = k4();
    long va = m.memmap(1L << 37);
    m.mmu.vmemmapPopulate(va + GIB, va + GIB + 4096, 0, null);
    long pud = pudPaddr(m, va);
    VmemAltmap altmap = m.altmap(DEVICE, GIB, GIB >>> 12);
    altmap.alloc = GIB >>> 12;
    m.machine
        .memory()
        .setLong(pud, m.format.mkLeaf(DEVICE, Pgtable.PUD, m.mm.pgtable().pageKernel()));

    m.mmu.vmemmapFree(va, va + 4096, altmap);

    assertEquals(0, m.machine.memory().getLong(pud));
    assertEquals(0, altmap.alloc);
    assertEquals(List.of(), m.warnings());
  }

  /** The same block, just read through where it begins. Expect no translation of it to stay. */
  @Test
  void vmemmapFree_blockOfAPudInTheTlb_isFlushed() {
    Arm64Bench m = k4();
    long va = m.memmap(1L << 37) & -GIB;
    m.mmu.vmemmapPopulate(va + GIB, va + GIB + 4096, 0, null);
    long pud = pudPaddr(m, va);
    VmemAltmap altmap = m.altmap(DEVICE, GIB, GIB >>> 12);
    altmap.alloc = GIB >>> 12;
    m.machine
        .memory()
        .setLong(pud, m.format.mkLeaf(DEVICE, Pgtable.PUD, m.mm.pgtable().pageKernel()));
    m.machine.check(Checks.translations());
    m.machine.cpu().readLong(va);
    long frame = m.frame(va);
    assertTrue(m.machine.cpu().tlb().reaches(frame));

    m.mmu.vmemmapFree(va, va + 4096, altmap);

    assertFalse(m.machine.cpu().tlb().reaches(frame));
  }

  // ---- hotplug ----

  /** Memory that can be mapped. Expect the linear map of the width in use, from memstart on. */
  @Test
  void archGetMappableRange_wideAndNarrow_isTheLinearMap() {
    DevPagemap.Range wide = k4().mmu.archGetMappableRange();
    DevPagemap.Range narrow =
        Arm64Bench.boot(Arm64Geometry.fallbackWith4k()).mmu.archGetMappableRange();

    assertEquals(GIB, wide.start());
    assertEquals(GIB + (1L << 52) - (1L << 47) - 1, wide.end());
    assertEquals(GIB, narrow.start());
    assertEquals(GIB + (1L << 47) - 1, narrow.end());
  }

  /** Memory below memstart, which the linear map does not reach. Expect the BUG of DEBUG_VM. */
  @Test
  void addMemory_belowTheLinearMap_isABug() {
    Arm64Bench m = k4();
    assertThrows(KernelBug.class, () -> m.add(0, SECTION));
  }

  /** Memory above and below what there was. Expect max_pfn to grow only. */
  @Test
  void addMemory_updatesMaxPfn() {
    Arm64Bench m = k4();
    m.add(DEVICE + SECTION, SECTION);
    m.add(DEVICE, SECTION);
    assertEquals(m.pfn(DEVICE + 2 * SECTION), m.mmu.maxPfn());
  }

  /** A removal of memory that was never mapped. Expect words on the section and the linear map. */
  @Test
  void removeMemory_outsideTheLinearMap_warns() {
    Arm64Bench m = k4();
    m.remove(0, SECTION);
    assertEquals(
        List.of(
            "sparse_remove_section: !valid_section(ms)",
            "__remove_pgd_mapping: (start < PAGE_OFFSET) || (end > PAGE_END)"),
        m.warnings());
  }

  /** Nothing at all at both ends of the linear map. Expect no word: they are inside. */
  @Test
  void removeMemory_endsOfTheLinearMap_areInside() {
    Arm64Bench m = k4();
    DevPagemap.Range all = m.mmu.archGetMappableRange();

    m.remove(all.start(), 0);
    m.remove(all.end() + 1, 0);

    assertEquals(List.of(), m.warnings());
  }

  /**
   * Two pages of the linear map, made by hand, as the machine's window needs no entries.
   *
   * <pre>
   *   p4d    | pud table | pud table | - | ...      512 GiB of addresses each
   *   pte      frame       frame
   * </pre>
   *
   * The memory of the first is removed. Expect its entry to go, one flush of all that was removed, the
   * tables below the p4d table to go, and no frame that was mapped; with the second, also the p4d
   * table.
   */
  @Test
  void removeMemory_entriesOfTheLinearMap_goWithTheirTables() {
    Arm64Bench m = k4();
    long far = DEVICE + (1L << 39);
    long first = m.mm.model().va(DEVICE);
    long second = m.mm.model().va(far);
    List<Long> before = m.books();
    mapByHand(m, first);
    mapByHand(m, second);
    assertEquals(before.get(3) + 7, m.owned(Owner.PAGE_TABLE));
    m.add(DEVICE, SECTION);
    m.add(far, SECTION);
    long tables = m.owned(Owner.PAGE_TABLE);
    List<String> flushes = listenForFlushes(m);

    m.remove(DEVICE, SECTION);
    assertEquals(
        List.of(
            "flush_range 0x%x".formatted(m.memmap(DEVICE)),
            "flush_range 0x%x".formatted(first),
            "flush_tables 0x%x".formatted(first),
            "flush_tables 0x%x".formatted(first),
            "flush_tables 0x%x".formatted(first)),
        flushes);
    assertEquals(NOT_MAPPED, m.level(first));
    assertEquals(PTE, m.level(second));
    assertEquals(tables - 3, m.owned(Owner.PAGE_TABLE));

    flushes.clear();
    fillBehind(m, p4dPaddr(m, second));
    m.remove(far, SECTION);
    String ofSecond = "flush_tables 0x%x".formatted(second);
    assertEquals(4, flushes.stream().filter(ofSecond::equals).count());
    assertEquals(Pgtable.PGD, m.walk(second).level());
    assertEquals(before.get(3), m.owned(Owner.PAGE_TABLE));
    assertEquals(before.get(2) + 2, m.owned(Owner.VMEMMAP));
  }

  private static void mapByHand(Arm64Bench m, long va) {
    assertEquals(0, m.vmemmap.vmemmapPopulateBasepages(va, va + 4096, 0, null));
    assertEquals(PTE, m.level(va));
  }

  /** Where the p4d of an address lies, whose table exists. */
  private static long p4dPaddr(Arm64Bench m, long va) {
    Pgtable pgtable = m.mm.pgtable();
    return m.mm.model().pa(pgtable.p4dOffset(pgtable.pgdOffsetK(va), va).va());
  }

  private static List<String> listenForFlushes(Arm64Bench m) {
    List<String> flushes = new ArrayList<>();
    m.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.startsWith("flush_")) {
                flushes.add("%s 0x%x".formatted(what, where));
              }
            });
    return flushes;
  }

  /** Memory that cannot be added. Expect the linear map, mapped before the memmap, to go again. */
  @Test
  void addMemory_withoutMemory_unmapsTheLinearMap() {
    Arm64Bench m = k4();
    long va = m.mm.model().va(DEVICE);
    mapByHand(m, va);

    m.machine.faults().failFrom(1, SITE::equals);
    assertEquals(-Errno.ENOMEM, m.add(DEVICE, SECTION));

    assertEquals(NOT_MAPPED, m.level(va));
  }

  // ---- prevent_memory_remove_notifier ----

  /** Boot memory, about to go offline and already offline. Expect refusal, and regret. */
  @Test
  void notifier_bootMemory_isRefused() {
    Arm64Bench m = k4();
    long pages = m.pfn(SECTION);

    assertEquals(
        Arm64Mmu.NOTIFY_BAD,
        m.mmu.preventMemoryRemoveNotifier(Arm64Mmu.MEM_GOING_OFFLINE, m.pfn(GIB), pages));
    assertEquals(
        Arm64Mmu.NOTIFY_DONE,
        m.mmu.preventMemoryRemoveNotifier(Arm64Mmu.MEM_OFFLINE, m.pfn(GIB), pages));
    assertEquals(
        Arm64Mmu.NOTIFY_OK, m.mmu.preventMemoryRemoveNotifier(0, m.pfn(GIB), pages));

    assertTrue(m.log().contains("Boot memory [40000000 48000000] offlining attempted"));
    assertTrue(m.log().contains("Boot memory [40000000 48000000] offlined"));
  }

  /** A section that ends where boot memory begins. Expect no objection. */
  @Test
  void notifier_rangeBeforeBootMemory_isAccepted() {
    Arm64Bench m = k4();

    assertEquals(
        Arm64Mmu.NOTIFY_OK,
        m.mmu.preventMemoryRemoveNotifier(
            Arm64Mmu.MEM_GOING_OFFLINE, m.pfn(GIB - SECTION), m.pfn(SECTION)));
  }

  /** Hot-added memory in whole sections. Expect no objection, whatever maps its memmap. */
  @ParameterizedTest
  @CsvSource({"12, 128", "14, 128", "16, 512"})
  void notifier_hotAddedSections_isAccepted(int pageShift, long sectionMib) {
    Arm64Bench m = Arm64Bench.boot(new Arm64Geometry(pageShift, 52, 52, 52, false, true));
    long size = 2 * sectionMib * MIB;
    m.add(DEVICE, size);

    assertEquals(
        Arm64Mmu.NOTIFY_OK,
        m.mmu.preventMemoryRemoveNotifier(
            Arm64Mmu.MEM_GOING_OFFLINE, m.pfn(DEVICE), m.pfn(size)));
    assertEquals(
        Arm64Mmu.NOTIFY_OK,
        m.mmu.preventMemoryRemoveNotifier(Arm64Mmu.MEM_OFFLINE, m.pfn(DEVICE), m.pfn(size)));
  }

  /**
   * A block that holds its own memmap in its first 2 MiB, so that only the rest goes offline.
   *
   * <pre>
   *   block     | memmap 2M | rest: 126M, goes offline |
   *   memmap    | one block descriptor                 |
   *                         ^ inside it
   * </pre>
   *
   * Expect the captured refusal; with base pages behind the memmap none.
   */
  @Test
  void notifier_rangeInsideABlockOfMemmap_isRefused() {
    Arm64Bench m = k4();
    m.add(DEVICE, SECTION);

    assertEquals(
        Arm64Mmu.NOTIFY_BAD,
        m.mmu.preventMemoryRemoveNotifier(
            Arm64Mmu.MEM_GOING_OFFLINE, m.pfn(DEVICE + SUBSECTION), m.pfn(126 * MIB)));
    assertTrue(m.log().contains("[80200000 88000000] splits a leaf entry in vmemmap"));

    m.add(DEVICE + SECTION, SECTION - SUBSECTION);
    assertTrue(m.mmu.canUnmapWithoutSplit(m.pfn(DEVICE + SECTION + SUBSECTION), 512));
  }

  /**
   * Where memory begins, and behind a run of sections whose memmap starts at a multiple of 32 MiB.
   * Expect no leaf to be split: each address is the start of a larger unit than any that is there.
   */
  @Test
  void canUnmapWithoutSplit_startsOfLargerUnits_areAccepted() {
    Arm64Bench m = k4();
    long aligned = 3 * GIB;
    assertEquals(0, m.memmap(aligned) % (32 * MIB));
    m.add(aligned, SECTION);

    assertTrue(m.mmu.canUnmapWithoutSplit(m.pfn(GIB), m.pfn(SECTION)));
    assertTrue(m.mmu.canUnmapWithoutSplit(m.pfn(aligned), m.pfn(SECTION)));
  }

  /**
   * Blocks in the linear map, made by hand.
   *
   * <pre>
   *   2G                        3G                4G
   *   | block of 2 MiB |  -     | block of 1 GiB  |
   * </pre>
   *
   * Expect a range that begins or ends inside one to be refused, and one of whole blocks not.
   */
  @Test
  void canUnmapWithoutSplit_blocksOfTheLinearMap_countToo() {
    Arm64Bench m = k4();
    long va = m.mm.model().va(DEVICE);
    long gib = DEVICE + GIB;
    assertEquals(0, m.vmemmap.vmemmapPopulateHugepages(va, va + 2 * MIB, 0, null));
    m.machine
        .memory()
        .setLong(
            pudPaddr(m, m.mm.model().va(gib)),
            m.format.mkLeaf(gib, Pgtable.PUD, m.mm.pgtable().pageKernel()));

    assertTrue(m.mmu.canUnmapWithoutSplit(m.pfn(DEVICE), 512));
    assertTrue(m.mmu.canUnmapWithoutSplit(m.pfn(gib), m.pfn(GIB)));
    assertFalse(m.mmu.canUnmapWithoutSplit(m.pfn(DEVICE + MIB), 256));
    assertFalse(m.mmu.canUnmapWithoutSplit(m.pfn(gib), m.pfn(SECTION)));
    assertTrue(m.log().contains("[80100000 80200000] splits a leaf entry in linear map"));
    assertTrue(m.log().contains("[c0000000 c8000000] splits a leaf entry in linear map"));
  }

  /** 2 MiB with 16K pages: the memmap ends inside a page. Expect that to count as a split too. */
  @Test
  void canUnmapWithoutSplit_insideAPageOfMemmap_isRefused() {
    Arm64Bench m = k16();
    m.add(DEVICE, SECTION);

    assertFalse(m.mmu.canUnmapWithoutSplit(m.pfn(DEVICE + SUBSECTION), 128));
    assertTrue(m.mmu.canUnmapWithoutSplit(m.pfn(DEVICE + 2 * SUBSECTION), 256));
  }

  /** Ranges whose ends lie in runs, in a 1 GiB block, or where nothing is mapped. */
  @Test
  void canUnmapWithoutSplit_runsAndLargeBlocks_areRefused() {
    Arm64Bench m = k4();
    Pgtable pgtable = m.mm.pgtable();
    m.add(DEVICE, SECTION);
    m.add(DEVICE + SECTION, 4 * SUBSECTION);
    long runStart = DEVICE + SECTION;
    long inRun = m.memmap(runStart + SUBSECTION);
    Ptr<Pte> pte = pgtable.virtToKpte(inRun);
    Ptr<Pmd> pmd = pgtable.pmdOffK(m.memmap(DEVICE));
    assertTrue(m.mmu.canUnmapWithoutSplit(m.pfn(runStart), 512));

    pgtable.setPteAt(inRun, pte, new Pte(pgtable.ptepGet(pte).val() | Arm64PageTable.CONT));
    assertFalse(m.mmu.canUnmapWithoutSplit(m.pfn(runStart), 512));
    assertTrue(m.mmu.canUnmapWithoutSplit(m.pfn(runStart), 1024));

    // A run of blocks would begin 16 of them further on.
    pgtable.setPmd(pmd, new Pmd(pgtable.pmdpGet(pmd).val() | Arm64PageTable.CONT));
    assertFalse(m.mmu.canUnmapWithoutSplit(m.pfn(DEVICE), m.pfn(SECTION)));

    long far = 1L << 37;
    m.mmu.vmemmapPopulate(m.memmap(far) + GIB, m.memmap(far) + GIB + 4096, 0, null);
    m.machine
        .memory()
        .setLong(
            pudPaddr(m, m.memmap(far)),
            m.format.mkLeaf(GIB, Pgtable.PUD, pgtable.pageKernel()));
    assertFalse(m.mmu.canUnmapWithoutSplit(m.pfn(far + SECTION), m.pfn(SECTION)));
    assertNotEquals(0, m.memmap(far + SECTION) & (GIB - 1));
  }

  /** A boot as it should be. Expect nothing to be said about boot memory. */
  @Test
  void preventMemoryRemoveInit_boot_isSilent() {
    Arm64Bench m = k64();
    assertTrue(m.log().stream().noneMatch(line -> line.contains("Boot memory")));
    assertEquals(List.of(), m.warnings());
  }

  /**
   * Memory hotplug with this architecture. Expect boot memory in memblock for good, where drivers
   * and the notifier look it up, and a boot block that stays online when somebody writes "offline".
   */
  @Test
  void registerMemoryNotifiers_bootBlock_cannotGoOffline() {
    Arm64Bench m = k4();
    HotplugSystem system = m.hotplugSystem(SECTION);
    String file = "/sys/devices/system/memory/memory" + (GIB / SECTION + 4) + "/state";

    assertTrue(m.mmu.archKeepMemblock());
    assertEquals(-Errno.EPERM, system.sysfs().write(file, "offline"));
    assertEquals("online", system.sysfs().read(file));
    assertTrue(m.log().contains("Boot memory [60000000 68000000] offlining attempted"));
  }

  /** MAX_DMA_ADDRESS. Expect memstart_addr, also when that is below 0. */
  @Test
  void maxDmaPaddr_isMemstart() {
    assertEquals(GIB, k4().mmu.maxDmaPaddr());
    assertEquals(
        0xfff1_0000_4000_0000L,
        Arm64Bench.boot(Arm64Geometry.fallbackWith4k()).mmu.maxDmaPaddr());
  }

  /** A boot section that lost its marks. Expect the check at boot to speak up, with DEBUG_VM. */
  @Test
  void preventMemoryRemoveInit_bootSectionWithoutMarks_isReported() {
    Arm64Bench m = k64();
    MemSection first = m.mm.mmzone().section(m.mm.mmzone().pfnToSectionNr(m.pfn(GIB)));
    first.sectionMemMap &= ~(Mmzone.SECTION_IS_ONLINE | Mmzone.SECTION_IS_EARLY);

    m.mmu.preventMemoryRemoveInit(m.memblock);

    assertEquals(List.of("validate_bootmem_online: !early_section(ms)"), m.warnings());
    assertTrue(m.log().contains("Boot memory [40000000 60000000] is offline, can be removed"));
  }
}
