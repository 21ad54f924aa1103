// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import org.vmemmap.machine.Lock;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;

/**
 * {@code hugetlb_lock}: guards the counters and lists of all pools. Taking and leaving it are
 * places where another CPU may run.
 */
@Kernel(
    file = "mm/hugetlb.c",
    symbol = "hugetlb_lock",
    fidelity = Kernel.Fidelity.CUSTOM,
    why = "One simulated CPU runs at a time, so the lock only tells the scheduler and checks use.")
public final class HugetlbLock {
  private final Mm mm;
  private final Lock lock;

  /** Makes the lock, free. */
  public HugetlbLock(Mm mm) {
    this.mm = mm;
    this.lock = new Lock(mm.machine(), "hugetlb_lock");
  }

  /** {@code spin_lock_irq(&hugetlb_lock)}. */
  public void lock() {
    mm.printk().bugOn(lock.heldHere(), "spin_lock_irq(&hugetlb_lock): recursion");
    lock.lock();
  }

  /** {@code spin_unlock_irq(&hugetlb_lock)}. */
  public void unlock() {
    lock.unlock();
  }

  /** {@code lockdep_assert_held(&hugetlb_lock)}: a kernel with lockdep would warn here. */
  public void assertHeld(String where) {
    if (mm.config().debugVm()) {
      mm.printk().warnOnOnce(!lock.needed(), where + ": !lockdep_is_held(&hugetlb_lock)");
    }
  }
}
