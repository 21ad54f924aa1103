// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.SmallMachine.DEVICE_PFN;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.PAGE;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.SUBSECTION;
import static org.vmemmap.sparse.SmallMachine.VMEMMAP_BASE;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.VmemAltmap;

/** Sections that come and go after boot: section_activate() and section_deactivate(). */
class SparseSectionTest {
  private static final long DEV = DEVICE_PFN / SECTION;

  /** Present and with a memmap: what a hot-added section has before it goes online. */
  private static final long ADDED = VMEMMAP_BASE | 3;

  private static final String USAGE = "section_activate";
  private static final String BLOCK = "vmemmap_alloc_block";

  /** 384 MiB of which section 2 is reserved as a whole, so that its memmap may go. */
  private final SmallMachine m = reservedSection();

  private static SmallMachine reservedSection() {
    SmallMachine m = new SmallMachine(config(), new Ram(0, 384 * MIB, 0));
    m.memblock.memblockReserve(256 * MIB, 128 * MIB);
    return m.boot();
  }

  private int add(long pfn, long nrPages) {
    return m.addSection(pfn, nrPages, null, null);
  }

  private void remove(long pfn, long nrPages) {
    m.vmemmap.sparseRemoveSection(pfn, nrPages, null, null);
  }

  /** The counters and the ledger, as a whole; page tables stay and are left out. */
  private List<Long> books() {
    return List.of(
        m.mm.vmstat().nrMemmapPages(),
        m.mm.vmstat().nrMemmapBootPages(),
        m.owned(Owner.VMEMMAP),
        m.owned(Owner.ALTMAP),
        m.owned(Owner.SHARED_TAIL),
        m.owned(Owner.ALLOCATED),
        m.slab.objectsInUse());
  }

  // ---- whole sections ----

  /**
   * A section is added. Expect present and memmap, not online or early, all subsections, 512 pages.
   */
  @Test
  void sparseAddSection_whole_addsTheSection() {
    assertEquals(0, add(DEVICE_PFN, SECTION));

    assertEquals(ADDED, m.sectionMemMap(DEV));
    assertEquals(-1L, m.subsections(DEV));
    assertEquals(512, m.mm.vmstat().nrMemmapPages());
    assertEquals(DEV, m.mm.mmzone().highestPresentSectionNr);
    assertTrue(m.mm.mmzone().pfnValid(DEVICE_PFN));
    assertEquals(Owner.SLAB, m.machine.ledger().ownerOf(usageFrame(DEV)));
  }

  private long usageFrame(long nr) {
    return (m.usage(nr).va() - SmallMachine.LINEAR_BASE) >>> 12;
  }

  /** A DEBUG_VM kernel poisons new struct pages. Expect all ones in the first and the last. */
  @Test
  void sparseAddSection_debugVm_poisonsStructPages() {
    add(DEVICE_PFN, SECTION);

    assertEquals(-1L, m.machine.cpu().readLong(m.memmap(DEVICE_PFN)));
    assertEquals(-1L, m.machine.cpu().readLong(m.memmap(DEVICE_PFN + SECTION) - 8));
  }

  /** The section goes again. Expect everything as before. */
  @Test
  void sparseRemoveSection_whole_undoesAdd() {
    List<Long> before = books();
    add(DEVICE_PFN, SECTION);
    long usageFrame = usageFrame(DEV);

    remove(DEVICE_PFN, SECTION);

    assertEquals(0, m.sectionMemMap(DEV));
    assertNull(m.mm.mmzone().section(DEV).usage);
    assertNotEquals(Owner.VMEMMAP, m.machine.ledger().ownerOf(usageFrame));
    assertEquals(-1, m.level(m.memmap(DEVICE_PFN)));
    assertEquals(before, books());
    assertTrue(m.warnings().isEmpty());
  }

  /**
   * Another CPU looks while the usage record goes. Expect pfn_valid() to say no already, so that it
   * does not follow the pointer, and the record to be nobody's in the end.
   */
  @Test
  void sparseRemoveSection_whole_isInvalidBeforeTheUsageRecordGoes() {
    add(DEVICE_PFN, SECTION);
    MemSectionUsage usage = m.usage(DEV);
    List<Boolean> valid = new ArrayList<>();
    m.machine
        .yields()
        .listen(
            (what, where) -> {
              if (where == usage.va()) {
                assertSame(usage, m.usage(DEV));
                valid.add(m.mm.mmzone().pfnValid(DEVICE_PFN));
              }
            });

    remove(DEVICE_PFN, SECTION);

    assertEquals(List.of(false), valid);
    assertThrows(KernelBug.class, usage::subsectionMap);
  }

  /** A section that is there. Expect -EEXIST and no change. */
  @Test
  void sparseAddSection_again_returnsEexist() {
    add(DEVICE_PFN, SECTION);
    List<Long> before = books();

    assertEquals(-Errno.EEXIST, add(DEVICE_PFN, SECTION));
    assertEquals(-Errno.EEXIST, add(DEVICE_PFN + SUBSECTION, SUBSECTION));
    assertEquals(before, books());
    assertEquals(ADDED, m.sectionMemMap(DEV));
  }

  /** No memory for the usage record. Expect -ENOMEM and no trace. */
  @Test
  void sparseAddSection_noUsage_returnsEnomem() {
    List<Long> before = books();
    m.failNth(1, USAGE);

    assertEquals(-Errno.ENOMEM, add(DEVICE_PFN, SECTION));
    assertEquals(before, books());
    assertEquals(0, m.sectionMemMap(DEV));
    assertNull(m.mm.mmzone().section(DEV).usage);
  }

  /** No memory for a page of mem_section. Expect -ENOMEM; the pfn is in no known root. */
  @Test
  void sparseAddSection_noRoot_returnsEnomem() {
    m.failNth(1, "sparse_index_alloc");

    assertEquals(-Errno.ENOMEM, add(128 * SECTION, SECTION));
    assertNull(m.mm.mmzone().nrToSection(128));
  }

  /**
   * Every allocation of a populate fails, first only the n-th, then all from the n-th.
   *
   * <p>Expect -ENOMEM whenever something failed that has no fallback, and then counters, ledger,
   * bits and usage record as before: the counter goes up and down again.
   */
  @Test
  void sparseAddSection_populateFails_rollsBack() {
    m.arch.basepagesOnly = true;
    add(DEVICE_PFN + SECTION, SECTION);
    List<Long> before = books();

    m.machine.faults().failFrom(1, BLOCK::equals);
    checkRollback(before);
    m.machine.faults().failFrom(2, BLOCK::equals);
    checkRollback(before);
    m.machine.faults().failNth(300, BLOCK::equals);
    checkRollback(before);
    m.machine.faults().failNth(512, BLOCK::equals);
    checkRollback(before);

    m.machine.faults().disarm();
    assertEquals(0, add(DEVICE_PFN, SECTION));
    assertEquals(2 * 512, m.mm.vmstat().nrMemmapPages());
  }

  private void checkRollback(List<Long> before) {
    assertEquals(-Errno.ENOMEM, add(DEVICE_PFN, SECTION));
    assertEquals(before, books());
    assertEquals(0, m.sectionMemMap(DEV));
    assertNull(m.mm.mmzone().section(DEV).usage);
    assertEquals(-1, m.level(m.memmap(DEVICE_PFN)));
  }

  // ---- parts of sections ----

  /**
   * Two subsections of a new section.
   *
   * <pre>
   *   subsection  0   1   2   3  ...
   *              |   |###|   |###|
   * </pre>
   *
   * Expect their bits only, pfn_valid() by them, and the section's memmap pointer unchanged.
   */
  @Test
  void sparseAddSection_parts_setTheirBits() {
    add(DEVICE_PFN + SUBSECTION, SUBSECTION);
    add(DEVICE_PFN + 3 * SUBSECTION, SUBSECTION);

    assertEquals(0b1010, m.subsections(DEV));
    assertEquals(ADDED, m.sectionMemMap(DEV));
    assertFalse(m.mm.mmzone().pfnValid(DEVICE_PFN));
    assertTrue(m.mm.mmzone().pfnValid(DEVICE_PFN + SUBSECTION));
    assertEquals(2 * 8, m.mm.vmstat().nrMemmapPages());
  }

  /** Parts go one by one. Expect the section to stay until the last. */
  @Test
  void sparseRemoveSection_parts_keepTheSectionToTheLast() {
    m.arch.basepagesOnly = true;
    List<Long> before = books();
    add(DEVICE_PFN + SUBSECTION, SUBSECTION);
    add(DEVICE_PFN + 3 * SUBSECTION, SUBSECTION);

    remove(DEVICE_PFN + SUBSECTION, SUBSECTION);
    assertEquals(0b1000, m.subsections(DEV));
    assertEquals(ADDED, m.sectionMemMap(DEV));
    assertEquals(8, m.mm.vmstat().nrMemmapPages());

    remove(DEVICE_PFN + 3 * SUBSECTION, SUBSECTION);
    assertEquals(0, m.sectionMemMap(DEV));
    assertEquals(before, books());
  }

  /** A part that is not there, in a section that is. Expect the warning and nothing removed. */
  @Test
  void sparseRemoveSection_inactivePart_warns() {
    add(DEVICE_PFN, SUBSECTION);
    List<Long> before = books();

    remove(DEVICE_PFN, 2 * SUBSECTION);

    assertEquals(List.of("section already deactivated (0x40000 + 1024)"), m.warnings());
    assertEquals(1, m.subsections(DEV));
    assertEquals(before, books());
  }

  /** A section without a usage record, which a valid one never is. Expect the same warning. */
  @Test
  void sparseRemoveSection_noUsage_warns() {
    add(DEVICE_PFN, SUBSECTION);
    m.mm.mmzone().section(DEV).usage = null;

    remove(DEVICE_PFN, SUBSECTION);

    assertEquals(List.of("section already deactivated (0x40000 + 512)"), m.warnings());
  }

  /** A section that is not valid, or has no mem_section at all. Expect the warning, once. */
  @Test
  void sparseRemoveSection_invalid_warns() {
    remove(DEVICE_PFN, SECTION);
    remove(200 * SECTION, SECTION);

    assertEquals(List.of("sparse_remove_section: !valid_section(ms)"), m.warnings());
  }

  /**
   * No page at all, in the middle of a section. Expect -EINVAL, and the usage record given back.
   */
  @Test
  void sparseAddSection_noPages_returnsEinval() {
    List<Long> before = books();

    assertEquals(-Errno.EINVAL, add(DEVICE_PFN + SUBSECTION, 0));
    assertNull(m.mm.mmzone().section(DEV).usage);
    assertEquals(before, books());
  }

  /** mem_section that exists, usage record that does not: what C would follow to address 0. */
  @Test
  void sparseInitSubsectionMap_withoutSections_isANullPointer() {
    SmallMachine early = new SmallMachine(config(), new Ram(0, 128 * MIB, 0));
    early.sparse.sparseIndexInit(0, 0);

    KernelBug bug = assertThrows(KernelBug.class, early.vmemmap::sparseInitSubsectionMap);
    assertEquals("kernel BUG at NULL pointer dereference: ms->usage", bug.getMessage());
  }

  // ---- boot sections ----

  /**
   * A device in a hole of a boot section.
   *
   * <pre>
   *   section 1   |#### RAM ####|  hole, device here  |   memmap complete since boot
   * </pre>
   *
   * Expect the boot memmap to be used: no allocation, no count, and nothing freed with the device.
   */
  @Test
  void sparseAddSection_partOfBootSection_usesItsMemmap() {
    SmallMachine hole = new SmallMachine(config(), new Ram(0, 192 * MIB, 0)).boot();
    long pfn = SECTION + 32 * SUBSECTION;
    long memmap = hole.sectionMemMap(1);
    long frames = hole.owned(Owner.VMEMMAP);
    hole.failAll(BLOCK);

    assertEquals(0, hole.addSection(pfn, 32 * SUBSECTION, null, null));
    assertEquals(-1L, hole.subsections(1));
    assertEquals(memmap, hole.sectionMemMap(1));
    assertEquals(0, hole.mm.vmstat().nrMemmapPages());

    hole.vmemmap.sparseRemoveSection(pfn, 32 * SUBSECTION, null, null);
    assertEquals(0xffff_ffffL, hole.subsections(1));
    assertEquals(frames, hole.owned(Owner.VMEMMAP));
    assertEquals(1, hole.level(hole.memmap(pfn)));
  }

  /**
   * A boot section goes in halves. Expect its memmap to stay for the first, to go with the second.
   */
  @Test
  void sparseRemoveSection_bootSection_goesAsAWhole() {
    long boot = m.mm.vmstat().nrMemmapBootPages();
    long frames = m.owned(Owner.VMEMMAP);

    remove(2 * SECTION, SECTION / 2);
    assertEquals(boot, m.mm.vmstat().nrMemmapBootPages());
    assertEquals(frames, m.owned(Owner.VMEMMAP));

    remove(2 * SECTION + SECTION / 2, SECTION / 2);
    assertEquals(0, m.sectionMemMap(2));
    assertEquals(boot - 512, m.mm.vmstat().nrMemmapBootPages());
    assertEquals(frames - 512, m.owned(Owner.VMEMMAP));
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
  }

  /** The usage record of a boot section is a slice. Expect it to wait for the section's return. */
  @Test
  void sparseRemoveSection_bootSection_keepsTheUsageRecord() {
    MemSectionUsage usage = m.usage(2);
    remove(2 * SECTION, SECTION);
    assertSame(usage, m.usage(2));
    m.failAll(USAGE);

    assertEquals(0, add(2 * SECTION, SECTION));

    assertSame(usage, m.usage(2));
    assertEquals(ADDED, m.sectionMemMap(2));
    assertFalse(m.mm.mmzone().earlySection(m.mm.mmzone().section(2)));
  }

  // ---- online ----

  /** Sections go online and offline. Expect one bit, in every section of the range. */
  @Test
  void onlineMemSections_andOffline_flipOneBit() {
    add(DEVICE_PFN, SECTION);
    add(DEVICE_PFN + SECTION, SECTION);

    m.vmemmap.onlineMemSections(DEVICE_PFN, DEVICE_PFN + 2 * SECTION);
    assertEquals(ADDED | Mmzone.SECTION_IS_ONLINE, m.sectionMemMap(DEV));
    assertEquals(ADDED | Mmzone.SECTION_IS_ONLINE, m.sectionMemMap(DEV + 1));

    m.vmemmap.offlineMemSections(DEVICE_PFN, DEVICE_PFN + SECTION);
    assertEquals(ADDED, m.sectionMemMap(DEV));
    assertEquals(ADDED | Mmzone.SECTION_IS_ONLINE, m.sectionMemMap(DEV + 1));
  }

  // ---- devices ----

  private int add(
      long pfn, long nrPages, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
    return m.addSection(pfn, nrPages, altmap, pgmap);
  }

  /** A section from an altmap. Expect the counters to count it, and the device to have it back. */
  @Test
  void sparseAddSection_altmap_isCountedAndGivenBack() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, SECTION, 0, 512);

    assertEquals(0, add(DEVICE_PFN, SECTION, altmap, null));
    assertEquals(512, m.mm.vmstat().nrMemmapPages());
    assertEquals(512, m.owned(Owner.ALTMAP));

    m.vmemmap.sparseRemoveSection(DEVICE_PFN, SECTION, altmap, null);
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertEquals(0, altmap.alloc);
    assertEquals(0, m.owned(Owner.ALTMAP));
  }

  /** An altmap that is too small. Expect -ENOMEM, the counter at 0, the altmap as it was. */
  @Test
  void sparseAddSection_altmapTooSmall_rollsBack() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, SECTION, 0, 300);

    assertEquals(-Errno.ENOMEM, add(DEVICE_PFN, SECTION, altmap, null));
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertEquals(0, altmap.alloc);
    assertEquals(0, m.sectionMemMap(DEV));
  }

  /**
   * How an optimised device counts: 2 frames for each compound page, whole sections of one larger
   * than a section nothing.
   *
   * <pre>
   *   2 MiB pages   64 in a section   128
   *   1 GiB pages   first section       2, the others 0
   * </pre>
   */
  @Test
  void sectionNrVmemmapPages_compound_countsTwoEach() {
    DevPagemap small = m.device(DEVICE_PFN, SECTION, 9);
    add(DEVICE_PFN, SECTION, null, small);
    assertEquals(128, m.mm.vmstat().nrMemmapPages());

    long second = DEVICE_PFN + 8 * SECTION;
    DevPagemap large = m.device(second, 8 * SECTION, 18);
    add(second, SECTION, null, large);
    assertEquals(128 + 2, m.mm.vmstat().nrMemmapPages());
    add(second + SECTION, SECTION, null, large);
    assertEquals(128 + 2, m.mm.vmstat().nrMemmapPages());

    m.vmemmap.sparseRemoveSection(second + SECTION, SECTION, null, large);
    m.vmemmap.sparseRemoveSection(second, SECTION, null, large);
    m.vmemmap.sparseRemoveSection(DEVICE_PFN, SECTION, null, small);
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
  }

  /** A shared frame has a reference for each entry. Expect it to be freed with the last. */
  @Test
  void sparseRemoveSection_compound_freesTheSharedFrameOnce() {
    List<Long> before = books();
    DevPagemap pgmap = m.device(DEVICE_PFN, 8 * SECTION, 18);
    add(DEVICE_PFN, SECTION, null, pgmap);
    add(DEVICE_PFN + SECTION, SECTION, null, pgmap);
    long tail = m.frame(m.memmap(DEVICE_PFN) + PAGE);
    assertEquals(1023, m.refcount(tail));

    m.vmemmap.sparseRemoveSection(DEVICE_PFN, SECTION, null, pgmap);
    assertEquals(512, m.refcount(tail));
    m.vmemmap.sparseRemoveSection(DEVICE_PFN + SECTION, SECTION, null, pgmap);

    assertEquals(before, books());
  }

  // ---- the checks of a DEBUG_VM kernel ----

  /** 100 pages from an odd pfn. Expect both checks, and -ENOMEM with all undone. */
  @Test
  void sectionNrVmemmapPages_misaligned_warns() {
    assertEquals(-Errno.ENOMEM, add(DEVICE_PFN + 1, 100));

    assertEquals(
        List.of(
            "__populate_section_memmap: !IS_ALIGNED(pfn or nr_pages, PAGES_PER_SUBSECTION)",
            "section_nr_vmemmap_pages: !IS_ALIGNED(pfn | nr_pages, PAGES_PER_SUBSECTION)"),
        m.warnings());
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
  }

  /** Two sections at once. Expect the check. */
  @Test
  void sectionNrVmemmapPages_moreThanASection_warns() {
    add(DEVICE_PFN, 2 * SECTION);

    assertEquals(List.of("section_nr_vmemmap_pages: nr_pages > PAGES_PER_SECTION"), m.warnings());
  }

  /** Half a compound page of 4 MiB. Expect the check. */
  @Test
  void sectionNrVmemmapPages_partOfACompoundPage_warns() {
    add(DEVICE_PFN, SUBSECTION, null, m.device(DEVICE_PFN, SUBSECTION, 10));

    assertEquals(
        List.of("section_nr_vmemmap_pages: !IS_ALIGNED(pfn | nr_pages, pages_per_compound)"),
        m.warnings());
  }

  /** Part of a section, of a compound page as large as it, or of 1 GiB. Expect the check. */
  @ParameterizedTest
  @ValueSource(ints = {15, 18})
  void sectionNrVmemmapPages_partOfASection_warns(int order) {
    add(DEVICE_PFN, SUBSECTION, null, m.device(DEVICE_PFN, 8 * SECTION, order));

    assertEquals(
        List.of("section_nr_vmemmap_pages: !IS_ALIGNED(pfn | nr_pages, PAGES_PER_SECTION)"),
        m.warnings());
    assertEquals(2, m.mm.vmstat().nrMemmapPages());
  }

  /** A kernel without DEBUG_VM checks and poisons nothing. */
  @Test
  void sparseAddSection_withoutDebugVm_doesNotCheck() {
    SmallMachine plain =
        new SmallMachine(config().withDebugVm(false), new Ram(0, 128 * MIB, 0)).boot();

    plain.addSection(DEVICE_PFN, 2 * SECTION, null, null);

    assertTrue(plain.warnings().isEmpty());
    assertNotEquals(-1L, plain.machine.cpu().readLong(plain.memmap(DEVICE_PFN)));
  }
}
