// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Random;

/** Choices from a seed: the same seed gives the same choices on every Java. */
final class Dice {
  private static final int PERCENT = 100;

  private final Random random;

  Dice(long seed) {
    this.random = new Random(mixed(seed));
  }

  /** Random's first numbers for neighbouring seeds are alike: so the bits are mixed before. */
  private static long mixed(long seed) {
    long z = seed * 0x9e37_79b9_7f4a_7c15L;
    z = (z ^ (z >>> 30)) * 0xbf58_476d_1ce4_e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d0_49bb_1331_11ebL;
    return z ^ (z >>> 31);
  }

  /** A number from 0 to {@code n} - 1. */
  int below(int n) {
    return random.nextInt(n);
  }

  /** A number from {@code least} to {@code most}. */
  long between(long least, long most) {
    return least + below((int) Math.min(Integer.MAX_VALUE - 1L, most - least) + 1);
  }

  /** True {@code percent} times in a hundred. */
  boolean chance(int percent) {
    return below(PERCENT) < percent;
  }

  /** One of them. */
  <T> T pick(List<T> of) {
    return of.get(below(of.size()));
  }

  /** One of them. */
  String word(String... of) {
    return of[below(of.length)];
  }

  /** A small number: 0 often, {@code most} seldom. */
  int small(int most) {
    return below(below(most + 1) + 1);
  }
}
