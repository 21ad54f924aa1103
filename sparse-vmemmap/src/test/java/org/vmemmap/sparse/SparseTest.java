// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.SECTION_VPAGES;
import static org.vmemmap.sparse.SmallMachine.VMEMMAP_BASE;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.MemSection;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;

/** mm/sparse.c on the odd architecture, before the page allocator exists. */
class SparseTest {
  /** Low bits of a boot section: present, has memmap, online, early. */
  private static final long BOOT = 0xf;

  private static MmConfig with(MmConfig c, int sectionSizeBits, boolean preinit) {
    return c.toBuilder().sectionSizeBits(sectionSizeBits).sparsememVmemmapPreinit(preinit).build();
  }

  /**
   * One node with three sections.
   *
   * <pre>
   *   section   0         1         2         3
   *   RAM      |#########|#########|#########|
   *   memmap   |leaf|leaf|leaf|leaf|leaf|leaf|
   * </pre>
   *
   * Expect the same pointer and flags in all of them, two leaves of 1 MiB each, and 512 boot pages
   * counted and owned for each.
   */
  @Test
  void sparseInit_oneNode_makesEarlySections() {
    SmallMachine m = SmallMachine.small();

    m.sparse.sparseInit();

    assertEquals(VMEMMAP_BASE | BOOT, m.sectionMemMap(0));
    assertEquals(VMEMMAP_BASE | BOOT, m.sectionMemMap(2));
    assertEquals(0, m.sectionMemMap(3));
    assertEquals(2, m.mm.mmzone().highestPresentSectionNr);
    assertEquals(1, m.level(m.memmap(0)));
    assertEquals(1, m.level(m.memmap(3 * SECTION - 1)));
    assertEquals(-1, m.level(m.memmap(3 * SECTION)));
    assertEquals(3 * SECTION_VPAGES, m.mm.vmstat().nrMemmapBootPages());
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertEquals(3 * SECTION_VPAGES, m.owned(Owner.VMEMMAP));
    assertEquals(1, m.owned(Owner.PAGE_TABLE));
    assertTrue(m.warnings().isEmpty());
  }

  /** Usage records of a node are slices of one buffer. Expect them back to back and zeroed. */
  @Test
  void sparseInit_usageRecords_areSlicesOfOneBuffer() {
    SmallMachine m = SmallMachine.small();

    m.sparse.sparseInit();

    int size = m.mm.mmzone().memSectionUsageSize();
    assertEquals(m.usage(0).va() + size, m.usage(1).va());
    assertEquals(m.usage(1).va() + size, m.usage(2).va());
    assertEquals(0, m.usage(1).pageblockFlags()[0]);
  }

  /** Memory that ends inside a section. Expect bits for the subsections that it touches. */
  @Test
  void sparseInit_partialSection_setsOnlyTouchedSubsections() {
    SmallMachine m = new SmallMachine(config(), new Ram(0, 128 * MIB + 5 * MIB, 0));

    m.sparse.sparseInit();

    assertEquals(-1L, m.subsections(0));
    assertEquals(0b111, m.subsections(1));
    assertEquals(1, m.level(m.memmap(2 * SECTION - 1)));
  }

  /**
   * Memory that begins in one section and ends in the third.
   *
   * <pre>
   *   section       1             2             3
   *             |  ###########|#############|######       |
   *   subsection  16        63 0          63 0    31
   * </pre>
   *
   * Expect the bits of each section to begin and end with the memory in it.
   */
  @Test
  void sparseInit_rangeOverThreeSections_setsTheBitsOfEach() {
    SmallMachine m = new SmallMachine(config(), new Ram(160 * MIB, 448 * MIB, 0));

    m.sparse.sparseInit();

    assertEquals(-1L << 16, m.subsections(1));
    assertEquals(-1L, m.subsections(2));
    assertEquals(0xffff_ffffL, m.subsections(3));
  }

  /** A hole of a whole section. Expect no section there and no memmap. */
  @Test
  void sparseInit_hole_leavesTheSectionAbsent() {
    SmallMachine m =
        new SmallMachine(config(), new Ram(0, 128 * MIB, 0), new Ram(256 * MIB, 384 * MIB, 0));

    m.sparse.sparseInit();

    assertEquals(0, m.sectionMemMap(1));
    assertFalse(m.mm.mmzone().pfnValid(SECTION));
    assertEquals(-1, m.level(m.memmap(SECTION)));
    assertTrue(m.mm.mmzone().pfnValid(2 * SECTION));
  }

  /**
   * Sections of two nodes. Expect each node's memmap on the node, with no word of an off-node one.
   */
  @Test
  void sparseInit_twoNodes_placesTheMemmapOnItsNode() {
    SmallMachine m = SmallMachine.twoNodes();

    m.sparse.sparseInit();

    assertTrue(m.frame(m.memmap(0)) < SECTION);
    assertTrue(m.frame(m.memmap(SECTION)) >= SECTION);
    assertTrue(m.log().isEmpty());
  }

  /**
   * Nodes whose sections are interleaved: 0, 1, 0.
   *
   * <p>Expect the hook to be called for node 0 twice, and a usage buffer of its own for each turn.
   */
  @Test
  void sparseInit_interleavedNodes_visitsANodeTwice() {
    SmallMachine m =
        new SmallMachine(
            config(),
            new Ram(0, 128 * MIB, 0),
            new Ram(128 * MIB, 256 * MIB, 1),
            new Ram(256 * MIB, 384 * MIB, 0));
    List<Integer> turns = new ArrayList<>();
    m.vmemmap.setEarlyHook(turns::add);

    m.sparse.sparseInit();

    assertEquals(List.of(0, 1, 0), turns);
    assertEquals(VMEMMAP_BASE | BOOT, m.sectionMemMap(2));
  }

  /**
   * Nothing in section 0, and node 1 before node 0. Expect the turns of the nodes as they come, and
   * none for the section that is not there.
   */
  @Test
  void sparseInit_nothingInSection0_beginsWithTheFirstPresent() {
    SmallMachine m =
        new SmallMachine(
            config(), new Ram(128 * MIB, 256 * MIB, 1), new Ram(256 * MIB, 384 * MIB, 0));
    List<Integer> turns = new ArrayList<>();
    m.vmemmap.setEarlyHook(turns::add);

    m.sparse.sparseInit();

    assertEquals(List.of(1, 0), turns);
    assertEquals(0, m.sectionMemMap(0));
  }

  /** A section that two nodes touch. Expect it to belong to the first. */
  @Test
  void sparseInit_sectionOfTwoNodes_belongsToTheFirst() {
    SmallMachine m =
        new SmallMachine(config(), new Ram(0, 64 * MIB, 0), new Ram(64 * MIB, 128 * MIB, 1));
    List<Integer> turns = new ArrayList<>();
    m.vmemmap.setEarlyHook(turns::add);

    m.sparse.sparseInit();

    assertEquals(List.of(0), turns);
    assertEquals(-1L, m.subsections(0));
  }

  /** The hook populates section 1 itself. Expect the generic code to leave it alone. */
  @Test
  void sparseInit_preinitedSection_isSkipped() {
    SmallMachine m = SmallMachine.small();
    m.vmemmap.setEarlyHook(
        nid ->
            m.sparse.sparseInitEarlySection(
                nid, m.mm.model().pfnToPage(SECTION), 1, Mmzone.SECTION_IS_VMEMMAP_PREINIT));

    m.sparse.sparseInit();

    assertEquals(VMEMMAP_BASE | BOOT | Mmzone.SECTION_IS_VMEMMAP_PREINIT, m.sectionMemMap(1));
    assertEquals(-1, m.level(m.memmap(SECTION)));
    assertEquals(2 * SECTION_VPAGES, m.mm.vmstat().nrMemmapBootPages());
    assertEquals(m.usage(1).va() + m.mm.mmzone().memSectionUsageSize(), m.usage(0).va());
  }

  /** A kernel without SPARSEMEM_VMEMMAP_PREINIT. Expect no call of the hook. */
  @Test
  void sparseVmemmapInitNidEarly_withoutPreinit_doesNothing() {
    SmallMachine m = new SmallMachine(with(config(), 27, false), new Ram(0, 128 * MIB, 0));
    List<Integer> turns = new ArrayList<>();
    m.vmemmap.setEarlyHook(turns::add);

    m.sparse.sparseInit();

    assertTrue(turns.isEmpty());
  }

  /** Outside a node's turn there is no usage buffer. Expect the BUG. */
  @Test
  void sparseInitEarlySection_outsideItsTurn_isABug() {
    SmallMachine m = SmallMachine.small();
    m.sparse.sparseInit();
    Page map = m.mm.model().pfnToPage(0);

    assertThrows(KernelBug.class, () -> m.sparse.sparseInitEarlySection(0, map, 0, 0));
  }

  /**
   * A hook that takes more slices than the node has sections. Expect the BUG at the first too many.
   */
  @Test
  void sparseInitEarlySection_moreThanSlices_isABug() {
    SmallMachine m = SmallMachine.small();
    Page map = m.mm.model().pfnToPage(0);
    List<Integer> done = new ArrayList<>();
    m.vmemmap.setEarlyHook(
        nid -> {
          for (int i = 0; i < 4; i++) {
            m.sparse.sparseInitEarlySection(nid, map, 0, 0);
            done.add(i);
          }
        });

    assertThrows(KernelBug.class, m.sparse::sparseInit);
    assertEquals(List.of(0, 1, 2), done);
  }

  /** No memory for the usage buffer. Expect the panic that names the node. */
  @Test
  void sparseInit_noUsageBuffer_panics() {
    SmallMachine m = SmallMachine.small();
    m.failAll("sparse_usage_init");

    KernelPanic panic = assertThrows(KernelPanic.class, m.sparse::sparseInit);

    assertEquals("Failed to allocate usemap for node 0", panic.getMessage());
  }

  /** No memory for a memmap, nor for a page table. Expect the panic that names the section. */
  @Test
  void sparseInit_noMemmap_panics() {
    SmallMachine m = SmallMachine.small();
    m.failAll("vmemmap_alloc_block");

    KernelPanic panic = assertThrows(KernelPanic.class, m.sparse::sparseInit);

    assertEquals("Failed to allocate memmap for section 0", panic.getMessage());
    assertEquals(0, m.mm.vmstat().nrMemmapBootPages());
  }

  /** No memory for a page of mem_section at boot. Expect the panic with size and node. */
  @Test
  void sparseIndexInit_earlyFailure_panics() {
    SmallMachine m = SmallMachine.small();
    m.failAll("sparse_index_alloc");

    KernelPanic panic = assertThrows(KernelPanic.class, m.sparse::sparseInit);

    assertEquals(
        "sparse_index_alloc: Failed to allocate 4096 bytes nid=0", panic.getMessage());
  }

  /** The same later. Expect -ENOMEM, and the root there after the second attempt. */
  @Test
  void sparseIndexInit_lateFailure_returnsEnomem() {
    SmallMachine m = SmallMachine.small().boot();
    long farSection = 128;
    m.failNth(1, "sparse_index_alloc");

    assertEquals(-Errno.ENOMEM, m.sparse.sparseIndexInit(farSection, 0));
    assertNull(m.mm.mmzone().nrToSection(farSection));

    assertEquals(0, m.sparse.sparseIndexInit(farSection, 0));
    MemSection made = m.mm.mmzone().section(farSection);
    assertEquals(0, m.sparse.sparseIndexInit(farSection, 0));
    assertSame(made, m.mm.mmzone().section(farSection));
  }

  /** Memory that ends behind MAX_PHYSMEM_BITS. Expect a warning and no section behind it. */
  @Test
  void sparseInit_endBeyondMaxPhysmem_warnsAndCuts() {
    SmallMachine m =
        new SmallMachine(config().withMaxPhysmemBits(28), new Ram(0, 384 * MIB, 0));

    assertThrows(KernelBug.class, m.sparse::sparseInit);

    assertEquals(List.of("mminit_validate_memmodel_limits: end_pfn"), m.warnings());
    assertEquals(1, m.mm.mmzone().highestPresentSectionNr);
  }

  /** Memory that ends with it. Expect all of it, without a word. */
  @Test
  void sparseInit_endAtMaxPhysmem_isFine() {
    SmallMachine m =
        new SmallMachine(config().withMaxPhysmemBits(28), new Ram(0, 256 * MIB, 0));

    m.sparse.sparseInit();

    assertEquals(List.of(), m.warnings());
    assertEquals(1, m.mm.mmzone().highestPresentSectionNr);
  }

  /**
   * Memory that starts behind it, or where it ends. Expect the other warning, or that of an end, and
   * all of the range ignored.
   */
  @ParameterizedTest
  @CsvSource({"384, start_pfn", "256, end_pfn"})
  void sparseInit_startBeyondMaxPhysmem_warnsAndIgnores(long mib, String which) {
    SmallMachine m =
        new SmallMachine(
            config().withMaxPhysmemBits(28),
            new Ram(0, 128 * MIB, 0),
            new Ram(mib * MIB, 512 * MIB, 0));

    assertThrows(KernelBug.class, m.sparse::sparseInit);

    assertEquals(List.of("mminit_validate_memmodel_limits: " + which), m.warnings());
    assertEquals(0, m.mm.mmzone().highestPresentSectionNr);
  }

  /** Masks in compound_info need an aligned memmap. Expect the check of a DEBUG_VM kernel. */
  @Test
  void sparseInit_misalignedVmemmap_warns() {
    long base = VMEMMAP_BASE + 2 * MIB;
    SmallMachine m = new SmallMachine(config(), base, new Ram(0, 128 * MIB, 0));

    m.sparse.sparseInit();

    assertEquals(
        List.of("sparse_init: !IS_ALIGNED(pfn_to_page(0), MAX_FOLIO_VMEMMAP_ALIGN)"),
        m.warnings());
    assertEquals(base | BOOT, m.sectionMemMap(0));
  }

  /** Pointers in compound_info need none. Expect no warning with 56-byte struct pages. */
  @Test
  void sparseInit_withoutMasks_needsNoAlignment() {
    long base = VMEMMAP_BASE + 2 * MIB;
    MmConfig config = config().withSizeofStructPage(56);
    SmallMachine m = new SmallMachine(config, base, new Ram(0, 128 * MIB, 0));

    m.sparse.sparseInit();

    assertTrue(m.warnings().isEmpty());
    assertEquals(448, m.mm.vmstat().nrMemmapBootPages());
  }

  /** A memmap address with bits where flags go. Expect the check of a DEBUG_VM kernel. */
  @Test
  void sparseInitOneSection_lowBitsInTheAddress_warns() {
    SmallMachine m = SmallMachine.small();
    MemSection ms = new MemSection();

    m.sparse.sparseInitOneSection(ms, 0, new Page(VMEMMAP_BASE + 8), null, 0);

    assertEquals(
        List.of("sparse_init_one_section: coded_mem_map & ~SECTION_MAP_MASK"), m.warnings());
  }

  /** A section whose memmap pointer has no room for six flags. Expect what the build does. */
  @Test
  void sparse_tinySections_doNotBuild() {
    MmConfig tiny = with(config(), 17, true);

    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> new SmallMachine(tiny, new Ram(0, MIB, 0)));
    assertEquals("BUILD_BUG_ON: SECTION_MAP_LAST_BIT", e.getMessage());
    MmConfig smallest = with(config(), 18, true);
    assertDoesNotThrow(() -> new SmallMachine(smallest, new Ram(0, MIB, 0)));
  }

  /** The memmap of a section in whole pmds. Expect 56-byte struct pages to round up. */
  @Test
  void sectionMapSize_roundsUpToPmds() {
    SmallMachine m64 = SmallMachine.small();
    SmallMachine m56 = new SmallMachine(config().withSizeofStructPage(56));
    SmallMachine m72 = new SmallMachine(config().withSizeofStructPage(72));

    assertEquals(2 * MIB, m64.sparse.sectionMapSize());
    assertEquals(2 * MIB, m56.sparse.sectionMapSize());
    assertEquals(3 * MIB, m72.sparse.sectionMapSize());
  }

  /** Sections of 512 MiB have 256 subsections. Expect bits in all four words. */
  @Test
  void sparseInit_bigSections_fillLongBitmaps() {
    SmallMachine m = new SmallMachine(with(config(), 29, true), new Ram(0, 512 * MIB, 0));

    m.sparse.sparseInit();

    assertEquals(4, m.usage(0).subsectionMap().length);
    assertEquals(-1L, m.usage(0).subsectionMap()[0]);
    assertEquals(-1L, m.usage(0).subsectionMap()[3]);
  }
}
