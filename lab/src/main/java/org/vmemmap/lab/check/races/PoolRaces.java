// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import java.util.Objects;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.check.races.RaceScenario.Twin;
import org.vmemmap.machine.Omissions;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;

/** Races of the pools: they grow and shrink while others take pages, or walk over all pfns. */
final class PoolRaces {
  private static final MachineSpec PC = RaceWorld.pc(128);
  private static final String RESTORE = "alloc_vmemmap_page_list";
  private static final int PMD_ORDER = 9;
  private static final int ALL = 1000;

  private PoolRaces() {}

  static List<RaceScenario> all() {
    return List.of(
        batchFlush(), restoreFails(), mixedPool(), shrinkAndWalker(), growAndWalker());
  }

  /** Who takes a page of the pool writes to its struct pages. */
  private static RaceScenario batchFlush() {
    return RaceScenario.strong(
        "batch-flush",
        "the pool grows by two, another CPU has looked at the memory and takes a hugepage",
        PC,
        world -> {
          Folio folio = world.pool(2, true).getFirst();
          world.echo(RaceWorld.POOL, "0");
          return Race.of(
              () -> world.echo(RaceWorld.POOL, "2"),
              () -> {
                world.look(folio.page());
                world.take();
              });
        },
        Twin.without(Omissions.FLUSH_ALL, "flush_tlb_all(), both of the batch"));
  }

  private static RaceScenario restoreFails() {
    return RaceScenario.strong(
        "restore-fails",
        "the pool is emptied and memory for the second memmap is not there, another CPU looks on",
        PC,
        world -> {
          List<Folio> folios = world.pool(3, true);
          int pages = 7;
          return Race.of(
              () -> {
                world.fail(RESTORE, pages + 2);
                world.echo(RaceWorld.POOL, "0");
              },
              () -> folios.forEach(folio -> world.look(world.tail(folio, 2))));
        },
        Twin.without(Omissions.FLUSH_ALL, "flush_tlb_all() behind what was restored"));
  }

  private static RaceScenario mixedPool() {
    return RaceScenario.strong(
        "mixed-pool",
        "a pool of optimised and other hugepages is emptied while another CPU grows it",
        PC,
        world -> {
          world.pool(1, false);
          world.echo(RaceWorld.POOL, "2");
          return Race.of(
              () -> world.echo(RaceWorld.POOL, "0"),
              () -> {
                world.echo(RaceWorld.SWITCH, "0");
                world.echo(RaceWorld.POOL, "1");
              });
        },
        Twin.in(
            "__hugetlb_vmemmap_restore_folio",
            Omissions.TEST_BIT + " folio->private",
            "folio_test_hugetlb_vmemmap_optimized()"));
  }

  private static RaceScenario shrinkAndWalker() {
    return RaceScenario.strong(
        "shrink-and-walker",
        "the pool is emptied, another CPU takes a reference wherever there is one to take",
        PC,
        world -> {
          Folio folio = world.pool(1, true).getFirst();
          Page tail = world.tail(folio, 2);
          return Race.of(() -> world.echo(RaceWorld.POOL, "0"), () -> world.visit(tail));
        },
        Twin.without(Omissions.ADD_UNLESS, "the test for 0 in folio_try_get()"));
  }

  /**
   * The walker meets a page in use, and the block of the page becomes a hugepage.
   *
   * <pre>
   *   walker    _refcount is 1 .......................................... cmpxchg: writes
   *   others    last page of the block is freed | hugepage | tails shared, read-only
   * </pre>
   */
  private static RaceScenario growAndWalker() {
    return RaceScenario.found(
        "grow-and-walker",
        "the last page of a block is freed and the pool takes the block, a walker holds on to it",
        PC,
        world -> {
          int all = world.pool(ALL, false).size();
          world.echo(RaceWorld.POOL, Integer.toString(all - 1));
          Page last = lastOfBlock(world);
          Zone zone = world.mm().inline().pageZone(last);
          return Race.of(
              () -> {
                world.put(last);
                world.kernel().pageAlloc().drainAllPages(zone);
                world.echo(RaceWorld.POOL, Integer.toString(all));
              },
              () -> world.visit(last));
        },
        "A walker that takes a reference can write to a read-only tail");
  }

  /** A page in use in the one block that is free but for it. */
  private static Page lastOfBlock(RaceWorld world) {
    var pageAlloc = world.kernel().pageAlloc();
    Page first =
        Objects.requireNonNull(
            pageAlloc.allocPagesNode(0, Gfp.KERNEL, PMD_ORDER, "walker"), "no block is free");
    pageAlloc.splitPage(first, PMD_ORDER);
    int kept = 200;
    for (int i = 0; i < 1 << PMD_ORDER; i++) {
      if (i != kept) {
        pageAlloc.freePage(world.mm().struct().add(first, i));
      }
    }
    pageAlloc.drainAllPages(world.mm().inline().pageZone(first));
    return world.mm().struct().add(first, kept);
  }
}
