// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * A {@code struct folio *}: the head page of a compound page, or a single page.
 *
 * @param page the first page ({@code &folio->page})
 */
@Kernel(file = "include/linux/mm_types.h", symbol = "struct folio")
public record Folio(Page page) {
  /** The virtual address of the head page's descriptor. */
  public long va() {
    return page.va();
  }
}
