// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;

/**
 * A {@code struct huge_bootmem_page *}. The structure lies in the first bytes of the gigantic page
 * that it describes, because at that time nothing else could hold it: there is no memmap yet.
 *
 * <pre>
 *   offset  0   list.next
 *           8   list.prev
 *          16   hstate       address that stands for the struct hstate
 *          24   flags        HUGE_BOOTMEM_
 * </pre>
 *
 * @param va linear address of the first byte of the gigantic page
 */
@Kernel(file = "mm/internal.h", symbol = "struct huge_bootmem_page")
public record HugeBootmemPage(long va) {
  /** The struct pages were mapped the optimised way from the start. */
  public static final long HUGE_BOOTMEM_HVO = 0x0001;

  /** The page lies in one zone. */
  public static final long HUGE_BOOTMEM_ZONES_VALID = 0x0002;

  /** The page came from a CMA area. */
  public static final long HUGE_BOOTMEM_CMA = 0x0004;

  static final int HSTATE = 16;
  static final int FLAGS = 24;

  /** {@code &m->list}. */
  public ListHead list() {
    return new ListHead(va);
  }

  /** {@code list_entry(list, struct huge_bootmem_page, list)}. */
  public static HugeBootmemPage of(ListHead list) {
    return new HugeBootmemPage(list.va());
  }
}
