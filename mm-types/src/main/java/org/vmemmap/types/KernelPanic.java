// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/** A call of {@code panic()}: the machine cannot go on. */
@Kernel(file = "kernel/panic.c", symbol = "panic")
public final class KernelPanic extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** {@code message} is what the kernel would print after "Kernel panic - not syncing: ". */
  public KernelPanic(String message) {
    super(message);
  }
}
