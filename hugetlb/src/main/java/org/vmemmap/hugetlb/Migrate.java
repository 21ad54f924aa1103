// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.pagealloc.MigrateReason;
import org.vmemmap.pagealloc.MigrationTarget;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.pagealloc.PageMigration;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Lists;
import org.vmemmap.types.Mm;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.StructPage;

/**
 * Moves the users of hugepages to other hugepages, so that the old ones become free.
 *
 * <pre>
 *            isolated      unmapped        copied            mapped again      put
 *   old      refs 2  --->  refs 1, maps 0  same              same         ---> 0: to the pool, or freed
 *   new                    refs 1          mapping, index    refs 2       ---> 1: in use
 * </pre>
 *
 * <p>A new page comes from the pool, or from the page allocator as a temporary one; then the old one
 * takes over that it is temporary and leaves the pool when it is put. A page with one more reference
 * than its mappings account for stays: somebody reads or writes it. Only anonymous hugepages exist
 * here, so there are no page caches, no LRU lists and no reverse map locks.
 */
@Kernel(file = "mm/migrate.c", symbol = "migrate_pages")
final class Migrate implements PageMigration {
  private static final int NR_MAX_MIGRATE_PAGES_RETRY = 10;

  /** Until then a locked page is passed over, from then on its lock is waited for. */
  private static final int PASSES_WITHOUT_FORCE = 2;

  /** Flags that the new page takes over; those that are cleared on the old one are not here. */
  private static final int[] COPIED = {
    PageFlags.PG_REFERENCED,
    PageFlags.PG_UPTODATE,
    PageFlags.PG_WORKINGSET,
    PageFlags.PG_OWNER_PRIV_1,
    PageFlags.PG_OWNER_2,
    PageFlags.PG_DIRTY
  };

  private final Mm mm;
  private final Lists lists;
  private final PageAlloc pageAlloc;
  private final HugetlbArch arch;
  private final Hstates hstates;
  private final HugetlbFolios folios;
  private final Hugetlb hugetlb;
  private final HugetlbMigrate hugetlbMigrate;
  private final HugetlbRmap rmap;

  Migrate(
      Mm mm,
      PageAlloc pageAlloc,
      HugetlbArch arch,
      Hstates hstates,
      HugetlbFolios folios,
      Hugetlb hugetlb,
      HugetlbMigrate hugetlbMigrate,
      HugetlbRmap rmap) {
    this.mm = mm;
    this.lists = mm.lists();
    this.pageAlloc = pageAlloc;
    this.arch = arch;
    this.hstates = hstates;
    this.folios = folios;
    this.hugetlb = hugetlb;
    this.hugetlbMigrate = hugetlbMigrate;
    this.rmap = rmap;
  }

  // ---------------------------------------------------------------- isolation

  @Override
  @Kernel(file = "mm/migrate.c", symbol = "isolate_folio_to_list")
  public boolean isolateFolioToList(Folio folio, ListHead list) {
    return folios.folioTestHugetlb(folio) && hugetlbMigrate.folioIsolateHugetlb(folio, list);
  }

  @Override
  public void putbackMovablePages(ListHead list) {
    hugetlbMigrate.putbackMovablePages(list);
  }

  @Override
  @Kernel(file = "include/linux/mm.h", symbol = "folio_put")
  public void folioPut(Folio folio) {
    if (!mm.refs().putPageTestzero(folio.page())) {
      return;
    }
    if (folios.folioTestHugetlb(folio)) {
      hugetlb.freeHugeFolio(folio);
    } else {
      pageAlloc.freeFrozenPages(folio.page(), mm.inline().folioOrder(folio));
    }
  }

  // ---------------------------------------------------------------- the new page

  /** {@code alloc_migration_target()}: null when there is none. */
  @Kernel(file = "mm/migrate.c", symbol = "alloc_migration_target")
  private @Nullable Folio allocMigrationTarget(Folio src, MigrationTarget mtc) {
    int nid = mtc.nid() == HugetlbInternal.NUMA_NO_NODE ? mm.inline().folioNid(src) : mtc.nid();
    Hstate h = hstates.folioHstate(src);
    return hugetlbMigrate.allocHugetlbFolioNodemask(
        h,
        nid,
        mtc.nmask(),
        htlbModifyAllocMask(h, mtc.gfp()),
        htlbAllowAllocFallback(mtc.reason()));
  }

  /** HugeTLB's own mask, and of the caller's only what narrows it down. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "htlb_modify_alloc_mask")
  private Gfp htlbModifyAllocMask(Hstate h, Gfp gfp) {
    Gfp own = hugetlb.htlbAllocMask(h);
    return gfp.has(Gfp.THISNODE) ? own.or(Gfp.THISNODE) : own;
  }

  /** Going offline has no other choice than to upset the number of pages of each node. */
  @Kernel(file = "include/linux/hugetlb.h", symbol = "htlb_allow_alloc_fallback")
  private static boolean htlbAllowAllocFallback(MigrateReason reason) {
    return reason == MigrateReason.MR_MEMORY_HOTPLUG;
  }

  // ---------------------------------------------------------------- moving one page

  /** References that the mappings of an anonymous hugepage account for. */
  @Kernel(
      file = "include/linux/mm.h",
      symbol = "folio_expected_ref_count",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "No page cache and no swap cache holds a page.")
  private int folioExpectedRefCount(Folio folio) {
    return folios.folioMapcount(folio);
  }

  /** Copies the page and what its struct pages say about it: 0 or -EAGAIN. */
  @Kernel(file = "mm/migrate.c", symbol = "__migrate_folio")
  private int migrateFolio0(Folio dst, Folio src) {
    if (mm.refs().folioRefCount(src) != folioExpectedRefCount(src) + 1) {
      return -Errno.EAGAIN;
    }
    long bytes = folios.folioSize(src);
    mm.machine()
        .cpu()
        .copy(mm.model().pageAddress(dst.page()), mm.model().pageAddress(src.page()), bytes);
    folioMigrateMapping0(dst, src);
    folioMigrateFlags(dst, src);
    return 0;
  }

  /** Without a page cache nobody else looks at the page. */
  @Kernel(file = "mm/migrate.c", symbol = "__folio_migrate_mapping")
  private void folioMigrateMapping0(Folio dst, Folio src) {
    long index = mm.struct().word(src.page(), StructPage.INDEX);
    mm.struct().setWord(dst.page(), StructPage.INDEX, index);
    mm.struct().setMapping(dst.page(), mm.struct().mapping(src.page()));
    if (mm.flags().test(src.page(), PageFlags.PG_SWAPBACKED)) {
      mm.flags().set(dst.page(), PageFlags.PG_SWAPBACKED);
    }
  }

  @Kernel(file = "mm/migrate.c", symbol = "folio_migrate_flags")
  private void folioMigrateFlags(Folio dst, Folio src) {
    for (int flag : COPIED) {
      if (mm.flags().test(src.page(), flag)) {
        mm.flags().set(dst.page(), flag);
      }
    }
    if (testAndClear(src, PageFlags.PG_ACTIVE)) {
      mm.flags().set(dst.page(), PageFlags.PG_ACTIVE);
    } else if (testAndClear(src, PageFlags.PG_UNEVICTABLE)) {
      mm.flags().set(dst.page(), PageFlags.PG_UNEVICTABLE);
    }
    mm.inline().folioXchgLastCpupid(dst, mm.inline().folioXchgLastCpupid(src, -1));
    // The private word stays: it holds the HugeTLB flags of the page.
    mm.flags().clear(src.page(), PageFlags.PG_PRIVATE);
  }

  private boolean testAndClear(Folio folio, int flag) {
    boolean was = mm.flags().test(folio.page(), flag);
    mm.flags().clear(folio.page(), flag);
    return was;
  }

  /** An anonymous page stays anonymous until it is freed. */
  @Kernel(file = "mm/migrate.c", symbol = "move_to_new_folio")
  private int moveToNewFolio(Folio dst, Folio src) {
    vmBugOnUnlocked(src, "move_to_new_folio: !folio_test_locked(src)");
    vmBugOnUnlocked(dst, "move_to_new_folio: !folio_test_locked(dst)");
    int rc = migrateFolio0(dst, src);
    if (rc == 0 && !folios.folioTestAnon(src)) {
      mm.struct().setMapping(src.page(), 0);
    }
    return rc;
  }

  private void vmBugOnUnlocked(Folio folio, String what) {
    mm.printk().vmBugOn(!mm.flags().test(folio.page(), PageFlags.PG_LOCKED), what);
  }

  @Kernel(file = "include/linux/pagemap.h", symbol = "folio_trylock")
  private boolean folioTrylock(Folio folio) {
    mm.machine().yields().at("folio_trylock", folio.va());
    if (mm.flags().test(folio.page(), PageFlags.PG_LOCKED)) {
      return false;
    }
    mm.flags().set(folio.page(), PageFlags.PG_LOCKED);
    return true;
  }

  /** {@code folio_lock()}: whoever holds it has to run meanwhile. */
  @Kernel(file = "include/linux/pagemap.h", symbol = "folio_lock")
  private void folioLock(Folio folio) {
    while (!folioTrylock(folio)) {
      mm.condResched(folio.va());
    }
  }

  @Kernel(file = "mm/filemap.c", symbol = "folio_unlock")
  private void folioUnlock(Folio folio) {
    mm.flags().clear(folio.page(), PageFlags.PG_LOCKED);
    mm.machine().yields().at("folio_unlock", folio.va());
  }

  /**
   * Moves the users of one isolated hugepage.
   *
   * @param force wait for the page's lock
   * @return 0, the page is put back; -EAGAIN or -ENOMEM, it stays on its list; -EBUSY, it is on
   *     {@code failed}
   */
  @Kernel(file = "mm/migrate.c", symbol = "unmap_and_move_hugetlb_folio")
  private int unmapAndMoveHugetlbFolio(
      Folio src, MigrationTarget mtc, boolean force, ListHead failed) {
    if (mm.refs().folioRefCount(src) == 1) {
      // Its user has let it go meanwhile.
      hugetlbMigrate.folioPutbackHugetlb(src);
      return 0;
    }
    Folio dst = allocMigrationTarget(src, mtc);
    if (dst == null) {
      return -Errno.ENOMEM;
    }
    int rc = -Errno.EAGAIN;
    boolean locked = folioTrylock(src);
    if (!locked && force) {
      folioLock(src);
      locked = true;
    }
    if (locked) {
      rc = moveLocked(src, dst);
      folioUnlock(src);
    }
    if (rc == 0) {
      hugetlbMigrate.folioPutbackHugetlb(src);
    } else if (rc != -Errno.EAGAIN) {
      lists.listMoveTail(mm.struct().lru(src.page()), failed);
    }
    folioPut(dst);
    return rc;
  }

  /** The part of unmap_and_move_hugetlb_folio() under the lock of {@code src}. */
  private int moveLocked(Folio src, Folio dst) {
    long mapping = folios.folioTestAnon(src) ? 0 : mm.struct().mapping(src.page());
    if (folios.hugetlbFolioSubpool(src) != 0 && mapping == 0) {
      // On its way to be freed; moved, it would lose what it owes the subpool.
      return -Errno.EBUSY;
    }
    if (!folioTrylock(dst)) {
      return -Errno.EAGAIN;
    }
    int rc = -Errno.EAGAIN;
    HugetlbRmap.MigrationEntries entries = new HugetlbRmap.MigrationEntries(0, false);
    if (folios.folioMapcount(src) != 0) {
      entries = rmap.tryToMigrate(src);
    }
    if (folios.folioMapcount(src) == 0) {
      rc = moveToNewFolio(dst, src);
    }
    rmap.removeMigrationPtes(rc == 0 ? dst : src, entries);
    folioUnlock(dst);
    if (rc == 0) {
      hugetlbMigrate.moveHugetlbState(src, dst);
    }
    return rc;
  }

  // ---------------------------------------------------------------- moving many

  /** Up to ten passes over the list; returns how many pages stayed, or -ENOMEM. */
  @Kernel(file = "mm/migrate.c", symbol = "migrate_hugetlbs")
  private int migrateHugetlbs(ListHead from, MigrationTarget mtc, ListHead failed) {
    int retry = 1;
    int nrFailed = 0;
    for (int pass = 0; pass < NR_MAX_MIGRATE_PAGES_RETRY && retry != 0; pass++) {
      retry = 0;
      for (ListHead at = lists.first(from), next; !at.equals(from); at = next) {
        next = lists.next(at);
        Folio folio = new Folio(mm.struct().ofLru(at));
        mm.condResched(folio.va());
        if (!arch.archHugetlbMigrationSupported(folios.folioSize(folio))) {
          nrFailed++;
          lists.listMoveTail(at, failed);
          continue;
        }
        int rc = unmapAndMoveHugetlbFolio(folio, mtc, pass > PASSES_WITHOUT_FORCE, failed);
        if (rc == -Errno.ENOMEM) {
          return rc;
        }
        if (rc == -Errno.EAGAIN) {
          retry++;
        } else if (rc != 0) {
          nrFailed++;
        }
      }
    }
    return nrFailed + retry;
  }

  /**
   * {@code migrate_pages()}, always MIGRATE_SYNC. Old pages whose memmap has to be restored are
   * freed by the worker, which gets its turn at the end.
   */
  @Override
  @Kernel(
      file = "mm/migrate.c",
      symbol = "migrate_pages",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "Hugepages only: the batches of other folios would be empty. No events are counted.")
  public int migratePages(ListHead from, MigrationTarget target) {
    ListHead failed = lists.localHead();
    int rc = migrateHugetlbs(from, target, failed);
    lists.listSpliceInit(failed, from);
    lists.release(failed);
    hugetlb.runFreeHpageWork();
    return lists.listEmpty(from) ? 0 : rc;
  }
}
