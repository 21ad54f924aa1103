// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Kernel;

/**
 * Addresses and sizes of a book3s64 kernel.
 *
 * <pre>
 *                index bits, pgd pud pmd pte + page     pmd    pud    memmap
 *   radix 4K     13  9  9 9 + 12 = 52                   2M     1G     0xc00c000000000000, 512 TiB
 *   radix 64K    13  9  9 5 + 16 = 52                   2M     1G     0xc00c000000000000, 512 TiB
 *   hash 4K       9  9  7 9 + 12 = 46                   2M     256M   0xc0003f0000000000, 1 TiB
 *   hash 64K      8 10 10 8 + 16 = 52                   16M    16G    0xc00c000000000000, 512 TiB
 * </pre>
 *
 * The hash rows are Linux's own tree, which holds what the hash table is filled from; the memmap is
 * not in it.
 *
 * @param mmu which MMU is in use
 * @param pageShift log2 of the page size: 12 or 16
 */
@Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "PTE_INDEX_SIZE")
public record PowerpcGeometry(Mmu mmu, int pageShift) {
  /** The two MMUs. */
  public enum Mmu {
    /** A tree that hardware walks. */
    RADIX,
    /** A hash table; trees are for software only. */
    HASH
  }

  static final int SHIFT_4K = 12;
  static final int SHIFT_64K = 16;
  static final int SHIFT_16M = 24;
  private static final long KERN_VIRT_START = 0xc008_0000_0000_0000L;
  private static final long HASH_4K_KERN_VIRT_START = 0xc000_3d00_0000_0000L;
  private static final int[] RADIX_4K = {9, 9, 9, 13};
  private static final int[] RADIX_64K = {5, 9, 9, 13};
  private static final int[] HASH_4K = {9, 7, 9, 9};
  private static final int[] HASH_64K = {8, 10, 10, 8};

  /** Checks the page size. */
  public PowerpcGeometry {
    if (pageShift != SHIFT_4K && pageShift != SHIFT_64K) {
      throw new IllegalArgumentException("pageShift=" + pageShift + ": 12 or 16");
    }
  }

  /** The radix MMU with 4K or 64K pages. */
  public static PowerpcGeometry radix(int pageShift) {
    return new PowerpcGeometry(Mmu.RADIX, pageShift);
  }

  /** The hash MMU with 4K or 64K pages. */
  public static PowerpcGeometry hash(int pageShift) {
    return new PowerpcGeometry(Mmu.HASH, pageShift);
  }

  /** True for the radix MMU. */
  @Kernel(file = "arch/powerpc/include/asm/mmu.h", symbol = "radix_enabled")
  public boolean radixEnabled() {
    return mmu == Mmu.RADIX;
  }

  /** Levels of the tree: the kernel folds only p4d. */
  public int levels() {
    return 4;
  }

  /** PTE_INDEX_SIZE and its like: log2 of the entries of a table at {@code level}, 0 for pte. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "PTE_INDEX_SIZE")
  public int indexSize(int level) {
    int[] sizes =
        radixEnabled()
            ? pageShift == SHIFT_4K ? RADIX_4K : RADIX_64K
            : pageShift == SHIFT_4K ? HASH_4K : HASH_64K;
    return sizes[level];
  }

  /** PMD_SHIFT and its like: log2 of the bytes behind an entry at {@code level}. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "PMD_SHIFT")
  public int levelShift(int level) {
    return level == 0 ? pageShift : levelShift(level - 1) + indexSize(level - 1);
  }

  /** Bits of an address that the tree resolves. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "RADIX_PGTABLE_EADDR_SIZE")
  public int effectiveAddressBits() {
    return levelShift(levels() - 1) + indexSize(levels() - 1);
  }

  /** Bytes of a table at {@code level}. With hash and 64K, slot numbers double some of them. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "RADIX_PTE_TABLE_SIZE")
  public int tableBytes(int level) {
    boolean slots = !radixEnabled() && pageShift == SHIFT_64K && level < levels() - 1;
    return Long.BYTES << indexSize(level) << (slots ? 1 : 0);
  }

  /** SECTION_SIZE_BITS: sections of 16 MiB. */
  @Kernel(file = "arch/powerpc/include/asm/sparsemem.h", symbol = "SECTION_SIZE_BITS")
  public int sectionSizeBits() {
    return 24;
  }

  /** MAX_PHYSMEM_BITS: one constant for both MMUs, the larger of their limits. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "MAX_PHYSMEM_BITS")
  public int maxPhysmemBits() {
    return 51;
  }

  /** PAGE_OFFSET: the linear map. */
  public long pageOffset() {
    return 0xc000_0000_0000_0000L;
  }

  /** Bytes of each of the three areas vmalloc, I/O and memmap. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "RADIX_KERN_MAP_SIZE")
  public long kernMapSize() {
    return small() ? 1L << 40 : 1L << 49;
  }

  /** The address of the struct page of pfn 0: behind vmalloc and I/O. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "RADIX_VMEMMAP_START")
  public long vmemmapStart() {
    return (small() ? HASH_4K_KERN_VIRT_START : KERN_VIRT_START) + 2 * kernMapSize();
  }

  /** The first address behind the memmap area. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "RADIX_VMEMMAP_END")
  public long vmemmapEnd() {
    return vmemmapStart() + kernMapSize();
  }

  private boolean small() {
    return !radixEnabled() && pageShift == SHIFT_4K;
  }

  /** The first address of vmalloc, at which the direct map must have ended. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "RADIX_VMALLOC_START")
  public long vmallocStart() {
    return vmemmapStart() - 2 * kernMapSize();
  }

  /** The format of the tree: of the one that hardware walks, or of Linux's own. */
  public ArchPgtable pageTable() {
    return radixEnabled() ? new RadixPageTable(this) : new HashPageTable(this);
  }

  /**
   * mmu_linear_psize as log2: the page size of the direct map with hash.
   *
   * @param has16mPages the firmware offers 16 MiB pages
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/hash_utils.c",
      symbol = "htab_init_page_sizes",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Part of the function; the kernel image is aligned to 16 MiB, 1 MiB is for old CPUs.")
  public int linearShift(boolean has16mPages) {
    return has16mPages ? SHIFT_16M : pageShift;
  }

  /**
   * mmu_vmemmap_psize as log2: the block that hash bolts for the memmap.
   *
   * @param has16mPages the firmware offers 16 MiB pages
   * @param ramBytes RAM at boot
   */
  @Kernel(
      file = "arch/powerpc/mm/book3s64/hash_utils.c",
      symbol = "htab_init_page_sizes",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Part of the function.")
  public int vmemmapBlockShift(boolean has16mPages, long ramBytes) {
    return has16mPages && ramBytes >= 1L << 30 ? SHIFT_16M : pageShift;
  }

  /**
   * Sizes in bytes of the hugepages that HugeTLB offers, in ascending order.
   *
   * @param has16mPages hash only: the firmware offers 16 MiB pages; 16 GiB needs the firmware too
   */
  public long[] hugetlbSizes(boolean has16mPages) {
    return new Hugetlbpage(this, has16mPages, false).hugetlbpageInit();
  }

  /**
   * Where each zone ends: all memory is ZONE_NORMAL.
   *
   * @param maxLowPfn first pfn behind all memory
   * @return the pfn behind each zone by its number, the zones that follow left out
   */
  @Kernel(file = "arch/powerpc/mm/mem.c", symbol = "arch_zone_limits_init")
  public long[] archZoneLimitsInit(long maxLowPfn) {
    return new long[] {maxLowPfn};
  }

  /**
   * {@code memory_block_size} of a machine whose firmware does not say it: 1 GiB, 256 MiB, 64 MiB
   * or 16 MiB. It is meant to be a size that all ranges of memory can be made of; what the kernel
   * tests is one bit of their sizes, so that 2 GiB gives 1 GiB, but 1 GiB gives 256 MiB.
   *
   * @param memorySizes bytes of each memory range of the device tree, none of them 0
   */
  @Kernel(file = "arch/powerpc/mm/init_64.c", symbol = "update_memory_block_size")
  public long memoryBlockSize(long... memorySizes) {
    long blockSize = 1L << 30;
    for (long memSize : memorySizes) {
      for (; blockSize > 1L << sectionSizeBits(); blockSize >>= 2) {
        if ((memSize & blockSize) == 0) {
          break;
        }
      }
    }
    return blockSize;
  }
}
