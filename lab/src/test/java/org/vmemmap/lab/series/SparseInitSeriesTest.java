// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Sections without a memmap at boot: patch 9. */
class SparseInitSeriesTest {
  /**
   * Memory for two of four memmaps (and for nothing smaller either).
   *
   * <pre>
   *   sections   [ 0 ][ 1 ][ 2 ][ 3 ]
   *   memmap      yes  yes   -    -
   * </pre>
   *
   * Expect boot to go on without sections 2 and 3 before patch 9, and to meet them again a moment
   * later, where their subsections are marked: the kernel follows a null pointer there. With the
   * patch, expect a panic that names section 2 while both are still present.
   */
  @Test
  @Tag("patch-09")
  void sparseInitNid_memmapFails_panicsInsteadOfForgettingSections() {
    assertEquals(
        "2 of 4 sections, nr_memmap_boot_pages 1024", Seen.at(8, "no-memmap-boot"));
    assertEquals(
        "panic: Failed to allocate memmap for section 2", Seen.at(9, "no-memmap-boot"));
  }
}
