// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.vmemmap.types.Pgtable.PGD;
import static org.vmemmap.types.Pgtable.PTE;

import org.vmemmap.types.ArchPgtable;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Prot;

/**
 * The translation tables of arm64, kernel half.
 *
 * <pre>
 *  block (01) and page (11) descriptor
 *   63 62    59 58  56 55  54  53  52   51  50 49               n 11 10  9:8  7  6   5 4:2   1  0
 *  +--+--------+------+---+---+---+----+---+--+------------------+--+---+----+--+---+-+-----+--+--+
 *  |sw|  POE   |  sw  |drt|UXN|PXN|CONT|DBM|GP|  output address  |nG|AF | SH |RO|USR| |attr |ty|V |
 *  +--+--------+------+---+---+---+----+---+--+------------------+--+---+----+--+---+-+-----+--+--+
 *    drt, sw: for software; RO: AP[2]; USR: AP[1]; attr: AttrIndx; n = log2 of the granule
 *
 *  output address beyond 49:n
 *    LPA2 (4K, 16K):  9:8   are address bits 51:50, and there is no shareability
 *    64K, 52 bits:    15:12 are address bits 51:48
 *
 *  table descriptor (11)
 *   63 62 61   60     59                        49               n    10          1  0
 *  +--+-----+-------+-------+------------------+------------------+---+-----------+--+--+
 *  |NS| AP  |UXNTab |PXNTab |     ignored      |   next table     |AF |           | 1| 1|
 *  +--+-----+-------+-------+------------------+------------------+---+-----------+--+--+
 * </pre>
 *
 * The kernel keeps its write permission in DBM: RO with DBM is a clean writable page, which a CPU
 * with hardware dirty management makes dirty, by clearing RO, at the first write.
 */
public final class Arm64PageTable implements ArchPgtable {
  /** PTE_VALID. */
  public static final long VALID = 1L;

  /** The type bits of a table, and of a page at the last level. */
  public static final long TYPE_TABLE = 3L;

  /** The type bits of a block. */
  public static final long TYPE_SECT = 1L;

  /** PTE_ATTRINDX_MASK. */
  public static final long ATTRINDX_MASK = 7L << 2;

  /** PTE_USER, AP[1]. */
  public static final long USER = 1L << 6;

  /** PTE_RDONLY, AP[2]. */
  public static final long RDONLY = 1L << 7;

  /** PTE_SHARED: inner shareable. */
  public static final long SHARED = 3L << 8;

  /** PTE_AF, also in tables. */
  public static final long AF = 1L << 10;

  /** PTE_NG. */
  public static final long NG = 1L << 11;

  /** PTE_GP. */
  public static final long GP = 1L << 50;

  /** PTE_DBM, which is PTE_WRITE. */
  public static final long DBM = 1L << 51;

  /** PTE_CONT. */
  public static final long CONT = 1L << 52;

  /** PTE_PXN. */
  public static final long PXN = 1L << 53;

  /** PTE_UXN. */
  public static final long UXN = 1L << 54;

  /** PTE_DIRTY, for software. */
  public static final long DIRTY = 1L << 55;

  /** PXNTable: nothing behind the table may be executed by the kernel. */
  public static final long TABLE_PXN = 1L << 59;

  /** UXNTable: nothing behind the table may be executed by user space. */
  public static final long TABLE_UXN = 1L << 60;

  /** APTable[1]: nothing behind the table may be written. */
  public static final long TABLE_RDONLY = 1L << 62;

  private static final long SWBITS = 1L << 63 | 0xfL << 55;
  private static final int MT_NORMAL = 0;
  private static final int MT_NORMAL_TAGGED = 1;
  private static final long HIGH_64K = 0xfL << 12;
  private static final int HIGH_SHIFT_64K = 36;
  private static final int HIGH_SHIFT_LPA2 = 42;
  private static final String[] LEVEL_NAMES = {"pte", "pmd", "pud", "p4d", "pgd"};

  private final Arm64Geometry geometry;
  private final long addressLow;
  private final long addressHigh;
  private final int highShift;

  /** The format that goes with {@code geometry}. */
  public Arm64PageTable(Arm64Geometry geometry) {
    this.geometry = geometry;
    this.addressLow = (1L << 50) - (1L << geometry.pageShift());
    boolean wide = geometry.physBits() == 52;
    this.addressHigh = geometry.lpa2() ? SHARED : wide ? HIGH_64K : 0;
    this.highShift = geometry.lpa2() ? HIGH_SHIFT_LPA2 : HIGH_SHIFT_64K;
  }

  /** The addresses and sizes that go with this format. */
  public Arm64Geometry geometry() {
    return geometry;
  }

  @Override
  public String name() {
    int kib = 1 << (geometry.pageShift() - 10);
    return "arm64 " + kib + "K " + geometry.vaBits() + "-bit" + (geometry.lpa2() ? " LPA2" : "");
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
    return geometry.entries(level);
  }

  @Override
  public String levelName(int level) {
    return LEVEL_NAMES[level == levels() - 1 ? PGD : level];
  }

  @Override
  public long canonicalOffset(long va) {
    return va & (1L << geometry.vaBits()) - 1;
  }

  /**
   * A valid descriptor of a type that the level has: at the last level only a page, above it a table
   * or, where the granule has blocks, a block.
   */
  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_valid")
  public boolean present(long entry, int level) {
    boolean table = (entry & TYPE_TABLE) == TYPE_TABLE;
    boolean block = (entry & TYPE_TABLE) == TYPE_SECT && level != PTE && geometry.leafLevel(level);
    return table || block;
  }

  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pmd_leaf")
  public boolean leaf(long entry, int level) {
    return level == PTE || (geometry.leafLevel(level) && (entry & TYPE_TABLE) == TYPE_SECT);
  }

  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "__pte_to_phys")
  public long address(long entry, int level) {
    return (entry & addressLow) | (entry & addressHigh) << highShift;
  }

  /** {@code __phys_to_pte_val()}: the address where a descriptor has it. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "__phys_to_pte_val")
  public long physToPteVal(long paddr) {
    if (addressHigh == 0) {
      return paddr;
    }
    return (paddr | paddr >>> highShift) & (addressLow | addressHigh);
  }

  @Override
  public long flags(long entry, int level) {
    return entry & ~(addressLow | addressHigh);
  }

  /** What the CPU allows: no RO, or RO that it may clear by itself. */
  @Override
  public boolean writable(long entry, int level) {
    if (!leaf(entry, level)) {
      return (entry & TABLE_RDONLY) == 0;
    }
    return (entry & RDONLY) == 0 || (geometry.hardwareDirty() && (entry & DBM) != 0);
  }

  /** {@code pte_write()}: what the kernel has permitted itself, whatever the CPU does with it. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_write")
  public boolean pteWrite(long entry) {
    return (entry & DBM) != 0;
  }

  /** {@code pte_dirty()}: marked by software, or by a CPU that found the page writable. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_dirty")
  public boolean pteDirty(long entry) {
    return (entry & DIRTY) != 0 || hwDirty(entry);
  }

  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_hw_dirty")
  private boolean hwDirty(long entry) {
    return pteWrite(entry) && (entry & RDONLY) == 0;
  }

  @Override
  public boolean executable(long entry, int level) {
    return (entry & (leaf(entry, level) ? PXN : TABLE_PXN)) == 0;
  }

  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_cont")
  public boolean contiguous(long entry, int level) {
    return leaf(entry, level) && geometry.contiguousEntries(level) > 0 && (entry & CONT) != 0;
  }

  @Override
  public int contiguousShift(int level) {
    return Integer.numberOfTrailingZeros(Math.max(1, geometry.contiguousEntries(level)));
  }

  /** The kernel invalidates the last level of a range: {@code tlbi vaale1is}. */
  @Override
  public boolean flushRangeKeepsTables() {
    return true;
  }

  @Override
  public boolean breakBeforeMake() {
    return true;
  }

  /** Permissions and software bits may change in place; address, size and memory type may not. */
  @Override
  @Kernel(file = "arch/arm64/mm/mmu.c", symbol = "pgattr_change_is_safe")
  public boolean liveChangeAllowed(long oldEntry, long newEntry, int level) {
    long mask = PXN | RDONLY | DBM | NG | SWBITS;
    if ((oldEntry & VALID) == 0 || (newEntry & VALID) == 0) {
      return true;
    }
    if (address(oldEntry, level) != address(newEntry, level)) {
      return false;
    }
    if ((oldEntry & ~newEntry & NG) != 0) {
      return false;
    }
    if (normal(oldEntry) && normal(newEntry)) {
      mask |= ATTRINDX_MASK;
    }
    return ((oldEntry ^ newEntry) & ~mask) == 0;
  }

  private static boolean normal(long entry) {
    long index = (entry & ATTRINDX_MASK) >>> 2;
    return index == MT_NORMAL || index == MT_NORMAL_TAGGED;
  }

  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable-prot.h", symbol = "_PAGE_KERNEL")
  public Prot pageKernel() {
    return new Prot(protNormal() | DIRTY);
  }

  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable-prot.h", symbol = "_PAGE_KERNEL_RO")
  public Prot pageKernelRo() {
    return new Prot((protNormal() & ~DBM) | RDONLY | DIRTY);
  }

  @Kernel(file = "arch/arm64/include/asm/pgtable-prot.h", symbol = "PROT_NORMAL")
  private long protNormal() {
    long maybeNg = geometry.nonGlobal() ? NG : 0;
    long maybeShared = geometry.lpa2() ? 0 : SHARED;
    return TYPE_TABLE | maybeNg | maybeShared | AF | PXN | UXN | DBM;
  }

  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pfn_pte")
  public long mkPte(long paddr, Prot prot) {
    return physToPteVal(paddr) | prot.val();
  }

  /** {@code pfn_pmd(pfn, mk_pmd_sect_prot(prot))}, as {@code pmd_set_huge()} makes it. */
  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "mk_pmd_sect_prot")
  public long mkLeaf(long paddr, int level, Prot prot) {
    if (level == PTE || !geometry.leafLevel(level)) {
      throw new IllegalArgumentException("no block at level " + level);
    }
    return physToPteVal(paddr) | (prot.val() & ~TYPE_TABLE) | TYPE_SECT;
  }

  /** Tables of init_mm: user space may execute nothing behind them. */
  @Override
  @Kernel(file = "arch/arm64/include/asm/pgalloc.h", symbol = "pmd_populate_kernel")
  public long mkTable(long paddr, int level) {
    return physToPteVal(paddr) | TYPE_TABLE | AF | TABLE_UXN;
  }

  /** A page that the CPU has marked dirty stays dirty: the mark moves to the software bit. */
  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_wrprotect")
  public long wrprotect(long entry) {
    long kept = hwDirty(entry) ? entry | DIRTY : entry;
    return (kept & ~DBM) | RDONLY;
  }

  @Override
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_none")
  public boolean none(long entry, int level) {
    return entry == 0;
  }

  /** All tasks share the kernel half, so nothing has to be copied. */
  @Override
  public int pageTableSyncMask() {
    return 0;
  }
}
