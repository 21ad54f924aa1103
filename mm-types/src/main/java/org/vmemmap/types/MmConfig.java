// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * The kernel's build configuration, as far as it decides about the memmap.
 *
 * <p>Start from {@link #debianX86()} and change what differs with the {@code with} methods or a
 * {@link Builder}.
 *
 * @param sizeofStructPage bytes of a struct page: 56, 64, 72 or 80
 * @param sectionSizeBits SECTION_SIZE_BITS
 * @param maxPhysmemBits MAX_PHYSMEM_BITS
 * @param nodesShift NODES_SHIFT
 * @param lastCpupidBits width of last_cpupid in the page flags; 0 without NUMA_BALANCING
 * @param maxPageOrder MAX_PAGE_ORDER
 * @param pageblockOrder pageblock_order
 * @param zoneDma ZONE_DMA
 * @param zoneDma32 ZONE_DMA32
 * @param pageExtension PAGE_EXTENSION: widens mem_section
 * @param deferredStructPageInit DEFERRED_STRUCT_PAGE_INIT
 * @param hugetlbOptimizeVmemmap HUGETLB_PAGE_OPTIMIZE_VMEMMAP
 * @param hugetlbOptimizeVmemmapDefaultOn HUGETLB_PAGE_OPTIMIZE_VMEMMAP_DEFAULT_ON
 * @param sparsememVmemmapPreinit SPARSEMEM_VMEMMAP_PREINIT
 * @param archWantOptimizeDaxVmemmap ARCH_WANT_OPTIMIZE_DAX_VMEMMAP
 * @param gigantic ARCH_HAS_GIGANTIC_PAGE
 * @param memcg MEMCG
 * @param debugVm DEBUG_VM: the VM_WARN and VM_BUG checks are built in, struct pages are poisoned
 * @param pgArch2 ARCH_USES_PG_ARCH_2: the architecture has a second page flag of its own
 * @param pgArch3 ARCH_USES_PG_ARCH_3: and a third
 * @param sparsememVmemmapOptimization SPARSEMEM_VMEMMAP_OPTIMIZATION as it is chosen, which can be
 *     done from patch 44 on; see {@link #vmemmapOptimization}
 * @param illegalPointerValue ILLEGAL_POINTER_VALUE: an address that nothing can be mapped at; list
 *     poison and the mapping of tails are made of it
 * @param series which patches of the series the kernel has
 */
public record MmConfig(
    int sizeofStructPage,
    int sectionSizeBits,
    int maxPhysmemBits,
    int nodesShift,
    int lastCpupidBits,
    int maxPageOrder,
    int pageblockOrder,
    boolean zoneDma,
    boolean zoneDma32,
    boolean pageExtension,
    boolean deferredStructPageInit,
    boolean hugetlbOptimizeVmemmap,
    boolean hugetlbOptimizeVmemmapDefaultOn,
    boolean sparsememVmemmapPreinit,
    boolean archWantOptimizeDaxVmemmap,
    boolean gigantic,
    boolean memcg,
    boolean debugVm,
    boolean pgArch2,
    boolean pgArch3,
    boolean sparsememVmemmapOptimization,
    long illegalPointerValue,
    Series series) {
  private static final long DEAD = 0xdead_0000_0000_0000L;

  /** Checks that the values can belong together. */
  public MmConfig {
    if (sizeofStructPage < 56 || sizeofStructPage > 80 || sizeofStructPage % 8 != 0) {
      throw new IllegalArgumentException("sizeofStructPage=" + sizeofStructPage + ": 56, 64, 72 or 80");
    }
  }

  /** The Debian kernel for x86-64 that the captured cases come from. */
  public static MmConfig debianX86() {
    return new Builder().build();
  }

  /** A configuration that begins as this one. */
  public Builder toBuilder() {
    return new Builder(this);
  }

  /** The same with another part of the series. */
  public MmConfig withSeries(Series value) {
    return toBuilder().series(value).build();
  }

  /** The same with another DEBUG_VM. */
  public MmConfig withDebugVm(boolean value) {
    return toBuilder().debugVm(value).build();
  }

  /** The same with another size of struct page. */
  public MmConfig withSizeofStructPage(int value) {
    return toBuilder().sizeofStructPage(value).build();
  }

  /** The same with another MAX_PHYSMEM_BITS. */
  public MmConfig withMaxPhysmemBits(int value) {
    return toBuilder().maxPhysmemBits(value).build();
  }

  /** The same with or without DEFERRED_STRUCT_PAGE_INIT. */
  public MmConfig withDeferredStructPageInit(boolean value) {
    return toBuilder().deferredStructPageInit(value).build();
  }

  /** The same with or without HUGETLB_PAGE_OPTIMIZE_VMEMMAP. */
  public MmConfig withHugetlbOptimizeVmemmap(boolean value) {
    return toBuilder().hugetlbOptimizeVmemmap(value).build();
  }

  /** The same with or without SPARSEMEM_VMEMMAP_OPTIMIZATION, where it can be chosen. */
  public MmConfig withSparsememVmemmapOptimization(boolean value) {
    return toBuilder().sparsememVmemmapOptimization(value).build();
  }

  /** The zones that the kernel is built with. */
  public ZoneSet zones() {
    return ZoneSet.of(zoneDma, zoneDma32);
  }

  /**
   * SPARSEMEM_VMEMMAP_OPTIMIZATION: struct pages may be shared. Before patch 33 HugeTLB's option
   * stands for it, and device memory shares without it; from then on HugeTLB and, until patch 44,
   * the architecture's wish for device memory select it.
   */
  public boolean vmemmapOptimization() {
    boolean forDax =
        series.optimizesDaxEverywhere()
            ? sparsememVmemmapOptimization
            : series.masksTailsForDax() && archWantOptimizeDaxVmemmap;
    return hugetlbOptimizeVmemmap || forDax;
  }

  /** True when the size of struct page is a power of two. */
  public boolean structPageIsPowerOf2() {
    return Integer.bitCount(sizeofStructPage) == 1;
  }

  /** A configuration in the making; what is not said is as on {@link #debianX86}. */
  public static final class Builder {
    private int sizeofStructPage = 64;
    private int sectionSizeBits = 27;
    private int maxPhysmemBits = 46;
    private int nodesShift = 10;
    private int lastCpupidBits = 21;
    private int maxPageOrder = 10;
    private int pageblockOrder = 9;
    private boolean zoneDma = true;
    private boolean zoneDma32 = true;
    private boolean pageExtension = true;
    private boolean deferredStructPageInit = true;
    private boolean hugetlbOptimizeVmemmap = true;
    private boolean hugetlbOptimizeVmemmapDefaultOn;
    private boolean sparsememVmemmapPreinit = true;
    private boolean archWantOptimizeDaxVmemmap = true;
    private boolean gigantic = true;
    private boolean memcg = true;
    private boolean debugVm;
    private boolean pgArch2 = true;
    private boolean pgArch3;
    private boolean sparsememVmemmapOptimization = true;
    private long illegalPointerValue = DEAD;
    private Series series = Series.profile("7.3");

    /** That of Debian's kernel for x86-64. */
    public Builder() {}

    private Builder(MmConfig from) {
      sizeofStructPage = from.sizeofStructPage;
      sectionSizeBits = from.sectionSizeBits;
      maxPhysmemBits = from.maxPhysmemBits;
      nodesShift = from.nodesShift;
      lastCpupidBits = from.lastCpupidBits;
      maxPageOrder = from.maxPageOrder;
      pageblockOrder = from.pageblockOrder;
      zoneDma = from.zoneDma;
      zoneDma32 = from.zoneDma32;
      pageExtension = from.pageExtension;
      deferredStructPageInit = from.deferredStructPageInit;
      hugetlbOptimizeVmemmap = from.hugetlbOptimizeVmemmap;
      hugetlbOptimizeVmemmapDefaultOn = from.hugetlbOptimizeVmemmapDefaultOn;
      sparsememVmemmapPreinit = from.sparsememVmemmapPreinit;
      archWantOptimizeDaxVmemmap = from.archWantOptimizeDaxVmemmap;
      gigantic = from.gigantic;
      memcg = from.memcg;
      debugVm = from.debugVm;
      pgArch2 = from.pgArch2;
      pgArch3 = from.pgArch3;
      sparsememVmemmapOptimization = from.sparsememVmemmapOptimization;
      illegalPointerValue = from.illegalPointerValue;
      series = from.series;
    }

    /** See {@link MmConfig#sizeofStructPage}. */
    public Builder sizeofStructPage(int value) {
      sizeofStructPage = value;
      return this;
    }

    /** See {@link MmConfig#sectionSizeBits}. */
    public Builder sectionSizeBits(int value) {
      sectionSizeBits = value;
      return this;
    }

    /** See {@link MmConfig#maxPhysmemBits}. */
    public Builder maxPhysmemBits(int value) {
      maxPhysmemBits = value;
      return this;
    }

    /** See {@link MmConfig#nodesShift}. */
    public Builder nodesShift(int value) {
      nodesShift = value;
      return this;
    }

    /** See {@link MmConfig#lastCpupidBits}. */
    public Builder lastCpupidBits(int value) {
      lastCpupidBits = value;
      return this;
    }

    /** See {@link MmConfig#maxPageOrder}. */
    public Builder maxPageOrder(int value) {
      maxPageOrder = value;
      return this;
    }

    /** See {@link MmConfig#pageblockOrder}. */
    public Builder pageblockOrder(int value) {
      pageblockOrder = value;
      return this;
    }

    /** See {@link MmConfig#zoneDma}. */
    public Builder zoneDma(boolean value) {
      zoneDma = value;
      return this;
    }

    /** See {@link MmConfig#zoneDma32}. */
    public Builder zoneDma32(boolean value) {
      zoneDma32 = value;
      return this;
    }

    /** See {@link MmConfig#pageExtension}. */
    public Builder pageExtension(boolean value) {
      pageExtension = value;
      return this;
    }

    /** See {@link MmConfig#deferredStructPageInit}. */
    public Builder deferredStructPageInit(boolean value) {
      deferredStructPageInit = value;
      return this;
    }

    /** See {@link MmConfig#hugetlbOptimizeVmemmap}. */
    public Builder hugetlbOptimizeVmemmap(boolean value) {
      hugetlbOptimizeVmemmap = value;
      return this;
    }

    /** See {@link MmConfig#hugetlbOptimizeVmemmapDefaultOn}. */
    public Builder hugetlbOptimizeVmemmapDefaultOn(boolean value) {
      hugetlbOptimizeVmemmapDefaultOn = value;
      return this;
    }

    /** See {@link MmConfig#sparsememVmemmapPreinit}. */
    public Builder sparsememVmemmapPreinit(boolean value) {
      sparsememVmemmapPreinit = value;
      return this;
    }

    /** See {@link MmConfig#archWantOptimizeDaxVmemmap}. */
    public Builder archWantOptimizeDaxVmemmap(boolean value) {
      archWantOptimizeDaxVmemmap = value;
      return this;
    }

    /** See {@link MmConfig#gigantic}. */
    public Builder gigantic(boolean value) {
      gigantic = value;
      return this;
    }

    /** See {@link MmConfig#memcg}. */
    public Builder memcg(boolean value) {
      memcg = value;
      return this;
    }

    /** See {@link MmConfig#debugVm}. */
    public Builder debugVm(boolean value) {
      debugVm = value;
      return this;
    }

    /** See {@link MmConfig#pgArch2}. */
    public Builder pgArch2(boolean value) {
      pgArch2 = value;
      return this;
    }

    /** See {@link MmConfig#pgArch3}. */
    public Builder pgArch3(boolean value) {
      pgArch3 = value;
      return this;
    }

    /** See {@link MmConfig#sparsememVmemmapOptimization}. */
    public Builder sparsememVmemmapOptimization(boolean value) {
      sparsememVmemmapOptimization = value;
      return this;
    }

    /** See {@link MmConfig#illegalPointerValue}. */
    public Builder illegalPointerValue(long value) {
      illegalPointerValue = value;
      return this;
    }

    /** See {@link MmConfig#series}. */
    public Builder series(Series value) {
      series = value;
      return this;
    }

    /** The configuration. @throws IllegalArgumentException when the values cannot belong together */
    public MmConfig build() {
      return new MmConfig(
          sizeofStructPage,
          sectionSizeBits,
          maxPhysmemBits,
          nodesShift,
          lastCpupidBits,
          maxPageOrder,
          pageblockOrder,
          zoneDma,
          zoneDma32,
          pageExtension,
          deferredStructPageInit,
          hugetlbOptimizeVmemmap,
          hugetlbOptimizeVmemmapDefaultOn,
          sparsememVmemmapPreinit,
          archWantOptimizeDaxVmemmap,
          gigantic,
          memcg,
          debugVm,
          pgArch2,
          pgArch3,
          sparsememVmemmapOptimization,
          illegalPointerValue,
          series);
    }
  }
}
