// SPDX-License-Identifier: GPL-2.0-only
/**
 * From a list of memory ranges to a memmap: zones, sections, the pages behind the virtual array of
 * {@code struct page}, and its first contents; and the same again for memory that comes and goes
 * later.
 *
 * <p>The idea: the memmap is one array, indexed by pfn, far larger than any machine's memory. Only
 * the parts whose memory exists are mapped, in steps of a section (or, for devices, a subsection);
 * and where whole runs of struct pages say the same, several addresses may show one frame.
 *
 * <pre>
 *   pfn        0        32768      65536     98304
 *   memory     [==== hole ===========]                     memblock
 *   sections   |--- 0 ---|--- 1 ---|--- 2 ---|             mm/sparse.c
 *   memmap     [mapped   ][mapped   ][mapped   ] not mapped mm/sparse-vmemmap.c
 *   struct page rrr......hhh............hhhhhh             mm/mm_init.c
 * </pre>
 *
 * <p>The mechanism at boot, in the order of 7.3: {@link org.vmemmap.sparse.MmInit} lays out the
 * zones and lets HugeTLB take gigantic pages from memblock ({@link
 * org.vmemmap.sparse.HugetlbBootHooks}); {@link org.vmemmap.sparse.Sparse} marks the sections that
 * hold memory and has {@link org.vmemmap.sparse.SparseVmemmap} map their part of the array, which
 * an architecture does through {@link org.vmemmap.sparse.ArchVmemmap}; then every struct page is
 * initialised, those of a node's last zone mostly later. {@link org.vmemmap.sparse.MemoryHotplug}
 * adds and removes ranges when the page allocator runs.
 */
@NullMarked
package org.vmemmap.sparse;

import org.jspecify.annotations.NullMarked;
