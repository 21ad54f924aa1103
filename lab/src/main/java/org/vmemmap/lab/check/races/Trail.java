// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.vmemmap.lab.check.Tracer;

/** The last steps of a run that others could notice, each with the kernel function that made it. */
final class Trail {
  private static final int KEPT = 24;

  private final Deque<String> last = new ArrayDeque<>();

  /** Adds a step of CPU {@code cpu}. */
  void note(int cpu, String what) {
    if (last.size() == KEPT) {
      last.removeFirst();
    }
    last.addLast("cpu" + cpu + " " + what + Tracer.in());
  }

  /** Oldest first. */
  List<String> lines() {
    return List.copyOf(last);
  }
}
