// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.vmemmap.machine.GracePeriods;
import org.vmemmap.machine.Machine;

/**
 * Read-copy-update, as far as the memmap needs it: what readers may still look at is freed when the
 * last of those that were reading has left.
 *
 * <pre>
 *   reader    [-------- pfn_valid() --------]
 *   writer         kfree_rcu(usage)          | grace period over, usage freed
 * </pre>
 */
public final class Rcu {
  private final GracePeriods gracePeriods;

  Rcu(Machine machine) {
    this.gracePeriods = machine.gracePeriods();
  }

  /** Begins to read. Nests. */
  @Kernel(file = "include/linux/rcupdate.h", symbol = "rcu_read_lock_sched")
  public void readLock() {
    gracePeriods.enter();
  }

  /** Stops reading; the last reader ends the grace period. */
  @Kernel(file = "include/linux/rcupdate.h", symbol = "rcu_read_unlock_sched")
  public void readUnlock() {
    if (gracePeriods.readers() == 0) {
      throw new KernelBug("rcu_read_unlock_sched: no reader");
    }
    gracePeriods.leave();
  }

  /** Frees after a grace period, which is over at once when nobody reads. */
  @Kernel(
      file = "include/linux/rcupdate.h",
      symbol = "kfree_rcu",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The grace period ends as soon as no reader is left, the earliest that RCU allows.")
  public void kfreeRcu(Runnable free) {
    gracePeriods.after(free);
  }

  /** How many frees wait for readers. */
  public int waiting() {
    return gracePeriods.waiting();
  }
}
