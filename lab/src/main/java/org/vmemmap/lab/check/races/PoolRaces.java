// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import java.util.Objects;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.machine.Omissions;
import org.vmemmap.pagealloc.Gfp;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Page;
import org.vmemmap.types.Zone;

/** Races of the pools: they grow and shrink while others take pages, or walk over all pfns. */
final class PoolRaces {
  private static final String RESTORE = "alloc_vmemmap_page_list";
  private static final int ALL = 1000;

  private PoolRaces() {}

  static List<RaceScenario> all() {
    return List.of(
        batchFlush(),
        restoreFails(),
        mixedPool(),
        preHvoPages(),
        shrinkAndWalker(),
        growAndWalker());
  }

  /** Who takes a page of the pool writes to its struct pages. */
  private static RaceScenario batchFlush() {
    return RaceScenario.of(
            "batch-flush",
            "the pool grows by two, another CPU has looked at the memory and takes a hugepage",
            Stage.OPTIMISED,
            world -> {
              Folio folio = world.pool(2, true).getFirst();
              world.echo(RaceWorld.POOL, "0");
              return Race.of(
                  () -> world.echo(RaceWorld.POOL, "2"),
                  () -> {
                    world.look(folio.page());
                    world.take();
                  });
            })
        .twin(
            Twin.local(
                    2,
                    "__hugetlb_vmemmap_optimize_folios",
                    Omissions.FLUSH_ALL,
                    "flush_tlb_all() on the other CPUs, the second of the batch")
                .breaks(RuleBook.FREED, "tlb-reaches-freed-frame "));
  }

  private static RaceScenario restoreFails() {
    return RaceScenario.of(
            "restore-fails",
            "the pool is emptied and memory for the second memmap is not there, another CPU looks on",
            Stage.OPTIMISED,
            world -> {
              List<Folio> folios = world.pool(3, true);
              int pages = 7;
              return Race.of(
                  () -> {
                    world.fail(RESTORE, pages + 2);
                    world.echo(RaceWorld.POOL, "0");
                  },
                  () -> folios.forEach(folio -> world.look(world.tail(folio, 2))));
            })
        .twin(
            Twin.local(
                    "hugetlb_vmemmap_restore_folios",
                    Omissions.FLUSH_ALL,
                    "flush_tlb_all() on the other CPUs behind what was restored")
                .breaks(RuleBook.STALE, "frame="));
  }

  private static RaceScenario mixedPool() {
    return RaceScenario.of(
            "mixed-pool",
            "a pool of optimised and other hugepages is emptied while another CPU grows it",
            Stage.OPTIMISED,
            world -> {
              world.pool(1, false);
              world.echo(RaceWorld.POOL, "2");
              return Race.of(
                  () -> world.echo(RaceWorld.POOL, "0"),
                  () -> {
                    world.echo(RaceWorld.SWITCH, "0");
                    world.echo(RaceWorld.POOL, "1");
                  });
            })
        .twin(withoutTheFlag());
  }

  private static Twin withoutTheFlag() {
    return Twin.in(
            "__hugetlb_vmemmap_restore_folio",
            Omissions.TEST_BIT + " folio->private",
            "folio_test_hugetlb_vmemmap_optimized()")
        .breaks(RuleBook.READ_ONLY, "write-to-read-only ");
  }

  /**
   * One page of 1 GiB shares its tails since early boot, another was made later, without HVO.
   *
   * <pre>
   *   list    | early: to be restored | later: as it is |
   * </pre>
   */
  private static RaceScenario preHvoPages() {
    return RaceScenario.of(
            "pre-hvo-pages",
            "a page optimised in early boot is restored together with one made later, a walker looks on",
            Stage.EARLY,
            world -> {
              Page tail = world.tail(world.gigantic(), 2);
              world.echo(RaceWorld.SWITCH, "0");
              world.echo(RaceWorld.GIGANTIC_POOL, "2");
              world.echo(RaceWorld.SWITCH, "1");
              return Race.of(
                  () -> world.restoreAll(world.giganticHstate()), () -> world.visit(tail));
            })
        .within(Bound.of(1, 50))
        .twin(withoutTheFlag());
  }

  private static RaceScenario shrinkAndWalker() {
    return RaceScenario.of(
            "shrink-and-walker",
            "the pool is emptied, another CPU takes a reference wherever there is one to take",
            Stage.HUGEPAGES,
            world -> {
              Folio folio = world.pool(1, true).getFirst();
              Page last = world.last(folio);
              return Race.of(() -> world.echo(RaceWorld.POOL, "0"), () -> world.visit(last));
            })
        .twin(
            Twin.without(Omissions.ADD_UNLESS, "the test for 0 in folio_try_get()")
                .breaks(RuleBook.CRASH, "frame-owner "));
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
    return RaceScenario.of(
            "grow-and-walker",
            "the last page of a block is freed and the pool takes the block, a walker holds on to it",
            Stage.OPTIMISED,
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
            })
        .finding("A walker that takes a reference can write to a read-only tail", world -> true);
  }

  /** A page in use in the one block that is free but for it. */
  private static Page lastOfBlock(RaceWorld world) {
    var pageAlloc = world.kernel().pageAlloc();
    int order = world.hstate().hugePageOrder();
    Page first =
        Objects.requireNonNull(
            pageAlloc.allocPagesNode(0, Gfp.KERNEL, order, "walker"), "no block is free");
    pageAlloc.splitPage(first, order);
    int kept = 200;
    for (int i = 0; i < 1 << order; i++) {
      if (i != kept) {
        pageAlloc.freePage(world.mm().struct().add(first, i));
      }
    }
    pageAlloc.drainAllPages(world.mm().inline().pageZone(first));
    return world.mm().struct().add(first, kept);
  }
}
