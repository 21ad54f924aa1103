// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.Omissions;
import org.vmemmap.types.KernelPanic;

/** Each rule of operations, and that of freed frames, reports what is planted to break it. */
class PlantedRulesTest {
  private static final World PC = World.of("x86-64-4");

  private static Scenario scenario(String name) {
    return Scenario.standard(name, List.of(PC)).getFirst();
  }

  private static Trial.Result without(
      Scenario scenario, Selection failing, Predicate<String> calls) {
    return Trial.run(scenario, failing, "again", machine -> machine.omissions().drop(calls));
  }

  private static String rule(Trial.Result result) {
    Deviation deviation = result.deviation();
    return deviation == null ? "" : deviation.rule();
  }

  private static boolean in(String symbol) {
    KernelFunction function = KernelFunction.innermost();
    return function != null && function.symbol().equals(symbol);
  }

  /** A device cannot be bound, and what was counted stays counted. Expect the failed operation. */
  @Test
  void failedOperation_counterNotTakenBack_isFound() {
    Scenario dax = scenario("dax");
    Predicate<String> calls =
        call -> call.startsWith(Omissions.ADD) && in("depopulate_section_memmap");
    long steps = Trial.run(dax, Selection.NONE, "again").sites().size();
    boolean found = false;
    for (long n = steps / 3; n > 0 && !found; n--) {
      found = rule(without(dax, Selection.only(n), calls)).equals(RuleBook.FAILED_OPERATION);
    }
    assertTrue(found, "none of " + steps / 3 + " failures of the first bind");
  }

  /** The kernel panics at its first flush after boot. Expect the rule, and the message. */
  @Test
  void panic_atRunTime_isFound() {
    Trial.Result result =
        without(
            scenario("page"),
            Selection.NONE,
            call -> {
              if (call.equals(Omissions.FLUSH_ALL)) {
                throw new KernelPanic("planted");
              }
              return false;
            });
    assertEquals(RuleBook.PANIC, rule(result));
  }

  /** The first page of an optimised memmap is not copied. Expect a crash on what was there before. */
  @Test
  void crash_headNotCopied_isFound() {
    Trial trial =
        new Trial(
            scenario("pool"),
            Selection.NONE,
            machine -> machine.omissions().drop(Omissions.COPY::equals));
    trial.go();
    assertTrue(trial.found().startsWith(RuleBook.CRASH), trial::found);
  }

  /** The kernel warns between two steps. Expect the warning to be found at rest. */
  @Test
  void warning_planted_isFound() {
    Trial trial = new Trial(scenario("page"), Selection.NONE);
    while (!trial.kernel().booted()) {
      trial.stage();
    }
    trial.kernel().mm().printk().warnOnOnce(true, "planted");
    trial.stage();
    assertEquals(RuleBook.WARNING + ", WARNING: planted", trial.found());
  }

  /** A step returns with a lock held. Expect that to be found at rest. */
  @Test
  void locks_hotplugLockNeverLeft_isFound() {
    Trial trial = new Trial(scenario("page"), Selection.NONE);
    while (!trial.kernel().booted()) {
      trial.stage();
    }
    trial.kernel().hotplug().locks().memHotplugBegin();
    trial.stage();
    assertEquals(
        RuleBook.LOCKS + ", mem_hotplug_lock or device_hotplug_lock is never left", trial.found());
  }

  /** A step that is no number, in a scenario all of whose steps must succeed. Expect it to be told. */
  @Test
  void step_fails_isFound() {
    Scenario page = scenario("page");
    Scenario wrong =
        page.withSteps(List.of(Step.write("/proc/sys/vm/nr_hugepages", "many")));
    assertEquals(RuleBook.STEP, rule(Trial.run(wrong, Selection.NONE, "again")));
  }

  /**
   * Frames are freed without the flush before. Expect a report at that moment, with the frame, and
   * the kernel functions on the way there.
   *
   * <pre>
   *   cache     va -> old frame ............................ still there
   *   tables    va -> shared tail | flush is left out | old frame is freed
   * </pre>
   */
  @Test
  void freedFrame_stillCached_isFoundWhenItIsFreed() {
    Trial.Result result =
        without(scenario("pool"), Selection.NONE, Omissions.FLUSH_ALL::equals);
    assertEquals(RuleBook.FREED, rule(result));
    String text = java.util.Objects.requireNonNull(result.deviation()).text();
    assertTrue(text.contains("tlb-reaches-freed-frame frame=0x"), text);
    assertTrue(text.contains("to=BUDDY cpu=0"), text);
    assertTrue(text.contains("vmemmap_remap_pte (mm/hugetlb_vmemmap.c)"), text);
  }
}
