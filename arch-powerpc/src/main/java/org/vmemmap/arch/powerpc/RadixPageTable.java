// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Prot;

/**
 * The radix tree of book3s64, kernel quadrant. Bits are counted from the low end, as the kernel's
 * masks do; the manual counts from the other.
 *
 * <pre>
 *  leaf, in a table of any level but the first
 *   63   62  61  60   57 56 53 52              n  11   10   9    8   7    6   5 4  3    2 1 0
 *  +----+---+---+-------+-----+----------------+----+----+----+----+---+----+----+----+-+-+-+
 *  |PRES|PTE|sw0| pkey  |     | real page nr   |sw1 |spec|soft|ACC |DRT|rsv |ATT |PRIV|R|W|X|
 *  +----+---+---+-------+-----+----------------+----+----+----+----+---+----+----+----+-+-+-+
 *
 *  pointer to a table
 *   63   62                    59                              8          4                0
 *  +----+---+------------------+-------------------------------+----------+----------------+
 *  |PRES| 0 |                  |          next table           |          | log2 of entries|
 *  +----+---+------------------+-------------------------------+----------+----------------+
 * </pre>
 *
 * Entries are big-endian in memory whatever the byte order of the kernel; {@link #toMemory} swaps
 * them, because the machine is little-endian.
 */
public final class RadixPageTable implements ArchPgtable {
  /** _PAGE_EXEC. */
  public static final long EXEC = 1L;

  /** _PAGE_WRITE. */
  public static final long WRITE = 2L;

  /** _PAGE_READ. */
  public static final long READ = 4L;

  /** _PAGE_PRIVILEGED: not for user space. */
  public static final long PRIVILEGED = 8L;

  /** _PAGE_DIRTY. */
  public static final long DIRTY = 0x80L;

  /** _PAGE_ACCESSED. */
  public static final long ACCESSED = 0x100L;

  /** _PAGE_PTE: a leaf, not a pointer. */
  public static final long LEAF = 1L << 62;

  /** _PAGE_PRESENT. */
  public static final long PRESENT = 1L << 63;

  private static final int PAGE_PA_MAX = 53;
  private static final long MASKED_BITS = 0xc000_0000_0000_00ffL;
  private static final String[] LEVEL_NAMES = {"pte", "pmd", "pud", "pgd"};

  private final PowerpcGeometry geometry;
  private final long rpnMask;

  /** The tree of {@code geometry}, which has the radix MMU. */
  public RadixPageTable(PowerpcGeometry geometry) {
    if (!geometry.radixEnabled()) {
      throw new IllegalArgumentException("mmu=" + geometry.mmu() + ": the hash MMU walks no tree");
    }
    this.geometry = geometry;
    this.rpnMask = (1L << PAGE_PA_MAX) - (1L << geometry.pageShift());
  }

  /** The addresses and sizes that go with this format. */
  public PowerpcGeometry geometry() {
    return geometry;
  }

  @Override
  public String name() {
    return "powerpc radix " + (1 << (geometry.pageShift() - 10)) + "K";
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

  /** The two top bits choose the quadrant; the tree resolves the low 52. */
  @Override
  public long canonicalOffset(long va) {
    return va & (1L << geometry.effectiveAddressBits()) - 1;
  }

  /** At the last level the CPU wants a leaf, elsewhere it takes a leaf or a pointer. */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_hw_valid")
  public boolean present(long entry, int level) {
    return (entry & PRESENT) != 0 && (level != PTE || (entry & LEAF) != 0);
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pmd_leaf")
  public boolean leaf(long entry, int level) {
    return level == PTE || (entry & LEAF) != 0;
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

  /** Pointers carry no permission. */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "_PAGE_WRITE")
  public boolean writable(long entry, int level) {
    return !leaf(entry, level) || (entry & WRITE) != 0;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_exec")
  public boolean executable(long entry, int level) {
    return !leaf(entry, level) || (entry & EXEC) != 0;
  }

  /** The CPU has no such bit. */
  @Override
  public boolean contiguous(long entry, int level) {
    return false;
  }

  @Override
  public boolean breakBeforeMake() {
    return false;
  }

  /** What the low five bits of a pointer say: log2 of the entries of the next table. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "RADIX_PMD_VAL_BITS")
  public int nextIndexSize(long pointer) {
    return (int) pointer & 0x1f;
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "PAGE_KERNEL")
  public Prot pageKernel() {
    return new Prot(PRESENT | ACCESSED | PRIVILEGED | READ | WRITE | DIRTY);
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "PAGE_KERNEL_RO")
  public Prot pageKernelRo() {
    return new Prot(PRESENT | ACCESSED | PRIVILEGED | READ);
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pfn_pte")
  public long mkPte(long paddr, Prot prot) {
    return paddr | prot.val() | LEAF;
  }

  /** {@code vmemmap_set_pmd()} stores a {@code pte_t} as a pmd: large leaves have the same form. */
  @Override
  @Kernel(file = "arch/powerpc/mm/book3s64/radix_pgtable.c", symbol = "vmemmap_set_pmd")
  public long mkLeaf(long paddr, int level, Prot prot) {
    if (level == PTE || level > PUD) {
      throw new IllegalArgumentException("no large leaf at level " + level);
    }
    return mkPte(paddr, prot);
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgalloc.h", symbol = "pmd_populate_kernel")
  public long mkTable(long paddr, int level) {
    return paddr | PRESENT | geometry.indexSize(level - 1);
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_wrprotect")
  public long wrprotect(long entry) {
    return entry & ~WRITE;
  }

  /** An empty pte may still get accessed and dirty written back; a pointer may not. */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "radix__pte_none")
  public boolean none(long entry, int level) {
    return (level == PTE ? entry & ~(DIRTY | ACCESSED) : entry) == 0;
  }

  /** The kernel quadrant is one tree for all. */
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
