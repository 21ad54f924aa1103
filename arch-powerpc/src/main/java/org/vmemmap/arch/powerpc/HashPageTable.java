// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.powerpc;

import static org.vmemmap.types.Pgtable.PMD;
import static org.vmemmap.types.Pgtable.PTE;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.Prot;

/**
 * Linux's own tree with the hash MMU. No hardware reads it; faults fill the hash table from it. The
 * memmap is not in it: its blocks are bolted directly, see {@link Init64}.
 *
 * <p>A pointer does not say how large the next table is:
 *
 * <pre>
 *   63   62                    59                              8                           0
 *  +----+---+------------------+-------------------------------+---------------------------+
 *  |  1 | 0 |                  |          next table           |             0             |
 *  +----+---+------------------+-------------------------------+---------------------------+
 * </pre>
 */
public final class HashPageTable extends Book3s64PageTable {
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash.h", symbol = "HASH_PMD_VAL_BITS")
  private static final long VAL_BITS = 1L << 63;

  private static final int SHIFT_4K = 12;

  /** _PAGE_HPTEFLAGS: busy, hashed, and the slot. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash-4k.h", symbol = "_PAGE_HPTEFLAGS")
  private static final long HPTEFLAGS_4K = 1L << 60 | 1L << 56 | 0x7L << 53 | 0x40;

  /** _PAGE_HPTEFLAGS: busy, hashed, and made of 4K pieces; the slots have a table of their own. */
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash-64k.h", symbol = "_PAGE_HPTEFLAGS")
  private static final long HPTEFLAGS_64K = 1L << 55 | 0x1000 | 0x40;

  /** The tree of {@code geometry}, which has the hash MMU. */
  public HashPageTable(PowerpcGeometry geometry) {
    super(geometry);
    if (geometry.radixEnabled()) {
      throw new IllegalArgumentException("mmu=" + geometry.mmu() + ": hardware walks this tree");
    }
  }

  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/pgtable.h", symbol = "pte_present")
  public boolean present(long entry, int level) {
    return (entry & PRESENT) != 0;
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

  /** An empty pte may keep what says where in the hash table it was. */
  @Override
  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash.h", symbol = "hash__pte_none")
  public boolean none(long entry, int level) {
    return (level == PTE ? entry & ~noneMask() : entry) == 0;
  }

  @Kernel(file = "arch/powerpc/include/asm/book3s/64/hash.h", symbol = "H_PTE_NONE_MASK")
  private long noneMask() {
    return geometry().pageShift() == SHIFT_4K ? HPTEFLAGS_4K : HPTEFLAGS_64K;
  }
}
