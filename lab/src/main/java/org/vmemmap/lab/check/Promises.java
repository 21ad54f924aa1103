// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.types.Folio;
import org.vmemmap.types.ListHead;
import org.vmemmap.types.Mm;

/**
 * What a step must leave as it was, or must have done, that the machine at rest does not tell.
 *
 * <p>{@link RuleBook#MAX_PFN}: max_pfn never falls. On arm64 and powerpc all that arch_add_memory()
 * adds raises it, devices too. On x86 what has a pgmap does not, at no level of the series.
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

  /** A pool whose free pages were all persistent. */
  private record Pool(Hstate h, long surplus) {}

  private final LabKernel kernel;
  private final Mm mm;
  private final Step step;
  private final long maxPfn;
  private final List<Pool> pools = new ArrayList<>();
  private int node = ALL_NODES;

  /** Looks at {@code kernel}, which will do {@code step}. */
  Promises(LabKernel kernel, Step step) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.step = step;
    this.maxPfn = kernel.maxPfn();
    Matcher path = RESIZES.matcher(step.what());
    if (step.writes() && path.matches()) {
      String number = path.group(2);
      node = number == null ? ALL_NODES : Integer.parseInt(number);
      kernel.hugetlb().hstates().all().stream()
          .filter(h -> h.freeHugePages <= h.persistentHugePages())
          .forEach(h -> pools.add(new Pool(h, h.surplusHugePages)));
    }
  }

  /** Looks again, after the step returned {@code rc}; what is broken, rule and words, goes to {@code broke}. */
  void kept(int rc, BiConsumer<String, String> broke) {
    end(broke);
    if (rc == 0) {
      pools.forEach(pool -> shrunk(pool, broke));
    }
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
