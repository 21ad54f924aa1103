// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;

import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Prot;

/**
 * Linux's own tree with the hash MMU. No hardware reads it; faults fill the hash table from it. The
 * memmap is not in it: its blocks are bolted directly, see {@link Init64}.
 *
 * <p>Leaves look like those of {@link RadixPageTable}. A pointer does not say how large the next
 * table is:
 *
 * <pre>
 *   63   62                    59                              8                           0
 *  +----+---+------------------+-------------------------------+---------------------------+
 *  |  1 | 0 |                  |          next table           |             0             |
 *  +----+---+------------------+-------------------------------+---------------------------+
 * </pre>
 */
public final class HashPageTable implements ArchPgtable {
  private static final int PAGE_PA_MAX = 53;
  private static final long MASKED_BITS = 0xc000_0000_0000_00ffL;

  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash.h", symbol = "HASH_PMD_VAL_BITS")
  private static final long VAL_BITS = 1L << 63;

  private static final int SHIFT_4K = 12;

  /** _PAGE_HPTEFLAGS: busy, hashed, and the slot. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash-4k.h", symbol = "_PAGE_HPTEFLAGS")
  private static final long HPTEFLAGS_4K = 1L << 60 | 1L << 56 | 0x7L << 53 | 0x40;

  /** _PAGE_HPTEFLAGS: busy, hashed, and made of 4K pieces; the slots have a table of their own. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash-64k.h", symbol = "_PAGE_HPTEFLAGS")
  private static final long HPTEFLAGS_64K = 1L << 55 | 0x1000 | 0x40;

  private static final String[] LEVEL_NAMES = {"pte", "pmd", "pud", "pgd"};

  private final PowerpcGeometry geometry;
  private final long rpnMask;

  /** The tree of {@code geometry}, which has the hash MMU. */
  public HashPageTable(PowerpcGeometry geometry) {
    if (geometry.radixEnabled()) {
      throw new IllegalArgumentException("mmu=" + geometry.mmu() + ": hardware walks this tree");
    }
    this.geometry = geometry;
    this.rpnMask = (1L << PAGE_PA_MAX) - (1L << geometry.pageShift());
  }

  @Override
  public String name() {
    return "powerpc hash " + (1 << (geometry.pageShift() - 10)) + "K";
  }

  @Override
  public int levels() {
    return geometry.levels();
  }

  @Override
  public int pageShift() {
    return geometry.pageShift();
  }

  @Override
  public int shift(int level) {
    return geometry.levelShift(level);
  }

  @Override
  public int entries(int level) {
    return 1 << geometry.indexSize(level);
  }

  @Override
  public String levelName(int level) {
    return level == PGD ? "pgd" : LEVEL_NAMES[level];
  }

  @Override
  public long canonicalOffset(long va) {
    return va & (1L << geometry.effectiveAddressBits()) - 1;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_present")
  public boolean present(long entry, int level) {
    return (entry & RadixPageTable.PRESENT) != 0;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pmd_leaf")
  public boolean leaf(long entry, int level) {
    return level == PTE || (entry & RadixPageTable.LEAF) != 0;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "PTE_RPN_MASK")
  public long address(long entry, int level) {
    return entry & addressMask(entry, level);
  }

  @Override
  public long flags(long entry, int level) {
    return entry & ~addressMask(entry, level);
  }

  private long addressMask(long entry, int level) {
    return leaf(entry, level) ? rpnMask : ~MASKED_BITS;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "_PAGE_WRITE")
  public boolean writable(long entry, int level) {
    return !leaf(entry, level) || (entry & RadixPageTable.WRITE) != 0;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_exec")
  public boolean executable(long entry, int level) {
    return !leaf(entry, level) || (entry & RadixPageTable.EXEC) != 0;
  }

  @Override
  public boolean contiguous(long entry, int level) {
    return false;
  }

  @Override
  public boolean breakBeforeMake() {
    return false;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "PAGE_KERNEL")
  public Prot pageKernel() {
    return new Prot(
        pageKernelRo().val() | RadixPageTable.WRITE | RadixPageTable.DIRTY);
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "PAGE_KERNEL_RO")
  public Prot pageKernelRo() {
    return new Prot(
        RadixPageTable.PRESENT
            | RadixPageTable.ACCESSED
            | RadixPageTable.PRIVILEGED
            | RadixPageTable.READ);
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pfn_pte")
  public long mkPte(long paddr, Prot prot) {
    return paddr | prot.val() | RadixPageTable.LEAF;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pfn_pmd")
  public long mkLeaf(long paddr, int level, Prot prot) {
    if (level != PMD) {
      throw new IllegalArgumentException("no large leaf at level " + level);
    }
    return mkPte(paddr, prot);
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgalloc.h", symbol = "pmd_populate_kernel")
  public long mkTable(long paddr, int level) {
    return paddr | VAL_BITS;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_wrprotect")
  public long wrprotect(long entry) {
    return entry & ~RadixPageTable.WRITE;
  }

  /** An empty pte may keep what says where in the hash table it was. */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash.h", symbol = "hash__pte_none")
  public boolean none(long entry, int level) {
    return (level == PTE ? entry & ~noneMask() : entry) == 0;
  }

  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash.h", symbol = "H_PTE_NONE_MASK")
  private long noneMask() {
    return geometry.pageShift() == SHIFT_4K ? HPTEFLAGS_4K : HPTEFLAGS_64K;
  }

  @Override
  public int pageTableSyncMask() {
    return 0;
  }

  @Override
  public long toMemory(long entry) {
    return Long.reverseBytes(entry);
  }

  @Override
  public long fromMemory(long word) {
    return Long.reverseBytes(word);
  }
}
