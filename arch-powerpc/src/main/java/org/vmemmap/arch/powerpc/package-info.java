// SPDX-License-Identifier: GPL-2.0-only
/**
 * powerpc book3s64: radix tree and hash table, with pages of 4 and 64 KiB.
 *
 * <p>The idea: a POWER CPU has two MMUs. With radix the memmap is mapped by a tree as elsewhere,
 * with entries that are big-endian in memory and say how large the next table is. With hash there
 * is no tree for the memmap at all: blocks of one size are bolted into the hash table, and the
 * kernel keeps a list of them. Sections are small (16 MiB), what backs their memmap is large (2
 * MiB, 16 MiB, or a page of 64K for four of them), so backing is shared by sections as a rule; it
 * is freed when no pfn that it describes is valid any more.
 *
 * <p>The mechanism: {@link org.vmemmap.arch.powerpc.PowerpcGeometry} has sizes and addresses,
 * {@link org.vmemmap.arch.powerpc.RadixPageTable} and {@link
 * org.vmemmap.arch.powerpc.HashPageTable} the entry codecs, {@link org.vmemmap.arch.powerpc.Init64}
 * populates and frees, {@link org.vmemmap.arch.powerpc.Mem} adds memory. Tables smaller than a page
 * share one ({@code PgtableFrag}).
 *
 * <p>To boot one, whatever the MMU:
 *
 * <pre>
 *   g = PowerpcGeometry.radix(12)                    or hash(12), radix(16), hash(16)
 *   machine = PowerpcArch.machine(g, bytes, cpus)
 *   mm = new Mm(machine, g.pageTable(), PowerpcConfig.debian(g, has16m), image)
 *        image.vmemmapBase = g.vmemmapStart(); image.initMmPgd: 64 KiB, aligned to that, radix only
 *   memblock, page allocator, slab, sparse, ... as for any architecture
 *   arch = new PowerpcArch(mm, g, has16m, ramBytes, memblock, pageAlloc, slab, vmemmap, hotplug)
 *   arch.connect()
 *   mmInit.mmCoreInitEarly(g.archZoneLimitsInit(maxPfn)) and so on
 * </pre>
 *
 * With hash, what maps the memmap is {@code machine.bolted().blocks()}, and what the kernel knows
 * of it {@code arch.init64().vmemmapList()}; there is nothing to walk. HugeTLB sizes are in {@code
 * arch.hugetlbpage()}.
 *
 * <p>Not modelled: the direct map and its tables (the machine has a linear window), groups and
 * slots of the hash table, the device tree, 16 GiB pages of the hypervisor, bare-metal machines.
 */
@NullMarked
package org.vmemmap.arch.powerpc;

import org.jspecify.annotations.NullMarked;
