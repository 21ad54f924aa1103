// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * A pointer to a page-table entry: {@code Ptr<Pte>} is {@code pte_t *}.
 *
 * @param va virtual address of the entry, in the linear window
 */
@SuppressWarnings("UnusedTypeParameter") // tells pte_t * from pmd_t * in signatures
public record Ptr<T extends TableEntry>(long va) {}
