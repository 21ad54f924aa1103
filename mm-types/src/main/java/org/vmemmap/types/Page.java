// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * A {@code struct page *}: the virtual address of a page descriptor.
 *
 * <p>A C function that returns NULL returns null here; one that returns {@code ERR_PTR(-E...)}
 * returns {@link #err}.
 *
 * @param va virtual address, in the memmap or in the linear window
 */
@Kernel(file = "include/linux/mm_types.h", symbol = "struct page")
public record Page(long va) {
  private static final long MAX_ERRNO = 4095;

  /** An error code in the form of a pointer. {@code rc} is negative. */
  @Kernel(file = "include/linux/err.h", symbol = "ERR_PTR")
  public static Page err(int rc) {
    return new Page(rc);
  }

  /** True when this is an error code. */
  @Kernel(file = "include/linux/err.h", symbol = "IS_ERR")
  public boolean isErr() {
    return Long.compareUnsigned(va, -MAX_ERRNO) >= 0;
  }

  /** The error code, negative. Only for {@link #isErr} pointers. */
  @Kernel(file = "include/linux/err.h", symbol = "PTR_ERR")
  public int ptrErr() {
    return (int) va;
  }

  @Override
  public String toString() {
    return "page@0x" + Long.toHexString(va);
  }
}
