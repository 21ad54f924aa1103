// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Who allocates shared tails: patch 32. */
class SharedTailAllocationSeriesTest {
  /**
   * The first hugepage of the pool finds no memory for the shared tail. Expect the generic function
   * to say so once with patch 32, and silence before it; the hugepage exists, not optimised.
   */
  @Test
  @Tag("patch-32")
  void vmemmapGetTail_noMemory_isToldByTheGenericFunction() {
    assertEquals("nothing", Seen.at(31, "tail-failure"));
    assertEquals("vmemmap alloc failure: order:0", Seen.at(32, "tail-failure"));
  }
}
