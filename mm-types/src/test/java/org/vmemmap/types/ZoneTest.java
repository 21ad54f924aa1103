// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Zones, the nodes that they are in, and which of both a kernel has. */
class ZoneTest {
  private final Mm mm = TestMm.debian();
  private final PgData node = mm.nodes().nodeData(0);
  private final Zone zone = node.zone(ZoneType.ZONE_NORMAL);

  /**
   * A zone of pfns 100 to 109 and one pfn at each side.
   *
   * <pre>
   *   pfn   99  [100 ... 109]  110
   * </pre>
   */
  @ParameterizedTest
  @CsvSource({"99, false", "100, true", "109, true", "110, false"})
  void spansPfn_bothEnds_endIsOutside(long pfn, boolean spanned) {
    span(100, 10);
    assertEquals(110, zone.endPfn());
    assertEquals(spanned, zone.spansPfn(pfn));
  }

  /** The same zone and ranges that touch it. Expect a common pfn to be needed. */
  @ParameterizedTest
  @CsvSource({
    "90, 10, false", "90, 11, true", "109, 1, true", "110, 5, false", "0, 500, true",
  })
  void intersects_ranges_needACommonPfn(long start, long nr, boolean common) {
    span(100, 10);
    assertEquals(common, zone.intersects(start, nr));
  }

  /** A zone without pfns. Expect it empty, and to intersect nothing. */
  @Test
  void intersects_emptyZone_never() {
    span(100, 0);
    assertTrue(zone.isEmpty());
    assertFalse(zone.intersects(0, 500));
    span(100, 1);
    assertFalse(zone.isEmpty());
  }

  private void span(long start, long pages) {
    zone.zoneStartPfn = start;
    zone.spannedPages = pages;
  }

  /** Pages that the page allocator has, and pages that are there. Expect two questions. */
  @Test
  void managedAndPopulated_countDifferentPages() {
    assertFalse(zone.managed() || zone.populated());
    zone.presentPages = 1;
    assertTrue(zone.populated());
    assertFalse(zone.managed());
    zone.managedPages = 1;
    assertTrue(zone.managed());
  }

  /** Names as /proc/zoneinfo has them. */
  @ParameterizedTest
  @CsvSource({
    "ZONE_DMA, DMA, true",
    "ZONE_DMA32, DMA32, true",
    "ZONE_NORMAL, Normal, true",
    "ZONE_MOVABLE, Movable, false",
    "ZONE_DEVICE, Device, false",
  })
  void names_eachZone_areTheKernels(ZoneType type, String name, boolean upToNormal) {
    assertEquals(name, type.label());
    assertEquals(name, node.zone(type).name());
    assertEquals("0/" + name, node.zone(type).toString());
    assertEquals(upToNormal, type.upToNormal());
  }

  /** A kernel without ZONE_DMA32. Expect the zones behind it to move down, and a clear refusal. */
  @Test
  void zoneSet_withoutDma32_numbersMoveDown() {
    ZoneSet zones = ZoneSet.of(true, false);

    assertEquals(4, zones.maxNrZones());
    assertTrue(zones.has(ZoneType.ZONE_DMA));
    assertFalse(zones.has(ZoneType.ZONE_DMA32));
    assertEquals(1, zones.number(ZoneType.ZONE_NORMAL));
    assertEquals(ZoneType.ZONE_NORMAL, zones.of(1));
    assertThrows(IllegalArgumentException.class, () -> zones.number(ZoneType.ZONE_DMA32));
    PgData other = new PgData(0, zones, 0, false);
    assertThrows(IllegalArgumentException.class, () -> other.zone(ZoneType.ZONE_DMA32));
  }

  /** A node of pfns 256 to 1023. Expect its number, its end, and zones in order of their numbers. */
  @Test
  void pgData_node_hasItsZones() {
    PgData other = mm.nodes().nodeData(3);
    other.nodeStartPfn = 256;
    other.nodeSpannedPages = 768;

    assertEquals(3, other.nodeId());
    assertEquals(1024, other.endPfn());
    assertEquals(
        List.of(0, 1, 2, 3, 4),
        Arrays.stream(other.zones()).map(z -> mm.zones().number(z.idx())).toList());
    assertTrue(Arrays.stream(other.zones()).allMatch(z -> z.nid() == 3));
  }

  /** Slots for shared tails. Expect each zone's own, or with tails per node one for all. */
  @Test
  void vmemmapTails_perZoneOrPerNode() {
    Page tail = new Page(0x1000);
    PgData perZone = new PgData(0, mm.zones(), 4, false);
    PgData perNode = new PgData(0, mm.zones(), 4, true);
    perZone.zone(ZoneType.ZONE_NORMAL).vmemmapTails[2] = tail;
    perNode.zone(ZoneType.ZONE_NORMAL).vmemmapTails[2] = tail;

    assertEquals(tail, perZone.zone(ZoneType.ZONE_NORMAL).vmemmapTail(2));
    assertNull(perZone.zone(ZoneType.ZONE_MOVABLE).vmemmapTail(2));
    assertEquals(tail, perNode.zone(ZoneType.ZONE_MOVABLE).vmemmapTail(2));
  }

  /** Two CPUs bring the first tail of a slot. Expect the second to be told of the first's. */
  @Test
  void cmpxchgVmemmapTail_taken_keepsTheFirst() {
    Page first = new Page(0x1000);
    Page second = new Page(0x2000);

    assertNull(mm.cmpxchgVmemmapTail(zone, 1, first));
    assertEquals(first, mm.cmpxchgVmemmapTail(zone, 1, second));
    assertEquals(first, zone.vmemmapTail(1));
  }

  /** A kernel without HVO. Expect no slots; with it one for each order that can be shrunk. */
  @Test
  void vmemmapTails_withoutHvo_areNone() {
    Mm without = TestMm.with(MmConfig.debianX86().withHugetlbOptimizeVmemmap(false));

    assertEquals(16, zone.vmemmapTails.length);
    assertEquals(0, without.nodes().nodeData(0).zone(ZoneType.ZONE_NORMAL).vmemmapTails.length);
  }

  /**
   * A node comes, goes and comes back. Expect it in the list only while it is online, and its data
   * to be the same all the time.
   */
  @Test
  void nodes_onlineAndOffline_keepTheirData() {
    Nodes nodes = mm.nodes();
    assertEquals(1, nodes.count());
    PgData two = nodes.possibleNodeData(2);
    assertTrue(nodes.nodeOnline(0));
    assertFalse(nodes.nodeOnline(2));
    assertEquals(List.of(node), nodes.online());

    nodes.nodeSetOnline(2);
    assertTrue(nodes.nodeOnline(2));
    assertSame(two, nodes.nodeData(2));
    assertSame(two, nodes.possibleNodeData(2));
    assertEquals(List.of(node, two), nodes.online());
    assertEquals(2, nodes.count());

    nodes.nodeSetOffline(2);
    assertFalse(nodes.nodeOnline(2));
    assertSame(two, nodes.nodeData(2));
    assertEquals(1, nodes.count());
    nodes.nodeSetOffline(2);
    assertFalse(nodes.nodeOnline(2));
    assertNotSame(two, nodes.possibleNodeData(3));
  }

  /** Distances without a table of firmware. Expect 10 to itself and 20 to all others. */
  @Test
  void nodeDistance_withoutTable_isTheDefault() {
    assertEquals(Nodes.LOCAL_DISTANCE, mm.nodes().nodeDistance(1, 1));
    assertEquals(20, mm.nodes().nodeDistance(0, 1));
  }

  /** A node that went offline, and one that never came. Expect the first among those that ever were. */
  @Test
  void everOnline_nodeOffline_isStillListed() {
    Nodes nodes = mm.nodes();
    PgData two = nodes.possibleNodeData(2);
    nodes.nodeSetOnline(2);
    nodes.nodeSetOffline(2);

    assertEquals(List.of(node, two), nodes.everOnline());
    assertEquals(List.of(node), nodes.online());
  }
}
