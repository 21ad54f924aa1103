// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.MemblockType.Region;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;

/**
 * Memory before there are struct pages: a list of the memory there is and a list of what of it is
 * reserved. Addresses and sizes are bytes.
 *
 * <pre>
 *   memory     |--------- node 0 ---------|      |------ node 1 ------|
 *   reserved      |kernel|          |alloc|                  |alloc|
 *   free       |--|      |----------|            |-----------|     |--|
 * </pre>
 *
 * An allocation reserves; what is neither reserved nor a hole goes to the page allocator at the
 * end. Allocations are carved from the top of the highest free range by default. The arrays of
 * regions are Java lists here: growing them takes no memory of the machine.
 */
@Kernel(file = "include/linux/memblock.h", symbol = "struct memblock")
public final class Memblock {
  public static final int NUMA_NO_NODE = -1;

  /** MEMBLOCK_ALLOC_ACCESSIBLE. */
  public static final long ALLOC_ACCESSIBLE = 0;

  /** MEMBLOCK_ALLOC_ANYWHERE; also PHYS_ADDR_MAX. All addresses are positive numbers here. */
  public static final long ALLOC_ANYWHERE = Long.MAX_VALUE;

  /** MEMBLOCK_ALLOC_NOLEAKTRACE: as ALLOC_ACCESSIBLE. */
  public static final long ALLOC_NOLEAKTRACE = 1;

  /** MEMBLOCK_LOW_LIMIT. */
  public static final long LOW_LIMIT = 0;

  public static final int MEMBLOCK_NONE = 0;
  public static final int MEMBLOCK_HOTPLUG = 0x1;
  public static final int MEMBLOCK_MIRROR = 0x2;
  public static final int MEMBLOCK_NOMAP = 0x4;
  public static final int MEMBLOCK_DRIVER_MANAGED = 0x8;
  public static final int MEMBLOCK_RSRV_NOINIT = 0x10;
  public static final int MEMBLOCK_RSRV_KERN = 0x20;
  public static final int MEMBLOCK_RSRV_HUGETLB = 0x80;

  private static final int INIT_MEMBLOCK_REGIONS = 128;
  private static final int SMP_CACHE_BYTES = 64;

  private final Mm mm;
  private final Placement placement;
  private final int maxNumnodes;
  private final MemblockType memory = new MemblockType("memory", INIT_MEMBLOCK_REGIONS);
  private final MemblockType reserved = new MemblockType("reserved", INIT_MEMBLOCK_REGIONS);
  private final Kmemleak kmemleak;
  private boolean bottomUp;
  private boolean movableNode;
  private boolean systemHasSomeMirror;
  private boolean canResize = true;
  private boolean resetManagedPagesDone;
  private long currentLimit = ALLOC_ANYWHERE;
  private @Nullable Slab slab;
  private @Nullable PageAlloc pageAlloc;

  /** pfns, end excluded. {@code index} is the number of the region. */
  public record MemPfnRange(int index, long startPfn, long endPfn, int nid) {}

  /** Bytes, end excluded. */
  public record MemRange(long start, long end, int nid, int flags) {
    /** {@code memblock_is_reserved_noinit()}: nobody is to initialise the struct pages. */
    public boolean noinit() {
      return (flags & MEMBLOCK_RSRV_NOINIT) != 0;
    }

    /** {@code memblock_is_hotpluggable()}. */
    @Kernel(file = "include/linux/memblock.h", symbol = "memblock_is_hotpluggable")
    public boolean isHotpluggable() {
      return (flags & MEMBLOCK_HOTPLUG) != 0;
    }
  }

  /** Upcalls into mm_init.c that memblock_free_all() needs. */
  public interface PageInit {
    /** {@code memblock_free_pages()}: 2^{@code order} pages go to the page allocator. */
    void memblockFreePages(long pfn, int order);

    /** {@code init_deferred_page()}. */
    void initDeferredPage(long pfn, int nid);

    /** {@code memmap_init_reserved_range()} of the pfns {@code startPfn} to {@code endPfn} - 1. */
    void initSinglePageReserved(long startPfn, long endPfn, int nid);
  }

  /** A memblock that knows no memory; {@code placement} says where hugepages are to lie. */
  public Memblock(Mm mm, Placement placement) {
    this.mm = mm;
    this.placement = placement;
    this.maxNumnodes = 1 << mm.config().nodesShift();
    this.kmemleak = new Kmemleak(mm);
  }

  /**
   * Names the allocators that take over. Without them memblock believes that slab is never up.
   *
   * @param newSlab answers slab_is_available()
   * @param newPageAlloc gets memory that is freed after that
   */
  public void attach(Slab newSlab, PageAlloc newPageAlloc) {
    slab = newSlab;
    pageAlloc = newPageAlloc;
  }

  // ---- helpers ----

  /** The list of memory, for tests that break it. */
  MemblockType memory() {
    return memory;
  }

  @Kernel(file = "include/linux/numa.h", symbol = "numa_valid_node")
  private boolean numaValidNode(int nid) {
    return nid >= 0 && nid < maxNumnodes;
  }

  @Kernel(file = "mm/slab_common.c", symbol = "slab_is_available")
  private boolean slabIsAvailable() {
    return slab != null && slab.slabIsAvailable();
  }

  /** {@code memblock_has_mirror()}. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_has_mirror")
  public boolean memblockHasMirror() {
    return systemHasSomeMirror;
  }

  @Kernel(file = "mm/memblock.c", symbol = "choose_memblock_flags")
  private int chooseMemblockFlags() {
    return systemHasSomeMirror ? MEMBLOCK_MIRROR : MEMBLOCK_NONE;
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_cap_size")
  private static long memblockCapSize(long base, long size) {
    return size < 0 ? ALLOC_ANYWHERE - base : Math.min(size, ALLOC_ANYWHERE - base);
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_addrs_overlap")
  private static boolean memblockAddrsOverlap(long base1, long size1, long base2, long size2) {
    return base1 < base2 + size2 && base2 < base1 + size1;
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_overlaps_region")
  private boolean memblockOverlapsRegion(MemblockType type, long base, long size) {
    long capped = memblockCapSize(base, size);
    for (Region r : type.regions) {
      if (memblockAddrsOverlap(base, capped, r.base, r.size)) {
        return true;
      }
    }
    return false;
  }

  // ---- finding free ranges ----

  @Kernel(file = "mm/memblock.c", symbol = "__memblock_find_range_bottom_up")
  private long memblockFindRangeBottomUp(Search s) {
    for (Range range : freeRanges(s.nid, s.flags)) {
      long thisStart = Math.clamp(range.start, s.start, s.end);
      long thisEnd = Math.clamp(range.end, s.start, s.end);
      long cand = roundUp(thisStart, s.align);
      while (cand < thisEnd && thisEnd - cand >= s.size) {
        if (!s.skips(cand)) {
          return cand;
        }
        cand = roundUp(roundUp(cand + 1, keptStep()), s.align);
      }
    }
    return 0;
  }

  @Kernel(file = "mm/memblock.c", symbol = "__memblock_find_range_top_down")
  private long memblockFindRangeTopDown(Search s) {
    for (Range range : freeRangesReverse(s.nid, s.flags)) {
      long thisStart = Math.clamp(range.start, s.start, s.end);
      long thisEnd = Math.clamp(range.end, s.start, s.end);
      while (thisEnd >= s.size) {
        long cand = roundDown(thisEnd - s.size, s.align);
        if (cand < thisStart) {
          break;
        }
        if (!s.skips(cand)) {
          return cand;
        }
        thisEnd = roundDown(cand + s.size - 1, keptStep());
      }
    }
    return 0;
  }

  /**
   * {@code memblock_find_in_range_node()}. A hugepage goes where the placement wants it, an area
   * for hugepages where it would go without; all others stay off the kept ranges while there is
   * another choice. Returns 0 when nothing fits.
   */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_find_in_range_node")
  private long memblockFindInRangeNode(
      long size, long align, long start, long end, int nid, int flags, boolean hugepage) {
    if (end == ALLOC_ACCESSIBLE || end == ALLOC_NOLEAKTRACE) {
      end = currentLimit;
    }
    // Address 0 means failure, so the first page is never handed out.
    start = Math.max(start, mm.model().pageSize());
    end = Math.max(start, end);
    Search search = new Search(size, align, start, end, nid, flags, false);
    long placed = hugepage ? placedRange(search) : 0;
    if (placed != 0 || placement.equals(Placement.NONE) || isGigantic(align)) {
      return placed != 0 ? placed : findRange(search);
    }
    long found = findRange(new Search(size, align, start, end, nid, flags, true));
    return found != 0 ? found : findRange(search);
  }

  private long findRange(Search search) {
    return bottomUp ? memblockFindRangeBottomUp(search) : memblockFindRangeTopDown(search);
  }

  /** What is looked for: addresses in bytes; {@code avoidKept} leaves hugepages' places alone. */
  private final class Search {
    final long size;
    final long align;
    final long start;
    final long end;
    final int nid;
    final int flags;
    final boolean avoidKept;

    Search(long size, long align, long start, long end, int nid, int flags, boolean avoidKept) {
      this.size = size;
      this.align = align;
      this.start = start;
      this.end = end;
      this.nid = nid;
      this.flags = flags;
      this.avoidKept = avoidKept;
    }

    boolean skips(long cand) {
      return avoidKept
          && placement.kept(mm.model().physPfn(cand), mm.model().pfnUp(cand + size));
    }
  }

  private long keptStep() {
    return mm.mmzone().pageblockNrPages() << mm.model().pageShift();
  }

  private boolean isGigantic(long align) {
    return align >= 2L << mm.config().maxPageOrder() << mm.model().pageShift();
  }

  private long placedRange(Search s) {
    int order = Long.numberOfTrailingZeros(s.size) - mm.model().pageShift();
    long pfn = placement.next(order, s.nid);
    long addr = mm.model().pfnPhys(pfn);
    if (pfn <= 0 || (addr & (s.align - 1)) != 0 || addr < s.start || addr + s.size > s.end) {
      return 0;
    }
    for (Range range : freeRanges(s.nid, s.flags)) {
      if (range.start <= addr && addr + s.size <= range.end) {
        return addr;
      }
    }
    return 0;
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_remove_region")
  private void memblockRemoveRegion(MemblockType type, int r) {
    Region gone = type.regions.remove(r);
    type.totalSize -= gone.size;
    if (type.regions.isEmpty()) {
      mm.printk().warnOn(type.totalSize != 0, "memblock_remove_region: type->total_size != 0");
    }
  }

  /** Returns 0, or -1 when the array cannot grow. */
  @Kernel(
      file = "mm/memblock.c",
      symbol = "memblock_double_array",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The arrays live outside the machine: only the limit grows, no memory is taken for it.")
  private int memblockDoubleArray(MemblockType type) {
    if (!canResize) {
      throw new KernelPanic("memblock: cannot resize " + type.name + " array");
    }
    if (mm.mayFail("memblock_double_array")) {
      mm.printk()
          .prErr(
              "memblock: Failed to double %s array from %d to %d entries !"
                  .formatted(type.name, type.max, type.max * 2));
      return -1;
    }
    type.max <<= 1;
    return 0;
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_merge_regions")
  private void memblockMergeRegions(MemblockType type, int startRgn, int endRgn) {
    int i = startRgn > 0 ? startRgn - 1 : 0;
    endRgn = Math.min(endRgn, type.cnt() - 1);
    while (i < endRgn) {
      Region at = type.regions.get(i);
      Region next = type.regions.get(i + 1);
      if (at.end() != next.base || at.nid != next.nid || at.flags != next.flags) {
        mm.printk()
            .bugOn(
                at.end() > next.base,
                "memblock_merge_regions: this->base + this->size > next->base");
        i++;
        continue;
      }
      at.size += next.size;
      type.regions.remove(i + 1);
      endRgn--;
    }
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_insert_region")
  private void memblockInsertRegion(
      MemblockType type, int idx, long base, long size, int nid, int flags) {
    mm.printk().bugOn(type.cnt() >= type.max, "memblock_insert_region: type->cnt >= type->max");
    type.regions.add(idx, new Region(base, size, nid, flags));
    type.totalSize += size;
  }

  /** Returns 0 or -ENOMEM. Overlaps leave existing regions as they are. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_add_range")
  private int memblockAddRange(MemblockType type, long base, long size, int nid, int flags) {
    size = memblockCapSize(base, size);
    if (size == 0) {
      return 0;
    }
    if (type.regions.isEmpty()) {
      mm.printk()
          .warnOn(
              type.totalSize != 0, "memblock_add_range: type->cnt != 0 || type->total_size");
      memblockInsertRegion(type, 0, base, size, nid, flags);
      book(type, base, base + size);
      return 0;
    }
    AddPass pass = new AddPass(type, base, base + size, nid, flags);
    // In the worst case there is a gap on both sides of each region: then nobody needs to count.
    if (type.cnt() * 2 + 1 > type.max) {
      int nrNew = pass.run(false);
      while (nrNew != 0 && type.cnt() + nrNew > type.max) {
        if (memblockDoubleArray(type) < 0) {
          return -Errno.ENOMEM;
        }
      }
    }
    if (pass.run(true) != 0) {
      memblockMergeRegions(type, pass.startRgn, pass.endRgn);
    }
    return 0;
  }

  /** The loop of memblock_add_range(), which runs twice: to count, and to insert. */
  private final class AddPass {
    private final MemblockType type;
    private final long obase;
    private final long end;
    private final int nid;
    private final int flags;
    int startRgn = -1;
    int endRgn;
    private boolean insert;
    private int nrNew;

    AddPass(MemblockType type, long obase, long end, int nid, int flags) {
      this.type = type;
      this.obase = obase;
      this.end = end;
      this.nid = nid;
      this.flags = flags;
    }

    int run(boolean inserting) {
      insert = inserting;
      nrNew = 0;
      long base = obase;
      int idx = 0;
      for (; idx < type.cnt(); idx++) {
        Region rgn = type.regions.get(idx);
        long rend = rgn.end();
        if (rgn.base >= end) {
          break;
        }
        if (rend <= base) {
          continue;
        }
        if (rgn.base > base) {
          mm.printk()
              .warnOn(
                  nid != rgn.nid, "memblock_add_range: nid != memblock_get_region_node(rgn)");
          mm.printk()
              .warnOn(
                  flags != MEMBLOCK_NONE && flags != rgn.flags,
                  "memblock_add_range: flags != MEMBLOCK_NONE && flags != rgn->flags");
          idx = add(idx, base, rgn.base);
        }
        base = Math.min(rend, end);
      }
      if (base < end) {
        add(idx, base, end);
      }
      return nrNew;
    }

    private int add(int idx, long from, long to) {
      nrNew++;
      if (!insert) {
        return idx;
      }
      if (startRgn == -1) {
        startRgn = idx;
      }
      endRgn = idx + 1;
      memblockInsertRegion(type, idx, from, to - from, nid, flags);
      book(type, from, to);
      return idx + 1;
    }
  }

  // ---- adding, removing, reserving ----

  /** {@code memblock_add_node()}: {@code size} bytes of memory on node {@code nid}. */
  public void memblockAddNode(long base, long size, int nid) {
    memblockAddNode(base, size, nid, MEMBLOCK_NONE);
  }

  /** {@code memblock_add_node()} with MEMBLOCK_ flags. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_add_node")
  public int memblockAddNode(long base, long size, int nid, int flags) {
    return memblockAddRange(memory, base, size, nid, flags);
  }

  /** {@code memblock_add()}: memory whose node is not known yet. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_add")
  public int memblockAdd(long base, long size) {
    return memblockAddRange(memory, base, size, maxNumnodes, MEMBLOCK_NONE);
  }

  /** Index of the first region inside a range, and of the first behind it. */
  private record Isolated(int startRgn, int endRgn) {}

  /** Splits regions at both ends of the range. Null stands for -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_isolate_range")
  private @Nullable Isolated memblockIsolateRange(MemblockType type, long base, long size) {
    size = memblockCapSize(base, size);
    long end = base + size;
    int startRgn = 0;
    int endRgn = 0;
    if (size == 0) {
      return new Isolated(0, 0);
    }
    while (type.cnt() + 2 > type.max) {
      if (memblockDoubleArray(type) < 0) {
        return null;
      }
    }
    for (int idx = 0; idx < type.cnt(); idx++) {
      Region rgn = type.regions.get(idx);
      long rbase = rgn.base;
      long rend = rgn.end();
      if (rbase >= end) {
        break;
      }
      if (rend <= base) {
        continue;
      }
      if (rbase < base) {
        splitRegion(type, idx, base);
      } else if (rend > end) {
        // The lower half now stands at idx and is looked at again.
        splitRegion(type, idx--, end);
      } else {
        if (endRgn == 0) {
          startRgn = idx;
        }
        endRgn = idx + 1;
      }
    }
    return new Isolated(startRgn, endRgn);
  }

  private void splitRegion(MemblockType type, int idx, long at) {
    Region rgn = type.regions.get(idx);
    long rbase = rgn.base;
    rgn.base = at;
    rgn.size -= at - rbase;
    type.totalSize -= at - rbase;
    memblockInsertRegion(type, idx, rbase, at - rbase, rgn.nid, rgn.flags);
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_remove_range")
  private int memblockRemoveRange(MemblockType type, long base, long size) {
    Isolated range = memblockIsolateRange(type, base, size);
    if (range == null) {
      return -Errno.ENOMEM;
    }
    for (int i = range.endRgn - 1; i >= range.startRgn; i--) {
      Region gone = type.regions.get(i);
      memblockRemoveRegion(type, i);
      unbook(type, gone.base, gone.end());
    }
    return 0;
  }

  /** {@code memblock_remove()}: the range is memory no longer. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_remove")
  public int memblockRemove(long base, long size) {
    return memblockRemoveRange(memory, base, size);
  }

  /** Returns the number of pages that went to the page allocator. */
  @Kernel(file = "mm/memblock.c", symbol = "__free_reserved_area")
  private long freeReservedArea0(long start, long end) {
    PageAlloc buddy = pageAlloc;
    if (buddy == null
        || mm.printk()
            .warnOn(
                buddy.deferredPagesEnabled(),
                "Cannot free reserved memory because of deferred initialization"
                    + " of the memory map")) {
      return 0;
    }
    long pages = 0;
    long endPfn = mm.model().physPfn(end);
    long pfn = mm.mmzone().firstValidPfn(mm.model().pfnUp(start), endPfn);
    while (pfn < endPfn) {
      buddy.freeReservedPage(mm.model().pfnToPage(pfn));
      pages++;
      pfn = mm.mmzone().nextValidPfn(pfn, endPfn);
    }
    return pages;
  }

  /** The book of what was handed out and not given back. */
  public Kmemleak kmemleak() {
    return kmemleak;
  }

  /** {@code memblock_free()}: gives back what an allocation returned; 0 is allowed. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_free")
  public void memblockFree(long va, long size) {
    if (va != 0) {
      memblockPhysFree(mm.model().pa(va), size);
    }
  }

  /** {@code memblock_phys_free()}: to memblock, or to the page allocator once slab is up. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_phys_free")
  public void memblockPhysFree(long base, long size) {
    kmemleak.kmemleakFreePartPhys(base, size);
    if (!slabIsAvailable()) {
      memblockRemoveRange(reserved, base, size);
    } else {
      freeReservedArea0(base, base + size);
    }
  }

  /**
   * {@code memblock_reserve()}: also before, or where, there is no memory. Returns 0 or -ENOMEM.
   */
  @Kernel(file = "include/linux/memblock.h", symbol = "memblock_reserve")
  public int memblockReserve(long base, long size) {
    return memblockReserve0(base, size, NUMA_NO_NODE, MEMBLOCK_NONE);
  }

  /** {@code memblock_reserve_kern()}: for the kernel's own use. Returns 0 or -ENOMEM. */
  @Kernel(file = "include/linux/memblock.h", symbol = "memblock_reserve_kern")
  public int memblockReserveKern(long base, long size) {
    return memblockReserve0(base, size, NUMA_NO_NODE, MEMBLOCK_RSRV_KERN);
  }

  @Kernel(file = "mm/memblock.c", symbol = "__memblock_reserve")
  private int memblockReserve0(long base, long size, int nid, int flags) {
    return memblockAddRange(reserved, base, size, nid, flags);
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_setclr_flag")
  private int memblockSetclrFlag(MemblockType type, long base, long size, boolean set, int flag) {
    return changeRegions(type, base, size, r -> r.flags = set ? r.flags | flag : r.flags & ~flag);
  }

  private int changeRegions(MemblockType type, long base, long size, Consumer<Region> change) {
    Isolated range = memblockIsolateRange(type, base, size);
    if (range == null) {
      return -Errno.ENOMEM;
    }
    type.regions.subList(range.startRgn, range.endRgn).forEach(change);
    memblockMergeRegions(type, range.startRgn, range.endRgn);
    return 0;
  }

  /** {@code memblock_mark_hotplug()}. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_mark_hotplug")
  public int memblockMarkHotplug(long base, long size) {
    return memblockSetclrFlag(memory, base, size, true, MEMBLOCK_HOTPLUG);
  }

  /** {@code memblock_clear_hotplug()}. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_clear_hotplug")
  public int memblockClearHotplug(long base, long size) {
    return memblockSetclrFlag(memory, base, size, false, MEMBLOCK_HOTPLUG);
  }

  /** {@code memblock_mark_mirror()}. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_mark_mirror")
  public int memblockMarkMirror(long base, long size) {
    systemHasSomeMirror = true;
    return memblockSetclrFlag(memory, base, size, true, MEMBLOCK_MIRROR);
  }

  /** {@code memblock_mark_nomap()}. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_mark_nomap")
  public int memblockMarkNomap(long base, long size) {
    return memblockSetclrFlag(memory, base, size, true, MEMBLOCK_NOMAP);
  }

  /** {@code memblock_clear_nomap()}. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_clear_nomap")
  public int memblockClearNomap(long base, long size) {
    return memblockSetclrFlag(memory, base, size, false, MEMBLOCK_NOMAP);
  }

  /**
   * {@code memblock_reserved_mark_noinit()}: the caller will initialise the struct pages of this
   * reserved range itself.
   */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_reserved_mark_noinit")
  public void memblockReservedMarkNoinit(long base, long size) {
    memblockSetclrFlag(reserved, base, size, true, MEMBLOCK_RSRV_NOINIT);
  }

  /** {@code memblock_reserved_mark_kern()}. Returns 0 or -ENOMEM. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_reserved_mark_kern")
  public int memblockReservedMarkKern(long base, long size) {
    return memblockSetclrFlag(reserved, base, size, true, MEMBLOCK_RSRV_KERN);
  }

  // ---- iterating ----

  /** A range that {@link #nextMemRange} found. Bytes, end excluded. */
  private record Range(long start, long end, int nid) {}

  /** The loop variable of for_each_free_mem_range(): an index into each list. */
  private static final class Cursor {
    int a;
    int b;
  }

  @Kernel(file = "mm/memblock.c", symbol = "should_skip_region")
  private boolean shouldSkipRegion(MemblockType type, Region m, int nid, int flags) {
    if (type != memory) {
      return false;
    }
    if (numaValidNode(nid) && nid != m.nid) {
      return true;
    }
    if (movableNode && (m.flags & MEMBLOCK_HOTPLUG) != 0 && (flags & MEMBLOCK_HOTPLUG) == 0) {
      return true;
    }
    if ((flags & MEMBLOCK_MIRROR) != 0 && (m.flags & MEMBLOCK_MIRROR) == 0) {
      return true;
    }
    if ((flags & MEMBLOCK_NOMAP) == 0 && (m.flags & MEMBLOCK_NOMAP) != 0) {
      return true;
    }
    return (flags & MEMBLOCK_DRIVER_MANAGED) == 0 && (m.flags & MEMBLOCK_DRIVER_MANAGED) != 0;
  }

  private static long gapStart(MemblockType typeB, int idxB) {
    return idxB == 0 ? 0 : typeB.regions.get(idxB - 1).end();
  }

  private static long gapEnd(MemblockType typeB, int idxB) {
    return idxB < typeB.cnt() ? typeB.regions.get(idxB).base : ALLOC_ANYWHERE;
  }

  /**
   * The next piece of {@code typeA} that is not in {@code typeB}, upwards; null behind the last.
   */
  @Kernel(file = "mm/memblock.c", symbol = "__next_mem_range")
  private @Nullable Range nextMemRange(
      Cursor at, int nid, int flags, MemblockType typeA, MemblockType typeB) {
    for (; at.a < typeA.cnt(); at.a++) {
      Region m = typeA.regions.get(at.a);
      if (shouldSkipRegion(typeA, m, nid, flags)) {
        continue;
      }
      for (; at.b < typeB.cnt() + 1; at.b++) {
        long rStart = gapStart(typeB, at.b);
        long rEnd = gapEnd(typeB, at.b);
        if (rStart >= m.end()) {
          break;
        }
        if (m.base < rEnd) {
          Range found = new Range(Math.max(m.base, rStart), Math.min(m.end(), rEnd), m.nid);
          if (m.end() <= rEnd) {
            at.a++;
          } else {
            at.b++;
          }
          return found;
        }
      }
    }
    return null;
  }

  /** As {@link #nextMemRange}, downwards. */
  @Kernel(file = "mm/memblock.c", symbol = "__next_mem_range_rev")
  private @Nullable Range nextMemRangeRev(
      Cursor at, int nid, int flags, MemblockType typeA, MemblockType typeB) {
    for (; at.a >= 0; at.a--) {
      Region m = typeA.regions.get(at.a);
      if (shouldSkipRegion(typeA, m, nid, flags)) {
        continue;
      }
      for (; at.b >= 0; at.b--) {
        long rStart = gapStart(typeB, at.b);
        long rEnd = gapEnd(typeB, at.b);
        if (rEnd <= m.base) {
          break;
        }
        if (m.end() > rStart) {
          Range found = new Range(Math.max(m.base, rStart), Math.min(m.end(), rEnd), m.nid);
          if (m.base >= rStart) {
            at.a--;
          } else {
            at.b--;
          }
          return found;
        }
      }
    }
    return null;
  }

  @Kernel(file = "include/linux/memblock.h", symbol = "for_each_free_mem_range")
  private Iterable<Range> freeRanges(int nid, int flags) {
    Cursor cursor = new Cursor();
    return () -> new RangeIterator(() -> nextMemRange(cursor, nid, flags, memory, reserved));
  }

  @Kernel(file = "include/linux/memblock.h", symbol = "for_each_free_mem_range_reverse")
  private Iterable<Range> freeRangesReverse(int nid, int flags) {
    Cursor cursor = new Cursor();
    cursor.a = memory.cnt() - 1;
    cursor.b = reserved.cnt();
    return () -> new RangeIterator(() -> nextMemRangeRev(cursor, nid, flags, memory, reserved));
  }

  /** Makes a Java loop of a next function. */
  private static final class RangeIterator implements java.util.Iterator<Range> {
    private final java.util.function.Supplier<@Nullable Range> step;
    private @Nullable Range ahead;

    RangeIterator(java.util.function.Supplier<@Nullable Range> step) {
      this.step = step;
      this.ahead = step.get();
    }

    @Override
    public boolean hasNext() {
      return ahead != null;
    }

    @Override
    public Range next() {
      Range found = ahead;
      if (found == null) {
        throw new java.util.NoSuchElementException();
      }
      ahead = step.get();
      return found;
    }
  }

  /** {@code for_each_mem_pfn_range()}: whole pages of memory of node {@code nid}, or of all. */
  @Kernel(file = "mm/memblock.c", symbol = "__next_mem_pfn_range")
  public List<MemPfnRange> memPfnRanges(int nid) {
    List<MemPfnRange> ranges = new ArrayList<>();
    for (int i = 0; i < memory.cnt(); i++) {
      Region r = memory.regions.get(i);
      long startPfn = mm.model().pfnUp(r.base);
      long endPfn = mm.model().physPfn(r.end());
      if (startPfn < endPfn && (!numaValidNode(nid) || nid == r.nid)) {
        ranges.add(new MemPfnRange(i, startPfn, endPfn, r.nid));
      }
    }
    return ranges;
  }

  /** {@code for_each_free_mem_range()}: a copy, so that memblock may change meanwhile. */
  public List<MemRange> freeMemRanges(int nid) {
    List<MemRange> ranges = new ArrayList<>();
    for (Range r : freeRanges(nid, MEMBLOCK_NONE)) {
      ranges.add(new MemRange(r.start, r.end, r.nid, MEMBLOCK_NONE));
    }
    return ranges;
  }

  /** {@code for_each_mem_region()}. */
  @Kernel(file = "include/linux/memblock.h", symbol = "for_each_mem_region")
  public List<MemRange> memRanges() {
    return ranges(memory);
  }

  /** {@code for_each_reserved_mem_region()}. */
  @Kernel(file = "include/linux/memblock.h", symbol = "for_each_reserved_mem_region")
  public List<MemRange> reservedRanges() {
    return ranges(reserved);
  }

  private static List<MemRange> ranges(MemblockType type) {
    return type.regions.stream()
        .map(r -> new MemRange(r.base, r.end(), r.nid, r.flags))
        .toList();
  }

  /** {@code memblock_set_node()} of memory. Returns 0 or -ENOMEM. */
  public int memblockSetNode(long base, long size, int nid) {
    return memblockSetNode(base, size, memory, nid);
  }

  /** The same of reserved memory, which is cut at the ends of the range. */
  public int memblockSetReservedNode(long base, long size, int nid) {
    return memblockSetNode(base, size, reserved, nid);
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_set_node")
  private int memblockSetNode(long base, long size, MemblockType type, int nid) {
    return changeRegions(type, base, size, r -> r.nid = nid);
  }

  // ---- allocating ----

  @Kernel(
      file = "mm/memblock.c",
      symbol = "memblock_prep_allocation",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Memory of confidential guests, which has to be accepted, is not modelled.")
  private void memblockPrepAllocation(long start, long size, boolean kmemleakTrace) {
    if (kmemleakTrace) {
      kmemleak.kmemleakAllocPhys(start, size);
    } else {
      kmemleak.noTracePhys(start, size);
    }
  }

  /**
   * {@code memblock_alloc_range_nid()}: reserves {@code size} bytes between {@code start} and
   * {@code end}, on node {@code nid} if possible.
   *
   * @param exactNid true to fail rather than to use another node
   * @return physical address, or 0
   */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_alloc_range_nid")
  public long memblockAllocRangeNid(
      long size, long align, long start, long end, int nid, boolean exactNid) {
    int flags = chooseMemblockFlags();
    Slab up = slab;
    if (mm.printk().warnOnOnce(slabIsAvailable(), "memblock_alloc_range_nid: slab_is_available()")
        && up != null) {
      long va = up.kzalloc(size, nid, "memblock_alloc_range_nid");
      return va == 0 ? 0 : mm.model().pa(va);
    }
    if (mm.mayFail("memblock_alloc_range_nid")) {
      return 0;
    }
    align = align == 0 ? SMP_CACHE_BYTES : align;
    while (true) {
      long found = memblockFindInRangeNode(size, align, start, end, nid, flags, false);
      if (found != 0 && memblockReserve0(found, size, nid, MEMBLOCK_RSRV_KERN) == 0) {
        memblockPrepAllocation(found, size, end != ALLOC_NOLEAKTRACE);
        return found;
      }
      if (numaValidNode(nid) && !exactNid) {
        found = memblockFindInRangeNode(size, align, start, end, NUMA_NO_NODE, flags, false);
        if (found != 0 && memblockReserveKern(found, size) == 0) {
          memblockPrepAllocation(found, size, end != ALLOC_NOLEAKTRACE);
          return found;
        }
      }
      if ((flags & MEMBLOCK_MIRROR) == 0) {
        return 0;
      }
      flags &= ~MEMBLOCK_MIRROR;
      mm.printk().prWarn("Could not allocate 0x%x bytes of mirrored memory".formatted(size));
    }
  }

  /** {@code memblock_phys_alloc_range()}: returns a physical address, or 0. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_phys_alloc_range")
  public long memblockPhysAllocRange(long size, long align, long start, long end) {
    return memblockAllocRangeNid(size, align, start, end, NUMA_NO_NODE, false);
  }

  /** {@code memblock_phys_alloc_try_nid()}: returns a physical address, or 0. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_phys_alloc_try_nid")
  public long memblockPhysAllocTryNid(long size, long align, int nid) {
    return memblockAllocRangeNid(size, align, 0, ALLOC_ACCESSIBLE, nid, false);
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_alloc_internal")
  private long memblockAllocInternal(
      long size, long align, long minAddr, long maxAddr, int nid, boolean exactNid) {
    maxAddr = Math.min(maxAddr, currentLimit);
    long alloc = memblockAllocRangeNid(size, align, minAddr, maxAddr, nid, exactNid);
    if (alloc == 0 && minAddr != 0) {
      alloc = memblockAllocRangeNid(size, align, 0, maxAddr, nid, exactNid);
    }
    return alloc == 0 ? 0 : mm.model().va(alloc);
  }

  /**
   * {@code memblock_alloc_exact_nid_raw()}: not zeroed, from no other node. Linear address or 0.
   */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_alloc_exact_nid_raw")
  public long memblockAllocExactNidRaw(
      long size, long align, long minAddr, long maxAddr, int nid) {
    return memblockAllocInternal(size, align, minAddr, maxAddr, nid, true);
  }

  /** {@code memblock_alloc_try_nid_raw()}: not zeroed. Linear address or 0. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_alloc_try_nid_raw")
  public long memblockAllocTryNidRaw(long size, long align, long minAddr, long maxAddr, int nid) {
    return memblockAllocInternal(size, align, minAddr, maxAddr, nid, false);
  }

  /**
   * {@code memblock_alloc_hugetlb()}: a hugepage of {@code size} bytes, aligned to its size, not
   * zeroed.
   *
   * @param exactNid true to fail rather than to use another node
   * @return linear address, or 0
   */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_alloc_hugetlb")
  public long memblockAllocHugetlb(long size, int nid, boolean exactNid) {
    int flags = chooseMemblockFlags() & ~MEMBLOCK_MIRROR;
    if (mm.mayFail("memblock_alloc_hugetlb")) {
      return 0;
    }
    long addr = memblockFindInRangeNode(size, size, 0, ALLOC_ACCESSIBLE, nid, flags, true);
    if (addr == 0 && numaValidNode(nid) && !exactNid) {
      nid = NUMA_NO_NODE;
      addr = memblockFindInRangeNode(size, size, 0, ALLOC_ACCESSIBLE, nid, flags, true);
    }
    int use = MEMBLOCK_RSRV_KERN | MEMBLOCK_RSRV_HUGETLB;
    if (addr == 0 || memblockReserve0(addr, size, nid, use) != 0) {
      return 0;
    }
    memblockPrepAllocation(addr, size, true);
    return mm.model().va(addr);
  }

  /** {@code memblock_alloc_try_nid()}: zeroed. Linear address or 0. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_alloc_try_nid")
  public long memblockAllocTryNid(long size, long align, long minAddr, long maxAddr, int nid) {
    long ptr = memblockAllocInternal(size, align, minAddr, maxAddr, nid, false);
    if (ptr != 0) {
      mm.machine().cpu().fill(ptr & ~7L, roundUp((ptr & 7) + size, 8), (byte) 0);
    }
    return ptr;
  }

  /** {@code memblock_alloc()}: zeroed, any node. Linear address or 0. */
  @Kernel(file = "include/linux/memblock.h", symbol = "memblock_alloc")
  public long memblockAlloc(long size, long align) {
    return memblockAllocTryNid(size, align, LOW_LIMIT, ALLOC_ACCESSIBLE, NUMA_NO_NODE);
  }

  /** {@code memblock_alloc_node()}: zeroed, preferably on {@code nid}. Linear address or 0. */
  @Kernel(file = "include/linux/memblock.h", symbol = "memblock_alloc_node")
  public long memblockAllocNode(long size, long align, int nid) {
    return memblockAllocTryNid(size, align, LOW_LIMIT, ALLOC_ACCESSIBLE, nid);
  }

  /**
   * {@code memblock_alloc_or_panic()}: as {@link #memblockAlloc}.
   *
   * @throws KernelPanic when there is no memory
   */
  @Kernel(file = "mm/memblock.c", symbol = "__memblock_alloc_or_panic")
  public long memblockAllocOrPanic(long size, long align) {
    long addr = memblockAlloc(size, align);
    if (addr == 0) {
      throw new KernelPanic(
          "memblock_alloc_or_panic: Failed to allocate 0x%016x bytes".formatted(size));
    }
    return addr;
  }

  // ---- questions ----

  /** {@code memblock_phys_mem_size()}: bytes of memory. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_phys_mem_size")
  public long memblockPhysMemSize() {
    return memory.totalSize;
  }

  /** {@code memblock_reserved_size()}: bytes reserved, holes included. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_reserved_size")
  public long memblockReservedSize() {
    return reserved.totalSize;
  }

  /** {@code memblock_reserved_hugetlb_size()}: bytes of hugepages below {@code limit} on a node. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_reserved_hugetlb_size")
  public long memblockReservedHugetlbSize(long limit, int nid) {
    return reservedSize(limit, nid, MEMBLOCK_RSRV_HUGETLB);
  }

  /** {@code memblock_reserved_kern_size()}: bytes of the kernel below {@code limit} on a node. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_reserved_kern_size")
  public long memblockReservedKernSize(long limit, int nid) {
    return reservedSize(limit, nid, MEMBLOCK_RSRV_KERN);
  }

  private long reservedSize(long limit, int nid, int flag) {
    long total = 0;
    for (Region r : reserved.regions) {
      if (r.base > limit) {
        break;
      }
      if ((nid == r.nid || !numaValidNode(nid)) && (r.flags & flag) != 0) {
        total += Math.min(r.size, limit - r.base);
      }
    }
    return total;
  }

  /** {@code memblock_estimated_nr_free_pages()}. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_estimated_nr_free_pages")
  public long memblockEstimatedNrFreePages() {
    long kernel = memblockReservedKernSize(ALLOC_ANYWHERE, NUMA_NO_NODE);
    return mm.model().physPfn(memblockPhysMemSize() - kernel);
  }

  /** {@code memblock_start_of_DRAM()}: 0 when there is no memory. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_start_of_DRAM")
  public long memblockStartOfDRAM() {
    return memory.regions.isEmpty() ? 0 : memory.regions.getFirst().base;
  }

  /** {@code memblock_end_of_DRAM()}: the first address behind all memory. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_end_of_DRAM")
  public long memblockEndOfDRAM() {
    return memory.regions.isEmpty() ? 0 : memory.regions.getLast().end();
  }

  @Kernel(file = "mm/memblock.c", symbol = "memblock_search")
  private static int memblockSearch(MemblockType type, long addr) {
    int left = 0;
    int right = type.cnt();
    while (left < right) {
      int mid = (right + left) / 2;
      Region r = type.regions.get(mid);
      if (addr < r.base) {
        right = mid;
      } else if (addr >= r.end()) {
        left = mid + 1;
      } else {
        return mid;
      }
    }
    return -1;
  }

  /** {@code memblock_is_reserved()}. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_is_reserved")
  public boolean memblockIsReserved(long addr) {
    return memblockSearch(reserved, addr) != -1;
  }

  /** {@code memblock_is_memory()}. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_is_memory")
  public boolean memblockIsMemory(long addr) {
    return memblockSearch(memory, addr) != -1;
  }

  /** {@code memblock_is_map_memory()}: memory that is in the linear map. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_is_map_memory")
  public boolean memblockIsMapMemory(long addr) {
    int i = memblockSearch(memory, addr);
    return i != -1 && (memory.regions.get(i).flags & MEMBLOCK_NOMAP) == 0;
  }

  /** {@code memblock_search_pfn_nid()}: the node of {@code pfn}, or NUMA_NO_NODE. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_search_pfn_nid")
  public int memblockSearchPfnNid(long pfn) {
    int mid = memblockSearch(memory, mm.model().pfnPhys(pfn));
    return mid == -1 ? NUMA_NO_NODE : memory.regions.get(mid).nid;
  }

  /** {@code memblock_is_region_memory()}: all of the range lies in one memory region. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_is_region_memory")
  public boolean memblockIsRegionMemory(long base, long size) {
    int idx = memblockSearch(memory, base);
    return idx != -1 && memory.regions.get(idx).end() >= base + memblockCapSize(base, size);
  }

  /** {@code memblock_is_region_reserved()}: some of the range is reserved. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_is_region_reserved")
  public boolean memblockIsRegionReserved(long base, long size) {
    return memblockOverlapsRegion(reserved, base, size);
  }

  /** {@code memblock_set_bottom_up()}: whether the search starts at the lowest address. */
  @Kernel(file = "include/linux/memblock.h", symbol = "memblock_set_bottom_up")
  public void memblockSetBottomUp(boolean enable) {
    bottomUp = enable;
  }

  /** {@code memblock_bottom_up()}. */
  @Kernel(file = "include/linux/memblock.h", symbol = "memblock_bottom_up")
  public boolean memblockBottomUp() {
    return bottomUp;
  }

  /** {@code memblock_set_current_limit()}: ALLOC_ACCESSIBLE means below this address. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_set_current_limit")
  public void memblockSetCurrentLimit(long limit) {
    currentLimit = limit;
  }

  /** {@code memblock_get_current_limit()}. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_get_current_limit")
  public long memblockGetCurrentLimit() {
    return currentLimit;
  }

  /** {@code memblock_allow_resize()}; {@code false} as before it, for tests. */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_allow_resize")
  public void memblockAllowResize(boolean allow) {
    canResize = allow;
  }

  /** {@code movable_node}: hotpluggable memory is left alone by allocations from now on. */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "movable_node_enabled")
  public void setMovableNode(boolean enable) {
    movableNode = enable;
  }

  /** True with {@code movable_node}. */
  @Kernel(file = "include/linux/memory_hotplug.h", symbol = "movable_node_is_enabled")
  public boolean movableNodeIsEnabled() {
    return movableNode;
  }

  // ---- the end: all free memory to the page allocator ----

  @Kernel(file = "mm/memblock.c", symbol = "__free_pages_memory")
  private void freePagesMemory(long start, long end, PageInit init) {
    int max = mm.config().maxPageOrder();
    while (start < end) {
      int order = start == 0 ? max : Math.min(max, Long.numberOfTrailingZeros(start));
      while (start + (1L << order) > end) {
        order--;
      }
      init.memblockFreePages(start, order);
      start += 1L << order;
    }
  }

  @Kernel(file = "mm/memblock.c", symbol = "__free_memory_core")
  private long freeMemoryCore(long start, long end, PageInit init) {
    long startPfn = mm.model().pfnUp(start);
    long endPfn = mm.model().physPfn(end);
    if (startPfn >= endPfn) {
      return 0;
    }
    freePagesMemory(startPfn, endPfn, init);
    return endPfn - startPfn;
  }

  @Kernel(file = "mm/memblock.c", symbol = "memmap_init_reserved_pages")
  private void memmapInitReservedPages(PageInit init) {
    int maxReserved;
    do {
      // Setting a node may split a region, and so double the array behind our back.
      maxReserved = reserved.max;
      for (Region region : List.copyOf(memory.regions)) {
        if ((region.flags & MEMBLOCK_NOMAP) != 0) {
          initReserved(region, region.nid, init);
        }
        memblockSetNode(region.base, region.size, reserved, region.nid);
      }
    } while (maxReserved != reserved.max);
    for (Region region : reserved.regions) {
      if ((region.flags & MEMBLOCK_RSRV_NOINIT) == 0) {
        long pfn = mm.model().physPfn(region.base);
        initReserved(region, numaValidNode(region.nid) ? region.nid : earlyPfnToNid(pfn), init);
      }
    }
  }

  private void initReserved(Region region, int nid, PageInit init) {
    init.initSinglePageReserved(
        mm.model().physPfn(region.base), mm.model().pfnUp(region.end()), nid);
  }

  @Kernel(file = "mm/mm_init.c", symbol = "early_pfn_to_nid")
  private int earlyPfnToNid(long pfn) {
    int nid = memblockSearchPfnNid(pfn);
    return numaValidNode(nid) ? nid : 0;
  }

  @Kernel(file = "mm/memblock.c", symbol = "free_low_memory_core_early")
  private long freeLowMemoryCoreEarly(PageInit init) {
    memblockClearHotplug(0, ALLOC_ANYWHERE);
    memmapInitReservedPages(init);
    long count = 0;
    for (Range r : freeRanges(NUMA_NO_NODE, MEMBLOCK_NONE)) {
      count += freeMemoryCore(r.start, r.end, init);
    }
    return count;
  }

  /** {@code reset_all_zones_managed_pages()}: from now on only what is freed counts. */
  @Kernel(file = "mm/memblock.c", symbol = "reset_all_zones_managed_pages")
  public void resetAllZonesManagedPages() {
    if (resetManagedPagesDone) {
      return;
    }
    mm.nodes().online().forEach(this::resetNodeManagedPages);
    resetManagedPagesDone = true;
  }

  @Kernel(file = "mm/memblock.c", symbol = "reset_node_managed_pages")
  private void resetNodeManagedPages(PgData pgdat) {
    for (Zone zone : pgdat.zones()) {
      zone.managedPages = 0;
    }
  }

  /**
   * {@code memblock_free_all()}: marks the struct pages of reserved memory, and frees the rest to
   * the page allocator. free_unused_memmap() does nothing with a virtual memmap.
   */
  @Kernel(file = "mm/memblock.c", symbol = "memblock_free_all")
  public void memblockFreeAll(PageInit init) {
    resetAllZonesManagedPages();
    long pages = freeLowMemoryCoreEarly(init);
    if (pageAlloc != null) {
      pageAlloc.totalramPagesAdd(pages);
    }
  }

  // ---- the ledger ----

  /**
   * Frames of a new piece change hands. Memory counts in whole frames, a reservation in begun
   * ones.
   */
  private void book(MemblockType type, long start, long end) {
    if (type == reserved) {
      bookReserved(start, end);
      return;
    }
    long pfn = mm.model().pfnUp(start);
    long endPfn = mm.model().physPfn(end);
    if (pfn < endPfn) {
      move(pfn, endPfn, Owner.NONE, Owner.MEMBLOCK);
    }
    for (Region r : reserved.regions) {
      if (r.base < end && start < r.end()) {
        bookReserved(Math.max(start, r.base), Math.min(end, r.end()));
      }
    }
  }

  private void bookReserved(long start, long end) {
    move(mm.model().physPfn(start), mm.model().pfnUp(end), Owner.MEMBLOCK, Owner.RESERVED);
  }

  private void unbook(MemblockType type, long start, long end) {
    long pfn = mm.model().physPfn(start);
    long endPfn = mm.model().pfnUp(end);
    if (type == memory) {
      moveAll(pfn, endPfn, Owner.NONE);
      return;
    }
    long size = mm.model().pageSize();
    if (memblockOverlapsRegion(reserved, mm.model().pfnPhys(pfn), size)) {
      pfn++;
    }
    if (pfn < endPfn && memblockOverlapsRegion(reserved, mm.model().pfnPhys(endPfn - 1), size)) {
      endPfn--;
    }
    moveAll(pfn, endPfn, Owner.MEMBLOCK);
  }

  private void move(long pfn, long endPfn, Owner from, Owner to) {
    long end = Math.min(endPfn, mm.machine().ledger().frames());
    while (pfn < end) {
      long next = mm.machine().ledger().sameOwnerUntil(pfn, end);
      if (mm.machine().ledger().ownerOf(pfn) == from) {
        mm.own(pfn, next - pfn, to);
      }
      pfn = next;
    }
  }

  private void moveAll(long pfn, long endPfn, Owner to) {
    long end = Math.min(endPfn, mm.machine().ledger().frames());
    while (pfn < end) {
      long next = mm.machine().ledger().sameOwnerUntil(pfn, end);
      if (mm.machine().ledger().ownerOf(pfn) != Owner.NONE) {
        mm.own(pfn, next - pfn, to);
      }
      pfn = next;
    }
  }

  private static long roundUp(long value, long align) {
    return (value + align - 1) / align * align;
  }

  private static long roundDown(long value, long align) {
    return value / align * align;
  }
}
