// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.vmemmap.types.Kernel;

/**
 * {@code uuid_t}: 16 bytes.
 *
 * @param low bytes 0 to 7, little-endian
 * @param high bytes 8 to 15
 */
@Kernel(file = "include/linux/uuid.h", symbol = "uuid_t")
public record NdUuid(long low, long high) {
  /** {@code uuid_null}: what a namespace without labels has. */
  public static final NdUuid NULL = new NdUuid(0, 0);
}
