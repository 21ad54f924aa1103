// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.List;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * What a process that maps a device's page leaves in its struct pages: a reference and map counts,
 * and when the mapping goes, the accessed and dirty marks of the page-table entry.
 *
 * <pre>
 *   large folio   page 0: _refcount            page 1: _large_mapcount, _nr_pages_mapped,
 *                                                      _entire_mapcount
 *   single page   page 0: _refcount, _mapcount
 * </pre>
 *
 * Page tables of processes are not modelled, nor the counts by process in a folio's page 1.
 */
@Kernel(
    file = "mm/rmap.c",
    symbol = "__folio_add_rmap",
    fidelity = Kernel.Fidelity.CUSTOM,
    why =
        "The counts of a folio that one process maps whole; no vma, no memory cgroup, no "
            + "statistics.")
final class DaxRmap {
  private static final int ENTIRELY_MAPPED = 0x80_0000;

  private final Mm mm;
  private final StructPage struct;

  DaxRmap(Mm mm) {
    this.mm = mm;
    this.struct = mm.struct();
  }

  /** {@code folio_add_file_rmap_pte()}, {@code _pmd()} or {@code _pud()}, by the folio's size. */
  @Kernel(
      file = "mm/rmap.c",
      symbol = "__folio_add_file_rmap",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only the whole folio by one entry, as device DAX maps it.")
  void folioAddFileRmap(Folio folio) {
    if (mm.inline().folioOrder(folio) == 0) {
      struct.setMapcount(folio.page(), struct.mapcount(folio.page()) + 1);
      return;
    }
    Page one = struct.add(folio.page(), 1);
    int entire = struct.half(one, StructPage.ENTIRE_MAPCOUNT) + 1;
    struct.setHalf(one, StructPage.ENTIRE_MAPCOUNT, entire);
    if (entire == 0) {
      add(one, StructPage.NR_PAGES_MAPPED, ENTIRELY_MAPPED);
    }
    add(one, StructPage.LARGE_MAPCOUNT, 1);
  }

  /** The way back of {@link #folioAddFileRmap}. */
  @Kernel(
      file = "mm/rmap.c",
      symbol = "__folio_remove_rmap",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Only the whole folio by one entry, as device DAX maps it.")
  private void folioRemoveRmap(Folio folio) {
    if (mm.inline().folioOrder(folio) == 0) {
      struct.setMapcount(folio.page(), struct.mapcount(folio.page()) - 1);
      return;
    }
    Page one = struct.add(folio.page(), 1);
    add(one, StructPage.LARGE_MAPCOUNT, -1);
    int entire = struct.half(one, StructPage.ENTIRE_MAPCOUNT) - 1;
    struct.setHalf(one, StructPage.ENTIRE_MAPCOUNT, entire);
    if (entire < 0) {
      add(one, StructPage.NR_PAGES_MAPPED, -ENTIRELY_MAPPED);
    }
  }

  private void add(Page page, int offset, int delta) {
    struct.setHalf(page, offset, struct.half(page, offset) + delta);
  }

  /** {@code unmap_mapping_range()} of everything: every process loses what it mapped. */
  @Kernel(
      file = "mm/memory.c",
      symbol = "unmap_mapping_range",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Walks a list of mapped folios; every entry counts as written to and read.")
  void unmapMappingRange(DaxDevice daxDev) {
    List<DaxDevice.Mapped> mapped = daxDev.mapped();
    for (DaxDevice.Mapped each : mapped) {
      Page head = each.folio().page();
      mm.flags().set(head, PageFlags.PG_DIRTY);
      mm.flags().set(head, PageFlags.PG_REFERENCED);
      folioRemoveRmap(each.folio());
      mm.refs().putPageTestzero(head);
    }
    mapped.clear();
  }
}
