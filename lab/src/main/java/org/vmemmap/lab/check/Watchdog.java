// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import org.vmemmap.machine.YieldPoints;
import org.vmemmap.types.KernelBug;

/**
 * Ends a run that would go on for ever, as the kernel's watchdog tells of a CPU that is stuck: a loop
 * that waits for a count which nobody counts, for one.
 */
final class Watchdog implements YieldPoints.Listener {
  /** Accesses of a run: some ten times those of the longest scenario. */
  private static final long ENOUGH = 100_000_000;

  private final YieldPoints.Listener next;
  private long accesses;

  /** Tells {@code next} all that it hears. */
  Watchdog(YieldPoints.Listener next) {
    this.next = next;
  }

  @Override
  public void access(long paddr, long bytes, boolean write) {
    accesses++;
    if (accesses > ENOUGH) {
      throw new KernelBug("soft lockup - CPU#0 stuck");
    }
    next.access(paddr, bytes, write);
  }

  @Override
  public void reached(String what, long where) {
    next.reached(what, where);
  }

  @Override
  public void lock(String name, long number) {
    next.lock(name, number);
  }

  @Override
  public void unlock(String name, long number) {
    next.unlock(name, number);
  }

  @Override
  public void touched(String what) {
    next.touched(what);
  }
}
