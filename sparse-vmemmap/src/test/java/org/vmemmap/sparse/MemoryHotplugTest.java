// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.when;
import static org.vmemmap.sparse.SmallMachine.DEVICE_PFN;
import static org.vmemmap.sparse.SmallMachine.GIB;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.PAGE;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.SUBSECTION;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.sparse.MemoryHotplug.MhpParams;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Prot;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** The part of mm/memory_hotplug.c that adds and removes ranges of memmap and moves zones' ends. */
class MemoryHotplugTest {
  private static final MhpParams PLAIN = new MhpParams(null, null);
  private static final long DEV = DEVICE_PFN / SECTION;
  private static final int OTHER_SECTIONS = 4;

  private final SmallMachine m = SmallMachine.small().boot();
  private final Zone movable = m.zone(0, ZoneType.ZONE_MOVABLE);
  private final Zone device = m.zone(0, ZoneType.ZONE_DEVICE);
  private final PgData node = m.mm.nodes().nodeData(0);

  /** Callers of these functions hold the lock that keeps zones still. */
  @BeforeEach
  void lockZones() {
    m.hotplug.locks().memHotplugBegin();
  }

  // ---- __add_pages, __remove_pages ----

  /**
   * A range that starts and ends inside sections.
   *
   * <pre>
   *   section     8              9              10
   *              |    |#########|##############|##|         |
   * </pre>
   *
   * Expect it cut at section ends, and all gone after removal.
   */
  @Test
  void addPages_acrossSections_addsEachPart() {
    long start = DEVICE_PFN + SECTION / 2;
    long nrPages = SECTION / 2 + SECTION + SUBSECTION;

    assertEquals(0, m.hotplug.addPages(0, start, nrPages, PLAIN));
    assertEquals(-1L << 32, m.subsections(DEV));
    assertEquals(-1L, m.subsections(DEV + 1));
    assertEquals(1, m.subsections(DEV + 2));

    m.hotplug.removePages(start, nrPages, null, null);
    assertEquals(0, m.sectionMemMap(DEV));
    assertEquals(0, m.sectionMemMap(DEV + 2));
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertTrue(m.warnings().isEmpty());
  }

  private List<Long> yields() {
    List<Long> yields = new ArrayList<>();
    m.machine
        .yields()
        .listen(
            (what, where) -> {
              if ("cond_resched".equals(what)) {
                yields.add(where);
              }
            });
    return yields;
  }

  /** Struct pages of three pageblocks. Expect other CPUs to be let in once for each of them. */
  @Test
  void movePfnRangeToZone_eachPageblock_letsOthersRun() {
    assertEquals(0, m.hotplug.addPages(0, DEVICE_PFN, SECTION, PLAIN));
    List<Long> yields = yields();

    m.hotplug.movePfnRangeToZone(
        movable, DEVICE_PFN, 3 * 512, null, Migratetype.MIGRATE_MOVABLE, false);

    assertEquals(List.of(DEVICE_PFN, DEVICE_PFN + 512, DEVICE_PFN + 1024), yields);
  }

  /** Two sections and a part. Expect other CPUs to be let in once for each of them, both ways. */
  @Test
  void addAndRemovePages_eachSection_letOthersRun() {
    long nrPages = 2 * SECTION + SUBSECTION;
    List<Long> yields = yields();
    List<Long> each = List.of(DEVICE_PFN, DEVICE_PFN + SECTION, DEVICE_PFN + 2 * SECTION);

    m.hotplug.addPages(0, DEVICE_PFN, nrPages, PLAIN);
    assertEquals(each, yields);
    yields.clear();
    m.hotplug.removePfnRangeFromZone(device, DEVICE_PFN, nrPages);
    assertEquals(each, yields);
    yields.clear();
    m.hotplug.removePages(DEVICE_PFN, nrPages, null, null);
    assertEquals(each, yields);
  }

  /** Nothing to add. Expect 0 and no section. */
  @Test
  void addPages_noPages_doesNothing() {
    SmallMachine plain = new SmallMachine(config().withDebugVm(false), new Ram(0, 128 * MIB, 0));

    assertEquals(0, plain.boot().hotplug.addPages(0, DEVICE_PFN, 0, PLAIN));
  }

  /** A range that is not in whole subsections. Expect the warning with its name, and -EINVAL. */
  @Test
  void addPages_misaligned_warns() {
    assertEquals(-Errno.EINVAL, m.hotplug.addPages(0, DEVICE_PFN, SUBSECTION + 1, PLAIN));
    m.hotplug.removePages(DEVICE_PFN + 1, SUBSECTION, null, null);

    assertEquals(
        List.of(
            "Misaligned __add_pages start: 0x40000 end: 0x40200",
            "Misaligned __remove_pages start: 0x40001 end: 0x40200"),
        m.warnings());
  }

  /** No protection bits. Expect the warning and -EINVAL. */
  @Test
  void addPages_emptyProtection_warns() {
    MhpParams noProt = new MhpParams(null, null, new Prot(0));

    assertEquals(-Errno.EINVAL, m.hotplug.addPages(0, DEVICE_PFN, SECTION, noProt));
    assertEquals(List.of("__add_pages: !pgprot_val(params->pgprot)"), m.warnings());
    assertEquals(
        0, m.hotplug.addPages(0, DEVICE_PFN, SECTION, new MhpParams(null, null, new Prot(1))));
  }

  /** Behind MAX_PHYSMEM_BITS. Expect the BUG of a DEBUG_VM kernel, and the log line before it. */
  @Test
  void addPages_beyondMaxPhysmem_isABug() {
    long beyond = 1L << (46 - 12);

    assertThrows(KernelBug.class, () -> m.hotplug.addPages(0, beyond, SECTION, PLAIN));
    assertEquals(
        "Hotplug memory [0x400000000000-0x400008000000] exceeds maximum addressable range "
            + "[0x0-0x3fffffffffff]",
        m.log().getLast());
  }

  /** An altmap of another range, or larger than this one. Expect -EINVAL and one line. */
  @Test
  void addPages_invalidAltmap_isRefused() {
    VmemAltmap elsewhere = m.altmap(DEVICE_PFN + SECTION, SECTION, 0, 512);
    VmemAltmap tooLarge = m.altmap(DEVICE_PFN, SECTION, 512, SECTION);

    assertEquals(-Errno.EINVAL, add(DEVICE_PFN, SECTION, elsewhere));
    assertEquals(-Errno.EINVAL, add(DEVICE_PFN, SECTION, tooLarge));

    String line = "memory add fail, invalid altmap";
    assertEquals(1, m.log().stream().filter(line::equals).count());
  }

  private int add(long pfn, long nrPages, VmemAltmap altmap) {
    return m.hotplug.addPages(0, pfn, nrPages, new MhpParams(altmap, null));
  }

  /** A valid altmap. Expect its count to start from 0 whatever it held. */
  @Test
  void addPages_altmap_resetsItsCount() {
    VmemAltmap altmap = m.altmap(DEVICE_PFN, SECTION, 0, 512);
    altmap.alloc = 7;

    assertEquals(0, add(DEVICE_PFN, SECTION, altmap));
    assertEquals(512, altmap.alloc);
    assertEquals(512, m.owned(Owner.ALTMAP));
  }

  /** The second section fails. Expect its error, and the first section still there. */
  @Test
  void addPages_secondSectionFails_keepsTheFirst() {
    m.failNth(2, "section_activate");

    assertEquals(-Errno.ENOMEM, m.hotplug.addPages(0, DEVICE_PFN, 3 * SECTION, PLAIN));
    assertTrue(m.mm.mmzone().pfnValid(DEVICE_PFN));
    assertEquals(0, m.sectionMemMap(DEV + 1));
    assertEquals(0, m.sectionMemMap(DEV + 2));
    assertEquals(512, m.mm.vmstat().nrMemmapPages());
  }

  /** Part of a range is there. Expect -EEXIST. */
  @Test
  void addPages_overlap_returnsEexist() {
    m.hotplug.addPages(0, DEVICE_PFN + SECTION, SECTION, PLAIN);

    assertEquals(-Errno.EEXIST, m.hotplug.addPages(0, DEVICE_PFN, 2 * SECTION, PLAIN));
  }

  // ---- zones ----

  private void addOnline(Zone zone, long pfn, long nrPages) {
    assertEquals(0, m.hotplug.addPages(0, pfn, nrPages, PLAIN));
    m.hotplug.movePfnRangeToZone(
        zone, pfn, nrPages, null, Migratetype.MIGRATE_MOVABLE, false);
    m.vmemmap.onlineMemSections(pfn, pfn + nrPages);
  }

  /**
   * An empty zone gets a range. Expect zone and node to span it, and its struct pages to say so.
   */
  @Test
  void movePfnRangeToZone_emptyZone_spansTheRange() {
    addOnline(movable, DEVICE_PFN, SECTION);

    assertEquals(DEVICE_PFN, movable.zoneStartPfn);
    assertEquals(SECTION, movable.spannedPages);
    assertEquals(0, node.nodeStartPfn);
    assertEquals(DEVICE_PFN + SECTION, node.nodeSpannedPages);
    assertEquals(movable, m.mm.inline().pageZone(m.mm.model().pfnToPage(DEVICE_PFN)));
    assertTrue(movable.initialized);
  }

  /** Without the lock. Expect both ways that change a zone to refuse, and the zone as it was. */
  @Test
  void moveAndRemovePfnRange_withoutTheLock_areRefused() {
    m.hotplug.locks().memHotplugDone();

    assertThrows(
        KernelBug.class,
        () ->
            m.hotplug.movePfnRangeToZone(
                movable, DEVICE_PFN, SECTION, null, Migratetype.MIGRATE_MOVABLE, false));
    assertThrows(
        KernelBug.class, () -> m.hotplug.removePfnRangeFromZone(movable, DEVICE_PFN, SECTION));

    assertTrue(movable.isEmpty());
  }

  /** Ranges before and behind. Expect the span to grow to both sides, holes included. */
  @Test
  void movePfnRangeToZone_grownZone_spansBothEnds() {
    long middle = DEVICE_PFN + 2 * SECTION;
    addOnline(movable, middle, SECTION);
    addOnline(movable, DEVICE_PFN, SECTION);
    addOnline(movable, DEVICE_PFN + OTHER_SECTIONS * SECTION, SECTION);

    assertEquals(DEVICE_PFN, movable.zoneStartPfn);
    assertEquals((OTHER_SECTIONS + 1) * SECTION, movable.spannedPages);
    assertFalse(movable.contiguous);
  }

  /** Memory behind a zone without holes. Expect it to be taken for contiguous when it is online. */
  @Test
  void movePfnRangeToZone_contiguousZone_isLookedThroughAgain() {
    assertEquals(0, m.hotplug.addPages(0, DEVICE_PFN, 2 * SECTION, PLAIN));
    m.vmemmap.onlineMemSections(DEVICE_PFN, DEVICE_PFN + SECTION);
    m.hotplug.movePfnRangeToZone(
        movable, DEVICE_PFN, SECTION, null, Migratetype.MIGRATE_MOVABLE, false);
    assertTrue(movable.contiguous);
    // The second section is not online yet, so it counts as a hole.
    m.hotplug.movePfnRangeToZone(
        movable, DEVICE_PFN + SECTION, SECTION, null, Migratetype.MIGRATE_MOVABLE, false);
    assertFalse(movable.contiguous);
  }

  /** A pfn in a section with a device. Expect the reference on the device to be given back. */
  @Test
  void pfnToOnlinePage_deviceFound_isGivenBack() {
    addOnline(movable, DEVICE_PFN, SECTION);
    m.mm.mmzone().section(DEV).sectionMemMap |= Mmzone.SECTION_TAINT_ZONE_DEVICE;
    DevPagemapLookup devices = mock(DevPagemapLookup.class);
    DevPagemap pgmap = new DevPagemap(0);
    when(devices.getDevPagemap(DEVICE_PFN)).thenReturn(pgmap);
    m.hotplug.setDevPagemapLookup(devices);
    assertNull(m.hotplug.pfnToOnlinePage(DEVICE_PFN));
    verify(devices).putDevPagemap(pgmap);
    assertNotNull(m.hotplug.pfnToOnlinePage(DEVICE_PFN + 1));
  }

  /** A device that starts and ends inside sections. Expect the taint on both, not between. */
  @Test
  void movePfnRangeToZone_partialDevice_taintsBothEnds() {
    long start = DEVICE_PFN + SECTION / 2;
    m.hotplug.addPages(0, start, 2 * SECTION, PLAIN);

    m.hotplug.movePfnRangeToZone(
        device, start, 2 * SECTION, null, Migratetype.MIGRATE_MOVABLE, false);

    assertEquals(Mmzone.SECTION_TAINT_ZONE_DEVICE, taint(DEV));
    assertEquals(0, taint(DEV + 1));
    assertEquals(Mmzone.SECTION_TAINT_ZONE_DEVICE, taint(DEV + 2));
  }

  private long taint(long nr) {
    return m.sectionMemMap(nr) & Mmzone.SECTION_TAINT_ZONE_DEVICE;
  }

  /** A device in whole sections. Expect no taint. */
  @Test
  void movePfnRangeToZone_wholeSections_areNotTainted() {
    m.hotplug.addPages(0, DEVICE_PFN, SECTION, PLAIN);
    m.hotplug.movePfnRangeToZone(
        device, DEVICE_PFN, SECTION, null, Migratetype.MIGRATE_MOVABLE, false);

    assertEquals(0, taint(DEV));
    assertEquals(DEVICE_PFN, device.zoneStartPfn);
  }

  /** A device that begins in a section and ends with it. Expect the taint there, not behind. */
  @Test
  void movePfnRangeToZone_endOfSection_taintsTheStart() {
    long start = DEVICE_PFN + SECTION / 4;
    long nrPages = SECTION / 4 * 3;
    m.hotplug.addPages(0, start, nrPages, PLAIN);
    m.hotplug.addPages(0, DEVICE_PFN + SECTION, SECTION, PLAIN);

    m.hotplug.movePfnRangeToZone(
        device, start, nrPages, null, Migratetype.MIGRATE_MOVABLE, false);

    assertEquals(Mmzone.SECTION_TAINT_ZONE_DEVICE, taint(DEV));
    assertEquals(0, taint(DEV + 1));
  }

  /** The span of ZONE_DEVICE never shrinks. Expect only the struct pages to be poisoned. */
  @Test
  void removePfnRangeFromZone_device_keepsTheSpan() {
    m.hotplug.addPages(0, DEVICE_PFN, SECTION, PLAIN);
    m.hotplug.movePfnRangeToZone(
        device, DEVICE_PFN, SECTION, null, Migratetype.MIGRATE_MOVABLE, false);
    m.mm.struct().setFlags(m.mm.model().pfnToPage(DEVICE_PFN + 5), 0);

    m.hotplug.removePfnRangeFromZone(device, DEVICE_PFN, SECTION);

    assertEquals(SECTION, device.spannedPages);
    assertTrue(m.mm.flags().pagePoisoned(m.mm.model().pfnToPage(DEVICE_PFN + 5)));
    assertEquals(DEVICE_PFN + SECTION, node.nodeSpannedPages);
  }

  private void removeOffline(long pfn, long nrPages) {
    m.vmemmap.offlineMemSections(pfn, pfn + nrPages);
    m.hotplug.removePfnRangeFromZone(movable, pfn, nrPages);
  }

  /**
   * The first of three sections goes, with a hole behind it.
   *
   * <pre>
   *   section  8    9    10   11
   *           |##|      |##| |##|     span 8..11 becomes 10..11
   * </pre>
   *
   * Expect the start to move to the next page of the zone.
   */
  @Test
  void removePfnRangeFromZone_first_movesTheStart() {
    addOnline(movable, DEVICE_PFN, SECTION);
    addOnline(movable, DEVICE_PFN + 2 * SECTION, 2 * SECTION);

    removeOffline(DEVICE_PFN, SECTION);

    assertEquals(DEVICE_PFN + 2 * SECTION, movable.zoneStartPfn);
    assertEquals(2 * SECTION, movable.spannedPages);
    assertTrue(movable.contiguous);
  }

  /** The last section goes. Expect the end to move, for the node too. */
  @Test
  void removePfnRangeFromZone_last_movesTheEnd() {
    addOnline(movable, DEVICE_PFN, SECTION);
    addOnline(movable, DEVICE_PFN + 2 * SECTION, SECTION);

    removeOffline(DEVICE_PFN + 2 * SECTION, SECTION);

    assertEquals(DEVICE_PFN, movable.zoneStartPfn);
    assertEquals(SECTION, movable.spannedPages);
    assertEquals(DEVICE_PFN + SECTION, node.nodeSpannedPages);
  }

  /** One in the middle goes. Expect the span to keep the hole, and no longer to be contiguous. */
  @Test
  void removePfnRangeFromZone_middle_keepsTheSpan() {
    addOnline(movable, DEVICE_PFN, 3 * SECTION);
    m.mmInit.setZoneContiguous(movable);
    assertTrue(movable.contiguous);

    removeOffline(DEVICE_PFN + SECTION, SECTION);

    assertEquals(3 * SECTION, movable.spannedPages);
    assertFalse(movable.contiguous);
  }

  /** The only one goes. Expect an empty zone at pfn 0, and the node back to what it was. */
  @Test
  void removePfnRangeFromZone_only_emptiesTheZone() {
    long spanned = node.nodeSpannedPages;
    addOnline(movable, DEVICE_PFN, SECTION);

    removeOffline(DEVICE_PFN, SECTION);

    assertEquals(0, movable.zoneStartPfn);
    assertEquals(0, movable.spannedPages);
    assertEquals(spanned, node.nodeSpannedPages);
  }

  /** The last pages of a zone between which another zone lies. Expect only its own to count. */
  @Test
  void removePfnRangeFromZone_otherZoneBetween_isNotCounted() {
    Zone normal = m.zone(0, ZoneType.ZONE_NORMAL);
    addOnline(movable, DEVICE_PFN, SECTION);
    addOnline(normal, DEVICE_PFN + SECTION, SECTION);
    addOnline(movable, DEVICE_PFN + 2 * SECTION, SECTION);

    removeOffline(DEVICE_PFN + 2 * SECTION, SECTION);
    assertEquals(SECTION, movable.spannedPages);

    removeOffline(DEVICE_PFN, SECTION);
    assertEquals(0, movable.spannedPages);
    assertEquals(DEVICE_PFN + SECTION, normal.zoneStartPfn);
  }

  /** An end that is left over from a range whose start is gone: nothing found from either side. */
  @Test
  void removePfnRangeFromZone_lastWithNothingBefore_emptiesTheZone() {
    addOnline(movable, DEVICE_PFN, 2 * SECTION);
    m.vmemmap.offlineMemSections(DEVICE_PFN, DEVICE_PFN + SECTION);

    removeOffline(DEVICE_PFN + SECTION, SECTION);

    assertEquals(0, movable.spannedPages);
  }

  // ---- pfn_to_online_page ----

  /** Online memory, and all that is not. */
  @Test
  void pfnToOnlinePage_rules() {
    m.hotplug.addPages(0, DEVICE_PFN, SUBSECTION, PLAIN);

    assertEquals(m.mm.model().pfnToPage(512), m.hotplug.pfnToOnlinePage(512));
    assertNull(m.hotplug.pfnToOnlinePage(DEVICE_PFN));
    assertNull(m.hotplug.pfnToOnlinePage(300 * SECTION));
    assertNull(m.hotplug.pfnToOnlinePage(1L << (46 - 12)));

    m.vmemmap.onlineMemSections(DEVICE_PFN, DEVICE_PFN + SECTION);
    assertEquals(m.mm.model().pfnToPage(DEVICE_PFN), m.hotplug.pfnToOnlinePage(DEVICE_PFN));
    assertNull(m.hotplug.pfnToOnlinePage(DEVICE_PFN + SUBSECTION));
  }

  /**
   * A section with system and device memory. Expect the device to be asked, and its pages offline.
   */
  @Test
  void pfnToOnlinePage_taintedSection_asksTheDevice() {
    DevPagemap pgmap = m.device(SUBSECTION, SUBSECTION, 0);
    m.hotplug.setDevPagemapLookup(pfn -> pfn >= 512 && pfn < 1024 ? pgmap : null);
    assertNotEquals(null, m.hotplug.pfnToOnlinePage(512));

    m.mm.mmzone().section(0).sectionMemMap |= Mmzone.SECTION_TAINT_ZONE_DEVICE;

    assertNull(m.hotplug.pfnToOnlinePage(512));
    assertEquals(m.mm.model().pfnToPage(1024), m.hotplug.pfnToOnlinePage(1024));
  }

  // ---- pluggable range ----

  /**
   * What the architecture can map bounds what may be plugged, and a mapping nobody needs does not.
   */
  @Test
  void mhpRangeAllowed_followsTheArchitecture() {
    m.hotplug.setArch(m.arch);
    m.arch.mappable = new DevPagemap.Range(GIB, 2 * GIB - 1);

    assertTrue(m.hotplug.mhpRangeAllowed(GIB, GIB, true));
    assertFalse(m.hotplug.mhpRangeAllowed(GIB - PAGE, GIB, true));
    assertFalse(m.hotplug.mhpRangeAllowed(GIB, GIB + PAGE, true));
    assertTrue(m.hotplug.mhpRangeAllowed(0, GIB, false));
    assertFalse(m.hotplug.mhpRangeAllowed(GIB, 0, false));
    assertFalse(m.hotplug.mhpRangeAllowed(-PAGE, PAGE, false));
  }

  /** A range of the architecture that lies behind all memory. Expect nothing to be pluggable. */
  @Test
  void mhpGetPluggableRange_unreachable_isEmpty() {
    assertEquals(
        new DevPagemap.Range(0, (1L << 46) - 1), m.hotplug.mhpGetPluggableRange(true));
    m.hotplug.setArch(m.arch);
    m.arch.mappable = new DevPagemap.Range(1L << 50, 1L << 51);

    assertEquals(new DevPagemap.Range(0, 0), m.hotplug.mhpGetPluggableRange(true));
    assertEquals(
        new DevPagemap.Range(0, (1L << 46) - 1), m.hotplug.mhpGetPluggableRange(false));
  }

  // ---- arch_add_memory ----

  /** With and without an architecture. Expect the memmap in both cases, and the call in one. */
  @Test
  void archAddMemory_withAndWithoutArch_addsTheMemmap() {
    long start = DEVICE_PFN << 12;
    assertEquals(0, m.hotplug.archAddMemory(0, start, 128 * MIB, PLAIN));
    assertTrue(m.mm.mmzone().pfnValid(DEVICE_PFN));
    m.hotplug.archRemoveMemory(start, 128 * MIB, null, null);
    assertFalse(m.mm.mmzone().pfnValid(DEVICE_PFN));
    assertEquals(0, m.hotplug.archAddPages(0, DEVICE_PFN, SECTION, PLAIN));
    assertEquals(0, m.hotplug.archAddPages(0, DEVICE_PFN + SECTION, SECTION, PLAIN));
    m.hotplug.archRemoveMemory(start, 128 * MIB, null, null);
    assertTrue(m.mm.mmzone().pfnValid(DEVICE_PFN + SECTION));

    m.hotplug.setArch(m.arch);
    assertEquals(-Errno.EEXIST, m.hotplug.archAddPages(0, DEVICE_PFN + SECTION, SECTION, PLAIN));
    assertEquals(0, m.hotplug.archAddMemory(0, start, 128 * MIB, PLAIN));
    assertEquals(1, m.arch.added);
    m.hotplug.archRemoveMemory(start, 128 * MIB, null, null);
    assertEquals(0, m.arch.added);
    assertFalse(m.mm.mmzone().pfnValid(DEVICE_PFN));
  }
}
