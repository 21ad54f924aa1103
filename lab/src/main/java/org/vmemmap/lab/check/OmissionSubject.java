// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.function.Predicate;
import java.util.function.Supplier;
import org.vmemmap.machine.Omissions;

/** Something that can be run without some calls of primitives. */
public interface OmissionSubject {
  /** Its name in reports. */
  String name();

  /** Runs it as it is; {@code heard} is asked about each call, and answers no. */
  void record(Predicate<String> heard);

  /**
   * Runs it, perhaps many times.
   *
   * @param dropped makes, for each run, what accepts the calls that are left out
   * @return the rule that was broken; empty for none
   */
  String run(Supplier<Predicate<String>> dropped);

  /** True for a call of those that guard a section. */
  private static boolean guards(String call) {
    return call.startsWith(Omissions.LOCK + " ") || call.startsWith(Omissions.UNLOCK + " ");
  }

  /** Refuses a subject that tells nothing, as it breaks {@code rule} by itself. */
  private static void silent(String name, String rule) {
    if (!rule.isEmpty()) {
      throw new IllegalStateException(name + " breaks " + rule + " with nothing left out");
    }
  }

  /** A scenario with someone who knows which locks must be held; only locks are left out. */
  static OmissionSubject locksOf(Scenario scenario) {
    return new OmissionSubject() {
      @Override
      public String name() {
        return "locks of " + scenario.name() + " on " + scenario.world().name();
      }

      @Override
      public void record(Predicate<String> heard) {
        silent(name(), run(() -> call -> guards(call) && heard.test(call)));
      }

      @Override
      public String run(Supplier<Predicate<String>> dropped) {
        return Trial.withoutLocks(scenario, dropped);
      }
    };
  }

  /** A scenario, on a machine whose memory holds garbage at power-on. */
  static OmissionSubject of(Scenario scenario) {
    return new OmissionSubject() {
      @Override
      public String name() {
        return scenario.name() + " on " + scenario.world().name();
      }

      @Override
      public void record(Predicate<String> heard) {
        silent(
            name(), Trial.without(scenario, () -> call -> !guards(call) && heard.test(call)));
      }

      @Override
      public String run(Supplier<Predicate<String>> dropped) {
        String rule = Trial.without(scenario, dropped);
        return rule.isEmpty() ? Trial.withoutOnOnes(scenario, dropped) : rule;
      }
    };
  }
}
