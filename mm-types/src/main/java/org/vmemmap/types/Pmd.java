// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * A {@code pmd_t}: the value of an entry in a page table.
 *
 * @param val the entry as software handles it
 */
@Kernel(file = "arch/x86/include/asm/pgtable_64_types.h", symbol = "pmd_t", fidelity = Kernel.Fidelity.CUSTOM, why = "The kernel declares it for each architecture; here the format gives the bits their meaning.")
public record Pmd(long val) implements TableEntry {}
