// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import org.vmemmap.machine.YieldPoints;

/**
 * Remembers the last shared steps of a machine, each with the kernel function that made it. Walks of
 * page tables are left out: hardware makes them, at any access.
 */
public final class Tracer implements YieldPoints.Listener {
  private static final int KEPT = 12;

  /** The step of a CPU that looks an address up, at any access: no trace tells of it. */
  public static final String WALK = "walk";

  private final Deque<String> last = new ArrayDeque<>();

  @Override
  public void reached(String what, long where) {
    if (!what.equals(WALK)) {
      note(what + " 0x" + Long.toHexString(where));
    }
  }

  /** Adds a line with the kernel function that runs now. */
  void note(String what) {
    if (last.size() == KEPT) {
      last.removeFirst();
    }
    last.addLast(what + in());
  }

  /** The last steps, oldest first. */
  List<String> lines() {
    return List.copyOf(last);
  }

  /** The kernel function that runs now, as the end of a line; empty outside of any. */
  public static String in() {
    KernelFunction function = KernelFunction.innermost();
    return function == null ? "" : "  in " + function;
  }

  /** A Java name as the kernel has it: {@code vmemmapPteEntry} is {@code vmemmap_pte_entry}. */
  static String snake(String name) {
    String bare = name.replaceFirst("(?<=[a-z])[0-9]$", "");
    return bare.replaceAll("(?<=[a-z0-9])([A-Z])", "_$1").toLowerCase(Locale.ROOT);
  }
}
