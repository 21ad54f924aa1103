// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.hotplug;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.lab.boot.Boards;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.sparse.MemoryHotplug.MhpParams;
import org.vmemmap.types.KernelBug;

/**
 * Sub-sections of one section come and go in every order.
 *
 * <pre>
 *   section   | A | B | C |                    ... |     2 MiB each, a device each
 *   memmap    | a | b | c |                              less than a page each with large pages
 * </pre>
 *
 * After each step all invariants hold, or the step is refused with all as before. Where the kernel
 * itself breaks, the test says how: see findings 3 and 25.
 */
final class SubsectionOrdersTest {
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final long SUBSECTION = 2 * MIB;
  private static final int DEVICES = 3;
  private static final int PARTS = 4;

  /** All orders of three. */
  private static final List<List<Integer>> ORDERS =
      List.of(
          List.of(0, 1, 2),
          List.of(0, 2, 1),
          List.of(1, 0, 2),
          List.of(1, 2, 0),
          List.of(2, 0, 1),
          List.of(2, 1, 0));

  /** Three devices are added in each order and removed in each order, 216 steps. Expect peace. */
  @ParameterizedTest
  @ValueSource(
      strings = {"x86-64", "arm64-4K", "powerpc-4K-radix", "powerpc-64K-radix", "powerpc-64K-hash"})
  void addRemove_everyOrder_holds(String machine) {
    assertEquals(Map.of(), everyOrder(machine));
  }

  /**
   * The same where two devices share a page of memmap and nobody counts (finding 3), or where the
   * second device of a section finds its own mark and takes its memmap for mapped (finding 25).
   * Expect just that: the step at which the first sequence reads or writes a struct page that is not
   * mapped.
   */
  @ParameterizedTest
  @CsvSource({
    "arm64-16K, remove 1",
    "arm64-64K, remove 1",
    "powerpc-4K-hash, add 1",
  })
  void addRemove_kernelsOwnBugs_areTheOnlyOnes(String machine, String step) {
    Map<String, String> broken = everyOrder(machine);
    assertEquals(List.of("crash"), List.copyOf(broken.keySet()), broken::toString);
    String first = String.valueOf(broken.get("crash"));
    assertTrue(first.contains(step + ", not-present va=0x"), first);
  }

  /**
   * A range of four sub-sections is added; each range inside of it is removed, and added again; then
   * all goes.
   *
   * <pre>
   *   | A | A | A | A |   ->   | A |   |   | A |   ->   | A | A | A | A |   ->   nothing
   * </pre>
   */
  @ParameterizedTest
  @ValueSource(
      strings = {"x86-64", "arm64-4K", "powerpc-4K-radix", "powerpc-64K-radix", "powerpc-64K-hash"})
  void removeInside_everyRange_holdsAndComesBack(String machine) {
    LabKernel kernel = boot(machine);
    long pages = SUBSECTION / kernel.mm().model().pageSize();
    long start = kernel.mm().model().physPfn(room(kernel));
    for (int from = 0; from < PARTS; from++) {
      for (int to = from + 1; to <= PARTS; to++) {
        long pfn = start + from * pages;
        long nr = (to - from) * pages;
        add(kernel, start, PARTS * pages);
        remove(kernel, pfn, nr);
        add(kernel, pfn, nr);
        remove(kernel, start, PARTS * pages);
        assertEquals(0, kernel.mm().vmstat().nrMemmapPages());
      }
    }
  }

  /**
   * A sub-section of a section that was added whole goes and comes back (finding 37).
   *
   * <pre>
   *   x86-64     | leaf        |  ->  | leaf, 8 frames less counted |  ->  base pages in the leaf's frame
   *   arm64-4K   | leaf        |  ->  nothing                       ->  | base pages |
   *   radix      | base pages  |  ->  | base pages |   | base pages |  ->  | base pages |
   * </pre>
   */
  @ParameterizedTest
  @CsvSource({
    "x86-64, memmap-counters, memmap-frames-booked",
    "arm64-4K, memmap-counters struct-page-mapped, memmap-counters struct-page-mapped",
    "powerpc-4K-radix, '', ''",
  })
  void removeInside_wholeSection_breaksWhereItHasALeaf(String machine, String gone, String back) {
    LabKernel kernel = boot(machine);
    long pages = SUBSECTION / kernel.mm().model().pageSize();
    long start = kernel.mm().model().physPfn(room(kernel));
    long part = start + 5 * pages;
    add(kernel, start, kernel.mm().mmzone().pagesPerSection());
    kernel.memoryHotplug().removePages(part, pages, null, null);
    assertEquals(gone, rules(kernel));
    assertEquals(0, kernel.memoryHotplug().addPages(0, part, pages, new MhpParams(null, null)));
    assertEquals(back, rules(kernel));
  }

  private static String rules(LabKernel kernel) {
    return Invariants.check(kernel).violations().stream()
        .map(Invariants.Violation::rule)
        .distinct()
        .sorted()
        .collect(Collectors.joining(" "));
  }

  private static void add(LabKernel kernel, long pfn, long nr) {
    assertEquals(0, kernel.memoryHotplug().addPages(0, pfn, nr, new MhpParams(null, null)));
    assertEquals(List.of(), Invariants.check(kernel).violations());
  }

  private static void remove(LabKernel kernel, long pfn, long nr) {
    kernel.memoryHotplug().removePages(pfn, nr, null, null);
    assertEquals(List.of(), Invariants.check(kernel).violations());
    assertEquals(List.of(), kernel.mm().printk().warnings());
  }

  /** What broke, by kind, and the first sequence that broke it; a new machine after each. */
  private static Map<String, String> everyOrder(String machine) {
    Map<String, String> broken = new TreeMap<>();
    LabKernel kernel = boot(machine);
    for (List<Integer> added : ORDERS) {
      for (List<Integer> removed : ORDERS) {
        List<String> steps = new ArrayList<>();
        String kind = run(kernel, added, removed, steps);
        if (kind != null) {
          broken.putIfAbsent(kind, String.join(", ", steps));
          kernel = boot(machine);
        }
      }
    }
    return broken;
  }

  private static @Nullable String run(
      LabKernel kernel, List<Integer> added, List<Integer> removed, List<String> steps) {
    try {
      for (int device : added) {
        steps.add("add " + device);
        long start = room(kernel) + device * SUBSECTION;
        int rc = kernel.dax().memremap("dev" + device, start, SUBSECTION, 0, null, 0);
        if (rc != 0) {
          return "refused " + rc;
        }
        String rule = check(kernel);
        if (rule != null) {
          return rule;
        }
      }
      for (int device : removed) {
        steps.add("remove " + device);
        kernel.dax().memunmap("dev" + device);
        String rule = check(kernel);
        if (rule != null) {
          return rule;
        }
      }
      return kernel.mm().vmstat().nrMemmapPages() == 0 ? null : "nr_memmap_pages";
    } catch (MachineFault | KernelBug e) {
      steps.add(String.valueOf(e.getMessage()));
      return "crash";
    }
  }

  private static @Nullable String check(LabKernel kernel) {
    List<Invariants.Violation> violations = Invariants.check(kernel).violations();
    if (!violations.isEmpty()) {
      return violations.getFirst().rule();
    }
    List<String> warnings = kernel.mm().printk().warnings();
    return warnings.isEmpty() ? null : warnings.getFirst();
  }

  private static long room(LabKernel kernel) {
    return kernel.spec().deviceMemory().getFirst().start();
  }

  private static LabKernel boot(String machine) {
    Profile profile =
        switch (machine) {
          case "arm64-4K" -> Boards.arm64(4096, null);
          case "arm64-16K" -> Boards.arm64(16384, null);
          case "arm64-64K" -> Boards.arm64(65536, null);
          case "powerpc-4K-radix" -> Boards.powerpc(4096, Profile.RADIX);
          case "powerpc-64K-radix" -> Boards.powerpc(65536, Profile.RADIX);
          case "powerpc-4K-hash" -> Boards.powerpc(4096, Profile.HASH);
          default -> Boards.powerpc(65536, Profile.HASH);
        };
    MachineSpec spec =
        machine.equals("x86-64")
            ? MachineSpecs.ofSize(64 * MIB, 1, List.of(), 4, List.of())
            : Boards.ofSize(
                profile, machine.equals("arm64-64K") ? 512 * MIB : 256 * MIB, 1, List.of(), List.of());
    long start = (spec.endOfMemory() + GIB - 1) / GIB * GIB;
    List<Ram> room = List.of(new Ram(start, start + DEVICES * SUBSECTION + SUBSECTION, 0));
    return LabKernel.boot(spec.withMemory(MemoryRanges.Kind.DEVICE, room), Placement.NONE);
  }
}
