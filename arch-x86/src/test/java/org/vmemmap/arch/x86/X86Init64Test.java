// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.arch.x86.X86Bench.DEVICE_PFN;
import static org.vmemmap.arch.x86.X86Bench.MIB;
import static org.vmemmap.arch.x86.X86Bench.PAGE;
import static org.vmemmap.arch.x86.X86Bench.SECTION;
import static org.vmemmap.arch.x86.X86Bench.SUBSECTION;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.vmemmap.machine.Checks;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.YieldPoints;
import org.vmemmap.sparse.MemoryHotplug.MhpParams;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Pgtable;
import org.vmemmap.types.Pmd;
import org.vmemmap.types.Prot;
import org.vmemmap.types.Pte;
import org.vmemmap.types.Ptr;
import org.vmemmap.types.Pud;
import org.vmemmap.types.VmemAltmap;

/** vmemmap_populate(), vmemmap_free() and the sync of top-level entries, with 4 and 5 levels. */
class X86Init64Test {
  private static final String BLOCK = "vmemmap_alloc_block";
  private static final long LEAF = 0x8000_0000_0000_01e3L;
  private static final long BASE = 0x8000_0000_0000_0163L;
  private static final MhpParams PLAIN = new MhpParams(null, null);

  private final X86Bench m = X86Bench.fourLevel();

  // ---- boot ----

  /**
   * The memmap after boot.
   *
   * <pre>
   *   pgd 0x67 -> pud 0x67 -> pmd leaf 0x80000000000001e3 for each section
   * </pre>
   *
   * Expect two leaves, two tables below the top with 4 levels and three with 5.
   */
  @Test
  void boot_bothModes_mapsEachSectionWithALeaf() {
    X86Bench five = X86Bench.fiveLevel();

    assertEquals(1, m.level(m.memmap(0)));
    assertEquals(LEAF, m.flags(m.memmap(0)));
    assertEquals(LEAF, five.flags(five.memmap(2 * SECTION - 1)));
    assertEquals(-1, five.level(five.memmap(2 * SECTION)));
    assertEquals(2, m.owned(Owner.PAGE_TABLE));
    assertEquals(3, five.owned(Owner.PAGE_TABLE));
    assertEquals(1024, five.mm.vmstat().nrMemmapBootPages());
    assertTrue(m.warnings().isEmpty());
    assertTrue(five.warnings().isEmpty());
  }

  /** Boot memory for the memmap lies above 16 MiB. Expect no frame of it below. */
  @Test
  void boot_memmap_liesAboveTheDmaZone() {
    assertEquals(16 * MIB, m.init.maxDmaPaddr());
    assertTrue(m.frame(m.memmap(0)) >= 4096);
  }

  // ---- vmemmap_populate ----

  /** The memmap of a section. Expect one leaf with the captured flags. */
  @Test
  void vmemmapPopulate_section_isALeaf() {
    assertEquals(0, m.populate(m.dev(0), m.dev(2 * MIB)));

    assertEquals(1, m.level(m.dev(0)));
    assertEquals(LEAF, m.flags(m.dev(0)));
    assertEquals(-1, m.level(m.dev(2 * MIB)));
  }

  /** The memmap of a subsection. Expect 8 base pages, and none from the altmap. */
  @Test
  void vmemmapPopulate_subsection_isBasePagesWithoutAltmap() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, SECTION, 512);

    assertEquals(0, m.init.vmemmapPopulate(m.dev(0), m.dev(8 * PAGE), 0, altmap));

    assertEquals(0, m.level(m.dev(0)));
    assertEquals(BASE, m.flags(m.dev(7 * PAGE)));
    assertEquals(-1, m.level(m.dev(8 * PAGE)));
    assertEquals(0, altmap.alloc);
  }

  /** The memmap of a section from an altmap. Expect the device behind the leaf, and given back. */
  @Test
  void vmemmapPopulate_altmap_mapsAndReturnsTheDevice() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, SECTION, 512);
    long devices = m.owned(Owner.DEVICE);

    assertEquals(0, m.init.vmemmapPopulate(m.dev(0), m.dev(2 * MIB), 0, altmap));
    assertEquals(DEVICE_PFN, m.frame(m.dev(0)));
    assertEquals(512, m.owned(Owner.ALTMAP));

    m.init.vmemmapFree(m.dev(0), m.dev(2 * MIB), altmap);
    assertEquals(0, altmap.alloc);
    assertEquals(0, m.owned(Owner.ALTMAP));
    assertEquals(devices, m.owned(Owner.DEVICE));
  }

  /** A CPU without large pages. Expect base pages for a section, at boot and later. */
  @Test
  void vmemmapPopulate_withoutPse_isBasePages() {
    X86Bench old = new X86Bench(X86Geometry.fourLevel(), X86Bench.config(), false).boot();

    assertEquals(0, old.level(old.memmap(0)));
    assertEquals(0, old.populate(old.dev(0), old.dev(2 * MIB)));
    assertEquals(0, old.level(old.dev(2 * MIB - PAGE)));
  }

  /** The same with an altmap. Expect -ENOMEM and the line, once. */
  @Test
  void vmemmapPopulate_altmapWithoutPse_isRefused() {
    X86Bench old = new X86Bench(X86Geometry.fourLevel(), X86Bench.config(), false).boot();
    VmemAltmap altmap = old.altmap(DEVICE_PFN, SECTION, 512);

    assertEquals(
        -Errno.ENOMEM, old.init.vmemmapPopulate(old.dev(0), old.dev(2 * MIB), 0, altmap));
    old.init.vmemmapPopulate(old.dev(0), old.dev(2 * MIB), 0, altmap);

    String line = "vmemmap_populate: no cpu support for altmap allocations";
    assertEquals(1, old.log().stream().filter(line::equals).count());
  }

  /** Addresses inside a page. Expect the BUG of a DEBUG_VM kernel, four times. */
  @Test
  void vmemmapPopulateAndFree_misaligned_areBugs() {
    assertBug("vmemmap_populate: !PAGE_ALIGNED(start)", () -> m.populate(m.dev(8), m.dev(PAGE)));
    assertBug("vmemmap_populate: !PAGE_ALIGNED(end)", () -> m.populate(m.dev(0), m.dev(8)));
    assertBug("vmemmap_free: !PAGE_ALIGNED(start)", () -> m.free(m.dev(8), m.dev(PAGE)));
    assertBug("vmemmap_free: !PAGE_ALIGNED(end)", () -> m.free(m.dev(0), m.dev(8)));
  }

  private static void assertBug(String condition, Executable run) {
    assertEquals("kernel BUG at " + condition, assertThrows(KernelBug.class, run).getMessage());
  }

  /**
   * A populate into a fresh top-level slot, with 5 levels: p4d, pud, pmd and pte tables, then
   * frames.
   *
   * <p>Expect -ENOMEM for each failing step, one more level reached each time, and success at last.
   */
  @Test
  void vmemmapPopulate_eachAllocationFails_fiveLevel() {
    X86Bench five = X86Bench.fiveLevel();
    long far = five.memmap(0) + (1L << 48);

    failOnce(five, far, 1, 4);
    failOnce(five, far, 2, 3);
    failOnce(five, far, 2, 2);
    failOnce(five, far, 2, 1);
    failOnce(five, far, 2, 0);
    failOnce(five, far, 2, 0);
    assertNotEquals(-1, five.level(far));
    assertEquals(-1, five.level(far + PAGE));
    five.machine.faults().disarm();
    assertEquals(0, five.populate(far, far + 8 * PAGE));
  }

  private static void failOnce(X86Bench bench, long far, int nth, int reached) {
    bench.failNth(nth, BLOCK);
    assertEquals(-Errno.ENOMEM, bench.populate(far, far + 8 * PAGE));
    assertEquals(reached, bench.walk(far).level());
  }

  /** The same for the tables above a leaf, with 4 levels. */
  @Test
  void vmemmapPopulate_eachTableFails_fourLevel() {
    long far = m.memmap(0) + (1L << 39);

    m.failNth(1, BLOCK);
    assertEquals(-Errno.ENOMEM, m.populate(far, far + 2 * MIB));
    assertEquals(3, m.walk(far).level());
    m.failNth(2, BLOCK);
    assertEquals(-Errno.ENOMEM, m.populate(far, far + 2 * MIB));
    assertEquals(2, m.walk(far).level());
    m.failNth(2, BLOCK);
    assertEquals(0, m.populate(far, far + 2 * MIB));
    assertEquals(0, m.level(far));
  }

  /**
   * Blocks of two devices behind four leaves.
   *
   * <pre>
   *   leaf     0         1         2         3
   *   node     0         0         1         1
   *   block    first     first     first     second device
   * </pre>
   *
   * Expect a debug line for leaves 0 and 1, whose blocks follow each other on one node, and one for
   * each of the others: the last when it is asked for, once.
   */
  @Test
  void vmemmapPopulatePrintLast_debug_describesRuns() {
    VmemAltmap first = m.altmap(DEVICE_PFN, SECTION, 3 * 512);
    VmemAltmap second = m.altmap(DEVICE_PFN + SECTION, SECTION, 512);
    m.init.vmemmapPopulatePrintLast();
    m.mm.printk().setDebug(true);

    assertEquals(0, m.init.vmemmapPopulate(m.dev(0), m.dev(4 * MIB), 0, first));
    assertEquals(0, m.init.vmemmapPopulate(m.dev(4 * MIB), m.dev(6 * MIB), 1, first));
    assertEquals(0, m.init.vmemmapPopulate(m.dev(6 * MIB), m.dev(8 * MIB), 1, second));
    m.init.vmemmapPopulatePrintLast();
    m.init.vmemmapPopulatePrintLast();

    List<String> lines = m.log().stream().filter(line -> line.contains("PMD ->")).toList();
    long block = m.mm.model().va(DEVICE_PFN << 12);
    assertEquals(
        List.of(
            run(m.dev(0), 4 * MIB, block, 0),
            run(m.dev(4 * MIB), 2 * MIB, block + 4 * MIB, 1),
            run(m.dev(6 * MIB), 2 * MIB, block + 128 * MIB, 1)),
        lines);
  }

  private static String run(long va, long bytes, long block, int node) {
    return " [%x-%x] PMD -> [%x-%x] on node %d"
        .formatted(va, va + bytes - 1, block, block + bytes - 1, node);
  }

  /**
   * A subsection's memmap is there when that of the whole section is added.
   *
   * <pre>
   *   before   | 8 pages |                        |
   *   after    | 8 pages | 504 pages              |   in the same table
   * </pre>
   *
   * Expect the table to stay, and to be filled up.
   */
  @Test
  void vmemmapCheckPmd_table_isFilledUp() {
    assertEquals(0, m.populate(m.dev(0), m.dev(8 * PAGE)));
    long frame = m.frame(m.dev(0));

    assertEquals(0, m.populate(m.dev(0), m.dev(2 * MIB)));

    assertEquals(frame, m.frame(m.dev(0)));
    assertEquals(0, m.level(m.dev(8 * PAGE)));
    assertEquals(0, m.level(m.dev(2 * MIB - PAGE)));
  }

  /** A leaf is used for memory of another node. Expect the warning of vmemmap_verify(). */
  @Test
  void vmemmapCheckPmd_leafOfAnotherNode_warns() {
    assertEquals(0, m.populate(m.dev(0), m.dev(2 * MIB)));
    String line = "[%x-%x] potential offnode page_structs".formatted(m.dev(0), m.dev(2 * MIB) - 1);
    assertFalse(m.log().contains(line));

    assertEquals(0, m.init.vmemmapPopulate(m.dev(0), m.dev(2 * MIB), 1, null));

    assertTrue(m.log().contains(line), m.log().toString());
  }

  // ---- vmemmap_free ----

  /** A leaf in tables of its own goes. Expect frames and pmd table back, the pud table kept. */
  @Test
  void vmemmapFree_leafFourLevel_keepsThePudTable() {
    long far = m.memmap(0) + (1L << 39);
    long tables = m.owned(Owner.PAGE_TABLE);
    long frames = m.owned(Owner.VMEMMAP);
    m.populate(far, far + 2 * MIB);
    assertEquals(tables + 2, m.owned(Owner.PAGE_TABLE));

    m.free(far, far + 2 * MIB);

    assertEquals(frames, m.owned(Owner.VMEMMAP));
    assertEquals(tables + 1, m.owned(Owner.PAGE_TABLE));
    assertEquals(2, m.walk(far).level());
  }

  /** The same with 5 levels. Expect the pud table to go too, the p4d table to stay. */
  @Test
  void vmemmapFree_leafFiveLevel_freesThePudTable() {
    X86Bench five = X86Bench.fiveLevel();
    long far = five.memmap(0) + (1L << 48);
    long tables = five.owned(Owner.PAGE_TABLE);
    five.populate(far, far + 2 * MIB);
    assertEquals(tables + 3, five.owned(Owner.PAGE_TABLE));

    five.free(far, far + 2 * MIB);

    assertEquals(tables + 1, five.owned(Owner.PAGE_TABLE));
    assertEquals(3, five.walk(far).level());
  }

  /**
   * Two leaves under one pmd table, and with 5 levels two under one pud table.
   *
   * <pre>
   *   table   | first |  second |  -  |  -  |
   * </pre>
   *
   * The first is freed. Expect the table to stay for the second, and to go with it, whatever lies in
   * the free frame behind it.
   */
  @Test
  void vmemmapFree_tableStillInUse_keepsIt() {
    checkTableInUse(m, 1L << 39, 2 * MIB, 2);
    checkTableInUse(X86Bench.fiveLevel(), 1L << 48, 1L << 30, 4);
  }

  private static void checkTableInUse(X86Bench b, long slot, long apart, long made) {
    long tables = b.owned(Owner.PAGE_TABLE);
    long first = b.memmap(0) + slot;
    long second = first + apart;
    b.populate(first, first + 2 * MIB);
    b.populate(second, second + 2 * MIB);
    assertEquals(tables + made, b.owned(Owner.PAGE_TABLE));

    b.free(first, first + 2 * MIB);
    assertEquals(-1, b.level(first));
    assertEquals(1, b.level(second));

    fillBehindTable(b, second, apart == 2 * MIB ? Pgtable.PMD : Pgtable.PUD);
    b.free(second, second + 2 * MIB);
    assertEquals(tables + 1, b.owned(Owner.PAGE_TABLE));
  }

  /** Writes what would be an entry in use to the word behind the table that serves an address. */
  private static void fillBehindTable(X86Bench b, long va, int level) {
    Pgtable pgtable = b.mm.pgtable();
    Ptr<Pud> pud = pgtable.pudOffset(pgtable.p4dOffset(pgtable.pgdOffsetK(va), va), va);
    long entry = level == Pgtable.PMD ? pgtable.pmdOffset(pud, va).va() : pud.va();
    long behind = b.mm.model().pa((entry & -PAGE) + PAGE);
    assertEquals(Owner.BUDDY, b.machine.ledger().ownerOf(behind >>> 12));
    b.machine.memory().setLong(behind, LEAF);
  }

  /**
   * Leaves in three pmd tables and two pud tables, with 5 levels.
   *
   * <pre>
   *   p4d   | - |     1     |     2     | - |
   *   pud       | 0 | 1 | - | 0 | - | - |
   * </pre>
   *
   * All go in one pass, which does not begin at the first slot of the p4d table. Expect the tables to
   * go with them, but for the p4d table.
   */
  @Test
  void vmemmapFree_rangeOverManyTables_freesThemAll() {
    X86Bench five = X86Bench.fiveLevel();
    long slot = five.memmap(0) + (1L << 48);
    long tables = five.owned(Owner.PAGE_TABLE);
    long frames = five.owned(Owner.VMEMMAP);
    long first = slot + (1L << 39);
    long second = first + (1L << 30);
    long third = slot + (2L << 39);
    five.populate(first, first + 2 * MIB);
    five.populate(second, second + 2 * MIB);
    five.populate(third, third + 2 * MIB);
    assertEquals(tables + 6, five.owned(Owner.PAGE_TABLE));

    five.free(first, third + 2 * MIB);

    assertEquals(tables + 1, five.owned(Owner.PAGE_TABLE));
    assertEquals(frames, five.owned(Owner.VMEMMAP));
  }

  /** 1 GiB of addresses at once, with a table behind them. Expect its leaf and itself to go. */
  @Test
  void removePudTable_coveredTable_isEmptiedAndFreed() {
    long gib = m.memmap(0) + (1L << 39);
    long tables = m.owned(Owner.PAGE_TABLE);
    long frames = m.owned(Owner.VMEMMAP);
    m.populate(gib, gib + 2 * MIB);

    m.free(gib, gib + (1L << 30));

    assertEquals(tables + 1, m.owned(Owner.PAGE_TABLE));
    assertEquals(frames, m.owned(Owner.VMEMMAP));
  }

  /**
   * The base pages of a table go, and the table with them. Expect every CPU's translations to be
   * dropped before the table's frame is given back, and once more at the end.
   */
  @Test
  void removePteTable_emptyTable_flushesBeforeTheTableGoes() {
    m.populate(m.dev(0), m.dev(8 * PAGE));
    long table = m.walk(m.dev(0)).entryPaddr() >>> 12;
    List<String> steps = listen(m);

    m.free(m.dev(0), m.dev(8 * PAGE));

    String gone = "moved " + table;
    List<String> seen =
        steps.stream().filter(step -> step.equals("flush_all") || step.equals(gone)).toList();
    assertEquals(List.of("flush_all", gone, "flush_all"), seen);
  }

  /** From now on the list gets a word for each step, each use of a list, each frame that moves. */
  private static List<String> listen(X86Bench b) {
    List<String> steps = new ArrayList<>();
    b.machine
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String what, long where) {
                steps.add(what);
              }

              @Override
              public void touched(String what) {
                steps.add(what);
              }

              @Override
              public void moved(long frame, long n) {
                steps.add("moved " + frame);
              }
            });
    return steps;
  }

  /** Base pages go in two parts. Expect the pte table to go with the last. */
  @Test
  void vmemmapFree_basePages_freesTheTableWithTheLast() {
    long tables = m.owned(Owner.PAGE_TABLE);
    m.populate(m.dev(0), m.dev(16 * PAGE));

    m.free(m.dev(0), m.dev(8 * PAGE));
    assertEquals(tables + 1, m.owned(Owner.PAGE_TABLE));
    assertEquals(-1, m.level(m.dev(0)));
    assertEquals(0, m.level(m.dev(8 * PAGE)));

    m.free(m.dev(8 * PAGE), m.dev(16 * PAGE));
    assertEquals(tables, m.owned(Owner.PAGE_TABLE));
    assertEquals(1, m.walk(m.dev(0)).level());
  }

  /**
   * Nothing is mapped there, and in frame 0 lies what looks like an entry. Expect nothing to happen,
   * at any level: an empty entry does not lead to frame 0.
   */
  @Test
  void vmemmapFree_nothingMapped_doesNothing() {
    X86Bench five = X86Bench.fiveLevel();
    List<Long> four = m.books();
    List<Long> before = five.books();
    five.machine.memory().setLong(0, 0x7067);

    m.free(m.dev(0), m.dev(2 * MIB));
    m.free(m.memmap(0) + (1L << 39), m.memmap(0) + (1L << 39) + 2 * MIB);
    five.free(five.dev(0), five.dev(2 * MIB));
    five.free(five.memmap(0) + (1L << 48), five.memmap(0) + (1L << 48) + 2 * MIB);

    assertEquals(four, m.books());
    assertEquals(before, five.books());
    assertEquals(0x7067, five.machine.memory().getLong(0));
  }

  /** No entry survives a free in any translation cache. Expect a fault on both CPUs. */
  @Test
  void vmemmapFree_cachedTranslations_areFlushed() {
    m.populate(m.dev(0), m.dev(2 * MIB));
    m.machine.cpu().writeLong(m.dev(0), 1);
    m.machine.runOn(1);
    m.machine.cpu().readLong(m.dev(0));

    m.free(m.dev(0), m.dev(2 * MIB));

    assertNotPresent(m.dev(0));
    m.machine.runOn(0);
    assertNotPresent(m.dev(0));
  }

  private void assertNotPresent(long va) {
    MachineFault fault = assertThrows(MachineFault.class, () -> m.machine.cpu().readLong(va));
    assertEquals("not-present", fault.rule());
  }

  /** Boot memory behind a leaf was reserved. Expect it to become managed when its section goes. */
  @Test
  void vmemmapFree_bootLeaf_makesItsFramesManaged() {
    long managed = managed();
    long frames = m.owned(Owner.VMEMMAP);

    m.vmemmap.sparseRemoveSection(SECTION, SECTION, null, null);

    assertEquals(managed + 512, managed());
    assertEquals(frames - 512, m.owned(Owner.VMEMMAP));
    assertEquals(512, m.mm.vmstat().nrMemmapBootPages());
    assertEquals(-1, m.level(m.memmap(SECTION)));
  }

  private long managed() {
    return List.of(m.mm.nodes().nodeData(0).zones()).stream().mapToLong(z -> z.managedPages).sum();
  }

  /** A boot page table that becomes empty. Expect it to be freed as a reserved page. */
  @Test
  void freePagetable_bootTable_isAReservedPage() {
    X86Bench old = new X86Bench(X86Geometry.fourLevel(), X86Bench.config(), false).boot();
    long tables = old.owned(Owner.PAGE_TABLE);

    old.vmemmap.sparseRemoveSection(SECTION, SECTION, null, null);

    assertEquals(tables - 1, old.owned(Owner.PAGE_TABLE));
    assertEquals(-1, old.level(old.memmap(SECTION)));
  }

  /**
   * The guard for the first GiB compares entry plus address, so only an entry without NX at an
   * impossible address can meet it. Expect the pass to end there, and the entry to stay.
   */
  @Test
  void removePteTable_sumBelowOneGib_endsThePass() {
    m.populate(m.dev(0), m.dev(8 * PAGE));
    long va = m.dev(2 * PAGE);
    Ptr<Pte> ptep = m.mm.pgtable().virtToKpte(va);
    m.mm.pgtable().setPteAt(va, ptep, new Pte(0x163 - va));

    m.free(m.dev(0), m.dev(8 * PAGE));

    assertEquals(-1, m.level(m.dev(PAGE)));
    assertNotEquals(-1, m.level(m.dev(2 * PAGE)));
    assertNotEquals(-1, m.level(m.dev(3 * PAGE)));
  }

  /** A leaf of 1 GiB, which the memmap never has. Expect it cleared when covered, and no more. */
  @Test
  void removePudTable_coveredLeaf_isCleared() {
    long gib = m.memmap(0) + (1L << 39);
    m.populate(gib, gib + 8 * PAGE);
    m.free(gib, gib + 8 * PAGE);
    long pud = m.walk(gib).entryPaddr();
    m.machine.memory().setLong(pud, LEAF);
    long managed = managed();

    m.free(gib, gib + (1L << 30));

    assertEquals(0, m.machine.memory().getLong(pud));
    assertEquals(managed, managed());
  }

  // ---- parts of a leaf: struct pages that do not tile ----

  /** Bytes of memmap of a section with struct pages of the given size. */
  private static long bytes(int size) {
    return size * SECTION;
  }

  /**
   * Struct pages of 56 bytes at boot.
   *
   * <pre>
   *   leaf     0                         1
   *           |  section 0           |  section 1       |.......|
   * </pre>
   *
   * Expect two leaves for two sections, and no fill yet behind the second.
   */
  @Test
  void useNewSubPmd_boot56_remembersTheEnd() {
    X86Bench b = X86Bench.structPage(56);

    assertEquals(1, b.level(b.memmap(0)));
    assertEquals(1, b.level(b.memmap(2 * SECTION) - PAGE));
    assertEquals(4 * 256, b.owned(Owner.VMEMMAP));
    assertFalse(b.unused(b.memmap(2 * SECTION), b.memmap(2 * SECTION) + PAGE));
  }

  /** The first section of a leaf in the middle, for each size. Expect 0xfd before its start. */
  @Test
  void useNewSubPmd_startInsideALeaf_fillsBeforeIt() {
    checkFillBefore(56);
    checkFillBefore(72);
    checkFillBefore(80);
  }

  private static void checkFillBefore(int size) {
    X86Bench b = X86Bench.structPage(size);
    long start = b.dev(bytes(size));
    long leaf = start & -2 * MIB;
    assertNotEquals(leaf, start);

    assertEquals(0, b.populate(start, start + bytes(size)));

    assertTrue(b.unused(leaf, start), "size=" + size);
    assertEquals(0, b.machine.cpu().readLong(start));
    assertFalse(b.unused(start, start + size));
  }

  /**
   * A second, distant populate makes the remembered end real.
   *
   * <p>Expect 0xfd behind the first from its end to the end of the leaf.
   */
  @Test
  void flushUnusedPmd_distantPopulate_fillsTheRememberedEnd() {
    checkFlush(56);
    checkFlush(72);
    checkFlush(80);
  }

  private static void checkFlush(int size) {
    X86Bench b = X86Bench.structPage(size);
    long end = b.dev(bytes(size));
    long leafEnd = (end + 2 * MIB - 1) & -2 * MIB;
    b.populate(b.dev(0), end);
    assertFalse(b.unused(end, end + size), "size=" + size);

    b.populate(b.dev(16 * bytes(size)), b.dev(17 * bytes(size)));

    assertTrue(b.unused(end, leafEnd), "size=" + size);
  }

  /** The next section follows directly. Expect no fill at all where it goes. */
  @Test
  void useSubPmd_consecutive_needsNoFill() {
    X86Bench b = X86Bench.structPage(56);
    b.populate(b.dev(0), b.dev(bytes(56)));
    b.machine.cpu().writeLong(b.dev(bytes(56)), 77);

    b.populate(b.dev(bytes(56)), b.dev(2 * bytes(56)));

    assertEquals(77, b.machine.cpu().readLong(b.dev(bytes(56))));
  }

  /**
   * Eight sections of 56 bytes fill seven leaves exactly. Expect nothing remembered at their end.
   */
  @Test
  void useSubPmd_endOnALeaf_forgets() {
    X86Bench b = X86Bench.structPage(56);
    for (int i = 0; i < 8; i++) {
      b.populate(b.dev(i * bytes(56)), b.dev((i + 1) * bytes(56)));
    }
    long end = b.dev(8 * bytes(56));
    assertEquals(0, end & (2 * MIB - 1));

    b.populate(b.dev(32 * bytes(56)), b.dev(33 * bytes(56)));

    assertFalse(b.unused(end - 56, end));
  }

  /**
   * A gap in a leaf is used later. Expect one struct page zeroed as the mark, the rest still 0xfd.
   */
  @Test
  void useSubPmd_existingLeaf_marksOneStructPage() {
    X86Bench b = X86Bench.structPage(56);
    long middle = b.dev(bytes(56));
    b.populate(middle, b.dev(2 * bytes(56)));
    assertTrue(b.unused(b.dev(MIB), middle));

    b.populate(b.dev(0), middle);

    assertEquals(0, b.machine.cpu().readLong(b.dev(0)));
    assertFalse(b.unused(b.dev(0), b.dev(56)));
    assertTrue(b.unused(b.dev(56), middle));
  }

  /**
   * Two sections in a row, then a distant one.
   *
   * <pre>
   *   leaf 0        leaf 1
   *   | sec 0 | sec 1    | - |    the end of sec 1 is what is remembered
   * </pre>
   *
   * Expect 0xfd from the end of the second section to the end of its leaf.
   */
  @Test
  void useSubPmd_consecutive_remembersItsOwnEnd() {
    X86Bench b = X86Bench.structPage(56);
    long end = b.dev(2 * bytes(56));
    b.populate(b.dev(0), b.dev(bytes(56)));
    b.populate(b.dev(bytes(56)), end);
    assertFalse(b.unused(end, end + 56));

    b.populate(b.dev(16 * bytes(56)), b.dev(17 * bytes(56)));

    assertTrue(b.unused(end, b.dev(4 * MIB)));
  }

  /**
   * Ranges that no section has: the second begins and ends inside the leaf of the first.
   *
   * <pre>
   *   leaf 1
   *   | first | second ......        | - |
   * </pre>
   *
   * Expect 0xfd behind the second only, when a distant leaf comes.
   */
  @Test
  void useSubPmd_endInsideTheSameLeaf_remembersIt() {
    X86Bench b = X86Bench.structPage(56);
    long middle = b.dev(2 * MIB + 16 * PAGE);
    long end = middle + bytes(56);
    b.populate(b.dev(0), middle);
    b.populate(middle, end);

    b.populate(b.dev(16 * bytes(56)), b.dev(17 * bytes(56)));

    assertFalse(b.unused(middle, middle + 56));
    assertTrue(b.unused(end, b.dev(4 * MIB)));
  }

  /**
   * The second of two sections comes first.
   *
   * <pre>
   *   leaf 0            leaf 1
   *   | 0xfd   | sec 1  ......  | - |     the end of sec 1 is remembered
   *   | sec 0  | sec 1  ......  |fd |     sec 0 uses leaf 0, which is there
   * </pre>
   *
   * Expect the remembered end to be filled before the other leaf is touched.
   */
  @Test
  void useSubPmd_otherLeaf_fillsTheRememberedEnd() {
    X86Bench b = X86Bench.structPage(56);
    long end = b.dev(2 * bytes(56));
    b.populate(b.dev(bytes(56)), end);
    assertFalse(b.unused(end, end + 56));

    b.populate(b.dev(0), b.dev(bytes(56)));

    assertTrue(b.unused(end, b.dev(4 * MIB)));
  }

  /** A leaf whose memory was all 0xfd when it was freed. Expect its first struct page to be reset. */
  @Test
  void useNewSubPmd_memoryOfAnEarlierLeaf_isMarkedInUse() {
    X86Bench b = X86Bench.structPage(56);
    long middle = b.dev(bytes(56));
    b.populate(b.dev(0), middle);
    b.populate(middle, b.dev(2 * bytes(56)));
    long frame = b.frame(b.dev(0));
    b.free(middle, b.dev(2 * bytes(56)));
    b.free(b.dev(0), middle);

    b.populate(b.dev(0), middle);

    assertEquals(frame, b.frame(b.dev(0)));
    assertEquals(0, b.machine.cpu().readLong(b.dev(0)));
    assertFalse(b.unused(b.dev(0), b.dev(56)));
  }

  /**
   * Two sections share a leaf, and go one after the other, in both orders and for each size.
   *
   * <p>Expect the shared leaf to stay for the first and to go with the second.
   */
  @Test
  void pmdIsUnused_sharedLeaf_goesWithItsLastUser() {
    checkSharedLeaf(56, true);
    checkSharedLeaf(56, false);
    checkSharedLeaf(72, true);
    checkSharedLeaf(72, false);
    checkSharedLeaf(80, true);
    checkSharedLeaf(80, false);
  }

  private static void checkSharedLeaf(int size, boolean lowerFirst) {
    X86Bench b = X86Bench.structPage(size);
    long before = b.owned(Owner.VMEMMAP);
    long middle = b.dev(bytes(size));
    long end = b.dev(2 * bytes(size));
    b.populate(b.dev(0), middle);
    b.populate(middle, end);

    b.free(lowerFirst ? b.dev(0) : middle, lowerFirst ? middle : end);
    assertEquals(1, b.level(middle), "size=" + size);
    assertNotEquals(before, b.owned(Owner.VMEMMAP));

    b.free(lowerFirst ? middle : b.dev(0), lowerFirst ? end : middle);
    assertEquals(-1, b.level(middle), "size=" + size);
    assertEquals(before, b.owned(Owner.VMEMMAP), "size=" + size);
  }

  /** A leaf that was left and is used again. Expect its first struct page reset, so it stays. */
  @Test
  void useSubPmd_afterRemoval_resetsTheMark() {
    X86Bench b = X86Bench.structPage(56);
    long middle = b.dev(bytes(56));
    b.populate(b.dev(0), middle);
    b.populate(middle, b.dev(2 * bytes(56)));
    b.free(b.dev(0), middle);
    b.populate(b.dev(0), middle);

    b.free(middle, b.dev(2 * bytes(56)));

    assertEquals(1, b.level(b.dev(0)));
  }

  /** Whole sections come and go with struct pages that do not tile. Expect the books as before. */
  @Test
  void sparseAddRemove_structPagesThatDoNotTile_balance() {
    checkBalance(56);
    checkBalance(72);
    checkBalance(80);
  }

  private static void checkBalance(int size) {
    X86Bench b = X86Bench.structPage(size);
    List<Long> before = b.books();
    b.hotplug.archAddMemory(0, DEVICE_PFN << 12, 384 * MIB, PLAIN);
    assertEquals(3 * bytes(size) / PAGE, b.mm.vmstat().nrMemmapPages());

    b.hotplug.archRemoveMemory((DEVICE_PFN + SECTION) << 12, 128 * MIB, null, null);
    b.hotplug.archRemoveMemory(DEVICE_PFN << 12, 128 * MIB, null, null);
    b.hotplug.archRemoveMemory((DEVICE_PFN + 2 * SECTION) << 12, 128 * MIB, null, null);

    assertEquals(before, b.books(), "size=" + size);
    assertTrue(b.warnings().isEmpty());
  }

  // ---- several roots ----

  /** A new process. Expect it to see the memmap as init_mm does, and to share its tables. */
  @Test
  void pgdAlloc_newProcess_seesTheKernelHalf() {
    long root = m.pgtable.pgdAlloc();

    m.machine.cpu().loadRoot(m.mm.model().pa(root));
    m.machine.cpu().writeLong(m.memmap(8), 99);
    assertEquals(List.of(root), m.pgtable.pgdList().roots());
    assertEquals(0, m.machine.memory().getLong(m.mm.model().pa(root)));

    m.machine.cpu().loadRoot(m.mm.model().pa(m.mm.pgtable().initMmPgd()));
    m.machine.flushAll();
    assertEquals(99, m.machine.cpu().readLong(m.memmap(8)));
  }

  /**
   * An entry of init_mm in the user half, and the frame behind the table of an earlier process.
   *
   * <pre>
   *   init_mm   |x| user half   | kernel half |
   *   process   |0| empty       | copied      |  next frame: not touched
   * </pre>
   *
   * Expect 256 entries to be copied, no more.
   */
  @Test
  void pgdAlloc_userHalf_staysEmpty() {
    long initMm = m.mm.model().pa(m.mm.pgtable().initMmPgd());
    m.machine.memory().setLong(initMm, 0x7000 | 0x67);
    long earlier = m.pgtable.pgdAlloc();
    m.pgtable.pgdFree(earlier);
    long behind = m.mm.model().pa(earlier) + PAGE;
    m.machine.memory().setLong(behind, 77);
    m.machine.memory().setLong(behind + 2040, 78);

    long root = m.pgtable.pgdAlloc();

    assertEquals(earlier, root);
    long paddr = m.mm.model().pa(root);
    assertEquals(0, m.machine.memory().getLong(paddr));
    assertEquals(
        m.machine.memory().getLong(initMm + 8L * m.format.index(m.memmap(0), 3)),
        m.machine.memory().getLong(paddr + 8L * m.format.index(m.memmap(0), 3)));
    assertEquals(77, m.machine.memory().getLong(behind));
    assertEquals(78, m.machine.memory().getLong(behind + 2040));
  }

  /** The process ends. Expect its table freed and off the list. */
  @Test
  void pgdFree_process_leavesTheList() {
    List<Long> before = m.books();
    long tables = m.owned(Owner.PAGE_TABLE);
    long first = m.pgtable.pgdAlloc();
    long second = m.pgtable.pgdAlloc();
    assertEquals(List.of(second, first), m.pgtable.pgdList().roots());
    assertEquals(tables + 2, m.owned(Owner.PAGE_TABLE));

    m.pgtable.pgdFree(first);
    assertEquals(List.of(second), m.pgtable.pgdList().roots());
    m.pgtable.pgdFree(second);
    assertEquals(before, m.books());
  }

  /** No memory for the table. Expect 0 and no root. */
  @Test
  void pgdAlloc_noMemory_returnsNull() {
    m.failNth(1, "pgd_alloc");

    assertEquals(0, m.pgtable.pgdAlloc());
    assertTrue(m.pgtable.pgdList().roots().isEmpty());
  }

  /**
   * Memmap in a fresh top-level slot while processes run.
   *
   * <pre>
   *   init_mm  [..|A|B]      process  [..|A| ]  -> [..|A|B]
   * </pre>
   *
   * Expect them to see it at once, in both modes, though the slot was empty when they were made.
   */
  @Test
  void syncGlobalPgds_newSlot_reachesAllProcesses() {
    checkSync(m, 1L << 39);
    checkSync(X86Bench.fiveLevel(), 1L << 48);
  }

  private static void checkSync(X86Bench b, long slot) {
    long first = b.pgtable.pgdAlloc();
    long second = b.pgtable.pgdAlloc();
    long far = b.memmap(0) + slot;
    assertEquals(0, b.populate(far, far + 2 * MIB));

    b.machine.cpu().loadRoot(b.mm.model().pa(first));
    b.machine.cpu().writeLong(far, 5);
    b.machine.cpu().loadRoot(b.mm.model().pa(second));
    b.machine.flushAll();
    assertEquals(5, b.machine.cpu().readLong(far));
  }

  /** A populate that fails leaves its top-level table: it was synced when it was entered. */
  @Test
  void pgdPopulateKernel_failedPopulate_hasSyncedItsTable() {
    long root = m.pgtable.pgdAlloc();
    long far = m.memmap(0) + (1L << 39);
    m.failNth(2, BLOCK);

    assertEquals(-Errno.ENOMEM, m.populate(far, far + 2 * MIB));

    long slot = 8L * m.format.index(far, 3);
    long initMm = m.mm.model().pa(m.mm.pgtable().initMmPgd());
    long entry = m.machine.memory().getLong(initMm + slot);
    assertEquals(0x67, m.format.flags(entry, 3));
    assertEquals(entry, m.machine.memory().getLong(m.mm.model().pa(root) + slot));
  }

  /** A range over two top-level slots. Expect both to be copied by the arch hook. */
  @Test
  void archSyncKernelMappings_twoSlots_copiesBoth() {
    checkTwoSlots(m, 39);
    checkTwoSlots(X86Bench.fiveLevel(), 48);
  }

  private static void checkTwoSlots(X86Bench b, int shift) {
    long far = b.memmap(0) + (1L << shift);
    b.populate(far, far + 8 * PAGE);
    long root = b.pgtable.pgdAlloc();
    long paddr = b.mm.model().pa(root) + 8L * b.format.index(far, b.format.levels() - 1);
    long entry = b.machine.memory().getLong(paddr);
    b.machine.memory().setLong(paddr, 0);

    b.init.archSyncKernelMappings(b.memmap(0), far);

    assertEquals(entry, b.machine.memory().getLong(paddr));
  }

  /**
   * Memmap up to the end of a slot, in tables that are there, while a process lacks two entries.
   *
   * <pre>
   *   init_mm  [..|A|B]      process  [..| | ]  -> [..|A| ]
   * </pre>
   *
   * Expect a populate to end with a sync of its own slot, and of no other.
   */
  @Test
  void vmemmapPopulate_tablesThatAreThere_syncsItsRange() {
    checkOwnSlot(m, 39);
    checkOwnSlot(X86Bench.fiveLevel(), 48);
  }

  private static void checkOwnSlot(X86Bench b, int shift) {
    long far = b.memmap(0) + (1L << shift);
    b.populate(far - 2 * MIB, far);
    b.free(far - 2 * MIB, far);
    b.populate(far, far + 2 * MIB);
    long root = b.pgtable.pgdAlloc();
    long paddr = b.mm.model().pa(root) + 8L * b.format.index(far, b.format.levels() - 1);
    long entry = b.machine.memory().getLong(paddr - 8);
    assertNotEquals(0, b.machine.memory().getLong(paddr));
    b.machine.memory().setLong(paddr - 8, 0);
    b.machine.memory().setLong(paddr, 0);

    assertEquals(0, b.populate(far - 2 * MIB, far));

    assertNotEquals(0, entry);
    assertEquals(entry, b.machine.memory().getLong(paddr - 8));
    assertEquals(0, b.machine.memory().getLong(paddr));
  }

  /** A process with another table in the slot. Expect the BUG, in both modes. */
  @Test
  void syncGlobalPgds_conflict_isABug() {
    checkConflict(m, "sync_global_pgds_l4: p4d_pgtable(*p4d) != p4d_pgtable(*p4d_ref)");
    checkConflict(
        X86Bench.fiveLevel(),
        "sync_global_pgds_l5: pgd_page_vaddr(*pgd) != pgd_page_vaddr(*pgd_ref)");
  }

  private static void checkConflict(X86Bench b, String where) {
    long root = b.pgtable.pgdAlloc();
    long va = b.memmap(0);
    long paddr = b.mm.model().pa(root) + 8L * b.format.index(va, b.format.levels() - 1);
    b.machine.memory().setLong(paddr, 0x7000 | 0x67);

    assertBug(where, () -> b.init.archSyncKernelMappings(va, va + PAGE));
  }

  /**
   * A process is made, an entry synced to it, and it ends, in both modes. Expect the list to be used
   * under pgd_lock each time: a table that is copied but not listed yet would miss a sync.
   */
  @Test
  void pgdLock_guardsTheList() {
    checkPgdLock(m);
    checkPgdLock(X86Bench.fiveLevel());
  }

  private static void checkPgdLock(X86Bench b) {
    List<String> guarded = List.of("lock pgd_lock", "pgd_list", "unlock pgd_lock");
    List<String> steps = listen(b);

    long root = b.pgtable.pgdAlloc();
    assertEquals(guarded, pgdListSteps(steps));
    b.init.archSyncKernelMappings(b.memmap(0), b.memmap(0));
    assertEquals(guarded, pgdListSteps(steps));
    b.pgtable.pgdFree(root);
    assertEquals(guarded, pgdListSteps(steps));
  }

  private static List<String> pgdListSteps(List<String> steps) {
    List<String> seen = steps.stream().filter(step -> step.contains("pgd_l")).toList();
    steps.clear();
    return seen;
  }

  // ---- hotplug ----

  /** Memory is added and removed. Expect max_pfn to follow upwards, and the books as before. */
  @Test
  void archAddMemory_andRemove_balance() {
    X86Bench five = X86Bench.fiveLevel();
    checkHotplug(m);
    checkHotplug(five);
  }

  private static void checkHotplug(X86Bench b) {
    List<Long> before = b.books();
    assertEquals(0x10000, b.init.maxPfn());

    assertEquals(0, b.hotplug.archAddMemory(0, DEVICE_PFN << 12, 256 * MIB, PLAIN));
    assertEquals(1024, b.mm.vmstat().nrMemmapPages());
    assertEquals(DEVICE_PFN + 2 * SECTION, b.init.maxPfn());

    b.hotplug.archRemoveMemory(DEVICE_PFN << 12, 256 * MIB, null, null);
    assertEquals(before, b.books());
  }

  /** A device must not move max_pfn. Expect it where it was. */
  @Test
  void addPages_device_leavesMaxPfn() {
    DevPagemap pgmap = device(SECTION, 9);

    assertEquals(0, m.init.addPages(0, DEVICE_PFN, SECTION, new MhpParams(null, pgmap)));
    assertEquals(0x10000, m.init.maxPfn());
    assertEquals(128, m.mm.vmstat().nrMemmapPages());
  }

  private static DevPagemap device(long nrPages, int shift) {
    DevPagemap pgmap = new DevPagemap(0);
    pgmap.vmemmapShift = shift;
    pgmap.ranges =
        new DevPagemap.Range[] {
          new DevPagemap.Range(DEVICE_PFN << 12, ((DEVICE_PFN + nrPages) << 12) - 1)
        };
    return pgmap;
  }

  /**
   * A device of 1 GiB pages, all of it.
   *
   * <p>Expect two frames behind 4096 entries, and all tables and frames back after removal.
   */
  @Test
  void addPages_gigantic_takesTwoFrames() {
    List<Long> before = m.books();
    long frames = m.owned(Owner.VMEMMAP);
    DevPagemap pgmap = device(8 * SECTION, 18);

    assertEquals(0, m.init.addPages(0, DEVICE_PFN, 8 * SECTION, new MhpParams(null, pgmap)));
    assertEquals(frames + 2, m.owned(Owner.VMEMMAP));
    assertEquals(m.frame(m.dev(PAGE)), m.frame(m.dev(16 * MIB - PAGE)));
    assertEquals(2, m.mm.vmstat().nrMemmapPages());

    m.init.archRemoveMemory(DEVICE_PFN << 12, (8 * SECTION) << 12, null, pgmap);
    assertEquals(before, m.books());
  }

  /** Behind the direct map. Expect the warning and -ERANGE, and no word about the last section before. */
  @Test
  void addPages_beyondTheDirectMap_isRefused() {
    long limit = 1L << (46 - 12);

    assertEquals(0, m.init.addPages(0, limit - SECTION, SECTION, PLAIN));
    assertEquals(List.of(), m.warnings());
    assertEquals(-Errno.ERANGE, m.init.addPages(0, limit, SECTION, PLAIN));
    assertEquals(List.of("add_pages: end > DIRECT_MAP_PHYSMEM_END"), m.warnings());
  }

  /** An error of __add_pages(). Expect a warning of add_pages() too, and the error handed on. */
  @Test
  void addPages_error_warns() {
    assertEquals(0, m.init.addPages(0, DEVICE_PFN, SUBSECTION, PLAIN));

    assertEquals(-Errno.EEXIST, m.init.addPages(0, DEVICE_PFN, SUBSECTION, PLAIN));
    assertEquals(List.of("add_pages: ret"), m.warnings());
    assertEquals(
        -Errno.EEXIST, m.hotplug.archAddMemory(0, DEVICE_PFN << 12, SUBSECTION << 12, PLAIN));
  }

  /**
   * Every allocation of an addition fails, in both modes: only the n-th, then all from the n-th.
   *
   * <p>Expect success, or an error and no section, no counter, no frame and no table left behind.
   */
  @Test
  void archAddMemory_everyAllocationFails_rollsBack() {
    checkEveryFailure(X86Bench.fourLevel(), 2 * SUBSECTION, PLAIN);
    checkEveryFailure(X86Bench.fiveLevel(), SECTION, PLAIN);
    checkEveryFailure(X86Bench.fourLevel(), SECTION, PLAIN);
  }

  /** The same for devices: compound pages of 2 MiB and of 1 GiB, and an altmap. */
  @Test
  void archAddMemory_deviceEveryAllocationFails_rollsBack() {
    X86Bench four = X86Bench.fourLevel();
    X86Bench five = X86Bench.fiveLevel();
    VmemAltmap altmap = four.altmap(DEVICE_PFN, SECTION, 512);

    checkEveryFailure(four, 16 * SUBSECTION, compound(four, 9));
    checkEveryFailure(five, 2 * SECTION, compound(five, 18));
    checkEveryFailure(four, SECTION, new MhpParams(altmap, null));
    assertEquals(0, altmap.alloc);
  }

  private static MhpParams compound(X86Bench b, int shift) {
    DevPagemap pgmap = new DevPagemap(b.mm.model().va(0x10000));
    pgmap.vmemmapShift = shift;
    pgmap.ranges =
        new DevPagemap.Range[] {
          new DevPagemap.Range(DEVICE_PFN << 12, ((DEVICE_PFN + 8 * SECTION) << 12) - 1)
        };
    return new MhpParams(null, pgmap);
  }

  private static void checkEveryFailure(X86Bench b, long nrPages, MhpParams params) {
    List<Long> before = b.books();
    boolean failed = true;
    for (int n = 1; failed; n++) {
      b.machine.faults().failNth(n, site -> true);
      int once = b.hotplug.archAddMemory(0, DEVICE_PFN << 12, nrPages << 12, params);
      failed = b.machine.faults().failed() > 0;
      checkAfter(b, once, nrPages, params, before);
      b.machine.faults().failFrom(n, site -> true);
      int all = b.hotplug.archAddMemory(0, DEVICE_PFN << 12, nrPages << 12, params);
      checkAfter(b, all, nrPages, params, before);
    }
  }

  /** A failure keeps the sections before the one that failed; the caller removes those. */
  private static void checkAfter(
      X86Bench b, int rc, long nrPages, MhpParams params, List<Long> before) {
    b.machine.faults().disarm();
    long added = nrPages;
    if (rc != 0) {
      assertEquals(-Errno.ENOMEM, rc);
      assertFalse(b.mm.mmzone().pfnValid(DEVICE_PFN + nrPages - 1));
      added = b.mm.mmzone().pfnValid(DEVICE_PFN) ? SECTION : 0;
    }
    b.hotplug.archRemoveMemory(
        DEVICE_PFN << 12, added << 12, params.altmap(), params.pgmap());
    assertEquals(0, b.mm.mmzone().section(DEVICE_PFN / SECTION).sectionMemMap);
    assertEquals(before, b.books());
  }

  // ---- pmd_set_huge ----

  /** A leaf where nothing or a leaf is, and a refusal where a table is. */
  @Test
  void pmdSetHuge_table_isInTheWay() {
    m.populate(m.dev(0), m.dev(8 * PAGE));
    Ptr<Pmd> table = m.mm.pgtable().pmdOffK(m.dev(0));
    Ptr<Pmd> empty = m.mm.pgtable().pmdOffK(m.dev(2 * MIB));

    assertFalse(m.init.pmdSetHuge(table, 0x20_0000, m.mm.pgtable().pageKernel()));
    assertTrue(m.init.pmdSetHuge(empty, 0x20_0000, m.mm.pgtable().pageKernel()));
    assertTrue(m.init.pmdSetHuge(empty, 0x40_0000, m.mm.pgtable().pageKernel()));
    assertEquals(0x40_0000 | LEAF, m.mm.pgtable().pmdpGet(empty).val());
  }

  /** A protection that means shadow stack. Expect the warning of pfn_pte(), and the leaf made. */
  @Test
  void pmdSetHuge_shadowStackProt_warns() {
    Ptr<Pmd> empty = m.mm.pgtable().pmdOffK(m.dev(2 * MIB));
    long shadowStack = m.mm.pgtable().pageKernel().val() & ~2L;

    assertTrue(m.init.pmdSetHuge(empty, 0x20_0000, new Prot(shadowStack)));

    assertEquals(List.of("pfn_pte: _PAGE_DIRTY without _PAGE_RW"), m.warnings());
    assertEquals(0x20_0000 | (LEAF & ~2L), m.mm.pgtable().pmdpGet(empty).val());
  }

  /**
   * What HVO does: another frame behind an entry in use, and a table in place of a leaf, without an
   * invalid entry between. Expect the CPU to have nothing against it, unlike one that asks for
   * break-before-make.
   */
  @Test
  void remap_entryInUse_isAllowed() {
    Pgtable pgtable = m.mm.pgtable();
    m.machine.check(Checks.translations());
    m.populate(m.dev(0), m.dev(8 * PAGE));
    Ptr<Pte> pte = pgtable.virtToKpte(m.dev(PAGE));
    long head = m.frame(m.dev(0));
    Ptr<Pmd> leaf = pgtable.pmdOffK(m.memmap(0));
    long table = pgtable.tableVa(pgtable.pmdpGet(pgtable.pmdOffK(m.dev(0))).val(), Pgtable.PMD);

    pgtable.setPteAt(m.dev(PAGE), pte, pgtable.pfnPte(head, pgtable.pageKernelRo()));
    pgtable.pmdPopulateKernel(leaf, table);

    assertEquals(head, m.frame(m.dev(PAGE)));
    assertEquals(0, m.level(m.memmap(0)));
  }
}
