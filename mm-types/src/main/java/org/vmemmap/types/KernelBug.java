// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/** A failed {@code BUG_ON} or {@code VM_BUG_ON}: the kernel stops here. */
public final class KernelBug extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** {@code where} is the kernel function and the condition. */
  public KernelBug(String where) {
    super("kernel BUG at " + where);
  }
}
