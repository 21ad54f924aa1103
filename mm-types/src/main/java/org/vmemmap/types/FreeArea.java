// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/** {@code struct free_area}: the free blocks of one order, a list for each migratetype. */
@Kernel(file = "include/linux/mmzone.h", symbol = "struct free_area")
public final class FreeArea {
  private final ListHead[] freeList;

  /** Blocks on all lists together. */
  public long nrFree;

  /** Takes lists that were initialised as empty, by {@link Migratetype} number. */
  public FreeArea(ListHead[] freeList) {
    this.freeList = freeList.clone();
  }

  /** The list of blocks of {@code type}. */
  public ListHead freeList(Migratetype type) {
    return freeList[type.number()];
  }
}
