// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;

/**
 * Moving the users of pages to other pages, as the code below sees it. {@link #NONE} is a machine
 * where no page can be moved.
 */
public interface PageMigration {
  /** Nothing can be moved. */
  PageMigration NONE = new PageMigration() {};

  /** Takes a folio off its list, with one more reference, onto {@code list}; false if it cannot. */
  @Kernel(file = "mm/migrate.c", symbol = "isolate_folio_to_list")
  default boolean isolateFolioToList(Folio folio, ListHead list) {
    return false;
  }

  /**
   * Moves the users of all folios of the list. What could not be moved stays on it.
   *
   * @return how many were not moved, or -ENOMEM
   */
  @Kernel(file = "mm/migrate.c", symbol = "migrate_pages")
  default int migratePages(ListHead from, MigrationTarget target) {
    return 0;
  }

  /** Undoes the isolation of all folios of the list. */
  @Kernel(file = "mm/migrate.c", symbol = "putback_movable_pages")
  default void putbackMovablePages(ListHead list) {}

  /** {@code folio_put()}: one reference less; the last one frees. */
  @Kernel(file = "include/linux/mm.h", symbol = "folio_put")
  default void folioPut(Folio folio) {}
}
