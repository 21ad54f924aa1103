// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import org.vmemmap.types.Kernel;

/** {@code enum migrate_reason}: who wants pages moved. Only the two that exist here. */
@Kernel(file = "include/linux/migrate_mode.h", symbol = "enum migrate_reason")
public enum MigrateReason {
  /** MR_MEMORY_HOTPLUG: memory goes offline. */
  MR_MEMORY_HOTPLUG,
  /** MR_CONTIG_RANGE: somebody wants this very range. */
  MR_CONTIG_RANGE
}
