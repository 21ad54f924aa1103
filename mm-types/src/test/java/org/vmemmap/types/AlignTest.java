// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** Rounding, and what the model derives by it. */
class AlignTest {
  private static final long PAGE = 0x1000;
  private static final long LAST_PAGE = 0xffff_ffff_ffff_f000L;

  private final Mm mm = TestMm.debian();

  /** Numbers on, before and behind a boundary. Expect only those off it to move. */
  @Test
  void align_upAndDown_keepsMultiples() {
    assertEquals(0x2000, Align.align(0x1234, PAGE));
    assertEquals(0x1000, Align.align(0x1000, PAGE));
    assertEquals(0x1000, Align.alignDown(0x1fff, PAGE));
    assertEquals(0x1000, Align.alignDown(0x1000, PAGE));
    assertEquals(0, Align.align(0, PAGE));
  }

  /** Kernel addresses are negative longs. Expect them to round like unsigned numbers. */
  @Test
  void align_kernelAddress_roundsUnsigned() {
    assertEquals(0xffff_ea00_0000_2000L, Align.align(0xffff_ea00_0000_1001L, PAGE));
    assertEquals(LAST_PAGE, Align.alignDown(-1L, PAGE));
    assertEquals(0, Align.align(-1L, PAGE));
  }

  /** Multiples and others. Expect 0 to be a multiple of all. */
  @Test
  void isAligned_multiples_only() {
    assertTrue(Align.isAligned(0x3000, PAGE));
    assertTrue(Align.isAligned(LAST_PAGE, PAGE));
    assertTrue(Align.isAligned(0, PAGE));
    assertFalse(Align.isAligned(0x3008, PAGE));
  }

  /** Sizes about a page and a block. Expect the least order that holds them. */
  @Test
  void getOrder_sizes_roundUpToBlocks() {
    assertEquals(0, mm.model().getOrder(1));
    assertEquals(0, mm.model().getOrder(PAGE));
    assertEquals(1, mm.model().getOrder(PAGE + 1));
    assertEquals(9, mm.model().getOrder(512 * PAGE));
    assertEquals(10, mm.model().getOrder(512 * PAGE + 1));
  }

  /** 46 physical address bits. Expect the direct map to end with them. */
  @Test
  void directMapPhysmemEnd_46Bits_isTheLastByteOf64T() {
    assertEquals(0x3fff_ffff_ffffL, mm.mmzone().directMapPhysmemEnd());
  }

  /**
   * Word 0 of the captured kernels: 10 node bits on top, then 3 zone bits, no section.
   *
   * <p>Expect masks as wide as the fields.
   */
  @Test
  void pageFlagsLayout_debian_nodeAboveZone() {
    PageFlagsLayout layout = mm.inline().pageFlagsLayout();

    assertEquals(new PageFlagsLayout(0, 0, 10, 54, 3, 51, 21, 30), layout);
    assertEquals(0, layout.sectionsMask());
    assertEquals(0x3ff, layout.nodesMask());
    assertEquals(7, layout.zonesMask());
  }

  /** A loop that lets others run. Expect one yield point with the loop's position. */
  @Test
  void condResched_listener_hearsIt() {
    long[] heard = {0};
    mm.machine()
        .yields()
        .listen((what, where) -> heard[0] += "cond_resched".equals(what) ? where : 0);

    mm.condResched(42);

    assertEquals(42, heard[0]);
  }
}
