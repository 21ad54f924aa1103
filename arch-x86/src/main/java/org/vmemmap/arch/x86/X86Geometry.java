// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.x86;

import org.vmemmap.types.Kernel;

/**
 * Addresses and sizes of an x86-64 kernel, which follow from its paging mode.
 *
 * <pre>
 *                    4-level              5-level
 *   PAGE_OFFSET      0xffff888000000000   0xff11000000000000   direct map
 *   VMEMMAP_START    0xffffea0000000000   0xffd4000000000000   struct page of pfn 0
 *   physical bits    46 (64 TiB)          52 (4 PiB)
 * </pre>
 *
 * KASLR moves the two addresses, so they are components.
 *
 * @param levels 4 or 5 page-table levels
 * @param pageOffset PAGE_OFFSET: virtual address of physical address 0
 * @param vmemmapBase VMEMMAP_START: virtual address of the struct page of pfn 0
 */
@Kernel(file = "arch/x86/include/asm/pgtable_64_types.h", symbol = "pgtable_l5_enabled")
public record X86Geometry(int levels, long pageOffset, long vmemmapBase) {
  private static final int L5 = 5;

  /** Checks that the paging mode exists. */
  public X86Geometry {
    if (levels != 4 && levels != L5) {
      throw new IllegalArgumentException("levels=" + levels + ": 4 or 5");
    }
  }

  /** A kernel with 4-level paging and nokaslr. */
  @Kernel(file = "arch/x86/include/asm/pgtable_64_types.h", symbol = "__VMEMMAP_BASE_L4")
  public static X86Geometry fourLevel() {
    return new X86Geometry(4, 0xffff_8880_0000_0000L, 0xffff_ea00_0000_0000L);
  }

  /** A kernel with 5-level paging (LA57) and nokaslr. */
  @Kernel(file = "arch/x86/include/asm/pgtable_64_types.h", symbol = "__VMEMMAP_BASE_L5")
  public static X86Geometry fiveLevel() {
    return new X86Geometry(L5, 0xff11_0000_0000_0000L, 0xffd4_0000_0000_0000L);
  }

  /** The same with the memmap elsewhere, as KASLR puts it. */
  public X86Geometry withVmemmapBase(long base) {
    return new X86Geometry(levels, pageOffset, base);
  }

  /** True with 5-level paging. */
  @Kernel(file = "arch/x86/include/asm/pgtable_64_types.h", symbol = "pgtable_l5_enabled")
  public boolean pgtableL5Enabled() {
    return levels == L5;
  }

  /** SECTION_SIZE_BITS: sections of 128 MiB. */
  @Kernel(file = "arch/x86/include/asm/sparsemem.h", symbol = "SECTION_SIZE_BITS")
  public int sectionSizeBits() {
    return 27;
  }

  /** MAX_PHYSMEM_BITS. */
  @Kernel(file = "arch/x86/include/asm/sparsemem.h", symbol = "MAX_PHYSMEM_BITS")
  public int maxPhysmemBits() {
    return pgtableL5Enabled() ? 52 : 46;
  }

  /** Significant bits of a virtual address: one more than a process has. */
  @Kernel(file = "arch/x86/include/asm/page_64_types.h", symbol = "__VIRTUAL_MASK_SHIFT")
  public int virtualAddressBits() {
    return (pgtableL5Enabled() ? 56 : 47) + 1;
  }

  /** The last physical address of the direct map. KASLR does not lower it with ZONE_DEVICE. */
  @Kernel(file = "arch/x86/mm/kaslr.c", symbol = "direct_map_physmem_end")
  public long directMapPhysmemEnd() {
    return (1L << maxPhysmemBits()) - 1;
  }

  /** Sizes in bytes of the hugepages that HugeTLB offers, on a CPU with pdpe1gb. */
  @Kernel(file = "arch/x86/mm/hugetlbpage.c", symbol = "gigantic_pages_init")
  public long[] hugetlbSizes() {
    return new long[] {1L << 21, 1L << 30};
  }

  /**
   * Where each zone ends: ZONE_DMA at 16 MiB, ZONE_DMA32 at 4 GiB, ZONE_NORMAL with the memory.
   *
   * @param maxLowPfn first pfn behind all memory
   * @return the pfn behind each zone by its number, the zones that follow left out
   */
  @Kernel(file = "arch/x86/mm/init.c", symbol = "arch_zone_limits_init")
  public long[] archZoneLimitsInit(long maxLowPfn) {
    long dma = Math.min(maxDmaPfn(), maxLowPfn);
    long dma32 = Math.min(maxDma32Pfn(), maxLowPfn);
    return new long[] {dma, dma32, maxLowPfn};
  }

  /** MAX_DMA_PFN: the reach of ISA DMA. */
  @Kernel(file = "arch/x86/include/asm/dma.h", symbol = "MAX_DMA_PFN")
  public long maxDmaPfn() {
    return 16L << 20 >>> 12;
  }

  /** MAX_DMA32_PFN: the reach of 32 address bits. */
  @Kernel(file = "arch/x86/include/asm/dma.h", symbol = "MAX_DMA32_PFN")
  public long maxDma32Pfn() {
    return 1L << (32 - 12);
  }
}
