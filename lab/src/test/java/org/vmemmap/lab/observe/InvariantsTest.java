// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.machine.Mmu;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.sparse.MemoryBlock;
import org.vmemmap.sparse.MemoryGroups;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * Each invariant is broken by hand on a machine with optimised hugepages, and must be reported with
 * the place that was touched; the untouched machine breaks none.
 */
class InvariantsTest {
  private static final String POOL = "/proc/sys/vm/nr_hugepages";
  private static final long MIB = 1L << 20;
  private static final long WRITABLE = 1L << 1;

  /** Flags of an entry that leads to a table. */
  private static final long TABLE = 0x67;

  private LabKernel kernel = boot();
  private Mm mm = kernel.mm();

  private static LabKernel boot() {
    List<Ram> ram = List.of(new Ram(0x1000, 0x9f000, 0), new Ram(MIB, 512 * MIB, 0));
    MachineSpec spec =
        new MachineSpec(
            Profile.x86(4, MachineSpec.VMEMMAP_BASE_L4),
            MmConfig.debianX86(),
            MemoryRanges.ofRam(ram),
            List.of("hugetlb_free_vmemmap=on"),
            MachineSpec.MEMORY_BLOCK_SIZE);
    return LabKernel.boot(spec, Placement.NONE);
  }

  @BeforeEach
  void bootWithFourHugepages() {
    kernel = boot();
    mm = kernel.mm();
    assertEquals(0, kernel.write(POOL, "4"));
  }

  private ZoneTails.Slot tail() {
    return new ZoneTails(mm).slots().getFirst();
  }

  private long aFrameOfTheMemmap() {
    return new MemmapReader(mm).frame(32768);
  }

  private void poke(long paddr, long value) {
    mm.machine().memory().setLong(paddr, value);
  }

  private List<String> broken() {
    return Invariants.check(kernel).violations().stream()
        .map(v -> v.rule() + " " + v.unit() + "=" + v.number())
        .toList();
  }

  /** Nothing was touched. Expect no violation, and that each rule looked at something. */
  @Test
  void check_machineAtRest_findsNothing() {
    Invariants.Report report = Invariants.check(kernel);

    assertEquals(List.of(), report.violations());
    assertEquals(
        Set.of(
            PresentRules.PRESENT,
            PresentRules.BLOCKS,
            PresentRules.ISOLATED,
            PresentRules.SPAN,
            PresentRules.MAX_PFN,
            PageblockRules.TYPE,
            FrameRules.REFERENCES,
            FrameRules.OWNER,
            FrameRules.BOOKED,
            FrameRules.TABLES,
            FrameRules.EMPTY,
            FrameRules.COUNTERS,
            TailRules.SINGLE,
            TailRules.CANONICAL,
            TailRules.READ_ONLY,
            StructPageRules.MAPPED,
            StructPageRules.LINKS,
            StructPageRules.COMPOUND,
            StructPageRules.FLAGS,
            BuddyRules.BLOCKS,
            BuddyRules.COUNTS,
            BuddyRules.OWNERS,
            BuddyRules.ONLINE,
            BuddyRules.MANAGED,
            PoolRules.COUNTS,
            PoolRules.PAGE,
            PoolRules.ZONE,
            PoolRules.OPTIMISED,
            SlabRules.HELD,
            TlbRules.FREED),
        report.checks().keySet());
    assertTrue(report.total() > 100_000, "total=" + report.total());
  }

  /** A word of a shared tail is changed. Expect its frame. */
  @Test
  void check_sharedTailChanged_namesTheFrame() {
    ZoneTails.Slot tail = tail();
    poke((tail.frame() << 12) + 7 * 64 + 24, 0);

    assertEquals(List.of("shared-tail-canonical frame=" + tail.frame()), broken());
  }

  /** A shared tail is mapped writable in one place. Expect its frame. */
  @Test
  void check_sharedTailWritable_namesTheFrame() {
    ZoneTails.Slot tail = tail();
    long[] entryPaddr = {0};
    new PageTableWalker(mm)
        .walk(
            mm.model().vmemmapBase(),
            MemmapWalk.areaEnd(mm),
            (level, va, entry) -> {
              if (level == 0 && mm.machine().format().address(entry, 0) >>> 12 == tail.frame()) {
                long root = mm.model().pa(mm.pgtable().initMmPgd());
                Mmu.Entry leaf = mm.machine().mmu().walk(root, va);
                entryPaddr[0] = leaf.entryPaddr();
              }
            });
    poke(entryPaddr[0], mm.machine().memory().getLong(entryPaddr[0]) | WRITABLE);

    assertEquals(List.of("shared-tail-read-only frame=" + tail.frame()), broken());
  }

  /** Two slots hold one frame. Expect it, and that the zones have more tails than are booked. */
  @Test
  void check_tailInTwoSlots_namesTheFrame() {
    ZoneTails.Slot tail = tail();
    Zone zone = tail.zone();
    zone.vmemmapTails[0] = mm.model().pfnToPage(tail.frame());

    List<String> found = broken();

    assertTrue(found.contains("shared-tail-single frame=" + tail.frame()), found::toString);
    assertTrue(found.contains("memmap-frames-booked count=1"), found::toString);
  }

  /**
   * A frame of the memmap is booked to somebody else. Expect the frame, and a count that is short.
   */
  @Test
  void check_memmapFrameBookedElsewhere_namesTheFrame() {
    long frame = aFrameOfTheMemmap();
    mm.own(frame, 1, Owner.SLAB);
    long booked = mm.machine().ledger().count(Owner.VMEMMAP);

    assertEquals(List.of("memmap-frame-owner frame=" + frame), broken());
    assertEquals(booked, mm.machine().ledger().count(Owner.VMEMMAP));
  }

  /** A frame is booked as memmap and backs none. Expect the two counts to differ. */
  @Test
  void check_bookedFrameNotMapped_isFound() {
    Page page = Objects.requireNonNull(kernel.pageAlloc().allocPagesNode(0, Gfp.KERNEL, 0, "test"));
    long free = mm.model().pageToPfn(page);
    mm.own(free, 1, Owner.VMEMMAP);

    assertEquals(
        List.of("memmap-frames-booked count=" + mm.machine().ledger().count(Owner.VMEMMAP)),
        broken());
  }

  /**
   * A table serves memmap of memory that is not there.
   *
   * <pre>
   *   pmd table   | leaf | leaf | --> pte table: all 0 | ...
   *                 RAM           16 GiB
   * </pre>
   *
   * Expect its frame. With one entry that maps a page it is no empty table.
   */
  @Test
  void check_tableThatMapsNothing_namesTheFrame() {
    Page page = Objects.requireNonNull(kernel.pageAlloc().allocPagesNode(0, Gfp.KERNEL, 0, "test"));
    long frame = mm.model().pageToPfn(page);
    mm.own(frame, 1, Owner.PAGE_TABLE);
    mm.machine().memory().fill(frame << 12, 4096, (byte) 0);
    long va = new MemmapReader(mm).address(16L << (30 - 12));
    Mmu.Entry pmd = mm.machine().mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va);
    assertEquals(1, pmd.level());
    poke(pmd.entryPaddr(), frame << 12 | TABLE);

    assertEquals(List.of("page-table-empty frame=" + frame), broken());
    poke(frame << 12, frame << 12 | 1);
    assertTrue(broken().stream().noneMatch(each -> each.startsWith("page-table-empty")));
  }

  /** A counter is off by one. Expect the counter. */
  @Test
  void check_counterWrong_isFound() {
    mm.vmstat().memmapPagesAdd(1);

    long counted = mm.vmstat().nrMemmapPages() + mm.vmstat().nrMemmapBootPages();
    assertEquals(List.of("memmap-counters count=" + counted), broken());
  }

  /** A struct page names another node. Expect its pfn. */
  @Test
  void check_otherNodeInStructPage_namesThePfn() {
    long pfn = 40000;
    MemmapReader reader = new MemmapReader(mm);
    poke(reader.paddr(reader.address(pfn)), reader.word(pfn, 0) | 1L << 54);

    List<String> found = broken();

    assertTrue(found.contains("struct-page-node-zone pfn=" + pfn), found::toString);
  }

  /** A page claims to be a tail, and its head is none. Expect its pfn. */
  @Test
  void check_tailWithoutHead_namesThePfn() {
    long pfn = reservedPfn() + 1;
    MemmapReader reader = new MemmapReader(mm);
    poke(reader.paddr(reader.address(pfn)) + 8, mm.flags().compoundInfo(null, 1));

    assertEquals(List.of("struct-page-compound pfn=" + pfn), broken());
  }

  /** An even pfn of the kernel image, where no compound page is. */
  private static long reservedPfn() {
    return (32 * MIB) >>> 12;
  }

  /** A free list counts one block more than it has. Expect the count. */
  @Test
  void check_freeCountWrong_isFound() {
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_DMA32);
    int order = zone.freeArea.length - 1;
    zone.freeArea[order].nrFree++;

    assertEquals(List.of("free-counts count=" + zone.freeArea[order].nrFree), broken());
  }

  /** Counts of present pages are off by one, of a zone, of what boot found, of a node. Expect each. */
  @Test
  void check_presentPagesWrong_isFound() {
    PgData node = mm.nodes().nodeData(0);
    Zone zone = node.zone(ZoneType.ZONE_DMA32);
    zone.presentPages++;
    assertEquals(List.of("present-pages count=1", "present-pages count=" + node.nodePresentPages), broken());
    zone.presentEarlyPages++;
    assertEquals(List.of("present-pages count=" + node.nodePresentPages), broken());
    node.nodePresentPages++;
    assertEquals(List.of(), broken());
  }

  /** A node spans from pfn 0 on, where no zone of it begins. Expect its size, and its start. */
  @Test
  void check_nodeSpansMoreThanItsZones_isFound() {
    PgData node = mm.nodes().nodeData(0);
    long start = node.nodeStartPfn;
    node.nodeSpannedPages += start;
    node.nodeStartPfn = 0;
    assertEquals(
        List.of("node-span count=" + node.nodeSpannedPages, "node-span count=0"), broken());
    node.nodeSpannedPages -= start;
    node.nodeStartPfn = start;
    assertEquals(List.of(), broken());
  }

  /** The last zone, and its node, have one page more than there is memory. Expect max_pfn. */
  @Test
  void check_zoneEndsBehindMaxPfn_isFound() {
    PgData node = mm.nodes().nodeData(0);
    node.zone(ZoneType.ZONE_DMA32).spannedPages++;
    node.nodeSpannedPages++;

    assertEquals(List.of("max-pfn pfn=" + kernel.maxPfn()), broken());
    assertEquals((512 * MIB) >>> 12, kernel.maxPfn());
  }

  /** A memory block is looked up and not given back. Expect its first pfn. */
  @Test
  void check_memoryBlockHeld_namesThePfn() {
    MemoryBlock block = Objects.requireNonNull(kernel.hotplug().blocks().memoryBlockGet(0));

    assertEquals(List.of("memory-block-references pfn=0"), broken());
    kernel.hotplug().blocks().memoryBlockPut(block);
    assertEquals(List.of(), broken());
  }

  /** A memory group comes, then an object that no group holds. Expect the number of objects. */
  @Test
  void check_smallObjectThatNobodyHolds_isCounted() {
    MemoryGroups groups = kernel.hotplug().groups();
    assertEquals(0, groups.memoryGroupRegisterStatic(0, 1));
    assertEquals(List.of(), broken());

    long lost = kernel.slab().kzalloc(64, -1, "memory_group_register");
    assertEquals(List.of("small-object-held count=2"), broken());
    kernel.slab().kfree(lost);
    assertEquals(0, groups.memoryGroupUnregister(0));
    assertEquals(List.of(), broken());
  }

  /** Somebody isolates a pageblock and forgets it. Expect the count. */
  @Test
  void check_pageblockIsolatedForEver_isFound() {
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_DMA32);
    kernel.pageAlloc().addNrIsolatePageblock(zone, 1);

    assertEquals(List.of("isolated-pageblocks count=1"), broken());
  }

  /** A pool wants more than it has. Expect the difference to be found. */
  @Test
  void check_poolWantsOtherThanItHas_isFound() {
    kernel.hugetlb().hstates().all().stream()
        .filter(h -> !h.isGigantic())
        .forEach(h -> h.maxHugePages++);

    assertEquals(1, broken().stream().filter(each -> each.startsWith("hugetlb-pool-counts")).count());
  }

  /** A frame of a free block is booked to somebody else. Expect the block and the count. */
  @Test
  void check_freeBlockBookedElsewhere_namesThePfn() {
    Zone zone = mm.nodes().nodeData(0).zone(ZoneType.ZONE_DMA32);
    int order = zone.freeArea.length - 1;
    long pfn = firstFreeBlock(zone, order);
    mm.own(pfn, 1, Owner.SLAB);

    assertEquals(
        List.of(
            "free-block pfn=" + pfn,
            "free-frames-booked count=" + mm.machine().ledger().count(Owner.BUDDY)),
        broken());
  }

  private long firstFreeBlock(Zone zone, int order) {
    for (Migratetype type : Migratetype.values()) {
      ListHead head = zone.freeArea[order].freeList(type);
      if (!mm.lists().listEmpty(head)) {
        return mm.model().pageToPfn(mm.struct().ofLru(mm.lists().first(head)));
      }
    }
    throw new IllegalStateException("no free block of order " + order);
  }

  /** A rule that many things break. Expect the first few, and how many there are. */
  @Test
  void check_manyViolations_areSummedUp() {
    MemmapReader reader = new MemmapReader(mm);
    for (long pfn = 40000; pfn < 40010; pfn++) {
      poke(reader.paddr(reader.address(pfn)), reader.word(pfn, 0) | 1L << 54);
    }

    List<String> links = broken().stream().filter(v -> v.startsWith("struct-page-node")).toList();

    assertEquals(6, links.size());
    assertEquals("struct-page-node-zone count=10", links.getLast());
  }
}
