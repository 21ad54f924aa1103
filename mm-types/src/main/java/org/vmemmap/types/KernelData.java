// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.util.Arrays;

/**
 * The kernel's static data and stacks: a run of bytes inside the kernel image, for the few things
 * that must have an address of their own, such as list heads.
 *
 * <pre>
 *   | static data ->        <- stack of CPU 2 |    <- of CPU 1 |    <- of CPU 0 |
 * </pre>
 */
public final class KernelData {
  /** Room for the stack of a CPU in bytes. */
  private static final long STACK = 4096;

  private final long end;
  private long next;
  private long[] stacks;

  /**
   * @param start linear address of the first byte, a multiple of 16
   * @param bytes length of the run
   */
  KernelData(long start, long bytes) {
    this.next = start;
    this.end = start + bytes;
    this.stacks = new long[] {end};
  }

  /** Sets {@code bytes} bytes aside for good; a multiple of 8. */
  public long alloc(int bytes) {
    long va = next;
    next += bytes;
    check();
    return va;
  }

  /** Takes {@code bytes} bytes from the stack of CPU {@code cpu}. */
  public long push(int cpu, int bytes) {
    while (cpu >= stacks.length) {
      stacks = Arrays.copyOf(stacks, stacks.length + 1);
      stacks[stacks.length - 1] = top(stacks.length - 1);
    }
    stacks[cpu] -= bytes;
    check();
    return stacks[cpu];
  }

  /** Gives back what {@link #push} returned last to the same CPU. */
  public void pop(int cpu, long va, int bytes) {
    if (va != stacks[cpu] || va + bytes > top(cpu)) {
      throw new IllegalStateException(
          "va=0x" + Long.toHexString(va) + " stack=0x" + Long.toHexString(stacks[cpu]));
    }
    stacks[cpu] += bytes;
  }

  private long top(int cpu) {
    return end - cpu * STACK;
  }

  private void check() {
    if (next > stacks[stacks.length - 1]) {
      throw new IllegalStateException("kernel data is full");
    }
  }
}
