// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import org.jspecify.annotations.Nullable;

/**
 * How far a scenario is explored: first every schedule with few switches, then random priorities for
 * what needs more. Within it the scenario holds and its twin fails.
 *
 * @param switches all schedules with at most so many switches that nothing forces; null for none
 * @param most of those, so many at most
 * @param seed the first seed of random priorities
 * @param seeds how many seeds; 0 for none
 */
record Bound(@Nullable Integer switches, long most, long seed, long seeds) {
  private static final long MOST = 100_000;

  /** All schedules with at most {@code switches} switches, then the seeds 1 to {@code seeds}. */
  static Bound of(int switches, long seeds) {
    return new Bound(switches, MOST, 1, seeds);
  }

  /** Only the schedules with at most {@code switches} switches. */
  static Bound exhaustive(int switches) {
    return of(switches, 0);
  }

  /** Only seeds. */
  static Bound random(long seed, long seeds) {
    return new Bound(null, MOST, seed, seeds);
  }

  /** The same with at most {@code schedules} schedules, and so many seeds. */
  Bound atMost(long schedules) {
    return new Bound(switches, schedules, seed, Math.min(seeds, schedules));
  }

  /** As in {@code 2 switches, 200 seeds}. */
  String text() {
    String random = seeds + (seeds == 1 ? " seed" : " seeds");
    if (switches == null) {
      return random;
    }
    String all = switches + (switches == 1 ? " switch" : " switches");
    return seeds == 0 ? all : all + ", " + random;
  }
}
