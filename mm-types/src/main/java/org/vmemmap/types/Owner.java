// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.vmemmap.machine.FrameOwner;

/** Who owns a frame, in the kernel's terms. */
public enum Owner implements FrameOwner {
  /** No RAM, or RAM that the kernel was told to leave alone. */
  NONE,
  /** RAM that memblock knows and nobody has reserved. */
  MEMBLOCK,
  /** Reserved in memblock for something that is none of the owners below. */
  RESERVED,
  /** On a free list of the buddy allocator, or on a per-CPU list of it. */
  BUDDY,
  /** Handed out by the page allocator; the caller has not said for what. */
  ALLOCATED,
  /** Part of a slab. */
  SLAB,
  /** A page table. */
  PAGE_TABLE,
  /** Backs struct pages, mapped once in the memmap. */
  VMEMMAP,
  /** Backs tail struct pages of many compound pages: {@code zone->vmemmap_tails}. */
  SHARED_TAIL,
  /** Device or hot-added memory that holds its own memmap. */
  ALTMAP,
  /** Part of a hugepage of the HugeTLB pool. */
  HUGEPAGE,
  /** Device memory that is bound to a driver. */
  DEVICE
}
