// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.check.World;
import org.vmemmap.machine.Omissions;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Page;

/** Races of mm/hugetlb_vmemmap.c: several CPUs remap, or one remaps and others look. */
final class RemapRaces {
  private static final String FLAG = Omissions.TEST_BIT + " page->flags";
  private static final String CACHED = "tlb-reaches-freed-frame ";
  private static final String HEAD_PAGE = "__hugetlb_vmemmap_optimize_folio";

  private RemapRaces() {}

  static List<RaceScenario> all() {
    return List.of(
        splitPmd(),
        splitThenPublish(),
        sharedTail(),
        copyThenPublish(),
        headThenPublish(),
        readerOfHead(),
        flushBeforeFree(),
        readOnlyTail(),
        rollback(),
        collectedPages(),
        bootAndBuddyFrames(),
        selfHosted(),
        breakBeforeMake());
  }

  /**
   * The memmap of 128 MiB is one leaf, so two hugepages share it.
   *
   * <pre>
   *   pmd leaf  | ... | memmap of A | memmap of B | ... |
   * </pre>
   */
  private static RaceScenario splitPmd() {
    return RaceScenario.of(
            "split-pmd",
            "two CPUs optimise hugepages whose memmap is in one pmd leaf",
            Stage.OPTIMISED,
            RemapRaces::twoOptimise)
        .twin(
            Twin.without(Omissions.LOCK + " init_mm.page_table_lock", "init_mm.page_table_lock")
                .breaks(RuleBook.FREED, "freed-frame-access "));
  }

  private static Race twoOptimise(RaceWorld world) {
    List<Folio> folios = world.pool(2, false);
    return Race.of(
        () -> world.optimise(folios.getFirst()), () -> world.optimise(folios.getLast()));
  }

  private static RaceScenario splitThenPublish() {
    return RaceScenario.of(
            "split-then-publish",
            "a CPU splits the pmd leaf of a memmap, another reads a struct page behind it",
            Stage.OPTIMISED,
            world -> {
              List<Folio> folios = world.pool(2, false);
              Page other = folios.getLast().page();
              return Race.of(
                  () -> world.optimise(folios.getFirst()),
                  () -> world.mm().flags().pageHead(other));
            })
        .weakly()
        .within(Bound.of(3, 200))
        .twin(
            Twin.in(
                    "vmemmap_split_pmd",
                    Omissions.WRITE_BARRIER,
                    "smp_wmb() between the ptes and the pmd that shows them")
                .breaks(RuleBook.CRASH, "not-present "));
  }

  private static RaceScenario sharedTail() {
    return RaceScenario.of(
            "shared-tail",
            "two CPUs are the first to need the shared tail of a zone and order",
            Stage.OPTIMISED,
            RemapRaces::twoOptimise)
        .twin(
            Twin.without(
                    Omissions.CMPXCHG + " zone->vmemmap_tails",
                    "cmpxchg(): the slot is written whatever is in it")
                .breaks("memmap-frame-owner", "frame="));
  }

  private static RaceScenario copyThenPublish() {
    return RaceScenario.of(
            "copy-then-publish",
            "a CPU restores the memmap of a hugepage, another looks up the head of a tail",
            Stage.OPTIMISED,
            world -> {
              Folio folio = world.pool(1, true).getFirst();
              return Race.of(() -> world.restore(folio), () -> world.findHeads(folio, 2));
            })
        .weakly()
        .twin(
            Twin.without(
                    Omissions.WRITE_BARRIER, "smp_wmb() between the copy of a page and its pte")
                .breaks(RuleBook.READER, "pfn="));
  }

  private static RaceScenario headThenPublish() {
    return RaceScenario.of(
            "head-then-publish",
            "a CPU optimises a hugepage, another looks up its head through a tail",
            Stage.OPTIMISED,
            world -> {
              List<Folio> folios = world.pool(2, false);
              // The leaf that both are in is split by then, with all the barriers and flushes of that.
              world.optimise(folios.getFirst());
              Folio folio = folios.getLast();
              return Race.of(() -> world.optimise(folio), () -> world.findHeads(folio, 1));
            })
        .weakly()
        .twin(
            Twin.in(
                    "vmemmap_remap_pte",
                    Omissions.WRITE_BARRIER,
                    "smp_wmb() between the copy of the first page and its pte")
                .breaks(RuleBook.READER, "pfn="));
  }

  private static RaceScenario readerOfHead() {
    return RaceScenario.of(
            "reader-of-head",
            "a CPU optimises and restores the memmap of a hugepage, another looks up heads",
            Stage.OPTIMISED,
            world -> {
              Folio folio = world.pool(1, false).getFirst();
              return Race.of(
                  () -> {
                    world.optimise(folio);
                    world.restore(folio);
                  },
                  () -> world.findHeads(folio, 2));
            })
        .twin(
            Twin.without(Omissions.COPY, "copy_page() before a new page is mapped")
                .breaks(RuleBook.READER, "pfn="));
  }

  private static RaceScenario flushBeforeFree() {
    return RaceScenario.of(
            "flush-before-free",
            "a CPU optimises a hugepage, another has the old frames in its TLB and reads on",
            Stage.OPTIMISED,
            world -> {
              Folio folio = world.pool(1, false).getFirst();
              return Race.of(() -> world.optimise(folio), () -> world.findHeads(folio, 2));
            })
        .twin(
            Twin.local(
                    "vmemmap_remap_range",
                    Omissions.FLUSH_RANGE,
                    "flush_tlb_kernel_range() on the other CPUs before the old frames are freed")
                .breaks(RuleBook.FREED, CACHED));
  }

  /** A stray write to a tail faults once the tail is shared; before, it meets the hugepage's own. */
  private static RaceScenario readOnlyTail() {
    return RaceScenario.of(
            "read-only-tail",
            "a CPU optimises a hugepage, another writes to one of its tails by mistake",
            Stage.OPTIMISED,
            world -> {
              Folio folio = world.pool(1, false).getFirst();
              Page tail = world.tail(folio, 2);
              return Race.of(
                  () -> world.optimise(folio),
                  () ->
                      RaceWorld.allow(
                          "write-to-read-only", () -> world.mm().struct().setPriv(tail, 0xbad)));
            })
        .twin(
            Twin.without(Omissions.WRITE_PROTECT, "the read-only protection of shared tails")
                .breaks("shared-tail-canonical", "frame="));
  }

  /**
   * The memmap of a 1 GiB page needs eight tables, and there is memory for one.
   *
   * <pre>
   *   pmd   | split, remapped, put back | cannot be split | ...
   * </pre>
   */
  private static RaceScenario rollback() {
    return RaceScenario.of(
            "rollback",
            "optimising a 1 GiB page fails half way and is undone, another CPU looks up heads",
            Stage.GIGANTIC,
            world -> {
              world.echo(RaceWorld.SWITCH, "1");
              Folio folio = world.gigantic();
              return Race.of(
                  () -> {
                    world.fail("vmemmap_split_pmd", 2);
                    world.vmemmap().hugetlbVmemmapOptimizeFolio(world.giganticHstate(), folio);
                  },
                  () -> world.findHeads(folio, 2));
            })
        .within(Bound.of(1, 50))
        .twin(
            Twin.local(
                    "vmemmap_remap_range",
                    Omissions.FLUSH_RANGE,
                    "flush_tlb_kernel_range() on the other CPUs behind the rollback")
                .breaks(RuleBook.FREED, CACHED));
  }

  /** The second hugepage gets no head page while frames of the first wait for the flush. */
  private static RaceScenario collectedPages() {
    return RaceScenario.of(
            "collected-pages",
            "a batch runs out of memory with frames in hand, another CPU reads the first hugepage",
            Stage.OPTIMISED,
            world -> {
              List<Folio> folios = world.pool(2, false);
              Page tail = world.tail(folios.getFirst(), 2);
              return Race.of(
                  () -> {
                    world.fail(HEAD_PAGE, 2);
                    world.optimiseAll(folios);
                  },
                  () -> {
                    world.look(tail);
                    world.relax();
                    world.look(tail);
                  });
            })
        .twin(
            Twin.local(
                    2,
                    "__hugetlb_vmemmap_optimize_folios",
                    Omissions.FLUSH_ALL,
                    "flush_tlb_all() on the other CPUs before the frames in hand are freed")
                .breaks(RuleBook.FREED, CACHED));
  }

  /** One hugepage gives back frames from boot, the other frames from the page allocator. */
  private static RaceScenario bootAndBuddyFrames() {
    return RaceScenario.of(
            "boot-and-buddy-frames",
            "a CPU frees frames that boot gave to the memmap, another those of the page allocator",
            Stage.OPTIMISED,
            world -> {
              List<Folio> folios = world.pool(2, false);
              world.optimise(folios.getLast());
              world.restore(folios.getLast());
              return Race.of(
                  () -> world.optimise(folios.getFirst()), () -> world.optimise(folios.getLast()));
            })
        .twin(
            Twin.in(
                    "free_vmemmap_page",
                    FLAG,
                    "PageReserved(): all frames are taken for the allocator's")
                .breaks("memmap-frames-booked", "count="));
  }

  /** The memmap of the DIMM lies in the DIMM. */
  private static RaceScenario selfHosted() {
    return RaceScenario.of(
            "self-hosted",
            "a CPU optimises a hugepage whose memmap lies in its own memory, another an ordinary one",
            Stage.DIMM,
            world -> {
              long first = world.plug(Stage.DIMM_START, Stage.DIMM_BYTES);
              List<Folio> folios = world.pool(1000, false);
              Folio plugged = world.beside(folios, first, true);
              Folio boot = world.beside(folios, first, false);
              return new Race(
                  List.of(() -> world.optimise(plugged), () -> world.optimise(boot)),
                  () -> world.checkAltmap(first));
            })
        .twin(
            Twin.in("vmemmap_pmd_entry", FLAG, "PageVmemmapSelfHosted()")
                .breaks(RuleBook.ALTMAP, "frame="));
  }

  /** Without HVO nobody remaps what another CPU may be looking at. */
  private static RaceScenario breakBeforeMake() {
    return RaceScenario.of(
            "break-before-make",
            "the pool grows by a hugepage while another CPU looks at its memmap",
            Stage.HUGEPAGES,
            world -> {
              Folio folio = world.pool(1, false).getFirst();
              world.echo(RaceWorld.POOL, "0");
              return Race.of(
                  () -> world.echo(RaceWorld.POOL, "1"), () -> world.look(folio.page()));
            })
        .on(World.of("arm64-4K-48"))
        .twin(
            Twin.selecting("an arm64 that does not select ARCH_WANT_OPTIMIZE_HUGETLB_VMEMMAP")
                .breaks(RuleBook.BREAK_BEFORE_MAKE, "break-before-make-violated "));
  }
}
