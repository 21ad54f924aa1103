// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Predicate;

/**
 * Decides which fallible step fails. Every allocation asks {@link #mayFail} with the name of its
 * site; the n-th question, or all from the n-th, can be answered yes.
 */
public final class FaultInjection {
  private long asked;
  private long failed;
  private long first = Long.MAX_VALUE;
  private boolean onlyFirst;
  private Predicate<String> sites = site -> true;
  private final Map<String, Integer> failures = new LinkedHashMap<>();

  /** Lets nothing fail, and counts from zero again. */
  public void disarm() {
    first = Long.MAX_VALUE;
    sites = site -> true;
    asked = 0;
    failed = 0;
    failures.clear();
  }

  /** Fails only the n-th question from now, counted from 1, among sites that {@code sites} accepts. */
  public void failNth(long n, Predicate<String> sites) {
    arm(n, sites, true);
  }

  /** Fails the n-th question from now, counted from 1, and all after it. */
  public void failFrom(long n, Predicate<String> sites) {
    arm(n, sites, false);
  }

  private void arm(long n, Predicate<String> accepted, boolean once) {
    disarm();
    first = n;
    onlyFirst = once;
    sites = accepted;
  }

  /**
   * Asks whether the step at {@code site} fails now. Each question counts.
   *
   * @param site the kernel function that allocates, as in {@code vmemmap_alloc_block}
   */
  public boolean mayFail(String site) {
    if (!sites.test(site)) {
      return false;
    }
    asked++;
    boolean fail = onlyFirst ? asked == first : asked >= first;
    if (fail) {
      failed++;
      failures.merge(site, 1, Integer::sum);
    }
    return fail;
  }

  /** Questions since the last arming, at accepted sites. */
  public long asked() {
    return asked;
  }

  /** Failures since the last arming. */
  public long failed() {
    return failed;
  }

  /** Failures by site, in the order in which the sites first failed. */
  public Map<String, Integer> failures() {
    return Collections.unmodifiableMap(new LinkedHashMap<>(failures));
  }
}
