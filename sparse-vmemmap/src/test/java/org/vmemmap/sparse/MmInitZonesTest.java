// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.sparse.MmInitBench.Ram;
import org.vmemmap.types.Errno;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.ZoneType;

/** Where zones begin and end. Zones are written as node, name, start+spanned, present. */
class MmInitZonesTest {
  private static final Ram LOW = new Ram(0x1000, 0x9f000, 0);
  private static final String DMA = "0 DMA 1+4095 3998";
  private static final String DMA32 = "0 DMA32 4096+1044480 782304";

  /**
   * The captured machine base-4g has a hole below 4 GiB.
   *
   * <pre>
   *   0   16M             3G-128K   4G        5G
   *   |DMA|-----DMA32-----|..hole..|--Normal--|
   * </pre>
   *
   * Expect DMA32 to span the hole and not to count it.
   */
  @Test
  void freeAreaInit_base4g_zonesOfTheCapturedKernel() {
    MmInitBench bench =
        MmInitBench.debian(
                LOW,
                new Ram(0x10_0000, 0xbffe_0000L, 0),
                new Ram(0x1_0000_0000L, 0x1_4000_0000L, 0))
            .layOutZones();

    assertEquals(List.of(DMA, DMA32, "0 Normal 1048576+262144 262144"), bench.zones());
  }

  /**
   * The captured machine base-4g-numa2 is cut at 2 GiB.
   *
   * <pre>
   *   node 0  |DMA|--DMA32--|
   *   node 1                |--DMA32--|.hole.|--Normal--|
   * </pre>
   *
   * Expect each node to have its own DMA32.
   */
  @Test
  void freeAreaInit_base4gNuma2_zonesOfTheCapturedKernel() {
    MmInitBench bench =
        MmInitBench.debian(
                LOW,
                new Ram(0x10_0000, 0x8000_0000L, 0),
                new Ram(0x8000_0000L, 0xbffe_0000L, 1),
                new Ram(0x1_0000_0000L, 0x1_4000_0000L, 1))
            .layOutZones();

    assertEquals(
        List.of(
            DMA,
            "0 DMA32 4096+520192 520192",
            "1 DMA32 524288+524288 262112",
            "1 Normal 1048576+262144 262144"),
        bench.zones());
    assertEquals(List.of(0, 1), bench.mmInit.nodesWithMemory());
  }

  /**
   * The captured machine base-2g-hole256m lacks 1 GiB to 1.25 GiB.
   *
   * <pre>
   *   |DMA|----DMA32----|hole|----DMA32----|
   * </pre>
   *
   * Expect no Normal zone, and 65536 pages less than spanned in DMA32.
   */
  @Test
  void freeAreaInit_base2gHole_zonesOfTheCapturedKernel() {
    MmInitBench bench =
        MmInitBench.debian(
                LOW, new Ram(0x10_0000, 0x4000_0000L, 0), new Ram(0x5000_0000L, 0x7ffe_0000L, 0))
            .layOutZones();

    assertEquals(List.of(DMA, "0 DMA32 4096+520160 454624"), bench.zones());
  }

  /**
   * Memory of two nodes in turns.
   *
   * <pre>
   *   GiB     4      5      6      7      8
   *   node 0  [######]      [######]
   *   node 1         [######]      [######]
   * </pre>
   *
   * Expect both Normal zones to span into each other, each with its own present pages only.
   */
  @Test
  void freeAreaInit_interleavedNodes_spansOverlap() {
    MmInitBench bench =
        MmInitBench.debian(
                new Ram(0x1_0000_0000L, 0x1_4000_0000L, 0),
                new Ram(0x1_4000_0000L, 0x1_8000_0000L, 1),
                new Ram(0x1_8000_0000L, 0x1_c000_0000L, 0),
                new Ram(0x1_c000_0000L, 0x2_0000_0000L, 1))
            .layOutZones();

    assertEquals(
        List.of("0 Normal 1048576+786432 524288", "1 Normal 1310720+786432 524288"), bench.zones());
  }

  /** A range that starts and ends within a page. Expect only the whole pages in it. */
  @Test
  void freeAreaInit_oddEnds_onlyWholePages() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x10_0001, 0x20_0fff, 0)).layOutZones();

    assertEquals(List.of("0 DMA 257+255 255"), bench.zones());
  }

  /** A node that was announced but has no memory. Expect empty zones and a line that says so. */
  @Test
  void freeAreaInit_memorylessNode_isEmpty() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x10_0000, 0x80_0000, 0));
    bench.zone(1, ZoneType.ZONE_NORMAL).spannedPages = 17;

    bench.layOutZones();

    assertEquals(List.of("0 DMA 256+1792 1792"), bench.zones());
    assertTrue(bench.log().contains("Initmem setup node 1 as memoryless"));
    assertEquals(List.of(0), bench.mmInit.nodesWithMemory());
  }

  /** The log of base-4g's zones. Expect the lines that the kernel prints. */
  @Test
  void freeAreaInit_log_saysRanges() {
    MmInitBench bench =
        MmInitBench.debian(
                LOW,
                new Ram(0x10_0000, 0xbffe_0000L, 0),
                new Ram(0x1_0000_0000L, 0x1_4000_0000L, 0))
            .early();

    assertEquals(
        List.of(
            "Zone ranges:",
            "  DMA      [mem 0x0000000000001000-0x0000000000ffffff]",
            "  DMA32    [mem 0x0000000001000000-0x00000000ffffffff]",
            "  Normal   [mem 0x0000000100000000-0x000000013fffffff]",
            "  Device   empty",
            "Movable zone start for each node",
            "Early memory node ranges",
            "  node   0: [mem 0x0000000000001000-0x000000000009efff]",
            "  node   0: [mem 0x0000000000100000-0x00000000bffdffff]",
            "  node   0: [mem 0x0000000100000000-0x000000013fffffff]",
            "Initmem setup node 0 [mem 0x0000000000001000-0x000000013fffffff]",
            "On node 0, zone DMA: 1 pages in unavailable ranges",
            "On node 0, zone DMA: 97 pages in unavailable ranges",
            "On node 0, zone Normal: 32 pages in unavailable ranges"),
        bench.log());
  }

  /** A node whose descriptor is not fresh. Expect the warning. */
  @Test
  void freeAreaInitNode_usedNode_warns() {
    MmInitBench bench = MmInitBench.debian(new Ram(0x10_0000, 0x80_0000, 0));
    bench.mm.nodes().nodeData(0).nrZones = 1;

    bench.layOutZones();

    assertEquals(List.of("free_area_init_node: pgdat->nr_zones"), bench.mm.printk().warnings());
  }

  // ---- kernelcore and movablecore ----

  /**
   * The captured machine crosszone-8g with movablecore=2560M.
   *
   * <pre>
   *   4G          6.5G         9G
   *   |--Normal---|--Movable---|
   * </pre>
   *
   * Expect the end of the last zone to become Movable.
   */
  @Test
  void movablecore_2560M_zonesOfTheCapturedKernel() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    assertEquals(0, bench.mmInit.cmdlineParseMovablecore("2560M"));
    bench.layOutZones();

    assertEquals(
        List.of(DMA, DMA32, "0 Normal 1048576+655360 655360", "0 Movable 1703936+655360 655360"),
        bench.zones());
    assertTrue(bench.log().contains("  Node 0: 0x00000001a0000000"));
  }

  /**
   * The captured machine cma-16g-numa2 with movablecore=8G.
   *
   * <pre>
   *   node 0  |DMA|DMA32|Normal|--Movable--|
   *   node 1                               |--Normal--|--Movable--|
   * </pre>
   *
   * Expect kernelcore of the same size on both nodes.
   */
  @Test
  void movablecore_8GOnTwoNodes_zonesOfTheCapturedKernel() {
    MmInitBench bench =
        MmInitBench.debian(
            LOW,
            new Ram(0x10_0000, 0xbffe_0000L, 0),
            new Ram(0x1_0000_0000L, 0x2_4000_0000L, 0),
            new Ram(0x2_4000_0000L, 0x4_4000_0000L, 1));

    bench.mmInit.cmdlineParseMovablecore("8G");
    bench.layOutZones();

    assertEquals(
        List.of(
            DMA,
            DMA32,
            "0 Normal 1048576+263168 263168",
            "0 Movable 1311744+1047552 1047552",
            "1 Normal 2359296+1048576 1048576",
            "1 Movable 3407872+1048576 1048576"),
        bench.zones());
  }

  /**
   * kernelcore=4G: 786302 pages of it lie below 4 GiB, 262274 above.
   *
   * <pre>
   *   pfn   1048576         1310850 -> 1311744 (multiple of 1024)
   *         |----Normal-----|-Movable---
   * </pre>
   *
   * Expect Movable to start at the next multiple of 1024 pages.
   */
  @Test
  void kernelcore_4G_roundsTheStartOfMovableUp() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.mmInit.cmdlineParseKernelcore("4G");
    bench.layOutZones();

    assertEquals("0 Normal 1048576+263168 263168", bench.zones().get(2));
    assertEquals("0 Movable 1311744+1047552 1047552", bench.zones().get(3));
  }

  /** kernelcore=50% of 2097022 pages is 65 pages less than 4G. Expect the same zones. */
  @Test
  void kernelcore_percent_isOfAllMemory() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.mmInit.cmdlineParseKernelcore("50%");
    bench.layOutZones();

    assertEquals("0 Movable 1311744+1047552 1047552", bench.zones().get(3));
  }

  /** movablecore=50% of 2097022 pages is 1048511. Expect it rounded up to 1048576. */
  @Test
  void movablecore_percent_isRoundedUp() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.mmInit.cmdlineParseMovablecore("50%");
    bench.layOutZones();

    assertEquals("0 Movable 1310720+1048576 1048576", bench.zones().get(3));
  }

  /** Both options. Expect the larger kernelcore of the two to win: 7G, not 8G - 4G. */
  @Test
  void kernelcoreAndMovablecore_larger_kernelcoreWins() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.mmInit.cmdlineParseMovablecore("4G");
    bench.mmInit.cmdlineParseKernelcore("7G");
    bench.layOutZones();

    assertEquals("0 Movable 2098176+261120 261120", bench.zones().get(3));
  }

  /**
   * movable_node, with two hotpluggable ranges above 4G; kernelcore= is there too, and ignored.
   *
   * <pre>
   *   GiB     4           6      6.5         7          8     9
   *           |--Normal---|-hot--|  Movable  |---hot----|     |
   *                       ^ lowest hotpluggable page of the node
   * </pre>
   *
   * Expect Movable from the lowest of them to the end of the node.
   */
  @Test
  void movableNode_hotpluggableRanges_startMovable() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());
    bench.memblock.memblockMarkHotplug(7L << 30, 1L << 30);
    bench.memblock.memblockMarkHotplug(6L << 30, 512L << 20);

    bench.memblock.setMovableNode(true);
    bench.mmInit.cmdlineParseKernelcore("4G");
    bench.layOutZones();

    assertEquals("0 Normal 1048576+524288 524288", bench.zones().get(2));
    assertEquals("0 Movable 1572864+786432 786432", bench.zones().get(3));
  }

  /** Hotpluggable memory begins a byte behind 6 GiB. Expect Movable at the next whole 4 MiB. */
  @Test
  void movableNode_oddStart_isRoundedUp() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());
    bench.memblock.memblockMarkHotplug((6L << 30) + 1, (1L << 30) - 1);

    bench.memblock.setMovableNode(true);
    bench.layOutZones();

    assertEquals("0 Movable 1573888+785408 785408", bench.zones().get(3));
  }

  /** movable_node, but nothing can be pulled. Expect no Movable, whatever kernelcore says. */
  @Test
  void movableNode_nothingHotpluggable_hasNoMovable() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.memblock.setMovableNode(true);
    bench.mmInit.cmdlineParseKernelcore("4G");
    bench.layOutZones();

    assertEquals(3, bench.zones().size());
  }

  /**
   * kernelcore=6G on a small and a large node: half of it does not fit on node 0.
   *
   * <pre>
   *   GiB     4    5              9
   *   node 0  [####]                        all for the kernel, no Movable
   *   node 1       [#####........]          takes the rest: Movable from pfn 2621440
   * </pre>
   *
   * Expect a second round that pushes node 1 further.
   */
  @Test
  void kernelcore_unevenNodes_isSpreadAgain() {
    MmInitBench bench =
        MmInitBench.debian(
            new Ram(0x1_0000_0000L, 0x1_4000_0000L, 0), new Ram(0x1_4000_0000L, 0x3_4000_0000L, 1));

    bench.mmInit.cmdlineParseKernelcore("6G");
    bench.layOutZones();

    assertEquals(
        List.of(
            "0 Normal 1048576+262144 262144",
            "1 Normal 1310720+1310720 1310720",
            "1 Movable 2621440+786432 786432"),
        bench.zones());
    assertEquals(List.of("  Node 1: 0x0000000280000000"), movableStarts(bench));
  }

  private static List<String> movableStarts(MmInitBench bench) {
    return bench.log().stream().filter(line -> line.startsWith("  Node ")).toList();
  }

  /**
   * Three ranges of memory, of which one is below the Normal zone.
   *
   * <pre>
   *   GiB      0         4    5    6    7                  11
   *            [---DMA32-]    [####]    [######............]
   * </pre>
   *
   * Expect 1G to lie below Normal whole, so that Movable begins where Normal has its first page;
   * 5631M to fill the second range and half a GiB of the third.
   */
  @ParameterizedTest
  @CsvSource({"1G,1310720", "5631M,1966080"})
  void kernelcore_rangesWithHoles_areFilledInTurn(String size, long movable) {
    MmInitBench bench =
        MmInitBench.debian(
            new Ram(0x10_0000, 0x1_0000_0000L, 0),
            new Ram(0x1_4000_0000L, 0x1_8000_0000L, 0),
            new Ram(0x1_c000_0000L, 0x2_c000_0000L, 0));

    bench.mmInit.cmdlineParseKernelcore(size);
    bench.layOutZones();

    assertEquals(
        List.of("  Node 0: 0x%016x".formatted(movable << 12)), movableStarts(bench));
  }

  /** kernelcore=1G is less than there is below 4 GiB. Expect all of Normal to be Movable. */
  @Test
  void kernelcore_belowNormal_leavesNoNormal() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.mmInit.cmdlineParseKernelcore("1G");
    bench.layOutZones();

    assertEquals(List.of(DMA, DMA32, "0 Movable 1048576+1310720 1310720"), bench.zones());
  }

  /**
   * kernelcore=4G, of which node 0 has 3 GiB below the Normal zone, more than its half.
   *
   * <pre>
   *   GiB     0     3   4     5   5.5   6            12
   *   node 0  [DMA32]   [#....]
   *   node 1                  [####]    [............]
   * </pre>
   *
   * Expect the last GiB to be halved: twice half a GiB, and the hole of node 1 to be passed over.
   */
  @Test
  void kernelcore_muchBelowNormal_sharesTheRest() {
    MmInitBench bench =
        MmInitBench.debian(
            new Ram(0x1000, 0xc000_0000L, 0),
            new Ram(0x1_0000_0000L, 0x1_4000_0000L, 0),
            new Ram(0x1_4000_0000L, 0x1_6000_0000L, 1),
            new Ram(0x1_8000_0000L, 0x3_0000_0000L, 1));

    bench.mmInit.cmdlineParseKernelcore("4194300K");
    bench.layOutZones();

    assertEquals(
        List.of("  Node 0: 0x0000000120000000", "  Node 1: 0x0000000180000000"),
        movableStarts(bench));
  }

  /** A page more than two halves. Expect it not to be given to anyone. */
  @Test
  void kernelcore_oddPage_isNotSpread() {
    MmInitBench bench =
        MmInitBench.debian(
            new Ram(0x1_0000_0000L, 0x1_8000_0000L, 0), new Ram(0x1_8000_0000L, 0x2_0000_0000L, 1));

    bench.mmInit.cmdlineParseKernelcore("2097156K");
    bench.layOutZones();

    assertEquals(
        List.of("  Node 0: 0x0000000140000000", "  Node 1: 0x00000001c0000000"),
        movableStarts(bench));
  }

  /** As much as there is, an odd number of pages on two nodes. Expect no Movable zone. */
  @Test
  void kernelcore_allMemory_leavesNoMovable() {
    MmInitBench bench =
        MmInitBench.debian(
            new Ram(0x1_0000_0000L, 0x1_4000_0000L, 0), new Ram(0x1_4000_0000L, 0x1_8000_1000L, 1));

    bench.mmInit.cmdlineParseKernelcore("2097156K");
    bench.layOutZones();

    assertEquals(List.of(), movableStarts(bench));
  }

  /** kernelcore= more than there is. Expect no Movable zone. */
  @Test
  void kernelcore_moreThanMemory_isIgnored() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.mmInit.cmdlineParseKernelcore("1T");
    bench.layOutZones();

    assertEquals(List.of(DMA, DMA32, "0 Normal 1048576+1310720 1310720"), bench.zones());
  }

  /** kernelcore=mirror. Expect the kernel's words and no Movable zone. */
  @Test
  void kernelcore_mirror_hasNoMirroredMemory() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    assertEquals(0, bench.mmInit.cmdlineParseKernelcore("mirror"));
    bench.layOutZones();

    assertEquals(3, bench.zones().size());
    assertTrue(bench.log().contains("The system has no mirror memory, ignore kernelcore=mirror."));
  }

  /** Percentages from 100 on. Expect the warning above 100 only, and then no Movable zone. */
  @Test
  void kernelcore_101Percent_warns() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.mmInit.cmdlineParseKernelcore("100%");
    assertEquals(List.of(), bench.mm.printk().warnings());
    bench.mmInit.cmdlineParseKernelcore("101%");
    bench.layOutZones();

    assertEquals(List.of("cmdline_parse_core: coremem > 100"), bench.mm.printk().warnings());
    assertEquals(3, bench.zones().size());
  }

  /** Options without a value. Expect -EINVAL. */
  @Test
  void kernelcoreAndMovablecore_withoutValue_areInvalid() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    assertEquals(-Errno.EINVAL, bench.mmInit.cmdlineParseKernelcore(null));
    assertEquals(-Errno.EINVAL, bench.mmInit.cmdlineParseMovablecore(null));
  }

  /** A later size replaces an earlier percentage. Expect the zones of kernelcore=4G. */
  @Test
  void kernelcore_givenTwice_lastWins() {
    MmInitBench bench = MmInitBench.debian(MmInitBench.ram8g());

    bench.mmInit.cmdlineParseKernelcore("90%");
    bench.mmInit.cmdlineParseKernelcore("0x1000M");
    bench.layOutZones();

    assertEquals("0 Movable 1311744+1047552 1047552", bench.zones().get(3));
  }

  /** No zone of the architecture has a range, in a DEBUG_VM kernel. Expect the bug. */
  @Test
  void findUsableZoneForMovable_noZone_isABug() {
    MmInitBench bench =
        new MmInitBench(MmConfig.debianX86().withDebugVm(true), new Ram(0x10_0000, 0x80_0000, 0));

    KernelBug bug =
        assertThrows(KernelBug.class, () -> bench.mmInit.mmCoreInitEarly(new long[] {}));

    assertTrue(
        String.valueOf(bug.getMessage())
            .contains("find_usable_zone_for_movable: zone_index == -1"));
  }
}
