// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.function.Predicate;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.check.Deviation;
import org.vmemmap.lab.check.KernelFunction;
import org.vmemmap.lab.check.World;
import org.vmemmap.machine.Machine;

/**
 * The broken twin of a scenario: the same without the one step that protects it. It must fail, and by
 * the rule that the step keeps.
 *
 * @param without the step, in a line
 * @param breaks what it breaks; the first on its usual machine, others where pages or tables differ
 * @param omitted makes, for each run of a machine, what accepts the calls that are left out
 * @param hvo whether the twin's kernel has HugeTLB vmemmap optimization whatever its architecture
 */
record Twin(
    String without, List<Break> breaks, Function<Machine, Predicate<String>> omitted, boolean hvo) {
  /**
   * A way to fail.
   *
   * @param rule the rule that is broken
   * @param found how what is found begins
   */
  record Break(String rule, String found) {
    boolean is(Deviation deviation) {
      return deviation.rule().equals(rule) && deviation.detail().startsWith(found);
    }
  }

  /** Copies the list. */
  Twin {
    breaks = List.copyOf(breaks);
  }

  /** Without the calls that {@code omitted} accepts; how it fails is for {@link #breaks} to say. */
  static Twin without(Function<Machine, Predicate<String>> omitted) {
    return new Twin("", List.of(), omitted, false);
  }

  /** Without all calls of {@code primitive}, as {@code Omissions} names it. */
  static Twin without(String primitive, String text) {
    return without(machine -> primitive::equals).saying(text);
  }

  /** Without those that the kernel function {@code symbol} makes. */
  static Twin in(String symbol, String primitive, String text) {
    return without(machine -> call -> call.equals(primitive) && runs(symbol)).saying(text);
  }

  /**
   * With all flushes of kind {@code primitive} in the kernel function {@code symbol} reaching the CPU
   * that makes them, and no other.
   */
  static Twin local(String symbol, String primitive, String text) {
    return local(call -> true, symbol, primitive, text);
  }

  /** The same with the {@code n}-th of them, counted from 1. */
  static Twin local(int n, String symbol, String primitive, String text) {
    return local(call -> call == n, symbol, primitive, text);
  }

  private static Twin local(IntPredicate which, String symbol, String primitive, String text) {
    Function<Machine, Predicate<String>> omitted =
        machine -> {
          AtomicInteger calls = new AtomicInteger();
          return call -> {
            boolean left =
                call.equals(primitive) && runs(symbol) && which.test(calls.incrementAndGet());
            if (left) {
              machine.cpu().tlb().flushAll();
            }
            return left;
          };
        };
    return without(omitted).saying(text);
  }

  /** With HugeTLB vmemmap optimization on an architecture that does not select it. */
  static Twin selecting(String text) {
    return new Twin(text, List.of(), machine -> call -> false, true);
  }

  private Twin saying(String text) {
    return new Twin(text, breaks, omitted, hvo);
  }

  /** It fails by {@code rule}, and what is found begins with {@code found}; or as said before. */
  Twin breaks(String rule, String found) {
    List<Break> all = new ArrayList<>(breaks);
    all.add(new Break(rule, found));
    return new Twin(without, all, omitted, hvo);
  }

  /** True when {@code deviation} is how it must fail. */
  boolean failsBy(Deviation deviation) {
    return breaks.isEmpty() || breaks.stream().anyMatch(each -> each.is(deviation));
  }

  /** The rules that it breaks. */
  String rules() {
    return breaks.stream().map(Break::rule).distinct().collect(joining(" or "));
  }

  /** Why it breaks nothing on such a machine; empty when it does. */
  String missing(World world) {
    return hvo && !world.name().startsWith(Profile.ARM64) ? "no break-before-make" : "";
  }

  /** The machine of its scenario as it needs it. */
  MachineSpec on(MachineSpec spec) {
    return hvo ? spec.withConfig(spec.config().withHugetlbOptimizeVmemmap(true)) : spec;
  }

  private static boolean runs(String symbol) {
    KernelFunction function = KernelFunction.innermost();
    return function != null && function.symbol().equals(symbol);
  }
}
