// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.arch.powerpc.PowerpcBench.GIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.KIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.MIB;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.BoltedMappings;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.YieldPoints;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.VmemAltmap;

/** The memmap bolted into the hash table, in blocks of 4K, 64K and 16M. */
class HashVmemmapTest {
  private static final long SECTION = 16 * MIB;
  private static final long PAGE_4K = 4 * KIB;
  private static final int ORDER_2M = 9;
  private static final String BLOCK = "vmemmap_alloc_block";

  /** RAM of 256 MiB has 1024 pages of memmap. Expect as many blocks of 4K, and as many nodes. */
  @Test
  void boot_4k_aBlockForEachPage() {
    PowerpcBench bench = PowerpcBench.hash4k();

    assertEquals(1024, bolted(bench).blocks().size());
    assertEquals(1024, bench.arch.init64().vmemmapList().size());
    assertEquals(PAGE_4K, bench.arch.vmemmapPageSize());
    assertEquals(0xc000_3f00_0000_0000L, bolted(bench).blocks().getFirst().va());
  }

  /**
   * RAM of 1 GiB with 64K pages: 64 sections of 16 KiB of memmap.
   *
   * <pre>
   *   block of 64K   | sec 0 | sec 1 | sec 2 | sec 3 |
   * </pre>
   *
   * Expect 16 blocks, made by the first of each four, and 64 pages on the counter.
   */
  @Test
  void boot_64k_fourSectionsShareABlock() {
    PowerpcBench bench = PowerpcBench.hash64k();

    assertEquals(16, bolted(bench).blocks().size());
    assertEquals(64, bench.mm.vmstat().nrMemmapBootPages());
  }

  /** RAM of 1 GiB on a CPU with 16M pages. Expect one block, which the list has, too. */
  @Test
  void boot_16m_oneBlockForAGigabyte() {
    PowerpcBench bench = PowerpcBench.hash16m();

    BoltedMappings.Block block = bolted(bench).blocks().getFirst();
    assertEquals(List.of(block), bolted(bench).blocks());
    assertEquals(24, block.shift());
    assertEquals(
        List.of(new Init64.VmemmapBacking(block.va(), block.paddr())),
        bench.arch.init64().vmemmapList());
  }

  /** Less than 1 GiB of RAM. Expect small blocks though the CPU has 16M pages. */
  @Test
  void boot_16mButLittleRam_smallBlocks() {
    PowerpcBench bench =
        new PowerpcBench(PowerpcGeometry.hash(12), true, GIB - SECTION, true).boot();

    assertEquals(PAGE_4K, bench.arch.vmemmapPageSize());
  }

  /** A device of a section. Expect 64 blocks, and all gone when it goes. */
  @Test
  void free_device_listAndTableAreAsBefore() {
    PowerpcBench bench = PowerpcBench.hash4k();
    List<Long> before = bench.books();

    assertEquals(0, bench.add(GIB, SECTION));
    assertEquals(1024 + 64, bolted(bench).blocks().size());
    bench.machine.cpu().readLong(bench.memmap(GIB));
    bench.remove(GIB, SECTION);

    assertEquals(1024, bolted(bench).blocks().size());
    assertEquals(before.subList(0, 4), bench.books().subList(0, 4));
    MachineFault fault =
        assertThrows(MachineFault.class, () -> bench.machine.cpu().readLong(bench.memmap(GIB)));
    assertEquals("not-present", fault.rule());
  }

  /**
   * 170 nodes of 24 bytes fit in a page. Adding and removing again and again.
   *
   * <pre>
   *   next -> freed -> freed -> ... -> the rest of the page
   * </pre>
   *
   * Expect no page for nodes after the first round, as freed nodes are used first.
   */
  @Test
  void list_addAgain_nodesAreRecycled() {
    PowerpcBench bench = PowerpcBench.hash4k();
    bench.add(GIB, SECTION);
    bench.remove(GIB, SECTION);
    List<Long> before = bench.books();
    long asked = bench.machine.faults().asked();

    bench.add(GIB, SECTION);
    long blocks = bench.machine.faults().asked() - asked;
    bench.remove(GIB, SECTION);

    assertEquals(before, bench.books());
    assertTrue(blocks >= 64, "blocks=" + blocks);
    assertEquals(1024, bench.arch.init64().vmemmapList().size());
  }

  /** A block in the middle of the list is freed. Expect its neighbours to stay linked. */
  @Test
  void list_freeInTheMiddle_neighboursStay() {
    PowerpcBench bench = PowerpcBench.hash4k();
    bench.add(GIB, SECTION);
    bench.add(GIB + SECTION, SECTION);

    bench.remove(GIB, SECTION);

    List<Init64.VmemmapBacking> list = bench.arch.init64().vmemmapList();
    assertEquals(1024 + 64, list.size());
    assertEquals(bench.memmap(GIB + 2 * SECTION) - PAGE_4K, list.getFirst().virtAddr());
  }

  /** Compound pages. Expect full counters and no sharing. */
  @Test
  void compound_hash_isNotOptimised() {
    PowerpcBench bench = PowerpcBench.hash4k();

    assertEquals(0, bench.addCompound(GIB, SECTION, ORDER_2M));

    assertEquals(64, bench.mm.vmstat().nrMemmapPages());
    var frames = bolted(bench).blocks().stream().map(BoltedMappings.Block::paddr);
    assertEquals(1024 + 64, frames.distinct().count());
  }

  /** Two devices that one block of 16M describes. Expect it to go with the second one. */
  @Test
  void free_twoDevicesInOneBlock_theLastOneFreesIt() {
    PowerpcBench bench = PowerpcBench.hash16m();
    bench.add(GIB, SECTION);
    bench.add(GIB + SECTION, SECTION);
    assertEquals(2, bolted(bench).blocks().size());

    bench.remove(GIB, SECTION);
    assertEquals(2, bolted(bench).blocks().size());
    bench.remove(GIB + SECTION, SECTION);

    assertEquals(1, bolted(bench).blocks().size());
  }

  /** An altmap with room for blocks of 4K. Expect all of them out of it, and back into it. */
  @Test
  void altmap_fits_blocksComeFromIt() {
    PowerpcBench bench = PowerpcBench.hash4k();
    VmemAltmap altmap = bench.altmap(GIB, SECTION, 2, 64);

    assertEquals(0, bench.addAltmap(GIB, SECTION, altmap));

    assertEquals(64, altmap.alloc);
    assertEquals(GIB + 2 * PAGE_4K, block(bench, bench.memmap(GIB)).paddr());
    bench.removeAltmap(GIB, SECTION, altmap);
    assertEquals(0, altmap.alloc);
  }

  /** An altmap of 10 pages for 64. Expect the rest from RAM, and no error. */
  @Test
  void altmap_tooSmall_restComesFromRam() {
    PowerpcBench bench = PowerpcBench.hash4k();
    VmemAltmap altmap = bench.altmap(GIB, SECTION, 0, 10);

    assertEquals(0, bench.addAltmap(GIB, SECTION, altmap));

    assertEquals(10, altmap.alloc);
    bench.removeAltmap(GIB, SECTION, altmap);
    assertEquals(0, altmap.alloc);
    assertEquals(List.of(), bench.warnings());
  }

  /** A block of 16M would describe more than the device. Expect its altmap to stay unused. */
  @Test
  void altmap_blockCrossesTheDevice_staysUnused() {
    PowerpcBench bench = PowerpcBench.hash16m();
    VmemAltmap altmap = bench.altmap(GIB, 256 * MIB, 0, 8192);

    assertEquals(0, bench.addAltmap(GIB, 256 * MIB, altmap));

    assertEquals(0, altmap.alloc);
  }

  /** The third block cannot be had. Expect -ENOMEM, and the two before it undone, too. */
  @Test
  void populate_noBlock_enomem() {
    PowerpcBench bench = recycled();
    List<Long> before = bench.books();
    bench.failNth(3, BLOCK);

    assertEquals(-Errno.ENOMEM, bench.add(GIB, SECTION));

    assertEquals(before, bench.books());
    assertEquals(1024, bolted(bench).blocks().size());
  }

  /** The page for nodes cannot be had. Expect -ENOMEM and a WARN, and the block freed. */
  @Test
  void populate_noNode_enomemAndTheBlockIsFreed() {
    PowerpcBench bench = PowerpcBench.hash16m();
    useUpNodes(bench);
    bench.mm.printk().setDebug(true);
    List<Long> before = bench.books();
    // The second allocation is the page of nodes: the first is the block that it is for.
    bench.failNth(2, BLOCK);

    int rc = bench.arch.init64().vmemmapPopulate(far(bench), far(bench) + MIB, 0, null);

    assertEquals(-Errno.ENOMEM, rc);
    assertEquals(before, bench.books());
    assertEquals(List.of("vmemmap_list_alloc: !next"), bench.warnings());
    assertTrue(bench.log().contains("vmemmap list allocation failed"));
  }

  /** The same with an altmap. Expect the altmap to get the block back. */
  @Test
  void populate_noNodeButAltmap_altmapGetsTheBlockBack() {
    PowerpcBench bench = PowerpcBench.hash16m();
    useUpNodes(bench);
    VmemAltmap altmap = bench.altmap(2 * GIB, GIB, 0, 8192);
    bench.failNth(1, BLOCK);

    long start = bench.memmap(2 * GIB);
    int rc = bench.arch.init64().vmemmapPopulate(start, start + MIB, 0, altmap);

    assertEquals(-Errno.ENOMEM, rc);
    assertEquals(0, altmap.alloc);
  }

  /** The primary group of an address is full. Expect the secondary one to take the block. */
  @Test
  void bolt_primaryGroupFull_secondaryTakesIt() {
    PowerpcBench bench = PowerpcBench.hash4k();
    bench.failNth(1, "hpte_insert");

    assertEquals(0, bench.add(GIB, SECTION));
    assertEquals(1024 + 64, bolted(bench).blocks().size());
  }

  /**
   * Both groups are full. Expect -EFAULT from populate, with the block in the list but not bolted;
   * the undoing frees it and warns that it is missing in the table. Who adds memory sees -ENOMEM.
   */
  @Test
  void bolt_bothGroupsFull_efaultAndAWarningOnUndoing() {
    PowerpcBench bench = recycled();
    List<Long> before = bench.books();
    bench.failFrom(1, "hpte_insert");

    long start = bench.memmap(3 * GIB);
    assertEquals(
        -Errno.EFAULT, bench.arch.init64().vmemmapPopulate(start, start + PAGE_4K, 0, null));
    assertNull(bolted(bench).block(start));
    assertEquals(start, bench.arch.init64().vmemmapList().getFirst().virtAddr());
    bench.arch.init64().vmemmapFree(start, start + PAGE_4K, null);
    assertEquals(-Errno.ENOMEM, bench.add(GIB, SECTION));

    assertEquals(before, bench.books());
    assertEquals("hash__vmemmap_remove_mapping: rc == -ENOENT", bench.warnings().getFirst());
    assertTrue(bench.log().contains("__vmemmap_populate: Unable to create vmemmap mapping: -1"));
  }

  /** The same where a block is bolted that nobody knows of. Expect it to go, so nothing is mapped. */
  @Test
  void bolt_bothGroupsFull_whatWasThereGoes() {
    PowerpcBench bench = recycled();
    long start = far(bench);
    long prot = bench.mm.pgtable().pageKernel().val();
    assertEquals(
        0, new HashUtils(bench.mm).htabBoltMapping(start, start + PAGE_4K, GIB, prot, 12));
    bench.failFrom(1, "hpte_insert");

    assertEquals(
        -Errno.EFAULT, bench.arch.init64().vmemmapPopulate(start, start + PAGE_4K, 0, null));

    assertNull(bolted(bench).block(start));
  }

  /** The last block of the memmap area. Expect a refusal, which becomes -EFAULT. */
  @Test
  void create_endOfTheMemmapArea_isRefused() {
    PowerpcBench bench = PowerpcBench.hash4k();
    long last = bench.geometry.vmemmapEnd() - PAGE_4K;

    int rc = bench.arch.init64().vmemmapPopulate(last, last + PAGE_4K, 0, null);

    assertEquals(-Errno.EFAULT, rc);
    assertTrue(bench.log().contains("Outside the supported range"));
    assertNull(bolted(bench).block(last));
  }

  /** A block that is not in the list. Expect removal to skip it, without a word. */
  @Test
  void free_notInTheList_isSkipped() {
    PowerpcBench bench = PowerpcBench.hash4k();
    List<Long> before = bench.books();

    bench.arch.init64().vmemmapFree(far(bench), far(bench) + MIB, null);

    assertEquals(before, bench.books());
    assertEquals(List.of(), bench.warnings());
  }

  /**
   * The memmap of a section of RAM. Expect its blocks to go back as reserved pages that become
   * managed.
   */
  @Test
  void free_bootBlock_becomesManagedMemory() {
    PowerpcBench bench = PowerpcBench.hash4k();
    long total = bench.pageAlloc.totalramPages();
    long last = 256 * MIB - SECTION;

    bench.remove(last, SECTION);

    assertEquals(64, bench.pageAlloc.totalramPages() - total);
    assertEquals(1024 - 64, bolted(bench).blocks().size());
    assertEquals(1024 - 64, bench.mm.vmstat().nrMemmapBootPages());
  }

  /** Nobody needs the walk of a tree. Expect the root to be empty, and struct pages to be there. */
  @Test
  void boot_hash_nothingIsInTheTree() {
    PowerpcBench bench = PowerpcBench.hash4k();

    assertFalse(bench.machine.format().present(bench.walk(bench.memmap(0)).entry(), 3));
    assertEquals(1, bench.mm.struct().refcount(bench.mm.model().pfnToPage(0)));
  }

  /**
   * A block of 16M whose frames came from memblock, one by one.
   *
   * <pre>
   *   block   | reserved | reserved | ... 4096 pages
   * </pre>
   *
   * Expect each of them to become memory that is managed.
   */
  @Test
  void free_reservedBlockOf16m_allPagesAreManaged() {
    PowerpcBench bench = PowerpcBench.hash16m();
    bench.add(GIB, SECTION);
    long frame = bench.pfn(block(bench, bench.memmap(GIB)).paddr());
    for (long pfn = frame; pfn < frame + 4096; pfn++) {
      bench.mm.flags().set(bench.mm.model().pfnToPage(pfn), PageFlags.PG_RESERVED);
    }
    long total = bench.pageAlloc.totalramPages();

    bench.remove(GIB, SECTION);

    assertEquals(4096, bench.pageAlloc.totalramPages() - total);
    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(frame));
    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(frame + 4095));
  }

  /** An altmap is used up behind its reserve. Expect the last block to go back to it, too. */
  @Test
  void altmap_usedUpBehindAReserve_allGoesBack() {
    PowerpcBench bench = PowerpcBench.hash4k();
    List<Long> before = bench.books();
    VmemAltmap altmap = bench.altmap(GIB, SECTION, 2, 64);
    assertEquals(0, bench.addAltmap(GIB, SECTION, altmap));
    assertEquals(
        GIB + 65 * PAGE_4K, block(bench, bench.memmap(GIB + SECTION) - PAGE_4K).paddr());
    assertEquals(64, bench.owned(Owner.ALTMAP));

    bench.removeAltmap(GIB, SECTION, altmap);

    assertEquals(0, altmap.alloc);
    assertEquals(before.subList(0, 4), bench.books().subList(0, 4));
  }

  /** A block right behind what an altmap has. Expect it to go to the page allocator. */
  @Test
  void altmap_endsBeforeTheBlock_blockIsNotItsOwn() {
    PowerpcBench bench = PowerpcBench.hash4k();
    long start = far(bench);
    assertEquals(0, bench.arch.init64().vmemmapPopulate(start, start + PAGE_4K, 0, null));
    long frame = bench.pfn(block(bench, start).paddr());
    VmemAltmap altmap = new VmemAltmap();
    altmap.basePfn = frame - 10;
    altmap.endPfn = frame + 10;
    altmap.reserve = 4;
    altmap.free = 6;

    bench.arch.init64().vmemmapFree(start, start + PAGE_4K, altmap);

    assertEquals(0, altmap.alloc);
    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(frame));
  }

  /**
   * A device in compound pages at the end of the series. Expect its section to become an ordinary
   * one, as a block has a frame for each page, and no other section to be touched.
   */
  @Test
  void compound_sinceTheSeries_sectionBecomesOrdinary() {
    PowerpcBench bench = PowerpcBench.hash4k(49);
    assertEquals(0, bench.addCompound(GIB, SECTION, ORDER_2M));

    assertEquals(0, bench.mm.mmzone().pfnToSectionOrder(bench.pfn(GIB)));
    assertEquals(64, bench.mm.vmstat().nrMemmapPages());
    assertEquals(0, bench.arch.init64().idleTablePages());
  }

  /**
   * Freed nodes are used up, and the rest of the page that was being carved comes next.
   *
   * <pre>
   *   next -> 64 freed -> the rest of the page
   * </pre>
   *
   * Expect two devices to get 128 nodes, and each of them to be found again.
   */
  @Test
  void list_freedNodesUsedUp_pageGoesOn() {
    PowerpcBench bench = recycled();

    assertEquals(0, bench.add(GIB, SECTION));
    assertEquals(0, bench.add(GIB + SECTION, SECTION));
    assertEquals(1024 + 128, bench.arch.init64().vmemmapList().size());
    bench.remove(GIB, SECTION);
    bench.remove(GIB + SECTION, SECTION);

    assertEquals(1024, bench.arch.init64().vmemmapList().size());
    assertEquals(1024, bolted(bench).blocks().size());
  }

  /**
   * Pages of nodes are no memmap. 1 GiB of RAM takes 4096 small blocks or a large one, 170 nodes fit
   * in a page. Expect 24 pages of nodes more among the reserved memory of boot, and one that is made
   * later with the slabs.
   */
  @Test
  void list_pagesOfNodes_areData() {
    PowerpcBench small = new PowerpcBench(PowerpcGeometry.hash(12), false, GIB, true).boot();
    assertEquals(
        24, small.owned(Owner.RESERVED) - PowerpcBench.hash16m().owned(Owner.RESERVED));

    PowerpcBench bench = PowerpcBench.hash16m();
    useUpNodes(bench);
    long slabs = bench.owned(Owner.SLAB);
    assertEquals(0, bench.arch.init64().vmemmapPopulate(far(bench), far(bench) + MIB, 0, null));
    assertEquals(slabs + 1, bench.owned(Owner.SLAB));
  }

  /** Two blocks side by side that nothing valid lies in. Expect only the one that is asked for to go. */
  @Test
  void free_oneOfTwoBlocks_theOtherStays() {
    PowerpcBench bench = PowerpcBench.hash4k();
    long start = far(bench);
    assertEquals(0, bench.arch.init64().vmemmapPopulate(start, start + 2 * PAGE_4K, 0, null));

    bench.arch.init64().vmemmapFree(start, start + PAGE_4K, null);

    assertNull(bolted(bench).block(start));
    assertEquals(start + PAGE_4K, block(bench, start + PAGE_4K).va());
  }

  /**
   * Two blocks bolted and removed by one call each, which the kernel does for other areas.
   *
   * <pre>
   *   vstart | block -> pstart | block -> pstart + 4K | vend
   * </pre>
   *
   * Expect both each time, and a read-only block to refuse writes.
   */
  @Test
  void bolt_twoBlocks_bothComeAndGo() {
    PowerpcBench bench = PowerpcBench.hash4k();
    HashUtils utils = new HashUtils(bench.mm);
    long start = far(bench);
    long readOnly = bench.mm.pgtable().pageKernelRo().val();

    assertEquals(0, utils.htabBoltMapping(start, start + 2 * PAGE_4K, GIB, readOnly, 12));
    assertEquals(GIB, block(bench, start).paddr());
    assertEquals(GIB + PAGE_4K, block(bench, start + PAGE_4K).paddr());
    assertNull(bolted(bench).block(start + 2 * PAGE_4K));
    MachineFault fault =
        assertThrows(MachineFault.class, () -> bench.machine.cpu().writeLong(start, 1));
    assertEquals("write-to-read-only", fault.rule());

    assertEquals(0, utils.htabRemoveMapping(start, start + 2 * PAGE_4K, 12));
    assertNull(bolted(bench).block(start));
    assertNull(bolted(bench).block(start + PAGE_4K));
    assertEquals(-Errno.ENOENT, utils.htabRemoveMapping(start, start + PAGE_4K, 12));
  }

  /** A block goes that a CPU has just used. Expect no CPU to reach its frame any more. */
  @Test
  void remove_block_noTranslationStays() {
    PowerpcBench bench = PowerpcBench.hash4k();
    bench.add(GIB, SECTION);
    long frame = bench.pfn(block(bench, bench.memmap(GIB)).paddr());
    bench.machine.cpu().readLong(bench.memmap(GIB));
    assertTrue(bench.machine.cpu().tlb().reaches(frame));

    bench.remove(GIB, SECTION);

    assertFalse(bench.machine.cpu().tlb().reaches(frame));
  }

  /**
   * What others can see while blocks are bolted and removed.
   *
   * <pre>
   *   hpte_insert            hpte_removebolted, frames moved
   * </pre>
   *
   * Expect a step before each, and all frames of the block to be told of when it goes.
   */
  @Test
  void boltAndRemove_steps_areSeen() {
    PowerpcBench small = PowerpcBench.hash4k();
    assertEquals(
        List.of("hpte_insert", "hpte_removebolted", "moved 40000 1"), steps(small, GIB, 12));
    PowerpcBench large = PowerpcBench.hash16m();
    assertEquals(
        List.of("hpte_insert", "hpte_removebolted", "moved 80000 1000"),
        steps(large, 2 * GIB, 24));
  }

  private static List<String> steps(PowerpcBench bench, long paddr, int shift) {
    HashUtils utils = new HashUtils(bench.mm);
    long start = far(bench) & -(1L << shift);
    List<String> seen = new ArrayList<>();
    bench
        .machine
        .yields()
        .listen(
            new YieldPoints.Listener() {
              @Override
              public void reached(String what, long where) {
                if (what.startsWith("hpte_") && where == start) {
                  seen.add(what);
                }
              }

              @Override
              public void moved(long frame, long n) {
                seen.add("moved %x %x".formatted(frame, n));
              }
            });
    long prot = bench.mm.pgtable().pageKernel().val();
    assertEquals(0, utils.htabBoltMapping(start, start + (1L << shift), paddr, prot, shift));
    assertEquals(0, utils.htabRemoveMapping(start, start + (1L << shift), shift));
    return seen;
  }

  /** A machine that has had a device already, so that free nodes are there. */
  private static PowerpcBench recycled() {
    PowerpcBench bench = PowerpcBench.hash4k();
    bench.add(GIB, SECTION);
    bench.remove(GIB, SECTION);
    return bench;
  }

  /** Takes all nodes of the page that is being carved: 170 fit, boot took one. */
  private static void useUpNodes(PowerpcBench bench) {
    long altmapStart = 4 * GIB;
    bench.failFrom(1, "hpte_insert");
    for (long node = 1; node < 170; node++) {
      VmemAltmap altmap = new VmemAltmap();
      altmap.basePfn = bench.pfn(altmapStart);
      altmap.endPfn = 1L << 40;
      altmap.free = 4096;
      long start = far(bench) + node * SECTION;
      bench.arch.init64().vmemmapPopulate(start, start + MIB, 0, altmap);
    }
    bench.machine.faults().disarm();
  }

  /** Memmap that describes pfns behind all memory. */
  private static long far(PowerpcBench bench) {
    return bench.memmap(64 * GIB);
  }

  private static BoltedMappings.Block block(PowerpcBench bench, long va) {
    return Objects.requireNonNull(bolted(bench).block(va));
  }

  private static BoltedMappings bolted(PowerpcBench bench) {
    return Objects.requireNonNull(bench.machine.bolted());
  }
}
