// SPDX-License-Identifier: GPL-2.0-only
/**
 * arm64: page tables with three granules and several address widths, and how they map the memmap.
 *
 * <p>The idea: one kernel source covers pages of 4, 16 and 64 KiB and virtual addresses of 39 to 52
 * bits. Which of them run is decided twice: when the kernel is built and, because a 52-bit kernel
 * must start on older CPUs, when it boots. {@link org.vmemmap.arch.arm64.Arm64Geometry} is one such
 * outcome; all sizes and addresses follow from it.
 *
 * <p>The mechanism: a granule of 2^n bytes gives tables of 2^(n-3) entries, so only the root differs
 * in width. {@link org.vmemmap.arch.arm64.Arm64PageTable} holds the descriptor codec: where the
 * output address lies, what makes a table, block or page, and which changes of an entry in use are
 * allowed without break-before-make. {@link org.vmemmap.arch.arm64.Arm64Init} places memory in the
 * address space. {@link org.vmemmap.arch.arm64.Arm64Mmu} maps the memmap: a block for a section with
 * 4K pages, single pages for all else, no page shared between compound pages; and it takes what it
 * meets away when memory goes, with a flush for each leaf.
 *
 * <p>To boot a machine, in this order:
 *
 * <pre>
 *   geometry  Arm64Geometry.lpa2With4k() ... fallbackWith64k()
 *   config    Arm64Config.of(geometry)
 *   init      new Arm64Init(geometry, config, start and end of RAM)
 *   format    new Arm64PageTable(geometry)
 *   Machine   (bytes, format, init.linearBase(), ...)
 *   Mm        (machine, format, config, image with init.vmemmapBase())
 *   mmu       new Arm64Mmu(mm, ..., format, init.memstartAddr())
 *             SparseVmemmap.setArch(mmu), MemoryHotplug.setArch(mmu), mmu.setMaxPfn(init.maxPfn())
 *   zones     MmInit.mmCoreInitEarly(init.archZoneLimitsInit())
 *   initcall  mmu.preventMemoryRemoveInit(memblock)
 *   offline   asks mmu.preventMemoryRemoveNotifier(...)
 *   hugetlb   new Arm64Hugetlbpage(geometry): sizes
 * </pre>
 *
 * <p>Not modelled: the linear map's own tables (the machine has a linear window), KASLR of the
 * linear map, CMA and firmware limits of DMA, stage 2, memory tagging, realms.
 */
@NullMarked
package org.vmemmap.arch.arm64;

import org.jspecify.annotations.NullMarked;
