// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import org.junit.jupiter.api.Test;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** The slab stand-in: objects in pages that it takes from the page allocator. */
class SlabTest {
  private final Bench bench = Bench.debug();
  private final Zone zone = bench.freeZone(ZoneType.ZONE_NORMAL, FIRST, MAX_BLOCK);
  private final Slab slab = new Slab(bench.mm, bench.alloc);

  private long pfn(long va) {
    return bench.mm.model().pa(va) >> 12;
  }

  /** Before and after it is set up. Expect the answer of slab_is_available(). */
  @Test
  void slabIsAvailable_afterSetup_isTrue() {
    assertFalse(slab.slabIsAvailable());
    slab.setAvailable();
    assertTrue(slab.slabIsAvailable());
  }

  /** Two objects of one size. Expect them in one page, which is a slab's and not reserved. */
  @Test
  void kzalloc_twoSmallObjects_shareAPage() {
    long first = slab.kzalloc(40, 0, "test");
    long second = slab.kzalloc(64, 0, "test");
    assertEquals(first + 64, second);
    assertEquals(Owner.SLAB, bench.owner(pfn(first)));
    assertTrue(bench.mm.flags().hasType(bench.page(pfn(first)), PageFlags.PGTY_SLAB));
    assertFalse(bench.mm.flags().pageReserved(bench.page(pfn(first))));
    assertEquals(MAX_BLOCK - 1, bench.alloc.nrFreePages(zone));
  }

  /** An object is written, freed and taken again. Expect zeros. */
  @Test
  void kzalloc_reused_isZeroed() {
    long keep = slab.kzalloc(64, 0, "test");
    long va = slab.kzalloc(64, 0, "test");
    bench.machine.cpu().writeLong(va, 7);
    slab.kfree(va);
    assertEquals(va, slab.kzalloc(64, 0, "test"));
    assertEquals(0, bench.machine.cpu().readLong(va));
    assertNotEquals(keep, va);
  }

  /** More objects than fit in a page. Expect a second page. */
  @Test
  void kzalloc_pageFull_takesAnother() {
    long first = slab.kzalloc(2048, 0, "test");
    slab.kzalloc(2048, 0, "test");
    assertNotEquals(pfn(first), pfn(slab.kzalloc(2048, 0, "test")));
  }

  /** The last object of a page goes. Expect the page back, also for a large object. */
  @Test
  void kfree_lastObject_givesThePageBack() {
    long small = slab.kzalloc(8, 0, "test");
    long large = slab.kzalloc(3 * 4096, 0, "test");
    assertEquals(MAX_BLOCK - 5, bench.alloc.nrFreePages(zone));
    slab.kfree(small);
    slab.kfree(large);
    slab.kfree(0);
    assertEquals(MAX_BLOCK, bench.alloc.nrFreePages(zone));
    assertEquals(Owner.BUDDY, bench.owner(pfn(large) + 3));
  }

  /** Injected failure of the caller, and of the page behind it. Expect 0 from both. */
  @Test
  void kzalloc_failureInjected_returnsNull() {
    bench.failAll("section_activate");
    assertEquals(0, slab.kzalloc(8, 0, "section_activate"));
    bench.failAll("allocate_slab");
    assertEquals(0, slab.kzalloc(8, 0, "section_activate"));
    assertEquals(MAX_BLOCK, bench.alloc.nrFreePages(zone));
  }

  /** An address that is no object, or was freed before. Expect a bug. */
  @Test
  void kfree_noObject_isABug() {
    slab.kzalloc(64, 0, "test");
    long va = slab.kzalloc(64, 0, "test");
    assertThrows(KernelBug.class, () -> slab.kfree(va + 8));
    assertThrows(KernelBug.class, () -> slab.kfree(bench.mm.model().va(0x5000)));
    slab.kfree(va);
    assertThrows(KernelBug.class, () -> slab.kfree(va));
  }
}
