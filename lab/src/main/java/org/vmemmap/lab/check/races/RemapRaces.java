// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.check.races.RaceScenario.Twin;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.machine.Omissions;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Page;

/** Races of mm/hugetlb_vmemmap.c: several CPUs remap, or one remaps and others look. */
final class RemapRaces {
  private static final MachineSpec PC = RaceWorld.pc(128);
  private static final MachineSpec GIGANTIC =
      RaceWorld.pc(2176, "hugepagesz=1G", "hugepages=1", "hugetlb_free_vmemmap=off");
  private static final String FLAG = Omissions.TEST_BIT + " page->flags";
  private static final long DIMM = 1L << 32;

  /** There is room for a DIMM below the device. */
  private static final MachineSpec PLUGGED =
      RaceWorld.map(
          List.of(
              "00001000-0009ffff : System RAM",
              "00100000-03ffffff : System RAM",
              "110000000-117ffffff : Soft Reserved"),
          "memory_hotplug.memmap_on_memory=1");

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
        selfHosted());
  }

  /**
   * The memmap of 128 MiB is one leaf, so two hugepages share it.
   *
   * <pre>
   *   pmd leaf  | ... | memmap of A | memmap of B | ... |
   * </pre>
   */
  private static RaceScenario splitPmd() {
    return RaceScenario.strong(
        "split-pmd",
        "two CPUs optimise hugepages whose memmap is in one pmd leaf",
        PC,
        RemapRaces::twoOptimise,
        Twin.without(Omissions.LOCK + " init_mm.page_table_lock", "init_mm.page_table_lock"));
  }

  private static Race twoOptimise(RaceWorld world) {
    List<Folio> folios = world.pool(2, false);
    return Race.of(
        () -> world.optimise(folios.getFirst()), () -> world.optimise(folios.getLast()));
  }

  private static RaceScenario splitThenPublish() {
    return RaceScenario.weak(
        "split-then-publish",
        "a CPU splits the pmd leaf of a memmap, another reads a struct page behind it",
        PC,
        world -> {
          List<Folio> folios = world.pool(2, false);
          Page other = folios.getLast().page();
          return Race.of(
              () -> world.optimise(folios.getFirst()), () -> world.mm().flags().pageHead(other));
        },
        Twin.in(
            "vmemmap_split_pmd",
            Omissions.WRITE_BARRIER,
            "smp_wmb() between the ptes and the pmd that shows them"));
  }

  private static RaceScenario sharedTail() {
    return RaceScenario.strong(
        "shared-tail",
        "two CPUs are the first to need the shared tail of a zone and order",
        PC,
        RemapRaces::twoOptimise,
        Twin.without(
            Omissions.CMPXCHG + " zone->vmemmap_tails", "cmpxchg(): the slot is written whatever is in it"));
  }

  private static RaceScenario copyThenPublish() {
    return RaceScenario.weak(
        "copy-then-publish",
        "a CPU restores the memmap of a hugepage, another looks up the head of a tail",
        PC,
        world -> {
          Folio folio = world.pool(1, true).getFirst();
          return Race.of(() -> world.restore(folio), () -> world.findHeads(folio, 2));
        },
        Twin.without(Omissions.WRITE_BARRIER, "smp_wmb() between the copy of a page and its pte"));
  }

  private static RaceScenario headThenPublish() {
    return RaceScenario.weak(
        "head-then-publish",
        "a CPU optimises a hugepage, another looks up its head through a tail",
        PC,
        world -> {
          List<Folio> folios = world.pool(2, false);
          // The leaf that both are in is split by then, with all the barriers and flushes of that.
          world.optimise(folios.getFirst());
          Folio folio = folios.getLast();
          return Race.of(() -> world.optimise(folio), () -> world.findHeads(folio, 1));
        },
        Twin.in(
            "vmemmap_remap_pte",
            Omissions.WRITE_BARRIER,
            "smp_wmb() between the copy of the first page and its pte"));
  }

  private static RaceScenario readerOfHead() {
    return RaceScenario.strong(
        "reader-of-head",
        "a CPU optimises and restores the memmap of a hugepage, another looks up heads",
        PC,
        world -> {
          Folio folio = world.pool(1, false).getFirst();
          return Race.of(
              () -> {
                world.optimise(folio);
                world.restore(folio);
              },
              () -> world.findHeads(folio, 2));
        },
        Twin.without(Omissions.COPY, "copy_page() before a new page is mapped"));
  }

  private static RaceScenario flushBeforeFree() {
    return RaceScenario.strong(
        "flush-before-free",
        "a CPU optimises a hugepage, another has the old frames in its TLB and reads on",
        PC,
        world -> {
          Folio folio = world.pool(1, false).getFirst();
          return Race.of(() -> world.optimise(folio), () -> world.findHeads(folio, 2));
        },
        Twin.without(Omissions.FLUSH_RANGE, "flush_tlb_kernel_range() before the old frames are freed"));
  }

  /** A stray write to a tail faults once the tail is shared; before, it meets the hugepage's own. */
  private static RaceScenario readOnlyTail() {
    return RaceScenario.strong(
        "read-only-tail",
        "a CPU optimises a hugepage, another writes to one of its tails by mistake",
        PC,
        world -> {
          Folio folio = world.pool(1, false).getFirst();
          Page tail = world.tail(folio, 2);
          return Race.of(
              () -> world.optimise(folio),
              () -> {
                try {
                  world.mm().struct().setPriv(tail, 0xbad);
                } catch (MachineFault oops) {
                  RaceWorld.expect(oops, "write-to-read-only");
                }
              });
        },
        Twin.without(Omissions.WRITE_PROTECT, "the read-only protection of shared tails"));
  }

  /**
   * The memmap of a 1 GiB page needs eight tables, and there is memory for one.
   *
   * <pre>
   *   pmd   | split, remapped, put back | cannot be split | ...
   * </pre>
   */
  private static RaceScenario rollback() {
    return RaceScenario.strong(
        "rollback",
        "optimising a 1 GiB page fails half way and is undone, another CPU looks up heads",
        GIGANTIC,
        world -> {
          world.echo(RaceWorld.SWITCH, "1");
          Folio folio = world.gigantic();
          return Race.of(
              () -> {
                world.fail("vmemmap_split_pmd", 2);
                world.kernel().hugetlb().vmemmap()
                    .hugetlbVmemmapOptimizeFolio(world.giganticHstate(), folio);
              },
              () -> world.findHeads(folio, 2));
        },
        Twin.without(Omissions.FLUSH_RANGE, "flush_tlb_kernel_range() behind the rollback"));
  }

  /** The second hugepage gets no head page while frames of the first wait for the flush. */
  private static RaceScenario collectedPages() {
    return RaceScenario.strong(
        "collected-pages",
        "a batch runs out of memory with frames in hand, another CPU reads the first hugepage",
        PC,
        world -> {
          List<Folio> folios = world.pool(2, false);
          return Race.of(
              () -> {
                world.fail(HEAD_PAGE, 2);
                world.optimiseAll(folios);
              },
              () -> {
                Page tail = world.tail(folios.getFirst(), 2);
                world.look(tail);
                world.relax();
                world.look(tail);
              });
        },
        Twin.nth(
            2,
            "__hugetlb_vmemmap_optimize_folios",
            Omissions.FLUSH_ALL,
            "flush_tlb_all() before the frames in hand are freed"));
  }

  /** One hugepage gives back frames from boot, the other frames from the page allocator. */
  private static RaceScenario bootAndBuddyFrames() {
    return RaceScenario.strong(
        "boot-and-buddy-frames",
        "a CPU frees frames that boot gave to the memmap, another those of the page allocator",
        PC,
        world -> {
          List<Folio> folios = world.pool(2, false);
          world.optimise(folios.getLast());
          world.restore(folios.getLast());
          return Race.of(
              () -> world.optimise(folios.getFirst()), () -> world.optimise(folios.getLast()));
        },
        Twin.in("free_vmemmap_page", FLAG, "PageReserved(): all frames are taken for the allocator's"));
  }

  /** The memmap of the DIMM lies in the DIMM. */
  private static RaceScenario selfHosted() {
    return RaceScenario.strong(
        "self-hosted",
        "a CPU optimises a hugepage whose memmap lies in its own memory, another an ordinary one",
        PLUGGED,
        world -> {
          long first = world.plug(DIMM, 128L << 20);
          List<Folio> folios = world.pool(1000, false);
          Folio plugged = world.beside(folios, first, true);
          Folio boot = world.beside(folios, first, false);
          return new Race(
              List.of(() -> world.optimise(plugged), () -> world.optimise(boot)),
              () -> world.checkAltmap(first));
        },
        Twin.in("vmemmap_pmd_entry", FLAG, "PageVmemmapSelfHosted()"));
  }
}
