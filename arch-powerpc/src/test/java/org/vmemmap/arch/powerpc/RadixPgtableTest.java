// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.vmemmap.arch.powerpc.PowerpcBench.GIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.KIB;
import static org.vmemmap.arch.powerpc.PowerpcBench.MIB;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Owner;
import org.vmemmap.types.VmemAltmap;

/**
 * The memmap in the radix tree with 4K pages: RAM of 1 GiB behind 8 leaves, devices from 1 GiB on.
 * A leaf describes 128 MiB, a section of 16 MiB has 256 KiB or 64 pages of memmap.
 */
class RadixPgtableTest {
  private static final int ORDER_2M = 9;
  private static final int ORDER_1M = 8;
  private static final int ORDER_1G = 18;
  private static final int NONE = -1;
  private static final long LEAF = 2 * MIB;
  private static final long DEVICE = GIB;
  private static final long SECTION = 16 * MIB;
  private static final long SECTION_MEMMAP = 256 * KIB;

  private final PowerpcBench bench = PowerpcBench.radix4k();

  /** Boot. Expect the memmap of RAM behind leaves with the captured bits, and nothing behind it. */
  @Test
  void boot_oneGigabyte_eightLeavesWithTheCapturedBits() {
    long start = bench.memmap(0);

    assertEquals(8 * 512, bench.mapped(start, start + 8 * LEAF, PMD));
    assertEquals(NONE, bench.level(start + 8 * LEAF));
    long entry = bench.walk(start).entry();
    assertEquals(0xc000_0000_0000_018eL, bench.machine.format().flags(entry, PMD));
    assertEquals(4096, bench.mm.vmstat().nrMemmapBootPages());
  }

  /**
   * A device of 2 MiB, 2 MiB behind a leaf's start.
   *
   * <pre>
   *   leaf   |..|dd|..................|   32 KiB of 2 MiB are asked for
   * </pre>
   *
   * Expect a whole leaf, and a counter that knows nothing of it.
   */
  @Test
  void populate_smallDeviceWithoutAltmap_takesAWholeLeaf() {
    assertEquals(0, bench.add(DEVICE + 2 * MIB, 2 * MIB));

    assertEquals(PMD, bench.level(bench.memmap(DEVICE)));
    assertEquals(PMD, bench.level(bench.memmap(DEVICE) + LEAF - 1));
    assertEquals(8, bench.mm.vmstat().nrMemmapPages());
  }

  /** Two devices under one leaf. Expect it to stay until the second one goes, in either order. */
  @Test
  void free_twoDevicesUnderOneLeaf_theLastOneFreesIt() {
    List<Long> before = bench.booksAndTables();
    bench.add(DEVICE, SECTION);
    bench.add(DEVICE + SECTION, SECTION);

    bench.remove(DEVICE, SECTION);
    assertEquals(PMD, bench.level(bench.memmap(DEVICE)));
    bench.remove(DEVICE + SECTION, SECTION);

    assertEquals(NONE, bench.level(bench.memmap(DEVICE)));
    assertEquals(before, bench.booksAndTables());
  }

  /**
   * A leaf is freed by the removal of a part of it, and its other parts were just in use. Expect no
   * CPU to keep a translation of them, since the flush takes all.
   */
  @Test
  void free_leafPartlyInRange_noTranslationOfTheRestStays() {
    bench.add(DEVICE, SECTION);
    bench.machine.cpu().readLong(bench.memmap(DEVICE) + LEAF - 8);
    long frame = bench.frame(bench.memmap(DEVICE) + LEAF - 8);

    bench.remove(DEVICE, SECTION);

    assertFalse(bench.machine.cpu().tlb().reaches(frame));
    assertEquals(Owner.BUDDY, bench.machine.ledger().ownerOf(frame));
  }

  /** No block of 2 MiB is to be had. Expect base pages, and no error. */
  @Test
  void populate_noBlock_fallsBackToBasePages() {
    bench.failNth(1, "vmemmap_alloc_block");

    assertEquals(0, bench.add(DEVICE, 128 * MIB));

    // The first section fell back, which left a table for the others.
    assertEquals(512, bench.mapped(bench.memmap(DEVICE), bench.memmap(DEVICE) + LEAF, PTE));
  }

  /** No memory at all. Expect -ENOMEM and nothing left behind, also when it is removed. */
  @Test
  void populate_noMemory_failsAndLeavesNothing() {
    List<Long> before = bench.booksAndTables();
    bench.failFrom(1, "vmemmap_alloc_block");

    assertEquals(-Errno.ENOMEM, bench.add(DEVICE, SECTION));

    bench.machine.faults().disarm();
    assertEquals(before, bench.booksAndTables());
  }

  /** The pte table cannot be had. Expect -ENOMEM, and nothing left behind. */
  @Test
  void compound_noTable_failsAndLeavesNothing() {
    List<Long> before = bench.booksAndTables();
    bench.failFrom(1, "__alloc_for_ptecache");

    assertEquals(-Errno.ENOMEM, bench.addCompound(DEVICE, SECTION, ORDER_2M));

    bench.machine.faults().disarm();
    assertEquals(before, bench.booksAndTables());
  }

  /** The same with a leaf that could not be had either. Expect the fallback to fail. */
  @Test
  void populate_noBlockAndNoTable_failsAndLeavesNothing() {
    List<Long> before = bench.booksAndTables();
    bench.machine.faults().failFrom(1, site -> !site.equals("section_activate"));

    assertEquals(-Errno.ENOMEM, bench.add(DEVICE, SECTION));

    bench.machine.faults().disarm();
    assertEquals(before, bench.booksAndTables());
  }

  /** No memory for a table at boot. Expect a panic: there is nothing to fall back to. */
  @Test
  void boot_noTable_panics() {
    PowerpcBench dead = new PowerpcBench(PowerpcGeometry.radix(12), false, GIB, true);
    dead.failNth(1, "early_alloc_pgtable");

    KernelPanic panic = assertThrows(KernelPanic.class, dead::boot);

    assertEquals(
        "early_alloc_pgtable: Failed to allocate 4096 bytes align=0x1000 nid=0",
        panic.getMessage());
  }

  /**
   * One compound page of 2 MiB has 8 pages of memmap.
   *
   * <pre>
   *   ptes   | h | t | t | t | t | t | t | t |   2 frames, the second with 7 references
   * </pre>
   *
   * Expect 16 frames for 8 compound pages, and that they go with the last entry.
   */
  @Test
  void compound_section_twoFramesEach() {
    List<Long> before = bench.booksAndTables();
    long start = bench.memmap(DEVICE);

    assertEquals(0, bench.addCompound(DEVICE, SECTION, ORDER_2M));

    assertEquals(64, bench.mapped(start, start + SECTION_MEMMAP, PTE));
    assertEquals(16, bench.frames(start, start + SECTION_MEMMAP));
    assertEquals(bench.frame(start + 4 * KIB), bench.frame(start + 28 * KIB));
    assertEquals(7, bench.refcount(bench.frame(start + 4 * KIB)));
    assertEquals(16, bench.mm.vmstat().nrMemmapPages());
    bench.removeCompound(DEVICE, SECTION, ORDER_2M);
    assertEquals(before, bench.booksAndTables());
  }

  /** Compound pages with 4 and with 2 pages of memmap. Expect the first to be shared only. */
  @Test
  void compound_threshold_moreThanTwoPagesOfMemmap() {
    bench.addCompound(DEVICE, SECTION, ORDER_1M);
    bench.addCompound(DEVICE + SECTION, SECTION, ORDER_1M - 1);

    long first = bench.memmap(DEVICE);
    long second = bench.memmap(DEVICE + SECTION);
    assertEquals(32, bench.frames(first, first + SECTION_MEMMAP));
    assertEquals(64, bench.frames(second, second + SECTION_MEMMAP));
  }

  /**
   * A compound page of 1 GiB comes in 64 sections, each in a call of its own. Expect every call to
   * find the tail page of the first, so 2 frames behind 4096 entries.
   */
  @Test
  void compound_largerThanASection_laterCallsFindTheTailPage() {
    long start = bench.memmap(DEVICE);

    assertEquals(0, bench.addCompound(DEVICE, GIB, ORDER_1G));

    assertEquals(2, bench.frames(start, start + 8 * LEAF));
    assertEquals(4095, bench.refcount(bench.frame(start + 4 * KIB)));
    assertEquals(2, bench.mm.vmstat().nrMemmapPages());
  }

  /**
   * The middle of a compound page comes first: its head is behind the range. Expect the first two
   * pages to be made, though they are not asked for, and used when they are.
   */
  @Test
  void compound_middleFirst_headAndTailAreMadeAhead() {
    long start = bench.memmap(DEVICE);
    bench.addCompound(DEVICE + SECTION, SECTION, ORDER_1G);
    long tail = bench.frame(start + 4 * KIB);

    bench.addCompound(DEVICE, SECTION, ORDER_1G);

    assertEquals(tail, bench.frame(start + 4 * KIB));
    assertEquals(tail, bench.frame(start + SECTION_MEMMAP));
    assertEquals(2, bench.frames(start, start + 2 * SECTION_MEMMAP));
  }

  /**
   * A plain device, then one in compound pages under the same leaf.
   *
   * <pre>
   *   | plain | compound |   leaf of the first, which the second inherits
   * </pre>
   *
   * Expect no dedup, but a counter that says so.
   */
  @Test
  void mixed_plainFirst_compoundInheritsTheLeaf() {
    bench.add(DEVICE, SECTION);
    long before = bench.mm.vmstat().nrMemmapPages();

    assertEquals(0, bench.addCompound(DEVICE + SECTION, SECTION, ORDER_2M));

    assertEquals(PMD, bench.level(bench.memmap(DEVICE + SECTION)));
    assertEquals(16, bench.mm.vmstat().nrMemmapPages() - before);
  }

  /** The other order. Expect base pages for the plain device, as the pmd is a table by then. */
  @Test
  void mixed_compoundFirst_plainGetsBasePages() {
    bench.addCompound(DEVICE, SECTION, ORDER_2M);

    // Its start is rounded down to the leaf: the pages of the first device are there already.
    assertEquals(0, bench.add(DEVICE + SECTION, SECTION));

    long plain = bench.memmap(DEVICE + SECTION);
    assertEquals(64, bench.mapped(plain, plain + SECTION_MEMMAP, PTE));
    assertEquals(64, bench.frames(plain, plain + SECTION_MEMMAP));
  }

  /**
   * A plain device behind a gap, in a table that another made: rounding down to the leaf fills the
   * gap. Expect pages there that nobody asked for; removing both devices leaves them for good, as
   * no range holds them.
   */
  @Test
  void mixed_gapBetween_roundingDownFillsItForGood() {
    long gap = bench.memmap(DEVICE + SECTION);
    bench.addCompound(DEVICE, SECTION, ORDER_2M);

    bench.add(DEVICE + 2 * SECTION, SECTION);
    assertEquals(64, bench.mapped(gap, gap + SECTION_MEMMAP, PTE));
    bench.remove(DEVICE + 2 * SECTION, SECTION);
    bench.removeCompound(DEVICE, SECTION, ORDER_2M);

    assertEquals(64, bench.mapped(gap, gap + SECTION_MEMMAP, PTE));
  }

  /** An altmap with room. Expect both leaves out of it, and that it gets them back. */
  @Test
  void altmap_fits_leavesComeFromIt() {
    List<Long> before = bench.books();
    VmemAltmap altmap = bench.altmap(DEVICE, 256 * MIB, 0, 1024);

    assertEquals(0, bench.addAltmap(DEVICE, 256 * MIB, altmap));

    assertEquals(bench.pfn(DEVICE), bench.frame(bench.memmap(DEVICE)));
    assertEquals(1024, altmap.alloc);
    bench.removeAltmap(DEVICE, 256 * MIB, altmap);
    assertEquals(0, altmap.alloc);
    assertEquals(before, bench.books());
  }

  /** Two reserved pages. Expect the leaves at the next 2 MiB, and 510 pages lost to alignment. */
  @Test
  void altmap_reserve_leavesAreAligned() {
    VmemAltmap altmap = bench.altmap(DEVICE, 256 * MIB, 2, 2046);

    assertEquals(0, bench.addAltmap(DEVICE, 256 * MIB, altmap));

    assertEquals(bench.pfn(DEVICE) + 512, bench.frame(bench.memmap(DEVICE)));
    assertEquals(510, altmap.align);
    assertEquals(1024, altmap.alloc);
  }

  /**
   * An altmap of 100 pages for 1024. Expect 100 from it, 924 of RAM, and each back to its owner.
   */
  @Test
  void altmap_tooSmall_restComesFromRam() {
    List<Long> before = bench.books();
    VmemAltmap altmap = bench.altmap(DEVICE, 256 * MIB, 0, 100);

    assertEquals(0, bench.addAltmap(DEVICE, 256 * MIB, altmap));

    long start = bench.memmap(DEVICE);
    assertEquals(1024, bench.mapped(start, start + 2 * LEAF, PTE));
    assertEquals(100, altmap.alloc);
    bench.removeAltmap(DEVICE, 256 * MIB, altmap);
    assertEquals(0, altmap.alloc);
    assertEquals(before, bench.books());
  }

  /** A device smaller than a leaf describes. Expect base pages, all out of its altmap. */
  @Test
  void altmap_leafWouldCrossTheDevice_basePagesOfTheAltmap() {
    VmemAltmap altmap = bench.altmap(DEVICE, SECTION, 0, 64);

    assertEquals(0, bench.addAltmap(DEVICE, SECTION, altmap));

    long start = bench.memmap(DEVICE);
    assertEquals(64, bench.mapped(start, start + SECTION_MEMMAP, PTE));
    assertEquals(NONE, bench.level(start + SECTION_MEMMAP));
    assertEquals(64, altmap.alloc);
  }

  /** A device with an altmap under a neighbour's leaf. Expect the altmap to stay unused. */
  @Test
  void altmap_neighboursLeaf_isUsedInstead() {
    bench.add(DEVICE, SECTION);
    VmemAltmap altmap = bench.altmap(DEVICE + SECTION, SECTION, 0, 64);

    assertEquals(0, bench.addAltmap(DEVICE + SECTION, SECTION, altmap));
    assertEquals(0, altmap.alloc);
    bench.remove(DEVICE, SECTION);
    bench.removeAltmap(DEVICE + SECTION, SECTION, altmap);

    assertEquals(0, altmap.alloc);
    assertEquals(NONE, bench.level(bench.memmap(DEVICE)));
  }

  /**
   * The frame for the second page of a compound page is not to be had, and nobody looks. Expect
   * success all the same: the third page looks for the second, finds none, and brings it.
   */
  @Test
  void compound_noFrameForTheTailPage_theThirdPageBringsIt() {
    bench.failNth(2, "vmemmap_alloc_block");

    assertEquals(0, bench.addCompound(DEVICE, 2 * MIB, ORDER_2M));

    long start = bench.memmap(DEVICE);
    assertEquals(8, bench.mapped(start, start + 32 * KIB, PTE));
    assertEquals(2, bench.frames(start, start + 32 * KIB));
  }

  /**
   * A plain device under whose leaf a compound page begins, which goes on behind it.
   *
   * <pre>
   *   leaf of the plain device       | next leaf's ptes
   *   |.... plain .....| head | tail | tails ...
   * </pre>
   *
   * Expect pages of their own for all behind the leaf, as the one to share lies under it.
   */
  @Test
  void compound_tailPageUnderALeaf_noSharing() {
    long half = 64 * MIB;
    bench.add(DEVICE, half);

    assertEquals(0, bench.addCompound(DEVICE + half, 128 * MIB, ORDER_1G));

    long behind = bench.memmap(DEVICE) + LEAF;
    assertEquals(PMD, bench.level(behind - 1));
    assertEquals(256, bench.mapped(behind, behind + MIB, PTE));
    assertEquals(256, bench.frames(behind, behind + MIB));
  }
}
