// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.machine.YieldPoints;

/** The locks that are taken and left and the counters that change, in order. */
final class Steps implements YieldPoints.Listener {
  /** The lock of node 0's Normal zone, taken and left. */
  static final List<String> LOCKED = List.of("lock zone->lock 2", "unlock zone->lock 2");

  private final List<String> heard = new ArrayList<>();

  private Steps() {}

  /** What is heard while {@code action} runs. */
  static List<String> of(Bench bench, Runnable action) {
    Steps steps = new Steps();
    bench.machine.yields().listen(steps);
    try {
      action.run();
    } finally {
      bench.machine.yields().listen(null);
    }
    return steps.heard;
  }

  @Override
  public void reached(String what, long where) {
    // Single accesses are of no interest here.
  }

  @Override
  public void lock(String name, long number) {
    heard.add("lock " + name + " " + number);
  }

  @Override
  public void unlock(String name, long number) {
    heard.add("unlock " + name + " " + number);
  }

  @Override
  public void touched(String what) {
    heard.add(what);
  }
}
