// SPDX-License-Identifier: GPL-2.0-only
/**
 * Who owns which page frame, from the first byte of RAM to the last free page.
 *
 * <p>The idea: the kernel hands out memory by three allocators in turn. While it boots, {@link
 * org.vmemmap.pagealloc.Memblock} keeps two sorted lists of address ranges: what memory there is,
 * and what of it is spoken for. It needs no struct page, so it is what the memmap itself is made
 * from. When struct pages exist, everything that memblock still has goes to {@link
 * org.vmemmap.pagealloc.PageAlloc}, the buddy allocator. Small objects come from {@link
 * org.vmemmap.pagealloc.Slab}, which takes whole pages from the buddy allocator. {@link
 * org.vmemmap.pagealloc.Cma} keeps some memory of both for large requests.
 *
 * <p>The mechanism of the buddy allocator: a free block of 2^order pages is one struct page, the
 * first, marked PageBuddy with its order in {@code private} and linked through {@code lru} into the
 * list of its zone, order and migratetype. A block and its buddy differ in one bit of the pfn; two
 * free buddies of equal order are merged when the second one is freed, and a large block is halved
 * until it fits when a smaller one is asked for. All of this is done here on struct pages in
 * simulated memory: what the memmap says and what the allocator believes are the same words.
 *
 * <p>What is not modelled: reclaim, compaction and migration. A request that a real kernel would
 * satisfy by moving or dropping pages fails here. {@link org.vmemmap.pagealloc.Placement} is the
 * seam through which a captured machine says where its hugepages lay.
 */
@NullMarked
package org.vmemmap.pagealloc;

import org.jspecify.annotations.NullMarked;
