// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.vmemmap.sparse.BootmemInfo;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Series;

/**
 * What frames of boot memmap remember in kernels before 7.3.
 *
 * <pre>
 *   memmap of section 1  ->  leaf of 512 frames   private 0x11, 2 references each
 *   on the way               pmd table, pud table  private 0x12, a reference more for each leaf
 * </pre>
 */
class BootmemInfoTest {
  private static final long SECTION_1_OWN = 1 << 4 | BootmemInfo.SECTION_INFO;
  private static final long SECTION_1_MIX = 1 << 4 | BootmemInfo.MIX_SECTION_INFO;
  private static final long BYTES = 2 * X86Bench.MIB;

  private static X86Bench booted(String profile, boolean pse, boolean debugVm) {
    MmConfig config = X86Bench.config().withSeries(Series.profile(profile)).withDebugVm(debugVm);
    return new X86Bench(X86Geometry.fourLevel(), config, pse).boot();
  }

  private static Page frameOf(X86Bench bench, long va) {
    return bench.mm.model().pfnToPage(bench.frame(va));
  }

  private static void assertSays(String part, KernelBug bug) {
    assertTrue(String.valueOf(bug.getMessage()).contains(part), bug.toString());
  }

  private static void assertFrame(X86Bench bench, Page page, long priv, int references) {
    assertEquals(priv, bench.mm.struct().priv(page));
    assertEquals(references, bench.mm.refs().pageRefCount(page));
  }

  /** All frames behind a leaf. Expect the section's number and a reference more than 7.3 has. */
  @Test
  void memInit_leaf_registersItsFrames() {
    X86Bench before = booted("7.2", true, true);
    X86Bench after = booted("7.3", true, true);
    long memmap = before.memmap(X86Bench.SECTION);

    for (long at = 0; at < BYTES; at += X86Bench.PAGE) {
      assertFrame(before, frameOf(before, memmap + at), SECTION_1_OWN, 2);
      assertFrame(after, frameOf(after, memmap + at), 0, 1);
    }
    assertEquals(1, before.vmemmap.bootmemInfo().bootmemInfo(frameOf(before, memmap)));
    assertEquals(0, after.vmemmap.bootmemInfo().bootmemInfo(frameOf(after, memmap)));
  }

  /**
   * The tables of two sections behind leaves. Expect the last section's number; a reference of the
   * pmd table for each leaf, two of the pud table, which is what the folded pgd points to as well.
   */
  @Test
  void memInit_tables_countEachVisit() {
    X86Bench bench = booted("7.2", true, true);
    var pgtable = bench.mm.pgtable();
    long memmap = bench.memmap(0);
    var p4d = pgtable.p4dOffset(pgtable.pgdOffsetK(memmap), memmap);
    var pud = pgtable.pudOffset(p4d, memmap);
    Page pudTable = bench.mm.model().virtToPage(pud.va());
    Page pmdTable = bench.mm.model().virtToPage(pgtable.pmdOffset(pud, memmap).va());

    assertFrame(bench, pudTable, SECTION_1_MIX, 1 + 2 * 2);
    assertFrame(bench, pmdTable, SECTION_1_MIX, 1 + 2);
  }

  /** The same with 5 levels, where the pgd points to a table of its own. Expect one visit each. */
  @Test
  void memInit_fiveLevels_countsTheP4dTable() {
    MmConfig config = X86Bench.config().withSeries(Series.profile("7.2"));
    X86Bench bench = new X86Bench(X86Geometry.fiveLevel(), config, true).boot();
    var pgtable = bench.mm.pgtable();
    long memmap = bench.memmap(0);
    var p4d = pgtable.p4dOffset(pgtable.pgdOffsetK(memmap), memmap);

    assertFrame(bench, bench.mm.model().virtToPage(p4d.va()), SECTION_1_MIX, 1 + 2);
  }

  /** A CPU without large pages. Expect each base page registered, its pte table once for each. */
  @Test
  void memInit_basePages_registersFramesAndTheirTable() {
    X86Bench bench = booted("7.2", false, true);
    long memmap = bench.memmap(X86Bench.SECTION);
    Page table = bench.mm.model().virtToPage(bench.mm.pgtable().virtToKpte(memmap).va());

    assertFrame(bench, frameOf(bench, memmap), SECTION_1_OWN, 2);
    assertFrame(bench, frameOf(bench, memmap + BYTES - X86Bench.PAGE), SECTION_1_OWN, 2);
    assertFrame(bench, table, SECTION_1_MIX, 1 + 512);
  }

  /**
   * The memmap of a section that has a hole before a leaf.
   *
   * <pre>
   *   memmap   |  2 pages: hole  |  leaf of 512 frames  |
   * </pre>
   *
   * Expect each frame behind the leaf to be registered, and not the one that follows. The block is
   * from the page allocator, so only its first frame had a reference before.
   */
  @Test
  void registerPageBootmemMemmap_hole_isPassedOver() {
    X86Bench bench = booted("7.2", true, true);
    long leaf = bench.dev(BYTES);
    assertEquals(0, bench.populate(leaf, leaf + BYTES));
    Page first = frameOf(bench, leaf);
    Page behind = bench.mm.struct().add(first, 512);
    long priv = bench.mm.struct().priv(behind);
    int references = bench.mm.refs().pageRefCount(behind);
    Page map = bench.mm.model().pfnToPage(X86Bench.DEVICE_PFN + X86Bench.SECTION - 128);

    bench.init.registerPageBootmemMemmap(1, map, 128 + X86Bench.SECTION);

    assertFrame(bench, first, SECTION_1_OWN, 2);
    assertFrame(bench, bench.mm.struct().add(first, 511), SECTION_1_OWN, 1);
    assertFrame(bench, behind, priv, references);
  }

  /** A frame of the leaf is registered once more. Expect it alone to stay reserved, for nobody. */
  @Test
  void vmemmapFree_frameRegisteredTwice_isKept() {
    X86Bench bench = booted("7.2", true, true);
    long memmap = bench.memmap(X86Bench.SECTION);
    long managed = bench.pageAlloc.totalramPages();
    long reserved = bench.owned(Owner.RESERVED);
    Page kept = frameOf(bench, memmap + 5 * X86Bench.PAGE);
    bench.vmemmap.bootmemInfo().getPageBootmem(1, kept, BootmemInfo.SECTION_INFO);

    bench.free(memmap, memmap + BYTES);

    assertEquals(managed + 511, bench.pageAlloc.totalramPages());
    assertEquals(reserved + 1, bench.owned(Owner.RESERVED));
    assertFrame(bench, kept, SECTION_1_OWN, 2);
  }

  /** The leaf's section goes. Expect its frames managed, as many as in 7.3. */
  @Test
  void vmemmapFree_registeredLeaf_makesItsFramesManaged() {
    for (String profile : new String[] {"7.2", "7.3"}) {
      X86Bench bench = booted(profile, true, true);
      long memmap = bench.memmap(X86Bench.SECTION);
      long managed = bench.pageAlloc.totalramPages();
      Page first = frameOf(bench, memmap);

      bench.free(memmap, memmap + BYTES);

      assertEquals(managed + 512, bench.pageAlloc.totalramPages(), profile);
      assertEquals(0, bench.mm.struct().priv(first), profile);
      assertEquals(512, bench.owned(Owner.VMEMMAP), profile);
    }
  }

  /**
   * A section of base pages goes, and with it its pte table. Expect that the table comes back in 7.3
   * only: before, it had a reference for each base page, and one is dropped.
   */
  @Test
  void freePagetable_registeredTable_isNeverFreed() {
    for (String profile : new String[] {"7.2", "7.3"}) {
      X86Bench bench = booted(profile, false, true);
      long memmap = bench.memmap(X86Bench.SECTION);
      Page table = bench.mm.model().virtToPage(bench.mm.pgtable().virtToKpte(memmap).va());
      long tables = bench.owned(Owner.PAGE_TABLE);

      bench.free(memmap, memmap + BYTES);

      boolean kept = profile.equals("7.2");
      assertEquals(kept, bench.mm.flags().pageReserved(table), profile);
      assertEquals(tables - 1, bench.owned(Owner.PAGE_TABLE), profile);
      if (kept) {
        assertFrame(bench, table, SECTION_1_MIX, 512);
        assertEquals(Owner.RESERVED, bench.machine.ledger().ownerOf(bench.mm.model().pageToPfn(table)));
      }
    }
  }

  /** A frame of boot memmap with one registration. Expect it free, and nothing left of that. */
  @Test
  void freeBootmemPage_registeredOnce_isFreed() {
    X86Bench bench = booted("7.2", true, true);
    Page page = frameOf(bench, bench.memmap(X86Bench.SECTION));

    bench.vmemmap.bootmemInfo().freeBootmemPage(page);

    assertEquals(0, bench.mm.struct().priv(page));
    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(bench.mm.model().pageToPfn(page)));
  }

  /** A reserved frame without registration. Expect a BUG with DEBUG_VM, else that it stays. */
  @Test
  void freeBootmemPage_neverRegistered_staysReserved() {
    X86Bench debug = booted("7.2", true, true);
    X86Bench plain = booted("7.2", true, false);
    Page image = plain.mm.model().pfnToPage(0x20);

    KernelBug bug =
        assertThrows(
            KernelBug.class, () -> debug.vmemmap.bootmemInfo().freeBootmemPage(image));
    plain.vmemmap.bootmemInfo().freeBootmemPage(image);

    assertSays("page_ref_count(page) != 2", bug);
    assertTrue(plain.mm.flags().pageReserved(image));
    assertEquals(1, plain.mm.refs().pageRefCount(image));
  }

  /** DEBUG_VM and two references, but no registration. Expect the second check to stop it. */
  @Test
  void freeBootmemPage_withoutType_isABug() {
    X86Bench bench = booted("7.2", true, true);
    Page image = bench.mm.model().pfnToPage(0x20);
    bench.mm.refs().getPage(image);

    KernelBug bug =
        assertThrows(
            KernelBug.class, () -> bench.vmemmap.bootmemInfo().freeBootmemPage(image));

    assertSays("neither SECTION_INFO nor", bug);
  }

  /** Numbers that do not fit, and a frame without type. Expect a BUG each, in every kernel. */
  @Test
  void getPutPageBootmem_badArguments_areBugs() {
    X86Bench bench = booted("7.2", true, false);
    BootmemInfo info = bench.vmemmap.bootmemInfo();
    Page image = bench.mm.model().pfnToPage(0x20);

    KernelBug type = assertThrows(KernelBug.class, () -> info.getPageBootmem(0, image, 16));
    KernelBug large = assertThrows(KernelBug.class, () -> info.getPageBootmem(1L << 60, image, 1));
    KernelBug put = assertThrows(KernelBug.class, () -> info.putPageBootmem(image));

    assertSays("type > 0xf", type);
    assertSays("ULONG_MAX >> 4", large);
    assertSays("put_page_bootmem", put);
  }

  /** 7.3 has no such file. Expect that a reserved frame is freed as one. */
  @Test
  void freeBootmemPage_withoutTheFile_freesReservedPages() {
    X86Bench bench = booted("7.3", true, true);
    Page page = frameOf(bench, bench.memmap(X86Bench.SECTION));

    bench.vmemmap.bootmemInfo().freeBootmemPage(page);

    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(bench.mm.model().pageToPfn(page)));
    assertEquals(BootmemInfo.SECTION_INFO, bench.vmemmap.bootmemInfo().bootmemType(page));
  }
}
