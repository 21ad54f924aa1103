// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.types.MemSection;
import org.vmemmap.types.MemSectionUsage;
import org.vmemmap.types.Migratetype;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;

/**
 * Reads the flags of pageblocks out of the usage records of sections, without the kernel's own
 * functions.
 *
 * <pre>
 *   pageblock_flags, a byte for each pageblock of the section:  | - - - isolate | skip type type type |
 * </pre>
 */
final class PageblockTypes {
  private static final int TYPE = 7;
  private static final int ISOLATED = 1 << 4;

  private final Mmzone mmzone;
  private final int order;

  PageblockTypes(Mm mm) {
    this.mmzone = mm.mmzone();
    this.order = mm.config().pageblockOrder();
  }

  /** Pages of a pageblock. */
  long pages() {
    return 1L << order;
  }

  /** The type that free pages of the pageblock around {@code pfn} are to be listed by. */
  Migratetype of(long pfn) {
    int flags = flags(pfn);
    return (flags & ISOLATED) != 0 ? Migratetype.MIGRATE_ISOLATE : Migratetype.of(flags & TYPE);
  }

  /** 0 where there is no section, as in a new one. */
  private int flags(long pfn) {
    MemSection ms = mmzone.pfnToSection(pfn);
    MemSectionUsage usage = ms == null ? null : ms.usage;
    if (usage == null) {
      return 0;
    }
    int bit = (int) (pfn % mmzone.pagesPerSection() >>> order) * Byte.SIZE;
    return (int) (usage.pageblockFlags()[bit / Long.SIZE] >>> bit % Long.SIZE) & (TYPE | ISOLATED);
  }
}
