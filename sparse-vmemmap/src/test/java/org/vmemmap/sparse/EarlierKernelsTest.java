// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.SmallMachine.DEVICE_PFN;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.PAGE;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.SECTION_VPAGES;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Series;

/**
 * Kernels before 7.3: what their memmap is cut from, what they count, and what they do without
 * memory for it.
 */
class EarlierKernelsTest {
  private static SmallMachine machine(String kernel, Ram... ram) {
    return new SmallMachine(config().withSeries(Series.profile(kernel)), ram);
  }

  private static SmallMachine small(String kernel) {
    return machine(kernel, new Ram(0, 384 * MIB, 0));
  }

  // ---- what is counted ----

  /** A section that cannot be populated, before and since patch 1. Expect -512, then 0. */
  @Test
  void populateSectionMemmap_failed_isCountedSincePatch1() {
    for (String kernel : new String[] {"7.1", "7.2"}) {
      SmallMachine m = small(kernel).boot();
      m.failAll("vmemmap_alloc_block");

      assertEquals(-Errno.ENOMEM, m.addSection(DEVICE_PFN, SECTION, null, null));

      long counted = kernel.equals("7.1") ? -SECTION_VPAGES : 0;
      assertEquals(counted, m.mm.vmstat().nrMemmapPages());
      m.machine.faults().disarm();
      assertEquals(0, m.addSection(DEVICE_PFN, SECTION, null, null));
      assertEquals(counted + SECTION_VPAGES, m.mm.vmstat().nrMemmapPages());
    }
  }

  /** Device memory of 2 MiB pages, before and since patch 3. Expect all counted, then 128. */
  @Test
  void sectionNrVmemmapPages_device_isOptimisedSincePatch3() {
    SmallMachine old = small("7.1").boot();
    old.addSection(DEVICE_PFN, SECTION, null, old.device(DEVICE_PFN, SECTION, 9));
    assertEquals(SECTION_VPAGES, old.mm.vmstat().nrMemmapPages());

    SmallMachine m = small("7.2").boot();
    m.addSection(DEVICE_PFN, SECTION, null, m.device(DEVICE_PFN, SECTION, 9));
    assertEquals(128, m.mm.vmstat().nrMemmapPages());
  }

  /**
   * A boot section goes in two parts, 3/4 and 1/4. Expect all of its memmap counted back, before
   * patch 1 only that of the part that went last.
   */
  @Test
  void freeMapBootmem_lastPart_countsTheSectionSincePatch1() {
    for (String kernel : new String[] {"7.1", "7.2"}) {
      SmallMachine m = small(kernel);
      m.memblock.memblockReserve(256 * MIB, 128 * MIB);
      m.boot();
      long boot = m.mm.vmstat().nrMemmapBootPages();
      long part = SECTION * 3 / 4;

      m.vmemmap.sparseRemoveSection(2 * SECTION, part, null, null);
      m.vmemmap.sparseRemoveSection(2 * SECTION + part, SECTION - part, null, null);

      long counted = kernel.equals("7.1") ? SECTION_VPAGES / 4 : SECTION_VPAGES;
      assertEquals(boot - counted, m.mm.vmstat().nrMemmapBootPages());
    }
  }

  // ---- without memory ----

  /** No memory for the usage buffer, before patch 9. Expect the line and no section. */
  @Test
  void sparseInitNid_noUsageBuffer_forgetsTheSections() {
    SmallMachine m = small("7.2");
    m.failAll("sparse_usage_init");

    // There is nothing to set subsections in, and the kernel follows the pointer all the same.
    assertThrows(KernelBug.class, m.sparse::sparseInit);

    assertEquals(List.of("sparse_init_nid: node[0] usemap allocation failed"), m.log());
    for (long nr = 0; nr < 3; nr++) {
      assertEquals(0, m.sectionMemMap(nr));
    }
    assertEquals(0, m.mm.vmstat().nrMemmapBootPages());
  }

  /**
   * No memory for the memmap of the second of three sections, before patch 9.
   *
   * <pre>
   *   section   0        1       2
   *            |memmap | none  | none  |     both absent from now on
   * </pre>
   *
   * Expect the line, the first section with its memmap, and the next node not to care.
   */
  @Test
  void sparseInitNid_noMemmap_forgetsTheRestOfTheNode() {
    SmallMachine m =
        machine("7.2", new Ram(0, 384 * MIB, 0), new Ram(384 * MIB, 512 * MIB, 1));
    m.arch.basepagesOnly = true;
    m.machine.faults().failNth(514 + 3, "vmemmap_alloc_block"::equals);

    assertThrows(KernelBug.class, m.sparse::sparseInit);

    assertEquals(
        List.of(
            "sparse_init_nid: node[0] memory map backing failed."
                + " Some memory will not be available."),
        m.log());
    assertTrue(m.mm.mmzone().validSection(m.mm.mmzone().section(0)));
    assertEquals(0, m.sectionMemMap(1));
    assertEquals(0, m.sectionMemMap(2));
    assertTrue(m.mm.mmzone().validSection(m.mm.mmzone().section(3)));
    assertEquals(2 * SECTION_VPAGES, m.mm.vmstat().nrMemmapBootPages());
  }

  /** The hook has given section 1 a memmap before the node fails. Expect it to keep it. */
  @Test
  void sparseInitNid_noMemmap_keepsWhatTheHookMade() {
    SmallMachine m = small("7.2");
    Page map = m.mm.model().pfnToPage(SECTION);
    m.vmemmap.setEarlyHook(
        nid -> m.sparse.sparseInitEarlySection(nid, map, 1, Mmzone.SECTION_IS_VMEMMAP_PREINIT));
    m.failAll("vmemmap_alloc_block");

    assertThrows(KernelBug.class, m.sparse::sparseInit);

    assertEquals(0, m.sectionMemMap(0));
    assertTrue(m.mm.mmzone().validSection(m.mm.mmzone().section(1)));
    assertEquals(0, m.sectionMemMap(2));
  }

  /**
   * The node's turn ends with the failure. Expect what is left of both buffers to be gone: 7.1 has
   * one for memmap, and the next usage record would be the second of three.
   */
  @Test
  void sparseInitNid_noMemmap_keepsNoBuffer() {
    SmallMachine m = small("7.1");
    Page map = m.mm.model().pfnToPage(0);
    m.failAll("vmemmap_alloc_block");

    assertThrows(KernelBug.class, m.sparse::sparseInit);

    assertEquals(0, m.owned(Owner.VMEMMAP));
    assertEquals(0, m.sparse.buffer().alloc(PAGE));
    KernelBug late =
        assertThrows(KernelBug.class, () -> m.sparse.sparseInitEarlySection(0, map, 0, 0));
    assertTrue(String.valueOf(late.getMessage()).contains("sparse_usagebuf"));
  }

  /** The same at 7.3, which has patch 9. Expect a panic that names the node. */
  @Test
  void sparseInitNid_patch9_panics() {
    SmallMachine m = small("7.3");
    m.failAll("sparse_usage_init");

    assertThrows(KernelPanic.class, m.sparse::sparseInit);
  }

  // ---- the buffer of 7.1 ----

  /**
   * One buffer for the memmap of three sections, 6 MiB.
   *
   * <pre>
   *   buf |  section 0  |  section 1  |  section 2  | end
   *        leaf   leaf    leaf   leaf    leaf   leaf
   * </pre>
   *
   * Expect all memmap in one piece, aligned to that of a section, and only tables from elsewhere.
   */
  @Test
  void sparseInit_buffer_holdsAllMemmapOfTheNode() {
    SmallMachine m = small("7.1");
    m.sparse.sparseInit();

    long first = m.frame(m.memmap(0));
    assertEquals(0, first % SECTION_VPAGES);
    for (long vpage = 0; vpage < 3 * SECTION_VPAGES; vpage += 256) {
      assertEquals(first + vpage, m.frame(m.memmap(0) + vpage * PAGE));
    }
    assertEquals(3 * SECTION_VPAGES, m.owned(Owner.VMEMMAP));
    assertEquals(0, m.sparse.buffer().alloc(PAGE));
  }

  /** Two nodes. Expect a buffer on each. */
  @Test
  void sparseInit_buffer_isOnItsNode() {
    SmallMachine m =
        machine("7.1", new Ram(0, 128 * MIB, 0), new Ram(128 * MIB, 256 * MIB, 1));
    m.sparse.sparseInit();

    assertTrue(m.frame(m.memmap(0)) < SECTION);
    assertTrue(m.frame(m.memmap(SECTION)) >= SECTION);
    assertEquals(2 * SECTION_VPAGES, m.owned(Owner.VMEMMAP));
  }

  /** Part of the buffer is not needed: the hook made a section. Expect it back in memblock. */
  @Test
  void sparseBuffer_rest_isGivenBack() {
    SmallMachine m = small("7.1");
    Page map = m.mm.model().pfnToPage(SECTION);
    m.vmemmap.setEarlyHook(
        nid -> m.sparse.sparseInitEarlySection(nid, map, 1, Mmzone.SECTION_IS_VMEMMAP_PREINIT));

    m.sparse.sparseInit();

    assertEquals(2 * SECTION_VPAGES, m.owned(Owner.VMEMMAP));
    long first = m.frame(m.memmap(0));
    assertTrue(m.memblock.memblockIsReserved((first << 12) + 4 * MIB - 1));
    assertFalse(m.memblock.memblockIsReserved((first << 12) + 4 * MIB));
    assertFalse(m.memblock.memblockIsReserved((first << 12) + 6 * MIB - 1));
  }

  /** No memory for the buffer. Expect each block from memblock, and no error. */
  @Test
  void sparseBuffer_noMemory_blocksComeFromMemblock() {
    SmallMachine m = small("7.1");
    m.failNth(1, "sparse_buffer_init");

    m.sparse.sparseInit();

    assertEquals(3 * SECTION_VPAGES, m.owned(Owner.VMEMMAP));
    assertEquals(3 * SECTION_VPAGES, m.mm.vmstat().nrMemmapBootPages());
    assertEquals(List.of(), m.warnings());
  }

  /**
   * Pieces of different size are cut from a buffer of 4 MiB.
   *
   * <pre>
   *   |p|  gap, back |  1 MiB  |p|   rest   |
   *   0  1            256       512          1024
   * </pre>
   *
   * Expect each aligned to its size, the gap free again, and nothing for what does not fit. What is in
   * the buffer, or was cut from it, is booked as memmap.
   */
  @Test
  void sparseBuffer_pieces_areAlignedToTheirSize() {
    SmallMachine m = small("7.1");
    SparseBuffer buffer = m.sparse.buffer();
    buffer.init(4 * MIB, 0);
    assertEquals(1024, m.owned(Owner.VMEMMAP));

    long page = buffer.alloc(PAGE);
    assertTrue(page != 0);
    assertEquals(page + MIB, buffer.alloc(MIB));
    assertEquals(1024 - 255, m.owned(Owner.VMEMMAP));
    assertEquals(page + 2 * MIB, buffer.alloc(PAGE));
    assertEquals(page + 3 * MIB, buffer.alloc(MIB));
    assertEquals(0, buffer.alloc(PAGE));
    assertEquals(514, m.owned(Owner.VMEMMAP));
    long paddr = m.mm.model().pa(page);
    assertTrue(m.memblock.memblockIsReserved(paddr + PAGE - 1));
    assertFalse(m.memblock.memblockIsReserved(paddr + PAGE));
    assertFalse(m.memblock.memblockIsReserved(paddr + MIB - 1));
    assertTrue(m.memblock.memblockIsReserved(paddr + MIB));
    assertFalse(m.memblock.memblockIsReserved(paddr + 3 * MIB - 1));

    buffer.fini();
    assertTrue(m.memblock.memblockIsReserved(paddr + 4 * MIB - 1));
    assertEquals(0, buffer.alloc(PAGE));
  }

  /** It ends with all of it unused, and again. Expect memblock to have it all, once. */
  @Test
  void sparseBufferFini_unused_givesAllBack() {
    SmallMachine m = small("7.1");
    long reserved = m.memblock.memblockReservedSize();
    m.sparse.buffer().init(4 * MIB, 0);
    assertEquals(reserved + 4 * MIB, m.memblock.memblockReservedSize());

    m.sparse.buffer().fini();
    m.sparse.buffer().fini();

    assertEquals(reserved, m.memblock.memblockReservedSize());
    assertEquals(0, m.owned(Owner.VMEMMAP));
    assertEquals(List.of(), m.warnings());
  }

  /** A second buffer while the first is there. Expect the warning; in 7.2 no buffer at all. */
  @Test
  void sparseBufferInit_twice_warns() {
    SmallMachine m = small("7.1");
    m.sparse.buffer().init(2 * MIB, 0);
    m.sparse.buffer().init(2 * MIB, 0);
    assertEquals(List.of("sparse_buffer_init: sparsemap_buf"), m.warnings());

    SmallMachine later = small("7.2");
    later.sparse.buffer().init(2 * MIB, 0);
    assertEquals(0, later.sparse.buffer().alloc(PAGE));
  }

  // ---- what an architecture hears ----

  /** A boot and a section that is added. Expect mem_init() once and each populate told. */
  @Test
  void arch_bootAndAdd_hearsOfEach() {
    SmallMachine m = small("7.3").boot();
    assertEquals(1, m.arch.memInits);
    assertEquals(1, m.arch.lastPrinted);
    assertEquals(
        List.of(m.memmap(0), m.memmap(SECTION), m.memmap(2 * SECTION)), m.arch.flushed);

    m.hotplug.addPages(0, DEVICE_PFN, SECTION, new MemoryHotplug.MhpParams(null, null));
    assertEquals(m.memmap(DEVICE_PFN), m.arch.flushed.getLast());
    assertEquals(2, m.arch.lastPrinted);

    m.failAll("vmemmap_alloc_block");
    int before = m.arch.flushed.size();
    m.addSection(DEVICE_PFN + SECTION, SECTION, null, null);
    assertEquals(before, m.arch.flushed.size());
    assertNotNull(m.vmemmap.bootmemInfo());
  }
}
