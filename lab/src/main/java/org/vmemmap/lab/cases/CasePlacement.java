// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.MachineAware;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/**
 * The places of a case's hugepages as advice to the allocators.
 *
 * <p>A step without a placement may still look closely at a hugepage; then that one is where the
 * step looks for it, and the others may be anywhere.
 *
 * <p>Advice is for the step that runs: its pages that are still free, in the order of the file.
 * What any step will use is kept from everybody else during the whole case, since a frame that was
 * given away would not come back in time.
 */
final class CasePlacement implements Placement, MachineAware {
  private static final int ANY_NODE = VmemmapCase.PlacedPages.ANY_NODE;
  private static final int NO_ORDER = -1;

  private final List<VmemmapCase.Step> steps;
  private final List<VmemmapCase.PlacedPages> mapped;
  private final TreeMap<Long, Long> kept = new TreeMap<>();
  private int smallest = Integer.MAX_VALUE;
  private List<VmemmapCase.PlacedPages> wanted = List.of();
  private boolean complete;
  private int limitedOrder = NO_ORDER;
  private int limitedNode = ANY_NODE;
  private @Nullable Mm mm;

  /** Knows the places of all steps; advises for none of them yet. */
  CasePlacement(VmemmapCase one) {
    this.steps = one.steps();
    this.mapped = mapped(one);
    for (VmemmapCase.Step step : steps) {
      for (VmemmapCase.PlacedPages pages : pages(step)) {
        for (long pfn : pages.pfns()) {
          smallest = Math.min(smallest, pages.order());
          kept.merge(pfn, pfn + (1L << pages.order()), Math::max);
        }
      }
    }
    join();
  }

  private List<VmemmapCase.PlacedPages> pages(VmemmapCase.Step step) {
    VmemmapCase.PlacedStep placement = step.placement();
    if (placement != null) {
      return placement.pages();
    }
    List<VmemmapCase.PlacedPages> found = lookedAt(step.expect());
    found.addAll(mapped);
    return found;
  }

  /** The hugepages that processes map: they are in the pool before. */
  private static List<VmemmapCase.PlacedPages> mapped(VmemmapCase one) {
    List<VmemmapCase.PlacedPages> found = new ArrayList<>();
    for (VmemmapCase.Step step : one.steps()) {
      for (VmemmapCase.Operation operation : step.operations()) {
        if (operation.args() instanceof VmemmapCase.MapHugepage map && map.map() && map.size() > 0) {
          long pages = map.size() / one.machine().profile().pageSize();
          int order = Long.numberOfTrailingZeros(pages);
          found.add(
              new VmemmapCase.PlacedPages(order, ANY_NODE, null, List.of(map.pfn())));
        }
      }
    }
    return found;
  }

  /** The hugepages that the expectation looks at closely. */
  private static List<VmemmapCase.PlacedPages> lookedAt(JsonNode.Obj expect) {
    List<VmemmapCase.PlacedPages> found = new ArrayList<>();
    JsonNode ranges = expect.members().get("ranges");
    if (ranges instanceof JsonNode.Arr list) {
      for (JsonNode range : list.items()) {
        Map<String, JsonNode> keys = ((JsonNode.Obj) range).members();
        if (String.valueOf(keys.get("what")).equals("hugepage")) {
          long pages = Long.parseLong(String.valueOf(keys.get("pages")));
          long pfn = Long.parseLong(String.valueOf(keys.get("startPfn")));
          int order = Long.numberOfTrailingZeros(pages);
          found.add(
              new VmemmapCase.PlacedPages(
                  order, VmemmapCase.PlacedPages.ANY_NODE, null, List.of(pfn)));
        }
      }
    }
    return found;
  }

  /** Joins runs that touch or overlap, so that one look-up decides. */
  private void join() {
    List<Map.Entry<Long, Long>> all = new ArrayList<>(kept.entrySet());
    kept.clear();
    long start = -1;
    long end = -1;
    for (Map.Entry<Long, Long> run : all) {
      if (run.getKey() > end) {
        start = run.getKey();
      }
      end = Math.max(end, run.getValue());
      kept.put(start, end);
    }
  }

  @Override
  public void attach(Mm machine) {
    this.mm = machine;
  }

  /** Some architectures have hugepages that are smaller than a pageblock. */
  @Override
  public int smallestOrder(int pageblockOrder) {
    return Math.min(pageblockOrder, smallest);
  }

  /** Advises for step {@code number} from now on. */
  void enter(int number) {
    wanted = pages(steps.get(number));
    complete = steps.get(number).placement() != null;
    unlimit();
  }

  /**
   * Tells that a pool is about to get {@code count} pages of an order, on {@code nid} or, with -1, on
   * all nodes. When the step placed some but not so many, then the machine had no more: others, who
   * are not modelled, had the rest of its memory. Until {@link #unlimit} none but the placed ones is
   * to be had.
   */
  void limit(int order, int nid, long count) {
    long placed =
        wanted.stream()
            .filter(pages -> pages.order() == order && (nid < 0 || pages.node() == nid))
            .mapToLong(pages -> pages.pfns().size())
            .sum();
    boolean limited = complete && placed > 0 && placed < count;
    limitedOrder = limited ? order : NO_ORDER;
    limitedNode = nid;
  }

  /**
   * The same for the pages on the command line, of the one size that the page allocator has; larger
   * ones come from memblock.
   */
  void limitAtBoot(VmemmapCase.Boot boot, long pageSize, int maxPageOrder) {
    for (VmemmapCase.BootHugepages asked : boot.hugepages()) {
      boolean later =
          steps.getFirst().operations().stream()
              .anyMatch(o -> o.args() instanceof VmemmapCase.SetPool p && p.size() == asked.size());
      int order = Long.numberOfTrailingZeros(asked.size() / pageSize);
      if (order <= maxPageOrder && !later) {
        limit(order, ANY_NODE, asked(boot, asked.size()));
      }
    }
  }

  private static long asked(VmemmapCase.Boot boot, long size) {
    return boot.hugepages().stream()
        .filter(pages -> pages.size() == size)
        .mapToLong(VmemmapCase.BootHugepages::count)
        .sum();
  }

  /** Lets allocators look elsewhere again. */
  void unlimit() {
    limitedOrder = NO_ORDER;
  }

  @Override
  public boolean exhausted(int order, int nid) {
    return order == limitedOrder
        && (limitedNode < 0 || limitedNode == nid)
        && next(order, nid) < 0;
  }

  /** The hugepages that the step wants to have at its end: pfns of the heads, by order. */
  Map<Integer, Set<Long>> wanted() {
    Map<Integer, Set<Long>> heads = new TreeMap<>();
    for (VmemmapCase.PlacedPages pages : wanted) {
      for (long pfn : pages.pfns()) {
        heads.computeIfAbsent(pages.order(), order -> new HashSet<>()).add(pfn);
      }
    }
    return heads;
  }

  @Override
  public long next(int order, int nid) {
    for (VmemmapCase.PlacedPages pages : wanted) {
      if (pages.order() == order) {
        for (long pfn : pages.pfns()) {
          if (onNode(pages, pfn, nid) && free(pfn) && free(pfn + (1L << order) - 1)) {
            return pfn;
          }
        }
      }
    }
    return -1;
  }

  private boolean onNode(VmemmapCase.PlacedPages pages, long pfn, int nid) {
    if (nid < 0 || pages.node() == nid) {
      return true;
    }
    return pages.node() == VmemmapCase.PlacedPages.ANY_NODE
        && mm != null
        && pfn >= mm.nodes().nodeData(nid).nodeStartPfn
        && pfn < mm.nodes().nodeData(nid).endPfn();
  }

  private boolean free(long pfn) {
    if (mm == null) {
      return false;
    }
    FrameOwner owner = mm.machine().ledger().ownerOf(pfn);
    return owner == Owner.MEMBLOCK || owner == Owner.BUDDY;
  }

  @Override
  public boolean kept(long startPfn, long endPfn) {
    Map.Entry<Long, Long> before = kept.lowerEntry(endPfn);
    return before != null && before.getValue() > startPfn;
  }
}
