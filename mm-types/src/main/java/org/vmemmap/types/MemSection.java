// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.jspecify.annotations.Nullable;

/**
 * A {@code struct mem_section}.
 *
 * <pre>
 *   section_mem_map, before the memmap exists:   nid &lt;&lt; 6 | flags
 *   and after it:                                memmap - section start | flags
 *
 *   63                              6     5        4      3       2      1        0
 *  +--------------------------------+---------+-------+-------+--------+-----+---------+
 *  |     encoded memmap or nid      | PREINIT | TAINT | EARLY | ONLINE | MAP | PRESENT |
 *  +--------------------------------+---------+-------+-------+--------+-----+---------+
 * </pre>
 */
@Kernel(file = "include/linux/mmzone.h", symbol = "struct mem_section")
public final class MemSection {
  /** Flag bits and encoded memmap; see the diagram above. */
  public long sectionMemMap;

  /** Order of the compound pages that the section holds; 0 for ordinary memory. Since patch 22. */
  public int order;

  /** Zone of the shared tail for {@link #order}; null when it must be searched. Since patch 35. */
  public @Nullable Zone zone;

  /** Which subsections are in use; null before the section is activated. */
  public @Nullable MemSectionUsage usage;
}
