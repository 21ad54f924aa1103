// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.SmallMachine.DEVICE_PFN;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.PAGE;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.SUBSECTION;

import java.util.List;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.ZoneType;

/**
 * Every allocation of mm/sparse-vmemmap.c fails once, at whatever site it is: first only the n-th
 * of an operation, n = 1, 2, ... until none is left, then all from the n-th on.
 *
 * <p>What adds a section leaves everything as it was. What only populates leaves the front mapped,
 * as in the kernel, and no frame that nobody maps.
 */
class SparseVmemmapFailureTest {
  /** A section 1 TiB up, whose root of mem_section does not exist yet. */
  private static final long FAR_PFN = 8192 * SECTION;

  /** Pages whose memmap has a pmd table of its own, 512 MiB, and a root of mem_section. */
  private static final long FAR_STEP = 256 * SECTION;

  private static final int ORDER_2M = 9;
  private static final int ORDER_1G = 18;

  private final SmallMachine m = SmallMachine.small().boot();

  /** Which allocations of a run fail. */
  private enum Mode {
    ONLY_NTH,
    ALL_FROM_NTH;

    void arm(SmallMachine m, int n) {
      if (this == ONLY_NTH) {
        m.machine.faults().failNth(n, site -> true);
      } else {
        m.machine.faults().failFrom(n, site -> true);
      }
    }
  }

  /** One chunk that is added and removed. */
  private record Chunk(
      long pfn, long nrPages, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    Chunk moved(long step) {
      return new Chunk(pfn + step, nrPages, altmap, pgmap);
    }

    int add(SmallMachine m) {
      return m.addSection(pfn, nrPages, altmap, pgmap);
    }

    void remove(SmallMachine m) {
      m.vmemmap.sparseRemoveSection(pfn, nrPages, altmap, pgmap);
    }
  }

  /** Counters, and frames by owner; page tables and mem_section roots stay, as in the kernel. */
  private List<Long> books() {
    return List.of(
        m.mm.vmstat().nrMemmapPages(),
        m.mm.vmstat().nrMemmapBootPages(),
        m.owned(Owner.VMEMMAP),
        m.owned(Owner.ALTMAP),
        m.owned(Owner.SHARED_TAIL),
        m.owned(Owner.ALLOCATED),
        m.owned(Owner.BUDDY) + m.owned(Owner.PAGE_TABLE) + m.owned(Owner.SLAB));
  }

  /** Runs the chunk in both modes with every n; returns how many additions failed. */
  private int failEachAllocation(Chunk chunk) {
    return failEachAllocation(chunk, 0);
  }

  /** The same, each run {@code step} pages further: what an earlier run left is not met again. */
  private int failEachAllocation(Chunk first, long step) {
    List<Long> before = books();
    int refused = 0;
    Chunk chunk = first;
    for (Mode mode : Mode.values()) {
      boolean failed = true;
      for (int n = 1; failed; n++) {
        chunk = chunk.moved(step);
        mode.arm(m, n);
        int rc = chunk.add(m);
        failed = m.machine.faults().failed() > 0;
        String run = mode + " n=" + n;
        m.machine.faults().disarm();
        if (rc == 0) {
          chunk.remove(m);
        } else {
          refused++;
          assertEquals(-Errno.ENOMEM, rc, run);
        }
        checkGone(chunk, run);
        assertEquals(before, books(), run);
      }
    }
    assertTrue(m.warnings().isEmpty(), m.warnings().toString());
    return refused;
  }

  private void checkGone(Chunk chunk, String run) {
    MemSection ms = m.mm.mmzone().pfnToSection(chunk.pfn());
    if (ms != null) {
      assertEquals(0, ms.sectionMemMap, run);
      assertNull(ms.usage, run);
    }
    assertFalse(m.mm.mmzone().pfnValid(chunk.pfn()), run);
    long start = m.memmap(chunk.pfn());
    assertEquals(0, mapped(start, start + chunk.nrPages() * m.mm.struct().size()), run);
    if (chunk.altmap() != null) {
      assertEquals(0, chunk.altmap().alloc, run);
    }
  }

  /** Pages of memmap in {@code [start, end)} that are mapped. */
  private long mapped(long start, long end) {
    return LongStream.iterate(start, va -> va < end, va -> va + PAGE)
        .filter(va -> m.level(va) >= 0)
        .count();
  }

  // ---- sections ----

  /**
   * Two subsections with base pages: a usage record and the slab page for it, then 16 frames of
   * memmap.
   *
   * <p>Expect -ENOMEM for each of the 18 in both modes, and no trace.
   */
  @Test
  void sparseAddSection_basePages_eachFailureRollsBack() {
    m.arch.basepagesOnly = true;
    warmTables(DEVICE_PFN);

    assertEquals(2 * 18, failEachAllocation(new Chunk(DEVICE_PFN, 2 * SUBSECTION, null, null)));
  }

  /** The tables above a chunk, so that a later run fails at frames only. */
  private void warmTables(long pfn) {
    m.vmemmap.vmemmapPopulateBasepages(m.memmap(pfn), m.memmap(pfn) + PAGE, 0, null);
    m.arch.vmemmapFree(m.memmap(pfn), m.memmap(pfn) + PAGE, null);
  }

  /**
   * A section with leaves, each time in a place without mem_section root and tables.
   *
   * <p>Expect a failed block alone to fall back to base pages and succeed, all else to be undone.
   */
  @Test
  void sparseAddSection_leaves_eachFailureRollsBackOrFallsBack() {
    assertTrue(failEachAllocation(new Chunk(FAR_PFN, SECTION, null, null), FAR_STEP) > 0);
  }

  /** A section out of an altmap. Expect no fallback: what fails is refused, the altmap is whole. */
  @Test
  void sparseAddSection_altmap_eachFailureRollsBack() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, SECTION, 0, 512);

    assertTrue(failEachAllocation(new Chunk(DEVICE_PFN, SECTION, altmap, null)) >= 2 * 3);
  }

  /**
   * A section of compound pages of 2 MiB.
   *
   * <pre>
   *   [h][t][t][t][t][t][t][t] x 64     two frames for each
   * </pre>
   *
   * Expect each of the 128 frames to be refused in both modes, shared ones to lose all references.
   */
  @Test
  void sparseAddSection_compound2M_eachFailureRollsBack() {
    DevPagemap pgmap = m.device(DEVICE_PFN, SECTION, ORDER_2M);

    assertTrue(failEachAllocation(new Chunk(DEVICE_PFN, SECTION, null, pgmap)) >= 2 * 128);
  }

  /** The first section of a compound page of 1 GiB: head frame, tail frame, two tables. */
  @Test
  void sparseAddSection_compound1G_eachFailureRollsBack() {
    DevPagemap pgmap = m.device(DEVICE_PFN, 8 * SECTION, ORDER_1G);

    assertTrue(failEachAllocation(new Chunk(DEVICE_PFN, SECTION, null, pgmap)) > 0);
  }

  /**
   * The second section of it, which only needs tables, and a usage record.
   *
   * <p>Expect the tail frame that it shares to keep the references of the first section only.
   */
  @Test
  void sparseAddSection_compound1GReuse_eachFailureRollsBack() {
    DevPagemap pgmap = m.device(DEVICE_PFN, 8 * SECTION, ORDER_1G);
    new Chunk(DEVICE_PFN, SECTION, null, pgmap).add(m);
    long tail = m.frame(m.memmap(DEVICE_PFN) + PAGE);

    assertTrue(failEachAllocation(new Chunk(DEVICE_PFN + SECTION, SECTION, null, pgmap)) > 0);
    assertEquals(511, m.refcount(tail));
  }

  // ---- populate alone ----

  /** Runs a populate in both modes with every n, in a fresh range each time. */
  private void failEachPopulate(long bytes, PopulateAt populate) {
    long start = m.memmap(FAR_PFN);
    for (Mode mode : Mode.values()) {
      boolean failed = true;
      for (int n = 1; failed; n++, start += 1L << 30) {
        long at = start;
        mode.arm(m, n);
        int rc = populate.at(at, at + bytes);
        failed = m.machine.faults().failed() > 0;
        m.machine.faults().disarm();
        String run = mode + " n=" + n;
        assertTrue(rc == 0 || rc == -Errno.ENOMEM, run);
        assertEquals(rc == 0, mapped(at, at + bytes) == bytes / PAGE, run);
        m.arch.vmemmapFree(at, at + bytes, null);
      }
    }
  }

  /** A populate function with its other arguments bound. */
  private interface PopulateAt {
    int at(long start, long end);
  }

  /**
   * Tables and frames of six base pages, and of two leaves, in fresh places.
   *
   * <p>Expect -ENOMEM with the front mapped, or success; freeing the range gives all frames back.
   */
  @Test
  void populateBasepagesAndHugepages_eachFails_noFrameIsLost() {
    List<Long> before = books();

    failEachPopulate(6 * PAGE, (s, e) -> m.vmemmap.vmemmapPopulateBasepages(s, e, 0, null));
    failEachPopulate(2 * MIB, (s, e) -> m.vmemmap.vmemmapPopulateHugepages(s, e, 0, null));

    assertEquals(before, books());
  }

  /**
   * Boot HVO of a folio of 8 MiB on a machine that has not booted: shared tail, tables, the head's
   * frame.
   *
   * <pre>
   *   vpage  0    1    2   ...  31
   *         [f0] [T ] [T ]     [T ]
   * </pre>
   *
   * Expect -ENOMEM, an entry for each frame that was taken, at most one tail, and that the retry
   * completes the folio.
   */
  @Test
  void populateHvo_eachFails_keepsWhatItHasAndCompletesLater() {
    for (Mode mode : Mode.values()) {
      boolean failed = true;
      for (int n = 1; failed; n++) {
        SmallMachine early = SmallMachine.small();
        mode.arm(early, n);
        int rc = hvo8M(early);
        failed = early.machine.faults().failed() > 0;
        early.machine.faults().disarm();
        String run = mode + " n=" + n;
        assertEquals(failed ? -Errno.ENOMEM : 0, rc, run);
        Page tail = early.zone(0, ZoneType.ZONE_DMA32).vmemmapTails[2 + ORDER_2M - 7];
        assertEquals(tail == null ? 0 : 1, early.owned(Owner.SHARED_TAIL), run);
        boolean head = early.level(early.memmap(DEVICE_PFN)) == 0;
        assertEquals(head ? 1 : 0, early.owned(Owner.VMEMMAP), run);

        assertEquals(0, hvo8M(early), run);
        assertEquals(1, early.owned(Owner.SHARED_TAIL), run);
        assertEquals(1, early.owned(Owner.VMEMMAP), run);
      }
    }
  }

  private static int hvo8M(SmallMachine m) {
    long addr = m.memmap(DEVICE_PFN);
    return m.vmemmap.vmemmapPopulateHvo(
        addr, addr + 32 * PAGE, ORDER_2M + 2, m.zone(0, ZoneType.ZONE_DMA32), PAGE);
  }

  /** Blocks of either allocator and of an altmap. Expect NULL and nothing taken, in both modes. */
  @Test
  void allocBlock_eachSource_failsWithoutTaking() {
    SmallMachine early = SmallMachine.small();
    VmemAltmap altmap = m.altmap(DEVICE_PFN, 1024, 0, 1024);
    List<Supplier<Long>> sources =
        List.of(
            () -> m.vmemmap.vmemmapAllocBlock(MIB, 0),
            () -> m.vmemmap.vmemmapAllocBlockBuf(PAGE, 0, altmap));
    List<Long> before = books();

    for (Mode mode : Mode.values()) {
      for (Supplier<Long> source : sources) {
        mode.arm(m, 1);
        assertEquals(0L, source.get());
      }
      mode.arm(early, 1);
      assertEquals(0, early.vmemmap.vmemmapAllocBlock(MIB, 0));
    }

    assertEquals(before, books());
    assertEquals(0, altmap.alloc + altmap.align);
    assertEquals(0, early.owned(Owner.VMEMMAP));
  }
}
