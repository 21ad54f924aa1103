// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * A {@code pgprot_t}: protection bits of a leaf.
 *
 * @param val the bits, in the position they have in a base-page entry
 */
@Kernel(file = "arch/x86/include/asm/pgtable_types.h", symbol = "pgprot_t", fidelity = Kernel.Fidelity.CUSTOM, why = "The kernel declares it for each architecture.")
public record Prot(long val) {}
