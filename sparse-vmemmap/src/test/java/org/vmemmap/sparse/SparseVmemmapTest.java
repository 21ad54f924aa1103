// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.SmallMachine.DEVICE_PFN;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.PAGE;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.SECTION_VPAGES;
import static org.vmemmap.sparse.SmallMachine.SUBSECTION;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.List;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.pagealloc.Memblock;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** The populate functions of mm/sparse-vmemmap.c on the odd architecture. */
class SparseVmemmapTest {
  private static final String BLOCK = "vmemmap_alloc_block";
  private static final int ORDER_2M = 9;
  private static final int ORDER_1G = 18;

  private final SmallMachine m = SmallMachine.small().boot();
  private final long dev = m.memmap(DEVICE_PFN);

  private long distinctFrames(long start, long vpages) {
    return LongStream.range(0, vpages).map(i -> m.frame(start + i * PAGE)).distinct().count();
  }

  // ---- allocation ----

  /**
   * Before the page allocator, blocks come from memblock. Expect them on the node and above 16M.
   */
  @Test
  void vmemmapAllocBlock_early_takesBootMemory() {
    SmallMachine early = SmallMachine.twoNodes();

    long p = early.vmemmap.vmemmapAllocBlock(MIB, 1);

    long pfn = (p - SmallMachine.LINEAR_BASE) >>> 12;
    assertEquals(0, pfn % 256);
    assertTrue(pfn >= SECTION);
    assertEquals(256, early.owned(Owner.VMEMMAP));
    assertTrue(early.memblock.memblockIsReserved(pfn << 12));
  }

  /** The same when it fails. Expect 0 and nothing taken. */
  @Test
  void vmemmapAllocBlock_earlyFailure_returnsNull() {
    SmallMachine early = SmallMachine.small();
    early.failAll(BLOCK);

    assertEquals(0, early.vmemmap.vmemmapAllocBlock(PAGE, 0));
    assertEquals(0, early.owned(Owner.VMEMMAP));
  }

  /**
   * With the page allocator up, blocks come from it. Expect one reference on the first page only.
   */
  @Test
  void vmemmapAllocBlock_late_takesABuddyBlock() {
    long vmemmap = m.owned(Owner.VMEMMAP);

    long p = m.vmemmap.vmemmapAllocBlock(MIB, 0);

    long pfn = (p - SmallMachine.LINEAR_BASE) >>> 12;
    assertEquals(vmemmap + 256, m.owned(Owner.VMEMMAP));
    assertEquals(1, m.refcount(pfn));
    assertEquals(0, m.refcount(pfn + 1));
  }

  /** Failures of the page allocator. Expect 0 each time, and one line in the log. */
  @Test
  void vmemmapAllocBlock_lateFailure_warnsOnce() {
    m.failAll(BLOCK);

    assertEquals(0, m.vmemmap.vmemmapAllocBlock(MIB, 0));
    assertEquals(0, m.vmemmap.vmemmapAllocBlock(PAGE, 0));

    List<String> lines = m.log().stream().filter(line -> line.startsWith("vmemmap")).toList();
    assertEquals(List.of("vmemmap alloc failure: order:8"), lines);
  }

  /** Without its parts the class says which one is missing. */
  @Test
  void setters_notCalled_areNamed() {
    Memblock memblock = new Memblock(m.mm, Placement.NONE);
    PageAlloc pageAlloc = new PageAlloc(m.mm, Placement.NONE);
    Slab slab = new Slab(m.mm, pageAlloc);
    SparseVmemmap bare = new SparseVmemmap(m.mm, memblock, pageAlloc, slab);

    IllegalStateException e =
        assertThrows(IllegalStateException.class, () -> bare.vmemmapAllocBlock(PAGE, 0));
    assertEquals("SparseVmemmap.setArch() was not called", e.getMessage());
  }

  // ---- altmap ----

  /**
   * An altmap with two reserved pages, asked for 256 pages and then for one.
   *
   * <pre>
   *   0     2            256                  512 513
   *  |resv |   padding   |  first block       |x|
   * </pre>
   *
   * Expect 254 pages of padding for the block of 256, none for the single page.
   */
  @Test
  void altmapAllocBlockBuf_reserve_padsToTheSizeOfTheBlock() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, 1024, 2, 1000);

    long block = m.vmemmap.vmemmapAllocBlockBuf(MIB, 0, altmap);
    assertEquals(DEVICE_PFN + 256, (block - SmallMachine.LINEAR_BASE) >>> 12);
    assertEquals(254, altmap.align);
    assertEquals(256, altmap.alloc);

    long page = m.vmemmap.vmemmapAllocBlockBuf(PAGE, 0, altmap);
    assertEquals(DEVICE_PFN + 512, (page - SmallMachine.LINEAR_BASE) >>> 12);
    assertEquals(254, altmap.align);
    assertEquals(257, altmap.alloc);
    assertEquals(257, m.owned(Owner.ALTMAP));
  }

  /**
   * Padding counts against what is free. Expect NULL, nothing changed, when one page is missing.
   */
  @Test
  void altmapAllocBlockBuf_onePageShort_returnsNull() {
    VmemAltmap exact = m.altmap(DEVICE_PFN, 1024, 2, 254 + 256);
    assertNotEquals(0, m.vmemmap.vmemmapAllocBlockBuf(MIB, 0, exact));
    VmemAltmap one = m.altmap(DEVICE_PFN + 1024, 1024, 2, 254 + 255);

    assertEquals(0, m.vmemmap.vmemmapAllocBlockBuf(MIB, 0, one));
    assertEquals(0, one.alloc);
    assertEquals(0, one.align);
    assertEquals(0, m.vmemmap.vmemmapAllocBlockBuf(PAGE, 0, exact));
  }

  /** Half a page. Expect NULL and one line in the log. */
  @Test
  void altmapAllocBlockBuf_partOfAPage_isRefused() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, 1024, 0, 1024);

    assertEquals(0, m.vmemmap.vmemmapAllocBlockBuf(PAGE / 2, 0, altmap));
    assertEquals(0, m.vmemmap.vmemmapAllocBlockBuf(PAGE / 2, 0, altmap));

    String line = "altmap_alloc_block_buf: allocations must be multiple of PAGE_SIZE (2048)";
    assertEquals(1, m.log().stream().filter(line::equals).count());
  }

  /** An injected failure. Expect NULL and the altmap as it was. */
  @Test
  void altmapAllocBlockBuf_injectedFailure_returnsNull() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, 1024, 0, 1024);
    m.failNth(1, "altmap_alloc_block_buf");

    assertEquals(0, m.vmemmap.vmemmapAllocBlockBuf(PAGE, 0, altmap));
    assertEquals(0, altmap.alloc);
  }

  // ---- base pages ----

  /** Four pages of memmap. Expect a frame for each, present and writable, and none behind them. */
  @Test
  void vmemmapPopulateBasepages_fresh_mapsAFrameForEachPage() {
    assertEquals(0, m.vmemmap.vmemmapPopulateBasepages(dev, dev + 4 * PAGE, 0, null));

    assertEquals(4, distinctFrames(dev, 4));
    assertEquals(OddPageTable.PRESENT, flags(dev));
    assertEquals(-1, m.level(dev + 4 * PAGE));
    m.machine.cpu().writeLong(dev + 3 * PAGE, 7);
    assertEquals(7, m.machine.cpu().readLong(dev + 3 * PAGE));
  }

  private long flags(long va) {
    return m.machine.format().flags(m.walk(va).entry(), m.walk(va).level());
  }

  /** What is mapped stays. Expect no allocation at all the second time. */
  @Test
  void vmemmapPopulateBasepages_again_changesNothing() {
    m.vmemmap.vmemmapPopulateBasepages(dev, dev + 4 * PAGE, 0, null);
    long first = m.frame(dev);
    m.failAll(BLOCK);

    assertEquals(0, m.vmemmap.vmemmapPopulateBasepages(dev, dev + 4 * PAGE, 0, null));
    assertEquals(first, m.frame(dev));
    assertEquals(0, m.machine.faults().asked());
  }

  /**
   * Each step of a populate fails in turn: pmd table, pte table, first frame, second frame.
   *
   * <p>Expect -ENOMEM each time, what was made before to stay, and the retry to need only the rest.
   */
  @Test
  void vmemmapPopulateBasepages_eachAllocationFails_returnsEnomem() {
    long far = m.memmap(DEVICE_PFN) + (1L << 29);
    long end = far + 2 * PAGE;

    checkFails(far, end, 1);
    assertEquals(2, m.walk(far).level());
    checkFails(far, end, 2);
    assertEquals(1, m.walk(far).level());
    checkFails(far, end, 2);
    assertEquals(-1, m.level(far));
    checkFails(far, end, 2);
    assertEquals(0, m.level(far));
    assertEquals(-1, m.level(far + PAGE));

    m.machine.faults().disarm();
    assertEquals(0, m.vmemmap.vmemmapPopulateBasepages(far, end, 0, null));
    assertEquals(0, m.level(far + PAGE));
  }

  private void checkFails(long start, long end, int nth) {
    m.failNth(nth, BLOCK);
    assertEquals(-Errno.ENOMEM, m.vmemmap.vmemmapPopulateBasepages(start, end, 0, null));
  }

  /** Struct pages of node 1 on node 0. Expect the kernel's line, once. */
  @Test
  void vmemmapVerify_otherNode_saysSoOnce() {
    SmallMachine two = SmallMachine.twoNodes();

    two.vmemmap.vmemmapVerify(0, 1, 0x1000, 0x2000);
    two.vmemmap.vmemmapVerify(0, 1, 0x2000, 0x3000);
    two.vmemmap.vmemmapVerify(0, 0, 0x3000, 0x4000);

    assertEquals(List.of("[1000-1fff] potential offnode page_structs"), two.log());
  }

  /**
   * Memmap that was mapped for node 0 is wanted for node 1: what is there stays.
   *
   * <pre>
   *   base pages   |p0|          one page
   *   leaf         |   l0    |   1 MiB
   * </pre>
   *
   * Expect the line, with all that the entry maps.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void vmemmapPopulate_entryOfAnotherNode_saysSo(boolean basePages) {
    SmallMachine two = SmallMachine.twoNodes().boot();
    two.arch.basepagesOnly = basePages;
    long start = two.memmap(DEVICE_PFN);
    long end = start + (basePages ? PAGE : MIB);
    two.vmemmap.vmemmapPopulate(start, end, 0, null);
    assertEquals(List.of(), offnode(two));

    two.vmemmap.vmemmapPopulate(start, end, 1, null);

    String line = "[%x-%x] potential offnode page_structs".formatted(start, end - 1);
    assertEquals(List.of(line), offnode(two));
  }

  private static List<String> offnode(SmallMachine m) {
    return m.log().stream().filter(line -> line.endsWith("offnode page_structs")).toList();
  }

  /** The architecture's vmemmap_populate(), for others. Expect its error to be passed on. */
  @Test
  void vmemmapPopulate_failure_isPassedOn() {
    m.failAll(BLOCK);

    assertEquals(-Errno.ENOMEM, m.vmemmap.vmemmapPopulate(dev, dev + PAGE, 0, null));
  }

  // ---- boot HVO ----

  private Zone normal() {
    return m.zone(0, ZoneType.ZONE_DMA32);
  }

  private int hvo(long addr, int order) {
    return m.vmemmap.vmemmapPopulateHvo(addr, addr + (PAGE << (order - 6)), order, normal(), PAGE);
  }

  /**
   * A folio of 2 MiB.
   *
   * <pre>
   *   vpage  0    1    2    3    4    5    6    7
   *         [f0] [T ] [T ] [T ] [T ] [T ] [T ] [T ]
   * </pre>
   *
   * Expect one frame of its own, seven entries for the zone's shared tail, which takes no
   * reference.
   */
  @Test
  void vmemmapPopulateHvo_twoMib_sharesSevenOfEight() {
    assertEquals(0, hvo(dev, ORDER_2M));

    Page tail = normal().vmemmapTails[ORDER_2M - 7];
    assertNotNull(tail);
    long tailPfn = m.mm.model().pageToPfn(tail);
    assertEquals(2, distinctFrames(dev, 8));
    assertNotEquals(tailPfn, m.frame(dev));
    assertEquals(tailPfn, m.frame(dev + PAGE));
    assertEquals(tailPfn, m.frame(dev + 7 * PAGE));
    assertEquals(1, m.owned(Owner.SHARED_TAIL));
    assertEquals(1, m.refcount(tailPfn));
  }

  /** A second folio of the order, and one of another. Expect one tail for each order. */
  @Test
  void vmemmapPopulateHvo_moreFolios_shareTheTailOfTheirOrder() {
    hvo(dev, ORDER_2M);
    hvo(dev + 8 * PAGE, ORDER_2M);
    hvo(dev + 16 * PAGE, ORDER_2M + 1);

    assertEquals(m.frame(dev + PAGE), m.frame(dev + 9 * PAGE));
    assertNotEquals(m.frame(dev + PAGE), m.frame(dev + 17 * PAGE));
    assertEquals(2, m.owned(Owner.SHARED_TAIL));
  }

  /** No memory for the shared tail. Expect -ENOMEM and neither tail nor entry. */
  @Test
  void vmemmapPopulateHvo_noTail_returnsEnomem() {
    m.failNth(1, "vmemmap_get_tail");

    assertEquals(-Errno.ENOMEM, hvo(dev, ORDER_2M));
    assertNull(normal().vmemmapTails[ORDER_2M - 7]);
    assertEquals(-1, m.level(dev));
  }

  /** No memory for the head's frame. Expect -ENOMEM; the tail stays for the next folio. */
  @Test
  void vmemmapPopulateHvo_noHead_returnsEnomem() {
    hvo(dev + 8 * PAGE, ORDER_2M);
    m.failNth(1, BLOCK);

    assertEquals(-Errno.ENOMEM, hvo(dev, ORDER_2M));
    assertEquals(-1, m.level(dev));
    assertEquals(1, m.owned(Owner.SHARED_TAIL));
  }

  /**
   * No memory for a table in the middle of the tails of 1 GiB. Expect -ENOMEM, the front mapped.
   */
  @Test
  void vmemmapPopulateHvo_noTableForTails_returnsEnomem() {
    hvo(dev + 32 * MIB, ORDER_1G);
    m.failNth(3, BLOCK);

    assertEquals(-Errno.ENOMEM, hvo(dev, ORDER_1G));
    assertEquals(0, m.level(dev + MIB - PAGE));
    assertEquals(-1, m.level(dev + MIB));
  }

  /** A folio whose memmap is one page. Expect the warning and -ENOMEM. */
  @Test
  void vmemmapGetTail_orderTooSmall_warns() {
    assertEquals(-Errno.ENOMEM, hvo(dev, 6));
    assertEquals(List.of("vmemmap_get_tail: order < VMEMMAP_TAIL_MIN_ORDER"), m.warnings());
  }

  /** A folio larger than any. Expect the warning and -ENOMEM. */
  @Test
  void vmemmapGetTail_orderTooLarge_warns() {
    assertEquals(-Errno.ENOMEM, hvo(dev, 23));
    assertEquals(List.of("vmemmap_get_tail: order > MAX_FOLIO_ORDER"), m.warnings());
  }

  /**
   * Shared tails become read-only. Expect a fault for a write there, none at the head's frame, nor
   * at that of the next folio.
   */
  @Test
  void vmemmapWrprotectHvo_protectsOnlyTails() {
    hvo(dev, ORDER_2M);
    hvo(dev + 8 * PAGE, ORDER_2M);
    m.machine.cpu().writeLong(dev + PAGE, 1);

    m.vmemmap.vmemmapWrprotectHvo(dev, dev + 8 * PAGE, 0, PAGE);
    m.mm.pgtable().flushTlbAll();

    m.machine.cpu().writeLong(dev, 1);
    m.machine.cpu().writeLong(dev + 8 * PAGE, 1);
    assertFault("write-to-read-only", dev + PAGE);
    assertFault("write-to-read-only", dev + 7 * PAGE);
    assertEquals(1, m.machine.cpu().readLong(dev + 7 * PAGE));
  }

  /** The flush is the caller's. Expect a write through the stale entry to succeed without one. */
  @Test
  void vmemmapWrprotectHvo_withoutFlush_leavesTheCachedEntry() {
    hvo(dev, ORDER_2M);
    m.machine.cpu().writeLong(dev + PAGE, 1);

    m.vmemmap.vmemmapWrprotectHvo(dev, dev + 8 * PAGE, 0, PAGE);

    m.machine.cpu().writeLong(dev + PAGE, 2);
    assertEquals(2, m.machine.cpu().readLong(dev + 2 * PAGE));
  }

  private void assertFault(String rule, long va) {
    MachineFault fault =
        assertThrows(MachineFault.class, () -> m.machine.cpu().writeLong(va, 1));
    assertEquals(rule, fault.rule());
  }

  // ---- leaves ----

  private int hugepages(long start, long end, @Nullable VmemAltmap altmap) {
    return m.vmemmap.vmemmapPopulateHugepages(start, end, 0, altmap);
  }

  /** Two MiB of memmap. Expect two leaves, made by the generic vmemmap_set_pmd(). */
  @Test
  void vmemmapPopulateHugepages_fresh_mapsLeaves() {
    assertEquals(0, hugepages(dev, dev + 2 * MIB, null));

    assertEquals(1, m.level(dev));
    assertEquals(1, m.level(dev + MIB));
    assertEquals(OddPageTable.PRESENT | OddPageTable.LEAF, flags(dev));
    assertEquals(512, distinctFrames(dev, 512));
  }

  /** Leaves that are there. Expect the generic vmemmap_check_pmd() to accept them. */
  @Test
  void vmemmapPopulateHugepages_existingLeaf_isKept() {
    hugepages(dev, dev + MIB, null);
    long frame = m.frame(dev);
    m.failAll(BLOCK);

    assertEquals(0, hugepages(dev, dev + MIB, null));
    assertEquals(frame, m.frame(dev));
  }

  /** A pmd that points to a table. Expect base pages beside those that are there. */
  @Test
  void vmemmapPopulateHugepages_existingTable_getsBasepages() {
    m.vmemmap.vmemmapPopulateBasepages(dev, dev + PAGE, 0, null);
    long frame = m.frame(dev);

    assertEquals(0, hugepages(dev, dev + MIB, null));
    assertEquals(0, m.level(dev + MIB - PAGE));
    assertEquals(frame, m.frame(dev));
  }

  /** No block of 1 MiB to be had. Expect base pages for it, and a leaf for the next. */
  @Test
  void vmemmapPopulateHugepages_noBlock_fallsBackToBasepages() {
    m.vmemmap.vmemmapPopulateBasepages(dev + 4 * MIB, dev + 4 * MIB + PAGE, 0, null);
    m.failNth(1, BLOCK);

    assertEquals(0, hugepages(dev, dev + 2 * MIB, null));
    assertEquals(0, m.level(dev));
    assertEquals(256, distinctFrames(dev, 256));
    assertEquals(1, m.level(dev + MIB));
  }

  /** No memory at all in the fallback. Expect -ENOMEM. */
  @Test
  void vmemmapPopulateHugepages_nothingLeft_returnsEnomem() {
    m.vmemmap.vmemmapPopulateBasepages(dev + 4 * MIB, dev + 4 * MIB + PAGE, 0, null);
    m.failAll(BLOCK);

    assertEquals(-Errno.ENOMEM, hugepages(dev, dev + 2 * MIB, null));
    assertEquals(-1, m.level(dev));
  }

  /** No memory for the pmd table above the leaf. Expect -ENOMEM. */
  @Test
  void vmemmapPopulateHugepages_noTable_returnsEnomem() {
    long far = dev + (1L << 29);
    m.failNth(1, BLOCK);

    assertEquals(-Errno.ENOMEM, hugepages(far, far + MIB, null));
    assertEquals(2, m.walk(far).level());
  }

  /** A leaf out of an altmap. Expect the device's own frames behind it. */
  @Test
  void vmemmapPopulateHugepages_altmap_mapsTheDevice() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, SECTION, 0, 512);

    assertEquals(0, hugepages(dev, dev + 2 * MIB, altmap));
    assertEquals(DEVICE_PFN, m.frame(dev));
    assertEquals(DEVICE_PFN + 511, m.frame(dev + 2 * MIB - PAGE));
    assertEquals(512, altmap.alloc);
    assertEquals(512, m.owned(Owner.ALTMAP));
  }

  /** An altmap that runs out. Expect -ENOMEM, no fallback, the first leaf there. */
  @Test
  void vmemmapPopulateHugepages_altmapTooSmall_returnsEnomem() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, SECTION, 0, 256);

    assertEquals(-Errno.ENOMEM, hugepages(dev, dev + 2 * MIB, altmap));
    assertEquals(1, m.level(dev));
    assertEquals(-1, m.level(dev + MIB));
  }

  /** pmd_set_huge() refuses. Expect the warning of the generic vmemmap_set_pmd(), no mapping. */
  @Test
  void vmemmapSetPmd_refused_warns() {
    m.arch.refuseHuge = true;

    assertEquals(0, hugepages(dev, dev + MIB, null));
    assertEquals(List.of("vmemmap_set_pmd: !pmd_set_huge()"), m.warnings());
    assertEquals(-1, m.level(dev));
  }

  // ---- compound pages of devices ----

  private @Nullable Page populate(long pfn, long nrPages, @Nullable DevPagemap pgmap) {
    return m.vmemmap.populateSectionMemmap0(pfn, nrPages, 0, null, pgmap);
  }

  /**
   * Two compound pages of 2 MiB.
   *
   * <pre>
   *   vpage  0    1    2    ...  7  | 8    9    10   ... 15
   *         [h0] [t0] [t0]      [t0]|[h1] [t1] [t1]     [t1]
   * </pre>
   *
   * Expect two frames for each, the second with a reference for each of its seven entries.
   */
  @Test
  void populateCompound_twoMib_takesTwoFramesEach() {
    DevPagemap pgmap = m.device(DEVICE_PFN, 1024, ORDER_2M);

    assertEquals(m.mm.model().pfnToPage(DEVICE_PFN), populate(DEVICE_PFN, 1024, pgmap));

    assertEquals(4, distinctFrames(dev, 16));
    assertEquals(m.frame(dev + PAGE), m.frame(dev + 7 * PAGE));
    assertNotEquals(m.frame(dev + PAGE), m.frame(dev + 9 * PAGE));
    assertEquals(1, m.refcount(m.frame(dev)));
    assertEquals(7, m.refcount(m.frame(dev + PAGE)));
    assertEquals(7, m.refcount(m.frame(dev + 9 * PAGE)));
  }

  /**
   * A compound page of 1 GiB, section by section.
   *
   * <p>Expect the second section to reuse the tail frame below it for all of its 512 entries.
   */
  @Test
  void populateCompound_largerThanASection_reusesTheTailBelow() {
    DevPagemap pgmap = m.device(DEVICE_PFN, 8 * SECTION, ORDER_1G);

    populate(DEVICE_PFN, SECTION, pgmap);
    long tail = m.frame(dev + PAGE);
    assertEquals(511, m.refcount(tail));
    populate(DEVICE_PFN + SECTION, SECTION, pgmap);

    assertEquals(2, distinctFrames(dev, 1024));
    assertEquals(tail, m.frame(dev + 4 * MIB - PAGE));
    assertEquals(511 + 512, m.refcount(tail));
  }

  /** The second range of a device. Expect offsets to count from that range. */
  @Test
  void populateCompound_secondRange_countsFromIt() {
    long second = DEVICE_PFN + 5 * SECTION;
    DevPagemap pgmap = m.device(DEVICE_PFN, SECTION, ORDER_1G);
    pgmap.ranges =
        new DevPagemap.Range[] {
          pgmap.ranges[0], new DevPagemap.Range(second << 12, ((second + SECTION) << 12) - 1)
        };
    pgmap.nrRange = 1;

    assertNotNull(populate(second, SECTION, pgmap));
    assertEquals(2, distinctFrames(m.memmap(second), 512));
  }

  /** Head frame, second frame, and a table among the tails fail. Expect null each time. */
  @Test
  void populateCompound_eachStepFails_returnsNull() {
    DevPagemap pgmap = m.device(DEVICE_PFN, 8 * SECTION, ORDER_1G);
    m.vmemmap.vmemmapPopulateBasepages(dev + 8 * MIB, dev + 8 * MIB + PAGE, 0, null);

    m.failNth(2, BLOCK);
    assertNull(populate(DEVICE_PFN, SECTION, pgmap));
    assertEquals(-1, m.level(dev));
    m.failNth(2, BLOCK);
    assertNull(populate(DEVICE_PFN, SECTION, pgmap));
    assertEquals(-1, m.level(dev + PAGE));
    m.failNth(2, BLOCK);
    assertNull(populate(DEVICE_PFN, SECTION, pgmap));
    assertEquals(0, m.level(dev + MIB - PAGE));
    assertEquals(-1, m.level(dev + MIB));
  }

  /** A table fails while a later section reuses the tail. Expect null. */
  @Test
  void populateCompound_reuseFails_returnsNull() {
    DevPagemap pgmap = m.device(DEVICE_PFN, 8 * SECTION, ORDER_1G);
    populate(DEVICE_PFN, SECTION, pgmap);
    m.failNth(1, BLOCK);

    assertNull(populate(DEVICE_PFN + SECTION, SECTION, pgmap));
  }

  /**
   * Who is optimised: compound pages of at least 1 MiB (4 pages of memmap), no altmap, struct pages
   * of a power of two, and the configuration says so.
   */
  @Test
  void vmemmapCanOptimize_rules() {
    VmemAltmap altmap = new VmemAltmap();

    assertFalse(m.vmemmap.vmemmapCanOptimize(null, null));
    assertFalse(m.vmemmap.vmemmapCanOptimize(null, m.device(0, 512, 0)));
    assertFalse(m.vmemmap.vmemmapCanOptimize(null, m.device(0, 512, 7)));
    assertTrue(m.vmemmap.vmemmapCanOptimize(null, m.device(0, 512, 8)));
    assertTrue(m.vmemmap.vmemmapCanOptimize(null, m.device(0, 512, ORDER_2M)));
    assertFalse(m.vmemmap.vmemmapCanOptimize(altmap, m.device(0, 512, ORDER_2M)));
    SmallMachine odd = new SmallMachine(config().withSizeofStructPage(80));
    assertFalse(odd.vmemmap.vmemmapCanOptimize(null, m.device(0, 512, ORDER_2M)));
    MmConfig unwanted = config().toBuilder().archWantOptimizeDaxVmemmap(false).build();
    SmallMachine without = new SmallMachine(unwanted);
    assertFalse(without.vmemmap.vmemmapCanOptimize(null, m.device(0, 512, ORDER_2M)));
  }

  /** Half a subsection. Expect the warning and null. */
  @Test
  void populateSectionMemmap0_misaligned_warns() {
    assertNull(populate(DEVICE_PFN, SUBSECTION / 2, null));
    assertNull(populate(DEVICE_PFN + 1, SUBSECTION, null));

    assertEquals(
        List.of("__populate_section_memmap: !IS_ALIGNED(pfn or nr_pages, PAGES_PER_SUBSECTION)"),
        m.warnings());
  }

  /**
   * Struct pages of 56 bytes: a section's memmap ends inside a leaf. Expect the neighbour to use
   * it.
   */
  @Test
  void populateSectionMemmap0_structPageThatDoesNotTile_sharesALeaf() {
    MmConfig config = config().withSizeofStructPage(56);
    SmallMachine odd = new SmallMachine(config, new Ram(0, 256 * MIB, 0));

    odd.sparse.sparseInit();

    assertEquals(4 * 256, odd.owned(Owner.VMEMMAP));
    assertEquals(2 * 448, odd.mm.vmstat().nrMemmapBootPages());
    assertEquals(1, odd.level(odd.memmap(2 * SECTION) - 1));
    assertEquals(SECTION_VPAGES * 2, odd.owned(Owner.VMEMMAP));
  }
}
