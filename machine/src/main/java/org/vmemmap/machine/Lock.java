// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/**
 * A lock that knows which CPU has it, for functions that ask whether their caller took it. When a test
 * has it leave out keeping others away, several CPUs have it.
 */
public final class Lock {
  private final Machine machine;
  private final String name;

  /** Bit n is set while CPU n has the lock. */
  private long holders;

  /** Makes the lock called {@code name}, free. */
  public Lock(Machine machine, String name) {
    this.machine = machine;
    this.name = name;
  }

  /** Takes it; another CPU that has it goes first. */
  public void lock() {
    machine.lock(name, 0);
    holders |= here();
  }

  /** Leaves it. */
  public void unlock() {
    holders &= ~here();
    machine.unlock(name, 0);
  }

  /** True when the CPU that runs has it. */
  public boolean heldHere() {
    return (holders & here()) != 0;
  }

  /** True when the CPU that runs has it; who listens is asked, too. To be called where it must be so. */
  public boolean needed() {
    machine.yields().touched(name);
    return heldHere();
  }

  /** True when a CPU has it. */
  public boolean held() {
    return holders != 0;
  }

  private long here() {
    return 1L << machine.cpu().number();
  }
}
