// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Page;
import org.vmemmap.types.Series;

/** mm/bootmem_info.c, which 7.3 no longer has: what frames of boot memmap remember. */
class BootmemInfoTest {
  private static final int SECTION_INFO = BootmemInfo.SECTION_INFO;
  private static final int MIX_SECTION_INFO = BootmemInfo.MIX_SECTION_INFO;

  private static SmallMachine boot(String kernel, boolean configured, Ram... ram) {
    SmallMachine m = new SmallMachine(config().withSeries(Series.profile(kernel)), ram);
    m.arch.bootmemInfo = configured;
    return m.boot();
  }

  private final SmallMachine m = boot("7.2", true, new Ram(0, 384 * MIB, 0));
  private final BootmemInfo info = m.vmemmap.bootmemInfo();

  /** A frame of boot memmap: reserved, with one reference. */
  private final Page frame = m.mm.model().pfnToPage(m.frame(m.memmap(SECTION)));

  /** Who has the file. Expect an architecture that wants it, in kernels before 7.3. */
  @Test
  void configured_kernelAndArchitecture_bothDecide() {
    assertTrue(info.configured());
    assertFalse(boot("7.2", false, new Ram(0, 128 * MIB, 0)).vmemmap.bootmemInfo().configured());
    assertFalse(boot("7.3", true, new Ram(0, 128 * MIB, 0)).vmemmap.bootmemInfo().configured());
  }

  /**
   * A frame is registered for section 5.
   *
   * <pre>
   *   private   |  5  |2|      count 1 -> 2
   * </pre>
   *
   * Expect number and type in private, and one reference more.
   */
  @Test
  void getPageBootmem_section_isRemembered() {
    info.getPageBootmem(5, frame, MIX_SECTION_INFO);

    assertEquals(5 << 4 | 2, m.mm.struct().priv(frame));
    assertEquals(2, m.mm.struct().refcount(frame));
    assertEquals(5, info.bootmemInfo(frame));
    assertEquals(MIX_SECTION_INFO, info.bootmemType(frame));
  }

  /** A type or number with too many bits. Expect bugs, none for the largest. */
  @Test
  void getPageBootmem_tooLarge_isABug() {
    assertThrows(KernelBug.class, () -> info.getPageBootmem(1, frame, 16));
    assertThrows(KernelBug.class, () -> info.getPageBootmem(1L << 60, frame, 1));
    info.getPageBootmem((1L << 60) - 1, frame, 15);
    assertEquals((1L << 60) - 1, info.bootmemInfo(frame));
    assertEquals(15, info.bootmemType(frame));
  }

  /** Registered twice, taken back twice. Expect the frame free with the second, private 0. */
  @Test
  void putPageBootmem_last_freesTheFrame() {
    info.getPageBootmem(1, frame, SECTION_INFO);
    info.getPageBootmem(1, frame, SECTION_INFO);

    info.putPageBootmem(frame);
    assertEquals(2, m.mm.struct().refcount(frame));
    assertTrue(m.mm.flags().pageReserved(frame));
    assertEquals(1, info.bootmemInfo(frame));

    info.putPageBootmem(frame);
    assertFalse(m.mm.flags().pageReserved(frame));
    assertEquals(0, m.mm.struct().refcount(frame));
    assertTrue(m.mm.flags().pageBuddy(frame));
  }

  /** A type that memory removal does not know. Expect the bug; the last known type is fine. */
  @Test
  void putPageBootmem_unknownType_isABug() {
    assertThrows(KernelBug.class, () -> info.putPageBootmem(frame));
    info.getPageBootmem(1, frame, 4);
    assertThrows(KernelBug.class, () -> info.putPageBootmem(frame));
    info.getPageBootmem(1, frame, 3);
    info.putPageBootmem(frame);
    assertEquals(2, m.mm.struct().refcount(frame));
  }

  /** A registered frame of either type is freed. Expect it with the page allocator. */
  @Test
  void freeBootmemPage_registered_isFreed() {
    Page other = m.mm.struct().add(frame, 1);
    info.getPageBootmem(1, frame, SECTION_INFO);
    info.getPageBootmem(1, other, MIX_SECTION_INFO);

    info.freeBootmemPage(frame);
    info.freeBootmemPage(other);

    assertFalse(m.mm.flags().pageReserved(frame));
    assertFalse(m.mm.flags().pageReserved(other));
    assertEquals(List.of(), m.warnings());
  }

  /** One that was never registered, or twice, or for a node. Expect the bugs of DEBUG_VM. */
  @Test
  void freeBootmemPage_notRegisteredOnce_isABug() {
    assertBug("free_bootmem_page: page_ref_count(page) != 2");
    info.getPageBootmem(1, frame, 3);
    assertBug("free_bootmem_page: type is neither SECTION_INFO nor MIX_SECTION_INFO");
    info.getPageBootmem(1, frame, SECTION_INFO);
    assertBug("free_bootmem_page: page_ref_count(page) != 2");
  }

  private void assertBug(String text) {
    KernelBug bug = assertThrows(KernelBug.class, () -> info.freeBootmemPage(frame));
    assertEquals("kernel BUG at " + text, bug.getMessage());
  }

  /** A kernel without the file. Expect a reserved page to be freed like any other. */
  @Test
  void freeBootmemPage_notConfigured_freesAReservedPage() {
    SmallMachine later = boot("7.3", true, new Ram(0, 384 * MIB, 0));
    Page page = later.mm.model().pfnToPage(later.frame(later.memmap(SECTION)));

    later.vmemmap.bootmemInfo().freeBootmemPage(page);

    assertTrue(later.mm.flags().pageBuddy(page));
    assertEquals(SECTION_INFO, later.vmemmap.bootmemInfo().bootmemType(page));
    assertEquals(0, later.vmemmap.bootmemInfo().bootmemInfo(page));
    later.vmemmap.bootmemInfo().registerPageBootmemMemmap(1, page, SECTION);
    later.vmemmap.bootmemInfo().registerPageBootmemInfoNode(later.mm.nodes().nodeData(0));
    assertEquals(List.of(), later.arch.registered);
  }

  /**
   * A node with a hole of a section, and with one section that HugeTLB populated early.
   *
   * <pre>
   *   section   0    1    2    3    4
   *            |n0 | -  |n0*| n1 | n0 |      * PREINIT
   * </pre>
   *
   * Expect each node's own sections, without the hole and without what was made early.
   */
  @Test
  void registerPageBootmemInfoNode_interleaved_registersItsOwn() {
    SmallMachine two =
        boot(
            "7.2",
            true,
            new Ram(0, 128 * MIB, 0),
            new Ram(256 * MIB, 384 * MIB, 0),
            new Ram(384 * MIB, 512 * MIB, 1),
            new Ram(512 * MIB, 640 * MIB, 0));
    two.mm.mmzone().section(2).sectionMemMap |= Mmzone.SECTION_IS_VMEMMAP_PREINIT;
    BootmemInfo own = two.vmemmap.bootmemInfo();

    own.registerPageBootmemInfoNode(two.mm.nodes().nodeData(0));
    assertEquals(List.of(0L, 4L), two.arch.registered);

    two.arch.registered.clear();
    own.registerPageBootmemInfoNode(two.mm.nodes().nodeData(1));
    assertEquals(List.of(3L), two.arch.registered);

    two.arch.registered.clear();
    own.registerPageBootmemMemmap(2, two.mm.model().pfnToPage(2 * SECTION), SECTION);
    assertEquals(List.of(2L), two.arch.registered);
  }

  /**
   * A node that begins and ends in the middle of a section.
   *
   * <pre>
   *   section      0             1
   *             |      ######|######      |
   *   looked at        ^            next step: the node's end
   * </pre>
   *
   * Expect section 0 only: steps of a section from the first pfn do not meet the other one.
   */
  @Test
  void registerPageBootmemInfoNode_startsInASection_missesTheLastOne() {
    SmallMachine odd = boot("7.2", true, new Ram(64 * MIB, 192 * MIB, 0));

    odd.vmemmap.bootmemInfo().registerPageBootmemInfoNode(odd.mm.nodes().nodeData(0));

    assertEquals(List.of(0L), odd.arch.registered);
  }
}
