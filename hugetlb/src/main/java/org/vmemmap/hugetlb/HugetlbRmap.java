// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Page;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * How often a hugepage is mapped: the counts in its struct pages, for anonymous pages only.
 *
 * <pre>
 *   page 0   mapping            anon_vma + 1
 *            PG_owner_2         one process alone has it (anon_exclusive)
 *   page 1   _large_mapcount    mappings less 1
 *            _entire_mapcount   mappings of the whole page less 1
 *            _pincount          held by a device
 * </pre>
 *
 * Nobody here has page tables, so a mapping that waits for its page to move is a value that the
 * mover keeps.
 */
@Kernel(file = "mm/rmap.c", symbol = "hugetlb_add_anon_rmap")
final class HugetlbRmap {
  static final int PG_ANON_EXCLUSIVE = PageFlags.PG_OWNER_2;

  private final Mm mm;
  private final HugetlbFolios folios;

  HugetlbRmap(Mm mm, HugetlbFolios folios) {
    this.mm = mm;
    this.folios = folios;
  }

  /**
   * The migration entries that stand in page tables while a page moves.
   *
   * @param count how many
   * @param exclusive whether the page belonged to one process alone
   */
  record MigrationEntries(int count, boolean exclusive) {}

  /** {@code hugetlb_add_new_anon_rmap()}: mapped once, as a whole, by one process. */
  @Kernel(file = "mm/rmap.c", symbol = "hugetlb_add_new_anon_rmap")
  void hugetlbAddNewAnonRmap(Folio folio, long anonVma) {
    vmWarnOnNoHugetlb(folio, "hugetlb_add_new_anon_rmap: !folio_test_hugetlb(folio)");
    Page one = mm.flags().folioPage(folio, 1);
    mm.struct().setHalf(one, StructPage.ENTIRE_MAPCOUNT, 0);
    mm.struct().setHalf(one, StructPage.LARGE_MAPCOUNT, 0);
    folios.clear(folio, HugetlbPageFlag.HPG_RESTORE_RESERVE);
    mm.struct().setMapping(folio.page(), anonVma + HugetlbFolios.FOLIO_MAPPING_ANON);
    mm.struct().setWord(folio.page(), StructPage.INDEX, 0);
    mm.flags().set(folio.page(), PG_ANON_EXCLUSIVE);
  }

  /** {@code hugetlb_add_anon_rmap()}: one mapping more. */
  @Kernel(file = "mm/rmap.c", symbol = "hugetlb_add_anon_rmap")
  private void hugetlbAddAnonRmap(Folio folio, boolean exclusive) {
    vmWarnOnNoHugetlb(folio, "hugetlb_add_anon_rmap: !folio_test_hugetlb(folio)");
    Page one = mm.flags().folioPage(folio, 1);
    add(one, StructPage.ENTIRE_MAPCOUNT, 1);
    add(one, StructPage.LARGE_MAPCOUNT, 1);
    if (exclusive) {
      mm.flags().set(folio.page(), PG_ANON_EXCLUSIVE);
    }
  }

  /** {@code hugetlb_remove_rmap()}: one mapping less. */
  @Kernel(file = "include/linux/rmap.h", symbol = "hugetlb_remove_rmap")
  void hugetlbRemoveRmap(Folio folio) {
    vmWarnOnNoHugetlb(folio, "hugetlb_remove_rmap: !folio_test_hugetlb(folio)");
    Page one = mm.flags().folioPage(folio, 1);
    add(one, StructPage.ENTIRE_MAPCOUNT, -1);
    add(one, StructPage.LARGE_MAPCOUNT, -1);
  }

  /** {@code hugetlb_try_share_anon_rmap()}: 0, or -EBUSY for a page that a device holds. */
  @Kernel(file = "include/linux/rmap.h", symbol = "hugetlb_try_share_anon_rmap")
  private int hugetlbTryShareAnonRmap(Folio folio) {
    // folio_maybe_dma_pinned() of a large folio.
    if (mm.struct().half(mm.flags().folioPage(folio, 1), StructPage.PINCOUNT) > 0) {
      return -Errno.EBUSY;
    }
    mm.flags().clear(folio.page(), PG_ANON_EXCLUSIVE);
    return 0;
  }

  /** {@code try_to_migrate()}: takes all mappings away, unless the page is pinned. */
  @Kernel(
      file = "mm/rmap.c",
      symbol = "try_to_migrate",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The effect of try_to_migrate_one() on the folio; the entries are returned.")
  MigrationEntries tryToMigrate(Folio folio) {
    boolean exclusive = mm.flags().test(folio.page(), PG_ANON_EXCLUSIVE);
    if (exclusive && hugetlbTryShareAnonRmap(folio) != 0) {
      return new MigrationEntries(0, true);
    }
    int count = folios.folioMapcount(folio);
    for (int i = 0; i < count; i++) {
      hugetlbRemoveRmap(folio);
      mm.refs().pageRefAdd(folio.page(), -1);
    }
    return new MigrationEntries(count, exclusive);
  }

  /** {@code remove_migration_ptes()}: {@code folio} is mapped where the entries stand. */
  @Kernel(
      file = "mm/migrate.c",
      symbol = "remove_migration_ptes",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The effect of remove_migration_pte() on the folio; there are no page tables.")
  void removeMigrationPtes(Folio folio, MigrationEntries entries) {
    for (int i = 0; i < entries.count(); i++) {
      mm.refs().getPage(folio.page());
      hugetlbAddAnonRmap(folio, entries.exclusive());
    }
  }

  /** {@code VM_WARN_ON_FOLIO(!folio_test_hugetlb(folio))}. */
  private void vmWarnOnNoHugetlb(Folio folio, String where) {
    if (mm.config().debugVm()) {
      mm.printk().warnOn(!folios.folioTestHugetlb(folio), where);
    }
  }

  private void add(Page page, int offset, int delta) {
    mm.struct().setHalf(page, offset, mm.struct().half(page, offset) + delta);
  }
}
