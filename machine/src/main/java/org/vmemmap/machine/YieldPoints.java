// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import org.jspecify.annotations.Nullable;

/**
 * Places where another CPU may run: each shared access, lock, exchange, barrier and flush says so
 * here. Costs one test of a field when nobody listens.
 *
 * <p>A lock is nothing but its name and number here: a listener that runs several CPUs makes them
 * wait in {@link Listener#lock}. With one CPU there is nobody to wait for.
 */
public final class YieldPoints {
  /** Hears of each point; a scheduler parks the caller in it. */
  @FunctionalInterface
  public interface Listener {
    /** The running CPU is about to do {@code what}, for example {@code set_pte}, at {@code where}. */
    void reached(String what, long where);

    /** The running CPU takes lock {@code number} of those called {@code name}; returns with it. */
    default void lock(String name, long number) {
      reached("lock " + name, number);
    }

    /** The running CPU has left a lock. */
    default void unlock(String name, long number) {
      reached("unlock " + name, number);
    }

    /**
     * The running CPU is about to touch {@code bytes} bytes at physical address {@code paddr}. Heard
     * of page-table entries, and of all else on a machine that watches (see {@link Machine#check}).
     */
    default void access(long paddr, long bytes, boolean write) {}

    /** The access that comes next found the frame through a translation, so it may be an old one. */
    default void translated(long frame) {}

    /** The running CPU uses what is called {@code what}, which a lock may guard. */
    default void touched(String what) {}

    /** The running CPU tells something that is no step of it: nobody else may run here. */
    default void noted(String what) {}

    /**
     * The running CPU is about to give the {@code n} frames from {@code frame} a new owner, or to take
     * a bolted mapping of them away.
     */
    default void moved(long frame, long n) {}
  }

  private @Nullable Listener listener;

  /** Sets who hears of the points from now on; null for nobody. */
  public void listen(@Nullable Listener newListener) {
    listener = newListener;
  }

  /** True when somebody hears of the points, so that loops must not leave any out. */
  public boolean heard() {
    return listener != null;
  }

  /** Called before the step {@code what} at the address or number {@code where}. */
  public void at(String what, long where) {
    Listener current = listener;
    if (current != null) {
      current.reached(what, where);
    }
  }

  /** Takes lock {@code number} of those called {@code name}. */
  public void lock(String name, long number) {
    Listener current = listener;
    if (current != null) {
      current.lock(name, number);
    }
  }

  /** Leaves a lock. */
  public void unlock(String name, long number) {
    Listener current = listener;
    if (current != null) {
      current.unlock(name, number);
    }
  }

  /** Called before an access through a translation that leads to {@code frame}. */
  public void translated(long frame) {
    Listener current = listener;
    if (current != null) {
      current.translated(frame);
    }
  }

  /** Called before a counter or list is used that is called {@code what}. */
  public void touched(String what) {
    Listener current = listener;
    if (current != null) {
      current.touched(what);
    }
  }

  /** Tells {@code what} to who listens, as a comment on what the running CPU does. */
  public void note(String what) {
    Listener current = listener;
    if (current != null) {
      current.noted(what);
    }
  }

  /** Called before {@code n} frames get a new owner or lose a bolted mapping. */
  public void moved(long frame, long n) {
    Listener current = listener;
    if (current != null) {
      current.moved(frame, n);
    }
  }

  /** Called before {@code bytes} bytes at {@code paddr} are read or written. */
  public void access(long paddr, long bytes, boolean write) {
    Listener current = listener;
    if (current != null) {
      current.access(paddr, bytes, write);
    }
  }
}
