// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's headers: the types and inline functions that all of the memory manager shares.
 *
 * <p>The idea: a {@code struct page} is 64 bytes at a virtual address of the simulated machine, so a
 * {@link org.vmemmap.types.Page} is only that address. What a header offers on it is a method here,
 * grouped by header: {@link org.vmemmap.types.PageFlags}, {@link org.vmemmap.types.PageRef}, {@link
 * org.vmemmap.types.MmInline}, {@link org.vmemmap.types.Mmzone}, {@link
 * org.vmemmap.types.Pgtable}, {@link org.vmemmap.types.Lists}. Structures of which a kernel has few
 * ({@link org.vmemmap.types.Zone}, {@link org.vmemmap.types.MemSection}) are Java objects.
 *
 * <p>{@link org.vmemmap.types.Mm} ties them to one machine; there are no statics that hold state.
 */
@NullMarked
package org.vmemmap.types;

import org.jspecify.annotations.NullMarked;
