// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mockito.Mockito.CALLS_REAL_METHODS;
import static org.mockito.Mockito.mock;
import static org.vmemmap.sparse.HotplugMachine.BLOCK;
import static org.vmemmap.sparse.HotplugMachine.PFN;
import static org.vmemmap.sparse.HotplugMachine.START;
import static org.vmemmap.sparse.MemoryAdd.MHP_NONE;
import static org.vmemmap.sparse.SmallMachine.DEVICE_PFN;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.PAGE;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.SUBSECTION;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.sparse.MemoryHotplug.MhpParams;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Series;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Ranges of hot-added memory: ends of nodes and zones, what an architecture says, struct pages. */
class HotplugRangesTest {
  private static final MhpParams PLAIN = new MhpParams(null, null);

  // ---- the span of a node ----

  private static String span(PgData node) {
    return (node.nodeStartPfn - PFN) / SECTION + "+" + node.nodeSpannedPages / SECTION;
  }

  /**
   * Three blocks of a new node in two zones go offline, from both ends.
   *
   * <pre>
   *   block    0        1       2
   *           |Movable|Normal|Movable|     node 0+3, 1+2, 1+1, none
   * </pre>
   *
   * Expect the node to span what its zones span.
   */
  @Test
  void updatePgdatSpan_twoZones_spansBoth() {
    HotplugMachine k = new HotplugMachine();
    assertEquals(0, k.h.add().addMemory(2, START, 3 * BLOCK, MHP_NONE));
    k.write(1, "online_kernel");
    PgData node = k.m.mm.nodes().nodeData(2);
    assertEquals("1+1", span(node));
    k.write(2, "online_movable");
    assertEquals("1+2", span(node));
    k.write(0, "online_movable");
    assertEquals("0+3", span(node));

    k.write(0, "offline");
    assertEquals("1+2", span(node));
    assertEquals(PFN + 2 * SECTION, k.m.zone(2, ZoneType.ZONE_MOVABLE).zoneStartPfn);
    k.write(2, "offline");
    assertEquals("1+1", span(node));
    k.write(1, "offline");
    assertEquals(0, node.nodeSpannedPages);
    assertEquals(0, node.nodeStartPfn);
    k.assertQuiet();
  }

  // ---- what an architecture says ----

  /** With and without an architecture. Expect its alignment, or a subsection. */
  @Test
  void memremapCompatAlign_arch_decides() {
    SmallMachine m = SmallMachine.small();
    assertEquals(2 * MIB, m.hotplug.memremapCompatAlign());
    m.hotplug.setArch(m.arch);
    m.arch.compatAlign = 16 * MIB;
    assertEquals(16 * MIB, m.hotplug.memremapCompatAlign());
  }

  /** Whether a memmap may lie in its block: whole pmds, with and without an architecture. */
  @Test
  void archSupportsMemmapOnMemory_wholePmds_areFine() {
    SmallMachine m = SmallMachine.small();
    for (int turn = 0; turn < 2; turn++) {
      assertTrue(m.hotplug.archSupportsMemmapOnMemory(2 * MIB));
      assertFalse(m.hotplug.archSupportsMemmapOnMemory(2 * MIB + PAGE));
      m.hotplug.setArch(m.arch);
    }
    assertFalse(SmallMachine.small().hotplug.archKeepMemblock());
    assertFalse(m.hotplug.archKeepMemblock());
    m.arch.keepMemblock = true;
    assertTrue(m.hotplug.archKeepMemblock());
  }

  /** An architecture that overrides nothing. Expect the answers of a kernel without its options. */
  @Test
  void architecture_nothingOverridden_isGeneric() {
    ArchHotplug hotplug = mock(ArchHotplug.class, CALLS_REAL_METHODS);
    ArchVmemmap vmemmap = mock(ArchVmemmap.class, CALLS_REAL_METHODS);

    assertEquals(2 * MIB, hotplug.memremapCompatAlign());
    assertFalse(hotplug.archKeepMemblock());
    assertTrue(vmemmap.populatesBySectionOrder());
    assertFalse(vmemmap.haveBootmemInfoNode());
  }

  /** The drivers of memory are initialised. Expect the architecture to register its notifiers. */
  @Test
  void driverInit_arch_registersItsNotifiers() {
    HotplugMachine k = new HotplugMachine();

    assertSame(k.h.blocks(), k.m.arch.notified);
  }

  // ---- ranges ----

  /** An altmap that takes all of the range, and one that takes a page more. */
  @Test
  void addPages_altmapOfTheWholeRange_isTheLargest() {
    SmallMachine m = SmallMachine.small().boot();
    MhpParams whole = new MhpParams(m.altmap(DEVICE_PFN, SECTION, 8, SECTION - 8), null);
    MhpParams more =
        new MhpParams(m.altmap(DEVICE_PFN + SECTION, SECTION, 8, SECTION - 7), null);

    assertEquals(0, m.hotplug.addPages(0, DEVICE_PFN, SECTION, whole));
    assertEquals(
        -Errno.EINVAL, m.hotplug.addPages(0, DEVICE_PFN + SECTION, SECTION, more));
  }

  /** The last section that physical memory can have, and the one behind. Expect only the first. */
  @Test
  void addPages_lastSection_isAllowed() {
    SmallMachine m = new SmallMachine(config().withMaxPhysmemBits(31), new Ram(0, 384 * MIB, 0));
    m.boot();
    long last = (1L << (31 - 12)) - SECTION;

    assertEquals(0, m.hotplug.addPages(0, last, SECTION, PLAIN));
    assertTrue(m.mm.mmzone().pfnValid(last + SECTION - 1));
    assertEquals(
        new DevPagemap.Range(0, (1L << 31) - 1), m.hotplug.mhpGetPluggableRange(false));
    assertTrue(m.hotplug.mhpRangeAllowed(last << 12, 128 * MIB, false));
    assertFalse(m.hotplug.mhpRangeAllowed(last << 12, 128 * MIB + 1, false));
  }

  /** The architecture maps up to the last byte of memory, or begins there. Expect it allowed. */
  @Test
  void mhpGetPluggableRange_edge_isInside() {
    SmallMachine m = SmallMachine.small();
    m.hotplug.setArch(m.arch);
    long max = (1L << 46) - 1;
    m.arch.mappable = new DevPagemap.Range(max, -1);
    assertEquals(new DevPagemap.Range(max, max), m.hotplug.mhpGetPluggableRange(true));
    m.arch.mappable = new DevPagemap.Range(max + 1, -1);
    assertEquals(new DevPagemap.Range(0, 0), m.hotplug.mhpGetPluggableRange(true));
    m.arch.mappable = new DevPagemap.Range(5, max - 1);
    assertEquals(new DevPagemap.Range(5, max - 1), m.hotplug.mhpGetPluggableRange(true));
  }

  // ---- struct pages ----

  private static void move(SmallMachine m, Zone zone, long nrPages) {
    m.hotplug.locks().memHotplugBegin();
    m.hotplug.movePfnRangeToZone(
        zone, DEVICE_PFN, nrPages, null, Migratetype.MIGRATE_MOVABLE, true);
    m.hotplug.locks().memHotplugDone();
  }

  /** Struct pages of all sizes. Expect each page offline, referenced, in its zone and node. */
  @ParameterizedTest
  @ValueSource(ints = {56, 64, 72, 80})
  void movePfnRangeToZone_anyStructPage_isOffline(int size) {
    SmallMachine m =
        new SmallMachine(config().withSizeofStructPage(size), new Ram(0, 384 * MIB, 0));
    m.boot();
    assertEquals(0, m.hotplug.addPages(0, DEVICE_PFN, SECTION, PLAIN));
    Zone movable = m.zone(0, ZoneType.ZONE_MOVABLE);

    move(m, movable, SECTION);

    for (long at : new long[] {0, 1, 63, 64, 511, SECTION - 1}) {
      Page page = m.mm.model().pfnToPage(DEVICE_PFN + at);
      assertTrue(m.mm.flags().hasType(page, PageFlags.PGTY_OFFLINE), "page " + at);
      assertEquals(1, m.mm.struct().refcount(page));
      assertSame(movable, m.mm.inline().pageZone(page));
      assertEquals(
          Migratetype.MIGRATE_ISOLATE,
          m.pageAlloc.getPfnblockMigratetype(page, DEVICE_PFN + at));
    }
    assertEquals(DEVICE_PFN + SECTION - 1, m.mmInit.highestMemmapPfn());
  }

  /** A device hosts its memmap. Expect the pages of it reserved, those before and behind poisoned. */
  @ParameterizedTest
  @ValueSource(ints = {64, 80})
  void movePfnRangeToZone_altmap_initsThePagesOfIt(int size) {
    SmallMachine m =
        new SmallMachine(config().withSizeofStructPage(size), new Ram(0, 384 * MIB, 0));
    m.boot();
    Zone device = m.zone(0, ZoneType.ZONE_DEVICE);
    MhpParams params = new MhpParams(m.altmap(DEVICE_PFN, SECTION, 16, 1008), null);
    assertEquals(0, m.hotplug.addPages(0, DEVICE_PFN, SECTION, params));

    m.hotplug.locks().memHotplugBegin();
    m.hotplug.movePfnRangeToZone(
        device, DEVICE_PFN, SECTION, params.altmap(), Migratetype.MIGRATE_MOVABLE, false);
    m.hotplug.locks().memHotplugDone();

    for (long at : new long[] {0, 15, 16, 1023, 1024}) {
      Page page = m.mm.model().pfnToPage(DEVICE_PFN + at);
      boolean inside = at >= 16 && at < 1024;
      assertEquals(!inside, m.mm.flags().pagePoisoned(page), "page " + at);
      assertEquals(inside, inside && m.mm.flags().pageReserved(page), "page " + at);
    }
    assertEquals(List.of(), m.warnings());
  }

  /** Memory of a section that shares its tails leaves its zone. Expect them not to be poisoned. */
  @Test
  void removePfnRangeFromZone_sharedTails_areNotPoisoned() {
    SmallMachine m =
        new SmallMachine(
            config().withSeries(Series.at(Series.LAST)), new Ram(0, 384 * MIB, 0));
    m.boot();
    Zone device = m.zone(0, ZoneType.ZONE_DEVICE);
    DevPagemap pgmap = m.device(DEVICE_PFN, SECTION, 9);
    assertEquals(0, m.hotplug.addPages(0, DEVICE_PFN, SECTION, new MhpParams(null, pgmap)));
    assertEquals(0, m.hotplug.addPages(0, DEVICE_PFN + SECTION, SUBSECTION, PLAIN));
    move(m, device, SECTION + SUBSECTION);
    m.mmInit.memmapInitZoneDevice(device, DEVICE_PFN, SECTION, pgmap);
    m.mm.struct().setFlags(m.mm.model().pfnToPage(DEVICE_PFN + SECTION), 0);

    m.hotplug.locks().memHotplugBegin();
    m.hotplug.removePfnRangeFromZone(device, DEVICE_PFN, SECTION + SUBSECTION);

    assertFalse(m.mm.flags().pagePoisoned(m.mm.model().pfnToPage(DEVICE_PFN)));
    assertNotEquals(0, m.mm.struct().flags(m.mm.model().pfnToPage(DEVICE_PFN)));
    assertTrue(m.mm.flags().pagePoisoned(m.mm.model().pfnToPage(DEVICE_PFN + SECTION)));
    assertTrue(
        m.mm.flags().pagePoisoned(m.mm.model().pfnToPage(DEVICE_PFN + SECTION + SUBSECTION - 1)));
  }
}
