// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.YieldPoints;

/**
 * Remembers the last shared steps of a machine, each with the kernel function that made it. Walks of
 * page tables are left out: hardware makes them, at any access.
 */
public final class Tracer implements YieldPoints.Listener {
  private static final int KEPT = 12;

  /** The step of a CPU that looks an address up, at any access: no trace tells of it. */
  public static final String WALK = "walk";

  private final Concern concern;
  private final Deque<String> last = new ArrayDeque<>();
  private final List<String> atTouch = new ArrayList<>();
  private @Nullable KernelFunction toucher;

  /** One that remembers, besides, who was the last to change what {@code concern} is about. */
  Tracer(Concern concern) {
    this.concern = concern;
  }

  @Override
  public void access(long paddr, long bytes, boolean write) {
    if (write && concern.with(paddr, bytes)) {
      touch("changes " + concern.what());
    }
  }

  @Override
  public void moved(long frame, long n) {
    if (concern.withFrame(frame, n)) {
      touch("gives away or takes " + concern.what());
    }
  }

  /** A warning: that of the concern, when it is about one. */
  @Override
  public void noted(String what) {
    if (concern.what().equals(what)) {
      touch(what);
    } else {
      note(what);
    }
  }

  private void touch(String how) {
    toucher = KernelFunction.innermost();
    atTouch.clear();
    atTouch.addAll(last);
    atTouch.add(how + in());
  }

  /** Who was the last to change it; null for nobody. */
  @Nullable KernelFunction toucher() {
    return toucher;
  }

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

  /** The last steps, oldest first; those up to the last change when there was one. */
  List<String> lines() {
    return List.copyOf(toucher == null ? last : atTouch);
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
