// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.arch.arm64;

import static org.vmemmap.arch.arm64.Arm64PageTable.CONT;
import static org.vmemmap.arch.arm64.Arm64PageTable.NG;
import static org.vmemmap.arch.arm64.Arm64PageTable.TYPE_TABLE;
import static org.vmemmap.arch.arm64.Arm64PageTable.VALID;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.Pgtable;

/**
 * The tests of asm/pgtable.h on descriptors that the memmap code uses.
 *
 * <p>Unlike {@link Arm64PageTable#present}, which is what the CPU thinks, an entry counts as
 * present here when the kernel has merely made it invalid for the CPU:
 *
 * <pre>
 *   V  nG
 *   1   x   valid
 *   0   1   present to the kernel only (PTE_PRESENT_INVALID)
 *   0   0   none, if all else is zero too
 * </pre>
 */
@Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_present")
final class Arm64AsmPgtable {
  private Arm64AsmPgtable() {}

  /** {@code pte_present_invalid()}. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_present_invalid")
  static boolean ptePresentInvalid(long pte) {
    return (pte & (VALID | NG)) == NG;
  }

  /** {@code pte_present()}; {@code pmd_present()} and {@code pud_present()} are the same. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_present")
  static boolean ptePresent(long pte) {
    return (pte & VALID) != 0 || ptePresentInvalid(pte);
  }

  /** {@code pte_cont()} and {@code pmd_cont()}. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pte_cont")
  static boolean pteCont(long pte) {
    return (pte & CONT) != 0;
  }

  /** {@code pmd_table()}. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pmd_table")
  static boolean pmdTable(long pmd) {
    return (pmd & TYPE_TABLE) == TYPE_TABLE;
  }

  /** {@code pmd_leaf()}. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pmd_leaf")
  static boolean pmdLeaf(long pmd) {
    return ptePresent(pmd) && !pmdTable(pmd);
  }

  /** {@code pud_present()}; always where the level is folded. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pud_present")
  static boolean pudPresent(Pgtable pgtable, long pud) {
    return pgtable.folded(Pgtable.PUD) || ptePresent(pud);
  }

  /** {@code pud_table()}: always with 64K pages or two levels, which know no other puds. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pud_table")
  static boolean pudTable(Arm64Geometry geometry, long pud) {
    boolean always = geometry.pageShift() == 16 || geometry.configLevels() < 3;
    return always || (pud & TYPE_TABLE) == TYPE_TABLE;
  }

  /** {@code pud_leaf()}. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pud_leaf")
  static boolean pudLeaf(Pgtable pgtable, Arm64Geometry geometry, long pud) {
    return !pgtable.folded(Pgtable.PUD) && ptePresent(pud) && !pudTable(geometry, pud);
  }

  /** {@code pgtable_l4_enabled()}: there are pud tables, as the tables in use are deep enough. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pgtable_l4_enabled")
  static boolean pgtableL4Enabled(Pgtable pgtable) {
    return !pgtable.folded(Pgtable.P4D);
  }

  /** {@code pgtable_l5_enabled()}. */
  @Kernel(file = "arch/arm64/include/asm/pgtable.h", symbol = "pgtable_l5_enabled")
  static boolean pgtableL5Enabled(Pgtable pgtable) {
    return !pgtable.folded(Pgtable.PGD);
  }
}
