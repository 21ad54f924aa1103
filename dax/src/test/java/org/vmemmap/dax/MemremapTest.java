// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.sparse.ArchHotplug;
import org.vmemmap.sparse.MemoryHotplug.MhpParams;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.DevPagemap.MemoryType;
import org.vmemmap.types.DevPagemap.Ops;
import org.vmemmap.types.DevPagemap.Range;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;
import org.vmemmap.types.VmemAltmap;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Struct pages for device memory: made, refused, taken away. */
class MemremapTest {
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final long PAGE = 4096;
  private static final long SECTION = 128 * MIB;

  private final DaxMachine m = new DaxMachine().boot();
  private final Memremap memremap = m.dax.memremap();

  private int map(DevPagemap pgmap) {
    long addr = memremap.memremapPages(pgmap, 0);
    return addr == m.mm.model().va(pgmap.ranges[0].start()) ? 0 : (int) addr;
  }

  // ---- the whole way ----

  /** A section of device memory. Expect its linear address, references, zone span, and all back. */
  @Test
  void memremap_section_thereAndBack() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    Map<String, Long> before = m.frames();

    assertEquals(0, map(pgmap));

    Zone device = m.mm.nodes().nodeData(0).zone(ZoneType.ZONE_DEVICE);
    assertEquals(GIB / PAGE, device.zoneStartPfn);
    assertEquals(SECTION / PAGE, device.spannedPages);
    assertEquals(0, device.presentPages);
    assertEquals(1 + SECTION / PAGE, pgmap.ref);
    assertSame(pgmap, memremap.pagePgmap(m.page(GIB + PAGE)));

    memremap.memunmapPages(pgmap);
    assertEquals(before, m.frames());
    assertEquals(0, pgmap.ref);
    assertEquals(SECTION / PAGE, device.spannedPages, "zone Device never shrinks");
    assertTrue(m.warnings().isEmpty());
  }

  /** Compound pages of 512. Expect one reference for each of them. */
  @Test
  void memremap_compound_oneReferenceEach() {
    DevPagemap pgmap = m.device(GIB, SECTION, 9);
    assertEquals(0, map(pgmap));
    assertEquals(1 + 64, pgmap.ref);
    assertSame(pgmap, memremap.pagePgmap(m.page(GIB + 5 * PAGE)));
  }

  /** No node given. Expect the first node with memory. */
  @Test
  void memremap_noNode_firstWithMemory() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    memremap.memremapPages(pgmap, -1);
    assertEquals(0, m.mm.inline().pageToNid(m.page(GIB)));
  }

  /**
   * Two ranges in one pgmap.
   *
   * <pre>
   *   1G [ range 0 ]      2G [ range 1 ]
   * </pre>
   *
   * Expect both mapped, no page between them to be the device's, and both unmapped.
   */
  @Test
  void memremap_twoRanges_both() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    Range first = pgmap.ranges[0];
    pgmap.ranges = new Range[] {first, new Range(2 * GIB, 2 * GIB + SECTION - 1)};
    pgmap.nrRange = 2;

    assertEquals(0, map(pgmap));

    assertEquals(2 * SECTION / PAGE, m.owned(Owner.DEVICE));
    assertTrue(memremap.pgmapPfnValid(pgmap, 2 * GIB / PAGE));
    assertNull(memremap.getDevPagemap((GIB + SECTION) / PAGE));
    assertNull(memremap.getDevPagemap(2 * GIB / PAGE - 1));
    memremap.memunmapPages(pgmap);
    assertEquals(0, m.owned(Owner.DEVICE));
  }

  /** The second of two ranges is in use. Expect the first taken back, and nr_range as given. */
  @Test
  void memremap_secondRangeFails_firstUndone() {
    DevPagemap other = m.device(2 * GIB, SECTION, 0);
    assertEquals(0, map(other));
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.ranges = new Range[] {pgmap.ranges[0], other.ranges[0]};
    pgmap.nrRange = 2;

    assertEquals(-Errno.ENOMEM, map(pgmap));

    assertEquals(2, pgmap.nrRange);
    assertEquals(SECTION / PAGE, m.owned(Owner.DEVICE));
    assertNull(memremap.getDevPagemap(GIB / PAGE));
  }

  /**
   * A device in the part of an early section that is not RAM.
   *
   * <pre>
   *   section 2   | RAM 16M | device 16M |   hole   |
   *               one memmap, made at boot
   * </pre>
   *
   * Expect the boot memmap used: no frame more, none less after removal.
   */
  @Test
  void memremap_partOfEarlySection_bootMemmapStays() {
    long start = 2 * SECTION + 64 * MIB;
    DevPagemap pgmap = m.device(start, 16 * MIB, 0);

    assertEquals(0, map(pgmap));

    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertEquals(pgmap.va(), m.word(start, 1));
    memremap.memunmapPages(pgmap);
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertEquals(PageFlags.PAGE_POISON_PATTERN, m.word(start, 0));
    assertTrue(m.warnings().isEmpty());
  }

  /** Two devices in one section, removed in the order in which they came. Expect both clean. */
  @Test
  void memremap_twoInSection_independent() {
    DevPagemap a = m.device(GIB, 16 * MIB, 0);
    DevPagemap b = m.device(GIB + 16 * MIB, 16 * MIB, 0);
    assertEquals(0, map(a));
    assertEquals(0, map(b));

    memremap.memunmapPages(a);

    assertEquals(b.va(), m.word(GIB + 16 * MIB, 1));
    memremap.memunmapPages(b);
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
    assertTrue(m.warnings().isEmpty());
  }

  // ---- refusals ----

  /** No ranges, or pages larger than any folio. Expect -EINVAL and the WARN of each. */
  @Test
  void memremap_badArguments_einval() {
    DevPagemap none = m.device(GIB, SECTION, 0);
    none.nrRange = 0;
    assertEquals(-Errno.EINVAL, map(none));
    assertEquals(-Errno.EINVAL, map(m.device(GIB, SECTION, 23)));
    assertEquals(
        List.of(
            "memremap_pages: nr_range must be specified",
            "memremap_pages: requested folio size unsupported"),
        m.warnings());
  }

  /** Private memory whose driver lacks a function or a name. Expect -EINVAL and a WARN for each. */
  @Test
  void memremap_privateIncomplete_einval() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.type = MemoryType.MEMORY_DEVICE_PRIVATE;
    assertEquals(-Errno.EINVAL, map(pgmap));
    pgmap.ops = new Ops(null, () -> {});
    assertEquals(-Errno.EINVAL, map(pgmap));
    pgmap.ops = new Ops(folio -> {}, () -> {});
    assertEquals(-Errno.EINVAL, map(pgmap));
    assertEquals(
        List.of(
            "memremap_pages: Missing migrate_to_ram method",
            "memremap_pages: Missing folio_free method",
            "memremap_pages: Missing owner"),
        m.warnings());
  }

  /** Coherent memory without any functions. Expect what reading through NULL is: a BUG. */
  @Test
  void memremap_coherentWithoutOps_bug() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.type = MemoryType.MEMORY_DEVICE_COHERENT;
    assertThrows(KernelBug.class, () -> map(pgmap));
  }

  /**
   * Private memory that is complete. Expect struct pages without references, and no frames booked.
   */
  @Test
  void memremap_private_noReferences() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.type = MemoryType.MEMORY_DEVICE_PRIVATE;
    pgmap.ops = new Ops(folio -> {}, () -> {});
    pgmap.owner = this;

    assertEquals(0, map(pgmap));

    assertEquals(1, pgmap.ref);
    assertEquals(0, m.refcount(GIB));
    assertEquals(0, m.owned(Owner.DEVICE));
    memremap.memunmapPages(pgmap);
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
  }

  /**
   * What a device needs is added, taken away, and added in vain. Expect mem_hotplug_lock to be taken
   * for each, to be held where memory for the memmap is taken, and to be given back.
   */
  @Test
  void memremap_addAndRemove_holdTheHotplugLock() {
    List<String> locks = new ArrayList<>();
    m.machine
        .yields()
        .listen(
            (what, where) -> {
              if (what.endsWith("mem_hotplug_lock")) {
                locks.add(what.split(" ", 2)[0]);
              }
            });
    List<Boolean> held = new ArrayList<>();
    Predicate<String> memmap =
        site -> "vmemmap_alloc_block".equals(site) && held.add(m.hotplug.locks().held());
    m.machine.faults().failFrom(Long.MAX_VALUE, memmap);
    DevPagemap pgmap = m.device(GIB, SECTION, 0);

    assertEquals(0, map(pgmap));
    assertFalse(m.hotplug.locks().held());
    memremap.memunmapPages(pgmap);
    assertFalse(m.hotplug.locks().held());
    m.machine.faults().failFrom(1, memmap);
    assertEquals(-Errno.ENOMEM, map(m.device(GIB, SECTION, 0)));
    assertFalse(m.hotplug.locks().held());

    assertEquals(List.of("lock", "unlock", "lock", "unlock", "lock", "unlock"), locks);
    assertTrue(held.size() >= 2, "allocations: " + held.size());
    assertFalse(held.contains(false));
  }

  /** RAM, and RAM with device memory. Expect -ENXIO and the WARN that says which. */
  @Test
  void memremap_ram_enxio() {
    m.withPmem(GIB, SECTION);
    assertEquals(-Errno.ENXIO, map(m.device(128 * MIB, SECTION, 0)));
    assertEquals(-Errno.ENXIO, map(m.device(0, GIB + SECTION, 0)));
    assertEquals(
        List.of(
            "pagemap_range: attempted on ram region", "pagemap_range: attempted on mixed region"),
        m.warnings());
  }

  /** A range whose start, or end, another device has. Expect -ENOMEM and a WARN each. */
  @Test
  void memremap_overlap_enomem() {
    assertEquals(0, map(m.device(GIB, SECTION, 0)));
    assertEquals(-Errno.ENOMEM, map(m.device(GIB + 64 * MIB, SECTION, 0)));
    assertEquals(-Errno.ENOMEM, map(m.device(GIB - 64 * MIB, SECTION, 0)));
    assertEquals(2, m.warnings().size());
    assertEquals("pagemap_range: Conflicting mapping in same section", m.warnings().get(0));
  }

  /**
   * A range in the middle of which another device is: nobody asks about more than the two ends.
   *
   * <pre>
   *   range    |        8M         |
   *   device        | 2M |
   * </pre>
   *
   * Expect -EEXIST, no WARN and no frame that changes hands, but the device's entries of
   * pgmap_array gone with those of the range.
   */
  @Test
  void memremap_aroundADevice_takesItsPgmapEntriesAway() {
    Map<String, Long> before = m.frames();
    DevPagemap device = m.device(GIB + 2 * MIB, 2 * MIB, 0);
    assertEquals(0, map(device));
    Map<String, Long> mapped = m.frames();
    assertSame(device, memremap.getDevPagemap(GIB / PAGE + 512));

    assertEquals(-Errno.EEXIST, map(m.device(GIB, 8 * MIB, 0)));

    assertNull(memremap.getDevPagemap(GIB / PAGE + 512));
    assertEquals(mapped, m.frames());
    assertEquals(512, m.owned(Owner.DEVICE));
    assertEquals(List.of(), m.warnings());
    device.ref--;
    memremap.memunmapPages(device);
    assertEquals(before, m.frames());
  }

  /**
   * The device is the second of three sections. Expect -EEXIST, the frames of the device to stay its
   * own, those of the range to be nobody's, and the memmap of the first section to stay behind.
   */
  @Test
  void memremap_aroundASection_leavesTheFirstHalfAdded() {
    DevPagemap device = m.device(GIB + SECTION, SECTION, 0);
    assertEquals(0, map(device));
    long memmap = m.mm.vmstat().nrMemmapPages();

    assertEquals(-Errno.EEXIST, map(m.device(GIB, 3 * SECTION, 0)));

    assertEquals(SECTION / PAGE, m.owned(Owner.DEVICE));
    assertEquals(2 * memmap, m.mm.vmstat().nrMemmapPages());
  }

  /**
   * A second range with an altmap. Expect -EINVAL and the WARN before memory is asked for; the first
   * range is taken back.
   */
  @Test
  void memremap_altmapTwoRanges_einval() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.ranges = new Range[] {pgmap.ranges[0], new Range(2 * GIB, 2 * GIB + SECTION - 1)};
    pgmap.nrRange = 2;
    pgmap.altmapValid = true;
    pgmap.altmap.basePfn = GIB / PAGE;
    pgmap.altmap.endPfn = (GIB + SECTION) / PAGE - 1;
    pgmap.altmap.free = 512;
    m.failNth(2, "xa_store_range");

    assertEquals(-Errno.EINVAL, map(pgmap));

    assertEquals(
        List.of("pagemap_range: altmap not supported for multiple ranges"), m.warnings());
    assertEquals(0, m.owned(Owner.DEVICE));
    assertEquals(0, m.owned(Owner.ALTMAP));
  }

  /** A range above what the kernel can address. Expect -EINVAL, and nothing booked. */
  @Test
  void memremap_beyondAddressable_einval() {
    DaxMachine small =
        new DaxMachine(
                MmConfig.debianX86().withMaxPhysmemBits(32).withDeferredStructPageInit(false))
            .boot();
    DevPagemap pgmap = small.device(4 * GIB, SECTION, 0);
    assertEquals(-Errno.EINVAL, small.dax.memremap().memremapPages(pgmap, 0));
    assertEquals(0, small.owned(Owner.DEVICE));
    assertNull(small.dax.memremap().getDevPagemap(4 * GIB / PAGE));
  }

  /** A range that is no multiple of 2 MiB. Expect -EINVAL from hotplug and nothing left. */
  @Test
  void memremap_misaligned_einval() {
    assertEquals(-Errno.EINVAL, map(m.device(GIB, MIB, 0)));
    assertEquals(0, m.owned(Owner.DEVICE));
    assertNull(memremap.getDevPagemap(GIB / PAGE));
  }

  /**
   * An allocation fails in the middle of mapping five sections, then works.
   *
   * <p>Expect -ENOMEM, everything as before, and success at the second try.
   */
  @ParameterizedTest
  @ValueSource(strings = {"percpu_ref_init", "xa_store_range", "pfnmap_track"})
  void memremap_allocationFails_undone(String site) {
    Map<String, Long> before = m.frames();
    DevPagemap pgmap = m.device(GIB, 5 * SECTION, 9);
    m.failNth(1, site);

    assertEquals(-Errno.ENOMEM, map(pgmap));

    assertEquals(1, m.machine.faults().failed());
    assertEquals(before, m.frames());
    assertNull(memremap.getDevPagemap(GIB / PAGE));
    m.machine.faults().disarm();
    assertEquals(0, map(pgmap));
  }

  /** The 1st allocation below fails, then only the 2nd, until none does. Expect nothing booked. */
  @Test
  void memremap_eachAllocationFails_nothingBooked() {
    int rc = -Errno.ENOMEM;
    int nth = 0;
    while (rc != 0) {
      nth++;
      m.machine.faults().failNth(nth, site -> true);
      DevPagemap pgmap = m.device(GIB, 8 * MIB, 9);
      rc = map(pgmap);
      assertTrue(rc == 0 || rc == -Errno.ENOMEM, "allocation " + nth + " rc=" + rc);
      assertEquals(rc == 0 ? 2048 : 0, m.owned(Owner.DEVICE), "allocation " + nth);
      assertEquals(rc == 0 ? 8 : 0, m.mm.vmstat().nrMemmapPages(), "allocation " + nth);
      m.machine.faults().disarm();
    }
    assertTrue(nth > 10, "allocations: " + nth);
  }

  /**
   * An altmap with room for the memmap of one section of two.
   *
   * <pre>
   *   1G    | reserve 2, free 1022 | section 1 ... | section 2: no room |
   * </pre>
   *
   * Expect -ENOMEM, and the first section left behind with its memmap, as the kernel leaves it: the
   * next attempt finds it.
   */
  @Test
  void memremap_altmapTooSmall_firstSectionStays() {
    DevPagemap pgmap = altmapDevice(1022);
    assertEquals(-Errno.ENOMEM, map(pgmap));
    assertEquals(512, m.owned(Owner.ALTMAP));
    assertEquals(0, m.owned(Owner.DEVICE));
    assertEquals(-Errno.EEXIST, map(altmapDevice(1022)));
    assertEquals(512, m.owned(Owner.ALTMAP));
  }

  /**
   * An altmap that is larger than the range, or of another one. Expect -EINVAL and nothing left.
   */
  @Test
  void memremap_altmapDoesNotFit_einval() {
    assertEquals(-Errno.EINVAL, map(altmapDevice(2 * SECTION / PAGE)));
    DevPagemap other = altmapDevice(1022);
    other.altmap.basePfn++;
    assertEquals(-Errno.EINVAL, map(other));
    assertEquals(0, m.owned(Owner.DEVICE));
  }

  private DevPagemap altmapDevice(long free) {
    DevPagemap pgmap = m.device(GIB, 2 * SECTION, 0);
    pgmap.altmapValid = true;
    pgmap.altmap.basePfn = GIB / PAGE;
    pgmap.altmap.endPfn = (GIB + 2 * SECTION) / PAGE - 1;
    pgmap.altmap.reserve = 2;
    pgmap.altmap.free = free;
    return pgmap;
  }

  // ---- references ----

  /** Pages behind an altmap and outside of the range. Expect neither to be data. */
  @Test
  void pgmapPfnValid_behindAltmapOnly() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.altmapValid = true;
    pgmap.altmap.reserve = 2;
    pgmap.altmap.free = 510;
    assertFalse(memremap.pgmapPfnValid(pgmap, GIB / PAGE + 511));
    assertTrue(memremap.pgmapPfnValid(pgmap, GIB / PAGE + 512));
    assertTrue(memremap.pgmapPfnValid(pgmap, (GIB + SECTION) / PAGE - 1));
    assertFalse(memremap.pgmapPfnValid(pgmap, (GIB + SECTION) / PAGE));
  }

  /** A lookup takes a reference, and fails once the device goes. Expect null then. */
  @Test
  void getDevPagemap_liveOnly() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    assertEquals(0, map(pgmap));
    long refs = pgmap.ref;

    assertSame(pgmap, memremap.getDevPagemap(GIB / PAGE));
    assertEquals(refs + 1, pgmap.ref);
    memremap.putDevPagemap(pgmap);
    memremap.putDevPagemap(null);
    assertEquals(refs, pgmap.ref);
    assertNull(memremap.getDevPagemap(GIB / PAGE - 1));

    memremap.memunmapPages(pgmap);
    assertNull(memremap.getDevPagemap(GIB / PAGE));
  }

  /** Unmapped while somebody holds a reference. Expect the wait that never ends. */
  @Test
  void memunmap_referenceHeld_waitsForEver() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    assertEquals(0, map(pgmap));
    assertNotNull(memremap.getDevPagemap(GIB / PAGE));
    MachineFault fault = assertThrows(MachineFault.class, () -> memremap.memunmapPages(pgmap));
    assertEquals("wait-for-ever", fault.rule());
  }

  /** Unmapped twice. Expect the WARN of a reference that is killed twice. */
  @Test
  void memunmap_twice_warns() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.nrRange = 0;
    pgmap.refDead = true;
    memremap.memunmapPages(pgmap);
    assertEquals(
        List.of(
            "percpu_ref_kill_and_confirm: called more than once",
            "percpu_ref_switch_to_atomic_rcu: percpu ref <= 0 after switch"),
        m.warnings());
  }

  /** Pages of the altmap that are not given back. Expect the WARN. */
  @Test
  void memunmap_altmapPagesLost_warns() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    assertEquals(0, map(pgmap));
    pgmap.altmap.alloc = 1;
    memremap.memunmapPages(pgmap);
    assertEquals(List.of("memunmap_pages: failed to free all reserved pages"), m.warnings());
  }

  // ---- managed by a device ----

  /** Mapped for a device. Expect it unmapped when the device is unbound, or earlier when asked. */
  @Test
  void devmMemremap_unboundWithDevice() {
    Device dev = new Device("dev", 0);
    DevPagemap a = m.device(GIB, SECTION, 0);
    DevPagemap b = m.device(2 * GIB, SECTION, 0);
    assertEquals(m.mm.model().va(GIB), memremap.devmMemremapPages(dev, a));
    assertEquals(m.mm.model().va(2 * GIB), memremap.devmMemremapPages(dev, b));

    memremap.devmMemunmapPages(dev, a);
    assertEquals(SECTION / PAGE, m.owned(Owner.DEVICE));
    dev.devresReleaseAll();
    assertEquals(0, m.owned(Owner.DEVICE));
    memremap.devmMemunmapPages(dev, a);
    assertEquals(List.of("devm_release_action: IS_ERR(dr)"), m.warnings());
  }

  /** The note for the unbinding cannot be made. Expect -ENOMEM and the range unmapped at once. */
  @Test
  void devmMemremap_noMemoryForAction_undone() {
    m.failNth(1, "__devm_add_action");
    long rc = memremap.devmMemremapPages(new Device("dev", 0), m.device(GIB, SECTION, 0));
    assertEquals(-Errno.ENOMEM, rc);
    assertEquals(0, m.owned(Owner.DEVICE));
  }

  // ---- the end of a folio ----

  /** The last reference to a page of each kind. Expect what its driver is promised. */
  @Test
  void freeZoneDeviceFolio_byType() {
    List<Folio> freed = new ArrayList<>();
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.ops = new Ops(freed::add, null);
    assertEquals(0, map(pgmap));
    Folio folio = new Folio(m.page(GIB));
    m.mm.refs().setPageCount(folio.page(), 0);
    m.mm.struct().setMapping(folio.page(), 0x1000);

    memremap.freeZoneDeviceFolio(folio);
    assertEquals(1, m.refcount(GIB));
    assertEquals(0x1000, m.mapping(GIB));

    pgmap.type = MemoryType.MEMORY_DEVICE_FS_DAX;
    memremap.freeZoneDeviceFolio(folio);
    assertEquals(0x1000, m.mapping(GIB));

    pgmap.type = MemoryType.MEMORY_DEVICE_PCI_P2PDMA;
    memremap.freeZoneDeviceFolio(folio);
    assertEquals(0, m.mapping(GIB));

    pgmap.type = MemoryType.MEMORY_DEVICE_COHERENT;
    long refs = pgmap.ref;
    memremap.freeZoneDeviceFolio(folio);
    assertEquals(refs - 1, pgmap.ref);
    assertEquals(List.of(folio, folio), freed);
  }

  /** A page that names no device, and a device without a function. Expect the WARN of each. */
  @Test
  void freeZoneDeviceFolio_incomplete_warns() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    assertEquals(0, map(pgmap));
    pgmap.type = MemoryType.MEMORY_DEVICE_PRIVATE;
    memremap.freeZoneDeviceFolio(new Folio(m.page(GIB)));
    m.mm.struct().setCompoundInfo(m.page(GIB), 0);
    memremap.freeZoneDeviceFolio(new Folio(m.page(GIB)));
    assertEquals(
        List.of(
            "free_zone_device_folio: !pgmap->ops || !pgmap->ops->folio_free",
            "free_zone_device_folio: !pgmap"),
        m.warnings());
  }

  /** A page of RAM asked for its device. Expect the WARN of a DEBUG_VM kernel. */
  @Test
  void pagePgmap_ram_warns() {
    assertNull(memremap.pagePgmap(m.page(64 * MIB)));
    assertEquals(
        List.of("page_pgmap: !memdesc_is_zone_device(&page->flags)"), m.warnings());
  }

  /** A driver hands out four pages as one folio. Expect head, tails, one reference, locked. */
  @Test
  void zoneDevicePageInit_order2_folio() {
    DevPagemap pgmap = privateDevice();
    long refs = pgmap.ref;

    memremap.zoneDevicePageInit(m.page(GIB), pgmap, 2);

    assertEquals(refs + 4, pgmap.ref);
    assertEquals(1, m.refcount(GIB));
    assertEquals(2, m.mm.inline().folioOrder(new Folio(m.page(GIB))));
    assertTrue(m.mm.flags().test(m.page(GIB), PageFlags.PG_LOCKED));
    assertEquals(pgmap.va(), m.word(GIB, 1));
    assertTrue(m.warnings().isEmpty());
  }

  /**
   * A page that is in use, or no device's, or of a device that is gone. Expect the WARN of each.
   */
  @Test
  void zoneDevicePageInit_wrongPage_warns() {
    DevPagemap pgmap = privateDevice();
    m.mm.refs().setPageCount(m.page(GIB), 3);
    memremap.zoneDevicePageInit(m.page(GIB), pgmap, 0);
    m.mm.refs().setPageCount(m.page(64 * MIB), 0);
    memremap.zoneDevicePageInit(m.page(64 * MIB), pgmap, 0);
    pgmap.ref = 0;
    memremap.zoneDevicePageInit(m.page(GIB + PAGE), pgmap, 0);
    assertEquals(
        List.of(
            "zone_device_page_init: folio_ref_count(new_folio)",
            "zone_device_page_init: !folio_is_zone_device(new_folio)",
            "zone_device_page_init: "
                + "!percpu_ref_tryget_many(&page_pgmap(page)->ref, 1 << order)"),
        m.warnings());
  }

  private DevPagemap privateDevice() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.type = MemoryType.MEMORY_DEVICE_PRIVATE;
    pgmap.ops = new Ops(folio -> {}, () -> {});
    pgmap.owner = this;
    assertEquals(0, map(pgmap));
    return pgmap;
  }

  /**
   * A page that comes back dirty: with a folio's order, a mapping, an index, and the zone's link.
   * Expect all of it gone, in every page of the new folio, and the device in each.
   */
  @Test
  void zoneDevicePageInit_dirtyPages_areCleaned() {
    DevPagemap pgmap = privateDevice();
    for (long at = GIB; at < GIB + 4 * PAGE; at += PAGE) {
      m.mm.struct().setFlags(m.page(at), m.mm.struct().flags(m.page(at)) | 0x82);
      m.mm.struct().setMapping(m.page(at), 0x1000);
      m.mm.struct().setWord(m.page(at), StructPage.INDEX, 7);
      m.mm.struct().setHalf(m.page(at), StructPage.NR_PAGES, 512);
      m.mm.struct().setCompoundInfo(m.page(at), 0x99);
    }

    memremap.zoneDevicePageInit(m.page(GIB), pgmap, 0);
    memremap.zoneDevicePageInit(m.page(GIB + PAGE), pgmap, 0);

    for (long at = GIB; at < GIB + 2 * PAGE; at += PAGE) {
      assertEquals(1L << PageFlags.PG_LOCKED, m.mm.struct().flags(m.page(at)) & 0xff);
      assertEquals(0, m.mapping(at));
      assertEquals(0, m.mm.struct().word(m.page(at), StructPage.INDEX));
      assertEquals(0, m.mm.struct().half(m.page(at), StructPage.NR_PAGES));
      assertEquals(pgmap.va(), m.word(at, 1));
      assertEquals(1, m.refcount(at));
    }
    assertEquals(0x82, m.mm.struct().flags(m.page(GIB + 2 * PAGE)) & 0xff);
    assertEquals(0x99, m.word(GIB + 2 * PAGE, 1));
  }

  /**
   * Struct pages of 56 bytes, which have no room for a folio's number of pages.
   *
   * <pre>
   *   | page 0, 56 bytes | page 1: flags ...
   *                      ^ here _nr_pages would be
   * </pre>
   *
   * Expect the flags of the next page to stay as they were.
   */
  @Test
  void zoneDevicePageInit_smallStructPage_leavesTheNextAlone() {
    DaxMachine small =
        new DaxMachine(
                MmConfig.debianX86().withSizeofStructPage(56).withDeferredStructPageInit(false))
            .boot();
    DevPagemap pgmap = small.device(GIB, SECTION, 0);
    assertEquals(small.mm.model().va(GIB), small.dax.memremap().memremapPages(pgmap, 0));
    small.mm.refs().setPageCount(small.page(GIB), 0);
    long flags = small.mm.struct().flags(small.page(GIB + PAGE)) | 1L << PageFlags.PG_DIRTY;
    small.mm.struct().setFlags(small.page(GIB + PAGE), flags);

    small.dax.memremap().zoneDevicePageInit(small.page(GIB), pgmap, 0);

    assertEquals(flags, small.mm.struct().flags(small.page(GIB + PAGE)));
    assertEquals(List.of(), small.warnings());
  }

  /** An order beyond what the allocator has. Expect the kernel's comparison: of the order, in pages. */
  @Test
  void zoneDevicePageInit_order_isComparedWithPages() {
    DevPagemap pgmap = privateDevice();
    memremap.zoneDevicePageInit(m.page(GIB), pgmap, 11);
    assertTrue(m.warnings().isEmpty());
    assertEquals(11, m.mm.inline().folioOrder(new Folio(m.page(GIB))));
  }

  /** A device that another one collided with. Expect no reference of it to be left behind. */
  @Test
  void memremap_overlap_keepsNoReference() {
    DevPagemap first = m.device(GIB, SECTION, 0);
    assertEquals(0, map(first));
    long refs = first.ref;

    assertEquals(-Errno.ENOMEM, map(m.device(GIB + 64 * MIB, SECTION, 0)));
    assertEquals(-Errno.ENOMEM, map(m.device(GIB - 64 * MIB, SECTION, 0)));

    assertEquals(refs, first.ref);
    memremap.memunmapPages(first);
    assertEquals(0, m.owned(Owner.DEVICE));
  }

  /** Two nodes, of which one has no memory. Expect a device without a node on the other. */
  @Test
  void memremap_noNode_skipsNodesWithoutMemory() {
    m.mm.nodes().nodeSetOnline(5);
    m.mm.nodes().nodeData(5).nodePresentPages = 1;
    m.mm.nodes().nodeData(0).nodePresentPages = 0;
    DevPagemap pgmap = m.device(GIB, SECTION, 0);

    assertEquals(m.mm.model().va(GIB), memremap.memremapPages(pgmap, -1));

    assertEquals(5, m.mm.inline().pageToNid(m.page(GIB)));
  }

  /** A page that still names a device that has gone. Expect no device for it. */
  @Test
  void pagePgmap_deviceGone_isNull() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    assertEquals(0, map(pgmap));
    assertSame(pgmap, memremap.pagePgmap(m.page(GIB)));
    memremap.memunmapPages(pgmap);
    DevPagemap other = m.device(GIB, SECTION, 0);
    assertEquals(0, map(other));
    m.mm.struct().setCompoundInfo(m.page(GIB), pgmap.va());

    assertNull(memremap.pagePgmap(m.page(GIB)));
    assertSame(other, memremap.pagePgmap(m.page(GIB + PAGE)));
  }

  /** Ranges of two devices side by side. Expect each pfn to belong to its own, up to the border. */
  @Test
  void getDevPagemap_neighbours_areApart() {
    DevPagemap a = m.device(GIB, 16 * MIB, 0);
    DevPagemap b = m.device(GIB + 16 * MIB, 16 * MIB, 0);
    assertEquals(0, map(a));
    assertEquals(0, map(b));
    long border = (GIB + 16 * MIB) / PAGE;

    assertSame(a, memremap.getDevPagemap(border - 1));
    assertSame(b, memremap.getDevPagemap(border));
    assertSame(b, memremap.getDevPagemap(border + 4095));
    assertNull(memremap.getDevPagemap(border + 4096));
    assertTrue(memremap.belongsToDevice(border));
    assertFalse(memremap.belongsToDevice(border + 4096));
    memremap.putDevPagemap(a);
    memremap.putDevPagemap(b);
    memremap.putDevPagemap(b);
    memremap.memunmapPages(a);
    assertNull(memremap.getDevPagemap(border - 1));
    assertTrue(memremap.belongsToDevice(border));
    memremap.memunmapPages(b);
    assertFalse(memremap.belongsToDevice(border));
  }

  /** Memory that only the driver frees. Expect its references by pages, and its word to be asked. */
  @Test
  void freeZoneDeviceFolio_private_dropsAllOfTheFolio() {
    List<Folio> freed = new ArrayList<>();
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.type = MemoryType.MEMORY_DEVICE_PRIVATE;
    pgmap.ops = new Ops(freed::add, () -> {});
    pgmap.owner = this;
    assertEquals(0, map(pgmap));
    memremap.zoneDevicePageInit(m.page(GIB), pgmap, 2);
    assertEquals(1 + 4, pgmap.ref);
    Folio folio = new Folio(m.page(GIB));
    m.mm.struct().setMapping(folio.page(), 0x1000);

    memremap.freeZoneDeviceFolio(folio);

    assertEquals(1, pgmap.ref);
    assertEquals(List.of(folio), freed);
    assertEquals(0, m.mapping(GIB));
  }

  /** What an architecture is asked for; the direct map ends at 3 GiB. */
  private final class Recorder implements ArchHotplug {
    final List<String> calls = new ArrayList<>();

    @Override
    public int archAddMemory(int nid, long start, long size, MhpParams params) {
      calls.add("arch_add_memory");
      return m.hotplug.addPages(nid, start / PAGE, size / PAGE, params);
    }

    @Override
    public int addPages(int nid, long startPfn, long nrPages, MhpParams params) {
      calls.add("add_pages");
      return m.hotplug.addPages(nid, startPfn, nrPages, params);
    }

    @Override
    public void archRemoveMemory(
        long start, long size, @Nullable VmemAltmap altmap, @Nullable DevPagemap pgmap) {
      calls.add("arch_remove_memory");
      m.hotplug.removePages(start / PAGE, size / PAGE, altmap, pgmap);
    }

    @Override
    public Range archGetMappableRange() {
      return new Range(0, 3 * GIB - 1);
    }
  }

  /**
   * Memory that the CPU can reach, and private memory behind the end of the direct map.
   *
   * <pre>
   *   1G [ generic ]      3G | direct map ends      4G [ private ]
   * </pre>
   *
   * Expect the direct map for the first only, and -EINVAL for generic memory behind its end.
   */
  @Test
  void memremap_private_needsNoDirectMap() {
    Recorder arch = new Recorder();
    m.hotplug.setArch(arch);
    DevPagemap generic = m.device(GIB, SECTION, 0);
    assertEquals(0, map(generic));
    memremap.memunmapPages(generic);
    assertEquals(List.of("arch_add_memory", "arch_remove_memory"), arch.calls);
    arch.calls.clear();

    DevPagemap far = m.device(4 * GIB, SECTION, 0);
    assertEquals(-Errno.EINVAL, map(far));
    far.type = MemoryType.MEMORY_DEVICE_PRIVATE;
    far.ops = new Ops(folio -> {}, () -> {});
    far.owner = this;
    assertEquals(0, map(far));
    memremap.memunmapPages(far);
    assertEquals(List.of("add_pages"), arch.calls);
    assertEquals(0, m.mm.vmstat().nrMemmapPages());
  }

  /** Folios of the largest order of a kernel without gigantic ones. Expect it, and no larger. */
  @Test
  void memremap_largestFolio_isTheLimit() {
    DaxMachine plain =
        new DaxMachine(
                MmConfig.debianX86().toBuilder()
                    .gigantic(false)
                    .deferredStructPageInit(false)
                    .build())
            .boot();
    Memremap its = plain.dax.memremap();

    assertEquals(-Errno.EINVAL, its.memremapPages(plain.device(GIB, SECTION, 11), 0));
    assertEquals(
        plain.mm.model().va(GIB), its.memremapPages(plain.device(GIB, SECTION, 10), 0));
    assertEquals(
        List.of("memremap_pages: requested folio size unsupported"), plain.warnings());
  }

  /** Node 0 is asked for, which has no memory. Expect it all the same: it is a node. */
  @Test
  void memremap_nodeZero_isANode() {
    m.mm.nodes().nodeSetOnline(5);
    m.mm.nodes().nodeData(5).nodePresentPages = 1;
    m.mm.nodes().nodeData(0).nodePresentPages = 0;
    assertEquals(0, map(m.device(GIB, SECTION, 0)));
    assertEquals(0, m.mm.inline().pageToNid(m.page(GIB)));
  }

  /**
   * A driver fails at one range and tries another with the same pgmap.
   *
   * <pre>
   *   1G + 1M [ misaligned ]      2G [ mapped ]
   * </pre>
   *
   * Expect no pfn of the first to belong to the device.
   */
  @Test
  void memremap_otherRangeAfterAFailure_firstIsNobodys() {
    DevPagemap pgmap = m.device(GIB, MIB, 0);
    assertEquals(-Errno.EINVAL, map(pgmap));
    assertEquals(1, pgmap.nrRange);
    pgmap.ranges = new Range[] {new Range(2 * GIB, 2 * GIB + SECTION - 1)};

    assertEquals(0, map(pgmap));

    assertNull(memremap.getDevPagemap(GIB / PAGE));
    assertTrue(memremap.belongsToDevice(2 * GIB / PAGE));
  }

  /** The same with a range that no kernel can address. */
  @Test
  void memremap_otherRangeAfterOneTooFar_firstIsNobodys() {
    m.hotplug.setArch(new Recorder());
    DevPagemap pgmap = m.device(4 * GIB, SECTION, 0);
    assertEquals(-Errno.EINVAL, map(pgmap));
    pgmap.ranges = new Range[] {new Range(2 * GIB, 2 * GIB + SECTION - 1)};

    assertEquals(0, map(pgmap));

    assertNull(memremap.getDevPagemap(4 * GIB / PAGE));
    assertEquals(SECTION / PAGE, m.owned(Owner.DEVICE));
  }

  /** Two ranges. Expect a reference for each page of both, and none before the second's start. */
  @Test
  void memremap_twoRanges_referencesOfBoth() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    pgmap.ranges = new Range[] {pgmap.ranges[0], new Range(2 * GIB, 2 * GIB + SECTION - 1)};
    pgmap.nrRange = 2;

    assertEquals(0, map(pgmap));

    assertEquals(1 + 2 * SECTION / PAGE, pgmap.ref);
    assertTrue(memremap.pgmapPfnValid(pgmap, (2 * GIB + SECTION) / PAGE - 1));
    assertFalse(memremap.pgmapPfnValid(pgmap, 2 * GIB / PAGE - 1));
  }

  /** Private memory whose driver cannot free a folio. Expect a WARN, and the references kept. */
  @Test
  void freeZoneDeviceFolio_noFunction_keepsTheReferences() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    assertEquals(0, map(pgmap));
    pgmap.type = MemoryType.MEMORY_DEVICE_PRIVATE;
    long refs = pgmap.ref;

    memremap.freeZoneDeviceFolio(new Folio(m.page(GIB)));

    assertEquals(refs, pgmap.ref);
    assertEquals(1, m.warnings().size());
  }

  /** Four dirty pages become one folio. Expect the last of them cleaned like the first. */
  @Test
  void zoneDevicePageInit_dirtyTails_areCleaned() {
    DevPagemap pgmap = privateDevice();
    long last = GIB + 3 * PAGE;
    m.mm.struct().setWord(m.page(last), StructPage.INDEX, 7);
    m.mm.struct().setFlags(m.page(last), m.mm.struct().flags(m.page(last)) | 0x82);

    memremap.zoneDevicePageInit(m.page(GIB), pgmap, 2);

    assertEquals(0, m.mm.struct().word(m.page(last), StructPage.INDEX));
    assertEquals(0, m.mm.struct().flags(m.page(last)) & 0xff);
    assertEquals(m.mm.flags().tailMapping(), m.mapping(last));
  }

  /**
   * A device in the section that RAM ends in.
   *
   * <pre>
   *   section 2   | RAM 16M |   | device 16M |   online as a whole
   * </pre>
   *
   * Expect RAM to be online and the device's pages not, until the device goes.
   */
  @Test
  void pfnToOnlinePage_deviceBesideRam_isNotOnline() {
    long start = 2 * SECTION + 64 * MIB;
    DevPagemap pgmap = m.device(start, 16 * MIB, 0);
    assertEquals(0, map(pgmap));

    assertEquals(m.page(2 * SECTION), m.hotplug.pfnToOnlinePage(2 * SECTION / PAGE));
    assertNull(m.hotplug.pfnToOnlinePage(start / PAGE));
    assertFalse(m.mm.mmzone().pfnOnline(start / PAGE));
    assertTrue(m.mm.mmzone().pfnOnline(2 * SECTION / PAGE));
  }

  /** A device that is going away, while its pages are still there. Expect no new reference. */
  @Test
  void getDevPagemap_dying_isNull() {
    DevPagemap pgmap = m.device(GIB, SECTION, 0);
    assertEquals(0, map(pgmap));
    long refs = pgmap.ref;
    pgmap.refDead = true;

    assertNull(memremap.getDevPagemap(GIB / PAGE));
    assertEquals(refs, pgmap.ref);
  }
}
