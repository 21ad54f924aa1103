// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import org.jspecify.annotations.Nullable;

/**
 * Places where another CPU may run: each shared access, lock, exchange, barrier and flush says so
 * here. Costs one test of a field when nobody listens.
 */
public final class YieldPoints {
  /** Hears of each point; a scheduler parks the caller in it. */
  @FunctionalInterface
  public interface Listener {
    /** The running CPU is about to do {@code what}, for example {@code set_pte}, at {@code where}. */
    void reached(String what, long where);
  }

  private @Nullable Listener listener;

  /** Sets who hears of the points from now on; null for nobody. */
  public void listen(@Nullable Listener newListener) {
    listener = newListener;
  }

  /** Called before the step {@code what} at the address or number {@code where}. */
  public void at(String what, long where) {
    Listener current = listener;
    if (current != null) {
      current.reached(what, where);
    }
  }
}
