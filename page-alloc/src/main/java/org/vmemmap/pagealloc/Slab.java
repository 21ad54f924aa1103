// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;

/**
 * Small objects: a stand-in for the slab allocator, with its contract and none of its speed.
 *
 * <p>Sizes are rounded up to a power of two from 8 bytes. Objects of up to half a page share a page
 * of one size and node; larger ones get pages of their own. A page goes back to the page allocator
 * with its last object.
 */
@Kernel(
    file = "mm/slab.h",
    symbol = "struct kmem_cache",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "Nothing here depends on how objects are packed, only on which pages are taken.")
public final class Slab {
  private static final int KMALLOC_MIN_SIZE = 8;

  private final Mm mm;
  private final PageAlloc pageAlloc;
  private final Map<Long, SlabPage> pages = new HashMap<>();
  private final Map<Long, Deque<SlabPage>> partial = new HashMap<>();
  private boolean available;

  /** One page, or run of pages, that is cut into objects of {@code size} bytes. */
  private static final class SlabPage {
    final Page page;
    final int order;
    final long key;
    final long size;
    final Deque<Long> free = new ArrayDeque<>();

    /** Who asked for each object in use; null for a free one. */
    final @Nullable String[] sites;

    int inUse;

    SlabPage(Page page, int order, long key, long size, int objects) {
      this.page = page;
      this.order = order;
      this.key = key;
      this.size = size;
      this.sites = new @Nullable String[objects];
    }
  }

  /** A slab allocator that is not available yet. */
  public Slab(Mm mm, PageAlloc pageAlloc) {
    this.mm = mm;
    this.pageAlloc = pageAlloc;
  }

  /** {@code slab_is_available()}: objects can be allocated. */
  @Kernel(file = "mm/slab_common.c", symbol = "slab_is_available")
  public boolean slabIsAvailable() {
    return available;
  }

  /** {@code kmem_cache_init()}: the page allocator has pages now. */
  @Kernel(
      file = "mm/slub.c",
      symbol = "kmem_cache_init",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "There are no caches to set up.")
  public void setAvailable() {
    available = true;
  }

  /**
   * {@code kzalloc_node()}: {@code size} zeroed bytes.
   *
   * @param nid node to prefer; NUMA_NO_NODE for any
   * @param site the kernel function that asks, for fault injection
   * @return linear address, or 0
   */
  @Kernel(
      file = "include/linux/slab.h",
      symbol = "kzalloc_node",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Nothing depends on how objects are packed, only on which pages are taken.")
  public long kzalloc(long size, int nid, String site) {
    if (mm.mayFail(site)) {
      return 0;
    }
    long rounded = Math.max(KMALLOC_MIN_SIZE, Long.highestOneBit(Math.max(1, size * 2 - 1)));
    long key = rounded << 12 | (nid + 1);
    Deque<SlabPage> waiting = partial.computeIfAbsent(key, k -> new ArrayDeque<>());
    SlabPage slab = waiting.peekFirst();
    if (slab == null) {
      slab = newSlab(rounded, key, nid);
      if (slab == null) {
        return 0;
      }
      waiting.addFirst(slab);
    }
    long va = slab.free.removeFirst();
    slab.sites[number(slab, va)] = site;
    slab.inUse++;
    if (slab.free.isEmpty()) {
      waiting.remove(slab);
    }
    mm.machine().cpu().fill(va, rounded, (byte) 0);
    return va;
  }

  private int number(SlabPage slab, long va) {
    return Math.toIntExact((va - mm.model().pageAddress(slab.page)) / slab.size);
  }

  /** Not kernel code: how many objects are allocated. */
  public long objectsInUse() {
    return objectsBySite().values().stream().mapToLong(Long::longValue).sum();
  }

  /** Not kernel code: how many objects are allocated, by the function that asked. */
  public Map<String, Long> objectsBySite() {
    Map<String, Long> objects = new HashMap<>();
    pages.forEach(
        (va, slab) -> {
          if (va == mm.model().pageAddress(slab.page)) {
            for (String site : slab.sites) {
              if (site != null) {
                objects.merge(site, 1L, Long::sum);
              }
            }
          }
        });
    return objects;
  }

  private @Nullable SlabPage newSlab(long size, long key, int nid) {
    long pageSize = mm.model().pageSize();
    int order = 0;
    while (pageSize << order < size) {
      order++;
    }
    Gfp gfp = order == 0 ? Gfp.KERNEL : Gfp.KERNEL.or(Gfp.COMPOUND);
    Page page = pageAlloc.allocPagesNode(nid, gfp, order, "allocate_slab");
    if (page == null) {
      return null;
    }
    mm.flags().setType(page, PageFlags.PGTY_SLAB);
    mm.own(mm.model().pageToPfn(page), 1L << order, Owner.SLAB);
    int objects = Math.toIntExact((pageSize << order) / size);
    SlabPage slab = new SlabPage(page, order, key, size, objects);
    long base = mm.model().pageAddress(page);
    for (long at = 0; at + size <= pageSize << order; at += size) {
      slab.free.addLast(base + at);
    }
    for (int i = 0; i < 1 << order; i++) {
      pages.put(base + i * pageSize, slab);
    }
    return slab;
  }

  /** {@code kfree()}: of what {@link #kzalloc} returned; 0 is allowed. */
  @Kernel(
      file = "mm/slub.c",
      symbol = "kfree",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Nothing depends on how objects are packed, only on which pages are taken.")
  public void kfree(long va) {
    if (va == 0) {
      return;
    }
    long pageSize = mm.model().pageSize();
    SlabPage slab = pages.get(va & -pageSize);
    boolean bad =
        slab == null
            || (va - mm.model().pageAddress(slab.page)) % slab.size != 0
            || slab.sites[number(slab, va)] == null;
    mm.printk().bugOn(bad, "kfree: no object at 0x" + Long.toHexString(va));
    if (slab == null) {
      return;
    }
    Deque<SlabPage> waiting = partial.computeIfAbsent(slab.key, k -> new ArrayDeque<>());
    if (slab.free.isEmpty()) {
      waiting.addFirst(slab);
    }
    slab.free.addFirst(va);
    slab.sites[number(slab, va)] = null;
    if (--slab.inUse == 0) {
      waiting.remove(slab);
      for (int i = 0; i < 1 << slab.order; i++) {
        pages.remove(mm.model().pageAddress(slab.page) + i * pageSize);
      }
      mm.flags().clearType(slab.page, PageFlags.PGTY_SLAB);
      pageAlloc.freePages(slab.page, slab.order);
    }
  }
}
