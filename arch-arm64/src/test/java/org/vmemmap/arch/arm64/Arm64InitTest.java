// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** memstart_addr, what follows from it, and the limits of the zones. */
class Arm64InitTest {
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;

  private static Arm64Init init(Arm64Geometry geometry, long start, long end) {
    return new Arm64Init(geometry, Arm64Config.of(geometry), start, end);
  }

  /**
   * Memory from 1 GiB on, on CPUs with and without 52 bits.
   *
   * <pre>
   *   52 bits   PAGE_OFFSET fff0... maps 1G
   *   48 bits   PAGE_OFFSET fff0... would map -(2^52 - 2^48) + 1G, so that ffff... maps 1G
   * </pre>
   *
   * Expect the captured memstart_addr and vmemmap, and 1 GiB at the start of the usable half.
   */
  @ParameterizedTest
  @CsvSource({
    // page, built for, runs with, phys, memstart, pfn 0's struct page, where 1 GiB is mapped
    "12, 52, 52, 52, 40000000,         ffffc1ffbf000000, fff0000000000000",
    "12, 52, 48, 48, fff1000040000000, fffffdffbf000000, ffff000000000000",
    "14, 52, 52, 52, 40000000,         fffff03fbfc00000, fff0000000000000",
    "14, 52, 47, 48, fff0800040000000, ffffffbfbfc00000, ffff800000000000",
    "16, 52, 52, 52, 40000000,         fffffc1fbff00000, fff0000000000000",
    "16, 52, 48, 52, fff1000040000000, ffffffdfbff00000, ffff000000000000",
    "12, 39, 39, 48, 40000000,         fffffffebf000000, ffffff8000000000",
  })
  void memstart_memoryFromOneGib_isTheKernels(
      int page, int config, int va, int phys, String memstart, String vmemmap, String linear) {
    Arm64Init init = init(new Arm64Geometry(page, config, va, phys, false, true), GIB, 2 * GIB);

    assertEquals(memstart, Long.toHexString(init.memstartAddr()));
    assertEquals(vmemmap, Long.toHexString(init.vmemmapBase()));
    assertEquals(linear, Long.toHexString(init.linearBase() + GIB));
  }

  /** Memory that begins inside a GiB, as behind firmware. Expect memstart rounded down. */
  @Test
  void memstart_memoryInsideAGib_isRoundedDown() {
    assertEquals(0, init(Arm64Geometry.lpa2With4k(), 64 * MIB, 2 * GIB).memstartAddr());
    assertEquals(0, init(Arm64Geometry.lpa2With16k(), 64 * MIB, 2 * GIB).memstartAddr());
    assertEquals(
        512 * MIB, init(Arm64Geometry.lvaWith64k(), 600 * MIB, 2 * GIB).memstartAddr());
  }

  /** 1 GiB, 4 GiB and 8 GiB up. Expect ZONE_DMA to take what 32 bits reach, ZONE_DMA32 nothing. */
  @Test
  void archZoneLimits_distributionKernel_dmaReachesFourGib() {
    Arm64Geometry geometry = Arm64Geometry.lpa2With4k();

    assertArrayEquals(
        new long[] {0x80000, 0x80000, 0x80000, 0, 0},
        init(geometry, GIB, 2 * GIB).archZoneLimitsInit());
    assertArrayEquals(
        new long[] {0x100000, 0x100000, 0x140000, 0, 0},
        init(geometry, GIB, 5 * GIB).archZoneLimitsInit());
    assertEquals(0x140000, init(geometry, GIB, 5 * GIB).maxPfn());
  }

  /** No memory below 4 GiB. Expect ZONE_DMA to take all: no device could use less. */
  @Test
  void archZoneLimits_allMemoryAboveFourGib_dmaTakesAll() {
    assertArrayEquals(
        new long[] {0x300000, 0x100000, 0x300000, 0, 0},
        init(Arm64Geometry.lpa2With4k(), 8 * GIB, 12 * GIB).archZoneLimitsInit());
  }

  /** The kernel without ZONE_DMA and ZONE_DMA32. Expect ZONE_NORMAL to be the first zone. */
  @Test
  void archZoneLimits_withoutDmaZones_normalTakesAll() {
    assertArrayEquals(
        new long[] {0x8000, 0, 0},
        init(Arm64Geometry.lvaWith64k(), GIB, 2 * GIB).archZoneLimitsInit());
  }

  /** More memory than the linear map of 39 bits holds, or than the CPU can address. */
  @Test
  void memblockInit_memoryThatDoesNotFit_isRefused() {
    Arm64Geometry narrow = Arm64Geometry.narrow(12, 39);
    assertThrows(IllegalArgumentException.class, () -> init(narrow, GIB, 300 * GIB));
    Arm64Geometry wide = Arm64Geometry.fallbackWith4k();
    assertThrows(
        IllegalArgumentException.class, () -> init(wide, 1L << 48, (1L << 48) + GIB));
  }

  /**
   * The most that a linear map of 39 bits holds: half of its 512 GiB, from where memory begins.
   * Expect a byte more to be refused, and the words to say what does not fit where.
   */
  @Test
  void memblockInit_linearMapFull_isTheLimit() {
    Arm64Geometry narrow = Arm64Geometry.narrow(12, 39);
    assertEquals(GIB, init(narrow, GIB, 257 * GIB).memstartAddr());

    String refused =
        String.valueOf(
            assertThrows(
                    IllegalArgumentException.class, () -> init(narrow, GIB, 257 * GIB + 1))
                .getMessage());
    assertEquals(
        "memory 0x40000000-0x4040000000 does not fit a linear map of 38 bits and 48 physical bits",
        refused);
  }

  /** Memory up to the last address of 48 bits. Expect it to fit, and a byte more not to. */
  @Test
  void memblockInit_lastPhysicalAddress_isTheLimit() {
    Arm64Geometry geometry = Arm64Geometry.narrow(12, 48);
    long end = 1L << 48;
    assertEquals(end - 64 * GIB, init(geometry, end - 64 * GIB, end).memstartAddr());
    assertThrows(
        IllegalArgumentException.class, () -> init(geometry, end - 64 * GIB, end + 1));
  }

  /** Memory whose last page lacks a byte. Expect the zones to end before that page. */
  @Test
  void archZoneLimits_partOfAPageAtTheEnd_isLeftOut() {
    assertArrayEquals(
        new long[] {0x7ffff, 0x7ffff, 0x7ffff, 0, 0},
        init(Arm64Geometry.lpa2With4k(), GIB, 2 * GIB - 1).archZoneLimitsInit());
  }

  /** pageblock_order. Expect a pmd's hugepage, with 16K and 64K pages as MAX_PAGE_ORDER has it. */
  @Test
  void config_pageblockOrder_isAPmds() {
    assertEquals(9, Arm64Config.of(Arm64Geometry.lpa2With4k()).pageblockOrder());
    assertEquals(11, Arm64Config.of(Arm64Geometry.lpa2With16k()).pageblockOrder());
    assertEquals(13, Arm64Config.of(Arm64Geometry.lvaWith64k()).pageblockOrder());
  }
}
