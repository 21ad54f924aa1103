// SPDX-License-Identifier: GPL-2.0-only
/**
 * x86-64: page tables with 4 or 5 levels, and how they map the memmap.
 *
 * <p>The idea: all that is special about the CPU fits into a small contract. {@link
 * org.vmemmap.arch.x86.X86PageTable} says what the bits of an entry mean and how entries are made;
 * {@link org.vmemmap.arch.x86.X86Geometry} has the addresses and sizes; {@link
 * org.vmemmap.arch.x86.X86Init64} has the part of {@code arch/x86/mm/init_64.c} that populates and
 * frees the memmap. Nobody outside this package and the lab names x86.
 *
 * <p>The mechanism: {@code vmemmap_populate()} prefers 2 MiB leaves and remembers which bytes of a
 * leaf nobody uses; {@code vmemmap_free()} walks down, frees what is covered, and then the tables
 * that have become empty. Each process has its own top-level table, so new top-level entries are
 * copied to all of them ({@link org.vmemmap.arch.x86.PgdList}). {@link org.vmemmap.arch.x86.E820}
 * turns the firmware's memory map into the resource tree that drivers claim their memory from.
 *
 * <p>Not modelled: the direct map (the machine has a linear window), page-table isolation, memory
 * encryption, Xen, and 32-bit kernels.
 */
@NullMarked
package org.vmemmap.arch.x86;

import org.jspecify.annotations.NullMarked;
