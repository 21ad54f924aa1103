// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.Hstates;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Kstrtox;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;
import org.vmemmap.types.MmConfig;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * What a step must leave as it was, or must have done, that the machine at rest does not tell.
 *
 * <p>{@link RuleBook#MAX_PFN}: max_pfn never falls. On arm64 and powerpc all that arch_add_memory()
 * adds raises it, devices too. On x86 what has a pgmap does not, at no level of the series.
 *
 * <p>{@link RuleBook#OPTIMISES}: while HVO is on, memory is plenty and nothing fails, what joins a pool
 * is optimised.
 *
 * <p>{@link RuleBook#FREE_FIRST}: who shrinks a pool frees free pages first, and declares surplus
 * what is left. A page may be free for a promise, or as one of the persistent pages.
 *
 * <pre>
 *   node 0   | in use, surplus |                     | in use, surplus |
 *   node 1   | free            |   nr_hugepages = 0  | freed           |   not: | free, surplus |
 * </pre>
 *
 * Left out are pages that were promised; pages whose memmap is optimised, as a restore may have
 * failed, which leaves the page free and surplus; free pages of nodes that the write is not about;
 * and pools in which more pages are free than are persistent: the kernel cannot tell which of its
 * free pages are surplus, and rather keeps one.
 */
final class Promises {
  private static final Pattern RESIZES =
      Pattern.compile("(/sys/devices/system/node/node(\\d+)/)?.*/nr_hugepages(_mempolicy)?");
  private static final int ALL_NODES = -1;

  /** For tables and heads, and for what others take meanwhile. */
  private static final long ROOM = 1024;

  /**
   * A pool before the step.
   *
   * @param persistent true when there were no more free pages than persistent ones
   * @param whole free pages with a memmap of their own
   */
  private record Pool(Hstate h, long surplus, boolean persistent, long whole) {}

  private final LabKernel kernel;
  private final Mm mm;
  private final Step step;
  private final long maxPfn;
  private final List<Pool> pools = new ArrayList<>();
  private final boolean optimises;
  private int node = ALL_NODES;

  /** Looks at {@code kernel}, which will do {@code step}. */
  Promises(LabKernel kernel, Step step) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.step = step;
    this.maxPfn = kernel.maxPfn();
    Matcher path = RESIZES.matcher(step.what());
    boolean resizes = step.writes() && path.matches();
    this.optimises = resizes && optimises(kernel) && roomFor(step.value());
    if (resizes) {
      String number = path.group(2);
      node = number == null ? ALL_NODES : Integer.parseInt(number);
      kernel.hugetlb().hstates().all().forEach(h -> pools.add(now(h)));
    }
  }

  private Pool now(Hstate h) {
    boolean persistent = h.freeHugePages <= h.persistentHugePages();
    return new Pool(h, h.surplusHugePages, persistent, wholeFree(h, ALL_NODES));
  }

  /** HVO is on, and no memory holds its own memmap, which is not optimised. */
  private static boolean optimises(LabKernel kernel) {
    return kernel.hugetlb().vmemmap().vmemmapOptimizeEnabled()
        && kernel.hotplug().blocks().all().stream().allMatch(block -> block.altmap() == null);
  }

  /** True when each node has twice the memory for so many pages of the step's pool. */
  private boolean roomFor(String count) {
    Hstates hstates = kernel.hugetlb().hstates();
    Hstate h =
        hstates.all().stream()
            .filter(each -> step.what().contains(each.name() + "/"))
            .findFirst()
            .orElseGet(hstates::defaultHstate);
    long pages = Kstrtox.kstrtoul(count, 10).value();
    long wanted = 2 * pages * h.pagesPerHugePage() + ROOM;
    return pages < ROOM
        && mm.nodes().online().stream()
            .filter(each -> each.nodePresentPages != 0)
            .allMatch(each -> forMemmap(each).mapToLong(zone -> zone.nrFreePages).sum() >= wanted);
  }

  /** The zones of a node that give pages for memmap and page tables. */
  private static Stream<Zone> forMemmap(PgData node) {
    return Stream.of(node.zones()).filter(zone -> zone.idx() != ZoneType.ZONE_MOVABLE);
  }

  /**
   * Looks again, after the step returned {@code rc}.
   *
   * @param failed true when something failed so far that the machine was told to fail
   * @param broke gets what is broken, rule and words
   */
  void kept(int rc, boolean failed, BiConsumer<String, String> broke) {
    end(broke);
    if (rc == 0) {
      pools.stream().filter(Pool::persistent).forEach(pool -> shrunk(pool, broke));
    }
    if (rc == 0 && optimises && !failed) {
      pools.forEach(pool -> grown(pool, broke));
    }
  }

  /** Looks at the pools of a boot in which nothing failed; {@code broke} as above. */
  static void booted(LabKernel kernel, BiConsumer<String, String> broke) {
    Promises boot = new Promises(kernel, Step.pool(0));
    List<Hstate> all = kernel.hugetlb().hstates().all();
    long taken = all.stream().mapToLong(h -> h.nrHugePages * h.pagesPerHugePage()).sum();
    long present =
        kernel.mm().nodes().online().stream()
            .flatMap(Promises::forMemmap)
            .mapToLong(zone -> zone.presentPages)
            .sum();
    if (optimises(kernel) && 2 * taken + ROOM <= present) {
      all.forEach(h -> boot.grown(new Pool(h, 0, true, 0), broke));
    }
  }

  private void grown(Pool pool, BiConsumer<String, String> broke) {
    long more = wholeFree(pool.h(), ALL_NODES) - pool.whole();
    if (more > 0 && saves(kernel, pool.h())) {
      broke.accept(
          RuleBook.OPTIMISES,
          "%s: %d new pages have a memmap of their own".formatted(pool.h().name(), more));
    }
  }

  /** Struct pages of a hugepage take more than the one page that stays, and tails can be shared. */
  private static boolean saves(LabKernel kernel, Hstate h) {
    MmConfig config = kernel.spec().config();
    return config.hugetlbOptimizeVmemmap()
        && config.structPageIsPowerOf2()
        && (long) h.pagesPerHugePage() * config.sizeofStructPage() > kernel.mm().model().pageSize();
  }

  private void end(BiConsumer<String, String> broke) {
    long now = kernel.maxPfn();
    boolean device = step.what().equals("bind") || step.what().equals("unbind");
    boolean x86 = kernel.spec().arch().equals(Profile.X86_64);
    if (now < maxPfn || (now != maxPfn && device && x86)) {
      broke.accept(
          RuleBook.MAX_PFN, "max_pfn was 0x%x, a %s makes it 0x%x".formatted(maxPfn, step.what(), now));
    }
  }

  private void shrunk(Pool pool, BiConsumer<String, String> broke) {
    Hstate h = pool.h();
    if (h.surplusHugePages > pool.surplus()) {
      long may = Math.max(h.resvHugePages, h.persistentHugePages());
      long whole = wholeFree(h, ALL_NODES) - may;
      long stay = node == ALL_NODES ? whole : Math.min(whole, wholeFree(h, node));
      if (stay > 0) {
        broke.accept(
            RuleBook.FREE_FIRST,
            "%s: %d pages became surplus, and %d that were free stay"
                .formatted(h.name(), h.surplusHugePages - pool.surplus(), stay));
      }
    }
  }

  /** Free pages, of a node or of all, that take no memory to be freed. */
  private long wholeFree(Hstate h, int nid) {
    long whole = 0;
    for (var each : mm.nodes().online()) {
      if (nid == ALL_NODES || nid == each.nodeId()) {
        ListHead head = h.hugepageFreelists(each.nodeId());
        for (ListHead at = mm.lists().first(head); at.va() != head.va(); at = mm.lists().next(at)) {
          Folio folio = new Folio(mm.struct().ofLru(at));
          boolean optimised =
              kernel.hugetlb().folios().test(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
          whole += optimised ? 0 : 1;
        }
      }
    }
    return whole;
  }
}
