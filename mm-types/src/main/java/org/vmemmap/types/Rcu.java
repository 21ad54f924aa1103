// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.ArrayDeque;
import java.util.Deque;
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
  private final Deque<Runnable> callbacks = new ArrayDeque<>();
  private final Machine machine;
  private int readers;

  Rcu(Machine machine) {
    this.machine = machine;
  }

  /** Begins to read. Nests. */
  @Kernel(file = "include/linux/rcupdate.h", symbol = "rcu_read_lock_sched")
  public void readLock() {
    readers++;
  }

  /** Stops reading; the last reader ends the grace period. */
  @Kernel(file = "include/linux/rcupdate.h", symbol = "rcu_read_unlock_sched")
  public void readUnlock() {
    if (readers == 0) {
      throw new KernelBug("rcu_read_unlock_sched: no reader");
    }
    readers--;
    run();
  }

  /** Frees after a grace period, which is over at once when nobody reads. */
  @Kernel(
      file = "include/linux/rcupdate.h",
      symbol = "kfree_rcu",
      fidelity = Kernel.Fidelity.CUSTOM,
      why = "The grace period ends as soon as no reader is left, the earliest that RCU allows.")
  public void kfreeRcu(Runnable free) {
    if (machine.omits("kfree_rcu")) {
      free.run();
      return;
    }
    callbacks.add(free);
    run();
  }

  /** How many frees wait for readers. */
  public int waiting() {
    return callbacks.size();
  }

  private void run() {
    while (readers == 0 && !callbacks.isEmpty()) {
      callbacks.remove().run();
    }
  }
}
