// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.pagealloc.Bench.FIRST;
import static org.vmemmap.pagealloc.Bench.MAX_BLOCK;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
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

  /** A large object comes between small ones and goes. Expect those in the pages around it to be known
   * still. */
  @Test
  void kfree_largeObject_leavesItsNeighbours() {
    List<Long> small = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      small.add(slab.kzalloc(4096, 0, "test"));
    }
    Page room = bench.take(2, Gfp.KERNEL);
    small.add(slab.kzalloc(4096, 0, "test"));
    bench.alloc.freePages(room, 2);
    long large = slab.kzalloc(4 * 4096, 0, "test");
    assertEquals(large - 4096, small.get(3));
    assertEquals(large + 4 * 4096, small.get(4));
    assertEquals(6, slab.objectsInUse());

    slab.kfree(large);

    assertEquals(5, slab.objectsInUse());
    small.forEach(slab::kfree);
    assertEquals(MAX_BLOCK, bench.alloc.nrFreePages(zone));
  }

  /** An object of several pages. Expect a compound page, all of it the slab's. */
  @Test
  void kzalloc_largeObject_isACompoundPage() {
    long pfn = pfn(slab.kzalloc(4 * 4096, 0, "test"));
    assertTrue(bench.mm.flags().pageHead(bench.page(pfn)));
    assertEquals(Owner.SLAB, bench.owner(pfn + 3));
    assertEquals(Owner.BUDDY, bench.owner(pfn + 4));
  }

  /** Objects of two sizes, for any node. Expect a page for each size. */
  @Test
  void kzalloc_twoSizes_doNotShareAPage() {
    long small = slab.kzalloc(64, -1, "test");
    long large = slab.kzalloc(2048, -1, "test");
    assertNotEquals(pfn(small), pfn(large));
    assertEquals(small + 64, slab.kzalloc(64, -1, "test"));
  }

  /** One of two objects of a full page is freed. Expect its place to be used next, and then a page
   * that is the slab's, too. */
  @Test
  void kfree_fullPage_isUsedAgain() {
    long first = slab.kzalloc(2048, 0, "test");
    slab.kzalloc(2048, 0, "test");
    slab.kfree(first);
    assertEquals(first, slab.kzalloc(2048, 0, "test"));
    assertEquals(Owner.SLAB, bench.owner(pfn(slab.kzalloc(2048, 0, "test"))));
    assertEquals(MAX_BLOCK - 2, bench.alloc.nrFreePages(zone));
  }

  /** Bitmaps of one word, and of one bit more. Expect objects of as many words as they need. */
  @Test
  void bitmapZalloc_bits_areRoundedUpToWords() {
    Bitmaps bitmaps = new Bitmaps(bench.mm, slab);
    long[][] sizes = {{1, 8}, {64, 8}, {65, 16}, {128, 16}, {200, 32}};
    for (long[] size : sizes) {
      long one = bitmaps.bitmapZalloc(size[0], "test");
      assertEquals(one + size[1], bitmaps.bitmapZalloc(size[0], "test"), size[0] + " bits");
    }
  }
}
