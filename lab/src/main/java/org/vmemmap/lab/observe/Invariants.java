// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;

/**
 * What must hold on every machine that is at rest, whatever was done to it.
 *
 * <p>Each rule holds two independent accounts of the same thing against each other: the ledger
 * against the page tables, the counters against the frames, struct pages against zones, free lists
 * against their counts. A violation names the rule and the frame or pfn.
 */
public final class Invariants {
  private static final int SHOWN_PER_RULE = 5;

  private final Map<String, long[]> checks = new LinkedHashMap<>();
  private final Map<String, Long> broken = new LinkedHashMap<>();
  private final List<Violation> violations = new ArrayList<>();

  Invariants() {}

  /**
   * A rule that does not hold.
   *
   * @param rule its name
   * @param unit what the number is: {@code frame}, {@code pfn} or {@code count}
   * @param number the frame, pfn or count
   * @param detail what was found and what should be
   */
  public record Violation(String rule, String unit, long number, String detail) {
    @Override
    public String toString() {
      return rule + " " + unit + "=0x" + Long.toHexString(number) + " " + detail;
    }
  }

  /**
   * What was checked and what was found.
   *
   * @param checks how many things were checked, by rule
   * @param violations what does not hold; of each rule the first few
   */
  public record Report(Map<String, Long> checks, List<Violation> violations) {
    /** Copies both. */
    public Report {
      checks = Collections.unmodifiableMap(new LinkedHashMap<>(checks));
      violations = List.copyOf(violations);
    }

    /** All things checked. */
    public long total() {
      return checks.values().stream().mapToLong(Long::longValue).sum();
    }
  }

  /** Checks everything on {@code kernel}, which is at rest. */
  public static Report check(LabKernel kernel) {
    return check(kernel, null);
  }

  /**
   * The same, for less.
   *
   * @param marked the same kernel at the mark of its memory; null looks at all struct pages
   */
  public static Report check(LabKernel kernel, @Nullable MarkedMemmap marked) {
    Invariants found = new Invariants();
    MemmapWalk walk = new MemmapWalk(kernel.mm());
    ZoneTails tails = new ZoneTails(kernel.mm());
    DeviceExceptions devices = new DeviceExceptions(kernel);
    ArchExceptions arch = ArchExceptions.of(kernel.spec());
    PageblockTypes types = new PageblockTypes(kernel.mm());
    new FrameRules(kernel, walk, tails, devices, arch, found).check();
    new TailRules(kernel.mm(), tails, found).check();
    new StructPageRules(kernel, marked, tails, devices, arch, found).check();
    new BuddyRules(kernel.mm(), kernel.pageAlloc(), types, found).check();
    new PageblockRules(kernel, types, devices, found).check();
    new PresentRules(kernel, found).check();
    new CmaRules(kernel, found).check();
    new PoolRules(kernel, tails, found).check();
    new DeviceRules(kernel, found).check();
    new RootRules(kernel, found).check();
    new SlabRules(kernel, found).check();
    new TlbRules(kernel.mm(), found).check();
    return found.report();
  }

  /** What has been found so far. */
  Report report() {
    List<Violation> all = new ArrayList<>(violations);
    broken.forEach(
        (rule, count) -> {
          if (count > SHOWN_PER_RULE) {
            all.add(new Violation(rule, "count", count, "times in all; the first are shown"));
          }
        });
    Map<String, Long> counts = new LinkedHashMap<>();
    checks.forEach((rule, count) -> counts.put(rule, count[0]));
    return new Report(counts, all);
  }

  /** Counts {@code n} more things that {@code rule} was checked on. */
  void checked(String rule, long n) {
    checks.computeIfAbsent(rule, first -> new long[1])[0] += n;
  }

  /** Notes that {@code rule} does not hold. */
  void violated(String rule, String unit, long number, String detail) {
    if (broken.merge(rule, 1L, Long::sum) <= SHOWN_PER_RULE) {
      violations.add(new Violation(rule, unit, number, detail));
    }
  }

  /** Checks that two accounts agree. */
  void equal(String rule, String what, long one, long other) {
    equal(rule, () -> what, one, other);
  }

  /** The same with a text that is made only when it is needed. */
  void equal(String rule, Supplier<String> what, long one, long other) {
    checked(rule, 1);
    if (one != other) {
      violated(rule, "count", one, what.get() + " is 0x" + Long.toHexString(other));
    }
  }
}
