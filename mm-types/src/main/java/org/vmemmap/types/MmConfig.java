// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * The kernel's build configuration, as far as it decides about the memmap.
 *
 * <p>Start from {@link #debianX86()} and change what differs with the {@code with} methods.
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

  /** A kernel of an architecture with ILLEGAL_POINTER_VALUE as on x86-64 and arm64. */
  public MmConfig(
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
      boolean debugVm) {
    this(
        sizeofStructPage, sectionSizeBits, maxPhysmemBits, nodesShift, lastCpupidBits, maxPageOrder,
        pageblockOrder, zoneDma, zoneDma32, pageExtension, deferredStructPageInit,
        hugetlbOptimizeVmemmap, hugetlbOptimizeVmemmapDefaultOn, sparsememVmemmapPreinit,
        archWantOptimizeDaxVmemmap, gigantic, memcg, debugVm, DEAD);
  }

  /** A kernel with the page flags of x86-64 and the part of the series that 7.3 has. */
  public MmConfig(
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
      long illegalPointerValue) {
    this(
        sizeofStructPage, sectionSizeBits, maxPhysmemBits, nodesShift, lastCpupidBits, maxPageOrder,
        pageblockOrder, zoneDma, zoneDma32, pageExtension, deferredStructPageInit,
        hugetlbOptimizeVmemmap, hugetlbOptimizeVmemmapDefaultOn, sparsememVmemmapPreinit,
        archWantOptimizeDaxVmemmap, gigantic, memcg, debugVm, true, false, true, illegalPointerValue,
        Series.profile("7.3"));
  }

  /** The Debian kernel for x86-64 that the captured cases come from. */
  public static MmConfig debianX86() {
    return new MmConfig(
        64, 27, 46, 10, 21, 10, 9, true, true, true, true, true, false, true, true, true, true, false);
  }

  /** The same with another ILLEGAL_POINTER_VALUE. */
  public MmConfig withIllegalPointerValue(long value) {
    Draft draft = new Draft(this);
    draft.illegalPointerValue = value;
    return draft.build();
  }

  /** The same with other page flags of the architecture: whether PG_arch_2, PG_arch_3 exist. */
  public MmConfig withPgArch(boolean pgArch2, boolean pgArch3) {
    Draft draft = new Draft(this);
    draft.pgArch2 = pgArch2;
    draft.pgArch3 = pgArch3;
    return draft.build();
  }

  /** The same with another part of the series. */
  public MmConfig withSeries(Series value) {
    Draft draft = new Draft(this);
    draft.series = value;
    return draft.build();
  }

  /** The same with another DEBUG_VM. */
  public MmConfig withDebugVm(boolean value) {
    Draft draft = new Draft(this);
    draft.debugVm = value;
    return draft.build();
  }

  /** The same with another size of struct page. */
  public MmConfig withSizeofStructPage(int value) {
    Draft draft = new Draft(this);
    draft.sizeofStructPage = value;
    return draft.build();
  }

  /** The same with another MAX_PHYSMEM_BITS. */
  public MmConfig withMaxPhysmemBits(int value) {
    Draft draft = new Draft(this);
    draft.maxPhysmemBits = value;
    return draft.build();
  }

  /** The same with or without DEFERRED_STRUCT_PAGE_INIT. */
  public MmConfig withDeferredStructPageInit(boolean value) {
    Draft draft = new Draft(this);
    draft.deferredStructPageInit = value;
    return draft.build();
  }

  /** The same with or without HUGETLB_PAGE_OPTIMIZE_VMEMMAP. */
  public MmConfig withHugetlbOptimizeVmemmap(boolean value) {
    Draft draft = new Draft(this);
    draft.hugetlbOptimizeVmemmap = value;
    return draft.build();
  }

  /** The same with or without SPARSEMEM_VMEMMAP_OPTIMIZATION, where it can be chosen. */
  public MmConfig withSparsememVmemmapOptimization(boolean value) {
    Draft draft = new Draft(this);
    draft.sparsememVmemmapOptimization = value;
    return draft.build();
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

  /** The components as they are being changed; lives for one call of a with method. */
  private static final class Draft {
    private int sizeofStructPage;
    private int sectionSizeBits;
    private int maxPhysmemBits;
    private int nodesShift;
    private int lastCpupidBits;
    private int maxPageOrder;
    private int pageblockOrder;
    private boolean zoneDma;
    private boolean zoneDma32;
    private boolean pageExtension;
    private boolean deferredStructPageInit;
    private boolean hugetlbOptimizeVmemmap;
    private boolean hugetlbOptimizeVmemmapDefaultOn;
    private boolean sparsememVmemmapPreinit;
    private boolean archWantOptimizeDaxVmemmap;
    private boolean gigantic;
    private boolean memcg;
    private boolean debugVm;
    private boolean pgArch2;
    private boolean pgArch3;
    private boolean sparsememVmemmapOptimization;
    private long illegalPointerValue;
    private Series series;

    Draft(MmConfig from) {
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

    MmConfig build() {
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
