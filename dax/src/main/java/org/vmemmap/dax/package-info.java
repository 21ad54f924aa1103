// SPDX-License-Identifier: GPL-2.0-only
/**
 * Memory of devices that is mapped straight into processes: device DAX, and the struct pages that
 * it needs.
 *
 * <p>Idea: a driver finds a range of memory that the page allocator must not have, and gives it
 * struct pages of zone Device. A page size above the base page makes them compound pages, whose
 * tails all look alike; then most of the range's memmap can be one shared frame per compound page.
 * Or the memmap goes into the range itself (an altmap), and costs no RAM at all.
 *
 * <pre>
 *   soft-reserved --- HmemDevice --- Hmem ------------------+
 *   e820 type 12 ---- NvdimmE820 --- PfnDevs --- DaxPmem ---+
 *                                                           |
 *                                     region and device:   Bus --- driver: DeviceDax
 *                                                                           |
 *                             memory hotplug, sparse-vmemmap --- Memremap --+
 * </pre>
 *
 * <p>Mechanism: each class is one file below drivers/dax, drivers/nvdimm or mm, with its functions
 * in order. {@link org.vmemmap.dax.Device} stands for the driver core: who is bound, and what a
 * device gives back when it is unbound. {@link org.vmemmap.dax.DaxBus} is what an administrator
 * does with all of it.
 */
@NullMarked
package org.vmemmap.dax;

import org.jspecify.annotations.NullMarked;
