// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * The kernel's static data and stack: a run of bytes inside the kernel image, for the few things
 * that must have an address of their own, such as list heads.
 *
 * <p>Static data grows from the front, the stack from the back.
 */
public final class KernelData {
  private final long end;
  private long next;
  private long stack;

  /**
   * @param start linear address of the first byte, a multiple of 16
   * @param bytes length of the run
   */
  KernelData(long start, long bytes) {
    this.next = start;
    this.end = start + bytes;
    this.stack = end;
  }

  /** Sets {@code bytes} bytes aside for good; a multiple of 8. */
  public long alloc(int bytes) {
    long va = next;
    next += bytes;
    check();
    return va;
  }

  /** Takes {@code bytes} bytes from the stack. */
  public long push(int bytes) {
    stack -= bytes;
    check();
    return stack;
  }

  /** Gives back what {@link #push} returned last. */
  public void pop(long va, int bytes) {
    if (va != stack || stack + bytes > end) {
      throw new IllegalStateException("va=0x" + Long.toHexString(va) + " stack=0x" + Long.toHexString(stack));
    }
    stack += bytes;
  }

  private void check() {
    if (next > stack) {
      throw new IllegalStateException("kernel data is full");
    }
  }
}
