// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiPredicate;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Memblock.MemRange;
import org.vmemmap.types.Align;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * The part of mm/cma.c that reserves areas in memblock.
 *
 * <pre>
 *   one range    bottom up from 4 GiB on the node; else anywhere below the limit
 *   several      up to 8 free ranges above 4 GiB, each cut to the alignment
 * </pre>
 *
 * Addresses and sizes are physical and in bytes.
 */
@Kernel(file = "mm/cma.c", symbol = "cma_declare_contiguous_multi")
public final class CmaDeclare {
  private static final long SZ_4G = 1L << 32;
  private static final long SZ_1M = 1L << 20;

  private final Mm mm;
  private final Memblock memblock;
  private final Cma cma;

  /** Declares areas of {@code cma}. */
  public CmaDeclare(Mm mm, Memblock memblock, Cma cma) {
    this.mm = mm;
    this.memblock = memblock;
    this.cma = cma;
  }

  /** What the caller of the declaring functions wants of an area. */
  @Kernel(file = "mm/cma.c", symbol = "__cma_declare_contiguous_nid")
  private record Wish(
      long base,
      long size,
      long limit,
      long alignment,
      int orderPerBit,
      boolean fixed,
      @Nullable String name,
      int nid) {}

  // ---- lists of ranges ----

  /** {@code struct cma_init_memrange}. */
  @Kernel(file = "mm/cma.c", symbol = "struct cma_init_memrange")
  private record InitMemrange(long base, long size) {}

  @Kernel(file = "mm/cma.c", symbol = "revsizecmp")
  private static boolean revsizecmp(InitMemrange mlp, InitMemrange mrp) {
    return mlp.size > mrp.size;
  }

  @Kernel(file = "mm/cma.c", symbol = "basecmp")
  private static boolean basecmp(InitMemrange mlp, InitMemrange mrp) {
    return mlp.base < mrp.base;
  }

  /**
   * Inserts before the first element that {@code cmp} holds for. Where it holds for none, C still
   * inserts before the element that it looked at last: the first one ever stays at the end.
   */
  @Kernel(file = "mm/cma.c", symbol = "list_insert_sorted")
  private static void listInsertSorted(
      List<InitMemrange> ranges, InitMemrange mrp, BiPredicate<InitMemrange, InitMemrange> cmp) {
    if (ranges.isEmpty()) {
      ranges.add(mrp);
      return;
    }
    int mlp = 0;
    while (mlp < ranges.size() - 1 && !cmp.test(ranges.get(mlp), mrp)) {
      mlp++;
    }
    ranges.add(mlp, mrp);
  }

  // ---- one range ----

  @Kernel(
      file = "mm/cma.c",
      symbol = "cma_fixed_reserve",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without the checks of HIGHMEM, which 64-bit kernels lack.")
  private int cmaFixedReserve(long base, long size) {
    boolean taken = memblock.memblockIsRegionReserved(base, size);
    return taken || memblock.memblockReserve(base, size) < 0 ? -Errno.EBUSY : 0;
  }

  /** Keeps off the first 4 GiB, which devices with short addresses need, while it can. */
  @Kernel(
      file = "mm/cma.c",
      symbol = "cma_alloc_mem",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Without the attempt in HIGHMEM, which 64-bit kernels lack.")
  private long cmaAllocMem(long base, long size, long align, long limit, int nid) {
    long addr = 0;
    if (!memblock.memblockBottomUp() && limit >= SZ_4G + size) {
      memblock.memblockSetBottomUp(true);
      addr = memblock.memblockAllocRangeNid(size, align, SZ_4G, limit, nid, true);
      memblock.memblockSetBottomUp(false);
    }
    return addr != 0 ? addr : memblock.memblockAllocRangeNid(size, align, base, limit, nid, true);
  }

  /** Returns 0, -ENOSPC, -EINVAL, -EBUSY or -ENOMEM; gives the area to {@code resCma}. */
  @Kernel(file = "mm/cma.c", symbol = "__cma_declare_contiguous_nid")
  private int cmaDeclareContiguousNid0(Wish w, Consumer<CmaArea> resCma) {
    if (cma.noSlots()) {
      return -Errno.ENOSPC;
    }
    if (w.size == 0 || (w.alignment != 0 && Long.bitCount(w.alignment) != 1)) {
      return -Errno.EINVAL;
    }
    long alignment = Math.max(w.alignment, cma.cmaMinAlignmentBytes());
    if (w.fixed && (w.base & (alignment - 1)) != 0) {
      mm.printk()
          .prErr(
              "cma: Region at 0x%016x must be aligned to 0x%016x bytes"
                  .formatted(w.base, alignment));
      return -Errno.EINVAL;
    }
    long base = Align.align(w.base, alignment);
    long size = Align.align(w.size, alignment);
    if (!Align.isAligned(size >>> mm.model().pageShift(), 1L << w.orderPerBit)) {
      return -Errno.EINVAL;
    }
    long memblockEnd = memblock.memblockEndOfDRAM();
    long asked = w.limit & -alignment;
    long limit = asked == 0 || asked > memblockEnd ? memblockEnd : asked;
    if (base + size > limit) {
      mm.printk()
          .prErr(
              "cma: Size (0x%016x) of region at 0x%016x exceeds limit (0x%016x)"
                  .formatted(size, base, limit));
      return -Errno.EINVAL;
    }
    if (w.fixed && base != 0) {
      int ret = cmaFixedReserve(base, size);
      if (ret != 0) {
        return ret;
      }
    } else {
      base = cmaAllocMem(base, size, alignment, limit, w.nid);
      if (base == 0) {
        return -Errno.ENOMEM;
      }
      // Its addresses are not to be read, and nobody points there.
      memblock.kmemleak().kmemleakIgnorePhys(base);
    }
    return initReserved(base, size, w, resCma);
  }

  /** The end of __cma_declare_contiguous_nid(): the memory is reserved. */
  private int initReserved(long base, long size, Wish w, Consumer<CmaArea> resCma) {
    int ret =
        cma.cmaInitReservedMem(
            base,
            size,
            w.orderPerBit,
            w.name,
            area -> {
              area.nid = w.nid;
              resCma.accept(area);
            });
    if (ret != 0) {
      memblock.memblockPhysFree(base, size);
    }
    return ret;
  }

  /**
   * {@code cma_declare_contiguous_nid()}: reserves one range for an area.
   *
   * @param base lowest address wanted, or the address if {@code fixed}; 0 for any
   * @param limit end of the memory allowed, 0 for any
   * @param alignment a power of two, 0 for a pageblock
   * @param name null for cmaN
   * @param resCma is given the area
   * @param nid node, NUMA_NO_NODE for any
   * @return 0, -EINVAL, -ENOSPC, -EBUSY, -ENOMEM
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_declare_contiguous_nid")
  public int cmaDeclareContiguousNid(
      long base,
      long size,
      long limit,
      long alignment,
      int orderPerBit,
      boolean fixed,
      @Nullable String name,
      Consumer<CmaArea> resCma,
      int nid) {
    Wish wish = new Wish(base, size, limit, alignment, orderPerBit, fixed, name, nid);
    long[] at = new long[1];
    int ret =
        cmaDeclareContiguousNid0(
            wish,
            area -> {
              at[0] = mm.model().pfnPhys(area.ranges.getFirst().basePfn);
              resCma.accept(area);
            });
    if (ret != 0) {
      mm.printk().prErr("cma: Failed to reserve " + size / SZ_1M + " MiB");
    } else {
      mm.printk().prInfo("cma: Reserved %d MiB at 0x%016x".formatted(size / SZ_1M, at[0]));
    }
    return ret;
  }

  // ---- several ranges ----

  /**
   * {@code cma_declare_contiguous_multi()}: an area of {@code totalSize} bytes in one range if it
   * can be, else in up to 8 free ranges above 4 GiB.
   *
   * @param align of each range; a power of two
   * @param resCma is given the area
   * @return 0, -EINVAL, -ENOSPC, -ENOMEM
   */
  @Kernel(file = "mm/cma.c", symbol = "cma_declare_contiguous_multi")
  public int cmaDeclareContiguousMulti(
      long totalSize,
      long align,
      int orderPerBit,
      @Nullable String name,
      Consumer<CmaArea> resCma,
      int nid) {
    Wish wish = new Wish(0, totalSize, 0, align, orderPerBit, false, name, nid);
    int nr = 1;
    int ret = cmaDeclareContiguousNid0(wish, resCma);
    if (ret == -Errno.ENOMEM) {
      CmaArea area = cma.cmaNewArea(name, totalSize, orderPerBit);
      ret = area == null ? -Errno.ENOSPC : reserveRanges(area, totalSize, align, nid);
      nr = area == null ? 0 : area.ranges.size();
      if (area != null && ret == 0) {
        area.nid = nid;
        resCma.accept(area);
      } else if (area != null) {
        cma.cmaDropArea(area);
      }
    }
    if (ret != 0) {
      mm.printk().prErr("cma: Failed to reserve " + totalSize / SZ_1M + " MiB");
    } else {
      mm.printk()
          .prInfo(
              "cma: Reserved %d MiB in %d range%s"
                  .formatted(totalSize / SZ_1M, nr, nr == 1 ? "" : "s"));
    }
    return ret;
  }

  /** Fills the area with ranges: 0 or -ENOMEM, and then nothing is reserved. */
  private int reserveRanges(CmaArea area, long totalSize, long align, int nid) {
    List<InitMemrange> ranges =
        freeRanges(area, totalSize, Math.max(align, cma.cmaMinAlignmentBytes()), nid);
    if (ranges.isEmpty()) {
      return -Errno.ENOMEM;
    }
    List<InitMemrange> finalRanges = new ArrayList<>();
    long sizesum = 0;
    for (InitMemrange mlp : ranges) {
      listInsertSorted(finalRanges, mlp, CmaDeclare::basecmp);
      sizesum += mlp.size;
      if (sizesum >= totalSize) {
        break;
      }
    }
    long sizeleft = totalSize;
    for (InitMemrange mlp : finalRanges) {
      long size = Math.min(sizeleft, mlp.size);
      if (memblock.memblockReserve(mlp.base, size) != 0) {
        giveBack(finalRanges, mlp);
        return -Errno.ENOMEM;
      }
      long pages = size >>> mm.model().pageShift();
      area.ranges.add(new CmaMemrange(mm.model().physPfn(mlp.base), pages));
      sizeleft -= size;
      if (sizeleft == 0) {
        break;
      }
    }
    return 0;
  }

  /** The ranges before the failed one were reserved whole. */
  private void giveBack(List<InitMemrange> finalRanges, InitMemrange failed) {
    for (InitMemrange mlp : finalRanges) {
      if (mlp.equals(failed)) {
        break;
      }
      memblock.memblockPhysFree(mlp.base, mlp.size);
    }
  }

  /**
   * Free ranges above 4 GiB, at most CMA_MAX_RANGES; none when they are too small together. A range
   * that is passed over because the list is full has been added to the sum by then, so the sum may
   * promise more than the list has.
   */
  private List<InitMemrange> freeRanges(CmaArea area, long totalSize, long align, int nid) {
    List<InitMemrange> ranges = new ArrayList<>();
    long sizesum = 0;
    for (MemRange free : memblock.freeMemRanges(nid)) {
      if (free.start() >>> Integer.SIZE == 0) {
        continue;
      }
      long start = Align.align(free.start(), align);
      long end = Align.alignDown(free.end(), align);
      long size = end <= start ? 0 : usable(end - start, area);
      if (size == 0) {
        continue;
      }
      sizesum += size;
      if (ranges.size() == CmaArea.CMA_MAX_RANGES) {
        InitMemrange last = ranges.getLast();
        if (size < last.size) {
          continue;
        }
        ranges.removeLast();
        sizesum -= last.size;
      }
      listInsertSorted(ranges, new InitMemrange(start, size), CmaDeclare::revsizecmp);
    }
    return sizesum < totalSize ? List.of() : ranges;
  }

  private long usable(long size, CmaArea area) {
    return Align.alignDown(size, mm.model().pageSize() << area.orderPerBit);
  }
}
