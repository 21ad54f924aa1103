// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.sparse.SmallMachine.MIB;
import static org.vmemmap.sparse.SmallMachine.PAGE;
import static org.vmemmap.sparse.SmallMachine.SECTION;
import static org.vmemmap.sparse.SmallMachine.config;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.vmemmap.sparse.SmallMachine.Ram;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * After a boot every struct page that exists tells its zone and node truly.
 *
 * <pre>
 *   pfn    0  1                     69387   73500                  110593  131072
 *          |  |####### node 0 ########|  hole |####### node 1 ########|      |
 *   DMA    |-------|   to 4096, a whole page of it a hole
 *   DMA32          |------------------------------------------------------|
 * </pre>
 *
 * A hole goes to the zone above it, what follows the last memory to the last zone; both are
 * reserved. Memory that does not fill a page is no memory.
 */
class MemmapTruthTest {
  private static final long SPLIT = 69387;
  private static final long NODE_1 = 73500;
  private static final long END = 110593;
  private static final long SECTIONS_END = 4 * SECTION;

  /** Ends inside pages. */
  private static SmallMachine oddBytes(MmConfig config) {
    return new SmallMachine(
            config,
            new Ram(PAGE / 2, SPLIT * PAGE + 100, 0),
            new Ram(NODE_1 * PAGE - 100, END * PAGE + PAGE - 1, 1))
        .boot();
  }

  /** Ends at pages that begin nothing larger. */
  private static SmallMachine oddPages(MmConfig config) {
    return new SmallMachine(
            config,
            new Ram(PAGE, SPLIT * PAGE, 0),
            new Ram(NODE_1 * PAGE, END * PAGE, 1))
        .boot();
  }

  /** What memblock's ranges say of a pfn: "node zone", worked out without the ported code. */
  private static String truth(long pfn) {
    if (pfn < 4096) {
      return "0 DMA";
    }
    return pfn < SPLIT ? "0 DMA32" : "1 DMA32";
  }

  private static boolean isMemory(long pfn) {
    return (1 <= pfn && pfn < SPLIT) || (NODE_1 <= pfn && pfn < END);
  }

  /** Each pfn's answer that differs from the truth, at most five of them. */
  private static List<String> lies(SmallMachine m) {
    List<String> lies = new ArrayList<>();
    LongStream.range(0, SECTIONS_END)
        .takeWhile(pfn -> lies.size() < 5)
        .forEach(
            pfn -> {
              String lie = lie(m, pfn);
              if (lie != null) {
                lies.add("pfn=" + pfn + " " + lie);
              }
            });
    return lies;
  }

  private static @Nullable String lie(SmallMachine m, long pfn) {
    if (!m.mm.mmzone().pfnValid(pfn)) {
      return "is not valid";
    }
    Page page = m.mm.model().pfnToPage(pfn);
    Zone zone = m.mm.inline().pageZone(page);
    String told = m.mm.inline().pageToNid(page) + " " + zone.name();
    if (!told.equals(truth(pfn))) {
      return "tells " + told;
    }
    if (isMemory(pfn) && (!zone.spansPfn(pfn) || zone.nid() != m.mm.inline().pageToNid(page))) {
      return "lies outside the zone that it tells";
    }
    if (m.mm.flags().compoundHead(page).va() != page.va()) {
      return "is no page of its own";
    }
    return isMemory(pfn) || m.mm.flags().pageReserved(page) ? null : "is a hole, not reserved";
  }

  /**
   * 64-byte struct pages at once. Expect all 131072 of four sections to tell the truth, and spans
   * and counts that fit them.
   */
  @Test
  void boot_oddEndsOnTwoNodes_everyPageTellsZoneAndNode() {
    SmallMachine m = oddBytes(config());

    assertEquals(List.of(), lies(m));
    assertEquals(4095, m.zone(0, ZoneType.ZONE_DMA).presentPages);
    assertEquals(SPLIT - 1, m.mm.nodes().nodeData(0).nodePresentPages);
    assertEquals(END - NODE_1, m.mm.nodes().nodeData(1).nodePresentPages);
    assertTrue(m.warnings().isEmpty(), m.warnings().toString());
  }

  /**
   * The same when most struct pages are initialised late. With whole pages only, to which all
   * architectures trim memblock: the kernel writes a zone that does not exist into a reserved page
   * that is only partly memory, at the deferred end of a node.
   *
   * <p>Expect no difference.
   */
  @Test
  void boot_oddEndsDeferred_everyPageTellsZoneAndNode() {
    assertEquals(List.of(), lies(oddPages(config().withDeferredStructPageInit(true))));
  }

  /** Struct pages that do not tile a page of memmap. Expect no difference. */
  @Test
  void boot_oddEndsAndOddStructPages_everyPageTellsZoneAndNode() {
    assertEquals(List.of(), lies(oddBytes(config().withSizeofStructPage(56))));
    assertEquals(List.of(), lies(oddBytes(config().withSizeofStructPage(80))));
  }

  // ---- the smallest folio that can be optimised ----

  /**
   * Boot HVO by size.
   *
   * <pre>
   *   256 KiB   order 6   64 struct pages    [f0]          one page of memmap: nothing to share
   *   512 KiB   order 7   128 struct pages   [f0][T]       one page saved
   *    16 GiB   order 22                     [f0][T] ...   the largest folio: 65535 pages saved
   * </pre>
   *
   * Expect the first to be refused, the others to take one frame of their own and one shared.
   */
  @Test
  void populateHvo_bySize_512KibIsTheSmallest() {
    assertEquals(512L << 10, PAGE << 7);
    SmallMachine m = SmallMachine.small().boot();
    long dev = m.memmap(SmallMachine.DEVICE_PFN);
    Zone zone = m.zone(0, ZoneType.ZONE_DMA32);

    assertTrue(m.vmemmap.vmemmapPopulateHvo(dev, dev + PAGE, 6, zone, PAGE) < 0);
    assertEquals(List.of("vmemmap_get_tail: order < VMEMMAP_TAIL_MIN_ORDER"), m.warnings());
    assertEquals(-1, m.level(dev));

    assertEquals(0, m.vmemmap.vmemmapPopulateHvo(dev, dev + 2 * PAGE, 7, zone, PAGE));
    assertNotNull(zone.vmemmapTails[0]);
    assertEquals(m.mm.model().pageToPfn(zone.vmemmapTails[0]), m.frame(dev + PAGE));

    long large = dev + 256 * MIB;
    assertEquals(0, m.vmemmap.vmemmapPopulateHvo(large, large + 256 * MIB, 22, zone, PAGE));
    Page last = zone.vmemmapTails[zone.vmemmapTails.length - 1];
    assertNotNull(last);
    assertEquals(m.mm.model().pageToPfn(last), m.frame(large + 256 * MIB - PAGE));
    assertEquals(2, m.owned(Owner.SHARED_TAIL));
  }
}
