// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PTE;

import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Prot;

/**
 * What the trees of both MMUs of book3s64 have in common: the leaves, and where a pointer holds its
 * address. Bits are counted from the low end, as the kernel's masks do; the manual counts from the
 * other.
 *
 * <pre>
 *  leaf, in a table of any level but the first
 *   63   62  61  60   57 56 53 52              n  11   10   9    8   7    6   5 4  3    2 1 0
 *  +----+---+---+-------+-----+----------------+----+----+----+----+---+----+----+----+-+-+-+
 *  |PRES|PTE|sw0| pkey  |     | real page nr   |sw1 |spec|soft|ACC |DRT|rsv |ATT |PRIV|R|W|X|
 *  +----+---+---+-------+-----+----------------+----+----+----+----+---+----+----+----+-+-+-+
 * </pre>
 *
 * Entries are big-endian in memory whatever the byte order of the kernel; {@link #toMemory} swaps
 * them, because the machine is little-endian. The kernel half is one tree for all, so that no root
 * has to be told of a new table.
 */
public abstract sealed class Book3s64PageTable implements ArchPgtable
    permits HashPageTable, RadixPageTable {
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

  Book3s64PageTable(PowerpcGeometry geometry) {
    this.geometry = geometry;
    this.rpnMask = (1L << PAGE_PA_MAX) - (1L << geometry.pageShift());
  }

  /** The addresses and sizes that go with this format. */
  public PowerpcGeometry geometry() {
    return geometry;
  }

  @Override
  public String name() {
    String mmu = geometry.radixEnabled() ? "radix" : "hash";
    return "powerpc " + mmu + " " + (1 << (geometry.pageShift() - 10)) + "K";
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

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_wrprotect")
  public long wrprotect(long entry) {
    return entry & ~WRITE;
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
