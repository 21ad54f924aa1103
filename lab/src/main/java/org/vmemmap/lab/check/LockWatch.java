// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static java.util.Map.entry;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.vmemmap.machine.YieldPoints;

/**
 * Holds what one CPU does against the locks that the kernel says it must have then.
 *
 * <pre>
 *   zone->lock               free lists and their counts, isolated pageblocks
 *   pcp->lock                pages of a CPU's lists
 *   hugetlb_lock             counters and lists of pools
 *   mem_hotplug_lock         present pages, pages of an altmap
 *   cma->lock                free pages of an area
 *   pgd_lock                 the list of roots
 *   device_hotplug_lock      what asks for it
 *   init_mm.page_table_lock  a table that takes the place of a leaf; others are entered, and
 *     or mem_hotplug_lock    taken out, by memory hotplug; top-level entries are copied
 *     or pgd_lock            to other roots
 * </pre>
 *
 * A lock that is left without being held is no error here: who leaves out taking it leaves out both.
 */
final class LockWatch implements YieldPoints.Listener {
  private static final String ZONE = "zone->lock";
  private static final String HUGETLB = "hugetlb_lock";
  private static final String PGD = "pgd_lock";
  private static final String HOTPLUG = "mem_hotplug_lock";

  /** What boot counts before there is another CPU, without the lock. */
  private static final Set<String> EARLY = Set.of("available_count", "max_huge_pages");

  /** Lock by what is counted under it. */
  private static final Map<String, String> GUARDS =
      Map.ofEntries(
          entry("nr_free", ZONE),
          entry("nr_free_pages", ZONE),
          entry("nr_free_pages_blocks", ZONE),
          entry("nr_free_cma", ZONE),
          entry("nr_free_highatomic", ZONE),
          entry("nr_isolate_pageblock", ZONE),
          entry("pcp->count", "pcp->lock"),
          entry("nr_huge_pages", HUGETLB),
          entry("nr_huge_pages_node", HUGETLB),
          entry("free_huge_pages", HUGETLB),
          entry("free_huge_pages_node", HUGETLB),
          entry("surplus_huge_pages", HUGETLB),
          entry("surplus_huge_pages_node", HUGETLB),
          entry("resv_huge_pages", HUGETLB),
          entry("present_pages", HOTPLUG),
          entry("present_early_pages", HOTPLUG),
          entry("node_present_pages", HOTPLUG),
          entry("altmap->alloc", HOTPLUG),
          entry("hugepage_activelist", HUGETLB),
          entry("hugepage_freelists", HUGETLB),
          entry("pgd_list", PGD),
          entry("max_huge_pages", HUGETLB),
          entry("available_count", "cma->lock"));

  /** Locks that functions ask for themselves. */
  private static final Set<String> SELVES = Set.of(HUGETLB, HOTPLUG, "device_hotplug_lock");

  /** Writes to tables above the last level, and the locks of which one must be held. */
  private static final List<String> TABLE_WRITES =
      List.of("set_pmd", "set_pud", "set_p4d", "set_pgd");

  private static final List<String> TABLE_LOCKS =
      List.of("init_mm.page_table_lock", HOTPLUG, PGD);

  private final List<String> held = new ArrayList<>();
  private boolean booted;
  private String rule = "";
  private String found = "";
  private String function = "";

  @Override
  public void lock(String name, long number) {
    if (held.contains(key(name, number))) {
      broke(RuleBook.DEADLOCK, name + " is taken, and was never left");
    }
    held.add(key(name, number));
  }

  @Override
  public void unlock(String name, long number) {
    held.remove(key(name, number));
  }

  @Override
  public void reached(String what, long where) {
    if (booted && TABLE_WRITES.contains(what) && TABLE_LOCKS.stream().noneMatch(this::holds)) {
      broke(RuleBook.LOCKS, what + " at va=0x" + Long.toHexString(where) + " without a lock");
    }
  }

  @Override
  public void touched(String what) {
    String guard = booted || !EARLY.contains(what) ? GUARDS.getOrDefault(what, what) : what;
    boolean guarded = !guard.equals(what) || SELVES.contains(what);
    if (guarded && !holds(guard)) {
      broke(RuleBook.LOCKS, what + " is used without " + guard);
    }
  }

  /** To be called at rest: no lock is held, and boot is over. */
  void rest() {
    if (!held.isEmpty()) {
      broke(RuleBook.LOCKS, held.getFirst() + " is never left");
    }
    booted = true;
  }

  /** The rule that was broken first; empty for none. */
  String rule() {
    return rule;
  }

  /** How. */
  String found() {
    return found;
  }

  /** The kernel function that broke it. */
  String function() {
    return function;
  }

  private boolean holds(String name) {
    String start = key(name, 0).substring(0, name.length() + 1);
    return held.stream().anyMatch(each -> each.startsWith(start));
  }

  private static String key(String name, long number) {
    return name + " " + number;
  }

  private void broke(String broken, String what) {
    if (rule.isEmpty()) {
      KernelFunction running = KernelFunction.innermost();
      rule = broken;
      found = what;
      function = running == null ? "" : running.toString();
    }
  }
}
