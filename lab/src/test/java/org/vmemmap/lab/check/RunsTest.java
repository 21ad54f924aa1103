// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.lab.observe.MarkedMemmap;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Owner;

/** Runs that start from a fork of a kernel end as runs that boot, and look at as much. */
class RunsTest {
  private static final World PC = World.of("x86-64-4");

  private static Scenario scenario(String name) {
    return Scenario.standard(name, List.of(PC)).getFirst();
  }

  private static String end(Trial.Result result) {
    return result.outcome() + " after " + result.failed();
  }

  /** Each run of two scenarios, from a fork and from power-on. Expect the same ends. */
  @Test
  void run_fromAFork_endsAsFromPowerOn() {
    for (Scenario scenario : List.of(scenario("page"), scenario("boot"))) {
      Runs runs = new Runs(scenario, "", (site, selection) -> {});
      int sites = runs.clean().sites().size();
      assertTrue(sites > 8, () -> sites + " sites");
      for (int n = 1; n <= sites; n++) {
        for (Selection selection : List.of(Selection.only(n), Selection.from(n))) {
          assertEquals(
              end(Trial.run(scenario, selection, "")),
              end(runs.run(selection, "")),
              scenario.name() + " " + selection.text());
        }
      }
    }
  }

  /** An earlier step again after a later one. Expect the end that it had before. */
  @Test
  void run_backToAnEarlierStep_endsAsBefore() {
    Runs runs = new Runs(scenario("page"), "", (site, selection) -> {});
    List<String> first = new ArrayList<>();
    for (int n = 1; n <= runs.clean().sites().size(); n++) {
      first.add(end(runs.run(Selection.only(n), "")));
    }
    for (int n = first.size(); n >= 1; n--) {
      assertEquals(first.get(n - 1), end(runs.run(Selection.only(n), "")), "only " + n);
    }
  }

  /**
   * A device is bound, pages are made, memory runs out; then back. Expect every file that shows the
   * machine to read as before, and the same allocations to get the same pages.
   */
  @Test
  void restore_afterMuchHasChanged_leavesNoTrace() {
    Scenario scenario = scenario("dax");
    LabKernel kernel = LabKernel.boot(scenario.spec(), Placement.NONE);
    Fork fork = Fork.of(kernel);
    String before = seen(kernel);
    List<String> ends = new ArrayList<>();
    Workbench bench = new Workbench(kernel);
    for (int round = 0; round < 3; round++) {
      for (Step step : scenario.steps()) {
        bench.run(step);
      }
      kernel.write("/proc/sys/vm/nr_hugepages", "1000");
      ends.add(seen(kernel));
      fork.restore();
      assertEquals(before, seen(kernel));
    }
    assertEquals(ends.get(0), ends.get(1));
    assertEquals(ends.get(0), ends.get(2));
    assertTrue(!ends.getFirst().equals(before), "nothing has changed");
  }

  private static String seen(LabKernel kernel) {
    StringBuilder text = new StringBuilder();
    for (String file :
        List.of("/proc/vmstat", "/proc/zoneinfo", "/proc/meminfo", "/proc/iomem", "/dev/kmsg")) {
      text.append(kernel.read(file)).append('\n');
    }
    MemmapReader reader = new MemmapReader(kernel.mm());
    for (long pfn = 0; pfn < kernel.mm().machine().ledger().frames(); pfn++) {
      text.append(kernel.mm().machine().ledger().ownerOf(pfn).name());
      text.append(reader.mapped(pfn) ? java.util.Arrays.toString(reader.words(pfn)) : "-");
    }
    return text.toString();
  }

  /** An object of a class that the fork does not know. Expect it to be refused by name. */
  @Test
  void of_objectOfAnUnknownClass_isRefused() {
    LabKernel kernel = LabKernel.boot(scenario("page").spec(), Placement.NONE);
    assertNotNull(Fork.of(kernel));
    kernel.mm().machine().omissions().drop(Predicate.isEqual("flush_all"));
    String message =
        String.valueOf(
            assertThrows(IllegalStateException.class, () -> Fork.of(kernel)).getMessage());
    assertTrue(message.contains("an object of java.util.function.Predicate"), message);
  }

  /** Struct pages and tables are damaged after a mark. Expect what a look at everything finds. */
  @Test
  void check_withAMark_findsWhatAFullCheckFinds() {
    Scenario scenario = scenario("page");
    LabKernel kernel = LabKernel.boot(scenario.spec(), Placement.NONE);
    assertEquals(0, kernel.write("/proc/sys/vm/nr_hugepages", "3"));
    long hugepage = 0;
    while (kernel.mm().machine().ledger().ownerOf(hugepage) != Owner.HUGEPAGE) {
      hugepage++;
    }
    Fork fork = Fork.of(kernel);
    MarkedMemmap marked = MarkedMemmap.of(kernel);
    assertNotNull(marked);
    assertEquals(List.of(), Invariants.check(kernel, marked).violations());
    long head = hugepage;
    List<Consumer<LabKernel>> damages =
        List.of(
            damaged -> word(damaged, head, 0, 1L << 59),
            damaged -> word(damaged, head, 0, 0),
            damaged -> word(damaged, head + 1, 0, 3),
            damaged -> word(damaged, head + 65, 1, 1),
            damaged -> word(damaged, head - 1, 1, 1),
            damaged -> unmap(damaged, head + 64),
            damaged -> unmap(damaged, head - 1),
            damaged -> damaged.mm().nodes().online().getFirst().zones()[1].zoneStartPfn += 64,
            damaged -> damaged.mm().vmstat().memmapBootPagesAdd(1));
    for (Consumer<LabKernel> damage : damages) {
      damage.accept(kernel);
      List<Invariants.Violation> all = Invariants.check(kernel).violations();
      assertTrue(!all.isEmpty(), "no violation by damage " + damages.indexOf(damage));
      assertEquals(all, Invariants.check(kernel, marked).violations());
      fork.restore();
    }
    assertEquals(List.of(), Invariants.check(kernel).violations());
  }

  private static void word(LabKernel kernel, long pfn, int index, long value) {
    MemmapReader reader = new MemmapReader(kernel.mm());
    long paddr = reader.paddr(reader.address(pfn) + 8L * index);
    kernel.mm().machine().memory().setLong(paddr, value);
  }

  private static void unmap(LabKernel kernel, long pfn) {
    long va = kernel.mm().model().pfnToPage(pfn).va();
    long root = kernel.mm().model().pa(kernel.mm().pgtable().initMmPgd());
    long entry = kernel.mm().machine().mmu().walk(root, va).entryPaddr();
    kernel.mm().machine().memory().setLong(entry, 0);
  }
}
