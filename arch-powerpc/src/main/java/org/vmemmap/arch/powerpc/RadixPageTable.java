// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.vmemmap.types.Pgtable.PTE;
import static org.vmemmap.types.Pgtable.PUD;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.Prot;

/**
 * The radix tree of book3s64, kernel quadrant. A pointer says how large the next table is:
 *
 * <pre>
 *   63   62                    59                              8          4                0
 *  +----+---+------------------+-------------------------------+----------+----------------+
 *  |PRES| 0 |                  |          next table           |          | log2 of entries|
 *  +----+---+------------------+-------------------------------+----------+----------------+
 * </pre>
 */
public final class RadixPageTable extends Book3s64PageTable {
  /** The tree of {@code geometry}, which has the radix MMU. */
  public RadixPageTable(PowerpcGeometry geometry) {
    super(geometry);
    if (!geometry.radixEnabled()) {
      throw new IllegalArgumentException("mmu=" + geometry.mmu() + ": the hash MMU walks no tree");
    }
  }

  /** At the last level the CPU wants a leaf, elsewhere it takes a leaf or a pointer. */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_hw_valid")
  public boolean present(long entry, int level) {
    return (entry & PRESENT) != 0 && (level != PTE || (entry & LEAF) != 0);
  }

  /** What the low five bits of a pointer say: log2 of the entries of the next table. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "RADIX_PMD_VAL_BITS")
  public int nextIndexSize(long pointer) {
    return (int) pointer & 0x1f;
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
    return paddr | PRESENT | geometry().indexSize(level - 1);
  }

  /** An empty pte may still get accessed and dirty written back; a pointer may not. */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/radix.h", symbol = "radix__pte_none")
  public boolean none(long entry, int level) {
    return (level == PTE ? entry & ~(DIRTY | ACCESSED) : entry) == 0;
  }
}
