// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * Which of the fallible steps of a run fail, counted from 1, and where they are.
 *
 * @param mode {@code none}, {@code only}, {@code from} or {@code pair}
 * @param first the step that fails, or the first of them
 * @param second the other step of a pair; 0 otherwise
 */
public record Selection(String mode, long first, long second) {
  /** Nothing fails. */
  static final Selection NONE = new Selection("none", 0, 0);

  static Selection only(long n) {
    return new Selection("only", n, 0);
  }

  static Selection from(long n) {
    return new Selection("from", n, 0);
  }

  static Selection pair(long n, long m) {
    return new Selection("pair", n, m);
  }

  boolean hits(long n) {
    return switch (mode) {
      case "only" -> n == first;
      case "from" -> n >= first;
      case "pair" -> n == first || n == second;
      default -> false;
    };
  }

  /** As in {@code only 7} or {@code pair 3,9}. */
  String text() {
    return mode + " " + first + (second == 0 ? "" : "," + second);
  }

  /** Counts the steps of one run; to be given to the machine's fault injection. */
  static final class Counter implements Predicate<String> {
    private final Selection selection;
    private final List<String> sites = new ArrayList<>();
    private final List<String> failed = new ArrayList<>();

    Counter(Selection selection) {
      this.selection = selection;
    }

    @Override
    public boolean test(String site) {
      sites.add(site);
      boolean hit = selection.hits(sites.size());
      if (hit) {
        failed.add(site);
      }
      return hit;
    }

    /** The sites met, in order. */
    List<String> sites() {
      return List.copyOf(sites);
    }

    /** The sites that failed, in order. */
    List<String> failed() {
      return List.copyOf(failed);
    }
  }
}
